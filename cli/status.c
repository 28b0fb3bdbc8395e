/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead status: once, what the daemon and its gateways know. */
#include "config.h"
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/session.h"
#include "cli/units.h"
#include "cli/view.h"
#include "common/cleanup.h"
#include "sandbox/sandbox.h"

static const char *const op_words[STATS_OPS] = {
    [STATS_CACHED] = "reads, cached", [STATS_READ] = "reads, server",
    [STATS_WRITE] = "writes",         [STATS_FLUSH] = "flushes",
    [STATS_TRIM] = "trims",           [STATS_ZERO] = "zeroes",
    [STATS_EXTENTS] = "block status"};

static enum cli_color
state_color (const char *state)
{
  if (strcmp (state, "ready") == 0)
    return COLOR_GREEN;
  if (strcmp (state, "down") == 0 || strcmp (state, "failed") == 0)
    return COLOR_RED;
  return strcmp (state, "degraded") == 0 ? COLOR_YELLOW : COLOR_PLAIN;
}

static void
print_daemon (const struct status_daemon *d)
{
  char age[32], used[32], all[32];

  units_time (age, sizeof age, d->age_ns);
  cli_bytes (used, sizeof used, d->cache_pages_used * 4096);
  cli_bytes (all, sizeof all, d->cache_pages * 4096);
  printf ("bulkheadd %s, pid %u, for %s; %s of %s of cache in use\n",
          d->version, d->pid, age, used, all);
}

static void
print_worker (const struct status_worker *w, unsigned index)
{
  char since[32], text[400], retry[40] = "";

  units_time (since, sizeof since, w->since_ns);
  printf ("    worker %-7u %s", index + 1, status_worker_word (w->state));
  if (w->pid)
    printf (", pid %u", w->pid);
  if (w->state == STATUS_WORKER_BACKOFF) {
    units_time (text, sizeof text, w->retry_ns);
    snprintf (retry, sizeof retry, " (in %.20s)", text);
  }
  if (w->lanes > 1)
    printf (", %u connections", w->lanes);
  printf ("%s, %s %s, %u restart%s\n", retry,
          w->state == STATUS_WORKER_READY ? "for" : "not ready for", since,
          w->restarts, w->restarts == 1 ? "" : "s");
  if (w->layers) {
    sbx_layers_text (w->layers, text, sizeof text);
    fputs ("      sandbox      ", stdout);
    cli_words (19, text);
  } else if (w->pid)
    printf ("      sandbox      not known, as an earlier bulkheadd made it\n");
  if (w->why[0])
    printf ("      last end     %s\n", w->why);
}

static void
print_gateway (const struct status_gateway *g)
{
  char age[32];

  units_time (age, sizeof age, g->age_ns);
  printf ("  pid %-10u %s, for %s%s\n", g->pid, g->program, age,
          g->holds_lease   ? "; has the write lease"
          : g->waits_lease ? "; waits for the write lease"
                           : "");
  for (unsigned i = 0; i < g->workers; i++)
    print_worker (&g->worker[i], i);
}

static void
print_counts (const struct cli *c, const struct stats *s)
{
  struct table t = {.columns = 6, .right = {0, 1, 1, 1, 1, 1}};
  double ratio = view_hit_ratio (s);
  char a[32], b[32];

  if (ratio >= 0)
    printf ("  hit ratio      %.1f %% of the bytes read\n", 100 * ratio);
  printf ("  queue          %llu under way, %llu not yet with a worker\n",
          (unsigned long long)s->gauge[STATS_IN_FLIGHT],
          (unsigned long long)s->gauge[STATS_QUEUED]);
  cli_bytes (a, sizeof a, s->gauge[STATS_RETAINED_BYTES]);
  cli_bytes (b, sizeof b, s->gauge[STATS_RETAINED_LIMIT]);
  printf ("  retained       %s of %s, %llu writes; %llu in doubt, %llu were "
          "sent again\n",
          a, b, (unsigned long long)s->gauge[STATS_RETAINED_WRITES],
          (unsigned long long)s->gauge[STATS_IN_DOUBT],
          (unsigned long long)s->gauge[STATS_RESENT]);
  table_cell (&t, "  since it serves");
  table_cell (&t, "requests");
  table_cell (&t, "bytes");
  table_cell (&t, "errors");
  table_cell (&t, "p50");
  table_cell (&t, "p99");
  for (unsigned i = 0; i < STATS_OPS; i++) {
    if (!s->op[i].requests)
      continue;
    table_cell (&t, "  %s", op_words[i]);
    table_cell (&t, "%llu", (unsigned long long)s->op[i].requests);
    cli_bytes (a, sizeof a, s->op[i].bytes);
    table_cell (&t, "%s", a);
    table_cell (&t, "%llu", (unsigned long long)s->op[i].errors);
    units_time (a, sizeof a, stats_percentile_ns (s->op[i].bucket, 0.50));
    table_cell (&t, "%s", a);
    units_time (a, sizeof a, stats_percentile_ns (s->op[i].bucket, 0.99));
    table_cell (&t, "%s", a);
  }
  table_print (&t, c, stdout);
  table_fini (&t);
}

static void
print_volume (const struct cli *c, const struct view *v,
              const struct view_volume *n)
{
  const char *state = view_state (n);
  char text[32];

  printf ("\n%s%s%s\n", cli_color (c->color_out, COLOR_BOLD), n->name,
          cli_color_end (c->color_out));
  printf ("  state          %s%s%s", cli_color (c->color_out,
                                                state_color (state)),
          state, cli_color_end (c->color_out));
  if (n->down_ns) {
    units_time (text, sizeof text, n->down_ns);
    printf (" for %s", text);
  }
  if (n->size != STATUS_UNKNOWN) {
    cli_bytes (text, sizeof text, n->size);
    printf (", %s, %s", text, n->readonly ? "read-only" : "read and write");
  }
  putchar ('\n');
  if (n->volume && n->volume->no_cache[0])
    printf ("  cache          none: %s\n", n->volume->no_cache);
  else if (n->volume) {
    cli_bytes (text, sizeof text, (uint64_t)n->volume->pages * 4096);
    printf ("  cache          %s, %llu pages filled, %llu evicted\n", text,
            (unsigned long long)n->volume->fills,
            (unsigned long long)n->volume->evictions);
  }
  if (n->volume)
    printf ("  write lease    %s\n", status_lease_word (n->volume->lease));
  if (n->counted)
    print_counts (c, &n->stats);
  for (unsigned i = 0; i < v->status.gateways; i++)
    if (view_serves (n, &v->status.gateway[i]))
      print_gateway (&v->status.gateway[i]);
}

static bool
is_served (const struct view *v, const char *name)
{
  for (unsigned i = 0; i < v->volumes; i++)
    if (strcmp (v->volume[i].name, name) == 0)
      return true;
  return false;
}

/* The name that the daemon gives to what the user calls so. */
static enum err
served_name (const struct cli *c, char *dst, size_t dst_bytes, struct fault *f)
{
  struct session s;
  unsigned next;
  enum err e = session_take (&s, c, 0, &next, f);

  if (!e)
    e = session_resolve (&s, f);
  if (!e)
    session_name (&s, dst, dst_bytes);
  session_close (&s);
  return e;
}

static enum cli_status
run (struct cli *c)
{
  CLEANUP_CLOSE int sock = -1;
  char only[STATUS_NAME_BYTES] = "";
  enum cli_status status = CLI_OK;
  struct fault f = {0};
  struct view v;

  if ((c->args && served_name (c, only, sizeof only, &f))
      || view_take (&sock, &v, &f))
    return cli_fault (c, &f);
  if (only[0] && !is_served (&v, only)) {
    fault_set (&f, ERR_NOENT, "%.200s is not served", only);
    status = cli_fault (c, &f);
  } else if (c->json)
    status = cli_json (c, view_json (&v, only[0] ? only : NULL));
  else {
    if (v.found)
      print_daemon (&v.status.daemon);
    else
      puts ("no bulkheadd runs: nothing is served");
    for (unsigned i = 0; i < v.volumes; i++)
      if (!only[0] || strcmp (v.volume[i].name, only) == 0)
        print_volume (c, &v, &v.volume[i]);
    status = cli_flush (c);
  }
  view_free (&v);
  return status;
}

const struct command command_status = {
    .name = "status",
    .summary = "show what is served, by whom, and how it goes",
    .synopsis = "[URL|NAME]",
    .description =
        "Shows the daemon, each volume with its cache, write lease, hit "
        "ratio,\n"
        "latencies and retained writes, and the processes and workers that\n"
        "serve it. The numbers count from the time when each process began to\n"
        "serve. Starts nothing; root sees what all users of its daemon have.",
    .flags = COMMAND_JSON,
    .args_max = 1,
    .args = {CLI_VOLUME, CLI_WORD},
    .run = run,
};
