/* SPDX-License-Identifier: BSD-2-Clause */
/* Children of a supervisor (or of whoever cleans up behind one) that do what
 * may wait for the disk itself, for which it must not wait: opening it,
 * flushing it. They die with it.
 */
#ifndef BH_CLI_SUPERVISOR_CHILD_H
#define BH_CLI_SUPERVISOR_CHILD_H

#include <sys/types.h>

#include "common/err.h"

struct supervisor_child {
  pid_t pid;     /* 0: none; -1: has ended, and may have left a result */
  int result_fd; /* only while pid is not 0 */
};

/* Has the device open from when its result is there on. (The kernel reads the
 * partition table first.)
 */
enum err
supervisor_hold (struct supervisor_child *c, int index, struct fault *f);
/* Takes the device for itself, as long as it is not ended. Its first result is
 * "not yet", as soon as opening it has come to an end.
 */
enum err
supervisor_claim (struct supervisor_child *c, int index, struct fault *f);
/* Takes the device for itself and the holder, and flushes it: see
 * supervisor_child_result. It keeps the device until it is ended.
 */
enum err
supervisor_flush (struct supervisor_child *c, int index, pid_t holder,
                  struct fault *f);
/* Waits for it, with a timeout by poll of result_fd.
 * ERR_OK: it is done. ERR_AGAIN and no text in *f: not yet. Else what is wrong,
 * also that it has died.
 */
enum err
supervisor_child_result (struct supervisor_child *c, struct fault *f);
/* pid has been reaped. */
void
supervisor_child_gone (struct supervisor_child *c, pid_t pid);
/* Kills it; it is reaped later. */
void
supervisor_child_end (struct supervisor_child *c);

#endif
