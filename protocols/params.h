/* SPDX-License-Identifier: BSD-2-Clause */
/* The parameter table of each protocol, as data, so that gateway and daemon
 * know what may be set without linking a codec.
 */
#ifndef BH_PROTOCOLS_PARAMS_H
#define BH_PROTOCOLS_PARAMS_H

#include <stdint.h>

#include "common/param.h"

struct proto_params {
  const char *name;      /* URL scheme */
  const char *title;     /* for the help: "SFTP (SSH file transfer)" */
  uint16_t default_port;
  const struct param *params; /* ends with {0} */
};

/* Ends with {0}. */
extern const struct proto_params proto_params_table[];

/* By URL scheme, or NULL. */
const struct proto_params *proto_params_find (const char *name);

#endif
