/* SPDX-License-Identifier: BSD-2-Clause */
/* Patterns of host names with * and ?, without regard to case, against one
 * name. Each byte of a pattern costs the same few instructions, whatever it is:
 * the patterns are a user's, and the daemon, which serves all, looks for them.
 *
 * Pure; any thread.
 */
#ifndef BH_CACHE_HOST_GLOB_H
#define BH_CACHE_HOST_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_GLOB_NAME_BYTES 300 /* with its NUL */
/* A bit for each prefix of the name, the empty one and itself included. */
#define HOST_GLOB_WORDS ((HOST_GLOB_NAME_BYTES + 63) / 64)

struct host_glob {
  size_t length_bytes;
  uint64_t at[256][HOST_GLOB_WORDS]; /* where the name has that byte */
};

/* name: lower case, shorter than HOST_GLOB_NAME_BYTES. */
void
host_glob_init (struct host_glob *g, const char *name);
bool
host_glob_match (const struct host_glob *g, const char *pattern,
                 size_t pattern_bytes);

#endif
