/* SPDX-License-Identifier: BSD-2-Clause */
/* The results of operations: RFC 5662 and RFC 7863. */
#include "config.h"
#include "protocols/nfs/v4_compound.h"

#include <string.h>

/* Words of a bitmap4 of which we look at some; nobody defines more than three.
 */
#define BITMAP_WORDS_MAX 8u
/* RFC 8881 §6.2: the who of an access control entry */
#define ACE_WHO_MAX 1024u
/* RFC 8881 §18.34.2: channel_dir_from_server4 */
#define CDFS4_FORE 0x1u
#define CDFS4_BOTH 0x3u

void
v4_open_answer (struct v4_answer *a, struct xdr *x, uint32_t operations)
{
  size_t tag_bytes;

  *a = (struct v4_answer){.x = x};
  a->status = xdr_u32 (x, "COMPOUND4res.status, RFC 8881 §16.2.2");
  if (a->status != NFS4_OK && !v4_status_find (a->status))
    xdr_reject (x, "COMPOUND4res.status: no nfsstat4, RFC 8881 §15.1");
  /* §16.2.3: the tag is the call's, which is empty. */
  xdr_opaque (x, NFS4_OPAQUE_LIMIT, &tag_bytes,
              "COMPOUND4res.tag, RFC 8881 §16.2.2");
  a->left = xdr_count (x, operations,
                       "COMPOUND4res.resarray: more results than operations, "
                       "RFC 8881 §16.2.3");
}

bool
v4_take (struct v4_answer *a, enum nfs_opnum4 op)
{
  uint32_t resop, status;

  if (a->x->bad || a->failed)
    return false;
  if (a->left == 0) {
    if (a->status == NFS4_OK)
      xdr_reject (a->x, "COMPOUND4res.resarray: fewer results than operations, "
                        "RFC 8881 §16.2.3");
    return false;
  }
  resop = xdr_u32 (a->x, "nfs_resop4.resop, RFC 8881 §16.2.2");
  status = xdr_u32 (a->x, "nfs_resop4 status, RFC 8881 §16.2.2");
  if (a->x->bad)
    return false;
  a->left--;
  if (resop != (uint32_t)op
      && !(resop == OP_ILLEGAL && status == NFS4ERR_OP_ILLEGAL)) {
    xdr_reject (a->x, "nfs_resop4.resop: the result of another operation, "
                      "RFC 8881 §16.2.3");
    return false;
  }
  if (status == NFS4_OK) {
    if (a->left == 0 && a->status != NFS4_OK)
      xdr_reject (a->x, "COMPOUND4res.status: not that of the last operation, "
                        "RFC 8881 §16.2.3");
    return !a->x->bad;
  }
  if (a->left > 0 || status != a->status)
    xdr_reject (a->x, "COMPOUND4res.status: not that of the last operation, "
                      "RFC 8881 §16.2.3");
  a->failed = (uint32_t)op;
  return false;
}

uint32_t
v4_next (const struct v4_answer *a)
{
  struct xdr x = *a->x;

  return a->failed || a->left == 0 ? 0 : xdr_u32 (&x, "");
}

enum err
v4_close_answer (struct v4_answer *a, const char *what, struct fault *f)
{
  if (a->left > 0)
    xdr_reject (a->x, "COMPOUND4res.resarray: more results than operations, "
                      "RFC 8881 §16.2.3");
  /* TOO_SMALL of some operations and RFC 8881's errors with a body (LOCK,
   * OPEN) are not among those that we send; what follows an error is not ours.
   */
  if (!a->failed)
    xdr_end (a->x, "COMPOUND4res: bytes are left over, RFC 8881 §16.2.2");
  return xdr_fault (a->x, what, f);
}

enum err
v4_close_sequence (const struct v4_answer *a, struct fault *f)
{
  return xdr_fault (a->x, "SEQUENCE", f);
}

static void
get_stateid (struct xdr *x, struct v4_stateid *ret, const char *field)
{
  const uint8_t *p;

  ret->seqid = xdr_u32 (x, field);
  p = xdr_fixed (x, sizeof ret->other, field);
  if (p)
    memcpy (ret->other, p, sizeof ret->other);
}

static void
skip_bitmap (struct xdr *x, const char *field)
{
  uint32_t words = xdr_count (x, BITMAP_WORDS_MAX, field);

  while (words-- > 0 && !x->bad)
    xdr_u32 (x, field);
}

void
v4_get_sequence (struct v4_answer *a, const struct v4_sequence *sent,
                 struct v4_sequence_result *ret)
{
  const uint8_t *session =
      xdr_fixed (a->x, NFS4_SESSIONID_SIZE,
                 "SEQUENCE4resok.sr_sessionid, RFC 8881 §18.46.2");

  if (session && memcmp (session, sent->session, NFS4_SESSIONID_SIZE))
    xdr_reject (a->x, "SEQUENCE4resok.sr_sessionid: of another session, "
                      "RFC 8881 §18.46.3");
  ret->sequenceid =
      xdr_u32 (a->x, "SEQUENCE4resok.sr_sequenceid, RFC 8881 §18.46.2");
  ret->slotid = xdr_u32 (a->x, "SEQUENCE4resok.sr_slotid, RFC 8881 §18.46.2");
  xdr_u32 (a->x, "SEQUENCE4resok.sr_highest_slotid, RFC 8881 §18.46.2");
  ret->target_highest_slotid = xdr_u32 (
      a->x, "SEQUENCE4resok.sr_target_highest_slotid, RFC 8881 §18.46.2");
  ret->status_flags =
      xdr_u32 (a->x, "SEQUENCE4resok.sr_status_flags, RFC 8881 §18.46.2");
  if (a->x->bad)
    return;
  if (ret->slotid != sent->slotid)
    xdr_reject (a->x, "SEQUENCE4resok.sr_slotid: of another slot, RFC 8881 "
                      "§18.46.3");
  if (ret->sequenceid != sent->sequenceid)
    xdr_reject (a->x, "SEQUENCE4resok.sr_sequenceid: of another request, "
                      "RFC 8881 §18.46.3");
}

void
v4_get_fh (struct v4_answer *a, struct v4_fh *ret)
{
  size_t n;
  const uint8_t *p = xdr_opaque (a->x, NFS4_FHSIZE, &n,
                                 "GETFH4resok.object, RFC 8881 §18.8.2");

  ret->length_bytes = 0;
  if (!p)
    return;
  if (n == 0)
    xdr_reject (a->x, "GETFH4resok.object: empty, RFC 8881 §4.2");
  memcpy (ret->bytes, p, n);
  ret->length_bytes = (uint32_t)n;
}

uint32_t
v4_get_access (struct v4_answer *a)
{
  xdr_u32 (a->x, "ACCESS4resok.supported, RFC 8881 §18.1.2");
  return xdr_u32 (a->x, "ACCESS4resok.access, RFC 8881 §18.1.2");
}

/* nfsace4, of which nothing matters to us (§6.2.1) */
static void
skip_ace (struct xdr *x)
{
  size_t n;

  for (int i = 0; i < 3; i++)
    xdr_u32 (x, "open_delegation4.permissions, RFC 8881 §18.16.2");
  xdr_opaque (x, ACE_WHO_MAX, &n,
              "open_delegation4.permissions.who, RFC 8881 §18.16.2");
}

static void
get_delegation (struct xdr *x, struct v4_open_result *ret)
{
  uint32_t type =
      xdr_u32 (x, "open_delegation4.delegation_type, RFC 8881 §18.16.2");
  uint32_t why, limit;

  ret->delegated = type == OPEN_DELEGATE_READ || type == OPEN_DELEGATE_WRITE;
  if (type == OPEN_DELEGATE_NONE)
    return;
  if (type == OPEN_DELEGATE_NONE_EXT) {
    why = xdr_u32 (x, "open_none_delegation4.ond_why, RFC 8881 §18.16.2");
    /* WND4_CONTENTION and WND4_RESOURCE say what the server will do. */
    if (why == 1 || why == 2)
      xdr_bool (x, "open_none_delegation4, RFC 8881 §18.16.2");
    if (why > 8)
      xdr_reject (x, "open_none_delegation4.ond_why: unknown, RFC 8881 "
                     "§18.16.2");
    return;
  }
  if (!ret->delegated) {
    xdr_reject (x, "open_delegation4.delegation_type: unknown, RFC 8881 "
                   "§18.16.2");
    return;
  }
  get_stateid (x, &ret->delegation,
               "open_delegation4.stateid, RFC 8881 §18.16.2");
  xdr_bool (x, "open_delegation4.recall, RFC 8881 §18.16.2");
  if (type == OPEN_DELEGATE_WRITE) {
    limit = xdr_u32 (x, "nfs_space_limit4.limitby, RFC 8881 §18.16.2");
    if (limit != 1 && limit != 2)
      xdr_reject (x, "nfs_space_limit4.limitby: unknown, RFC 8881 §18.16.2");
    /* A size, or a number of blocks and their size: eight bytes both. */
    xdr_u64 (x, "nfs_space_limit4, RFC 8881 §18.16.2");
  }
  skip_ace (x);
}

void
v4_get_open (struct v4_answer *a, struct v4_open_result *ret)
{
  *ret = (struct v4_open_result){0};
  get_stateid (a->x, &ret->stateid, "OPEN4resok.stateid, RFC 8881 §18.16.2");
  xdr_bool (a->x, "OPEN4resok.cinfo.atomic, RFC 8881 §18.16.2");
  xdr_u64 (a->x, "OPEN4resok.cinfo.before, RFC 8881 §18.16.2");
  xdr_u64 (a->x, "OPEN4resok.cinfo.after, RFC 8881 §18.16.2");
  xdr_u32 (a->x, "OPEN4resok.rflags, RFC 8881 §18.16.2");
  skip_bitmap (a->x, "OPEN4resok.attrset, RFC 8881 §18.16.2");
  get_delegation (a->x, ret);
}

void
v4_get_stateid (struct v4_answer *a, struct v4_stateid *ret)
{
  get_stateid (a->x, ret, "CLOSE4res.open_stateid, RFC 8881 §18.2.2");
}

void
v4_get_setattr (struct v4_answer *a)
{
  skip_bitmap (a->x, "SETATTR4res.attrsset, RFC 8881 §18.30.2");
}

uint32_t
v4_get_test_stateid (struct v4_answer *a)
{
  uint32_t n = xdr_count (
      a->x, 1, "TEST_STATEID4resok.tsr_status_codes, RFC 8881 §18.48.2");
  uint32_t status;

  if (n != 1)
    xdr_reject (a->x, "TEST_STATEID4resok.tsr_status_codes: one was asked for, "
                      "RFC 8881 §18.48.3");
  status = xdr_u32 (a->x,
                    "TEST_STATEID4resok.tsr_status_codes, RFC 8881 §18.48.2");
  if (status != NFS4_OK && !v4_status_find (status))
    xdr_reject (a->x, "TEST_STATEID4resok.tsr_status_codes: no nfsstat4, "
                      "RFC 8881 §15.1");
  return status;
}

void
v4_get_readlink (struct v4_answer *a, char *ret, size_t ret_size_bytes)
{
  xdr_cstring (a->x, ret, ret_size_bytes,
               "READLINK4resok.link, RFC 8881 §18.24.2");
}

void
v4_get_read (struct v4_answer *a, bool *ret_eof, uint32_t *ret_count)
{
  *ret_eof = xdr_bool (a->x, "READ4resok.eof, RFC 8881 §18.22.2");
  *ret_count = xdr_u32 (a->x, "READ4resok.data, RFC 8881 §18.22.2");
}

void
v4_get_read_plus (struct v4_answer *a, bool *ret_eof, uint32_t *ret_segments)
{
  *ret_eof = xdr_bool (a->x, "read_plus_res4.rpr_eof, RFC 7862 §15.10.2");
  *ret_segments
    = xdr_count (a->x, V4_SEGMENTS_MAX,
                 "read_plus_res4.rpr_contents, RFC 7862 §15.10.2");
}

void
v4_get_segment (struct v4_answer *a, struct v4_segment *ret)
{
  uint32_t type
    = xdr_u32 (a->x, "read_plus_content.rpc_content, RFC 7862 §15.10.2");

  *ret = (struct v4_segment){.hole = type == NFS4_CONTENT_HOLE};
  if (type != NFS4_CONTENT_DATA && type != NFS4_CONTENT_HOLE)
    xdr_reject (a->x, "read_plus_content.rpc_content: no data_content4, RFC "
                      "7862 §15.10.2");
  ret->offset = xdr_u64 (a->x, ret->hole
                                 ? "data_info4.di_offset, RFC 7862 §15.10.2"
                                 : "data4.d_offset, RFC 7862 §15.10.2");
  ret->length = ret->hole
                  ? xdr_u64 (a->x, "data_info4.di_length, RFC 7862 §15.10.2")
                  : xdr_u32 (a->x, "data4.d_data, RFC 7862 §15.10.2");
}

void
v4_get_verifier (struct v4_answer *a, uint8_t ret[NFS4_VERIFIER_SIZE])
{
  const uint8_t *p = xdr_fixed (a->x, NFS4_VERIFIER_SIZE,
                                "COMMIT4resok.writeverf, RFC 8881 §18.3.2");

  if (p)
    memcpy (ret, p, NFS4_VERIFIER_SIZE);
}

void
v4_get_write (struct v4_answer *a, uint32_t sent_bytes,
              enum stable_how4 asked, struct v4_write_result *ret)
{
  uint32_t committed;
  const uint8_t *p;

  ret->count = xdr_u32 (a->x, "WRITE4resok.count, RFC 8881 §18.32.2");
  committed = xdr_u32 (a->x, "WRITE4resok.committed, RFC 8881 §18.32.2");
  p = xdr_fixed (a->x, NFS4_VERIFIER_SIZE,
                 "WRITE4resok.writeverf, RFC 8881 §18.32.2");
  if (!p)
    return;
  memcpy (ret->verifier, p, NFS4_VERIFIER_SIZE);
  if (ret->count > sent_bytes)
    xdr_reject (a->x, "WRITE4resok.count: more than was sent, RFC 8881 "
                      "§18.32.3");
  if (committed > FILE_SYNC4)
    xdr_reject (a->x, "WRITE4resok.committed: no stable_how4, RFC 8881 "
                      "§18.32.1");
  else if (committed < (uint32_t)asked)
    xdr_reject (a->x, "WRITE4resok.committed: weaker than was asked for, "
                      "RFC 8881 §18.32.3");
  ret->committed = (enum stable_how4)committed;
}

void
v4_get_seek (struct v4_answer *a, bool *ret_eof, uint64_t *ret_offset)
{
  *ret_eof = xdr_bool (a->x, "seek_res4.sr_eof, RFC 7862 §15.11.2");
  *ret_offset = xdr_u64 (a->x, "seek_res4.sr_offset, RFC 7862 §15.11.2");
}

void
v4_get_exchange_id (struct v4_answer *a, struct v4_exchange_id_result *ret)
{
  struct xdr *x = a->x;
  uint32_t flags, n;
  size_t bytes;

  ret->clientid =
      xdr_u64 (x, "EXCHANGE_ID4resok.eir_clientid, RFC 8881 §18.35.2");
  ret->sequenceid =
      xdr_u32 (x, "EXCHANGE_ID4resok.eir_sequenceid, RFC 8881 §18.35.2");
  flags = xdr_u32 (x, "EXCHANGE_ID4resok.eir_flags, RFC 8881 §18.35.2");
  ret->confirmed = flags & EXCHGID4_FLAG_CONFIRMED_R;
  /* §18.35.3: none was asked for, so that there may be no other. */
  if (xdr_u32 (x, "EXCHANGE_ID4resok.eir_state_protect, RFC 8881 §18.35.2"))
    xdr_reject (x, "EXCHANGE_ID4resok.eir_state_protect: not SP4_NONE, RFC "
                   "8881 §18.35.3");
  xdr_u64 (x, "EXCHANGE_ID4resok.eir_server_owner.so_minor_id, RFC 8881 "
              "§18.35.2");
  xdr_opaque (x, NFS4_OPAQUE_LIMIT, &bytes,
              "EXCHANGE_ID4resok.eir_server_owner.so_major_id, RFC 8881 "
              "§18.35.2");
  xdr_opaque (x, NFS4_OPAQUE_LIMIT, &bytes,
              "EXCHANGE_ID4resok.eir_server_scope, RFC 8881 §18.35.2");
  n = xdr_count (x, 1,
                 "EXCHANGE_ID4resok.eir_server_impl_id, RFC 8881 §18.35.2");
  if (n == 1) {
    xdr_opaque (x, NFS4_OPAQUE_LIMIT, &bytes,
                "nfs_impl_id4.nii_domain, RFC 8881 §3.3.21");
    xdr_opaque (x, NFS4_OPAQUE_LIMIT, &bytes,
                "nfs_impl_id4.nii_name, RFC 8881 §3.3.21");
    xdr_u64 (x, "nfs_impl_id4.nii_date, RFC 8881 §3.3.21");
    xdr_u32 (x, "nfs_impl_id4.nii_date, RFC 8881 §3.3.21");
  }
}

static void
get_channel (struct xdr *x, struct v4_channel *ret)
{
  ret->headerpadsize =
      xdr_u32 (x, "channel_attrs4.ca_headerpadsize, RFC 8881 §18.36.1");
  ret->maxrequestsize =
      xdr_u32 (x, "channel_attrs4.ca_maxrequestsize, RFC 8881 §18.36.1");
  ret->maxresponsesize =
      xdr_u32 (x, "channel_attrs4.ca_maxresponsesize, RFC 8881 §18.36.1");
  ret->maxresponsesize_cached = xdr_u32 (
      x, "channel_attrs4.ca_maxresponsesize_cached, RFC 8881 §18.36.1");
  ret->maxoperations =
      xdr_u32 (x, "channel_attrs4.ca_maxoperations, RFC 8881 §18.36.1");
  ret->maxrequests =
      xdr_u32 (x, "channel_attrs4.ca_maxrequests, RFC 8881 §18.36.1");
  if (xdr_count (x, 1, "channel_attrs4.ca_rdma_ird, RFC 8881 §18.36.1"))
    xdr_u32 (x, "channel_attrs4.ca_rdma_ird, RFC 8881 §18.36.1");
}

void
v4_get_create_session (struct v4_answer *a,
                       const struct v4_create_session *sent,
                       struct v4_create_session_result *ret)
{
  struct xdr *x = a->x;
  const uint8_t *session =
      xdr_fixed (x, NFS4_SESSIONID_SIZE,
                 "CREATE_SESSION4resok.csr_sessionid, RFC 8881 §18.36.2");
  struct v4_channel back;
  uint32_t sequenceid;

  if (session)
    memcpy (ret->session, session, NFS4_SESSIONID_SIZE);
  sequenceid =
      xdr_u32 (x, "CREATE_SESSION4resok.csr_sequence, RFC 8881 §18.36.2");
  xdr_u32 (x, "CREATE_SESSION4resok.csr_flags, RFC 8881 §18.36.2");
  get_channel (x, &ret->fore);
  get_channel (x, &back);
  if (x->bad)
    return;
  if (sequenceid != sent->sequenceid)
    xdr_reject (x, "CREATE_SESSION4resok.csr_sequence: of another request, "
                   "RFC 8881 §18.36.3");
  /* §18.36.3: the server may only take away. */
  if (ret->fore.maxrequests == 0
      || ret->fore.maxrequests > sent->fore.maxrequests)
    xdr_reject (x, "channel_attrs4.ca_maxrequests: none, or more than was "
                   "asked for, RFC 8881 §18.36.3");
  if (ret->fore.maxoperations == 0)
    xdr_reject (x, "channel_attrs4.ca_maxoperations: none, RFC 8881 "
                   "§18.36.3");
}

void
v4_get_bind (struct v4_answer *a, const uint8_t *session)
{
  uint32_t dir;
  const uint8_t *p = xdr_fixed (
      a->x, NFS4_SESSIONID_SIZE,
      "BIND_CONN_TO_SESSION4resok.bctsr_sessid, RFC 8881 §18.34.2");

  if (p && memcmp (p, session, NFS4_SESSIONID_SIZE))
    xdr_reject (a->x, "BIND_CONN_TO_SESSION4resok.bctsr_sessid: of another "
                      "session, RFC 8881 §18.34.3");
  dir = xdr_u32 (a->x,
                 "BIND_CONN_TO_SESSION4resok.bctsr_dir, RFC 8881 §18.34.2");
  if (!a->x->bad && dir != CDFS4_FORE && dir != CDFS4_BOTH)
    xdr_reject (a->x, "BIND_CONN_TO_SESSION4resok.bctsr_dir: not the fore "
                      "channel, RFC 8881 §18.34.3");
  if (xdr_bool (a->x, "BIND_CONN_TO_SESSION4resok.bctsr_use_conn_in_rdma_mode, "
                      "RFC 8881 §18.34.2"))
    xdr_reject (a->x, "BIND_CONN_TO_SESSION4resok.bctsr_use_conn_in_rdma_mode: "
                      "over TCP, RFC 8881 §18.34.3");
}
