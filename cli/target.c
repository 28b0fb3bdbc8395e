/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/conf.h"
#include "cli/files.h"
#include "common/cleanup.h"
#include "gateway/url.h"
#include "protocols/params.h"

static void
cleanup_conf (struct conf *c)
{
  conf_free (c);
}

void
target_free (struct target *t)
{
  for (unsigned i = 0; i < t->pairs; i++) {
    free (t->pair[i].key);
    free (t->pair[i].value);
    if (t->pair[i].secret >= 0)
      close (t->pair[i].secret);
  }
  free (t->name);
  free (t->url);
  free (t->device);
  *t = (struct target){0};
}

const char *
target_get (const struct target *t, const char *key)
{
  for (unsigned i = 0; i < t->pairs; i++)
    if (strcmp (t->pair[i].key, key) == 0)
      return t->pair[i].value;
  return NULL;
}

enum err
target_set (struct target *t, const char *key, const char *value,
            struct fault *f)
{
  unsigned i = 0;
  char *copy = strdup (value);

  if (!copy)
    return fault_set (f, ERR_NOMEM, "out of memory");
  while (i < t->pairs && strcmp (t->pair[i].key, key) != 0)
    i++;
  if (i == OPTIONS_PAIRS) {
    free (copy);
    return fault_set (f, ERR_LIMIT, "more than %d parameters", OPTIONS_PAIRS);
  }
  if (i == t->pairs) {
    t->pair[i].key = strdup (key);
    t->pair[i].value = NULL;
    t->pair[i].secret = -1;
    if (!t->pair[i].key) {
      free (copy);
      return fault_set (f, ERR_NOMEM, "out of memory");
    }
    t->pairs++;
  }
  free (t->pair[i].value);
  t->pair[i].value = copy;
  return ERR_OK;
}

/* [user@]host:path, as scp and mount.nfs have it, or a URL without its slashes.
 */
static bool
hint_of_colon (const char *name, struct fault *f)
{
  const char *path = strchr (name, ':');
  int host = path ? (int)(path - name) : 0;
  char proto[16];

  if (!host || host > 100 || strcspn (name, "/") < (size_t)host)
    return false;
  path++;
  snprintf (proto, sizeof proto, "%.*s", host, name);
  if (proto_params_find (proto))
    fault_hint (f, "a URL has two slashes there: %s://%.150s", proto,
                path + strspn (path, "/"));
  else if (path[0] == '/')
    fault_hint (f, "by SSH that is sftp://%.*s%.80s, by NFS nfs://%.*s%.80s",
                host, name, path, host, name, path);
  else
    fault_hint (f, "by SSH that is sftp://%.*s/~/%.150s", host, name, path);
  return true;
}

static enum err
unknown_name (const struct conf *config, const char *name, struct fault *f)
{
  const char *best = NULL;
  size_t best_distance = PARAM_FAR;

  for (unsigned i = 0; i < config->volumes; i++) {
    size_t d = param_distance (name, config->volume[i]->name);

    if (d < best_distance) {
      best_distance = d;
      best = config->volume[i]->name;
    }
  }
  fault_set (f, ERR_INVAL,
             "\"%.200s\" is no URL, and no volume of the configuration", name);
  if (best)
    fault_hint (f, "did you mean %s?", best);
  else if (!hint_of_colon (name, f))
    fault_hint (f, "a URL looks like sftp://[user@]host[:port]/path/to/file; "
                   "volumes: man bulkhead.conf");
  return ERR_INVAL;
}

/* No shell has expanded ~ in a configuration. */
static enum err
from_config (struct target *t, const struct conf_volume *v, struct fault *f)
{
  for (unsigned i = 0; i < v->pairs; i++) {
    const char *key = v->pair[i].key, *value = v->pair[i].value;
    char path[4096];
    enum err e;

    if (strcmp (key, "url") == 0)
      t->url = strdup (value);
    else if (strcmp (key, "device") == 0)
      t->device = strdup (value);
    else if (strncmp (value, "~/", 2) == 0) {
      if ((e = files_expand (value, path, sizeof path, f))
          || (e = target_set (t, key, path, f)))
        return e;
    } else if ((e = target_set (t, key, value, f)))
      return e;
  }
  return t->url ? ERR_OK : fault_set (f, ERR_NOMEM, "out of memory");
}

static enum err
name_it (struct target *t, const char *text, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_conf))) struct conf config = {0};
  const struct conf_volume *v;
  enum err e;

  t->name = strdup (text);
  if (!t->name)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if (strstr (text, "://")) {
    t->url = strdup (text);
    return t->url ? ERR_OK : fault_set (f, ERR_NOMEM, "out of memory");
  }
  if ((e = conf_load (&config, f)))
    return e;
  v = conf_find (&config, text);
  return v ? from_config (t, v, f) : unknown_name (&config, text, f);
}

/* KEY=VALUE, and not nbd+unix:///?socket=… or a path. */
static bool
is_pair (const char *word)
{
  size_t n = strcspn (word, "=");

  return word[n] && n > 0
         && strspn (word, "abcdefghijklmnopqrstuvwxyz"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
                == n;
}

static enum err
add_words (const struct cli *c, unsigned first, struct target *t,
           unsigned *ret_next, struct fault *f)
{
  unsigned i;
  enum err e;

  for (i = first; i < c->args && is_pair (c->arg[i]); i++) {
    CLEANUP_FREE char *key = strdup (c->arg[i]);
    char *value;

    if (!key)
      return fault_set (f, ERR_NOMEM, "out of memory");
    value = strchr (key, '=');
    *value++ = 0;
    if (strcmp (key, "url") == 0)
      return fault_set (f, ERR_INVAL, "url= is given already: %s", t->url);
    if ((e = target_set (t, key, value, f)))
      return e;
  }
  *ret_next = i;
  return ERR_OK;
}

/* Secrets are read here and once, so that nobody is asked again when nbdkit is
 * started again, and whoever may change a file later changes nothing.
 */
static enum err
read_secrets (struct target *t, struct fault *f)
{
  CLEANUP_FREE struct volume_spec *spec = calloc (1, sizeof *spec);
  const struct param *table;
  enum err e;

  if (!spec)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if ((e = url_parse (t->url, spec, f)))
    return e;
  table = proto_params_find (spec->proto)->params;
  for (unsigned i = 0; i < t->pairs; i++) {
    const struct param *p = param_find (table, t->pair[i].key);

    if (p && p->type == PARAM_SECRET
        && (e = files_secret (p->key, t->pair[i].value, &t->pair[i].secret, f)))
      return e;
  }
  return ERR_OK;
}

static bool
changes_the_file (const char *key)
{
  for (const struct proto_params *p = proto_params_table; p->name; p++) {
    const struct param *param = param_find (p->params, key);

    if (param && (param->flags & PARAM_WRITES))
      return true;
  }
  return false;
}

void
target_leave_as_it_is (struct target *t)
{
  unsigned kept = 0;

  for (unsigned i = 0; i < t->pairs; i++)
    if (changes_the_file (t->pair[i].key)) {
      free (t->pair[i].key);
      free (t->pair[i].value);
    } else
      t->pair[kept++] = t->pair[i];
  t->pairs = kept;
}

enum err
target_open (const struct cli *c, unsigned first, struct target *t,
             unsigned *ret_next, struct fault *f)
{
  enum err e;

  if ((e = name_it (t, c->arg[first], f))
      || (e = add_words (c, first + 1, t, ret_next, f)))
    return e;
  if ((c->command->flags & COMMAND_LOOKS) && first == 0
      && !cli_has (c, "write"))
    target_leave_as_it_is (t);
  /* Of nbdkit's -r the plugin hears when it has opened, and changed, a file. */
  if (cli_has (c, "read-only") && (e = target_set (t, "readonly", "yes", f)))
    return e;
  return read_secrets (t, f);
}

char *
target_word (const struct target *t, unsigned i)
{
  char *word = NULL;
  int n;

  if (i == 0)
    return asprintf (&word, "url=%s", t->url) < 0 ? NULL : word;
  if (--i >= t->pairs)
    return NULL;
  if (t->pair[i].secret >= 0) {
    if (lseek (t->pair[i].secret, 0, SEEK_SET) < 0)
      return NULL;
    n = asprintf (&word, "%s=-%d", t->pair[i].key, t->pair[i].secret);
  } else
    n = asprintf (&word, "%s=%s", t->pair[i].key, t->pair[i].value);
  return n < 0 ? NULL : word;
}
