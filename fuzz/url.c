/* SPDX-License-Identifier: BSD-2-Clause */
/* The URL that a user gives, or a listed name makes. */
#include "config.h"
#include "fuzz/target.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/url.h"
#include "ipc/control.h"

/* The daemon gets all of it: what is decoded has no end in its middle. */
static void
comes_back (const struct volume_spec *spec)
{
  static const char *const keys[] = {"host", "path", "port", "user"};
  static uint8_t body[CONTROL_BODY_BYTES];
  struct wirebuf b = wirebuf_init (body, sizeof body);
  struct volume_spec again;
  struct wire w;

  volume_spec_put (&b, spec);
  w = wire_init (body, b.used_bytes);
  MUST (!b.err && !volume_spec_take (&w, 0, &again) && !wire_end (&w));
  MUST (strcmp (spec->proto, again.proto) == 0);
  for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const char *had = volume_spec_get (spec, keys[i]);
    const char *has = volume_spec_get (&again, keys[i]);

    MUST (!had == !has && (!had || strcmp (had, has) == 0));
  }
}

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
    comes_back (&spec);
  }
  free (url);
  return 0;
}
