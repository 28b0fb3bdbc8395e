/* SPDX-License-Identifier: BSD-2-Clause */
/* A client's key without its private part, for OpenSSL: whatever is to be
 * signed with it is asked of somebody else. OpenSSL calls that a provider; this
 * one is private to one OSSL_LIB_CTX, knows RSA, EC and Ed25519, and signs what
 * TLS 1.3 signs.
 *
 * Owner: the transport, in the worker; one thread.
 */
#ifndef BH_WORKER_TLS_KEY_H
#define BH_WORKER_TLS_KEY_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

#include "common/err.h"

/* Who signs: content as it is, by a SignatureScheme of RFC 8446 §4.2.3, into
 * dst, which has room for every signature that was promised
 * (EVP_PKEY_get_size).
 */
struct tls_signer {
  enum err (*sign) (void *ctx, uint16_t scheme, const uint8_t *content,
                    size_t content_bytes, uint8_t *dst, size_t dst_bytes,
                    size_t *ret_bytes);
  void *ctx;
};

/* The provider; lib has the default one, too. signer is borrowed as long as it
 * is loaded. Unload it (OSSL_PROVIDER_unload) behind its last key, before lib.
 */
enum err
tls_key_load (OSSL_LIB_CTX *lib, const struct tls_signer *signer,
              OSSL_PROVIDER **ret, struct fault *f);
/* The private key that belongs to a public one; EVP_PKEY_free. ERR_NOTSUP: of
 * no kind that is known here.
 */
enum err
tls_key_make (OSSL_LIB_CTX *lib, const EVP_PKEY *public, EVP_PKEY **ret,
              struct fault *f);

#endif
