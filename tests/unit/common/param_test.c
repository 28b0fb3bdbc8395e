/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/param.h"

#include <string.h>

#include "tests/unit/unit.h"

static const struct param table[] = {
  {.key = "host"},
  {.key = "user"},
  {.key = "identity"},
  {.key = "known-hosts"},
  {.key = "a-very-long-key-that-has-more-than-32-letters"},
  {0},
};

static void
finds_exact_keys (void)
{
  CU_ASSERT_PTR_EQUAL (param_find (table, "host"), &table[0]);
  CU_ASSERT_PTR_EQUAL (param_find (table, "known-hosts"), &table[3]);
  CU_ASSERT_PTR_NULL (param_find (table, "hos"));
  CU_ASSERT_PTR_NULL (param_find (table, "hosts"));
  CU_ASSERT_PTR_NULL (param_find (table, "HOST"));
  CU_ASSERT_PTR_NULL (param_find (table, ""));
  CU_ASSERT_PTR_NULL (param_find (&table[5], "host"));
}

static void
guesses_the_nearest (void)
{
  static const struct {
    const char *typed, *meant;
  } cases[] = {
    {"hots", "host"},
    {"hst", "host"},
    {"usr", "user"},
    {"known_hosts", "known-hosts"},
    {"knownhosts", "known-hosts"},
    {"identiti", "identity"},
    {"idenity", "identity"},
    {"identity", "identity"},
    {"completely-else", NULL},
    {"", NULL},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *got = param_nearest (table, cases[i].typed);

    if (cases[i].meant)
      CU_ASSERT (got && strcmp (got, cases[i].meant) == 0)
    else
      CU_ASSERT_PTR_NULL (got);
  }
}

/* The distance has a row of fixed length. */
static void
long_words_are_nobodys_neighbour (void)
{
  char typed[200];

  for (size_t n = 30; n < sizeof typed; n++) {
    memset (typed, 'x', n);
    typed[n] = 0;
    CU_ASSERT_PTR_NULL (param_nearest (table, typed));
  }
  CU_ASSERT_PTR_NULL (
    param_nearest (table, "a-very-long-key-that-has-more-than-32-letters"));
}

UNIT_MAIN ("param", UNIT_TEST (finds_exact_keys),
           UNIT_TEST (guesses_the_nearest),
           UNIT_TEST (long_words_are_nobodys_neighbour))
