/* SPDX-License-Identifier: BSD-2-Clause */
/* The two rings of a channel: requests (gateway to worker) and completions
 * (worker to gateway), as two memory objects, one written by each side.
 *
 * Owner: each side owns one `struct ring_object`, and maps the other's
 * read-only. All that a side must tell the other stands in its own object: the
 * entries it produced, how far it consumed the other's entries, whether it
 * sleeps. So no lock and no writable page is shared with a worker.
 *
 * Thread rule: one thread at a time per side; the gateway holds its own mutex.
 *
 * Limits: RING_ENTRIES entries; the gateway never has more requests
 * outstanding, so that an honest peer cannot fill either ring.
 *
 * Nothing here makes a system call. Waking is the caller's: see
 * ring_wake_needed and ring_sleep.
 *
 * Invariants
 *   R1  head <= tail <= head + RING_ENTRIES (modulo 2^32), by private copies
 *       of one's own indices; the peer's are copied once and then checked.
 *   R2  An entry is copied out before it is looked at.
 *   R3  A side that sleeps has published an odd `sleep` and looked at the
 *       peer's tail afterwards; a producer looks at `sleep` after publishing
 *       its tail; both with a full barrier in between: no wake-up is lost.
 *   R4  What stands in a peer's object of another epoch does not count: it is
 *       what the last worker left. Only the owner of an object ever resets it
 *       while anybody may look, and it stores the epoch last.
 */
#ifndef BH_IPC_RING_H
#define BH_IPC_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"

#define RING_ENTRIES 128u
#define RING_MAGIC 0x62684b31u /* "bhK1" */

/* One request. offset and length in bytes of the volume; the payload is at
 * arena_offset of the read arena (READ) or of the write arena (WRITE).
 */
struct ring_request {
  uint64_t id;
  uint64_t offset;
  uint64_t arena_offset;
  uint32_t length;
  uint16_t op;    /* enum io_op */
  uint16_t flags; /* IO_FUA … */
  uint64_t sent_ns; /* CLOCK_MONOTONIC, for reports of a worker's death */
  uint64_t reserved[3];
};

/* One completion. error is 0 or a positive errno. token is the stability token
 * of a WRITE, TRIM, ZERO or FLUSH: opaque, compared for equality only.
 */
struct ring_completion {
  uint64_t id;
  uint32_t error;
  uint32_t length; /* READ: bytes delivered; always the whole request.
                      STATUS: bytes of io_extents in the read arena */
  uint8_t token[IO_TOKEN_BYTES];
  uint64_t reserved[4];
};

union ring_entry {
  struct ring_request request;
  struct ring_completion completion;
  uint8_t bytes[64];
};

/* One side's object; the same layout for both sides. */
struct ring_object {
  uint32_t magic;
  uint32_t entries;
  _Atomic uint64_t epoch;    /* which worker's life the indices belong to */
  _Atomic uint64_t progress; /* worker side: advances with each loop turn */
  _Atomic uint32_t refused_syscall; /* worker side: number + 1, from SIGSYS */
  uint8_t pad0[36];
  _Atomic uint32_t tail; /* entries produced by this side */
  uint8_t pad1[60];
  _Atomic uint32_t head; /* entries of the peer consumed by this side */
  uint8_t pad2[60];
  _Atomic uint32_t sleep; /* odd while this side sleeps */
  uint8_t pad3[60];
  union ring_entry entry[RING_ENTRIES];
};

_Static_assert (sizeof (struct ring_request) == 64, "request layout");
_Static_assert (sizeof (struct ring_completion) == 64, "completion layout");
_Static_assert (sizeof (union ring_entry) == 64, "entry layout");
_Static_assert (offsetof (struct ring_object, tail) == 64, "tail offset");
_Static_assert (offsetof (struct ring_object, head) == 128, "head offset");
_Static_assert (offsetof (struct ring_object, sleep) == 192, "sleep offset");
_Static_assert (offsetof (struct ring_object, entry) == 256, "entry offset");
_Static_assert (sizeof (struct ring_object) == 256 + 64 * RING_ENTRIES,
                "ring layout");

/* One side's private view. Never in shared memory. */
struct ring {
  struct ring_object *mine;
  const struct ring_object *peer;
  uint32_t tail;       /* own, private copy */
  uint32_t head;       /* own, private copy */
  uint32_t sleep;      /* own, private copy */
  uint32_t woken_for;  /* the peer's sleep value that was answered already */
  uint64_t epoch;      /* own, private copy */
};

/* Clears one's own object and stamps it with the epoch of the worker (not 0):
 * the gateway before it sends GO, the worker when it has received GO.
 */
void ring_object_reset (struct ring_object *o, uint64_t epoch);
/* Starts a side at zero, in the epoch that mine was reset for. */
void ring_init (struct ring *r, struct ring_object *mine,
                const struct ring_object *peer);

/* Appends one entry. ERR_LIMIT if RING_ENTRIES are unconsumed (by an honest
 * peer's head; a head that cannot be is ERR_PEER). Call ring_wake_needed once
 * after the last entry of a batch.
 */
enum err ring_push (struct ring *r, const union ring_entry *e);

/* True if the peer sleeps and was not woken for this sleep yet: the caller
 * then writes the peer's eventfd. A lying peer only misses its own wake-up.
 */
bool ring_wake_needed (struct ring *r);

/* Copies one entry out. ERR_AGAIN if there is none; ERR_PEER if the peer's
 * tail is impossible.
 */
enum err ring_pop (struct ring *r, union ring_entry *ret_entry);
bool ring_has_input (const struct ring *r);
/* How far the peer has consumed what this side produced; unchecked. */
uint32_t ring_peer_head (const struct ring *r);

/* Announces sleep; returns false (and takes it back) if there is input after
 * all. After true: wait on the eventfd, then ring_awake.
 */
bool ring_sleep (struct ring *r);
void ring_awake (struct ring *r);

#endif
