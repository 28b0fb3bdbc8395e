/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/listing.h"

#include <string.h>

#include "tests/unit/unit.h"

static void
what_was_added_is_read (void)
{
  struct listing l = {0};
  struct listing_entry e;
  size_t offset = 0;
  bool broken;

  CU_ASSERT_EQUAL (listing_add (&l, "disk.img", 8, 4096, "a file"), ERR_OK);
  CU_ASSERT_EQUAL (listing_add (&l, "x", 1, LISTING_SIZE_UNKNOWN, ""), ERR_OK);
  CU_ASSERT_EQUAL (listing_add (&l, "a\nb", 3, 1, ""), ERR_OK);
  CU_ASSERT_EQUAL (listing_add (&l, "", 0, 1, ""), ERR_OK);
  CU_ASSERT_EQUAL (l.entries, 2);
  CU_ASSERT_TRUE_FATAL (
    listing_next (l.base, l.used_bytes, &offset, &e, &broken));
  CU_ASSERT_STRING_EQUAL (e.name, "disk.img");
  CU_ASSERT_STRING_EQUAL (e.description, "a file");
  CU_ASSERT_EQUAL (e.size, 4096);
  CU_ASSERT_TRUE_FATAL (
    listing_next (l.base, l.used_bytes, &offset, &e, &broken));
  CU_ASSERT_STRING_EQUAL (e.name, "x");
  CU_ASSERT_EQUAL (e.size, LISTING_SIZE_UNKNOWN);
  CU_ASSERT_FALSE (listing_next (l.base, l.used_bytes, &offset, &e, &broken));
  CU_ASSERT_FALSE (broken);
  listing_fini (&l);
}

static void
a_description_cannot_break_it (void)
{
  struct listing l = {0};
  struct listing_entry e;
  size_t offset = 0;
  bool broken = true;

  CU_ASSERT_EQUAL (listing_add (&l, "lun", 3, 1, "a\nb\x7f\tc"), ERR_OK);
  CU_ASSERT_EQUAL (listing_add (&l, "next", 4, 1, "d"), ERR_OK);
  CU_ASSERT_TRUE_FATAL (
    listing_next (l.base, l.used_bytes, &offset, &e, &broken));
  CU_ASSERT_STRING_EQUAL (e.name, "lun");
  CU_ASSERT_STRING_EQUAL (e.description, "a?b??c");
  CU_ASSERT_TRUE_FATAL (
    listing_next (l.base, l.used_bytes, &offset, &e, &broken));
  CU_ASSERT_STRING_EQUAL (e.description, "d");
  listing_fini (&l);
}

/* Nor can a size: of what no file can have nothing is said. */
static void
nor_can_a_size (void)
{
  static const struct {
    uint64_t size, read;
  } sizes[] = {
    {INT64_MAX - 10, INT64_MAX - 10},
    {INT64_MAX, INT64_MAX},
    {(uint64_t)INT64_MAX + 1, LISTING_SIZE_UNKNOWN},
    {UINT64_MAX - 1, LISTING_SIZE_UNKNOWN},
  };
  struct listing l = {0};
  struct listing_entry e;
  size_t offset = 0;
  bool broken = true;

  for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    CU_ASSERT_EQUAL (listing_add (&l, "n", 1, sizes[i].size, ""), ERR_OK);
    CU_ASSERT_TRUE_FATAL (
      listing_next (l.base, l.used_bytes, &offset, &e, &broken));
    CU_ASSERT_EQUAL (e.size, sizes[i].read);
  }
  listing_fini (&l);
}

static void
it_is_bounded (void)
{
  struct listing l = {0};
  char name[LISTING_NAME_BYTES];
  unsigned n = 0;

  memset (name, 'n', sizeof name);
  while (listing_add (&l, name, sizeof name - 1, 0, "") == ERR_OK)
    n++;
  CU_ASSERT_TRUE (l.used_bytes <= LISTING_BYTES);
  CU_ASSERT_EQUAL (n, l.entries);
  CU_ASSERT_TRUE (n > 1000);
  listing_fini (&l);
  for (n = 0; listing_add (&l, "n", 1, 0, "") == ERR_OK; n++)
    ;
  CU_ASSERT_EQUAL (n, LISTING_ENTRIES);
  listing_fini (&l);
}

static void
broken_texts_are_told (void)
{
  static const struct {
    const char *text;
    size_t bytes;
  } bad[] = {
    {"name", 4},           {"name\0" "12", 7},      {"name\0" "12\0", 8},
    {"\0" "12\0\0", 5},    {"name\0x\0\0", 8},      {"na\x01me\0\0\0", 8},
    {"n\0" "99999999999999999999\0\0", 24},
    {"n\0" "9223372036854775808\0\0", 23},
  };

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct listing_entry e;
    size_t offset = 0;
    bool broken = false;

    CU_ASSERT_FALSE (listing_next ((const uint8_t *)bad[i].text, bad[i].bytes,
                                   &offset, &e, &broken));
    CU_ASSERT_TRUE (broken);
  }
}

UNIT_MAIN ("listing", UNIT_TEST (what_was_added_is_read),
           UNIT_TEST (a_description_cannot_break_it),
           UNIT_TEST (nor_can_a_size),
           UNIT_TEST (it_is_bounded), UNIT_TEST (broken_texts_are_told))
