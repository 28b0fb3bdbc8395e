/* SPDX-License-Identifier: BSD-2-Clause */
/* The help text, from the tables of parameters. */
#include "config.h"
#include "gateway/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocols/params.h"

/* Text that is cut off at the end of its buffer, not beyond. */
struct text {
  char *dst;
  size_t used, size;
};

static void __attribute__ ((format (printf, 2, 3)))
text_add (struct text *t, const char *fmt, ...)
{
  size_t room = t->size - t->used;
  va_list ap;
  int n;

  va_start (ap, fmt);
  n = vsnprintf (t->dst + t->used, room, fmt, ap);
  va_end (ap);
  t->used += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

#define HELP_INDENT 27
#define HELP_COLUMNS 78

static void
help_param (struct text *t, const struct param *p)
{
  char left[64], words[400], *save = NULL;
  int column = HELP_INDENT;

  snprintf (left, sizeof left, "%s=%s", p->key, p->value_name);
  snprintf (words, sizeof words, "%s%s%s%s", p->help,
            p->fallback ? " (default: " : "", p->fallback ? p->fallback : "",
            p->fallback ? ")" : "");
  text_add (t, "  %-*s", HELP_INDENT - 3, left);
  for (char *w = strtok_r (words, " ", &save); w;
       w = strtok_r (NULL, " ", &save)) {
    int n = (int)strlen (w) + 1;

    if (column + n > HELP_COLUMNS) {
      text_add (t, "\n%*s", HELP_INDENT - 1, "");
      column = HELP_INDENT;
    }
    text_add (t, " %s", w);
    column += n;
  }
  text_add (t, "\n");
}

static void
help_table (struct text *t, const struct param *table)
{
  for (const struct param *p = table; p->key; p++)
    if (!(p->flags & PARAM_URL_ONLY))
      help_param (t, p);
}

void
options_help (char *dst, size_t dst_bytes)
{
  struct text t = {dst, 0, dst_bytes};

  dst[0] = 0;
  help_table (&t, options_params ());
  help_table (&t, proto_common_params);
  for (const struct proto_params *p = proto_params_table; p->name; p++) {
    text_add (&t, "%s: %s\n", p->url, p->title);
    help_table (&t, p->params);
  }
  /* nbdkit ends it with a newline of its own. */
  if (t.used && dst[t.used - 1] == '\n')
    dst[t.used - 1] = 0;
}
