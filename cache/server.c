/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/client.h"
#include "cache/volume.h"
#include "common/cleanup.h"

#define BACKLOG 16
/* Out of fds: do not spin on a socket that stays readable. */
#define ACCEPT_PAUSE_S 0.1

struct server {
  struct daemon *d;
  struct sockaddr_un address;
  int sock;
  ev_io readable;
  ev_timer pause;
  double idle_s;
  ev_timer idle_timer;
  void (*idle) (void *ctx);
  void *idle_ctx;
  uint64_t last_id;
  unsigned clients;
  mode_t mode;
  struct client *client[SERVER_HOST_CLIENTS];
};

static void
watch_idle (struct server *s)
{
  ev_timer_stop (s->d->loop, &s->idle_timer);
  if (s->idle_s > 0 && s->clients == 0) {
    ev_now_update (s->d->loop);
    ev_timer_set (&s->idle_timer, s->idle_s, 0.);
    ev_timer_start (s->d->loop, &s->idle_timer);
  }
}

void
server_remove (struct server *s, struct client *c)
{
  for (unsigned i = 0; i < s->clients; i++)
    if (s->client[i] == c) {
      s->client[i] = s->client[--s->clients];
      break;
    }
  watch_idle (s);
}

uint64_t
server_next_id (struct server *s)
{
  return ++s->last_id;
}

struct client *
server_client_after (const struct server *s, uint64_t id)
{
  struct client *next = NULL;

  for (unsigned i = 0; i < s->clients; i++)
    if (client_id (s->client[i]) > id
        && (!next || client_id (s->client[i]) < client_id (next)))
      next = s->client[i];
  return next;
}

static unsigned
clients_max (const struct server *s, uid_t uid)
{
  if (!s->d->host)
    return SERVER_CLIENTS;
  return SERVER_HOST_CLIENTS - (uid == 0 ? 0 : SERVER_ROOT_CLIENTS);
}

static bool
may_connect (struct server *s, const struct ucred *who)
{
  if (!s->d->host && who->uid != geteuid () && who->uid != 0) {
    log_write (s->d->log, LOG_LEVEL_WARN, "refused pid %d of uid %u",
               (int)who->pid, (unsigned)who->uid);
    return false;
  }
  if (s->clients >= clients_max (s, who->uid)) {
    daemon_warn_of (s->d, who->uid,
               "refused pid %d: there are %u clients already", (int)who->pid,
               s->clients);
    return false;
  }
  return true;
}

/* False if nobody is waiting. */
static bool
accept_one (struct server *s)
{
  CLEANUP_CLOSE int sock =
      accept4 (s->sock, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  struct ucred cred;
  socklen_t n = sizeof cred;
  int on = 1;

  if (sock < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM
        || errno == ENOBUFS) {
      log_write (s->d->log, LOG_LEVEL_WARN, "cannot accept: %s",
                 strerror (errno));
      ev_io_stop (s->d->loop, &s->readable);
      ev_timer_set (&s->pause, ACCEPT_PAUSE_S, 0.);
      ev_timer_start (s->d->loop, &s->pause);
    }
    return false;
  }
  /* The kernel knows of each connection who made it. */
  if (getsockopt (sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
    return true;
  setsockopt (sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  if (!may_connect (s, &cred)) {
    closer_hang_up (s->d, cred.uid, steal_fd (&sock));
    return true;
  }
  if (client_open (s->d, s, sock, cred.pid, cred.uid, &s->client[s->clients])
      == ERR_OK) {
    steal_fd (&sock);
    s->clients++;
    watch_idle (s);
  } else
    closer_hang_up (s->d, cred.uid, steal_fd (&sock));
  return true;
}

static void
on_readable (struct ev_loop *loop, ev_io *w, int events)
{
  (void)loop;
  (void)events;
  accept_one (w->data);
}

static void
on_pause_over (struct ev_loop *loop, ev_timer *w, int events)
{
  struct server *s = w->data;

  (void)events;
  ev_io_start (loop, &s->readable);
}

static void
on_idle (struct ev_loop *loop, ev_timer *w, int events)
{
  struct server *s = w->data;

  (void)loop;
  (void)events;
  s->idle (s->idle_ctx);
  watch_idle (s); /* if it did not end us, look again later */
}

static enum err
listen_at (const struct sockaddr_un *sa, mode_t mode, int *ret_sock,
           struct fault *f)
{
  CLEANUP_CLOSE int sock =
      socket (AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;

  /* The caller holds the lock of those who serve: what is there is dead. */
  if (sock < 0 || (unlink (sa->sun_path) < 0 && errno != ENOENT)
      || bind (sock, (const struct sockaddr *)sa, sizeof *sa) < 0
      || chmod (sa->sun_path, mode) < 0
      || setsockopt (sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0
      || listen (sock, BACKLOG) < 0)
    return fault_set (f, err_from_errno (errno), "cannot listen at %s: %s",
                      sa->sun_path, strerror (errno));
  *ret_sock = steal_fd (&sock);
  return ERR_OK;
}

enum err
server_open (struct daemon *d, const char *dir, double idle_s,
             void (*idle) (void *ctx), void *ctx, struct server **ret,
             struct fault *f)
{
  CLEANUP_FREE struct server *s = calloc (1, sizeof *s);
  enum err e;

  if (!s)
    return fault_set (f, ERR_NOMEM, "out of memory");
  s->d = d;
  s->mode = d->host ? d->socket_mode : 0600;
  s->idle_s = idle_s;
  s->idle = idle;
  s->idle_ctx = ctx;
  if ((e = runtime_socket_address (dir, &s->address, f))
      || (e = listen_at (&s->address, s->mode, &s->sock, f)))
    return e;
  ev_io_init (&s->readable, on_readable, s->sock, EV_READ);
  ev_timer_init (&s->pause, on_pause_over, 0., 0.);
  ev_timer_init (&s->idle_timer, on_idle, 0., 0.);
  s->readable.data = s->pause.data = s->idle_timer.data = s;
  ev_io_start (d->loop, &s->readable);
  watch_idle (s);
  *ret = steal (&s);
  return ERR_OK;
}

bool
server_retire (struct server *s)
{
  struct fault f;
  int again;

  unlink (s->address.sun_path);
  while (s->clients == 0 && accept_one (s))
    ;
  if (s->clients == 0)
    return true;
  /* Somebody got in before: serve on, at a new socket. */
  if (listen_at (&s->address, s->mode, &again, &f)) {
    log_fault (s->d->log, "cannot serve on", &f);
    return false;
  }
  ev_io_stop (s->d->loop, &s->readable);
  close (s->sock);
  s->sock = again;
  ev_io_set (&s->readable, s->sock, EV_READ);
  ev_io_start (s->d->loop, &s->readable);
  return false;
}

void
server_abandon (struct server *s)
{
  unlink (s->address.sun_path);
  shutdown (s->sock, SHUT_RDWR);
  for (unsigned i = 0; i < s->clients; i++)
    client_abandon (s->client[i]);
}

void
server_close (struct server *s)
{
  unlink (s->address.sun_path);
  for (unsigned i = 0; i < s->clients; i++)
    client_free (s->client[i]);
  volumes_close_leaving (s->d);
  ev_io_stop (s->d->loop, &s->readable);
  ev_timer_stop (s->d->loop, &s->pause);
  ev_timer_stop (s->d->loop, &s->idle_timer);
  close (s->sock);
  free (s);
}
