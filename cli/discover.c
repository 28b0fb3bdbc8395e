/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead discover: what is below a URL: files of a directory, exports of an
 * NFS server, targets of an iSCSI server with their LUNs.
 */
#include "config.h"
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/session.h"
#include "cli/view.h"
#include "common/cleanup.h"

#define URL_BYTES 2048u

struct found {
  char *name, *description, *url;
  uint64_t size; /* or LISTING_SIZE_UNKNOWN */
};

struct finds {
  struct found *found;
  unsigned n;
  bool lost; /* out of memory */
  const char *base; /* URL of what is listed, with a slash at its end */
};

static void
finds_free (struct finds *l)
{
  for (unsigned i = 0; i < l->n; i++) {
    free (l->found[i].name);
    free (l->found[i].description);
    free (l->found[i].url);
  }
  free (l->found);
}

/* As it stands in a URL (RFC 3986 §3.3: pchar, and the slashes of a path). */
static void
append_encoded (char *url, size_t url_bytes, const char *name)
{
  static const char plain[] = "-._~!$&'()*+,;=:@/";
  size_t n = strlen (url);

  for (; *name && n + 4 < url_bytes; name++) {
    unsigned char b = (unsigned char)*name;
    bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z')
                  || (b >= '0' && b <= '9');

    if (letter || strchr (plain, b))
      url[n++] = (char)b;
    else
      n += (size_t)snprintf (url + n, url_bytes - n, "%%%02X", b);
  }
  url[n] = 0;
}

static void
add (void *ctx, const struct listing_entry *e)
{
  struct finds *l = ctx;
  struct found *f = reallocarray (l->found, l->n + 1, sizeof *f);
  char url[URL_BYTES + 3 * LISTING_NAME_BYTES];

  if (!f) {
    l->lost = true;
    return;
  }
  l->found = f;
  f += l->n;
  snprintf (url, URL_BYTES, "%s", l->base);
  append_encoded (url, sizeof url, e->name);
  *f = (struct found){.name = strdup (e->name),
                      .description = strdup (e->description),
                      .url = strdup (url),
                      .size = e->size};
  l->n++;
  if (!f->name || !f->description || !f->url) {
    l->lost = true;
    l->n--;
    free (f->name);
    free (f->description);
    free (f->url);
  }
}

/* The URL that the user gave, with a slash at its end: that is a list. */
static enum err
list_url (const char *given, char *url, size_t url_bytes, struct fault *f)
{
  size_t n = strlen (given);
  bool slash = n && given[n - 1] == '/';
  int m = snprintf (url, url_bytes, "%s%s", given, slash ? "" : "/");

  if (m < 0 || (size_t)m >= url_bytes)
    return fault_set (f, ERR_LIMIT, "the URL is too long");
  return ERR_OK;
}

static enum err
list (struct session *s, const char *url, struct finds *l, struct fault *f)
{
  enum err e = session_again (s, url, f);

  if (!e)
    e = session_open (s, f);
  l->base = url;
  if (!e)
    e = exports_list (s->exports, add, l, f);
  return !e && l->lost ? fault_set (f, ERR_NOMEM, "out of memory") : e;
}

static json_t *
as_json (const struct finds *l)
{
  json_t *all = json_array ();

  for (unsigned i = 0; i < l->n; i++) {
    const struct found *x = &l->found[i];

    json_array_append_new (
        all, json_pack ("{s:o, s:o, s:o, s:o}", "name",
                        view_json_text (x->name), "url",
                        view_json_text (x->url), "size",
                        x->size == LISTING_SIZE_UNKNOWN
                            ? json_null ()
                            : json_integer ((json_int_t)x->size),
                        "description", view_json_text (x->description)));
  }
  return all;
}

static void
print (const struct cli *c, const struct finds *l)
{
  struct table t = {.columns = 3, .right = {false, true, false}};

  if (!l->n) {
    cli_note (c, "there is nothing in %s", l->base);
    return;
  }
  table_cell (&t, "URL");
  table_cell (&t, "SIZE");
  table_cell (&t, "WHAT");
  for (unsigned i = 0; i < l->n; i++) {
    const struct found *x = &l->found[i];
    char size[32] = "-";

    if (x->size != LISTING_SIZE_UNKNOWN)
      cli_bytes (size, sizeof size, x->size);
    table_cell (&t, "%s", x->url);
    table_cell (&t, "%s", size);
    table_cell (&t, "%s", x->description);
  }
  table_print (&t, c, stdout);
  table_fini (&t);
}

static enum err
find (const struct cli *c, struct session *s, struct finds *ret,
      struct fault *f)
{
  char url[URL_BYTES];
  unsigned next = 0;
  enum err e = session_take (s, c, 0, &next, f);

  if (!e && next < c->args)
    e = fault_set (f, ERR_INVAL, "\"%s\" is not KEY=VALUE", c->arg[next]);
  if (!e)
    e = list_url (s->target.url, url, sizeof url, f);
  return e ? e : list (s, url, ret, f);
}

static enum cli_status
run (struct cli *c)
{
  struct session s = {.cli = c};
  struct finds l = {0};
  enum cli_status status;
  struct fault f = {0};

  session_catch_signals ();
  if (find (c, &s, &l, &f))
    status = cli_fault (c, &f);
  else if (c->json)
    status = cli_json (c, as_json (&l));
  else {
    print (c, &l);
    status = cli_flush (c);
  }
  finds_free (&l);
  session_close (&s);
  return status;
}

const struct command command_discover = {
    .name = "discover",
    .summary = "list what a server has: files, exports, targets and LUNs",
    .synopsis = "URL|NAME [KEY=VALUE]...",
    .description =
        "Lists what is below a URL, each with the URL that opens it:\n"
        "  sftp://host/DIRECTORY    files\n"
        "  nfs://host               exports; nfs://host/DIRECTORY  files\n"
        "  iscsi://host             targets and LUNs; iscsi://host/TARGET  "
        "LUNs",
    .flags = COMMAND_JSON | COMMAND_PARAMETERS | COMMAND_LOOKS,
    .args_min = 1,
    .args_max = OPTIONS_PAIRS,
    .args = {CLI_VOLUME, CLI_WORD},
    .run = run,
};
