/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/daemon.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

void
daemon_warn_of (struct daemon *d, uid_t uid, const char *format, ...)
{
  char text[1024], more[40] = "";
  unsigned hidden;
  va_list ap;

  if (!quota_line (&d->quota, uid, clock_now_ns (), &hidden))
    return;
  if (hidden)
    snprintf (more, sizeof more, " (and %u more before)", hidden);
  va_start (ap, format);
  vsnprintf (text, sizeof text, format, ap);
  va_end (ap);
  log_write (d->log, LOG_LEVEL_WARN, "%s%s", text, more);
}

struct discarded {
  ev_io readable;
};

static void
on_dead (struct ev_loop *loop, ev_io *w, int events)
{
  struct discarded *x = w->data;
  siginfo_t si;

  (void)events;
  ev_io_stop (loop, w);
  waitid (P_PIDFD, (id_t)w->fd, &si, WEXITED | WNOHANG);
  close (w->fd);
  free (x);
}

void
daemon_reap_child (struct daemon *d, int pidfd)
{
  struct discarded *x = malloc (sizeof *x);

  if (!x) {
    close (pidfd); /* stays a zombie until we end */
    return;
  }
  ev_io_init (&x->readable, on_dead, pidfd, EV_READ);
  x->readable.data = x;
  ev_io_start (d->loop, &x->readable);
}

void
daemon_discard_child (struct daemon *d, int pidfd)
{
  syscall (SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
  daemon_reap_child (d, pidfd);
}
