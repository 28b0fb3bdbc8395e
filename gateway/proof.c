/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/proof.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "gateway/link_private.h"

/* What is sent again before it is flushed, so that it is proven in pieces and
 * there is progress even if sessions are short. Halved each time that one ends.
 */
#define BATCH_ENTRIES 256u
#define BATCH_BYTES (16u << 20)
#define REPLAY_IN_FLIGHT 16u
/* A server that in so many turns proves nothing, though no session ended. */
#define STRIKES 8u
#define RETRY_NS 1000000000ull

/* --------------------------------------------------------------- events --- */

/* Where the log is not switched off a write is never sent without. */
enum err
proof_reserve (struct link *l, enum io_op op, uint32_t flags,
               uint32_t length_bytes, struct proof_wait *w,
               struct retained_room *ret)
{
  struct proof *p = &l->proof;
  enum err e;

  if (w->waits && p->rounds != w->round) {
    w->waits = false;
    if (p->error)
      return err_from_errno (p->error);
  }
  e = retained_reserve (&p->log, op, flags, length_bytes, ret);
  if (e == ERR_AGAIN && !w->waits)
    *w = (struct proof_wait){.waits = true, .round = p->rounds};
  if (e == ERR_AGAIN && !p->room_wanted) {
    p->room_wanted = true;
    pthread_cond_signal (&l->lease_drained);
  } else if (!e && !p->wanted && retained_high (&p->log)) {
    p->wanted = true;
    pthread_cond_signal (&l->lease_drained);
  }
  return e;
}

void
proof_sent (struct link *l, uint32_t slot)
{
  struct proof *p = &l->proof;

  p->sent_at[slot] = p->failures;
  p->unheard_at[slot] = p->unheard;
  p->fuas_at[slot] = p->fuas;
  p->held_ns[slot] = 0;
}

/* Reads that are under way may have been executed before. */
static void
mark_stale (struct link *l, const struct ring_request *written)
{
  uint64_t end = written->offset + written->length;

  for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
    const struct inflight_slot *s = &l->inflight.slot[i];

    if ((s->state == SLOT_SENT || s->state == SLOT_DONE)
        && (s->request.op == IO_READ || s->request.op == IO_STATUS)
        && s->request.offset < end
        && written->offset < s->request.offset + s->request.length)
      l->proof.stale[i] = true;
  }
}

/* What was prefetched may be what the server had before it lost something. */
static void
begin_doubt (struct link *l)
{
  if (!l->proof.log.doubts)
    return;
  doubt_own (l);
  ahead_drop_all (l);
  link_wake_all (l);
  pthread_cond_signal (&l->lease_drained); /* proof_due */
}

/* Nothing was kept of writes with FUA that were answered while this flush was
 * under way: the next FLUSH has to tell.
 */
static void
disown_fuas (struct link *l, uint32_t slot)
{
  if (l->proof.fuas == l->proof.fuas_at[slot])
    return;
  l->owed_error = EIO;
  log_write (l->log, LOG_LEVEL_ERROR,
             "%s: a flush failed, and writes with FUA that were confirmed "
             "meanwhile may be lost: the next FLUSH fails",
             l->name);
}

/* Whatever the server had may be gone: what was acknowledged, and what is under
 * way and will be.
 */
static void
flush_failed (struct link *l, uint32_t slot)
{
  struct proof *p = &l->proof;

  p->failures++;
  disown_fuas (l, slot);
  retained_not_proven (&p->log, retained_mark (&p->log));
  begin_doubt (l);
}

/* It may have been carried out before a flush that has failed since. */
static bool
beside_failure (const struct proof *p, uint32_t slot)
{
  return p->sent_at[slot] != p->failures;
}

/* … that may have. */
static bool
beside_unheard (const struct proof *p, uint32_t slot)
{
  return p->unheard_at[slot] != p->unheard;
}

/* FUA is a flush to many servers. */
static bool
flushes (const struct inflight_slot *s)
{
  return s->request.op == IO_FLUSH || s->request.flags & IO_FUA;
}

/* A server tells an error of what it could not write once, to one of those who
 * flush, in whatever order it answers: a success proves nothing before all that
 * were at the server at that time are heard.
 */
static bool
others_unheard (const struct link *l, uint64_t succeeded_ns)
{
  for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
    const struct inflight_slot *s = &l->inflight.slot[i];

    if (s->state == SLOT_SENT && flushes (s) && s->sent_ns <= succeeded_ns)
      return true;
  }
  return false;
}

static void
prove (struct link *l, uint32_t slot)
{
  struct proof *p = &l->proof;
  uint32_t n = retained_prove (&p->log, l->inflight.slot[slot].token,
                               p->flush_mark[slot]);

  inflight_flushed (&l->inflight, slot);
  p->proven += n;
  if (n) /* there is room */
    link_wake_blocked (l);
}

bool
proof_counts (struct link *l, uint32_t slot)
{
  struct proof *p = &l->proof;

  if (!p->held_ns[slot])
    return true;
  if (others_unheard (l, p->held_ns[slot]))
    return false;
  p->held_ns[slot] = 0;
  prove (l, slot); /* nothing, if one of them has failed */
  return true;
}

static void
wake_held (struct link *l)
{
  for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++)
    if (l->proof.held_ns[i] && l->inflight.slot[i].state == SLOT_DONE)
      link_wake_wanting (l, i);
}

static void
flush_answered (struct link *l, uint32_t slot)
{
  const struct inflight_slot *s = &l->inflight.slot[slot];
  uint64_t now = clock_now_ns ();

  if (s->server_errno)
    flush_failed (l, slot);
  else if (!others_unheard (l, now))
    prove (l, slot);
  else if (s->state == SLOT_DONE) /* else nobody waits for it */
    l->proof.held_ns[slot] = now;
}

static void
replay_answered (struct link *l, uint32_t slot)
{
  const struct inflight_slot *s = &l->inflight.slot[slot];
  const struct ring_request *r = &s->request;
  struct proof *p = &l->proof;

  if (s->server_errno)
    return; /* replay_run has its result */
  if (beside_failure (p, slot) || beside_unheard (p, slot)) {
    retained_not_again (&p->log, r->offset, r->length);
    return;
  }
  retained_again (&p->log, r->offset, r->length, s->token);
  mark_stale (l, r);
}

/* FUA is a flush to many servers; did it come to that? Not if they have no room
 * for the write, may not carry it out, or do not have what was asked for.
 */
static bool
is_flush_failure (const struct inflight_slot *s)
{
  return s->request.flags & IO_FUA && s->server_errno != ENOSPC
         && s->server_errno != EROFS && s->server_errno != EOPNOTSUPP;
}

static void
write_answered (struct link *l, uint32_t slot)
{
  struct inflight_slot *s = &l->inflight.slot[slot];
  const struct ring_request *r = &s->request;
  struct proof *p = &l->proof;
  bool failed_beside = beside_failure (p, slot);

  if (s->server_errno) {
    retained_release (&p->log, &p->room[slot]);
    if (is_flush_failure (s))
      flush_failed (l, slot);
    return;
  }
  /* Nothing is kept of a write with FUA to send it again, and what made it
   * stable may have been the flush behind the one that failed. It is not
   * another failure: those beside it would fail as well, and so on.
   */
  if (r->flags & IO_FUA && failed_beside) {
    retained_release (&p->log, &p->room[slot]);
    s->server_errno = EIO;
    return;
  }
  p->fuas += (r->flags & IO_FUA) != 0;
  /* What takes bytes in doubt out of the log: a read that was served without
   * them would find nothing there to put over its answer.
   */
  if (retained_in_doubt (&p->log, r->offset, r->length))
    mark_stale (l, r);
  retained_acknowledged (&p->log, &p->room[slot], (enum io_op)r->op, r->flags,
                         r->offset, r->length, s->token);
  if (failed_beside || beside_unheard (p, slot)) {
    retained_not_proven (&p->log, retained_mark (&p->log));
    begin_doubt (l);
  }
}

void
proof_answered (struct link *l, uint32_t slot)
{
  const struct inflight_slot *s = &l->inflight.slot[slot];
  struct proof *p = &l->proof;

  l->path[s->path].refused |= s->server_errno == EROFS;
  if (s->request.op == IO_FLUSH)
    flush_answered (l, slot);
  else if (!link_op_writes ((enum io_op)s->request.op))
    return;
  else if (p->replay[slot])
    replay_answered (l, slot);
  else
    write_answered (l, slot);
  p->replay[slot] = false;
  if (flushes (s))
    wake_held (l);
}

void
proof_sweep (struct link *l)
{
  struct proof *p = &l->proof;

  for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
    const struct inflight_slot *s = &l->inflight.slot[i];

    if (s->state != SLOT_FREE && s->state != SLOT_UNSURE)
      continue;
    retained_release (&p->log, &p->room[i]);
    if (p->replay[i])
      retained_not_again (&p->log, s->request.offset, s->request.length);
    p->replay[i] = false;
  }
}

/* A flush that was under way may have failed, and no later one hears of that:
 * its own session's writes have a token that no other one proves; those of the
 * others must not be proven by theirs. Where one flush is for all, a session
 * that goes on brings its answer.
 */
void
proof_losing (struct link *l, unsigned path)
{
  struct proof *p = &l->proof;
  bool unheard = false;

  if (l->paths == 1 || l->info.caps & VOLUME_FLUSH_COVERS_ALL)
    return;
  for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
    const struct inflight_slot *s = &l->inflight.slot[i];

    unheard |= s->state == SLOT_SENT && s->path == path && flushes (s);
  }
  if (!unheard)
    return;
  p->unheard++;
  retained_not_proven (&p->log, retained_mark (&p->log));
}

void
proof_lost (struct link *l)
{
  l->proof.losses++;
  proof_sweep (l);
  retained_doubt (&l->proof.log, retained_mark (&l->proof.log));
  begin_doubt (l);
}

/* --------------------------------------------------------------- replay --- */

struct replay {
  struct link *link;
  struct waiter *waiter;
  uint64_t mark;
  bool internal;
  uint32_t left_entries; /* of the batch */
  uint64_t left_bytes;
  uint32_t slot[REPLAY_IN_FLIGHT]; /* first in, first out */
  uint32_t first, slots;
  int result;
  int refused; /* errno of the first that the server did not take */
};

/* The next entry on its way. ERR_AGAIN: not now; ERR_NOENT: there is none. */
static enum err
replay_send (struct replay *y, uint64_t *ret_retry_ns)
{
  struct link *l = y->link;
  const struct retained_entry *n;
  uint32_t length, slot;
  enum err e;

  if (!l->up && !l->inflight.failed) /* inflight.h, I6; link_up wakes all */
    return y->left_entries && l->proof.log.doubts ? ERR_AGAIN : ERR_NOENT;
  if (!y->left_entries || !y->left_bytes
      || !(n = retained_replay (&l->proof.log, y->mark)))
    return ERR_NOENT;
  length = (uint32_t)(n->end - n->offset);
  if (!l->inflight.free_slots)
    ahead_spare (l);
  e = inflight_get (&l->inflight, n->op, n->flags, n->offset, length,
                    link_paths_for (l, n->op), clock_now_ns (), y->waiter,
                    &slot, ret_retry_ns);
  if (e) {
    retained_not_again (&l->proof.log, n->offset, length);
    return e;
  }
  if (l->hot.stripes.file)
    stripes_begin (&l->hot.stripes, n->offset / PAGE_BYTES,
                   link_last_page (n->offset, length));
  /* With the lock held: somebody may prove and free it. */
  if (n->op == IO_WRITE)
    memcpy (link_write_chunk (l, slot), retained_payload (n), length);
  l->proof.replay[slot] = true;
  proof_sent (l, slot);
  l->proof.resent++;
  inflight_ready (&l->inflight, slot);
  y->slot[(y->first + y->slots++) % REPLAY_IN_FLIGHT] = slot;
  y->left_entries--;
  y->left_bytes -= length < y->left_bytes ? length : y->left_bytes;
  link_push_queued (l);
  return ERR_OK;
}

static void
replay_finish (struct replay *y)
{
  struct link *l = y->link;
  uint32_t i = y->slot[y->first];
  const struct inflight_slot *s = &l->inflight.slot[i];

  if (s->error && !y->result)
    y->result = err_errno (s->error);
  if (s->server_errno && !y->refused)
    y->refused = s->server_errno;
  if (!s->error)
    link_end_write (l, &s->request);
  inflight_put (&l->inflight, i);
  proof_sweep (l); /* if it failed without an answer */
  link_settle (l);
  y->first = (y->first + 1) % REPLAY_IN_FLIGHT;
  y->slots--;
  link_wake_blocked (l);
}

/* Whether the caller has to leave. */
static bool
replay_wait (struct replay *y, bool blocked, uint64_t since_ns,
             uint64_t retry_ns)
{
  struct waiter *w = y->waiter;

  w->wanted = y->slots ? y->slot[y->first] : INFLIGHT_SLOTS;
  if (link_wait (y->link, w, y->internal, blocked, since_ns, retry_ns))
    y->result = err_errno (ERR_SHUTDOWN);
  else if (link_outage_over (y->link))
    y->result = err_errno (ERR_IO);
  return y->result;
}

static void
replay_run (struct replay *y)
{
  struct link *l = y->link;
  uint64_t since_ns = clock_now_ns ();

  for (;;) {
    uint64_t retry_ns = UINT64_MAX;
    enum err e = ERR_OK;

    while (!e && !y->result && y->slots < REPLAY_IN_FLIGHT)
      e = replay_send (y, &retry_ns);
    if (e && e != ERR_AGAIN && e != ERR_NOENT && !y->result)
      y->result = err_errno (e);
    if (y->slots && l->inflight.slot[y->slot[y->first]].state == SLOT_DONE) {
      replay_finish (y);
      since_ns = clock_now_ns ();
      continue;
    }
    if (!y->slots && (y->result || e == ERR_NOENT))
      break;
    if (replay_wait (y, e == ERR_AGAIN, since_ns, retry_ns))
      break;
  }
  for (; y->slots; y->slots--) {
    const struct inflight_slot *s = &l->inflight.slot[y->slot[y->first]];

    /* Answered, before it was its turn. */
    if (s->state == SLOT_DONE && !s->error)
      link_end_write (l, &s->request);
    inflight_abandon (&l->inflight, y->slot[y->first]);
    y->first = (y->first + 1) % REPLAY_IN_FLIGHT;
  }
  proof_sweep (l);
  retained_turn_over (&l->proof.log);
  link_settle (l);
  if (!y->result)
    y->result = y->refused;
}

/* Sends a batch of what is in doubt again; if another thread does so already,
 * waits for that one instead.
 */
static int
replay_batch (struct link *l, uint64_t mark, uint32_t entries, bool internal)
{
  struct replay y = {.link = l, .mark = mark, .internal = internal,
                     .left_entries = entries, .left_bytes = BATCH_BYTES};

  pthread_mutex_lock (&l->lock);
  y.waiter = waiter_enter (l);
  if (!y.waiter) {
    pthread_mutex_unlock (&l->lock);
    return ENOMEM;
  }
  if (l->proof.replaying) {
    uint64_t since_ns = clock_now_ns ();

    while (l->proof.replaying
           && !replay_wait (&y, true, since_ns, UINT64_MAX))
      ;
  } else {
    l->proof.replaying = true;
    replay_run (&y);
    l->proof.replaying = false;
    pthread_cond_signal (&l->lease_drained);
  }
  link_wake_blocked (l);
  waiter_leave (l, y.waiter);
  pthread_mutex_unlock (&l->lock);
  return y.result;
}

/* --------------------------------------------------------------- proving ---
 */

/* What a turn began with. */
struct turn {
  uint64_t mark, losses, proven;
  bool each; /* every connection was flushed, if not more */
};

static struct turn
turn_begin (struct link *l)
{
  struct turn t;

  pthread_mutex_lock (&l->lock);
  t = (struct turn){.mark = retained_mark (&l->proof.log),
                    .losses = l->proof.losses,
                    .proven = l->proof.proven,
                    .each = l->proof.flush_each};
  pthread_mutex_unlock (&l->lock);
  return t;
}

enum verdict { PROVEN, FLUSH_EACH, REPLAY, IN_VAIN };

/* All flushes of a turn have succeeded. */
static enum verdict
judge (struct link *l, uint64_t mark, const struct turn *t, uint32_t *batch,
       unsigned *strikes)
{
  struct proof *p = &l->proof;

  if (!retained_left (&p->log, mark))
    return PROVEN;
  if (l->paths > 1 && !t->each
      && (l->info.caps & VOLUME_FLUSH_COVERS_ALL)) {
    p->flush_each = true;
    return FLUSH_EACH;
  }
  /* Before any read is answered from what the server may have lost. */
  retained_doubt (&p->log, t->mark);
  begin_doubt (l);
  if (p->losses != t->losses)
    *batch = *batch > 1 ? *batch / 2 : 1;
  else
    *batch = *batch < BATCH_ENTRIES ? *batch * 2 : BATCH_ENTRIES;
  if (p->losses != t->losses || p->proven != t->proven)
    *strikes = 0;
  else if (++*strikes == STRIKES)
    return IN_VAIN;
  return REPLAY;
}

int
link_prove (struct link *l, bool internal)
{
  uint32_t doubts = doubt_begin_proof (l);
  struct turn t = turn_begin (l);
  uint64_t mark = t.mark;
  uint32_t batch = BATCH_ENTRIES;
  unsigned strikes = 0;

  for (;;) {
    enum verdict v;
    int error = link_flush_once (l, internal);

    if (error)
      return error;
    pthread_mutex_lock (&l->lock);
    v = judge (l, mark, &t, &batch, &strikes);
    if (v == PROVEN)
      doubt_end_proof (l, doubts);
    pthread_mutex_unlock (&l->lock);
    if (v == PROVEN)
      return 0;
    t = turn_begin (l);
    if (v == IN_VAIN) {
      log_write (l->log, LOG_LEVEL_ERROR,
                 "%s: the server confirms what it is sent again and again, "
                 "but never that it is stable",
                 l->name);
      return EIO;
    }
    if (v == REPLAY && (error = replay_batch (l, mark, batch, internal)))
      return error;
  }
}

/* ---------------------------------------------------------------- keeper ---
 */

bool
proof_due (const struct link *l, uint64_t *ret_ns)
{
  const struct proof *p = &l->proof;

  *ret_ns = UINT64_MAX;
  if (p->room_wanted)
    return true;
  if (!l->up || (!p->wanted && !p->log.doubts && !doubt_asked (l)))
    return false;
  if (clock_now_ns () >= p->after_ns)
    return true;
  *ret_ns = p->after_ns;
  return false;
}

void
proof_round (struct link *l)
{
  struct proof *p = &l->proof;
  uint64_t resent = p->resent;
  int error;

  p->wanted = p->room_wanted = false;
  pthread_mutex_unlock (&l->lock);
  error = link_prove (l, true);
  pthread_mutex_lock (&l->lock);
  if (error && !l->stopping) {
    p->after_ns = clock_now_ns () + RETRY_NS;
    if (error != p->error)
      log_write (l->log, LOG_LEVEL_ERROR,
                 "%s: what was written cannot be made stable: %s; it is kept "
                 "and tried again",
                 l->name, strerror (error));
  } else if (p->resent != resent)
    log_write (l->log, LOG_LEVEL_INFO,
               "%s: %llu writes that the server may have lost were sent again",
               l->name, (unsigned long long)(p->resent - resent));
  p->error = error;
  p->rounds++;
  link_wake_blocked (l);
}
