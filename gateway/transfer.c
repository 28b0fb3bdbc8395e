/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD requests in pieces, and the threads that wait for them. */
#include "config.h"
#include "gateway/link_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What one NBD request may have in flight: enough to keep a connection busy,
 * and other requests get slots too.
 */
#define PIECES_IN_FLIGHT 16u

struct transfer {
  struct link *link;
  enum io_op op;
  uint32_t flags;
  bool internal;            /* nobody's request: not one of nbdkit's threads */
  bool may_write;           /* in lease_enter */
  bool waits_lease;         /* lease.c's: it was not let in yet */
  uint8_t *scratch;         /* READ: a piece that is wider than what is asked */
  uint8_t *read_buf;        /* READ: where pieces go */
  const uint8_t *write_buf; /* WRITE: where they come from */
  uint64_t offset;          /* of the next piece, bytes of the volume */
  uint64_t start;           /* of the whole */
  uint32_t left_bytes;      /* not yet in a piece */
  uint32_t length_bytes;    /* the whole */
  uint64_t asked_offset;    /* READ: with what the cache has answered */
  uint32_t asked_bytes;
  bool noted; /* by the prefetcher */
  uint32_t flush_left; /* FLUSH: paths to come, a bit set; bit CHANNEL_PATHS:
                          one for all */
  uint32_t piece[PIECES_IN_FLIGHT]; /* slots, first in, first out */
  uint32_t first, pieces;
  int result; /* the first errno */
};

/* Like waiter_wait; true if the thread must leave. Asks only after a whole
 * slice has passed without an answer: that costs nothing on the fast path.
 */
static bool
wait_interruptible (struct transfer *t, struct waiter *w, uint64_t since_ns,
                    uint64_t until_ns)
{
  struct link *l = t->link;
  uint64_t now = link_now_ns ();
  uint64_t slice_ns = LINK_SLICE_NS;

  if (now - since_ns >= LINK_SLICE_NS) {
    bool leave;

    pthread_mutex_unlock (&l->lock);
    leave = !t->internal && l->interrupted ();
    pthread_mutex_lock (&l->lock);
    if (leave || l->stopping)
      return true;
  }
  if (until_ns < now + slice_ns)
    slice_ns = until_ns > now ? until_ns - now : 1;
  waiter_wait (l, w, slice_ns);
  return false;
}

static bool
all_in_pieces (const struct transfer *t)
{
  return t->left_bytes == 0 && !t->flush_left;
}

/* What the next piece covers, in bytes of the volume. With a cache, a READ is
 * widened to whole pages, so that they can be offered to it.
 */
static void
next_piece (const struct transfer *t, uint64_t *ret_offset,
            uint32_t *ret_bytes)
{
  const struct link *l = t->link;
  uint64_t begin = t->offset;
  uint64_t end = begin + t->left_bytes;
  bool moves_data = t->op == IO_READ || t->op == IO_WRITE;
  uint32_t max = CHANNEL_CHUNK_BYTES;

  if (moves_data && max > l->info.request_max)
    max = l->info.request_max;
  if (t->op == IO_READ && l->hot.view && max >= PAGE_BYTES) {
    begin -= begin % PAGE_BYTES;
    end += (PAGE_BYTES - end % PAGE_BYTES) % PAGE_BYTES;
    if (end > l->info.size)
      end = l->info.size;
    max -= max % PAGE_BYTES;
  }
  /* What is on its way already is not asked for twice. */
  if (t->op == IO_READ && end > ahead_next (l, t->offset))
    end = ahead_next (l, t->offset);
  *ret_offset = begin;
  *ret_bytes = end - begin < max ? (uint32_t)(end - begin) : max;
}

static void
copy_payload_in (struct transfer *t, uint32_t slot, uint32_t n)
{
  struct link *l = t->link;
  const struct path *p = &l->path[l->inflight.slot[slot].path];
  uint8_t *chunk = p->channel.base[CHANNEL_WRITE_ARENA];

  pthread_mutex_unlock (&l->lock);
  memcpy (chunk + (size_t)slot * CHANNEL_CHUNK_BYTES,
          t->write_buf + (t->offset - t->start), n);
  pthread_mutex_lock (&l->lock);
}

/* A FLUSH proves what its own connection wrote, or what all did: one piece, or
 * one for each path that has written since it was flushed last (one at least:
 * who has written nothing may still want to hear from the server). What a
 * session wrote that is over since is proven, as far as it can be, by its next
 * one or by any other: that one sees the same file.
 */
static uint32_t
paths_to_flush (const struct link *l)
{
  uint32_t paths = inflight_unflushed (&l->inflight);

  if ((l->info.caps & VOLUME_FLUSH_COVERS_ALL) || !paths)
    return 1u << CHANNEL_PATHS;
  return paths;
}

/* The next path of flush_left; CHANNEL_PATHS: any. */
static unsigned
path_to_flush (const struct transfer *t)
{
  return (unsigned)__builtin_ctz (t->flush_left);
}

/* The paths that the next piece may take. */
static uint32_t
usable (const struct transfer *t)
{
  unsigned p;

  if (t->op != IO_FLUSH || (p = path_to_flush (t)) == CHANNEL_PATHS)
    return link_usable (t->link);
  return 1u << p;
}

static void
flush_piece (struct transfer *t, uint32_t slot)
{
  struct link *l = t->link;
  unsigned p = path_to_flush (t);
  bool all = l->info.caps & VOLUME_FLUSH_COVERS_ALL;

  if (all || p < CHANNEL_PATHS)
    inflight_covers (&l->inflight, slot, all ? INFLIGHT_ALL_PATHS : 1u << p);
  t->flush_left &= ~(1u << p);
}

/* Puts the next piece on its way. ERR_AGAIN: not now. */
static enum err
send_piece (struct transfer *t, struct waiter *w, uint64_t *ret_retry_ns)
{
  struct link *l = t->link;
  uint64_t offset;
  uint32_t n, taken, slot;
  enum err e;

  if (link_op_writes (t->op) && !t->may_write && !l->inflight.failed)
    if (!(t->may_write = lease_enter (l, &t->waits_lease)))
      return ERR_AGAIN;
  /* inflight.h, I6; link_up wakes all. */
  if (t->op == IO_WRITE && !l->up && !l->inflight.failed)
    return ERR_AGAIN;
  next_piece (t, &offset, &n);
  if (!l->inflight.free_slots)
    ahead_spare (l);
  e = inflight_get (&l->inflight, t->op, t->flags, offset, n, usable (t),
                    link_now_ns (), w, &slot, ret_retry_ns);
  if (e)
    return e;
  if (t->op == IO_FLUSH)
    flush_piece (t, slot);
  /* Before it can reach the server: from now on nobody takes what is cached
   * of these pages (ipc/stripes.h).
   */
  if (link_op_writes (t->op) && l->hot.stripes.file)
    stripes_begin (&l->hot.stripes, offset / PAGE_BYTES,
                   link_last_page (offset, n));
  if (t->op == IO_WRITE)
    copy_payload_in (t, slot, n);
  if (t->op == IO_READ && l->hot.stripes.file)
    hot_versions (&l->hot, offset / PAGE_BYTES,
                  (n + PAGE_BYTES - 1) / PAGE_BYTES, l->version[slot]);
  inflight_ready (&l->inflight, slot);
  t->piece[(t->first + t->pieces++) % PIECES_IN_FLIGHT] = slot;
  taken = (uint32_t)(offset + n - t->offset);
  if (taken > t->left_bytes)
    taken = t->left_bytes;
  t->offset += taken;
  t->left_bytes -= taken;
  link_push_queued (l);
  return ERR_OK;
}

/* The payload of a READ, out of memory that the worker can write, by one copy:
 * only that is used from here on, for the client and for the cache (DESIGN,
 * invariant 1).
 */
static int
copy_payload_out (struct transfer *t, uint32_t slot)
{
  struct link *l = t->link;
  const struct ring_request *r = &l->inflight.slot[slot].request;
  const struct path *p = &l->path[l->inflight.slot[slot].path];
  const uint8_t *chunk = (uint8_t *)p->channel.base[CHANNEL_READ_ARENA]
                         + (size_t)slot * CHANNEL_CHUNK_BYTES;
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
  memcpy (dst, chunk, r->length);
  if (!whole) {
    uint64_t from = r->offset > t->start ? r->offset : t->start;
    uint64_t to = r_end < end ? r_end : end;

    memcpy (t->read_buf + (from - t->start), dst + (from - r->offset),
            to - from);
    /* What is behind the end of the volume is never asked for. */
    if (r->length % PAGE_BYTES) {
      memset (dst + r->length, 0, PAGE_BYTES - r->length % PAGE_BYTES);
      pages++;
    }
  }
  if (l->hot.view && r->offset % PAGE_BYTES == 0)
    hot_offer (&l->hot, r->offset / PAGE_BYTES, pages, l->version[slot], dst);
  return 0;
}

/* The oldest piece is DONE: takes its data and its result. */
static void
finish_piece (struct transfer *t)
{
  struct link *l = t->link;
  uint32_t i = t->piece[t->first];
  const struct inflight_slot *s = &l->inflight.slot[i];
  int error = s->error ? err_errno (s->error) : s->server_errno;

  if (!error && t->op == IO_READ) {
    pthread_mutex_unlock (&l->lock);
    error = copy_payload_out (t, i);
    pthread_mutex_lock (&l->lock);
  }
  if (error && !t->result)
    t->result = error;
  /* Before the write is acknowledged. Without a worker's answer its outcome
   * is not known: then the stripe stays open, and the pages uncached.
   */
  if (link_op_writes (t->op) && !s->error && l->hot.stripes.file)
    stripes_end (&l->hot.stripes, s->request.offset / PAGE_BYTES,
                 link_last_page (s->request.offset, s->request.length));
  inflight_put (&l->inflight, i);
  t->first = (t->first + 1) % PIECES_IN_FLIGHT;
  t->pieces--;
  link_wake_blocked (l);
}

/* Whether the outage has lasted for as long as the user wants to wait. */
static bool
outage_over (const struct link *l)
{
  return !l->up && l->options.outage_fail_ns != UINT64_MAX
         && link_now_ns () - l->down_since_ns >= l->options.outage_fail_ns;
}

static void
leave_all (struct transfer *t)
{
  struct link *l = t->link;

  for (; t->pieces; t->pieces--) {
    inflight_abandon (&l->inflight, t->piece[t->first]);
    t->first = (t->first + 1) % PIECES_IN_FLIGHT;
  }
  lease_leave (l, t->may_write, &t->waits_lease);
  link_wake_blocked (l);
}

/* Gets as much on its way, or answered from what was prefetched, as can be
 * now. *ret_wanted is the prefetched slot that the next bytes must wait for.
 */
static enum err
advance (struct transfer *t, struct waiter *w, uint32_t *ret_wanted,
         uint64_t *ret_retry_ns)
{
  struct link *l = t->link;
  enum err e = ERR_OK;

  *ret_wanted = INFLIGHT_SLOTS;
  while (!e && !t->result && !all_in_pieces (t)
         && t->pieces < PIECES_IN_FLIGHT) {
    struct ahead_piece *a
      = t->op == IO_READ ? ahead_find (l, t->offset) : NULL;
    uint32_t n;

    if (!a) {
      e = send_piece (t, w, ret_retry_ns);
    } else if (l->inflight.slot[a->slot].state == SLOT_DONE) {
      n = ahead_copy (l, a, t->read_buf + (t->offset - t->start),
                      t->left_bytes, t->offset);
      t->offset += n;
      t->left_bytes -= n;
    } else {
      *ret_wanted = a->slot;
      e = ERR_AGAIN;
    }
  }
  if (t->op == IO_READ && !t->noted) {
    t->noted = true;
    ahead_note (l, t->asked_offset, t->asked_bytes);
  }
  return e;
}

static int
run (struct transfer *t)
{
  struct link *l = t->link;
  struct waiter *w;
  uint64_t since_ns = link_now_ns ();

  pthread_mutex_lock (&l->lock);
  w = waiter_enter (l);
  if (!w) {
    pthread_mutex_unlock (&l->lock);
    return ENOMEM;
  }
  if (t->op == IO_FLUSH)
    t->flush_left = paths_to_flush (l);
  for (;;) {
    uint64_t retry_ns = UINT64_MAX;
    uint32_t wanted;
    bool leave;
    enum err e = advance (t, w, &wanted, &retry_ns);

    if (e && e != ERR_AGAIN && !t->result)
      t->result = err_errno (e);
    if (t->pieces
        && l->inflight.slot[t->piece[t->first]].state == SLOT_DONE) {
      finish_piece (t);
      since_ns = link_now_ns ();
      continue;
    }
    if (!t->pieces && (t->result || all_in_pieces (t)))
      break;
    w->wanted = t->pieces ? t->piece[t->first] : wanted;
    w->blocked = e == ERR_AGAIN && wanted == INFLIGHT_SLOTS;
    l->blocked += w->blocked;
    leave = wait_interruptible (t, w, since_ns, retry_ns);
    l->blocked -= w->blocked;
    w->blocked = false;
    if (leave || outage_over (l)) {
      t->result = err_errno (leave ? ERR_SHUTDOWN : ERR_IO);
      break;
    }
  }
  leave_all (t);
  if (t->op == IO_FLUSH && !t->internal && l->owed_error) {
    t->result = l->owed_error;
    l->owed_error = 0;
  }
  waiter_leave (l, w);
  pthread_mutex_unlock (&l->lock);
  free (t->scratch);
  return t->result;
}

int
link_read (struct link *l, void *buf, uint32_t length_bytes, uint64_t offset)
{
  uint32_t hot_bytes = hot_read (&l->hot, buf, length_bytes, offset);
  uint64_t start = offset + hot_bytes;
  struct transfer t = {.link = l, .op = IO_READ,
                       .read_buf = (uint8_t *)buf + hot_bytes,
                       .offset = start, .start = start,
                       .left_bytes = length_bytes - hot_bytes,
                       .length_bytes = length_bytes - hot_bytes,
                       .asked_offset = offset,
                       .asked_bytes = length_bytes};

  return t.left_bytes ? run (&t) : 0;
}

int
link_write (struct link *l, const void *buf, uint32_t length_bytes,
            uint64_t offset, uint32_t flags)
{
  struct transfer t = {.link = l, .op = IO_WRITE, .flags = flags,
                       .write_buf = buf, .offset = offset, .start = offset,
                       .left_bytes = length_bytes,
                       .length_bytes = length_bytes};

  return run (&t);
}

int
link_plain (struct link *l, enum io_op op, uint32_t length_bytes,
            uint64_t offset, uint32_t flags)
{
  struct transfer t = {.link = l, .op = op, .flags = flags, .offset = offset,
                       .start = offset, .left_bytes = length_bytes,
                       .length_bytes = length_bytes};

  return run (&t);
}

int
link_flush_internal (struct link *l)
{
  struct transfer t = {.link = l, .op = IO_FLUSH, .internal = true};

  return run (&t);
}
