/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads of clients that want what another client's request has asked for
 * already: they join it, and take their part of its answer.
 *
 * Invariant
 *   J1  A read joins only if no write has begun on its pages since the versions
 *       of the request were recorded, which was before that was sent: begin ==
 *       end == the version of the request, read again now (ipc/stripes.h, S2).
 *       So whatever was acknowledged before the read came is in the answer;
 *       what comes later comes at the same time as the read. Sent again after
 *       its worker's death, the request reads what is newer.
 *
 * Pure: atomics of the stripes, no system call, no clock, no thread primitive;
 * the caller holds the lock of the table.
 */
#ifndef BH_GATEWAY_JOIN_H
#define BH_GATEWAY_JOIN_H

#include "gateway/inflight.h"
#include "ipc/fill.h"
#include "ipc/stripes.h"

/* A part of what is wanted is not worth a request more, if it is smaller. */
#define JOIN_LEAST_BYTES (32u << 10)

struct join_view {
  const struct inflight *inflight;
  const struct stripe_map *stripes;
  /* By slot: of the pages of a READ, from that of its offset on, as many as
   * its length has pages.
   */
  const uint64_t (*version)[CHUNK_PAGES];
  const bool *stale;  /* by slot: the answer will not count */
  const void *not_of; /* an owner whose requests are none of a client */
};

/* The request that has asked for most of [offset, offset + length_bytes), from
 * the front: *ret_bytes of it. False: none that is worth it.
 */
bool
join_find (const struct join_view *v, uint64_t offset, uint32_t length_bytes,
           uint32_t *ret_slot, uint32_t *ret_bytes);

#endif
