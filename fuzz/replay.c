/* SPDX-License-Identifier: BSD-2-Clause */
/* The main program of a target that no fuzzer runs: puts each file, and each
 * file of each folder, that is named on the command line into the target. By
 * make check, with any compiler, so that no finding comes back.
 */
#include "config.h"
#include "fuzz/target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_BYTES_MAX (4u << 20)

static unsigned long files;

static int
replay_file (const char *path)
{
  FILE *f = fopen (path, "rb");
  uint8_t *input = malloc (INPUT_BYTES_MAX), *exact;
  size_t n;

  if (!f || !input) {
    perror (path);
    if (f)
      fclose (f);
    free (input);
    return 1;
  }
  n = fread (input, 1, INPUT_BYTES_MAX, f);
  fclose (f);
  /* Its exact size, so that a sanitizer sees a byte too far. */
  exact = malloc (n ? n : 1);
  if (exact) {
    memcpy (exact, input, n);
    fprintf (stderr, "%s\n", path);
    LLVMFuzzerTestOneInput (exact, n);
    files++;
  }
  free (exact);
  free (input);
  return exact == NULL;
}

static int
replay (const char *path)
{
  struct dirent **names;
  struct stat st;
  int n, failed = 0;

  if (stat (path, &st) == 0 && !S_ISDIR (st.st_mode))
    return replay_file (path);
  n = scandir (path, &names, NULL, alphasort);
  if (n < 0) {
    perror (path);
    return 1;
  }
  for (int i = 0; i < n; i++) {
    char file[4096];

    snprintf (file, sizeof file, "%s/%s", path, names[i]->d_name);
    if (names[i]->d_name[0] != '.')
      failed |= replay_file (file);
    free (names[i]);
  }
  free (names);
  return failed;
}

int
main (int argc, char **argv)
{
  int failed = 0;

  if (argc < 2) {
    fprintf (stderr, "usage: %s FILE|FOLDER…\n", argv[0]);
    return EXIT_FAILURE;
  }
  for (int i = 1; i < argc; i++)
    failed |= replay (argv[i]);
  printf ("%lu inputs\n", files);
  return failed || !files ? EXIT_FAILURE : EXIT_SUCCESS;
}
