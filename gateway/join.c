/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/join.h"

static bool
joinable (const struct join_view *v, uint32_t i, uint64_t offset)
{
  const struct inflight_slot *s = &v->inflight->slot[i];
  const struct ring_request *r = &s->request;

  return (s->state == SLOT_QUEUED || s->state == SLOT_SENT
          || s->state == SLOT_DONE)
         && r->op == IO_READ && s->users > 0 && s->owner != v->not_of
         && !s->error && !s->server_errno && !v->stale[i] && r->offset <= offset
         && offset < r->offset + r->length;
}

/* How many bytes from offset on, up to end, may be taken from the slot: J1. */
static uint64_t
count_bytes (const struct join_view *v, uint32_t i, uint64_t offset,
             uint64_t end)
{
  const struct ring_request *r = &v->inflight->slot[i].request;
  uint64_t first = r->offset / STRIPE_PAGE_BYTES;
  uint64_t recorded = (r->length + STRIPE_PAGE_BYTES - 1) / STRIPE_PAGE_BYTES;
  uint64_t at = offset;

  while (at < end) {
    uint64_t page = at / STRIPE_PAGE_BYTES;
    uint64_t version;

    if (page - first >= recorded || !stripes_quiet (v->stripes, page, &version)
        || version != v->version[i][page - first])
      break;
    at = (page + 1) * STRIPE_PAGE_BYTES;
  }
  return (at < end ? at : end) - offset;
}

bool
join_find (const struct join_view *v, uint64_t offset, uint32_t length_bytes,
           uint32_t *ret_slot, uint32_t *ret_bytes)
{
  uint64_t best = 0;

  for (uint32_t i = 0; v->inflight->reading_slots && i < INFLIGHT_SLOTS; i++) {
    const struct ring_request *r = &v->inflight->slot[i].request;
    uint64_t end, n;

    if (!joinable (v, i, offset))
      continue;
    end = r->offset + r->length;
    if (end > offset + length_bytes)
      end = offset + length_bytes;
    n = end - offset > best ? count_bytes (v, i, offset, end) : 0;
    if (n > best) {
      best = n;
      *ret_slot = i;
    }
  }
  if (!best || (best < length_bytes && best < JOIN_LEAST_BYTES))
    return false;
  *ret_bytes = (uint32_t)best;
  return true;
}
