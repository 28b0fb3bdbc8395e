/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

void
log_write (const struct log *l, enum log_level level, const char *fmt, ...)
{
  char line[1024];
  va_list ap;

  if (!l || !l->emit || level > l->level)
    return;
  va_start (ap, fmt);
  vsnprintf (line, sizeof line, fmt, ap);
  va_end (ap);
  text_clean (line);
  l->emit (l->ctx, level, line);
}

void
log_fault (const struct log *l, const char *where, const struct fault *f)
{
  if (f->hint[0])
    log_write (l, LOG_LEVEL_ERROR, "%s: %s; %s", where, f->text, f->hint);
  else
    log_write (l, LOG_LEVEL_ERROR, "%s: %s", where, f->text);
}

void
log_emit_stderr (void *ctx, enum log_level level, const char *line)
{
  static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
  char out[1152];
  int n = snprintf (out, sizeof out, "%s: %s%s\n", (const char *)ctx,
                    names[level], line);

  if (n > (int)sizeof out - 1) {
    n = sizeof out - 1;
    out[n - 1] = '\n';
  }
  /* A log that cannot be written has nowhere to say so. */
  ssize_t ignored = write (STDERR_FILENO, out, (size_t)n);
  (void)ignored;
}
