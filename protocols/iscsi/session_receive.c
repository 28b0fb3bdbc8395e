/* SPDX-License-Identifier: BSD-2-Clause */
/* What a target says in the full feature phase. Headers are checked before
 * their data are received (session_place), and count once they are whole
 * (session_pdu).
 */
#include "config.h"
#include "protocols/iscsi/session_private.h"

#include <assert.h>
#include <string.h>

#define STATUS_GOOD 0x00u

static enum err
unknown_task (const struct pdu *p, struct fault *f)
{
  return fault_set (f, ERR_PEER,
                    "%s with Initiator Task Tag %08xh, which names no command "
                    "under way (RFC 7143 §11.2.1.8, §%s)",
                    pdu_opcode_name ((uint8_t)p->opcode), p->itt,
                    pdu_opcode_section ((uint8_t)p->opcode));
}

/* ------------------------------------------------------------- numbering ---
 */

/* §4.2.2.1: never beyond what we have sent; an older one does not count. */
static enum err
take_window (struct session *s, const struct pdu *p, struct fault *f)
{
  if (serial_before (p->max_cmd_sn, p->exp_cmd_sn - 1))
    return ERR_OK;
  if (serial_before (s->cmd_sn, p->exp_cmd_sn))
    return fault_set (f, ERR_PEER,
                      "%s acknowledges commands that were not sent: ExpCmdSN "
                      "%u, and CmdSN is %u (RFC 7143 §4.2.2.1)",
                      pdu_opcode_name ((uint8_t)p->opcode), p->exp_cmd_sn,
                      s->cmd_sn);
  if (serial_before (s->exp_cmd_sn, p->exp_cmd_sn))
    s->exp_cmd_sn = p->exp_cmd_sn;
  if (serial_before (s->max_cmd_sn, p->max_cmd_sn))
    s->max_cmd_sn = p->max_cmd_sn;
  return ERR_OK;
}

/* §4.2.2.2. Without error recovery a gap is the end. */
static enum err
take_stat_sn (struct session *s, const struct pdu *p, struct fault *f)
{
  bool counts = p->opcode != PDU_R2T
                && (p->opcode != PDU_DATA_IN || p->data_in.has_status)
                && (p->opcode != PDU_NOP_IN || p->itt != PDU_NO_TAG);

  if (!counts)
    return ERR_OK;
  if (p->stat_sn != s->exp_stat_sn)
    return fault_set (f, ERR_PEER, "%s with StatSN %u, expected %u (RFC 7143 "
                                   "§4.2.2.2)",
                      pdu_opcode_name ((uint8_t)p->opcode), p->stat_sn,
                      s->exp_stat_sn);
  s->exp_stat_sn++;
  return ERR_OK;
}

/* --------------------------------------------------------------- Data-In ---
 */

static enum err
check_data_in (struct session *s, const struct pdu *p,
               const struct command *k, struct fault *f)
{
  uint64_t end = (uint64_t)p->data_in.buffer_offset + p->data_bytes;

  if (k->c.direction != SESSION_READ)
    return fault_set (f, ERR_PEER,
                      "SCSI Data-In for a command that reads nothing (RFC "
                      "7143 §11.7)");
  if (p->data_in.data_sn != k->data_sn)
    return fault_set (f, ERR_PEER,
                      "SCSI Data-In with DataSN %u, expected %u (RFC 7143 "
                      "§11.7.5)", p->data_in.data_sn, k->data_sn);
  if (p->data_in.buffer_offset != k->received_bytes)
    return fault_set (f, ERR_PEER,
                      "SCSI Data-In with Buffer Offset %u, expected %u "
                      "(DataPDUInOrder, RFC 7143 §11.7.6, §13.18)",
                      p->data_in.buffer_offset, k->received_bytes);
  if (end > k->c.length_bytes)
    return fault_set (f, ERR_PEER,
                      "SCSI Data-In with Buffer Offset %u and "
                      "DataSegmentLength %u beyond the read of %u (RFC 7143 "
                      "§11.7.6)",
                      p->data_in.buffer_offset, p->data_bytes,
                      k->c.length_bytes);
  if (p->data_bytes > s->setup.keys[KEY_MAX_BURST] - k->burst_bytes)
    return fault_set (f, ERR_PEER,
                      "SCSI Data-In sequence without F bit beyond "
                      "MaxBurstLength %u (RFC 7143 §13.13)",
                      s->setup.keys[KEY_MAX_BURST]);
  if (p->data_bytes == 0 && !p->data_in.has_status)
    return fault_set (f, ERR_PEER,
                      "SCSI Data-In without data or status (fields "
                      "DataSegmentLength and S, RFC 7143 §11.7)");
  if (p->data_in.has_status && !p->final)
    return fault_set (f, ERR_PEER,
                      "SCSI Data-In with status and without F bit (fields F "
                      "and S, RFC 7143 §11.7.3)");
  return ERR_OK;
}

enum err
session_place (struct session *s, const struct pdu *p, uint8_t **ret_data,
               struct fault *f)
{
  const struct command *k;
  enum err e;

  *ret_data = NULL;
  if (p->opcode != PDU_DATA_IN)
    return ERR_OK;
  k = session_find (s, p->itt);
  if (!k)
    return unknown_task (p, f);
  e = check_data_in (s, p, k, f);
  if (e)
    return e;
  *ret_data = k->c.data + p->data_in.buffer_offset;
  return ERR_OK;
}

/* ---------------------------------------------------------------- status ---
 */

/* A write whose data the target has not asked for, or cannot have yet. */
static bool
unsent (const struct session *s, const struct command *k)
{
  return k->c.direction == SESSION_WRITE
         && (k->asked_end != k->c.length_bytes || k->r2t_count
             || k->sent_bytes != k->unsolicited_end
             || k->tx_end > s->send->out.sent_bytes);
}

/* §11.4.5: what the residual says of the bytes that were moved. */
static enum err
take_residual (struct session *s, struct command *k, uint8_t flags,
               uint32_t residual, struct fault *f)
{
  struct session_result *r = &k->result;
  bool under = flags & PDU_RESIDUAL_UNDERFLOW;
  bool over = flags & PDU_RESIDUAL_OVERFLOW;
  uint32_t moved = k->c.length_bytes - (under ? residual : 0);

  if ((under && over) || (under && residual > k->c.length_bytes))
    return fault_set (f, ERR_PEER,
                      "Residual Count %u of a command of %u bytes (bits O and "
                      "U, RFC 7143 §11.4.5)", residual, k->c.length_bytes);
  r->overflow_bytes = over ? residual : 0;
  r->transferred_bytes
      = k->c.direction == SESSION_READ ? k->received_bytes : moved;
  if (r->status != STATUS_GOOD) {
    /* Not even where the sense data say that all went well. */
    if (unsent (s, k))
      r->transferred_bytes = 0;
    return ERR_OK;
  }
  if (k->c.direction == SESSION_READ && k->received_bytes != moved) /* S3 */
    return fault_set (f, ERR_PEER,
                      "a read ends with GOOD after %u bytes, which should be "
                      "%u (Residual Count, RFC 7143 §11.4.5)",
                      k->received_bytes, moved);
  if (moved == k->c.length_bytes && unsent (s, k))
    return fault_set (f, ERR_PEER,
                      "a write ends with GOOD before its data were asked for "
                      "or sent (Residual Count, RFC 7143 §11.4.5)");
  return ERR_OK;
}

/* §11.4.7.2: SenseLength and sense, then response data. */
static enum err
take_sense (const uint8_t *body, uint32_t body_bytes, struct session_result *r,
            struct fault *f)
{
  struct wire w = wire_init (body, body_bytes);
  uint16_t sense_bytes;
  const uint8_t *sense;

  r->sense_bytes = 0;
  if (body_bytes == 0)
    return ERR_OK;
  sense_bytes = wire_u16 (&w);
  sense = wire_bytes (&w, sense_bytes);
  if (!sense)
    return fault_set (f, ERR_PEER,
                      "SenseLength %u in a data segment of %u bytes (RFC 7143 "
                      "§11.4.7.1)", sense_bytes, body_bytes);
  if (sense_bytes > sizeof r->sense)
    sense_bytes = sizeof r->sense;
  memcpy (r->sense, sense, sense_bytes);
  r->sense_bytes = sense_bytes;
  return ERR_OK;
}

static enum err
on_data_in (struct session *s, const struct pdu *p, struct fault *f)
{
  struct command *k = session_find (s, p->itt);
  enum err e;

  assert (k); /* session_place has seen it */
  k->data_sn++;
  k->received_bytes += p->data_bytes;
  k->burst_bytes = p->final ? 0 : k->burst_bytes + p->data_bytes;
  if (!p->data_in.has_status)
    return ERR_OK;
  k->result.status = p->data_in.status;
  e = take_residual (s, k, p->data_in.residual_flags, p->data_in.residual, f);
  if (!e)
    session_end_command (s, (uint16_t)(k - s->command), SESSION_DONE);
  return e;
}

static enum err
on_scsi_response (struct session *s, const struct pdu *p, const uint8_t *body,
                  struct fault *f)
{
  struct command *k = session_find (s, p->itt);
  uint16_t index;
  enum err e;

  if (!k)
    return unknown_task (p, f);
  index = (uint16_t)(k - s->command);
  if (p->scsi_response.response != PDU_COMPLETED_AT_TARGET) {
    session_end_command (s, index, SESSION_TARGET_FAILURE);
    return ERR_OK;
  }
  k->result.status = p->scsi_response.status;
  e = take_sense (body, p->data_bytes, &k->result, f);
  if (e)
    return e;
  /* §11.4.8: 0 if nothing was sent; many say 0 always. */
  if (k->c.direction == SESSION_READ && p->scsi_response.exp_data_sn
      && p->scsi_response.exp_data_sn != k->data_sn)
    return fault_set (f, ERR_PEER,
                      "a read ends with ExpDataSN %u after %u PDUs of data "
                      "(RFC 7143 §11.4.8)",
                      p->scsi_response.exp_data_sn, k->data_sn);
  e = take_residual (s, k, p->scsi_response.residual_flags,
                     p->scsi_response.residual, f);
  if (!e)
    session_end_command (s, index, SESSION_DONE);
  return e;
}

/* ------------------------------------------------------------------- R2T ---
 */

static enum err
check_r2t (const struct session *s, const struct pdu *p,
           const struct command *k, struct fault *f)
{
  uint64_t end = (uint64_t)p->r2t.buffer_offset + p->r2t.desired_bytes;

  if (k->c.direction != SESSION_WRITE)
    return fault_set (f, ERR_PEER,
                      "R2T for a command that writes nothing (RFC 7143 "
                      "§11.8)");
  if (p->r2t.r2t_sn != k->r2t_sn)
    return fault_set (f, ERR_PEER,
                      "R2T with R2TSN %u, expected %u (RFC 7143 §11.8.1)",
                      p->r2t.r2t_sn, k->r2t_sn);
  if (k->r2t_count >= s->setup.keys[KEY_MAX_R2T] || k->r2t_count >= SESSION_R2T)
    return fault_set (f, ERR_PEER,
                      "more than MaxOutstandingR2T %u R2Ts of one command "
                      "(RFC 7143 §13.17)", s->setup.keys[KEY_MAX_R2T]);
  if (p->r2t.desired_bytes == 0
      || p->r2t.desired_bytes > s->setup.keys[KEY_MAX_BURST])
    return fault_set (f, ERR_PEER,
                      "R2T with Desired Data Transfer Length %u, and "
                      "MaxBurstLength is %u (RFC 7143 §11.8.4, §13.13)",
                      p->r2t.desired_bytes, s->setup.keys[KEY_MAX_BURST]);
  if (end > k->c.length_bytes)
    return fault_set (f, ERR_PEER,
                      "R2T with Buffer Offset %u + Desired Data Transfer "
                      "Length %u beyond the write of %u (RFC 7143 §11.8.4)",
                      p->r2t.buffer_offset, p->r2t.desired_bytes,
                      k->c.length_bytes);
  if (p->r2t.buffer_offset != k->asked_end)
    return fault_set (f, ERR_PEER,
                      "R2T with Buffer Offset %u, expected %u "
                      "(DataSequenceInOrder, RFC 7143 §11.8.4, §13.19)",
                      p->r2t.buffer_offset, k->asked_end);
  if (p->ttt == PDU_NO_TAG)
    return fault_set (f, ERR_PEER, "R2T without a Target Transfer Tag (RFC "
                                   "7143 §11.8.5)");
  return ERR_OK;
}

static enum err
on_r2t (struct session *s, const struct pdu *p, struct fault *f)
{
  struct command *k = session_find (s, p->itt);
  uint16_t index;
  enum err e;

  if (!k)
    return unknown_task (p, f);
  e = check_r2t (s, p, k, f);
  if (e)
    return e;
  index = (uint16_t)(k - s->command);
  if (k->r2t_count == 0) {
    k->next_writer = SESSION_NONE;
    k->r2t_first = 0;
    if (s->writers.head == SESSION_NONE)
      s->writers.head = index;
    else
      s->command[s->writers.tail].next_writer = index;
    s->writers.tail = index;
  }
  k->r2t[(k->r2t_first + k->r2t_count++) % SESSION_R2T]
      = (struct r2t){.ttt = p->ttt, .offset = p->r2t.buffer_offset,
                     .end = p->r2t.buffer_offset + p->r2t.desired_bytes};
  k->asked_end += p->r2t.desired_bytes;
  k->r2t_sn++;
  return ERR_OK;
}

/* ---------------------------------------------------------------- others ---
 */

static enum err
on_nop_in (struct session *s, const struct pdu *p, struct fault *f)
{
  if (p->itt != PDU_NO_TAG) {
    if (s->nop.state != CONTROL_SENT || p->itt != s->nop.itt)
      return fault_set (f, ERR_PEER,
                        "NOP-In with Initiator Task Tag %08xh, which answers "
                        "nothing (RFC 7143 §11.19)", p->itt);
    s->nop.state = CONTROL_IDLE;
    return ERR_OK;
  }
  if (p->ttt == PDU_NO_TAG)
    return ERR_OK; /* it only tells the window */
  if (s->pong_count == SESSION_PONGS)
    return fault_set (f, ERR_PEER,
                      "more than %u pings at once (NOP-In, RFC 7143 §11.19)",
                      SESSION_PONGS);
  s->pong[(s->pong_first + s->pong_count++) % SESSION_PONGS]
      = (struct pong){.lun = p->lun, .ttt = p->ttt};
  return ERR_OK;
}

static enum err
on_event (struct session *s, const struct pdu *p, const uint8_t *body,
          struct fault *f)
{
  struct session_result *r = &s->event;

  r->tag = 0;
  r->lun = p->lun;
  r->outcome = SESSION_EVENT;
  r->status = 0;
  r->transferred_bytes = r->overflow_bytes = 0;
  s->event_there = true; /* a later one replaces one that was not reaped */
  return take_sense (body, p->data_bytes, r, f);
}

static enum err
on_drop (struct session *s, const struct pdu *p, struct fault *f)
{
  bool ours = p->async.event == PDU_ASYNC_DROP_ALL
              || p->async.parameter1 == s->setup.cid;

  if (!ours)
    return ERR_OK;
  s->time2wait_s = p->async.parameter2;
  return fault_set (f, ERR_CLOSED,
                    "the target drops the connection and wants %u seconds of "
                    "peace (Asynchronous Message, event %u, RFC 7143 §11.9.1)",
                    p->async.parameter2, p->async.event);
}

static enum err
on_async (struct session *s, const struct pdu *p, const uint8_t *body,
          uint64_t now_ns, struct fault *f)
{
  uint64_t within_ns = p->async.parameter3 * 1000000000ull;

  switch (p->async.event) {
  case PDU_ASYNC_SCSI:
    return on_event (s, p, body, f);
  case PDU_ASYNC_LOGOUT:
    s->told_to_leave = true;
    session_leave (s, now_ns);
    if (within_ns && now_ns + within_ns / 2 < s->leave_ns)
      s->leave_ns = now_ns + within_ns / 2;
    return ERR_OK;
  case PDU_ASYNC_DROP_CONNECTION:
  case PDU_ASYNC_DROP_ALL:
    return on_drop (s, p, f);
  case PDU_ASYNC_NEGOTIATE:
    if (s->text.state != CONTROL_IDLE)
      return ERR_OK; /* something is being negotiated already */
    session_negotiate (s, now_ns);
    return ERR_OK;
  case PDU_ASYNC_TASKS_TERMINATED:
    return fault_set (f, ERR_PEER,
                      "the target has terminated all tasks of a LUN, which "
                      "was not negotiated (Asynchronous Message, event 5, RFC "
                      "7143 §11.9.1, TaskReporting §13.23)");
  default:
    return ERR_OK; /* vendors' own */
  }
}

static const char *
reject_reason (uint8_t reason)
{
  static const char *const words[] = {
      [0x02] = "Data Digest Error",        [0x03] = "SNACK Reject",
      [0x04] = "Protocol Error",           [0x05] = "Command Not Supported",
      [0x06] = "Too Many Immediate Commands", [0x07] = "Task in Progress",
      [0x08] = "Invalid Data ACK",         [0x09] = "Invalid PDU Field",
      [0x0a] = "Out of Resources",         [0x0b] = "Negotiation Reset",
      [0x0c] = "Waiting for Logout",
  };

  return reason < sizeof words / sizeof words[0] && words[reason]
             ? words[reason]
             : "unknown";
}

/* Of a BHS. */
static uint32_t
rejected_itt (const uint8_t *bhs)
{
  struct wire w = wire_init (bhs + 16, 4);

  return wire_u32 (&w);
}

/* A ping that it has no room for is no reason to part, and what cannot be
 * aborted can be reset.
 */
static enum err
on_reject (struct session *s, const struct pdu *p, const uint8_t *body,
           struct fault *f)
{
  uint8_t opcode = p->data_bytes >= PDU_BHS_BYTES ? body[0] & 0x3f : 0xff;
  const char *name = pdu_opcode_name (opcode);

  if (opcode == PDU_NOP_OUT && p->reject.reason == 0x06) {
    s->nop.state = CONTROL_IDLE;
    return ERR_OK;
  }
  if (opcode == PDU_TASK_REQUEST
      && session_task_rejected (s, rejected_itt (body)))
    return ERR_OK;
  return fault_set (f, ERR_PEER,
                    "the target rejects a %s: %s, reason %02xh (RFC 7143 "
                    "§11.17.1)",
                    name ? name : "PDU", reject_reason (p->reject.reason),
                    p->reject.reason);
}

/* proto.h, leave: the end of the session is its last error. */
static enum err
on_logout_response (struct session *s, const struct pdu *p, struct fault *f)
{
  if (s->logout.state != CONTROL_SENT || p->itt != s->logout.itt)
    return fault_set (f, ERR_PEER,
                      "Logout Response that answers nothing (RFC 7143 "
                      "§11.15)");
  s->time2wait_s = p->logout_response.time2wait_s;
  if (!s->told_to_leave)
    return fault_set (f, ERR_CLOSED, "the session has ended");
  return fault_set (f, ERR_CLOSED,
                    "the target has asked us to log out, and we have "
                    "(Asynchronous Message, event 1, RFC 7143 §11.9.1)");
}

static enum err
dispatch (struct session *s, const struct pdu *p, const uint8_t *body,
          uint64_t now_ns, struct fault *f)
{
  switch (p->opcode) {
  case PDU_DATA_IN:
    return on_data_in (s, p, f);
  case PDU_SCSI_RESPONSE:
    return on_scsi_response (s, p, body, f);
  case PDU_R2T:
    return on_r2t (s, p, f);
  case PDU_NOP_IN:
    return on_nop_in (s, p, f);
  case PDU_TASK_RESPONSE:
    return session_task_response (s, p, f);
  case PDU_TEXT_RESPONSE:
    return session_text_response (s, p, body, f);
  case PDU_ASYNC:
    return on_async (s, p, body, now_ns, f);
  case PDU_REJECT:
    return on_reject (s, p, body, f);
  case PDU_LOGOUT_RESPONSE:
    return on_logout_response (s, p, f);
  default:
    return fault_set (f, ERR_PEER,
                      "%s in the full feature phase (field Opcode, RFC 7143 "
                      "§4.2)", pdu_opcode_name ((uint8_t)p->opcode));
  }
}

enum err
session_pdu (struct session *s, const struct pdu *p, const uint8_t *body,
             uint64_t now_ns, struct fault *f)
{
  enum err e = take_stat_sn (s, p, f);

  s->heard_ns = s->now_ns = now_ns;
  if (e || (e = take_window (s, p, f))
      || (e = dispatch (s, p, body, now_ns, f)))
    return e;
  session_try_leave (s, now_ns);
  return ERR_OK;
}
