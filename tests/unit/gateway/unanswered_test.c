/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes that nobody has answered: their stripes stay open as long as a server
 * may still carry them out, and no longer.
 */
#include "config.h"
#include "gateway/link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "ipc/fence.h"
#include "tests/fake/peer.h"
#include "tests/fake/peer_link.h"
#include "tests/unit/unit.h"

#define SECOND PEER_SECOND
#define PAGE PAGE_BYTES
#define PATIENCE 20000 /* of a millisecond each */

static struct peer peer;
static struct link_options options;
static _Atomic bool leave;

static bool
interrupted (void)
{
  return leave;
}

static struct link *
begin (void)
{
  options = (struct link_options){.connections = 1,
                                  .cached = true,
                                  .outage_fail_ns = UINT64_MAX,
                                  .retain_bytes = 64u << 20,
                                  .request_ns = 30 * SECOND};
  leave = false;
  peer_start (&peer, PEER_HONEST);
  return peer_link (&options, interrupted);
}

static void
end (struct link *l)
{
  link_close (l);
  peer_end (&peer);
}

/* No write is under way, neither by the stripes nor by the count of writes. */
static bool
is_quiet (void)
{
  return stripes_unequal (&peer.map) == 0
         && stripes_writes_ended (&peer.map)
                == stripes_writes_begun (&peer.map);
}

static bool
becomes_quiet (void)
{
  for (int i = 0; i < PATIENCE && !is_quiet (); i++)
    poll (NULL, 0, 1);
  return is_quiet ();
}

static bool
is_cached (struct link *l, uint64_t page)
{
  uint8_t buf[PAGE];
  struct link_stats s, t;

  for (int i = 0; i < PATIENCE; i++) {
    link_stats (l, &s);
    CU_ASSERT_EQUAL (link_read (l, buf, PAGE, page * PAGE), 0);
    link_stats (l, &t);
    if (t.hits > s.hits)
      return true;
    poll (NULL, 0, 1);
  }
  return false;
}

static void *
writes_in_vain (void *arg)
{
  static uint8_t bytes[8 * PAGE] = {1};

  CU_ASSERT_EQUAL (link_write (arg, bytes, sizeof bytes, 40 * PAGE, 0),
                   ESHUTDOWN);
  return NULL;
}

static void
begin_a_write (struct link *l, pthread_t *thread)
{
  peer.late_page = 41;
  pthread_create (thread, NULL, writes_in_vain, l);
  for (int i = 0; i < PATIENCE && !peer.gateway[0].path[0].served; i++)
    poll (NULL, 0, 1);
  CU_ASSERT (stripes_unequal (&peer.map) > 0);
}

/* Its client goes, then its worker dies: the server may still execute it. */
static void
one_that_was_sent_is_over_with_its_fence (void)
{
  struct link *l = begin ();
  pthread_t thread;
  uint64_t before;

  begin_a_write (l, &thread);
  leave = true;
  pthread_join (thread, NULL);
  CU_ASSERT_FALSE (is_quiet ());
  leave = false;
  before = clock_now_ns ();
  peer.kills++;
  CU_ASSERT (becomes_quiet ());
  CU_ASSERT (clock_now_ns () - before >= FENCE_WAIT_NS);
  peer.late_page = 0;
  CU_ASSERT (is_cached (l, 40));
  end (l);
  CU_ASSERT_EQUAL (peer.settled, 0);
}

/* The worker dies first, and no other one comes before the client goes. */
static void
one_that_waits_for_a_worker (void)
{
  struct link *l = begin ();
  pthread_t thread;
  uint64_t before;

  begin_a_write (l, &thread);
  before = clock_now_ns ();
  peer.hold = true;
  peer.kills++;
  for (int i = 0; i < PATIENCE && !peer.deaths; i++)
    poll (NULL, 0, 1);
  leave = true;
  pthread_join (thread, NULL);
  CU_ASSERT (becomes_quiet ());
  CU_ASSERT (clock_now_ns () - before >= FENCE_WAIT_NS);
  leave = peer.hold = false;
  peer.late_page = 0;
  CU_ASSERT (is_cached (l, 40));
  end (l);
  CU_ASSERT_EQUAL (peer.settled, 0);
}

/* Answered when nobody waits any more. */
static void
one_that_is_answered_late (void)
{
  struct link *l = begin ();
  pthread_t thread;

  begin_a_write (l, &thread);
  leave = true;
  pthread_join (thread, NULL);
  leave = false;
  CU_ASSERT_FALSE (is_quiet ());
  peer.late_page = 0;
  CU_ASSERT (is_cached (l, 40)); /* somebody must look at the ring */
  CU_ASSERT (is_quiet ());
  end (l);
}

static bool
has_doubts (struct link *l, uint64_t n, uint64_t resent)
{
  struct link_stats s;

  for (int i = 0; i < PATIENCE; i++) {
    link_stats (l, &s);
    if (s.doubts == n && s.resent >= resent)
      return true;
    poll (NULL, 0, 1);
  }
  return false;
}

static void *
trims_in_vain (void *arg)
{
  CU_ASSERT_EQUAL (link_plain (arg, IO_TRIM, 3 << 20, PAGE, 0), ESHUTDOWN);
  return NULL;
}

static void
one_that_was_never_sent_is_over_at_once (void)
{
  struct link *l = begin ();
  pthread_t thread;

  CU_ASSERT_EQUAL (link_plain (l, IO_TRIM, PAGE, 0, 0), 0); /* the lease */
  peer.hold = true;
  peer.kills++;
  CU_ASSERT (has_doubts (l, 1, 0)); /* it knows that there is no worker */
  pthread_create (&thread, NULL, trims_in_vain, l);
  for (int i = 0; i < PATIENCE && is_quiet (); i++)
    poll (NULL, 0, 1);
  CU_ASSERT_FALSE (is_quiet ());
  leave = true;
  pthread_join (thread, NULL);
  CU_ASSERT (is_quiet ());
  leave = peer.hold = false;
  end (l);
}

/* Two are sent again; the second is answered, the first is not, when the link
 * ends. Only the first is left to the daemon to settle.
 */
static void
who_sends_again_and_leaves_ends_what_was_answered (void)
{
  static const uint8_t page[PAGE] = {7};
  struct link *l = begin ();

  peer.forgets = true;
  CU_ASSERT_EQUAL (link_write (l, page, PAGE, 50 * PAGE, 0), 0);
  CU_ASSERT_EQUAL (link_write (l, page, PAGE, 60 * PAGE, 0), 0);
  CU_ASSERT (is_quiet ());
  peer.late_page = 51;
  peer.kills++;
  CU_ASSERT (has_doubts (l, 1, 2));
  CU_ASSERT_EQUAL (stripes_unequal (&peer.map), 2);
  end (l);
  CU_ASSERT_EQUAL (peer.settled, 1);
}

static void *
writes (void *arg)
{
  static const uint8_t bytes[PAGE] = {1};

  return (void *)(intptr_t)link_write (arg, bytes, PAGE, 40 * PAGE, 0);
}

/* This process stood still until the daemon had given its lease to another one,
 * whose write to the same page is under way when our answer is found.
 */
static void
who_has_lost_the_lease_ends_nothing (void)
{
  struct link *l = begin ();
  pthread_t thread;
  uint64_t version;
  void *error;

  peer.late_page = 41;
  pthread_create (&thread, NULL, writes, l);
  for (int i = 0; i < PATIENCE && !peer.gateway[0].path[0].served; i++)
    poll (NULL, 0, 1);
  CU_ASSERT_FALSE (stripes_quiet (&peer.map, 40, &version));
  CU_ASSERT_EQUAL (stripes_settle (&peer.map), 1);
  CU_ASSERT (is_quiet ());
  stripes_begin (&peer.map, 40, 40);
  peer.late_page = 0;
  pthread_join (thread, &error);
  CU_ASSERT_PTR_NULL (error);
  CU_ASSERT_FALSE (stripes_quiet (&peer.map, 40, &version));
  CU_ASSERT_FALSE (is_quiet ());
  stripes_end (&peer.map, 40, 40);
  CU_ASSERT (is_quiet ());
  end (l);
}

UNIT_MAIN ("unanswered", UNIT_TEST (one_that_was_sent_is_over_with_its_fence),
           UNIT_TEST (one_that_waits_for_a_worker),
           UNIT_TEST (one_that_is_answered_late),
           UNIT_TEST (one_that_was_never_sent_is_over_at_once),
           UNIT_TEST (who_sends_again_and_leaves_ends_what_was_answered),
           UNIT_TEST (who_has_lost_the_lease_ends_nothing))
