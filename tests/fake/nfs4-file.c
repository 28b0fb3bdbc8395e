/* SPDX-License-Identifier: BSD-2-Clause */
/* Names, attributes, opens. */
#include "config.h"
#include "tests/fake/nfs4-private.h"

#include <string.h>

/* Index of a link. */
static bool
is_link (uint8_t fh)
{
  return fh >= '0' && fh < '0' + FAKE4_LINKS;
}

bool
fake4_is_gone (const struct run *r)
{
  return r->s->moved && r->fh != 'R' && r->fh != 0;
}

uint32_t
fake4_putfh (struct run *r)
{
  size_t n;
  const uint8_t *p = fake4_get_opaque (&r->in, &n);

  r->fh = n == 2 ? p[0] : 0;
  if (r->fh == 'F' && p[1] != r->s->generation)
    return STALE;
  wirebuf_u32 (r->out, OK);
  return OK;
}

uint32_t
fake4_lookup (struct run *r)
{
  size_t n;
  const uint8_t *p = fake4_get_opaque (&r->in, &n);

  if (fake4_is_gone (r))
    return MOVED;
  if (is_link (r->fh))
    return r->s->old_notdir ? NOTDIR : SYMLINK;
  if (r->fh == 'F')
    return NOTDIR;
  for (unsigned i = 0; i < FAKE4_LINKS; i++)
    if (r->s->link[i].name && strlen (r->s->link[i].name) == n
        && memcmp (p, r->s->link[i].name, n) == 0) {
      r->fh = (uint8_t)('0' + i);
      wirebuf_u32 (r->out, OK);
      return OK;
    }
  if (r->fh == 'R' && n == 3 && memcmp (p, "dir", 3) == 0)
    r->fh = 'D';
  else if (r->fh == 'D' && n == 8 && memcmp (p, "disk.img", 8) == 0)
    r->fh = 'F';
  else
    return NOENT;
  wirebuf_u32 (r->out, OK);
  return OK;
}

void
fake4_put_attrs (struct run *r, uint32_t mask)
{
  struct fake_nfs4 *s = r->s;
  uint8_t values[256];
  struct wirebuf v = wirebuf_init (values, sizeof values);

  mask &= ~(1u << 11); /* rdattr_error */
  if (s->no_fileid)
    mask &= ~(1u << 20);
  for (unsigned bit = 0; bit < 32; bit++)
    if (mask & 1u << bit)
      switch (bit) {
      case 1:
        wirebuf_u32 (&v, r->fh == 'F' ? 1 : is_link (r->fh) ? 5 : 2);
        break;
      case 3:
        wirebuf_u64 (&v, s->change);
        break;
      case 4:
        wirebuf_u64 (&v, r->fh == 'F' ? s->size : 512);
        break;
      case 8:
        wirebuf_u64 (&v, 1);
        wirebuf_u64 (&v, 2);
        break;
      case 10:
        wirebuf_u32 (&v, 90);
        break;
      case 20:
        wirebuf_u64 (&v, s->fileid);
        break;
      case 30:
      case 31:
        wirebuf_u64 (&v, s->io_bytes);
        break;
      case 2: /* fh_expire_type: FH4_VOLATILE_ANY */
        wirebuf_u32 (&v, s->handles_go ? 2 : 0);
        break;
      default: /* a bool; 9: unique_handles */
        wirebuf_u32 (&v, bit != 9 || !s->handles_many);
        break;
      }
  wirebuf_u32 (r->out, 1);
  wirebuf_u32 (r->out, mask);
  fake4_put_opaque (r->out, values, v.used_bytes);
}

/* pathname4 out of "a/b" */
static void
put_pathname (struct wirebuf *v, const char *path)
{
  uint32_t count = 0;

  for (const char *p = path; *p; p += strcspn (p, "/"), p += *p == '/')
    count++;
  wirebuf_u32 (v, count);
  for (const char *p = path; *p; p += *p == '/') {
    size_t n = strcspn (p, "/");

    fake4_put_opaque (v, p, n);
    p += n;
  }
}

static void
put_locations (struct run *r)
{
  const struct fake_nfs4 *s = r->s;
  uint8_t values[512];
  struct wirebuf v = wirebuf_init (values, sizeof values);

  put_pathname (&v, s->moved_from);
  wirebuf_u32 (&v, s->moved_server ? 1 : 0);
  if (s->moved_server) {
    wirebuf_u32 (&v, 2); /* of its servers */
    fake4_put_opaque (&v, s->moved_server, strlen (s->moved_server));
    fake4_put_opaque (&v, "::1", 3);
    put_pathname (&v, s->moved_to);
  }
  wirebuf_u32 (r->out, 1);
  wirebuf_u32 (r->out, 1u << 24);
  fake4_put_opaque (r->out, values, v.used_bytes);
}

uint32_t
fake4_readlink (struct run *r)
{
  const char *target;

  if (!is_link (r->fh))
    return INVAL;
  target = r->s->link[r->fh - '0'].target;
  wirebuf_u32 (r->out, OK);
  fake4_put_opaque (r->out, target, strlen (target));
  return OK;
}

uint32_t
fake4_getattr (struct run *r)
{
  uint32_t words = wire_u32 (&r->in), mask = wire_u32 (&r->in);

  if (words > 1)
    wire_u32 (&r->in);
  if (fake4_is_gone (r) && mask != 1u << 24)
    return MOVED;
  wirebuf_u32 (r->out, OK);
  if (mask == 1u << 24)
    put_locations (r);
  else
    fake4_put_attrs (r, mask);
  return OK;
}

uint32_t
fake4_open_file (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  uint32_t access, deny, claim;
  uint64_t client;
  const uint8_t *owner;
  size_t n;
  unsigned i, empty = FAKE4_OPENS;

  wire_u32 (&r->in);
  access = wire_u32 (&r->in);
  deny = wire_u32 (&r->in);
  client = wire_u64 (&r->in);
  owner = fake4_get_opaque (&r->in, &n);
  wire_u32 (&r->in);
  claim = wire_u32 (&r->in);
  if (claim == 1)
    wire_u32 (&r->in);
  if ((s->grace || fake4_may_reclaim (s, client)) && claim != 1)
    return GRACE;
  if (!s->grace && claim == 1)
    return NO_GRACE;
  for (i = 0; i < FAKE4_OPENS; i++) {
    if (!s->open[i].used) {
      if (empty == FAKE4_OPENS)
        empty = i;
      continue;
    }
    if (s->open[i].client == client && s->open[i].owner_bytes == n
        && memcmp (s->open[i].owner, owner, n) == 0)
      break;
    if ((s->open[i].deny & access) || (deny & 2))
      return SHARE_DENIED;
  }
  if (i == FAKE4_OPENS) {
    i = empty;
    s->open[i].used = true;
    s->open[i].client = client;
    s->open[i].owner_bytes = n;
    memcpy (s->open[i].owner, owner, n);
    s->open[i].id = s->next_id++;
  }
  s->open[i].deny = deny;
  wirebuf_u32 (r->out, OK);
  fake4_put_stateid (s, r->out, s->open[i].id);
  wirebuf_u32 (r->out, 1);
  wirebuf_u64 (r->out, 1);
  wirebuf_u64 (r->out, 1);
  wirebuf_u32 (r->out, 4);
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, s->delegates ? 1 : 3);
  if (!s->delegates) {
    wirebuf_u32 (r->out, 0); /* WND4_NOT_WANTED */
    return OK;
  }
  fake4_put_stateid (s, r->out, 4711);
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, 0);
  fake4_put_opaque (r->out, "EVERYONE@", 9);
  return OK;
}

uint32_t
fake4_close_file (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  uint32_t id;

  wire_u32 (&r->in);
  wire_u32 (&r->in);
  wire_u64 (&r->in);
  id = wire_u32 (&r->in);
  for (unsigned i = 0; i < FAKE4_OPENS; i++)
    if (s->open[i].id == id)
      s->open[i].used = false;
  wirebuf_u32 (r->out, OK);
  fake4_put_stateid (s, r->out, id);
  return OK;
}

uint32_t
fake4_test_stateid (struct run *r)
{
  bool good;

  wire_u32 (&r->in);
  good = fake4_get_stateid (r);
  wirebuf_u32 (r->out, OK);
  wirebuf_u32 (r->out, 1);
  wirebuf_u32 (r->out, good ? OK : BAD_STATEID);
  return OK;
}
