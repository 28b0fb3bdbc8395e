/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/stripes.h"
#include "tests/unit/unit.h"

#define STRIPES 16u
#define PAGES 64u
#define ROUNDS 200000u

static struct stripe_map map;

static void
fresh (void)
{
  free (map.file);
  map.file = aligned_alloc (64, stripes_bytes (STRIPES));
  memset (map.file, 0, stripes_bytes (STRIPES));
  stripes_format (map.file, STRIPES);
  CU_ASSERT_FATAL (!stripes_open (map.file, stripes_bytes (STRIPES), &map));
}

static void
a_write_gives_a_new_version (void)
{
  uint64_t before, after;

  fresh ();
  CU_ASSERT_TRUE (stripes_quiet (&map, 3, &before));
  stripes_begin (&map, 3, 3);
  CU_ASSERT_FALSE (stripes_quiet (&map, 3, &after));
  CU_ASSERT_FALSE (stripes_same (&map, 3, before));
  stripes_end (&map, 3, 3);
  CU_ASSERT_TRUE (stripes_quiet (&map, 3, &after));
  CU_ASSERT_NOT_EQUAL (before, after);
}

/* What was known before somebody outside wrote is never found again, whether a
 * write was under way or not.
 */
static void
all_pages_get_a_new_version (void)
{
  uint64_t before[PAGES], now;

  fresh ();
  for (uint64_t i = 0; i < PAGES; i++)
    CU_ASSERT_TRUE (stripes_quiet (&map, i, &before[i]));
  stripes_begin (&map, 5, 5);
  stripes_advance_all (&map);
  CU_ASSERT_FALSE (stripes_quiet (&map, 5, &now));
  stripes_end (&map, 5, 5);
  for (uint64_t i = 0; i < PAGES; i++) {
    CU_ASSERT_FALSE (stripes_same (&map, i, before[i]));
    CU_ASSERT_TRUE (stripes_quiet (&map, i, &now));
  }
}

static void
a_dead_writer_leaves_nothing_open (void)
{
  uint64_t before, now;

  fresh ();
  CU_ASSERT_TRUE (stripes_quiet (&map, 7, &before));
  stripes_begin (&map, 7, 7);
  CU_ASSERT_EQUAL (stripes_settle (&map), 1);
  CU_ASSERT_EQUAL (stripes_settle (&map), 0);
  CU_ASSERT_TRUE (stripes_quiet (&map, 7, &now));
  CU_ASSERT_NOT_EQUAL (before, now);
  CU_ASSERT_EQUAL (stripes_writes_begun (&map), stripes_writes_ended (&map));
}

static void *
advance (void *unused)
{
  (void)unused;
  for (unsigned i = 0; i < ROUNDS; i++)
    stripes_advance_all (&map);
  return NULL;
}

static _Atomic unsigned ahead;

/* S1. end first: begin only grows. What is wrong does not last: the next settle
 * closes it.
 */
static void
look (void)
{
  for (unsigned i = 0; i < STRIPES; i++) {
    uint64_t end = atomic_load (&map.file->stripe[i].end);

    if (end > atomic_load (&map.file->stripe[i].begin))
      ahead++;
  }
}

static void *
settle (void *unused)
{
  (void)unused;
  for (unsigned i = 0; i < ROUNDS; i++) {
    stripes_settle (&map);
    look ();
  }
  return NULL;
}

static void *
write_pages (void *unused)
{
  (void)unused;
  for (unsigned i = 0; i < ROUNDS * 8; i++) {
    stripes_begin (&map, i % PAGES, i % PAGES);
    stripes_end (&map, i % PAGES, i % PAGES);
  }
  return NULL;
}

/* S1, whoever does what at the same time. A settle comes only when nobody
 * writes: not all three at once.
 */
static void
together (void *(*one) (void *), void *(*two) (void *))
{
  pthread_t thread[2];

  fresh ();
  CU_ASSERT_FATAL (!pthread_create (&thread[0], NULL, one, NULL));
  CU_ASSERT_FATAL (!pthread_create (&thread[1], NULL, two, NULL));
  pthread_join (thread[0], NULL);
  pthread_join (thread[1], NULL);
  CU_ASSERT_EQUAL (stripes_unequal (&map), 0);
  CU_ASSERT_EQUAL (ahead, 0);
}

static void
nobody_ends_what_another_one_began (void)
{
  together (advance, settle);
  together (advance, advance);
  together (advance, write_pages);
  free (map.file);
  map.file = NULL;
}

/* S7 */
static void
a_doubt_ends_with_what_was_before_it (void)
{
  uint32_t seen;

  fresh ();
  stripes_raise_doubt (&map); /* nothing is unproven */
  CU_ASSERT_EQUAL (stripes_proof (&map), 0);
  stripes_set_unproven (&map, true);
  seen = stripes_proof (&map);
  CU_ASSERT_EQUAL (stripes_state (seen), STRIPES_UNPROVEN);
  CU_ASSERT (stripes_end_doubt (&map, seen));
  stripes_raise_doubt (&map);
  seen = stripes_proof (&map);
  CU_ASSERT_EQUAL (stripes_state (seen), STRIPES_DOUBT);
  CU_ASSERT_EQUAL (stripes_doubts (seen), 1);
  stripes_set_unproven (&map, true); /* another write */
  CU_ASSERT_EQUAL (stripes_proof (&map), seen);
  stripes_raise_doubt (&map);
  CU_ASSERT (!stripes_end_doubt (&map, seen));
  seen = stripes_proof (&map);
  CU_ASSERT_EQUAL (stripes_state (seen), STRIPES_DOUBT);
  CU_ASSERT_EQUAL (stripes_doubts (seen), 2);
  CU_ASSERT (stripes_end_doubt (&map, seen));
  CU_ASSERT_EQUAL (stripes_state (stripes_proof (&map)), STRIPES_UNPROVEN);
  stripes_raise_doubt (&map);
  stripes_set_unproven (&map, false); /* all is proven */
  CU_ASSERT_EQUAL (stripes_state (stripes_proof (&map)), STRIPES_PROVEN);
  CU_ASSERT_EQUAL (stripes_doubts (stripes_proof (&map)), 3);
  CU_ASSERT (!stripes_orphaned (&map)); /* which the count does not say */
  stripes_set_unproven (&map, true);
  stripes_raise_doubt (&map);
  CU_ASSERT (stripes_orphaned (&map));
  CU_ASSERT_EQUAL (stripes_doubts (stripes_proof (&map)), 4);
}

UNIT_MAIN ("stripes", UNIT_TEST (a_write_gives_a_new_version),
           UNIT_TEST (all_pages_get_a_new_version),
           UNIT_TEST (a_dead_writer_leaves_nothing_open),
           UNIT_TEST (a_doubt_ends_with_what_was_before_it),
           UNIT_TEST (nobody_ends_what_another_one_began))
