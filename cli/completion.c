/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead completion: what shells know about this command, out of the same
 * tables that its parser uses. make runs it and installs what it prints.
 */
#include "config.h"
#include "cli/commands.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "cli/conf.h"
#include "cli/output.h"
#include "gateway/options.h"
#include "protocols/params.h"

/* The options of a subcommand in the order of --help. */
static const struct cli_option *
option_at (const struct command *command, unsigned i)
{
  const struct cli_option *tables[] = {
      command->options, command->flags & COMMAND_JSON ? cli_json_options : NULL,
      cli_common_options};

  for (unsigned t = 0; t < 3; t++)
    for (const struct cli_option *o = tables[t]; o && o->name; o++)
      if (i-- == 0)
        return o;
  return NULL;
}

/* Calls back for each KEY that some protocol has, once. */
static void
each_parameter (void (*call) (const char *key))
{
  const struct param *seen[128];
  const struct param *tables[16] = {options_params (), proto_common_params};
  unsigned n = 0, count = 2;

  for (const struct proto_params *p = proto_params_table; p->name && count < 16;
       p++)
    tables[count++] = p->params;
  for (unsigned t = 0; t < count; t++)
    for (const struct param *p = tables[t]; p->key && n < 128; p++) {
      bool known = (p->flags & PARAM_URL_ONLY) || strcmp (p->key, "url") == 0;

      for (unsigned i = 0; i < n && !known; i++)
        known = strcmp (seen[i]->key, p->key) == 0;
      if (known)
        continue;
      seen[n++] = p;
      call (p->key);
    }
}

static void
print_key (const char *key)
{
  printf ("%s= ", key);
}

static const char *const names_of[] = {
    [CLI_VOLUME] = "bulkhead completion volumes",
    [CLI_DEVICE] = "bulkhead completion devices",
};

/* ----------------------------------------------------------------- bash */

static void
bash_words (enum cli_kind kind, const char *choice)
{
  switch (kind) {
  case CLI_WORD:
    return;
  case CLI_FILE:
    fputs ("files=1", stdout);
    return;
  case CLI_VOLUME:
  case CLI_DEVICE:
    printf ("words+=\" $(%s 2>/dev/null)\"", names_of[kind]);
    return;
  case CLI_CHOICE:
    fputs ("words='", stdout);
    for (; *choice; choice++)
      putchar (*choice == '|' ? ' ' : *choice);
    putchar ('\'');
  }
}

static void
bash_command (const struct command *command)
{
  const struct cli_option *o;

  for (unsigned i = 0; (o = option_at (command, i)); i++) {
    if (!o->value_name)
      continue;
    printf ("    %s:--%s", command->name, o->name);
    if (o->letter)
      printf ("|%s:-%c", command->name, o->letter);
    fputs (") ", stdout);
    bash_words (o->kind, o->value_name);
    fputs (" ;;\n", stdout);
  }
  printf ("    %s:*)\n      case $cur in\n        -*) words='", command->name);
  for (unsigned i = 0; (o = option_at (command, i)); i++)
    printf ("--%s%s ", o->name, o->value_name ? "=" : "");
  fputs ("' ;;\n        *) words='", stdout);
  if (command->flags & COMMAND_PARAMETERS)
    each_parameter (print_key);
  fputs ("'\n          ", stdout);
  for (unsigned i = 0; i < 2; i++) {
    if (i && command->args[1] == command->args[0])
      continue;
    if (command->args[i] != CLI_WORD) {
      bash_words (command->args[i], command->synopsis);
      fputs ("; ", stdout);
    }
  }
  fputs (":\n          ;;\n      esac ;;\n", stdout);
}

static void
bash_script (void)
{
  fputs ("# bash completion of bulkhead; made by bulkhead completion bash\n"
         "_bulkhead ()\n{\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} words= files=\n"
         "  local prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
         "  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=($(compgen -W '",
         stdout);
  for (const struct command *const *p = cli_commands; *p; p++)
    if (!((*p)->flags & COMMAND_HIDDEN))
      printf ("%s ", (*p)->name);
  fputs ("help' -- \"$cur\"))\n    return\n  fi\n"
         "  # = is a word of its own here\n"
         "  if [ \"$cur\" = = ]; then\n    cur=\n"
         "  elif [ \"$prev\" = = ]; then\n"
         "    prev=${COMP_WORDS[COMP_CWORD-2]}\n  fi\n"
         "  case $command:$prev in\n",
         stdout);
  for (const struct command *const *p = cli_commands; *p; p++)
    if (!((*p)->flags & COMMAND_HIDDEN))
      bash_command (*p);
  fputs ("  esac\n"
         "  if [ -n \"$files\" ]; then\n"
         "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "  else\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "  fi\n"
         "  case ${COMPREPLY[0]} in *=) compopt -o nospace ;; esac\n"
         "} && complete -F _bulkhead bulkhead\n",
         stdout);
}

/* ------------------------------------------------------------------ zsh */

/* Inside a specification of _arguments these have a meaning. */
static void
zsh_text (const char *text)
{
  for (; *text; text++) {
    if (strchr ("[]:\\", *text))
      putchar ('\\');
    if (*text == '\'')
      fputs ("'\\''", stdout);
    else
      putchar (*text);
  }
}

static void
zsh_words (enum cli_kind kind, const char *choice)
{
  switch (kind) {
  case CLI_WORD:
    putchar (' ');
    return;
  case CLI_FILE:
    fputs ("_files", stdout);
    return;
  case CLI_VOLUME:
    fputs ("_bulkhead_volumes", stdout);
    return;
  case CLI_DEVICE:
    fputs ("_bulkhead_devices", stdout);
    return;
  case CLI_CHOICE:
    putchar ('(');
    for (; *choice; choice++)
      putchar (*choice == '|' ? ' ' : *choice);
    putchar (')');
  }
}

static void
zsh_command (const struct command *command)
{
  const struct cli_option *o;

  printf ("    %s)\n      _arguments -S", command->name);
  for (unsigned i = 0; (o = option_at (command, i)); i++) {
    fputs (" \\\n        ", stdout);
    if (o->letter)
      printf ("'(-%c --%s)'{-%c%s,--%s%s}", o->letter, o->name, o->letter,
              o->value_name ? "+" : "", o->name, o->value_name ? "=" : "");
    else
      printf ("'--%s%s'", o->name, o->value_name ? "=" : "");
    fputs ("'[", stdout);
    zsh_text (o->help);
    putchar (']');
    if (o->value_name) {
      putchar (':');
      zsh_text (o->kind == CLI_CHOICE ? o->name : o->value_name);
      putchar (':');
      zsh_words (o->kind, o->value_name);
    }
    putchar ('\'');
  }
  for (unsigned i = 0; i < 2 && i < command->args_max; i++) {
    printf (" \\\n        '%s:argument:", i ? "*" : "1");
    if (i && (command->flags & COMMAND_PARAMETERS))
      fputs ("_bulkhead_parameters", stdout);
    else
      zsh_words (command->args[i], command->synopsis);
    putchar ('\'');
  }
  fputs ("\n      ;;\n", stdout);
}

static void
zsh_script (void)
{
  fputs ("#compdef bulkhead\n# made by bulkhead completion zsh\n\n"
         "_bulkhead_volumes () {\n"
         "  compadd -- ${(f)\"$(bulkhead completion volumes 2>/dev/null)\"}\n"
         "}\n\n_bulkhead_devices () {\n"
         "  compadd -- ${(f)\"$(bulkhead completion devices 2>/dev/null)\"}\n"
         "}\n\n_bulkhead_parameters () {\n  _bulkhead_devices\n"
         "  compadd -S '' -- ",
         stdout);
  each_parameter (print_key);
  fputs ("\n}\n\n_bulkhead () {\n  local -a commands\n  local command\n"
         "  if (( CURRENT == 2 )); then\n    commands=(\n",
         stdout);
  for (const struct command *const *p = cli_commands; *p; p++)
    if (!((*p)->flags & COMMAND_HIDDEN)) {
      printf ("      '%s:", (*p)->name);
      zsh_text ((*p)->summary);
      fputs ("'\n", stdout);
    }
  fputs ("      'help:show the help of a command'\n    )\n"
         "    _describe command commands\n    return\n  fi\n"
         "  command=$words[2]\n  shift words\n  (( CURRENT-- ))\n"
         "  case $command in\n",
         stdout);
  for (const struct command *const *p = cli_commands; *p; p++)
    if (!((*p)->flags & COMMAND_HIDDEN))
      zsh_command (*p);
  fputs ("  esac\n}\n\n"
         "if [ \"$funcstack[1]\" = _bulkhead ]; then\n  _bulkhead \"$@\"\n"
         "else\n  compdef _bulkhead bulkhead\nfi\n",
         stdout);
}

/* ----------------------------------------------------------------- fish */

static void
fish_quoted (const char *text)
{
  putchar ('\'');
  for (; *text; text++) {
    if (strchr ("'\\", *text))
      putchar ('\\');
    putchar (*text);
  }
  putchar ('\'');
}

static void
fish_words (enum cli_kind kind, const char *choice)
{
  switch (kind) {
  case CLI_WORD:
    return;
  case CLI_FILE:
    fputs (" -F", stdout);
    return;
  case CLI_VOLUME:
  case CLI_DEVICE:
    printf (" -a '(%s 2>/dev/null)'", names_of[kind]);
    return;
  case CLI_CHOICE:
    fputs (" -a '", stdout);
    for (; *choice; choice++)
      putchar (*choice == '|' ? ' ' : *choice);
    putchar ('\'');
  }
}

static void
fish_command (const struct command *command)
{
  const struct cli_option *o;
  char seen[96];

  snprintf (seen, sizeof seen, "'__fish_seen_subcommand_from %s'",
            command->name);
  for (unsigned i = 0; (o = option_at (command, i)); i++) {
    printf ("complete -c bulkhead -n %s -l %s", seen, o->name);
    if (o->letter)
      printf (" -s %c", o->letter);
    if (o->value_name)
      fputs (o->kind == CLI_FILE ? " -r" : " -x", stdout);
    fish_words (o->value_name ? o->kind : CLI_WORD, o->value_name);
    fputs (" -d ", stdout);
    fish_quoted (o->help);
    putchar ('\n');
  }
  for (unsigned i = 0; i < 2 && i < command->args_max; i++)
    if (command->args[i] != CLI_WORD
        && (i == 0 || command->args[1] != command->args[0])) {
      printf ("complete -c bulkhead -n %s", seen);
      fish_words (command->args[i], command->synopsis);
      putchar ('\n');
    }
  if (command->flags & COMMAND_PARAMETERS) {
    printf ("complete -c bulkhead -n %s -a '", seen);
    each_parameter (print_key);
    fputs ("'\n", stdout);
  }
}

static void
fish_script (void)
{
  fputs ("# fish completion of bulkhead; made by bulkhead completion fish\n"
         "complete -c bulkhead -f\n",
         stdout);
  for (const struct command *const *p = cli_commands; *p; p++)
    if (!((*p)->flags & COMMAND_HIDDEN)) {
      printf ("complete -c bulkhead -n __fish_use_subcommand -a %s -d ",
              (*p)->name);
      fish_quoted ((*p)->summary);
      putchar ('\n');
      fish_command (*p);
    }
}

/* -------------------------------------------------------------- command */

/* What the scripts ask for. An error is nothing to complete. */
static void
volumes (void)
{
  struct conf c = {0};
  struct fault f;

  if (!conf_load (&c, &f))
    for (unsigned i = 0; i < c.volumes; i++)
      printf ("%s\n", c.volume[i]->name);
  conf_free (&c);
}

static void
devices (void)
{
  glob_t g;

  if (glob ("/dev/nbd*", 0, NULL, &g) == 0)
    for (size_t i = 0; i < g.gl_pathc; i++)
      if (!strchr (g.gl_pathv[i] + 8, 'p'))
        printf ("%s\n", g.gl_pathv[i]);
  globfree (&g);
}

static enum cli_status
run (struct cli *c)
{
  static const struct {
    const char *what;
    void (*print) (void);
  } what[] = {
      {"bash", bash_script}, {"zsh", zsh_script},  {"fish", fish_script},
      {"volumes", volumes},  {"devices", devices},
  };
  struct fault f;

  for (size_t i = 0; i < sizeof what / sizeof what[0]; i++)
    if (strcmp (c->arg[0], what[i].what) == 0) {
      what[i].print ();
      return cli_flush (c);
    }
  fault_set (&f, ERR_INVAL, "there is no completion for \"%s\"", c->arg[0]);
  fault_hint (&f, "bulkhead completion %s", command_completion.synopsis);
  return cli_fault (c, &f);
}

const struct command command_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .synopsis = "bash|zsh|fish",
    .description =
        "Prints what bash, zsh or fish need to complete bulkhead's "
        "commands and options.\nmake install puts it where they look "
        "for it.",
    .args_min = 1,
    .args_max = 1,
    .args = {CLI_CHOICE, CLI_WORD},
    .run = run,
};
