/* SPDX-License-Identifier: BSD-2-Clause */
/* What an NFSv3 session says to its server: XIDs that stay and that change,
 * credentials, ranges; and what it does not take of an odd one.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "protocols/nfs/dialect.h"
#include "protocols/nfs/engine.h"
#include "tests/unit/protocols/nfs/peer.h"
#include "tests/unit/unit.h"


static uint8_t data[1 << 18];

static uint32_t
word (const uint8_t *p)
{
  struct wire w = wire_init (p, 4);

  return wire_u32 (&w);
}

static void
put_word (uint8_t *p, uint32_t v)
{
  struct wirebuf b = wirebuf_init (p, 4);

  wirebuf_u32 (&b, v);
}

static enum err
submit (struct peer *s, uint64_t tag, enum io_op op, uint32_t flags,
        uint64_t offset, uint32_t length)
{
  struct proto_request r = {.id = tag, .tag = tag, .op = op, .flags = flags,
                            .offset = offset, .length = length, .data = data};

  return nfs_ops.submit (s->p, &r, s->now_ns);
}

/* The next call's XID; 0: there is none. */
static uint32_t
next_xid (struct peer *s, size_t *ret_bytes)
{
  *ret_bytes = peer_call (s);
  return *ret_bytes ? word (s->call) : 0;
}

static void
answer (struct peer *s, size_t call_bytes)
{
  size_t n = fake_nfs3_answer (&s->server, s->call, call_bytes, s->reply,
                               PEER_RECORD_BYTES);

  CU_ASSERT_EQUAL (peer_record (s, s->reply, n), ERR_OK);
}

static void
wait (struct peer *s)
{
  uint64_t at_ns = nfs_ops.deadline_ns (s->p);

  CU_ASSERT_FATAL (at_ns != PROTO_NO_DEADLINE);
  if (at_ns > s->now_ns)
    s->now_ns = at_ns;
  nfs_ops.tick (s->p, s->now_ns);
}

static void
fails_with (struct peer *s, enum err e, const char *words, const char *hint)
{
  CU_ASSERT_EQUAL (peer_start (s), PROTO_FAILED);
  CU_ASSERT_EQUAL (nfs_ops.fault (s->p)->code, e);
  CU_ASSERT_PTR_NOT_NULL (strstr (nfs_ops.fault (s->p)->text, words));
  CU_ASSERT_PTR_NOT_NULL (strstr (nfs_ops.fault (s->p)->hint, hint));
  if (!strstr (nfs_ops.fault (s->p)->text, words))
    printf ("said: %s\n", nfs_ops.fault (s->p)->text);
  peer_fini (s);
}

/* ----------------------------------------------------------------- XIDs --- */

/* RFC 1813 §2.6, JUKEBOX: "with a new RPC transaction ID". */
static void
a_jukebox_is_asked_by_another_xid (void)
{
  uint32_t xid[4];
  struct peer s;
  size_t n;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  s.server.jukebox = 3;
  CU_ASSERT_EQUAL (submit (&s, 1, IO_WRITE, 0, 0, 4096), ERR_OK);
  for (unsigned i = 0; i < 4; i++) {
    xid[i] = next_xid (&s, &n);
    CU_ASSERT_FATAL (n > 0);
    for (unsigned k = 0; k < i; k++)
      CU_ASSERT_NOT_EQUAL (xid[i], xid[k]);
    answer (&s, n);
    if (i < 3)
      wait (&s);
  }
  peer_fini (&s);
}

/* Each piece of a WRITE that was lost has its own XID again, and nothing else
 * has one of them.
 */
static void
a_replay_has_the_xid_of_each_piece (void)
{
  uint32_t first[4], xid;
  unsigned i = 0;
  struct peer s;
  size_t n;

  peer_init (&s, "");
  s.server.wtmax = 4096;
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 7, IO_WRITE, 0, 0, 16384), ERR_OK);
  for (; i < 4; i++)
    first[i] = next_xid (&s, &n);
  for (unsigned k = 0; k < 4; k++)
    for (unsigned j = 0; j < k; j++)
      CU_ASSERT_NOT_EQUAL (first[k], first[j]);
  peer_close (&s);
  CU_ASSERT_EQUAL_FATAL (peer_open (&s), ERR_OK);
  while (nfs_ops.state (s.p) == PROTO_STARTING) {
    xid = next_xid (&s, &n);
    if (!n && peer_move (&s))
      continue;
    CU_ASSERT_FATAL (n > 0);
    for (i = 0; i < 4; i++)
      CU_ASSERT_NOT_EQUAL (xid, first[i]);
    answer (&s, n);
  }
  CU_ASSERT_EQUAL_FATAL (nfs_ops.state (s.p), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 7, IO_WRITE, 0, 0, 16384), ERR_OK);
  CU_ASSERT_EQUAL (submit (&s, 8, IO_WRITE, 0, 65536, 4096), ERR_OK);
  CU_ASSERT_EQUAL (submit (&s, 9, IO_READ, 0, 65536, 4096), ERR_OK);
  for (i = 0; i < 6; i++) {
    xid = next_xid (&s, &n);
    if (i < 4)
      CU_ASSERT_EQUAL (xid, first[i])
    else
      for (unsigned k = 0; k < 4; k++)
        CU_ASSERT_NOT_EQUAL (xid, first[k]);
    answer (&s, n);
  }
  /* It was answered: whoever has its number next is another one. */
  while (nfs_ops.reap (s.p, &(struct proto_completion){0}))
    ;
  CU_ASSERT_EQUAL (submit (&s, 7, IO_WRITE, 0, 0, 16384), ERR_OK);
  for (i = 0; i < 4; i++) {
    xid = next_xid (&s, &n);
    for (unsigned k = 0; k < 4; k++)
      CU_ASSERT_NOT_EQUAL (xid, first[k]);
  }
  peer_fini (&s);
}

/* In other pieces it is no replay: the server would answer it by what it did
 * for another range.
 */
static void
other_pieces_are_no_replay (void)
{
  uint32_t first[4], xid;
  struct peer s;
  size_t n;

  peer_init (&s, "");
  s.server.wtmax = 4096;
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 7, IO_WRITE, 0, 0, 16384), ERR_OK);
  for (unsigned i = 0; i < 4; i++)
    first[i] = next_xid (&s, &n);
  peer_close (&s);
  s.server.wtmax = 8192;
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 7, IO_WRITE, 0, 0, 16384), ERR_OK);
  for (unsigned i = 0; i < 2; i++) {
    xid = next_xid (&s, &n);
    CU_ASSERT_FATAL (n > 0);
    for (unsigned k = 0; k < 4; k++)
      CU_ASSERT_NOT_EQUAL (xid, first[k]);
  }
  peer_fini (&s);
}

/* The table is full of what nobody has sent again: an entry of a request that
 * is under way is not the one that makes room.
 */
static void
what_is_under_way_keeps_its_xid (void)
{
  uint32_t xid[2];
  struct peer s;
  size_t n;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    CU_ASSERT_EQUAL (submit (&s, 1000 + i, IO_WRITE, 0, 0, 4096), ERR_OK);
  peer_close (&s);
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  for (unsigned i = 0; i < 2; i++) {
    CU_ASSERT_EQUAL (
        submit (&s, 8 + i * 64 * PROTO_REQUESTS, IO_WRITE, 0, 0, 4096),
        ERR_OK);
    xid[i] = next_xid (&s, &n);
  }
  peer_close (&s);
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  for (unsigned i = 0; i < 2; i++) {
    CU_ASSERT_EQUAL (
        submit (&s, 8 + i * 64 * PROTO_REQUESTS, IO_WRITE, 0, 0, 4096),
        ERR_OK);
    CU_ASSERT_EQUAL (next_xid (&s, &n), xid[i]);
  }
  peer_fini (&s);
}

/* Of those that nobody has sent again the oldest makes room. */
static void
the_oldest_makes_room (void)
{
  uint32_t xid[2];
  struct peer s;
  size_t n;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  for (unsigned i = 0; i < PROTO_REQUESTS; i++) {
    CU_ASSERT_EQUAL (submit (&s, 1000 + i, IO_WRITE, 0, 0, 4096), ERR_OK);
    xid[i % 2] = next_xid (&s, &n);
  }
  peer_close (&s);
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  for (unsigned i = 0; i < PROTO_REQUESTS - 2; i++)
    CU_ASSERT_EQUAL (submit (&s, 5000 + i, IO_WRITE, 0, 0, 4096), ERR_OK);
  for (unsigned i = 0; i < PROTO_REQUESTS - 2; i++)
    next_xid (&s, &n);
  for (unsigned i = 0; i < 2; i++) {
    CU_ASSERT_EQUAL (submit (&s, 1000 + PROTO_REQUESTS - 2 + i, IO_WRITE, 0, 0,
                             4096),
                     ERR_OK);
    CU_ASSERT_EQUAL (next_xid (&s, &n), xid[i]);
  }
  peer_fini (&s);
}

/* Whatever the identity page says, no two calls under way have the same. */
static void
two_calls_have_two_xids (void)
{
  uint32_t read, write;
  struct wirebuf b;
  struct peer s;
  size_t n;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_READ, 0, 0, 4096), ERR_OK);
  read = next_xid (&s, &n);
  b = wirebuf_init (s.identity + NFS_IDENTITY_OWN, 16);
  wirebuf_u64 (&b, 2); /* tag */
  wirebuf_u32 (&b, read);
  wirebuf_u32 (&b, 4096);
  CU_ASSERT_EQUAL (submit (&s, 2, IO_WRITE, 0, 0, 4096), ERR_OK);
  write = next_xid (&s, &n);
  CU_ASSERT (n > 0 && write != read);
  answer (&s, n);
  peer_fini (&s);
}

/* A page that nobody has written, or a taken-over worker. */
static void
a_strange_identity_is_begun_anew (void)
{
  static const uint8_t moved[] = {
      NFS_MOVED_MAGIC, 3, 0xff, 0xff, 0, 0, 0, 5, 'f', 'h', 0, 1, 0, 0, 0, 0};
  struct peer s;

  for (unsigned i = 0; i < 3; i++) {
    peer_init (&s, "");
    memset (s.identity, i == 0 ? 0xff : 0x41, sizeof s.identity);
    if (i == 2) /* as if mountd had led here, with more path than there is */
      s.moved_bytes = sizeof moved;
    memcpy (s.moved, moved, sizeof moved);
    CU_ASSERT_EQUAL (peer_start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (s.moves, 3);
    peer_fini (&s);
  }
}

/* ---------------------------------------------------------- what is said ---
 */

static void
says_who_asks (void)
{
  static const uint32_t wanted[] = {70000, 80000, 3, 5, 6, 4294967295u};
  struct peer s;
  uint32_t machine;
  size_t n;

  peer_init (&s, "");
  s.params[2] = "uid";
  s.params[3] = "70000";
  s.params[4] = "gid";
  s.params[5] = "80000";
  s.params[6] = "groups";
  s.params[7] = "5,6,4294967295";
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_READ, 0, 0, 4096), ERR_OK);
  n = peer_call (&s);
  CU_ASSERT_FATAL (n > 100);
  CU_ASSERT_EQUAL (word (s.call + 24), 1); /* AUTH_SYS */
  machine = word (s.call + 36);
  for (unsigned i = 0; i < 6; i++)
    CU_ASSERT_EQUAL (word (s.call + 40 + (machine + 3) / 4 * 4 + 4 * i),
                     wanted[i]);
  peer_fini (&s);

  peer_init (&s, "");
  s.params[2] = "sec";
  s.params[3] = "none";
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (s.server.last_flavor, 0);
  peer_fini (&s);
}

/* FUA is FILE_SYNC; COMMIT is of the whole file (§3.3.21: count 0). */
static void
says_how_stable (void)
{
  struct proto_completion w, c;
  struct peer s;
  size_t n;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  for (uint32_t fua = 0; fua < 2; fua++) {
    CU_ASSERT_EQUAL (submit (&s, 1, IO_WRITE, fua ? IO_FUA : 0, 0, 4), ERR_OK);
    n = peer_call (&s);
    CU_ASSERT_EQUAL (word (s.call + n - 12), fua ? 2 : 0);
    answer (&s, n);
    CU_ASSERT (nfs_ops.reap (s.p, &w));
  }
  CU_ASSERT_EQUAL (submit (&s, 2, IO_FLUSH, 0, 0, 0), ERR_OK);
  n = peer_call (&s);
  for (unsigned i = 0; i < 12; i++)
    CU_ASSERT_EQUAL (s.call[n - 1 - i], 0);
  answer (&s, n);
  CU_ASSERT (nfs_ops.reap (s.p, &c));

  /* A server that commits more than it was asked to. */
  for (uint32_t how = 1; how < 3; how++) {
    s.server.committed_how = how;
    w = peer_do (&s, IO_WRITE, 0, 0, 4096, data);
    c = peer_do (&s, IO_FLUSH, 0, 0, 0, NULL);
    CU_ASSERT_EQUAL (w.error | c.error, ERR_OK);
    CU_ASSERT (memcmp (w.token, c.token, sizeof c.token) == 0);
  }
  /* What has failed proves nothing. */
  s.server.status = 5;
  c = peer_do (&s, IO_FLUSH, 0, 0, 0, NULL);
  CU_ASSERT_EQUAL (c.error, ERR_IO);
  for (unsigned i = 0; i < sizeof c.token; i++)
    CU_ASSERT_EQUAL (c.token[i], 0);
  peer_fini (&s);
}

/* Of whom STARTTLS is asked: nobody but portmap is spoken to without it. */
static void
asks_each_program_for_tls (void)
{
  uint8_t hello[PROTO_HELLO_BYTES];
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL (peer_open (&s), ERR_OK);
  CU_ASSERT (nfs_ops.hello (s.p, hello) > 0);
  CU_ASSERT_EQUAL (word (hello + 16), 100003);
  while (!peer_move (&s))
    peer_answer (&s);
  CU_ASSERT_EQUAL (s.want.port, 111);
  CU_ASSERT_EQUAL (nfs_ops.hello (s.p, hello), 0);
  while (!peer_move (&s))
    peer_answer (&s);
  CU_ASSERT (nfs_ops.hello (s.p, hello) > 0);
  CU_ASSERT_EQUAL (word (hello + 16), 100005);
  while (!peer_move (&s))
    peer_answer (&s);
  CU_ASSERT (nfs_ops.hello (s.p, hello) > 0);
  CU_ASSERT_EQUAL (word (hello + 16), 100003);
  CU_ASSERT_EQUAL (word (hello + 20), 3);
  peer_fini (&s);
}

static void
takes_only_what_was_offered (void)
{
  struct peer s;

  peer_init (&s, "");
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_READ, 0, 0, NFS_IO_MAX_BYTES + 1),
                   ERR_INVAL);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_READ, 0, 0, 0), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_READ, 0, (1 << 20) - 100, 200), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_WRITE, 0, UINT64_MAX - 9, 10), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_TRIM, 0, 0, 4096), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_STATUS, 0, 0, 4096), ERR_INVAL);
  peer_fini (&s);

  peer_init (&s, "");
  s.server.access = 1;
  CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_WRITE, 0, 0, 4096), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_READ, IO_FUA, 0, 4096), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_FLUSH, 0, 0, 0), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (&s, 1, IO_READ, 0, 0, 4096), ERR_OK);
  peer_fini (&s);
}

/* ------------------------------------------------------------ odd servers ---
 */

static void
handles_that_are_none_any_more (void)
{
  static const struct {
    uint32_t status;
    const char *words;
  } cases[] = {{70, "NFS3ERR_STALE"}, {10001, "NFS3ERR_BADHANDLE"}};

  for (unsigned i = 0; i < 2; i++) {
    struct peer s;

    peer_init (&s, "");
    CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
    s.server.status = cases[i].status;
    CU_ASSERT_EQUAL (peer_do (&s, IO_READ, 0, 0, 4096, data).error, ERR_CLOSED);
    CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
    CU_ASSERT_PTR_NOT_NULL (
        strstr (nfs_ops.fault (s.p)->text, cases[i].words));
    s.server.status = 0; /* and the next session finds the file */
    peer_close (&s);
    CU_ASSERT_EQUAL (peer_start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (peer_do (&s, IO_READ, 0, 0, 4096, data).error, ERR_OK);
    peer_fini (&s);
  }
}

static void
a_jukebox_is_not_waited_for_for_ever (void)
{
  uint64_t from_ns;
  struct peer s;

  peer_init (&s, "");
  s.server.jukebox = 1u << 30;
  from_ns = s.now_ns;
  CU_ASSERT_EQUAL (peer_start (&s), PROTO_FAILED);
  CU_ASSERT_EQUAL (nfs_ops.fault (s.p)->code, ERR_TIMEOUT);
  CU_ASSERT_PTR_NOT_NULL (strstr (nfs_ops.fault (s.p)->text, "JUKEBOX"));
  /* While the worker may still say so. */
  CU_ASSERT (s.now_ns - from_ns < PROTO_START_NS);
  peer_fini (&s);
}

static bool
only_kerberos (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (word (s->call + 12) == 100005 && word (s->call + 20) == 1)
    put_word (reply + *bytes - 8, 390003);
  return true;
}

static bool
small_files (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (word (s->call + 12) == 100003 && word (s->call + 20) == 19) {
    put_word (reply + *bytes - 20, 0);
    put_word (reply + *bytes - 16, 1 << 20);
  }
  return true;
}

static void
what_mountd_says (void)
{
  struct peer s;

  /* /srv is exported, and /srv/export is no directory above this. */
  peer_init (&s, "/srv/exportdir/disk.img");
  fails_with (&s, ERR_NOENT, "mountd refuses /srv:", "");
  peer_init (&s, "");
  s.tamper = only_kerberos;
  fails_with (&s, ERR_AUTH, "auth_flavors, RFC 1813 §5.2.1", "");
  peer_init (&s, "");
  s.server.mount_status = 13;
  fails_with (&s, ERR_ACCESS, "mountd refuses", "\"insecure\"");
  peer_init (&s, "");
  s.server.mount_status = 1;
  fails_with (&s, ERR_ACCESS, "mountd refuses", "\"insecure\"");
  peer_init (&s, "");
  s.tamper = small_files;
  s.params[2] = "resize";
  s.params[3] = "2M";
  fails_with (&s, ERR_NOSPC, "maxfilesize, RFC 1813 §3.3.19", "");
  peer_init (&s, "");
  s.params[2] = "exclusive"; /* which version 3 has not */
  s.params[3] = "yes";
  fails_with (&s, ERR_VERSION, "versions 3 to 3", "");
}

/* A server that wants a port below 1024, as an error of the call itself. */
static void
what_the_server_denies (void)
{
  static const uint8_t too_weak[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1,
                                     0, 0, 0, 5, 0, 0, 0, 0};

  for (size_t n = sizeof too_weak; n >= sizeof too_weak - 4; n -= 4) {
    bool longer = n == sizeof too_weak;
    struct peer s;

    peer_init (&s, "");
    CU_ASSERT_EQUAL_FATAL (peer_start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (submit (&s, 1, IO_READ, 0, 0, 4096), ERR_OK);
    CU_ASSERT (peer_call (&s) > 0);
    memcpy (s.reply, s.call, 4);
    memcpy (s.reply + 4, too_weak, n);
    CU_ASSERT_EQUAL (peer_record (&s, s.reply, 4 + n),
                     longer ? ERR_PEER : ERR_AUTH);
    CU_ASSERT_PTR_NOT_NULL (
        strstr (nfs_ops.fault (s.p)->text,
                longer ? "RFC 5531 §9: bytes behind" : "AUTH_TOOWEAK"));
    if (!longer)
      CU_ASSERT_PTR_NOT_NULL (
          strstr (nfs_ops.fault (s.p)->hint, "\"insecure\""));
    peer_fini (&s);
  }
}

UNIT_MAIN ("nfs v3 calls", UNIT_TEST (a_jukebox_is_asked_by_another_xid),
           UNIT_TEST (a_replay_has_the_xid_of_each_piece),
           UNIT_TEST (other_pieces_are_no_replay),
           UNIT_TEST (what_is_under_way_keeps_its_xid),
           UNIT_TEST (the_oldest_makes_room),
           UNIT_TEST (two_calls_have_two_xids),
           UNIT_TEST (a_strange_identity_is_begun_anew),
           UNIT_TEST (says_who_asks), UNIT_TEST (says_how_stable),
           UNIT_TEST (asks_each_program_for_tls),
           UNIT_TEST (takes_only_what_was_offered),
           UNIT_TEST (handles_that_are_none_any_more),
           UNIT_TEST (a_jukebox_is_not_waited_for_for_ever),
           UNIT_TEST (what_mountd_says), UNIT_TEST (what_the_server_denies))
