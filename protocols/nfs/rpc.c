/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls: making them, and the table of those under way. Receiving is in
 * rpc_receive.c.
 */
#include "config.h"
#include "protocols/nfs/rpc.h"

#include <assert.h>
#include <string.h>

#include "protocols/nfs/rpc_private.h"

#define NONE UINT16_MAX
#define LAST_FRAGMENT 0x80000000u /* RFC 5531 §11 */

_Static_assert (RPC_CALLS < NONE, "indices are 16 bits");

void
rpc_auth_none (struct rpc_auth *ret)
{
  *ret = (struct rpc_auth){.flavor = RPC_AUTH_NONE};
}

void
rpc_auth_sys (struct rpc_auth *ret, uint32_t stamp, const char *machine,
              uint32_t uid, uint32_t gid, const uint32_t *groups,
              unsigned group_count)
{
  size_t machine_bytes = strlen (machine);
  struct wirebuf b;

  if (machine_bytes > RPC_MACHINE_MAX_BYTES)
    machine_bytes = RPC_MACHINE_MAX_BYTES;
  if (group_count > RPC_GROUPS_MAX)
    group_count = RPC_GROUPS_MAX;
  *ret = (struct rpc_auth){.flavor = RPC_AUTH_SYS};
  b = wirebuf_init (ret->body, sizeof ret->body);
  wirebuf_u32 (&b, stamp);
  xdr_put_opaque (&b, machine, machine_bytes);
  wirebuf_u32 (&b, uid);
  wirebuf_u32 (&b, gid);
  wirebuf_u32 (&b, group_count);
  for (unsigned i = 0; i < group_count; i++)
    wirebuf_u32 (&b, groups[i]);
  assert (b.err == ERR_OK);
  ret->length_bytes = (uint32_t)b.used_bytes;
}

void
rpc_init (struct rpc *r, const struct rpc_sink *sink,
          const struct rpc_auth *auth, uint32_t first_xid)
{
  r->sink = *sink;
  r->auth = *auth;
  r->next_xid = first_xid;
  r->stage_bytes = RPC_STAGE_BYTES;
  for (unsigned i = 0; i < RPC_CALLS; i++)
    r->call[i].next = i + 1 < RPC_CALLS ? (uint16_t)(i + 1) : NONE;
  for (unsigned i = 0; i < sizeof r->bucket / sizeof r->bucket[0]; i++)
    r->bucket[i] = NONE;
  rpc_next_record (&r->inbox);
}

/* The table of calls. */

static uint16_t *
bucket_of (struct rpc *r, uint32_t xid)
{
  return &r->bucket[xid % (sizeof r->bucket / sizeof r->bucket[0])];
}

static uint16_t
index_of (const struct rpc *r, uint32_t xid)
{
  uint16_t i = r->bucket[xid % (sizeof r->bucket / sizeof r->bucket[0])];

  while (i != NONE && r->call[i].xid != xid)
    i = r->call[i].next;
  return i;
}

struct rpc_call *
rpc_find (struct rpc *r, uint32_t xid)
{
  uint16_t i = index_of (r, xid);

  return i == NONE ? NULL : &r->call[i];
}

bool
rpc_under_way (const struct rpc *r, uint32_t xid)
{
  return index_of (r, xid) != NONE;
}

uint32_t
rpc_xid (struct rpc *r)
{
  uint32_t xid;

  do
    xid = r->next_xid++;
  while (rpc_find (r, xid)); /* R2, after it wrapped around */
  return xid;
}

static struct rpc_call *
take_call (struct rpc *r, const struct rpc_procedure *procedure, uint32_t xid)
{
  uint16_t i = r->free_call, *bucket = bucket_of (r, xid);
  struct rpc_call *c;

  assert (i != NONE);
  c = &r->call[i];
  r->free_call = c->next;
  *c = (struct rpc_call){.procedure = procedure, .xid = xid,
                         .piece = RPC_NO_PIECE, .next = *bucket};
  *bucket = i;
  r->calls++;
  return c;
}

void
rpc_free_call (struct rpc *r, struct rpc_call *call)
{
  uint16_t i = (uint16_t)(call - r->call);
  uint16_t *link = bucket_of (r, call->xid);

  while (*link != i)
    link = &r->call[*link].next;
  *link = call->next;
  call->procedure = NULL;
  call->next = r->free_call;
  r->free_call = i;
  r->calls--;
}

/* Messages. */

bool
rpc_ready (const struct rpc *r, size_t arguments_bytes)
{
  return r->free_call != NONE
         && outbox_fits (&r->outbox,
                         RPC_CALL_HEADER_MAX_BYTES + arguments_bytes);
}

struct rpc_message
rpc_begin_as (struct rpc *r, const struct rpc_procedure *procedure,
              uint32_t xid, const struct rpc_auth *auth)
{
  struct rpc_message m = {.b = outbox_room (&r->outbox)};

  if (rpc_find (r, xid)) /* R2 */
    xid = rpc_xid (r);
  m.call = take_call (r, procedure, xid);
  wirebuf_u32 (&m.b, 0); /* the record mark: rpc_send */
  wirebuf_u32 (&m.b, xid);
  wirebuf_u32 (&m.b, 0); /* CALL */
  wirebuf_u32 (&m.b, 2); /* rpcvers */
  wirebuf_u32 (&m.b, procedure->program);
  wirebuf_u32 (&m.b, procedure->version);
  wirebuf_u32 (&m.b, procedure->procedure);
  wirebuf_u32 (&m.b, auth->flavor);
  xdr_put_opaque (&m.b, auth->body, auth->length_bytes);
  wirebuf_u32 (&m.b, RPC_AUTH_NONE); /* verf */
  wirebuf_u32 (&m.b, 0);
  return m;
}

struct rpc_message
rpc_begin (struct rpc *r, const struct rpc_procedure *procedure, uint32_t xid)
{
  return rpc_begin_as (r, procedure, xid, &r->auth);
}

void
rpc_put_payload (struct rpc_message *m, const uint8_t *data,
                 uint32_t length_bytes)
{
  assert (!m->payload && length_bytes > 0);
  wirebuf_u32 (&m->b, length_bytes);
  m->head_bytes = m->b.used_bytes;
  m->payload = data;
  m->payload_bytes = length_bytes;
  wirebuf_bytes (&m->b, "\0\0", xdr_padding (length_bytes));
}

struct rpc_call *
rpc_send (struct rpc *r, struct rpc_message *m)
{
  struct outbox *o = &r->outbox;
  size_t record_bytes = m->b.used_bytes - 4 + m->payload_bytes;
  struct wirebuf mark = wirebuf_init (m->b.base, 4);
  struct wirebuf part = m->b;

  assert (m->b.err == ERR_OK);
  wirebuf_u32 (&mark, LAST_FRAGMENT | (uint32_t)record_bytes);
  if (m->payload)
    part.used_bytes = m->head_bytes;
  outbox_header (o, &part);
  if (m->payload) {
    outbox_payload (o, m->payload, m->payload_bytes);
    part.base += m->head_bytes;
    part.used_bytes = m->b.used_bytes - m->head_bytes;
    if (part.used_bytes > 0)
      outbox_header (o, &part);
  }
  m->call->sent_at = o->queued_bytes;
  return m->call;
}

/* RFC 5531 §9: auth_stat. */
static const char *
auth_words (uint32_t auth_stat)
{
  static const char *const words[] = {
      [1] = "AUTH_BADCRED: the credential is broken",
      [2] = "AUTH_REJECTEDCRED: it wants a new session",
      [3] = "AUTH_BADVERF: the verifier is broken",
      [4] = "AUTH_REJECTEDVERF: the verifier is expired",
      [5] = "AUTH_TOOWEAK: it wants stronger security than sec= gives",
      [6] = "AUTH_INVALIDRESP: the answer's verifier is broken",
      [7] = "AUTH_FAILED: for reasons that it does not tell",
      [13] = "RPCSEC_GSS_CREDPROBLEM: it wants Kerberos",
      [14] = "RPCSEC_GSS_CTXPROBLEM: it wants Kerberos",
  };

  if (auth_stat < sizeof words / sizeof words[0] && words[auth_stat])
    return words[auth_stat];
  return "for an unknown reason";
}

static enum err
auth_fault (const struct rpc_reply *r, const struct rpc_procedure *p,
            struct fault *f)
{
  fault_set (f, ERR_AUTH,
             "the server denies %s: auth_stat %u, %s (RFC 5531 §9)", p->name,
             r->auth_stat, auth_words (r->auth_stat));
  if (r->auth_stat == 5)
    fault_hint (f, "the export must allow sec=sys; a server that insists on a "
                   "source port below 1024 (export option \"secure\") wants "
                   "\"insecure\" instead, or a gateway that root configured");
  return ERR_AUTH;
}

enum err
rpc_reply_fault (const struct rpc_reply *r, const struct rpc_procedure *p,
                 struct fault *f)
{
  switch (r->outcome) {
  case RPC_SUCCESS:
    break;
  case RPC_PROG_UNAVAIL:
    return fault_set (f, ERR_NOTSUP,
                      "the server does not have program %u at that port "
                      "(%s: PROG_UNAVAIL, RFC 5531 §9)",
                      p->program, p->name);
  case RPC_PROG_MISMATCH:
    return fault_set (f, ERR_VERSION,
                      "the server has versions %u to %u of program %u, but not "
                      "%u (%s: PROG_MISMATCH, RFC 5531 §9)",
                      r->low, r->high, p->program, p->version, p->name);
  case RPC_PROC_UNAVAIL:
    return fault_set (f, ERR_NOTSUP,
                      "the server does not have the procedure %s "
                      "(PROC_UNAVAIL, RFC 5531 §9)",
                      p->name);
  case RPC_GARBAGE_ARGS:
    return fault_set (f, ERR_PEER,
                      "the server does not understand the arguments of %s "
                      "(GARBAGE_ARGS, RFC 5531 §9)",
                      p->name);
  case RPC_SYSTEM_ERR:
    return fault_set (f, ERR_IO,
                      "the server has a problem of its own with %s "
                      "(SYSTEM_ERR, RFC 5531 §9)",
                      p->name);
  case RPC_MISMATCH:
    return fault_set (f, ERR_VERSION,
                      "the server speaks RPC versions %u to %u, not 2 "
                      "(%s: RPC_MISMATCH, RFC 5531 §9)",
                      r->low, r->high, p->name);
  case RPC_AUTH_ERROR:
    return auth_fault (r, p, f);
  }
  return ERR_OK;
}
