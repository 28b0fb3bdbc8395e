/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* libseccomp's numbers: negative for what this architecture does not have. */
#define SYS(name) SYS_OVER (0, name)
/* Only for these transports. */
#define SYS_OVER(of, name) SCMP_SYS (name), #name, of
#define ALLOW POLICY_ALLOW
#define DENY POLICY_DENY

#define INT_MASK 0xffffffffull
#define ARGS(...)                                                             \
  {                                                                           \
    __VA_ARGS__                                                               \
  }
#define ANY ARGS ({0})
/* An int argument that must have this value. */
#define IS(i, word, v)                                                        \
  {                                                                           \
    i, INT_MASK, v, word " = " #v                                             \
  }
#define FD(v) IS (0, "fd", v)
/* One of the block of a session's sockets. */
#define FD_LANES                                                              \
  {                                                                           \
    0, INT_MASK & ~(uint64_t)(PROTO_LANES_MAX - 1), WORKER_FD_NET,            \
        "fd = WORKER_FD_NET to WORKER_FD_NET + 7"                              \
  }
_Static_assert (PROTO_LANES_MAX == 8, "the text of FD_LANES");
/* A pointer or size that must be zero. */
#define NONE(i, word)                                                         \
  {                                                                           \
    i, UINT64_MAX, 0, "no " word                                              \
  }
/* An int or a long of which only these bits may be set. */
#define ONLY(i, word, bits)                                                   \
  {                                                                           \
    i, INT_MASK & ~(uint64_t)(bits), 0, word " only " #bits                   \
  }
#define WITHOUT(i, word, bits)                                                \
  {                                                                           \
    i, (uint64_t)(bits), 0, word " without " #bits                            \
  }
/* Among the bits of mask exactly these are set. */
#define AMONG(i, word, bits, within)                                          \
  {                                                                           \
    i, (uint64_t)(within), (uint64_t)(bits), word " has " #bits               \
  }

#define ANONYMOUS                                                             \
  AMONG (3, "flags", MAP_PRIVATE | MAP_ANONYMOUS,                             \
         MAP_SHARED_VALIDATE | MAP_PRIVATE | MAP_ANONYMOUS)
#define NO_EXEC ONLY (2, "prot", PROT_READ | PROT_WRITE)
#define QUIET ONLY (3, "flags", MSG_DONTWAIT | MSG_NOSIGNAL)
#define TELL NONE (4, "address"), QUIET
#define HEAR                                                                  \
  NONE (4, "address"), ONLY (3, "flags", MSG_DONTWAIT | MSG_TRUNC)
#define MSG_QUIET ONLY (2, "flags", MSG_DONTWAIT | MSG_NOSIGNAL)

/* What is on top of TCP. */
#define OVER_TCP (1u << SBX_WORKER)
#define OVER_SSH (1u << SBX_WORKER_SSH)
#define OVER_TLS (1u << SBX_WORKER_TLS)

static const struct policy_row worker_rows[] = {
  {SYS_OVER (OVER_SSH, recvfrom), ALLOW,
   ARGS (FD (WORKER_FD_NET), NONE (4, "address"), QUIET),
   "bytes from the server"},
  {SYS_OVER (OVER_SSH, sendto), ALLOW,
   ARGS (FD (WORKER_FD_NET), NONE (4, "address"), QUIET),
   "bytes to the server; no address, no MSG_FASTOPEN, no MSG_OOB"},
  {SYS_OVER (OVER_TCP | OVER_TLS, recvmsg), ALLOW,
   ARGS (FD_LANES, MSG_QUIET),
   "bytes from the server, into several places; TCP brings no descriptors"},
  {SYS_OVER (OVER_TCP | OVER_TLS, sendmsg), ALLOW,
   ARGS (FD_LANES, MSG_QUIET),
   "bytes to the server, from several places; a connected TCP socket ignores "
   "an address and descriptors in the message"},
  {SYS (recvfrom), ALLOW, ARGS (FD (WORKER_FD_DAEMON), HEAR),
   "control messages; by recvfrom no descriptor comes in"},
  {SYS (recvfrom), ALLOW, ARGS (FD (WORKER_FD_GATEWAY), HEAR),
   "control messages"},
  {SYS (sendto), ALLOW, ARGS (FD (WORKER_FD_DAEMON), TELL),
   "control messages; by sendto no descriptor goes out"},
  {SYS (sendto), ALLOW, ARGS (FD (WORKER_FD_GATEWAY), TELL),
   "control messages"},
  {SYS (read), ALLOW, ARGS (FD (WORKER_FD_WAKE_WORKER)),
   "takes the gateway's wake-up"},
  {SYS (write), ALLOW, ARGS (FD (WORKER_FD_WAKE_GATEWAY)),
   "wakes the gateway"},
  {SYS (ppoll), ALLOW, ANY, "the loop's only wait"},
  {SYS (clock_gettime), ALLOW, ANY, "deadlines, where the vDSO cannot answer"},
  {SYS_OVER (OVER_SSH | OVER_TLS, getrandom), ALLOW, ANY,
   "OpenSSL: keys of a session, nonces"},
  {SYS_OVER (OVER_SSH | OVER_TLS, getpid), ALLOW, ANY,
   "OpenSSL: has the process forked?"},
  {SYS (brk), ALLOW, ANY, "malloc"},
  {SYS (mmap), ALLOW, ARGS (NO_EXEC, ANONYMOUS), "malloc, large blocks"},
  {SYS (mremap), ALLOW, ANY, "realloc, large blocks"},
  {SYS (munmap), ALLOW, ANY, "free, large blocks"},
  {SYS (madvise), ALLOW, ARGS (IS (2, "advice", MADV_DONTNEED)), "free"},
  {SYS (madvise), ALLOW, ARGS (IS (2, "advice", MADV_FREE)), "free"},
  {SYS_OVER (OVER_SSH, fcntl), ALLOW,
   ARGS (FD (WORKER_FD_NET), IS (1, "command", F_GETFL)),
   "libssh2: is the socket non-blocking?"},
  {SYS (close), ALLOW, ANY, "a control socket at its end"},
  {SYS (rt_sigreturn), ALLOW, ANY, "return of a signal handler"},
  {SYS (exit_group), ALLOW, ANY, "the end"},
};

/* What the run-time libraries of sanitizers do beyond that, before and while
 * they report. Files stay closed to them: there is nothing to open. */
static const struct policy_row sanitizer_rows[] = {
  {SYS (write), ALLOW, ARGS (FD (2)), "the report"},
  {SYS (mmap), ALLOW, ARGS (NO_EXEC), "shadow memory, MAP_NORESERVE"},
  {SYS (mprotect), ALLOW, ARGS (NO_EXEC), "guard pages"},
  {SYS (madvise), ALLOW, ARGS (IS (2, "advice", MADV_NOHUGEPAGE)), "shadow"},
  {SYS (madvise), ALLOW, ARGS (IS (2, "advice", MADV_DONTDUMP)), "shadow"},
  {SYS (futex), ALLOW, ANY, "locks of the allocator"},
  {SYS (sched_yield), ALLOW, ANY, "spin locks"},
  {SYS (gettid), ALLOW, ANY, "reports"},
  {SYS (sigaltstack), ALLOW, ANY, "handler of stack overflows"},
  {SYS (rt_sigaction), ALLOW, ANY, "the default action before dying"},
  {SYS (rt_sigprocmask), ALLOW, ANY, "reports"},
  {SYS (getrusage), ALLOW, ANY, "memory limits"},
  {SYS (prlimit64), ALLOW, ARGS (NONE (2, "new limit")), "stack bounds"},
  {SYS (open), DENY, ANY, "symbols, maps"},
  {SYS (openat), DENY, ANY, "symbols, maps"},
  {SYS (readlink), DENY, ANY, "symbols"},
  {SYS (readlinkat), DENY, ANY, "symbols"},
  {SYS (newfstatat), DENY, ANY, "symbols"},
  {SYS (ioctl), DENY, ANY, "colours of the report"},
  {SYS (process_vm_readv), DENY, ANY, "UBSan: is this address readable?"},
  {SYS (pipe2), DENY, ANY, "UBSan: is this address readable?"},
  {SYS (pipe), DENY, ANY, "UBSan: is this address readable?"},
  {SYS (prctl), DENY, ANY, "names of threads"},
  {SYS (nanosleep), ALLOW, ANY, "a second report waits"},
  {SYS (clock_nanosleep), ALLOW, ANY, "TSan's background thread"},
  {SYS (exit), ALLOW, ANY, "TSan's background thread"},
};

#define READING                                                               \
  WITHOUT (2, "flags",                                                        \
           O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | __O_TMPFILE)
#define SOCK_TYPE_BITS 0xf
#define SOCKET(family, type)                                                  \
  ARGS (IS (0, "family", family), AMONG (1, "type", type, SOCK_TYPE_BITS))

/* What getaddrinfo does with Debian's NSS modules (files, dns, resolve,
 * myhostname, mdns, nscd). What it may open is Landlock's. */
static const struct policy_row resolver_rows[] = {
  {SYS (socket), ALLOW, SOCKET (AF_INET, SOCK_DGRAM), "DNS"},
  {SYS (socket), ALLOW, SOCKET (AF_INET, SOCK_STREAM), "DNS"},
  {SYS (socket), ALLOW, SOCKET (AF_INET6, SOCK_DGRAM), "DNS"},
  {SYS (socket), ALLOW, SOCKET (AF_INET6, SOCK_STREAM), "DNS"},
  {SYS (socket), ALLOW, SOCKET (AF_UNIX, SOCK_STREAM), "nscd, resolved"},
  {SYS (socket), ALLOW,
   ARGS (IS (0, "family", AF_NETLINK), IS (2, "protocol", NETLINK_ROUTE)),
   "own addresses"},
  {SYS (bind), ALLOW, ANY, "own addresses"},
  {SYS (connect), ALLOW, ANY, "DNS, nscd, resolved"},
  {SYS (getsockname), ALLOW, ANY, "order of addresses"},
  {SYS (getpeername), ALLOW, ANY, "resolved"},
  {SYS (getsockopt), ALLOW, ANY, "DNS, resolved"},
  {SYS (setsockopt), ALLOW, ANY, "DNS, resolved"},
  {SYS (sendto), ALLOW, ARGS (WITHOUT (3, "flags", MSG_FASTOPEN)), "DNS"},
  {SYS (sendmsg), ALLOW, ARGS (WITHOUT (2, "flags", MSG_FASTOPEN)), "DNS"},
  {SYS (sendmmsg), ALLOW, ARGS (WITHOUT (3, "flags", MSG_FASTOPEN)), "DNS"},
  {SYS (recvfrom), ALLOW, ANY, "DNS"},
  {SYS (recvmsg), ALLOW, ANY, "DNS, own addresses"},
  {SYS (poll), ALLOW, ANY, "DNS"},
  {SYS (ppoll), ALLOW, ANY, "resolved"},
  {SYS (ioctl), ALLOW, ARGS (IS (1, "request", FIONREAD)), "DNS"},
  {SYS (openat), ALLOW, ARGS (READING), "configuration, NSS modules"},
  {SYS (read), ALLOW, ANY, "configuration"},
  {SYS (pread64), ALLOW, ANY, "NSS modules"},
  {SYS (lseek), ALLOW, ANY, "configuration"},
  {SYS (fstat), ALLOW, ANY, "configuration"},
  {SYS (stat), ALLOW, ANY, "configuration"},
  {SYS (newfstatat), ALLOW, ANY, "configuration"},
  {SYS (access), ALLOW, ANY, "ld.so"},
  {SYS (faccessat), ALLOW, ANY, "resolved"},
  {SYS (readlink), ALLOW, ANY, "resolved"},
  {SYS (close), ALLOW, ANY, "configuration"},
  /* Nothing can be opened for writing, so this reaches sockets only. */
  {SYS (write), ALLOW, ANY, "the answer, mdns"},
  {SYS (writev), ALLOW, ANY, "DNS over TCP"},
  {SYS (fcntl), ALLOW, ARGS (IS (1, "command", F_GETFD)), "resolved"},
  {SYS (fcntl), ALLOW, ARGS (IS (1, "command", F_SETFD)), "nscd, resolved"},
  {SYS (fcntl), ALLOW, ARGS (IS (1, "command", F_GETFL)), "nscd, resolved"},
  {SYS (fcntl), ALLOW, ARGS (IS (1, "command", F_SETFL)), "nscd, resolved"},
  {SYS (fcntl), ALLOW, ARGS (IS (1, "command", F_DUPFD_CLOEXEC)), "resolved"},
  {SYS (mmap), ALLOW, ARGS (ONLY (2, "prot", PROT_READ | PROT_WRITE)),
   "malloc, NSS modules"},
  {SYS (mmap), ALLOW, ARGS (ONLY (2, "prot", PROT_READ | PROT_EXEC)),
   "NSS modules"},
  {SYS (mprotect), ALLOW, ARGS (NO_EXEC), "malloc, NSS modules"},
  {SYS (munmap), ALLOW, ANY, "free, NSS modules"},
  {SYS (mremap), ALLOW, ANY, "realloc"},
  {SYS (madvise), ALLOW, ARGS (IS (2, "advice", MADV_DONTNEED)), "free"},
  {SYS (brk), ALLOW, ANY, "malloc"},
  {SYS (futex), ALLOW, ANY, "once-only set-up in modules"},
  {SYS (getrandom), ALLOW, ANY, "ids of queries"},
  {SYS (clock_gettime), ALLOW, ANY, "time-outs"},
  {SYS (gettimeofday), ALLOW, ANY, "time-outs"},
  {SYS (uname), ALLOW, ANY, "own name"},
  {SYS (sysinfo), ALLOW, ANY, "qsort"},
  {SYS (getpid), ALLOW, ANY, "ids of queries"},
  {SYS (gettid), ALLOW, ANY, "modules"},
  {SYS (getuid), ALLOW, ANY, "modules"},
  {SYS (geteuid), ALLOW, ANY, "modules"},
  {SYS (getgid), ALLOW, ANY, "modules"},
  {SYS (getegid), ALLOW, ANY, "modules"},
  {SYS (prlimit64), ALLOW, ARGS (NONE (2, "new limit")), "resolved"},
  {SYS (rt_sigaction), ALLOW, ANY, "modules"},
  {SYS (rt_sigprocmask), ALLOW, ANY, "modules"},
  {SYS (rt_sigreturn), ALLOW, ANY, "return of a signal handler"},
  {SYS (exit_group), ALLOW, ANY, "the end"},
};

static const struct policy_row relay_rows[] = {
  {SYS (recvfrom), ALLOW,
   ARGS (FD (RELAY_FD_DAEMON), NONE (4, "address"), QUIET),
   "bytes for the other side; by recvfrom no descriptor comes in"},
  {SYS (recvfrom), ALLOW,
   ARGS (FD (RELAY_FD_FOREIGN), NONE (4, "address"), QUIET),
   "bytes for the daemon"},
  {SYS (sendto), ALLOW, ARGS (FD (RELAY_FD_DAEMON), TELL),
   "bytes for the daemon"},
  {SYS (sendto), ALLOW, ARGS (FD (RELAY_FD_FOREIGN), TELL),
   "bytes for the other side"},
  {SYS (ppoll), ALLOW, ANY, "the only wait"},
  {SYS (rt_sigreturn), ALLOW, ANY, "return of a signal handler"},
  {SYS (exit_group), ALLOW, ANY, "the end"},
};

#define TABLE(title, rows)                                                    \
  {                                                                           \
    title, rows, sizeof rows / sizeof rows[0]                                 \
  }

unsigned
policy_tables (enum sbx_profile profile, bool sanitizer,
               struct policy_table ret_table[POLICY_TABLES])
{
  static const struct policy_table worker = TABLE ("Worker", worker_rows);
  static const struct policy_table resolver = TABLE ("Resolver", resolver_rows);
  static const struct policy_table relay = TABLE ("Relay", relay_rows);
  static const struct policy_table extra
    = TABLE ("Added in sanitizer builds", sanitizer_rows);

  ret_table[0] = sbx_is_worker (profile) ? worker
                 : sbx_opens (profile)   ? resolver
                                         : relay;
  if (!sanitizer)
    return 1;
  ret_table[1] = extra;
  return 2;
}

bool
policy_row_is_for (const struct policy_row *row, enum sbx_profile profile)
{
  return row->of == 0 || (row->of & 1u << profile);
}

bool
policy_sanitizer_build (void)
{
#if defined BH_ASAN || defined BH_UBSAN || defined BH_TSAN
  return true;
#else
  return false;
#endif
}

static bool
row_matches (const struct policy_row *row, uint32_t number,
             const uint64_t arg[6])
{
  if (row->number < 0 || (uint32_t)row->number != number)
    return false;
  for (unsigned i = 0; i < POLICY_ARGS && row->arg[i].text; i++)
    if ((arg[row->arg[i].index] & row->arg[i].mask) != row->arg[i].value)
      return false;
  return true;
}

/* A DENY is only for calls that no earlier row allows in some form. */
static bool
allowed_before (const struct policy_table *table, enum sbx_profile profile,
                unsigned t, unsigned i)
{
  int number = table[t].row[i].number;

  for (unsigned u = 0; u <= t; u++)
    for (unsigned j = 0; j < (u == t ? i : table[u].rows); j++)
      if (table[u].row[j].number == number
          && policy_row_is_for (&table[u].row[j], profile)
          && table[u].row[j].action == POLICY_ALLOW)
        return true;
  return false;
}

static bool
row_counts (const struct policy_table *table, enum sbx_profile profile,
            unsigned t, unsigned i)
{
  const struct policy_row *row = &table[t].row[i];

  return row->number >= 0 && policy_row_is_for (row, profile)
         && (row->action == POLICY_ALLOW
             || !allowed_before (table, profile, t, i));
}

enum policy_action
policy_verdict (enum sbx_profile profile, bool sanitizer, uint32_t number,
                const uint64_t arg[6])
{
  struct policy_table table[POLICY_TABLES];
  unsigned n = policy_tables (profile, sanitizer, table);
  enum policy_action verdict = POLICY_REFUSE;

  for (unsigned t = 0; t < n; t++)
    for (unsigned i = 0; i < table[t].rows; i++)
      if (row_matches (&table[t].row[i], number, arg)
          && verdict != POLICY_ALLOW && row_counts (table, profile, t, i))
        verdict = table[t].row[i].action;
  return verdict;
}

unsigned
policy_count (enum sbx_profile profile, bool sanitizer)
{
  struct policy_table table[POLICY_TABLES];
  unsigned n = policy_tables (profile, sanitizer, table);
  unsigned count = 0;

  for (unsigned t = 0; t < n; t++)
    for (unsigned i = 0; i < table[t].rows; i++)
      if (table[t].row[i].action == POLICY_ALLOW
          && policy_row_is_for (&table[t].row[i], profile)
          && !allowed_before (table, profile, t, i))
        count++;
  return count;
}

static int
add_row (scmp_filter_ctx ctx, const struct policy_row *row)
{
  struct scmp_arg_cmp cmp[POLICY_ARGS];
  unsigned n = 0;
  uint32_t action
    = row->action == POLICY_ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO (EPERM);

  for (; n < POLICY_ARGS && row->arg[n].text; n++)
    cmp[n] = (struct scmp_arg_cmp){row->arg[n].index, SCMP_CMP_MASKED_EQ,
                                   row->arg[n].mask, row->arg[n].value};
  return seccomp_rule_add_array (ctx, action, row->number, n, cmp);
}

static void
release (scmp_filter_ctx *ctx)
{
  if (*ctx)
    seccomp_release (*ctx);
}

enum err
policy_load (enum sbx_profile profile, struct fault *f)
{
  struct policy_table table[POLICY_TABLES];
  unsigned n = policy_tables (profile, policy_sanitizer_build (), table);
  __attribute__ ((cleanup (release))) scmp_filter_ctx ctx
    = seccomp_init (SCMP_ACT_TRAP);
  int r;

  if (!ctx)
    return fault_set (f, ERR_SANDBOX, "cannot build the seccomp filter");
  if ((r = seccomp_attr_set (ctx, SCMP_FLTATR_ACT_BADARCH,
                             SCMP_ACT_KILL_PROCESS))
      || (r = seccomp_attr_set (ctx, SCMP_FLTATR_CTL_NNP, 0))
      || (r = seccomp_attr_set (ctx, SCMP_FLTATR_CTL_TSYNC, 1)))
    return fault_set (f, ERR_SANDBOX, "seccomp: attribute refused: %d", -r);
  for (unsigned t = 0; t < n; t++)
    for (unsigned i = 0; i < table[t].rows; i++)
      if (row_counts (table, profile, t, i)
          && (r = add_row (ctx, &table[t].row[i])))
        return fault_set (f, ERR_SANDBOX, "seccomp: row %s refused: %d",
                          table[t].row[i].name, -r);
  if ((r = seccomp_load (ctx)))
    return fault_set (f, ERR_SANDBOX,
                      "the kernel does not take the seccomp filter: %d", -r);
  return ERR_OK;
}

static const char *
over_text (unsigned of)
{
  static const char *const text[] = {
    [0] = "",
    [OVER_TCP] = " (TCP)",
    [OVER_SSH] = " (SSH)",
    [OVER_TLS] = " (TLS)",
    [OVER_TCP | OVER_SSH] = " (TCP, SSH)",
    [OVER_TCP | OVER_TLS] = " (TCP, TLS)",
    [OVER_SSH | OVER_TLS] = " (SSH, TLS)",
    [OVER_TCP | OVER_SSH | OVER_TLS] = "",
  };

  return text[of];
}

static void
print_table (FILE *out, const struct policy_table *table)
{
  fprintf (out, "=head2 %s\n\n=over 4\n", table->title);
  for (unsigned i = 0; i < table->rows; i++) {
    const struct policy_row *row = &table->row[i];

    fprintf (out, "\n=item B<%s>%s%s", row->name, over_text (row->of),
             row->action == POLICY_DENY ? " fails with EPERM" : "");
    for (unsigned j = 0; j < POLICY_ARGS && row->arg[j].text; j++)
      fprintf (out, "%s %s", j ? "," : ":", row->arg[j].text);
    fprintf (out, "\n\n%s\n", row->why);
  }
  fprintf (out, "\n=back\n");
}

void
sbx_policy_print (FILE *out)
{
  struct policy_table table[POLICY_TABLES];

  fprintf (out,
           "A worker that speaks plain TCP has %u calls in some form, one "
           "that speaks SSH %u,\none that speaks TLS %u. Rows that name one "
           "of these are for it alone.\n\n",
           policy_count (SBX_WORKER, false),
           policy_count (SBX_WORKER_SSH, false),
           policy_count (SBX_WORKER_TLS, false));
  policy_tables (SBX_WORKER, true, table);
  print_table (out, &table[0]);
  fprintf (out, "\n");
  print_table (out, &table[1]);
  for (int p = SBX_RESOLVER; p < SBX_PROFILES; p++) {
    policy_tables ((enum sbx_profile)p, false, table);
    fprintf (out, "\n");
    print_table (out, &table[0]);
  }
}
