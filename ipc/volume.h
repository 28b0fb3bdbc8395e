/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume as the gateway asks for it: protocol and parameters. Encoded into
 * CONTROL_OPEN (all parameters; files as indices into the message's fds) and,
 * cut down to what a worker may know, into CONTROL_CONFIG.
 *
 * Limits: VOLUME_PARAMS parameters, VOLUME_POOL_BYTES bytes of text.
 */
#ifndef BH_IPC_VOLUME_H
#define BH_IPC_VOLUME_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"
#include "common/wire.h"

#define VOLUME_PARAMS 24
#define VOLUME_POOL_BYTES 12288

struct volume_spec {
  char proto[16]; /* URL scheme */
  unsigned params;
  struct {
    uint16_t key;   /* offset into pool */
    uint16_t value; /* offset into pool */
    int8_t fd;      /* index of the fd that came with it; -1: none */
  } param[VOLUME_PARAMS];
  uint16_t pool_used;
  char pool[VOLUME_POOL_BYTES]; /* NUL-terminated strings */
};

/* Adds or replaces. ERR_LIMIT when full. */
enum err volume_spec_set (struct volume_spec *s, const char *key,
                          const char *value, int fd_index);
/* The value, or NULL; valid until the next set. */
const char *volume_spec_get (const struct volume_spec *s, const char *key);
/* Index of the fd with this key, or -1. */
int volume_spec_fd (const struct volume_spec *s, const char *key);
/* "sftp://user@host:port/path" for logs and messages; never a secret. */
void volume_spec_name (const struct volume_spec *s, char *dst,
                       size_t dst_bytes);

void volume_spec_put (struct wirebuf *b, const struct volume_spec *s);
/* fds: how many came with the message; indices beyond are ERR_PEER. */
enum err volume_spec_take (struct wire *w, unsigned fds,
                           struct volume_spec *ret);

void volume_info_put (struct wirebuf *b, const struct volume_info *i);
/* ERR_PEER also if volume_info_check says no. */
enum err volume_info_take (struct wire *w, struct volume_info *ret);

void fault_put (struct wirebuf *b, const struct fault *f);
/* Unknown codes become ERR_IO; control characters are replaced; a fault without
 * words gets those of its code.
 */
enum err fault_take (struct wire *w, struct fault *ret);

#endif
