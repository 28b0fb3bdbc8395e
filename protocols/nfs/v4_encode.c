/* SPDX-License-Identifier: BSD-2-Clause */
/* The arguments of operations: RFC 5662 and RFC 7863. */
#include "config.h"
#include "protocols/nfs/v4_compound.h"

#include <string.h>

/* RFC 8881 §18.36.3: a number for callbacks that we never take. */
#define CALLBACK_PROGRAM 0x40000000u
/* §18.34: the fore channel of this connection */
#define CDFC4_FORE 0x1u
#define SP4_NONE 0u
#define AUTH_NONE 0u

void
v4_begin (struct v4_call *c, struct wirebuf *b, uint32_t minor)
{
  wirebuf_u32 (b, 0); /* COMPOUND4args.tag: "" */
  wirebuf_u32 (b, minor);
  *c = (struct v4_call){b, b->used_bytes, 0};
  wirebuf_u32 (b, 0);
}

void
v4_end (struct v4_call *c)
{
  uint8_t *p = c->b->base + c->count_at;

  if (c->b->err)
    return;
  p[0] = p[1] = p[2] = 0;
  p[3] = (uint8_t)c->operations;
}

void
v4_put (struct v4_call *c, enum nfs_opnum4 op)
{
  wirebuf_u32 (c->b, (uint32_t)op);
  c->operations++;
}

static void
put_stateid (struct v4_call *c, const struct v4_stateid *s)
{
  wirebuf_u32 (c->b, s->seqid);
  xdr_put_fixed (c->b, s->other, sizeof s->other);
}

static void
put_bitmap (struct v4_call *c, const uint32_t mask[2])
{
  uint32_t words = mask[1] ? 2 : 1;

  wirebuf_u32 (c->b, words);
  for (uint32_t i = 0; i < words; i++)
    wirebuf_u32 (c->b, mask[i]);
}

void
v4_put_sequence (struct v4_call *c, const struct v4_sequence *s)
{
  v4_put (c, OP_SEQUENCE);
  xdr_put_fixed (c->b, s->session, NFS4_SESSIONID_SIZE);
  wirebuf_u32 (c->b, s->sequenceid);
  wirebuf_u32 (c->b, s->slotid);
  wirebuf_u32 (c->b, s->highest_slotid);
  xdr_put_bool (c->b, s->cachethis);
}

void
v4_put_putfh (struct v4_call *c, const struct v4_fh *fh)
{
  v4_put (c, OP_PUTFH);
  xdr_put_opaque (c->b, fh->bytes, fh->length_bytes);
}

void
v4_put_lookup (struct v4_call *c, const char *name, size_t name_bytes)
{
  v4_put (c, OP_LOOKUP);
  xdr_put_opaque (c->b, name, name_bytes);
}

void
v4_put_getattr (struct v4_call *c, const uint32_t mask[2])
{
  v4_put (c, OP_GETATTR);
  put_bitmap (c, mask);
}

void
v4_put_resize (struct v4_call *c, const struct v4_stateid *s, uint64_t size)
{
  static const uint32_t mask[2] = {1u << 4 /* size */, 0};

  v4_put (c, OP_SETATTR);
  put_stateid (c, s);
  put_bitmap (c, mask);
  wirebuf_u32 (c->b, 8); /* attrlist4 */
  wirebuf_u64 (c->b, size);
}

void
v4_put_access (struct v4_call *c, uint32_t access)
{
  v4_put (c, OP_ACCESS);
  wirebuf_u32 (c->b, access);
}

void
v4_put_open (struct v4_call *c, const struct v4_open *o)
{
  v4_put (c, OP_OPEN);
  wirebuf_u32 (c->b, 0); /* seqid: sessions have their own (§18.16.3) */
  wirebuf_u32 (c->b, o->access);
  wirebuf_u32 (c->b, o->deny);
  wirebuf_u64 (c->b, o->clientid);
  xdr_put_opaque (c->b, o->owner, o->owner_bytes);
  wirebuf_u32 (c->b, 0); /* OPEN4_NOCREATE */
  wirebuf_u32 (c->b, (uint32_t)o->claim);
  if (o->claim == CLAIM_PREVIOUS)
    wirebuf_u32 (c->b, OPEN_DELEGATE_NONE);
}

void
v4_put_stateid_op (struct v4_call *c, enum nfs_opnum4 op,
                   const struct v4_stateid *s)
{
  v4_put (c, op);
  if (op == OP_CLOSE)
    wirebuf_u32 (c->b, 0); /* seqid: not used */
  else if (op == OP_TEST_STATEID)
    wirebuf_u32 (c->b, 1); /* of them */
  put_stateid (c, s);
}

void
v4_put_read (struct v4_call *c, const struct v4_stateid *s, uint64_t offset,
             uint32_t count)
{
  v4_put (c, OP_READ);
  put_stateid (c, s);
  wirebuf_u64 (c->b, offset);
  wirebuf_u32 (c->b, count);
}

void
v4_put_read_plus (struct v4_call *c, const struct v4_stateid *s,
                  uint64_t offset, uint32_t count)
{
  v4_put (c, OP_READ_PLUS);
  put_stateid (c, s);
  wirebuf_u64 (c->b, offset);
  wirebuf_u32 (c->b, count);
}

void
v4_put_write (struct v4_call *c, const struct v4_stateid *s, uint64_t offset,
              enum stable_how4 stable)
{
  v4_put (c, OP_WRITE);
  put_stateid (c, s);
  wirebuf_u64 (c->b, offset);
  wirebuf_u32 (c->b, (uint32_t)stable);
}

void
v4_put_commit (struct v4_call *c, uint64_t offset, uint32_t count)
{
  v4_put (c, OP_COMMIT);
  wirebuf_u64 (c->b, offset);
  wirebuf_u32 (c->b, count);
}

void
v4_put_seek (struct v4_call *c, const struct v4_stateid *s, uint64_t offset,
             enum data_content4 what)
{
  v4_put (c, OP_SEEK);
  put_stateid (c, s);
  wirebuf_u64 (c->b, offset);
  wirebuf_u32 (c->b, (uint32_t)what);
}

void
v4_put_range (struct v4_call *c, enum nfs_opnum4 op, const struct v4_stateid *s,
              uint64_t offset, uint64_t length)
{
  v4_put (c, op);
  put_stateid (c, s);
  wirebuf_u64 (c->b, offset);
  wirebuf_u64 (c->b, length);
}

void
v4_put_readdir (struct v4_call *c, const struct v4_readdir *r)
{
  v4_put (c, OP_READDIR);
  wirebuf_u64 (c->b, r->cookie);
  xdr_put_fixed (c->b, r->verifier, sizeof r->verifier);
  wirebuf_u32 (c->b, r->dircount);
  wirebuf_u32 (c->b, r->maxcount);
  put_bitmap (c, r->mask);
}

void
v4_put_exchange_id (struct v4_call *c, const struct v4_client_owner *o)
{
  v4_put (c, OP_EXCHANGE_ID);
  xdr_put_fixed (c->b, o->verifier, NFS4_VERIFIER_SIZE);
  xdr_put_opaque (c->b, o->owner, o->owner_bytes);
  wirebuf_u32 (c->b, EXCHGID4_FLAG_USE_NON_PNFS);
  wirebuf_u32 (c->b, SP4_NONE);
  wirebuf_u32 (c->b, 0); /* eia_client_impl_id<1>: none */
}

static void
put_channel (struct v4_call *c, const struct v4_channel *ch)
{
  wirebuf_u32 (c->b, ch->headerpadsize);
  wirebuf_u32 (c->b, ch->maxrequestsize);
  wirebuf_u32 (c->b, ch->maxresponsesize);
  wirebuf_u32 (c->b, ch->maxresponsesize_cached);
  wirebuf_u32 (c->b, ch->maxoperations);
  wirebuf_u32 (c->b, ch->maxrequests);
  wirebuf_u32 (c->b, 0); /* ca_rdma_ird<1>: none */
}

void
v4_put_create_session (struct v4_call *c, const struct v4_create_session *s)
{
  v4_put (c, OP_CREATE_SESSION);
  wirebuf_u64 (c->b, s->clientid);
  wirebuf_u32 (c->b, s->sequenceid);
  wirebuf_u32 (c->b, 0); /* csa_flags: no back channel */
  put_channel (c, &s->fore);
  put_channel (c, &s->back);
  wirebuf_u32 (c->b, CALLBACK_PROGRAM);
  wirebuf_u32 (c->b, 1); /* csa_sec_parms<> */
  wirebuf_u32 (c->b, AUTH_NONE);
}

void
v4_put_bind (struct v4_call *c, const uint8_t *session)
{
  v4_put (c, OP_BIND_CONN_TO_SESSION);
  xdr_put_fixed (c->b, session, NFS4_SESSIONID_SIZE);
  wirebuf_u32 (c->b, CDFC4_FORE);
  xdr_put_bool (c->b, false); /* RDMA */
}

void
v4_put_destroy_session (struct v4_call *c, const uint8_t *session)
{
  v4_put (c, OP_DESTROY_SESSION);
  xdr_put_fixed (c->b, session, NFS4_SESSIONID_SIZE);
}

void
v4_put_destroy_clientid (struct v4_call *c, uint64_t clientid)
{
  v4_put (c, OP_DESTROY_CLIENTID);
  wirebuf_u64 (c->b, clientid);
}

void
v4_put_reclaim_complete (struct v4_call *c)
{
  v4_put (c, OP_RECLAIM_COMPLETE);
  xdr_put_bool (c->b, false); /* rca_one_fs */
}
