/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/signer.h"

#include <string.h>

#include "common/wire.h"
#include "tests/unit/unit.h"

#include "tests/unit/cache/keys_vectors.h"

/* A request with every part that a worker could bend. */
struct request {
  const char *session_id;
  uint8_t number;
  const char *user, *service, *method;
  uint8_t flag;
  const char *algorithm;
  const struct ssh_key *key;
  size_t extra_bytes;
};

static struct ssh_key *
load (size_t index)
{
  struct ssh_key *k = NULL;
  const char *text = key_vectors[index].text;

  CU_ASSERT_EQUAL_FATAL (ssh_key_load (text, strlen (text), NULL, &k, NULL),
                         ERR_OK);
  return k;
}

static struct request
good (const struct ssh_key *k)
{
  return (struct request){"0123456789abcdef0123456789abcdef",
                          50,
                          "me",
                          "ssh-connection",
                          "publickey",
                          1,
                          ssh_key_algorithm (k),
                          k,
                          0};
}

static enum err
ask (struct signer *s, const struct request *r, struct fault *f)
{
  uint8_t bytes[8192] = {0}, sig[SSH_SIGNATURE_BYTES];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  size_t blob_bytes, n;
  const uint8_t *blob = ssh_key_blob (r->key, &blob_bytes);

  wirebuf_cstring (&b, r->session_id);
  wirebuf_u8 (&b, r->number);
  wirebuf_cstring (&b, r->user);
  wirebuf_cstring (&b, r->service);
  wirebuf_cstring (&b, r->method);
  wirebuf_u8 (&b, r->flag);
  wirebuf_cstring (&b, r->algorithm);
  wirebuf_string (&b, blob, blob_bytes);
  return signer_sign (s, bytes, b.used_bytes + r->extra_bytes, sig, &n, f);
}

/* A fresh signer that was told to expect `key`. */
static enum err
ask_fresh (const struct ssh_key *key, const struct request *r)
{
  struct signer s;
  struct fault f = {0};
  enum err e;

  signer_init (&s, "me");
  signer_offer (&s, key);
  e = ask (&s, r, &f);
  CU_ASSERT (e == ERR_OK || f.text[0] != 0);
  return e;
}

static void
signs_the_login (void)
{
  for (size_t i = 0; i < 5; i++) {
    struct ssh_key *k = load (i);
    struct request r = good (k);

    CU_ASSERT_EQUAL (ask_fresh (k, &r), ERR_OK);
    ssh_key_free (k);
  }
}

static void
refuses_every_deviation (void)
{
  struct ssh_key *k = load (0), *other = load (1);
  struct request r;

#define BENT(change)                                                           \
  r = good (k);                                                                \
  change;                                                                      \
  CU_ASSERT_EQUAL (ask_fresh (k, &r), ERR_PEER)

  BENT (r.session_id = "");
  BENT (r.session_id = "0123456789abcdef0123456789abcdef"
                       "0123456789abcdef0123456789abcdef0");
  BENT (r.number = 51);
  BENT (r.user = "root");
  BENT (r.user = "");
  BENT (r.user = "me2");
  BENT (r.service = "ssh-userauth");
  BENT (r.method = "hostbased");
  BENT (r.flag = 0);
  BENT (r.flag = 2);
  BENT (r.algorithm = "ssh-rsa");
  BENT (r.key = other);
  BENT (r.extra_bytes = 1);
#undef BENT
  ssh_key_free (k);
  ssh_key_free (other);
}

static void
refuses_every_cut (void)
{
  struct ssh_key *k = load (0);
  uint8_t bytes[1024], sig[SSH_SIGNATURE_BYTES];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  size_t blob_bytes, n;
  const uint8_t *blob = ssh_key_blob (k, &blob_bytes);

  wirebuf_cstring (&b, "session");
  wirebuf_u8 (&b, 50);
  wirebuf_cstring (&b, "me");
  wirebuf_cstring (&b, "ssh-connection");
  wirebuf_cstring (&b, "publickey");
  wirebuf_u8 (&b, 1);
  wirebuf_cstring (&b, "ssh-ed25519");
  wirebuf_string (&b, blob, blob_bytes);
  for (size_t length = 0; length <= b.used_bytes; length++) {
    struct signer s;

    signer_init (&s, "me");
    signer_offer (&s, k);
    CU_ASSERT_EQUAL (signer_sign (&s, bytes, length, sig, &n, NULL),
                     length == b.used_bytes ? ERR_OK : ERR_PEER);
  }
  ssh_key_free (k);
}

static void
an_offer_is_good_for_one_signature (void)
{
  struct ssh_key *k = load (0);
  struct request r = good (k);
  struct signer s;
  struct fault f;

  signer_init (&s, "me");
  CU_ASSERT_EQUAL (ask (&s, &r, &f), ERR_PEER);
  signer_offer (&s, k);
  CU_ASSERT_EQUAL (ask (&s, &r, &f), ERR_OK);
  CU_ASSERT_EQUAL (ask (&s, &r, &f), ERR_PEER);
  ssh_key_free (k);
}

static void
a_dial_is_good_for_a_few_signatures_of_one_session (void)
{
  struct ssh_key *k = load (0);
  struct request r = good (k);
  struct signer s;
  struct fault f;

  signer_init (&s, "me");
  for (unsigned i = 0; i < SIGNER_SIGNATURES; i++) {
    signer_offer (&s, k);
    CU_ASSERT_EQUAL (ask (&s, &r, &f), ERR_OK);
    signer_offer (&s, k);
    r.session_id = "another session";
    CU_ASSERT_NOT_EQUAL (ask (&s, &r, &f), ERR_OK);
    r = good (k);
  }
  signer_offer (&s, k);
  CU_ASSERT_EQUAL (ask (&s, &r, &f), ERR_LIMIT);
  ssh_key_free (k);
}

UNIT_MAIN ("signer", UNIT_TEST (signs_the_login),
           UNIT_TEST (refuses_every_deviation), UNIT_TEST (refuses_every_cut),
           UNIT_TEST (an_offer_is_good_for_one_signature),
           UNIT_TEST (a_dial_is_good_for_a_few_signatures_of_one_session))
