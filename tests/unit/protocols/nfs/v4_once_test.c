/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv4.1 and 4.2 against the fake server: requests are executed once,
 * whatever of them or of their answers is lost.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "protocols/nfs/dialect.h"
#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

static void
a_write_is_executed_once (void)
{
  for (unsigned arrived = 0; arrived < 2; arrived++) {
    unsigned before;
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    peer4_works (&s, 1);
    before = server.executed[WRITE];
    peer4_fill (2);
    CU_ASSERT_EQUAL (peer4_submit (&s, 1000, IO_WRITE, 0, 4096, 4096, data),
                     ERR_OK);
    peer4_lose (&s, arrived);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (peer4_submit (&s, 1000, IO_WRITE, 0, 4096, 4096, data),
                     ERR_OK);
    CU_ASSERT_EQUAL (peer4_finish (&s).error, ERR_OK);
    CU_ASSERT_EQUAL (server.executed[WRITE], before + 1);
    CU_ASSERT_EQUAL (server.replays, arrived);
    CU_ASSERT_EQUAL (memcmp (server.content + 4096, data, 4096), 0);
    CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 1);
    peer4_works (&s, 3);
    peer4_end (&s);
  }
}

static void
read_many (struct peer *s, unsigned reads)
{
  for (unsigned i = 0; i < reads; i++)
    CU_ASSERT_EQUAL (peer4_submit (s, 1000 + i, IO_READ, 0, 8192, 4096,
                                   back + i * 4096),
                     ERR_OK);
}

/* On other slots, or if there are none, on its own when that is settled. */
static void
a_read_is_asked_anew (void)
{
  for (unsigned reads = 1; reads <= 7; reads += 2) {
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    peer4_works (&s, 1);
    read_many (&s, reads);
    peer4_lose (&s, true);
    memset (back, 0, sizeof back);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    read_many (&s, reads);
    for (unsigned i = 0; i < reads; i++)
      CU_ASSERT_EQUAL (peer4_finish (&s).error, ERR_OK);
    for (unsigned i = 0; i < reads; i++)
      CU_ASSERT_EQUAL (memcmp (data, back + i * 4096, 4096), 0);
    CU_ASSERT (reads > 3 || server.replays == 0);
    for (unsigned i = 0; i < 10 && server.replays < reads; i++) {
      peer4_sleep (&s);
      peer4_answer (&s);
    }
    CU_ASSERT_EQUAL (server.replays, reads);
    peer4_end (&s);
  }
}

/* Nobody sends it again: it is over before anything overtakes it. */
static void
what_is_left_is_settled (void)
{
  for (unsigned arrived = 0; arrived < 2; arrived++) {
    unsigned writes;
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    peer4_works (&s, 1);
    peer4_fill (2);
    CU_ASSERT_EQUAL (peer4_submit (&s, 1000, IO_WRITE, 0, 8192, 4096, data),
                     ERR_OK);
    peer4_lose (&s, arrived);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    peer4_fill (3);
    writes = server.executed[WRITE];
    CU_ASSERT_EQUAL (peer4_submit (&s, 1001, IO_WRITE, 0, 10000, 10, data),
                     ERR_OK);
    CU_ASSERT_EQUAL (peer_call (&s), 0); /* it waits */
    CU_ASSERT_EQUAL (peer4_finish (&s).error, ERR_OK);
    CU_ASSERT_EQUAL (server.executed[WRITE], writes + 1);
    CU_ASSERT_EQUAL (memcmp (server.content + 10000, data, 10), 0);
    peer4_works (&s, 4);
    peer4_end (&s);
  }
}

static bool
delay_without_results (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (s->tampered == 0 || s->tampered-- == 0)
    return true;
  /* behind xid, REPLY, MSG_ACCEPTED, AUTH_NONE and SUCCESS: status, tag<> */
  memset (reply + 24, 0, 12);
  reply[26] = 10008 >> 8;
  reply[27] = 10008 & 0xff;
  *bytes = 36;
  return true;
}

/* A WRITE of 4096 bytes at 8192 is executed, and its answer lost. The session
 * goes on, and so many questions about its slot are put off.
 */
static void
begin_with_a_slot_left (struct peer *s, unsigned delays)
{
  peer4_begin (s);
  CU_ASSERT_EQUAL (peer4_start (s), PROTO_READY);
  peer4_works (s, 1);
  peer4_fill (2);
  CU_ASSERT_EQUAL (peer4_submit (s, 1000, IO_WRITE, 0, 8192, 4096, data),
                   ERR_OK);
  peer4_lose (s, true);
  CU_ASSERT_EQUAL (peer4_start (s), PROTO_READY);
  s->tamper = delay_without_results;
  s->tampered = delays;
}

/* What waits for the slot does not make it be asked about all the time. */
static void
a_server_that_is_not_ready_is_left_alone (void)
{
  struct proto_completion c;
  uint64_t began_ns;
  struct peer s;

  begin_with_a_slot_left (&s, 10);
  CU_ASSERT_EQUAL (peer4_submit (&s, 1001, IO_WRITE, 0, 10000, 10, data),
                   ERR_OK);
  CU_ASSERT_EQUAL (peer_call (&s), 0); /* it waits, but not for long, */
  began_ns = s.now_ns;
  c = peer4_finish (&s);
  CU_ASSERT (c.id == 1001 && c.error == ERR_OK);
  CU_ASSERT_EQUAL (s.tampered, 0);
  CU_ASSERT (s.now_ns - began_ns >= 10 * 50000000u); /* and not impatiently */
  CU_ASSERT (s.now_ns - began_ns < 10 * 100000000u + 20000000u);
  peer4_works (&s, 2);
  peer4_end (&s);
}

/* An error that has no results settles nothing. */
static void
what_is_left_is_not_settled_by_an_error (void)
{
  unsigned writes;
  struct peer s;

  begin_with_a_slot_left (&s, 1);
  peer4_fill (3);
  writes = server.executed[WRITE];
  CU_ASSERT_EQUAL (peer4_submit (&s, 1001, IO_WRITE, 0, 10000, 10, data),
                   ERR_OK);
  for (unsigned i = 0; i < 10 && s.tampered; i++)
    if (!peer4_answer (&s))
      peer4_sleep (&s);
  CU_ASSERT_EQUAL (s.tampered, 0);
  CU_ASSERT_EQUAL (server.executed[WRITE], writes); /* it waits still */
  CU_ASSERT_EQUAL (peer_call (&s), 0);
  CU_ASSERT_EQUAL (peer4_finish (&s).error, ERR_OK);
  CU_ASSERT_EQUAL (server.executed[WRITE], writes + 1);
  peer4_works (&s, 4);
  peer4_end (&s);
}

static void
any_identity_page_will_do (void)
{
  for (unsigned i = 0; i < 60; i++) {
    struct peer s;

    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    peer4_works (&s, 1);
    peer_close (&s);
    /* From the dialect's part on: the rest is the engine's. */
    srand (i);
    for (unsigned k = 0; k < 1 + i % 40; k++)
      s.identity[NFS_IDENTITY_OWN + (unsigned)rand () % (i % 2 ? 256 : 4000)] =
          (uint8_t)rand ();
    if (peer4_start (&s) == PROTO_READY)
      peer4_works (&s, 2);
    peer4_end (&s);
  }
}

UNIT_MAIN ("nfs v4 once", UNIT_TEST (a_write_is_executed_once),
           UNIT_TEST (a_read_is_asked_anew),
           UNIT_TEST (what_is_left_is_settled),
           UNIT_TEST (what_is_left_is_not_settled_by_an_error),
           UNIT_TEST (a_server_that_is_not_ready_is_left_alone),
           UNIT_TEST (any_identity_page_will_do))
