/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon tells about itself (CONTROL_STATUS): the daemon, its volumes
 * (what gateways share: the cache, the write lease), and its gateways with
 * their workers. Never a secret: a volume is named as in logs.
 *
 *   STATUS  client → daemon  u32 STATUS_VERSION, u8 kind, u64 id: tell what
 *                            comes after that one; kind 0, id 0: from the start
 *           daemon → client  u32 STATUS_VERSION, status_daemon, u8 more,
 *                            u8 kind, u64 id (of the last record: the next
 *                            question), u16 n, n records. A record is u8 kind,
 *                            then status_volume or status_gateway; the fds are
 *                            those of the gateways that have has_stats, in
 *                            order (ipc/stats.h)
 *
 * Volumes come first, each kind in the order of its ids; ids are given once in
 * a daemon's life, so what comes or goes between two pages makes no other
 * record come twice or not at all. A page is one message. Each is asked for, so
 * a client that does not read gets no more than it asked for, and nobody waits
 * for it.
 *
 * A client sees what belongs to its uid; root sees all.
 */
#ifndef BH_IPC_STATUS_H
#define BH_IPC_STATUS_H

#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/volume.h"

#define STATUS_VERSION 2u
#define STATUS_NAME_BYTES 512
#define STATUS_WHY_BYTES 200
#define STATUS_PROGRAM_BYTES 64
#define STATUS_UNKNOWN UINT64_MAX
/* So many gateways fit on one page at least. */
#define STATUS_RECORDS_MAX 64u

enum status_kind { STATUS_START, STATUS_VOLUME, STATUS_GATEWAY };

/* X(NAME, word for people) */
#define STATUS_WORKER_TABLE(X)                                                 \
  X (NONE, "not started")                                                      \
  X (RESOLVING, "resolving")                                                   \
  X (DIALLING, "connecting")                                                   \
  X (STARTING, "starting")                                                     \
  X (LOGIN, "logging in")                                                      \
  X (READY, "ready")                                                           \
  X (DYING, "ending")                                                          \
  X (BACKOFF, "waiting to try again")                                          \
  X (GIVEN_UP, "given up")

enum status_worker_state {
#define X(name, word) STATUS_WORKER_##name,
  STATUS_WORKER_TABLE (X)
#undef X
      STATUS_WORKER_STATES
};

#define STATUS_LEASE_TABLE(X)                                                  \
  X (FREE, "free")                                                             \
  X (HELD, "held")                                                             \
  X (REVOKED, "to be given back")                                              \
  X (SETTLING, "after a dead writer")                                          \
  X (FOREIGN, "held since before this daemon")

enum status_lease {
#define X(name, word) STATUS_LEASE_##name,
  STATUS_LEASE_TABLE (X)
#undef X
      STATUS_LEASES
};

const char *status_worker_word (uint8_t state);
const char *status_lease_word (uint8_t lease);

struct status_daemon {
  uint32_t pid, uid;
  uint64_t age_ns;
  uint64_t cache_pages, cache_pages_used; /* of all volumes */
  char version[STATUS_PROGRAM_BYTES];
};

struct status_volume {
  uint64_t id;
  uint32_t uid;
  char name[STATUS_NAME_BYTES];
  uint64_t size; /* STATUS_UNKNOWN: no worker has said */
  char no_cache[STATUS_WHY_BYTES]; /* "": it has one */
  uint32_t pages;                  /* in the cache now */
  uint64_t fills, evictions;
  uint8_t lease; /* enum status_lease */
  uint32_t gateways;
};

struct status_worker {
  uint8_t state;     /* enum status_worker_state */
  uint32_t pid;      /* 0: none */
  uint64_t since_ns; /* for how long it has been READY, or not */
  uint32_t restarts;
  uint8_t lanes;     /* connections of its session; 0: there is no worker */
  uint32_t layers;   /* SBX_LAYER_… bits; 0: not known, an earlier daemon's */
  uint64_t progress; /* turns of its loop; grows while it works */
  uint64_t retry_ns; /* BACKOFF: until the next attempt */
  char why[STATUS_WHY_BYTES]; /* the last end, or refusal; "": none yet */
};

struct status_gateway {
  uint64_t id, volume; /* volume 0: it does not know its credential yet */
  uint32_t pid, uid;
  uint64_t age_ns; /* of its connection to this daemon */
  char program[STATUS_PROGRAM_BYTES];
  char name[STATUS_NAME_BYTES];
  bool has_info, has_stats;
  bool holds_lease, waits_lease;
  struct volume_info info; /* what the last worker said */
  uint32_t workers;
  struct status_worker worker[CHANNEL_PATHS];
  int stats_fd; /* a reader's: -1, or to be closed. Not in the record */
};

void status_daemon_put (struct wirebuf *b, const struct status_daemon *d);
enum err status_daemon_take (struct wire *w, struct status_daemon *ret);
void status_volume_put (struct wirebuf *b, const struct status_volume *v);
enum err status_volume_take (struct wire *w, struct status_volume *ret);
void status_gateway_put (struct wirebuf *b, const struct status_gateway *g);
enum err status_gateway_take (struct wire *w, struct status_gateway *ret);

/* All of it, as a client has it. */
struct status {
  struct status_daemon daemon;
  struct status_volume *volume;
  unsigned volumes;
  struct status_gateway *gateway;
  unsigned gateways;
};

/* Asks the daemon at the other end of sock (daemon_connect, daemon_find), page
 * by page, at most timeout_ns. On an error *f says why, in words for the user.
 */
enum err status_ask (int sock, uint64_t timeout_ns, struct status *ret,
                     struct fault *f);
void status_free (struct status *s);

#endif
