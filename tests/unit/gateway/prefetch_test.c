/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/prefetch.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define SIZE (1024 * MIB)

static struct prefetch p;
static uint64_t from, to;

static bool
demand (uint64_t offset, uint32_t length)
{
  bool go = prefetch_read (&p, offset, length, SIZE, &from, &to);

  if (go)
    prefetch_issued (&p, from, to);
  return go;
}

static void
one_read_is_no_stream (void)
{
  prefetch_init (&p, 4 * MIB);
  CU_ASSERT_FALSE (demand (0, 64 * KIB));
  CU_ASSERT_FALSE (demand (100 * MIB, 64 * KIB));
  CU_ASSERT_FALSE (demand (50 * MIB, 64 * KIB));
}

static void
the_window_doubles_up_to_its_limit (void)
{
  uint64_t offset = 0, ahead = 0, widest = 0;

  prefetch_init (&p, 4 * MIB);
  for (int i = 0; i < 1000; i++, offset += 64 * KIB) {
    if (!demand (offset, 64 * KIB))
      continue;
    CU_ASSERT (from >= offset + 64 * KIB); /* never what is asked for now */
    CU_ASSERT (ahead == 0 || from == ahead); /* no gap, nothing twice */
    CU_ASSERT (to - (offset + 64 * KIB) <= 4 * MIB);
    if (to - (offset + 64 * KIB) > widest)
      widest = to - (offset + 64 * KIB);
    ahead = to;
  }
  CU_ASSERT_EQUAL (widest, 4 * MIB);
  CU_ASSERT (ahead > offset);
}

/* What is on its way over a long line is the window, not half of it. */
static void
the_window_is_kept_full (void)
{
  static const uint32_t lengths[] = {64 * KIB, 4 * KIB, 100 * KIB, 700};

  for (size_t k = 0; k < 4; k++) {
    uint64_t offset = 0, n = lengths[k], ahead = 0;

    prefetch_init (&p, 4 * MIB);
    for (; offset < 40 * MIB; offset += n) {
      bool go = demand (offset, (uint32_t)n);

      if (go) {
        CU_ASSERT (ahead == 0 || from == ahead);
        CU_ASSERT (to - from >= 128 * KIB); /* no crumbs */
        ahead = to;
      }
      if (offset > 10 * MIB) {
        CU_ASSERT (!go || (to - from) % PREFETCH_STEP_BYTES == 0);
        CU_ASSERT (ahead - (offset + n) > 4 * MIB - PREFETCH_STEP_BYTES);
        CU_ASSERT (ahead - (offset + n) <= 4 * MIB);
      }
    }
  }
}

static void
any_limit_will_do (void)
{
  for (uint32_t limit = 1; limit < 100; limit++) {
    prefetch_init (&p, limit);
    for (uint64_t i = 0; i < 100; i++)
      if (demand (i * 10, 10))
        CU_ASSERT (to - (i * 10 + 10) <= limit);
  }
}

static void
it_ends_at_the_end (void)
{
  prefetch_init (&p, 4 * MIB);
  demand (SIZE - 128 * KIB, 64 * KIB);
  CU_ASSERT_FALSE (demand (SIZE - 64 * KIB, 64 * KIB));
  prefetch_init (&p, 4 * MIB);
  demand (SIZE - 300 * KIB, 64 * KIB);
  CU_ASSERT_TRUE (demand (SIZE - 236 * KIB, 64 * KIB));
  CU_ASSERT_EQUAL (to, SIZE);
}

static void
random_reads_prefetch_little (void)
{
  unsigned started = 0;

  srand (7);
  prefetch_init (&p, 4 * MIB);
  for (int i = 0; i < 10000; i++)
    started += demand ((uint64_t)rand () % (SIZE / 4096) * 4096, 4096);
  CU_ASSERT (started < 5);
}

static void
several_streams_go_side_by_side (void)
{
  unsigned started = 0;

  prefetch_init (&p, MIB);
  for (int i = 0; i < 100; i++)
    for (uint64_t s = 0; s < 4; s++)
      started += demand (s * 200 * MIB + (uint64_t)i * 64 * KIB, 64 * KIB);
  CU_ASSERT (started >= 4 * 8);
}

static void
out_of_order_reads_stay_one_stream (void)
{
  unsigned started = 0;

  prefetch_init (&p, 4 * MIB);
  demand (0, 64 * KIB);
  demand (64 * KIB, 64 * KIB);
  for (uint64_t i = 2; i < 400; i += 2) { /* pairs swapped */
    started += demand ((i + 1) * 64 * KIB, 64 * KIB);
    started += demand (i * 64 * KIB, 64 * KIB);
  }
  CU_ASSERT (started > 5);
}

static void
waste_asks_for_more_proof (void)
{
  prefetch_init (&p, 4 * MIB);
  for (int i = 0; i < 3; i++)
    prefetch_wasted (&p);
  for (uint64_t i = 0; i < 15; i++)
    CU_ASSERT_FALSE (demand (i * 64 * KIB, 64 * KIB));
  CU_ASSERT_TRUE (demand (15 * 64 * KIB, 64 * KIB));
  for (int i = 0; i < 100; i++)
    prefetch_used (&p);
  CU_ASSERT_EQUAL (p.proof, PREFETCH_PROOF);
}

static void
what_a_stream_comes_to_is_expected (void)
{
  prefetch_init (&p, MIB);
  for (uint64_t i = 0; i < 10; i++)
    demand (i * 64 * KIB, 64 * KIB);
  CU_ASSERT_FALSE (prefetch_expected (&p, 0, 640 * KIB));
  CU_ASSERT (prefetch_expected (&p, 512 * KIB, 640 * KIB + 1));
  CU_ASSERT (prefetch_expected (&p, 640 * KIB, MIB));
  CU_ASSERT_FALSE (prefetch_expected (&p, 3 * MIB, 4 * MIB));
  /* It goes on for as long as it is read at times … */
  for (uint64_t i = 0; i < PREFETCH_IDLE_READS; i++)
    demand (100 * MIB + i * 64 * KIB, 64 * KIB);
  CU_ASSERT (prefetch_expected (&p, 640 * KIB, MIB));
  /* … and no longer. */
  demand (100 * MIB + PREFETCH_IDLE_READS * 64 * KIB, 64 * KIB);
  CU_ASSERT_FALSE (prefetch_expected (&p, 640 * KIB, MIB));
}

static void
zero_means_never (void)
{
  prefetch_init (&p, 0);
  for (uint64_t i = 0; i < 100; i++)
    CU_ASSERT_FALSE (demand (i * 64 * KIB, 64 * KIB));
}

UNIT_MAIN ("prefetch", UNIT_TEST (one_read_is_no_stream),
           UNIT_TEST (the_window_doubles_up_to_its_limit),
           UNIT_TEST (the_window_is_kept_full), UNIT_TEST (any_limit_will_do),
           UNIT_TEST (it_ends_at_the_end),
           UNIT_TEST (random_reads_prefetch_little),
           UNIT_TEST (several_streams_go_side_by_side),
           UNIT_TEST (out_of_order_reads_stay_one_stream),
           UNIT_TEST (waste_asks_for_more_proof),
           UNIT_TEST (what_a_stream_comes_to_is_expected),
           UNIT_TEST (zero_means_never))
