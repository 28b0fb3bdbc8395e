/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 79
#define LEFT 24 /* columns of what an option looks like */

void
cli_usage (const struct command *command)
{
  printf ("Usage: bulkhead %s [OPTION]...%s%s\n", command->name,
          command->synopsis[0] ? " " : "", command->synopsis);
}

/* Words behind column LEFT + 4, wrapped. */
static void
words (const char *text)
{
  size_t column = LEFT + 4;

  while (*text) {
    size_t n = strcspn (text, " ");

    if (column + n > COLUMNS && column > LEFT + 4) {
      printf ("\n%*s", LEFT + 4, "");
      column = LEFT + 4;
    }
    printf ("%.*s%s", (int)n, text, text[n] ? " " : "");
    column += n + 1;
    text += n + (text[n] == ' ');
  }
  putchar ('\n');
}

static void
option_line (const struct cli_option *o)
{
  char left[80];
  int n = 0;

  if (o->letter)
    n = snprintf (left, sizeof left, "-%c, ", o->letter);
  snprintf (left + n, sizeof left - (size_t)n, "--%s%s%s", o->name,
            o->value_name ? "=" : "", o->value_name ? o->value_name : "");
  printf ("  %-*s  ", LEFT, left);
  if (strlen (left) > LEFT)
    printf ("\n%*s", LEFT + 4, "");
  words (o->help);
}

static void
option_lines (const struct cli_option *table)
{
  for (; table && table->name; table++)
    option_line (table);
}

void
cli_help (const struct command *command)
{
  cli_usage (command);
  printf ("\n%s\n\nOptions:\n", command->description);
  option_lines (command->options);
  if (command->flags & COMMAND_JSON)
    option_lines (cli_json_options);
  option_lines (cli_common_options);
  printf ("\nMore: man bulkhead-%s\n", command->name);
}

void
cli_overview (void)
{
  printf ("Usage: bulkhead COMMAND [OPTION]... [ARGUMENT]...\n"
          "\nRemote storage as a local disk.\n\nCommands:\n");
  for (const struct command *const *p = cli_commands; *p; p++)
    if (!((*p)->flags & COMMAND_HIDDEN))
      printf ("  %-12s  %s\n", (*p)->name, (*p)->summary);
  printf ("\nbulkhead COMMAND --help explains one, and so does man "
          "bulkhead-COMMAND.\n"
          "A URL is sftp://, iscsi:// or nfs://; a NAME is a volume of the "
          "configuration.\n\nExit status:\n");
#define X(name, number, text) printf ("  %d  %s\n", number, text);
  CLI_STATUS_TABLE (X)
#undef X
}
