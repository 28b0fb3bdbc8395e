/* SPDX-License-Identifier: BSD-2-Clause */
/* What a volume with VOLUME_IS_LIST contains: the names that can be opened
 * below it (files of a directory, LUNs of a target, exports of a server). An
 * engine writes it, the gateway reads it as a volume's content, so that names
 * go the way of all data: through the read arena, copied once, then checked.
 *
 *   text  = *entry
 *   entry = name NUL size NUL description NUL
 *
 * name: what an NBD client asks for, as it goes behind the URL's path. size: in
 * bytes, decimal, or "" if it is not known. No empty name, no control
 * character, at most LISTING_NAME_BYTES with its NUL; at most LISTING_ENTRIES.
 *
 * Pure; one thread at a time per object.
 */
#ifndef BH_COMMON_LISTING_H
#define BH_COMMON_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define LISTING_NAME_BYTES 1024u
#define LISTING_ENTRIES 4096u
#define LISTING_BYTES (1u << 20)
#define LISTING_DESCRIPTION_BYTES 256u
#define LISTING_SIZE_UNKNOWN UINT64_MAX

struct listing {
  uint8_t *base; /* grows by realloc; listing_fini frees it */
  size_t used_bytes, size_bytes;
  unsigned entries;
};

/* Appends an entry; {0} is an empty list. Names that cannot be (empty, too
 * long, with a control character) are left out, as nobody could ask for them.
 * A size beyond INT64_MAX is LISTING_SIZE_UNKNOWN.
 * ERR_LIMIT: LISTING_ENTRIES or LISTING_BYTES are reached; ERR_NOMEM.
 */
enum err listing_add (struct listing *l, const char *name, size_t name_bytes,
                      uint64_t size, const char *description);
void listing_fini (struct listing *l);

struct listing_entry {
  const char *name; /* into the text */
  const char *description;
  uint64_t size; /* or LISTING_SIZE_UNKNOWN */
};

/* Reads the entry at *offset and advances it. False at the end of text. A text
 * that breaks the rules: false too, with *ret_broken true.
 */
bool listing_next (const uint8_t *text, size_t text_bytes, size_t *offset,
                   struct listing_entry *ret, bool *ret_broken);

#endif
