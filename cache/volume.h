/* SPDX-License-Identifier: BSD-2-Clause */
/* One volume of one gateway: what was asked for (checked), the secrets that go
 * with it, and its connections (paths): for each a channel, and the supervisor
 * of the worker at its end. The first connection is made at once; when it is
 * ready the gateway can serve, and the others follow in the background, so that
 * a server that limits sessions or refuses a login is not asked for many.
 * What gateways of the same volume share is in shared.h; this object is a
 * member of it from the time when the credential is known.
 */
#ifndef BH_CACHE_VOLUME_H
#define BH_CACHE_VOLUME_H

#include "cache/requester.h"
#include "cache/shared.h"
#include "cache/supervisor.h"
#include "ipc/control.h"

struct volume;
struct status_gateway;

/* Called from the loop, but cached may also be called by volume_start. cached:
 * the gateway can be told of its cache (volume_put_cache), before any worker.
 */
struct volume_hooks {
  /* As those of supervisor_hooks, with the index of the path. */
  void (*worker) (void *ctx, unsigned path, uint64_t epoch,
                  const struct volume_info *info,
                  const struct supervisor_worker *fds);
  void (*gone) (void *ctx, unsigned path, uint64_t epoch, bool of_itself,
                const struct fault *why);
  void (*fault) (void *ctx, const struct fault *f);
  struct member_hooks lease;
  void (*cached) (void *ctx);
};

/* Takes the message OPEN or ADOPT of a gateway: its volume_spec, and the files
 * out of it; of ADOPT also what an earlier daemon had made. On an error *f says
 * what was wrong, in words for the user.
 */
enum err
volume_open (struct daemon *d, const struct requester *who,
             struct control *open,
             const struct volume_hooks *hooks, void *hooks_ctx,
             struct volume **ret, struct fault *f);
/* Joins those who share it, and starts the first worker; later, if the password
 * is still to come through a pipe.
 */
enum err
volume_start (struct volume *v, struct fault *f);
/* Fences and kills the workers. NULL is allowed. */
void
volume_close (struct volume *v);
/* The same, but gives them time to end their sessions with the server, where
 * there is more to that than to hang up; no hook is called meanwhile. NULL is
 * allowed.
 */
void
volume_leave (struct volume *v);
/* For the end of the daemon: nobody is given more time. */
void
volumes_close_leaving (struct daemon *d);

const char *
volume_name (const struct volume *v);
unsigned
volume_paths (const struct volume *v);
/* The gateway's fds; the caller owns them. */
enum err
volume_channel_fds (const struct volume *v, unsigned path,
                    int ret_fd[CHANNEL_FDS]);
/* The body and the fds of CACHE; the fds are borrowed until volume_cache_sent.
 */
void
volume_put_cache (const struct volume *v, struct control *out,
                  struct wirebuf *b);
void
volume_cache_sent (struct volume *v);
/* LEASE_WANT, LEASE_RETURN. ERR_PEER: not now. */
enum err
volume_lease_want (struct volume *v);
enum err
volume_lease_return (struct volume *v);
/* AGENT: takes it out of m. ERR_PEER: it is none, or there was none. */
enum err
volume_renew_agent (struct volume *v, struct control *m);
/* What the gateway says of it, for volume_status, until a worker does. */
void
volume_tell_info (struct volume *v, const struct volume_info *info);
/* All but what its client knows. */
void
volume_status (const struct volume *v, struct status_gateway *ret);
/* ERR_PEER: there is no such path. */
enum err
volume_distrust (struct volume *v, unsigned path, uint64_t epoch,
                 const struct fault *why);

#endif
