/* SPDX-License-Identifier: BSD-2-Clause */
/* The cache of a volume, the daemon's and a gateway's side, against a model:
 * what is found is what was put in last, of the version that the stripes have.
 *
 *   input = *record
 *   record = 'i' page u8         it was read: put in as what it is now
 *          | 'o' page u8, n u8   put in as an older version
 *          | 'w' page u8, n u8   pages are written, and
 *          | 'e' page u8, n u8   the write is over
 *          | 'l' page u8, at u16, n u16   looked up
 *          | 'a' n u8            so many slots are allowed
 *          | 's' n u8            all but so many are given up
 *          | 'd'                 all is dropped
 *          | 't'                 the writer is dead
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "cache/store.h"
#include "common/wire.h"

#define SLOTS 24u
#define PAGES 256u
#define STRIPES 64u

struct try {
  struct store store;
  struct page_index *index;
  uint8_t *data;
  struct stripes *file;
  struct stripe_map stripes;
  struct page_map map;
  uint32_t stamp;          /* of the last one put in */
  uint32_t last[PAGES];    /* the stamp that each page has */
  uint8_t page[PAGE_BYTES];
};

static bool
set_up (struct try *t)
{
  size_t index_bytes = pages_index_bytes (SLOTS);

  t->index = calloc (1, index_bytes);
  t->data = calloc (SLOTS, PAGE_BYTES);
  t->file = calloc (1, stripes_bytes (STRIPES));
  if (!t->index || !t->data || !t->file
      || store_init (&t->store, t->index, t->data, SLOTS))
    return false;
  stripes_format (t->file, STRIPES);
  MUST (!stripes_open (t->file, stripes_bytes (STRIPES), &t->stripes));
  MUST (!pages_open (t->index, index_bytes, t->data, SLOTS * PAGE_BYTES,
                     &t->map));
  return true;
}

static void
tear_down (struct try *t)
{
  store_fini (&t->store);
  free (t->index);
  free (t->data);
  free (t->file);
}

static void
insert (struct try *t, uint64_t page, uint64_t version)
{
  t->last[page] = ++t->stamp;
  memcpy (t->page, &t->stamp, sizeof t->stamp);
  memcpy (t->page + PAGE_BYTES - sizeof t->stamp, &t->stamp, sizeof t->stamp);
  store_insert (&t->store, page, version, t->page);
}

static void
look_up (struct try *t, uint64_t page, uint32_t at, uint32_t n)
{
  uint64_t version;
  uint32_t stamp;
  bool quiet = stripes_quiet (&t->stripes, page, &version);

  at %= PAGE_BYTES;
  n = n % (PAGE_BYTES - at) + 1;
  if (!pages_lookup (&t->map, &t->stripes, page, at, n, t->page))
    return;
  MUST (quiet && t->last[page] && store_has (&t->store, page));
  MUST (pages_lookup (&t->map, &t->stripes, page, 0, sizeof stamp, &stamp));
  MUST (stamp == t->last[page]);
  MUST (pages_lookup (&t->map, &t->stripes, page, PAGE_BYTES - sizeof stamp,
                      sizeof stamp, &stamp));
  MUST (stamp == t->last[page]);
}

/* Writes are ended as they were begun. */
static void
write_pages (struct try *t, uint64_t first, uint64_t n, bool begin)
{
  uint64_t last = first + n % 8;

  if (begin)
    stripes_begin (&t->stripes, first, last);
  else if (stripes_writes_begun (&t->stripes)
           > stripes_writes_ended (&t->stripes))
    stripes_end (&t->stripes, first, last);
}

static bool
step (struct try *t, struct wire *w)
{
  uint8_t kind = wire_u8 (w);
  uint8_t a = wire_u8 (w); /* 'd' and 't' have one for nothing */
  uint64_t version;

  switch (kind) {
  case 'i':
    if (stripes_quiet (&t->stripes, a, &version))
      insert (t, a, version);
    return true;
  case 'o':
    /* Data that were read before something was written. */
    if (stripes_quiet (&t->stripes, a, &version) && version)
      insert (t, a, version - 1 - wire_u8 (w) % version);
    return true;
  case 'w':
    write_pages (t, a, wire_u8 (w), true);
    return true;
  case 'e':
    write_pages (t, a, wire_u8 (w), false);
    return true;
  case 'l': {
    uint32_t at = wire_u16 (w);

    look_up (t, a, at, wire_u16 (w));
    return true;
  }
  case 'a':
    t->store.allowed = a % (SLOTS + 1);
    return true;
  case 's':
    store_shrink (&t->store, a % (SLOTS + 1));
    return true;
  case 'd':
    store_drop_all (&t->store);
    return true;
  case 't':
    stripes_settle (&t->stripes);
    MUST (stripes_unequal (&t->stripes) == 0);
    return true;
  default:
    return false;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct try *t = calloc (1, sizeof *t);
  struct wire w = wire_init (data, size);

  if (!t)
    return 0;
  if (set_up (t))
    while (wire_left (&w) && step (t, &w) && !w.err) {
      MUST (t->store.touched <= SLOTS);
      for (uint32_t i = 0; i < t->store.touched; i++)
        MUST (t->store.owner[i] == STORE_NO_ENTRY
              || atomic_load (&t->index->entry[t->store.owner[i]].slot) == i);
    }
  tear_down (t);
  free (t);
  return 0;
}
