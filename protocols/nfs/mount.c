/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/mount.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "protocols/nfs/engine.h"
#include "protocols/nfs/mount_codec.h"

/* Directories tried, the nearest to the file first. */
#define TRIES_MAX 32u

enum step { STEP_GETPORT = 1, STEP_EXPORT, STEP_MNT };

/* ------------------------------------------------------------- moving on ---
 */

static void
move (struct nfs *n, uint16_t port, uint8_t stage, const char *why)
{
  const uint8_t moved[NFS_MOVED_HEADER_BYTES] = {NFS_MOVED_MAGIC, stage};

  nfs_move (n, port, moved, sizeof moved, why);
}

void
nfs3_begin_mount (struct nfs *n, const char *why)
{
  if (n->options.mountport)
    move (n, n->options.mountport, NFS_STAGE_MOUNT, why);
  else
    move (n, PORTMAP_PORT, NFS_STAGE_PORTMAP, why);
}

static void
move_to_nfs (struct nfs *n, uint16_t prefix_bytes, const struct nfs3_fh *fh)
{
  uint8_t moved[NFS_MOVED_HEADER_BYTES + 2 + 4 + NFS3_FHSIZE];
  struct wirebuf b = wirebuf_init (moved, sizeof moved);

  wirebuf_u8 (&b, NFS_MOVED_MAGIC);
  wirebuf_u8 (&b, nfs_v3.id);
  wirebuf_u16 (&b, prefix_bytes);
  nfs3_put_fh (&b, fh);
  assert (b.err == ERR_OK);
  nfs_move (n, n->options.port, moved, b.used_bytes,
            "mountd gave the export's handle");
}

enum err
nfs3_root_take (const struct nfs *n, struct nfs3_root *ret)
{
  struct wire w = wire_init (n->moved, n->moved_bytes);
  struct nfs3_root root = {.prefix_bytes = wire_u16 (&w)};
  struct xdr x = {.w = w};

  nfs3_take_fh (&x, &root.fh);
  xdr_end (&x, "moved");
  if (x.bad || root.prefix_bytes > strlen (n->options.path))
    return ERR_PEER;
  *ret = root;
  return ERR_OK;
}

/* --------------------------------------------------------------- portmap ---
 */

static enum err
portmap_start (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  struct rpc_auth none;
  struct rpc_message m;

  (void)now_ns;
  (void)f;
  rpc_auth_none (&none);
  n->lanes.lane[0].rpc.auth = none;
  m = nfs_begin (n, &portmap_getport, STEP_GETPORT);
  portmap_put_getport (&m.b, MOUNT_PROGRAM, 3);
  nfs_send (n, &m);
  return ERR_OK;
}

static enum err
portmap_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
               uint64_t now_ns, struct fault *f)
{
  uint16_t port;
  enum err e;

  (void)now_ns;
  if (r->outcome != RPC_SUCCESS)
    return rpc_reply_fault (r, call->procedure, f);
  port = portmap_take_getport (&r->x);
  e = xdr_fault (&r->x, call->procedure->name, f);
  if (e)
    return e;
  if (port == 0) {
    fault_set (f, ERR_NOTSUP, "the server's portmapper knows no MOUNT version "
                              "3 over TCP, which NFSv3 needs");
    fault_hint (f, "give mountport= if mountd runs all the same, or "
                   "version=4.2 if the server has that");
    return ERR_NOTSUP;
  }
  move (n, port, NFS_STAGE_MOUNT, "the portmapper told mountd's port");
  return ERR_OK;
}

const struct nfs_dialect nfs_portmap = {
    .name = "portmap",
    .id = NFS_STAGE_PORTMAP,
    .start = portmap_start,
    .reply = portmap_reply,
};

/* ----------------------------------------------------------------- mount ---
 */

struct mount {
  uint16_t length[TRIES_MAX]; /* of the path, as directory; descending */
  unsigned tries, next;
  bool exports;        /* the list was not empty, */
  bool above;          /* and something in it is a directory above the path */
  char some[160];      /* of it, for people */
  size_t some_bytes;
  struct fault first;
};

static enum err
mount_start (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  struct rpc_message m;

  (void)now_ns;
  (void)f;
  m = nfs_begin (n, &mount_export, STEP_EXPORT);
  nfs_send (n, &m);
  return ERR_OK;
}

/* Keeps the longest ones. */
static void
add_try (struct mount *m, size_t length)
{
  unsigned i = m->tries;

  if (length == 0 || length > MOUNT_PATH_MAX_BYTES)
    return;
  while (i > 0 && m->length[i - 1] < length)
    i--;
  if (i == TRIES_MAX || (i > 0 && m->length[i - 1] == length))
    return;
  if (m->tries == TRIES_MAX)
    m->tries--;
  memmove (&m->length[i + 1], &m->length[i],
           (m->tries - i) * sizeof m->length[0]);
  m->length[i] = (uint16_t)length;
  m->tries++;
}

/* The export is the path, or a directory above it. No path has a NUL. */
static bool
is_prefix (const char *path, const char *dir, size_t dir_bytes)
{
  while (dir_bytes > 1 && dir[dir_bytes - 1] == '/')
    dir_bytes--;
  if (dir_bytes == 0 || dir[0] != '/' || memchr (dir, 0, dir_bytes))
    return false;
  if (dir_bytes == 1)
    return true;
  return strncmp (path, dir, dir_bytes) == 0
         && (path[dir_bytes] == '/' || !path[dir_bytes]);
}

/* Every directory above the path: where EXPORT told nothing that fits. */
static void
add_parents (struct mount *m, const struct nfs_options *o)
{
  size_t length = strlen (o->path);

  if (o->list)
    add_try (m, length);
  while (length > 1 && m->tries < TRIES_MAX - 1) {
    while (length > 1 && o->path[length - 1] != '/')
      length--;
    while (length > 1 && o->path[length - 1] == '/')
      length--;
    add_try (m, length);
  }
  add_try (m, 1);
}

static void
try_next_export (struct nfs *n)
{
  struct mount *m = n->own;
  struct rpc_message msg = nfs_begin (n, &mount_mnt, STEP_MNT);

  mount_put_mnt (&msg.b, n->options.path, m->length[m->next]);
  nfs_send (n, &msg);
}

static bool
wants_exports (const struct nfs *n)
{
  return n->options.list && strspn (n->options.path, "/")
                                == strlen (n->options.path);
}

static void
list_export (struct nfs *n, const char *dir, size_t dir_bytes)
{
  while (dir_bytes > 0 && dir[0] == '/') {
    dir++;
    dir_bytes--;
  }
  /* Beyond the list's limits exports are left out. */
  (void)listing_add (&n->listing, dir, dir_bytes, LISTING_SIZE_UNKNOWN,
                     "NFS export");
}

static void
note_export (struct nfs *n, const char *dir, size_t dir_bytes)
{
  struct mount *m = n->own;
  int room = (int)(sizeof m->some - m->some_bytes);
  int put;

  m->exports = true;
  if (wants_exports (n))
    list_export (n, dir, dir_bytes);
  put = snprintf (m->some + m->some_bytes, (size_t)room, "%s%.*s",
                  m->some_bytes ? ", " : "", (int)dir_bytes, dir);
  if (put > 0 && put < room)
    m->some_bytes += (size_t)put;
  m->some[m->some_bytes] = 0; /* whole names only */
  if (!is_prefix (n->options.path, dir, dir_bytes))
    return;
  while (dir_bytes > 1 && dir[dir_bytes - 1] == '/')
    dir_bytes--;
  m->above = true;
  add_try (m, dir_bytes);
}

static enum err
on_export (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
           struct fault *f)
{
  struct mount *m = n->own;
  const char *dir = NULL;
  size_t dir_bytes = 0;
  enum err e;

  if (r->outcome == RPC_SUCCESS) {
    while (mount_take_export (&r->x, &dir, &dir_bytes))
      note_export (n, dir, dir_bytes);
    e = xdr_fault (&r->x, call->procedure->name, f);
    if (e)
      return e;
  }
  if (wants_exports (n)) {
    if (r->outcome != RPC_SUCCESS)
      return rpc_reply_fault (r, call->procedure, f);
    n->info.caps = VOLUME_IS_LIST;
    nfs_ready (n);
    return ERR_OK;
  }
  if (m->tries == 0)
    add_parents (m, &n->options);
  try_next_export (n);
  return ERR_OK;
}

static enum err
refused (struct nfs *n, enum mount_status s, struct fault *f)
{
  struct mount *m = n->own;
  enum err e = mount_status_err (s);

  if (m->exports && !m->above)
    return fault_set (f, ERR_NOENT,
                      "%s: %sthe server exports no directory above it; it "
                      "exports %s",
                      n->options.path,
                      n->options.version[0]
                          ? ""
                          : "NFSv4 finds no such file, and for NFSv3 ",
                      m->some_bytes ? m->some : "others");
  fault_set (f, e, "mountd refuses %.*s: %s (%s, RFC 1813 §5.1.5)",
             (int)m->length[m->next], n->options.path, mount_status_text (s),
             mount_status_name (s));
  if (s == MNT3ERR_ACCES || s == MNT3ERR_PERM)
    fault_hint (f, "is this host among those that the export allows? If the "
                   "server wants source ports below 1024, the export needs the "
                   "option \"insecure\"");
  else if (!m->exports)
    fault_hint (f, "the server does not tell what it exports");
  return e;
}

static enum err
on_mnt (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
        struct fault *f)
{
  struct mount *m = n->own;
  struct nfs3_fh fh;
  bool sys = false, none = false;
  enum mount_status s;
  enum err e;

  if (r->outcome != RPC_SUCCESS)
    return rpc_reply_fault (r, call->procedure, f);
  s = mount_take_mnt (&r->x, &fh, &sys, &none);
  e = xdr_fault (&r->x, call->procedure->name, f);
  if (e)
    return e;
  if (s != MNT3_OK) {
    e = refused (n, s, f);
    /* What the nearest directory was refused for says most. */
    if (!m->first.code)
      m->first = *f;
    if (++m->next == m->tries) {
      *f = m->first;
      return m->first.code;
    }
    *f = (struct fault){0};
    try_next_export (n);
    return ERR_OK;
  }
  if (n->lanes.lane[0].rpc.auth.flavor == RPC_AUTH_SYS ? !sys : !none && !sys)
    return fault_set (f, ERR_AUTH,
                      "the export %.*s takes neither sec=sys nor sec=none "
                      "(field auth_flavors, RFC 1813 §5.2.1)",
                      (int)m->length[m->next], n->options.path);
  move_to_nfs (n, m->length[m->next], &fh);
  return ERR_OK;
}

static enum err
mount_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
             uint64_t now_ns, struct fault *f)
{
  (void)now_ns;
  return call->step == STEP_EXPORT ? on_export (n, call, r, f)
                                   : on_mnt (n, call, r, f);
}

const struct nfs_dialect nfs_mount = {
    .name = "MOUNT",
    .id = NFS_STAGE_MOUNT,
    .own_bytes = sizeof (struct mount),
    .start = mount_start,
    .reply = mount_reply,
};
