/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv4.1 and 4.2 against the fake server: the way to a volume or a list, what
 * is said where there is none, who else has the file open, and goodbye.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/listing.h"
#include "protocols/nfs/dialect.h"
#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

static void
takes_the_best_version (void)
{
  static const char *const names[] = {"NFSv4.1", "NFSv4.2"};

  for (uint32_t minor = 1; minor <= 2; minor++) {
    struct volume_info i;
    struct peer s;

    peer4_begin (&s);
    server.minor_max = minor;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    nfs_ops.info (s.p, &i);
    CU_ASSERT_EQUAL (i.size, SIZE);
    CU_ASSERT_EQUAL (i.change, 7);
    CU_ASSERT (volume_info_check (&i));
    CU_ASSERT_PTR_NOT_NULL (strstr (i.remarks, names[minor - 1]));
    CU_ASSERT_EQUAL (!!(i.caps & VOLUME_CAN_TRIM), minor == 2);
    CU_ASSERT_EQUAL (!!(i.caps & VOLUME_CAN_STATUS), minor == 2);
    peer4_works (&s, minor);
    peer4_end (&s);
  }
}

static void
any_fragmentation_will_do (void)
{
  static const size_t cuts[] = {1, 3, 7, 64};

  for (unsigned i = 0; i < 4; i++) {
    struct peer s;

    peer4_begin (&s);
    s.cut_bytes = cuts[i];
    s.fragment_bytes = i % 2 ? 100 : 0;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    peer4_works (&s, i);
    peer4_fill (9);
    CU_ASSERT_EQUAL (peer4_request (&s, IO_WRITE, 0, 5, 100001, data).error,
                     ERR_OK);
    CU_ASSERT_EQUAL (peer4_request (&s, IO_READ, 0, 5, 100001, back).error,
                     ERR_OK);
    CU_ASSERT_EQUAL (memcmp (data, back, 100001), 0);
    peer4_end (&s);
  }
}

static void
says_what_is_wrong (void)
{
  static const struct {
    const char *path;
    uint32_t op, status;
    const char *words;
  } cases[] = {
      {"/dir/other", 0, 0, "no such file"},
      {"/dir", 0, 0, "is a directory"},
      {FAKE4_PATH, OPEN, 10015, "SHARE_DENIED"},
      {FAKE4_PATH, LOOKUP, 10019, "NFS4ERR_MOVED"},
      {FAKE4_PATH, PUTFH, 10016, "NFS4ERR_WRONGSEC"},
      {FAKE4_PATH, EXCHANGE_ID, 10017, "NFS4ERR_CLID_INUSE"},
      {FAKE4_PATH, SEQUENCE, 10036, "NFS4ERR_BADXDR"},
      {FAKE4_PATH, LOOKUP, 4711, "no nfsstat4"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;

    peer4_begin (&s);
    s.params[0] = "path";
    s.params[1] = cases[i].path;
    s.params[4] = "version";
    s.params[5] = "4.2";
    server.fail_op = cases[i].op;
    server.fail_status = cases[i].status;
    server.fail_times = cases[i].op ? 1000 : 0;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
    CU_ASSERT (peer4_says (&s, cases[i].words));
    peer4_end (&s);
  }
}

static void
no_file_is_larger_than_a_volume (void)
{
  struct peer s;

  peer4_begin (&s);
  server.size = UINT64_MAX;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
  CU_ASSERT (peer4_says (&s, "fattr4_size"));
  server.size = SIZE;
  peer4_end (&s);
}

static void
opens_what_it_may (void)
{
  struct volume_info i;
  struct peer s;

  peer4_begin (&s);
  server.access = 1; /* READ */
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT (!(i.caps & VOLUME_CAN_WRITE));
  CU_ASSERT (i.readonly_why[0]);
  CU_ASSERT_EQUAL (peer4_request (&s, IO_READ, 0, 0, 4096, back).error, ERR_OK);
  peer4_end (&s);

  peer4_begin (&s);
  server.fail_op = OPEN; /* ACCESS was too hopeful */
  server.fail_status = 30;
  server.fail_times = 1;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT (!(i.caps & VOLUME_CAN_WRITE));
  CU_ASSERT_PTR_NOT_NULL (strstr (i.readonly_why, "NFS4ERR_ROFS"));
  peer4_end (&s);
}

static void
gives_a_delegation_back (void)
{
  struct peer s;

  peer4_begin (&s);
  server.delegates = true;
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (server.executed[DELEGRETURN], 1);
  peer4_works (&s, 1);
  peer4_end (&s);
}

static void
lists_a_directory (void)
{
  struct volume_info i;
  struct listing_entry entry;
  bool broken = false;
  size_t at = 0;
  struct peer s;

  peer4_begin (&s);
  s.params[1] = "/dir/";
  s.params[4] = "list";
  s.params[5] = "yes";
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT_EQUAL (i.caps, VOLUME_IS_LIST);
  CU_ASSERT_EQUAL (
      peer4_request (&s, IO_READ, 0, 0, (uint32_t)i.size, back).error, ERR_OK);
  CU_ASSERT (listing_next (back, i.size, &at, &entry, &broken));
  CU_ASSERT_STRING_EQUAL (entry.name, "sub");
  CU_ASSERT (listing_next (back, i.size, &at, &entry, &broken));
  CU_ASSERT_STRING_EQUAL (entry.name, "disk.img");
  CU_ASSERT_EQUAL (entry.size, SIZE);
  CU_ASSERT (!listing_next (back, i.size, &at, &entry, &broken));
  peer4_end (&s);

  peer4_begin (&s); /* with a name as long as others allow */
  s.params[1] = "/dir/";
  s.params[4] = "list";
  s.params[5] = "yes";
  server.list_long = true;
  CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT_EQUAL (
      peer4_request (&s, IO_READ, 0, 0, (uint32_t)i.size, back).error, ERR_OK);
  at = 0;
  CU_ASSERT (listing_next (back, i.size, &at, &entry, &broken));
  CU_ASSERT_EQUAL (strlen (entry.name), 300);
  peer4_end (&s);
}

/* ------------------------------------------------------ several of them --- */

static void
each_has_its_own_session (void)
{
  struct peer a, b;

  peer4_begin (&a);
  peer4_begin_second (&b, &a);
  CU_ASSERT_EQUAL (peer4_start (&a), PROTO_READY);
  CU_ASSERT_EQUAL (peer4_start (&b), PROTO_READY);
  peer4_works (&a, 1);
  peer4_works (&b, 2);
  CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 2);
  CU_ASSERT_EQUAL (a.identity[0], b.identity[0]);
  nfs_ops.leave (a.p, a.now_ns);
  peer4_answer (&a);
  peer4_works (&b, 3);
  peer_fini (&a);
  peer4_end (&b);
}

/* Both ask for a session with the same sequence id; the second is given the
 * first one's (§18.36.4), notices, and asks again.
 */
static void
a_session_of_another_one_is_not_used (void)
{
  struct peer a, b;
  size_t n;

  peer4_begin (&a);
  a.params[4] = "exclusive";
  a.params[5] = "yes";
  peer4_begin_second (&b, &a);
  CU_ASSERT_EQUAL (peer4_start (&a), PROTO_READY); /* the client is confirmed */
  peer_close (&a);
  memset (a.identity, 0, sizeof a.identity);
  CU_ASSERT_EQUAL (peer_open (&a), ERR_OK);
  CU_ASSERT_EQUAL (peer_open (&b), ERR_OK);
  for (unsigned i = 0; i < 3; i++) /* NULL, EXCHANGE_ID, CREATE_SESSION */
    for (unsigned k = 0; k < 2; k++) {
      struct peer *s = k ? &b : &a;

      n = peer_call (s);
      CU_ASSERT_FATAL (n > 0);
      n = fake_nfs4_answer (&server, s->call, n, s->reply, PEER_RECORD_BYTES);
      peer_record (s, s->reply, n);
    }
  CU_ASSERT_EQUAL (peer4_start (&b), PROTO_READY);
  CU_ASSERT_EQUAL (peer4_start (&a), PROTO_READY);
  CU_ASSERT (memcmp (a.identity + NFS_IDENTITY_OWN + 24,
                     b.identity + NFS_IDENTITY_OWN + 24, 16)
             != 0);
  peer4_works (&a, 1);
  peer4_works (&b, 2);
  peer4_works (&a, 3);
  peer_fini (&a);
  peer4_end (&b);
}

static void
exclusive_denies_other_writers (void)
{
  struct peer a, b;

  peer4_begin (&a);
  a.params[4] = "exclusive";
  a.params[5] = "yes";
  peer4_begin_second (&b, &a);
  CU_ASSERT_EQUAL (peer4_start (&a), PROTO_READY);
  CU_ASSERT_EQUAL (peer4_start (&b), PROTO_READY); /* the same client */
  peer_close (&b);
  memset (b.identity, 0, sizeof b.identity);
  b.params[3] = "elsewhere";
  CU_ASSERT_EQUAL (peer4_start (&b), PROTO_FAILED);
  CU_ASSERT (peer4_says (&b, "SHARE_DENIED"));
  peer_fini (&b);
  peer4_end (&a);
}

/* A call of its own is under way: the goodbye comes behind it. */
static void
leaves_in_its_turn (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  nfs_ops.probe (s.p, s.now_ns);
  nfs_ops.tx_iov (s.p, 0, (struct iovec[PROTO_TX_IOV]){{0}}, PROTO_TX_IOV);
  nfs_ops.leave (s.p, s.now_ns);
  while (peer4_answer (&s))
    ;
  CU_ASSERT_EQUAL (server.executed[CLOSE], 1);
  CU_ASSERT_EQUAL (server.executed[DESTROY_SESSION], 1);
  CU_ASSERT_EQUAL (server.executed[DESTROY_CLIENTID], 1);
  peer4_end (&s);
}

static void
leaves_nothing_behind (void)
{
  struct peer s;

  peer4_begin (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
  peer4_works (&s, 1);
  nfs_ops.leave (s.p, s.now_ns);
  while (peer4_answer (&s))
    ;
  CU_ASSERT_EQUAL (server.executed[CLOSE], 1);
  CU_ASSERT_EQUAL (server.executed[DESTROY_SESSION], 1);
  CU_ASSERT_EQUAL (server.executed[DESTROY_CLIENTID], 1);
  for (unsigned i = 0; i < FAKE4_CLIENTS; i++)
    CU_ASSERT (!server.client[i].used);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_READY);
  peer4_sleep (&s); /* so that nobody waits for more */
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  peer_close (&s);
  CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY); /* and begins again */
  peer4_works (&s, 2);
  peer4_end (&s);
}

/* --------------------------------------------------- links, and moves --- */

static void
begin_links (struct peer *s, const char *path)
{
  peer4_begin (s);
  s->params[1] = path;
  s->params[4] = "version";
  s->params[5] = "4.2";
  server.link[0].name = "link";
  server.link[0].target = "disk.img";
  server.link[1].name = "up";
  server.link[1].target = "..";
  server.link[2].name = "abs";
  server.link[2].target = "/dir";
  server.link[3].name = "self";
  server.link[3].target = "./self";
}

static void
follows_links (void)
{
  static const char *const paths[] = {
      "/dir/link",
      "/abs/link",
      "/dir/up/abs/up/dir/link",
      /* a link at the end of a call's LOOKUPs, and behind it */
      "/dir/up/dir/up/dir/up/dir/up/dir/up/dir/up/abs/link",
      "/././dir/./link/",
  };

  for (unsigned i = 0; i < sizeof paths / sizeof paths[0]; i++)
    for (unsigned old = 0; old < 2; old++) {
      struct peer s;

      begin_links (&s, paths[i]);
      server.old_notdir = old;
      CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
      peer4_works (&s, i);
      CU_ASSERT (server.executed[READLINK] > 0);
      /* and once more when the handle has become stale */
      server.generation++;
      peer4_works (&s, i);
      peer4_end (&s);
    }
}

/* No call is longer than the session takes (ca_maxrequestsize), however long
 * the names are.
 */
static void
walks_in_steps_that_fit (void)
{
  static const uint32_t most[] = {1536, 1600, 2048, 4096};
  char name[251], path[8 * 251] = "";
  struct peer s;

  memset (name, 'n', 250);
  name[250] = '\0';
  for (unsigned i = 0; i < 6; i++) {
    strcat (path, "/");
    strcat (path, name);
  }
  strcat (path, "/disk.img");
  for (unsigned i = 0; i < sizeof most / sizeof most[0]; i++) {
    begin_links (&s, path);
    server.link[0].name = name;
    server.link[0].target = "/dir";
    server.request_max = most[i];
    CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
    peer4_works (&s, i);
    peer4_end (&s);
  }
}

static void
says_where_links_end (void)
{
  static const struct {
    const char *path, *target, *words;
  } cases[] = {
      {"/dir/self", NULL, "in a circle"},
      {"/link", NULL, "symbolic links lead to /disk.img"},
      {"/up/x", NULL, "leads out of"},
      {"/dir/link", "", "leads nowhere"},
      {"/dir/disk.img/x", NULL, "NFS4ERR_NOTDIR"},
      {"/dir/link/x", NULL, "NFS4ERR_NOTDIR"},
      {"/dir/link", "disk.img/../disk.img", "NFS4ERR_NOTDIR"},
      {"/abs", NULL, "is a directory"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;

    begin_links (&s, cases[i].path);
    if (cases[i].target)
      server.link[0].target = cases[i].target;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
    CU_ASSERT (peer4_says (&s, cases[i].words));
    if (!peer4_says (&s, cases[i].words))
      printf ("%s: said: %s\n", cases[i].path, nfs_ops.fault (s.p)->text);
    peer4_end (&s);
  }
}

static void
says_where_it_has_moved (void)
{
  static const struct {
    const char *from, *to, *at;
    const char *words;
  } cases[] = {
      {"dir", "new/place", "there.example",
       "to nfs://there.example/new/place/disk.img, "
       "nfs://[::1]/new/place/disk.img"},
      {"", "new", "10.1.2.3", "nfs://10.1.2.3/new/dir/disk.img"},
      {"other", "x", "host", "nfs://host/x"},
      {"dir", "x\033[2J?y", "ho st", "nfs://ho%20st/x%1B[2J%3Fy/disk.img"},
      {"dir", "", NULL, "NFS4ERR_MOVED"},
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (unsigned later = 0; later < 2; later++) {
      struct peer s;

      begin_links (&s, FAKE4_PATH);
      server.moved_from = cases[i].from;
      server.moved_to = cases[i].to;
      server.moved_server = cases[i].at;
      server.moved = !later;
      if (later) {
        CU_ASSERT_EQUAL_FATAL (peer4_start (&s), PROTO_READY);
        server.moved = true;
        peer4_request (&s, IO_READ, 0, 0, 512, back);
      } else {
        peer4_start (&s);
      }
      CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
      CU_ASSERT (peer4_says (&s, cases[i].words));
      if (!peer4_says (&s, cases[i].words))
        printf ("said: %s\n", nfs_ops.fault (s.p)->text);
      peer4_end (&s);
    }
}

/* Directories without an end: of what is listed, and of what is not. */
static void
a_list_has_an_end (void)
{
  static const uint32_t types[] = {1, 5};

  for (unsigned i = 0; i < 2; i++) {
    struct volume_info info;
    struct peer s;

    begin_links (&s, "/dir/");
    s.params[6] = "list";
    s.params[7] = "yes";
    server.list_names = UINT64_MAX / 2;
    server.list_type = types[i];
    CU_ASSERT_EQUAL_FATAL (peer_open (&s), ERR_OK);
    for (unsigned k = 0; k < 2000 && nfs_ops.state (s.p) == PROTO_STARTING; k++)
      if (!peer4_answer (&s))
        peer4_sleep (&s);
    CU_ASSERT_EQUAL_FATAL (nfs_ops.state (s.p), PROTO_READY);
    nfs_ops.info (s.p, &info);
    CU_ASSERT_PTR_NOT_NULL (strstr (info.remarks, "more files than can be"));
    CU_ASSERT (server.executed[READDIR] <= 656);
    CU_ASSERT (i == 0 ? info.size > 40000 : info.size < 100);
    peer4_end (&s);
  }
}

UNIT_MAIN ("nfs v4 start", UNIT_TEST (takes_the_best_version),
           UNIT_TEST (any_fragmentation_will_do),
           UNIT_TEST (says_what_is_wrong),
           UNIT_TEST (no_file_is_larger_than_a_volume),
           UNIT_TEST (opens_what_it_may), UNIT_TEST (gives_a_delegation_back),
           UNIT_TEST (lists_a_directory), UNIT_TEST (each_has_its_own_session),
           UNIT_TEST (a_session_of_another_one_is_not_used),
           UNIT_TEST (exclusive_denies_other_writers),
           UNIT_TEST (leaves_nothing_behind),
           UNIT_TEST (leaves_in_its_turn), UNIT_TEST (follows_links),
           UNIT_TEST (walks_in_steps_that_fit),
           UNIT_TEST (says_where_links_end),
           UNIT_TEST (says_where_it_has_moved), UNIT_TEST (a_list_has_an_end))
