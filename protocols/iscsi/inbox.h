/* SPDX-License-Identifier: BSD-2-Clause */
/* Received bytes as PDUs. One PDU at a time:
 *
 *   HEAD   BHS, AHS and header digest come into our buffer
 *   PLACE  the header is whole and right: inbox_place says where its data go
 *   DATA   … the data segment comes there
 *   TAIL   padding and data digest come into our buffer
 *   WHOLE  the PDU is whole and right: inbox_next starts over
 *
 * PLACE and WHOLE last only until the caller has acted, in the same rx_done.
 * inbox_received always looks at the same borders, so that it does not matter
 * in which pieces the bytes come. Before the first header is whole, those are
 * stranger.h's: a server of another kind may say less, and wait.
 */
#ifndef BH_PROTOCOLS_ISCSI_INBOX_H
#define BH_PROTOCOLS_ISCSI_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "protocols/iscsi/pdu.h"

/* For data that go nowhere else: text, sense, rejected headers. As much as a
 * Login Response may carry (§13.12).
 */
#define INBOX_BODY_BYTES 8192u

enum inbox_step { INBOX_HEAD, INBOX_PLACE, INBOX_DATA, INBOX_TAIL,
                  INBOX_WHOLE };

struct inbox {
  enum inbox_step step;
  bool greeted;                    /* a header was whole and right */
  bool header_digest, data_digest; /* from the next PDU on */
  uint32_t data_max_bytes; /* the MaxRecvDataSegmentLength that we declared */

  struct pdu pdu; /* from PLACE on */
  uint8_t *data;
  uint32_t data_have_bytes;
  uint32_t digest;

  size_t head_have_bytes, head_need_bytes, tail_have_bytes, tail_need_bytes;
  size_t offered_bytes; /* by the last inbox_iov */
  uint8_t head[PDU_BHS_BYTES + PDU_AHS_MAX_BYTES + PDU_DIGEST_BYTES];
  uint8_t tail[4 + PDU_DIGEST_BYTES];
  uint8_t body[INBOX_BODY_BYTES];
};

void inbox_init (struct inbox *in);

/* As proto_ops.rx_iov. */
struct iovec inbox_iov (struct inbox *in);
/* As proto_ops.rx_done; afterwards see step. ERR_PEER with f. */
enum err inbox_received (struct inbox *in, size_t length_bytes,
                         struct fault *f);

/* In PLACE: where pdu.data_bytes go; NULL: to body. ERR_PEER with f if body is
 * too small. The step is then DATA, or WHOLE if there are no data.
 */
enum err inbox_place (struct inbox *in, uint8_t *data, struct fault *f);
void inbox_next (struct inbox *in); /* in WHOLE */

#endif
