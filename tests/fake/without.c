/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a program on a kernel, as it seems to it, that lacks system calls:
 *
 *   without ERRNO CALL[,CALL]... PROGRAM [ARGUMENT]...
 *
 * ERRNO is a number, what those calls fail with.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <seccomp.h>

static int
refuse (scmp_filter_ctx filter, char *calls, unsigned error)
{
  for (char *name = strtok (calls, ","); name; name = strtok (NULL, ",")) {
    int number = seccomp_syscall_resolve_name (name);

    if (number == __NR_SCMP_ERROR
        || seccomp_rule_add (filter, SCMP_ACT_ERRNO (error), number, 0) < 0) {
      fprintf (stderr, "without: %s: no such call\n", name);
      return -1;
    }
  }
  return seccomp_load (filter);
}

int
main (int argc, char **argv)
{
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ALLOW);

  if (argc < 4 || !filter || refuse (filter, argv[2], (unsigned)atoi (argv[1])))
    return 125;
  execvp (argv[3], argv + 3);
  perror (argv[3]);
  return 127;
}
