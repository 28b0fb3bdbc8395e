/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/client.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/foreign.h"
#include "cache/peek.h"
#include "cache/status.h"
#include "cache/volume.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "ipc/control.h"
#include "ipc/stats.h"

#define PROGRAM_BYTES 64

/* X(name, seconds that it may last; 0: for ever) */
#define CLIENT_STATE_TABLE(X)                                                  \
  X (NEW, 5)                                                                   \
  X (GREETED, 10)                                                              \
  X (SERVING, 0)                                                               \
  X (WATCHING, 60) /* asks for STATUS; again with each question */             \
  X (FAILED, 10) /* for the gateway to read why, and to close */               \
  X (CLOSED, 0)

enum client_state {
#define X(name, seconds) CLIENT_##name,
  CLIENT_STATE_TABLE (X)
#undef X
      CLIENT_STATES
};

static const struct {
  const char *name;
  double seconds;
} states[CLIENT_STATES] = {
#define X(name, seconds) [CLIENT_##name] = {#name, seconds},
    CLIENT_STATE_TABLE (X)
#undef X
};

#define TO(state) (1u << CLIENT_##state)

static const unsigned transitions[CLIENT_STATES] = {
    [CLIENT_NEW] = TO (GREETED) | TO (CLOSED),
    [CLIENT_GREETED]
    = TO (SERVING) | TO (WATCHING) | TO (FAILED) | TO (CLOSED),
    [CLIENT_WATCHING] = TO (WATCHING) | TO (CLOSED),
    [CLIENT_SERVING] = TO (FAILED) | TO (CLOSED),
    [CLIENT_FAILED] = TO (CLOSED),
    [CLIENT_CLOSED] = TO (CLOSED),
};

struct client {
  struct daemon *d;
  struct server *server;
  enum client_state state;
  int sock;
  pid_t pid; /* that connected; after ATTACH: that serves */
  uid_t uid;
  char program[PROGRAM_BYTES];
  bool adopted; /* an earlier daemon served it */
  struct volume *volume;
  uint64_t id, began_ns;
  int stats_fd; /* of ATTACH, read-only; -1 */
  ev_io readable;
  ev_timer deadline; /* of the state; CLOSED: frees */
  ev_timer pause;    /* nothing is read meanwhile */
  struct control in, out;
};

typedef enum err
on_message (struct client *c, struct wire *w, struct fault *f);

static on_message on_hello, on_open, on_attach, on_distrust, on_want, on_return,
    on_agent, on_status, on_late;

static const struct {
  enum control_type type;
  unsigned states;
  on_message *handle;
} legal[] = {
    {CONTROL_HELLO, TO (NEW), on_hello},
    {CONTROL_OPEN, TO (GREETED), on_open},
    {CONTROL_ADOPT, TO (GREETED), on_open},
    {CONTROL_ATTACH, TO (SERVING), on_attach},
    {CONTROL_DISTRUST, TO (SERVING), on_distrust},
    {CONTROL_LEASE_WANT, TO (SERVING), on_want},
    {CONTROL_LEASE_RETURN, TO (SERVING), on_return},
    {CONTROL_AGENT, TO (SERVING), on_agent},
    {CONTROL_STATUS, TO (GREETED) | TO (WATCHING), on_status},
    /* They crossed our FAULT. */
    {CONTROL_LEASE_WANT, TO (FAILED), on_late},
    {CONTROL_LEASE_RETURN, TO (FAILED), on_late},
    {CONTROL_ATTACH, TO (FAILED), on_late},
    {CONTROL_AGENT, TO (FAILED), on_late},
    {CONTROL_DISTRUST, TO (FAILED), on_late},
};

static const char *
client_name (const struct client *c)
{
  return c->volume ? volume_name (c->volume) : "client";
}

static void
set_state (struct client *c, enum client_state state)
{
  assert (transitions[c->state] & 1u << state);
  c->state = state;
  ev_timer_stop (c->d->loop, &c->deadline);
  if (state == CLIENT_CLOSED) {
    ev_io_stop (c->d->loop, &c->readable);
    ev_timer_stop (c->d->loop, &c->pause);
    ev_timer_set (&c->deadline, 0., 0.); /* C3 */
    ev_timer_start (c->d->loop, &c->deadline);
  } else if (states[state].seconds > 0) {
    ev_now_update (c->d->loop);
    ev_timer_set (&c->deadline, states[state].seconds, 0.);
    ev_timer_start (c->d->loop, &c->deadline);
  }
}

void
client_free (struct client *c)
{
  static const struct quota_share one = {.clients = 1};

  quota_give (&c->d->quota, c->uid, &one);
  ev_io_stop (c->d->loop, &c->readable);
  ev_timer_stop (c->d->loop, &c->pause);
  ev_timer_stop (c->d->loop, &c->deadline);
  volume_leave (c->volume);
  cleanup_close (&c->stats_fd);
  closer_hang_up (c->d, c->uid, c->sock);
  free (c);
}

void
client_abandon (struct client *c)
{
  shutdown (c->sock, SHUT_RDWR);
}

/* A gateway that does not read what it is told for so long is stuck; nothing
 * in the daemon waits for it.
 */
static enum err
send_message (struct client *c, const struct wirebuf *b)
{
  enum err e = control_send (c->sock, &c->out, b, 0);

  c->out.fds = 0; /* borrowed */
  if (e && c->state != CLIENT_CLOSED) {
    if (e != ERR_CLOSED)
      daemon_warn_of (c->d, c->uid, "%s: pid %d does not take %s: %s",
                      client_name (c), (int)c->pid,
                      control_type_name (c->out.type),
                      err_text (e));
    set_state (c, CLIENT_CLOSED);
  }
  return e;
}

static void
send_fault (struct client *c, const struct fault *f)
{
  struct wirebuf b;

  if (c->state == CLIENT_CLOSED || c->state == CLIENT_FAILED)
    return;
  set_state (c, CLIENT_FAILED);
  control_begin (&c->out, CONTROL_FAULT);
  b = control_body (&c->out);
  fault_put (&b, f);
  send_message (c, &b);
}

/* Hooks of the volume */

static void
on_worker (void *ctx, unsigned path, uint64_t epoch,
           const struct volume_info *info, const struct supervisor_worker *fds)
{
  struct client *c = ctx;
  struct wirebuf b;

  if (c->state != CLIENT_SERVING)
    return;
  control_begin (&c->out, CONTROL_WORKER);
  b = control_body (&c->out);
  wirebuf_u8 (&b, (uint8_t)path);
  wirebuf_u64 (&b, epoch);
  wirebuf_u32 (&b, fds->layers);
  wirebuf_u8 (&b, fds->shared);
  volume_info_put (&b, info);
  control_add_fd (&c->out, fds->control_fd);
  control_add_fd (&c->out, fds->pidfd);
  for (unsigned i = 0; i < fds->lanes; i++)
    control_add_fd (&c->out, fds->net_fd[i]);
  send_message (c, &b);
}

static void
on_gone (void *ctx, unsigned path, uint64_t epoch, bool of_itself,
         const struct fault *why)
{
  struct client *c = ctx;
  struct wirebuf b;

  if (c->state != CLIENT_SERVING)
    return;
  control_begin (&c->out, CONTROL_GONE);
  b = control_body (&c->out);
  wirebuf_u8 (&b, (uint8_t)path);
  wirebuf_u64 (&b, epoch);
  wirebuf_u8 (&b, of_itself);
  fault_put (&b, why);
  send_message (c, &b);
}

static void
on_fault (void *ctx, const struct fault *f)
{
  send_fault (ctx, f);
}

static void
send_plain (struct client *c, enum control_type type)
{
  struct wirebuf b;

  if (c->state != CLIENT_SERVING)
    return;
  control_begin (&c->out, type);
  b = control_body (&c->out);
  send_message (c, &b);
}

static void
on_cached (void *ctx)
{
  struct client *c = ctx;
  struct wirebuf b;

  if (c->state != CLIENT_SERVING)
    return;
  control_begin (&c->out, CONTROL_CACHE);
  b = control_body (&c->out);
  volume_put_cache (c->volume, &c->out, &b);
  send_message (c, &b);
  volume_cache_sent (c->volume);
  if (c->adopted)
    send_plain (c, CONTROL_ADOPTED);
}

static void
on_grant (void *ctx)
{
  send_plain (ctx, CONTROL_LEASE_GRANT);
}

static void
on_revoke (void *ctx)
{
  send_plain (ctx, CONTROL_LEASE_REVOKE);
}

static void
on_expel (void *ctx, const struct fault *f)
{
  struct client *c = ctx;

  volume_close (steal (&c->volume));
  send_fault (c, f);
}

static const struct volume_hooks hooks = {
    .worker = on_worker,
    .gone = on_gone,
    .fault = on_fault,
    .lease = {.grant = on_grant, .revoke = on_revoke, .expel = on_expel},
    .cached = on_cached,
};

/* Messages */

static enum err
on_hello (struct client *c, struct wire *w, struct fault *f)
{
  uint32_t version = wire_u32 (w);
  struct wirebuf b;

  wire_cstring (w, c->program, sizeof c->program);
  /* A later version may add to the body. */
  if (w->err)
    return fault_set (f, ERR_PEER, "damaged HELLO");
  control_begin (&c->out, CONTROL_HELLO);
  b = control_body (&c->out);
  wirebuf_u32 (&b, CONTROL_VERSION);
  wirebuf_cstring (&b, "bulkheadd " PACKAGE_VERSION);
  if (send_message (c, &b))
    return ERR_OK;
  if (version != CONTROL_VERSION)
    return fault_set (f, ERR_VERSION, "%s speaks version %u, we speak %u",
                      c->program, version, CONTROL_VERSION);
  set_state (c, CLIENT_GREETED);
  return ERR_OK;
}

static void
send_channel (struct client *c, unsigned path)
{
  int fd[CHANNEL_FDS];
  struct wirebuf b;
  struct fault f;
  enum err e = volume_channel_fds (c->volume, path, fd);

  if (e) {
    fault_set (&f, e, "cannot hand over the channel: %s", err_text (e));
    send_fault (c, &f);
    return;
  }
  control_begin (&c->out, CONTROL_CHANNEL);
  b = control_body (&c->out);
  wirebuf_u8 (&b, (uint8_t)path);
  wirebuf_u32 (&b, CHANNEL_SLOTS);
  wirebuf_u32 (&b, CHANNEL_CHUNK_BYTES);
  for (int i = 0; i < CHANNEL_FDS; i++)
    control_add_fd (&c->out, fd[i]);
  send_message (c, &b);
  channel_close_fds (fd);
}

static enum err
on_open (struct client *c, struct wire *w, struct fault *f)
{
  struct fault why = {0};
  struct requester who;
  enum err e = requester_of (c->sock, &who);

  (void)w;
  if (e)
    return fault_set (f, e, "nobody knows who asks");
  e = volume_open (c->d, &who, &c->in, &hooks, c, &c->volume, &why);
  if (e == ERR_PEER) {
    *f = why;
    return e;
  }
  if (e) {
    if (c->d->host && c->uid != 0)
      daemon_warn_of (c->d, c->uid, "cannot open a volume: %s%s%s", why.text,
                      why.hint[0] ? "; " : "", why.hint);
    else
      log_fault (c->d->log, "cannot open a volume", &why);
    send_fault (c, &why);
    return ERR_OK;
  }
  c->adopted = c->in.type == CONTROL_ADOPT;
  log_write (c->d->log, LOG_LEVEL_INFO, "%s: %s pid %d (%s)", client_name (c),
             c->adopted ? "taken over of" : "opened for", (int)c->pid,
             c->program);
  set_state (c, CLIENT_SERVING);
  for (unsigned i = 0; !c->adopted && i < volume_paths (c->volume); i++)
    if (c->state == CLIENT_SERVING)
      send_channel (c, i);
  if (c->state == CLIENT_SERVING && volume_start (c->volume, &why)) {
    log_fault (c->d->log, client_name (c), &why);
    send_fault (c, &why);
  }
  return ERR_OK;
}

static enum err
on_attach (struct client *c, struct wire *w, struct fault *f)
{
  struct volume_info info;

  if (wire_left (w)) {
    if (volume_info_take (w, &info))
      return fault_set (f, ERR_PEER, "damaged ATTACH");
    volume_tell_info (c->volume, &info);
  }
  if (wire_end (w) || c->in.sender_pid <= 0)
    return fault_set (f, ERR_PEER, "damaged ATTACH");
  if (c->in.sender_uid != c->uid)
    return fault_set (f, ERR_PEER, "ATTACH of another uid");
  if (c->in.fds > 1 || (c->in.fds && !stats_fd_check (c->in.fd[0])))
    return fault_set (f, ERR_PEER, "ATTACH with a wrong file");
  cleanup_close (&c->stats_fd);
  c->stats_fd = control_take_fd (&c->in, 0);
  c->pid = c->in.sender_pid;
  log_write (c->d->log, LOG_LEVEL_DEBUG, "%s: served by pid %d",
             client_name (c), (int)c->pid);
  return ERR_OK;
}

static enum err
on_distrust (struct client *c, struct wire *w, struct fault *f)
{
  unsigned path = wire_u8 (w);
  uint64_t epoch = wire_u64 (w);
  struct fault theirs, why;

  if (fault_take (w, &theirs) || wire_end (w))
    return fault_set (f, ERR_PEER, "damaged DISTRUST");
  fault_set (&why, theirs.code, "the gateway distrusts worker %llu: %.200s",
             (unsigned long long)epoch, theirs.text);
  if (volume_distrust (c->volume, path, epoch, &why))
    return fault_set (f, ERR_PEER, "DISTRUST of connection %u", path + 1);
  return ERR_OK;
}

static enum err
on_want (struct client *c, struct wire *w, struct fault *f)
{
  if (wire_end (w) || volume_lease_want (c->volume))
    return fault_set (f, ERR_PEER, "LEASE_WANT at the wrong time");
  return ERR_OK;
}

static enum err
on_return (struct client *c, struct wire *w, struct fault *f)
{
  if (wire_end (w) || volume_lease_return (c->volume))
    return fault_set (f, ERR_PEER, "LEASE_RETURN at the wrong time");
  return ERR_OK;
}

static enum err
on_agent (struct client *c, struct wire *w, struct fault *f)
{
  if (wire_end (w) || volume_renew_agent (c->volume, &c->in))
    return fault_set (f, ERR_PEER, "AGENT without one");
  log_write (c->d->log, LOG_LEVEL_INFO, "%s: there is a new ssh-agent",
             client_name (c));
  return ERR_OK;
}

static enum err
on_status (struct client *c, struct wire *w, struct fault *f)
{
  struct wirebuf b;

  if (wire_u32 (w) != STATUS_VERSION)
    return fault_set (f, ERR_VERSION, "STATUS of another version");
  control_begin (&c->out, CONTROL_STATUS);
  b = control_body (&c->out);
  if (status_answer (c->d, c->server, c->uid, w, &c->out, &b))
    return fault_set (f, ERR_PEER, "damaged STATUS");
  set_state (c, CLIENT_WATCHING);
  send_message (c, &b);
  return ERR_OK;
}

static enum err
on_late (struct client *c, struct wire *w, struct fault *f)
{
  (void)c;
  (void)w;
  (void)f;
  return ERR_OK;
}

static enum err
dispatch (struct client *c, struct fault *f)
{
  struct wire w = wire_init (c->in.body, c->in.length_bytes);

  for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
    if (legal[i].type == c->in.type && (legal[i].states & 1u << c->state))
      return legal[i].handle (c, &w, f);
  return fault_set (f, ERR_PEER, "%s (%u) in state %s",
                    control_type_name (c->in.type), c->in.type,
                    states[c->state].name);
}

/* What may not be received is gone; or still there, and so is its end. */
static bool
may_receive (struct client *c)
{
  struct fault f = {0};
  uint64_t wait_ns = 0;
  enum err e = c->d->host && c->uid != 0
                   ? peek_at (c->d, c->uid, c->sock, &wait_ns, &f)
                   : ERR_OK;

  if (!e)
    return true;
  if (e == ERR_AGAIN) {
    ev_io_stop (c->d->loop, &c->readable);
    ev_now_update (c->d->loop);
    ev_timer_set (&c->pause, (double)wait_ns / 1e9, 0.);
    ev_timer_start (c->d->loop, &c->pause);
    return false;
  }
  daemon_warn_of (c->d, c->uid, "%s: pid %d of uid %u: %s",
                  client_name (c), (int)c->pid, (unsigned)c->uid, f.text);
  if (c->state != CLIENT_NEW && c->state != CLIENT_WATCHING)
    send_fault (c, &f);
  if (c->state != CLIENT_CLOSED
      && (e != ERR_ACCESS || c->state != CLIENT_FAILED))
    set_state (c, CLIENT_CLOSED);
  return false;
}

/* While a message of another user is handled its sockets are held, too: who
 * closes one there is not the last to do so (closer.h).
 */
struct held {
  unsigned n;
  int fd[CONTROL_FDS];
};

static enum err
hold (struct client *c, struct held *h, struct fault *f)
{
  h->n = 0;
  for (unsigned i = 0; c->d->host && c->uid != 0 && i < c->in.fds; i++) {
    if (!foreign_socket (c->in.fd[i]))
      continue;
    if ((h->fd[h->n] = fcntl (c->in.fd[i], F_DUPFD_CLOEXEC, 0)) >= 0) {
      h->n++;
      continue;
    }
    fault_set (f, ERR_LIMIT, "out of descriptors");
    for (; i < c->in.fds; i++)
      closer_close (c->d, c->uid, control_take_fd (&c->in, i));
  }
  return f->code;
}

static void
let_go (struct client *c, struct held *h)
{
  while (h->n)
    closer_close (c->d, c->uid, h->fd[--h->n]);
}

static void
on_readable (struct ev_loop *loop, ev_io *w, int events)
{
  struct client *c = w->data;
  struct fault f = {0};
  struct held held;
  enum err e;

  (void)loop;
  (void)events;
  if (!may_receive (c))
    return;
  e = control_recv (c->sock, &c->in, 0);
  if (e == ERR_AGAIN)
    return;
  if (e) {
    if (c->volume)
      log_write (c->d->log, LOG_LEVEL_INFO, "%s: pid %d closed it",
                 client_name (c), (int)c->pid);
    set_state (c, CLIENT_CLOSED);
    return;
  }
  if (!(e = hold (c, &held, &f)))
    e = dispatch (c, &f);
  control_close (&c->in);
  let_go (c, &held);
  if (e) {
    daemon_warn_of (c->d, c->uid,
                    "%s: pid %d broke the protocol: %s; its connection ends",
                    client_name (c), (int)c->pid, f.text);
    if (c->state != CLIENT_CLOSED)
      set_state (c, CLIENT_CLOSED);
  }
}

static void
on_pause_over (struct ev_loop *loop, ev_timer *w, int events)
{
  struct client *c = w->data;

  (void)events;
  ev_io_start (loop, &c->readable);
}

static void
on_deadline (struct ev_loop *loop, ev_timer *w, int events)
{
  struct client *c = w->data;

  (void)loop;
  (void)events;
  if (c->state != CLIENT_CLOSED) {
    daemon_warn_of (c->d, c->uid, "%s: pid %d stays in state %s",
                    client_name (c), (int)c->pid, states[c->state].name);
    set_state (c, CLIENT_CLOSED);
    return;
  }
  server_remove (c->server, c);
  client_free (c);
}

enum err
client_open (struct daemon *d, struct server *server, int sock, pid_t pid,
             uid_t uid, struct client **ret)
{
  static const struct quota_share one = {.clients = 1};
  struct client *c;
  struct fault f;

  if (quota_take (&d->quota, uid, &one, &f)) {
    daemon_warn_of (d, uid, "refused pid %d: %s", (int)pid, f.text);
    return f.code;
  }
  if (!(c = calloc (1, sizeof *c))) {
    quota_give (&d->quota, uid, &one);
    return ERR_NOMEM;
  }
  c->d = d;
  c->server = server;
  c->sock = sock;
  c->pid = pid;
  c->uid = uid;
  c->id = server_next_id (server);
  c->began_ns = clock_now_ns ();
  c->stats_fd = -1;
  ev_io_init (&c->readable, on_readable, sock, EV_READ);
  ev_timer_init (&c->deadline, on_deadline, states[CLIENT_NEW].seconds, 0.);
  ev_timer_init (&c->pause, on_pause_over, 0., 0.);
  c->readable.data = c->deadline.data = c->pause.data = c;
  ev_io_start (d->loop, &c->readable);
  ev_timer_start (d->loop, &c->deadline);
  *ret = c;
  return ERR_OK;
}

uint64_t
client_id (const struct client *c)
{
  return c->id;
}

bool
client_status (const struct client *c, uid_t uid, struct status_gateway *ret,
               int *ret_fd)
{
  if (!c->volume || (uid != 0 && uid != c->uid))
    return false;
  *ret = (struct status_gateway){
      .id = c->id,
      .pid = (uint32_t)c->pid,
      .uid = c->uid,
      .age_ns = clock_now_ns () - c->began_ns,
      .has_stats = c->stats_fd >= 0,
      .stats_fd = -1,
  };
  snprintf (ret->program, sizeof ret->program, "%s", c->program);
  volume_status (c->volume, ret);
  *ret_fd = c->stats_fd;
  return true;
}
