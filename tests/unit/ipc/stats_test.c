/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/stats.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "ipc/shm.h"
#include "tests/unit/unit.h"

/* Every time lies in the bucket whose middle is nearest, but for 1/32. */
static void
a_bucket_is_near_its_times (void)
{
  unsigned last = 0;

  for (uint64_t ns = 1; ns < 500000000000u; ns += 1 + ns / 37) {
    unsigned b = stats_bucket (ns);
    uint64_t middle = stats_bucket_ns (b);
    uint64_t off = middle > ns ? middle - ns : ns - middle;

    CU_ASSERT_FATAL (b < STATS_BUCKETS);
    CU_ASSERT (b >= last);
    CU_ASSERT (off <= 32 || off <= ns / 32 + 1);
    last = b;
  }
  CU_ASSERT_EQUAL (stats_bucket (0), 0);
  CU_ASSERT_EQUAL (stats_bucket (UINT64_MAX), STATS_BUCKETS - 1);
}

static void
each_bucket_holds_its_middle (void)
{
  for (unsigned i = 0; i < STATS_BUCKETS; i++)
    CU_ASSERT_EQUAL (stats_bucket (stats_bucket_ns (i)), i);
}

static void
percentiles_are_those_of_what_went_in (void)
{
  uint64_t bucket[STATS_BUCKETS] = {0};
  uint64_t p;

  CU_ASSERT_EQUAL (stats_percentile_ns (bucket, 0.5), 0);
  for (uint64_t us = 1; us <= 1000; us++)
    bucket[stats_bucket (us * 1000)]++;
  p = stats_percentile_ns (bucket, 0.5);
  CU_ASSERT (p > 480000 && p < 520000);
  p = stats_percentile_ns (bucket, 0.99);
  CU_ASSERT (p > 950000 && p < 1030000);
  p = stats_percentile_ns (bucket, 1.0);
  CU_ASSERT (p > 970000 && p < 1035000);
  p = stats_percentile_ns (bucket, 0.0);
  CU_ASSERT (p > 900 && p < 1100);
}

static void
a_reader_gets_what_was_counted (void)
{
  CLEANUP_FREE struct stats *a = calloc (1, sizeof *a);
  CLEANUP_FREE struct stats *b = calloc (1, sizeof *b);
  CLEANUP_CLOSE int fd = -1;
  struct stats_object *o;

  CU_ASSERT_EQUAL_FATAL (stats_create (&o, &fd), ERR_OK);
  CU_ASSERT (stats_fd_check (fd));
  atomic_store (&o->op[STATS_WRITE].requests, 7);
  atomic_store (&o->lane[0].requests, 1);
  atomic_store (&o->lane[STATS_LANES - 1].requests, 2);
  atomic_store (&o->lane[STATS_LANES - 1].bytes, 8192);
  atomic_store (&o->gauge[STATS_IN_FLIGHT], 3);
  CU_ASSERT_EQUAL (stats_read_fd (fd, a), ERR_OK);
  CU_ASSERT_EQUAL (a->op[STATS_WRITE].requests, 7);
  CU_ASSERT_EQUAL (a->op[STATS_CACHED].requests, 3);
  CU_ASSERT_EQUAL (a->op[STATS_CACHED].bytes, 8192);
  CU_ASSERT_EQUAL (a->gauge[STATS_IN_FLIGHT], 3);

  /* One that begins anew has not gone backwards. */
  atomic_store (&o->op[STATS_WRITE].requests, 9);
  atomic_store (&o->lane[STATS_LANES - 1].requests, 0);
  CU_ASSERT_EQUAL (stats_read_fd (fd, b), ERR_OK);
  stats_since (b, a, a);
  CU_ASSERT_EQUAL (a->op[STATS_WRITE].requests, 2);
  CU_ASSERT_EQUAL (a->op[STATS_CACHED].requests, 0);
  stats_add (a, b);
  CU_ASSERT_EQUAL (a->op[STATS_WRITE].requests, 11);
  CU_ASSERT_EQUAL (a->gauge[STATS_IN_FLIGHT], 6);
  shm_unmap (o, STATS_BYTES);
}

/* What another process hands over may be anything. */
static void
other_files_are_refused (void)
{
  CLEANUP_FREE struct stats *s = calloc (1, sizeof *s);
  CLEANUP_CLOSE int unsealed = memfd_create ("x", MFD_CLOEXEC);
  CLEANUP_CLOSE int writable = -1;
  CLEANUP_CLOSE int empty = -1;
  CLEANUP_CLOSE int small = -1;
  CLEANUP_CLOSE int small_ro = -1;
  int zero = open ("/dev/zero", O_RDONLY | O_CLOEXEC);

  CU_ASSERT_EQUAL_FATAL (ftruncate (unsealed, STATS_BYTES), 0);
  CU_ASSERT_FALSE (stats_fd_check (unsealed));
  CU_ASSERT_EQUAL (shm_create ("x", STATS_BYTES, &writable), ERR_OK);
  CU_ASSERT_FALSE (stats_fd_check (writable));
  CU_ASSERT_EQUAL (shm_reopen_readonly (writable, &empty), ERR_OK);
  CU_ASSERT (stats_fd_check (empty));
  CU_ASSERT_EQUAL (stats_read_fd (empty, s), ERR_VERSION);
  CU_ASSERT_EQUAL (shm_create ("x", 4096, &small), ERR_OK);
  CU_ASSERT_EQUAL (shm_reopen_readonly (small, &small_ro), ERR_OK);
  CU_ASSERT_EQUAL (stats_read_fd (small_ro, s), ERR_PEER);
  CU_ASSERT_FALSE (stats_fd_check (zero));
  CU_ASSERT_FALSE (stats_fd_check (-1));
  close (zero);
}

UNIT_MAIN ("stats", UNIT_TEST (a_bucket_is_near_its_times),
           UNIT_TEST (each_bucket_holds_its_middle),
           UNIT_TEST (percentiles_are_those_of_what_went_in),
           UNIT_TEST (a_reader_gets_what_was_counted),
           UNIT_TEST (other_files_are_refused))
