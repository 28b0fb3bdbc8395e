/* SPDX-License-Identifier: BSD-2-Clause */
/* Landlock by raw system calls, as far as the running kernel has it. */
#ifndef BH_SANDBOX_LANDLOCK_H
#define BH_SANDBOX_LANDLOCK_H

#include "sandbox/sandbox.h"

/* Restricts the calling thread (no_new_privs is set). A worker: nothing at
 * all, every right that the kernel knows, also ones younger than this program.
 * SBX_RESOLVER: reads what NSS needs, connects to the DNS port only. Returns
 * the SBX_LAYER_LANDLOCK… bits that hold.
 */
uint32_t landlock_apply (enum sbx_profile profile);

/* What a resolver may read: NSS of Debian has its modules and its data there.
 * Ends with NULL. A folder that is missing is none.
 */
struct landlock_path {
  const char *path;
  bool libraries; /* code is mapped from there */
};
extern const struct landlock_path landlock_paths[];

/* The same as far as an older kernel would go: so many rights of each kind,
 * which is what tells one ABI from the next. For tests.
 */
struct landlock_most {
  unsigned fs, net, scopes;
  bool audit; /* flags of landlock_restrict_self */
};
uint32_t landlock_apply_up_to (enum sbx_profile profile,
                               const struct landlock_most *most);

#endif
