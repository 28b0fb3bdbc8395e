/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/dial.h"
#include "cache/foreign.h"
#include "common/cleanup.h"
#include "common/clock.h"

/* The kernel's own limit for a message (SCM_MAX_FD). */
#define FDS_MAX 253
/* A child waits for nobody before it has answered. */
#define ANSWER_MS 5000

struct child {
  struct daemon *d;
  uid_t uid;
  ev_io dead;
};

static const struct quota_share one = {.peeks = 1};

/* Unix, or TCP that does not linger (socket(7)): who closes such a one last
 * waits for the other end to have taken what was sent.
 */
static bool
is_quiet_socket (int fd)
{
  struct linger linger = {.l_onoff = 1};
  socklen_t n = sizeof linger, k = sizeof (int);
  int domain = -1;

  if (getsockopt (fd, SOL_SOCKET, SO_DOMAIN, &domain, &k) < 0)
    return false;
  return domain == AF_UNIX
         || (foreign_net (fd)
             && getsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, &n) == 0
             && !linger.l_onoff);
}

/* Memory, sockets, eventfds, pidfds: the kernel's own. What a user could name
 * so has a slash in front.
 */
static bool
is_harmless (int fd)
{
  static const char *const kinds[] = {"anon_inode:[eventfd]",
                                      "anon_inode:[pidfd]", "pidfd:["};
  char path[40], is[32] = "";

  if (fcntl (fd, F_GET_SEALS) >= 0 || is_quiet_socket (fd))
    return true;
  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  if (readlink (path, is, sizeof is - 1) < 0)
    return false;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strncmp (is, kinds[i], strlen (kinds[i])) == 0)
      return true;
  return false;
}

/* *ret_harmless: of those that came. False: no message. */
static bool
look (int sock, void *control, size_t control_bytes, int *ret_flags,
      bool *ret_harmless)
{
  char byte;
  struct msghdr h = {.msg_iov = &(struct iovec){&byte, 1},
                     .msg_iovlen = 1,
                     .msg_control = control,
                     .msg_controllen = control_bytes};

  *ret_harmless = true;
  if (recvmsg (sock, &h, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
    return false;
  *ret_flags = h.msg_flags;
  for (struct cmsghdr *c = CMSG_FIRSTHDR (&h); c; c = CMSG_NXTHDR (&h, c))
    for (size_t at = CMSG_LEN (0);
         c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS
         && at + sizeof (int) <= c->cmsg_len;
         at += sizeof (int)) {
      int fd;

      memcpy (&fd, (char *)c + at, sizeof fd);
      *ret_harmless &= is_harmless (fd);
    }
  return true;
}

static void __attribute__ ((noreturn)) child_main (int sock, int answer_fd)
{
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (int) * FDS_MAX)
               + CMSG_SPACE (sizeof (struct ucred))];
  } u;
  const int mine[] = {sock, answer_fd};
  bool harmless;
  char answer, byte;
  int flags;

  dial_close_others (mine, 2);
  answer = look (sock, &u, sizeof u, &flags, &harmless) && harmless
           && !(flags & MSG_CTRUNC);
  /* No wait: we have copies. Who drops it without may be the last to do so. */
  if (!answer)
    (void)!recv (sock, &byte, 1, MSG_DONTWAIT);
  /* Nobody is to wait for our end: that may wait for the user. */
  (void)!write (answer_fd, &answer, 1);
  _exit (0);
}

static void
on_dead (struct ev_loop *loop, ev_io *w, int events)
{
  struct child *c = w->data;
  siginfo_t si;

  (void)events;
  ev_io_stop (loop, w);
  waitid (P_PIDFD, (id_t)w->fd, &si, WEXITED | WNOHANG);
  close (w->fd);
  quota_give (&c->d->quota, c->uid, &one);
  free (c);
}

/* Its end is of no interest to anybody but the quota. */
static void
watch (struct daemon *d, uid_t uid, pid_t pid)
{
  struct child *c = malloc (sizeof *c);
  int pidfd = pidfd_open (pid, 0);

  if (!c || pidfd < 0) {
    free (c);
    cleanup_close (&pidfd);
    return; /* stays a zombie, and counts, until we end */
  }
  *c = (struct child){.d = d, .uid = uid};
  ev_io_init (&c->dead, on_dead, pidfd, EV_READ);
  c->dead.data = c;
  ev_io_start (d->loop, &c->dead);
}

static enum err
ask_child (struct daemon *d, uid_t uid, int sock, struct fault *f)
{
  int pipe_fd[2];
  char answer = 0;
  pid_t pid;

  if (pipe2 (pipe_fd, O_CLOEXEC) < 0) {
    quota_give (&d->quota, uid, &one);
    return fault_set (f, ERR_LIMIT, "cannot make a pipe");
  }
  CLEANUP_CLOSE int in = pipe_fd[0];
  CLEANUP_CLOSE int out = pipe_fd[1];
  pid = fork ();
  if (pid == 0)
    child_main (sock, out);
  close (steal_fd (&out));
  if (pid < 0) {
    quota_give (&d->quota, uid, &one);
    return fault_set (f, ERR_LIMIT, "cannot start a process");
  }
  watch (d, uid, pid);
  if (poll (&(struct pollfd){.fd = in, .events = POLLIN}, 1, ANSWER_MS) != 1)
    return fault_set (f, ERR_TIMEOUT, "cannot look at what came");
  if (read (in, &answer, 1) != 1 || !answer)
    return fault_set (f, ERR_ACCESS,
                      "a file of another user must come to the host's "
                      "bulkheadd as sealed memory");
  return ERR_OK;
}

enum err
peek_at (struct daemon *d, uid_t uid, int sock, uint64_t *ret_wait_ns,
         struct fault *f)
{
  /* No room for descriptors: none comes, and there is a flag if any would. */
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (struct ucred))];
  } u;
  uint64_t wait_ns;
  bool harmless;
  int flags;
  enum err e;

  if (!look (sock, &u, sizeof u, &flags, &harmless) || !(flags & MSG_CTRUNC))
    return ERR_OK;
  if ((wait_ns = quota_peek_ns (&d->quota, uid, clock_now_ns ()))) {
    *ret_wait_ns = wait_ns;
    return ERR_AGAIN;
  }
  if ((e = quota_take (&d->quota, uid, &one, f)))
    return e;
  return ask_child (d, uid, sock, f);
}
