/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/foreign.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

#define FROZEN (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define FIXED (F_SEAL_SHRINK | F_SEAL_GROW)

static bool
has_seals (int fd, int seals)
{
  int has = fcntl (fd, F_GET_SEALS);

  return has >= 0 && (has & seals) == seals;
}

static bool
socket_is (int fd, int option, int value)
{
  socklen_t n = sizeof (int);
  int is = -1;

  return getsockopt (fd, SOL_SOCKET, option, &is, &n) == 0 && is == value;
}

bool
foreign_file (int fd)
{
  return has_seals (fd, FROZEN);
}

bool
foreign_socket (int fd)
{
  socklen_t n = sizeof (int);
  int type;

  return getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
}

bool
foreign_agent (int fd)
{
  return socket_is (fd, SO_DOMAIN, AF_UNIX)
         && socket_is (fd, SO_TYPE, SOCK_STREAM);
}

/* Whether it is a memfd of that name, which nobody can change. */
static bool
is_named (int fd, const char *name)
{
  char path[40], is[80] = "", wanted[80];

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  snprintf (wanted, sizeof wanted, "/memfd:%s (deleted)", name);
  return readlink (path, is, sizeof is - 1) > 0 && strcmp (is, wanted) == 0;
}

bool
foreign_object (int fd, const char *name)
{
  struct stat st;

  return has_seals (fd, FIXED) && fstat (fd, &st) == 0
         && st.st_uid == geteuid () && is_named (fd, name);
}

bool
foreign_net (int fd)
{
  return (socket_is (fd, SO_DOMAIN, AF_INET)
          || socket_is (fd, SO_DOMAIN, AF_INET6))
         && socket_is (fd, SO_PROTOCOL, IPPROTO_TCP);
}

/* 0: no pidfd; -1: its process is gone. */
static int
pid_of (int pidfd)
{
  char path[40], line[128];
  int pid = 0;
  FILE *in;

  snprintf (path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
  in = fopen (path, "re");
  while (in && fgets (line, sizeof line, in))
    if (sscanf (line, "Pid: %d", &pid) == 1)
      break;
  if (in)
    fclose (in);
  return pid;
}

static bool
is_dead (int pidfd)
{
  struct pollfd p = {.fd = pidfd, .events = POLLIN};

  return poll (&p, 1, 0) == 1;
}

/* A user may serve the file system of a program: what the kernel has of it must
 * do (statx(2)), as who asks that server waits for it.
 */
static bool
runs (int pid, const char *program)
{
  char path[40];
  struct statx a, b;

  snprintf (path, sizeof path, "/proc/%d/exe", pid);
  return statx (AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &a) == 0
         && statx (AT_FDCWD, program, 0, STATX_INO, &b) == 0
         && a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major
         && a.stx_dev_minor == b.stx_dev_minor;
}

/* As workers of root's daemon do, and no user's process: who may trace it can
 * have it hold the lock that reading its maps waits for.
 */
static bool
is_nobodys (int pid)
{
  return sbx_look (pid) & SBX_LAYER_UNPRIVILEGED_UID;
}

static bool
maps (int pid, int fd)
{
  unsigned major_dev, minor_dev;
  unsigned long long inode;
  char path[40], line[512];
  bool found = false;
  struct stat st;
  FILE *in;

  if (fstat (fd, &st) < 0)
    return false;
  snprintf (path, sizeof path, "/proc/%d/maps", pid);
  in = fopen (path, "re");
  while (in && !found && fgets (line, sizeof line, in))
    found = sscanf (line, "%*s %*s %*s %x:%x %llu", &major_dev, &minor_dev,
                    &inode)
              == 3
            && inode == st.st_ino
            && makedev (major_dev, minor_dev) == st.st_dev;
  if (in)
    fclose (in);
  return found;
}

bool
foreign_is_worker (int pid, const char *worker_path)
{
  return is_nobodys (pid) && runs (pid, worker_path);
}

bool
foreign_worker (int pidfd, int completions_fd, const char *worker_path)
{
  int pid = pid_of (pidfd);

  if (pid == 0)
    return false;
  if (pid > 0 && foreign_is_worker (pid, worker_path)
      && maps (pid, completions_fd)
      /* the pid was still its own */
      && !is_dead (pidfd))
    return true;
  return is_dead (pidfd);
}
