/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/unit/unit.h"

static void
what_may_be_shown_stays (void)
{
  static const struct {
    const char *text, *clean;
  } rows[] = {
      {"", ""},
      {"/mnt/disk one", "/mnt/disk one"},
      {"a\nb\033[2J\177", "a?b?[2J?"},
      {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
      {"\xe2\x82\xac \xf0\x9f\x9a\xa2", "\xe2\x82\xac \xf0\x9f\x9a\xa2"},
      {"gr\xfc\xdf", "gr??"}, /* Latin-1 */
      {"\xc2\x9b"
       "2J",
       "??2J"},                            /* CSI as C1 */
      {"\xc0\xaf \xe0\x80\xaf", "?? ???"}, /* too long */
      {"\xed\xa0\x80", "???"},             /* a surrogate */
      {"\xf4\x90\x80\x80", "????"},        /* beyond U+10FFFF */
      {"cut \xe2\x82", "cut ??"},
      {"cut \xf0\x9f\x9a|", "cut ???|"},
      {"\x80\xbf", "??"},
      {"\xc3\xc3\xbc", "?\xc3\xbc"},
  };

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[32];

    strcpy (text, rows[i].text);
    text_clean (text);
    CU_ASSERT_STRING_EQUAL (text, rows[i].clean);
  }
}

/* A library of its own says the same of what is longer than a byte. */
static void
json_takes_whatever_is_clean (void)
{
  unsigned seed = 1, kept = 0;

  for (unsigned i = 0; i < 200000; i++) {
    char text[5] = {0}, clean[5];
    json_t *was, *is;

    for (unsigned k = 0; k < 4; k++)
      text[k] = (char)(0x80 | rand_r (&seed) >> 8);
    text[0] |= 0x40;
    strcpy (clean, text);
    text_clean (clean);
    is = json_string (clean);
    was = json_string (text);
    CU_ASSERT_PTR_NOT_NULL (is);
    if (was && !strstr (text, "\xc2")) /* which C1 begins with */
      CU_ASSERT_STRING_EQUAL (clean, text);
    kept += was != NULL;
    json_decref (was);
    json_decref (is);
  }
  CU_ASSERT (kept > 100);
}

UNIT_MAIN ("text", UNIT_TEST (what_may_be_shown_stays),
           UNIT_TEST (json_takes_whatever_is_clean))
