/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/output.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "protocols/params.h"

/* What a signal can reach. */
static volatile sig_atomic_t interrupted;

static void
on_signal (int number)
{
  (void)number;
  interrupted = 1;
}

void
session_catch_signals (void)
{
  struct sigaction a = {.sa_handler = on_signal,
                        .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

  sigaction (SIGINT, &a, NULL);
  sigaction (SIGTERM, &a, NULL);
}

bool
session_interrupted (void)
{
  return interrupted != 0;
}

static void
emit (void *ctx, enum log_level level, const char *line)
{
  const struct session *s = ctx;

  if (level <= LOG_LEVEL_WARN)
    cli_note (s->cli, "%s", line);
}

void
session_name (const struct session *s, char *dst, size_t dst_bytes)
{
  volume_spec_name (&s->options.spec, dst, dst_bytes);
}

/* Target has read what it was told to, and hands over fds. */
static int
read_secret (const char *value, char **ret)
{
  char *line = calloc (1, SECRET_BYTES + 1);
  long fd = value[0] == '-' ? strtol (value + 1, NULL, 10) : -1;
  ssize_t n = line && fd >= 0 ? read ((int)fd, line, SECRET_BYTES) : -1;

  if (n < 0) {
    free (line);
    return -1;
  }
  line[strcspn (line, "\n")] = 0;
  *ret = line;
  return 0;
}

/* All but the target. */
static void
session_shut (struct session *s)
{
  if (s->link)
    exports_put (s->exports, s->link);
  exports_close (s->exports);
  options_free (&s->options);
  s->options = (struct options){0};
  s->exports = NULL;
  s->link = NULL;
  s->resolved = false;
}

/* Parameters */

enum err
session_set (struct session *s, const char *key, const char *value,
             struct fault *f)
{
  struct options *o = &s->options;

  for (unsigned i = 0; i < o->pairs; i++)
    if (strcmp (o->pair[i].key, key) == 0) {
      char *copy = strdup (value);

      if (!copy)
        return fault_set (f, ERR_NOMEM, "out of memory");
      free (o->pair[i].value);
      o->pair[i].value = copy;
      return ERR_OK;
    }
  return options_add (o, key, value, f);
}

static enum err
take_word (struct session *s, char *word, struct fault *f)
{
  char *equals = strchr (word, '=');

  *equals = 0;
  return session_set (s, word, equals + 1, f);
}

enum err
session_again (struct session *s, const char *url, struct fault *f)
{
  enum err e = ERR_OK;

  session_shut (s);
  for (unsigned i = 0; !e; i++) {
    CLEANUP_FREE char *word = target_word (&s->target, i);

    if (!word)
      break;
    e = take_word (s, word, f);
  }
  return e || !url ? e : session_set (s, "url", url, f);
}

enum err
session_take (struct session *s, const struct cli *c, unsigned first,
              unsigned *ret_next, struct fault *f)
{
  enum err e;

  memset (s, 0, sizeof *s);
  s->cli = c;
  s->log = (struct log){LOG_LEVEL_WARN, emit, s};
  e = target_open (c, first, &s->target, ret_next, f);
  return e ? e : session_again (s, NULL, f);
}

/* Life */

enum err
session_resolve (struct session *s, struct fault *f)
{
  enum err e = s->resolved
                   ? ERR_OK
                   : options_resolve (&s->options, &s->log, read_secret, f);

  s->options.link.program = "bulkhead " PACKAGE_VERSION;
  s->options.tells_readonly = true;
  s->resolved |= !e;
  return e;
}

enum err
session_open (struct session *s, struct fault *f)
{
  enum err e = session_resolve (s, f);
  uint64_t began_ns = clock_now_ns ();

  if (!e)
    e = exports_open (&s->options, &s->log, session_interrupted, &s->exports,
                      f);
  if (!e)
    e = exports_start (s->exports, f);
  if (!e && !exports_is_directory (s->exports))
    e = exports_get (s->exports, "", &s->link, f);
  s->opened_ns = clock_now_ns () - began_ns;
  return e;
}

enum err
session_open_volume (struct session *s, struct fault *f)
{
  enum err e = session_open (s, f);
  char name[300];

  if (e || s->link)
    return e;
  session_name (s, name, sizeof name);
  fault_set (f, ERR_INVAL, "%s is a list of volumes, not one", name);
  fault_hint (f, "bulkhead discover shows what is in it");
  return ERR_INVAL;
}

void
session_close (struct session *s)
{
  session_shut (s);
  target_free (&s->target);
}
