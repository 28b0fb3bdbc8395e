/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC32C as the digests of RFC 7143 §13.1 and appendix B.4 have it, by ISA-L,
 * which picks the processor's fastest way. In pieces:
 *
 *   d = DIGEST_START; d = digest_more (d, a, n); d = digest_more (d, b, m);
 *   digest_put (d, wire)
 */
#ifndef BH_PROTOCOLS_ISCSI_DIGEST_H
#define BH_PROTOCOLS_ISCSI_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_START 0xffffffffu

/* length_bytes < 2 GiB. */
uint32_t digest_more (uint32_t d, const void *bytes, size_t length_bytes);

/* The four bytes that go over the wire. */
void digest_put (uint32_t d, uint8_t wire[4]);
bool digest_equals (uint32_t d, const uint8_t wire[4]);

#endif
