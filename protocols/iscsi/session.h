/* SPDX-License-Identifier: BSD-2-Clause */
/* The full feature phase of a session (RFC 7143 §4.2, ERL 0, one connection):
 * SCSI commands in, their results out. What a CDB means is scsi.h's business;
 * whatever stands between two PDUs (numbering, windows, R2T, digests, NOP,
 * task management, logout) is settled here.
 *
 * The SCSI layer never sees a session that has failed: the engine ends with it.
 *
 * One engine, one thread; pure. Nothing is allocated after session_open.
 */
#ifndef BH_PROTOCOLS_ISCSI_SESSION_H
#define BH_PROTOCOLS_ISCSI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "protocols/iscsi/pdu.h"

/* Commands that wait, are under way, or whose result was not reaped. Twice the
 * requests of our user, as one may need several at a time.
 */
#define SESSION_COMMANDS 256u
/* Sense data beyond that is cut off (SPC: 252 are the most there may be). */
#define SESSION_SENSE_BYTES 252u

struct session;

enum session_direction {
  SESSION_NO_DATA,
  SESSION_READ,  /* from the target */
  SESSION_WRITE, /* to the target */
};

/* How long a command may take unless it says so itself; then it is aborted. */
#define SESSION_COMMAND_TIMEOUT_NS (20ull * 1000 * 1000 * 1000)

struct session_command {
  uint64_t tag; /* whatever the caller wants back with the result */
  uint64_t lun; /* the eight bytes on the wire, as one big-endian number */
  uint8_t cdb[PDU_CDB_BYTES];
  enum session_direction direction;
  /* Expected Data Transfer Length: data has as many bytes, and stays valid
   * until the result is reaped. Of a WRITE it is only read.
   */
  uint32_t length_bytes;
  uint8_t *data;
  uint64_t timeout_ns; /* 0: SESSION_COMMAND_TIMEOUT_NS */
};

enum session_outcome {
  /* The target has executed it: status and sense say how. */
  SESSION_DONE,
  /* It took too long and was aborted: nothing more of it will be executed, but
   * what was executed before is not known. Data are void.
   */
  SESSION_ABORTED,
  /* The target could not deliver it: SCSI Response with response "Target
   * Failure" (§11.4.3), a reject of the command, or an abort that came with a
   * LUN RESET after another command. Data are void; it may be tried again.
   */
  SESSION_TARGET_FAILURE,
  /* No command of ours: sense data of an asynchronous SCSI event (§11.9.1);
   * tag 0, lun as in the PDU.
   */
  SESSION_EVENT,
};

struct session_result {
  uint64_t tag;
  uint64_t lun;
  enum session_outcome outcome;
  uint8_t status; /* of SAM: 00h GOOD, 02h CHECK CONDITION … */
  /* SESSION_READ: bytes of data that were received. With status GOOD they are
   * gapless from 0, and transferred_bytes + the underflow is length_bytes: that
   * was checked. SESSION_WRITE: bytes that the target says it has taken.
   */
  uint32_t transferred_bytes;
  /* The target had or wanted that many more than length_bytes. */
  uint32_t overflow_bytes;
  uint16_t sense_bytes;
  uint8_t sense[SESSION_SENSE_BYTES];
};

/* Takes a command; it is sent when the command window lets it. Commands of one
 * session reach the target in this order. ERR_AGAIN: SESSION_COMMANDS are
 * there.
 */
enum err session_submit (struct session *s, const struct session_command *c,
                         uint64_t now_ns);

/* The next result; false if there is none. */
bool session_reap (struct session *s, struct session_result *ret);

/* How many more commands session_submit would take now. */
unsigned session_room (const struct session *s);

#endif
