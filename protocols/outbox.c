/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/outbox.h"

#include <assert.h>
#include <string.h>

bool
outbox_fits (const struct outbox *o, size_t header_bytes)
{
  return o->end + 3 <= PROTO_TX_IOV
         && header_bytes <= sizeof o->buffer - o->used_bytes;
}

struct wirebuf
outbox_room (struct outbox *o)
{
  return wirebuf_init (o->buffer + o->used_bytes,
                       sizeof o->buffer - o->used_bytes);
}

/* Only what was not handed out yet may grow (O1). */
static bool
extends_last (const struct outbox *o, const uint8_t *p)
{
  const struct iovec *last;

  if (o->end == o->first || o->end == o->handed_end)
    return false;
  last = &o->piece[o->end - 1];
  return (const uint8_t *)last->iov_base + last->iov_len == p;
}

void
outbox_header (struct outbox *o, const struct wirebuf *packet)
{
  assert (packet->err == ERR_OK && packet->used_bytes > 0);
  assert (packet->base == o->buffer + o->used_bytes);
  if (extends_last (o, packet->base)) {
    o->piece[o->end - 1].iov_len += packet->used_bytes;
  } else {
    assert (o->end < PROTO_TX_IOV);
    o->piece[o->end++] = (struct iovec){packet->base, packet->used_bytes};
  }
  o->used_bytes += packet->used_bytes;
  o->queued_bytes += packet->used_bytes;
}

void
outbox_payload (struct outbox *o, const uint8_t *data, size_t length_bytes)
{
  assert (o->end < PROTO_TX_IOV && length_bytes > 0);
  /* An iovec has no const; proto.h promises that it is only read. */
  o->piece[o->end++] = (struct iovec){(void *)(uintptr_t)data, length_bytes};
  o->queued_bytes += length_bytes;
}

size_t
outbox_iov (struct outbox *o, struct iovec *ret, size_t max)
{
  size_t n = o->end - o->first;

  if (n > max)
    n = max;
  memcpy (ret, &o->piece[o->first], n * sizeof *ret);
  if (o->first + n > o->handed_end)
    o->handed_end = (unsigned)(o->first + n);
  return n;
}

void
outbox_sent (struct outbox *o, size_t length_bytes)
{
  assert (length_bytes <= o->queued_bytes - o->sent_bytes);
  o->sent_bytes += length_bytes;
  while (length_bytes > 0) {
    struct iovec *v = &o->piece[o->first];
    size_t n = length_bytes < v->iov_len ? length_bytes : v->iov_len;

    v->iov_base = (uint8_t *)v->iov_base + n;
    v->iov_len -= n;
    length_bytes -= n;
    if (v->iov_len == 0)
      o->first++;
  }
  if (o->first == o->end) {
    o->first = o->end = o->handed_end = 0;
    o->used_bytes = 0;
  }
}
