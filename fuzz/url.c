/* SPDX-License-Identifier: BSD-2-Clause */
/* The URL that a user gives, or a listed name makes. */
#include "config.h"
#include "fuzz/target.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/url.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct volume_spec spec = {0};
  struct fault f = {0};
  char *url = malloc (size + 1);
  char name[128];

  if (!url)
    return 0;
  memcpy (url, data, size);
  url[size] = 0;
  if (url_parse (url, &spec, &f)) {
    if (!f.text[0])
      abort ();
  } else {
    if (!volume_spec_get (&spec, "host"))
      abort ();
    volume_spec_name (&spec, name, sizeof name);
  }
  free (url);
  return 0;
}
