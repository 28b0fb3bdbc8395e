/* SPDX-License-Identifier: BSD-2-Clause */
/* The bodies of control messages that come from somebody less trusted: what a
 * worker and a gateway tell the daemon. The first byte says which: 'w' a WANT,
 * 'g' what a GIVEN holds, else modulo 3 a volume_spec, a volume_info, a fault.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "ipc/volume.h"
#include "ipc/want.h"

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

/* What was understood means the same when it is written again. */
static void
want (const uint8_t *data, size_t size)
{
  struct wire w = wire_init (data, size);
  struct proto_want a, b;
  uint8_t body[4096];
  struct wirebuf out = wirebuf_init (body, sizeof body);

  if (want_take (&w, &a))
    return;
  MUST (a.type > PROTO_WANT_NOTHING && a.type <= PROTO_WANT_MOVE);
  MUST (a.data_bytes <= sizeof a.data);
  want_put (&out, &a);
  w = wire_init (body, out.used_bytes);
  MUST (!out.err && !want_take (&w, &b) && !wire_end (&w));
  MUST (a.port == b.port && a.data_bytes == b.data_bytes
        && strcmp (a.host, b.host) == 0
        && memcmp (a.data, b.data, a.data_bytes) == 0);
}

static void
given (const uint8_t *data, size_t size)
{
  struct wire w = wire_init (data, size);
  struct proto_given a, b;
  uint8_t body[4096];
  struct wirebuf out = wirebuf_init (body, sizeof body);

  if (given_take (&w, &a))
    return;
  MUST (a.data_bytes <= sizeof a.data
        && a.challenge_bytes <= sizeof a.challenge);
  given_put (&out, &a);
  w = wire_init (body, out.used_bytes);
  MUST (!out.err && !given_take (&w, &b) && !wire_end (&w));
  MUST (a.error == b.error && strcmp (a.name, b.name) == 0
        && a.challenge_bytes == b.challenge_bytes);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (!size)
    return 0;
  if (data[0] == 'w' || data[0] == 'g') {
    (data[0] == 'w' ? want : given) (data + 1, size - 1);
    return 0;
  }
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
