/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server of the tests serves: bytes of which those that were not synced
 * may be lost when it restarts; its token changes then. The caller locks.
 */
#ifndef BH_TESTS_FAKE_DISK_H
#define BH_TESTS_FAKE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/io.h"

#define DISK_PAGE 4096u

struct disk {
  uint64_t size;   /* whole pages */
  uint8_t *bytes;  /* what is read and written */
  uint8_t *stable; /* what survives */
  bool *dirty;     /* by page: they differ, maybe */
  uint64_t n_dirty;
  bool *hole;      /* by page: nothing allocated */
  uint8_t token[IO_TOKEN_BYTES];
  unsigned seed;
  _Atomic unsigned lost; /* pages, ever */
};

void disk_init (struct disk *d, uint64_t size);
void disk_fini (struct disk *d);

void disk_write (struct disk *d, uint64_t offset, const void *bytes,
                 uint64_t n);
/* Makes zeroes; whole pages become holes unless keep. */
void disk_zero (struct disk *d, uint64_t offset, uint64_t n, bool keep);
void disk_sync (struct disk *d, uint64_t offset, uint64_t n);
/* Each dirty page is lost or not. */
void disk_restart (struct disk *d);
/* A FLUSH that fails: as restart, but the token stays. */
void disk_drop (struct disk *d);
/* Returns how many extents. */
uint32_t disk_status (const struct disk *d, uint64_t offset, uint64_t n,
                      struct io_extent *ret);

#endif
