/* SPDX-License-Identifier: BSD-2-Clause */
/* What makes acknowledged writes stable: the log of retained writes
 * (retained.h) between transfers, paths and the lease.
 *
 *   proof_reserve    before a write is sent: room in the log
 *   proof_answered   each completion: writes go into the log, a FLUSH proves
 *   proof_lost       a session is over: what is in the log is in doubt
 *   link_prove       FLUSH: until all that was acknowledged before is proven,
 *                    what the server does not prove is sent again
 *   proof_round      the same by the keeper (lease.c) when nobody asked: what
 *                    is in doubt, and what fills the log
 *
 * While something is in doubt, reads of it are answered from the log; a read
 * that may have been executed before the write was sent again is sent again
 * itself (link.stale).
 *
 * Thread rule: all with the link's lock held, but link_prove.
 */
#ifndef BH_GATEWAY_PROOF_H
#define BH_GATEWAY_PROOF_H

#include "gateway/inflight.h"
#include "gateway/retained.h"

struct link;

struct proof {
  struct retained log;
  /* by slot */
  struct retained_room room[INFLIGHT_SLOTS]; /* of a writing one */
  bool replay[INFLIGHT_SLOTS];        /* it comes out of the log */
  bool stale[INFLIGHT_SLOTS];         /* READ, STATUS: must be sent again */
  uint64_t flush_mark[INFLIGHT_SLOTS]; /* FLUSH: what it can prove */
  uint64_t sent_at[INFLIGHT_SLOTS];    /* WRITE, TRIM, ZERO: failures then */
  uint64_t unheard_at[INFLIGHT_SLOTS]; /* … and unheard */
  uint64_t fuas_at[INFLIGHT_SLOTS];    /* FLUSH, FUA: fuas then */
  uint64_t held_ns[INFLIGHT_SLOTS]; /* FLUSH: when it succeeded; 0: it counts */

  bool replaying;  /* one thread at a time */
  bool flush_each; /* one FLUSH for all connections does not prove all */
  uint64_t losses; /* of sessions, ever */
  uint64_t failures; /* of FLUSH and FUA, ever */
  uint64_t unheard; /* sessions that took the answer of one along, ever */
  uint64_t fuas;   /* that succeeded, ever */
  uint64_t proven; /* entries, ever */
  uint64_t resent;
  /* What the keeper is to do. */
  bool wanted;       /* the log is half full */
  bool room_wanted;  /* … is full, and somebody waits */
  uint64_t after_ns; /* not before, as it failed */
  uint64_t rounds;   /* that ended */
  int error;         /* errno of the last one */
};

/* A write that waits for room in the log. */
struct proof_wait {
  bool waits;
  uint64_t round;
};

/* ERR_AGAIN: the log is full, the keeper will wake whoever is blocked. Else
 * what the keeper has failed with.
 */
enum err proof_reserve (struct link *l, enum io_op op, uint32_t flags,
                        uint32_t length_bytes, struct proof_wait *w,
                        struct retained_room *ret);
/* A slot is about to be sent. */
void proof_sent (struct link *l, uint32_t slot);
/* The slot is DONE or FREE by a completion. */
void proof_answered (struct link *l, uint32_t slot);
/* Whether the answer of a DONE slot may be taken: not yet that of a FLUSH which
 * another one, sent before that was answered, may still prove wrong. Its owner
 * is woken.
 */
bool proof_counts (struct link *l, uint32_t slot);
/* Slots have become FREE without one. */
void proof_sweep (struct link *l);
/* A path's session is over, before and after its slots are taken back. */
void proof_losing (struct link *l, unsigned path);
void proof_lost (struct link *l);

/* Whether proof_round has something to do; *ret_ns is when to ask again. */
bool proof_due (const struct link *l, uint64_t *ret_ns);
/* Drops the lock meanwhile. */
void proof_round (struct link *l);

#endif
