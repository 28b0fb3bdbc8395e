/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "common/param.h"

#define OPTIONS_MAX 48
#define LONG_BASE 1000 /* getopt_long's val: index into the list */

/* All options of a subcommand in one list, in getopt's form too. */
struct list {
  const struct cli_option *option[OPTIONS_MAX];
  struct option longs[OPTIONS_MAX + 1];
  char letters[3 * OPTIONS_MAX + 2];
  unsigned n;
};

static void
add_options (struct list *l, const struct cli_option *table)
{
  for (; table && table->name && l->n < OPTIONS_MAX; table++) {
    size_t used = strlen (l->letters);

    l->longs[l->n] = (struct option){
        table->name, table->value_name ? required_argument : no_argument, NULL,
        LONG_BASE + (int)l->n};
    l->option[l->n++] = table;
    if (table->letter) {
      l->letters[used] = table->letter;
      if (table->value_name)
        l->letters[used + 1] = ':';
    }
  }
}

static void
list_of (struct list *l, const struct command *command)
{
  memset (l, 0, sizeof *l);
  l->letters[0] = ':'; /* a missing value is told apart */
  add_options (l, command->options);
  if (command->flags & COMMAND_JSON)
    add_options (l, cli_json_options);
  add_options (l, cli_common_options);
}

static const struct cli_option *
option_of (const struct list *l, int c)
{
  if (c >= LONG_BASE && c < LONG_BASE + (int)l->n)
    return l->option[c - LONG_BASE];
  for (unsigned i = 0; i < l->n; i++)
    if (l->option[i]->letter == c)
      return l->option[i];
  return NULL;
}

static enum err
unknown_option (const struct list *l, const struct command *command,
                const char *word, struct fault *f)
{
  const char *best = NULL;
  size_t best_distance = PARAM_FAR, n = strcspn (word, "=");
  char name[64] = "";

  if (optopt >= LONG_BASE)
    return fault_set (f, ERR_INVAL, "--%s takes no value",
                      option_of (l, optopt)->name);
  if (optopt)
    fault_set (f, ERR_INVAL, "%s has no option -%c", command->name, optopt);
  else
    fault_set (f, ERR_INVAL, "%s has no option %.*s", command->name, (int)n,
               word);
  if (!optopt && n > 2 && n - 2 < sizeof name)
    memcpy (name, word + 2, n - 2);
  for (unsigned i = 0; name[0] && i < l->n; i++) {
    size_t d = param_distance (name, l->option[i]->name);

    if (d < best_distance) {
      best_distance = d;
      best = l->option[i]->name;
    }
  }
  if (best)
    fault_hint (f, "did you mean --%s?", best);
  else
    fault_hint (f, "bulkhead %s --help lists them", command->name);
  return ERR_INVAL;
}

static enum err
check_choice (const struct cli_option *o, const char *value, struct fault *f)
{
  size_t n = strlen (value);

  for (const char *w = o->value_name; w && *w;) {
    size_t m = strcspn (w, "|");

    if (m == n && memcmp (w, value, n) == 0)
      return ERR_OK;
    w += m + (w[m] == '|');
  }
  return fault_set (f, ERR_INVAL, "--%s=%s is none of %s", o->name, value,
                    o->value_name);
}

static enum err
remember (struct cli *c, const struct cli_option *o, const char *value,
          struct fault *f)
{
  enum err e;

  if (c->givens == CLI_GIVEN_MAX)
    return fault_set (f, ERR_LIMIT, "more than %d options", CLI_GIVEN_MAX);
  if (o->kind == CLI_CHOICE && (e = check_choice (o, value, f)))
    return e;
  c->given[c->givens].option = o;
  c->given[c->givens++].value = value ? value : "";
  return ERR_OK;
}

static enum err
check_args (const struct cli *c, struct fault *f)
{
  const struct command *command = c->command;

  if (c->args < command->args_min)
    fault_set (f, ERR_INVAL, "%s: %.*s is missing", command->name,
               (int)strcspn (command->synopsis, " "), command->synopsis);
  else if (c->args > command->args_max)
    fault_set (f, ERR_INVAL, "%s: \"%s\" is too much", command->name,
               c->arg[command->args_max]);
  else
    return ERR_OK;
  fault_hint (f, "bulkhead %s %s", command->name, command->synopsis);
  return ERR_INVAL;
}

enum err
cli_parse (struct cli *c, const struct command *command, int argc, char **argv,
           bool *ret_help, struct fault *f)
{
  struct list l;
  enum err e;
  int o;

  list_of (&l, command);
  c->command = command;
  *ret_help = false;
  optind = 0; /* glibc: begin anew */
  opterr = 0;
  while (1) {
    const struct cli_option *option;

    o = getopt_long (argc, argv, l.letters, l.longs, NULL);
    if (o == -1)
      break;
    if (o == '?')
      return unknown_option (&l, command, argv[optind - 1], f);
    if (o == ':')
      return fault_set (f, ERR_INVAL, "%s: %s needs a value", command->name,
                        argv[optind - 1]);
    option = option_of (&l, o);
    if (strcmp (option->name, "help") == 0) {
      *ret_help = true;
      return ERR_OK;
    }
    if ((e = remember (c, option, optarg, f)))
      return e;
  }
  c->arg = argv + optind;
  c->args = (unsigned)(argc - optind);
  c->json = cli_has (c, "json");
  c->quiet = cli_has (c, "quiet");
  return check_args (c, f);
}

const char *
cli_value (const struct cli *c, const char *name)
{
  for (unsigned i = c->givens; i-- > 0;)
    if (strcmp (c->given[i].option->name, name) == 0)
      return c->given[i].value;
  return NULL;
}

bool
cli_has (const struct cli *c, const char *name)
{
  return cli_value (c, name) != NULL;
}

enum err
cli_number (const struct cli *c, const char *name, unsigned long min,
            unsigned long max, unsigned long fallback, unsigned long *ret,
            struct fault *f)
{
  const char *value = cli_value (c, name);
  unsigned long v;
  char *end;

  if (!value)
    return *ret = fallback, ERR_OK;
  errno = 0;
  v = strtoul (value, &end, 10);
  if (errno || *end || !isdigit ((unsigned char)value[0]) || v < min || v > max)
    return fault_set (f, ERR_INVAL, "--%s=%s is not a number from %lu to %lu",
                      name, value, min, max);
  *ret = v;
  return ERR_OK;
}
