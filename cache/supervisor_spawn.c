/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's process: what it is given, and its limits. */
#include "config.h"
#include "cache/supervisor_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

static enum err
make_sockets (struct supervisor *s, int ret_worker_end[2], struct fault *f)
{
  int daemon_pair[2], gateway_pair[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, daemon_pair) < 0)
    return fault_set (f, err_from_errno (errno), "socketpair: %s",
                      strerror (errno));
  s->worker.control_fd = daemon_pair[0];
  ret_worker_end[0] = daemon_pair[1];
  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gateway_pair) < 0)
    return fault_set (f, err_from_errno (errno), "socketpair: %s",
                      strerror (errno));
  s->worker.gateway_fd = gateway_pair[0];
  ret_worker_end[1] = gateway_pair[1];
  return ERR_OK;
}

/* It does nothing yet: it waits for its CONFIG. */
uint32_t
sup_limit_by_cgroup (struct supervisor *s)
{
  struct sbx_cgroup *c = s->c.daemon->cgroup;

  return c && s->worker.pid > 0 && sbx_cgroup_put (c, s->worker.pid)
             ? SBX_LAYER_CGROUP
             : 0;
}

bool
sup_was_out_of_memory (const struct supervisor *s)
{
  struct sbx_cgroup *c = s->c.daemon->cgroup;

  return c && s->worker.pid > 0 && sbx_cgroup_was_short (c, s->worker.pid);
}

static enum err
spawn_with (struct supervisor *s, const int worker_end[2],
            const int object[CHANNEL_FDS], struct fault *f)
{
  const char *argv[] = {"bulkhead-worker", NULL};
  int fd[WORKER_FD_END - WORKER_FD_DAEMON];
  struct sbx_spawn spawn = {
      .profile = SBX_WORKER,
      .path = s->c.daemon->worker_path,
      .argv = argv,
      .fd = fd,
      .fds = s->c.login->tls.on ? WORKER_FD_END - WORKER_FD_DAEMON
                                : WORKER_FD_TRUST - WORKER_FD_DAEMON,
      .stderr_fd = s->c.daemon->child_stderr_fd,
  };
  struct sbx_child child;
  enum err e;

  for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
    fd[i] = -1;
#define AT(n) fd[(n)-WORKER_FD_DAEMON]
  AT (WORKER_FD_DAEMON) = worker_end[0];
  AT (WORKER_FD_GATEWAY) = worker_end[1];
  for (unsigned i = 0; i < s->worker.lanes; i++)
    AT (WORKER_FD_NET + i) = s->worker.net_fd[i];
  AT (WORKER_FD_WAKE_WORKER) = object[CHANNEL_WAKE_WORKER];
  AT (WORKER_FD_WAKE_GATEWAY) = object[CHANNEL_WAKE_GATEWAY];
  for (int i = 0; i <= CHANNEL_IDENTITY; i++)
    AT (WORKER_FD_OBJECTS + i) = object[i];
  AT (WORKER_FD_TRUST) = s->c.login->tls.trust_fd;
#undef AT
  if ((e = sbx_spawn (&spawn, &child, f)))
    return e;
  s->worker.pid = child.pid;
  s->worker.pidfd = child.pidfd;
  s->layers = sup_limit_by_cgroup (s);
  return ERR_OK;
}

enum err
sup_spawn_worker (struct supervisor *s, struct fault *f)
{
  int object[CHANNEL_FDS];
  int worker_end[2] = {-1, -1};
  enum err e = channel_fds_for (s->c.channel_fd, CHANNEL_SIDE_WORKER, object);

  if (e)
    return fault_set (f, e, "cannot hand over the channel: %s", err_text (e));
  atomic_store (&s->c.completions->refused_syscall, 0);
  e = make_sockets (s, worker_end, f);
  if (!e)
    e = spawn_with (s, worker_end, object, f);
  cleanup_close (&worker_end[0]);
  cleanup_close (&worker_end[1]);
  channel_close_fds (object);
  return e;
}
