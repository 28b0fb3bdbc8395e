/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/ahead.h"

#include <string.h>

#include "common/clock.h"
#include "common/copy.h"
#include "gateway/link_private.h"

static struct inflight_slot *
slot_of (struct link *l, const struct ahead_piece *a)
{
  return &l->inflight.slot[a->slot];
}

/* A1, A2 */
static void
drop (struct link *l, struct ahead_piece *a)
{
  if (!a->touched)
    prefetch_wasted (&l->ahead.prefetch);
  if (a->users) {
    a->doomed = true;
    return;
  }
  if (slot_of (l, a)->state == SLOT_DONE)
    inflight_put (&l->inflight, a->slot);
  else
    inflight_abandon (&l->inflight, a->slot);
  a->used = false;
  link_wake_blocked (l);
}

static struct ahead_piece *
free_piece (struct link *l)
{
  for (unsigned i = 0; i < AHEAD_PIECES; i++)
    if (!l->ahead.piece[i].used)
      return &l->ahead.piece[i];
  return NULL;
}

/* forward: for what is to be prefetched. What the reader of a stream comes to
 * next is the oldest there is: to give that up for what comes later would be to
 * ask for everything twice.
 */
static bool
spare (struct link *l, bool forward)
{
  struct ahead_piece *oldest = NULL;

  for (unsigned i = 0; i < AHEAD_PIECES; i++) {
    struct ahead_piece *a = &l->ahead.piece[i];

    if (a->used && !a->doomed && !a->users
        && slot_of (l, a)->state == SLOT_DONE
        && !(forward
             && prefetch_expected (&l->ahead.prefetch, a->offset, a->end))
        && (!oldest
            || slot_of (l, a)->sequence < slot_of (l, oldest)->sequence))
      oldest = a;
  }
  if (oldest)
    drop (l, oldest);
  return oldest;
}

bool
ahead_spare (struct link *l)
{
  return spare (l, false);
}

static bool
scanning (const struct link *l)
{
  const struct hot_view *v = l->hot.view;

  return v
         && l->ahead.prefetch.run_bytes
              > (uint64_t)v->pages.slots * PAGE_BYTES / AHEAD_SCAN_PART;
}

/* Pieces are whole pages, and whole blocks. */
static uint32_t
unit_of (const struct link *l)
{
  return l->info.block_min > PAGE_BYTES ? l->info.block_min : PAGE_BYTES;
}

/* One piece from offset on; returns its end, or offset if there is no room. */
static uint64_t
send_one (struct link *l, uint64_t offset, uint64_t to)
{
  uint32_t max = CHANNEL_CHUNK_BYTES < l->info.request_max
                   ? CHANNEL_CHUNK_BYTES
                   : l->info.request_max - l->info.request_max % unit_of (l);
  uint32_t n = to - offset < max ? (uint32_t)(to - offset) : max;
  struct ahead_piece *a = free_piece (l);
  uint64_t retry_ns;
  uint32_t slot;

  if (!a && spare (l, true))
    a = free_piece (l);
  if (!a || !n || l->inflight.free_slots <= AHEAD_RESERVE
      || inflight_get (&l->inflight, IO_READ, 0, offset, n, link_usable (l),
                       clock_now_ns (), &l->ahead, &slot, &retry_ns))
    return offset;
  hot_versions (&l->hot, offset / PAGE_BYTES,
                (n + PAGE_BYTES - 1) / PAGE_BYTES, l->version[slot]);
  doubt_read_sent (l, slot);
  inflight_ready (&l->inflight, slot);
  *a = (struct ahead_piece){.used = true, .slot = slot, .offset = offset,
                            .end = offset + n, .served_to = offset,
                            .scan = scanning (l)};
  return a->end;
}

void
ahead_note (struct link *l, uint64_t offset, uint32_t length_bytes)
{
  uint64_t from, to, at;

  if (!l->up || !l->hot.stripes.file || l->inflight.suspects
      || l->proof.log.doubts || doubt_elsewhere (l)
      || !prefetch_read (&l->ahead.prefetch, offset, length_bytes,
                         link_size (l), &from, &to))
    return;
  at = from - from % unit_of (l);
  to += (unit_of (l) - to % unit_of (l)) % unit_of (l);
  if (to > link_size (l))
    to = link_size (l);
  for (;;) {
    uint64_t end = send_one (l, at, to);

    if (end == at)
      break;
    at = end;
  }
  if (at <= from)
    return;
  prefetch_issued (&l->ahead.prefetch, from, at);
  link_push_queued (l);
}

struct ahead_piece *
ahead_find (struct link *l, uint64_t offset)
{
  for (unsigned i = 0; i < AHEAD_PIECES; i++) {
    struct ahead_piece *a = &l->ahead.piece[i];

    if (a->used && !a->doomed && a->offset <= offset && offset < a->end)
      return a;
  }
  return NULL;
}

uint64_t
ahead_next (const struct link *l, uint64_t offset)
{
  uint64_t next = UINT64_MAX;

  for (unsigned i = 0; i < AHEAD_PIECES; i++) {
    const struct ahead_piece *a = &l->ahead.piece[i];

    if (a->used && !a->doomed && a->offset > offset && a->offset < next)
      next = a->offset;
  }
  return next;
}

/* A3 */
static bool
counts (const struct link *l, const struct ahead_piece *a, uint64_t offset,
        uint32_t length_bytes)
{
  uint64_t first = a->offset / PAGE_BYTES;
  uint64_t last = (offset + length_bytes - 1) / PAGE_BYTES;

  for (uint64_t page = offset / PAGE_BYTES; page <= last; page++) {
    uint64_t version;

    if (!stripes_quiet (&l->hot.stripes, page, &version)
        || version != l->version[a->slot][page - first])
      return false;
  }
  return true;
}

/* Whole pages of what was copied, for the cache. */
static void
offer (struct link *l, const struct ahead_piece *a, const uint8_t *buf,
       uint64_t offset, uint32_t n)
{
  uint64_t first = (offset + PAGE_BYTES - 1) / PAGE_BYTES;
  uint64_t end = (offset + n) / PAGE_BYTES;

  if (first < end && l->hot.view && !a->scan)
    hot_offer (&l->hot, first, (uint32_t)(end - first),
               &l->version[a->slot][first - a->offset / PAGE_BYTES],
               buf + (first * PAGE_BYTES - offset));
}

uint32_t
ahead_copy (struct link *l, struct ahead_piece *a, void *buf,
            uint32_t length_bytes, uint64_t offset)
{
  const struct inflight_slot *s = slot_of (l, a);
  const struct path *p = &l->path[s->path];
  const uint8_t *chunk = (uint8_t *)p->channel.base[CHANNEL_READ_ARENA]
                         + (size_t)a->slot * CHANNEL_CHUNK_BYTES;
  uint32_t n = a->end - offset < length_bytes ? (uint32_t)(a->end - offset)
                                              : length_bytes;

  if (s->error || s->server_errno || doubt_read_stale (l, a->slot)
      || !counts (l, a, offset, n)) {
    a->touched = true; /* not in vain, only too late */
    drop (l, a);
    return 0;
  }
  a->touched = true;
  a->users++;
  pthread_mutex_unlock (&l->lock);
  copy_bytes (buf, chunk + (offset - a->offset), n); /* the one copy */
  offer (l, a, buf, offset, n);
  pthread_mutex_lock (&l->lock);
  a->users--;
  prefetch_used (&l->ahead.prefetch);
  if (offset + n > a->served_to)
    a->served_to = offset + n;
  if (!a->users && (a->doomed || a->served_to == a->end))
    drop (l, a);
  return n;
}

void
ahead_down (struct link *l)
{
  for (unsigned i = 0; i < AHEAD_PIECES; i++) {
    struct ahead_piece *a = &l->ahead.piece[i];

    /* SENT: by another path, whose worker lives. */
    if (!a->used || slot_of (l, a)->state != SLOT_QUEUED)
      continue;
    a->touched = true;
    drop (l, a);
  }
}

void
ahead_drop_all (struct link *l)
{
  for (unsigned i = 0; i < AHEAD_PIECES; i++) {
    struct ahead_piece *a = &l->ahead.piece[i];

    if (!a->used || a->doomed)
      continue;
    a->touched = true;
    drop (l, a);
  }
}
