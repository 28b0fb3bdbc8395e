/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sandbox/policy.h"

#define DAEMON "daemon"
#define WORKER "worker-"

#define TEXT_OF(n) #n
#define TEXT(n) TEXT_OF (n)
#define MEMORY_MAX TEXT (SBX_CGROUP_MEMORY_MIB) "M"

static const char *const controllers[] = {"memory", "pids", "cpu"};
#define CONTROLLERS (sizeof controllers / sizeof controllers[0])

static const struct {
  const char *file, *value;
  bool optional;    /* not in every kernel, or counts for nothing */
  bool not_sanitizer; /* their run-time libraries need more */
} limits[] = {
  {"memory.max", MEMORY_MAX, false, true},
  {"memory.swap.max", "0", true, false},
  {"memory.oom.group", "1", true, false},
  {"pids.max", "1", false, true},
  {"cpu.weight", "50", true, false},
};

struct sbx_cgroup {
  int dir; /* the daemon's own, as it was found */
};

/* Whether all of text was written. */
static bool
write_file (int dir, const char *file, const char *text)
{
  CLEANUP_CLOSE int fd = openat (dir, file, O_WRONLY | O_CLOEXEC);
  size_t n = strlen (text);

  return fd >= 0 && write (fd, text, n) == (ssize_t)n;
}

/* The first line of a file that has prefix, without it. */
static bool
line_of (const char *path, const char *prefix, char *dst, size_t dst_bytes)
{
  FILE *in = fopen (path, "re");
  bool found = false;

  while (in && !found && fgets (dst, (int)dst_bytes, in)) {
    size_t n = strlen (prefix);

    if (strncmp (dst, prefix, n) != 0)
      continue;
    memmove (dst, dst + n, strlen (dst + n) + 1);
    dst[strcspn (dst, "\n")] = 0;
    found = true;
  }
  if (in)
    fclose (in);
  return found;
}

/* Where version 2 is mounted: proc(5), mountinfo. Its root, as seen from here,
 * must be ours.
 */
static bool
find_mount (char *dst, size_t dst_bytes)
{
  FILE *in = fopen ("/proc/self/mountinfo", "re");
  char line[2 * PATH_MAX], root[PATH_MAX], point[PATH_MAX];
  bool found = false;

  while (in && !found && fgets (line, sizeof line, in)) {
    const char *type = strstr (line, " - ");

    found = type && strncmp (type, " - cgroup2 ", 11) == 0
            && sscanf (line, "%*s %*s %*s %4095s %4095s", root, point) == 2
            && strcmp (root, "/") == 0
            && snprintf (dst, dst_bytes, "%s", point) < (int)dst_bytes;
  }
  if (in)
    fclose (in);
  return found;
}

static int
open_own (char *why, size_t why_bytes)
{
  char mount[PATH_MAX], own[PATH_MAX], path[2 * PATH_MAX];
  int dir;

  if (!find_mount (mount, sizeof mount)
      || !line_of ("/proc/self/cgroup", "0::", own, sizeof own)) {
    snprintf (why, why_bytes, "no cgroup version 2 is mounted");
    return -1;
  }
  if (strcmp (own, "/") == 0) {
    snprintf (why, why_bytes, "the daemon is in the root cgroup");
    return -1;
  }
  snprintf (path, sizeof path, "%s%s", mount, own);
  dir = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0)
    snprintf (why, why_bytes, "%.100s: %s", path, strerror (errno));
  return dir;
}

/* systemd marks what it delegates (systemd.resource-control(5)). */
static bool
is_marked (int dir)
{
  static const char *const names[] = {"user.delegate", "trusted.delegate"};
  char value[2];

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (fgetxattr (dir, names[i], value, sizeof value) == 1
        && value[0] == '1')
      return true;
  return false;
}

static bool
is_alone (int dir)
{
  CLEANUP_CLOSE int fd = openat (dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  char text[64], own[32];
  ssize_t n = fd >= 0 ? read (fd, text, sizeof text - 1) : -1;

  if (n <= 0)
    return false;
  text[n] = 0;
  snprintf (own, sizeof own, "%d\n", (int)getpid ());
  return strcmp (text, own) == 0;
}

/* Which ones could be switched on, in words. */
static bool
switch_on (int dir, char *dst, size_t dst_bytes)
{
  size_t used = 0;

  dst[0] = 0;
  for (size_t i = 0; i < CONTROLLERS; i++) {
    char text[16];

    snprintf (text, sizeof text, "+%s", controllers[i]);
    if (write_file (dir, "cgroup.subtree_control", text)
        && used < dst_bytes)
      used += (size_t)snprintf (dst + used, dst_bytes - used, "%s%s",
                                used ? " " : "", controllers[i]);
  }
  return used > 0;
}

static void
leave (int dir)
{
  for (size_t i = 0; i < CONTROLLERS; i++) {
    char text[16];

    snprintf (text, sizeof text, "-%s", controllers[i]);
    write_file (dir, "cgroup.subtree_control", text);
  }
  if (write_file (dir, "cgroup.procs", "0"))
    unlinkat (dir, DAEMON, AT_REMOVEDIR);
}

struct sbx_cgroup *
sbx_cgroup_open (char *why, size_t why_bytes)
{
  CLEANUP_CLOSE int dir = open_own (why, why_bytes);
  struct sbx_cgroup *c;

  if (dir < 0)
    return NULL;
  if (!is_marked (dir) && !is_alone (dir)) {
    snprintf (why, why_bytes, "its cgroup is not delegated to it");
    return NULL;
  }
  if ((mkdirat (dir, DAEMON, 0755) < 0 && errno != EEXIST)
      || !write_file (dir, DAEMON "/cgroup.procs", "0")) {
    snprintf (why, why_bytes, "its cgroup cannot be divided: %s",
              strerror (errno));
    unlinkat (dir, DAEMON, AT_REMOVEDIR);
    return NULL;
  }
  if (!switch_on (dir, why, why_bytes)) {
    leave (dir);
    snprintf (why, why_bytes, "its cgroup has no controller for memory, "
                              "processes or processor time");
    return NULL;
  }
  c = sbx_cgroup_at (dir);
  if (!c) {
    leave (dir);
    snprintf (why, why_bytes, "out of memory");
    return NULL;
  }
  steal_fd (&dir);
  return c;
}

struct sbx_cgroup *
sbx_cgroup_at (int dir)
{
  struct sbx_cgroup *c = calloc (1, sizeof *c);

  if (c)
    c->dir = dir;
  return c;
}

/* Those of the living are not empty, and stay. Those of the dead who are not
 * reaped would go, but somebody may ask how they died.
 */
static void
sweep (int dir)
{
  int again = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *d = again >= 0 ? fdopendir (again) : NULL;
  struct dirent *entry;

  if (again >= 0 && !d)
    close (again);
  while (d && (entry = readdir (d)))
    if (strncmp (entry->d_name, WORKER, strlen (WORKER)) == 0
        && kill ((pid_t)atol (entry->d_name + strlen (WORKER)), 0) < 0)
      unlinkat (dir, entry->d_name, AT_REMOVEDIR);
  if (d)
    closedir (d);
}

bool
sbx_cgroup_put (struct sbx_cgroup *c, pid_t pid)
{
  CLEANUP_CLOSE int dir = -1;
  char name[32], text[16];
  unsigned hold = 0;

  sweep (c->dir);
  snprintf (name, sizeof name, WORKER "%d", (int)pid);
  snprintf (text, sizeof text, "%d", (int)pid);
  if (mkdirat (c->dir, name, 0755) < 0 && errno != EEXIST)
    return false;
  dir = openat (c->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0)
    return false;
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
    if (!(limits[i].not_sanitizer && policy_sanitizer_build ())
        && write_file (dir, limits[i].file, limits[i].value))
      hold += !limits[i].optional;
  return write_file (dir, "cgroup.procs", text) && hold > 0;
}

/* The number behind name in a file of such lines; 0 if there is none. */
static unsigned long
count_in (const char *lines, const char *name)
{
  size_t n = strlen (name);

  for (const char *p = lines; p; p = strchr (p, '\n')) {
    p += *p == '\n';
    if (strncmp (p, name, n) == 0 && p[n] == ' ')
      return strtoul (p + n, NULL, 10);
  }
  return 0;
}

bool
sbx_cgroup_was_short (const struct sbx_cgroup *c, pid_t pid)
{
  char path[64], lines[512];
  ssize_t n;

  snprintf (path, sizeof path, WORKER "%d/memory.events", (int)pid);
  CLEANUP_CLOSE int fd = openat (c->dir, path, O_RDONLY | O_CLOEXEC);
  n = fd >= 0 ? read (fd, lines, sizeof lines - 1) : -1;
  if (n <= 0)
    return false;
  lines[n] = 0;
  /* oom: its own limit, or one further below, was reached; oom_kill: it was
   * chosen, for whatever shortage.
   */
  return count_in (lines, "oom") && count_in (lines, "oom_kill");
}

void
sbx_cgroup_close (struct sbx_cgroup *c)
{
  if (!c)
    return;
  sweep (c->dir);
  leave (c->dir);
  close (c->dir);
  free (c);
}
