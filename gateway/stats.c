/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/link_private.h"

#include <unistd.h>

#include "common/clock.h"
#include "ipc/shm.h"

static void
leave_seat (void *seat)
{
  atomic_store_explicit (&((struct stats_seat *)seat)->taken, false,
                         memory_order_release);
}

void
stats_init (struct gateway_stats *s)
{
  s->fd = -1;
  if (stats_create (&s->shared, &s->fd))
    return;
  s->has_key = pthread_key_create (&s->key, leave_seat) == 0;
  for (unsigned i = 0; i < STATS_LANES; i++)
    s->seat[i].lane = &s->shared->lane[i];
  s->seat[0].shared = true;
}

void
stats_fini (struct gateway_stats *s)
{
  if (s->has_key)
    pthread_key_delete (s->key);
  shm_unmap (s->shared, STATS_BYTES);
  if (s->fd >= 0)
    close (s->fd);
}

static struct stats_seat *
take_seat (struct gateway_stats *s)
{
  for (unsigned i = 1; i < STATS_LANES; i++)
    if (!atomic_load_explicit (&s->seat[i].taken, memory_order_relaxed)
        && !atomic_exchange_explicit (&s->seat[i].taken, true,
                                      memory_order_acquire))
      return &s->seat[i];
  return NULL;
}

struct stats_seat *
stats_sit (struct gateway_stats *s)
{
  struct stats_seat *seat;

  if (!s->shared)
    return NULL;
  if (!s->has_key)
    return &s->seat[0];
  if ((seat = pthread_getspecific (s->key)))
    return seat;
  if (!(seat = take_seat (s)))
    return &s->seat[0];
  if (pthread_setspecific (s->key, seat)) {
    leave_seat (seat);
    return &s->seat[0];
  }
  return seat;
}

uint64_t
stats_hot_clock (void)
{
  return clock_now_ns ();
}

void
stats_hot_shared (struct stats_lane *lane, bool whole, uint32_t bytes)
{
  atomic_fetch_add_explicit (&lane->bytes, bytes, memory_order_relaxed);
  atomic_fetch_add_explicit (&lane->requests, whole, memory_order_relaxed);
}

void
stats_hot_sample (struct gateway_stats *s, uint64_t began_ns)
{
  unsigned b = stats_bucket (clock_now_ns () - began_ns);

  atomic_fetch_add_explicit (&s->shared->op[STATS_CACHED].bucket[b], 1,
                             memory_order_relaxed);
}

/* T2: nobody else writes it. */
static void
add (_Atomic uint64_t *p, uint64_t n)
{
  atomic_store_explicit (p,
                         atomic_load_explicit (p, memory_order_relaxed) + n,
                         memory_order_relaxed);
}

static enum stats_op
series_of (enum io_op op)
{
  static const enum stats_op table[]
      = {[IO_READ] = STATS_READ,   [IO_WRITE] = STATS_WRITE,
         [IO_FLUSH] = STATS_FLUSH, [IO_TRIM] = STATS_TRIM,
         [IO_ZERO] = STATS_ZERO,   [IO_STATUS] = STATS_EXTENTS};

  return table[op];
}

void
stats_done (struct link *l, enum io_op op, uint32_t bytes, uint64_t began_ns,
            int result)
{
  uint64_t now = clock_now_ns ();
  struct stats_series *s;

  if (!l->stats.shared)
    return;
  s = &l->stats.shared->op[series_of (op)];
  add (&s->requests, 1);
  if (result)
    add (&s->errors, 1);
  else
    add (&s->bytes, bytes);
  add (&s->busy_ns, now - began_ns);
  add (&s->bucket[stats_bucket (now - began_ns)], 1);
  stats_gauges (l, now);
}

void
stats_gauges (struct link *l, uint64_t now_ns)
{
  struct stats_object *o = l->stats.shared;
  const struct retained *log = &l->proof.log;

#define SET(gauge_name, value)                                                 \
  atomic_store_explicit (&o->gauge[gauge_name], (value), memory_order_relaxed)
  if (!o)
    return;
  SET (STATS_NOW_NS, now_ns);
  SET (STATS_PATHS, l->paths);
  SET (STATS_PATHS_UP, (unsigned)__builtin_popcount (l->up));
  SET (STATS_DOWN_SINCE_NS, l->up ? 0 : l->down_since_ns);
  SET (STATS_IN_FLIGHT, INFLIGHT_SLOTS - l->inflight.free_slots);
  SET (STATS_QUEUED, l->inflight.queued_slots);
  SET (STATS_RETAINED_BYTES, log->used_bytes);
  SET (STATS_RETAINED_LIMIT, log->limit_bytes);
  SET (STATS_RETAINED_WRITES, log->entries);
  SET (STATS_IN_DOUBT, log->doubts);
  SET (STATS_RESENT, l->proof.resent);
  SET (STATS_TAKEOVERS, l->takeovers);
  SET (STATS_WAKES, l->wakes);
  SET (STATS_FILLS,
       atomic_load_explicit (&l->hot.fills, memory_order_relaxed));
  SET (STATS_FILLS_LOST,
       atomic_load_explicit (&l->hot.dropped, memory_order_relaxed));
  SET (STATS_GIVEN_UP, l->inflight.failed != 0);
  SET (STATS_READONLY,
       l->options.readonly || !(l->info.caps & VOLUME_CAN_WRITE));
#undef SET
}
