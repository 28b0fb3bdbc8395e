/* SPDX-License-Identifier: BSD-2-Clause */
/* What session*.c share.
 *
 *   command:  FREE → QUEUED → SENT → ENDED → DONE → FREE
 *
 *   QUEUED  waits for the command window, in the order of submission
 *   SENT    the target has it, or will
 *   ENDED   the target has answered, and data of it are still in the sendbox
 *   DONE    waits for session_reap
 *
 * Invariants
 *   S1  A command is in the queue that its state names; SENT is in none.
 *   S2  ITT = generation and index of a slot, and the generation changes with
 *       each use: an answer fits one command only.
 *   S3  received_bytes counts bytes of whole PDUs whose digest was right. A
 *       READ ends with GOOD only if they and the residual make up its length.
 *   S4  Nobody gets a command's data back (DONE) before the sendbox is behind
 *       tx_end, or while the target may still send to it.
 *   S5  A non-immediate command is sent only if CmdSN <= MaxCmdSN.
 *   S6  Unsolicited data go out in the order of their commands: while one has
 *       some left, no other command is sent.
 */
#ifndef BH_PROTOCOLS_ISCSI_SESSION_PRIVATE_H
#define BH_PROTOCOLS_ISCSI_SESSION_PRIVATE_H

#include "protocols/iscsi/session.h"

/* More than we let the target have (MaxOutstandingR2T). */
#define SESSION_R2T 8u
#define SESSION_NONE UINT16_MAX

enum command_state {
  COMMAND_FREE,
  COMMAND_QUEUED,
  COMMAND_SENT,
  COMMAND_ENDED,
  COMMAND_DONE,
};

struct r2t {
  uint32_t ttt, offset, end, data_sn;
};

struct command {
  struct session_command c;
  enum command_state state;
  uint32_t itt, cmd_sn, generation;
  uint16_t next;        /* in its queue */
  uint16_t next_writer; /* in writers */
  uint64_t deadline_ns, tx_end;
  bool overdue; /* an abort was asked for */

  /* READ */
  uint32_t received_bytes, burst_bytes, data_sn;
  /* WRITE: [0, unsolicited_end) goes without being asked, the rest by R2T;
   * sent_bytes of the former, asked_end of both.
   */
  uint32_t unsolicited_end, unsolicited_sn, sent_bytes, asked_end, r2t_sn;
  unsigned r2t_first, r2t_count;
  struct r2t r2t[SESSION_R2T];

  struct session_result result;
};

struct queue {
  uint16_t head, tail;
};

enum control_state { CONTROL_IDLE, CONTROL_WANTED, CONTROL_SENT };

/* A request of the session itself, one of each kind at a time. */
struct control {
  enum control_state state;
  uint32_t itt;
  uint64_t deadline_ns;
};

/* Control requests have ITTs too: an index behind those of commands. */
enum control_kind {
  CONTROL_NOP = SESSION_COMMANDS,
  CONTROL_TASK,
  CONTROL_TEXT,
  CONTROL_LOGOUT,
};
#define ITT_INDEX_BITS 9u
#define ITT_GENERATION_MASK 0x3fffffu /* never all ones with the index */

#define SESSION_LATE_TASKS 8u

/* Answers to a target's pings (TTT) that wait for room in the sendbox. */
#define SESSION_PONGS 8u
struct pong {
  uint64_t lun;
  uint32_t ttt;
};

struct session {
  struct session_setup setup;
  struct sendbox *send;
  uint32_t target_max_bytes; /* its MaxRecvDataSegmentLength */
  uint32_t cmd_sn, exp_stat_sn, exp_cmd_sn, max_cmd_sn;
  uint32_t generation;
  uint64_t check_ns; /* no command's deadline is before that */
  uint64_t heard_ns; /* of the last PDU */
  uint64_t now_ns;   /* when we were called last */

  struct queue free, queued, ended, done;
  struct queue writers; /* commands with R2Ts, by next_writer */
  uint16_t unsolicited; /* S6: the command that has unsolicited data left */
  unsigned free_count, sent_count;
  bool data_turn; /* solicited data and commands take turns */

  struct control nop, task, text, logout;
  enum pdu_task_function task_function;
  uint16_t task_command; /* the overdue one */
  uint64_t task_since_ns; /* when that was sent */
  uint64_t task_lun;
  uint64_t task_tx_end; /* it is on the wire when that was sent */
  bool task_on_wire;
  uint64_t task_until_ns; /* no longer, whatever comes */
  uint32_t task_cmd_sn; /* of the request: it is about commands before that */
  /* ABORT TASKs that were given up may be answered yet; the latest of them. */
  uint32_t late_task_itt[SESSION_LATE_TASKS];
  unsigned late_tasks;
  bool event_there;
  struct session_result event;

  struct pong pong[SESSION_PONGS];
  unsigned pong_first, pong_count;

  bool leaving, told_to_leave;
  uint64_t leave_ns;
  unsigned time2wait_s;

  char text_request[128];
  size_t text_request_bytes;
  uint32_t text_ttt;
  uint64_t text_lun;
  bool text_more, text_done, text_negotiation;
  uint32_t text_max_bytes; /* declared in this negotiation; 0: not */
  uint8_t *text_base;
  size_t text_bytes, text_size;

  struct command command[SESSION_COMMANDS];
};

/* session.c */
void session_push (struct session *s, struct queue *q, uint16_t index);
/* SENT → ENDED or DONE; outcome and status are in result already. */
void session_end_command (struct session *s, uint16_t index,
                          enum session_outcome outcome);
uint32_t session_new_itt (struct session *s, unsigned index);
/* The command SENT with this ITT, or NULL. */
struct command *session_find (struct session *s, uint32_t itt);

/* session_task.c */
/* From when a command is sent. */
uint64_t session_abort_after_ns (const struct session *s);
enum err session_task_response (struct session *s, const struct pdu *p,
                                struct fault *f);
/* The request with this ITT was rejected (§11.17). True: there is another way;
 * false: none, or it was none of ours.
 */
bool session_task_rejected (struct session *s, uint32_t itt);
void session_drop_sent (struct session *s, uint64_t lun, uint16_t overdue);
/* Its time counts from when it is on the wire. */
void session_task_sent (struct session *s);
/* If we want to, and nothing is under way: queues the logout. */
void session_try_leave (struct session *s, uint64_t now_ns);

/* session_text.c */
enum err session_text_response (struct session *s, const struct pdu *p,
                                const uint8_t *body, struct fault *f);
void session_send_text (struct session *s);
void session_negotiate (struct session *s, uint64_t now_ns);

#endif
