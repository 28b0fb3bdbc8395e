/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/chap.h"

#include <string.h>

#include <openssl/evp.h>

#include "tests/unit/unit.h"

#define SECRET "a secret of 20 bytes"
#define TARGET "what the target knows"

static const struct chap_secrets one_way = {"me", SECRET, NULL, NULL};
static const struct chap_secrets both_ways = {"me", SECRET, "it", TARGET};
static const struct chap_secrets none = {NULL, NULL, NULL, NULL};

static struct chap_issued issued;
static struct chap chap;
static struct proto_given g;
static struct fault f;

static enum err
ask (const struct chap_secrets *s, uint8_t algorithm, bool mutual,
     const void *challenge, size_t n)
{
  struct proto_want w = {.type = PROTO_WANT_CHAP, .algorithm = algorithm,
                         .id = 0x2a, .mutual = mutual, .data_bytes = n};

  memcpy (w.data, challenge, n);
  memset (&g, 0xee, sizeof g);
  return chap_answer (&chap, s, &issued, &w, &g, &f);
}

static enum err
check (const char *name, const uint8_t *response, size_t n)
{
  struct proto_want w = {.type = PROTO_WANT_CHAP_CHECK, .data_bytes = n};

  strcpy (w.name, name);
  memcpy (w.data, response, n);
  return chap_answer (&chap, &both_ways, &issued, &w, &g, &f);
}

static void
begin (void)
{
  chap_end (&chap);
  f = (struct fault){0};
}

/* printf '\x2aa secret of 20 bytes\x00…\x0f' | openssl dgst -md5 (-sha1 …) */
static void
answers_as_openssl_dgst_does (void)
{
  static const struct {
    uint8_t algorithm;
    const char *hex;
  } v[] = {
    {5, "7fbf0c1dd657653a8e3da6445eeef9d5"},
    {6, "5af45f74e6dd4780c7cdbe2561580c6a01d86d57"},
    {7, "fc03366c53117aa59c3852174408be243ccd9800bdaf2f521792b9193c039ae6"},
    {8, "0dbc21e865988ed05e54fe3ed071c27b3e3d2fd315a00707117ba7113d0fb924"},
  };
  static const uint8_t challenge[16]
    = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

  for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
    char hex[2 * PROTO_WANT_BYTES + 1] = "";

    begin ();
    CU_ASSERT_EQUAL (ask (&one_way, v[i].algorithm, false, challenge, 16),
                     ERR_OK);
    CU_ASSERT_EQUAL_FATAL (g.error, ERR_OK);
    for (size_t k = 0; k < g.data_bytes; k++)
      sprintf (hex + 2 * k, "%02x", g.data[k]);
    CU_ASSERT_STRING_EQUAL (hex, v[i].hex);
    CU_ASSERT_STRING_EQUAL (g.name, "me");
    CU_ASSERT_EQUAL (g.challenge_bytes, 0);
    CU_ASSERT_EQUAL (chap_may_be_ready (&chap, &one_way, &f), ERR_OK);
  }
}

static void
one_answer_a_dial (void)
{
  begin ();
  CU_ASSERT_EQUAL (ask (&one_way, 5, false, "abcd", 4), ERR_OK);
  CU_ASSERT_EQUAL (g.error, ERR_OK);
  CU_ASSERT_EQUAL (ask (&one_way, 5, false, "efgh", 4), ERR_PEER);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "second CHAP answer"));
}

/* As long as they are wrong, no answer and no secret gets out. */
static void
what_cannot_be_answered (void)
{
  static const struct {
    const struct chap_secrets *s;
    uint8_t algorithm;
    bool mutual;
    enum err error;
  } v[] = {
    {&none, 5, false, ERR_AUTH},      {&one_way, 5, true, ERR_AUTH},
    {&both_ways, 5, false, ERR_AUTH}, {&one_way, 4, false, ERR_NOTSUP},
    {&one_way, 9, false, ERR_NOTSUP}, {&both_ways, 0, true, ERR_NOTSUP},
  };

  for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
    begin ();
    CU_ASSERT_EQUAL (ask (v[i].s, v[i].algorithm, v[i].mutual, "abcd", 4),
                     ERR_OK);
    CU_ASSERT_EQUAL (g.error, v[i].error);
    CU_ASSERT_EQUAL (g.data_bytes, 0);
    CU_ASSERT_EQUAL (g.challenge_bytes, 0);
    CU_ASSERT_STRING_EQUAL (g.name, "");
  }
  begin ();
  CU_ASSERT_EQUAL (ask (&one_way, 5, false, "", 0), ERR_PEER);
}

/* What an honest target says to the challenge in g. */
static size_t
target_response (uint8_t algorithm, uint8_t dst[EVP_MAX_MD_SIZE])
{
  static const char *const digests[] = {"MD5", "SHA1", "SHA256", "SHA3-256"};
  uint8_t text[1 + sizeof TARGET - 1 + CHAP_CHALLENGE_BYTES];
  size_t n = 0;

  CU_ASSERT_FATAL (g.challenge_bytes <= CHAP_CHALLENGE_BYTES);
  text[0] = g.id;
  memcpy (text + 1, TARGET, sizeof TARGET - 1);
  memcpy (text + sizeof TARGET, g.challenge, g.challenge_bytes);
  CU_ASSERT_EQUAL (EVP_Q_digest (NULL, digests[algorithm - 5], NULL, text,
                                 sizeof TARGET + g.challenge_bytes, dst, &n),
                   1);
  return n;
}

static void
mutual (uint8_t algorithm, const char *name, size_t spoil, enum err error)
{
  uint8_t response[EVP_MAX_MD_SIZE + 1] = {0};
  size_t n;

  begin ();
  CU_ASSERT_EQUAL (ask (&both_ways, algorithm, true, "abcd", 4), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (g.error, ERR_OK);
  CU_ASSERT_EQUAL (chap_may_be_ready (&chap, &both_ways, &f), ERR_AUTH);
  n = target_response (algorithm, response);
  if (spoil < n)
    response[spoil] ^= 1;
  else if (spoil == n)
    n--;
  CU_ASSERT_EQUAL (check (name, response, n), ERR_OK);
  CU_ASSERT_EQUAL (g.error, error);
  CU_ASSERT_EQUAL (chap_may_be_ready (&chap, &both_ways, &f), error);
  /* Nor may it be guessed at. */
  CU_ASSERT_EQUAL (check (name, response, n), ERR_PEER);
  CU_ASSERT_EQUAL (chap_may_be_ready (&chap, &both_ways, &f), error);
}

static void
the_target_must_prove_itself (void)
{
  for (uint8_t a = 5; a <= 8; a++)
    mutual (a, "it", SIZE_MAX, ERR_OK);
  mutual (5, "somebody", SIZE_MAX, ERR_AUTH);
  mutual (5, "", SIZE_MAX, ERR_AUTH);
  for (size_t spoil = 0; spoil <= 16; spoil++)
    mutual (5, "it", spoil, ERR_AUTH);
}

static void
nothing_to_check (void)
{
  begin ();
  CU_ASSERT_EQUAL (check ("it", (const uint8_t *)"", 0), ERR_PEER);
  CU_ASSERT_EQUAL (chap_may_be_ready (&chap, &both_ways, &f), ERR_AUTH);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "target-user=it"));
}

/* A target shows us our own challenge, of another session. */
static void
reflection_is_seen (void)
{
  uint8_t ours[CHAP_CHALLENGE_BYTES];
  size_t n;

  begin ();
  CU_ASSERT_EQUAL (ask (&both_ways, 7, true, "abcd", 4), ERR_OK);
  n = g.challenge_bytes;
  memcpy (ours, g.challenge, n);
  for (unsigned i = 0; i < CHAP_ISSUED; i++) {
    begin ();
    CU_ASSERT_EQUAL (ask (&both_ways, 7, true, ours, n), ERR_PEER);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "one of ours"));
    begin ();
    CU_ASSERT_EQUAL (ask (&both_ways, 5, true, "abcd", 4), ERR_OK);
    CU_ASSERT (memcmp (g.challenge, ours, 16) != 0);
  }
}

/* One of the secrets begins with the other. */
static void
so_is_one_with_the_rest_of_a_secret (void)
{
  uint8_t longer[CHAP_CHALLENGE_BYTES + 3] = "xyz";
  uint8_t *ours = longer + 3;
  size_t n;

  begin ();
  CU_ASSERT_EQUAL (ask (&both_ways, 7, true, "abcd", 4), ERR_OK);
  n = g.challenge_bytes;
  memcpy (ours, g.challenge, n);
  for (size_t gone = 0; n - gone >= CHAP_TAIL_BYTES; gone++) {
    begin ();
    CU_ASSERT_EQUAL (ask (&both_ways, 7, true, ours + gone, n - gone),
                     ERR_PEER);
  }
  begin ();
  CU_ASSERT_EQUAL (ask (&both_ways, 7, true, longer, n + 3), ERR_PEER);
  begin ();
  CU_ASSERT_EQUAL (ask (&both_ways, 7, true, ours, n - 1), ERR_OK);
}

UNIT_MAIN ("chap", UNIT_TEST (answers_as_openssl_dgst_does),
           UNIT_TEST (one_answer_a_dial), UNIT_TEST (what_cannot_be_answered),
           UNIT_TEST (the_target_must_prove_itself),
           UNIT_TEST (nothing_to_check), UNIT_TEST (reflection_is_seen),
           UNIT_TEST (so_is_one_with_the_rest_of_a_secret))
