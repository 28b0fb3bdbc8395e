/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a server takes TLS: a NULL call whose credential is of the flavor
 * AUTH_TLS. It does if the verifier of its answer, whatever else that says, is
 * AUTH_NONE with the eight letters of STARTTLS (RFC 9289 §4.1). All other
 * answers mean no, and there is no way on from there.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "common/stranger.h"
#include "protocols/nfs/engine.h"

#define AUTH_TLS 7u /* RFC 9289 §7.1 */
#define MARK_BYTES 4u
#define LAST_FRAGMENT 0x80000000u /* RFC 5531 §11 */
/* xid, reply, accepted, the longest verifier, status, two version numbers */
#define ANSWER_MAX_BYTES (4u * 3 + 8 + RPC_AUTH_MAX_BYTES + 4 * 3)
#define STARTTLS "STARTTLS"
#define REPLY 1u
#define ACCEPTED 0u
#define DENIED 1u

size_t
nfs_starttls_hello (uint32_t xid, uint32_t program, uint32_t version,
                    uint8_t dst[PROTO_HELLO_BYTES])
{
  struct wirebuf mark = wirebuf_init (dst, MARK_BYTES);
  struct wirebuf b =
      wirebuf_init (dst + MARK_BYTES, PROTO_HELLO_BYTES - MARK_BYTES);

  wirebuf_u32 (&b, xid);
  wirebuf_u32 (&b, 0); /* CALL */
  wirebuf_u32 (&b, 2); /* rpcvers */
  wirebuf_u32 (&b, program);
  wirebuf_u32 (&b, version);
  wirebuf_u32 (&b, 0); /* NULL */
  wirebuf_u32 (&b, AUTH_TLS);
  wirebuf_u32 (&b, 0);
  wirebuf_u32 (&b, RPC_AUTH_NONE); /* verf */
  wirebuf_u32 (&b, 0);
  wirebuf_u32 (&mark, LAST_FRAGMENT | (uint32_t)b.used_bytes);
  assert (b.err == ERR_OK);
  return MARK_BYTES + b.used_bytes;
}

static enum err
refused (struct fault *f, const char *how)
{
  fault_set (f, ERR_NOTSUP,
             "the server does not offer TLS: %s (RFC 9289 §4.1); nothing "
             "else was sent",
             how);
  fault_hint (f, "switch RPC over TLS on at the server; xprtsec=none does "
                 "without it, on a network that is trusted");
  return ERR_NOTSUP;
}

static enum err
broken (struct fault *f, const char *field)
{
  return fault_set (f, ERR_PEER,
                    "the server's answer to the question for TLS is no RPC "
                    "reply: field %s (RFC 5531 §9)",
                    field);
}

static enum err
accepted (struct xdr *x, struct fault *f)
{
  uint32_t flavor = xdr_u32 (x, "verf.flavor");
  size_t n = 0;
  const uint8_t *body = xdr_opaque (x, RPC_AUTH_MAX_BYTES, &n, "verf.body");
  uint32_t status = xdr_u32 (x, "accept_stat");

  if (x->bad)
    return broken (f, x->bad);
  if (flavor == RPC_AUTH_NONE && n == strlen (STARTTLS)
      && memcmp (body, STARTTLS, n) == 0)
    return ERR_OK;
  if (status == RPC_PROG_MISMATCH) {
    refused (f, "it has other versions of the program");
    fault_hint (f, "give version=3 if the server has no NFSv4");
    return ERR_NOTSUP;
  }
  return refused (f, "its verifier is not STARTTLS");
}

static enum err
denied (struct xdr *x, struct fault *f)
{
  uint32_t status = xdr_u32 (x, "reject_stat");
  uint32_t why = xdr_u32 (x, "auth_stat");

  if (x->bad)
    return broken (f, x->bad);
  return refused (f, status == 0 ? "it speaks another version of RPC"
                     : why == 5  ? "AUTH_TOOWEAK"
                                 : "it does not know AUTH_TLS");
}

static enum err
answer (uint32_t xid, const uint8_t *bytes, size_t length_bytes,
        struct fault *f)
{
  struct xdr x = xdr_init (bytes, length_bytes);

  if (xdr_u32 (&x, "xid") != xid && !x.bad)
    return broken (f, "xid (of another call)");
  if (xdr_u32 (&x, "msg_type") != REPLY && !x.bad)
    return broken (f, "msg_type");
  switch (xdr_u32 (&x, "reply_stat")) {
  case ACCEPTED:
    return accepted (&x, f);
  case DENIED:
    return denied (&x, f);
  default:
    return broken (f, "reply_stat");
  }
}

/* Byte by byte up to the end of the line. */
static enum err
strange (const uint8_t *bytes, size_t length_bytes, size_t *ret_more,
         struct fault *f)
{
  size_t n = stranger_speaks (bytes, length_bytes);

  *ret_more = 1;
  return n ? stranger_fault (f, "NFS", "NFS has 2049, its portmapper 111",
                             bytes, n)
           : ERR_AGAIN;
}

enum err
nfs_starttls_welcome (uint32_t xid, const uint8_t *bytes, size_t length_bytes,
                      size_t *ret_more, struct fault *f)
{
  struct wire w = wire_init (bytes, length_bytes);
  uint32_t mark;

  if (length_bytes < MARK_BYTES) {
    *ret_more = MARK_BYTES - length_bytes;
    return ERR_AGAIN;
  }
  mark = wire_u32 (&w);
  if (stranger_begins (bytes))
    return strange (bytes, length_bytes, ret_more, f);
  if (!(mark & LAST_FRAGMENT))
    return broken (f, "last fragment (RFC 5531 §11)");
  mark &= ~LAST_FRAGMENT;
  if (mark > ANSWER_MAX_BYTES || mark == 0)
    return broken (f, "length of the record");
  if (wire_left (&w) < mark) {
    *ret_more = mark - wire_left (&w);
    return ERR_AGAIN;
  }
  return answer (xid, bytes + MARK_BYTES, mark, f);
}
