/* SPDX-License-Identifier: BSD-2-Clause */
/* One request in pieces: what transfer.c (pieces on their way, threads that
 * wait) and answer.c (what the pieces bring) share. Nobody else includes this.
 */
#ifndef BH_GATEWAY_TRANSFER_H
#define BH_GATEWAY_TRANSFER_H

#include "gateway/link_private.h"

/* What one NBD request may have in flight, and so much payload: enough to keep
 * a connection busy, and other requests get slots too.
 */
#define PIECES_IN_FLIGHT 16u
#define PIECES_BYTES (4u << 20)

/* What a transfer waits for: a slot of its own, or a part of another's. */
struct piece {
  uint32_t slot;
  uint32_t bytes; /* joined */
  bool joined;
  uint64_t offset; /* of the volume: where it begins to count */
};

struct transfer {
  struct link *link;
  enum io_op op;
  uint32_t flags;
  bool internal;            /* nobody's request: not one of nbdkit's threads */
  bool may_write;           /* in lease_enter */
  bool waits_lease;         /* lease.c's: it was not let in yet */
  struct proof_wait waits_room; /* proof.c's */
  uint8_t *scratch;         /* READ: a piece that is wider than what is asked */
  uint8_t *read_buf;        /* READ: where pieces go */
  const uint8_t *write_buf; /* WRITE: where they come from */
  uint64_t offset;          /* of the next piece, bytes of the volume */
  uint64_t start;           /* of the whole */
  uint32_t left_bytes;      /* not yet in a piece */
  uint32_t length_bytes;    /* the whole */
  uint64_t asked_offset;    /* READ: with what the cache has answered */
  uint32_t asked_bytes;
  bool noted; /* by the prefetcher */
  bool alone; /* READ: what was joined has failed; joins nothing any more */
  uint32_t flush_left; /* FLUSH: paths to come, a bit set; bit CHANNEL_PATHS:
                          one for all */
  struct io_extent *extents; /* STATUS: IO_EXTENTS_MAX of them */
  uint32_t n_extents;
  struct piece piece[PIECES_IN_FLIGHT]; /* first in, first out */
  uint32_t first, pieces;
  int result; /* the first errno */
};

/* Something was sent to the server again since this was: it may not have it. */
#define ASK_AGAIN (-1)

/* All with the lock held, which they drop while they copy. */

/* What a DONE slot of a READ or STATUS has brought: 0, an errno, ASK_AGAIN. */
int transfer_take (struct transfer *t, uint32_t slot);
/* The part that a READ has joined. False: the answer is of no use. */
bool transfer_take_joined (struct transfer *t, const struct piece *p);

#endif
