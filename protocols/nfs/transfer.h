/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of our user as calls of a dialect. What all dialects have in common
 * is here: a READ or WRITE that is larger than the server takes becomes several
 * pieces, all under way together; a piece whose answer is short goes on with
 * the rest; one that the server is not ready for (JUKEBOX, DELAY) waits and
 * goes again with a new XID.
 *
 *   request:  to send ⇄ under way → done → free
 *   piece:    free → sent → free, → again → sent, or → waiting → again
 *
 * Invariants
 *   T1  A request is in exactly one of: the queue to_send, the queue done, the
 *       queue free_requests, or (all issued, some pieces open) none.
 *   T2  open_pieces of a request = its pieces that are not free. It gets to
 *       done only with open_pieces = 0 and everything issued: until then the
 *       server's bytes may still go to its data, and ours come from there.
 *   T3  A READ is done without error only when each of its bytes was received.
 *   T4  A WRITE's token is that of one verifier, which every piece was answered
 *       with; otherwise one that no COMMIT has.
 */
#ifndef BH_PROTOCOLS_NFS_TRANSFER_H
#define BH_PROTOCOLS_NFS_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"
#include "protocols/proto.h"
#include "protocols/queue.h"

#define NFS_VERIFIER_BYTES 8u /* RFC 1813 §2.4, RFC 8881 §3.1 */
#define TRANSFER_PIECES 256u
#define TRANSFER_NONE QUEUE_NONE
/* Ours: requests of our user are not larger. */
#define NFS_IO_MAX_BYTES (1024u * 1024)

enum nfs_piece_state {
  PIECE_FREE,
  PIECE_SENT,
  PIECE_AGAIN,   /* is to be sent again */
  PIECE_WAITING, /* until wake_ns, then again */
};

/* What a dialect makes one call of. offset, length and data are of what is
 * still to be done, in bytes; length is 0 for a FLUSH only.
 */
struct nfs_piece {
  enum io_op op;
  uint32_t flags; /* IO_FUA, IO_NO_HOLE */
  uint64_t offset;
  uint32_t length;
  uint8_t *data;
  bool repeated; /* it was NFS_AGAIN already */
  /* The rest is transfer.c's. */
  enum nfs_piece_state state;
  uint32_t xid;
  bool has_xid; /* of a replay: to be used once */
  uint64_t wake_ns;
  uint64_t give_up_ns; /* 0: has not waited yet */
  unsigned waits;
  unsigned mends; /* NFS_MENDED so often, and nothing was done of it */
  uint16_t request;
  uint16_t next;
  uint8_t lane; /* SENT: where */
};

enum nfs_verdict {
  NFS_DONE,  /* count bytes of it, or error */
  NFS_DELAY, /* the server is not ready (JUKEBOX, DELAY, GRACE): later */
  NFS_AGAIN, /* at once, or as soon as the dialect's may_send allows */
  NFS_MENDED, /* the same, of what the dialect mends; soon not at once */
};

/* What became of a piece. */
struct nfs_result {
  enum nfs_verdict verdict;
  enum err error;
  uint32_t count; /* bytes done, at most length; > 0 unless error or FLUSH */
  uint32_t extents; /* STATUS: how many, in the piece's data */
  bool has_verifier; /* WRITE, FLUSH: of a WRITE and a COMMIT */
  uint8_t verifier[NFS_VERIFIER_BYTES];
};

struct transfer_request {
  struct proto_request r;
  enum err error;        /* the first one */
  uint32_t piece_bytes;  /* how large its pieces are */
  uint32_t issued_bytes; /* how much of it has become pieces */
  bool issued;           /* all of it */
  bool has_xids;         /* WRITE, where they are kept over sessions */
  uint32_t first_xid;    /* of its first piece; they count up */
  uint32_t extents;
  uint16_t open_pieces;
  uint16_t next;
  bool has_verifier, mixed;
  uint8_t verifier[NFS_VERIFIER_BYTES];
};

struct transfer {
  struct queue to_send, done, free_requests; /* of requests */
  struct queue again, free_pieces;           /* of pieces */
  unsigned waiting;                                   /* pieces */
  unsigned under_way;                                 /* pieces PIECE_SENT */
  struct transfer_request request[PROTO_REQUESTS];
  struct nfs_piece piece[TRANSFER_PIECES];
};

struct nfs;

/* t is zeroed memory. */
void
nfs_transfer_init (struct transfer *t);
/* As proto_ops.submit and reap. */
enum err
nfs_transfer_submit (struct nfs *n, const struct proto_request *r);
bool
nfs_transfer_reap (struct nfs *n, struct proto_completion *ret);
/* Queues calls for as long as there is room, and something to ask. */
void
nfs_transfer_fill (struct nfs *n);
/* The piece, which was PIECE_SENT, is answered. */
void
nfs_transfer_result (struct nfs *n, uint16_t index, const struct nfs_result *r,
                 uint64_t now_ns);
/* How long to wait for a server that is not ready, the waits'th time. */
uint64_t
nfs_transfer_delay_ns (struct nfs *n, unsigned waits);
uint64_t
nfs_transfer_deadline_ns (const struct nfs *n);
void
nfs_transfer_tick (struct nfs *n, uint64_t now_ns);

#endif
