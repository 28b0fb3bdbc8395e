/* SPDX-License-Identifier: BSD-2-Clause */
/* Prefetched pieces: slots of the gateway that nobody waits for yet, and the
 * demand reads that are answered from them or wait for them. The lock of the
 * link is held in all of these.
 *
 * Invariants
 *   A1  A piece is in the table from its inflight_get to its inflight_put or
 *       inflight_abandon; its slot's owner is the table itself.
 *   A2  A DONE piece is not put while somebody copies out of it (users).
 *   A3  What it holds counts for a page only while the page's stripe is as it
 *       was before the piece was sent (ipc/stripes.h, S2 and S3).
 */
#ifndef BH_GATEWAY_AHEAD_H
#define BH_GATEWAY_AHEAD_H

#include "gateway/prefetch.h"

/* 8 MiB, the largest window, and what is being read of it. */
#define AHEAD_PIECES 40u
/* A stream that has gone through more than this part of the cache's size is no
 * longer offered to it: a long scan would leave nothing of the hot pages.
 */
#define AHEAD_SCAN_PART 4u
/* Slots that prefetching leaves to demand reads and writes. */
#define AHEAD_RESERVE 64u

struct link;

struct ahead_piece {
  bool used; /* the table's entry */
  bool touched;
  bool doomed; /* put it when its last user leaves */
  bool scan; /* of a stream that would push everything else out of the cache */
  uint32_t slot;
  uint32_t users;
  uint64_t offset, end;
  uint64_t served_to; /* read up to here: the piece goes when all is */
};

struct ahead {
  struct prefetch prefetch;
  struct ahead_piece piece[AHEAD_PIECES];
};

/* Tells it of a demand read, and sends what is to be prefetched. */
void ahead_note (struct link *l, uint64_t offset, uint32_t length_bytes);
/* The piece that has, or will have, the byte at offset; NULL: none. */
struct ahead_piece *ahead_find (struct link *l, uint64_t offset);
/* Copies from a DONE piece to buf, at most length_bytes; drops the lock
 * meanwhile. Returns how many bytes; 0 if it failed or a write came in
 * between: then the piece is gone.
 */
uint32_t ahead_copy (struct link *l, struct ahead_piece *a, void *buf,
                     uint32_t length_bytes, uint64_t offset);
/* Where the next piece after offset begins; UINT64_MAX: none. */
uint64_t ahead_next (const struct link *l, uint64_t offset);
/* Gives a slot back if one can be spared: demand goes first. */
bool ahead_spare (struct link *l);
/* None of them counts any more. */
void ahead_drop_all (struct link *l);
/* A worker is gone: pieces that it has not answered are dropped. */
void ahead_down (struct link *l);

#endif
