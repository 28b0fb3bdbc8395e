/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/sftp/list.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocols/sftp/startup.h"

/* STATUS too may answer every step (§7). */
static const struct {
  const char *request;
  enum sftp_type reply;
  unsigned next; /* bit set of steps */
} steps[] = {
    [LIST_STAT] = {"SSH_FXP_STAT", SSH_FXP_ATTRS, 1u << LIST_OPENDIR},
    [LIST_OPENDIR] = {"SSH_FXP_OPENDIR", SSH_FXP_HANDLE, 1u << LIST_READDIR},
    [LIST_READDIR] = {"SSH_FXP_READDIR", SSH_FXP_NAME,
                      1u << LIST_READDIR | 1u << LIST_FOLLOW
                        | 1u << LIST_CLOSE},
    [LIST_FOLLOW] = {"SSH_FXP_STAT", SSH_FXP_ATTRS,
                     1u << LIST_FOLLOW | 1u << LIST_CLOSE},
    [LIST_CLOSE] = {"SSH_FXP_CLOSE", SSH_FXP_STATUS, 1u << LIST_DONE},
    [LIST_DONE] = {"nothing", 0, 0},
};

/* name_counts has looked whether it fits. */
static void
path_of (const struct list *l, const char *name,
         char dst[SFTP_PATH_MAX_BYTES + 1])
{
  size_t n = strlen (l->path);

  assert (n + 1 + strlen (name) <= SFTP_PATH_MAX_BYTES);
  memcpy (dst, l->path, n);
  if (n && dst[n - 1] != '/')
    dst[n++] = '/';
  strcpy (dst + n, name);
}

static void
enter (struct list *l, enum list_step step, uint64_t now_ns, struct outbox *o)
{
  struct wirebuf b = outbox_room (o);
  char path[SFTP_PATH_MAX_BYTES + 1];

  assert (steps[l->step].next & 1u << step);
  l->step = step;
  l->id++;
  l->deadline_ns = now_ns + STARTUP_TIMEOUT_NS;
  switch (step) {
  case LIST_OPENDIR:
    sftp_encode_opendir (&b, l->id, l->path);
    break;
  case LIST_READDIR:
    sftp_encode_readdir (&b, l->id, &l->handle);
    break;
  case LIST_FOLLOW:
    path_of (l, l->asked, path);
    sftp_encode_stat (&b, l->id, path);
    break;
  case LIST_CLOSE:
    sftp_encode_close (&b, l->id, &l->handle);
    break;
  case LIST_STAT: /* list_begin's */
  case LIST_DONE:
    l->deadline_ns = PROTO_NO_DEADLINE;
    return;
  }
  outbox_header (o, &b);
}

void
list_begin (struct list *l, const char *path, uint32_t first_id,
            uint64_t now_ns, struct outbox *o)
{
  struct wirebuf b = outbox_room (o);

  assert (strlen (path) <= SFTP_PATH_MAX_BYTES);
  *l = (struct list){.step = LIST_STAT, .id = first_id,
                     .deadline_ns = now_ns + STARTUP_TIMEOUT_NS};
  strcpy (l->path, path);
  sftp_encode_stat (&b, l->id, l->path);
  outbox_header (o, &b);
}

void
list_fini (struct list *l)
{
  listing_fini (&l->listing);
  listing_fini (&l->unknown);
}

bool
list_expects (const struct list *l, uint8_t type)
{
  return type == steps[l->step].reply || type == SSH_FXP_STATUS;
}

const char *
list_request_name (const struct list *l)
{
  return steps[l->step].request;
}

enum err
list_tick (const struct list *l, uint64_t now_ns, struct fault *f)
{
  if (now_ns < l->deadline_ns)
    return ERR_OK;
  return fault_set (f, ERR_TIMEOUT,
                    "no answer to %s from the SFTP server in %u s",
                    list_request_name (l),
                    (unsigned)(STARTUP_TIMEOUT_NS / 1000000000u));
}

enum kind { KIND_FILE, KIND_OTHER, KIND_UNKNOWN };

/* Of what READDIR tells: a symbolic link may lead to anything. */
static enum kind
kind_of (const struct sftp_attrs *a)
{
  uint32_t type =
      a->flags & SSH_FILEXFER_ATTR_PERMISSIONS ? a->permissions & 0170000u : 0;

  if (type == 0100000u)
    return a->flags & SSH_FILEXFER_ATTR_SIZE ? KIND_FILE : KIND_UNKNOWN;
  return type == 0 || type == 0120000u ? KIND_UNKNOWN : KIND_OTHER;
}

/* "changed 2026-11-23 12:40 UTC"; the civil date of a day since 1970. */
static void
describe (const struct sftp_attrs *a, char *dst, size_t dst_bytes)
{
  uint32_t days = a->mtime / 86400, minutes = a->mtime % 86400 / 60;
  uint32_t year = 1970, month = 0, length;

  if (!(a->flags & SSH_FILEXFER_ATTR_ACMODTIME)) {
    dst[0] = 0;
    return;
  }
#define LEAP(y) ((y) % 4 == 0 && ((y) % 100 != 0 || (y) % 400 == 0))
  while (days >= (length = LEAP (year) ? 366 : 365)) {
    days -= length;
    year++;
  }
  while (days >= (length = month == 1 ? (LEAP (year) ? 29 : 28)
                           : month < 7 ? 31 - month % 2
                                       : 30 + month % 2)) {
    days -= length;
    month++;
  }
#undef LEAP
  snprintf (dst, dst_bytes, "changed %u-%02u-%02u %02u:%02u UTC", year,
            month + 1, days + 1, minutes / 60, minutes % 60);
}

/* ERR_LIMIT: no more fit. */
static enum err
add_file (struct list *l, const char *name, size_t name_bytes,
          const struct sftp_attrs *a)
{
  bool sized = (a->flags & SSH_FILEXFER_ATTR_SIZE) && a->size <= INT64_MAX;
  char description[64];

  describe (a, description, sizeof description);
  return listing_add (&l->listing, name, name_bytes,
                      sized ? a->size : LISTING_SIZE_UNKNOWN, description);
}

/* A name that could lead out of the directory, or that is too long to be
 * opened, is none.
 */
static bool
name_counts (const struct list *l, const struct sftp_name *n)
{
  return n->name_bytes > 0 && !memchr (n->name, '/', n->name_bytes)
         && !memchr (n->name, 0, n->name_bytes)
         && !(n->name_bytes == 1 && n->name[0] == '.')
         && !(n->name_bytes == 2 && memcmp (n->name, "..", 2) == 0)
         && strlen (l->path) + 1 + n->name_bytes <= SFTP_PATH_MAX_BYTES;
}

static enum err
take_name (struct list *l, const struct sftp_name *n)
{
  enum kind kind = kind_of (&n->attrs);
  static const struct sftp_attrs nothing;

  if (!name_counts (l, n) || kind == KIND_OTHER)
    return ERR_OK;
  if (kind == KIND_FILE)
    return add_file (l, (const char *)n->name, n->name_bytes, &n->attrs);
  if (l->unknown.entries >= LIST_FOLLOW_MAX)
    return add_file (l, (const char *)n->name, n->name_bytes, &nothing);
  return listing_add (&l->unknown, (const char *)n->name, n->name_bytes,
                      LISTING_SIZE_UNKNOWN, "");
}

/* The next name of unknown kind, or the end. */
static void
follow_next (struct list *l, uint64_t now_ns, struct outbox *o)
{
  struct listing_entry e;
  bool broken;

  if (listing_next (l->unknown.base, l->unknown.used_bytes,
                    &l->unknown_offset, &e, &broken)) {
    l->asked = e.name;
    enter (l, LIST_FOLLOW, now_ns, o);
  } else
    enter (l, LIST_CLOSE, now_ns, o);
}

static enum err
on_names (struct list *l, struct wire *w, uint64_t now_ns, struct outbox *o,
          struct fault *f)
{
  struct sftp_name n;
  uint32_t count;
  enum err e = sftp_decode_name_count (w, &count, f);

  if (e)
    return e;
  for (uint32_t i = 0; i < count && !l->cut; i++) {
    if ((e = sftp_decode_name (w, &n, f)))
      return e;
    e = take_name (l, &n);
    if (e == ERR_NOMEM)
      return fault_set (f, e, "out of memory");
    l->cut = e || ++l->names == LIST_NAMES_MAX;
  }
  if (!l->cut && wire_end (w))
    return fault_set (f, ERR_PEER,
                      "the server sent a broken SFTP packet: SSH_FXP_NAME, "
                      "(bytes behind the last) (" SFTP_DRAFT " §7)");
  l->cut |= ++l->replies == LIST_REPLIES_MAX;
  if (l->cut)
    follow_next (l, now_ns, o);
  else
    enter (l, LIST_READDIR, now_ns, o);
  return ERR_OK;
}

static enum err
on_attrs (struct list *l, struct wire *w, uint64_t now_ns, struct outbox *o,
          struct fault *f)
{
  struct sftp_attrs a;
  enum err e = sftp_decode_attrs (w, &a, f);

  if (e)
    return e;
  if (l->step == LIST_STAT) {
    if ((a.flags & SSH_FILEXFER_ATTR_PERMISSIONS)
        && (a.permissions & 0170000u) && (a.permissions & 0170000u) != 0040000u)
      return fault_set (f, ERR_INVAL, "%s is not a directory on the server",
                        l->path);
    enter (l, LIST_OPENDIR, now_ns, o);
    return ERR_OK;
  }
  /* Who names no type may mean a file. */
  if (kind_of (&a) != KIND_OTHER) {
    e = add_file (l, l->asked, strlen (l->asked), &a);
    if (e == ERR_NOMEM)
      return fault_set (f, e, "out of memory");
    l->cut |= e != ERR_OK;
  }
  follow_next (l, now_ns, o);
  return ERR_OK;
}

static enum err
on_status (struct list *l, struct wire *w, uint64_t now_ns, struct outbox *o,
           struct fault *f)
{
  struct sftp_status st;
  enum err e = sftp_decode_status (w, &st, f);

  if (e)
    return e;
  if (l->step == LIST_CLOSE) { /* whatever it says */
    enter (l, LIST_DONE, now_ns, o);
    return ERR_OK;
  }
  if (st.code == SSH_FX_OK)
    return fault_set (f, ERR_PEER,
                      "the server answers SSH_FX_OK to %s, which asks for "
                      "more (SSH_FXP_STATUS, " SFTP_DRAFT " §7)",
                      list_request_name (l));
  if ((l->step == LIST_READDIR && st.code == SSH_FX_EOF)
      || l->step == LIST_FOLLOW) { /* a link that leads nowhere */
    follow_next (l, now_ns, o);
    return ERR_OK;
  }
  e = sftp_status_err (st.code);
  if (e == ERR_NOENT)
    return fault_set (f, e, "there is no directory %s on the server", l->path);
  return fault_set (f, e, "the server refuses %s of %s: %s (status %u)",
                    list_request_name (l), l->path,
                    st.message[0] ? st.message : "no reason given", st.code);
}

enum err
list_packet (struct list *l, uint8_t type, struct wire *w, uint64_t now_ns,
             struct outbox *o, struct fault *f)
{
  enum err e;

  if (l->step == LIST_DONE || wire_u32 (w) != l->id)
    return fault_set (f, ERR_PEER,
                      "the server answers a request that was not made "
                      "(%s, field id, " SFTP_DRAFT " §6)",
                      sftp_type_name (type) ? sftp_type_name (type)
                                            : "unknown packet type");
  if (type == SSH_FXP_STATUS)
    return on_status (l, w, now_ns, o, f);
  switch (l->step) {
  case LIST_STAT:
  case LIST_FOLLOW:
    return on_attrs (l, w, now_ns, o, f);
  case LIST_OPENDIR:
    if (!(e = sftp_decode_handle (w, &l->handle, f)))
      enter (l, LIST_READDIR, now_ns, o);
    return e;
  case LIST_READDIR:
    return on_names (l, w, now_ns, o, f);
  case LIST_CLOSE: /* STATUS alone */
  case LIST_DONE:
    break;
  }
  return ERR_PEER;
}

void
list_info (const struct list *l, struct volume_info *ret)
{
  *ret = (struct volume_info){
      .size = l->listing.used_bytes,
      .block_min = 1,
      .block_preferred = 4096,
      .request_max = SFTP_IO_MAX_BYTES,
      .caps = VOLUME_IS_LIST,
      .readonly_why = "a list of files",
  };
  if (l->cut)
    snprintf (ret->remarks, sizeof ret->remarks,
              "only the first %u files of %.80s are listed",
              l->listing.entries, l->path);
}

enum err
list_submit (struct list *l, const struct proto_request *r)
{
  unsigned at = (l->first_done + l->done) % PROTO_REQUESTS;

  if (r->op != IO_READ || r->length == 0
      || r->offset > l->listing.used_bytes
      || r->length > l->listing.used_bytes - r->offset)
    return ERR_INVAL;
  if (l->done == PROTO_REQUESTS)
    return ERR_AGAIN;
  memcpy (r->data, l->listing.base + r->offset, r->length);
  l->done_id[at] = r->id;
  l->done++;
  return ERR_OK;
}

bool
list_reap (struct list *l, struct proto_completion *ret)
{
  if (!l->done)
    return false;
  *ret = (struct proto_completion){.id = l->done_id[l->first_done]};
  l->first_done = (l->first_done + 1) % PROTO_REQUESTS;
  l->done--;
  return true;
}
