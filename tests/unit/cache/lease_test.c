/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may write: order, deadlines, deaths, and holders of an earlier daemon. */
#include "config.h"
#include "cache/lease.h"

#include <stdlib.h>

#include "ipc/fence.h"
#include "tests/unit/unit.h"

static const char gateways[8];
#define A (&gateways[0])
#define B (&gateways[1])
#define C (&gateways[2])
#define S 1000000000ull

static struct lease l;
static const void *who;

#define STEP(now, want_act, want_who)                                         \
  do {                                                                        \
    who = NULL;                                                               \
    CU_ASSERT_EQUAL (lease_step (&l, now, &who), want_act);                   \
    CU_ASSERT_PTR_EQUAL (who, want_who);                                      \
  } while (0)

static void
first_come_first_served (void)
{
  lease_init (&l, false);
  STEP (0, LEASE_ACT_NONE, NULL);
  CU_ASSERT (lease_want (&l, A));
  CU_ASSERT (lease_want (&l, B));
  CU_ASSERT (lease_want (&l, C));
  CU_ASSERT (!lease_want (&l, B)); /* L4 */
  STEP (0, LEASE_ACT_GRANT, A);
  CU_ASSERT (!lease_want (&l, A));
  STEP (0, LEASE_ACT_REVOKE, A);
  STEP (0, LEASE_ACT_NONE, NULL); /* L3: once */
  CU_ASSERT (!lease_return (&l, B));
  CU_ASSERT (lease_return (&l, A));
  STEP (0, LEASE_ACT_GRANT, B);
  STEP (0, LEASE_ACT_REVOKE, B);
  CU_ASSERT (lease_return (&l, B));
  STEP (0, LEASE_ACT_GRANT, C);
  STEP (0, LEASE_ACT_NONE, NULL);
  CU_ASSERT_EQUAL (lease_next_ns (&l), UINT64_MAX);
}

static void
who_does_not_return_is_expelled (void)
{
  lease_init (&l, false);
  lease_want (&l, A);
  STEP (S, LEASE_ACT_GRANT, A);
  lease_want (&l, B);
  STEP (S, LEASE_ACT_REVOKE, A);
  CU_ASSERT_EQUAL (lease_next_ns (&l), S + LEASE_REVOKE_NS);
  STEP (S + LEASE_REVOKE_NS - 1, LEASE_ACT_NONE, NULL);
  STEP (S + LEASE_REVOKE_NS, LEASE_ACT_EXPEL, A);
  STEP (S + LEASE_REVOKE_NS, LEASE_ACT_NONE, NULL);
  CU_ASSERT (lease_return (&l, A)); /* crosses it, and changes nothing */
  STEP (S + LEASE_REVOKE_NS, LEASE_ACT_NONE, NULL);
  lease_gone (&l, A, false, 20 * S);
  STEP (20 * S, LEASE_ACT_GRANT, B);
}

static void
writes_of_the_dead_are_settled_after_a_while (void)
{
  lease_init (&l, false);
  lease_want (&l, A);
  STEP (S, LEASE_ACT_GRANT, A);
  lease_want (&l, B);
  lease_gone (&l, A, true, 5 * S);
  CU_ASSERT_EQUAL (lease_next_ns (&l), 5 * S + FENCE_WAIT_NS);
  STEP (5 * S, LEASE_ACT_NONE, NULL);
  STEP (5 * S + FENCE_WAIT_NS - 1, LEASE_ACT_NONE, NULL);
  STEP (5 * S + FENCE_WAIT_NS, LEASE_ACT_SETTLE, NULL);
  STEP (5 * S + FENCE_WAIT_NS, LEASE_ACT_GRANT, B);
  /* Open stripes are the holder's now, whoever leaves (L2). */
  lease_gone (&l, C, true, 8 * S);
  STEP (20 * S, LEASE_ACT_NONE, NULL);
  /* Returned, and something is open: whose it was is gone too. */
  CU_ASSERT (lease_return (&l, B));
  lease_gone (&l, B, true, 30 * S);
  STEP (30 * S, LEASE_ACT_NONE, NULL);
  STEP (31 * S, LEASE_ACT_SETTLE, NULL);
}

static void
a_waiter_that_dies_is_forgotten (void)
{
  lease_init (&l, false);
  lease_want (&l, A);
  STEP (0, LEASE_ACT_GRANT, A);
  lease_want (&l, B);
  lease_want (&l, C);
  lease_gone (&l, B, true, 0);
  STEP (0, LEASE_ACT_REVOKE, A);
  lease_return (&l, A);
  STEP (0, LEASE_ACT_GRANT, C);
}

static void
nothing_is_granted_before_the_former_holder_is_known (void)
{
  lease_init (&l, true);
  lease_want (&l, A);
  STEP (S, LEASE_ACT_LOOK, NULL);
  STEP (S, LEASE_ACT_NONE, NULL);
  CU_ASSERT_EQUAL (lease_next_ns (&l), S + LEASE_LOOK_NS);
  STEP (S + LEASE_LOOK_NS, LEASE_ACT_LOOK, NULL);
  CU_ASSERT (lease_adopt (&l, B));
  CU_ASSERT (!lease_adopt (&l, C));
  STEP (2 * S, LEASE_ACT_REVOKE, B);
  CU_ASSERT (lease_return (&l, B));
  STEP (2 * S, LEASE_ACT_GRANT, A);
}

static void
a_dead_former_holder_is_settled (void)
{
  lease_init (&l, true);
  lease_want (&l, A);
  STEP (S, LEASE_ACT_LOOK, NULL);
  lease_foreign_gone (&l, true, S);
  CU_ASSERT (!lease_adopt (&l, B));
  STEP (S, LEASE_ACT_NONE, NULL);
  STEP (S + FENCE_WAIT_NS, LEASE_ACT_SETTLE, NULL);
  STEP (S + FENCE_WAIT_NS, LEASE_ACT_GRANT, A);
  lease_foreign_gone (&l, true, S); /* not now */
  STEP (9 * S, LEASE_ACT_NONE, NULL);
}

static void
only_so_many_wait (void)
{
  static const char many[LEASE_WAITERS + 1];

  lease_init (&l, true);
  for (unsigned i = 0; i < LEASE_WAITERS; i++)
    CU_ASSERT (lease_want (&l, &many[i]));
  CU_ASSERT (!lease_want (&l, &many[LEASE_WAITERS]));
}

/* Random events: never two holders, never a grant while something settles, and
 * in the end everybody who waits is served.
 */
static void
any_order_of_events_ends_well (void)
{
  uint64_t now = 0;
  unsigned granted = 0;

  srandom (3);
  lease_init (&l, true);
  for (unsigned i = 0; i < 200000; i++) {
    const void *g = &gateways[random () % 8];
    const void *holder = l.state == LEASE_HELD || l.state == LEASE_REVOKED
                           ? l.holder
                           : NULL;

    now += (uint64_t)random () % (S / 10);
    switch (random () % 5) {
    case 0:
    case 1:
      CU_ASSERT (!lease_want (&l, g) || g != holder);
      break;
    case 2:
      CU_ASSERT (!lease_return (&l, g) || l.state == LEASE_EXPELLED
                 || g == holder);
      break;
    case 3:
      lease_gone (&l, g, random () % 2, now);
      CU_ASSERT (l.state == LEASE_FOREIGN || l.holder != g);
      break;
    default:
      switch (lease_step (&l, now, &who)) {
      case LEASE_ACT_GRANT:
        CU_ASSERT_PTR_NULL (holder);
        granted++;
        break;
      case LEASE_ACT_EXPEL:
        lease_gone (&l, who, true, now);
        break;
      case LEASE_ACT_LOOK:
        lease_foreign_gone (&l, true, now);
        break;
      default:
        break;
      }
    }
  }
  CU_ASSERT (granted > 1000);
}

UNIT_MAIN ("lease", UNIT_TEST (first_come_first_served),
           UNIT_TEST (who_does_not_return_is_expelled),
           UNIT_TEST (writes_of_the_dead_are_settled_after_a_while),
           UNIT_TEST (a_waiter_that_dies_is_forgotten),
           UNIT_TEST (nothing_is_granted_before_the_former_holder_is_known),
           UNIT_TEST (a_dead_former_holder_is_settled),
           UNIT_TEST (only_so_many_wait),
           UNIT_TEST (any_order_of_events_ends_well))
