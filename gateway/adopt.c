/* SPDX-License-Identifier: BSD-2-Clause */
/* When the daemon is gone: find or start another, and hand it all that the old
 * one knew. Until then the worker and cached reads go on; writes go on if this
 * process holds the lease.
 */
#include "config.h"
#include "gateway/link_private.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "ipc/connect.h"

#define CONNECT_TIMEOUT_NS 10000000000ull
#define SEND_TIMEOUT_NS 5000000000ull
#define TRY_FIRST_NS 100000000ull
#define TRY_LAST_NS 5000000000ull

_Static_assert (CONTROL_FILES + 1
                    + CHANNEL_PATHS * (CHANNEL_FDS + 1 + PROTO_LANES_MAX)
                  <= CONTROL_FDS,
                "ADOPT brings all there can be");

/* Whether it has a worker that is not known to be dead. */
static bool
path_alive (const struct path *p)
{
  return p->worker_pidfd >= 0 && p->worker_lanes > 0;
}

/* Nobody could be asked to kill those that are of no use any more. The new
 * daemon waits for their end.
 */
static void
kill_useless (struct link *l)
{
  for (unsigned i = 0; i < l->paths; i++) {
    struct path *p = &l->path[i];

    if (path_up (l, p) || !path_alive (p))
      continue;
    syscall (SYS_pidfd_send_signal, p->worker_pidfd, SIGKILL, NULL, 0);
    p->down_ns = clock_now_ns (); /* if we may not kill it: check_health */
  }
}

static enum err
add_path_fds (struct control *m, const struct path *p, bool alive)
{
  enum err e = ERR_OK;

  for (unsigned i = 0; i < CHANNEL_FDS && !e; i++)
    e = control_add_fd (m, p->channel_fd[i]);
  if (!e && alive)
    e = control_add_fd (m, p->worker_pidfd);
  for (unsigned i = 0; i < p->worker_lanes && !e && alive; i++)
    e = control_add_fd (m, p->worker_net[i]);
  return e;
}

/* The files of OPEN first: the volume_spec counts from zero. */
static enum err
add_fds (struct link *l, struct control *m)
{
  enum err e = ERR_OK;

  for (unsigned i = 0; i < l->nfds && !e; i++)
    e = control_add_fd (m, l->fds[i]);
  if (!e)
    e = control_add_fd (m, l->hot.stripes_fd);
  for (unsigned i = 0; i < l->paths && !e; i++)
    e = add_path_fds (m, &l->path[i], path_alive (&l->path[i]));
  return e;
}

/* With the lock held, so that what is said is true when it is sent. */
static enum err
send_adopt (struct link *l, struct control *m, int sock)
{
  struct wirebuf b;
  enum err e;

  kill_useless (l);
  control_begin (m, CONTROL_ADOPT);
  b = control_body (m);
  wirebuf_u8 (&b, l->lease == LEASE_HELD || l->lease == LEASE_REVOKED);
  wirebuf_u8 (&b, (uint8_t)l->paths);
  for (unsigned i = 0; i < l->paths; i++) {
    wirebuf_u64 (&b, l->path[i].epoch);
    wirebuf_u8 (&b, path_alive (&l->path[i])
                        ? (uint8_t)l->path[i].worker_lanes
                        : 0);
    wirebuf_u32 (&b, l->path[i].worker_layers);
    wirebuf_u8 (&b, l->path[i].worker_shared);
  }
  volume_spec_put (&b, &l->spec);
  if (!(e = add_fds (l, m)))
    e = control_send_credentials (sock, m, &b, SEND_TIMEOUT_NS);
  m->fds = 0; /* borrowed */
  return e;
}

static void
try_later (struct link *l)
{
  uint64_t wait_ns = TRY_FIRST_NS << (l->adopt_tries < 6 ? l->adopt_tries : 6);

  l->adopt_tries++;
  l->adopt_try_ns =
      clock_now_ns () + (wait_ns < TRY_LAST_NS ? wait_ns : TRY_LAST_NS);
}

void
adopt_try (struct link *l, struct control *m)
{
  struct fault f = {0};
  int sock = -1;
  enum err e;

  e = daemon_connect_tied (link_program (l),
                           CONNECT_TIMEOUT_NS, &l->tie, &sock, &f);
  if (!e)
    link_renew_sockets (l);
  pthread_mutex_lock (&l->lock);
  if (!e && (e = send_adopt (l, m, sock)))
    fault_set (&f, e, "cannot hand the volume to a new bulkheadd: %s",
               err_text (e));
  if (e) {
    if (sock >= 0)
      close (sock);
    if (l->adopt_tries == 0)
      log_fault (l->log, l->name, &f);
    try_later (l);
  } else {
    l->daemon_sock = sock;
    link_tell_attach (l, m, true); /* or the next message fails as well */
    /* What the old daemon was asked for, the new one does not know. */
    if (l->lease == LEASE_WANTED)
      l->lease = LEASE_NONE;
    link_wake_all (l);
  }
  pthread_mutex_unlock (&l->lock);
}
