/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/host_glob.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

void
host_glob_init (struct host_glob *g, const char *name)
{
  size_t n = strlen (name);

  assert (n < HOST_GLOB_NAME_BYTES);
  memset (g, 0, sizeof *g);
  g->length_bytes = n;
  for (size_t i = 0; i < n; i++)
    g->at[(unsigned char)name[i]][i / 64] |= 1ull << i % 64;
}

/* The prefixes that one more byte makes; those beyond the name match nothing
 * and are never the end.
 */
static bool
advance (uint64_t prefix[HOST_GLOB_WORDS], const uint64_t *at)
{
  uint64_t carry = 0, any = 0;

  for (size_t i = 0; i < HOST_GLOB_WORDS; i++) {
    uint64_t here = at ? prefix[i] & at[i] : prefix[i];

    prefix[i] = here << 1 | carry;
    carry = here >> 63;
    any |= prefix[i];
  }
  return any != 0;
}

/* All that are at least as long as the shortest. */
static void
take_any (uint64_t prefix[HOST_GLOB_WORDS])
{
  size_t i = 0;

  while (!prefix[i])
    i++;
  prefix[i] |= ~(prefix[i] - 1);
  while (++i < HOST_GLOB_WORDS)
    prefix[i] = UINT64_MAX;
}

bool
host_glob_match (const struct host_glob *g, const char *pattern,
                 size_t pattern_bytes)
{
  uint64_t prefix[HOST_GLOB_WORDS] = {1};
  size_t n = g->length_bytes;

  for (size_t i = 0; i < pattern_bytes; i++) {
    unsigned char c = (unsigned char)pattern[i];

    if (c == '*')
      take_any (prefix);
    else if (!advance (prefix, c == '?' ? NULL : g->at[tolower (c)]))
      return false;
  }
  return prefix[n / 64] >> n % 64 & 1;
}
