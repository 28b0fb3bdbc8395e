/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/ring.h"

#include <string.h>

#define SLOT(i) ((i) & (RING_ENTRIES - 1))

_Static_assert ((RING_ENTRIES & (RING_ENTRIES - 1)) == 0, "a power of two");

void
ring_init (struct ring *r, struct ring_object *mine,
           const struct ring_object *peer)
{
  *r = (struct ring){.mine = mine, .peer = peer};
}

void
ring_object_reset (struct ring_object *o, uint64_t epoch)
{
  memset (o, 0, sizeof *o);
  o->magic = RING_MAGIC;
  o->entries = RING_ENTRIES;
  o->epoch = epoch;
  atomic_thread_fence (memory_order_seq_cst);
}

enum err
ring_push (struct ring *r, const union ring_entry *e)
{
  /* acquire: the slot's old entry was read before the peer advanced head */
  uint32_t used
    = r->tail - atomic_load_explicit (&r->peer->head, memory_order_acquire);

  if (used > RING_ENTRIES)
    return ERR_PEER;
  if (used == RING_ENTRIES)
    return ERR_LIMIT;
  memcpy (&r->mine->entry[SLOT (r->tail)], e, sizeof *e);
  r->tail++;
  atomic_store_explicit (&r->mine->tail, r->tail, memory_order_release);
  return ERR_OK;
}

bool
ring_wake_needed (struct ring *r)
{
  uint32_t sleep;

  atomic_thread_fence (memory_order_seq_cst); /* R3 */
  sleep = atomic_load_explicit (&r->peer->sleep, memory_order_relaxed);
  if (!(sleep & 1) || sleep == r->woken_for)
    return false;
  r->woken_for = sleep;
  return true;
}

bool
ring_has_input (const struct ring *r)
{
  return atomic_load_explicit (&r->peer->tail, memory_order_acquire)
         != r->head;
}

enum err
ring_pop (struct ring *r, union ring_entry *ret_entry)
{
  uint32_t ready
    = atomic_load_explicit (&r->peer->tail, memory_order_acquire) - r->head;

  if (ready == 0)
    return ERR_AGAIN;
  if (ready > RING_ENTRIES)
    return ERR_PEER;
  memcpy (ret_entry, &r->peer->entry[SLOT (r->head)], sizeof *ret_entry);
  r->head++;
  atomic_store_explicit (&r->mine->head, r->head, memory_order_release);
  return ERR_OK;
}

bool
ring_sleep (struct ring *r)
{
  r->sleep++;
  atomic_store_explicit (&r->mine->sleep, r->sleep, memory_order_relaxed);
  atomic_thread_fence (memory_order_seq_cst); /* R3 */
  if (!ring_has_input (r))
    return true;
  ring_awake (r);
  return false;
}

void
ring_awake (struct ring *r)
{
  r->sleep++;
  atomic_store_explicit (&r->mine->sleep, r->sleep, memory_order_relaxed);
}
