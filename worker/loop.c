/* SPDX-License-Identifier: BSD-2-Clause */
/* Invariants
 *   L1  free_slots + used slots == PROTO_REQUESTS, and a used slot is in the
 *       engine: each request is answered once.
 *   L2  A number out of the request ring is checked before it is used: the
 *       gateway is trusted, but not to be free of bugs.
 *   L3  The loop sleeps only after ring_sleep, with nothing pending in a
 *       transport and with tx_waits or nothing to send.
 */
#include "config.h"
#include "worker/loop.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/stranger.h"

#define NS_PER_S 1000000000ull
#define GO_TIMEOUT_NS (30 * NS_PER_S)
#define GIVEN_TIMEOUT_NS (10 * NS_PER_S)
/* Less than the daemon gives us. */
#define LEAVE_TIMEOUT_NS (NS_PER_S * 9 / 10)
/* Per turn, so that neither direction nor the rings wait long. */
#define TURN_RX_BYTES (512u << 10)
#define TURN_TX_BYTES (256u << 10)
#define STATUS_BYTES (IO_EXTENTS_MAX * sizeof (struct io_extent))

_Static_assert (PROTO_REQUESTS <= 256, "slot indices are bytes");
_Static_assert (PROTO_IDENTITY_BYTES == CHANNEL_IDENTITY_BYTES, "the page");
_Static_assert (RING_ENTRIES <= PROTO_REQUESTS, "each entry finds a slot");

static enum err
engine_fault (const struct loop *l, struct fault *f)
{
  const struct fault *why = l->ops->fault (l->proto);

  if (!why || !why->code)
    return fault_set (f, ERR_PEER, "the %s session failed", l->ops->name);
  *f = *why;
  return f->code;
}

/* ------------------------------------------------------------ requests --- */

static enum err
bad_request (struct fault *f, const struct ring_request *r, const char *what)
{
  return fault_set (f, ERR_PEER,
                    "the gateway broke the rules of the ring: %s (operation "
                    "%u, flags %#x, offset %llu, length %u)",
                    what, r->op, r->flags, (unsigned long long)r->offset,
                    r->length);
}

/* L2 */
static enum err
check_request (const struct ring_request *r, struct fault *f)
{
  uint16_t flags = 0;
  uint64_t data_bytes = r->op == IO_READ || r->op == IO_WRITE ? r->length
                        : r->op == IO_STATUS ? STATUS_BYTES
                                             : 0;

  switch (r->op) {
  case IO_READ:
  case IO_FLUSH:
  case IO_STATUS:
    break;
  case IO_WRITE:
  case IO_TRIM:
    flags = IO_FUA;
    break;
  case IO_ZERO:
    flags = IO_FUA | IO_NO_HOLE;
    break;
  default:
    return bad_request (f, r, "unknown operation");
  }
  if (r->flags & ~flags)
    return bad_request (f, r, "unknown flags");
  if ((r->length == 0) != (r->op == IO_FLUSH))
    return bad_request (f, r, "wrong length");
  if (data_bytes
      && (data_bytes > CHANNEL_CHUNK_BYTES
          || r->arena_offset > CHANNEL_ARENA_BYTES - data_bytes))
    return bad_request (f, r, "payload outside the arena");
  return ERR_OK;
}

static enum err
push_completion (struct loop *l, const struct ring_completion *c,
                 struct fault *f)
{
  union ring_entry entry = {.completion = *c};

  if (ring_push (&l->ring, &entry))
    return fault_set (f, ERR_PEER,
                      "the gateway broke the rules of the ring: completions "
                      "without room");
  l->answered = true;
  return ERR_OK;
}

static uint8_t *
payload_of (const struct loop *l, const struct ring_request *r)
{
  switch (r->op) {
  case IO_READ:
  case IO_STATUS:
    return (uint8_t *)l->channel->base[CHANNEL_READ_ARENA] + r->arena_offset;
  case IO_WRITE: /* mapped read-only */
    return (uint8_t *)l->channel->base[CHANNEL_WRITE_ARENA] + r->arena_offset;
  default:
    return NULL;
  }
}

/* No lie of the gateway's: to its clients the volume is as large as it was when
 * they came, and on the server it may have become smaller since.
 */
static bool
beyond_the_end (const struct loop *l, const struct ring_request *r)
{
  return r->offset > l->info.size || r->length > l->info.size - r->offset;
}

/* Nor is this: the session before may have been allowed to write. */
static bool
may_only_read (const struct loop *l, const struct ring_request *r)
{
  return !(l->info.caps & VOLUME_CAN_WRITE) && r->op != IO_READ
         && r->op != IO_STATUS
         && !(r->op == IO_FLUSH && l->info.caps & VOLUME_CAN_FLUSH);
}

static enum err
refuse (struct loop *l, const struct ring_request *r, enum err e,
        struct fault *f)
{
  struct ring_completion c = {.id = r->id, .error = (uint32_t)err_errno (e)};

  return push_completion (l, &c, f);
}

static enum err
submit (struct loop *l, const struct ring_request *r, struct fault *f)
{
  struct proto_request p = {.op = (enum io_op)r->op, .flags = r->flags,
                            .tag = r->id, .offset = r->offset,
                            .length = r->length, .data = payload_of (l, r)};
  struct loop_slot *slot;
  enum err e = check_request (r, f);

  if (e)
    return e;
  if (beyond_the_end (l, r))
    return refuse (l, r, ERR_IO, f);
  if (may_only_read (l, r))
    return refuse (l, r, ERR_ROFS, f);
  if (!l->free_slots)
    return bad_request (f, r, "too many requests in flight");
  p.id = l->free_slot[l->free_slots - 1];
  e = l->ops->submit (l->proto, &p, l->now_ns);
  if (e == ERR_AGAIN)
    return fault_set (f, ERR_LIMIT, "the %s engine took fewer requests than "
                                    "it has to", l->ops->name);
  if (e)
    return refuse (l, r, e, f);
  l->free_slots--;
  slot = &l->slot[p.id];
  *slot = (struct loop_slot){.used = true, .id = r->id,
                             .length_bytes = r->op == IO_READ ? r->length : 0};
  return ERR_OK;
}

static enum err
take_requests (struct loop *l, struct fault *f)
{
  union ring_entry entry;
  enum err e;

  while (!(e = ring_pop (&l->ring, &entry)))
    if ((e = submit (l, &entry.request, f)))
      return e;
  if (e != ERR_AGAIN)
    return fault_set (f, ERR_PEER, "the gateway broke the rules of the ring: "
                                   "impossible index");
  return ERR_OK;
}

/* All completions, then at most one wake-up. */
static enum err
answer (struct loop *l, struct fault *f)
{
  static const uint64_t one = 1;
  struct proto_completion done;

  while (l->ops->reap (l->proto, &done)) {
    struct ring_completion c = {.error = (uint32_t)err_errno (done.error)};
    enum err e;

    if (done.id >= PROTO_REQUESTS || !l->slot[done.id].used /* L1 */
        || done.extents > IO_EXTENTS_MAX)
      return fault_set (f, ERR_PEER, "the %s engine answered twice",
                        l->ops->name);
    c.id = l->slot[done.id].id;
    c.length = done.error ? 0
               : l->slot[done.id].length_bytes
                 + done.extents * (uint32_t)sizeof (struct io_extent);
    memcpy (c.token, done.token, sizeof c.token);
    l->slot[done.id].used = false;
    l->free_slot[l->free_slots++] = (uint8_t)done.id;
    if ((e = push_completion (l, &c, f)))
      return e;
  }
  if (l->answered && ring_wake_needed (&l->ring))
    while (write (l->wake_gateway_fd, &one, sizeof one) < 0 && errno == EINTR)
      ;
  return ERR_OK;
}

/* ------------------------------------------------------------- network --- */

/* A lane has ended, for the reason f. ERR_OK: the engine goes on without it. */
static enum err
lane_ended (struct loop *l, unsigned lane, enum err e)
{
  if (lane == 0 || !l->ops->lane_lost
      || !l->ops->lane_lost (l->proto, lane, l->now_ns))
    return e;
  l->transport_ops->close (steal (&l->transport[lane]));
  return ERR_OK;
}

static enum err
receive_lane (struct loop *l, unsigned lane, struct fault *f)
{
  size_t got = 0;

  for (size_t n; got < TURN_RX_BYTES; got += n) {
    struct iovec to = l->ops->rx_iov (l->proto, lane);
    enum err e = l->transport_ops->read (l->transport[lane], to, &n, f);

    if (e == ERR_AGAIN)
      return ERR_OK;
    if (e && !l->heard)
      stranger_hung_up (f);
    if (e)
      return lane_ended (l, lane, e);
    l->heard = true;
    if (l->ops->rx_done (l->proto, lane, n, l->now_ns))
      return engine_fault (l, f);
  }
  return ERR_OK;
}

static enum err
receive (struct loop *l, struct fault *f)
{
  for (unsigned i = 0; i < l->lanes; i++) {
    enum err e = l->transport[i] ? receive_lane (l, i, f) : ERR_OK;

    if (e)
      return e;
  }
  return ERR_OK;
}

/* What a lane may send now; *sent counts its bytes in this turn. */
static enum err
transmit_lane (struct loop *l, unsigned lane, size_t *sent, struct fault *f)
{
  struct iovec iov[PROTO_TX_IOV];

  for (;;) {
    size_t pieces = l->ops->tx_iov (l->proto, lane, iov, PROTO_TX_IOV);
    size_t n;
    enum err e;

    if (!pieces)
      return ERR_OK;
    if (*sent >= TURN_TX_BYTES) {
      l->tx_waits = false;
      return ERR_OK;
    }
    e = l->transport_ops->write (l->transport[lane], iov, pieces, &n, f);
    if (e == ERR_AGAIN)
      return ERR_OK;
    if (e)
      return lane_ended (l, lane, e);
    l->ops->tx_done (l->proto, lane, n);
    *sent += n;
  }
}

static enum err
flush_lanes (struct loop *l, struct fault *f)
{
  for (unsigned i = 0; i < l->lanes; i++) {
    enum err e = l->transport[i]
                     ? l->transport_ops->flush (l->transport[i], f)
                     : ERR_OK;

    if (e && (e = lane_ended (l, i, e)))
      return e;
  }
  return ERR_OK;
}

/* In rounds, as what is sent on one lane may give another something to send. */
static enum err
transmit (struct loop *l, struct fault *f)
{
  size_t sent[PROTO_LANES_MAX] = {0};
  bool again;

  l->tx_waits = true;
  do {
    again = false;
    for (unsigned i = 0; i < l->lanes; i++) {
      size_t before = sent[i];
      enum err e = l->transport[i] ? transmit_lane (l, i, &sent[i], f) : ERR_OK;

      if (e)
        return e;
      again |= sent[i] > before;
    }
  } while (again && l->lanes > 1);
  return flush_lanes (l, f);
}

/* -------------------------------------------------------------- states --- */

static enum err
become_ready (struct loop *l, struct fault *f)
{
  l->ops->info (l->proto, &l->info);
  if (!volume_info_check (&l->info))
    return fault_set (f, ERR_PEER, "the server describes an impossible volume");
  l->state = LOOP_READY;
  l->deadline_ns = l->now_ns + GO_TIMEOUT_NS;
  return broker_ready (l->broker, &l->info, f);
}

static enum err
begin_serving (struct loop *l, struct fault *f)
{
  struct wire w = wire_init (l->message.body, l->message.length_bytes);
  uint64_t epoch = wire_u64 (&w);
  struct ring_object *mine = channel_ring (l->channel, CHANNEL_COMPLETIONS);
  const struct ring_object *peer = channel_ring (l->channel, CHANNEL_REQUESTS);

  if (wire_end (&w) || epoch != l->epoch
      || atomic_load_explicit (&peer->epoch, memory_order_acquire) != epoch
      || peer->magic != RING_MAGIC || peer->entries != RING_ENTRIES)
    return fault_set (f, ERR_PEER,
                      "the gateway started the rings for another worker");
  ring_object_reset (mine, epoch);
  ring_init (&l->ring, mine, peer);
  l->state = LOOP_SERVING;
  l->deadline_ns = PROTO_NO_DEADLINE;
  return ERR_OK;
}

/* The engine's next question, to the daemon. */
static enum err
ask (struct loop *l, struct fault *f)
{
  struct proto_want w = {.type = PROTO_WANT_NOTHING};
  enum err e;

  if (!l->ops->want || l->asked || l->state == LOOP_LEAVING
      || !l->ops->want (l->proto, &w))
    return ERR_OK;
  if (l->daemon_closed)
    return fault_set (f, ERR_SHUTDOWN, "bulkheadd is gone");
  if ((e = broker_want (l->broker, &w, f)))
    return e;
  l->moved = w.type == PROTO_WANT_MOVE;
  l->asked = w.type;
  l->asked_until_ns = l->now_ns + GIVEN_TIMEOUT_NS;
  return ERR_OK;
}

static enum err
take_given (struct loop *l, struct fault *f)
{
  struct wire w = wire_init (l->message.body, l->message.length_bytes);
  struct proto_given g;
  enum err e;

  if (given_take (&w, &g) || wire_end (&w) || g.type != l->asked)
    return fault_set (f, ERR_PEER, "bulkheadd sent a malformed answer");
  l->asked = PROTO_WANT_NOTHING;
  e = l->ops->give (l->proto, &g, l->now_ns);
  return e ? engine_fault (l, f) : ERR_OK;
}

static enum err
begin_probe (struct loop *l, struct fault *f)
{
  if (l->message.length_bytes || l->probing)
    return fault_set (f, ERR_PEER, "the gateway probes without waiting");
  l->probing = true;
  if (l->ops->probe)
    l->ops->probe (l->proto, l->now_ns);
  return ERR_OK;
}

static void
answer_probe (struct loop *l)
{
  uint64_t change = 0, size = l->info.size; /* who cannot tell says so */
  struct wirebuf b;

  if (!l->probing
      || (l->ops->probed && !l->ops->probed (l->proto, &change, &size)))
    return;
  l->probing = false;
  control_begin (&l->message, CONTROL_PROBED);
  b = control_body (&l->message);
  wirebuf_u64 (&b, change);
  wirebuf_u64 (&b, size);
  /* Only a gateway that has gone does not take it. */
  (void)control_tell (l->gateway_fd, &l->message, &b, 0);
}

/* If the gateway is slow to read, lines are lost. */
static void
say (struct loop *l)
{
  char line[PROTO_SAY_BYTES];
  struct wirebuf b;

  while (l->ops->say && l->ops->say (l->proto, line)) {
    control_begin (&l->message, CONTROL_NOTE);
    b = control_body (&l->message);
    wirebuf_cstring (&b, line);
    (void)control_tell (l->gateway_fd, &l->message, &b, 0);
  }
}

/* Nothing but GO, PROBE, GIVEN and their end is legal on the control sockets
 * here. */
static enum err
hear_control (struct loop *l, int fd, bool gateway, struct fault *f)
{
  enum err e = control_hear (fd, &l->message, 0);

  if (e == ERR_AGAIN)
    return ERR_OK;
  if (e == ERR_CLOSED) {
    if (gateway)
      l->gateway_closed = true;
    else
      l->daemon_closed = true;
    if (l->daemon_closed && l->asked)
      return fault_set (f, ERR_SHUTDOWN, "bulkheadd is gone");
    return ERR_OK;
  }
  if (e)
    return fault_set (f, e, "control socket: %s", err_text (e));
  if (gateway && l->state == LOOP_READY && l->message.type == CONTROL_GO)
    return begin_serving (l, f);
  if (gateway && l->state == LOOP_SERVING && l->message.type == CONTROL_PROBE)
    return begin_probe (l, f);
  if (!gateway && l->asked && l->message.type == CONTROL_GIVEN)
    return take_given (l, f);
  return fault_set (f, ERR_PEER, "unexpected message %s from the %s",
                    control_type_name (l->message.type),
                    gateway ? "gateway" : "daemon");
}

static enum err
check_time (struct loop *l, struct fault *f)
{
  if (l->now_ns >= l->ops->deadline_ns (l->proto)
      && l->ops->tick (l->proto, l->now_ns)) {
    enum err e = engine_fault (l, f);

    return e == ERR_TIMEOUT && !l->heard ? stranger_silent (f) : e;
  }
  if (l->asked && l->now_ns >= l->asked_until_ns)
    return fault_set (f, ERR_TIMEOUT, "bulkheadd did not answer in time");
  if (l->now_ns < l->deadline_ns)
    return ERR_OK;
  if (l->state == LOOP_LEAVING)
    return ERR_TIMEOUT;
  if (l->state == LOOP_STARTING && !l->heard)
    return stranger_silent (f);
  if (l->state == LOOP_STARTING)
    return fault_set (f, ERR_TIMEOUT,
                      "the server did not answer in time while the %s session "
                      "was being set up", l->ops->name);
  return fault_set (f, ERR_TIMEOUT, "the gateway did not start the rings");
}

/* ---------------------------------------------------------------- wait --- */

/* How long ppoll may sleep; NULL: until something happens. */
static struct timespec *
time_left (const struct loop *l, struct timespec *ts)
{
  uint64_t until_ns = l->ops->deadline_ns (l->proto);
  uint64_t left_ns;

  if (l->deadline_ns < until_ns)
    until_ns = l->deadline_ns;
  if (l->asked && l->asked_until_ns < until_ns)
    until_ns = l->asked_until_ns;
  if (until_ns == PROTO_NO_DEADLINE)
    return NULL;
  left_ns = until_ns > l->now_ns ? until_ns - l->now_ns : 0;
  ts->tv_sec = (time_t)(left_ns / NS_PER_S);
  ts->tv_nsec = (long)(left_ns % NS_PER_S);
  return ts;
}

/* Where ppoll's answers stand; the lanes come last. */
enum { POLL_WAKE, POLL_GATEWAY, POLL_DAEMON, POLL_NET };
#define POLL_FDS (POLL_NET + PROTO_LANES_MAX)

static enum err
hear_all (struct loop *l, const struct pollfd p[POLL_FDS], struct fault *f)
{
  uint64_t wakes;
  enum err e;

  for (unsigned i = 0; i < l->lanes; i++)
    if (p[POLL_NET + i].revents)
      l->transport_ops->ready (l->transport[i], p[POLL_NET + i].revents);
  if (p[POLL_WAKE].revents)
    while (read (l->wake_worker_fd, &wakes, sizeof wakes) < 0
           && errno == EINTR)
      ;
  if (p[POLL_GATEWAY].revents
      && (e = hear_control (l, l->gateway_fd, true, f)))
    return e;
  return p[POLL_DAEMON].revents ? hear_control (l, l->daemon_fd, false, f)
                                : ERR_OK;
}

/* Fills in the lanes. True: a transport has something to do already. */
static bool
poll_lanes (const struct loop *l, struct pollfd p[POLL_FDS])
{
  bool pending = false;

  for (unsigned i = 0; i < l->lanes; i++) {
    struct transport *t = l->transport[i];

    p[POLL_NET + i] = (struct pollfd){.fd = -1};
    if (!t)
      continue;
    p[POLL_NET + i].fd = l->net_fd + (int)i;
    p[POLL_NET + i].events = l->transport_ops->events (t);
    pending |= l->transport_ops->pending (t);
  }
  return pending;
}

/* L3 */
static enum err
wait_for_work (struct loop *l, struct fault *f)
{
  struct pollfd p[POLL_FDS] = {
    [POLL_WAKE] = {.fd = l->wake_worker_fd, .events = POLLIN},
    [POLL_GATEWAY] = {.fd = l->gateway_closed ? -1 : l->gateway_fd,
                      .events = POLLIN},
    [POLL_DAEMON] = {.fd = l->daemon_closed ? -1 : l->daemon_fd,
                     .events = POLLIN},
  };
  struct timespec ts = {0}, *timeout = &ts;
  bool busy = poll_lanes (l, p) || !l->tx_waits;
  bool asleep = !busy && l->state == LOOP_SERVING && ring_sleep (&l->ring);
  int n;

  if (asleep || (!busy && l->state != LOOP_SERVING))
    timeout = time_left (l, &ts);
  n = ppoll (p, POLL_NET + l->lanes, timeout, NULL);
  if (asleep)
    ring_awake (&l->ring);
  if (n < 0 && errno != EINTR)
    return fault_set (f, err_from_errno (errno), "ppoll failed");
  return n > 0 ? hear_all (l, p, f) : ERR_OK;
}

/* What was answered before the session ended still counts; so does where to go
 * on, after which the server may have hung up.
 */
static enum err
session_ended (struct loop *l, enum err e)
{
  if (l->ops->state (l->proto) == PROTO_FAILED)
    return e;
  if (l->ops->lost)
    l->ops->lost (l->proto, l->now_ns);
  if (l->state == LOOP_SERVING)
    (void)answer (l, NULL);
  return !ask (l, NULL) && l->moved ? ERR_OK : e;
}

static enum err
turn (struct loop *l, struct fault *f)
{
  enum err e;

  if (l->state == LOOP_SERVING && (e = take_requests (l, f)))
    return e;
  if ((e = receive (l, f)) || (e = check_time (l, f)))
    return session_ended (l, e);
  if ((e = ask (l, f)) || l->moved)
    return e;
  if (l->ops->state (l->proto) == PROTO_FAILED)
    return engine_fault (l, f);
  if (l->state == LOOP_STARTING && l->ops->state (l->proto) == PROTO_READY
      && (e = become_ready (l, f)))
    return e;
  if (l->state == LOOP_SERVING) {
    say (l);
    if ((e = answer (l, f)))
      return e;
  }
  answer_probe (l);
  return transmit (l, f);
}

/* Nobody is there any more. False if there is nothing to say to the server. */
static bool
leave (struct loop *l)
{
  if (l->state == LOOP_LEAVING)
    return true;
  if (!l->ops->leave || l->ops->state (l->proto) != PROTO_READY)
    return false;
  l->ops->leave (l->proto, l->now_ns);
  l->state = LOOP_LEAVING;
  l->deadline_ns = clock_now_ns () + LEAVE_TIMEOUT_NS;
  return true;
}

enum err
loop_run (struct loop *l, struct fault *f)
{
  struct ring_object *mine = channel_ring (l->channel, CHANNEL_COMPLETIONS);
  uint64_t progress = 0;

  l->state = LOOP_STARTING;
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    l->free_slot[i] = (uint8_t)(PROTO_REQUESTS - 1 - i);
  l->free_slots = PROTO_REQUESTS;
  for (;;) {
    enum err e;

    atomic_store_explicit (&mine->progress, ++progress, memory_order_relaxed);
    l->now_ns = clock_now_ns ();
    e = turn (l, f);
    if (l->moved)
      return ERR_OK;
    if (e || (e = wait_for_work (l, f)))
      return l->state == LOOP_LEAVING ? ERR_OK : e;
    if (l->daemon_closed && l->gateway_closed && !leave (l))
      return ERR_OK;
    if (l->daemon_closed && l->state == LOOP_STARTING)
      return fault_set (f, ERR_SHUTDOWN, "bulkheadd is gone");
  }
}
