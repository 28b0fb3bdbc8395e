/* SPDX-License-Identifier: BSD-2-Clause */
/* Durable means durable: links against a server in this program that forgets
 * what was not synced whenever it restarts, that fails flushes, and whose
 * sessions prove only what they wrote. Also trim, zero and block status.
 */
#include "config.h"
#include "gateway/link.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/retained.h"
#include "tests/fake/peer.h"
#include "tests/fake/peer_link.h"
#include "tests/unit/unit.h"

#define SECOND PEER_SECOND
#define MB (1u << 20)
#define PAGE PAGE_BYTES
#define THREADS 4
#define REGION_BYTES (PEER_VOLUME_BYTES / THREADS)

static struct peer peer;
static struct link_options options;

static void
begin (enum peer_mischief mischief)
{
  options = (struct link_options){.connections = 1,
                                  .cached = true,
                                  .prefetch_bytes = 4 * MB,
                                  .outage_fail_ns = UINT64_MAX,
                                  .retain_bytes = 64 * MB,
                                  .request_ns = 30 * SECOND};
  peer_start (&peer, mischief);
}

static struct link *
open_link (void)
{
  return peer_link (&options, NULL);
}

static int
flush (struct link *l)
{
  return link_plain (l, IO_FLUSH, 0, 0, 0);
}

static void
sleep_ms (long ms)
{
  struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

  nanosleep (&ts, NULL);
}

static bool
eventually (bool (*what) (struct link *l), struct link *l)
{
  for (int i = 0; i < 4000; i++) {
    if (what (l))
      return true;
    sleep_ms (5);
  }
  return false;
}

static uint64_t
resent (struct link *l)
{
  struct link_stats s;

  link_stats (l, &s);
  return s.resent;
}

static uint64_t
retained (struct link *l)
{
  struct link_stats s;

  link_stats (l, &s);
  return s.retained;
}

/* ---- random work ---- */

struct client {
  struct link *link;
  unsigned index;
  bool reads; /* what is read is what was written */
  unsigned ops, flushes, errors, wrong, lost;
  uint8_t model[REGION_BYTES];
  bool trimmed[REGION_BYTES];
};

/* A trimmed range reads as zeroes on this server, once the trim is stable. */
static bool
as_written (const struct client *c, const uint8_t *bytes, uint32_t at,
            uint32_t n)
{
  if (memcmp (bytes, c->model + at, n) == 0)
    return true;
  for (uint32_t i = 0; i < n; i++)
    if (bytes[i] != c->model[at + i] && !c->trimmed[at + i])
      return false;
  return true;
}

/* In its own region. */
static int
random_op (struct client *c, unsigned *seed)
{
  uint8_t *model = c->model;
  uint64_t base = (uint64_t)c->index * REGION_BYTES;
  uint32_t n = rand_r (seed) % 16 ? 1 + (uint32_t)rand_r (seed) % 20000
                                  : REGION_BYTES / 2;
  uint32_t at = (uint32_t)rand_r (seed) % (REGION_BYTES - n + 1);
  uint32_t fua = rand_r (seed) % 8 ? 0 : IO_FUA;
  static _Thread_local uint8_t buf[REGION_BYTES];
  int r;

  switch (rand_r (seed) % 8) {
  case 0:
    r = flush (c->link);
    c->flushes++;
    c->lost += r == 0 && !peer_keeps (&peer, model, base, REGION_BYTES);
    return r;
  case 1:
    memset (model + at, 0, n);
    memset (c->trimmed + at, true, n);
    return link_plain (c->link, IO_TRIM, n, base + at, fua);
  case 2:
    memset (model + at, 0, n);
    memset (c->trimmed + at, false, n);
    return link_plain (c->link, IO_ZERO, n, base + at,
                       fua | (rand_r (seed) % 2 ? IO_NO_HOLE : 0));
  case 3:
  case 4:
  case 5:
    memset (model + at, rand_r (seed), n);
    memset (c->trimmed + at, false, n);
    r = link_write (c->link, model + at, n, base + at, fua);
    c->lost += r == 0 && fua && !peer_keeps (&peer, model + at, base + at, n);
    return r;
  default:
    r = link_read (c->link, buf, n, base + at);
    c->wrong += r == 0 && c->reads && !as_written (c, buf, at, n);
    return r;
  }
}

static _Atomic bool stop;

static void *
client_main (void *arg)
{
  struct client *c = arg;
  unsigned seed = c->index;

  while (!stop) {
    c->errors += random_op (c, &seed) != 0;
    c->ops++;
  }
  c->errors += flush (c->link) != 0;
  c->lost += !peer_keeps (&peer, c->model, (uint64_t)c->index * REGION_BYTES,
                          REGION_BYTES);
  return NULL;
}

/* A server that forgets is awaited until it has forgotten something: a busy
 * machine may not come so far in that time.
 */
static bool
was_needed (struct link *l)
{
  return !peer.forgets || (resent (l) > 0 && peer.disk.lost > 0);
}

static uint64_t
hammer (bool reads, long ms)
{
  struct client *clients = calloc (THREADS, sizeof *clients);
  pthread_t threads[THREADS];
  struct link *l = open_link ();
  unsigned ops = 0, flushes = 0;
  uint64_t again;

  stop = false;
  for (unsigned i = 0; i < THREADS; i++) {
    clients[i].link = l;
    clients[i].index = i;
    clients[i].reads = reads;
    pthread_create (&threads[i], NULL, client_main, &clients[i]);
  }
  sleep_ms (ms);
  CU_ASSERT (eventually (was_needed, l));
  stop = true;
  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join (threads[i], NULL);
    CU_ASSERT_EQUAL (clients[i].errors, 0);
    CU_ASSERT_EQUAL (clients[i].wrong, 0);
    CU_ASSERT_EQUAL (clients[i].lost, 0);
    ops += clients[i].ops;
    flushes += clients[i].flushes;
  }
  again = resent (l);
  printf (" %u ops, %u flushes, %u deaths, %u pages lost, %llu sent again ",
          ops, flushes, peer.deaths, peer.disk.lost, (unsigned long long)again);
  CU_ASSERT_EQUAL (peer.distrusted, 0);
  CU_ASSERT_EQUAL (retained (l), 0);
  link_close (l);
  peer_end (&peer);
  free (clients);
  return again;
}

static void
nothing_is_sent_again_without_need (void)
{
  begin (PEER_HONEST);
  CU_ASSERT_EQUAL (hammer (true, 200), 0);
  begin (PEER_HONEST);
  options.connections = peer.paths = 3;
  peer.session_tokens = true;
  CU_ASSERT_EQUAL (hammer (true, 200), 0);
  /* sessions end, the server stays, and says so */
  begin (PEER_DIES);
  peer.life_ns = 30 * SECOND / 1000;
  CU_ASSERT_EQUAL (hammer (true, 200), 0);
}

static void
a_server_that_forgets_loses_nothing (void)
{
  begin (PEER_DIES);
  peer.forgets = true;
  peer.life_ns = 40 * SECOND / 1000;
  CU_ASSERT (hammer (true, 800) > 0);
  CU_ASSERT (peer.disk.lost > 0);
  begin (PEER_DIES);
  options.cached = false;
  peer.forgets = true;
  peer.life_ns = 10 * SECOND / 1000;
  CU_ASSERT (hammer (true, 500) > 0);
}

/* The others' sessions go on over its restart and learn of it by the token. */
static void
one_of_several_sessions_sees_it_restart (void)
{
  begin (PEER_DIES);
  peer.forgets = true;
  options.connections = peer.paths = 3;
  peer.life_ns = 60 * SECOND / 1000;
  CU_ASSERT (hammer (false, 600) > 0);
}

/* NFS over several connections, and a target that says so with tokens of each
 * session: the latter is flushed on each.
 */
static void
one_flush_for_all_connections (void)
{
  begin (PEER_HONEST);
  options.connections = peer.paths = 3;
  peer.info.caps |= VOLUME_FLUSH_COVERS_ALL;
  CU_ASSERT_EQUAL (hammer (true, 200), 0);
  begin (PEER_HONEST);
  options.connections = peer.paths = 3;
  peer.info.caps |= VOLUME_FLUSH_COVERS_ALL;
  peer.session_tokens = true;
  CU_ASSERT_EQUAL (hammer (true, 200), 0);
}

static void
a_small_log_flushes_by_itself (void)
{
  begin (PEER_HONEST);
  options.retain_bytes = RETAINED_LIMIT_MIN;
  hammer (true, 300);
  begin (PEER_DIES);
  options.retain_bytes = RETAINED_LIMIT_MIN;
  peer.forgets = true;
  peer.life_ns = 40 * SECOND / 1000;
  hammer (true, 400);
}

/* ---- step by step ---- */

static uint8_t block[2 * MB], got[2 * MB];

static bool
can_flush (struct link *l)
{
  return flush (l) == 0;
}

static void
full_log_fails_writes_as_the_flush_does (void)
{
  struct link *l;
  int error = 0;

  begin (PEER_HONEST);
  options.retain_bytes = RETAINED_LIMIT_MIN;
  l = open_link ();
  memset (block, 7, MB);
  for (uint64_t i = 0; i < 8; i++) /* twice what it holds */
    CU_ASSERT_EQUAL (link_write (l, block, MB, i * MB, 0), 0);
  CU_ASSERT (peer.gateway[0].path[0].flushes > 0);
  peer.failing_flushes = 1u << 30;
  for (uint64_t i = 0; i < 8 && !error; i++)
    error = link_write (l, block, MB, i * MB, 0);
  CU_ASSERT_EQUAL (error, EIO);
  CU_ASSERT_EQUAL (flush (l), EIO);
  CU_ASSERT (retained (l) > 0);
  peer.failing_flushes = 0;
  CU_ASSERT (eventually (can_flush, l));
  for (uint64_t i = 0; i < 8; i++)
    CU_ASSERT_EQUAL (link_write (l, block, MB, i * MB, 0), 0);
  CU_ASSERT_EQUAL (flush (l), 0);
  CU_ASSERT_EQUAL (retained (l), 0);
  for (uint64_t i = 0; i < 8; i++)
    CU_ASSERT (peer_keeps (&peer, block, i * MB, MB));
  link_close (l);
  peer_end (&peer);
}

/* A server may drop what it failed to write, and then flush with success. */
static void
a_failed_flush_is_not_forgotten (void)
{
  struct link *l;

  begin (PEER_HONEST);
  l = open_link ();
  memset (block, 9, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 0, 0), 0);
  peer.failing_flushes = 1;
  CU_ASSERT_EQUAL (flush (l), EIO);
  CU_ASSERT_EQUAL (link_read (l, got, MB, 0), 0);
  CU_ASSERT_EQUAL (memcmp (got, block, MB), 0);
  CU_ASSERT_EQUAL (flush (l), 0);
  CU_ASSERT (peer_keeps (&peer, block, 0, MB));
  CU_ASSERT (resent (l) > 0);
  link_close (l);
  peer_end (&peer);
}

/* The same by a write with FUA, where the server flushes for that: others lose
 * what they wrote.
 */
static void
nor_is_a_failed_fua (void)
{
  struct link *l;

  begin (PEER_HONEST);
  l = open_link ();
  memset (block, 9, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 0, 0), 0);
  peer.full = true;
  CU_ASSERT_EQUAL (link_write (l, block, PAGE, 2 * MB, IO_FUA), ENOSPC);
  peer.full = false;
  CU_ASSERT_EQUAL (flush (l), 0);
  CU_ASSERT_EQUAL (resent (l), 0);
  memset (block, 8, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 0, 0), 0);
  peer.failing_fuas = 1;
  CU_ASSERT_EQUAL (link_write (l, block, PAGE, 2 * MB, IO_FUA), EIO);
  CU_ASSERT_EQUAL (link_read (l, got, MB, 0), 0);
  CU_ASSERT_EQUAL (memcmp (got, block, MB), 0);
  CU_ASSERT_EQUAL (flush (l), 0);
  CU_ASSERT (peer_keeps (&peer, block, 0, MB));
  CU_ASSERT (resent (l) > 0);
  link_close (l);
  peer_end (&peer);
}

static uint32_t late_flags;
static int late_result;

static void *
write_late (void *arg)
{
  late_result = link_write (arg, block, MB, 0, late_flags);
  return NULL;
}

static bool
is_carried_out (struct link *l)
{
  (void)l;
  return peer_serves (&peer, block, 0, MB);
}

static void
write_beside_a_failed_flush (struct link *l, uint8_t fill, uint32_t flags)
{
  pthread_t thread;

  memset (block, fill, MB);
  late_flags = flags;
  peer.late_page = 1;
  CU_ASSERT_EQUAL_FATAL (pthread_create (&thread, NULL, write_late, l), 0);
  CU_ASSERT (eventually (is_carried_out, l));
  peer.failing_flushes = 1;
  CU_ASSERT_EQUAL (flush (l), EIO);
  peer.late_page = 0;
  pthread_join (thread, NULL);
}

/* A write that was carried out before a flush which fails, and that is answered
 * behind it: it may have been lost as well.
 */
static void
so_is_what_was_under_way (void)
{
  struct link *l;

  begin (PEER_HONEST);
  l = open_link ();
  write_beside_a_failed_flush (l, 10, 0);
  CU_ASSERT_EQUAL (late_result, 0);
  CU_ASSERT_EQUAL (flush (l), 0);
  CU_ASSERT (peer_keeps (&peer, block, 0, MB));
  CU_ASSERT (resent (l) > 0);
  /* Nobody could send this one again. */
  write_beside_a_failed_flush (l, 11, IO_FUA);
  CU_ASSERT_EQUAL (late_result, EIO);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 0, IO_FUA), 0);
  CU_ASSERT (peer_keeps (&peer, block, 0, MB));
  link_close (l);
  peer_end (&peer);
}

static bool
is_sent_again (struct link *l)
{
  return resent (l) >= MB / CHANNEL_CHUNK_BYTES && is_carried_out (l);
}

/* So is what was being sent again. */
static void
a_flush_fails_beside_a_replay (void)
{
  struct link *l;

  begin (PEER_HONEST);
  l = open_link ();
  memset (block, 12, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 0, 0), 0);
  peer.late_page = 1;
  peer.failing_flushes = 1;
  CU_ASSERT_EQUAL (flush (l), EIO);
  CU_ASSERT (eventually (is_sent_again, l));
  peer.failing_flushes = 1;
  CU_ASSERT_EQUAL (flush (l), EIO);
  peer.late_page = 0;
  CU_ASSERT_EQUAL (flush (l), 0);
  CU_ASSERT (peer_keeps (&peer, block, 0, MB));
  link_close (l);
  peer_end (&peer);
}

static bool
workers_are_gone (struct link *l)
{
  (void)l;
  return peer.deaths > 0;
}

static bool
log_is_empty (struct link *l)
{
  return retained (l) == 0;
}

/* While no worker lives, what is in doubt is read out of the log. Nobody needs
 * to flush for it to be sent again.
 */
static void
doubtful_ranges_are_read_without_a_server (void)
{
  struct link *l;

  begin (PEER_HONEST);
  options.cached = false;
  options.outage_fail_ns = SECOND;
  peer.forgets = true;
  l = open_link ();
  memset (block, 5, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 3 * MB + 5, 0), 0);
  CU_ASSERT_EQUAL (link_plain (l, IO_ZERO, 5000, 3 * MB + 100000, 0), 0);
  memset (block + 100000 - 5, 0, 5000);
  CU_ASSERT_EQUAL (retained (l), MB / CHANNEL_CHUNK_BYTES + 2);
  peer.hold = true;
  peer.kills++;
  CU_ASSERT (eventually (workers_are_gone, l));
  sleep_ms (20);
  CU_ASSERT_EQUAL (link_read (l, got, MB, 3 * MB + 5), 0);
  CU_ASSERT_EQUAL (memcmp (got, block, MB), 0);
  CU_ASSERT_EQUAL (link_read (l, got, MB, 3 * MB), EIO); /* not all of it */
  peer.hold = false;
  CU_ASSERT (eventually (log_is_empty, l));
  CU_ASSERT (resent (l) >= MB / CHANNEL_CHUNK_BYTES + 2);
  CU_ASSERT (peer_keeps (&peer, block, 3 * MB + 5, MB));
  link_close (l);
  peer_end (&peer);
}

static bool
is_renewed (struct link *l)
{
  (void)l;
  return peer.distrusted > 0;
}

/* A server that is read-only for a while, just when a session begins: the next
 * one may write what is kept.
 */
static void
a_session_that_may_not_write_is_renewed (void)
{
  struct link *l;

  begin (PEER_HONEST);
  l = open_link ();
  memset (block, 13, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 0, 0), 0);
  peer.hold = true;
  peer.kills++;
  CU_ASSERT (eventually (workers_are_gone, l));
  peer.info.caps &= ~VOLUME_CAN_WRITE;
  peer.hold = false;
  CU_ASSERT_EQUAL (link_write (l, block, 1, 0, 0), EROFS);
  peer.info.caps |= VOLUME_CAN_WRITE;
  CU_ASSERT (eventually (is_renewed, l));
  CU_ASSERT (eventually (log_is_empty, l));
  CU_ASSERT (peer_keeps (&peer, block, 0, MB));
  link_close (l);
  peer_end (&peer);
}

static bool
is_in_doubt (struct link *l)
{
  struct link_stats s;

  link_stats (l, &s);
  return s.doubts > 0;
}

/* Another process may have read what the server has lost, and have offered that
 * to the cache that all share.
 */
static void
doubtful_ranges_are_not_what_others_cached (void)
{
  const uint64_t page = 3 * MB / PAGE;
  static uint8_t lost[PAGE];
  struct link *l;
  uint64_t version;

  begin (PEER_HONEST);
  peer.forgets = true;
  l = open_link ();
  memset (block, 5, 2 * PAGE);
  CU_ASSERT_EQUAL (link_write (l, block, 2 * PAGE - 100, 3 * MB, 0), 0);
  memset (block + 2 * PAGE - 100, 0, 100);
  peer.hold = true;
  peer.kills++;
  CU_ASSERT (eventually (is_in_doubt, l));
  for (uint64_t i = 0; i < 2; i++) {
    CU_ASSERT (stripes_quiet (&peer.map, page + i, &version));
    store_insert (&peer.store, page + i, version, lost);
  }
  CU_ASSERT_EQUAL (link_read (l, got, 2 * PAGE, 3 * MB), 0);
  CU_ASSERT_EQUAL (memcmp (got, block, 2 * PAGE), 0);
  CU_ASSERT_EQUAL (link_read (l, got, 7, 3 * MB + 4093), 0);
  CU_ASSERT_EQUAL (memcmp (got, block, 7), 0);
  peer.hold = false;
  CU_ASSERT (eventually (log_is_empty, l));
  CU_ASSERT_EQUAL (link_read (l, got, 2 * PAGE, 3 * MB), 0);
  CU_ASSERT_EQUAL (memcmp (got, block, 2 * PAGE), 0);
  link_close (l);
  peer_end (&peer);
}

/* Whoever takes the lease over finds everything stable. */
static void
the_lease_goes_with_an_empty_log (void)
{
  struct link *a, *b;

  begin (PEER_HONEST);
  peer.forgets = true;
  a = open_link ();
  b = open_link ();
  for (uint8_t round = 1; round <= 6; round++) {
    struct link *writer = round % 2 ? a : b, *other = round % 2 ? b : a;

    memset (block, round, MB);
    CU_ASSERT_EQUAL (link_write (writer, block, MB, 0, 0), 0);
    if (round % 3 == 0)
      peer.kills++;
    CU_ASSERT_EQUAL (link_write (other, block, 1, 5 * MB, 0), 0);
    CU_ASSERT (peer_keeps (&peer, block, 0, MB));
    CU_ASSERT_EQUAL (retained (writer), 0);
  }
  link_close (a);
  link_close (b);
  peer_end (&peer);
}

/* ---- trim, zero, block status ---- */

static void
status_is_told_in_extents (void)
{
  struct io_extent *x = calloc (IO_EXTENTS_MAX, sizeof *x);
  struct link *l;
  uint32_t n;

  begin (PEER_HONEST);
  peer.info.block_min = 512;
  peer.info.range_max = 2 * MB;
  l = open_link ();
  memset (block, 3, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, MB, 0), 0);
  CU_ASSERT_EQUAL (link_plain (l, IO_TRIM, 8192, MB + 4096, 0), 0);
  CU_ASSERT_EQUAL (link_plain (l, IO_ZERO, 8192, MB + 16384, IO_NO_HOLE), 0);

  CU_ASSERT_EQUAL (link_status (l, 8 * MB, 0, x, &n), 0);
  CU_ASSERT_EQUAL (n, 4); /* as much as one request covers */
  CU_ASSERT_EQUAL (x[0].length, MB);
  CU_ASSERT_EQUAL (x[0].flags, IO_EXTENT_HOLE | IO_EXTENT_ZERO);
  CU_ASSERT_EQUAL (x[1].length, 4096);
  CU_ASSERT_EQUAL (x[1].flags, 0);
  CU_ASSERT_EQUAL (x[2].length, 8192);
  CU_ASSERT_EQUAL (x[3].length, MB - 12288);
  /* What is asked for need not be whole blocks. */
  CU_ASSERT_EQUAL (link_status (l, 5000, MB + 4090, x, &n), 0);
  CU_ASSERT_EQUAL (n, 2);
  CU_ASSERT_EQUAL (x[0].length, 6);
  CU_ASSERT_EQUAL (x[0].flags, 0);
  CU_ASSERT_EQUAL (x[1].length, 4994);
  CU_ASSERT_EQUAL (x[1].flags, IO_EXTENT_HOLE | IO_EXTENT_ZERO);
  CU_ASSERT_EQUAL (link_status (l, 1, PEER_VOLUME_BYTES - 1, x, &n), 0);
  CU_ASSERT_EQUAL (n, 1);
  CU_ASSERT_EQUAL (x[0].length, 1);
  /* In doubt: not to be told that it is a hole. */
  peer.failing_flushes = 2;
  CU_ASSERT_EQUAL (flush (l), EIO);
  CU_ASSERT_EQUAL (link_status (l, 4096, MB, x, &n), 0);
  CU_ASSERT_EQUAL (x[0].flags, 0);
  link_close (l);
  peer_end (&peer);
  free (x);
}

static void
lies_about_status_are_no_answer (void)
{
  struct io_extent *x = calloc (IO_EXTENTS_MAX, sizeof *x);
  struct link *l;
  uint32_t n;

  begin (PEER_LIES);
  l = open_link ();
  /* One is fooled by nothing, and replaced where it cannot be an accident. */
  while (peer.lies < 6)
    CU_ASSERT_EQUAL (link_status (l, MB, 0, x, &n), EIO);
  CU_ASSERT_EQUAL (peer.distrusted, 3);
  link_close (l);
  peer_end (&peer);
  free (x);
}

static void
large_ranges_go_in_pieces (void)
{
  static const struct {
    uint32_t max, caps, flags, op, pieces;
  } of[] = {{0, 0, 0, IO_ZERO, 8},
            {64 * 1024, 0, 0, IO_TRIM, 128},
            {8 * MB, VOLUME_CAN_FAST_ZERO, 0, IO_ZERO, 1},
            {8 * MB, 0, 0, IO_ZERO, 2}, /* which takes time: 4 MiB each */
            {8 * MB, VOLUME_CAN_FAST_ZERO, IO_NO_HOLE, IO_ZERO, 2}};

  for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
    struct link *l;
    unsigned before;

    begin (PEER_HONEST);
    peer.info.range_max = of[i].max;
    peer.info.caps |= of[i].caps;
    l = open_link ();
    memset (block, 3, MB);
    memset (got, 0, MB);
    CU_ASSERT_EQUAL (link_write (l, block, MB, 4 * MB, 0), 0);
    CU_ASSERT_EQUAL (link_read (l, block, MB, 4 * MB), 0); /* cached */
    before = peer.gateway[0].path[0].served;
    CU_ASSERT_EQUAL (
        link_plain (l, (enum io_op)of[i].op, 8 * MB, 0, of[i].flags), 0);
    CU_ASSERT_EQUAL (peer.gateway[0].path[0].served - before, of[i].pieces);
    CU_ASSERT_EQUAL (link_read (l, block, MB, 4 * MB), 0);
    CU_ASSERT_EQUAL (memcmp (block, got, MB), 0);
    link_close (l);
    peer_end (&peer);
  }
}

/* Reads as the client likes; the server is only asked for whole blocks. */
static void
reads_are_widened_to_blocks (void)
{
  static const uint32_t sizes[] = {512, 4096, 65536};

  for (size_t i = 0; i < 6; i++) {
    struct link *l;

    begin (PEER_HONEST);
    peer.info.block_min = peer.info.block_preferred = sizes[i % 3];
    options.cached = i / 3;
    l = open_link ();
    for (size_t k = 0; k < sizeof block; k++)
      block[k] = (uint8_t)(k * 7 + k / 256);
    CU_ASSERT_EQUAL (link_write (l, block, 2 * MB, 0, 0), 0);
    for (unsigned at = 1; at + 70000 < 2 * MB; at += 70001) {
      CU_ASSERT_EQUAL (link_read (l, got, 70000, at), 0);
      CU_ASSERT_EQUAL (memcmp (got, block + at, 70000), 0);
    }
    for (unsigned at = 3; at + 9000 < MB; at += 9000) { /* prefetched */
      CU_ASSERT_EQUAL (link_read (l, got, 9000, at), 0);
      CU_ASSERT_EQUAL (memcmp (got, block + at, 9000), 0);
    }
    CU_ASSERT_EQUAL (link_read (l, got, 3, PEER_VOLUME_BYTES - 3), 0);
    CU_ASSERT_EQUAL (peer.misaligned, 0);
    link_close (l);
    peer_end (&peer);
  }
}

UNIT_MAIN ("proof", UNIT_TEST (nothing_is_sent_again_without_need),
           UNIT_TEST (a_server_that_forgets_loses_nothing),
           UNIT_TEST (one_of_several_sessions_sees_it_restart),
           UNIT_TEST (one_flush_for_all_connections),
           UNIT_TEST (a_small_log_flushes_by_itself),
           UNIT_TEST (full_log_fails_writes_as_the_flush_does),
           UNIT_TEST (a_failed_flush_is_not_forgotten),
           UNIT_TEST (nor_is_a_failed_fua),
           UNIT_TEST (so_is_what_was_under_way),
           UNIT_TEST (a_flush_fails_beside_a_replay),
           UNIT_TEST (a_session_that_may_not_write_is_renewed),
           UNIT_TEST (doubtful_ranges_are_read_without_a_server),
           UNIT_TEST (doubtful_ranges_are_not_what_others_cached),
           UNIT_TEST (the_lease_goes_with_an_empty_log),
           UNIT_TEST (status_is_told_in_extents),
           UNIT_TEST (lies_about_status_are_no_answer),
           UNIT_TEST (large_ranges_go_in_pieces),
           UNIT_TEST (reads_are_widened_to_blocks))
