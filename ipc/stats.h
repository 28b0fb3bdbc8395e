/* SPDX-License-Identifier: BSD-2-Clause */
/* What a gateway counts of one volume, in memory that only it writes and that
 * `bulkhead status` and `bulkhead top` read while it goes on: a memfd of its
 * own, sealed, of which the daemon keeps a read-only fd (ATTACH) and hands it
 * to who asks (STATUS).
 *
 * A reader believes nothing but the size: it copies every number once
 * (stats_take) and computes from its copy; a gateway that lies shows wrong
 * numbers, no more. All are counters that only grow, but for the gauges. They
 * are loosely together: one may be of a moment later than another.
 *
 * What a read that the cache answers costs is a few ns, as it is counted in a
 * lane that the thread has for itself, by plain additions; its time is taken
 * once in STATS_SAMPLE. All other requests are counted and timed, each, under
 * the gateway's lock.
 *
 * A series of times is a log-linear histogram: STATS_STEPS buckets for each
 * doubling, so that a percentile is off by 1/(2 STATS_STEPS) at most.
 */
#ifndef BH_IPC_STATS_H
#define BH_IPC_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define STATS_MAGIC 0x62685331u /* "bhS1" */
#define STATS_LANES 128u        /* the first one is shared */
#define STATS_SAMPLE 64u        /* a power of two */
#define STATS_STEPS 16u
#define STATS_BUCKETS 480u
#define STATS_UNIT_SHIFT 6 /* the smallest bucket is 64 ns wide */

/* What was answered, by whom. */
enum stats_op {
  STATS_CACHED, /* reads, by the cache; buckets: one in STATS_SAMPLE */
  STATS_READ,   /* by the server, or read ahead from it */
  STATS_WRITE,
  STATS_FLUSH,
  STATS_TRIM,
  STATS_ZERO,
  STATS_EXTENTS,
  STATS_OPS
};

enum stats_gauge {
  STATS_NOW_NS, /* CLOCK_MONOTONIC, when the gauges were set */
  STATS_PATHS,
  STATS_PATHS_UP,
  STATS_DOWN_SINCE_NS, /* 0: some path is up */
  STATS_IN_FLIGHT,     /* pieces of requests: under way or waiting */
  STATS_QUEUED,        /* of these: not yet with a worker */
  STATS_RETAINED_BYTES,
  STATS_RETAINED_LIMIT,
  STATS_RETAINED_WRITES,
  STATS_IN_DOUBT, /* of these: to be sent again */
  STATS_RESENT,   /* writes that were, ever */
  STATS_TAKEOVERS,
  STATS_WAKES,       /* of workers */
  STATS_FILLS,       /* pages offered to the cache, ever */
  STATS_FILLS_LOST,  /* … and not taken */
  STATS_GIVEN_UP,    /* 1: every request fails */
  STATS_READONLY,    /* 1: by readonly=, or as the server allows no more */
  STATS_GAUGES = 32, /* room for more */
};

struct stats_series {
  _Atomic uint64_t requests, bytes, errors;
  _Atomic uint64_t busy_ns; /* sum of the times */
  _Atomic uint64_t bucket[STATS_BUCKETS];
};

/* STATS_CACHED: requests that it answered whole, and bytes, also of others. */
struct stats_lane {
  _Atomic uint64_t requests, bytes;
  uint64_t reserved[6]; /* a line of its own */
};

struct stats_object {
  uint32_t magic, bytes;
  uint64_t reserved[7];
  _Atomic uint64_t gauge[STATS_GAUGES];
  struct stats_series op[STATS_OPS];
  struct stats_lane lane[STATS_LANES];
};

_Static_assert (sizeof (_Atomic uint64_t) == 8, "fixed width");
_Static_assert (sizeof (struct stats_series) == 32 + 8 * STATS_BUCKETS,
                "series layout");
_Static_assert (sizeof (struct stats_lane) == 64, "lane layout");
_Static_assert (offsetof (struct stats_object, gauge) == 64, "gauges");
_Static_assert (offsetof (struct stats_object, op) == 320, "series");
_Static_assert (offsetof (struct stats_object, lane)
                    == 320 + STATS_OPS * sizeof (struct stats_series),
                "lanes");

#define STATS_BYTES ((sizeof (struct stats_object) + 4095) / 4096 * 4096)

/* Gateway: makes and maps it; *ret_fd is read-only, to hand out. */
enum err stats_create (struct stats_object **ret, int *ret_readonly_fd);
/* Whether fd is a read-only fd of such an object, sealed. */
bool stats_fd_check (int fd);

/* A reader's copy. */
struct stats {
  uint64_t gauge[STATS_GAUGES];
  struct {
    uint64_t requests, bytes, errors, busy_ns;
    uint64_t bucket[STATS_BUCKETS];
  } op[STATS_OPS];
};

/* Maps, copies, unmaps. ERR_PEER: no such object; ERR_VERSION. */
enum err stats_read_fd (int fd, struct stats *ret);
void stats_take (const struct stats_object *o, struct stats *ret);
/* What has come since earlier (which may be the same object as ret); gauges are
 * of now. A counter that has not grown counts as zero.
 */
void stats_since (const struct stats *now, const struct stats *earlier,
                  struct stats *ret);
/* Adds up what several gateways of a volume count; of gauges the sum, but of
 * STATS_NOW_NS and STATS_DOWN_SINCE_NS the greatest.
 */
void stats_add (struct stats *sum, const struct stats *s);

/* Which bucket a time belongs to, and the time in the middle of a bucket. */
unsigned stats_bucket (uint64_t ns);
uint64_t stats_bucket_ns (unsigned bucket);
/* The time that part (0 … 1) of them did not exceed; 0 if there is none. */
uint64_t stats_percentile_ns (const uint64_t bucket[STATS_BUCKETS],
                              double part);

#endif
