/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine driven by bytes: what the server says, what the client asks for,
 * the time, a connection that ends. A fuzzer makes such bytes, record.c writes
 * them down from a real conversation.
 *
 *   input   = seed u8, *event
 *   event   = tag u8, body
 *     'S'   length u16, bytes      the server says
 *     'R'   op u8, flags u8, offset u32, length u16 (both in 512 bytes, a
 *           flag says + bytes)     the client asks
 *     'T'   u8                     so much time passes: 2^n µs
 *     'E'                          the connection ends; a new engine starts,
 *                                  with the identity page of the last
 *     'M'                          the same, where the last engine wanted to
 *                                  move to, with what it handed over
 *     'G'   error u8, id u8, name, data, challenge (u8 length, bytes each)
 *                                  the daemon answers a question
 *     'L'                          leave
 *   u16 and u32 are big-endian. What is cut off or unknown ends the input.
 *
 * The same input runs twice: in pieces as large as the engine takes, and in
 * small ones. Both must say the same, to the byte.
 *
 * What must hold (abort, for a fuzzer to find):
 *   D1  A request is answered at most once, and only one that was asked.
 *   D2  rx_iov has room; tx_iov gives no more pieces than were asked for.
 *   D3  READY describes a volume that volume_info_check lets pass.
 *   D4  After PROTO_FAILED there is a fault with words.
 *   D5  An engine asks for a finite number of ticks at one time.
 *   D6  A STATUS is answered by extents that are as io.h says.
 *   D7  Any fragmentation of the same bytes gives the same result.
 *
 * One thread. No limit on what a run may allocate but the engine's own.
 */
#ifndef BH_FUZZ_DRIVE_H
#define BH_FUZZ_DRIVE_H

#include <stddef.h>
#include <stdint.h>

#include "protocols/proto.h"

/* Ends with {0}. */
struct drive_param {
  const char *key, *value;
};

/* Bytes of volume that requests may cover, whatever the server says. */
#define DRIVE_REQUEST_BYTES (128u * 1024)

void drive (const struct proto_ops *ops, const struct drive_param *params,
            const uint8_t *input, size_t input_bytes);

#endif
