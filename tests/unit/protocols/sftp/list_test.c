/* SPDX-License-Identifier: BSD-2-Clause */
/* A directory as a list of files, and servers that lie about it. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/listing.h"
#include "protocols/sftp/list.h"
#include "protocols/sftp/startup.h"
#include "tests/unit/protocols/sftp/peer.h"
#include "tests/unit/unit.h"

#define DIRECTORY 0040755u
#define LINK 0120777u
#define SECOND 1000000000ull

#define PEER __attribute__ ((cleanup (peer_close))) struct peer

static uint8_t content[LISTING_BYTES];

/* A NAME under construction. */
struct names {
  struct wirebuf b;
  uint32_t count;
  uint8_t body[280000];
};

static struct names *
names_for (uint32_t id)
{
  static struct names n;

  n.count = 0;
  n.b = wirebuf_init (n.body, sizeof n.body);
  wirebuf_u32 (&n.b, id);
  wirebuf_u32 (&n.b, 0);
  return &n;
}

static void
add_bytes (struct names *n, const void *name, size_t name_bytes,
           uint32_t permissions, uint64_t size, uint32_t mtime)
{
  wirebuf_string (&n->b, name, name_bytes);
  wirebuf_cstring (&n->b, "-rw-r--r-- 1 a b something");
  wirebuf_u32 (&n->b, SSH_FILEXFER_ATTR_SIZE
                        | SSH_FILEXFER_ATTR_PERMISSIONS
                        | SSH_FILEXFER_ATTR_ACMODTIME);
  wirebuf_u64 (&n->b, size);
  wirebuf_u32 (&n->b, permissions);
  wirebuf_u32 (&n->b, 1);
  wirebuf_u32 (&n->b, mtime);
  n->count++;
}

static void
add (struct names *n, const char *name, uint32_t permissions, uint64_t size)
{
  add_bytes (n, name, strlen (name), permissions, size, 0);
}

static enum err
feed (struct peer *s, struct names *n)
{
  for (unsigned i = 0; i < 4; i++)
    n->body[4 + i] = (uint8_t)(n->count >> (24 - 8 * i));
  CU_ASSERT_EQUAL_FATAL (n->b.err, ERR_OK);
  return peer_packet (s, SSH_FXP_NAME, &n->b);
}

static struct peer_ask
to_readdir (struct peer *s, const char *path)
{
  struct peer_ask a;

  s->path = path;
  s->list = "yes";
  CU_ASSERT_EQUAL_FATAL (peer_open (s), ERR_OK);
  peer_expect (s, SSH_FXP_INIT);
  peer_version (s, 3, "limits@openssh.com", "1", NULL, NULL);
  a = peer_expect (s, SSH_FXP_STAT);
  peer_attrs (s, a.id, 4096, DIRECTORY);
  a = peer_expect (s, SSH_FXP_OPENDIR);
  peer_handle (s, a.id);
  return peer_expect (s, SSH_FXP_READDIR);
}

/* The end of the directory, up to READY; the text into content. */
static void
finish (struct peer *s, struct volume_info *ret)
{
  struct peer_ask a = peer_expect (s, SSH_FXP_CLOSE);

  CU_ASSERT_EQUAL (peer_status (s, a.id, SSH_FX_FAILURE), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (sftp_ops.state (s->p), PROTO_READY);
  sftp_ops.info (s->p, ret);
  CU_ASSERT (volume_info_check (ret));
  CU_ASSERT_EQUAL (ret->caps, VOLUME_IS_LIST);
  CU_ASSERT_EQUAL (sftp_ops.deadline_ns (s->p), PROTO_NO_DEADLINE);
  for (uint64_t at = 0; at < ret->size;) {
    uint32_t n = ret->size - at < SFTP_IO_MAX_BYTES
                   ? (uint32_t)(ret->size - at)
                   : SFTP_IO_MAX_BYTES;

    CU_ASSERT_EQUAL_FATAL (peer_submit (s, 7, IO_READ, at, n, content + at),
                           ERR_OK);
    CU_ASSERT (peer_done (s, 7, ERR_OK));
    at += n;
  }
}

static void
finish_at_eof (struct peer *s, struct peer_ask a, struct volume_info *ret)
{
  CU_ASSERT_EQUAL (peer_status (s, a.id, SSH_FX_EOF), ERR_OK);
  finish (s, ret);
}

/* "name size,name size,…" */
static const char *
text_of (const struct volume_info *info)
{
  static char text[4096];
  struct listing_entry e;
  size_t at = 0, used = 0;
  bool broken;

  text[0] = 0;
  while (listing_next (content, info->size, &at, &e, &broken)) {
    used += (size_t)snprintf (text + used, sizeof text - used, "%s%s %lld",
                              used ? "," : "", e.name, (long long)e.size);
    CU_ASSERT_FATAL (used < sizeof text);
  }
  CU_ASSERT_FALSE (broken);
  return text;
}

static void
failed (struct peer *s, enum err e, const char *text)
{
  CU_ASSERT_EQUAL (sftp_ops.state (s->p), PROTO_FAILED);
  CU_ASSERT_EQUAL (sftp_ops.fault (s->p)->code, e);
  if (!strstr (sftp_ops.fault (s->p)->text, text))
    CU_FAIL_FATAL (text);
}

static void
regular_files_are_listed (void)
{
  for (uint64_t cut = 0; cut < 3; cut++) {
    PEER s = {.rx_max_bytes = cut == 1, .rng = cut == 2 ? 7 : 0};
    struct peer_ask a = to_readdir (&s, "/images/");
    struct volume_info info;
    struct names *n = names_for (a.id);

    add (n, ".", DIRECTORY, 4096);
    add (n, "..", DIRECTORY, 4096);
    add_bytes (n, "disk one.img", 12, PEER_REGULAR, 1 << 20, 1772323199);
    add (n, "sub", DIRECTORY, 4096);
    add (n, "fifo", 0010600, 0);
    CU_ASSERT_EQUAL_FATAL (feed (&s, n), ERR_OK);
    a = peer_expect (&s, SSH_FXP_READDIR);
    n = names_for (a.id);
    add (n, "empty", PEER_REGULAR, 0);
    CU_ASSERT_EQUAL_FATAL (feed (&s, n), ERR_OK);
    a = peer_expect (&s, SSH_FXP_READDIR);
    finish_at_eof (&s, a, &info);
    CU_ASSERT_STRING_EQUAL (text_of (&info), "disk one.img 1048576,empty 0");
    CU_ASSERT_STRING_EQUAL ((char *)content + 21,
                            "changed 2026-02-28 23:59 UTC");
  }
}

static void
an_empty_directory_is_an_empty_list (void)
{
  PEER s = {0};
  struct peer_ask a = to_readdir (&s, "/~/");
  struct volume_info info;

  finish_at_eof (&s, a, &info);
  CU_ASSERT_EQUAL (info.size, 0);
  CU_ASSERT_STRING_EQUAL (info.remarks, "");
}

static void
links_are_followed (void)
{
  PEER s = {0};
  struct peer_ask a = to_readdir (&s, "/d");
  struct volume_info info;
  struct names *n = names_for (a.id);

  add (n, "to-file", LINK, 7);
  add (n, "to-dir", LINK, 7);
  add (n, "to-nothing", LINK, 7);
  add (n, "untyped", 0644, 99);
  feed (&s, n);
  a = peer_expect (&s, SSH_FXP_READDIR);
  peer_status (&s, a.id, SSH_FX_EOF);
  a = peer_expect (&s, SSH_FXP_STAT);
  CU_ASSERT_STRING_EQUAL (a.path, "/d/to-file");
  peer_attrs (&s, a.id, 5000, PEER_REGULAR);
  a = peer_expect (&s, SSH_FXP_STAT);
  CU_ASSERT_STRING_EQUAL (a.path, "/d/to-dir");
  peer_attrs (&s, a.id, 4096, DIRECTORY);
  a = peer_expect (&s, SSH_FXP_STAT);
  peer_status (&s, a.id, SSH_FX_NO_SUCH_FILE);
  a = peer_expect (&s, SSH_FXP_STAT);
  CU_ASSERT_STRING_EQUAL (a.path, "/d/untyped");
  peer_attrs (&s, a.id, 99, 0644);
  finish (&s, &info);
  CU_ASSERT_STRING_EQUAL (text_of (&info), "to-file 5000,untyped 99");
}

static void
hostile_names_are_left_out (void)
{
  PEER s = {0};
  struct peer_ask a = to_readdir (&s, "/d");
  struct volume_info info;
  struct names *n = names_for (a.id);
  char huge[3000];

  memset (huge, 'x', sizeof huge);
  add (n, "../../etc/shadow", PEER_REGULAR, 1);
  add (n, "/etc/shadow", PEER_REGULAR, 1);
  add (n, "a/b", LINK, 1);
  add (n, "", PEER_REGULAR, 1);
  add (n, "esc\033[2J", PEER_REGULAR, 1);
  add (n, "line\nfeed", LINK, 1);
  add_bytes (n, "nul\0name", 8, PEER_REGULAR, 1, 0);
  add_bytes (n, huge, sizeof huge, PEER_REGULAR, 1, 0);
  add_bytes (n, huge, 1024, LINK, 1, 0);
  add (n, "vast", PEER_REGULAR, UINT64_MAX);
  add (n, "good", PEER_REGULAR, 1);
  add (n, "good", PEER_REGULAR, 2);
  feed (&s, n);
  a = peer_expect (&s, SSH_FXP_READDIR);
  finish_at_eof (&s, a, &info);
  /* Duplicates go as far as the gateway, which sorts. */
  CU_ASSERT_STRING_EQUAL (text_of (&info), "vast -1,good 1,good 2");
}

/* Every kind of endless directory comes to an end. */
static void
the_list_is_bounded (void)
{
  static const struct {
    uint32_t permissions, per_reply;
    unsigned replies, asked, entries;
  } rows[] = {
      {PEER_REGULAR, 1000, 5, 0, LISTING_ENTRIES},
      {DIRECTORY, 1000, 66, 0, 0},
      {DIRECTORY, 0, LIST_REPLIES_MAX, 0, 0},
      {LINK, 1000, 5, LIST_FOLLOW_MAX, LISTING_ENTRIES},
  };

  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    PEER s = {0};
    struct peer_ask a = to_readdir (&s, "/d");
    struct volume_info info;
    unsigned replies = 0, asked = 0, entries = 0;
    size_t at = 0;
    struct listing_entry e;
    bool broken;

    for (; a.type == SSH_FXP_READDIR; replies++) {
      struct names *n = names_for (a.id);

      for (uint32_t k = 0; k < rows[i].per_reply; k++) {
        char name[32];

        snprintf (name, sizeof name, "%u-%u", replies, k);
        add (n, name, rows[i].permissions, 1);
      }
      CU_ASSERT_EQUAL_FATAL (feed (&s, n), ERR_OK);
      CU_ASSERT_FATAL (peer_ask (&s, &a));
    }
    for (; a.type == SSH_FXP_STAT; asked++) {
      peer_attrs (&s, a.id, 1, PEER_REGULAR);
      CU_ASSERT_FATAL (peer_ask (&s, &a));
    }
    CU_ASSERT_EQUAL_FATAL (a.type, SSH_FXP_CLOSE);
    peer_status (&s, a.id, SSH_FX_OK);
    CU_ASSERT_EQUAL_FATAL (sftp_ops.state (s.p), PROTO_READY);
    sftp_ops.info (s.p, &info);
    CU_ASSERT (info.size <= LISTING_BYTES);
    CU_ASSERT_PTR_NOT_NULL (strstr (info.remarks, "only the first"));
    for (at = 0; at < info.size; at += SFTP_IO_MAX_BYTES) {
      uint32_t n = info.size - at < SFTP_IO_MAX_BYTES
                     ? (uint32_t)(info.size - at)
                     : SFTP_IO_MAX_BYTES;

      peer_submit (&s, 1, IO_READ, at, n, content + at);
      CU_ASSERT (peer_done (&s, 1, ERR_OK));
    }
    for (at = 0; listing_next (content, info.size, &at, &e, &broken);)
      entries++;
    CU_ASSERT_FALSE (broken);
    CU_ASSERT_EQUAL (replies, rows[i].replies);
    CU_ASSERT_EQUAL (asked, rows[i].asked);
    CU_ASSERT_EQUAL (entries, rows[i].entries);
  }
}

static void
lies_end_the_session (void)
{
  static uint8_t bytes[300000];

  for (unsigned i = 0; i < 7; i++) {
    PEER s = {0};
    struct peer_ask a = to_readdir (&s, "/d");
    struct names *n = names_for (a.id + (i == 0));
    struct wirebuf *b = &n->b;

    switch (i) {
    case 1: /* more names than there are */
      add (n, "x", PEER_REGULAR, 1);
      n->count = 0xffffffff;
      break;
    case 2:
      wirebuf_u8 (b, 0);
      break;
    case 3: /* a name longer than the packet */
      n->count = 1;
      wirebuf_u32 (b, 1000000);
      break;
    case 4: /* attributes cut off */
      n->count = 1;
      wirebuf_cstring (b, "x");
      wirebuf_cstring (b, "x");
      wirebuf_u32 (b, SSH_FILEXFER_ATTR_SIZE);
      break;
    case 5:
      *b = wirebuf_init (bytes, sizeof bytes);
      wirebuf_u32 (b, a.id);
      wirebuf_u32 (b, SSH_FX_OK);
      CU_ASSERT_EQUAL (peer_packet (&s, SSH_FXP_STATUS, b), ERR_PEER);
      failed (&s, ERR_PEER, "SSH_FX_OK to SSH_FXP_READDIR");
      continue;
    case 6:
      CU_ASSERT_EQUAL (peer_attrs (&s, a.id, 1, PEER_REGULAR), ERR_PEER);
      failed (&s, ERR_PEER, "SSH_FXP_READDIR with SSH_FXP_ATTRS");
      continue;
    }
    CU_ASSERT_EQUAL (feed (&s, n), ERR_PEER);
    failed (&s, ERR_PEER, i == 0 ? "not made" : "SSH_FXP_NAME");
  }
}

static void
what_is_no_directory_is_refused (void)
{
  for (unsigned i = 0; i < 3; i++) {
    PEER s = {.path = "/f", .list = "yes"};
    struct peer_ask a;

    CU_ASSERT_EQUAL_FATAL (peer_open (&s), ERR_OK);
    peer_expect (&s, SSH_FXP_INIT);
    peer_version (&s, 3, NULL, NULL, NULL, NULL);
    a = peer_expect (&s, SSH_FXP_STAT);
    if (i == 0) {
      peer_attrs (&s, a.id, 5, PEER_REGULAR);
      failed (&s, ERR_INVAL, "/f is not a directory");
    } else if (i == 1) {
      peer_status (&s, a.id, SSH_FX_NO_SUCH_FILE);
      failed (&s, ERR_NOENT, "no directory /f");
    } else {
      peer_attrs (&s, a.id, 5, DIRECTORY);
      a = peer_expect (&s, SSH_FXP_OPENDIR);
      peer_status (&s, a.id, SSH_FX_PERMISSION_DENIED);
      failed (&s, ERR_ACCESS, "SSH_FXP_OPENDIR of /f");
    }
  }
}

static void
a_list_is_only_read (void)
{
  PEER s = {0};
  struct peer_ask a = to_readdir (&s, "/d");
  struct names *n = names_for (a.id);
  struct volume_info info;
  struct proto_completion c;

  add (n, "x", PEER_REGULAR, 1);
  feed (&s, n);
  a = peer_expect (&s, SSH_FXP_READDIR);
  finish_at_eof (&s, a, &info);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_WRITE, 0, 1, content), ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_FLUSH, 0, 0, NULL), ERR_INVAL);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_READ, info.size, 1, content),
                   ERR_INVAL);
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    CU_ASSERT_EQUAL (peer_submit (&s, i, IO_READ, 0, 1, content), ERR_OK);
  CU_ASSERT_EQUAL (peer_submit (&s, 1, IO_READ, 0, 1, content), ERR_AGAIN);
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    CU_ASSERT (sftp_ops.reap (s.p, &c) && c.id == i && !c.error);
  CU_ASSERT_FALSE (sftp_ops.reap (s.p, &c));
  /* Nothing is asked any more, so nothing may come. */
  CU_ASSERT_EQUAL (peer_status (&s, a.id, SSH_FX_OK), ERR_PEER);
}

static void
silence_ends_it (void)
{
  PEER s = {.now_ns = 100 * SECOND};

  to_readdir (&s, "/d");
  CU_ASSERT_EQUAL (sftp_ops.deadline_ns (s.p),
                   100 * SECOND + STARTUP_TIMEOUT_NS);
  CU_ASSERT_EQUAL (sftp_ops.tick (s.p, 100 * SECOND), ERR_OK);
  CU_ASSERT_EQUAL (sftp_ops.tick (s.p, 100 * SECOND + STARTUP_TIMEOUT_NS),
                   ERR_TIMEOUT);
  failed (&s, ERR_TIMEOUT, "no answer to SSH_FXP_READDIR");
}

UNIT_MAIN ("sftp list", UNIT_TEST (regular_files_are_listed),
           UNIT_TEST (an_empty_directory_is_an_empty_list),
           UNIT_TEST (links_are_followed),
           UNIT_TEST (hostile_names_are_left_out),
           UNIT_TEST (the_list_is_bounded),
           UNIT_TEST (lies_end_the_session),
           UNIT_TEST (what_is_no_directory_is_refused),
           UNIT_TEST (a_list_is_only_read), UNIT_TEST (silence_ends_it))
