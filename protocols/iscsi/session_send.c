/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session sends, and in which order: its own requests first, then
 * commands and solicited data in turn.
 */
#include "config.h"
#include "protocols/iscsi/session_private.h"

#include <assert.h>

static uint32_t
least (uint32_t a, uint32_t b)
{
  return a < b ? a : b;
}

/* ------------------------------------------------------- control requests ---
 */

static void
send_nop (struct session *s, uint64_t lun, uint32_t itt, uint32_t ttt)
{
  uint8_t bhs[PDU_BHS_BYTES];
  struct pdu_nop_out n = {.lun = lun, .itt = itt, .ttt = ttt,
                          .cmd_sn = s->cmd_sn, .exp_stat_sn = s->exp_stat_sn};

  pdu_encode_nop_out (bhs, &n);
  sendbox_pdu (s->send, bhs, NULL, 0);
}

static void
send_pong (struct session *s)
{
  const struct pong *p = &s->pong[s->pong_first];

  send_nop (s, p->lun, PDU_NO_TAG, p->ttt);
  s->pong_first = (s->pong_first + 1) % SESSION_PONGS;
  s->pong_count--;
}

static void
send_ping (struct session *s)
{
  s->nop.itt = session_new_itt (s, CONTROL_NOP);
  s->nop.state = CONTROL_SENT;
  send_nop (s, 0, s->nop.itt, PDU_NO_TAG);
}

static void
send_task (struct session *s)
{
  uint8_t bhs[PDU_BHS_BYTES];
  struct pdu_task_request t = {
      .function = s->task_function,
      .lun = s->task_lun,
      .referenced_itt = PDU_NO_TAG,
      .cmd_sn = s->cmd_sn,
      .exp_stat_sn = s->exp_stat_sn,
  };

  if (t.function == PDU_ABORT_TASK) {
    t.referenced_itt = s->command[s->task_command].itt;
    t.ref_cmd_sn = s->command[s->task_command].cmd_sn;
  }
  s->task_cmd_sn = s->cmd_sn;
  t.itt = s->task.itt = session_new_itt (s, CONTROL_TASK);
  s->task.state = CONTROL_SENT;
  pdu_encode_task_request (bhs, &t);
  sendbox_pdu (s->send, bhs, NULL, 0);
  s->task_tx_end = s->send->out.queued_bytes;
}

static void
send_logout (struct session *s)
{
  uint8_t bhs[PDU_BHS_BYTES];
  struct pdu_logout_request l = {.reason = PDU_CLOSE_SESSION,
                                 .cid = s->setup.cid, .cmd_sn = s->cmd_sn,
                                 .exp_stat_sn = s->exp_stat_sn};

  l.itt = s->logout.itt = session_new_itt (s, CONTROL_LOGOUT);
  s->logout.state = CONTROL_SENT;
  pdu_encode_logout_request (bhs, &l);
  sendbox_pdu (s->send, bhs, NULL, 0);
}

/* True if something was said. */
static bool
fill_control (struct session *s)
{
  if (s->pong_count)
    send_pong (s);
  else if (s->task.state == CONTROL_WANTED)
    send_task (s);
  else if (s->nop.state == CONTROL_WANTED)
    send_ping (s);
  else if (s->text.state == CONTROL_WANTED)
    session_send_text (s);
  else if (s->logout.state == CONTROL_WANTED)
    send_logout (s);
  else
    return false;
  return true;
}

/* ------------------------------------------------------------------ data ---
 */

/* A Data-Out of at most what the target takes; *sn, *from advance. */
static void
send_data (struct session *s, struct command *k, uint32_t ttt, uint32_t *sn,
           uint32_t *from, uint32_t end)
{
  uint8_t bhs[PDU_BHS_BYTES];
  struct pdu_data_out d = {
      .lun = ttt == PDU_NO_TAG ? 0 : k->c.lun,
      .itt = k->itt,
      .ttt = ttt,
      .exp_stat_sn = s->exp_stat_sn,
      .data_sn = (*sn)++,
      .buffer_offset = *from,
      .data_bytes = least (end - *from, s->target_max_bytes),
  };

  d.final = *from + d.data_bytes == end;
  pdu_encode_data_out (bhs, &d);
  sendbox_pdu (s->send, bhs, k->c.data + *from, d.data_bytes);
  *from += d.data_bytes;
  k->tx_end = s->send->out.queued_bytes;
}

static void
send_unsolicited (struct session *s)
{
  struct command *k = &s->command[s->unsolicited];

  send_data (s, k, PDU_NO_TAG, &k->unsolicited_sn, &k->sent_bytes,
             k->unsolicited_end);
  if (k->sent_bytes == k->unsolicited_end)
    s->unsolicited = SESSION_NONE;
}

/* The next piece of what the oldest R2T asks for. */
static void
send_solicited (struct session *s)
{
  struct command *k = &s->command[s->writers.head];
  struct r2t *r = &k->r2t[k->r2t_first];

  send_data (s, k, r->ttt, &r->data_sn, &r->offset, r->end);
  if (r->offset < r->end)
    return;
  k->r2t_first = (k->r2t_first + 1) % SESSION_R2T;
  if (--k->r2t_count == 0) {
    s->writers.head = k->next_writer;
    if (s->writers.head == SESSION_NONE)
      s->writers.tail = SESSION_NONE;
  }
}

/* -------------------------------------------------------------- commands ---
 */

/* §4.2.5.2, §13.10, §13.11, §13.14 */
static uint32_t
plan_write (const struct session *s, struct command *k)
{
  const uint32_t *keys = s->setup.keys;
  uint32_t most = least (k->c.length_bytes,
                         least (keys[KEY_FIRST_BURST], keys[KEY_MAX_BURST]));
  uint32_t immediate = 0;

  if (keys[KEY_IMMEDIATE_DATA])
    immediate = least (most, s->target_max_bytes);
  k->unsolicited_end = keys[KEY_INITIAL_R2T] ? immediate : most;
  k->asked_end = k->unsolicited_end;
  k->sent_bytes = immediate;
  return immediate;
}

static void
send_command (struct session *s)
{
  uint16_t index = s->queued.head;
  struct command *k = &s->command[index];
  uint8_t bhs[PDU_BHS_BYTES];
  struct pdu_scsi_command c = {
      .read = k->c.direction == SESSION_READ,
      .write = k->c.direction == SESSION_WRITE,
      .lun = k->c.lun,
      .itt = k->itt,
      .expected_bytes = k->c.length_bytes,
      .cmd_sn = s->cmd_sn,
      .exp_stat_sn = s->exp_stat_sn,
      .cdb = k->c.cdb,
  };

  s->queued.head = k->next;
  if (c.write)
    c.data_bytes = plan_write (s, k);
  c.final = k->sent_bytes == k->unsolicited_end;
  if (!c.final)
    s->unsolicited = index; /* S6 */
  k->cmd_sn = s->cmd_sn++;
  k->deadline_ns = s->now_ns + session_abort_after_ns (s); /* so far: queued */
  k->state = COMMAND_SENT;
  s->sent_count++;
  pdu_encode_scsi_command (bhs, &c);
  sendbox_pdu (s->send, bhs, k->c.data, c.data_bytes);
  k->tx_end = s->send->out.queued_bytes;
}

/* S5, S6 */
static bool
may_send_command (const struct session *s)
{
  return s->queued.head != SESSION_NONE && !s->leaving
         && !serial_before (s->max_cmd_sn, s->cmd_sn);
}

void
session_fill (struct session *s)
{
  while (sendbox_fits (s->send, sizeof s->text_request)) {
    bool data = s->writers.head != SESSION_NONE;

    if (s->logout.state == CONTROL_SENT)
      return; /* nothing may come behind it (§11.14) */
    if (fill_control (s))
      continue;
    if (data && s->data_turn) {
      send_solicited (s);
      s->data_turn = false;
      continue;
    }
    s->data_turn = true;
    if (s->unsolicited != SESSION_NONE)
      send_unsolicited (s);
    else if (may_send_command (s))
      send_command (s);
    else if (!data)
      return;
  }
}
