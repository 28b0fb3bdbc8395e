/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server may get wrong, on purpose or not: the session ends with words
 * that name the field and the section, and nothing is answered.
 */
#include "config.h"

#include <string.h>

#include "tests/unit/protocols/nfs/peer.h"
#include "tests/unit/unit.h"

/* Not every byte, as sanitizers make each session dear. */
#define STEP 5

static uint8_t data[65536];

static void
put_u32 (uint8_t *p, uint32_t v)
{
  struct wirebuf b = wirebuf_init (p, 4);

  wirebuf_u32 (&b, v);
}

/* A ready engine with a READ of 4096 bytes under way; its call is in s->call.
 */
static void
reading (struct peer *s, size_t *ret_call_bytes)
{
  struct proto_request r = {.id = 1, .tag = 9, .op = IO_READ, .offset = 8192,
                            .length = 4096, .data = data};

  peer_init (s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (s), PROTO_READY);
  CU_ASSERT_EQUAL (nfs_ops.submit (s->p, &r, s->now_ns), ERR_OK);
  *ret_call_bytes = peer_call (s);
  CU_ASSERT (*ret_call_bytes > 0);
}

static size_t
answer (struct peer *s, size_t call_bytes)
{
  return fake_nfs3_answer (&s->server, s->call, call_bytes, s->reply,
                           PEER_RECORD_BYTES);
}

static void
ends (struct peer *s, enum err e, const char *words)
{
  struct proto_completion c;
  const char *text;

  CU_ASSERT_EQUAL (e, ERR_PEER);
  CU_ASSERT_EQUAL_FATAL (nfs_ops.state (s->p), PROTO_FAILED);
  CU_ASSERT (!nfs_ops.reap (s->p, &c));
  text = nfs_ops.fault (s->p)->text;
  CU_ASSERT_PTR_NOT_NULL (strstr (text, words));
  CU_ASSERT (strstr (text, "RFC ") || strstr (text, "does not speak"));
  if (!strstr (text, words))
    printf ("said: %s\n", text);
  peer_fini (s);
}

static void
wrong_and_repeated_xids (void)
{
  struct proto_completion c;
  struct peer s;
  size_t n;

  reading (&s, &n);
  n = answer (&s, n);
  s.reply[3] ^= 1;
  ends (&s, peer_record (&s, s.reply, n), "field xid");

  reading (&s, &n);
  n = answer (&s, n);
  CU_ASSERT_EQUAL (peer_record (&s, s.reply, n), ERR_OK);
  CU_ASSERT (nfs_ops.reap (s.p, &c));
  ends (&s, peer_record (&s, s.reply, n), "field xid");
}

static void
an_answer_before_its_call (void)
{
  struct proto_request r = {.id = 1, .tag = 9, .op = IO_WRITE,
                            .length = 65536, .data = data};
  struct iovec v[PROTO_TX_IOV];
  struct peer s;
  size_t n;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (nfs_ops.submit (s.p, &r, s.now_ns), ERR_OK);
  CU_ASSERT (nfs_ops.tx_iov (s.p, 0, v, PROTO_TX_IOV) >= 2);
  memcpy (s.call, (uint8_t *)v[0].iov_base + 4, v[0].iov_len - 4);
  nfs_ops.tx_done (s.p, 0, v[0].iov_len + 100); /* the payload has not left */
  memset (s.reply, 0, 200);
  memcpy (s.reply, s.call, 4);
  n = 24;
  s.reply[7] = 1;
  ends (&s, peer_record (&s, s.reply, n), "field xid");
}

static void
fragments (void)
{
  static const uint8_t huge[] = {0x7f, 0xff, 0xff, 0xff};
  static const uint8_t empty[] = {0, 0, 0, 0};
  struct peer s;
  size_t n;
  enum err e = ERR_OK;

  reading (&s, &n);
  ends (&s, peer_feed (&s, huge, 4), "record fragment of 2147483647 bytes");

  reading (&s, &n);
  for (int i = 0; i < 5000 && !e; i++) /* without end */
    e = peer_feed (&s, empty, 4);
  ends (&s, e, "fragments");

  reading (&s, &n);
  ends (&s, peer_record (&s, empty, 0), "record of 0 bytes");
}

/* Servers of another kind, in any pieces; who has answered once is none. */
static void
strangers (void)
{
  static const uint8_t said[] = "SSH-2.0-OpenSSH_9.2\r\n";
  static const uint8_t nbd[] = "NBDMAGICIHAVEOPT\0\3";
  struct peer s;
  size_t n;

  for (size_t cut = 0; cut < 3; cut++) {
    peer_init (&s, "");
    s.cut_bytes = cut;
    CU_ASSERT_EQUAL_FATAL (peer_open (&s), ERR_OK);
    CU_ASSERT (peer_call (&s) > 0);
    ends (&s, peer_feed (&s, said, sizeof said - 1),
          "NFS: it says \"SSH-2.0-OpenSSH_9.2\" (SSH)");
    peer_init (&s, "");
    s.cut_bytes = cut;
    CU_ASSERT_EQUAL_FATAL (peer_open (&s), ERR_OK);
    CU_ASSERT (peer_call (&s) > 0);
    ends (&s, peer_feed (&s, nbd, sizeof nbd - 1),
          "NFS: it says \"NBDMAGICIHAVEOPT\" (NBD)");
  }
  reading (&s, &n);
  ends (&s, peer_feed (&s, said, sizeof said - 1), "record fragment");
}

static void
endless_replies (void)
{
  static const uint8_t mark[] = {0x00, 0x01, 0x00, 0x00};
  static uint8_t block[65536];
  struct peer s;
  size_t n;
  enum err e = ERR_OK;

  reading (&s, &n);
  memset (block, 0, sizeof block);
  memcpy (block, s.call, 4);
  block[7] = 1;
  block[27] = 5; /* READ: NFS3ERR_IO, then no end */
  for (int i = 0; i < 100 && !e; i++) {
    e = peer_feed (&s, mark, 4);
    if (!e)
      e = peer_feed (&s, block, sizeof block);
  }
  ends (&s, e, "RFC 5531 §11");
}

static void
lying_lengths (void)
{
  struct peer s;
  size_t n, at;

  /* A READ's data: count, eof, length are in front of them. */
  reading (&s, &n);
  n = answer (&s, n);
  at = n - 4096 - 12;
  put_u32 (s.reply + at, 4097);
  put_u32 (s.reply + at + 8, 4097);
  ends (&s, peer_record (&s, s.reply, n), "4097 bytes of data where 4096");

  reading (&s, &n);
  n = answer (&s, n);
  put_u32 (s.reply + at + 8, 0xffffffff);
  ends (&s, peer_record (&s, s.reply, n), "READ3resok.data");

  reading (&s, &n);
  n = answer (&s, n);
  ends (&s, peer_record (&s, s.reply, n - 8), "lack 8 bytes");

  reading (&s, &n);
  n = answer (&s, n);
  memset (s.reply + n, 0, 4);
  ends (&s, peer_record (&s, s.reply, n + 4), "bytes behind its end");

  /* Nothing read, and not the end. */
  reading (&s, &n);
  n = answer (&s, n);
  put_u32 (s.reply + at, 0);
  put_u32 (s.reply + at + 8, 0);
  ends (&s, peer_record (&s, s.reply, n - 4096), "field count");
}

static void
broken_reply_headers (void)
{
  static const struct {
    unsigned at;
    uint32_t v;
    const char *words;
  } cases[] = {
      {4, 0, "msg_type"},     {4, 7, "msg_type"},       {8, 2, "reply_stat"},
      {16, 401, "verf.body"}, {20, 6, "accept_stat"},   {24, 77, "status"},
      {28, 2, "attributes_follow"}, {16, 0xffffffff, "verf.body"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;
    size_t n;

    reading (&s, &n);
    n = answer (&s, n);
    put_u32 (s.reply + cases[i].at, cases[i].v);
    ends (&s, peer_record (&s, s.reply, n), cases[i].words);
  }
}

static void
denials_are_told (void)
{
  static const struct {
    uint32_t word[4]; /* behind xid and REPLY */
    unsigned words;
    enum err e;
    const char *text;
  } cases[] = {
      {{1, 1, 5}, 3, ERR_AUTH, "AUTH_TOOWEAK"},
      {{1, 1, 1}, 3, ERR_AUTH, "AUTH_BADCRED"},
      {{1, 1, 99}, 3, ERR_AUTH, "auth_stat 99"},
      {{1, 0, 3, 4}, 4, ERR_VERSION, "RPC versions 3 to 4"},
      {{0, 0, 0, 1}, 4, ERR_NOTSUP, "does not have program 100003"},
      {{0, 0, 0, 3}, 4, ERR_NOTSUP, "procedure READ"},
      {{0, 0, 0, 4}, 4, ERR_PEER, "GARBAGE_ARGS"},
      {{0, 0, 0, 5}, 4, ERR_IO, "SYSTEM_ERR"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;
    size_t n;

    reading (&s, &n);
    memcpy (s.reply, s.call, 4);
    put_u32 (s.reply + 4, 1);
    for (unsigned j = 0; j < cases[i].words; j++)
      put_u32 (s.reply + 8 + 4 * j, cases[i].word[j]);
    CU_ASSERT_EQUAL (peer_record (&s, s.reply, 8 + 4 * cases[i].words),
                     cases[i].e);
    CU_ASSERT_EQUAL_FATAL (nfs_ops.state (s.p), PROTO_FAILED);
    CU_ASSERT_PTR_NOT_NULL (
        strstr (nfs_ops.fault (s.p)->text, cases[i].text));
    peer_fini (&s);
  }
}

/* A WRITE that is said to be more, nothing, or less stable than asked. */
static bool
spoil_write (struct peer *s, uint8_t *reply, size_t *bytes)
{
  static const uint32_t counts[] = {0, 4097, 4096};

  if (s->server.calls[7] == 0)
    return true;
  put_u32 (reply + *bytes - 16, counts[s->tampered]);
  if (s->tampered == 2)
    put_u32 (reply + *bytes - 12, 0);
  return true;
}

static void
lying_writes (void)
{
  for (unsigned i = 0; i < 3; i++) {
    struct peer s;
    struct proto_request r = {.id = 1, .tag = 9, .op = IO_WRITE,
                              .flags = IO_FUA, .length = 4096, .data = data};

    peer_init (&s, "");
    CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
    s.tamper = spoil_write;
    s.tampered = i;
    CU_ASSERT_EQUAL (nfs_ops.submit (s.p, &r, s.now_ns), ERR_OK);
    peer_answer (&s);
    ends (&s, ERR_PEER, i < 2 ? "WRITE3resok.count" : "committed");
  }
}

/* Every byte of a whole session's answers, wrong in turn: it never hangs, and
 * what is read without an error is what the server has.
 */
static bool
flip (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (s->tampered < *bytes)
    reply[s->tampered] ^= 0xff;
  s->tampered = s->tampered < *bytes ? 1 << 30
                                     : s->tampered - (unsigned)*bytes;
  return true;
}

static void
any_byte_wrong (void)
{
  for (unsigned at = 0; at < 1600; at += STEP) {
    struct peer s;

    peer_init (&s, "");
    s.tampered = at;
    s.tamper = flip;
    s.params[2] = "version";
    s.params[3] = "3";
    if (peer_start (&s) == PROTO_READY)
      peer_do (&s, IO_WRITE, 0, 0, 100, data);
    peer_fini (&s);
  }
}

/* Each answer of the start-up, cut off at each byte. */
static bool
cut (struct peer *s, uint8_t *reply, size_t *bytes)
{
  (void)reply;
  if (s->tampered < *bytes) {
    *bytes = s->tampered;
    s->tampered = 1 << 30;
  } else if (s->tampered < 1 << 30)
    s->tampered -= (unsigned)*bytes;
  return true;
}

static void
any_answer_short (void)
{
  unsigned failed = 0;

  for (unsigned at = 0; at < 1600; at += STEP) {
    struct peer s;
    enum proto_state state;

    peer_init (&s, "");
    s.tampered = at;
    s.tamper = cut;
    s.params[2] = "version";
    s.params[3] = "3";
    state = peer_start (&s);
    failed += state == PROTO_FAILED;
    CU_ASSERT (state == PROTO_READY || nfs_ops.fault (s.p)->text[0]);
    peer_fini (&s);
  }
  CU_ASSERT (failed > 500 / STEP);
}

static bool
no_end (struct peer *s, uint8_t *reply, size_t *bytes)
{
  /* eof of READDIRPLUS is the last word */
  if (s->server.calls[17] > 0)
    put_u32 (reply + *bytes - 4, 0);
  return true;
}

static void
a_list_without_end (void)
{
  struct peer s;

  peer_init (&s, FAKE_EXPORT "/dir");
  s.params[2] = "list";
  s.params[3] = "yes";
  s.params[4] = "version";
  s.params[5] = "3";
  s.server.list_names = 10;
  s.tamper = no_end;
  CU_ASSERT_EQUAL (peer_start (&s), PROTO_FAILED);
  ends (&s, ERR_PEER, "field eof");

  peer_init (&s, FAKE_EXPORT "/dir");
  s.params[2] = "list";
  s.params[3] = "yes";
  s.params[4] = "version";
  s.params[5] = "3";
  s.server.list_names = 1000000;
  CU_ASSERT_EQUAL (peer_start (&s), PROTO_READY);
  CU_ASSERT (s.server.calls[17] < 100);
  peer_fini (&s);
}

UNIT_MAIN ("nfs bad input", UNIT_TEST (wrong_and_repeated_xids),
           UNIT_TEST (an_answer_before_its_call), UNIT_TEST (fragments),
           UNIT_TEST (strangers),
           UNIT_TEST (endless_replies), UNIT_TEST (lying_lengths),
           UNIT_TEST (broken_reply_headers), UNIT_TEST (denials_are_told),
           UNIT_TEST (lying_writes), UNIT_TEST (any_byte_wrong),
           UNIT_TEST (any_answer_short), UNIT_TEST (a_list_without_end))
