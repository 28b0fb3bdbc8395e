/* SPDX-License-Identifier: BSD-2-Clause */
/* The bulkhead command: one table of subcommands drives the parser, --help,
 * the usage lines and the completion of shells. A new subcommand is a file with
 * a `struct command`, a line in cli/commands.c, and a manual page
 * docs/bulkhead-NAME.pod.
 *
 * One process, one thread (a subcommand may start more), one command.
 */
#ifndef BH_CLI_CLI_H
#define BH_CLI_CLI_H

#include <stdbool.h>

#include "common/err.h"

#define CLI_GIVEN_MAX 64 /* options on one command line */

/* What the process ends with; bulkhead(1) and --help have this very list. */
#define CLI_STATUS_TABLE(X)                                                    \
  X (OK, 0, "done")                                                            \
  X (FAILED, 1, "it failed, for a reason that no other number is for")         \
  X (USAGE, 2, "wrong arguments, URL or configuration")                        \
  X (NOT_FOUND, 3, "no such file, LUN, volume or device")                      \
  X (REFUSED, 4, "login, host key or right refused")                           \
  X (UNREACHABLE, 5, "the host does not resolve, or does not answer")          \
  X (BUSY, 6, "in use")                                                        \
  X (MISSING, 7, "this machine lacks a module, a program or a feature")        \
  X (DIFFERS, 8, "what was compared, or checked, is not as it should be")

enum cli_status {
#define X(name, number, text) CLI_##name = number,
  CLI_STATUS_TABLE (X)
#undef X
};

/* What stands in a place: for the completion of shells. */
enum cli_kind {
  CLI_WORD,   /* nothing that can be completed */
  CLI_VOLUME, /* a URL or a configured name */
  CLI_DEVICE, /* /dev/nbdN, or what is attached */
  CLI_FILE,
  CLI_CHOICE, /* one of value_name's words: "auto|always|never" */
};

struct cli_option {
  const char *name;       /* without its two dashes */
  char letter;            /* or 0 */
  const char *value_name; /* NULL: a switch */
  enum cli_kind kind;     /* of the value */
  const char *help;       /* one sentence, lower case, no full stop */
};

#define COMMAND_JSON 0x1u       /* understands --json */
#define COMMAND_PARAMETERS 0x2u /* takes KEY=VALUE of the protocols */
#define COMMAND_HIDDEN 0x4u     /* for scripts: not in --help */
/* Its first volume is only looked at, unless there is --write. */
#define COMMAND_LOOKS 0x8u

struct cli;

struct command {
  const char *name;
  const char *summary;     /* one line: lower case, no full stop */
  const char *synopsis;    /* what follows the options */
  const char *description; /* lines for --help, each below 79 columns */
  unsigned flags;          /* COMMAND_… */
  unsigned args_min, args_max;
  enum cli_kind args[2];            /* first, and all others */
  const struct cli_option *options; /* ends with {0}; NULL: none */
  enum cli_status (*run) (struct cli *c);
};

/* Ends with NULL. */
extern const struct command *const cli_commands[];
/* What every subcommand understands, and --json. Each ends with {0}. */
extern const struct cli_option cli_common_options[];
extern const struct cli_option cli_json_options[];

const struct command *
cli_command_find (const char *name);

struct cli {
  const struct command *command;
  char **arg; /* what is no option; ends with NULL */
  unsigned args;
  struct {
    const struct cli_option *option;
    const char *value;
  } given[CLI_GIVEN_MAX];
  unsigned givens;
  bool json;
  bool quiet;
  bool color_out, color_err; /* stdout, stderr: colours are welcome */
};

/* argv[0] is the subcommand's name. Puts options before arguments. ERR_INVAL
 * with a fault that names the nearest option. *ret_help: --help was given, and
 * nothing else was checked. (getopt's state is the process's: call it once at a
 * time.)
 */
enum err
cli_parse (struct cli *c, const struct command *command, int argc, char **argv,
           bool *ret_help, struct fault *f);
/* Of the last such option; NULL if there was none (a switch: "" if given). */
const char *
cli_value (const struct cli *c, const char *name);
bool
cli_has (const struct cli *c, const char *name);
/* A decimal number from min to max, or fallback if the option is not given. */
enum err
cli_number (const struct cli *c, const char *name, unsigned long min,
            unsigned long max, unsigned long fallback, unsigned long *ret,
            struct fault *f);

/* "Usage: …", and what --help prints. */
void
cli_usage (const struct command *command);
void
cli_help (const struct command *command);
void
cli_overview (void);

#endif
