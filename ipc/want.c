/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/want.h"

#include <string.h>

static size_t
take_data (struct wire *w, uint8_t dst[PROTO_WANT_BYTES])
{
  size_t n = 0;
  const uint8_t *p = wire_string (w, PROTO_WANT_BYTES, &n);

  if (!p)
    return 0;
  memcpy (dst, p, n);
  return n;
}

static enum proto_want_type
take_type (struct wire *w)
{
  uint8_t type = wire_u8 (w);

  return type <= PROTO_WANT_MOVE ? (enum proto_want_type)type
                                 : PROTO_WANT_NOTHING;
}

void
want_put (struct wirebuf *b, const struct proto_want *w)
{
  wirebuf_u8 (b, (uint8_t)w->type);
  wirebuf_u8 (b, w->algorithm);
  wirebuf_u8 (b, w->id);
  wirebuf_u8 (b, w->mutual);
  wirebuf_u16 (b, w->port);
  wirebuf_u8 (b, w->lanes);
  wirebuf_cstring (b, w->name);
  wirebuf_cstring (b, w->host);
  wirebuf_cstring (b, w->why);
  wirebuf_string (b, w->data, w->data_bytes);
}

enum err
want_take (struct wire *w, struct proto_want *ret)
{
  struct proto_want n = {.type = take_type (w)};

  n.algorithm = wire_u8 (w);
  n.id = wire_u8 (w);
  n.mutual = wire_u8 (w);
  n.port = wire_u16 (w);
  n.lanes = wire_u8 (w);
  wire_cstring (w, n.name, sizeof n.name);
  wire_cstring (w, n.host, sizeof n.host);
  wire_cstring (w, n.why, sizeof n.why);
  n.data_bytes = take_data (w, n.data);
  if (w->err || n.type == PROTO_WANT_NOTHING || n.lanes > PROTO_LANES_MAX)
    return ERR_PEER;
  *ret = n;
  return ERR_OK;
}

void
given_put (struct wirebuf *b, const struct proto_given *g)
{
  wirebuf_u8 (b, (uint8_t)g->type);
  wirebuf_u32 (b, (uint32_t) - (int)g->error);
  wirebuf_u8 (b, g->id);
  wirebuf_cstring (b, g->name);
  wirebuf_string (b, g->data, g->data_bytes);
  wirebuf_string (b, g->challenge, g->challenge_bytes);
}

enum err
given_take (struct wire *w, struct proto_given *ret)
{
  struct proto_given g = {.type = take_type (w)};
  uint32_t code = wire_u32 (w);

  g.id = wire_u8 (w);
  wire_cstring (w, g.name, sizeof g.name);
  g.data_bytes = take_data (w, g.data);
  g.challenge_bytes = take_data (w, g.challenge);
  if (w->err || g.type == PROTO_WANT_NOTHING || code >= ERR_COUNT)
    return ERR_PEER;
  g.error = (enum err) - (int)code;
  *ret = g;
  return ERR_OK;
}
