/* SPDX-License-Identifier: BSD-2-Clause */
/* Invariant: stream[used …] are the next bytes of the key stream, and `base`
 * stands right behind them.
 */
#include "config.h"
#include "worker/aesctr.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 16u
#define IV_BYTES 16u
#define STREAM_BYTES 4096u

struct aesctr_provider {
  OSSL_LIB_CTX *lib; /* of its own: there it finds the default cipher */
  EVP_CIPHER *cipher;
};

struct aesctr {
  const struct aesctr_provider *provider;
  EVP_CIPHER_CTX *base;
  size_t used;
  uint8_t stream[STREAM_BYTES];
};

static void
aesctr_free (void *ctx)
{
  struct aesctr *a = ctx;

  if (!a)
    return;
  EVP_CIPHER_CTX_free (a->base);
  OPENSSL_cleanse (a, sizeof *a);
  free (a);
}

static void *
aesctr_new (void *provider)
{
  struct aesctr *a = calloc (1, sizeof *a);

  if (!a)
    return NULL;
  a->provider = provider;
  a->used = STREAM_BYTES;
  a->base = EVP_CIPHER_CTX_new ();
  if (!a->base) {
    aesctr_free (a);
    return NULL;
  }
  return a;
}

static void *
aesctr_dup (void *ctx)
{
  const struct aesctr *from = ctx;
  struct aesctr *a = aesctr_new ((void *)(uintptr_t)from->provider);

  if (!a)
    return NULL;
  if (!EVP_CIPHER_CTX_copy (a->base, from->base)) {
    aesctr_free (a);
    return NULL;
  }
  a->used = from->used;
  memcpy (a->stream, from->stream, sizeof a->stream);
  return a;
}

/* Both directions are the same. A missing key or iv keeps what was there. */
static int
aesctr_init (void *ctx, const unsigned char *key, size_t key_bytes,
             const unsigned char *iv, size_t iv_bytes,
             const OSSL_PARAM params[])
{
  struct aesctr *a = ctx;
  /* Naming the cipher again would drop the key. */
  const EVP_CIPHER *cipher
    = EVP_CIPHER_CTX_get0_cipher (a->base) ? NULL : a->provider->cipher;

  (void)params;
  if ((key && key_bytes != KEY_BYTES) || (iv && iv_bytes != IV_BYTES))
    return 0;
  a->used = STREAM_BYTES;
  return EVP_EncryptInit_ex2 (a->base, cipher, key, iv, NULL);
}

static bool
refill (struct aesctr *a)
{
  int n = 0;

  memset (a->stream, 0, sizeof a->stream);
  a->used = 0;
  return EVP_EncryptUpdate (a->base, a->stream, &n, a->stream, STREAM_BYTES)
         && n == (int)STREAM_BYTES;
}

static void
xor16 (uint8_t *dst, const uint8_t *a, const uint8_t *b)
{
  uint64_t x[2], y[2];

  memcpy (x, a, sizeof x);
  memcpy (y, b, sizeof y);
  x[0] ^= y[0];
  x[1] ^= y[1];
  memcpy (dst, x, sizeof x);
}

static int
aesctr_cipher (void *ctx, unsigned char *out, size_t *ret_bytes,
               size_t out_bytes, const unsigned char *in, size_t in_bytes)
{
  struct aesctr *a = ctx;

  if (out_bytes < in_bytes)
    return 0;
  *ret_bytes = in_bytes;
  while (in_bytes) {
    size_t n;

    if (a->used == STREAM_BYTES && !refill (a))
      return 0;
    n = in_bytes >= 16 && STREAM_BYTES - a->used >= 16 ? 16 : 1;
    if (n == 16)
      xor16 (out, in, a->stream + a->used);
    else
      *out = (unsigned char)(*in ^ a->stream[a->used]);
    a->used += n;
    in += n;
    out += n;
    in_bytes -= n;
  }
  return 1;
}

static int
aesctr_final (void *ctx, unsigned char *out, size_t *ret_bytes,
              size_t out_bytes)
{
  (void)ctx;
  (void)out;
  (void)out_bytes;
  *ret_bytes = 0;
  return 1;
}

static int
set_size (OSSL_PARAM params[], const char *key, size_t value)
{
  OSSL_PARAM *p = OSSL_PARAM_locate (params, key);

  return !p || OSSL_PARAM_set_size_t (p, value);
}

static int
aesctr_get_params (OSSL_PARAM params[])
{
  OSSL_PARAM *mode = OSSL_PARAM_locate (params, OSSL_CIPHER_PARAM_MODE);

  return (!mode || OSSL_PARAM_set_uint (mode, EVP_CIPH_CTR_MODE))
         && set_size (params, OSSL_CIPHER_PARAM_KEYLEN, KEY_BYTES)
         && set_size (params, OSSL_CIPHER_PARAM_IVLEN, IV_BYTES)
         && set_size (params, OSSL_CIPHER_PARAM_BLOCK_SIZE, 1);
}

static int
aesctr_get_ctx_params (void *ctx, OSSL_PARAM params[])
{
  (void)ctx;
  return set_size (params, OSSL_CIPHER_PARAM_KEYLEN, KEY_BYTES)
         && set_size (params, OSSL_CIPHER_PARAM_IVLEN, IV_BYTES);
}

#define FUNCTION(id, fn)                                                      \
  {                                                                           \
    id, (void (*) (void))fn                                                   \
  }

static const OSSL_DISPATCH aesctr_functions[] = {
  FUNCTION (OSSL_FUNC_CIPHER_NEWCTX, aesctr_new),
  FUNCTION (OSSL_FUNC_CIPHER_FREECTX, aesctr_free),
  FUNCTION (OSSL_FUNC_CIPHER_DUPCTX, aesctr_dup),
  FUNCTION (OSSL_FUNC_CIPHER_ENCRYPT_INIT, aesctr_init),
  FUNCTION (OSSL_FUNC_CIPHER_DECRYPT_INIT, aesctr_init),
  FUNCTION (OSSL_FUNC_CIPHER_UPDATE, aesctr_cipher),
  FUNCTION (OSSL_FUNC_CIPHER_FINAL, aesctr_final),
  FUNCTION (OSSL_FUNC_CIPHER_CIPHER, aesctr_cipher),
  FUNCTION (OSSL_FUNC_CIPHER_GET_PARAMS, aesctr_get_params),
  FUNCTION (OSSL_FUNC_CIPHER_GET_CTX_PARAMS, aesctr_get_ctx_params),
  {0, NULL},
};

static const OSSL_ALGORITHM aesctr_algorithms[] = {
  {"AES-128-CTR", "provider=bulkhead", aesctr_functions, NULL},
  {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *
provider_query (void *provider, int operation, int *ret_no_cache)
{
  (void)provider;
  *ret_no_cache = 0;
  return operation == OSSL_OP_CIPHER ? aesctr_algorithms : NULL;
}

static void
provider_teardown (void *provider)
{
  struct aesctr_provider *p = provider;

  EVP_CIPHER_free (p->cipher);
  OSSL_LIB_CTX_free (p->lib);
  free (p);
}

static const OSSL_DISPATCH provider_functions[] = {
  FUNCTION (OSSL_FUNC_PROVIDER_TEARDOWN, provider_teardown),
  FUNCTION (OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
  {0, NULL},
};

static int
provider_init (const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
               const OSSL_DISPATCH **ret_functions, void **ret_provider)
{
  struct aesctr_provider *p = calloc (1, sizeof *p);

  (void)handle;
  (void)core;
  if (!p)
    return 0;
  p->lib = OSSL_LIB_CTX_new ();
  p->cipher = p->lib ? EVP_CIPHER_fetch (p->lib, "AES-128-CTR", NULL) : NULL;
  if (!p->cipher) {
    provider_teardown (p);
    return 0;
  }
  *ret_functions = provider_functions;
  *ret_provider = p;
  return 1;
}

void
aesctr_unload (struct aesctr_providers *p)
{
  if (p->ours)
    OSSL_PROVIDER_unload (p->ours);
  if (p->standard)
    OSSL_PROVIDER_unload (p->standard);
  *p = (struct aesctr_providers){0};
}

enum err
aesctr_load (struct aesctr_providers *ret, struct fault *f)
{
  struct aesctr_providers p = {0};

  if (EVP_default_properties_is_fips_enabled (NULL))
    return ERR_OK;
  /* A provider that is loaded by name ends the implicit default one. */
  p.standard = OSSL_PROVIDER_load (NULL, "default");
  if (!p.standard
      || !OSSL_PROVIDER_add_builtin (NULL, "bulkhead", provider_init)
      || !(p.ours = OSSL_PROVIDER_load (NULL, "bulkhead"))
      || !EVP_set_default_properties (NULL, "?provider=bulkhead")) {
    aesctr_unload (&p);
    return fault_set (f, ERR_NOTSUP, "OpenSSL does not take a provider");
  }
  *ret = p;
  return ERR_OK;
}
