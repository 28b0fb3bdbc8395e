/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "protocols/nfs/engine.h"

#define MAGIC 0x42484e46u
#define DIALECT_AT 4u
#define RESIZED_AT 5u
#define XID_AT 8u
#define ENTRY_BYTES 16u
#define ENTRIES PROTO_REQUESTS

_Static_assert(NFS_IDENTITY_OWN + ENTRIES * ENTRY_BYTES <= PROTO_IDENTITY_BYTES,
               "the table fits");

static uint32_t
get_u32 (const uint8_t *p)
{
  struct wire w = wire_init (p, 4);

  return wire_u32 (&w);
}

static void
put_u32 (uint8_t *p, uint32_t v)
{
  struct wirebuf b = wirebuf_init (p, 4);

  wirebuf_u32 (&b, v);
}

uint32_t
nfs_identity_open (struct nfs *n)
{
  uint32_t xid = get_u32 (n->seed);

  if (!n->identity)
    return xid;
  if (get_u32 (n->identity) == MAGIC)
    return get_u32 (n->identity + XID_AT);
  memset (n->identity, 0, PROTO_IDENTITY_BYTES);
  put_u32 (n->identity, MAGIC);
  put_u32 (n->identity + XID_AT, xid);
  return xid;
}

uint8_t
nfs_identity_dialect (const struct nfs *n)
{
  return n->identity ? n->identity[DIALECT_AT] : 0;
}

void
nfs_identity_choose (struct nfs *n, uint8_t dialect)
{
  if (!n->identity || n->identity[DIALECT_AT] == dialect)
    return;
  memset (n->identity + NFS_IDENTITY_OWN, 0,
          PROTO_IDENTITY_BYTES - NFS_IDENTITY_OWN);
  n->identity[DIALECT_AT] = dialect;
}

bool
nfs_identity_resized (const struct nfs *n)
{
  return n->identity && n->identity[RESIZED_AT];
}

void
nfs_identity_note_resized (struct nfs *n)
{
  if (n->identity)
    n->identity[RESIZED_AT] = 1;
}

static void
note_next_xid (struct nfs *n)
{
  if (n->identity)
    put_u32 (n->identity + XID_AT, n->lanes.lane[0].rpc.next_xid);
}

uint32_t
nfs_xid (struct nfs *n)
{
  uint32_t xid = nfs_lanes_xid (&n->lanes);

  note_next_xid (n);
  return xid;
}

/* A WRITE under way. Kept by this session, or by the last one. */
struct entry {
  uint64_t tag;
  uint32_t xid, piece_bytes; /* 0: free */
};

static uint8_t *
place (const struct nfs *n, unsigned i)
{
  return n->identity + NFS_IDENTITY_OWN + (size_t)i * ENTRY_BYTES;
}

static struct entry
load (const struct nfs *n, unsigned i)
{
  struct wire w = wire_init (place (n, i), ENTRY_BYTES);
  struct entry e = {.tag = wire_u64 (&w)};

  e.xid = wire_u32 (&w);
  e.piece_bytes = wire_u32 (&w);
  return e;
}

static void
store (struct nfs *n, unsigned i, const struct entry *e)
{
  struct wirebuf b = wirebuf_init (place (n, i), ENTRY_BYTES);

  wirebuf_u64 (&b, e->tag);
  wirebuf_u32 (&b, e->xid);
  wirebuf_u32 (&b, e->piece_bytes);
}

static bool
in_use (const struct nfs *n, unsigned i)
{
  return n->xids_in_use[i / 64] >> i % 64 & 1;
}

static void
use (struct nfs *n, unsigned i, bool on)
{
  uint64_t bit = 1ull << i % 64;

  if (on)
    n->xids_in_use[i / 64] |= bit;
  else
    n->xids_in_use[i / 64] &= ~bit;
}

/* Index of the entry with this tag, or ENTRIES; and of one to write over: of
 * those that no request of this session has, a free one, else the one whose
 * XIDs are the oldest. What that was for may have been sent by another
 * connection, or given up, long ago; there is one, as there are no more
 * requests than entries.
 */
static unsigned
find (const struct nfs *n, uint64_t tag, struct entry *ret, unsigned *ret_free)
{
  uint32_t next_xid = n->lanes.lane[0].rpc.next_xid, oldest = 0;

  *ret_free = ENTRIES;
  for (unsigned i = 0; i < ENTRIES; i++) {
    struct entry e = load (n, i);
    uint32_t age = e.piece_bytes == 0 ? UINT32_MAX : next_xid - e.xid;

    if (e.piece_bytes && e.tag == tag) {
      *ret = e;
      return i;
    }
    if (!in_use (n, i) && (*ret_free == ENTRIES || age > oldest)) {
      *ret_free = i;
      oldest = age;
    }
  }
  return ENTRIES;
}

uint32_t
nfs_replay_xid (struct nfs *n, uint64_t tag, uint32_t length_bytes,
                   uint32_t piece_bytes)
{
  struct entry e = {tag, n->lanes.lane[0].rpc.next_xid, piece_bytes}, old;
  unsigned i = 0, free_entry;

  if (n->identity) {
    i = find (n, tag, &old, &free_entry);
    if (i < ENTRIES && old.piece_bytes == piece_bytes) {
      use (n, i, true);
      return old.xid;
    }
    if (i == ENTRIES)
      i = free_entry;
    assert (i < ENTRIES);
    use (n, i, true);
  }
  /* Before they are anybody's: a worker may be killed in between. */
  n->lanes.lane[0].rpc.next_xid +=
      (length_bytes + piece_bytes - 1) / piece_bytes;
  note_next_xid (n);
  if (n->identity)
    store (n, i, &e);
  return e.xid;
}

void
nfs_forget_xid (struct nfs *n, uint64_t tag)
{
  struct entry e;
  unsigned i, free_entry;

  if (!n->identity)
    return;
  i = find (n, tag, &e, &free_entry);
  if (i == ENTRIES)
    return;
  store (n, i, &(struct entry){0});
  use (n, i, false);
}
