/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers that die and come: the control thread, and what it does to a link.
 */
#include "config.h"
#include "gateway/link_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define SEND_TIMEOUT_NS 1000000000ull
#define HANG_NS 2000000000ull
/* How long a session lasts that may not write what has to be sent again. If a
 * client was refused: twice as long each time that there is another such one.
 */
#define NO_WRITE_NS 3000000000ull
#define NO_WRITE_DOUBLINGS 5u
#define TICK_MS 500
#define FRUITLESS_NS 1000000000ull

static void
wake_worker (struct link *l, struct path *p)
{
  uint64_t one = 1;
  ssize_t ignored;

  if (!ring_wake_needed (&p->ring))
    return;
  l->wakes++;
  /* Full only if nobody reads it: then it is awake or dead. */
  ignored = write (p->channel_fd[CHANNEL_WAKE_WORKER], &one, sizeof one);
  (void)ignored;
}

/* No kernel buffer may go on sending what a dead worker wrote (DESIGN,
 * invariant 6); the daemon does the same with its dup.
 */
static void
fence (const struct path *p)
{
  struct sockaddr sa = {.sa_family = AF_UNSPEC};

  for (unsigned i = 0; i < p->worker_lanes; i++) {
    int ignored = connect (p->worker_net[i], &sa, sizeof sa);
    (void)ignored;
  }
}

/* The path's worker is dead. */
static void
forget_worker (struct path *p)
{
  while (p->worker_lanes)
    close (p->worker_net[--p->worker_lanes]);
  cleanup_close (&p->worker_pidfd);
  p->worker_pidfd = -1;
  p->down_ns = 0;
}

void
link_down (struct link *l, struct path *p)
{
  uint64_t now = clock_now_ns ();

  if (!path_up (l, p))
    return;
  l->up &= ~(1u << p->index);
  p->down_ns = now;
  fence (p);
  cleanup_close (&p->worker_sock);
  p->worker_sock = -1;
  /* Sessions that end at once, and have answered nothing, end no outage. */
  if (!l->up
      && (l->answered || !l->down_since_ns
          || now - l->up_since_ns >= FRUITLESS_NS))
    l->down_since_ns = now;
  proof_losing (l, p->index);
  inflight_down (&l->inflight, p->index, now);
  changes_path_down (l, p);
  proof_lost (l);
  /* Nobody will tell why it died. */
  if (l->daemon_sock < 0)
    inflight_absolve (&l->inflight, p->index);
  ahead_down (l);
  link_wake_all (l);
}

void
link_blame (struct link *l, struct path *p)
{
  unsigned failed = inflight_blame (&l->inflight, p->index);

  if (!failed)
    return;
  log_write (l->log, LOG_LEVEL_ERROR,
             "%s: %u request%s ended %u workers in turn and fail%s now",
             l->name, failed, failed == 1 ? "" : "s",
             INFLIGHT_DEATHS_FATAL, failed == 1 ? "s" : "");
  link_wake_all (l);
}

static void
tell_distrust (struct link *l, const struct path *p, const char *why)
{
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);
  struct fault f;
  struct wirebuf b;

  if (!m || l->daemon_sock < 0)
    return;
  fault_set (&f, ERR_PEER, "%s", why);
  control_begin (m, CONTROL_DISTRUST);
  b = control_body (m);
  wirebuf_u8 (&b, (uint8_t)p->index);
  wirebuf_u64 (&b, p->epoch);
  fault_put (&b, &f);
  /* If the daemon does not take it, its connection ends as well. */
  control_send (l->daemon_sock, m, &b, SEND_TIMEOUT_NS);
}

/* For messages: "worker 3", "worker 3 of connection 2". */
struct worker_text {
  char text[60];
};

static struct worker_text
worker_name (const struct link *l, const struct path *p, uint64_t epoch)
{
  struct worker_text t;
  int n = snprintf (t.text, sizeof t.text, "worker %llu",
                    (unsigned long long)epoch);

  if (l->paths > 1)
    snprintf (t.text + n, sizeof t.text - (size_t)n, " of connection %u",
              p->index + 1);
  return t;
}

void
link_distrust (struct link *l, struct path *p, const char *why, bool blame)
{
  log_write (l->log, LOG_LEVEL_ERROR, "%s: %s: %s; it is replaced", l->name,
             worker_name (l, p, p->epoch).text, why);
  link_down (l, p);
  if (blame)
    link_blame (l, p);
  else
    inflight_absolve (&l->inflight, p->index);
  tell_distrust (l, p, why);
  p->down_ns = 0;
  link_push_queued (l);
}

enum err
link_tell (struct link *l, enum control_type type)
{
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);
  struct wirebuf b;

  if (!m)
    return ERR_NOMEM;
  if (l->daemon_sock < 0)
    return ERR_CLOSED;
  control_begin (m, type);
  b = control_body (m);
  return control_send (l->daemon_sock, m, &b, SEND_TIMEOUT_NS);
}

enum err
link_take_cache (struct link *l, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  uint32_t slots = wire_u32 (&w);
  uint32_t stripes = wire_u32 (&w);
  uint32_t chunks = wire_u32 (&w);
  char why[200];

  if (l->inflight.failed)
    return ERR_OK;
  wire_cstring (&w, why, sizeof why);
  if (wire_end (&w) || m->fds != CACHE_FDS || chunks != FILL_CHUNKS)
    return ERR_PEER;
  if (why[0] && l->options.cached)
    log_write (l->log, LOG_LEVEL_WARN, "%s: no cache: %s", l->name, why);
  return hot_attach (&l->hot, m->fd, slots, stripes,
                     l->options.cached && !why[0]);
}

uint32_t
link_usable (const struct link *l)
{
  return l->up ? l->up : (1u << l->paths) - 1;
}

uint32_t
link_paths_for (const struct link *l, enum io_op op)
{
  uint32_t usable = link_usable (l), may_write = 0;

  if (op == IO_READ || op == IO_STATUS)
    return usable;
  for (unsigned i = 0; i < l->paths; i++)
    if (!l->path[i].no_write_ns)
      may_write |= usable & 1u << i;
  return may_write ? may_write : usable;
}

/* The path that a QUEUED slot is pushed to: its own, or if that is down one
 * that is not. The payload of a write goes along; the dead path's write arena
 * was never another's to write.
 */
static struct path *
path_for (struct link *l, uint32_t slot)
{
  const struct inflight_slot *s = &l->inflight.slot[slot];
  size_t at = (size_t)slot * CHANNEL_CHUNK_BYTES;
  struct path *from = &l->path[s->path];
  struct path *to;

  if (path_up (l, from))
    return from;
  to = &l->path[inflight_move (&l->inflight, slot,
                               link_paths_for (l, (enum io_op)s->request.op))];
  if (s->request.op == IO_WRITE)
    memcpy ((uint8_t *)to->channel.base[CHANNEL_WRITE_ARENA] + at,
            (const uint8_t *)from->channel.base[CHANNEL_WRITE_ARENA] + at,
            s->request.length);
  return to;
}

void
link_push_queued (struct link *l)
{
  uint32_t pushed = 0;
  uint32_t slot;

  while (l->up
         && (slot = inflight_next (&l->inflight)) < INFLIGHT_SLOTS) {
    struct path *p = path_for (l, slot);

    if (inflight_push (&l->inflight, &p->ring, slot, clock_now_ns ()))
      link_distrust (l, p, "impossible consumer index", false);
    else
      pushed |= 1u << p->index;
  }
  for (unsigned i = 0; i < l->paths; i++)
    if (pushed & l->up & 1u << i)
      wake_worker (l, &l->path[i]);
}

/* Whether it is what the client knows; the first worker says what that is. */
static enum err
check_info (struct link *l, const struct volume_info *info)
{
  if (!l->info.request_max) {
    l->info = *info;
    atomic_store (&l->size_bytes, info->size);
    if (!(info->caps & VOLUME_CAN_FLUSH)) /* nothing can ever be proven */
      l->proof.log.limit_bytes = 0;
    return ERR_OK;
  }
  if (l->info.identity[0] && strcmp (info->identity, l->info.identity) != 0)
    return ERR_PEER; /* also if it has no name now */
  if (l->info.caps & ~info->caps)
    log_write (l->log, LOG_LEVEL_ERROR,
               "%s: the server allows less than before%s%s", l->name,
               info->readonly_why[0] ? ": " : "", info->readonly_why);
  return ERR_OK;
}

static enum err
send_go (int sock, uint64_t epoch)
{
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);
  struct wirebuf b;

  if (!m)
    return ERR_NOMEM;
  control_begin (m, CONTROL_GO);
  b = control_body (m);
  wirebuf_u64 (&b, epoch);
  return control_send (sock, m, &b, SEND_TIMEOUT_NS);
}

/* The fds of WORKER. */
enum { WORKER_SOCK, WORKER_PIDFD, WORKER_NET };

enum err
link_up (struct link *l, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  unsigned index = wire_u8 (&w);
  uint64_t epoch = wire_u64 (&w);
  uint32_t layers = wire_u32 (&w);
  bool shared = wire_u8 (&w);
  struct volume_info info;
  struct path *p;
  bool again;

  if (volume_info_take (&w, &info) || wire_end (&w) || m->fds <= WORKER_NET
      || m->fds > WORKER_NET + PROTO_LANES_MAX
      || index >= l->paths || epoch <= l->path[index].epoch)
    return ERR_PEER;
  p = &l->path[index];
  link_down (l, p);
  forget_worker (p);
  /* If nobody has told why the last one died, nobody will. */
  inflight_absolve (&l->inflight, index);
  again = p->epoch != 0;
  p->epoch = epoch;
  p->worker_layers = layers;
  p->worker_shared = shared;
  p->worker_pidfd = control_take_fd (m, WORKER_PIDFD);
  for (unsigned i = WORKER_NET; i < m->fds; i++)
    p->worker_net[p->worker_lanes++] = control_take_fd (m, i);
  if (check_info (l, &info)) {
    link_distrust (l, p, "it has come to another object on the server", false);
    return ERR_OK;
  }
  p->worker_sock = control_take_fd (m, WORKER_SOCK);
  p->size_bytes = info.size;
  p->no_write_ns = l->info.caps & ~info.caps & VOLUME_CAN_WRITE
                       ? clock_now_ns ()
                       : 0;
  p->no_writes = p->no_write_ns ? p->no_writes + 1 : 0;
  p->refused = false;
  if (again && l->started) {
    changes_session (l, p, &info);
    changes_grow (l, p);
  }
  doubt_session (l);
  p->seen_progress = 0;
  p->seen_ns = clock_now_ns ();
  ring_object_reset (channel_ring (&p->channel, CHANNEL_REQUESTS), epoch);
  ring_init (&p->ring, channel_ring (&p->channel, CHANNEL_REQUESTS),
             channel_ring (&p->channel, CHANNEL_COMPLETIONS));
  if (!l->up) {
    l->up_since_ns = clock_now_ns ();
    l->answered = false;
  }
  l->up |= 1u << index;
  /* It may be dead again already; then the daemon says so. */
  if (send_go (p->worker_sock, epoch))
    link_down (l, p);
  else if (l->started) {
    l->takeovers++;
    log_write (l->log, LOG_LEVEL_INFO, "%s: %s serves now", l->name,
               worker_name (l, p, epoch).text);
  }
  link_push_queued (l);
  link_wake_all (l);
  pthread_cond_signal (&l->lease_drained); /* proof_due */
  return ERR_OK;
}

void
link_give_up (struct link *l, enum err why)
{
  for (unsigned i = 0; i < l->paths; i++)
    link_down (l, &l->path[i]);
  inflight_fail (&l->inflight, why);
  proof_sweep (l);
  retained_clear (&l->proof.log);
  /* Somebody else may have it by now. */
  l->lease = LEASE_NONE;
  /* All requests fail now, those that the cache could answer too. */
  hot_detach (&l->hot);
  link_wake_all (l);
}

static void
daemon_lost (struct link *l)
{
  close (l->daemon_sock);
  l->daemon_sock = -1;
  /* What was given up is not handed to another one. */
  l->adopt_try_ns = l->inflight.failed ? UINT64_MAX : clock_now_ns ();
  l->adopt_tries = 0;
  for (unsigned i = 0; i < l->paths; i++)
    inflight_absolve (&l->inflight, i);
  link_push_queued (l);
  if (l->inflight.failed)
    return;
  log_write (l->log, LOG_LEVEL_WARN, "%s: bulkheadd is gone%s", l->name,
             l->up ? "; the worker goes on" : "");
}

static enum err
take_gone (struct link *l, struct wire *w)
{
  unsigned index = wire_u8 (w);
  uint64_t epoch = wire_u64 (w);
  bool of_itself = wire_u8 (w);
  struct fault f = {0};
  struct path *p;

  if (fault_take (w, &f) || index >= l->paths)
    return ERR_PEER;
  p = &l->path[index];
  if (epoch == p->epoch) {
    link_down (l, p);
    forget_worker (p);
    if (of_itself)
      link_blame (l, p);
    else
      inflight_absolve (&l->inflight, index);
    link_push_queued (l);
  }
  log_write (l->log, LOG_LEVEL_WARN, "%s: %s: %s", l->name,
             worker_name (l, p, epoch).text, f.text);
  return ERR_OK;
}

static void
take_message (struct link *l, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  struct fault f = {0};

  switch (m->type) {
  case CONTROL_GONE:
    if (take_gone (l, &w))
      break;
    return;
  case CONTROL_WORKER:
    if (link_up (l, m))
      break;
    return;
  case CONTROL_FAULT:
    if (fault_take (&w, &f))
      break;
    log_fault (l->log, l->name, &f);
    link_give_up (l, f.code);
    return;
  case CONTROL_CACHE:
    if (link_take_cache (l, m))
      break;
    return;
  case CONTROL_ADOPTED:
    log_write (l->log, LOG_LEVEL_INFO, "%s: a new bulkheadd has taken over",
               l->name);
    return;
  case CONTROL_LEASE_GRANT:
  case CONTROL_LEASE_REVOKE:
    lease_message (l, m->type);
    return;
  default:
    break;
  }
  log_write (l->log, LOG_LEVEL_ERROR, "%s: wrong %s message from bulkheadd",
             l->name, control_type_name (m->type));
  daemon_lost (l);
}

/* It is no use to us any more; its death would have been told by now. */
static void
check_end (struct link *l, struct path *p)
{
  if (!p->down_ns || clock_now_ns () - p->down_ns < HANG_NS)
    return;
  p->down_ns = 0;
  tell_distrust (l, p, "it has hung up, and does not end");
}

/* The server was read-only when the path's session began, and need not be any
 * more. Another session is worth a pause for those who read if it is missed.
 */
static bool
may_write_by_now (const struct link *l, const struct path *p, uint64_t now)
{
  unsigned doublings = p->no_writes - 1;

  if (!p->no_write_ns)
    return false;
  if (l->proof.log.doubts)
    return now - p->no_write_ns >= NO_WRITE_NS;
  if (doublings > NO_WRITE_DOUBLINGS)
    doublings = NO_WRITE_DOUBLINGS;
  return p->refused && now - p->no_write_ns >= NO_WRITE_NS << doublings;
}

/* A worker that hangs, a server that is silent: both end the session. */
static void
check_health (struct link *l, struct path *p)
{
  const struct ring_object *worker
    = channel_ring (&p->channel, CHANNEL_COMPLETIONS);
  uint64_t now = clock_now_ns ();
  uint64_t progress, oldest_ns;
  bool idle;

  if (!path_up (l, p)) {
    check_end (l, p);
    return;
  }
  progress = atomic_load_explicit (&worker->progress, memory_order_relaxed);
  /* It sleeps, and has taken all there is: it waits for the server. */
  idle = (atomic_load_explicit (&worker->sleep, memory_order_relaxed) & 1)
         && ring_peer_head (&p->ring) == p->ring.tail;
  if (progress != p->seen_progress || idle
      || !l->inflight.path[p->index].sent) {
    p->seen_progress = progress;
    p->seen_ns = now;
  } else if (now - p->seen_ns >= HANG_NS) {
    link_distrust (
        l, p, "it hangs: no progress for 2 seconds with work in hand", true);
    return;
  }
  if (may_write_by_now (l, p, now)) {
    link_distrust (l, p, "it may not write, and the next one perhaps may",
                   false);
    return;
  }
  oldest_ns = inflight_oldest_sent_ns (&l->inflight, p->index);
  if (oldest_ns < now && now - oldest_ns >= l->options.request_ns)
    link_distrust (l, p, "the server has not answered a request in time",
                   false);
}

/* Why the server has refused something, in the words of a worker, who may lie.
 */
static enum err
take_note (struct link *l, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  unsigned hidden = 0;
  char text[256], more[60] = "";

  wire_cstring (&w, text, sizeof text);
  if (wire_end (&w) || m->fds || !text[0])
    return ERR_PEER;
  switch (notes_judge (&l->notes, clock_now_ns (), &hidden)) {
  case NOTES_LOG:
    if (hidden)
      snprintf (more, sizeof more, " (and %u more before)", hidden);
    log_write (l->log, LOG_LEVEL_ERROR, "%s: %s%s", l->name, text, more);
    return ERR_OK;
  case NOTES_HIDE:
    return ERR_OK;
  case NOTES_DISTRUST:
    break;
  }
  return ERR_PEER;
}

/* A worker ends, says something for the log, or whether its object has changed.
 */
static void
hear_worker (struct link *l, struct path *p, struct control *m)
{
  enum err e;

  control_close (m);
  e = control_recv (p->worker_sock, m, 0);
  if (e == ERR_AGAIN)
    return;
  if (!e && (m->type == CONTROL_NOTE ? take_note (l, m)
                                     : changes_message (l, p, m)))
    link_distrust (l, p, "a message that it may not send", false);
  else if (e)
    link_down (l, p);
  link_push_queued (l);
}

/* All events of one turn. False: the link is being closed. */
static bool
control_turn (struct link *l, struct control *m)
{
  enum { STOP, DAEMON, WORKERS };
  struct pollfd p[WORKERS + CHANNEL_PATHS] = {
    [STOP] = {.fd = l->stop_fd, .events = POLLIN},
    [DAEMON] = {.fd = l->daemon_sock, .events = POLLIN},
  };
  uint64_t epoch[CHANNEL_PATHS];
  enum err e = ERR_AGAIN;
  int tick_ms;

  pthread_mutex_lock (&l->lock);
  tick_ms = doubt_tick_ms (l, TICK_MS);
  for (unsigned i = 0; i < l->paths; i++) {
    p[WORKERS + i]
      = (struct pollfd){.fd = l->path[i].worker_sock, .events = POLLIN};
    epoch[i] = l->path[i].epoch;
  }
  pthread_mutex_unlock (&l->lock);
  /* Another thread may close a worker's socket meanwhile (distrust); the
   * daemon's GONE, or the next tick, ends this poll then.
   */
  if (poll (p, WORKERS + l->paths, tick_ms) < 0 && errno != EINTR)
    return false;
  if (p[STOP].revents)
    return false;
  if (p[DAEMON].revents)
    e = control_recv (l->daemon_sock, m, 0);
  pthread_mutex_lock (&l->lock);
  if (p[DAEMON].revents && e == ERR_OK)
    take_message (l, m);
  else if (p[DAEMON].revents && e != ERR_AGAIN)
    daemon_lost (l);
  for (unsigned i = 0; i < l->paths; i++) {
    struct path *path = &l->path[i];

    /* Only if it is still the one that was polled. */
    if (p[WORKERS + i].revents && epoch[i] == path->epoch
        && path_up (l, path))
      hear_worker (l, path, m);
    check_health (l, path);
  }
  link_settle (l);
  control_close (m);
  doubt_tick (l);
  changes_tick (l, m); /* m is scratch from here on */
  stats_gauges (l, clock_now_ns ());
  pthread_mutex_unlock (&l->lock);
  if (l->daemon_sock < 0 && clock_now_ns () >= l->adopt_try_ns)
    adopt_try (l, m);
  link_mend_sockets (l, m);
  return true;
}

void *
link_control_main (void *link)
{
  struct link *l = link;
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);

  while (m && control_turn (l, m))
    ;
  return NULL;
}
