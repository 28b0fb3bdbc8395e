/* SPDX-License-Identifier: BSD-2-Clause */
/* sbx-probe: seals itself and makes one system call. What it saw stands in a
 * memfd that it got as fd WORKER_FD_OBJECTS and mapped before sealing.
 *
 *   sbx-probe worker|worker-ssh|resolver NUMBER [ARGUMENT …]
 *
 * ARGUMENT: a number (0x…, decimal, negative), or "buf": 4 KiB of zeros that
 * it owns, or "anon": a page of anonymous memory. NUMBER "none" makes no call.
 */
#ifndef BH_TESTS_SBX_PROBE_H
#define BH_TESTS_SBX_PROBE_H

#include <stdint.h>

#define PROBE_REPORT_BYTES 4096
#define PROBE_RESOLVER_REPORT_FD RESOLVER_FD_END

/* As /proc/self/ns names them. */
#define PROBE_NAMESPACES                                                       \
  {                                                                            \
    "user", "mnt", "pid", "net", "ipc", "uts", "cgroup"                        \
  }
enum { PROBE_NS = 7, PROBE_LIMITS = 16 };

/* What one finds who is behind all walls but the filter: filled if sealing has
 * failed at that one.
 */
struct probe_inside {
  uint64_t limit[PROBE_LIMITS]; /* RLIMIT_…: the hard one */
  int32_t dumpable, no_new_privs, securebits;
  int32_t exec_gain; /* errno of making memory executable; 0: it can be done */
  int32_t passwd;    /* of looking at /etc/passwd */
  int32_t root;      /* of opening / */
  int32_t shell;     /* of looking at /bin/sh */
  int32_t socket;    /* of connecting to the Unix socket of ARGUMENT */
  uint32_t bounding; /* how many capabilities could be had again */
  uint32_t open;     /* as open_before_seal */
  uint32_t uid;
};

enum probe_stage { PROBE_STARTED = 1, PROBE_SEALED, PROBE_RETURNED };

struct probe_report {
  _Atomic uint32_t refused; /* as ring_object.refused_syscall */
  _Atomic uint32_t stage;   /* enum probe_stage */
  uint32_t layers;
  int32_t seal_err; /* enum err */
  int64_t result;
  int64_t sys_errno;
  uint64_t sealed_at_ns;     /* CLOCK_MONOTONIC */
  uint32_t open_before_seal; /* bit n: fd n < 32 is open */
  uint32_t uid;
  int32_t pid;
  uint64_t ns[PROBE_NS]; /* before sealing: which ones (an inode each) */
  struct probe_inside inside;
  char fault[320];
};

_Static_assert (sizeof (struct probe_report) <= PROBE_REPORT_BYTES, "page");

#endif
