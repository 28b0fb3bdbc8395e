/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD requests in pieces, and the threads that wait for them. */
#include "config.h"
#include "gateway/link_private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What one NBD request may have in flight: enough to keep a connection busy,
 * and other requests get slots too.
 */
#define PIECES_IN_FLIGHT 16u

struct transfer {
  struct link *link;
  enum io_op op;
  uint32_t flags;
  uint8_t *read_buf;        /* READ: where pieces go */
  const uint8_t *write_buf; /* WRITE: where they come from */
  uint64_t offset;          /* of the next piece, bytes of the volume */
  uint64_t start;           /* of the whole */
  uint32_t left_bytes;      /* not yet in a piece */
  bool plain_left;          /* FLUSH, TRIM, ZERO: the one piece is to come */
  uint32_t piece[PIECES_IN_FLIGHT]; /* slots, first in, first out */
  uint32_t first, pieces;
  int result; /* the first errno */
};

static void
waiter_enter (struct link *l, struct waiter *w)
{
  pthread_condattr_t a;

  pthread_condattr_init (&a);
  pthread_condattr_setclock (&a, CLOCK_MONOTONIC);
  pthread_cond_init (&w->cond, &a);
  pthread_condattr_destroy (&a);
  w->wanted = INFLIGHT_SLOTS;
  w->blocked = false;
  w->next = &l->waiters;
  w->prev = l->waiters.prev;
  w->prev->next = w;
  l->waiters.prev = w;
}

static void
waiter_leave (struct link *l, struct waiter *w)
{
  w->prev->next = w->next;
  w->next->prev = w->prev;
  pthread_cond_destroy (&w->cond);
  /* Somebody must watch the ring. */
  if (!l->leader && l->waiters.next != &l->waiters)
    pthread_cond_signal (&l->waiters.next->cond);
}

static void
wake_leader (struct link *l)
{
  uint64_t one = 1;
  ssize_t ignored = write (l->wake_gateway, &one, sizeof one);

  (void)ignored;
}

/* A slot or a range has become free. */
static void
wake_blocked (struct link *l)
{
  if (!l->blocked)
    return;
  for (struct waiter *w = l->waiters.next; w != &l->waiters; w = w->next) {
    if (!w->blocked)
      continue;
    if (w == l->leader)
      wake_leader (l);
    else
      pthread_cond_signal (&w->cond);
  }
}

/* Takes all completions that are there. Returns how many. */
static unsigned
drain (struct link *l)
{
  union ring_entry e;
  unsigned n = 0;
  enum err r;

  while ((r = ring_pop (&l->ring, &e)) == ERR_OK) {
    struct waiter *w;
    void *owner;

    if (inflight_complete (&l->inflight, &e.completion, &owner)) {
      link_distrust (l, "a completion that answers no request");
      return n;
    }
    w = owner;
    /* Pieces that come before their turn wake nobody. */
    if (w && w != l->leader && w->wanted == (uint32_t)e.completion.id)
      pthread_cond_signal (&w->cond);
    if (!w)
      wake_blocked (l); /* an abandoned slot is free again */
    n++;
  }
  if (r == ERR_PEER)
    link_distrust (l, "impossible producer index");
  return n;
}

/* Sleeps on the eventfd for at most slice_ns, without the lock. */
static void
sleep_on_ring (struct link *l, uint64_t slice_ns)
{
  uint64_t epoch = l->epoch;
  struct pollfd p = {.fd = l->wake_gateway, .events = POLLIN};
  struct timespec ts = {.tv_nsec = (long)slice_ns};
  uint64_t count;
  ssize_t ignored;

  if (!ring_sleep (&l->ring))
    return;
  pthread_mutex_unlock (&l->lock);
  if (ppoll (&p, 1, &ts, NULL) > 0) {
    ignored = read (l->wake_gateway, &count, sizeof count);
    (void)ignored;
  }
  pthread_mutex_lock (&l->lock);
  /* With another worker the ring has begun anew, awake. */
  if (l->epoch == epoch)
    ring_awake (&l->ring);
}

/* Waits until something happened that may concern w, or slice_ns (at most
 * LINK_SLICE_NS) have passed: as the leader, or for the leader.
 */
static void
wait_once (struct link *l, struct waiter *w, uint64_t slice_ns)
{
  if (l->up && !l->leader) {
    l->leader = w;
    if (drain (l) == 0 && l->up) {
      sleep_on_ring (l, slice_ns);
      if (l->up)
        drain (l);
    }
    l->leader = NULL;
  } else {
    uint64_t until_ns = link_now_ns () + slice_ns;
    struct timespec ts = {.tv_sec = (time_t)(until_ns / 1000000000ull),
                          .tv_nsec = (long)(until_ns % 1000000000ull)};

    pthread_cond_timedwait (&w->cond, &l->lock, &ts);
  }
}

/* Like wait_once; true if the thread must leave. Asks only after a whole slice
 * has passed without an answer: that costs nothing on the fast path.
 */
static bool
wait_interruptible (struct link *l, struct waiter *w, uint64_t since_ns,
                    uint64_t until_ns)
{
  uint64_t now = link_now_ns ();
  uint64_t slice_ns = LINK_SLICE_NS;

  if (now - since_ns >= LINK_SLICE_NS) {
    bool leave;

    pthread_mutex_unlock (&l->lock);
    leave = l->interrupted ();
    pthread_mutex_lock (&l->lock);
    if (leave)
      return true;
  }
  if (until_ns < now + slice_ns)
    slice_ns = until_ns > now ? until_ns - now : 1;
  wait_once (l, w, slice_ns);
  return false;
}

static bool
all_in_pieces (const struct transfer *t)
{
  return t->left_bytes == 0 && !t->plain_left;
}

/* Puts the next piece on its way. ERR_AGAIN: not now. */
static enum err
send_piece (struct transfer *t, struct waiter *w, uint64_t *ret_retry_ns)
{
  struct link *l = t->link;
  bool moves_data = t->op == IO_READ || t->op == IO_WRITE;
  uint32_t n = t->left_bytes;
  uint32_t slot;
  enum err e;

  if (n > CHANNEL_CHUNK_BYTES)
    n = CHANNEL_CHUNK_BYTES;
  if (moves_data && n > l->info.request_max)
    n = l->info.request_max;
  e = inflight_get (&l->inflight, t->op, t->flags, t->offset, n,
                    link_now_ns (), w, &slot, ret_retry_ns);
  if (e)
    return e;
  if (t->op == IO_WRITE) {
    uint8_t *chunk = l->channel.base[CHANNEL_WRITE_ARENA];

    pthread_mutex_unlock (&l->lock);
    memcpy (chunk + (size_t)slot * CHANNEL_CHUNK_BYTES,
            t->write_buf + (t->offset - t->start), n);
    pthread_mutex_lock (&l->lock);
  }
  inflight_ready (&l->inflight, slot);
  t->piece[(t->first + t->pieces++) % PIECES_IN_FLIGHT] = slot;
  t->offset += n;
  t->left_bytes -= n;
  t->plain_left = false;
  if (l->up && l->inflight.slot[slot].state == SLOT_QUEUED) {
    if (inflight_push (&l->inflight, &l->ring, slot))
      link_distrust (l, "impossible consumer index");
    else
      link_wake_worker (l);
  }
  return ERR_OK;
}

/* The oldest piece is DONE: takes its data and its result. */
static void
finish_piece (struct transfer *t)
{
  struct link *l = t->link;
  uint32_t i = t->piece[t->first];
  const struct inflight_slot *s = &l->inflight.slot[i];
  int error = s->error ? err_errno (s->error) : s->server_errno;

  if (error && !t->result)
    t->result = error;
  if (!error && t->op == IO_READ) {
    const uint8_t *chunk = l->channel.base[CHANNEL_READ_ARENA];
    uint8_t *dst = t->read_buf + (s->request.offset - t->start);
    uint32_t n = s->request.length;

    /* The one copy out of memory that the worker can write: only it is used
     * from here on (DESIGN, invariant 1).
     */
    pthread_mutex_unlock (&l->lock);
    memcpy (dst, chunk + (size_t)i * CHANNEL_CHUNK_BYTES, n);
    pthread_mutex_lock (&l->lock);
  }
  inflight_put (&l->inflight, i);
  t->first = (t->first + 1) % PIECES_IN_FLIGHT;
  t->pieces--;
  wake_blocked (l);
}

static int
run (struct transfer *t)
{
  struct link *l = t->link;
  struct waiter w;
  uint64_t since_ns = link_now_ns ();

  pthread_mutex_lock (&l->lock);
  waiter_enter (l, &w);
  for (;;) {
    uint64_t retry_ns = UINT64_MAX;
    enum err e = ERR_OK;
    bool leave;

    while (!t->result && !all_in_pieces (t) && t->pieces < PIECES_IN_FLIGHT
           && (e = send_piece (t, &w, &retry_ns)) == ERR_OK)
      ;
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
    w.wanted = t->pieces ? t->piece[t->first] : INFLIGHT_SLOTS;
    w.blocked = e == ERR_AGAIN;
    l->blocked += w.blocked;
    leave = wait_interruptible (l, &w, since_ns, retry_ns);
    l->blocked -= w.blocked;
    w.blocked = false;
    if (leave) {
      t->result = err_errno (ERR_SHUTDOWN);
      break;
    }
  }
  for (; t->pieces; t->pieces--) {
    inflight_abandon (&l->inflight, t->piece[t->first]);
    t->first = (t->first + 1) % PIECES_IN_FLIGHT;
  }
  wake_blocked (l);
  waiter_leave (l, &w);
  pthread_mutex_unlock (&l->lock);
  return t->result;
}

int
link_read (struct link *l, void *buf, uint32_t length_bytes, uint64_t offset)
{
  struct transfer t = {.link = l, .op = IO_READ, .read_buf = buf,
                       .offset = offset, .start = offset,
                       .left_bytes = length_bytes};

  return run (&t);
}

int
link_write (struct link *l, const void *buf, uint32_t length_bytes,
            uint64_t offset, uint32_t flags)
{
  struct transfer t = {.link = l, .op = IO_WRITE, .flags = flags,
                       .write_buf = buf, .offset = offset, .start = offset,
                       .left_bytes = length_bytes};

  return run (&t);
}

int
link_plain (struct link *l, enum io_op op, uint32_t length_bytes,
            uint64_t offset, uint32_t flags)
{
  struct transfer t = {.link = l, .op = op, .flags = flags, .offset = offset,
                       .start = offset, .left_bytes = length_bytes,
                       .plain_left = op == IO_FLUSH};

  return run (&t);
}
