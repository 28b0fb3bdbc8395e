/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/settings.h"

#include <string.h>
#include <strings.h>

static enum err
read_digest (const struct proto_config *c, const char *key, uint32_t *ret,
             struct fault *f)
{
  const char *value = c->get (c->ctx, key);

  /* Of both some targets pick the CRC, whatever stands first (tgt does), and
   * not every target's costs little.
   */
  *ret = KEYS_NONE;
  if (!value || strcasecmp (value, "none") == 0)
    return ERR_OK;
  if (strcasecmp (value, "crc32c") != 0)
    return fault_set (f, ERR_INVAL, "%s=%.40s: write none or crc32c", key,
                      value);
  *ret = KEYS_CRC32C;
  return ERR_OK;
}

static enum err
read_names (const struct proto_config *c, struct settings *s, struct fault *f)
{
  const char *name = c->get (c->ctx, "initiator-name");
  enum err e;

  if (!name || !name[0])
    name = SETTINGS_INITIATOR_NAME;
  e = name_normalise (name, strlen (name), "initiator",
                      s->login.initiator_name, f);
  return e ? e : name_path (c->get (c->ctx, "path"), &s->path, f);
}

static enum err
check_path (const struct settings *s, struct fault *f)
{
  if (s->list && s->path.has_lun)
    return fault_set (f, ERR_INVAL, "there is nothing to list below a LUN");
  if (s->list || s->path.target[0])
    return ERR_OK;
  fault_set (f, ERR_INVAL, "the URL names no target");
  fault_hint (f, "it looks like iscsi://host/iqn.2004-10.com.example:disk/1; "
                 "bulkhead discover shows what there is");
  return ERR_INVAL;
}

static bool
is_set (const struct proto_config *c, const char *key)
{
  const char *value = c->get (c->ctx, key);

  return value && value[0];
}

/* The daemon has checked it. */
static uint32_t
read_timeout (const struct proto_config *c)
{
  const char *value = c->get (c->ctx, "timeout");
  uint32_t seconds;

  return value && keys_number (value, 86400, &seconds) && seconds
             ? seconds
             : SETTINGS_TIMEOUT_S;
}

enum err
settings_read (const struct proto_config *c, struct settings *ret,
               struct fault *f)
{
  struct settings s = {0};
  const char *list = c->get (c->ctx, "list");
  enum err e;

  s.list = list && strcmp (list, "yes") == 0;
  if ((e = read_names (c, &s, f)) || (e = check_path (&s, f))
      || (e = read_digest (c, "header-digest", &s.login.header_digest, f))
      || (e = read_digest (c, "data-digest", &s.login.data_digest, f)))
    return e;
  s.request_ns = read_timeout (c) * 1000000000ull;
  s.login.mutual = is_set (c, "target-user");
  s.login.chap = is_set (c, "user") || s.login.mutual;
  memcpy (s.login.target_name, s.path.target, sizeof s.login.target_name);
  s.login.receive_max_bytes
      = s.path.target[0] ? SETTINGS_RECEIVE_BYTES : INBOX_BODY_BYTES;
  *ret = s;
  return ERR_OK;
}
