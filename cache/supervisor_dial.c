/* SPDX-License-Identifier: BSD-2-Clause */
/* From where the next worker is to be to its sockets: resolving, and dialling
 * as many as its session gets.
 */
#include "config.h"
#include "cache/supervisor_private.h"

#include <string.h>

#include "common/clock.h"

static enum err
dial (struct supervisor *s, const struct address_list *to, uint16_t from_port,
      dialer_done *done, struct fault *f)
{
  struct dial_from from = {.port = from_port,
                           .reserved = s->c.login->from_reserved_port,
                           .uid = s->c.uid};

  return dialer_start (s->c.daemon, s->route.now.host, to, s->route.now.port,
                       &from, done, s, &s->dialer, f);
}

static void
on_lane_dialled (void *ctx, int fd, unsigned index, const struct fault *why);

/* The next one, to where the first one led. A session with fewer than the user
 * wants is better than none.
 */
static void
dial_lane_or_start (struct supervisor *s)
{
  struct address_list there = {.count = 1, .a = {s->addresses.a[0]}};
  struct fault f = {0};

  if (s->worker.lanes < s->route.lanes
      && !quota_dial (&s->c.daemon->quota, s->c.uid, clock_now_ns (), &f)
      && !dial (s, &there, 0, on_lane_dialled, &f))
    return;
  if (f.code)
    log_write (s->c.daemon->log, LOG_LEVEL_WARN,
               "%s: %u of %u connections: %s", s->c.name, s->worker.lanes,
               s->route.lanes, f.text);
  sup_start_worker (s);
}

static void
on_lane_dialled (void *ctx, int fd, unsigned index, const struct fault *why)
{
  struct supervisor *s = ctx;

  (void)index;
  s->dialer = NULL;
  if (fd >= 0) {
    s->worker.net_fd[s->worker.lanes++] = fd;
    dial_lane_or_start (s);
    return;
  }
  log_write (s->c.daemon->log, LOG_LEVEL_WARN, "%s: %u of %u connections: %s",
             s->c.name, s->worker.lanes, s->route.lanes, why->text);
  sup_start_worker (s);
}

static void
on_dialled (void *ctx, int fd, unsigned index, const struct fault *why)
{
  struct supervisor *s = ctx;
  struct address first;

  s->dialer = NULL;
  if (fd < 0) {
    sup_attempt_failed (s, why);
    return;
  }
  /* What answered is tried first the next time. */
  first = s->addresses.a[index];
  s->addresses.a[index] = s->addresses.a[0];
  s->addresses.a[0] = first;
  s->worker.net_fd[0] = fd;
  s->worker.lanes = 1;
  dial_lane_or_start (s);
}

static void
start_dial (struct supervisor *s)
{
  struct fault f = {0};

  sup_set_state (s, SUP_DIALLING);
  /* A server may know by the port that a request is one of before. */
  if (dial (s, &s->addresses, s->source_port, on_dialled, &f))
    sup_attempt_failed (s, &f);
}

static void
on_resolved (void *ctx, const struct address_list *list, const struct fault *f)
{
  struct supervisor *s = ctx;

  s->resolver = NULL;
  if (!list) {
    sup_attempt_failed (s, f);
    return;
  }
  s->addresses = *list;
  start_dial (s);
}

void
sup_follow_route (struct supervisor *s)
{
  const char *host = s->route.now.host;
  struct fault f = {0};

  if (quota_dial (&s->c.daemon->quota, s->c.uid, clock_now_ns (), &f)) {
    sup_set_state (s, SUP_RESOLVING);
    sup_attempt_failed (s, &f);
    return;
  }
  if (s->addresses.count && strcmp (s->resolved, host) == 0) {
    start_dial (s);
    return;
  }
  s->addresses.count = 0;
  strcpy (s->resolved, host);
  sup_set_state (s, SUP_RESOLVING);
  if (resolver_start (s->c.daemon, host, on_resolved, s, &s->resolver, &f))
    sup_attempt_failed (s, &f);
}
