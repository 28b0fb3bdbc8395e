/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/err.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

/* Every error but OK means something to an NBD client, and has words. */
static void
table_is_complete (void)
{
  CU_ASSERT_EQUAL (err_errno (ERR_OK), 0);
  for (int i = 1; i < ERR_COUNT; i++) {
    CU_ASSERT (err_errno ((enum err) - i) > 0);
    CU_ASSERT (strlen (err_text ((enum err) - i)) > 3);
    for (int j = 1; j < i; j++)
      CU_ASSERT_STRING_NOT_EQUAL (err_text ((enum err) - i),
                                  err_text ((enum err) - j));
  }
}

static void
unknown_values_are_eio (void)
{
  CU_ASSERT_EQUAL (err_errno ((enum err)1), EIO);
  CU_ASSERT_EQUAL (err_errno ((enum err) - ERR_COUNT), EIO);
  CU_ASSERT_EQUAL (err_from_errno (0), ERR_OK);
  CU_ASSERT_EQUAL (err_from_errno (ENOSPC), ERR_NOSPC);
  CU_ASSERT_EQUAL (err_from_errno (12345), ERR_IO);
}

static void
a_fault_is_one_clean_line (void)
{
  struct fault f;
  char big[1000];

  memset (big, 'x', sizeof big);
  big[sizeof big - 1] = 0;
  CU_ASSERT_EQUAL (fault_set (&f, ERR_AUTH, "a\nb\033[2J%s", big), ERR_AUTH);
  CU_ASSERT_NSTRING_EQUAL (f.text, "a?b?[2Jxxx", 10);
  CU_ASSERT_EQUAL (strlen (f.text), sizeof f.text - 1);
  CU_ASSERT_STRING_EQUAL (f.hint, "");
  fault_hint (&f, "try %d\r", 2);
  CU_ASSERT_STRING_EQUAL (f.hint, "try 2?");
  fault_set (&f, ERR_IO, "/mnt/\xfc.img%s\xe2\x82\xac", big);
  CU_ASSERT_NSTRING_EQUAL (f.text, "/mnt/?.imgx", 11);
  /* Nor does the bound cut a character in two. */
  fault_set (&f, ERR_IO, "%.318s\xe2\x82\xac", big);
  CU_ASSERT_STRING_EQUAL (f.text + 317, "x?");
  CU_ASSERT_EQUAL (fault_set (NULL, ERR_IO, "nobody reads"), ERR_IO);
}

UNIT_MAIN ("err", UNIT_TEST (table_is_complete),
           UNIT_TEST (unknown_values_are_eio),
           UNIT_TEST (a_fault_is_one_clean_line))
