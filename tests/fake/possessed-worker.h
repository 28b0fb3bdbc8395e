/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests know of possessed-worker's disk. */
#ifndef BH_TESTS_POSSESSED_WORKER_H
#define BH_TESTS_POSSESSED_WORKER_H

#include <stddef.h>
#include <stdint.h>

#define POSSESSED_SIZE (16u << 20)

/* Bytes offset … of the disk; offset and length are multiples of 8. */
static inline void
possessed_pattern (uint8_t *dst, uint64_t offset, size_t length_bytes)
{
  for (size_t i = 0; i < length_bytes; i++)
    dst[i] = (uint8_t)((offset + i / 8 * 8) >> (56 - i % 8 * 8));
}

#endif
