/* SPDX-License-Identifier: BSD-2-Clause */
/* The bodies of control messages that come from somebody less trusted: what a
 * worker and a gateway tell the daemon.
 */
#include "config.h"
#include "fuzz/target.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/volume.h"

static void
spec (const uint8_t *data, size_t size)
{
  struct wire w = wire_init (data, size);
  struct volume_spec s, again;
  uint8_t body[VOLUME_POOL_BYTES * 2];
  struct wirebuf b = wirebuf_init (body, sizeof body);
  char name[64];

  if (volume_spec_take (&w, 4, &s))
    return;
  volume_spec_name (&s, name, sizeof name);
  volume_spec_put (&b, &s);
  if (b.err)
    abort ();
  w = wire_init (body, b.used_bytes);
  if (volume_spec_take (&w, 4, &again) || again.params != s.params)
    abort ();
}

static void
info (const uint8_t *data, size_t size)
{
  struct wire w = wire_init (data, size);
  struct volume_info i;

  if (!volume_info_take (&w, &i) && !volume_info_check (&i))
    abort ();
}

static void
fault (const uint8_t *data, size_t size)
{
  struct wire w = wire_init (data, size);
  struct fault f;

  if (fault_take (&w, &f))
    return;
  for (const char *c = f.text; *c; c++)
    if ((unsigned char)*c < ' ')
      abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (!size)
    return 0;
  switch (data[0] % 3) {
  case 0:
    spec (data + 1, size - 1);
    break;
  case 1:
    info (data + 1, size - 1);
    break;
  default:
    fault (data + 1, size - 1);
  }
  return 0;
}
