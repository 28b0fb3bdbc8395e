/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: what is in bulkhead.conf, a file that a user wrote. */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "cli/conf.h"
#include "gateway/url.h"
#include "protocols/params.h"

/* A text that grows. */
struct text {
  char *bytes;
  size_t length, room;
};

static void
put (struct text *t, const char *s, size_t n)
{
  if (t->room - t->length < n) {
    t->room = 2 * (t->room + n);
    t->bytes = realloc (t->bytes, t->room);
    if (!t->bytes)
      exit (0); /* out of memory: no finding */
  }
  memcpy (t->bytes + t->length, s, n);
  t->length += n;
}

/* In double quotes, and what is not ASCII by number: some of it would be a line
 * end in YAML otherwise. The value is UTF-8; the parser saw to it.
 */
static void
put_quoted (struct text *t, const char *value)
{
  const unsigned char *s = (const unsigned char *)value;
  char escape[16];

  put (t, "\"", 1);
  while (*s) {
    unsigned more = *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : *s >= 0xc0 ? 1 : 0;
    unsigned long code = *s & (more ? 0x3fu >> more : 0x7fu);

    MUST (*s >= 0x20 && *s != 0x7f && (*s < 0x80 || more));
    for (s++; more; more--, s++) {
      MUST ((*s & 0xc0) == 0x80);
      code = code << 6 | (*s & 0x3fu);
    }
    if (code >= 0x20 && code < 0x7f && code != '"' && code != '\\')
      escape[0] = (char)code, escape[1] = 0;
    else
      snprintf (escape, sizeof escape, "\\U%08lX", code);
    put (t, escape, strlen (escape));
  }
  put (t, "\"", 1);
}

static void
put_volume (struct text *t, const struct conf_volume *v)
{
  put_quoted (t, v->name);
  put (t, ": {", 3);
  for (unsigned i = 0; i < v->pairs; i++) {
    put_quoted (t, v->pair[i].key);
    put (t, ": ", 2);
    put_quoted (t, v->pair[i].value);
    put (t, i + 1 < v->pairs ? ", " : "}\n", 2);
  }
}

/* conf.h: which limits are kept, and that no file holds a secret. */
static void
check_volume (const struct conf *c, const struct conf_volume *v, unsigned lines)
{
  struct volume_spec *spec = calloc (1, sizeof *spec);
  struct fault f;

  if (!spec)
    return;
  MUST (conf_is_name (v->name) && conf_find (c, v->name) == v);
  MUST (v->line && v->line <= lines && v->pairs <= OPTIONS_PAIRS);
  MUST (conf_value (v, "url") && !url_parse (conf_value (v, "url"), spec, &f));
  for (unsigned i = 0; i < v->pairs; i++) {
    const struct conf_pair *p = &v->pair[i];
    const struct param *param =
        param_find (proto_params_find (spec->proto)->params, p->key);

    MUST (p->line >= v->line && p->line <= lines);
    MUST (conf_value (v, p->key) == p->value);
    if (param && param->type == PARAM_SECRET)
      MUST (p->value[0] == '+' || strncmp (p->value, "credential:", 11) == 0);
  }
  free (spec);
}

static void
check_same (const struct conf *a, const struct conf *b)
{
  MUST (a->volumes == b->volumes);
  for (unsigned i = 0; i < a->volumes; i++) {
    const struct conf_volume *v = a->volume[i], *w = b->volume[i];

    MUST (strcmp (v->name, w->name) == 0 && v->pairs == w->pairs);
    for (unsigned k = 0; k < v->pairs; k++)
      MUST (strcmp (v->pair[k].key, w->pair[k].key) == 0
            && strcmp (v->pair[k].value, w->pair[k].value) == 0);
  }
}

/* What was read can be written, and is read as the same again. As a second file
 * it adds nothing.
 */
static void
check_again (struct conf *c)
{
  struct conf again = {0};
  struct text t = {0};
  struct fault f = {0};

  put (&t, "volumes:\n", 9);
  for (unsigned i = 0; i < c->volumes; i++) {
    put (&t, " ", 1);
    put_volume (&t, c->volume[i]);
  }
  if (t.length <= CONF_BYTES) {
    MUST (!conf_parse ("again", t.bytes, t.length, &again, &f));
    check_same (c, &again);
    if (c->volumes < CONF_VOLUMES) {
      MUST (!conf_parse ("second", t.bytes, t.length, c, &f));
      check_same (c, &again);
    }
  }
  conf_free (&again);
  free (t.bytes);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct conf c = {0};
  struct fault f = {0};
  unsigned lines = 1;

  /* CR, LF, NEL, LS and PS each end a line of YAML: no more than that. */
  for (size_t i = 0; i < size; i++)
    lines += data[i] == '\n' || data[i] == '\r' || data[i] >= 0x80;
  if (conf_parse ("file", (const char *)data, size, &c, &f)) {
    /* The words are for a terminal. */
    MUST (strncmp (f.text, "file", 4) == 0 || strstr (f.text, "memory"));
    for (const char *s = f.text; *s; s++)
      MUST ((unsigned char)*s >= 0x20 && *s != 0x7f);
  } else {
    for (unsigned i = 0; i < c.volumes; i++)
      check_volume (&c, c.volume[i], lines);
    check_again (&c);
  }
  conf_free (&c);
  return 0;
}
