/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the made-up NFSv4 server share: nfs4.c (COMPOUND),
 * nfs4-session.c, nfs4-file.c and nfs4-data.c (operations). An operation reads
 * its arguments from r->in and writes its result, but not an error's status.
 */
#ifndef BH_TESTS_FAKE_NFS4_PRIVATE_H
#define BH_TESTS_FAKE_NFS4_PRIVATE_H

#include "common/wire.h"
#include "tests/fake/nfs4.h"

enum {
  OK = 0,
  NOENT = 2,
  NXIO = 6,
  NOTDIR = 20,
  INVAL = 22,
  STALE = 70,
  NOTSUPP = 10004,
  MOVED = 10019,
  SYMLINK = 10029,
  GRACE = 10013,
  SHARE_DENIED = 10015,
  MINOR_VERS_MISMATCH = 10021,
  STALE_CLIENTID = 10022,
  BAD_STATEID = 10025,
  NO_GRACE = 10033,
  OP_ILLEGAL = 10044,
  BADSESSION = 10052,
  BADSLOT = 10053,
  REQ_TOO_BIG = 10065,
  COMPLETE_ALREADY = 10054,
  CONN_NOT_BOUND = 10055,
  SEQ_MISORDERED = 10063,
  RETRY_UNCACHED_REP = 10068,
  CLIENTID_BUSY = 10074,
};

/* One COMPOUND. */
struct run {
  struct fake_nfs4 *s;
  struct wire in;
  struct wirebuf *out;
  uint8_t fh; /* 'R', 'D', 'F', a link's number, or 0 */
  struct fake4_slot *slot;
  uint64_t client; /* whose session it is */
  bool cache;
};

/* nfs4.c */
void
fake4_put_opaque (struct wirebuf *b, const void *p, size_t n);
const uint8_t *
fake4_get_opaque (struct wire *w, size_t *n);
void
fake4_put_stateid (struct fake_nfs4 *s, struct wirebuf *b, uint32_t id);
bool
fake4_get_stateid (struct run *r);

/* nfs4-session.c */
uint32_t
fake4_exchange_id (struct run *r);
uint32_t
fake4_create_session (struct run *r);
uint32_t
fake4_sequence (struct run *r, bool *ret_replay);
uint32_t
fake4_bind_connection (struct run *r);
uint32_t
fake4_destroy_session (struct run *r);
uint32_t
fake4_destroy_clientid (struct run *r);
void
fake4_complete (struct run *r);
/* It has not yet said RECLAIM_COMPLETE: what reclaims nothing has to wait
 * (§18.51.3).
 */
bool
fake4_may_reclaim (const struct fake_nfs4 *s, uint64_t client);

/* nfs4-file.c */
bool
fake4_is_gone (const struct run *r);
uint32_t
fake4_putfh (struct run *r);
uint32_t
fake4_lookup (struct run *r);
void
fake4_put_attrs (struct run *r, uint32_t mask);
uint32_t
fake4_readlink (struct run *r);
uint32_t
fake4_getattr (struct run *r);
uint32_t
fake4_open_file (struct run *r);
uint32_t
fake4_close_file (struct run *r);
uint32_t
fake4_test_stateid (struct run *r);

/* nfs4-data.c */
uint32_t
fake4_read_file (struct run *r);
uint32_t
fake4_write_file (struct run *r);
uint32_t
fake4_commit (struct run *r);
uint32_t
fake4_setattr (struct run *r);
uint32_t
fake4_read_plus (struct run *r);
uint32_t
fake4_seek (struct run *r);
uint32_t
fake4_range (struct run *r, bool deallocate);
uint32_t
fake4_readdir (struct run *r);

#endif
