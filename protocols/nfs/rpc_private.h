/* SPDX-License-Identifier: BSD-2-Clause */
/* What rpc.c and rpc_receive.c have in common. */
#ifndef BH_PROTOCOLS_NFS_RPC_PRIVATE_H
#define BH_PROTOCOLS_NFS_RPC_PRIVATE_H

#include "protocols/nfs/rpc.h"

/* The call under way with this XID, or NULL. */
struct rpc_call *
rpc_find (struct rpc *r, uint32_t xid);
void
rpc_free_call (struct rpc *r, struct rpc_call *call);
/* The inbox begins with another record. */
void
rpc_next_record (struct rpc_inbox *in);

#endif
