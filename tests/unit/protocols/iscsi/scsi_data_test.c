/* SPDX-License-Identifier: BSD-2-Clause */
/* What servers answer, as SPC-4 and SBC-3 lay it out; then cut off everywhere
 * and with lengths that lie.
 */
#include "config.h"
#include "protocols/iscsi/scsi_data.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct fault f;

/* Calls decode for each beginning of bytes, in memory that ends there. */
static void
cut_off (const uint8_t *bytes, size_t length_bytes,
         void (*decode) (const uint8_t *p, size_t n))
{
  for (size_t n = 0; n <= length_bytes; n++) {
    uint8_t *copy = calloc (1, n + 1);

    if (n > 0)
      memcpy (copy + 1, bytes, n); /* the end counts, not the beginning */
    decode (copy + 1, n);
    free (copy);
  }
}

/* ------------------------------------------------------------------ INQUIRY */

static void
inquiry (void)
{
  static const char bytes[] = "\0\0\5\2\x1f\0\0\2IET     VIRTUAL-DISK    0001";
  struct scsi_inquiry i;

  CU_ASSERT_EQUAL_FATAL (
      scsi_decode_inquiry ((const uint8_t *)bytes, 36, &i, &f), ERR_OK);
  CU_ASSERT_EQUAL (i.type, SCSI_TYPE_DISK);
  CU_ASSERT_EQUAL (i.qualifier, 0);
  CU_ASSERT_STRING_EQUAL (i.vendor, "IET");
  CU_ASSERT_STRING_EQUAL (i.product, "VIRTUAL-DISK");
  CU_ASSERT_STRING_EQUAL (i.revision, "0001");
  for (size_t n = 0; n < 36; n++)
    CU_ASSERT_EQUAL (scsi_decode_inquiry ((const uint8_t *)bytes, n, &i, &f),
                     ERR_PEER);
  CU_ASSERT (strstr (f.text, "SPC-4") != NULL);
}

static void
inquiry_without_a_lun (void)
{
  uint8_t bytes[36] = {0x7f, 0x80};
  struct scsi_inquiry i;

  memset (bytes + 8, 0x1b, 28);
  CU_ASSERT_EQUAL_FATAL (scsi_decode_inquiry (bytes, 36, &i, &f), ERR_OK);
  CU_ASSERT_EQUAL (i.qualifier, 3);
  CU_ASSERT_EQUAL (i.type, 0x1f);
  CU_ASSERT (i.removable);
  CU_ASSERT_STRING_EQUAL (i.vendor, "________");
}

/* ---------------------------------------------------------------- VPD pages */

static void
vpd_pages (void)
{
  static const uint8_t bytes[] = {0, 0, 0, 5, 0x00, 0x80, 0x83, 0xb0, 0xb2};
  struct scsi_vpd_pages p;

  CU_ASSERT_EQUAL_FATAL (scsi_decode_vpd_pages (bytes, sizeof bytes, &p, &f),
                         ERR_OK);
  CU_ASSERT (p.serial && p.identity && p.limits && p.provisioning);
  CU_ASSERT (!p.characteristics);
  /* the page's own length counts, and what has come */
  CU_ASSERT_EQUAL (scsi_decode_vpd_pages (bytes, 6, &p, &f), ERR_OK);
  CU_ASSERT (p.serial && !p.identity);
  for (size_t n = 0; n < 4; n++)
    CU_ASSERT_EQUAL (scsi_decode_vpd_pages (bytes, n, &p, &f), ERR_PEER);
}

static void
another_page_than_asked (void)
{
  static const uint8_t bytes[16] = {0, 0x83, 0, 12};
  struct scsi_limits l;

  CU_ASSERT_EQUAL (scsi_decode_vpd_limits (bytes, sizeof bytes, &l, &f),
                   ERR_PEER);
  CU_ASSERT (strstr (f.text, "B0h") && strstr (f.text, "83h"));
}

static void
serial (void)
{
  static const uint8_t bytes[] = {0,   0x80, 0, 8,    ' ', ' ',
                                  'a', 'b',  0, '\n', 'c', ' '};
  char text[SCSI_SERIAL_BYTES];

  CU_ASSERT_EQUAL (scsi_decode_vpd_serial (bytes, sizeof bytes, text, &f),
                   ERR_OK);
  CU_ASSERT_STRING_EQUAL (text, "ab_c");
}

#define NAA6                                                                   \
  1, 3, 0, 16, 0x60, 0x01, 0x40, 0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
#define NAA3 1, 3, 0, 8, 0x30, 0, 0, 0, 0, 0, 0, 1
#define EUI 1, 2, 0, 8, 0, 0x25, 0x38, 1, 2, 3, 4, 5
#define T10                                                                    \
  2, 1, 0, 12, 'I', 'E', 'T', ' ', ' ', ' ', ' ', ' ', '0', '0', '1', 0
#define NAME 3, 8, 0, 8, 'i', 'q', 'n', '.', 'x', ':', 'y', 0
#define PORT 1, 0x94, 0, 4, 0, 0, 0, 1
#define IDENTITY(expected, ...)                                                \
  do {                                                                         \
    uint8_t d[] = {__VA_ARGS__}, page[4 + sizeof d] = {0, 0x83, 0, sizeof d};  \
    char id[SCSI_IDENTITY_BYTES];                                              \
                                                                               \
    memcpy (page + 4, d, sizeof d);                                            \
    CU_ASSERT_EQUAL (scsi_decode_vpd_identity (page, sizeof page, id, &f),     \
                     ERR_OK);                                                  \
    CU_ASSERT_STRING_EQUAL (id, expected);                                     \
  } while (0)

static void
identity_by_rank (void)
{
  IDENTITY ("naa.6001405a0102030405060708090a0b0c", PORT, T10, EUI, NAA6, NAME);
  IDENTITY ("eui.0025380102030405", T10, NAA3, EUI, NAME);
  IDENTITY ("iqn.x:y", T10, NAME, NAA3);
  IDENTITY ("t10.IET_001", NAA3, T10);
  IDENTITY ("naa.3000000000000001", NAA3, PORT);
  IDENTITY ("", PORT);
  /* a length that runs out of the page, and an NAA of no known length */
  IDENTITY ("t10.IET_001", T10, 1, 3, 0, 200, 0x60);
  IDENTITY ("", 1, 3, 0, 3, 0x60, 1, 2);
  IDENTITY ("", 1, 3, 0, 0);
}

static void
longest_identity_fits (void)
{
  uint8_t page[4 + 4 + 255] = {0, 0x83, 1, 3, 2, 1, 0, 255};
  char id[SCSI_IDENTITY_BYTES];

  memset (page + 8, 'x', 255);
  CU_ASSERT_EQUAL (scsi_decode_vpd_identity (page, sizeof page, id, &f),
                   ERR_OK);
  CU_ASSERT_EQUAL (strlen (id), sizeof id - 1);
  page[4] = 1; /* binary */
  CU_ASSERT_EQUAL (scsi_decode_vpd_identity (page, sizeof page, id, &f),
                   ERR_OK);
  CU_ASSERT (strlen (id) < sizeof id && strlen (id) > sizeof id - 4);
}

static const uint8_t limits_page[64] = {
    0,    0xb0, 0,    0x3c, 1, 0, 0, 8,    0, 1, 0, 0, 0, 0, 0,
    0x80, 0,    0,    0,    0, 0, 0, 0x40, 0, 0, 0, 0, 1, 0, 0,
    0,    0x10, 0x80, 0,    0, 4, 0, 0,    0, 1, 0, 0, 0, 0};

static void
limits (void)
{
  uint8_t page[64];
  struct scsi_limits l;

  CU_ASSERT_EQUAL_FATAL (
      scsi_decode_vpd_limits (limits_page, sizeof limits_page, &l, &f), ERR_OK);
  CU_ASSERT (l.write_same_not_zero);
  CU_ASSERT_EQUAL (l.granularity, 8);
  CU_ASSERT_EQUAL (l.transfer_max, 65536);
  CU_ASSERT_EQUAL (l.transfer_optimal, 128);
  CU_ASSERT_EQUAL (l.unmap_max, 0x4000);
  CU_ASSERT_EQUAL (l.unmap_descriptors, 1);
  CU_ASSERT_EQUAL (l.unmap_granularity, 16);
  CU_ASSERT_EQUAL (l.unmap_alignment, 4);
  CU_ASSERT_EQUAL (l.write_same_max, 1ull << 32);
  /* SBC-2's, which ends earlier; and UGAVALID not set */
  memcpy (page, limits_page, sizeof page);
  page[3] = 12;
  CU_ASSERT_EQUAL (scsi_decode_vpd_limits (page, 16, &l, &f), ERR_OK);
  CU_ASSERT_EQUAL (l.transfer_max, 65536);
  CU_ASSERT_EQUAL (l.unmap_max, 0);
  page[3] = 0x3c;
  page[32] = 0;
  CU_ASSERT_EQUAL (scsi_decode_vpd_limits (page, sizeof page, &l, &f), ERR_OK);
  CU_ASSERT_EQUAL (l.unmap_alignment, 0);
}

static void
decode_limits (const uint8_t *p, size_t n)
{
  struct scsi_limits l;

  CU_ASSERT_EQUAL (scsi_decode_vpd_limits (p, n, &l, &f),
                   n < 16 ? ERR_PEER : ERR_OK);
}

static void
limits_cut_off (void)
{
  cut_off (limits_page, sizeof limits_page, decode_limits);
}

static void
provisioning (void)
{
  static const uint8_t page[] = {0, 0xb2, 0, 4, 0, 0xa4, 2, 0};
  static const uint8_t rotation[] = {0, 0xb1, 0, 2, 0, 1};
  struct scsi_provisioning p;
  struct scsi_characteristics c;

  CU_ASSERT_EQUAL (scsi_decode_vpd_provisioning (page, sizeof page, &p, &f),
                   ERR_OK);
  CU_ASSERT (p.unmap && !p.write_same_16 && p.write_same_10 && p.zeroes);
  CU_ASSERT (p.thin);
  CU_ASSERT_EQUAL (scsi_decode_vpd_provisioning (page, 5, &p, &f), ERR_PEER);
  CU_ASSERT_EQUAL (
      scsi_decode_vpd_characteristics (rotation, sizeof rotation, &c, &f),
      ERR_OK);
  CU_ASSERT_EQUAL (c.rotation_rate, 1);
}

/* ----------------------------------------------------------------- capacity */

static void
capacity_10 (void)
{
  struct scsi_capacity c;
  bool larger = true;

  CU_ASSERT_EQUAL (
      scsi_decode_capacity_10 ((const uint8_t *)"\0\1\xff\xff\0\0\2\0", 8, &c,
                               &larger, &f),
      ERR_OK);
  CU_ASSERT (!larger);
  CU_ASSERT_EQUAL (c.blocks, 0x20000);
  CU_ASSERT_EQUAL (c.block_bytes, 512);
  CU_ASSERT_EQUAL (
      scsi_decode_capacity_10 ((const uint8_t *)"\xff\xff\xff\xff\0\0\2\0", 8,
                               &c, &larger, &f),
      ERR_OK);
  CU_ASSERT (larger);
  CU_ASSERT_EQUAL (
      scsi_decode_capacity_10 ((const uint8_t *)"\0\1\xff\xff\0\0\2\1", 8, &c,
                               &larger, &f),
      ERR_PEER);
  CU_ASSERT_EQUAL (
      scsi_decode_capacity_10 ((const uint8_t *)"\0\1\xff\xff\0\0\2", 7, &c,
                               &larger, &f),
      ERR_PEER);
}

static void
capacity_16 (void)
{
  uint8_t bytes[32] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x10, 0, 1, 3, 0xc0, 0};
  struct scsi_capacity c;

  CU_ASSERT_EQUAL (scsi_decode_capacity_16 (bytes, 32, &c, &f), ERR_OK);
  CU_ASSERT_EQUAL (c.blocks, (1ull << 32) + 1);
  CU_ASSERT_EQUAL (c.block_bytes, 4096);
  CU_ASSERT_EQUAL (c.physical_blocks, 8);
  CU_ASSERT (c.protection && c.provisioned && c.zeroes);
  CU_ASSERT_EQUAL (scsi_decode_capacity_16 (bytes, 12, &c, &f), ERR_OK);
  CU_ASSERT (!c.provisioned);
  CU_ASSERT_EQUAL (scsi_decode_capacity_16 (bytes, 11, &c, &f), ERR_PEER);
  memset (bytes, 0xff, 8);
  CU_ASSERT_EQUAL (scsi_decode_capacity_16 (bytes, 32, &c, &f), ERR_NOTSUP);
  memset (bytes, 0x7f, 8);
  CU_ASSERT_EQUAL (scsi_decode_capacity_16 (bytes, 32, &c, &f), ERR_NOTSUP);
  CU_ASSERT (strstr (f.text, "SBC-3") != NULL);
}

static void
block_lengths (void)
{
  static const uint32_t bad[] = {0, 1, 256, 520, 4104, 131072, 1u << 31};

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    uint8_t b[32] = {0,
                     0,
                     0,
                     0,
                     0,
                     0,
                     0,
                     9,
                     (uint8_t)(bad[i] >> 24),
                     (uint8_t)(bad[i] >> 16),
                     (uint8_t)(bad[i] >> 8),
                     (uint8_t)bad[i]};
    struct scsi_capacity c;

    CU_ASSERT_EQUAL (scsi_decode_capacity_16 (b, 32, &c, &f), ERR_PEER);
  }
}

/* --------------------------------------------------------------- MODE SENSE */

static void
mode (void)
{
  static const uint8_t six[] = {0x1b, 0, 0x90, 8, 0, 0, 0,    0,  0, 0,
                                2,    0, 0x01, 2, 0, 0, 0x88, 10, 4, 0,
                                0,    0, 0,    0, 0, 0, 0,    0};
  static const uint8_t ten[] = {0, 20, 0, 0x10, 0, 0,    0, 0, 0x4c,
                                1, 0,  2, 0,    0, 0x08, 2, 0, 0};
  struct scsi_mode m;

  CU_ASSERT_EQUAL (scsi_decode_mode (six, sizeof six, false, &m, &f), ERR_OK);
  CU_ASSERT (m.write_protected && m.dpofua && m.caching && m.write_cache);
  CU_ASSERT_EQUAL (scsi_decode_mode (ten, sizeof ten, true, &m, &f), ERR_OK);
  CU_ASSERT (!m.write_protected && m.dpofua && m.caching && !m.write_cache);
  CU_ASSERT_EQUAL (scsi_decode_mode (six, 3, false, &m, &f), ERR_PEER);
  CU_ASSERT_EQUAL (scsi_decode_mode (ten, 7, true, &m, &f), ERR_PEER);
}

static void
decode_mode (const uint8_t *p, size_t n)
{
  struct scsi_mode m;

  CU_ASSERT_EQUAL (scsi_decode_mode (p, n, false, &m, &f),
                   n < 4 ? ERR_PEER : ERR_OK);
}

static void
mode_cut_off (void)
{
  static const uint8_t lies[] = {255, 0, 0, 200, 0x48, 1, 255, 255, 8, 255};
  static const uint8_t pages[] = {255, 0, 0, 0, 0x48, 1, 255, 255, 8, 255, 4};

  cut_off (lies, sizeof lies, decode_mode);
  cut_off (pages, sizeof pages, decode_mode);
}

/* ------------------------------------------------- GET LBA STATUS, the LUNs */

#define STATUS(lba, blocks, status)                                            \
  0, 0, 0, 0, 0, 0, 0, (lba), 0, 0, 0, (blocks), (status), 0, 0, 0

static void
lba_status (void)
{
  static const uint8_t bytes[] = {0,
                                  0,
                                  0,
                                  68,
                                  0,
                                  0,
                                  0,
                                  0,
                                  STATUS (0, 6, 0),
                                  STATUS (6, 2, 1),
                                  STATUS (8, 2, 1),
                                  STATUS (10, 200, 2)};
  struct io_extent x[4];
  uint32_t count, blocks;

  /* it begins before what was asked about, ends behind it, and neighbours
   * that are the same become one
   */
  CU_ASSERT_EQUAL_FATAL (scsi_decode_lba_status (bytes, sizeof bytes, 4, 8, 512,
                                                 true, x, 4, &count, &blocks,
                                                 &f),
                         ERR_OK);
  CU_ASSERT_EQUAL (count, 3);
  CU_ASSERT_EQUAL (blocks, 8);
  CU_ASSERT (x[0].length == 1024 && x[0].flags == 0);
  CU_ASSERT (x[1].length == 2048
             && x[1].flags == (IO_EXTENT_HOLE | IO_EXTENT_ZERO));
  CU_ASSERT (x[2].length == 1024 && x[2].flags == IO_EXTENT_ZERO);
  CU_ASSERT_EQUAL (scsi_decode_lba_status (bytes, sizeof bytes, 6, 4, 512,
                                           false, x, 1, &count, &blocks, &f),
                   ERR_PEER); /* the first does not contain block 6 */
  CU_ASSERT_EQUAL (scsi_decode_lba_status (bytes, sizeof bytes, 0, 9, 512,
                                           false, x, 1, &count, &blocks, &f),
                   ERR_OK);
  CU_ASSERT (count == 1 && blocks == 6);
}

static void
lba_status_lies (void)
{
  static const uint8_t behind[] = {0, 0, 0, 20, 0, 0, 0, 0, STATUS (9, 1, 0)};
  static const uint8_t empty[] = {0, 0, 0, 20, 0, 0, 0, 0, STATUS (4, 0, 0)};
  static const uint8_t gap[] = {
      0, 0, 0, 36, 0, 0, 0, 0, STATUS (4, 2, 1), STATUS (9, 2, 0)};
  uint8_t wraps[24] = {0,   0,   0,   20,  0,   0,   0, 0, 255, 255,
                       255, 255, 255, 255, 255, 255, 0, 0, 0,   9};
  struct io_extent x[4];
  uint32_t count, blocks;

#define LIE(b)                                                                 \
  CU_ASSERT_EQUAL (scsi_decode_lba_status (b, sizeof b, 4, 8, 512, true, x, 4, \
                                           &count, &blocks, &f),               \
                   ERR_PEER)
  LIE (behind);
  LIE (empty);
  LIE (wraps);
  CU_ASSERT_EQUAL (scsi_decode_lba_status (behind, 8, 4, 8, 512, true, x, 4,
                                           &count, &blocks, &f),
                   ERR_PEER);
  /* what is right before the gap counts */
  CU_ASSERT_EQUAL (scsi_decode_lba_status (gap, sizeof gap, 4, 8, 512, true, x,
                                           4, &count, &blocks, &f),
                   ERR_OK);
  CU_ASSERT (count == 1 && blocks == 2);
}

static void
luns (void)
{
  static const uint8_t
      bytes[] = {0,    0, 0, 40, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0,
                 0,    0, 0, 7,  0, 0, 0, 0, 0, 0, 0x41, 2, 0, 0,
                 0,    0, 0, 0,  1, 7, 0, 0, 0, 0, 0,    0, /* another bus */
                 0xc1, 1, 0, 0,  0, 0, 0, 0}; /* a well known LUN */
  uint16_t lun[4];
  unsigned count, total;
  uint8_t wire[8];

  CU_ASSERT_EQUAL_FATAL (
      scsi_decode_luns (bytes, sizeof bytes, lun, 4, &count, &total, &f),
      ERR_OK);
  CU_ASSERT (count == 3 && total == 5);
  CU_ASSERT (lun[0] == 0 && lun[1] == 7 && lun[2] == 0x102);
  CU_ASSERT_EQUAL (
      scsi_decode_luns (bytes, sizeof bytes, lun, 1, &count, &total, &f),
      ERR_OK);
  CU_ASSERT_EQUAL (count, 1);
  CU_ASSERT_EQUAL (scsi_decode_luns (bytes, 19, lun, 4, &count, &total, &f),
                   ERR_OK);
  CU_ASSERT_EQUAL (count, 1);
  CU_ASSERT_EQUAL (scsi_decode_luns (bytes, 7, lun, 4, &count, &total, &f),
                   ERR_PEER);
  scsi_encode_lun (7, wire);
  CU_ASSERT (memcmp (wire, "\0\7\0\0\0\0\0\0", 8) == 0);
  scsi_encode_lun (0x102, wire);
  CU_ASSERT (memcmp (wire, "\x41\2\0\0\0\0\0\0", 8) == 0);
}

UNIT_MAIN ("scsi_data", UNIT_TEST (inquiry), UNIT_TEST (inquiry_without_a_lun),
           UNIT_TEST (vpd_pages), UNIT_TEST (another_page_than_asked),
           UNIT_TEST (serial), UNIT_TEST (identity_by_rank),
           UNIT_TEST (longest_identity_fits), UNIT_TEST (limits),
           UNIT_TEST (limits_cut_off), UNIT_TEST (provisioning),
           UNIT_TEST (capacity_10), UNIT_TEST (capacity_16),
           UNIT_TEST (block_lengths), UNIT_TEST (mode),
           UNIT_TEST (mode_cut_off), UNIT_TEST (lba_status),
           UNIT_TEST (lba_status_lies), UNIT_TEST (luns))
