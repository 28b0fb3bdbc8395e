/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/param.h"

#include <string.h>

#define KEY_MAX 32

const struct param *
param_find (const struct param *table, const char *key)
{
  for (; table->key; table++)
    if (strcmp (table->key, key) == 0)
      return table;
  return NULL;
}

static size_t
min3 (size_t a, size_t b, size_t c)
{
  size_t m = a < b ? a : b;

  return m < c ? m : c;
}

/* Levenshtein. */
size_t
param_distance (const char *a, const char *b)
{
  size_t row[KEY_MAX + 1];
  size_t n = strlen (b);

  if (n > KEY_MAX || strlen (a) > KEY_MAX)
    return PARAM_FAR;
  for (size_t j = 0; j <= n; j++)
    row[j] = j;
  for (size_t i = 1; a[i - 1]; i++) {
    size_t diagonal = row[0];

    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      size_t above = row[j];

      row[j] = min3 (above + 1, row[j - 1] + 1,
                     diagonal + (a[i - 1] != b[j - 1]));
      diagonal = above;
    }
  }
  return row[n] < PARAM_FAR ? row[n] : PARAM_FAR;
}

const char *
param_nearest (const struct param *table, const char *key)
{
  const char *best = NULL;
  size_t best_distance = PARAM_FAR;

  for (; table->key; table++) {
    size_t d = param_distance (key, table->key);

    if (d < best_distance) {
      best_distance = d;
      best = table->key;
    }
  }
  return best;
}
