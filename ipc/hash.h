/* SPDX-License-Identifier: BSD-2-Clause */
/* Page numbers spread over 64 bits (the finalizer of SplitMix64). Stripes use
 * the high half, the cache index the low half, so that they do not collide
 * together.
 */
#ifndef BH_IPC_HASH_H
#define BH_IPC_HASH_H

#include <stdint.h>

static inline uint64_t
hash_page (uint64_t page)
{
  uint64_t z = page + 0x9e3779b97f4a7c15ull;

  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

#endif
