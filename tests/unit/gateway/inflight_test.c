/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/inflight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct inflight f;
static struct ring_object requests, completions;
static struct ring gateway, worker; /* of path 0 */
static int me; /* an owner */

#define PATHS 3u
#define ALL_UP ((1u << PATHS) - 1)
#define ON(path) (1u << (path))

static struct {
  struct ring_object requests, completions;
  struct ring gateway, worker;
} line[PATHS];

static void
start_line (unsigned path, uint64_t epoch)
{
  ring_object_reset (&line[path].requests, epoch);
  ring_object_reset (&line[path].completions, epoch);
  ring_init (&line[path].gateway, &line[path].requests,
             &line[path].completions);
  ring_init (&line[path].worker, &line[path].completions,
             &line[path].requests);
}

static void
start (void)
{
  inflight_init (&f);
  ring_object_reset (&requests, 1);
  ring_object_reset (&completions, 1);
  ring_init (&gateway, &requests, &completions);
  ring_init (&worker, &completions, &requests);
  for (unsigned p = 0; p < PATHS; p++)
    start_line (p, 1);
}

static enum err
get_on (uint32_t usable, enum io_op op, uint64_t offset, uint32_t length,
        uint64_t now, uint32_t *slot)
{
  uint64_t retry;

  return inflight_get (&f, op, 0, offset, length, usable, now, &me, slot,
                       &retry);
}

static enum err
get (enum io_op op, uint64_t offset, uint32_t length, uint64_t now,
     uint32_t *slot)
{
  return get_on (ON (0), op, offset, length, now, slot);
}

static uint32_t
sent (enum io_op op, uint64_t offset, uint32_t length)
{
  uint32_t slot = 0;

  CU_ASSERT_EQUAL_FATAL (get (op, offset, length, 0, &slot), ERR_OK);
  inflight_ready (&f, slot);
  CU_ASSERT_EQUAL_FATAL (inflight_push (&f, &gateway, slot, 7), ERR_OK);
  return slot;
}

static enum err
push (uint32_t slot)
{
  return inflight_push (&f, &line[f.slot[slot].path].gateway, slot, 7);
}

static uint32_t
sent_on (uint32_t usable, enum io_op op, uint64_t offset, uint32_t length)
{
  uint32_t slot = 0;

  CU_ASSERT_EQUAL_FATAL (get_on (usable, op, offset, length, 0, &slot),
                         ERR_OK);
  inflight_ready (&f, slot);
  CU_ASSERT_EQUAL_FATAL (push (slot), ERR_OK);
  return slot;
}

static struct ring_completion
answer_to (uint32_t slot)
{
  const struct ring_request *r = &f.slot[slot].request;

  return (struct ring_completion){
    .id = r->id, .length = r->op == IO_READ ? r->length : 0};
}

static void
a_request_is_answered_once (void)
{
  uint32_t slot;
  struct ring_completion c;
  void *owner = NULL;

  start ();
  slot = sent (IO_READ, 4096, 100);
  c = answer_to (slot);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  CU_ASSERT_PTR_EQUAL (owner, &me);
  CU_ASSERT_EQUAL (f.slot[slot].state, SLOT_DONE);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_PEER);
  inflight_put (&f, slot);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_PEER);
  /* The slot's next user has another generation. */
  CU_ASSERT_EQUAL (sent (IO_READ, 0, 100), slot);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_PEER);
}

static void
hostile_completions_are_refused (void)
{
  struct ring_completion c;
  uint32_t slot;
  void *owner;

  start ();
  slot = sent (IO_READ, 0, 100);
  for (int i = 0; i < 5; i++) {
    c = answer_to (slot);
    if (i == 0)
      c.id = UINT64_MAX;
    if (i == 1)
      c.id = 0;
    if (i == 2)
      c.id += INFLIGHT_SLOTS;
    if (i == 3)
      c.length--;
    if (i == 4)
      c.id += 1ull << 32;
    CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_PEER);
  }
  c = answer_to (slot);
  c.error = 0xffffffff;
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  CU_ASSERT_EQUAL (f.slot[slot].server_errno, EIO);
}

static void
slots_run_out_and_come_back (void)
{
  uint32_t slot, first = 0;

  start ();
  for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
    slot = sent (IO_READ, i, 1);
    if (i == 0)
      first = slot;
    CU_ASSERT (f.slot[slot].request.arena_offset + CHANNEL_CHUNK_BYTES
               <= CHANNEL_ARENA_BYTES);
  }
  CU_ASSERT_EQUAL (get (IO_READ, 0, 1, 0, &slot), ERR_AGAIN);
  struct ring_completion c = answer_to (first);
  void *owner;
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  inflight_put (&f, first);
  CU_ASSERT_EQUAL (get (IO_READ, 0, 1, 0, &slot), ERR_OK);
  CU_ASSERT_EQUAL (slot, first);
}

static void
overlapping_writes_wait (void)
{
  uint32_t a, b;
  struct ring_completion c;
  void *owner;

  start ();
  a = sent (IO_WRITE, 100, 100);
  CU_ASSERT_EQUAL (get (IO_WRITE, 199, 1, 0, &b), ERR_AGAIN);
  CU_ASSERT_EQUAL (get (IO_ZERO, 0, 101, 0, &b), ERR_AGAIN);
  CU_ASSERT_EQUAL (get (IO_WRITE, 200, 1, 0, &b), ERR_OK);
  inflight_put (&f, b);
  CU_ASSERT_EQUAL (get (IO_WRITE, 99, 1, 0, &b), ERR_OK);
  inflight_put (&f, b);
  CU_ASSERT_EQUAL (get (IO_READ, 100, 100, 0, &b), ERR_OK);
  inflight_put (&f, b);
  c = answer_to (a);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  CU_ASSERT_EQUAL (get (IO_WRITE, 150, 10, 0, &b), ERR_OK);
}

/* I3: the dead session's write may still be executed. */
static void
a_write_in_doubt_holds_back_newer_ones (void)
{
  uint32_t a, b, r;
  uint64_t retry;
  struct ring_completion c;
  void *owner;
  const uint64_t died = 5000;

  start ();
  a = sent (IO_WRITE, 0, 100);
  r = sent (IO_READ, 0, 100);
  inflight_down (&f, 0, died);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_QUEUED);
  CU_ASSERT_EQUAL (f.slot[r].state, SLOT_QUEUED);
  CU_ASSERT_EQUAL (inflight_next (&f), a);

  /* its own replay goes at once */
  ring_object_reset (&requests, 2);
  ring_object_reset (&completions, 2);
  ring_init (&gateway, &requests, &completions);
  CU_ASSERT_EQUAL (inflight_push (&f, &gateway, a, 7), ERR_OK);
  CU_ASSERT_EQUAL (inflight_next (&f), r);
  c = answer_to (a);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  inflight_put (&f, a);

  CU_ASSERT_EQUAL (inflight_get (&f, IO_WRITE, 0, 50, 10, 1, died + 1, &me,
                                 &b, &retry),
                   ERR_AGAIN);
  CU_ASSERT_EQUAL (retry, died + FENCE_WAIT_NS);
  CU_ASSERT_EQUAL (get (IO_WRITE, 100, 10, died + 1, &b), ERR_OK);
  CU_ASSERT_EQUAL (get (IO_WRITE, 50, 10, retry, &b), ERR_OK);
}

static void
more_doubts_than_places_lose_nothing (void)
{
  struct ring_request over;
  uint32_t slot;

  start ();
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < 100; i++) {
      uint64_t offset = (uint64_t)(round * 100 + (int)i) * 10;

      slot = sent (IO_WRITE, offset, 10);
      inflight_abandon (&f, slot);
    }
    inflight_down (&f, 0, 1);
    CU_ASSERT_EQUAL (f.free_slots, INFLIGHT_SLOTS - 100);
    while (inflight_settle (&f, UINT64_MAX, &over))
      ;
    CU_ASSERT_EQUAL (f.free_slots, INFLIGHT_SLOTS);
    ring_object_reset (&requests, 2);
    ring_object_reset (&completions, 2);
    ring_init (&gateway, &requests, &completions);
  }
  for (uint32_t i = 0; i < 300; i++)
    CU_ASSERT_EQUAL (get (IO_WRITE, i * 10, 10, 2, &slot), ERR_AGAIN);
}

/* I8 */
static void
unanswered_writes_are_unsure_until_nobody_can_do_them (void)
{
  uint32_t a, b, c, d;
  struct ring_request over;
  struct ring_completion answer;
  void *owner;

  start ();
  a = sent (IO_WRITE, 0, 10); /* its client goes, then its worker */
  b = sent (IO_TRIM, 10, 10); /* the other way round */
  CU_ASSERT_EQUAL (get (IO_ZERO, 20, 10, 0, &c), ERR_OK); /* never sent */
  inflight_ready (&f, c);
  d = sent (IO_READ, 0, 10);
  inflight_abandon (&f, a);
  inflight_abandon (&f, d);
  inflight_down (&f, 0, 1000);
  CU_ASSERT_EQUAL (f.slot[d].state, SLOT_FREE);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_UNSURE);
  CU_ASSERT_EQUAL (f.slot[b].state, SLOT_QUEUED);
  CU_ASSERT_FALSE (inflight_settle (&f, 1000, &over));
  inflight_abandon (&f, b);
  inflight_abandon (&f, c);
  CU_ASSERT_EQUAL (f.writing_slots, 0);
  CU_ASSERT_EQUAL (inflight_writes_over_ns (&f), 1000 + FENCE_WAIT_NS);
  CU_ASSERT_TRUE (inflight_settle (&f, 1000, &over));
  CU_ASSERT_EQUAL (over.offset, 20);
  CU_ASSERT_FALSE (inflight_settle (&f, 999 + FENCE_WAIT_NS, &over));
  CU_ASSERT_TRUE (inflight_settle (&f, 1000 + FENCE_WAIT_NS, &over));
  CU_ASSERT_TRUE (inflight_settle (&f, 1000 + FENCE_WAIT_NS, &over));
  CU_ASSERT_FALSE (inflight_settle (&f, UINT64_MAX, &over));
  CU_ASSERT_EQUAL (f.free_slots, INFLIGHT_SLOTS);
  /* What failed without an answer, and what was answered after all. */
  CU_ASSERT_EQUAL (get (IO_WRITE, 100, 10, 0, &a), ERR_OK);
  inflight_ready (&f, a);
  b = sent (IO_WRITE, 200, 10);
  answer = answer_to (b);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &answer, &owner), ERR_OK);
  inflight_fail (&f, ERR_IO);
  inflight_put (&f, b);
  CU_ASSERT_EQUAL (f.slot[b].state, SLOT_FREE);
  inflight_put (&f, a);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_UNSURE);
  CU_ASSERT_TRUE (inflight_settle (&f, 0, &over));
  CU_ASSERT_EQUAL (over.offset, 100);
}

/* I7 */
static void
a_shared_read_is_there_for_its_last_user (void)
{
  struct ring_completion c;
  void *owner = &me;
  uint32_t a;

  start ();
  a = sent (IO_READ, 0, 10);
  inflight_join (&f, a);
  inflight_join (&f, a);
  CU_ASSERT_TRUE (inflight_shared (&f, a));
  inflight_abandon (&f, a); /* the owner */
  CU_ASSERT_FALSE (f.slot[a].abandoned);
  inflight_down (&f, 0, 0); /* it is sent again for the others */
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_QUEUED);
  CU_ASSERT_EQUAL (inflight_push (&f, &gateway, a, 7), ERR_OK);
  inflight_unjoin (&f, a);
  c = answer_to (a);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  CU_ASSERT_PTR_NULL (owner);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_DONE);
  inflight_unjoin (&f, a);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_FREE);
  /* The last one leaves before the answer. */
  a = sent (IO_READ, 0, 10);
  inflight_join (&f, a);
  inflight_abandon (&f, a);
  inflight_unjoin (&f, a);
  CU_ASSERT_TRUE (f.slot[a].abandoned);
  c = answer_to (a);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  CU_ASSERT_EQUAL (f.free_slots, INFLIGHT_SLOTS);
  CU_ASSERT_EQUAL (f.reading_slots, 0);
}

static void
an_abandoned_slot_is_not_reused_early (void)
{
  uint32_t a, b;
  struct ring_completion c;
  void *owner = &me;

  start ();
  a = sent (IO_READ, 0, 10);
  inflight_abandon (&f, a);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_SENT);
  CU_ASSERT_EQUAL (get (IO_READ, 0, 10, 0, &b), ERR_OK);
  CU_ASSERT_NOT_EQUAL (a, b);
  c = answer_to (a);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  CU_ASSERT_PTR_NULL (owner);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_FREE);
}

static void
a_volume_given_up_answers_all (void)
{
  uint32_t a, b, late;

  start ();
  a = sent (IO_WRITE, 0, 10);
  CU_ASSERT_EQUAL (get (IO_READ, 0, 10, 0, &b), ERR_OK);
  inflight_ready (&f, b);
  CU_ASSERT_EQUAL (get (IO_READ, 0, 10, 0, &late), ERR_OK);
  inflight_down (&f, 0, 0);
  inflight_fail (&f, ERR_IO);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_DONE);
  CU_ASSERT_EQUAL (f.slot[a].error, ERR_IO);
  CU_ASSERT_EQUAL (f.slot[b].state, SLOT_DONE);
  inflight_ready (&f, late);
  CU_ASSERT_EQUAL (f.slot[late].state, SLOT_DONE);
  CU_ASSERT_EQUAL (f.slot[late].error, ERR_IO);
  CU_ASSERT_EQUAL (get (IO_READ, 0, 1, 0, &b), ERR_IO);
}

static void
a_lying_head_is_refused (void)
{
  uint32_t slot;

  start ();
  atomic_store (&completions.head, 1000u);
  CU_ASSERT_EQUAL (get (IO_READ, 0, 1, 0, &slot), ERR_OK);
  inflight_ready (&f, slot);
  CU_ASSERT_EQUAL (inflight_push (&f, &gateway, slot, 7), ERR_PEER);
  CU_ASSERT_EQUAL (f.slot[slot].state, SLOT_QUEUED);
}

static enum err
answered (uint32_t slot, unsigned path)
{
  struct ring_completion c = answer_to (slot);
  void *owner;

  return inflight_complete (&f, path, &c, &owner);
}

/* The least busy, and all in turn. */
static void
paths_share_the_work (void)
{
  uint32_t slot[9];

  start ();
  for (unsigned i = 0; i < 9; i++)
    slot[i] = sent_on (ALL_UP, IO_READ, i, 1);
  for (unsigned p = 0; p < PATHS; p++)
    CU_ASSERT_EQUAL (f.path[p].sent, 3);
  for (unsigned i = 0; i < 9; i++)
    if (f.slot[slot[i]].path == 1)
      CU_ASSERT_EQUAL (answered (slot[i], 1), ERR_OK);
  CU_ASSERT_EQUAL (f.path[1].bound, 0);
  for (unsigned i = 0; i < 3; i++)
    CU_ASSERT_EQUAL (f.slot[sent_on (ALL_UP, IO_READ, i, 1)].path, 1);
  CU_ASSERT_EQUAL (f.slot[sent_on (ON (2), IO_READ, 0, 1)].path, 2);
}

/* I1: another worker's word for it is none, however exact. */
static void
only_its_own_path_answers_a_slot (void)
{
  uint32_t a;

  start ();
  a = sent_on (ON (1), IO_READ, 0, 100);
  CU_ASSERT_EQUAL (answered (a, 0), ERR_PEER);
  CU_ASSERT_EQUAL (answered (a, 2), ERR_PEER);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_SENT);
  CU_ASSERT_EQUAL (answered (a, 1), ERR_OK);

  /* Nor is that of the path that it was on before. */
  a = sent_on (ON (1), IO_READ, 0, 100);
  inflight_down (&f, 1, 0);
  CU_ASSERT_EQUAL (inflight_move (&f, a, ON (0)), 0);
  CU_ASSERT_EQUAL (push (a), ERR_OK);
  CU_ASSERT_EQUAL (answered (a, 1), ERR_PEER);
  CU_ASSERT_EQUAL (answered (a, 0), ERR_OK);
}

static void
one_path_goes_down_the_others_go_on (void)
{
  uint32_t a, b, w, queued;
  uint64_t retry;

  start ();
  a = sent_on (ON (0), IO_READ, 0, 100);
  w = sent_on (ON (1), IO_WRITE, 0, 100);
  b = sent_on (ON (1), IO_READ, 0, 100);
  CU_ASSERT_EQUAL (get_on (ON (1), IO_READ, 0, 1, 0, &queued), ERR_OK);
  inflight_ready (&f, queued);
  inflight_down (&f, 1, 50);
  CU_ASSERT_EQUAL (f.slot[a].state, SLOT_SENT);
  CU_ASSERT_EQUAL (f.slot[w].state, SLOT_QUEUED);
  CU_ASSERT_EQUAL (f.slot[b].state, SLOT_QUEUED);
  CU_ASSERT_EQUAL (f.slot[queued].state, SLOT_QUEUED);
  CU_ASSERT_EQUAL (f.path[1].sent, 0);
  CU_ASSERT_EQUAL (f.path[1].bound, 3);

  /* The write goes to another path at once, with all that identifies it. */
  CU_ASSERT_EQUAL (inflight_next (&f), w);
  CU_ASSERT_EQUAL (inflight_move (&f, w, ON (0) | ON (2)), 2);
  CU_ASSERT_EQUAL (f.path[1].bound, 2);
  CU_ASSERT_EQUAL (f.path[2].bound, 1);
  CU_ASSERT_EQUAL (f.slot[w].request.arena_offset,
                   (uint64_t)w * CHANNEL_CHUNK_BYTES);
  CU_ASSERT_EQUAL (push (w), ERR_OK);
  CU_ASSERT_EQUAL (answered (w, 2), ERR_OK);
  inflight_put (&f, w);

  /* I3: what the dead session may still do holds newer writes back. */
  for (unsigned p = 0; p < PATHS; p++)
    CU_ASSERT_EQUAL (inflight_get (&f, IO_WRITE, 0, 50, 10, ON (p), 60, &me,
                                   &w, &retry),
                     ERR_AGAIN);
  CU_ASSERT_EQUAL (retry, 50 + FENCE_WAIT_NS);
  CU_ASSERT_EQUAL (inflight_oldest_sent_ns (&f, 0), 7);
  CU_ASSERT_EQUAL (inflight_oldest_sent_ns (&f, 1), UINT64_MAX);
}

/* What kills all workers that see it does so to three of them, also if nobody
 * tells in time why they died; the innocent fail never.
 */
static void
a_killer_does_not_go_through_all_paths (void)
{
  uint32_t killer, innocent;

  start ();
  killer = sent_on (ON (0), IO_READ, 0, 1);
  innocent = sent_on (ON (0), IO_READ, 1, 1);
  inflight_down (&f, 0, 0);
  for (int i = 0; i < 2; i++) {
    uint32_t next = inflight_next (&f);

    CU_ASSERT_EQUAL_FATAL (next, i == 0 ? killer : innocent);
    inflight_move (&f, next, ON (1));
    CU_ASSERT_EQUAL (push (next), ERR_OK);
  }
  inflight_down (&f, 1, 0);
  /* Two deaths, nobody knows why: each alone. */
  CU_ASSERT_EQUAL (f.suspects, 2);
  CU_ASSERT_EQUAL (inflight_next (&f), killer);
  inflight_move (&f, killer, ON (2));
  CU_ASSERT_EQUAL (push (killer), ERR_OK);
  CU_ASSERT_EQUAL (inflight_next (&f), INFLIGHT_SLOTS);
  inflight_down (&f, 2, 0);
  /* It waits for the word; the other one goes. */
  start_line (0, 2);
  CU_ASSERT_EQUAL (inflight_blame (&f, 0), 0);
  CU_ASSERT_EQUAL (inflight_next (&f), innocent);
  inflight_move (&f, innocent, ON (0));
  CU_ASSERT_EQUAL (push (innocent), ERR_OK);
  CU_ASSERT_EQUAL (inflight_blame (&f, 1), 0);
  CU_ASSERT_EQUAL (answered (innocent, 0), ERR_OK);
  CU_ASSERT_EQUAL (inflight_next (&f), INFLIGHT_SLOTS);
  CU_ASSERT_EQUAL (inflight_blame (&f, 2), 1);
  CU_ASSERT_EQUAL (f.slot[killer].state, SLOT_DONE);
  CU_ASSERT_EQUAL (f.slot[killer].error, ERR_IO);
  CU_ASSERT_EQUAL (f.suspects, 0);
}

/* Workers that are killed from outside, one after the other. */
static void
who_did_not_kill_goes_on (void)
{
  uint32_t a;

  start ();
  a = sent_on (ON (0), IO_READ, 0, 1);
  for (int round = 0; round < 10; round++) {
    for (unsigned p = 0; p < PATHS; p++) {
      inflight_down (&f, p, 0);
      if (p + 1 < PATHS) {
        inflight_move (&f, a, ON (p + 1));
        CU_ASSERT_EQUAL (push (a), ERR_OK);
      }
    }
    CU_ASSERT_EQUAL (inflight_next (&f), INFLIGHT_SLOTS);
    for (unsigned p = 0; p < PATHS; p++) {
      inflight_absolve (&f, p);
      start_line (p, (uint64_t)round + 2);
    }
    CU_ASSERT_EQUAL (f.suspects, 0);
    CU_ASSERT_EQUAL (inflight_next (&f), a);
    inflight_move (&f, a, ON (0));
    CU_ASSERT_EQUAL (push (a), ERR_OK);
  }
  CU_ASSERT_EQUAL (answered (a, 0), ERR_OK);
}

static uint32_t
flush_on (unsigned path, uint32_t covers)
{
  uint32_t slot = 0;

  CU_ASSERT_EQUAL_FATAL (get_on (ON (path), IO_FLUSH, 0, 0, 0, &slot), ERR_OK);
  inflight_covers (&f, slot, covers);
  inflight_ready (&f, slot);
  CU_ASSERT_EQUAL_FATAL (push (slot), ERR_OK);
  return slot;
}

static void
flushed (uint32_t slot, unsigned path)
{
  uint32_t before = inflight_unflushed (&f);

  CU_ASSERT_EQUAL (answered (slot, path), ERR_OK);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), before); /* does it count? */
  inflight_flushed (&f, slot);
}

static void
a_flush_proves_what_was_answered_before (void)
{
  struct ring_completion c;
  uint32_t a, b, slot;
  void *owner;

  start ();
  CU_ASSERT_EQUAL (inflight_unflushed (&f), 0);
  a = sent_on (ON (1), IO_WRITE, 0, 10);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), 0); /* not answered yet */
  CU_ASSERT_EQUAL (answered (a, 1), ERR_OK);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), ON (1));
  a = sent_on (ON (2), IO_TRIM, 100, 10);
  CU_ASSERT_EQUAL (answered (a, 2), ERR_OK);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), ON (1) | ON (2));

  slot = flush_on (1, ON (1));
  flushed (slot, 1);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), ON (2));

  /* A write that is answered while the flush is on its way is not in it. */
  slot = flush_on (2, ON (2));
  b = sent_on (ON (2), IO_WRITE, 200, 10);
  CU_ASSERT_EQUAL (answered (b, 2), ERR_OK);
  flushed (slot, 2);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), ON (2));

  /* One that fails proves nothing. */
  slot = flush_on (2, ON (2));
  c = answer_to (slot);
  c.error = EIO;
  CU_ASSERT_EQUAL (inflight_complete (&f, 2, &c, &owner), ERR_OK);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), ON (2));

  /* Its path dies, another one proves it instead. */
  slot = flush_on (2, ON (2));
  inflight_down (&f, 2, 0);
  inflight_move (&f, slot, ON (0));
  CU_ASSERT_EQUAL (push (slot), ERR_OK);
  flushed (slot, 0);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), 0);

  for (unsigned p = 0; p < 2; p++) {
    a = sent_on (ON (p), IO_WRITE, 1000 + p * 10, 10);
    CU_ASSERT_EQUAL (answered (a, p), ERR_OK);
  }
  slot = flush_on (1, INFLIGHT_ALL_PATHS);
  flushed (slot, 1);
  CU_ASSERT_EQUAL (inflight_unflushed (&f), 0);
}

static bool
is_writing (const struct inflight_slot *s)
{
  return s->state != SLOT_FREE && s->state != SLOT_DONE
         && s->state != SLOT_UNSURE && s->request.op != IO_READ;
}

/* Random life for a while; the invariants are looked at after each step. */
static void
random_steps_keep_the_invariants (void)
{
  unsigned long answers = 0, unsure = 0;
  uint32_t up = ALL_UP;

  start ();
  srand (1);
  for (int step = 0; step < 200000; step++) {
    uint32_t slot = (uint32_t)rand () % INFLIGHT_SLOTS;
    struct inflight_slot *s = &f.slot[slot];
    static const enum io_op ops[] = {IO_READ, IO_WRITE, IO_TRIM, IO_ZERO};
    union ring_entry e;
    void *owner;
    uint64_t now = (uint64_t)step * 1000000;
    unsigned path = (unsigned)rand () % PATHS;
    struct ring_request over;

    switch (rand () % 8) {
    case 0:
    case 1:
    case 2:
      get_on (up ? up : ALL_UP, ops[rand () % 4], (uint64_t)(rand () % 2000),
              1 + (uint32_t)(rand () % 20), now, &slot);
      break;
    case 3:
      if (s->state == SLOT_FILLING)
        inflight_ready (&f, slot);
      break;
    case 4:
      while (up && (slot = inflight_next (&f)) < INFLIGHT_SLOTS) {
        if (!(up & ON (f.slot[slot].path)))
          inflight_move (&f, slot, up);
        CU_ASSERT_EQUAL_FATAL (push (slot), ERR_OK);
      }
      break;
    case 5:
      if (ring_pop (&line[path].worker, &e) == ERR_OK) {
        struct ring_completion c = {.id = e.request.id,
                                    .length = e.request.length};

        CU_ASSERT_EQUAL_FATAL (
          inflight_complete (&f, (path + 1) % PATHS, &c, &owner), ERR_PEER);
        CU_ASSERT_EQUAL_FATAL (inflight_complete (&f, path, &c, &owner),
                               ERR_OK);
        answers++;
      }
      break;
    case 6:
      if (s->state == SLOT_DONE)
        inflight_put (&f, slot);
      break;
    default:
      if (rand () % 100 == 0) {
        inflight_down (&f, path, now);
        up &= ~ON (path);
        start_line (path, 2);
      } else if (rand () % 20 == 0) {
        inflight_absolve (&f, path);
        up |= ON (path);
      } else if (s->users && rand () % 10 == 0)
        inflight_abandon (&f, slot);
      else if (inflight_settle (&f, now, &over))
        unsure++;
    }
    uint32_t writing = 0, free_slots = 0;
    for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
      const struct inflight_slot *a = &f.slot[i];
      bool w = is_writing (a);

      writing += w;
      free_slots += a->state == SLOT_FREE;
      for (uint32_t j = 0; w && j < i && step % 64 == 0; j++) {
        const struct inflight_slot *b = &f.slot[j];

        if (!is_writing (b))
          continue;
        CU_ASSERT_FATAL (
          a->request.offset >= b->request.offset + b->request.length
          || b->request.offset >= a->request.offset + a->request.length);
      }
    }
    CU_ASSERT_EQUAL_FATAL (f.writing_slots, writing);
    CU_ASSERT_EQUAL_FATAL (f.free_slots, free_slots);
  }
  CU_ASSERT (answers > 1000);
  CU_ASSERT (unsure > 10);
}

static void
an_answer_of_no_use_is_asked_for_again (void)
{
  struct ring_completion old, c;
  void *owner = NULL;
  uint32_t slot;

  start ();
  slot = sent (IO_READ, 0, 4096);
  old = c = answer_to (slot);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  inflight_again (&f, slot);
  CU_ASSERT_EQUAL (f.slot[slot].state, SLOT_QUEUED);
  CU_ASSERT_EQUAL (inflight_next (&f), slot);
  CU_ASSERT_EQUAL (inflight_push (&f, &gateway, slot, 7), ERR_OK);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &old, &owner), ERR_PEER);
  c = answer_to (slot);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  inflight_fail (&f, ERR_IO);
  inflight_again (&f, slot);
  CU_ASSERT_EQUAL (f.slot[slot].state, SLOT_DONE);
  CU_ASSERT_EQUAL (f.slot[slot].error, ERR_IO);
  inflight_put (&f, slot);
}

static void
block_status_has_whole_extents (void)
{
  static const uint32_t wrong[]
    = {0, 1, 15, 17, 16 * IO_EXTENTS_MAX + 16, UINT32_MAX};
  struct ring_completion c;
  void *owner = NULL;
  uint32_t slot;

  start ();
  slot = sent (IO_STATUS, 0, 1u << 30); /* no payload: any length */
  c = answer_to (slot);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    c.length = wrong[i];
    CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_PEER);
  }
  c.length = 16 * IO_EXTENTS_MAX;
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
  CU_ASSERT_EQUAL (f.slot[slot].answer_bytes, 16 * IO_EXTENTS_MAX);
  inflight_put (&f, slot);
}

UNIT_MAIN ("inflight", UNIT_TEST (an_answer_of_no_use_is_asked_for_again),
           UNIT_TEST (block_status_has_whole_extents),
           UNIT_TEST (a_request_is_answered_once),
           UNIT_TEST (hostile_completions_are_refused),
           UNIT_TEST (slots_run_out_and_come_back),
           UNIT_TEST (overlapping_writes_wait),
           UNIT_TEST (a_write_in_doubt_holds_back_newer_ones),
           UNIT_TEST (more_doubts_than_places_lose_nothing),
           UNIT_TEST (unanswered_writes_are_unsure_until_nobody_can_do_them),
           UNIT_TEST (a_shared_read_is_there_for_its_last_user),
           UNIT_TEST (an_abandoned_slot_is_not_reused_early),
           UNIT_TEST (a_volume_given_up_answers_all),
           UNIT_TEST (a_lying_head_is_refused),
           UNIT_TEST (paths_share_the_work),
           UNIT_TEST (only_its_own_path_answers_a_slot),
           UNIT_TEST (one_path_goes_down_the_others_go_on),
           UNIT_TEST (a_killer_does_not_go_through_all_paths),
           UNIT_TEST (who_did_not_kill_goes_on),
           UNIT_TEST (a_flush_proves_what_was_answered_before),
           UNIT_TEST (random_steps_keep_the_invariants))
