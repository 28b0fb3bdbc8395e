/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads that join one which is on its way: one request for all, each of them
 * answered once, whatever dies; none that began after a write was acknowledged
 * gets what was read before.
 */
#include "config.h"
#include "gateway/link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "tests/fake/peer.h"
#include "tests/fake/peer_link.h"
#include "tests/unit/unit.h"

#define SECOND PEER_SECOND
#define PAGE PAGE_BYTES
#define READERS 8
#define AT (100 * PAGE)
#define BYTES (16 * PAGE)
#define PATIENCE 20000 /* of a millisecond each */

static struct peer peer;
static struct link_options options;

struct reader {
  pthread_t thread;
  struct link *link;
  uint64_t offset;
  uint32_t bytes;
  _Atomic bool leave;
  int result;
  uint8_t buf[BYTES];
};

static struct reader reader[READERS];
static _Thread_local struct reader *me;

static bool
interrupted (void)
{
  return me && me->leave;
}

static void
begin (unsigned paths)
{
  options = (struct link_options){.connections = paths,
                                  .cached = true,
                                  .outage_fail_ns = UINT64_MAX,
                                  .retain_bytes = 64u << 20,
                                  .request_ns = 30 * SECOND};
  peer_start (&peer, PEER_HONEST);
  peer.paths = paths;
  pthread_mutex_lock (&peer.server_lock);
  for (size_t i = 0; i < peer.disk.size; i++)
    peer.disk.bytes[i] = (uint8_t)(i / 512 * 31 + i % 512);
  pthread_mutex_unlock (&peer.server_lock);
}

static struct link *
open_link (void)
{
  return peer_link (&options, interrupted);
}

static unsigned
served (unsigned gateway)
{
  unsigned n = 0;

  for (unsigned i = 0; i < peer.paths; i++)
    n += peer.gateway[gateway].path[i].served;
  return n;
}

static uint64_t
joined (struct link *l)
{
  struct link_stats s;

  link_stats (l, &s);
  return s.joined;
}

static void *
reader_main (void *arg)
{
  struct reader *r = me = arg;

  memset (r->buf, 0xee, sizeof r->buf);
  r->result = link_read (r->link, r->buf, r->bytes, r->offset);
  return NULL;
}

static void
start (unsigned i, struct link *l, uint64_t offset, uint32_t bytes)
{
  reader[i].link = l;
  reader[i].offset = offset;
  reader[i].bytes = bytes;
  reader[i].leave = false;
  pthread_create (&reader[i].thread, NULL, reader_main, &reader[i]);
}

static bool
is_right (unsigned i)
{
  return peer_serves (&peer, reader[i].buf, reader[i].offset, reader[i].bytes);
}

static void
end (unsigned i, int result)
{
  pthread_join (reader[i].thread, NULL);
  CU_ASSERT_EQUAL (reader[i].result, result);
  CU_ASSERT (result || is_right (i));
}

/* The first asks the server, which has read and does not answer yet; then the
 * others come, of whom none asks.
 */
static void
start_all (struct link *l)
{
  unsigned before = served (0);

  peer.late_page = AT / PAGE + 2;
  start (0, l, AT, BYTES);
  for (int i = 0; i < PATIENCE && served (0) == before; i++)
    poll (NULL, 0, 1);
  CU_ASSERT_EQUAL (served (0), before + 1);
  /* Parts of it, and no whole pages. */
  for (unsigned i = 1; i < READERS; i++)
    start (i, l, AT + 1000 * (i - 1), BYTES - 2000 * (i - 1));
  for (int i = 0; i < PATIENCE && joined (l) < READERS - 1; i++)
    poll (NULL, 0, 1);
  CU_ASSERT_EQUAL (joined (l), READERS - 1);
  CU_ASSERT_EQUAL (served (0), before + 1);
}

static void
one_request_for_all (void)
{
  struct link *l;

  begin (1);
  l = open_link ();
  start_all (l);
  peer.late_page = 0;
  for (unsigned i = 0; i < READERS; i++)
    end (i, 0);
  CU_ASSERT_EQUAL (served (0), 1);
  link_close (l);
  peer_end (&peer);
}

static void
a_worker_dies (void)
{
  for (unsigned paths = 1; paths <= 3; paths += 2) {
    struct link *l;

    begin (paths);
    l = open_link ();
    start_all (l);
    peer.hold = true;
    peer.kills++;
    for (int i = 0; i < PATIENCE && peer.deaths < paths; i++)
      poll (NULL, 0, 1);
    peer.late_page = 0;
    peer.hold = false;
    for (unsigned i = 0; i < READERS; i++)
      end (i, 0);
    /* One for all of them, of each worker that it came to before that died. */
    CU_ASSERT (served (0) >= 2 && served (0) <= paths + 1);
    link_close (l);
    peer_end (&peer);
  }
}

/* Its client has gone; those who joined it have not. One of them leaves too. */
static void
the_owner_leaves (void)
{
  struct link *l;

  begin (1);
  l = open_link ();
  start_all (l);
  reader[0].leave = reader[3].leave = true;
  end (0, ESHUTDOWN);
  end (3, ESHUTDOWN);
  /* … and it can still be joined. */
  start (0, l, AT, BYTES);
  for (int i = 0; i < PATIENCE && joined (l) < READERS; i++)
    poll (NULL, 0, 1);
  peer.late_page = 0;
  for (unsigned i = 0; i < READERS; i++)
    if (i != 3)
      end (i, 0);
  CU_ASSERT_EQUAL (served (0), 1);
  /* The slot is free again: all there are can be used. */
  for (unsigned i = 0; i < 2 * CHANNEL_SLOTS; i++)
    CU_ASSERT_EQUAL (link_read (l, reader[0].buf, PAGE, PAGE * i), 0);
  link_close (l);
  peer_end (&peer);
}

static void
all_leave (void)
{
  struct link *l;

  begin (1);
  l = open_link ();
  start_all (l);
  for (unsigned i = 0; i < READERS; i++)
    reader[i].leave = true;
  for (unsigned i = 0; i < READERS; i++)
    end (i, ESHUTDOWN);
  peer.late_page = 0;
  CU_ASSERT_EQUAL (link_read (l, reader[0].buf, BYTES, AT), 0);
  CU_ASSERT (is_right (0));
  link_close (l);
  peer_end (&peer);
}

/* Only a part of what it has asked for may be what cannot be read. */
static void
a_failing_read_fails_alone (void)
{
  struct link *l;

  begin (1);
  l = open_link ();
  peer.failing_reads = 1;
  start_all (l);
  peer.late_page = 0;
  end (0, EIO);
  for (unsigned i = 1; i < READERS; i++)
    end (i, 0);
  CU_ASSERT (served (0) <= READERS);
  link_close (l);
  peer_end (&peer);
}

static void
the_volume_is_given_up (void)
{
  struct link *l;

  begin (1);
  l = open_link ();
  start_all (l);
  peer.expel = true;
  for (unsigned i = 0; i < READERS; i++)
    end (i, EIO);
  peer.late_page = 0;
  link_close (l);
  peer_end (&peer);
}

/* The write of another gateway process is acknowledged while a read is on its
 * way that the server has carried out before: who comes now must not join.
 */
static void
not_after_a_write (void)
{
  static uint8_t page[PAGE];
  struct link *l, *writer;

  begin (1);
  l = open_link ();
  writer = open_link ();
  peer.late_gateways = 1;
  start_all (l);
  memset (page, 0x5a, PAGE);
  CU_ASSERT_EQUAL (link_write (writer, page, PAGE, AT + 3 * PAGE, 0), 0);
  for (unsigned i = 1; i < 4; i++) {
    reader[i].leave = true;
    end (i, ESHUTDOWN);
  }
  start (1, l, AT + 3 * PAGE, PAGE);
  end (1, 0);
  CU_ASSERT_EQUAL (served (0), 2);
  start (2, l, AT + 2 * PAGE, 3 * PAGE);
  end (2, 0);
  CU_ASSERT_EQUAL (served (0), 3);
  CU_ASSERT_EQUAL (joined (l), READERS - 1);
  /* The other pages are as they were. */
  start (3, l, AT + 5 * PAGE, PAGE);
  for (int i = 0; i < PATIENCE && joined (l) < READERS; i++)
    poll (NULL, 0, 1);
  CU_ASSERT_EQUAL (joined (l), READERS);
  peer.late_page = 0;
  end (3, 0);
  pthread_join (reader[0].thread, NULL); /* old or new: both are right */
  for (unsigned i = 4; i < READERS; i++)
    pthread_join (reader[i].thread, NULL);
  link_close (l);
  link_close (writer);
  peer_end (&peer);
}

/* Whoever switches the cache off does so for writes that we do not see. */
static void
not_without_the_cache (void)
{
  struct link *l;

  begin (1);
  options.cached = false;
  l = open_link ();
  peer.late_page = AT / PAGE + 2;
  for (unsigned i = 0; i < READERS; i++)
    start (i, l, AT, BYTES);
  for (int i = 0; i < PATIENCE && served (0) < READERS; i++)
    poll (NULL, 0, 1);
  CU_ASSERT_EQUAL (served (0), READERS);
  CU_ASSERT_EQUAL (joined (l), 0);
  peer.late_page = 0;
  for (unsigned i = 0; i < READERS; i++)
    end (i, 0);
  link_close (l);
  peer_end (&peer);
}

UNIT_MAIN ("joined", UNIT_TEST (one_request_for_all), UNIT_TEST (a_worker_dies),
           UNIT_TEST (the_owner_leaves), UNIT_TEST (all_leave),
           UNIT_TEST (a_failing_read_fails_alone),
           UNIT_TEST (the_volume_is_given_up), UNIT_TEST (not_after_a_write),
           UNIT_TEST (not_without_the_cache))
