/* SPDX-License-Identifier: BSD-2-Clause */
/* PDUs that are to be sent: an outbox, with padding and digests. Payload stays
 * in its place until it is sent.
 */
#ifndef BH_PROTOCOLS_ISCSI_SENDBOX_H
#define BH_PROTOCOLS_ISCSI_SENDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "protocols/iscsi/pdu.h"
#include "protocols/outbox.h"

/* Most that sendbox_copied takes: what a login request may carry (§13.12). */
#define SENDBOX_COPY_BYTES 8192u

struct sendbox {
  bool header_digest, data_digest; /* from the next PDU on */
  struct outbox out;
};

/* True if a PDU fits now: with its data in their own place, or with
 * copied_bytes of data.
 */
bool sendbox_fits (const struct sendbox *s, size_t copied_bytes);

/* Queues a PDU; bhs has its DataSegmentLength already. data is borrowed until
 * it is sent: until out.sent_bytes has reached out.queued_bytes as it is then.
 * Only if sendbox_fits (s, 0).
 */
void sendbox_pdu (struct sendbox *s, const uint8_t bhs[PDU_BHS_BYTES],
                  const uint8_t *data, uint32_t data_bytes);
/* The same with data that are copied. Only if sendbox_fits (s, data_bytes). */
void sendbox_copied (struct sendbox *s, const uint8_t bhs[PDU_BHS_BYTES],
                     const void *data, uint32_t data_bytes);

#endif
