/* SPDX-License-Identifier: BSD-2-Clause */
/* READ_PLUS (RFC 7862 §15.10): a READ whose answer names holes instead of
 * sending their zeroes.
 *
 * When. Only where it can pay: the server has it, the file had a hole in it
 * when it was opened (both found by trying), and the READ is not small, as a
 * hole saves its bytes on the wire, and looking for it costs the server two
 * seeks on its disk. Of WATCHED answers none of which had a hole in it the file
 * is dense where it is read now, and plain READs are sent for a while.
 * ARCHITECTURE.md has what was measured.
 *
 * What an answer may say: segments in order, each from where the last one
 * ended, the first one from where was asked or, for a hole, before it. A hole
 * may go on behind what was asked for; data may not. Anything else is a lie, or
 * a server that has READ_PLUS wrong: the session ends, and the next one does
 * without it. (NFS-Ganesha 4.3 is one, with the offsets of its segments.)
 *
 * The first segment of data is received in its place, as a READ's are; what of
 * others there is comes with the answer, and is copied.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define LEAST_BYTES (16u * 1024)
#define WATCHED 32u
#define PLAIN_READS 512u

bool
v4_plus_pays (const struct nfs *n, const struct nfs_piece *p)
{
  const struct v4 *v = v4_of (n);

  return p->op == IO_READ && (v->memory.caps & V4_CAN_READ_PLUS)
         && p->length >= LEAST_BYTES && v->plain_reads == 0;
}

/* A READ's answer was whole; holes: READ_PLUS's, else -1. */
void
v4_plus_watch (struct v4 *v, int holes)
{
  if (holes < 0) {
    if (v->plain_reads > 0)
      v->plain_reads--;
    return;
  }
  v->without_holes = holes > 0 ? 0 : v->without_holes + 1;
  if (v->without_holes >= WATCHED) {
    v->without_holes = 0;
    v->plain_reads = PLAIN_READS;
  }
}

void
v4_plus_distrust (struct nfs *n)
{
  struct v4 *v = v4_of (n);

  v->memory.caps = (v->memory.caps & ~V4_CAN_READ_PLUS) | V4_NO_READ_PLUS;
  v4_memory_store (n);
}

/* What of a segment is within the piece, as from *at of it on; it has to be the
 * next one. False, with a rejected answer: it is not.
 */
static bool
place (struct v4_answer *a, const struct nfs_piece *p,
       const struct v4_segment *s, uint32_t at, uint32_t *ret_bytes)
{
  uint64_t next = p->offset + at, end;

  if (a->x->bad)
    return false;
  if (__builtin_add_overflow (s->offset, s->length, &end)) {
    xdr_reject (a->x, "read_plus_content: behind the end of all offsets, RFC "
                      "7862 §15.10.3");
    return false;
  }
  if (s->hole && at == 0 ? s->offset > next || end <= next
                         : s->offset != next || end == next) {
    xdr_reject (a->x, "read_plus_content: it does not begin where the one "
                      "before it has ended, RFC 7862 §15.10.3");
    return false;
  }
  if (at == p->length || (!s->hole && end > p->offset + p->length)) {
    xdr_reject (a->x, "read_plus_content: beyond what was asked for, RFC 7862 "
                      "§15.10.3");
    return false;
  }
  if (end > p->offset + p->length)
    end = p->offset + p->length;
  *ret_bytes = (uint32_t)(end - next);
  return true;
}

/* Up to the first segment of data. */
void
v4_plus_locate (struct v4_answer *a, const struct nfs_piece *p,
                struct nfs_located *ret)
{
  uint32_t segments, at = 0, bytes;
  struct v4_segment s;
  bool eof;

  v4_get_read_plus (a, &eof, &segments);
  for (uint32_t i = 0; i < segments && !a->x->bad; i++) {
    v4_get_segment (a, &s);
    if (!place (a, p, &s, at, &bytes))
      return;
    if (!s.hole) {
      *ret = (struct nfs_located){true, at, bytes};
      return;
    }
    at += bytes;
  }
}

/* The whole answer; payload_bytes of the first data are in their place. */
void
v4_plus_take (struct v4_answer *a, const struct nfs_piece *p, bool located,
              uint32_t payload_bytes, bool *ret_eof, uint32_t *ret_count,
              uint32_t *ret_holes)
{
  uint32_t segments, at = 0, bytes;
  bool first = located;
  struct v4_segment s;
  const uint8_t *data;

  *ret_holes = 0;
  v4_get_read_plus (a, ret_eof, &segments);
  for (uint32_t i = 0; i < segments && !a->x->bad; i++) {
    v4_get_segment (a, &s);
    if (!place (a, p, &s, at, &bytes))
      return;
    if (s.hole) {
      memset (p->data + at, 0, bytes);
      ++*ret_holes;
    } else if (first) {
      assert (bytes == payload_bytes);
      xdr_padding_of (a->x, bytes, "data4.d_data: padding, RFC 4506 §4.10");
      first = false;
    } else {
      data = xdr_fixed (a->x, bytes, "data4.d_data, RFC 7862 §15.10.2");
      if (data)
        memcpy (p->data + at, data, bytes);
    }
    at += bytes;
  }
  *ret_count = at;
}
