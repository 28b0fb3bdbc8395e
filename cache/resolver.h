/* SPDX-License-Identifier: BSD-2-Clause */
/* Name resolution in a helper process of its own (bulkhead-resolve), as the
 * daemon parses no network byte. A literal address needs no helper.
 */
#ifndef BH_CACHE_RESOLVER_H
#define BH_CACHE_RESOLVER_H

#include "cache/address.h"
#include "cache/daemon.h"

#define RESOLVER_TIMEOUT_S 10.0

struct resolver;

/* Called once; list is NULL if f says why not. The resolver is gone when it is
 * called, and both pointers with its return.
 */
typedef void
resolver_done (void *ctx, const struct address_list *list,
               const struct fault *f);

/* Starts; done is never called before this returns. *ret stays valid until
 * done is called or resolver_cancel.
 */
enum err
resolver_start (struct daemon *d, const char *host, resolver_done *done,
                void *ctx, struct resolver **ret, struct fault *f);
void
resolver_cancel (struct resolver *r); /* NULL is allowed */

#endif
