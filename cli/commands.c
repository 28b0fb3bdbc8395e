/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/commands.h"

#include <string.h>

const struct cli_option cli_common_options[] = {
    {"help", 'h', NULL, CLI_WORD, "show this help"},
    {"quiet", 'q', NULL, CLI_WORD, "print nothing but what is wrong"},
    {"color", 0, "auto|always|never", CLI_CHOICE,
     "by itself on a terminal only, and not with NO_COLOR"},
    {0},
};

const struct cli_option cli_json_options[] = {
    {"json", 0, NULL, CLI_WORD, "print JSON, for programs"},
    {0},
};

const struct command *const cli_commands[] = {
    &command_attach,
    &command_detach,
    &command_list,
    &command_serve,
    &command_status,
    &command_top,
    &command_probe,
    &command_discover,
    &command_copy,
    &command_bench,
    &command_doctor,
    &command_completion,
    NULL,
};

const struct command *
cli_command_find (const char *name)
{
  for (const struct command *const *p = cli_commands; *p; p++)
    if (strcmp ((*p)->name, name) == 0)
      return *p;
  return NULL;
}
