/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/backoff.h"

#include "tests/unit/unit.h"

#define MS 1000000ull

static const struct backoff_death never_ready = {0};
static const struct backoff_death killed = {
    .was_ready = true, .from_outside = true, .ready_ns = 1};
static const struct backoff_death distrusted = {
    .was_ready = true, .distrusted = true, .ready_ns = 3600000 * MS};
static const struct backoff_death fell_over = {.was_ready = true,
                                               .ready_ns = 10 * MS};
static const struct backoff_death settled = {.was_ready = true,
                                             .ready_ns = BACKOFF_SETTLED_NS};

/* The middle of the jitter. */
static uint64_t
next (struct backoff *b, const struct backoff_death *d)
{
  return backoff_next_ns (b, d, 0x80000000u);
}

static void
a_killed_worker_is_replaced_at_once_every_time (void)
{
  struct backoff b = {0};

  for (int i = 0; i < 1000; i++)
    CU_ASSERT_EQUAL (next (&b, &killed), 0);
}

static void
failed_attempts_double_up_to_the_limit (void)
{
  static const uint64_t want_ms[] = {100,  200,  400,  800,
                                     1600, 3200, 5000, 5000};
  struct backoff b = {0};

  for (size_t i = 0; i < sizeof want_ms / sizeof want_ms[0]; i++)
    CU_ASSERT_EQUAL (next (&b, &never_ready), want_ms[i] * MS);
  for (int i = 0; i < 1000; i++)
    CU_ASSERT_EQUAL (next (&b, &never_ready), BACKOFF_MAX_NS);
  b.failures = UINT32_MAX;
  CU_ASSERT_EQUAL (next (&b, &never_ready), BACKOFF_MAX_NS);
  CU_ASSERT_EQUAL (b.failures, UINT32_MAX);
}

static void
jitter_is_a_quarter_each_way (void)
{
  struct backoff low = {0}, high = {0};

  CU_ASSERT_EQUAL (backoff_next_ns (&low, &never_ready, 0), 75 * MS);
  CU_ASSERT (backoff_next_ns (&high, &never_ready, UINT32_MAX) > 124 * MS);
  high.failures = 100;
  CU_ASSERT (backoff_next_ns (&high, &never_ready, UINT32_MAX)
             <= BACKOFF_MAX_NS * 5 / 4);
}

static void
distrust_counts_however_long_it_was_ready (void)
{
  struct backoff b = {0};

  CU_ASSERT_EQUAL (next (&b, &distrusted), 0);
  CU_ASSERT_EQUAL (next (&b, &distrusted), 200 * MS);
  CU_ASSERT_EQUAL (next (&b, &distrusted), 400 * MS);
}

static void
falling_over_early_counts_but_not_late (void)
{
  struct backoff b = {0};

  CU_ASSERT_EQUAL (next (&b, &fell_over), 0);
  CU_ASSERT_EQUAL (next (&b, &fell_over), 200 * MS);
  CU_ASSERT_EQUAL (next (&b, &settled), 0);
  CU_ASSERT_EQUAL (next (&b, &fell_over), 0);
}

/* A server that errs all the time is gone back to within a second, as long as
 * it lets us in.
 */
static void
who_is_let_in_does_not_wait_long (void)
{
  static const uint64_t want_ms[] = {0, 200, 400, 800, 800, 800};
  struct backoff b = {0};

  for (size_t i = 0; i < sizeof want_ms / sizeof want_ms[0]; i++)
    CU_ASSERT_EQUAL (next (&b, &fell_over), want_ms[i] * MS);
  CU_ASSERT_EQUAL (next (&b, &never_ready), 1600 * MS);
  CU_ASSERT_EQUAL (next (&b, &never_ready), 3200 * MS);
  CU_ASSERT_EQUAL (next (&b, &fell_over), 800 * MS);
  /* Who breaks the rules of the rings is no server. */
  for (int i = 0; i < 10; i++)
    next (&b, &distrusted);
  CU_ASSERT_EQUAL (next (&b, &distrusted), BACKOFF_MAX_NS);
}

static void
a_worker_that_served_makes_up_for_failures (void)
{
  struct backoff b = {0};

  next (&b, &never_ready);
  next (&b, &never_ready);
  CU_ASSERT_EQUAL (next (&b, &killed), 0);
  CU_ASSERT_EQUAL (next (&b, &never_ready), 100 * MS);
}

UNIT_MAIN ("backoff",
           UNIT_TEST (a_killed_worker_is_replaced_at_once_every_time),
           UNIT_TEST (failed_attempts_double_up_to_the_limit),
           UNIT_TEST (jitter_is_a_quarter_each_way),
           UNIT_TEST (distrust_counts_however_long_it_was_ready),
           UNIT_TEST (falling_over_early_counts_but_not_late),
           UNIT_TEST (who_is_let_in_does_not_wait_long),
           UNIT_TEST (a_worker_that_served_makes_up_for_failures))
