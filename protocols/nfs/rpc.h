/* SPDX-License-Identifier: BSD-2-Clause */
/* ONC RPC version 2 over a byte stream (RFC 5531): record marking, calls with
 * AUTH_NONE or AUTH_SYS, replies matched by XID. No system call, no clock.
 *
 * Sending: rpc_begin gives a message whose b takes the arguments; rpc_send
 * queues it. The payload of a WRITE is sent out of the request's memory.
 *
 * Receiving: bytes come into a stage and are cut here. For a call that was
 * that has head_bytes the sink is asked, as soon as there are bytes of
 * the results, where the payload begins; it then goes straight to the place
 * that the sink names (but for what was in the stage already). Everything else
 * of the reply is put together, fragments joined, and handed over once.
 *
 * Limits: RPC_CALLS calls under way; a reply has at most RPC_REPLY_MAX_BYTES
 * beside its payload, and RPC_FRAGMENTS_MAX fragments.
 *
 * Invariants
 *   R1  A reply is accepted for a call that has left completely, once: the
 *       call's payload may be lent out again afterwards.
 *   R2  Two calls under way never have the same XID.
 *   R3  inbox bytes = the record without fragment headers and payload.
 *   R4  A payload never gets more bytes than its place has.
 */
#ifndef BH_PROTOCOLS_NFS_RPC_H
#define BH_PROTOCOLS_NFS_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/err.h"
#include "protocols/nfs/xdr.h"
#include "protocols/outbox.h"

#define RPC_CALLS 264u /* PROTO_REQUESTS twice, and some of the engine's own */
/* In a READ_PLUS data that begin behind a hole are no payload: it is nearly as
 * long as a READ, and has segments.
 */
#define RPC_REPLY_MAX_BYTES (1024u * 1024 + 32 * 1024)
#define RPC_FRAGMENTS_MAX 1024u
#define RPC_STAGE_BYTES (16u * 1024)
/* RFC 5531 §8.2 and Appendix A */
#define RPC_AUTH_MAX_BYTES 400u
#define RPC_GROUPS_MAX 16u
#define RPC_MACHINE_MAX_BYTES 255u
/* A call up to its arguments: record mark, call_body, credential, verifier. */
#define RPC_CALL_HEADER_MAX_BYTES (4u + 24u + 8u + RPC_AUTH_MAX_BYTES + 8u)

enum rpc_auth_flavor { RPC_AUTH_NONE = 0, RPC_AUTH_SYS = 1 };

/* An opaque_auth, encoded once. */
struct rpc_auth {
  uint32_t flavor;
  uint32_t length_bytes;
  uint8_t body[RPC_AUTH_MAX_BYTES];
};

void
rpc_auth_none (struct rpc_auth *ret);
/* RFC 5531 Appendix A; machine is cut, groups beyond RPC_GROUPS_MAX are not
 * sent.
 */
void
rpc_auth_sys (struct rpc_auth *ret, uint32_t stamp, const char *machine,
              uint32_t uid, uint32_t gid, const uint32_t *groups,
              unsigned group_count);

/* An answer's header, RFC 5531 §9, without a verifier's body. */
#define RPC_REPLY_HEADER_BYTES 24u

/* What is called; name is for messages, "READ". Static. */
struct rpc_procedure {
  uint32_t program, version, procedure;
  const char *name;
  /* Its results carry a payload, for which locate is asked, and so much of an
   * answer stands in front of that at least: it is not looked at before. 0:
   * they carry none.
   */
  uint16_t head_bytes;
};

#define RPC_NO_PIECE UINT16_MAX

/* A call under way. */
struct rpc_call {
  const struct rpc_procedure *procedure; /* NULL: free */
  uint32_t xid;
  uint16_t piece; /* of a request (transfer.h); RPC_NO_PIECE: none */
  uint16_t step;  /* whose meaning is the sender's own */
  uint16_t slot;  /* the same */
  uint16_t next;
  uint64_t sent_at; /* outbox.queued_bytes behind it; 0: not queued */
};

/* RFC 5531 §9: reply_body. */
enum rpc_outcome {
  RPC_SUCCESS,
  RPC_PROG_UNAVAIL,
  RPC_PROG_MISMATCH, /* low, high */
  RPC_PROC_UNAVAIL,
  RPC_GARBAGE_ARGS,
  RPC_SYSTEM_ERR,
  RPC_MISMATCH,   /* denied; low, high */
  RPC_AUTH_ERROR, /* denied; auth_stat */
};

struct rpc_reply {
  enum rpc_outcome outcome;
  uint32_t low, high;
  uint32_t auth_stat;
  /* RPC_SUCCESS: the results, without the bytes (not the padding) that went to
   * the payload's place, of which there are payload_bytes.
   */
  struct xdr x;
  bool located;
  uint32_t payload_bytes;
};

/* Who hears the replies. Both return ERR_OK or, with f, ERR_PEER (or a more
 * telling error): the session is over then.
 */
struct rpc_sink {
  /* The results of a call with head_bytes, as far as they are there: x.
   * To ask for more bytes: let x break by lack of them. Results that have no
   * payload (an error): *ret untouched. Else ret = place and length of the
   * payload (iov_len may be 0), x right behind the length of its opaque<>.
   */
  enum err (*locate) (void *ctx, const struct rpc_call *call, struct xdr *x,
                      struct iovec *ret, struct fault *f);
  enum err (*reply) (void *ctx, const struct rpc_call *call,
                     struct rpc_reply *r, uint64_t now_ns, struct fault *f);
  void *ctx;
};

struct rpc_inbox {
  uint8_t stage[RPC_STAGE_BYTES];
  uint8_t mark[4];
  bool greeted; /* a record was whole and right */
  bool strange; /* what comes is no RPC (stranger.h), but not yet a line */
  unsigned mark_bytes;
  bool last_fragment;
  uint32_t fragment_left_bytes;
  unsigned fragments;
  size_t have_bytes; /* of the record, in buffer */
  size_t need_bytes; /* up to here; then it is looked at again */
  struct rpc_call *call;
  bool located;
  uint8_t *payload;
  uint32_t payload_bytes, payload_left_bytes;
  size_t offered_bytes; /* by the last rpc_rx_iov */
  bool offered_payload;
  uint8_t buffer[RPC_REPLY_MAX_BYTES];
};

struct rpc {
  struct rpc_sink sink;
  struct rpc_auth auth;
  uint32_t next_xid;
  unsigned calls;     /* under way */
  size_t stage_bytes; /* how much to receive at a time where no payload is
                         expected; at most RPC_STAGE_BYTES */
  uint16_t free_call;
  uint16_t bucket[256]; /* by XID: chains of calls */
  struct rpc_call call[RPC_CALLS];
  struct outbox outbox;
  struct rpc_inbox inbox;
};

/* A call that is being made. Arguments: written to b. */
struct rpc_message {
  struct rpc_call *call;
  struct wirebuf b;
  size_t head_bytes; /* in front of the payload */
  const uint8_t *payload;
  uint32_t payload_bytes;
};

/* r is zeroed memory. */
void
rpc_init (struct rpc *r, const struct rpc_sink *sink,
          const struct rpc_auth *auth, uint32_t first_xid);

/* A new XID. */
uint32_t
rpc_xid (struct rpc *r);
bool
rpc_under_way (const struct rpc *r, uint32_t xid);
/* True if a call with so many bytes of arguments can be sent now. An outbox
 * that is empty takes OUTBOX_BUFFER_BYTES - RPC_CALL_HEADER_MAX_BYTES.
 */
bool
rpc_ready (const struct rpc *r, size_t arguments_bytes);
/* After rpc_ready. xid: rpc_xid (r), or that of a call that is sent again after
 * a reconnect; one that is under way already is replaced by a new one.
 */
struct rpc_message
rpc_begin (struct rpc *r, const struct rpc_procedure *procedure, uint32_t xid);
/* The same over another credential. */
struct rpc_message
rpc_begin_as (struct rpc *r, const struct rpc_procedure *procedure,
              uint32_t xid, const struct rpc_auth *auth);
/* An opaque<> argument that is sent from where it is; at most one. More
 * arguments may follow it.
 */
void
rpc_put_payload (struct rpc_message *m, const uint8_t *data,
                 uint32_t length_bytes);
/* Queues it. It must fit: rpc_ready was told the truth. */
struct rpc_call *
rpc_send (struct rpc *r, struct rpc_message *m);

static inline unsigned
rpc_call_index (const struct rpc *r, const struct rpc_call *call)
{
  return (unsigned)(call - r->call);
}

/* As proto_ops. */
struct iovec
rpc_rx_iov (struct rpc *r);
enum err
rpc_rx_done (struct rpc *r, size_t length_bytes, uint64_t now_ns,
             struct fault *f);

/* For r->outcome that is not RPC_SUCCESS: says why, in words. Returns the
 * error: ERR_AUTH, ERR_NOTSUP, ERR_PEER.
 */
enum err
rpc_reply_fault (const struct rpc_reply *r,
                 const struct rpc_procedure *procedure, struct fault *f);

#endif
