/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD requests in pieces, and the threads that wait for them. */
#include "config.h"
#include "gateway/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/copy.h"

/* Slots that are left to FLUSH and to what is sent again out of the log: else
 * writes that wait for room there could hold all of them.
 */
#define SLOTS_RESERVED 1u
/* What one TRIM or ZERO covers at most: its stripes are advanced one by one. */
#define RANGE_BYTES (64u << 20)
/* Of a ZERO that the server may have to write before it answers: each piece has
 * to be done within timeout=, behind those that were sent with it.
 */
#define ZEROED_BYTES (4u << 20)
#define ZEROED_IN_FLIGHT 4u

bool
link_wait (struct link *l, struct waiter *w, bool internal, bool blocked,
           uint64_t since_ns, uint64_t until_ns)
{
  uint64_t now = clock_now_ns ();
  uint64_t slice_ns = LINK_SLICE_NS;
  bool leave = false;

  w->blocked = blocked;
  l->blocked += blocked;
  if (now - since_ns >= LINK_SLICE_NS) {
    pthread_mutex_unlock (&l->lock);
    leave = !internal && l->interrupted ();
    pthread_mutex_lock (&l->lock);
    leave |= l->stopping;
  }
  if (until_ns < now + slice_ns)
    slice_ns = until_ns > now ? until_ns - now : 1;
  if (!leave)
    waiter_wait (l, w, slice_ns);
  l->blocked -= blocked;
  w->blocked = false;
  return leave;
}

static bool
only_asks (const struct transfer *t)
{
  return t->op == IO_READ || t->op == IO_STATUS;
}

static bool
all_in_pieces (const struct transfer *t)
{
  return t->left_bytes == 0 && !t->flush_left;
}

uint32_t
link_read_unit (const struct link *l)
{
  uint32_t block = l->info.block_min;

  return l->hot.view && l->info.request_max >= PAGE_BYTES && block < PAGE_BYTES
           ? PAGE_BYTES
           : block;
}

static bool
has_to_be_written (const struct transfer *t)
{
  return t->op == IO_ZERO
         && ((t->flags & IO_NO_HOLE)
             || !(t->link->info.caps & VOLUME_CAN_FAST_ZERO));
}

/* What one piece may cover, in bytes; whole units. */
static uint32_t
piece_max (const struct link *l, enum io_op op, uint32_t unit)
{
  uint32_t max = CHANNEL_CHUNK_BYTES;

  if (max > l->info.request_max)
    max = l->info.request_max;
  if (op != IO_READ && op != IO_WRITE && l->info.range_max)
    max = l->info.range_max < RANGE_BYTES ? l->info.range_max : RANGE_BYTES;
  return max - max % unit;
}

/* How many pieces may be in flight. */
static uint32_t
pieces_max (const struct transfer *t)
{
  const struct link *l = t->link;
  uint32_t n = PIECES_IN_FLIGHT;

  if (has_to_be_written (t))
    return ZEROED_IN_FLIGHT;
  if (t->op == IO_READ || t->op == IO_WRITE)
    n = PIECES_BYTES / piece_max (l, t->op, l->info.block_min);
  return n < 1 ? 1 : n < PIECES_IN_FLIGHT ? n : PIECES_IN_FLIGHT;
}

/* What the next piece covers, in bytes of the volume. What only asks may be
 * widened to whole blocks, with a cache to whole pages, so that they can be
 * offered to it.
 */
static void
next_piece (const struct transfer *t, uint64_t *ret_offset,
            uint32_t *ret_bytes)
{
  const struct link *l = t->link;
  uint64_t begin = t->offset;
  uint64_t end = begin + t->left_bytes;
  uint32_t unit = t->op == IO_READ ? link_read_unit (l) : l->info.block_min;
  uint32_t max = piece_max (l, t->op, unit);

  if (has_to_be_written (t) && max > ZEROED_BYTES)
    max = ZEROED_BYTES;
  if (only_asks (t)) {
    begin -= begin % unit;
    end += (unit - end % unit) % unit;
    if (end > link_size (l))
      end = link_size (l);
  }
  /* What is on its way already is not asked for twice. */
  if (t->op == IO_READ && end > ahead_next (l, t->offset))
    end = ahead_next (l, t->offset);
  *ret_offset = begin;
  *ret_bytes = end - begin < max ? (uint32_t)(end - begin) : max;
}

uint8_t *
link_write_chunk (const struct link *l, uint32_t slot)
{
  const struct path *p = &l->path[l->inflight.slot[slot].path];

  return (uint8_t *)p->channel.base[CHANNEL_WRITE_ARENA]
         + (size_t)slot * CHANNEL_CHUNK_BYTES;
}

/* To where the worker finds it, and to where it does not. */
static void
copy_payload_in (struct transfer *t, uint32_t slot, uint32_t n)
{
  struct link *l = t->link;
  const uint8_t *from = t->write_buf + (t->offset - t->start);
  uint8_t *chunk = link_write_chunk (l, slot);
  struct retained_buffer *kept = l->proof.room[slot].buffer;

  pthread_mutex_unlock (&l->lock);
  copy_bytes (chunk, from, n);
  if (kept)
    copy_aside (kept->data, from, n);
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

  if (l->proof.flush_each)
    return link_paths_for (l, IO_FLUSH);
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

  if (t->op != IO_FLUSH || (p = path_to_flush (t)) == CHANNEL_PATHS
      || t->link->path[p].no_write_ns)
    return link_paths_for (t->link, t->op);
  return 1u << p;
}

static void
flush_piece (struct transfer *t, uint32_t slot)
{
  struct link *l = t->link;
  unsigned p = path_to_flush (t);
  bool all
    = (l->info.caps & VOLUME_FLUSH_COVERS_ALL) && !l->proof.flush_each;

  if (all || p < CHANNEL_PATHS)
    inflight_covers (&l->inflight, slot, all ? INFLIGHT_ALL_PATHS : 1u << p);
  t->flush_left &= ~(1u << p);
  l->proof.flush_mark[slot] = retained_mark (&l->proof.log);
}

/* A slot for the next piece, and for what writes room in the log. */
static enum err
get_slot (struct transfer *t, struct waiter *w, uint64_t offset, uint32_t n,
          uint32_t *ret_slot, uint64_t *ret_retry_ns)
{
  struct link *l = t->link;
  struct retained_room room = {0};
  enum err e;

  if (link_op_writes (t->op)
      && (e = proof_reserve (l, t->op, t->flags, n, &t->waits_room, &room)))
    return e;
  if (l->inflight.free_slots <= SLOTS_RESERVED)
    ahead_spare (l);
  e = l->inflight.free_slots <= SLOTS_RESERVED && t->op != IO_FLUSH
              && !l->inflight.failed
          ? ERR_AGAIN
          : inflight_get (&l->inflight, t->op, t->flags, offset, n, usable (t),
                          clock_now_ns (), w, ret_slot, ret_retry_ns);
  if (e) {
    retained_release (&l->proof.log, &room);
    return e;
  }
  l->proof.room[*ret_slot] = room;
  doubt_read_sent (l, *ret_slot);
  proof_sent (l, *ret_slot);
  return ERR_OK;
}

/* The next bytes, n of them, are answered or on their way. */
static void
go_on (struct transfer *t, uint32_t n)
{
  t->offset += n;
  t->left_bytes -= n;
}

static void
add_piece (struct transfer *t, struct piece p)
{
  t->piece[(t->first + t->pieces++) % PIECES_IN_FLIGHT] = p;
}

static void
next_in_line (struct transfer *t)
{
  t->first = (t->first + 1) % PIECES_IN_FLIGHT;
  t->pieces--;
}

static void
note_versions (struct link *l, uint32_t slot)
{
  const struct ring_request *r = &l->inflight.slot[slot].request;

  if (r->op == IO_READ && l->hot.stripes.file)
    hot_versions (&l->hot, r->offset / PAGE_BYTES,
                  (r->length + PAGE_BYTES - 1) / PAGE_BYTES,
                  l->version[slot]);
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
  if ((e = get_slot (t, w, offset, n, &slot, ret_retry_ns)))
    return e;
  if (t->op == IO_FLUSH)
    flush_piece (t, slot);
  /* Before it can reach the server: from now on nobody takes what is cached
   * of these pages (ipc/stripes.h).
   */
  if (link_op_writes (t->op) && l->hot.stripes.file) {
    stripes_set_unproven (&l->hot.stripes, true);
    stripes_begin (&l->hot.stripes, offset / PAGE_BYTES,
                   link_last_page (offset, n));
  }
  if (t->op == IO_WRITE)
    copy_payload_in (t, slot, n);
  note_versions (l, slot);
  inflight_ready (&l->inflight, slot);
  add_piece (t, (struct piece){.slot = slot, .offset = t->offset});
  taken = (uint32_t)(offset + n - t->offset);
  go_on (t, taken < t->left_bytes ? taken : t->left_bytes);
  link_push_queued (l);
  return ERR_OK;
}

/* The next bytes are on their way already, for somebody else. Not where the
 * user wants the server asked each time, nor while what it has is in doubt.
 */
static bool
join (struct transfer *t)
{
  struct link *l = t->link;
  const struct join_view v = {.inflight = &l->inflight,
                              .stripes = &l->hot.stripes,
                              .version = l->version,
                              .stale = l->proof.stale,
                              .not_of = &l->ahead};
  struct piece p = {.joined = true, .offset = t->offset};

  if (t->op != IO_READ || t->alone || !l->options.cached
      || !l->hot.stripes.file || l->proof.log.doubts
      || !join_find (&v, t->offset, t->left_bytes, &p.slot, &p.bytes))
    return false;
  inflight_join (&l->inflight, p.slot);
  l->joined++;
  add_piece (t, p);
  go_on (t, p.bytes);
  return true;
}

static void
ask_again (struct link *l, uint32_t slot)
{
  doubt_read_sent (l, slot);
  inflight_again (&l->inflight, slot);
  note_versions (l, slot);
  link_push_queued (l);
}

void
link_end_write (struct link *l, const struct ring_request *r)
{
  /* A volume that was given up may be another's to write by now; so may one
   * that we were not asked about, as this process stood still for too long.
   */
  if (link_op_writes ((enum io_op)r->op) && l->hot.stripes.file
      && !l->inflight.failed
      && stripes_settles (&l->hot.stripes) == l->settles)
    stripes_end (&l->hot.stripes, r->offset / PAGE_BYTES,
                 link_last_page (r->offset, r->length));
}

void
link_settle (struct link *l)
{
  struct ring_request r;
  bool any = false;

  while (l->inflight.unsure_slots
         && inflight_settle (&l->inflight, clock_now_ns (), &r)) {
    link_end_write (l, &r);
    any = true;
  }
  if (any)
    link_wake_blocked (l);
}

/* Leaves all pieces, whatever has become of them. */
static void
drop_pieces (struct transfer *t)
{
  struct link *l = t->link;

  for (; t->pieces; next_in_line (t)) {
    struct piece p = t->piece[t->first];
    const struct inflight_slot *s = &l->inflight.slot[p.slot];

    if (s->state == SLOT_DONE && !s->error)
      link_end_write (l, &s->request);
    if (p.joined)
      inflight_unjoin (&l->inflight, p.slot);
    else
      inflight_abandon (&l->inflight, p.slot);
  }
}

/* A READ begins once more at what the oldest piece was to bring. */
static void
begin_again (struct transfer *t)
{
  t->offset = t->piece[t->first].offset;
  t->left_bytes = (uint32_t)(t->start + t->length_bytes - t->offset);
  drop_pieces (t);
}

/* What another one's request has failed with need not be about our part. */
static void
finish_joined (struct transfer *t)
{
  struct link *l = t->link;
  struct piece p = t->piece[t->first];

  if (transfer_take_joined (t, &p)) {
    inflight_unjoin (&l->inflight, p.slot);
    next_in_line (t);
  } else {
    t->alone = true;
    begin_again (t);
  }
  link_wake_blocked (l);
}

/* The oldest piece is DONE: takes its data and its result. */
static void
finish_piece (struct transfer *t)
{
  struct link *l = t->link;
  uint32_t i = t->piece[t->first].slot;
  const struct inflight_slot *s = &l->inflight.slot[i];
  int error = s->error ? err_errno (s->error) : s->server_errno;

  if (t->piece[t->first].joined) {
    finish_joined (t);
    return;
  }
  if (!error && only_asks (t)
      && (error = transfer_take (t, i)) == ASK_AGAIN) {
    if (inflight_shared (&l->inflight, i) || doubt_elsewhere (l))
      begin_again (t);
    else
      ask_again (l, i);
    return;
  }
  if (error && !t->result)
    t->result = error;
  /* Before the write is acknowledged. Without a worker's answer its outcome
   * is not known: then the stripe stays open, and the pages uncached, until
   * nobody can execute it any more.
   */
  if (!s->error)
    link_end_write (l, &s->request);
  retained_release (&l->proof.log, &l->proof.room[i]);
  inflight_put (&l->inflight, i);
  next_in_line (t);
  link_settle (l);
  link_wake_blocked (l);
}

bool
link_outage_over (const struct link *l)
{
  return !l->up && l->options.outage_fail_ns != UINT64_MAX
         && clock_now_ns () - l->down_since_ns >= l->options.outage_fail_ns;
}

static void
leave_all (struct transfer *t)
{
  struct link *l = t->link;
  bool early = t->pieces > 0;

  drop_pieces (t);
  if (early) {
    proof_sweep (l);
    link_settle (l);
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
  if (only_asks (t) && doubt_elsewhere (l)) {
    *ret_retry_ns = clock_now_ns () + DOUBT_LOOK_NS;
    return ERR_AGAIN;
  }
  while (!e && !t->result && !all_in_pieces (t)
         && t->pieces < pieces_max (t)) {
    struct ahead_piece *a
      = t->op == IO_READ ? ahead_find (l, t->offset) : NULL;
    uint32_t n;

    if (!a) {
      e = join (t) ? ERR_OK : send_piece (t, w, ret_retry_ns);
    } else if (l->inflight.slot[a->slot].state == SLOT_DONE) {
      n = ahead_copy (l, a, t->read_buf + (t->offset - t->start),
                      t->left_bytes, t->offset);
      go_on (t, n);
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

/* What is in doubt needs no server. */
static void
read_from_log (struct transfer *t)
{
  uint32_t n = retained_front (&t->link->proof.log, t->read_buf, t->offset,
                               t->left_bytes);

  go_on (t, n);
}

/* What no FLUSH has told yet, this one tells: an error of one that no client
 * asked for, or that a process which had written died together with its daemon.
 */
static void
flush_over (struct transfer *t)
{
  struct link *l = t->link;

  if (!l->proof.log.entries && !l->inflight.writing_slots
      && !inflight_unflushed (&l->inflight) && l->lease == LEASE_HELD)
    stripes_set_unproven (&l->hot.stripes, false);
  if (t->internal)
    return;
  if (l->owed_error)
    t->result = l->owed_error;
  else if (!t->result && stripes_take_lost (&l->hot.stripes)) {
    log_write (l->log, LOG_LEVEL_ERROR,
               "%s: a process that had written here died, and bulkheadd with "
               "it: what it had not flushed may be lost",
               l->name);
    t->result = EIO;
  }
  l->owed_error = 0;
}

static int
run (struct transfer *t)
{
  struct link *l = t->link;
  struct waiter *w;
  uint64_t since_ns = clock_now_ns (), began_ns = since_ns;

  pthread_mutex_lock (&l->lock);
  w = waiter_enter (l);
  if (!w) {
    pthread_mutex_unlock (&l->lock);
    return ENOMEM;
  }
  if (t->op == IO_FLUSH)
    t->flush_left = paths_to_flush (l);
  if (t->op == IO_READ && l->proof.log.doubts)
    read_from_log (t);
  for (;;) {
    uint64_t retry_ns = UINT64_MAX;
    uint32_t wanted;
    bool leave;
    enum err e = advance (t, w, &wanted, &retry_ns);

    if (e && e != ERR_AGAIN && !t->result)
      t->result = err_errno (e);
    if (t->pieces
        && l->inflight.slot[t->piece[t->first].slot].state == SLOT_DONE
        && proof_counts (l, t->piece[t->first].slot)) {
      finish_piece (t);
      since_ns = clock_now_ns ();
      continue;
    }
    if (!t->pieces && (t->result || all_in_pieces (t)))
      break;
    w->wanted = t->pieces ? t->piece[t->first].slot : wanted;
    leave = link_wait (l, w, t->internal,
                       e == ERR_AGAIN && wanted == INFLIGHT_SLOTS, since_ns,
                       retry_ns);
    if (leave || link_outage_over (l) || (only_asks (t) && doubt_lasts (l))) {
      t->result = err_errno (leave ? ERR_SHUTDOWN : ERR_IO);
      break;
    }
  }
  leave_all (t);
  if (t->op == IO_FLUSH)
    flush_over (t);
  else if (!t->internal)
    stats_done (l, t->op, t->length_bytes, began_ns, t->result);
  waiter_leave (l, w);
  pthread_mutex_unlock (&l->lock);
  free (t->scratch);
  return t->result;
}

/* What the cache has of it, from the front. Other processes do not know what is
 * in doubt: they may have read it from a server that has lost it, and offered
 * that to the cache. With the lock held, as what takes bytes in doubt out of
 * the log would leave none of them to put over what was found before.
 */
static uint32_t
read_cached (struct link *l, void *buf, uint32_t length_bytes, uint64_t offset)
{
  uint32_t n = 0;

  if (!l->proof.log.doubts) {
    n = hot_read (&l->hot, buf, length_bytes, offset);
    if (!n || !l->proof.log.doubts)
      return n;
  }
  pthread_mutex_lock (&l->lock);
  n = hot_read (&l->hot, buf, length_bytes, offset);
  retained_overlay (&l->proof.log, buf, offset, n);
  pthread_mutex_unlock (&l->lock);
  return n;
}

int
link_read (struct link *l, void *buf, uint32_t length_bytes, uint64_t offset)
{
  struct stats_seat *seat = stats_sit (&l->stats);
  uint64_t began_ns = stats_hot_begin (seat);
  uint32_t hot_bytes = read_cached (l, buf, length_bytes, offset);
  uint64_t start = offset + hot_bytes;
  struct transfer t = {.link = l, .op = IO_READ,
                       .read_buf = (uint8_t *)buf + hot_bytes,
                       .offset = start, .start = start,
                       .left_bytes = length_bytes - hot_bytes,
                       .length_bytes = length_bytes - hot_bytes,
                       .asked_offset = offset,
                       .asked_bytes = length_bytes};

  stats_hot_end (&l->stats, seat, !t.left_bytes, hot_bytes, began_ns);
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

  uint64_t began_ns = clock_now_ns ();
  int result;

  if (op != IO_FLUSH)
    return run (&t);
  result = link_prove (l, false);
  pthread_mutex_lock (&l->lock);
  stats_done (l, op, 0, began_ns, result);
  pthread_mutex_unlock (&l->lock);
  return result;
}

int
link_status (struct link *l, uint32_t length_bytes, uint64_t offset,
             struct io_extent *ret_extents, uint32_t *ret_n)
{
  uint32_t unit = l->info.block_min;
  uint32_t max = piece_max (l, IO_STATUS, unit) - (uint32_t)(offset % unit);
  uint32_t n = length_bytes < max ? length_bytes : max;
  struct transfer t = {.link = l, .op = IO_STATUS, .offset = offset,
                       .start = offset, .left_bytes = n, .length_bytes = n,
                       .extents = ret_extents};
  int result = run (&t);

  *ret_n = t.n_extents;
  return result;
}

int
link_flush_once (struct link *l, bool internal)
{
  struct transfer t = {.link = l, .op = IO_FLUSH, .internal = internal};

  return run (&t);
}
