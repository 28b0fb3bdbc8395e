/* SPDX-License-Identifier: BSD-2-Clause */
/* The numbers at which a helper process finds its fds: fixed, so that the
 * policy can filter system calls by fd.
 */
#ifndef BH_SANDBOX_FDS_H
#define BH_SANDBOX_FDS_H

#include "common/want.h"

enum worker_fd {
  /* 0, 1, 7: /dev/null. 2: /dev/null, or a log in sanitizer and debug builds.
   */
  WORKER_FD_DAEMON = 3,       /* control socket */
  WORKER_FD_GATEWAY = 4,      /* control socket */
  WORKER_FD_WAKE_WORKER = 5,  /* eventfd, read by the worker */
  WORKER_FD_WAKE_GATEWAY = 6, /* eventfd, written by the worker */
  /* …15: the session's lanes in order, connected, non-blocking; /dev/null where
   * there is none, so that no number is left for a descriptor to come to. */
  WORKER_FD_NET = 8,
  WORKER_FD_OBJECTS =
      16, /* …20: enum channel_object order; closed once mapped */
  WORKER_FD_TRUST = 21, /* with TLS: whom to trust, PEM; closed once read */
  WORKER_FD_END = 22,
};

/* A filter compares under a mask: the block begins at a multiple of its size.
 */
_Static_assert (WORKER_FD_NET % PROTO_LANES_MAX == 0, "one row for the block");
_Static_assert (WORKER_FD_NET + PROTO_LANES_MAX == WORKER_FD_OBJECTS,
                "what stays open after sealing has no gap");

enum resolver_fd {
  RESOLVER_FD_RESULT = 3, /* pipe or socket: the answer by write or send */
  RESOLVER_FD_END = 4,
};

enum relay_fd {
  RELAY_FD_DAEMON = 3,
  RELAY_FD_FOREIGN = 4, /* whoever has it too may hold its lock */
  RELAY_FD_END = 5,
};

#endif
