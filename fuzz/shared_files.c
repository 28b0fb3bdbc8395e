/* SPDX-License-Identifier: BSD-2-Clause */
/* What a daemon finds in memory that others have written: the file of a
 * volume's stripes (first byte even), or that a gateway finds: an index of
 * cached pages (odd). Byte for byte the rest of the input.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "ipc/pages.h"

static void
stripes (void *bytes, size_t n)
{
  struct stripe_map m;
  uint64_t version;

  if (stripes_open (bytes, n, &m))
    return;
  MUST (m.count && stripes_bytes (m.count) <= n);
  for (uint64_t page = 0; page < 40; page += 13) {
    stripes_quiet (&m, page, &version);
    stripes_begin (&m, page, page + page % 4);
  }
  stripes_orphaned (&m);
  stripes_take_lost (&m);
  MUST (!stripes_lost (&m));
  stripes_settle (&m);
  MUST (stripes_unequal (&m) == 0);
  MUST (stripes_writes_begun (&m) == stripes_writes_ended (&m));
}

static void
pages (const void *bytes, size_t n)
{
  struct page_map m;
  struct stripe_map stripes;
  const struct page_index *index = bytes;
  uint32_t slots = n >= sizeof *index ? index->slots : 0;
  struct stripes *file = calloc (1, stripes_bytes (8));
  uint8_t *data, byte[16];

  if (slots > 16)
    slots = 16;
  data = calloc (slots ? slots : 1, PAGE_BYTES);
  if (file && data) {
    stripes_format (file, 8);
    MUST (!stripes_open (file, stripes_bytes (8), &stripes));
    if (!pages_open (index, n, data, (size_t)slots * PAGE_BYTES, &m))
      for (uint64_t page = 0; page < 32; page++)
        pages_lookup (&m, &stripes, page, PAGE_BYTES - sizeof byte,
                      sizeof byte, byte);
  }
  free (data);
  free (file);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  uint8_t *copy;

  if (!size--)
    return 0;
  copy = malloc (size ? size : 1);
  if (!copy)
    return 0;
  memcpy (copy, data + 1, size);
  if (data[0] & 1)
    pages (copy, size);
  else
    stripes (copy, size);
  free (copy);
  return 0;
}
