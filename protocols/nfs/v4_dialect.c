/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv4.1 and NFSv4.2 as dialects; time, and goodbye. */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <assert.h>
#include <string.h>

#define MS 1000000ull
/* When the outbox has no room for a call of our own. */
#define NO_ROOM_NS (5 * MS)

static void
begin (struct nfs *n, uint32_t minor, uint8_t id, uint64_t now_ns)
{
  struct v4 *v = v4_of (n);

  v->minor = minor;
  v4_memory_load (n, id);
  if (v->memory.has_session) {
    v4_slots_resume (&v->slots, v4_memory_slots (v), v->memory.slots);
    v4_go (n, V4_CHECK);
  } else {
    v4_go (n, V4_EXCHANGE_ID);
  }
  v4_pump (n, now_ns);
}

#define ID_41 41u
#define ID_42 42u

static enum err
start_41 (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  (void)f;
  begin (n, 1, ID_41, now_ns);
  return ERR_OK;
}

static enum err
start_42 (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  (void)f;
  begin (n, 2, ID_42, now_ns);
  return ERR_OK;
}

/* The request that was on a slot is over, or is not yet. */
static enum err
on_settle (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
           uint64_t now_ns, struct fault *f)
{
  struct v4 *v = v4_of (n);
  struct v4_slot *slot = &v->slots.slot[call->slot];
  struct v4_sequence sent = {.session = v->memory.session,
                             .sequenceid = slot->sequenceid,
                             .slotid = call->slot};
  struct v4_sequence_result s = {0};
  struct v4_answer a;
  enum v4_recovery recovery;
  enum v4_step from;
  bool taken;
  enum err e;

  v4_open_answer (&a, &r->x, V4_OPERATIONS_MAX);
  taken = v4_take (&a, OP_SEQUENCE);
  if (taken)
    v4_get_sequence (&a, &sent, &s);
  e = v4_close_sequence (&a, f);
  if (e)
    return e;
  assert (v->settling > 0);
  v->settling--;
  slot->settling = false;
  /* An error without any result says nothing of the request (§16.2.3). */
  recovery = taken ? V4_DO_AGAIN : v4_status_find (a.status)->recovery;
  if (recovery == V4_DO_WAIT) {
    v->settle_ns = now_ns + nfs_transfer_delay_ns (n, 0);
    v->settle_delayed = true;
    return ERR_OK;
  }
  if (recovery == V4_DO_AGAIN) {
    v4_slots_end (&v->slots, call->slot);
    return ERR_OK;
  }
  from = v4_mends_from (n, a.status);
  if (from == V4_IDLE || v->begun_again > V4_BEGIN_AGAIN_MAX)
    return v4_refused (n, OP_SEQUENCE, a.status, f);
  v4_mend (n, from);
  return ERR_OK;
}

/* What SEQUENCE has answered on slot 0. */
static void
on_sequence (struct nfs *n, struct v4_answer *a, uint64_t now_ns)
{
  struct v4 *v = v4_of (n);
  struct v4_sequence_result s = {0};
  enum v4_recovery recovery;

  if (v4_take (a, OP_SEQUENCE)) {
    v4_get_sequence (a, &v->sequence, &s);
    v4_slots_end (&v->slots, 0);
    if (!a->x->bad)
      v4_sequence_flags (n, &s, now_ns);
    return;
  }
  if (a->x->bad)
    return;
  recovery = v4_status_find (a->status)->recovery;
  if (recovery == V4_DO_WAIT || recovery == V4_DO_BIND)
    v4_slots_leave (&v->slots, 0);
  else
    v4_slots_end (&v->slots, 0);
}

static enum err
on_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
          uint64_t now_ns, struct fault *f)
{
  struct v4 *v = v4_of (n);
  struct v4_answer a;
  enum err e;

  if (call->step != V4_BIND_LANE && r->outcome != RPC_SUCCESS)
    return rpc_reply_fault (r, call->procedure, f);
  if (call->step == V4_BIND_LANE) {
    e = v4_got_bind_lane (n, call, r, now_ns, f);
  } else if (call->step == V4_SETTLE) {
    e = on_settle (n, call, r, now_ns, f);
  } else {
    assert (v->waiting_for_answer && call->step == v->step);
    v->waiting_for_answer = false;
    v4_open_answer (&a, &r->x, v->step == V4_CHECK ? V4_OPERATIONS_MAX
                                                   : v->operations);
    if (v4_in_session (v->step))
      on_sequence (n, &a, now_ns);
    e = v4_step_answer (n, &a, now_ns, f);
  }
  if (!e)
    v4_pump (n, now_ns);
  return e;
}

/* ------------------------------------------------------------------ time ---
 */

static uint64_t
least (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static bool
idle (const struct nfs *n)
{
  const struct v4 *v = v4_of (n);

  return n->state == PROTO_READY && !v->mending && !v->leaving
         && v->step == V4_IDLE;
}

/* Well before the lease ends, also if a call or two are lost (§8.3), and before
 * the server takes any of our connections for a dead one.
 */
static uint64_t
renew_at (const struct nfs *n)
{
  const struct v4 *v = v4_of (n);
  uint64_t ns = v->renewed_ns + v->lease_ns / 3, quiet_ns;

  return v4_lanes_quiet (n, &quiet_ns) ? least (ns, quiet_ns) : ns;
}

static uint64_t
deadline_ns (const struct nfs *n)
{
  const struct v4 *v = v4_of (n);
  uint64_t ns = PROTO_NO_DEADLINE;

  if (v->unsent)
    ns = v->wake_ns > n->now_ns ? v->wake_ns : n->now_ns + NO_ROOM_NS;
  if (v->waiting_for_answer)
    ns = v->answer_by_ns;
  if (v4_mends_now (n))
    ns = n->now_ns;
  if (idle (n) && v->lease_ns > 0)
    ns = least (ns, renew_at (n));
  if (n->state == PROTO_READY && !v->mending && v->slots.left > 0
      && v4_slots_to_settle (&v->slots) != V4_NO_SLOT)
    ns = least (ns, v->settle_ns > n->now_ns ? v->settle_ns
                                             : n->now_ns + NO_ROOM_NS);
  return least (ns, v4_lanes_deadline_ns (n, NO_ROOM_NS));
}

static enum err
tick (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  struct v4 *v = v4_of (n);

  if (v->waiting_for_answer && now_ns >= v->answer_by_ns)
    return fault_set (f, ERR_TIMEOUT, "no answer to %s within 30 seconds",
                      v4_procedure[v->step].name);
  v4_lanes_tick (n, now_ns);
  if (idle (n) && v->lease_ns > 0 && now_ns >= renew_at (n))
    v4_go (n, V4_RENEW);
  v4_pump (n, now_ns);
  return ERR_OK;
}

static void
leave (struct nfs *n, uint64_t now_ns)
{
  struct v4 *v = v4_of (n);

  v->leaving = true;
  if (v->mending) {
    n->left = true; /* the lease will end */
    return;
  }
  v->leave_due = true;
  v4_pump (n, now_ns);
}

#define DIALECT(text, number, word, starter)                                   \
  {                                                                            \
    .name = text, .id = number, .version = 4, .wanted = word,                  \
    .own_bytes = sizeof (struct v4),                                           \
    .arguments_bytes = V4_PIECE_ARGUMENTS_BYTES, .start = starter,             \
    .reply = on_reply, .may_send = v4_may_send,                                \
    .procedure = v4_piece_procedure, .encode = v4_encode, .locate = v4_locate, \
    .result = v4_result, .probe = v4_probe, .leave = leave,                    \
    .deadline_ns = deadline_ns, .tick = tick,                                  \
  }

const struct nfs_dialect nfs_v41 = DIALECT ("NFSv4.1", ID_41, "4.1", start_41);
const struct nfs_dialect nfs_v42 = DIALECT ("NFSv4.2", ID_42, "4.2", start_42);
