/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/unit/protocols/iscsi/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/iscsi/digest.h"
#include "protocols/iscsi/pdu.h"
#include "tests/unit/unit.h"

void
put32 (uint8_t *p, uint32_t v)
{
  for (unsigned i = 0; i < 4; i++)
    p[i] = (uint8_t)(v >> (24 - 8 * i));
}

uint32_t
get32 (const uint8_t *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
         | p[3];
}

static const char *
get_param (void *ctx, const char *key)
{
  const struct target *t = ctx;
  const struct {
    const char *key, *value;
  } params[] = {{"path", t->path},
                {"list", t->list},
                {"user", t->user},
                {"target-user", t->target_user},
                {"header-digest", t->header_digest},
                {"data-digest", t->data_digest},
                {"timeout", t->timeout}};

  for (unsigned i = 0; i < sizeof params / sizeof params[0]; i++)
    if (strcmp (params[i].key, key) == 0)
      return params[i].value;
  return NULL;
}

enum err
target_open (struct target *t)
{
  struct proto_config c = {.get = get_param, .ctx = t,
                           .identity = t->identity, .moved = t->moved,
                           .moved_bytes = t->moved_bytes};

  if (!t->path)
    t->path = "/" TARGET_IQN "/1";
  if (!t->now_ns)
    t->now_ns = 1000000000;
  /* CmdSN begins right before it wraps. */
  memcpy (c.seed, "\1\2\3\4\xfb\xff\xff\xff\5\6\7\10\11\12\13\14", 16);
  t->window = 64;
  t->stat_sn = 0xfffffffeu;
  t->exp_cmd_sn = 0xfffffffbu;
  t->digests = false;
  t->tx_bytes = t->tx_at = 0;
  t->rx_bytes = 0;
  return iscsi_ops.open (&c, t->now_ns, &t->p, &t->open_fault);
}

void
target_close (struct target *t)
{
  if (t->p)
    iscsi_ops.close (t->p);
  t->p = NULL;
  free (t->tx);
  t->tx = NULL;
  t->tx_size_bytes = 0;
}

void
target_pump (struct target *t)
{
  struct iovec iov[PROTO_TX_IOV];
  size_t n;

  while (iscsi_ops.state (t->p) != PROTO_FAILED
         && (n = iscsi_ops.tx_iov (t->p, 0, iov, PROTO_TX_IOV)) > 0)
    for (size_t i = 0; i < n; i++) {
      if (t->tx_bytes + iov[i].iov_len > t->tx_size_bytes) {
        t->tx_size_bytes = 2 * (t->tx_bytes + iov[i].iov_len);
        t->tx = realloc (t->tx, t->tx_size_bytes);
      }
      memcpy (t->tx + t->tx_bytes, iov[i].iov_base, iov[i].iov_len);
      t->tx_bytes += iov[i].iov_len;
      iscsi_ops.tx_done (t->p, 0, iov[i].iov_len);
    }
}

bool
target_hear (struct target *t, struct heard *h)
{
  const uint8_t *p;
  size_t n = 48;

  target_pump (t);
  if (t->tx_at == t->tx_bytes || iscsi_ops.state (t->p) == PROTO_FAILED)
    return false;
  CU_ASSERT_FATAL (t->tx_bytes - t->tx_at >= 48);
  p = t->tx + t->tx_at;
  memcpy (h->bhs, p, 48);
  h->opcode = p[0] & 0x3f;
  h->itt = get32 (p + 16);
  h->data_bytes = get32 (p + 4) & 0xffffff;
  CU_ASSERT_EQUAL (p[4], 0);
  if (t->digests) {
    CU_ASSERT (digest_equals (digest_more (DIGEST_START, p, 48), p + 48));
    n += 4;
  }
  h->data = p + n;
  if (h->data_bytes) {
    uint32_t padded = h->data_bytes + pdu_padding (h->data_bytes);

    if (t->digests)
      CU_ASSERT (digest_equals (digest_more (DIGEST_START, p + n, padded),
                                p + n + padded));
    n += padded + (t->digests ? 4 : 0);
  }
  t->tx_at += n;
  CU_ASSERT_FATAL (t->tx_at <= t->tx_bytes);
  /* A command that is not immediate has the next CmdSN. */
  if (h->opcode == PDU_SCSI_COMMAND) {
    CU_ASSERT_EQUAL (get32 (h->bhs + 24), t->exp_cmd_sn);
    t->exp_cmd_sn++;
  }
  return true;
}

struct heard
target_expect (struct target *t, uint8_t opcode)
{
  struct heard h = {0};
  bool there = target_hear (t, &h);

  CU_ASSERT_FATAL (there);
  CU_ASSERT_EQUAL_FATAL (h.opcode, opcode);
  return h;
}

enum err
target_feed (struct target *t, const void *bytes, size_t n)
{
  const uint8_t *p = bytes;

  CU_ASSERT_FATAL (iscsi_ops.state (t->p) != PROTO_FAILED);
  while (n > 0) {
    struct iovec v = iscsi_ops.rx_iov (t->p, 0);
    size_t piece = n < v.iov_len ? n : v.iov_len;
    uint8_t *to = v.iov_base;
    enum err e;

    CU_ASSERT_FATAL (v.iov_len > 0);
    if (t->rx_max_bytes && piece > t->rx_max_bytes)
      piece = t->rx_max_bytes;
    if (t->cut_at > t->rx_bytes && t->cut_at < t->rx_bytes + piece)
      piece = (size_t)(t->cut_at - t->rx_bytes);
    memcpy (to, p, piece);
    if (t->flip_at >= t->rx_bytes && t->flip_at - t->rx_bytes < piece
        && t->flip_at)
      to[t->flip_at - t->rx_bytes] ^= 0x10;
    t->rx_bytes += piece;
    e = iscsi_ops.rx_done (t->p, 0, piece, t->now_ns);
    if (e)
      return e;
    p += piece;
    n -= piece;
  }
  return ERR_OK;
}

enum err
target_say (struct target *t, uint8_t *b, const void *data,
            uint32_t data_bytes, bool stat)
{
  uint32_t padded = data_bytes + pdu_padding (data_bytes);
  uint8_t *all = calloc (1, 56 + padded);
  size_t n = 48;
  enum err e;

  b[5] = (uint8_t)(data_bytes >> 16);
  b[6] = (uint8_t)(data_bytes >> 8);
  b[7] = (uint8_t)data_bytes;
  put32 (b + 24, t->stat_sn);
  t->stat_sn += stat;
  put32 (b + 28, t->exp_cmd_sn);
  put32 (b + 32, t->exp_cmd_sn + t->window);
  memcpy (all, b, 48);
  if (t->digests) {
    digest_put (digest_more (DIGEST_START, all, 48), all + 48);
    n += 4;
  }
  if (data_bytes) {
    memcpy (all + n, data, data_bytes);
    if (t->digests)
      digest_put (digest_more (DIGEST_START, all + n, padded),
                  all + n + padded);
    n += padded + (t->digests ? 4 : 0);
  }
  e = target_feed (t, all, n);
  free (all);
  return e;
}

/* ----------------------------------------------------------------- login ---
 */

/* keys with \n in place of NUL. */
enum err
target_login_response (struct target *t, const struct heard *request,
                       uint8_t flags, const char *keys)
{
  uint8_t b[48] = {0x23, flags};
  char text[4096];
  size_t n = strlen (keys);

  memcpy (text, keys, n);
  for (size_t i = 0; i < n; i++)
    if (text[i] == '\n')
      text[i] = 0;
  memcpy (b + 8, request->bhs + 8, 6);
  if ((flags & 0x83) == 0x83)
    b[15] = 7; /* TSIH */
  memcpy (b + 16, request->bhs + 16, 4);
  return target_say (t, b, text, (uint32_t)n, true);
}

void
target_login (struct target *t)
{
  struct heard h = target_expect (t, PDU_LOGIN_REQUEST);
  bool wants = t->header_digest || t->data_digest;

  CU_ASSERT_EQUAL (h.bhs[1], 0x81);
  CU_ASSERT_EQUAL (target_login_response (t, &h, 0x81,
                                          "TargetPortalGroupTag=1\n"
                                          "AuthMethod=None\n"),
                   ERR_OK);
  h = target_expect (t, PDU_LOGIN_REQUEST);
  CU_ASSERT_EQUAL (h.bhs[1], 0x87);
  CU_ASSERT_EQUAL (target_login_response (
                       t, &h, 0x87,
                       t->keys ? t->keys
                       : wants ? "HeaderDigest=CRC32C\nDataDigest=CRC32C\n"
                               : "MaxRecvDataSegmentLength=65536\n"
                                 "InitialR2T=Yes\nImmediateData=Yes\n"
                                 "MaxBurstLength=131072\n"
                                 "FirstBurstLength=16384\n"
                                 "MaxOutstandingR2T=2\n"),
                   ERR_OK);
  t->digests = wants;
}

/* ------------------------------------------------------------------- LUN ---
 */

enum err
target_status (struct target *t, const struct heard *command, uint8_t status,
               const void *sense, uint16_t n)
{
  uint8_t b[48] = {0x21, 0x80, 0, status};
  uint8_t data[300] = {(uint8_t)(n >> 8), (uint8_t)n};
  bool read = command->bhs[1] & 0x40;

  if (n)
    memcpy (data + 2, sense, n);
  memcpy (b + 16, command->bhs + 16, 4);
  if (read) { /* no data: all of it is residual */
    b[1] |= 0x02;
    memcpy (b + 44, command->bhs + 20, 4);
  }
  return target_say (t, b, data, n ? n + 2u : 0, true);
}

/* flags: 80h F, 01h S with status GOOD. Bytes of the disk, from offset on. */
enum err
target_data_in (struct target *t, const struct heard *command,
                uint32_t data_sn, uint32_t offset, uint32_t length,
                uint8_t flags)
{
  uint8_t b[48] = {0x25, flags};
  uint64_t lba = get32 (command->bhs + 34);

  memcpy (b + 16, command->bhs + 16, 4);
  put32 (b + 20, PDU_NO_TAG);
  put32 (b + 36, data_sn);
  put32 (b + 40, offset);
  return target_say (t, b, t->disk + lba * 512 + offset, length, flags & 1);
}

enum err
target_r2t (struct target *t, const struct heard *command, uint32_t r2t_sn,
            uint32_t ttt, uint32_t offset, uint32_t length)
{
  uint8_t b[48] = {0x31, 0x80};

  memcpy (b + 8, command->bhs + 8, 12);
  put32 (b + 20, ttt);
  put32 (b + 36, r2t_sn);
  put32 (b + 40, offset);
  put32 (b + 44, length);
  return target_say (t, b, NULL, 0, false);
}

/* What a short answer says; the residual is what the engine asked for more. */
static void
tell (struct target *t, const struct heard *h, const void *bytes, uint32_t n)
{
  uint8_t b[48] = {0x25, 0x81};
  uint32_t asked = get32 (h->bhs + 20);

  if (n > asked)
    n = asked;
  if (n < asked) {
    b[1] |= 0x02;
    put32 (b + 44, asked - n);
  }
  memcpy (b + 16, h->bhs + 16, 4);
  put32 (b + 20, PDU_NO_TAG);
  (void)target_say (t, b, bytes, n, true);
}

void
target_serve (struct target *t, const struct heard *h)
{
  static const uint8_t illegal[18]
      = {0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20};
  const uint8_t *cdb = h->bhs + 32;
  uint8_t answer[64] = {0};

  switch (cdb[0]) {
  case 0x00: /* TEST UNIT READY */
  case 0x35: /* SYNCHRONIZE CACHE */
    CU_ASSERT_EQUAL (target_status (t, h, 0, NULL, 0), ERR_OK);
    return;
  case 0x12: /* INQUIRY */
    if (cdb[1] & 1)
      break;
    memcpy (answer, "\0\0\6\2\x1f\0\0\2EXAMPLE DISK            1   ", 36);
    tell (t, h, answer, 36);
    return;
  case 0x9e: /* READ CAPACITY (16) */
    if ((cdb[1] & 0x1f) != 0x10)
      break;
    put32 (answer + 4, TARGET_DISK_BYTES / 512 - 1);
    put32 (answer + 8, 512);
    tell (t, h, answer, 32);
    return;
  case 0x28: /* READ (10) */
    CU_ASSERT_EQUAL (
        target_data_in (t, h, 0, 0, get32 (h->bhs + 20), 0x81), ERR_OK);
    return;
  case 0xa0: /* REPORT LUNS */
    answer[3] = t->luns == 1 ? 8 : 16;
    answer[9] = 1;
    answer[16] = 0x41;
    tell (t, h, answer, 8u + answer[3]);
    return;
  default:
    break;
  }
  CU_ASSERT_EQUAL (target_status (t, h, 2, illegal, sizeof illegal), ERR_OK);
}

void
target_start (struct target *t)
{
  struct heard h;

  CU_ASSERT_EQUAL_FATAL (target_open (t), ERR_OK);
  target_login (t);
  while (target_hear (t, &h)) {
    CU_ASSERT_EQUAL_FATAL (h.opcode, PDU_SCSI_COMMAND);
    target_serve (t, &h);
  }
  CU_ASSERT_EQUAL_FATAL (iscsi_ops.state (t->p), PROTO_READY);
}

/* -------------------------------------------------------------- requests ---
 */

enum err
target_submit (struct target *t, uint64_t id, enum io_op op, uint64_t offset,
               uint32_t length, uint8_t *data)
{
  struct proto_request r = {.id = id, .tag = id, .op = op, .offset = offset,
                            .length = length, .data = data};

  return iscsi_ops.submit (t->p, &r, t->now_ns);
}

bool
target_done (struct target *t, uint64_t id, enum err error)
{
  struct proto_completion c;

  if (iscsi_ops.deadline_ns (t->p) <= t->now_ns)
    iscsi_ops.tick (t->p, t->now_ns);
  return iscsi_ops.reap (t->p, &c) && c.id == id && c.error == error
         && !iscsi_ops.reap (t->p, &c);
}

bool
target_failed (const struct target *t, const char *words)
{
  const struct fault *f = iscsi_ops.fault (t->p);
  bool right = iscsi_ops.state (t->p) == PROTO_FAILED
               && strstr (f->text, words) != NULL;

  if (!right)
    fprintf (stderr, "expected \"%s\", state %d: %s\n", words,
             iscsi_ops.state (t->p), f->text);
  return right;
}
