/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/orphans.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/dial.h"
#include "cache/foreign.h"
#include "common/cleanup.h"
#include "sandbox/fds.h"

struct orphan {
  pid_t pid;
  int pidfd;
  uid_t uid;
  bool ended;
  struct orphan *next;
};

static void
forget (struct orphan **at)
{
  struct orphan *o = *at;

  *at = o->next;
  close (o->pidfd);
  free (o);
}

/* Dups of its network sockets; how many. */
static unsigned
take_sockets (int pidfd, int ret_fd[PROTO_LANES_MAX])
{
  unsigned n = 0;

  for (unsigned i = 0; i < PROTO_LANES_MAX; i++) {
    int fd = pidfd_getfd (pidfd, WORKER_FD_NET + (int)i, 0);

    if (fd >= 0 && foreign_net (fd))
      ret_fd[n++] = fd;
    else
      cleanup_close (&fd); /* /dev/null: sandbox/fds.h */
  }
  return n;
}

static void
add (struct daemon *d, pid_t pid)
{
  CLEANUP_CLOSE int pidfd = pidfd_open (pid, 0);
  int fd[PROTO_LANES_MAX];
  struct stat st = {0};
  struct orphan *o;
  unsigned n;

  /* The pid was its own before, and is so now. */
  if (pidfd < 0 || !foreign_is_worker (pid, d->worker_path)
      || !(n = take_sockets (pidfd, fd)))
    return;
  if (fstat (fd[0], &st) == 0 && st.st_uid != 0 && (o = malloc (sizeof *o))) {
    *o = (struct orphan){.pid = pid,
                         .pidfd = steal_fd (&pidfd),
                         .uid = st.st_uid,
                         .next = d->orphans};
    d->orphans = o;
  }
  while (n)
    closer_close (d, st.st_uid, fd[--n]);
}

void
orphans_find (struct daemon *d)
{
  DIR *proc = opendir ("/proc");
  struct dirent *e;

  if (prctl (PR_CAPBSET_READ, CAP_SYS_PTRACE, 0, 0, 0) != 1)
    log_write (d->log, LOG_LEVEL_WARN,
               "without CAP_SYS_PTRACE users' workers of an earlier bulkheadd "
               "are not known for what they are: none is taken over, and none "
               "ended whose gateway does not come");
  while (proc && (e = readdir (proc)))
    if (isdigit ((unsigned char)e->d_name[0])) {
      pid_t pid = (pid_t)strtol (e->d_name, NULL, 10);

      if (foreign_is_worker (pid, d->worker_path))
        add (d, pid);
    }
  if (proc)
    closedir (proc);
}

void
orphans_adopt (struct daemon *d, pid_t pid)
{
  for (struct orphan **at = &d->orphans; *at; at = &(*at)->next)
    if ((*at)->pid == pid && !(*at)->ended) {
      forget (at);
      return;
    }
}

static bool
is_dead (const struct orphan *o)
{
  return poll (&(struct pollfd){.fd = o->pidfd, .events = POLLIN}, 1, 0) == 1;
}

static void
end (struct daemon *d, struct orphan *o)
{
  int fd[PROTO_LANES_MAX];
  unsigned n = take_sockets (o->pidfd, fd);

  log_write (d->log, LOG_LEVEL_WARN,
             "worker %d of uid %u, of an earlier bulkheadd, is ended: its "
             "gateway does not come, and another one is there",
             (int)o->pid, (unsigned)o->uid);
  syscall (SYS_pidfd_send_signal, o->pidfd, SIGKILL, NULL, 0);
  dial_fence_all (d, o->uid, fd, n, true);
  while (n)
    closer_close (d, o->uid, fd[--n]);
  o->ended = true;
}

bool
orphans_end (struct daemon *d, uid_t uid)
{
  bool lives = false;

  for (struct orphan **at = &d->orphans; *at;) {
    if (is_dead (*at)) {
      forget (at);
      continue;
    }
    if ((*at)->uid == uid) {
      if (!(*at)->ended)
        end (d, *at);
      lives = true;
    }
    at = &(*at)->next;
  }
  return lives;
}
