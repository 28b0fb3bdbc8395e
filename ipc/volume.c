/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/volume.h"

#include <stdio.h>
#include <string.h>

static enum err
pool_add (struct volume_spec *s, const char *text, uint16_t *ret_offset)
{
  size_t n = strlen (text) + 1;

  if (n > sizeof s->pool - s->pool_used)
    return ERR_LIMIT;
  memcpy (s->pool + s->pool_used, text, n);
  *ret_offset = s->pool_used;
  s->pool_used = (uint16_t)(s->pool_used + n);
  return ERR_OK;
}

static int
find (const struct volume_spec *s, const char *key)
{
  for (unsigned i = 0; i < s->params; i++)
    if (strcmp (s->pool + s->param[i].key, key) == 0)
      return (int)i;
  return -1;
}

enum err
volume_spec_set (struct volume_spec *s, const char *key, const char *value,
                 int fd_index)
{
  int i = find (s, key);
  uint16_t k = 0, v = 0;
  enum err e;

  if (i < 0 && s->params == VOLUME_PARAMS)
    return ERR_LIMIT;
  if (i < 0 && (e = pool_add (s, key, &k)))
    return e;
  if ((e = pool_add (s, value, &v)))
    return e;
  if (i < 0) {
    i = (int)s->params++;
    s->param[i].key = k;
  }
  s->param[i].value = v;
  s->param[i].fd = (int8_t)fd_index;
  return ERR_OK;
}

const char *
volume_spec_get (const struct volume_spec *s, const char *key)
{
  int i = find (s, key);

  return i < 0 ? NULL : s->pool + s->param[i].value;
}

int
volume_spec_fd (const struct volume_spec *s, const char *key)
{
  int i = find (s, key);

  return i < 0 ? -1 : s->param[i].fd;
}

void
volume_spec_name (const struct volume_spec *s, char *dst, size_t dst_bytes)
{
  const char *user = volume_spec_get (s, "user");
  const char *host = volume_spec_get (s, "host");
  const char *port = volume_spec_get (s, "port");
  const char *path = volume_spec_get (s, "path");
  bool v6 = host && strchr (host, ':');

  snprintf (dst, dst_bytes, "%s://%s%s%s%s%s%s%s%s%s", s->proto,
            user ? user : "", user ? "@" : "", v6 ? "[" : "",
            host ? host : "", v6 ? "]" : "", port ? ":" : "",
            port ? port : "", path && path[0] == '/' ? "" : "/",
            path ? path : "");
}

void
volume_spec_put (struct wirebuf *b, const struct volume_spec *s)
{
  wirebuf_cstring (b, s->proto);
  wirebuf_u8 (b, (uint8_t)s->params);
  for (unsigned i = 0; i < s->params; i++) {
    wirebuf_cstring (b, s->pool + s->param[i].key);
    wirebuf_cstring (b, s->pool + s->param[i].value);
    wirebuf_u8 (b, (uint8_t)s->param[i].fd);
  }
}

enum err
volume_spec_take (struct wire *w, unsigned fds, struct volume_spec *ret)
{
  struct volume_spec s = {0};
  char key[64], value[VOLUME_POOL_BYTES];
  unsigned params;

  wire_cstring (w, s.proto, sizeof s.proto);
  params = wire_u8 (w);
  if (w->err || params > VOLUME_PARAMS)
    return ERR_PEER;
  for (unsigned i = 0; i < params; i++) {
    int fd;

    wire_cstring (w, key, sizeof key);
    wire_cstring (w, value, sizeof value);
    fd = wire_u8 (w);
    if (w->err || !key[0] || find (&s, key) >= 0
        || (fd != 0xff && (unsigned)fd >= fds))
      return ERR_PEER;
    if (volume_spec_set (&s, key, value, fd == 0xff ? -1 : fd))
      return ERR_PEER;
  }
  *ret = s;
  return ERR_OK;
}

void
volume_info_put (struct wirebuf *b, const struct volume_info *i)
{
  wirebuf_u64 (b, i->size);
  wirebuf_u32 (b, i->block_min);
  wirebuf_u32 (b, i->block_preferred);
  wirebuf_u32 (b, i->request_max);
  wirebuf_u32 (b, i->range_max);
  wirebuf_u32 (b, i->caps);
  wirebuf_u64 (b, i->change);
  wirebuf_cstring (b, i->readonly_why);
  wirebuf_cstring (b, i->remarks);
  wirebuf_cstring (b, i->identity);
}

enum err
volume_info_take (struct wire *w, struct volume_info *ret)
{
  struct volume_info i = {0};

  i.size = wire_u64 (w);
  i.block_min = wire_u32 (w);
  i.block_preferred = wire_u32 (w);
  i.request_max = wire_u32 (w);
  i.range_max = wire_u32 (w);
  i.caps = wire_u32 (w);
  i.change = wire_u64 (w);
  wire_cstring (w, i.readonly_why, sizeof i.readonly_why);
  wire_cstring (w, i.remarks, sizeof i.remarks);
  wire_cstring (w, i.identity, sizeof i.identity);
  if (w->err || !volume_info_check (&i))
    return ERR_PEER;
  *ret = i;
  return ERR_OK;
}

void
fault_put (struct wirebuf *b, const struct fault *f)
{
  wirebuf_u32 (b, (uint32_t) - (int)f->code);
  wirebuf_cstring (b, f->text);
  wirebuf_cstring (b, f->hint);
}

enum err
fault_take (struct wire *w, struct fault *ret)
{
  struct fault f = {0};
  uint32_t code = wire_u32 (w);

  wire_cstring (w, f.text, sizeof f.text);
  wire_cstring (w, f.hint, sizeof f.hint);
  if (w->err)
    return ERR_PEER;
  /* 0 would be a fault without an error */
  f.code = code > 0 && code < ERR_COUNT ? (enum err) - (int)code : ERR_IO;
  fault_set (ret, f.code, "%s", f.text[0] ? f.text : err_text (f.code));
  fault_hint (ret, "%s", f.hint);
  return ERR_OK;
}
