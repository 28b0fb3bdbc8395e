/* SPDX-License-Identifier: BSD-2-Clause */
/* What answers bring: out of memory that a worker can write, by one copy. */
#include "config.h"
#include "gateway/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/copy.h"

/* What is in doubt comes out of the log; bytes: what the slot's READ got. */
static int
overlay (struct link *l, uint32_t slot, uint8_t *bytes)
{
  const struct ring_request *r = &l->inflight.slot[slot].request;
  int result = 0;

  pthread_mutex_lock (&l->lock);
  if (l->proof.stale[slot])
    result = ASK_AGAIN;
  else
    retained_overlay (&l->proof.log, bytes, r->offset, r->length);
  pthread_mutex_unlock (&l->lock);
  return result;
}

static const uint8_t *
read_chunk (const struct link *l, uint32_t slot)
{
  const struct path *p = &l->path[l->inflight.slot[slot].path];

  return (const uint8_t *)p->channel.base[CHANNEL_READ_ARENA]
         + (size_t)slot * CHANNEL_CHUNK_BYTES;
}

/* The payload of a READ, out of memory that the worker can write, by one copy:
 * only that is used from here on, for the client and for the cache (DESIGN,
 * invariant 1). Without the lock. doubt: something is in doubt.
 */
static int
copy_payload_out (struct transfer *t, uint32_t slot, bool doubt)
{
  struct link *l = t->link;
  const struct ring_request *r = &l->inflight.slot[slot].request;
  uint64_t end = t->start + t->length_bytes;
  uint64_t r_end = r->offset + r->length;
  bool whole = r->offset >= t->start && r_end <= end;
  uint32_t pages = r->length / PAGE_BYTES;
  uint8_t *dst;

  if (whole)
    dst = t->read_buf + (r->offset - t->start);
  else if (!t->scratch && !(t->scratch = malloc (CHANNEL_CHUNK_BYTES)))
    return ENOMEM;
  else
    dst = t->scratch;
  copy_bytes (dst, read_chunk (l, slot), r->length);
  if (doubt && overlay (l, slot, dst))
    return ASK_AGAIN;
  if (!whole) {
    uint64_t from = r->offset > t->start ? r->offset : t->start;
    uint64_t to = r_end < end ? r_end : end;

    copy_bytes (t->read_buf + (from - t->start), dst + (from - r->offset),
                to - from);
  }
  /* Whole pages only. The one that the volume ends in is never cached: to
   * another gateway, or to this one soon, it may have grown.
   */
  if (l->hot.view && pages && r->offset % PAGE_BYTES == 0)
    hot_offer (&l->hot, r->offset / PAGE_BYTES, pages, l->version[slot], dst);
  return 0;
}

/* A STATUS is answered by one piece, which may be wider than what was asked. A
 * worker may say what it likes: copy, check, use.
 */
static int
take_extents (struct transfer *t, uint32_t slot)
{
  struct link *l = t->link;
  const struct inflight_slot *s = &l->inflight.slot[slot];
  uint64_t at = s->request.offset, end = t->start + t->length_bytes;
  uint32_t n = s->answer_bytes / (uint32_t)sizeof (struct io_extent);
  uint64_t left = s->request.length;

  memcpy (t->extents, read_chunk (l, slot), n * sizeof (struct io_extent));
  if (retained_in_doubt (&l->proof.log, at, left)) {
    t->extents[0] = (struct io_extent){.length = left}; /* data, maybe */
    n = 1;
  }
  for (uint32_t i = 0; i < n; i++) {
    struct io_extent x = t->extents[i];
    uint64_t x_end = at + x.length < end ? at + x.length : end;

    if (!x.length || x.length > left
        || (x.flags & ~(IO_EXTENT_HOLE | IO_EXTENT_ZERO)))
      return EIO;
    left -= x.length;
    if (x_end > t->start && at < end)
      t->extents[t->n_extents++]
        = (struct io_extent){.length = x_end - (at > t->start ? at : t->start),
                             .flags = x.flags};
    at += x.length;
  }
  return t->n_extents ? 0 : EIO;
}

int
transfer_take (struct transfer *t, uint32_t slot)
{
  struct link *l = t->link;
  bool doubt = l->proof.log.doubts > 0;
  int result;

  if (doubt_read_stale (l, slot))
    return ASK_AGAIN;
  if (t->op == IO_STATUS)
    return take_extents (t, slot);
  pthread_mutex_unlock (&l->lock);
  result = copy_payload_out (t, slot, doubt);
  pthread_mutex_lock (&l->lock);
  return result;
}

/* The payload of what was joined: as in copy_payload_out, a copy of its own of
 * what the worker can write. The cache gets the owner's.
 */
bool
transfer_take_joined (struct transfer *t, const struct piece *p)
{
  struct link *l = t->link;
  const struct inflight_slot *s = &l->inflight.slot[p->slot];
  uint8_t *dst = t->read_buf + (p->offset - t->start);
  const uint8_t *src
    = read_chunk (l, p->slot) + (p->offset - s->request.offset);

  if (s->error || s->server_errno || doubt_read_stale (l, p->slot))
    return false;
  pthread_mutex_unlock (&l->lock);
  copy_bytes (dst, src, p->bytes);
  pthread_mutex_lock (&l->lock);
  if (l->proof.stale[p->slot])
    return false;
  if (l->proof.log.doubts)
    retained_overlay (&l->proof.log, dst, p->offset, p->bytes);
  return true;
}
