/* SPDX-License-Identifier: BSD-2-Clause */
/* A root without a file in it. */
#ifndef BH_SANDBOX_ROOT_H
#define BH_SANDBOX_ROOT_H

#include "sandbox/sandbox.h"

/* A worker, with CAP_SYS_ADMIN in its own user namespace: enters a new mount
 * namespace and makes an empty read-only tmpfs its root; the old root is
 * detached. Otherwise nothing. Returns the layers that hold.
 */
uint32_t root_empty (enum sbx_profile profile);

#endif
