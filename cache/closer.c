/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/daemon.h"
#include "cache/dial.h"
#include "common/cleanup.h"

/* One process for all that is closed within so long. */
#define TOGETHER_S 0.1
#define AGAIN_S 0.1
/* 87,000 descriptors in one queue (counted on 6.18); the kernel counts what a
 * user has in flight, too (RLIMIT_NOFILE).
 */
#define QUEUE_BYTES (32 << 20)
/* More than a socket's buffer holds. */
#define MESSAGES_MAX 4096

struct closer {
  struct daemon *d;
  uid_t uid;
  int bag; /* its other end is the child's; -1: it was told to end */
  ev_timer end;
  ev_io dead;
  struct closer *next;
};

struct closer_kept {
  uid_t uid;
  int fd;
  struct closer_kept *next;
};

/* Nothing is taken out of the bag: the end of the process empties it. */
static void __attribute__ ((noreturn)) child_main (int fd, int bag)
{
  const int mine[] = {fd, bag};
  struct pollfd p = {.fd = bag};

  dial_close_others (mine, 2);
  while (poll (&p, 1, -1) < 0 && errno == EINTR)
    ;
  _exit (0);
}

static bool
may_start (const struct closers *all, uid_t uid)
{
  unsigned its = 0, n = 0;

  for (const struct closer *c = all->first; c; c = c->next) {
    its += c->uid == uid;
    n++;
  }
  return its < CLOSERS_PER_UID && n < CLOSERS_MAX;
}

static void
on_end (struct ev_loop *loop, ev_timer *w, int events)
{
  struct closer *c = w->data;

  (void)loop;
  (void)events;
  if (!may_start (&c->d->closers, c->uid))
    return; /* K2; it comes again */
  ev_timer_stop (loop, w);
  close (steal_fd (&c->bag));
}

static void
on_dead (struct ev_loop *loop, ev_io *w, int events)
{
  struct closer *c = w->data, **at = &c->d->closers.first;
  siginfo_t si;

  (void)events;
  ev_io_stop (loop, w);
  ev_timer_stop (loop, &c->end);
  waitid (P_PIDFD, (id_t)w->fd, &si, WEXITED | WNOHANG);
  close (w->fd);
  cleanup_close (&c->bag);
  while (*at != c)
    at = &(*at)->next;
  *at = c->next;
  free (c);
}

/* A child that has fd, and a bag. -1: none can be had. */
static int
fork_with (int fd, int *ret_bag)
{
  static const int bytes = QUEUE_BYTES;
  int pair[2], pidfd;
  pid_t pid;

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
    return -1;
  CLEANUP_CLOSE int bag = pair[0];
  CLEANUP_CLOSE int its = pair[1];
  /* Without the right to it there is room for 278. */
  setsockopt (bag, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  pid = fork ();
  if (pid == 0)
    child_main (fd, its);
  /* Not reaped yet, so the number is still its own. */
  pidfd = pid > 0 ? pidfd_open (pid, 0) : -1;
  if (pidfd < 0) {
    if (pid > 0)
      kill (pid, SIGKILL); /* stays a zombie until we end */
    return -1;
  }
  *ret_bag = steal_fd (&bag);
  return pidfd;
}

static bool
start (struct daemon *d, uid_t uid, int fd)
{
  struct closer *c;
  int pidfd;

  if (!may_start (&d->closers, uid) || !(c = calloc (1, sizeof *c)))
    return false;
  if ((pidfd = fork_with (fd, &c->bag)) < 0) {
    free (c);
    return false;
  }
  c->d = d;
  c->uid = uid;
  c->next = d->closers.first;
  d->closers.first = c;
  ev_io_init (&c->dead, on_dead, pidfd, EV_READ);
  ev_timer_init (&c->end, on_end, TOGETHER_S, TOGETHER_S);
  c->dead.data = c->end.data = c;
  ev_io_start (d->loop, &c->dead);
  ev_now_update (d->loop);
  ev_timer_start (d->loop, &c->end);
  return true;
}

static bool
put_into (const struct closer *c, int fd)
{
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (int))];
  } u = {0};
  char byte = 0;
  struct msghdr h = {.msg_iov = &(struct iovec){&byte, 1},
                     .msg_iovlen = 1,
                     .msg_control = &u,
                     .msg_controllen = sizeof u};
  struct cmsghdr *m = CMSG_FIRSTHDR (&h);

  m->cmsg_level = SOL_SOCKET;
  m->cmsg_type = SCM_RIGHTS;
  m->cmsg_len = CMSG_LEN (sizeof fd);
  memcpy (CMSG_DATA (m), &fd, sizeof fd);
  return sendmsg (c->bag, &h, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

/* K1: true if a closer has it now. Another user's is better than none. */
static bool
give_away (struct daemon *d, uid_t uid, int fd)
{
  for (struct closer *c = d->closers.first; c; c = c->next)
    if (c->uid == uid && c->bag >= 0 && put_into (c, fd))
      return true;
  if (start (d, uid, fd))
    return true;
  for (struct closer *c = d->closers.first; c; c = c->next)
    if (c->uid != uid && c->bag >= 0 && put_into (c, fd))
      return true;
  return false;
}

static void
on_again (struct ev_loop *loop, ev_timer *w, int events)
{
  struct daemon *d = w->data;
  struct closer_kept **at = &d->closers.kept, *k;

  (void)events;
  while ((k = *at) && give_away (d, k->uid, k->fd)) {
    *at = k->next;
    close (k->fd);
    free (k);
  }
  if (!d->closers.kept)
    ev_timer_stop (loop, w);
}

static void
keep (struct daemon *d, uid_t uid, int fd)
{
  struct closer_kept *k = malloc (sizeof *k);

  if (!k)
    return; /* it stays open for good: better than to wait */
  if (!d->closers.kept) {
    log_write (d->log, LOG_LEVEL_WARN,
               "cannot close what uid %u has sent, or left, without waiting; "
               "tries again",
               (unsigned)uid);
    ev_now_update (d->loop);
    ev_timer_init (&d->closers.again, on_again, AGAIN_S, AGAIN_S);
    d->closers.again.data = d;
    ev_timer_start (d->loop, &d->closers.again);
  }
  *k = (struct closer_kept){.uid = uid, .fd = fd, .next = d->closers.kept};
  d->closers.kept = k;
}

void
closer_close (struct daemon *d, uid_t uid, int fd)
{
  if (!d->host || uid == 0 || give_away (d, uid, fd))
    close (fd);
  else
    keep (d, uid, fd);
}

/* What has no descriptors is taken off. True: nothing else was there; and
 * nothing comes, as it is shut down.
 */
static bool
is_empty (int sock)
{
  for (unsigned i = 0; i < MESSAGES_MAX; i++) {
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE (sizeof (struct ucred))];
    } u;
    char byte;
    struct msghdr h = {.msg_iov = &(struct iovec){&byte, 1},
                       .msg_iovlen = 1,
                       .msg_control = &u,
                       .msg_controllen = sizeof u};
    ssize_t n = recvmsg (sock, &h, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0)
      return errno == EAGAIN;
    if (h.msg_flags & MSG_CTRUNC)
      return false;
    if (n == 0 && h.msg_controllen == 0)
      return true; /* a message, even an empty one, has credentials */
    (void)!recv (sock, &byte, 1, MSG_DONTWAIT);
  }
  return false;
}

void
closer_hang_up (struct daemon *d, uid_t uid, int sock)
{
  static const int on = 1;

  if (d->host && uid != 0) {
    shutdown (sock, SHUT_RDWR);
    setsockopt (sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    if (!is_empty (sock)) {
      closer_close (d, uid, sock);
      return;
    }
  }
  close (sock);
}

void
closer_outlive (const int *but, unsigned n)
{
  int pair[2];
  pid_t pid;
  char byte;

  if (pipe2 (pair, O_CLOEXEC) < 0)
    return;
  pid = fork ();
  if (pid == 0) {
    for (unsigned i = 0; i < n; i++)
      close (but[i]);
    close (pair[1]);
    while (read (pair[0], &byte, 1) < 0 && errno == EINTR)
      ;
    _exit (0);
  }
  /* Our end of it goes with us. */
}

bool
closer_is_open (const struct closer *c)
{
  return c->bag >= 0;
}

const struct closer *
closer_next (const struct closer *c)
{
  return c->next;
}
