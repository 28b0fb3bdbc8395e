/* SPDX-License-Identifier: BSD-2-Clause */
/* What /sys and /proc say about /dev/nbdN. */
#ifndef BH_CLI_BLOCK_H
#define BH_CLI_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define BLOCK_INDEX_MAX 4095
#define BLOCK_BACKEND_BYTES 256u

/* "/dev/nbd3" or "nbd3": 3. -1: it is no such name. */
int
block_index (const char *device);
/* True if the kernel has a connection for it, or waits for one. */
bool
block_connected (int index);
/* The identifier that it was connected with; "" if none. */
void
block_backend (int index, char dst[BLOCK_BACKEND_BYTES]);
uint64_t
block_size_bytes (int index);
/* Calls back for each nbd device that there is, in the order of their numbers,
 * until it says false.
 */
void
block_each (bool (*call) (void *ctx, int index), void *ctx);

/* Opens it, close-on-exec. May wait for the disk. */
enum err
block_open (int index, int *ret_fd, struct fault *f);
/* Opens it for nobody else to mount it meanwhile. ERR_AGAIN: it is in use; the
 * fault says by what: where it is mounted, that it is swap, which device is
 * built on it, which process has it open (except does not count, nor do we).
 * The fd is close-on-exec. May take a second, or many where there are many
 * processes; opened, if there is one, is called as soon as opening it has
 * succeeded, or has found that it is in use.
 */
enum err
block_claim (int index, pid_t except, void (*opened) (void), int *ret_fd,
             struct fault *f);

#endif
