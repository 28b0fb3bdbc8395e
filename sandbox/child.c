/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/child.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

#define CAPS_WORDS _LINUX_CAPABILITY_U32S_3
/* The kernel's last one grows; beyond it PR_CAPBSET_DROP says EINVAL. */
#define CAPS_END 64
#define UID_NOBODY 65534

static const struct {
  int clone_flag;
  uint32_t layer;
} namespace_table[] = {
  {CLONE_NEWUSER, SBX_LAYER_NS_USER}, {CLONE_NEWPID, SBX_LAYER_NS_PID},
  {CLONE_NEWNET, SBX_LAYER_NS_NET},   {CLONE_NEWIPC, SBX_LAYER_NS_IPC},
  {CLONE_NEWUTS, SBX_LAYER_NS_UTS},   {CLONE_NEWCGROUP, SBX_LAYER_NS_CGROUP},
};

void
child_environment (char *dst, size_t dst_bytes, int namespaces)
{
  snprintf (dst, dst_bytes, CHILD_ENV_NAMESPACES "=%x", (unsigned)namespaces);
}

uint32_t
child_namespace_layers (void)
{
  const char *text = secure_getenv (CHILD_ENV_NAMESPACES);
  unsigned long flags = text ? strtoul (text, NULL, 16) : 0;
  uint32_t layers = 0;

  for (size_t i = 0; i < sizeof namespace_table / sizeof namespace_table[0];
       i++)
    if (flags & (unsigned long)namespace_table[i].clone_flag)
      layers |= namespace_table[i].layer;
  return layers;
}

static bool
caps_get (struct __user_cap_data_struct data[CAPS_WORDS])
{
  struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};

  return syscall (SYS_capget, &h, data) == 0;
}

static bool
caps_set (const struct __user_cap_data_struct data[CAPS_WORDS])
{
  struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};

  return syscall (SYS_capset, &h, data) == 0;
}

bool
child_may_mount (void)
{
  struct __user_cap_data_struct data[CAPS_WORDS];

  return caps_get (data)
         && (data[CAP_TO_INDEX (CAP_SYS_ADMIN)].effective
             & CAP_TO_MASK (CAP_SYS_ADMIN));
}

void
child_keep_caps (void)
{
  struct __user_cap_data_struct data[CAPS_WORDS];

  if (!caps_get (data))
    return;
  for (int i = 0; i < CAPS_WORDS; i++)
    data[i].inheritable = data[i].permitted;
  if (!caps_set (data))
    return;
  for (int cap = 0; cap < CAPS_END; cap++)
    if (data[CAP_TO_INDEX (cap)].permitted & CAP_TO_MASK (cap))
      prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

static bool
become_nobody (void)
{
  return syscall (SYS_setgroups, 0, NULL) == 0
         && setresgid (UID_NOBODY, UID_NOBODY, UID_NOBODY) == 0
         && setresuid (UID_NOBODY, UID_NOBODY, UID_NOBODY) == 0;
}

bool
child_drop_rights (bool *ret_nobody)
{
  static const struct __user_cap_data_struct none[CAPS_WORDS];
  struct __user_cap_data_struct left[CAPS_WORDS];

  for (int cap = 0; cap < CAPS_END; cap++)
    prctl (PR_CAPBSET_DROP, cap, 0, 0, 0);
  prctl (PR_SET_SECUREBITS,
         SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP
           | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED
           | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
         0, 0, 0);
  *ret_nobody = geteuid () == 0 && become_nobody ();
  prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (!caps_set (none) || !caps_get (left))
    return false;
  for (int i = 0; i < CAPS_WORDS; i++)
    if (left[i].effective | left[i].permitted | left[i].inheritable)
      return false;
  return true;
}
