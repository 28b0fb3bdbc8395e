/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed shared memory: memfds of a fixed size, and read-only ways to them.
 *
 * A read-only map of a writable fd can be made writable by mprotect, so what a
 * process may only read is handed over as an fd that was opened O_RDONLY.
 */
#ifndef BH_IPC_SHM_H
#define BH_IPC_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* A zeroed memfd of size_bytes, mode 0600, sealed SHRINK, GROW, SEAL. The
 * caller owns *ret_fd (close-on-exec). ERR_NOMEM, ERR_LIMIT.
 */
enum err shm_create (const char *name, size_t size_bytes, int *ret_fd);

/* What a file (from its beginning) or a pipe (to its end) has, as a new memfd
 * that nobody can change; for who does not want to read from a stranger's file.
 * Waits for a pipe at most timeout_ns. ERR_LIMIT: more than max_bytes;
 * ERR_TIMEOUT; ERR_INVAL: neither.
 */
enum err shm_copy_sealed (int fd, size_t max_bytes, uint64_t timeout_ns,
                          int *ret_fd);

/* A second fd for the same memory, opened O_RDONLY. Owned by the caller. */
enum err shm_reopen_readonly (int fd, int *ret_fd);

/* Maps all of it, shared. Checks first that fd has exactly size_bytes and the
 * seals, so that no peer can shrink it under us (SIGBUS). ERR_PEER if not;
 * ERR_NOMEM. Unmap with shm_unmap.
 */
enum err shm_map (int fd, size_t size_bytes, bool writable, void **ret_base);
void shm_unmap (void *base, size_t size_bytes);

#endif
