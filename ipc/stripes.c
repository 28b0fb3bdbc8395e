/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/stripes.h"

#include "ipc/hash.h"

void
stripes_format (struct stripes *s, uint32_t count)
{
  s->magic = STRIPES_MAGIC;
  s->layout = STRIPES_LAYOUT;
  s->count = count;
}

enum err
stripes_open (struct stripes *s, size_t size_bytes, struct stripe_map *ret)
{
  uint32_t count;

  if (size_bytes < sizeof *s || s->magic != STRIPES_MAGIC
      || s->layout != STRIPES_LAYOUT)
    return ERR_VERSION;
  count = s->count;
  if (count == 0 || (count & (count - 1)) != 0
      || stripes_bytes (count) != size_bytes)
    return ERR_VERSION;
  *ret = (struct stripe_map){s, count};
  return ERR_OK;
}

static uint32_t
with_state (uint32_t proof, enum stripes_state state)
{
  return proof >> STRIPES_STATE_BITS << STRIPES_STATE_BITS | state;
}

void
stripes_set_unproven (const struct stripe_map *m, bool unproven)
{
  _Atomic uint32_t *word = &m->file->proof;
  uint32_t was = atomic_load_explicit (word, memory_order_relaxed);

  /* What is in doubt is unproven, too. */
  while ((stripes_state (was) == STRIPES_PROVEN) == unproven
         && !atomic_compare_exchange_weak (
           word, &was, with_state (was, unproven ? STRIPES_UNPROVEN
                                                 : STRIPES_PROVEN)))
    ;
}

uint32_t
stripes_proof (const struct stripe_map *m)
{
  return atomic_load (&m->file->proof);
}

void
stripes_raise_doubt (const struct stripe_map *m)
{
  uint32_t was = atomic_load (&m->file->proof);

  while (stripes_state (was) != STRIPES_PROVEN
         && !atomic_compare_exchange_weak (
           &m->file->proof, &was,
           with_state (was + (1u << STRIPES_STATE_BITS), STRIPES_DOUBT)))
    ;
}

bool
stripes_end_doubt (const struct stripe_map *m, uint32_t seen)
{
  uint32_t was = seen;

  return stripes_state (seen) != STRIPES_DOUBT
         || atomic_compare_exchange_strong (
           &m->file->proof, &was, with_state (seen, STRIPES_UNPROVEN));
}

bool
stripes_orphaned (const struct stripe_map *m)
{
  if (stripes_state (stripes_proof (m)) != STRIPES_PROVEN) {
    stripes_set_unproven (m, false);
    atomic_store (&m->file->lost, 1);
  }
  return stripes_lost (m);
}

bool
stripes_lost (const struct stripe_map *m)
{
  return atomic_load (&m->file->lost) != 0;
}

bool
stripes_take_lost (const struct stripe_map *m)
{
  return atomic_load_explicit (&m->file->lost, memory_order_acquire)
         && atomic_exchange (&m->file->lost, 0);
}

static struct stripe *
stripe_of (const struct stripe_map *m, uint64_t page)
{
  return &m->file->stripe[(uint32_t)(hash_page (page) >> 32)
                          & (m->count - 1)];
}

bool
stripes_quiet (const struct stripe_map *m, uint64_t page,
               uint64_t *ret_version)
{
  struct stripe *s = stripe_of (m, page);
  /* end first: with begin first, a write could end and another begin in
   * between, and both would look equal.
   */
  uint64_t end = atomic_load_explicit (&s->end, memory_order_seq_cst);
  uint64_t begin = atomic_load_explicit (&s->begin, memory_order_seq_cst);

  *ret_version = begin;
  return begin == end;
}

bool
stripes_same (const struct stripe_map *m, uint64_t page, uint64_t version)
{
  atomic_thread_fence (memory_order_seq_cst);
  return atomic_load_explicit (&stripe_of (m, page)->begin,
                               memory_order_seq_cst)
         == version;
}

void
stripes_begin (const struct stripe_map *m, uint64_t first, uint64_t last)
{
  atomic_fetch_add_explicit (&m->file->writes_begun, 1, memory_order_seq_cst);
  for (uint64_t page = first; page <= last; page++)
    atomic_fetch_add_explicit (&stripe_of (m, page)->begin, 1,
                               memory_order_seq_cst);
}

void
stripes_end (const struct stripe_map *m, uint64_t first, uint64_t last)
{
  for (uint64_t page = first; page <= last; page++)
    atomic_fetch_add_explicit (&stripe_of (m, page)->end, 1,
                               memory_order_seq_cst);
  atomic_fetch_add_explicit (&m->file->writes_ended, 1, memory_order_seq_cst);
}

/* Both counters at once: between two steps another one who does the same, or a
 * write, would find a stripe that only looks open, and end would pass begin
 * (S1). Lock-free where bulkhead runs; an atomic of a library would take a lock
 * of this process alone.
 */
static bool
close_at (struct stripe *s, uint64_t begin, uint64_t end, uint64_t version)
{
  union {
    uint64_t counter[2];
    unsigned __int128 pair;
  } was = {{begin, end}}, becomes = {{version, version}};

  return __sync_bool_compare_and_swap ((unsigned __int128 *)s, was.pair,
                                       becomes.pair);
}

void
stripes_advance_all (const struct stripe_map *m)
{
  for (uint32_t i = 0; i < m->count; i++) {
    struct stripe *s = &m->file->stripe[i];
    uint64_t end = atomic_load (&s->end);
    uint64_t begin = atomic_load (&s->begin);

    /* An open one has a new version already, and whoever is faster gives it
     * one.
     */
    if (begin == end)
      (void)close_at (s, begin, end, begin + 1);
  }
}

uint64_t
stripes_writes_begun (const struct stripe_map *m)
{
  return atomic_load_explicit (&m->file->writes_begun, memory_order_seq_cst);
}

uint64_t
stripes_writes_ended (const struct stripe_map *m)
{
  return atomic_load_explicit (&m->file->writes_ended, memory_order_seq_cst);
}

void
stripes_set_known (const struct stripe_map *m, const struct stripes_known *k)
{
  atomic_store (&m->file->known_change, 0);
  atomic_store (&m->file->known_size, k->size_bytes);
  atomic_store (&m->file->known_begun, k->begun);
  atomic_store (&m->file->known_change, k->change);
}

struct stripes_known
stripes_known (const struct stripe_map *m)
{
  struct stripes_known k = {0};

  k.change = atomic_load (&m->file->known_change);
  k.size_bytes = atomic_load (&m->file->known_size);
  k.begun = atomic_load (&m->file->known_begun);
  return k;
}

uint32_t
stripes_settle (const struct stripe_map *m)
{
  uint32_t open = 0;

  atomic_fetch_add (&m->file->settles, 1);
  for (uint32_t i = 0; i < m->count; i++) {
    struct stripe *s = &m->file->stripe[i];
    uint64_t begin, end;

    do {
      end = atomic_load (&s->end);
      begin = atomic_load (&s->begin);
    } while (begin != end && !close_at (s, begin, end, begin + 1));
    open += begin != end;
  }
  /* Nobody writes now. */
  atomic_store (&m->file->writes_ended, atomic_load (&m->file->writes_begun));
  return open;
}

uint32_t
stripes_settles (const struct stripe_map *m)
{
  return atomic_load (&m->file->settles);
}

uint32_t
stripes_unequal (const struct stripe_map *m)
{
  uint32_t open = 0;

  for (uint32_t i = 0; i < m->count; i++) {
    struct stripe *s = &m->file->stripe[i];
    uint64_t end = atomic_load (&s->end);

    open += atomic_load (&s->begin) != end;
  }
  return open;
}
