/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead list: what is attached; for root from the supervisors' own words,
 * for everybody else from what the kernel shows.
 */
#include "config.h"
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/attach_state.h"
#include "cli/block.h"
#include "cli/output.h"
#include "cli/view.h"

struct listing_of {
  const char *dir;
  unsigned left; /* behind */
  struct table table;
  json_t *json;
};

static void
add (struct listing_of *l, int index, const struct attach_state *s,
     const char *name, const char *state)
{
  char device[32], size[32], connections[32], restarts[32];
  uint64_t bytes = block_size_bytes (index);

  snprintf (device, sizeof device, "/dev/nbd%d", index);
  cli_bytes (size, sizeof size, bytes);
  table_cell (&l->table, "%s", device);
  table_cell (&l->table, "%s", size);
  table_cell (&l->table, "%s%s", state, s && s->readonly ? ", read-only" : "");
  snprintf (connections, sizeof connections, "%u", s ? s->connections : 0);
  snprintf (restarts, sizeof restarts, "%llu",
            s ? (unsigned long long)s->restarts : 0);
  table_cell (&l->table, "%s", s ? connections : "");
  table_cell (&l->table, "%s", s ? restarts : "");
  table_cell (&l->table, "%s", name);
  json_array_append_new (
      l->json,
      json_pack ("{s:s, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                 "device", device, "volume", view_json_text (name), "size",
                 (json_int_t)bytes, "state", state, "url",
                 s ? json_string (s->url) : json_null (),
                 "readonly", s ? json_boolean (s->readonly) : json_null (),
                 "connections",
                 s ? json_integer (s->connections) : json_null (), "restarts",
                 s ? json_integer ((json_int_t)s->restarts) : json_null (),
                 "pid", s ? json_integer (s->pid) : json_null (), "since",
                 s ? json_integer (s->since_s) : json_null (), "why",
                 s && s->why[0] ? json_string (s->why) : json_null ()));
}

static bool
each (void *ctx, int index)
{
  struct listing_of *l = ctx;
  char backend[BLOCK_BACKEND_BYTES];
  struct attach_state s;
  struct fault f;

  if (!block_connected (index))
    return true;
  block_backend (index, backend);
  if (strncmp (backend, ATTACH_BACKEND, strlen (ATTACH_BACKEND)) != 0)
    return true;
  if (!attach_state_alive (l->dir, index)) {
    l->left += geteuid () == 0;
    add (l, index, NULL, backend + strlen (ATTACH_BACKEND),
         geteuid () == 0 ? "left behind" : "attached");
  } else if (attach_state_read (l->dir, index, &s, &f))
    add (l, index, NULL, backend + strlen (ATTACH_BACKEND), "attached");
  else
    add (l, index, &s, s.name, s.state);
  return true;
}

static enum cli_status
run (struct cli *c)
{
  static const char *const head[] = {"DEVICE",      "SIZE",     "STATE",
                                     "CONNECTIONS", "RESTARTS", "VOLUME"};
  struct listing_of l = {
      .table = {.columns = 6, .right = {false, true, false, true, true}}};
  char dir[ATTACH_DIR_BYTES];
  enum cli_status status;
  struct fault f = {0};

  if (attach_dir (dir, &f))
    return cli_fault (c, &f);
  l.dir = dir;
  l.json = json_array ();
  for (unsigned i = 0; i < 6; i++)
    table_cell (&l.table, "%s", head[i]);
  block_each (each, &l);
  if (c->json)
    status = cli_json (c, json_incref (l.json));
  else {
    if (l.table.cells > 6)
      table_print (&l.table, c, stdout);
    else
      cli_note (c, "nothing is attached");
    if (l.left)
      cli_note (c, "left behind: bulkhead attach VOLUME takes it up again, "
                   "bulkhead detach DEVICE ends it");
    status = cli_flush (c);
  }
  json_decref (l.json);
  table_fini (&l.table);
  return status;
}

const struct command command_list = {
    .name = "list",
    .summary = "show what is attached",
    .synopsis = "",
    .description = "Shows the devices that bulkhead attach has made.",
    .flags = COMMAND_JSON,
    .args_max = 0,
    .run = run,
};
