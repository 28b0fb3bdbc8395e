/* SPDX-License-Identifier: BSD-2-Clause */
/* What NFSv3 and NFSv4.1/4.2 do differently, chosen once for each session, and
 * the parts of the engine that they share.
 *
 * Start-up: the engine connects to the NFS server, asks by a NULL call which
 * versions of program 100003 it has, takes the best that version= allows, and
 * calls the dialect's start. From then on replies to the dialect's own calls go
 * to reply, until it calls nfs_ready. If start or reply returns ERR_VERSION,
 * ERR_NOENT or ERR_ACCESS while starting, and the user did not ask for that
 * version, the engine goes on with the next dialect on the same connection; any
 * other error ends the session.
 *
 * READY: for each piece of a request: may_send, encode, (locate,) result.
 *
 * A dialect keeps its state in n->own (own_bytes, zeroed by the engine before
 * start). It owns bytes NFS_IDENTITY_OWN … PROTO_IDENTITY_BYTES of
 * n->identity when the dialect that is noted there is itself; the engine zeroes
 * them when the dialect changes. What is in there is as untrusted as a
 * server's answer.
 */
#ifndef BH_PROTOCOLS_NFS_DIALECT_H
#define BH_PROTOCOLS_NFS_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"
#include "common/listing.h"
#include "protocols/nfs/lanes.h"
#include "protocols/nfs/rpc.h"
#include "protocols/nfs/transfer.h"
#include "protocols/nfs/xdr.h"
#include "protocols/proto.h"

#define NFS_PROGRAM 100003u
#define NFS_PORT 2049u
#define NFS_PATH_MAX_BYTES 4096u /* ours: Linux's PATH_MAX */
#define NFS_NAME_MAX_BYTES 255u  /* ours: of one component */
/* Deadline of each step of the start-up. */
#define NFS_STEP_TIMEOUT_NS (30 * 1000000000ull)

/* The first bytes of the identity page: magic, dialect, next XID. */
#define NFS_IDENTITY_OWN 64u

struct nfs;

/* Where an answer's data go: bytes of them, from p->data + at on. The engine
 * refuses what is not within the piece.
 */
struct nfs_located {
  bool found;
  uint32_t at, bytes;
};

struct nfs_dialect {
  const char *name;     /* "NFSv4.2", for messages */
  uint8_t id;           /* in the identity page: 3, 41, 42; never reused */
  uint32_t version;     /* of program 100003: 3 or 4 */
  const char *wanted;   /* what version= says: "3", "4.1", "4.2" */
  size_t own_bytes;     /* of n->own */
  size_t arguments_bytes; /* of the longest READ, WRITE (without payload), … */

  /* The server answers NULL: begin. Errors with f. */
  enum err (*start) (struct nfs *n, uint64_t now_ns, struct fault *f);
  /* n->own goes away; optional. */
  void (*fini) (struct nfs *n);
  /* A reply to a call of nfs_begin; r->outcome may be anything. */
  enum err (*reply) (struct nfs *n, const struct rpc_call *call,
                     struct rpc_reply *r, uint64_t now_ns, struct fault *f);

  /* Optional: false while no (other) piece may be sent: no slot is free, a
   * recovery is under way. Asked again at each tx_iov.
   */
  bool (*may_send) (struct nfs *n, const struct nfs_piece *p);
  /* Which procedure carries p. */
  const struct rpc_procedure *(*procedure) (const struct nfs *n,
                                            const struct nfs_piece *p);
  /* Its arguments. m->call is noted already: slot may be set. */
  void (*encode) (struct nfs *n, const struct nfs_piece *p,
                  struct rpc_message *m);
  /* READ: the results so far, up to the length of the data: see struct
   * rpc_sink, which says what x and the place mean. Error results, and those
   * without data: *ret stays as it is. A dialect may write to its own state in
   * result only: locate is called again with more bytes.
   */
  enum err (*locate) (struct nfs *n, const struct rpc_call *call,
                      const struct nfs_piece *p, struct xdr *x,
                      struct nfs_located *ret, struct fault *f);
  /* The whole answer; a READ's data are in p->data and gone from r->x, where
   * their padding follows their length. r->outcome is RPC_SUCCESS. An error
   * (with f) ends the session; what concerns the request alone goes into *ret.
   */
  enum err (*result) (struct nfs *n, const struct rpc_call *call,
                      const struct nfs_piece *p, struct rpc_reply *r,
                      uint64_t now_ns, struct nfs_result *ret,
                      struct fault *f);

  /* In PROTO_READY: asks the server for the file's change and size, which go
   * to nfs_probed. False: not now; it is asked again at each tx_iov.
   */
  bool (*probe) (struct nfs *n);

  /* Optional: as proto_ops. Sets n->left when there is nothing to wait for. */
  void (*leave) (struct nfs *n, uint64_t now_ns);
  uint64_t (*deadline_ns) (const struct nfs *n);
  enum err (*tick) (struct nfs *n, uint64_t now_ns, struct fault *f);
};

extern const struct nfs_dialect nfs_v3, nfs_v41, nfs_v42;

/* What the user set, checked. */
struct nfs_options {
  char version[8];  /* "3", "4.1", "4.2", "": the best */
  char path[NFS_PATH_MAX_BYTES]; /* begins with '/' */
  bool list;        /* what is below path, not its content */
  bool exclusive;   /* deny other writers (v4) */
  uint64_t resize_bytes; /* make the file so long; 0: leave it */
  uint16_t mountport; /* 0: portmap is asked */
  uint16_t port;      /* of NFS itself; 0: not told */
  uint64_t timeout_ns; /* of a request, the gateway's; 0: not told */
  uint32_t uid, gid;
  /* Which daemon of which user of which host; "": not known. */
  char client[65];
};

enum nfs_probe_state {
  NFS_PROBE_NONE,
  NFS_PROBE_ASKED, /* by our user; the dialect has not sent it */
  NFS_PROBE_SENT,
  NFS_PROBE_ANSWERED,
};

/* The engine. */
struct nfs {
  enum proto_state state;
  struct fault fault;
  struct nfs_options options;
  struct nfs_lanes lanes;
  struct transfer transfer;
  uint8_t seed[16];
  uint8_t *identity; /* PROTO_IDENTITY_BYTES or NULL */
  unsigned connection;
  uint64_t random; /* for jitter: nfs_random */

  const struct nfs_dialect *dialect; /* NULL: not chosen yet */
  void *own;                         /* the dialect's */
  /* Of the step of the start-up; renewed by nfs_send while starting. */
  uint64_t deadline_ns;
  uint64_t now_ns; /* when the engine was last told */

  /* Filled by the dialect before nfs_ready; request_max and block sizes are
   * the engine's.
   */
  struct volume_info info;
  uint32_t read_max_bytes, write_max_bytes; /* of one call */
  unsigned pieces_max;    /* under way at once; at most TRANSFER_PIECES */
  bool keep_xids;         /* v3: a request that is sent again has its old XID */
  /* Which entries of the identity's table are of requests under way. */
  uint64_t xids_in_use[(PROTO_REQUESTS + 63) / 64];
  struct listing listing; /* VOLUME_IS_LIST: the content */

  bool left; /* goodbye is said, and nothing more is to come */
  enum nfs_probe_state probe;
  uint64_t probed_change, probed_size;

  /* What the engine before this one moved here with: for start. */
  uint8_t moved[PROTO_WANT_BYTES];
  size_t moved_bytes; /* 0: it is the first one */

  /* The rest is engine.c's. */
  struct proto_want want; /* type NOTHING: none */
  bool wanting;           /* it is still to be taken */
  unsigned candidate;     /* dialect that is, or is to be, tried */
  bool stage_only;        /* `moved` says which dialect: no other is tried */
  struct fault declined;  /* why an earlier candidate was none */
  const char *step_name;  /* of the start-up */
  uint32_t hello_xid;     /* of what is asked in front of TLS */
};

/* For dialects and stages.
 *
 * A call of their own: step tells them later which. While starting the outbox
 * is empty whenever a reply has come, so that any call fits; later ask
 * nfs_has_room first.
 */
bool
nfs_has_room (const struct nfs *n, unsigned lane, size_t arguments_bytes);
struct rpc_message
nfs_begin (struct nfs *n, const struct rpc_procedure *procedure,
           uint16_t step);
void
nfs_send (struct nfs *n, struct rpc_message *m);
/* The same on another lane than 0. */
struct rpc_message
nfs_begin_on (struct nfs *n, unsigned lane,
              const struct rpc_procedure *procedure, uint16_t step);
void
nfs_send_on (struct nfs *n, unsigned lane, struct rpc_message *m);
/* Start-up is over: n->info and the limits are set. */
void
nfs_ready (struct nfs *n);
/* The session goes on elsewhere: PROTO_WANT_MOVE; port 0: the volume's own.
 * moved begins with NFS_MOVED_MAGIC and a dialect's id, which starts there with
 * the rest in n->moved. Return ERR_OK behind it.
 */
void
nfs_move (struct nfs *n, uint16_t port, const void *moved, size_t moved_bytes,
          const char *why);
/* The same place, over as many lanes as the user allows. */
void
nfs_move_to_lanes (struct nfs *n);
/* The file, of that size now, is to be made options.resize_bytes long, which no
 * session of this volume has found or done yet; false: it is to be left alone.
 * Sizes are changed because of this and of nothing else.
 */
bool
nfs_wants_resize (const struct nfs *n, uint64_t size);
/* That was done, or refused for good. */
enum err
nfs_resized (struct nfs *n, uint64_t size, struct fault *f);
/* The answer to a probe that was sent; change as in volume_info. */
void
nfs_probed (struct nfs *n, uint64_t change, uint64_t size);
uint32_t
nfs_random (struct nfs *n);
/* A hash for identities and change counters (FNV-1a, 64 bits). */
uint64_t
nfs_hash (uint64_t seed, const void *bytes, size_t length_bytes);

#endif
