/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of payload. On Zen 3 and 4 the C library's memcpy of 2112 bytes to
 * 512 KiB is one REP MOVSB, which does 1.5 to 2 GB/s in place of 10 to 20 if
 * the destination lies 1 to 63 bytes behind the source within its page; and
 * what malloc gives for an NBD request begins 16 bytes behind the border of a
 * page, where every chunk of an arena begins. Shorter copies are loops of the
 * vector unit, whose speed does not depend on that.
 */
#ifndef BH_COMMON_COPY_H
#define BH_COMMON_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define COPY_STEP_BYTES 2048u
/* Where copy_aside's destinations begin: at a multiple of it. */
#define COPY_ASIDE_ALIGN 64u

static inline void
copy_bytes (void *dst, const void *src, size_t length_bytes)
{
  uint8_t *d = dst;
  const uint8_t *s = src;

  for (; length_bytes > COPY_STEP_BYTES; length_bytes -= COPY_STEP_BYTES) {
    memcpy (d, s, COPY_STEP_BYTES);
    d += COPY_STEP_BYTES;
    s += COPY_STEP_BYTES;
  }
  memcpy (d, s, length_bytes);
}

/* The same to memory that is not read again soon, or never: past the caches,
 * which keep what is worked with. dst is aligned to COPY_ASIDE_ALIGN.
 */
static inline void
copy_aside (void *dst, const void *src, size_t length_bytes)
{
  size_t whole = 0;

#ifdef __SSE2__
  whole = length_bytes - length_bytes % COPY_ASIDE_ALIGN;
  for (size_t i = 0; i < whole; i += sizeof (__m128i))
    _mm_stream_si128 (
        (__m128i *)((uint8_t *)dst + i),
        _mm_loadu_si128 ((const __m128i *)((const uint8_t *)src + i)));
  _mm_sfence (); /* before what says that they are there */
#endif
  copy_bytes ((uint8_t *)dst + whole, (const uint8_t *)src + whole,
              length_bytes - whole);
}

#endif
