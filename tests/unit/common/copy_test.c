/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/copy.h"

#include <stdbool.h>

#include "tests/unit/unit.h"

#define MOST (3 * COPY_STEP_BYTES)
#define AROUND 64u

static uint8_t src[MOST + AROUND];
static _Alignas(COPY_ASIDE_ALIGN) uint8_t dst[AROUND + MOST + 2 * AROUND];

static bool
all_are (const uint8_t *p, size_t n, uint8_t value)
{
  for (size_t i = 0; i < n; i++)
    if (p[i] != value)
      return false;
  return true;
}

/* The bytes are there, and none in front of them or behind. */
static bool
copies (void (*copy) (void *, const void *, size_t), size_t to, size_t from,
        size_t length_bytes)
{
  memset (dst, 0xa5, sizeof dst);
  copy (dst + to, src + from, length_bytes);
  return memcmp (dst + to, src + from, length_bytes) == 0
         && all_are (dst, to, 0xa5)
         && all_are (dst + to + length_bytes, sizeof dst - to - length_bytes,
                     0xa5);
}

static void
every_length (void)
{
  unsigned wrong = 0;

  for (size_t i = 0; i < sizeof src; i++)
    src[i] = (uint8_t)(i * 7 + i / 251);
  for (size_t n = 0; n <= MOST; n += n < 200 ? 1 : 61) {
    wrong += !copies (copy_bytes, 16, 0, n);
    wrong += !copies (copy_bytes, 1, 3, n);
    wrong += !copies (copy_aside, AROUND, 0, n);
    wrong += !copies (copy_aside, AROUND, 16, n);
    wrong += !copies (copy_aside, AROUND, 7, n);
  }
  CU_ASSERT_EQUAL (wrong, 0);
}

static void
at_the_borders_of_steps (void)
{
  unsigned wrong = 0;

  for (size_t n = COPY_STEP_BYTES - 1; n <= COPY_STEP_BYTES + 1; n++)
    for (size_t k = 1; k <= 2; k++) {
      wrong += !copies (copy_bytes, 16, 0, k * n);
      wrong += !copies (copy_aside, AROUND, 5, k * n);
    }
  CU_ASSERT_EQUAL (wrong, 0);
}

UNIT_MAIN ("copy", UNIT_TEST (every_length),
           UNIT_TEST (at_the_borders_of_steps))
