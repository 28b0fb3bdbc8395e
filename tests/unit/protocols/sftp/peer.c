/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/unit/protocols/sftp/peer.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static const char *
config_get (void *ctx, const char *key)
{
  struct peer *s = ctx;

  if (strcmp (key, "path") == 0)
    return s->path;
  if (strcmp (key, "allow-unsafe-flush") == 0)
    return s->unsafe;
  if (strcmp (key, "list") == 0)
    return s->list;
  return NULL;
}

enum err
peer_open (struct peer *s)
{
  struct proto_config config = {.get = config_get, .ctx = s,
                                .seed = {1, 2, 3, 4, 5, 6, 7, 8}};

  return sftp_ops.open (&config, s->now_ns, &s->p, &s->open_fault);
}

void
peer_close (struct peer *s)
{
  if (s->p)
    sftp_ops.close (s->p);
  free (s->tx);
}

uint32_t
peer_random (struct peer *s, uint32_t below)
{
  s->rng ^= s->rng << 13;
  s->rng ^= s->rng >> 7;
  s->rng ^= s->rng << 17;
  return (uint32_t)((s->rng >> 16) % below);
}

static void
keep (struct peer *s, const uint8_t *bytes, size_t n)
{
  if (s->tx_at == s->tx_bytes)
    s->tx_at = s->tx_bytes = 0;
  if (s->tx_bytes + n > s->tx_size_bytes) {
    s->tx_size_bytes = (s->tx_bytes + n) * 2;
    s->tx = realloc (s->tx, s->tx_size_bytes);
    if (!s->tx)
      abort ();
  }
  memcpy (s->tx + s->tx_bytes, bytes, n);
  s->tx_bytes += n;
  for (size_t i = 0; i < n; i++)
    s->tx_sum = (s->tx_sum ^ bytes[i]) * 0x100000001b3u;
}

/* At random: the first bytes only, of the first pieces only. What was handed
 * out and not sent must stand there unchanged the next time.
 */
static size_t
send_some (struct peer *s)
{
  struct iovec iov[PROTO_TX_IOV], again[PROTO_TX_IOV];
  size_t max = s->rng ? 1 + peer_random (s, PROTO_TX_IOV) : PROTO_TX_IOV;
  size_t n = sftp_ops.tx_iov (s->p, 0, iov, max);
  size_t sent = 0;

  CU_ASSERT_FATAL (n <= max);
  CU_ASSERT_FATAL (sftp_ops.tx_iov (s->p, 0, again, PROTO_TX_IOV) >= n);
  CU_ASSERT_FATAL (memcmp (iov, again, n * sizeof *iov) == 0);
  for (size_t i = 0; i < n; i++) {
    size_t k = iov[i].iov_len;

    CU_ASSERT_FATAL (k > 0);
    if (s->rng && peer_random (s, 4) == 0)
      k = 1 + peer_random (s, (uint32_t)k);
    keep (s, iov[i].iov_base, k);
    sent += k;
    if (k < iov[i].iov_len)
      break;
  }
  sftp_ops.tx_done (s->p, 0, sent);
  return n;
}

void
peer_pump (struct peer *s)
{
  while (sftp_ops.state (s->p) != PROTO_FAILED && send_some (s) > 0)
    ;
}

static void
take_handle (const struct peer *s, struct wire *w)
{
  size_t n;
  const uint8_t *h = wire_string (w, SFTP_HANDLE_MAX_BYTES, &n);

  if (s->flip_mask)
    return;
  CU_ASSERT_FATAL (h && n == PEER_HANDLE_BYTES);
  CU_ASSERT (memcmp (h, PEER_HANDLE, n) == 0);
}

static void
take_apart (const struct peer *s, struct wire *w, struct peer_ask *a)
{
  size_t n;

  switch (a->type) {
  case SSH_FXP_INIT:
    CU_ASSERT_EQUAL (a->id, 3); /* its version stands there */
    break;
  case SSH_FXP_EXTENDED:
    wire_cstring (w, a->name, sizeof a->name);
    if (strcmp (a->name, "fsync@openssh.com") == 0)
      take_handle (s, w);
    break;
  case SSH_FXP_STAT:
  case SSH_FXP_REMOVE:
  case SSH_FXP_OPENDIR:
    wire_cstring (w, a->path, sizeof a->path);
    break;
  case SSH_FXP_OPEN:
    wire_cstring (w, a->path, sizeof a->path);
    a->pflags = wire_u32 (w);
    CU_ASSERT_EQUAL (wire_u32 (w), 0); /* attrs */
    break;
  case SSH_FXP_FSTAT:
  case SSH_FXP_READDIR:
  case SSH_FXP_CLOSE:
    take_handle (s, w);
    break;
  case SSH_FXP_READ:
  case SSH_FXP_WRITE:
    take_handle (s, w);
    a->offset = wire_u64 (w);
    if (a->type == SSH_FXP_READ) {
      a->length = wire_u32 (w);
      break;
    }
    a->data = wire_string (w, SFTP_IO_MAX_BYTES, &n);
    a->length = (uint32_t)n;
    break;
  default:
    CU_FAIL_FATAL ("a packet that the engine should never send");
  }
  CU_ASSERT_EQUAL_FATAL (wire_end (w), ERR_OK);
}

bool
peer_ask (struct peer *s, struct peer_ask *ret)
{
  struct wire w;
  uint32_t length_bytes;

  peer_pump (s);
  w = wire_init (s->tx + s->tx_at, s->tx_bytes - s->tx_at);
  length_bytes = wire_u32 (&w);
  if (w.err || length_bytes > wire_left (&w))
    return false;
  w.end = w.p + length_bytes;
  s->tx_at += 4 + length_bytes;
  *ret = (struct peer_ask){.type = wire_u8 (&w)};
  ret->id = wire_u32 (&w);
  take_apart (s, &w, ret);
  return true;
}

struct peer_ask
peer_expect (struct peer *s, uint8_t type)
{
  struct peer_ask a = {0};

  CU_ASSERT_FATAL (peer_ask (s, &a));
  CU_ASSERT_EQUAL_FATAL (a.type, type);
  return a;
}

enum err
peer_feed (struct peer *s, const void *bytes, size_t length_bytes)
{
  const uint8_t *p = bytes;

  while (length_bytes > 0) {
    struct iovec v = sftp_ops.rx_iov (s->p, 0);
    size_t n = length_bytes < v.iov_len ? length_bytes : v.iov_len;
    enum err e;

    CU_ASSERT_FATAL (v.iov_len > 0);
    if (s->rx_max_bytes && n > s->rx_max_bytes)
      n = s->rx_max_bytes;
    if (s->cut_at > s->rx_bytes && n > s->cut_at - s->rx_bytes)
      n = (size_t)(s->cut_at - s->rx_bytes);
    if (s->rng && peer_random (s, 3) == 0)
      n = 1 + peer_random (s, (uint32_t)n);
    memcpy (v.iov_base, p, n);
    if (s->flip_at >= s->rx_bytes && s->flip_at < s->rx_bytes + n)
      ((uint8_t *)v.iov_base)[s->flip_at - s->rx_bytes] ^= s->flip_mask;
    e = sftp_ops.rx_done (s->p, 0, n, s->now_ns);
    CU_ASSERT_EQUAL (e != ERR_OK, sftp_ops.state (s->p) == PROTO_FAILED);
    s->rx_bytes += n;
    if (e) {
      CU_ASSERT_EQUAL (sftp_ops.fault (s->p)->code, e);
      CU_ASSERT (sftp_ops.fault (s->p)->text[0] != 0);
      return e;
    }
    p += n;
    length_bytes -= n;
  }
  return ERR_OK;
}

enum err
peer_packet (struct peer *s, uint8_t type, const struct wirebuf *body)
{
  static uint8_t packet[300000];
  struct wirebuf b = wirebuf_init (packet, sizeof packet);

  wirebuf_u32 (&b, (uint32_t)body->used_bytes + 1);
  wirebuf_u8 (&b, type);
  wirebuf_bytes (&b, body->base, body->used_bytes);
  CU_ASSERT_EQUAL_FATAL (b.err, ERR_OK);
  return peer_feed (s, packet, b.used_bytes);
}

enum err
peer_version (struct peer *s, uint32_t version, const char *ext1,
              const char *data1, const char *ext2, const char *data2)
{
  uint8_t body[4096];
  struct wirebuf b = wirebuf_init (body, sizeof body);

  wirebuf_u32 (&b, version);
  if (ext1) {
    wirebuf_cstring (&b, ext1);
    wirebuf_cstring (&b, data1);
  }
  if (ext2) {
    wirebuf_cstring (&b, ext2);
    wirebuf_cstring (&b, data2);
  }
  return peer_packet (s, SSH_FXP_VERSION, &b);
}

enum err
peer_status (struct peer *s, uint32_t id, uint32_t code)
{
  uint8_t body[64];
  struct wirebuf b = wirebuf_init (body, sizeof body);

  wirebuf_u32 (&b, id);
  wirebuf_u32 (&b, code);
  wirebuf_cstring (&b, code ? "No way" : "Success");
  wirebuf_cstring (&b, "en");
  return peer_packet (s, SSH_FXP_STATUS, &b);
}

enum err
peer_handle (struct peer *s, uint32_t id)
{
  uint8_t body[64];
  struct wirebuf b = wirebuf_init (body, sizeof body);

  wirebuf_u32 (&b, id);
  wirebuf_string (&b, PEER_HANDLE, PEER_HANDLE_BYTES);
  return peer_packet (s, SSH_FXP_HANDLE, &b);
}

enum err
peer_attrs (struct peer *s, uint32_t id, uint64_t size, uint32_t permissions)
{
  uint8_t body[64];
  struct wirebuf b = wirebuf_init (body, sizeof body);

  wirebuf_u32 (&b, id);
  wirebuf_u32 (&b, SSH_FILEXFER_ATTR_SIZE | SSH_FILEXFER_ATTR_PERMISSIONS);
  wirebuf_u64 (&b, size);
  wirebuf_u32 (&b, permissions);
  return peer_packet (s, SSH_FXP_ATTRS, &b);
}

enum err
peer_limits (struct peer *s, uint32_t id, uint64_t packet, uint64_t read,
             uint64_t write)
{
  uint8_t body[64];
  struct wirebuf b = wirebuf_init (body, sizeof body);

  wirebuf_u32 (&b, id);
  wirebuf_u64 (&b, packet);
  wirebuf_u64 (&b, read);
  wirebuf_u64 (&b, write);
  wirebuf_u64 (&b, 0);
  return peer_packet (s, SSH_FXP_EXTENDED_REPLY, &b);
}

enum err
peer_data (struct peer *s, uint32_t id, const uint8_t *data,
           uint32_t length_bytes)
{
  uint8_t head[13];
  struct wirebuf b = wirebuf_init (head, sizeof head);
  enum err e;

  wirebuf_u32 (&b, 9 + length_bytes);
  wirebuf_u8 (&b, SSH_FXP_DATA);
  wirebuf_u32 (&b, id);
  wirebuf_u32 (&b, length_bytes);
  e = peer_feed (s, head, sizeof head);
  return e ? e : peer_feed (s, data, length_bytes);
}

void
peer_start (struct peer *s, uint64_t read_max, uint64_t write_max)
{
  struct peer_ask a;

  s->path = "/disk.img";
  CU_ASSERT_EQUAL_FATAL (peer_open (s), ERR_OK);
  peer_expect (s, SSH_FXP_INIT);
  peer_version (s, 3, "fsync@openssh.com", "1",
                read_max ? "limits@openssh.com" : NULL, "1");
  if (read_max) {
    a = peer_expect (s, SSH_FXP_EXTENDED);
    peer_limits (s, a.id, 0, read_max, write_max);
  }
  a = peer_expect (s, SSH_FXP_STAT);
  peer_attrs (s, a.id, PEER_FILE_BYTES, PEER_REGULAR);
  a = peer_expect (s, SSH_FXP_OPEN);
  peer_handle (s, a.id);
  a = peer_expect (s, SSH_FXP_FSTAT);
  peer_attrs (s, a.id, PEER_FILE_BYTES, PEER_REGULAR);
  CU_ASSERT_EQUAL_FATAL (sftp_ops.state (s->p), PROTO_READY);
}

enum err
peer_submit (struct peer *s, uint64_t id, enum io_op op, uint64_t offset,
             uint32_t length, uint8_t *data)
{
  struct proto_request r = {
      .id = id, .op = op, .offset = offset, .length = length, .data = data};

  return sftp_ops.submit (s->p, &r, s->now_ns);
}

bool
peer_done (struct peer *s, uint64_t id, enum err error)
{
  struct proto_completion c;

  return sftp_ops.reap (s->p, &c) && c.id == id && c.error == error
         && !sftp_ops.reap (s->p, &c);
}
