/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/private_key.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>

/* What a DSA or DH key says of itself is computed with as it is decoded,
 * whatever the size.
 */
static bool
is_taken (int algorithm)
{
  return algorithm == NID_rsaEncryption || algorithm == NID_X9_62_id_ecPublicKey
         || algorithm == NID_ED25519;
}

static bool
pkcs8_is_taken (const unsigned char *der, long der_bytes)
{
  PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO (NULL, &der, der_bytes);
  const ASN1_OBJECT *algorithm = NULL;
  bool taken = info && PKCS8_pkey_get0 (&algorithm, NULL, NULL, NULL, info)
               && is_taken (OBJ_obj2nid (algorithm));

  PKCS8_PRIV_KEY_INFO_free (info);
  return taken;
}

enum block { BLOCK_OTHER, BLOCK_TAKEN, BLOCK_REFUSED };

static enum block
judge (const char *name, const unsigned char *der, long der_bytes)
{
  static const char any[] = "PRIVATE KEY";
  size_t n = strlen (name);

  if (n < sizeof any - 1 || strcmp (name + n - (sizeof any - 1), any) != 0)
    return BLOCK_OTHER; /* parameters, a certificate */
  if (strcmp (name, any) == 0)
    return pkcs8_is_taken (der, der_bytes) ? BLOCK_TAKEN : BLOCK_REFUSED;
  return strcmp (name, "ENCRYPTED PRIVATE KEY") == 0
                 || strcmp (name, "RSA PRIVATE KEY") == 0
                 || strcmp (name, "EC PRIVATE KEY") == 0
             ? BLOCK_TAKEN
             : BLOCK_REFUSED;
}

/* Leaves of the text the first block with the name of a private key, if it is
 * one that we take, and all before it is whole. No other one, as OpenSSL goes
 * on to the next if it cannot decode this. Besides: it sets up each decoder
 * that it has, for half a millisecond, before it looks at the first byte.
 */
static bool
find_block (const char **text, size_t *length_bytes)
{
  BIO *bio = BIO_new_mem_buf (*text, (int)*length_bytes);
  enum block b = BLOCK_OTHER;
  size_t from = 0, to = 0;
  char *name, *header;
  unsigned char *data;
  long data_bytes;

  while (b == BLOCK_OTHER && bio
         && PEM_read_bio (bio, &name, &header, &data, &data_bytes)) {
    b = judge (name, data, data_bytes);
    from = to;
    to = *length_bytes - BIO_ctrl_pending (bio);
    OPENSSL_free (name);
    OPENSSL_free (header);
    OPENSSL_clear_free (data, (size_t)data_bytes);
  }
  BIO_free (bio);
  ERR_clear_error ();
  *text += from;
  *length_bytes = to - from;
  return b == BLOCK_TAKEN;
}

EVP_PKEY *
private_key_read (const char *text, size_t length_bytes,
                  pem_password_cb *passphrase, void *ctx)
{
  EVP_PKEY *key = NULL;
  BIO *bio;

  if (!find_block (&text, &length_bytes))
    return NULL;
  bio = BIO_new_mem_buf (text, (int)length_bytes);
  if (bio)
    key = PEM_read_bio_PrivateKey (bio, NULL, passphrase, ctx);
  BIO_free (bio);
  if (key && !private_key_is_sound (key)) {
    EVP_PKEY_free (key);
    key = NULL;
  }
  ERR_clear_error ();
  return key;
}

/* A number that is not there is not too large. */
static bool
within (const EVP_PKEY *key, const char *name, int bits)
{
  BIGNUM *n = NULL;
  bool ok = !EVP_PKEY_get_bn_param (key, name, &n) || BN_num_bits (n) <= bits;

  BN_clear_free (n);
  return ok;
}

/* SEC 1 §3.2.1: 1 … n-1. OpenSSL reads others, and cannot write them. */
static bool
ec_is_in_range (EVP_PKEY *key)
{
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey (NULL, key, NULL);
  bool ok = ctx && EVP_PKEY_private_check (ctx) == 1;

  EVP_PKEY_CTX_free (ctx);
  ERR_clear_error ();
  return ok;
}

bool
private_key_is_sound (EVP_PKEY *key)
{
  int bits = EVP_PKEY_get_bits (key), half = bits / 2 + 1;
  bool sound;

  if (EVP_PKEY_get_base_id (key) == EVP_PKEY_EC)
    return ec_is_in_range (key);
  if (EVP_PKEY_get_base_id (key) != EVP_PKEY_RSA)
    return true;
  sound = bits <= PRIVATE_KEY_RSA_BITS_MAX
          && within (key, OSSL_PKEY_PARAM_RSA_E, 64)
          && within (key, OSSL_PKEY_PARAM_RSA_D, bits)
          && within (key, OSSL_PKEY_PARAM_RSA_FACTOR1, half)
          && within (key, OSSL_PKEY_PARAM_RSA_FACTOR2, half)
          && within (key, OSSL_PKEY_PARAM_RSA_FACTOR3, 0)
          && within (key, OSSL_PKEY_PARAM_RSA_EXPONENT1, half)
          && within (key, OSSL_PKEY_PARAM_RSA_EXPONENT2, half)
          && within (key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, half);
  ERR_clear_error ();
  return sound;
}
