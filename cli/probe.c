/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead probe: opens a volume, says what it is and what its server can do,
 * and closes it. Writes nothing.
 */
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
#include "common/clock.h"
#include "sandbox/sandbox.h"

#define ROUNDS 20u

struct finding {
  char name[STATUS_NAME_BYTES];
  char proto[16];
  struct volume_info info;
  struct ability ability[ABILITIES];
  uint32_t layers; /* 0: not known */
  uint64_t opened_ns;
  unsigned rounds; /* 0: nothing could be read */
  uint64_t round_ns[ROUNDS];
};

static int
compare_ns (const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

/* Small reads that nothing answers but the server (cache=off, prefetch=0). */
static enum err
measure (struct session *s, struct finding *r, struct fault *f)
{
  uint64_t blocks = r->info.size / r->info.block_min;
  CLEANUP_FREE uint8_t *buf = malloc (r->info.block_min);

  if (!buf)
    return fault_set (f, ERR_NOMEM, "out of memory");
  for (unsigned i = 0; blocks && i < ROUNDS; i++) {
    uint64_t at = (blocks - 1) * i / ROUNDS * r->info.block_min;
    uint64_t began_ns = clock_now_ns ();
    int error = link_read (s->link, buf, r->info.block_min, at);

    if (error)
      return fault_set (f, err_from_errno (error), "cannot read at %llu: %s",
                        (unsigned long long)at, strerrordesc_np (error));
    r->round_ns[r->rounds++] = clock_now_ns () - began_ns;
  }
  qsort (r->round_ns, r->rounds, sizeof r->round_ns[0], compare_ns);
  return ERR_OK;
}

/* The daemon knows what our worker has given up. */
static void
ask_layers (struct finding *r)
{
  CLEANUP_CLOSE int sock = -1;
  struct fault f;
  struct view v;

  if (view_take (&sock, &v, &f))
    return;
  for (unsigned i = 0; i < v.status.gateways; i++) {
    const struct status_gateway *g = &v.status.gateway[i];

    if (g->pid == (uint32_t)getpid () && g->workers)
      r->layers = g->worker[0].layers;
  }
  view_free (&v);
}

static enum err
look (struct session *s, struct finding *r, struct fault *f)
{
  enum err e;

  if ((e = session_set (s, "cache", "off", f))
      || (e = session_set (s, "prefetch", "0", f))
      || (e = session_open_volume (s, f)))
    return e;
  session_name (s, r->name, sizeof r->name);
  snprintf (r->proto, sizeof r->proto, "%s", s->options.spec.proto);
  r->info = *link_info (s->link);
  if (s->options.readonly)
    r->info.caps &= ~(uint32_t)VOLUME_CAN_WRITE;
  r->opened_ns = s->opened_ns;
  units_abilities (r->proto, r->info.caps, r->ability);
  ask_layers (r);
  return measure (s, r, f);
}

static json_t *
as_json (const struct finding *r)
{
  json_t *abilities = json_object (), *layers = json_array ();

  for (unsigned i = 0; i < ABILITIES; i++)
    json_object_set_new (abilities, r->ability[i].json_name,
                         json_pack ("{s:b, s:s}", "native",
                                    (int)r->ability[i].native, "means",
                                    r->ability[i].means));
#define X(bit, name, text, mandatory)                                          \
  if (r->layers & (1u << (bit)))                                               \
    json_array_append_new (layers, json_string (text));
  SBX_LAYER_TABLE (X)
#undef X
  return json_pack (
      "{s:o, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:o, "
      "s:o}",
      "name", view_json_text (r->name), "protocol", r->proto, "size",
      (json_int_t)r->info.size, "block_min", (json_int_t)r->info.block_min,
      "block_preferred", (json_int_t)r->info.block_preferred, "request_max",
      (json_int_t)r->info.request_max, "readonly",
      json_boolean (!(r->info.caps & VOLUME_CAN_WRITE)), "readonly_because",
      view_json_text (r->info.readonly_why), "remarks",
      view_json_text (r->info.remarks), "identity",
      view_json_text (r->info.identity), "can", abilities, "opened_ns",
      (json_int_t)r->opened_ns, "round_trip",
      r->rounds ? json_pack ("{s:I, s:I, s:I}", "min_ns",
                             (json_int_t)r->round_ns[0], "median_ns",
                             (json_int_t)r->round_ns[r->rounds / 2], "max_ns",
                             (json_int_t)r->round_ns[r->rounds - 1])
                : json_null (),
      "sandbox", layers);
}

static void
print (const struct cli *c, const struct finding *r)
{
  char text[400], low[32], high[32], block[32];

  printf ("%s%s%s\n", cli_color (c->color_out, COLOR_BOLD), r->name,
          cli_color_end (c->color_out));
  cli_bytes (text, sizeof text, r->info.size);
  printf ("  size          %s (%llu bytes)\n", text,
          (unsigned long long)r->info.size);
  cli_bytes (text, sizeof text, r->info.request_max);
  cli_bytes (block, sizeof block, r->info.block_min);
  printf ("  blocks        of %s, better of %u; at most %s a request\n", block,
          r->info.block_preferred, text);
  for (unsigned i = 0; i < ABILITIES; i++)
    printf ("  %-13s %s%s%s\n", r->ability[i].name,
            cli_color (c->color_out,
                       r->ability[i].native ? COLOR_GREEN : COLOR_YELLOW),
            r->ability[i].means, cli_color_end (c->color_out));
  if (r->info.readonly_why[0]) {
    cli_clean (text, sizeof text, r->info.readonly_why);
    printf ("  read-only     %s\n", text);
  }
  if (r->info.remarks[0]) {
    cli_clean (text, sizeof text, r->info.remarks);
    printf ("  remarks       %s\n", text);
  }
  units_time (text, sizeof text, r->opened_ns);
  printf ("  opened in     %s\n", text);
  if (r->rounds) {
    units_time (text, sizeof text, r->round_ns[r->rounds / 2]);
    units_time (low, sizeof low, r->round_ns[0]);
    units_time (high, sizeof high, r->round_ns[r->rounds - 1]);
    printf ("  round trip    %s (%s to %s, %u reads of %s)\n", text, low, high,
            r->rounds, block);
  } else
    printf ("  round trip    not measured, as there is nothing to read\n");
  if (r->layers)
    sbx_layers_text (r->layers, text, sizeof text);
  fputs ("  sandbox       ", stdout);
  cli_words (16, r->layers ? text : "not known");
}

static enum cli_status
run (struct cli *c)
{
  CLEANUP_FREE struct finding *r = calloc (1, sizeof *r);
  enum cli_status status;
  struct session s = {.cli = c};
  struct fault f = {0};
  unsigned next = 0;
  enum err e = r ? session_take (&s, c, 0, &next, &f)
                 : fault_set (&f, ERR_NOMEM, "out of memory");

  session_catch_signals ();
  if (!e && next < c->args)
    e = fault_set (&f, ERR_INVAL, "\"%s\" is not KEY=VALUE", c->arg[next]);
  if (!e)
    e = look (&s, r, &f);
  if (e)
    status = cli_fault (c, &f);
  else if (c->json)
    status = cli_json (c, as_json (r));
  else {
    print (c, r);
    status = cli_flush (c);
  }
  session_close (&s);
  return status;
}

const struct command command_probe = {
    .name = "probe",
    .summary = "say what a volume is, and what its server can do",
    .synopsis = "URL|NAME [KEY=VALUE]...",
    .description =
        "Opens a volume as nbdkit would, and shows its size and blocks, what\n"
        "flush, FUA, trim, zero and block status become there, how long a\n"
        "small read takes, and the walls around its worker. Writes nothing.",
    .flags = COMMAND_JSON | COMMAND_PARAMETERS | COMMAND_LOOKS,
    .args_min = 1,
    .args_max = OPTIONS_PAIRS,
    .args = {CLI_VOLUME, CLI_WORD},
    .run = run,
};
