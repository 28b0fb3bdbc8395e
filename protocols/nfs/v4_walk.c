/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of the chain (v4.h) that finds the file: as many LOOKUPs in a call
 * as it takes, symbolic links followed (walk.h), and where a file system is
 * said that has moved.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <string.h>

/* --------------------------------------------------------------- asking --- */

static void
put_base (const struct v4 *v, struct v4_call *c)
{
  if (v->walk.done_bytes == 0)
    v4_put (c, OP_PUTROOTFH);
  else
    v4_put_putfh (c, &v->walk_fh);
}

/* Each name behind its operation and its length. */
#define LOOKUP_BYTES(name_bytes) (8u + ((name_bytes) + 3u) / 4 * 4)
_Static_assert (LOOKUP_BYTES (NFS_NAME_MAX_BYTES) <= V4_IO_LEAST_BYTES,
                "the smallest session takes a name");

/* At most so many names behind walk_fh, and no more than the session takes in a
 * call, but one at least; *ret_at is behind them.
 */
static uint32_t
put_lookups (const struct v4 *v, struct v4_call *c, uint32_t most,
             size_t *ret_at)
{
  size_t room_bytes = v->memory.maxrequestsize - V4_DATA_OVERHEAD_BYTES;
  size_t at = v->walk.done_bytes, next = at, name_bytes, used_bytes = 0;
  const char *name;
  uint32_t lookups = 0;

  while (lookups < most
         && nfs_walk_name (&v->walk, &next, &name, &name_bytes)) {
    used_bytes += LOOKUP_BYTES (name_bytes);
    if (lookups > 0 && used_bytes > room_bytes)
      break;
    v4_put_lookup (c, name, name_bytes);
    at = next;
    lookups++;
  }
  *ret_at = at;
  return lookups;
}

void
v4_put_walk (struct nfs *n, struct v4_call *c)
{
  static const uint32_t mask[2] = {
      V4_ATTR (FATTR4_TYPE) | V4_ATTR (FATTR4_CHANGE) | V4_ATTR (FATTR4_SIZE)
          | V4_ATTR (FATTR4_FSID) | V4_ATTR (FATTR4_LEASE_TIME)
          | V4_ATTR (FATTR4_FH_EXPIRE_TYPE) | V4_ATTR (FATTR4_UNIQUE_HANDLES)
          | V4_ATTR (FATTR4_FILEID) | V4_ATTR (FATTR4_MAXREAD)
          | V4_ATTR (FATTR4_MAXWRITE),
      0};
  struct v4 *v = v4_of (n);
  /* Beside SEQUENCE, PUTFH, GETFH, GETATTR and ACCESS. */
  uint32_t room = v->memory.maxoperations - 5;

  put_base (v, c);
  v->walk_lookups =
      put_lookups (v, c, room < V4_LOOKUPS ? room : V4_LOOKUPS, &v->walk_next);
  v->walk_last = nfs_walk_ends (&v->walk, v->walk_next);
  v4_put (c, OP_GETFH);
  v4_put_getattr (c, mask);
  if (v->walk_last)
    v4_put_access (c, ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND);
}

void
v4_put_readlink (struct nfs *n, struct v4_call *c)
{
  struct v4 *v = v4_of (n);

  put_base (v, c);
  put_lookups (v, c, v->link_lookups, &v->link_at);
  v4_put (c, OP_READLINK);
}

/* RFC 8881 §11.3: of what is not there any more, this can be asked. */
void
v4_put_where (struct nfs *n, struct v4_call *c)
{
  static const uint32_t mask[2] = {V4_ATTR (FATTR4_FS_LOCATIONS), 0};
  struct v4 *v = v4_of (n);

  if (v->where_walked) {
    put_base (v, c);
    put_lookups (v, c, v->link_lookups, &v->link_at);
  } else {
    v4_put_putfh (c, &v->memory.fh);
  }
  v4_put_getattr (c, mask);
}

/* -------------------------------------------------------------- answers --- */

static bool
take_base (const struct v4 *v, struct v4_answer *a)
{
  return v4_take (a, v->walk.done_bytes == 0 ? OP_PUTROOTFH : OP_PUTFH);
}

/* How many of them worked. */
static uint32_t
take_lookups (struct v4_answer *a, uint32_t lookups)
{
  uint32_t i = 0;

  while (i < lookups && v4_take (a, OP_LOOKUP))
    i++;
  return i;
}

static enum err
no_such_file (const struct nfs *n, struct fault *f)
{
  const struct nfs_walk *w = &v4_of (n)->walk;

  fault_set (f, ERR_NOENT,
             "%s: no such file on the server (LOOKUP: "
             "NFS4ERR_NOENT%s%s)",
             n->options.path, w->links ? "; symbolic links lead to " : "",
             w->links ? w->path : "");
  fault_hint (f, "paths of NFSv4 begin at the server's pseudo-root, not at the "
                 "export's path on its disk");
  return ERR_NOENT;
}

static void
read_link (struct nfs *n, uint32_t lookups, uint32_t status)
{
  struct v4 *v = v4_of (n);

  v->link_lookups = lookups;
  v->link_status = status;
  v4_go (n, V4_READLINK);
}

/* The call has failed behind so many LOOKUPs. */
static enum err
walk_failed (struct nfs *n, const struct v4_answer *a, uint32_t lookups,
             uint64_t now_ns, struct fault *f)
{
  struct v4 *v = v4_of (n);

  if (a->status == NFS4ERR_NOENT)
    return no_such_file (n, f);
  /* A LOOKUP in what the one before it has found. */
  if ((a->status == NFS4ERR_SYMLINK || a->status == NFS4ERR_NOTDIR)
      && a->failed == OP_LOOKUP && lookups > 0) {
    read_link (n, lookups, a->status);
    return ERR_OK;
  }
  if (a->status == NFS4ERR_MOVED) {
    v->link_lookups = lookups;
    v4_go (n, V4_WHERE);
    v->where_walked = true;
    return ERR_OK;
  }
  return v4_on_error (n, a, now_ns, f);
}

static enum err
walked (struct nfs *n, struct fault *f)
{
  struct v4 *v = v4_of (n);
  enum err e;

  if (v->attrs.type == NF4LNK && v->walk_lookups > 0) {
    read_link (n, v->walk_lookups, NFS4ERR_SYMLINK);
    return ERR_OK;
  }
  if (v->walk_last)
    return v4_arrived (n, f);
  if (v->attrs.type != NF4DIR)
    return v4_refused (n, OP_LOOKUP, NFS4ERR_NOTDIR, f);
  e = nfs_walk_advance (&v->walk, v->walk_next, f);
  v->unsent = true;
  return e;
}

enum err
v4_got_walk (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f)
{
  struct v4 *v = v4_of (n);
  uint32_t lookups = 0;
  struct v4_fh fh = {0};
  enum err e;

  if (take_base (v, a))
    lookups = take_lookups (a, v->walk_lookups);
  if (lookups == v->walk_lookups && v4_take (a, OP_GETFH)) {
    v4_get_fh (a, &fh);
    if (v4_take (a, OP_GETATTR)) {
      v4_get_attrs (a->x, UINT32_MAX, &v->attrs);
      if (!(v->attrs.have & V4_ATTR (FATTR4_TYPE))
          || !(v->attrs.have & V4_ATTR (FATTR4_SIZE))
          || !(v->attrs.have & V4_ATTR (FATTR4_CHANGE)))
        xdr_reject (a->x, "fattr4.attrmask: type, size or change is missing, "
                          "RFC 8881 §5.6");
      if (v->walk_last && v4_take (a, OP_ACCESS))
        v->access = v4_get_access (a);
    }
  }
  e = v4_close_answer (a, "LOOKUP", f);
  if (e)
    return e;
  if (a->status)
    return walk_failed (n, a, lookups, now_ns, f);
  v->walk_fh = fh;
  return walked (n, f);
}

enum err
v4_got_readlink (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                 struct fault *f)
{
  struct v4 *v = v4_of (n);
  char target[NFS_PATH_MAX_BYTES] = "";
  enum err e;

  if (take_base (v, a) && take_lookups (a, v->link_lookups) == v->link_lookups
      && v4_take (a, OP_READLINK))
    v4_get_readlink (a, target, sizeof target);
  e = v4_close_answer (a, "READLINK", f);
  if (e)
    return e;
  /* It is none; so that was not the reason. */
  if (a->failed == OP_READLINK
      && (a->status == NFS4ERR_INVAL || a->status == NFS4ERR_WRONG_TYPE))
    return v4_refused (n, OP_LOOKUP, v->link_status, f);
  if (a->status)
    return v4_on_error (n, a, now_ns, f);
  e = nfs_walk_follow (&v->walk, v->link_at, target, "", 0, f);
  v->step = V4_WALK; /* v4_go would begin with the user's path */
  v->unsent = true;
  v->waits = 0;
  return e;
}

enum err
v4_got_where (struct nfs *n, struct v4_answer *a, struct fault *f)
{
  struct v4 *v = v4_of (n);
  char urls[200] = "";
  bool good;
  enum err e;

  if (v->where_walked)
    good = take_base (v, a)
           && take_lookups (a, v->link_lookups) == v->link_lookups;
  else
    good = v4_take (a, OP_PUTFH);
  if (good && v4_take (a, OP_GETATTR))
    v4_get_locations (a, v->walk.path, urls, sizeof urls);
  e = v4_close_answer (a, "GETATTR of fs_locations", f);
  if (e)
    return e;
  if (a->status || !urls[0])
    return v4_refused (n, OP_LOOKUP, NFS4ERR_MOVED, f);
  fault_set (f, ERR_IO,
             "%s: the file system has moved (NFS4ERR_MOVED; fs_locations, RFC "
             "8881 §11.16) to %s",
             n->options.path, urls);
  fault_hint (f, "the URL must name that server: a move is not followed");
  return ERR_IO;
}
