/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/scsi_cdb.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "common/wire.h"

/* What the fields of a CDB are, by its verb. */
enum layout {
  LAYOUT_BARE,    /* the opcode alone */
  LAYOUT_INQUIRY, /* EVPD, page, 16-bit length */
  LAYOUT_MODE,    /* page, 8- or 16-bit length */
  LAYOUT_LUNS,    /* 32-bit length at byte 6 */
  LAYOUT_SERVICE, /* service action, 64-bit LBA, 32-bit length */
  LAYOUT_UNMAP,   /* 16-bit length at byte 7 */
  LAYOUT_BLOCKS,  /* flags, LBA, blocks */
};

static const struct verb {
  enum layout layout;
  uint8_t opcode;        /* of the shorter form */
  uint8_t opcode_longer; /* 0: there is one form */
  uint8_t service_action;
  enum scsi_direction direction;
} verbs[SCSI_VERBS] = {
    [SCSI_TEST_UNIT_READY] = {LAYOUT_BARE, 0x00, 0, 0, SCSI_NO_DATA},
    [SCSI_INQUIRY] = {LAYOUT_INQUIRY, 0x12, 0, 0, SCSI_DATA_IN},
    [SCSI_MODE_SENSE] = {LAYOUT_MODE, 0x1a, 0x5a, 0, SCSI_DATA_IN},
    [SCSI_REPORT_LUNS] = {LAYOUT_LUNS, 0xa0, 0, 0, SCSI_DATA_IN},
    [SCSI_READ_CAPACITY_10] = {LAYOUT_BARE, 0x25, 0, 0, SCSI_DATA_IN},
    [SCSI_READ_CAPACITY_16] = {LAYOUT_SERVICE, 0x9e, 0, 0x10, SCSI_DATA_IN},
    [SCSI_READ] = {LAYOUT_BLOCKS, 0x28, 0x88, 0, SCSI_DATA_IN},
    [SCSI_WRITE] = {LAYOUT_BLOCKS, 0x2a, 0x8a, 0, SCSI_DATA_OUT},
    [SCSI_SYNCHRONIZE_CACHE] = {LAYOUT_BLOCKS, 0x35, 0x91, 0, SCSI_NO_DATA},
    [SCSI_UNMAP] = {LAYOUT_UNMAP, 0x42, 0, 0, SCSI_DATA_OUT},
    [SCSI_WRITE_SAME] = {LAYOUT_BLOCKS, 0x41, 0x93, 0, SCSI_DATA_OUT},
    [SCSI_GET_LBA_STATUS] = {LAYOUT_SERVICE, 0x9e, 0, 0x12, SCSI_DATA_IN},
};

/* By the group code, the three high bits of the opcode (SPC-4 §4.2.5.1). */
static uint8_t
length_of (uint8_t opcode)
{
  switch (opcode >> 5) {
  case 0:
    return 6;
  case 4:
    return 16;
  case 5:
    return 12;
  default:
    return 10;
  }
}

static bool
needs_longer (const struct scsi_ask *a)
{
  if (a->longer)
    return true;
  if (a->verb == SCSI_MODE_SENSE)
    return a->bytes > UINT8_MAX;
  return a->lba > UINT32_MAX || a->blocks > UINT16_MAX || a->ndob;
}

static uint8_t
flags_of (const struct scsi_ask *a)
{
  uint8_t flags = 0;

  if (a->verb == SCSI_READ || a->verb == SCSI_WRITE)
    flags = (uint8_t)(a->dpo << 4 | a->fua << 3);
  else if (a->verb == SCSI_WRITE_SAME)
    flags = (uint8_t)(a->unmap << 3 | a->ndob);
  return flags;
}

static void
encode_fields (const struct verb *v, const struct scsi_ask *a, bool longer,
               struct wirebuf *b)
{
  switch (v->layout) {
  case LAYOUT_BARE:
    break;
  case LAYOUT_INQUIRY:
    wirebuf_u8 (b, a->vpd);
    wirebuf_u8 (b, a->vpd ? a->page : 0);
    wirebuf_u16 (b, (uint16_t)a->bytes);
    break;
  case LAYOUT_MODE:
    wirebuf_u8 (b, 0x08); /* DBD: no block descriptors */
    wirebuf_u8 (b, a->page);
    wirebuf_u8 (b, 0);
    if (longer) {
      wirebuf_u16 (b, 0);
      wirebuf_u8 (b, 0);
      wirebuf_u16 (b, (uint16_t)a->bytes);
    } else
      wirebuf_u8 (b, (uint8_t)a->bytes);
    break;
  case LAYOUT_LUNS:
    wirebuf_bytes (b, "\0\0\0\0\0", 5);
    wirebuf_u32 (b, a->bytes);
    break;
  case LAYOUT_SERVICE:
    wirebuf_u8 (b, v->service_action);
    wirebuf_u64 (b, a->lba);
    wirebuf_u32 (b, a->bytes);
    break;
  case LAYOUT_UNMAP:
    wirebuf_bytes (b, "\0\0\0\0\0\0", 6);
    wirebuf_u16 (b, (uint16_t)a->bytes);
    break;
  case LAYOUT_BLOCKS:
    wirebuf_u8 (b, flags_of (a));
    if (longer) {
      wirebuf_u64 (b, a->lba);
      wirebuf_u32 (b, a->blocks);
    } else {
      wirebuf_u32 (b, (uint32_t)a->lba);
      wirebuf_u8 (b, 0);
      wirebuf_u16 (b, (uint16_t)a->blocks);
    }
    break;
  }
}

enum err
scsi_encode (const struct scsi_ask *a, struct scsi_cdb *ret)
{
  const struct verb *v = &verbs[a->verb];
  bool longer = v->opcode_longer && needs_longer (a);
  struct scsi_cdb cdb = {.bytes = {longer ? v->opcode_longer : v->opcode}};
  struct wirebuf b = wirebuf_init (cdb.bytes + 1, sizeof cdb.bytes - 1);

  assert (a->verb < SCSI_VERBS);
  if ((v->layout == LAYOUT_INQUIRY || v->layout == LAYOUT_MODE
       || v->layout == LAYOUT_UNMAP)
      && a->bytes > UINT16_MAX)
    return ERR_LIMIT;
  cdb.length_bytes = length_of (cdb.bytes[0]);
  encode_fields (v, a, longer, &b);
  assert (b.err == ERR_OK && 1 + b.used_bytes <= cdb.length_bytes);
  *ret = cdb;
  return ERR_OK;
}

enum scsi_direction
scsi_direction (const struct scsi_ask *a)
{
  assert (a->verb < SCSI_VERBS);
  return a->verb == SCSI_WRITE_SAME && a->ndob ? SCSI_NO_DATA
                                               : verbs[a->verb].direction;
}

const char *
scsi_opcode_name (const uint8_t cdb[SCSI_CDB_BYTES])
{
  static const struct {
    uint8_t opcode, service_action;
    const char *name;
  } names[] = {
      {0x00, 0, "TEST UNIT READY"},
      {0x12, 0, "INQUIRY"},
      {0x1a, 0, "MODE SENSE(6)"},
      {0x5a, 0, "MODE SENSE(10)"},
      {0xa0, 0, "REPORT LUNS"},
      {0x25, 0, "READ CAPACITY(10)"},
      {0x9e, 0x10, "READ CAPACITY(16)"},
      {0x9e, 0x12, "GET LBA STATUS"},
      {0x28, 0, "READ(10)"},
      {0x88, 0, "READ(16)"},
      {0x2a, 0, "WRITE(10)"},
      {0x8a, 0, "WRITE(16)"},
      {0x35, 0, "SYNCHRONIZE CACHE(10)"},
      {0x91, 0, "SYNCHRONIZE CACHE(16)"},
      {0x42, 0, "UNMAP"},
      {0x41, 0, "WRITE SAME(10)"},
      {0x93, 0, "WRITE SAME(16)"},
  };

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (names[i].opcode == cdb[0]
        && (names[i].service_action == 0
            || names[i].service_action == (cdb[1] & 0x1f)))
      return names[i].name;
  return "a command";
}

void
scsi_encode_unmap (uint64_t lba, uint32_t blocks, uint8_t ret[SCSI_UNMAP_BYTES])
{
  struct wirebuf b = wirebuf_init (ret, SCSI_UNMAP_BYTES);

  wirebuf_u16 (&b, SCSI_UNMAP_BYTES - 2); /* UNMAP DATA LENGTH */
  wirebuf_u16 (&b, 16); /* UNMAP BLOCK DESCRIPTOR DATA LENGTH */
  wirebuf_u32 (&b, 0);
  wirebuf_u64 (&b, lba);
  wirebuf_u32 (&b, blocks);
  wirebuf_u32 (&b, 0);
  assert (b.err == ERR_OK && b.used_bytes == SCSI_UNMAP_BYTES);
}
