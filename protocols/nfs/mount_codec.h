/* SPDX-License-Identifier: BSD-2-Clause */
/* What NFSv3 needs before the first handle: portmap version 2 (RFC 1833 §3) and
 * MOUNT version 3 (RFC 1813 §5). Pure functions; no state. As nfs3_codec.h.
 */
#ifndef BH_PROTOCOLS_NFS_MOUNT_CODEC_H
#define BH_PROTOCOLS_NFS_MOUNT_CODEC_H

#include "protocols/nfs/nfs3_codec.h"

#define PORTMAP_PORT 111u
#define MOUNT_PATH_MAX_BYTES 1024u /* MNTPATHLEN, RFC 1813 §5.1.4 */
#define MOUNT_NAME_MAX_BYTES 255u  /* MNTNAMLEN */

extern const struct rpc_procedure portmap_getport, mount_mnt, mount_export;

/* RFC 1813 §5.1.5 */
#define MOUNT_STATUS_TABLE(X)                                                  \
  X (OK, 0, OK, "no error")                                                    \
  X (PERM, 1, ACCESS, "not the owner")                                         \
  X (NOENT, 2, NOENT, "no such directory")                                     \
  X (IO, 5, IO, "input/output error on the server")                            \
  X (ACCES, 13, ACCESS, "permission denied")                                   \
  X (NOTDIR, 20, NOENT, "not a directory")                                     \
  X (INVAL, 22, INVAL, "invalid argument")                                     \
  X (NAMETOOLONG, 63, INVAL, "the name is too long")                           \
  X (NOTSUPP, 10004, NOTSUP, "the server does not have this operation")        \
  X (SERVERFAULT, 10006, IO, "the server has a fault of its own")

enum mount_status {
#define X(name, value, err, text) MNT3ERR_##name = value,
  MOUNT_STATUS_TABLE (X)
#undef X
};
#define MNT3_OK MNT3ERR_OK

const char *
mount_status_name (enum mount_status s);
const char *
mount_status_text (enum mount_status s);
enum err
mount_status_err (enum mount_status s);

/* Over TCP. */
void
portmap_put_getport (struct wirebuf *b, uint32_t program, uint32_t version);
/* 0: not registered. */
uint16_t
portmap_take_getport (struct xdr *x);

void
mount_put_mnt (struct wirebuf *b, const char *path, size_t path_bytes);
/* *ret_sys: AUTH_SYS is among the flavors that the export takes. */
enum mount_status
mount_take_mnt (struct xdr *x, struct nfs3_fh *ret, bool *ret_sys,
                bool *ret_none);
/* The next export, its directory into the reply (not NUL-terminated); false
 * behind the last one, or when broken. The hosts that may mount it are skipped.
 */
bool
mount_take_export (struct xdr *x, const char **ret_path,
                   size_t *ret_path_bytes);

#endif
