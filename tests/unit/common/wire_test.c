/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/wire.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

static void
numbers_are_big_endian (void)
{
  uint8_t bytes[15];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire w;

  wirebuf_u8 (&b, 0xfe);
  wirebuf_u16 (&b, 0x8001);
  wirebuf_u32 (&b, 0x80000001);
  wirebuf_u64 (&b, 0x8000000000000001);
  CU_ASSERT (!b.err && b.used_bytes == sizeof bytes);
  CU_ASSERT_EQUAL (
    memcmp (bytes, "\xfe\x80\x01\x80\0\0\x01\x80\0\0\0\0\0\0\x01", 15), 0);
  w = wire_init (bytes, sizeof bytes);
  CU_ASSERT_EQUAL (wire_u8 (&w), 0xfe);
  CU_ASSERT_EQUAL (wire_u16 (&w), 0x8001);
  CU_ASSERT_EQUAL (wire_u32 (&w), 0x80000001);
  CU_ASSERT_EQUAL (wire_left (&w), 8);
  CU_ASSERT_EQUAL (wire_u64 (&w), 0x8000000000000001);
  CU_ASSERT_EQUAL (wire_end (&w), ERR_OK);
}

/* Each reader at each shortage: zero, and the error stays. */
static void
nothing_is_read_past_the_end (void)
{
  for (size_t n = 0; n < 8; n++) {
    uint8_t *exact = calloc (1, n ? n : 1); /* for ASan */
    struct wire w;

    memset (exact, 0xff, n);
    w = wire_init (exact, n);
    CU_ASSERT_EQUAL (wire_u64 (&w), n < 4 ? 0 : 0xffffffffull << 32);
    CU_ASSERT_EQUAL (w.err, ERR_PEER);
    CU_ASSERT_EQUAL (wire_left (&w), 0);
    CU_ASSERT_EQUAL (wire_u8 (&w), 0);
    CU_ASSERT_PTR_NULL (wire_bytes (&w, 0));
    CU_ASSERT_EQUAL (wire_end (&w), ERR_PEER);
    if (n < 4) {
      w = wire_init (exact, n);
      CU_ASSERT_EQUAL (wire_u32 (&w), 0);
    }
    free (exact);
  }
}

static void
lengths_cannot_overflow (void)
{
  uint8_t bytes[8] = {0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4};
  struct wire w = wire_init (bytes, sizeof bytes);
  size_t n = 77;

  CU_ASSERT_PTR_NULL (wire_string (&w, SIZE_MAX, &n));
  CU_ASSERT_EQUAL (n, 0);
  CU_ASSERT_EQUAL (w.err, ERR_PEER);
  w = wire_init (bytes, sizeof bytes);
  CU_ASSERT_PTR_NULL (wire_bytes (&w, SIZE_MAX));
  CU_ASSERT_EQUAL (w.err, ERR_PEER);
}

static void
strings (void)
{
  uint8_t bytes[64];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire w;
  char dst[6];
  size_t n;

  wirebuf_cstring (&b, "hello");
  wirebuf_string (&b, "", 0);
  wirebuf_string (&b, "a\0b", 3);
  w = wire_init (bytes, b.used_bytes);
  wire_cstring (&w, dst, sizeof dst);
  CU_ASSERT_STRING_EQUAL (dst, "hello");
  CU_ASSERT_PTR_NOT_NULL (wire_string (&w, 0, &n));
  CU_ASSERT_EQUAL (n, 0);
  wire_cstring (&w, dst, sizeof dst); /* a NUL inside */
  CU_ASSERT_STRING_EQUAL (dst, "");
  CU_ASSERT_EQUAL (w.err, ERR_PEER);
  w = wire_init (bytes, b.used_bytes);
  wire_cstring (&w, dst, 5); /* no room for the terminator */
  CU_ASSERT_STRING_EQUAL (dst, "");
  CU_ASSERT_EQUAL (w.err, ERR_PEER);
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_PTR_NULL (wire_string (&w, 4, &n)); /* longer than allowed */
  CU_ASSERT_EQUAL (w.err, ERR_PEER);
}

static void
bytes_left_over_are_an_error (void)
{
  struct wire w = wire_init ("ab", 2);

  wire_u8 (&w);
  CU_ASSERT_EQUAL (wire_end (&w), ERR_PEER);
  wire_u8 (&w);
  CU_ASSERT_EQUAL (wire_end (&w), ERR_OK);
}

static void
nothing_is_written_past_the_end (void)
{
  uint8_t bytes[8];
  struct wirebuf b = wirebuf_init (bytes, 6);

  memset (bytes, 0xaa, sizeof bytes);
  wirebuf_u32 (&b, 1);
  CU_ASSERT_PTR_NULL (wirebuf_room (&b, 3));
  CU_ASSERT_EQUAL (b.err, ERR_LIMIT);
  /* sticky, even for what would fit */
  wirebuf_u8 (&b, 1);
  CU_ASSERT_EQUAL (b.used_bytes, 4);
  CU_ASSERT_EQUAL (bytes[4], 0xaa);
  b = wirebuf_init (bytes, 6);
  CU_ASSERT_PTR_NULL (wirebuf_room (&b, SIZE_MAX));
  b = wirebuf_init (bytes, 6);
  wirebuf_cstring (&b, "abc");
  CU_ASSERT_EQUAL (b.err, ERR_LIMIT);
  CU_ASSERT_EQUAL (bytes[6], 0xaa);
}

UNIT_MAIN ("wire", UNIT_TEST (numbers_are_big_endian),
           UNIT_TEST (nothing_is_read_past_the_end),
           UNIT_TEST (lengths_cannot_overflow), UNIT_TEST (strings),
           UNIT_TEST (bytes_left_over_are_an_error),
           UNIT_TEST (nothing_is_written_past_the_end))
