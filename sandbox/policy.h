/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy: which system calls a sealed process may make, with which
 * arguments, and why. One table builds the filter, the manual's section and
 * the test's expectations.
 *
 * Rows of the same call are alternatives. What no row allows ends the process
 * (see sbx_seal). Pure data and pure functions, but for policy_load.
 */
#ifndef BH_SANDBOX_POLICY_H
#define BH_SANDBOX_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sandbox/sandbox.h"

enum policy_action {
  POLICY_REFUSE, /* SIGSYS; what is not in the table */
  POLICY_ALLOW,
  POLICY_DENY, /* fails with EPERM: only in sanitizer builds */
};

/* argument & mask == value. Where the kernel takes an int, mask has 32 bits,
 * as it ignores the upper half. */
struct policy_arg {
  uint8_t index;
  uint64_t mask;
  uint64_t value;
  const char *text; /* "fd = 5"; NULL: no condition */
};

#define POLICY_ARGS 4

struct policy_row {
  int number; /* negative: not on this architecture */
  const char *name;
  unsigned of; /* bit set of the profiles that it is for; 0: the table's all */
  enum policy_action action;
  struct policy_arg arg[POLICY_ARGS];
  const char *why;
};

struct policy_table {
  const char *title;
  const struct policy_row *row;
  unsigned rows;
};

/* The tables of a profile; both hold together, but for rows of other profiles
 * (policy_row_is_for). The second one is for sanitizer builds. Returns their
 * number.
 */
#define POLICY_TABLES 2
unsigned policy_tables (enum sbx_profile profile, bool sanitizer,
                        struct policy_table ret_table[POLICY_TABLES]);

bool policy_row_is_for (const struct policy_row *row, enum sbx_profile profile);

/* True if this build is a sanitizer build. */
bool policy_sanitizer_build (void);

/* What the filter does with this call, by the table. */
enum policy_action policy_verdict (enum sbx_profile profile, bool sanitizer,
                                   uint32_t number, const uint64_t arg[6]);

/* How many different system calls the profile allows in some form. */
unsigned policy_count (enum sbx_profile profile, bool sanitizer);

/* Builds the filter and loads it into the calling process (all its threads).
 * Other ABIs (i386, x32) are ended at once. ERR_SANDBOX.
 */
enum err policy_load (enum sbx_profile profile, struct fault *f);

/* The section of the manual, as POD. */
void sbx_policy_print (FILE *out);

#endif
