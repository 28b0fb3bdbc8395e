/* SPDX-License-Identifier: BSD-2-Clause */
/* A user's ssh-agent, over a connection that the gateway made and handed over:
 * asks one question at a time, waits for none. The agent's bytes are a
 * stranger's; only their length is looked at here. The connection of a user who
 * is not the daemon's own is touched by a relay alone (relay.h), which starts
 * with the first question.
 *
 * Invariants
 *   A1  At most one question is on its way: the first of the list.
 *   A2  A question whose asker has gone, or whose time is over, stays in its
 *       place until it is answered: only so does the stream stay in step.
 *   A3  Once gone, an agent stays gone, until agent_renew.
 */
#ifndef BH_CACHE_AGENT_H
#define BH_CACHE_AGENT_H

#include "cache/agent_codec.h"
#include "cache/daemon.h"

/* Somebody may have to confirm (ssh-add -c), while the server waits. */
#define AGENT_TIMEOUT_S 20.0
#define AGENT_QUESTION_BYTES 24576
#define AGENT_QUESTIONS 16

struct agent;
struct agent_question;

/* Called once, from the loop; the question is gone then. answer is NULL if f
 * says why there is none.
 */
typedef void
agent_done (void *ctx, const uint8_t *answer, size_t answer_bytes,
            const struct fault *f);

/* fd: a connected stream socket, borrowed; its flags stay as they are. apart:
 * it is another user's, uid.
 */
enum err
agent_open (struct daemon *d, int fd, uid_t uid, bool apart,
            struct agent **ret);
/* The connection is another one from now on, in place of that of agent_open,
 * which may be closed then; what was asked there is not answered.
 */
void
agent_renew (struct agent *a, int fd);
/* After all questions are answered or cancelled. NULL is allowed. */
void
agent_close (struct agent *a);

/* bytes: what agent_put_… wrote. done is never called before this returns.
 * *ret stays valid until done is called or agent_cancel. ERR_LIMIT, ERR_NOMEM,
 * ERR_CLOSED: it has gone; those of relay_start; f says it.
 */
enum err
agent_ask (struct agent *a, const uint8_t *bytes, size_t length_bytes,
           agent_done *done, void *ctx, struct agent_question **ret,
           struct fault *f);
void
agent_cancel (struct agent_question *q); /* NULL is allowed */

#endif
