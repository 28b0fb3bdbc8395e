/* SPDX-License-Identifier: BSD-2-Clause */
/* Has somebody changed the file? GETATTR (RFC 1813 §3.3.1), while requests go
 * on. What wcc_data tell beside WRITEs is of no use for that: with several
 * WRITEs under way nobody knows in which order the server did them, and so
 * which of two answers should have the other's times. Whether a write of our
 * own lies between two answers is known to who asks.
 */
#include "config.h"
#include "protocols/nfs/v3.h"

#include <inttypes.h>

#define GIVE_UP_NS (60 * 1000000000ull)

bool
v3_probe (struct nfs *n)
{
  struct v3 *v = n->own;
  struct rpc_message m;

  if (v->probe_wake_ns > n->now_ns
      || !nfs_has_room (n, 0, NFS3_ARGUMENTS_MAX_BYTES))
    return false;
  v->probe_wake_ns = 0;
  v->probe_by_ns = n->now_ns + NFS_STEP_TIMEOUT_NS;
  m = nfs_begin (n, &nfs3_procedure[NFS3_GETATTR], V3_PROBE);
  nfs3_put_fh (&m.b, &v->fh);
  nfs_send (n, &m);
  return true;
}

/* A server that is not ready, or has a fault for a while, is asked again: an
 * answer that says nothing would hide what was changed before it.
 */
static enum err
ask_later (struct nfs *n, const struct rpc_call *call, enum nfs3_status s,
           uint64_t now_ns, struct fault *f)
{
  struct v3 *v = n->own;

  if (!v->probe_give_up_ns)
    v->probe_give_up_ns = now_ns + GIVE_UP_NS;
  if (now_ns >= v->probe_give_up_ns)
    return v3_path_fault (n, call, s, f);
  v->probe_wake_ns = now_ns + nfs_transfer_delay_ns (n, v->probe_waits++);
  n->probe = NFS_PROBE_ASKED;
  return ERR_OK;
}

enum err
v3_probe_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
                uint64_t now_ns, struct fault *f)
{
  struct v3 *v = n->own;
  struct nfs3_attr attr;
  enum nfs3_status s;
  enum err e;

  v->probe_by_ns = 0;
  if (r->outcome != RPC_SUCCESS)
    return rpc_reply_fault (r, call->procedure, f);
  s = nfs3_take_getattr (&r->x, &attr);
  e = xdr_fault (&r->x, call->procedure->name, f);
  if (e)
    return e;
  if (s == NFS3ERR_STALE || s == NFS3ERR_BADHANDLE)
    return v3_path_fault (n, call, s, f);
  if (s != NFS3_OK)
    return ask_later (n, call, s, now_ns, f);
  e = v3_check_size (n, &attr, f);
  if (e)
    return e;
  v->probe_give_up_ns = 0;
  v->probe_waits = 0;
  nfs_probed (n, v3_change (&attr), attr.size);
  return ERR_OK;
}

uint64_t
v3_probe_deadline_ns (const struct nfs *n)
{
  const struct v3 *v = n->own;

  if (v->probe_by_ns)
    return v->probe_by_ns;
  return v->probe_wake_ns > n->now_ns ? v->probe_wake_ns : PROTO_NO_DEADLINE;
}

enum err
v3_probe_tick (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  const struct v3 *v = n->own;

  if (v->probe_by_ns && now_ns >= v->probe_by_ns)
    return fault_set (f, ERR_TIMEOUT, "no answer to GETATTR within %u seconds",
                      (unsigned)(NFS_STEP_TIMEOUT_NS / 1000000000));
  return ERR_OK; /* one that has to wait goes with the next tx_iov */
}
