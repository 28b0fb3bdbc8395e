/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead top: the same as status, live. Each turn asks the daemon anew; what
 * is shown is the difference to the turn before.
 */
#include "config.h"
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/session.h"
#include "cli/units.h"
#include "cli/view.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/sandbox.h"

#include <ncurses.h> /* last: its COLOR_RED is another one */

#define NAME_MIN 16
#define COLUMNS_WIDTH 56 /* all but the name */

enum sort { SORT_NAME, SORT_READ, SORT_WRITE, SORT_LATENCY, SORTS };

static const char *const sort_words[SORTS] = {"name", "read", "write", "p99"};

/* One line of a volume. */
struct row {
  const struct view_volume *volume;
  bool rated; /* it was there the turn before */
  double hit_ratio, read_rate, write_rate, request_rate;
  double depth; /* requests under way, on average */
  uint64_t p50_ns, p99_ns;
};

struct top {
  const struct cli *cli;
  double interval_s;
  int sock;
  struct view now, before;
  uint64_t now_ns, before_ns;
  struct row *row;
  unsigned rows;
  enum sort sort;
  bool paused, workers, help, color;
  unsigned first; /* line of the list at the top of the screen */
  struct fault fault;
};

/* What has happened since. */

static const struct view_volume *
same_before (const struct top *t, const struct view_volume *v)
{
  for (unsigned i = 0; i < t->before.volumes; i++) {
    const struct view_volume *b = &t->before.volume[i];

    if (b->id == v->id && !b->volume == !v->volume
        && t->before.status.daemon.pid == t->now.status.daemon.pid)
      return b;
  }
  return NULL;
}

static void
rate (struct row *r, const struct stats *d, double seconds)
{
  uint64_t bucket[STATS_BUCKETS] = {0}, busy_ns = 0, requests = 0;

  for (unsigned op = 0; op < STATS_OPS; op++) {
    requests += d->op[op].requests;
    busy_ns += d->op[op].busy_ns;
    if (op != STATS_CACHED)
      for (unsigned k = 0; k < STATS_BUCKETS; k++)
        bucket[k] += d->op[op].bucket[k];
  }
  /* Those that the cache answers are sampled. */
  for (unsigned k = 0; k < STATS_BUCKETS; k++)
    bucket[k] += d->op[STATS_CACHED].bucket[k] * STATS_SAMPLE;
  r->hit_ratio = view_hit_ratio (d);
  r->read_rate = (double)(d->op[STATS_CACHED].bytes + d->op[STATS_READ].bytes)
                 / seconds;
  r->write_rate = (double)d->op[STATS_WRITE].bytes / seconds;
  r->request_rate = (double)requests / seconds;
  r->depth = (double)busy_ns / 1e9 / seconds;
  r->p50_ns = stats_percentile_ns (bucket, 0.50);
  r->p99_ns = stats_percentile_ns (bucket, 0.99);
}

static void
make_rows (struct top *t)
{
  CLEANUP_FREE struct stats *d = malloc (sizeof *d);
  double seconds = (double)(t->now_ns - t->before_ns) / 1e9;

  free (t->row);
  t->row = calloc (t->now.volumes + 1, sizeof *t->row);
  t->rows = 0;
  for (unsigned i = 0; t->row && d && i < t->now.volumes; i++) {
    struct row *r = &t->row[t->rows++];
    const struct view_volume *b = same_before (t, &t->now.volume[i]);

    r->volume = &t->now.volume[i];
    r->hit_ratio = -1;
    r->rated = b && seconds > 0;
    if (r->rated) {
      stats_since (&r->volume->stats, &b->stats, d);
      rate (r, d, seconds);
    }
  }
}

static int
compare (const void *a, const void *b, void *sort)
{
  const struct row *x = a, *y = b;
  double d = 0;

  switch (*(enum sort *)sort) {
  case SORT_READ:
    d = y->read_rate - x->read_rate;
    break;
  case SORT_WRITE:
    d = y->write_rate - x->write_rate;
    break;
  case SORT_LATENCY:
    d = (double)y->p99_ns - (double)x->p99_ns;
    break;
  case SORT_NAME:
  case SORTS:
    break;
  }
  if (d > 0 || d < 0)
    return d > 0 ? 1 : -1;
  return strcmp (x->volume->name, y->volume->name);
}

/* A daemon that goes is waited for. */
static void
refresh_data (struct top *t)
{
  struct view v;

  t->fault.text[0] = 0;
  if (view_take (&t->sock, &v, &t->fault))
    return;
  view_free (&t->before);
  t->before = t->now;
  t->before_ns = t->now_ns;
  t->now = v;
  t->now_ns = clock_now_ns ();
  make_rows (t);
}

/* The screen */

static void
colour (const struct top *t, short pair, int attributes, bool on)
{
  int a = attributes | (t->color ? COLOR_PAIR (pair) : 0);

  if (on)
    attron (a);
  else
    attroff (a);
}

enum { PAIR_GOOD = 1, PAIR_BAD, PAIR_WARN, PAIR_HEAD };

/* At most columns wide, whatever the text. */
static void
put (int y, int x, int columns, const char *text)
{
  char clean[1200];

  cli_clean (clean, sizeof clean, text);
  if (y < LINES && x < COLS && columns > 0)
    mvaddnstr (y, x, clean, columns < COLS - x ? columns : COLS - x);
}

/* Of a name that is too long the end counts most. */
static void
put_name (int y, int columns, const char *name)
{
  size_t n = strlen (name), keep = strcspn (name, ":") + 1;
  char text[STATUS_NAME_BYTES];

  if (n <= (size_t)columns || columns < (int)keep + 6)
    snprintf (text, sizeof text, "%s", name);
  else
    snprintf (text, sizeof text, "%.*s..%s", (int)keep, name,
              name + n - ((size_t)columns - keep - 2));
  put (y, 0, columns, text);
}

static void
put_rate (int y, int x, double bytes)
{
  static const char units[] = " KMGT";
  char text[16];
  unsigned u = 0;

  for (; bytes >= 1000 && units[u + 1]; u++)
    bytes /= 1024;
  snprintf (text, sizeof text, bytes < 10 && u ? "%7.1f%c" : "%7.0f%c", bytes,
            units[u]);
  put (y, x, 8, text);
}

static void
put_time (int y, int x, uint64_t ns)
{
  char text[32], padded[40];

  if (ns)
    units_time (text, sizeof text, ns);
  else
    strcpy (text, "-");
  snprintf (padded, sizeof padded, "%8s", text);
  put (y, x, 8, padded);
}

static void
draw_head (const struct top *t)
{
  const struct status_daemon *d = &t->now.status.daemon;
  char text[256], used[32], all[32], age[32];

  if (!t->now.found)
    snprintf (text, sizeof text, "no bulkheadd runs: nothing is served");
  else {
    cli_bytes (used, sizeof used, d->cache_pages_used * 4096);
    cli_bytes (all, sizeof all, d->cache_pages * 4096);
    units_time (age, sizeof age, d->age_ns);
    snprintf (text, sizeof text,
              "bulkheadd %.20s pid %u, for %s   cache %s of %s   %u volume%s",
              d->version, d->pid, age, used, all, t->now.volumes,
              t->now.volumes == 1 ? "" : "s");
  }
  put (0, 0, COLS, text);
  snprintf (text, sizeof text, "sorted by %s, every %.3g s%s",
            sort_words[t->sort], t->interval_s, t->paused ? "   PAUSED" : "");
  put (1, 0, COLS, text);
}

static int
name_width (void)
{
  int w = COLS - COLUMNS_WIDTH;

  return w < NAME_MIN ? NAME_MIN : w;
}

static void
draw_titles (const struct top *t)
{
  int x = name_width ();

  colour (t, PAIR_HEAD, A_REVERSE, true);
  mvhline (3, 0, ' ', COLS);
  put (3, 0, x, "VOLUME");
  put (3, x, COLS, " STATE    HIT%   READ/s  WRITE/s   REQ/s     P50     P99");
  colour (t, PAIR_HEAD, A_REVERSE, false);
}

static void
draw_row (const struct top *t, const struct row *r, int y)
{
  const char *state = view_state (r->volume);
  bool bad = strcmp (state, "down") == 0 || strcmp (state, "failed") == 0;
  short pair = bad                              ? PAIR_BAD
               : strcmp (state, "ready") == 0 ? PAIR_GOOD
                                                : PAIR_WARN;
  int x = name_width ();
  char text[64];

  put_name (y, x, r->volume->name);
  colour (t, pair, bad ? A_BOLD : 0, true);
  put (y, x + 1, 8, state);
  colour (t, pair, bad ? A_BOLD : 0, false);
  if (r->hit_ratio >= 0)
    snprintf (text, sizeof text, "%4.0f", 100 * r->hit_ratio);
  else
    strcpy (text, "   -");
  put (y, x + 10, 4, text);
  put_rate (y, x + 15, r->read_rate);
  put_rate (y, x + 24, r->write_rate);
  snprintf (text, sizeof text, "%7.0f", r->request_rate);
  put (y, x + 33, 7, text);
  put_time (y, x + 40, r->p50_ns);
  put_time (y, x + 48, r->p99_ns);
}

static void
draw_detail (const struct row *r, int y)
{
  const struct view_volume *v = r->volume;
  char text[400], retained[32], down[32] = "";

  cli_bytes (retained, sizeof retained, v->stats.gauge[STATS_RETAINED_BYTES]);
  if (v->down_ns)
    units_time (down, sizeof down, v->down_ns);
  snprintf (text, sizeof text,
            "  queue %llu (%.1f on average)  retained %s  %u of %u workers, %u "
            "restarts%s%s",
            (unsigned long long)v->stats.gauge[STATS_IN_FLIGHT], r->depth,
            retained, v->ready, v->workers, v->restarts,
            down[0] ? "  down for " : "", down);
  attron (A_DIM);
  put (y, 0, COLS, text);
  attroff (A_DIM);
}

static void
draw_worker (const struct status_gateway *g, const struct status_worker *w,
             int y)
{
  char text[640], since[32], layers[400], lanes[32] = "";

  units_time (since, sizeof since, w->since_ns);
  if (w->lanes > 1)
    snprintf (lanes, sizeof lanes, ", %u connections", w->lanes);
  if (w->layers)
    sbx_layers_text (w->layers, layers, sizeof layers);
  else
    strcpy (layers, w->pid ? "layers not known" : "");
  snprintf (text, sizeof text,
            "    worker %u of pid %u: %s %s, %u restarts%s  %s", w->pid, g->pid,
            status_worker_word (w->state), since, w->restarts, lanes,
            w->pid ? layers : w->why);
  attron (A_DIM);
  put (y, 0, COLS, text);
  attroff (A_DIM);
}

/* Line by line, from t->first on. Returns how many lines there are in all. */
static unsigned
draw_list (const struct top *t)
{
  unsigned line = 0;
  int bottom = LINES - 1;

#define VISIBLE                                                                \
  (line >= t->first && 4 + (int)(line - t->first) < bottom)
#define Y (4 + (int)(line - t->first))
  for (unsigned i = 0; i < t->rows; i++) {
    const struct row *r = &t->row[i];

    if (VISIBLE)
      draw_row (t, r, Y);
    line++;
    if (VISIBLE)
      draw_detail (r, Y);
    line++;
    for (unsigned k = 0; t->workers && k < t->now.status.gateways; k++) {
      const struct status_gateway *g = &t->now.status.gateway[k];

      for (unsigned w = 0; view_serves (r->volume, g) && w < g->workers; w++) {
        if (VISIBLE)
          draw_worker (g, &g->worker[w], Y);
        line++;
      }
    }
  }
#undef VISIBLE
#undef Y
  return line;
}

static void
draw (struct top *t)
{
  unsigned lines;

  erase ();
  qsort_r (t->row, t->rows, sizeof *t->row, compare, &t->sort);
  draw_head (t);
  draw_titles (t);
  lines = draw_list (t);
  if (t->first && t->first >= lines)
    t->first = lines ? lines - 1 : 0;
  if (t->fault.text[0])
    put (LINES - 1, 0, COLS, t->fault.text);
  else
    put (LINES - 1, 0, COLS,
         "q quit  s sort  p pause  w workers  + - faster, slower  arrows "
         "scroll");
  refresh ();
}

/* Keys. False: the end. */
static bool
key (struct top *t, int k)
{
  switch (k) {
  case 'q':
  case 'Q':
    return false;
  case 's':
    t->sort = (t->sort + 1) % SORTS;
    break;
  case 'p':
  case ' ':
    t->paused = !t->paused;
    break;
  case 'w':
    t->workers = !t->workers;
    break;
  case '+':
    t->interval_s = t->interval_s > 0.2 ? t->interval_s / 2 : 0.1;
    break;
  case '-':
    t->interval_s = t->interval_s < 30 ? t->interval_s * 2 : 60;
    break;
  case KEY_DOWN:
    t->first++;
    break;
  case KEY_UP:
    t->first -= t->first > 0;
    break;
  default: /* KEY_RESIZE: it is drawn anew in any case */
    break;
  }
  return true;
}

static void
watch (struct top *t)
{
  uint64_t next_ns = 0;

  while (!session_interrupted ()) {
    uint64_t now = clock_now_ns ();
    int k;

    if (!t->paused && now >= next_ns) {
      refresh_data (t);
      next_ns = now + (uint64_t)(t->interval_s * 1e9);
    }
    draw (t);
    now = clock_now_ns ();
    timeout (t->paused || now >= next_ns
                 ? 200
                 : (int)((next_ns - now) / 1000000 + 1));
    k = getch ();
    if (k != ERR && !key (t, k))
      return;
    if (k == ERR && !isatty (STDIN_FILENO))
      return;
  }
}

static void
screen_begin (struct top *t)
{
  cbreak ();
  noecho ();
  keypad (stdscr, TRUE);
  curs_set (0);
  t->color = t->cli->color_out && has_colors () && start_color () == OK;
  if (!t->color)
    return;
  use_default_colors ();
  init_pair (PAIR_GOOD, COLOR_GREEN, -1);
  init_pair (PAIR_BAD, COLOR_RED, -1);
  init_pair (PAIR_WARN, COLOR_YELLOW, -1);
  init_pair (PAIR_HEAD, -1, -1);
}

static enum err
take_interval (const struct cli *c, double *ret, struct fault *f)
{
  const char *value = cli_value (c, "interval");
  char *end = NULL;
  double v = value ? strtod (value, &end) : 1;

  if (value && (end == value || *end || !(v >= 0.1 && v <= 60)))
    return fault_set (f, ERR_INVAL,
                      "--interval=%s is not a number from 0.1 to 60", value);
  *ret = v;
  return ERR_OK;
}

static enum cli_status
run (struct cli *c)
{
  struct top t = {.cli = c, .sock = -1, .workers = true};
  struct fault f = {0};
  SCREEN *screen;

  if (take_interval (c, &t.interval_s, &f))
    return cli_fault (c, &f);
  if (!isatty (STDIN_FILENO) || !isatty (STDOUT_FILENO)) {
    fault_set (&f, ERR_INVAL, "top needs a terminal");
    fault_hint (&f, "bulkhead status --json is for programs");
    return cli_fault (c, &f);
  }
  /* What is wrong already is told before the screen is taken. */
  refresh_data (&t);
  if (t.fault.text[0])
    return cli_fault (c, &t.fault);
  session_catch_signals ();
  screen = newterm (NULL, stdout, stdin);
  if (!screen) {
    fault_set (&f, ERR_NOTSUP, "the terminal \"%s\" is not known",
               getenv ("TERM") ? getenv ("TERM") : "");
    fault_hint (&f, "set TERM to what it is; apt-get install ncurses-term");
    return cli_fault (c, &f);
  }
  screen_begin (&t);
  watch (&t);
  endwin ();
  delscreen (screen);
  cleanup_close (&t.sock);
  view_free (&t.now);
  view_free (&t.before);
  free (t.row);
  return CLI_OK;
}

static const struct cli_option options[] = {
    {"interval", 'i', "SECONDS", CLI_WORD,
     "look so often, 0.1 to 60 (default: 1)"},
    {0},
};

const struct command command_top = {
    .name = "top",
    .summary = "watch what is served, live in the terminal",
    .synopsis = "",
    .description = "Shows each volume's state, hit ratio, bandwidth, requests, "
                   "latencies,\n"
                   "queue, retained bytes and workers, once a second.\n\n"
                   "Keys: q quit, s sort by name, read, write or p99, p pause, "
                   "w workers,\n"
                   "+ and - look more or less often, arrows scroll.",
    .options = options,
    .run = run,
};
