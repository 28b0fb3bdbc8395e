/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests through a ready engine: splitting, order, short answers, errors and
 * stability tokens. What a server must not say: lies_test.c.
 */
#include "config.h"

#include <string.h>

#include "tests/unit/protocols/sftp/peer.h"
#include "tests/unit/unit.h"

#define PEER __attribute__ ((cleanup (peer_close))) struct peer
#define KIB 1024u

static uint8_t source[256 * KIB]; /* what the file holds, from any offset */
static uint8_t target[2][256 * KIB];

static void
fill (void)
{
  for (size_t i = 0; i < sizeof source; i++)
    source[i] = (uint8_t)(i * 31 + i / 251);
  memset (target, 0xee, sizeof target);
}

/* The session lives: a read goes through. */
static void
lives (struct peer *s)
{
  uint8_t byte = 0;
  struct peer_ask a;

  CU_ASSERT_EQUAL_FATAL (peer_submit (s, 4711, IO_READ, 5, 1, &byte), ERR_OK);
  a = peer_expect (s, SSH_FXP_READ);
  CU_ASSERT_EQUAL (peer_data (s, a.id, (const uint8_t *)"B", 1), ERR_OK);
  CU_ASSERT (peer_done (s, 4711, ERR_OK));
  CU_ASSERT_EQUAL (byte, 'B');
}

static void
one_read (void)
{
  PEER s = {0};
  struct peer_ask a;

  fill ();
  peer_start (&s, 0, 0);
  CU_ASSERT_EQUAL (peer_submit (&s, 77, IO_READ, 4096, 512, target[0]), ERR_OK);
  a = peer_expect (&s, SSH_FXP_READ);
  CU_ASSERT_EQUAL (a.offset, 4096);
  CU_ASSERT_EQUAL (a.length, 512);
  CU_ASSERT_FALSE (peer_done (&s, 77, ERR_OK));
  CU_ASSERT_EQUAL (peer_data (&s, a.id, source, 512), ERR_OK);
  CU_ASSERT (peer_done (&s, 77, ERR_OK));
  CU_ASSERT (memcmp (target[0], source, 512) == 0);
  CU_ASSERT_EQUAL (target[0][512], 0xee);
}

/* Without limits 256 KiB are eight parts; answered last one first. */
static void
large_reads_are_split_and_pipelined (void)
{
  PEER s = {0};
  struct peer_ask a[8], none;

  fill ();
  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_READ, 1, 256 * KIB, target[0]);
  for (uint32_t i = 0; i < 8; i++) {
    a[i] = peer_expect (&s, SSH_FXP_READ);
    CU_ASSERT_EQUAL (a[i].offset, 1 + i * 32 * KIB);
    CU_ASSERT_EQUAL (a[i].length, 32 * KIB);
  }
  CU_ASSERT_FALSE (peer_ask (&s, &none));
  for (uint32_t i = 8; i-- > 0;) {
    CU_ASSERT_FALSE (peer_done (&s, 1, ERR_OK));
    peer_data (&s, a[i].id, source + i * 32 * KIB, 32 * KIB);
  }
  CU_ASSERT (peer_done (&s, 1, ERR_OK));
  CU_ASSERT (memcmp (target[0], source, 256 * KIB) == 0);
}

static void
parts_are_balanced (void)
{
  static const struct {
    uint32_t length, max, parts[4];
  } rows[] = {
      {256 * KIB, 255 * KIB, {128 * KIB, 128 * KIB}},
      {255 * KIB, 255 * KIB, {255 * KIB}},
      {100000, 99999, {53248, 46752}},
      {256 * KIB, 100 * KIB, {88 * KIB, 88 * KIB, 80 * KIB}},
      {3000, 1000, {1000, 1000, 1000}},
      {3001, 1000, {1000, 1000, 1000, 1}}, /* not aligned: as large as can be */
  };

  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    PEER s = {0};
    struct peer_ask a;

    peer_start (&s, rows[i].max, rows[i].max);
    peer_submit (&s, 1, IO_WRITE, 0, rows[i].length, source);
    for (unsigned k = 0; k < 4 && rows[i].parts[k]; k++) {
      a = peer_expect (&s, SSH_FXP_WRITE);
      CU_ASSERT_EQUAL (a.length, rows[i].parts[k]);
      CU_ASSERT (memcmp (a.data, source + a.offset, a.length) == 0);
      peer_status (&s, a.id, SSH_FX_OK);
    }
    CU_ASSERT (peer_done (&s, 1, ERR_OK));
  }
}

static void
answers_come_in_any_order (void)
{
  PEER s = {0};
  struct peer_ask a, b;

  fill ();
  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_READ, 0, 100, target[0]);
  peer_submit (&s, 2, IO_READ, 1000, 200, target[1]);
  a = peer_expect (&s, SSH_FXP_READ);
  b = peer_expect (&s, SSH_FXP_READ);
  CU_ASSERT (a.id != b.id);
  peer_data (&s, b.id, source + 1000, 200);
  CU_ASSERT (peer_done (&s, 2, ERR_OK));
  peer_data (&s, a.id, source, 100);
  CU_ASSERT (peer_done (&s, 1, ERR_OK));
  CU_ASSERT (memcmp (target[0], source, 100) == 0);
  CU_ASSERT (memcmp (target[1], source + 1000, 200) == 0);
}

static void
short_reads_go_on (void)
{
  PEER s = {0};
  struct peer_ask a;
  uint32_t ids[3];

  fill ();
  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_READ, 10, 1000, target[0]);
  for (unsigned i = 0; i < 3; i++) {
    static const uint32_t from[] = {0, 1, 999}, n[] = {1, 998, 1};

    a = peer_expect (&s, SSH_FXP_READ);
    CU_ASSERT_EQUAL (a.offset, 10 + from[i]);
    CU_ASSERT_EQUAL (a.length, 1000 - from[i]);
    ids[i] = a.id;
    CU_ASSERT_FALSE (peer_done (&s, 1, ERR_OK));
    peer_data (&s, a.id, source + from[i], n[i]);
  }
  CU_ASSERT (ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
  CU_ASSERT (peer_done (&s, 1, ERR_OK));
  CU_ASSERT (memcmp (target[0], source, 1000) == 0);
}

static void
end_of_file_inside_the_export_is_an_error (void)
{
  PEER s = {0};
  struct peer_ask a;

  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_READ, 0, 1000, target[0]);
  a = peer_expect (&s, SSH_FXP_READ);
  peer_data (&s, a.id, source, 500); /* the file shrinks here */
  a = peer_expect (&s, SSH_FXP_READ);
  CU_ASSERT_EQUAL (peer_status (&s, a.id, SSH_FX_EOF), ERR_OK);
  CU_ASSERT (peer_done (&s, 1, ERR_IO));
  lives (&s);
}

/* The request is answered when no part may still use its memory. */
static void
one_bad_part_fails_the_request_at_its_end (void)
{
  PEER s = {0};
  struct peer_ask a[2];

  peer_start (&s, 255 * KIB, 255 * KIB);
  for (unsigned round = 0; round < 2; round++) {
    enum io_op op = round ? IO_WRITE : IO_READ;

    peer_submit (&s, round, op, 0, 256 * KIB, target[0]);
    a[0] = peer_expect (&s, round ? SSH_FXP_WRITE : SSH_FXP_READ);
    a[1] = peer_expect (&s, round ? SSH_FXP_WRITE : SSH_FXP_READ);
    peer_status (&s, a[0].id, SSH_FX_PERMISSION_DENIED);
    CU_ASSERT_FALSE (peer_done (&s, round, ERR_ACCESS));
    if (round)
      peer_status (&s, a[1].id, SSH_FX_OK);
    else
      peer_data (&s, a[1].id, source, 128 * KIB);
    CU_ASSERT (peer_done (&s, round, ERR_ACCESS));
  }
  lives (&s);
}

static void
status_codes_reach_the_user (void)
{
  static const struct {
    uint32_t code;
    enum err err;
  } rows[] = {
      {SSH_FX_FAILURE, ERR_IO},
      {SSH_FX_EOF, ERR_IO},
      {SSH_FX_NO_SUCH_FILE, ERR_IO}, /* of an open handle: it has gone bad */
      {SSH_FX_PERMISSION_DENIED, ERR_ACCESS},
      {SSH_FX_OP_UNSUPPORTED, ERR_NOTSUP},
      {SSH_FX_NO_SPACE_ON_FILESYSTEM, ERR_NOSPC},
      {UINT32_MAX, ERR_IO},
  };
  PEER s = {0};

  peer_start (&s, 0, 0);
  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct peer_ask a;

    peer_submit (&s, 1, IO_READ, 0, 10, target[0]);
    a = peer_expect (&s, SSH_FXP_READ);
    peer_status (&s, a.id, rows[i].code);
    CU_ASSERT (peer_done (&s, 1, rows[i].err));
    peer_submit (&s, 2, IO_WRITE, 0, 10, source);
    a = peer_expect (&s, SSH_FXP_WRITE);
    peer_status (&s, a.id, rows[i].code);
    CU_ASSERT (peer_done (&s, 2, rows[i].err));
    peer_submit (&s, 3, IO_FLUSH, 0, 0, NULL);
    a = peer_expect (&s, SSH_FXP_EXTENDED);
    peer_status (&s, a.id, rows[i].code);
    CU_ASSERT (peer_done (&s, 3, rows[i].err));
  }
}

static struct proto_completion
reap (struct peer *s)
{
  struct proto_completion c = {0};

  CU_ASSERT_TRUE_FATAL (sftp_ops.reap (s->p, &c));
  return c;
}

static bool
same_token (const struct proto_completion *a, const struct proto_completion *b)
{
  return memcmp (a->token, b->token, sizeof a->token) == 0;
}

static struct proto_completion
one_write (struct peer *s, uint32_t code)
{
  peer_submit (s, 1, IO_WRITE, 0, 10, source);
  peer_status (s, peer_expect (s, SSH_FXP_WRITE).id, code);
  return reap (s);
}

static void
a_flush_proves_writes (void)
{
  PEER s = {0};
  struct proto_completion w, f, again, failed_write, failed_flush;
  struct peer_ask a;

  peer_start (&s, 0, 0);
  w = one_write (&s, SSH_FX_OK);
  peer_submit (&s, 2, IO_FLUSH, 0, 0, NULL);
  a = peer_expect (&s, SSH_FXP_EXTENDED);
  CU_ASSERT_STRING_EQUAL (a.name, "fsync@openssh.com");
  CU_ASSERT_FALSE (peer_done (&s, 2, ERR_OK));
  peer_status (&s, a.id, SSH_FX_OK);
  f = reap (&s);
  CU_ASSERT_EQUAL (f.id, 2);
  CU_ASSERT_EQUAL (f.error, ERR_OK);
  CU_ASSERT (same_token (&w, &f));
  again = one_write (&s, SSH_FX_OK);
  CU_ASSERT (same_token (&w, &again));

  failed_write = one_write (&s, SSH_FX_FAILURE);
  CU_ASSERT_FALSE (same_token (&failed_write, &f));
  peer_submit (&s, 3, IO_FLUSH, 0, 0, NULL);
  peer_status (&s, peer_expect (&s, SSH_FXP_EXTENDED).id, SSH_FX_FAILURE);
  failed_flush = reap (&s);
  CU_ASSERT_EQUAL (failed_flush.error, ERR_IO);
  CU_ASSERT_FALSE (same_token (&failed_flush, &w));
}

static struct proto_request
fua_write (uint32_t length)
{
  return (struct proto_request){.id = 5,
                                .op = IO_WRITE,
                                .flags = IO_FUA,
                                .length = length,
                                .data = source};
}

static void
fua_is_writes_then_fsync (void)
{
  PEER s = {0};
  struct proto_request r = fua_write (64 * KIB);
  struct peer_ask a, b, none;

  peer_start (&s, 0, 0);
  CU_ASSERT_EQUAL (sftp_ops.submit (s.p, &r, 0), ERR_OK);
  a = peer_expect (&s, SSH_FXP_WRITE);
  b = peer_expect (&s, SSH_FXP_WRITE);
  peer_status (&s, b.id, SSH_FX_OK);
  CU_ASSERT_FALSE (peer_ask (&s, &none));
  peer_status (&s, a.id, SSH_FX_OK);
  a = peer_expect (&s, SSH_FXP_EXTENDED);
  CU_ASSERT_FALSE (peer_done (&s, 5, ERR_OK));
  peer_status (&s, a.id, SSH_FX_OK);
  CU_ASSERT (peer_done (&s, 5, ERR_OK));
  /* its fsync fails: so does it */
  CU_ASSERT_EQUAL (sftp_ops.submit (s.p, &r, 0), ERR_OK);
  for (unsigned i = 0; i < 2; i++)
    peer_status (&s, peer_expect (&s, SSH_FXP_WRITE).id, SSH_FX_OK);
  peer_status (&s, peer_expect (&s, SSH_FXP_EXTENDED).id, SSH_FX_FAILURE);
  CU_ASSERT (peer_done (&s, 5, ERR_IO));
  lives (&s);
}

static void
fua_of_a_failed_write_syncs_nothing (void)
{
  PEER s = {0};
  struct proto_request r = fua_write (10);
  struct peer_ask none;

  peer_start (&s, 0, 0);
  CU_ASSERT_EQUAL (sftp_ops.submit (s.p, &r, 0), ERR_OK);
  peer_status (&s, peer_expect (&s, SSH_FXP_WRITE).id, SSH_FX_FAILURE);
  CU_ASSERT (peer_done (&s, 5, ERR_IO));
  CU_ASSERT_FALSE (peer_ask (&s, &none));
}

/* Ready without fsync. */
static void
start_plain (struct peer *s)
{
  struct peer_ask a;

  s->path = "/x";
  CU_ASSERT_EQUAL_FATAL (peer_open (s), ERR_OK);
  peer_expect (s, SSH_FXP_INIT);
  peer_version (s, 3, NULL, NULL, NULL, NULL);
  a = peer_expect (s, SSH_FXP_STAT);
  peer_attrs (s, a.id, 10, PEER_REGULAR);
  if (s->unsafe) { /* a file that is not there */
    a = peer_expect (s, SSH_FXP_OPEN);
    peer_status (s, a.id, SSH_FX_NO_SUCH_FILE);
  }
  peer_handle (s, peer_expect (s, SSH_FXP_OPEN).id);
  a = peer_expect (s, SSH_FXP_FSTAT);
  peer_attrs (s, a.id, 10, PEER_REGULAR);
  CU_ASSERT_EQUAL_FATAL (sftp_ops.state (s->p), PROTO_READY);
}

static void
an_unsafe_flush_proves_nothing (void)
{
  PEER s = {.unsafe = "yes"};
  struct proto_request r = fua_write (10);
  struct proto_completion w, f;
  struct peer_ask none;

  start_plain (&s);
  w = one_write (&s, SSH_FX_OK);
  peer_submit (&s, 2, IO_FLUSH, 0, 0, NULL);
  CU_ASSERT_FALSE (peer_ask (&s, &none));
  f = reap (&s);
  CU_ASSERT_EQUAL (f.error, ERR_OK);
  CU_ASSERT (memcmp (w.token, (uint8_t[IO_TOKEN_BYTES]){0}, IO_TOKEN_BYTES)
             == 0);
  CU_ASSERT (same_token (&w, &f));
  CU_ASSERT_EQUAL (sftp_ops.submit (s.p, &r, 0), ERR_OK);
  peer_status (&s, peer_expect (&s, SSH_FXP_WRITE).id, SSH_FX_OK);
  CU_ASSERT (peer_done (&s, 5, ERR_OK));
}

static void
what_is_not_offered_is_refused (void)
{
  PEER s = {0}, plain = {0};

  peer_start (&s, 0, 0);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_TRIM, 0, 10, NULL), ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_ZERO, 0, 10, NULL), ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, (enum io_op)99, 0, 10, source),
                   ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_READ, 0, 0, target[0]), ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_READ, 0, 10, NULL), ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_READ, 0, 256 * KIB + 1, target[0]),
                   ERR_INVAL);
  CU_ASSERT_EQUAL (
      peer_submit (&s, 1, IO_READ, PEER_FILE_BYTES - 9, 10, target[0]),
      ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_READ, UINT64_MAX, 10, target[0]),
                   ERR_INVAL);
  CU_ASSERT_EQUAL (
      peer_submit (&s, 1, IO_READ, PEER_FILE_BYTES - 10, 10, target[0]),
      ERR_OK);
  start_plain (&plain);
  CU_ASSERT_EQUAL (peer_submit (&plain, 1, IO_WRITE, 0, 10, source), ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&plain, 1, IO_FLUSH, 0, 0, NULL), ERR_INVAL);
}

/* 128 requests of 512 parts each are far more than may be under way. */
static void
a_full_engine_queues (void)
{
  PEER s = {0};
  struct proto_completion c;
  struct peer_ask a;
  unsigned parts = 0, done = 0;

  fill ();
  peer_start (&s, 512, 512);
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    CU_ASSERT_EQUAL (peer_submit (&s, i, IO_READ, 0, 256 * KIB, target[i % 2]),
                     ERR_OK);
  CU_ASSERT_EQUAL (peer_submit (&s, 999, IO_READ, 0, 1, target[0]), ERR_AGAIN);
  while (peer_ask (&s, &a)) {
    CU_ASSERT_EQUAL_FATAL (peer_data (&s, a.id, source + a.offset, a.length),
                           ERR_OK);
    parts++;
  }
  CU_ASSERT_EQUAL (parts, PROTO_REQUESTS * 512);
  /* answered, but not fetched: still in flight */
  CU_ASSERT_EQUAL (peer_submit (&s, 999, IO_READ, 0, 1, target[0]), ERR_AGAIN);
  for (; sftp_ops.reap (s.p, &c); done++) {
    CU_ASSERT_EQUAL (c.id, done);
    CU_ASSERT_EQUAL (c.error, ERR_OK);
  }
  CU_ASSERT_EQUAL (done, PROTO_REQUESTS);
  CU_ASSERT (memcmp (target[0], source, sizeof source) == 0);
  lives (&s);
}

/* The table of parts is full after the first part of the third request. That
 * one is answered first: it is not the whole request.
 */
static void
no_more_parts_than_the_table_holds (void)
{
  PEER s = {0};
  static struct peer_ask a[1024];
  struct proto_completion c;
  struct peer_ask none;

  peer_start (&s, 512, 512);
  peer_submit (&s, 0, IO_READ, 0, 511 * 512, target[0]);
  for (unsigned i = 1; i < 4; i++)
    peer_submit (&s, i, IO_READ, 0, 512 * 512, target[0]);
  for (unsigned i = 0; i < 1024; i++)
    a[i] = peer_expect (&s, SSH_FXP_READ);
  CU_ASSERT_FALSE (peer_ask (&s, &none));
  CU_ASSERT_EQUAL_FATAL (peer_data (&s, a[1023].id, source, 512), ERR_OK);
  CU_ASSERT_FALSE (sftp_ops.reap (s.p, &c));
  for (unsigned i = 0; i < 1023; i++)
    CU_ASSERT_EQUAL_FATAL (peer_data (&s, a[i].id, source, 512), ERR_OK);
  for (unsigned i = 0; i < 1023; i++)
    peer_data (&s, peer_expect (&s, SSH_FXP_READ).id, source, 512);
  for (unsigned i = 0; i < 4; i++)
    CU_ASSERT_EQUAL (reap (&s).error, ERR_OK);
}

static void
small_headers_share_a_piece (void)
{
  PEER s = {0};
  struct iovec iov[PROTO_TX_IOV];

  peer_start (&s, 0, 0);
  for (unsigned i = 0; i < 32; i++)
    peer_submit (&s, i, IO_READ, 0, 4096, target[0]);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, iov, PROTO_TX_IOV), 1);
  CU_ASSERT_EQUAL (iov[0].iov_len, 32 * (9 + 4 + PEER_HANDLE_BYTES + 12));
  sftp_ops.tx_done (s.p, 0, iov[0].iov_len);
  /* a payload goes out from where it lies */
  peer_submit (&s, 40, IO_WRITE, 0, 4096, source);
  peer_submit (&s, 41, IO_READ, 0, 4096, target[0]);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, iov, PROTO_TX_IOV), 3);
  CU_ASSERT_PTR_EQUAL (iov[1].iov_base, source);
  CU_ASSERT_EQUAL (iov[1].iov_len, 4096);
}

/* A TLS or SSH library that could not send wants to see the same again. */
static void
what_was_handed_out_does_not_grow (void)
{
  PEER s = {0};
  struct iovec iov[PROTO_TX_IOV], again[PROTO_TX_IOV];

  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_READ, 0, 4096, target[0]);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, iov, PROTO_TX_IOV), 1);
  for (unsigned i = 2; i < 5; i++) {
    peer_submit (&s, i, IO_READ, 0, 4096, target[0]);
    CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, again, PROTO_TX_IOV), i);
    CU_ASSERT_PTR_EQUAL (again[0].iov_base, iov[0].iov_base);
    CU_ASSERT_EQUAL (again[0].iov_len, iov[0].iov_len);
  }
  /* the first bytes of it are gone: the rest stands where it stood */
  sftp_ops.tx_done (s.p, 0, 5);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, again, 1), 1);
  CU_ASSERT_PTR_EQUAL (again[0].iov_base, (uint8_t *)iov[0].iov_base + 5);
  CU_ASSERT_EQUAL (again[0].iov_len, iov[0].iov_len - 5);
}

/* An odd piece first: the last pair does not fit any more. */
static void
pieces_are_bounded (void)
{
  PEER s = {0};
  struct iovec iov[PROTO_TX_IOV];

  peer_start (&s, 0, 0);
  peer_submit (&s, 100, IO_READ, 0, 10, target[0]);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, iov, PROTO_TX_IOV), 1);
  for (unsigned i = 0; i < 40; i++)
    peer_submit (&s, i, IO_WRITE, i * 10, 10, source);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, iov, PROTO_TX_IOV), 63);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, iov, 7), 7);
  peer_expect (&s, SSH_FXP_READ);
  for (unsigned i = 0; i < 40; i++)
    CU_ASSERT_EQUAL (peer_expect (&s, SSH_FXP_WRITE).offset, i * 10);
}

/* DATA is put where it belongs, not copied. */
static void
payload_is_received_in_place (void)
{
  PEER s = {0};
  struct iovec v;
  struct peer_ask a;
  uint8_t head[13] = {0, 0, 0, 109, SSH_FXP_DATA, 0, 0, 0, 0, 0, 0, 0, 100};

  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_READ, 0, 100, target[0]);
  a = peer_expect (&s, SSH_FXP_READ);
  for (unsigned i = 0; i < 4; i++)
    head[5 + i] = (uint8_t)(a.id >> (24 - 8 * i));
  CU_ASSERT_EQUAL (peer_feed (&s, head, sizeof head), ERR_OK);
  v = sftp_ops.rx_iov (s.p, 0);
  CU_ASSERT_PTR_EQUAL (v.iov_base, target[0]);
  CU_ASSERT_EQUAL (v.iov_len, 100);
}

static void
probing_asks_for_attributes (void)
{
  struct peer s __attribute__ ((cleanup (peer_close))) = {0};
  static uint8_t data[4096];
  uint64_t change, size;
  struct peer_ask a, r;

  peer_start (&s, 0, 0);
  CU_ASSERT_FALSE (sftp_ops.probed (s.p, &change, &size));
  sftp_ops.probe (s.p, 0);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_READ, 0, 4096, data), ERR_OK);
  a = peer_expect (&s, SSH_FXP_FSTAT);
  r = peer_expect (&s, SSH_FXP_READ);
  CU_ASSERT_FALSE (sftp_ops.probed (s.p, &change, &size));
  CU_ASSERT_EQUAL (peer_data (&s, r.id, data, 4096), ERR_OK);
  CU_ASSERT (peer_done (&s, 1, ERR_OK));
  CU_ASSERT_EQUAL (peer_attrs (&s, a.id, 777, PEER_REGULAR), ERR_OK);
  CU_ASSERT_FATAL (sftp_ops.probed (s.p, &change, &size));
  CU_ASSERT_EQUAL (change, 0); /* the peer tells no time */
  CU_ASSERT_EQUAL (size, 777);
  CU_ASSERT_FALSE (sftp_ops.probed (s.p, &change, &size));
  /* refused: nothing is known */
  sftp_ops.probe (s.p, 0);
  a = peer_expect (&s, SSH_FXP_FSTAT);
  CU_ASSERT_EQUAL (peer_status (&s, a.id, SSH_FX_FAILURE), ERR_OK);
  CU_ASSERT_FATAL (sftp_ops.probed (s.p, &change, &size));
  CU_ASSERT_EQUAL (change, 0);
  CU_ASSERT_EQUAL (size, PEER_FILE_BYTES);
  /* attributes that nobody asked for */
  CU_ASSERT_EQUAL (peer_attrs (&s, a.id, 1, PEER_REGULAR), ERR_PEER);
}

static void
probing_takes_attributes_only (void)
{
  struct peer s __attribute__ ((cleanup (peer_close))) = {0};
  static uint8_t data[4096];
  struct peer_ask a;

  peer_start (&s, 0, 0);
  sftp_ops.probe (s.p, 0);
  a = peer_expect (&s, SSH_FXP_FSTAT);
  CU_ASSERT_EQUAL (peer_data (&s, a.id, data, 4096), ERR_PEER);
  CU_ASSERT_PTR_NOT_NULL (
      strstr (sftp_ops.fault (s.p)->text, "SSH_FXP_FSTAT with SSH_FXP_DATA"));
}

UNIT_MAIN ("sftp transfer", UNIT_TEST (probing_asks_for_attributes),
           UNIT_TEST (probing_takes_attributes_only),
           UNIT_TEST (one_read),
           UNIT_TEST (large_reads_are_split_and_pipelined),
           UNIT_TEST (parts_are_balanced),
           UNIT_TEST (answers_come_in_any_order), UNIT_TEST (short_reads_go_on),
           UNIT_TEST (end_of_file_inside_the_export_is_an_error),
           UNIT_TEST (one_bad_part_fails_the_request_at_its_end),
           UNIT_TEST (status_codes_reach_the_user),
           UNIT_TEST (a_flush_proves_writes),
           UNIT_TEST (fua_is_writes_then_fsync),
           UNIT_TEST (fua_of_a_failed_write_syncs_nothing),
           UNIT_TEST (an_unsafe_flush_proves_nothing),
           UNIT_TEST (what_is_not_offered_is_refused),
           UNIT_TEST (a_full_engine_queues),
           UNIT_TEST (no_more_parts_than_the_table_holds),
           UNIT_TEST (small_headers_share_a_piece),
           UNIT_TEST (what_was_handed_out_does_not_grow),
           UNIT_TEST (pieces_are_bounded),
           UNIT_TEST (payload_is_received_in_place))
