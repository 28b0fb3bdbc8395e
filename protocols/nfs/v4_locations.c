/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a file system has gone (RFC 8881 §11.16): the attribute fs_locations,
 * as URLs for people. Nobody is dialled because of it.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <string.h>

/* Ours: more is no list for people. */
#define LOCATIONS_MAX 64u
#define SERVERS_MAX 64u
#define COMPONENTS_MAX 128u
#define ATTRLIST_MAX_BYTES (64u * 1024)

/* What is told; the first ones that fit. */
struct told {
  char *text;
  size_t size_bytes, used_bytes;
  unsigned left_out;
};

/* A name that the server made up: nothing that a terminal takes for a command,
 * and nothing that a URL takes for its own.
 */
static bool
put_bytes (struct told *t, const uint8_t *p, size_t n)
{
  static const char digit[] = "0123456789ABCDEF";

  for (size_t i = 0; i < n; i++) {
    bool plain = p[i] > ' ' && p[i] < 0x7f && !strchr ("%?#\"<>\\^`{|}", p[i]);

    if (t->used_bytes + 4 > t->size_bytes)
      return false;
    if (plain) {
      t->text[t->used_bytes++] = (char)p[i];
      continue;
    }
    t->text[t->used_bytes++] = '%';
    t->text[t->used_bytes++] = digit[p[i] >> 4];
    t->text[t->used_bytes++] = digit[p[i] & 15];
  }
  return true;
}

static bool
put_words (struct told *t, const char *s)
{
  size_t n = strlen (s);

  if (t->used_bytes + n + 1 > t->size_bytes)
    return false;
  memcpy (t->text + t->used_bytes, s, n);
  t->used_bytes += n;
  return true;
}

/* pathname4; t may be NULL. What of `path` is below it goes to *path, or NULL
 * does: it is not below it.
 */
static bool
get_pathname (struct xdr *y, struct told *t, const char **path)
{
  uint32_t components = xdr_count (y, COMPONENTS_MAX,
                                   "fs_locations4: pathname4, RFC 8881 §11.16");
  bool room = true;

  for (uint32_t i = 0; i < components && !y->bad; i++) {
    size_t n, skip;
    const uint8_t *p =
        xdr_opaque (y, NFS_NAME_MAX_BYTES, &n,
                    "fs_locations4: component4, RFC 8881 §11.16");

    if (!p)
      break;
    if (t)
      room = room && put_words (t, "/") && put_bytes (t, p, n);
    if (!path || !*path)
      continue;
    skip = strspn (*path, "/");
    if (strcspn (*path + skip, "/") == n && memcmp (*path + skip, p, n) == 0)
      *path += skip + n;
    else
      *path = NULL;
  }
  return room;
}

/* One server of a location, whose path is read from a copy of the cursor. */
static bool
tell (struct told *t, const uint8_t *server, size_t n, struct xdr path,
      const char *below)
{
  bool six = memchr (server, ':', n) != NULL;

  return (t->used_bytes == 0 || put_words (t, ", ")) && put_words (t, "nfs://")
         && (!six || put_words (t, "[")) && put_bytes (t, server, n)
         && (!six || put_words (t, "]")) && get_pathname (&path, t, NULL)
         && (!below || put_bytes (t, (const uint8_t *)below, strlen (below)));
}

static void
get_location (struct xdr *y, struct told *t, const char *below)
{
  static const char field[] = "fs_location4.server, RFC 8881 §11.16";
  uint32_t servers = xdr_count (y, SERVERS_MAX, field);
  struct xdr first = *y;
  struct xdr path;

  for (uint32_t i = 0; i < servers && !y->bad; i++) {
    size_t n;

    xdr_opaque (y, NFS_NAME_MAX_BYTES, &n, field);
  }
  path = *y;
  get_pathname (y, NULL, NULL);
  if (y->bad)
    return;
  for (uint32_t i = 0; i < servers; i++) {
    size_t n, before = t->used_bytes;
    const uint8_t *p = xdr_opaque (&first, NFS_NAME_MAX_BYTES, &n, field);

    if (n > 0 && tell (t, p, n, path, below))
      continue;
    t->used_bytes = before; /* whole ones only */
    t->left_out++;
  }
}

void
v4_get_locations (struct v4_answer *a, const char *path, char *ret,
                  size_t ret_size_bytes)
{
  struct told t = {.text = ret, .size_bytes = ret_size_bytes};
  uint32_t words = xdr_count (a->x, 3, "fattr4.attrmask, RFC 8881 §3.3.7");
  uint32_t locations;
  const uint8_t *values;
  struct xdr y;
  size_t n;

  *ret = 0;
  for (uint32_t i = 0; i < words && !a->x->bad; i++)
    if (xdr_u32 (a->x, "fattr4.attrmask, RFC 8881 §3.3.7")
        != (i == 0 ? V4_ATTR (FATTR4_FS_LOCATIONS) : 0))
      xdr_reject (a->x, "fattr4.attrmask: not fs_locations, RFC 8881 §18.7.3");
  values = xdr_opaque (a->x, ATTRLIST_MAX_BYTES, &n,
                       "fattr4.attr_vals, RFC 8881 §3.3.7");
  if (!values)
    return;
  y = xdr_init (values, n);
  get_pathname (&y, NULL, &path);
  locations =
      xdr_count (&y, LOCATIONS_MAX, "fs_locations4.locations, RFC 8881 §11.16");
  for (uint32_t i = 0; i < locations && !y.bad; i++)
    get_location (&y, &t, path);
  xdr_end (&y, "fattr4.attr_vals: bytes are left over, RFC 8881 §3.3.7");
  if (y.bad)
    xdr_reject (a->x, y.bad);
  if (t.left_out > 0)
    (void)put_words (&t, " and others");
  ret[t.used_bytes] = 0;
}
