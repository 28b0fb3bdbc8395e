/* SPDX-License-Identifier: BSD-2-Clause */
/* What one process has written and the server has lost, no other one reads as
 * it was before: its reads wait, and go on when that is on the server again.
 */
#include "config.h"
#include "gateway/link.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "tests/fake/peer.h"
#include "tests/fake/peer_link.h"
#include "tests/unit/unit.h"

#define SECOND PEER_SECOND
#define MB (1u << 20)
#define PAGE PAGE_BYTES
#define WRITER 0
#define READER 1

static struct peer peer;
static struct link *writer, *reader;
static uint8_t block[MB];

static struct link *
open_link (uint64_t outage_fail_ns, unsigned connections)
{
  struct link_options options = {.connections = connections,
                                 .cached = true,
                                 .prefetch_bytes = 4 * MB,
                                 .outage_fail_ns = outage_fail_ns,
                                 .retain_bytes = 64 * MB,
                                 .request_ns = 30 * SECOND};

  return peer_link (&options, NULL);
}

static void
begin (unsigned connections)
{
  peer_start (&peer, PEER_HONEST);
  peer.paths = connections;
  writer = open_link (UINT64_MAX, connections);
  reader = open_link (UINT64_MAX, connections);
}

static void
end (void)
{
  link_close (reader);
  link_close (writer);
  peer_end (&peer);
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

static uint64_t
takeovers (struct link *l)
{
  struct link_stats s;

  link_stats (l, &s);
  return s.takeovers;
}

static uint64_t
retained (struct link *l)
{
  struct link_stats s;

  link_stats (l, &s);
  return s.retained;
}

/* Until it is not proven: a connection of before that comes back late asks for
 * a FLUSH, which may be carried out behind the write.
 */
static void
write_block (uint8_t fill)
{
  memset (block, fill, MB);
  for (int i = 0; i < 100 && (i == 0 || !retained (writer)); i++)
    CU_ASSERT_EQUAL (link_write (writer, block, MB, 0, 0), 0);
  CU_ASSERT (retained (writer) > 0);
}

static bool
in_doubt (void)
{
  return stripes_state (stripes_proof (&peer.map)) == STRIPES_DOUBT;
}

/* ---- a thread that reads ---- */

struct job {
  pthread_t thread;
  uint32_t bytes;
  _Atomic bool over;
  int result;
  bool right;
};

static void *
job_main (void *arg)
{
  struct job *j = arg;
  uint8_t *got = calloc (1, MB);

  j->result = link_read (reader, got, j->bytes, 0);
  j->right = memcmp (got, block, j->bytes) == 0;
  j->over = true;
  free (got);
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
  CU_ASSERT_EQUAL (j->result, 0);
  CU_ASSERT (j->right);
}

/* It has had the time to read it all. */
static void
waits (struct job *j)
{
  const struct timespec ts = {.tv_nsec = 50000000};

  nanosleep (&ts, NULL);
  CU_ASSERT (!j->over);
}

/* ---- tests ---- */

/* The server restarts, and the reader is back before the writer. */
static void
a_restart_that_forgets (unsigned connections)
{
  struct job j = {.bytes = MB};

  begin (connections);
  peer.forgets = true;
  for (uint8_t round = 1; round <= 3; round++) {
    uint64_t before = takeovers (reader);

    write_block (round);
    peer.hold_gateways = 1u << WRITER;
    peer.kills++;
    EVENTUALLY (takeovers (reader) > before);
    j.over = false;
    job_start (&j);
    /* Of several connections the last may have proven all before its end. */
    if (connections == 1) {
      CU_ASSERT (in_doubt ());
      waits (&j);
    }
    peer.hold_gateways = 0;
    job_end (&j);
    EVENTUALLY (!in_doubt ());
  }
  CU_ASSERT (peer.disk.lost > 0 || connections > 1);
  end ();
}

static void
who_is_back_first_waits (void)
{
  a_restart_that_forgets (1);
  a_restart_that_forgets (3);
}

/* Under way when the session ended: it is not sent at once to the next one. */
static void
so_does_a_read_that_was_under_way (void)
{
  struct job j = {.bytes = MB};
  uint64_t before;

  begin (1);
  peer.forgets = true;
  write_block (1);
  peer.late_gateways = 1u << READER;
  peer.late_page = 1;
  before = peer.gateway[READER].path[0].served;
  job_start (&j);
  EVENTUALLY (peer.gateway[READER].path[0].served > before);
  before = takeovers (reader);
  peer.hold_gateways = 1u << WRITER;
  peer.kills++;
  EVENTUALLY (takeovers (reader) > before);
  peer.late_page = 0;
  waits (&j);
  peer.hold_gateways = 0;
  job_end (&j);
  end ();
}

/* A flush that fails, and the reader's session goes on. */
static void
a_failed_flush_is_doubt_to_all (void)
{
  struct job j = {.bytes = MB};

  begin (1);
  write_block (7);
  peer.failing_flushes = 1u << 30;
  CU_ASSERT_EQUAL (link_plain (writer, IO_FLUSH, 0, 0, 0), EIO);
  CU_ASSERT (in_doubt ());
  job_start (&j);
  waits (&j);
  peer.failing_flushes = 0;
  job_end (&j);
  end ();
}

/* What the server had answered before somebody raised a doubt is asked for
 * again.
 */
static void
an_answer_of_before_is_of_no_use (void)
{
  struct job j = {.bytes = PAGE};
  uint64_t before;

  begin (1);
  write_block (1);
  peer.late_gateways = 1u << READER;
  peer.late_page = 1;
  before = peer.gateway[READER].path[0].served;
  job_start (&j);
  EVENTUALLY (peer.gateway[READER].path[0].served > before);
  stripes_raise_doubt (&peer.map);
  EVENTUALLY (!in_doubt ()); /* the writer looks */
  memset (block, 2, PAGE);
  peer_fill (&peer, 2, 0, PAGE); /* as it was once more */
  peer.late_page = 0;
  job_end (&j);
  end ();
}

/* Who comes while another one has written something asks that one to prove it,
 * as the server may just have been started.
 */
static void
a_new_process_asks (void)
{
  struct job j = {.bytes = MB};

  begin (1);
  write_block (3);
  link_close (reader);
  reader = open_link (UINT64_MAX, 1);
  job_start (&j);
  job_end (&j);
  CU_ASSERT_EQUAL (retained (writer), 0);
  /* And not if there is nothing to prove. */
  CU_ASSERT_EQUAL (link_plain (writer, IO_FLUSH, 0, 0, 0), 0);
  link_close (reader);
  reader = open_link (UINT64_MAX, 1);
  CU_ASSERT (!in_doubt ());
  end ();
}

/* Nobody is waited for who is dead. */
static void
the_dead_are_not_waited_for (void)
{
  struct job j = {.bytes = PAGE};

  begin (1);
  link_close (writer);
  stripes_set_unproven (&peer.map, true);
  stripes_raise_doubt (&peer.map);
  job_start (&j);
  pthread_join (j.thread, NULL);
  CU_ASSERT_EQUAL (j.result, 0);
  CU_ASSERT (!in_doubt ());
  /* What they have left raises none. */
  stripes_set_unproven (&peer.map, true);
  writer = open_link (UINT64_MAX, 1);
  CU_ASSERT (!in_doubt ());
  end ();
}

/* The writer does not come back: as when there is no worker, reads fail when
 * the user has had enough; writes, and what is cached, do not.
 */
static void
outage_is_for_this_too (void)
{
  static uint8_t got[2 * PAGE];
  struct link *cautious;
  uint64_t began_ns;

  begin (1);
  write_block (9);
  cautious = open_link (SECOND, 1);
  EVENTUALLY (!in_doubt ());
  CU_ASSERT_EQUAL (link_read (cautious, got, PAGE, 0), 0);
  write_block (8);
  CU_ASSERT_EQUAL (link_read (cautious, got, PAGE, 0), 0); /* cached now */
  peer.hold_gateways = 1u << WRITER;
  began_ns = takeovers (cautious);
  peer.kills++;
  EVENTUALLY (takeovers (cautious) > began_ns);
  EVENTUALLY (link_read (cautious, got, PAGE, 0) == 0);
  CU_ASSERT_EQUAL (memcmp (got, block, PAGE), 0);
  began_ns = clock_now_ns ();
  CU_ASSERT_EQUAL (link_read (cautious, got, 2 * PAGE, 4 * MB), EIO);
  CU_ASSERT (clock_now_ns () - began_ns >= 2 * SECOND);
  peer.hold_gateways = 0;
  EVENTUALLY (link_read (cautious, got, 2 * PAGE, 4 * MB) == 0);
  link_close (cautious);
  end ();
}

UNIT_MAIN ("doubt", UNIT_TEST (who_is_back_first_waits),
           UNIT_TEST (so_does_a_read_that_was_under_way),
           UNIT_TEST (a_failed_flush_is_doubt_to_all),
           UNIT_TEST (an_answer_of_before_is_of_no_use),
           UNIT_TEST (a_new_process_asks),
           UNIT_TEST (the_dead_are_not_waited_for),
           UNIT_TEST (outage_is_for_this_too))
