/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/conf.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "common/cleanup.h"
#include "gateway/url.h"
#include "protocols/params.h"

/* What the command itself understands, beside the plugin's parameters. */
static const struct param own_params[] = {
    {"device", PARAM_STRING, 0, 0, 0, NULL, "/dev/nbdN", "device to attach to"},
    {0},
};

/* Where the parser is: which mapping it is in. */
enum place { AT_STREAM, AT_TOP, AT_VOLUMES, AT_VOLUME };

struct reader {
  const char *file; /* its name, for faults */
  struct conf *config;
  struct fault *fault;
  enum place place;
  char *key; /* whose value comes next, in AT_TOP and AT_VOLUME */
  unsigned key_line;
  struct conf_volume *volume; /* AT_VOLUME: not in config yet */
  unsigned documents;
  bool volumes_seen;
};

static enum err __attribute__ ((format (printf, 3, 4)))
wrong (struct reader *r, unsigned line, const char *fmt, ...)
{
  char text[256];
  va_list ap;

  va_start (ap, fmt);
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  return fault_set (r->fault, ERR_INVAL, "%s:%u: %s", r->file, line, text);
}

static void
free_volume (struct conf_volume *v)
{
  if (!v)
    return;
  for (unsigned i = 0; i < v->pairs; i++) {
    free (v->pair[i].key);
    free (v->pair[i].value);
  }
  free (v->name);
  free (v);
}

void
conf_free (struct conf *c)
{
  for (unsigned i = 0; i < c->volumes; i++)
    free_volume (c->volume[i]);
  c->volumes = 0;
}

const struct conf_volume *
conf_find (const struct conf *c, const char *name)
{
  for (unsigned i = 0; i < c->volumes; i++)
    if (strcmp (c->volume[i]->name, name) == 0)
      return c->volume[i];
  return NULL;
}

const char *
conf_value (const struct conf_volume *v, const char *key)
{
  for (unsigned i = 0; i < v->pairs; i++)
    if (strcmp (v->pair[i].key, key) == 0)
      return v->pair[i].value;
  return NULL;
}

bool
conf_is_name (const char *text)
{
  size_t n = strlen (text);

  if (n == 0 || n >= CONF_NAME_BYTES || !isalnum ((unsigned char)text[0]))
    return false;
  for (; *text; text++)
    if (!isalnum ((unsigned char)*text) && !strchr ("._-", *text))
      return false;
  return true;
}

/* ------------------------------------------------------- what is in a volume
 */

static enum err
unknown_key (struct reader *r, const struct conf_pair *p,
             const struct proto_params *proto)
{
  const struct param *tables[] = {proto->params, options_params (),
                                  proto_common_params, own_params};
  const char *nearest = NULL;

  for (int i = 0; i < 4 && !nearest; i++)
    nearest = param_nearest (tables[i], p->key);
  wrong (r, p->line, "unknown key \"%.64s\" in volume %s", p->key,
         r->volume->name);
  if (nearest)
    fault_hint (r->fault, "did you mean %s?", nearest);
  else
    fault_hint (r->fault, "man bulkhead-%s lists them", proto->name);
  return ERR_INVAL;
}

/* A password itself would be read by whoever reads this file. */
static enum err
check_secret (struct reader *r, const struct conf_pair *p)
{
  if ((p->value[0] == '+' && p->value[1])
      || (strncmp (p->value, "credential:", 11) == 0 && p->value[11]))
    return ERR_OK;
  wrong (r, p->line, "%s in volume %s is not the name of a file", p->key,
         r->volume->name);
  fault_hint (r->fault,
              "put the secret into a file that only you can read: \"%s: "
              "+/path/to/file\", or \"credential:NAME\" of systemd",
              p->key);
  return ERR_INVAL;
}

static enum err
check_path (struct reader *r, const struct conf_pair *p, const char *path)
{
  if (path[0] == '/' || strncmp (path, "~/", 2) == 0)
    return ERR_OK;
  return wrong (r, p->line, "%s: \"%.100s\" does not begin with / or ~/",
                p->key, path);
}

static enum err
check_pair (struct reader *r, const struct conf_pair *p,
            const struct proto_params *proto)
{
  const struct param *param = param_find (proto->params, p->key);
  enum err e;

  if (!param
      && (param_find (options_params (), p->key)
          || param_find (proto_common_params, p->key)
          || param_find (own_params, p->key)))
    return ERR_OK;
  if (!param)
    return unknown_key (r, p, proto);
  if (param->flags & PARAM_URL_ONLY)
    return wrong (r, p->line, "%s belongs into the url of volume %s", p->key,
                  r->volume->name);
  if (param->type == PARAM_SECRET) {
    if ((e = check_secret (r, p)))
      return e;
    return p->value[0] == '+' ? check_path (r, p, p->value + 1) : ERR_OK;
  }
  return param->type == PARAM_FILE ? check_path (r, p, p->value) : ERR_OK;
}

/* At the end of a volume, when its protocol is known. */
static enum err
check_volume (struct reader *r)
{
  CLEANUP_FREE struct volume_spec *spec = calloc (1, sizeof *spec);
  struct conf_volume *v = r->volume;
  struct fault url_fault;
  enum err e;

  if (!spec)
    return fault_set (r->fault, ERR_NOMEM, "out of memory");
  if (!conf_value (v, "url")) {
    wrong (r, v->line, "volume %s has no url", v->name);
    fault_hint (r->fault, "a volume has at least \"url: sftp://host/path\"");
    return ERR_INVAL;
  }
  for (unsigned i = 0; i < v->pairs; i++)
    if (strcmp (v->pair[i].key, "url") == 0
        && url_parse (v->pair[i].value, spec, &url_fault)) {
      wrong (r, v->pair[i].line, "%s", url_fault.text);
      fault_hint (r->fault, "%s", url_fault.hint);
      return ERR_INVAL;
    }
  for (unsigned i = 0; i < v->pairs; i++)
    if ((e = check_pair (r, &v->pair[i], proto_params_find (spec->proto))))
      return e;
  return ERR_OK;
}

/* ------------------------------------------------------------------ structure
 */

static enum err
begin_volume (struct reader *r, const char *name, unsigned line)
{
  if (!conf_is_name (name)) {
    wrong (r, line, "\"%.64s\" cannot be the name of a volume", name);
    fault_hint (r->fault, "letters, digits, and . _ - inside; at most %u",
                CONF_NAME_BYTES - 1);
    return ERR_INVAL;
  }
  for (unsigned i = 0; i < r->config->volumes; i++)
    if (strcmp (r->config->volume[i]->name, name) == 0
        && r->config->volume[i]->line)
      return wrong (r, line, "volume %s is here twice, first in line %u", name,
                    r->config->volume[i]->line);
  if (r->config->volumes == CONF_VOLUMES)
    return wrong (r, line, "more than %u volumes", CONF_VOLUMES);
  r->volume = calloc (1, sizeof *r->volume);
  if (r->volume)
    r->volume->name = strdup (name);
  if (!r->volume || !r->volume->name)
    return fault_set (r->fault, ERR_NOMEM, "out of memory");
  r->volume->line = line;
  return ERR_OK;
}

static enum err
end_volume (struct reader *r)
{
  enum err e = check_volume (r);

  if (e)
    return e;
  if (conf_find (r->config, r->volume->name))
    free_volume (r->volume); /* the first file's counts */
  else
    r->config->volume[r->config->volumes++] = r->volume;
  r->volume = NULL;
  return ERR_OK;
}

static enum err
add_pair (struct reader *r, const char *value, unsigned line)
{
  struct conf_volume *v = r->volume;
  struct conf_pair *p = &v->pair[v->pairs];

  if (conf_value (v, r->key))
    return wrong (r, r->key_line, "%.64s is here twice in volume %s", r->key,
                  v->name);
  if (v->pairs == OPTIONS_PAIRS)
    return wrong (r, line, "more than %d keys in volume %s", OPTIONS_PAIRS,
                  v->name);
  p->value = strdup (value);
  if (!p->value)
    return fault_set (r->fault, ERR_NOMEM, "out of memory");
  p->key = steal (&r->key);
  p->line = r->key_line;
  v->pairs++;
  return ERR_OK;
}

static enum err
take_key (struct reader *r, const char *text, unsigned line)
{
  r->key = strdup (text);
  r->key_line = line;
  return r->key ? ERR_OK : fault_set (r->fault, ERR_NOMEM, "out of memory");
}

static enum err
top_key (struct reader *r, const char *text, unsigned line)
{
  if (strcmp (text, "volumes") == 0 && r->volumes_seen)
    return wrong (r, line, "volumes is here twice");
  if (strcmp (text, "volumes") == 0) {
    r->volumes_seen = true;
    return take_key (r, text, line);
  }
  wrong (r, line, "unknown key \"%.64s\"", text);
  if (param_distance (text, "volumes") < PARAM_FAR)
    fault_hint (r->fault, "did you mean volumes?");
  else
    fault_hint (r->fault, "it begins with \"volumes:\"; man bulkhead.conf");
  return ERR_INVAL;
}

static enum err
on_scalar (struct reader *r, const yaml_event_t *event)
{
  const char *text = (const char *)event->data.scalar.value;
  unsigned line = (unsigned)event->start_mark.line + 1;

  if (event->data.scalar.anchor
      || (event->data.scalar.tag && !event->data.scalar.plain_implicit
          && !event->data.scalar.quoted_implicit))
    return wrong (r, line, "anchors and tags are not understood");
  for (size_t i = 0; i < event->data.scalar.length; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
      return wrong (r, line, "a value with a line end or control character");
  switch (r->place) {
  case AT_TOP:
    if (!r->key)
      return top_key (r, text, line);
    if (!text[0]) { /* "volumes:" and nothing */
      free (steal (&r->key));
      return ERR_OK;
    }
    break;
  case AT_VOLUMES:
    if (!r->volume)
      return begin_volume (r, text, line);
    break;
  case AT_VOLUME:
    return r->key ? add_pair (r, text, line) : take_key (r, text, line);
  case AT_STREAM:
    if (!text[0]) /* nothing but comments */
      return ERR_OK;
  }
  wrong (r, line, "\"%.64s\" stands where \"key: value\" lines should", text);
  fault_hint (r->fault, "lines that belong together are indented alike, with a "
                        "space after each colon");
  return ERR_INVAL;
}

static enum err
on_mapping (struct reader *r, const yaml_event_t *event)
{
  unsigned line = (unsigned)event->start_mark.line + 1;

  if (event->data.mapping_start.anchor || event->data.mapping_start.tag)
    return wrong (r, line, "anchors and tags are not understood");
  if (r->place == AT_STREAM)
    r->place = AT_TOP;
  else if (r->place == AT_TOP && r->key) {
    free (steal (&r->key));
    r->place = AT_VOLUMES;
  } else if (r->place == AT_VOLUMES && r->volume)
    r->place = AT_VOLUME;
  else
    return wrong (r, line, "nothing can be nested here");
  return ERR_OK;
}

static enum err
on_mapping_end (struct reader *r)
{
  enum place was = r->place;

  r->place = was == AT_VOLUME    ? AT_VOLUMES
             : was == AT_VOLUMES ? AT_TOP
                                 : AT_STREAM;
  return was == AT_VOLUME ? end_volume (r) : ERR_OK;
}

static enum err
on_event (struct reader *r, const yaml_event_t *event)
{
  unsigned line = (unsigned)event->start_mark.line + 1;

  switch (event->type) {
  case YAML_SCALAR_EVENT:
    return on_scalar (r, event);
  case YAML_MAPPING_START_EVENT:
    return on_mapping (r, event);
  case YAML_MAPPING_END_EVENT:
    return on_mapping_end (r);
  case YAML_SEQUENCE_START_EVENT:
    return wrong (r, line, "lists are not understood");
  case YAML_ALIAS_EVENT:
    return wrong (r, line, "anchors and tags are not understood");
  case YAML_DOCUMENT_START_EVENT:
    return r->documents++ ? wrong (r, line, "a second document begins here")
                          : ERR_OK;
  default:
    return ERR_OK;
  }
}

static enum err
syntax (struct reader *r, const yaml_parser_t *parser)
{
  wrong (r, (unsigned)parser->problem_mark.line + 1, "%s",
         parser->problem ? parser->problem : "this is not YAML");
  fault_hint (r->fault,
              "quote values with \": \" or \" #\" in them; indent with "
              "spaces");
  return ERR_INVAL;
}

enum err
conf_parse (const char *file, const char *text, size_t text_bytes,
            struct conf *c, struct fault *f)
{
  struct reader r = {.file = file, .config = c, .fault = f};
  yaml_parser_t parser;
  enum err e = ERR_OK;
  bool end = false;

  /* A volume of an earlier file may be here again; only within one file that
   * is an error.
   */
  for (unsigned i = 0; i < c->volumes; i++)
    c->volume[i]->line = 0;
  if (text_bytes > CONF_BYTES)
    return fault_set (f, ERR_LIMIT, "%s is larger than %u KiB", file,
                      CONF_BYTES >> 10);
  if (!yaml_parser_initialize (&parser))
    return fault_set (f, ERR_NOMEM, "out of memory");
  yaml_parser_set_encoding (&parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string (&parser, (const unsigned char *)text,
                                text_bytes);
  while (!e && !end) {
    yaml_event_t event;

    if (!yaml_parser_parse (&parser, &event)) {
      e = syntax (&r, &parser);
      break;
    }
    e = on_event (&r, &event);
    end = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete (&event);
  }
  yaml_parser_delete (&parser);
  free (r.key);
  free_volume (r.volume);
  return e;
}
