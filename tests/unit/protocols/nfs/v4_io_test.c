/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv4.1 and 4.2 against the fake server: requests, and answers that are none.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

static void
stability_is_the_servers_word (void)
{
  struct proto_completion w, f, g;
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  peer4_fill (1);
  w = peer4_request (&s, IO_WRITE, 0, 0, 65536 * 2, data); /* two pieces */
  f = peer4_request (&s, IO_FLUSH, 0, 0, 0, NULL);
  CU_ASSERT_EQUAL (w.error, ERR_OK);
  CU_ASSERT_EQUAL (f.error, ERR_OK);
  CU_ASSERT_EQUAL (memcmp (w.token, f.token, IO_TOKEN_BYTES), 0);
  CU_ASSERT_EQUAL (memcmp (server.committed, data, 65536 * 2), 0);
  w = peer4_request (&s, IO_TRIM, 0, 4096, 4096, NULL);
  CU_ASSERT_EQUAL (memcmp (w.token, f.token, IO_TOKEN_BYTES), 0);
  CU_ASSERT_EQUAL (server.committed[4096], data[4096]); /* not yet */
  w = peer4_request (&s, IO_TRIM, IO_FUA, 4096, 4096, NULL);
  CU_ASSERT_EQUAL (server.committed[4096], 0);
  server.boot++; /* another verifier, without a restart */
  g = peer4_request (&s, IO_FLUSH, 0, 0, 0, NULL);
  CU_ASSERT (g.error || memcmp (g.token, f.token, IO_TOKEN_BYTES) != 0);
  peer4_end (&s);
}

static void
fua_is_file_sync (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  peer4_fill (3);
  CU_ASSERT_EQUAL (peer4_request (&s, IO_WRITE, IO_FUA, 512, 1024, data).error,
                   ERR_OK);
  CU_ASSERT_EQUAL (memcmp (server.committed + 512, data, 1024), 0);
  CU_ASSERT_EQUAL (server.executed[COMMIT], 0);
  peer4_end (&s);
}

static void
holes_are_told (void)
{
  struct io_extent *e = (struct io_extent *)(void *)back;
  struct proto_completion c;
  struct peer s;

  peer4_begin (&s);
  memset (server.content + 8192, 1, 8192);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  c = peer4_request (&s, IO_STATUS, 0, 0, SIZE, back);
  CU_ASSERT (!c.error && c.extents == 1 && e->length == 8192);
  CU_ASSERT_EQUAL (e->flags, IO_EXTENT_HOLE | IO_EXTENT_ZERO);
  c = peer4_request (&s, IO_STATUS, 0, 10000, SIZE - 10000, back);
  CU_ASSERT (!c.error && c.extents == 1 && e->length == 16384 - 10000);
  CU_ASSERT_EQUAL (e->flags, 0);
  c = peer4_request (&s, IO_STATUS, 0, 16384, 65536,
                     back); /* and nothing behind */
  CU_ASSERT (!c.error && c.extents == 1 && e->length == 65536);
  CU_ASSERT_EQUAL (e->flags, IO_EXTENT_HOLE | IO_EXTENT_ZERO);
  memset (server.content, 1, SIZE);
  c = peer4_request (&s, IO_STATUS, 0, 4096, SIZE - 4096, back);
  CU_ASSERT (!c.error && c.extents == 1 && e->length == SIZE - 4096);
  CU_ASSERT_EQUAL (e->flags, 0);
  peer4_end (&s);
}

static bool
seek_raced (struct peer *s, uint8_t *reply, size_t *bytes)
{
  (void)s;
  /* SEEK is the last result: resop, status, sr_eof, sr_offset */
  for (unsigned i = 0; i < 8; i++)
    reply[*bytes - 8 + i] = (uint8_t)(4096ull >> 8 * (7 - i));
  return true;
}

/* Somebody writes between the SEEK for a hole and the one for data. */
static void
a_write_between_two_seeks (void)
{
  struct io_extent *e = (struct io_extent *)(void *)back;
  struct proto_completion c;
  struct peer s;

  peer4_begin (&s);
  memset (server.content + 8192, 1, 8192);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  s.tamper = seek_raced;
  c = peer4_request (&s, IO_STATUS, 0, 4096, 65536, back);
  s.tamper = NULL;
  CU_ASSERT (!c.error && c.extents == 1 && e->length == 65536);
  CU_ASSERT_EQUAL (e->flags, 0);
  peer4_works (&s, 1);
  peer4_end (&s);
}

static void
zero_and_trim (void)
{
  struct volume_info i;
  unsigned allocated;
  struct peer s;

  peer4_begin (&s);
  memset (server.content, 1, SIZE);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  allocated = server.executed[ALLOCATE]; /* as a probe */
  CU_ASSERT_EQUAL (peer4_request (&s, IO_TRIM, 0, 0, 65536, NULL).error,
                   ERR_OK);
  CU_ASSERT_EQUAL (server.executed[ALLOCATE], allocated);
  CU_ASSERT_EQUAL (
      peer4_request (&s, IO_ZERO, IO_NO_HOLE, 65536, 65536, NULL).error,
      ERR_OK);
  CU_ASSERT (server.executed[ALLOCATE] > allocated);
  CU_ASSERT (server.content[0] == 0 && server.content[131071] == 0
             && server.content[131072] == 1);
  /* a server that takes no WRITE of no bytes */
  server.no_empty_write = true;
  CU_ASSERT_EQUAL (peer4_request (&s, IO_TRIM, 0, 131072, 4096, NULL).error,
                   ERR_OK);
  CU_ASSERT_EQUAL (server.content[131072], 0);
  CU_ASSERT (server.executed[COMMIT] > 0);
  peer4_end (&s);

  peer4_begin (&s);
  server.no_sparse = true;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT_EQUAL (
      i.caps & (VOLUME_CAN_TRIM | VOLUME_CAN_ZERO | VOLUME_CAN_STATUS), 0);
  peer4_works (&s, 4);
  peer4_end (&s);
}

/* However many requests wait for a place in the outbox. */
static void
a_question_has_its_turn (void)
{
  struct iovec v[PROTO_TX_IOV];
  unsigned looks, calls = 0;
  struct peer s;
  size_t n;

  peer4_begin (&s);
  server.slots = FAKE4_SLOTS;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  for (unsigned i = 0; i < 100; i++)
    CU_ASSERT_EQUAL (
        peer4_submit (&s, 500 + i, IO_WRITE, 0, i * 4096, 4096, data), ERR_OK);
  CU_ASSERT (nfs_ops.tx_iov (s.p, 0, v, PROTO_TX_IOV) > PROTO_TX_IOV - 3);
  nfs_ops.probe (s.p, s.now_ns);
  looks = server.executed[GETATTR];
  while (server.executed[GETATTR] == looks && calls < 40) {
    n = peer_call (&s);
    CU_ASSERT (fake_nfs4_answer (&server, s.call, n, s.reply, PEER_RECORD_BYTES)
               > 0);
    calls++;
  }
  CU_ASSERT (calls > 30 && calls < 40); /* behind what was there */
  peer4_end (&s);
}

/* A server that takes no WRITE of no bytes refuses those that are under way
 * when that is found out, and those of a session before.
 */
static void
trims_beside_each_other (void)
{
  for (unsigned lost = 0; lost < 2; lost++) {
    struct proto_completion c;
    unsigned done = 0;
    struct peer s;
    size_t n;

    peer4_begin (&s);
    memset (server.content, 1, SIZE);
    server.no_empty_write = true;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    for (unsigned i = 0; i < 3; i++)
      CU_ASSERT_EQUAL (
          peer4_submit (&s, 1000 + i, IO_TRIM, 0, i * 8192, 4096, NULL),
          ERR_OK);
    if (lost) {
      n = peer_call (&s); /* one goes again, with COMMIT */
      n = fake_nfs4_answer (&server, s.call, n, s.reply, PEER_RECORD_BYTES);
      CU_ASSERT_EQUAL (peer_record (&s, s.reply, n), ERR_OK);
      peer4_lose (&s, true);
      CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
      for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL (
            peer4_submit (&s, 1000 + i, IO_TRIM, 0, i * 8192, 4096, NULL),
            ERR_OK);
    }
    while (done < 3 && !(c = peer4_finish (&s)).error)
      done++;
    CU_ASSERT_EQUAL (done, 3);
    CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_READY);
    for (unsigned i = 0; i < 3; i++)
      CU_ASSERT (server.content[i * 8192] == 0
                 && server.content[i * 8192 + 4096] == 1);
    peer4_end (&s);
  }
}

/* Nothing is at its begin, neither data nor a hole. */
static void
an_empty_file_is_no_hole (void)
{
  struct peer s;

  peer4_begin (&s);
  memset (server.content, 1, SIZE);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  server.size = 0;
  CU_ASSERT_EQUAL (peer4_request (&s, IO_STATUS, 0, 4096, 4096, back).error,
                   ERR_IO);
  CU_ASSERT_EQUAL (peer4_request (&s, IO_STATUS, 0, 0, 4096, back).error,
                   ERR_IO);
  server.size = SIZE;
  peer4_end (&s);
}

static void
errors_of_requests_are_theirs (void)
{
  static const struct {
    uint32_t status;
    enum err err;
  } cases[] = {{28, ERR_NOSPC},  {69, ERR_NOSPC}, {30, ERR_ROFS},
               {13, ERR_ACCESS}, {5, ERR_IO},     {2, ERR_IO},
               {22, ERR_IO}};
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    server.fail_op = WRITE;
    server.fail_status = cases[i].status;
    server.fail_times = 1;
    CU_ASSERT_EQUAL (peer4_request (&s, IO_WRITE, 0, 0, 512, data).error,
                     cases[i].err);
  }
  peer4_works (&s, 5);
  peer4_end (&s);
}

/* ---------------------------------------------------------------- lies --- */

static bool
flip (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (s->tampered-- == 0 && *bytes > 24)
    reply[24 + (size_t)rand () % (*bytes - 24)] ^= (uint8_t)(1 << rand () % 8);
  return true;
}

/* RFC 8881 §18.32.3: what a server may not say of a WRITE with FUA. */
static void
what_a_write_may_not_be_answered_by (void)
{
  static const char *const words[] = {
      [FAKE4_WRITE_NONE] = "answers WRITE of 512 bytes by none",
      [FAKE4_WRITE_MORE] = "WRITE4resok.count: more than was sent",
      [FAKE4_WRITE_WEAKER] = "WRITE4resok.committed: weaker than was asked for",
      [FAKE4_WRITE_HOW] = "WRITE4resok.committed: no stable_how4"};
  struct peer s;

  for (unsigned lie = FAKE4_WRITE_NONE; lie <= FAKE4_WRITE_HOW; lie++) {
    peer4_begin (&s);
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    server.write = lie;
    CU_ASSERT_EQUAL (
        peer4_submit (&s, 1, IO_WRITE, IO_FUA, 0, 512, data), ERR_OK);
    peer4_finish (&s);
    CU_ASSERT (peer4_says (&s, words[lie]));
    peer4_end (&s);
  }
}

/* Whatever one bit makes of an answer: an error, or nothing; no crash, and no
 * byte outside of what was asked for.
 */
static void
a_flipped_bit_does_no_harm (void)
{
  for (unsigned i = 0; i < 240; i++) {
    struct peer s;

    peer4_begin (&s);
    srand (i);
    s.tamper = flip;
    s.tampered = i % 16;
    memset (back, 0x5a, sizeof back);
    if (peer4_start (&s) == PROTO_READY && i % 16 > 10) {
      peer4_request (&s, IO_READ, 0, 8192, 4096, back);
      for (unsigned k = 4096; k < 8192; k++)
        CU_ASSERT_EQUAL_FATAL (back[k], 0x5a);
    }
    peer4_end (&s);
  }
}

UNIT_MAIN ("nfs v4 io", UNIT_TEST (stability_is_the_servers_word),
           UNIT_TEST (fua_is_file_sync), UNIT_TEST (holes_are_told),
           UNIT_TEST (a_write_between_two_seeks), UNIT_TEST (zero_and_trim),
           UNIT_TEST (a_question_has_its_turn),
           UNIT_TEST (trims_beside_each_other),
           UNIT_TEST (an_empty_file_is_no_hole),
           UNIT_TEST (errors_of_requests_are_theirs),
           UNIT_TEST (what_a_write_may_not_be_answered_by),
           UNIT_TEST (a_flipped_bit_does_no_harm))
