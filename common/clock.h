/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock that waits and deadlines go by: it never jumps (CLOCK_MONOTONIC).
 * Protocol engines do not look at it: they are handed the time.
 */
#ifndef BH_COMMON_CLOCK_H
#define BH_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
clock_now_ns (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t
clock_now_ms (void)
{
  return clock_now_ns () / 1000000;
}

#endif
