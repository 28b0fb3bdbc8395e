/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/retained.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLAB_ENTRIES 256u
/* A write under way may add itself, and split an older entry in two. */
#define ENTRIES_A_WRITE 2u
#define ALL_MARKS UINT64_MAX

struct retained_slab {
  struct retained_slab *next;
  struct retained_entry entry[SLAB_ENTRIES];
};

_Static_assert (RETAINED_BUFFER_MIN << (RETAINED_CLASSES - 1)
                  == RETAINED_PAYLOAD_MAX,
                "the largest buffer holds the largest payload");

static const uint8_t no_token[IO_TOKEN_BYTES];

void
retained_init (struct retained *r, uint64_t limit_bytes)
{
  assert (limit_bytes == 0 || limit_bytes >= RETAINED_LIMIT_MIN);
  memset (r, 0, sizeof *r);
  r->limit_bytes = limit_bytes;
  r->random = 0x9e3779b97f4a7c15ull;
  r->list.next = r->list.prev = &r->list;
}

/* ------------------------------------------------------------- buffers --- */

static uint64_t
buffer_bytes (uint32_t class_index)
{
  return (uint64_t)RETAINED_BUFFER_MIN << class_index;
}

static void
free_one_buffer (struct retained *r, uint32_t class_index)
{
  struct retained_buffer *b = r->free_buffer[class_index];

  r->free_buffer[class_index] = b->next;
  r->spare_bytes -= buffer_bytes (class_index);
  free (b);
}

/* L3: what is kept for use again makes room, the largest first. */
static void
shrink_spare (struct retained *r, uint64_t to_bytes)
{
  for (uint32_t c = RETAINED_CLASSES; c-- > 0;)
    while (r->spare_bytes > to_bytes && r->free_buffer[c])
      free_one_buffer (r, c);
}

static enum err
buffer_get (struct retained *r, uint32_t length_bytes,
            struct retained_buffer **ret)
{
  struct retained_buffer *b;
  uint32_t c = 0;

  while (buffer_bytes (c) < length_bytes)
    c++;
  if (r->used_bytes + buffer_bytes (c) > r->limit_bytes)
    return ERR_AGAIN;
  b = r->free_buffer[c];
  if (b) {
    r->free_buffer[c] = b->next;
    r->spare_bytes -= buffer_bytes (c);
  } else {
    shrink_spare (r, r->limit_bytes - r->used_bytes - buffer_bytes (c));
    b = aligned_alloc (COPY_ASIDE_ALIGN, sizeof *b + buffer_bytes (c));
    if (!b)
      return ERR_NOMEM;
    b->class_index = c;
  }
  b->users = 1;
  r->used_bytes += buffer_bytes (c);
  *ret = b;
  return ERR_OK;
}

static void
buffer_put (struct retained *r, struct retained_buffer *b)
{
  if (!b || --b->users)
    return;
  r->used_bytes -= buffer_bytes (b->class_index);
  r->spare_bytes += buffer_bytes (b->class_index);
  b->next = r->free_buffer[b->class_index];
  r->free_buffer[b->class_index] = b;
}

/* ------------------------------------------------------------- entries --- */

/* At least so many spare ones, so that L2 holds. */
static enum err
provide_entries (struct retained *r, uint32_t n)
{
  while (r->spare_entries < n) {
    struct retained_slab *slab = malloc (sizeof *slab);

    if (!slab)
      return ERR_NOMEM;
    slab->next = r->slabs;
    r->slabs = slab;
    for (uint32_t i = 0; i < SLAB_ENTRIES; i++) {
      slab->entry[i].next = r->spare;
      r->spare = &slab->entry[i];
    }
    r->spare_entries += SLAB_ENTRIES;
  }
  return ERR_OK;
}

static struct retained_entry *
entry_get (struct retained *r)
{
  struct retained_entry *e = r->spare;

  assert (e && r->entries < RETAINED_ENTRIES); /* L2 */
  r->spare = e->next;
  r->spare_entries--;
  r->entries++;
  return e;
}

/* Treap: heap by priority, search tree by offset; entries are disjoint, so
 * that it is ordered by end as well.
 */
static void
tree_insert (struct retained *r, struct retained_entry *e)
{
  struct retained_entry **p = &r->root;
  struct retained_entry **l = &e->left, **g = &e->right;
  struct retained_entry *t;

  r->random ^= r->random << 13;
  r->random ^= r->random >> 7;
  r->random ^= r->random << 17;
  e->priority = (uint32_t)(r->random >> 32);
  while (*p && (*p)->priority > e->priority)
    p = e->offset < (*p)->offset ? &(*p)->left : &(*p)->right;
  t = *p;
  *p = e;
  /* What was there is parted into what lies before e and what behind. */
  while (t)
    if (t->offset < e->offset) {
      *l = t;
      l = &t->right;
      t = t->right;
    } else {
      *g = t;
      g = &t->left;
      t = t->left;
    }
  *l = *g = NULL;
}

static void
tree_remove (struct retained *r, const struct retained_entry *e)
{
  struct retained_entry **p = &r->root;
  struct retained_entry *a = e->left, *b = e->right;

  while (*p != e)
    p = e->offset < (*p)->offset ? &(*p)->left : &(*p)->right;
  while (a && b)
    if (a->priority > b->priority) {
      *p = a;
      p = &a->right;
      a = a->right;
    } else {
      *p = b;
      p = &b->left;
      b = b->left;
    }
  *p = a ? a : b;
}

/* The first entry that ends behind offset. */
static struct retained_entry *
tree_first (const struct retained *r, uint64_t offset)
{
  struct retained_entry *best = NULL;

  for (struct retained_entry *t = r->root; t;)
    if (t->end > offset) {
      best = t;
      t = t->left;
    } else
      t = t->right;
  return best;
}

static void
insert (struct retained *r, struct retained_entry *e,
        struct retained_entry *before)
{
  e->next = before;
  e->prev = before->prev;
  e->prev->next = e;
  before->prev = e;
  if (e->doubt)
    r->doubts++;
  tree_insert (r, e);
}

static void
drop (struct retained *r, struct retained_entry *e)
{
  tree_remove (r, e);
  e->prev->next = e->next;
  e->next->prev = e->prev;
  if (e->doubt)
    r->doubts--;
  buffer_put (r, e->buffer);
  e->next = r->spare;
  r->spare = e;
  r->spare_entries++;
  r->entries--;
}

static void
set_doubt (struct retained *r, struct retained_entry *e, bool doubt)
{
  if (doubt != e->doubt)
    r->doubts += doubt ? 1 : -1u;
  e->doubt = doubt;
}

static void
cut_front (struct retained_entry *e, uint64_t offset)
{
  if (e->buffer)
    e->buffer_at += (uint32_t)(offset - e->offset);
  e->offset = offset;
}

/* The part of e from offset on becomes an entry of its own. */
static void
split (struct retained *r, struct retained_entry *e, uint64_t offset)
{
  struct retained_entry *rest = entry_get (r);

  *rest = *e;
  if (rest->buffer)
    rest->buffer->users++;
  cut_front (rest, offset);
  e->end = offset;
  insert (r, rest, e->next);
}

/* L1 */
static void
take_out (struct retained *r, uint64_t offset, uint64_t end)
{
  struct retained_entry *e;

  while ((e = tree_first (r, offset)) && e->offset < end) {
    if (e->end > end && e->offset < offset)
      split (r, e, end);
    if (e->offset < offset)
      e->end = offset;
    else if (e->end > end)
      cut_front (e, end);
    else
      drop (r, e);
  }
}

void
retained_clear (struct retained *r)
{
  while (r->list.next != &r->list)
    drop (r, r->list.next);
}

void
retained_fini (struct retained *r)
{
  retained_clear (r);
  shrink_spare (r, 0);
  while (r->slabs) {
    struct retained_slab *slab = r->slabs;

    r->slabs = slab->next;
    free (slab);
  }
}

/* -------------------------------------------------------------- writes --- */

enum err
retained_reserve (struct retained *r, enum io_op op, uint32_t flags,
                  uint32_t length_bytes, struct retained_room *ret)
{
  struct retained_buffer *b = NULL;
  enum err e;

  assert (op != IO_WRITE || length_bytes <= RETAINED_PAYLOAD_MAX);
  if (!r->limit_bytes) {
    *ret = (struct retained_room){0};
    return ERR_OK;
  }
  if (r->entries + r->reserved + ENTRIES_A_WRITE > RETAINED_ENTRIES)
    return ERR_AGAIN;
  if ((e = provide_entries (r, r->reserved + ENTRIES_A_WRITE)))
    return e;
  if (op == IO_WRITE && !(flags & IO_FUA)
      && (e = buffer_get (r, length_bytes, &b)))
    return e;
  r->reserved += ENTRIES_A_WRITE;
  *ret = (struct retained_room){.reserved = true, .buffer = b};
  return ERR_OK;
}

void
retained_release (struct retained *r, struct retained_room *room)
{
  if (!room->reserved)
    return;
  r->reserved -= ENTRIES_A_WRITE;
  buffer_put (r, room->buffer);
  *room = (struct retained_room){0};
}

void
retained_acknowledged (struct retained *r, struct retained_room *room,
                       enum io_op op, uint32_t flags, uint64_t offset,
                       uint32_t length_bytes,
                       const uint8_t token[IO_TOKEN_BYTES])
{
  struct retained_entry *e;

  if (!room->reserved)
    return;
  take_out (r, offset, offset + length_bytes);
  if (!(flags & IO_FUA) && memcmp (token, no_token, IO_TOKEN_BYTES) != 0) {
    e = entry_get (r);
    *e = (struct retained_entry){.offset = offset,
                                 .end = offset + length_bytes,
                                 .order = r->clock + 1,
                                 .stamp = r->clock + 1,
                                 .op = op,
                                 .flags = flags,
                                 .buffer = room->buffer};
    memcpy (e->token, token, IO_TOKEN_BYTES);
    room->buffer = NULL;
    r->clock++;
    insert (r, e, &r->list);
  }
  retained_release (r, room);
}

/* -------------------------------------------------------------- proofs --- */

uint32_t
retained_prove (struct retained *r, const uint8_t token[IO_TOKEN_BYTES],
                uint64_t mark)
{
  uint32_t proven = 0;

  if (memcmp (token, no_token, IO_TOKEN_BYTES) == 0)
    return 0;
  /* Orders only grow along the list, and no stamp is older than its order. */
  for (struct retained_entry *e = r->list.next, *next;
       e != &r->list && e->order <= mark; e = next) {
    next = e->next;
    if (e->stamp > mark || memcmp (e->token, token, IO_TOKEN_BYTES) != 0)
      continue;
    drop (r, e);
    proven++;
  }
  return proven;
}

void
retained_not_proven (struct retained *r, uint64_t mark)
{
  for (struct retained_entry *e = r->list.next; e != &r->list; e = e->next)
    if (e->stamp <= mark) {
      memcpy (e->token, no_token, IO_TOKEN_BYTES);
      set_doubt (r, e, true);
    }
}

bool
retained_left (const struct retained *r, uint64_t mark)
{
  return r->list.next != &r->list && r->list.next->order <= mark;
}

void
retained_doubt (struct retained *r, uint64_t mark)
{
  for (struct retained_entry *e = r->list.next; e != &r->list; e = e->next)
    if (e->stamp <= mark)
      set_doubt (r, e, true);
}

const struct retained_entry *
retained_replay (struct retained *r, uint64_t mark)
{
  if (r->doubts)
    for (struct retained_entry *e = r->list.next;
         e != &r->list && e->order <= mark; e = e->next)
      if (e->doubt && !e->replaying) {
        e->replaying = true;
        return e;
      }
  return NULL;
}

void
retained_again (struct retained *r, uint64_t offset, uint32_t length_bytes,
                const uint8_t token[IO_TOKEN_BYTES])
{
  uint64_t at = offset, end = offset + length_bytes;
  struct retained_entry *e;

  r->clock++;
  while ((e = tree_first (r, at)) && e->offset < end) {
    at = e->end;
    if (!e->replaying || e->offset < offset || e->end > end)
      continue;
    e->replaying = false;
    if (memcmp (token, no_token, IO_TOKEN_BYTES) == 0)
      continue; /* proves nothing, and cannot be proven: still in doubt */
    e->stamp = r->clock;
    memcpy (e->token, token, IO_TOKEN_BYTES);
    set_doubt (r, e, false);
  }
}

void
retained_not_again (struct retained *r, uint64_t offset,
                    uint32_t length_bytes)
{
  uint64_t end = offset + length_bytes;
  struct retained_entry *e;

  for (uint64_t at = offset; (e = tree_first (r, at)) && e->offset < end;
       at = e->end)
    e->replaying = false;
}

void
retained_turn_over (struct retained *r)
{
  for (struct retained_entry *e = r->list.next; e != &r->list; e = e->next)
    e->replaying = false;
}

/* --------------------------------------------------------------- reads --- */

bool
retained_in_doubt (const struct retained *r, uint64_t offset,
                   uint64_t length_bytes)
{
  uint64_t end = offset + length_bytes;
  const struct retained_entry *e;

  if (r->doubts)
    for (uint64_t at = offset; (e = tree_first (r, at)) && e->offset < end;
         at = e->end)
      if (e->doubt)
        return true;
  return false;
}

/* The part of e that is in [offset, offset + length_bytes), which buf is. */
static void
copy_part (const struct retained_entry *e, uint8_t *buf, uint64_t offset,
           uint32_t length_bytes)
{
  uint64_t from = e->offset > offset ? e->offset : offset;
  uint64_t end = offset + length_bytes;
  uint64_t to = e->end < end ? e->end : end;

  if (e->op == IO_WRITE)
    memcpy (buf + (from - offset), retained_payload (e) + (from - e->offset),
            to - from);
  else if (e->op == IO_ZERO)
    memset (buf + (from - offset), 0, to - from);
}

void
retained_overlay (const struct retained *r, void *buf, uint64_t offset,
                  uint32_t length_bytes)
{
  uint64_t end = offset + length_bytes;
  const struct retained_entry *e;

  if (r->doubts)
    for (uint64_t at = offset; (e = tree_first (r, at)) && e->offset < end;
         at = e->end)
      if (e->doubt)
        copy_part (e, buf, offset, length_bytes);
}

uint32_t
retained_front (const struct retained *r, void *buf, uint64_t offset,
                uint32_t length_bytes)
{
  uint64_t end = offset + length_bytes;
  uint64_t at = offset;
  const struct retained_entry *e;

  if (r->doubts)
    while (at < end && (e = tree_first (r, at)) && e->offset <= at && e->doubt
           && e->op != IO_TRIM) {
      copy_part (e, buf, offset, length_bytes);
      at = e->end;
    }
  return at < end ? (uint32_t)(at - offset) : length_bytes;
}
