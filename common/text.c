/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/text.h"

#include <stdint.h>
#include <stddef.h>

/* The well-formed sequences of RFC 3629 §4 that are longer than a byte: what
 * the first and the second byte may be; all others are tails. C1 is left out.
 */
static const struct {
  uint8_t first_min, first_max, second_min, second_max;
  unsigned bytes;
} sequences[] = {
    {0xc2, 0xc2, 0xa0, 0xbf, 2}, {0xc3, 0xdf, 0x80, 0xbf, 2},
    {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
    {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Bytes of the character that s begins with; 0: none that may be shown. */
static unsigned
character_bytes (const uint8_t *s)
{
  if (s[0] < 0x80)
    return s[0] >= 0x20 && s[0] != 0x7f;
  for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
    unsigned n = 2;

    if (s[0] < sequences[i].first_min || s[0] > sequences[i].first_max)
      continue;
    if (s[1] < sequences[i].second_min || s[1] > sequences[i].second_max)
      return 0;
    while (n < sequences[i].bytes && (s[n] & 0xc0) == 0x80)
      n++;
    return n == sequences[i].bytes ? n : 0;
  }
  return 0;
}

void
text_clean (char *text)
{
  uint8_t *s = (uint8_t *)text;

  while (*s) {
    unsigned n = character_bytes (s);

    if (!n)
      *s = '?';
    s += n ? n : 1;
  }
}
