/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/keys.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "common/wire.h"
#include "tests/unit/unit.h"

#include "tests/unit/cache/keys_vectors.h"
#include "tests/unit/cache/locked_vectors.h"

static const char message[] = "what is to be signed";

static size_t
ecdsa_to_der (const uint8_t *sig, size_t sig_bytes, uint8_t *dst)
{
  struct wire w = wire_init (sig, sig_bytes);
  size_t r_bytes, s_bytes;
  const uint8_t *r = wire_string (&w, 128, &r_bytes);
  const uint8_t *s = wire_string (&w, 128, &s_bytes);
  ECDSA_SIG *e = ECDSA_SIG_new ();
  int n = 0;

  CU_ASSERT_EQUAL (wire_end (&w), ERR_OK);
  if (r && s) {
    CU_ASSERT (!(r[0] & 0x80) && !(s[0] & 0x80));
    ECDSA_SIG_set0 (e, BN_bin2bn (r, (int)r_bytes, NULL),
                    BN_bin2bn (s, (int)s_bytes, NULL));
    n = i2d_ECDSA_SIG (e, &dst);
  }
  ECDSA_SIG_free (e);
  return (size_t)n;
}

/* With OpenSSL and the public key that ssh-keygen wrote. */
static bool
verify (const struct key_vector *v, const uint8_t *sig, size_t sig_bytes)
{
  BIO *bio = BIO_new_mem_buf (v->public_pem, -1);
  EVP_PKEY *pkey = PEM_read_bio_PUBKEY (bio, NULL, NULL, NULL);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  uint8_t der[256];
  const char *digest = strstr (v->algorithm, "256")     ? "SHA256"
                       : strstr (v->algorithm, "384")   ? "SHA384"
                       : strstr (v->algorithm, "25519") ? NULL
                                                        : "SHA512";
  bool ok;

  if (strncmp (v->algorithm, "ecdsa", 5) == 0) {
    sig_bytes = ecdsa_to_der (sig, sig_bytes, der);
    sig = der;
  }
  ok = pkey
       && EVP_DigestVerifyInit_ex (ctx, NULL, digest, NULL, NULL, pkey, NULL)
              == 1
       && EVP_DigestVerify (ctx, sig, sig_bytes, (const uint8_t *)message,
                            sizeof message)
              == 1;
  EVP_MD_CTX_free (ctx);
  EVP_PKEY_free (pkey);
  BIO_free (bio);
  return ok;
}

static void
loads_and_signs_every_kind (void)
{
  for (size_t i = 0; i < KEY_VECTORS; i++) {
    const struct key_vector *v = &key_vectors[i];
    struct ssh_key *k = NULL;
    struct fault f = {0};
    uint8_t sig[SSH_SIGNATURE_BYTES];
    size_t n = 0;

    if (!v->algorithm)
      continue;
    /* Some signatures have a short r or s. */
    for (int turn = 0; turn < 20; turn++) {
      CU_ASSERT_EQUAL_FATAL (
          ssh_key_load (v->text, strlen (v->text), NULL, &k, &f), ERR_OK);
      CU_ASSERT_STRING_EQUAL (ssh_key_algorithm (k), v->algorithm);
      CU_ASSERT_STRING_EQUAL (ssh_key_fingerprint (k), v->fingerprint);
      CU_ASSERT_EQUAL (
          ssh_key_sign (k, message, sizeof message, sig, sizeof sig, &n),
          ERR_OK);
      CU_ASSERT (verify (v, sig, n));
      sig[n - 1] ^= 1;
      CU_ASSERT (!verify (v, sig, n));
      ssh_key_free (k);
      if (strncmp (v->algorithm, "ecdsa", 5) != 0)
        break;
    }
  }
}

static void
the_blob_names_the_kind_of_key (void)
{
  for (size_t i = 0; i < KEY_VECTORS; i++) {
    const struct key_vector *v = &key_vectors[i];
    struct ssh_key *k = NULL;
    struct wire w;
    char name[64];
    size_t n;
    const uint8_t *blob;

    if (!v->algorithm)
      continue;
    CU_ASSERT_EQUAL_FATAL (
        ssh_key_load (v->text, strlen (v->text), NULL, &k, NULL), ERR_OK);
    blob = ssh_key_blob (k, &n);
    w = wire_init (blob, n);
    wire_cstring (&w, name, sizeof name);
    CU_ASSERT_STRING_EQUAL (name, strcmp (v->algorithm, "rsa-sha2-256") == 0
                                      ? "ssh-rsa"
                                      : v->algorithm);
    ssh_key_free (k);
  }
}

static void
says_that_a_key_is_encrypted (void)
{
  for (size_t i = 0; i < KEY_VECTORS; i++) {
    const struct key_vector *v = &key_vectors[i];
    struct ssh_key *k = NULL;
    struct fault f = {0};

    if (v->algorithm)
      continue;
    CU_ASSERT_EQUAL (ssh_key_load (v->text, strlen (v->text), NULL, &k, &f),
                     ERR_AUTH);
    CU_ASSERT_PTR_NULL (k);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "encrypted"));
    CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "passphrase="));
  }
}

static void
decrypts_what_ssh_keygen_encrypts (void)
{
  for (size_t i = 0; i < LOCKED_VECTORS; i++) {
    const char *text = locked_vectors[i].text;
    struct ssh_key *k = NULL;
    struct fault f = {0};

    if (ssh_key_load (text, strlen (text), LOCKED_PASSPHRASE, &k, &f)) {
      printf ("%s: %s\n", locked_vectors[i].name, f.text);
      CU_FAIL ("not decrypted");
      continue;
    }
    CU_ASSERT_STRING_EQUAL (ssh_key_fingerprint (k),
                            locked_vectors[i].fingerprint);
    ssh_key_free (k);
  }
}

static void
tells_a_wrong_passphrase (void)
{
  for (size_t i = 0; i < LOCKED_VECTORS; i++) {
    const char *text = locked_vectors[i].text;
    struct ssh_key *k = NULL;
    struct fault f = {0};

    CU_ASSERT_EQUAL (
        ssh_key_load (text, strlen (text), "correct horsf", &k, &f), ERR_AUTH);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "wrong passphrase"));
    CU_ASSERT_EQUAL (ssh_key_load (text, strlen (text), NULL, &k, &f),
                     ERR_AUTH);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "encrypted"));
    CU_ASSERT_PTR_NULL (k);
  }
}

/* An openssh-key-v1 file around these, with no key inside. */
static enum err
load_encrypted (const char *cipher, const char *kdf, uint32_t rounds,
                size_t private_bytes, struct fault *f)
{
  uint8_t file[2000], options[64], zeroes[512] = {0};
  struct wirebuf b = wirebuf_init (file, sizeof file);
  struct wirebuf o = wirebuf_init (options, sizeof options);
  EVP_PKEY *pkey = NULL;

  wirebuf_bytes (&b, "openssh-key-v1", 15);
  wirebuf_cstring (&b, cipher);
  wirebuf_cstring (&b, kdf);
  wirebuf_string (&o, "0123456789abcdef", 16);
  wirebuf_u32 (&o, rounds);
  wirebuf_string (&b, options, o.used_bytes);
  wirebuf_u32 (&b, 1);
  wirebuf_string (&b, "public", 6);
  wirebuf_string (&b, zeroes, private_bytes);
  return ssh_key_parse_openssh (file, b.used_bytes, "secret", &pkey, f);
}

static void
refuses_odd_encryption (void)
{
  struct fault f = {0};

  CU_ASSERT_EQUAL (load_encrypted ("aes256-ctr", "bcrypt", 1, 64, &f),
                   ERR_AUTH);
  CU_ASSERT_EQUAL (load_encrypted ("aes256-ctr", "bcrypt", 0, 64, &f),
                   ERR_INVAL);
  CU_ASSERT_EQUAL (load_encrypted ("aes256-ctr", "bcrypt", 1000000, 64, &f),
                   ERR_LIMIT);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "1000000 rounds"));
  CU_ASSERT_EQUAL (load_encrypted ("aes256-cbc", "bcrypt", 1, 65, &f),
                   ERR_INVAL);
  CU_ASSERT_EQUAL (load_encrypted ("aes256-gcm@openssh.com", "bcrypt", 1, 64,
                                   &f),
                   ERR_INVAL);
  CU_ASSERT_EQUAL (load_encrypted ("rot13", "bcrypt", 1, 64, &f), ERR_NOTSUP);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "rot13"));
  CU_ASSERT_EQUAL (load_encrypted ("aes256-ctr", "none", 1, 64, &f),
                   ERR_NOTSUP);
  CU_ASSERT_EQUAL (load_encrypted ("aes256-ctr", "bcrypt", 1, 0, &f),
                   ERR_INVAL);
}

static void
exports_what_it_loads (void)
{
  for (size_t i = 0; i < KEY_VECTORS; i++) {
    const struct key_vector *v = &key_vectors[i];
    struct ssh_key *k = NULL, *again = NULL;
    char text[SSH_KEY_FILE_BYTES];
    size_t n = 0;

    if (!v->algorithm)
      continue;
    CU_ASSERT_EQUAL_FATAL (
        ssh_key_load (v->text, strlen (v->text), NULL, &k, NULL), ERR_OK);
    CU_ASSERT_EQUAL (ssh_key_export (k, text, 10, &n), ERR_LIMIT);
    CU_ASSERT_EQUAL_FATAL (ssh_key_export (k, text, sizeof text, &n), ERR_OK);
    CU_ASSERT_EQUAL_FATAL (ssh_key_load (text, n, NULL, &again, NULL), ERR_OK);
    CU_ASSERT_STRING_EQUAL (ssh_key_fingerprint (again), v->fingerprint);
    CU_ASSERT_STRING_EQUAL (ssh_key_algorithm (again), v->algorithm);
    ssh_key_free (k);
    ssh_key_free (again);
  }
}

/* `openssl ecparam -genkey` writes its parameters first; other files have a
 * certificate or words there.
 */
static void
finds_the_key_behind_other_things (void)
{
  static const char *const before[] = {
      "a word\n",
      "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
      "-----END EC PARAMETERS-----\n"};
  unsigned found = 0;

  for (size_t i = 0; i < KEY_VECTORS; i++) {
    if (!key_vectors[i].algorithm
        || strstr (key_vectors[i].text, "BEGIN OPENSSH"))
      continue;
    for (size_t j = 0; j < sizeof before / sizeof before[0]; j++) {
      struct ssh_key *k = NULL;
      char text[4096];
      int n = snprintf (text, sizeof text, "%s%s", before[j],
                        key_vectors[i].text);

      CU_ASSERT_EQUAL_FATAL (ssh_key_load (text, (size_t)n, NULL, &k, NULL),
                             ERR_OK);
      CU_ASSERT_STRING_EQUAL (ssh_key_fingerprint (k),
                              key_vectors[i].fingerprint);
      ssh_key_free (k);
      found++;
    }
  }
  CU_ASSERT (found >= 6);
}

/* A second key is never asked for: it has not been looked at. */
static void
only_the_first_key_counts (void)
{
  static const char damaged[] = "-----BEGIN RSA PRIVATE KEY-----\nMAA=\n"
                                "-----END RSA PRIVATE KEY-----\n";
  unsigned seen = 0;

  for (size_t i = 0; i < KEY_VECTORS; i++) {
    struct ssh_key *k = NULL;
    char text[4096];
    int n = snprintf (text, sizeof text, "%s%s", damaged, key_vectors[i].text);

    if (!key_vectors[i].algorithm
        || strstr (key_vectors[i].text, "BEGIN OPENSSH"))
      continue;
    CU_ASSERT_EQUAL (ssh_key_load (text, (size_t)n, NULL, &k, NULL), ERR_INVAL);
    seen++;
  }
  CU_ASSERT (seen >= 3);
}

static void
refuses_what_is_no_key (void)
{
  static const char *const texts[] = {
      "", "\n", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== me",
      "-----BEGIN OPENSSH PRIVATE KEY-----\n",
      "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
      "-----END OPENSSH PRIVATE KEY-----\n",
      "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhq"
      "owtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"};

  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct ssh_key *k = NULL;
    struct fault f = {0};

    CU_ASSERT_EQUAL (ssh_key_load (texts[i], strlen (texts[i]), NULL, &k, &f),
                     ERR_INVAL);
    CU_ASSERT_PTR_NULL (k);
    CU_ASSERT (f.text[0] != 0);
  }
}

/* OpenSSL computes with what such a key says while it decodes it, for as long
 * as its numbers are large.
 */
static void
other_kinds_are_not_even_decoded (void)
{
  static const char dsa[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIBWgIBADCCATMGByqGSM44BAEwggEmAoGBAI76S7LxI7G47Nxw/hzuRZg4qKB5\n"
    "pd9+Un7gdSeu4HnOI0boeXVq1NGzVf02SxJEarYWMfTnB2xePbCkHqdjZWquCuvT\n"
    "Qpcw2pX3P3Uy+bLGjZkECgpftbCLm/q99GJiMxT+sfKPrZvonIBHCT47a+d8st0O\n"
    "T5JHxCHUCRezHcHvAh0A68S8XXN6cyIQl3CC1yTPvHEtdMTO5yBGb4IihwKBgEwT\n"
    "1778gflD7DWv+/CZbpmUfJxEh3LayigNBYpw1fLS9lWUdAIhsTkKiqfvtBnbHhhB\n"
    "7oC7661RURFeMzTo3t7kMR08d9Ual6avwGTP6ZHaxihLmWP3shDoef91YXs2UwP1\n"
    "56iM7Cr+dFlkuiNyLRqk6qRLObRLZ9E49NuEcuDhBB4CHGk9/fSbPykk2By/FDpy\n"
    "V8MkfdI3RymqfPrHLkI=\n"
    "-----END PRIVATE KEY-----\n";
  char behind[2048];
  struct ssh_key *k = NULL;
  struct fault f = {0};

  CU_ASSERT_EQUAL (ssh_key_load (dsa, strlen (dsa), NULL, &k, &f), ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "Ed25519, ECDSA or RSA"));
  snprintf (behind, sizeof behind,
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n%s",
            dsa);
  CU_ASSERT_EQUAL (ssh_key_load (behind, strlen (behind), NULL, &k, &f),
                   ERR_INVAL);
}

/* An RSA key of 2048 bits, of which one number has so many (NULL: none). */
static EVP_PKEY *
rsa_with (const char *name, int bits)
{
  static const char *const names[]
      = {OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
         OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
         OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
         OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
  enum { NAMES = sizeof names / sizeof names[0] };
  static EVP_PKEY *good;
  BIGNUM *number[NAMES] = {0};
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new ();
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name (NULL, "RSA", NULL);
  OSSL_PARAM *params;
  EVP_PKEY *ret = NULL;

  if (!good)
    good = EVP_RSA_gen (2048);
  for (size_t i = 0; i < NAMES; i++) {
    EVP_PKEY_get_bn_param (good, names[i], &number[i]);
    if (name && strcmp (name, names[i]) == 0)
      BN_set_bit (number[i], bits - 1);
    OSSL_PARAM_BLD_push_BN (build, names[i], number[i]);
  }
  params = OSSL_PARAM_BLD_to_param (build);
  CU_ASSERT (EVP_PKEY_fromdata_init (ctx) == 1
             && EVP_PKEY_fromdata (ctx, &ret, EVP_PKEY_KEYPAIR, params) == 1);
  OSSL_PARAM_free (params);
  OSSL_PARAM_BLD_free (build);
  EVP_PKEY_CTX_free (ctx);
  for (size_t i = 0; i < NAMES; i++)
    BN_free (number[i]);
  return ret;
}

static enum err
load_rsa_with (const char *name, int bits)
{
  EVP_PKEY *pkey = rsa_with (name, bits);
  BIO *bio = BIO_new (BIO_s_mem ());
  struct ssh_key *k = NULL;
  struct fault f = {0};
  char *text;
  long n;
  enum err e;

  CU_ASSERT_FATAL (PEM_write_bio_PrivateKey_traditional (bio, pkey, NULL, NULL,
                                                         0, NULL, NULL));
  n = BIO_get_mem_data (bio, &text);
  e = ssh_key_load (text, (size_t)n, NULL, &k, &f);
  if (!e)
    ssh_key_free (k);
  BIO_free (bio);
  EVP_PKEY_free (pkey);
  return e;
}

static void
numbers_that_do_not_belong_to_the_modulus (void)
{
  static const char *const names[]
      = {OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
         OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
         OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};

  CU_ASSERT_EQUAL (load_rsa_with (NULL, 0), ERR_OK);
  CU_ASSERT_EQUAL (load_rsa_with (OSSL_PKEY_PARAM_RSA_E, 65), ERR_INVAL);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    CU_ASSERT_EQUAL (load_rsa_with (names[i], 2100), ERR_INVAL);
}

/* Damage anywhere: an error or a key, never a crash; every cut too. */
static void
survives_damage (void)
{
  uint32_t random = 1;

  for (size_t i = 0; i < KEY_VECTORS; i++) {
    const char *text = key_vectors[i].text;
    size_t n = strlen (text);
    char *copy = malloc (n);

    for (int turn = 0; turn < 60; turn++) {
      struct ssh_key *k = NULL;
      size_t length = n;

      memcpy (copy, text, n);
      random = random * 1664525u + 1013904223u;
      if (turn % 3 == 0)
        length = random % n;
      else
        copy[random % n] = "AZaz09+/"[random >> 20 & 7];
      if (ssh_key_load (copy, length, NULL, &k, NULL) == ERR_OK)
        ssh_key_free (k);
    }
    free (copy);
  }
  CU_PASS ("no crash");
}

static void
the_parser_takes_any_bytes (void)
{
  uint8_t bytes[300] = "openssh-key-v1";
  uint32_t random = 7;

  for (int turn = 0; turn < 20000; turn++) {
    EVP_PKEY *pkey = NULL;
    size_t n = sizeof "openssh-key-v1";

    while (n < sizeof bytes) {
      random = random * 1664525u + 1013904223u;
      /* Lengths that fit are small. */
      bytes[n++] = (random >> 28) < 11 ? 0 : (uint8_t)(random >> 16);
    }
    if (ssh_key_parse_openssh (bytes, random % sizeof bytes,
                               turn & 1 ? "x" : NULL, &pkey, NULL)
        == ERR_OK)
      EVP_PKEY_free (pkey);
  }
  CU_PASS ("no crash");
}

/* OpenSSL's memory, of which one piece cannot be had. */
static unsigned refuse_in; /* 0: none; 1: the next one */
static long pieces;

static void *
take (size_t n, const char *file, int line)
{
  void *p = refuse_in && --refuse_in == 0 ? NULL : malloc (n);

  (void)file;
  (void)line;
  pieces += p != NULL;
  return p;
}

static void *
take_more (void *p, size_t n, const char *file, int line)
{
  void *q;

  if (!p)
    return take (n, file, line);
  q = refuse_in && --refuse_in == 0 ? NULL : realloc (p, n);
  pieces -= q && n == 0;
  return q;
}

static void
give (void *p, const char *file, int line)
{
  (void)file;
  (void)line;
  pieces -= p != NULL;
  free (p);
}

static void __attribute__ ((constructor)) count_memory (void)
{
  CRYPTO_set_mem_functions (take, take_more, give);
}

/* The pieces that loading it leaves when the nth cannot be had. */
static long
left_without (const char *text, unsigned nth)
{
  struct ssh_key *k = NULL;
  long before = pieces;

  refuse_in = nth;
  if (ssh_key_load (text, strlen (text), NULL, &k, NULL) == ERR_OK)
    ssh_key_free (k);
  if (refuse_in)
    return -1; /* it needs fewer */
  ERR_clear_error ();
  return pieces - before;
}

static void
short_memory_leaks_nothing (void)
{
  for (size_t i = 0; i < KEY_VECTORS; i++) {
    const char *text = key_vectors[i].text;
    struct ssh_key *k = NULL;
    long left = 0;

    if (!key_vectors[i].algorithm || !strstr (text, "BEGIN OPENSSH"))
      continue;
    /* what OpenSSL keeps for itself */
    for (int turn = 0; turn < 2; turn++) {
      CU_ASSERT_EQUAL (ssh_key_load (text, strlen (text), NULL, &k, NULL),
                       ERR_OK);
      ssh_key_free (k);
    }
    for (unsigned n = 1; left >= 0; n++) {
      left = left_without (text, n);
      if (left > 0)
        fprintf (stderr, "%s: %ld pieces left without the %u.\n",
                 key_vectors[i].algorithm, left, n);
      CU_ASSERT (left <= 0);
    }
    refuse_in = 0;
  }
}

UNIT_MAIN ("keys", UNIT_TEST (loads_and_signs_every_kind),
           UNIT_TEST (the_blob_names_the_kind_of_key),
           UNIT_TEST (says_that_a_key_is_encrypted),
           UNIT_TEST (decrypts_what_ssh_keygen_encrypts),
           UNIT_TEST (tells_a_wrong_passphrase),
           UNIT_TEST (refuses_odd_encryption),
           UNIT_TEST (exports_what_it_loads),
           UNIT_TEST (finds_the_key_behind_other_things),
           UNIT_TEST (other_kinds_are_not_even_decoded),
           UNIT_TEST (numbers_that_do_not_belong_to_the_modulus),
           UNIT_TEST (only_the_first_key_counts),
           UNIT_TEST (refuses_what_is_no_key), UNIT_TEST (survives_damage),
           UNIT_TEST (the_parser_takes_any_bytes),
           UNIT_TEST (short_memory_leaks_nothing))
