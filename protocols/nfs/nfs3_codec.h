/* SPDX-License-Identifier: BSD-2-Clause */
/* NFS version 3 (RFC 1813), as far as a block device and a list of files need
 * it. Pure functions; no state.
 *
 * Encoders append a procedure's arguments. Decoders read a procedure's results
 * from the cursor; what is missing, too long, unknown or left over breaks it,
 * and ret is worth nothing then. Each returns the nfsstat3; with another one
 * than NFS3_OK, ret is untouched.
 */
#ifndef BH_PROTOCOLS_NFS_NFS3_CODEC_H
#define BH_PROTOCOLS_NFS_NFS3_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "protocols/nfs/rpc.h"
#include "protocols/nfs/xdr.h"

#define NFS3_FHSIZE 64u /* §2.4 */
#define NFS3_VERIFIER_BYTES 8u
#define NFS3_COOKIEVERF_BYTES 8u
/* Arguments of READ, COMMIT, and WRITE without its payload. */
#define NFS3_ARGUMENTS_MAX_BYTES (4u + NFS3_FHSIZE + 8u + 4u + 4u + 4u + 4u)

/* §2.6 */
#define NFS3_STATUS_TABLE(X)                                                   \
  X (OK, 0, OK, "no error")                                                    \
  X (PERM, 1, ACCESS, "not the owner")                                         \
  X (NOENT, 2, NOENT, "no such file or directory")                             \
  X (IO, 5, IO, "input/output error on the server")                            \
  X (NXIO, 6, IO, "no such device on the server")                              \
  X (ACCES, 13, ACCESS, "permission denied")                                   \
  X (EXIST, 17, IO, "exists already")                                          \
  X (XDEV, 18, IO, "crosses file systems")                                     \
  X (NODEV, 19, IO, "no such device on the server")                            \
  X (NOTDIR, 20, NOENT, "not a directory")                                     \
  X (ISDIR, 21, ISDIR, "is a directory")                                       \
  X (INVAL, 22, INVAL, "invalid argument")                                     \
  X (FBIG, 27, NOSPC, "the file is too large")                                 \
  X (NOSPC, 28, NOSPC, "no space left on the server")                          \
  X (ROFS, 30, ROFS, "read-only file system")                                  \
  X (MLINK, 31, IO, "too many links")                                          \
  X (NAMETOOLONG, 63, INVAL, "the name is too long")                           \
  X (NOTEMPTY, 66, IO, "the directory is not empty")                           \
  X (DQUOT, 69, NOSPC, "the quota is used up")                                 \
  X (STALE, 70, IO, "the file handle is stale: the file is gone or was "       \
                    "replaced, or is not exported any more")                   \
  X (REMOTE, 71, IO, "too many levels of remote in the path")                  \
  X (BADHANDLE, 10001, IO, "the server does not know its own file handle")     \
  X (NOT_SYNC, 10002, IO, "out of step")                                       \
  X (BAD_COOKIE, 10003, IO, "the directory changed while it was listed")       \
  X (NOTSUPP, 10004, NOTSUP, "the server does not have this operation")        \
  X (TOOSMALL, 10005, IO, "the server wants larger buffers")                   \
  X (SERVERFAULT, 10006, IO, "the server has a fault of its own")              \
  X (BADTYPE, 10007, IO, "a type that the server does not have")               \
  X (JUKEBOX, 10008, AGAIN, "the server is not ready yet")

enum nfs3_status {
#define X(name, value, err, text) NFS3ERR_##name = value,
  NFS3_STATUS_TABLE (X)
#undef X
};
#define NFS3_OK NFS3ERR_OK

/* "NFS3ERR_NOENT"; its text; its enum err. Of known ones only. */
const char *
nfs3_status_name (enum nfs3_status s);
const char *
nfs3_status_text (enum nfs3_status s);
enum err
nfs3_status_err (enum nfs3_status s);

enum nfs3_procedure {
  NFS3_GETATTR = 1,
  NFS3_SETATTR = 2,
  NFS3_LOOKUP = 3,
  NFS3_ACCESS = 4,
  NFS3_READLINK = 5,
  NFS3_READ = 6,
  NFS3_WRITE = 7,
  NFS3_READDIRPLUS = 17,
  NFS3_FSINFO = 19,
  NFS3_PATHCONF = 20,
  NFS3_COMMIT = 21,
  NFS3_PROCEDURES
};
/* Those that have a name. */
extern const struct rpc_procedure nfs3_procedure[NFS3_PROCEDURES];

enum nfs3_type { NF3REG = 1, NF3DIR, NF3BLK, NF3CHR, NF3LNK, NF3SOCK, NF3FIFO };

struct nfs3_fh {
  uint32_t length_bytes; /* 0: none */
  uint8_t bytes[NFS3_FHSIZE];
};

struct nfs3_time {
  uint32_t seconds, nseconds;
};

struct nfs3_attr {
  enum nfs3_type type;
  uint32_t mode;
  uint64_t size, fsid, fileid;
  struct nfs3_time mtime, ctime;
};

/* §3.3.4 */
#define NFS3_ACCESS_READ 0x01u
#define NFS3_ACCESS_MODIFY 0x04u
#define NFS3_ACCESS_EXTEND 0x08u

struct nfs3_fsinfo {
  uint32_t rtmax, rtpref, wtmax, wtpref, dtpref;
  uint64_t maxfilesize;
};

struct nfs3_pathconf {
  uint32_t name_max;
  bool no_trunc;
};

/* §3.3.7 */
enum nfs3_stable { NFS3_UNSTABLE, NFS3_DATA_SYNC, NFS3_FILE_SYNC };

struct nfs3_read {
  uint32_t count;
  bool eof;
  uint32_t data_bytes; /* what follows */
};

struct nfs3_write {
  uint32_t count;
  enum nfs3_stable committed;
  uint8_t verifier[NFS3_VERIFIER_BYTES];
};

struct nfs3_entry {
  const char *name; /* into the reply; not NUL-terminated */
  size_t name_bytes;
  uint64_t fileid, cookie;
  bool has_attr;
  struct nfs3_attr attr;
};

void
nfs3_put_fh (struct wirebuf *b, const struct nfs3_fh *fh);
/* SETATTR of the size alone, if ctime is still that one (sattrguard3). */
void
nfs3_put_resize (struct wirebuf *b, const struct nfs3_fh *fh, uint64_t size,
                 struct nfs3_time ctime);
void
nfs3_put_lookup (struct wirebuf *b, const struct nfs3_fh *dir, const char *name,
                 size_t name_bytes);
void
nfs3_put_access (struct wirebuf *b, const struct nfs3_fh *fh, uint32_t access);
void
nfs3_put_read (struct wirebuf *b, const struct nfs3_fh *fh, uint64_t offset,
               uint32_t count);
/* Up to the data, which follow as an opaque<> of count bytes. */
void
nfs3_put_write (struct wirebuf *b, const struct nfs3_fh *fh, uint64_t offset,
                uint32_t count, enum nfs3_stable stable);
void
nfs3_put_commit (struct wirebuf *b, const struct nfs3_fh *fh, uint64_t offset,
                 uint32_t count);
void
nfs3_put_readdirplus (struct wirebuf *b, const struct nfs3_fh *dir,
                      uint64_t cookie,
                      const uint8_t cookieverf[NFS3_COOKIEVERF_BYTES],
                      uint32_t dircount, uint32_t maxcount);

void
nfs3_take_fh (struct xdr *x, struct nfs3_fh *ret);
enum nfs3_status
nfs3_take_getattr (struct xdr *x, struct nfs3_attr *ret);
enum nfs3_status
nfs3_take_setattr (struct xdr *x);
/* *ret_has_attr: *ret_attr is the object's. */
enum nfs3_status
nfs3_take_lookup (struct xdr *x, struct nfs3_fh *ret, bool *ret_has_attr,
                  struct nfs3_attr *ret_attr);
/* The target, NUL-terminated. */
enum nfs3_status
nfs3_take_readlink (struct xdr *x, char *ret, size_t ret_size_bytes);
enum nfs3_status
nfs3_take_access (struct xdr *x, uint32_t *ret);
enum nfs3_status
nfs3_take_fsinfo (struct xdr *x, struct nfs3_fsinfo *ret);
enum nfs3_status
nfs3_take_pathconf (struct xdr *x, struct nfs3_pathconf *ret);
/* Up to the length of the data. */
enum nfs3_status
nfs3_take_read (struct xdr *x, struct nfs3_read *ret);
enum nfs3_status
nfs3_take_write (struct xdr *x, struct nfs3_write *ret);
enum nfs3_status
nfs3_take_commit (struct xdr *x, uint8_t ret_verifier[NFS3_VERIFIER_BYTES]);
/* Up to the first entry. */
enum nfs3_status
nfs3_take_readdirplus (struct xdr *x,
                       uint8_t ret_cookieverf[NFS3_COOKIEVERF_BYTES]);
/* The next entry; false behind the last one, with *ret_eof, or when broken. */
bool
nfs3_take_entry (struct xdr *x, struct nfs3_entry *ret, bool *ret_eof);

#endif
