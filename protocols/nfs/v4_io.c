/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of requests as COMPOUNDs in the session:
 *
 *   READ    SEQUENCE PUTFH READ, or READ_PLUS (v4_plus.c)
 *   WRITE   SEQUENCE PUTFH WRITE              FUA: FILE_SYNC4
 *   FLUSH   SEQUENCE PUTFH COMMIT
 *   TRIM    SEQUENCE PUTFH DEALLOCATE last
 *   ZERO    SEQUENCE PUTFH DEALLOCATE [ALLOCATE] last
 *   STATUS  SEQUENCE PUTFH SEEK(hole) SEEK(data)
 *
 * last tells the write verifier at that time (RFC 8881 §18.32): a WRITE of no
 * bytes, so that a TRIM is proven by a COMMIT as a WRITE is; with FUA, a
 * COMMIT.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OPERATIONS_MAX 5u

enum { IO_OPS = IO_STATUS + 1 };

/* COMPOUND4res (status, no tag, count), SEQUENCE, PUTFH, and READ with its
 * length.
 */
#define READ_HEAD_BYTES (RPC_REPLY_HEADER_BYTES + 12u + 44u + 8u + 16u)

static const struct rpc_procedure procedures[IO_OPS] = {
    [IO_READ]
    = {NFS_PROGRAM, 4, 1, "READ (NFSv4 COMPOUND)", READ_HEAD_BYTES},
    [IO_WRITE] = {NFS_PROGRAM, 4, 1, "WRITE (NFSv4 COMPOUND)", 0},
    [IO_FLUSH] = {NFS_PROGRAM, 4, 1, "COMMIT (NFSv4 COMPOUND)", 0},
    [IO_TRIM] = {NFS_PROGRAM, 4, 1, "DEALLOCATE (NFSv4 COMPOUND)", 0},
    [IO_ZERO] = {NFS_PROGRAM, 4, 1, "DEALLOCATE (NFSv4 COMPOUND)", 0},
    [IO_STATUS] = {NFS_PROGRAM, 4, 1, "SEEK (NFSv4 COMPOUND)", 0},
};

static const struct rpc_procedure read_plus
  = {NFS_PROGRAM, 4, 1, "READ_PLUS (NFSv4 COMPOUND)",
     READ_HEAD_BYTES + 16u /* with a first segment */};

const struct rpc_procedure *
v4_piece_procedure (const struct nfs *n, const struct nfs_piece *p)
{
  if (v4_plus_pays (n, p))
    return &read_plus;
  return &procedures[p->op];
}

/* ------------------------------------------------------------- sending --- */

static struct v4_work
work_of (const struct nfs *n, const struct nfs_piece *p)
{
  return (struct v4_work){.tag = n->transfer.request[p->request].r.tag,
                          .offset = p->offset,
                          .length = p->length,
                          .op = p->op,
                          .fua = p->flags & IO_FUA};
}

bool
v4_may_send (struct nfs *n, const struct nfs_piece *p)
{
  struct v4 *v = v4_of (n);
  struct v4_work w = work_of (n, p);

  if (v->mending || v->leaving)
    return false;
  if (v4_slots_find (&v->slots, &w) != V4_NO_SLOT)
    return true;
  if (v->slots.left > 0 && !v->settle_delayed)
    v->settle_ns = 0; /* it has to wait for what nobody sends again */
  return false;
}

static void
put_last (struct v4 *v, struct v4_call *c, const struct nfs_piece *p)
{
  if ((p->flags & IO_FUA) || v->empty_write_fails) {
    v4_put_commit (c, 0, 0);
    return;
  }
  v4_put_write (c, &v->memory.open, p->offset, UNSTABLE4);
  wirebuf_u32 (c->b, 0); /* data<> */
}

static void
put_piece (struct v4 *v, const struct rpc_call *call, struct v4_call *c,
           const struct nfs_piece *p)
{
  const struct v4_stateid *s = &v->memory.open;

  switch (p->op) {
  case IO_READ:
    if (call->procedure == &read_plus)
      v4_put_read_plus (c, s, p->offset, p->length);
    else
      v4_put_read (c, s, p->offset, p->length);
    break;
  case IO_WRITE:
    v4_put_write (c, s, p->offset,
                  p->flags & IO_FUA ? FILE_SYNC4 : UNSTABLE4);
    break;
  case IO_FLUSH:
    v4_put_commit (c, 0, 0); /* of the whole file (§18.3.3) */
    break;
  case IO_TRIM:
  case IO_ZERO:
    v4_put_range (c, OP_DEALLOCATE, s, p->offset, p->length);
    if (p->op == IO_ZERO && (p->flags & IO_NO_HOLE))
      v4_put_range (c, OP_ALLOCATE, s, p->offset, p->length);
    put_last (v, c, p);
    break;
  case IO_STATUS:
    v4_put_seek (c, s, p->offset, NFS4_CONTENT_HOLE);
    v4_put_seek (c, s, p->offset, NFS4_CONTENT_DATA);
    break;
  }
}

void
v4_encode (struct nfs *n, const struct nfs_piece *p, struct rpc_message *m)
{
  struct v4 *v = v4_of (n);
  struct v4_work w = work_of (n, p);
  uint16_t slot = v4_slots_find (&v->slots, &w);
  struct v4_sequence s = {.session = v->memory.session, .slotid = slot};
  struct v4_call c;

  assert (slot != V4_NO_SLOT); /* v4_may_send has looked */
  m->call->slot = slot;
  s.sequenceid = v4_slots_begin (&v->slots, slot, &w);
  s.highest_slotid = v4_slots_highest (&v->slots, slot);
  /* What only reads may as well be asked anew. */
  s.cachethis
      = v->memory.cache && p->op != IO_READ && p->op != IO_STATUS;
  v4_begin (&c, &m->b, v->minor);
  v4_put_sequence (&c, &s);
  v4_put_putfh (&c, &v->memory.fh);
  put_piece (v, m->call, &c, p);
  v4_end (&c);
  if (p->op == IO_WRITE)
    rpc_put_payload (m, p->data, p->length);
}

/* ------------------------------------------------------------- answers --- */

/* SEQUENCE and PUTFH; true if what follows may be taken. */
static bool
take_head (const struct nfs *n, const struct rpc_call *call,
           struct v4_answer *a, struct xdr *x, struct v4_sequence_result *ret)
{
  const struct v4 *v = v4_of (n);
  struct v4_sequence sent = {
      .session = v->memory.session,
      .sequenceid = v->slots.slot[call->slot].sequenceid,
      .slotid = call->slot,
  };

  v4_open_answer (a, x, OPERATIONS_MAX);
  if (!v4_take (a, OP_SEQUENCE))
    return false;
  v4_get_sequence (a, &sent, ret);
  return v4_take (a, OP_PUTFH);
}

enum err
v4_locate (struct nfs *n, const struct rpc_call *call,
           const struct nfs_piece *p, struct xdr *x, struct nfs_located *ret,
           struct fault *f)
{
  struct v4_sequence_result sequence;
  struct v4_answer a;
  uint32_t count;
  bool eof;

  (void)f;
  if (!take_head (n, call, &a, x, &sequence))
    return ERR_OK;
  if (call->procedure == &read_plus) {
    if (v4_take (&a, OP_READ_PLUS))
      v4_plus_locate (&a, p, ret);
    if (x->bad && x->lack_bytes == 0) /* else there is more to come */
      v4_plus_distrust (n);
    return ERR_OK;
  }
  if (!v4_take (&a, OP_READ))
    return ERR_OK;
  v4_get_read (&a, &eof, &count);
  if (!x->bad)
    *ret = (struct nfs_located){true, 0, count};
  return ERR_OK;
}

struct answered {
  bool eof, hole_eof, data_eof;
  bool told; /* SEEK: about the hole */
  uint64_t hole, data;
  uint32_t count;
  bool plus; /* READ_PLUS, with so many holes */
  uint32_t holes;
  struct v4_write_result write;
  bool has_verifier;
};

static void
take_read (struct v4_answer *a, struct rpc_reply *r, struct answered *ret)
{
  if (!v4_take (a, OP_READ))
    return;
  v4_get_read (a, &ret->eof, &ret->count);
  if (r->payload_bytes != ret->count) /* the data are gone from r->x */
    xdr_reject (a->x, "READ4resok.data, RFC 8881 §18.22.2");
  else if (!a->x->bad && !wire_bytes (&a->x->w, xdr_padding (ret->count)))
    xdr_reject (a->x, "READ4resok.data: padding, RFC 4506 §4.10");
}

static void
take_verifier (struct v4_answer *a, struct answered *ret)
{
  if (!v4_take (a, OP_COMMIT))
    return;
  v4_get_verifier (a, ret->write.verifier);
  ret->has_verifier = true;
}

/* With put_last's operation: what it was when the call was sent, perhaps by the
 * session before, whose answer the server has kept. Either has the verifier.
 */
static void
take_trim (const struct nfs_piece *p, struct v4_answer *a,
           struct answered *ret)
{
  if (!v4_take (a, OP_DEALLOCATE))
    return;
  if (p->op == IO_ZERO && (p->flags & IO_NO_HOLE)
      && !v4_take (a, OP_ALLOCATE))
    return;
  if ((p->flags & IO_FUA) || v4_next (a) == OP_COMMIT) {
    take_verifier (a, ret);
    return;
  }
  if (!v4_take (a, OP_WRITE))
    return;
  v4_get_write (a, 0, UNSTABLE4, &ret->write);
  ret->has_verifier = true;
}

/* What a piece's operations have answered. */
static void
take_piece (const struct nfs_piece *p, struct v4_answer *a,
            struct rpc_reply *r, struct answered *ret)
{
  switch (p->op) {
  case IO_READ:
    if (!ret->plus)
      take_read (a, r, ret);
    else if (v4_take (a, OP_READ_PLUS))
      v4_plus_take (a, p, r->located, r->payload_bytes, &ret->eof,
                    &ret->count, &ret->holes);
    break;
  case IO_WRITE:
    if (!v4_take (a, OP_WRITE))
      break;
    v4_get_write (a, p->length, p->flags & IO_FUA ? FILE_SYNC4 : UNSTABLE4,
                  &ret->write);
    ret->count = ret->write.count;
    ret->has_verifier = true;
    break;
  case IO_FLUSH:
    take_verifier (a, ret);
    break;
  case IO_TRIM:
  case IO_ZERO:
    take_trim (p, a, ret);
    ret->count = p->length;
    break;
  case IO_STATUS:
    if (!v4_take (a, OP_SEEK))
      break;
    v4_get_seek (a, &ret->hole_eof, &ret->hole);
    ret->told = true;
    if (v4_take (a, OP_SEEK))
      v4_get_seek (a, &ret->data_eof, &ret->data);
    break;
  }
}

/* RFC 7862 §15.11: the hole and the data that come next. One of them is here,
 * and goes up to the other; or to the end.
 */
static enum err
status_extent (const struct nfs_piece *p, const struct answered *x,
               bool no_data, struct nfs_result *ret, struct fault *f)
{
  struct io_extent e = {.length = p->length};
  bool in_hole = !x->hole_eof && x->hole == p->offset;
  /* A write came between the two, so that nothing is known of what follows:
   * "allocated" is what all of it may be called.
   */
  bool raced = in_hole && !no_data && !x->data_eof && x->data == p->offset;
  uint64_t next = in_hole ? x->data : x->hole;
  bool to_the_end = in_hole ? no_data || x->data_eof : x->hole_eof;

  if (!to_the_end && !raced) {
    if (next <= p->offset)
      return fault_set (f, ERR_PEER,
                        "the server answers SEEK from %" PRIu64 " by %" PRIu64
                        " (seek_res4.sr_offset, RFC 7862 §15.11)",
                        p->offset, next);
    if (next - p->offset < e.length)
      e.length = next - p->offset;
  }
  if (in_hole && !raced)
    e.flags = IO_EXTENT_HOLE | IO_EXTENT_ZERO;
  memcpy (p->data, &e, sizeof e);
  ret->extents = 1;
  ret->count = (uint32_t)e.length;
  return ERR_OK;
}

/* SEQUENCE itself was refused: nothing was executed (§18.46.3). */
static enum err
sequence_refused (struct nfs *n, const struct rpc_call *call,
                  const struct nfs_piece *p, const struct v4_answer *a,
                  struct nfs_result *ret, struct fault *f)
{
  struct v4 *v = v4_of (n);
  enum v4_step from;

  ret->verdict = NFS_AGAIN;
  switch (v4_status_find (a->status)->recovery) {
  case V4_DO_WAIT: /* perhaps the first one is still under way */
    v4_slots_leave (&v->slots, call->slot);
    ret->verdict = NFS_DELAY;
    return ERR_OK;
  case V4_DO_AGAIN: /* §2.10.6.1.3.1: over; the next sequence id */
    v4_slots_end (&v->slots, call->slot);
    if (p->repeated) /* not for ever */
      ret->verdict = NFS_DELAY;
    return ERR_OK;
  case V4_DO_BIND:
    v4_slots_leave (&v->slots, call->slot);
    if (p->lane > 0) {
      v4_lane_forgotten (n, p->lane, n->now_ns);
      return ERR_OK;
    }
    break;
  case V4_DO_FAIL:
  case V4_DO_SESSION:
  case V4_DO_CLIENT:
  case V4_DO_STATE:
  case V4_DO_HANDLE:
  case V4_DO_WHERE:
  case V4_DO_BROKEN:
    v4_slots_end (&v->slots, call->slot);
    break;
  }
  from = v4_mends_from (n, a->status);
  if (from == V4_IDLE || v->begun_again > V4_BEGIN_AGAIN_MAX)
    return v4_refused (n, OP_SEQUENCE, a->status, f);
  v4_mend (n, from);
  return ERR_OK;
}

/* The server refuses by its state what it has found good, or has opened, again
 * and again: nothing that we know of mends that. Other requests may well work,
 * so that it is the request that ends, and not the session.
 */
static bool
given_up (struct nfs *n, const struct nfs_piece *p, const struct v4_answer *a,
          struct nfs_result *ret)
{
  struct v4 *v = v4_of (n);
  const struct v4_status *s = v4_status_find (a->status);

  if (s->recovery != V4_DO_STATE
      || p->mends < (v->begun_again <= V4_BEGIN_AGAIN_MAX ? V4_MENDS_MAX : 2))
    return false;
  snprintf (n->lanes.said, sizeof n->lanes.said,
            "%.120s: the server refuses %s by %s again and again, though the "
            "file can be opened: the request fails",
            n->options.path, v4_op_name (a->failed), s->name);
  v->begun_again = 0;
  ret->error = ERR_IO;
  return true;
}

/* An operation was refused. */
static enum err
piece_refused (struct nfs *n, const struct nfs_piece *p,
               const struct v4_answer *a, struct nfs_result *ret,
               struct fault *f)
{
  struct v4 *v = v4_of (n);
  const struct v4_status *s = v4_status_find (a->status);
  enum v4_step from;

  if (s->recovery == V4_DO_WAIT) {
    ret->verdict = NFS_DELAY;
    return ERR_OK;
  }
  /* §2.10.6.1.3: SEQUENCE is kept always, what follows it was not. */
  if (s->recovery == V4_DO_AGAIN) {
    ret->verdict = p->repeated ? NFS_DELAY : NFS_AGAIN;
    return ERR_OK;
  }
  /* It worked once; READ is there always, and its answer has no segments, which
   * may be too many for the session's limit (REP_TOO_BIG).
   */
  if (a->failed == OP_READ_PLUS
      && (s->err == ERR_NOTSUP || s->recovery == V4_DO_BROKEN)) {
    v->memory.caps &= ~V4_CAN_READ_PLUS;
    ret->verdict = NFS_AGAIN;
    return ERR_OK;
  }
  if (s->recovery == V4_DO_BROKEN)
    return v4_refused (n, a->failed, a->status, f);
  if (s->recovery == V4_DO_FAIL) {
    /* So it may be with others that are under way; but not for ever. */
    if (a->failed == OP_WRITE && (p->op == IO_TRIM || p->op == IO_ZERO)) {
      v->empty_write_fails = true;
      ret->verdict = p->repeated ? NFS_DELAY : NFS_AGAIN;
      return ERR_OK;
    }
    /* The range is inside a file that is open. */
    ret->error = s->err == ERR_NOENT || s->err == ERR_ISDIR
                         || s->err == ERR_INVAL
                     ? ERR_IO
                     : s->err;
    return ERR_OK;
  }
  if (given_up (n, p, a, ret))
    return ERR_OK;
  ret->verdict = NFS_MENDED;
  from = v4_mends_from (n, a->status);
  if (from == V4_IDLE || v->begun_again > V4_BEGIN_AGAIN_MAX)
    return v4_refused (n, a->failed, a->status, f);
  v4_mend (n, from);
  return ERR_OK;
}

static enum err
piece_answered (struct nfs *n, const struct nfs_piece *p,
                const struct answered *x, struct nfs_result *ret,
                struct fault *f)
{
  v4_of (n)->begun_again = 0;
  n->lanes.lane[p->lane].binds = 0;
  if (p->op == IO_READ)
    v4_plus_watch (v4_of (n), x->plus ? (int)x->holes : -1);
  if (x->plus && x->count == 0)
    v4_plus_distrust (n);
  ret->count = x->count;
  ret->has_verifier = x->has_verifier;
  memcpy (ret->verifier, x->write.verifier, sizeof ret->verifier);
  if (p->op == IO_STATUS)
    return status_extent (p, x, false, ret, f);
  if (p->op == IO_READ && x->count == 0 && x->eof)
    return fault_set (f, ERR_IO,
                      "%s: the file ends before %" PRIu64
                      "; somebody has made it shorter",
                      n->options.path, p->offset);
  if ((p->op == IO_READ || p->op == IO_WRITE) && x->count == 0)
    return fault_set (f, ERR_PEER,
                      "the server answers %s of %u bytes by none (field count, "
                      "RFC 8881 §18.22.3, §18.32.3)",
                      p->op == IO_READ ? "READ" : "WRITE", p->length);
  return ERR_OK;
}

enum err
v4_result (struct nfs *n, const struct rpc_call *call,
           const struct nfs_piece *p, struct rpc_reply *r, uint64_t now_ns,
           struct nfs_result *ret, struct fault *f)
{
  struct v4 *v = v4_of (n);
  struct v4_sequence_result sequence = {0};
  struct answered x = {.plus = call->procedure == &read_plus};
  struct v4_answer a;
  enum err e;

  if (take_head (n, call, &a, &r->x, &sequence))
    take_piece (p, &a, r, &x);
  if (x.plus && r->x.bad)
    v4_plus_distrust (n);
  e = v4_close_answer (&a, call->procedure->name, f);
  if (e)
    return e;
  if (a.status && (a.failed == OP_SEQUENCE || !a.failed)) {
    e = sequence_refused (n, call, p, &a, ret, f);
  } else {
    v4_slots_end (&v->slots, call->slot);
    v4_sequence_flags (n, &sequence, now_ns);
    if (!a.status)
      e = piece_answered (n, p, &x, ret, f);
    else if (p->op == IO_STATUS && a.status == NFS4ERR_NXIO && x.told
             && x.hole == p->offset) /* a hole, and no data behind it */
      e = status_extent (p, &x, true, ret, f);
    else
      e = piece_refused (n, p, &a, ret, f);
  }
  if (!e)
    v4_pump (n, now_ns);
  return e;
}
