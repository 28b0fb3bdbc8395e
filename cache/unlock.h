/* SPDX-License-Identifier: BSD-2-Clause */
/* Decrypts a private key in a short-lived child of the daemon, as that takes
 * long on purpose, and the daemon has other volumes to care for. The child has
 * no descriptor but the pipe of its answer, and ends with the daemon.
 */
#ifndef BH_CACHE_UNLOCK_H
#define BH_CACHE_UNLOCK_H

#include "cache/daemon.h"
#include "cache/keys.h"

#define UNLOCK_TIMEOUT_S 15.0

struct unlock;

/* Called once; the unlock is gone then. key is handed over; NULL: f says why
 * not, as ssh_key_load does.
 */
typedef void
unlock_done (void *ctx, struct ssh_key *key, const struct fault *f);

/* done is never called before this returns. text and passphrase are used only
 * within this call.
 */
enum err
unlock_start (struct daemon *d, const char *text, size_t length_bytes,
              const char *passphrase, unlock_done *done, void *ctx,
              struct unlock **ret, struct fault *f);
void
unlock_cancel (struct unlock *u); /* NULL is allowed */

#endif
