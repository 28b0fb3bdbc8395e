/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv4.1 and 4.2 against the fake server: each error with the recovery that
 * RFC 8881 asks for; leases.
 */
#include "config.h"

#include <string.h>

#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

/* Each error, of each operation, in the middle of things. */
static void
every_error_is_mended (void)
{
  static const struct {
    uint32_t op, status;
    unsigned times;
    uint32_t mended_by; /* was executed once more than before */
  } cases[] = {
      {WRITE, 10008, 3, 0},                  /* DELAY */
      {WRITE, 10013, 3, 0},                  /* GRACE */
      {SEQUENCE, 10008, 3, 0},               /* DELAY */
      {SEQUENCE, 10052, 1, CREATE_SESSION},  /* BADSESSION */
      {SEQUENCE, 10078, 1, CREATE_SESSION},  /* DEADSESSION */
      {SEQUENCE, 10053, 1, DESTROY_SESSION}, /* BADSLOT */
      {SEQUENCE, 10063, 1, DESTROY_SESSION}, /* SEQ_MISORDERED */
      {SEQUENCE, 10077, 1, CREATE_SESSION},  /* BAD_HIGH_SLOT */
      {SEQUENCE, 10055, 1, BIND},            /* CONN_NOT_BOUND_TO_SESSION */
      {SEQUENCE, 10022, 1, EXCHANGE_ID},     /* STALE_CLIENTID */
      {PUTFH, 70, 1, LOOKUP},                /* STALE */
      {PUTFH, 10014, 1, LOOKUP},             /* FHEXPIRED */
      {PUTFH, 10001, 1, LOOKUP},             /* BADHANDLE */
      {WRITE, 10025, 1, TEST_STATEID},       /* BAD_STATEID */
      {WRITE, 10025, 2, OPEN},               /* though it tests well */
      {WRITE, 10024, 1, TEST_STATEID},       /* OLD_STATEID */
      {WRITE, 10011, 2, OPEN},               /* EXPIRED */
      {WRITE, 10023, 2, OPEN},               /* STALE_STATEID */
      {WRITE, 10047, 2, OPEN},               /* ADMIN_REVOKED */
      {WRITE, 10068, 1, 0},                  /* RETRY_UNCACHED_REP */
      {SEQUENCE, 10076, 1, 0},               /* SEQ_FALSE_RETRY */
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    unsigned before;
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    peer4_works (&s, 1);
    before = server.executed[cases[i].mended_by];
    server.fail_op = cases[i].op;
    server.fail_status = cases[i].status;
    server.fail_times = cases[i].times;
    /* SEQ_FALSE_RETRY: the server thinks that this number was there already,
     * so that the next one is the one after it.
     */
    if (cases[i].status == 10076)
      for (unsigned k = 0; k < FAKE4_SESSIONS; k++)
        server.session[k].slot[1].sequenceid++;
    peer4_fill (i);
    CU_ASSERT_EQUAL (peer4_request (&s, IO_WRITE, 0, 8192, 4096, data).error,
                     ERR_OK);
    CU_ASSERT_EQUAL (memcmp (server.content + 8192, data, 4096), 0);
    CU_ASSERT_EQUAL (server.fail_times, 0);
    if (cases[i].mended_by)
      CU_ASSERT (server.executed[cases[i].mended_by] > before);
    peer4_works (&s, i);
    peer4_end (&s);
  }
}

/* … and not for ever. */
static void
mending_ends (void)
{
  static const struct {
    uint32_t op, status;
  } cases[] = {{SEQUENCE, 10052},
               {PUTFH, 70},
               {SEQUENCE, 10063},
               {EXCHANGE_ID, 10008}};

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    server.fail_op = cases[i].op;
    server.fail_status = cases[i].status;
    server.fail_times = 100000;
    if (cases[i].op == EXCHANGE_ID)
      fake_nfs4_expire (&server);
    peer4_request (&s, IO_WRITE, 0, 8192, 4096, data);
    CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
    peer4_end (&s);
  }
}

/* What else works does not make it endless: the request fails, in words. */
static void
a_state_that_is_good_and_refused_ends_the_request (void)
{
  static const uint32_t statuses[] = {10025, 10024, 10011, 10047};

  for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    struct proto_completion c = {.error = ERR_AGAIN};
    char line[PROTO_SAY_BYTES];
    unsigned reads = 0;
    uint64_t began_ns;
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    began_ns = s.now_ns;
    server.fail_op = WRITE;
    server.fail_status = statuses[i];
    server.fail_times = 100000;
    CU_ASSERT_EQUAL (peer4_submit (&s, 1, IO_WRITE, 0, 0, 4096, data), ERR_OK);
    while (c.id != 1 && reads < 100) {
      peer4_submit (&s, 100 + reads++, IO_READ, 0, 0, 4096, back);
      c = peer4_finish (&s);
      if (c.id != 1)
        peer4_sleep (&s);
    }
    CU_ASSERT_EQUAL (c.id, 1);
    CU_ASSERT_EQUAL (c.error, ERR_IO);
    CU_ASSERT (100000 - server.fail_times < 20);
    CU_ASSERT (s.now_ns - began_ns < 10000000000u);
    CU_ASSERT_FATAL (nfs_ops.say (s.p, line));
    CU_ASSERT (strstr (line, "refuses WRITE by NFS4ERR_") != NULL);
    CU_ASSERT (!nfs_ops.say (s.p, line));
    server.fail_times = 0;
    while (nfs_ops.reap (s.p, &c))
      ;
    peer4_works (&s, i);
    peer4_end (&s);
  }
}

/* The gateway ends the session at timeout=, and the next one counts anew. */
static void
what_is_refused_ends_before_the_session (void)
{
  static const struct {
    const char *timeout;
    uint64_t most_ns;
  } rows[] = {{"1", 700000000}, {"3", 2100000000}, {"7", 4900000000}};

  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct proto_completion c = {.error = ERR_AGAIN};
    uint64_t began_ns;
    struct peer s;

    peer4_begin (&s);
    s.params[4] = "timeout";
    s.params[5] = rows[i].timeout;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    began_ns = s.now_ns;
    server.fail_op = WRITE;
    server.fail_status = 10025;
    server.fail_times = 100000;
    c = peer4_request (&s, IO_WRITE, 0, 0, 4096, data);
    CU_ASSERT_EQUAL (c.error, ERR_IO);
    CU_ASSERT (s.now_ns - began_ns < rows[i].most_ns);
    peer4_end (&s);
  }
}

/* Several at once: each of them. */
static void
many_that_are_refused_end (void)
{
  struct proto_completion c;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  server.fail_op = WRITE;
  server.fail_status = 10025; /* BAD_STATEID */
  server.fail_times = 100000;
  for (unsigned i = 0; i < 6; i++)
    CU_ASSERT_EQUAL (peer4_submit (&s, i, IO_WRITE, 0, i * 4096, 4096, data),
                     ERR_OK);
  for (unsigned i = 0; i < 6; i++) {
    c = peer4_finish (&s);
    CU_ASSERT_EQUAL (c.error, ERR_IO);
  }
  server.fail_times = 0;
  peer4_works (&s, 1);
  peer4_end (&s);
}

static void
a_delay_is_bounded (void)
{
  struct proto_completion c;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  server.fail_op = WRITE;
  server.fail_status = 10008;
  server.fail_times = 100000;
  c = peer4_request (&s, IO_WRITE, 0, 0, 4096, data);
  CU_ASSERT_EQUAL (c.error, ERR_TIMEOUT);
  server.fail_times = 0;
  peer4_works (&s, 1);
  peer4_end (&s);
}

/* Nor is what was executed without an answer asked anew for ever. */
static void
asking_anew_is_bounded (void)
{
  static const uint32_t ops[] = {WRITE, SEQUENCE};
  struct proto_completion c;
  struct peer s;

  for (unsigned i = 0; i < 2; i++) {
    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    server.fail_op = ops[i];
    server.fail_status = 10068; /* RETRY_UNCACHED_REP */
    server.fail_times = 100000;
    CU_ASSERT_EQUAL (peer4_submit (&s, 1, IO_WRITE, 0, 0, 4096, data), ERR_OK);
    c = peer4_finish (&s);
    /* the renewal of the lease comes first where SEQUENCE fails */
    CU_ASSERT (i ? nfs_ops.state (s.p) == PROTO_FAILED
                 : c.error == ERR_TIMEOUT);
    CU_ASSERT (server.fail_times > 99900);
    peer4_end (&s);
  }
  peer4_begin (&s);
  server.fail_op = OPEN;
  server.fail_status = 10068;
  server.fail_times = 100000;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "RETRY_UNCACHED_REP"));
  peer4_end (&s);
}

static void
a_restarted_server_gives_back_what_was_open (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  peer4_works (&s, 1);
  fake_nfs4_reboot (&server);
  server.grace = true;
  memset (server.executed, 0, sizeof server.executed);
  peer_close (&s); /* as the connection broke */
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (server.executed[OPEN], 1);
  CU_ASSERT_EQUAL (server.executed[RECLAIM_COMPLETE], 1);
  peer4_works (&s, 2);
  /* The next one comes too late to reclaim, and waits. */
  fake_nfs4_reboot (&server);
  memset (server.executed, 0, sizeof server.executed);
  server.fail_op = OPEN;
  server.fail_status = 10013;
  server.fail_times = 5;
  peer4_works (&s, 3); /* in the same connection: BADSESSION */
  CU_ASSERT_EQUAL (server.fail_times, 0);
  CU_ASSERT (server.executed[OPEN] > 0);
  peer4_end (&s);
}

/* A server takes no other OPEN before RECLAIM_COMPLETE (§18.51.3): wherever in
 * between the connection breaks, the next one has to say it.
 */
static void
a_break_while_it_is_given_back (void)
{
  for (unsigned i = 0; i < 16; i++) {
    struct peer s;
    size_t n;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    peer4_works (&s, 1);
    fake_nfs4_reboot (&server);
    server.grace = i < 12;
    peer_close (&s);
    CU_ASSERT_EQUAL (peer_open (&s), ERR_OK);
    for (unsigned k = 0; k < i / 2; k++) {
      n = peer_call (&s);
      n = fake_nfs4_answer (&server, s.call, n, s.reply, PEER_RECORD_BYTES);
      CU_ASSERT_EQUAL_FATAL (peer_record (&s, s.reply, n), ERR_OK);
    }
    peer4_lose (&s, i % 2);
    CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
    server.grace = false;
    peer4_works (&s, 2);
    peer4_end (&s);
  }
}

static void
an_expired_lease_is_no_end (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  fake_nfs4_expire (&server);
  peer4_works (&s, 1);
  peer4_end (&s);
}

static void
another_file_is_not_taken_for_it (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  server.generation++; /* the old handle is stale */
  server.fileid++;
  peer4_request (&s, IO_READ, 0, 0, 4096, back);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "replaced"));
  peer4_end (&s);

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  server.generation++;
  server.no_fileid = server.handles_go = true; /* it had a name */
  peer4_request (&s, IO_READ, 0, 0, 4096, back);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "replaced"));
  peer4_end (&s);

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  server.size /= 2;
  peer4_request (&s, IO_READ, 0, SIZE - 4096, 4096, back);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "shorter"));
  server.size = SIZE;
  peer4_end (&s);
}

/* RFC 8881 §5.8.2.7: without numbers of files, handles may tell them apart. */
static void
files_without_numbers_have_handles (void)
{
  static const struct {
    bool go, many, replaced;
  } cases[] = {{false, false, true}, {true, false, false},
               {false, true, false}};

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct volume_info info;
    struct peer s;

    peer4_begin (&s);
    server.no_fileid = true;
    server.handles_go = cases[i].go;
    server.handles_many = cases[i].many;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    nfs_ops.info (s.p, &info);
    CU_ASSERT_EQUAL (info.identity[0] != 0, cases[i].replaced);
    peer4_works (&s, i);
    server.generation++; /* another handle, and it may be another file */
    peer4_request (&s, IO_READ, 0, 0, 4096, back);
    CU_ASSERT_EQUAL (nfs_ops.state (s.p),
                     cases[i].replaced ? PROTO_FAILED : PROTO_READY);
    if (cases[i].replaced)
      CU_ASSERT (peer4_says (&s, "replaced"));
    peer4_end (&s);
  }
}

static void
the_lease_is_renewed (void)
{
  unsigned before;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  for (unsigned i = 0; i < 5; i++) {
    uint64_t at = nfs_ops.deadline_ns (s.p);

    CU_ASSERT (at <= s.now_ns + 45000000000u);
    before = server.executed[SEQUENCE];
    peer4_sleep (&s);
    peer4_answer (&s);
    CU_ASSERT_EQUAL (server.executed[SEQUENCE], before + 1);
  }
  server.status_flags = 0x20; /* ADMIN_STATE_REVOKED: once is enough */
  before = server.executed[TEST_STATEID];
  for (unsigned i = 0; i < 9; i++) {
    peer4_sleep (&s);
    peer4_answer (&s);
  }
  CU_ASSERT_EQUAL (server.executed[TEST_STATEID], before + 1);
  peer4_works (&s, 1);
  peer4_end (&s);
}

/* Many are refused because of it, and SEQUENCE says so as well: it is tested
 * all the same, and freed where it was revoked.
 */
static void
a_revoked_open_is_tested_once (void)
{
  struct proto_completion c;
  unsigned before;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  peer4_works (&s, 1);
  before = server.executed[TEST_STATEID];
  server.status_flags = 0x20;
  server.fail_op = WRITE;
  server.fail_status = 10047; /* ADMIN_REVOKED */
  server.fail_times = 3;
  for (unsigned i = 0; i < 3; i++)
    CU_ASSERT_EQUAL (
        peer4_submit (&s, 500 + i, IO_WRITE, 0, i * 4096, 4096, data), ERR_OK);
  for (unsigned i = 0; i < 3; i++) {
    c = peer4_finish (&s);
    CU_ASSERT_EQUAL (c.error, ERR_OK);
  }
  CU_ASSERT_EQUAL (server.executed[TEST_STATEID], before + 1);
  peer4_end (&s);
}

/* A server that is busy is asked again, each time anew for as long. */
static void
a_delayed_renewal_is_sent_again (void)
{
  unsigned before;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  for (unsigned i = 0; i < 40; i++) {
    before = server.executed[SEQUENCE];
    server.fail_op = SEQUENCE;
    server.fail_status = 10008; /* DELAY */
    server.fail_times = 3;
    for (unsigned k = 0; k < 20 && server.executed[SEQUENCE] == before; k++) {
      peer4_sleep (&s);
      peer4_answer (&s);
    }
    CU_ASSERT_EQUAL (server.fail_times, 0);
    CU_ASSERT_EQUAL (server.executed[SEQUENCE], before + 1);
    CU_ASSERT_EQUAL_FATAL (nfs_ops.state (s.p), PROTO_READY);
  }
  peer4_works (&s, 1);
  peer4_end (&s);
}

static void
no_answer_is_noticed (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  peer4_sleep (&s); /* renews */
  while (peer_call (&s))
    ;
  peer4_sleep (&s);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "no answer"));
  peer4_end (&s);
}

/* --------------------------------------------------------- exactly once --- */

UNIT_MAIN ("nfs v4 recovery", UNIT_TEST (every_error_is_mended),
           UNIT_TEST (mending_ends),
           UNIT_TEST (a_state_that_is_good_and_refused_ends_the_request),
           UNIT_TEST (what_is_refused_ends_before_the_session),
           UNIT_TEST (many_that_are_refused_end),
           UNIT_TEST (a_delay_is_bounded),
           UNIT_TEST (asking_anew_is_bounded),
           UNIT_TEST (a_restarted_server_gives_back_what_was_open),
           UNIT_TEST (a_break_while_it_is_given_back),
           UNIT_TEST (an_expired_lease_is_no_end),
           UNIT_TEST (another_file_is_not_taken_for_it),
           UNIT_TEST (files_without_numbers_have_handles),
           UNIT_TEST (the_lease_is_renewed),
           UNIT_TEST (a_revoked_open_is_tested_once),
           UNIT_TEST (a_delayed_renewal_is_sent_again),
           UNIT_TEST (no_answer_is_noticed))
