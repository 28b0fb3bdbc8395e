/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting a helper process without rights, and taking the rest away from
 * inside before the first byte from a network.
 *
 * Owners: sbx_spawn belongs to the daemon; sbx_seal is called once by the
 * started program itself. In between the program may open, map and allocate.
 *
 * Thread rule: sbx_spawn from one thread at a time; with SBX_RESOLVER and
 * SBX_RELAY the thread that calls it must outlive the child
 * (PR_SET_PDEATHSIG). sbx_seal only while the process has one thread.
 *
 * Limits: SBX_SPAWN_FDS descriptors; starting takes at most SBX_START_MAX_NS.
 *
 * What the child finds
 *   0, 1   /dev/null
 *   2      stderr_fd, or /dev/null
 *   3 …    fd[0] …; nothing else is open
 *   an environment of a few names (spawn.c), no signal blocked or ignored,
 *   umask 077, / as its directory, a session of its own.
 *
 * In a PID namespace the child is its first process: only SIGKILL and the
 * signals that the kernel forces (SIGSYS, SIGSEGV, …) end it. End a worker
 * with SIGKILL, through its pidfd.
 */
#ifndef BH_SANDBOX_SANDBOX_H
#define BH_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "sandbox/fds.h"

enum sbx_profile {
  /* Talks to a server over the sockets that it was given: TCP as it is … */
  SBX_WORKER,
  SBX_WORKER_SSH, /* … with SSH on top */
  SBX_WORKER_TLS, /* … with TLS on top */
  SBX_RESOLVER,   /* one getaddrinfo, then ends; killed with its parent */
  SBX_RELAY,      /* copies between two sockets; killed with its parent */
  SBX_PROFILES
};

/* What is on top is only sbx_seal's business: the policy follows it. */
static inline bool
sbx_is_worker (enum sbx_profile profile)
{
  return profile < SBX_RESOLVER;
}

/* The others need nothing but what they were given. */
static inline bool
sbx_opens (enum sbx_profile profile)
{
  return profile == SBX_RESOLVER;
}

/* X(bit number, NAME, name for people, mandatory) */
#define SBX_LAYER_TABLE(X)                                                    \
  X (0, NO_NEW_PRIVS, "no-new-privs", 1)                                      \
  X (1, SECCOMP, "seccomp", 1)                                                \
  X (2, LANDLOCK, "landlock-fs", 0)                                           \
  X (3, LANDLOCK_NET, "landlock-net", 0)                                      \
  X (4, LANDLOCK_SCOPE, "landlock-scope", 0)                                  \
  X (5, NS_USER, "user-ns", 0)                                                \
  X (6, NS_MOUNT, "mount-ns", 0)                                              \
  X (7, NS_PID, "pid-ns", 0)                                                  \
  X (8, NS_NET, "net-ns", 0)                                                  \
  X (9, NS_IPC, "ipc-ns", 0)                                                  \
  X (10, NS_UTS, "uts-ns", 0)                                                 \
  X (11, EMPTY_ROOT, "empty-root", 0)                                         \
  X (12, RLIMITS, "rlimits", 1)                                               \
  X (13, NON_DUMPABLE, "non-dumpable", 1)                                     \
  X (14, NO_CAPS, "no-capabilities", 1)                                       \
  X (15, MDWE, "no-exec-gain", 0)                                             \
  X (16, UNPRIVILEGED_UID, "unprivileged-uid", 0)                             \
  X (17, LANDLOCK_AUDIT, "landlock-audit", 0)                                 \
  X (18, NS_CGROUP, "cgroup-ns", 0)                                           \
  X (19, CGROUP, "cgroup-limits", 0)

enum sbx_layer {
#define X(bit, name, text, mandatory) SBX_LAYER_##name = 1 << (bit),
  SBX_LAYER_TABLE (X)
#undef X
};

/* Without one of these sbx_seal fails. */
enum {
#define X(bit, name, text, mandatory) | ((mandatory) << (bit))
  SBX_MANDATORY = 0 SBX_LAYER_TABLE (X)
#undef X
};

#define SBX_SPAWN_FDS 20u
#define SBX_START_MAX_NS 5000000000ull

struct sbx_spawn {
  enum sbx_profile profile;
  const char *path;        /* of the program; absolute */
  const char *const *argv; /* ends with NULL */
  /* borrowed; fd[i] becomes descriptor 3 + i; -1: /dev/null is there */
  const int *fd;
  unsigned fds;
  int stderr_fd; /* borrowed; -1: /dev/null */
};

struct sbx_child {
  pid_t pid; /* for messages; to be reaped by waitid (P_PIDFD, pidfd, …) */
  int pidfd; /* owned by the caller, close-on-exec */
};

/* Starts path in as many new namespaces as the kernel, the distribution and
 * the caller's rights allow. Returns once exec has succeeded. ERR_SANDBOX with
 * the failed step named, ERR_NOENT, ERR_ACCESS (path), ERR_LIMIT, ERR_NOMEM.
 */
enum err sbx_spawn (const struct sbx_spawn *s, struct sbx_child *ret_child,
                    struct fault *f);

/* Seals the calling process for good: closes every fd that the profile does
 * not name (fds.h), then applies the layers in the order of SECURITY.md,
 * seccomp last.
 *
 * A refused call later on stores its number + 1 in *refused_syscall (may be
 * NULL; must stay mapped) and ends the process by SIGSYS.
 *
 * *ret_layers gets the SBX_LAYER_… bits that hold. ERR_SANDBOX if a mandatory
 * one does not, with a fault that names it; the process must then exit.
 */
enum err sbx_seal (enum sbx_profile profile,
                   _Atomic uint32_t *refused_syscall, uint32_t *ret_layers,
                   struct fault *f);

/* Of a process that nobody here has started: the layers that can be seen from
 * outside, which are few (proc(5), /proc/PID/status).
 */
uint32_t sbx_look (pid_t pid);
#define SBX_VISIBLE                                                           \
  (SBX_LAYER_NO_NEW_PRIVS | SBX_LAYER_SECCOMP | SBX_LAYER_UNPRIVILEGED_UID    \
   | SBX_LAYER_NS_PID | SBX_LAYER_NO_CAPS)

/* "no-new-privs seccomp …", cut off at dst_bytes. */
void sbx_layers_text (uint32_t layers, char *dst, size_t dst_bytes);
/* "openat"; "#999" for a number without a name. */
const char *sbx_syscall_name (uint32_t number, char *dst, size_t dst_bytes);

#endif
