/* SPDX-License-Identifier: BSD-2-Clause */
/* Negotiates with an NBD server at a Unix socket by libnbd, and hands over the
 * connected socket, on which nothing is under way: for the kernel.
 */
#ifndef BH_CLI_NBD_SESSION_H
#define BH_CLI_NBD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct nbd_session {
  uint64_t size_bytes;
  uint64_t block_min; /* 1 if the server does not say */
  uint16_t flags;     /* NBD_FLAG_… of linux/nbd.h */
  bool readonly, multi;
};

/* *ret_fd: close-on-exec, the caller's. ERR_TIMEOUT after timeout_ms; ERR_DIAL;
 * else what the server refuses.
 */
enum err
nbd_session_open (const char *socket, unsigned timeout_ms,
                  struct nbd_session *ret, int *ret_fd, struct fault *f);
#endif
