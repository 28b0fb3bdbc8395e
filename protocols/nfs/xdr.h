/* SPDX-License-Identifier: BSD-2-Clause */
/* XDR (RFC 4506) on the bounded cursors of common/wire.h.
 *
 * Reading: the first field that is missing, too long or impossible is noted
 * with the name that its reader gave it, such as "READ3resok.count, RFC 1813
 * §3.3.6"; from there on everything reads as zero. So a decoder reads all
 * its fields, then asks once (xdr_fault). Every length is bounded by the
 * protocol's own limit, which the reader of the field gives.
 *
 * A cursor owns nothing and copies nothing.
 */
#ifndef BH_PROTOCOLS_NFS_XDR_H
#define BH_PROTOCOLS_NFS_XDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/wire.h"

struct xdr {
  struct wire w;
  const char *bad;   /* the field that broke it; NULL: none yet */
  size_t lack_bytes; /* > 0: it broke because so many bytes are not there */
};

static inline struct xdr
xdr_init (const void *bytes, size_t length_bytes)
{
  return (struct xdr){wire_init (bytes, length_bytes), NULL, 0};
}

/* §4.1 … §4.5 */
uint32_t
xdr_u32 (struct xdr *x, const char *field);
uint64_t
xdr_u64 (struct xdr *x, const char *field);
/* §4.4: anything but 0 and 1 is an error. */
bool
xdr_bool (struct xdr *x, const char *field);
/* §4.9: opaque[length_bytes], with its padding; NULL when broken. */
const uint8_t *
xdr_fixed (struct xdr *x, size_t length_bytes, const char *field);
/* What fills an opaque of length_bytes up, where its bytes went elsewhere. */
void
xdr_padding_of (struct xdr *x, size_t length_bytes, const char *field);
/* §4.10, §4.11: opaque<max_bytes>, string<max_bytes>. */
const uint8_t *
xdr_opaque (struct xdr *x, size_t max_bytes, size_t *ret_length_bytes,
            const char *field);
/* A string<> into a NUL-terminated buffer; one that does not fit or has a NUL
 * inside is an error, dst is then "".
 */
void
xdr_cstring (struct xdr *x, char *dst, size_t dst_bytes, const char *field);
/* §4.13: how many elements follow, at most max. */
uint32_t
xdr_count (struct xdr *x, uint32_t max, const char *field);

/* The decoder's own objection to a value that it has read. */
void
xdr_reject (struct xdr *x, const char *field);
/* Nothing may be left; if something is, field is what is blamed. */
void
xdr_end (struct xdr *x, const char *field);
/* ERR_OK, or ERR_PEER with "the server's answer to WHAT is …" in f. */
enum err
xdr_fault (const struct xdr *x, const char *what, struct fault *f);

/* Bytes that fill up to a multiple of four. */
static inline size_t
xdr_padding (size_t length_bytes)
{
  return (4 - (length_bytes & 3)) & 3;
}

/* Writing: wirebuf_u32 and wirebuf_u64 as they are, and these. */
void
xdr_put_bool (struct wirebuf *b, bool v);
/* opaque[]: bytes and padding. */
void
xdr_put_fixed (struct wirebuf *b, const void *bytes, size_t length_bytes);
/* opaque<>, string<>: length, bytes and padding. */
void
xdr_put_opaque (struct wirebuf *b, const void *bytes, size_t length_bytes);
void
xdr_put_cstring (struct wirebuf *b, const char *s);

#endif
