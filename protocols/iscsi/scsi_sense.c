/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/scsi_sense.h"

#include <stdio.h>

#include "common/wire.h"

/* Fixed format (SPC-4 §4.5.3). Byte 0 with its VALID bit is behind w. */
static void
decode_fixed (struct wire *w, bool valid, size_t length_bytes,
              struct scsi_sense *s)
{
  wire_u8 (w);
  s->key = wire_u8 (w) & 0x0f;
  s->information = wire_u32 (w);
  s->has_information = valid && length_bytes >= 7;
  wire_u8 (w);  /* ADDITIONAL SENSE LENGTH: what was sent counts */
  wire_u32 (w); /* command specific information */
  s->asc = wire_u8 (w);
  s->ascq = wire_u8 (w);
}

/* Descriptor format (SPC-4 §4.5.2), behind byte 0. */
static void
decode_descriptors (struct wire *w, struct scsi_sense *s)
{
  s->key = wire_u8 (w) & 0x0f;
  s->asc = wire_u8 (w);
  s->ascq = wire_u8 (w);
  wire_bytes (w, 4);
  while (wire_left (w) >= 2) {
    uint8_t type = wire_u8 (w);
    uint8_t length_bytes = wire_u8 (w);
    const uint8_t *p = wire_bytes (w, length_bytes);

    if (p && type == 0x00 && length_bytes >= 10 && p[0] & 0x80) {
      struct wire i = wire_init (p + 2, 8);

      s->information = wire_u64 (&i);
      s->has_information = true;
    }
  }
}

enum err
scsi_decode_sense (const uint8_t *bytes, size_t length_bytes,
                   struct scsi_sense *ret)
{
  struct wire w = wire_init (bytes, length_bytes);
  uint8_t first = wire_u8 (&w);
  struct scsi_sense s = {.deferred = first & 0x01};

  switch (first & 0x7f) {
  case 0x70:
  case 0x71:
    decode_fixed (&w, first & 0x80, length_bytes, &s);
    break;
  case 0x72:
  case 0x73:
    decode_descriptors (&w, &s);
    break;
  default:
    return ERR_PEER;
  }
  *ret = s;
  return ERR_OK;
}

/* -------------------------------------------------------------- by its code */

#define ANY_KEY 0xff
#define ANY_ASCQ 0xff

/* The first row that fits counts: exact ones stand before wider ones. */
static const struct row {
  uint8_t key, asc, ascq;
  enum scsi_verdict verdict;
  enum err error;
  uint32_t notes;
  const char *text;
} rows[] = {
    /* UNIT ATTENTION (SPC-4 §5.14): the command was not carried out. */
    {SCSI_UNIT_ATTENTION, 0x29, 0x05, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_RESET, "transceiver mode changed to single-ended"},
    {SCSI_UNIT_ATTENTION, 0x29, 0x07, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_RESET, "I_T nexus loss occurred"},
    {SCSI_UNIT_ATTENTION, 0x29, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_RESET, "power on, reset, or bus device reset occurred"},
    {SCSI_UNIT_ATTENTION, 0x2a, 0x09, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_CAPACITY, "capacity data has changed"},
    {SCSI_UNIT_ATTENTION, 0x2a, 0x01, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_MODE, "mode parameters changed"},
    {SCSI_UNIT_ATTENTION, 0x2a, 0x03, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "reservations preempted"},
    {SCSI_UNIT_ATTENTION, 0x2a, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_MODE, "parameters changed"},
    /* A cache may have been lost with what it held. */
    {SCSI_UNIT_ATTENTION, 0x28, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_RESET | SCSI_NOTE_CAPACITY,
     "not ready to ready change, medium may have changed"},
    {SCSI_UNIT_ATTENTION, 0x2f, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "commands cleared by another initiator"},
    {SCSI_UNIT_ATTENTION, 0x38, 0x07, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "thin provisioning soft threshold reached"},
    {SCSI_UNIT_ATTENTION, 0x3f, 0x01, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_INQUIRY | SCSI_NOTE_RESET, "microcode has been changed"},
    {SCSI_UNIT_ATTENTION, 0x3f, 0x03, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_INQUIRY, "INQUIRY data has changed"},
    {SCSI_UNIT_ATTENTION, 0x3f, 0x0e, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_INQUIRY, "reported LUNs data has changed"},
    {SCSI_UNIT_ATTENTION, 0x3f, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO,
     SCSI_NOTE_INQUIRY, "target operating conditions have changed"},

    /* NOT READY */
    {SCSI_NOT_READY, 0x04, 0x01, SCSI_VERDICT_LATER, ERR_IO, 0,
     "becoming ready"},
    {SCSI_NOT_READY, 0x04, 0x04, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "not ready, format in progress"},
    {SCSI_NOT_READY, 0x04, 0x09, SCSI_VERDICT_LATER, ERR_IO, 0,
     "not ready, self-test in progress"},
    {SCSI_NOT_READY, 0x04, 0x0a, SCSI_VERDICT_LATER, ERR_IO, 0,
     "not accessible, asymmetric access state transition"},
    {SCSI_NOT_READY, 0x04, 0x0b, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "not accessible, target port in standby state"},
    {SCSI_NOT_READY, 0x04, 0x0c, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "not accessible, target port in unavailable state"},
    {SCSI_NOT_READY, 0x04, 0x14, SCSI_VERDICT_LATER, ERR_IO, 0,
     "space allocation in progress"},
    {SCSI_NOT_READY, 0x04, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "logical unit not ready"},
    {SCSI_NOT_READY, 0x3a, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "medium not present"},
    {SCSI_NOT_READY, 0x3e, ANY_ASCQ, SCSI_VERDICT_LATER, ERR_IO, 0,
     "logical unit has not self-configured yet"},

    /* What each key says more of. */
    {SCSI_MEDIUM_ERROR, 0x0c, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "write error"},
    {SCSI_MEDIUM_ERROR, 0x11, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "unrecovered read error"},
    {SCSI_HARDWARE_ERROR, 0x44, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "internal target failure"},
    {SCSI_ILLEGAL_REQUEST, 0x20, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_NOTSUP, 0,
     "invalid command operation code"},
    {SCSI_ILLEGAL_REQUEST, 0x21, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_RANGE, 0,
     "logical block address out of range"},
    {SCSI_ILLEGAL_REQUEST, 0x24, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_NOTSUP, 0,
     "invalid field in CDB"},
    {SCSI_ILLEGAL_REQUEST, 0x25, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_NOENT, 0,
     "logical unit not supported: there is no such LUN"},
    {SCSI_ILLEGAL_REQUEST, 0x26, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_NOTSUP, 0,
     "invalid field in parameter list"},
    {SCSI_DATA_PROTECT, 0x27, 0x07, SCSI_VERDICT_FAILED, ERR_NOSPC, 0,
     "space allocation failed, write protect"},
    {SCSI_DATA_PROTECT, 0x27, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_ROFS, 0,
     "write protected"},
    {SCSI_ABORTED_COMMAND, 0x0b, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "warning"},
    {SCSI_ABORTED_COMMAND, 0x0c, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "unexpected or missing unsolicited data"},
    {SCSI_ABORTED_COMMAND, 0x47, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "protocol service CRC or parity error"},

    /* And each key by itself. */
    {SCSI_NO_SENSE, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "no reason given"},
    {SCSI_RECOVERED_ERROR, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_DONE, ERR_OK, 0,
     "recovered"},
    {SCSI_NOT_READY, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_IO, 0,
     "not ready"},
    {SCSI_ILLEGAL_REQUEST, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_INVAL,
     0, "illegal request"},
    {SCSI_UNIT_ATTENTION, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "something has changed"},
    {SCSI_DATA_PROTECT, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_ROFS, 0,
     "access is protected"},
    {SCSI_ABORTED_COMMAND, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_AGAIN, ERR_IO, 0,
     "aborted by the server"},
    {SCSI_VOLUME_OVERFLOW, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_NOSPC,
     0, "beyond the end of the medium"},
    {SCSI_COMPLETED, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_DONE, ERR_OK, 0,
     "completed"},
    {ANY_KEY, ANY_ASCQ, ANY_ASCQ, SCSI_VERDICT_FAILED, ERR_IO, 0, "failed"},
};

static const struct row *
row_of (const struct scsi_sense *s)
{
  const struct row *r = rows;

  while ((r->key != ANY_KEY && r->key != s->key)
         || (r->asc != ANY_ASCQ && r->asc != s->asc)
         || (r->ascq != ANY_ASCQ && r->ascq != s->ascq))
    r++;
  return r;
}

struct scsi_outcome
scsi_judge (uint8_t status, const struct scsi_sense *sense)
{
  switch (status) {
  case SCSI_GOOD:
  case SCSI_CONDITION_MET:
    return (struct scsi_outcome){SCSI_VERDICT_DONE, ERR_OK, 0};
  case SCSI_BUSY:
  case SCSI_TASK_SET_FULL:
  case SCSI_RESERVATION_CONFLICT:
  case SCSI_ACA_ACTIVE:
    return (struct scsi_outcome){SCSI_VERDICT_LATER, ERR_IO, 0};
  case SCSI_TASK_ABORTED:
    return (struct scsi_outcome){SCSI_VERDICT_AGAIN, ERR_IO, 0};
  case SCSI_CHECK_CONDITION:
    break;
  default:
    return (struct scsi_outcome){SCSI_VERDICT_FAILED, ERR_IO, 0};
  }
  if (!sense)
    return (struct scsi_outcome){SCSI_VERDICT_AGAIN, ERR_IO, 0};
  /* §4.5.4: an earlier command, long answered, has failed, and this one was
   * not carried out. What was written since the last flush is in doubt.
   */
  if (sense->deferred)
    return (struct scsi_outcome){SCSI_VERDICT_AGAIN, ERR_IO, SCSI_NOTE_RESET};

  const struct row *r = row_of (sense);

  return (struct scsi_outcome){r->verdict, r->error, r->notes};
}

/* ------------------------------------------------------------------ in words
 */

static const char *
status_name (uint8_t status)
{
  switch (status) {
  case SCSI_GOOD:
    return "GOOD";
  case SCSI_CHECK_CONDITION:
    return "CHECK CONDITION";
  case SCSI_CONDITION_MET:
    return "CONDITION MET";
  case SCSI_BUSY:
    return "BUSY";
  case SCSI_RESERVATION_CONFLICT:
    return "RESERVATION CONFLICT: another initiator has reserved the LUN";
  case SCSI_TASK_SET_FULL:
    return "TASK SET FULL";
  case SCSI_ACA_ACTIVE:
    return "ACA ACTIVE";
  case SCSI_TASK_ABORTED:
    return "TASK ABORTED";
  default:
    return NULL;
  }
}

static const char *
key_name (uint8_t key)
{
  static const char *const names[16] = {
      "NO SENSE",       "RECOVERED ERROR", "NOT READY",      "MEDIUM ERROR",
      "HARDWARE ERROR", "ILLEGAL REQUEST", "UNIT ATTENTION", "DATA PROTECT",
      "BLANK CHECK",    "VENDOR SPECIFIC", "COPY ABORTED",   "ABORTED COMMAND",
      "sense key Ch",   "VOLUME OVERFLOW", "MISCOMPARE",     "COMPLETED"};

  return names[key & 0x0f];
}

const char *
scsi_outcome_text (uint8_t status, const struct scsi_sense *sense,
                   char dst[SCSI_TEXT_BYTES])
{
  const char *name = status_name (status);

  if (!name)
    snprintf (dst, SCSI_TEXT_BYTES, "status %02Xh", status);
  else if (status != SCSI_CHECK_CONDITION)
    snprintf (dst, SCSI_TEXT_BYTES, "%s", name);
  else if (!sense)
    snprintf (dst, SCSI_TEXT_BYTES, "%s without sense data", name);
  else
    snprintf (dst, SCSI_TEXT_BYTES, "%s, %02Xh/%02Xh %s%s",
              key_name (sense->key), sense->asc, sense->ascq,
              row_of (sense)->text,
              sense->deferred ? " (of an earlier command)" : "");
  return dst;
}
