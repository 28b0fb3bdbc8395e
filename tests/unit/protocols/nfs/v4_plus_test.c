/* SPDX-License-Identifier: BSD-2-Clause */
/* READ_PLUS: holes and data in every order, when it is used, and what a server
 * may not say.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

#define BLOCK 4096u
#define BLOCKS (SIZE / BLOCK)

/* Every block is a hole or data, by chance; the first one is a hole. */
static void
begin_sparse (struct peer *s, unsigned seed)
{
  peer4_begin (s);
  server.read_plus = true;
  srand (seed);
  for (unsigned i = 1; i < BLOCKS; i++)
    if (rand () % 3)
      memset (server.content + i * BLOCK, 1 + rand () % 255, BLOCK);
}

static void
reads_right (struct peer *s, uint64_t offset, uint32_t length)
{
  struct proto_completion c;

  memset (back, 0x5a, sizeof back);
  c = peer4_request (s, IO_READ, 0, offset, length, back);
  CU_ASSERT_EQUAL (c.error, ERR_OK);
  CU_ASSERT_EQUAL (memcmp (back, server.content + offset, length), 0);
  for (unsigned i = 0; i < 64 && length + i < sizeof back; i++)
    CU_ASSERT_EQUAL (back[length + i], 0x5a);
}

static void
holes_and_data (void)
{
  static const size_t cuts[] = {0, 1, 3, 64, 5000};

  for (unsigned i = 0; i < 5; i++)
    for (unsigned k = 0; k < (i == 1 ? 2 : 12); k++) {
      unsigned before;
      struct peer s;

      begin_sparse (&s, i * 100 + k);
      CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
      before = server.executed[READ_PLUS];
      CU_ASSERT_EQUAL (before, 1); /* the try */
      s.cut_bytes = cuts[i];
      s.fragment_bytes = k % 2 ? 100 : 0;
      reads_right (&s, 0, 65536);
      reads_right (&s, 4096 * k, 16384 + k);
      reads_right (&s, 1000 * k + 1, 65000);
      reads_right (&s, SIZE - 65536, 65536);
      reads_right (&s, 12345, 120000); /* two pieces */
      CU_ASSERT_EQUAL (server.executed[READ_PLUS], before + 6);
      CU_ASSERT_EQUAL (server.executed[READ], 0);
      peer4_end (&s);
    }
}

static void
only_where_it_pays (void)
{
  struct peer s;

  begin_sparse (&s, 1); /* small ones */
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  reads_right (&s, 0, 8192);
  CU_ASSERT_EQUAL (server.executed[READ], 1);
  CU_ASSERT_EQUAL (server.executed[READ_PLUS], 1);
  peer4_end (&s);

  begin_sparse (&s, 1); /* a file without holes */
  memset (server.content, 1, SIZE);
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  reads_right (&s, 0, 65536);
  CU_ASSERT_EQUAL (server.executed[READ_PLUS], 0);
  peer4_end (&s);

  begin_sparse (&s, 1); /* a part of it without holes */
  memset (server.content + SIZE / 2, 1, SIZE / 2);
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  for (unsigned i = 0; i < 40; i++)
    reads_right (&s, SIZE / 2, 16384);
  CU_ASSERT_EQUAL (server.executed[READ_PLUS], 1 + 32);
  CU_ASSERT_EQUAL (server.executed[READ], 8);
  for (unsigned i = 0; i < 520; i++)
    reads_right (&s, SIZE / 2, 16384);
  CU_ASSERT (server.executed[READ_PLUS] > 33); /* it looks again */
  peer4_end (&s);

  begin_sparse (&s, 1); /* version 4.1 has none */
  server.minor_max = 1;
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  reads_right (&s, 0, 65536);
  CU_ASSERT_EQUAL (server.executed[READ_PLUS], 0);
  peer4_end (&s);
}

static void
a_server_without_it_reads (void)
{
  struct peer s;

  begin_sparse (&s, 2);
  server.read_plus = false;
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  reads_right (&s, 0, 65536);
  CU_ASSERT_EQUAL (server.executed[READ], 1);
  peer4_end (&s);

  begin_sparse (&s, 2); /* and one that has it no more */
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  reads_right (&s, 0, 65536);
  server.read_plus = false;
  reads_right (&s, 0, 65536);
  reads_right (&s, 0, 65536);
  CU_ASSERT_EQUAL (server.executed[READ], 2);
  peer4_end (&s);

  begin_sparse (&s, 2); /* and one whose answers would be too long */
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  server.fail_op = READ_PLUS;
  server.fail_status = 10066; /* REP_TOO_BIG */
  server.fail_times = 100;
  reads_right (&s, 0, 65536);
  CU_ASSERT_EQUAL (server.executed[READ], 1);
  peer4_end (&s);
}

/* It is remembered by the next session, and mended as a READ is. */
static void
it_goes_on_after_a_break (void)
{
  static const uint32_t statuses[] = {10008, 10025, 70};

  for (unsigned i = 0; i < 3; i++) {
    unsigned before;
    struct peer s;

    begin_sparse (&s, 3);
    CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (peer4_submit (&s, 1000, IO_READ, 0, 0, 65536, back),
                     ERR_OK);
    peer4_lose (&s, true);
    CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
    before = server.executed[READ_PLUS];
    CU_ASSERT_EQUAL (peer4_submit (&s, 1000, IO_READ, 0, 0, 65536, back),
                     ERR_OK);
    CU_ASSERT_EQUAL (peer4_finish (&s).error, ERR_OK);
    CU_ASSERT_EQUAL (memcmp (back, server.content, 65536), 0);
    CU_ASSERT (server.executed[READ_PLUS] > before);
    server.fail_op = READ_PLUS;
    server.fail_status = statuses[i];
    server.fail_times = 1;
    reads_right (&s, 65536, 65536);
    CU_ASSERT_EQUAL (server.fail_times, 0);
    peer4_end (&s);
  }
}

/* What is only read is no replay: the server may have kept the answer to
 * another operation.
 */
static void
a_break_while_it_reads_plainly (void)
{
  struct peer s;

  begin_sparse (&s, 3);
  server.keeps_all = true;
  memset (server.content + SIZE / 2, 1, SIZE / 2);
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  for (unsigned i = 0; i < 33; i++) /* it pays no more */
    reads_right (&s, SIZE / 2, 16384);
  memset (server.content + SIZE / 2 + 512, 2, 256); /* and is short */
  server.size = SIZE / 2 + 768;
  CU_ASSERT_EQUAL (
      peer4_submit (&s, 1000, IO_READ, 0, SIZE / 2, 16384, back), ERR_OK);
  peer4_lose (&s, true);
  server.size = SIZE;
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (
      peer4_submit (&s, 1000, IO_READ, 0, SIZE / 2, 16384, back), ERR_OK);
  CU_ASSERT_EQUAL (peer4_finish (&s).error, ERR_OK);
  CU_ASSERT_EQUAL (memcmp (back, server.content + SIZE / 2, 16384), 0);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_READY);
  peer4_end (&s);
}

/* Not for ever from one session to the next, with the same answer each time. */
static void
goes_on_without_it (struct peer *s)
{
  unsigned before = server.executed[READ_PLUS];

  peer_close (s);
  CU_ASSERT_EQUAL_FATAL (peer4_start (s), PROTO_READY);
  reads_right (s, 65536, 65536);
  CU_ASSERT_EQUAL (server.executed[READ_PLUS], before);
}

static void
lies_are_told_from_answers (void)
{
  static const struct {
    enum fake4_lie lie;
    const char *words;
  } cases[] = {
      {FAKE4_OVERLAP, "where the one before it has ended, RFC 7862"},
      {FAKE4_GAP, "where the one before it has ended, RFC 7862"},
      {FAKE4_DATA_BEYOND, "beyond what was asked for, RFC 7862"},
      {FAKE4_DATA_BEFORE, "where the one before it has ended, RFC 7862"},
      {FAKE4_MORE, "beyond what was asked for, RFC 7862"},
      {FAKE4_TYPE, "no data_content4, RFC 7862"},
      {FAKE4_HOLE_BEFORE, "where the one before it has ended, RFC 7862"},
      {FAKE4_HOLE_EMPTY, "where the one before it has ended, RFC 7862"},
      {FAKE4_HOLE_WRAPS, "end of all offsets, RFC 7862"},
      {FAKE4_ENDLESS, "rpr_contents, RFC 7862"},
      {FAKE4_NOTHING, "field count"},
      {FAKE4_END, "made it shorter"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (unsigned cut = 0; cut < 3; cut++) {
      struct peer s;

      begin_sparse (&s, 5);
      if (cut == 2) /* what is only read is tried anew by each session */
        server.access = 0x01;
      memset (back, 0x5a, sizeof back);
      CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
      server.lie = cases[i].lie;
      s.cut_bytes = cut & 1;
      CU_ASSERT_NOT_EQUAL (
          peer4_request (&s, IO_READ, 0, 65536, 65536, back + 100).error,
          ERR_OK);
      CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
      CU_ASSERT (peer4_says (&s, cases[i].words));
      if (!peer4_says (&s, cases[i].words))
        printf ("%u: said: %s\n", i, nfs_ops.fault (s.p)->text);
      for (unsigned k = 0; k < 100; k++) {
        CU_ASSERT_EQUAL_FATAL (back[k], 0x5a);
        CU_ASSERT_EQUAL_FATAL (back[100 + 65536 + k], 0x5a);
      }
      goes_on_without_it (&s);
      peer4_end (&s);
    }
}

/* What lies behind another segment comes with the answer, however long. */
static void
much_data_behind_a_hole (void)
{
  const uint32_t length = 400u * 1024;
  uint8_t *bytes = malloc (length);
  struct peer s;

  peer4_begin (&s);
  server.read_plus = true;
  server.io_bytes = SIZE;
  memset (server.content, 7, SIZE);
  memset (server.content + BLOCK, 0, BLOCK);
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  s.steps = 0;
  CU_ASSERT_EQUAL (peer4_request (&s, IO_READ, 0, 0, length, bytes).error,
                   ERR_OK);
  CU_ASSERT (s.steps < 100);
  CU_ASSERT_EQUAL (server.executed[READ_PLUS], 2);
  CU_ASSERT_EQUAL (memcmp (bytes, server.content, length), 0);
  peer4_end (&s);
  free (bytes);
}

/* A server that says eof too early is asked for the rest. */
static void
half_of_it_is_not_all (void)
{
  struct peer s;

  begin_sparse (&s, 6);
  memset (server.content + 65536, 7, 65536);
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  server.lie = FAKE4_SHORT;
  reads_right (&s, 65536, 65536);
  peer4_end (&s);
}

UNIT_MAIN ("nfs v4 plus", UNIT_TEST (holes_and_data),
           UNIT_TEST (only_where_it_pays),
           UNIT_TEST (a_server_without_it_reads),
           UNIT_TEST (it_goes_on_after_a_break),
           UNIT_TEST (a_break_while_it_reads_plainly),
           UNIT_TEST (lies_are_told_from_answers),
           UNIT_TEST (half_of_it_is_not_all),
           UNIT_TEST (much_data_behind_a_hole))
