/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cache/relay.h"
#include "common/cleanup.h"

struct agent_question {
  struct agent *agent;
  struct agent_question *next;
  agent_done *done; /* NULL: nobody waits for it any more (A2) */
  void *ctx;
  ev_timer deadline;
  size_t length_bytes, sent_bytes;
  uint8_t bytes[AGENT_QUESTION_BYTES];
};

struct agent {
  struct daemon *d;
  uid_t uid;
  int fd; /* with a relay: its */
  int foreign_fd; /* -1: none; else what the relay is to be started with */
  struct relay *relay;
  bool gone;
  ev_io readable, writable;
  struct agent_question *first;
  unsigned questions;
  size_t used_bytes; /* of the answer, with its length */
  uint8_t answer[4 + AGENT_ANSWER_BYTES];
};

static void
stop (struct agent *a)
{
  ev_io_stop (a->d->loop, &a->readable);
  ev_io_stop (a->d->loop, &a->writable);
}

/* Takes the first question off; its done is the caller's to call. */
static struct agent_question *
take_first (struct agent *a)
{
  struct agent_question *q = a->first;

  a->first = q->next;
  a->questions--;
  ev_timer_stop (a->d->loop, &q->deadline);
  return q;
}

static void
end_question (struct agent_question *q, const uint8_t *answer,
              size_t answer_bytes, const struct fault *f)
{
  agent_done *done = q->done;
  void *ctx = q->ctx;

  free (q);
  if (done)
    done (ctx, answer, answer_bytes, f);
}

static enum err
gone_fault (struct fault *f)
{
  return fault_set (f, ERR_CLOSED, "the agent has gone");
}

/* A3. Askers may ask again at once: they are refused. */
static void
be_gone (struct agent *a)
{
  struct fault f = {0};

  gone_fault (&f);
  a->gone = true;
  stop (a);
  while (a->first)
    end_question (take_first (a), NULL, 0, &f);
}

static void
send_first (struct agent *a)
{
  struct agent_question *q = a->first;

  while (q && q->sent_bytes < q->length_bytes) {
    ssize_t n =
        send (a->fd, q->bytes + q->sent_bytes, q->length_bytes - q->sent_bytes,
              MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN) {
      ev_io_start (a->d->loop, &a->writable);
      return;
    }
    if (n <= 0) {
      /* Its end is read, or comes from here, but never within agent_ask. */
      a->gone = true;
      ev_feed_event (a->d->loop, &a->readable, EV_READ);
      break;
    }
    q->sent_bytes += (size_t)n;
  }
  ev_io_stop (a->d->loop, &a->writable);
}

static void
on_writable (struct ev_loop *loop, ev_io *w, int events)
{
  (void)loop;
  (void)events;
  send_first (w->data);
}

/* The whole answer's length with its own four bytes; 0: not known yet. */
static size_t
answer_length (const struct agent *a)
{
  struct wire w = wire_init (a->answer, a->used_bytes);

  return a->used_bytes < 4 ? 0 : 4 + (size_t)wire_u32 (&w);
}

static void
on_readable (struct ev_loop *loop, ev_io *w, int events)
{
  struct agent *a = w->data;
  size_t want = answer_length (a);
  ssize_t n;

  (void)loop;
  (void)events;
  if (a->gone) {
    be_gone (a);
    return;
  }
  /* Never more than this answer. */
  n = recv (a->fd, a->answer + a->used_bytes, (want ? want : 4) - a->used_bytes,
            MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    be_gone (a);
    return;
  }
  a->used_bytes += (size_t)n;
  want = answer_length (a);
  if (want == 4 || want > sizeof a->answer) {
    be_gone (a);
    return;
  }
  if (a->used_bytes == want) {
    struct agent_question *q = a->first ? take_first (a) : NULL;

    a->used_bytes = 0;
    if (!q) /* to a question of the daemon before us */
      return;
    send_first (a);
    end_question (q, a->answer + 4, want - 4, NULL);
  }
}

static void
on_deadline (struct ev_loop *loop, ev_timer *w, int events)
{
  struct agent_question *q = w->data;
  agent_done *done = q->done;
  struct fault f = {0};

  (void)loop;
  (void)events;
  q->done = NULL; /* A2 */
  fault_set (&f, ERR_TIMEOUT, "the agent does not answer");
  if (done)
    done (q->ctx, NULL, 0, &f);
}

static void
watch (struct agent *a, int fd)
{
  a->fd = fd;
  ev_io_set (&a->readable, fd, EV_READ);
  ev_io_set (&a->writable, fd, EV_WRITE);
  ev_io_start (a->d->loop, &a->readable);
}

enum err
agent_open (struct daemon *d, int fd, uid_t uid, bool apart,
            struct agent **ret)
{
  struct agent *a = calloc (1, sizeof *a);

  if (!a)
    return ERR_NOMEM;
  a->d = d;
  a->uid = uid;
  a->fd = -1;
  a->foreign_fd = apart ? fd : -1;
  ev_init (&a->readable, on_readable);
  ev_init (&a->writable, on_writable);
  a->readable.data = a->writable.data = a;
  if (!apart)
    watch (a, fd);
  *ret = a;
  return ERR_OK;
}

void
agent_renew (struct agent *a, int fd)
{
  be_gone (a);
  ev_clear_pending (a->d->loop, &a->readable);
  relay_end (steal (&a->relay));
  a->fd = -1;
  a->used_bytes = 0;
  a->gone = false;
  if (a->foreign_fd >= 0)
    a->foreign_fd = fd;
  else
    watch (a, fd);
}

/* Processes are for those agents that are asked. */
static enum err
start_relay (struct agent *a, struct fault *f)
{
  enum err e = relay_start (a->d, a->uid, a->foreign_fd, &a->relay, f);

  if (!e)
    watch (a, relay_fd (a->relay));
  return e;
}

void
agent_close (struct agent *a)
{
  if (!a)
    return;
  stop (a);
  ev_clear_pending (a->d->loop, &a->readable);
  while (a->first)
    free (take_first (a));
  relay_end (a->relay);
  free (a);
}

enum err
agent_ask (struct agent *a, const uint8_t *bytes, size_t length_bytes,
           agent_done *done, void *ctx, struct agent_question **ret,
           struct fault *f)
{
  struct agent_question *q, **end = &a->first;
  enum err e;

  if (a->gone)
    return gone_fault (f);
  if (a->questions == AGENT_QUESTIONS || length_bytes > AGENT_QUESTION_BYTES)
    return fault_set (f, ERR_LIMIT, "the agent has too much to do");
  if (a->fd < 0 && (e = start_relay (a, f)))
    return e;
  q = calloc (1, sizeof *q);
  if (!q)
    return fault_set (f, ERR_NOMEM, "out of memory");
  q->agent = a;
  q->done = done;
  q->ctx = ctx;
  q->length_bytes = length_bytes;
  memcpy (q->bytes, bytes, length_bytes);
  while (*end)
    end = &(*end)->next;
  *end = q;
  a->questions++;
  ev_now_update (a->d->loop);
  ev_timer_init (&q->deadline, on_deadline, AGENT_TIMEOUT_S, 0.);
  q->deadline.data = q;
  ev_timer_start (a->d->loop, &q->deadline);
  *ret = q;
  if (a->first == q)
    send_first (a);
  return ERR_OK;
}

void
agent_cancel (struct agent_question *q)
{
  if (q)
    q->done = NULL; /* A2 */
}
