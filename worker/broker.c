/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/broker.h"

#include <string.h>

#include "common/clock.h"
#include "worker/transport.h"

#define SEND_TIMEOUT_NS 5000000000ull

static enum err
gone (struct fault *f, enum err e)
{
  if (e == ERR_TIMEOUT)
    return fault_set (f, e, "bulkheadd did not answer in time");
  if (e == ERR_CLOSED)
    return fault_set (f, ERR_SHUTDOWN, "bulkheadd is gone");
  return fault_set (f, e, "bulkheadd: %s", err_text (e));
}

static enum err
broke_protocol (struct fault *f, uint16_t type)
{
  return fault_set (f, ERR_PEER, "bulkheadd sent an unexpected or malformed %s",
                    control_type_name (type));
}

static enum err
tell (struct broker *b, const struct wirebuf *body, struct fault *f)
{
  enum err e = control_tell (b->fd, &b->message, body, SEND_TIMEOUT_NS);

  return e ? gone (f, e) : ERR_OK;
}

static enum err
hear (struct broker *b, uint64_t deadline_ns, struct fault *f)
{
  uint64_t now_ns = clock_now_ns ();
  enum err e;

  if (now_ns >= deadline_ns)
    return gone (f, ERR_TIMEOUT);
  e = control_hear (b->fd, &b->message, deadline_ns - now_ns);
  return e ? gone (f, e) : ERR_OK;
}

static struct wire
body_of (const struct broker *b)
{
  return wire_init (b->message.body, b->message.length_bytes);
}

enum err
broker_config (struct broker *b, struct broker_config *ret,
               uint64_t deadline_ns, struct fault *f)
{
  enum err e = hear (b, deadline_ns, f);
  const uint8_t *moved;
  struct wire w;

  if (e)
    return e;
  w = body_of (b);
  if (b->message.type != CONTROL_CONFIG)
    return broke_protocol (f, b->message.type);
  ret->epoch = wire_u64 (&w);
  ret->path = wire_u8 (&w);
  ret->lanes = wire_u8 (&w);
  ret->lanes_wanted = wire_u8 (&w);
  if (ret->lanes < 1 || ret->lanes > PROTO_LANES_MAX || ret->lanes_wanted < 1
      || ret->lanes_wanted > PROTO_LANES_MAX)
    return broke_protocol (f, b->message.type);
  if (volume_spec_take (&w, 0, &ret->spec))
    return broke_protocol (f, b->message.type);
  wire_cstring (&w, ret->hostkey_algs, sizeof ret->hostkey_algs);
  moved = wire_string (&w, sizeof ret->moved, &ret->moved_bytes);
  if (moved)
    memcpy (ret->moved, moved, ret->moved_bytes);
  ret->tls = wire_u8 (&w);
  wire_cstring (&w, ret->tls_name, sizeof ret->tls_name);
  wire_cstring (&w, ret->tls_chain, sizeof ret->tls_chain);
  return wire_end (&w) ? broke_protocol (f, b->message.type) : ERR_OK;
}

enum err
broker_sealed (struct broker *b, uint32_t layers, struct fault *f)
{
  struct wirebuf body;

  control_begin (&b->message, CONTROL_SEALED);
  body = control_body (&b->message);
  wirebuf_u32 (&body, layers);
  return tell (b, &body, f);
}

enum err
broker_hostkey (struct broker *b, const void *blob, size_t blob_bytes,
                uint64_t deadline_ns, struct fault *f)
{
  struct wirebuf body;
  enum err e;

  control_begin (&b->message, CONTROL_HOSTKEY);
  body = control_body (&b->message);
  wirebuf_string (&body, blob, blob_bytes);
  if (body.err)
    return fault_set (f, ERR_PEER, "the server's host key is too long");
  if ((e = tell (b, &body, f)) || (e = hear (b, deadline_ns, f)))
    return e;
  return b->message.type == CONTROL_HOSTKEY_OK
             && b->message.length_bytes == 0
           ? ERR_OK
           : broke_protocol (f, b->message.type);
}

static enum err
take_offer (struct broker *b, struct broker_offer *ret, struct fault *f)
{
  struct wire w = body_of (b);
  const uint8_t *key;

  switch (b->message.type) {
  case CONTROL_AUTH_KEY:
    ret->kind = BROKER_KEY;
    wire_cstring (&w, ret->algorithm, sizeof ret->algorithm);
    key = wire_string (&w, sizeof ret->key, &ret->key_bytes);
    if (key)
      memcpy (ret->key, key, ret->key_bytes);
    break;
  case CONTROL_AUTH_PASSWORD:
    ret->kind = BROKER_PASSWORD;
    wire_cstring (&w, ret->password, sizeof ret->password);
    break;
  case CONTROL_AUTH_NONE:
    if (fault_take (&w, f) || wire_end (&w))
      return broke_protocol (f, b->message.type);
    return f->code;
  default:
    return broke_protocol (f, b->message.type);
  }
  return wire_end (&w) ? broke_protocol (f, b->message.type) : ERR_OK;
}

enum err
broker_auth (struct broker *b, const char *methods, struct broker_offer *ret,
             uint64_t deadline_ns, struct fault *f)
{
  struct wirebuf body;
  enum err e;

  control_begin (&b->message, CONTROL_AUTH);
  body = control_body (&b->message);
  wirebuf_cstring (&body, methods);
  if ((e = tell (b, &body, f)) || (e = hear (b, deadline_ns, f)))
    return e;
  e = take_offer (b, ret, f);
  explicit_bzero (b->message.body, b->message.length_bytes);
  return e;
}

void
broker_offer_wipe (struct broker_offer *o)
{
  explicit_bzero (o, sizeof *o);
}

/* Sends what was built, and takes the signature that is the answer. */
static enum err
ask_signature (struct broker *b, const struct wirebuf *body,
               enum control_type answer, uint8_t *dst, size_t *ret_bytes,
               uint64_t deadline_ns, struct fault *f)
{
  struct wire w;
  const uint8_t *signature;
  size_t n;
  enum err e;

  if ((e = tell (b, body, f)) || (e = hear (b, deadline_ns, f)))
    return e;
  w = body_of (b);
  signature = wire_string (&w, BROKER_SIGNATURE_BYTES, &n);
  if (b->message.type != answer || wire_end (&w))
    return broke_protocol (f, b->message.type);
  if (n == 0)
    return ERR_AUTH;
  memcpy (dst, signature, n);
  *ret_bytes = n;
  return ERR_OK;
}

enum err
broker_sign (struct broker *b, const void *data, size_t data_bytes,
             uint8_t *dst, size_t *ret_bytes, uint64_t deadline_ns,
             struct fault *f)
{
  struct wirebuf body;

  control_begin (&b->message, CONTROL_SIGN);
  body = control_body (&b->message);
  wirebuf_string (&body, data, data_bytes);
  return ask_signature (b, &body, CONTROL_SIGNATURE, dst, ret_bytes,
                        deadline_ns, f);
}

enum err
broker_cert_sign (struct broker *b, uint16_t scheme, const void *content,
                  size_t content_bytes, uint8_t *dst, size_t *ret_bytes,
                  uint64_t deadline_ns, struct fault *f)
{
  struct wirebuf body;

  control_begin (&b->message, CONTROL_CERT_SIGN);
  body = control_body (&b->message);
  wirebuf_u16 (&body, scheme);
  wirebuf_string (&body, content, content_bytes);
  return ask_signature (b, &body, CONTROL_CERT_SIGNATURE, dst, ret_bytes,
                        deadline_ns, f);
}

enum err
broker_want (struct broker *b, const struct proto_want *w, struct fault *f)
{
  struct wirebuf body;

  control_begin (&b->message, CONTROL_WANT);
  body = control_body (&b->message);
  want_put (&body, w);
  return tell (b, &body, f);
}

enum err
broker_ready (struct broker *b, const struct volume_info *info,
              struct fault *f)
{
  struct wirebuf body;

  control_begin (&b->message, CONTROL_READY);
  body = control_body (&b->message);
  volume_info_put (&body, info);
  return tell (b, &body, f);
}

void
broker_fail (struct broker *b, const struct fault *f)
{
  struct wirebuf body;

  control_begin (&b->message, CONTROL_FAIL);
  body = control_body (&b->message);
  fault_put (&body, f);
  (void)tell (b, &body, NULL);
}
