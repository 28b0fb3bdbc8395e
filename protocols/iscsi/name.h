/* SPDX-License-Identifier: BSD-2-Clause */
/* iSCSI names (RFC 7143 §4.2.7), and the path of our URLs: /TARGET/LUN. */
#ifndef BH_PROTOCOLS_ISCSI_NAME_H
#define BH_PROTOCOLS_ISCSI_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "protocols/iscsi/login.h"

/* The flat addressing of SAM-5 §4.7.7.3 ends there. */
#define NAME_LUN_MAX 16383u

/* Length and normal form (ASCII letters become small) of an iqn., eui. or naa.
 * name. ERR_INVAL with f; what: "target", for the message.
 */
enum err name_normalise (const char *name, size_t length_bytes,
                         const char *what, char dst[LOGIN_NAME_BYTES],
                         struct fault *f);

struct name_path {
  char target[LOGIN_NAME_BYTES]; /* "": none */
  bool has_lun;
  unsigned lun;
};

/* ERR_INVAL with f. path may be NULL. */
enum err name_path (const char *path, struct name_path *ret, struct fault *f);

#endif
