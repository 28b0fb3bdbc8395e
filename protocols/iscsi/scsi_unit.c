/* SPDX-License-Identifier: BSD-2-Clause */
/* What a LUN can do, in the words of volume_info. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "protocols/iscsi/scsi_disk.h"
#include "protocols/iscsi/scsi_probe.h"

/* The page size of those that ask; no client must be made to read more than it
 * wants, so a LUN that prefers more is believed up to here.
 */
#define PREFERRED_LEAST_BYTES 4096u
#define PREFERRED_MOST_BYTES 65536u

static bool
power_of_two (uint64_t v)
{
  return v && !(v & (v - 1));
}

static uint32_t
preferred_bytes (const struct scsi_unit *u)
{
  uint32_t block_bytes = u->capacity.block_bytes;
  uint64_t granule = (uint64_t)block_bytes
                     * (u->limits.granularity > 1 ? u->limits.granularity : 1);
  uint64_t physical = (uint64_t)block_bytes * u->capacity.physical_blocks;
  uint64_t best =
      block_bytes > PREFERRED_LEAST_BYTES ? block_bytes : PREFERRED_LEAST_BYTES;

  if (power_of_two (granule) && granule <= PREFERRED_MOST_BYTES
      && granule > best)
    best = granule;
  if (physical <= PREFERRED_MOST_BYTES && physical > best)
    best = physical;
  return (uint32_t)best;
}

static void
remark (char *dst, size_t dst_bytes, const char *text)
{
  size_t used = strlen (dst);

  snprintf (dst + used, dst_bytes - used, "%s%s", used ? "; " : "", text);
}

static void
remarks_of (const struct scsi_unit *u, uint32_t caps, struct volume_info *ret)
{
  char *dst = ret->remarks;

  snprintf (dst, sizeof ret->remarks, "%s %s, %u-byte blocks",
            u->inquiry.vendor, u->inquiry.product, u->capacity.block_bytes);
  if (u->characteristics.rotation_rate == 1)
    remark (dst, sizeof ret->remarks, "SSD");
  if (!u->has_mode || !u->mode.caching)
    remark (dst, sizeof ret->remarks, "says nothing about its write cache");
  else if (!u->mode.write_cache)
    remark (dst, sizeof ret->remarks, "no write cache");
  if ((caps & VOLUME_CAN_WRITE) && !(caps & VOLUME_CAN_TRIM))
    remark (dst, sizeof ret->remarks, "no trim");
  if ((caps & VOLUME_CAN_WRITE) && !(caps & VOLUME_CAN_ZERO))
    remark (dst, sizeof ret->remarks, "no WRITE SAME");
}

void
scsi_unit_info (const struct scsi_unit *u, struct volume_info *ret)
{
  const struct scsi_capacity *c = &u->capacity;
  uint64_t request_max = (uint64_t)u->limits.transfer_max * c->block_bytes;
  struct volume_info i = {
      .size = c->blocks * c->block_bytes,
      .block_min = c->block_bytes,
      .block_preferred = preferred_bytes (u),
      .request_max = SCSI_REQUEST_MAX_BYTES,
      .range_max = SCSI_RANGE_MAX_BYTES,
  };

  if (request_max && request_max < i.request_max)
    i.request_max = (uint32_t)request_max;
  if (u->mode.write_protected)
    snprintf (i.readonly_why, sizeof i.readonly_why,
              "the LUN is write-protected (MODE SENSE, WP, SBC-3 §6.5.1)");
  else {
    i.caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH | VOLUME_CAN_FUA;
    if (scsi_trim_by (u) != SCSI_TRIM_NOT)
      i.caps |= VOLUME_CAN_TRIM;
    if (scsi_zero_by (u) != SCSI_ZERO_NOT)
      i.caps |= VOLUME_CAN_ZERO;
    if (scsi_zero_by (u) == SCSI_ZERO_UNMAPS)
      i.caps |= VOLUME_CAN_FAST_ZERO;
  }
  if (u->has_lba_status)
    i.caps |= VOLUME_CAN_STATUS;
  remarks_of (u, i.caps, &i);
  snprintf (i.identity, sizeof i.identity, "%s", u->identity);
  *ret = i;
}
