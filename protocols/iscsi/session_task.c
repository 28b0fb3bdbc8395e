/* SPDX-License-Identifier: BSD-2-Clause */
/* Time: commands that take too long are aborted (ABORT TASK, then LUN RESET,
 * RFC 7143 §11.5), a silent target is asked whether it is there (NOP-Out,
 * §11.18), and a goodbye is said (§11.14).
 */
#include "config.h"
#include "protocols/iscsi/session_private.h"

#include <assert.h>
#include <string.h>

#define NS_PER_S 1000000000ull
/* For the answer to a task management request at most. */
#define TASK_TIMEOUT_NS (4 * NS_PER_S)
#define LOGOUT_TIMEOUT_NS (5 * NS_PER_S)
/* Silence after which the target is pinged: with work under way, and idle. */
#define BUSY_SILENCE_NS (5 * NS_PER_S)
#define IDLE_SILENCE_NS (30 * NS_PER_S)
#define NOP_TIMEOUT_NS (10 * NS_PER_S)

static uint64_t
least (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

/* --------------------------------------------------------------- aborting ---
 */

/* At timeout= the gateway takes the session for dead; what is done here for a
 * command must be done by then.
 */
uint64_t
session_abort_after_ns (const struct session *s)
{
  return s->setup.request_ns / 3 * 2;
}

static uint64_t
task_timeout_ns (const struct session *s)
{
  return least (TASK_TIMEOUT_NS, s->setup.request_ns / 10);
}

/* The answer may stand behind much data, and the request too: no longer than
 * that, whatever comes.
 */
static uint64_t
task_until_ns (const struct session *s, enum pdu_task_function function,
               uint64_t now_ns)
{
  uint64_t part_ns = s->setup.request_ns / 30;
  uint64_t until_ns
      = s->task_since_ns + part_ns * (function == PDU_ABORT_TASK ? 25 : 29);
  uint64_t least_ns = now_ns + task_timeout_ns (s);

  return until_ns > least_ns ? until_ns : least_ns;
}

static void
start_task (struct session *s, enum pdu_task_function function,
            uint64_t now_ns)
{
  s->task_function = function;
  s->task.state = CONTROL_WANTED;
  s->task.deadline_ns = now_ns + task_timeout_ns (s);
  s->task_on_wire = false;
  s->task_until_ns = task_until_ns (s, function, now_ns);
}

void
session_task_sent (struct session *s)
{
  if (s->task.state != CONTROL_SENT || s->task_on_wire
      || s->task_tx_end > s->send->out.sent_bytes)
    return;
  s->task_on_wire = true;
  if (s->task.deadline_ns < s->now_ns + task_timeout_ns (s))
    s->task.deadline_ns
        = least (s->now_ns + task_timeout_ns (s), s->task_until_ns);
}

/* Every command of this LUN that the target has; one of them is why. */
void
session_drop_sent (struct session *s, uint64_t lun, uint16_t overdue)
{
  for (uint16_t i = 0; i < SESSION_COMMANDS; i++) {
    struct command *k = &s->command[i];

    if (k->state == COMMAND_SENT && k->c.lun == lun
        && !serial_before (s->task_cmd_sn, k->cmd_sn + 1))
      session_end_command (s, i, i == overdue ? SESSION_ABORTED
                                              : SESSION_TARGET_FAILURE);
  }
}

/* What the LUN had not yet written may be lost, and not every target tells that
 * to the one who has reset it: UNIT ATTENTION, "bus device reset function
 * occurred" (SPC-4 §5.14, ASC/ASCQ 29h/03h), as an event.
 */
static void
tell_of_reset (struct session *s)
{
  static const uint8_t sense[18]
      = {0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x03};
  struct session_result *r = &s->event;

  r->tag = 0;
  r->lun = s->task_lun;
  r->outcome = SESSION_EVENT;
  r->status = 0;
  r->transferred_bytes = r->overflow_bytes = 0;
  memcpy (r->sense, sense, sizeof sense);
  r->sense_bytes = sizeof sense;
  s->event_there = true;
}

static void
note_late (struct session *s, uint32_t itt)
{
  if (s->late_tasks == SESSION_LATE_TASKS) {
    s->late_tasks--;
    memmove (s->late_task_itt, s->late_task_itt + 1,
             s->late_tasks * sizeof s->late_task_itt[0]);
  }
  s->late_task_itt[s->late_tasks++] = itt;
}

/* True if it was one of them: the LUN RESET settles what it was about. */
static bool
forget_late (struct session *s, uint32_t itt)
{
  for (unsigned i = 0; i < s->late_tasks; i++)
    if (s->late_task_itt[i] == itt) {
      s->late_tasks--;
      memmove (s->late_task_itt + i, s->late_task_itt + i + 1,
               (s->late_tasks - i) * sizeof s->late_task_itt[0]);
      return true;
    }
  return false;
}

/* The overdue command may be under way at the target, and cannot be aborted. */
static void
abort_failed (struct session *s)
{
  s->task.state = CONTROL_IDLE;
  s->check_ns = 0; /* there may be more that are overdue */
  if (s->task_command != SESSION_NONE) /* it has not been answered meanwhile */
    start_task (s, PDU_LUN_RESET, s->heard_ns);
}

bool
session_task_rejected (struct session *s, uint32_t itt)
{
  if (forget_late (s, itt))
    return true;
  if (s->task.state != CONTROL_SENT || itt != s->task.itt
      || s->task_function != PDU_ABORT_TASK)
    return false;
  abort_failed (s);
  return true;
}

enum err
session_task_response (struct session *s, const struct pdu *p, struct fault *f)
{
  enum { COMPLETE = 0, NO_SUCH_TASK = 1 }; /* §11.6.1 */
  uint8_t response = p->task_response.response;

  if (forget_late (s, p->itt))
    return ERR_OK;
  if (s->task.state != CONTROL_SENT || p->itt != s->task.itt)
    return fault_set (f, ERR_PEER,
                      "Task Management Function Response that answers nothing "
                      "(RFC 7143 §11.6)");
  if (s->task_function == PDU_ABORT_TASK && response != COMPLETE
      && response != NO_SUCH_TASK) {
    abort_failed (s);
    return ERR_OK;
  }
  s->task.state = CONTROL_IDLE;
  s->check_ns = 0; /* there may be more that are overdue */
  if (s->task_function == PDU_ABORT_TASK) {
    /* Whatever the target had said of the task before has been heard, as it
     * goes over this connection in order.
     */
    if (s->task_command != SESSION_NONE) /* not answered meanwhile */
      session_end_command (s, s->task_command, SESSION_ABORTED);
    return ERR_OK;
  }
  if (response != COMPLETE)
    return fault_set (f, ERR_TIMEOUT,
                      "a command takes too long, and the target neither "
                      "aborts it nor resets the LUN (response %u, RFC 7143 "
                      "§11.6.1)", response);
  tell_of_reset (s);
  session_drop_sent (s, s->task_lun, s->task_command);
  return ERR_OK;
}

/* Takes a command out of the queued ones: the target never had it. */
static void
give_up_queued (struct session *s)
{
  uint16_t index = s->queued.head;

  s->queued = (struct queue){SESSION_NONE, SESSION_NONE};
  while (index != SESSION_NONE) {
    struct command *k = &s->command[index];
    uint16_t next = k->next;

    if (k->overdue) {
      k->result.outcome = SESSION_ABORTED;
      k->state = COMMAND_DONE;
      session_push (s, &s->done, index);
    } else {
      session_push (s, &s->queued, index);
    }
    index = next;
  }
}

static void
check_commands (struct session *s, uint64_t now_ns)
{
  bool queued = false;

  s->check_ns = PROTO_NO_DEADLINE;
  for (uint16_t i = 0; i < SESSION_COMMANDS; i++) {
    struct command *k = &s->command[i];

    if ((k->state != COMMAND_QUEUED && k->state != COMMAND_SENT) || k->overdue)
      continue;
    if (k->deadline_ns > now_ns) {
      if (k->deadline_ns < s->check_ns)
        s->check_ns = k->deadline_ns;
    } else if (k->state == COMMAND_QUEUED) {
      k->overdue = queued = true;
    } else if (s->task.state == CONTROL_IDLE) {
      k->overdue = true;
      s->task_command = i;
      s->task_lun = k->c.lun;
      s->task_since_ns = k->deadline_ns - session_abort_after_ns (s);
      start_task (s, PDU_ABORT_TASK, now_ns);
    } /* else: when that task is settled, check_ns is 0 */
  }
  if (queued)
    give_up_queued (s);
}

/* It is not on the wire yet, or bytes keep coming. */
static bool
task_has_time (struct session *s, uint64_t now_ns)
{
  uint64_t more_ns = s->task_on_wire ? s->heard_ns : now_ns;

  if (now_ns >= s->task_until_ns || now_ns >= more_ns + task_timeout_ns (s))
    return false;
  s->task.deadline_ns
      = least (more_ns + task_timeout_ns (s), s->task_until_ns);
  return true;
}

static enum err
check_task (struct session *s, uint64_t now_ns, struct fault *f)
{
  if (s->task.state == CONTROL_IDLE || now_ns < s->task.deadline_ns
      || task_has_time (s, now_ns))
    return ERR_OK;
  if (s->task_function == PDU_ABORT_TASK && s->task_command != SESSION_NONE) {
    if (s->task.state == CONTROL_SENT)
      note_late (s, s->task.itt);
    start_task (s, PDU_LUN_RESET, now_ns);
    return ERR_OK;
  }
  return fault_set (f, ERR_TIMEOUT,
                    "the target does not answer a Task Management Function "
                    "Request in time (RFC 7143 §11.5)");
}

/* ------------------------------------------------------------- keep-alive ---
 */

static uint64_t
silence_ns (const struct session *s)
{
  return s->sent_count ? BUSY_SILENCE_NS : IDLE_SILENCE_NS;
}

static enum err
check_silence (struct session *s, uint64_t now_ns, struct fault *f)
{
  if (s->nop.state != CONTROL_IDLE) {
    /* Bytes count: an answer may stand behind much data. */
    if (now_ns < s->nop.deadline_ns)
      return ERR_OK;
    if (s->heard_ns + NOP_TIMEOUT_NS > now_ns) {
      s->nop.deadline_ns = s->heard_ns + NOP_TIMEOUT_NS;
      return ERR_OK;
    }
    return fault_set (f, ERR_TIMEOUT,
                      "the target says nothing, not even to a NOP-Out, for "
                      "%llu seconds", (now_ns - s->heard_ns) / NS_PER_S);
  }
  if (now_ns >= s->heard_ns + silence_ns (s)) {
    s->nop.state = CONTROL_WANTED;
    s->nop.deadline_ns = now_ns + NOP_TIMEOUT_NS;
  }
  return ERR_OK;
}

void
session_heard (struct session *s, uint64_t now_ns)
{
  s->heard_ns = s->now_ns = now_ns;
}

/* --------------------------------------------------------------- goodbye ---
 */

void
session_leave (struct session *s, uint64_t now_ns)
{
  if (s->leaving)
    return;
  s->leaving = true;
  s->leave_ns = now_ns + SESSION_LEAVE_NS;
  session_try_leave (s, now_ns);
}

void
session_try_leave (struct session *s, uint64_t now_ns)
{
  if (!s->leaving || s->logout.state != CONTROL_IDLE)
    return;
  if (s->sent_count > 0 && now_ns < s->leave_ns)
    return;
  s->logout.state = CONTROL_WANTED;
  s->logout.deadline_ns = now_ns + LOGOUT_TIMEOUT_NS;
}

static enum err
check_leave (struct session *s, uint64_t now_ns, struct fault *f)
{
  session_try_leave (s, now_ns);
  if (s->logout.state == CONTROL_IDLE || now_ns < s->logout.deadline_ns)
    return ERR_OK;
  return fault_set (f, ERR_TIMEOUT,
                    "the target does not answer a Logout Request within %llu "
                    "seconds", LOGOUT_TIMEOUT_NS / NS_PER_S);
}

/* ------------------------------------------------------------------- time ---
 */

static void
earlier (uint64_t *at_ns, uint64_t other_ns)
{
  if (other_ns < *at_ns)
    *at_ns = other_ns;
}

uint64_t
session_deadline_ns (const struct session *s)
{
  uint64_t at_ns = s->check_ns;

  /* Something to be reaped: at once. */
  if (s->done.head != SESSION_NONE || s->event_there)
    return 0;
  if (s->task.state != CONTROL_IDLE)
    earlier (&at_ns, s->task.deadline_ns);
  if (s->text.state != CONTROL_IDLE)
    earlier (&at_ns, s->text.deadline_ns);
  if (s->leaving)
    earlier (&at_ns, s->logout.state == CONTROL_IDLE ? s->leave_ns
                                                     : s->logout.deadline_ns);
  earlier (&at_ns, s->nop.state == CONTROL_IDLE ? s->heard_ns + silence_ns (s)
                                                : s->nop.deadline_ns);
  return at_ns;
}

enum err
session_tick (struct session *s, uint64_t now_ns, struct fault *f)
{
  enum err e;

  s->now_ns = now_ns;
  if (now_ns >= s->check_ns)
    check_commands (s, now_ns);
  if (s->text.state != CONTROL_IDLE && now_ns >= s->text.deadline_ns)
    return fault_set (f, ERR_TIMEOUT,
                      "the target's answer to a Text Request is not complete "
                      "after 15 seconds");
  if ((e = check_task (s, now_ns, f)) || (e = check_leave (s, now_ns, f)))
    return e;
  return check_silence (s, now_ns, f);
}
