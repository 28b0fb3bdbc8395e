/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume's cached pages: index and pages as two memory objects that only the
 * daemon writes, and that gateways map read-only and look things up in without
 * a system call, a lock or a wake-up.
 *
 * The index is a table of entries in buckets of PAGES_WAYS; a page has its
 * place in one bucket, by its hash. An entry names the slot (a page of the
 * pages object) where its data is, and the stripe version that it is of.
 *
 * Invariants
 *   P1  An entry's seq is odd while the daemon changes it; a reader takes an
 *       odd one as a miss and never spins.
 *   P2  Before the data of a slot is rewritten, the seq of the entry that named
 *       it has changed; so a reader that looks at seq again after its copy
 *       knows whether the copy is whole.
 *   P3  A slot is named by at most one entry.
 *   P4  What is found counts only if the stripes agree (stripes.h, S3).
 *
 * Readers: any thread, any process. Writer: the daemon's only thread
 * (cache/store.h).
 */
#ifndef BH_IPC_PAGES_H
#define BH_IPC_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "ipc/hash.h"
#include "ipc/stripes.h"

#define PAGE_BYTES STRIPE_PAGE_BYTES
#define PAGES_WAYS 8u
#define PAGES_MAGIC 0x62685031u /* "bhP1" */
#define PAGE_NONE UINT64_MAX

struct page_entry {
  _Atomic uint64_t seq;
  _Atomic uint64_t page; /* number in the volume; PAGE_NONE: empty */
  _Atomic uint64_t version;
  _Atomic uint32_t slot;
  uint32_t reserved;
};

struct page_index {
  uint32_t magic;
  uint32_t entries; /* a power of two, multiple of PAGES_WAYS */
  uint32_t slots;
  uint32_t reserved0;
  uint8_t reserved[48];
  struct page_entry entry[];
};

_Static_assert (sizeof (struct page_entry) == 32, "entry layout");
_Static_assert (offsetof (struct page_index, entry) == 64, "index layout");

/* One side's view; sizes are kept here, checked once. */
struct page_map {
  const struct page_index *index;
  const uint8_t *data; /* slots * PAGE_BYTES */
  uint32_t entries;
  uint32_t slots;
};

/* Two entries a slot, as a power of two. */
static inline uint32_t
pages_entries_for (uint32_t slots)
{
  uint32_t n = PAGES_WAYS;

  while (n < 2 * slots)
    n *= 2;
  return n;
}

static inline size_t
pages_index_bytes (uint32_t slots)
{
  return (sizeof (struct page_index)
          + (size_t)pages_entries_for (slots) * sizeof (struct page_entry)
          + 4095)
         / 4096 * 4096;
}

/* ERR_VERSION if the objects have another layout or size. */
enum err pages_open (const struct page_index *index, size_t index_bytes,
                     const void *data, size_t data_bytes,
                     struct page_map *ret);

static inline uint32_t
pages_bucket (uint32_t entries, uint64_t page)
{
  return (uint32_t)hash_page (page) & (entries - 1) & ~(PAGES_WAYS - 1);
}

/* Copies bytes [offset, offset + length_bytes) of a page (within the page) to
 * dst and returns true, if it is cached and counts. On false the contents of
 * dst are undefined. No system call, no lock, no wait.
 */
bool pages_lookup (const struct page_map *m, const struct stripe_map *stripes,
                   uint64_t page, uint32_t offset, uint32_t length_bytes,
                   void *dst);

/* Copies that race with a writer by design: bytes that are torn are thrown
 * away afterwards (P2).
 */
void racy_copy_out (void *dst, const void *shared, size_t length_bytes);
void racy_copy_in (void *shared, const void *src, size_t length_bytes);

#endif
