/* SPDX-License-Identifier: BSD-2-Clause */
/* The slots of a session (RFC 8881 §2.10.6), and what of them outlives the
 * connection: who comes after us finds in the identity page which request was
 * on which slot with which sequence id when the connection went. A request
 * that the gateway sends again goes out on the same slot with the same sequence
 * id, so that the server executes it once, whether it had arrived or not. (Not
 * if it only reads: its COMPOUND need not be the same, READ or READ_PLUS, and
 * an answer that was kept would be that to the other one.) A slot whose request
 * nobody sends again is settled by a SEQUENCE of its own, which the server
 * answers when the request is over.
 *
 *   IDLE → BUSY → IDLE          a request is sent, and answered
 *          BUSY → LEFT → BUSY   the connection ended, or the server answered
 *                               SEQUENCE by DELAY: the same again
 *                 LEFT → IDLE   settled
 *
 * Slot 0 is the engine's own: one call at a time, in order.
 *
 * Invariants
 *   S1  sequenceid of a slot is that of its last request; the next one has one
 *       more. It changes only when that request is answered, or over.
 *   S2  The page says BUSY before the first byte of a request is sent.
 *   S3  Numbers of the page are only ever sent to the server, never used as an
 *       index or a length here: a lie makes the server refuse.
 */
#ifndef BH_PROTOCOLS_NFS_V4_SLOTS_H
#define BH_PROTOCOLS_NFS_V4_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io.h"

/* As many as our user's requests, and the engine's own. */
#define V4_SLOTS 129u
#define V4_NO_SLOT UINT16_MAX
/* In the identity page: a state, and tag, offset, sequenceid, length of each.
 */
#define V4_SLOTS_PAGE_BYTES (136u + V4_SLOTS * 24u)

enum v4_slot_state { V4_SLOT_IDLE, V4_SLOT_BUSY, V4_SLOT_LEFT };

/* What is on a slot. */
struct v4_work {
  uint64_t tag; /* of the request */
  uint64_t offset;
  uint32_t length;
  enum io_op op;
  bool fua;
};

struct v4_slot {
  enum v4_slot_state state;
  bool settling; /* LEFT, and its SEQUENCE is under way */
  uint32_t sequenceid;
  struct v4_work work;
};

struct v4_slots {
  uint8_t *page;  /* V4_SLOTS_PAGE_BYTES */
  unsigned count; /* of the session */
  unsigned limit; /* of them, how many may be used: the server's target */
  unsigned busy;  /* without slot 0 */
  unsigned left;
  struct v4_slot slot[V4_SLOTS];
};

/* A new session: count slots (2 … V4_SLOTS), all idle. */
void
v4_slots_new (struct v4_slots *s, uint8_t *page, unsigned count);
/* A session that goes on: what is busy there is LEFT here. */
void
v4_slots_resume (struct v4_slots *s, uint8_t *page, unsigned count);

/* A slot for this work; V4_NO_SLOT if there is none now: all are taken, or it
 * would overtake work that is LEFT on a slot.
 */
uint16_t
v4_slots_find (const struct v4_slots *s, const struct v4_work *w);
/* Puts it there; returns the sequence id to send. */
uint32_t
v4_slots_begin (struct v4_slots *s, uint16_t slot, const struct v4_work *w);
/* Its request is over. */
void
v4_slots_end (struct v4_slots *s, uint16_t slot);
/* Its request is to be sent again as it was. */
void
v4_slots_leave (struct v4_slots *s, uint16_t slot);
/* A slot that is LEFT and not yet being settled. */
uint16_t
v4_slots_to_settle (const struct v4_slots *s);
/* What SEQUENCE has to say: the highest slot in use, this one included. */
uint32_t
v4_slots_highest (const struct v4_slots *s, uint16_t slot);
/* sr_target_highest_slotid of an answer. */
void
v4_slots_target (struct v4_slots *s, uint32_t target_highest_slotid);

#endif
