/* SPDX-License-Identifier: BSD-2-Clause */
/* Has somebody changed the file? What the engine answers to that, and what it
 * does when the server does not: NFSv3 and NFSv4.
 */
#include "config.h"

#include <string.h>

#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

/* The answer, or false where the session ended. */
static bool
probe (struct peer *s, bool v4, uint64_t *ret_change, uint64_t *ret_size)
{
  nfs_ops.probe (s->p, s->now_ns);
  for (unsigned i = 0; i < 100 && nfs_ops.state (s->p) == PROTO_READY; i++) {
    if (nfs_ops.probed (s->p, ret_change, ret_size)) {
      uint64_t change, size;

      CU_ASSERT (!nfs_ops.probed (s->p, &change, &size)); /* once */
      return true;
    }
    if (!(v4 ? peer4_answer (s) : peer_answer (s)))
      peer4_sleep (s);
  }
  return false;
}

static void
v3_tells_changes (void)
{
  struct volume_info info;
  uint64_t change, size, first, second;
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &info);
  CU_ASSERT (probe (&s, false, &first, &size));
  CU_ASSERT_EQUAL (first, info.change);
  CU_ASSERT_EQUAL (size, info.size);
  s.server.mtime++;
  CU_ASSERT (probe (&s, false, &second, &size));
  CU_ASSERT_NOT_EQUAL (first, second);
  CU_ASSERT_NOT_EQUAL (second, 0);
  CU_ASSERT (probe (&s, false, &change, &size));
  CU_ASSERT_EQUAL (change, second);
  s.server.size = 4096;
  CU_ASSERT (probe (&s, false, &change, &size));
  CU_ASSERT_NOT_EQUAL (change, second);
  CU_ASSERT_EQUAL (size, 4096);
  s.server.size = 1 << 20;
  peer_fini (&s);
}

/* The time that a user may set is put back; the other one tells. */
static void
v3_is_not_fooled_by_mtime (void)
{
  uint64_t first, second, size;
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT (probe (&s, false, &first, &size));
  s.server.ctime_ahead++;
  CU_ASSERT (probe (&s, false, &second, &size));
  CU_ASSERT_NOT_EQUAL (first, second);
  peer_fini (&s);
}

static void
v3_asks_again_where_the_server_is_not_ready (void)
{
  uint64_t first, change, size;
  struct peer s;
  unsigned before;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT (probe (&s, false, &first, &size));
  before = s.server.calls[1];
  s.server.jukebox = 3;
  CU_ASSERT (probe (&s, false, &change, &size));
  CU_ASSERT_EQUAL (change, first);
  CU_ASSERT_EQUAL (s.server.calls[1], before + 4);
  s.server.jukebox = 10000; /* and not for ever */
  CU_ASSERT (!probe (&s, false, &change, &size));
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "not ready"));
  peer_fini (&s);
}

static void
v3_notices_no_answer (void)
{
  uint64_t change, size;
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  nfs_ops.probe (s.p, s.now_ns);
  CU_ASSERT (peer_call (&s) > 0);
  peer4_sleep (&s);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "no answer to GETATTR"));
  CU_ASSERT (!nfs_ops.probed (s.p, &change, &size));
  peer_fini (&s);
}

static void
v3_says_that_the_handle_is_stale (void)
{
  uint64_t change, size;
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  s.server.stale = true;
  CU_ASSERT (!probe (&s, false, &change, &size));
  CU_ASSERT (peer4_says (&s, "NFS3ERR_STALE"));
  peer_fini (&s);
}

static void
v3_refuses_a_size_beyond_everything (void)
{
  uint64_t change, size;
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  s.server.size = UINT64_MAX;
  CU_ASSERT (!probe (&s, false, &change, &size));
  CU_ASSERT (peer4_says (&s, "fattr3.size, RFC 1813"));
  s.server.size = 1 << 20;
  peer_fini (&s);
}

static void
v4_tells_changes (void)
{
  struct volume_info info;
  uint64_t change, size;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &info);
  CU_ASSERT (probe (&s, true, &change, &size));
  CU_ASSERT_EQUAL (change, info.change);
  CU_ASSERT_EQUAL (size, SIZE);
  server.change = 0; /* which would say: not known */
  CU_ASSERT (probe (&s, true, &change, &size));
  CU_ASSERT_EQUAL (change, 1);
  server.change = UINT64_MAX;
  server.size = 5;
  CU_ASSERT (probe (&s, true, &change, &size));
  CU_ASSERT_EQUAL (change, UINT64_MAX);
  CU_ASSERT_EQUAL (size, 5);
  server.size = SIZE;
  peer4_works (&s, 1);
  server.size = UINT64_MAX;
  CU_ASSERT (!probe (&s, true, &change, &size));
  CU_ASSERT (peer4_says (&s, "fattr4_size"));
  server.size = SIZE;
  peer4_end (&s);
}

/* Each error in its place; and the session goes on. */
static void
v4_mends_what_is_in_its_way (void)
{
  static const struct {
    uint32_t op, status;
    unsigned times;
  } cases[] = {
      {GETATTR, 10008, 3},  /* DELAY */
      {SEQUENCE, 10008, 2}, /* DELAY */
      {SEQUENCE, 10052, 1}, /* BADSESSION */
      {PUTFH, 10014, 1},    /* FHEXPIRED */
      {PUTFH, 70, 1},       /* STALE */
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint64_t change, size;
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
    server.change = 1000 + i;
    server.fail_op = cases[i].op;
    server.fail_status = cases[i].status;
    server.fail_times = cases[i].times;
    CU_ASSERT (probe (&s, true, &change, &size));
    CU_ASSERT_EQUAL (change, 1000 + i);
    CU_ASSERT_EQUAL (server.fail_times, 0);
    peer4_works (&s, i);
    peer4_end (&s);
  }
}

/* It waits for the renewal of the lease, and requests do not wait for it. */
static void
v4_takes_its_turn (void)
{
  uint64_t change, size;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  peer4_sleep (&s); /* renews */
  CU_ASSERT (peer_call (&s) > 0);
  nfs_ops.probe (s.p, s.now_ns);
  CU_ASSERT_EQUAL (peer_call (&s), 0);
  CU_ASSERT_EQUAL (peer4_submit (&s, 4711, IO_READ, 0, 0, 512, back), ERR_OK);
  CU_ASSERT (peer4_answer (&s));
  CU_ASSERT (!nfs_ops.probed (s.p, &change, &size));
  peer4_end (&s);
}

static void
v4_fails_in_words (void)
{
  uint64_t change, size;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  server.fail_op = GETATTR;
  server.fail_status = 13; /* ACCESS */
  server.fail_times = 1;
  CU_ASSERT (!probe (&s, true, &change, &size));
  CU_ASSERT (peer4_says (&s, "GETATTR: NFS4ERR_ACCESS"));
  peer4_end (&s);
}

static void
a_list_stays (void)
{
  uint64_t change, size;
  struct volume_info info;
  struct peer s;

  peer4_begin (&s);
  s.params[1] = "/dir/";
  s.params[4] = "list";
  s.params[5] = "yes";
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &info);
  CU_ASSERT (probe (&s, true, &change, &size));
  CU_ASSERT_EQUAL (size, info.size);
  peer4_end (&s);
}

UNIT_MAIN ("nfs probe", UNIT_TEST (v3_tells_changes),
           UNIT_TEST (v3_is_not_fooled_by_mtime),
           UNIT_TEST (v3_asks_again_where_the_server_is_not_ready),
           UNIT_TEST (v3_notices_no_answer),
           UNIT_TEST (v3_says_that_the_handle_is_stale),
           UNIT_TEST (v3_refuses_a_size_beyond_everything),
           UNIT_TEST (v4_tells_changes),
           UNIT_TEST (v4_mends_what_is_in_its_way),
           UNIT_TEST (v4_takes_its_turn), UNIT_TEST (v4_fails_in_words),
           UNIT_TEST (a_list_stays))
