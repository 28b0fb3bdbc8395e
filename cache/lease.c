/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/lease.h"

#include <string.h>

#include "ipc/fence.h"

void
lease_init (struct lease *l, bool foreign)
{
  *l = (struct lease){.state = foreign ? LEASE_FOREIGN : LEASE_FREE};
}

static bool
is_holder (const struct lease *l, const void *who)
{
  return (l->state == LEASE_HELD || l->state == LEASE_REVOKED
          || l->state == LEASE_EXPELLED)
         && l->holder == who;
}

/* Its place, or l->waiters. */
static unsigned
waiter_index (const struct lease *l, const void *who)
{
  unsigned i = 0;

  while (i < l->waiters && l->waiter[i] != who)
    i++;
  return i;
}

static void
remove_waiter (struct lease *l, unsigned i)
{
  l->waiters--;
  memmove (&l->waiter[i], &l->waiter[i + 1],
           (l->waiters - i) * sizeof l->waiter[0]);
}

static void
set_free (struct lease *l, bool open, uint64_t now_ns)
{
  l->holder = NULL;
  l->state = open ? LEASE_SETTLING : LEASE_FREE;
  l->until_ns = now_ns + FENCE_WAIT_NS; /* L2 */
}

bool
lease_has (const struct lease *l, const void *who)
{
  return is_holder (l, who);
}

bool
lease_waits (const struct lease *l, const void *who)
{
  return waiter_index (l, who) < l->waiters;
}

bool
lease_want (struct lease *l, const void *who)
{
  if (is_holder (l, who) || waiter_index (l, who) < l->waiters /* L4 */
      || l->waiters == LEASE_WAITERS)
    return false;
  l->waiter[l->waiters++] = who;
  return true;
}

bool
lease_return (struct lease *l, const void *who)
{
  if (!is_holder (l, who))
    return false;
  if (l->state != LEASE_EXPELLED) /* too late: its end is on its way */
    set_free (l, false, 0);
  return true;
}

void
lease_gone (struct lease *l, const void *who, bool open, uint64_t now_ns)
{
  unsigned i = waiter_index (l, who);

  if (i < l->waiters)
    remove_waiter (l, i);
  /* From FREE: a former holder may have left writes of unknown outcome. From
   * SETTLING: this one may have been such a holder too.
   */
  if (is_holder (l, who)
      || (open && (l->state == LEASE_FREE || l->state == LEASE_SETTLING)))
    set_free (l, open, now_ns);
}

void
lease_unfenced (struct lease *l, uint64_t now_ns)
{
  if (l->state == LEASE_SETTLING)
    l->until_ns = now_ns + FENCE_WAIT_NS;
}

bool
lease_adopt (struct lease *l, const void *who)
{
  if (l->state != LEASE_FOREIGN && l->state != LEASE_FREE)
    return false;
  l->state = LEASE_HELD;
  l->holder = who;
  return true;
}

void
lease_foreign_gone (struct lease *l, bool open, uint64_t now_ns)
{
  if (l->state == LEASE_FOREIGN)
    set_free (l, open, now_ns);
}

void
lease_foreign (struct lease *l, uint64_t now_ns)
{
  l->holder = NULL;
  l->state = LEASE_FOREIGN;
  l->until_ns = now_ns + LEASE_LOOK_NS;
}

enum lease_act
lease_step (struct lease *l, uint64_t now_ns, const void **ret_who)
{
  switch (l->state) {
  case LEASE_FOREIGN:
    if (now_ns < l->until_ns)
      return LEASE_ACT_NONE;
    l->until_ns = now_ns + LEASE_LOOK_NS;
    return LEASE_ACT_LOOK;
  case LEASE_FREE:
    if (!l->waiters)
      return LEASE_ACT_NONE;
    *ret_who = l->holder = l->waiter[0]; /* L1 */
    remove_waiter (l, 0);
    l->state = LEASE_HELD;
    return LEASE_ACT_GRANT;
  case LEASE_HELD:
    if (!l->waiters)
      return LEASE_ACT_NONE;
    *ret_who = l->holder;
    l->state = LEASE_REVOKED;
    l->until_ns = now_ns + LEASE_REVOKE_NS;
    return LEASE_ACT_REVOKE;
  case LEASE_REVOKED:
    if (now_ns < l->until_ns)
      return LEASE_ACT_NONE;
    *ret_who = l->holder;
    l->state = LEASE_EXPELLED;
    return LEASE_ACT_EXPEL;
  case LEASE_SETTLING:
    if (now_ns < l->until_ns)
      return LEASE_ACT_NONE;
    l->state = LEASE_FREE;
    return LEASE_ACT_SETTLE;
  case LEASE_EXPELLED:
    break;
  }
  return LEASE_ACT_NONE;
}

uint64_t
lease_next_ns (const struct lease *l)
{
  switch (l->state) {
  case LEASE_FOREIGN:
  case LEASE_REVOKED:
  case LEASE_SETTLING:
    return l->until_ns;
  case LEASE_FREE:
  case LEASE_HELD:
    return l->waiters ? 0 : UINT64_MAX;
  case LEASE_EXPELLED:
    break;
  }
  return UINT64_MAX;
}
