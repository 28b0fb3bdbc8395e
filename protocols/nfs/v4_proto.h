/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of NFSv4.1 (RFC 8881, XDR in RFC 5662) and of NFSv4.2 (RFC 7862,
 * RFC 7863), as far as we speak them. Names and numbers are the RFCs'.
 */
#ifndef BH_PROTOCOLS_NFS_V4_PROTO_H
#define BH_PROTOCOLS_NFS_V4_PROTO_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"

/* RFC 8881 §3.1 */
#define NFS4_FHSIZE 128u
#define NFS4_OPAQUE_LIMIT 1024u
#define NFS4_SESSIONID_SIZE 16u
#define NFS4_VERIFIER_SIZE 8u
#define NFS4_OTHER_SIZE 12u

enum nfs_opnum4 {
  OP_ACCESS = 3,
  OP_CLOSE = 4,
  OP_COMMIT = 5,
  OP_DELEGRETURN = 8,
  OP_GETATTR = 9,
  OP_GETFH = 10,
  OP_LOOKUP = 15,
  OP_OPEN = 18,
  OP_PUTFH = 22,
  OP_PUTROOTFH = 24,
  OP_READ = 25,
  OP_READDIR = 26,
  OP_READLINK = 27,
  OP_SETATTR = 34,
  OP_WRITE = 38,
  OP_BIND_CONN_TO_SESSION = 41,
  OP_EXCHANGE_ID = 42,
  OP_CREATE_SESSION = 43,
  OP_DESTROY_SESSION = 44,
  OP_FREE_STATEID = 45,
  OP_SEQUENCE = 53,
  OP_TEST_STATEID = 55,
  OP_DESTROY_CLIENTID = 57,
  OP_RECLAIM_COMPLETE = 58,
  OP_ALLOCATE = 59,
  OP_DEALLOCATE = 62,
  OP_READ_PLUS = 68,
  OP_SEEK = 69,
  OP_ILLEGAL = 10044,
};

/* "READ"; "operation" for one that is not ours. */
const char *
v4_op_name (uint32_t op);

/* What has to be done about an error (RFC 8881 §15.1, §8.4, §2.10.6). */
enum v4_recovery {
  V4_DO_FAIL,    /* what was asked fails with the err of the table */
  V4_DO_WAIT,    /* the same again, later */
  V4_DO_AGAIN,   /* was executed, its answer is lost: again, as a new request */
  V4_DO_BIND,    /* BIND_CONN_TO_SESSION, then again */
  V4_DO_SESSION, /* a new session */
  V4_DO_CLIENT,  /* a new client ID, and so a new session */
  V4_DO_STATE,   /* a new OPEN */
  V4_DO_HANDLE,  /* the file is looked up again */
  V4_DO_WHERE,   /* it is gone: to where is asked, and told */
  V4_DO_BROKEN,  /* one of both ends is wrong: the connection ends */
};

/* X (name, number, err, recovery): every nfsstat4 of RFC 8881 and RFC 7862. */
#define V4_STATUS_TABLE(X)                                                     \
  X (PERM, 1, ACCESS, FAIL)                                                    \
  X (NOENT, 2, NOENT, FAIL)                                                    \
  X (IO, 5, IO, FAIL)                                                          \
  X (NXIO, 6, IO, FAIL)                                                        \
  X (ACCESS, 13, ACCESS, FAIL)                                                 \
  X (EXIST, 17, IO, FAIL)                                                      \
  X (XDEV, 18, IO, FAIL)                                                       \
  X (NOTDIR, 20, NOENT, FAIL)                                                  \
  X (ISDIR, 21, ISDIR, FAIL)                                                   \
  X (INVAL, 22, INVAL, FAIL)                                                   \
  X (FBIG, 27, NOSPC, FAIL)                                                    \
  X (NOSPC, 28, NOSPC, FAIL)                                                   \
  X (ROFS, 30, ROFS, FAIL)                                                     \
  X (MLINK, 31, IO, FAIL)                                                      \
  X (NAMETOOLONG, 63, NOENT, FAIL)                                             \
  X (NOTEMPTY, 66, IO, FAIL)                                                  \
  X (DQUOT, 69, NOSPC, FAIL)                                                   \
  X (STALE, 70, IO, HANDLE)                                                    \
  X (BADHANDLE, 10001, IO, HANDLE)                                             \
  X (BAD_COOKIE, 10003, IO, FAIL)                                              \
  X (NOTSUPP, 10004, NOTSUP, FAIL)                                             \
  X (TOOSMALL, 10005, PEER, BROKEN)                                            \
  X (SERVERFAULT, 10006, IO, FAIL)                                             \
  X (BADTYPE, 10007, IO, FAIL)                                                 \
  X (DELAY, 10008, TIMEOUT, WAIT)                                              \
  X (SAME, 10009, IO, FAIL)                                                    \
  X (DENIED, 10010, ACCESS, FAIL)                                              \
  X (EXPIRED, 10011, IO, STATE)                                                \
  X (LOCKED, 10012, ACCESS, FAIL)                                              \
  X (GRACE, 10013, TIMEOUT, WAIT)                                              \
  X (FHEXPIRED, 10014, IO, HANDLE)                                             \
  X (SHARE_DENIED, 10015, IO, FAIL)                                            \
  X (WRONGSEC, 10016, ACCESS, FAIL)                                            \
  X (CLID_INUSE, 10017, ACCESS, FAIL)                                          \
  X (RESOURCE, 10018, IO, FAIL)                                                \
  X (MOVED, 10019, IO, WHERE)                                                  \
  X (NOFILEHANDLE, 10020, PEER, BROKEN)                                        \
  X (MINOR_VERS_MISMATCH, 10021, VERSION, FAIL)                                \
  X (STALE_CLIENTID, 10022, IO, CLIENT)                                        \
  X (STALE_STATEID, 10023, IO, STATE)                                          \
  X (OLD_STATEID, 10024, IO, STATE)                                            \
  X (BAD_STATEID, 10025, IO, STATE)                                            \
  X (BAD_SEQID, 10026, IO, STATE)                                              \
  X (NOT_SAME, 10027, IO, FAIL)                                                \
  X (LOCK_RANGE, 10028, IO, FAIL)                                              \
  X (SYMLINK, 10029, NOENT, FAIL)                                              \
  X (RESTOREFH, 10030, PEER, BROKEN)                                           \
  X (LEASE_MOVED, 10031, IO, FAIL)                                             \
  X (ATTRNOTSUPP, 10032, NOTSUP, FAIL)                                         \
  X (NO_GRACE, 10033, IO, FAIL)                                                \
  X (RECLAIM_BAD, 10034, IO, FAIL)                                             \
  X (RECLAIM_CONFLICT, 10035, IO, FAIL)                                        \
  X (BADXDR, 10036, PEER, BROKEN)                                              \
  X (LOCKS_HELD, 10037, IO, FAIL)                                              \
  X (OPENMODE, 10038, ACCESS, STATE)                                           \
  X (BADOWNER, 10039, IO, FAIL)                                                \
  X (BADCHAR, 10040, NOENT, FAIL)                                              \
  X (BADNAME, 10041, NOENT, FAIL)                                              \
  X (BAD_RANGE, 10042, IO, FAIL)                                               \
  X (LOCK_NOTSUPP, 10043, NOTSUP, FAIL)                                        \
  X (OP_ILLEGAL, 10044, NOTSUP, FAIL)                                          \
  X (DEADLOCK, 10045, IO, FAIL)                                                \
  X (FILE_OPEN, 10046, IO, FAIL)                                               \
  X (ADMIN_REVOKED, 10047, IO, STATE)                                          \
  X (CB_PATH_DOWN, 10048, IO, FAIL)                                            \
  X (BADIOMODE, 10049, IO, FAIL)                                               \
  X (BADLAYOUT, 10050, IO, FAIL)                                               \
  X (BAD_SESSION_DIGEST, 10051, IO, SESSION)                                   \
  X (BADSESSION, 10052, IO, SESSION)                                           \
  X (BADSLOT, 10053, IO, SESSION)                                              \
  X (COMPLETE_ALREADY, 10054, IO, FAIL)                                        \
  X (CONN_NOT_BOUND_TO_SESSION, 10055, IO, BIND)                               \
  X (DELEG_ALREADY_WANTED, 10056, IO, FAIL)                                    \
  X (BACK_CHAN_BUSY, 10057, TIMEOUT, WAIT)                                     \
  X (LAYOUTTRYLATER, 10058, IO, FAIL)                                          \
  X (LAYOUTUNAVAILABLE, 10059, IO, FAIL)                                       \
  X (NOMATCHING_LAYOUT, 10060, IO, FAIL)                                       \
  X (RECALLCONFLICT, 10061, TIMEOUT, WAIT)                                     \
  X (UNKNOWN_LAYOUTTYPE, 10062, IO, FAIL)                                      \
  X (SEQ_MISORDERED, 10063, IO, SESSION)                                       \
  X (SEQUENCE_POS, 10064, PEER, BROKEN)                                        \
  X (REQ_TOO_BIG, 10065, PEER, BROKEN)                                         \
  X (REP_TOO_BIG, 10066, PEER, BROKEN)                                         \
  X (REP_TOO_BIG_TO_CACHE, 10067, PEER, BROKEN)                                \
  X (RETRY_UNCACHED_REP, 10068, IO, AGAIN)                                     \
  X (UNSAFE_COMPOUND, 10069, PEER, BROKEN)                                     \
  X (TOO_MANY_OPS, 10070, PEER, BROKEN)                                        \
  X (OP_NOT_IN_SESSION, 10071, PEER, BROKEN)                                   \
  X (HASH_ALG_UNSUPP, 10072, NOTSUP, FAIL)                                     \
  X (CLIENTID_BUSY, 10074, IO, FAIL)                                           \
  X (PNFS_IO_HOLE, 10075, IO, FAIL)                                            \
  X (SEQ_FALSE_RETRY, 10076, IO, AGAIN)                                        \
  X (BAD_HIGH_SLOT, 10077, IO, SESSION)                                        \
  X (DEADSESSION, 10078, IO, SESSION)                                          \
  X (ENCR_ALG_UNSUPP, 10079, NOTSUP, FAIL)                                     \
  X (PNFS_NO_LAYOUT, 10080, IO, FAIL)                                          \
  X (NOT_ONLY_OP, 10081, PEER, BROKEN)                                         \
  X (WRONG_CRED, 10082, ACCESS, FAIL)                                          \
  X (WRONG_TYPE, 10083, IO, FAIL)                                              \
  X (DIRDELEG_UNAVAIL, 10084, IO, FAIL)                                        \
  X (REJECT_DELEG, 10085, IO, FAIL)                                            \
  X (RETURNCONFLICT, 10086, IO, FAIL)                                          \
  X (DELEG_REVOKED, 10087, IO, STATE)                                          \
  X (PARTNER_NOTSUPP, 10088, NOTSUP, FAIL)                                     \
  X (PARTNER_NO_AUTH, 10089, ACCESS, FAIL)                                     \
  X (UNION_NOTSUPP, 10090, NOTSUP, FAIL)                                       \
  X (OFFLOAD_DENIED, 10091, ACCESS, FAIL)                                      \
  X (WRONG_LFS, 10092, IO, FAIL)                                               \
  X (BADLABEL, 10093, IO, FAIL)                                                \
  X (OFFLOAD_NO_REQS, 10094, IO, FAIL)

enum nfsstat4 {
  NFS4_OK = 0,
#define X(name, number, error, recovery) NFS4ERR_##name = number,
  V4_STATUS_TABLE (X)
#undef X
};

struct v4_status {
  uint32_t number;
  const char *name; /* "NFS4ERR_PERM" */
  enum err err;
  enum v4_recovery recovery;
};

/* NULL: no error of the RFCs. */
const struct v4_status *
v4_status_find (uint32_t status);

struct v4_fh {
  uint32_t length_bytes; /* 0: none */
  uint8_t bytes[NFS4_FHSIZE];
};

static inline bool
v4_fh_equal (const struct v4_fh *a, const struct v4_fh *b)
{
  return a->length_bytes == b->length_bytes
         && memcmp (a->bytes, b->bytes, a->length_bytes) == 0;
}

/* RFC 8881 §8.2 */
struct v4_stateid {
  uint32_t seqid;
  uint8_t other[NFS4_OTHER_SIZE];
};

/* RFC 8881 §3.2: nfs_ftype4 */
#define NF4REG 1u
#define NF4DIR 2u
#define NF4LNK 5u
#define NF4NAMEDATTR 9u

/* RFC 8881 §18.1 */
#define ACCESS4_READ 0x01u
#define ACCESS4_MODIFY 0x04u
#define ACCESS4_EXTEND 0x08u

/* RFC 8881 §18.16 */
#define OPEN4_SHARE_ACCESS_READ 0x1u
#define OPEN4_SHARE_ACCESS_WRITE 0x2u
#define OPEN4_SHARE_ACCESS_WANT_NO_DELEG 0x400u
#define OPEN4_SHARE_DENY_NONE 0u
#define OPEN4_SHARE_DENY_WRITE 0x2u
enum open_claim_type4 { CLAIM_PREVIOUS = 1, CLAIM_FH = 4 };
enum open_delegation_type4 {
  OPEN_DELEGATE_NONE = 0,
  OPEN_DELEGATE_READ = 1,
  OPEN_DELEGATE_WRITE = 2,
  OPEN_DELEGATE_NONE_EXT = 3,
};

/* RFC 8881 §18.32 */
enum stable_how4 { UNSTABLE4 = 0, DATA_SYNC4 = 1, FILE_SYNC4 = 2 };

/* RFC 8881 §18.35 */
#define EXCHGID4_FLAG_USE_NON_PNFS 0x00010000u
#define EXCHGID4_FLAG_CONFIRMED_R 0x80000000u

/* RFC 8881 §18.46 */
#define SEQ4_STATUS_EXPIRED_ALL_STATE_REVOKED 0x008u
#define SEQ4_STATUS_EXPIRED_SOME_STATE_REVOKED 0x010u
#define SEQ4_STATUS_ADMIN_STATE_REVOKED 0x020u
#define SEQ4_STATUS_LEASE_MOVED 0x080u
#define SEQ4_STATUS_RESTART_RECLAIM_NEEDED 0x100u

/* RFC 7862 §15.11 */
enum data_content4 { NFS4_CONTENT_DATA = 0, NFS4_CONTENT_HOLE = 1 };

#endif
