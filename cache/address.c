/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/wire.h"
#include "ipc/volume.h"

#define ANSWER_MAGIC 0x62685231u /* "bhR1" */

enum { ANSWER_FAULT, ANSWER_LIST };

static size_t
family_bytes (int family)
{
  return family == AF_INET ? 4 : 16;
}

bool
address_parse (const char *text, struct address *ret)
{
  struct address a = {.family = AF_INET};

  if (inet_pton (AF_INET, text, a.bytes) != 1) {
    a.family = AF_INET6;
    if (inet_pton (AF_INET6, text, a.bytes) != 1)
      return false;
  }
  *ret = a;
  return true;
}

bool
address_from_sockaddr (const struct sockaddr *sa, struct address *ret)
{
  struct address a = {.family = sa->sa_family};

  if (sa->sa_family == AF_INET) {
    memcpy (a.bytes, &((const struct sockaddr_in *)sa)->sin_addr, 4);
  } else if (sa->sa_family == AF_INET6) {
    memcpy (a.bytes, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
    a.scope_id = ((const struct sockaddr_in6 *)sa)->sin6_scope_id;
  } else {
    return false;
  }
  *ret = a;
  return true;
}

socklen_t
address_to_sockaddr (const struct address *a, uint16_t port,
                     struct sockaddr_storage *ret)
{
  memset (ret, 0, sizeof *ret);
  if (a->family == AF_INET) {
    struct sockaddr_in *in = (struct sockaddr_in *)ret;

    in->sin_family = AF_INET;
    in->sin_port = htons (port);
    memcpy (&in->sin_addr, a->bytes, 4);
    return sizeof *in;
  }
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons (port);
  in6->sin6_scope_id = a->scope_id;
  memcpy (&in6->sin6_addr, a->bytes, 16);
  return sizeof *in6;
}

void
address_text (const struct address *a, uint16_t port,
              char dst[ADDRESS_TEXT_BYTES])
{
  char host[INET6_ADDRSTRLEN] = "?";

  inet_ntop (a->family, a->bytes, host, sizeof host);
  snprintf (dst, ADDRESS_TEXT_BYTES,
            a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
}

size_t
address_answer_put (const struct address_list *list, const struct fault *fault,
                    uint8_t dst[ADDRESS_ANSWER_BYTES])
{
  struct wirebuf b = wirebuf_init (dst, ADDRESS_ANSWER_BYTES);

  wirebuf_u32 (&b, ANSWER_MAGIC);
  if (fault) {
    wirebuf_u8 (&b, ANSWER_FAULT);
    fault_put (&b, fault);
    return b.used_bytes;
  }
  wirebuf_u8 (&b, ANSWER_LIST);
  wirebuf_u8 (&b, (uint8_t)list->count);
  for (unsigned i = 0; i < list->count; i++) {
    const struct address *a = &list->a[i];

    wirebuf_u8 (&b, a->family == AF_INET ? 4 : 6);
    wirebuf_bytes (&b, a->bytes, family_bytes (a->family));
    wirebuf_u32 (&b, a->scope_id);
  }
  return b.used_bytes;
}

static enum err
take_list (struct wire *w, struct address_list *ret)
{
  struct address_list list = {.count = wire_u8 (w)};

  if (list.count == 0 || list.count > ADDRESSES)
    return ERR_PEER;
  for (unsigned i = 0; i < list.count; i++) {
    struct address *a = &list.a[i];
    uint8_t version = wire_u8 (w);
    const uint8_t *p;

    if (version != 4 && version != 6)
      return ERR_PEER;
    a->family = version == 4 ? AF_INET : AF_INET6;
    p = wire_bytes (w, family_bytes (a->family));
    if (!p)
      return ERR_PEER;
    memcpy (a->bytes, p, family_bytes (a->family));
    a->scope_id = wire_u32 (w);
  }
  if (wire_end (w))
    return ERR_PEER;
  *ret = list;
  return ERR_OK;
}

enum err
address_answer_take (const uint8_t *bytes, size_t length_bytes,
                     struct address_list *ret, struct fault *f)
{
  struct wire w = wire_init (bytes, length_bytes);
  struct fault theirs;
  uint32_t magic = wire_u32 (&w);
  uint8_t kind = wire_u8 (&w);

  if (!w.err && magic == ANSWER_MAGIC) {
    if (kind == ANSWER_LIST && take_list (&w, ret) == ERR_OK)
      return ERR_OK;
    if (kind == ANSWER_FAULT && fault_take (&w, &theirs) == ERR_OK
        && wire_end (&w) == ERR_OK) {
      if (f)
        *f = theirs;
      return theirs.code;
    }
  }
  return fault_set (f, ERR_PEER, "the resolver helper gave no usable answer");
}
