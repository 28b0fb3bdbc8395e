/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors of another user, looked at before they are received. To close one
 * of a file system that this user serves (FUSE) waits until that answers, and
 * cannot be interrupted: the daemon must not have it at all. So a child peeks:
 * it gets copies, and says whether they are all of kinds whose closing waits
 * for nobody.
 *
 * A child that waits when it closes its copies is nobody's trouble: it has
 * given its memory back by then. It counts in its user's quota until it is
 * dead.
 */
#ifndef BH_CACHE_PEEK_H
#define BH_CACHE_PEEK_H

#include "cache/daemon.h"

/* The next message of a client's socket. ERR_OK: it is there still and may be
 * received, or there is none. ERR_ACCESS: it must not be, and the child has
 * taken it off. ERR_LIMIT, ERR_TIMEOUT: it is there still, and nobody may
 * receive it: closer_hang_up. f says it. ERR_AGAIN: not before *ret_wait_ns
 * have passed, as this user has sent too many lately.
 */
enum err
peek_at (struct daemon *d, uid_t uid, int sock, uint64_t *ret_wait_ns,
         struct fault *f);

#endif
