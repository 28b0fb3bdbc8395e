/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server says before anything is encrypted: its identification line and
 * its KEXINIT. libssh2 keeps the algorithms to itself when none is in common;
 * this remembers them, so that a person can be told which.
 *
 * Pure; the bytes are a stranger's.
 */
#ifndef BH_WORKER_GREETING_H
#define BH_WORKER_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GREETING_BYTES 8192
#define GREETING_NAMES_BYTES 512

struct greeting {
  size_t used_bytes;
  uint8_t bytes[GREETING_BYTES]; /* the first that came */
};

/* Takes what came next; ignores what does not fit. */
void greeting_add (struct greeting *g, const void *bytes, size_t length_bytes);
/* Whether it has begun to say that it is a server of SSH (RFC 4253 §4.2). */
bool greeting_identified (const struct greeting *g);
/* The server_host_key_algorithms (RFC 4253 §7.1). False if there is no whole
 * KEXINIT, or the list is longer than dst or not printable.
 */
bool greeting_hostkeys (const struct greeting *g,
                        char dst[GREETING_NAMES_BYTES]);

#endif
