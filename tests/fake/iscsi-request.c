/* SPDX-License-Identifier: BSD-2-Clause */
/* What a scripted iSCSI target receives: requests, and the data of WRITEs, for
 * which it asks by R2Ts.
 */
#include "config.h"
#include "tests/fake/iscsi-target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------- R2Ts */

static bool
send_r2t (struct target *t, struct connection *c, const struct write_task *w,
          uint32_t itt, uint32_t sn, uint32_t offset, uint32_t bytes)
{
  uint8_t r[BHS_BYTES];

  pdu_head (c, r, 0x31, 0x80, itt);
  put32 (r + 20, w->ttt);
  put32 (r + 24, c->stat_sn);
  put32 (r + 36, sn);
  put32 (r + 40, offset);
  put32 (r + 44, bytes);
  return send_pdu (t, c, r, NULL, 0);
}

static bool
ask_for_more (struct target *t, struct connection *c, struct write_task *w)
{
  uint32_t left = w->total_bytes - w->got_bytes;
  uint32_t n = left < c->max_burst_bytes ? left : c->max_burst_bytes;
  uint32_t at = w->got_bytes, itt = w->itt, sn = w->r2t_sn++;

  if (bad_now (t, BAD_r2t_flood)) {
    for (uint32_t i = 0; i < 5000; i++)
      if (!send_r2t (t, c, w, itt, i, at, n))
        return false;
    return true;
  }
  if (bad_now (t, BAD_r2t_overflow)) {
    at = 0xfffffff0;
    n = 0x20;
  } else if (bad_now (t, BAD_r2t_beyond))
    at = w->total_bytes - 256;
  else if (bad_now (t, BAD_r2t_burst)) {
    at = 0;
    n = c->max_burst_bytes + 512;
  } else if (bad_now (t, BAD_r2t_empty))
    n = 0;
  else if (bad_now (t, BAD_r2t_itt))
    itt ^= 0x5a5a0000;
  else if (bad_now (t, BAD_r2t_sn))
    sn += 3;
  w->asked_bytes = n;
  return send_r2t (t, c, w, itt, sn, at, n);
}

static bool
write_done (struct target *t, struct connection *c, struct write_task *w)
{
  struct reply reply;

  disk_command (&t->disk, c, w->cdb, true, w->data, w->total_bytes, &reply);
  w->used = false;
  free (w->data);
  w->data = NULL;
  return send_response (t, c, w->itt, &reply, w->total_bytes, w->total_bytes);
}

static bool
start_write (struct target *t, struct connection *c, const uint8_t *bhs,
             const uint8_t *data, size_t data_bytes)
{
  struct write_task *w = NULL;
  uint32_t total = get32 (bhs + 20);

  for (unsigned i = 0; i < WRITES_MAX && w == NULL; i++)
    if (!c->write[i].used)
      w = &c->write[i];
  if (w == NULL || total > 64u << 20 || data_bytes > total)
    return false;
  *w = (struct write_task){.used = true,
                           .itt = get32 (bhs + 16),
                           .ttt = (uint32_t)(w - c->write) + 1,
                           .total_bytes = total,
                           .got_bytes = (uint32_t)data_bytes,
                           .data = calloc (1, total ? total : 1)};
  if (w->data == NULL)
    return w->used = false;
  memcpy (w->cdb, bhs + 32, 16);
  if (data_bytes > 0)
    memcpy (w->data, data, data_bytes);
  return w->got_bytes == total ? write_done (t, c, w) : ask_for_more (t, c, w);
}

static bool
data_out (struct target *t, struct connection *c, const uint8_t *bhs,
          const uint8_t *data, size_t n)
{
  uint32_t ttt = get32 (bhs + 20), offset = get32 (bhs + 40);
  struct write_task *w = &c->write[(ttt - 1) % WRITES_MAX];

  if (ttt == 0 || ttt > WRITES_MAX || !w->used || w->itt != get32 (bhs + 16)
      || offset != w->got_bytes || n > w->asked_bytes
      || offset + n > w->total_bytes)
    return false; /* the initiator's fault, which tests must see */
  memcpy (w->data + offset, data, n);
  w->got_bytes += (uint32_t)n;
  w->asked_bytes -= (uint32_t)n;
  if (w->got_bytes == w->total_bytes)
    return write_done (t, c, w);
  return w->asked_bytes > 0 || ask_for_more (t, c, w);
}

/* ----------------------------------------------------------------- requests */

static bool
is_read (const uint8_t *cdb)
{
  return cdb[0] == 0x28 || cdb[0] == 0x88;
}

/* A flush of what is lost, and behind it the READ's UNIT ATTENTION. */
static bool
flush_then_attention (struct target *t, struct connection *c, uint32_t itt,
                      const uint8_t *cdb)
{
  struct reply reply, attention;

  fprintf (stderr, "late_attention: forgot %llu blocks\n",
           (unsigned long long)disk_reboot (&t->disk));
  disk_command (&t->disk, c, cdb, true, NULL, 0, &reply);
  c->held = false;
  c->attention = true;
  disk_command (&t->disk, c, (const uint8_t[16]){0}, true, NULL, 0, &attention);
  return send_response (t, c, itt, &reply, 0, 0)
         && send_response (t, c, c->held_itt, &attention, c->held_bytes, 0);
}

static bool
command (struct target *t, struct connection *c, const uint8_t *bhs,
         const uint8_t *data, size_t data_bytes)
{
  static const uint8_t zero[8];
  const uint8_t *cdb = bhs + 32;
  bool lun_0 = memcmp (bhs + 8, zero, 8) == 0;
  uint32_t itt = get32 (bhs + 16);
  size_t expected = get32 (bhs + 20);
  struct reply reply;

  if (bhs[1] & 0x20 && lun_0 && !c->attention)
    return start_write (t, c, bhs, data, data_bytes);
  if (c->held && (cdb[0] == 0x35 || cdb[0] == 0x91))
    return flush_then_attention (t, c, itt, cdb);
  if (is_read (cdb) && !c->held && bad_now (t, BAD_late_attention)) {
    c->held = true;
    c->held_itt = itt;
    c->held_bytes = expected;
    return true;
  }
  disk_command (&t->disk, c, cdb, lun_0, data, data_bytes, &reply);
  if (is_read (cdb) && bad_now (t, BAD_medium))
    reply = (struct reply){.status = 2, .sense_bytes = 18,
                           .sense = {0xf0, 0, 3, 0, 0, 0, 77, 10, 0, 0, 0, 0,
                                     0x11}};
  if (is_read (cdb))
    switch (reply.status ? BADLY_NOT
                         : answer_badly (t, c, itt, &reply, expected)) {
    case BADLY_NOT:
      break;
    case BADLY_DONE:
      return true;
    case BADLY_END:
      return false;
    }
  if (reply.status == 0 && reply.data_bytes > 0 && expected > 0)
    return send_data (t, c, itt, &reply, expected);
  return send_response (t, c, itt, &reply, expected, 0);
}

static bool
nop_out (struct target *t, struct connection *c, const uint8_t *bhs,
         const uint8_t *data, size_t n)
{
  uint8_t r[BHS_BYTES];

  if (get32 (bhs + 16) == NO_TAG)
    return true;
  pdu_head (c, r, 0x20, 0x80, get32 (bhs + 16));
  memcpy (r + 8, bhs + 8, 8);
  put32 (r + 20, NO_TAG);
  put32 (r + 24, c->stat_sn++);
  return send_pdu (t, c, r, data, n);
}

static bool
short_answer (struct target *t, struct connection *c, const uint8_t *bhs,
              uint8_t opcode)
{
  uint8_t r[BHS_BYTES];

  pdu_head (c, r, opcode, 0x80, get32 (bhs + 16));
  put32 (r + 24, c->stat_sn++);
  return send_pdu (t, c, r, NULL, 0);
}

static bool
request (struct target *t, struct connection *c, const uint8_t *bhs,
         uint8_t *data, size_t n)
{
  uint8_t opcode = bhs[0] & 0x3f;
  bool immediate = bhs[0] & 0x40;

  if (!c->full_feature)
    return opcode == 0x03 && login_request (t, c, bhs, (char *)data, n);
  if (opcode != 0x05 && !immediate)
    c->exp_cmd_sn = get32 (bhs + 24) + 1;
  if (c->silent)
    return true;
  switch (opcode) {
  case 0x00:
    return nop_out (t, c, bhs, data, n);
  case 0x01:
    return command (t, c, bhs, data, n);
  case 0x02:
    return short_answer (t, c, bhs, 0x22);
  case 0x04:
    return text_request (t, c, bhs, (char *)data, n);
  case 0x05:
    return data_out (t, c, bhs, data, n);
  case 0x06:
    short_answer (t, c, bhs, 0x26);
    return false;
  default:
    return false;
  }
}

/* One PDU. False: the connection ends. */
bool
receive_pdu (struct target *t, struct connection *c)
{
  static uint8_t data[DATA_MAX_BYTES + 8];
  uint8_t bhs[BHS_BYTES + 1020], digest[4];
  size_t n, ahs;

  if (!receive_all (c->fd, bhs, BHS_BYTES))
    return false;
  ahs = bhs[4] * 4u;
  n = get24 (bhs + 5);
  if (n > DATA_MAX_BYTES || !receive_all (c->fd, bhs + BHS_BYTES, ahs))
    return false;
  if (c->header_digest) {
    uint8_t right[4];

    crc32c (bhs, BHS_BYTES + ahs, right);
    if (!receive_all (c->fd, digest, 4) || memcmp (digest, right, 4) != 0)
      return false;
  }
  if (!receive_all (c->fd, data, (n + 3) & ~(size_t)3))
    return false;
  if (c->data_digest && n > 0) {
    uint8_t right[4];

    crc32c (data, (n + 3) & ~(size_t)3, right);
    if (!receive_all (c->fd, digest, 4) || memcmp (digest, right, 4) != 0)
      return false;
  }
  data[n] = 0;
  return request (t, c, bhs, data, n);
}
