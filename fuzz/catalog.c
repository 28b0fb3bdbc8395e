/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's listing as the gateway makes exports of it, and an export's name
 * that an NBD client asks for: the input's first line.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "gateway/catalog.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const uint8_t *end = memchr (data, '\n', size);
  size_t name_bytes = end ? (size_t)(end - data) : 0;
  uint8_t *text = malloc (size + 1);
  char *name = malloc (name_bytes + 1);
  struct catalog c;
  size_t rest = end ? size - name_bytes - 1 : size;

  if (!text || !name) {
    free (text);
    free (name);
    return 0;
  }
  memcpy (name, data, name_bytes);
  name[name_bytes] = 0;
  memcpy (text, data + size - rest, rest);
  if (!catalog_take (&c, text, rest)) {
    for (unsigned i = 0; i < c.entries; i++) {
      MUST (catalog_name_is_safe (c.entry[i].name));
      MUST (!i || strcmp (c.entry[i - 1].name, c.entry[i].name) < 0);
      MUST (catalog_has (&c, c.entry[i].name));
    }
    if (catalog_has (&c, name))
      MUST (catalog_name_is_safe (name));
    catalog_fini (&c);
  }
  if (catalog_name_is_safe (name))
    MUST (name[0] && name[0] != '/' && strcmp (name, "..")
          && strncmp (name, "../", 3) && !strstr (name, "/../"));
  free (name);
  return 0;
}
