/* SPDX-License-Identifier: BSD-2-Clause */
/* The NFS engine: NFSv3 (RFC 1813) with MOUNT and portmap (RFC 1833), NFSv4.1
 * and 4.2 (RFC 8881, RFC 7862), over ONC RPC (RFC 5531). See proto.h for how an
 * engine is used.
 */
#ifndef BH_PROTOCOLS_NFS_NFS_H
#define BH_PROTOCOLS_NFS_NFS_H

#include "protocols/proto.h"

extern const struct proto_ops nfs_ops;

#endif
