/* SPDX-License-Identifier: BSD-2-Clause */
/* Fills: pages that a gateway has read and offers to the daemon's cache, and
 * the objects of the cache that CONTROL_CACHE carries.
 *
 *   object        gateway     daemon      what
 *   index         read        read/write  page_index (ipc/pages.h)
 *   pages         read        read/write  slots * PAGE_BYTES
 *   stripes       read/write  read/write  stripes (ipc/stripes.h)
 *   fill ring     read/write  read        ring_object of the gateway
 *   fill arena    read/write  read        chunks
 *   fill answers  read        read/write  ring_object of the daemon (its head
 *                                         frees chunks; it has no entries)
 *   wake          eventfd: the gateway's write wakes the daemon
 *
 * A chunk is FILL_PAGES versions, padded to a page, then FILL_PAGES pages.
 * Chunk i belongs to ring position i modulo FILL_CHUNKS, so that nothing is
 * allocated. Nobody waits: if the ring is full the fill is dropped.
 *
 * Both rings run in epoch 1 for the life of the objects.
 */
#ifndef BH_IPC_FILL_H
#define BH_IPC_FILL_H

#include <string.h>

#include "ipc/channel.h"
#include "ipc/pages.h"
#include "ipc/ring.h"

#define FILL_CHUNKS 32u
#define FILL_PAGES 64u
#define FILL_CHUNK_BYTES ((size_t)PAGE_BYTES * (1 + FILL_PAGES))
#define FILL_ARENA_BYTES (FILL_CHUNKS * FILL_CHUNK_BYTES)
#define FILL_EPOCH 1u

/* Of a channel's chunk: what is read at a time may be several fills. */
#define CHUNK_PAGES (CHANNEL_CHUNK_BYTES / PAGE_BYTES)

_Static_assert (FILL_PAGES * sizeof (uint64_t) <= PAGE_BYTES, "one page");
_Static_assert (FILL_CHUNKS <= RING_ENTRIES, "a place for each chunk");

enum cache_object {
  CACHE_INDEX,
  CACHE_PAGES,
  CACHE_STRIPES,
  CACHE_FILL_RING,
  CACHE_FILL_ARENA,
  CACHE_FILL_ANSWERS,
  CACHE_FILL_WAKE,
  CACHE_FDS
};

/* One fill, as a ring_request: offset is the first page's number, length how
 * many pages (1 … FILL_PAGES), arena_offset the chunk's. Versions and pages
 * lie in the chunk; a version of PAGE_NONE: leave that page out.
 */

/* Gateway, under its fill lock: the chunk for the next fill, or NULL if all
 * are in use. */
uint8_t *fill_room (const struct ring *r, uint8_t *arena);
/* Gateway: publishes what was put into the chunk of fill_room. True if the
 * daemon must be woken.
 */
bool fill_offer (struct ring *r, uint64_t first_page, uint32_t pages);

/* Daemon: takes the next fill; checks all numbers. ERR_AGAIN, ERR_PEER. The
 * chunk may be written by the gateway meanwhile (a bug there, not a right):
 * copy each page once. The chunk is free again when the next one is taken.
 */
enum err fill_take (struct ring *r, const uint8_t *arena,
                    uint64_t *ret_first_page, uint32_t *ret_pages,
                    const uint8_t **ret_chunk);

static inline uint8_t *
fill_page (uint8_t *chunk, uint32_t i)
{
  return chunk + (size_t)PAGE_BYTES * (1 + i);
}

static inline void
fill_set_version (uint8_t *chunk, uint32_t i, uint64_t version)
{
  memcpy (chunk + i * sizeof version, &version, sizeof version);
}

static inline uint64_t
fill_version (const uint8_t *chunk, uint32_t i)
{
  uint64_t version;

  memcpy (&version, chunk + i * sizeof version, sizeof version);
  return version;
}

#endif
