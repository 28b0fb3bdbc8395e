/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/sendbox.h"

#include <assert.h>

#include "protocols/iscsi/digest.h"

#define HEAD_BYTES (PDU_BHS_BYTES + PDU_DIGEST_BYTES)
#define TAIL_BYTES (3u + PDU_DIGEST_BYTES)

bool
sendbox_fits (const struct sendbox *s, size_t copied_bytes)
{
  return outbox_fits (&s->out, HEAD_BYTES + TAIL_BYTES + copied_bytes);
}

static void
put_digest (struct wirebuf *b, uint32_t digest)
{
  uint8_t wire[PDU_DIGEST_BYTES];

  digest_put (digest, wire);
  wirebuf_bytes (b, wire, sizeof wire);
}

static void
put_head (struct sendbox *s, const uint8_t *bhs)
{
  struct wirebuf b = outbox_room (&s->out);

  wirebuf_bytes (&b, bhs, PDU_BHS_BYTES);
  if (s->header_digest)
    put_digest (&b, digest_more (DIGEST_START, bhs, PDU_BHS_BYTES));
  outbox_header (&s->out, &b);
}

/* Padding, and the digest over data and padding. */
static void
put_tail (struct sendbox *s, const void *data, uint32_t data_bytes)
{
  static const uint8_t zeroes[3];
  struct wirebuf b = outbox_room (&s->out);

  wirebuf_bytes (&b, zeroes, pdu_padding (data_bytes));
  if (s->data_digest) {
    uint32_t d = digest_more (DIGEST_START, data, data_bytes);

    put_digest (&b, digest_more (d, zeroes, pdu_padding (data_bytes)));
  }
  if (b.used_bytes)
    outbox_header (&s->out, &b);
}

void
sendbox_pdu (struct sendbox *s, const uint8_t bhs[PDU_BHS_BYTES],
             const uint8_t *data, uint32_t data_bytes)
{
  assert (sendbox_fits (s, 0));
  put_head (s, bhs);
  if (!data_bytes)
    return;
  outbox_payload (&s->out, data, data_bytes);
  put_tail (s, data, data_bytes);
}

void
sendbox_copied (struct sendbox *s, const uint8_t bhs[PDU_BHS_BYTES],
                const void *data, uint32_t data_bytes)
{
  struct wirebuf b;

  assert (data_bytes <= SENDBOX_COPY_BYTES && sendbox_fits (s, data_bytes));
  put_head (s, bhs);
  if (!data_bytes)
    return;
  b = outbox_room (&s->out);
  wirebuf_bytes (&b, data, data_bytes);
  outbox_header (&s->out, &b);
  put_tail (s, data, data_bytes);
}
