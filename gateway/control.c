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

void
link_wake_all (struct link *l)
{
  for (struct waiter *w = l->waiters.next; w != &l->waiters; w = w->next)
    pthread_cond_signal (&w->cond);
  /* A leader is not on its condition but on the eventfd. */
  if (l->leader) {
    uint64_t one = 1;
    ssize_t ignored = write (l->wake_gateway, &one, sizeof one);
    (void)ignored;
  }
}

void
link_wake_worker (struct link *l)
{
  uint64_t one = 1;
  ssize_t ignored;

  if (!l->up || !ring_wake_needed (&l->ring))
    return;
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
  l->worker_net = l->worker_sock = -1;
  inflight_down (&l->inflight, link_now_ns ());
  link_wake_all (l);
}

void
link_distrust (struct link *l, const char *why)
{
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);
  struct fault f;
  struct wirebuf b;

  log_write (l->log, LOG_LEVEL_ERROR,
             "%s: worker %llu broke the rules of the rings: %s; it is replaced",
             l->name, (unsigned long long)l->epoch, why);
  link_down (l);
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

void
link_push_queued (struct link *l)
{
  uint32_t slot;

  while (l->up
         && (slot = inflight_oldest_queued (&l->inflight)) < INFLIGHT_SLOTS)
    if (inflight_push (&l->inflight, &l->ring, slot)) {
      link_distrust (l, "impossible consumer index");
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

  if (volume_info_take (&w, &info) || wire_end (&w) || m->fds != 2
      || epoch <= l->epoch)
    return ERR_PEER;
  link_down (l);
  check_info (l, &info);
  l->epoch = epoch;
  l->worker_sock = control_take_fd (m, 0);
  l->worker_net = control_take_fd (m, 1);
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

/* The volume is given up: nobody may wait for it any more. */
static void
give_up (struct link *l, enum err why)
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
  if (l->up)
    log_write (l->log, LOG_LEVEL_WARN,
               "%s: bulkheadd is gone; the worker goes on", l->name);
  else {
    log_write (l->log, LOG_LEVEL_ERROR,
               "%s: bulkheadd and the worker are gone: requests fail; restart "
               "nbdkit",
               l->name);
    give_up (l, ERR_IO);
  }
}

static void
take_message (struct link *l, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  struct fault f = {0};
  uint64_t epoch;

  switch (m->type) {
  case CONTROL_GONE:
    epoch = wire_u64 (&w);
    if (fault_take (&w, &f))
      break;
    if (epoch == l->epoch)
      link_down (l);
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
    give_up (l, f.code);
    return;
  default:
    break;
  }
  log_write (l->log, LOG_LEVEL_ERROR, "%s: wrong %s message from bulkheadd",
             l->name, control_type_name (m->type));
  daemon_lost (l);
}

/* The worker's control socket: it never sends, it only ends. */
static void
worker_event (struct link *l)
{
  link_down (l);
  if (l->daemon_sock < 0) {
    log_write (l->log, LOG_LEVEL_ERROR,
               "%s: the worker is gone and no bulkheadd replaces it: requests "
               "fail; restart nbdkit",
               l->name);
    give_up (l, ERR_IO);
  }
}

void *
link_control_main (void *link)
{
  struct link *l = link;
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);

  if (!m)
    return NULL;
  for (;;) {
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
     * daemon's GONE ends this poll then.
     */
    if (poll (p, 3, -1) < 0 && errno != EINTR)
      return NULL;
    if (p[0].revents)
      return NULL;
    if (p[1].revents)
      e = control_recv (l->daemon_sock, m, 0);
    pthread_mutex_lock (&l->lock);
    if (p[1].revents && e == ERR_OK)
      take_message (l, m);
    else if (p[1].revents && e != ERR_AGAIN)
      daemon_lost (l);
    /* Only if it is still the one that was polled. */
    if (p[2].revents && p[2].fd == l->worker_sock && l->up)
      worker_event (l);
    pthread_mutex_unlock (&l->lock);
    control_close (m);
  }
}
