/* SPDX-License-Identifier: BSD-2-Clause */
/* What all gateways of one volume share: cached pages, write stripes, the
 * write lease. A gateway is a member of it from the time when its credential is
 * known until its worker is dead and fenced.
 *
 * The memory that pages fill is bounded for all volumes together; a volume that
 * has fewer pages than another may take some away from it.
 *
 * Invariants
 *   H1  One stripes file for a key, and all members use that very file, also
 *       those that came from an earlier daemon.
 *   H2  Who has the lease has the lock of its seat (stripes_file.h), so that a
 *       later daemon sees it.
 *   H3  A shared volume is freed from its own timer alone.
 */
#ifndef BH_CACHE_SHARED_H
#define BH_CACHE_SHARED_H

#include "cache/daemon.h"
#include "cache/volume_key.h"
#include "ipc/control.h"

struct shared_set;
struct member;
struct status_daemon;
struct status_gateway;
struct status_volume;

struct shared_limits {
  uint64_t cache_bytes; /* of pages, all volumes together; 0: no cache */
  double retain_s;      /* how long a volume outlives its last gateway */
};

/* dir: the runtime folder; its sub-folder for stripes is made. */
enum err
shared_set_open (struct daemon *d, const char *dir,
                 const struct shared_limits *limits, struct shared_set **ret,
                 struct fault *f);
/* For the end of the daemon: takes back the files that no gateway uses. */
void
shared_set_close (struct shared_set *set);

/* Called from the loop, never from within a function of this header. expel: it
 * did not give the lease back in time; member_leave must follow at once.
 */
struct member_hooks {
  void (*grant) (void *ctx);
  void (*revoke) (void *ctx);
  void (*expel) (void *ctx, const struct fault *why);
};

/* What a gateway of an earlier daemon says of itself. */
struct member_before {
  int stripes_fd; /* -1: it is new. Borrowed */
  bool holds_lease;
};

/* On an error f says why, for the user. ERR_PEER: what it says of before cannot
 * be.
 */
enum err
member_join (struct shared_set *set, const struct volume_key *key, uid_t uid,
             const char *name, const struct member_before *before,
             const struct member_hooks *hooks, void *ctx, struct member **ret,
             struct fault *f);
/* Its worker is dead or dying, and fenced. NULL is allowed. */
void
member_leave (struct member *m);

/* Builds CONTROL_CACHE; its fds are borrowed until member_cache_sent. */
void
member_put_cache (const struct member *m, struct control *out,
                  struct wirebuf *b);
void
member_cache_sent (struct member *m);

/* What its worker found: the size, and whether the file is still the one that
 * the cache is of.
 */
void
member_set_info (struct member *m, const struct volume_info *info);

/* Its volume's id, and its part in the write lease. */
void
member_status (const struct member *m, struct status_gateway *ret);
/* The volume that comes after this id, of that uid; UID 0: of any. False: that
 * was the last one.
 */
bool
shared_set_status (const struct shared_set *set, uint64_t after, uid_t uid,
                   struct status_volume *ret);
void
shared_set_sum (const struct shared_set *set, struct status_daemon *ret);

/* LEASE_WANT, LEASE_RETURN. ERR_PEER: not now. */
enum err
member_want (struct member *m);
enum err
member_return (struct member *m);

#endif
