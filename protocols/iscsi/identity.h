/* SPDX-License-Identifier: BSD-2-Clause */
/* What outlives a session: its ISID, so that the next login with it reinstates
 * the session and so ends the tasks of the old one (RFC 7143 §6.3.5), and how
 * long the target wants to be left alone. Kept in memory that a taken-over
 * worker has written: copied, checked by a CRC against accidents, and of no
 * use against us whatever it says.
 */
#ifndef BH_PROTOCOLS_ISCSI_IDENTITY_H
#define BH_PROTOCOLS_ISCSI_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

/* A target may want longer; a liar must not keep us away for good. */
#define IDENTITY_WAIT_MAX_NS (60ull * 1000 * 1000 * 1000)

struct identity {
  uint8_t isid[6];
  bool has_portal_group;
  bool without_sha256; /* what it took to log in: LOGIN_WITHOUT_SHA256 */
  uint16_t portal_group;  /* of the last session: ISIDs hold within one */
  uint64_t not_before_ns; /* no login before that */
};

/* What page says, or a new identity of seed. page may be NULL. True if there
 * was an old one.
 */
bool identity_load (const uint8_t *page, const uint8_t seed[16],
                    uint64_t now_ns, struct identity *ret);
void identity_store (uint8_t *page, const struct identity *i);

#endif
