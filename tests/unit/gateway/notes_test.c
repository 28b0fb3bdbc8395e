/* SPDX-License-Identifier: BSD-2-Clause */
/* How much of what workers say is logged. */
#include "config.h"
#include "gateway/notes.h"

#include "tests/unit/unit.h"

static void
some_are_logged (void)
{
  struct notes n = {.since_ns = 0};
  uint64_t now_ns = NOTES_WINDOW_NS * 3;
  unsigned hidden = 99;

  for (unsigned i = 0; i < NOTES_LOGGED; i++) {
    CU_ASSERT_EQUAL (notes_judge (&n, now_ns, &hidden), NOTES_LOG);
    CU_ASSERT_EQUAL (hidden, 0);
  }
  for (unsigned i = 0; i < 7; i++)
    CU_ASSERT_EQUAL (notes_judge (&n, now_ns + NOTES_WINDOW_NS - 1, &hidden),
                     NOTES_HIDE);
  CU_ASSERT_EQUAL (notes_judge (&n, now_ns + NOTES_WINDOW_NS, &hidden),
                   NOTES_LOG);
  CU_ASSERT_EQUAL (hidden, 7);
  CU_ASSERT_EQUAL (notes_judge (&n, now_ns + NOTES_WINDOW_NS, &hidden),
                   NOTES_LOG);
  CU_ASSERT_EQUAL (hidden, 0);
}

static void
a_flood_is_distrusted (void)
{
  struct notes n = {.since_ns = 0};
  unsigned hidden;

  for (unsigned i = 0; i < NOTES_FLOOD; i++)
    CU_ASSERT (notes_judge (&n, 1, &hidden) != NOTES_DISTRUST);
  CU_ASSERT_EQUAL (notes_judge (&n, 1, &hidden), NOTES_DISTRUST);
}

UNIT_MAIN ("notes", UNIT_TEST (some_are_logged),
           UNIT_TEST (a_flood_is_distrusted))
