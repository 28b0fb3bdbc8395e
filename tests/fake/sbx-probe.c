/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/fake/sbx-probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "sandbox/sandbox.h"

static char buf[4096] __attribute__ ((aligned (4096)));

static uint64_t
argument (const char *text)
{
  if (strcmp (text, "buf") == 0)
    return (uint64_t)(uintptr_t)buf;
  if (strcmp (text, "anon") == 0)
    return (uint64_t)(uintptr_t)mmap (NULL, sizeof buf, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (text[0] == '-')
    return (uint64_t)strtoll (text, NULL, 0);
  return strtoull (text, NULL, 0);
}

static uint32_t
open_fds (void)
{
  uint32_t bits = 0;

  for (int fd = 0; fd < 32; fd++)
    if (fcntl (fd, F_GETFD) >= 0)
      bits |= 1u << fd;
  return bits;
}

static void
look_around (struct probe_report *r)
{
  static const char *const names[PROBE_NS] = PROBE_NAMESPACES;
  char path[40];
  struct stat st;

  for (int i = 0; i < PROBE_NS; i++) {
    snprintf (path, sizeof path, "/proc/self/ns/%s", names[i]);
    r->ns[i] = stat (path, &st) == 0 ? st.st_ino : 0;
  }
  r->open_before_seal = open_fds ();
  r->uid = getuid ();
  r->pid = getpid ();
}

static int
error_of (int result)
{
  return result < 0 ? errno : 0;
}

static int
connect_to (const char *path)
{
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  snprintf (a.sun_path, sizeof a.sun_path, "%s", path);
  return error_of (connect (fd, (struct sockaddr *)&a, sizeof a));
}

static void
look_inside (struct probe_inside *r, const char *socket_path)
{
  void *page = mmap (NULL, sizeof buf, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct rlimit limit;
  struct stat st;

  for (int i = 0; i < PROBE_LIMITS; i++)
    if (getrlimit (i, &limit) == 0)
      r->limit[i] = limit.rlim_max;
  r->open = open_fds ();
  close (0); /* there is no number to spare */
  close (1);
  r->shell = error_of (stat ("/bin/sh", &st));
  r->socket = connect_to (socket_path);
  r->dumpable = prctl (PR_GET_DUMPABLE, 0, 0, 0, 0);
  r->no_new_privs = prctl (PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  r->securebits = prctl (PR_GET_SECUREBITS, 0, 0, 0, 0);
  r->exec_gain = error_of (mprotect (page, sizeof buf, PROT_READ | PROT_EXEC));
  r->passwd = error_of (stat ("/etc/passwd", &st));
  r->root = error_of (open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int cap = 0; cap < 64; cap++)
    r->bounding += prctl (PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
  r->uid = getuid ();
}

int
main (int argc, char **argv)
{
  struct probe_report *r;
  struct fault f = {0};
  uint64_t a[6] = {0};
  enum sbx_profile profile;
  int fd;

  if (argc < 3 || argc > 9)
    return 2;
  profile = strcmp (argv[1], "worker") == 0       ? SBX_WORKER
            : strcmp (argv[1], "worker-ssh") == 0 ? SBX_WORKER_SSH
                                                  : SBX_RESOLVER;
  fd = sbx_is_worker (profile) ? WORKER_FD_OBJECTS : PROBE_RESOLVER_REPORT_FD;
  r = mmap (NULL, PROBE_REPORT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
            0);
  if (r == MAP_FAILED)
    return 3;
  look_around (r);
  atomic_store (&r->stage, PROBE_STARTED);
  for (int i = 3; i < argc; i++)
    a[i - 3] = argument (argv[i]);
  r->seal_err = sbx_seal (profile, &r->refused, &r->layers, &f);
  memcpy (r->fault, f.text, sizeof r->fault);
  if (r->seal_err) {
    look_inside (&r->inside, argc > 3 ? argv[3] : "");
    return 4;
  }
  r->sealed_at_ns = clock_now_ns ();
  atomic_store (&r->stage, PROBE_SEALED);
  if (strcmp (argv[2], "none") != 0) {
    r->result = syscall (strtol (argv[2], NULL, 0), a[0], a[1], a[2], a[3],
                         a[4], a[5]);
    r->sys_errno = r->result < 0 ? errno : 0;
  }
  atomic_store (&r->stage, PROBE_RETURNED);
  syscall (SYS_exit_group, 0);
  return 0;
}
