/* SPDX-License-Identifier: BSD-2-Clause */
/* From INIT to PROTO_READY, and every way in which that fails. */
#include "config.h"

#include <string.h>

#include "protocols/sftp/startup.h"
#include "tests/unit/protocols/sftp/peer.h"
#include "tests/unit/unit.h"

#define FSYNC "fsync@openssh.com", "1"
#define LIMITS "limits@openssh.com", "1"
#define NO_EXT NULL, NULL
#define SECOND 1000000000ull

#define PEER __attribute__ ((cleanup (peer_close))) struct peer

static void
failed (struct peer *s, enum err e, const char *text)
{
  CU_ASSERT_EQUAL (sftp_ops.state (s->p), PROTO_FAILED);
  CU_ASSERT_EQUAL (sftp_ops.fault (s->p)->code, e);
  if (!strstr (sftp_ops.fault (s->p)->text, text))
    CU_FAIL_FATAL (text);
}

static void
open_at (struct peer *s, const char *path)
{
  s->path = path;
  CU_ASSERT_EQUAL_FATAL (peer_open (s), ERR_OK);
  peer_expect (s, SSH_FXP_INIT);
}

/* Up to STAT, with fsync and without limits. */
static struct peer_ask
to_stat (struct peer *s)
{
  open_at (s, "/d/f");
  CU_ASSERT_EQUAL (peer_version (s, 3, FSYNC, NO_EXT), ERR_OK);
  return peer_expect (s, SSH_FXP_STAT);
}

static struct peer_ask
to_open (struct peer *s)
{
  struct peer_ask a = to_stat (s);

  CU_ASSERT_EQUAL (peer_attrs (s, a.id, 1000, PEER_REGULAR), ERR_OK);
  return peer_expect (s, SSH_FXP_OPEN);
}

static struct peer_ask
to_fstat (struct peer *s)
{
  struct peer_ask a = to_open (s);

  CU_ASSERT_EQUAL (peer_handle (s, a.id), ERR_OK);
  return peer_expect (s, SSH_FXP_FSTAT);
}

/* The rest, from OPEN on. */
static void
finish (struct peer *s, struct peer_ask a, struct volume_info *ret)
{
  peer_handle (s, a.id);
  a = peer_expect (s, SSH_FXP_FSTAT);
  peer_attrs (s, a.id, 12345, PEER_REGULAR);
  CU_ASSERT_EQUAL_FATAL (sftp_ops.state (s->p), PROTO_READY);
  sftp_ops.info (s->p, ret);
  CU_ASSERT (volume_info_check (ret));
  CU_ASSERT_EQUAL (sftp_ops.deadline_ns (s->p), PROTO_NO_DEADLINE);
}

static void
asks_step_by_step (void)
{
  PEER s = {0};
  struct volume_info info;
  struct peer_ask a;

  open_at (&s, "/dir/disk.img");
  peer_version (&s, 3, FSYNC, LIMITS);
  a = peer_expect (&s, SSH_FXP_EXTENDED);
  CU_ASSERT_STRING_EQUAL (a.name, "limits@openssh.com");
  peer_limits (&s, a.id, 262144, 261120, 261120);
  a = peer_expect (&s, SSH_FXP_STAT);
  CU_ASSERT_STRING_EQUAL (a.path, "/dir/disk.img");
  peer_attrs (&s, a.id, 1, PEER_REGULAR);
  a = peer_expect (&s, SSH_FXP_OPEN);
  CU_ASSERT_STRING_EQUAL (a.path, "/dir/disk.img");
  CU_ASSERT_EQUAL (a.pflags, 3); /* never CREAT, never TRUNC */
  CU_ASSERT_EQUAL (sftp_ops.state (s.p), PROTO_STARTING);
  finish (&s, a, &info);
  CU_ASSERT_EQUAL (info.size, 12345); /* FSTAT's, of what is open */
  CU_ASSERT_EQUAL (info.caps,
                   VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH | VOLUME_CAN_FUA);
  CU_ASSERT_EQUAL (info.block_min, 1);
  CU_ASSERT_EQUAL (info.request_max, 256 * 1024);
  CU_ASSERT_STRING_EQUAL (info.readonly_why, "");
  CU_ASSERT_STRING_EQUAL (info.remarks,
                          "reads of at most 261120 bytes, writes of 261120");
  CU_ASSERT_FALSE (peer_ask (&s, &a));
}

static void
paths_below_the_login_directory_are_relative (void)
{
  PEER s = {0};

  open_at (&s, "/~/disks/a b.img");
  peer_version (&s, 3, FSYNC, NO_EXT);
  CU_ASSERT_STRING_EQUAL (peer_expect (&s, SSH_FXP_STAT).path, "disks/a b.img");
}

static void
the_login_directory_is_a_directory (void)
{
  static const char *const paths[] = {"/~/", "/~"};

  for (unsigned i = 0; i < 2; i++) {
    PEER s = {0};
    struct peer_ask a;

    open_at (&s, paths[i]);
    peer_version (&s, 3, FSYNC, NO_EXT);
    a = peer_expect (&s, SSH_FXP_STAT);
    CU_ASSERT_STRING_EQUAL (a.path, ".");
    peer_attrs (&s, a.id, 4096, 0040755);
    failed (&s, ERR_ISDIR, ". is a directory");
  }
}

static void
bad_parameters_are_refused (void)
{
  static const char *const paths[] = {NULL, "", "x", "~/x"};
  char path[4200];
  PEER s = {0};

  for (unsigned i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    s.path = paths[i];
    CU_ASSERT_EQUAL (peer_open (&s), ERR_INVAL);
    CU_ASSERT_PTR_NOT_NULL (strstr (s.open_fault.text, "names no file"));
    CU_ASSERT (s.open_fault.hint[0] != 0);
    CU_ASSERT_PTR_NULL (s.p);
  }
  memset (path, 'x', sizeof path);
  path[0] = '/';
  path[4097] = 0;
  s.path = path;
  CU_ASSERT_EQUAL (peer_open (&s), ERR_INVAL);
  s.unsafe = "maybe";
  s.path = "/x";
  CU_ASSERT_EQUAL (peer_open (&s), ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (s.open_fault.text, "allow-unsafe-flush"));
  s.unsafe = "OFF";
  path[4096] = 0;
  open_at (&s, path);
  peer_version (&s, 3, FSYNC, NO_EXT);
  CU_ASSERT_EQUAL (strlen (peer_expect (&s, SSH_FXP_STAT).path), 4096);
}

/* How large the first READ and the first WRITE of 256 KiB are. */
static void
part_sizes (struct peer *s, uint32_t *ret_read, uint32_t *ret_write)
{
  static uint8_t data[256 * 1024];

  CU_ASSERT_EQUAL (peer_submit (s, 1, IO_READ, 0, sizeof data, data), ERR_OK);
  *ret_read = peer_expect (s, SSH_FXP_READ).length;
  for (uint32_t n = *ret_read; n < sizeof data;)
    n += peer_expect (s, SSH_FXP_READ).length;
  CU_ASSERT_EQUAL (peer_submit (s, 2, IO_WRITE, 0, sizeof data, data), ERR_OK);
  *ret_write = peer_expect (s, SSH_FXP_WRITE).length;
}

static void
limits_decide_how_large_requests_are (void)
{
  static const struct {
    uint64_t packet, read, write;
    uint32_t read_part, write_part;
  } rows[] = {
      {0, 0, 0, 32768, 32768}, /* offered, but names none */
      {262144, 261120, 261120, 131072, 131072},
      {UINT64_MAX, UINT64_MAX, UINT64_MAX, 262144, 262144},
      {0, 65536, 32768, 65536, 32768},
      {0, 100000, 261120, 90112, 131072},
      {0, 16384, 1000, 16384, 1000}, /* less than §3 wants: obeyed */
      {34000, 1 << 20, 1 << 20, 32768, 32768},
  };

  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    PEER s = {0};
    struct volume_info info;
    uint32_t read_part, write_part;
    struct peer_ask a;

    open_at (&s, "/x");
    peer_version (&s, 3, LIMITS, FSYNC);
    a = peer_expect (&s, SSH_FXP_EXTENDED);
    peer_limits (&s, a.id, rows[i].packet, rows[i].read, rows[i].write);
    a = peer_expect (&s, SSH_FXP_STAT);
    peer_attrs (&s, a.id, PEER_FILE_BYTES, PEER_REGULAR);
    a = peer_expect (&s, SSH_FXP_OPEN);
    peer_handle (&s, a.id);
    a = peer_expect (&s, SSH_FXP_FSTAT);
    peer_attrs (&s, a.id, PEER_FILE_BYTES, PEER_REGULAR);
    sftp_ops.info (s.p, &info);
    CU_ASSERT_EQUAL (info.request_max, 256 * 1024);
    part_sizes (&s, &read_part, &write_part);
    CU_ASSERT_EQUAL (read_part, rows[i].read_part);
    CU_ASSERT_EQUAL (write_part, rows[i].write_part);
  }
}

static void
limits_may_be_refused_or_unknown (void)
{
  PEER refused = {0}, unknown = {0}, tiny = {0};
  struct peer_ask a;

  open_at (&refused, "/x");
  peer_version (&refused, 3, LIMITS, FSYNC);
  a = peer_expect (&refused, SSH_FXP_EXTENDED);
  CU_ASSERT_EQUAL (peer_status (&refused, a.id, SSH_FX_OP_UNSUPPORTED), ERR_OK);
  peer_expect (&refused, SSH_FXP_STAT);

  open_at (&unknown, "/x");
  peer_version (&unknown, 3, "limits@openssh.com", "2", FSYNC);
  peer_expect (&unknown, SSH_FXP_STAT);

  open_at (&tiny, "/x");
  peer_version (&tiny, 3, LIMITS, FSYNC);
  a = peer_expect (&tiny, SSH_FXP_EXTENDED);
  CU_ASSERT_EQUAL (peer_limits (&tiny, a.id, 0, 1, 32768), ERR_NOTSUP);
  failed (&tiny, ERR_NOTSUP, "limits");
}

/* OPEN of the path, or of the name beside it that is not there. */
static void
a_path_must_fit_into_a_packet (void)
{
  static const struct {
    const char *fsync, *unsafe;
    size_t path_bytes;
    uint64_t least;
  } rows[] = {
      {"1", NULL, 4000, 4021},
      {"1", "yes", 4000, 4021},
      {"2", NULL, 4000, 4021},
      {"2", "yes", 4000, 4021 - 1 + 26}, /* in place of a name of one letter */
      {"1", NULL, 4096, 4117},
  };

  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (unsigned fits = 0; fits < 2; fits++) {
      PEER s = {.unsafe = rows[i].unsafe};
      char path[4097];
      struct peer_ask a;

      memset (path, 'd', sizeof path);
      path[0] = path[rows[i].path_bytes - 2] = '/';
      path[rows[i].path_bytes] = 0;
      open_at (&s, path);
      peer_version (&s, 3, LIMITS, "fsync@openssh.com", rows[i].fsync);
      a = peer_expect (&s, SSH_FXP_EXTENDED);
      CU_ASSERT_EQUAL (
          peer_limits (&s, a.id, rows[i].least - !fits, 32768, 32768),
          fits ? ERR_OK : ERR_NOTSUP);
      if (fits) {
        a = peer_expect (&s, SSH_FXP_STAT);
        peer_attrs (&s, a.id, 1000, PEER_REGULAR);
        peer_pump (&s);
        CU_ASSERT_EQUAL (s.tx_bytes - s.tx_at, rows[i].least);
        peer_expect (&s, SSH_FXP_OPEN);
      } else {
        failed (&s, ERR_NOTSUP, "path is too long");
        CU_ASSERT (!peer_ask (&s, &a));
      }
    }
}

static void
without_fsync_it_is_read_only (void)
{
  static const char *const versions[] = {NULL, "2", ""};

  for (unsigned i = 0; i < 3; i++) {
    PEER s = {0};
    struct volume_info info;
    struct peer_ask a;

    open_at (&s, "/x");
    peer_version (&s, 3, versions[i] ? "fsync@openssh.com" : NULL, versions[i],
                  NO_EXT);
    a = peer_expect (&s, SSH_FXP_STAT);
    peer_attrs (&s, a.id, 1, PEER_REGULAR);
    a = peer_expect (&s, SSH_FXP_OPEN);
    CU_ASSERT_EQUAL (a.pflags, 1);
    finish (&s, a, &info);
    CU_ASSERT_EQUAL (info.caps, 0);
    CU_ASSERT_STRING_EQUAL (info.remarks,
                            "reads of at most 32768 bytes, writes of 32768, "
                            "for want of limits@openssh.com");
    CU_ASSERT_PTR_NOT_NULL (strstr (info.readonly_why, "fsync@openssh.com"));
    CU_ASSERT_PTR_NOT_NULL (
        strstr (info.readonly_why, "allow-unsafe-flush=yes"));
  }
}

/* Up to the OPEN of a file that is not there. */
static struct peer_ask
to_probe (struct peer *s, const char *path)
{
  struct peer_ask a;

  s->unsafe = "Yes";
  open_at (s, path);
  peer_version (s, 3, NO_EXT, NO_EXT);
  a = peer_expect (s, SSH_FXP_STAT);
  peer_attrs (s, a.id, 1, PEER_REGULAR);
  a = peer_expect (s, SSH_FXP_OPEN);
  CU_ASSERT_EQUAL (a.pflags, 3);
  return a;
}

static void
unless_the_user_insists (void)
{
  PEER s = {0};
  struct peer_ask a = to_probe (&s, "/d/x");
  struct volume_info info;

  CU_ASSERT_EQUAL (strncmp (a.path, "/d/.bulkhead-no-file-", 21), 0);
  CU_ASSERT_EQUAL (strlen (a.path), 29);
  CU_ASSERT_EQUAL (peer_status (&s, a.id, SSH_FX_NO_SUCH_FILE), ERR_OK);
  a = peer_expect (&s, SSH_FXP_OPEN);
  CU_ASSERT_STRING_EQUAL (a.path, "/d/x");
  CU_ASSERT_EQUAL (a.pflags, 3);
  finish (&s, a, &info);
  CU_ASSERT (info.caps & VOLUME_CAN_WRITE);
  CU_ASSERT (info.caps & VOLUME_CAN_FLUSH);
  CU_ASSERT_PTR_NOT_NULL (
      strstr (info.remarks, "fsync@openssh.com, FLUSH proves nothing"));
}

/* As rclone 1.60 does: the file itself must never be opened for writing. */
static void
a_server_that_always_creates_is_only_read (void)
{
  for (unsigned fails = 0; fails < 4; fails++) {
    PEER s = {0};
    struct peer_ask a = to_probe (&s, "/~/x");
    struct volume_info info;
    char path[sizeof a.path];

    strcpy (path, a.path);
    CU_ASSERT_EQUAL (strncmp (path, ".bulkhead-no-file-", 18), 0);
    CU_ASSERT_EQUAL (peer_handle (&s, a.id), ERR_OK);
    a = peer_expect (&s, SSH_FXP_CLOSE);
    CU_ASSERT_EQUAL (peer_status (&s, a.id, fails & 1 ? SSH_FX_FAILURE : 0),
                     ERR_OK);
    a = peer_expect (&s, SSH_FXP_REMOVE);
    CU_ASSERT_STRING_EQUAL (a.path, path);
    CU_ASSERT_EQUAL (peer_status (&s, a.id, fails & 2 ? SSH_FX_FAILURE : 0),
                     ERR_OK);
    a = peer_expect (&s, SSH_FXP_OPEN);
    CU_ASSERT_STRING_EQUAL (a.path, "x");
    CU_ASSERT_EQUAL (a.pflags, 1);
    finish (&s, a, &info);
    CU_ASSERT_EQUAL (info.caps, 0);
    CU_ASSERT_PTR_NOT_NULL (strstr (info.readonly_why, "would empty the file"));
    CU_ASSERT_EQUAL (strstr (info.readonly_why, path) != NULL,
                     (fails & 2) != 0);
  }
}

static void
a_server_that_does_not_miss_a_file_is_only_read (void)
{
  static const uint32_t codes[] = {SSH_FX_PERMISSION_DENIED, SSH_FX_FAILURE,
                                   SSH_FX_WRITE_PROTECT, SSH_FX_OP_UNSUPPORTED};

  for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    PEER s = {0};
    struct peer_ask a = to_probe (&s, "/d/x");
    struct volume_info info;

    CU_ASSERT_EQUAL (peer_status (&s, a.id, codes[i]), ERR_OK);
    a = peer_expect (&s, SSH_FXP_OPEN);
    CU_ASSERT_STRING_EQUAL (a.path, "/d/x");
    CU_ASSERT_EQUAL (a.pflags, 1);
    finish (&s, a, &info);
    CU_ASSERT_EQUAL (info.caps, 0);
    CU_ASSERT_PTR_NOT_NULL (strstr (info.readonly_why, "No way"));
  }
}

static void
the_probe_s_answers_are_checked (void)
{
  PEER ok = {0}, close = {0};
  struct peer_ask a = to_probe (&ok, "/d/x");

  CU_ASSERT_EQUAL (peer_status (&ok, a.id, SSH_FX_OK), ERR_PEER);
  failed (&ok, ERR_PEER, "SSH_FX_OK to SSH_FXP_OPEN");
  a = to_probe (&close, "/d/x");
  peer_handle (&close, a.id);
  a = peer_expect (&close, SSH_FXP_CLOSE);
  CU_ASSERT_EQUAL (peer_handle (&close, a.id), ERR_PEER);
  failed (&close, ERR_PEER, "SSH_FXP_CLOSE with SSH_FXP_HANDLE");
}

static void
what_may_not_be_written_is_read (void)
{
  static const uint32_t codes[] = {SSH_FX_PERMISSION_DENIED, SSH_FX_FAILURE,
                                   SSH_FX_WRITE_PROTECT, SSH_FX_OP_UNSUPPORTED};

  for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    PEER s = {0};
    struct peer_ask a = to_open (&s);
    struct volume_info info;

    CU_ASSERT_EQUAL (a.pflags, 3);
    CU_ASSERT_EQUAL (peer_status (&s, a.id, codes[i]), ERR_OK);
    a = peer_expect (&s, SSH_FXP_OPEN);
    CU_ASSERT_EQUAL (a.pflags, 1);
    finish (&s, a, &info);
    CU_ASSERT_EQUAL (info.caps, 0);
    CU_ASSERT_PTR_NOT_NULL (strstr (info.readonly_why, "No way"));
  }
}

static void
what_may_not_be_read_is_refused (void)
{
  PEER s = {0}, gone = {0};
  struct peer_ask a = to_open (&s);

  peer_status (&s, a.id, SSH_FX_PERMISSION_DENIED);
  a = peer_expect (&s, SSH_FXP_OPEN);
  CU_ASSERT_EQUAL (peer_status (&s, a.id, SSH_FX_PERMISSION_DENIED),
                   ERR_ACCESS);
  failed (&s, ERR_ACCESS, "/d/f");
  CU_ASSERT (sftp_ops.fault (s.p)->hint[0] != 0);

  a = to_open (&gone);
  peer_status (&gone, a.id, SSH_FX_NO_SUCH_FILE);
  failed (&gone, ERR_NOENT, "/d/f");
}

static void
stat_says_what_is_wrong (void)
{
  static const struct {
    uint32_t code;
    enum err err;
    const char *text;
  } rows[] = {
      {SSH_FX_NO_SUCH_FILE, ERR_NOENT, "no file /d/f"},
      {SSH_FX_PERMISSION_DENIED, ERR_ACCESS, "denies access to /d/f"},
      {SSH_FX_FAILURE, ERR_IO, "No way"},
      {SSH_FX_OK, ERR_PEER, "SSH_FX_OK"},
  };

  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    PEER s = {0};
    struct peer_ask a = to_stat (&s);

    CU_ASSERT_EQUAL (peer_status (&s, a.id, rows[i].code), rows[i].err);
    failed (&s, rows[i].err, rows[i].text);
  }
}

static void
only_regular_files_are_served (void)
{
  static const struct {
    uint32_t permissions;
    enum err err;
    const char *text;
  } rows[] = {
      {0040755, ERR_ISDIR, "directory"}, {0060660, ERR_NOTSUP, "device"},
      {0020660, ERR_NOTSUP, "device"},   {0010644, ERR_NOTSUP, "regular"},
      {0140644, ERR_NOTSUP, "regular"},
  };

  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    PEER before = {0}, after = {0};
    struct peer_ask a = to_stat (&before);

    CU_ASSERT_EQUAL (peer_attrs (&before, a.id, 0, rows[i].permissions),
                     rows[i].err);
    failed (&before, rows[i].err, rows[i].text);
    CU_ASSERT (sftp_ops.fault (before.p)->hint[0] != 0);
    /* replaced between STAT and OPEN */
    a = to_fstat (&after);
    CU_ASSERT_EQUAL (peer_attrs (&after, a.id, 0, rows[i].permissions),
                     rows[i].err);
    failed (&after, rows[i].err, rows[i].text);
  }
}

static void
the_size_must_be_known (void)
{
  PEER none = {0}, huge = {0}, untyped = {0};
  struct peer_ask a = to_fstat (&none);
  uint8_t bytes[] = {0, 0, 0, 9, SSH_FXP_ATTRS, 0, 0, 0, 0, 0, 0, 0, 0};

  bytes[5] = (uint8_t)(a.id >> 24);
  bytes[6] = (uint8_t)(a.id >> 16);
  bytes[7] = (uint8_t)(a.id >> 8);
  bytes[8] = (uint8_t)a.id;
  CU_ASSERT_EQUAL (peer_feed (&none, bytes, sizeof bytes), ERR_NOTSUP);
  failed (&none, ERR_NOTSUP, "size");

  a = to_fstat (&huge);
  CU_ASSERT_EQUAL (
      peer_attrs (&huge, a.id, (uint64_t)INT64_MAX + 1, PEER_REGULAR),
      ERR_PEER);
  failed (&huge, ERR_PEER, "field size");

  a = to_fstat (&untyped); /* permissions without a type */
  CU_ASSERT_EQUAL (peer_attrs (&untyped, a.id, 7, 0644), ERR_OK);
  CU_ASSERT_EQUAL (sftp_ops.state (untyped.p), PROTO_READY);
}

static void
other_versions_are_refused (void)
{
  for (uint32_t version = 0; version < 8; version++) {
    PEER s = {0};
    enum err want = version < 3 ? ERR_NOTSUP : version == 3 ? ERR_OK : ERR_PEER;

    open_at (&s, "/x");
    CU_ASSERT_EQUAL (peer_version (&s, version, NO_EXT, NO_EXT), want);
    if (want)
      failed (&s, want, "version");
  }
}

static void
a_greeting_shell_is_named (void)
{
  PEER s = {0};

  open_at (&s, "/x");
  CU_ASSERT_EQUAL (peer_feed (&s, "Hello, user\r\n", 13), ERR_PEER);
  failed (&s, ERR_PEER, "Hell");
  CU_ASSERT_PTR_NOT_NULL (strstr (sftp_ops.fault (s.p)->hint, "login shell"));
}

static void
lengths_are_bounded_before_anything_else (void)
{
  for (unsigned i = 0; i < 5; i++) {
    PEER s = {0};
    uint8_t head[4] = {0, 0, 0, (uint8_t)i};

    open_at (&s, "/x");
    CU_ASSERT_EQUAL (peer_feed (&s, head, 4), ERR_PEER);
    failed (&s, ERR_PEER, "field length");
  }
  for (unsigned i = 0; i < 9; i++) {
    PEER s = {0};
    uint8_t head[4] = {0, 0, 0, (uint8_t)i};

    to_stat (&s);
    CU_ASSERT_EQUAL (peer_feed (&s, head, 4), ERR_PEER);
    failed (&s, ERR_PEER, "field length");
  }
  {
    PEER s = {0}, max = {0}, all_ones = {0};

    open_at (&s, "/x"); /* one more than we hold */
    CU_ASSERT_EQUAL (peer_feed (&s, "\0\0\x3f\xfd\2", 5), ERR_PEER);
    failed (&s, ERR_PEER, "packet of 16381 bytes");
    open_at (&max, "/x");
    CU_ASSERT_EQUAL (peer_feed (&max, "\0\0\x3f\xfc\2", 5), ERR_OK);
    open_at (&all_ones, "/x");
    CU_ASSERT_EQUAL (peer_feed (&all_ones, "\xff\xff\xff\xff", 4), ERR_PEER);
    failed (&all_ones, ERR_PEER, "packet of 4294967295 bytes");
  }
}

static void
the_longest_version_is_taken (void)
{
  static uint8_t packet[16384] = {0, 0, 0x3f, 0xfc, 2, 0, 0, 0, 3};
  PEER s = {0};

  /* one extension: an empty name, and all the rest */
  packet[15] = 0x3f;
  packet[16] = 0xef;
  open_at (&s, "/x");
  CU_ASSERT_EQUAL (peer_feed (&s, packet, sizeof packet), ERR_OK);
  peer_expect (&s, SSH_FXP_STAT);
}

static void
answers_must_fit_the_question (void)
{
  PEER type = {0}, id = {0}, data = {0}, status = {0}, early = {0};
  struct peer_ask a = to_stat (&type);

  CU_ASSERT_EQUAL (peer_handle (&type, a.id), ERR_PEER);
  failed (&type, ERR_PEER, "SSH_FXP_STAT with SSH_FXP_HANDLE");

  a = to_stat (&id);
  CU_ASSERT_EQUAL (peer_attrs (&id, a.id + 1, 1, PEER_REGULAR), ERR_PEER);
  failed (&id, ERR_PEER, "field id");

  a = to_stat (&data);
  CU_ASSERT_EQUAL (peer_data (&data, a.id, (const uint8_t *)"x", 1), ERR_PEER);
  failed (&data, ERR_PEER, "SSH_FXP_DATA");

  open_at (&status, "/x"); /* INIT has no id that a STATUS could name */
  CU_ASSERT_EQUAL (peer_status (&status, 0, SSH_FX_FAILURE), ERR_PEER);
  failed (&status, ERR_PEER, "SSH_FXP_INIT with SSH_FXP_STATUS");

  early.path = "/x";
  CU_ASSERT_EQUAL_FATAL (peer_open (&early), ERR_OK);
  CU_ASSERT_EQUAL (peer_version (&early, 3, NO_EXT, NO_EXT), ERR_PEER);
  failed (&early, ERR_PEER, "before it was sent");
}

static void
time_runs_from_the_first_byte_on (void)
{
  PEER s = {.now_ns = 1000 * SECOND, .path = "/x"};
  struct iovec iov[1];

  CU_ASSERT_EQUAL_FATAL (peer_open (&s), ERR_OK);
  /* the SSH login may take its time */
  CU_ASSERT_EQUAL (sftp_ops.deadline_ns (s.p), PROTO_NO_DEADLINE);
  CU_ASSERT_EQUAL (sftp_ops.tick (s.p, 5000 * SECOND), ERR_OK);
  CU_ASSERT_EQUAL (sftp_ops.tx_iov (s.p, 0, iov, 1), 1);
  sftp_ops.tx_done (s.p, 0, iov[0].iov_len);
  CU_ASSERT (sftp_ops.deadline_ns (s.p) <= 6000 * SECOND); /* wants a tick */
  CU_ASSERT_EQUAL (sftp_ops.tick (s.p, 6000 * SECOND), ERR_OK);
  CU_ASSERT_EQUAL (sftp_ops.deadline_ns (s.p), 6015 * SECOND);
  CU_ASSERT_EQUAL (sftp_ops.tick (s.p, 6015 * SECOND - 1), ERR_OK);
  CU_ASSERT_EQUAL (sftp_ops.tick (s.p, 6015 * SECOND), ERR_TIMEOUT);
  failed (&s, ERR_TIMEOUT, "no answer to SSH_FXP_INIT");
}

static void
each_answer_gives_more_time (void)
{
  PEER s = {.now_ns = 100 * SECOND};
  struct peer_ask a = to_stat (&s);

  CU_ASSERT_EQUAL (sftp_ops.deadline_ns (s.p), 115 * SECOND);
  s.now_ns = 114 * SECOND;
  /* a dripping byte does not */
  peer_feed (&s, "\0\0\0", 3);
  CU_ASSERT_EQUAL (sftp_ops.deadline_ns (s.p), 115 * SECOND);
  peer_feed (&s, "\x09\x69", 2);
  peer_feed (&s,
             (uint8_t[]){(uint8_t)(a.id >> 24), (uint8_t)(a.id >> 16),
                         (uint8_t)(a.id >> 8), (uint8_t)a.id, 0, 0, 0, 0},
             8);
  CU_ASSERT_EQUAL (sftp_ops.deadline_ns (s.p), 129 * SECOND);
  CU_ASSERT_EQUAL (sftp_ops.tick (s.p, 129 * SECOND), ERR_TIMEOUT);
  failed (&s, ERR_TIMEOUT, "no answer to SSH_FXP_OPEN");
}

UNIT_MAIN ("sftp start-up", UNIT_TEST (asks_step_by_step),
           UNIT_TEST (paths_below_the_login_directory_are_relative),
           UNIT_TEST (the_login_directory_is_a_directory),
           UNIT_TEST (bad_parameters_are_refused),
           UNIT_TEST (limits_decide_how_large_requests_are),
           UNIT_TEST (limits_may_be_refused_or_unknown),
           UNIT_TEST (a_path_must_fit_into_a_packet),
           UNIT_TEST (without_fsync_it_is_read_only),
           UNIT_TEST (unless_the_user_insists),
           UNIT_TEST (a_server_that_always_creates_is_only_read),
           UNIT_TEST (a_server_that_does_not_miss_a_file_is_only_read),
           UNIT_TEST (the_probe_s_answers_are_checked),
           UNIT_TEST (what_may_not_be_written_is_read),
           UNIT_TEST (what_may_not_be_read_is_refused),
           UNIT_TEST (stat_says_what_is_wrong),
           UNIT_TEST (only_regular_files_are_served),
           UNIT_TEST (the_size_must_be_known),
           UNIT_TEST (other_versions_are_refused),
           UNIT_TEST (a_greeting_shell_is_named),
           UNIT_TEST (lengths_are_bounded_before_anything_else),
           UNIT_TEST (the_longest_version_is_taken),
           UNIT_TEST (answers_must_fit_the_question),
           UNIT_TEST (time_runs_from_the_first_byte_on),
           UNIT_TEST (each_answer_gives_more_time))
