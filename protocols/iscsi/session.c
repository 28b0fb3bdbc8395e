/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/session_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert (CONTROL_LOGOUT < 1u << ITT_INDEX_BITS, "an ITT has its index");

/* ---------------------------------------------------------------- queues ---
 */

static void
queue_init (struct queue *q)
{
  q->head = q->tail = SESSION_NONE;
}

void
session_push (struct session *s, struct queue *q, uint16_t index)
{
  s->command[index].next = SESSION_NONE;
  if (q->head == SESSION_NONE)
    q->head = index;
  else
    s->command[q->tail].next = index;
  q->tail = index;
}

static uint16_t
pop (struct session *s, struct queue *q)
{
  uint16_t index = q->head;

  if (index != SESSION_NONE)
    q->head = s->command[index].next;
  return index;
}

/* --------------------------------------------------------------- opening ---
 */

enum err
session_open (const struct session_setup *setup, uint64_t now_ns,
              struct session **ret)
{
  struct session *s = calloc (1, sizeof *s);

  if (!s)
    return ERR_NOMEM;
  s->setup = *setup;
  if (!s->setup.request_ns)
    s->setup.request_ns = SESSION_REQUEST_NS;
  s->send = setup->send;
  s->target_max_bytes = setup->keys[KEY_MAX_RECV_DATA];
  s->cmd_sn = setup->cmd_sn;
  s->exp_stat_sn = setup->exp_stat_sn;
  s->exp_cmd_sn = setup->exp_cmd_sn;
  s->max_cmd_sn = setup->max_cmd_sn;
  s->check_ns = UINT64_MAX;
  s->heard_ns = s->now_ns = now_ns;
  queue_init (&s->free);
  queue_init (&s->queued);
  queue_init (&s->ended);
  queue_init (&s->done);
  queue_init (&s->writers);
  s->unsolicited = s->task_command = SESSION_NONE;
  for (uint16_t i = 0; i < SESSION_COMMANDS; i++)
    session_push (s, &s->free, i);
  s->free_count = SESSION_COMMANDS;
  *ret = s;
  return ERR_OK;
}

void
session_close (struct session *s)
{
  if (!s)
    return;
  free (s->text_base);
  free (s);
}

/* -------------------------------------------------------------- commands ---
 */

uint32_t
session_new_itt (struct session *s, unsigned index)
{
  s->generation = (s->generation + 1) & ITT_GENERATION_MASK;
  return s->generation << ITT_INDEX_BITS | index;
}

struct command *
session_find (struct session *s, uint32_t itt)
{
  uint32_t index = itt & ((1u << ITT_INDEX_BITS) - 1);

  if (index >= SESSION_COMMANDS || s->command[index].state != COMMAND_SENT
      || s->command[index].itt != itt)
    return NULL;
  return &s->command[index];
}

unsigned
session_room (const struct session *s)
{
  return s->free_count;
}

enum err
session_submit (struct session *s, const struct session_command *c,
                uint64_t now_ns)
{
  uint16_t index;
  struct command *k;

  assert ((c->direction == SESSION_NO_DATA) == (c->length_bytes == 0));
  s->now_ns = now_ns;
  index = pop (s, &s->free);
  if (index == SESSION_NONE)
    return ERR_AGAIN;
  s->free_count--;
  k = &s->command[index];
  memset (k, 0, offsetof (struct command, r2t));
  k->c = *c;
  k->state = COMMAND_QUEUED;
  k->itt = session_new_itt (s, index);
  k->deadline_ns = now_ns + session_abort_after_ns (s);
  if (k->deadline_ns < s->check_ns)
    s->check_ns = k->deadline_ns;
  k->result.tag = c->tag;
  k->result.lun = c->lun;
  k->result.status = 0;
  k->result.transferred_bytes = 0;
  k->result.overflow_bytes = 0;
  k->result.sense_bytes = 0;
  session_push (s, &s->queued, index);
  return ERR_OK;
}

/* Takes a command out of the writers; they are few. */
static void
forget_writer (struct session *s, uint16_t index)
{
  uint16_t *link = &s->writers.head, last = SESSION_NONE;

  while (*link != SESSION_NONE) {
    if (*link == index)
      *link = s->command[index].next_writer;
    else {
      last = *link;
      link = &s->command[*link].next_writer;
    }
  }
  s->writers.tail = last;
}

void
session_end_command (struct session *s, uint16_t index,
                     enum session_outcome outcome)
{
  struct command *k = &s->command[index];

  assert (k->state == COMMAND_SENT);
  k->result.outcome = outcome;
  if (k->r2t_count)
    forget_writer (s, index);
  k->r2t_count = 0;
  if (s->unsolicited == index)
    s->unsolicited = SESSION_NONE;
  if (s->task_command == index && k->overdue) {
    s->task_command = SESSION_NONE;
    if (s->task.state == CONTROL_WANTED) { /* nothing to be aborted any more */
      s->task.state = CONTROL_IDLE;
      s->check_ns = 0;
    }
  }
  s->sent_count--;
  if (k->tx_end > s->send->out.sent_bytes) { /* S4 */
    k->state = COMMAND_ENDED;
    session_push (s, &s->ended, index);
  } else {
    k->state = COMMAND_DONE;
    session_push (s, &s->done, index);
  }
}

void
session_sent (struct session *s)
{
  session_task_sent (s);
  while (s->ended.head != SESSION_NONE
         && s->command[s->ended.head].tx_end <= s->send->out.sent_bytes) {
    uint16_t index = pop (s, &s->ended);

    s->command[index].state = COMMAND_DONE;
    session_push (s, &s->done, index);
  }
}

bool
session_reap (struct session *s, struct session_result *ret)
{
  const struct session_result *r = &s->event;
  uint16_t index;

  if (s->event_there) {
    s->event_there = false;
  } else {
    index = pop (s, &s->done);
    if (index == SESSION_NONE)
      return false;
    r = &s->command[index].result;
    s->command[index].state = COMMAND_FREE;
    session_push (s, &s->free, index);
    s->free_count++;
  }
  /* All but the sense data that are not there. */
  memcpy (ret, r, offsetof (struct session_result, sense) + r->sense_bytes);
  return true;
}

unsigned
session_time2wait_s (const struct session *s)
{
  return s->time2wait_s;
}
