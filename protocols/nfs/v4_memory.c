/* SPDX-License-Identifier: BSD-2-Clause */
/* What outlives a connection, and who we are.
 *
 * The identity page behind its first NFS_IDENTITY_OWN bytes: a header, all
 * numbers big-endian, then the slots (v4_slots.h).
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <stdio.h>
#include <string.h>

#include "protocols/nfs/engine.h"

#define MAGIC 0x42345331u /* "B4S1" */
#define HEADER_BYTES 256u
#define PAGE_BYTES (PROTO_IDENTITY_BYTES - NFS_IDENTITY_OWN)

_Static_assert (HEADER_BYTES + V4_SLOTS_PAGE_BYTES <= PAGE_BYTES,
                "the slots fit");

#define HAS_CLIENT 0x01u
#define HAS_SESSION 0x02u
#define HAS_OPEN 0x04u
#define CACHES 0x08u
#define PROBED 0x10u
#define COMPLETE 0x20u

uint8_t *
v4_memory_slots (struct v4 *v)
{
  return v->page + HEADER_BYTES;
}

static void
get_bytes (struct wire *w, uint8_t *dst, size_t n)
{
  const uint8_t *p = wire_bytes (w, n);

  if (p)
    memcpy (dst, p, n);
}

static bool
read_header (const uint8_t header[HEADER_BYTES], struct v4_memory *m)
{
  struct wire w = wire_init (header, HEADER_BYTES);
  uint32_t flags;

  if (wire_u32 (&w) != MAGIC)
    return false;
  flags = wire_u32 (&w);
  m->has_client = flags & HAS_CLIENT;
  m->has_session = flags & HAS_SESSION;
  m->has_open = flags & HAS_OPEN;
  m->cache = flags & CACHES;
  m->probed = flags & PROBED;
  m->complete = flags & COMPLETE;
  m->clientid = wire_u64 (&w);
  m->nonce = wire_u64 (&w);
  get_bytes (&w, m->session, sizeof m->session);
  m->slots = wire_u32 (&w);
  m->maxrequestsize = wire_u32 (&w);
  m->maxresponsesize = wire_u32 (&w);
  m->maxoperations = wire_u32 (&w);
  m->caps = wire_u32 (&w);
  m->open_access = wire_u32 (&w);
  m->open.seqid = wire_u32 (&w);
  get_bytes (&w, m->open.other, sizeof m->open.other);
  m->fh.length_bytes = wire_u32 (&w);
  get_bytes (&w, m->fh.bytes, sizeof m->fh.bytes);
  m->caps &= V4_CAPS_PROBED | V4_CAN_READ_PLUS | V4_NO_READ_PLUS;
  /* As note_session leaves them. */
  return !w.err && m->slots >= 2 && m->slots <= V4_SLOTS
         && m->maxoperations >= V4_OPERATIONS_LEAST
         && m->maxrequestsize >= V4_DATA_OVERHEAD_BYTES + V4_IO_LEAST_BYTES
         && m->maxresponsesize >= V4_DATA_OVERHEAD_BYTES + V4_IO_LEAST_BYTES
         && m->fh.length_bytes <= NFS4_FHSIZE;
}

void
v4_memory_load (struct nfs *n, uint8_t dialect_id)
{
  struct v4 *v = v4_of (n);
  uint8_t header[HEADER_BYTES];

  v->page = v->local_page;
  v->page_is_local = true;
  if (n->identity && nfs_identity_dialect (n) == dialect_id) {
    v->page = n->identity + NFS_IDENTITY_OWN;
    v->page_is_local = false;
    memcpy (header, v->page, sizeof header);
    if (!read_header (header, &v->memory))
      v->memory = (struct v4_memory){0};
  }
  if (!v->memory.nonce)
    memcpy (&v->memory.nonce, n->seed + 8, sizeof v->memory.nonce);
}

void
v4_memory_store (struct nfs *n)
{
  struct v4 *v = v4_of (n);
  const struct v4_memory *m = &v->memory;
  struct wirebuf b = wirebuf_init (v->page, HEADER_BYTES);

  wirebuf_u32 (&b, MAGIC);
  wirebuf_u32 (&b, (m->has_client ? HAS_CLIENT : 0)
                       | (m->has_session ? HAS_SESSION : 0)
                       | (m->has_open ? HAS_OPEN : 0) | (m->cache ? CACHES : 0)
                       | (m->probed ? PROBED : 0)
                       | (m->complete ? COMPLETE : 0));
  wirebuf_u64 (&b, m->clientid);
  wirebuf_u64 (&b, m->nonce);
  wirebuf_bytes (&b, m->session, sizeof m->session);
  wirebuf_u32 (&b, m->slots);
  wirebuf_u32 (&b, m->maxrequestsize);
  wirebuf_u32 (&b, m->maxresponsesize);
  wirebuf_u32 (&b, m->maxoperations);
  wirebuf_u32 (&b, m->caps);
  wirebuf_u32 (&b, m->open_access);
  wirebuf_u32 (&b, m->open.seqid);
  wirebuf_bytes (&b, m->open.other, sizeof m->open.other);
  wirebuf_u32 (&b, m->fh.length_bytes);
  wirebuf_bytes (&b, m->fh.bytes, sizeof m->fh.bytes);
}

void
v4_memory_settle (struct nfs *n)
{
  struct v4 *v = v4_of (n);

  if (!n->identity || !v->page_is_local)
    return;
  memcpy (n->identity + NFS_IDENTITY_OWN, v->local_page, PAGE_BYTES);
  v->page = n->identity + NFS_IDENTITY_OWN;
  v->page_is_local = false;
  v->slots.page = v4_memory_slots (v);
}

/* host: which daemon of which user; it tells the worker. Without one there is
 * a number of our own, which lasts as long as the identity page.
 */
size_t
v4_client_owner (const struct nfs *n, uint8_t ret[V4_OWNER_BYTES],
                 uint8_t ret_verifier[NFS4_VERIFIER_SIZE])
{
  const struct v4 *v = v4_of (n);
  const char *path = n->options.path;
  char host[72], connection[16] = "";
  size_t bytes;
  uint64_t verifier;
  struct wirebuf b = wirebuf_init (ret_verifier, NFS4_VERIFIER_SIZE);

  if (n->options.client[0])
    snprintf (host, sizeof host, "%s", n->options.client);
  else
    snprintf (host, sizeof host, "%016llx",
              (unsigned long long)v->memory.nonce);
  if (!n->options.exclusive)
    snprintf (connection, sizeof connection, "/%u", n->connection);
  bytes = (size_t)snprintf (
      (char *)ret, V4_OWNER_BYTES, "bulkhead/%s/%u/%016llx%016llx%s", host,
      (unsigned)n->options.uid,
      (unsigned long long)nfs_hash (1, path, strlen (path)),
      (unsigned long long)nfs_hash (2, path, strlen (path)), connection);
  if (bytes >= V4_OWNER_BYTES)
    bytes = V4_OWNER_BYTES - 1;
  verifier = nfs_hash (3, ret, bytes);
  wirebuf_u64 (&b, verifier);
  return bytes;
}

size_t
v4_open_owner (const struct nfs *n, uint8_t ret[V4_OWNER_BYTES])
{
  if (n->options.exclusive)
    return (size_t)snprintf ((char *)ret, V4_OWNER_BYTES, "the volume");
  return (size_t)snprintf (
      (char *)ret, V4_OWNER_BYTES, "connection %u %016llx", n->connection,
      (unsigned long long)v4_of (n)->memory.nonce);
}
