/* SPDX-License-Identifier: BSD-2-Clause */
/* Which names are sought, and what of a worker's list is believed. */
#include "config.h"
#include "gateway/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static void
names_stay_below_the_directory (void)
{
  static const char *const good[] = {"disk.img", "a b", "...", ".hidden",
                                     "..x", "x..", "iqn.2026-01.x:disk/0",
                                     "\xc3\xa4", "a/.b"};
  static const char *const bad[] = {
    "", ".", "..", "/", "/etc/passwd", "../x", "a/../b", "a/..", "a/.", "./a",
    "a//b", "a/", "//", "x\n", "\033[2J", "\x7f", "x\ty"};
  char longest[LISTING_NAME_BYTES + 1];

  for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
    CU_ASSERT (catalog_name_is_safe (good[i]));
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CU_ASSERT_FALSE (catalog_name_is_safe (bad[i]));
  memset (longest, 'x', sizeof longest);
  longest[LISTING_NAME_BYTES] = 0;
  CU_ASSERT_FALSE (catalog_name_is_safe (longest));
  longest[LISTING_NAME_BYTES - 1] = 0;
  CU_ASSERT (catalog_name_is_safe (longest));
}

static void
lists_are_sorted_and_nothing_is_there_twice (void)
{
  struct listing l = {0};
  struct catalog c = {0};

  listing_add (&l, "b", 1, 2, "second");
  listing_add (&l, "../x", 4, 1, "");
  listing_add (&l, "a", 1, 1, "");
  listing_add (&l, "b", 1, 3, "again");
  listing_add (&l, "/abs", 4, 1, "");
  CU_ASSERT_EQUAL_FATAL (catalog_take (&c, l.base, l.used_bytes), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (c.entries, 2);
  CU_ASSERT_STRING_EQUAL (c.entry[0].name, "a");
  CU_ASSERT_STRING_EQUAL (c.entry[1].name, "b");
  CU_ASSERT (catalog_has (&c, "a") && catalog_has (&c, "b"));
  CU_ASSERT_FALSE (catalog_has (&c, "c") || catalog_has (&c, ""));
  catalog_fini (&c);
}

static void
an_empty_list_is_one (void)
{
  struct catalog c = {0};

  CU_ASSERT_EQUAL (catalog_take (&c, malloc (1), 0), ERR_OK);
  CU_ASSERT_EQUAL (c.entries, 0);
  CU_ASSERT_FALSE (catalog_has (&c, "x"));
  catalog_fini (&c);
}

static void
what_breaks_the_rules_is_refused (void)
{
  static const char *const bad[] = {"x", "\0000\0", "x\0y\0", "x\0001y\0\0",
                                    "x\n\0001\0\0", "x\0001\0d"};
  static const size_t bytes[] = {1, 4, 4, 5, 6, 5};
  struct catalog c = {0};
  uint8_t *text;
  size_t n = 0;

  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    text = malloc (bytes[i]);
    memcpy (text, bad[i], bytes[i]);
    CU_ASSERT_EQUAL (catalog_take (&c, text, bytes[i]), ERR_PEER);
  }
  text = malloc (LISTING_BYTES);
  for (unsigned i = 0; i <= LISTING_ENTRIES; i++) {
    n += (size_t)sprintf ((char *)text + n, "%u", i) + 1;
    text[n++] = 0;
    text[n++] = 0;
  }
  CU_ASSERT_EQUAL (catalog_take (&c, text, n), ERR_PEER);
  CU_ASSERT_PTR_NULL (c.entry);
}

UNIT_MAIN ("gateway catalog", UNIT_TEST (names_stay_below_the_directory),
           UNIT_TEST (lists_are_sorted_and_nothing_is_there_twice),
           UNIT_TEST (an_empty_list_is_one),
           UNIT_TEST (what_breaks_the_rules_is_refused))
