/* SPDX-License-Identifier: BSD-2-Clause */
/* Two halves, as OpenSSL cuts it: keys (each has the public key inside, of the
 * default provider, and answers every question about itself by that) and
 * signatures.
 *
 * OpenSSL would rather sign with its own provider, and asks for the key's
 * numbers to do so. There is no way to export them, so it comes to us.
 */
#include "config.h"
#include "worker/tls_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct provider {
  OSSL_LIB_CTX *lib;
  const struct tls_signer *signer;
};

/* What a kind is called; and what TLS calls its signatures, by digest. */
struct kind {
  const char *name;
  struct {
    const char *digest; /* NULL: it takes none */
    uint16_t scheme;
  } by[3];
};

static const struct kind rsa = {
    "RSA", {{"SHA256", 0x0804}, {"SHA384", 0x0805}, {"SHA512", 0x0806}}};
static const struct kind ec = {
    "EC", {{"SHA256", 0x0403}, {"SHA384", 0x0503}, {"SHA512", 0x0603}}};
static const struct kind ed25519 = {"ED25519", {{NULL, 0x0807}}};

struct key {
  const struct provider *provider;
  const struct kind *kind;
  EVP_PKEY *public; /* NULL: still empty */
};

struct signature {
  const struct key *key;
  uint16_t scheme;
};

#define FUNCTION(id, fn)                                                       \
  {                                                                            \
    id, (void (*) (void))fn                                                    \
  }

/* ---------------------------------------------------------------- keys --- */

static void *
key_new (void *provider, const struct kind *kind)
{
  struct key *k = calloc (1, sizeof *k);

  if (k) {
    k->provider = provider;
    k->kind = kind;
  }
  return k;
}

static void *
key_new_rsa (void *provider)
{
  return key_new (provider, &rsa);
}

static void *
key_new_ec (void *provider)
{
  return key_new (provider, &ec);
}

static void *
key_new_ed25519 (void *provider)
{
  return key_new (provider, &ed25519);
}

static void
key_free (void *key)
{
  struct key *k = key;

  if (!k)
    return;
  EVP_PKEY_free (k->public);
  free (k);
}

/* The private part, too: who has the signer has it. */
static int
key_has (const void *key, int selection)
{
  const struct key *k = key;

  (void)selection;
  return k->public != NULL;
}

static int
key_match (const void *a, const void *b, int selection)
{
  const struct key *x = a, *y = b;

  (void)selection;
  return x->public && y->public && EVP_PKEY_eq (x->public, y->public) == 1;
}

static int
key_import (void *key, int selection, const OSSL_PARAM params[])
{
  struct key *k = key;
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name (
      k->provider->lib, k->kind->name, "provider=default");
  int ok;

  (void)selection;
  ok = !k->public && ctx && EVP_PKEY_fromdata_init (ctx) == 1
       && EVP_PKEY_fromdata (ctx, &k->public, EVP_PKEY_PUBLIC_KEY,
                             (OSSL_PARAM *)(uintptr_t)params)
              == 1;
  EVP_PKEY_CTX_free (ctx);
  return ok;
}

/* Names to look at before an import; which of them come, the default provider
 * knows.
 */
static const OSSL_PARAM *
key_import_types (int selection)
{
  static const OSSL_PARAM types[] = {
      OSSL_PARAM_utf8_string (OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
      OSSL_PARAM_octet_string (OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
      OSSL_PARAM_BN (OSSL_PKEY_PARAM_RSA_N, NULL, 0),
      OSSL_PARAM_BN (OSSL_PKEY_PARAM_RSA_E, NULL, 0),
      OSSL_PARAM_END,
  };

  (void)selection;
  return types;
}

static int
key_get_params (void *key, OSSL_PARAM params[])
{
  const struct key *k = key;

  return k->public && EVP_PKEY_get_params (k->public, params);
}

static const OSSL_PARAM *
key_gettable (void *provider)
{
  static const OSSL_PARAM gettable[] = {
      OSSL_PARAM_int (OSSL_PKEY_PARAM_BITS, NULL),
      OSSL_PARAM_int (OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
      OSSL_PARAM_int (OSSL_PKEY_PARAM_MAX_SIZE, NULL),
      OSSL_PARAM_utf8_string (OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
      OSSL_PARAM_utf8_string (OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
      OSSL_PARAM_utf8_string (OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
      OSSL_PARAM_END,
  };

  (void)provider;
  return gettable;
}

static const char *
ec_operation (int operation)
{
  return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define KEY_FUNCTIONS(new)                                                     \
  FUNCTION (OSSL_FUNC_KEYMGMT_NEW, new),                                       \
      FUNCTION (OSSL_FUNC_KEYMGMT_FREE, key_free),                             \
      FUNCTION (OSSL_FUNC_KEYMGMT_HAS, key_has),                               \
      FUNCTION (OSSL_FUNC_KEYMGMT_MATCH, key_match),                           \
      FUNCTION (OSSL_FUNC_KEYMGMT_IMPORT, key_import),                         \
      FUNCTION (OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),             \
      FUNCTION (OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                 \
      FUNCTION (OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable)

static const OSSL_DISPATCH rsa_keys[] = {KEY_FUNCTIONS (key_new_rsa), {0}};
static const OSSL_DISPATCH ec_keys[] = {
    KEY_FUNCTIONS (key_new_ec),
    FUNCTION (OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation),
    {0}};
static const OSSL_DISPATCH ed25519_keys[] = {KEY_FUNCTIONS (key_new_ed25519),
                                             {0}};

/* ---------------------------------------------------------- signatures --- */

static void *
signature_new (void *provider, const char *properties)
{
  (void)provider;
  (void)properties;
  return calloc (1, sizeof (struct signature));
}

static void
signature_free (void *signature)
{
  free (signature);
}

static bool
same_digest (const char *a, const char *b)
{
  /* "SHA2-256" is OpenSSL's first name for it. */
  if (a && strncasecmp (a, "SHA2-", 5) == 0)
    return b && strlen (b) > 3 && strcmp (a + 5, b + 3) == 0;
  return a && *a ? b && strcasecmp (a, b) == 0 : !b;
}

static int
signature_set_params (void *signature, const OSSL_PARAM params[]);

static int
signature_init (void *signature, const char *digest, void *key,
                const OSSL_PARAM params[])
{
  struct signature *s = signature;
  const struct key *k = key;

  if (!k)
    return 0;
  s->key = k;
  s->scheme = 0;
  for (unsigned i = 0; i < 3 && k->kind->by[i].scheme; i++)
    if (same_digest (digest, k->kind->by[i].digest))
      s->scheme = k->kind->by[i].scheme;
  return s->scheme && signature_set_params (s, params);
}

static int
signature_sign (void *signature, unsigned char *dst, size_t *ret_bytes,
                size_t dst_bytes, const unsigned char *content,
                size_t content_bytes)
{
  const struct signature *s = signature;
  const struct tls_signer *signer = s->key->provider->signer;

  if (!dst) {
    *ret_bytes = (size_t)EVP_PKEY_get_size (s->key->public);
    return 1;
  }
  return signer->sign (signer->ctx, s->scheme, content, content_bytes, dst,
                       dst_bytes, ret_bytes)
         == ERR_OK;
}

/* TLS 1.3 has RSA with PSS only; anything else would be signed wrongly. */
static bool
is_pss (const OSSL_PARAM *p)
{
  const char *text = NULL;
  int number;

  if (p->data_type == OSSL_PARAM_UTF8_STRING)
    return OSSL_PARAM_get_utf8_string_ptr (p, &text)
           && strcmp (text, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
  return OSSL_PARAM_get_int (p, &number) && number == RSA_PKCS1_PSS_PADDING;
}

static bool
is_as_long_as_digest (const OSSL_PARAM *p)
{
  const char *text = NULL;
  int number;

  if (p->data_type == OSSL_PARAM_UTF8_STRING)
    return OSSL_PARAM_get_utf8_string_ptr (p, &text)
           && strcmp (text, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
  return OSSL_PARAM_get_int (p, &number) && number == RSA_PSS_SALTLEN_DIGEST;
}

static int
signature_set_params (void *signature, const OSSL_PARAM params[])
{
  const OSSL_PARAM *p;

  (void)signature;
  if (!params)
    return 1;
  p = OSSL_PARAM_locate_const (params, OSSL_SIGNATURE_PARAM_PAD_MODE);
  if (p && !is_pss (p))
    return 0;
  p = OSSL_PARAM_locate_const (params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
  return !p || is_as_long_as_digest (p);
}

static const OSSL_PARAM *
signature_settable (void *signature, void *provider)
{
  static const OSSL_PARAM settable[] = {
      OSSL_PARAM_utf8_string (OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
      OSSL_PARAM_utf8_string (OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
      OSSL_PARAM_END,
  };

  (void)signature;
  (void)provider;
  return settable;
}

static const OSSL_DISPATCH signatures[] = {
    FUNCTION (OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
    FUNCTION (OSSL_FUNC_SIGNATURE_FREECTX, signature_free),
    FUNCTION (OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signature_init),
    FUNCTION (OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signature_sign),
    FUNCTION (OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signature_set_params),
    FUNCTION (OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signature_settable),
    {0},
};

/* ------------------------------------------------------------ provider --- */

#define OURS "provider=bulkhead"

static const OSSL_ALGORITHM *
provider_query (void *provider, int operation, int *ret_no_cache)
{
  /* With the default provider's names: keys of both are compared by them. */
  static const OSSL_ALGORITHM keys[] = {
      {"RSA:rsaEncryption:1.2.840.113549.1.1.1", OURS, rsa_keys, NULL},
      {"EC:id-ecPublicKey:1.2.840.10045.2.1", OURS, ec_keys, NULL},
      {"ED25519:1.3.101.112", OURS, ed25519_keys, NULL},
      {0},
  };
  static const OSSL_ALGORITHM signs[] = {
      {"RSA:rsaEncryption:1.2.840.113549.1.1.1", OURS, signatures, NULL},
      {"ECDSA", OURS, signatures, NULL},
      {"ED25519:1.3.101.112", OURS, signatures, NULL},
      {0},
  };

  (void)provider;
  *ret_no_cache = 0;
  return operation == OSSL_OP_KEYMGMT     ? keys
         : operation == OSSL_OP_SIGNATURE ? signs
                                          : NULL;
}

static void
provider_teardown (void *provider)
{
  free (provider);
}

static int
provider_init (const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
               const OSSL_DISPATCH **ret_functions, void **ret_provider)
{
  static const OSSL_DISPATCH functions[] = {
      FUNCTION (OSSL_FUNC_PROVIDER_TEARDOWN, provider_teardown),
      FUNCTION (OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
      {0},
  };

  (void)handle;
  (void)core;
  *ret_provider = calloc (1, sizeof (struct provider));
  *ret_functions = functions;
  return *ret_provider != NULL;
}

enum err
tls_key_load (OSSL_LIB_CTX *lib, const struct tls_signer *signer,
              OSSL_PROVIDER **ret, struct fault *f)
{
  struct provider *p;

  if (!OSSL_PROVIDER_add_builtin (lib, "bulkhead", provider_init)
      || !(*ret = OSSL_PROVIDER_load (lib, "bulkhead")))
    return fault_set (f, ERR_NOTSUP, "OpenSSL does not take a provider");
  p = OSSL_PROVIDER_get0_provider_ctx (*ret);
  *p = (struct provider){lib, signer};
  return ERR_OK;
}

enum err
tls_key_make (OSSL_LIB_CTX *lib, const EVP_PKEY *public, EVP_PKEY **ret,
              struct fault *f)
{
  static const struct kind *const kinds[] = {&rsa, &ec, &ed25519};
  EVP_PKEY_CTX *ctx = NULL;
  OSSL_PARAM *params = NULL;
  EVP_PKEY *key = NULL;

  for (unsigned i = 0; i < 3 && !ctx; i++)
    if (EVP_PKEY_is_a (public, kinds[i]->name))
      ctx = EVP_PKEY_CTX_new_from_name (lib, kinds[i]->name, OURS);
  if (ctx && EVP_PKEY_todata (public, EVP_PKEY_PUBLIC_KEY, &params) == 1
      && EVP_PKEY_fromdata_init (ctx) == 1)
    (void)EVP_PKEY_fromdata (ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
  OSSL_PARAM_free (params);
  EVP_PKEY_CTX_free (ctx);
  ERR_clear_error ();
  if (!key)
    return fault_set (f, ERR_NOTSUP,
                      "the key of our certificate is of no kind that is "
                      "supported: RSA, ECDSA or Ed25519");
  *ret = key;
  return ERR_OK;
}
