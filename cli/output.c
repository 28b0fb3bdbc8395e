/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/output.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"

static const char *const escapes[] = {
    [COLOR_PLAIN] = "",          [COLOR_BOLD] = "\033[1m",
    [COLOR_RED] = "\033[31m",    [COLOR_GREEN] = "\033[32m",
    [COLOR_YELLOW] = "\033[33m", [COLOR_DIM] = "\033[2m",
};

const char *
cli_color (bool welcome, enum cli_color color)
{
  return welcome ? escapes[color] : "";
}

const char *
cli_color_end (bool welcome)
{
  return welcome ? "\033[0m" : "";
}

enum cli_status
cli_status_of (enum err e)
{
  switch (e) {
  case ERR_OK:
    return CLI_OK;
  case ERR_INVAL:
  case ERR_LIMIT:
    return CLI_USAGE;
  case ERR_NOENT:
    return CLI_NOT_FOUND;
  case ERR_ACCESS:
  case ERR_AUTH:
  case ERR_HOSTKEY:
  case ERR_ROFS:
    return CLI_REFUSED;
  case ERR_RESOLVE:
  case ERR_DIAL:
  case ERR_TIMEOUT:
    return CLI_UNREACHABLE;
  case ERR_AGAIN:
    return CLI_BUSY;
  case ERR_NOTSUP:
  case ERR_SANDBOX:
    return CLI_MISSING;
  default:
    return CLI_FAILED;
  }
}

enum cli_status
cli_fault (const struct cli *c, const struct fault *f)
{
  fprintf (stderr, "bulkhead: %s%s%s\n", cli_color (c->color_err, COLOR_RED),
           f->text, cli_color_end (c->color_err));
  if (f->hint[0])
    fprintf (stderr, "bulkhead: %s\n", f->hint);
  return cli_status_of (f->code);
}

void
cli_note (const struct cli *c, const char *fmt, ...)
{
  char text[1024], clean[1024];
  va_list ap;

  if (c->quiet)
    return;
  va_start (ap, fmt);
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  cli_clean (clean, sizeof clean, text);
  fprintf (stderr, "bulkhead: %s\n", clean);
}

enum cli_status
cli_flush (const struct cli *c)
{
  struct fault f;

  if (fflush (stdout) == 0 && !ferror (stdout))
    return CLI_OK;
  fault_set (&f, ERR_IO, "the output cannot be written: %s",
             strerrordesc_np (errno));
  return cli_fault (c, &f);
}

enum cli_status
cli_json (const struct cli *c, json_t *value)
{
  struct fault f;
  int failed =
      !value
      || json_dumpf (value, stdout, JSON_INDENT (2) | JSON_ENCODE_ANY) < 0;

  json_decref (value);
  if (!failed) {
    putchar ('\n');
    return cli_flush (c);
  }
  fault_set (&f, ERR_IO, "the output cannot be made or written");
  return cli_fault (c, &f);
}

void
cli_clean (char *dst, size_t dst_bytes, const char *text)
{
  snprintf (dst, dst_bytes, "%s", text);
  text_clean (dst);
}

void
cli_words (unsigned indent, const char *text)
{
  unsigned column = indent;

  while (*text) {
    unsigned n = (unsigned)strcspn (text, " ");

    if (column > indent && column + 1 + n > CLI_COLUMNS) {
      printf ("\n%*s", (int)indent, "");
      column = indent;
    }
    column += (unsigned)printf ("%s%.*s", column > indent ? " " : "", (int)n,
                                text);
    text += n + strspn (text + n, " ");
  }
  putchar ('\n');
}

void
cli_bytes (char *dst, size_t dst_bytes, uint64_t bytes)
{
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB",
                                      "TiB",   "PiB", "EiB"};
  double v = (double)bytes;
  unsigned u = 0;

  while (v >= 1024 && u + 1 < sizeof units / sizeof units[0]) {
    v /= 1024;
    u++;
  }
  if (bytes == 1)
    snprintf (dst, dst_bytes, "1 byte");
  else if (u == 0 || v == (double)(uint64_t)v)
    snprintf (dst, dst_bytes, "%.0f %s", v, units[u]);
  else
    snprintf (dst, dst_bytes, "%.1f %s", v, units[u]);
}

void
table_cell (struct table *t, const char *fmt, ...)
{
  char text[1024], clean[1024];
  va_list ap;

  va_start (ap, fmt);
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  cli_clean (clean, sizeof clean, text);
  if (t->cells == t->cells_max) {
    unsigned max = t->cells_max ? 2 * t->cells_max : 64;
    char **cell = reallocarray (t->cell, max, sizeof *cell);

    if (!cell)
      return;
    t->cell = cell;
    t->cells_max = max;
  }
  t->cell[t->cells] = strdup (clean);
  if (t->cell[t->cells])
    t->cells++;
}

/* In columns of a terminal, for UTF-8; wide letters are not reckoned with. */
static int
width_of (const char *text)
{
  int n = 0;

  for (; *text; text++)
    n += ((unsigned char)*text & 0xc0) != 0x80;
  return n;
}

static void
print_cell (const struct table *t, unsigned column, const char *text, int width,
            FILE *to)
{
  int pad = width - width_of (text);

  if (column)
    fputs ("  ", to);
  if (t->right[column])
    fprintf (to, "%*s%s", pad, "", text);
  else if (column + 1 < t->columns)
    fprintf (to, "%s%*s", text, pad, "");
  else
    fputs (text, to);
}

void
table_print (const struct table *t, const struct cli *c, FILE *to)
{
  int width[TABLE_COLUMNS] = {0};
  unsigned rows = t->columns ? t->cells / t->columns : 0;

  for (unsigned i = 0; i < rows * t->columns; i++)
    if (width_of (t->cell[i]) > width[i % t->columns])
      width[i % t->columns] = width_of (t->cell[i]);
  for (unsigned r = 0; r < rows; r++) {
    if (r == 0)
      fputs (cli_color (c->color_out, COLOR_BOLD), to);
    for (unsigned k = 0; k < t->columns; k++)
      print_cell (t, k, t->cell[r * t->columns + k], width[k], to);
    if (r == 0)
      fputs (cli_color_end (c->color_out), to);
    putc ('\n', to);
  }
}

void
table_fini (struct table *t)
{
  for (unsigned i = 0; i < t->cells; i++)
    free (t->cell[i]);
  free (t->cell);
  *t = (struct table){0};
}
