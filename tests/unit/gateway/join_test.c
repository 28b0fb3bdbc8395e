/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/join.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define PAGE STRIPE_PAGE_BYTES
#define STRIPES 65536u

static struct inflight f;
static struct stripe_map map;
static uint64_t version[INFLIGHT_SLOTS][CHUNK_PAGES];
static bool stale[INFLIGHT_SLOTS];
static int client, prefetcher;
static struct ring_object requests, completions;
static struct ring ring;

static const struct join_view view = {.inflight = &f,
                                      .stripes = &map,
                                      .version = version,
                                      .stale = stale,
                                      .not_of = &prefetcher};

static void
start (void)
{
  size_t bytes = stripes_bytes (STRIPES);
  struct stripes *s = calloc (1, bytes);

  stripes_format (s, STRIPES);
  free (map.file);
  CU_ASSERT_EQUAL_FATAL (stripes_open (s, bytes, &map), ERR_OK);
  inflight_init (&f);
  memset (stale, 0, sizeof stale);
  ring_object_reset (&requests, 1);
  ring_object_reset (&completions, 1);
  ring_init (&ring, &requests, &completions);
}

/* QUEUED, with the versions of now; whole pages, as with a cache. */
static uint32_t
asked_by (void *owner, enum io_op op, uint64_t offset, uint32_t length)
{
  uint32_t slot = 0;
  uint64_t retry;

  CU_ASSERT_EQUAL_FATAL (
      inflight_get (&f, op, 0, offset, length, 1, 0, owner, &slot, &retry),
      ERR_OK);
  for (uint32_t i = 0; i < (length + PAGE - 1) / PAGE; i++)
    if (!stripes_quiet (&map, offset / PAGE + i, &version[slot][i]))
      version[slot][i] = PAGE_NONE;
  inflight_ready (&f, slot);
  return slot;
}

static uint32_t
asked (uint64_t offset, uint32_t length)
{
  return asked_by (&client, IO_READ, offset, length);
}

static void
answered (uint32_t slot, uint32_t error)
{
  struct ring_completion c = {.id = f.slot[slot].request.id,
                              .error = error,
                              .length = f.slot[slot].request.length};
  void *owner;

  CU_ASSERT_EQUAL (inflight_push (&f, &ring, slot, 0), ERR_OK);
  CU_ASSERT_EQUAL (inflight_complete (&f, 0, &c, &owner), ERR_OK);
}

/* How many bytes can be had so, and of which slot. */
static uint32_t
found (uint64_t offset, uint32_t length, uint32_t slot)
{
  uint32_t which = INFLIGHT_SLOTS, n = 0;

  if (!join_find (&view, offset, length, &which, &n))
    return 0;
  CU_ASSERT_EQUAL (which, slot);
  return n;
}

static void
what_is_on_its_way_is_found (void)
{
  uint32_t a;

  start ();
  CU_ASSERT_EQUAL (found (0, PAGE, 0), 0);
  a = asked (8 * PAGE, 16 * PAGE);
  CU_ASSERT_EQUAL (found (8 * PAGE, 16 * PAGE, a), 16 * PAGE);
  CU_ASSERT_EQUAL (found (8 * PAGE + 5, 100, a), 100);
  CU_ASSERT_EQUAL (found (24 * PAGE - 1, 1, a), 1);
  CU_ASSERT_EQUAL (found (24 * PAGE, 1, a), 0);
  CU_ASSERT_EQUAL (found (8 * PAGE - 1, 2, a), 0);
  /* A part, if it is worth it. */
  CU_ASSERT_EQUAL (found (8 * PAGE, 32 * PAGE, a), 16 * PAGE);
  CU_ASSERT_EQUAL (found (16 * PAGE, 32 * PAGE, a), 8 * PAGE);
  CU_ASSERT_EQUAL (found (17 * PAGE, 32 * PAGE, a), 0);
  /* Most of it. */
  a = asked (0, 48 * PAGE);
  CU_ASSERT_EQUAL (found (8 * PAGE, 32 * PAGE, a), 32 * PAGE);
}

static void
in_every_state_until_it_is_free (void)
{
  uint32_t a;

  start ();
  a = asked (0, PAGE);
  CU_ASSERT_EQUAL (found (0, PAGE, a), PAGE);
  answered (a, 0);
  CU_ASSERT_EQUAL (found (0, PAGE, a), PAGE);
  stale[a] = true;
  CU_ASSERT_EQUAL (found (0, PAGE, a), 0);
  stale[a] = false;
  inflight_put (&f, a);
  CU_ASSERT_EQUAL (found (0, PAGE, a), 0);
  a = asked (0, PAGE);
  answered (a, 5);
  CU_ASSERT_EQUAL (found (0, PAGE, a), 0);
  inflight_put (&f, a);
  /* One that nobody waits for any more ends when it is answered. */
  a = asked (0, PAGE);
  CU_ASSERT_EQUAL (inflight_push (&f, &ring, a, 0), ERR_OK);
  CU_ASSERT_EQUAL (found (0, PAGE, a), PAGE);
  inflight_abandon (&f, a);
  CU_ASSERT_EQUAL (found (0, PAGE, a), 0);
}

static void
only_reads_of_clients (void)
{
  start ();
  asked_by (&prefetcher, IO_READ, 0, PAGE);
  CU_ASSERT_EQUAL (found (0, PAGE, 0), 0);
  asked_by (&client, IO_STATUS, 0, PAGE);
  CU_ASSERT_EQUAL (found (0, PAGE, 0), 0);
  asked_by (&client, IO_WRITE, 0, PAGE);
  CU_ASSERT_EQUAL (found (0, PAGE, 0), 0);
}

static void
never_after_a_write_has_begun (void)
{
  uint32_t a;

  start ();
  a = asked (0, 16 * PAGE);
  stripes_begin (&map, 8, 8);
  CU_ASSERT_EQUAL (found (8 * PAGE, PAGE, a), 0);
  CU_ASSERT_EQUAL (found (7 * PAGE, PAGE, a), PAGE);
  CU_ASSERT_EQUAL (found (9 * PAGE, PAGE, a), PAGE);
  CU_ASSERT_EQUAL (found (0, 16 * PAGE, a), 8 * PAGE); /* up to it */
  CU_ASSERT_EQUAL (found (1 * PAGE, 15 * PAGE, a), 0);
  stripes_end (&map, 8, 8);
  CU_ASSERT_EQUAL (found (8 * PAGE, PAGE, a), 0);
  /* Asked for while a write is under way: nobody knows what it will bring. */
  stripes_begin (&map, 3, 3);
  a = asked (3 * PAGE, PAGE);
  CU_ASSERT_EQUAL (found (3 * PAGE, PAGE, a), 0);
  stripes_end (&map, 3, 3);
  CU_ASSERT_EQUAL (found (3 * PAGE, PAGE, a), 0);
  a = asked (3 * PAGE, PAGE);
  CU_ASSERT_EQUAL (found (3 * PAGE, PAGE, a), PAGE);
  stripes_advance_all (&map); /* somebody outside has written */
  CU_ASSERT_EQUAL (found (3 * PAGE, PAGE, a), 0);
}

/* Without a cache requests are no whole pages: what is recorded ends earlier.
 */
static void
no_further_than_versions_are_recorded (void)
{
  uint32_t a;

  start ();
  a = asked (PAGE - 1, 2); /* of two pages, with one version */
  CU_ASSERT_EQUAL (found (PAGE - 1, 1, a), 1);
  CU_ASSERT_EQUAL (found (PAGE, 1, a), 0);
  CU_ASSERT_EQUAL (found (PAGE - 1, 2, a), 0);
}

UNIT_MAIN ("join", UNIT_TEST (what_is_on_its_way_is_found),
           UNIT_TEST (in_every_state_until_it_is_free),
           UNIT_TEST (only_reads_of_clients),
           UNIT_TEST (never_after_a_write_has_begun),
           UNIT_TEST (no_further_than_versions_are_recorded))
