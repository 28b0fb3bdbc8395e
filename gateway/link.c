/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/link_private.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "gateway/sockets.h"
#include "ipc/shm.h"

#define CONNECT_TIMEOUT_NS 15000000000ull
#define SEND_TIMEOUT_NS 5000000000ull
/* An agent that is away may stay so. */
#define MEND_SOCKETS_NS 2000000000ull
/* The daemon has deadlines for resolving, dialling and login; this one is
 * against a daemon that hangs.
 */
#define OPEN_TIMEOUT_NS 90000000000ull
/* A daemon that dies while it opens the volume: so many others are tried. */
#define OPEN_RETRIES 3u
/* Of a known_hosts file, a key, or what a person types. */
#define FILE_BYTES (4u << 20)
#define FILE_TIMEOUT_NS 60000000000ull

bool
link_op_writes (enum io_op op)
{
  return op == IO_WRITE || op == IO_TRIM || op == IO_ZERO;
}

uint64_t
link_last_page (uint64_t offset, uint32_t length_bytes)
{
  return (offset + length_bytes - 1) / PAGE_BYTES;
}

static void
close_fd (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

static struct link *
link_new (const struct link_options *options, const struct log *log,
          bool (*interrupted) (void))
{
  struct link *l = calloc (1, sizeof *l);

  assert (options->connections >= 1 && options->connections <= CHANNEL_PATHS);
  if (!l)
    return NULL;
  pthread_mutex_init (&l->lock, NULL);
  pthread_cond_init (&l->lease_drained, NULL);
  inflight_init (&l->inflight);
  hot_init (&l->hot);
  stats_init (&l->stats);
  retained_init (&l->proof.log, options->retain_bytes);
  prefetch_init (&l->ahead.prefetch, options->prefetch_bytes);
  for (unsigned i = 0; i < CHANNEL_PATHS; i++) {
    struct path *p = &l->path[i];

    p->index = i;
    p->worker_sock = p->worker_pidfd = -1;
    for (int k = 0; k < CHANNEL_FDS; k++)
      p->channel_fd[k] = -1;
  }
  l->waiters.next = l->waiters.prev = &l->waiters;
  l->daemon_sock = l->wake_gateway = l->stop_fd = -1;
  l->tie.fd = -1;
  l->options = *options;
  l->paths = options->connections;
  l->log = log;
  l->interrupted = interrupted;
  return l;
}

static void
close_path (struct path *p)
{
  close_fd (&p->worker_sock);
  while (p->worker_lanes)
    close (p->worker_net[--p->worker_lanes]);
  close_fd (&p->worker_pidfd);
  channel_close_fds (p->channel_fd);
  channel_unmap (&p->channel);
}

void
link_stop (struct link *l)
{
  pthread_mutex_lock (&l->lock);
  l->stopping = true;
  pthread_cond_signal (&l->lease_drained);
  pthread_mutex_unlock (&l->lock);
}

bool
link_is_proven (struct link *l)
{
  bool proven;

  pthread_mutex_lock (&l->lock);
  proven = !(l->info.caps & VOLUME_CAN_FLUSH) /* nothing ever is */
           || (!l->proof.log.entries && !l->inflight.writing_slots
               && !inflight_unflushed (&l->inflight));
  pthread_mutex_unlock (&l->lock);
  return proven;
}

void
link_close (struct link *l)
{
  if (!l)
    return;
  if (l->started) {
    uint64_t one = 1;

    link_stop (l);
    if (write (l->stop_fd, &one, sizeof one) == (ssize_t)sizeof one)
      pthread_join (l->control_thread, NULL);
    pthread_join (l->lease_thread, NULL);
    /* Who ends in order has no client left that waits for a FLUSH. */
    if (l->lease == LEASE_HELD || l->lease == LEASE_REVOKED)
      stripes_set_unproven (&l->hot.stripes, false);
  }
  /* The daemon fences and ends our worker when it sees this end. */
  close_fd (&l->daemon_sock);
  for (unsigned i = 0; i < CHANNEL_PATHS; i++)
    close_path (&l->path[i]);
  close_fd (&l->stop_fd);
  close_fd (&l->tie.fd);
  for (unsigned i = 0; i < l->nfds; i++)
    close_fd (&l->fds[i]);
  hot_fini (&l->hot);
  stats_fini (&l->stats);
  for (unsigned i = 0; i < INFLIGHT_SLOTS; i++) /* of abandoned writes */
    retained_release (&l->proof.log, &l->proof.room[i]);
  retained_fini (&l->proof.log);
  waiter_free_all (l);
  pthread_cond_destroy (&l->lease_drained);
  pthread_mutex_destroy (&l->lock);
  free (l);
}

static void
cleanup_link (struct link **l)
{
  link_close (*l);
}

static enum err
send_open (struct link *l, const struct volume_spec *spec,
           struct control *m, struct fault *f)
{
  struct wirebuf b;
  enum err e;

  control_begin (m, CONTROL_OPEN);
  b = control_body (m);
  volume_spec_put (&b, spec);
  for (unsigned i = 0; i < l->nfds; i++)
    if (control_add_fd (m, l->fds[i]))
      return fault_set (f, ERR_LIMIT, "too many files for one volume");
  e = control_send (l->daemon_sock, m, &b, SEND_TIMEOUT_NS);
  m->fds = 0; /* borrowed */
  if (e)
    fault_set (f, e, "cannot ask bulkheadd for %s: %s", l->name,
               err_text (e));
  return e;
}

static enum err
take_channel (struct link *l, struct control *m, struct fault *f)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  unsigned path = wire_u8 (&w);
  uint32_t slots = wire_u32 (&w);
  uint32_t chunk_bytes = wire_u32 (&w);
  struct path *p;
  enum err e;

  if (wire_end (&w) || m->fds != CHANNEL_FDS || slots != CHANNEL_SLOTS
      || chunk_bytes != CHANNEL_CHUNK_BYTES || path >= l->paths
      || l->path[path].channel.base[0])
    return fault_set (f, ERR_VERSION,
                      "bulkheadd has another channel layout than this plugin");
  p = &l->path[path];
  if ((e = channel_map (&p->channel, CHANNEL_SIDE_GATEWAY, m->fd)))
    return fault_set (f, e, "cannot map the channel: %s", err_text (e));
  for (unsigned i = 0; i < CHANNEL_FDS; i++)
    p->channel_fd[i] = control_take_fd (m, i);
  if (path == 0)
    l->wake_gateway = p->channel_fd[CHANNEL_WAKE_GATEWAY];
  return ERR_OK;
}

static bool
has_channels (const struct link *l)
{
  for (unsigned i = 0; i < l->paths; i++)
    if (!l->path[i].channel.base[0])
      return false;
  return true;
}

/* One answer while the volume is opened; *ret_ready when it can be used. */
static enum err
take_answer (struct link *l, struct control *m, bool *ret_ready,
             struct fault *f)
{
  struct wire w = wire_init (m->body, m->length_bytes);

  switch (m->type) {
  case CONTROL_CHANNEL:
    return take_channel (l, m, f);
  case CONTROL_CACHE:
    if (link_take_cache (l, m))
      break;
    return ERR_OK;
  case CONTROL_GONE: /* died before it was ready; another one is started */
    return ERR_OK;
  case CONTROL_FAULT:
    if (fault_take (&w, f))
      break;
    return f->code;
  case CONTROL_WORKER:
    if (!has_channels (l) || !l->hot.stripes.file)
      break;
    if (link_up (l, m))
      break;
    *ret_ready = true;
    return ERR_OK;
  default:
    break;
  }
  return fault_set (f, ERR_PEER, "bulkheadd sent a wrong %s message",
                    control_type_name (m->type));
}

static enum err
open_volume (struct link *l, const struct volume_spec *spec,
             bool *ret_daemon_died, struct fault *f)
{
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);
  uint64_t deadline_ns = clock_now_ns () + OPEN_TIMEOUT_NS;
  bool ready = false;
  enum err e;

  if (!m)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if ((e = send_open (l, spec, m, f))) {
    *ret_daemon_died = e == ERR_CLOSED;
    return e;
  }
  while (!ready) {
    uint64_t now = clock_now_ns ();

    if (now >= deadline_ns)
      return fault_set (f, ERR_TIMEOUT, "no answer from bulkheadd about %s",
                        l->name);
    if (l->interrupted ())
      return fault_set (f, ERR_SHUTDOWN, "given up while %s was being opened",
                        l->name);
    e = control_recv (l->daemon_sock, m, LINK_SLICE_NS);
    if (e == ERR_TIMEOUT)
      continue;
    if (e) {
      fault_set (f, e, "the connection to bulkheadd broke while opening %s",
                 l->name);
      fault_hint (f, "see its log, and try again");
      *ret_daemon_died = e == ERR_CLOSED;
      return e;
    }
    e = take_answer (l, m, &ready, f);
    control_close (m);
    if (e)
      return e;
  }
  return ERR_OK;
}

/* A daemon is gone with what it had made: the next one begins anew. */
static void
forget_daemon (struct link *l)
{
  close_fd (&l->daemon_sock);
  for (unsigned i = 0; i < CHANNEL_PATHS; i++)
    close_path (&l->path[i]);
  hot_fini (&l->hot);
  hot_init (&l->hot);
}

/* The host's daemon reads no file of ours, which could be slow, or change: it
 * gets copies that cannot.
 */
static enum err
freeze_files (struct link *l, struct fault *f)
{
  for (unsigned i = 0; i < l->nfds; i++) {
    int copy = -1;
    enum err e
      = shm_copy_sealed (l->fds[i], FILE_BYTES, FILE_TIMEOUT_NS, &copy);

    if (e == ERR_INVAL) /* a socket: an agent */
      continue;
    if (e)
      return fault_set (f, e, "cannot copy a file for the host's bulkheadd: %s",
                        err_text (e));
    close (l->fds[i]);
    l->fds[i] = copy;
  }
  return ERR_OK;
}

void
link_renew_sockets (struct link *l)
{
  for (unsigned i = 0; i < l->nfds; i++) {
    CLEANUP_CLOSE int fd = socket_connect_again (&l->spec, i);
    int old;

    if (fd < 0)
      continue;
    pthread_mutex_lock (&l->lock);
    old = l->fds[i];
    l->fds[i] = fd;
    pthread_mutex_unlock (&l->lock);
    fd = old;
  }
}

static void
tell_agent (struct link *l, struct control *m, int fd)
{
  struct wirebuf b;

  control_begin (m, CONTROL_AGENT);
  control_add_fd (m, fd);
  b = control_body (m);
  control_send (l->daemon_sock, m, &b, SEND_TIMEOUT_NS);
  m->fds = 0; /* borrowed */
}

/* The daemon has a dup, and sees the same end. */
void
link_mend_sockets (struct link *l, struct control *m)
{
  uint64_t now = clock_now_ns ();

  if (now < l->mend_sockets_ns || l->daemon_sock < 0)
    return;
  for (unsigned i = 0; i < l->nfds; i++) {
    struct pollfd p = {.fd = l->fds[i]};
    int fd;

    if (poll (&p, 1, 0) != 1 || !(p.revents & POLLHUP))
      continue;
    l->mend_sockets_ns = now + MEND_SOCKETS_NS;
    if ((fd = socket_connect_again (&l->spec, i)) < 0)
      continue;
    pthread_mutex_lock (&l->lock);
    close (l->fds[i]);
    l->fds[i] = fd;
    tell_agent (l, m, fd);
    pthread_mutex_unlock (&l->lock);
  }
}

static enum err
open_by_some_daemon (struct link *l, struct fault *f)
{
  bool frozen = false;

  for (unsigned retries = 0;; retries++) {
    bool died = false;
    enum err e = daemon_connect_tied (link_program (l),
                                      CONNECT_TIMEOUT_NS, &l->tie,
                                      &l->daemon_sock, f);

    if (!e && l->tie.host && !frozen) {
      if ((e = freeze_files (l, f)))
        return e;
      frozen = true;
    }
    if (e)
      died = e == ERR_CLOSED;
    else
      e = open_volume (l, &l->spec, &died, f);
    if (!died || retries == OPEN_RETRIES)
      return e;
    log_write (l->log, LOG_LEVEL_WARN,
               "%s: bulkheadd ended while it opened this; trying another",
               l->name);
    forget_daemon (l);
    link_renew_sockets (l);
  }
}

enum err
link_open (const struct volume_spec *spec, int *fds, unsigned nfds,
           const struct link_options *options, const struct log *log,
           bool (*interrupted) (void), struct link **ret, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_link))) struct link *l
    = link_new (options, log, interrupted);
  enum err e;

  if (!l)
    return fault_set (f, ERR_NOMEM, "out of memory");
  for (unsigned i = 0; i < nfds; i++)
    l->fds[l->nfds++] = steal_fd (&fds[i]);
  l->spec = *spec;
  volume_spec_name (spec, l->name, sizeof l->name);
  l->stop_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (l->stop_fd < 0)
    return fault_set (f, err_from_errno (errno), "eventfd: %s",
                      strerror (errno));
  if ((e = open_by_some_daemon (l, f)))
    return e;
  l->told_size = l->info.size;
  changes_begin (l);
  *ret = steal (&l);
  return ERR_OK;
}

enum err
link_tell_attach (struct link *l, struct control *m, bool adopted)
{
  struct wirebuf b;
  enum err e;

  control_begin (m, CONTROL_ATTACH);
  b = control_body (m);
  if (adopted)
    volume_info_put (&b, &l->info);
  if (l->stats.fd >= 0)
    control_add_fd (m, l->stats.fd);
  e = control_send_credentials (l->daemon_sock, m, &b, SEND_TIMEOUT_NS);
  m->fds = 0; /* borrowed */
  return e;
}

enum err
link_start (struct link *l, struct fault *f)
{
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);
  enum err e;

  if (!m)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if ((e = link_tell_attach (l, m, false)))
    return fault_set (f, e, "cannot tell bulkheadd which process serves: %s",
                      err_text (e));
  if (pthread_create (&l->control_thread, NULL, link_control_main, l))
    return fault_set (f, ERR_NOMEM, "cannot start a thread");
  if (pthread_create (&l->lease_thread, NULL, lease_main, l)) {
    uint64_t one = 1;

    if (write (l->stop_fd, &one, sizeof one) == (ssize_t)sizeof one)
      pthread_join (l->control_thread, NULL);
    return fault_set (f, ERR_NOMEM, "cannot start a thread");
  }
  pthread_mutex_lock (&l->lock);
  l->started = true;
  pthread_mutex_unlock (&l->lock);
  return ERR_OK;
}

const struct volume_info *
link_info (const struct link *l)
{
  return &l->info;
}

uint64_t
link_size (const struct link *l)
{
  return atomic_load_explicit (&l->size_bytes, memory_order_relaxed);
}

void
link_stats (struct link *l, struct link_stats *ret)
{
  ret->hits = atomic_load (&l->hot.hits);
  ret->misses = atomic_load (&l->hot.misses);
  ret->fills = atomic_load (&l->hot.fills);
  pthread_mutex_lock (&l->lock);
  ret->wakes = l->wakes;
  ret->takeovers = l->takeovers;
  ret->joined = l->joined;
  ret->retained = l->proof.log.entries;
  ret->resent = l->proof.resent;
  ret->doubts = l->proof.log.doubts;
  ret->paths = l->paths;
  for (unsigned i = 0; i < CHANNEL_PATHS; i++)
    ret->requests[i] = l->inflight.path[i].pushes;
  pthread_mutex_unlock (&l->lock);
}
