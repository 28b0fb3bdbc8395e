/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sandbox/sandbox.h"

struct resolver {
  struct daemon *d;
  resolver_done *done;
  void *ctx;
  char host[256];
  int pidfd; /* -1: a literal address, answered by the timer */
  int fd;
  ev_io readable;
  ev_timer deadline;
  struct address literal;
  size_t used_bytes;
  uint8_t answer[ADDRESS_ANSWER_BYTES + 1]; /* one more: too long shows */
};

void
resolver_cancel (struct resolver *r)
{
  if (!r)
    return;
  ev_io_stop (r->d->loop, &r->readable);
  ev_timer_stop (r->d->loop, &r->deadline);
  if (r->pidfd >= 0)
    daemon_discard_child (r->d, r->pidfd);
  if (r->fd >= 0)
    close (r->fd);
  free (r);
}

static void
finish (struct resolver *r, const struct address_list *list,
        const struct fault *f)
{
  resolver_done *done = r->done;
  void *ctx = r->ctx;

  resolver_cancel (r);
  done (ctx, list, f);
}

static void
on_deadline (struct ev_loop *loop, ev_timer *w, int events)
{
  struct resolver *r = w->data;
  struct fault f = {0};

  (void)loop;
  (void)events;
  if (r->pidfd < 0) {
    struct address_list list = {.count = 1, .a = {r->literal}};

    finish (r, &list, NULL);
    return;
  }
  fault_set (&f, ERR_RESOLVE, "resolving %s takes too long", r->host);
  fault_hint (&f, "check the name servers in /etc/resolv.conf");
  finish (r, NULL, &f);
}

static void
on_readable (struct ev_loop *loop, ev_io *w, int events)
{
  struct resolver *r = w->data;
  struct address_list list;
  struct fault f = {0};
  ssize_t n;

  (void)loop;
  (void)events;
  n = read (r->fd, r->answer + r->used_bytes, sizeof r->answer - r->used_bytes);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n > 0) {
    r->used_bytes += (size_t)n;
    if (r->used_bytes < sizeof r->answer)
      return; /* the end of the stream ends the answer */
  }
  if (address_answer_take (r->answer, r->used_bytes, &list, &f)) {
    if (f.code == ERR_PEER)
      fault_set (&f, ERR_RESOLVE,
                 "cannot resolve %s: the helper %s gave no answer", r->host,
                 r->d->resolver_path);
    finish (r, NULL, &f);
    return;
  }
  finish (r, &list, NULL);
}

static enum err
spawn_helper (struct resolver *r, struct fault *f)
{
  const char *argv[] = {"bulkhead-resolve", "--", r->host, NULL};
  struct sbx_child child;
  int pipe_fd[2];
  enum err e;

  if (pipe2 (pipe_fd, O_CLOEXEC) < 0)
    return fault_set (f, err_from_errno (errno), "cannot make a pipe");
  CLEANUP_CLOSE int read_fd = pipe_fd[0];
  CLEANUP_CLOSE int write_fd = pipe_fd[1];
  struct sbx_spawn s = {.profile = SBX_RESOLVER,
                        .path = r->d->resolver_path,
                        .argv = argv,
                        .fd = &write_fd,
                        .fds = 1,
                        .stderr_fd = r->d->child_stderr_fd};

  if (fcntl (read_fd, F_SETFL, O_NONBLOCK) < 0)
    return fault_set (f, err_from_errno (errno), "cannot make a pipe");
  if ((e = sbx_spawn (&s, &child, f)))
    return e;
  r->pidfd = child.pidfd;
  r->fd = steal_fd (&read_fd);
  return ERR_OK;
}

static void
cleanup_resolver (struct resolver **r)
{
  resolver_cancel (*r);
}

enum err
resolver_start (struct daemon *d, const char *host, resolver_done *done,
                void *ctx, struct resolver **ret, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_resolver))) struct resolver *r =
      calloc (1, sizeof *r);
  enum err e;
  size_t n;

  if (!r)
    return fault_set (f, ERR_NOMEM, "out of memory");
  r->d = d;
  r->done = done;
  r->ctx = ctx;
  r->pidfd = r->fd = -1;
  ev_init (&r->readable, on_readable);
  ev_init (&r->deadline, on_deadline);
  r->readable.data = r->deadline.data = r;
  n = strlen (host);
  if (n >= sizeof r->host)
    return fault_set (f, ERR_INVAL, "the host name is too long");
  memcpy (r->host, host, n + 1);
  if (address_parse (host, &r->literal)) {
    ev_timer_set (&r->deadline, 0., 0.);
  } else {
    if ((e = spawn_helper (r, f)))
      return e;
    ev_io_set (&r->readable, r->fd, EV_READ);
    ev_io_start (d->loop, &r->readable);
    ev_timer_set (&r->deadline, RESOLVER_TIMEOUT_S, 0.);
  }
  ev_timer_start (d->loop, &r->deadline);
  *ret = steal (&r);
  return ERR_OK;
}
