/* SPDX-License-Identifier: BSD-2-Clause */
/* The process behind an attached device: runs nbdkit, gives the kernel its
 * sockets, and new ones whenever one is lost; starts nbdkit again when it ends;
 * follows the size, which nbdkit tells; detaches when it is told to. It ends
 * when nothing is attached any more.
 *
 *   STARTING      nbdkit starts, for the first time or again
 *   READY         the kernel has its connections
 *   WAITING       nbdkit could not be started, or not be reached: some seconds
 *   OVER
 *
 *   from         to
 *   STARTING     READY; WAITING if there is a device already, else OVER
 *   READY        WAITING (nbdkit has ended, or a connection is lost)
 *   WAITING      STARTING, or READY if nbdkit still runs
 *   any          OVER (detached)
 *
 * Beside that, while it detaches, a child has the device for itself and flushes
 * it; connections are seen to as ever, as the flush may need them.
 *
 * Signals: SIGTERM, SIGINT, SIGHUP: detach as soon as nobody uses it. SIGUSR1:
 * detach now, or say why not (attach_state.refusals). SIGUSR2: detach whatever
 * is lost.
 *
 * What keeps a device from being left behind: a child (the holder) has it open
 * and dies with this process, and the kernel disconnects it when it is closed
 * for the last time. Until the holder has it (it must not be closed by somebody
 * else first) there are two who clean up: whoever waits for the report, and the
 * next bulkhead that attaches or detaches (sweep.h). bulkhead list changes
 * nothing: it shows such a device as left behind. One that is in use stays, and
 * is taken up again by attaching the same volume.
 *
 * nbdkit is guarded (nbdkit.h): signals for a whole session do not reach it, as
 * it would answer what is under way with errors; it is killed with this
 * process, so that it cannot answer then either.
 */
#ifndef BH_CLI_SUPERVISOR_H
#define BH_CLI_SUPERVISOR_H

#include <stdbool.h>

#include "cli/attach_state.h"
#include "cli/target.h"

struct supervise {
  struct target *target;
  int index;            /* -1: any */
  unsigned connections; /* that the kernel opens; 0: as many as are good */
  unsigned timeout_s, dead_timeout_s, threads;
  bool readonly;
  /* Called once: with the device's number and ERR_OK, or with what was wrong.
   * False: nobody was told, and the device is given up. alive_fd becomes
   * readable (or hangs up) when nobody waits for that any more; -1: somebody
   * always does.
   */
  bool (*report) (void *ctx, enum err e, int index, const struct fault *f);
  void *ctx;
  int alive_fd;
};

/* Returns when it is over. Signals must be blocked by nobody else; lines of log
 * go to stderr.
 */
enum err
supervise (const struct supervise *options);

#endif
