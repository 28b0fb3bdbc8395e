/* SPDX-License-Identifier: BSD-2-Clause */
/* What all parts of the daemon share; owned by main.c, constant once set.
 *
 * Thread rule: the daemon has one thread, which runs the loop. No callback
 * waits: sockets are only read and written as far as they go.
 */
#ifndef BH_CACHE_DAEMON_H
#define BH_CACHE_DAEMON_H

#include <ev.h>

#include "cache/chap.h"
#include "cache/closer.h"
#include "cache/grace.h"
#include "cache/quota.h"
#include "common/log.h"

#define DAEMON_PATH_BYTES 4096

struct sbx_cgroup;
struct late_fence;
struct orphan;
struct shared_set;
struct volume;

struct daemon {
  struct ev_loop *loop;
  struct log *log;
  char worker_path[DAEMON_PATH_BYTES];
  char resolver_path[DAEMON_PATH_BYTES];
  char relay_path[DAEMON_PATH_BYTES];
  struct shared_set *volumes;
  struct volume *leaving; /* closed by their gateways, not yet by servers */
  int child_stderr_fd; /* -1: /dev/null */
  uint64_t began_ns;   /* CLOCK_MONOTONIC */
  struct sbx_cgroup *cgroup; /* to limit workers; NULL: none */
  bool host;           /* serves all users of the host: see foreign.h */
  mode_t socket_mode;  /* with host */
  struct quota quota;
  struct grace grace;  /* with host */
  struct closers closers; /* with host */
  struct late_fence *late_fences; /* with host: see dial.h */
  struct orphan *orphans; /* with host; NULL: none */
  struct chap_issued chap_issued;
};

/* A warning about what this user has done: bounded, as users of a host could
 * fill the log.
 */
void __attribute__ ((format (printf, 3, 4)))
daemon_warn_of (struct daemon *d, uid_t uid, const char *format, ...);

/* Children that nobody waits for any more: kills by pidfd, reaps when dead.
 * Takes pidfd over.
 */
void
daemon_discard_child (struct daemon *d, int pidfd);
/* The same, of one that ends by itself. */
void
daemon_reap_child (struct daemon *d, int pidfd);

#endif
