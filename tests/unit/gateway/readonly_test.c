/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions that may not write, of a volume that was opened for writing: the
 * server was read-only just when they began.
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

static struct peer peer;
static uint8_t block[PAGE];

static struct link *
begin (unsigned connections)
{
  struct link_options options = {.connections = connections,
                                 .outage_fail_ns = UINT64_MAX,
                                 .retain_bytes = 64u << 20,
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

static void
sleep_ms (long ms)
{
  const struct timespec ts = {.tv_nsec = ms * 1000000};

  nanosleep (&ts, NULL);
}

/* All sessions end, and the next ones may not write by paths. */
static void
come_back_readonly (unsigned paths)
{
  peer.readonly_paths = paths;
  peer.kills++;
  for (int i = 0; i < 4000 && peer.deaths < peer.paths; i++)
    sleep_ms (5);
  CU_ASSERT_FATAL (peer.deaths >= peer.paths);
}

static int
write_page (struct link *l, uint64_t page)
{
  memset (block, (int)page, PAGE);
  return link_write (l, block, PAGE, page * PAGE, 0);
}

/* Nothing is in doubt; a client's write is what asks for another session. */
static void
a_write_is_accepted_again (void)
{
  struct link *l = begin (1);
  int error = EROFS;

  CU_ASSERT_EQUAL (write_page (l, 1), 0);
  CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), 0);
  come_back_readonly (1);
  CU_ASSERT_EQUAL (write_page (l, 2), EROFS);
  CU_ASSERT_EQUAL (peer.distrusted, 0);
  peer.readonly_paths = 0;
  for (int i = 0; i < 4000 && error; i++) {
    CU_ASSERT_EQUAL (link_read (l, block, PAGE, PAGE), 0);
    CU_ASSERT_EQUAL (block[0], 1);
    error = write_page (l, 2);
    CU_ASSERT (error == 0 || error == EROFS);
    sleep_ms (5);
  }
  CU_ASSERT_EQUAL (error, 0);
  CU_ASSERT_EQUAL (peer.distrusted, 1);
  CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), 0);
  end (l);
}

/* What writes goes by the connections that may. */
static void
others_may_write (void)
{
  struct link *l = begin (3);

  come_back_readonly (1u << 0 | 1u << 2);
  for (unsigned before = peer.gateway[0].path[1].served;
       peer.gateway[0].path[1].served == before;)
    CU_ASSERT_EQUAL (link_read (l, block, PAGE, 0), 0);
  for (uint64_t i = 0; i < 50; i++) {
    CU_ASSERT_EQUAL (write_page (l, i), 0);
    if (i % 8 == 0)
      CU_ASSERT_EQUAL (link_plain (l, IO_FLUSH, 0, 0, 0), 0);
  }
  for (uint64_t i = 0; i < 50; i++) {
    CU_ASSERT_EQUAL (link_read (l, block, PAGE, i * PAGE), 0);
    CU_ASSERT_EQUAL (block[0], i);
  }
  for (unsigned i = 0; i < 3; i++) /* reads by all */
    CU_ASSERT (peer.gateway[0].path[i].served > 0);
  end (l);
}

UNIT_MAIN ("readonly", UNIT_TEST (a_write_is_accepted_again),
           UNIT_TEST (others_may_write))
