/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/inflight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct inflight f;
static struct ring_object requests, completions;
static struct ring gateway, worker;
static int me; /* an owner */

static void
start (void)
{
  inflight_init (&f);
  ring_object_reset (&requests, 1);
  ring_object_reset (&completions, 1);
  ring_init (&gateway, &requests, &completions);
  ring_init (&worker, &completions, &requests);
}

static enum err
get (enum io_op op, uint64_t offset, uint32_t length, uint64_t now,
     uint32_t *slot)
{
  uint64_t retry;

  return inflight_get (&f, op, 0, offset, length, 1, now, &me, slot, &retry);
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
  uint32_t slot;

  start ();
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < 100; i++) {
      uint64_t offset = (uint64_t)(round * 100 + (int)i) * 10;

      slot = sent (IO_WRITE, offset, 10);
      inflight_abandon (&f, slot);
    }
    inflight_down (&f, 0, 1);
    CU_ASSERT_EQUAL (f.free_slots, INFLIGHT_SLOTS);
    ring_object_reset (&requests, 2);
    ring_object_reset (&completions, 2);
    ring_init (&gateway, &requests, &completions);
  }
  for (uint32_t i = 0; i < 300; i++)
    CU_ASSERT_EQUAL (get (IO_WRITE, i * 10, 10, 2, &slot), ERR_AGAIN);
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

/* Random life for a while; the invariants are looked at after each step. */
static void
random_steps_keep_the_invariants (void)
{
  unsigned long answers = 0;

  start ();
  srand (1);
  for (int step = 0; step < 200000; step++) {
    uint32_t slot = (uint32_t)rand () % INFLIGHT_SLOTS;
    struct inflight_slot *s = &f.slot[slot];
    static const enum io_op ops[] = {IO_READ, IO_WRITE, IO_TRIM, IO_ZERO};
    union ring_entry e;
    void *owner;
    uint64_t now = (uint64_t)step * 1000000;

    switch (rand () % 8) {
    case 0:
    case 1:
    case 2:
      get (ops[rand () % 4], (uint64_t)(rand () % 2000),
           1 + (uint32_t)(rand () % 20), now, &slot);
      break;
    case 3:
      if (s->state == SLOT_FILLING)
        inflight_ready (&f, slot);
      break;
    case 4:
      while ((slot = inflight_next (&f)) < INFLIGHT_SLOTS)
        CU_ASSERT_EQUAL_FATAL (inflight_push (&f, &gateway, slot, 7), ERR_OK);
      break;
    case 5:
      if (ring_pop (&worker, &e) == ERR_OK) {
        struct ring_completion c = {.id = e.request.id,
                                    .length = e.request.length};

        CU_ASSERT_EQUAL_FATAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
        answers++;
      }
      break;
    case 6:
      if (s->state == SLOT_DONE)
        inflight_put (&f, slot);
      break;
    default:
      if (rand () % 100 == 0) {
        inflight_down (&f, 0, now);
        ring_object_reset (&requests, 2);
        ring_object_reset (&completions, 2);
        ring_init (&gateway, &requests, &completions);
        ring_init (&worker, &completions, &requests);
      } else if (s->state != SLOT_FREE && rand () % 10 == 0 && !s->abandoned)
        inflight_abandon (&f, slot);
    }
    uint32_t writing = 0, free_slots = 0;
    for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
      const struct inflight_slot *a = &f.slot[i];
      bool w = a->state != SLOT_FREE && a->state != SLOT_DONE
               && a->request.op != IO_READ;

      writing += w;
      free_slots += a->state == SLOT_FREE;
      for (uint32_t j = 0; w && j < i && step % 64 == 0; j++) {
        const struct inflight_slot *b = &f.slot[j];

        if (b->state == SLOT_FREE || b->state == SLOT_DONE
            || b->request.op == IO_READ)
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
}

UNIT_MAIN ("inflight", UNIT_TEST (a_request_is_answered_once),
           UNIT_TEST (hostile_completions_are_refused),
           UNIT_TEST (slots_run_out_and_come_back),
           UNIT_TEST (overlapping_writes_wait),
           UNIT_TEST (a_write_in_doubt_holds_back_newer_ones),
           UNIT_TEST (more_doubts_than_places_lose_nothing),
           UNIT_TEST (an_abandoned_slot_is_not_reused_early),
           UNIT_TEST (a_volume_given_up_answers_all),
           UNIT_TEST (a_lying_head_is_refused),
           UNIT_TEST (random_steps_keep_the_invariants))
