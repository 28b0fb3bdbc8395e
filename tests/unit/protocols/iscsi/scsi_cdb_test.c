/* SPDX-License-Identifier: BSD-2-Clause */
/* Each CDB byte by byte as SPC-4 and SBC-3 lay it out, and which size is
 * picked.
 */
#include "config.h"
#include "protocols/iscsi/scsi_cdb.h"

#include <string.h>

#include "tests/unit/unit.h"

/* bytes: a string literal; its terminator does not count. */
#define ENCODES(bytes_, ...)                                                   \
  do {                                                                         \
    struct scsi_ask a = {__VA_ARGS__};                                         \
    struct scsi_cdb c;                                                         \
                                                                               \
    CU_ASSERT_EQUAL_FATAL (scsi_encode (&a, &c), ERR_OK);                      \
    CU_ASSERT_EQUAL (c.length_bytes, sizeof (bytes_) - 1);                     \
    CU_ASSERT (memcmp (c.bytes, bytes_, sizeof (bytes_) - 1) == 0);            \
    for (size_t i = c.length_bytes; i < sizeof c.bytes; i++)                   \
      CU_ASSERT_EQUAL (c.bytes[i], 0);                                         \
  } while (0)

static void
commands_have_the_standards_layout (void)
{
  ENCODES ("\0\0\0\0\0\0", .verb = SCSI_TEST_UNIT_READY);
  ENCODES ("\x12\0\0\0\x60\0", .verb = SCSI_INQUIRY, .bytes = 96);
  ENCODES ("\x12\1\xb0\4\0\0", .verb = SCSI_INQUIRY, .vpd = true, .page = 0xb0,
           .bytes = 1024);
  ENCODES ("\x1a\x08\x3f\0\xc0\0", .verb = SCSI_MODE_SENSE, .page = 0x3f,
           .bytes = 192);
  ENCODES ("\x5a\x08\x08\0\0\0\0\0\xc0\0", .verb = SCSI_MODE_SENSE,
           .page = 0x08, .bytes = 192, .longer = true);
  ENCODES ("\x5a\x08\x08\0\0\0\0\1\0\0", .verb = SCSI_MODE_SENSE, .page = 0x08,
           .bytes = 256);
  ENCODES ("\xa0\0\0\0\0\0\0\0\x20\x08\0\0", .verb = SCSI_REPORT_LUNS,
           .bytes = 0x2008);
  ENCODES ("\x25\0\0\0\0\0\0\0\0\0", .verb = SCSI_READ_CAPACITY_10);
  ENCODES ("\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x20\0\0",
           .verb = SCSI_READ_CAPACITY_16, .bytes = 32);
  ENCODES ("\x9e\x12\0\0\0\1\2\3\4\5\0\0\1\x08\0\0",
           .verb = SCSI_GET_LBA_STATUS, .lba = 0x102030405, .bytes = 264);
  ENCODES ("\x42\0\0\0\0\0\0\0\x18\0", .verb = SCSI_UNMAP, .bytes = 24);
}

static void
blocks_pick_the_size (void)
{
  ENCODES ("\x28\0\xff\xff\xff\xff\0\xff\xff\0", .verb = SCSI_READ,
           .lba = UINT32_MAX, .blocks = UINT16_MAX);
  ENCODES ("\x88\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0", .verb = SCSI_READ,
           .lba = 1ull << 32, .blocks = 1);
  ENCODES ("\x88\x10\0\0\0\0\0\0\0\7\0\1\0\0\0\0", .verb = SCSI_READ, .lba = 7,
           .blocks = 65536, .dpo = true);
  ENCODES ("\x2a\x08\0\0\0\7\0\0\x08\0", .verb = SCSI_WRITE, .lba = 7,
           .blocks = 8, .fua = true);
  ENCODES ("\x8a\x18\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x09\0\0",
           .verb = SCSI_WRITE, .lba = 0x102030405060708, .blocks = 9,
           .fua = true, .dpo = true);
  ENCODES ("\x35\0\0\0\0\0\0\0\0\0", .verb = SCSI_SYNCHRONIZE_CACHE);
  ENCODES ("\x91\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", .verb = SCSI_SYNCHRONIZE_CACHE,
           .longer = true);
  ENCODES ("\x41\x08\0\0\0\7\0\0\x08\0", .verb = SCSI_WRITE_SAME, .lba = 7,
           .blocks = 8, .unmap = true);
  ENCODES ("\x93\x09\0\0\0\0\0\0\0\7\0\0\0\x08\0\0", .verb = SCSI_WRITE_SAME,
           .lba = 7, .blocks = 8, .unmap = true, .ndob = true);
  /* bits that are another command's do nothing */
  ENCODES ("\x28\0\0\0\0\0\0\0\1\0", .verb = SCSI_READ, .blocks = 1,
           .unmap = true);
}

static void
too_long_is_refused (void)
{
  static const enum scsi_verb verbs[] = {SCSI_INQUIRY, SCSI_MODE_SENSE,
                                         SCSI_UNMAP};
  struct scsi_cdb untouched = {.length_bytes = 99};

  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
    struct scsi_ask a = {.verb = verbs[i], .bytes = 65536};

    CU_ASSERT_EQUAL (scsi_encode (&a, &untouched), ERR_LIMIT);
    CU_ASSERT_EQUAL (untouched.length_bytes, 99);
  }
}

static void
directions_and_names (void)
{
  struct scsi_ask same = {.verb = SCSI_WRITE_SAME};
  struct scsi_cdb c;

  CU_ASSERT_EQUAL (scsi_direction (&same), SCSI_DATA_OUT);
  same.ndob = true;
  CU_ASSERT_EQUAL (scsi_direction (&same), SCSI_NO_DATA);
  for (unsigned v = 0; v < SCSI_VERBS; v++)
    for (int longer = 0; longer < 2; longer++) {
      struct scsi_ask a = {.verb = (enum scsi_verb)v, .longer = longer};

      CU_ASSERT_EQUAL_FATAL (scsi_encode (&a, &c), ERR_OK);
      CU_ASSERT_STRING_NOT_EQUAL (scsi_opcode_name (c.bytes), "a command");
    }
  c.bytes[0] = 0xff;
  CU_ASSERT_STRING_EQUAL (scsi_opcode_name (c.bytes), "a command");
  c.bytes[0] = 0x9e;
  c.bytes[1] = 0x12;
  CU_ASSERT_STRING_EQUAL (scsi_opcode_name (c.bytes), "GET LBA STATUS");
}

static void
unmap_has_one_descriptor (void)
{
  uint8_t list[SCSI_UNMAP_BYTES];

  scsi_encode_unmap (0x102030405060708, 0x0a0b0c0d, list);
  CU_ASSERT (memcmp (list,
                     "\0\x16\0\x10\0\0\0\0\1\2\3\4\5\6\7\x08\x0a\x0b\x0c\x0d"
                     "\0\0\0\0",
                     sizeof list)
             == 0);
}

UNIT_MAIN ("scsi_cdb", UNIT_TEST (commands_have_the_standards_layout),
           UNIT_TEST (blocks_pick_the_size), UNIT_TEST (too_long_is_refused),
           UNIT_TEST (directions_and_names),
           UNIT_TEST (unmap_has_one_descriptor))
