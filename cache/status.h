/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers STATUS: one page of ipc/status.h. What is told is collected where it
 * lives (shared.h, client.h, volume.h, supervisor.h); here it is put together.
 */
#ifndef BH_CACHE_STATUS_H
#define BH_CACHE_STATUS_H

#include "cache/daemon.h"
#include "cache/server.h"
#include "ipc/status.h"

/* w: what follows the version in the question. Builds the answer for a client
 * of this uid in out and b; the fds are borrowed until control returns to the
 * loop. ERR_PEER: a damaged question.
 */
enum err
status_answer (struct daemon *d, const struct server *server, uid_t uid,
               struct wire *w, struct control *out, struct wirebuf *b);

#endif
