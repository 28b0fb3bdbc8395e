/* SPDX-License-Identifier: BSD-2-Clause */
/* The key derivation of encrypted openssh-key-v1 files: PBKDF2's shape around
 * bcrypt's slow key schedule, with SHA-512 before it, and its output spread
 * over the blocks. As OpenSSH's PROTOCOL.key refers to it ("bcrypt"); bcrypt is
 * in Provos and Mazières, "A Future-Adaptable Password Scheme" (1999), §4.
 *
 * Pure, and slow on purpose: some milliseconds for each round and each 32 bytes
 * of output. Any thread.
 */
#ifndef BH_CACHE_BCRYPT_PBKDF_H
#define BH_CACHE_BCRYPT_PBKDF_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define BCRYPT_PBKDF_BYTES 256 /* most that can be derived */
#define BCRYPT_PBKDF_SALT_BYTES 1024

/* ERR_INVAL if rounds is 0 or a length is 0 or too large. ERR_NOMEM. */
enum err
bcrypt_pbkdf (const char *passphrase, size_t passphrase_bytes,
              const uint8_t *salt, size_t salt_bytes, uint32_t rounds,
              uint8_t *dst, size_t dst_bytes);

#endif
