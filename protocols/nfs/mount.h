/* SPDX-License-Identifier: BSD-2-Clause */
/* The way to the root handle of NFSv3: each stage is an engine of its own, over
 * its own connection, and ends with PROTO_WANT_MOVE to the next.
 *
 *   NFS port: NULL → port 111: GETPORT → mountd: EXPORT, MNT → NFS port
 *
 * mountport= leaves out portmap. They are dialects in that they start and take
 * replies; no request ever reaches them. mountd's stage gets ready itself when
 * what is asked for is the list of exports.
 */
#ifndef BH_PROTOCOLS_NFS_MOUNT_H
#define BH_PROTOCOLS_NFS_MOUNT_H

#include "protocols/nfs/dialect.h"
#include "protocols/nfs/nfs3_codec.h"

#define MOUNT_PROGRAM 100005u

extern const struct nfs_dialect nfs_portmap, nfs_mount;

/* What nfs_mount hands to nfs_v3. */
struct nfs3_root {
  uint16_t prefix_bytes; /* of the path: the export */
  struct nfs3_fh fh;
};

/* From the beginning: portmap, or mountd where its port is given. */
void
nfs3_begin_mount (struct nfs *n, const char *why);
/* The rest of `moved`. ERR_PEER: it is none. */
enum err
nfs3_root_take (const struct nfs *n, struct nfs3_root *ret);

#endif
