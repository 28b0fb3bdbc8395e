/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets that another user has had a hand in, closed by a process of their
 * own. Who drops the last reference to one drops what lies unread in it as
 * well: also a file of a file system that this user serves (FUSE). With a cache
 * for writes, that waits for its server, which may never answer (kernel 6.18:
 * fuse_release writes back what the file has, through whichever descriptor it
 * was written). A TCP socket that lingers waits for the other end.
 *
 * A closer holds what it is given, is told to end once the daemon has let go,
 * and is the last by that. What it waits for then is nobody's trouble: its
 * memory is given back before its files are closed.
 *
 * Invariants
 *   K1  The daemon closes such a socket only while a closer has it, too.
 *   K2  A user has CLOSERS_PER_UID processes at most, all together CLOSERS_MAX.
 *       The last one that may be had is not told to end before another one is
 *       dead: what else is to be closed lies in its queue, unreceived.
 *   K3  What finds no place there, nor a process, stays open, and is tried
 *       again.
 */
#ifndef BH_CACHE_CLOSER_H
#define BH_CACHE_CLOSER_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#define CLOSERS_PER_UID 4u
#define CLOSERS_MAX 128u

struct daemon;
struct closer;
struct closer_kept;

struct closers {
  struct closer *first;
  struct closer_kept *kept; /* K3 */
  ev_timer again;           /* runs while there are any */
};

/* Takes fd over, and does not touch it: it may be of any kind. Of root, and
 * without --host, this is close.
 */
void
closer_close (struct daemon *d, uid_t uid, int fd);
/* The same for a connection that was accepted, which its client sees end now.
 * With nothing in it but what is without descriptors, no process is needed.
 */
void
closer_hang_up (struct daemon *d, uid_t uid, int sock);
/* For the end of the daemon: a child has all that it has, but for these, and
 * ends after it. What other users have is to be shut down before that.
 */
void
closer_outlive (const int *but, unsigned n);

/* For tests: whether it was not told to end yet, and the next one. */
bool
closer_is_open (const struct closer *c);
const struct closer *
closer_next (const struct closer *c);

#endif
