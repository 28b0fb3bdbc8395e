/* SPDX-License-Identifier: BSD-2-Clause */
/* Who uses /dev/nbdN: what makes the kernel refuse to open it exclusively, and
 * who has it open without that.
 */
#include "config.h"
#include "cli/block.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

/* udev looks into a device that somebody has written to and closed. */
#define TRIES 10
#define PAUSE_NS 100000000

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
mounted_at (int index, const char *mounts, char dst[256])
{
  FILE *file = fopen (mounts, "re");
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
      snprintf (dst, 256, "%.250s", where);
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

/* The first line of a file; "" if there is none. */
static void
first_line (const char *path, char dst[256])
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read (fd, dst, 255) : 0;

  dst[n > 0 ? n : 0] = 0;
  dst[strcspn (dst, "\n")] = 0;
}

/* A device that is built on it or on a partition of it: dm-0 (root), md127. */
static bool
held_by (int index, char dst[256])
{
  char pattern[128], by[256];
  glob_t g = {0};
  bool found = false;

  snprintf (pattern, sizeof pattern, "/sys/block/nbd%d/{,nbd%dp*/}holders/*",
            index, index);
  if (glob (pattern, GLOB_BRACE, NULL, &g) == 0 && g.gl_pathc) {
    const char *name = strrchr (g.gl_pathv[0], '/') + 1;

    snprintf (pattern, sizeof pattern, "/sys/block/%.60s/dm/name", name);
    first_line (pattern, by);
    snprintf (dst, 256, by[0] ? "%.60s (%.180s)" : "%.60s", name, by);
    found = true;
  }
  globfree (&g);
  return found;
}

/* A loop device, which opens it like any program, but is none. */
static bool
looped_by (int index, char dst[256])
{
  char file[256];
  glob_t g = {0};
  bool found = false;

  if (glob ("/sys/block/loop*/loop/backing_file", 0, NULL, &g) == 0)
    for (size_t i = 0; i < g.gl_pathc && !found; i++) {
      first_line (g.gl_pathv[i], file);
      found = strncmp (file, "/dev/", 5) == 0 && is_part_of (index, file + 5);
      if (found)
        snprintf (dst, 256, "%.*s", (int)strcspn (g.gl_pathv[i] + 11, "/"),
                  g.gl_pathv[i] + 11);
    }
  globfree (&g);
  return found;
}

/* The number in /proc/N/…, or 0. */
static pid_t
pid_of (const char *path)
{
  return (pid_t)strtol (path + 6, NULL, 10);
}

static void
name_process (pid_t pid, char dst[64])
{
  char path[64], name[256];

  snprintf (path, sizeof path, "/proc/%d/comm", (int)pid);
  first_line (path, name);
  for (char *p = name; *p; p++)
    if (!isprint ((unsigned char)*p))
      *p = '?';
  snprintf (dst, 64, "%.40s, process %d", name[0] ? name : "?", (int)pid);
}

/* Some process that has it open, ourselves and one more not counted. Names are
 * compared, not files: to ask for those may take as long as their server likes.
 */
static bool
opened_by (int index, pid_t except, char dst[64])
{
  glob_t g = {0};
  bool found = false;

  if (glob ("/proc/[0-9]*/fd/*", GLOB_NOSORT, NULL, &g) == 0)
    for (size_t i = 0; i < g.gl_pathc && !found; i++) {
      char file[64];
      pid_t pid = pid_of (g.gl_pathv[i]);
      ssize_t n = readlink (g.gl_pathv[i], file, sizeof file - 1);

      if (n <= 0 || pid == getpid () || pid == except)
        continue;
      file[n] = 0;
      found = strncmp (file, "/dev/", 5) == 0 && is_part_of (index, file + 5);
      if (found)
        name_process (pid, dst);
    }
  globfree (&g);
  return found;
}

/* In another mount namespace than ours, a container's. */
static bool
mounted_elsewhere (int index, char dst[256], pid_t *ret_pid)
{
  glob_t g = {0};
  bool found = false;

  if (glob ("/proc/[0-9]*/mountinfo", GLOB_NOSORT, NULL, &g) == 0)
    for (size_t i = 0; i < g.gl_pathc && !found; i++) {
      found = mounted_at (index, g.gl_pathv[i], dst);
      *ret_pid = pid_of (g.gl_pathv[i]);
    }
  globfree (&g);
  return found;
}

/* Who has it exclusively. */
static enum err
in_use (int index, pid_t except, struct fault *f)
{
  char by[256], process[64];
  pid_t pid;

  if (mounted_at (index, "/proc/self/mountinfo", by)) {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is mounted at %s", index, by);
    fault_hint (f, "umount %s", by);
  } else if (is_swap (index)) {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is swap space", index);
    fault_hint (f, "swapoff /dev/nbd%d", index);
  } else if (held_by (index, by)) {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is used by the device %s", index, by);
    fault_hint (f, "lsblk /dev/nbd%d shows how", index);
  } else if (mounted_elsewhere (index, by, &pid)) {
    name_process (pid, process);
    fault_set (f, ERR_AGAIN,
               "/dev/nbd%d is mounted at %s in the mount namespace of %s",
               index, by, process);
    fault_hint (f, "nsenter -m -t %d umount %s", (int)pid, by);
  } else if (opened_by (index, except, process)) {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is in use by %s", index, process);
    fault_hint (f, "fuser -v /dev/nbd%d shows all who use it", index);
  } else {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is in use by another program", index);
    fault_hint (f, "fuser -v /dev/nbd%d shows which", index);
  }
  return ERR_AGAIN;
}

/* Who has it open beside us, who have it exclusively. */
static enum err
open_elsewhere (int index, pid_t except, struct fault *f)
{
  char by[256];

  if (looped_by (index, by)) {
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is used by the device %s", index, by);
    fault_hint (f, "losetup -d /dev/%s", by);
    return ERR_AGAIN;
  }
  for (unsigned i = 0; opened_by (index, except, by); i++) {
    const struct timespec pause = {.tv_nsec = PAUSE_NS};

    if (i < TRIES) {
      nanosleep (&pause, NULL);
      continue;
    }
    fault_set (f, ERR_AGAIN, "/dev/nbd%d is in use by %s", index, by);
    fault_hint (f, "fuser -v /dev/nbd%d shows all who use it", index);
    return ERR_AGAIN;
  }
  return ERR_OK;
}

enum err
block_claim (int index, pid_t except, void (*opened) (void), int *ret_fd,
             struct fault *f)
{
  CLEANUP_CLOSE int fd = -1;
  char path[32];
  enum err e;

  snprintf (path, sizeof path, "/dev/nbd%d", index);
  fd = open (path, O_RDONLY | O_EXCL | O_CLOEXEC);
  if (opened && (fd >= 0 || errno == EBUSY)) {
    int open_errno = errno;

    opened ();
    errno = open_errno;
  }
  if (fd < 0 && errno == EBUSY)
    return in_use (index, except, f);
  if (fd < 0)
    return fault_set (f, err_from_errno (errno), "%s: %s", path,
                      strerrordesc_np (errno));
  if ((e = open_elsewhere (index, except, f)))
    return e;
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
}
