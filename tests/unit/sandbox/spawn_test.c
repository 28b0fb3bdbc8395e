/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting and sealing by the real way: sbx_spawn of tests/fake/sbx-probe, in
 * whatever namespaces this machine and user allow.
 */
#include "config.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/policy.h"
#include "tests/fake/sbx-probe.h"
#include "tests/unit/unit.h"

#define DEADLINE_MS 20000
#define UID_NOBODY 65534
/* capabilities(7): root has no power, nothing can be made ambient; for good */
#define SECUREBITS                                                            \
  (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED             \
   | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* One run of the probe, and all that it was given. */
struct run {
  enum err err;
  struct fault fault;
  struct probe_report seen; /* copied when it has ended */
  int code;                 /* CLD_EXITED, CLD_KILLED … */
  int status;               /* exit status or signal */
  uint64_t started_at_ns;
};

/* Anybody may connect there who can say its name. */
static char socket_path[] = "/tmp/bulkhead-spawn.XXXXXX/s";

static const char *
probe_path (void)
{
  static char path[PATH_MAX];
  ssize_t n = readlink ("/proc/self/exe", path, sizeof path - 1);
  char *slash;

  if (n < 0)
    return "";
  path[n] = 0;
  for (int i = 0; i < 3; i++) /* tests/unit/sandbox/spawn_test */
    if ((slash = strrchr (path, '/')))
      *slash = 0;
  strncat (path, "/fake/sbx-probe", sizeof path - strlen (path) - 1);
  return path;
}

/* In the order of worker_table; -1 when the test gives up. */
static bool
open_fds (int fd[6], int far[3])
{
  int a[2], b[2], net[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, a) < 0
      || socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, b) < 0
      || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                     net)
             < 0)
    return false;
  far[0] = a[1], far[1] = b[1], far[2] = net[1];
  fd[0] = a[0], fd[1] = b[0], fd[2] = net[0];
  fd[3] = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  fd[4] = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  fd[5] = memfd_create ("probe", MFD_CLOEXEC);
  return fd[3] >= 0 && fd[4] >= 0 && fd[5] >= 0
         && ftruncate (fd[5], PROBE_REPORT_BYTES) == 0;
}

static void
close_all (int *fd, int n)
{
  for (int i = 0; i < n; i++)
    if (fd[i] >= 0)
      close (fd[i]);
}

static void
wait_for_end (const struct sbx_child *c, struct run *r)
{
  struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
  siginfo_t si = {0};

  if (poll (&p, 1, DEADLINE_MS) != 1) {
    CU_FAIL ("the probe hangs");
    syscall (SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
  }
  waitid (P_PIDFD, (id_t)c->pidfd, &si, WEXITED);
  r->code = si.si_code;
  r->status = si.si_status;
  close (c->pidfd);
}

#define WORKER_FDS (WORKER_FD_OBJECTS + 1 - WORKER_FD_DAEMON)

/* The others are left out. */
static void
worker_table (const int fd[6], int ret[WORKER_FDS])
{
  static const int number[6] = {
      WORKER_FD_DAEMON,      WORKER_FD_GATEWAY,      WORKER_FD_NET,
      WORKER_FD_WAKE_WORKER, WORKER_FD_WAKE_GATEWAY, WORKER_FD_OBJECTS};

  for (int i = 0; i < WORKER_FDS; i++)
    ret[i] = -1;
  for (int i = 0; i < 6; i++)
    ret[number[i] - WORKER_FD_DAEMON] = fd[i];
}

static struct run
run_with_fds (enum sbx_profile profile, const char *const *argv,
              const int fd[6])
{
  const int resolver_fd[] = {fd[0], fd[5]};
  int worker_fd[WORKER_FDS];
  struct sbx_spawn s = {
      .profile = profile,
      .path = probe_path (),
      .argv = argv,
      .fd = profile == SBX_WORKER ? worker_fd : resolver_fd,
      .fds = profile == SBX_WORKER ? WORKER_FDS : 2,
      .stderr_fd = -1,
  };
  struct sbx_child c;
  struct run r = {.started_at_ns = clock_now_ns ()};
  void *page;

  worker_table (fd, worker_fd);
  r.err = sbx_spawn (&s, &c, &r.fault);
  if (r.err)
    return r;
  wait_for_end (&c, &r);
  page = mmap (NULL, PROBE_REPORT_BYTES, PROT_READ, MAP_SHARED, fd[5], 0);
  if (page != MAP_FAILED) {
    memcpy (&r.seen, page, sizeof r.seen);
    munmap (page, PROBE_REPORT_BYTES);
  }
  return r;
}

static struct run
run (enum sbx_profile profile, const char *const *argv)
{
  int fd[6] = {-1, -1, -1, -1, -1, -1}, far[3] = {-1, -1, -1};
  struct run r = {.err = ERR_IO};

  if (open_fds (fd, far))
    r = run_with_fds (profile, argv, fd);
  close_all (fd, 6);
  close_all (far, 3);
  return r;
}

/* The probe as a worker that makes this call. */
static struct run
call (long number, const char *a0, const char *a1, const char *a2,
      const char *a3)
{
  char text[24];
  const char *argv[] = {"sbx-probe", "worker-ssh", text, a0, a1, a2, a3,
                        NULL};

  snprintf (text, sizeof text, "%ld", number);
  return run (SBX_WORKER, argv);
}

static bool
sealed (const struct run *r)
{
  if (r->err || r->seen.seal_err)
    fprintf (stderr, "%s%s\n", r->fault.text, r->seen.fault);
  return !r->err && !r->seen.seal_err && r->seen.stage >= PROBE_SEALED;
}

static void
a_worker_starts_and_seals (void)
{
  const char *argv[] = {"sbx-probe", "worker", "none", NULL};
  struct run r = run (SBX_WORKER, argv);
  char text[300];

  CU_ASSERT_FATAL (sealed (&r));
  CU_ASSERT_EQUAL (r.seen.stage, PROBE_RETURNED);
  CU_ASSERT (r.code == CLD_EXITED && r.status == 0);
  CU_ASSERT_EQUAL (r.seen.layers & SBX_MANDATORY, SBX_MANDATORY);
  CU_ASSERT_EQUAL (r.seen.open_before_seal, 0x1ffff);
  /* bounded, and shown: a worker must be replaced quickly */
  CU_ASSERT (r.seen.sealed_at_ns - r.started_at_ns < 1000000000u);
  sbx_layers_text (r.seen.layers, text, sizeof text);
  printf ("\n    %.1f ms to sealed: %s\n  ",
          (double)(r.seen.sealed_at_ns - r.started_at_ns) / 1e6, text);
}

static void
forbidden_calls_end_it (void)
{
  static const long calls[] = {
      SYS_openat,           SYS_socket,      SYS_connect, SYS_execve,
      SYS_execveat,         SYS_fork,        SYS_vfork,   SYS_clone,
      SYS_clone3,           SYS_ptrace,      SYS_kill,    SYS_io_uring_setup,
      SYS_memfd_create,     SYS_bpf,         SYS_mount,   SYS_unshare,
      SYS_pidfd_getfd,      SYS_prctl,       SYS_open,    SYS_ioctl,
      SYS_process_vm_readv, SYS_userfaultfd, SYS_seccomp, SYS_dup2,
  };
  char name[40];

  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    struct run r = call (calls[i], "buf", "buf", "0", "0");
    uint64_t a[6] = {~0ull, ~0ull, 0, 0, 0, 0};
    bool deny = policy_verdict (SBX_WORKER, policy_sanitizer_build (),
                                (uint32_t)calls[i], a)
                == POLICY_DENY;

    CU_ASSERT (sealed (&r));
    if (deny ? r.seen.result == -1 && r.seen.sys_errno == EPERM
             : r.code == CLD_KILLED && r.status == SIGSYS
                   && r.seen.refused == (uint32_t)calls[i] + 1
                   && r.seen.stage == PROBE_SEALED)
      continue;
    fprintf (stderr, "%s\n",
             sbx_syscall_name ((uint32_t)calls[i], name, sizeof name));
    CU_FAIL ("not ended by SIGSYS, or the number is lost");
  }
}

/* The sockets and eventfds that it was given work inside all the walls. */
static void
what_it_needs_works (void)
{
  char net[8], wake_worker[8], wake_gateway[8];
  struct run r;

  snprintf (net, sizeof net, "%d", WORKER_FD_NET);
  snprintf (wake_worker, sizeof wake_worker, "%d", WORKER_FD_WAKE_WORKER);
  snprintf (wake_gateway, sizeof wake_gateway, "%d", WORKER_FD_WAKE_GATEWAY);
  r = call (SYS_sendto, net, "buf", "100", "0x4040");
  CU_ASSERT (sealed (&r) && r.seen.result == 100);
  r = call (SYS_recvfrom, net, "buf", "100", "0x40");
  CU_ASSERT (sealed (&r) && r.seen.sys_errno == EAGAIN);
  r = call (SYS_read, wake_worker, "buf", "8", NULL);
  CU_ASSERT (sealed (&r) && r.seen.sys_errno == EAGAIN);
  r = call (SYS_write, wake_gateway, "buf", "8", NULL);
  CU_ASSERT (sealed (&r) && r.seen.result == 8);
  r = call (SYS_getrandom, "buf", "16", "0", NULL);
  CU_ASSERT (sealed (&r) && r.seen.result == 16);
  r = call (SYS_fcntl, net, "3", NULL, NULL); /* F_GETFL */
  CU_ASSERT (sealed (&r) && r.seen.result >= 0);
  r = call (SYS_recvfrom, "3", "buf", "100", "0x40");
  CU_ASSERT (sealed (&r) && r.seen.sys_errno == EAGAIN);
  r = call (SYS_sendto, "4", "buf", "100", "0x4040");
  CU_ASSERT (sealed (&r) && r.seen.result == 100);
}

static void
the_resolver_seals (void)
{
  const char *none[] = {"sbx-probe", "resolver", "none", NULL};
  char number[8];
  const char *exec[] = {"sbx-probe", "resolver", number, NULL};
  struct run r = run (SBX_RESOLVER, none);

  CU_ASSERT_FATAL (sealed (&r));
  CU_ASSERT_EQUAL (r.seen.layers & SBX_MANDATORY, SBX_MANDATORY);
  CU_ASSERT_EQUAL (r.seen.layers & SBX_LAYER_NS_NET, 0);
  CU_ASSERT_EQUAL (r.seen.open_before_seal, 0x1f);
  snprintf (number, sizeof number, "%d", SYS_execve);
  r = run (SBX_RESOLVER, exec);
  CU_ASSERT (sealed (&r) && r.status == SIGSYS
             && r.seen.refused == SYS_execve + 1);
}

/* Source fds that sit where others must go. */
static void
fds_do_not_collide (void)
{
  int fd[6], far[3];
  int given[6];
  const char *argv[] = {"sbx-probe", "worker", "none", NULL};
  pid_t pid = fork ();
  int status;

  if (pid == 0) {
    struct run r;

    if (!open_fds (fd, far))
      _exit (2);
    for (int i = 0; i < 6; i++)
      given[i] = fcntl (fd[i], F_DUPFD_CLOEXEC, 100);
    /* 3 … 8 in reverse order, and the first one twice */
    for (int i = 0; i < 6; i++)
      if (dup2 (given[i], 8 - i) != 8 - i)
        _exit (3);
    for (int i = 0; i < 6; i++)
      given[i] = 8 - i;
    given[1] = given[0];
    r = run_with_fds (SBX_WORKER, argv, given);
    _exit (sealed (&r) && r.seen.open_before_seal == 0x1ffff ? 0 : 4);
  }
  CU_ASSERT_EQUAL (waitpid (pid, &status, 0), pid);
  CU_ASSERT (WIFEXITED (status) && WEXITSTATUS (status) == 0);
}

static unsigned
open_fds_of_this_process (void)
{
  unsigned n = 0;

  for (int fd = 0; fd < 1024; fd++)
    n += fcntl (fd, F_GETFD) >= 0;
  return n;
}

static void
a_failed_start_says_why (void)
{
  static const int one_fd[] = {0};
  const char *argv[] = {"x", NULL};
  struct sbx_spawn s = {.profile = SBX_WORKER,
                        .path = "/nonexistent/worker",
                        .argv = argv,
                        .fd = one_fd,
                        .fds = 1,
                        .stderr_fd = -1};
  struct sbx_child c = {.pid = -7, .pidfd = -7};
  struct fault f;
  unsigned before = open_fds_of_this_process ();

  CU_ASSERT_EQUAL (sbx_spawn (&s, &c, &f), ERR_NOENT);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "/nonexistent/worker"));
  s.path = "/etc/passwd";
  CU_ASSERT_EQUAL (sbx_spawn (&s, &c, &f), ERR_ACCESS);
  s.path = "relative";
  CU_ASSERT_EQUAL (sbx_spawn (&s, &c, &f), ERR_INVAL);
  s.path = "/bin/true";
  s.fds = SBX_SPAWN_FDS + 1;
  CU_ASSERT_EQUAL (sbx_spawn (&s, &c, &f), ERR_INVAL);
  s.fds = 1;
  s.fd = (const int[]){999};
  CU_ASSERT_EQUAL (sbx_spawn (&s, &c, &f), ERR_INVAL);
  CU_ASSERT_EQUAL (c.pidfd, -7);
  CU_ASSERT_EQUAL (open_fds_of_this_process (), before);
  CU_ASSERT (waitpid (-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* A distribution, or a container, that says no: a filter in a child of ours
 * that refuses the calls (names with blanks between) with sys_errno, then the
 * same start. */
static struct run
run_where_refused_with (enum sbx_profile profile, int sys_errno,
                        const char *names, int arg, uint64_t mask,
                        uint64_t value)
{
  struct run *shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const char *argv[] = {"sbx-probe",
                        profile == SBX_WORKER ? "worker" : "resolver", "none",
                        socket_path, NULL};
  struct run r = {.err = ERR_IO};
  int status;
  pid_t pid;

  if (shared == MAP_FAILED)
    return r;
  pid = fork ();
  if (pid == 0) {
    scmp_filter_ctx ctx = seccomp_init (SCMP_ACT_ALLOW);
    struct scmp_arg_cmp cmp = {(unsigned)(arg < 0 ? 0 : arg),
                               SCMP_CMP_MASKED_EQ, mask, value};

    char copy[200], *name, *save = NULL;

    snprintf (copy, sizeof copy, "%s", names);
    for (name = strtok_r (copy, " ", &save); name;
         name = strtok_r (NULL, " ", &save))
      if (seccomp_rule_add_array (ctx, SCMP_ACT_ERRNO ((uint32_t)sys_errno),
                                  seccomp_syscall_resolve_name (name),
                                  arg < 0 ? 0 : 1, &cmp)
          < 0)
        _exit (2);
    if (seccomp_load (ctx) < 0)
      _exit (2);
    *shared = run (profile, argv);
    _exit (0);
  }
  if (waitpid (pid, &status, 0) == pid && WIFEXITED (status)
      && WEXITSTATUS (status) == 0)
    r = *shared;
  munmap (shared, sizeof *shared);
  return r;
}

static struct run
run_where_refused (const char *names, int arg, uint64_t mask, uint64_t value)
{
  return run_where_refused_with (SBX_WORKER, EPERM, names, arg, mask, value);
}

#define NAMESPACES                                                            \
  (SBX_LAYER_NS_USER | SBX_LAYER_NS_PID | SBX_LAYER_NS_NET                    \
   | SBX_LAYER_NS_IPC | SBX_LAYER_NS_UTS)

static void
without_namespaces_it_still_seals (void)
{
  /* unprivileged_userns_clone=0 and seccomp of containers; a security module;
   * max_user_namespaces=0; too deep; a kernel without them */
  static const int refusals[] = {EPERM, EACCES, ENOSPC, EUSERS, EINVAL};

  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    struct run r = run_where_refused_with (SBX_WORKER, refusals[i], "clone",
                                           0, CLONE_NEWPID, CLONE_NEWPID);

    CU_ASSERT (sealed (&r));
    CU_ASSERT_EQUAL (r.seen.layers & NAMESPACES, 0);
    CU_ASSERT_EQUAL (r.seen.layers & SBX_MANDATORY, SBX_MANDATORY);
  }
}

/* As AppArmor's rule of Ubuntu has it: there is a user namespace, but no right
 * in it, so no mount of one's own. */
static void
a_namespace_without_rights_is_no_empty_root (void)
{
  struct run r = run_where_refused_with (
      SBX_WORKER, EACCES, "unshare mount pivot_root umount2 chroot", -1, 0, 0);
  const char *argv[] = {"sbx-probe", "worker", "none", NULL};
  struct run whole = run (SBX_WORKER, argv);

  CU_ASSERT (sealed (&r) && sealed (&whole));
  CU_ASSERT_EQUAL (r.seen.layers & (SBX_LAYER_NS_MOUNT | SBX_LAYER_EMPTY_ROOT),
                   0);
  CU_ASSERT_EQUAL (r.seen.layers & SBX_MANDATORY, SBX_MANDATORY);
  CU_ASSERT_EQUAL (r.seen.layers & NAMESPACES, whole.seen.layers & NAMESPACES);
}

static void
optional_layers_may_be_missing (void)
{
  struct run r = run_where_refused ("landlock_create_ruleset", -1, 0, 0);

  CU_ASSERT (sealed (&r));
  CU_ASSERT_EQUAL (r.seen.layers & SBX_LAYER_LANDLOCK, 0);
  r = run_where_refused ("pivot_root", -1, 0, 0);
  CU_ASSERT (sealed (&r));
  r = run_where_refused ("mount", -1, 0, 0);
  CU_ASSERT (sealed (&r));
  CU_ASSERT_EQUAL (r.seen.layers & SBX_LAYER_EMPTY_ROOT, 0);
}

static void
mandatory_layers_may_not (void)
{
  static const struct {
    const char *call;
    int arg;
    uint64_t value;
    const char *said;
  } cases[] = {
      {"prctl", 0, PR_SET_DUMPABLE, "non-dumpable"},
      {"prctl", 0, PR_SET_NO_NEW_PRIVS, "no-new-privs"},
      {"prlimit64", 1, RLIMIT_NPROC, "rlimits"},
      {"capset", -1, 0, "no-capabilities"},
      {"seccomp", -1, 0, "seccomp"},
      {"close_range", 2, 0, "close_range"},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct run r =
        run_where_refused (cases[i].call, cases[i].arg, ~0ull, cases[i].value);

    if (!r.err && r.seen.seal_err == ERR_SANDBOX && r.code == CLD_EXITED
        && strstr (r.seen.fault, cases[i].said))
      continue;
    fprintf (stderr, "%s: %d %d %s\n", cases[i].said, (int)r.err,
             (int)r.seen.seal_err, r.seen.fault);
    CU_FAIL ("a mandatory layer was missing and it did not say so");
  }
}

/* All is in force but the filter, which hides the others. */
static struct run
run_without_filter (enum sbx_profile profile)
{
  return run_where_refused_with (profile, EPERM, "seccomp", -1, 0, 0);
}

/* A namespace that is reported is another one than ours. */
static void
check_namespaces (uint32_t layers, const struct probe_report *seen)
{
  static const char *const names[PROBE_NS] = PROBE_NAMESPACES;
  static const uint32_t layer[PROBE_NS]
      = {SBX_LAYER_NS_USER, 0 /* comes later */, SBX_LAYER_NS_PID,
         SBX_LAYER_NS_NET,  SBX_LAYER_NS_IPC,    SBX_LAYER_NS_UTS,
         SBX_LAYER_NS_CGROUP};

  for (int i = 0; i < PROBE_NS; i++) {
    char path[40];
    struct stat st;

    snprintf (path, sizeof path, "/proc/self/ns/%s", names[i]);
    CU_ASSERT (stat (path, &st) == 0 && seen->ns[i]);
    if (!!(layers & layer[i]) == (seen->ns[i] != st.st_ino))
      continue;
    fprintf (stderr, "namespace %s\n", names[i]);
    CU_FAIL ("a namespace is not what is reported");
  }
}

static void
check_limits (enum sbx_profile profile, const struct probe_inside *in)
{
  bool worker = profile == SBX_WORKER;
  static const int none[] = {RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_MSGQUEUE,
                             RLIMIT_MEMLOCK, RLIMIT_SIGPENDING};

  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    CU_ASSERT_EQUAL (in->limit[none[i]], 0);
  CU_ASSERT_EQUAL (in->limit[RLIMIT_NOFILE], worker ? WORKER_FD_OBJECTS : 64);
  CU_ASSERT (worker || in->limit[RLIMIT_CPU] == 10);
  if (policy_sanitizer_build ())
    return;
  CU_ASSERT_EQUAL (in->limit[RLIMIT_FSIZE], 0);
  CU_ASSERT_EQUAL (in->limit[RLIMIT_AS], (worker ? 1024ull : 512ull) << 20);
}

/* Returns them. */
static uint32_t
check_layers (enum sbx_profile profile)
{
  const char *argv[]
      = {"sbx-probe", profile == SBX_WORKER ? "worker" : "resolver", "none",
         NULL};
  struct run whole = run (profile, argv), r = run_without_filter (profile);
  const struct probe_inside *in = &r.seen.inside;
  uint32_t layers = whole.seen.layers;

  CU_ASSERT_FATAL (sealed (&whole) && !r.err
                   && r.seen.seal_err == ERR_SANDBOX);
  check_namespaces (layers, &r.seen);
  check_limits (profile, in);
  CU_ASSERT (in->dumpable == 0 && in->no_new_privs == 1);
  /* For who has rights at first; others have none that no_new_privs would let
   * them come to.
   */
  if (r.seen.uid == 0 || layers & SBX_LAYER_NS_USER) {
    CU_ASSERT_EQUAL (in->bounding, 0);
    CU_ASSERT_EQUAL (in->securebits & SECUREBITS, SECUREBITS);
  }
  CU_ASSERT_EQUAL (in->exec_gain, layers & SBX_LAYER_MDWE ? EACCES : 0);
  CU_ASSERT_EQUAL (in->passwd, layers & SBX_LAYER_EMPTY_ROOT ? ENOENT : 0);
  CU_ASSERT_EQUAL (in->root, layers & SBX_LAYER_LANDLOCK ? EACCES : 0);
  CU_ASSERT_EQUAL (in->open, profile == SBX_WORKER ? 0xffff : 0xf);
  CU_ASSERT_EQUAL (in->shell, layers & SBX_LAYER_NS_MOUNT ? ENOENT : 0);
  if (layers & SBX_LAYER_NS_MOUNT)
    CU_ASSERT_EQUAL (in->socket, ENOENT);
  if (r.seen.uid == 0)
    CU_ASSERT_EQUAL (in->uid, UID_NOBODY);
  return layers;
}

/* Each layer by itself, as it is found from inside. */
static int
listen_for_anybody (void)
{
  char *name = strrchr (socket_path, '/');
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool ok;

  *name = 0;
  ok = mkdtemp (socket_path) && chmod (socket_path, 0711) == 0;
  *name = '/';
  strcpy (a.sun_path, socket_path);
  ok = ok && bind (fd, (struct sockaddr *)&a, sizeof a) == 0
       && listen (fd, 4) == 0 && chmod (socket_path, 0777) == 0;
  CU_ASSERT (ok);
  return fd;
}

static void
what_is_reported_is_there (void)
{
  int fd = listen_for_anybody ();
  uint32_t worker = check_layers (SBX_WORKER);
  uint32_t resolver = check_layers (SBX_RESOLVER);

  /* What one can have the other has, too. */
  CU_ASSERT_EQUAL (!!(resolver & SBX_LAYER_NS_MOUNT),
                   !!(worker & SBX_LAYER_EMPTY_ROOT));
  close (fd);
  unlink (socket_path);
  *strrchr (socket_path, '/') = 0;
  rmdir (socket_path);
}

/* A worker outlives its parent; a resolver does not. */
static bool
survives_parent (enum sbx_profile profile)
{
  int fd[6], far[3];
  struct pollfd in;
  pid_t pid;
  bool alive;

  if (!open_fds (fd, far))
    return false;
  pid = fork ();
  if (pid == 0) {
    const int resolver_fd[] = {fd[0], fd[5]};
    int worker_fd[WORKER_FDS];
    char number[8];
    const char *argv[] = {
        "sbx-probe", profile == SBX_WORKER ? "worker" : "resolver",
        number,      "3",
        "buf",       "1",
        NULL};
    struct sbx_spawn s = {.profile = profile,
                          .path = probe_path (),
                          .argv = argv,
                          .fd = profile == SBX_WORKER ? worker_fd : resolver_fd,
                          .fds = profile == SBX_WORKER ? WORKER_FDS : 2,
                          .stderr_fd = -1};
    struct sbx_child c;

    worker_table (fd, worker_fd);
    /* until the other end closes */
    snprintf (number, sizeof number, "%d", SYS_recvfrom);
    _exit (sbx_spawn (&s, &c, NULL) ? 1 : 0);
  }
  waitpid (pid, NULL, 0);
  close_all (fd, 6);
  /* far[0] reports the end of the probe: its end of the pair closes. */
  in = (struct pollfd){.fd = far[0], .events = POLLIN};
  alive = poll (&in, 1, profile == SBX_WORKER ? 100 : DEADLINE_MS) == 0;
  close_all (far, 3);
  return alive;
}

static void
only_a_worker_outlives_its_parent (void)
{
  CU_ASSERT (survives_parent (SBX_WORKER));
  CU_ASSERT (!survives_parent (SBX_RESOLVER));
}

static void
layers_as_text (void)
{
  char text[64];

  sbx_layers_text (SBX_LAYER_NO_NEW_PRIVS | SBX_LAYER_LANDLOCK, text,
                   sizeof text);
  CU_ASSERT_STRING_EQUAL (text, "no-new-privs landlock-fs");
  sbx_layers_text (0, text, sizeof text);
  CU_ASSERT_STRING_EQUAL (text, "");
  sbx_layers_text (~0u, text, 10);
  CU_ASSERT_STRING_EQUAL (text, "no-new-pr");
}

UNIT_MAIN ("spawn", UNIT_TEST (layers_as_text),
           UNIT_TEST (a_worker_starts_and_seals),
           UNIT_TEST (forbidden_calls_end_it), UNIT_TEST (what_it_needs_works),
           UNIT_TEST (the_resolver_seals), UNIT_TEST (fds_do_not_collide),
           UNIT_TEST (a_failed_start_says_why),
           UNIT_TEST (without_namespaces_it_still_seals),
           UNIT_TEST (a_namespace_without_rights_is_no_empty_root),
           UNIT_TEST (optional_layers_may_be_missing),
           UNIT_TEST (mandatory_layers_may_not),
           UNIT_TEST (what_is_reported_is_there),
           UNIT_TEST (only_a_worker_outlives_its_parent))
