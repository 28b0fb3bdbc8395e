/* SPDX-License-Identifier: BSD-2-Clause */
/* A server that lies to a ready engine: each ends the session. */
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

/* The server has lied: the session is over. */
static void
over (struct peer *s, const char *text)
{
  CU_ASSERT_EQUAL_FATAL (sftp_ops.state (s->p), PROTO_FAILED);
  CU_ASSERT_EQUAL (sftp_ops.fault (s->p)->code, ERR_PEER);
  if (!strstr (sftp_ops.fault (s->p)->text, text))
    CU_FAIL (text);
  CU_ASSERT_PTR_NOT_NULL (
      strstr (sftp_ops.fault (s->p)->text, "draft-ietf-secsh-filexfer-02 §"));
}

static void
unknown_and_duplicate_ids (void)
{
  for (unsigned i = 0; i < 6; i++) {
    PEER s = {0};
    struct peer_ask a;

    peer_start (&s, 0, 0);
    peer_submit (&s, 1, IO_READ, 0, 10, target[0]);
    a = peer_expect (&s, SSH_FXP_READ);
    switch (i) {
    case 0: /* another index */
      peer_data (&s, a.id + 1, source, 10);
      break;
    case 1: /* the same index, another count */
      peer_data (&s, a.id + 1024, source, 10);
      break;
    case 2: /* the same part, a question before */
      peer_data (&s, a.id - 1024, source, 10);
      break;
    case 3: /* answered already */
      peer_data (&s, a.id, source, 10);
      peer_data (&s, a.id, source, 10);
      break;
    case 4:
      peer_status (&s, a.id, SSH_FX_EOF);
      peer_status (&s, a.id, SSH_FX_EOF);
      break;
    case 5: /* the first half of a short answer again */
      peer_data (&s, a.id, source, 5);
      peer_expect (&s, SSH_FXP_READ);
      peer_data (&s, a.id, source, 5);
      break;
    }
    over (&s, "field id");
  }
}

static void
an_answer_before_the_question (void)
{
  PEER s = {0};
  struct iovec iov[2];
  struct peer_ask a;

  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_WRITE, 0, 10, source);
  a = peer_expect (&s, SSH_FXP_WRITE);
  peer_status (&s, a.id, SSH_FX_OK);
  CU_ASSERT (peer_done (&s, 1, ERR_OK));
  /* The server knows which id comes next, but not all of it has left. */
  peer_submit (&s, 2, IO_WRITE, 0, 10, source);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, iov, 2), 2);
  sftp_ops.tx_done (s.p, 0, iov[0].iov_len + 9);
  a.id = 0;
  for (unsigned i = 0; i < 4; i++)
    a.id = a.id << 8 | ((const uint8_t *)iov[0].iov_base)[5 + i];
  CU_ASSERT_EQUAL (peer_status (&s, a.id, SSH_FX_OK), ERR_PEER);
  over (&s, "not under way");
}

static void
wrong_lengths_of_data (void)
{
  for (unsigned i = 0; i < 5; i++) {
    PEER s = {0};
    struct peer_ask a;
    uint8_t p[13] = {0, 0, 0, 19, SSH_FXP_DATA, 0, 0, 0, 0, 0, 0, 0, 10};

    peer_start (&s, 0, 0);
    peer_submit (&s, 1, IO_READ, 0, 10, target[0]);
    a = peer_expect (&s, SSH_FXP_READ);
    for (unsigned k = 0; k < 4; k++)
      p[5 + k] = (uint8_t)(a.id >> (24 - 8 * k));
    switch (i) {
    case 0: /* longer than asked */
      p[3] = 20, p[12] = 11;
      break;
    case 1: /* nothing */
      p[3] = 9, p[12] = 0;
      break;
    case 2: /* bytes behind the string */
      p[3] = 20;
      break;
    case 3: /* the string is longer than the packet */
      p[3] = 18;
      break;
    case 4: /* wraps around in 32 bits */
      p[3] = 9, p[9] = p[10] = p[11] = p[12] = 0xff;
      break;
    }
    CU_ASSERT_EQUAL (peer_feed (&s, p, sizeof p), ERR_PEER);
    over (&s, "field data");
  }
}

static void
more_than_the_rest_of_a_short_answer (void)
{
  PEER s = {0};
  struct peer_ask a;

  fill ();
  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_READ, 0, 10, target[0]);
  peer_data (&s, peer_expect (&s, SSH_FXP_READ).id, source, 4);
  a = peer_expect (&s, SSH_FXP_READ);
  CU_ASSERT_EQUAL (a.length, 6);
  CU_ASSERT_EQUAL (peer_data (&s, a.id, source, 7), ERR_PEER);
  over (&s, "7 bytes of data where 6 were asked");
  CU_ASSERT_EQUAL (target[0][10], 0xee);
}

static void
wrong_types (void)
{
  static const uint8_t ops[] = {IO_READ, IO_WRITE, IO_FLUSH};

  for (unsigned i = 0; i < 9; i++) {
    PEER s = {0};
    struct peer_ask a = {0};

    peer_start (&s, 0, 0);
    peer_submit (&s, 1, (enum io_op)ops[i % 3], 0, i % 3 == 2 ? 0 : 10,
                 target[0]);
    CU_ASSERT_FATAL (peer_ask (&s, &a));
    if (i < 3)
      peer_handle (&s, a.id);
    else if (i < 6)
      peer_attrs (&s, a.id, 1, 1);
    else if (i == 6)
      peer_status (&s, a.id, SSH_FX_OK); /* where data should come */
    else
      peer_data (&s, a.id, source, 10);
    over (&s, i == 6 ? "SSH_FX_OK" : "field type");
  }
}

static void
long_packets_of_other_types (void)
{
  PEER status = {0}, longest = {0}, data = {0}, unknown = {0};

  peer_start (&status, 0, 0); /* 16 KiB and one byte */
  CU_ASSERT_EQUAL (peer_feed (&status, "\0\0\x3f\xfd\x65", 5), ERR_PEER);
  over (&status, "field length");
  peer_start (&longest, 0, 0);
  CU_ASSERT_EQUAL (peer_feed (&longest, "\0\0\x3f\xfc\x65", 5), ERR_OK);
  peer_start (&data, 0, 0);
  CU_ASSERT_EQUAL (peer_feed (&data, "\0\4\1\0", 4), ERR_PEER);
  over (&data, "field length");
  peer_start (&unknown, 0, 0);
  CU_ASSERT_EQUAL (peer_feed (&unknown, "\0\0\0\x09\x42\0\0\0\0\0\0\0\0", 13),
                   ERR_PEER);
  over (&unknown, "unknown packet type");
}

static void
trailing_bytes_in_a_status (void)
{
  PEER s = {0};
  struct peer_ask a;
  uint8_t p[23] = {0, 0, 0, 19, SSH_FXP_STATUS};

  peer_start (&s, 0, 0);
  peer_submit (&s, 1, IO_WRITE, 0, 10, source);
  a = peer_expect (&s, SSH_FXP_WRITE);
  for (unsigned k = 0; k < 4; k++)
    p[5 + k] = (uint8_t)(a.id >> (24 - 8 * k));
  CU_ASSERT_EQUAL (peer_feed (&s, p, sizeof p), ERR_PEER);
  over (&s, "SSH_FXP_STATUS");
}

UNIT_MAIN ("sftp lies", UNIT_TEST (unknown_and_duplicate_ids),
           UNIT_TEST (an_answer_before_the_question),
           UNIT_TEST (wrong_lengths_of_data),
           UNIT_TEST (more_than_the_rest_of_a_short_answer),
           UNIT_TEST (wrong_types),
           UNIT_TEST (long_packets_of_other_types),
           UNIT_TEST (trailing_bytes_in_a_status))
