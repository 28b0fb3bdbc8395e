/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may write to a volume: the write lease of one volume, as events in and
 * actions out. Pure: no system call, no clock; time is handed in. One thread.
 *
 *   state     means                                      leaves by
 *   FOREIGN   a gateway that has not come back to this    adopt, foreign_gone
 *             daemon holds it
 *   FREE      nobody                                      a waiter → HELD
 *   HELD      holder writes                               a waiter → REVOKED
 *   REVOKED   holder was asked to give it back            return, deadline
 *   EXPELLED  holder did not: its end was ordered         gone
 *   SETTLING  the holder died with writes under way: the  its time is over
 *             server may still execute them
 *
 * Invariants
 *   L1  At most one holder; GRANT goes to the first waiter, and only from FREE.
 *   L2  Stripes are settled only when nobody holds the lease, after
 *       FENCE_WAIT_NS since the last one who may have written was fenced.
 *   L3  A holder is asked to give back once, and only if somebody waits.
 *   L4  A gateway waits at most once.
 */
#ifndef BH_CACHE_LEASE_H
#define BH_CACHE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#define LEASE_WAITERS 64u
/* How long a holder may take to drain and flush. */
#define LEASE_REVOKE_NS 10000000000ull
/* How often to look whether a FOREIGN holder lives. */
#define LEASE_LOOK_NS 200000000ull

enum lease_state {
  LEASE_FOREIGN,
  LEASE_FREE,
  LEASE_HELD,
  LEASE_REVOKED,
  LEASE_EXPELLED,
  LEASE_SETTLING,
};

/* What the caller has to do. */
enum lease_act {
  LEASE_ACT_NONE,
  LEASE_ACT_GRANT,  /* tell who that it may write */
  LEASE_ACT_REVOKE, /* tell who that another one waits */
  LEASE_ACT_EXPEL,  /* kill and fence its worker, then lease_gone (who) */
  LEASE_ACT_SETTLE, /* settle the stripes */
  LEASE_ACT_LOOK,   /* if the foreign holder is dead: lease_foreign_gone */
};

struct lease {
  enum lease_state state;
  const void *holder;
  const void *waiter[LEASE_WAITERS]; /* first in, first out */
  unsigned waiters;
  uint64_t until_ns; /* REVOKED, SETTLING, FOREIGN: when it is time */
};

/* foreign: the stripes existed before this daemon. */
void
lease_init (struct lease *l, bool foreign);

/* Gateways are named by any address that is theirs. After each of these, and
 * when lease_next_ns is over, lease_step says what to do.
 */

/* It wants to write. False: it holds the lease already or waits, which breaks
 * the protocol; or too many wait.
 */
bool
lease_want (struct lease *l, const void *who);
/* It has drained. False: it does not hold the lease. */
bool
lease_return (struct lease *l, const void *who);
/* Its worker is fenced and its connection is closed. open: there are stripes
 * whose writes have not ended.
 */
void
lease_gone (struct lease *l, const void *who, bool open, uint64_t now_ns);
/* SETTLING: the one who has died is not fenced yet (L2). */
void
lease_unfenced (struct lease *l, uint64_t now_ns);
/* A gateway of an earlier daemon holds it. False: another one does. */
bool
lease_adopt (struct lease *l, const void *who);
/* FOREIGN: nobody holds it after all. */
void
lease_foreign_gone (struct lease *l, bool open, uint64_t now_ns);
/* A GRANT could not be recorded, as a stranger holds the record. */
void
lease_foreign (struct lease *l, uint64_t now_ns);

bool
lease_has (const struct lease *l, const void *who);
bool
lease_waits (const struct lease *l, const void *who);

/* One thing to do now; to be called until it is LEASE_ACT_NONE. */
enum lease_act
lease_step (struct lease *l, uint64_t now_ns, const void **ret_who);
/* When to call lease_step even if nothing happens; UINT64_MAX: never. */
uint64_t
lease_next_ns (const struct lease *l);

#endif
