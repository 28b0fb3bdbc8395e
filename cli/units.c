/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/units.h"

#include <stdio.h>
#include <string.h>

void
units_time (char *dst, size_t dst_bytes, uint64_t ns)
{
  double v = (double)ns;

  if (ns < 1000)
    snprintf (dst, dst_bytes, "%u ns", (unsigned)ns);
  else if (ns < 999500) /* above, three digits would round to 1e+03 */
    snprintf (dst, dst_bytes, "%.3g us", v / 1e3);
  else if (ns < 999500000)
    snprintf (dst, dst_bytes, "%.3g ms", v / 1e6);
  else if (v < 100e9)
    snprintf (dst, dst_bytes, "%.3g s", v / 1e9);
  else if (v < 2 * 3600e9)
    snprintf (dst, dst_bytes, "%.0f min", v / 60e9);
  else if (v < 48 * 3600e9)
    snprintf (dst, dst_bytes, "%.0f h", v / 3600e9);
  else
    snprintf (dst, dst_bytes, "%.0f d", v / 86400e9);
}

json_t *
units_json_latency (const uint64_t bucket[STATS_BUCKETS])
{
  if (!stats_percentile_ns (bucket, 1.0))
    return json_null ();
  return json_pack ("{s:I, s:I, s:I, s:I}", "p50_ns",
                    (json_int_t)stats_percentile_ns (bucket, 0.50), "p95_ns",
                    (json_int_t)stats_percentile_ns (bucket, 0.95), "p99_ns",
                    (json_int_t)stats_percentile_ns (bucket, 0.99), "max_ns",
                    (json_int_t)stats_percentile_ns (bucket, 1.0));
}

/* By protocol: what a request becomes where the server has it. */
struct verbs {
  const char *proto;
  const char *flush, *fua, *trim, *zero, *status;
};

static const struct verbs verbs[] = {
    {"sftp", "fsync@openssh.com on the file",
     "a write, and fsync@openssh.com behind it", "", "", ""},
    {"iscsi", "SYNCHRONIZE CACHE", "the FUA bit of WRITE", "UNMAP",
     "WRITE SAME", "GET LBA STATUS"},
    {"nfs", "COMMIT", "WRITE with FILE_SYNC", "DEALLOCATE",
     "DEALLOCATE, and ALLOCATE where space is to be kept",
     "SEEK for data and holes"},
    {"", "a flush", "a write that is stable at once", "trim", "zero",
     "block status"},
};

static const struct verbs *
verbs_of (const char *proto)
{
  const struct verbs *v = verbs;

  while (v->proto[0] && strcmp (v->proto, proto) != 0)
    v++;
  return v;
}

void
units_abilities (const char *proto, uint32_t caps,
                 struct ability ret[ABILITIES])
{
  const struct verbs *v = verbs_of (proto);
  bool writes = caps & VOLUME_CAN_WRITE;
  const struct ability a[ABILITIES] = {
      {"write", "write", writes,
       writes ? "allowed" : "refused: it can only be read"},
      {"flush", "flush", caps & VOLUME_CAN_FLUSH,
       caps & VOLUME_CAN_FLUSH
           ? v->flush
           : (writes ? "not available: the server never says what is stable"
                     : "nothing to do")},
      {"fua", "fua", caps & VOLUME_CAN_FUA,
       caps & VOLUME_CAN_FUA   ? v->fua
       : caps & VOLUME_CAN_FLUSH ? "a write and a flush, by nbdkit"
                                 : "not available"},
      {"trim", "trim", caps & VOLUME_CAN_TRIM,
       caps & VOLUME_CAN_TRIM ? v->trim
                              : "not available: nothing is given up"},
      {"zero", "zero", caps & VOLUME_CAN_ZERO,
       caps & VOLUME_CAN_ZERO ? v->zero
       : writes               ? "zeroes are written, by nbdkit"
                              : "not available"},
      {"block-status", "block_status", caps & VOLUME_CAN_STATUS,
       caps & VOLUME_CAN_STATUS ? v->status
                                : "not available: everything counts as data"},
  };

  memcpy (ret, a, sizeof a);
}
