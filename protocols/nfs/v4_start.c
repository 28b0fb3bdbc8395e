/* SPDX-License-Identifier: BSD-2-Clause */
/* What follows what: the chain of steps that v4.h draws. Each answer is read to
 * its end and found sound before anything is done about it.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <string.h>

#define CACHED_LEAST_BYTES 512u

enum err
v4_refused (const struct nfs *n, uint32_t op, uint32_t status, struct fault *f)
{
  const struct v4_status *s = v4_status_find (status);
  enum err e = s ? s->err : ERR_PEER;

  fault_set (f, e, "%s: the server refuses %s: %s", n->options.path,
             op ? v4_op_name (op) : "the call", s ? s->name : "no error");
  switch (status) {
  case NFS4ERR_WRONGSEC:
    fault_hint (f, "the export must allow sec=sys");
    break;
  case NFS4ERR_SHARE_DENIED:
    fault_hint (f, n->options.exclusive
                       ? "another client has the file open, or denies others "
                         "to write to it; exclusive=yes wants it alone"
                       : "another client has opened the file and denies "
                         "others to write to it");
    break;
  case NFS4ERR_MOVED:
    fault_hint (f, "the file system has moved to another server, which it does "
                   "not name: the URL must name that one");
    break;
  case NFS4ERR_CLID_INUSE:
    fault_hint (f, "another user of this host has used the same client "
                   "identifier; it is free after the lease");
    break;
  case NFS4ERR_SYMLINK:
  case NFS4ERR_NOTDIR:
    fault_hint (f, "a part of the path is no directory");
    break;
  default:
    break;
  }
  return e;
}

/* -------------------------------------------------------------- trouble --- */

enum v4_step
v4_mends_from (struct nfs *n, uint32_t status)
{
  struct v4_memory *m = &v4_of (n)->memory;
  const struct v4_status *s = v4_status_find (status);

  switch (s ? s->recovery : V4_DO_BROKEN) {
  case V4_DO_BIND:
    return V4_BIND;
  case V4_DO_SESSION:
    /* Where the session still exists it must not go on executing. */
    return status == NFS4ERR_BADSESSION || status == NFS4ERR_DEADSESSION
               ? V4_EXCHANGE_ID
               : V4_DESTROY_OLD;
  case V4_DO_CLIENT:
    return V4_EXCHANGE_ID;
  case V4_DO_STATE:
    return V4_TEST;
  case V4_DO_HANDLE:
    m->fh.length_bytes = 0;
    return V4_WALK;
  case V4_DO_WHERE:
    v4_of (n)->where_walked = false;
    return m->fh.length_bytes > 0 ? V4_WHERE : V4_IDLE;
  case V4_DO_FAIL:
  case V4_DO_WAIT:
  case V4_DO_AGAIN:
  case V4_DO_BROKEN:
    break;
  }
  return V4_IDLE;
}

void
v4_mend (struct nfs *n, enum v4_step from)
{
  struct v4 *v = v4_of (n);

  if (from == V4_TEST && v->begun_again > 0 && !v->mending) {
    /* It was tested, and good; and is not. Not so if it is said again, of what
     * was under way beside it.
     */
    v->memory.has_open = false;
    from = V4_WALK;
  }
  /* Steps are in the order of the chain: the earliest one mends most. */
  if (!v->mending || from < v->mend_from)
    v->mend_from = from;
  if (!v->mending)
    v->begun_again++;
  v->mending = true;
}

enum err
v4_begin_again (struct nfs *n, enum v4_step from, uint32_t op, uint32_t status,
             uint64_t now_ns, struct fault *f)
{
  struct v4 *v = v4_of (n);

  if (v->begun_again++ >= V4_BEGIN_AGAIN_MAX)
    return v4_refused (n, op, status, f);
  if (from == V4_TEST) {
    v->memory.has_open = false;
    from = V4_WALK;
  }
  v4_go (n, from);
  if (v->begun_again > 1)
    return v4_wait (n, status, now_ns, f);
  return ERR_OK;
}

enum err
v4_on_error (struct nfs *n, const struct v4_answer *a, uint64_t now_ns,
          struct fault *f)
{
  struct v4 *v = v4_of (n);
  const struct v4_status *s = v4_status_find (a->status);
  enum v4_step from;

  if (s->recovery == V4_DO_WAIT)
    return v4_wait (n, a->status, now_ns, f);
  if (s->recovery == V4_DO_AGAIN) {
    /* §2.10.6.1.3: it is over, with an answer that nobody has. */
    if (v->begun_again++ >= V4_BEGIN_AGAIN_MAX)
      return v4_refused (n, a->failed, a->status, f);
    v->unsent = true;
    return ERR_OK;
  }
  from = v4_mends_from (n, a->status);
  if (from == V4_IDLE)
    return v4_refused (n, a->failed, a->status, f);
  return v4_begin_again (n, from, a->failed, a->status, now_ns, f);
}

/* --------------------------------------------------------------- session ---
 */

static enum err
got_exchange_id (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                 struct fault *f)
{
  struct v4 *v = v4_of (n);
  struct v4_exchange_id_result r = {0};
  enum err e;

  if (v4_take (a, OP_EXCHANGE_ID))
    v4_get_exchange_id (a, &r);
  e = v4_close_answer (a, "EXCHANGE_ID", f);
  if (e)
    return e;
  if (a->status)
    return v4_on_error (n, a, now_ns, f);
  if (!v->memory.has_client || !r.confirmed
      || v->memory.clientid != r.clientid)
    v->memory.complete = false;
  v->memory.has_client = true;
  v->memory.has_session = false;
  v->memory.clientid = r.clientid;
  v->create_sequenceid = r.sequenceid;
  v4_memory_store (n);
  v4_go (n, V4_CREATE_SESSION);
  return ERR_OK;
}

/* The server's limits, checked. */
static enum err
note_session (struct nfs *n, const struct v4_create_session_result *r,
              struct fault *f)
{
  struct v4_memory *m = &v4_of (n)->memory;
  const struct v4_channel *fore = &r->fore;

  if (fore->maxrequests < 2 || fore->maxoperations < V4_OPERATIONS_LEAST
      || fore->maxrequestsize < V4_DATA_OVERHEAD_BYTES + V4_IO_LEAST_BYTES
      || fore->maxresponsesize < V4_DATA_OVERHEAD_BYTES + V4_IO_LEAST_BYTES)
    return fault_set (f, ERR_LIMIT,
                      "the server grants a session of %u slots, %u operations "
                      "a call, calls of %u and answers of %u bytes, which is "
                      "too little (channel_attrs4, RFC 8881 §18.36)",
                      fore->maxrequests, fore->maxoperations,
                      fore->maxrequestsize, fore->maxresponsesize);
  /* Pieces under way were cut for the old one. */
  if (n->state == PROTO_READY
      && (fore->maxrequestsize < m->maxrequestsize
          || fore->maxresponsesize < m->maxresponsesize))
    return fault_set (f, ERR_CLOSED,
                      "the server grants a smaller session than before: %s "
                      "begins again",
                      n->dialect->name);
  memcpy (m->session, r->session, sizeof m->session);
  m->slots = fore->maxrequests;
  m->maxoperations = fore->maxoperations;
  m->maxrequestsize = fore->maxrequestsize;
  m->maxresponsesize = fore->maxresponsesize;
  m->cache = fore->maxresponsesize_cached >= CACHED_LEAST_BYTES;
  return ERR_OK;
}

static enum err
got_create_session (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                    struct fault *f)
{
  struct v4 *v = v4_of (n);
  struct v4_create_session_result r = {0};
  enum err e;

  if (v4_take (a, OP_CREATE_SESSION))
    v4_get_create_session (a, &v->asked, &r);
  e = v4_close_answer (a, "CREATE_SESSION", f);
  if (e)
    return e;
  /* Somebody with our owner has made one in between (§18.36.4). */
  if (a->status == NFS4ERR_SEQ_MISORDERED)
    return v4_begin_again (n, V4_EXCHANGE_ID, a->failed, a->status, now_ns, f);
  if (a->status)
    return v4_on_error (n, a, now_ns, f);
  e = note_session (n, &r, f);
  if (e)
    return e;
  v4_slots_new (&v->slots, v4_memory_slots (v), v->memory.slots);
  v4_lanes_unbind (n);
  v4_go (n, V4_CLAIM);
  return ERR_OK;
}

/* The session is there. What was open is taken back from a server that knows
 * the client no more, and it is told that this was all (§18.51.3), once: though
 * an engine before this one was interrupted there.
 */
static void
go_on (struct nfs *n)
{
  const struct v4_memory *m = &v4_of (n)->memory;

  if (m->complete)
    v4_go (n, V4_WALK);
  else if (m->has_open && m->fh.length_bytes > 0)
    v4_go (n, V4_RECLAIM);
  else
    v4_go (n, V4_RECLAIM_COMPLETE);
}

/* v4.h: is the session ours, or another one's? */
static enum err
got_claim (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
           struct fault *f)
{
  struct v4 *v = v4_of (n);
  struct v4_attrs attrs;
  bool ours = true;
  enum err e;

  if (v4_take (a, OP_PUTROOTFH))
    for (unsigned i = 0; i < 3 && v4_take (a, OP_GETATTR); i++) {
      v4_get_attrs (a->x, V4_ATTRS_REQUIRED, &attrs);
      if (attrs.have != v->nonce_masks[i])
        ours = false;
    }
  e = v4_close_answer (a, "GETATTR", f);
  if (e)
    return e;
  if (a->status == NFS4ERR_SEQ_MISORDERED
      || a->status == NFS4ERR_SEQ_FALSE_RETRY
      || a->status == NFS4ERR_RETRY_UNCACHED_REP)
    ours = false;
  else if (a->status)
    return v4_on_error (n, a, now_ns, f);
  if (!ours)
    return v4_begin_again (n, V4_EXCHANGE_ID, OP_SEQUENCE,
                        NFS4ERR_SEQ_MISORDERED, now_ns, f);
  v->memory.has_session = true;
  v4_memory_store (n);
  if (n->state == PROTO_READY)
    n->pieces_max = v->memory.slots - 1;
  go_on (n);
  return ERR_OK;
}

static enum err
got_check (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
           struct fault *f)
{
  enum err e = v4_close_sequence (a, f);

  if (e)
    return e;
  if (a->failed && v4_status_find (a->status)->recovery != V4_DO_AGAIN)
    return v4_on_error (n, a, now_ns, f);
  go_on (n); /* it lives */
  return ERR_OK;
}

static enum err
got_bind (struct nfs *n, struct v4_answer *a, uint64_t now_ns, struct fault *f)
{
  enum err e;

  if (v4_take (a, OP_BIND_CONN_TO_SESSION))
    v4_get_bind (a, v4_of (n)->memory.session);
  e = v4_close_answer (a, "BIND_CONN_TO_SESSION", f);
  if (e)
    return e;
  if (a->status)
    return v4_on_error (n, a, now_ns, f);
  v4_go (n, V4_CHECK);
  return ERR_OK;
}

static enum err
got_destroy_old (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                 struct fault *f)
{
  enum err e;

  v4_take (a, OP_DESTROY_SESSION);
  e = v4_close_answer (a, "DESTROY_SESSION", f);
  if (e)
    return e;
  if (a->status == NFS4ERR_DELAY || a->status == NFS4ERR_BACK_CHAN_BUSY)
    return v4_wait (n, a->status, now_ns, f);
  /* Whatever else it says, that session is not used any more. */
  v4_go (n, V4_EXCHANGE_ID);
  return ERR_OK;
}

static enum err
got_reclaim_complete (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                      struct fault *f)
{
  enum err e;

  v4_take (a, OP_RECLAIM_COMPLETE);
  e = v4_close_answer (a, "RECLAIM_COMPLETE", f);
  if (e)
    return e;
  if (a->status && a->status != NFS4ERR_COMPLETE_ALREADY)
    return v4_on_error (n, a, now_ns, f);
  v4_of (n)->memory.complete = true;
  v4_memory_store (n);
  v4_go (n, V4_WALK);
  return ERR_OK;
}

enum err
v4_beside_refused (struct nfs *n, const struct v4_answer *a, uint64_t now_ns,
                   struct fault *f)
{
  struct v4 *v = v4_of (n);
  enum v4_recovery recovery = v4_status_find (a->status)->recovery;
  enum v4_step from;

  /* The step stays: it is sent again. */
  if (recovery == V4_DO_WAIT || recovery == V4_DO_AGAIN)
    return v4_on_error (n, a, now_ns, f);
  v->step = V4_IDLE;
  v->give_up_ns = 0;
  if (recovery == V4_DO_BIND && v->lane > 0) {
    v4_lane_forgotten (n, v->lane, now_ns);
    return ERR_OK;
  }
  from = v4_mends_from (n, a->status);
  if (from == V4_IDLE || v->begun_again > V4_BEGIN_AGAIN_MAX)
    return v4_refused (n, a->failed, a->status, f);
  v4_mend (n, from);
  return ERR_OK;
}

static enum err
got_renew (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
           struct fault *f)
{
  enum err e = v4_close_answer (a, "SEQUENCE", f);

  if (e)
    return e;
  if (a->status)
    return v4_beside_refused (n, a, now_ns, f);
  v4_of (n)->step = V4_IDLE;
  v4_of (n)->give_up_ns = 0;
  return ERR_OK;
}

static enum err
got_leave (struct nfs *n, struct v4_answer *a, struct fault *f)
{
  struct v4 *v = v4_of (n);
  bool good = true;
  enum err e;

  if (v->operations == 4) /* with PUTFH and CLOSE */
    good = v4_take (a, OP_PUTFH) && v4_take (a, OP_CLOSE);
  if (good && v->operations == 4) {
    struct v4_stateid unused;

    v4_get_stateid (a, &unused);
  }
  if (good)
    v4_take (a, OP_DESTROY_SESSION);
  e = v4_close_answer (a, "DESTROY_SESSION", f);
  if (e)
    return e;
  v4_go (n, V4_LEAVE_CLIENT);
  return ERR_OK;
}

static enum err
got_leave_client (struct nfs *n, struct v4_answer *a, struct fault *f)
{
  enum err e;

  v4_take (a, OP_DESTROY_CLIENTID);
  e = v4_close_answer (a, "DESTROY_CLIENTID", f);
  v4_of (n)->step = V4_IDLE; /* CLIENTID_BUSY: others use it */
  n->left = true;
  return e;
}

enum err
v4_step_answer (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                struct fault *f)
{
  switch (v4_of (n)->step) {
  case V4_CHECK:
    return got_check (n, a, now_ns, f);
  case V4_BIND:
    return got_bind (n, a, now_ns, f);
  case V4_DESTROY_OLD:
    return got_destroy_old (n, a, now_ns, f);
  case V4_EXCHANGE_ID:
    return got_exchange_id (n, a, now_ns, f);
  case V4_CREATE_SESSION:
    return got_create_session (n, a, now_ns, f);
  case V4_CLAIM:
    return got_claim (n, a, now_ns, f);
  case V4_RECLAIM:
    return v4_got_reclaim (n, a, now_ns, f);
  case V4_RECLAIM_COMPLETE:
    return got_reclaim_complete (n, a, now_ns, f);
  case V4_WHERE:
    return v4_got_where (n, a, f);
  case V4_WALK:
    return v4_got_walk (n, a, now_ns, f);
  case V4_READLINK:
    return v4_got_readlink (n, a, now_ns, f);
  case V4_TEST:
    return v4_got_test (n, a, now_ns, f);
  case V4_FREE:
    return v4_got_free (n, a, f);
  case V4_OPEN:
    return v4_got_open (n, a, now_ns, f);
  case V4_GIVE_BACK:
    return v4_got_give_back (n, a, now_ns, f);
  case V4_RESIZE:
    return v4_got_resize (n, a, now_ns, f);
  case V4_PROBE_SEEK:
  case V4_PROBE_READ_PLUS:
  case V4_PROBE_DEALLOCATE:
  case V4_PROBE_ALLOCATE:
    return v4_got_probe (n, a, now_ns, f);
  case V4_READDIR:
    return v4_got_readdir (n, a, now_ns, f);
  case V4_LOOK:
    return v4_got_look (n, a, now_ns, f);
  case V4_RENEW:
    return got_renew (n, a, now_ns, f);
  case V4_LEAVE:
    return got_leave (n, a, f);
  case V4_LEAVE_CLIENT:
    return got_leave_client (n, a, f);
  case V4_IDLE:
  case V4_SETTLE:
  case V4_BIND_LANE:
  case V4_STEPS:
    break;
  }
  return fault_set (f, ERR_PEER, "an answer that nobody waits for");
}
