/* SPDX-License-Identifier: BSD-2-Clause */
/* What is attached, as files in the runtime folder (ipc/runtime.h):
 *
 *   attach/attach.lock  held while a device is connected or swept
 *   attach/nbdN.lock    locked as long as the supervisor of /dev/nbdN lives
 *   attach/nbdN.json    what it says about itself; replaced by rename
 *   attach/attach.log   what supervisors have to say
 *
 * Written by supervisors (cli/supervisor.h), read by everybody else; what is
 * read is bounded and checked.
 */
#ifndef BH_CLI_ATTACH_STATE_H
#define BH_CLI_ATTACH_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "ipc/runtime.h"

#define ATTACH_DIR_BYTES (RUNTIME_DIR_BYTES + 16)
#define ATTACH_LOCK "attach.lock"
#define ATTACH_LOG "attach.log"
/* What devices of ours show in /sys/block/nbdN/backend, before the name. */
#define ATTACH_BACKEND "bulkhead:"

struct attach_state {
  int index;
  char name[200]; /* as the user calls the volume */
  char url[1000];
  char state[16];    /* "ready", "reconnecting", "detaching" */
  char why[320];     /* the last thing that went wrong, or "" */
  pid_t pid, server; /* the supervisor, its nbdkit (0: none) */
  uint64_t size_bytes;
  bool readonly;
  unsigned connections;
  uint64_t restarts; /* of nbdkit */
  uint64_t refusals; /* to detach; why says the last reason */
  int64_t since_s;   /* Unix time */
};

/* The folder, made if it does not exist. */
enum err
attach_dir (char ret_dir[ATTACH_DIR_BYTES], struct fault *f);
enum err
attach_state_write (const char *dir, const struct attach_state *s,
                    struct fault *f);
/* ERR_NOENT: there is none. ERR_INVAL: it breaks the rules. */
enum err
attach_state_read (const char *dir, int index, struct attach_state *ret,
                   struct fault *f);
void
attach_state_remove (const char *dir, int index);
/* Whether its supervisor lives. */
bool
attach_state_alive (const char *dir, int index);
/* Takes nbdN.lock for as long as *ret_fd is open. ERR_AGAIN. */
enum err
attach_state_lock (const char *dir, int index, int *ret_fd);
/* Calls back for each device with a living supervisor whose state can be read,
 * until it says false.
 */
void
attach_state_each (const char *dir,
                   bool (*call) (void *ctx, const struct attach_state *s),
                   void *ctx);

#endif
