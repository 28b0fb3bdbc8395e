/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/chap.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

/* CHAP_A of RFC 7143 §12.1.3 and its IANA registry. */
static const struct {
  uint8_t algorithm;
  const char *digest;
  unsigned length_bytes;
} algorithms[] = {
    {5, "MD5", 16}, {6, "SHA1", 20}, {7, "SHA2-256", 32}, {8, "SHA3-256", 32}};

static int
find_algorithm (uint8_t algorithm)
{
  for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
    if (algorithms[i].algorithm == algorithm)
      return (int)i;
  return -1;
}

const char *
chap_algorithm_name (uint8_t algorithm)
{
  int i = find_algorithm (algorithm);

  return i < 0 ? "an unknown algorithm" : algorithms[i].digest;
}

/* RFC 1994 §4.1: over the identifier, the secret, the challenge. */
static enum err
respond (uint8_t algorithm, uint8_t id, const char *secret,
         const uint8_t *challenge, size_t challenge_bytes, uint8_t *dst,
         size_t *ret_bytes)
{
  int i = find_algorithm (algorithm);
  unsigned n = 0;
  EVP_MD *digest;
  EVP_MD_CTX *ctx;
  bool ok;

  if (i < 0)
    return ERR_NOTSUP;
  /* MD5 may be missing: FIPS. */
  digest = EVP_MD_fetch (NULL, algorithms[i].digest, NULL);
  ctx = EVP_MD_CTX_new ();
  ok = digest && ctx && EVP_DigestInit_ex2 (ctx, digest, NULL)
       && EVP_DigestUpdate (ctx, &id, 1)
       && EVP_DigestUpdate (ctx, secret, strlen (secret))
       && EVP_DigestUpdate (ctx, challenge, challenge_bytes)
       && EVP_DigestFinal_ex (ctx, dst, &n);
  EVP_MD_CTX_free (ctx);
  EVP_MD_free (digest);
  if (!ok || n != algorithms[i].length_bytes)
    return ERR_NOTSUP;
  *ret_bytes = n;
  return ERR_OK;
}

/* C2. What is hashed is the secret and then the challenge: where one secret
 * begins with the other, its rest may stand in front of, or be missing from, a
 * challenge that is ours but for that.
 */
static bool
is_ours (const struct chap_issued *issued, const uint8_t *bytes, size_t n)
{
  for (unsigned i = 0; i < CHAP_ISSUED; i++) {
    const uint8_t *own = issued->challenge[i].bytes;
    size_t own_bytes = issued->challenge[i].length_bytes;
    size_t common = own_bytes < n ? own_bytes : n;

    if (common >= CHAP_TAIL_BYTES
        && memcmp (own + own_bytes - common, bytes + n - common, common) == 0)
      return true;
  }
  return false;
}

static void
remember (struct chap_issued *issued, const uint8_t *bytes, size_t n)
{
  unsigned i = issued->next++ % CHAP_ISSUED;

  issued->challenge[i].length_bytes = (uint8_t)n;
  memcpy (issued->challenge[i].bytes, bytes, n);
}

/* As long as the digest: servers with small buffers know that length. */
static enum err
challenge_target (struct chap *c, struct chap_issued *issued,
                  uint8_t algorithm, struct proto_given *g)
{
  unsigned n = algorithms[find_algorithm (algorithm)].length_bytes;

  if (RAND_bytes (&c->id, 1) != 1 || RAND_bytes (c->challenge, (int)n) != 1)
    return ERR_IO;
  c->challenged = true;
  c->algorithm = algorithm;
  c->length_bytes = (uint8_t)n;
  remember (issued, c->challenge, n);
  g->id = c->id;
  g->challenge_bytes = n;
  memcpy (g->challenge, c->challenge, n);
  return ERR_OK;
}

static enum err
answer (struct chap *c, const struct chap_secrets *s,
        struct chap_issued *issued, const struct proto_want *w,
        struct proto_given *g, struct fault *f)
{
  if (c->answered)
    return fault_set (f, ERR_PEER,
                      "the worker asked for a second CHAP answer");
  c->answered = true;
  if (w->data_bytes == 0 || is_ours (issued, w->data, w->data_bytes))
    return fault_set (f, ERR_PEER,
                      w->data_bytes
                          ? "the target's CHAP challenge is one of ours: "
                            "somebody wants us to answer in its place"
                          : "the target's CHAP challenge is empty");
  if (!s->user || !s->secret || w->mutual != (s->target_secret != NULL)) {
    g->error = ERR_AUTH;
    return ERR_OK;
  }
  g->error = respond (w->algorithm, w->id, s->secret, w->data, w->data_bytes,
                      g->data, &g->data_bytes);
  if (!g->error && w->mutual)
    g->error = challenge_target (c, issued, w->algorithm, g);
  if (g->error) {
    g->data_bytes = g->challenge_bytes = 0;
    return ERR_OK;
  }
  snprintf (g->name, sizeof g->name, "%s", s->user);
  return ERR_OK;
}

static enum err
check (struct chap *c, const struct chap_secrets *s,
       const struct proto_want *w, struct proto_given *g, struct fault *f)
{
  uint8_t right[EVP_MAX_MD_SIZE];
  size_t n = 0;

  if (!c->challenged || c->checked)
    return fault_set (f, ERR_PEER,
                      "the worker has a CHAP answer checked that nobody asked "
                      "for");
  c->checked = true;
  g->error = respond (c->algorithm, c->id, s->target_secret, c->challenge,
                      c->length_bytes, right, &n);
  if (!g->error
      && (w->data_bytes != n || CRYPTO_memcmp (right, w->data, n) != 0
          || strcmp (w->name, s->target_user) != 0))
    g->error = ERR_AUTH;
  c->proven = !g->error;
  OPENSSL_cleanse (right, sizeof right);
  return ERR_OK;
}

enum err
chap_answer (struct chap *c, const struct chap_secrets *s,
             struct chap_issued *issued, const struct proto_want *w,
             struct proto_given *ret, struct fault *f)
{
  struct proto_given g = {.type = w->type};
  enum err e;

  switch (w->type) {
  case PROTO_WANT_CHAP:
    e = answer (c, s, issued, w, &g, f);
    break;
  case PROTO_WANT_CHAP_CHECK:
    e = check (c, s, w, &g, f);
    break;
  default:
    e = fault_set (f, ERR_PEER, "the worker asked for something unknown");
    break;
  }
  if (!e)
    *ret = g;
  OPENSSL_cleanse (&g, sizeof g);
  return e;
}

enum err
chap_may_be_ready (const struct chap *c, const struct chap_secrets *s,
                   struct fault *f)
{
  if (!s->target_secret || c->proven)
    return ERR_OK;
  fault_set (f, ERR_AUTH, "the target has not proven that it knows the secret "
                          "of target-user=%s",
             s->target_user);
  fault_hint (f, "it has to be configured for mutual CHAP; without "
                 "target-user= and target-password= it is not asked for it");
  return ERR_AUTH;
}

void
chap_end (struct chap *c)
{
  OPENSSL_cleanse (c, sizeof *c);
}
