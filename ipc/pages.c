/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/pages.h"

#include <string.h>

#include "common/copy.h"

/* ThreadSanitizer must see the race as one between atomics; elsewhere memcpy,
 * between the fences of the callers, does the same.
 */
#ifdef BH_TSAN
static bool
word_aligned (const void *shared, size_t length_bytes)
{
  return ((uintptr_t)shared | length_bytes) % 8 == 0;
}

void
racy_copy_out (void *dst, const void *shared, size_t length_bytes)
{
  const _Atomic uint8_t *s = shared;
  const _Atomic uint64_t *words = shared;

  if (word_aligned (shared, length_bytes))
    for (size_t i = 0; i < length_bytes / 8; i++) {
      uint64_t w = atomic_load_explicit (&words[i], memory_order_relaxed);

      memcpy ((uint8_t *)dst + i * 8, &w, 8);
    }
  else
    for (size_t i = 0; i < length_bytes; i++)
      ((uint8_t *)dst)[i] = atomic_load_explicit (&s[i], memory_order_relaxed);
}

/* Whole pages only. */
void
racy_copy_in (void *shared, const void *src, size_t length_bytes)
{
  _Atomic uint64_t *words = shared;

  for (size_t i = 0; i < length_bytes / 8; i++) {
    uint64_t w;

    memcpy (&w, (const uint8_t *)src + i * 8, 8);
    atomic_store_explicit (&words[i], w, memory_order_relaxed);
  }
}
#else
void
racy_copy_out (void *dst, const void *shared, size_t length_bytes)
{
  copy_bytes (dst, shared, length_bytes);
}

void
racy_copy_in (void *shared, const void *src, size_t length_bytes)
{
  copy_bytes (shared, src, length_bytes);
}
#endif

enum err
pages_open (const struct page_index *index, size_t index_bytes,
            const void *data, size_t data_bytes, struct page_map *ret)
{
  uint32_t slots, entries;

  if (index_bytes < sizeof *index || index->magic != PAGES_MAGIC)
    return ERR_VERSION;
  slots = index->slots;
  entries = index->entries;
  if (slots == 0 || slots > UINT32_MAX / 4
      || entries != pages_entries_for (slots)
      || index_bytes != pages_index_bytes (slots)
      || data_bytes != (size_t)slots * PAGE_BYTES)
    return ERR_VERSION;
  *ret = (struct page_map){index, data, entries, slots};
  return ERR_OK;
}

/* One entry; true if it named the page, was whole and counts. */
static bool
try_entry (const struct page_map *m, const struct stripe_map *stripes,
           const struct page_entry *e, uint64_t page, uint32_t offset,
           uint32_t length_bytes, void *dst)
{
  uint64_t seq = atomic_load_explicit (&e->seq, memory_order_acquire);
  uint64_t version, now;
  uint32_t slot;

  if ((seq & 1) != 0
      || atomic_load_explicit (&e->page, memory_order_relaxed) != page)
    return false;
  version = atomic_load_explicit (&e->version, memory_order_relaxed);
  slot = atomic_load_explicit (&e->slot, memory_order_relaxed);
  if (slot >= m->slots || !stripes_quiet (stripes, page, &now)
      || now != version)
    return false; /* P4 */
  racy_copy_out (dst, m->data + (size_t)slot * PAGE_BYTES + offset,
                 length_bytes);
  atomic_thread_fence (memory_order_acquire);
  return atomic_load_explicit (&e->seq, memory_order_relaxed) == seq; /* P2 */
}

bool
pages_lookup (const struct page_map *m, const struct stripe_map *stripes,
              uint64_t page, uint32_t offset, uint32_t length_bytes,
              void *dst)
{
  const struct page_entry *e
    = &m->index->entry[pages_bucket (m->entries, page)];

  if (page == PAGE_NONE)
    return false;
  for (uint32_t i = 0; i < PAGES_WAYS; i++)
    if (atomic_load_explicit (&e[i].page, memory_order_relaxed) == page
        && try_entry (m, stripes, &e[i], page, offset, length_bytes, dst))
      return true;
  return false;
}
