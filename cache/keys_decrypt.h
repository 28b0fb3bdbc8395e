/* SPDX-License-Identifier: BSD-2-Clause */
/* The encryption of openssh-key-v1: every cipher that ssh-keygen -Z knows.
 * Pure; slow because of its key derivation (bcrypt_pbkdf.h).
 */
#ifndef BH_CACHE_KEYS_DECRYPT_H
#define BH_CACHE_KEYS_DECRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* ssh-keygen's default is 16, and people use 100. This many take a few
 * seconds.
 */
#define KEYS_ROUNDS_MAX 500u

struct key_encryption {
  const char *cipher;
  const char *kdf;
  const uint8_t *kdf_options; /* string salt, u32 rounds */
  size_t kdf_options_bytes;
  const uint8_t *tag; /* what follows the encrypted part */
  size_t tag_bytes;
};

/* dst has length_bytes bytes too. ERR_AUTH: a wrong passphrase, if the cipher
 * can tell; ERR_NOTSUP, ERR_INVAL, ERR_LIMIT (rounds): f says what.
 */
enum err
keys_decrypt (const struct key_encryption *k, const char *passphrase,
              const uint8_t *src, size_t length_bytes, uint8_t *dst,
              struct fault *f);

#endif
