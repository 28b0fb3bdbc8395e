/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that others make longer: what is behind the old end is neither taken
 * for zeroes nor kept from clients.
 */
#include "config.h"
#include "gateway/link.h"

#include <poll.h>
#include <string.h>
#include <time.h>

#include "tests/fake/peer.h"
#include "tests/fake/peer_link.h"
#include "tests/unit/unit.h"

#define LAST_PAGE (PEER_VOLUME_BYTES / PAGE_BYTES - 1)
#define SHORT_BYTES (PEER_VOLUME_BYTES - PAGE_BYTES + 100)

static struct peer peer;
static struct link_options options;
static _Atomic uint64_t told_bytes;

static void
resized (uint64_t size_bytes)
{
  told_bytes = size_bytes;
}

static void
begin (enum peer_mischief mischief, unsigned paths)
{
  options = (struct link_options){.connections = paths,
                                  .cached = true,
                                  .retain_bytes = 64u << 20,
                                  .outage_fail_ns = UINT64_MAX,
                                  .request_ns = 30 * PEER_SECOND,
                                  .resized = resized};
  told_bytes = 0;
  peer_start (&peer, mischief);
  peer.paths = paths;
  peer.info.size = SHORT_BYTES;
}

static struct link *
open_link (void)
{
  return peer_link (&options, NULL);
}

static bool
in_time (const struct timespec *begin)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  poll (NULL, 0, 1);
  return now.tv_sec - begin->tv_sec < 20;
}

static uint64_t
hits_of_reading (struct link *l, uint64_t page, uint8_t *buf)
{
  struct link_stats s, t;

  link_stats (l, &s);
  CU_ASSERT_EQUAL (link_read (l, buf, PAGE_BYTES, page * PAGE_BYTES), 0);
  link_stats (l, &t);
  return t.hits - s.hits;
}

/* One gateway has read the page that the file ends in. Another one, which finds
 * it longer, must not get that out of the cache with zeroes behind the old end.
 */
static void
the_last_page_is_not_cached (void)
{
  uint8_t buf[PAGE_BYTES];
  struct timespec before;
  struct link *one, *other;
  unsigned wrong = 0;

  begin (PEER_HONEST, 1);
  one = open_link ();
  CU_ASSERT_EQUAL (link_size (one), SHORT_BYTES);
  for (unsigned n = 50; n <= 100; n += 50) /* a part of it, and all there is */
    CU_ASSERT_EQUAL (link_read (one, buf, n, (uint64_t)LAST_PAGE * PAGE_BYTES),
                     0);
  /* Offers are taken in order: what was offered before this page is in. */
  clock_gettime (CLOCK_MONOTONIC, &before);
  while (!hits_of_reading (one, 3, buf) && in_time (&before))
    ;
  peer_fill (&peer, 0x5a, SHORT_BYTES, PEER_VOLUME_BYTES - SHORT_BYTES);
  peer.info.size = PEER_VOLUME_BYTES;
  other = open_link ();
  CU_ASSERT_EQUAL (link_size (other), PEER_VOLUME_BYTES);
  CU_ASSERT_EQUAL (hits_of_reading (other, 3, buf), 1);
  CU_ASSERT_EQUAL (hits_of_reading (other, LAST_PAGE, buf), 0);
  CU_ASSERT_EQUAL (buf[99], 0);
  for (unsigned i = 100; i < PAGE_BYTES; i++)
    wrong += buf[i] != 0x5a;
  CU_ASSERT_EQUAL (wrong, 0);
  link_close (one);
  link_close (other);
  peer_end (&peer);
}

/* The second path's worker has gone and does not come back: what the first
 * one's next session finds is served all the same.
 */
static void
a_dead_path_does_not_hold_it_up (void)
{
  struct timespec before;
  uint8_t byte = 7;
  struct link *l;

  begin (PEER_DIES, 2);
  peer.bad_paths = 2;
  peer.life_ns = 0;
  peer.pause_ns = 3600 * PEER_SECOND;
  l = open_link ();
  clock_gettime (CLOCK_MONOTONIC, &before);
  while (!peer.deaths && in_time (&before))
    ;
  CU_ASSERT_EQUAL (peer.deaths, 1);
  peer.pause_ns = 0; /* of the first one */
  peer.info.size = PEER_VOLUME_BYTES;
  peer.kills++;
  while (link_size (l) == SHORT_BYTES && in_time (&before))
    ;
  CU_ASSERT_EQUAL (link_size (l), PEER_VOLUME_BYTES);
  CU_ASSERT_EQUAL (peer.gateway[0].path[1].epoch, 1);
  CU_ASSERT_EQUAL (told_bytes, PEER_VOLUME_BYTES);
  if (link_size (l) == PEER_VOLUME_BYTES) {
    CU_ASSERT_EQUAL (link_read (l, &byte, 1, PEER_VOLUME_BYTES - 1), 0);
    CU_ASSERT_EQUAL (byte, 0);
  }
  link_close (l);
  peer_end (&peer);
}

UNIT_MAIN ("growth", UNIT_TEST (the_last_page_is_not_cached),
           UNIT_TEST (a_dead_path_does_not_hold_it_up))
