/* SPDX-License-Identifier: BSD-2-Clause */
/* A socket of another user's, reached through a process of its own
 * (bulkhead-relay): whoever has that socket as well can hold its lock, and the
 * kernel waits for a lock where it is told not to wait for bytes. It holds up
 * the relay then, not the daemon, which reads and writes a socket of its own.
 *
 * A relay that waits for a lock cannot be killed before it gets it: it counts
 * in its user's quota until it is dead.
 */
#ifndef BH_CACHE_RELAY_H
#define BH_CACHE_RELAY_H

#include "cache/daemon.h"

struct relay;

/* fd: a connected stream socket, borrowed. ERR_LIMIT, and those of sbx_spawn;
 * f says it.
 */
enum err
relay_start (struct daemon *d, uid_t uid, int fd, struct relay **ret,
             struct fault *f);
/* The daemon's end, a stream socket: the relay's. It ends when the other one
 * does.
 */
int
relay_fd (const struct relay *r);
/* Kills it. NULL is allowed. */
void
relay_end (struct relay *r);

#endif
