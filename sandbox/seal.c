/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/child.h"
#include "sandbox/landlock.h"
#include "sandbox/policy.h"
#include "sandbox/root.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* Linux 6.3 */
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#define MIB (1ull << 20)
#define WORKER_AS_BYTES (1024 * MIB)
#define RESOLVER_AS_BYTES (512 * MIB)
#define RELAY_AS_BYTES (64 * MIB)
#define RESOLVER_CPU_S 10

/* The only mutable globals here: a signal handler has no other way to find
 * them. Written once, before the handler is set. */
static _Atomic uint32_t *refused;
static _Atomic uint32_t refused_unread;

/* Runs in the place of a refused call. Repeating one while SIGSYS is blocked
 * lets the kernel end the process by SIGSYS itself, so that whoever waits for
 * it sees the true reason. getppid is in no table. */
static void
on_sigsys (int sig, siginfo_t *si, void *context)
{
  uint32_t zero = 0;

  (void)sig;
  (void)context;
  atomic_compare_exchange_strong (refused, &zero,
                                  (uint32_t)si->si_syscall + 1);
  syscall (SYS_getppid);
  /* Only under a debugger. */
  syscall (SYS_exit_group, 128 + SIGSYS);
}

static enum err
set_handler (_Atomic uint32_t *refused_syscall, struct fault *f)
{
  struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};

  refused = refused_syscall ? refused_syscall : &refused_unread;
  sigfillset (&sa.sa_mask);
  if (sigaction (SIGSYS, &sa, NULL) < 0)
    return fault_set (f, ERR_SANDBOX, "SIGSYS: %s", strerror (errno));
  return ERR_OK;
}

static unsigned
fd_end (enum sbx_profile profile)
{
  return sbx_is_worker (profile) ? WORKER_FD_OBJECTS
         : sbx_opens (profile)   ? RESOLVER_FD_END
                                 : RELAY_FD_END;
}

static enum err
close_fds (enum sbx_profile profile, struct fault *f)
{
  if (syscall (SYS_close_range, fd_end (profile), ~0u, 0) < 0)
    return fault_set (f, ERR_SANDBOX, "close_range (Linux 5.11): %s",
                      strerror (errno));
  return ERR_OK;
}

static bool
limit (int resource, rlim_t value)
{
  struct rlimit now;

  if (getrlimit (resource, &now) < 0)
    return false;
  if (now.rlim_max < value)
    value = now.rlim_max;
  return setrlimit (resource, &(struct rlimit){value, value}) == 0;
}

static bool
set_limits (enum sbx_profile profile)
{
  bool opens = sbx_opens (profile);
  bool ok = limit (RLIMIT_CORE, 0) && limit (RLIMIT_NPROC, 0)
            && limit (RLIMIT_MSGQUEUE, 0) && limit (RLIMIT_MEMLOCK, 0)
            && limit (RLIMIT_SIGPENDING, 0);

  /* None gets an fd beyond those it has, but who opens files. */
  ok = ok && limit (RLIMIT_NOFILE, opens ? 64 : fd_end (profile));
  if (opens)
    ok = ok && limit (RLIMIT_CPU, RESOLVER_CPU_S);
  /* Sanitizers reserve terabytes of shadow, and report to a file. */
  if (!policy_sanitizer_build ())
    ok = ok && limit (RLIMIT_FSIZE, 0)
         && limit (RLIMIT_AS, sbx_is_worker (profile) ? WORKER_AS_BYTES
                              : opens                 ? RESOLVER_AS_BYTES
                                                      : RELAY_AS_BYTES);
  return ok;
}

static enum err
missing (struct fault *f, const char *layer)
{
  enum err e = fault_set (f, ERR_SANDBOX, "cannot apply the layer %s: %s",
                          layer, strerror (errno));

  fault_hint (f, "the kernel or a container's policy forbids it; see "
                 "SECURITY.md for what is needed");
  return e;
}

/* Set by sbx_spawn already, but a change of uid forgets it. The parent may
 * have died in between: then nobody reads the result.
 */
static bool
die_with_parent (void)
{
  struct pollfd reader = {.fd = RESOLVER_FD_RESULT, .events = 0};

  _Static_assert ((int)RESOLVER_FD_RESULT == (int)RELAY_FD_DAEMON,
                  "the other end is the parent's");

  if (prctl (PR_SET_PDEATHSIG, SIGKILL) < 0)
    return false;
  if (poll (&reader, 1, 0) > 0 && (reader.revents & (POLLERR | POLLHUP)))
    _exit (EXIT_FAILURE);
  return true;
}

/* Everything up to seccomp. */
static enum err
drop (enum sbx_profile profile, uint32_t *layers, struct fault *f)
{
  bool nobody;

  *layers |= root_replace (profile);
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return missing (f, "no-new-privs");
  *layers |= SBX_LAYER_NO_NEW_PRIVS;
  if (!child_drop_rights (&nobody))
    return missing (f, "no-capabilities");
  *layers |= SBX_LAYER_NO_CAPS | (nobody ? SBX_LAYER_UNPRIVILEGED_UID : 0);
  if (!sbx_is_worker (profile) && !die_with_parent ())
    return missing (f, "PR_SET_PDEATHSIG");
  *layers |= landlock_apply (profile);
  if (prctl (PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0)
    *layers |= SBX_LAYER_MDWE;
  if (!set_limits (profile))
    return missing (f, "rlimits");
  *layers |= SBX_LAYER_RLIMITS;
  if (prctl (PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
    return missing (f, "non-dumpable");
  *layers |= SBX_LAYER_NON_DUMPABLE;
  return ERR_OK;
}

enum err
sbx_seal (enum sbx_profile profile, _Atomic uint32_t *refused_syscall,
          uint32_t *ret_layers, struct fault *f)
{
  uint32_t layers = child_namespace_layers ();
  enum err e;

  if ((e = close_fds (profile, f)) || (e = drop (profile, &layers, f))
      || (e = set_handler (refused_syscall, f))
      || (e = policy_load (profile, f)))
    return e;
  *ret_layers = layers | SBX_LAYER_SECCOMP;
  return ERR_OK;
}

void
sbx_layers_text (uint32_t layers, char *dst, size_t dst_bytes)
{
  static const char *const names[] = {
#define X(bit, name, text, mandatory) [bit] = text,
    SBX_LAYER_TABLE (X)
#undef X
  };
  size_t used = 0;

  if (!dst_bytes)
    return;
  dst[0] = 0;
  for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (!(layers & 1u << i) || used >= dst_bytes)
      continue;
    used += (size_t)snprintf (dst + used, dst_bytes - used, "%s%s",
                              used ? " " : "", names[i]);
  }
}

const char *
sbx_syscall_name (uint32_t number, char *dst, size_t dst_bytes)
{
  char *name
    = seccomp_syscall_resolve_num_arch (SCMP_ARCH_NATIVE, (int)number);

  if (name)
    snprintf (dst, dst_bytes, "%s", name);
  else
    snprintf (dst, dst_bytes, "#%u", number);
  free (name);
  return dst;
}

#ifdef BH_ASAN
/* LeakSanitizer stops the world by clone and ptrace at exit: not from in here.
 * Asked at run time, so that what was never sealed is still checked. */
int __lsan_is_turned_off (void);

int
__lsan_is_turned_off (void)
{
  return refused != NULL;
}
#endif
