/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/grace.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void
grace_open (struct grace *g, const char *dir, uint64_t now_ns)
{
  *g = (struct grace){0};
  snprintf (g->marker, sizeof g->marker, "%s/hosted", dir);
  if (access (g->marker, F_OK) == 0)
    g->until_ns = now_ns + GRACE_NS;
}

void
grace_enter (struct grace *g)
{
  int fd;

  if (g->volumes++ > 0 || !g->marker[0])
    return;
  fd = open (g->marker, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd >= 0)
    close (fd);
}

void
grace_leave (struct grace *g)
{
  if (--g->volumes == 0 && g->marker[0])
    unlink (g->marker);
}

uint64_t
grace_left_ns (const struct grace *g, uint64_t now_ns)
{
  return g->until_ns > now_ns ? g->until_ns - now_ns : 0;
}
