/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes its own cgroup over as the daemon does, puts a child into one of its
 * own, and tells what then holds it. Ends with 0 if that is a limit on memory,
 * of which it can be told that it was reached, and one on processes; 77 if
 * there is no cgroup to be had.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/cgroup.h"

#define MEMORY ((size_t)900 << 20) /* more than its limit */

/* In the child, when it is in its cgroup. */
static int
try_to_fork (void)
{
  pid_t pid = fork ();

  if (pid == 0)
    _exit (0);
  return pid < 0 && errno == EAGAIN ? 0 : 1;
}

static int
try_to_fill (void)
{
  char *p = mmap (NULL, MEMORY, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (p == MAP_FAILED)
    return 1;
  memset (p, 1, MEMORY);
  return 1;
}

static int
try_to_die (void)
{
  return kill (getpid (), SIGKILL);
}

/* The status of a child that waits until it is in its cgroup. */
static int
run (struct sbx_cgroup *c, int (*what) (void), bool *ret_short)
{
  int go[2], status = -1;
  pid_t pid;
  char byte = 0;

  if (pipe (go) < 0)
    return -1;
  pid = fork ();
  if (pid == 0) {
    if (read (go[0], &byte, 1) != 1)
      _exit (2);
    _exit (what ());
  }
  if (!sbx_cgroup_put (c, pid)) {
    kill (pid, SIGKILL);
    puts ("no limit holds");
  } else if (write (go[1], &byte, 1) != 1)
    return -1;
  waitpid (pid, &status, 0);
  *ret_short = sbx_cgroup_was_short (c, pid);
  close (go[0]);
  close (go[1]);
  return status;
}

static bool
by_sigkill (int status)
{
  return WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL;
}

int
main (void)
{
  char why[200];
  struct sbx_cgroup *c = sbx_cgroup_open (why, sizeof why);
  bool forker_short = true, killed_short = true, filler_short = false;
  int forked, killed, filled;

  printf ("cgroup: %s\n", why);
  if (!c)
    return 77;
  forked = run (c, try_to_fork, &forker_short);
  killed = run (c, try_to_die, &killed_short);
  filled = run (c, try_to_fill, &filler_short);
  printf ("fork: %#x, killed: %#x, memory: %#x\n", (unsigned)forked,
          (unsigned)killed, (unsigned)filled);
  printf ("short of memory: %d %d %d\n", forker_short, killed_short,
          filler_short);
  sbx_cgroup_close (c);
  return forked == 0 && by_sigkill (killed) && by_sigkill (filled)
             && !forker_short && !killed_short && filler_short
           ? 0
           : 1;
}
