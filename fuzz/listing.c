/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a list of objects, as a worker gives it to the gateway. */
#include "config.h"
#include "fuzz/target.h"

#include <stdlib.h>
#include <string.h>

#include "common/listing.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct listing copy = {0};
  struct listing_entry e;
  size_t offset = 0;
  bool broken;

  while (listing_next (data, size, &offset, &e, &broken))
    /* What can be read can be written. */
    if (listing_add (&copy, e.name, strlen (e.name), e.size, e.description))
      break;
  if (copy.entries && copy.used_bytes <= size
      && copy.entries < LISTING_ENTRIES) {
    size_t at = 0;
    unsigned n = 0;

    while (listing_next (copy.base, copy.used_bytes, &at, &e, &broken))
      n++;
    if (broken || n != copy.entries)
      abort ();
  }
  listing_fini (&copy);
  return 0;
}
