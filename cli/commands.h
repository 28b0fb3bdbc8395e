/* SPDX-License-Identifier: BSD-2-Clause */
/* The subcommands, each in a file of its own name. */
#ifndef BH_CLI_COMMANDS_H
#define BH_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct command command_completion;
extern const struct command command_serve;

#endif
