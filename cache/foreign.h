/* SPDX-License-Identifier: BSD-2-Clause */
/* What another uid hands to the host's daemon is looked at before it is used:
 * nothing of it may make the daemon wait, crash it, or make it act upon what
 * is somebody else's. A daemon of one's own trusts its gateways that far.
 */
#ifndef BH_CACHE_FOREIGN_H
#define BH_CACHE_FOREIGN_H

#include <stdbool.h>

/* A file of a volume: memory that is sealed for good, which cannot be slow or
 * shrink as a file of that user's own file system could.
 */
bool foreign_file (int fd);

/* A socket, whatever it is like. */
bool foreign_socket (int fd);

/* An agent: a Unix stream socket. Who has it, too, can hold its lock: it is for
 * a relay alone (relay.h).
 */
bool foreign_agent (int fd);

/* Sealed memory that a daemon of this uid has made, by the name that it gave
 * it: its inode belongs to us. We open it again for writing, whatever its
 * gateway may do with it; so it must not be another object of ours than it is
 * handed over as, one that a gateway may only read.
 */
bool foreign_object (int fd, const char *name);

/* TCP: what is done to reset it does nothing else. */
bool foreign_net (int fd);

/* bulkhead-worker, by the uid that workers of root's daemon have. */
bool foreign_is_worker (int pid, const char *worker_path);

/* The worker at the other end of the channel with these completions: the
 * program worker_path, which has that very object mapped, by the uid that
 * workers of root's daemon have. Another process may not be killed in
 * somebody's name. True also if it is dead already. Processes that a user may
 * trace are not looked at any further: they can make us wait.
 */
bool foreign_worker (int pidfd, int completions_fd, const char *worker_path);

#endif
