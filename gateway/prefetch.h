/* SPDX-License-Identifier: BSD-2-Clause */
/* What to read before it is asked for. Pure: no system call, no clock, no
 * thread primitive inside; the caller holds its lock.
 *
 * Sequential streams are told from the offsets of demand reads. A stream that
 * has gone on for PREFETCH_PROOF reads gets a window ahead of it, which is kept
 * full, and doubles each time half of it has been used, up to the limit; what
 * is prefetched and not used makes the next streams prove themselves for
 * longer.
 *
 * Requests in flight may reach us out of order, so a read counts as the next of
 * a stream if it begins within PREFETCH_SLACK_BYTES of its end.
 */
#ifndef BH_GATEWAY_PREFETCH_H
#define BH_GATEWAY_PREFETCH_H

#include <stdbool.h>
#include <stdint.h>

#define PREFETCH_STREAMS 8u
#define PREFETCH_PROOF 2u /* reads in a row before anything is prefetched */
#define PREFETCH_PROOF_MAX 32u /* … where much was prefetched in vain */
#define PREFETCH_FIRST_BYTES (256u << 10)
#define PREFETCH_STEP_BYTES (512u << 10)
#define PREFETCH_SLACK_BYTES (1u << 20)
/* A stream that others have read past so often is over. */
#define PREFETCH_IDLE_READS 1000u

struct prefetch_stream {
  uint64_t begin;     /* of its first read */
  uint64_t end;       /* where its demand reads have got to */
  uint64_t ahead;     /* up to where it is prefetched; >= end when reading */
  uint64_t widened;   /* end, when the window was made last */
  uint64_t last_used; /* by the count of reads */
  uint32_t reads;
  uint32_t window_bytes; /* 0: not proven yet */
};

struct prefetch {
  uint32_t limit_bytes; /* of a window; 0: never prefetch */
  uint32_t proof;
  uint64_t reads;
  uint64_t run_bytes; /* how long the stream of the last read has gone on */
  struct prefetch_stream stream[PREFETCH_STREAMS];
};

void prefetch_init (struct prefetch *p, uint32_t limit_bytes);

/* A demand read of [offset, offset + length_bytes) came. True: prefetch
 * [*ret_from, *ret_to) now, which lies behind it and ends at most at
 * size_bytes; report with prefetch_issued how far it was really done.
 */
bool prefetch_read (struct prefetch *p, uint64_t offset,
                    uint32_t length_bytes, uint64_t size_bytes,
                    uint64_t *ret_from, uint64_t *ret_to);
void prefetch_issued (struct prefetch *p, uint64_t from, uint64_t to);
/* Whether a stream that goes on has not read all of [offset, end) yet. */
bool prefetch_expected (const struct prefetch *p, uint64_t offset,
                        uint64_t end);
/* Something prefetched was used, or thrown away unused. */
void prefetch_used (struct prefetch *p);
void prefetch_wasted (struct prefetch *p);

#endif
