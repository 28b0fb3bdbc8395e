/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/warmup.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/aesctr.h"

#define KEEP_BYTES (64 << 20)

static bool
warm_ciphers (void)
{
  static const char *const names[] = {"AES-128-CTR", "AES-192-CTR",
                                      "AES-256-CTR"};
  static const uint8_t key[32], iv[16];
  uint8_t block[16] = {0};
  bool ok = true;

  for (size_t i = 0; ok && i < sizeof names / sizeof names[0]; i++) {
    EVP_CIPHER *cipher = EVP_CIPHER_fetch (NULL, names[i], NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new ();

    ok = cipher && ctx && EVP_CipherInit_ex (ctx, cipher, NULL, key, iv, 1)
         && EVP_Cipher (ctx, block, block, sizeof block) > 0;
    EVP_CIPHER_CTX_free (ctx);
    EVP_CIPHER_free (cipher);
  }
  return ok;
}

static bool
warm_digests (void)
{
  static const char *const names[] = {"SHA1", "SHA256", "SHA384", "SHA512"};
  uint8_t out[EVP_MAX_MD_SIZE];
  bool ok = true;

  for (size_t i = 0; ok && i < sizeof names / sizeof names[0]; i++)
    ok = EVP_Q_digest (NULL, names[i], NULL, "", 0, out, NULL)
         && EVP_Q_mac (NULL, "HMAC", NULL, names[i], NULL, out, 16, out, 16,
                       out, sizeof out, NULL);
  return ok;
}

static bool
warm_key_exchange (void)
{
  static const char *const curves[] = {"P-256", "P-384", "P-521"};
  uint8_t random[16];
  EVP_PKEY *key = EVP_PKEY_Q_keygen (NULL, NULL, "X25519");
  bool ok = key && RAND_bytes (random, sizeof random) > 0
            && RAND_priv_bytes (random, sizeof random) > 0;

  EVP_PKEY_free (key);
  for (size_t i = 0; ok && i < sizeof curves / sizeof curves[0]; i++) {
    key = EVP_PKEY_Q_keygen (NULL, NULL, "EC", curves[i]);
    ok = key != NULL;
    EVP_PKEY_free (key);
  }
  return ok;
}

enum err
warmup (enum proto_transport kind, struct fault *f)
{
  struct aesctr_providers kept;
  enum err e;

  mallopt (M_ARENA_MAX, 1);
  mallopt (M_MMAP_THRESHOLD, KEEP_BYTES);
  mallopt (M_TRIM_THRESHOLD, KEEP_BYTES);
  mallopt (M_TOP_PAD, 1 << 20);
  if (kind != PROTO_OVER_SSH_SUBSYSTEM)
    return ERR_OK; /* TLS loads what it needs in its open */
  if (!OPENSSL_init_crypto (OPENSSL_INIT_LOAD_CRYPTO_STRINGS
                              | OPENSSL_INIT_ADD_ALL_CIPHERS
                              | OPENSSL_INIT_ADD_ALL_DIGESTS
                              | OPENSSL_INIT_LOAD_CONFIG
                              | OPENSSL_INIT_NO_ATEXIT,
                            NULL))
    return fault_set (f, ERR_NOTSUP, "OpenSSL does not start");
  if ((e = aesctr_load (&kept, f)))
    return e;
  if (!warm_ciphers () || !warm_digests () || !warm_key_exchange ())
    return fault_set (f, ERR_NOTSUP, "OpenSSL lacks an algorithm that SSH "
                                     "needs");
  return ERR_OK;
}
