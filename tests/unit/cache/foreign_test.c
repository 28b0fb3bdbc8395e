/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/foreign.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/requester.h"
#include "ipc/shm.h"
#include "tests/unit/unit.h"

static void
only_what_cannot_be_slow_is_a_file (void)
{
  int pair[2], pipes[2], frozen = -1, growing;
  int plain = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  CU_ASSERT_EQUAL_FATAL (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
  CU_ASSERT_EQUAL_FATAL (pipe (pipes), 0);
  growing = memfd_create ("x", MFD_ALLOW_SEALING);
  CU_ASSERT_EQUAL (shm_copy_sealed (plain, 64 << 20, 0, &frozen), ERR_OK);
  CU_ASSERT (foreign_file (frozen));
  CU_ASSERT (!foreign_file (pair[0]));
  CU_ASSERT (foreign_agent (pair[0]));
  CU_ASSERT (!foreign_agent (frozen));
  CU_ASSERT (!foreign_agent (pipes[0]));
  CU_ASSERT (!foreign_file (plain));
  CU_ASSERT (!foreign_file (pipes[0]));
  CU_ASSERT (!foreign_file (growing));
  CU_ASSERT (!foreign_file (-1));
  fcntl (growing, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  CU_ASSERT (!foreign_file (growing));
  CU_ASSERT (foreign_object (growing, "x"));
  CU_ASSERT (!foreign_object (growing, "y"));
  CU_ASSERT (!foreign_object (growing, ""));
  CU_ASSERT (!foreign_object (plain, "x"));
  if (geteuid () == 0) {
    CU_ASSERT_EQUAL (fchown (growing, 12345, 12345), 0);
    CU_ASSERT (!foreign_object (growing, "x"));
  }
  CU_ASSERT (!foreign_net (pair[0]));
  CU_ASSERT (!foreign_net (plain));
  close (pair[0]);
  pair[0] = socket (AF_INET, SOCK_STREAM, 0);
  CU_ASSERT (foreign_net (pair[0]));
  close (pair[0]);
  close (pair[1]);
  close (pipes[0]);
  close (pipes[1]);
  close (frozen);
  close (growing);
  close (plain);
}

static void
a_copy_is_what_was_there_and_stays_so (void)
{
  int pipes[2], copy = -1;
  char got[16];

  CU_ASSERT_EQUAL_FATAL (pipe (pipes), 0);
  CU_ASSERT_EQUAL (shm_copy_sealed (pipes[0], 10, 20000000, &copy),
                   ERR_TIMEOUT);
  CU_ASSERT_EQUAL (write (pipes[1], "0123456789x", 11), 11);
  close (pipes[1]);
  CU_ASSERT_EQUAL (shm_copy_sealed (pipes[0], 10, 0, &copy), ERR_LIMIT);
  close (pipes[0]);
  CU_ASSERT_EQUAL_FATAL (pipe (pipes), 0);
  CU_ASSERT_EQUAL (write (pipes[1], "0123456789", 10), 10);
  close (pipes[1]);
  CU_ASSERT_EQUAL (shm_copy_sealed (pipes[0], 10, 0, &copy), ERR_OK);
  CU_ASSERT (pread (copy, got, sizeof got, 0) == 10
             && memcmp (got, "0123456789", 10) == 0);
  CU_ASSERT (pwrite (copy, "y", 1, 0) < 0);
  CU_ASSERT (ftruncate (copy, 0) < 0);
  close (copy);
  close (pipes[0]);
}

#define UID_NOBODY 65534

/* A process that has fd mapped, or not; of that uid, if we may. */
static int
start (int fd, uid_t uid, pid_t *ret_pid)
{
  int ready[2];
  char byte;

  if (pipe (ready) < 0)
    return -1;
  *ret_pid = fork ();
  if (*ret_pid == 0) {
    if (fd >= 0
        && mmap (NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
      _exit (1);
    if (geteuid () == 0 && setresuid (uid, uid, uid) < 0)
      _exit (1);
    if (write (ready[1], "x", 1) != 1)
      _exit (1);
    for (;;)
      pause ();
  }
  CU_ASSERT_EQUAL (read (ready[0], &byte, 1), 1);
  close (ready[0]);
  close (ready[1]);
  return (int)syscall (SYS_pidfd_open, *ret_pid, 0);
}

static void
end (int pidfd, pid_t pid)
{
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  close (pidfd);
}

static void
a_worker_is_known_by_what_it_maps (void)
{
  char self[PATH_MAX];
  ssize_t n = readlink ("/proc/self/exe", self, sizeof self - 1);
  int mine = -1, other = -1, with, without, users;
  pid_t pid_with, pid_without, pid_users;

  CU_ASSERT_FATAL (n > 0);
  self[n] = 0;
  CU_ASSERT_EQUAL_FATAL (shm_create ("a", 4096, &mine), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (shm_create ("b", 4096, &other), ERR_OK);
  with = start (mine, UID_NOBODY, &pid_with);
  without = start (-1, UID_NOBODY, &pid_without);
  users = start (mine, 4001, &pid_users);
  CU_ASSERT (foreign_worker (with, mine, self) == (geteuid () == 0));
  CU_ASSERT (!foreign_worker (users, mine, self));
  CU_ASSERT (!foreign_worker (with, other, self));
  CU_ASSERT (!foreign_worker (with, mine, "/bin/sh"));
  CU_ASSERT (!foreign_worker (without, mine, self));
  CU_ASSERT (!foreign_worker (mine, mine, self));
  CU_ASSERT (!foreign_worker (-1, mine, self));
  kill (pid_with, SIGKILL);
  waitpid (pid_with, NULL, 0);
  CU_ASSERT (foreign_worker (with, mine, self)); /* dead: nothing to kill */
  close (with);
  end (without, pid_without);
  end (users, pid_users);
  close (mine);
  close (other);
}

static enum err
check (struct requester *r, const char *key, const char *value)
{
  static struct volume_spec spec;
  struct fault f = {0};
  enum err e;

  memset (&spec, 0, sizeof spec);
  volume_spec_set (&spec, key, value, -1);
  e = requester_check (r, &spec, &f);
  CU_ASSERT (!e || strstr (f.text, "only root may ask"));
  return e;
}

static void
numbers_are_ones_own (void)
{
  struct requester r = {.uid = 7, .gid = 8, .groups = 2, .group = {9, 10}};

  CU_ASSERT_EQUAL (check (&r, "uid", "7"), ERR_OK);
  CU_ASSERT_EQUAL (check (&r, "uid", "0"), ERR_ACCESS);
  CU_ASSERT_EQUAL (check (&r, "gid", "8"), ERR_OK);
  CU_ASSERT_EQUAL (check (&r, "gid", "10"), ERR_OK);
  CU_ASSERT_EQUAL (check (&r, "gid", "0"), ERR_ACCESS);
  CU_ASSERT_EQUAL (check (&r, "groups", "8,9,10"), ERR_OK);
  CU_ASSERT_EQUAL (check (&r, "groups", ""), ERR_OK);
  CU_ASSERT_EQUAL (check (&r, "groups", "9,0"), ERR_ACCESS);
  CU_ASSERT_EQUAL (check (&r, "groups", "9,,10"), ERR_ACCESS);
  CU_ASSERT_EQUAL (check (&r, "groups", "9 0"), ERR_ACCESS);
  CU_ASSERT_EQUAL (check (&r, "groups", "99999999999999999999"), ERR_ACCESS);
  CU_ASSERT_EQUAL (check (&r, "groups", "-9"), ERR_ACCESS);
  r.uid = 0;
  CU_ASSERT_EQUAL (check (&r, "uid", "7"), ERR_OK);
  CU_ASSERT_EQUAL (check (&r, "groups", "1,2"), ERR_OK);
}

static void
the_kernel_says_who_asks (void)
{
  struct requester r = {0};
  int pair[2];

  CU_ASSERT_EQUAL_FATAL (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
  CU_ASSERT_EQUAL (requester_of (pair[0], &r), ERR_OK);
  CU_ASSERT (r.uid == geteuid () && r.gid == getegid ());
  CU_ASSERT (r.groups == (unsigned)getgroups (0, NULL)
             || r.groups == REQUESTER_GROUPS);
  close (pair[0]);
  CU_ASSERT_EQUAL (requester_of (pair[0], &r), ERR_IO);
  close (pair[1]);
}

UNIT_MAIN ("foreign", UNIT_TEST (only_what_cannot_be_slow_is_a_file),
           UNIT_TEST (a_copy_is_what_was_there_and_stays_so),
           UNIT_TEST (a_worker_is_known_by_what_it_maps),
           UNIT_TEST (numbers_are_ones_own),
           UNIT_TEST (the_kernel_says_who_asks))
