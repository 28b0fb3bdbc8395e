/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps one worker of a volume alive: resolves, dials, starts it, answers what
 * it asks for while it logs in, and replaces it when it dies.
 *
 *   STOPPED ─► RESOLVING ─► DIALLING ─► SPAWNED ─► SEALED ─► TRUSTED ─► OFFERED
 *                 ▲            ▲           │          │         │          │
 *                 │            │           ▼          ▼         ▼          ▼
 *              BACKOFF ────────┴──────── DYING ◄────────────────────── READY
 *                 └─► GIVEN_UP
 *
 * ASKING comes out of TRUSTED and OFFERED, and leads to OFFERED or DYING. A
 * protocol without SSH goes from SEALED to READY.
 *
 * Invariants
 *   S1  A worker exists in SPAWNED … READY and in DYING only, never two.
 *   S2  A volume's next worker is started only after the last one is proven
 *       dead (reaped) and its sockets fenced.
 *   S3  hooks.worker (epoch) is followed by hooks.gone (epoch) before any other
 *       hooks.worker; epochs grow by one for each worker started. A worker of
 *       an earlier daemon was announced by that.
 *   S4  A worker's message is legal in the states of the table in
 *       supervisor.c, and only there; another one is its end.
 *   S5  Before the first READY a fault that trying again will not mend goes to
 *       hooks.fault, and the supervisor stays in GIVEN_UP. Afterwards, and if
 *       others serve the volume already (background), it goes on for ever.
 *   S6  The session identity is zeroed, while no worker lives, after
 *       SUPERVISOR_EARLY_DEATHS workers in a row that died before READY and not
 *       of a lost connection or a refused login: it may be why.
 *   S7  Where workers are sent: place.h. A worker that moves before READY is
 *       followed at once, one that does so later as one that lost its server.
 */
#ifndef BH_CACHE_SUPERVISOR_H
#define BH_CACHE_SUPERVISOR_H

#include "cache/agent.h"
#include "cache/daemon.h"
#include "cache/login.h"
#include "common/want.h"
#include "ipc/channel.h"
#include "ipc/volume.h"

#define SUPERVISOR_EARLY_DEATHS 3u

_Static_assert (CHANNEL_PATHS <= PROTO_LANES_MAX,
                "one session can have all connections of a volume");

/* What the gateway gets of a worker. */
struct supervisor_worker {
  int control_fd;
  int pidfd;
  const int *net_fd; /* of its lanes */
  unsigned lanes;
  uint32_t layers; /* SBX_LAYER_… bits */
  bool shared; /* one session for all connections of the volume: see place.h */
};

/* Called from the loop, never from within a function of this header. The fds
 * are borrowed. A hook must not close the supervisor.
 */
struct supervisor_hooks {
  /* A worker is ready: not ERR_OK refuses it, and ends it for the reason f. */
  enum err (*check) (void *ctx, const struct volume_info *info,
                     struct fault *f);
  void (*worker) (void *ctx, uint64_t epoch, const struct volume_info *info,
                  const struct supervisor_worker *fds);
  /* of_itself: it may be what it was asked that killed it; not if it was ended
   * from outside or by us, or if it said that the server or the connection
   * fails.
   */
  void (*gone) (void *ctx, uint64_t epoch, bool of_itself,
                const struct fault *why);
  void (*fault) (void *ctx, const struct fault *f);
};

/* What an earlier daemon has left, as a gateway says. */
struct supervisor_before {
  uint64_t epoch; /* of the last worker; 0: there was none */
  int pidfd;      /* of a worker that lives; -1 */
  unsigned lanes; /* of that */
  uint32_t layers; /* of that; believed only where nothing can be seen */
  bool shared;     /* of that; as in supervisor_worker */
  int net_fd[PROTO_LANES_MAX]; /* the dups of its network sockets; -1 */
};

/* What to keep alive. All of it must outlive the supervisor. */
struct supervisor_config {
  struct daemon *daemon;
  const char *name;               /* for the log */
  uid_t uid;                      /* who asked for it */
  unsigned path;                  /* which one of the volume's connections */
  unsigned paths;                 /* how many there are */
  bool background;                /* S5 */
  const struct volume_spec *spec; /* the worker's part */
  const struct login_config *login;
  struct agent *agent;             /* NULL: none */
  const int *channel_fd;           /* CHANNEL_FDS */
  struct ring_object *completions; /* mapped writable */
  const struct supervisor_hooks *hooks;
  void *hooks_ctx;
};

struct supervisor;
struct status_worker;

/* Starts with resolving, or with the worker that is there: then before's fds
 * are taken over. The first hook comes later. ERR_NOMEM.
 */
enum err
supervisor_start (const struct supervisor_config *c,
                  struct supervisor_before *before, struct supervisor **ret);
/* Fences and kills what is there. NULL is allowed. */
void
supervisor_close (struct supervisor *s);
/* For the end of a volume: the worker may end its session with the server, for
 * a second at most. True: no hook is called any more, but left, once, from the
 * loop, when it is dead and fenced; it may close the supervisor. False: there
 * is nothing to wait for.
 */
bool
supervisor_leave (struct supervisor *s, void (*left) (void *ctx), void *ctx);

void
supervisor_status (const struct supervisor *s, struct status_worker *ret);

/* The gateway says that this worker broke the rules of the rings. An epoch
 * that is over is ignored.
 */
void
supervisor_distrust (struct supervisor *s, uint64_t epoch,
                     const struct fault *why);

#endif
