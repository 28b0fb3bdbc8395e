/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/relay.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sandbox/sandbox.h"

struct relay {
  struct daemon *d;
  uid_t uid;
  int fd;
  int pidfd; /* -1: it is dead */
  bool ended;
  ev_io dead;
};

static const struct quota_share one = {.relays = 1};

static void
on_dead (struct ev_loop *loop, ev_io *w, int events)
{
  struct relay *r = w->data;
  siginfo_t si;

  (void)events;
  ev_io_stop (loop, w);
  waitid (P_PIDFD, (id_t)r->pidfd, &si, WEXITED | WNOHANG);
  close (steal_fd (&r->pidfd));
  quota_give (&r->d->quota, r->uid, &one);
  if (r->ended)
    free (r);
}

static enum err
spawn_it (struct relay *r, int fd, struct fault *f)
{
  static const char *const argv[] = {"bulkhead-relay", NULL};
  struct sbx_child child;
  int pair[2];
  enum err e;

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
    return fault_set (f, err_from_errno (errno), "socketpair: %s",
                      strerror (errno));
  CLEANUP_CLOSE int ours = pair[0];
  CLEANUP_CLOSE int its = pair[1];
  const int given[] = {[RELAY_FD_DAEMON - RELAY_FD_DAEMON] = its,
                       [RELAY_FD_FOREIGN - RELAY_FD_DAEMON] = fd};
  struct sbx_spawn s = {.profile = SBX_RELAY,
                        .path = r->d->relay_path,
                        .argv = argv,
                        .fd = given,
                        .fds = sizeof given / sizeof *given,
                        .stderr_fd = r->d->child_stderr_fd};

  if ((e = sbx_spawn (&s, &child, f)))
    return e;
  r->pidfd = child.pidfd;
  r->fd = steal_fd (&ours);
  return ERR_OK;
}

enum err
relay_start (struct daemon *d, uid_t uid, int fd, struct relay **ret,
             struct fault *f)
{
  CLEANUP_FREE struct relay *r = calloc (1, sizeof *r);
  enum err e;

  if (!r)
    return fault_set (f, ERR_NOMEM, "out of memory");
  *r = (struct relay){.d = d, .uid = uid, .fd = -1, .pidfd = -1};
  if ((e = quota_take (&d->quota, uid, &one, f)))
    return e;
  if ((e = spawn_it (r, fd, f))) {
    quota_give (&d->quota, uid, &one);
    return e;
  }
  ev_io_init (&r->dead, on_dead, r->pidfd, EV_READ);
  r->dead.data = r;
  ev_io_start (d->loop, &r->dead);
  *ret = steal (&r);
  return ERR_OK;
}

int
relay_fd (const struct relay *r)
{
  return r->fd;
}

void
relay_end (struct relay *r)
{
  if (!r)
    return;
  close (steal_fd (&r->fd));
  if (r->pidfd < 0) {
    free (r);
    return;
  }
  syscall (SYS_pidfd_send_signal, r->pidfd, SIGKILL, NULL, 0);
  r->ended = true;
}
