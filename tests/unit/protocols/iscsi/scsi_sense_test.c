/* SPDX-License-Identifier: BSD-2-Clause */
/* Sense data in both formats, cut off everywhere, and what is done about each
 * kind.
 */
#include "config.h"
#include "protocols/iscsi/scsi_sense.h"

#include <string.h>

#include "tests/unit/unit.h"

static const uint8_t fixed[18] = {0xf0, 0, 0x03, 0,    0,    0x12, 0x34, 10, 0,
                                  0,    0, 0,    0x11, 0x01, 0,    0,    0,  0};
static const uint8_t descriptor[8 + 8 + 12] = {
    0x72, 0x05, 0x21, 0x00, 0, 0, 0, 20, 0x02, 6, 0, 0,
    0xc0, 0,    2,    0, /* sense key specific */
    0x00, 10,   0x80, 0,    1, 2, 3, 4,  5,    6, 7, 8};

static void
fixed_format (void)
{
  struct scsi_sense s;

  CU_ASSERT_EQUAL_FATAL (scsi_decode_sense (fixed, sizeof fixed, &s), ERR_OK);
  CU_ASSERT_EQUAL (s.key, SCSI_MEDIUM_ERROR);
  CU_ASSERT_EQUAL (s.asc, 0x11);
  CU_ASSERT_EQUAL (s.ascq, 0x01);
  CU_ASSERT (s.has_information && !s.deferred);
  CU_ASSERT_EQUAL (s.information, 0x1234);
}

static void
descriptor_format (void)
{
  struct scsi_sense s;

  CU_ASSERT_EQUAL_FATAL (scsi_decode_sense (descriptor, sizeof descriptor, &s),
                         ERR_OK);
  CU_ASSERT_EQUAL (s.key, SCSI_ILLEGAL_REQUEST);
  CU_ASSERT_EQUAL (s.asc, 0x21);
  CU_ASSERT_EQUAL (s.ascq, 0);
  CU_ASSERT (s.has_information);
  CU_ASSERT_EQUAL (s.information, 0x102030405060708);
}

static void
cut_off_anywhere (void)
{
  struct scsi_sense s;

  for (size_t n = 1; n <= sizeof fixed; n++) {
    uint8_t *copy = malloc (n); /* so that sanitizers see its end */

    memcpy (copy, fixed, n);
    CU_ASSERT_EQUAL (scsi_decode_sense (copy, n, &s), ERR_OK);
    CU_ASSERT_EQUAL (s.key, n > 2 ? SCSI_MEDIUM_ERROR : 0);
    CU_ASSERT_EQUAL (s.asc, n > 12 ? 0x11 : 0);
    CU_ASSERT_EQUAL (s.has_information, n >= 7);
    free (copy);
  }
  for (size_t n = 1; n <= sizeof descriptor; n++) {
    uint8_t *copy = malloc (n);

    memcpy (copy, descriptor, n);
    CU_ASSERT_EQUAL (scsi_decode_sense (copy, n, &s), ERR_OK);
    CU_ASSERT_EQUAL (s.asc, n > 2 ? 0x21 : 0);
    CU_ASSERT_EQUAL (s.has_information, n == sizeof descriptor);
    free (copy);
  }
}

static void
neither_format (void)
{
  struct scsi_sense s;

  CU_ASSERT_EQUAL (scsi_decode_sense (fixed, 0, &s), ERR_PEER);
  for (unsigned first = 0; first < 256; first++) {
    uint8_t bytes[18] = {(uint8_t)first};
    bool known = (first & 0x7c) == 0x70;

    CU_ASSERT_EQUAL (scsi_decode_sense (bytes, sizeof bytes, &s),
                     known ? ERR_OK : ERR_PEER);
    if (known)
      CU_ASSERT_EQUAL (s.deferred, first & 1);
  }
}

static void
judged (uint8_t key, uint8_t asc, uint8_t ascq, enum scsi_verdict verdict,
        enum err error, uint32_t notes)
{
  struct scsi_sense s = {.key = key, .asc = asc, .ascq = ascq};
  struct scsi_outcome o = scsi_judge (SCSI_CHECK_CONDITION, &s);

  CU_ASSERT_EQUAL (o.verdict, verdict);
  CU_ASSERT_EQUAL (o.notes, notes);
  if (verdict != SCSI_VERDICT_AGAIN)
    CU_ASSERT_EQUAL (o.error, error);
}

static void
check_conditions (void)
{
  judged (6, 0x29, 0x00, SCSI_VERDICT_AGAIN, 0, SCSI_NOTE_RESET);
  judged (6, 0x29, 0x07, SCSI_VERDICT_AGAIN, 0, SCSI_NOTE_RESET);
  judged (6, 0x2a, 0x09, SCSI_VERDICT_AGAIN, 0, SCSI_NOTE_CAPACITY);
  judged (6, 0x3f, 0x0e, SCSI_VERDICT_AGAIN, 0, SCSI_NOTE_INQUIRY);
  judged (6, 0x5d, 0x00, SCSI_VERDICT_AGAIN, 0, 0);
  judged (2, 0x04, 0x01, SCSI_VERDICT_LATER, ERR_IO, 0);
  judged (2, 0x04, 0x02, SCSI_VERDICT_FAILED, ERR_IO, 0);
  judged (2, 0x3a, 0x00, SCSI_VERDICT_FAILED, ERR_IO, 0);
  judged (3, 0x11, 0x00, SCSI_VERDICT_FAILED, ERR_IO, 0);
  judged (4, 0x44, 0x00, SCSI_VERDICT_FAILED, ERR_IO, 0);
  judged (5, 0x20, 0x00, SCSI_VERDICT_FAILED, ERR_NOTSUP, 0);
  judged (5, 0x21, 0x00, SCSI_VERDICT_FAILED, ERR_RANGE, 0);
  judged (5, 0x24, 0x00, SCSI_VERDICT_FAILED, ERR_NOTSUP, 0);
  judged (5, 0x25, 0x00, SCSI_VERDICT_FAILED, ERR_NOENT, 0);
  judged (5, 0x99, 0x00, SCSI_VERDICT_FAILED, ERR_INVAL, 0);
  judged (7, 0x27, 0x00, SCSI_VERDICT_FAILED, ERR_ROFS, 0);
  judged (7, 0x27, 0x07, SCSI_VERDICT_FAILED, ERR_NOSPC, 0);
  judged (11, 0x00, 0x00, SCSI_VERDICT_AGAIN, 0, 0);
  judged (1, 0x17, 0x00, SCSI_VERDICT_DONE, ERR_OK, 0);
  judged (8, 0, 0, SCSI_VERDICT_FAILED, ERR_IO, 0);
}

static void
statuses (void)
{
  CU_ASSERT_EQUAL (scsi_judge (SCSI_GOOD, NULL).verdict, SCSI_VERDICT_DONE);
  CU_ASSERT_EQUAL (scsi_judge (SCSI_BUSY, NULL).verdict, SCSI_VERDICT_LATER);
  CU_ASSERT_EQUAL (scsi_judge (SCSI_TASK_SET_FULL, NULL).verdict,
                   SCSI_VERDICT_LATER);
  CU_ASSERT_EQUAL (scsi_judge (SCSI_RESERVATION_CONFLICT, NULL).verdict,
                   SCSI_VERDICT_LATER);
  CU_ASSERT_EQUAL (scsi_judge (SCSI_TASK_ABORTED, NULL).verdict,
                   SCSI_VERDICT_AGAIN);
  CU_ASSERT_EQUAL (scsi_judge (SCSI_CHECK_CONDITION, NULL).verdict,
                   SCSI_VERDICT_AGAIN);
  CU_ASSERT_EQUAL (scsi_judge (0x7f, NULL).verdict, SCSI_VERDICT_FAILED);
}

static void
deferred_errors_put_writes_in_doubt (void)
{
  struct scsi_sense s = {.deferred = true, .key = SCSI_MEDIUM_ERROR};
  struct scsi_outcome o = scsi_judge (SCSI_CHECK_CONDITION, &s);

  CU_ASSERT_EQUAL (o.verdict, SCSI_VERDICT_AGAIN);
  CU_ASSERT_EQUAL (o.notes, SCSI_NOTE_RESET);
}

static void
words (void)
{
  struct scsi_sense s = {.key = 3, .asc = 0x11, .ascq = 0x04};
  char text[SCSI_TEXT_BYTES];

  CU_ASSERT_STRING_EQUAL (scsi_outcome_text (SCSI_CHECK_CONDITION, &s, text),
                          "MEDIUM ERROR, 11h/04h unrecovered read error");
  CU_ASSERT_STRING_EQUAL (scsi_outcome_text (SCSI_BUSY, NULL, text), "BUSY");
  CU_ASSERT_STRING_EQUAL (scsi_outcome_text (0x77, NULL, text), "status 77h");
  for (unsigned status = 0; status < 256; status++)
    for (unsigned key = 0; key < 16; key++) {
      s = (struct scsi_sense){.deferred = true, .key = (uint8_t)key};
      CU_ASSERT (strlen (scsi_outcome_text ((uint8_t)status, &s, text)) > 0);
    }
}

UNIT_MAIN ("scsi_sense", UNIT_TEST (fixed_format),
           UNIT_TEST (descriptor_format), UNIT_TEST (cut_off_anywhere),
           UNIT_TEST (neither_format), UNIT_TEST (check_conditions),
           UNIT_TEST (statuses),
           UNIT_TEST (deferred_errors_put_writes_in_doubt), UNIT_TEST (words))
