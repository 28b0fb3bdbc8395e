/* SPDX-License-Identifier: BSD-2-Clause */
/* What one nbdkit serves: one volume, or, if the URL names a directory, each of
 * the volumes below it as an NBD export of that name.
 *
 * A directory's volumes are opened when a client asks for one, and closed with
 * the last connection to it; two connections to one export share its link. How
 * many are open at a time is limited. What is in the directory is asked for
 * anew each time: see common/listing.h. Export names come from NBD clients, the
 * list from a worker: both are hostile.
 *
 * Thread rule: exports_open and exports_start as link_open and link_start;
 * then exports_get, exports_put and exports_list from any thread.
 */
#ifndef BH_GATEWAY_EXPORTS_H
#define BH_GATEWAY_EXPORTS_H

#include "common/listing.h"
#include "gateway/link.h"
#include "gateway/options.h"

#define EXPORTS_OPEN 64u

struct exports;

/* options and log are borrowed until exports_close. interrupted: see link.h. */
enum err exports_open (const struct options *options, const struct log *log,
                       bool (*interrupted) (void), struct exports **ret,
                       struct fault *f);
enum err exports_start (struct exports *x, struct fault *f);
/* When nobody uses a link any more. NULL is allowed. */
void exports_close (struct exports *x);

/* The link that serves the export; exports_put gives it back. ERR_NOENT and
 * others, with f in words for whoever runs nbdkit.
 */
enum err exports_get (struct exports *x, const char *name, struct link **ret,
                      struct fault *f);
void exports_put (struct exports *x, struct link *l);

/* True if there is a directory; else there is one volume, whatever its export
 * is called.
 */
bool exports_is_directory (const struct exports *x);
/* Calls add for each name, sorted, none twice. */
enum err exports_list (struct exports *x,
                       void (*add) (void *ctx,
                                    const struct listing_entry *entry),
                       void *ctx, struct fault *f);
/* Of all links there were. */
void exports_stats (struct exports *x, struct link_stats *ret);

#endif
