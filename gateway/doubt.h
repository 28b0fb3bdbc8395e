/* SPDX-License-Identifier: BSD-2-Clause */
/* What another process has written to the volume, and the server may have lost:
 * only that process has it in its log of retained writes, so reads of the
 * server wait until it is proven or was sent again there (ipc/stripes.h, S7).
 * What is cached, and what this process wrote itself, is read as ever.
 *
 *   doubt_session     a session begins, perhaps of a server that has restarted:
 *                     a doubt is raised if another process may write and has
 *                     not proven all
 *   doubt_own         something of our own log is in doubt
 *   doubt_elsewhere   whether reads have to wait
 *   doubt_asked       whether our log has to be proven as others doubt it
 *   doubt_tick        every now and then: who waits for a dead process has
 *                     waited for long enough
 *
 * Nothing of this is asked where the cache answers.
 *
 * Thread rule: all with the link's lock held.
 */
#ifndef BH_GATEWAY_DOUBT_H
#define BH_GATEWAY_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/inflight.h"

/* How often who waits looks again, and how often the process looks that is
 * waited for.
 */
#define DOUBT_LOOK_NS 20000000ull
#define DOUBT_TICK_MS 100
/* Reads do not fail earlier, whatever outage= says: other processes are not
 * told, they look.
 */
#define DOUBT_FAIL_NS 3000000000ull

struct link;

struct doubt {
  uint32_t seen[INFLIGHT_SLOTS]; /* READ, STATUS: doubts when it was sent */
  uint64_t since_ns; /* others' has been waited for; 0: there is none */
  bool told;
};

void
doubt_session (struct link *l);
void
doubt_own (struct link *l);
bool
doubt_elsewhere (const struct link *l);
bool
doubt_asked (const struct link *l);
void
doubt_tick (struct link *l);
/* poll's: how long the control thread may sleep. */
int
doubt_tick_ms (const struct link *l, int idle_ms);
/* Whether reads have waited for as long as the user wants to. */
bool
doubt_lasts (const struct link *l);

/* All that is acknowledged now is to be proven; it was. */
uint32_t
doubt_begin_proof (const struct link *l);
void
doubt_end_proof (struct link *l, uint32_t begun);

/* A READ or STATUS is sent; whether its answer is of no use, as something was
 * in doubt since, or was sent again.
 */
void
doubt_read_sent (struct link *l, uint32_t slot);
bool
doubt_read_stale (const struct link *l, uint32_t slot);

#endif
