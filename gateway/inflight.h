/* SPDX-License-Identifier: BSD-2-Clause */
/* The requests of one gateway process that a worker has not answered yet.
 *
 * Pure: no system call, no clock, no thread primitive inside; time is handed
 * in, the caller holds its lock. The simulator links this very object.
 *
 * A slot is one piece of an NBD request and one chunk of each arena (slot i
 * owns chunk i of every path's arenas), so nothing else needs to be allocated.
 * A path is one of the volume's connections: a channel with a worker at its
 * end. There is one table for all, as requests overlap whatever path they take.
 *
 *   state      means                                   leaves by
 *   FREE       nobody's                                get
 *   FILLING    has a path; the owner copies write      ready, put
 *              payload into that one's arena
 *   QUEUED     wants a worker; may move to another     push, abandon, fail
 *              path
 *   SENT       in the ring or at the worker of its     complete, down
 *              path
 *   DONE       answered; the owner copies data out     put, again
 *   UNSURE     a write that nobody waits for and that  settle
 *              no worker has answered
 *
 * Invariants
 *   I1  Every slot is answered at most once: a completion counts only for a
 *       SENT slot of the same generation (DESIGN, one answer), and only from
 *       the slot's own path. So the chunk that an answer is copied from is one
 *       that no worker but the answering one can write: a slow worker that is
 *       no longer trusted writes into the same chunk of its own path's arena,
 *       which nobody looks at until its next worker is started, and that comes
 *       after its death (cache/supervisor.h, S2).
 *   I2  No two writing slots (WRITE, TRIM, ZERO) that are not FREE or DONE
 *       overlap.
 *   I3  After a worker's death no writing slot overlaps a write of unknown
 *       outcome until FENCE_WAIT_NS have passed, but for that write's own
 *       replay.
 *   I4  While a suspect (see INFLIGHT_DEATHS_SUSPECT) waits, at most one slot
 * is SENT, and that is a suspect. A death whose cause nobody has told yet
 * (inflight_down came, neither blame nor absolve has) counts as if the slot had
 * been the cause, so that one which kills does not go through all paths
 * meanwhile; who would have too many by that waits for the word. I6  Payload is
 * put into the write arena of a path only while that is up. One that is down
 * may have a worker that still lives (it hung, or is not trusted any more) with
 * a request in hand that was answered by another path since; it would write
 * what its chunk has now where that request wanted something else. I5  An
 * abandoned slot (its last user has left) has no buffer but its chunk; it
 * becomes FREE when it is answered, or when its worker is gone: a write then
 * UNSURE. I7  A READ may have users beside its owner, who have joined it
 * (join.h). It is not FREE, nor asked again, before the last of them has left.
 *   I8  A write that no worker has answered is UNSURE until nobody can execute
 *       it any more: FENCE_WAIT_NS after the last session that it was sent to
 *       has ended, at once if it was never sent. Until then its stripes are
 * open (ipc/stripes.h). What overlaps it waits by I3, not by I2.
 */
#ifndef BH_GATEWAY_INFLIGHT_H
#define BH_GATEWAY_INFLIGHT_H

#include "common/err.h"
#include "common/io.h"
#include "ipc/channel.h"
#include "ipc/fence.h"

#define INFLIGHT_SLOTS CHANNEL_SLOTS
#define INFLIGHT_PATHS CHANNEL_PATHS
#define INFLIGHT_ALL_PATHS ((1u << INFLIGHT_PATHS) - 1)
/* A request that was at a worker when it died of itself this often runs alone,
 * and fails when it kills one more.
 */
#define INFLIGHT_DEATHS_SUSPECT 2u
#define INFLIGHT_DEATHS_FATAL 3u

enum inflight_state { SLOT_FREE, SLOT_FILLING, SLOT_QUEUED, SLOT_SENT,
                      SLOT_DONE, SLOT_UNSURE };

struct inflight_slot {
  enum inflight_state state;
  bool abandoned;
  uint8_t path;
  uint8_t blamable; /* bit set: paths whose worker went while it was SENT
                       there, and nobody has told why yet */
  uint8_t covers;   /* FLUSH: bit set of the paths whose writes it proves */
  uint64_t covers_writes; /* FLUSH: those up to this one, see write_count */
  uint32_t users; /* who will take the answer: the owner, who has joined it */
  uint64_t over_ns; /* when no session that it was sent to and that has ended
                       can execute it any more; 0: there was none */
  uint32_t generation; /* never 0 */
  uint64_t sequence;   /* order of submission */
  uint64_t sent_ns;    /* SENT: since when */
  uint32_t deaths;     /* workers that died of themselves while it was SENT */
  struct ring_request request;
  enum err error;   /* DONE: ERR_OK, or why it failed without a worker */
  int server_errno; /* DONE: 0, or the errno in the completion */
  uint32_t answer_bytes; /* DONE: READ, STATUS: in the read arena */
  uint8_t token[IO_TOKEN_BYTES];
  void *owner; /* the caller's; NULL when that has left */
};

struct inflight {
  struct inflight_slot slot[INFLIGHT_SLOTS];
  uint32_t free_stack[INFLIGHT_SLOTS]; /* last in, first out: warm chunks */
  uint32_t free_slots;
  uint32_t writing_slots; /* FILLING, QUEUED or SENT, writing */
  uint32_t reading_slots; /* READ, not FREE */
  uint32_t unsure_slots;
  uint32_t sent_slots;
  uint32_t queued_slots;
  uint32_t suspects; /* QUEUED or SENT, with too many deaths */
  uint64_t next_sequence;
  enum err failed; /* not ERR_OK: the volume is given up */
  struct {
    uint64_t offset;
    uint64_t end;
    uint64_t until_ns;
  } doubt[INFLIGHT_SLOTS];
  uint32_t doubts;
  uint64_t write_count; /* writing slots that were answered */
  unsigned next_path;   /* whose turn it is */
  struct {
    uint32_t bound; /* FILLING, QUEUED or SENT */
    uint32_t sent;
    uint64_t written; /* write_count at its last one */
    uint64_t flushed; /* what a FLUSH has proven of it */
    uint64_t pushes;  /* ever; for statistics */
  } path[INFLIGHT_PATHS];
};

void inflight_init (struct inflight *f);

/* Takes a slot for one piece: length_bytes of what has payload is at most
 * CHANNEL_CHUNK_BYTES (0 for FLUSH), offset in bytes of the volume. *ret_slot
 * is then FILLING, on one of the paths of usable (a bit set, not 0): on that
 * which has the least to do, in turn if they are alike. ERR_AGAIN  no slot is
 * free, or a writing piece must wait for an overlapping one; *ret_retry_ns is
 * when to try again even if nothing happens (UINT64_MAX: something will). else
 * the volume is given up
 */
enum err inflight_get (struct inflight *f, enum io_op op, uint32_t flags,
                       uint64_t offset, uint32_t length_bytes,
                       uint32_t usable, uint64_t now_ns, void *owner,
                       uint32_t *ret_slot, uint64_t *ret_retry_ns);
/* The payload is in place: FILLING → QUEUED (DONE if the volume was given
 * up). */
void inflight_ready (struct inflight *f, uint32_t slot);
/* A QUEUED slot goes to another path, one of usable; returns which. The caller
 * then copies the payload of a WRITE from the old path's write arena, which
 * nobody but the gateway can write.
 */
unsigned inflight_move (struct inflight *f, uint32_t slot, uint32_t usable);
/* QUEUED → SENT through its path's ring. ERR_PEER: the worker's indices are
 * impossible; the slot stays QUEUED.
 */
enum err inflight_push (struct inflight *f, struct ring *ring, uint32_t slot,
                        uint64_t now_ns);
/* The QUEUED slot that may be pushed next (the oldest; a suspect before all
 * others, and alone), or INFLIGHT_SLOTS if none may.
 */
uint32_t inflight_next (const struct inflight *f);
/* When the last write of this process is over for certain: 0 if it is, a time
 * if that only has to pass, UINT64_MAX if one is still under way.
 */
uint64_t inflight_writes_over_ns (const struct inflight *f);
/* When the path's oldest SENT slot was sent; UINT64_MAX if there is none. */
uint64_t inflight_oldest_sent_ns (const struct inflight *f, unsigned path);

/* The paths with writes that were answered and that no successful FLUSH has
 * proven since (a bit set).
 */
uint32_t inflight_unflushed (const struct inflight *f);
/* A FILLING slot with a FLUSH: it is to prove what the paths of covers have
 * answered until now.
 */
void inflight_covers (struct inflight *f, uint32_t slot, uint32_t covers);
/* … and has: it was answered, and that counts. */
void inflight_flushed (struct inflight *f, uint32_t slot);

/* Takes one completion that was copied out of the ring of path. *ret_owner is
 * the owner of the slot that is now DONE, or NULL if that had been abandoned.
 * ERR_PEER for anything that answers no SENT slot of that path exactly.
 */
enum err inflight_complete (struct inflight *f, unsigned path,
                            const struct ring_completion *c,
                            void **ret_owner);
/* One more user for a READ that has one (I7); it leaves by inflight_unjoin, at
 * any time.
 */
void inflight_join (struct inflight *f, uint32_t slot);
void inflight_unjoin (struct inflight *f, uint32_t slot);
static inline bool
inflight_shared (const struct inflight *f, uint32_t slot)
{
  return f->slot[slot].users > 1;
}
/* The owner is through with it: FILLING or DONE → FREE, or UNSURE. */
void inflight_put (struct inflight *f, uint32_t slot);
/* The answer is of no use, it must be asked again: DONE → QUEUED. Not if it is
 * shared.
 */
void inflight_again (struct inflight *f, uint32_t slot);
/* The owner leaves without waiting. */
void inflight_abandon (struct inflight *f, uint32_t slot);
/* One that was UNSURE, and is no longer: FREE; *ret is what it was, so that its
 * stripes can be closed. False: there is none.
 */
bool inflight_settle (struct inflight *f, uint64_t now_ns,
                      struct ring_request *ret);

/* The path's worker is gone: its SENT slots → QUEUED; what it may have written
 * is in doubt until now_ns + FENCE_WAIT_NS. Either of the two that follow must
 * come later, at least when the path is up again.
 */
void inflight_down (struct inflight *f, unsigned path, uint64_t now_ns);
/* … and it died of itself: each slot that inflight_down took back from it and
 * that is not answered yet is a little more suspect; one that has killed too
 * many becomes DONE with ERR_IO. Its owner must be woken. Returns how many
 * failed so.
 */
unsigned inflight_blame (struct inflight *f, unsigned path);
/* … and it did not, or nobody knows. */
void inflight_absolve (struct inflight *f, unsigned path);
/* Gives the volume up: all that is QUEUED becomes DONE with this error, and so
 * does what comes later. SENT slots must have been taken back by
 * inflight_down.
 */
void inflight_fail (struct inflight *f, enum err why);

#endif
