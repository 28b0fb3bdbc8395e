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
#include <sys/stat.h>
#include <sys/sysmacros.h>
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

/* ------------------------------------------------------------- who uses it */

/* "nbd3" and its partitions, "nbd3p1". */
static bool
is_part_of (int index, const char *name)
{
  char whole[16];
  size_t n = (size_t)snprintf (whole, sizeof whole, "nbd%d", index);

  return strncmp (name, whole, n) == 0 && (!name[n] || name[n] == 'p');
}

/* The name of the block device with this number, or "". */
static void
name_of (unsigned major_number, unsigned minor_number, char dst[64])
{
  char path[64], target[256];
  ssize_t n;

  dst[0] = 0;
  snprintf (path, sizeof path, "/sys/dev/block/%u:%u", major_number,
            minor_number);
  n = readlink (path, target, sizeof target - 1);
  if (n <= 0)
    return;
  target[n] = 0;
  snprintf (dst, 64, "%.63s",
            strrchr (target, '/') ? strrchr (target, '/') + 1 : target);
}

static bool
mounted_at (int index, char *dst, size_t dst_bytes)
{
  FILE *file = fopen ("/proc/self/mountinfo", "re");
  char line[8192], name[64];
  bool found = false;

  while (file && !found && fgets (line, sizeof line, file)) {
    unsigned major_number, minor_number;
    char where[4096];

    if (sscanf (line, "%*d %*d %u:%u %*s %4095s", &major_number, &minor_number,
                where)
        != 3)
      continue;
    name_of (major_number, minor_number, name);
    found = is_part_of (index, name);
    if (found)
      snprintf (dst, dst_bytes, "%.250s", where);
  }
  if (file)
    fclose (file);
  return found;
}

static bool
is_swap (int index)
{
  FILE *file = fopen ("/proc/swaps", "re");
  char line[4096];
  bool found = false;

  while (file && !found && fgets (line, sizeof line, file)) {
    line[strcspn (line, " \t")] = 0;
    found = strncmp (line, "/dev/", 5) == 0 && is_part_of (index, line + 5);
  }
  if (file)
    fclose (file);
  return found;
}

/* A device that is built on it or on a partition of it: dm-0, md127. */
static bool
held_by (int index, char *dst, size_t dst_bytes)
{
  char pattern[96];
  glob_t g = {0};
  bool found = false;

  snprintf (pattern, sizeof pattern, "/sys/block/nbd%d/{,nbd%dp*/}holders/*",
            index, index);
  if (glob (pattern, GLOB_BRACE, NULL, &g) == 0 && g.gl_pathc) {
    snprintf (dst, dst_bytes, "%s", strrchr (g.gl_pathv[0], '/') + 1);
    found = true;
  }
  globfree (&g);
  return found;
}

static enum err
in_use (int index, struct fault *f)
{
  char by[300];

  if (mounted_at (index, by, sizeof by)) {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is mounted at %s", index, by);
    fault_hint (f, "umount %s", by);
  } else if (is_swap (index)) {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is swap space", index);
    fault_hint (f, "swapoff /dev/nbd%d", index);
  } else if (held_by (index, by, sizeof by)) {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is used by the device %s", index, by);
    fault_hint (f, "lsblk /dev/nbd%d shows how", index);
  } else {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is in use by another program", index);
    fault_hint (f, "fuser -v /dev/nbd%d shows which", index);
  }
  return ERR_AGAIN;
}

enum err
block_claim (int index, int *ret_fd, struct fault *f)
{
  char path[32];
  int fd;

  snprintf (path, sizeof path, "/dev/nbd%d", index);
  fd = open (path, O_RDONLY | O_EXCL | O_CLOEXEC);
  if (fd >= 0) {
    *ret_fd = fd;
    return ERR_OK;
  }
  if (errno == EBUSY)
    return in_use (index, f);
  return fault_set (f, err_from_errno (errno), "%s: %s", path,
                    strerrordesc_np (errno));
}
