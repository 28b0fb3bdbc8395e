/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's side of ipc/stats.h: who adds what.
 *
 * Thread rule: stats_hot_… from any thread; the rest with the link's lock.
 *
 * Invariants
 *   T1  A lane but the first belongs to one thread at a time, from its first
 *       read to its end: so it adds without a locked instruction. Threads that
 *       find none left share the first lane.
 *   T2  Series are written with the link's lock held, but for the sampled
 *       buckets of STATS_CACHED.
 */
#ifndef BH_GATEWAY_STATS_H
#define BH_GATEWAY_STATS_H

#include <pthread.h>

#include "common/io.h"
#include "ipc/stats.h"

struct stats_seat {
  _Atomic bool taken;
  bool shared;
  struct stats_lane *lane;
};

struct gateway_stats {
  /* NULL: there is no memory; nothing is counted */
  struct stats_object *shared;
  int fd;                      /* read-only, for the daemon; -1 */
  bool has_key;
  pthread_key_t key; /* of the thread's seat */
  struct stats_seat seat[STATS_LANES];
};

void stats_init (struct gateway_stats *s);
void stats_fini (struct gateway_stats *s);

/* The calling thread's seat; NULL: nothing is counted. */
struct stats_seat *stats_sit (struct gateway_stats *s);

/* Before a read is looked up in the cache: when it began, or 0. */
uint64_t stats_hot_clock (void);
static inline uint64_t
stats_hot_begin (const struct stats_seat *seat)
{
  return seat
             && atomic_load_explicit (&seat->lane->requests,
                                      memory_order_relaxed)
                      % STATS_SAMPLE
                  == 0
             ? stats_hot_clock ()
             : 0;
}

void stats_hot_shared (struct stats_lane *lane, bool whole, uint32_t bytes);
void stats_hot_sample (struct gateway_stats *s, uint64_t began_ns);

/* The cache has answered so many bytes of it; whole: all. */
static inline void
stats_hot_end (struct gateway_stats *s, struct stats_seat *seat, bool whole,
               uint32_t bytes, uint64_t began_ns)
{
  struct stats_lane *l;

  if (!seat || !bytes)
    return;
  l = seat->lane;
  if (seat->shared)
    stats_hot_shared (l, whole, bytes);
  else {
    atomic_store_explicit (
        &l->bytes,
        atomic_load_explicit (&l->bytes, memory_order_relaxed) + bytes,
        memory_order_relaxed);
    atomic_store_explicit (
        &l->requests,
        atomic_load_explicit (&l->requests, memory_order_relaxed) + whole,
        memory_order_relaxed);
  }
  if (began_ns && whole)
    stats_hot_sample (s, began_ns);
}

struct link;

/* A client's request is over, result is 0 or an errno; sets the gauges, too. */
void stats_done (struct link *l, enum io_op op, uint32_t bytes,
                 uint64_t began_ns, int result);
void stats_gauges (struct link *l, uint64_t now_ns);

#endif
