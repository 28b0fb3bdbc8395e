/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLOT(i) ((i) & (RING_ENTRIES - 1))

/* The requests without an answer, in the order in which they were sent. */
struct in_hand {
  unsigned taken, waiting; /* out of the ring by the worker; still in it */
  struct ring_request first, last; /* of those that were taken */
};

/* Answers of this epoch; as many as may matter are still in the ring. */
struct answers {
  unsigned count;
  uint64_t id[RING_ENTRIES];
};

static uint32_t
load (const _Atomic uint32_t *index)
{
  return atomic_load_explicit (index, memory_order_acquire);
}

static bool
of_epoch (const struct ring_object *o, uint64_t epoch)
{
  return atomic_load_explicit (&o->epoch, memory_order_acquire) == epoch;
}

/* A tail that only a liar can have written names entries too, no others. */
static void
take_answers (const struct ring_object *o, struct answers *ret)
{
  uint32_t tail = load (&o->tail);

  ret->count = tail < RING_ENTRIES ? tail : RING_ENTRIES;
  for (uint32_t i = 0; i < ret->count; i++)
    memcpy (&ret->id[i], &o->entry[SLOT (tail - 1 - i)].completion.id,
            sizeof ret->id[i]);
}

static bool
is_answered (const struct answers *a, uint64_t id)
{
  for (unsigned i = 0; i < a->count; i++)
    if (a->id[i] == id)
      return true;
  return false;
}

static void
take_requests (const struct ring_object *o, const struct answers *answers,
               uint32_t head, struct in_hand *ret)
{
  uint32_t tail = load (&o->tail);
  uint32_t count = tail < RING_ENTRIES ? tail : RING_ENTRIES;

  if (tail - head > RING_ENTRIES)
    head = tail; /* a lie: say that it had taken all */
  for (uint32_t i = tail - count; i != tail; i++) {
    struct ring_request r;

    memcpy (&r, &o->entry[SLOT (i)].request, sizeof r);
    if (is_answered (answers, r.id))
      continue;
    if (tail - i <= tail - head) {
      ret->waiting++;
      continue;
    }
    if (!ret->taken++)
      ret->first = r;
    ret->last = r;
  }
}

static const char *
op_name (uint16_t op)
{
  switch (op) {
  case IO_READ:
    return "read";
  case IO_WRITE:
    return "write";
  case IO_FLUSH:
    return "flush";
  case IO_TRIM:
    return "trim";
  case IO_ZERO:
    return "zero";
  case IO_STATUS:
    return "block status";
  default:
    return "unknown operation";
  }
}

/* "write of 4096 bytes at 8192 (FUA), sent 0.012 s before" */
static void
describe (const struct ring_request *r, uint64_t now_ns, char *dst,
          size_t dst_bytes)
{
  uint64_t age_ms
      = r->sent_ns && r->sent_ns < now_ns ? (now_ns - r->sent_ns) / 1000000 : 0;
  char where[80] = "";

  if (r->length)
    snprintf (where, sizeof where, " of %" PRIu32 " bytes at %" PRIu64,
              r->length, r->offset);
  snprintf (dst, dst_bytes, "%s%s%s%s, sent %" PRIu64 ".%03u s before",
            op_name (r->op), where, r->flags & IO_FUA ? " (FUA)" : "",
            r->flags & IO_NO_HOLE ? " (no hole)" : "", age_ms / 1000,
            (unsigned)(age_ms % 1000));
}

bool
report_in_hand (const struct ring_object *requests,
                const struct ring_object *completions, uint64_t epoch,
                uint64_t now_ns, char *dst, size_t dst_bytes)
{
  struct answers answers = {0};
  struct in_hand h = {0};
  uint32_t head = 0;
  char last[160], first[176] = "", waiting[48] = "";

  dst[0] = 0;
  if (!of_epoch (requests, epoch))
    return false;
  if (of_epoch (completions, epoch)) {
    take_answers (completions, &answers);
    head = load (&completions->head);
  }
  take_requests (requests, &answers, head, &h);
  if (!h.taken && !h.waiting)
    return false;
  if (!h.taken) {
    snprintf (dst, dst_bytes, "nothing; %u requests waited for it", h.waiting);
    return true;
  }
  describe (&h.last, now_ns, last, sizeof last);
  if (h.taken > 1) {
    memcpy (first, "; the oldest: ", 15);
    describe (&h.first, now_ns, first + 14, sizeof first - 14);
  }
  if (h.waiting)
    snprintf (waiting, sizeof waiting, "; %u more waited for it", h.waiting);
  snprintf (dst, dst_bytes, "%u request%s; the last: %s%s%s", h.taken,
            h.taken == 1 ? "" : "s", last, first, waiting);
  return true;
}
