/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/options_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "gateway/retained.h"
#include "gateway/url.h"
#include "protocols/params.h"

#define NS_PER_S 1000000000ull
#define REQUEST_SECONDS 30 /* timeout='s default */
#define PREFETCH_DEFAULT (4u << 20)
#define PREFETCH_MAX (8u << 20) /* AHEAD_PIECES chunks */
#define RETAIN_DEFAULT (64u << 20)
#define RETAIN_MAX (2048u << 20)

static const struct param gateway_params[] = {
  {"url", PARAM_STRING, PARAM_TO_GATEWAY, 0, 0, NULL, "URL",
   "what to serve; \"url=\" may be left out"},
  {"readonly", PARAM_BOOL, PARAM_TO_GATEWAY, 0, 0, "no", "BOOL",
   "refuse writes, whatever the server allows"},
  {"cache", PARAM_BOOL, PARAM_TO_GATEWAY, 0, 0, "on", "BOOL",
   "answer reads from the cache that all gateways of the host share"},
  {"revalidate", PARAM_UINT, PARAM_TO_GATEWAY, 0, 86400, "0", "SECONDS",
   "how often to ask the server whether others have written; 0: never"},
  {"prefetch", PARAM_STRING, PARAM_TO_GATEWAY, 0, 0, "4M", "BYTES[K|M]",
   "read ahead of sequential readers by at most this much; 0: not at all"},
  {"retain", PARAM_STRING, PARAM_TO_GATEWAY, 0, 0, "64M", "BYTES[K|M]",
   "keep at most this much of what was written and not yet flushed, to send it "
   "again if the server loses it; 0: keep nothing"},
  {"outage", PARAM_STRING, PARAM_TO_GATEWAY, 0, 0, "wait",
   "wait|fail:SECONDS",
   "while the server cannot be reached: requests wait, or fail after SECONDS"},
  {"timeout", PARAM_UINT, PARAM_TO_GATEWAY, 1, 86400, "30", "SECONDS",
   "a request that the server leaves unanswered for so long: reconnect"},
  {0},
};

const struct param *
options_params (void)
{
  return gateway_params;
}

/* Whose meaning is no protocol's. */
static const struct param *
own_param (const char *key)
{
  const struct param *p = param_find (gateway_params, key);

  return p ? p : param_find (proto_common_params, key);
}

enum err
options_add (struct options *o, const char *key, const char *value,
             struct fault *f)
{
  for (unsigned i = 0; i < o->pairs; i++)
    if (strcmp (o->pair[i].key, key) == 0)
      return fault_set (f, ERR_INVAL, "%s= is given twice", key);
  if (o->pairs == OPTIONS_PAIRS)
    return fault_set (f, ERR_LIMIT, "more than %d parameters", OPTIONS_PAIRS);
  o->pair[o->pairs].key = strdup (key);
  o->pair[o->pairs].value = strdup (value);
  if (!o->pair[o->pairs].key || !o->pair[o->pairs].value)
    return fault_set (f, ERR_NOMEM, "out of memory");
  o->pairs++;
  return ERR_OK;
}

void
options_free (struct options *o)
{
  for (unsigned i = 0; i < o->pairs; i++) {
    free (o->pair[i].key);
    free (o->pair[i].value);
  }
  for (unsigned i = 0; i < o->fds; i++)
    if (o->fd[i] >= 0)
      close (o->fd[i]);
  o->pairs = o->fds = 0;
}

const char *
options_get (const struct options *o, const char *key)
{
  for (unsigned i = 0; i < o->pairs; i++)
    if (strcmp (o->pair[i].key, key) == 0)
      return o->pair[i].value;
  return NULL;
}

static enum err
unknown_key (const char *key, const struct param *table, struct fault *f)
{
  const char *nearest = param_nearest (table, key);

  if (!nearest)
    nearest = param_nearest (gateway_params, key);
  if (!nearest)
    nearest = param_nearest (proto_common_params, key);
  fault_set (f, ERR_INVAL, "unknown parameter \"%s\"", key);
  if (nearest)
    fault_hint (f, "did you mean %s=?", nearest);
  else
    fault_hint (f, "nbdkit bulkhead --help lists them");
  return ERR_INVAL;
}

enum err
options_parse_bool (const char *key, const char *value, bool *ret,
                    struct fault *f)
{
  static const char *const yes[] = {"1", "true", "t", "yes", "y", "on"};
  static const char *const no[] = {"0", "false", "f", "no", "n", "off"};

  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
    if (strcasecmp (value, yes[i]) == 0)
      return *ret = true, ERR_OK;
    if (strcasecmp (value, no[i]) == 0)
      return *ret = false, ERR_OK;
  }
  return fault_set (f, ERR_INVAL, "%s=%s is neither yes nor no", key, value);
}

enum err
options_check_uint (const struct param *p, const char *value,
                    struct fault *f)
{
  unsigned long v;
  char *end;

  errno = 0;
  v = strtoul (value, &end, 10);
  if (errno || *end || !isdigit ((unsigned char)value[0]) || v < p->min
      || v > p->max)
    return fault_set (f, ERR_INVAL,
                      "%s=%s is not a number from %lu to %lu", p->key, value,
                      p->min, p->max);
  return ERR_OK;
}

static enum err
add_param (struct options *o, const struct param *p, const char *value,
           int (*read_secret) (const char *, char **), struct fault *f)
{
  bool on = false;
  enum err e = ERR_OK;

  switch (p->type) {
  case PARAM_SECRET:
    return options_put_secret (o, p, value, read_secret, f);
  case PARAM_FILE:
    return options_put_file (o, p, value, f);
  case PARAM_SOCKET:
    return options_put_socket (o, p, value, f);
  case PARAM_UINT:
    e = options_check_uint (p, value, f);
    break;
  case PARAM_BOOL:
    e = options_parse_bool (p->key, value, &on, f);
    value = on ? "yes" : "no";
    break;
  case PARAM_STRING:
    if (!value[0])
      e = fault_set (f, ERR_INVAL, "%s= is empty", p->key);
    break;
  }
  if (e)
    return e;
  if (volume_spec_set (&o->spec, p->key, value, -1))
    return fault_set (f, ERR_LIMIT, "%s= is too long", p->key);
  return ERR_OK;
}

static enum err
parse_outage (const char *value, uint64_t *ret_ns, struct fault *f)
{
  unsigned long seconds;
  char *end;

  *ret_ns = UINT64_MAX;
  if (strcmp (value, "wait") == 0)
    return ERR_OK;
  if (strncmp (value, "fail:", 5) == 0 && isdigit ((unsigned char)value[5])) {
    seconds = strtoul (value + 5, &end, 10);
    if (!*end && seconds <= 86400) {
      *ret_ns = seconds * NS_PER_S;
      return ERR_OK;
    }
  }
  return fault_set (f, ERR_INVAL, "outage=%s is neither wait nor "
                                  "fail:SECONDS (at most 86400)",
                    value);
}

/* 0, or min … max bytes. */
static enum err
parse_size (const char *key, const char *value, uint32_t min, uint32_t max,
            uint32_t *ret_bytes, struct fault *f)
{
  unsigned long v = 0;
  char *end = NULL;

  if (isdigit ((unsigned char)value[0]))
    v = strtoul (value, &end, 10);
  if (end && *end && strchr ("kKmM", *end) && !end[1] && v <= max) {
    v <<= strchr ("kK", *end) ? 10 : 20;
    end++;
  }
  if ((!end || *end || v > max || (v && v < min)) && min)
    return fault_set (f, ERR_INVAL,
                      "%s=%s is not a size such as 64M: 0, or from %uM to %uM",
                      key, value, min >> 20, max >> 20);
  if (!end || *end || v > max)
    return fault_set (f, ERR_INVAL,
                      "%s=%s is not a size such as 512K or 4M, up to %uM", key,
                      value, max >> 20);
  *ret_bytes = (uint32_t)v;
  return ERR_OK;
}

/* What concerns the gateway alone. */
static enum err
resolve_own (struct options *o, struct fault *f)
{
  const char *readonly = options_get (o, "readonly");
  const char *cache = options_get (o, "cache");
  const char *prefetch = options_get (o, "prefetch");
  const char *retain = options_get (o, "retain");
  const char *outage = options_get (o, "outage");
  const char *timeout = options_get (o, "timeout");
  const char *revalidate = options_get (o, "revalidate");
  const char *connections = options_get (o, "connections");
  enum err e;

  o->link = (struct link_options){.connections = 1,
                                  .cached = true,
                                  .outage_fail_ns = UINT64_MAX,
                                  .prefetch_bytes = PREFETCH_DEFAULT,
                                  .retain_bytes = RETAIN_DEFAULT,
                                  .request_ns = REQUEST_SECONDS * NS_PER_S};
  if (readonly
      && (e = options_parse_bool ("readonly", readonly, &o->readonly, f)))
    return e;
  o->link.readonly = o->readonly;
  if (cache && (e = options_parse_bool ("cache", cache, &o->link.cached, f)))
    return e;
  if (prefetch
      && (e = parse_size ("prefetch", prefetch, 0, PREFETCH_MAX,
                          &o->link.prefetch_bytes, f)))
    return e;
  if (retain
      && (e = parse_size ("retain", retain, RETAINED_LIMIT_MIN, RETAIN_MAX,
                          &o->link.retain_bytes, f)))
    return e;
  if (outage && (e = parse_outage (outage, &o->link.outage_fail_ns, f)))
    return e;
  if (timeout) {
    if ((e = options_check_uint (own_param ("timeout"), timeout, f)))
      return e;
    o->link.request_ns = strtoul (timeout, NULL, 10) * NS_PER_S;
    if (volume_spec_set (&o->spec, "timeout", timeout, -1))
      return fault_set (f, ERR_LIMIT, "timeout= is too long");
  }
  if (revalidate) {
    if ((e = options_check_uint (own_param ("revalidate"), revalidate, f)))
      return e;
    o->link.revalidate_ns = strtoul (revalidate, NULL, 10) * NS_PER_S;
  }
  if (connections) {
    if ((e = options_check_uint (own_param ("connections"), connections, f)))
      return e;
    o->link.connections = (unsigned)strtoul (connections, NULL, 10);
    if (volume_spec_set (&o->spec, "connections", connections, -1))
      return fault_set (f, ERR_LIMIT, "connections= is too long");
  }
  return ERR_OK;
}

/* What one of the protocol's parameters and our own cannot be at once. */
static enum err
check_together (const struct options *o, const struct param *p, struct fault *f)
{
  if ((p->flags & PARAM_WRITES) && o->readonly)
    return fault_set (f, ERR_INVAL,
                      "%s= changes the file, which readonly=yes forbids",
                      p->key);
  return ERR_OK;
}

enum err
options_resolve (struct options *o, const struct log *log,
                 int (*read_secret) (const char *value, char **ret),
                 struct fault *f)
{
  const char *url = options_get (o, "url");
  const struct param *table;
  enum err e;

  if (!url) {
    fault_set (f, ERR_INVAL, "no URL is given");
    fault_hint (f, "nbdkit bulkhead sftp://[user@]host[:port]/path/to/file");
    return ERR_INVAL;
  }
  if ((e = url_parse (url, &o->spec, f)))
    return e;
  if ((e = resolve_own (o, f)))
    return e;

  table = proto_params_find (o->spec.proto)->params;
  for (unsigned i = 0; i < o->pairs; i++) {
    const char *key = o->pair[i].key;
    const struct param *p = param_find (table, key);

    if (own_param (key))
      continue;
    if (!p)
      return unknown_key (key, table, f);
    if ((p->flags & PARAM_URL_ONLY) || volume_spec_get (&o->spec, key))
      return fault_set (f, ERR_INVAL, "%s= is in the URL already, or belongs "
                                      "there",
                        key);
    if (!(p->flags & (PARAM_TO_DAEMON | PARAM_TO_WORKER))) {
      if (!o->pair[i].value[0])
        return fault_set (f, ERR_INVAL, "%s= is empty", key);
      continue; /* for others' defaults */
    }
    if ((e = check_together (o, p, f))
        || (e = add_param (o, p, o->pair[i].value, read_secret, f)))
      return e;
  }
  for (const struct param *p = table; p->key; p++) {
    const char *from_url = volume_spec_get (&o->spec, p->key);

    if (from_url && p->type == PARAM_UINT
        && (e = options_check_uint (p, from_url, f)))
      return e;
    if (!from_url && (e = options_default (o, p, log, f)))
      return e;
  }
  return ERR_OK;
}
