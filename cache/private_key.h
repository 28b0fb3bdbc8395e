/* SPDX-License-Identifier: BSD-2-Clause */
/* Private keys that somebody gave us, as OpenSSL's: only those whose use takes
 * no longer than that of a key of their size. Whoever serves all users of a
 * host must not work for minutes at what one of them made up.
 */
#ifndef BH_CACHE_PRIVATE_KEY_H
#define BH_CACHE_PRIVATE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/pem.h>

#define PRIVATE_KEY_RSA_BITS_MAX 16384

/* PEM: PKCS #8 (RFC 5958; plain ones of RSA, EC and Ed25519 alone), PKCS #1 or
 * SEC 1. NULL: no such key, a damaged one, or one that is not
 * private_key_is_sound; if `passphrase` was called, it may be that.
 */
EVP_PKEY *private_key_read (const char *text, size_t length_bytes,
                            pem_password_cb *passphrase, void *ctx);

/* RSA: no number is larger than belongs to such a modulus. EC: the number is
 * one of the curve's. Others: true.
 */
bool private_key_is_sound (EVP_PKEY *key);

#endif
