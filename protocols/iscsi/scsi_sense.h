/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server says about a command that it did not simply carry out: its
 * status and its sense data, and what is to be done about it. Pure.
 *
 * Sections are of SPC-4 (r37), SAM-5 (r16) and RFC 7143.
 */
#ifndef BH_PROTOCOLS_ISCSI_SCSI_SENSE_H
#define BH_PROTOCOLS_ISCSI_SCSI_SENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* SAM-5 §5.3.1 */
enum scsi_status {
  SCSI_GOOD = 0x00,
  SCSI_CHECK_CONDITION = 0x02,
  SCSI_CONDITION_MET = 0x04,
  SCSI_BUSY = 0x08,
  SCSI_RESERVATION_CONFLICT = 0x18,
  SCSI_TASK_SET_FULL = 0x28,
  SCSI_ACA_ACTIVE = 0x30,
  SCSI_TASK_ABORTED = 0x40,
};

/* SPC-4 §4.5.6 */
enum scsi_sense_key {
  SCSI_NO_SENSE = 0x0,
  SCSI_RECOVERED_ERROR = 0x1,
  SCSI_NOT_READY = 0x2,
  SCSI_MEDIUM_ERROR = 0x3,
  SCSI_HARDWARE_ERROR = 0x4,
  SCSI_ILLEGAL_REQUEST = 0x5,
  SCSI_UNIT_ATTENTION = 0x6,
  SCSI_DATA_PROTECT = 0x7,
  SCSI_BLANK_CHECK = 0x8,
  SCSI_COPY_ABORTED = 0xa,
  SCSI_ABORTED_COMMAND = 0xb,
  SCSI_VOLUME_OVERFLOW = 0xd,
  SCSI_MISCOMPARE = 0xe,
  SCSI_COMPLETED = 0xf,
};

struct scsi_sense {
  bool deferred; /* about an earlier command (§4.5.4) */
  uint8_t key, asc, ascq;
  bool has_information; /* mostly: the LBA */
  uint64_t information;
};

/* Fixed (70h, 71h) and descriptor (72h, 73h) format, however short: fields
 * that were cut off are zero. ERR_PEER: it is neither.
 */
enum err
scsi_decode_sense (const uint8_t *bytes, size_t length_bytes,
                   struct scsi_sense *ret);

/* What to do with the command. */
enum scsi_verdict {
  SCSI_VERDICT_DONE,  /* it was carried out */
  SCSI_VERDICT_AGAIN, /* send it again at once, a few times */
  SCSI_VERDICT_LATER, /* send it again after a while, until its deadline */
  SCSI_VERDICT_FAILED,
};

/* What else the server has said thereby; bits. */
#define SCSI_NOTE_RESET 0x1u    /* unflushed writes are in doubt */
#define SCSI_NOTE_CAPACITY 0x2u /* the size has changed */
#define SCSI_NOTE_INQUIRY 0x4u  /* INQUIRY data or LUNs have changed */
#define SCSI_NOTE_MODE 0x8u     /* mode parameters have changed */

struct scsi_outcome {
  enum scsi_verdict verdict;
  enum err error; /* SCSI_VERDICT_FAILED and, should time run out,
                     SCSI_VERDICT_LATER */
  uint32_t notes; /* SCSI_NOTE_… */
};

/* sense may be NULL if there was none (or none that could be read). */
struct scsi_outcome
scsi_judge (uint8_t status, const struct scsi_sense *sense);

/* In words, one line: "CHECK CONDITION: MEDIUM ERROR, 11h/00h unrecovered read
 * error". Returns dst.
 */
#define SCSI_TEXT_BYTES 160u
const char *
scsi_outcome_text (uint8_t status, const struct scsi_sense *sense,
                   char dst[SCSI_TEXT_BYTES]);

#endif
