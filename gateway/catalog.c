/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/catalog.h"

#include <stdlib.h>
#include <string.h>

bool
catalog_name_is_safe (const char *name)
{
  if (strlen (name) >= LISTING_NAME_BYTES)
    return false;
  for (const char *c = name; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      return false;
  for (const char *part = name;; part++) {
    size_t n = strcspn (part, "/");

    if (n == 0 || (n <= 2 && strncmp (part, "..", n) == 0))
      return false;
    part += n;
    if (!*part)
      return true;
  }
}

static int
compare (const void *a, const void *b)
{
  return strcmp (((const struct listing_entry *)a)->name,
                 ((const struct listing_entry *)b)->name);
}

static void
sort (struct catalog *c)
{
  unsigned kept = 0;

  if (!c->entries)
    return;
  qsort (c->entry, c->entries, sizeof *c->entry, compare);
  for (unsigned i = 1; i < c->entries; i++)
    if (strcmp (c->entry[i].name, c->entry[kept].name) != 0)
      c->entry[++kept] = c->entry[i];
  c->entries = kept + 1;
}

enum err
catalog_take (struct catalog *c, uint8_t *text, size_t text_bytes)
{
  struct catalog n = {.text = text};
  struct listing_entry e;
  size_t offset = 0;
  bool broken = false;

  n.entry = calloc (LISTING_ENTRIES, sizeof *n.entry);
  if (!n.entry) {
    free (text);
    return ERR_NOMEM;
  }
  while (listing_next (text, text_bytes, &offset, &e, &broken)) {
    if ((broken = n.entries == LISTING_ENTRIES))
      break;
    if (catalog_name_is_safe (e.name))
      n.entry[n.entries++] = e;
  }
  if (broken) {
    catalog_fini (&n);
    return ERR_PEER;
  }
  sort (&n);
  *c = n;
  return ERR_OK;
}

void
catalog_fini (struct catalog *c)
{
  free (c->entry);
  free (c->text);
  *c = (struct catalog){0};
}

bool
catalog_has (const struct catalog *c, const char *name)
{
  const struct listing_entry key = {.name = name};

  return c->entries
         && bsearch (&key, c->entry, c->entries, sizeof key, compare);
}
