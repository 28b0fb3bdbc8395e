/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/xdr.h"

#include <string.h>

void
xdr_reject (struct xdr *x, const char *field)
{
  if (!x->bad) {
    x->bad = field;
    x->w.err = ERR_PEER;
  }
}

static const uint8_t *
take (struct xdr *x, size_t length_bytes, const char *field)
{
  size_t left = wire_left (&x->w);

  if (x->bad)
    return NULL;
  if (length_bytes > left) {
    x->lack_bytes = length_bytes - left;
    xdr_reject (x, field);
    return NULL;
  }
  return wire_bytes (&x->w, length_bytes);
}

uint32_t
xdr_u32 (struct xdr *x, const char *field)
{
  const uint8_t *p = take (x, 4, field);

  return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
                 | p[3]
           : 0;
}

uint64_t
xdr_u64 (struct xdr *x, const char *field)
{
  uint64_t hi = xdr_u32 (x, field);
  uint64_t lo = xdr_u32 (x, field);

  return x->bad ? 0 : hi << 32 | lo;
}

bool
xdr_bool (struct xdr *x, const char *field)
{
  uint32_t v = xdr_u32 (x, field);

  if (v > 1)
    xdr_reject (x, field);
  return v == 1;
}

const uint8_t *
xdr_fixed (struct xdr *x, size_t length_bytes, const char *field)
{
  if (length_bytes > SIZE_MAX - 3) {
    xdr_reject (x, field);
    return NULL;
  }
  return take (x, length_bytes + xdr_padding (length_bytes), field);
}

void
xdr_padding_of (struct xdr *x, size_t length_bytes, const char *field)
{
  take (x, xdr_padding (length_bytes), field);
}

const uint8_t *
xdr_opaque (struct xdr *x, size_t max_bytes, size_t *ret_length_bytes,
            const char *field)
{
  uint32_t length_bytes = xdr_count (
      x, max_bytes < UINT32_MAX ? (uint32_t)max_bytes : UINT32_MAX, field);
  const uint8_t *p = xdr_fixed (x, length_bytes, field);

  *ret_length_bytes = p ? length_bytes : 0;
  return p;
}

void
xdr_cstring (struct xdr *x, char *dst, size_t dst_bytes, const char *field)
{
  size_t n;
  const uint8_t *p = xdr_opaque (x, dst_bytes - 1, &n, field);

  if (p && memchr (p, 0, n)) {
    xdr_reject (x, field);
    p = NULL;
  }
  if (p)
    memcpy (dst, p, n);
  dst[p ? n : 0] = 0;
}

uint32_t
xdr_count (struct xdr *x, uint32_t max, const char *field)
{
  uint32_t n = xdr_u32 (x, field);

  if (n <= max)
    return n;
  xdr_reject (x, field);
  return 0;
}

void
xdr_end (struct xdr *x, const char *field)
{
  if (!x->bad && wire_left (&x->w) > 0)
    xdr_reject (x, field);
}

enum err
xdr_fault (const struct xdr *x, const char *what, struct fault *f)
{
  if (!x->bad)
    return ERR_OK;
  return fault_set (f, ERR_PEER, "the server's answer to %s is %s (field %s)",
                    what, x->lack_bytes ? "cut short" : "broken", x->bad);
}

void
xdr_put_bool (struct wirebuf *b, bool v)
{
  wirebuf_u32 (b, v);
}

void
xdr_put_fixed (struct wirebuf *b, const void *bytes, size_t length_bytes)
{
  static const uint8_t zero[4];

  wirebuf_bytes (b, bytes, length_bytes);
  wirebuf_bytes (b, zero, xdr_padding (length_bytes));
}

void
xdr_put_opaque (struct wirebuf *b, const void *bytes, size_t length_bytes)
{
  wirebuf_u32 (b, (uint32_t)length_bytes);
  xdr_put_fixed (b, bytes, length_bytes);
}

void
xdr_put_cstring (struct wirebuf *b, const char *s)
{
  xdr_put_opaque (b, s, strlen (s));
}
