/* SPDX-License-Identifier: BSD-2-Clause */
/* RPC record marking and reply headers: a stream of fragments that answers
 * CALLS calls, some of which carry a payload: u32 length, then the bytes. In
 * one piece and in small ones the same must come out.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/nfs/rpc.h"

#define CALLS 6u
#define FIRST_XID 0x100u
#define PLACE_BYTES 600u

static const struct rpc_procedure plain = {100003, 3, 1, "GETATTR", 0};
static const struct rpc_procedure carrier = {100003, 3, 6, "READ", 24 + 8};

struct heard {
  uint8_t *place[CALLS];
  struct rpc *rpc;
  unsigned replies, answered;
  uint64_t sum;
  enum err error;
};

static void
add (struct heard *h, const void *bytes, size_t n)
{
  const uint8_t *b = bytes;

  for (size_t i = 0; i < n; i++)
    h->sum = (h->sum ^ b[i]) * 0x100000001b3ull;
}

static enum err
locate (void *ctx, const struct rpc_call *call, struct xdr *x,
        struct iovec *ret, struct fault *f)
{
  struct heard *h = ctx;
  uint32_t status = xdr_u32 (x, "status"), n;

  if (x->bad || status)
    return ERR_OK;
  n = xdr_u32 (x, "length");
  if (x->bad)
    return ERR_OK;
  if (n > PLACE_BYTES)
    return fault_set (f, ERR_PEER, "too long");
  *ret = (struct iovec){h->place[call->piece], n};
  return ERR_OK;
}

static enum err
reply (void *ctx, const struct rpc_call *call, struct rpc_reply *r,
       uint64_t now_ns, struct fault *f)
{
  struct heard *h = ctx;

  (void)now_ns;
  MUST (call->piece < CALLS && !(h->answered & 1u << call->piece));
  h->answered |= 1u << call->piece;
  h->replies++;
  add (h, &r->outcome, sizeof r->outcome);
  if (r->outcome != RPC_SUCCESS) {
    MUST (rpc_reply_fault (r, call->procedure, f) != ERR_OK && f->text[0]);
    *f = (struct fault){0};
    return ERR_OK;
  }
  MUST (r->payload_bytes <= PLACE_BYTES);
  MUST (!r->payload_bytes || r->located);
  add (h, h->place[call->piece], r->payload_bytes);
  add (h, r->x.w.p, wire_left (&r->x.w));
  return ERR_OK;
}

/* So many calls, all of them sent. */
static void
call_them (struct rpc *r)
{
  struct iovec v[PROTO_TX_IOV];
  size_t n;

  for (unsigned i = 0; i < CALLS; i++) {
    struct rpc_message m
      = rpc_begin (r, i % 2 ? &carrier : &plain, rpc_xid (r));

    wirebuf_u32 (&m.b, i);
    rpc_send (r, &m)->piece = (uint16_t)i;
  }
  while ((n = outbox_iov (&r->outbox, v, PROTO_TX_IOV)))
    for (size_t i = 0; i < n; i++)
      outbox_sent (&r->outbox, v[i].iov_len);
}

static bool
set_up (struct heard *h)
{
  struct rpc_sink sink = {locate, reply, h};
  struct rpc_auth auth;
  static struct rpc rpc; /* all but its last buffer begins as zeroes */

  _Static_assert (sizeof rpc - offsetof (struct rpc, inbox.buffer)
                    < RPC_REPLY_MAX_BYTES + 8,
                  "the buffer is its end");
  memset (&rpc, 0, offsetof (struct rpc, inbox.buffer));
  h->rpc = &rpc;
  for (unsigned i = 0; i < CALLS; i++)
    if (!(h->place[i] = malloc (PLACE_BYTES)))
      return false;
  rpc_auth_none (&auth);
  rpc_init (h->rpc, &sink, &auth, FIRST_XID);
  call_them (h->rpc);
  return true;
}

static struct heard
listen_to (const uint8_t *data, size_t size, size_t most)
{
  struct heard h = {0};
  struct fault f = {0};

  if (!set_up (&h))
    size = 0;
  while (size && !h.error) {
    struct iovec v = rpc_rx_iov (h.rpc);
    size_t n = v.iov_len < size ? v.iov_len : size;

    MUST (v.iov_len > 0);
    if (n > most)
      n = most;
    memcpy (v.iov_base, data, n);
    data += n;
    size -= n;
    h.error = rpc_rx_done (h.rpc, n, 1, &f);
    MUST (!h.error || f.text[0]);
  }
  for (unsigned i = 0; i < CALLS; i++)
    free (h.place[i]);
  return h;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct heard whole = listen_to (data, size, SIZE_MAX);
  struct heard split = listen_to (data, size, 3);

  MUST (whole.replies == split.replies && whole.error == split.error
        && whole.sum == split.sum);
  return 0;
}
