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

enum probe_stage { PROBE_STARTED = 1, PROBE_SEALED, PROBE_RETURNED };

struct probe_report {
  _Atomic uint32_t refused; /* as ring_object.refused_syscall */
  _Atomic uint32_t stage;   /* enum probe_stage */
  uint32_t layers;
  int32_t seal_err; /* enum err */
  int64_t result;
  int64_t sys_errno;
  uint64_t sealed_at_ns; /* CLOCK_MONOTONIC */
  uint32_t open_before_seal; /* bit n: fd n < 32 is open */
  uint32_t uid;
  int32_t pid;
  char fault[320];
};

_Static_assert (sizeof (struct probe_report) <= PROBE_REPORT_BYTES, "page");

#endif
