/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for the kernel's nbd driver, /sys and /dev: what cli/block.h and
 * cli/nbd_kernel.h say, over one device in memory that children share.
 */
#ifndef BH_TESTS_UNIT_CLI_KERNEL_H
#define BH_TESTS_UNIT_CLI_KERNEL_H

#include <stdatomic.h>

#include "cli/block.h"

#define KERNEL_INDEX 7

enum kernel_claim {
  CLAIM_FREE,  /* nobody has it */
  CLAIM_BUSY,  /* somebody has it */
  CLAIM_HANGS, /* opening it does */
  CLAIM_SLOW_FREE /* who has it takes long to find out: nobody has */,
  CLAIM_SLOW_BUSY /* … somebody has */
};

struct kernel {
  atomic_bool connected;
  char backend[BLOCK_BACKEND_BYTES];
  enum kernel_claim claim;
  enum err hold;           /* what opening it comes to */
  atomic_bool looks;       /* who has it: under way */
  atomic_bool may_go_on;   /* and comes to an end */
  atomic_uint claims;      /* how often it was claimed */
  atomic_uint disconnects; /* how often it was ended by us */
  atomic_uint refusals; /* of the next sizes */
  atomic_ullong size_bytes;
  atomic_uint adopted; /* how often it got sockets when it had a life before */
};

/* Shared with children; zeroed by kernel_open. */
extern struct kernel *kernel;

void
kernel_open (void);

#endif
