/* SPDX-License-Identifier: BSD-2-Clause */
/* A host's daemon that was killed leaves gateways of other users behind, whose
 * write stripes have no name (shared.c): the next daemon learns of them when
 * they come. Until then it starts no volume of another user anew, as that might
 * be one of theirs. A file says that there are some:
 *
 *   <runtime folder>/hosted   a daemon has, or had when it ended, volumes of
 *                             other users
 *
 * One thread.
 */
#ifndef BH_CACHE_GRACE_H
#define BH_CACHE_GRACE_H

#include <stdint.h>

#include "ipc/runtime.h"

/* Gateways try again at least every five seconds. */
#define GRACE_NS 7000000000ull

struct grace {
  char marker[RUNTIME_DIR_BYTES + 16]; /* "": nobody is waited for */
  unsigned volumes;
  uint64_t until_ns;
};

/* At the start of the daemon. */
void grace_open (struct grace *g, const char *dir, uint64_t now_ns);

/* A volume of another user comes, and goes. */
void grace_enter (struct grace *g);
void grace_leave (struct grace *g);

/* How long a new one has to wait. */
uint64_t grace_left_ns (const struct grace *g, uint64_t now_ns);

#endif
