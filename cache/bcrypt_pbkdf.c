/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/bcrypt_pbkdf.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "cache/pi.h"

#define SUBKEYS 18
#define BLOCK_WORDS 8
#define BLOCK_BYTES (4 * BLOCK_WORDS)
#define COST 64 /* turns of the key schedule, and of the encryption */

struct blowfish {
  uint32_t p[SUBKEYS];
  uint32_t s[4][256];
};

_Static_assert(sizeof (struct blowfish) == PI_WORDS * sizeof (uint32_t),
               "pi fills it");

/* Everything with the passphrase in it, to be wiped at one place. */
struct work {
  struct blowfish b;
  uint8_t passphrase[SHA512_DIGEST_LENGTH];
  uint8_t salt[SHA512_DIGEST_LENGTH];
  uint8_t block[BLOCK_BYTES];
  uint8_t sum[BLOCK_BYTES];
  uint8_t counted[BCRYPT_PBKDF_SALT_BYTES + 4];
};

static uint32_t
half_round (const struct blowfish *b, uint32_t x)
{
  return ((b->s[0][x >> 24] + b->s[1][x >> 16 & 255]) ^ b->s[2][x >> 8 & 255])
         + b->s[3][x & 255];
}

static void
encrypt (const struct blowfish *b, uint32_t *left, uint32_t *right)
{
  uint32_t l = *left, r = *right;

  for (unsigned i = 0; i < 16; i += 2) {
    l ^= b->p[i];
    r ^= half_round (b, l);
    r ^= b->p[i + 1];
    l ^= half_round (b, r);
  }
  *left = r ^ b->p[17];
  *right = l ^ b->p[16];
}

static uint32_t
word_at (const uint8_t *p, unsigned index)
{
  p += 4 * (index % (SHA512_DIGEST_LENGTH / 4));
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
         | p[3];
}

/* bcrypt's ExpandKey: the key goes into the subkeys, then the cipher replaces
 * its own tables, with the salt (NULL: zeroes) mixed into what it encrypts.
 */
static void
expand (struct blowfish *b, const uint8_t key[SHA512_DIGEST_LENGTH],
        const uint8_t *salt)
{
  uint32_t l = 0, r = 0;
  unsigned at = 0;

  for (unsigned i = 0; i < SUBKEYS; i++)
    b->p[i] ^= word_at (key, i);
  for (unsigned i = 0; i < SUBKEYS + 4 * 256; i += 2) {
    uint32_t *to =
        i < SUBKEYS ? &b->p[i] : &b->s[(i - SUBKEYS) >> 8][(i - SUBKEYS) & 255];

    if (salt) {
      l ^= word_at (salt, at++);
      r ^= word_at (salt, at++);
    }
    encrypt (b, &l, &r);
    to[0] = l;
    to[1] = r;
  }
}

/* bcrypt with a 256-bit constant for its text and both inputs of 512 bits. */
static void
bcrypt_hash (struct work *w)
{
  static const uint8_t text[BLOCK_BYTES + 1] =
      "OxychromaticBlowfishSwatDynamite";
  uint32_t c[BLOCK_WORDS];

  memcpy (&w->b, pi_words, sizeof w->b);
  expand (&w->b, w->passphrase, w->salt);
  for (unsigned i = 0; i < COST; i++) {
    expand (&w->b, w->salt, NULL);
    expand (&w->b, w->passphrase, NULL);
  }
  for (unsigned i = 0; i < BLOCK_WORDS; i++)
    c[i] = word_at (text, i);
  for (unsigned turn = 0; turn < COST; turn++)
    for (unsigned i = 0; i < BLOCK_WORDS; i += 2)
      encrypt (&w->b, &c[i], &c[i + 1]);
  for (unsigned i = 0; i < BLOCK_BYTES; i++)
    w->block[i] = (uint8_t)(c[i / 4] >> 8 * (i % 4));
  OPENSSL_cleanse (c, sizeof c);
}

/* One block of 32 bytes, as PBKDF2's F: the xor of all rounds. */
static void
derive_block (struct work *w, size_t salt_bytes, uint32_t number,
              uint32_t rounds)
{
  uint8_t *count = w->counted + salt_bytes;

  for (unsigned i = 0; i < 4; i++)
    count[i] = (uint8_t)(number >> 8 * (3 - i));
  SHA512 (w->counted, salt_bytes + 4, w->salt);
  bcrypt_hash (w);
  memcpy (w->sum, w->block, BLOCK_BYTES);
  while (--rounds) {
    SHA512 (w->block, BLOCK_BYTES, w->salt);
    bcrypt_hash (w);
    for (unsigned i = 0; i < BLOCK_BYTES; i++)
      w->sum[i] ^= w->block[i];
  }
}

enum err
bcrypt_pbkdf (const char *passphrase, size_t passphrase_bytes,
              const uint8_t *salt, size_t salt_bytes, uint32_t rounds,
              uint8_t *dst, size_t dst_bytes)
{
  size_t blocks = (dst_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
  struct work *w;

  if (rounds == 0 || passphrase_bytes == 0 || salt_bytes == 0
      || salt_bytes > BCRYPT_PBKDF_SALT_BYTES || dst_bytes == 0
      || dst_bytes > BCRYPT_PBKDF_BYTES)
    return ERR_INVAL;
  w = calloc (1, sizeof *w);
  if (!w)
    return ERR_NOMEM;
  SHA512 ((const uint8_t *)passphrase, passphrase_bytes, w->passphrase);
  memcpy (w->counted, salt, salt_bytes);
  for (size_t n = 0; n < blocks; n++) {
    derive_block (w, salt_bytes, (uint32_t)n + 1, rounds);
    /* Not one block after the other: every block has bytes everywhere. */
    for (size_t i = 0; i * blocks + n < dst_bytes; i++)
      dst[i * blocks + n] = w->sum[i];
  }
  OPENSSL_cleanse (w, sizeof *w);
  free (w);
  return ERR_OK;
}
