/* SPDX-License-Identifier: BSD-2-Clause */
/* The link with many threads against a daemon and a worker that run as threads
 * of this program: workers die in the middle of it, answer in any order, or
 * break the rules of the rings. Also what ThreadSanitizer is run on.
 */
#include "config.h"
#include "gateway/link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "gateway/inflight.h"
#include "ipc/stats.h"
#include "tests/fake/peer.h"
#include "tests/unit/unit.h"

#define SECOND PEER_SECOND
#define VOLUME_BYTES PEER_VOLUME_BYTES
#define THREADS 8
#define REGION_BYTES (VOLUME_BYTES / THREADS)

static struct peer peer;

/* ---- clients ---- */

static _Atomic bool stop_waiting;

static bool
interrupted (void)
{
  return stop_waiting;
}

static struct link_options options;

static struct link *
open_link (void)
{
  static struct volume_spec spec;
  static const struct log quiet;
  struct link *l = NULL;
  struct fault f = {0};

  stop_waiting = false;
  memset (&spec, 0, sizeof spec);
  snprintf (spec.proto, sizeof spec.proto, "sftp");
  CU_ASSERT_EQUAL_FATAL (
    link_open (&spec, NULL, 0, &options, &quiet, interrupted, &l, &f), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (link_start (l, &f), ERR_OK);
  CU_ASSERT_EQUAL (link_info (l)->size, VOLUME_BYTES);
  return l;
}

struct client {
  struct link *link;
  unsigned index;
  unsigned ops, errors, wrong;
};

/* How many workers have to come to an end; on a slow machine or under a
 * sanitizer that takes longer than the second that clients work for.
 */
static unsigned wanted_ends;

static bool
worked_enough (const struct timespec *begin)
{
  struct timespec now;
  double s;

  clock_gettime (CLOCK_MONOTONIC, &now);
  s = (double)(now.tv_sec - begin->tv_sec)
      + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
  return s >= 30
         || (s >= 1 && peer.deaths + peer.distrusted >= wanted_ends);
}

/* One thread, its own region: what it reads is what it wrote last. */
static void *
client_main (void *arg)
{
  struct client *c = arg;
  uint8_t *model = calloc (1, REGION_BYTES);
  uint8_t *buf = malloc (REGION_BYTES);
  unsigned seed = c->index;
  struct timespec begin;

  clock_gettime (CLOCK_MONOTONIC, &begin);
  do {
    uint32_t n = rand_r (&seed) % 16 ? 1 + (uint32_t)rand_r (&seed) % 9000
                                     : REGION_BYTES / 2;
    uint32_t at = (uint32_t)rand_r (&seed) % (REGION_BYTES - n + 1);
    uint64_t offset = (uint64_t)c->index * REGION_BYTES + at;
    int r;

    switch (rand_r (&seed) % 4) {
    case 0:
      r = link_plain (c->link, IO_FLUSH, 0, 0, 0);
      break;
    case 1:
      memset (model + at, rand_r (&seed), n);
      r = link_write (c->link, model + at, n, offset, 0);
      break;
    default:
      r = link_read (c->link, buf, n, offset);
      if (r == 0 && memcmp (buf, model + at, n) != 0)
        c->wrong++;
    }
    c->errors += r != 0;
    c->ops++;
  } while (!worked_enough (&begin));
  free (model);
  free (buf);
  return NULL;
}

static void
default_options (void)
{
  options = (struct link_options){.connections = 1, .cached = true,
                                  .prefetch_bytes = 4u << 20,
                                  .retain_bytes = 64u << 20,
                                  .outage_fail_ns = UINT64_MAX,
                                  .request_ns = 30 * SECOND};
}

static double
seconds_since (const struct timespec *before)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - before->tv_sec)
         + (double)(now.tv_nsec - before->tv_nsec) / 1e9;
}

static unsigned
hammer_paths (enum peer_mischief mischief, unsigned paths, unsigned ends)
{
  struct client clients[THREADS] = {0};
  pthread_t threads[THREADS];
  unsigned ops = 0;
  struct link *l;

  default_options ();
  options.connections = paths;
  wanted_ends = ends;
  peer_start (&peer, mischief);
  peer.paths = paths;
  l = open_link ();
  for (unsigned i = 0; i < THREADS; i++) {
    clients[i] = (struct client){.link = l, .index = i};
    pthread_create (&threads[i], NULL, client_main, &clients[i]);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join (threads[i], NULL);
    CU_ASSERT_EQUAL (clients[i].errors, 0);
    CU_ASSERT_EQUAL (clients[i].wrong, 0);
    ops += clients[i].ops;
  }
  printf (" %u ops, %u deaths, %u distrusted ", ops, peer.deaths,
          peer.distrusted);
  CU_ASSERT (ops > THREADS);
  for (unsigned i = 0; i < paths; i++)
    CU_ASSERT (peer.gateway[0].path[i].served > 0);
  link_close (l);
  peer_end (&peer);
  return ops;
}

static unsigned
hammer (enum peer_mischief mischief, unsigned ends)
{
  return hammer_paths (mischief, 1, ends);
}

static void
honest_worker (void)
{
  hammer (PEER_HONEST, 0);
  CU_ASSERT_EQUAL (peer.distrusted, 0);
}

static void
workers_that_die_lose_nothing (void)
{
  hammer (PEER_DIES, 10);
  CU_ASSERT (peer.deaths >= 10);
  CU_ASSERT_EQUAL (peer.distrusted, 0);
}

static void
hostile_workers_are_replaced (void)
{
  static const enum peer_mischief kinds[]
    = {PEER_FORGED_ID, PEER_FORGED_TAIL, PEER_FORGED_HEAD, PEER_TWICE};

  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    hammer (kinds[i], 1);
    CU_ASSERT (peer.distrusted >= 1);
  }
}

static void
several_paths (void)
{
  hammer_paths (PEER_HONEST, 3, 0);
  CU_ASSERT_EQUAL (peer.distrusted, 0);
  hammer_paths (PEER_DIES, 3, 20);
  CU_ASSERT (peer.deaths >= 20);
  CU_ASSERT_EQUAL (peer.distrusted, 0);
  hammer_paths (PEER_FORGED_ID, CHANNEL_PATHS, 1);
  CU_ASSERT (peer.distrusted >= 1);
  hammer_paths (PEER_FORGED_HEAD, 2, 1);
  CU_ASSERT (peer.distrusted >= 1);
}

/* One path is down most of the time, and with "outage=fail:0" a request would
 * fail at once if there were none.
 */
static void
one_path_is_enough (void)
{
  uint8_t buf[9000], want[9000];
  struct timespec before;
  unsigned deaths = 0;
  struct link *l;

  default_options ();
  options.cached = false;
  options.connections = 2;
  options.outage_fail_ns = 0;
  peer_start (&peer, PEER_DIES);
  peer.paths = 2;
  peer.bad_paths = 2; /* the second */
  peer.life_ns = SECOND / 100;
  peer.pause_ns = SECOND / 20;
  l = open_link ();
  clock_gettime (CLOCK_MONOTONIC, &before);
  for (unsigned i = 0; deaths < 10 && seconds_since (&before) < 20; i++) {
    uint64_t offset = (uint64_t)(i % 200) * sizeof buf;

    memset (want, (int)i, sizeof want);
    CU_ASSERT_EQUAL (link_write (l, want, sizeof want, offset, 0), 0);
    CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, offset), 0);
    CU_ASSERT_EQUAL (memcmp (buf, want, sizeof buf), 0);
    if (i % 8 == 0)
      CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), 0);
    deaths = peer.deaths;
  }
  CU_ASSERT (deaths >= 10);
  CU_ASSERT (peer.gateway[0].path[1].served > 0);
  link_close (l);
  peer_end (&peer);
}

/* A worker that hangs, or whose server is silent, holds up its own requests
 * only until it is replaced; the others never.
 */
static void
one_path_hangs (void)
{
  static const enum peer_mischief kinds[] = {PEER_HANGS, PEER_SILENT};

  for (size_t k = 0; k < 2; k++) {
    struct timespec before;
    uint8_t buf[512];
    struct link *l;

    default_options ();
    options.cached = false;
    options.connections = 3;
    options.outage_fail_ns = 0;
    options.request_ns = SECOND;
    peer_start (&peer, kinds[k]);
    peer.paths = 3;
    peer.bad_paths = 2;
    l = open_link ();
    clock_gettime (CLOCK_MONOTONIC, &before);
    while (!peer.distrusted && seconds_since (&before) < 20)
      CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, 1u << 20), 0);
    CU_ASSERT (peer.distrusted >= 1);
    link_close (l);
    peer_end (&peer);
  }
}

/* Each path that has written is flushed, and no other. */
static void
a_flush_goes_where_was_written (void)
{
  uint8_t buf[512] = {1};
  struct link *l;
  struct peer_path *path = peer.gateway[0].path;

  default_options ();
  options.cached = false;
  options.prefetch_bytes = 0;
  options.connections = 3;
  peer_start (&peer, PEER_HONEST);
  peer.paths = 3;
  l = open_link ();
  for (unsigned p = 0; p < 3; p++) /* until all are up */
    while (path[p].served == 0)
      CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, 1u << 20), 0);
  for (unsigned writes = 1; writes <= 3; writes++) {
    unsigned before = path[0].flushes + path[1].flushes + path[2].flushes;

    for (unsigned i = 0; i < writes; i++)
      CU_ASSERT_EQUAL (link_write (l, buf, sizeof buf, i * 4096, 0), 0);
    CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), 0);
    CU_ASSERT_EQUAL (path[0].flushes + path[1].flushes + path[2].flushes
                       - before,
                     writes);
    /* Nobody has anything to flush, one is asked all the same. */
    CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), 0);
    CU_ASSERT_EQUAL (path[0].flushes + path[1].flushes + path[2].flushes
                       - before,
                     writes + 1);
  }
  link_close (l);
  peer_end (&peer);
}

/* Who may not serve any more does not serve out of the cache either. */
static void
given_up_means_no_hits (void)
{
  uint8_t buf[PAGE_BYTES];
  struct link_stats s;
  struct timespec before;
  struct link *l;

  default_options ();
  options.prefetch_bytes = 0;
  peer_start (&peer, PEER_HONEST);
  l = open_link ();
  clock_gettime (CLOCK_MONOTONIC, &before);
  do {
    CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, 0), 0);
    link_stats (l, &s);
  } while (s.hits == 0 && seconds_since (&before) < 20);
  CU_ASSERT (s.hits > 0);
  peer.expel = true;
  while (link_read (l, buf, sizeof buf, 0) == 0 && seconds_since (&before) < 20)
    poll (NULL, 0, 1);
  for (int i = 0; i < 100; i++)
    CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, 0), EIO);
  CU_ASSERT_EQUAL (link_write (l, buf, sizeof buf, 0, 0), EIO);
  link_close (l);
  peer_end (&peer);
}

/* What was asked for by clients is counted, and by whom it was answered. */
static void
requests_are_counted (void)
{
  CLEANUP_FREE struct stats *s = calloc (1, sizeof *s);
  uint8_t buf[2 * PAGE_BYTES] = {0};
  struct timespec before;
  struct link *l;
  unsigned hot = 0, cold = 0;

  default_options ();
  options.prefetch_bytes = 0;
  peer_start (&peer, PEER_HONEST);
  l = open_link ();
  clock_gettime (CLOCK_MONOTONIC, &before);
  do { /* until the cache has answered some */
    struct link_stats was, is;

    link_stats (l, &was);
    CU_ASSERT_EQUAL (link_read (l, buf, PAGE_BYTES, 0), 0);
    link_stats (l, &is);
    hot += is.hits != was.hits;
    cold += is.hits == was.hits;
  } while (hot < 3 * STATS_SAMPLE && seconds_since (&before) < 20);
  CU_ASSERT_EQUAL (link_write (l, buf, sizeof buf, 1u << 20, 0), 0);
  CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), 0);
  while (peer.stats_fd < 0 && seconds_since (&before) < 20)
    poll (NULL, 0, 1);
  CU_ASSERT_EQUAL_FATAL (stats_read_fd (peer.stats_fd, s), ERR_OK);
  CU_ASSERT_EQUAL (s->op[STATS_CACHED].requests, hot);
  CU_ASSERT_EQUAL (s->op[STATS_CACHED].bytes, (uint64_t)hot * PAGE_BYTES);
  CU_ASSERT (stats_percentile_ns (s->op[STATS_CACHED].bucket, 0.5) > 0);
  CU_ASSERT_EQUAL (s->op[STATS_READ].requests, cold);
  CU_ASSERT_EQUAL (s->op[STATS_READ].bytes, (uint64_t)cold * PAGE_BYTES);
  CU_ASSERT (s->op[STATS_READ].busy_ns > 0);
  CU_ASSERT_EQUAL (s->op[STATS_WRITE].requests, 1);
  CU_ASSERT_EQUAL (s->op[STATS_WRITE].bytes, sizeof buf);
  CU_ASSERT_EQUAL (s->op[STATS_FLUSH].requests, 1);
  CU_ASSERT_EQUAL (s->gauge[STATS_PATHS_UP], 1);
  CU_ASSERT_EQUAL (s->gauge[STATS_IN_FLIGHT], 0);
  CU_ASSERT_EQUAL (s->gauge[STATS_DOWN_SINCE_NS], 0);
  close (atomic_exchange (&peer.stats_fd, -1));
  link_close (l);
  peer_end (&peer);
}

/* A window of more pieces than there is room for: nothing is given up to read
 * further ahead, and so nothing is asked for twice.
 */
static void
a_full_window_is_read_once (void)
{
  uint8_t buf[16384];
  struct link *l;

  default_options ();
  options.prefetch_bytes = 8u << 20;
  peer_start (&peer, PEER_HONEST);
  peer.info.request_max = 65536;
  l = open_link ();
  for (uint64_t at = 0; at < VOLUME_BYTES; at += sizeof buf)
    CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, at), 0);
  CU_ASSERT (peer.gateway[0].path[0].served <= VOLUME_BYTES / 65536 + 8);
  link_close (l);
  peer_end (&peer);
}

/* The worker goes; what the next one finds is this. */
static void
lose_session (uint64_t change)
{
  struct timespec before;
  unsigned deaths = peer.deaths;

  clock_gettime (CLOCK_MONOTONIC, &before);
  peer.hold = true;
  peer.kills++;
  while (peer.deaths == deaths && seconds_since (&before) < 20)
    poll (NULL, 0, 1);
  peer.info.change = change;
  peer.hold = false;
}

static uint64_t
hits_of_reading (struct link *l, uint64_t page)
{
  uint8_t buf[PAGE_BYTES];
  struct link_stats s, t;

  link_stats (l, &s);
  CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, page * PAGE_BYTES), 0);
  link_stats (l, &t);
  return t.hits - s.hits;
}

/* Until another worker serves: this is not cached. */
static void
wait_for_session (struct link *l, uint64_t page)
{
  uint8_t byte;

  CU_ASSERT_EQUAL (link_read (l, &byte, 1, page * PAGE_BYTES), 0);
}

static void
cache (struct link *l, uint64_t page)
{
  struct timespec before;

  clock_gettime (CLOCK_MONOTONIC, &before);
  while (!hits_of_reading (l, page) && seconds_since (&before) < 20)
    poll (NULL, 0, 1);
}

/* Without revalidate=, and without a question. */
static void
a_new_session_may_find_it_changed (void)
{
  uint8_t buf[PAGE_BYTES] = {1};
  struct link *l;

  default_options ();
  options.prefetch_bytes = 0;
  peer_start (&peer, PEER_HONEST);
  peer.info.change = 50;
  l = open_link ();
  cache (l, 3);
  lose_session (50); /* as it was */
  wait_for_session (l, 1000);
  CU_ASSERT_EQUAL (hits_of_reading (l, 3), 1);
  lose_session (51); /* somebody else has written */
  wait_for_session (l, 1001);
  CU_ASSERT_EQUAL (hits_of_reading (l, 3), 0);
  cache (l, 3);
  CU_ASSERT_EQUAL (link_write (l, buf, PAGE_BYTES, 9 * PAGE_BYTES, 0), 0);
  lose_session (52); /* we have */
  wait_for_session (l, 1002);
  CU_ASSERT_EQUAL (hits_of_reading (l, 3), 1);
  link_close (l);
  peer_end (&peer);
}

/* Three daemons that die while they open the volume are forgiven. */
static void
a_daemon_that_dies_is_tried_again (void)
{
  static const struct log quiet;
  static struct volume_spec spec;
  uint8_t buf[512];
  struct fault f = {0};
  struct link *l = NULL;

  default_options ();
  snprintf (spec.proto, sizeof spec.proto, "sftp");
  peer_start (&peer, PEER_HONEST);
  peer.drops = 3;
  l = open_link ();
  CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, 0), 0);
  link_close (l);
  peer.drops = 100;
  CU_ASSERT_EQUAL (
    link_open (&spec, NULL, 0, &options, &quiet, interrupted, &l, &f),
    ERR_CLOSED);
  CU_ASSERT_EQUAL (peer.drops, 96);
  peer_end (&peer);
}

static void *
waits_in_vain (void *arg)
{
  uint8_t buf[1000];

  CU_ASSERT_EQUAL (link_read (arg, buf, sizeof buf, 0), ESHUTDOWN);
  return NULL;
}

/* What WORKER has told of a session is handed to the next daemon. */
static void
a_session_for_all_is_handed_over_as_that (void)
{
  for (int shared = 0; shared < 2; shared++) {
    struct timespec before;
    struct link *l;

    default_options ();
    peer_start (&peer, PEER_HONEST);
    peer.shared = shared;
    l = open_link ();
    shutdown (peer.gateway[0].sock, SHUT_RDWR);
    clock_gettime (CLOCK_MONOTONIC, &before);
    while (!peer.adopts && seconds_since (&before) < 20)
      poll (NULL, 0, 1);
    CU_ASSERT_EQUAL (peer.adopts, 1);
    CU_ASSERT_EQUAL (peer.adopted_lanes, 1);
    CU_ASSERT_EQUAL (peer.adopted_shared, shared);
    link_close (l);
    peer_end (&peer);
  }
}

/* nbdkit is told to end while a server is silent: every wait ends at once. */
static void
shutdown_ends_all_waits (void)
{
  pthread_t threads[200];
  struct timespec before, after;
  struct link *l;

  default_options ();
  peer_start (&peer, PEER_SILENT);
  l = open_link ();
  for (size_t i = 0; i < 200; i++) /* more than there are slots */
    pthread_create (&threads[i], NULL, waits_in_vain, l);
  clock_gettime (CLOCK_MONOTONIC, &before);
  stop_waiting = true;
  for (size_t i = 0; i < 200; i++)
    pthread_join (threads[i], NULL);
  clock_gettime (CLOCK_MONOTONIC, &after);
  CU_ASSERT (after.tv_sec - before.tv_sec <= 5);
  link_close (l);
  peer_end (&peer);
}

/* A worker that is awake, does nothing and has work in hand. */
static void
a_hanging_worker_is_replaced (void)
{
  struct timespec before;
  uint8_t buf[512];
  struct link *l;

  default_options ();
  options.cached = false;
  peer_start (&peer, PEER_HANGS);
  l = open_link ();
  clock_gettime (CLOCK_MONOTONIC, &before);
  while (!peer.distrusted && seconds_since (&before) < 20)
    CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, 1u << 20), 0);
  CU_ASSERT_EQUAL (peer.distrusted, 1);
  CU_ASSERT (seconds_since (&before) >= 2);
  link_close (l);
  peer_end (&peer);
}

/* A server that takes requests and never answers. */
static void
an_unanswered_request_ends_the_session (void)
{
  struct timespec before;
  uint8_t buf[512];
  struct link *l;

  default_options ();
  options.request_ns = SECOND;
  options.outage_fail_ns = 0; /* as soon as there is no worker */
  peer_start (&peer, PEER_SILENT);
  l = open_link ();
  clock_gettime (CLOCK_MONOTONIC, &before);
  CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, 0), EIO);
  CU_ASSERT (seconds_since (&before) >= 1);
  CU_ASSERT (seconds_since (&before) < 5);
  link_close (l);
  peer_end (&peer);
}

struct innocent {
  struct link *link;
  _Atomic bool *stop;
  _Atomic unsigned reads;
  unsigned errors;
};

static void *
innocent_main (void *arg)
{
  struct innocent *c = arg;
  uint8_t buf[PAGE_BYTES];
  unsigned seed = 3;

  while (!*c->stop) {
    uint64_t page = 1000 + (uint64_t)rand_r (&seed) % 500;

    c->errors += link_read (c->link, buf, sizeof buf, page * PAGE_BYTES) != 0;
    c->reads++;
  }
  return NULL;
}

/* One request kills each worker that sees it: it fails, the others go on. */
static void
poison (unsigned paths)
{
  struct innocent c = {0};
  _Atomic bool stop = false;
  pthread_t thread;
  uint8_t buf[PAGE_BYTES];
  struct link *l;

  default_options ();
  options.cached = false;
  options.connections = paths;
  peer_start (&peer, PEER_POISONED);
  peer.paths = paths;
  l = open_link ();
  c.link = l;
  c.stop = &stop;
  pthread_create (&thread, NULL, innocent_main, &c);
  for (unsigned i = 1; i <= 3; i++) {
    CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, PEER_POISON * PAGE_BYTES),
                     EIO);
    CU_ASSERT_EQUAL (peer.deaths, i * INFLIGHT_DEATHS_FATAL);
  }
  for (unsigned before = c.reads; c.reads < before + 10;) /* all go on */
    CU_ASSERT_EQUAL (link_read (l, buf, sizeof buf, 0), 0);
  stop = true;
  pthread_join (thread, NULL);
  CU_ASSERT_EQUAL (c.errors, 0);
  link_close (l);
  peer_end (&peer);
}

static void
a_request_that_kills_fails_alone (void)
{
  poison (1);
  poison (2);
  poison (5);
}

UNIT_MAIN ("link", UNIT_TEST (honest_worker),
           UNIT_TEST (workers_that_die_lose_nothing),
           UNIT_TEST (several_paths), UNIT_TEST (one_path_is_enough),
           UNIT_TEST (one_path_hangs),
           UNIT_TEST (a_flush_goes_where_was_written),
           UNIT_TEST (hostile_workers_are_replaced),
           UNIT_TEST (given_up_means_no_hits),
           UNIT_TEST (requests_are_counted),
           UNIT_TEST (a_full_window_is_read_once),
           UNIT_TEST (a_new_session_may_find_it_changed),
           UNIT_TEST (a_daemon_that_dies_is_tried_again),
           UNIT_TEST (a_session_for_all_is_handed_over_as_that),
           UNIT_TEST (shutdown_ends_all_waits),
           UNIT_TEST (a_hanging_worker_is_replaced),
           UNIT_TEST (an_unanswered_request_ends_the_session),
           UNIT_TEST (a_request_that_kills_fails_alone))
