/* SPDX-License-Identifier: BSD-2-Clause */
/* One volume of one gateway: what was asked for (checked), the secrets that go
 * with it, the channel, and the supervisor of its worker.
 *
 * The shared page cache of a volume will hang on this object.
 */
#ifndef BH_CACHE_VOLUME_H
#define BH_CACHE_VOLUME_H

#include "cache/supervisor.h"
#include "ipc/control.h"

struct volume;

/* Takes the message OPEN: its volume_spec, and the files out of it. A password
 * may still come through a pipe when this returns. hooks: see supervisor.h.
 * On an error *f says what was wrong, in words for the user.
 */
enum err
volume_open (struct daemon *d, struct control *open,
             const struct supervisor_hooks *hooks, void *hooks_ctx,
             struct volume **ret, struct fault *f);
/* Fences and kills the worker. NULL is allowed. */
void
volume_close (struct volume *v);

const char *
volume_name (const struct volume *v);
/* The gateway's fds; the caller owns them. */
enum err
volume_channel_fds (const struct volume *v, int ret_fd[CHANNEL_FDS]);
void
volume_distrust (struct volume *v, uint64_t epoch, const struct fault *why);

#endif
