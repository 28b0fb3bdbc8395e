/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon signs for TLS, and what not. */
#include "config.h"
#include "cache/tls_login.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "tests/unit/unit.h"

#define CONTEXT "TLS 1.3, client CertificateVerify"
#define HEAD_BYTES (64 + sizeof CONTEXT)

static EVP_PKEY *key;
static struct tls_login login;
static struct fault f;

static int
file_of (X509 *cert, EVP_PKEY *private, const char *passphrase)
{
  int fd = memfd_create ("pem", 0);
  BIO *bio = BIO_new (BIO_s_mem ());
  char *text;
  long n;

  if (cert)
    PEM_write_bio_X509 (bio, cert);
  if (private)
    PEM_write_bio_PKCS8PrivateKey (bio, private,
                                   passphrase ? EVP_aes_128_cbc () : NULL,
                                   passphrase, passphrase ? 5 : 0, NULL, NULL);
  n = BIO_get_mem_data (bio, &text);
  CU_ASSERT_FATAL (fd >= 0 && write (fd, text, (size_t)n) == n);
  BIO_free (bio);
  return fd;
}

static X509 *
certificate_of (EVP_PKEY *k)
{
  X509 *x = X509_new ();

  X509_set_version (x, X509_VERSION_3);
  X509_gmtime_adj (X509_getm_notBefore (x), 0);
  X509_gmtime_adj (X509_getm_notAfter (x), 86400);
  X509_set_pubkey (x, k);
  X509_sign (x, k,
             EVP_PKEY_get_base_id (k) == EVP_PKEY_ED25519 ? NULL
                                                          : EVP_sha256 ());
  return x;
}

static enum err
take_files (int trust, int cert, int private)
{
  int fd[3] = {trust, cert, private};
  enum err e;

  login = (struct tls_login){.on = true, .trust_fd = -1};
  f = (struct fault){0};
  e = tls_login_take (&login, "server", fd, &f);
  close (fd[1]);
  close (fd[2]);
  if (fd[0] >= 0)
    close (fd[0]);
  return e;
}

static void
begin (EVP_PKEY *k)
{
  X509 *x = certificate_of (k);

  key = k;
  CU_ASSERT_FATAL (k && x);
  CU_ASSERT_EQUAL_FATAL (
      take_files (-1, file_of (x, NULL, NULL), file_of (NULL, k, NULL)),
      ERR_OK);
  X509_free (x);
}

static void
end (void)
{
  tls_login_fini (&login);
  EVP_PKEY_free (key);
}

static size_t
make_content (uint8_t dst[256], size_t hash_bytes)
{
  memset (dst, ' ', 64);
  memcpy (dst + 64, CONTEXT, sizeof CONTEXT);
  memset (dst + HEAD_BYTES, 0x5a, hash_bytes);
  return HEAD_BYTES + hash_bytes;
}

static enum err
ask (uint16_t scheme, const uint8_t *content, size_t n, uint8_t *dst,
     size_t *ret)
{
  f = (struct fault){0};
  return tls_login_sign (&login, scheme, content, n, dst, ret, &f);
}

static bool
is_right (const char *digest, bool pss, const uint8_t *sig, size_t n,
          const uint8_t *content, size_t content_bytes)
{
  EVP_MD_CTX *md = EVP_MD_CTX_new ();
  EVP_PKEY_CTX *ctx = NULL;
  bool ok =
      EVP_DigestVerifyInit_ex (md, &ctx, digest, NULL, NULL, key, NULL) > 0;

  if (pss) {
    EVP_PKEY_CTX_set_rsa_padding (ctx, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen (ctx, RSA_PSS_SALTLEN_DIGEST);
  }
  ok = ok && EVP_DigestVerify (md, sig, n, content, content_bytes) == 1;
  EVP_MD_CTX_free (md);
  return ok;
}

static void
signs_by_the_key_s_schemes (void)
{
  static const struct {
    uint16_t scheme;
    const char *digest;
    int of; /* which key */
  } row[] = {{0x0403, "SHA256", 0}, {0x0503, "SHA384", 1},
             {0x0603, "SHA512", 2}, {0x0804, "SHA256", 3},
             {0x0805, "SHA384", 3}, {0x0806, "SHA512", 3},
             {0x0807, NULL, 4}};
  uint8_t content[256], sig[TLS_SIGNATURE_BYTES];
  size_t bytes = make_content (content, 48), n;

  for (int of = 0; of < 5; of++) {
    begin (of == 3   ? EVP_PKEY_Q_keygen (NULL, NULL, "RSA", (size_t)2048)
           : of == 4 ? EVP_PKEY_Q_keygen (NULL, NULL, "ED25519")
                     : EVP_PKEY_Q_keygen (NULL, NULL, "EC",
                                          of == 0   ? "P-256"
                                          : of == 1 ? "P-384"
                                                    : "P-521"));
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
      n = 0;
      if (row[i].of != of) {
        CU_ASSERT_EQUAL (ask (row[i].scheme, content, bytes, sig, &n),
                         ERR_PEER);
        CU_ASSERT_EQUAL (n, 0);
        continue;
      }
      CU_ASSERT_EQUAL (ask (row[i].scheme, content, bytes, sig, &n), ERR_OK);
      CU_ASSERT (is_right (row[i].digest, of == 3, sig, n, content, bytes));
    }
    /* RSASSA-PKCS1-v1_5 is for certificates only. */
    CU_ASSERT_EQUAL (ask (0x0401, content, bytes, sig, &n), ERR_PEER);
    end ();
  }
}

/* Every byte of the head, and every length. */
static void
signs_nothing_else (void)
{
  uint8_t content[256] = {0}, sig[TLS_SIGNATURE_BYTES];
  size_t bytes = make_content (content, 32), n = 0;

  begin (EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256"));
  for (size_t i = 0; i < HEAD_BYTES; i++) {
    content[i] ^= 1;
    CU_ASSERT_EQUAL (ask (0x0403, content, bytes, sig, &n), ERR_PEER);
    CU_ASSERT (f.text[0] != 0);
    content[i] ^= 1;
  }
  for (size_t k = 0; k <= sizeof content; k++)
    CU_ASSERT_EQUAL (ask (0x0403, content, k, sig, &n),
                     k == HEAD_BYTES + 32 || k == HEAD_BYTES + 48 ? ERR_OK
                                                                  : ERR_PEER);
  CU_ASSERT_EQUAL (ask (0x0403, NULL, 0, sig, &n), ERR_PEER);
  /* what a server signs */
  make_content (content, 32);
  memcpy (content + 64, "TLS 1.3, server CertificateVerify", 33);
  CU_ASSERT_EQUAL (ask (0x0403, content, bytes, sig, &n), ERR_PEER);
  end ();
}

static void
without_a_key_nothing_is_signed (void)
{
  struct tls_login none = {.on = true, .trust_fd = -1};
  uint8_t content[256], sig[TLS_SIGNATURE_BYTES];
  size_t bytes = make_content (content, 32), n;

  CU_ASSERT_EQUAL (tls_login_sign (&none, 0x0403, content, bytes, sig, &n, &f),
                   ERR_PEER);
}

static void
files_that_are_not_taken (void)
{
  EVP_PKEY *a = EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256");
  EVP_PKEY *b = EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256");
  EVP_PKEY *odd = EVP_PKEY_Q_keygen (NULL, NULL, "X25519");
  X509 *x = certificate_of (a);
  char name[300];
  int none[3] = {-1, -1, -1};

  CU_ASSERT_EQUAL (
      take_files (-1, file_of (x, NULL, NULL), file_of (NULL, b, NULL)),
      ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "not the key of"));
  tls_login_fini (&login);
  CU_ASSERT_EQUAL (
      take_files (-1, file_of (x, NULL, NULL), file_of (NULL, a, "words")),
      ERR_AUTH);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "encrypted"));
  CU_ASSERT_EQUAL (
      take_files (-1, file_of (NULL, NULL, NULL), file_of (NULL, a, NULL)),
      ERR_INVAL);
  tls_login_fini (&login);
  CU_ASSERT_EQUAL (
      take_files (-1, file_of (x, NULL, NULL), file_of (x, NULL, NULL)),
      ERR_INVAL);
  CU_ASSERT_EQUAL (
      take_files (-1, file_of (x, NULL, NULL), file_of (NULL, odd, NULL)),
      ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "ECDSA"));
  tls_login_fini (&login);
  memset (name, 'a', sizeof name);
  name[sizeof name - 1] = 0;
  CU_ASSERT_EQUAL (tls_login_take (&login, name, none, &f), ERR_INVAL);
  CU_ASSERT_EQUAL (tls_login_take (&login, "two words", none, &f), ERR_INVAL);
  EVP_PKEY_free (a);
  EVP_PKEY_free (b);
  EVP_PKEY_free (odd);
  X509_free (x);
}

/* Text between the certificates, and a key in the same file, stay here. */
static void
only_certificates_are_shown (void)
{
  EVP_PKEY *k = EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256");
  X509 *x = certificate_of (k);
  int both = file_of (x, k, NULL);

  CU_ASSERT_EQUAL (take_files (-1, both, file_of (NULL, k, NULL)), ERR_OK);
  CU_ASSERT_PTR_NOT_NULL (strstr (login.chain, "BEGIN CERTIFICATE"));
  CU_ASSERT_PTR_NULL (strstr (login.chain, "PRIVATE"));
  tls_login_fini (&login);
  EVP_PKEY_free (k);
  X509_free (x);
}

/* Volumes of two certificates are two volumes (volume_key.h). */
static void
a_certificate_has_a_digest (void)
{
  uint8_t first[TLS_DIGEST_BYTES];

  for (int i = 0; i < 2; i++) {
    begin (EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256"));
    if (i == 0)
      memcpy (first, login.digest, sizeof first);
    else
      CU_ASSERT (memcmp (first, login.digest, sizeof first) != 0);
    end ();
  }
}

/* It goes to the worker in one message. */
static void
a_chain_has_an_end (void)
{
  EVP_PKEY *k = EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256");
  X509 *x = certificate_of (k);
  char pem[4096];
  int one = file_of (x, NULL, NULL), many = memfd_create ("pem", 0);
  ssize_t n = pread (one, pem, sizeof pem, 0);

  CU_ASSERT_FATAL (n > 200 && many >= 0);
  for (ssize_t i = 0; i < TLS_CHAIN_BYTES; i += n)
    CU_ASSERT_EQUAL (write (many, pem, (size_t)n), n);
  close (one);
  CU_ASSERT_EQUAL (take_files (-1, many, file_of (NULL, k, NULL)), ERR_LIMIT);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "too long"));
  tls_login_fini (&login);
  EVP_PKEY_free (k);
  X509_free (x);
}

UNIT_MAIN ("tls_login", UNIT_TEST (signs_by_the_key_s_schemes),
           UNIT_TEST (signs_nothing_else),
           UNIT_TEST (without_a_key_nothing_is_signed),
           UNIT_TEST (files_that_are_not_taken),
           UNIT_TEST (only_certificates_are_shown),
           UNIT_TEST (a_certificate_has_a_digest),
           UNIT_TEST (a_chain_has_an_end))
