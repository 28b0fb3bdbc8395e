/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/root.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/child.h"
#include "sandbox/landlock.h"

#define MOUNTS_MAX 65536u
#define QUIET_MOUNT (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
#define EMPTY "size=4k,nr_inodes=2,mode=0555"

/* Any folder serves to mount on; /proc is on every Linux that can run us. */
static const char *const places[] = {"/proc", "/tmp", "/dev"};

static bool
enter_tmpfs (void)
{
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    if (mount ("none", places[i], "tmpfs", QUIET_MOUNT, EMPTY) == 0
        && chdir (places[i]) == 0)
      return true;
  return false;
}

/* The old root ends up below the new one, at the same place, and is detached.
 */
static bool
pivot (void)
{
  return enter_tmpfs () && syscall (SYS_pivot_root, ".", ".") == 0
         && umount2 (".", MNT_DETACH) == 0 && chdir ("/") == 0;
}

/* Undoes the \ooo that the kernel writes for blanks, in place. */
static void
unescape (char *path)
{
  char *to = path;

  for (; *path; path++)
    if (path[0] == '\\' && path[1] >= '0' && path[1] <= '3' && path[2]
        && path[3]) {
      *to++ = (char)((path[1] - '0') << 6 | (path[2] - '0') << 3
                     | (path[3] - '0'));
      path += 3;
    } else
      *to++ = *path;
  *to = '\0';
}

/* What is mounted below the root: our copies of it would keep those file
 * systems, and their disks, busy for as long as we live.
 */
static void
detach_all (void)
{
  FILE *in = fopen ("/proc/self/mountinfo", "re");
  char *line = NULL, *path;
  size_t bytes = 0;

  /* id, parent, device, root, place (proc(5)) */
  for (unsigned n = 0;
       in && n < MOUNTS_MAX && getline (&line, &bytes, in) > 0; n++)
    if (sscanf (line, "%*s %*s %*s %*s %ms", &path) == 1) {
      unescape (path);
      if (strcmp (path, "/") != 0)
        (void)umount2 (path, MNT_DETACH);
      free (path);
    }
  free (line);
  if (in)
    fclose (in);
}

/* An initramfs cannot be pivoted away from: there the tmpfs is moved over it.
 */
static bool
cover (void)
{
  return enter_tmpfs () && mount (".", "/", NULL, MS_MOVE, NULL) == 0
         && chroot (".") == 0 && chdir ("/") == 0;
}

static bool
empty (void)
{
  if (pivot ())
    return true;
  (void)umount2 (".", MNT_DETACH); /* the tmpfs */
  if (chdir ("/") < 0)
    return false;
  detach_all ();
  return cover ();
}

/* --------------------------------------------- what a resolver can name --- */

/* The tmpfs that lies over all others too. */
#define NOTHING "/proc"
#define DEV "/dev"

enum relation { OUTSIDE, ABOVE, WITHIN };

/* Of a path to those that a resolver reads. */
static enum relation
relation_of (const char *path)
{
  size_t n = strlen (path);

  for (const struct landlock_path *p = landlock_paths; p->path; p++) {
    if (strcmp (p->path, path) == 0)
      return WITHIN;
    if (strncmp (p->path, path, n) == 0 && p->path[n] == '/')
      return ABOVE;
  }
  return strcmp (path, DEV) && strcmp (path, NOTHING) ? OUTSIDE : WITHIN;
}

/* What has gone meanwhile needs no cover. */
static bool
cover_with (const char *what, const char *path)
{
  return mount (what, path, NULL, MS_BIND, NULL) == 0 || errno == ENOENT;
}

static bool
hide_others (const char *dir);

/* Nothing can be made in a user namespace where no uid is mapped; so names are
 * not left out but lie below something: folders below nothing, sockets and
 * devices below one that does nothing.
 */
static bool
hide_entry (const char *path, unsigned char type)
{
  switch (relation_of (path)) {
  case WITHIN:
    return true;
  case ABOVE:
    return type == DT_LNK || hide_others (path);
  case OUTSIDE:
    break;
  }
  if (type == DT_LNK || type == DT_REG)
    return true;
  return (type != DT_DIR && cover_with (DEV "/null", path))
         || cover_with (NOTHING, path);
}

/* Not every file system tells it. */
static unsigned char
type_of (const char *path, unsigned char type)
{
  struct stat st;

  return type == DT_UNKNOWN && lstat (path, &st) == 0 ? IFTODT (st.st_mode)
                                                      : type;
}

/* Everything below dir that a resolver does not read, or as much as can be. */
static bool
hide_others (const char *dir)
{
  DIR *d = opendir (dir);
  char path[PATH_MAX];
  struct dirent *e;
  bool ok = d;

  while (d && (e = readdir (d)))
    if (strcmp (e->d_name, ".") != 0 && strcmp (e->d_name, "..") != 0)
      ok &= snprintf (path, sizeof path, "%s/%s", dir[1] ? dir : "", e->d_name)
                < (int)sizeof path
            && hide_entry (path, type_of (path, e->d_type));
  if (d)
    closedir (d);
  return ok;
}

static bool
hide (void)
{
  return mount ("none", NOTHING, "tmpfs", QUIET_MOUNT, EMPTY) == 0
         && hide_others ("/") && cover_with (NOTHING, DEV);
}

uint32_t
root_replace (enum sbx_profile profile)
{
  if (!child_may_mount () || unshare (CLONE_NEWNS) < 0)
    return 0;
  if (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return sbx_opens (profile) ? 0 : SBX_LAYER_NS_MOUNT;
  if (sbx_opens (profile))
    return hide () ? SBX_LAYER_NS_MOUNT : 0;
  return SBX_LAYER_NS_MOUNT | (empty () ? SBX_LAYER_EMPTY_ROOT : 0);
}
