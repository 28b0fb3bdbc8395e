/* SPDX-License-Identifier: BSD-2-Clause */
/* openssh-key-v1, as OpenSSH's PROTOCOL.key describes it:
 *
 *   "openssh-key-v1\0", string cipher, string kdf, string kdf options,
 *   u32 keys, string public key,
 *   string { u32 check, u32 check, string type, …, string comment, padding }
 */
#include "config.h"
#include "cache/keys.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>

#include "cache/keys_decrypt.h"
#include "common/wire.h"

#define MAGIC "openssh-key-v1"
#define NUMBER_BYTES (SSH_RSA_BITS_MAX / 8 + 1)

static enum err
damaged (struct fault *f)
{
  return fault_set (f, ERR_INVAL, "the private key is damaged");
}

static enum err
from_params (const char *type, OSSL_PARAM_BLD *bld, EVP_PKEY **ret)
{
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param (bld);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name (NULL, type, NULL);
  EVP_PKEY *pkey = NULL;
  bool ok = params && ctx && EVP_PKEY_fromdata_init (ctx) > 0
            && EVP_PKEY_fromdata (ctx, &pkey, EVP_PKEY_KEYPAIR, params) > 0;

  EVP_PKEY_CTX_free (ctx);
  OSSL_PARAM_free (params);
  if (!ok)
    return ERR_INVAL;
  *ret = pkey;
  return ERR_OK;
}

/* RFC 8032's 32-byte seed, followed by the public key once more. */
static enum err
parse_ed25519 (struct wire *w, EVP_PKEY **ret)
{
  size_t public_bytes, private_bytes;
  const uint8_t *public = wire_string (w, 32, &public_bytes);
  const uint8_t *private = wire_string (w, 64, &private_bytes);

  if (w->err || public_bytes != 32 || private_bytes != 64
      || memcmp (public, private + 32, 32) != 0)
    return ERR_INVAL;
  *ret = EVP_PKEY_new_raw_private_key (EVP_PKEY_ED25519, NULL, private, 32);
  return *ret ? ERR_OK : ERR_INVAL;
}

/* A positive mpint; NULL for anything else. */
static BIGNUM *
take_number (struct wire *w)
{
  size_t n;
  const uint8_t *p = wire_string (w, NUMBER_BYTES, &n);
  BIGNUM *bn = NULL;

  if (!p || !n || (p[0] & 0x80) || !(bn = BN_secure_new ()))
    return NULL;
  if (BN_bin2bn (p, (int)n, bn))
    return bn;
  BN_clear_free (bn);
  return NULL;
}

static enum err
parse_ecdsa (struct wire *w, const char *type, EVP_PKEY **ret)
{
  static const struct {
    const char *type, *curve, *group;
  } curves[] = {
      {"ecdsa-sha2-nistp256", "nistp256", "prime256v1"},
      {"ecdsa-sha2-nistp384", "nistp384", "secp384r1"},
      {"ecdsa-sha2-nistp521", "nistp521", "secp521r1"},
  };
  char curve[16];
  size_t point_bytes;
  const uint8_t *point;
  BIGNUM *d;
  OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new ();
  enum err e = ERR_INVAL;

  wire_cstring (w, curve, sizeof curve);
  point = wire_string (w, 256, &point_bytes);
  d = take_number (w);
  for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
    if (bld && d && strcmp (curves[i].type, type) == 0
        && strcmp (curves[i].curve, curve) == 0
        && OSSL_PARAM_BLD_push_utf8_string (bld, OSSL_PKEY_PARAM_GROUP_NAME,
                                            curves[i].group, 0)
        && OSSL_PARAM_BLD_push_octet_string (bld, OSSL_PKEY_PARAM_PUB_KEY,
                                             point, point_bytes)
        && OSSL_PARAM_BLD_push_BN (bld, OSSL_PKEY_PARAM_PRIV_KEY, d))
      e = from_params ("EC", bld, ret);
  OSSL_PARAM_BLD_free (bld);
  BN_clear_free (d);
  return e;
}

/* The file has no d mod (p-1) and d mod (q-1): RFC 8017 §3.2 wants them. */
static bool
crt_exponents (const BIGNUM *d, const BIGNUM *p, const BIGNUM *q, BIGNUM *dp,
               BIGNUM *dq)
{
  BN_CTX *ctx = BN_CTX_secure_new ();
  BIGNUM *less = BN_secure_new ();
  bool ok = ctx && less && dp && dq && BN_sub (less, p, BN_value_one ())
            && BN_mod (dp, d, less, ctx) && BN_sub (less, q, BN_value_one ())
            && BN_mod (dq, d, less, ctx);

  BN_clear_free (less);
  BN_CTX_free (ctx);
  return ok;
}

static enum err
parse_rsa (struct wire *w, EVP_PKEY **ret)
{
  enum { N, E, D, IQMP, P, Q, IN_FILE, DP = IN_FILE, DQ, NUMBERS };
  static const char *const names[NUMBERS] = {
      [N] = OSSL_PKEY_PARAM_RSA_N,
      [E] = OSSL_PKEY_PARAM_RSA_E,
      [D] = OSSL_PKEY_PARAM_RSA_D,
      [IQMP] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
      [P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
      [Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,
      [DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
      [DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2,
  };
  BIGNUM *bn[NUMBERS] = {NULL};
  OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new ();
  bool ok = bld != NULL;
  enum err e = ERR_INVAL;

  for (int i = 0; i < IN_FILE; i++)
    ok = (bn[i] = take_number (w)) && ok;
  bn[DP] = BN_secure_new ();
  bn[DQ] = BN_secure_new ();
  ok = ok && !BN_is_zero (bn[P]) && !BN_is_zero (bn[Q])
       && crt_exponents (bn[D], bn[P], bn[Q], bn[DP], bn[DQ]);
  for (int i = 0; i < NUMBERS; i++)
    ok = ok && OSSL_PARAM_BLD_push_BN (bld, names[i], bn[i]);
  if (ok)
    e = from_params ("RSA", bld, ret);
  OSSL_PARAM_BLD_free (bld);
  for (int i = 0; i < NUMBERS; i++)
    BN_clear_free (bn[i]);
  return e;
}

static enum err
parse_private (struct wire *w, EVP_PKEY **ret, struct fault *f)
{
  uint32_t check = wire_u32 (w);
  char type[64];
  size_t comment_bytes, padding_bytes;
  const uint8_t *padding;
  EVP_PKEY *pkey = NULL;
  enum err e;

  if (wire_u32 (w) != check)
    return damaged (f);
  wire_cstring (w, type, sizeof type);
  if (w->err)
    return damaged (f);
  if (strcmp (type, "ssh-ed25519") == 0)
    e = parse_ed25519 (w, &pkey);
  else if (strncmp (type, "ecdsa-sha2-", 11) == 0)
    e = parse_ecdsa (w, type, &pkey);
  else if (strcmp (type, "ssh-rsa") == 0)
    e = parse_rsa (w, &pkey);
  else {
    fault_set (f, ERR_NOTSUP, "keys of type %s are not supported",
               type[0] ? type : "?");
    fault_hint (f, "use Ed25519, ECDSA (NIST curves) or RSA");
    return ERR_NOTSUP;
  }
  wire_string (w, SSH_KEY_FILE_BYTES, &comment_bytes);
  padding_bytes = wire_left (w);
  padding = wire_bytes (w, padding_bytes);
  for (size_t i = 0; padding && i < padding_bytes; i++)
    if (padding[i] != (uint8_t)(i + 1))
      w->err = ERR_PEER;
  if (e || w->err) {
    EVP_PKEY_free (pkey);
    return damaged (f);
  }
  *ret = pkey;
  return ERR_OK;
}

static enum err
parse_encrypted (const struct key_encryption *k, const char *passphrase,
                 const uint8_t *private, size_t private_bytes, EVP_PKEY **ret,
                 struct fault *f)
{
  uint8_t *plain;
  struct wire w;
  enum err e;

  if (!passphrase)
    return ssh_key_locked (f);
  plain = malloc (private_bytes + 1);
  if (!plain)
    return fault_set (f, ERR_NOMEM, "out of memory");
  e = keys_decrypt (k, passphrase, private, private_bytes, plain, f);
  if (!e) {
    w = wire_init (plain, private_bytes);
    /* Most ciphers cannot tell a wrong key: the two numbers are for that. */
    if (wire_u32 (&w) != wire_u32 (&w))
      e = fault_set (f, ERR_AUTH, "wrong passphrase");
  }
  if (!e) {
    w = wire_init (plain, private_bytes);
    e = parse_private (&w, ret, f);
  }
  OPENSSL_cleanse (plain, private_bytes);
  free (plain);
  return e;
}

struct file {
  char cipher[64], kdf[64];
  struct key_encryption encryption;
  const uint8_t *public, *private;
  size_t public_bytes, private_bytes;
};

static enum err
parse_file (const uint8_t *bytes, size_t length_bytes, struct file *ret)
{
  struct wire w = wire_init (bytes, length_bytes);
  const uint8_t *magic = wire_bytes (&w, sizeof MAGIC);
  struct key_encryption *k = &ret->encryption;
  uint32_t keys;

  if (!magic || memcmp (magic, MAGIC, sizeof MAGIC) != 0)
    return ERR_INVAL;
  wire_cstring (&w, ret->cipher, sizeof ret->cipher);
  wire_cstring (&w, ret->kdf, sizeof ret->kdf);
  k->cipher = ret->cipher;
  k->kdf = ret->kdf;
  k->kdf_options = wire_string (&w, 1100, &k->kdf_options_bytes);
  keys = wire_u32 (&w);
  ret->public = wire_string (&w, SSH_KEY_BLOB_BYTES, &ret->public_bytes);
  ret->private = wire_string (&w, SSH_KEY_FILE_BYTES, &ret->private_bytes);
  k->tag_bytes = wire_left (&w);
  k->tag = wire_bytes (&w, k->tag_bytes);
  return w.err || keys != 1 ? ERR_INVAL : ERR_OK;
}

enum err
ssh_key_parse_openssh (const uint8_t *bytes, size_t length_bytes,
                       const char *passphrase, EVP_PKEY **ret, struct fault *f)
{
  struct file file;
  struct wire w;

  if (parse_file (bytes, length_bytes, &file))
    return damaged (f);
  if (strcmp (file.cipher, "none") != 0 || strcmp (file.kdf, "none") != 0)
    return parse_encrypted (&file.encryption, passphrase, file.private,
                            file.private_bytes, ret, f);
  if (file.encryption.tag_bytes)
    return damaged (f);
  w = wire_init (file.private, file.private_bytes);
  return parse_private (&w, ret, f);
}

enum err
ssh_key_parse_public (const uint8_t *bytes, size_t length_bytes, uint8_t **ret,
                      size_t *ret_bytes)
{
  struct file file;
  uint8_t *copy;

  if (parse_file (bytes, length_bytes, &file) || file.public_bytes == 0)
    return ERR_INVAL;
  copy = malloc (file.public_bytes);
  if (!copy)
    return ERR_NOMEM;
  memcpy (copy, file.public, file.public_bytes);
  *ret = copy;
  *ret_bytes = file.public_bytes;
  return ERR_OK;
}
