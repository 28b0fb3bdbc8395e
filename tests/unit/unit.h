/* SPDX-License-Identifier: BSD-2-Clause */
/* One CUnit suite a program:
 *
 *   static void reads_nothing_past_the_end (void) { CU_ASSERT …; }
 *   UNIT_MAIN ("wire", UNIT_TEST (reads_nothing_past_the_end), …)
 *
 * Exit status 0 only if something ran and nothing failed.
 */
#ifndef BH_TESTS_UNIT_H
#define BH_TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>

#define UNIT_TEST(fn)                                                         \
  {                                                                           \
    (char *)#fn, fn                                                           \
  }

#define UNIT_MAIN(suite, ...)                                                 \
  int main (void)                                                             \
  {                                                                           \
    CU_TestInfo tests[] = {__VA_ARGS__, CU_TEST_INFO_NULL};                   \
    CU_SuiteInfo suites[]                                                     \
      = {{(char *)suite, NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL}; \
    int ok;                                                                   \
                                                                              \
    if (CU_initialize_registry () != CUE_SUCCESS                              \
        || CU_register_suites (suites) != CUE_SUCCESS)                        \
      return EXIT_FAILURE;                                                    \
    CU_basic_set_mode (CU_BRM_NORMAL);                                        \
    CU_basic_run_tests ();                                                    \
    ok = CU_get_number_of_tests_run () > 0                                    \
         && CU_get_number_of_failures () == 0;                                \
    CU_cleanup_registry ();                                                   \
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;                                  \
  }

#endif
