/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/v4_slots.h"

#include <assert.h>
#include <string.h>

#include "common/wire.h"

#define ENTRIES_AT 136u
#define ENTRY_BYTES 24u

_Static_assert (ENTRIES_AT >= V4_SLOTS, "a byte for each slot");
_Static_assert (ENTRIES_AT + V4_SLOTS * ENTRY_BYTES == V4_SLOTS_PAGE_BYTES,
                "layout");

/* The page's byte of a slot: 0 idle, else the operation and its FUA bit. */
#define PAGE_FUA 0x80u

static void
write_entry (struct v4_slots *s, uint16_t i)
{
  const struct v4_slot *slot = &s->slot[i];
  struct wirebuf b =
      wirebuf_init (s->page + ENTRIES_AT + i * ENTRY_BYTES, ENTRY_BYTES);

  wirebuf_u64 (&b, slot->work.tag);
  wirebuf_u64 (&b, slot->work.offset);
  wirebuf_u32 (&b, slot->sequenceid);
  wirebuf_u32 (&b, slot->work.length);
}

/* Last, as a worker may be killed between any two stores. */
static void
write_state (struct v4_slots *s, uint16_t i)
{
  const struct v4_slot *slot = &s->slot[i];
  uint8_t state = 0;

  if (slot->state != V4_SLOT_IDLE)
    state = (uint8_t)((unsigned)slot->work.op
                      | (slot->work.fua ? PAGE_FUA : 0));
  __atomic_signal_fence (__ATOMIC_SEQ_CST);
  ((volatile uint8_t *)s->page)[i] = state;
}

void
v4_slots_new (struct v4_slots *s, uint8_t *page, unsigned count)
{
  assert (count >= 2 && count <= V4_SLOTS);
  memset (s, 0, sizeof *s);
  memset (page, 0, V4_SLOTS_PAGE_BYTES);
  s->page = page;
  s->count = s->limit = count;
}

void
v4_slots_resume (struct v4_slots *s, uint8_t *page, unsigned count)
{
  assert (count >= 2 && count <= V4_SLOTS);
  memset (s, 0, sizeof *s);
  s->page = page;
  s->count = s->limit = count;
  for (uint16_t i = 0; i < count; i++) {
    struct v4_slot *slot = &s->slot[i];
    uint8_t state = page[i];
    uint8_t entry[ENTRY_BYTES];
    struct wire w = wire_init (entry, sizeof entry);

    memcpy (entry, page + ENTRIES_AT + i * ENTRY_BYTES, sizeof entry);
    slot->work.tag = wire_u64 (&w);
    slot->work.offset = wire_u64 (&w);
    slot->sequenceid = wire_u32 (&w);
    slot->work.length = wire_u32 (&w);
    slot->work.op = (enum io_op) (state & ~PAGE_FUA);
    slot->work.fua = state & PAGE_FUA;
    slot->state = state ? V4_SLOT_LEFT : V4_SLOT_IDLE;
    if (state && i > 0)
      s->left++;
  }
}

static bool
same_work (const struct v4_work *a, const struct v4_work *b)
{
  return a->op != IO_READ && a->op != IO_STATUS && a->tag == b->tag
         && a->offset == b->offset && a->length == b->length
         && a->op == b->op && a->fua == b->fua;
}

static bool
changes (enum io_op op)
{
  return op == IO_WRITE || op == IO_TRIM || op == IO_ZERO;
}

static bool
overtakes (const struct v4_work *w, const struct v4_work *left)
{
  return changes (w->op) && changes (left->op)
         && w->offset < left->offset + left->length
         && left->offset < w->offset + w->length;
}

uint16_t
v4_slots_find (const struct v4_slots *s, const struct v4_work *w)
{
  uint16_t idle = V4_NO_SLOT;

  for (uint16_t i = 1; i < s->count; i++) {
    const struct v4_slot *slot = &s->slot[i];

    if (slot->state == V4_SLOT_LEFT && !slot->settling
        && same_work (&slot->work, w))
      return i;
    if (slot->state == V4_SLOT_LEFT && overtakes (w, &slot->work))
      return V4_NO_SLOT;
    if (idle == V4_NO_SLOT && slot->state == V4_SLOT_IDLE && i < s->limit) {
      idle = i;
      if (s->left == 0)
        break;
    }
  }
  return idle;
}

uint32_t
v4_slots_begin (struct v4_slots *s, uint16_t i, const struct v4_work *w)
{
  struct v4_slot *slot = &s->slot[i];

  assert (i < s->count && slot->state != V4_SLOT_BUSY);
  if (slot->state == V4_SLOT_LEFT) {
    if (i > 0)
      s->left--;
  } else {
    slot->sequenceid++; /* S1; wraps around */
  }
  slot->work = *w;
  slot->settling = false;
  slot->state = V4_SLOT_BUSY;
  if (i > 0)
    s->busy++;
  write_entry (s, i);
  write_state (s, i);
  return slot->sequenceid;
}

void
v4_slots_end (struct v4_slots *s, uint16_t i)
{
  struct v4_slot *slot = &s->slot[i];

  assert (i < s->count && slot->state != V4_SLOT_IDLE);
  if (i > 0 && slot->state == V4_SLOT_BUSY)
    s->busy--;
  else if (i > 0)
    s->left--;
  slot->state = V4_SLOT_IDLE;
  slot->settling = false;
  write_state (s, i);
}

void
v4_slots_leave (struct v4_slots *s, uint16_t i)
{
  struct v4_slot *slot = &s->slot[i];

  assert (i < s->count && slot->state != V4_SLOT_IDLE);
  if (i > 0 && slot->state == V4_SLOT_BUSY) {
    s->busy--;
    s->left++;
  }
  slot->state = V4_SLOT_LEFT;
  slot->settling = false;
}

uint16_t
v4_slots_to_settle (const struct v4_slots *s)
{
  for (uint16_t i = 1; s->left > 0 && i < s->count; i++)
    if (s->slot[i].state == V4_SLOT_LEFT && !s->slot[i].settling)
      return i;
  return V4_NO_SLOT;
}

uint32_t
v4_slots_highest (const struct v4_slots *s, uint16_t slot)
{
  uint16_t i = (uint16_t)(s->count - 1);

  while (i > slot && s->slot[i].state == V4_SLOT_IDLE)
    i--;
  return i;
}

void
v4_slots_target (struct v4_slots *s, uint32_t target_highest_slotid)
{
  unsigned limit = target_highest_slotid < s->count
                       ? (unsigned)target_highest_slotid + 1
                       : s->count;

  /* One is for the engine; with less than one more nothing would go on. */
  s->limit = limit < 2 ? 2 : limit;
}
