/* SPDX-License-Identifier: BSD-2-Clause */
/* Flushes that overlap: a server tells an error of what it could not write to
 * one of them, and drops it; whoever is told, and whoever is heard first, what
 * was confirmed is on its disk, or an error tells that it may not be.
 */
#include "config.h"
#include "gateway/link.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tests/fake/peer.h"
#include "tests/fake/peer_link.h"
#include "tests/unit/unit.h"

#define SECOND PEER_SECOND
#define MB (1u << 20)
#define PAGE PAGE_BYTES
#define HALF (PAGE / 2)
#define NOWHERE (PEER_VOLUME_BYTES / PAGE + 1) /* late_page: of no request */

static struct peer peer;

static struct link *
begin (unsigned connections)
{
  struct link_options options = {.connections = connections,
                                 .cached = true,
                                 .outage_fail_ns = UINT64_MAX,
                                 .retain_bytes = 64 * MB,
                                 .request_ns = 30 * SECOND};

  peer_start (&peer, PEER_HONEST);
  peer.paths = connections;
  return peer_link (&options, NULL);
}

static void
end (struct link *l)
{
  link_close (l);
  peer_end (&peer);
}

static int
flush (struct link *l)
{
  return link_plain (l, IO_FLUSH, 0, 0, 0);
}

#define EVENTUALLY(what)                                                       \
  do {                                                                         \
    const struct timespec ms = {.tv_nsec = 1000000};                           \
    int i = 0;                                                                 \
                                                                               \
    for (; i < 20000 && !(what); i++)                                          \
      nanosleep (&ms, NULL);                                                   \
    CU_ASSERT_FATAL (i < 20000);                                               \
  } while (0)

/* How many FLUSHes were carried out. */
static unsigned
flushed (void)
{
  unsigned n = 0;

  for (unsigned i = 0; i < peer.paths; i++)
    n += peer.gateway[0].path[i].flushes;
  return n;
}

/* Whether the gateway has heard all that was answered. */
static bool
all_heard (void)
{
  for (unsigned i = 0; i < peer.paths; i++) {
    const struct channel *c = &peer.gateway[0].path[i].view;
    const struct ring_object *mine = c->base[CHANNEL_COMPLETIONS];
    const struct ring_object *gateway = c->base[CHANNEL_REQUESTS];

    if (atomic_load (&mine->tail) != atomic_load (&gateway->head))
      return false;
  }
  return true;
}

static uint8_t block[MB];

/* ---- a thread ---- */

struct job {
  struct link *link;
  uint32_t fua_at; /* 0: it flushes; else where it writes with FUA */
  int result;
  bool stable; /* what was written before, when it was answered */
  pthread_t thread;
};

static void *
job_main (void *arg)
{
  struct job *j = arg;

  j->result = j->fua_at ? link_write (j->link, block, HALF, j->fua_at, IO_FUA)
                        : flush (j->link);
  j->stable = peer_keeps (&peer, block, 0, MB);
  return NULL;
}

static void
job_start (struct job *j)
{
  CU_ASSERT_EQUAL_FATAL (pthread_create (&j->thread, NULL, job_main, j), 0);
}

static void
job_end (struct job *j)
{
  pthread_join (j->thread, NULL);
}

/* ---- tests ---- */

static void
the_second_is_heard_first (void)
{
  struct link *l = begin (1);
  struct job first = {.link = l}, second = {.link = l};

  memset (block, 1, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 0, 0), 0);
  peer.failing_flushes = peer.late_flushes = 1;
  peer.late_page = NOWHERE;
  job_start (&first);
  EVENTUALLY (flushed () == 1);
  job_start (&second);
  EVENTUALLY (flushed () == 2 && all_heard ());
  peer.late_page = 0;
  job_end (&first);
  job_end (&second);
  CU_ASSERT_EQUAL (first.result, EIO);
  CU_ASSERT_EQUAL (second.result, 0);
  CU_ASSERT (second.stable);
  CU_ASSERT_EQUAL (flush (l), 0);
  CU_ASSERT (peer_keeps (&peer, block, 0, MB));
  end (l);
}

/* The flush of one connection fails, and that of another one is heard first. */
static void
so_is_another_connection (void)
{
  struct link *l = begin (2);
  struct job both = {.link = l};

  memset (block, 2, MB);
  for (unsigned i = 0; i < MB; i += PAGE)
    CU_ASSERT_EQUAL (link_write (l, block + i, PAGE, i, 0), 0);
  CU_ASSERT (peer.gateway[0].path[0].served > 0);
  CU_ASSERT (peer.gateway[0].path[1].served > 0);
  peer.failing_flushes = peer.late_flushes = 1;
  peer.late_page = NOWHERE;
  job_start (&both);
  EVENTUALLY (flushed () == 2 && all_heard ());
  peer.late_page = 0;
  job_end (&both);
  CU_ASSERT_EQUAL (both.result, EIO);
  CU_ASSERT_EQUAL (flush (l), 0);
  CU_ASSERT (peer_keeps (&peer, block, 0, MB));
  end (l);
}

/* … and its answer is never heard, as that session ends. */
static void
nor_is_it_heard_later (void)
{
  struct link *l = begin (2);
  struct job both = {.link = l};

  peer.session_tokens = true;
  memset (block, 6, MB);
  for (unsigned i = 0; i < MB; i += PAGE)
    CU_ASSERT_EQUAL (link_write (l, block + i, PAGE, i, 0), 0);
  peer.failing_flushes = peer.late_flushes = 1;
  peer.late_page = NOWHERE;
  job_start (&both);
  EVENTUALLY (flushed () == 2 && all_heard ());
  peer.kill_paths = 1u << peer.late_path;
  job_end (&both);
  CU_ASSERT_EQUAL (both.result, 0);
  CU_ASSERT (both.stable);
  end (l);
}

/* A write with FUA is a flush as well, where the server flushes for that. */
static void
so_is_a_write_with_fua (void)
{
  struct link *l = begin (1);
  struct job fua = {.link = l, .fua_at = 500 * PAGE}, second = {.link = l};

  memset (block, 3, MB);
  CU_ASSERT_EQUAL (link_write (l, block, MB, 0, 0), 0);
  peer.failing_fuas = 1;
  peer.late_page = 500 + 1;
  job_start (&fua);
  EVENTUALLY (!peer.failing_fuas);
  job_start (&second);
  EVENTUALLY (flushed () == 1 && all_heard ());
  peer.late_page = 0;
  job_end (&fua);
  job_end (&second);
  CU_ASSERT_EQUAL (fua.result, EIO);
  CU_ASSERT_EQUAL (second.result, 0);
  CU_ASSERT (second.stable);
  end (l);
}

/* Nothing is kept of what was confirmed with FUA: the next FLUSH tells. */
static void
a_confirmed_fua_is_disowned (void)
{
  struct link *l = begin (1);
  struct job fua = {.link = l, .fua_at = 500 * PAGE};

  memset (block, 4, MB);
  peer.failing_fuas = 1;
  peer.late_page = 500 + 1;
  job_start (&fua);
  EVENTUALLY (!peer.failing_fuas);
  CU_ASSERT_EQUAL (link_write (l, block, PAGE, 0, IO_FUA), 0);
  peer.late_page = 0;
  job_end (&fua);
  CU_ASSERT_EQUAL (fua.result, EIO);
  CU_ASSERT_EQUAL (flush (l), EIO);
  CU_ASSERT_EQUAL (flush (l), 0);
  /* Not those that were confirmed before, or behind it. */
  CU_ASSERT_EQUAL (link_write (l, block, PAGE, 0, IO_FUA), 0);
  peer.failing_fuas = 1;
  CU_ASSERT_EQUAL (link_write (l, block, PAGE, 0, IO_FUA), EIO);
  CU_ASSERT_EQUAL (link_write (l, block, PAGE, 0, IO_FUA), 0);
  CU_ASSERT_EQUAL (flush (l), 0);
  end (l);
}

static void
carried_out (struct job *j)
{
  unsigned before = peer.gateway[0].path[0].served;

  job_start (j);
  EVENTUALLY (peer.gateway[0].path[0].served > before);
}

/* One failure fails those that were under way, and no more. */
static void
a_failure_goes_no_further (void)
{
  struct link *l = begin (1);
  struct job beside = {.link = l, .fua_at = 500 * PAGE};
  struct job behind = {.link = l, .fua_at = 500 * PAGE + HALF};

  peer.late_page = 500 + 1;
  carried_out (&beside);
  peer.failing_fuas = 1;
  CU_ASSERT_EQUAL (link_write (l, block, PAGE, 0, IO_FUA), EIO);
  carried_out (&behind);
  peer.late_page = 0;
  job_end (&beside);
  job_end (&behind);
  CU_ASSERT_EQUAL (beside.result, EIO);
  CU_ASSERT_EQUAL (behind.result, 0);
  end (l);
}

UNIT_MAIN ("overlap", UNIT_TEST (the_second_is_heard_first),
           UNIT_TEST (so_is_another_connection),
           UNIT_TEST (nor_is_it_heard_later),
           UNIT_TEST (so_is_a_write_with_fua),
           UNIT_TEST (a_confirmed_fua_is_disowned),
           UNIT_TEST (a_failure_goes_no_further))
