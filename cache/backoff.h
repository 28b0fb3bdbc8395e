/* SPDX-License-Identifier: BSD-2-Clause */
/* When to start the next worker. Pure; the caller brings the random number.
 *
 * A worker that did its work and was ended from outside is replaced at once,
 * however often. What counts as a failure: an attempt that did not get ready,
 * a worker that broke the rules of the rings, one that fell over by itself
 * within BACKOFF_SETTLED_NS. A server that lets us in, and errs a moment later,
 * again and again, is not one that is away: what it answers in between gets on,
 * and the wait stays at BACKOFF_ADMITTED_FAILURES.
 */
#ifndef BH_CACHE_BACKOFF_H
#define BH_CACHE_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FIRST_NS 100000000ull
#define BACKOFF_MAX_NS 5000000000ull
#define BACKOFF_SETTLED_NS 1000000000ull

/* 0.8 seconds: about one login a second. */
#define BACKOFF_ADMITTED_FAILURES 4u

struct backoff {
  unsigned failures; /* in a row */
};

struct backoff_death {
  bool was_ready;
  bool distrusted;   /* the gateway or we ended it for breaking the rules */
  bool from_outside; /* SIGKILL or SIGTERM that we did not send */
  uint64_t ready_ns; /* how long it had been ready */
};

/* How long to wait before the next start: 0, or BACKOFF_FIRST_NS doubled with
 * each failure up to BACKOFF_MAX_NS, give or take a quarter; after a worker
 * that had come up and broke no rule, no more than BACKOFF_ADMITTED_FAILURES
 * make.
 */
uint64_t
backoff_next_ns (struct backoff *b, const struct backoff_death *death,
                 uint32_t random);

#endif
