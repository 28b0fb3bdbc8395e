/* SPDX-License-Identifier: BSD-2-Clause */
/* The key of a volume: who shares a cache. The requester's uid, the configured
 * endpoint and path, and the credential; nothing that a server says. So only
 * the same user with the same credential shares.
 */
#ifndef BH_CACHE_VOLUME_KEY_H
#define BH_CACHE_VOLUME_KEY_H

#include <sys/types.h>

#include "cache/login.h"
#include "ipc/volume.h"

#define VOLUME_KEY_BYTES 32 /* SHA-256 */
#define VOLUME_KEY_TEXT_BYTES (2 * VOLUME_KEY_BYTES + 1)

struct volume_key {
  uint8_t bytes[VOLUME_KEY_BYTES];
};

/* c has all keys and the password that will be used. ERR_NOMEM. */
enum err
volume_key (uid_t uid, const struct volume_spec *spec,
            const struct login_config *c, struct volume_key *ret);
void
volume_key_text (const struct volume_key *k, char dst[VOLUME_KEY_TEXT_BYTES]);

#endif
