/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the engine share among themselves; dialects use dialect.h.
 *
 * The session's identity page, all numbers big-endian, so that XIDs go on
 * where the last session ended, and a WRITE that is sent again is known to the
 * server's duplicate request cache by its old XID:
 *
 *   0  magic "BHNF"   4  dialect id   5  1: resize= was done   8  next XID
 *   64 …  the dialect's
 *
 * For NFSv3 the rest is a table of the WRITEs under way: tag (u64), XID of the
 * first piece (u32), bytes of each piece (u32); tag and bytes 0: free.
 */
#ifndef BH_PROTOCOLS_NFS_ENGINE_H
#define BH_PROTOCOLS_NFS_ENGINE_H

#include "protocols/nfs/dialect.h"

/* What `moved` begins with: this and a dialect's id; the rest is the
 * dialect's. */
#define NFS_MOVED_MAGIC 0xb5u
#define NFS_MOVED_HEADER_BYTES 2u

/* Ids of the stages in front of NFSv3; see nfs_dialect.id. */
#define NFS_STAGE_PORTMAP 1u
#define NFS_STAGE_MOUNT 2u

/* identity.c */

/* The XID to begin with; the seed's where the page is new. */
uint32_t
nfs_identity_open (struct nfs *n);
/* The dialect of the last session that got ready; 0: none. */
uint8_t
nfs_identity_dialect (const struct nfs *n);
/* Notes it; another one than before begins with zeroes. */
void
nfs_identity_choose (struct nfs *n, uint8_t dialect);
/* resize= was done, by this session or an earlier one. */
bool
nfs_identity_resized (const struct nfs *n);
void
nfs_identity_note_resized (struct nfs *n);
uint32_t
nfs_xid (struct nfs *n);
/* The XID of the first piece of a WRITE; they count up. The same for the same
 * tag and sizes in a later session.
 */
uint32_t
nfs_replay_xid (struct nfs *n, uint64_t tag, uint32_t length_bytes,
                   uint32_t piece_bytes);
void
nfs_forget_xid (struct nfs *n, uint64_t tag);

/* options.c: the parameters, checked; auth is what each call carries.
 * ERR_INVAL with f.
 */
enum err
nfs_options_read (struct nfs_options *ret, struct rpc_auth *ret_auth,
                  const struct proto_config *config, struct fault *f);

/* starttls.c: the question of RFC 9289 §4.1, by a NULL call of this program,
 * with its record mark; and its answer, as proto_ops.welcome.
 */
size_t
nfs_starttls_hello (uint32_t xid, uint32_t program, uint32_t version,
                    uint8_t dst[PROTO_HELLO_BYTES]);
enum err
nfs_starttls_welcome (uint32_t xid, const uint8_t *bytes, size_t length_bytes,
                      size_t *ret_more, struct fault *f);

#endif
