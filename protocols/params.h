/* SPDX-License-Identifier: BSD-2-Clause */
/* The parameter table of each protocol, as data, so that gateway and daemon
 * know what may be set without linking a codec.
 */
#ifndef BH_PROTOCOLS_PARAMS_H
#define BH_PROTOCOLS_PARAMS_H

#include <stdint.h>

#include "common/param.h"

/* What the daemon does for a protocol, and what its URLs look like. */
#define PROTO_LOGIN_SSH 0x1u /* host keys, keys and passwords by SSH */
#define PROTO_LOGIN_CHAP 0x2u /* user, password, target-user, target-password */
#define PROTO_MOVES 0x4u /* PROTO_WANT_MOVE: other ports of the same host */
/* Also to hosts that redirect= allows, or that portals= names. */
#define PROTO_MOVES_HOST 0x8u
/* Dialled from a port below 1024 if root asks, and again from the same port. */
#define PROTO_FROM_RESERVED_PORT 0x10u
#define PROTO_PATH_OPTIONAL 0x20u
/* What the root's list names are lists themselves: the targets of a portal. */
#define PROTO_LISTS_NEST 0x80u
#define PROTO_LEAVES 0x40u /* a session has an end that the server is told */

struct proto_params {
  const char *name;      /* URL scheme */
  const char *title;     /* for the help: "SFTP (SSH file transfer)" */
  uint16_t default_port;
  unsigned flags;             /* PROTO_… */
  const char *url;            /* what a URL looks like */
  const struct param *params; /* ends with {0} */
};

/* What every protocol has; the URL or a key=value may not carry what is in
 * both tables. Ends with {0}.
 */
extern const struct param proto_common_params[];

/* What the gateway itself adds for the worker; no user may set it. Ends with
 * {0}.
 */
extern const struct param proto_internal_params[];

/* Ends with {0}. */
extern const struct proto_params proto_params_table[];

/* By URL scheme, or NULL. */
const struct proto_params *proto_params_find (const char *name);

#endif
