/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers that die and come: the control thread, and what it does to a link.
 */
#include "config.h"
#include "gateway/link_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"

#define SEND_TIMEOUT_NS 1000000000ull
#define HANG_NS 2000000000ull
#define TICK_MS 500

void
link_wake_worker (struct link *l)
{
  uint64_t one = 1;
  ssize_t ignored;

  if (!l->up || !ring_wake_needed (&l->ring))
    return;
  l->wakes++;
  /* Full only if nobody reads it: then it is awake or dead. */
  ignored = write (l->wake_worker, &one, sizeof one);
  (void)ignored;
}

/* No kernel buffer may go on sending what a dead worker wrote (DESIGN,
 * invariant 6); the daemon does the same with its dup.
 */
static void
fence (int net)
{
  struct sockaddr sa = {.sa_family = AF_UNSPEC};

  if (net >= 0) {
    int ignored = connect (net, &sa, sizeof sa);
    (void)ignored;
  }
}

void
link_down (struct link *l)
{
  if (!l->up)
    return;
  l->up = false;
  fence (l->worker_net);
  if (l->worker_net >= 0)
    close (l->worker_net);
  if (l->worker_sock >= 0)
    close (l->worker_sock);
  if (l->worker_pidfd >= 0)
    close (l->worker_pidfd);
  l->worker_net = l->worker_sock = l->worker_pidfd = -1;
  l->down_since_ns = link_now_ns ();
  inflight_down (&l->inflight, link_now_ns ());
  ahead_down (l);
  link_wake_all (l);
}

void
link_blame (struct link *l)
{
  unsigned failed = inflight_blame (&l->inflight);

  if (!failed)
    return;
  log_write (l->log, LOG_LEVEL_ERROR,
             "%s: %u request%s ended %u workers in turn and fail%s now",
             l->name, failed, failed == 1 ? "" : "s",
             INFLIGHT_DEATHS_FATAL, failed == 1 ? "s" : "");
  link_wake_all (l);
}

void
link_distrust (struct link *l, const char *why, bool blame)
{
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);
  struct fault f;
  struct wirebuf b;

  log_write (l->log, LOG_LEVEL_ERROR, "%s: worker %llu: %s; it is replaced",
             l->name, (unsigned long long)l->epoch, why);
  link_down (l);
  if (blame)
    link_blame (l);
  if (!m || l->daemon_sock < 0)
    return;
  fault_set (&f, ERR_PEER, "%s", why);
  control_begin (m, CONTROL_DISTRUST);
  b = control_body (m);
  wirebuf_u64 (&b, l->epoch);
  fault_put (&b, &f);
  /* If the daemon does not take it, its connection ends as well. */
  control_send (l->daemon_sock, m, &b, SEND_TIMEOUT_NS);
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

  wire_cstring (&w, why, sizeof why);
  if (wire_end (&w) || m->fds != CACHE_FDS || chunks != FILL_CHUNKS)
    return ERR_PEER;
  if (why[0] && l->options.cached)
    log_write (l->log, LOG_LEVEL_WARN, "%s: no cache: %s", l->name, why);
  return hot_attach (&l->hot, m->fd, slots, stripes,
                     l->options.cached && !why[0]);
}

void
link_push_queued (struct link *l)
{
  uint32_t slot;

  while (l->up
         && (slot = inflight_next (&l->inflight)) < INFLIGHT_SLOTS)
    if (inflight_push (&l->inflight, &l->ring, slot, link_now_ns ())) {
      link_distrust (l, "impossible consumer index", false);
      return;
    }
  link_wake_worker (l);
}

static enum err
check_info (struct link *l, const struct volume_info *info)
{
  if (!l->epoch) {
    l->info = *info;
    return ERR_OK;
  }
  /* An NBD export cannot change under its client: what is beyond the end of a
   * file that shrank fails at the server, request by request.
   */
  if (info->size != l->info.size)
    log_write (l->log, LOG_LEVEL_ERROR,
               "%s: the size on the server changed from %llu to %llu bytes; "
               "requests beyond the end fail until nbdkit is restarted",
               l->name, (unsigned long long)l->info.size,
               (unsigned long long)info->size);
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

enum err
link_up (struct link *l, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  uint64_t epoch = wire_u64 (&w);
  struct volume_info info;

  if (volume_info_take (&w, &info) || wire_end (&w) || m->fds != 3
      || epoch <= l->epoch)
    return ERR_PEER;
  link_down (l);
  check_info (l, &info);
  l->epoch = epoch;
  l->worker_sock = control_take_fd (m, 0);
  l->worker_net = control_take_fd (m, 1);
  l->worker_pidfd = control_take_fd (m, 2);
  l->seen_progress = 0;
  l->seen_ns = link_now_ns ();
  ring_object_reset (channel_ring (&l->channel, CHANNEL_REQUESTS), epoch);
  ring_init (&l->ring, channel_ring (&l->channel, CHANNEL_REQUESTS),
             channel_ring (&l->channel, CHANNEL_COMPLETIONS));
  l->up = true;
  /* It may be dead again already; then the daemon says so. */
  if (send_go (l->worker_sock, epoch))
    link_down (l);
  link_push_queued (l);
  link_wake_all (l);
  return ERR_OK;
}

void
link_give_up (struct link *l, enum err why)
{
  link_down (l);
  inflight_fail (&l->inflight, why);
  link_wake_all (l);
}

static void
daemon_lost (struct link *l)
{
  close (l->daemon_sock);
  l->daemon_sock = -1;
  l->adopt_try_ns = link_now_ns ();
  l->adopt_tries = 0;
  log_write (l->log, LOG_LEVEL_WARN, "%s: bulkheadd is gone%s", l->name,
             l->up ? "; the worker goes on" : "");
}

static void
take_message (struct link *l, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  struct fault f = {0};
  uint64_t epoch;
  bool of_itself;

  switch (m->type) {
  case CONTROL_GONE:
    epoch = wire_u64 (&w);
    of_itself = wire_u8 (&w);
    if (fault_take (&w, &f))
      break;
    if (epoch == l->epoch) {
      link_down (l);
      if (of_itself)
        link_blame (l);
    }
    log_write (l->log, LOG_LEVEL_WARN, "%s: worker %llu: %s", l->name,
               (unsigned long long)epoch, f.text);
    return;
  case CONTROL_WORKER:
    if (link_up (l, m))
      break;
    log_write (l->log, LOG_LEVEL_INFO, "%s: worker %llu has taken over",
               l->name, (unsigned long long)l->epoch);
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

/* A worker that hangs, a server that is silent: both end the session. */
static void
check_health (struct link *l)
{
  const struct ring_object *worker
    = channel_ring (&l->channel, CHANNEL_COMPLETIONS);
  uint64_t now = link_now_ns ();
  uint64_t progress, oldest_ns;
  bool idle;

  if (!l->up)
    return;
  progress = atomic_load_explicit (&worker->progress, memory_order_relaxed);
  /* It sleeps, and has taken all there is: it waits for the server. */
  idle = (atomic_load_explicit (&worker->sleep, memory_order_relaxed) & 1)
         && ring_peer_head (&l->ring) == l->ring.tail;
  if (progress != l->seen_progress || idle || !l->inflight.sent_slots) {
    l->seen_progress = progress;
    l->seen_ns = now;
  } else if (now - l->seen_ns >= HANG_NS) {
    link_distrust (l, "it hangs: no progress for 2 seconds with work in hand",
                   true);
    return;
  }
  oldest_ns = inflight_oldest_sent_ns (&l->inflight);
  if (oldest_ns < now && now - oldest_ns >= l->options.request_ns)
    link_distrust (l, "the server has not answered a request in time", false);
}

/* All events of one turn. False: the link is being closed. */
static bool
control_turn (struct link *l, struct control *m)
{
  struct pollfd p[3] = {
    {.fd = l->stop_fd, .events = POLLIN},
    {.fd = l->daemon_sock, .events = POLLIN},
    {.fd = -1, .events = POLLIN},
  };
  enum err e = ERR_AGAIN;

  pthread_mutex_lock (&l->lock);
  p[2].fd = l->worker_sock;
  pthread_mutex_unlock (&l->lock);
  /* Another thread may close the worker's socket meanwhile (distrust); the
   * daemon's GONE, or the next tick, ends this poll then.
   */
  if (poll (p, 3, TICK_MS) < 0 && errno != EINTR)
    return false;
  if (p[0].revents)
    return false;
  if (p[1].revents)
    e = control_recv (l->daemon_sock, m, 0);
  pthread_mutex_lock (&l->lock);
  if (p[1].revents && e == ERR_OK)
    take_message (l, m);
  else if (p[1].revents && e != ERR_AGAIN)
    daemon_lost (l);
  /* The worker never sends, it only ends; and only if it is still the one
   * that was polled.
   */
  if (p[2].revents && p[2].fd == l->worker_sock && l->up)
    link_down (l);
  check_health (l);
  pthread_mutex_unlock (&l->lock);
  control_close (m);
  if (l->daemon_sock < 0 && link_now_ns () >= l->adopt_try_ns)
    adopt_try (l, m);
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
