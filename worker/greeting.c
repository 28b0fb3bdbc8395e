/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/greeting.h"

#include <ctype.h>
#include <string.h>

#include "common/wire.h"

#define SSH_MSG_KEXINIT 20
#define COOKIE_BYTES 16

void
greeting_add (struct greeting *g, const void *bytes, size_t length_bytes)
{
  size_t room = sizeof g->bytes - g->used_bytes;
  size_t n = length_bytes < room ? length_bytes : room;

  memcpy (g->bytes + g->used_bytes, bytes, n);
  g->used_bytes += n;
}

/* RFC 4253 §4.2: other lines may come before the one that begins with SSH-. */
static const uint8_t *
after_identification (const uint8_t *p, const uint8_t *end)
{
  bool found = false;

  while (!found) {
    const uint8_t *newline = memchr (p, '\n', (size_t)(end - p));

    if (!newline)
      return NULL;
    found = newline - p >= 4 && memcmp (p, "SSH-", 4) == 0;
    p = newline + 1;
  }
  return p;
}

bool
greeting_identified (const struct greeting *g)
{
  const uint8_t *p = g->bytes, *end = p + g->used_bytes;

  for (const uint8_t *newline; p; p = newline ? newline + 1 : NULL) {
    if (end - p >= 4 && memcmp (p, "SSH-", 4) == 0)
      return true;
    newline = memchr (p, '\n', (size_t)(end - p));
  }
  return false;
}

bool
greeting_hostkeys (const struct greeting *g, char dst[GREETING_NAMES_BYTES])
{
  const uint8_t *end = g->bytes + g->used_bytes;
  const uint8_t *p = after_identification (g->bytes, end);
  char names[GREETING_NAMES_BYTES];
  struct wire w;
  size_t n;

  if (!p)
    return false;
  w = wire_init (p, (size_t)(end - p));
  wire_u32 (&w); /* packet length */
  wire_u8 (&w);  /* padding length */
  if (wire_u8 (&w) != SSH_MSG_KEXINIT)
    return false;
  wire_bytes (&w, COOKIE_BYTES);
  wire_string (&w, GREETING_BYTES, &n); /* kex_algorithms */
  wire_cstring (&w, names, sizeof names);
  if (w.err)
    return false;
  for (const char *c = names; *c; c++)
    if (!isgraph ((unsigned char)*c))
      return false;
  strcpy (dst, names);
  return true;
}
