/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "fuzz/refusals.h"

#include <string.h>

#include "common/wire.h"
#include "fuzz/target.h"

enum { SFTP_INIT = 1, SFTP_VERSION = 2, SFTP_STATUS = 101, SFTP_FAILURE = 4 };
enum { RPC_CALL = 0, RPC_REPLY = 1, NFS_PROGRAM = 100003, NFS_IO = 5 };
enum { OP_SEQUENCE_ = 53, OP_PUTFH_ = 22 };
enum {
  BHS_BYTES = 48,
  NOP_OUT = 0x00,
  SCSI_COMMAND = 0x01,
  TASK_REQUEST = 0x02,
  TEXT_REQUEST = 0x04,
  LOGOUT_REQUEST = 0x06,
  NOP_IN = 0x20,
  SCSI_RESPONSE = 0x21,
  TASK_RESPONSE = 0x22,
  LOGIN_RESPONSE = 0x23,
  DATA_IN = 0x25,
  DATA_OUT = 0x05,
  R2T = 0x31,
  ABORT_TASK = 1,
  CHECK_CONDITION = 0x02,
};
#define NO_TAG 0xffffffffu

NOT_TRACED static uint32_t
be32 (const uint8_t *b)
{
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8
         | b[3];
}

void
refusals_init (struct refusals *r, enum refusals_protocol protocol)
{
  r->protocol = protocol;
  r->lost = r->fragment = false;
  r->stat_sn = r->cmd_sn = 0;
  r->sent.have_bytes = r->sent.total_bytes = 0;
  r->heard.have_bytes = r->heard.total_bytes = 0;
  r->n = 0;
}

/* ------------------------------------------------------------- pending --- */

NOT_TRACED static struct refusals_pending *
add (struct refusals *r, uint32_t id, uint32_t kind)
{
  struct refusals_pending *p = &r->pending[r->n];

  if (r->n == REFUSALS_PENDING) {
    r->lost = true;
    return NULL;
  }
  r->n++;
  *p = (struct refusals_pending){.id = id, .kind = kind};
  return p;
}

NOT_TRACED static void
take_out (struct refusals *r, unsigned i)
{
  r->n--;
  memmove (&r->pending[i], &r->pending[i + 1],
           (r->n - i) * sizeof r->pending[0]);
}

NOT_TRACED static void
answered (struct refusals *r, uint32_t id)
{
  for (unsigned i = 0; i < r->n; i++)
    if (r->pending[i].id == id) {
      take_out (r, i);
      return;
    }
}

/* What a task management function ends is not answered any more. */
NOT_TRACED static void
tasks_ended (struct refusals *r, uint32_t id, uint8_t response)
{
  unsigned i = 0;

  while (i < r->n && r->pending[i].id != id)
    i++;
  if (i == r->n)
    return;
  if (r->pending[i].kind == TASK_REQUEST && response <= 1) {
    uint32_t function = r->pending[i].operation, task = r->pending[i].other;

    take_out (r, i);
    for (i = r->n; i-- > 0;)
      if (r->pending[i].kind == SCSI_COMMAND
          && (function != ABORT_TASK || r->pending[i].id == task))
        take_out (r, i);
    return;
  }
  take_out (r, i);
}

/* ------------------------------------------------------------- listening ---
 */

/* A call of NFSv4, where its arguments begin. */
NOT_TRACED static void
look_into_compound (struct refusals_pending *p, struct wire *w)
{
  const uint8_t *b;
  uint32_t operations;

  wire_bytes (w, wire_u32 (w)); /* tag, which is empty */
  wire_u32 (w);                 /* minorversion */
  operations = wire_u32 (w);
  if (wire_u32 (w) != OP_SEQUENCE_)
    return;
  b = wire_bytes (w, sizeof p->arguments);
  wire_u32 (w); /* cachethis */
  if (!b)
    return;
  memcpy (p->arguments, b, sizeof p->arguments);
  if (operations > 1 && wire_u32 (w) != OP_PUTFH_)
    return;
  if (operations > 1) {
    wire_bytes (w, (wire_u32 (w) + 3) & ~3u);
    p->operation = wire_u32 (w);
  }
  p->sequence = !w->err;
}

NOT_TRACED static void
nfs_sent (struct refusals *r, const struct refusals_frame *m, size_t n)
{
  struct wire w = wire_init (m->head + 4, n - 4);
  uint32_t xid = wire_u32 (&w), type = wire_u32 (&w), program, version, kind;
  struct refusals_pending *p;

  wire_u32 (&w); /* rpcvers */
  program = wire_u32 (&w);
  version = wire_u32 (&w);
  kind = wire_u32 (&w);
  for (unsigned i = 0; i < 2; i++) { /* credential, verifier */
    wire_u32 (&w);
    wire_bytes (&w, wire_u32 (&w));
  }
  if (w.err || type != RPC_CALL || !(p = add (r, xid, kind)))
    return;
  p->other = program == NFS_PROGRAM ? version : 0;
  if (p->other == 4)
    look_into_compound (p, &w);
}

NOT_TRACED static void
nfs_heard (struct refusals *r, const struct refusals_frame *m, size_t n)
{
  bool first = !r->fragment;

  r->fragment = !(m->head[0] & 0x80);
  if (!first)
    return;
  if (n < 12)
    r->lost = true;
  else if (be32 (m->head + 8) == RPC_REPLY)
    answered (r, be32 (m->head + 4));
}

NOT_TRACED static void
iscsi_sent (struct refusals *r, const uint8_t *bhs)
{
  uint8_t opcode = bhs[0] & 0x3f;
  uint32_t itt = be32 (bhs + 16);
  struct refusals_pending *p;

  if (opcode == DATA_OUT)
    return;
  r->cmd_sn = be32 (bhs + 24) + !(bhs[0] & 0x40); /* one that counts */
  if (itt == NO_TAG
      || (opcode != NOP_OUT && opcode != SCSI_COMMAND && opcode != TASK_REQUEST
          && opcode != TEXT_REQUEST && opcode != LOGOUT_REQUEST)
      || !(p = add (r, itt, opcode)))
    return;
  p->operation = bhs[1] & 0x7f;
  p->other = be32 (bhs + 20);
}

NOT_TRACED static void
iscsi_heard (struct refusals *r, const uint8_t *bhs)
{
  uint8_t opcode = bhs[0] & 0x3f;
  uint32_t itt = be32 (bhs + 16);

  if (opcode == R2T || (opcode == DATA_IN && !(bhs[1] & 1))
      || (opcode == NOP_IN && itt == NO_TAG))
    return;
  r->stat_sn = be32 (bhs + 24) + 1;
  if (opcode == TASK_RESPONSE)
    tasks_ended (r, itt, bhs[2]);
  else if (opcode != LOGIN_RESPONSE)
    answered (r, itt);
}

NOT_TRACED static void
whole (struct refusals *r, const struct refusals_frame *m)
{
  size_t n = m->have_bytes < sizeof m->head ? m->have_bytes : sizeof m->head;
  bool sent = m == &r->sent;

  switch (r->protocol) {
  case REFUSE_SFTP:
    if (n < 9 || m->head[4] == SFTP_INIT || m->head[4] == SFTP_VERSION)
      return;
    if (sent)
      add (r, be32 (m->head + 5), m->head[4]);
    else
      answered (r, be32 (m->head + 5));
    return;
  case REFUSE_ISCSI:
    if (sent)
      iscsi_sent (r, m->head);
    else
      iscsi_heard (r, m->head);
    return;
  case REFUSE_NFS:
    if (sent)
      nfs_sent (r, m, n);
    else
      nfs_heard (r, m, n);
    return;
  }
}

/* Of a message: what has to be there to know how long it is. */
NOT_TRACED static size_t
least_bytes (const struct refusals *r)
{
  return r->protocol == REFUSE_ISCSI ? BHS_BYTES : 4;
}

NOT_TRACED static size_t
total_bytes (const struct refusals *r, const uint8_t *head)
{
  if (r->protocol == REFUSE_ISCSI)
    return BHS_BYTES + head[4] * 4u + ((be32 (head + 4) + 3) & 0xfffffc);
  return 4
         + (size_t)(be32 (head)
                    & (r->protocol == REFUSE_NFS ? 0x7fffffff : UINT32_MAX));
}

NOT_TRACED static void
listen_to (struct refusals *r, struct refusals_frame *m, const uint8_t *bytes,
           size_t n)
{
  while (n && !r->lost) {
    size_t to = m->total_bytes ? m->total_bytes : least_bytes (r);
    size_t k = to - m->have_bytes < n ? to - m->have_bytes : n;

    if (m->have_bytes < sizeof m->head) {
      size_t room = sizeof m->head - m->have_bytes;

      memcpy (m->head + m->have_bytes, bytes, k < room ? k : room);
    }
    m->have_bytes += k;
    bytes += k;
    n -= k;
    if (!m->total_bytes && m->have_bytes == to)
      m->total_bytes = total_bytes (r, m->head);
    if (m->have_bytes == m->total_bytes) {
      whole (r, m);
      m->have_bytes = m->total_bytes = 0;
    }
  }
}

void
refusals_sent (struct refusals *r, const uint8_t *bytes, size_t n)
{
  listen_to (r, &r->sent, bytes, n);
}

void
refusals_heard (struct refusals *r, const uint8_t *bytes, size_t n)
{
  listen_to (r, &r->heard, bytes, n);
}

size_t
refusals_rest (const struct refusals *r)
{
  return r->heard.total_bytes
         - (r->heard.total_bytes ? r->heard.have_bytes : 0);
}

/* ------------------------------------------------------------- answering ---
 */

NOT_TRACED static void
put_sftp (struct wirebuf *b, const struct refusals_pending *p)
{
  wirebuf_u32 (b, 1 + 4 + 4 + 4 + 4);
  wirebuf_u8 (b, SFTP_STATUS);
  wirebuf_u32 (b, p->id);
  wirebuf_u32 (b, SFTP_FAILURE);
  wirebuf_u32 (b, 0); /* message */
  wirebuf_u32 (b, 0); /* language */
}

NOT_TRACED static void
put_compound (struct wirebuf *b, const struct refusals_pending *p)
{
  wirebuf_u32 (b, p->operation ? NFS_IO : 0);
  wirebuf_u32 (b, 0); /* tag */
  wirebuf_u32 (b, p->operation ? 3 : 1);
  wirebuf_u32 (b, OP_SEQUENCE_);
  wirebuf_u32 (b, 0);
  wirebuf_bytes (b, p->arguments, sizeof p->arguments);
  wirebuf_bytes (b, p->arguments + 24, 4); /* target_highest_slotid */
  wirebuf_u32 (b, 0);                      /* status_flags */
  if (!p->operation)
    return;
  wirebuf_u32 (b, OP_PUTFH_);
  wirebuf_u32 (b, 0);
  wirebuf_u32 (b, p->operation);
  wirebuf_u32 (b, NFS_IO);
}

/* What stands behind the status of a failure: an empty tag and no result; RFC
 * 1813: no attributes.
 */
NOT_TRACED static unsigned
words_behind_status (const struct refusals_pending *p)
{
  enum { GETATTR = 1, SETATTR = 2, WRITE = 7, COMMIT = 21 };

  if (p->other == 4)
    return 2;
  if (p->other != 3 || p->kind == GETATTR)
    return 0;
  return p->kind == SETATTR || p->kind == WRITE || p->kind == COMMIT ? 2 : 1;
}

NOT_TRACED static void
put_nfs (struct wirebuf *b, const struct refusals_pending *p)
{
  wirebuf_u32 (b, 0); /* the mark: below */
  wirebuf_u32 (b, p->id);
  wirebuf_u32 (b, RPC_REPLY);
  for (unsigned i = 0; i < 4; i++) /* accepted, no verifier, success */
    wirebuf_u32 (b, 0);
  if (p->sequence) {
    put_compound (b, p);
    return;
  }
  wirebuf_u32 (b, NFS_IO);
  for (unsigned i = words_behind_status (p); i; i--)
    wirebuf_u32 (b, 0);
}

NOT_TRACED static void
put_iscsi (struct refusals *r, struct wirebuf *b,
           const struct refusals_pending *p)
{
  /* SPC-4 §4.5.3: medium error, which nobody tries again. */
  static const uint8_t sense[18] = {0x70, 0, 3, 0, 0, 0,   0,
                                    10,   0, 0, 0, 0, 0x11};
  bool scsi = p->kind == SCSI_COMMAND;

  wirebuf_u8 (b, (uint8_t)(0x20 + p->kind));
  wirebuf_u8 (b, 0x80);
  wirebuf_u8 (b, 0); /* response */
  wirebuf_u8 (b, scsi ? CHECK_CONDITION : 0);
  wirebuf_u32 (b, scsi ? 2 + sizeof sense : 0); /* DataSegmentLength */
  wirebuf_u64 (b, 0);                           /* LUN */
  wirebuf_u32 (b, p->id);
  wirebuf_u32 (b, scsi ? 0 : NO_TAG); /* SNACK tag, Target Transfer Tag */
  wirebuf_u32 (b, r->stat_sn);
  wirebuf_u32 (b, r->cmd_sn);
  wirebuf_u32 (b, r->cmd_sn + 31);
  for (unsigned i = 0; i < 3; i++)
    wirebuf_u32 (b, 0);
  if (scsi) {
    wirebuf_u16 (b, sizeof sense);
    wirebuf_bytes (b, sense, sizeof sense);
  }
}

size_t
refusals_answer (struct refusals *r, uint8_t dst[REFUSALS_ANSWER_BYTES])
{
  struct wirebuf b = wirebuf_init (dst, REFUSALS_ANSWER_BYTES);
  const struct refusals_pending *p = r->pending;
  uint32_t mark;

  if (!r->n || r->lost)
    return 0;
  switch (r->protocol) {
  case REFUSE_SFTP:
    put_sftp (&b, p);
    break;
  case REFUSE_ISCSI:
    put_iscsi (r, &b, p);
    break;
  case REFUSE_NFS:
    put_nfs (&b, p);
    mark = 0x80000000u | (uint32_t)(b.used_bytes - 4);
    for (unsigned i = 0; i < 4; i++)
      dst[i] = (uint8_t)(mark >> (24 - 8 * i));
    break;
  }
  return b.used_bytes;
}
