/* SPDX-License-Identifier: BSD-2-Clause */
/* The numbers at which a helper process finds its fds: fixed, so that the
 * policy can filter system calls by fd.
 */
#ifndef BH_SANDBOX_FDS_H
#define BH_SANDBOX_FDS_H

enum worker_fd {
  /* 0, 1: /dev/null. 2: /dev/null, or a log in sanitizer and debug builds. */
  WORKER_FD_DAEMON = 3,  /* control socket */
  WORKER_FD_GATEWAY = 4, /* control socket */
  WORKER_FD_NET = 5,     /* connected, non-blocking */
  WORKER_FD_WAKE_WORKER = 6,  /* eventfd, read by the worker */
  WORKER_FD_WAKE_GATEWAY = 7, /* eventfd, written by the worker */
  WORKER_FD_OBJECTS = 8, /* …12: enum channel_object order; closed once mapped */
  WORKER_FD_TRUST = 13, /* with TLS: whom to trust, PEM; closed once read */
  WORKER_FD_END = 14,
};

enum resolver_fd {
  RESOLVER_FD_RESULT = 3, /* pipe or socket: the answer by write or send */
  RESOLVER_FD_END = 4,
};

#endif
