/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine driven by bytes: what the server says, what the client asks for,
 * the time, a connection that ends. A fuzzer makes such bytes; record.c writes
 * them down from a conversation with a real server, scribe.c from those that
 * unit tests have.
 *
 *   input   = seed u8, *event
 *   event   = tag u8, body
 *     'S'   length u16, bytes      the server says
 *     's'   lane u8, length u16, bytes
 *                                  the same on another connection
 *     'D'   lane u8                that one ends
 *     'R'   op u8, flags u8, offset u32, length u16 (both in 512 bytes, a
 *           flag says + bytes)     the client asks
 *     'r'   op u8, flags u8, offset u64, length u32 (both in bytes), tag u32
 *                                  the same, to the byte; a tag that was used
 *                                  before: it is sent again in a later session
 *     'p'                          the client asks whether the object changed
 *     'T'   u8                     so much time passes: 2^n µs
 *     'N'   u64                    so much time passes, in ns
 *     'E'                          the connection ends; a new engine starts,
 *                                  with the identity page of the last
 *     'M'                          the same, where the last engine wanted to
 *                                  move to, with what it handed over
 *     'G'   type u8, error u8, id u8, name, data, challenge (u8 length, bytes
 *           each)                  the daemon answers a question
 *     'H'   length u16, bytes      what the server says in front of TLS
 *     'L'                          leave
 *   and of the engine that 'E', 'M', or the first of those above starts:
 *     'P'   length u16, *(key '=' value NUL)
 *                                  its parameters, in place of the target's
 *     'Q'   16 bytes, u8           its seed, and which connection it has
 *     'W'   u8, u8                 how many connections it has, and may have
 *     'I'   offset u16, length u8, bytes
 *                                  into its identity page
 *     'V'   length u16, bytes      what it is told that the last one handed
 *                                  over; for 'M', and for the first engine
 *   u16, u32 and u64 are big-endian. What is cut off or unknown ends the input.
 *
 * The same input runs twice: in pieces as large as the engine takes, and in
 * small ones. Both must say the same, to the byte.
 *
 * What must hold (abort, for a fuzzer to find):
 *   D1  A request is answered at most once, and only one that was asked; after
 *       that there is room for another.
 *   D2  rx_iov has room; tx_iov gives no more pieces than were asked for.
 *   D3  READY describes a volume that volume_info_check lets pass.
 *   D4  After PROTO_FAILED there is a fault with words.
 *   D5  An engine asks for a finite number of ticks at one time.
 *   D6  A STATUS is answered by extents that are as io.h says.
 *   D7  Any fragmentation of the same bytes gives the same result.
 *   D8  A probe is answered at most once, and only if it was asked.
 *   D9  What is said for the log is a string, and comes to an end.
 *   D10 A READ without an error has delivered every byte: its data were not the
 *       same before, so that D7 breaks.
 *   D11 Every byte of a WRITE that is answered without an error was sent.
 *   D12 No byte of it is sent again at one time: only after an event or a tick,
 *       over SFTP never. Nothing is sent out of another request's memory.
 *   D13 No request is forgotten: when the input has ended the driver plays a
 *       server that refuses whatever it has been asked (refusals.h), and lets
 *       time pass. Then each request, and a probe, is answered, or the engine
 *       has failed. Not where messages cannot be told apart: with digests, or
 *       in the middle of a record of several fragments.
 *   Identity page, what was handed over and the data of each request are
 *   objects of exactly their size, so that a sanitizer sees a byte too far.
 *
 * One thread. No limit on what a run may allocate but the engine's own; the
 * requests of a run together have DRIVE_RUN_BYTES.
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
#define DRIVE_REQUEST_BYTES (256u * 1024)
/* Of all requests of a run; beyond it they are not asked. */
#define DRIVE_RUN_BYTES (2u << 20)

void drive (const struct proto_ops *ops, const struct drive_param *params,
            const uint8_t *input, size_t input_bytes);

#endif
