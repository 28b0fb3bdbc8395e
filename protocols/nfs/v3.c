/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv3 (RFC 1813): requests. WRITE is UNSTABLE, or FILE_SYNC for FUA; FLUSH is
 * a COMMIT of the whole file. The verifier of either is what the token is made
 * of: a server that has restarted, or lost something, has another one, and what
 * it committed earlier than it had to keeps the one that it was written under.
 */
#include "config.h"
#include "protocols/nfs/v3.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const struct rpc_procedure *
v3_procedure (const struct nfs *n, const struct nfs_piece *p)
{
  (void)n;
  switch (p->op) {
  case IO_READ:
    return &nfs3_procedure[NFS3_READ];
  case IO_WRITE:
    return &nfs3_procedure[NFS3_WRITE];
  default:
    assert (p->op == IO_FLUSH);
    return &nfs3_procedure[NFS3_COMMIT];
  }
}

static enum nfs3_stable
stable_how (const struct nfs_piece *p)
{
  return p->flags & IO_FUA ? NFS3_FILE_SYNC : NFS3_UNSTABLE;
}

static void
v3_encode (struct nfs *n, const struct nfs_piece *p, struct rpc_message *m)
{
  const struct v3 *v = n->own;

  switch (p->op) {
  case IO_READ:
    nfs3_put_read (&m->b, &v->fh, p->offset, p->length);
    break;
  case IO_WRITE:
    nfs3_put_write (&m->b, &v->fh, p->offset, p->length, stable_how (p));
    rpc_put_payload (m, p->data, p->length);
    break;
  default:
    nfs3_put_commit (&m->b, &v->fh, 0, 0); /* §3.3.21: the whole file */
    break;
  }
}

static enum err
v3_locate (struct nfs *n, const struct rpc_call *call,
           const struct nfs_piece *p, struct xdr *x, struct nfs_located *ret,
           struct fault *f)
{
  struct nfs3_read r;
  enum nfs3_status s = nfs3_take_read (x, &r);

  (void)n;
  (void)call;
  (void)p;
  (void)f;
  if (x->bad || s != NFS3_OK)
    return ERR_OK;
  *ret = (struct nfs_located){true, 0, r.data_bytes};
  return ERR_OK;
}

/* What is true of the file now, and not of this request alone, ends the
 * session: the next one finds the path again, or says what became of it.
 */
static enum err
status_result (struct nfs *n, const struct rpc_call *call, enum nfs3_status s,
               struct nfs_result *ret, struct fault *f)
{
  if (s == NFS3ERR_JUKEBOX) {
    ret->verdict = NFS_DELAY;
    return ERR_OK;
  }
  if (s == NFS3ERR_STALE || s == NFS3ERR_BADHANDLE)
    return v3_path_fault (n, call, s, f);
  ret->error = nfs3_status_err (s);
  /* The path is open: what would be a missing file to others is a broken
   * volume here.
   */
  if (ret->error == ERR_NOENT || ret->error == ERR_ISDIR
      || ret->error == ERR_INVAL)
    ret->error = ERR_IO;
  return ERR_OK;
}

static enum err
read_result (struct nfs *n, const struct rpc_call *call,
             const struct nfs_piece *p, struct rpc_reply *r,
             struct nfs_result *ret, struct fault *f)
{
  struct nfs3_read read;
  enum nfs3_status s = nfs3_take_read (&r->x, &read);
  enum err e;

  if (!r->x.bad && s == NFS3_OK)
    xdr_padding_of (&r->x, read.data_bytes,
                    "READ3resok.data: padding, RFC 1813 §3.3.6");
  xdr_end (&r->x, "READ3res: bytes behind its end, RFC 1813 §3.3.6");
  e = xdr_fault (&r->x, call->procedure->name, f);
  if (e)
    return e;
  if (s != NFS3_OK)
    return status_result (n, call, s, ret, f);
  assert (r->located && r->payload_bytes == read.count);
  ret->count = read.count;
  if (read.count > 0)
    return ERR_OK;
  if (read.eof)
    return fault_set (f, ERR_IO,
                      "%s has become shorter on the server: nothing at byte "
                      "%" PRIu64 " of %" PRIu64 " any more (READ, field eof)",
                      n->options.path, p->offset, n->info.size);
  return fault_set (f, ERR_PEER,
                    "the server's answer to READ has no data and is not the "
                    "end of the file (field count, RFC 1813 §3.3.6)");
}

static enum err
write_result (struct nfs *n, const struct rpc_call *call,
              const struct nfs_piece *p, struct rpc_reply *r,
              struct nfs_result *ret, struct fault *f)
{
  struct nfs3_write w = {0};
  enum nfs3_status s = nfs3_take_write (&r->x, &w);
  enum err e = xdr_fault (&r->x, call->procedure->name, f);

  if (e)
    return e;
  if (s != NFS3_OK)
    return status_result (n, call, s, ret, f);
  if (w.count == 0 || w.count > p->length)
    return fault_set (f, ERR_PEER,
                      "the server says that it wrote %u bytes of %u (field "
                      "WRITE3resok.count, RFC 1813 §3.3.7)",
                      w.count, p->length);
  if (w.committed < stable_how (p))
    return fault_set (f, ERR_PEER,
                      "the server committed less than it was asked to, %u "
                      "instead of %u (field WRITE3resok.committed, RFC 1813 "
                      "§3.3.7)",
                      w.committed, stable_how (p));
  ret->count = w.count;
  ret->has_verifier = true;
  memcpy (ret->verifier, w.verifier, NFS_VERIFIER_BYTES);
  return ERR_OK;
}

static enum err
v3_result (struct nfs *n, const struct rpc_call *call,
           const struct nfs_piece *p, struct rpc_reply *r, uint64_t now_ns,
           struct nfs_result *ret, struct fault *f)
{
  enum nfs3_status s;
  enum err e;

  (void)now_ns;
  if (p->op == IO_READ)
    return read_result (n, call, p, r, ret, f);
  if (p->op == IO_WRITE)
    return write_result (n, call, p, r, ret, f);
  s = nfs3_take_commit (&r->x, ret->verifier);
  e = xdr_fault (&r->x, call->procedure->name, f);
  if (e)
    return e;
  if (s != NFS3_OK)
    return status_result (n, call, s, ret, f);
  ret->has_verifier = true;
  return ERR_OK;
}

/* --------------------------------------------------------- the dialect --- */

static enum err
v3_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
          uint64_t now_ns, struct fault *f)
{
  if (call->step == V3_PROBE)
    return v3_probe_reply (n, call, r, now_ns, f);
  return v3_start_reply (n, call, r, now_ns, f);
}

static uint64_t
v3_deadline_ns (const struct nfs *n)
{
  return n->state == PROTO_STARTING ? v3_start_deadline_ns (n)
                                    : v3_probe_deadline_ns (n);
}

static enum err
v3_tick (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  return n->state == PROTO_STARTING ? v3_start_tick (n, now_ns, f)
                                    : v3_probe_tick (n, now_ns, f);
}

const struct nfs_dialect nfs_v3 = {
    .name = "NFSv3",
    .id = 3,
    .version = 3,
    .wanted = "3",
    .own_bytes = sizeof (struct v3),
    .arguments_bytes = NFS3_ARGUMENTS_MAX_BYTES,
    .start = v3_start,
    .reply = v3_reply,
    .procedure = v3_procedure,
    .encode = v3_encode,
    .locate = v3_locate,
    .result = v3_result,
    .probe = v3_probe,
    .deadline_ns = v3_deadline_ns,
    .tick = v3_tick,
};
