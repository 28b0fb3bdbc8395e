/* SPDX-License-Identifier: BSD-2-Clause */
/* Index, stripes and eviction; and lookups that race with all of them. */
#include "config.h"
#include "cache/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define SLOTS 64u
#define STRIPES 256u

static struct store store;
static struct page_map map;
static struct stripe_map stripes;
static void *index_memory, *data_memory;
static struct stripes *stripe_file;

static void
start (void)
{
  size_t index_bytes = pages_index_bytes (SLOTS);

  index_memory = calloc (1, index_bytes);
  data_memory = calloc (SLOTS, PAGE_BYTES);
  stripe_file = calloc (1, stripes_bytes (STRIPES));
  stripes_format (stripe_file, STRIPES);
  CU_ASSERT_EQUAL_FATAL (
    store_init (&store, index_memory, data_memory, SLOTS), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (pages_open (index_memory, index_bytes, data_memory,
                                     SLOTS * PAGE_BYTES, &map),
                         ERR_OK);
  CU_ASSERT_EQUAL_FATAL (
    stripes_open (stripe_file, stripes_bytes (STRIPES), &stripes), ERR_OK);
}

static void
finish (void)
{
  store_fini (&store);
  free (index_memory);
  free (data_memory);
  free (stripe_file);
}

/* Every word of a page says which page of which version it is. */
static void
fill (uint64_t *words, uint64_t page, uint64_t version)
{
  for (size_t i = 0; i < PAGE_BYTES / 8; i++)
    words[i] = page << 32 | version;
}

static uint64_t
version_of (uint64_t page)
{
  uint64_t version;

  stripes_quiet (&stripes, page, &version);
  return version;
}

static void
insert (uint64_t page)
{
  uint64_t words[PAGE_BYTES / 8];

  fill (words, page, version_of (page));
  store_insert (&store, page, version_of (page), words);
}

static bool
lookup (uint64_t page)
{
  uint64_t words[PAGE_BYTES / 8], want[PAGE_BYTES / 8];

  if (!pages_lookup (&map, &stripes, page, 0, PAGE_BYTES, words))
    return false;
  fill (want, page, version_of (page));
  CU_ASSERT_EQUAL (memcmp (words, want, PAGE_BYTES), 0);
  return true;
}

static void
what_went_in_is_found (void)
{
  uint64_t part;

  start ();
  CU_ASSERT_FALSE (lookup (7));
  insert (7);
  CU_ASSERT_TRUE (lookup (7));
  CU_ASSERT_FALSE (lookup (8));
  CU_ASSERT_TRUE (
    pages_lookup (&map, &stripes, 7, PAGE_BYTES - 8, 8, &part));
  CU_ASSERT_EQUAL (part, 7ull << 32);
  store_drop_all (&store);
  CU_ASSERT_FALSE (lookup (7));
  store_insert (&store, PAGE_NONE, 0, data_memory); /* names no page */
  CU_ASSERT_FALSE (
    pages_lookup (&map, &stripes, PAGE_NONE, 0, 8, &part));
  finish ();
}

static void
a_write_makes_it_a_miss (void)
{
  uint64_t words[PAGE_BYTES / 8], before;

  start ();
  insert (3);
  CU_ASSERT_TRUE (stripes_quiet (&stripes, 3, &before));
  stripes_begin (&stripes, 2, 4);
  CU_ASSERT_FALSE (lookup (3));
  CU_ASSERT_FALSE (stripes_same (&stripes, 3, before));
  stripes_end (&stripes, 2, 4);
  CU_ASSERT_FALSE (lookup (3));
  /* A fill that was read before the write comes late: it does not count. */
  fill (words, 3, before);
  store_insert (&store, 3, before, words);
  CU_ASSERT_FALSE (lookup (3));
  insert (3);
  CU_ASSERT_TRUE (lookup (3));
  finish ();
}

static void
a_dead_writers_stripes_are_settled (void)
{
  start ();
  insert (1);
  insert (2);
  stripes_begin (&stripes, 1, 1);
  CU_ASSERT_FALSE (lookup (1));
  CU_ASSERT_EQUAL (stripes_settle (&stripes), 1);
  CU_ASSERT_EQUAL (stripes_settle (&stripes), 0);
  CU_ASSERT_FALSE (lookup (1)); /* nobody knows what the server has */
  insert (1);
  CU_ASSERT_TRUE (lookup (1));
  CU_ASSERT_TRUE (lookup (2));
  finish ();
}

static void
it_holds_what_it_has_room_for (void)
{
  unsigned found = 0;

  start ();
  for (uint64_t page = 0; page < 10 * SLOTS; page++) {
    insert (page);
    CU_ASSERT_TRUE (lookup (page));
  }
  for (uint64_t page = 0; page < 10 * SLOTS; page++)
    found += lookup (page);
  CU_ASSERT (found <= SLOTS);
  CU_ASSERT (found >= SLOTS / 2);
  CU_ASSERT (store.evictions >= 9 * SLOTS);
  for (uint32_t slot = 0; slot < SLOTS; slot++) { /* C1 */
    uint32_t e = store.owner[slot];

    if (e != STORE_NO_ENTRY)
      CU_ASSERT_EQUAL (atomic_load (&store.index->entry[e].slot), slot);
  }
  finish ();
}

static void
broken_layouts_are_refused (void)
{
  struct page_index *x;
  struct stripe_map m;
  struct page_map p;
  size_t index_bytes = pages_index_bytes (SLOTS);

  start ();
  x = index_memory;
  CU_ASSERT (pages_open (x, index_bytes - 1, data_memory, SLOTS * PAGE_BYTES,
                         &p) != ERR_OK);
  CU_ASSERT (pages_open (x, index_bytes, data_memory, SLOTS * PAGE_BYTES - 1,
                         &p) != ERR_OK);
  x->slots = UINT32_MAX;
  CU_ASSERT (pages_open (x, index_bytes, data_memory, SLOTS * PAGE_BYTES, &p)
             != ERR_OK);
  x->slots = SLOTS;
  x->entries = 7;
  CU_ASSERT (pages_open (x, index_bytes, data_memory, SLOTS * PAGE_BYTES, &p)
             != ERR_OK);
  stripe_file->count = STRIPES - 1;
  CU_ASSERT (stripes_open (stripe_file, stripes_bytes (STRIPES), &m)
             != ERR_OK);
  stripe_file->count = STRIPES * 2;
  CU_ASSERT (stripes_open (stripe_file, stripes_bytes (STRIPES), &m)
             != ERR_OK);
  CU_ASSERT (stripes_open (stripe_file, 3, &m) != ERR_OK);
  finish ();
}

/* ---- the race ---- */

#define RACE_PAGES (4 * SLOTS)
#define READERS 3
#ifdef BH_TSAN /* some fifty times slower */
#define RACE_FILLS 10000
#else
#define RACE_FILLS 300000
#endif

static _Atomic bool race_over;
/* What the "server" has, by page: only the writer's thread changes it, between
 * begin and end.
 */
static _Atomic uint64_t server[RACE_PAGES];
/* The newest version that was acknowledged to a client. */
static _Atomic uint64_t acknowledged[RACE_PAGES];

struct reader {
  unsigned seed;
  unsigned long hits, torn, stale;
};

static void *
reader_main (void *arg)
{
  struct reader *r = arg;

  while (!race_over) {
    uint64_t page = (uint64_t)rand_r (&r->seed) % RACE_PAGES;
    uint64_t least = atomic_load (&acknowledged[page]);
    uint64_t words[PAGE_BYTES / 8];

    if (!pages_lookup (&map, &stripes, page, 0, PAGE_BYTES, words))
      continue;
    r->hits++;
    for (size_t i = 1; i < PAGE_BYTES / 8; i++)
      if (words[i] != words[0]) {
        r->torn++;
        break;
      }
    if (words[0] >> 32 != page || (words[0] & 0xffffffff) < least)
      r->stale++;
  }
  return NULL;
}

static void *
race_writer_main (void *arg)
{
  unsigned seed = 99;

  (void)arg;
  while (!race_over) {
    uint64_t page = (uint64_t)rand_r (&seed) % RACE_PAGES;
    uint64_t value = atomic_load (&server[page]) + 1;

    stripes_begin (&stripes, page, page);
    atomic_store (&server[page], value);
    stripes_end (&stripes, page, page);
    atomic_store (&acknowledged[page], value);
    for (int i = 0; i < 50 && !race_over; i++)
      sched_yield ();
  }
  return NULL;
}

/* The daemon's thread: fills as gateways offer them, by rule S2. */
static void
race_fill (unsigned *seed)
{
  uint64_t page = (uint64_t)rand_r (seed) % RACE_PAGES;
  uint64_t words[PAGE_BYTES / 8], version;

  if (!stripes_quiet (&stripes, page, &version))
    return;
  fill (words, page, atomic_load (&server[page]));
  if (stripes_same (&stripes, page, version))
    store_insert (&store, page, version, words);
}

static void
lookups_race_with_writes_and_eviction (void)
{
  struct reader readers[READERS];
  pthread_t threads[READERS], writer;
  unsigned seed = 5;
  unsigned long hits = 0;

  start ();
  race_over = false;
  for (unsigned i = 0; i < READERS; i++) {
    readers[i] = (struct reader){.seed = i};
    pthread_create (&threads[i], NULL, reader_main, &readers[i]);
  }
  pthread_create (&writer, NULL, race_writer_main, NULL);
  for (int i = 0; i < RACE_FILLS; i++)
    race_fill (&seed);
  race_over = true;
  pthread_join (writer, NULL);
  for (unsigned i = 0; i < READERS; i++) {
    pthread_join (threads[i], NULL);
    CU_ASSERT_EQUAL (readers[i].torn, 0);
    CU_ASSERT_EQUAL (readers[i].stale, 0);
    hits += readers[i].hits;
  }
  printf (" %lu hits, %lu inserts, %lu evictions ", hits,
          (unsigned long)store.inserts, (unsigned long)store.evictions);
  CU_ASSERT (hits > 100);
  CU_ASSERT (store.evictions > 100);
  finish ();
}

UNIT_MAIN ("store", UNIT_TEST (what_went_in_is_found),
           UNIT_TEST (a_write_makes_it_a_miss),
           UNIT_TEST (a_dead_writers_stripes_are_settled),
           UNIT_TEST (it_holds_what_it_has_room_for),
           UNIT_TEST (broken_layouts_are_refused),
           UNIT_TEST (lookups_race_with_writes_and_eviction))
