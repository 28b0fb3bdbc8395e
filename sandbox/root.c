/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/root.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/child.h"

#define MOUNTS_MAX 65536u
#define QUIET_MOUNT (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)

/* Any folder serves to mount on; /proc is on every Linux that can run us. */
static const char *const places[] = {"/proc", "/tmp", "/dev"};

static bool
enter_tmpfs (void)
{
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    if (mount ("none", places[i], "tmpfs", QUIET_MOUNT,
               "size=4k,nr_inodes=2,mode=0555")
          == 0
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

uint32_t
root_empty (enum sbx_profile profile)
{
  if (sbx_opens (profile) || !child_may_mount ()
      || unshare (CLONE_NEWNS) < 0)
    return 0;
  if (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return SBX_LAYER_NS_MOUNT;
  if (!pivot ()) {
    (void)umount2 (".", MNT_DETACH); /* enter_tmpfs's */
    if (chdir ("/") < 0)
      return SBX_LAYER_NS_MOUNT;
    detach_all ();
    if (!cover ())
      return SBX_LAYER_NS_MOUNT;
  }
  return SBX_LAYER_NS_MOUNT | SBX_LAYER_EMPTY_ROOT;
}
