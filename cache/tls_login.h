/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's half of TLS: it holds the client's private key and signs for a
 * worker what a TLS 1.3 client has to sign, and nothing else. The worker does
 * the rest: it gets the roots as a file, and our certificate, which is public.
 *
 * Lives as long as the volume; one thread. Pure but for reading the files.
 */
#ifndef BH_CACHE_TLS_LOGIN_H
#define BH_CACHE_TLS_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "common/err.h"

#define TLS_NAME_BYTES 256
#define TLS_FILE_BYTES 65536
/* Of a chain: it is sent in one message, beside a volume's parameters. */
#define TLS_CHAIN_BYTES 12288
/* RFC 8446 §4.4.3: 64 spaces, the context, a zero byte, at most SHA-384. */
#define TLS_CONTENT_BYTES 256
#define TLS_SIGNATURE_BYTES 2048
#define TLS_DIGEST_BYTES 32

struct tls_login {
  bool on;
  char name[TLS_NAME_BYTES]; /* that the server's certificate must have */
  int trust_fd;              /* PEM; a worker reads it for each dial. -1: off */
  char *chain; /* ours and what follows it, as PEM; NULL: none is shown */
  EVP_PKEY *key;
  uint8_t digest[TLS_DIGEST_BYTES]; /* of the chain: volume_key.h */
};

/* fd: roots, certificate, private key; the first is taken over and set to -1,
 * the others are read; -1: no certificate of ours. ERR_INVAL, ERR_AUTH (the key
 * is encrypted), ERR_LIMIT, ERR_IO: f says which file. t was zeroed, but for on
 * and trust_fd.
 */
enum err
tls_login_take (struct tls_login *t, const char *name, int fd[3],
                struct fault *f);
void
tls_login_fini (struct tls_login *t);

/* Signs the content of a client's CertificateVerify by scheme into dst, of
 * TLS_SIGNATURE_BYTES. ERR_PEER: it is something else, or not of this key's
 * kind; f says what.
 */
enum err
tls_login_sign (const struct tls_login *t, uint16_t scheme,
                const uint8_t *content, size_t content_bytes, uint8_t *dst,
                size_t *ret_bytes, struct fault *f);

#endif
