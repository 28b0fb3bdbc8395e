/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages that one gateway offers to the cache (ipc/fill.h): its objects, and
 * taking what is in them. Nobody waits for it; a gateway that breaks the rules
 * loses its fills and nothing else.
 */
#ifndef BH_CACHE_FILLS_H
#define BH_CACHE_FILLS_H

#include "cache/daemon.h"
#include "ipc/fill.h"

/* So many in one turn of the loop, then others get theirs. */
#define FILLS_PER_TURN 16u

struct fills;

/* One page of PAGE_BYTES bytes that nobody else writes; version is the
 * gateway's word and must be compared with the stripes.
 */
typedef void
fills_page (void *ctx, uint64_t page, uint64_t version, const void *bytes);

/* name is for the log and must last. ERR_NOMEM, ERR_LIMIT. */
enum err
fills_open (struct daemon *d, const char *name, fills_page *take, void *ctx,
            struct fills **ret);
void
fills_close (struct fills *x); /* NULL is allowed */

/* The gateway's descriptors: CACHE_FILL_RING … CACHE_FILL_WAKE of fd[];
 * borrowed, until fills_handed_over closes what only the gateway needs.
 */
void
fills_fds (const struct fills *x, int fd[CACHE_FDS]);
void
fills_handed_over (struct fills *x);

/* The volume has so many pages: what is beyond is not taken. */
void
fills_set_pages (struct fills *x, uint64_t volume_pages);

#endif
