/* SPDX-License-Identifier: BSD-2-Clause */
/* What a LUN answers INQUIRY with its VPD pages, READ CAPACITY, MODE SENSE, GET
 * LBA STATUS and REPORT LUNS. The first byte says which.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/iscsi/scsi_data.h"

#define EXTENTS 8u

static void
capacity (const uint8_t *b, size_t n, bool longer)
{
  struct scsi_capacity c = {.block_bytes = 512};
  struct fault f = {0};
  bool larger = false;
  enum err e = longer ? scsi_decode_capacity_16 (b, n, &c, &f)
                      : scsi_decode_capacity_10 (b, n, &c, &larger, &f);

  if (e || larger)
    return;
  MUST (c.blocks && c.block_bytes >= 512 && c.block_bytes <= 65536
        && !(c.block_bytes & (c.block_bytes - 1)));
  MUST (c.blocks <= INT64_MAX / c.block_bytes);
}

static void
lba_status (const uint8_t *b, size_t n)
{
  struct io_extent e[EXTENTS];
  struct fault f = {0};
  uint32_t count, blocks;
  uint64_t sum = 0;

  if (scsi_decode_lba_status (b, n, 1000, 5000, 512, n & 1, e, EXTENTS, &count,
                              &blocks, &f))
    return;
  MUST (count && count <= EXTENTS && blocks && blocks <= 5000);
  for (uint32_t i = 0; i < count; i++) {
    MUST (e[i].length);
    sum += e[i].length;
  }
  MUST (sum == (uint64_t)blocks * 512);
}

static void
luns (const uint8_t *b, size_t n)
{
  uint16_t lun[EXTENTS];
  unsigned count, total;
  struct fault f = {0};

  if (scsi_decode_luns (b, n, lun, EXTENTS, &count, &total, &f))
    return;
  MUST (count <= EXTENTS && count <= total);
  for (unsigned i = 0; i < count; i++)
    MUST (lun[i] < 16384);
}

static void
inquiry (const uint8_t *b, size_t n)
{
  struct scsi_inquiry i;

  if (!scsi_decode_inquiry (b, n, &i, NULL))
    MUST (strlen (i.vendor) < sizeof i.vendor
          && strlen (i.product) < sizeof i.product);
}

static void
names (const uint8_t *b, size_t n, bool identity)
{
  struct fault f = {0};
  char text[SCSI_IDENTITY_BYTES];

  if (identity ? scsi_decode_vpd_identity (b, n, text, &f)
               : scsi_decode_vpd_serial (b, n, text, &f))
    return;
  for (const char *c = text; *c; c++)
    MUST (*c >= ' ' && *c <= '~');
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  union {
    struct scsi_vpd_pages pages;
    struct scsi_limits limits;
    struct scsi_characteristics characteristics;
    struct scsi_provisioning provisioning;
    struct scsi_mode mode;
  } u;
  struct fault f = {0};

  if (!size--)
    return 0;
  switch (*data++) {
  case SCSI_VPD_PAGES:
    scsi_decode_vpd_pages (data, size, &u.pages, &f);
    break;
  case SCSI_VPD_SERIAL:
    names (data, size, false);
    break;
  case SCSI_VPD_IDENTITY:
    names (data, size, true);
    break;
  case SCSI_VPD_LIMITS:
    scsi_decode_vpd_limits (data, size, &u.limits, &f);
    break;
  case SCSI_VPD_CHARACTERISTICS:
    scsi_decode_vpd_characteristics (data, size, &u.characteristics, &f);
    break;
  case SCSI_VPD_PROVISIONING:
    scsi_decode_vpd_provisioning (data, size, &u.provisioning, &f);
    break;
  case 1:
    inquiry (data, size);
    break;
  case 2:
    capacity (data, size, false);
    break;
  case 3:
    capacity (data, size, true);
    break;
  case 4:
    scsi_decode_mode (data, size, false, &u.mode, &f);
    break;
  case 5:
    scsi_decode_mode (data, size, true, &u.mode, &f);
    break;
  case 6:
    lba_status (data, size);
    break;
  case 7:
    luns (data, size);
    break;
  }
  return 0;
}
