/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be named: nothing, or what a resolver reads. */
#ifndef BH_SANDBOX_ROOT_H
#define BH_SANDBOX_ROOT_H

#include "sandbox/sandbox.h"

/* With CAP_SYS_ADMIN in its own user namespace, else nothing: enters a new
 * mount namespace. A worker gets an empty read-only tmpfs as its root; the old
 * one is detached. For a resolver whatever is not below landlock_paths is
 * covered: Landlock keeps nobody from connecting to a Unix socket whose name he
 * can say, and a user's are the way to all that he has. What comes to be in a
 * folder above those (/run) later is not. Returns the layers that hold:
 * NS_MOUNT of a resolver, if all of that was done.
 */
uint32_t root_replace (enum sbx_profile profile);

#endif
