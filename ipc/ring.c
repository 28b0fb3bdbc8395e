/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/ring.h"

#include <string.h>

#define SLOT(i) ((i) & (RING_ENTRIES - 1))

_Static_assert ((RING_ENTRIES & (RING_ENTRIES - 1)) == 0, "a power of two");

void
ring_object_reset (struct ring_object *o, uint64_t epoch)
{
  atomic_store_explicit (&o->epoch, 0, memory_order_relaxed);
  atomic_thread_fence (memory_order_seq_cst);
  memset (o, 0, sizeof *o);
  o->magic = RING_MAGIC;
  o->entries = RING_ENTRIES;
  atomic_store_explicit (&o->epoch, epoch, memory_order_release);
}

void
ring_init (struct ring *r, struct ring_object *mine,
           const struct ring_object *peer)
{
  *r = (struct ring){
    .mine = mine,
    .peer = peer,
    .epoch = atomic_load_explicit (&mine->epoch, memory_order_relaxed),
  };
}

/* One of the peer's indices; 0 until it has begun this epoch (R4). */
static uint32_t
peer_index (const struct ring *r, const _Atomic uint32_t *index)
{
  if (atomic_load_explicit (&r->peer->epoch, memory_order_acquire)
      != r->epoch)
    return 0;
  return atomic_load_explicit (index, memory_order_acquire);
}

uint32_t
ring_peer_head (const struct ring *r)
{
  return peer_index (r, &r->peer->head);
}

enum err
ring_push (struct ring *r, const union ring_entry *e)
{
  /* acquire: the slot's old entry was read before the peer advanced head */
  uint32_t used = r->tail - peer_index (r, &r->peer->head);

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
  sleep = peer_index (r, &r->peer->sleep);
  if (!(sleep & 1) || sleep == r->woken_for)
    return false;
  r->woken_for = sleep;
  return true;
}

bool
ring_has_input (const struct ring *r)
{
  return peer_index (r, &r->peer->tail) != r->head;
}

enum err
ring_pop (struct ring *r, union ring_entry *ret_entry)
{
  uint32_t ready = peer_index (r, &r->peer->tail) - r->head;

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
