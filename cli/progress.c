/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/output.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"

#define NS_PER_S 1000000000ull
#define REDRAW_NS (NS_PER_S / 10)
#define BAR_MAX 60

static unsigned
columns (void)
{
  struct winsize w;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col)
    return w.ws_col;
  return 80;
}

void
progress_begin (struct progress *p, const struct cli *c, const char *what,
                uint64_t first, uint64_t total)
{
  *p = (struct progress){.c = c,
                         .what = what,
                         .first = first,
                         .total = total,
                         .begun_ns = clock_now_ns (),
                         .shown = !c->quiet && isatty (STDERR_FILENO)};
}

static void
draw (struct progress *p, uint64_t done, uint64_t now)
{
  double seconds = (double)(now - p->begun_ns) / NS_PER_S;
  double rate = seconds > 0 ? (double)(done - p->first) / seconds : 0;
  char amount[32], speed[32], line[160], bar[BAR_MAX + 1] = "";
  int used, room;

  cli_bytes (amount, sizeof amount, done);
  cli_bytes (speed, sizeof speed, (uint64_t)rate);
  if (p->total) {
    double left = rate > 0 ? (double)(p->total - done) / rate : 0;

    used =
        snprintf (line, sizeof line, "%3.0f %%  %s  %s/s  %.0f s left",
                  100.0 * (double)done / (double)p->total, amount, speed, left);
  } else
    used = snprintf (line, sizeof line, "%s  %s/s", amount, speed);
  room = (int)columns () - used - (int)strlen (p->what) - 6;
  if (p->total && room >= 8) {
    size_t n = room > BAR_MAX ? BAR_MAX : (size_t)room;
    size_t full = (size_t)((double)n * (double)done / (double)p->total);

    memset (bar, ' ', n);
    memset (bar, '#', full > n ? n : full);
    fprintf (stderr, "\r%s [%s]  %s\033[K", p->what, bar, line);
  } else
    fprintf (stderr, "\r%s  %s\033[K", p->what, line);
  fflush (stderr);
  p->drawn_ns = now;
}

void
progress_update (struct progress *p, uint64_t done)
{
  uint64_t now;

  if (!p->shown)
    return;
  if (p->total && done > p->total)
    done = p->total;
  now = clock_now_ns ();
  if (now - p->drawn_ns >= REDRAW_NS)
    draw (p, done, now);
}

void
progress_end (struct progress *p, uint64_t done)
{
  if (!p->shown)
    return;
  draw (p, p->total && done > p->total ? p->total : done, clock_now_ns ());
  fputc ('\n', stderr);
}
