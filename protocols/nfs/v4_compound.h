/* SPDX-License-Identifier: BSD-2-Clause */
/* The COMPOUND procedure of NFSv4.1 and NFSv4.2 (RFC 8881 §16.2): one operation
 * after the other is put into a call, and one result after the other is taken
 * out of its answer. Pure; no state.
 *
 *   v4_begin (&c, &m.b, minor); v4_put_… (&c, …) …; v4_end (&c);
 *
 *   v4_open_answer (&a, &x, operations);
 *   if (v4_take (&a, OP_PUTFH) && v4_take (&a, OP_GETFH)) v4_get_fh (&a, …);
 *   e = v4_close_answer (&a, "LOOKUP", &f);
 *
 * An answer is only what the call asked for: results come in the order of the
 * operations, each with its number; the first that is not NFS4_OK is the last,
 * and its status that of the whole (§16.2.3). Everything else is refused with
 * the name of the field. After v4_take has returned false nothing may be taken
 * any more but v4_close_answer.
 *
 * Getters return void: a broken answer reads as zeroes and is noticed by the
 * next v4_take or by v4_close_answer.
 */
#ifndef BH_PROTOCOLS_NFS_V4_COMPOUND_H
#define BH_PROTOCOLS_NFS_V4_COMPOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/wire.h"
#include "protocols/nfs/v4_proto.h"
#include "protocols/nfs/xdr.h"

/* Of a READ_PLUS: one for each 512 bytes of the longest, and one more. */
#define V4_SEGMENTS_MAX 513u

struct v4_call {
  struct wirebuf *b;
  size_t count_at; /* where the number of operations stands */
  uint32_t operations;
};

void
v4_begin (struct v4_call *c, struct wirebuf *b, uint32_t minor);
void
v4_end (struct v4_call *c);

/* Operations without arguments: PUTROOTFH, GETFH. */
void
v4_put (struct v4_call *c, enum nfs_opnum4 op);

struct v4_sequence {
  const uint8_t *session; /* NFS4_SESSIONID_SIZE */
  uint32_t sequenceid, slotid, highest_slotid;
  bool cachethis;
};
void
v4_put_sequence (struct v4_call *c, const struct v4_sequence *s);
void
v4_put_putfh (struct v4_call *c, const struct v4_fh *fh);
void
v4_put_lookup (struct v4_call *c, const char *name, size_t name_bytes);
void
v4_put_getattr (struct v4_call *c, const uint32_t mask[2]);
/* SETATTR of the size alone. */
void
v4_put_resize (struct v4_call *c, const struct v4_stateid *s, uint64_t size);
void
v4_put_access (struct v4_call *c, uint32_t access);

struct v4_open {
  uint64_t clientid;
  const uint8_t *owner;
  size_t owner_bytes;
  uint32_t access, deny;
  enum open_claim_type4 claim;
};
void
v4_put_open (struct v4_call *c, const struct v4_open *o);
/* CLOSE, DELEGRETURN, FREE_STATEID, and TEST_STATEID of this one. */
void
v4_put_stateid_op (struct v4_call *c, enum nfs_opnum4 op,
                   const struct v4_stateid *s);
void
v4_put_read (struct v4_call *c, const struct v4_stateid *s, uint64_t offset,
             uint32_t count);
void
v4_put_read_plus (struct v4_call *c, const struct v4_stateid *s,
                  uint64_t offset, uint32_t count);
/* Up to the payload, which has count bytes and follows. */
void
v4_put_write (struct v4_call *c, const struct v4_stateid *s, uint64_t offset,
              enum stable_how4 stable);
void
v4_put_commit (struct v4_call *c, uint64_t offset, uint32_t count);
void
v4_put_seek (struct v4_call *c, const struct v4_stateid *s, uint64_t offset,
             enum data_content4 what);
/* ALLOCATE, DEALLOCATE */
void
v4_put_range (struct v4_call *c, enum nfs_opnum4 op, const struct v4_stateid *s,
              uint64_t offset, uint64_t length);

struct v4_readdir {
  uint64_t cookie;
  uint8_t verifier[NFS4_VERIFIER_SIZE];
  uint32_t dircount, maxcount;
  const uint32_t *mask; /* two words */
};
void
v4_put_readdir (struct v4_call *c, const struct v4_readdir *r);

struct v4_client_owner {
  const uint8_t *verifier; /* NFS4_VERIFIER_SIZE */
  const uint8_t *owner;
  size_t owner_bytes;
};
void
v4_put_exchange_id (struct v4_call *c, const struct v4_client_owner *o);

/* RFC 8881 §18.36: channel_attrs4 without ca_rdma_ird. */
struct v4_channel {
  uint32_t headerpadsize, maxrequestsize, maxresponsesize,
      maxresponsesize_cached, maxoperations, maxrequests;
};
struct v4_create_session {
  uint64_t clientid;
  uint32_t sequenceid;
  struct v4_channel fore, back;
};
void
v4_put_create_session (struct v4_call *c, const struct v4_create_session *s);
/* For the fore channel. */
void
v4_put_bind (struct v4_call *c, const uint8_t *session);
void
v4_put_destroy_session (struct v4_call *c, const uint8_t *session);
void
v4_put_destroy_clientid (struct v4_call *c, uint64_t clientid);
void
v4_put_reclaim_complete (struct v4_call *c);

/* ------------------------------------------------------------- answers --- */

struct v4_answer {
  struct xdr *x;
  uint32_t status; /* of the whole */
  uint32_t left;   /* results that were not taken */
  uint32_t failed; /* the operation whose status it is; 0: none */
};

void
v4_open_answer (struct v4_answer *a, struct xdr *x, uint32_t operations);
/* True if the next result is op's and its status NFS4_OK. */
bool
v4_take (struct v4_answer *a, enum nfs_opnum4 op);
/* The operation of the next result; 0: there is none. */
uint32_t
v4_next (const struct v4_answer *a);
/* After all: the answer was sound, whatever a->status says. ERR_PEER with f,
 * which says that it is the answer to `what`.
 */
enum err
v4_close_answer (struct v4_answer *a, const char *what, struct fault *f);

/* The same after SEQUENCE alone was asked for on a slot that may have another
 * answer kept: what follows it does not matter.
 */
enum err
v4_close_sequence (const struct v4_answer *a, struct fault *f);

struct v4_sequence_result {
  uint32_t sequenceid, slotid, target_highest_slotid, status_flags;
};
/* session and *sent are what was sent: §18.46.3 wants the same back. */
void
v4_get_sequence (struct v4_answer *a, const struct v4_sequence *sent,
                 struct v4_sequence_result *ret);
void
v4_get_fh (struct v4_answer *a, struct v4_fh *ret);
uint32_t
v4_get_access (struct v4_answer *a);

struct v4_open_result {
  struct v4_stateid stateid;
  bool delegated; /* not wanted, to be given back */
  struct v4_stateid delegation;
};
void
v4_get_open (struct v4_answer *a, struct v4_open_result *ret);
/* CLOSE */
void
v4_get_stateid (struct v4_answer *a, struct v4_stateid *ret);
/* SETATTR */
void
v4_get_setattr (struct v4_answer *a);
/* TEST_STATEID of one: its status. */
uint32_t
v4_get_test_stateid (struct v4_answer *a);
/* READLINK: the target, NUL-terminated. */
void
v4_get_readlink (struct v4_answer *a, char *ret, size_t ret_size_bytes);
/* READ up to the data. */
void
v4_get_read (struct v4_answer *a, bool *ret_eof, uint32_t *ret_count);

/* READ_PLUS up to its segments, of which there are *ret_segments. */
void
v4_get_read_plus (struct v4_answer *a, bool *ret_eof, uint32_t *ret_segments);
struct v4_segment {
  bool hole;
  uint64_t offset, length; /* data: as an opaque of that length behind it */
};
void
v4_get_segment (struct v4_answer *a, struct v4_segment *ret);

struct v4_write_result {
  uint32_t count;
  enum stable_how4 committed;
  uint8_t verifier[NFS4_VERIFIER_SIZE];
};
void
v4_get_write (struct v4_answer *a, uint32_t sent_bytes,
              enum stable_how4 asked, struct v4_write_result *ret);
void
v4_get_verifier (struct v4_answer *a, uint8_t ret[NFS4_VERIFIER_SIZE]);
void
v4_get_seek (struct v4_answer *a, bool *ret_eof, uint64_t *ret_offset);

struct v4_exchange_id_result {
  uint64_t clientid;
  uint32_t sequenceid;
  bool confirmed;
};
void
v4_get_exchange_id (struct v4_answer *a, struct v4_exchange_id_result *ret);

struct v4_create_session_result {
  uint8_t session[NFS4_SESSIONID_SIZE];
  struct v4_channel fore;
};
void
v4_get_create_session (struct v4_answer *a,
                       const struct v4_create_session *sent,
                       struct v4_create_session_result *ret);
void
v4_get_bind (struct v4_answer *a, const uint8_t *session);

#endif
