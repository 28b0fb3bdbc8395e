/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/nfs3_codec.h"

#include <string.h>

#include "protocols/nfs/dialect.h"

/* A field as messages call it. */
#define FIELD(name, section) name ", RFC 1813 §" section

/* READ3res up to its data: status, no attributes, count, eof, length. */
#define READ_HEAD_BYTES (RPC_REPLY_HEADER_BYTES + 20u)

#define PROCEDURE(name, head)                                                  \
  [NFS3_##name] = {NFS_PROGRAM, 3, NFS3_##name, #name, head}

const struct rpc_procedure nfs3_procedure[NFS3_PROCEDURES] = {
    PROCEDURE (GETATTR, 0), PROCEDURE (LOOKUP, 0),
    PROCEDURE (ACCESS, 0),  PROCEDURE (READ, READ_HEAD_BYTES),
    PROCEDURE (WRITE, 0),   PROCEDURE (READDIRPLUS, 0),
    PROCEDURE (FSINFO, 0),  PROCEDURE (PATHCONF, 0),
    PROCEDURE (COMMIT, 0),  PROCEDURE (READLINK, 0),
    PROCEDURE (SETATTR, 0),
};

static const struct {
  enum nfs3_status status;
  enum err err;
  const char *name, *text;
} statuses[] = {
#define X(name, value, err, text)                                              \
  {NFS3ERR_##name, ERR_##err, "NFS3ERR_" #name, text},
    NFS3_STATUS_TABLE (X)
#undef X
};
#define STATUSES (sizeof statuses / sizeof statuses[0])

static unsigned
status_index (uint32_t s)
{
  unsigned i = 0;

  while (i < STATUSES && statuses[i].status != (enum nfs3_status)s)
    i++;
  return i;
}

const char *
nfs3_status_name (enum nfs3_status s)
{
  unsigned i = status_index (s);

  return i < STATUSES ? statuses[i].name : "NFS3ERR_?";
}

const char *
nfs3_status_text (enum nfs3_status s)
{
  unsigned i = status_index (s);

  return i < STATUSES ? statuses[i].text : "unknown error";
}

enum err
nfs3_status_err (enum nfs3_status s)
{
  unsigned i = status_index (s);

  return i < STATUSES ? statuses[i].err : ERR_IO;
}

/* Arguments. */

void
nfs3_put_fh (struct wirebuf *b, const struct nfs3_fh *fh)
{
  xdr_put_opaque (b, fh->bytes, fh->length_bytes);
}

void
nfs3_put_resize (struct wirebuf *b, const struct nfs3_fh *fh, uint64_t size,
                 struct nfs3_time ctime)
{
  nfs3_put_fh (b, fh);
  for (unsigned i = 0; i < 3; i++)
    xdr_put_bool (b, false); /* mode, uid, gid */
  xdr_put_bool (b, true);
  wirebuf_u64 (b, size);
  wirebuf_u32 (b, 0); /* atime, mtime: DONT_CHANGE */
  wirebuf_u32 (b, 0);
  xdr_put_bool (b, true);
  wirebuf_u32 (b, ctime.seconds);
  wirebuf_u32 (b, ctime.nseconds);
}

void
nfs3_put_lookup (struct wirebuf *b, const struct nfs3_fh *dir, const char *name,
                 size_t name_bytes)
{
  nfs3_put_fh (b, dir);
  xdr_put_opaque (b, name, name_bytes);
}

void
nfs3_put_access (struct wirebuf *b, const struct nfs3_fh *fh, uint32_t access)
{
  nfs3_put_fh (b, fh);
  wirebuf_u32 (b, access);
}

void
nfs3_put_read (struct wirebuf *b, const struct nfs3_fh *fh, uint64_t offset,
               uint32_t count)
{
  nfs3_put_fh (b, fh);
  wirebuf_u64 (b, offset);
  wirebuf_u32 (b, count);
}

void
nfs3_put_write (struct wirebuf *b, const struct nfs3_fh *fh, uint64_t offset,
                uint32_t count, enum nfs3_stable stable)
{
  nfs3_put_read (b, fh, offset, count);
  wirebuf_u32 (b, stable);
}

void
nfs3_put_commit (struct wirebuf *b, const struct nfs3_fh *fh, uint64_t offset,
                 uint32_t count)
{
  nfs3_put_read (b, fh, offset, count);
}

void
nfs3_put_readdirplus (struct wirebuf *b, const struct nfs3_fh *dir,
                      uint64_t cookie,
                      const uint8_t cookieverf[NFS3_COOKIEVERF_BYTES],
                      uint32_t dircount, uint32_t maxcount)
{
  nfs3_put_fh (b, dir);
  wirebuf_u64 (b, cookie);
  xdr_put_fixed (b, cookieverf, NFS3_COOKIEVERF_BYTES);
  wirebuf_u32 (b, dircount);
  wirebuf_u32 (b, maxcount);
}

/* Results. */

static enum nfs3_status
take_status (struct xdr *x)
{
  static const char field[] = FIELD ("status", "2.6");
  uint32_t s = xdr_u32 (x, field);

  if (status_index (s) == STATUSES)
    xdr_reject (x, field);
  return (enum nfs3_status)s;
}

void
nfs3_take_fh (struct xdr *x, struct nfs3_fh *ret)
{
  static const char field[] = FIELD ("nfs_fh3.data", "2.5");
  size_t n;
  const uint8_t *p = xdr_opaque (x, NFS3_FHSIZE, &n, field);

  if (p && n == 0)
    xdr_reject (x, field);
  *ret = (struct nfs3_fh){.length_bytes = (uint32_t)n};
  if (p)
    memcpy (ret->bytes, p, n);
}

static struct nfs3_time
take_time (struct xdr *x)
{
  struct nfs3_time t = {.seconds = xdr_u32 (x, FIELD ("nfstime3", "2.5"))};

  t.nseconds = xdr_u32 (x, FIELD ("nfstime3", "2.5"));
  return t;
}

static void
take_attr (struct xdr *x, struct nfs3_attr *ret)
{
  static const char type_field[] = FIELD ("fattr3.type", "2.5");
  struct nfs3_attr a = {0};

  a.type = (enum nfs3_type)xdr_count (x, NF3FIFO, type_field);
  if (a.type == 0)
    xdr_reject (x, type_field);
  a.mode = xdr_u32 (x, FIELD ("fattr3.mode", "2.5"));
  xdr_fixed (x, 12, FIELD ("fattr3.nlink, uid, gid", "2.5"));
  a.size = xdr_u64 (x, FIELD ("fattr3.size", "2.5"));
  xdr_fixed (x, 16, FIELD ("fattr3.used, rdev", "2.5"));
  a.fsid = xdr_u64 (x, FIELD ("fattr3.fsid", "2.5"));
  a.fileid = xdr_u64 (x, FIELD ("fattr3.fileid", "2.5"));
  take_time (x); /* atime */
  a.mtime = take_time (x);
  a.ctime = take_time (x);
  *ret = a;
}

static bool
take_post_op_attr (struct xdr *x, struct nfs3_attr *ret)
{
  struct nfs3_attr ignored;

  if (!xdr_bool (x, FIELD ("post_op_attr.attributes_follow", "2.5")))
    return false;
  take_attr (x, ret ? ret : &ignored);
  return true;
}

static void
skip_attr (struct xdr *x)
{
  if (xdr_bool (x, FIELD ("post_op_attr.attributes_follow", "2.5")))
    xdr_fixed (x, 84, FIELD ("post_op_attr.attributes", "2.5"));
}

static void
skip_wcc_data (struct xdr *x)
{
  if (xdr_bool (x, FIELD ("wcc_data.before.attributes_follow", "2.5")))
    xdr_fixed (x, 24, FIELD ("wcc_data.before.attributes", "2.5"));
  skip_attr (x);
}

static void
take_end (struct xdr *x)
{
  xdr_end (x, FIELD ("resok: bytes behind its end", "3.3"));
}

enum nfs3_status
nfs3_take_getattr (struct xdr *x, struct nfs3_attr *ret)
{
  enum nfs3_status s = take_status (x);

  if (s == NFS3_OK)
    take_attr (x, ret);
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_setattr (struct xdr *x)
{
  enum nfs3_status s = take_status (x);

  skip_wcc_data (x);
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_lookup (struct xdr *x, struct nfs3_fh *ret, bool *ret_has_attr,
                  struct nfs3_attr *ret_attr)
{
  enum nfs3_status s = take_status (x);

  if (s == NFS3_OK) {
    nfs3_take_fh (x, ret);
    *ret_has_attr = take_post_op_attr (x, ret_attr);
  }
  skip_attr (x);
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_readlink (struct xdr *x, char *ret, size_t ret_size_bytes)
{
  enum nfs3_status s = take_status (x);

  skip_attr (x);
  if (s == NFS3_OK)
    xdr_cstring (x, ret, ret_size_bytes,
                 FIELD ("READLINK3resok.data", "3.3.5"));
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_access (struct xdr *x, uint32_t *ret)
{
  enum nfs3_status s = take_status (x);

  skip_attr (x);
  if (s == NFS3_OK)
    *ret = xdr_u32 (x, FIELD ("ACCESS3resok.access", "3.3.4"));
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_fsinfo (struct xdr *x, struct nfs3_fsinfo *ret)
{
  enum nfs3_status s = take_status (x);

  skip_attr (x);
  if (s == NFS3_OK) {
    ret->rtmax = xdr_u32 (x, FIELD ("FSINFO3resok.rtmax", "3.3.19"));
    ret->rtpref = xdr_u32 (x, FIELD ("FSINFO3resok.rtpref", "3.3.19"));
    xdr_u32 (x, FIELD ("FSINFO3resok.rtmult", "3.3.19"));
    ret->wtmax = xdr_u32 (x, FIELD ("FSINFO3resok.wtmax", "3.3.19"));
    ret->wtpref = xdr_u32 (x, FIELD ("FSINFO3resok.wtpref", "3.3.19"));
    xdr_u32 (x, FIELD ("FSINFO3resok.wtmult", "3.3.19"));
    ret->dtpref = xdr_u32 (x, FIELD ("FSINFO3resok.dtpref", "3.3.19"));
    ret->maxfilesize
        = xdr_u64 (x, FIELD ("FSINFO3resok.maxfilesize", "3.3.19"));
    xdr_fixed (x, 12, FIELD ("FSINFO3resok.time_delta, properties", "3.3.19"));
  }
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_pathconf (struct xdr *x, struct nfs3_pathconf *ret)
{
  enum nfs3_status s = take_status (x);

  skip_attr (x);
  if (s == NFS3_OK) {
    xdr_u32 (x, FIELD ("PATHCONF3resok.linkmax", "3.3.20"));
    ret->name_max = xdr_u32 (x, FIELD ("PATHCONF3resok.name_max", "3.3.20"));
    ret->no_trunc = xdr_bool (x, FIELD ("PATHCONF3resok.no_trunc", "3.3.20"));
    xdr_bool (x, FIELD ("PATHCONF3resok.chown_restricted", "3.3.20"));
    xdr_bool (x, FIELD ("PATHCONF3resok.case_insensitive", "3.3.20"));
    xdr_bool (x, FIELD ("PATHCONF3resok.case_preserving", "3.3.20"));
  }
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_read (struct xdr *x, struct nfs3_read *ret)
{
  static const char field[] = FIELD ("READ3resok.data", "3.3.6");
  enum nfs3_status s = take_status (x);

  skip_attr (x);
  if (s != NFS3_OK)
    return s;
  ret->count = xdr_u32 (x, FIELD ("READ3resok.count", "3.3.6"));
  ret->eof = xdr_bool (x, FIELD ("READ3resok.eof", "3.3.6"));
  ret->data_bytes = xdr_u32 (x, field);
  if (!x->bad && ret->data_bytes != ret->count)
    xdr_reject (x, FIELD ("READ3resok.data: not count bytes", "3.3.6"));
  return s;
}

enum nfs3_status
nfs3_take_write (struct xdr *x, struct nfs3_write *ret)
{
  enum nfs3_status s = take_status (x);
  const uint8_t *verifier;

  skip_wcc_data (x);
  if (s == NFS3_OK) {
    ret->count = xdr_u32 (x, FIELD ("WRITE3resok.count", "3.3.7"));
    ret->committed = (enum nfs3_stable)xdr_count (
        x, NFS3_FILE_SYNC, FIELD ("WRITE3resok.committed", "3.3.7"));
    verifier = xdr_fixed (x, NFS3_VERIFIER_BYTES,
                          FIELD ("WRITE3resok.verf", "3.3.7"));
    if (verifier)
      memcpy (ret->verifier, verifier, NFS3_VERIFIER_BYTES);
  }
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_commit (struct xdr *x, uint8_t ret_verifier[NFS3_VERIFIER_BYTES])
{
  enum nfs3_status s = take_status (x);
  const uint8_t *verifier;

  skip_wcc_data (x);
  if (s == NFS3_OK) {
    verifier = xdr_fixed (x, NFS3_VERIFIER_BYTES,
                          FIELD ("COMMIT3resok.verf", "3.3.21"));
    if (verifier)
      memcpy (ret_verifier, verifier, NFS3_VERIFIER_BYTES);
  }
  take_end (x);
  return s;
}

enum nfs3_status
nfs3_take_readdirplus (struct xdr *x,
                       uint8_t ret_cookieverf[NFS3_COOKIEVERF_BYTES])
{
  enum nfs3_status s = take_status (x);
  const uint8_t *verifier;

  skip_attr (x);
  if (s != NFS3_OK) {
    take_end (x);
    return s;
  }
  verifier = xdr_fixed (x, NFS3_COOKIEVERF_BYTES,
                        FIELD ("READDIRPLUS3resok.cookieverf", "3.3.17"));
  if (verifier)
    memcpy (ret_cookieverf, verifier, NFS3_COOKIEVERF_BYTES);
  return s;
}

bool
nfs3_take_entry (struct xdr *x, struct nfs3_entry *ret, bool *ret_eof)
{
  static const char name_field[] = FIELD ("entryplus3.name", "3.3.17");
  struct nfs3_fh fh;

  if (!xdr_bool (x, FIELD ("dirlistplus3.entries", "3.3.17"))) {
    *ret_eof = xdr_bool (x, FIELD ("dirlistplus3.eof", "3.3.17"));
    take_end (x);
    return false;
  }
  *ret = (struct nfs3_entry){0};
  ret->fileid = xdr_u64 (x, FIELD ("entryplus3.fileid", "3.3.17"));
  ret->name = (const char *)xdr_opaque (x, LISTING_NAME_BYTES, &ret->name_bytes,
                                        name_field);
  ret->cookie = xdr_u64 (x, FIELD ("entryplus3.cookie", "3.3.17"));
  ret->has_attr = take_post_op_attr (x, &ret->attr);
  if (xdr_bool (x, FIELD ("post_op_fh3.handle_follows", "3.3.17")))
    nfs3_take_fh (x, &fh);
  return !x->bad;
}
