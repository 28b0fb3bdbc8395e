/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/fake/nfs4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

#define BLOCK 4096u

enum {
  OK = 0,
  NOENT = 2,
  NXIO = 6,
  NOTDIR = 20,
  INVAL = 22,
  STALE = 70,
  NOTSUPP = 10004,
  MOVED = 10019,
  SYMLINK = 10029,
  GRACE = 10013,
  SHARE_DENIED = 10015,
  MINOR_VERS_MISMATCH = 10021,
  STALE_CLIENTID = 10022,
  BAD_STATEID = 10025,
  NO_GRACE = 10033,
  OP_ILLEGAL = 10044,
  BADSESSION = 10052,
  BADSLOT = 10053,
  CONN_NOT_BOUND = 10055,
  SEQ_MISORDERED = 10063,
  RETRY_UNCACHED_REP = 10068,
  CLIENTID_BUSY = 10074,
};

/* One COMPOUND. */
struct run {
  struct fake_nfs4 *s;
  struct wire in;
  struct wirebuf *out;
  uint8_t fh; /* 'R', 'D', 'F', a link's number, or 0 */
  struct fake4_slot *slot;
  bool cache;
};

void
fake_nfs4_init (struct fake_nfs4 *s, uint64_t size)
{
  *s = (struct fake_nfs4){.size = size,
                          .content = calloc (1, size),
                          .committed = calloc (1, size),
                          .boot = 1,
                          .minor_max = 2,
                          .slots = FAKE4_SLOTS,
                          .next_id = 100,
                          .generation = 1,
                          .fileid = 42,
                          .access = 0x0d,
                          .change = 7,
                          .moved_from = "",
                          .moved_to = ""};
}

void
fake_nfs4_fini (struct fake_nfs4 *s)
{
  free (s->content);
  free (s->committed);
}

void
fake_nfs4_expire (struct fake_nfs4 *s)
{
  memset (s->client, 0, sizeof s->client);
  memset (s->session, 0, sizeof s->session);
  memset (s->open, 0, sizeof s->open);
}

void
fake_nfs4_reboot (struct fake_nfs4 *s)
{
  fake_nfs4_expire (s);
  memcpy (s->content, s->committed, s->size);
  s->boot++;
}

void
fake_nfs4_hang_up (struct fake_nfs4 *s, unsigned connection)
{
  for (unsigned i = 0; i < FAKE4_SESSIONS; i++)
    s->session[i].bound &= ~(1u << connection);
}

/* ------------------------------------------------------------------ XDR --- */

static void
put_opaque (struct wirebuf *b, const void *p, size_t n)
{
  wirebuf_u32 (b, (uint32_t)n);
  wirebuf_bytes (b, p, n);
  wirebuf_bytes (b, "\0\0\0", (4 - n % 4) % 4);
}

static const uint8_t *
get_opaque (struct wire *w, size_t *n)
{
  const uint8_t *p;

  *n = wire_u32 (w);
  p = wire_bytes (w, *n);
  wire_bytes (w, (4 - *n % 4) % 4);
  return p;
}

static void
put_stateid (struct fake_nfs4 *s, struct wirebuf *b, uint32_t id)
{
  wirebuf_u32 (b, 1);
  wirebuf_u64 (b, s->boot);
  wirebuf_u32 (b, id);
}

/* The open that it names, or NULL. */
static bool
get_stateid (struct run *r)
{
  uint64_t boot;
  uint32_t id;

  wire_u32 (&r->in);
  boot = wire_u64 (&r->in);
  id = wire_u32 (&r->in);
  for (unsigned i = 0; i < FAKE4_OPENS; i++)
    if (boot == r->s->boot && r->s->open[i].used && r->s->open[i].id == id)
      return true;
  return false;
}

/* ------------------------------------------------- clients and sessions --- */

static uint32_t
exchange_id (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  const uint8_t *owner;
  size_t n;
  unsigned i, empty = FAKE4_CLIENTS;

  wire_u64 (&r->in);
  owner = get_opaque (&r->in, &n);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  for (i = 0; i < FAKE4_CLIENTS; i++) {
    if (s->client[i].used && s->client[i].owner_bytes == n
        && memcmp (s->client[i].owner, owner, n) == 0)
      break;
    if (!s->client[i].used && empty == FAKE4_CLIENTS)
      empty = i;
  }
  if (i == FAKE4_CLIENTS) {
    i = empty;
    s->client[i].used = true;
    s->client[i].confirmed = false;
    s->client[i].owner_bytes = n;
    memcpy (s->client[i].owner, owner, n);
    s->client[i].id = s->boot << 32 | s->next_id++;
    s->client[i].create_sequenceid = 1;
  }
  wirebuf_u32 (r->out, OK);
  wirebuf_u64 (r->out, s->client[i].id);
  wirebuf_u32 (r->out, s->client[i].create_sequenceid);
  wirebuf_u32 (r->out, 0x10000 | (s->client[i].confirmed ? 0x80000000u : 0));
  wirebuf_u32 (r->out, 0);
  wirebuf_u64 (r->out, 0);
  put_opaque (r->out, "server", 6);
  put_opaque (r->out, "scope", 5);
  wirebuf_u32 (r->out, 0);
  return OK;
}

static void
put_session (struct wirebuf *b, uint64_t id)
{
  wirebuf_u64 (b, id);
  wirebuf_u64 (b, ~id);
}

/* Index; FAKE4_SESSIONS: none. */
static unsigned
get_session (struct run *r)
{
  uint64_t id = wire_u64 (&r->in);
  unsigned i;

  wire_u64 (&r->in);
  for (i = 0; i < FAKE4_SESSIONS; i++)
    if (r->s->session[i].used && r->s->session[i].id == id)
      break;
  return i;
}

static uint32_t
create_session (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  uint64_t client = wire_u64 (&r->in);
  uint32_t sequenceid = wire_u32 (&r->in), channel[2][7];
  unsigned c, i = 0;

  wire_u32 (&r->in);
  for (unsigned k = 0; k < 14; k++)
    channel[k / 7][k % 7] = wire_u32 (&r->in);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  for (c = 0; c < FAKE4_CLIENTS; c++)
    if (s->client[c].used && s->client[c].id == client)
      break;
  if (c == FAKE4_CLIENTS)
    return STALE_CLIENTID;
  if (sequenceid == s->client[c].create_sequenceid) {
    while (i < FAKE4_SESSIONS && s->session[i].used)
      i++;
    if (i == FAKE4_SESSIONS) /* the oldest ones go */
      i = s->next_id % FAKE4_SESSIONS;
    memset (&s->session[i], 0, sizeof s->session[i]);
    s->session[i].used = true;
    s->session[i].id = s->boot << 32 | s->next_id++;
    s->session[i].client = client;
    s->session[i].bound = 1u << s->connection;
    s->client[c].create_sequenceid++;
    s->client[c].confirmed = true;
    s->client[c].last_session = i;
  } else if (sequenceid + 1 == s->client[c].create_sequenceid)
    i = s->client[c].last_session; /* §18.36.4: a replay */
  else
    return SEQ_MISORDERED;
  wirebuf_u32 (r->out, OK);
  put_session (r->out, s->session[i].id);
  wirebuf_u32 (r->out, sequenceid);
  wirebuf_u32 (r->out, 0);
  if (channel[0][5] > s->slots)
    channel[0][5] = s->slots;
  for (unsigned k = 0; k < 14; k++)
    wirebuf_u32 (r->out, channel[k / 7][k % 7]);
  return OK;
}

/* Does the whole answer when it is a replay: then *ret_replay. */
static uint32_t
sequence (struct run *r, bool *ret_replay)
{
  struct fake_nfs4 *s = r->s;
  unsigned i = get_session (r);
  uint32_t sequenceid = wire_u32 (&r->in), slotid = wire_u32 (&r->in);

  wire_u32 (&r->in);
  r->cache = wire_u32 (&r->in);
  if (i == FAKE4_SESSIONS)
    return BADSESSION;
  if (!s->strict) /* SP4_NONE: by the way (§2.10.3.1) */
    s->session[i].bound |= 1u << s->connection;
  if (!(s->session[i].bound & 1u << s->connection)) {
    s->unbound++;
    return CONN_NOT_BOUND;
  }
  if (slotid >= s->slots)
    return BADSLOT;
  r->slot = &s->session[i].slot[slotid];
  *ret_replay = sequenceid == r->slot->sequenceid;
  if (!*ret_replay && sequenceid != r->slot->sequenceid + 1) {
    r->slot = NULL;
    return SEQ_MISORDERED;
  }
  r->slot->sequenceid = sequenceid;
  s->sequences[s->connection]++;
  wirebuf_u32 (r->out, OK);
  put_session (r->out, s->session[i].id);
  wirebuf_u32 (r->out, sequenceid);
  wirebuf_u32 (r->out, slotid);
  wirebuf_u32 (r->out, s->slots - 1);
  wirebuf_u32 (r->out, s->slots - 1);
  wirebuf_u32 (r->out, s->status_flags);
  return OK;
}

static uint32_t
bind_connection (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  unsigned i = get_session (r);
  uint32_t direction = wire_u32 (&r->in);

  wire_u32 (&r->in);
  if (i == FAKE4_SESSIONS)
    return BADSESSION;
  if (s->bind != FAKE4_BIND_FORGOTTEN)
    s->session[i].bound |= 1u << s->connection;
  wirebuf_u32 (r->out, OK);
  put_session (r->out,
               s->session[i].id + (s->bind == FAKE4_BIND_OTHER_SESSION));
  wirebuf_u32 (r->out, s->bind == FAKE4_BIND_BACK ? 2 : direction & 3);
  wirebuf_u32 (r->out, s->bind == FAKE4_BIND_RDMA);
  return OK;
}

static uint32_t
destroy_session (struct run *r)
{
  unsigned i = get_session (r);

  if (i == FAKE4_SESSIONS)
    return BADSESSION;
  r->s->session[i].used = false;
  r->slot = NULL;
  wirebuf_u32 (r->out, OK);
  return OK;
}

static uint32_t
destroy_clientid (struct run *r)
{
  uint64_t client = wire_u64 (&r->in);

  for (unsigned i = 0; i < FAKE4_SESSIONS; i++)
    if (r->s->session[i].used && r->s->session[i].client == client)
      return CLIENTID_BUSY;
  for (unsigned i = 0; i < FAKE4_OPENS; i++)
    if (r->s->open[i].used && r->s->open[i].client == client)
      return CLIENTID_BUSY;
  for (unsigned i = 0; i < FAKE4_CLIENTS; i++)
    if (r->s->client[i].id == client)
      r->s->client[i].used = false;
  wirebuf_u32 (r->out, OK);
  return OK;
}

/* ---------------------------------------------------------------- files --- */

/* Index of a link. */
static bool
is_link (uint8_t fh)
{
  return fh >= '0' && fh < '0' + FAKE4_LINKS;
}

static bool
is_gone (const struct run *r)
{
  return r->s->moved && r->fh != 'R' && r->fh != 0;
}

static uint32_t
putfh (struct run *r)
{
  size_t n;
  const uint8_t *p = get_opaque (&r->in, &n);

  r->fh = n == 2 ? p[0] : 0;
  if (r->fh == 'F' && p[1] != r->s->generation)
    return STALE;
  wirebuf_u32 (r->out, OK);
  return OK;
}

static uint32_t
lookup (struct run *r)
{
  size_t n;
  const uint8_t *p = get_opaque (&r->in, &n);

  if (is_gone (r))
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

static void
put_attrs (struct run *r, uint32_t mask)
{
  struct fake_nfs4 *s = r->s;
  uint8_t values[256];
  struct wirebuf v = wirebuf_init (values, sizeof values);

  mask &= ~(1u << 11); /* rdattr_error */
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
        wirebuf_u64 (&v, 1 << 16);
        break;
      default: /* a bool, or fh_expire_type */
        wirebuf_u32 (&v, bit == 2 ? 0 : 1);
        break;
      }
  wirebuf_u32 (r->out, 1);
  wirebuf_u32 (r->out, mask);
  put_opaque (r->out, values, v.used_bytes);
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

    put_opaque (v, p, n);
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
    put_opaque (&v, s->moved_server, strlen (s->moved_server));
    put_opaque (&v, "::1", 3);
    put_pathname (&v, s->moved_to);
  }
  wirebuf_u32 (r->out, 1);
  wirebuf_u32 (r->out, 1u << 24);
  put_opaque (r->out, values, v.used_bytes);
}

static uint32_t
readlink_ (struct run *r)
{
  const char *target;

  if (!is_link (r->fh))
    return INVAL;
  target = r->s->link[r->fh - '0'].target;
  wirebuf_u32 (r->out, OK);
  put_opaque (r->out, target, strlen (target));
  return OK;
}

static uint32_t
getattr (struct run *r)
{
  uint32_t words = wire_u32 (&r->in), mask = wire_u32 (&r->in);

  if (words > 1)
    wire_u32 (&r->in);
  if (is_gone (r) && mask != 1u << 24)
    return MOVED;
  wirebuf_u32 (r->out, OK);
  if (mask == 1u << 24)
    put_locations (r);
  else
    put_attrs (r, mask);
  return OK;
}

static uint32_t
open_file (struct run *r)
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
  owner = get_opaque (&r->in, &n);
  wire_u32 (&r->in);
  claim = wire_u32 (&r->in);
  if (claim == 1)
    wire_u32 (&r->in);
  if (s->grace && claim != 1)
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
  put_stateid (s, r->out, s->open[i].id);
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
  put_stateid (s, r->out, 4711);
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, 0);
  put_opaque (r->out, "EVERYONE@", 9);
  return OK;
}

static uint32_t
close_file (struct run *r)
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
  put_stateid (s, r->out, id);
  return OK;
}

static uint32_t
test_stateid (struct run *r)
{
  bool good;

  wire_u32 (&r->in);
  good = get_stateid (r);
  wirebuf_u32 (r->out, OK);
  wirebuf_u32 (r->out, 1);
  wirebuf_u32 (r->out, good ? OK : BAD_STATEID);
  return OK;
}

/* ----------------------------------------------------------------- data --- */

static uint32_t
read_file (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = get_stateid (r);
  uint64_t offset = wire_u64 (&r->in);
  uint32_t count = wire_u32 (&r->in);

  if (is_gone (r))
    return MOVED;
  if (!good)
    return BAD_STATEID;
  if (offset > s->size)
    offset = s->size;
  if (count > s->size - offset)
    count = (uint32_t)(s->size - offset);
  wirebuf_u32 (r->out, OK);
  wirebuf_u32 (r->out, offset + count == s->size);
  put_opaque (r->out, s->content + offset, count);
  return OK;
}

static uint32_t
write_file (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = get_stateid (r);
  uint64_t offset = wire_u64 (&r->in);
  uint32_t stable = wire_u32 (&r->in);
  size_t n;
  const uint8_t *p = get_opaque (&r->in, &n);

  if (!good)
    return BAD_STATEID;
  if ((n == 0 && s->no_empty_write) || !p || offset > s->size
      || n > s->size - offset)
    return INVAL;
  memcpy (s->content + offset, p, n);
  if (stable == 2)
    memcpy (s->committed + offset, p, n);
  wirebuf_u32 (r->out, OK);
  wirebuf_u32 (r->out, (uint32_t)n);
  wirebuf_u32 (r->out, stable);
  wirebuf_u64 (r->out, s->boot);
  return OK;
}

static uint32_t
commit (struct run *r)
{
  wire_u64 (&r->in);
  wire_u32 (&r->in);
  memcpy (r->s->committed, r->s->content, r->s->size);
  wirebuf_u32 (r->out, OK);
  wirebuf_u64 (r->out, r->s->boot);
  return OK;
}

/* Of the size alone. */
static uint32_t
setattr (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = get_stateid (r);
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
    put_opaque (r->out, r->s->content + offset, (size_t)length);
}

static void
put_lie (struct run *r, uint64_t offset, uint32_t count)
{
  static const uint32_t segments[FAKE4_LIES]
    = {[FAKE4_OVERLAP] = 2, [FAKE4_GAP] = 2,         [FAKE4_DATA_BEYOND] = 1,
       [FAKE4_DATA_BEFORE] = 1, [FAKE4_MORE] = 2,    [FAKE4_TYPE] = 1,
       [FAKE4_HOLE_BEFORE] = 1, [FAKE4_HOLE_EMPTY] = 1,
       [FAKE4_HOLE_WRAPS] = 1, [FAKE4_ENDLESS] = UINT32_MAX,
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

static uint32_t
read_plus (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = get_stateid (r);
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

static uint32_t
seek (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  bool good = get_stateid (r);
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

static uint32_t
range (struct run *r, bool deallocate)
{
  struct fake_nfs4 *s = r->s;
  bool good = get_stateid (r);
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

static uint32_t
readdir (struct run *r)
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
    char name[32] = "sub";

    if (cookie == 1)
      strcpy (name, "disk.img");
    if (cookie > 1)
      snprintf (name, sizeof name, "file%llu", (unsigned long long)cookie);
    wirebuf_u32 (r->out, 1);
    wirebuf_u64 (r->out, cookie + 1);
    put_opaque (r->out, name, strlen (name));
    r->fh = cookie ? 'F' : 'D';
    if (cookie > 1 && s->list_type == 2)
      r->fh = 'D';
    if (cookie > 1 && s->list_type == 5)
      r->fh = '0';
    put_attrs (r, mask);
  }
  wirebuf_u32 (r->out, 0);
  wirebuf_u32 (r->out, cookie >= s->list_names + 2);
  return OK;
}

/* ------------------------------------------------------------- COMPOUND --- */

/* Writes the result behind its number, but not an error's status. */
static uint32_t
execute (struct run *r, uint32_t op, bool *ret_replay)
{
  struct fake_nfs4 *s = r->s;

  if (s->fail_times > 0 && s->fail_op == op) {
    s->fail_times--;
    return s->fail_status;
  }
  if (op < 80)
    s->executed[op]++;
  switch (op) {
  case 3: /* ACCESS */
    wire_u32 (&r->in);
    wirebuf_u32 (r->out, OK);
    wirebuf_u32 (r->out, 0x0d);
    wirebuf_u32 (r->out, s->access);
    return OK;
  case 4:
    return close_file (r);
  case 5:
    return commit (r);
  case 8: /* DELEGRETURN */
  case 45: /* FREE_STATEID */
    get_stateid (r);
    break;
  case 9:
    return getattr (r);
  case 10: /* GETFH */
    if (is_gone (r))
      return MOVED;
    wirebuf_u32 (r->out, OK);
    put_opaque (r->out, (uint8_t[]){r->fh, r->fh == 'F' ? s->generation : 0},
                2);
    return OK;
  case 15:
    return lookup (r);
  case 18:
    return open_file (r);
  case 22:
    return putfh (r);
  case 24: /* PUTROOTFH */
    r->fh = 'R';
    break;
  case 25:
    return read_file (r);
  case 26:
    return readdir (r);
  case 27:
    return readlink_ (r);
  case 34:
    return setattr (r);
  case 38:
    return write_file (r);
  case 41:
    return bind_connection (r);
  case 42:
    return exchange_id (r);
  case 43:
    return create_session (r);
  case 44:
    return destroy_session (r);
  case 53:
    return sequence (r, ret_replay);
  case 55:
    return test_stateid (r);
  case 57:
    return destroy_clientid (r);
  case 58: /* RECLAIM_COMPLETE */
    wire_u32 (&r->in);
    break;
  case 59:
    return range (r, false);
  case 62:
    return range (r, true);
  case 68:
    return read_plus (r);
  case 69:
    return seek (r);
  default:
    return OP_ILLEGAL;
  }
  wirebuf_u32 (r->out, OK);
  return OK;
}

static void
patch (uint8_t *p, uint32_t v)
{
  struct wirebuf b = wirebuf_init (p, 4);

  wirebuf_u32 (&b, v);
}

static void
compound (struct fake_nfs4 *s, struct wire *in, struct wirebuf *out)
{
  struct run r = {.s = s, .out = out};
  uint8_t *base = out->base + out->used_bytes;
  uint32_t minor, count, done = 0, status = OK;
  bool replay = false;

  wire_u32 (in); /* tag */
  minor = wire_u32 (in);
  count = wire_u32 (in);
  r.in = *in;
  wirebuf_u32 (out, OK);
  wirebuf_u32 (out, 0);
  wirebuf_u32 (out, 0);
  if (minor > s->minor_max) {
    patch (base, MINOR_VERS_MISMATCH);
    return;
  }
  while (done < count && status == OK) {
    uint32_t op = wire_u32 (&r.in);

    wirebuf_u32 (out, op);
    if (replay && done == 1)
      status = RETRY_UNCACHED_REP;
    else
      status = execute (&r, op, &replay);
    if (status != OK)
      wirebuf_u32 (out, status);
    done++;
    if (replay && done == 1) {
      s->replays++;
      if (r.slot->cached) {
        out->used_bytes = (size_t)(base - out->base);
        wirebuf_bytes (out, r.slot->reply, r.slot->reply_bytes);
        return;
      }
    }
  }
  patch (base, status);
  patch (base + 8, done);
  if (!r.slot || replay)
    return;
  r.slot->reply_bytes = (size_t)(out->base + out->used_bytes - base);
  r.slot->cached = r.cache && r.slot->reply_bytes <= FAKE4_REPLY_BYTES;
  if (r.slot->cached)
    memcpy (r.slot->reply, base, r.slot->reply_bytes);
}

size_t
fake_nfs4_answer (struct fake_nfs4 *s, const uint8_t *call, size_t call_bytes,
                  uint8_t *reply, size_t reply_size_bytes)
{
  struct wire in = wire_init (call, call_bytes);
  struct wirebuf out = wirebuf_init (reply, reply_size_bytes);
  uint32_t xid = wire_u32 (&in), version, procedure;
  size_t n;

  wire_u64 (&in); /* CALL, RPC 2 */
  wire_u32 (&in); /* program */
  version = wire_u32 (&in);
  procedure = wire_u32 (&in);
  wire_u32 (&in);
  get_opaque (&in, &n);
  wire_u32 (&in);
  get_opaque (&in, &n);
  if (in.err)
    return 0;
  wirebuf_u32 (&out, xid);
  wirebuf_u32 (&out, 1);
  wirebuf_u32 (&out, 0);
  wirebuf_u64 (&out, 0);
  if (version != 4) {
    wirebuf_u32 (&out, 2); /* PROG_MISMATCH */
    wirebuf_u32 (&out, 4);
    wirebuf_u32 (&out, 4);
    return out.used_bytes;
  }
  wirebuf_u32 (&out, 0);
  if (procedure == 1)
    compound (s, &in, &out);
  return out.err ? 0 : out.used_bytes;
}
