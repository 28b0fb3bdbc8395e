/* SPDX-License-Identifier: BSD-2-Clause */
/* Logging in, to honest targets and others; discovery; lists. */
#include "config.h"

#include <string.h>

#include "common/listing.h"
#include "protocols/iscsi/pdu.h"
#include "tests/unit/protocols/iscsi/target.h"
#include "tests/unit/unit.h"

static struct target t;

static struct heard
begin (void)
{
  CU_ASSERT_EQUAL_FATAL (target_open (&t), ERR_OK);
  return target_expect (&t, PDU_LOGIN_REQUEST);
}

static void
reset (void)
{
  memset (&t, 0, offsetof (struct target, disk));
}

/* True if the request's text has this pair. */
static bool
says (const struct heard *h, const char *pair)
{
  for (size_t at = 0; at < h->data_bytes;
       at += strlen ((const char *)h->data + at) + 1)
    if (strcmp ((const char *)h->data + at, pair) == 0)
      return true;
  return false;
}

static void
end (enum err got, enum err expected, const char *words)
{
  CU_ASSERT_EQUAL (got, expected);
  CU_ASSERT (target_failed (&t, words));
  target_close (&t);
}

static void
offers_what_it_should (void)
{
  struct heard h;

  reset ();
  h = begin ();
  CU_ASSERT_EQUAL (h.bhs[0], 0x43);
  CU_ASSERT_EQUAL (h.bhs[1], 0x81);
  CU_ASSERT (says (&h, "InitiatorName=iqn.2001-04.com.example:bulkhead"));
  CU_ASSERT (says (&h, "TargetName=" TARGET_IQN));
  CU_ASSERT (says (&h, "SessionType=Normal"));
  CU_ASSERT (says (&h, "AuthMethod=None"));
  /* A target may take two responses for what fits into one. */
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x00, ""), ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT_EQUAL (h.data_bytes, 0);
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x81, "AuthMethod=None\n"),
                   ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT_EQUAL (h.bhs[1], 0x87);
  CU_ASSERT (says (&h, "HeaderDigest=None"));
  CU_ASSERT (says (&h, "MaxRecvDataSegmentLength=262144"));
  CU_ASSERT (says (&h, "ErrorRecoveryLevel=0"));
  CU_ASSERT (says (&h, "InitialR2T=No"));
  /* Text in two pieces, and a key that nobody knows. */
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x44, "X-example.y=1\nMaxBu"),
                   ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT_EQUAL (h.bhs[1], 0x04);
  CU_ASSERT_EQUAL (h.data_bytes, 0);
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x04, "rstLength=65536\n"),
                   ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT (says (&h, "X-example.y=NotUnderstood"));
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x87, ""), ERR_OK);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  target_close (&t);
}

static void
answer_challenge (const char *keys, struct proto_want *w)
{
  struct heard h;

  h = begin ();
  CU_ASSERT_EQUAL (h.bhs[1], 0x00); /* it does not go on by itself */
  CU_ASSERT (says (&h, t.target_user ? "AuthMethod=CHAP"
                                     : "AuthMethod=CHAP,None"));
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x00, "AuthMethod=CHAP\n"),
                   ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT (says (&h, "CHAP_A=8,7,6,5"));
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x00, keys), ERR_OK);
  CU_ASSERT (!target_hear (&t, &h));
  CU_ASSERT_FATAL (iscsi_ops.want (t.p, w));
  CU_ASSERT_EQUAL (w->type, PROTO_WANT_CHAP);
  CU_ASSERT (!iscsi_ops.want (t.p, &(struct proto_want){0}));
}

static void
proves_itself_by_chap (void)
{
  struct proto_given g = {.type = PROTO_WANT_CHAP, .name = "me",
                          .data_bytes = 3, .data = {0xab, 0, 0x9f}};
  struct proto_want w;
  struct heard h;

  reset ();
  t.user = "me";
  answer_challenge ("CHAP_A=7\nCHAP_I=0x85\nCHAP_C=0bAQIDBA==\n", &w);
  CU_ASSERT_EQUAL (w.algorithm, 7);
  CU_ASSERT_EQUAL (w.id, 0x85);
  CU_ASSERT (!w.mutual);
  CU_ASSERT_EQUAL (w.data_bytes, 4);
  CU_ASSERT_EQUAL (memcmp (w.data, "\1\2\3\4", 4), 0);
  CU_ASSERT_EQUAL (iscsi_ops.give (t.p, &g, t.now_ns), ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT_EQUAL (h.bhs[1], 0x81);
  CU_ASSERT (says (&h, "CHAP_N=me"));
  CU_ASSERT (says (&h, "CHAP_R=0xab009f"));
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x81, ""), ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT_EQUAL (h.bhs[1], 0x87);
  target_close (&t);

  reset ();
  t.user = "me";
  answer_challenge ("CHAP_A=5\nCHAP_I=1\nCHAP_C=0x0102\n", &w);
  g.error = ERR_AUTH;
  end (iscsi_ops.give (t.p, &g, t.now_ns), ERR_AUTH, "no answer to the");
}

static void
has_the_target_prove_itself (void)
{
  struct proto_given g = {.type = PROTO_WANT_CHAP, .name = "me", .id = 9,
                          .data_bytes = 1, .data = {1}, .challenge_bytes = 2,
                          .challenge = {0xca, 0xfe}};
  struct proto_want w;
  struct heard h;

  for (unsigned wrong = 0; wrong < 2; wrong++) {
    reset ();
    t.user = "me";
    t.target_user = "it";
    answer_challenge ("CHAP_A=8\nCHAP_I=1\nCHAP_C=0x0102\n", &w);
    CU_ASSERT (w.mutual);
    g.type = PROTO_WANT_CHAP;
    g.error = ERR_OK;
    CU_ASSERT_EQUAL (iscsi_ops.give (t.p, &g, t.now_ns), ERR_OK);
    h = target_expect (&t, PDU_LOGIN_REQUEST);
    CU_ASSERT (says (&h, "CHAP_I=9"));
    CU_ASSERT (says (&h, "CHAP_C=0xcafe"));
    CU_ASSERT_EQUAL (
        target_login_response (&t, &h, 0x81, "CHAP_N=it\nCHAP_R=0x1234\n"),
        ERR_OK);
    CU_ASSERT (!target_hear (&t, &h)); /* nothing goes before the check */
    CU_ASSERT_FATAL (iscsi_ops.want (t.p, &w));
    CU_ASSERT_EQUAL (w.type, PROTO_WANT_CHAP_CHECK);
    CU_ASSERT_STRING_EQUAL (w.name, "it");
    CU_ASSERT_EQUAL (w.data_bytes, 2);
    g.type = PROTO_WANT_CHAP_CHECK;
    g.error = wrong ? ERR_AUTH : ERR_OK;
    if (wrong)
      break;
    CU_ASSERT_EQUAL (iscsi_ops.give (t.p, &g, t.now_ns), ERR_OK);
    h = target_expect (&t, PDU_LOGIN_REQUEST);
    CU_ASSERT_EQUAL (h.bhs[1], 0x87);
    target_close (&t);
  }
  end (iscsi_ops.give (t.p, &g, t.now_ns), ERR_AUTH,
       "failed to prove who it is");

  reset (); /* it does not even try */
  t.user = "me";
  t.target_user = "it";
  answer_challenge ("CHAP_A=8\nCHAP_I=1\nCHAP_C=0x0102\n", &w);
  g.type = PROTO_WANT_CHAP;
  g.error = ERR_OK;
  iscsi_ops.give (t.p, &g, t.now_ns);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  end (target_login_response (&t, &h, 0x81, ""), ERR_AUTH,
       "does not prove who it is");

  reset (); /* or lets us in without */
  t.user = "me";
  t.target_user = "it";
  h = begin ();
  end (target_login_response (&t, &h, 0x00, "AuthMethod=None\n"), ERR_AUTH,
       "wants no CHAP");
}

static enum err
status (struct heard *h, uint8_t class, uint8_t detail, const char *keys)
{
  uint8_t b[48] = {0x23, 0x00};
  char text[300];
  uint32_t n = (uint32_t)strlen (keys);

  memcpy (text, keys, n + 1);
  memcpy (b + 8, h->bhs + 8, 12);
  b[36] = class;
  b[37] = detail;
  return target_say (&t, b, text, n ? n + 1 : 0, false);
}

/* tgt takes 7 for SHA-1: the next engine does without. */
static void
tries_without_sha256 (void)
{
  struct proto_given g = {.type = PROTO_WANT_CHAP, .name = "me",
                          .data_bytes = 1, .data = {1}};
  struct proto_want w;
  struct heard h;

  reset ();
  t.user = "me";
  answer_challenge ("CHAP_A=7\nCHAP_I=1\nCHAP_C=0x01\n", &w);
  CU_ASSERT_EQUAL (iscsi_ops.give (t.p, &g, t.now_ns), ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT_EQUAL (status (&h, 2, 0, ""), ERR_OK);
  CU_ASSERT_FATAL (iscsi_ops.want (t.p, &w));
  CU_ASSERT_EQUAL (w.type, PROTO_WANT_MOVE);
  CU_ASSERT_EQUAL (w.host[0], 0);
  CU_ASSERT_EQUAL (w.port, 0);
  target_close (&t);

  memcpy (t.moved, w.data, w.data_bytes);
  t.moved_bytes = w.data_bytes;
  h = begin ();
  target_login_response (&t, &h, 0x00, "AuthMethod=CHAP\n");
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT (says (&h, "CHAP_A=8,6,5"));
  target_login_response (&t, &h, 0x00, "CHAP_A=5\nCHAP_I=1\nCHAP_C=0x01\n");
  CU_ASSERT (iscsi_ops.want (t.p, &w));
  CU_ASSERT_EQUAL (iscsi_ops.give (t.p, &g, t.now_ns), ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  end (status (&h, 2, 1, ""), ERR_AUTH, "user name or the password");
}

/* The next engine is told what the last one wanted. Returns the offer's
 * request. */
static struct heard
anew (const struct proto_want *w)
{
  struct heard h;

  CU_ASSERT_EQUAL (w->type, PROTO_WANT_MOVE);
  CU_ASSERT (!w->host[0] && !w->port);
  target_close (&t);
  memcpy (t.moved, w->data, w->data_bytes);
  t.moved_bytes = w->data_bytes;
  h = begin ();
  target_login_response (&t, &h, 0x00, "AuthMethod=CHAP\n");
  return target_expect (&t, PDU_LOGIN_REQUEST);
}

/* A challenge as long as only tgt's are is not answered at all; but a target
 * that knows nothing else has what it wants.
 */
static void
tells_tgt_by_its_challenge (void)
{
  struct proto_given g = {.type = PROTO_WANT_CHAP, .name = "me",
                          .data_bytes = 1, .data = {1}};
  struct proto_want w;
  struct heard h;

  reset ();
  t.user = "me";
  h = begin ();
  target_login_response (&t, &h, 0x00, "AuthMethod=CHAP\n");
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  target_login_response (&t, &h, 0x00,
                         "CHAP_A=7\nCHAP_I=1\nCHAP_C=0x0102030405060708"
                         "0102030405060708010203040506070801\n");
  CU_ASSERT (!target_hear (&t, &h));
  CU_ASSERT_FATAL (iscsi_ops.want (t.p, &w));
  h = anew (&w);
  CU_ASSERT (says (&h, "CHAP_A=8,6,5"));
  target_login_response (&t, &h, 0x00, "CHAP_A=Reject\n");
  CU_ASSERT_FATAL (iscsi_ops.want (t.p, &w));
  h = anew (&w);
  CU_ASSERT (says (&h, "CHAP_A=7"));
  target_login_response (&t, &h, 0x00,
                         "CHAP_A=7\nCHAP_I=1\nCHAP_C=0x0102030405060708"
                         "0102030405060708010203040506070801\n");
  CU_ASSERT_FATAL (iscsi_ops.want (t.p, &w));
  CU_ASSERT_EQUAL (w.type, PROTO_WANT_CHAP);
  CU_ASSERT_EQUAL (iscsi_ops.give (t.p, &g, t.now_ns), ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  end (status (&h, 2, 1, ""), ERR_AUTH, "user name or the password");
}

static void
refuses_bad_chap (void)
{
  static const struct {
    const char *keys, *words;
  } bad[] = {
      {"CHAP_I=1\nCHAP_C=0x01\n", "CHAP_A=(nothing)"},
      {"CHAP_A=4\nCHAP_I=1\nCHAP_C=0x01\n", "CHAP_A=4"},
      {"CHAP_A=5\nCHAP_I=256\nCHAP_C=0x01\n", "CHAP_I=256"},
      {"CHAP_A=5\nCHAP_I=1\nCHAP_C=0x\n", "CHAP_C=0x,"},
      {"CHAP_A=5\nCHAP_I=1\nCHAP_C=0xzz\n", "CHAP_C=0xzz"},
      {"CHAP_A=5\nCHAP_I=1\nCHAP_C=12\n", "CHAP_C=12"},
      {"CHAP_A=5\nCHAP_A=5\nCHAP_I=1\n", "sends CHAP_A twice"},
      {"CHAP_A=Reject\n", "no CHAP algorithm"},
  };

  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct heard h;
    enum err e;

    reset ();
    t.user = "me";
    h = begin ();
    target_login_response (&t, &h, 0x00, "AuthMethod=CHAP\n");
    h = target_expect (&t, PDU_LOGIN_REQUEST);
    e = target_login_response (&t, &h, 0x00, bad[i].keys);
    CU_ASSERT_NOT_EQUAL (e, ERR_OK);
    CU_ASSERT (target_failed (&t, bad[i].words));
    target_close (&t);
  }
}

static void
takes_an_algorithm_that_was_offered (void)
{
  static const struct {
    const char *offered, *keys, *words;
  } bad[] = {
      {"CHAP_A=8,7,6,5", "CHAP_A=9\nCHAP_I=1\nCHAP_C=0x01\n", "CHAP_A=9,"},
      {"CHAP_A=8,6,5", "CHAP_A=7\nCHAP_I=1\nCHAP_C=0x01\n", "CHAP_A=7,"},
      {"CHAP_A=7", "CHAP_A=5\nCHAP_I=1\nCHAP_C=0x01\n", "CHAP_A=5,"},
  };

  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct heard h;

    reset ();
    t.user = "me";
    t.moved_bytes = strlen (bad[i].offered) + 1;
    memcpy (t.moved, bad[i].offered, t.moved_bytes);
    h = begin ();
    target_login_response (&t, &h, 0x00, "AuthMethod=CHAP\n");
    h = target_expect (&t, PDU_LOGIN_REQUEST);
    CU_ASSERT (says (&h, bad[i].offered));
    end (target_login_response (&t, &h, 0x00, bad[i].keys), ERR_PEER,
         bad[i].words);
  }
}

static void
says_why_it_is_refused (void)
{
  static const struct {
    uint8_t class, detail;
    enum err error;
    const char *words;
  } refusals[] = {
      {2, 1, ERR_AUTH, "user name or the password (login status 0201h"},
      {2, 2, ERR_ACCESS, "not allowed"},
      {2, 3, ERR_NOENT, "no such target"},
      {2, 9, ERR_NOTSUP, "session type"},
      {3, 1, ERR_IO, "not working now"},
      {3, 77, ERR_IO, "unknown status 034dh"},
      {9, 9, ERR_PEER, "unknown status 0909h"},
  };
  struct heard h;

  for (unsigned i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    reset ();
    h = begin ();
    end (status (&h, refusals[i].class, refusals[i].detail, ""),
         refusals[i].error, refusals[i].words);
  }
}

static void
is_redirected (void)
{
  struct proto_want w;
  struct heard h;

  reset ();
  h = begin ();
  CU_ASSERT_EQUAL (status (&h, 1, 1, "TargetAddress=[fe80::1]:3261,2"),
                   ERR_OK);
  CU_ASSERT_FATAL (iscsi_ops.want (t.p, &w));
  CU_ASSERT_EQUAL (w.type, PROTO_WANT_MOVE);
  CU_ASSERT_STRING_EQUAL (w.host, "fe80::1");
  CU_ASSERT_EQUAL (w.port, 3261);
  CU_ASSERT (w.why[0]);
  CU_ASSERT_EQUAL (iscsi_ops.deadline_ns (t.p), PROTO_NO_DEADLINE);
  target_close (&t);

  reset ();
  h = begin ();
  CU_ASSERT_EQUAL (status (&h, 1, 2, "TargetAddress=san-2.example.com"),
                   ERR_OK);
  CU_ASSERT (iscsi_ops.want (t.p, &w));
  CU_ASSERT_EQUAL (w.port, 3260);
  target_close (&t);

  /* Later, with a StatSN that does not count then (§11.13.4). */
  reset ();
  h = begin ();
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x81, "AuthMethod=None\n"),
                   ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  t.stat_sn = 0x1234;
  CU_ASSERT_EQUAL (status (&h, 1, 1, "TargetAddress=san-3.example.com"),
                   ERR_OK);
  CU_ASSERT (iscsi_ops.want (t.p, &w));
  CU_ASSERT_STRING_EQUAL (w.host, "san-3.example.com");
  target_close (&t);

  reset ();
  h = begin ();
  end (status (&h, 1, 1, ""), ERR_PEER, "without a TargetAddress");
  reset ();
  h = begin ();
  end (status (&h, 1, 1, "TargetAddress=a b:1"), ERR_PEER, "no address");
  reset ();
  h = begin ();
  end (status (&h, 1, 1, "TargetAddress=h:99999"), ERR_PEER, "no address");
}

/* flags and keys of a first response that must not be. */
static void
refuses_bad_responses (void)
{
  static const struct {
    uint8_t flags;
    const char *keys, *words;
  } bad[] = {
      {0x83, "", "goes on to stage 3"},
      {0xc1, "", "goes on to stage 1"},
      {0x85, "", "for stage 1"},
      {0x81, "AuthMethod=KRB5\n", "was not offered"},
      {0x81, "MaxBurstLength\n", "no key=value"},
      {0x81, "=1\n", "no key=value"},
      {0x81, "MaxBurstLength=1", "without its NUL"},
      {0x81, "MaxBurstLength=2000000\n", "no answer to what was offered"},
      {0x81, "MaxBurstLength=511\n", "no answer to what was offered"},
      {0x81, "MaxBurstLength=4096x\n", "no answer to what was offered"},
      {0x81, "InitialR2T=Maybe\n", "InitialR2T=Maybe"},
      {0x81, "MaxConnections=4\n", "MaxConnections=4"},
      {0x81, "ErrorRecoveryLevel=1\n", "ErrorRecoveryLevel=1"},
      {0x81, "DataPDUInOrder=Reject\n", "which it must understand"},
      {0x81, "InitialR2T=Yes\nInitialR2T=Yes\n", "InitialR2T twice"},
      {0x81, "TargetPortalGroupTag=65536\n", "TargetPortalGroupTag"},
  };
  struct heard h;
  uint8_t b[48] = {0x20, 0x80};

  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    reset ();
    h = begin ();
    end (target_login_response (&t, &h, bad[i].flags, bad[i].keys), ERR_PEER,
         bad[i].words);
  }
  reset ();
  h = begin ();
  end (target_say (&t, b, NULL, 0, false), ERR_PEER, "NOP-In during login");
  reset ();
  h = begin ();
  h.bhs[9] ^= 1;
  end (target_login_response (&t, &h, 0x81, ""), ERR_PEER, "another ISID");
  reset ();
  h = begin ();
  h.bhs[19] ^= 1;
  end (target_login_response (&t, &h, 0x81, ""), ERR_PEER,
       "Initiator Task Tag");
  reset ();
  CU_ASSERT_EQUAL (target_open (&t), ERR_OK); /* nothing was sent yet */
  h.bhs[19] = 0;
  end (target_login_response (&t, &h, 0x81, ""), ERR_PEER,
       "before it was sent");
}

static void
ends_what_does_not_end (void)
{
  struct heard h;
  enum err e = ERR_OK;
  char text[4001];

  reset ();
  h = begin ();
  for (unsigned i = 0; i < 100 && !e; i++) {
    e = target_login_response (&t, &h, 0x00, "");
    if (!e)
      h = target_expect (&t, PDU_LOGIN_REQUEST);
  }
  end (e, ERR_PEER, "32 responses without a result");

  reset ();
  memset (text, 'a', 4000);
  text[4000] = 0;
  h = begin ();
  for (unsigned i = 0, f = 0; i < 100 && !f; i++) {
    e = target_login_response (&t, &h, 0x40, text);
    f = e != ERR_OK;
    if (!e)
      h = target_expect (&t, PDU_LOGIN_REQUEST);
  }
  end (e, ERR_PEER, "text does not end");

  reset ();
  h = begin ();
  CU_ASSERT_EQUAL (iscsi_ops.tick (t.p, t.now_ns), ERR_OK);
  t.now_ns = iscsi_ops.deadline_ns (t.p);
  end (iscsi_ops.tick (t.p, t.now_ns), ERR_TIMEOUT, "does not answer");
}

static void
insists_on_digests (void)
{
  struct heard h;

  reset ();
  t.data_digest = "crc32c";
  h = begin ();
  target_login_response (&t, &h, 0x81, "");
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT (says (&h, "DataDigest=CRC32C"));
  end (target_login_response (&t, &h, 0x87, "HeaderDigest=None\n"), ERR_NOTSUP,
       "does not do the digests");
  /* Who was not asked for one does not get one in silence. */
  reset ();
  h = begin ();
  target_login_response (&t, &h, 0x81, "");
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT (says (&h, "DataDigest=None"));
  end (target_login_response (&t, &h, 0x87, "DataDigest=CRC32C\n"), ERR_NOTSUP,
       "insists on a digest");
  reset ();
  h = begin ();
  target_login_response (&t, &h, 0x81, "");
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  h.bhs[1] = 0; /* no TSIH */
  {
    uint8_t b[48] = {0x23, 0x87};

    memcpy (b + 8, h.bhs + 8, 6);
    end (target_say (&t, b, NULL, 0, true), ERR_PEER,
         "without a session handle");
  }
}

static void
read_list (const char *const *names, unsigned n)
{
  static uint8_t text[4096];
  struct listing_entry entry;
  struct volume_info info;
  size_t offset = 0;
  bool broken = false;

  CU_ASSERT_EQUAL_FATAL (iscsi_ops.state (t.p), PROTO_READY);
  iscsi_ops.info (t.p, &info);
  CU_ASSERT (volume_info_check (&info));
  CU_ASSERT (info.caps & VOLUME_IS_LIST);
  CU_ASSERT_FATAL (info.size <= sizeof text && info.size > 0);
  CU_ASSERT_EQUAL (
      target_submit (&t, 4, IO_READ, 0, (uint32_t)info.size, text), ERR_OK);
  CU_ASSERT (target_done (&t, 4, ERR_OK));
  for (unsigned i = 0; i < n; i++) {
    CU_ASSERT (listing_next (text, info.size, &offset, &entry, &broken));
    CU_ASSERT_STRING_EQUAL (entry.name, names[i]);
  }
  CU_ASSERT (!listing_next (text, info.size, &offset, &entry, &broken));
  CU_ASSERT (!broken);
}

static void
discovers_targets (void)
{
  static const char one[] = "TargetName=iqn.2026-01.a:b\0"
                            "TargetAddress=10.0.0.1:3260,1\0"
                            "TargetAddress=10.0.0.2:3260,1\0TargetNa";
  static const char two[] = "me=iqn.2026-01.a:c\0TargetName=bad name\0";
  static const char *const names[] = {"iqn.2026-01.a:b", "iqn.2026-01.a:c"};
  struct heard h;
  uint8_t b[48] = {0x24, 0x40};

  reset ();
  t.path = "/";
  t.list = "yes";
  h = begin ();
  CU_ASSERT (says (&h, "SessionType=Discovery"));
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x81, ""), ERR_OK);
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT (!says (&h, "InitialR2T=No"));
  CU_ASSERT_EQUAL (target_login_response (&t, &h, 0x87, ""), ERR_OK);
  h = target_expect (&t, PDU_TEXT_REQUEST);
  CU_ASSERT (says (&h, "SendTargets=All"));
  memcpy (b + 16, h.bhs + 16, 4);
  put32 (b + 20, 17);
  CU_ASSERT_EQUAL (target_say (&t, b, one, sizeof one - 1, true), ERR_OK);
  h = target_expect (&t, PDU_TEXT_REQUEST);
  CU_ASSERT_EQUAL (get32 (h.bhs + 20), 17);
  CU_ASSERT_EQUAL (h.data_bytes, 0);
  b[1] = 0x80;
  put32 (b + 20, PDU_NO_TAG);
  CU_ASSERT_EQUAL (target_say (&t, b, two, sizeof two - 1, true), ERR_OK);
  read_list (names, 2);
  target_close (&t);

  reset (); /* text without end */
  t.path = NULL;
  t.path = "";
  t.list = "yes";
  h = begin ();
  target_login_response (&t, &h, 0x81, "");
  h = target_expect (&t, PDU_LOGIN_REQUEST);
  target_login_response (&t, &h, 0x87, "");
  h = target_expect (&t, PDU_TEXT_REQUEST);
  memcpy (b + 16, h.bhs + 16, 4);
  b[1] = 0x00;
  put32 (b + 20, 17);
  {
    static char text[8192];
    enum err e = ERR_OK;

    memset (text, 'a', sizeof text);
    for (unsigned i = 0; i < 1000 && !e; i++) {
      e = target_say (&t, b, text, sizeof text, true);
      if (!e)
        target_expect (&t, PDU_TEXT_REQUEST);
    }
    end (e, ERR_PEER, "does not end");
  }
}

static void
lists_luns (void)
{
  static const char *const names[] = {"1", "256"};
  struct heard h;

  reset ();
  t.path = "/" TARGET_IQN;
  t.list = "yes";
  CU_ASSERT_EQUAL (target_open (&t), ERR_OK);
  target_login (&t);
  while (target_hear (&t, &h))
    target_serve (&t, &h);
  read_list (names, 2);
  target_close (&t);
}

/* Without a LUN in the URL the only one is meant, and two are one too many. */
static void
takes_the_only_lun (void)
{
  struct volume_info info;
  struct heard h;

  for (unsigned luns = 1; luns <= 2; luns++) {
    reset ();
    t.path = "/" TARGET_IQN;
    t.luns = luns;
    CU_ASSERT_EQUAL (target_open (&t), ERR_OK);
    target_login (&t);
    while (target_hear (&t, &h))
      target_serve (&t, &h);
    if (luns == 2)
      break;
    CU_ASSERT_EQUAL_FATAL (iscsi_ops.state (t.p), PROTO_READY);
    iscsi_ops.info (t.p, &info);
    CU_ASSERT_EQUAL (info.size, TARGET_DISK_BYTES);
    CU_ASSERT (!(info.caps & VOLUME_IS_LIST));
    target_close (&t);
  }
  CU_ASSERT (target_failed (&t, "the LUNs 1, 256"));
  target_close (&t);
}

static void
refuses_bad_paths (void)
{
  static const char *const bad[] = {
      "/", "/" TARGET_IQN "/x",
      "/" TARGET_IQN "/16384", "/" TARGET_IQN "/01", "/" TARGET_IQN "/1/2",
      "/disk/1", "/eui.123/1", "/naa.52004567BA64678/1", "/iqn.a b/1",
  };
  static const char *const good[] = {
      "/" TARGET_IQN "/0", "/IQN.2026-01.A:b/16383", "/eui.02004567A425678D/1",
      "/naa.52004567BA64678D/1", "/naa.62004567BA64678D0123456789ABCDEF/1",
  };
  struct heard h;

  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    reset ();
    t.path = bad[i];
    CU_ASSERT_EQUAL (target_open (&t), ERR_INVAL);
    CU_ASSERT (t.open_fault.text[0]);
    target_close (&t);
  }
  for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
    reset ();
    t.path = good[i];
    h = begin ();
    CU_ASSERT (i != 1 || says (&h, "TargetName=iqn.2026-01.a:b"));
    target_close (&t);
  }
}

/* A page that a taken-over worker has written is of no use to it. */
static void
checks_the_identity (void)
{
  struct heard h, h2;

  reset ();
  h = begin ();
  target_close (&t);
  t.identity[5] ^= 0xff;
  h2 = begin ();
  CU_ASSERT_EQUAL (memcmp (h.bhs + 8, h2.bhs + 8, 6), 0); /* of the same seed */
  target_close (&t);
}

/* They say less than a header, and wait for us: told in any pieces. */
static void
tells_servers_of_another_kind (void)
{
  static const struct {
    const char *said, *words;
  } rows[] = {{"SSH-2.0-x\r\n", "it says \"SSH-2.0-x\" (SSH)"},
              {"220 mail ready\r\n", "it says \"220 mail ready\""},
              {"HTTP/1.1 400 Bad Request\r\n", "it says \"HTTP/1.1 400 B"},
              {"\x15\x03\x01\x02\x02", "it says 15 03 01 02 (TLS)"}};

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (size_t pieces = 0; pieces < 3; pieces++) {
      reset ();
      t.rx_max_bytes = pieces;
      begin ();
      end (target_feed (&t, rows[i].said, strlen (rows[i].said)), ERR_PEER,
           rows[i].words);
    }
}

UNIT_MAIN ("iscsi login", UNIT_TEST (offers_what_it_should),
           UNIT_TEST (proves_itself_by_chap),
           UNIT_TEST (has_the_target_prove_itself),
           UNIT_TEST (tries_without_sha256),
           UNIT_TEST (tells_tgt_by_its_challenge), UNIT_TEST (refuses_bad_chap),
           UNIT_TEST (takes_an_algorithm_that_was_offered),
           UNIT_TEST (says_why_it_is_refused),
           UNIT_TEST (is_redirected), UNIT_TEST (refuses_bad_responses),
           UNIT_TEST (ends_what_does_not_end), UNIT_TEST (insists_on_digests),
           UNIT_TEST (tells_servers_of_another_kind),
           UNIT_TEST (discovers_targets), UNIT_TEST (lists_luns),
           UNIT_TEST (takes_the_only_lun),
           UNIT_TEST (refuses_bad_paths), UNIT_TEST (checks_the_identity))
