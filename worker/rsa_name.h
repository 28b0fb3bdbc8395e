/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 8332 §3: in a login with an RSA key the public key algorithm's name is
 * rsa-sha2-256, but the key's blob goes on saying ssh-rsa. libssh2 1.10 takes
 * that name from the blob, so that they would be the same. OpenSSH's sshd takes
 * a blob that says rsa-sha2-256, but proftpd, dropbear, rclone, asyncssh and
 * paramiko do not.
 *
 * libssh2_userauth_publickey copies the name first, then allocates its packet,
 * and then copies the blob into that. So it is shown a blob of the right length
 * that begins with the name; and when it allocates as much as a packet takes,
 * the true blob is put there. The daemon signs only what names both as they
 * have to be: with a libssh2 that works otherwise no login goes wrong unseen.
 */
#ifndef BH_WORKER_RSA_NAME_H
#define BH_WORKER_RSA_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/broker.h"

struct rsa_name {
  const uint8_t *blob; /* the true one; NULL: all is done, or not needed */
  size_t blob_bytes;
  uint8_t shown[BROKER_KEY_BYTES];
};

/* What is to be given to libssh2 in blob's place, of the same length: blob
 * itself if it says what it is signed with. Until the login is through, both
 * must stay where they are. NULL if the blob is damaged.
 */
const uint8_t *
rsa_name_begin (struct rsa_name *r, const char *algorithm, const uint8_t *blob,
                size_t blob_bytes);
/* libssh2 allocates. */
void
rsa_name_alloc (struct rsa_name *r, size_t bytes);
void
rsa_name_end (struct rsa_name *r);

#endif
