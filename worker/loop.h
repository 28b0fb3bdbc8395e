/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's loop: rings ↔ engine ↔ transport.
 *
 * One turn takes every waiting request, then every byte that has come, answers
 * what is complete with at most one wake-up, and sends with at most a few
 * system calls; it sleeps only when a look at all of them found nothing.
 *
 * Owner: the worker; one thread.
 */
#ifndef BH_WORKER_LOOP_H
#define BH_WORKER_LOOP_H

#include "ipc/channel.h"
#include "protocols/proto.h"
#include "worker/broker.h"
#include "worker/transport.h"

enum loop_state {
  LOOP_STARTING, /* the engine negotiates */
  LOOP_READY,    /* READY is sent; the rings belong to us only after GO */
  LOOP_SERVING,
  LOOP_LEAVING, /* nobody is there any more; the engine says goodbye */
};

/* A request inside the engine; its index is the engine's id for it. */
struct loop_slot {
  bool used;
  uint64_t id; /* the gateway's */
  uint32_t length_bytes; /* of a READ; else 0 */
};

/* Fill the first part, zero the rest. All pointers are borrowed. */
struct loop {
  const struct proto_ops *ops;
  struct proto *proto;
  const struct transport_ops *transport_ops;
  struct transport *transport[PROTO_LANES_MAX]; /* NULL: lane_lost was called */
  unsigned lanes;
  struct broker *broker;
  const struct channel *channel;
  uint64_t epoch;
  int daemon_fd, gateway_fd, wake_worker_fd, wake_gateway_fd;
  int net_fd; /* of lane 0; the others follow it */
  uint64_t deadline_ns; /* for the engine to become ready, then for GO */

  enum loop_state state;
  struct volume_info info;
  struct ring ring;
  struct control message; /* from the control sockets */
  bool daemon_closed, gateway_closed;
  bool tx_waits; /* no transport takes more: wait for the sockets */
  bool probing;  /* the gateway waits for PROBED */
  bool answered; /* completions stand in the ring that nobody was woken for */
  enum proto_want_type asked; /* the daemon, who has not answered yet */
  uint64_t asked_until_ns;
  bool heard; /* anything from the server */
  bool moved; /* the daemon was told: the next worker goes on elsewhere */
  uint64_t now_ns;
  unsigned free_slots;
  uint8_t free_slot[PROTO_REQUESTS]; /* a stack of indices */
  struct loop_slot slot[PROTO_REQUESTS];
};

/* Runs until both control sockets are closed and the engine has left, or until
 * it wants to go on elsewhere: ERR_OK. Anything else is the end of this
 * session, with the reason in f.
 */
enum err loop_run (struct loop *l, struct fault *f);

#endif
