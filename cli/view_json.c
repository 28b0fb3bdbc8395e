/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/view.h"

#include <string.h>

#include "cli/units.h"
#include "common/cleanup.h"
#include "common/text.h"
#include "sandbox/sandbox.h"

json_t *
view_json_text (const char *text)
{
  CLEANUP_FREE char *clean = NULL;
  json_t *j = json_string (text);

  if (j || !(clean = strdup (text)))
    return j;
  text_clean (clean);
  return json_string (clean);
}

/* null for what is not known */
static json_t *
number (uint64_t v)
{
  return v <= INT64_MAX ? json_integer ((json_int_t)v) : json_null ();
}

static json_t *
layers (uint32_t bits)
{
  json_t *list;

  if (!bits)
    return json_null ();
  list = json_array ();
#define X(bit, name, text, mandatory)                                          \
  if (bits & (1u << (bit)))                                                    \
    json_array_append_new (list, json_string (text));
  SBX_LAYER_TABLE (X)
#undef X
  return list;
}

static json_t *
worker (const struct status_worker *w)
{
  return json_pack ("{s:s, s:i, s:i, s:o, s:i, s:o, s:o, s:o, s:o}", "state",
                    status_worker_word (w->state), "pid", (int)w->pid,
                    "connections", (int)w->lanes,
                    "since_ns", number (w->since_ns), "restarts",
                    (int)w->restarts, "layers", layers (w->layers), "progress",
                    number (w->progress), "retry_ns", number (w->retry_ns),
                    "last_end", view_json_text (w->why));
}

static const char *const op_names[STATS_OPS] = {
    [STATS_CACHED] = "cached_read", [STATS_READ] = "read",
    [STATS_WRITE] = "write",        [STATS_FLUSH] = "flush",
    [STATS_TRIM] = "trim",          [STATS_ZERO] = "zero",
    [STATS_EXTENTS] = "block_status"};

static json_t *
counts (const struct stats *s)
{
  double ratio = view_hit_ratio (s);
  json_t *j = json_pack (
      "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "hit_ratio",
      ratio < 0 ? json_null () : json_real (ratio), "in_flight",
      number (s->gauge[STATS_IN_FLIGHT]), "queued",
      number (s->gauge[STATS_QUEUED]), "retained_bytes",
      number (s->gauge[STATS_RETAINED_BYTES]), "retained_limit_bytes",
      number (s->gauge[STATS_RETAINED_LIMIT]), "retained_writes",
      number (s->gauge[STATS_RETAINED_WRITES]), "in_doubt",
      number (s->gauge[STATS_IN_DOUBT]), "resent",
      number (s->gauge[STATS_RESENT]), "fills_offered",
      number (s->gauge[STATS_FILLS]), "fills_lost",
      number (s->gauge[STATS_FILLS_LOST]));
  json_t *ops = json_object ();

  for (unsigned i = 0; i < STATS_OPS; i++)
    json_object_set_new (
        ops, op_names[i],
        json_pack ("{s:o, s:o, s:o, s:o, s:o}", "requests",
                   number (s->op[i].requests), "bytes",
                   number (s->op[i].bytes), "errors",
                   number (s->op[i].errors), "busy_ns",
                   number (s->op[i].busy_ns), "latency",
                   units_json_latency (s->op[i].bucket)));
  json_object_set_new (j, "operations", ops);
  return j;
}

static json_t *
gateway (const struct status_gateway *g)
{
  json_t *workers = json_array ();

  for (unsigned i = 0; i < g->workers; i++)
    json_array_append_new (workers, worker (&g->worker[i]));
  return json_pack ("{s:i, s:i, s:o, s:o, s:s, s:o}", "pid", (int)g->pid,
                    "uid", (int)g->uid, "program",
                    view_json_text (g->program), "age_ns",
                    number (g->age_ns), "write_lease",
                    g->holds_lease   ? "holds"
                    : g->waits_lease ? "waits"
                                     : "none",
                    "workers", workers);
}

static json_t *
cache_of (const struct status_volume *v)
{
  if (!v)
    return json_null ();
  return json_pack ("{s:o, s:o, s:o, s:o}", "none_because",
                    v->no_cache[0] ? view_json_text (v->no_cache)
                                   : json_null (),
                    "pages", number (v->pages), "fills", number (v->fills),
                    "evictions", number (v->evictions));
}

static json_t *
volume (const struct view *v, const struct view_volume *n)
{
  json_t *gateways = json_array ();
  char protocol[16];

  for (unsigned i = 0; i < v->status.gateways; i++)
    if (view_serves (n, &v->status.gateway[i]))
      json_array_append_new (gateways, gateway (&v->status.gateway[i]));
  view_protocol (n->name, protocol, sizeof protocol);
  return json_pack (
      "{s:o, s:o, s:o, s:s, s:o, s:b, s:o, s:s, s:o, s:o, s:o}", "name",
      view_json_text (n->name), "uid",
      n->volume ? json_integer (n->volume->uid) : json_null (), "protocol",
      view_json_text (protocol), "state", view_state (n), "size",
      number (n->size), "readonly", (int)n->readonly, "down_ns",
      n->down_ns ? number (n->down_ns) : json_null (), "write_lease",
      n->volume ? status_lease_word (n->volume->lease) : "unknown", "cache",
      cache_of (n->volume), "counts",
      n->counted ? counts (&n->stats) : json_null (), "gateways", gateways);
}

json_t *
view_json (const struct view *v, const char *only)
{
  const struct status_daemon *d = &v->status.daemon;
  json_t *volumes = json_array (), *me = json_null ();

  for (unsigned i = 0; i < v->volumes; i++)
    if (!only || strcmp (v->volume[i].name, only) == 0)
      json_array_append_new (volumes, volume (v, &v->volume[i]));
  if (v->found)
    me = json_pack ("{s:i, s:i, s:o, s:o, s:o, s:o}", "pid", (int)d->pid,
                    "uid", (int)d->uid, "version",
                    view_json_text (d->version), "age_ns",
                    number (d->age_ns), "cache_pages",
                    number (d->cache_pages), "cache_pages_used",
                    number (d->cache_pages_used));
  return json_pack ("{s:o, s:o}", "daemon", me, "volumes", volumes);
}
