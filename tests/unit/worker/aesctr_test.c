/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/aesctr.h"

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/unit.h"

#define BYTES 100000

/* NIST SP 800-38A, F.5.1. */
static const uint8_t key[16]
  = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
     0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
static const uint8_t iv[16]
  = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
     0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff};

static struct aesctr_providers providers;

static EVP_CIPHER_CTX *
start (const char *properties)
{
  EVP_CIPHER *cipher = EVP_CIPHER_fetch (NULL, "AES-128-CTR", properties);
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new ();

  CU_ASSERT_FATAL (cipher && ctx
                   && EVP_CipherInit_ex (ctx, cipher, NULL, key, iv, 1));
  EVP_CIPHER_free (cipher);
  return ctx;
}

static void
load (void)
{
  struct fault f;

  if (!providers.ours)
    CU_ASSERT_FATAL (aesctr_load (&providers, &f) == ERR_OK);
}

/* As libssh2 does it: no name of a provider anywhere. */
static void
is_what_libssh2_gets (void)
{
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new ();

  load ();
  CU_ASSERT_FATAL (EVP_CipherInit (ctx, EVP_aes_128_ctr (), key, iv, 1));
  CU_ASSERT_STRING_EQUAL (
    OSSL_PROVIDER_get0_name (
      EVP_CIPHER_get0_provider (EVP_CIPHER_CTX_get0_cipher (ctx))),
    "bulkhead");
  CU_ASSERT (EVP_CIPHER_CTX_get_block_size (ctx) == 1);
  CU_ASSERT (EVP_CIPHER_CTX_get_key_length (ctx) == 16);
  CU_ASSERT (EVP_CIPHER_CTX_get_iv_length (ctx) == 16);
  EVP_CIPHER_CTX_free (ctx);
}

static void
gives_the_known_answer (void)
{
  static const uint8_t plain[16]
    = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
       0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a};
  static const uint8_t answer[16]
    = {0x87, 0x4d, 0x61, 0x91, 0xb6, 0x20, 0xe3, 0x26,
       0x1b, 0xef, 0x68, 0x64, 0x99, 0x0d, 0xb6, 0xce};
  uint8_t out[16];
  EVP_CIPHER_CTX *ctx;

  load ();
  ctx = start ("provider=bulkhead");
  CU_ASSERT (EVP_Cipher (ctx, out, plain, 16) == 16);
  CU_ASSERT (memcmp (out, answer, 16) == 0);
  /* The same context again, with the same key and counter. */
  CU_ASSERT (EVP_CipherInit_ex (ctx, NULL, NULL, NULL, iv, 1));
  CU_ASSERT (EVP_Cipher (ctx, out, plain, 16) == 16);
  CU_ASSERT (memcmp (out, answer, 16) == 0);
  EVP_CIPHER_CTX_free (ctx);
}

/* Any cut of the same bytes is what the default provider makes of them. */
static void
is_the_same_in_any_pieces (void)
{
  static const size_t pieces[] = {1, 15, 16, 17, 31, 4095, 4096, 4097, 50000};
  static uint8_t plain[BYTES], expected[BYTES], out[BYTES];
  EVP_CIPHER_CTX *ctx;
  int n;

  load ();
  for (size_t i = 0; i < BYTES; i++)
    plain[i] = (uint8_t)(i * 7);
  ctx = start ("provider=default");
  CU_ASSERT (EVP_CipherUpdate (ctx, expected, &n, plain, BYTES) && n == BYTES);
  EVP_CIPHER_CTX_free (ctx);
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
    ctx = start ("provider=bulkhead");
    for (size_t at = 0; at < BYTES; at += pieces[i]) {
      size_t part = BYTES - at < pieces[i] ? BYTES - at : pieces[i];

      CU_ASSERT_FATAL (
        EVP_Cipher (ctx, out + at, plain + at, (unsigned)part) == (int)part);
    }
    CU_ASSERT (memcmp (out, expected, BYTES) == 0);
    EVP_CIPHER_CTX_free (ctx);
  }
}

static void
copies_go_on_alike (void)
{
  static const uint8_t zero[40];
  uint8_t a[40], b[40];
  EVP_CIPHER_CTX *ctx, *copy = EVP_CIPHER_CTX_new ();

  load ();
  ctx = start ("provider=bulkhead");
  CU_ASSERT (EVP_Cipher (ctx, a, zero, 33) == 33);
  CU_ASSERT_FATAL (EVP_CIPHER_CTX_copy (copy, ctx));
  CU_ASSERT (EVP_Cipher (ctx, a, zero, 40) == 40);
  CU_ASSERT (EVP_Cipher (copy, b, zero, 40) == 40);
  CU_ASSERT (memcmp (a, b, 40) == 0);
  EVP_CIPHER_CTX_free (ctx);
  EVP_CIPHER_CTX_free (copy);
}

static void
unloads (void)
{
  aesctr_unload (&providers);
  CU_ASSERT (providers.ours == NULL);
}

UNIT_MAIN ("aesctr", UNIT_TEST (is_what_libssh2_gets),
           UNIT_TEST (gives_the_known_answer),
           UNIT_TEST (is_the_same_in_any_pieces),
           UNIT_TEST (copies_go_on_alike), UNIT_TEST (unloads))
