/* SPDX-License-Identifier: BSD-2-Clause */
/* What link.c (life), control.c (workers that die and come), adopt.c (daemons
 * that do), lease.c (who may write) and transfer.c (requests that wait) share.
 * Nobody else includes this.
 */
#ifndef BH_GATEWAY_LINK_PRIVATE_H
#define BH_GATEWAY_LINK_PRIVATE_H

#include <pthread.h>
#include <semaphore.h>

#include "gateway/ahead.h"
#include "gateway/doubt.h"
#include "gateway/hot.h"
#include "gateway/inflight.h"
#include "gateway/join.h"
#include "gateway/link.h"
#include "gateway/proof.h"
#include "gateway/notes.h"
#include "gateway/revalidate.h"
#include "gateway/stats.h"
#include "common/want.h"
#include "ipc/connect.h"
#include "ipc/control.h"

#define LINK_SLICE_NS 100000000ull

/* A thread that waits: see wait.c. */
struct waiter {
  sem_t sem;
  struct waiter *next, *prev;
  uint32_t wanted; /* slot whose answer it waits for; INFLIGHT_SLOTS: none */
  bool blocked;    /* waits for a free slot or for an overlapping write */
  bool stirred;    /* was woken, and does not run with the lock yet */
};

/*   state    means                                    leaves by
 *   NONE     this process may not write               a write → WANTED
 *   WANTED   the daemon was asked                     GRANT → HELD
 *   HELD     this process alone may write             REVOKE → REVOKED
 *   REVOKED  those that waited at GRANT still write;
 *            no new write; drains, flushes            RETURN → NONE
 */
enum lease_state { LEASE_NONE, LEASE_WANTED, LEASE_HELD, LEASE_REVOKED };

/* One connection of the volume: a channel, and the worker at its other end. */
struct path {
  unsigned index;
  struct ring ring;
  uint64_t epoch; /* of the worker that the ring belongs to; 0: none yet */
  uint64_t asleep_epoch; /* wait.c: this ring was marked so in this epoch */
  /* What the worker showed of itself when it last moved. */
  uint64_t seen_progress, seen_ns;
  uint64_t down_ns; /* since when it is not up and nobody has told of its
                       death; 0: nothing is waited for */
  struct revalidate_writes lost_at; /* when its last session was */
  uint64_t size_bytes;              /* as its session has found it */
  uint64_t no_write_ns; /* since when there is one that may not write, and the
                           volume may be written; 0: it may */
  unsigned no_writes;   /* so many in turn */
  bool refused;         /* a client has wanted to write by it */
  int worker_sock; /* -1: no worker */
  /* Kept while it may live, though the path is down: a new daemon must not
   * start another one on this channel before its end. -1: there is none.
   */
  int worker_pidfd;
  unsigned worker_lanes;
  /* As WORKER has them: of its sandbox; one session for all connections. */
  uint32_t worker_layers;
  bool worker_shared;
  int worker_net[PROTO_LANES_MAX]; /* dups of its sockets, to fence them */
  /* constant after link_open */
  struct channel channel;
  int channel_fd[CHANNEL_FDS]; /* kept, to hand them to a new daemon */
};

struct link {
  pthread_mutex_t lock; /* guards all below, but what link_open set for good */
  struct inflight inflight;
  struct path path[CHANNEL_PATHS];
  unsigned paths; /* constant */
  /* Bit set of paths with a worker that was told GO and is not known to be
   * dead. */
  uint32_t up;
  struct ahead ahead;
  struct proof proof;
  struct doubt doubt;
  struct waiter *leader;
  unsigned blocked; /* how many waiters are */
  struct waiter waiters; /* list head */
  struct waiter *idle_waiters;
  unsigned stirring; /* how many waiters are stirred */
  struct waiter *collected[INFLIGHT_SLOTS]; /* to be woken without the lock */
  unsigned n_collected;

  uint64_t down_since_ns; /* while !up: the outage began */
  uint64_t up_since_ns;   /* while up */
  bool answered;          /* anything, since then */
  uint64_t wakes; /* of workers */
  uint64_t takeovers;
  uint64_t joined; /* reads, or parts of one, that joined another one's */
  struct revalidate revalidate;
  unsigned revalidate_path; /* asked: whom */
  uint64_t told_size;       /* the last one that was logged */
  _Atomic uint64_t size_bytes; /* info.size, for threads without the lock */
  bool told_unknown;
  struct notes notes;
  /* By slot: the versions of the pages that a READ asks for. */
  uint64_t version[INFLIGHT_SLOTS][CHUNK_PAGES];

  enum lease_state lease;
  unsigned lease_users; /* writes under way */
  unsigned lease_waiting; /* writes that wait for it */
  uint32_t settles;     /* of the stripes, when it was granted */
  uint64_t revoked_ns;  /* REVOKED: since when */
  unsigned lease_turns; /* so many of these may still write when REVOKED */
  pthread_cond_t lease_drained;
  pthread_t lease_thread;
  int owed_error; /* errno of a flush that nobody asked for: next FLUSH's */

  int daemon_sock; /* -1: the daemon is gone */
  struct daemon_tie tie; /* to our own daemon or the host's, for good */
  int stop_fd;     /* eventfd: ends the control thread */
  bool stopping;
  uint64_t mend_sockets_ns; /* when to look for an agent that has gone again */
  uint64_t adopt_try_ns; /* without a daemon: when to look for one again */
  unsigned adopt_tries;
  struct hot hot;
  struct gateway_stats stats;

  /* constant after link_open */
  int wake_gateway; /* eventfd that all channels share, of path 0 */
  struct volume_spec spec;
  struct link_options options;
  struct volume_info info; /* what the first worker said */
  char name[320]; /* for messages */
  const struct log *log;
  bool (*interrupted) (void);
  int fds[CONTROL_FILES];
  unsigned nfds;
  pthread_t control_thread;
  bool started;
};

/* For another daemon than the one that has had them, which may have asked
 * something, or half of it. Without the lock.
 */
void link_renew_sockets (struct link *l);
/* Those whose other end has gone, if they can be had again, and tells the
 * daemon. For the control thread, without l->lock; m is scratch.
 */
void link_mend_sockets (struct link *l, struct control *m);
bool link_op_writes (enum io_op op);
uint64_t link_last_page (uint64_t offset, uint32_t length_bytes);

/* wait.c, with the lock held. NULL: no memory. */
struct waiter *waiter_enter (struct link *l);
void waiter_leave (struct link *l, struct waiter *w);
/* Waits until something happened that may concern w, or slice_ns (at most
 * LINK_SLICE_NS) have passed: as the leader, or for the leader.
 */
void waiter_wait (struct link *l, struct waiter *w, uint64_t slice_ns);
void waiter_free_all (struct link *l);

/* All with the lock held. */
void link_wake_all (struct link *l);
/* A slot or a range has become free. */
void link_wake_blocked (struct link *l);
/* Whoever waits for this slot's answer may have it now. */
void link_wake_wanting (struct link *l, uint32_t slot);
/* Whether the path has a worker that can be used. */
static inline bool
path_up (const struct link *l, const struct path *p)
{
  return (l->up & 1u << p->index) != 0;
}
/* The paths that a new request may take: those that are up, or all. */
uint32_t link_usable (const struct link *l);
/* The same for one that does op: if not all may write, those that may. */
uint32_t link_paths_for (const struct link *l, enum io_op op);
/* Sends what is QUEUED, if any path is up: what belongs to one that is not
 * moves to another. Wakes the workers that have got something.
 */
void link_push_queued (struct link *l);
/* The path's worker is gone or is treated as such: fences it, takes its
 * requests back. link_push_queued must follow.
 */
void link_down (struct link *l, struct path *p);
/* It broke the rules of the rings, or hangs: down, and the daemon is asked to
 * kill it. blame: what it had in hand may be why. (Who breaks the rules on
 * purpose would otherwise choose which requests fail.) The other paths get what
 * it had.
 */
void link_distrust (struct link *l, struct path *p, const char *why,
                    bool blame);
/* The path's worker had something in hand and died of itself. */
void link_blame (struct link *l, struct path *p);
/* The volume is given up: nobody may wait for it any more. */
void link_give_up (struct link *l, enum err why);
static inline const char *
link_program (const struct link *l)
{
  return l->options.program ? l->options.program
                            : "nbdkit-bulkhead-plugin " PACKAGE_VERSION;
}
/* ATTACH: which process serves, and what it counts; adopted: to a daemon that
 * has not heard of its workers.
 */
enum err link_tell_attach (struct link *l, struct control *m, bool adopted);
/* A message without a body. */
enum err link_tell (struct link *l, enum control_type type);
/* CONTROL_CACHE. */
enum err link_take_cache (struct link *l, struct control *m);
/* A CONTROL_WORKER message: take the path's new worker into use. */
enum err link_up (struct link *l, struct control *m);

void *link_control_main (void *link);

/* transfer.c: one FLUSH for all connections, or one for each; without the lock.
 * internal: not by one of nbdkit's threads. 0 or an errno.
 */
int link_flush_once (struct link *l, bool internal);

/* The rest of transfer.c with the lock held. */

/* Like waiter_wait, but for longer, too; true if the thread must leave. Asks
 * only after a whole slice has passed since since_ns without an answer: that
 * costs nothing on the fast path. blocked: it waits for what becomes free.
 */
bool link_wait (struct link *l, struct waiter *w, bool internal, bool blocked,
                uint64_t since_ns, uint64_t until_ns);
/* A write is over: closes its stripes. What is none is let through. */
void link_end_write (struct link *l, const struct ring_request *r);
/* Closes those of writes that nobody has answered and nobody can execute any
 * more (inflight.h, I8).
 */
void link_settle (struct link *l);
/* Whether the outage has lasted for as long as the user wants to wait. */
bool link_outage_over (const struct link *l);
/* What the server is asked for is whole units of so many bytes. */
uint32_t link_read_unit (const struct link *l);
/* A slot's place in its path's write arena. */
uint8_t *link_write_chunk (const struct link *l, uint32_t slot);

/* changes.c, with the lock held, by the control thread; m is scratch. The
 * volume is open; now and then; a path is no longer up; it is up again, and its
 * worker has found this; a worker has spoken (ERR_PEER: it may not say that).
 */
void changes_begin (struct link *l);
void changes_tick (struct link *l, struct control *m);
void changes_path_down (struct link *l, struct path *p);
void changes_session (struct link *l, const struct path *p,
                      const struct volume_info *info);
/* A session has begun, on a path that is not up yet: what has grown is served
 * as far as that one and each that is up know it, as workers refuse what is
 * beyond the size that they know.
 */
void changes_grow (struct link *l, const struct path *coming);
enum err changes_message (struct link *l, struct path *p, struct control *m);

/* adopt.c: the daemon is gone; one try to find or start another. Without the
 * lock, by the control thread; m is scratch.
 */
void adopt_try (struct link *l, struct control *m);

/* lease.c, with the lock held. True: the caller may write until lease_leave;
 * false: it must wait (all waiters are woken when that changes). *waits is the
 * caller's, false at first. lease_leave also for those who were not let in.
 */
bool lease_enter (struct link *l, bool *waits);
void lease_leave (struct link *l, bool entered, bool *waits);
void lease_message (struct link *l, enum control_type type);
/* The keeper's. */
void *lease_main (void *link);

#endif
