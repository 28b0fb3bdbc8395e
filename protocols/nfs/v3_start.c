/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv3 from the export's root handle to the file:
 *
 *   FSINFO → PATHCONF → (LOOKUP, READLINK …) → GETATTR → ACCESS → ready
 *                                                    ↘ LIST → ready
 *
 * One call at a time. A handle that is stale leads back to mountd. What a
 * LOOKUP has found is a directory, or a link to be followed (walk.h), or the
 * end; a server that does not say which is asked by GETATTR.
 */
#include "config.h"
#include "protocols/nfs/v3.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocols/nfs/engine.h"

/* A server that takes less at a time is refused. */
#define IO_LEAST_BYTES 512u
#define RESIZES_MAX 4u
#define LIST_LEAST_BYTES 8192u
#define LIST_MOST_BYTES (64u * 1024)

static void
ask (struct nfs *n)
{
  static const enum nfs3_procedure procedures[] = {
      [V3_FSINFO] = NFS3_FSINFO,   [V3_PATHCONF] = NFS3_PATHCONF,
      [V3_LOOKUP] = NFS3_LOOKUP,   [V3_GETATTR] = NFS3_GETATTR,
      [V3_READLINK] = NFS3_READLINK, [V3_ACCESS] = NFS3_ACCESS,
      [V3_RESIZE] = NFS3_SETATTR,
  };
  struct v3 *v = n->own;
  struct rpc_message m;

  if (v->step == V3_LIST) {
    v3_list_ask (n);
    return;
  }
  m = nfs_begin (n, &nfs3_procedure[procedures[v->step]], 0);
  if (v->step == V3_LOOKUP)
    nfs3_put_lookup (&m.b, &v->fh, v->name, v->name_bytes);
  else if (v->step == V3_ACCESS)
    nfs3_put_access (&m.b, &v->fh,
                     NFS3_ACCESS_READ | NFS3_ACCESS_MODIFY
                         | NFS3_ACCESS_EXTEND);
  else if (v->step == V3_RESIZE)
    nfs3_put_resize (&m.b, &v->fh, n->options.resize_bytes, v->attr.ctime);
  else
    nfs3_put_fh (&m.b, &v->fh);
  nfs_send (n, &m);
}

static void
enter (struct nfs *n, enum v3_step step)
{
  struct v3 *v = n->own;

  v->step = step;
  v->give_up_ns = 0;
  v->waits = 0;
  ask (n);
}

/* The next component, or the end. */
static enum err
walk (struct nfs *n, struct fault *f)
{
  struct v3 *v = n->own;

  if (v->walk.done_bytes == 0)
    v->fh = v->root;
  v->walk_at = v->walk.done_bytes;
  if (!nfs_walk_name (&v->walk, &v->walk_at, &v->name, &v->name_bytes)) {
    v->walk_at = strlen (v->walk.path);
    enter (n, V3_GETATTR);
    return ERR_OK;
  }
  if (v->name_bytes > NFS_NAME_MAX_BYTES
      || (v->name_max && v->name_bytes > v->name_max))
    return fault_set (f, ERR_NOENT,
                      "%.*s… is a longer name than the server has (%u bytes)",
                      32, v->name,
                      v->name_max ? v->name_max : NFS_NAME_MAX_BYTES);
  enter (n, V3_LOOKUP);
  return ERR_OK;
}

enum err
v3_start (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  struct v3 *v = n->own;
  struct nfs3_root root;

  (void)now_ns;
  (void)f;
  n->keep_xids = true;
  if (n->moved_bytes == 0 || nfs3_root_take (n, &root)) {
    nfs3_begin_mount (n, "NFSv3 needs the export's handle from mountd");
    return ERR_OK;
  }
  v->fh = v->root = root.fh;
  v->root_bytes = root.prefix_bytes;
  nfs_walk_begin (&v->walk, n->options.path + root.prefix_bytes);
  enter (n, V3_FSINFO);
  return ERR_OK;
}

/* ------------------------------------------------------------- in words --- */

/* What was reached of the path, with the links that were followed. */
static void
tell_path (const struct nfs *n, char *ret, size_t ret_size_bytes)
{
  const struct v3 *v = n->own;
  size_t root_bytes = v->root_bytes;

  while (root_bytes > 0 && n->options.path[root_bytes - 1] == '/')
    root_bytes--;
  snprintf (ret, ret_size_bytes, "%.*s%.*s", (int)root_bytes, n->options.path,
            (int)v->walk_at, v->walk.path);
  if (!*ret)
    snprintf (ret, ret_size_bytes, "%s", n->options.path);
}

enum err
v3_path_fault (const struct nfs *n, const struct rpc_call *call,
               enum nfs3_status s, struct fault *f)
{
  enum err e = nfs3_status_err (s);
  char path[NFS_PATH_MAX_BYTES];

  tell_path (n, path, sizeof path);
  fault_set (f, e, "%s: %s (%s: %s, RFC 1813 §2.6)", path, nfs3_status_text (s),
             call->procedure->name, nfs3_status_name (s));
  if (e == ERR_ACCESS)
    fault_hint (f,
                "the server was asked as uid %u, gid %u (uid=, gid=, groups=); "
                "if it wants source ports below 1024, the export needs the "
                "option \"insecure\"",
                n->options.uid, n->options.gid);
  return e;
}

static enum err
wait_and_ask (struct nfs *n, const struct rpc_call *call, enum nfs3_status s,
              uint64_t now_ns, struct fault *f)
{
  struct v3 *v = n->own;

  if (!v->give_up_ns)
    v->give_up_ns = now_ns + PROTO_START_WAIT_NS;
  v->wake_ns = now_ns + nfs_transfer_delay_ns (n, v->waits++);
  if (v->wake_ns >= v->give_up_ns) {
    v3_path_fault (n, call, s, f);
    return f->code = ERR_TIMEOUT;
  }
  n->deadline_ns = v->wake_ns + NFS_STEP_TIMEOUT_NS;
  return ERR_OK;
}

uint64_t
v3_start_deadline_ns (const struct nfs *n)
{
  const struct v3 *v = n->own;

  return v->wake_ns ? v->wake_ns : PROTO_NO_DEADLINE;
}

enum err
v3_start_tick (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  struct v3 *v = n->own;

  (void)f;
  if (v->wake_ns && now_ns >= v->wake_ns) {
    v->wake_ns = 0;
    ask (n);
  }
  return ERR_OK;
}

/* ---------------------------------------------------------------- steps --- */

static uint32_t
clamp (uint32_t v, uint32_t low, uint32_t high)
{
  return v < low ? low : v > high ? high : v;
}

static enum err
on_fsinfo (struct nfs *n, const struct nfs3_fsinfo *i, struct fault *f)
{
  struct v3 *v = n->own;

  if (i->rtmax < IO_LEAST_BYTES || i->wtmax < IO_LEAST_BYTES)
    return fault_set (f, ERR_PEER,
                      "the server reads %u and writes %u bytes at a time at "
                      "most (fields rtmax, wtmax, RFC 1813 §3.3.19)",
                      i->rtmax, i->wtmax);
  n->read_max_bytes = clamp (i->rtmax, 0, NFS_IO_MAX_BYTES);
  n->write_max_bytes = clamp (i->wtmax, 0, NFS_IO_MAX_BYTES);
  v->maxfilesize = i->maxfilesize;
  v->list_bytes = clamp (i->dtpref, LIST_LEAST_BYTES, LIST_MOST_BYTES);
  enter (n, V3_PATHCONF);
  return ERR_OK;
}

static const char *
type_words (enum nfs3_type type)
{
  static const char *const words[]
      = {[NF3REG] = "a regular file",      [NF3DIR] = "a directory",
         [NF3BLK] = "a block device",      [NF3CHR] = "a character device",
         [NF3LNK] = "a symbolic link",     [NF3SOCK] = "a socket",
         [NF3FIFO] = "a named pipe"};

  return words[type];
}

enum err
v3_check_size (const struct nfs *n, const struct nfs3_attr *a, struct fault *f)
{
  if (a->size <= INT64_MAX)
    return ERR_OK;
  return fault_set (f, ERR_PEER,
                    "the server says that %s has %" PRIu64 " bytes (field "
                    "fattr3.size, RFC 1813 §2.5)",
                    n->options.path, a->size);
}

/* The end of the path. */
static enum err
arrived (struct nfs *n, struct fault *f)
{
  struct v3 *v = n->own;
  const char *path = n->options.path;
  enum err e;

  if (n->options.list) {
    if (v->attr.type != NF3DIR)
      return fault_set (f, ERR_INVAL, "%s is %s, no directory to list", path,
                        type_words (v->attr.type));
    n->info.caps = VOLUME_IS_LIST;
    enter (n, V3_LIST);
    return ERR_OK;
  }
  if (v->attr.type != NF3REG)
    return fault_set (f, v->attr.type == NF3DIR ? ERR_ISDIR : ERR_INVAL,
                      "%s is %s, not a file", path, type_words (v->attr.type));
  e = v3_check_size (n, &v->attr, f);
  if (!e)
    enter (n, V3_ACCESS);
  return e;
}

/* v->attr is what is at walk_at. */
static enum err
on_attr (struct nfs *n, struct fault *f)
{
  struct v3 *v = n->own;
  char path[NFS_PATH_MAX_BYTES];
  enum err e;

  if (v->attr.type == NF3LNK && v->walk_at > 0) {
    enter (n, V3_READLINK);
    return ERR_OK;
  }
  if (nfs_walk_ends (&v->walk, v->walk_at))
    return arrived (n, f);
  if (v->attr.type != NF3DIR) {
    tell_path (n, path, sizeof path);
    return fault_set (f, ERR_NOENT, "%s is %s, not a directory", path,
                      type_words (v->attr.type));
  }
  e = nfs_walk_advance (&v->walk, v->walk_at, f);
  return e ? e : walk (n, f);
}

static enum err
on_lookup (struct nfs *n, bool has_attr, struct fault *f)
{
  struct v3 *v = n->own;

  /* At the end they are asked for in any case: these may be old ones. */
  if (!has_attr
      || (v->attr.type != NF3LNK && nfs_walk_ends (&v->walk, v->walk_at))) {
    enter (n, V3_GETATTR);
    return ERR_OK;
  }
  return on_attr (n, f);
}

static enum err
on_readlink (struct nfs *n, const char *target, struct fault *f)
{
  struct v3 *v = n->own;
  enum err e = nfs_walk_follow (&v->walk, v->walk_at, target, n->options.path,
                                v->root_bytes, f);

  return e ? e : walk (n, f);
}

/* Changes whenever somebody writes, in so far as the server's clock does: ctime
 * as well, which nobody can put back as mtime can be.
 */
uint64_t
v3_change (const struct nfs3_attr *a)
{
  const uint64_t words[] = {
      (uint64_t)a->mtime.seconds << 32 | a->mtime.nseconds,
      (uint64_t)a->ctime.seconds << 32 | a->ctime.nseconds, a->size};

  return nfs_hash (3, words, sizeof words) | 1;
}

/* resize=, and nothing else, leads here. */
static enum err
resize (struct nfs *n, uint32_t access, struct fault *f)
{
  struct v3 *v = n->own;

  if (!(access & NFS3_ACCESS_MODIFY))
    return fault_set (f, ERR_ACCESS,
                      "%s: the server does not let uid %u, gid %u change its "
                      "length (resize=; ACCESS, RFC 1813 §3.3.4)",
                      n->options.path, n->options.uid, n->options.gid);
  if (n->options.resize_bytes > v->maxfilesize)
    return fault_set (f, ERR_NOSPC,
                      "resize=: files on this server have at most %" PRIu64
                      " bytes (field maxfilesize, RFC 1813 §3.3.19)",
                      v->maxfilesize);
  if (v->resizes++ == RESIZES_MAX)
    return fault_set (f, ERR_IO,
                      "%s: somebody else changes it all the time, so that its "
                      "length is left alone (resize=)",
                      n->options.path);
  enter (n, V3_RESIZE);
  return ERR_OK;
}

static enum err
on_resize (struct nfs *n, enum nfs3_status s, const struct rpc_call *call,
           struct fault *f)
{
  struct v3 *v = n->own;

  /* NOT_SYNC: it was changed since we have looked. */
  if (s != NFS3_OK && s != NFS3ERR_NOT_SYNC)
    return v3_path_fault (n, call, s, f);
  v->resized = s == NFS3_OK;
  enter (n, V3_GETATTR);
  return ERR_OK;
}

static enum err
on_access (struct nfs *n, uint32_t access, struct fault *f)
{
  const struct v3 *v = n->own;
  struct volume_info *i = &n->info;
  enum err e = ERR_OK;

  if (v->resized)
    e = nfs_resized (n, v->attr.size, f);
  else if (nfs_wants_resize (n, v->attr.size))
    return resize (n, access, f);
  if (e)
    return e;

  if (!(access & NFS3_ACCESS_READ)) {
    fault_set (f, ERR_ACCESS, "%s: the server does not let uid %u, gid %u read "
                              "it (ACCESS, RFC 1813 §3.3.4)",
               n->options.path, n->options.uid, n->options.gid);
    fault_hint (f, "uid=, gid= and groups= say as whom to ask");
    return ERR_ACCESS;
  }
  i->size = v->attr.size;
  i->change = v3_change (&v->attr);
  snprintf (i->identity, sizeof i->identity,
            "nfs3 fsid %016" PRIx64 " fileid %016" PRIx64, v->attr.fsid,
            v->attr.fileid);
  if (access & NFS3_ACCESS_MODIFY)
    i->caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH | VOLUME_CAN_FUA
              | VOLUME_FLUSH_COVERS_ALL;
  else
    snprintf (i->readonly_why, sizeof i->readonly_why,
              "the server does not let uid %u, gid %u write it, or exports it "
              "read-only (ACCESS)",
              n->options.uid, n->options.gid);
  nfs_ready (n);
  return ERR_OK;
}

/* Decodes the answer to the step; what is good goes into *v and *ret_access. */
struct answer {
  bool has_attr;
  char target[NFS_PATH_MAX_BYTES];
  struct nfs3_fsinfo fsinfo;
  struct nfs3_pathconf pathconf;
  uint32_t access;
};

static enum nfs3_status
take (struct nfs *n, struct xdr *x, struct answer *ret)
{
  struct v3 *v = n->own;

  switch (v->step) {
  case V3_FSINFO:
    return nfs3_take_fsinfo (x, &ret->fsinfo);
  case V3_PATHCONF:
    return nfs3_take_pathconf (x, &ret->pathconf);
  case V3_LOOKUP:
    return nfs3_take_lookup (x, &v->fh, &ret->has_attr, &v->attr);
  case V3_READLINK:
    return nfs3_take_readlink (x, ret->target, sizeof ret->target);
  case V3_GETATTR:
    return nfs3_take_getattr (x, &v->attr);
  case V3_ACCESS:
    return nfs3_take_access (x, &ret->access);
  case V3_RESIZE:
    return nfs3_take_setattr (x);
  case V3_LIST:
  case V3_PROBE:
    break;
  }
  return NFS3_OK;
}

static enum err
go_on (struct nfs *n, const struct answer *a, struct fault *f)
{
  struct v3 *v = n->own;

  switch (v->step) {
  case V3_FSINFO:
    return on_fsinfo (n, &a->fsinfo, f);
  case V3_PATHCONF:
    v->name_max = a->pathconf.name_max;
    return walk (n, f);
  case V3_LOOKUP:
    return on_lookup (n, a->has_attr, f);
  case V3_READLINK:
    return on_readlink (n, a->target, f);
  case V3_GETATTR:
    return on_attr (n, f);
  case V3_ACCESS:
    return on_access (n, a->access, f);
  case V3_RESIZE: /* v3_start_reply */
  case V3_LIST:
  case V3_PROBE:
    break;
  }
  return ERR_OK; /* the list goes on by itself */
}

enum err
v3_start_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
                uint64_t now_ns, struct fault *f)
{
  struct v3 *v = n->own;
  struct answer answer = {0};
  enum nfs3_status s = NFS3_OK;
  enum err e;

  if (r->outcome != RPC_SUCCESS)
    return rpc_reply_fault (r, call->procedure, f);
  if (v->step == V3_LIST) {
    e = v3_list_reply (n, call, r, &s, f);
  } else {
    s = take (n, &r->x, &answer);
    e = xdr_fault (&r->x, call->procedure->name, f);
  }
  if (e)
    return e;
  if (s == NFS3ERR_JUKEBOX)
    return wait_and_ask (n, call, s, now_ns, f);
  if (s == NFS3ERR_STALE || s == NFS3ERR_BADHANDLE) {
    nfs3_begin_mount (n, "the file handle is stale: mountd is asked again");
    return ERR_OK;
  }
  if (v->step == V3_RESIZE)
    return on_resize (n, s, call, f);
  /* Not every server has PATHCONF; it only makes messages better. */
  if (s != NFS3_OK && v->step == V3_PATHCONF)
    return walk (n, f);
  if (s != NFS3_OK)
    return v3_path_fault (n, call, s, f);
  return go_on (n, &answer, f);
}
