/* SPDX-License-Identifier: BSD-2-Clause */
/* Write stripes: what makes a write visible at once in every gateway process of
 * a volume. One file on tmpfs a volume (0600), mapped read/write by its
 * gateways and the daemon, never by a worker.
 *
 * A volume's pages (STRIPE_PAGE_BYTES) are hashed onto the stripes; there are
 * at least four for each cached page, so that a write seldom disturbs others.
 * A stripe is two 64-bit counters that only grow:
 *
 *   begin  advanced before a write may reach the server
 *   end    advanced when its outcome is known (before it is acknowledged)
 *
 * Invariants
 *   S1  end <= begin. begin == end: no write is under way there.
 *   S2  What was read from the server counts as version v only if end == begin
 *       == v before the request was sent (end read first), and begin == v
 *       still when the answer was there. A write that raced shows in either.
 *   S3  A cached page of version v may be answered only if begin == end == v
 *       when it is answered.
 *   S4  writes_ended <= writes_begun; when they are equal (ended read first) no
 *       write is under way. A dead writer's are settled with its stripes.
 *   S5  What is known of the object (change as in volume_info, 0: nothing) is
 *       true if no write has begun since known_begun. Gateways that write it at
 *       the same time may mix it up; then it is not found again, and what is
 *       cached goes in vain.
 *   S6  Who was not allowed to write any more, and did not know, finds settles
 *       changed since it was allowed to: its stripes are closed already, and it
 *       must not end them (that would take a write of the next one for over).
 *   S7  While a gateway that may write has anything in its log of retained
 *       writes, the state is UNPROVEN or DOUBT, and it has the lock of byte
 *       STRIPES_LOCK_LEASE. Whoever has reason to think that the server has
 *       lost something of it raises a doubt: until that is over others than
 *       that gateway take nothing that they read from the server. It is over
 *       when all that had been acknowledged before it was raised is proven, or
 *       when nobody has the lock.
 *
 * All functions are pure (atomics only), any thread, any process.
 */
#ifndef BH_IPC_STRIPES_H
#define BH_IPC_STRIPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define STRIPE_PAGE_BYTES 4096u
#define STRIPES_MAGIC 0x62685331u /* "bhS1" */
#define STRIPES_LAYOUT 1u
/* A byte of the file: whoever may write has an exclusive OFD lock of it
 * (cache/stripes_file.h).
 */
#define STRIPES_LOCK_LEASE 1

/* S7, the low bits of the word; above them stands how many doubts there ever
 * were.
 */
enum stripes_state { STRIPES_PROVEN, STRIPES_UNPROVEN, STRIPES_DOUBT };
#define STRIPES_STATE_BITS 2u

struct stripe {
  _Alignas (16) _Atomic uint64_t begin; /* both are closed by one exchange */
  _Atomic uint64_t end;
};

struct stripes {
  uint32_t magic;
  uint32_t layout;
  uint32_t count; /* a power of two */
  _Atomic uint32_t settles; /* calls of stripes_settle: S6 */
  _Atomic uint64_t writes_begun; /* calls of stripes_begin, of stripes_end: */
  _Atomic uint64_t writes_ended; /* S4 */
  /* Whether the gateway that may write has acknowledged what the server has not
   * proven stable; that gateway sets and clears it, others doubt: S7. */
  _Atomic uint32_t proof;
  /* Such a gateway and its daemon are dead: the next FLUSH of the volume fails,
   * once. */
  _Atomic uint32_t lost;
  /* What the server said of the object last, and at which writes_begun: S5. */
  _Atomic uint64_t known_change, known_size, known_begun;
  struct stripe stripe[];
};

_Static_assert (sizeof (struct stripe) == 16, "stripe layout");
_Static_assert (offsetof (struct stripes, stripe) == 64, "stripes layout");

/* A pointer that two processes share, and how many stripes it has: count is
 * kept here and not read again out of the file.
 */
struct stripe_map {
  struct stripes *file;
  uint32_t count;
};

static inline size_t
stripes_bytes (uint32_t count)
{
  return sizeof (struct stripes) + (size_t)count * sizeof (struct stripe);
}

/* A zeroed file of stripes_bytes (count): the daemon's, before anybody maps
 * it. */
void stripes_format (struct stripes *s, uint32_t count);
/* ERR_VERSION if the file has another layout than this program. */
enum err stripes_open (struct stripes *s, size_t size_bytes,
                       struct stripe_map *ret);

/* The version of a page; false while a write is under way (S2, S3). */
bool stripes_quiet (const struct stripe_map *m, uint64_t page,
                    uint64_t *ret_version);
/* Whether begin is still at version. */
bool stripes_same (const struct stripe_map *m, uint64_t page,
                   uint64_t version);
/* Before a write of pages first … last is sent, and when it is over. */
void stripes_begin (const struct stripe_map *m, uint64_t first,
                    uint64_t last);
void stripes_end (const struct stripe_map *m, uint64_t first, uint64_t last);
/* The writer is dead and fenced: every stripe that it left open is advanced
 * and closed, so that what was cached or read before does not count. Returns
 * how many there were.
 */
uint32_t stripes_settle (const struct stripe_map *m);
/* S6 */
uint32_t stripes_settles (const struct stripe_map *m);
/* All pages get a new version: somebody outside has written. */
void stripes_advance_all (const struct stripe_map *m);
/* S4 */
uint64_t stripes_writes_begun (const struct stripe_map *m);
uint64_t stripes_writes_ended (const struct stripe_map *m);
/* S5 */
struct stripes_known {
  uint64_t change, size_bytes, begun;
};
void stripes_set_known (const struct stripe_map *m,
                        const struct stripes_known *k);
struct stripes_known stripes_known (const struct stripe_map *m);
/* The gateway with the write lease, before its first write and when all is
 * proven.
 */
void stripes_set_unproven (const struct stripe_map *m, bool unproven);
/* S7. The word, to be compared and to ask this: */
uint32_t stripes_proof (const struct stripe_map *m);
static inline enum stripes_state
stripes_state (uint32_t proof)
{
  return (enum stripes_state) (proof & ((1u << STRIPES_STATE_BITS) - 1));
}
static inline uint32_t
stripes_doubts (uint32_t proof)
{
  return proof >> STRIPES_STATE_BITS;
}
/* Nothing, if all is proven. */
void stripes_raise_doubt (const struct stripe_map *m);
/* Whatever was in doubt when the word was seen is not any more. False: another
 * doubt has been raised since.
 */
bool stripes_end_doubt (const struct stripe_map *m, uint32_t seen);
/* A new daemon, of a writer that is dead: whether it left anything unproven;
 * then a FLUSH has to tell.
 */
bool stripes_orphaned (const struct stripe_map *m);
/* That it still has. */
bool stripes_lost (const struct stripe_map *m);
/* A FLUSH: whether it has to tell; the next one has not. */
bool stripes_take_lost (const struct stripe_map *m);
/* How many stripes have a write under way. */
uint32_t stripes_unequal (const struct stripe_map *m);

#endif
