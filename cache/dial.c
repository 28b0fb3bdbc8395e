/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

/* A peer that vanishes without a word is noticed within 30 s. */
#define USER_TIMEOUT_MS 30000
#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 4
/* As rresvport does; ports below that are for servers. */
#define RESERVED_FIRST 512
#define RESERVED_LAST 1023
#define SOURCE_TRIES 8u

/* Far more than it takes, if nobody is in the way. */
#define FENCE_WAIT_MS 100
/* Where no process can be had now. */
#define FENCE_AGAIN_S 0.1

struct dialer {
  struct daemon *d;
  dialer_done *done;
  void *ctx;
  char host[256];
  struct address_list list;
  uint16_t port;
  struct dial_from from;
  unsigned source_tries; /* left */
  unsigned index; /* the address being tried */
  int fd;
  ev_tstamp end;
  ev_io writable;
  ev_timer slice;
  struct fault last; /* why the address before did not do */
};

static void
try_address (struct dialer *x);

void
dialer_cancel (struct dialer *x)
{
  if (!x)
    return;
  ev_io_stop (x->d->loop, &x->writable);
  ev_timer_stop (x->d->loop, &x->slice);
  if (x->fd >= 0)
    close (x->fd);
  free (x);
}

static void
set_options (int fd)
{
  static const struct {
    int level, name, value;
  } options[] = {
      /* Small requests must not wait for the acknowledgement of the last. */
      {IPPROTO_TCP, TCP_NODELAY, 1},
      {SOL_SOCKET, SO_KEEPALIVE, 1},
      {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
      {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
      {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
      {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
  };

  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    setsockopt (fd, options[i].level, options[i].name, &options[i].value,
                sizeof options[i].value);
}

static void
finish (struct dialer *x, int fd)
{
  dialer_done *done = x->done;
  void *ctx = x->ctx;
  unsigned index = x->index;
  struct fault f = x->last;

  dialer_cancel (x);
  done (ctx, fd, index, fd < 0 ? &f : NULL);
}

static const char *
hint_of (int sys_errno)
{
  switch (sys_errno) {
  case ECONNREFUSED:
    return "is the server running, and is the port in the URL right?";
  case ENETUNREACH:
    return "this machine has no route there: is its network up, and the "
           "address right?";
  default:
    return "is the host up, and does a firewall let this port through?";
  }
}

static void
refused (struct dialer *x, int sys_errno)
{
  char text[ADDRESS_TEXT_BYTES];

  address_text (&x->list.a[x->index], x->port, text);
  fault_set (&x->last, ERR_DIAL, "cannot connect to %s (%s): %s", x->host, text,
             strerror (sys_errno));
  fault_hint (&x->last, "%s", hint_of (sys_errno));
}

/* The address did not do; its socket goes, the next one is tried. */
static void
next_address (struct dialer *x, int sys_errno)
{
  refused (x, sys_errno);
  ev_io_stop (x->d->loop, &x->writable);
  ev_timer_stop (x->d->loop, &x->slice);
  if (x->fd >= 0)
    close (steal_fd (&x->fd));
  x->index++;
  if (x->index == x->list.count || ev_now (x->d->loop) >= x->end)
    finish (x, -1);
  else
    try_address (x);
}

static void
on_slice (struct ev_loop *loop, ev_timer *w, int events)
{
  (void)loop;
  (void)events;
  next_address (w->data, ETIMEDOUT);
}

static void
on_writable (struct ev_loop *loop, ev_io *w, int events)
{
  struct dialer *x = w->data;
  int sys_errno = 0;
  socklen_t n = sizeof sys_errno;

  (void)events;
  if (getsockopt (x->fd, SOL_SOCKET, SO_ERROR, &sys_errno, &n) < 0)
    sys_errno = errno;
  if (sys_errno) {
    next_address (x, sys_errno);
    return;
  }
  ev_io_stop (loop, &x->writable);
  finish (x, steal_fd (&x->fd));
}

static int
bind_port (int fd, int family, uint16_t port)
{
  static const int on = 1;
  struct address any = {.family = family};
  struct sockaddr_storage sa;
  socklen_t sa_bytes = address_to_sockaddr (&any, port, &sa);

  /* Another connection from that port, to somebody else, is no obstacle. */
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return bind (fd, (struct sockaddr *)&sa, sa_bytes) < 0 ? -errno : 0;
}

static uint16_t
random_reserved (void)
{
  uint16_t r = 0;

  if (getrandom (&r, sizeof r, GRND_NONBLOCK) != (ssize_t)sizeof r)
    r = 0;
  return (uint16_t)(RESERVED_FIRST
                    + r % (RESERVED_LAST - RESERVED_FIRST + 1));
}

/* Binds as `from` wishes, if that can be. */
static void
choose_source (struct dialer *x, int family)
{
  if (x->from.port && bind_port (x->fd, family, x->from.port) == 0)
    return;
  for (unsigned i = 0; x->from.reserved && i < 4 * SOURCE_TRIES; i++) {
    int r = bind_port (x->fd, family, random_reserved ());

    if (r == 0 || r == -EACCES)
      return;
  }
}

static void
try_address (struct dialer *x);

/* The pair of ports is still in use, or its last connection is remembered: with
 * another port of ours it may do. False: that was tried.
 */
static bool
try_other_source (struct dialer *x)
{
  if ((!x->from.port && !x->from.reserved) || x->source_tries == 0)
    return false;
  if (--x->source_tries == 0)
    x->from.reserved = false;
  x->from.port = 0;
  close (steal_fd (&x->fd));
  try_address (x);
  return true;
}

/* Firewalls and logs that go by the user see who asked, not root. */
static int
socket_of (uid_t uid, int family)
{
  int fd;

  if (uid)
    setfsuid (uid);
  fd = socket (family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (uid)
    setfsuid (geteuid ());
  return fd;
}

static void
try_address (struct dialer *x)
{
  const struct address *a = &x->list.a[x->index];
  struct sockaddr_storage sa;
  socklen_t sa_bytes = address_to_sockaddr (a, x->port, &sa);
  double left = x->end - ev_now (x->d->loop);

  x->fd = socket_of (x->from.uid, a->family);
  if (x->fd < 0) {
    next_address (x, errno);
    return;
  }
  set_options (x->fd);
  choose_source (x, a->family);
  if (connect (x->fd, (struct sockaddr *)&sa, sa_bytes) < 0
      && errno != EINPROGRESS) {
    if ((errno == EADDRNOTAVAIL || errno == EADDRINUSE)
        && try_other_source (x))
      return;
    next_address (x, errno);
    return;
  }
  ev_io_set (&x->writable, x->fd, EV_WRITE);
  ev_io_start (x->d->loop, &x->writable);
  ev_timer_set (&x->slice, left / (x->list.count - x->index), 0.);
  ev_timer_start (x->d->loop, &x->slice);
}

static void
on_start (struct ev_loop *loop, ev_timer *w, int events)
{
  struct dialer *x = w->data;

  (void)loop;
  (void)events;
  ev_set_cb (&x->slice, on_slice);
  try_address (x);
}

enum err
dialer_start (struct daemon *d, const char *host,
              const struct address_list *list, uint16_t port,
              const struct dial_from *from, dialer_done *done, void *ctx,
              struct dialer **ret, struct fault *f)
{
  struct dialer *x = calloc (1, sizeof *x);

  if (!x)
    return fault_set (f, ERR_NOMEM, "out of memory");
  x->d = d;
  x->done = done;
  x->ctx = ctx;
  x->list = *list;
  x->port = port;
  x->from = *from;
  x->source_tries = SOURCE_TRIES;
  x->fd = -1;
  snprintf (x->host, sizeof x->host, "%s", host);
  /* The loop may have slept, or worked, since it last looked at the clock. */
  ev_now_update (d->loop);
  x->end = ev_now (d->loop) + DIAL_TIMEOUT_S;
  ev_init (&x->writable, on_writable);
  ev_timer_init (&x->slice, on_start, 0., 0.);
  x->writable.data = x->slice.data = x;
  ev_timer_start (d->loop, &x->slice);
  *ret = x;
  return ERR_OK;
}

void
dial_acknowledge (int fd)
{
  static const int on = 1;

  setsockopt (fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

uint16_t
dial_source_port (int fd)
{
  union {
    struct sockaddr_storage any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
  } sa = {0};
  socklen_t n = sizeof sa;

  if (getsockname (fd, (struct sockaddr *)&sa, &n) < 0)
    return 0;
  return sa.any.ss_family == AF_INET    ? ntohs (sa.in.sin_port)
         : sa.any.ss_family == AF_INET6 ? ntohs (sa.in6.sin6_port)
                                        : 0;
}

void
dial_fence (int fd)
{
  struct sockaddr sa = {.sa_family = AF_UNSPEC};

  /* tcp_disconnect sends a reset and purges the send queue. */
  while (connect (fd, &sa, sizeof sa) < 0 && errno == EINTR)
    ;
}

void
dial_close_others (const int *fd, unsigned n)
{
  unsigned next = STDERR_FILENO + 1, least;

  do {
    least = ~0u;
    for (unsigned i = 0; i < n; i++)
      if ((unsigned)fd[i] >= next && (unsigned)fd[i] < least)
        least = (unsigned)fd[i];
    if (least > next)
      close_range (next, least == ~0u ? least : least - 1, 0);
    next = least + 1;
  } while (least != ~0u);
}

/* The end of what it returns comes when that is done; -1: no process can be
 * had. The child closes what others have last, as that may wait for them.
 */
static int
fence_apart (struct daemon *d, const int *fd, unsigned n)
{
  int pipe_fd[2], pidfd;
  pid_t pid;

  if (pipe2 (pipe_fd, O_CLOEXEC) < 0)
    return -1;
  CLEANUP_CLOSE int done = pipe_fd[0];
  CLEANUP_CLOSE int its = pipe_fd[1];
  pid = fork ();
  if (pid == 0) {
    for (unsigned i = 0; i < n; i++)
      dial_fence (fd[i]);
    _exit (write (its, "", 1) != 1);
  }
  /* Not reaped yet, so the number is still its own. */
  pidfd = pid > 0 ? pidfd_open (pid, 0) : -1;
  if (pidfd < 0) {
    if (pid > 0)
      kill (pid, SIGKILL);
    return -1;
  }
  daemon_reap_child (d, pidfd);
  return steal_fd (&done);
}

/* One that takes its time, or for which no process could be had. */
struct late_fence {
  struct daemon *d;
  uid_t uid;
  ev_io done;
  ev_timer again;
  struct late_fence *next;
  unsigned n;
  int fd[]; /* dups, until there is a process */
};

static void
on_done (struct ev_loop *loop, ev_io *w, int events)
{
  struct late_fence *l = w->data, **at = &l->d->late_fences;

  (void)events;
  ev_io_stop (loop, w);
  close (w->fd);
  while (*at != l)
    at = &(*at)->next;
  *at = l->next;
  free (l);
}

static void
watch_late (struct late_fence *l, int done)
{
  ev_io_init (&l->done, on_done, done, EV_READ);
  l->done.data = l;
  ev_io_start (l->d->loop, &l->done);
}

static void
on_again (struct ev_loop *loop, ev_timer *w, int events)
{
  struct late_fence *l = w->data;
  int done = fence_apart (l->d, l->fd, l->n);

  (void)events;
  if (done < 0) {
    ev_timer_again (loop, w);
    return;
  }
  ev_timer_stop (loop, w);
  while (l->n)
    closer_close (l->d, l->uid, l->fd[--l->n]);
  watch_late (l, done);
}

static struct late_fence *
late_new (struct daemon *d, uid_t uid, unsigned n)
{
  struct late_fence *l = calloc (1, sizeof *l + n * sizeof *l->fd);

  if (l) {
    l->d = d;
    l->uid = uid;
    l->next = d->late_fences;
    d->late_fences = l;
  }
  return l;
}

/* Here it must not be done: who waits for one user's lock stops all. False: out
 * of memory. Then their kernel buffers go on until the server, or their user,
 * lets go. So they do with those that no descriptor can be had for.
 */
static bool
fence_later (struct daemon *d, uid_t uid, const int *fd, unsigned n)
{
  struct late_fence *l = late_new (d, uid, n);

  if (!l)
    return false;
  for (unsigned i = 0; i < n; i++)
    if ((l->fd[l->n] = fcntl (fd[i], F_DUPFD_CLOEXEC, 0)) >= 0)
      l->n++;
  ev_timer_init (&l->again, on_again, FENCE_AGAIN_S, FENCE_AGAIN_S);
  l->again.data = l;
  ev_now_update (d->loop);
  ev_timer_start (d->loop, &l->again);
  return true;
}

void
dial_fence_all (struct daemon *d, uid_t uid, const int *fd, unsigned n,
                bool apart)
{
  struct late_fence *l;
  int done;

  for (unsigned i = 0; i < n && !apart; i++)
    dial_fence (fd[i]);
  if (!apart || !n)
    return;
  done = fence_apart (d, fd, n);
  if (done < 0) {
    if (!fence_later (d, uid, fd, n))
      log_write (d->log, LOG_LEVEL_ERROR,
                 "no process, and no memory, to reset %u connections", n);
  } else if (poll (&(struct pollfd){.fd = done, .events = POLLIN}, 1,
                   FENCE_WAIT_MS)
                 != 1
             && (l = late_new (d, uid, 0)))
    watch_late (l, done);
  else
    close (done);
}

bool
dial_fence_is_late (const struct daemon *d, uid_t uid)
{
  for (const struct late_fence *l = d->late_fences; l; l = l->next)
    if (l->uid == uid)
      return true;
  return false;
}
