/* SPDX-License-Identifier: BSD-2-Clause */
/* What an NFSv4 session says to its server, word by word, and what becomes of
 * it with servers that are odd, slow, or not what they were.
 */
#include "config.h"

#include <string.h>

#include "protocols/nfs/dialect.h"
#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

#define SECOND 1000000000ull

static uint32_t
word (const uint8_t *p)
{
  struct wire w = wire_init (p, 4);

  return wire_u32 (&w);
}

static void
put_word (uint8_t *p, uint32_t v)
{
  struct wirebuf b = wirebuf_init (p, 4);

  wirebuf_u32 (&b, v);
}

/* The call's operations; the credential and the verifier stand before them, and
 * a tag of no bytes, minorversion and the count.
 */
static const uint8_t *
operations (const uint8_t *call)
{
  const uint8_t *p = call + 32 + (word (call + 28) + 3) / 4 * 4;

  return p + 8 + 12;
}

/* Answers until a call has this operation, which is not answered; where it is,
 * behind the operation's number; NULL: it does not come.
 */
static const uint8_t *
until (struct peer *s, uint32_t op, const uint32_t *next, size_t nexts)
{
  for (unsigned turn = 0; turn < 500; turn++) {
    size_t n = peer_call (s);

    if (n == 0) {
      if (nfs_ops.state (s->p) == PROTO_FAILED)
        return NULL;
      peer4_sleep (s);
      continue;
    }
    if (word (s->call + 20) == 1) /* COMPOUND */
      for (const uint8_t *p = operations (s->call); p + 4 < s->call + n;
           p += 4) {
        bool same = word (p) == op;

        for (size_t i = 0; i < nexts && same; i++)
          same = word (p + 4 + 4 * i) == next[i];
        if (same)
          return p + 4;
      }
    n = fake_nfs4_answer (&server, s->call, n, s->reply, PEER_RECORD_BYTES);
    if (s->tamper)
      s->tamper (s, s->reply, &n);
    peer_record (s, s->reply, n);
  }
  return NULL;
}

/* --------------------------------------------------------------- who we are */

struct owner {
  uint8_t verifier[8];
  char text[256];
};

static void
add (struct peer *s, const char *key, const char *value)
{
  unsigned i = 0;

  while (s->params[i])
    i += 2;
  s->params[i] = key;
  s->params[i + 1] = value;
}

/* Of EXCHANGE_ID, of a worker that begins with this. */
static struct owner
owner_of (const char *client, const char *path, const char *uid, uint8_t seed)
{
  struct owner o = {.text = ""};
  const uint8_t *p;
  struct peer s;

  peer4_begin (&s);
  s.seed = seed;
  s.params[1] = path;
  s.params[3] = client;
  add (&s, "uid", uid);
  CU_ASSERT_EQUAL (peer_open (&s), ERR_OK);
  p = until (&s, EXCHANGE_ID, NULL, 0);
  CU_ASSERT_FATAL (p && word (p + 8) < sizeof o.text);
  memcpy (o.verifier, p, 8);
  memcpy (o.text, p + 12, word (p + 8));
  peer4_end (&s);
  return o;
}

/* RFC 8881 §2.4: the same after a restart of ours, so that the server knows us;
 * another one for each daemon, user and volume, so that it knows us apart.
 */
static void
the_owner_is_one_volume_of_one_daemon (void)
{
  static const struct {
    const char *client, *path, *uid;
  } others[] = {{"there", "/dir/disk.img", "7"},
                {"here", "/dir/other.img", "7"},
                {"here", "/dir/disk.img", "8"}};
  struct owner first = owner_of ("here", "/dir/disk.img", "7", 1);
  struct owner again = owner_of ("here", "/dir/disk.img", "7", 99);

  CU_ASSERT (first.text[0] && strcmp (first.text, again.text) == 0);
  CU_ASSERT (memcmp (first.verifier, again.verifier, 8) == 0);
  for (unsigned i = 0; i < 3; i++) {
    struct owner o = owner_of (others[i].client, others[i].path,
                               others[i].uid, 1);

    CU_ASSERT (strcmp (first.text, o.text) != 0);
  }
}

/* --------------------------------------------------------- words of a call */

static void
no_delegation_is_wanted (void)
{
  for (unsigned exclusive = 0; exclusive < 2; exclusive++) {
    const uint8_t *p;
    struct peer s;

    peer4_begin (&s);
    if (exclusive)
      add (&s, "exclusive", "yes");
    CU_ASSERT_EQUAL (peer_open (&s), ERR_OK);
    p = until (&s, OPEN, (const uint32_t[]){0}, 1);
    CU_ASSERT_FATAL (p != NULL);
    CU_ASSERT_EQUAL (word (p + 4), 0x403); /* BOTH, WANT_NO_DELEG */
    CU_ASSERT_EQUAL (word (p + 8), exclusive ? 2 : 0);
    peer4_end (&s);
  }
}

/* §8.2.2: seqid 0 is the most recent one, which no OPEN of another gateway of
 * ours makes an old one.
 */
static void
stateids_have_no_number (void)
{
  const uint8_t *p;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (peer4_submit (&s, 1, IO_WRITE, 0, 0, 4096, data), ERR_OK);
  p = until (&s, WRITE, NULL, 0);
  CU_ASSERT_FATAL (p != NULL);
  CU_ASSERT_EQUAL (word (p), 0);
  peer4_end (&s);
}

/* What was ended is not gone on with. */
static void
behind_a_goodbye_all_is_new (void)
{
  struct peer s;
  size_t n;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  nfs_ops.leave (s.p, s.now_ns);
  while (peer4_answer (&s))
    ;
  peer_close (&s);
  CU_ASSERT_EQUAL (peer_open (&s), ERR_OK);
  n = peer_call (&s); /* NULL */
  n = fake_nfs4_answer (&server, s.call, n, s.reply, PEER_RECORD_BYTES);
  CU_ASSERT_EQUAL (peer_record (&s, s.reply, n), ERR_OK);
  CU_ASSERT_FATAL (peer_call (&s) > 0);
  CU_ASSERT_EQUAL (word (operations (s.call)), EXCHANGE_ID);
  peer4_end (&s);
}

/* Two gateways with one owner ask for a session by the same number, and are
 * given the same one (§18.36.4). Who comes second notices by the answer to its
 * first request, is it another one's that was kept or none, and leaves that
 * session alone.
 */
static void
a_session_has_one_gateway (void)
{
  for (unsigned at_once = 0; at_once < 2; at_once++) {
    struct peer peers[2], *a = &peers[0], *b = &peers[1];
    size_t n;

    peer4_begin (a);
    add (a, "exclusive", "yes");
    peer4_begin_second (b, a);
    CU_ASSERT_EQUAL (peer4_start (a), PROTO_READY); /* is confirmed */
    peer_close (a);
    memset (a->identity, 0, sizeof a->identity);
    CU_ASSERT_EQUAL (peer_open (a), ERR_OK);
    CU_ASSERT_EQUAL (peer_open (b), ERR_OK);
    /* NULL, EXCHANGE_ID, CREATE_SESSION; the first request */
    for (unsigned i = 0; i < (at_once ? 4u : 3u); i++)
      for (unsigned k = 0; k < 2; k++) {
        n = peer_call (&peers[k]);
        CU_ASSERT_FATAL (n > 0);
        n = fake_nfs4_answer (&server, peers[k].call, n, peers[k].reply,
                              PEER_RECORD_BYTES);
        peer_record (&peers[k], peers[k].reply, n);
      }
    CU_ASSERT_EQUAL (peer4_start (a), PROTO_READY);
    CU_ASSERT_EQUAL (peer4_start (b), PROTO_READY);
    CU_ASSERT_EQUAL (server.executed[DESTROY_SESSION], 0);
    CU_ASSERT (memcmp (a->identity + NFS_IDENTITY_OWN + 24,
                       b->identity + NFS_IDENTITY_OWN + 24, 16)
               != 0);
    peer4_works (a, 1);
    peer4_works (b, 2);
    peer_fini (a);
    peer4_end (b);
  }
}

/* ------------------------------------------------------------------ leases */

/* The lease is 90 seconds in the server's answer. */
static bool
short_lease (struct peer *s, uint8_t *reply, size_t *bytes)
{
  for (size_t i = 24; i + 4 <= *bytes; i += 4)
    if (word (reply + i) == 90)
      put_word (reply + i, s->tampered);
  return true;
}

static void
a_short_lease_is_renewed_in_time (void)
{
  static const uint32_t leases_s[] = {10, 3, 1, 0};

  for (unsigned i = 0; i < 4; i++) {
    uint32_t least_s = leases_s[i] < 3 ? 3 : leases_s[i];
    uint64_t last_ns, end_ns;
    unsigned renewals = 0;
    struct peer s;

    peer4_begin (&s);
    s.tamper = short_lease;
    s.tampered = leases_s[i];
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    last_ns = s.now_ns;
    end_ns = s.now_ns + 60 * SECOND;
    while (s.now_ns < end_ns && renewals < 1000) {
      unsigned before = server.executed[SEQUENCE];

      peer4_sleep (&s);
      peer4_answer (&s);
      if (server.executed[SEQUENCE] == before)
        continue;
      CU_ASSERT (s.now_ns - last_ns <= least_s * SECOND / 2);
      last_ns = s.now_ns;
      renewals++;
    }
    /* and not all the time */
    CU_ASSERT (renewals >= 60 / least_s && renewals <= 61);
    CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_READY);
    peer4_end (&s);
  }
}

static void
a_grace_period_is_waited_for (void)
{
  uint64_t from_ns;
  struct peer s;

  peer4_begin (&s);
  server.fail_op = OPEN;
  server.fail_status = 10013; /* GRACE */
  server.fail_times = 9;
  from_ns = s.now_ns;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  CU_ASSERT (s.now_ns - from_ns > 8 * SECOND);
  peer4_works (&s, 1);
  peer4_end (&s);

  peer4_begin (&s);
  server.fail_op = OPEN;
  server.fail_status = 10013;
  server.fail_times = 100000;
  from_ns = s.now_ns;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
  /* While the worker may still say so. */
  CU_ASSERT (s.now_ns - from_ns < PROTO_START_NS);
  CU_ASSERT (peer4_says (&s, "NFS4ERR_GRACE"));
  peer4_end (&s);
}

/* ---------------------------------------------------------------- recovery */

/* §18.46.3: what was not executed is sent again by the same number, so that the
 * session is left alone.
 */
static void
a_delayed_sequence_keeps_its_number (void)
{
  uint32_t first;
  const uint8_t *p;
  struct peer s;
  size_t n;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  peer4_works (&s, 1);
  CU_ASSERT_EQUAL (peer4_submit (&s, 1, IO_WRITE, 0, 0, 4096, data), ERR_OK);
  n = peer_call (&s);
  CU_ASSERT_FATAL (n > 0);
  first = word (operations (s.call) + 4 + 16);
  server.fail_op = SEQUENCE;
  server.fail_status = 10008;
  server.fail_times = 1;
  n = fake_nfs4_answer (&server, s.call, n, s.reply, PEER_RECORD_BYTES);
  CU_ASSERT_EQUAL (peer_record (&s, s.reply, n), ERR_OK);
  p = until (&s, WRITE, NULL, 0);
  CU_ASSERT_FATAL (p != NULL);
  CU_ASSERT_EQUAL (word (operations (s.call) + 4 + 16), first);
  CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 1);
  peer4_end (&s);
}

/* A long life has many sessions. */
static void
what_works_makes_up_for_what_was_mended (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  for (unsigned i = 0; i < 40; i++) {
    server.fail_op = SEQUENCE;
    server.fail_status = 10052; /* BADSESSION */
    server.fail_times = 1;
    peer4_works (&s, i);
    CU_ASSERT_EQUAL_FATAL (nfs_ops.state (s.p), PROTO_READY);
  }
  peer4_end (&s);
}

static void
odd_answers_to_steps (void)
{
  static const struct {
    uint32_t op, status;
    unsigned times;
  } cases[] = {
      {CREATE_SESSION, 10063, 2},   /* SEQ_MISORDERED: somebody was faster */
      {SEQUENCE, 10063, 1},         /* of another one's session */
      {SEQUENCE, 10076, 1},         /* SEQ_FALSE_RETRY */
      {RECLAIM_COMPLETE, 10054, 1}, /* COMPLETE_ALREADY */
      {EXCHANGE_ID, 10008, 3},      /* DELAY */
      {CREATE_SESSION, 10022, 1},   /* STALE_CLIENTID */
      {LOOKUP, 10008, 3},
      {OPEN, 10061, 2}, /* RECALLCONFLICT */
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;

    peer4_begin (&s);
    add (&s, "version", "4.2");
    server.fail_op = cases[i].op;
    server.fail_status = cases[i].status;
    server.fail_times = cases[i].times;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (server.fail_times, 0);
    peer4_works (&s, i);
    peer4_end (&s);
  }
}

static bool
bad_slot_once (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (s->tampered == 0)
    return true;
  s->tampered = 0;
  put_word (reply + 24, 10053);
  put_word (reply + 32, 1);
  put_word (reply + 36, SEQUENCE);
  put_word (reply + 40, 10053);
  *bytes = 44;
  return true;
}

/* A session that is not used any more has to be over before the next one. */
static void
an_old_session_is_ended_first (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  s.tamper = bad_slot_once;
  s.tampered = 1;
  server.fail_op = DESTROY_SESSION;
  server.fail_status = 10008; /* DELAY */
  server.fail_times = 3;
  peer4_works (&s, 1);
  CU_ASSERT_EQUAL (server.fail_times, 0);
  CU_ASSERT_EQUAL (server.executed[DESTROY_SESSION], 1);
  CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 2);
  peer4_end (&s);
}

static bool
expired (struct peer *s, uint8_t *reply, size_t *bytes)
{
  static unsigned tests;

  if (s->tampered && server.executed[TEST_STATEID] > tests)
    put_word (reply + *bytes - 4, s->tampered);
  tests = server.executed[TEST_STATEID];
  return true;
}

/* §18.38: what was revoked is acknowledged, so that the server forgets it. */
static void
what_was_revoked_is_freed (void)
{
  static const uint32_t why[] = {10011, 10047, 10025}; /* BAD_STATEID: gone */

  for (unsigned i = 0; i < 3; i++) {
    unsigned opens;
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    opens = server.executed[OPEN];
    s.tamper = expired;
    s.tampered = why[i];
    server.fail_op = WRITE;
    server.fail_status = 10025;
    server.fail_times = 1;
    peer4_works (&s, 1);
    CU_ASSERT_EQUAL (server.executed[FREE_STATEID], i < 2);
    CU_ASSERT_EQUAL (server.executed[OPEN], opens + 1);
    s.tampered = 0;
    peer4_end (&s);
  }
}

/* SEQ4_STATUS_RESTART_RECLAIM_NEEDED */
static void
what_the_server_asks_for_is_reclaimed (void)
{
  unsigned before;
  struct peer s;
  size_t n;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  before = server.executed[RECLAIM_COMPLETE];
  server.status_flags = 0x100;
  peer4_sleep (&s); /* renews */
  n = peer_call (&s);
  CU_ASSERT_FATAL (n > 0);
  n = fake_nfs4_answer (&server, s.call, n, s.reply, PEER_RECORD_BYTES);
  CU_ASSERT_EQUAL (peer_record (&s, s.reply, n), ERR_OK);
  server.status_flags = 0;
  peer4_works (&s, 1);
  CU_ASSERT_EQUAL (server.executed[RECLAIM_COMPLETE], before + 1);
  peer4_end (&s);
}

/* -------------------------------------------------------- what is not taken */

static void
what_is_not_the_volume_any_more (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  server.size /= 2;
  server.generation++; /* so that it is looked up again */
  peer4_request (&s, IO_READ, 0, 0, 4096, back);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "was cut from 1048576 to 524288 bytes"));
  server.size = SIZE;
  peer4_end (&s);

  /* Once a volume was served by a version, its sessions have that one. */
  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  peer_close (&s);
  server.minor_max = 1;
  fake_nfs4_reboot (&server);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
  peer4_end (&s);
}

static void
what_is_not_allowed (void)
{
  struct peer s;

  peer4_begin (&s);
  add (&s, "version", "4.2");
  server.access = 0;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "may not read"));
  peer4_end (&s);

  /* Who wants it alone does not want it read-only instead. */
  peer4_begin (&s);
  add (&s, "version", "4.2");
  add (&s, "exclusive", "yes");
  server.fail_op = OPEN;
  server.fail_status = 30; /* ROFS */
  server.fail_times = 1;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "NFS4ERR_ROFS"));
  peer4_end (&s);

  peer4_begin (&s);
  add (&s, "version", "4.2");
  server.slots = 1;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "a session of 1 slots"));
  CU_ASSERT (peer4_says (&s, "channel_attrs4, RFC 8881 §18.36"));
  peer4_end (&s);
}

/* What a taken-over worker may have written there. */
static void
numbers_of_a_strange_identity (void)
{
  static const uint32_t values[] = {0, 1, 2, 128, 1u << 16, UINT32_MAX};

  for (unsigned at = 0; at < 72; at += 4)
    for (unsigned i = 0; i < 6; i++) {
      struct peer s;

      peer4_begin (&s);
      CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
      peer_close (&s);
      put_word (s.identity + NFS_IDENTITY_OWN + at, values[i]);
      if (peer4_start (&s) == PROTO_READY)
        peer4_works (&s, i);
      peer4_end (&s);
    }
}

UNIT_MAIN ("nfs v4 calls", UNIT_TEST (the_owner_is_one_volume_of_one_daemon),
           UNIT_TEST (no_delegation_is_wanted),
           UNIT_TEST (stateids_have_no_number),
           UNIT_TEST (behind_a_goodbye_all_is_new),
           UNIT_TEST (a_session_has_one_gateway),
           UNIT_TEST (a_short_lease_is_renewed_in_time),
           UNIT_TEST (a_grace_period_is_waited_for),
           UNIT_TEST (a_delayed_sequence_keeps_its_number),
           UNIT_TEST (what_works_makes_up_for_what_was_mended),
           UNIT_TEST (odd_answers_to_steps),
           UNIT_TEST (an_old_session_is_ended_first),
           UNIT_TEST (what_was_revoked_is_freed),
           UNIT_TEST (what_the_server_asks_for_is_reclaimed),
           UNIT_TEST (what_is_not_the_volume_any_more),
           UNIT_TEST (what_is_not_allowed),
           UNIT_TEST (numbers_of_a_strange_identity))
