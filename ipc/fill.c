/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/fill.h"

/* The daemon may still read the chunk of the entry that it took last, so one
 * chunk less than there are is handed out.
 */
uint8_t *
fill_room (const struct ring *r, uint8_t *arena)
{
  uint32_t used = r->tail - ring_peer_head (r);

  if (used >= FILL_CHUNKS - 1)
    return NULL;
  return arena + (size_t)(r->tail % FILL_CHUNKS) * FILL_CHUNK_BYTES;
}

bool
fill_offer (struct ring *r, uint64_t first_page, uint32_t pages)
{
  union ring_entry e = {.request = {
    .offset = first_page,
    .length = pages,
    .arena_offset = (uint64_t)(r->tail % FILL_CHUNKS) * FILL_CHUNK_BYTES,
  }};

  return ring_push (r, &e) == ERR_OK && ring_wake_needed (r);
}

enum err
fill_take (struct ring *r, const uint8_t *arena, uint64_t *ret_first_page,
           uint32_t *ret_pages, const uint8_t **ret_chunk)
{
  union ring_entry e;
  uint32_t chunk = r->head % FILL_CHUNKS;
  enum err err = ring_pop (r, &e);

  if (err)
    return err;
  if (e.request.length == 0 || e.request.length > FILL_PAGES
      || e.request.offset > PAGE_NONE - FILL_PAGES
      || e.request.arena_offset != (uint64_t)chunk * FILL_CHUNK_BYTES)
    return ERR_PEER;
  *ret_first_page = e.request.offset;
  *ret_pages = e.request.length;
  *ret_chunk = arena + (size_t)chunk * FILL_CHUNK_BYTES;
  return ERR_OK;
}
