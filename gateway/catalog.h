/* SPDX-License-Identifier: BSD-2-Clause */
/* The names below a directory, out of a worker's listing, and which names of
 * NBD clients may be looked up there. Pure but for malloc.
 */
#ifndef BH_GATEWAY_CATALOG_H
#define BH_GATEWAY_CATALOG_H

#include "common/listing.h"

struct catalog {
  uint8_t *text; /* what the entries point into */
  struct listing_entry *entry; /* sorted by name, none twice */
  unsigned entries;
};

/* Takes text (malloced, also on an error) over. Names that could not be asked
 * for are left out. ERR_PEER: it breaks the rules; ERR_NOMEM.
 */
enum err catalog_take (struct catalog *c, uint8_t *text, size_t text_bytes);
void catalog_fini (struct catalog *c);
bool catalog_has (const struct catalog *c, const char *name);

/* Whether a name stays below the directory: relative, without empty parts, "."
 * and "..", without control characters, and not too long.
 */
bool catalog_name_is_safe (const char *name);

#endif
