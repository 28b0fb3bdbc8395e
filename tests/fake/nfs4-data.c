/* SPDX-License-Identifier: BSD-2-Clause */
/* Content: READ and WRITE, holes, lists. */
#include "config.h"
#include "tests/fake/nfs4-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u

uint32_t
fake4_read_file (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = fake4_get_stateid (r);
  uint64_t offset = wire_u64 (&r->in);
  uint32_t count = wire_u32 (&r->in);

  if (fake4_is_gone (r))
    return MOVED;
  if (!good)
    return BAD_STATEID;
  if (offset > s->size)
    offset = s->size;
  if (count > s->size - offset)
    count = (uint32_t)(s->size - offset);
  wirebuf_u32 (r->out, OK);
  wirebuf_u32 (r->out, offset + count == s->size);
  fake4_put_opaque (r->out, s->content + offset, count);
  return OK;
}

uint32_t
fake4_write_file (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = fake4_get_stateid (r);
  uint64_t offset = wire_u64 (&r->in);
  uint32_t stable = wire_u32 (&r->in);
  size_t n;
  const uint8_t *p = fake4_get_opaque (&r->in, &n);

  if (!good)
    return BAD_STATEID;
  if ((n == 0 && s->no_empty_write) || !p || offset > s->size
      || n > s->size - offset)
    return INVAL;
  if (s->write == FAKE4_WRITE_NONE)
    n = 0;
  if (s->write == FAKE4_WRITE_WEAKER)
    stable = 0;
  memcpy (s->content + offset, p, n);
  if (stable == 2)
    memcpy (s->committed + offset, p, n);
  wirebuf_u32 (r->out, OK);
  wirebuf_u32 (r->out, (uint32_t)n + (s->write == FAKE4_WRITE_MORE));
  wirebuf_u32 (r->out, s->write == FAKE4_WRITE_HOW ? 3 : stable);
  wirebuf_u64 (r->out, s->boot);
  return OK;
}

uint32_t
fake4_commit (struct run *r)
{
  wire_u64 (&r->in);
  wire_u32 (&r->in);
  memcpy (r->s->committed, r->s->content, r->s->size);
  wirebuf_u32 (r->out, OK);
  wirebuf_u64 (r->out, r->s->boot);
  return OK;
}

/* Of the size alone. */
uint32_t
fake4_setattr (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = fake4_get_stateid (r);
  uint32_t words = wire_u32 (&r->in), mask = wire_u32 (&r->in);
  uint32_t bytes = wire_u32 (&r->in);
  uint64_t size = wire_u64 (&r->in);

  if (!good)
    return BAD_STATEID;
  if (words != 1 || mask != 1u << 4 || bytes != 8 || r->in.err)
    return INVAL;
  if (!s->ignores_setattr) {
    s->content = realloc (s->content, size);
    s->committed = realloc (s->committed, size);
    if (size > s->size) {
      memset (s->content + s->size, 0, size - s->size);
      memset (s->committed + s->size, 0, size - s->size);
    }
    s->size = size;
    s->change++;
  }
  wirebuf_u32 (r->out, OK);
  wirebuf_u32 (r->out, 1);
  wirebuf_u32 (r->out, mask);
  return OK;
}

static bool
is_hole (const struct fake_nfs4 *s, uint64_t offset)
{
  offset -= offset % BLOCK;
  for (unsigned i = 0; i < BLOCK && offset + i < s->size; i++)
    if (s->content[offset + i])
      return false;
  return true;
}

static void
put_segment (struct run *r, bool hole, uint64_t offset, uint64_t length)
{
  wirebuf_u32 (r->out, hole);
  wirebuf_u64 (r->out, offset);
  if (hole)
    wirebuf_u64 (r->out, length);
  else
    fake4_put_opaque (r->out, r->s->content + offset, (size_t)length);
}

static void
put_lie (struct run *r, uint64_t offset, uint32_t count)
{
  static const uint32_t segments[FAKE4_LIES] = {
      [FAKE4_OVERLAP] = 2,     [FAKE4_GAP] = 2,
      [FAKE4_DATA_BEYOND] = 1, [FAKE4_DATA_BEFORE] = 1,
      [FAKE4_MORE] = 2,        [FAKE4_TYPE] = 1,
      [FAKE4_HOLE_BEFORE] = 1, [FAKE4_HOLE_EMPTY] = 1,
      [FAKE4_HOLE_WRAPS] = 1,  [FAKE4_ENDLESS] = UINT32_MAX,
      [FAKE4_SHORT] = 1};
  enum fake4_lie lie = r->s->lie;

  wirebuf_u32 (r->out, lie == FAKE4_END || lie == FAKE4_SHORT);
  wirebuf_u32 (r->out, segments[lie]);
  switch (lie) {
  case FAKE4_OVERLAP:
  case FAKE4_GAP:
    put_segment (r, false, offset, 4096);
    put_segment (r, true, offset + (lie == FAKE4_GAP ? 8192 : 2048), count);
    break;
  case FAKE4_DATA_BEYOND:
    put_segment (r, false, offset, count + 4);
    break;
  case FAKE4_DATA_BEFORE:
    put_segment (r, false, offset - 4, count);
    break;
  case FAKE4_MORE:
    put_segment (r, true, offset, count);
    put_segment (r, true, offset + count, 4096);
    break;
  case FAKE4_TYPE:
    wirebuf_u32 (r->out, 2);
    wirebuf_u64 (r->out, offset);
    wirebuf_u64 (r->out, count);
    break;
  case FAKE4_HOLE_BEFORE:
    put_segment (r, true, 0, offset);
    break;
  case FAKE4_HOLE_EMPTY:
    put_segment (r, true, offset, 0);
    break;
  case FAKE4_HOLE_WRAPS:
    put_segment (r, true, offset, UINT64_MAX);
    break;
  case FAKE4_SHORT:
    put_segment (r, false, offset, count / 2);
    break;
  case FAKE4_HONEST:
  case FAKE4_ENDLESS:
  case FAKE4_NOTHING:
  case FAKE4_END:
    break;
  }
}

uint32_t
fake4_read_plus (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = fake4_get_stateid (r);
  uint64_t offset = wire_u64 (&r->in), at;
  uint32_t count = wire_u32 (&r->in), segments = 0;
  uint8_t *patched;

  if (!s->read_plus)
    return NOTSUPP;
  if (!good)
    return BAD_STATEID;
  wirebuf_u32 (r->out, OK);
  if (s->lie && count > BLOCK) {
    put_lie (r, offset, count);
    return OK;
  }
  if (count > s->size - offset)
    count = (uint32_t)(s->size - offset);
  wirebuf_u32 (r->out, offset + count == s->size);
  patched = r->out->base + r->out->used_bytes;
  wirebuf_u32 (r->out, 0);
  for (at = offset; at < offset + count; segments++) {
    bool hole = is_hole (s, at);
    uint64_t from = at, to = at;

    while (to < s->size && is_hole (s, to) == hole)
      to += BLOCK - to % BLOCK;
    if (hole) /* in its entirety (§15.10.3) */
      while (from >= BLOCK && is_hole (s, from - 1))
        from = (from - 1) - (from - 1) % BLOCK;
    else if (to > offset + count)
      to = offset + count;
    /* the first segment may begin before what was asked, others cannot */
    put_segment (r, hole, from, to - from);
    at = to;
  }
  patched[2] = (uint8_t)(segments >> 8);
  patched[3] = (uint8_t)segments;
  return OK;
}

uint32_t
fake4_seek (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = fake4_get_stateid (r);
  uint64_t offset = wire_u64 (&r->in);
  bool hole = wire_u32 (&r->in);

  if (s->no_sparse)
    return NOTSUPP;
  if (!good)
    return BAD_STATEID;
  if (offset >= s->size)
    return NXIO;
  while (offset < s->size && is_hole (s, offset) != hole)
    offset += BLOCK - offset % BLOCK;
  if (!hole && offset >= s->size)
    return NXIO;
  wirebuf_u32 (r->out, OK);
  wirebuf_u32 (r->out, offset >= s->size);
  wirebuf_u64 (r->out, offset);
  return OK;
}

uint32_t
fake4_range (struct run *r, bool deallocate)
{
  struct fake_nfs4 *s = r->s;
  bool good = fake4_get_stateid (r);
  uint64_t offset = wire_u64 (&r->in), length = wire_u64 (&r->in);

  if (s->no_sparse)
    return NOTSUPP;
  if (!good)
    return BAD_STATEID;
  if (length == 0)
    return INVAL;
  if (deallocate)
    memset (s->content + offset, 0, length);
  wirebuf_u32 (r->out, OK);
  return OK;
}

uint32_t
fake4_readdir (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  uint64_t cookie = wire_u64 (&r->in);
  uint32_t words, mask;

  wire_u64 (&r->in);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  words = wire_u32 (&r->in);
  mask = wire_u32 (&r->in);
  if (words > 1)
    wire_u32 (&r->in);
  wirebuf_u32 (r->out, OK);
  wirebuf_u64 (r->out, 1);
  for (unsigned i = 0; i < (s->list_names ? 100 : 1); i++, cookie++) {
    char name[301] = "sub";

    if (cookie == 0 && s->list_long)
      memset (name, 'n', 300);
    if (cookie == 1)
      strcpy (name, "disk.img");
    if (cookie > 1)
      snprintf (name, sizeof name, "file%llu", (unsigned long long)cookie);
    wirebuf_u32 (r->out, 1);
    wirebuf_u64 (r->out, cookie + 1);
    fake4_put_opaque (r->out, name, strlen (name));
    r->fh = cookie ? 'F' : 'D';
    if (cookie > 1 && s->list_type == 2)
      r->fh = 'D';
    if (cookie > 1 && s->list_type == 5)
      r->fh = '0';
    fake4_put_attrs (r, mask);
  }
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, cookie >= s->list_names + 2);
  return OK;
}
