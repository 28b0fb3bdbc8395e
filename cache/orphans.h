/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers of other users that an earlier daemon of this host has started and
 * that no gateway has handed over yet: theirs may be stopped. A volume of such
 * a user that is started anew could be one of theirs, whose write stripes have
 * no name (grace.h); and what the gateway, woken, gives its worker would go
 * over what the new one has written. So before that the user's orphans are
 * fenced and killed. A gateway of another volume gets a new worker for it, and
 * sends again.
 *
 * Whose one is says the owner of its network socket.
 */
#ifndef BH_CACHE_ORPHANS_H
#define BH_CACHE_ORPHANS_H

#include "cache/daemon.h"

struct orphan;

/* At the start of a host's daemon, before it has workers of its own. */
void
orphans_find (struct daemon *d);
/* Its gateway has handed it over. */
void
orphans_adopt (struct daemon *d, pid_t pid);
/* Ends all of this user's. True: one lives still; to be called again soon. */
bool
orphans_end (struct daemon *d, uid_t uid);

#endif
