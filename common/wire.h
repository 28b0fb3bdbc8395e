/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounded cursors over big-endian bytes: `struct wire` reads, `struct wirebuf`
 * writes. Both have a sticky error: after the first overrun every read returns
 * zero and every write does nothing, so that a decoder checks once, at its end.
 *
 * A cursor owns nothing; the bytes must outlive it and must not change under
 * it: what lies in memory that another process can write is copied first.
 */
#ifndef BH_COMMON_WIRE_H
#define BH_COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"

struct wire {
  const uint8_t *p;
  const uint8_t *end;
  enum err err; /* ERR_OK or ERR_PEER */
};

static inline struct wire
wire_init (const void *bytes, size_t length_bytes)
{
  return (struct wire){bytes, (const uint8_t *)bytes + length_bytes, ERR_OK};
}

static inline size_t
wire_left (const struct wire *w)
{
  return w->err ? 0 : (size_t)(w->end - w->p);
}

/* length_bytes bytes inside the buffer, or NULL with the error set. */
static inline const uint8_t *
wire_bytes (struct wire *w, size_t length_bytes)
{
  const uint8_t *p = w->p;

  if (w->err || length_bytes > (size_t)(w->end - w->p)) {
    w->err = ERR_PEER;
    return NULL;
  }
  w->p += length_bytes;
  return p;
}

static inline uint8_t
wire_u8 (struct wire *w)
{
  const uint8_t *p = wire_bytes (w, 1);

  return p ? p[0] : 0;
}

static inline uint16_t
wire_u16 (struct wire *w)
{
  const uint8_t *p = wire_bytes (w, 2);

  return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t
wire_u32 (struct wire *w)
{
  const uint8_t *p = wire_bytes (w, 4);

  return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
               | p[3]
           : 0;
}

static inline uint64_t
wire_u64 (struct wire *w)
{
  uint64_t hi = wire_u32 (w);

  return hi << 32 | wire_u32 (w);
}

/* A u32 length and as many bytes: the string of SSH (RFC 4251 §5) and of our
 * control messages. Returns NULL with the error set if it is longer than
 * max_bytes or than what is left; *ret_length_bytes is then 0.
 */
static inline const uint8_t *
wire_string (struct wire *w, size_t max_bytes, size_t *ret_length_bytes)
{
  uint32_t length_bytes = wire_u32 (w);
  const uint8_t *p;

  *ret_length_bytes = 0;
  if (length_bytes > max_bytes)
    w->err = ERR_PEER;
  p = wire_bytes (w, length_bytes);
  if (p)
    *ret_length_bytes = length_bytes;
  return p;
}

/* The same into a NUL-terminated buffer. A string with a NUL inside, or one
 * that does not fit with its terminator, is an error; dst is then "".
 */
static inline void
wire_cstring (struct wire *w, char *dst, size_t dst_bytes)
{
  size_t n;
  const uint8_t *p = wire_string (w, dst_bytes - 1, &n);

  if (p && memchr (p, 0, n)) {
    w->err = ERR_PEER;
    p = NULL;
  }
  if (!p)
    n = 0;
  else
    memcpy (dst, p, n);
  dst[n] = 0;
}

/* Ends a decoder: an error, or bytes left over, is ERR_PEER. */
static inline enum err
wire_end (const struct wire *w)
{
  return w->err || w->p != w->end ? ERR_PEER : ERR_OK;
}

struct wirebuf {
  uint8_t *base;
  size_t used_bytes;
  size_t size_bytes;
  enum err err; /* ERR_OK or ERR_LIMIT */
};

static inline struct wirebuf
wirebuf_init (void *base, size_t size_bytes)
{
  return (struct wirebuf){base, 0, size_bytes, ERR_OK};
}

/* Room for length_bytes bytes that the caller fills, or NULL. */
static inline uint8_t *
wirebuf_room (struct wirebuf *b, size_t length_bytes)
{
  uint8_t *p = b->base + b->used_bytes;

  if (b->err || length_bytes > b->size_bytes - b->used_bytes) {
    b->err = ERR_LIMIT;
    return NULL;
  }
  b->used_bytes += length_bytes;
  return p;
}

static inline void
wirebuf_bytes (struct wirebuf *b, const void *bytes, size_t length_bytes)
{
  uint8_t *p = wirebuf_room (b, length_bytes);

  if (p && length_bytes)
    memcpy (p, bytes, length_bytes);
}

static inline void
wirebuf_u8 (struct wirebuf *b, uint8_t v)
{
  wirebuf_bytes (b, &v, 1);
}

static inline void
wirebuf_u16 (struct wirebuf *b, uint16_t v)
{
  wirebuf_bytes (b, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

static inline void
wirebuf_u32 (struct wirebuf *b, uint32_t v)
{
  wirebuf_bytes (b,
                 (uint8_t[]){(uint8_t)(v >> 24), (uint8_t)(v >> 16),
                             (uint8_t)(v >> 8), (uint8_t)v},
                 4);
}

static inline void
wirebuf_u64 (struct wirebuf *b, uint64_t v)
{
  wirebuf_u32 (b, (uint32_t)(v >> 32));
  wirebuf_u32 (b, (uint32_t)v);
}

static inline void
wirebuf_string (struct wirebuf *b, const void *bytes, size_t length_bytes)
{
  wirebuf_u32 (b, (uint32_t)length_bytes);
  wirebuf_bytes (b, bytes, length_bytes);
}

static inline void
wirebuf_cstring (struct wirebuf *b, const char *s)
{
  wirebuf_string (b, s, strlen (s));
}

#endif
