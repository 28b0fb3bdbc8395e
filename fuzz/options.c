/* SPDX-License-Identifier: BSD-2-Clause */
/* What a user gives nbdkit: KEY=VALUE lines, the first may be a URL alone.
 * Files that are named are opened, for reading.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "gateway/options.h"

static int
secret (const char *value, char **ret)
{
  *ret = strdup (value);
  return *ret ? 0 : -1;
}

static void
check (const struct options *o)
{
  uint8_t *body = malloc (CONTROL_BODY_BYTES);
  struct wirebuf b = wirebuf_init (body, CONTROL_BODY_BYTES);
  struct volume_spec again;
  struct wire w;

  if (!body)
    return;
  MUST (o->spec.proto[0] && volume_spec_get (&o->spec, "host"));
  MUST (o->link.connections && o->link.connections <= CHANNEL_PATHS);
  MUST (o->fds <= CONTROL_FILES);
  volume_spec_put (&b, &o->spec);
  w = wire_init (body, b.used_bytes);
  MUST (!b.err && !volume_spec_take (&w, o->fds, &again) && !wire_end (&w));
  free (body);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const struct log quiet;
  struct options *o = calloc (1, sizeof *o);
  char *text = malloc (size + 1), *save = NULL;
  struct fault f = {0};
  enum err e = ERR_OK;

  if (!o || !text) {
    free (o);
    free (text);
    return 0;
  }
  setenv ("HOME", "/nonexistent", 1);
  unsetenv ("SSH_AUTH_SOCK");
  memcpy (text, data, size);
  text[size] = 0;
  for (char *line = strtok_r (text, "\n", &save); line && !e;
       line = strtok_r (NULL, "\n", &save)) {
    char *eq = strchr (line, '=');

    if (eq)
      *eq = 0;
    e = options_add (o, eq ? line : "url", eq ? eq + 1 : line, &f);
  }
  if (!e)
    e = options_resolve (o, &quiet, secret, &f);
  MUST (!e || f.text[0]);
  if (!e)
    check (o);
  options_free (o);
  free (o);
  free (text);
  return 0;
}
