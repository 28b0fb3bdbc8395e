/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/root.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/child.h"

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
 * An initramfs cannot be pivoted away from: there the tmpfs is moved over it.
 */
static bool
change_root (void)
{
  if (syscall (SYS_pivot_root, ".", ".") == 0)
    return umount2 (".", MNT_DETACH) == 0 && chdir ("/") == 0;
  return mount (".", "/", NULL, MS_MOVE, NULL) == 0 && chroot (".") == 0
         && chdir ("/") == 0;
}

uint32_t
root_empty (enum sbx_profile profile)
{
  if (!sbx_is_worker (profile) || !child_may_mount ()
      || unshare (CLONE_NEWNS) < 0)
    return 0;
  if (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
      || !enter_tmpfs () || !change_root ())
    return SBX_LAYER_NS_MOUNT;
  return SBX_LAYER_NS_MOUNT | SBX_LAYER_EMPTY_ROOT;
}
