/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "common/param.h"

/* no-color.org: any value that is not empty. */
static bool
color_welcome (const struct cli *c, int fd)
{
  const char *when = cli_value (c, "color");
  const char *no = getenv ("NO_COLOR"), *term = getenv ("TERM");

  if (when && strcmp (when, "auto") != 0)
    return strcmp (when, "always") == 0;
  return !(no && no[0]) && isatty (fd) && term && strcmp (term, "dumb") != 0;
}

static enum cli_status
unknown_command (const struct cli *c, const char *name)
{
  const char *best = NULL;
  size_t best_distance = PARAM_FAR;
  struct fault f;

  for (const struct command *const *p = cli_commands; *p; p++) {
    size_t d = param_distance (name, (*p)->name);

    if (d < best_distance && !((*p)->flags & COMMAND_HIDDEN)) {
      best_distance = d;
      best = (*p)->name;
    }
  }
  fault_set (&f, ERR_INVAL, "there is no command \"%s\"", name);
  if (best)
    fault_hint (&f, "did you mean bulkhead %s?", best);
  else
    fault_hint (&f, "bulkhead --help lists them");
  return cli_fault (c, &f);
}

/* bulkhead --help, help, help COMMAND, --version: not in the table, as they
 * are about it. False: it is something else.
 */
static bool
about (const struct cli *c, int argc, char **argv, enum cli_status *ret)
{
  const struct command *command;

  *ret = CLI_OK;
  if (strcmp (argv[1], "--version") == 0) {
    printf ("bulkhead %s\n", PACKAGE_VERSION);
    *ret = cli_flush (c);
    return true;
  }
  if (strcmp (argv[1], "--help") != 0 && strcmp (argv[1], "-h") != 0
      && strcmp (argv[1], "help") != 0)
    return false;
  if (argc > 2) {
    command = cli_command_find (argv[2]);
    if (!command) {
      *ret = unknown_command (c, argv[2]);
      return true;
    }
    cli_help (command);
  } else
    cli_overview ();
  *ret = cli_flush (c);
  return true;
}

int
main (int argc, char **argv)
{
  struct cli c = {.color_err = false};
  const struct command *command;
  enum cli_status status;
  bool help = false;
  struct fault f;

  setlocale (LC_CTYPE, "");
  c.color_err = color_welcome (&c, STDERR_FILENO);
  if (argc < 2) {
    fault_set (&f, ERR_INVAL, "no command is given");
    fault_hint (&f, "bulkhead --help lists them");
    return (int)cli_fault (&c, &f);
  }
  if (about (&c, argc, argv, &status))
    return (int)status;
  command = cli_command_find (argv[1]);
  if (!command)
    return (int)unknown_command (&c, argv[1]);
  if (cli_parse (&c, command, argc - 1, argv + 1, &help, &f))
    return (int)cli_fault (&c, &f);
  c.color_out = color_welcome (&c, STDOUT_FILENO);
  c.color_err = color_welcome (&c, STDERR_FILENO);
  if (help) {
    cli_help (command);
    return (int)cli_flush (&c);
  }
  /* The exit status says it. */
  if (c.quiet && !c.json && (command->flags & COMMAND_JSON)
      && !freopen ("/dev/null", "w", stdout))
    return CLI_FAILED;
  return (int)command->run (&c);
}
