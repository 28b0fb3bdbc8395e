/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

#define LEFT 26 /* columns of what an option looks like */

void
cli_usage (const struct command *command)
{
  printf ("Usage: bulkhead %s [OPTION]...%s%s\n", command->name,
          command->synopsis[0] ? " " : "", command->synopsis);
}

static void
option_line (const struct cli_option *o)
{
  char left[80];
  int n = 4;

  snprintf (left, sizeof left, o->letter ? "-%c, " : "    ", o->letter);
  snprintf (left + n, sizeof left - (size_t)n, "--%s%s%s", o->name,
            o->value_name ? "=" : "", o->value_name ? o->value_name : "");
  if (strlen (left) > LEFT)
    printf ("  %s\n%*s", left, LEFT + 4, "");
  else
    printf ("  %-*s  ", LEFT, left);
  cli_words (LEFT + 4, o->help);
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
