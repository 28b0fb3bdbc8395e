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
#include "protocols/iscsi/inbox.h"
#include "protocols/iscsi/keys.h"
#include "protocols/iscsi/pdu.h"
#include "protocols/iscsi/sendbox.h"

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

/* How long a command may take in all unless the setup says so (timeout=), from
 * when it is sent: after two thirds of that it is aborted, at five sixths
 * the LUN is reset, and before it is over so is the session.
 */
#define SESSION_REQUEST_NS (30ull * 1000 * 1000 * 1000)

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
};

enum session_outcome {
  /* The target has executed it: status and sense say how. */
  SESSION_DONE,
  /* It took too long and was aborted: nothing more of it will be executed, but
   * what was executed before is not known. Data are void.
   */
  SESSION_ABORTED,
  /* The target could not deliver it: SCSI Response with response "Target
   * Failure" (§11.4.3), or it fell to the LUN RESET that another command
   * needed. Data are void; it may be tried again.
   */
  SESSION_TARGET_FAILURE,
  /* No command of ours: sense data of an asynchronous SCSI event (§11.9.1),
   * or of our own LUN RESET; tag 0, lun as in the PDU.
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
   * was checked. SESSION_WRITE: bytes that the target says it has taken;
   * with another status 0 unless all had been sent.
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

/* ---------------------------------------------- what the engine calls ------
 */

/* What the login has settled. */
struct session_setup {
  struct sendbox *send; /* outlives the session */
  uint32_t keys[KEYS_COUNT];
  uint32_t receive_max_bytes; /* our MaxRecvDataSegmentLength */
  uint64_t request_ns;        /* 0: SESSION_REQUEST_NS */
  uint16_t cid;
  uint32_t cmd_sn, exp_stat_sn, exp_cmd_sn, max_cmd_sn;
};

/* ERR_NOMEM. */
enum err session_open (const struct session_setup *setup, uint64_t now_ns,
                       struct session **ret);
void session_close (struct session *s); /* NULL: nothing */

/* A header was received: where its data go, NULL: to the inbox's body. ERR_PEER
 * with f if it must not come.
 */
enum err session_place (struct session *s, const struct pdu *p,
                        uint8_t **ret_data, struct fault *f);
/* The same PDU is whole; body: its data if they went there. Errors are final:
 * ERR_PEER, or what the target wants us to stop for.
 */
enum err session_pdu (struct session *s, const struct pdu *p,
                      const uint8_t *body, uint64_t now_ns, struct fault *f);

/* Bytes have come, of whatever PDU. */
void session_heard (struct session *s, uint64_t now_ns);

/* Queues PDUs as long as there is room, and something to say. */
void session_fill (struct session *s);
/* Bytes were sent: what was answered too early may be reaped now. */
void session_sent (struct session *s);

uint64_t session_deadline_ns (const struct session *s);
enum err session_tick (struct session *s, uint64_t now_ns, struct fault *f);

/* Says goodbye as soon as no command is under way, at the latest after
 * SESSION_LEAVE_NS.
 */
#define SESSION_LEAVE_NS (2ull * 1000 * 1000 * 1000)
void session_leave (struct session *s, uint64_t now_ns);
/* What the target said goodbye to, or threatened with: seconds that it asks us
 * to wait before we come back (Time2Wait, §11.9, §11.15).
 */
unsigned session_time2wait_s (const struct session *s);

/* SendTargets (§13.3, appendix C), once. The answer's text grows to at most
 * SESSION_TEXT_BYTES; it is the session's. True once it is whole.
 */
#define SESSION_TEXT_BYTES (1u << 20)
void session_ask (struct session *s, const char *key, const char *value,
                  uint64_t now_ns);
bool session_answer (const struct session *s, const uint8_t **ret_text,
                     size_t *ret_bytes);

#endif
