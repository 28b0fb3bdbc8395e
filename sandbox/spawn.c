/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/child.h"
#include "sandbox/policy.h"

#define ENV_MAX 8
#define FD_FIRST 3
/* Above every number that the child is to find its fds at. */
#define FD_PARKED (FD_FIRST + (int)SBX_SPAWN_FDS + 1)
#define NS_PER_MS 1000000

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

#define NS_SAFE (CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)

static const char *const step_text[] = {
#define X(name, text) text,
  CHILD_STEP_TABLE (X)
#undef X
};

/* What reaches the child of our own environment. A sanitizer's options say
 * where it reports; the others are resolver(5)'s. */
static const char *const env_worker[] = {NULL};
static const char *const env_resolver[] = {"RES_OPTIONS", "LOCALDOMAIN", NULL};
static const char *const env_sanitizer[]
  = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", NULL};

struct environment {
  char namespaces[sizeof CHILD_ENV_NAMESPACES + 16];
  char text[ENV_MAX][512];
  char *ptr[ENV_MAX + 3];
  unsigned used;
};

static void
environment_copy (struct environment *e, const char *const *names)
{
  for (; *names && e->used < ENV_MAX; names++) {
    const char *value = secure_getenv (*names);
    char *dst = e->text[e->used];

    if (!value)
      continue;
    if (snprintf (dst, sizeof e->text[0], "%s=%s", *names, value)
        < (int)sizeof e->text[0])
      e->ptr[e->used++] = dst;
  }
}

static void
environment_init (struct environment *e, enum sbx_profile profile)
{
  static char lang[] = "LANG=C.UTF-8";

  memset (e, 0, sizeof *e);
  environment_copy (e, profile == SBX_RESOLVER ? env_resolver : env_worker);
  if (policy_sanitizer_build ())
    environment_copy (e, env_sanitizer);
  e->ptr[e->used] = lang;
  e->ptr[e->used + 1] = e->namespaces;
}

#define NS_SETS 5

/* The namespaces to ask for, most first; ends with 0: none. A kernel may lack
 * that of cgroups. */
static unsigned
namespace_sets (enum sbx_profile profile, int ret_set[NS_SETS])
{
  int set = sbx_opens (profile) ? NS_SAFE : NS_SAFE | CLONE_NEWNET;
  unsigned n = 0;

  if (child_may_mount ()) {
    ret_set[n++] = set | CLONE_NEWCGROUP;
    ret_set[n++] = set;
  }
  ret_set[n++] = set | CLONE_NEWUSER | CLONE_NEWCGROUP;
  ret_set[n++] = set | CLONE_NEWUSER;
  ret_set[n++] = 0;
  return n;
}

/* Everything from here to exec runs in the child of a process that may have
 * threads: async-signal-safe calls only. */

struct plan {
  const struct sbx_spawn *s;
  struct environment *env;
  int null_fd;
  int report_fd; /* parked; close-on-exec */
  int parked[SBX_SPAWN_FDS];
  int parked_stderr;
};

static void __attribute__ ((noreturn))
child_fail (const struct plan *p, enum child_step step)
{
  struct child_report r = {(int)step, errno};
  ssize_t ignored = write (p->report_fd, &r, sizeof r);

  (void)ignored;
  _exit (127);
}

static void
child_signals (void)
{
  sigset_t none;
  struct sigaction dfl = {.sa_handler = SIG_DFL};

  for (int i = 1; i < NSIG; i++)
    sigaction (i, &dfl, NULL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
}

static void
child_fds (const struct plan *p)
{
  int end = FD_FIRST + (int)p->s->fds;

  for (int i = 0; i < 3; i++)
    if (dup2 (i == 2 ? p->parked_stderr : p->null_fd, i) < 0)
      child_fail (p, CHILD_STEP_DUP);
  for (int i = FD_FIRST; i < end; i++)
    if (dup2 (p->parked[i - FD_FIRST], i) < 0)
      child_fail (p, CHILD_STEP_DUP);
  if (syscall (SYS_close_range, end, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
    child_fail (p, CHILD_STEP_CLOSE_RANGE);
}

static void
child_die_with_parent (const struct plan *p)
{
  struct pollfd reader = {.fd = p->report_fd, .events = 0};

  if (prctl (PR_SET_PDEATHSIG, SIGKILL) < 0)
    child_fail (p, CHILD_STEP_PDEATHSIG);
  /* It may be dead already; its pid says nothing in another namespace. */
  if (poll (&reader, 1, 0) > 0 && (reader.revents & POLLERR))
    _exit (127);
}

static void __attribute__ ((noreturn))
child_main (const struct plan *p, int namespaces)
{
  child_signals ();
  setsid ();
  umask (077);
  if (chdir ("/") < 0)
    child_fail (p, CHILD_STEP_CHDIR);
  if (!sbx_is_worker (p->s->profile))
    child_die_with_parent (p);
  child_fds (p);
  /* No uid is mapped into a new user namespace: there is none to become. So
   * exec would drop the rights that empty the root; they come back as ambient
   * and go for good in sbx_seal. */
  if (namespaces & CLONE_NEWUSER)
    child_keep_caps ();
  execve (p->s->path, (char *const *)p->s->argv, p->env->ptr);
  child_fail (p, CHILD_STEP_EXEC);
}

static pid_t
clone_into (int namespaces, int *ret_pidfd)
{
  return (pid_t)syscall (SYS_clone, namespaces | CLONE_PIDFD | SIGCHLD, NULL,
                         ret_pidfd, NULL, NULL);
}

/* Parent again. */

static bool
try_without_namespaces (int sys_errno)
{
  return sys_errno == EPERM || sys_errno == EINVAL || sys_errno == ENOSPC
         || sys_errno == EUSERS || sys_errno == EACCES;
}

static enum err
start (const struct plan *p, struct sbx_child *c, struct fault *f)
{
  int set[NS_SETS];
  unsigned sets = namespace_sets (p->s->profile, set);
  sigset_t all, old;
  pid_t pid = -1;
  int saved = 0;

  /* No handler of ours may run in the child. */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  for (unsigned i = 0; i < sets; i++) {
    child_environment (p->env->namespaces, sizeof p->env->namespaces, set[i]);
    pid = clone_into (set[i], &c->pidfd);
    if (pid == 0)
      child_main (p, set[i]);
    saved = errno;
    if (pid > 0 || !try_without_namespaces (saved))
      break;
  }
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  if (pid < 0)
    return fault_set (f, saved == EAGAIN ? ERR_LIMIT : err_from_errno (saved),
                      "cannot start %s: %s", p->s->path, strerror (saved));
  c->pid = pid;
  return ERR_OK;
}

static void
end (const struct sbx_child *c)
{
  siginfo_t si;

  syscall (SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
  while (waitid (P_PIDFD, (id_t)c->pidfd, &si, WEXITED) < 0 && errno == EINTR)
    ;
  close (c->pidfd);
}

/* The pipe closes when exec succeeds. */
static enum err
await_exec (const struct plan *p, int fd, struct fault *f)
{
  struct pollfd in = {.fd = fd, .events = POLLIN};
  uint64_t deadline_ms = clock_now_ms () + SBX_START_MAX_NS / NS_PER_MS;
  struct child_report r;
  ssize_t n;
  enum err e;

  do {
    uint64_t now = clock_now_ms ();

    n = poll (&in, 1, now < deadline_ms ? (int)(deadline_ms - now) : 0);
  } while (n < 0 && errno == EINTR);
  if (n <= 0)
    return fault_set (f, ERR_TIMEOUT, "%s does not start", p->s->path);
  n = read (fd, &r, sizeof r);
  if (n == 0)
    return ERR_OK;
  if (n != (ssize_t)sizeof r || r.step < 0 || r.step >= CHILD_STEPS)
    return fault_set (f, ERR_SANDBOX, "%s ended before it started",
                      p->s->path);
  e = r.step == CHILD_STEP_EXEC ? err_from_errno (r.sys_errno) : ERR_SANDBOX;
  return fault_set (f, e, "cannot start %s: %s: %s", p->s->path,
                    step_text[r.step], strerror (r.sys_errno));
}

static void
unpark (struct plan *p)
{
  for (unsigned i = 0; i < SBX_SPAWN_FDS; i++)
    cleanup_close (&p->parked[i]);
  cleanup_close (&p->parked_stderr);
  cleanup_close (&p->null_fd);
  cleanup_close (&p->report_fd);
}

/* Copies of everything the child will get, out of the way of each other. */
static enum err
park (struct plan *p, struct fault *f)
{
  int null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  int err_fd = p->s->stderr_fd >= 0 ? p->s->stderr_fd : null_fd;

  if (null_fd < 0)
    return fault_set (f, err_from_errno (errno), "/dev/null: %s",
                      strerror (errno));
  p->null_fd = fcntl (null_fd, F_DUPFD_CLOEXEC, FD_PARKED);
  p->parked_stderr = fcntl (err_fd, F_DUPFD_CLOEXEC, FD_PARKED);
  close (null_fd);
  if (p->null_fd < 0 || p->parked_stderr < 0)
    return fault_set (f, ERR_LIMIT, "cannot duplicate stderr");
  for (unsigned i = 0; i < p->s->fds; i++) {
    int fd = p->s->fd[i] >= 0 ? p->s->fd[i] : p->null_fd;

    p->parked[i] = fcntl (fd, F_DUPFD_CLOEXEC, FD_PARKED);
    if (p->parked[i] < 0)
      return fault_set (f, errno == EBADF ? ERR_INVAL : ERR_LIMIT,
                        "cannot hand over fd %d: %s", p->s->fd[i],
                        strerror (errno));
  }
  return ERR_OK;
}

static enum err
spawn (struct plan *p, struct sbx_child *ret_child, struct fault *f)
{
  int report[2];
  struct sbx_child c;
  enum err e;

  if ((e = park (p, f)))
    return e;
  if (pipe2 (report, O_CLOEXEC) < 0)
    return fault_set (f, err_from_errno (errno), "pipe: %s",
                      strerror (errno));
  CLEANUP_CLOSE int report_in = report[0];
  p->report_fd = fcntl (report[1], F_DUPFD_CLOEXEC, FD_PARKED);
  close (report[1]);
  if (p->report_fd < 0)
    return fault_set (f, ERR_LIMIT, "pipe: %s", strerror (errno));
  if ((e = start (p, &c, f)))
    return e;
  cleanup_close (&p->report_fd);
  p->report_fd = -1;
  if ((e = await_exec (p, report_in, f))) {
    end (&c);
    return e;
  }
  *ret_child = c;
  return ERR_OK;
}

enum err
sbx_spawn (const struct sbx_spawn *s, struct sbx_child *ret_child,
           struct fault *f)
{
  struct environment env;
  struct plan p = {.s = s, .env = &env, .null_fd = -1, .report_fd = -1,
                   .parked_stderr = -1};
  enum err e;

  if (s->fds > SBX_SPAWN_FDS || s->path[0] != '/')
    return fault_set (f, ERR_INVAL, "%s: not an absolute path, or too many fds",
                      s->path);
  for (unsigned i = 0; i < SBX_SPAWN_FDS; i++)
    p.parked[i] = -1;
  environment_init (&env, s->profile);
  e = spawn (&p, ret_child, f);
  unpark (&p);
  return e;
}
