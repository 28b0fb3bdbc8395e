/* SPDX-License-Identifier: BSD-2-Clause */
/* The table, and the filter that is made of it: every system call number is
 * really made in a sealed process, one process a call.
 */
#include "config.h"
#include "sandbox/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <limits.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define SYSCALLS_END 475u
#define WORKER_CALLS_MAX 24u

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

/* Shared with the sealed child. */
struct page {
  _Atomic uint32_t refused;
  _Atomic uint32_t sealed;
  _Atomic uint32_t returned;
  _Atomic int64_t result; /* as the kernel's: -errno */
};

static struct page *page;

enum fate { FATE_RETURNED, FATE_SIGSYS, FATE_OTHER };

static void
child_call (enum sbx_profile profile, long number, const uint64_t a[6])
{
  struct fault f;
  uint32_t layers;
  long r;

  if (sbx_seal (profile, &page->refused, &layers, &f))
    _exit (3);
  atomic_store (&page->sealed, 1);
  r = syscall (number, a[0], a[1], a[2], a[3], a[4], a[5]);
  atomic_store (&page->result, r < 0 ? -errno : r);
  atomic_store (&page->returned, 1);
  syscall (SYS_exit_group, 0);
}

/* What a worker finds, and where; the other ends stay open in this process.
 * Nothing waits: a call that the filter should have refused returns, and shows.
 */
static int given[5];
static const int given_as[5] = {WORKER_FD_DAEMON, WORKER_FD_GATEWAY,
                              WORKER_FD_NET, WORKER_FD_WAKE_WORKER,
                              WORKER_FD_WAKE_GATEWAY};

static void
open_fds (void)
{
  int control[2][2], net[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, control[0]) < 0
      || socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, control[1]) < 0
      || socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, net) < 0)
    abort ();
  given[0] = control[0][0];
  given[1] = control[1][0];
  given[2] = net[0];
  given[3] = eventfd (0, EFD_NONBLOCK);
  given[4] = eventfd (0, EFD_NONBLOCK);
  for (int i = 0; i < 5; i++)
    given[i] = fcntl (given[i], F_DUPFD, 100);
}

static void
prepare_fds (void)
{
  for (int i = 0; i < 5; i++)
    if (dup2 (given[i], given_as[i]) < 0)
      _exit (4);
}

/* Makes one call in a sealed child of its own. */
static enum fate
call (enum sbx_profile profile, long number, const uint64_t a[6])
{
  int status;
  pid_t pid;

  memset (page, 0, sizeof *page);
  pid = fork ();
  if (pid == 0) {
    prepare_fds ();
    child_call (profile, number, a);
    _exit (5);
  }
  if (pid < 0 || waitpid (pid, &status, 0) != pid)
    return FATE_OTHER;
  if (!atomic_load (&page->sealed))
    return FATE_OTHER;
  if (WIFSIGNALED (status) && WTERMSIG (status) == SIGSYS)
    return FATE_SIGSYS;
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0
      && atomic_load (&page->returned))
    return FATE_RETURNED;
  return FATE_OTHER;
}

static bool
agrees (enum sbx_profile profile, long number, const uint64_t a[6])
{
  enum policy_action verdict =
      policy_verdict (profile, policy_sanitizer_build (), (uint32_t)number, a);
  enum fate fate = call (profile, number, a);

  if (verdict == POLICY_REFUSE)
    return fate == FATE_SIGSYS
           && atomic_load (&page->refused) == (uint32_t)number + 1;
  if (verdict == POLICY_DENY)
    return fate == FATE_RETURNED && atomic_load (&page->result) == -EPERM;
  return fate == FATE_RETURNED && atomic_load (&page->refused) == 0;
}

/* Would wait, end, or jump: nothing to learn from an allowed one. */
static bool
does_not_return (enum sbx_profile profile, long number, const uint64_t a[6])
{
  return policy_verdict (profile, policy_sanitizer_build (), (uint32_t)number,
                         a)
             != POLICY_REFUSE
         && (number == SYS_ppoll || number == SYS_exit_group
             || number == SYS_rt_sigreturn || number == SYS_exit);
}

/* Linux 6.11 exempts these two from every filter: breakpoints that a tracer
 * put into the code. Made by anybody else they fail, or end the process. */
static bool
exempted_by_kernel (long number)
{
#ifdef __x86_64__
  return number == 335 || number == 336; /* uretprobe, uprobe */
#else
  return false;
#endif
}

static void
sweep (enum sbx_profile profile, const uint64_t a[6], long step)
{
  char name[40];

  for (long number = 0; number < (long)SYSCALLS_END; number += step) {
    if (does_not_return (profile, number, a))
      continue;
    if (exempted_by_kernel (number)) {
      CU_ASSERT (call (profile, number, a) != FATE_RETURNED
                 || atomic_load (&page->result) < 0);
      continue;
    }
    if (!agrees (profile, number, a)) {
      fprintf (stderr, "%s does not do what the table says (profile %d)\n",
               sbx_syscall_name ((uint32_t)number, name, sizeof name),
               (int)profile);
      CU_FAIL ("filter and table differ");
    }
  }
}

static void
every_number_with_zeros (void)
{
  for (int p = SBX_WORKER; p < SBX_RESOLVER; p++)
    sweep ((enum sbx_profile)p, (uint64_t[6]){0},
           policy_sanitizer_build () && p != SBX_WORKER_SSH ? 5 : 1);
}

/* What the filter must not read: the table's conditions in other places. */
static void
every_number_with_garbage (void)
{
  /* a process is dear under a sanitizer */
  for (int p = SBX_WORKER; p < SBX_RESOLVER; p++)
    sweep ((enum sbx_profile)p,
           (uint64_t[6]){0xdeadbeefcafe0005, ~0ull, 0x7, ~0ull, ~0ull, 0x5},
           policy_sanitizer_build () ? 23 : p == SBX_WORKER_SSH ? 1 : 3);
}

static void
the_worker_has_few_calls (void)
{
  /* as SECURITY.md says */
  static const unsigned calls[] = {
      [SBX_WORKER] = 16, [SBX_WORKER_SSH] = 17, [SBX_WORKER_TLS] = 18};

  for (int p = SBX_WORKER; p < SBX_RESOLVER; p++) {
    CU_ASSERT (calls[p] <= WORKER_CALLS_MAX);
    CU_ASSERT_EQUAL (policy_count ((enum sbx_profile)p, false), calls[p]);
  }
}

/* What another transport needs is refused. */
static void
each_transport_has_its_own_calls (void)
{
  static const struct {
    long number;
    uint64_t a[6];
    unsigned of; /* bit set of the profiles that have it */
  } row[] = {
      {SYS_recvfrom, {WORKER_FD_NET, 0, 0, MSG_DONTWAIT}, 2},
      {SYS_sendto, {WORKER_FD_NET, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 2},
      {SYS_recvmsg, {WORKER_FD_NET, 0, MSG_DONTWAIT}, 5},
      {SYS_recvmsg, {WORKER_FD_NET + 7, 0, MSG_DONTWAIT}, 5},
      {SYS_recvmsg, {WORKER_FD_NET + 8, 0, MSG_DONTWAIT}, 0},
      {SYS_recvmsg, {WORKER_FD_NET - 1, 0, MSG_DONTWAIT}, 0},
      {SYS_sendmsg, {WORKER_FD_NET, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 5},
      {SYS_sendmsg, {WORKER_FD_NET + 7, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 5},
      {SYS_sendmsg, {WORKER_FD_NET + 8, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 0},
      {SYS_sendto, {WORKER_FD_NET + 1, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 0},
      /* control messages, by which no descriptor passes */
      {SYS_recvfrom, {WORKER_FD_DAEMON, 0, 0, MSG_DONTWAIT | MSG_TRUNC}, 7},
      {SYS_recvfrom, {WORKER_FD_GATEWAY, 0, 0, MSG_DONTWAIT | MSG_TRUNC}, 7},
      {SYS_sendto, {WORKER_FD_DAEMON, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 7},
      {SYS_sendto, {WORKER_FD_GATEWAY, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 7},
      {SYS_recvmsg, {WORKER_FD_DAEMON, 0, MSG_DONTWAIT}, 0},
      {SYS_recvmsg, {WORKER_FD_GATEWAY, 0, MSG_DONTWAIT}, 0},
      {SYS_sendmsg, {WORKER_FD_DAEMON, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 0},
      {SYS_sendmsg, {WORKER_FD_GATEWAY, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, 0},
      {SYS_fcntl, {WORKER_FD_NET, F_GETFL}, 2},
      {SYS_getrandom, {0, 0, 0}, 6},
      {SYS_getpid, {0}, 6},
      {SYS_clock_gettime, {0}, 7},
      {SYS_close, {99}, 7},
  };
  char name[40];

  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    for (int p = SBX_WORKER; p < SBX_RESOLVER; p++) {
      bool has = row[i].of & 1u << p;
      enum fate fate = call ((enum sbx_profile)p, row[i].number, row[i].a);

      if (fate == (has ? FATE_RETURNED : FATE_SIGSYS))
        continue;
      fprintf (stderr, "%s, profile %d\n",
               sbx_syscall_name ((uint32_t)row[i].number, name, sizeof name),
               p);
      CU_FAIL ("a call of another transport");
    }
}

/* Whatever is added to the table: never these. */
static void
some_calls_are_in_no_table (void)
{
  static const uint32_t never[] = {
      SYS_execve,
      SYS_execveat,
      SYS_fork,
      SYS_vfork,
      SYS_clone,
      SYS_clone3,
      SYS_ptrace,
      SYS_io_uring_setup,
      SYS_io_uring_enter,
      SYS_mount,
      SYS_unshare,
      SYS_setns,
      SYS_kill,
      SYS_tgkill,
      SYS_pidfd_open,
      SYS_pidfd_getfd,
      SYS_bpf,
      SYS_userfaultfd,
      SYS_keyctl,
      SYS_add_key,
      SYS_seccomp,
      SYS_chroot,
      SYS_pivot_root,
      SYS_memfd_create,
      SYS_process_vm_writev,
      SYS_perf_event_open,
      SYS_init_module,
      SYS_listen,
      SYS_accept,
      SYS_accept4,
      SYS_unlink,
      SYS_unlinkat,
      SYS_rename,
      SYS_open_by_handle_at,
      SYS_creat,
      SYS_dup2,
      SYS_remap_file_pages,
      SYS_modify_ldt,
      SYS_arch_prctl,
      SYS_personality,
      SYS_setuid,
  };
  struct policy_table table[POLICY_TABLES];

  for (int profile = SBX_WORKER; profile < SBX_PROFILES; profile++) {
    unsigned n = policy_tables ((enum sbx_profile)profile, true, table);

    for (unsigned t = 0; t < n; t++)
      for (unsigned i = 0; i < table[t].rows; i++)
        for (size_t j = 0; j < sizeof never / sizeof never[0]; j++)
          CU_ASSERT_NOT_EQUAL (table[t].row[i].number, (int)never[j]);
  }
}

static void
every_row_says_why (void)
{
  struct policy_table table[POLICY_TABLES];

  for (int profile = SBX_WORKER; profile < SBX_PROFILES; profile++) {
    unsigned n = policy_tables ((enum sbx_profile)profile, true, table);

    for (unsigned t = 0; t < n; t++)
      for (unsigned i = 0; i < table[t].rows; i++) {
        CU_ASSERT (strlen (table[t].row[i].why) > 2);
        for (unsigned j = 0; j < POLICY_ARGS && table[t].row[i].arg[j].text;
             j++)
          CU_ASSERT_EQUAL (
              table[t].row[i].arg[j].value & ~table[t].row[i].arg[j].mask, 0);
      }
  }
}

#define AT_PAGE 0x700000000000ull

struct attempt {
  long number;
  uint64_t a[6];
  bool widened; /* a sanitizer build does not refuse it */
};

/* Written down by hand, so that a mistake in the table shows. */
static const struct attempt refused_attempts[] = {
    {SYS_mmap,
     {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0},
     false},
    {SYS_mmap,
     {0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, ~0ull, 0},
     true},
    {SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE, WORKER_FD_NET, 0}, true},
    {SYS_mprotect, {AT_PAGE, 4096, PROT_READ | PROT_EXEC}, false},
    {SYS_mprotect, {AT_PAGE, 4096, PROT_READ | PROT_WRITE}, true},
    {SYS_madvise, {AT_PAGE, 4096, MADV_REMOVE}, false},
    {SYS_madvise, {AT_PAGE, 4096, 0}, false},
    {SYS_sendto, {WORKER_FD_NET, AT_PAGE, 1, 0, AT_PAGE, 16}, false},
    {SYS_sendto, {WORKER_FD_NET, AT_PAGE, 1, MSG_FASTOPEN, 0, 0}, false},
    {SYS_sendto, {WORKER_FD_NET, AT_PAGE, 1, MSG_OOB, 0, 0}, false},
    {SYS_sendto, {WORKER_FD_DAEMON, AT_PAGE, 1, 0, AT_PAGE, 16}, false},
    {SYS_sendto, {WORKER_FD_DAEMON, AT_PAGE, 1, MSG_OOB, 0, 0}, false},
    {SYS_recvfrom, {WORKER_FD_NET, AT_PAGE, 1, 0, AT_PAGE, AT_PAGE}, false},
    {SYS_recvfrom, {WORKER_FD_NET, AT_PAGE, 1, MSG_OOB, 0, 0}, false},
    {SYS_recvfrom, {WORKER_FD_GATEWAY, AT_PAGE, 1, MSG_PEEK, 0, 0}, false},
    {SYS_recvfrom, {WORKER_FD_GATEWAY, AT_PAGE, 1, MSG_OOB, 0, 0}, false},
    {SYS_recvfrom,
     {WORKER_FD_DAEMON, AT_PAGE, 1, 0, AT_PAGE, AT_PAGE}, false},
    {SYS_recvmsg, {WORKER_FD_DAEMON, AT_PAGE, 0}, false},
    {SYS_sendmsg, {WORKER_FD_DAEMON, AT_PAGE, 0}, false},
    {SYS_sendmsg, {WORKER_FD_GATEWAY, AT_PAGE, MSG_OOB}, false},
    {SYS_recvmsg, {WORKER_FD_NET, AT_PAGE, MSG_ERRQUEUE}, false},
    {SYS_recvmsg, {WORKER_FD_NET, AT_PAGE, MSG_OOB}, false},
    {SYS_sendmsg, {WORKER_FD_NET, AT_PAGE, MSG_FASTOPEN}, false},
    {SYS_sendmsg, {WORKER_FD_NET, AT_PAGE, MSG_OOB}, false},
    {SYS_sendmsg, {WORKER_FD_NET, AT_PAGE, MSG_ZEROCOPY}, false},
    {SYS_readv, {WORKER_FD_NET, AT_PAGE, 1}, false},
    {SYS_sendmsg, {0, AT_PAGE, 0}, false},
    {SYS_read, {0, AT_PAGE, 1}, false},
    {SYS_read, {WORKER_FD_NET, AT_PAGE, 1}, false},
    {SYS_read, {WORKER_FD_WAKE_GATEWAY, AT_PAGE, 8}, false},
    {SYS_write, {1, AT_PAGE, 1}, false},
    {SYS_write, {2, AT_PAGE, 1}, true},
    {SYS_write, {WORKER_FD_NET, AT_PAGE, 1}, false},
    {SYS_write, {WORKER_FD_WAKE_WORKER, AT_PAGE, 8}, false},
    {SYS_writev, {WORKER_FD_NET, AT_PAGE, 1}, false},
    {SYS_fcntl, {WORKER_FD_NET, F_SETFL, O_NONBLOCK}, false},
    {SYS_fcntl, {WORKER_FD_WAKE_WORKER, F_SETFL, 0}, false},
    {SYS_fcntl, {WORKER_FD_NET, F_DUPFD, 0}, false},
    {SYS_fcntl, {WORKER_FD_DAEMON, F_GETFL, 0}, false},
    {SYS_ioctl, {WORKER_FD_NET, FIONBIO, AT_PAGE}, true},
    {SYS_ioctl, {0, TIOCSTI, AT_PAGE}, true},
    {SYS_fcntl, {WORKER_FD_NET, F_SETOWN, 1}, false},
    {SYS_fcntl, {WORKER_FD_NET, F_SETSIG, SIGKILL}, false},
    {SYS_fcntl, {WORKER_FD_NET, F_ADD_SEALS, 0}, false},
    {SYS_fcntl, {WORKER_FD_NET, F_DUPFD_CLOEXEC, 0}, false},
    {SYS_clone, {SIGCHLD}, false},
    {SYS_clone, {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND}, false},
    {SYS_clone, {CLONE_NEWUSER | SIGCHLD}, false},
    {SYS_clone3, {AT_PAGE, 88}, false},
    {SYS_futex, {AT_PAGE, 0, 0}, true},
    {SYS_futex, {AT_PAGE, 1, INT_MAX}, true},
    {SYS_futex, {AT_PAGE, 3, 1, INT_MAX, AT_PAGE + 64}, true}, /* REQUEUE */
    {SYS_futex, {AT_PAGE, 6, 0}, true},                        /* LOCK_PI */
    {SYS_sendmmsg, {WORKER_FD_NET, AT_PAGE, 1, 0}, false},
    {SYS_recvmmsg, {WORKER_FD_NET, AT_PAGE, 1, 0, 0}, false},
    {SYS_getsockopt, {WORKER_FD_NET, SOL_SOCKET, SO_ERROR}, false},
    {SYS_bind, {WORKER_FD_NET, AT_PAGE, 16}, false},
    {SYS_splice, {WORKER_FD_NET, 0, WORKER_FD_DAEMON, 0, 1, 0}, false},
    {SYS_sendfile, {WORKER_FD_NET, WORKER_FD_DAEMON, 0, 1}, false},
    {SYS_setsockopt, {WORKER_FD_NET, SOL_SOCKET, SO_LINGER}, false},
    {SYS_shutdown, {WORKER_FD_NET, SHUT_RDWR}, false},
    {SYS_dup, {WORKER_FD_NET}, false},
    {SYS_landlock_create_ruleset, {0, 0, 1}, false},
};

/* What is in the half of an int that the kernel does not look at makes nothing
 * of it legal. */
static bool
refused_with_upper_halves (enum sbx_profile profile, const struct attempt *t)
{
  uint64_t a[6];

  for (int i = 0; i < 6; i++)
    a[i] = t->a[i] | 0x5a5a5a5a00000000;
  return policy_verdict (profile, false, (uint32_t)t->number, a)
             == POLICY_REFUSE
         && ((policy_sanitizer_build () && t->widened)
             || call (profile, t->number, a) == FATE_SIGSYS);
}

static void
forbidden_arguments (void)
{
  bool sanitizer = policy_sanitizer_build ();
  char name[40];

  for (size_t i = 0; i < sizeof refused_attempts / sizeof *refused_attempts;
       i++) {
    const struct attempt *t = &refused_attempts[i];

    for (int p = SBX_WORKER; p < SBX_RESOLVER; p++) {
      CU_ASSERT_EQUAL (policy_verdict ((enum sbx_profile)p, false,
                                       (uint32_t)t->number, t->a),
                       POLICY_REFUSE);
      if (!agrees ((enum sbx_profile)p, t->number, t->a)
          || (!(sanitizer && t->widened) && !atomic_load (&page->refused))
          || !refused_with_upper_halves ((enum sbx_profile)p, t)) {
        fprintf (stderr, "attempt %zu: %s, profile %d\n", i,
                 sbx_syscall_name ((uint32_t)t->number, name, sizeof name), p);
        CU_FAIL ("an argument that must be refused");
      }
    }
  }
}

/* An int argument has 32 bits for the kernel, so for us. */
static void
upper_halves_do_not_matter (void)
{
  CU_ASSERT_EQUAL (
      call (SBX_WORKER_SSH, SYS_fcntl,
            (uint64_t[6]){0xffff000000000000 | WORKER_FD_NET, F_GETFL}),
      FATE_RETURNED);
  CU_ASSERT (atomic_load (&page->result) & O_NONBLOCK);
  CU_ASSERT_EQUAL (call (SBX_WORKER_SSH, SYS_sendto,
                         (uint64_t[6]){WORKER_FD_NET, 0, 0, 0, 1ull << 40, 0}),
                   FATE_SIGSYS);
}

#ifdef __x86_64__
/* Makes a call of i386 in a sealed child; how it ended. */
static int
call_i386 (long number)
{
  int status = 0;
  pid_t pid;

  memset (page, 0, sizeof *page);
  if ((pid = fork ()) == 0) {
    struct fault f;
    uint32_t layers;
    long r;

    prepare_fds ();
    if (sbx_seal (SBX_WORKER_SSH, &page->refused, &layers, &f))
      _exit (3);
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(number) : "memory");
    atomic_store (&page->result, r);
    syscall (SYS_exit_group, 1);
  }
  CU_ASSERT_EQUAL (waitpid (pid, &status, 0), pid);
  return status;
}
#endif

/* Without a handler's chance to say what it was. */
static void
other_abis_end_at_once (void)
{
#ifdef __x86_64__
  /* of i386: exit, fork, read, write, open, getpid, ioctl, mmap, socketcall,
   * mprotect, exit_group, socket, sendmsg: what ours allows, and what not */
  static const long i386[] = {1,  2,  3,   4,   5,   20,  54,
                              90, 102, 125, 252, 359, 370};

  for (long n = 0; n < 548; n += n < 512 ? 8 : 1) {
    CU_ASSERT_EQUAL (call (SBX_WORKER_SSH, 0x40000000 | n, (uint64_t[6]){0}),
                     FATE_SIGSYS);
    CU_ASSERT_EQUAL (atomic_load (&page->refused), 0);
  }
  CU_ASSERT_EQUAL (
      call (SBX_WORKER_SSH, 0x40000000 | SYS_getpid, (uint64_t[6]){0}),
      FATE_SIGSYS);
  for (size_t i = 0; i < sizeof i386 / sizeof *i386; i++) {
    int status = call_i386 (i386[i]);

    /* SIGSEGV where the kernel has no i386 at all */
    CU_ASSERT (WIFSIGNALED (status)
               && (WTERMSIG (status) == SIGSYS
                   || WTERMSIG (status) == SIGSEGV));
  }
#endif
}

/* A TCP connection on loopback: ret[0] to be a worker's, ret[1] the server's;
 * and a place where somebody else listens.
 */
static bool
connect_tcp (int ret[2], int *ret_other, struct sockaddr_in *ret_address)
{
  struct sockaddr_in sa = {.sin_family = AF_INET,
                           .sin_addr = {htonl (INADDR_LOOPBACK)}};
  socklen_t n = sizeof sa;
  int at = socket (AF_INET, SOCK_STREAM, 0);

  ret[0] = socket (AF_INET, SOCK_STREAM, 0);
  *ret_other = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  *ret_address = sa;
  if (bind (at, (struct sockaddr *)&sa, n) < 0 || listen (at, 1) < 0
      || getsockname (at, (struct sockaddr *)&sa, &n) < 0
      || connect (ret[0], (struct sockaddr *)&sa, n) < 0
      || (ret[1] = accept (at, NULL, NULL)) < 0
      || bind (*ret_other, (struct sockaddr *)ret_address, n) < 0
      || listen (*ret_other, 1) < 0
      || getsockname (*ret_other, (struct sockaddr *)ret_address, &n) < 0)
    return false;
  close (at);
  return true;
}

/* seccomp does not see into a message. What stands in one for a TCP socket:
 * an address is not looked at while it is connected, nor after it was reset
 * (that needs MSG_FASTOPEN, which the filter sees); a descriptor goes nowhere.
 */
static void
an_address_in_a_message_means_nothing (void)
{
  int tcp[2] = {-1, -1}, other = -1, unix_net = given[2], secret = given[3];
  struct sockaddr_in address;
  char byte = 'x', got[8];
  union {
    char bytes[CMSG_SPACE (sizeof (int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec iov = {&byte, 1};
  struct msghdr m = {.msg_name = &address, .msg_namelen = sizeof address,
                     .msg_iov = &iov, .msg_iovlen = 1,
                     .msg_control = control.bytes,
                     .msg_controllen = sizeof control.bytes};
  struct msghdr in = {.msg_iov = &(struct iovec){got, sizeof got},
                      .msg_iovlen = 1, .msg_control = control.bytes,
                      .msg_controllen = sizeof control.bytes};
  const uint64_t a[6] = {WORKER_FD_NET, (uintptr_t)&m, MSG_NOSIGNAL};

  CU_ASSERT_FATAL (connect_tcp (tcp, &other, &address));
  *CMSG_FIRSTHDR (&m) = (struct cmsghdr){
      .cmsg_len = CMSG_LEN (sizeof secret), .cmsg_level = SOL_SOCKET,
      .cmsg_type = SCM_RIGHTS};
  memcpy (CMSG_DATA (CMSG_FIRSTHDR (&m)), &secret, sizeof secret);
  given[2] = tcp[0];
  CU_ASSERT_EQUAL (call (SBX_WORKER, SYS_sendmsg, a), FATE_RETURNED);
  CU_ASSERT_EQUAL (atomic_load (&page->result), 1);
  CU_ASSERT_EQUAL (recvmsg (tcp[1], &in, MSG_DONTWAIT), 1);
  CU_ASSERT (got[0] == 'x' && in.msg_controllen == 0);
  CU_ASSERT (accept (other, NULL, NULL) < 0 && errno == EAGAIN);
  /* as the daemon fences it */
  CU_ASSERT_EQUAL (
      connect (tcp[0], &(struct sockaddr){.sa_family = AF_UNSPEC},
               sizeof (struct sockaddr)),
      0);
  for (int i = 0; i < 2; i++) {
    CU_ASSERT_EQUAL (call (SBX_WORKER, SYS_sendmsg, a), FATE_RETURNED);
    CU_ASSERT_EQUAL (atomic_load (&page->result), i ? -EPIPE : -ECONNRESET);
  }
  CU_ASSERT (accept (other, NULL, NULL) < 0 && errno == EAGAIN);
  given[2] = unix_net;
  close (tcp[0]);
  close (tcp[1]);
  close (other);
}

/* DNS over TCP and mdns write; there is nothing but sockets to write to. */
static void
the_resolver_can_ask (void)
{
  static const struct attempt allowed[] = {
      {SYS_writev, {9, AT_PAGE, 2}, false},
      {SYS_write, {9, AT_PAGE, 2}, false},
      {SYS_socket, {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0}, false},
      {SYS_sendmmsg, {9, AT_PAGE, 2, MSG_NOSIGNAL}, false},
      {SYS_openat, {~0ull, AT_PAGE, O_RDONLY | O_CLOEXEC}, false},
      {SYS_mmap,
       {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_DENYWRITE, 9},
       false},
  };

  for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
    CU_ASSERT (agrees (SBX_RESOLVER, allowed[i].number, allowed[i].a)
               && !atomic_load (&page->refused));
}

static void
the_resolver_is_confined_too (void)
{
  static const struct attempt refused[] = {
      {SYS_execve, {AT_PAGE, AT_PAGE, AT_PAGE}, false},
      {SYS_fork, {0}, false},
      {SYS_ptrace, {0}, false},
      {SYS_io_uring_setup, {1, AT_PAGE}, false},
      {SYS_mount, {0}, false},
      {SYS_openat, {~0ull, AT_PAGE, O_WRONLY}, false},
      {SYS_openat, {~0ull, AT_PAGE, O_RDONLY | O_CREAT, 0600}, false},
      {SYS_openat, {~0ull, AT_PAGE, O_TMPFILE | O_RDWR, 0600}, false},
      {SYS_socket, {AF_INET, SOCK_RAW, 1}, false},
      {SYS_socket, {AF_PACKET, SOCK_RAW, 0}, false},
      {SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}, false},
      {SYS_socket, {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER}, false},
      {SYS_listen, {3, 1}, false},
      /* Landlock looks at connect alone */
      {SYS_sendto, {9, AT_PAGE, 1, MSG_FASTOPEN, AT_PAGE, 16}, false},
      {SYS_sendmsg, {9, AT_PAGE, MSG_FASTOPEN}, false},
      {SYS_sendmmsg, {9, AT_PAGE, 1, MSG_FASTOPEN}, false},
      {SYS_openat, {~0ull, AT_PAGE, O_RDONLY | O_TRUNC}, false},
      {SYS_openat, {~0ull, AT_PAGE, O_RDWR}, false},
      {SYS_ioctl, {3, TIOCSTI, AT_PAGE}, true},
      {SYS_ioctl, {3, FIONBIO, AT_PAGE}, true},
      {SYS_fcntl, {3, F_SETOWN, 1}, false},
      {SYS_fcntl, {3, F_SETLK, AT_PAGE}, false},
      {SYS_fcntl, {3, F_ADD_SEALS, 1}, false},
      {SYS_fcntl, {3, F_DUPFD, 0}, false},
      {SYS_prlimit64, {0, RLIMIT_NOFILE, AT_PAGE, 0}, false},
      {SYS_madvise, {AT_PAGE, 4096, MADV_REMOVE}, false},
      {SYS_mmap,
       {0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull},
       true},
      {SYS_mprotect, {AT_PAGE, 4096, PROT_READ | PROT_EXEC}, false},
  };

  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    CU_ASSERT_EQUAL (policy_verdict (SBX_RESOLVER, false,
                                     (uint32_t)refused[i].number, refused[i].a),
                     POLICY_REFUSE);
    CU_ASSERT (agrees (SBX_RESOLVER, refused[i].number, refused[i].a));
    CU_ASSERT (refused_with_upper_halves (SBX_RESOLVER, &refused[i]));
  }
}

/* Bytes between its two sockets, in both directions, and nothing else: 4 calls
 * beside the return of a signal handler.
 */
static void
the_relay_only_copies (void)
{
  static const struct attempt allowed[] = {
      {SYS_recvfrom, {RELAY_FD_DAEMON, 0, 0, MSG_DONTWAIT}, false},
      {SYS_recvfrom, {RELAY_FD_FOREIGN, 0, 0, MSG_DONTWAIT}, false},
      {SYS_sendto, {RELAY_FD_DAEMON, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL}, false},
      {SYS_sendto, {RELAY_FD_FOREIGN, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL},
       false},
  };
  static const struct attempt refused[] = {
      {SYS_recvfrom, {RELAY_FD_END, 0, 0, MSG_DONTWAIT}, false},
      {SYS_recvfrom, {RELAY_FD_FOREIGN, 0, 0, MSG_PEEK}, false},
      {SYS_recvmsg, {RELAY_FD_FOREIGN, AT_PAGE, MSG_DONTWAIT}, false},
      {SYS_sendmsg, {RELAY_FD_DAEMON, AT_PAGE, MSG_DONTWAIT}, false},
      {SYS_read, {RELAY_FD_FOREIGN, AT_PAGE, 1}, false},
      {SYS_dup, {RELAY_FD_FOREIGN}, false},
      {SYS_fcntl, {RELAY_FD_FOREIGN, F_SETFL, 0}, false},
      {SYS_openat, {~0ull, AT_PAGE, O_RDONLY}, true},
      {SYS_socket, {AF_UNIX, SOCK_STREAM, 0}, false},
      {SYS_execve, {AT_PAGE, AT_PAGE, AT_PAGE}, false},
  };

  CU_ASSERT_EQUAL (policy_count (SBX_RELAY, false), 5);
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
    CU_ASSERT (agrees (SBX_RELAY, allowed[i].number, allowed[i].a)
               && !atomic_load (&page->refused));
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    CU_ASSERT_EQUAL (policy_verdict (SBX_RELAY, false,
                                     (uint32_t)refused[i].number, refused[i].a),
                     POLICY_REFUSE);
    CU_ASSERT (agrees (SBX_RELAY, refused[i].number, refused[i].a));
  }
  sweep (SBX_RELAY, (uint64_t[6]){0}, policy_sanitizer_build () ? 23 : 3);
}

static void
names_of_calls (void)
{
  char name[40];

  CU_ASSERT_STRING_EQUAL (sbx_syscall_name (SYS_openat, name, sizeof name),
                          "openat");
  CU_ASSERT_STRING_EQUAL (sbx_syscall_name (99999, name, sizeof name),
                          "#99999");
  CU_ASSERT_EQUAL (strlen (sbx_syscall_name (SYS_openat, name, 4)), 3);
}

static void __attribute__ ((constructor)) set_up (void)
{
  open_fds ();
  page = mmap (NULL, sizeof *page, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED)
    abort ();
}

UNIT_MAIN ("policy", UNIT_TEST (the_worker_has_few_calls),
           UNIT_TEST (some_calls_are_in_no_table),
           UNIT_TEST (every_row_says_why), UNIT_TEST (names_of_calls),
           UNIT_TEST (forbidden_arguments),
           UNIT_TEST (each_transport_has_its_own_calls),
           UNIT_TEST (upper_halves_do_not_matter),
           UNIT_TEST (other_abis_end_at_once),
           UNIT_TEST (an_address_in_a_message_means_nothing),
           UNIT_TEST (the_resolver_can_ask),
           UNIT_TEST (the_resolver_is_confined_too),
           UNIT_TEST (the_relay_only_copies),
           UNIT_TEST (every_number_with_zeros),
           UNIT_TEST (every_number_with_garbage))
