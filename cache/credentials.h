/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of a login_config that may come late: a password or passphrase
 * through a pipe that somebody types into, keys that take seconds to decrypt.
 *
 *   PASSWORD ─► TARGET_PASSWORD ─► PASSPHRASE ─► KEYS (each in turn) ─► done
 */
#ifndef BH_CACHE_CREDENTIALS_H
#define BH_CACHE_CREDENTIALS_H

#include "cache/daemon.h"
#include "cache/login.h"

/* Somebody may have to type it. */
#define CREDENTIALS_TIMEOUT_S 60.0

enum {
  CREDENTIALS_PASSWORD,
  CREDENTIALS_TARGET_PASSWORD,
  CREDENTIALS_PASSPHRASE,
  CREDENTIALS_SECRETS
};

struct credentials;

/* Called once; the credentials are gone then. f is NULL if the configuration
 * is complete. A key that could not be decrypted is no failure: its own fault
 * says so.
 */
typedef void
credentials_done (void *ctx, const struct fault *f);

/* Completes c. fd[]: the secrets' files or pipes, -1 where none came; taken
 * over, and set to -1. done is never called before this returns. c must
 * outlive the credentials.
 */
enum err
credentials_start (struct daemon *d, struct login_config *c,
                   int fd[CREDENTIALS_SECRETS], credentials_done *done,
                   void *ctx, struct credentials **ret, struct fault *f);
void
credentials_cancel (struct credentials *c); /* NULL is allowed */

#endif
