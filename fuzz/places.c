/* SPDX-License-Identifier: BSD-2-Clause */
/* What the resolver answers (the first byte is 0 modulo 3), a list of places
 * (1), and where workers ask to be sent (2: u8 policy, then WANTs, u16 length
 * each).
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "cache/address.h"
#include "cache/place.h"
#include "ipc/want.h"

static void
answer (const uint8_t *data, size_t size)
{
  uint8_t again[ADDRESS_ANSWER_BYTES];
  struct address_list l, same;
  struct fault f = {0};
  char text[ADDRESS_TEXT_BYTES];
  struct sockaddr_storage ss;

  if (address_answer_take (data, size, &l, &f)) {
    MUST (f.text[0]);
    return;
  }
  MUST (l.count && l.count <= ADDRESSES);
  for (unsigned i = 0; i < l.count; i++) {
    struct address a;

    address_text (&l.a[i], 22, text);
    MUST (address_to_sockaddr (&l.a[i], 22, &ss) > 0);
    MUST (address_from_sockaddr ((const struct sockaddr *)&ss, &a)
          && a.family == l.a[i].family);
  }
  MUST (!address_answer_take (again, address_answer_put (&l, NULL, again),
                              &same, &f)
        && same.count == l.count);
}

static void
list (const uint8_t *data, size_t size)
{
  char text[PLACES * (PLACE_TEXT_BYTES + 1)], *copy = malloc (size + 1);
  struct place_list l, same;
  size_t at = 0;

  if (!copy)
    return;
  memcpy (copy, data, size);
  copy[size] = 0;
  if (!place_list_parse (copy, 3260, &l)) {
    MUST (l.count && l.count <= PLACES);
    for (unsigned i = 0; i < l.count; i++) {
      if (i)
        text[at++] = ',';
      MUST (place_host_check (l.place[i].host));
      place_text (&l.place[i], text + at);
      at += strlen (text + at);
    }
    MUST (!place_list_parse (text, 1, &same) && same.count == l.count);
    for (unsigned i = 0; i < l.count; i++)
      MUST (strcmp (same.place[i].host, l.place[i].host) == 0
            && same.place[i].port == l.place[i].port);
  }
  free (copy);
}

static void
moves (const uint8_t *data, size_t size)
{
  static const struct place home = {"san.example", 3260};
  static const struct address_list at
    = {1, {{.family = AF_INET, .bytes = {192, 0, 2, 7}}}};
  struct wire w = wire_init (data, size);
  struct place_policy policy = {0};
  struct place_list named;
  struct proto_want want;
  struct route r;
  uint8_t how = wire_u8 (&w);

  MUST (!place_list_parse ("b.example,192.0.2.9:1", 3260, &named));
  policy.moves = how & 1;
  policy.hosts = how & 2;
  policy.any = how & 4;
  policy.allowed = named;
  route_init (&r, &home);
  for (unsigned i = 0; how & 8 && i < named.count; i++)
    route_add_home (&r, &named.place[i]);
  while (wire_left (&w)) {
    size_t n = wire_u16 (&w);
    const uint8_t *bytes;
    struct place before = r.now;
    struct wire one;
    struct fault f = {0};

    if (n > wire_left (&w))
      n = wire_left (&w);
    bytes = wire_bytes (&w, n);
    if (!bytes)
      return;
    one = wire_init (bytes, n);
    if (want_take (&one, &want))
      return;
    if (route_move (&r, &policy, &named, &at, &want, &f)) {
      MUST (f.text[0]);
      route_failed (&r);
    } else {
      MUST (policy.moves
            || (r.now.port == before.port
                && strcmp (r.now.host, before.host) == 0));
      MUST (place_host_check (r.now.host) && r.now.port);
      MUST (r.moved_bytes <= PROTO_WANT_BYTES && r.moves <= ROUTE_MOVES);
    }
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (!size)
    return 0;
  switch (data[0] % 3) {
  case 0:
    answer (data + 1, size - 1);
    break;
  case 1:
    list (data + 1, size - 1);
    break;
  default:
    moves (data + 1, size - 1);
  }
  return 0;
}
