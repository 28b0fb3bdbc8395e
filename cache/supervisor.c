/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/supervisor_private.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/orphans.h"
#include "cache/report.h"
#include "cache/status.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "ipc/shm.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

/* Before the first READY a user waits at a command line: what may mend itself
 * is tried this often, the rest once.
 */
#define ATTEMPTS_BEFORE_READY 3
#define NS_PER_S 1e9
/* Far below a delayed acknowledgement, rare enough to cost nothing. */
#define ACKNOWLEDGE_S 0.004

static const struct {
  const char *name;
  double seconds;
} states[SUP_STATES] = {
#define X(name, seconds) [SUP_##name] = {#name, seconds},
    SUP_STATE_TABLE (X)
#undef X
};

#define TO(state) (1u << SUP_##state)

static const unsigned transitions[SUP_STATES] = {
    [SUP_STOPPED] = TO (RESOLVING) | TO (READY),
    [SUP_RESOLVING] = TO (DIALLING) | TO (BACKOFF) | TO (GIVEN_UP),
    [SUP_DIALLING] = TO (SPAWNED) | TO (BACKOFF) | TO (GIVEN_UP),
    [SUP_SPAWNED] = TO (SEALED) | TO (DYING),
    [SUP_SEALED] = TO (TRUSTED) | TO (READY) | TO (DYING),
    [SUP_TRUSTED] = TO (OFFERED) | TO (ASKING) | TO (READY) | TO (DYING),
    [SUP_OFFERED] = TO (OFFERED) | TO (ASKING) | TO (READY) | TO (DYING),
    [SUP_ASKING] = TO (OFFERED) | TO (DYING),
    [SUP_READY] = TO (DYING),
    [SUP_DYING] =
        TO (RESOLVING) | TO (DIALLING) | TO (BACKOFF) | TO (GIVEN_UP),
    [SUP_BACKOFF] = TO (RESOLVING) | TO (DIALLING),
    [SUP_GIVEN_UP] = 0,
};

static void
start_attempt (struct supervisor *s);

const char *
sup_state_name (enum sup_state state)
{
  return states[state].name;
}

void
sup_set_state (struct supervisor *s, enum sup_state state)
{
  struct ev_loop *loop = s->c.daemon->loop;

  assert (transitions[s->state] & 1u << state);
  if (state == SUP_READY || s->state == SUP_READY)
    s->since_ns = clock_now_ns ();
  s->state = state;
  ev_timer_stop (loop, &s->deadline);
  if (states[state].seconds > 0) {
    ev_now_update (loop);
    ev_timer_set (&s->deadline, states[state].seconds, 0.);
    ev_timer_start (loop, &s->deadline);
  }
  if (state >= SUP_SEALED && state <= SUP_OFFERED)
    ev_timer_again (loop, &s->acknowledge);
  else
    ev_timer_stop (loop, &s->acknowledge);
}

/* Failures that a second try will not mend; what a person has to mend. */
static bool
is_permanent (enum err e)
{
  static const enum err permanent[] = {
      ERR_AUTH,  ERR_HOSTKEY, ERR_NOENT,   ERR_ISDIR, ERR_ACCESS,
      ERR_INVAL, ERR_NOTSUP,  ERR_RESOLVE, ERR_DIAL,  ERR_SANDBOX,
      ERR_LIMIT, ERR_VERSION, ERR_ROFS,    ERR_PEER,  ERR_RANGE};

  for (size_t i = 0; i < sizeof permanent / sizeof permanent[0]; i++)
    if (permanent[i] == e)
      return true;
  return false;
}

static uint32_t
random_u32 (void)
{
  uint32_t r = 0;

  /* Without it there is no jitter, no more. */
  if (getrandom (&r, sizeof r, GRND_NONBLOCK) != (ssize_t)sizeof r)
    r = UINT32_MAX / 2;
  return r;
}

/* A server that stays away for days must not fill the log: the 1st, 2nd, 4th,
 * 8th … failure in a row is logged.
 */
static void
log_failure (struct supervisor *s, const struct fault *f, uint64_t delay_ns)
{
  unsigned n = ++s->failures_logged;

  char next[32] = "at once";

  if (n & (n - 1))
    return;
  if (delay_ns)
    snprintf (next, sizeof next, "in %.1f s", (double)delay_ns / NS_PER_S);
  log_write (s->c.daemon->log, LOG_LEVEL_WARN,
             "%s: %s%s%s; starts anew %s (failure %u)", s->c.name, f->text,
             f->hint[0] ? "; " : "", f->hint, next, n);
}

/* Somewhere else it may work. */
static bool
spare_home (const struct supervisor *s, enum err e)
{
  return (e == ERR_DIAL || e == ERR_RESOLVE || e == ERR_TIMEOUT
          || e == ERR_CLOSED)
         && route_has_untried (&s->route);
}

/* An attempt or a worker's life is over. */
static void
plan_next (struct supervisor *s, const struct fault *f,
           const struct backoff_death *death)
{
  uint64_t delay_ns;

  snprintf (s->last_why, sizeof s->last_why, "%.199s", f->text);
  if (!s->ever_ready && !spare_home (s, f->code)
      && (is_permanent (f->code) || s->attempts >= ATTEMPTS_BEFORE_READY)) {
    sup_set_state (s, SUP_GIVEN_UP);
    log_fault (s->c.daemon->log, s->c.name, f);
    s->c.hooks->fault (s->c.hooks_ctx, f);
    return;
  }
  delay_ns = backoff_next_ns (&s->backoff, death, random_u32 ());
  if (s->backoff.failures == 0)
    s->failures_logged = 0;
  log_failure (s, f, delay_ns);
  sup_set_state (s, SUP_BACKOFF);
  s->retry_at_ns = clock_now_ns () + delay_ns;
  ev_timer_set (&s->deadline, (double)delay_ns / NS_PER_S, 0.);
  ev_timer_start (s->c.daemon->loop, &s->deadline);
}

void
sup_attempt_failed (struct supervisor *s, const struct fault *f)
{
  struct backoff_death death = {.was_ready = false};

  /* The addresses may be what is wrong. */
  if (f->code == ERR_DIAL)
    s->addresses.count = 0;
  route_failed (&s->route);
  plan_next (s, f, &death);
}

/* The worker's end */

static void
stop_asking (struct supervisor *s)
{
  agent_cancel (s->question);
  s->question = NULL;
}

static void
kill_worker (struct supervisor *s)
{
  s->killed_by_us = true;
  syscall (SYS_pidfd_send_signal, s->worker.pidfd, SIGKILL, NULL, 0);
}

static void
close_worker (struct supervisor *s)
{
  struct sup_worker *w = &s->worker;
  struct ev_loop *loop = s->c.daemon->loop;

  ev_io_stop (loop, &w->control_readable);
  ev_io_stop (loop, &w->dead);
  dial_fence_all (s->c.daemon, s->c.uid, w->net_fd, w->lanes,
                  s->c.daemon->host && s->c.uid != 0);
  /* Its gateway can make one of them linger. */
  for (unsigned i = 0; i < w->lanes; i++)
    closer_close (s->c.daemon, s->c.uid, w->net_fd[i]);
  w->lanes = 0;
  cleanup_close (&w->pidfd);
  cleanup_close (&w->control_fd);
  cleanup_close (&w->gateway_fd);
  w->pidfd = w->control_fd = w->gateway_fd = -1;
  stop_asking (s);
  login_end (&s->login);
  chap_end (&s->chap);
}

/* S6 */
static void
forget_identity (struct supervisor *s)
{
  void *page;

  if (shm_map (s->c.channel_fd[CHANNEL_IDENTITY], CHANNEL_IDENTITY_BYTES, true,
               &page))
    return;
  memset (page, 0, CHANNEL_IDENTITY_BYTES);
  shm_unmap (page, CHANNEL_IDENTITY_BYTES);
  log_write (s->c.daemon->log, LOG_LEVEL_INFO,
             "%s: %u workers died before they were ready: the next one begins "
             "with a new session identity",
             s->c.name, SUPERVISOR_EARLY_DEATHS);
}

static void
count_early_death (struct supervisor *s, enum err why)
{
  if (s->announced) {
    s->early_deaths = 0;
    return;
  }
  route_failed (&s->route);
  if (why == ERR_CLOSED || why == ERR_TIMEOUT || why == ERR_AUTH
      || why == ERR_HOSTKEY)
    return;
  if (++s->early_deaths == SUPERVISOR_EARLY_DEATHS) {
    s->early_deaths = 0;
    forget_identity (s);
  }
}

void
sup_end_worker (struct supervisor *s, enum sup_end how, const struct fault *why)
{
  if (why && !s->why.code)
    s->why = *why;
  if (s->state == SUP_DYING)
    return;
  stop_asking (s);
  /* It has nothing more to say. */
  ev_io_stop (s->c.daemon->loop, &s->worker.control_readable);
  if (how == SUP_END_KILL)
    kill_worker (s);
  sup_set_state (s, SUP_DYING);
}

/* The words for a death without a report. */
static void
death_fault (struct supervisor *s, const siginfo_t *si, struct fault *f)
{
  uint32_t refused = atomic_load_explicit (&s->c.completions->refused_syscall,
                                           memory_order_acquire);
  char name[64];
  const char *sig = sigabbrev_np (si->si_status);

  if (s->out_of_memory)
    fault_set (f, ERR_IO, "worker %d was out of memory (limit %u MiB)",
               (int)s->worker.pid, SBX_CGROUP_MEMORY_MIB);
  else if (s->adopted)
    fault_set (f, ERR_IO, "the worker that an earlier bulkheadd started ended");
  else if (si->si_code == CLD_EXITED)
    fault_set (f, ERR_IO, "worker %d ended with exit status %d",
               (int)s->worker.pid, si->si_status);
  else if (si->si_status == SIGSYS && refused)
    fault_set (
        f, ERR_IO, "worker %d was ended by its sandbox: it called %s (SIGSYS)",
        (int)s->worker.pid, sbx_syscall_name (refused - 1, name, sizeof name));
  else
    fault_set (f, ERR_IO, "worker %d was ended by signal %d (SIG%s)",
               (int)s->worker.pid, si->si_status, sig ? sig : "?");
}

/* Each death that leaves something unanswered is told, with what that is. */
static void
log_in_hand (struct supervisor *s)
{
  char text[480];
  void *requests;

  if (shm_map (s->c.channel_fd[CHANNEL_REQUESTS], CHANNEL_RING_BYTES, false,
               &requests))
    return;
  if (report_in_hand (requests, s->c.completions, s->epoch, clock_now_ns (),
                      text, sizeof text))
    log_write (s->c.daemon->log, LOG_LEVEL_WARN, "%s: %.300s; in hand: %s",
               s->c.name, s->why.text, text);
  shm_unmap (requests, CHANNEL_RING_BYTES);
}

/* Whether what it was asked may have killed it. */
static bool
died_of_itself (const struct supervisor *s, const siginfo_t *si)
{
  if (s->killed_by_us || s->reported)
    return false;
  if (s->out_of_memory)
    return true;
  if (s->adopted) /* who is not the parent does not learn how it ended */
    return atomic_load (&s->c.completions->refused_syscall) != 0;
  return si->si_code == CLD_EXITED
         || (si->si_status != SIGKILL && si->si_status != SIGTERM
             && si->si_status != SIGINT);
}

static void
on_dead (struct ev_loop *loop, ev_io *w, int events)
{
  struct supervisor *s = w->data;
  siginfo_t si = {0};
  struct backoff_death death = {.distrusted = s->distrusted};
  bool announced;

  (void)events;
  if (!s->adopted
      && (waitid (P_PIDFD, (id_t)s->worker.pidfd, &si, WEXITED | WNOHANG) < 0
          || si.si_pid == 0))
    return;
  s->out_of_memory = !s->killed_by_us
                     && (s->adopted || si.si_status == SIGKILL)
                     && sup_was_out_of_memory (s);
  /* Its last words may still be in the socket. */
  sup_converse (s);
  stop_asking (s);
  if (s->state != SUP_DYING)
    sup_set_state (s, SUP_DYING);
  if (!s->why.code)
    death_fault (s, &si, &s->why);
  if (!s->moving)
    count_early_death (s, s->why.code);
  log_in_hand (s);
  announced = s->announced;
  death.was_ready = announced;
  death.from_outside = !s->killed_by_us && !s->out_of_memory
                       && si.si_code != CLD_EXITED
                       && (s->adopted || si.si_status == SIGKILL
                           || si.si_status == SIGTERM);
  death.ready_ns =
      announced ? (uint64_t)((ev_now (loop) - s->ready_since) * NS_PER_S) : 0;
  close_worker (s);
  s->announced = false;
  if (s->left) {
    s->left (s->left_ctx); /* s may be gone */
    return;
  }
  if (announced)
    s->c.hooks->gone (s->c.hooks_ctx, s->epoch, died_of_itself (s, &si),
                      &s->why);
  if (s->moving && !announced)
    sup_follow_route (s);
  else
    plan_next (s, &s->why, &death);
}

static void
on_acknowledge (struct ev_loop *loop, ev_timer *w, int events)
{
  struct supervisor *s = w->data;

  (void)loop;
  (void)events;
  for (unsigned i = 0; i < s->worker.lanes; i++)
    dial_acknowledge (s->worker.net_fd[i]);
}

static void
on_control (struct ev_loop *loop, ev_io *w, int events)
{
  (void)loop;
  (void)events;
  sup_converse (w->data);
}

static void
watch_worker (struct supervisor *s)
{
  struct sup_worker *w = &s->worker;
  struct ev_loop *loop = s->c.daemon->loop;

  w->control_readable.data = w->dead.data = s;
  ev_io_set (&w->dead, w->pidfd, EV_READ);
  ev_io_start (loop, &w->dead);
  if (w->control_fd < 0)
    return;
  ev_io_set (&w->control_readable, w->control_fd, EV_READ);
  ev_io_start (loop, &w->control_readable);
}

/* All its lanes are there, or as many as can be had. */
void
sup_start_worker (struct supervisor *s)
{
  struct fault f = {0};

  s->why = (struct fault){0};
  s->distrusted = s->killed_by_us = s->reported = s->adopted = false;
  s->moving = s->out_of_memory = false;
  s->certs_signed = 0;
  if (login_begin (&s->login, s->c.login, &f) || sup_spawn_worker (s, &f)) {
    close_worker (s);
    sup_attempt_failed (s, &f);
    return;
  }
  s->epoch++;
  sup_set_state (s, SUP_SPAWNED);
  watch_worker (s);
  if (sup_send_config (s, &f))
    sup_end_worker (s, SUP_END_KILL, &f);
}

static void
start_attempt (struct supervisor *s)
{
  s->attempts += s->attempts < ATTEMPTS_BEFORE_READY;
  sup_follow_route (s);
}

static void
on_deadline (struct ev_loop *loop, ev_timer *w, int events)
{
  struct supervisor *s = w->data;
  struct fault f = {0};

  (void)loop;
  (void)events;
  switch (s->state) {
  case SUP_STOPPED:
  case SUP_BACKOFF:
    start_attempt (s);
    break;
  case SUP_DYING:
    kill_worker (s); /* again, or because it reported its end and stays */
    ev_timer_set (&s->deadline, states[SUP_DYING].seconds, 0.);
    ev_timer_start (s->c.daemon->loop, &s->deadline);
    break;
  default:
    fault_set (&f, ERR_TIMEOUT, "no answer from %s while %s", s->route.now.host,
               s->state == SUP_SPAWNED ? "the worker starts"
               : !s->c.login->ssh      ? "the session is set up"
               : s->state == SUP_SEALED ? "keys are exchanged"
                                        : "logging in");
    sup_end_worker (s, SUP_END_KILL, &f);
  }
}

/* Whose pidfd it is; 0 if that cannot be told. */
static pid_t
pid_of (int pidfd)
{
  char path[48], line[128];
  FILE *f;
  long pid = 0;

  snprintf (path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
  f = fopen (path, "re");
  while (f && fgets (line, sizeof line, f))
    if (strncmp (line, "Pid:", 4) == 0)
      pid = strtol (line + 4, NULL, 10);
  if (f)
    fclose (f);
  return pid > 0 ? (pid_t)pid : 0;
}

static void
adopt_worker (struct supervisor *s, struct supervisor_before *before)
{
  s->worker.pidfd = steal_fd (&before->pidfd);
  s->worker.pid = pid_of (s->worker.pidfd);
  s->layers = sup_limit_by_cgroup (s)
              | (before->layers
                 & ~(uint32_t)(SBX_VISIBLE | SBX_LAYER_CGROUP));
  if (s->worker.pid > 0)
    s->layers |= sbx_look (s->worker.pid);
  for (; s->worker.lanes < before->lanes; s->worker.lanes++)
    s->worker.net_fd[s->worker.lanes]
        = steal_fd (&before->net_fd[s->worker.lanes]);
  orphans_adopt (s->c.daemon, s->worker.pid);
  s->adopted = s->announced = true;
  s->ready_since = ev_now (s->c.daemon->loop);
  sup_set_state (s, SUP_READY);
  watch_worker (s);
}

/* With portals= connection i is at portal i, modulo their number; those beyond
 * the number of connections are spare ones, for the connections by turns.
 */
static void
go_home (struct supervisor *s)
{
  const struct login_config *l = s->c.login;
  struct place home = {.port = l->port};

  if (l->portals.count)
    home = l->portals.place[s->c.path % l->portals.count];
  else
    strcpy (home.host, l->host);
  route_init (&s->route, &home);
  for (unsigned i = s->c.path + s->c.paths; i < l->portals.count;
       i += s->c.paths)
    route_add_home (&s->route, &l->portals.place[i]);
}

enum err
supervisor_start (const struct supervisor_config *c,
                  struct supervisor_before *before, struct supervisor **ret)
{
  struct supervisor *s = calloc (1, sizeof *s);

  if (!s)
    return ERR_NOMEM;
  s->c = *c;
  go_home (s);
  s->worker.pidfd = s->worker.control_fd = s->worker.gateway_fd = -1;
  ev_init (&s->worker.control_readable, on_control);
  ev_init (&s->worker.dead, on_dead);
  ev_timer_init (&s->deadline, on_deadline, 0., 0.);
  ev_timer_init (&s->acknowledge, on_acknowledge, 0., ACKNOWLEDGE_S);
  s->deadline.data = s->acknowledge.data = s;
  s->epoch = before->epoch;
  s->since_ns = clock_now_ns ();
  s->ever_ready = before->epoch > 0 || c->background;
  if (before->pidfd >= 0)
    adopt_worker (s, before);
  else
    ev_timer_start (c->daemon->loop, &s->deadline);
  *ret = s;
  return ERR_OK;
}

void
supervisor_close (struct supervisor *s)
{
  if (!s)
    return;
  ev_timer_stop (s->c.daemon->loop, &s->deadline);
  ev_timer_stop (s->c.daemon->loop, &s->acknowledge);
  resolver_cancel (s->resolver);
  dialer_cancel (s->dialer);
  if (s->worker.pidfd >= 0) {
    ev_io_stop (s->c.daemon->loop, &s->worker.dead);
    daemon_discard_child (s->c.daemon, steal_fd (&s->worker.pidfd));
  }
  close_worker (s);
  free (s);
}

bool
supervisor_leave (struct supervisor *s, void (*left) (void *ctx), void *ctx)
{
  if (!s->c.login->leaves || s->state != SUP_READY)
    return false;
  s->left = left;
  s->left_ctx = ctx;
  sup_end_worker (s, SUP_END_AWAIT, NULL);
  /* That is how it hears of it; the gateway's socket is the gateway's to close.
   */
  cleanup_close (&s->worker.control_fd);
  s->worker.control_fd = -1;
  return true;
}

void
supervisor_status (const struct supervisor *s, struct status_worker *ret)
{
  static const uint8_t words[SUP_STATES] = {
      [SUP_STOPPED] = STATUS_WORKER_NONE,
      [SUP_RESOLVING] = STATUS_WORKER_RESOLVING,
      [SUP_DIALLING] = STATUS_WORKER_DIALLING,
      [SUP_SPAWNED] = STATUS_WORKER_STARTING,
      [SUP_SEALED] = STATUS_WORKER_LOGIN,
      [SUP_TRUSTED] = STATUS_WORKER_LOGIN,
      [SUP_OFFERED] = STATUS_WORKER_LOGIN,
      [SUP_ASKING] = STATUS_WORKER_LOGIN,
      [SUP_READY] = STATUS_WORKER_READY,
      [SUP_DYING] = STATUS_WORKER_DYING,
      [SUP_BACKOFF] = STATUS_WORKER_BACKOFF,
      [SUP_GIVEN_UP] = STATUS_WORKER_GIVEN_UP,
  };
  bool lives = s->worker.pidfd >= 0;
  uint64_t now = clock_now_ns ();

  *ret = (struct status_worker){
      .state = words[s->state],
      .pid = lives ? (uint32_t)s->worker.pid : 0,
      .since_ns = now - s->since_ns,
      .restarts = s->epoch > 1 ? (uint32_t)(s->epoch - 1) : 0,
      .layers = lives ? s->layers : 0,
      .lanes = lives ? (uint8_t)s->worker.lanes : 0,
      .progress = atomic_load_explicit (&s->c.completions->progress,
                                        memory_order_relaxed),
      .retry_ns = s->state == SUP_BACKOFF && s->retry_at_ns > now
                      ? s->retry_at_ns - now
                      : 0,
  };
  snprintf (ret->why, sizeof ret->why, "%.199s", s->last_why);
}

void
supervisor_distrust (struct supervisor *s, uint64_t epoch,
                     const struct fault *why)
{
  if (epoch != s->epoch || s->state != SUP_READY)
    return;
  s->distrusted = true;
  sup_end_worker (s, SUP_END_KILL, why);
}
