/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>

#include "protocols/nfs/v4_slots.h"
#include "tests/unit/unit.h"

static uint8_t page[V4_SLOTS_PAGE_BYTES];
static struct v4_slots s;

static struct v4_work
work (uint64_t tag, enum io_op op, uint64_t offset, uint32_t length)
{
  return (struct v4_work){
      .tag = tag, .op = op, .offset = offset, .length = length};
}

static void
a_slot_counts_its_requests (void)
{
  struct v4_work w = work (1, IO_WRITE, 0, 4096);

  v4_slots_new (&s, page, 4);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &w), 1);
  CU_ASSERT_EQUAL (v4_slots_begin (&s, 1, &w), 1);
  CU_ASSERT_EQUAL (s.busy, 1);
  w.tag = 2;
  CU_ASSERT_EQUAL (v4_slots_find (&s, &w), 2);
  CU_ASSERT_EQUAL (v4_slots_begin (&s, 2, &w), 1);
  CU_ASSERT_EQUAL (v4_slots_highest (&s, 0), 2);
  v4_slots_end (&s, 1);
  w.tag = 3;
  CU_ASSERT_EQUAL (v4_slots_find (&s, &w), 1);
  CU_ASSERT_EQUAL (v4_slots_begin (&s, 1, &w), 2);
  CU_ASSERT_EQUAL (v4_slots_begin (&s, 3, &w), 1);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &w), V4_NO_SLOT);
}

static void
a_replay_goes_on_the_same_slot_with_the_same_number (void)
{
  struct v4_work a = work (10, IO_WRITE, 0, 4096);
  struct v4_work b = work (11, IO_WRITE, 8192, 4096);
  struct v4_work c = work (12, IO_READ, 0, 4096);
  struct v4_slots next;

  v4_slots_new (&s, page, 8);
  v4_slots_begin (&s, 1, &a);
  v4_slots_end (&s, 1);
  CU_ASSERT_EQUAL (v4_slots_begin (&s, 1, &a), 2);
  CU_ASSERT_EQUAL (v4_slots_begin (&s, 2, &b), 1);

  v4_slots_resume (&next, page, 8); /* and then the connection was lost */
  CU_ASSERT_EQUAL (next.left, 2);
  /* in use, as the server may not yet have answered it */
  CU_ASSERT_EQUAL (v4_slots_highest (&next, 0), 2);
  CU_ASSERT_EQUAL (v4_slots_find (&next, &b), 2);
  CU_ASSERT_EQUAL (v4_slots_begin (&next, 2, &b), 1);
  v4_slots_end (&next, 2);
  CU_ASSERT_EQUAL (v4_slots_find (&next, &c), 2);
  CU_ASSERT_EQUAL (v4_slots_find (&next, &a), 1);
  CU_ASSERT_EQUAL (v4_slots_begin (&next, 1, &a), 2);
  CU_ASSERT_EQUAL (next.left, 0);
}

static void
nothing_overtakes_what_is_left (void)
{
  struct v4_work old = work (10, IO_WRITE, 4096, 4096);
  struct v4_work over = work (20, IO_WRITE, 8191, 1);
  struct v4_work beside = work (21, IO_WRITE, 8192, 4096);
  struct v4_work cut = work (10, IO_WRITE, 4096, 2048); /* not the same */

  v4_slots_new (&s, page, 8);
  v4_slots_begin (&s, 5, &old);
  v4_slots_resume (&s, page, 8);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &over), V4_NO_SLOT);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &cut), V4_NO_SLOT);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &beside), 1);
  CU_ASSERT_EQUAL (v4_slots_to_settle (&s), 5);
  s.slot[5].settling = true;
  CU_ASSERT_EQUAL (v4_slots_to_settle (&s), V4_NO_SLOT);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &old), V4_NO_SLOT);
  v4_slots_end (&s, 5);
  CU_ASSERT_EQUAL (s.left, 0);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &over), 1);
  CU_ASSERT_EQUAL (v4_slots_begin (&s, 5, &over), 2);
}

static void
the_server_may_ask_for_fewer (void)
{
  struct v4_work w = work (1, IO_READ, 0, 1);

  v4_slots_new (&s, page, 8);
  v4_slots_target (&s, 2);
  v4_slots_begin (&s, v4_slots_find (&s, &w), &w);
  v4_slots_begin (&s, v4_slots_find (&s, &w), &w);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &w), V4_NO_SLOT);
  v4_slots_target (&s, 0); /* less than one does not do */
  v4_slots_end (&s, 1);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &w), 1);
  v4_slots_target (&s, UINT32_MAX);
  CU_ASSERT_EQUAL (s.limit, 8);
}

static void
any_page_will_do (void)
{
  struct v4_work w = work (1, IO_WRITE, 0, UINT32_MAX);

  memset (page, 0xff, sizeof page);
  v4_slots_resume (&s, page, V4_SLOTS);
  CU_ASSERT_EQUAL (s.left, V4_SLOTS - 1);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &w), V4_NO_SLOT);
  for (uint16_t i; (i = v4_slots_to_settle (&s)) != V4_NO_SLOT;)
    v4_slots_end (&s, i);
  CU_ASSERT_EQUAL (s.left, 0);
  CU_ASSERT_EQUAL (v4_slots_find (&s, &w), 1);
}

UNIT_MAIN ("nfs v4 slots", UNIT_TEST (a_slot_counts_its_requests),
           UNIT_TEST (a_replay_goes_on_the_same_slot_with_the_same_number),
           UNIT_TEST (nothing_overtakes_what_is_left),
           UNIT_TEST (the_server_may_ask_for_fewer),
           UNIT_TEST (any_page_will_do))
