/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum err
store_init (struct store *s, struct page_index *index, void *data,
            uint32_t slots)
{
  struct store n = {.index = index, .data = data, .slots = slots,
                    .allowed = slots,
                    .entries = pages_entries_for (slots)};

  n.owner = malloc ((size_t)slots * sizeof *n.owner);
  n.again = calloc (slots, 1);
  if (!n.owner || !n.again) {
    store_fini (&n);
    return ERR_NOMEM;
  }
  for (uint32_t i = 0; i < slots; i++)
    n.owner[i] = STORE_NO_ENTRY;
  for (uint32_t i = 0; i < n.entries; i++)
    atomic_store_explicit (&index->entry[i].page, PAGE_NONE,
                           memory_order_relaxed);
  index->slots = slots;
  index->entries = n.entries;
  index->magic = PAGES_MAGIC;
  *s = n;
  return ERR_OK;
}

void
store_fini (struct store *s)
{
  free (s->owner);
  free (s->again);
  s->owner = NULL;
  s->again = NULL;
}

/* P1: between these two no reader trusts the entry. */
static void
entry_open (struct page_entry *e)
{
  uint64_t seq = atomic_load_explicit (&e->seq, memory_order_relaxed);

  atomic_store_explicit (&e->seq, seq + 1, memory_order_relaxed);
  atomic_thread_fence (memory_order_release);
}

static void
entry_close (struct page_entry *e)
{
  uint64_t seq = atomic_load_explicit (&e->seq, memory_order_relaxed);

  atomic_store_explicit (&e->seq, seq + 1, memory_order_release);
}

/* Takes an entry out of the index; its slot is nobody's then. */
static void
forget (struct store *s, uint32_t entry)
{
  struct page_entry *e = &s->index->entry[entry];
  uint32_t slot = atomic_load_explicit (&e->slot, memory_order_relaxed);

  assert (s->owner[slot] == entry); /* C1 */
  entry_open (e);
  atomic_store_explicit (&e->page, PAGE_NONE, memory_order_relaxed);
  entry_close (e);
  s->owner[slot] = STORE_NO_ENTRY;
  s->again[slot] = 0;
}

/* A slot without an owner; the clock's hand takes one away if it must. There is
 * a slot (C2).
 */
static uint32_t
free_slot (struct store *s)
{
  if (s->touched < s->slots && s->touched < s->allowed)
    return s->touched++;
  for (;;) {
    uint32_t slot = s->hand;

    s->hand = slot + 1 >= s->touched ? 0 : slot + 1;
    if (s->owner[slot] == STORE_NO_ENTRY)
      return slot;
    if (s->again[slot]) {
      s->again[slot] = 0;
      continue;
    }
    forget (s, s->owner[slot]);
    s->evictions++;
    return slot;
  }
}

/* The entry that has the page, else an empty one, else the bucket's next
 * victim.
 */
static uint32_t
entry_for (struct store *s, uint64_t page, bool *ret_found)
{
  uint32_t bucket = pages_bucket (s->entries, page);
  uint32_t empty = STORE_NO_ENTRY;

  *ret_found = false;
  for (uint32_t i = bucket; i < bucket + PAGES_WAYS; i++) {
    uint64_t has = atomic_load_explicit (&s->index->entry[i].page,
                                         memory_order_relaxed);

    if (has == page) {
      *ret_found = true;
      return i;
    }
    if (has == PAGE_NONE)
      empty = i;
  }
  if (empty == STORE_NO_ENTRY) {
    empty = bucket + (uint32_t)(s->inserts % PAGES_WAYS);
    forget (s, empty);
    s->evictions++;
  }
  return empty;
}

void
store_insert (struct store *s, uint64_t page, uint64_t version,
              const void *bytes)
{
  bool found;
  uint32_t entry, slot;
  struct page_entry *e;

  if (page == PAGE_NONE || (s->touched == 0 && s->allowed == 0))
    return;
  entry = entry_for (s, page, &found);
  e = &s->index->entry[entry];
  s->inserts++;
  if (found) {
    slot = atomic_load_explicit (&e->slot, memory_order_relaxed);
    s->again[slot] = 1;
  } else
    slot = free_slot (s);

  entry_open (e); /* P2: before the data of its slot changes */
  racy_copy_in (s->data + (size_t)slot * PAGE_BYTES, bytes, PAGE_BYTES);
  atomic_store_explicit (&e->page, page, memory_order_relaxed);
  atomic_store_explicit (&e->version, version, memory_order_relaxed);
  atomic_store_explicit (&e->slot, slot, memory_order_relaxed);
  s->owner[slot] = entry;
  entry_close (e);
}

bool
store_has (const struct store *s, uint64_t page)
{
  uint32_t bucket = pages_bucket (s->entries, page);

  for (uint32_t i = bucket; i < bucket + PAGES_WAYS; i++)
    if (atomic_load_explicit (&s->index->entry[i].page, memory_order_relaxed)
        == page)
      return true;
  return false;
}

void
store_shrink (struct store *s, uint32_t touched_slots)
{
  for (uint32_t slot = touched_slots; slot < s->touched; slot++)
    if (s->owner[slot] != STORE_NO_ENTRY)
      forget (s, s->owner[slot]);
  if (touched_slots < s->touched)
    s->touched = touched_slots;
  if (s->hand >= s->touched)
    s->hand = 0;
}

void
store_drop_all (struct store *s)
{
  for (uint32_t slot = 0; slot < s->touched; slot++)
    if (s->owner[slot] != STORE_NO_ENTRY)
      forget (s, s->owner[slot]);
}
