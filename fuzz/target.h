/* SPDX-License-Identifier: BSD-2-Clause */
/* What each target defines: libFuzzer calls it, AFL++ too, and replay.c for
 * whoever has neither. It must not keep anything between two calls.
 */
#ifndef BH_FUZZ_TARGET_H
#define BH_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What must hold whatever the input: an abort is a finding. */
#define MUST(what)                                                            \
  do {                                                                        \
    if (!(what)) {                                                            \
      fprintf (stderr, "fuzz: %s:%d: not so: %s\n", __FILE__, __LINE__,       \
               #what);                                                        \
      abort ();                                                               \
    }                                                                         \
  } while (0)

/* Code of the harness, whose branches say nothing about what is fuzzed. */
#if defined __clang__
#define NOT_TRACED __attribute__ ((no_sanitize ("coverage"), noinline))
#else
#define NOT_TRACED
#endif

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#endif
