/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts nbdkit with the plugin, and learns how that went as codes and words
 * (see STATUS_FD in gateway/plugin.c), not from what it prints.
 *
 * BULKHEAD_RUN, if set, is a program that is put before "nbdkit": ./run of a
 * build that is not installed.
 */
#ifndef BH_CLI_NBDKIT_H
#define BH_CLI_NBDKIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/target.h"
#include "common/err.h"

#define NBDKIT_OWN_MAX 32 /* nbdkit's own arguments */

/* GUARDED: ends with us as if killed, and not by SIGTERM or SIGHUP, or a key of
 * the terminal: nbdkit answers what is under way with an error when it ends by
 * itself (ESHUTDOWN), which must not happen to a disk that is in use.
 */
enum nbdkit_mode { NBDKIT_FOREGROUND, NBDKIT_DETACHED, NBDKIT_GUARDED };

struct nbdkit {
  pid_t pid; /* our child: nbdkit, or what it was before it detached */
  enum nbdkit_mode mode;
  bool ready;
  uint64_t size_bytes; /* GUARDED, ready: as it was told last */
  pid_t server;        /* nbdkit itself, once it is ready */
  /* A pipe, readable when it is ready or has failed, GUARDED also when the size
   * is another one; -1: no more is told.
   */
  int status_fd;
  char line[700];
  unsigned used;
};

/* own: nbdkit's options, NULL-terminated, without -f and -t. DETACHED: it goes
 * into the background when it is ready; otherwise it ends with us. stderr_fd:
 * where it writes, -1: where we do.
 */
enum err
nbdkit_start (const struct target *t, const char *const *own, unsigned threads,
              enum nbdkit_mode mode, int stderr_fd, struct nbdkit *ret,
              struct fault *f);
/* Waits for at most timeout_ms (-1: as long as it takes; 0: only looks).
 * ERR_OK: clients can connect. ERR_AGAIN: nothing yet. Else it has failed, and
 * has ended or is about to: nbdkit_stop, to reap it.
 */
enum err
nbdkit_ready (struct nbdkit *n, int timeout_ms, struct fault *f);
/* GUARDED, ready: takes what status_fd has. True: size_bytes is another one. */
bool
nbdkit_resized (struct nbdkit *n);
/* SIGTERM (GUARDED: SIGINT), then after timeout_ms SIGKILL; reaps it. DETACHED:
 * until it is ready; then it is on its own.
 */
void
nbdkit_stop (struct nbdkit *n, unsigned timeout_ms);

#endif
