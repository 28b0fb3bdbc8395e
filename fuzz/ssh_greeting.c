/* SPDX-License-Identifier: BSD-2-Clause */
/* What an SSH server says before anything is encrypted. */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "worker/greeting.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct greeting *whole = calloc (1, sizeof *whole);
  struct greeting *split = calloc (1, sizeof *split);
  char a[GREETING_NAMES_BYTES] = "", b[GREETING_NAMES_BYTES] = "";

  if (whole && split) {
    greeting_add (whole, data, size);
    for (size_t at = 0; at < size; at += 100)
      greeting_add (split, data + at, size - at < 100 ? size - at : 100);
    MUST (greeting_hostkeys (whole, a) == greeting_hostkeys (split, b));
    MUST (strcmp (a, b) == 0);
    for (const char *c = a; *c; c++)
      MUST (*c > ' ' && *c <= '~');
  }
  free (whole);
  free (split);
  return 0;
}
