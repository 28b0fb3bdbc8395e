/* SPDX-License-Identifier: BSD-2-Clause */
/* The connections that carry one session, and which of them takes what. Each
 * has record marking, calls under way and an outbox of its own (rpc.h); slots,
 * stateids and requests know of no lane.
 *
 *   CLOSED → BINDING → OPEN     lanes but 0, if the dialect binds them
 *   CLOSED, BINDING → GIVEN_UP  refused, not answered, or ended: for good
 *   OPEN → CLOSED               the server has forgotten it, or the session
 *
 * A piece goes to the open lane with the fewest bytes under way: payload that
 * was sent or is to be, and payload that was asked for, until it is answered.
 * What waits in the outbox alone would count no READ, whose bytes come back;
 * and a lane whose network is slow keeps its bytes longer, so it gets fewer. If
 * all are alike it is the first one: at a queue depth of one there is one
 * connection whose window is open, and one socket that wakes us.
 *
 * Invariants
 *   N1  Lane 0 is OPEN always. A piece is sent on an OPEN lane only.
 *   N2  Two calls under way never have the same XID, whatever their lanes; a
 *       reply counts on the lane of its call only.
 *   N3  load_bytes = the sum of the weights of the pieces that are PIECE_SENT
 * on that lane.
 */
#ifndef BH_PROTOCOLS_NFS_LANES_H
#define BH_PROTOCOLS_NFS_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/nfs/rpc.h"
#include "protocols/nfs/transfer.h"
#include "protocols/proto.h"

enum nfs_lane_state { LANE_CLOSED, LANE_BINDING, LANE_OPEN, LANE_GIVEN_UP };

struct nfs_lane {
  struct rpc rpc;
  enum nfs_lane_state state;
  uint64_t load_bytes;
  unsigned large;    /* READs under way that are worth no stage */
  uint64_t heard_ns; /* when the server's last bytes came */
  /* The dialect's, while it is not OPEN. */
  unsigned binds;        /* how often that was tried */
  uint64_t wake_ns;      /* CLOSED: not before that */
  uint64_t answer_by_ns; /* BINDING */
};

struct nfs_lanes {
  unsigned count, wanted; /* there are, and the user allows */
  bool asked;             /* for more: those that there are have to do */
  struct nfs_lane *lane;  /* count of them */
  char said[PROTO_SAY_BYTES]; /* "": nothing to say */
};

/* ERR_NOMEM. Lane 0 is open. */
enum err
nfs_lanes_init (struct nfs_lanes *l, const struct proto_config *config,
                const struct rpc_sink *sink, const struct rpc_auth *auth,
                uint32_t first_xid, uint64_t now_ns);
void
nfs_lanes_fini (struct nfs_lanes *l);

/* A new XID (N2). */
uint32_t
nfs_lanes_xid (struct nfs_lanes *l);

/* The lane for a piece with so many bytes of arguments; NULL: none has room. */
struct nfs_lane *
nfs_lanes_choose (struct nfs_lanes *l, size_t arguments_bytes);
/* The piece is under way on its lane, and answered. N3 */
void
nfs_lanes_took (struct nfs_lanes *l, const struct nfs_piece *p);
void
nfs_lanes_answered (struct nfs_lanes *l, const struct nfs_piece *p);

/* The lane that was heard longest ago, of those that are open. */
unsigned
nfs_lanes_quiet (const struct nfs_lanes *l);

/* The session goes on without that lane; why: a line for the user. */
void
nfs_lanes_give_up (struct nfs_lanes *l, unsigned lane, const char *why);
unsigned
nfs_lanes_open (const struct nfs_lanes *l);

#endif
