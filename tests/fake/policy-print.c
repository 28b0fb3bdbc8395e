/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the section of bulkhead-worker.pod that comes out of the table. */
#include "config.h"

#include "sandbox/policy.h"

int
main (void)
{
  sbx_policy_print (stdout);
  return 0;
}
