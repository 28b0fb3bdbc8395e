/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/prefetch.h"

#include <string.h>

void
prefetch_init (struct prefetch *p, uint32_t limit_bytes)
{
  memset (p, 0, sizeof *p);
  p->limit_bytes = limit_bytes;
  p->proof = PREFETCH_PROOF;
}

static bool
continues (const struct prefetch_stream *s, uint64_t offset)
{
  uint64_t least
    = s->end > PREFETCH_SLACK_BYTES ? s->end - PREFETCH_SLACK_BYTES : 0;

  if (least < s->begin)
    least = s->begin;
  /* Behind what is read already only while that is being prefetched: else a
   * random read near it would count.
   */
  return s->reads > 0
         && (offset == s->end
             || (s->window_bytes && offset >= least
                 && offset <= s->end + PREFETCH_SLACK_BYTES));
}

static struct prefetch_stream *
stream_of (struct prefetch *p, uint64_t offset)
{
  struct prefetch_stream *oldest = &p->stream[0];

  for (unsigned i = 0; i < PREFETCH_STREAMS; i++) {
    struct prefetch_stream *s = &p->stream[i];

    if (continues (s, offset))
      return s;
    if (s->last_used < oldest->last_used)
      oldest = s;
  }
  *oldest = (struct prefetch_stream){.begin = offset, .end = offset,
                                     .ahead = offset};
  return oldest;
}

/* What is asked for at a time: the window is kept full, or what is on its way
 * would only be half of it when it is refilled; but not in crumbs.
 */
static uint32_t
step_of (const struct prefetch_stream *s)
{
  uint32_t half = (s->window_bytes + 1) / 2; /* not 0 */

  return half < PREFETCH_STEP_BYTES ? half : PREFETCH_STEP_BYTES;
}

static void
widen (const struct prefetch *p, struct prefetch_stream *s)
{
  if (!s->window_bytes) {
    s->window_bytes = PREFETCH_FIRST_BYTES < p->limit_bytes
                        ? PREFETCH_FIRST_BYTES
                        : p->limit_bytes;
    s->widened = s->end;
  } else if (s->window_bytes <= p->limit_bytes / 2
             && s->end - s->widened >= s->window_bytes / 2) {
    s->window_bytes *= 2;
    s->widened = s->end;
  }
}

bool
prefetch_read (struct prefetch *p, uint64_t offset, uint32_t length_bytes,
               uint64_t size_bytes, uint64_t *ret_from, uint64_t *ret_to)
{
  struct prefetch_stream *s;
  uint64_t to, room;

  if (!p->limit_bytes)
    return false;
  s = stream_of (p, offset);
  s->last_used = ++p->reads;
  s->reads++;
  if (offset + length_bytes > s->end)
    s->end = offset + length_bytes;
  if (s->ahead < s->end)
    s->ahead = s->end;
  p->run_bytes = s->end - s->begin;
  if (s->reads < p->proof)
    return false;
  widen (p, s);
  room = s->ahead - s->end < s->window_bytes
           ? s->end + s->window_bytes - s->ahead
           : 0;
  if (room < step_of (s))
    return false; /* enough is on its way */
  to = s->ahead + room - room % step_of (s);
  if (to > size_bytes)
    to = size_bytes;
  if (to <= s->ahead)
    return false;
  *ret_from = s->ahead;
  *ret_to = to;
  return true;
}

void
prefetch_issued (struct prefetch *p, uint64_t from, uint64_t to)
{
  for (unsigned i = 0; i < PREFETCH_STREAMS; i++)
    if (p->stream[i].reads && p->stream[i].ahead == from)
      p->stream[i].ahead = to;
}

bool
prefetch_expected (const struct prefetch *p, uint64_t offset, uint64_t end)
{
  for (unsigned i = 0; i < PREFETCH_STREAMS; i++) {
    const struct prefetch_stream *s = &p->stream[i];

    if (s->window_bytes && p->reads - s->last_used <= PREFETCH_IDLE_READS
        && offset < s->ahead && end > s->end)
      return true;
  }
  return false;
}

void
prefetch_used (struct prefetch *p)
{
  if (p->proof > PREFETCH_PROOF)
    p->proof--;
}

void
prefetch_wasted (struct prefetch *p)
{
  p->proof *= 2;
  if (p->proof > PREFETCH_PROOF_MAX)
    p->proof = PREFETCH_PROOF_MAX;
}
