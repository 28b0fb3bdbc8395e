/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the NFSv4.1/4.2 dialect share: v4_dialect.c (the table,
 * time, goodbye), v4_steps.c (the calls of its own), v4_start.c and
 * v4_walk.c and v4_file.c (what follows what), v4_io.c (pieces of requests),
 * v4_memory.c (the identity page), v4_lanes.c (more than one connection).
 *
 * The session (RFC 8881 §2.10) is made by one chain of steps, and a broken one
 * is mended by the same chain, entered where the error says:
 *
 *   CHECK ─ok──────────────────────────────────────────┐
 *     │ BADSESSION, DEADSESSION …                      │
 *   EXCHANGE_ID → CREATE_SESSION → CLAIM ─────────────→│
 *     a new client ID: → RECLAIM → RECLAIM_COMPLETE ──→│  (CHECK as well,
 *                                                      │  if it broke there)
 *                                                    WALK → TEST → OPEN →
 * probes → done: nfs_ready, or the pieces go on WALK ⇄ READLINK; MOVED: → WHERE
 * → a fault
 *
 * While it is being mended no piece is sent (may_send), and those that the
 * server refused go again afterwards.
 *
 * Who we are (§2.4): the owner says host, user, path, and connection, so that
 * each connection has a client ID, and reclaims its own state after the server
 * has restarted. (That is a path's number: a session's other connections are
 * not counted.) With exclusive=yes there is one session: a share reservation
 * holds against everybody, the same open owner included (§9.7), so that a
 * second OPEN would be denied. Two gateway processes of a volume are one
 * client; they may ask for a session at the same time, with the same sequence
 * id, and be given the same one (§18.36.4). So a session is claimed first: its
 * first request asks for a random choice of attributes three times over; who
 * gets an answer to another choice has got another one's session and begins
 * again. The verifier never changes: nothing is lost when we restart.
 */
#ifndef BH_PROTOCOLS_NFS_V4_H
#define BH_PROTOCOLS_NFS_V4_H

#include <stdbool.h>
#include <stdint.h>

#include "protocols/nfs/dialect.h"
#include "protocols/nfs/v4_attr.h"
#include "protocols/nfs/v4_compound.h"
#include "protocols/nfs/v4_slots.h"
#include "protocols/nfs/walk.h"

#define V4_NS_PER_S 1000000000ull
/* COMPOUND of a piece without payload, and of any step. */
#define V4_PIECE_ARGUMENTS_BYTES 512u
#define V4_STEP_ARGUMENTS_BYTES (8u * 1024)
/* A LOOKUP for each component; so many in one call. */
#define V4_LOOKUPS 8u
/* Of one call; what we ask the server for. */
#define V4_OPERATIONS_MAX 16u
#define V4_OPERATIONS_LEAST 6u
/* Found out by trying. */
#define V4_CAPS_PROBED                                                         \
  (VOLUME_CAN_STATUS | VOLUME_CAN_TRIM | VOLUME_CAN_ZERO                       \
   | VOLUME_CAN_FAST_ZERO)
/* Ours, beside them: READ_PLUS, and it may pay. */
#define V4_CAN_READ_PLUS 0x80000000u
/* And: not again, as its answers are broken. */
#define V4_NO_READ_PLUS 0x40000000u
#define V4_OWNER_BYTES 192u
/* Of a call or an answer around its data: credential, SEQUENCE, PUTFH … */
#define V4_DATA_OVERHEAD_BYTES 1024u
#define V4_IO_LEAST_BYTES 512u
/* A chain that begins again so often without anything having worked. */
#define V4_BEGIN_AGAIN_MAX 12u
/* A request that is refused by its state so often, though that was mended. */
#define V4_MENDS_MAX 8u

enum v4_step {
  V4_IDLE,
  V4_CHECK,
  V4_BIND,
  V4_DESTROY_OLD,
  V4_EXCHANGE_ID,
  V4_CREATE_SESSION,
  V4_CLAIM,
  V4_RECLAIM,
  V4_RECLAIM_COMPLETE,
  V4_WHERE,
  V4_WALK,
  V4_READLINK,
  V4_TEST,
  V4_FREE,
  V4_OPEN,
  V4_GIVE_BACK,
  V4_RESIZE,
  V4_PROBE_SEEK,
  V4_PROBE_READ_PLUS,
  V4_PROBE_DEALLOCATE,
  V4_PROBE_ALLOCATE,
  V4_READDIR,
  V4_LOOK, /* has the file changed? */
  V4_RENEW,
  V4_LEAVE,
  V4_LEAVE_CLIENT,
  V4_SETTLE, /* of any slot; not a step of the chain */
  V4_BIND_LANE, /* nor is this: beside it, on that lane */
  V4_STEPS,
};

/* What outlives the connection, in the identity page; all of it is checked by
 * use: the server refuses what is not so.
 */
struct v4_memory {
  uint64_t clientid;
  uint64_t nonce; /* in our open owner */
  uint8_t session[NFS4_SESSIONID_SIZE];
  bool has_client, has_session, has_open;
  bool complete; /* the client has said RECLAIM_COMPLETE */
  bool cache; /* the session keeps answers of writes */
  bool probed;
  uint32_t slots, maxrequestsize, maxresponsesize, maxoperations;
  uint32_t caps; /* VOLUME_CAN_…, found by probing */
  uint32_t open_access;
  struct v4_stateid open;
  struct v4_fh fh;
};

struct v4 {
  uint32_t minor;
  struct v4_memory memory;
  struct v4_slots slots;
  uint8_t *page; /* V4_PAGE_BYTES: of the identity, or local */
  bool page_is_local;

  /* The step under way, or to be sent. */
  enum v4_step step;
  bool unsent, waiting_for_answer;
  unsigned lane; /* RENEW goes to every one in turn; all others: 0 */
  uint32_t operations; /* of the call */
  struct v4_sequence sequence;
  uint64_t wake_ns;      /* not before that */
  uint64_t answer_by_ns; /* when it was sent */
  uint64_t give_up_ns;   /* 0: has not waited yet */
  unsigned waits;

  bool mending; /* in PROTO_READY */
  enum v4_step mend_from;
  bool state_in_doubt;  /* SEQUENCE says that some was revoked */
  unsigned begun_again; /* since something worked */
  unsigned settling;
  uint64_t settle_ns; /* when slots that are LEFT are settled */
  bool settle_delayed; /* until then, as the server was not ready */
  uint64_t renewed_ns, lease_ns;
  bool leaving, leave_due; /* the last one: when no other step is under way */

  /* of EXCHANGE_ID and CREATE_SESSION */
  uint32_t create_sequenceid;
  struct v4_create_session asked;
  uint32_t nonce_masks[3];

  /* of WALK */
  struct nfs_walk walk;
  size_t walk_next;      /* in walk.path, behind what the call looks up */
  uint32_t walk_lookups; /* in the call */
  bool walk_last;        /* it goes to the path's end */
  struct v4_fh walk_fh;  /* of walk.done_bytes, if that is not the root */
  /* READLINK, WHERE: of what lies so many LOOKUPs behind walk_fh, at link_at;
   * and why it is taken for a link.
   */
  uint32_t link_lookups, link_status;
  size_t link_at;
  bool where_walked; /* WHERE: so; else of memory.fh */
  struct v4_attrs attrs;
  uint32_t access;
  struct v4_stateid delegation;

  /* of READDIR */
  uint64_t cookie;
  unsigned entries;
  uint8_t cookie_verifier[NFS4_VERIFIER_SIZE];

  /* READ_PLUS: answers without holes, and READs until the next one. */
  unsigned without_holes, plain_reads;

  bool writable;
  bool empty_write_fails; /* a WRITE of no bytes: COMMIT tells the verifier */
  uint8_t local_page[PROTO_IDENTITY_BYTES - NFS_IDENTITY_OWN];
};

static inline struct v4 *
v4_of (const struct nfs *n)
{
  return n->own;
}

/* v4_memory.c */

void
v4_memory_load (struct nfs *n, uint8_t dialect_id);
void
v4_memory_store (struct nfs *n);
/* The page moves into the identity: after nfs_ready. */
void
v4_memory_settle (struct nfs *n);
uint8_t *
v4_memory_slots (struct v4 *v);
/* client_owner4.co_ownerid; and the verifier that goes with it */
size_t
v4_client_owner (const struct nfs *n, uint8_t ret[V4_OWNER_BYTES],
                 uint8_t ret_verifier[NFS4_VERIFIER_SIZE]);
size_t
v4_open_owner (const struct nfs *n, uint8_t ret[V4_OWNER_BYTES]);

/* v4_steps.c: the chain's calls */

extern const struct rpc_procedure v4_procedure[V4_STEPS];

/* Begins with SEQUENCE, on slot 0. */
bool
v4_in_session (enum v4_step step);

/* The next step is this; v4_pump sends it. */
void
v4_go (struct nfs *n, enum v4_step step);
/* Nothing is under way any more that the mending has to wait for. */
bool
v4_mends_now (const struct nfs *n);
/* Sends what is to be sent, as far as there is room and it is time. */
void
v4_pump (struct nfs *n, uint64_t now_ns);
/* The same step again after a while. */
enum err
v4_wait (struct nfs *n, uint32_t status, uint64_t now_ns, struct fault *f);
/* SEQUENCE's result is there: what it says besides. */
void
v4_sequence_flags (struct nfs *n, const struct v4_sequence_result *s,
                   uint64_t now_ns);

/* v4_start.c: what follows what */

/* The chain again from there, unless it goes round and round. */
enum err
v4_begin_again (struct nfs *n, enum v4_step from, uint32_t op, uint32_t status,
                uint64_t now_ns, struct fault *f);
/* The session is ready, and a call of its own beside the requests (RENEW, LOOK)
 * was refused: what mends it is begun, or the step stays and goes again.
 */
enum err
v4_beside_refused (struct nfs *n, const struct v4_answer *a, uint64_t now_ns,
                   struct fault *f);
/* The answer to a step is an error. */
enum err
v4_on_error (struct nfs *n, const struct v4_answer *a, uint64_t now_ns,
             struct fault *f);

/* The answer to the step. */
enum err
v4_step_answer (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                struct fault *f);
/* What the chain has to begin with again, given an error of an operation or of
 * SEQUENCE; V4_IDLE: nothing, it is an error of the operation.
 */
enum v4_step
v4_mends_from (struct nfs *n, uint32_t status);
/* In PROTO_READY: no piece is sent until the chain has ended. */
void
v4_mend (struct nfs *n, enum v4_step from);
/* "/a/b: the server refuses OPEN: NFS4ERR_ACCESS" and what to do about it. */
enum err
v4_refused (const struct nfs *n, uint32_t op, uint32_t status,
            struct fault *f);

/* v4_walk.c: what steps along the path ask, and their answers */

void
v4_put_walk (struct nfs *n, struct v4_call *c);
void
v4_put_readlink (struct nfs *n, struct v4_call *c);
void
v4_put_where (struct nfs *n, struct v4_call *c);

enum err
v4_got_walk (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f);
enum err
v4_got_readlink (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                 struct fault *f);
enum err
v4_got_where (struct nfs *n, struct v4_answer *a, struct fault *f);

/* v4_file.c: answers to steps */

/* At the end of the path: v->attrs, v->access, v->walk_fh. */
enum err
v4_arrived (struct nfs *n, struct fault *f);
enum err
v4_got_test (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f);
enum err
v4_got_free (struct nfs *n, struct v4_answer *a, struct fault *f);
enum err
v4_got_open (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f);
enum err
v4_got_reclaim (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                struct fault *f);
enum err
v4_got_give_back (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                  struct fault *f);
enum err
v4_got_resize (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
               struct fault *f);
enum err
v4_got_probe (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
              struct fault *f);
enum err
v4_got_readdir (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                struct fault *f);

/* As nfs_dialect. */
bool
v4_probe (struct nfs *n);
enum err
v4_got_look (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f);

/* v4_list.c */

void
v4_put_list (struct nfs *n, struct v4_call *c);
/* *ret_eof: that was the last part. */
enum err
v4_got_list (struct nfs *n, struct v4_answer *a, bool *ret_eof,
             struct fault *f);

/* v4_locations.c: GETATTR of fs_locations. URLs of `path` at the places that
 * the server names, as many as ret takes; "": none.
 */
void
v4_get_locations (struct v4_answer *a, const char *path, char *ret,
                  size_t ret_size_bytes);

/* v4_plus.c */

bool
v4_plus_pays (const struct nfs *n, const struct nfs_piece *p);
void
v4_plus_watch (struct v4 *v, int holes);
/* The server has sent what no READ_PLUS answers. */
void
v4_plus_distrust (struct nfs *n);
void
v4_plus_locate (struct v4_answer *a, const struct nfs_piece *p,
                struct nfs_located *ret);
void
v4_plus_take (struct v4_answer *a, const struct nfs_piece *p, bool located,
              uint32_t payload_bytes, bool *ret_eof, uint32_t *ret_count,
              uint32_t *ret_holes);

/* v4_lanes.c */

/* A new session: it knows lane 0 only. */
void
v4_lanes_unbind (struct nfs *n);
/* Some lane waits for the answer. */
bool
v4_lanes_binding (const struct nfs *n);
/* Binds what is to be bound, as far as there is room and it is time. */
void
v4_lanes_pump (struct nfs *n, uint64_t now_ns);
/* CONN_NOT_BOUND_TO_SESSION there. */
void
v4_lane_forgotten (struct nfs *n, unsigned lane, uint64_t now_ns);
enum err
v4_got_bind_lane (struct nfs *n, const struct rpc_call *call,
                  struct rpc_reply *r, uint64_t now_ns, struct fault *f);
/* When the server has to hear from us on the lane that was quiet for longest;
 * false: renewing the lease does that.
 */
bool
v4_lanes_quiet (const struct nfs *n, uint64_t *ret_until_ns);
uint64_t
v4_lanes_deadline_ns (const struct nfs *n, uint64_t no_room_ns);
void
v4_lanes_tick (struct nfs *n, uint64_t now_ns);

/* v4_io.c: as nfs_dialect */

bool
v4_may_send (struct nfs *n, const struct nfs_piece *p);
const struct rpc_procedure *
v4_piece_procedure (const struct nfs *n, const struct nfs_piece *p);
void
v4_encode (struct nfs *n, const struct nfs_piece *p, struct rpc_message *m);
enum err
v4_locate (struct nfs *n, const struct rpc_call *call,
           const struct nfs_piece *p, struct xdr *x, struct nfs_located *ret,
           struct fault *f);
enum err
v4_result (struct nfs *n, const struct rpc_call *call,
           const struct nfs_piece *p, struct rpc_reply *r, uint64_t now_ns,
           struct nfs_result *ret, struct fault *f);

#endif
