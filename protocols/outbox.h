/* SPDX-License-Identifier: BSD-2-Clause */
/* For engines over a byte stream: what is to be sent, as a row of pieces. They
 * are either headers in the outbox's own buffer or payload in a request's data.
 * What follows each other in the buffer becomes one piece, as a transport is
 * better off with few large ones.
 *
 * Invariants
 *   O1  A piece that outbox_iov has handed out keeps place and length (but for
 *       what outbox_sent takes off its front): TLS and SSH libraries insist.
 *   O2  sent_bytes <= queued_bytes; they are equal when there is no piece.
 */
#ifndef BH_PROTOCOLS_OUTBOX_H
#define BH_PROTOCOLS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/wire.h"
#include "protocols/proto.h"

#define OUTBOX_BUFFER_BYTES (32u * 1024)

struct outbox {
  struct iovec piece[PROTO_TX_IOV];
  unsigned first, end;               /* pieces first … end-1 are to be sent */
  unsigned handed_end;               /* those before it were handed out */
  size_t used_bytes;                 /* of buffer */
  uint64_t queued_bytes, sent_bytes; /* since the session began */
  uint8_t buffer[OUTBOX_BUFFER_BYTES];
};

/* True if a packet of header_bytes bytes around one payload fits now. */
bool
outbox_fits (const struct outbox *o, size_t header_bytes);
/* Room for a packet: encode into it, then queue it by outbox_header. */
struct wirebuf
outbox_room (struct outbox *o);
void
outbox_header (struct outbox *o, const struct wirebuf *packet);
/* Payload right behind the header; borrowed until it is sent. */
void
outbox_payload (struct outbox *o, const uint8_t *data, size_t length_bytes);

/* As proto_ops.tx_iov and tx_done. */
size_t
outbox_iov (struct outbox *o, struct iovec *ret, size_t max);
void
outbox_sent (struct outbox *o, size_t length_bytes);

#endif
