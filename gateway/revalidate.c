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
revalidate_due (const struct revalidate *r, const struct revalidate_writes *w,
                uint64_t now_ns)
{
  if (r->asked || now_ns < r->next_ns)
    return false;
  return r->interval_ns || r->settling
         || (r->known && w->begun != r->begun && w->ended == w->begun); /* V5 */
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

/* V1, V4: what was found after at, when w is counted. */
static bool
counts (const struct revalidate_writes *at, const struct revalidate_writes *w)
{
  return at->ended == at->begun && w->begun == at->begun;
}

/* V2 */
static bool
differs (const struct revalidate *r, uint64_t change, uint64_t size,
         uint64_t begun)
{
  return size != r->size
         || (r->known && change != r->change && r->begun == begun);
}

static uint64_t
soon_ns (const struct revalidate *r)
{
  return r->interval_ns && r->interval_ns < REVALIDATE_SOON_NS
           ? r->interval_ns
           : REVALIDATE_SOON_NS;
}

/* What counts; V3. True: it is not what it was. */
static bool
take (struct revalidate *r, uint64_t change, uint64_t size, uint64_t begun,
      uint64_t now_ns)
{
  bool changed = differs (r, change, size, begun);

  r->next_ns = now_ns + (r->interval_ns ? r->interval_ns : REVALIDATE_SOON_NS);
  if (changed) {
    r->settling = true;
    r->settled_ns = now_ns + REVALIDATE_SETTLE_NS;
  }
  r->known = change != 0;
  r->change = change;
  r->size = size;
  r->begun = begun;
  return changed;
}

/* What settles is asked for when it has settled, and not before. */
static void
settle_later (struct revalidate *r)
{
  if (r->settling && (!r->interval_ns || r->next_ns < r->settled_ns))
    r->next_ns = r->settled_ns;
}

bool
revalidate_answer (struct revalidate *r, uint64_t change, uint64_t size,
                   const struct revalidate_writes *w, uint64_t now_ns)
{
  bool changed;

  assert (r->asked);
  r->asked = false;
  if (!counts (&r->at_ask, w)) {
    r->next_ns = now_ns + soon_ns (r);
    return false;
  }
  changed = take (r, change, size, r->at_ask.begun, now_ns);
  if (!changed && r->settling && r->asked_ns >= r->settled_ns) { /* V3 */
    r->settling = false;
    changed = true;
  }
  settle_later (r);
  return changed;
}

bool
revalidate_session (struct revalidate *r, uint64_t change, uint64_t size,
                    const struct revalidate_writes *lost,
                    const struct revalidate_writes *w, uint64_t now_ns)
{
  bool changed;

  if (counts (lost, w))
    changed = take (r, change, size, lost->begun, now_ns);
  else if ((changed = size != r->size)) { /* V2 */
    r->size = size;
    r->settling = true;
    r->settled_ns = now_ns + REVALIDATE_SETTLE_NS;
  }
  settle_later (r);
  return changed;
}
