/* SPDX-License-Identifier: BSD-2-Clause */
/* The way along a path with symbolic links, one component after the other, as
 * text; who calls has the handles. Pure; both dialects use it.
 *
 * A link's target takes the place of its name, and the way begins again at the
 * root. So what is walked never has a link or a ".." in it, and ".." is the
 * directory that the server means by it.
 *
 * Invariants
 *   W1  path[0 … done) are directories that were looked up.
 *   W2  Behind done comes no "..": nfs_walk_advance and nfs_walk_follow take it
 *       out.
 *   W3  A way has an end: WALK_LINKS_MAX links, WALK_STEPS_MAX steps.
 */
#ifndef BH_PROTOCOLS_NFS_WALK_H
#define BH_PROTOCOLS_NFS_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define WALK_PATH_MAX_BYTES 4096u
#define WALK_LINKS_MAX 40u /* Linux's MAXSYMLINKS */
#define WALK_STEPS_MAX 4096u

struct nfs_walk {
  char path[WALK_PATH_MAX_BYTES]; /* below the root: "/dir/disk.img" */
  size_t done_bytes;              /* 0: at the root */
  unsigned links, steps;
};

/* path: without "..", shorter than WALK_PATH_MAX_BYTES. */
void
nfs_walk_begin (struct nfs_walk *w, const char *path);
/* The next component behind *at, which goes behind it; false at the end, and
 * where the way has to stop for a "..". "." and doubled slashes are skipped.
 * *at is done_bytes at first.
 */
bool
nfs_walk_name (const struct nfs_walk *w, size_t *at, const char **ret,
               size_t *ret_bytes);
/* True if nothing follows. */
bool
nfs_walk_ends (const struct nfs_walk *w, size_t at);
/* Everything up to `at` was looked up, and is a directory. done_bytes may be 0
 * afterwards, because of a "..". ERR_NOENT with f: out of the root; ERR_LIMIT.
 */
enum err
nfs_walk_advance (struct nfs_walk *w, size_t at, struct fault *f);
/* The component that ends at `at` is a link to target. An absolute one is a
 * path of the server, whose part `root` (root_bytes of it) is this way's root;
 * done_bytes is 0 afterwards. ERR_NOENT, ERR_LIMIT with f.
 */
enum err
nfs_walk_follow (struct nfs_walk *w, size_t at, const char *target,
                 const char *root, size_t root_bytes, struct fault *f);

#endif
