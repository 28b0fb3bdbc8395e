/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of the chain (v4.h) that is about the file: opening it, and what the
 * server can do with it.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocols/nfs/engine.h"

#define LEASE_LEAST_S 3u
#define LEASE_MOST_S 3600u
/* Requests that the gateway sends again come at once, if they come. */
#define SETTLE_AFTER_NS (2 * V4_NS_PER_S)

/* It has to be the one that it was. Who had a name and has none is another. */
static enum err
same_file (struct nfs *n, const char *identity, struct fault *f)
{
  const struct v4 *v = v4_of (n);

  if (n->state != PROTO_READY)
    return ERR_OK;
  if (n->info.identity[0] && strcmp (identity, n->info.identity) != 0)
    return fault_set (f, ERR_IO, "%s: the file was replaced by another one",
                      n->options.path);
  if (v->attrs.size < n->info.size)
    return fault_set (f, ERR_IO,
                      "%s: the file was cut from %" PRIu64 " to %" PRIu64
                      " bytes by somebody else",
                      n->options.path, n->info.size, v->attrs.size);
  return ERR_OK;
}

static uint32_t
io_size (uint64_t attr, uint32_t channel_bytes)
{
  uint64_t size = channel_bytes - V4_DATA_OVERHEAD_BYTES;

  if (attr > 0 && attr < size)
    size = attr;
  if (size > NFS_IO_MAX_BYTES)
    size = NFS_IO_MAX_BYTES;
  return (uint32_t)(size > 4096 ? size & ~4095ull : size);
}

static enum err
check_size (const struct nfs *n, const struct v4_attrs *t, struct fault *f)
{
  if (t->size <= INT64_MAX)
    return ERR_OK;
  return fault_set (f, ERR_LIMIT,
                    "%s: the server says that the file has %" PRIu64
                    " bytes, which is more than a volume can have "
                    "(fattr4_size, RFC 8881 §5.8.1.5)",
                    n->options.path, t->size);
}

/* A volume_info's: 0 would say that it is not known. */
static uint64_t
change_of (const struct v4_attrs *t)
{
  return t->change ? t->change : 1;
}

/* §5.8.2.7: a server need not number its files. Handles tell one from another
 * if they last, and no file has two of them (§4.2.3, §5.8.1.10); else nothing
 * does.
 */
static void
name_file (const struct v4 *v, char *ret, size_t ret_bytes)
{
  const struct v4_attrs *t = &v->attrs;
  const uint32_t about_handles = V4_ATTR (FATTR4_FH_EXPIRE_TYPE)
                                 | V4_ATTR (FATTR4_UNIQUE_HANDLES);
  bool lasting = (t->have & about_handles) == about_handles
                 && t->fh_expire_type == 0 && t->unique_handles;

  ret[0] = 0;
  if (t->have & V4_ATTR (FATTR4_FILEID))
    snprintf (ret, ret_bytes, "%" PRIx64 ":%" PRIx64 ":%" PRIx64,
              t->fsid_major, t->fsid_minor, t->fileid);
  else if (lasting)
    snprintf (ret, ret_bytes, "%" PRIx64 ":%" PRIx64 ":fh.%016" PRIx64,
              t->fsid_major, t->fsid_minor,
              nfs_hash (4, v->walk_fh.bytes, v->walk_fh.length_bytes));
}

static enum err
note_file (struct nfs *n, struct fault *f)
{
  struct v4 *v = v4_of (n);
  const struct v4_attrs *t = &v->attrs;
  uint32_t lease_s = t->lease_time_s;
  char identity[sizeof n->info.identity];
  enum err e;

  e = check_size (n, t, f);
  if (e)
    return e;
  name_file (v, identity, sizeof identity);
  e = same_file (n, identity, f);
  if (e)
    return e;
  if (!(t->have & V4_ATTR (FATTR4_LEASE_TIME)))
    lease_s = 60;
  if (lease_s < LEASE_LEAST_S)
    lease_s = LEASE_LEAST_S;
  if (lease_s > LEASE_MOST_S)
    lease_s = LEASE_MOST_S;
  v->lease_ns = lease_s * V4_NS_PER_S;
  if (n->state == PROTO_READY)
    return ERR_OK;
  strcpy (n->info.identity, identity);
  n->info.size = t->size;
  n->info.change = change_of (t);
  n->read_max_bytes = io_size (t->maxread, v->memory.maxresponsesize);
  n->write_max_bytes = io_size (t->maxwrite, v->memory.maxrequestsize);
  if (n->read_max_bytes < V4_IO_LEAST_BYTES
      || n->write_max_bytes < V4_IO_LEAST_BYTES)
    return fault_set (
        f, ERR_LIMIT,
        "the server takes READs of %u and WRITEs of %u bytes, "
        "which is too little (maxread, maxwrite, RFC 8881 §5.8.2)",
        n->read_max_bytes, n->write_max_bytes);
  return ERR_OK;
}

/* At the end of the path: what is it, and what may we do with it? */
enum err
v4_arrived (struct nfs *n, struct fault *f)
{
  struct v4 *v = v4_of (n);
  uint32_t type = v->attrs.type, access;
  bool same;
  enum err e;

  if (n->options.list && type == NF4DIR) {
    v->memory.fh = v->walk_fh;
    v->cookie = 0;
    v->entries = 0;
    memset (v->cookie_verifier, 0, sizeof v->cookie_verifier);
    v4_go (n, V4_READDIR);
    return ERR_OK;
  }
  if (type == NF4DIR)
    return fault_set (f, ERR_ISDIR, "%s is a directory", n->options.path);
  if (type != NF4REG || n->options.list)
    return fault_set (f, ERR_NOENT, "%s is not a %s", n->options.path,
                      n->options.list ? "directory" : "regular file");
  e = note_file (n, f);
  if (e)
    return e;
  if (!(v->access & ACCESS4_READ))
    return fault_set (f, ERR_ACCESS,
                      "%s: uid %u may not read the file (ACCESS)",
                      n->options.path, n->options.uid);
  same = v4_fh_equal (&v->walk_fh, &v->memory.fh);
  v->memory.fh = v->walk_fh;
  if (n->state == PROTO_STARTING) {
    v->writable = v->access & ACCESS4_MODIFY;
    if (!v->writable)
      snprintf (n->info.readonly_why, sizeof n->info.readonly_why,
                "uid %u may not write to the file on the server (ACCESS)",
                n->options.uid);
  }
  access = OPEN4_SHARE_ACCESS_READ
           | (v->writable ? OPEN4_SHARE_ACCESS_WRITE : 0);
  same = same && v->memory.has_open && v->memory.open_access == access;
  v->memory.open_access = access;
  v4_go (n, same ? V4_TEST : V4_OPEN);
  return ERR_OK;
}

static void
get_look (struct v4_answer *a, struct v4_attrs *ret)
{
  v4_get_attrs (a->x, V4_ATTRS_LOOK, ret);
  if (ret->have != V4_ATTRS_LOOK)
    xdr_reject (a->x, "fattr4.attrmask: size or change is missing, RFC 8881 "
                      "§5.6");
}

static void
ready (struct nfs *n, uint64_t now_ns)
{
  struct v4 *v = v4_of (n);
  struct volume_info *i = &n->info;

  v->step = V4_IDLE;
  v->give_up_ns = 0;
  v->renewed_ns = now_ns;
  if (n->state == PROTO_READY) {
    v->mending = false;
    return;
  }
  i->caps = v->memory.caps & VOLUME_CAN_STATUS;
  if (v->writable)
    i->caps = (v->memory.caps & V4_CAPS_PROBED) | VOLUME_CAN_WRITE
              | VOLUME_CAN_FLUSH | VOLUME_CAN_FUA | VOLUME_FLUSH_COVERS_ALL;
  snprintf (i->remarks, sizeof i->remarks,
            "%s, %u connection%s, %u slots, READ up to %u bytes, WRITE up to "
            "%u bytes%s",
            n->dialect->name, n->lanes.count, n->lanes.count > 1 ? "s" : "",
            v->memory.slots, n->read_max_bytes, n->write_max_bytes,
            v->memory.caps & VOLUME_CAN_TRIM || !v->writable
                ? ""
                : ", no DEALLOCATE");
  v->begun_again = 0;
  v4_memory_store (n);
  if (n->lanes.count < n->lanes.wanted && !n->lanes.asked) {
    nfs_identity_choose (n, n->dialect->id);
    v4_memory_settle (n);
    nfs_move_to_lanes (n);
    return;
  }
  if (n->lanes.count < n->lanes.wanted)
    snprintf (n->lanes.said, sizeof n->lanes.said,
              "the session has %u of the %u connections that were asked for: "
              "the server takes no more",
              n->lanes.count, n->lanes.wanted);
  n->pieces_max = v->memory.slots - 1;
  v->settle_ns = now_ns + SETTLE_AFTER_NS;
  nfs_ready (n);
  v4_memory_settle (n);
}

/* What can it do? Asked once, as the answers are remembered. */
static void
ask_what_it_can (struct nfs *n, uint64_t now_ns)
{
  const struct v4 *v = v4_of (n);

  if (v->minor < 2 || v->memory.probed)
    ready (n, now_ns);
  else
    v4_go (n, V4_PROBE_SEEK);
}

static enum err
opened (struct nfs *n, uint64_t now_ns, struct fault *f)
{
  const struct v4 *v = v4_of (n);

  if (!nfs_wants_resize (n, n->info.size)) {
    ask_what_it_can (n, now_ns);
    return ERR_OK;
  }
  if (!v->writable)
    return fault_set (f, ERR_ACCESS,
                      "%s: its length cannot be changed (resize=): %s",
                      n->options.path, n->info.readonly_why);
  v4_go (n, V4_RESIZE);
  return ERR_OK;
}

enum err
v4_got_resize (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
               struct fault *f)
{
  struct v4_attrs t = {0};
  enum err e;

  if (v4_take (a, OP_PUTFH) && v4_take (a, OP_SETATTR)) {
    v4_get_setattr (a);
    if (v4_take (a, OP_GETATTR))
      get_look (a, &t);
  }
  e = v4_close_answer (a, "SETATTR", f);
  if (e)
    return e;
  if (a->status)
    return v4_on_error (n, a, now_ns, f);
  e = nfs_resized (n, t.size, f);
  if (e)
    return e;
  n->info.size = t.size;
  n->info.change = change_of (&t);
  ask_what_it_can (n, now_ns);
  return ERR_OK;
}

/* Is what we had opened before still open? */
enum err
v4_got_test (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f)
{
  struct v4 *v = v4_of (n);
  uint32_t status = NFS4_OK;
  enum err e;

  if (v4_take (a, OP_TEST_STATEID))
    status = v4_get_test_stateid (a);
  e = v4_close_answer (a, "TEST_STATEID", f);
  if (e)
    return e;
  if (a->status && a->status != NFS4ERR_NOTSUPP)
    return v4_on_error (n, a, now_ns, f);
  if (!a->status && !status)
    return opened (n, now_ns, f);
  v->memory.has_open = false;
  /* §8.2.4, §18.38: what was revoked is to be acknowledged. */
  if (status == NFS4ERR_EXPIRED || status == NFS4ERR_ADMIN_REVOKED)
    v4_go (n, V4_FREE);
  else
    v4_go (n, V4_OPEN);
  return ERR_OK;
}

enum err
v4_got_free (struct nfs *n, struct v4_answer *a, struct fault *f)
{
  enum err e;

  v4_take (a, OP_FREE_STATEID);
  e = v4_close_answer (a, "FREE_STATEID", f);
  if (e)
    return e;
  v4_go (n, V4_OPEN); /* whatever it says */
  return ERR_OK;
}

static void
note_open (struct nfs *n, const struct v4_open_result *r)
{
  struct v4 *v = v4_of (n);

  v->memory.open = r->stateid;
  /* §8.2.2: "the most recent one", so that nobody's OPEN makes it an old one.
   */
  v->memory.open.seqid = 0;
  v->memory.has_open = true;
  v->delegation = r->delegation;
  v4_memory_store (n);
}

/* Not for writing? Then for reading, the first time. */
static bool
read_only_instead (struct nfs *n, uint32_t status)
{
  struct v4 *v = v4_of (n);

  if (n->state != PROTO_STARTING
      || !(v->memory.open_access & OPEN4_SHARE_ACCESS_WRITE)
      || n->options.exclusive)
    return false;
  if (status != NFS4ERR_ACCESS && status != NFS4ERR_PERM
      && status != NFS4ERR_ROFS)
    return false;
  v->writable = false;
  v->memory.open_access = OPEN4_SHARE_ACCESS_READ;
  snprintf (n->info.readonly_why, sizeof n->info.readonly_why,
            "the server does not let uid %u open the file for writing: %s",
            n->options.uid, v4_status_find (status)->name);
  return true;
}

enum err
v4_got_open (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f)
{
  struct v4_open_result r = {0};
  enum err e;

  if (v4_take (a, OP_PUTFH) && v4_take (a, OP_OPEN))
    v4_get_open (a, &r);
  e = v4_close_answer (a, "OPEN", f);
  if (e)
    return e;
  if (a->status && read_only_instead (n, a->status)) {
    v4_go (n, V4_OPEN);
    return ERR_OK;
  }
  if (a->status)
    return v4_on_error (n, a, now_ns, f);
  note_open (n, &r);
  if (r.delegated)
    v4_go (n, V4_GIVE_BACK);
  else
    e = opened (n, now_ns, f);
  return e;
}

/* §8.4.2.1: the server has restarted, and gives back what we had. If it does
 * not, the file is opened anew.
 */
enum err
v4_got_reclaim (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f)
{
  struct v4 *v = v4_of (n);
  struct v4_open_result r = {0};
  enum v4_recovery recovery;
  enum err e;

  if (v4_take (a, OP_PUTFH) && v4_take (a, OP_OPEN))
    v4_get_open (a, &r);
  e = v4_close_answer (a, "OPEN with CLAIM_PREVIOUS", f);
  if (e)
    return e;
  if (a->status) {
    recovery = v4_status_find (a->status)->recovery;
    if (a->failed == OP_SEQUENCE || recovery == V4_DO_WAIT)
      return v4_on_error (n, a, now_ns, f);
    v->memory.has_open = false;
  } else {
    note_open (n, &r);
  }
  v4_go (n, V4_RECLAIM_COMPLETE);
  return ERR_OK;
}

enum err
v4_got_give_back (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
                  struct fault *f)
{
  enum err e;

  if (v4_take (a, OP_PUTFH))
    v4_take (a, OP_DELEGRETURN);
  e = v4_close_answer (a, "DELEGRETURN", f);
  if (e)
    return e;
  return opened (n, now_ns, f); /* whatever it says */
}

/* Which step comes behind that probe; V4_IDLE: none. sparse: it has found a
 * hole.
 */
static enum v4_step
next_probe (const struct nfs *n, enum v4_step step, bool sparse)
{
  bool plus = sparse && !(v4_of (n)->memory.caps & V4_NO_READ_PLUS);

  if (step == V4_PROBE_SEEK && plus)
    return V4_PROBE_READ_PLUS;
  if (step == V4_PROBE_SEEK || step == V4_PROBE_READ_PLUS)
    return v4_of (n)->writable ? V4_PROBE_DEALLOCATE : V4_IDLE;
  if (step == V4_PROBE_DEALLOCATE)
    return V4_PROBE_ALLOCATE;
  return V4_IDLE;
}

/* Notes what the server can do; true if it is sparse. */
static bool
probed (struct nfs *n, enum v4_step step, bool works, uint64_t hole)
{
  uint32_t *caps = &v4_of (n)->memory.caps;

  if (!works)
    return false;
  if (step == V4_PROBE_SEEK)
    *caps |= VOLUME_CAN_STATUS;
  if (step == V4_PROBE_READ_PLUS)
    *caps |= V4_CAN_READ_PLUS;
  if (step == V4_PROBE_DEALLOCATE)
    *caps |= VOLUME_CAN_TRIM | VOLUME_CAN_ZERO | VOLUME_CAN_FAST_ZERO;
  return step == V4_PROBE_SEEK && hole < n->info.size;
}

enum err
v4_got_probe (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
           struct fault *f)
{
  static const enum nfs_opnum4 ops[V4_STEPS]
    = {[V4_PROBE_SEEK] = OP_SEEK,
       [V4_PROBE_READ_PLUS] = OP_READ_PLUS,
       [V4_PROBE_DEALLOCATE] = OP_DEALLOCATE,
       [V4_PROBE_ALLOCATE] = OP_ALLOCATE};
  struct v4 *v = v4_of (n);
  enum v4_step step = v->step, next;
  enum nfs_opnum4 op = ops[step];
  uint64_t hole = UINT64_MAX;
  bool eof, sparse;
  uint32_t segments;
  enum err e;

  if (v4_take (a, OP_PUTFH) && v4_take (a, op)) {
    if (op == OP_SEEK)
      v4_get_seek (a, &eof, &hole);
    if (op == OP_READ_PLUS) {
      v4_get_read_plus (a, &eof, &segments);
      /* of no bytes: nothing, or where a hole is */
      for (; segments > 0 && !a->x->bad; segments--) {
        struct v4_segment s;

        v4_get_segment (a, &s);
        if (!s.hole)
          xdr_fixed (a->x, s.length, "data4.d_data, RFC 7862 §15.10.2");
      }
    }
  }
  e = v4_close_answer (a, v4_op_name (op), f);
  if (e)
    return e;
  if (a->status && (a->failed != op
                    || v4_status_find (a->status)->recovery != V4_DO_FAIL))
    return v4_on_error (n, a, now_ns, f);
  /* NXIO: an empty file; INVAL: no bytes. It knows what they are. */
  sparse = probed (n, step,
                   a->status == NFS4_OK || a->status == NFS4ERR_NXIO
                     || a->status == NFS4ERR_INVAL,
                   hole);
  next = next_probe (n, step, sparse);
  if (next != V4_IDLE) {
    v4_go (n, next);
    return ERR_OK;
  }
  v->memory.probed = v->writable; /* else only half of it */
  ready (n, now_ns);
  return ERR_OK;
}

/* --------------------------------------------------- has it been changed? ---
 */

bool
v4_probe (struct nfs *n)
{
  struct v4 *v = v4_of (n);

  /* Without room it is asked for again before the requests that take what
   * there is next.
   */
  if (v->step != V4_IDLE || v->mending || v->leaving
      || !nfs_has_room (n, 0, V4_STEP_ARGUMENTS_BYTES))
    return false;
  v4_go (n, V4_LOOK);
  v4_pump (n, n->now_ns);
  return true;
}

enum err
v4_got_look (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f)
{
  struct v4 *v = v4_of (n);
  struct v4_attrs t = {0};
  enum err e;

  if (v4_take (a, OP_PUTFH) && v4_take (a, OP_GETATTR))
    get_look (a, &t);
  e = v4_close_answer (a, "GETATTR", f);
  if (e)
    return e;
  if (a->status) {
    e = v4_beside_refused (n, a, now_ns, f);
    if (!e && v->step == V4_IDLE)
      n->probe = NFS_PROBE_ASKED; /* when it is mended */
    return e;
  }
  v->step = V4_IDLE;
  v->give_up_ns = 0;
  e = check_size (n, &t, f);
  if (!e)
    nfs_probed (n, change_of (&t), t.size);
  return e;
}

enum err
v4_got_readdir (struct nfs *n, struct v4_answer *a, uint64_t now_ns,
             struct fault *f)
{
  struct v4 *v = v4_of (n);
  bool eof = false;
  enum err e = v4_got_list (n, a, &eof, f);

  if (e)
    return e;
  if (a->status)
    return v4_on_error (n, a, now_ns, f);
  if (!eof) {
    v->unsent = true;
    return ERR_OK;
  }
  n->info.caps = VOLUME_IS_LIST;
  n->pieces_max = v->memory.slots - 1;
  v->step = V4_IDLE;
  nfs_ready (n);
  v4_memory_settle (n);
  return ERR_OK;
}
