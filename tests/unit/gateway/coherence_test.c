/* SPDX-License-Identifier: BSD-2-Clause */
/* One truth over several gateways of a volume: each block is a register with a
 * version. Whoever writes takes the next version; a read on any gateway must
 * return at least the version that was acknowledged before it began, and at
 * most the one that was begun before it ended. Gateways share cache, stripes
 * and lease with the daemon as threads of this program (also under TSan);
 * workers die meanwhile, and so do gateways.
 */
#include "config.h"
#include "gateway/link.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake/peer.h"
#include "tests/fake/peer_link.h"
#include "tests/unit/unit.h"

/* More blocks than the cache has room for, smaller than its pages as well. */
#define BLOCK_BYTES 2048u
#define BLOCKS 800u
#define THREADS_A_GATEWAY 3
/* A busy machine takes longer for so much. */
#define WRITES_LEAST 20u
#define HITS_LEAST 100u
#define RUN_MOST_MS 30000
#define LIFE_NS (150 * UINT64_C (1000000)) /* of a worker that dies */

/* Versions back to which is known whether they were zeroes. */
#define KINDS 64u

struct block {
  pthread_mutex_t writing; /* who writes next; not held by readers */
  _Atomic uint64_t begun, acknowledged;
  /* What the version was: an IO_WRITE, an IO_ZERO, an IO_TRIM. */
  _Atomic uint8_t op[KINDS];
};

static struct peer peer;
static struct block blocks[BLOCKS];
static _Atomic bool stop;
static _Atomic unsigned long written;

struct client {
  struct link *link;
  unsigned seed;
  bool writes;
  unsigned long reads, writes_done, errors, stale, invented;
};

struct run {
  unsigned gateways;
  unsigned writers; /* of them */
  unsigned deaths;  /* of workers, at least; 0: none dies */
  long ms;          /* and as long as it takes to see all of it */
  /* What comes of it. */
  struct link *links[PEER_GATEWAYS];
  unsigned long hits, joined;
};

static unsigned connections = 1;
static bool restarts; /* of the server, which forgets what was not flushed */

static struct link *
open_link (void)
{
  const struct link_options options = {.connections = connections,
                                       .cached = true,
                                       .prefetch_bytes = 1u << 20,
                                       .retain_bytes = 64u << 20,
                                       .outage_fail_ns = UINT64_MAX,
                                       .request_ns = 30 * PEER_SECOND};
  return peer_link (&options, NULL);
}

/* Whether one of these versions was an op. */
static bool
was_among (struct block *b, uint64_t least, uint64_t most, enum io_op op)
{
  bool found = most - least >= KINDS;

  for (uint64_t v = least; !found && v <= most; v++)
    found = atomic_load (&b->op[v % KINDS]) == op;
  return found;
}

/* Every word of a block is its version, or zero if that was a trim or a zero; a
 * read may see two versions of one block if a write is under way, but none that
 * is too old or made up. What a trim leaves is anything older, until a server
 * that has forgotten it is told again.
 */
static void
read_block (struct client *c, uint32_t block)
{
  uint64_t words[BLOCK_BYTES / 8];
  uint64_t least = atomic_load (&blocks[block].acknowledged);
  uint64_t most;
  bool stale = false, invented = false, trimmed, zeroes;

  if (link_read (c->link, words, BLOCK_BYTES, (uint64_t)block * BLOCK_BYTES)) {
    c->errors++;
    return;
  }
  most = atomic_load (&blocks[block].begun);
  trimmed = was_among (&blocks[block], least, most, IO_TRIM);
  zeroes =
      least == 0 || trimmed || was_among (&blocks[block], least, most, IO_ZERO);
  for (size_t i = 0; i < BLOCK_BYTES / 8; i++) {
    stale |= words[i] < least && !(words[i] == 0 && zeroes)
             && !(restarts && trimmed);
    invented |= words[i] > most;
  }
  c->stale += stale;
  c->invented += invented;
  c->reads++;
}

static void
write_block (struct client *c, uint32_t block)
{
  uint64_t words[BLOCK_BYTES / 8];
  uint64_t offset = (uint64_t)block * BLOCK_BYTES;
  static const enum io_op ops[] = {IO_WRITE, IO_WRITE, IO_TRIM, IO_ZERO};
  enum io_op op = ops[rand_r (&c->seed) % 4];
  struct block *b = &blocks[block];
  uint64_t version;
  int error;

  pthread_mutex_lock (&b->writing);
  version = atomic_load (&b->begun) + 1;
  for (size_t i = 0; i < BLOCK_BYTES / 8; i++)
    words[i] = version;
  atomic_store (&b->op[version % KINDS], (uint8_t)op);
  atomic_store (&b->begun, version);
  if (op == IO_WRITE)
    error = link_write (c->link, words, BLOCK_BYTES, offset, 0);
  else
    error = link_plain (c->link, op, BLOCK_BYTES, offset, 0);
  if (error)
    c->errors++;
  else
    atomic_store (&b->acknowledged, version);
  pthread_mutex_unlock (&b->writing);
  c->writes_done++;
  written++;
}

static void *
client_main (void *arg)
{
  struct client *c = arg;

  while (!stop) {
    uint32_t block = (uint32_t)rand_r (&c->seed) % BLOCKS;
    unsigned length = rand_r (&c->seed) % 64 ? 0 : 100;

    /* Some blocks are hot, and some are read in sequence. */
    if (rand_r (&c->seed) % 2)
      block %= 40;
    for (unsigned run = 0; run < length; run++)
      read_block (c, (block + run) % BLOCKS);

    if (c->writes && rand_r (&c->seed) % 8 == 0)
      write_block (c, block);
    else
      read_block (c, block);
  }
  return NULL;
}

static void
reset_blocks (void)
{
  for (unsigned i = 0; i < BLOCKS; i++) {
    pthread_mutex_init (&blocks[i].writing, NULL);
    atomic_store (&blocks[i].begun, 0);
    atomic_store (&blocks[i].acknowledged, 0);
    for (unsigned k = 0; k < KINDS; k++)
      atomic_store (&blocks[i].op[k], IO_WRITE);
  }
  stop = false;
  written = 0;
}

static void
sleep_ms (long ms)
{
  struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

  nanosleep (&ts, NULL);
}

static void
count (struct run *r)
{
  r->hits = r->joined = 0;
  for (unsigned i = 0; i < r->gateways; i++) {
    struct link_stats s;

    link_stats (r->links[i], &s);
    r->hits += s.hits;
    r->joined += s.joined;
  }
}

/* Whether the run has shown what it is to show. */
static bool
enough (struct run *r)
{
  count (r);
  return written > WRITES_LEAST && r->hits > HITS_LEAST && r->joined > 0
         && peer.grants >= r->writers && peer.deaths >= r->deaths
         && (peer.disk.lost > 0 || !restarts);
}

/* The server restarts when something was written since it did. */
static void
let_run (struct run *r)
{
  unsigned long seen = 0;

  for (long ms = 0; ms < r->ms || (ms < RUN_MOST_MS && !enough (r)); ms += 50) {
    sleep_ms (50);
    peer.restarts += restarts && written != seen;
    seen = written;
  }
}

static void
check (struct run r)
{
  struct client clients[PEER_GATEWAYS * THREADS_A_GATEWAY] = {0};
  pthread_t threads[PEER_GATEWAYS * THREADS_A_GATEWAY];
  unsigned n = r.gateways * THREADS_A_GATEWAY;
  unsigned long reads = 0, writes = 0;

  reset_blocks ();
  peer_start (&peer, r.deaths ? PEER_DIES : PEER_HONEST);
  peer.paths = connections;
  peer.life_ns = LIFE_NS;
  for (unsigned i = 0; i < r.gateways; i++)
    r.links[i] = open_link ();
  for (unsigned i = 0; i < n; i++) {
    clients[i] = (struct client){.link = r.links[i % r.gateways],
                                 .seed = i,
                                 .writes = i % r.gateways < r.writers};
    pthread_create (&threads[i], NULL, client_main, &clients[i]);
  }
  let_run (&r);
  stop = true;
  for (unsigned i = 0; i < n; i++) {
    pthread_join (threads[i], NULL);
    CU_ASSERT_EQUAL (clients[i].errors, 0);
    CU_ASSERT_EQUAL (clients[i].stale, 0);
    CU_ASSERT_EQUAL (clients[i].invented, 0);
    reads += clients[i].reads;
    writes += clients[i].writes_done;
  }
  count (&r);
  for (unsigned i = 0; i < r.gateways; i++)
    link_close (r.links[i]);
  printf (" %lu reads (%lu hits, %lu joined), %lu writes, %u leases, %u worker "
          "deaths ",
          reads, r.hits, r.joined, writes, peer.grants, peer.deaths);
  CU_ASSERT (r.hits > HITS_LEAST);
  CU_ASSERT (r.joined > 0);
  CU_ASSERT (writes > WRITES_LEAST);
  CU_ASSERT (peer.grants >= r.writers);
  CU_ASSERT (peer.deaths >= r.deaths);
  /* A lease that goes round and is not used would be a livelock. */
  CU_ASSERT (writes >= peer.grants);
  peer_end (&peer);
}

static void
one_writer_three_readers (void)
{
  check ((struct run){.gateways = 4, .writers = 1, .ms = 1000});
}

static void
all_write (void)
{
  check ((struct run){.gateways = 4, .writers = 4, .ms = 1000});
}

static void
workers_die_meanwhile (void)
{
  check ((struct run){.gateways = 4, .writers = 2, .ms = 2000, .deaths = 10});
}

static void
several_paths_that_die (void)
{
  connections = 3;
  check ((struct run){.gateways = 2, .writers = 2, .ms = 1000});
  check ((struct run){.gateways = 3, .writers = 2, .ms = 1700, .deaths = 20});
  connections = 1;
}

static void
the_server_forgets (void)
{
  restarts = true;
  check ((struct run){.gateways = 4, .writers = 1, .ms = 1000});
  CU_ASSERT (peer.disk.lost > 0);
  check ((struct run){.gateways = 4, .writers = 2, .ms = 1000});
  CU_ASSERT (peer.disk.lost > 0);
  restarts = false;
}

/* What one writes the other reads at once, also if it had cached it. */
static void
cached_before_in_both_directions (void)
{
  struct link *a, *b;
  uint8_t page[PAGE_BYTES], got[PAGE_BYTES];
  struct link_stats s, t;

  reset_blocks ();
  peer_start (&peer, PEER_HONEST);
  a = open_link ();
  b = open_link ();
  for (int round = 1; round <= 20; round++) {
    struct link *writer = round % 2 ? a : b;
    struct link *reader = round % 2 ? b : a;

    for (int i = 0; i < 3; i++) /* so that it is cached */
      CU_ASSERT_EQUAL (link_read (reader, got, PAGE_BYTES, 4096), 0);
    memset (page, round, sizeof page);
    CU_ASSERT_EQUAL (link_write (writer, page, PAGE_BYTES, 4096, 0), 0);
    CU_ASSERT_EQUAL (link_read (reader, got, PAGE_BYTES, 4096), 0);
    CU_ASSERT_EQUAL (memcmp (page, got, PAGE_BYTES), 0);
  }
  /* What one has read is a hit for the other. */
  CU_ASSERT_EQUAL (link_read (a, got, PAGE_BYTES, 8192), 0);
  for (int i = 0; i < 200 && !store_has (&peer.store, 2); i++)
    sleep_ms (5);
  link_stats (b, &s);
  CU_ASSERT_EQUAL (link_read (b, got, PAGE_BYTES, 8192), 0);
  link_stats (b, &t);
  CU_ASSERT_EQUAL (t.hits, s.hits + 1);
  CU_ASSERT_EQUAL (t.wakes, s.wakes);
  link_close (a);
  link_close (b);
  peer_end (&peer);
}

UNIT_MAIN ("coherence", UNIT_TEST (cached_before_in_both_directions),
           UNIT_TEST (one_writer_three_readers), UNIT_TEST (all_write),
           UNIT_TEST (workers_die_meanwhile),
           UNIT_TEST (several_paths_that_die), UNIT_TEST (the_server_forgets))
