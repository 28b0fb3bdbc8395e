/* SPDX-License-Identifier: BSD-2-Clause */
/* The user's private SSH keys, in the daemon: Ed25519, ECDSA (NIST P-256,
 * P-384, P-521) and RSA, in OpenSSH's own format or as PEM (PKCS#8, PKCS#1, SEC
 * 1), encrypted or not. They never leave the daemon; see signer.h.
 *
 * Thread rule: one key, one thread.
 */
#ifndef BH_CACHE_KEYS_H
#define BH_CACHE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "common/err.h"

#define SSH_KEY_FILE_BYTES 65536
#define SSH_KEY_BLOB_BYTES 4096
#define SSH_SIGNATURE_BYTES 4096
#define SSH_RSA_BITS_MIN 1024
#define SSH_RSA_BITS_MAX 16384

struct ssh_key;

/* From the bytes of a key file; the caller wipes them. *ret is the caller's
 * until ssh_key_free. passphrase: NULL if there is none; with one this may take
 * seconds. ERR_AUTH: encrypted, and the passphrase is wrong or not there;
 * ERR_INVAL (no key, damaged), ERR_NOTSUP (a kind that is not supported),
 * ERR_LIMIT: f says which, without the file's name.
 */
enum err
ssh_key_load (const char *text, size_t length_bytes, const char *passphrase,
              struct ssh_key **ret, struct fault *f);
/* The key as ssh_key_load takes it, not encrypted: the caller wipes dst. */
enum err
ssh_key_export (const struct ssh_key *k, char *dst, size_t dst_bytes,
                size_t *ret_bytes);
/* The public key blob that stands unencrypted in a file of OpenSSH's format,
 * malloced. ERR_NOENT: it is not of that format. ERR_INVAL, ERR_NOMEM.
 */
enum err
ssh_key_public (const char *text, size_t length_bytes, uint8_t **ret,
                size_t *ret_bytes);
/* Wipes the private part. NULL is allowed. */
void
ssh_key_free (struct ssh_key *k);

/* The algorithm of the signatures: ssh-ed25519, ecdsa-sha2-…, rsa-sha2-256. */
const char *
ssh_key_algorithm (const struct ssh_key *k);
/* The public key as it is offered (RFC 4253 §6.6; for RSA it says ssh-rsa). */
const uint8_t *
ssh_key_blob (const struct ssh_key *k, size_t *ret_bytes);
/* As ssh-keygen -l prints it. */
const char *
ssh_key_fingerprint (const struct ssh_key *k);

/* What follows the algorithm's name in an SSH signature: RFC 8709 §6, RFC 5656
 * §3.1.2, RFC 8332 §3. ERR_LIMIT if it is longer than dst_bytes.
 */
enum err
ssh_key_sign (const struct ssh_key *k, const void *data, size_t data_bytes,
              uint8_t *dst, size_t dst_bytes, size_t *ret_bytes);

/* For ssh_key_load: reads openssh-key-v1 (PROTOCOL.key of OpenSSH), already out
 * of its base64; and the words for a key without its passphrase (ERR_AUTH).
 */
enum err
ssh_key_parse_openssh (const uint8_t *bytes, size_t length_bytes,
                       const char *passphrase, EVP_PKEY **ret,
                       struct fault *f);
enum err
ssh_key_parse_public (const uint8_t *bytes, size_t length_bytes, uint8_t **ret,
                      size_t *ret_bytes);
enum err
ssh_key_locked (struct fault *f);

#endif
