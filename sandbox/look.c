/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UID_NOBODY 65534
#define SECCOMP_FILTERED 2

/* What one line of /proc/PID/status shows (proc(5)). *ret_caps gets the bits of
 * every set. */
static uint32_t
look_at (const char *line, unsigned long long *ret_caps)
{
  unsigned long long n;
  unsigned uid;
  int inner;

  if (sscanf (line, "NoNewPrivs: %llu", &n) == 1)
    return n == 1 ? SBX_LAYER_NO_NEW_PRIVS : 0;
  if (sscanf (line, "Seccomp: %llu", &n) == 1)
    return n == SECCOMP_FILTERED ? SBX_LAYER_SECCOMP : 0;
  if (sscanf (line, "Uid: %u", &uid) == 1)
    return uid == UID_NOBODY ? SBX_LAYER_UNPRIVILEGED_UID : 0;
  if (sscanf (line, "NSpid: %*d %d", &inner) == 1)
    return SBX_LAYER_NS_PID;
  if (sscanf (line, "CapInh: %llx", &n) == 1
      || sscanf (line, "CapPrm: %llx", &n) == 1
      || sscanf (line, "CapEff: %llx", &n) == 1
      || sscanf (line, "CapAmb: %llx", &n) == 1)
    *ret_caps |= n;
  return 0;
}

uint32_t
sbx_look (pid_t pid)
{
  unsigned long long caps = 0;
  char path[32], line[256];
  uint32_t layers = 0;
  FILE *in;

  snprintf (path, sizeof path, "/proc/%d/status", (int)pid);
  in = fopen (path, "re");
  if (!in)
    return 0;
  while (fgets (line, sizeof line, in))
    layers |= look_at (line, &caps);
  fclose (in);
  return layers | (caps == 0 ? SBX_LAYER_NO_CAPS : 0);
}
