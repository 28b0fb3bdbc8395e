/* SPDX-License-Identifier: BSD-2-Clause */
/* The subcommands, each in a file of its own name. */
#ifndef BH_CLI_COMMANDS_H
#define BH_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct command command_attach;
extern const struct command command_bench;
extern const struct command command_completion;
extern const struct command command_copy;
extern const struct command command_detach;
extern const struct command command_discover;
extern const struct command command_doctor;
extern const struct command command_list;
extern const struct command command_probe;
extern const struct command command_status;
extern const struct command command_top;
extern const struct command command_serve;

#endif
