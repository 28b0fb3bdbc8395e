/* SPDX-License-Identifier: BSD-2-Clause */
/* A scripted iSCSI target.
 *
 *   iscsi-target --listen PORT [--mib N] [--name IQN] [--digests]
 *                [--initial-r2t] [--bad NAME[:TIMES]] [--list]
 *
 * Lines on standard input change what it does; each is answered "ok …":
 *   bad NAME [TIMES]   misbehave (none: no more); without TIMES: always
 *   redirect ADDRESS STATUS TIMES   send logins on (STATUS 0101 or 0102)
 *   resize MIB         another capacity, not larger than at first
 *   kick               end every connection
 *   reboot             forget what was not flushed, and every session
 *   count              "ok READS WRITES FLUSHES LOGINS LEFT": LEFT of TIMES
 *
 * It prints "ready" once it listens, and ends with the process that started it.
 * One initiator at a time is served to its end of a PDU: an honest one sends
 * them whole.
 */
#include "config.h"
#include "tests/fake/iscsi-target.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const struct {
  const char *name, *text;
} bads[] = {
#define X(name, text) {#name, text},
    BAD_TABLE (X)
#undef X
};

static void __attribute__ ((noreturn)) die (const char *what)
{
  fprintf (stderr, "iscsi-target: %s: %s\n", what, strerror (errno));
  exit (EXIT_FAILURE);
}

bool
bad_now (struct target *t, enum bad b)
{
  if (t->bad != b || t->bad_left == 0)
    return false;
  if (t->bad_left > 0)
    t->bad_left--;
  return true;
}

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

static void
head (struct connection *c, uint8_t r[BHS_BYTES], uint8_t opcode, uint8_t flags,
      uint32_t itt)
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

static bool
send_response (struct target *t, struct connection *c, uint32_t itt,
               const struct reply *reply, size_t expected, size_t got)
{
  uint8_t r[BHS_BYTES], data[2 + sizeof reply->sense];

  head (c, r, 0x21, 0x80, itt);
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
  head (c, r, 0x25, 0, itt);
  put32 (r + 20, NO_TAG);
  put32 (r + 36, sn);
  put32 (r + 40, offset);
}

/* Data, the last of it with the status (§11.7.3). */
static bool
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
    head (c, r, 0x21, 0x80, itt ^ 0x5a5a0000);
    put32 (r + 24, c->stat_sn++);
  } else if (bad_now (t, BAD_statsn)) {
    head (c, r, 0x21, 0x80, itt);
    put32 (r + 24, c->stat_sn + 1000);
  } else if (bad_now (t, BAD_r2t_read)) {
    head (c, r, 0x31, 0x80, itt);
    put32 (r + 20, 1);
    put32 (r + 24, c->stat_sn);
    put32 (r + 44, 512);
  } else if (bad_now (t, BAD_reject)) {
    head (c, r, 0x3f, 0x80, NO_TAG);
    r[2] = 0x09;
    put32 (r + 24, c->stat_sn++);
  } else
    return false;
  return true;
}

enum badly { BADLY_NOT, BADLY_DONE, BADLY_END };

static enum badly
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

/* --------------------------------------------------------------------- R2Ts */

static bool
send_r2t (struct target *t, struct connection *c, const struct write_task *w,
          uint32_t itt, uint32_t sn, uint32_t offset, uint32_t bytes)
{
  uint8_t r[BHS_BYTES];

  head (c, r, 0x31, 0x80, itt);
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
    die ("calloc");
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
  head (c, r, 0x20, 0x80, get32 (bhs + 16));
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

  head (c, r, opcode, 0x80, get32 (bhs + 16));
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
static bool
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

/* -------------------------------------------------------------- connections */

static void
end (struct connection *c, bool reset)
{
  struct linger rst = {.l_onoff = 1};

  if (reset)
    setsockopt (c->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
  close (c->fd);
  c->fd = -1;
  for (unsigned i = 0; i < WRITES_MAX; i++) {
    free (c->write[i].data);
    c->write[i] = (struct write_task){0};
  }
}

static void
take_connection (struct target *t)
{
  int one = 1, fd = accept4 (t->listener, NULL, NULL, SOCK_CLOEXEC);
  /* An initiator that ends in the middle of a PDU must not hold us up. */
  struct timeval limit = {.tv_sec = 5};

  if (fd == -1)
    return;
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    if (t->connection[i].fd == -1) {
      t->connection[i] = (struct connection){.fd = fd,
                                             .stat_sn = 1,
                                             .max_data_bytes = 8192,
                                             .max_burst_bytes = BURST_BYTES};
      return;
    }
  close (fd);
}

static void
listen_again (struct target *t)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons (t->port)};
  int one = 1;

  t->listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (t->listener == -1
      || setsockopt (t->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)
             == -1
      || bind (t->listener, (struct sockaddr *)&a, sizeof a) == -1
      || listen (t->listener, 64) == -1)
    die ("listen");
}

/* ------------------------------------------------------------------ control */

static bool
set_bad (struct target *t, const char *name, long times)
{
  for (unsigned i = 0; i < BADS; i++)
    if (strcmp (bads[i].name, name) == 0) {
      t->bad = (enum bad)i;
      t->bad_left = times;
      return true;
    }
  return false;
}

static void
kick (struct target *t)
{
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    if (t->connection[i].fd != -1)
      end (&t->connection[i], true);
}

/* To at most what it had at first; each initiator is told so. */
static void
resize (struct target *t, uint64_t bytes)
{
  t->disk.bytes = bytes;
  for (int i = 0; i < CONNECTIONS_MAX; i++) {
    t->connection[i].attention = true;
    t->connection[i].attention_asc = 0x2a;
    t->connection[i].attention_ascq = 0x09;
  }
}

static void
obey (struct target *t, const char *line)
{
  char name[32];
  long times = -1;

  if (sscanf (line, "bad %31s %ld", name, &times) >= 1
      && set_bad (t, name, times))
    puts ("ok");
  else if (sscanf (line, "resize %ld", &times) == 1) {
    resize (t, (uint64_t)times << 20);
    puts ("ok");
  } else if (sscanf (line, "redirect %63s %hx %ld", t->redirect_to,
                   &t->redirect_status, &t->redirect_left) == 3)
    puts ("ok");
  else if (strcmp (line, "kick") == 0) {
    kick (t);
    puts ("ok");
  } else if (strcmp (line, "reboot") == 0) {
    kick (t);
    t->reboots++;
    printf ("ok %llu\n", (unsigned long long)disk_reboot (&t->disk));
  } else if (strcmp (line, "count") == 0)
    printf ("ok %llu %llu %llu %u %ld\n", (unsigned long long)t->disk.reads,
            (unsigned long long)t->disk.writes,
            (unsigned long long)t->disk.flushes, t->logins, t->bad_left);
  else
    puts ("what?");
}

static void
read_control (struct target *t, bool *ended)
{
  static char line[128];
  static size_t used;
  ssize_t n = read (STDIN_FILENO, line + used, sizeof line - 1 - used);
  char *eol;

  if (n <= 0) {
    *ended = true;
    return;
  }
  used += (size_t)n;
  line[used] = 0;
  while ((eol = strchr (line, '\n')) != NULL) {
    *eol++ = 0;
    obey (t, line);
    used -= (size_t)(eol - line);
    memmove (line, eol, used + 1);
  }
  if (used == sizeof line - 1)
    used = 0;
}

/* True if somebody is to hear from us soon. */
static bool
chat (struct target *t)
{
  bool any = false;

  for (int i = 0; i < CONNECTIONS_MAX; i++) {
    struct connection *c = &t->connection[i];
    uint8_t r[BHS_BYTES];

    if (c->fd == -1 || !c->chatty)
      continue;
    any = true;
    head (c, r, 0x20, 0x80, NO_TAG);
    put32 (r + 20, NO_TAG);
    put32 (r + 24, c->stat_sn);
    if (!send_pdu (t, c, r, NULL, 0))
      end (c, false);
  }
  return any;
}

static void
turn (struct target *t, bool *control_ended)
{
  struct pollfd p[2 + CONNECTIONS_MAX];
  int wait_ms = chat (t) ? 50 : -1;

  p[0] = (struct pollfd){*control_ended ? -1 : STDIN_FILENO, POLLIN, 0};
  p[1] = (struct pollfd){t->listener, POLLIN, 0};
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    p[2 + i] = (struct pollfd){t->connection[i].fd, POLLIN, 0};
  if (poll (p, 2 + CONNECTIONS_MAX, wait_ms) == -1 && errno != EINTR)
    die ("poll");
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    if (p[2 + i].revents != 0 && !receive_pdu (t, &t->connection[i]))
      end (&t->connection[i], false);
  if (p[0].revents != 0)
    read_control (t, control_ended);
  if (p[1].revents != 0)
    take_connection (t);
}

static void
list (void)
{
  for (unsigned i = 0; i < BADS; i++)
    printf ("%-14s %s\n", bads[i].name, bads[i].text);
  exit (EXIT_SUCCESS);
}

static bool
option (struct target *t, int o, uint64_t *mib)
{
  char name[32];
  long times = -1;

  switch (o) {
  case 'l':
    t->port = (uint16_t)atoi (optarg);
    return true;
  case 'm':
    *mib = (uint64_t)atoi (optarg);
    return true;
  case 'n':
    t->name = optarg;
    return true;
  case 'd':
    t->digests = true;
    return true;
  case 'r':
    t->initial_r2t = true;
    return true;
  case 'b':
    return sscanf (optarg, "%31[^:]:%ld", name, &times) >= 1
           && set_bad (t, name, times);
  case 'L':
    list ();
    return true;
  default:
    return false;
  }
}

int
main (int argc, char **argv)
{
  static const struct option options[] = {
      {"listen", 1, NULL, 'l'}, {"mib", 1, NULL, 'm'},
      {"name", 1, NULL, 'n'},   {"digests", 0, NULL, 'd'},
      {"bad", 1, NULL, 'b'},    {"initial-r2t", 0, NULL, 'r'},
      {"list", 0, NULL, 'L'},   {NULL, 0, NULL, 0}};
  static struct target t = {.name = "iqn.2026-01.test:scripted"};
  uint64_t mib = 16;
  bool control_ended = false;
  int o;

  while ((o = getopt_long (argc, argv, "", options, NULL)) != -1)
    if (!option (&t, o, &mib))
      return 2;
  if (t.port == 0 || mib == 0) {
    fputs ("iscsi-target: --listen PORT is needed\n", stderr);
    return 2;
  }
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  setvbuf (stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    t.connection[i].fd = -1;
  disk_init (&t.disk, mib << 20, 512);
  listen_again (&t);
  puts ("ready");
  for (;;)
    turn (&t, &control_ended);
}
