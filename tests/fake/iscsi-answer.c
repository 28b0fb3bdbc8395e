/* SPDX-License-Identifier: BSD-2-Clause */
/* What a scripted iSCSI target sends: PDUs, responses, bad answers to READs. */
#include "config.h"
#include "tests/fake/iscsi-target.h"

#include <string.h>
#include <time.h>

/* --------------------------------------------------------------------- PDUs */

static uint8_t packet[BHS_BYTES + 1024 + DATA_MAX_BYTES * 4 + 16];

/* The whole PDU into packet; returns its length. */
static size_t
make_pdu (struct target *t, const struct connection *c, uint8_t bhs[BHS_BYTES],
          const void *data, size_t n)
{
  size_t used = BHS_BYTES, padded = (n + 3) & ~(size_t)3;

  put24 (bhs + 5, (uint32_t)n);
  memcpy (packet, bhs, BHS_BYTES);
  used += bhs[4] * 4u;
  memset (packet + BHS_BYTES, 0, bhs[4] * 4u);
  if (c->header_digest) {
    crc32c (packet, used, packet + used);
    if (bhs[0] == 0x25 && bad_now (t, BAD_header_digest))
      packet[used] ^= 1;
    used += 4;
  }
  if (n > 0)
    memcpy (packet + used, data, n);
  memset (packet + used + n, 0, padded - n);
  if (c->data_digest && n > 0) {
    crc32c (packet + used, padded, packet + used + padded);
    if (bhs[0] == 0x25 && bad_now (t, BAD_data_digest))
      packet[used + padded] ^= 1;
    used += 4;
  }
  return used + padded;
}

bool
send_pdu (struct target *t, struct connection *c, uint8_t bhs[BHS_BYTES],
          const void *data, size_t n)
{
  return send_all (c->fd, packet, make_pdu (t, c, bhs, data, n));
}

/* ---------------------------------------------------------------- responses */

void
pdu_head (struct connection *c, uint8_t r[BHS_BYTES], uint8_t opcode,
          uint8_t flags, uint32_t itt)
{
  memset (r, 0, BHS_BYTES);
  r[0] = opcode;
  r[1] = flags;
  put32 (r + 16, itt);
  put32 (r + 28, c->exp_cmd_sn);
  put32 (r + 32, c->exp_cmd_sn + 63);
}

static void
residual (uint8_t r[BHS_BYTES], size_t expected, size_t got)
{
  if (got < expected) {
    r[1] |= 0x02;
    put32 (r + 44, (uint32_t)(expected - got));
  }
}

bool
send_response (struct target *t, struct connection *c, uint32_t itt,
               const struct reply *reply, size_t expected, size_t got)
{
  uint8_t r[BHS_BYTES], data[2 + sizeof reply->sense];

  pdu_head (c, r, 0x21, 0x80, itt);
  r[3] = reply->status;
  put32 (r + 24, c->stat_sn++);
  residual (r, expected, got);
  put16 (data, (uint32_t)reply->sense_bytes);
  memcpy (data + 2, reply->sense, reply->sense_bytes);
  return send_pdu (t, c, r, data,
                   reply->sense_bytes > 0 ? 2 + reply->sense_bytes : 0);
}

static void
data_in (struct connection *c, uint8_t r[BHS_BYTES], uint32_t itt, uint32_t sn,
         uint32_t offset)
{
  pdu_head (c, r, 0x25, 0, itt);
  put32 (r + 20, NO_TAG);
  put32 (r + 36, sn);
  put32 (r + 40, offset);
}

/* Data, the last of it with the status (§11.7.3). */
bool
send_data (struct target *t, struct connection *c, uint32_t itt,
           const struct reply *reply, size_t expected)
{
  size_t n = reply->data_bytes < expected ? reply->data_bytes : expected;
  size_t most =
      c->max_data_bytes < DATA_MAX_BYTES ? c->max_data_bytes : DATA_MAX_BYTES;
  size_t burst = c->max_burst_bytes;
  uint32_t sn = 0;

  for (size_t at = 0; at < n;) {
    size_t part = n - at < most ? n - at : most;
    uint8_t r[BHS_BYTES];

    if (part > burst - at % burst)
      part = burst - at % burst;

    data_in (c, r, itt, sn++, (uint32_t)at);
    if (expected >= 512 && reply->data >= t->disk.cache
        && reply->data < t->disk.cache + t->disk.bytes && bad_now (t, BAD_ahs))
      r[4] = 255;
    if ((at + part) % burst == 0)
      r[1] = 0x80; /* F: a sequence ends with MaxBurstLength (§11.7.1) */
    if (at + part == n) {
      r[1] = 0x81;
      put32 (r + 24, c->stat_sn++);
      residual (r, expected, n);
    }
    if (!send_pdu (t, c, r, reply->data + at, part))
      return false;
    at += part;
  }
  return true;
}

/* -------------------------------------------------------- bad answers: READ */

static bool
slowly (struct target *t, struct connection *c, uint32_t itt,
        const struct reply *reply)
{
  uint8_t r[BHS_BYTES];
  size_t n;

  data_in (c, r, itt, 0, 0);
  r[1] = 0x81;
  put32 (r + 24, c->stat_sn++);
  n = make_pdu (t, c, r, reply->data,
                reply->data_bytes < 512 ? reply->data_bytes : 512);
  for (size_t i = 0; i < n; i++) {
    struct timespec pause = {0, 1000000};

    if (!send_all (c->fd, packet + i, 1))
      return false;
    nanosleep (&pause, NULL);
  }
  return true;
}

/* One PDU with a field that is wrong. Returns whether it was one of these. */
static bool
bad_field (struct target *t, struct connection *c, uint32_t itt,
           uint8_t r[BHS_BYTES])
{
  data_in (c, r, itt, 0, 0);
  if (bad_now (t, BAD_datasn))
    put32 (r + 36, 7);
  else if (bad_now (t, BAD_offset))
    put32 (r + 40, 512);
  else if (bad_now (t, BAD_overflow))
    put32 (r + 40, 0x00fffe00);
  else if (bad_now (t, BAD_wrap))
    put32 (r + 40, 0xffffff00);
  else if (bad_now (t, BAD_unknown))
    r[0] = 0x3c;
  else if (bad_now (t, BAD_initiator))
    r[0] = 0x01;
  else if (bad_now (t, BAD_data_itt))
    put32 (r + 16, itt ^ 0x5a5a0000);
  else if (bad_now (t, BAD_itt)) {
    pdu_head (c, r, 0x21, 0x80, itt ^ 0x5a5a0000);
    put32 (r + 24, c->stat_sn++);
  } else if (bad_now (t, BAD_statsn)) {
    pdu_head (c, r, 0x21, 0x80, itt);
    put32 (r + 24, c->stat_sn + 1000);
  } else if (bad_now (t, BAD_r2t_read)) {
    pdu_head (c, r, 0x31, 0x80, itt);
    put32 (r + 20, 1);
    put32 (r + 24, c->stat_sn);
    put32 (r + 44, 512);
  } else if (bad_now (t, BAD_reject)) {
    pdu_head (c, r, 0x3f, 0x80, NO_TAG);
    r[2] = 0x09;
    put32 (r + 24, c->stat_sn++);
  } else
    return false;
  return true;
}

enum badly
answer_badly (struct target *t, struct connection *c, uint32_t itt,
              const struct reply *reply, size_t expected)
{
  static const uint8_t junk[512] = "junk that must never reach a client";
  uint8_t r[BHS_BYTES];
  struct reply good = {0};
  bool sent = true;

  if (bad_field (t, c, itt, r)) {
    sent = send_pdu (t, c, r, junk,
                     r[0] == 0x3f                   ? BHS_BYTES
                     : r[0] == 0x25 || r[0] == 0x3c ? 512
                                                    : 0);
    return sent ? BADLY_DONE : BADLY_END;
  }
  if (bad_now (t, BAD_truncated)) {
    data_in (c, r, itt, 0, 0);
    send_all (c->fd, packet, make_pdu (t, c, r, junk, sizeof junk) / 2);
    return BADLY_END;
  }
  if (bad_now (t, BAD_close))
    return BADLY_END;
  if (bad_now (t, BAD_oversized)) {
    data_in (c, r, itt, 0, 0);
    make_pdu (t, c, r, junk, sizeof junk);
    put24 (packet + 5, 0xfffffc);
    if (c->header_digest)
      crc32c (packet, BHS_BYTES, packet + BHS_BYTES);
    sent = send_all (c->fd, packet,
                     BHS_BYTES + (c->header_digest ? 4 : 0) + sizeof junk);
  } else if (bad_now (t, BAD_duplicate)) {
    sent = send_data (t, c, itt, reply, expected)
           && send_response (t, c, itt, &good, 0, 0);
  } else if (bad_now (t, BAD_reordered)) {
    c->stat_sn++;
    sent = send_response (t, c, itt, &good, expected, 0);
    c->stat_sn -= 2;
    sent = sent && send_data (t, c, itt, reply, expected);
  } else if (bad_now (t, BAD_short_data)) {
    data_in (c, r, itt, 0, 0);
    r[1] = 0x81;
    put32 (r + 24, c->stat_sn++);
    sent = send_pdu (t, c, r, junk, expected > 512 ? 512 : 256);
  } else if (bad_now (t, BAD_slow))
    sent = slowly (t, c, itt, reply);
  else if (bad_now (t, BAD_silent))
    c->silent = true;
  else if (bad_now (t, BAD_chatty))
    c->silent = c->chatty = true;
  else
    return BADLY_NOT;
  return sent ? BADLY_DONE : BADLY_END;
}
