/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/fake/nfs3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

enum {
  OK = 0,
  NOENT = 2,
  INVAL = 22,
  STALE = 70,
  NOT_SYNC = 10002,
  JUKEBOX = 10008
};
enum { ROOT = 1, DIRECTORY = 2, FILE_ = 3, LINKS = 10 };

void
fake_nfs3_init (struct fake_nfs3 *s, uint64_t size)
{
  *s = (struct fake_nfs3){.content = calloc (1, size),
                          .committed = calloc (1, size),
                          .size = size,
                          .verifier = 0x1122334455667788,
                          .mountd_port = 20048,
                          .nfs_port = 2049,
                          .rtmax = 1 << 20,
                          .wtmax = 1 << 20,
                          .access = 0x3f,
                          .mtime = 1000,
                          .root_type = 2,
                          .dir_type = 2,
                          .file_type = 1};
}

void
fake_nfs3_fini (struct fake_nfs3 *s)
{
  free (s->content);
  free (s->committed);
}

void
fake_nfs3_reboot (struct fake_nfs3 *s)
{
  memcpy (s->content, s->committed, s->size);
  s->verifier++;
}

void
fake_nfs3_resize (struct fake_nfs3 *s, uint64_t size)
{
  s->content = realloc (s->content, size);
  s->committed = realloc (s->committed, size);
  if (size > s->size) {
    memset (s->content + s->size, 0, size - s->size);
    memset (s->committed + s->size, 0, size - s->size);
  }
  s->size = size;
}

static size_t
padded (size_t n)
{
  return (n + 3) & ~(size_t)3;
}

static void
put_opaque (struct wirebuf *b, const void *p, size_t n)
{
  wirebuf_u32 (b, (uint32_t)n);
  wirebuf_bytes (b, p, n);
  wirebuf_bytes (b, "\0\0\0", padded (n) - n);
}

static const uint8_t *
take_opaque (struct wire *w, size_t *ret)
{
  uint32_t n = wire_u32 (w);
  const uint8_t *p = wire_bytes (w, padded (n));

  *ret = n;
  return p;
}

static void
put_fh (struct wirebuf *b, const struct fake_nfs3 *s, uint8_t object)
{
  const uint8_t fh[5] = {'f', 'h', s->generation, object, 0};

  put_opaque (b, fh, sizeof fh);
}

/* 0: stale */
static uint8_t
take_fh (struct wire *w, const struct fake_nfs3 *s)
{
  size_t n;
  const uint8_t *p = take_opaque (w, &n);

  return p && n == 5 && p[0] == 'f' && p[2] == s->generation && !s->stale
             ? p[3]
             : 0;
}

static void
put_attr (struct wirebuf *b, const struct fake_nfs3 *s, uint8_t object)
{
  wirebuf_u32 (b, object == ROOT        ? s->root_type
                  : object == DIRECTORY ? s->dir_type
                  : object >= LINKS     ? 5
                                        : s->file_type);
  wirebuf_u32 (b, 0644);
  wirebuf_u32 (b, 1);
  wirebuf_u32 (b, 0);
  wirebuf_u32 (b, 0);
  wirebuf_u64 (b, s->size);
  wirebuf_u64 (b, s->size);
  wirebuf_u64 (b, 0); /* rdev */
  wirebuf_u64 (b, 77);
  wirebuf_u64 (b, 1000u + object);
  for (int i = 0; i < 3; i++) { /* atime, mtime, ctime */
    wirebuf_u32 (b, s->mtime + (i == 2 ? s->ctime_ahead : 0));
    wirebuf_u32 (b, 5);
  }
}

static void
put_post_op (struct wirebuf *b, const struct fake_nfs3 *s, uint8_t object)
{
  bool there = object && !s->no_attributes;

  wirebuf_u32 (b, there);
  if (there)
    put_attr (b, s, object);
}

static void
put_wcc (struct wirebuf *b, const struct fake_nfs3 *s, uint8_t object)
{
  bool there = object && !s->no_attributes;

  wirebuf_u32 (b, there);
  if (there) {
    wirebuf_u64 (b, s->size);
    wirebuf_u64 (b, 1);
    wirebuf_u64 (b, 2);
  }
  put_post_op (b, s, object);
}

static uint32_t
at_most (const struct fake_nfs3 *s, uint32_t count, uint32_t max)
{
  if (s->most_bytes && count > s->most_bytes)
    count = s->most_bytes;
  return count < max ? count : max;
}

static void
do_read (struct fake_nfs3 *s, struct wire *w, struct wirebuf *b, uint8_t object)
{
  uint64_t offset = wire_u64 (w);
  uint32_t count = at_most (s, wire_u32 (w), s->rtmax);

  if (offset > s->size)
    count = 0;
  else if (count > s->size - offset)
    count = (uint32_t)(s->size - offset);
  wirebuf_u32 (b, OK);
  put_post_op (b, s, object);
  wirebuf_u32 (b, count);
  wirebuf_u32 (b, offset + count >= s->size);
  put_opaque (b, s->content + (count ? offset : 0), count);
}

static void
do_write (struct fake_nfs3 *s, struct wire *w, struct wirebuf *b,
          uint8_t object)
{
  uint64_t offset = wire_u64 (w);
  uint32_t count = wire_u32 (w), stable = wire_u32 (w);
  size_t n;
  const uint8_t *p = take_opaque (w, &n);

  if (stable < s->committed_how)
    stable = s->committed_how;
  if (!p || n != count || offset + count > s->size) {
    wirebuf_u32 (b, 22);
    put_wcc (b, s, object);
    return;
  }
  count = at_most (s, count, s->wtmax);
  memcpy (s->content + offset, p, count);
  if (stable)
    memcpy (s->committed + offset, p, count);
  wirebuf_u32 (b, OK);
  put_wcc (b, s, object);
  wirebuf_u32 (b, count);
  wirebuf_u32 (b, stable);
  wirebuf_u64 (b, s->verifier);
}

/* Of the size alone, with its guard. */
static void
do_setattr (struct fake_nfs3 *s, struct wire *w, struct wirebuf *b,
            uint8_t object)
{
  uint32_t other = 0, guarded, seconds, nseconds, status = OK;
  uint64_t size;

  for (int i = 0; i < 3; i++)
    other |= wire_u32 (w);
  other |= !wire_u32 (w);
  size = wire_u64 (w);
  other |= wire_u32 (w);
  other |= wire_u32 (w);
  guarded = wire_u32 (w);
  seconds = wire_u32 (w);
  nseconds = wire_u32 (w);
  if (other || !guarded || w->err)
    status = INVAL;
  else if (seconds != s->mtime + s->ctime_ahead || nseconds != 5)
    status = NOT_SYNC;
  else if (!s->ignores_setattr) {
    fake_nfs3_resize (s, size);
    s->mtime++;
  }
  wirebuf_u32 (b, status);
  put_wcc (b, s, object);
}

static void
do_readdirplus (struct fake_nfs3 *s, struct wire *w, struct wirebuf *b)
{
  uint64_t cookie = wire_u64 (w);
  char name[301];
  unsigned n = 0;

  wirebuf_u32 (b, OK);
  put_post_op (b, s, DIRECTORY);
  wirebuf_u64 (b, 99);
  for (; cookie < s->list_names + 3 && n < 50; n++, cookie++) {
    snprintf (name, sizeof name, "file%03u", (unsigned)cookie - 2);
    if (cookie < 3)
      strcpy (name, cookie == 0 ? "." : cookie == 1 ? ".." : "disk.img");
    if (cookie == 1 && s->list_long) {
      memset (name, 'n', 300);
      name[300] = 0;
    }
    wirebuf_u32 (b, 1);
    wirebuf_u64 (b, 1000 + cookie);
    put_opaque (b, name, strlen (name));
    wirebuf_u64 (b, cookie + 1);
    put_post_op (b, s, cookie + s->list_long < 2 ? DIRECTORY : FILE_);
    wirebuf_u32 (b, 1);
    put_fh (b, s, FILE_);
  }
  wirebuf_u32 (b, 0);
  wirebuf_u32 (b, cookie >= s->list_names + 3);
}

static void
do_lookup (struct fake_nfs3 *s, struct wire *w, struct wirebuf *b,
           uint8_t object)
{
  size_t n;
  const uint8_t *p = take_opaque (w, &n);
  uint8_t found = 0;

  if (p && object == ROOT && n == 3 && memcmp (p, "dir", 3) == 0)
    found = DIRECTORY;
  if (p && object == DIRECTORY && n == 8 && memcmp (p, "disk.img", 8) == 0)
    found = FILE_;
  for (unsigned i = 0; p && i < FAKE3_LINKS; i++)
    if (object <= DIRECTORY && s->link[i].name
        && strlen (s->link[i].name) == n
        && memcmp (p, s->link[i].name, n) == 0)
      found = (uint8_t)(LINKS + i);
  wirebuf_u32 (b, found ? OK : NOENT);
  if (found) {
    put_fh (b, s, found);
    put_post_op (b, s, found);
  }
  put_post_op (b, s, object);
}

/* Failures of procedures that begin with a handle: the attributes' shape. */
static void
fail (struct fake_nfs3 *s, struct wirebuf *b, uint32_t proc, uint32_t status,
      uint8_t object)
{
  wirebuf_u32 (b, status);
  if (proc == 2 || proc == 7 || proc == 21)
    put_wcc (b, s, object);
  else if (proc != 1)
    put_post_op (b, s, object);
}

static void
do_other (struct fake_nfs3 *s, uint32_t proc, struct wire *w, struct wirebuf *b,
          uint8_t object)
{
  uint32_t asked;

  wirebuf_u32 (b, OK);
  switch (proc) {
  case 1:
    put_attr (b, s, object);
    break;
  case 4:
    asked = wire_u32 (w);
    put_post_op (b, s, object);
    wirebuf_u32 (b, s->access & asked);
    break;
  case 5:
    put_post_op (b, s, object);
    put_opaque (b, s->link[object - LINKS].target,
                strlen (s->link[object - LINKS].target));
    break;
  case 19:
    put_post_op (b, s, object);
    for (int i = 0; i < 3; i++)
      wirebuf_u32 (b, s->rtmax);
    for (int i = 0; i < 3; i++)
      wirebuf_u32 (b, s->wtmax);
    wirebuf_u32 (b, 8192);
    wirebuf_u64 (b, INT64_MAX);
    wirebuf_u64 (b, 1);
    wirebuf_u32 (b, 0x1b);
    break;
  case 20:
    put_post_op (b, s, object);
    wirebuf_u32 (b, 1000);
    wirebuf_u32 (b, 255);
    wirebuf_u32 (b, 1);
    wirebuf_u32 (b, 1);
    wirebuf_u32 (b, 0);
    wirebuf_u32 (b, 1);
    break;
  case 21:
    memcpy (s->committed, s->content, s->size);
    put_wcc (b, s, object);
    wirebuf_u64 (b, s->verifier);
    break;
  }
}

static void
nfs (struct fake_nfs3 *s, uint32_t proc, struct wire *w, struct wirebuf *b)
{
  uint8_t object;

  if (proc >= 22)
    return;
  s->calls[proc]++;
  if (proc == 0)
    return;
  object = take_fh (w, s);
  if (!object)
    fail (s, b, proc, STALE, 0);
  else if (s->jukebox > 0) {
    s->jukebox--;
    fail (s, b, proc, JUKEBOX, object);
  } else if (s->status && (proc == 6 || proc == 7 || proc == 21))
    fail (s, b, proc, s->status, object);
  else if (proc == 5 && object < LINKS)
    fail (s, b, proc, INVAL, object);
  else if (proc == 2)
    do_setattr (s, w, b, object);
  else if (proc == 3)
    do_lookup (s, w, b, object);
  else if (proc == 6)
    do_read (s, w, b, object);
  else if (proc == 7)
    do_write (s, w, b, object);
  else if (proc == 17)
    do_readdirplus (s, w, b);
  else
    do_other (s, proc, w, b, object);
}

static void
mount (struct fake_nfs3 *s, uint32_t proc, struct wire *w, struct wirebuf *b)
{
  static const char *const exports[] = {"/srv", FAKE_EXPORT, "/other"};
  size_t n;
  const uint8_t *path;
  uint32_t status = s->mount_status;

  if (proc == 5) {
    for (int i = 0; i < 3 && !s->no_export_list; i++) {
      wirebuf_u32 (b, 1);
      put_opaque (b, exports[i], strlen (exports[i]));
      wirebuf_u32 (b, 1);
      put_opaque (b, "10.0.0.0/8", 10);
      wirebuf_u32 (b, 0);
    }
    wirebuf_u32 (b, 0);
  } else if (proc == 1) {
    path = take_opaque (w, &n);
    if (!status
        && (!path || n != strlen (FAKE_EXPORT)
            || memcmp (path, FAKE_EXPORT, n) != 0))
      status = NOENT;
    wirebuf_u32 (b, status);
    if (!status) {
      put_fh (b, s, ROOT);
      wirebuf_u32 (b, 2);
      wirebuf_u32 (b, 1);
      wirebuf_u32 (b, 390003);
    }
  }
}

size_t
fake_nfs3_answer (struct fake_nfs3 *s, const uint8_t *call, size_t call_bytes,
                  uint8_t *reply, size_t reply_size_bytes)
{
  struct wire w = wire_init (call, call_bytes), cred;
  struct wirebuf b = wirebuf_init (reply, reply_size_bytes);
  uint32_t xid = wire_u32 (&w), type = wire_u32 (&w), rpc = wire_u32 (&w);
  uint32_t program = wire_u32 (&w), version = wire_u32 (&w);
  uint32_t proc = wire_u32 (&w), flavor = wire_u32 (&w);
  size_t n, machine;
  const uint8_t *p = take_opaque (&w, &n);

  if (w.err || type != 0 || rpc != 2)
    return 0;
  s->last_flavor = flavor;
  if (flavor == 1) {
    cred = wire_init (p, n);
    wire_u32 (&cred);
    take_opaque (&cred, &machine);
    s->last_uid = wire_u32 (&cred);
    s->last_gid = wire_u32 (&cred);
  }
  wire_u32 (&w);
  take_opaque (&w, &n);
  if (program == 100003 && proc == 7)
    s->last_write_xid = xid;
  wirebuf_u32 (&b, xid);
  wirebuf_u32 (&b, 1);
  wirebuf_u64 (&b, 0); /* accepted, AUTH_NONE */
  wirebuf_u32 (&b, 0);
  if (program == 100003 && version != 3) {
    wirebuf_u32 (&b, 2); /* PROG_MISMATCH */
    wirebuf_u32 (&b, 3);
    wirebuf_u32 (&b, 3);
    return b.used_bytes;
  }
  wirebuf_u32 (&b, OK);
  if (program == 100000)
    wirebuf_u32 (&b, s->mountd_port);
  else if (program == 100005)
    mount (s, proc, &w, &b);
  else
    nfs (s, proc, &w, &b);
  return b.err ? 0 : b.used_bytes;
}
