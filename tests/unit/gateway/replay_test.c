/* SPDX-License-Identifier: BSD-2-Clause */
/* What the server may have lost and does not take again: the rest is not kept
 * from it.
 */
#include "config.h"
#include "gateway/link.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "tests/fake/peer.h"
#include "tests/fake/peer_link.h"
#include "tests/unit/unit.h"

#define SECOND PEER_SECOND
#define PAGE PAGE_BYTES
#define PAGES 40u
#define BAD 20u

static struct peer peer;
static uint8_t block[PAGE];

static struct link *
begin (void)
{
  struct link_options options = {.connections = 1,
                                 .outage_fail_ns = UINT64_MAX,
                                 .retain_bytes = 64u << 20,
                                 .request_ns = 30 * SECOND};

  peer_start (&peer, PEER_HONEST);
  return peer_link (&options, NULL);
}

static uint64_t
retained (struct link *l)
{
  struct link_stats s;

  link_stats (l, &s);
  return s.retained;
}

static bool
eventually_retained (struct link *l, uint64_t n)
{
  const struct timespec ts = {.tv_nsec = 5000000};

  for (int i = 0; i < 4000; i++) {
    if (retained (l) == n)
      return true;
    nanosleep (&ts, NULL);
  }
  return false;
}

static bool
on_disk (uint64_t page)
{
  memset (block, (int)page + 1, PAGE);
  return peer_keeps (&peer, block, page * PAGE, PAGE);
}

static void
bad_pages_keep_nothing_from_it (void)
{
  struct link *l = begin ();

  for (uint64_t page = 0; page < PAGES; page++) {
    memset (block, (int)page + 1, PAGE);
    CU_ASSERT_EQUAL (link_write (l, block, PAGE, page * PAGE, 0), 0);
  }
  peer.bad_pages = BAD;
  peer.failing_flushes = 1;
  CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), EIO);
  /* Nobody asks; the keeper does what can be done. */
  CU_ASSERT (eventually_retained (l, BAD));
  for (uint64_t page = BAD; page < PAGES; page++)
    CU_ASSERT (on_disk (page));
  /* They are kept, are read as they were, and are told of. */
  CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), EIO);
  CU_ASSERT_EQUAL (link_read (l, block, PAGE, PAGE), 0);
  CU_ASSERT_EQUAL (block[0], 2);
  peer.bad_pages = 0;
  CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), 0);
  for (uint64_t page = 0; page < BAD; page++)
    CU_ASSERT (on_disk (page));
  CU_ASSERT_EQUAL (retained (l), 0);
  link_close (l);
  peer_end (&peer);
}

UNIT_MAIN ("replay", UNIT_TEST (bad_pages_keep_nothing_from_it))
