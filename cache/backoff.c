/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/backoff.h"

static bool
is_failure (const struct backoff_death *d)
{
  if (!d->was_ready || d->distrusted)
    return true;
  return !d->from_outside && d->ready_ns < BACKOFF_SETTLED_NS;
}

uint64_t
backoff_next_ns (struct backoff *b, const struct backoff_death *death,
                 uint32_t random)
{
  uint64_t delay_ns = BACKOFF_FIRST_NS;

  if (!is_failure (death)) {
    b->failures = 0;
    return 0;
  }
  b->failures += b->failures < UINT32_MAX;
  if (death->was_ready && !death->distrusted
      && b->failures > BACKOFF_ADMITTED_FAILURES)
    b->failures = BACKOFF_ADMITTED_FAILURES;
  /* The first retry after a worker that had come up is free. */
  if (b->failures == 1 && death->was_ready)
    return 0;
  for (unsigned i = 1; i < b->failures && delay_ns < BACKOFF_MAX_NS; i++)
    delay_ns *= 2;
  if (delay_ns > BACKOFF_MAX_NS)
    delay_ns = BACKOFF_MAX_NS;
  /* Jitter: many volumes of one server must not come back in step. */
  return delay_ns * 3 / 4 + delay_ns / 2 * (random >> 16) / 65536;
}
