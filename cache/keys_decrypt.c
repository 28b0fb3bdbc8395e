/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/keys_decrypt.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "cache/bcrypt_pbkdf.h"
#include "common/wire.h"

#define KEY_BYTES 64
#define IV_BYTES 16
#define TAG_BYTES 16

struct method {
  const char *name;
  const char *evp; /* NULL: chacha20-poly1305 as OpenSSH defines it */
  uint8_t key_bytes, iv_bytes, block_bytes, tag_bytes;
};

static const struct method methods[] = {
    {"aes256-ctr", "AES-256-CTR", 32, 16, 1, 0},
    {"aes192-ctr", "AES-192-CTR", 24, 16, 1, 0},
    {"aes128-ctr", "AES-128-CTR", 16, 16, 1, 0},
    {"aes256-cbc", "AES-256-CBC", 32, 16, 16, 0},
    {"aes192-cbc", "AES-192-CBC", 24, 16, 16, 0},
    {"aes128-cbc", "AES-128-CBC", 16, 16, 16, 0},
    {"rijndael-cbc@lysator.liu.se", "AES-256-CBC", 32, 16, 16, 0},
    {"3des-cbc", "DES-EDE3-CBC", 24, 8, 8, 0},
    {"aes256-gcm@openssh.com", "AES-256-GCM", 32, 12, 1, TAG_BYTES},
    {"aes128-gcm@openssh.com", "AES-128-GCM", 16, 12, 1, TAG_BYTES},
    {"chacha20-poly1305@openssh.com", NULL, 64, 0, 1, TAG_BYTES},
};

static const struct method *
find_method (const char *name)
{
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (strcmp (methods[i].name, name) == 0)
      return &methods[i];
  return NULL;
}

static enum err
derive (const struct key_encryption *k, const char *passphrase, uint8_t *dst,
        size_t dst_bytes, struct fault *f)
{
  struct wire w = wire_init (k->kdf_options, k->kdf_options_bytes);
  size_t salt_bytes;
  const uint8_t *salt = wire_string (&w, BCRYPT_PBKDF_SALT_BYTES, &salt_bytes);
  uint32_t rounds = wire_u32 (&w);
  enum err e;

  if (wire_end (&w))
    return fault_set (f, ERR_INVAL, "the private key is damaged");
  if (rounds > KEYS_ROUNDS_MAX) {
    fault_set (f, ERR_LIMIT, "it is encrypted with %u rounds, more than %u",
               rounds, KEYS_ROUNDS_MAX);
    fault_hint (f, "encrypt it again with less, by ssh-keygen -p -a 100");
    return ERR_LIMIT;
  }
  e = bcrypt_pbkdf (passphrase, strlen (passphrase), salt, salt_bytes, rounds,
                    dst, dst_bytes);
  return e ? fault_set (f, e, "cannot derive a key from the passphrase: %s",
                        err_text (e))
           : ERR_OK;
}

static bool
decrypt_evp (const struct method *m, const uint8_t *key, const uint8_t *tag,
             const uint8_t *src, size_t length_bytes, uint8_t *dst)
{
  EVP_CIPHER *cipher = EVP_CIPHER_fetch (NULL, m->evp, NULL);
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new ();
  int n = 0, rest = 0;
  bool ok = cipher && ctx
            && EVP_DecryptInit_ex2 (ctx, cipher, key, key + m->key_bytes, NULL)
            && EVP_CIPHER_CTX_set_padding (ctx, 0)
            && (!m->tag_bytes
                || EVP_CIPHER_CTX_ctrl (ctx, EVP_CTRL_AEAD_SET_TAG,
                                        m->tag_bytes, (void *)tag))
            && EVP_DecryptUpdate (ctx, dst, &n, src, (int)length_bytes)
            && EVP_DecryptFinal_ex (ctx, dst + n, &rest)
            && (size_t)n + (size_t)rest == length_bytes;

  EVP_CIPHER_CTX_free (ctx);
  EVP_CIPHER_free (cipher);
  return ok;
}

/* iv: a 64-bit block counter and a 64-bit nonce, both little-endian. */
static bool
chacha20 (const uint8_t *key, uint8_t counter, const uint8_t *src,
          size_t length_bytes, uint8_t *dst)
{
  uint8_t iv[IV_BYTES] = {counter};
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new ();
  int n = 0;
  bool ok = ctx && EVP_DecryptInit_ex2 (ctx, EVP_chacha20 (), key, iv, NULL)
            && EVP_DecryptUpdate (ctx, dst, &n, src, (int)length_bytes);

  EVP_CIPHER_CTX_free (ctx);
  return ok;
}

/* OpenSSH's PROTOCOL.chacha20poly1305, with sequence number 0 and without the
 * encrypted length, whose half of the key goes unused.
 */
static bool
decrypt_chacha20_poly1305 (const uint8_t *key, const uint8_t *tag,
                           const uint8_t *src, size_t length_bytes,
                           uint8_t *dst)
{
  static const uint8_t zeroes[32];
  uint8_t once[32], sum[TAG_BYTES];
  size_t n = 0;
  bool ok = chacha20 (key, 0, zeroes, sizeof once, once)
            && EVP_Q_mac (NULL, "POLY1305", NULL, NULL, NULL, once, sizeof once,
                          src, length_bytes, sum, sizeof sum, &n)
            && n == TAG_BYTES && CRYPTO_memcmp (sum, tag, TAG_BYTES) == 0
            && chacha20 (key, 1, src, length_bytes, dst);

  OPENSSL_cleanse (once, sizeof once);
  return ok;
}

enum err
keys_decrypt (const struct key_encryption *k, const char *passphrase,
              const uint8_t *src, size_t length_bytes, uint8_t *dst,
              struct fault *f)
{
  const struct method *m = find_method (k->cipher);
  uint8_t key[KEY_BYTES + IV_BYTES];
  bool ok;
  enum err e;

  if (!m || strcmp (k->kdf, "bcrypt") != 0)
    return fault_set (f, ERR_NOTSUP,
                      "it is encrypted by %.40s and %.40s, "
                      "which is not supported",
                      k->cipher, k->kdf);
  if (k->tag_bytes != m->tag_bytes || length_bytes % m->block_bytes)
    return fault_set (f, ERR_INVAL, "the private key is damaged");
  e = derive (k, passphrase, key, (size_t)m->key_bytes + m->iv_bytes, f);
  if (e)
    return e;
  ok = m->evp ? decrypt_evp (m, key, k->tag, src, length_bytes, dst)
              : decrypt_chacha20_poly1305 (key, k->tag, src, length_bytes, dst);
  OPENSSL_cleanse (key, sizeof key);
  return ok ? ERR_OK : fault_set (f, ERR_AUTH, "wrong passphrase");
}
