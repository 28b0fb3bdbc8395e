/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers, digests and bytes of the scripted target. */
#include "config.h"
#include "tests/fake/iscsi-target.h"

#include <string.h>
#include <sys/socket.h>

void
put16 (uint8_t *p, uint32_t v)
{
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

void
put24 (uint8_t *p, uint32_t v)
{
  p[0] = (uint8_t)(v >> 16);
  put16 (p + 1, v);
}

void
put32 (uint8_t *p, uint32_t v)
{
  put16 (p, v >> 16);
  put16 (p + 2, v);
}

uint32_t
get24 (const uint8_t *p)
{
  return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

uint32_t
get32 (const uint8_t *p)
{
  return (uint32_t)p[0] << 24 | get24 (p + 1);
}

/* RFC 7143 §13.1: CRC32C; on the wire its lowest byte comes first. */
#if defined __x86_64__
/* For the bench: a target whose digests cost as little as ours. */
static uint32_t __attribute__ ((target ("sse4.2")))
by_instruction (uint32_t crc, const uint8_t *p, size_t n)
{
  uint64_t wide = crc, eight;

  for (; n >= 8; p += 8, n -= 8) {
    memcpy (&eight, p, 8);
    wide = __builtin_ia32_crc32di (wide, eight);
  }
  crc = (uint32_t)wide;
  while (n-- > 0)
    crc = __builtin_ia32_crc32qi (crc, *p++);
  return crc;
}

static bool
has_instruction (void)
{
  return __builtin_cpu_supports ("sse4.2");
}
#else
static uint32_t
by_instruction (uint32_t crc, const uint8_t *p, size_t n)
{
  (void)p;
  (void)n;
  return crc;
}

static bool
has_instruction (void)
{
  return false;
}
#endif

static uint32_t
by_table (uint32_t crc, const uint8_t *p, size_t n)
{
  static uint32_t table[256];

  if (table[1] == 0)
    for (uint32_t i = 0; i < 256; i++) {
      table[i] = i;
      for (int bit = 0; bit < 8; bit++)
        table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78 : table[i] >> 1;
    }
  while (n-- > 0)
    crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
  return crc;
}

void
crc32c (const uint8_t *p, size_t n, uint8_t ret[4])
{
  uint32_t crc = ~(has_instruction () ? by_instruction (0xffffffff, p, n)
                                      : by_table (0xffffffff, p, n));

  for (int i = 0; i < 4; i++)
    ret[i] = (uint8_t)(crc >> 8 * i);
}

bool
send_all (int fd, const void *p, size_t n)
{
  const uint8_t *b = p;

  while (n > 0) {
    ssize_t sent = send (fd, b, n, MSG_NOSIGNAL);

    if (sent <= 0)
      return false;
    b += sent;
    n -= (size_t)sent;
  }
  return true;
}

bool
receive_all (int fd, void *p, size_t n)
{
  uint8_t *b = p;

  while (n > 0) {
    ssize_t got = recv (fd, b, n, 0);

    if (got <= 0)
      return false;
    b += got;
    n -= (size_t)got;
  }
  return true;
}
