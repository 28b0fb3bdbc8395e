/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway's link to the fake daemon and its workers (peer.h). */
#ifndef BH_TESTS_FAKE_PEER_LINK_H
#define BH_TESTS_FAKE_PEER_LINK_H

#include "gateway/link.h"

/* Opened and started, between peer_start and peer_end; link_close is the
 * test's. interrupted, or NULL: the client never is.
 */
struct link *
peer_link (const struct link_options *options, bool (*interrupted) (void));

#endif
