/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a server whose connection was reset may still execute a write that
 * it had received, where the protocol has no fence (SFTP): so long gateway and
 * daemon let nobody write over it, and let no read of it into the cache.
 */
#ifndef BH_IPC_FENCE_H
#define BH_IPC_FENCE_H

#define FENCE_WAIT_NS 1000000000ull

#endif
