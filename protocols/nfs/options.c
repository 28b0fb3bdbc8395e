/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "protocols/nfs/engine.h"

/* What servers note about who calls (RFC 5531 Appendix A); the worker does not
 * know the host's name.
 */
#define MACHINE "bulkhead"

static const char *
value_of (const struct proto_config *c, const char *key)
{
  const char *v = c->get (c->ctx, key);

  return v && *v ? v : NULL;
}

/* As nbdkit_parse_bool, whose manual promises these words to users. */
static enum err
read_bool (const struct proto_config *c, const char *key, bool *ret,
           struct fault *f)
{
  static const char *const words[2][6]
      = {{"0", "false", "f", "no", "n", "off"},
         {"1", "true", "t", "yes", "y", "on"}};
  const char *v = value_of (c, key);

  if (!v)
    return ERR_OK;
  for (unsigned yes = 0; yes < 2; yes++)
    for (unsigned i = 0; i < 6; i++)
      if (strcasecmp (v, words[yes][i]) == 0) {
        *ret = yes;
        return ERR_OK;
      }
  return fault_set (f, ERR_INVAL, "%s=%s: write yes or no", key, v);
}

/* Decimal digits up to `end`; false if there is anything else, or too much. */
static bool
number (const char **at, char end, uint32_t max, uint32_t *ret)
{
  const char *p = *at;
  uint64_t v = 0;

  if (*p < '0' || *p > '9')
    return false;
  for (; *p >= '0' && *p <= '9'; p++) {
    v = v * 10 + (uint64_t)(*p - '0');
    if (v > max)
      return false;
  }
  if (*p && *p != end)
    return false;
  *at = p;
  *ret = (uint32_t)v;
  return true;
}

static enum err
read_number (const struct proto_config *c, const char *key, uint32_t max,
             uint32_t *ret, struct fault *f)
{
  const char *v = value_of (c, key), *at = v;

  if (v && !number (&at, 0, max, ret))
    return fault_set (f, ERR_INVAL, "%s=%s is not a number in 0 … %u", key, v,
                      max);
  return ERR_OK;
}

/* BYTES, or with K, M, G, T: powers of 1024. A volume's size. */
static enum err
read_size (const struct proto_config *c, const char *key, uint64_t *ret,
           struct fault *f)
{
  static const char units[] = "KMGT";
  const char *v = value_of (c, key), *p = v, *unit;
  uint64_t size = 0;
  unsigned shift = 0;

  if (!v)
    return ERR_OK;
  for (; *p >= '0' && *p <= '9' && size <= (uint64_t)INT64_MAX / 10; p++)
    size = size * 10 + (uint64_t)(*p - '0');
  unit = *p ? strchr (units, *p >= 'a' ? *p - 'a' + 'A' : *p) : NULL;
  if (unit) {
    shift = 10 * (unsigned)(unit - units + 1);
    p++;
  }
  if (*p || size == 0 || size > (uint64_t)INT64_MAX >> shift)
    return fault_set (f, ERR_INVAL,
                      "%s=%s is not a size, such as 512M or 10G", key, v);
  *ret = size << shift;
  return ERR_OK;
}

static enum err
read_groups (const struct proto_config *c, uint32_t ret[RPC_GROUPS_MAX],
             unsigned *ret_count, struct fault *f)
{
  const char *v = value_of (c, "groups"), *at = v;
  unsigned count = 0;

  while (at && *at) {
    if (count == RPC_GROUPS_MAX || !number (&at, ',', UINT32_MAX, &ret[count]))
      return fault_set (f, ERR_INVAL,
                        "groups=%s is not a list of at most %u numbers, with "
                        "commas between them",
                        v, RPC_GROUPS_MAX);
    count++;
    if (*at == ',')
      at++;
  }
  *ret_count = count;
  return ERR_OK;
}

static enum err
read_auth (struct nfs_options *o, struct rpc_auth *ret,
           const struct proto_config *c, struct fault *f)
{
  const char *sec = value_of (c, "sec");
  uint32_t groups[RPC_GROUPS_MAX], stamp;
  unsigned group_count = 0;
  enum err e;

  o->uid = o->gid = 65534; /* nobody */
  if ((e = read_number (c, "uid", UINT32_MAX, &o->uid, f))
      || (e = read_number (c, "gid", UINT32_MAX, &o->gid, f))
      || (e = read_groups (c, groups, &group_count, f)))
    return e;
  memcpy (&stamp, c->seed + 4, sizeof stamp);
  if (!sec || strcmp (sec, "sys") == 0)
    rpc_auth_sys (ret, stamp, MACHINE, o->uid, o->gid, groups, group_count);
  else if (strcmp (sec, "none") == 0)
    rpc_auth_none (ret);
  else
    return fault_set (f, ERR_INVAL, "sec=%s: write sys or none", sec);
  return ERR_OK;
}

static enum err
read_path (struct nfs_options *o, const struct proto_config *c, struct fault *f)
{
  const char *path = value_of (c, "path");

  if (!path || path[0] != '/')
    return fault_set (f, ERR_INVAL, "no path was given");
  if (strlen (path) >= sizeof o->path)
    return fault_set (f, ERR_INVAL, "the path is longer than %zu bytes",
                      sizeof o->path - 1);
  strcpy (o->path, path);
  for (const char *p = path; *p; p += strcspn (p, "/")) {
    p += strspn (p, "/");
    if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]))
      return fault_set (f, ERR_INVAL, "the path %s has \"..\" in it", path);
  }
  return ERR_OK;
}

/* Behind it stand other parts of the owner: no '/'. */
static enum err
read_client (struct nfs_options *o, const struct proto_config *c,
             struct fault *f)
{
  const char *v = value_of (c, "client-id");

  if (!v)
    return ERR_OK;
  if (strlen (v) >= sizeof o->client || strchr (v, '/'))
    return fault_set (f, ERR_INVAL,
                      "client-id=%s: at most %zu characters, without '/'", v,
                      sizeof o->client - 1);
  strcpy (o->client, v);
  return ERR_OK;
}

static enum err
read_version (struct nfs_options *o, const struct proto_config *c,
              struct fault *f)
{
  static const char *const known[] = {"3", "4.1", "4.2"};
  const char *v = value_of (c, "version");

  if (!v)
    return ERR_OK;
  for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strcmp (v, known[i]) == 0) {
      strcpy (o->version, v);
      return ERR_OK;
    }
  return fault_set (f, ERR_INVAL, "version=%s: write 3, 4.1 or 4.2", v);
}

enum err
nfs_options_read (struct nfs_options *ret, struct rpc_auth *ret_auth,
                  const struct proto_config *config, struct fault *f)
{
  uint32_t mountport = 0, port = 0, timeout_s = 0;
  enum err e;

  *ret = (struct nfs_options){0};
  if ((e = read_version (ret, config, f)) || (e = read_path (ret, config, f))
      || (e = read_auth (ret, ret_auth, config, f))
      || (e = read_bool (config, "list", &ret->list, f))
      || (e = read_bool (config, "exclusive", &ret->exclusive, f))
      || (e = read_size (config, "resize", &ret->resize_bytes, f))
      || (e = read_client (ret, config, f))
      || (e = read_number (config, "port", 65535, &port, f))
      || (e = read_number (config, "mountport", 65535, &mountport, f))
      || (e = read_number (config, "timeout", 86400, &timeout_s, f)))
    return e;
  if (ret->list && ret->resize_bytes > 0)
    return fault_set (f, ERR_INVAL,
                      "resize= is for one file, and %s is a directory",
                      ret->path);
  ret->mountport = (uint16_t)mountport;
  ret->port = (uint16_t)port;
  ret->timeout_ns = timeout_s * 1000000000ull;
  return ERR_OK;
}
