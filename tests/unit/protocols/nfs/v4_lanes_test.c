/* SPDX-License-Identifier: BSD-2-Clause */
/* One session of NFSv4.1 and 4.2 over several connections, against the fake
 * server, which insists on their being bound.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

#define LANES 4u
#define BLOCK 16384u
#define REQUESTS 60u

static char said[PROTO_SAY_BYTES];

static void
begin (struct peer *s, unsigned lanes)
{
  peer4_begin (s);
  server.strict = true;
  s->lanes_wanted = lanes;
  said[0] = '\0';
}

/* Ready, and what is asked then answered: the lanes are bound, or not. */
static enum proto_state
start (struct peer *s)
{
  peer4_start (s);
  while (nfs_ops.state (s->p) == PROTO_READY && peer4_answer (s))
    ;
  return nfs_ops.state (s->p);
}

static const char *
says (struct peer *s)
{
  while (nfs_ops.say (s->p, said))
    ;
  return said;
}

/* Many at once. */
static void
burst (struct peer *s, unsigned seed)
{
  struct proto_completion c;
  unsigned done = 0;

  peer4_fill (seed);
  for (unsigned i = 0; i < 7; i++)
    CU_ASSERT_EQUAL (peer4_submit (s, 7000 + seed * 10 + i, IO_WRITE, 0,
                                   i * BLOCK, BLOCK, data + i * BLOCK),
                     ERR_OK);
  for (unsigned i = 0; i < 500 && done < 7; i++) {
    if (!peer4_answer (s))
      peer4_sleep (s);
    if (nfs_ops.state (s->p) == PROTO_FAILED)
      break;
    for (; nfs_ops.reap (s->p, &c); done++)
      CU_ASSERT_EQUAL (c.error, ERR_OK);
  }
  CU_ASSERT_EQUAL (done, 7);
  CU_ASSERT_EQUAL (memcmp (server.content, data, 7 * BLOCK), 0);
}

static unsigned
lanes_in_use (void)
{
  unsigned n = 0;

  for (unsigned i = 0; i < FAKE4_CONNECTIONS; i++)
    n += server.sequences[i] > 0;
  return n;
}

static void
there_is_one_session (void)
{
  for (unsigned lanes = 2; lanes <= PROTO_LANES_MAX; lanes++) {
    struct peer s;

    begin (&s, lanes);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    CU_ASSERT (s.moves == 1 && s.want.lanes == lanes && s.want.port == 0);
    CU_ASSERT_EQUAL (server.executed[BIND], lanes - 1);
    burst (&s, lanes);
    CU_ASSERT_EQUAL (server.executed[EXCHANGE_ID], 1);
    CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 1);
    CU_ASSERT_EQUAL (server.executed[OPEN], 1);
    CU_ASSERT_EQUAL (lanes_in_use (), lanes < 7 ? lanes : 7);
    CU_ASSERT_STRING_EQUAL (says (&s), "");
    peer4_works (&s, 1);
    peer4_end (&s);
  }
}

/* As many bytes on each as on any other; one at a time: all on the first. */
static void
large_requests_do_not_queue_behind_each_other (void)
{
  unsigned calls[LANES] = {0}, before;
  struct peer s;

  begin (&s, LANES);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  before = server.sequences[0];
  for (unsigned i = 0; i < 5; i++)
    peer4_works (&s, i);
  CU_ASSERT_EQUAL (server.sequences[0], before + 10);
  peer4_submit (&s, 2000, IO_WRITE, 0, 0, 1 << 17, data);
  for (unsigned i = 0; i < 5; i++)
    peer4_submit (&s, 2001 + i, IO_READ, 0, 0, BLOCK, back);
  while (peer_call (&s) > 0)
    calls[s.lane]++;
  /* the WRITE is two pieces, and seven fit into the session */
  CU_ASSERT (calls[0] == 1 && calls[1] == 1 && calls[2] == 3 && calls[3] == 2);
  peer4_end (&s);
}

/* ------------------------------------------- any order, and any fragments */

/* Answers that are on their way to the engine. */
struct wire_of {
  uint8_t *bytes;
  size_t from, to;
};

static uint64_t dice;

static unsigned
roll (unsigned sides)
{
  dice = dice * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(dice >> 33) % sides;
}

static void
to_server (struct peer *s, struct wire_of *w)
{
  size_t n = peer_call (s), bytes;
  struct wirebuf b;

  if (n == 0)
    return;
  server.connection = s->lane;
  bytes = fake_nfs4_answer (&server, s->call, n, s->reply, PEER_RECORD_BYTES);
  CU_ASSERT_FATAL (bytes > 0);
  w += s->lane;
  b = wirebuf_init (w->bytes + w->to, 4);
  wirebuf_u32 (&b, 0x80000000u | (uint32_t)bytes);
  memcpy (w->bytes + w->to + 4, s->reply, bytes);
  w->to += bytes + 4;
}

static void
to_engine (struct peer *s, struct wire_of *w, unsigned lane)
{
  size_t n = w[lane].to - w[lane].from, most = 1u << roll (16);

  s->lane = lane;
  n = n < most ? n : most;
  CU_ASSERT_EQUAL (peer_feed (s, w[lane].bytes + w[lane].from, n), ERR_OK);
  w[lane].from += n;
}

/* Request i: each has a place of its own, so that their order is free. */
static struct proto_request
request (unsigned i, uint8_t *memory)
{
  return (struct proto_request){.id = i,
                                .tag = 100 + i,
                                .op = i % 2 ? IO_READ : IO_WRITE,
                                .offset = (uint64_t)i * BLOCK,
                                .length = 1 + (i * 2711) % BLOCK,
                                .data = memory + (size_t)i * BLOCK};
}

static void
play (struct peer *s, struct wire_of *w, uint8_t *memory)
{
  bool done[REQUESTS] = {false};
  struct proto_completion c;
  unsigned asked = 0, answered = 0;

  for (unsigned i = 0; i < 1000000 && answered < REQUESTS; i++) {
    if (asked < REQUESTS && roll (4) == 0) {
      struct proto_request r = request (asked++, memory);

      CU_ASSERT_EQUAL (nfs_ops.submit (s->p, &r, s->now_ns), ERR_OK);
    }
    if (roll (2))
      to_server (s, w);
    to_engine (s, w, roll (s->lanes));
    while (nfs_ops.reap (s->p, &c)) {
      CU_ASSERT_FATAL (c.id < REQUESTS && !done[c.id]);
      CU_ASSERT_EQUAL (c.error, ERR_OK);
      done[c.id] = true;
      answered++;
    }
  }
  CU_ASSERT_EQUAL (answered, REQUESTS);
}

static void
any_order_gives_the_same (void)
{
  struct wire_of w[LANES] = {{0}};
  uint8_t *memory = malloc (REQUESTS * BLOCK), *model = malloc (SIZE);

  for (unsigned i = 0; i < LANES; i++)
    w[i].bytes = malloc (8u << 20);
  for (unsigned seed = 1; seed <= 24; seed++) {
    struct peer s;

    dice = seed;
    begin (&s, 2 + seed % 3);
    s.shuffle = seed;
    for (size_t i = 0; i < SIZE; i++)
      server.content[i] = (uint8_t)(i * 7 + i / 4096 + seed);
    memcpy (model, server.content, SIZE);
    for (unsigned i = 0; i < REQUESTS * BLOCK; i++)
      memory[i] = (uint8_t)(i * 13 + seed);
    for (unsigned i = 0; i < REQUESTS; i += 2) {
      struct proto_request r = request (i, memory);

      memcpy (model + r.offset, r.data, r.length);
    }
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    for (unsigned i = 0; i < LANES; i++)
      w[i].from = w[i].to = 0;
    play (&s, w, memory);
    CU_ASSERT_EQUAL (memcmp (server.content, model, SIZE), 0);
    for (unsigned i = 1; i < REQUESTS; i += 2) {
      struct proto_request r = request (i, memory);

      CU_ASSERT_EQUAL (memcmp (r.data, model + r.offset, r.length), 0);
    }
    CU_ASSERT_EQUAL (lanes_in_use (), s.lanes);
    peer4_end (&s);
  }
  for (unsigned i = 0; i < LANES; i++)
    free (w[i].bytes);
  free (memory);
  free (model);
}

/* --------------------------------------------------------------- servers ---
 */

static void
an_answer_elsewhere_ends_the_session (void)
{
  struct peer s;
  size_t n, bytes;

  begin (&s, LANES);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  memset (back, 0xee, sizeof back);
  for (unsigned i = 0; i < 2; i++)
    peer4_submit (&s, 1 + i, IO_READ, 0, 0, BLOCK, back + i * BLOCK);
  n = peer_call (&s);
  CU_ASSERT (n > 0 && s.lane == 0);
  bytes = fake_nfs4_answer (&server, s.call, n, s.reply, PEER_RECORD_BYTES);
  s.lane = 1; /* which has a READ under way, too */
  CU_ASSERT_EQUAL (peer_record (&s, s.reply, bytes), ERR_PEER);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "xid"));
  CU_ASSERT (peer4_says (&s, "on this connection"));
  for (unsigned i = 0; i < sizeof back; i++)
    CU_ASSERT_EQUAL_FATAL (back[i], 0xee);
  peer4_end (&s);
}

static void
who_refuses_gets_fewer (void)
{
  static const struct {
    uint32_t status;
    unsigned times, lanes;
    const char *words;
  } cases[] = {
      {10004, 3, 1, "1 of its 4 connections"}, /* NOTSUPP */
      {10004, 1, 3, "3 of its 4 connections"},
      {22, 2, 2, "NFS4ERR_INVAL"},
      {10052, 100, 1, "NFS4ERR_BADSESSION"}, /* though SEQUENCE knows it */
      {10052, 3, 4, ""},
      {10008, 5, 4, ""}, /* DELAY */
      {10008, 1000, 1, "NFS4ERR_DELAY"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;

    begin (&s, LANES);
    server.fail_op = BIND;
    server.fail_status = cases[i].status;
    server.fail_times = cases[i].times;
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    for (unsigned k = 0; k < 60; k++) { /* a DELAY, or being mended */
      peer4_works (&s, k);
      peer4_sleep (&s);
      while (peer4_answer (&s))
        ;
    }
    memset (server.sequences, 0, sizeof server.sequences);
    burst (&s, i);
    CU_ASSERT_EQUAL (lanes_in_use (), cases[i].lanes);
    CU_ASSERT (strstr (says (&s), cases[i].words) != NULL);
    if (!cases[i].words[0])
      CU_ASSERT_STRING_EQUAL (said, "");
    CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 1);
    peer4_end (&s);
  }
}

static void
who_lies_ends_the_session (void)
{
  static const struct {
    enum fake4_bind bind;
    const char *words;
  } cases[] = {{FAKE4_BIND_OTHER_SESSION, "bctsr_sessid: of another session"},
               {FAKE4_BIND_BACK, "bctsr_dir"},
               {FAKE4_BIND_RDMA, "bctsr_use_conn_in_rdma_mode"}};

  for (unsigned i = 0; i < 3; i++) {
    struct peer s;

    begin (&s, LANES);
    server.bind = cases[i].bind;
    CU_ASSERT_EQUAL (start (&s), PROTO_FAILED);
    CU_ASSERT_EQUAL (nfs_ops.fault (s.p)->code, ERR_PEER);
    CU_ASSERT (peer4_says (&s, cases[i].words));
    CU_ASSERT (peer4_says (&s, "RFC 8881 §18.34"));
    peer4_end (&s);
  }
}

/* It says that it has bound them, and does not know them then. */
static void
who_forgets_gets_fewer (void)
{
  struct peer s;

  begin (&s, LANES);
  server.bind = FAKE4_BIND_FORGOTTEN;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < 12; i++)
    burst (&s, i);
  CU_ASSERT (strstr (says (&s), "does not keep one of them") != NULL);
  CU_ASSERT (strstr (said, "goes on with 1 of its 4") != NULL);
  CU_ASSERT (server.executed[BIND] <= 3 * 8);
  CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 1);
  CU_ASSERT_EQUAL (server.sequences[1], 0);
  peer4_end (&s);
}

/* Once: it is bound again, and the request goes again. */
static void
a_forgotten_lane_is_bound_again (void)
{
  struct peer s;

  begin (&s, LANES);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned round = 0; round < 40; round++) {
    fake_nfs4_hang_up (&server, 1 + round % 3);
    burst (&s, round);
    CU_ASSERT_EQUAL (server.executed[BIND], 3 + round + 1);
  }
  memset (server.sequences, 0, sizeof server.sequences);
  burst (&s, 99);
  CU_ASSERT_EQUAL (lanes_in_use (), 4);
  CU_ASSERT_STRING_EQUAL (says (&s), "");
  peer4_end (&s);
}

static unsigned swallowed;
static uint8_t late[512];
static size_t late_bytes;

/* Lane 2 is never told that it is bound; what it would have been is kept. */
static bool
swallow (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (s->lane != 2)
    return true;
  swallowed++;
  CU_ASSERT_FATAL (*bytes <= sizeof late);
  memcpy (late, reply, *bytes);
  late_bytes = *bytes;
  return false;
}

static void
silence_costs_the_lane (void)
{
  struct peer s;
  uint64_t since_ns;

  begin (&s, LANES);
  s.tamper = swallow;
  swallowed = 0;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (swallowed, 1);
  since_ns = s.now_ns;
  burst (&s, 1); /* over the others */
  CU_ASSERT_EQUAL (lanes_in_use (), 3);
  for (unsigned i = 0; i < 20 && !says (&s)[0]; i++) {
    peer4_sleep (&s);
    while (peer4_answer (&s))
      ;
  }
  CU_ASSERT (strstr (said, "does not answer on one of them") != NULL);
  CU_ASSERT (s.now_ns - since_ns <= 11000000000u);
  burst (&s, 2);
  s.lane = 2; /* too late, and no lie */
  CU_ASSERT_EQUAL (peer_record (&s, late, late_bytes), ERR_OK);
  burst (&s, 3);
  CU_ASSERT_EQUAL (swallowed, 1);
  peer4_end (&s);
}

/* Nor is it one about the session before. */
static void
too_late_for_the_session (void)
{
  struct peer s;

  begin (&s, LANES);
  s.tamper = swallow;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < 20 && !says (&s)[0]; i++) {
    peer4_sleep (&s);
    while (peer4_answer (&s))
      ;
  }
  CU_ASSERT (strstr (said, "does not answer on one of them") != NULL);
  fake_nfs4_expire (&server);
  burst (&s, 1);
  CU_ASSERT (server.executed[CREATE_SESSION] > 1);
  s.lane = 2;
  CU_ASSERT_EQUAL (peer_record (&s, late, late_bytes), ERR_OK);
  burst (&s, 2);
  peer4_end (&s);
}

/* Nobody asks for more than once. */
static void
fewer_sockets_will_do (void)
{
  for (unsigned most = 1; most < LANES; most++) {
    struct peer s;

    begin (&s, LANES);
    s.lanes_most = most;
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    CU_ASSERT (s.moves == 1 && s.lanes == most);
    CU_ASSERT (strstr (says (&s), "of the 4 connections") != NULL);
    burst (&s, 1);
    CU_ASSERT_EQUAL (lanes_in_use (), most);
    peer4_end (&s);
  }
}

/* ------------------------------------------------------------------ ends ---
 */

static void
only_a_bound_lane_is_missed (void)
{
  struct peer s;

  begin (&s, LANES);
  s.tamper = swallow; /* lane 2 is not bound */
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  CU_ASSERT (nfs_ops.lane_lost (s.p, 2, s.now_ns));
  CU_ASSERT (strstr (says (&s), "3 of its 4") != NULL);
  CU_ASSERT (nfs_ops.lane_lost (s.p, 2, s.now_ns));
  burst (&s, 1);
  CU_ASSERT (!nfs_ops.lane_lost (s.p, 1, s.now_ns));
  CU_ASSERT (!nfs_ops.lane_lost (s.p, 3, s.now_ns));
  peer4_end (&s);
}

/* A lane that the server has forgotten may have more under way. */
static void
a_lane_with_requests_is_missed (void)
{
  struct peer s;
  size_t n;

  begin (&s, LANES);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < 7; i++)
    peer4_submit (&s, 1 + i, IO_READ, 0, 0, 4096, back + i * 4096);
  fake_nfs4_hang_up (&server, 1);
  for (n = peer_call (&s); n > 0 && s.lane != 1; n = peer_call (&s))
    ;
  server.connection = s.lane;
  n = fake_nfs4_answer (&server, s.call, n, s.reply, PEER_RECORD_BYTES);
  while (peer_call (&s) > 0)
    ;
  s.lane = 1;
  CU_ASSERT_EQUAL (peer_record (&s, s.reply, n), ERR_OK);
  CU_ASSERT (!nfs_ops.lane_lost (s.p, 1, s.now_ns));
  peer4_end (&s);
}

/* The session is lost while a lane is being bound, and that lane then: what
 * mends the session does not wait for it.
 */
static void
mending_waits_for_no_lost_lane (void)
{
  struct peer s;

  begin (&s, LANES);
  s.tamper = swallow;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  server.fail_op = SEQUENCE;
  server.fail_status = 10052;
  server.fail_times = 1;
  peer4_submit (&s, 1, IO_WRITE, 0, 0, 4096, data);
  while (peer4_answer (&s))
    ;
  CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 1);
  CU_ASSERT (nfs_ops.lane_lost (s.p, 2, s.now_ns));
  CU_ASSERT_EQUAL (nfs_ops.deadline_ns (s.p), s.now_ns);
  CU_ASSERT_EQUAL (peer4_finish (&s).error, ERR_OK);
  CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 2);
  peer4_end (&s);
}

static void
a_new_session_has_all_lanes (void)
{
  struct peer s;

  begin (&s, LANES);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < 3; i++) {
    fake_nfs4_expire (&server);
    burst (&s, i);
    while (peer4_answer (&s))
      ;
    CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 2 + i);
    memset (server.sequences, 0, sizeof server.sequences);
    burst (&s, 10 + i);
    CU_ASSERT_EQUAL (lanes_in_use (), 4);
  }
  CU_ASSERT_EQUAL (server.unbound, 0); /* nobody has tried */
  CU_ASSERT_STRING_EQUAL (says (&s), "");
  peer4_end (&s);
}

/* However often, and though there is not enough to do for all lanes. */
static void
a_quiet_lane_is_kept (void)
{
  struct peer s;

  begin (&s, LANES);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < 20; i++) {
    fake_nfs4_expire (&server);
    peer4_works (&s, i);
    while (peer4_answer (&s))
      ;
  }
  memset (server.sequences, 0, sizeof server.sequences);
  burst (&s, 1);
  CU_ASSERT_EQUAL (lanes_in_use (), 4);
  CU_ASSERT_STRING_EQUAL (says (&s), "");
  peer4_end (&s);
}

/* All that was under way on four lanes goes again on its slots. */
static void
requests_are_executed_once (void)
{
  for (unsigned arrived = 0; arrived < 2; arrived++) {
    struct proto_completion c;
    unsigned before, done = 0;
    struct peer s;

    begin (&s, LANES);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    burst (&s, 1);
    before = server.executed[WRITE];
    peer4_fill (2);
    for (unsigned i = 0; i < 7; i++)
      peer4_submit (&s, 500 + i, IO_WRITE, 0, i * BLOCK, BLOCK,
                    data + i * BLOCK);
    peer4_lose (&s, arrived);
    for (unsigned i = 0; i < LANES; i++)
      fake_nfs4_hang_up (&server, i);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (s.moves, 1); /* it begins where the last one was */
    for (unsigned i = 7; i-- > 0;)
      peer4_submit (&s, 500 + i, IO_WRITE, 0, i * BLOCK, BLOCK,
                    data + i * BLOCK);
    for (unsigned i = 0; i < 100 && done < 7; i++) {
      if (!peer4_answer (&s))
        peer4_sleep (&s);
      for (; nfs_ops.reap (s.p, &c); done++)
        CU_ASSERT_EQUAL (c.error, ERR_OK);
    }
    CU_ASSERT_EQUAL (done, 7);
    CU_ASSERT_EQUAL (server.executed[WRITE], before + 7);
    CU_ASSERT_EQUAL (server.replays, arrived ? 7 : 0);
    CU_ASSERT_EQUAL (memcmp (server.content, data, 7 * BLOCK), 0);
    CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 1);
    burst (&s, 3);
    peer4_end (&s);
  }
}

/* Servers end connections that are silent for some minutes. */
static void
no_lane_is_silent (void)
{
  uint64_t heard_ns[PROTO_LANES_MAX], until_ns;
  unsigned before[PROTO_LANES_MAX];
  struct peer s;

  begin (&s, PROTO_LANES_MAX);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < PROTO_LANES_MAX; i++) {
    heard_ns[i] = s.now_ns;
    before[i] = server.sequences[i];
  }
  until_ns = s.now_ns + 1200000000000u;
  while (s.now_ns < until_ns) {
    peer4_sleep (&s);
    while (peer4_answer (&s))
      ;
    CU_ASSERT_EQUAL_FATAL (nfs_ops.state (s.p), PROTO_READY);
    for (unsigned i = 0; i < PROTO_LANES_MAX; i++) {
      if (server.sequences[i] > before[i])
        heard_ns[i] = s.now_ns;
      before[i] = server.sequences[i];
      CU_ASSERT_FATAL (s.now_ns - heard_ns[i] < 125000000000u);
    }
  }
  /* one that is not bound any more, when it is its turn */
  fake_nfs4_hang_up (&server, 3);
  for (unsigned i = 0; i < 40; i++) {
    peer4_sleep (&s);
    while (peer4_answer (&s))
      ;
  }
  CU_ASSERT_EQUAL (server.executed[BIND], PROTO_LANES_MAX);
  CU_ASSERT (server.sequences[3] > before[3]);
  peer4_end (&s);
}

static void
goodbye_comes_last (void)
{
  struct peer s;
  unsigned before;

  begin (&s, LANES);
  s.shuffle = 5;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  before = server.executed[WRITE];
  for (unsigned i = 0; i < 7; i++)
    peer4_submit (&s, 1 + i, IO_WRITE, 0, i * BLOCK, BLOCK, data);
  peer_call (&s); /* that is lost; it is sent, and no more */
  nfs_ops.leave (s.p, s.now_ns);
  while (peer4_answer (&s))
    ;
  CU_ASSERT_EQUAL (server.executed[WRITE], before + 6);
  CU_ASSERT_EQUAL (server.executed[DESTROY_SESSION], 0);
  peer4_end (&s);

  begin (&s, LANES);
  s.shuffle = 5;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  before = server.executed[WRITE];
  for (unsigned i = 0; i < 7; i++)
    peer4_submit (&s, 1 + i, IO_WRITE, 0, i * BLOCK, BLOCK, data);
  nfs_ops.tx_iov (s.p, 0, (struct iovec[1]){{0}}, 1); /* they are taken */
  nfs_ops.leave (s.p, s.now_ns);
  while (peer4_answer (&s))
    ;
  CU_ASSERT_EQUAL (server.executed[WRITE], before + 7);
  CU_ASSERT_EQUAL (server.executed[DESTROY_SESSION], 1);
  CU_ASSERT_EQUAL (server.executed[CLOSE], 1);
  peer4_end (&s);
}

static void
exclusive_is_one_open (void)
{
  struct peer s, other;

  begin (&s, LANES);
  s.params[4] = "exclusive";
  s.params[5] = "yes";
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  burst (&s, 1);
  CU_ASSERT_EQUAL (server.executed[OPEN], 1);
  CU_ASSERT_EQUAL (lanes_in_use (), 4);
  peer_init (&other, FAKE4_PATH);
  other.params[2] = "client-id";
  other.params[3] = "elsewhere";
  server.connection = 9;
  server.strict = false;
  CU_ASSERT_EQUAL (peer4_start (&other), PROTO_FAILED);
  CU_ASSERT (peer4_says (&other, "SHARE_DENIED"));
  peer_fini (&other);
  peer4_end (&s);
}

/* Each of its connections is a session of its own, with a worker. */
static void
version_3_asks_for_none (void)
{
  struct peer s;

  peer_init (&s, "");
  s.lanes_wanted = LANES;
  CU_ASSERT_EQUAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (s.want.lanes, 0);
  peer_fini (&s);
}

UNIT_MAIN ("nfs v4 lanes", UNIT_TEST (there_is_one_session),
           UNIT_TEST (large_requests_do_not_queue_behind_each_other),
           UNIT_TEST (any_order_gives_the_same),
           UNIT_TEST (an_answer_elsewhere_ends_the_session),
           UNIT_TEST (who_refuses_gets_fewer),
           UNIT_TEST (who_lies_ends_the_session),
           UNIT_TEST (who_forgets_gets_fewer),
           UNIT_TEST (a_forgotten_lane_is_bound_again),
           UNIT_TEST (silence_costs_the_lane),
           UNIT_TEST (too_late_for_the_session),
           UNIT_TEST (fewer_sockets_will_do),
           UNIT_TEST (only_a_bound_lane_is_missed),
           UNIT_TEST (a_lane_with_requests_is_missed),
           UNIT_TEST (mending_waits_for_no_lost_lane),
           UNIT_TEST (a_new_session_has_all_lanes),
           UNIT_TEST (a_quiet_lane_is_kept),
           UNIT_TEST (requests_are_executed_once),
           UNIT_TEST (no_lane_is_silent), UNIT_TEST (goodbye_comes_last),
           UNIT_TEST (exclusive_is_one_open),
           UNIT_TEST (version_3_asks_for_none))
