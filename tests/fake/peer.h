/* SPDX-License-Identifier: BSD-2-Clause */
/* A daemon and its workers as threads of a test program, for tests of the
 * gateway's link: real sockets, rings, stripes and cache objects, an in-memory
 * server behind them. Workers answer in any order, die, or break the rules.
 *
 * One daemon thread; one worker thread for each connection of each gateway.
 */
#ifndef BH_TESTS_FAKE_PEER_H
#define BH_TESTS_FAKE_PEER_H

#include <pthread.h>
#include <stdatomic.h>

#include "cache/store.h"
#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/fill.h"
#include "tests/fake/disk.h"

#define PEER_SECOND 1000000000ull
#define PEER_VOLUME_BYTES (8u << 20)
#define PEER_GATEWAYS 4
#define PEER_SLOTS 256u
#define PEER_STRIPES 2048u

enum peer_mischief {
  PEER_HONEST,
  PEER_DIES,        /* each worker is ended after a while */
  PEER_FORGED_ID,   /* of one completion in fifty */
  PEER_FORGED_TAIL,
  PEER_FORGED_HEAD,
  PEER_TWICE,
  PEER_SILENT,      /* takes requests and never answers */
  PEER_HANGS,       /* stops looking, awake, with work in hand */
  PEER_POISONED,    /* dies of every read of page PEER_POISON */
  PEER_LIES,        /* about block status; which lie counts up with each */
};

#define PEER_POISON 77u

struct peer_gateway;

/* One connection of a gateway, and the worker at its end. */
struct peer_path {
  struct peer_gateway *gateway;
  unsigned index;
  int fd[CHANNEL_FDS];
  struct channel view;
  int sock[2];
  pthread_t thread;
  uint64_t epoch;
  uint64_t started_ns;
  bool running;
  uint64_t start_ns; /* !running: when the next one comes */
  uint8_t token[IO_TOKEN_BYTES]; /* of the session */
  uint32_t caps;                 /* what it was told when it began */
  unsigned kills_seen;
  _Atomic bool stop, died;
  _Atomic unsigned served; /* requests, ever */
  _Atomic unsigned flushes;
};

struct peer_gateway {
  struct peer *peer;
  int sock;
  struct peer_path path[CHANNEL_PATHS];
  unsigned paths;
  bool connected;
  /* fills */
  int cache_fd[CACHE_FDS];
  struct ring fill_ring;
  uint8_t *fill_arena;
  void *fill_mapped[2];
};

struct peer {
  enum peer_mischief mischief;
  uint64_t life_ns; /* of a worker that PEER_DIES */
  unsigned paths;   /* that each gateway asks for; 1 by peer_start */
  unsigned bad_paths; /* bit set: who does mischief; all by peer_start */
  uint64_t pause_ns;  /* between a worker's death and the next one */
  struct volume_info info; /* may be changed before the first link_open; caps:
                              of the next sessions, at any time */
  _Atomic unsigned readonly_paths; /* bit set: whose next sessions may not
                                      write */
  bool forgets;        /* the server restarts whenever a worker ends */
  bool session_tokens; /* a FLUSH proves what its own session wrote */
  _Atomic unsigned failing_flushes; /* so many more, and what was not synced
                                       is lost */
  _Atomic unsigned failing_fuas;    /* the same of writes with FUA */
  _Atomic bool full; /* there is no room for any write */
  _Atomic uint64_t bad_pages; /* so many, from the first, cannot be written */
  _Atomic unsigned lies;
  _Atomic unsigned misaligned; /* requests, by info.block_min */
  _Atomic unsigned kills; /* count it up to end all workers once */
  _Atomic unsigned kill_paths; /* a bit set: to end those of these paths */
  _Atomic bool hold; /* starts no new ones */
  _Atomic unsigned hold_gateways; /* a bit set: the same, of these */
  /* 0, or one more than a page: requests of it are carried out at once, but not
   * answered before this is 0. Of these gateways only, a bit set; all by
   * peer_start. */
  _Atomic uint64_t late_page;
  _Atomic unsigned late_gateways;
  _Atomic unsigned late_flushes; /* so many more: the same, while it is set */
  _Atomic unsigned late_path;    /* which has had the last of those */
  _Atomic unsigned failing_reads; /* so many more */
  char dir[64];
  int listen_sock;
  pthread_t daemon;
  pthread_mutex_t server_lock;
  struct disk disk;
  struct store store;
  int index_fd, pages_fd, stripes_fd;
  void *index, *pages;
  struct stripes *stripes;
  struct stripe_map map;
  struct peer_gateway gateway[PEER_GATEWAYS];
  unsigned gateways; /* that ever connected */
  int holder;        /* gateway with the lease; -1 */
  bool revoking;
  unsigned waiting; /* bit set of gateways */
  bool shared;   /* what WORKER says: one session for all */
  int adopt_sock; /* where ADOPT has come, unanswered; -1 */
  _Atomic unsigned adopts, adopted_lanes;
  _Atomic bool adopted_shared; /* of path 0 */
  _Atomic unsigned drops; /* so many connections end when OPEN has come */
  _Atomic int stats_fd;   /* of the last ATTACH, the test's to close; -1 */
  _Atomic unsigned restarts; /* so many to come, each of which forgets */
  _Atomic bool expel; /* the next turn: gives the first gateway up */
  _Atomic bool over;
  _Atomic unsigned deaths, distrusted, grants, settled;
};

/* Sets BULKHEAD_RUNTIME_DIR to a folder of its own, and serves there. */
void peer_start (struct peer *p, enum peer_mischief mischief);
void peer_end (struct peer *p);

/* The server's bytes while workers are at them: whether reads would find these
 * now; whether they would after it forgot what was not synced; and bytes that
 * come from nobody's write.
 */
bool peer_serves (struct peer *p, const void *bytes, uint64_t offset,
                  uint64_t n);
bool peer_keeps (struct peer *p, const void *bytes, uint64_t offset,
                 uint64_t n);
void peer_fill (struct peer *p, uint8_t byte, uint64_t offset, uint64_t n);

#endif
