/* SPDX-License-Identifier: BSD-2-Clause */
/* What is found out about LUNs of all kinds, and of those that are none. */
#include "config.h"
#include "protocols/iscsi/scsi.h"

#include <string.h>

#include "tests/unit/protocols/iscsi/lun.h"
#include "tests/unit/unit.h"

#define SECOND_NS 1000000000ull

static struct lun l;
static struct scsi *x;
static struct volume_info info;
static uint64_t now_ns;

static enum scsi_state
probe (unsigned number, bool list)
{
  struct scsi_setup setup = {
      .session = &l.session, .lun = number, .list = list, .seed = {7}};
  struct session_result r;

  CU_ASSERT_EQUAL_FATAL (scsi_open (&setup, &x), ERR_OK);
  now_ns = 5 * SECOND_NS;
  scsi_start (x, now_ns);
  for (unsigned i = 0; i < 1000 && scsi_state (x) == SCSI_PROBING; i++)
    if (lun_serve (&l, &r))
      scsi_result (x, &r, now_ns);
    else {
      CU_ASSERT_FATAL (scsi_deadline_ns (x) != PROTO_NO_DEADLINE);
      now_ns = scsi_deadline_ns (x);
      scsi_tick (x, now_ns);
    }
  if (scsi_state (x) == SCSI_READY && !list) {
    scsi_info (x, &info);
    CU_ASSERT (volume_info_check (&info));
  }
  return scsi_state (x);
}

static void
over (void)
{
  scsi_close (x);
  lun_fini (&l);
}

static void
a_plain_disk (void)
{
  lun_init (&l, 2048, 512);
  CU_ASSERT_EQUAL_FATAL (probe (0, false), SCSI_READY);
  CU_ASSERT_EQUAL (info.size, 1048576);
  CU_ASSERT_EQUAL (info.block_min, 512);
  CU_ASSERT_EQUAL (info.block_preferred, 4096);
  CU_ASSERT_EQUAL (info.caps,
                   VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH | VOLUME_CAN_FUA);
  CU_ASSERT_STRING_EQUAL (info.readonly_why, "");
  CU_ASSERT_STRING_EQUAL (info.identity, "naa.6001020304050607");
  CU_ASSERT (strstr (info.remarks, "no trim") != NULL);
  over ();
}

/* What changes with the LUN must be seen when a session comes to another. */
static void
a_disk_without_a_name_has_a_serial_number (void)
{
  lun_init (&l, 2048, 512);
  l.no_identity = true;
  CU_ASSERT_EQUAL_FATAL (probe (0, false), SCSI_READY);
  CU_ASSERT_STRING_EQUAL (info.identity, "serial.S1");
  over ();
  lun_init (&l, 2048, 512);
  l.nameless = true;
  CU_ASSERT_EQUAL_FATAL (probe (0, false), SCSI_READY);
  CU_ASSERT_STRING_EQUAL (info.identity, "serial.S1");
  over ();
}

static void
a_thin_disk_of_4096_byte_blocks (void)
{
  lun_init (&l, 1ull << 33, 4096);
  l.thin = true;
  l.unmap_max = 1000;
  l.transfer_max = 16;
  CU_ASSERT_EQUAL_FATAL (probe (300, false), SCSI_READY);
  CU_ASSERT_EQUAL (info.size, 1ull << 45);
  CU_ASSERT_EQUAL (info.block_min, 4096);
  CU_ASSERT_EQUAL (info.request_max, 65536);
  CU_ASSERT_EQUAL (info.caps, VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH
                                  | VOLUME_CAN_FUA | VOLUME_CAN_TRIM
                                  | VOLUME_CAN_ZERO | VOLUME_CAN_FAST_ZERO
                                  | VOLUME_CAN_STATUS);
  CU_ASSERT_EQUAL (info.range_max, 1u << 30);
  over ();
}

static void
an_old_disk (void)
{
  lun_init (&l, 2048, 512);
  l.no_capacity_16 = l.no_vpd = l.no_mode_6 = true;
  CU_ASSERT_EQUAL_FATAL (probe (0, false), SCSI_READY);
  CU_ASSERT_EQUAL (info.size, 1048576);
  CU_ASSERT_EQUAL (l.served[0x5a], 1);
  CU_ASSERT_STRING_EQUAL (info.identity, "");
  over ();
  /* neither knows the size */
  lun_init (&l, 1ull << 33, 512);
  l.no_capacity_16 = true;
  CU_ASSERT_EQUAL (probe (0, false), SCSI_FAILED);
  CU_ASSERT (strstr (scsi_fault (x)->text, "too large") != NULL);
  over ();
}

/* READ CAPACITY(10) would only say that it is too large for that. */
static void
more_than_can_be_served (void)
{
  static const uint64_t blocks[] = {1ull << 54, 1ull << 63, UINT64_MAX};

  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
    lun_init (&l, blocks[i], 512);
    CU_ASSERT_EQUAL (probe (0, false), SCSI_FAILED);
    CU_ASSERT_EQUAL (scsi_fault (x)->code, ERR_NOTSUP);
    CU_ASSERT (strstr (scsi_fault (x)->text, "more than 8 EiB") != NULL);
    CU_ASSERT_EQUAL (l.served[0x25], 0);
    over ();
  }
  lun_init (&l, (1ull << 54) - 1, 512);
  CU_ASSERT_EQUAL (probe (0, false), SCSI_READY);
  over ();
}

static void
write_protected (void)
{
  lun_init (&l, 2048, 512);
  l.write_protect = l.thin = true;
  CU_ASSERT_EQUAL_FATAL (probe (0, false), SCSI_READY);
  CU_ASSERT_EQUAL (info.caps, VOLUME_CAN_STATUS);
  CU_ASSERT (strstr (info.readonly_why, "write-protected") != NULL);
  over ();
}

static void
no_such_lun (void)
{
  lun_init (&l, 2048, 512);
  l.no_such_lun = true;
  CU_ASSERT_EQUAL (probe (9, false), SCSI_FAILED);
  CU_ASSERT_EQUAL (scsi_fault (x)->code, ERR_NOENT);
  CU_ASSERT (strstr (scsi_fault (x)->text, "no such LUN") != NULL);
  over ();
  lun_init (&l, 2048, 512); /* most say it earlier */
  l.fault[0] = (struct lun_fault){0, 99, SESSION_DONE, 2, 5, 0x25, 0, false};
  CU_ASSERT_EQUAL (probe (9, false), SCSI_FAILED);
  CU_ASSERT_EQUAL (scsi_fault (x)->code, ERR_NOENT);
  over ();
  lun_init (&l, 2048, 512);
  l.type = 5;
  CU_ASSERT_EQUAL (probe (9, false), SCSI_FAILED);
  CU_ASSERT (strstr (scsi_fault (x)->text, "no disk") != NULL);
  over ();
}

static void
unit_attentions_are_cleared (void)
{
  lun_init (&l, 2048, 512);
  l.fault[0] =
      (struct lun_fault){LUN_ANY, 5, SESSION_DONE, 2, 6, 0x29, 0, false};
  l.fault[1] =
      (struct lun_fault){0x12, 1, SESSION_DONE, 2, 6, 0x3f, 0x0e, false};
  l.fault[2] =
      (struct lun_fault){0x9e, 1, SESSION_TARGET_FAILURE, 0, 0, 0, 0, false};
  CU_ASSERT_EQUAL (probe (0, false), SCSI_READY);
  over ();
  lun_init (&l, 2048, 512);
  l.fault[0] =
      (struct lun_fault){LUN_ANY, 9999, SESSION_DONE, 2, 6, 0x29, 0, false};
  CU_ASSERT_EQUAL (probe (0, false), SCSI_FAILED);
  CU_ASSERT (strstr (scsi_fault (x)->text, "29h/00h") != NULL);
  over ();
}

static void
a_lun_becomes_ready (void)
{
  lun_init (&l, 2048, 512);
  l.fault[0] = (struct lun_fault){0, 20, SESSION_DONE, 2, 2, 4, 1, false};
  CU_ASSERT_EQUAL (probe (0, false), SCSI_READY);
  CU_ASSERT (now_ns >= 14 * SECOND_NS);
  over ();
  lun_init (&l, 2048, 512);
  l.fault[0] = (struct lun_fault){0, 9999, SESSION_DONE, 8, 0, 0, 0, false};
  CU_ASSERT_EQUAL (probe (0, false), SCSI_FAILED);
  CU_ASSERT_EQUAL (scsi_fault (x)->code, ERR_TIMEOUT);
  CU_ASSERT (strstr (scsi_fault (x)->text, "BUSY") != NULL);
  /* While the worker may still say so. */
  CU_ASSERT (now_ns < 5 * SECOND_NS + PROTO_START_NS);
  over ();
  lun_init (&l, 2048, 512);
  l.fault[0] = (struct lun_fault){0, 1, SESSION_DONE, 2, 2, 0x3a, 0, false};
  CU_ASSERT_EQUAL (probe (0, false), SCSI_FAILED);
  CU_ASSERT (strstr (scsi_fault (x)->text, "medium not present") != NULL);
  over ();
}

static void
luns_are_listed (void)
{
  struct listing_entry e;
  const struct listing *list;
  size_t at = 0;
  bool broken;

  lun_init (&l, 2048, 512);
  CU_ASSERT_EQUAL_FATAL (probe (0, true), SCSI_READY);
  list = scsi_listing (x);
  CU_ASSERT_EQUAL (list->entries, 2);
  CU_ASSERT (listing_next (list->base, list->used_bytes, &at, &e, &broken));
  CU_ASSERT_STRING_EQUAL (e.name, "0");
  CU_ASSERT (listing_next (list->base, list->used_bytes, &at, &e, &broken));
  CU_ASSERT_STRING_EQUAL (e.name, "5");
  CU_ASSERT_EQUAL (e.size, 1048576);
  CU_ASSERT_STRING_EQUAL (e.description, "TEST A_LUN");
  CU_ASSERT_EQUAL (scsi_deadline_ns (x), PROTO_NO_DEADLINE);
  over ();
  /* what is no disk, or does not answer, is left out */
  lun_init (&l, 2048, 512);
  l.type = 0x0c;
  CU_ASSERT_EQUAL_FATAL (probe (0, true), SCSI_READY);
  CU_ASSERT_EQUAL (scsi_listing (x)->entries, 0);
  over ();
  lun_init (&l, 2048, 512);
  l.fault[0] =
      (struct lun_fault){0x12, 9999, SESSION_DONE, 2, 6, 0x29, 0, false};
  CU_ASSERT_EQUAL_FATAL (probe (0, true), SCSI_READY);
  CU_ASSERT_EQUAL (scsi_listing (x)->entries, 0);
  over ();
}

UNIT_MAIN ("scsi_probe", UNIT_TEST (a_plain_disk),
           UNIT_TEST (a_disk_without_a_name_has_a_serial_number),
           UNIT_TEST (a_thin_disk_of_4096_byte_blocks), UNIT_TEST (an_old_disk),
           UNIT_TEST (more_than_can_be_served), UNIT_TEST (write_protected),
           UNIT_TEST (no_such_lun),
           UNIT_TEST (unit_attentions_are_cleared),
           UNIT_TEST (a_lun_becomes_ready), UNIT_TEST (luns_are_listed))
