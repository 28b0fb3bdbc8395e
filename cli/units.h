/* SPDX-License-Identifier: BSD-2-Clause */
/* Times, rates and what a volume can do, in words. */
#ifndef BH_CLI_UNITS_H
#define BH_CLI_UNITS_H

#include <jansson.h>

#include "common/io.h"
#include "ipc/stats.h"

/* "850 ns", "12.3 us", "4.56 ms", "7.8 s", "3 min", "5 h", "2 d" */
void units_time (char *dst, size_t dst_bytes, uint64_t ns);
/* Of a histogram: {"p50": ns, "p95": …, "p99": …, "max": …}; null if empty. */
json_t *units_json_latency (const uint64_t bucket[STATS_BUCKETS]);

/* What the server can do with a request, and how. */
struct ability {
  const char *name; /* "trim" */
  const char *json_name;
  bool native;       /* by the server itself */
  const char *means; /* one line */
};
#define ABILITIES 6
void units_abilities (const char *proto, uint32_t caps,
                      struct ability ret[ABILITIES]);

#endif
