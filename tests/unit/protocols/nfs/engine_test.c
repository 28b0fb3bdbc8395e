/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine with NFSv3 against the fake server: the way to the file, requests
 * in every fragmentation, servers that restart, wait, or do half of it.
 */
#include "config.h"

#include <string.h>

#include "tests/unit/protocols/nfs/peer.h"
#include "tests/unit/unit.h"

static void
fill (uint8_t *p, size_t n, unsigned seed)
{
  for (size_t i = 0; i < n; i++)
    p[i] = (uint8_t)((i * 2654435761u + seed) >> 7);
}

static void
finds_the_file (void)
{
  struct peer s;
  struct volume_info info;

  peer_init (&s, "");
  CU_ASSERT_EQUAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (s.moves, 3); /* 111, mountd, back */
  nfs_ops.info (s.p, &info);
  CU_ASSERT_EQUAL (info.size, 1 << 20);
  CU_ASSERT (info.caps & VOLUME_CAN_WRITE);
  CU_ASSERT (info.caps & VOLUME_FLUSH_COVERS_ALL);
  CU_ASSERT (info.change != 0);
  CU_ASSERT (volume_info_check (&info));
  CU_ASSERT_STRING_EQUAL (
      info.identity, "nfs3 fsid 000000000000004d fileid 00000000000003eb");
  peer_fini (&s);
}

static void
asks_the_ports_in_turn (void)
{
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL (peer_open (&s), ERR_OK);
  peer_answer (&s);
  CU_ASSERT (nfs_ops.want (s.p, &s.want));
  CU_ASSERT_EQUAL (s.want.port, 111);
  CU_ASSERT (!nfs_ops.want (s.p, &s.want));
  peer_close (&s);

  s.params[2] = "mountport";
  s.params[3] = "4711";
  CU_ASSERT_EQUAL (peer_open (&s), ERR_OK);
  peer_answer (&s);
  CU_ASSERT (nfs_ops.want (s.p, &s.want));
  CU_ASSERT_EQUAL (s.want.port, 4711);
  peer_fini (&s);
}

static void
finds_the_export_without_a_list (void)
{
  struct peer s;

  peer_init (&s, "");
  s.server.no_export_list = true;
  CU_ASSERT_EQUAL (peer_start (&s), PROTO_READY);
  peer_fini (&s);
}

static void
reads_and_writes (void)
{
  static const size_t cuts[] = {0, 1, 3, 4, 7, 127, 4096};
  static const size_t fragments[] = {0, 4, 33, 1000};
  static uint8_t data[30000], back[30000];

  for (unsigned i = 0; i < 7; i++)
    for (unsigned j = 0; j < 4; j++) {
      struct peer s;
      struct proto_completion w, c;

      peer_init (&s, "");
      s.cut_bytes = cuts[i];
      CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
      s.fragment_bytes = fragments[j];
      if (fragments[j] == 4)
        s.server.most_bytes = 3000;
      fill (data, sizeof data, i);
      w = peer_do (&s, IO_WRITE, 0, 4096 + i, sizeof data - i, data);
      CU_ASSERT_EQUAL (w.error, ERR_OK);
      CU_ASSERT (memcmp (s.server.content + 4096 + i, data, sizeof data - i)
                 == 0);
      memset (back, 0, sizeof back);
      c = peer_do (&s, IO_READ, 0, 4096 + i, sizeof data - i, back);
      CU_ASSERT_EQUAL (c.error, ERR_OK);
      CU_ASSERT (memcmp (back, data, sizeof data - i) == 0);
      c = peer_do (&s, IO_FLUSH, 0, 0, 0, NULL);
      CU_ASSERT_EQUAL (c.error, ERR_OK);
      CU_ASSERT (memcmp (c.token, w.token, sizeof c.token) == 0);
      CU_ASSERT (memcmp (s.server.committed, s.server.content, 1 << 20) == 0);
      peer_fini (&s);
    }
}

static void
tokens_tell_a_restart (void)
{
  static uint8_t data[100000];
  struct peer s;
  struct proto_completion a, b, c;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  a = peer_do (&s, IO_WRITE, 0, 0, 4096, data);
  fake_nfs3_reboot (&s.server);
  b = peer_do (&s, IO_WRITE, IO_FUA, 0, 4096, data);
  c = peer_do (&s, IO_FLUSH, 0, 0, 0, NULL);
  CU_ASSERT_EQUAL (a.error | b.error | c.error, ERR_OK);
  CU_ASSERT (memcmp (a.token, c.token, sizeof c.token) != 0);
  CU_ASSERT (memcmp (b.token, c.token, sizeof c.token) == 0);
  peer_fini (&s);
}

static bool
reboot_between_pieces (struct peer *s, uint8_t *reply, size_t *bytes)
{
  (void)reply;
  (void)bytes;
  if (s->server.calls[7] == 2 && !s->tampered++)
    fake_nfs3_reboot (&s->server);
  return true;
}

static void
mixed_verifiers_prove_nothing (void)
{
  static uint8_t data[100000];
  struct peer s;
  struct proto_completion a, c;

  peer_init (&s, "");
  s.server.wtmax = 16384;
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  s.tamper = reboot_between_pieces;
  a = peer_do (&s, IO_WRITE, 0, 0, sizeof data, data);
  c = peer_do (&s, IO_FLUSH, 0, 0, 0, NULL);
  CU_ASSERT_EQUAL (a.error | c.error, ERR_OK);
  CU_ASSERT (s.tampered);
  CU_ASSERT (memcmp (a.token, c.token, sizeof c.token) != 0);
  peer_fini (&s);
}

static void
waits_for_a_jukebox (void)
{
  static uint8_t data[4096];
  struct peer s;
  struct proto_completion c;
  uint64_t before_ns;

  peer_init (&s, "");
  s.server.jukebox = 2; /* FSINFO */
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  s.server.jukebox = 4;
  before_ns = s.now_ns;
  c = peer_do (&s, IO_WRITE, 0, 0, sizeof data, data);
  CU_ASSERT_EQUAL (c.error, ERR_OK);
  CU_ASSERT_EQUAL (s.server.calls[7], 5);
  CU_ASSERT (s.now_ns - before_ns >= 700000000); /* half of 0.1 … 0.8 s */
  s.server.jukebox = 1000;
  before_ns = s.now_ns;
  c = peer_do (&s, IO_READ, 0, 0, sizeof data, data);
  CU_ASSERT_EQUAL (c.error, ERR_TIMEOUT);
  CU_ASSERT (s.now_ns - before_ns <= 66000000000);
  peer_fini (&s);
}

static void
a_replay_has_its_xid (void)
{
  static uint8_t data[4096];
  struct proto_request r = {.id = 1, .tag = 4242, .op = IO_WRITE,
                            .length = sizeof data, .data = data};
  struct proto_completion c;
  struct peer s;
  uint32_t first, other;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (nfs_ops.submit (s.p, &r, s.now_ns), ERR_OK);
  CU_ASSERT (peer_call (&s) > 0);
  first = (uint32_t)s.call[0] << 24 | s.call[1] << 16 | s.call[2] << 8
          | s.call[3];
  peer_close (&s); /* the answer never came */
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (nfs_ops.submit (s.p, &r, s.now_ns), ERR_OK);
  peer_run (&s);
  CU_ASSERT (nfs_ops.reap (s.p, &c));
  CU_ASSERT_EQUAL (c.error, ERR_OK);
  CU_ASSERT_EQUAL (s.server.last_write_xid, first);
  /* Answered: nobody sends it again, and another one is another one. */
  other = s.server.last_write_xid;
  peer_do (&s, IO_WRITE, 0, 0, sizeof data, data);
  CU_ASSERT_NOT_EQUAL (s.server.last_write_xid, other);
  peer_fini (&s);
}

static void
a_stale_handle_leads_back (void)
{
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  peer_close (&s);
  s.server.generation++; /* of handles */
  s.moves = 0;
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (s.moves, 3);
  peer_fini (&s);
}

static void
fails_with (struct peer *s, enum err e, const char *words)
{
  CU_ASSERT_EQUAL (peer_start (s), PROTO_FAILED);
  CU_ASSERT_EQUAL (nfs_ops.fault (s->p)->code, e);
  CU_ASSERT_PTR_NOT_NULL (strstr (nfs_ops.fault (s->p)->text, words));
  if (!strstr (nfs_ops.fault (s->p)->text, words))
    printf ("said: %s\n", nfs_ops.fault (s->p)->text);
  peer_fini (s);
}

/* EXPORT's answer is "/elsewhere/x" NUL "yz", and no groups. */
static bool
export_with_nul (struct peer *s, uint8_t *reply, size_t *bytes)
{
  static const uint8_t list[]
      = "\0\0\0\1\0\0\0\17/elsewhere/x\0yz\0\0\0\0\0\0\0\0";

  (void)s;
  if (*bytes > 36 && memcmp (reply + 24, "\0\0\0\1\0\0\0\4/srv", 12) == 0) {
    memcpy (reply + 24, list, sizeof list);
    *bytes = 24 + sizeof list;
  }
  return true;
}

static void
says_why_it_cannot (void)
{
  struct peer s;

  peer_init (&s, FAKE_EXPORT "/dir/other");
  fails_with (&s, ERR_NOENT, FAKE_EXPORT "/dir/other: no such file");
  peer_init (&s, "/elsewhere/x");
  fails_with (&s, ERR_NOENT,
              "exports no directory above it; it exports /srv, ");
  peer_init (&s, "/elsewhere/x");
  s.tamper = export_with_nul;
  fails_with (&s, ERR_NOENT, "exports no directory above it");
  peer_init (&s, FAKE_EXPORT "/dir");
  fails_with (&s, ERR_ISDIR, FAKE_EXPORT "/dir is a directory");
  peer_init (&s, "");
  s.server.file_type = 7;
  fails_with (&s, ERR_INVAL, "a named pipe, not a file");
  peer_init (&s, "");
  s.server.access = 4;
  fails_with (&s, ERR_ACCESS, "does not let uid");
  peer_init (&s, "");
  s.server.mount_status = 13;
  fails_with (&s, ERR_ACCESS, "mountd refuses " FAKE_EXPORT);
  peer_init (&s, "");
  s.server.mountd_port = 0;
  fails_with (&s, ERR_NOTSUP, "portmapper");
  peer_init (&s, "");
  s.server.rtmax = 100;
  fails_with (&s, ERR_PEER, "rtmax");
}

static void
read_only_says_why (void)
{
  struct volume_info info;
  struct peer s;

  peer_init (&s, "");
  s.server.access = 0x23;
  s.params[2] = "uid";
  s.params[3] = "1234";
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &info);
  CU_ASSERT_EQUAL (info.caps, 0);
  CU_ASSERT_PTR_NOT_NULL (strstr (info.readonly_why, "uid 1234"));
  CU_ASSERT_EQUAL (s.server.last_uid, 1234);
  peer_fini (&s);
}

static void
a_shrunk_file_is_said (void)
{
  static uint8_t data[4096];
  struct peer s;
  struct proto_completion c;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  s.server.size = 1000;
  c = peer_do (&s, IO_READ, 0, 0, sizeof data, data);
  CU_ASSERT_EQUAL (c.error, ERR_CLOSED); /* by the session's end */
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT_PTR_NOT_NULL (strstr (nfs_ops.fault (s.p)->text, "shorter"));
  s.server.size = 1 << 20;
  peer_fini (&s);
}

static void
errors_of_requests (void)
{
  static const struct {
    uint32_t status;
    enum err e;
  } cases[] = {{5, ERR_IO},    {28, ERR_NOSPC}, {69, ERR_NOSPC},
               {30, ERR_ROFS}, {13, ERR_ACCESS}, {2, ERR_IO}};
  static uint8_t data[4096];

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;

    peer_init (&s, "");
    CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
    s.server.status = cases[i].status;
    CU_ASSERT_EQUAL (peer_do (&s, IO_WRITE, 0, 0, 4096, data).error,
                     cases[i].e);
    CU_ASSERT_EQUAL (peer_do (&s, IO_READ, 0, 0, 4096, data).error,
                     cases[i].e);
    CU_ASSERT_EQUAL (peer_do (&s, IO_FLUSH, 0, 0, 0, NULL).error, cases[i].e);
    s.server.status = 0;
    CU_ASSERT_EQUAL (peer_do (&s, IO_READ, 0, 0, 4096, data).error, ERR_OK);
    peer_fini (&s);
  }
}

static void
lists_a_directory (void)
{
  static uint8_t text[100000];
  struct volume_info info;
  struct peer s;

  peer_init (&s, FAKE_EXPORT "/dir");
  s.params[2] = "list";
  s.params[3] = "yes";
  s.server.list_names = 120;
  s.server.list_long = true; /* no v3 path has that */
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &info);
  CU_ASSERT_EQUAL (info.caps, VOLUME_IS_LIST);
  CU_ASSERT_EQUAL (peer_do (&s, IO_READ, 0, 0, (uint32_t)info.size, text).error,
                   ERR_OK);
  CU_ASSERT (memcmp (text, "disk.img\0" "1048576\0\0file001", 25) == 0);
  CU_ASSERT_EQUAL (s.server.calls[17], 3);
  peer_fini (&s);
}

/* Directories without an end: of what is listed, and of what is not. */
static void
a_list_has_an_end (void)
{
  static const uint32_t types[] = {1, 2};

  for (unsigned i = 0; i < 2; i++) {
    struct volume_info info;
    struct peer s;

    peer_init (&s, FAKE_EXPORT "/dir");
    s.params[2] = "list";
    s.params[3] = "yes";
    s.server.list_names = 1u << 31;
    s.server.file_type = types[i];
    CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
    nfs_ops.info (s.p, &info);
    CU_ASSERT_PTR_NOT_NULL (strstr (info.remarks, "more files than can be"));
    CU_ASSERT (s.server.calls[17] <= 65536 / 50 + 1);
    CU_ASSERT (i == 0 ? info.size > 40000 : info.size < 100);
    peer_fini (&s);
  }
}

static void
nothing_is_to_be_left (void)
{
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  nfs_ops.leave (s.p, s.now_ns);
  CU_ASSERT_EQUAL (peer_call (&s), 0);
  CU_ASSERT (nfs_ops.deadline_ns (s.p) <= s.now_ns);
  nfs_ops.tick (s.p, s.now_ns);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  peer_fini (&s);
}

static void
lists_exports (void)
{
  static uint8_t text[1000];
  struct volume_info info;
  struct peer s;

  peer_init (&s, "/");
  s.params[2] = "list";
  s.params[3] = "yes";
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &info);
  CU_ASSERT_EQUAL (peer_do (&s, IO_READ, 0, 0, (uint32_t)info.size, text).error,
                   ERR_OK);
  CU_ASSERT (memcmp (text, "srv\0\0NFS export\0srv/export\0", 27) == 0);
  peer_fini (&s);
}

static void
refuses_bad_parameters (void)
{
  static const char *const bad[][2] = {
      {"version", "2"},
      {"version", "4"},
      {"uid", "x"},
      {"uid", "4294967296"},
      {"sec", "krb5"},
      {"mountport", "65536"},
      {"groups", "1,,2"},
      {"groups", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"},
      {"list", "perhaps"},
  };

  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct peer s;

    peer_init (&s, "");
    s.params[2] = bad[i][0];
    s.params[3] = bad[i][1];
    CU_ASSERT_EQUAL (peer_open (&s), ERR_INVAL);
    CU_ASSERT_PTR_NOT_NULL (strstr (s.open_fault.text, bad[i][1]));
    peer_fini (&s);
  }
}

UNIT_MAIN ("nfs engine", UNIT_TEST (finds_the_file),
           UNIT_TEST (asks_the_ports_in_turn),
           UNIT_TEST (finds_the_export_without_a_list),
           UNIT_TEST (reads_and_writes), UNIT_TEST (tokens_tell_a_restart),
           UNIT_TEST (mixed_verifiers_prove_nothing),
           UNIT_TEST (waits_for_a_jukebox), UNIT_TEST (a_replay_has_its_xid),
           UNIT_TEST (a_stale_handle_leads_back),
           UNIT_TEST (says_why_it_cannot), UNIT_TEST (read_only_says_why),
           UNIT_TEST (a_shrunk_file_is_said), UNIT_TEST (errors_of_requests),
           UNIT_TEST (lists_a_directory), UNIT_TEST (a_list_has_an_end),
           UNIT_TEST (nothing_is_to_be_left), UNIT_TEST (lists_exports),
           UNIT_TEST (refuses_bad_parameters))
