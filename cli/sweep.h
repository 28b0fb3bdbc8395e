/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices of ours whose supervisor was killed: nobody gives them connections
 * any more. See supervisor.h for how that comes.
 */
#ifndef BH_CLI_SWEEP_H
#define BH_CLI_SWEEP_H

#include <stdbool.h>

#include "common/err.h"

struct sweep {
  const char *dir; /* attach_dir */
  int index;       /* of the one that is meant; -1: all */
  bool force;      /* what is in use, too */
  /* What has come of it: */
  unsigned removed, left;
  struct fault why; /* the last one that is left was left */
  int left_index;
};

/* name: only if it is that volume's; NULL: any of ours. */
bool
sweep_is_left_behind (const char *dir, int index, const char *name);
/* Disconnects them, if nobody uses them. Wants attach.lock. */
void
sweep (struct sweep *s);

#endif
