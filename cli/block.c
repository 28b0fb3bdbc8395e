/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/block.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

int
block_index (const char *device)
{
  char *end;
  unsigned long n;

  if (strncmp (device, "/dev/", 5) == 0)
    device += 5;
  if (strncmp (device, "nbd", 3) != 0 || !isdigit ((unsigned char)device[3]))
    return -1;
  n = strtoul (device + 3, &end, 10);
  return *end || n > BLOCK_INDEX_MAX ? -1 : (int)n;
}

/* The first line of /sys/block/nbdN/NAME; false if there is none. */
static bool
attribute (int index, const char *name, char *dst, size_t dst_bytes)
{
  CLEANUP_CLOSE int fd = -1;
  char path[64];
  ssize_t n;

  snprintf (path, sizeof path, "/sys/block/nbd%d/%s", index, name);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  dst[0] = 0;
  if (fd < 0 || (n = read (fd, dst, dst_bytes - 1)) <= 0)
    return false;
  dst[n] = 0;
  dst[strcspn (dst, "\n")] = 0;
  return true;
}

bool
block_connected (int index)
{
  char text[32];

  return attribute (index, "pid", text, sizeof text);
}

void
block_backend (int index, char dst[BLOCK_BACKEND_BYTES])
{
  attribute (index, "backend", dst, BLOCK_BACKEND_BYTES);
}

uint64_t
block_size_bytes (int index)
{
  char text[32];

  if (!attribute (index, "size", text, sizeof text))
    return 0;
  return strtoull (text, NULL, 10) * 512;
}

static int
by_number (const void *a, const void *b)
{
  return *(const int *)a - *(const int *)b;
}

enum err
block_open (int index, int *ret_fd, struct fault *f)
{
  char path[32];

  snprintf (path, sizeof path, "/dev/nbd%d", index);
  *ret_fd = open (path, O_RDONLY | O_CLOEXEC);
  if (*ret_fd >= 0)
    return ERR_OK;
  return fault_set (f, err_from_errno (errno), "%s: %s", path,
                    strerrordesc_np (errno));
}

void
block_each (bool (*call) (void *ctx, int index), void *ctx)
{
  int *list = calloc (BLOCK_INDEX_MAX + 1, sizeof *list);
  glob_t g = {0};
  size_t n = 0;

  if (list && glob ("/sys/block/nbd*", GLOB_NOSORT, NULL, &g) == 0)
    for (size_t i = 0; i < g.gl_pathc && n <= BLOCK_INDEX_MAX; i++)
      if ((list[n] = block_index (g.gl_pathv[i] + 11)) >= 0)
        n++;
  globfree (&g);
  if (n)
    qsort (list, n, sizeof *list, by_number);
  for (size_t i = 0; i < n; i++)
    if (!call (ctx, list[i]))
      break;
  free (list);
}
