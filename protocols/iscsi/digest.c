/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/digest.h"

#include <isa-l/crc.h>

uint32_t
digest_more (uint32_t d, const void *bytes, size_t length_bytes)
{
  /* ISA-L's prototype lacks a const; it only reads. */
  return crc32_iscsi ((unsigned char *)(uintptr_t)bytes, (int)length_bytes, d);
}

/* The CRC's lowest byte goes first (appendix B.4). */
void
digest_put (uint32_t d, uint8_t wire[4])
{
  d = ~d;
  for (unsigned i = 0; i < 4; i++)
    wire[i] = (uint8_t)(d >> 8 * i);
}

bool
digest_equals (uint32_t d, const uint8_t wire[4])
{
  uint8_t own[4];

  digest_put (d, own);
  return own[0] == wire[0] && own[1] == wire[1] && own[2] == wire[2]
         && own[3] == wire[3];
}
