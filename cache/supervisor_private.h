/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by supervisor.c (life and death), supervisor_dial.c (its sockets),
 * supervisor_spawn.c (its process) and conversation.c (what a worker says).
 */
#ifndef BH_CACHE_SUPERVISOR_PRIVATE_H
#define BH_CACHE_SUPERVISOR_PRIVATE_H

#include "cache/address.h"
#include "cache/backoff.h"
#include "cache/chap.h"
#include "cache/dial.h"
#include "cache/resolver.h"
#include "cache/supervisor.h"

/* X(name, seconds that it may last; 0: for ever) */
#define SUP_STATE_TABLE(X)                                                     \
  X (STOPPED, 0)                                                               \
  X (RESOLVING, 0) /* resolver.h has the deadline */                           \
  X (DIALLING, 0)  /* dial.h has the deadline */                               \
  X (SPAWNED, 10)  /* loaded, sealed */                                        \
  X (SEALED, 22)   /* key exchange; without SSH: all up to READY */            \
  X (TRUSTED, 20)  /* the server says how to log in */                         \
  X (OFFERED, 30)  /* logged in, and the engine started */                     \
  X (ASKING, 0)    /* the user's agent; agent.h has the deadline */            \
  X (READY, 0)                                                                 \
  X (DYING, 1)                                                                 \
  X (BACKOFF, 0) /* has a timer of its own */                                  \
  X (GIVEN_UP, 0)

#define SUP_METHODS_BYTES 512

enum sup_state {
#define X(name, seconds) SUP_##name,
  SUP_STATE_TABLE (X)
#undef X
      SUP_STATES
};

/* The one worker (S1). */
struct sup_worker {
  int pidfd;
  pid_t pid;
  int control_fd; /* ours */
  int gateway_fd; /* the gateway's, until it is sent */
  unsigned lanes;
  int net_fd[PROTO_LANES_MAX]; /* dups, to fence them */
  ev_io control_readable;
  ev_io dead;
};

struct supervisor {
  struct supervisor_config c;
  enum sup_state state;
  ev_timer deadline;    /* of the state; BACKOFF: the delay */
  ev_timer acknowledge; /* runs during a login: see dial_acknowledge */
  struct resolver *resolver;
  struct dialer *dialer;
  struct address_list addresses;     /* count 0: resolve first */
  char resolved[PLACE_HOST_BYTES];   /* whose they are */
  struct route route;
  void (*left) (void *ctx); /* the volume is closed: supervisor_leave */
  void *left_ctx;
  bool moving;          /* the worker ends to go on elsewhere */
  uint16_t source_port; /* of the last session; 0: there was none */
  struct chap chap;
  bool secrets_judged;
  unsigned early_deaths; /* in a row, before READY: S6 */
  struct sup_worker worker;
  struct login login;
  unsigned certs_signed; /* by requests of this worker */
  struct agent_question *question; /* in ASKING alone */
  char methods[SUP_METHODS_BYTES]; /* that the server offers */
  uint64_t epoch; /* of the last worker started */
  bool announced; /* hooks.worker was called for it */
  bool ever_ready;
  unsigned attempts; /* before the first READY */
  ev_tstamp ready_since;
  struct fault why; /* the first reason for an end; code 0: none yet */
  bool distrusted;
  bool killed_by_us;
  bool reported; /* it sent FAIL */
  bool out_of_memory; /* by its own limit; known when it is dead */
  bool adopted;  /* it is an earlier daemon's child, and says nothing to us */
  struct backoff backoff;
  unsigned failures_logged;
  /* For supervisor_status. */
  uint64_t since_ns; /* when it became READY, or was no longer so */
  uint64_t retry_at_ns;
  uint32_t layers;
  char last_why[200];
  struct control message; /* the one that was received, or is built */
};

const char *
sup_state_name (enum sup_state state);
/* The only way to another state; asserts that the table allows it. */
void
sup_set_state (struct supervisor *s, enum sup_state state);

/* How a worker ends; its death is then noticed by its pidfd. */
enum sup_end {
  SUP_END_KILL,  /* at once */
  SUP_END_AWAIT, /* it is ending by itself: killed if it does not */
};

/* why: the first reason counts; NULL: what its death will say. */
void
sup_end_worker (struct supervisor *s, enum sup_end how,
                const struct fault *why);

/* Resolves and dials where the route leads, then sup_start_worker or
 * sup_attempt_failed.
 */
void
sup_follow_route (struct supervisor *s);
/* All its lanes are there, or as many as can be had. */
void
sup_start_worker (struct supervisor *s);
void
sup_attempt_failed (struct supervisor *s, const struct fault *f);
/* The process, with the lanes; it waits for its CONFIG. */
enum err
sup_spawn_worker (struct supervisor *s, struct fault *f);
/* 0, or SBX_LAYER_CGROUP if it could be done. */
uint32_t
sup_limit_by_cgroup (struct supervisor *s);
/* Of a worker that is dead: it reached the limit of memory of its cgroup. */
bool
sup_was_out_of_memory (const struct supervisor *s);

/* Reads and answers what the worker has said; stops when it is to end. */
void
sup_converse (struct supervisor *s);
/* Tells a new worker what it is for. */
enum err
sup_send_config (struct supervisor *s, struct fault *f);

#endif
