/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/keys.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "cache/known_hosts.h"
#include "cache/private_key.h"
#include "common/cleanup.h"
#include "common/wire.h"

#define EC_POINT_BYTES 133 /* uncompressed, P-521 */

struct ssh_key {
  EVP_PKEY *pkey;
  const char *algorithm;
  uint8_t blob[SSH_KEY_BLOB_BYTES];
  size_t blob_bytes;
  char fingerprint[HOSTKEY_FINGERPRINT_BYTES];
};

/* RFC 5656 §6.1, §6.2.1 */
static const struct {
  const char *group; /* OpenSSL's name */
  const char *curve;
  const char *algorithm;
  const char *digest;
} curves[] = {
    {"prime256v1", "nistp256", "ecdsa-sha2-nistp256", "SHA256"},
    {"secp384r1", "nistp384", "ecdsa-sha2-nistp384", "SHA384"},
    {"secp521r1", "nistp521", "ecdsa-sha2-nistp521", "SHA512"},
};

#define CURVES (sizeof curves / sizeof curves[0])

static void
cleanup_bn (BIGNUM **bn)
{
  BN_clear_free (*bn);
}

static void
cleanup_bio (BIO **bio)
{
  BIO_free (*bio);
}

static void
cleanup_key (struct ssh_key **k)
{
  ssh_key_free (*k);
}

#define CLEANUP_BN __attribute__ ((cleanup (cleanup_bn)))
#define CLEANUP_BIO __attribute__ ((cleanup (cleanup_bio)))
#define CLEANUP_KEY __attribute__ ((cleanup (cleanup_key)))

/* RFC 4251 §5: a positive mpint whose highest bit is set gets a zero byte. */
static void
put_mpint (struct wirebuf *b, const BIGNUM *bn)
{
  size_t n = (size_t)BN_num_bytes (bn);
  bool pad = BN_num_bits (bn) % 8 == 0 && n > 0;
  uint8_t *p;

  wirebuf_u32 (b, (uint32_t)(n + pad));
  if (pad)
    wirebuf_u8 (b, 0);
  p = wirebuf_room (b, n);
  if (p)
    BN_bn2bin (bn, p);
}

static enum err
blob_ed25519 (struct ssh_key *k, struct wirebuf *b)
{
  uint8_t pub[32];
  size_t n = sizeof pub;

  if (!EVP_PKEY_get_raw_public_key (k->pkey, pub, &n) || n != sizeof pub)
    return ERR_INVAL;
  k->algorithm = "ssh-ed25519";
  wirebuf_cstring (b, k->algorithm);
  wirebuf_string (b, pub, n);
  return b->err;
}

static int
curve_index (EVP_PKEY *pkey)
{
  char group[64];
  size_t n;

  if (!EVP_PKEY_get_group_name (pkey, group, sizeof group, &n))
    return -1;
  for (size_t i = 0; i < CURVES; i++)
    if (strcmp (curves[i].group, group) == 0)
      return (int)i;
  return -1;
}

static enum err
blob_ecdsa (struct ssh_key *k, struct wirebuf *b)
{
  int i = curve_index (k->pkey);
  uint8_t point[EC_POINT_BYTES];
  size_t n = 0;

  if (i < 0)
    return ERR_NOTSUP;
  EVP_PKEY_set_utf8_string_param (
      k->pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
      OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED);
  if (!EVP_PKEY_get_octet_string_param (k->pkey, OSSL_PKEY_PARAM_PUB_KEY, point,
                                        sizeof point, &n))
    return ERR_INVAL;
  k->algorithm = curves[i].algorithm;
  wirebuf_cstring (b, k->algorithm);
  wirebuf_cstring (b, curves[i].curve);
  wirebuf_string (b, point, n);
  return b->err;
}

static enum err
blob_rsa (struct ssh_key *k, struct wirebuf *b)
{
  CLEANUP_BN BIGNUM *n = NULL;
  CLEANUP_BN BIGNUM *e = NULL;
  int bits = EVP_PKEY_get_bits (k->pkey);

  if (bits < SSH_RSA_BITS_MIN || bits > SSH_RSA_BITS_MAX)
    return ERR_NOTSUP;
  if (!EVP_PKEY_get_bn_param (k->pkey, OSSL_PKEY_PARAM_RSA_N, &n)
      || !EVP_PKEY_get_bn_param (k->pkey, OSSL_PKEY_PARAM_RSA_E, &e))
    return ERR_INVAL;
  /* RFC 8332 §3: but the blob says ssh-rsa. Of its two algorithms it recommends
   * this one, and dropbear has no other.
   */
  k->algorithm = "rsa-sha2-256";
  wirebuf_cstring (b, "ssh-rsa");
  put_mpint (b, e);
  put_mpint (b, n);
  return b->err;
}

/* Takes pkey over, whatever comes of it. */
static enum err
make_key (EVP_PKEY *pkey, struct ssh_key **ret, struct fault *f)
{
  CLEANUP_KEY struct ssh_key *k = calloc (1, sizeof *k);
  struct wirebuf b;
  enum err e;

  if (!k) {
    EVP_PKEY_free (pkey);
    return fault_set (f, ERR_NOMEM, "out of memory");
  }
  k->pkey = pkey;
  if (!private_key_is_sound (pkey))
    return fault_set (f, ERR_INVAL, "the key is damaged");
  b = wirebuf_init (k->blob, sizeof k->blob);
  switch (EVP_PKEY_get_base_id (pkey)) {
  case EVP_PKEY_ED25519:
    e = blob_ed25519 (k, &b);
    break;
  case EVP_PKEY_EC:
    e = blob_ecdsa (k, &b);
    break;
  case EVP_PKEY_RSA:
    e = blob_rsa (k, &b);
    break;
  default:
    e = ERR_NOTSUP;
  }
  if (e == ERR_NOTSUP) {
    fault_set (f, e, "this kind of key is not supported");
    fault_hint (f, "use Ed25519, ECDSA (NIST curves) or RSA");
    return e;
  }
  if (e)
    return fault_set (f, e, "the key is damaged");
  k->blob_bytes = b.used_bytes;
  hostkey_fingerprint (k->blob, k->blob_bytes, k->fingerprint);
  *ret = steal (&k);
  return ERR_OK;
}

void
ssh_key_free (struct ssh_key *k)
{
  if (!k)
    return;
  EVP_PKEY_free (k->pkey); /* wipes the private numbers */
  free (k);
}

enum err
ssh_key_locked (struct fault *f)
{
  fault_set (f, ERR_AUTH, "it is encrypted");
  fault_hint (f, "give its passphrase with passphrase=-");
  return ERR_AUTH;
}

struct pem_passphrase {
  const char *text; /* NULL: none */
  bool asked;
};

static int
give_passphrase (char *buf, int size, int rwflag, void *ctx)
{
  struct pem_passphrase *p = ctx;
  size_t n = p->text ? strlen (p->text) : 0;

  (void)rwflag;
  p->asked = true;
  if (n == 0 || n > (size_t)size)
    return -1;
  memcpy (buf, p->text, n);
  return (int)n;
}

/* The armoured block of OpenSSH's own kind, out of its base64: for
 * OPENSSL_clear_free. Else NULL.
 */
static unsigned char *
openssh_block (const char *text, size_t length_bytes, size_t *ret_bytes)
{
  CLEANUP_BIO BIO *bio = BIO_new_mem_buf (text, (int)length_bytes);
  char *name = NULL, *header = NULL;
  unsigned char *data = NULL;
  long data_bytes = 0;

  if (bio && PEM_read_bio (bio, &name, &header, &data, &data_bytes)
      && strcmp (name, "OPENSSH PRIVATE KEY") != 0) {
    OPENSSL_clear_free (data, (size_t)data_bytes);
    data = NULL;
  }
  OPENSSL_free (name);
  OPENSSL_free (header);
  ERR_clear_error ();
  *ret_bytes = (size_t)data_bytes;
  return data;
}

/* ERR_NOENT if it is not of that kind. */
static enum err
load_openssh (const char *text, size_t length_bytes, const char *passphrase,
              EVP_PKEY **ret, struct fault *f)
{
  size_t n;
  unsigned char *data = openssh_block (text, length_bytes, &n);
  enum err e =
      data ? ssh_key_parse_openssh (data, n, passphrase, ret, f) : ERR_NOENT;

  OPENSSL_clear_free (data, n);
  return e;
}

enum err
ssh_key_public (const char *text, size_t length_bytes, uint8_t **ret,
                size_t *ret_bytes)
{
  size_t n;
  unsigned char *data = openssh_block (text, length_bytes, &n);
  enum err e =
      data ? ssh_key_parse_public (data, n, ret, ret_bytes) : ERR_NOENT;

  OPENSSL_clear_free (data, n);
  return e;
}

static enum err
load_pem (const char *text, size_t length_bytes, const char *passphrase,
          EVP_PKEY **ret, struct fault *f)
{
  struct pem_passphrase p = {.text = passphrase};
  EVP_PKEY *pkey = private_key_read (text, length_bytes, give_passphrase, &p);

  if (!pkey && p.asked)
    return passphrase ? fault_set (f, ERR_AUTH,
                                   "wrong passphrase, or a kind "
                                   "of encryption that is not supported")
                      : ssh_key_locked (f);
  if (!pkey) {
    fault_set (f, ERR_INVAL, "this is not a private key (Ed25519, ECDSA or "
                             "RSA), or it is damaged");
    fault_hint (f, "identity= takes the private key, not the .pub file");
    return ERR_INVAL;
  }
  *ret = pkey;
  return ERR_OK;
}

enum err
ssh_key_load (const char *text, size_t length_bytes, const char *passphrase,
              struct ssh_key **ret, struct fault *f)
{
  EVP_PKEY *pkey = NULL;
  enum err e;

  if (length_bytes > SSH_KEY_FILE_BYTES)
    return fault_set (f, ERR_LIMIT, "the file is too long for a private key");
  e = load_openssh (text, length_bytes, passphrase, &pkey, f);
  if (e == ERR_NOENT)
    e = load_pem (text, length_bytes, passphrase, &pkey, f);
  ERR_clear_error ();
  return e ? e : make_key (pkey, ret, f);
}

enum err
ssh_key_export (const struct ssh_key *k, char *dst, size_t dst_bytes,
                size_t *ret_bytes)
{
  CLEANUP_BIO BIO *bio = BIO_new (BIO_s_secmem ());
  char *text;
  long n;

  if (!bio
      || !PEM_write_bio_PKCS8PrivateKey (bio, k->pkey, NULL, NULL, 0, NULL,
                                         NULL)
      || (n = BIO_get_mem_data (bio, &text)) <= 0) {
    ERR_clear_error ();
    return ERR_NOMEM;
  }
  if ((size_t)n > dst_bytes)
    return ERR_LIMIT;
  memcpy (dst, text, (size_t)n);
  *ret_bytes = (size_t)n;
  return ERR_OK;
}

const char *
ssh_key_algorithm (const struct ssh_key *k)
{
  return k->algorithm;
}

const uint8_t *
ssh_key_blob (const struct ssh_key *k, size_t *ret_bytes)
{
  *ret_bytes = k->blob_bytes;
  return k->blob;
}

const char *
ssh_key_fingerprint (const struct ssh_key *k)
{
  return k->fingerprint;
}

/* RFC 5656 §3.1.2: mpint r, mpint s, out of the DER that OpenSSL makes. */
static enum err
put_ecdsa (struct wirebuf *b, const uint8_t *der, size_t der_bytes)
{
  ECDSA_SIG *sig = d2i_ECDSA_SIG (NULL, &der, (long)der_bytes);

  if (!sig)
    return ERR_IO;
  put_mpint (b, ECDSA_SIG_get0_r (sig));
  put_mpint (b, ECDSA_SIG_get0_s (sig));
  ECDSA_SIG_free (sig);
  return b->err;
}

enum err
ssh_key_sign (const struct ssh_key *k, const void *data, size_t data_bytes,
              uint8_t *dst, size_t dst_bytes, size_t *ret_bytes)
{
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  int id = EVP_PKEY_get_base_id (k->pkey);
  const char *digest = id == EVP_PKEY_ED25519 ? NULL
                       : id == EVP_PKEY_RSA
                           ? "SHA256"
                           : curves[curve_index (k->pkey)].digest;
  uint8_t raw[SSH_SIGNATURE_BYTES];
  size_t n = sizeof raw;
  struct wirebuf b = wirebuf_init (dst, dst_bytes);
  enum err e = ERR_IO;

  if (ctx
      && EVP_DigestSignInit_ex (ctx, NULL, digest, NULL, NULL, k->pkey, NULL)
      && EVP_DigestSign (ctx, raw, &n, data, data_bytes)) {
    if (id == EVP_PKEY_EC)
      e = put_ecdsa (&b, raw, n);
    else {
      wirebuf_bytes (&b, raw, n);
      e = b.err;
    }
  }
  EVP_MD_CTX_free (ctx);
  ERR_clear_error ();
  if (e)
    return e;
  *ret_bytes = b.used_bytes;
  return ERR_OK;
}
