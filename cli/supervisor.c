/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/block.h"
#include "cli/nbd_kernel.h"
#include "cli/nbd_session.h"
#include "cli/nbdkit.h"
#include "cli/supervisor_child.h"
#include "cli/sweep.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

#define SESSION_MS 30000 /* nbdkit is on this machine */
#define STOP_MS 20000    /* its last flush, and the farewell to the server */
#define CONNECTIONS_MAX 4
#define WAIT_MIN_MS 500
#define WAIT_MAX_MS 10000
#define LOOK_MS 10000
#define BUSY_MS 500 /* until the device is looked at again */
#define LOCK_NS 30000000000ull

enum sup_state { SUP_STARTING, SUP_READY, SUP_WAITING, SUP_OVER };
enum detach { DETACH_NO, DETACH_WHEN_FREE, DETACH_NOW, DETACH_FORCE };

struct supervisor {
  const struct supervise *o;
  char dir[ATTACH_DIR_BYTES];
  char socket[ATTACH_DIR_BYTES + 32];
  char backend[BLOCK_BACKEND_BYTES];
  enum sup_state state;
  enum detach detach;
  bool attached, held, reported;
  bool adopted; /* it was left in use */
  bool ending;  /* told to detach as soon as nobody uses it */
  struct nbd_kernel kernel, events;
  int events_fd, signal_fd, lock_fd;
  struct nbdkit nbdkit;
  struct supervisor_child holder, flusher;
  struct nbd_device device;
  struct attach_state s;
  uint64_t wait_ms;                    /* the next pause before another try */
  uint64_t due_ms, look_ms, detach_ms; /* when: it, look, to detach */
  uint64_t size_wait_ms, size_ms; /* a refused size: pause, when to offer it */
};

static void __attribute__ ((format (printf, 2, 3)))
say (const struct supervisor *v, const char *fmt, ...)
{
  char text[1000];
  va_list ap;

  va_start (ap, fmt);
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  text_clean (text);
  if (v->s.index >= 0)
    fprintf (stderr, "bulkhead: /dev/nbd%d (%s): %s\n", v->s.index, v->s.name,
             text);
  else
    fprintf (stderr, "bulkhead: %s: %s\n", v->s.name, text);
}

/* What list and detach read. */
static void
publish (struct supervisor *v)
{
  struct fault f;

  if (!v->attached)
    return;
  snprintf (v->s.state, sizeof v->s.state, "%s",
            v->flusher.pid          ? "detaching"
            : v->state == SUP_READY ? "ready"
                                    : "reconnecting");
  v->s.server = v->nbdkit.pid > 0 ? v->nbdkit.pid : 0;
  if (attach_state_write (v->dir, &v->s, &f))
    say (v, "%s", f.text);
}

static void
enter (struct supervisor *v, enum sup_state state)
{
  v->state = state;
  publish (v);
}

/* Whoever wanted the device has gone. */
static void
give_up (struct supervisor *v)
{
  say (v, "given up");
  v->reported = true;
  enter (v, SUP_OVER);
}

static void
report (struct supervisor *v, enum err e, const struct fault *f)
{
  if (v->reported)
    return;
  v->reported = true;
  if (!v->o->report (v->o->ctx, e, v->s.index, f))
    give_up (v);
}

/* Something is wrong with nbdkit or what is behind it: again in a while, if the
 * device is there; else that was all.
 */
static void
wait_or_end (struct supervisor *v, const struct fault *f)
{
  if (!v->attached) {
    report (v, f->code, f);
    enter (v, SUP_OVER);
    return;
  }
  snprintf (v->s.why, sizeof v->s.why, "%s", f->text);
  say (v, "%s; tried again in %.1f s", f->text, (double)v->wait_ms / 1000);
  v->due_ms = clock_now_ms () + v->wait_ms;
  v->wait_ms = v->wait_ms * 2 > WAIT_MAX_MS ? WAIT_MAX_MS : v->wait_ms * 2;
  enter (v, SUP_WAITING);
}

struct stranded {
  const struct supervisor *v;
  int index;
};

static bool
is_stranded (void *ctx, int index)
{
  struct stranded *s = ctx;

  if (!sweep_is_left_behind (s->v->dir, index, s->v->s.name))
    return true;
  s->index = index;
  return false;
}

/* A device of this volume whose supervisor was killed; -1: there is none. */
static int
stranded_device (const struct supervisor *v)
{
  struct stranded s = {v, -1};

  block_each (is_stranded, &s);
  return s.index;
}

static void
start_nbdkit (struct supervisor *v)
{
  const char *own[] = {"-U", v->socket, v->o->readonly ? "-r" : NULL, NULL};
  struct fault f = {0};

  unlink (v->socket);
  /* What was done when it was attached is not done again to a disk in use. */
  if (v->attached || stranded_device (v) >= 0)
    target_leave_as_it_is (v->o->target);
  if (nbdkit_start (v->o->target, own, v->o->threads, NBDKIT_GUARDED, -1,
                    &v->nbdkit, &f)) {
    wait_or_end (v, &f);
    return;
  }
  enter (v, SUP_STARTING);
}

/* ------------------------------------------------------------- connections */

static void
close_sockets (struct nbd_device *d)
{
  for (unsigned i = 0; i < d->sockets; i++)
    close (d->socket[i]);
  d->sockets = 0;
}

/* As many as the server allows, and processors use. */
static unsigned
how_many (const struct supervisor *v, const struct nbd_session *s)
{
  long cpus = sysconf (_SC_NPROCESSORS_ONLN);

  if (!s->multi)
    return 1;
  if (v->o->connections)
    return v->o->connections;
  return cpus < 1                 ? 1
         : cpus > CONNECTIONS_MAX ? CONNECTIONS_MAX
                                  : (unsigned)cpus;
}

static enum err
check_size (const struct supervisor *v, struct fault *f)
{
  if (v->nbdkit.size_bytes < 512)
    return fault_set (f, ERR_INVAL, "a disk of %llu bytes is none",
                      (unsigned long long)v->nbdkit.size_bytes);
  return ERR_OK;
}

static enum err
check_session (const struct nbd_session *s, struct fault *f)
{
  if (s->block_min > (uint64_t)sysconf (_SC_PAGESIZE)) {
    fault_set (f, ERR_NOTSUP,
               "its blocks are of %llu bytes, more than this kernel takes",
               (unsigned long long)s->block_min);
    fault_hint (f, "bulkhead serve offers it to programs that take them");
    return ERR_NOTSUP;
  }
  return ERR_OK;
}

static enum err
open_sockets (struct supervisor *v, struct fault *f)
{
  struct nbd_session s = {0};
  unsigned want = v->attached ? v->s.connections : 1;
  enum err e = check_size (v, f);

  for (unsigned i = 0; !e && i < want; i++) {
    if ((e = nbd_session_open (v->socket, SESSION_MS, &s, &v->device.socket[i],
                               f))) {
      close_sockets (&v->device);
      return e;
    }
    v->device.sockets = i + 1;
    if (i == 0 && (e = check_session (&s, f))) {
      close_sockets (&v->device);
      return e;
    }
    if (i == 0 && !v->attached)
      want = how_many (v, &s);
  }
  if (e)
    return e;
  v->device.flags = s.flags;
  v->device.size_bytes = v->nbdkit.size_bytes;
  v->device.block_bytes = s.block_min < 512 ? 512 : s.block_min;
  v->s.readonly = s.readonly;
  v->s.connections = want;
  return ERR_OK;
}

static void
note_size (struct supervisor *v)
{
  if (v->s.size_bytes && v->s.size_bytes != v->device.size_bytes)
    say (v, "the size was %llu bytes and is %llu",
         (unsigned long long)v->s.size_bytes,
         (unsigned long long)v->device.size_bytes);
  v->s.size_bytes = v->device.size_bytes;
  v->size_wait_ms = 0;
}

/* Connects, or takes up a device of this volume whose supervisor was killed. */
static enum err
connect_or_adopt (struct supervisor *v, struct fault *f)
{
  int stranded = stranded_device (v);
  enum err e;

  v->device.index = v->o->index;
  if (stranded < 0 || (v->o->index >= 0 && v->o->index != stranded))
    return nbd_kernel_connect (&v->kernel, &v->device, &v->device.index, f);
  v->device.index = stranded;
  e = nbd_kernel_reconfigure (&v->kernel, &v->device, f);
  if (!e) {
    v->adopted = true;
    say (v, "takes up /dev/nbd%d, which was left in use", stranded);
  }
  if (e != ERR_NOENT)
    return e;
  /* Detached by force, and still open: it is not to be had any more. */
  v->device.index = v->o->index;
  return nbd_kernel_connect (&v->kernel, &v->device, &v->device.index, f);
}

/* The device comes into being. Under attach.lock, so that nobody takes it for
 * one that was left behind before nbdN.lock is taken.
 */
static enum err
connect_device (struct supervisor *v, struct fault *f)
{
  CLEANUP_CLOSE int lock = -1;
  enum err e;

  if (runtime_lock (v->dir, ATTACH_LOCK, LOCK_NS, &lock))
    return fault_set (f, ERR_AGAIN,
                      "another bulkhead attaches, and does not "
                      "come to an end");
  if ((e = connect_or_adopt (v, f)))
    return e;
  v->s.index = v->device.index;
  v->attached = true;
  if ((e = attach_state_lock (v->dir, v->s.index, &v->lock_fd)))
    return fault_set (f, e, "/dev/nbd%d has a supervisor already", v->s.index);
  v->s.since_s = time (NULL);
  note_size (v);
  return supervisor_hold (&v->holder, v->s.index, f);
}

static void
drop_nbdkit (struct supervisor *v)
{
  nbdkit_stop (&v->nbdkit, STOP_MS);
  unlink (v->socket);
}

/* The kernel gets its sockets: the first, or new ones. */
static void
reconnect (struct supervisor *v)
{
  struct fault f = {0};
  enum err e = open_sockets (v, &f);

  if (!e && !v->attached)
    e = connect_device (v, &f);
  else if (!e) {
    e = nbd_kernel_reconfigure (&v->kernel, &v->device, &f);
    if (!e)
      note_size (v);
  }
  close_sockets (&v->device); /* the kernel has its own references */
  if (e && v->attached && !block_connected (v->s.index)) {
    say (v, "somebody else has disconnected it");
    enter (v, SUP_OVER);
    return;
  }
  if (e && !v->reported) {
    report (v, e, &f);
    enter (v, SUP_OVER);
    return;
  }
  if (e) {
    wait_or_end (v, &f);
    return;
  }
  v->wait_ms = WAIT_MIN_MS;
  v->look_ms = clock_now_ms () + LOOK_MS;
  v->s.why[0] = 0;
  enter (v, SUP_READY);
}

/* nbdkit tells of a change once only. The log, too. What else the kernel is
 * asked for meanwhile goes with the size that it has.
 */
static void
size_refused (struct supervisor *v, const struct fault *f)
{
  v->device.size_bytes = v->s.size_bytes;
  if (!v->size_wait_ms) {
    say (v, "the size stays %llu bytes, and not %llu, for now: %s",
         (unsigned long long)v->s.size_bytes,
         (unsigned long long)v->nbdkit.size_bytes, f->text);
    v->size_wait_ms = WAIT_MIN_MS;
  }
  v->size_ms = clock_now_ms () + v->size_wait_ms;
  v->size_wait_ms =
      v->size_wait_ms * 2 > WAIT_MAX_MS ? WAIT_MAX_MS : v->size_wait_ms * 2;
}

/* The kernel follows what nbdkit tells of the size. Its connections stay: see
 * GUARDED_SIZE in gateway/plugin.c.
 */
static void
follow_size (struct supervisor *v)
{
  struct fault f = {0};

  if (!v->attached || v->nbdkit.size_bytes == v->s.size_bytes
      || check_size (v, &f)) {
    v->size_wait_ms = 0;
    return;
  }
  v->device.size_bytes = v->nbdkit.size_bytes;
  if (nbd_kernel_reconfigure (&v->kernel, &v->device, &f)) {
    size_refused (v, &f);
    return;
  }
  note_size (v);
  publish (v);
}

/* Does it still exist? */
static void
look (struct supervisor *v)
{
  v->look_ms = clock_now_ms () + LOOK_MS;
  if (block_connected (v->s.index))
    return;
  say (v, "somebody else has disconnected it");
  enter (v, SUP_OVER);
}

static void
on_nbdkit_status (struct supervisor *v)
{
  struct fault f = {0};
  enum err e;

  if (v->nbdkit.ready) {
    if (nbdkit_resized (&v->nbdkit))
      follow_size (v);
    return;
  }
  e = nbdkit_ready (&v->nbdkit, 0, &f);
  if (e == ERR_AGAIN)
    return;
  if (!e) {
    reconnect (v);
    return;
  }
  drop_nbdkit (v);
  wait_or_end (v, &f);
}

/* The holder has the device: from here on it ends with us. */
static void
on_held (struct supervisor *v)
{
  struct fault f = {0};
  enum err e = supervisor_child_result (&v->holder, &f);

  if (e == ERR_AGAIN && !f.text[0])
    return;
  v->device.until_closed = true;
  if (!e)
    e = nbd_kernel_reconfigure (&v->kernel, &v->device, &f);
  v->held = !e;
  if (!e)
    return;
  report (v, e, &f);
  say (v, "%s", f.text);
  enter (v, SUP_OVER);
}

/* ----------------------------------------------------------------- the end */

/* Ends the device; what is not flushed by now is lost. */
static void
disconnect (struct supervisor *v)
{
  CLEANUP_CLOSE int lock = -1;
  struct fault f = {0};

  /* Without it there is a moment in which it looks as if left behind. */
  runtime_lock (v->dir, ATTACH_LOCK, LOCK_NS, &lock);
  if (block_connected (v->s.index)
      && nbd_kernel_disconnect (&v->kernel, v->s.index, &f))
    say (v, "%s", f.text);
  supervisor_child_end (&v->flusher);
  supervisor_child_end (&v->holder);
  attach_state_remove (v->dir, v->s.index);
  if (v->lock_fd >= 0)
    close (v->lock_fd);
  v->lock_fd = -1;
  v->attached = false;
}

/* It was in use before we came, and we could not take it up: it is left behind
 * once more, as nobody wants it ended.
 */
static void
leave (struct supervisor *v)
{
  supervisor_child_end (&v->flusher);
  supervisor_child_end (&v->holder);
  if (v->lock_fd >= 0)
    close (v->lock_fd);
  say (v, "leaves /dev/nbd%d as it was", v->s.index);
}

static void
begin_detach (struct supervisor *v)
{
  struct fault f = {0};

  v->detach_ms = clock_now_ms () + BUSY_MS;
  if (v->flusher.pid || !v->attached)
    return;
  /* Then it is tried again, see on_time. */
  if (supervisor_flush (&v->flusher, v->s.index, v->holder.pid, &f)) {
    snprintf (v->s.why, sizeof v->s.why, "%s", f.text);
    say (v, "%s", f.text);
  }
  publish (v);
}

/* It was told to, and nothing is under way for that. */
static bool
is_detach_due (const struct supervisor *v)
{
  return (v->detach == DETACH_WHEN_FREE || v->detach == DETACH_NOW)
         && !v->flusher.pid;
}

/* The flusher's word: it has the device for itself, and all is on the server;
 * or not.
 */
static void
on_flushed (struct supervisor *v)
{
  struct fault f = {0};
  enum err e = supervisor_child_result (&v->flusher, &f);

  if (e == ERR_AGAIN && !f.text[0])
    return; /* nothing yet */
  if (!e) {
    disconnect (v);
    enter (v, SUP_OVER);
    return;
  }
  supervisor_child_end (&v->flusher);
  v->detach_ms = clock_now_ms () + BUSY_MS;
  if (v->detach == DETACH_NOW) {
    v->detach = v->ending ? DETACH_WHEN_FREE : DETACH_NO;
    v->s.refusals++;
    snprintf (v->s.why, sizeof v->s.why, "%.200s%s%.110s", f.text,
              f.hint[0] ? "; " : "", f.hint);
    say (v, "not detached: %s", f.text);
  }
  publish (v);
}

static void
on_signal (struct supervisor *v, int number)
{
  switch (number) {
  case SIGTERM:
  case SIGINT:
  case SIGHUP:
    if (!v->attached) {
      struct fault f = {0};

      fault_set (&f, ERR_AGAIN, "interrupted");
      report (v, ERR_AGAIN, &f);
      enter (v, SUP_OVER);
      return;
    }
    v->ending = true;
    if (v->detach == DETACH_NO)
      v->detach = DETACH_WHEN_FREE;
    begin_detach (v);
    return;
  case SIGUSR1:
    v->detach = DETACH_NOW;
    begin_detach (v);
    return;
  case SIGUSR2:
    v->detach = DETACH_FORCE;
    if (v->attached) {
      disconnect (v);
      enter (v, SUP_OVER);
    }
    return;
  }
}

static void
on_nbdkit_end (struct supervisor *v, int status)
{
  struct fault f = {0};
  bool was_ready = nbdkit_ready (&v->nbdkit, 0, &f) == ERR_OK;

  v->nbdkit.pid = 0;
  if (v->nbdkit.status_fd >= 0)
    close (v->nbdkit.status_fd);
  v->nbdkit.status_fd = -1;
  if (was_ready || !f.text[0])
    fault_set (&f, ERR_IO, "nbdkit has ended (%s %d)",
               WIFSIGNALED (status) ? "signal" : "status",
               WIFSIGNALED (status) ? WTERMSIG (status) : WEXITSTATUS (status));
  if (v->attached)
    v->s.restarts++;
  if (v->state == SUP_READY && v->attached) {
    say (v, "%s", f.text);
    v->due_ms = 0;
    enter (v, SUP_WAITING);
  } else if (v->state != SUP_OVER)
    wait_or_end (v, &f);
}

static void
on_children (struct supervisor *v)
{
  int status;
  pid_t pid;

  while ((pid = waitpid (-1, &status, WNOHANG)) > 0) {
    supervisor_child_gone (&v->flusher, pid);
    supervisor_child_gone (&v->holder, pid);
    if (pid == v->nbdkit.pid)
      on_nbdkit_end (v, status);
  }
}

/* A connection is dead: nbdkit has ended, which is seen to elsewhere, or did
 * not answer in time.
 */
static void
on_lost (struct supervisor *v)
{
  if (nbd_kernel_lost (&v->events, v->s.index) && v->state == SUP_READY) {
    say (v, "the kernel has lost a connection");
    v->due_ms = 0;
    enter (v, SUP_WAITING);
  }
}

/* ---------------------------------------------------------------- the loop */

static void
on_time (struct supervisor *v)
{
  uint64_t now = clock_now_ms ();

  if (v->state == SUP_WAITING && now >= v->due_ms) {
    if (v->nbdkit.pid <= 0)
      start_nbdkit (v);
    else if (v->nbdkit.ready)
      reconnect (v);
    else
      enter (v, SUP_STARTING);
  }
  if (v->state == SUP_READY && now >= v->look_ms)
    look (v);
  if (v->state == SUP_READY && v->size_wait_ms && now >= v->size_ms)
    follow_size (v);
  if (is_detach_due (v) && now >= v->detach_ms)
    begin_detach (v);
}

static int
timeout_of (const struct supervisor *v)
{
  uint64_t now = clock_now_ms (), next = now + 60000;

  if (v->state == SUP_WAITING && v->due_ms < next)
    next = v->due_ms;
  if (is_detach_due (v) && v->detach_ms < next)
    next = v->detach_ms;
  if (v->state == SUP_READY && v->look_ms < next)
    next = v->look_ms;
  if (v->state == SUP_READY && v->size_wait_ms && v->size_ms < next)
    next = v->size_ms;
  return next <= now ? 0 : (int)(next - now);
}

static void
read_signals (struct supervisor *v)
{
  struct signalfd_siginfo info;

  while (read (v->signal_fd, &info, sizeof info) == sizeof info) {
    if ((int)info.ssi_signo == SIGCHLD)
      on_children (v);
    else
      on_signal (v, (int)info.ssi_signo);
  }
}

static void
turn (struct supervisor *v)
{
  enum { SIGNALS, EVENTS, STATUS, HELD, FLUSHED, ALIVE, FDS };
  struct pollfd p[FDS] = {
      [SIGNALS] = {.fd = v->signal_fd, .events = POLLIN},
      [EVENTS] = {.fd = v->attached ? v->events_fd : -1, .events = POLLIN},
      [STATUS] = {.fd = v->nbdkit.pid > 0 ? v->nbdkit.status_fd : -1,
                  .events = POLLIN},
      [HELD] = {.fd = v->holder.pid && !v->held ? v->holder.result_fd : -1,
                .events = POLLIN},
      [FLUSHED] = {.fd = v->flusher.pid ? v->flusher.result_fd : -1,
                   .events = POLLIN},
      [ALIVE] = {.fd = v->reported ? -1 : v->o->alive_fd, .events = 0},
  };

  if (poll (p, FDS, timeout_of (v)) < 0)
    return;
  if (p[ALIVE].revents) {
    give_up (v);
    return;
  }
  if (p[SIGNALS].revents)
    read_signals (v);
  if (v->state != SUP_OVER && p[STATUS].revents && v->nbdkit.status_fd >= 0)
    on_nbdkit_status (v);
  if (v->state != SUP_OVER && p[EVENTS].revents)
    on_lost (v);
  if (v->state != SUP_OVER && p[HELD].revents && v->holder.pid && !v->held)
    on_held (v);
  if (v->state != SUP_OVER && p[FLUSHED].revents && v->flusher.pid)
    on_flushed (v);
  if (v->state != SUP_OVER)
    on_time (v);
}

static enum err
prepare (struct supervisor *v, struct fault *f)
{
  sigset_t signals;
  enum err e;

  if ((e = attach_dir (v->dir, f)) || (e = nbd_kernel_open (&v->kernel, f))
      || (e = nbd_kernel_may (f)) || (e = nbd_kernel_open (&v->events, f))
      || (e = nbd_kernel_listen (&v->events, &v->events_fd, f)))
    return e;
  snprintf (v->socket, sizeof v->socket, "%s/%d.sock", v->dir, (int)getpid ());
  snprintf (v->backend, sizeof v->backend, ATTACH_BACKEND "%.200s", v->s.name);
  sigemptyset (&signals);
  for (const int *n =
           (const int[]){SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, 0};
       *n; n++)
    sigaddset (&signals, *n);
  sigprocmask (SIG_BLOCK, &signals, NULL);
  signal (SIGPIPE, SIG_IGN);
  v->signal_fd = signalfd (-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (v->signal_fd < 0)
    return fault_set (f, ERR_NOMEM, "too many files");
  /* Memory that waits for this disk must not wait for us in turn. */
  prctl (PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  return ERR_OK;
}

enum err
supervise (const struct supervise *options)
{
  struct supervisor v = {.o = options,
                         .events_fd = -1,
                         .signal_fd = -1,
                         .lock_fd = -1,
                         .nbdkit = {.status_fd = -1},
                         .wait_ms = WAIT_MIN_MS,
                         .s = {.index = -1}};
  struct fault f = {0};
  enum err e;

  v.s.pid = getpid ();
  snprintf (v.s.name, sizeof v.s.name, "%s", options->target->name);
  snprintf (v.s.url, sizeof v.s.url, "%s", options->target->url);
  v.device = (struct nbd_device){.timeout_s = options->timeout_s,
                                 .dead_timeout_s = options->dead_timeout_s,
                                 .backend = v.backend};
  e = prepare (&v, &f);
  if (e)
    report (&v, e, &f);
  else
    start_nbdkit (&v);
  while (!e && v.state != SUP_OVER) {
    turn (&v);
    if (v.state == SUP_READY && v.held)
      report (&v, ERR_OK, &f);
  }
  if (v.attached && v.adopted && !v.held && v.detach == DETACH_NO
      && block_connected (v.s.index))
    leave (&v);
  else if (v.attached)
    disconnect (&v);
  if (!e)
    drop_nbdkit (&v);
  nbd_kernel_close (&v.kernel);
  nbd_kernel_close (&v.events);
  if (v.signal_fd >= 0)
    close (v.signal_fd);
  return e;
}
