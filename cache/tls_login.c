/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/tls_login.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "cache/private_key.h"
#include "common/cleanup.h"

/* RFC 8446 §4.2.3: what TLS 1.3 has for the kinds of keys that we take. */
static const struct {
  uint16_t scheme;
  int kind;          /* EVP_PKEY_… */
  const char *group; /* of an elliptic curve */
  const char *digest;
} schemes[] = {
    {0x0403, EVP_PKEY_EC, "prime256v1", "SHA256"},
    {0x0503, EVP_PKEY_EC, "secp384r1", "SHA384"},
    {0x0603, EVP_PKEY_EC, "secp521r1", "SHA512"},
    {0x0804, EVP_PKEY_RSA, NULL, "SHA256"},
    {0x0805, EVP_PKEY_RSA, NULL, "SHA384"},
    {0x0806, EVP_PKEY_RSA, NULL, "SHA512"},
    {0x0807, EVP_PKEY_ED25519, NULL, NULL},
};

static void
cleanup_bio (BIO **bio)
{
  BIO_free (*bio);
}

static void
cleanup_x509 (X509 **x)
{
  X509_free (*x);
}

static void
cleanup_md (EVP_MD_CTX **md)
{
  EVP_MD_CTX_free (*md);
}

#define CLEANUP_BIO __attribute__ ((cleanup (cleanup_bio)))
#define CLEANUP_X509 __attribute__ ((cleanup (cleanup_x509)))
#define CLEANUP_MD __attribute__ ((cleanup (cleanup_md)))

void
tls_login_fini (struct tls_login *t)
{
  if (t->trust_fd >= 0)
    close (t->trust_fd);
  free (t->chain);
  EVP_PKEY_free (t->key); /* wipes the private numbers */
  *t = (struct tls_login){.trust_fd = -1};
}

/* A certificate's file may have its key in it, too. */
static void
wipe_file (char **text)
{
  if (*text)
    OPENSSL_cleanse (*text, TLS_FILE_BYTES);
  free (*text);
}

/* All of a file with a NUL behind it. The caller wipes TLS_FILE_BYTES. */
static enum err
read_file (int fd, const char *what, char **ret, size_t *ret_bytes,
           struct fault *f)
{
  char *text = calloc (1, TLS_FILE_BYTES + 1);
  size_t used = 0;

  if (!text)
    return fault_set (f, ERR_NOMEM, "out of memory");
  while (used < TLS_FILE_BYTES) {
    ssize_t n = pread (fd, text + used, TLS_FILE_BYTES - used, (off_t)used);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      fault_set (f, ERR_IO, "%s= cannot be read: %s", what, strerror (errno));
      wipe_file (&text);
      return ERR_IO;
    }
    if (n == 0)
      break;
    used += (size_t)n;
  }
  if (used == TLS_FILE_BYTES) {
    wipe_file (&text);
    return fault_set (f, ERR_LIMIT, "the file of %s= is too long", what);
  }
  *ret = text;
  *ret_bytes = used;
  return ERR_OK;
}

/* Nobody types a passphrase here. */
static int
no_passphrase (char *buf, int size, int rwflag, void *ctx)
{
  bool *asked = ctx;

  (void)buf;
  (void)size;
  (void)rwflag;
  *asked = true;
  return -1;
}

static enum err
parse_key (struct tls_login *t, const char *text, size_t length_bytes,
           struct fault *f)
{
  bool asked = false;

  t->key = private_key_read (text, length_bytes, no_passphrase, &asked);
  if (t->key)
    return ERR_OK;
  if (asked) {
    fault_set (f, ERR_AUTH, "the private key of tls-key= is encrypted");
    fault_hint (f, "give one that is not: openssl pkey -in FILE -out NEW, and "
                   "chmod 600 NEW");
    return ERR_AUTH;
  }
  fault_set (f, ERR_INVAL,
             "tls-key= is not a private key (PEM), or it is damaged");
  fault_hint (f, "use ECDSA (NIST curves), Ed25519 or RSA");
  return ERR_INVAL;
}

/* The first certificate of the chain is the key's; the rest is as it came, cut
 * down to certificates.
 */
static enum err
parse_chain (struct tls_login *t, const char *text, size_t length_bytes,
             struct fault *f)
{
  CLEANUP_BIO BIO *in = BIO_new_mem_buf (text, (int)length_bytes);
  CLEANUP_BIO BIO *out = BIO_new (BIO_s_mem ());
  bool first = true;
  char *bytes;
  long n;

  for (;;) {
    CLEANUP_X509 X509 *x =
        in && out ? PEM_read_bio_X509 (in, NULL, NULL, NULL) : NULL;

    ERR_clear_error ();
    if (!x)
      break;
    if (first && X509_check_private_key (x, t->key) != 1) {
      ERR_clear_error ();
      fault_set (f, ERR_INVAL,
                 "tls-key= is not the key of the first "
                 "certificate of tls-cert=");
      return ERR_INVAL;
    }
    first = false;
    if (!PEM_write_bio_X509 (out, x))
      return fault_set (f, ERR_NOMEM, "out of memory");
  }
  if (first)
    return fault_set (f, ERR_INVAL,
                      "there is no certificate (PEM) in "
                      "tls-cert=");
  n = BIO_get_mem_data (out, &bytes);
  if (n <= 0 || n >= TLS_CHAIN_BYTES)
    return fault_set (f, ERR_LIMIT,
                      "the certificates of tls-cert= are too "
                      "long: more than %u bytes",
                      TLS_CHAIN_BYTES - 1);
  t->chain = strndup (bytes, (size_t)n);
  SHA256 ((const uint8_t *)bytes, (size_t)n, t->digest);
  return t->chain ? ERR_OK : fault_set (f, ERR_NOMEM, "out of memory");
}

static enum err
take_own (struct tls_login *t, const int fd[3], struct fault *f)
{
  __attribute__ ((cleanup (wipe_file))) char *chain = NULL, *key = NULL;
  size_t chain_bytes, key_bytes;
  enum err e;

  if ((e = read_file (fd[1], "tls-cert", &chain, &chain_bytes, f))
      || (e = read_file (fd[2], "tls-key", &key, &key_bytes, f)))
    return e;
  if ((e = parse_key (t, key, key_bytes, f)))
    return e;
  return parse_chain (t, chain, chain_bytes, f);
}

enum err
tls_login_take (struct tls_login *t, const char *name, int fd[3],
                struct fault *f)
{
  if (strlen (name) >= sizeof t->name)
    return fault_set (f, ERR_INVAL, "tls-hostname= is too long");
  for (const char *c = name; *c; c++)
    if ((unsigned char)*c <= ' ' || *c == 0x7f)
      return fault_set (f, ERR_INVAL, "tls-hostname= has an odd character");
  strcpy (t->name, name);
  t->trust_fd = steal_fd (&fd[0]);
  return fd[1] >= 0 ? take_own (t, fd, f) : ERR_OK;
}

/* RFC 8446 §4.4.3. */
static bool
is_content (const uint8_t *p, size_t n)
{
  static const char context[] = "TLS 1.3, client CertificateVerify";
  const size_t head = 64 + sizeof context; /* with its zero byte */

  if (!p || (n != head + 32 && n != head + 48))
    return false;
  for (size_t i = 0; i < 64; i++)
    if (p[i] != ' ')
      return false;
  return memcmp (p + 64, context, sizeof context) == 0;
}

static bool
fits_key (EVP_PKEY *key, size_t i)
{
  char group[64];
  size_t n;

  if (EVP_PKEY_get_base_id (key) != schemes[i].kind)
    return false;
  return !schemes[i].group
         || (EVP_PKEY_get_group_name (key, group, sizeof group, &n)
             && strcmp (group, schemes[i].group) == 0);
}

static bool
sign (EVP_PKEY *key, size_t i, const uint8_t *content, size_t content_bytes,
      uint8_t *dst, size_t *ret_bytes)
{
  CLEANUP_MD EVP_MD_CTX *md = EVP_MD_CTX_new ();
  EVP_PKEY_CTX *ctx = NULL;
  size_t n = TLS_SIGNATURE_BYTES;

  if (!md
      || EVP_DigestSignInit_ex (md, &ctx, schemes[i].digest, NULL, NULL, key,
                                NULL)
             <= 0)
    return false;
  if (schemes[i].kind == EVP_PKEY_RSA
      && (EVP_PKEY_CTX_set_rsa_padding (ctx, RSA_PKCS1_PSS_PADDING) <= 0
          || EVP_PKEY_CTX_set_rsa_pss_saltlen (ctx, RSA_PSS_SALTLEN_DIGEST)
                 <= 0))
    return false;
  if (EVP_DigestSign (md, dst, &n, content, content_bytes) <= 0)
    return false;
  *ret_bytes = n;
  return true;
}

enum err
tls_login_sign (const struct tls_login *t, uint16_t scheme,
                const uint8_t *content, size_t content_bytes, uint8_t *dst,
                size_t *ret_bytes, struct fault *f)
{
  bool ok;

  if (!t->key)
    return fault_set (f, ERR_PEER,
                      "the worker asked for a signature without a certificate");
  if (!is_content (content, content_bytes))
    return fault_set (f, ERR_PEER,
                      "the worker asked to sign something else than the "
                      "CertificateVerify of a TLS 1.3 client");
  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
    if (schemes[i].scheme != scheme || !fits_key (t->key, i))
      continue;
    ok = sign (t->key, i, content, content_bytes, dst, ret_bytes);
    ERR_clear_error ();
    return ok ? ERR_OK : fault_set (f, ERR_IO, "cannot sign for TLS");
  }
  return fault_set (f, ERR_PEER,
                    "the worker asked for signature scheme %#x, which is not "
                    "of our key",
                    scheme);
}
