/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/stranger.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_TEXT 80u
#define SHOWN_BYTES 16u

static bool
is_text (uint8_t c)
{
  return (c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n' || c == '\t';
}

/* RFC 8446 §5.1: ContentType, and the first half of the version. */
static bool
is_tls (const uint8_t *p)
{
  return p[0] >= 20 && p[0] <= 23 && p[1] == 3;
}

/* Up to the end of the line. */
static size_t
line_bytes (const uint8_t *p, size_t n)
{
  size_t i = 0;

  while (i < n && is_text (p[i]) && p[i] != '\r' && p[i] != '\n')
    i++;
  return i;
}

bool
stranger_begins (const uint8_t bytes[STRANGER_BYTES])
{
  for (size_t i = 0; i < STRANGER_BYTES; i++)
    if (!is_text (bytes[i]))
      return is_tls (bytes);
  return true;
}

size_t
stranger_speaks (const void *bytes, size_t length_bytes)
{
  size_t n;

  if (length_bytes > STRANGER_LINE_BYTES)
    length_bytes = STRANGER_LINE_BYTES;
  if (length_bytes < STRANGER_BYTES || !stranger_begins (bytes))
    return 0;
  n = is_tls (bytes) ? 0 : line_bytes (bytes, length_bytes);
  if (n == length_bytes && n < STRANGER_LINE_BYTES)
    return 0;
  return n < STRANGER_BYTES ? STRANGER_BYTES : n;
}

/* The first line in quotes, or some bytes in hexadecimal. */
static void
show (char dst[SHOWN_TEXT + 3], const uint8_t *p, size_t n)
{
  size_t used = line_bytes (p, n < SHOWN_TEXT ? n : SHOWN_TEXT);

  if (used >= STRANGER_BYTES) {
    snprintf (dst, SHOWN_TEXT + 3, "\"%.*s\"", (int)used, (const char *)p);
    return;
  }
  dst[used = 0] = 0;
  for (size_t i = 0; i < n && i < SHOWN_BYTES; i++)
    used += (size_t)snprintf (dst + used, SHOWN_TEXT + 3 - used, "%s%02x",
                              i ? " " : "", p[i]);
}

static const char *
kind_of (const uint8_t *p, size_t n)
{
  static const struct {
    const char *begins, *kind;
  } kinds[] = {
      {"SSH-", " (SSH)"}, {"HTTP", " (HTTP)"}, {"NBDM", " (NBD)"}};

  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    size_t length = strlen (kinds[i].begins);

    if (n >= length && memcmp (p, kinds[i].begins, length) == 0)
      return kinds[i].kind;
  }
  return n >= STRANGER_BYTES && is_tls (p) ? " (TLS)" : "";
}

enum err
stranger_fault (struct fault *f, const char *protocol, const char *ports,
                const void *bytes, size_t length_bytes)
{
  char shown[SHOWN_TEXT + 3];

  show (shown, bytes, length_bytes);
  fault_set (f, ERR_PEER, "what answers there does not speak %s: it says %s%s",
             protocol, shown, kind_of (bytes, length_bytes));
  fault_hint (f, "is it the right port? %s as a rule", ports);
  return ERR_PEER;
}

void
stranger_hung_up (struct fault *f)
{
  if (f && !f->hint[0])
    fault_hint (f, "it had said nothing before: is it the right port?");
}

enum err
stranger_silent (struct fault *f)
{
  fault_set (f, ERR_TIMEOUT,
             "what answers there takes the connection, and says nothing");
  fault_hint (f, "is it the right port, and is the server well?");
  return ERR_TIMEOUT;
}
