/* SPDX-License-Identifier: BSD-2-Clause */
/* The session's other connections (RFC 8881 §2.10.3.1): each is bound to its
 * fore channel by BIND_CONN_TO_SESSION (§18.34) before it carries anything
 * else.
 *
 * That is done beside the requests, which go over lane 0 until then, and after
 * each new session again. A server that refuses, does not answer, or forgets a
 * connection again and again costs that connection and a line for the user; an
 * answer that says what none can say ends the session.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <assert.h>
#include <stdio.h>

#define ANSWER_TIMEOUT_NS (10 * V4_NS_PER_S)
/* More often than servers restart, less often than they fail. */
#define BINDS_MAX 8u
/* Servers close connections that have been silent for some minutes. */
#define QUIET_NS (60 * V4_NS_PER_S)

void
v4_lanes_unbind (struct nfs *n)
{
  for (unsigned i = 1; i < n->lanes.count; i++)
    if (n->lanes.lane[i].state == LANE_OPEN) {
      n->lanes.lane[i].state = LANE_CLOSED;
      n->lanes.lane[i].binds = 0; /* the server has kept those */
    }
}

bool
v4_lanes_binding (const struct nfs *n)
{
  for (unsigned i = 1; i < n->lanes.count; i++)
    if (n->lanes.lane[i].state == LANE_BINDING)
      return true;
  return false;
}

static void
give_up (struct nfs *n, unsigned lane, const char *why)
{
  char line[PROTO_SAY_BYTES];

  snprintf (line, sizeof line,
            "the server %s one of them (BIND_CONN_TO_SESSION)", why);
  nfs_lanes_give_up (&n->lanes, lane, line);
}

static void
bind (struct nfs *n, unsigned lane, uint64_t now_ns)
{
  struct nfs_lane *l = &n->lanes.lane[lane];
  struct v4 *v = v4_of (n);
  struct rpc_message m;
  struct v4_call c;

  if (l->binds++ >= BINDS_MAX) {
    give_up (n, lane, "does not keep");
    return;
  }
  m = nfs_begin_on (n, lane, &v4_procedure[V4_BIND], V4_BIND_LANE);
  m.call->slot = (uint16_t)lane;
  v4_begin (&c, &m.b, v->minor);
  v4_put_bind (&c, v->memory.session);
  v4_end (&c);
  nfs_send_on (n, lane, &m);
  l->state = LANE_BINDING;
  l->answer_by_ns = now_ns + ANSWER_TIMEOUT_NS;
}

static bool
may_bind (const struct nfs *n)
{
  const struct v4 *v = v4_of (n);

  return n->state == PROTO_READY && !v->mending && !v->leaving
         && !(n->info.caps & VOLUME_IS_LIST);
}

void
v4_lanes_pump (struct nfs *n, uint64_t now_ns)
{
  if (!may_bind (n))
    return;
  for (unsigned i = 1; i < n->lanes.count; i++)
    if (n->lanes.lane[i].state == LANE_CLOSED
        && now_ns >= n->lanes.lane[i].wake_ns
        && nfs_has_room (n, i, V4_PIECE_ARGUMENTS_BYTES))
      bind (n, i, now_ns);
}

void
v4_lane_forgotten (struct nfs *n, unsigned lane, uint64_t now_ns)
{
  assert (lane > 0);
  if (n->lanes.lane[lane].state != LANE_OPEN) /* said of another call before */
    return;
  n->lanes.lane[lane].state = LANE_CLOSED;
  n->lanes.lane[lane].wake_ns = now_ns;
}

/* Not bound, and no lie. */
static void
refused (struct nfs *n, unsigned lane, uint32_t status, uint64_t now_ns)
{
  const struct v4_status *s = v4_status_find (status);
  struct nfs_lane *l = &n->lanes.lane[lane];
  char why[64];

  l->state = LANE_CLOSED;
  if (s->recovery == V4_DO_WAIT && l->binds < BINDS_MAX) {
    l->wake_ns = now_ns + nfs_transfer_delay_ns (n, l->binds);
    return;
  }
  /* Is it the session that is lost, or is that known elsewhere only? */
  if ((status == NFS4ERR_BADSESSION || status == NFS4ERR_DEADSESSION)
      && l->binds == 1) {
    v4_mend (n, V4_CHECK);
    return;
  }
  snprintf (why, sizeof why, "refuses, by %s,", s->name);
  give_up (n, lane, why);
}

enum err
v4_got_bind_lane (struct nfs *n, const struct rpc_call *call,
                  struct rpc_reply *r, uint64_t now_ns, struct fault *f)
{
  struct nfs_lane *l = &n->lanes.lane[call->slot];
  struct v4_answer a;
  enum err e;

  assert (call->slot > 0 && call->slot < n->lanes.count);
  /* Too late: nobody waits any more, and it may be about another session. */
  if (l->state != LANE_BINDING)
    return ERR_OK;
  if (r->outcome != RPC_SUCCESS) {
    give_up (n, call->slot, "denies");
    return ERR_OK;
  }
  v4_open_answer (&a, &r->x, 1);
  if (v4_take (&a, OP_BIND_CONN_TO_SESSION))
    v4_get_bind (&a, v4_of (n)->memory.session);
  e = v4_close_answer (&a, "BIND_CONN_TO_SESSION", f);
  if (e)
    return e;
  if (a.status)
    refused (n, call->slot, a.status, now_ns);
  else
    l->state = LANE_OPEN;
  return ERR_OK;
}

bool
v4_lanes_quiet (const struct nfs *n, uint64_t *ret_until_ns)
{
  const struct nfs_lane *l = &n->lanes.lane[nfs_lanes_quiet (&n->lanes)];

  if (n->lanes.count == 1)
    return false;
  *ret_until_ns = l->heard_ns + QUIET_NS;
  return true;
}

static uint64_t
least (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

uint64_t
v4_lanes_deadline_ns (const struct nfs *n, uint64_t no_room_ns)
{
  uint64_t ns = PROTO_NO_DEADLINE;

  for (unsigned i = 1; i < n->lanes.count; i++) {
    const struct nfs_lane *l = &n->lanes.lane[i];

    if (l->state == LANE_BINDING)
      ns = least (ns, l->answer_by_ns);
    if (l->state == LANE_CLOSED && may_bind (n))
      ns = least (ns, l->wake_ns > n->now_ns ? l->wake_ns
                                             : n->now_ns + no_room_ns);
  }
  return ns;
}

void
v4_lanes_tick (struct nfs *n, uint64_t now_ns)
{
  for (unsigned i = 1; i < n->lanes.count; i++)
    if (n->lanes.lane[i].state == LANE_BINDING
        && now_ns >= n->lanes.lane[i].answer_by_ns)
      give_up (n, i, "does not answer on");
}
