/* SPDX-License-Identifier: BSD-2-Clause */
/* What each user may have of a daemon that serves a whole host. Uid 0 has no
 * limits, nor has anybody in a daemon of one's own: quota_init is not called.
 *
 * Pure: no system call, no clock. One thread.
 */
#ifndef BH_CACHE_QUOTA_H
#define BH_CACHE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/* So many users at once. */
#define QUOTA_USERS 128u
/* Connections without a volume, beyond those with one. */
#define QUOTA_SPARE_CLIENTS 8u

/* Messages with descriptors: so many at once for each connection that a user
 * may have, which is more than a new daemon's gateways send it, and so many a
 * second after that. Each costs the daemon a fork.
 */
#define QUOTA_PEEKS_AT_ONCE 2u
#define QUOTA_PEEKS_PER_S 20u

/* Lines of the log about what a user does wrong: so many at once, and so many
 * a second after that.
 */
#define QUOTA_LINES_AT_ONCE 100u
#define QUOTA_LINES_PER_S 2u

struct quota_limits {
  unsigned volumes;
  unsigned workers;
  uint64_t memory_bytes; /* shared with gateways and workers */
  unsigned dials;        /* in a minute, and at once */
};

/* A part of it that is taken and given back as a whole. */
struct quota_share {
  unsigned clients;
  unsigned volumes;
  unsigned workers;
  uint64_t memory_bytes;
  /* Processes: relay.h, as many as volumes; peek.h, as many as clients. */
  unsigned relays, peeks;
};

/* What comes back with time. */
struct quota_rate {
  double left;
  uint64_t at_ns; /* when that was so; 0: never asked */
};

struct quota_user {
  uid_t uid;
  bool used;
  struct quota_share has;
  struct quota_rate dials, peeks, lines;
  unsigned hidden; /* lines, since the last one */
};

struct quota {
  bool enforced;
  struct quota_limits limits;
  struct quota_user user[QUOTA_USERS];
};

void quota_init (struct quota *q, const struct quota_limits *limits);

/* ERR_LIMIT, with the limit and the option that sets it in words: nothing is
 * taken then.
 */
enum err quota_take (struct quota *q, uid_t uid, const struct quota_share *s,
                     struct fault *f);
void quota_give (struct quota *q, uid_t uid, const struct quota_share *s);

/* One attempt to connect somewhere. ERR_LIMIT. */
enum err quota_dial (struct quota *q, uid_t uid, uint64_t now_ns,
                     struct fault *f);
/* One message with descriptors. 0, or how long it has to wait until it is worth
 * to ask again.
 */
uint64_t quota_peek_ns (struct quota *q, uid_t uid, uint64_t now_ns);
/* Whether to say one more line. *ret_hidden: so many were not said before. */
bool quota_line (struct quota *q, uid_t uid, uint64_t now_ns,
                 unsigned *ret_hidden);

#endif
