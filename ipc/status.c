/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/status.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/text.h"

/* A daemon that answers for ever does not. */
#define PAGES_MAX 1024u

const char *
status_worker_word (uint8_t state)
{
  static const char *const words[] = {
#define X(name, word) word,
      STATUS_WORKER_TABLE (X)
#undef X
  };

  return state < STATUS_WORKER_STATES ? words[state] : "?";
}

const char *
status_lease_word (uint8_t lease)
{
  static const char *const words[] = {
#define X(name, word) word,
      STATUS_LEASE_TABLE (X)
#undef X
  };

  return lease < STATUS_LEASES ? words[lease] : "?";
}

void
status_daemon_put (struct wirebuf *b, const struct status_daemon *d)
{
  wirebuf_u32 (b, d->pid);
  wirebuf_u32 (b, d->uid);
  wirebuf_u64 (b, d->age_ns);
  wirebuf_u64 (b, d->cache_pages);
  wirebuf_u64 (b, d->cache_pages_used);
  wirebuf_cstring (b, d->version);
}

/* Words that others wrote go to a terminal. */
static void
take_text (struct wire *w, char *dst, size_t dst_bytes)
{
  wire_cstring (w, dst, dst_bytes);
  text_clean (dst);
}

enum err
status_daemon_take (struct wire *w, struct status_daemon *ret)
{
  struct status_daemon d;

  d.pid = wire_u32 (w);
  d.uid = wire_u32 (w);
  d.age_ns = wire_u64 (w);
  d.cache_pages = wire_u64 (w);
  d.cache_pages_used = wire_u64 (w);
  take_text (w, d.version, sizeof d.version);
  if (w->err)
    return ERR_PEER;
  *ret = d;
  return ERR_OK;
}

void
status_volume_put (struct wirebuf *b, const struct status_volume *v)
{
  wirebuf_u64 (b, v->id);
  wirebuf_u32 (b, v->uid);
  wirebuf_cstring (b, v->name);
  wirebuf_u64 (b, v->size);
  wirebuf_cstring (b, v->no_cache);
  wirebuf_u32 (b, v->pages);
  wirebuf_u64 (b, v->fills);
  wirebuf_u64 (b, v->evictions);
  wirebuf_u8 (b, v->lease);
  wirebuf_u32 (b, v->gateways);
}

enum err
status_volume_take (struct wire *w, struct status_volume *ret)
{
  struct status_volume v;

  v.id = wire_u64 (w);
  v.uid = wire_u32 (w);
  take_text (w, v.name, sizeof v.name);
  v.size = wire_u64 (w);
  take_text (w, v.no_cache, sizeof v.no_cache);
  v.pages = wire_u32 (w);
  v.fills = wire_u64 (w);
  v.evictions = wire_u64 (w);
  v.lease = wire_u8 (w);
  v.gateways = wire_u32 (w);
  if (w->err || v.lease >= STATUS_LEASES)
    return ERR_PEER;
  *ret = v;
  return ERR_OK;
}

static void
put_worker (struct wirebuf *b, const struct status_worker *k)
{
  wirebuf_u8 (b, k->state);
  wirebuf_u32 (b, k->pid);
  wirebuf_u64 (b, k->since_ns);
  wirebuf_u32 (b, k->restarts);
  wirebuf_u8 (b, k->lanes);
  wirebuf_u32 (b, k->layers);
  wirebuf_u64 (b, k->progress);
  wirebuf_u64 (b, k->retry_ns);
  wirebuf_cstring (b, k->why);
}

static enum err
take_worker (struct wire *w, struct status_worker *k)
{
  k->state = wire_u8 (w);
  k->pid = wire_u32 (w);
  k->since_ns = wire_u64 (w);
  k->restarts = wire_u32 (w);
  k->lanes = wire_u8 (w);
  k->layers = wire_u32 (w);
  k->progress = wire_u64 (w);
  k->retry_ns = wire_u64 (w);
  take_text (w, k->why, sizeof k->why);
  return w->err || k->state >= STATUS_WORKER_STATES ? ERR_PEER : ERR_OK;
}

void
status_gateway_put (struct wirebuf *b, const struct status_gateway *g)
{
  wirebuf_u64 (b, g->id);
  wirebuf_u64 (b, g->volume);
  wirebuf_u32 (b, g->pid);
  wirebuf_u32 (b, g->uid);
  wirebuf_u64 (b, g->age_ns);
  wirebuf_cstring (b, g->program);
  wirebuf_cstring (b, g->name);
  wirebuf_u8 (b, g->has_stats);
  wirebuf_u8 (b, g->holds_lease);
  wirebuf_u8 (b, g->waits_lease);
  wirebuf_u8 (b, g->has_info);
  if (g->has_info)
    volume_info_put (b, &g->info);
  wirebuf_u8 (b, (uint8_t)g->workers);
  for (unsigned i = 0; i < g->workers; i++)
    put_worker (b, &g->worker[i]);
}

enum err
status_gateway_take (struct wire *w, struct status_gateway *ret)
{
  struct status_gateway g = {.stats_fd = -1};

  g.id = wire_u64 (w);
  g.volume = wire_u64 (w);
  g.pid = wire_u32 (w);
  g.uid = wire_u32 (w);
  g.age_ns = wire_u64 (w);
  take_text (w, g.program, sizeof g.program);
  take_text (w, g.name, sizeof g.name);
  g.has_stats = wire_u8 (w);
  g.holds_lease = wire_u8 (w);
  g.waits_lease = wire_u8 (w);
  g.has_info = wire_u8 (w);
  if (g.has_info && volume_info_take (w, &g.info))
    return ERR_PEER;
  g.workers = wire_u8 (w);
  if (w->err || g.workers > CHANNEL_PATHS)
    return ERR_PEER;
  for (unsigned i = 0; i < g.workers; i++)
    if (take_worker (w, &g.worker[i]))
      return ERR_PEER;
  *ret = g;
  return ERR_OK;
}

/* The client's side */

void
status_free (struct status *s)
{
  for (unsigned i = 0; i < s->gateways; i++)
    cleanup_close (&s->gateway[i].stats_fd);
  free (s->volume);
  free (s->gateway);
  memset (s, 0, sizeof *s);
}

static enum err
take_volume (struct status *s, struct wire *w)
{
  struct status_volume *v
      = reallocarray (s->volume, s->volumes + 1, sizeof *v);

  if (!v)
    return ERR_NOMEM;
  s->volume = v;
  if (status_volume_take (w, &v[s->volumes]))
    return ERR_PEER;
  s->volumes++;
  return ERR_OK;
}

static enum err
take_gateway (struct status *s, struct wire *w, struct control *m,
              unsigned *fds)
{
  struct status_gateway *g
      = reallocarray (s->gateway, s->gateways + 1, sizeof *g);

  if (!g)
    return ERR_NOMEM;
  s->gateway = g;
  if (status_gateway_take (w, &g[s->gateways]))
    return ERR_PEER;
  if (g[s->gateways].has_stats)
    g[s->gateways].stats_fd = control_take_fd (m, (*fds)++);
  s->gateways++;
  return ERR_OK;
}

static enum err
take_record (struct status *s, struct wire *w, struct control *m,
             unsigned *fds)
{
  switch (wire_u8 (w)) {
  case STATUS_VOLUME:
    return take_volume (s, w);
  case STATUS_GATEWAY:
    return take_gateway (s, w, m, fds);
  default:
    return ERR_PEER;
  }
}

/* *kind and *id: what the next question is about. */
static enum err
take_page (struct status *s, struct control *m, uint8_t *kind, uint64_t *id,
           bool *ret_more)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  unsigned n, fds = 0;
  enum err e;

  if (m->type != CONTROL_STATUS)
    return ERR_PEER;
  if (wire_u32 (&w) != STATUS_VERSION)
    return ERR_VERSION;
  if ((e = status_daemon_take (&w, &s->daemon)))
    return e;
  *ret_more = wire_u8 (&w);
  *kind = wire_u8 (&w);
  *id = wire_u64 (&w);
  n = wire_u16 (&w);
  for (unsigned i = 0; i < n; i++)
    if ((e = take_record (s, &w, m, &fds)))
      return e;
  return wire_end (&w);
}

static enum err
ask_page (int sock, struct control *m, struct status *s, uint8_t *kind,
          uint64_t *id, uint64_t deadline_ns, bool *ret_more)
{
  uint64_t now = clock_now_ns ();
  uint64_t left = deadline_ns > now ? deadline_ns - now : 1;
  struct wirebuf b;
  enum err e;

  control_begin (m, CONTROL_STATUS);
  b = control_body (m);
  wirebuf_u32 (&b, STATUS_VERSION);
  wirebuf_u8 (&b, *kind);
  wirebuf_u64 (&b, *id);
  if ((e = control_send (sock, m, &b, left))
      || (e = control_recv (sock, m, left)))
    return e;
  e = take_page (s, m, kind, id, ret_more);
  control_close (m);
  return e;
}

enum err
status_ask (int sock, uint64_t timeout_ns, struct status *ret, struct fault *f)
{
  CLEANUP_FREE struct control *m = calloc (1, sizeof *m);
  uint64_t deadline_ns = clock_now_ns () + timeout_ns;
  struct status s = {0};
  uint8_t kind = STATUS_START;
  uint64_t id = 0;
  bool again = true;
  enum err e = m ? ERR_OK : ERR_NOMEM;

  for (unsigned page = 0; !e && again; page++)
    e = page == PAGES_MAX
            ? ERR_PEER
            : ask_page (sock, m, &s, &kind, &id, deadline_ns, &again);
  if (!e) {
    *ret = s;
    return ERR_OK;
  }
  status_free (&s);
  fault_set (f, e, "bulkheadd does not tell its status: %s", err_text (e));
  if (e == ERR_CLOSED || e == ERR_PEER || e == ERR_VERSION)
    fault_hint (f, "if it is of another version than this program: it ends by "
                   "itself when nothing is served any more");
  return e;
}
