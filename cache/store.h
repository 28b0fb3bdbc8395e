/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's side of a volume's cached pages: what goes in, what must go.
 * Pure: no system call, no clock, no thread primitive inside. One thread.
 *
 * Eviction is CLOCK over the slots: a page that was inserted again (its data
 * was read once more because it had been pushed out of somebody's view, or was
 * written) is given another round. A later issue makes it S3-FIFO; nothing
 * outside this file knows.
 *
 * Invariants: those of ipc/pages.h, and
 *   C1  owner[slot] is the entry that names the slot, or none: P3 holds.
 *   C2  touched <= slots; slots from touched on were never written: their
 *       memory costs nothing. touched grows only below allowed.
 */
#ifndef BH_CACHE_STORE_H
#define BH_CACHE_STORE_H

#include "ipc/pages.h"

struct store {
  struct page_index *index;
  uint8_t *data;
  uint32_t entries;
  uint32_t slots;
  uint32_t *owner;  /* entry of each slot; STORE_NO_ENTRY */
  uint8_t *again;   /* CLOCK's bit of each slot */
  uint32_t hand;    /* next slot to look at, below touched */
  uint32_t touched;
  uint32_t allowed; /* the caller's, at any time; at first all slots */
  uint64_t inserts; /* counters for status and tests */
  uint64_t evictions;
};

#define STORE_NO_ENTRY UINT32_MAX

/* index and data: zeroed objects of pages_index_bytes (slots) and slots *
 * PAGE_BYTES that the caller keeps mapped. ERR_NOMEM.
 */
enum err store_init (struct store *s, struct page_index *index, void *data,
                     uint32_t slots);
void store_fini (struct store *s);

/* Puts PAGE_BYTES bytes in as this version of the page. bytes must be memory
 * that nobody else writes. Does nothing if no slot was ever allowed.
 */
void store_insert (struct store *s, uint64_t page, uint64_t version,
                   const void *bytes);
/* Whether any version of the page is in it. */
bool store_has (const struct store *s, uint64_t page);
/* Gives up all slots from touched_slots on; the caller then frees the memory of
 * their pages.
 */
void store_shrink (struct store *s, uint32_t touched_slots);
/* Empties it: an outside change was seen. */
void store_drop_all (struct store *s);

#endif
