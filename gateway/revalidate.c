/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/revalidate.h"

#include <assert.h>

void
revalidate_init (struct revalidate *r, uint64_t interval_ns, uint64_t change,
                 uint64_t size, const struct revalidate_writes *w,
                 uint64_t now_ns)
{
  *r = (struct revalidate){.interval_ns = interval_ns,
                           .next_ns = now_ns + interval_ns,
                           .known = change != 0,
                           .change = change,
                           .size = size,
                           .begun = w->begun};
}

bool
revalidate_due (const struct revalidate *r, uint64_t now_ns)
{
  return r->interval_ns && !r->asked && now_ns >= r->next_ns;
}

void
revalidate_ask (struct revalidate *r, const struct revalidate_writes *w,
                uint64_t now_ns)
{
  r->asked = true;
  r->asked_ns = now_ns;
  r->at_ask = *w;
}

void
revalidate_lost (struct revalidate *r, uint64_t now_ns)
{
  r->asked = false;
  r->next_ns = now_ns;
}

/* V1 */
static bool
counts (const struct revalidate *r, const struct revalidate_writes *w)
{
  return r->at_ask.ended == r->at_ask.begun && w->begun == r->at_ask.begun;
}

/* V2 */
static bool
differs (const struct revalidate *r, uint64_t change, uint64_t size)
{
  return size != r->size
         || (r->known && change != r->change && r->begun == r->at_ask.begun);
}

bool
revalidate_answer (struct revalidate *r, uint64_t change, uint64_t size,
                   const struct revalidate_writes *w, uint64_t now_ns)
{
  uint64_t soon_ns = r->interval_ns < REVALIDATE_SOON_NS ? r->interval_ns
                                                         : REVALIDATE_SOON_NS;
  bool changed;

  assert (r->asked);
  r->asked = false;
  if (!counts (r, w)) {
    r->next_ns = now_ns + soon_ns;
    return false;
  }
  r->next_ns = now_ns + r->interval_ns;
  changed = differs (r, change, size);
  if (changed) {
    r->settling = true;
    r->settled_ns = now_ns + REVALIDATE_SETTLE_NS;
  } else if (r->settling && r->asked_ns >= r->settled_ns) { /* V3 */
    r->settling = false;
    changed = true;
  }
  if (r->settling && r->next_ns < r->settled_ns)
    r->next_ns = r->settled_ns;
  r->known = change != 0;
  r->change = change;
  r->size = size;
  r->begun = r->at_ask.begun;
  return changed;
}
