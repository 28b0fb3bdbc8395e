/* SPDX-License-Identifier: BSD-2-Clause */
/* Between spawn.c and seal.c: how the child reports a failed start, what it is
 * told about its namespaces, and capabilities by raw system calls (libcap
 * would be one more library in the worker).
 */
#ifndef BH_SANDBOX_CHILD_H
#define BH_SANDBOX_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(NAME, text) */
#define CHILD_STEP_TABLE(X)                                                   \
  X (CHDIR, "chdir to /")                                                     \
  X (PDEATHSIG, "prctl PR_SET_PDEATHSIG")                                     \
  X (DUP, "dup2")                                                             \
  X (CLOSE_RANGE, "close_range (Linux 5.11)")                                 \
  X (EXEC, "exec")

enum child_step {
#define X(name, text) CHILD_STEP_##name,
  CHILD_STEP_TABLE (X)
#undef X
  CHILD_STEPS
};

struct child_report {
  int step;
  int sys_errno;
};

/* NAME=hex of the CLONE_NEW… bits in which the child was started. It only
 * says what to report: nothing is allowed because of it. */
#define CHILD_ENV_NAMESPACES "BULKHEAD_NAMESPACES"
void child_environment (char *dst, size_t dst_bytes, int namespaces);
/* The SBX_LAYER_NS_… bits of it; 0 if it is not set. */
uint32_t child_namespace_layers (void);

/* CAP_SYS_ADMIN is effective in our own user namespace. */
bool child_may_mount (void);
/* Makes all permitted capabilities ambient. Async-signal-safe; failure only
 * means that the root cannot be emptied later. */
void child_keep_caps (void);
/* Leaves uid 0 for one that owns nothing (*ret_nobody), and drops every
 * capability set, ambient and, where allowed, bounding; locks securebits where
 * allowed. False if a capability is left.
 */
bool child_drop_rights (bool *ret_nobody);

#endif
