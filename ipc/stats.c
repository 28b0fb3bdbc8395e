/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/stats.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "ipc/shm.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

enum err
stats_create (struct stats_object **ret, int *ret_readonly_fd)
{
  CLEANUP_CLOSE int fd = -1;
  CLEANUP_CLOSE int readonly = -1;
  void *base;
  struct stats_object *o;
  enum err e;

  if ((e = shm_create ("bh-stats", STATS_BYTES, &fd))
      || (e = shm_reopen_readonly (fd, &readonly))
      || (e = shm_map (fd, STATS_BYTES, true, &base)))
    return e;
  o = base;
  o->magic = STATS_MAGIC;
  o->bytes = sizeof *o;
  *ret = o;
  *ret_readonly_fd = steal_fd (&readonly);
  return ERR_OK;
}

bool
stats_fd_check (int fd)
{
  int flags = fcntl (fd, F_GETFL), seals = fcntl (fd, F_GET_SEALS);
  struct stat st;

  return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY && seals >= 0
         && (seals & SEALS) == SEALS && fstat (fd, &st) == 0
         && st.st_size == (off_t)STATS_BYTES;
}

static uint64_t
load (const _Atomic uint64_t *p)
{
  return atomic_load_explicit (p, memory_order_relaxed);
}

void
stats_take (const struct stats_object *o, struct stats *ret)
{
  for (unsigned i = 0; i < STATS_GAUGES; i++)
    ret->gauge[i] = load (&o->gauge[i]);
  for (unsigned i = 0; i < STATS_OPS; i++) {
    const struct stats_series *s = &o->op[i];

    ret->op[i].requests = load (&s->requests);
    ret->op[i].bytes = load (&s->bytes);
    ret->op[i].errors = load (&s->errors);
    ret->op[i].busy_ns = load (&s->busy_ns);
    for (unsigned k = 0; k < STATS_BUCKETS; k++)
      ret->op[i].bucket[k] = load (&s->bucket[k]);
  }
  for (unsigned i = 0; i < STATS_LANES; i++) {
    ret->op[STATS_CACHED].requests += load (&o->lane[i].requests);
    ret->op[STATS_CACHED].bytes += load (&o->lane[i].bytes);
  }
}

enum err
stats_read_fd (int fd, struct stats *ret)
{
  const struct stats_object *o;
  enum err e;
  void *base;

  if (!stats_fd_check (fd))
    return ERR_PEER;
  if ((e = shm_map (fd, STATS_BYTES, false, &base)))
    return e;
  o = base;
  if (o->magic != STATS_MAGIC || o->bytes != sizeof *o)
    e = ERR_VERSION;
  else
    stats_take (o, ret);
  shm_unmap (base, STATS_BYTES);
  return e;
}

static uint64_t
grown (uint64_t now, uint64_t earlier)
{
  return now > earlier ? now - earlier : 0;
}

void
stats_since (const struct stats *now, const struct stats *earlier,
             struct stats *ret)
{
  for (unsigned i = 0; i < STATS_OPS; i++) {
    ret->op[i].requests
        = grown (now->op[i].requests, earlier->op[i].requests);
    ret->op[i].bytes = grown (now->op[i].bytes, earlier->op[i].bytes);
    ret->op[i].errors = grown (now->op[i].errors, earlier->op[i].errors);
    ret->op[i].busy_ns = grown (now->op[i].busy_ns, earlier->op[i].busy_ns);
    for (unsigned k = 0; k < STATS_BUCKETS; k++)
      ret->op[i].bucket[k]
          = grown (now->op[i].bucket[k], earlier->op[i].bucket[k]);
  }
  memcpy (ret->gauge, now->gauge, sizeof ret->gauge);
}

void
stats_add (struct stats *sum, const struct stats *s)
{
  for (unsigned i = 0; i < STATS_GAUGES; i++)
    if (i != STATS_NOW_NS && i != STATS_DOWN_SINCE_NS)
      sum->gauge[i] += s->gauge[i];
    else if (s->gauge[i] > sum->gauge[i])
      sum->gauge[i] = s->gauge[i];
  for (unsigned i = 0; i < STATS_OPS; i++) {
    sum->op[i].requests += s->op[i].requests;
    sum->op[i].bytes += s->op[i].bytes;
    sum->op[i].errors += s->op[i].errors;
    sum->op[i].busy_ns += s->op[i].busy_ns;
    for (unsigned k = 0; k < STATS_BUCKETS; k++)
      sum->op[i].bucket[k] += s->op[i].bucket[k];
  }
}

/* Times */

unsigned
stats_bucket (uint64_t ns)
{
  uint64_t v = ns >> STATS_UNIT_SHIFT;
  unsigned doubling, b;

  if (v < STATS_STEPS)
    return (unsigned)v;
  doubling = 63 - (unsigned)__builtin_clzll (v); /* >= 4 */
  b = (doubling - 3) * STATS_STEPS
      + (unsigned)(v >> (doubling - 4)) % STATS_STEPS;
  return b < STATS_BUCKETS ? b : STATS_BUCKETS - 1;
}

uint64_t
stats_bucket_ns (unsigned bucket)
{
  uint64_t low, width;
  unsigned shift;

  if (bucket < STATS_STEPS)
    return ((uint64_t)bucket << STATS_UNIT_SHIFT)
           + (1u << STATS_UNIT_SHIFT) / 2;
  shift = bucket / STATS_STEPS - 1 + STATS_UNIT_SHIFT;
  low = (uint64_t)(STATS_STEPS + bucket % STATS_STEPS) << shift;
  width = 1ull << shift;
  return low + width / 2;
}

uint64_t
stats_percentile_ns (const uint64_t bucket[STATS_BUCKETS], double part)
{
  uint64_t all = 0, seen = 0;
  double want;

  for (unsigned i = 0; i < STATS_BUCKETS; i++)
    all += bucket[i];
  want = (double)all * part;
  for (unsigned i = 0; i < STATS_BUCKETS; i++) {
    seen += bucket[i];
    if (bucket[i] && (double)seen >= want)
      return stats_bucket_ns (i);
  }
  return 0;
}
