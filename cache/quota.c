/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/quota.h"

#include <assert.h>
#include <string.h>

#define NS_PER_S 1e9
#define NS_PER_MINUTE 60e9

void
quota_init (struct quota *q, const struct quota_limits *limits)
{
  memset (q, 0, sizeof *q);
  q->enforced = true;
  q->limits = *limits;
}

static bool
is_limited (const struct quota *q, uid_t uid)
{
  return q->enforced && uid != 0;
}

static struct quota_user *
find (struct quota *q, uid_t uid)
{
  for (unsigned i = 0; i < QUOTA_USERS; i++)
    if (q->user[i].used && q->user[i].uid == uid)
      return &q->user[i];
  return NULL;
}

static double
peeks_at_once (const struct quota *q)
{
  return QUOTA_PEEKS_AT_ONCE
         * ((double)q->limits.volumes + QUOTA_SPARE_CLIENTS);
}

/* One who has nothing is forgotten for another one; who has dialled much is
 * remembered rather than who has not.
 */
static struct quota_user *
find_or_make (struct quota *q, uid_t uid)
{
  struct quota_user *u = find (q, uid), *best = NULL;

  if (u)
    return u;
  for (unsigned i = 0; i < QUOTA_USERS; i++) {
    u = &q->user[i];
    if (!u->used) {
      best = u;
      break;
    }
    if (u->has.clients == 0 && u->has.volumes == 0 && u->has.relays == 0
        && u->has.peeks == 0
        && (!best || u->dials.left > best->dials.left))
      best = u;
  }
  if (best)
    *best = (struct quota_user){.uid = uid, .used = true,
                                .dials = {.left = q->limits.dials},
                                .peeks = {.left = peeks_at_once (q)},
                                .lines = {.left = QUOTA_LINES_AT_ONCE}};
  return best;
}

static enum err
over (struct fault *f, uid_t uid, const char *what, uint64_t limit,
      const char *option)
{
  fault_set (f, ERR_LIMIT, "uid %u has its %llu %s already", (unsigned)uid,
             (unsigned long long)limit, what);
  fault_hint (f, "the host's bulkheadd sets the limit by %s", option);
  return ERR_LIMIT;
}

enum err
quota_take (struct quota *q, uid_t uid, const struct quota_share *s,
            struct fault *f)
{
  const struct quota_limits *l = &q->limits;
  struct quota_user *u;

  if (!is_limited (q, uid))
    return ERR_OK;
  if (!(u = find_or_make (q, uid)))
    return fault_set (f, ERR_LIMIT, "%u users are served already",
                      QUOTA_USERS);
  if (u->has.clients + s->clients > l->volumes + QUOTA_SPARE_CLIENTS)
    return over (f, uid, "connections", l->volumes + QUOTA_SPARE_CLIENTS,
                 "--volumes-per-uid=");
  if (u->has.volumes + s->volumes > l->volumes)
    return over (f, uid, "volumes", l->volumes, "--volumes-per-uid=");
  if (u->has.workers + s->workers > l->workers)
    return over (f, uid, "workers", l->workers, "--workers-per-uid=");
  if (s->memory_bytes > l->memory_bytes
      || u->has.memory_bytes > l->memory_bytes - s->memory_bytes)
    return over (f, uid, "MiB of memory", l->memory_bytes >> 20,
                 "--memory-per-uid=");
  if (u->has.relays + s->relays > l->volumes)
    return over (f, uid, "connections to an ssh-agent", l->volumes,
                 "--volumes-per-uid=");
  if (u->has.peeks + s->peeks > l->volumes + QUOTA_SPARE_CLIENTS)
    return over (f, uid, "messages that are looked at",
                 l->volumes + QUOTA_SPARE_CLIENTS, "--volumes-per-uid=");
  u->has.clients += s->clients;
  u->has.volumes += s->volumes;
  u->has.workers += s->workers;
  u->has.memory_bytes += s->memory_bytes;
  u->has.relays += s->relays;
  u->has.peeks += s->peeks;
  return ERR_OK;
}

void
quota_give (struct quota *q, uid_t uid, const struct quota_share *s)
{
  struct quota_user *u = is_limited (q, uid) ? find (q, uid) : NULL;

  if (!u)
    return;
  assert (u->has.clients >= s->clients && u->has.volumes >= s->volumes
          && u->has.workers >= s->workers
          && u->has.memory_bytes >= s->memory_bytes
          && u->has.relays >= s->relays && u->has.peeks >= s->peeks);
  u->has.clients -= s->clients;
  u->has.volumes -= s->volumes;
  u->has.workers -= s->workers;
  u->has.memory_bytes -= s->memory_bytes;
  u->has.relays -= s->relays;
  u->has.peeks -= s->peeks;
}

static void
refill (struct quota_rate *r, double full, double per_ns, uint64_t now_ns)
{
  if (r->at_ns && now_ns > r->at_ns)
    r->left += (double)(now_ns - r->at_ns) * per_ns;
  if (r->left > full)
    r->left = full;
  r->at_ns = now_ns;
}

enum err
quota_dial (struct quota *q, uid_t uid, uint64_t now_ns, struct fault *f)
{
  double full = q->limits.dials;
  struct quota_user *u;

  if (!is_limited (q, uid))
    return ERR_OK;
  if (!(u = find_or_make (q, uid)))
    return fault_set (f, ERR_LIMIT, "%u users are served already",
                      QUOTA_USERS);
  refill (&u->dials, full, full / NS_PER_MINUTE, now_ns);
  if (u->dials.left < 1)
    return over (f, uid, "connections to servers in a minute",
                 q->limits.dials, "--dials-per-uid=");
  u->dials.left -= 1;
  return ERR_OK;
}

uint64_t
quota_peek_ns (struct quota *q, uid_t uid, uint64_t now_ns)
{
  static const double per_ns = QUOTA_PEEKS_PER_S / NS_PER_S;
  struct quota_user *u = is_limited (q, uid) ? find_or_make (q, uid) : NULL;

  if (!u) /* without limits; or quota_take will say it */
    return 0;
  refill (&u->peeks, peeks_at_once (q), per_ns, now_ns);
  if (u->peeks.left < 1)
    return (uint64_t)((1 - u->peeks.left) / per_ns) + 1;
  u->peeks.left -= 1;
  return 0;
}

bool
quota_line (struct quota *q, uid_t uid, uint64_t now_ns, unsigned *ret_hidden)
{
  struct quota_user *u = is_limited (q, uid) ? find_or_make (q, uid) : NULL;

  *ret_hidden = 0;
  if (!u) /* one of too many users has no line */
    return !is_limited (q, uid);
  refill (&u->lines, QUOTA_LINES_AT_ONCE, QUOTA_LINES_PER_S / NS_PER_S, now_ns);
  if (u->lines.left < 1) {
    u->hidden += u->hidden < UINT32_MAX;
    return false;
  }
  u->lines.left -= 1;
  *ret_hidden = u->hidden;
  u->hidden = 0;
  return true;
}
