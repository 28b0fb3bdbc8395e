/* SPDX-License-Identifier: BSD-2-Clause */
/* The parameters of a volume as an engine wants them. */
#ifndef BH_PROTOCOLS_ISCSI_SETTINGS_H
#define BH_PROTOCOLS_ISCSI_SETTINGS_H

#include "protocols/iscsi/login.h"
#include "protocols/iscsi/name.h"
#include "protocols/proto.h"

/* Under this name we log in unless initiator-name= says another one. Sessions
 * of several hosts do not meet: each has a random ISID.
 */
#define SETTINGS_INITIATOR_NAME "iqn.2001-04.com.example:bulkhead"
/* MaxRecvDataSegmentLength: the largest request in one piece. */
#define SETTINGS_RECEIVE_BYTES (256u << 10)

/* timeout='s default */
#define SETTINGS_TIMEOUT_S 30u

struct settings {
  bool list;
  uint64_t request_ns; /* timeout= */
  struct name_path path;
  struct login_setup login; /* but for isid and cmd_sn */
};

/* ERR_INVAL with f. */
enum err settings_read (const struct proto_config *c, struct settings *ret,
                        struct fault *f);

#endif
