/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of the dialect's own: what each asks, and when they are sent. What
 * their answers lead to is in v4_start.c.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <assert.h>
#include <string.h>

#define MS 1000000ull
#define ANSWER_TIMEOUT_NS (30 * V4_NS_PER_S)
/* Of a session that had been ready: a server that is not any more (DELAY), and
 * one that has restarted and waits for its clients to come back (GRACE: as long
 * as a lease, §8.4.2).
 */
#define DELAY_IN_ALL_NS (60 * V4_NS_PER_S)
#define GRACE_IN_ALL_NS (300 * V4_NS_PER_S)
#define WAIT_FIRST_NS (50 * MS)
#define WAIT_LONGEST_NS (4000 * MS)

/* Asked for; §18.36. */
#define REQUEST_OVERHEAD_BYTES 2048u
#define CACHED_BYTES 2048u
#define BACK_BYTES 4096u
/* Of a READ_PLUS that is a try. */
#define PROBE_BYTES 512u

#define PROCEDURE(text)                                                        \
  {                                                                            \
    NFS_PROGRAM, 4, 1, text " (NFSv4 COMPOUND)", 0                         \
  }

const struct rpc_procedure v4_procedure[V4_STEPS] = {
    [V4_CHECK] = PROCEDURE ("SEQUENCE"),
    [V4_BIND] = PROCEDURE ("BIND_CONN_TO_SESSION"),
    [V4_DESTROY_OLD] = PROCEDURE ("DESTROY_SESSION"),
    [V4_EXCHANGE_ID] = PROCEDURE ("EXCHANGE_ID"),
    [V4_CREATE_SESSION] = PROCEDURE ("CREATE_SESSION"),
    [V4_CLAIM] = PROCEDURE ("PUTROOTFH and GETATTR"),
    [V4_RECLAIM] = PROCEDURE ("OPEN with CLAIM_PREVIOUS"),
    [V4_RECLAIM_COMPLETE] = PROCEDURE ("RECLAIM_COMPLETE"),
    [V4_WHERE] = PROCEDURE ("GETATTR of fs_locations"),
    [V4_WALK] = PROCEDURE ("LOOKUP"),
    [V4_READLINK] = PROCEDURE ("READLINK"),
    [V4_TEST] = PROCEDURE ("TEST_STATEID"),
    [V4_FREE] = PROCEDURE ("FREE_STATEID"),
    [V4_OPEN] = PROCEDURE ("OPEN"),
    [V4_GIVE_BACK] = PROCEDURE ("DELEGRETURN"),
    [V4_RESIZE] = PROCEDURE ("SETATTR"),
    [V4_PROBE_SEEK] = PROCEDURE ("SEEK"),
    [V4_PROBE_READ_PLUS] = PROCEDURE ("READ_PLUS"),
    [V4_PROBE_DEALLOCATE] = PROCEDURE ("DEALLOCATE"),
    [V4_PROBE_ALLOCATE] = PROCEDURE ("ALLOCATE"),
    [V4_READDIR] = PROCEDURE ("READDIR"),
    [V4_LOOK] = PROCEDURE ("GETATTR"),
    [V4_RENEW] = PROCEDURE ("SEQUENCE"),
    [V4_LEAVE] = PROCEDURE ("CLOSE and DESTROY_SESSION"),
    [V4_LEAVE_CLIENT] = PROCEDURE ("DESTROY_CLIENTID"),
    [V4_SETTLE] = PROCEDURE ("SEQUENCE"),
};

bool
v4_in_session (enum v4_step step)
{
  return step != V4_BIND && step != V4_DESTROY_OLD && step != V4_EXCHANGE_ID
         && step != V4_CREATE_SESSION && step != V4_LEAVE_CLIENT;
}

/* ------------------------------------------------------ what a step asks ---
 */

static void
put_exchange_id (struct nfs *n, struct v4_call *c)
{
  uint8_t owner[V4_OWNER_BYTES], verifier[NFS4_VERIFIER_SIZE];
  struct v4_client_owner o = {verifier, owner,
                              v4_client_owner (n, owner, verifier)};

  v4_put_exchange_id (c, &o);
}

static void
put_create_session (struct nfs *n, struct v4_call *c)
{
  struct v4 *v = v4_of (n);

  v->asked = (struct v4_create_session){
      .clientid = v->memory.clientid,
      .sequenceid = v->create_sequenceid,
      .fore = {.maxrequestsize = NFS_IO_MAX_BYTES + REQUEST_OVERHEAD_BYTES,
               .maxresponsesize = NFS_IO_MAX_BYTES + REQUEST_OVERHEAD_BYTES,
               .maxresponsesize_cached = CACHED_BYTES,
               .maxoperations = V4_OPERATIONS_MAX,
               .maxrequests = V4_SLOTS},
      .back = {.maxrequestsize = BACK_BYTES,
               .maxresponsesize = BACK_BYTES,
               .maxoperations = 2,
               .maxrequests = 1},
  };
  v4_put_create_session (c, &v->asked);
}

/* v4.h: which attributes of the root is our mark on the session. */
static void
put_claim (struct nfs *n, struct v4_call *c)
{
  struct v4 *v = v4_of (n);

  v4_put (c, OP_PUTROOTFH);
  for (unsigned i = 0; i < 3; i++) {
    uint32_t mask[2] = {v->nonce_masks[i], 0};

    v4_put_getattr (c, mask);
  }
}

static void
put_open (struct nfs *n, struct v4_call *c, enum open_claim_type4 claim)
{
  const struct v4 *v = v4_of (n);
  uint8_t owner[V4_OWNER_BYTES];
  bool deny = n->options.exclusive
              && (v->memory.open_access & OPEN4_SHARE_ACCESS_WRITE);
  struct v4_open o = {
      .clientid = v->memory.clientid,
      .owner = owner,
      .owner_bytes = v4_open_owner (n, owner),
      .access = v->memory.open_access | OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
      .deny = deny ? OPEN4_SHARE_DENY_WRITE : OPEN4_SHARE_DENY_NONE,
      .claim = claim,
  };

  v4_put_putfh (c, &v->memory.fh);
  v4_put_open (c, &o);
}

static void
put_probe (struct nfs *n, struct v4_call *c, enum v4_step step)
{
  const struct v4 *v = v4_of (n);

  v4_put_putfh (c, &v->memory.fh);
  if (step == V4_PROBE_SEEK)
    v4_put_seek (c, &v->memory.open, 0, NFS4_CONTENT_HOLE);
  else if (step == V4_PROBE_READ_PLUS)
    v4_put_read_plus (c, &v->memory.open, 0, PROBE_BYTES);
  else /* of no bytes: a server that has it may call that invalid */
    v4_put_range (c, step == V4_PROBE_ALLOCATE ? OP_ALLOCATE : OP_DEALLOCATE,
                  &v->memory.open, 0, 0);
}

static void
put_look (struct nfs *n, struct v4_call *c)
{
  static const uint32_t mask[2] = {V4_ATTRS_LOOK, 0};

  v4_put_putfh (c, &v4_of (n)->memory.fh);
  v4_put_getattr (c, mask);
}

static void
put_resize (struct nfs *n, struct v4_call *c)
{
  static const uint32_t mask[2] = {V4_ATTRS_LOOK, 0};
  const struct v4_memory *m = &v4_of (n)->memory;

  v4_put_putfh (c, &m->fh);
  v4_put_resize (c, &m->open, n->options.resize_bytes);
  v4_put_getattr (c, mask);
}

/* §18.37.3: DESTROY_SESSION has to be the last one. */
static void
put_leave (struct nfs *n, struct v4_call *c)
{
  const struct v4 *v = v4_of (n);

  /* With exclusive=yes the open is that of all connections. */
  if (v->memory.has_open && (!n->options.exclusive || n->connection == 0)) {
    v4_put_putfh (c, &v->memory.fh);
    v4_put_stateid_op (c, OP_CLOSE, &v->memory.open);
  }
  v4_put_destroy_session (c, v->memory.session);
}

static void
put_step (struct nfs *n, struct v4_call *c, enum v4_step step)
{
  struct v4_memory *m = &v4_of (n)->memory;

  switch (step) {
  case V4_BIND:
    v4_put_bind (c, m->session);
    break;
  case V4_DESTROY_OLD:
    v4_put_destroy_session (c, m->session);
    break;
  case V4_EXCHANGE_ID:
    put_exchange_id (n, c);
    break;
  case V4_CREATE_SESSION:
    put_create_session (n, c);
    break;
  case V4_CLAIM:
    put_claim (n, c);
    break;
  case V4_RECLAIM:
    put_open (n, c, CLAIM_PREVIOUS);
    break;
  case V4_RECLAIM_COMPLETE:
    v4_put_reclaim_complete (c);
    break;
  case V4_WHERE:
    v4_put_where (n, c);
    break;
  case V4_WALK:
    v4_put_walk (n, c);
    break;
  case V4_READLINK:
    v4_put_readlink (n, c);
    break;
  case V4_TEST:
    v4_put_stateid_op (c, OP_TEST_STATEID, &m->open);
    break;
  case V4_FREE:
    v4_put_stateid_op (c, OP_FREE_STATEID, &m->open);
    break;
  case V4_OPEN:
    put_open (n, c, CLAIM_FH);
    break;
  case V4_GIVE_BACK:
    v4_put_putfh (c, &m->fh);
    v4_put_stateid_op (c, OP_DELEGRETURN, &v4_of (n)->delegation);
    break;
  case V4_RESIZE:
    put_resize (n, c);
    break;
  case V4_PROBE_SEEK:
  case V4_PROBE_READ_PLUS:
  case V4_PROBE_DEALLOCATE:
  case V4_PROBE_ALLOCATE:
    put_probe (n, c, step);
    break;
  case V4_READDIR:
    v4_put_list (n, c);
    break;
  case V4_LOOK:
    put_look (n, c);
    break;
  case V4_LEAVE:
    put_leave (n, c);
    break;
  case V4_LEAVE_CLIENT:
    v4_put_destroy_clientid (c, m->clientid);
    break;
  case V4_CHECK:
  case V4_RENEW:
  case V4_SETTLE: /* nothing but SEQUENCE */
  case V4_BIND_LANE:
  case V4_IDLE:
  case V4_STEPS:
    break;
  }
}

/* --------------------------------------------------------------- sending ---
 */

static void
send_step (struct nfs *n, uint64_t now_ns)
{
  struct v4 *v = v4_of (n);
  struct rpc_message m
      = nfs_begin_on (n, v->lane, &v4_procedure[v->step], (uint16_t)v->step);
  struct v4_call c;

  v4_begin (&c, &m.b, v->minor);
  if (v4_in_session (v->step)) {
    /* Any operation will do: slot 0 is sent again as SEQUENCE alone. */
    static const struct v4_work own = {.op = IO_FLUSH};

    v->sequence = (struct v4_sequence){
        .session = v->memory.session,
        .sequenceid = v4_slots_begin (&v->slots, 0, &own),
        .highest_slotid = v4_slots_highest (&v->slots, 0),
        .cachethis = v->memory.cache && v->step == V4_CLAIM,
    };
    v4_put_sequence (&c, &v->sequence);
  }
  put_step (n, &c, v->step);
  v4_end (&c);
  if (v->step == V4_LEAVE) {
    v->memory.has_session = v->memory.has_open = false;
    v4_memory_store (n);
  }
  v->operations = c.operations;
  v->unsent = false;
  v->waiting_for_answer = true;
  v->answer_by_ns = now_ns + ANSWER_TIMEOUT_NS;
  if (v->lane > 0)
    nfs_send_on (n, v->lane, &m);
  else
    nfs_send (n, &m);
}

/* The request on that slot is over as soon as the server answers this. */
static void
send_settle (struct nfs *n, uint16_t slot)
{
  struct v4 *v = v4_of (n);
  struct rpc_message m = nfs_begin (n, &v4_procedure[V4_SETTLE], V4_SETTLE);
  struct v4_sequence s = {
      .session = v->memory.session,
      .sequenceid = v->slots.slot[slot].sequenceid,
      .slotid = slot,
      .highest_slotid = v4_slots_highest (&v->slots, slot),
  };
  struct v4_call c;

  m.call->slot = slot;
  v4_begin (&c, &m.b, v->minor);
  v4_put_sequence (&c, &s);
  v4_end (&c);
  v->slots.slot[slot].settling = true;
  v->settling++;
  nfs_send (n, &m);
}

void
v4_go (struct nfs *n, enum v4_step step)
{
  struct v4 *v = v4_of (n);

  if (v->step != step)
    v->waits = 0;
  v->step = step;
  v->lane = step == V4_RENEW ? nfs_lanes_quiet (&n->lanes) : 0;
  v->unsent = step != V4_IDLE;
  v->wake_ns = 0;
  if (step == V4_CLAIM)
    for (unsigned i = 0; i < 3; i++)
      do
        v->nonce_masks[i] = nfs_random (n) & V4_ATTRS_REQUIRED;
      while (!v->nonce_masks[i]);
  if (step == V4_WALK)
    nfs_walk_begin (&v->walk, n->options.path);
}

bool
v4_mends_now (const struct nfs *n)
{
  const struct v4 *v = v4_of (n);

  return v->mending && v->step == V4_IDLE && v->slots.busy == 0
         && v->settling == 0 && !v4_lanes_binding (n);
}

void
v4_pump (struct nfs *n, uint64_t now_ns)
{
  struct v4 *v = v4_of (n);
  uint16_t slot;

  if (v4_mends_now (n)) {
    v4_go (n, v->mend_from);
    v->give_up_ns = 0;
  }
  /* What is under way on another lane could come behind DESTROY_SESSION. */
  if (v->leave_due && v->step == V4_IDLE
      && (n->lanes.count == 1 || v->slots.busy == 0)) {
    v->leave_due = false;
    v4_go (n, V4_LEAVE);
  }
  if (n->lanes.lane[v->lane].state != LANE_OPEN) /* meanwhile */
    v->lane = 0;
  if (v->unsent && now_ns >= v->wake_ns
      && nfs_has_room (n, v->lane, V4_STEP_ARGUMENTS_BYTES))
    send_step (n, now_ns);
  v4_lanes_pump (n, now_ns);
  if (n->state != PROTO_READY || v->mending || now_ns < v->settle_ns)
    return;
  v->settle_delayed = false;
  while (v->slots.left > 0
         && (slot = v4_slots_to_settle (&v->slots)) != V4_NO_SLOT
         && nfs_has_room (n, 0, V4_PIECE_ARGUMENTS_BYTES))
    send_settle (n, slot);
}

enum err
v4_wait (struct nfs *n, uint32_t status, uint64_t now_ns, struct fault *f)
{
  struct v4 *v = v4_of (n);
  uint64_t delay_ns = WAIT_LONGEST_NS;

  if (!v->give_up_ns)
    v->give_up_ns = now_ns
                    + (n->state == PROTO_STARTING ? PROTO_START_WAIT_NS
                       : status == NFS4ERR_GRACE  ? GRACE_IN_ALL_NS
                                                  : DELAY_IN_ALL_NS);
  if (v->waits < 6 && WAIT_FIRST_NS << v->waits < WAIT_LONGEST_NS)
    delay_ns = WAIT_FIRST_NS << v->waits;
  v->waits++;
  /* Half of it at least: those who wait must not come back together. */
  v->wake_ns = now_ns + delay_ns / 2
               + delay_ns / 2 * (nfs_random (n) & 0xffff) / 0xffff;
  if (v->wake_ns >= v->give_up_ns)
    return fault_set (f, ERR_TIMEOUT,
                      "the server is not ready for a long time: %s",
                      v4_status_find (status)->name);
  v->unsent = true;
  n->deadline_ns = v->wake_ns + NFS_STEP_TIMEOUT_NS;
  return ERR_OK;
}

void
v4_sequence_flags (struct nfs *n, const struct v4_sequence_result *s,
                   uint64_t now_ns)
{
  struct v4 *v = v4_of (n);

  v->renewed_ns = now_ns;
  v4_slots_target (&v->slots, s->target_highest_slotid);
  if (s->status_flags & SEQ4_STATUS_RESTART_RECLAIM_NEEDED)
    v->memory.complete = false;
  if (n->state != PROTO_READY || v->mending || v->leaving)
    return;
  if (s->status_flags
      & (SEQ4_STATUS_EXPIRED_ALL_STATE_REVOKED
         | SEQ4_STATUS_EXPIRED_SOME_STATE_REVOKED
         | SEQ4_STATUS_ADMIN_STATE_REVOKED)) {
    /* The flag stays until what was revoked is freed (§18.46.3), which may not
     * be ours.
     */
    if (!v->state_in_doubt)
      v4_mend (n, V4_TEST);
    v->state_in_doubt = true;
  } else {
    v->state_in_doubt = false;
  }
  if (s->status_flags & SEQ4_STATUS_RESTART_RECLAIM_NEEDED)
    v4_mend (n, V4_RECLAIM);
}
