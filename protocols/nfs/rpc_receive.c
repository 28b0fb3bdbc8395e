/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies: from the bytes of the stream to the sink. */
#include "config.h"
#include "protocols/nfs/rpc.h"

#include <assert.h>
#include <string.h>

#include "common/stranger.h"
#include "protocols/nfs/rpc_private.h"
#include "protocols/nfs/transfer.h"

#define LAST_FRAGMENT 0x80000000u /* RFC 5531 §11 */
#define RECORD_MAX_BYTES (RPC_REPLY_MAX_BYTES + NFS_IO_MAX_BYTES)
/* xid and msg_type: enough to know the call. */
#define XID_BYTES 8u
#define TO_THE_END SIZE_MAX

_Static_assert (RPC_REPLY_MAX_BYTES >= NFS_IO_MAX_BYTES + 32 * 1024,
                "what of a READ_PLUS is no payload");

void
rpc_next_record (struct rpc_inbox *in)
{
  in->mark_bytes = 0;
  in->last_fragment = false;
  in->fragment_left_bytes = 0;
  in->fragments = 0;
  in->have_bytes = 0;
  in->need_bytes = XID_BYTES;
  in->call = NULL;
  in->located = false;
  in->payload = NULL;
  in->payload_bytes = in->payload_left_bytes = 0;
}

/* Where the first record should be, as far as it is worth showing. */
static enum err
hear_stranger (struct rpc_inbox *in, const uint8_t *bytes, size_t length_bytes,
               struct fault *f)
{
  size_t n;

  memcpy (in->buffer + in->have_bytes, bytes, length_bytes);
  in->have_bytes += length_bytes;
  n = stranger_speaks (in->buffer, in->have_bytes);
  return n ? stranger_fault (f, "NFS", "NFS has 2049, its portmapper 111",
                             in->buffer, n)
           : ERR_OK;
}

/* The header of a fragment is there. */
static enum err
on_mark (struct rpc_inbox *in, struct fault *f)
{
  struct wire w = wire_init (in->mark, sizeof in->mark);
  uint32_t mark = wire_u32 (&w);
  uint32_t length_bytes = mark & ~LAST_FRAGMENT;
  size_t so_far = in->have_bytes + in->payload_bytes;

  if (!in->greeted && !in->fragments && stranger_begins (in->mark)) {
    in->strange = true;
    return hear_stranger (in, in->mark, sizeof in->mark, f);
  }
  if (length_bytes > RECORD_MAX_BYTES - so_far)
    return fault_set (f, ERR_PEER,
                      "the server sends a record fragment of %u bytes, behind "
                      "%zu of the same record (RFC 5531 §11)",
                      length_bytes, so_far);
  if (++in->fragments > RPC_FRAGMENTS_MAX)
    return fault_set (f, ERR_PEER,
                      "the server sends a record of more than %u fragments "
                      "(RFC 5531 §11)",
                      RPC_FRAGMENTS_MAX);
  in->last_fragment = mark & LAST_FRAGMENT;
  in->fragment_left_bytes = length_bytes;
  return ERR_OK;
}

/* R1 */
static enum err
find_call (struct rpc *r, struct fault *f)
{
  struct rpc_inbox *in = &r->inbox;
  struct wire w = wire_init (in->buffer, in->have_bytes);
  uint32_t xid = wire_u32 (&w);
  uint32_t type = wire_u32 (&w);
  struct rpc_call *c = rpc_find (r, xid);

  if (type != 1)
    return fault_set (f, ERR_PEER,
                      "the server sends message type %u where a REPLY (1) is "
                      "due (field msg_type, RFC 5531 §9)",
                      type);
  if (!c || c->sent_at == 0 || c->sent_at > r->outbox.sent_bytes)
    return fault_set (f, ERR_PEER,
                      "the server answers a call that is not under way on this "
                      "connection, xid %08x (field xid, RFC 5531 §9)",
                      xid);
  in->call = c;
  in->need_bytes
    = c->procedure->head_bytes > 0 ? c->procedure->head_bytes : TO_THE_END;
  return ERR_OK;
}

static enum rpc_outcome
denied (struct xdr *x, struct rpc_reply *ret)
{
  if (xdr_count (x, 1, "reject_stat, RFC 5531 §9") == 1) {
    ret->auth_stat = xdr_u32 (x, "auth_stat, RFC 5531 §9");
    return RPC_AUTH_ERROR;
  }
  ret->low = xdr_u32 (x, "mismatch_info.low, RFC 5531 §9");
  ret->high = xdr_u32 (x, "mismatch_info.high, RFC 5531 §9");
  return RPC_MISMATCH;
}

/* reply_body up to the results; x breaks if it is not (all) there. */
static void
reply_header (struct xdr *x, struct rpc_reply *ret)
{
  static const char field[] = "accept_stat, RFC 5531 §9";
  size_t verf_bytes;

  xdr_u64 (x, "xid, RFC 5531 §9");
  if (xdr_count (x, 1, "reply_stat, RFC 5531 §9") == 1) {
    ret->outcome = denied (x, ret);
    return;
  }
  xdr_u32 (x, "verf.flavor, RFC 5531 §8.2");
  xdr_opaque (x, RPC_AUTH_MAX_BYTES, &verf_bytes,
              "verf.body, RFC 5531 §8.2");
  /* accept_stat has the order of enum rpc_outcome. */
  ret->outcome = (enum rpc_outcome)xdr_count (x, RPC_SYSTEM_ERR, field);
  if (ret->outcome == RPC_PROG_MISMATCH) {
    ret->low = xdr_u32 (x, "mismatch_info.low, RFC 5531 §9");
    ret->high = xdr_u32 (x, "mismatch_info.high, RFC 5531 §9");
  }
}

/* Broken by lack of bytes: asks for them. Else the session is over. */
static enum err
want_more (struct rpc_inbox *in, const struct xdr *x, struct fault *f)
{
  if (!x->lack_bytes)
    return xdr_fault (x, in->call->procedure->name, f);
  in->need_bytes = in->have_bytes + x->lack_bytes;
  return ERR_OK;
}

/* A reply that may carry a payload: is it there yet? One that ends before that
 * (an error) is looked at when its record ends.
 */
static enum err
look_for_payload (struct rpc *r, struct fault *f)
{
  struct rpc_inbox *in = &r->inbox;
  struct xdr x = xdr_init (in->buffer, in->have_bytes);
  struct rpc_reply reply = {.outcome = RPC_SUCCESS};
  struct iovec place = {NULL, SIZE_MAX};
  enum err e;

  reply_header (&x, &reply);
  if (x.bad)
    return want_more (in, &x, f);
  if (reply.outcome != RPC_SUCCESS) {
    in->need_bytes = TO_THE_END;
    return ERR_OK;
  }
  e = r->sink.locate (r->sink.ctx, in->call, &x, &place, f);
  if (e)
    return e;
  if (x.bad)
    return want_more (in, &x, f);
  in->need_bytes = TO_THE_END;
  if (place.iov_len == SIZE_MAX)
    return ERR_OK;
  assert (wire_left (&x.w) == 0); /* no byte too many was taken */
  in->located = true;
  in->payload = place.iov_base;
  in->payload_bytes = in->payload_left_bytes = (uint32_t)place.iov_len;
  return ERR_OK;
}

static enum err
on_record (struct rpc *r, uint64_t now_ns, struct fault *f)
{
  struct rpc_inbox *in = &r->inbox;
  struct rpc_call *call = in->call;
  struct rpc_reply reply = {.located = in->located,
                            .payload_bytes = in->payload_bytes};
  struct xdr x = xdr_init (in->buffer, in->have_bytes);
  enum err e;

  if (!call)
    return fault_set (f, ERR_PEER,
                      "the server sends a record of %zu bytes (RFC 5531 §9)",
                      in->have_bytes);
  if (in->payload_left_bytes > 0)
    return fault_set (f, ERR_PEER,
                      "the server's answer to %s is cut short: its data lack "
                      "%u bytes (RFC 5531 §11)",
                      call->procedure->name, in->payload_left_bytes);
  reply_header (&x, &reply);
  if (!x.bad && reply.outcome != RPC_SUCCESS)
    xdr_end (&x, "reply_body, RFC 5531 §9: bytes behind its end");
  e = xdr_fault (&x, call->procedure->name, f);
  if (e)
    return e;
  reply.x = x;
  e = r->sink.reply (r->sink.ctx, call, &reply, now_ns, f);
  if (!e)
    rpc_free_call (r, call);
  return e;
}

/* Bytes of the stage into the record; the same steps for any fragmentation. */
static enum err
take (struct rpc *r, const uint8_t *bytes, size_t length_bytes,
      struct fault *f)
{
  struct rpc_inbox *in = &r->inbox;

  if (length_bytes > sizeof in->buffer - in->have_bytes)
    return fault_set (f, ERR_PEER,
                      "the server's answer to %s is longer than %u bytes "
                      "(RFC 5531 §11)",
                      in->call ? in->call->procedure->name : "a call",
                      RPC_REPLY_MAX_BYTES);
  memcpy (in->buffer + in->have_bytes, bytes, length_bytes);
  in->have_bytes += length_bytes;
  if (in->have_bytes < in->need_bytes)
    return ERR_OK;
  return in->call ? look_for_payload (r, f) : find_call (r, f);
}

static size_t
least (size_t a, size_t b)
{
  return a < b ? a : b;
}

/* One step: ret_bytes of the stage are used up. */
static enum err
step (struct rpc *r, const uint8_t *bytes, size_t length_bytes,
      size_t *ret_bytes, struct fault *f)
{
  struct rpc_inbox *in = &r->inbox;
  size_t n;

  if (in->mark_bytes < sizeof in->mark) {
    n = least (length_bytes, sizeof in->mark - in->mark_bytes);
    memcpy (in->mark + in->mark_bytes, bytes, n);
    in->mark_bytes += (unsigned)n;
    *ret_bytes = n;
    return in->mark_bytes < sizeof in->mark ? ERR_OK : on_mark (in, f);
  }
  if (in->strange) {
    *ret_bytes = n = least (length_bytes, STRANGER_LINE_BYTES - in->have_bytes);
    return hear_stranger (in, bytes, n, f);
  }
  n = least (length_bytes, in->fragment_left_bytes);
  if (in->payload_left_bytes > 0) {
    n = least (n, in->payload_left_bytes); /* R4 */
    memcpy (in->payload, bytes, n);
    in->payload += n;
    in->payload_left_bytes -= (uint32_t)n;
  } else {
    enum err e;

    n = least (n, in->need_bytes - in->have_bytes);
    e = take (r, bytes, n, f);
    if (e)
      return e;
  }
  in->fragment_left_bytes -= (uint32_t)n;
  *ret_bytes = n;
  return ERR_OK;
}

/* Behind each step: is the fragment over, or the record? */
static enum err
border (struct rpc *r, uint64_t now_ns, struct fault *f)
{
  struct rpc_inbox *in = &r->inbox;
  enum err e;

  if (in->mark_bytes < sizeof in->mark || in->fragment_left_bytes > 0
      || in->strange)
    return ERR_OK;
  if (!in->last_fragment) {
    in->mark_bytes = 0;
    return ERR_OK;
  }
  e = on_record (r, now_ns, f);
  if (!e) {
    in->greeted = true;
    rpc_next_record (in);
  }
  return e;
}

struct iovec
rpc_rx_iov (struct rpc *r)
{
  struct rpc_inbox *in = &r->inbox;
  struct iovec v = {in->stage, r->stage_bytes};

  /* All of that is of this record, and has no place: nothing to spare. */
  if (in->need_bytes == TO_THE_END
      && in->fragment_left_bytes >= sizeof in->stage)
    v.iov_len = sizeof in->stage;
  in->offered_payload
      = in->payload_left_bytes > 0 && in->fragment_left_bytes > 0;
  if (in->offered_payload)
    v = (struct iovec){
        in->payload, least (in->payload_left_bytes, in->fragment_left_bytes)};
  in->offered_bytes = v.iov_len;
  return v;
}

enum err
rpc_rx_done (struct rpc *r, size_t length_bytes, uint64_t now_ns,
             struct fault *f)
{
  struct rpc_inbox *in = &r->inbox;
  const uint8_t *bytes = in->stage;

  assert (length_bytes <= in->offered_bytes);
  if (in->offered_payload) {
    in->payload += length_bytes;
    in->payload_left_bytes -= (uint32_t)length_bytes;
    in->fragment_left_bytes -= (uint32_t)length_bytes;
    return border (r, now_ns, f);
  }
  while (length_bytes > 0) {
    size_t n = 0;
    enum err e = step (r, bytes, length_bytes, &n, f);

    if (!e)
      e = border (r, now_ns, f);
    if (e)
      return e;
    bytes += n;
    length_bytes -= n;
  }
  return ERR_OK;
}
