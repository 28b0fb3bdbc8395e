/* SPDX-License-Identifier: BSD-2-Clause */
/* What people and programs read: faults, tables, JSON, progress.
 *
 * Nothing here prints what a server or a file says without replacing its
 * control characters. Colours only where `struct cli` says that they are
 * welcome: a terminal, no NO_COLOR, or --color=always.
 */
#ifndef BH_CLI_OUTPUT_H
#define BH_CLI_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/cli.h"

enum cli_color {
  COLOR_PLAIN,
  COLOR_BOLD,
  COLOR_RED,
  COLOR_GREEN,
  COLOR_YELLOW,
  COLOR_DIM
};

/* What switches a colour on; "" if colours are not welcome. The second switches
 * it off.
 */
const char *
cli_color (bool welcome, enum cli_color color);
const char *
cli_color_end (bool welcome);

/* One line for what is wrong, one for what to do, on stderr; returns the exit
 * status that f->code stands for.
 */
enum cli_status
cli_fault (const struct cli *c, const struct fault *f);
enum cli_status
cli_status_of (enum err e);
/* A line on stderr, unless --quiet: "bulkhead: …". */
void
cli_note (const struct cli *c, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));

/* Prints and frees it. CLI_FAILED (after a fault) if stdout cannot be written.
 */
enum cli_status
cli_json (const struct cli *c, json_t *value);
/* At the end of what was printed: CLI_FAILED if stdout has lost some of it. */
enum cli_status
cli_flush (const struct cli *c);

/* Text for a terminal, clean (common/text.h). Cut off at dst_bytes. */
void
cli_clean (char *dst, size_t dst_bytes, const char *text);

/* A table for people: columns as wide as their widest cell. Cells are copied
 * and cleaned; at most TABLE_COLUMNS of them a row. The first row is the head.
 */
#define TABLE_COLUMNS 12
struct table {
  unsigned columns;
  bool right[TABLE_COLUMNS]; /* numbers */
  char **cell;               /* rows × columns */
  unsigned cells, cells_max;
};
/* Ignores what comes when memory has run out: the table is shorter then. */
void
table_cell (struct table *t, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));
void
table_print (const struct table *t, const struct cli *c, FILE *to);
void
table_fini (struct table *t);

#define CLI_COLUMNS 79 /* of a terminal, for lines that are broken */

/* Prints words that stand in column indent, on as many lines as they need. */
void
cli_words (unsigned indent, const char *text);

/* "64 MiB", "1.5 GiB", "300 bytes", "1 byte" */
void
cli_bytes (char *dst, size_t dst_bytes, uint64_t bytes);

/* A bar on stderr, if that is a terminal and not --quiet; redrawn at most ten
 * times a second.
 */
struct progress {
  const struct cli *c;
  const char *what;
  uint64_t total, begun_ns, drawn_ns;
  uint64_t first; /* what was done before it began */
  bool shown;
};
/* total 0: not known. */
void
progress_begin (struct progress *p, const struct cli *c, const char *what,
                uint64_t first, uint64_t total);
void
progress_update (struct progress *p, uint64_t done);
void
progress_end (struct progress *p, uint64_t done);

#endif
