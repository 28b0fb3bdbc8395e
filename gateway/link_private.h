/* SPDX-License-Identifier: BSD-2-Clause */
/* What link.c (life), control.c (workers that die and come) and transfer.c
 * (requests that wait) share. Nobody else includes this.
 */
#ifndef BH_GATEWAY_LINK_PRIVATE_H
#define BH_GATEWAY_LINK_PRIVATE_H

#include <pthread.h>

#include "gateway/inflight.h"
#include "gateway/link.h"
#include "ipc/control.h"

#define LINK_SLICE_NS 100000000ull

/* A thread that waits; on its stack, in the link's list while it waits. */
struct waiter {
  pthread_cond_t cond;
  struct waiter *next, *prev;
  uint32_t wanted; /* slot whose answer it waits for; INFLIGHT_SLOTS: none */
  bool blocked;    /* waits for a free slot or for an overlapping write */
};

struct link {
  pthread_mutex_t lock; /* guards all below, but what link_open set for good */
  struct inflight inflight;
  struct ring ring;
  uint64_t epoch; /* of the worker that the ring belongs to */
  bool up;        /* a worker was told GO and is not known to be dead */
  struct waiter *leader;
  unsigned blocked; /* how many waiters are */
  struct waiter waiters; /* list head */

  int worker_sock; /* -1: no worker */
  int worker_net;  /* dup of its network socket, to fence it; -1 */
  int daemon_sock; /* -1: the daemon is gone */
  int stop_fd;     /* eventfd: ends the control thread */

  /* constant after link_open */
  struct channel channel;
  int wake_worker, wake_gateway; /* eventfds */
  struct volume_info info;
  char name[320]; /* for messages */
  const struct log *log;
  bool (*interrupted) (void);
  int fds[CONTROL_FDS];
  unsigned nfds;
  pthread_t control_thread;
  bool started;
};

uint64_t link_now_ns (void);
/* All with the lock held. */
void link_wake_all (struct link *l);
void link_wake_worker (struct link *l);
/* Sends what is QUEUED; the worker must be up. */
void link_push_queued (struct link *l);
/* The worker is gone or is treated as such: fences it, takes its requests
 * back. */
void link_down (struct link *l);
/* It broke the rules of the rings: down, and the daemon is asked to kill it. */
void link_distrust (struct link *l, const char *why);
/* A CONTROL_WORKER message: take the new worker into use. */
enum err link_up (struct link *l, struct control *m);

void *link_control_main (void *link);

#endif
