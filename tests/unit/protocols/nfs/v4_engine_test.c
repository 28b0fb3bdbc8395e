/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv4.1 and 4.2 against the fake server: sessions that go on, are lost, or
 * are another one's; each error with the recovery that RFC 8881 asks for.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/listing.h"
#include "protocols/nfs/dialect.h"
#include "tests/fake/nfs4.h"
#include "tests/unit/protocols/nfs/peer.h"
#include "tests/unit/unit.h"

#define SIZE (1u << 20)
/* nfs_opnum4 */
enum { ACCESS = 3, CLOSE = 4, COMMIT = 5, DELEGRETURN = 8, GETATTR = 9,
       LOOKUP = 15, OPEN = 18, PUTFH = 22, READ = 25, WRITE = 38, BIND = 41,
       EXCHANGE_ID = 42, CREATE_SESSION = 43, DESTROY_SESSION = 44,
       FREE_STATEID = 45, SEQUENCE = 53, TEST_STATEID = 55,
       DESTROY_CLIENTID = 57, RECLAIM_COMPLETE = 58, ALLOCATE = 59,
       DEALLOCATE = 62, SEEK = 69 };

static struct fake_nfs4 server;
static uint64_t next_tag = 1;

static void
begin (struct peer *s)
{
  fake_nfs4_init (&server, SIZE);
  peer_init (s, FAKE4_PATH);
  s->params[2] = "client-id";
  s->params[3] = "here";
}

static void
end (struct peer *s)
{
  peer_fini (s);
  fake_nfs4_fini (&server);
}

/* Answers all there is; false: nothing was there. */
static bool
answer (struct peer *s)
{
  bool any = false;
  size_t n, bytes;

  while (nfs_ops.state (s->p) != PROTO_FAILED && (n = peer_call (s)) > 0) {
    any = true;
    bytes = fake_nfs4_answer (&server, s->call, n, s->reply,
                              PEER_RECORD_BYTES);
    CU_ASSERT_FATAL (bytes > 0);
    if (!s->tamper || s->tamper (s, s->reply, &bytes))
      peer_record (s, s->reply, bytes);
  }
  return any;
}

static void
sleep_once (struct peer *s)
{
  uint64_t at = nfs_ops.deadline_ns (s->p);

  CU_ASSERT_FATAL (at != PROTO_NO_DEADLINE);
  if (at > s->now_ns)
    s->now_ns = at;
  nfs_ops.tick (s->p, s->now_ns);
}

static enum proto_state
start (struct peer *s)
{
  if (!s->p && peer_open (s))
    return PROTO_FAILED;
  for (unsigned i = 0; i < 500 && nfs_ops.state (s->p) == PROTO_STARTING; i++)
    if (!answer (s))
      sleep_once (s);
  return nfs_ops.state (s->p);
}

static enum err
submit (struct peer *s, uint64_t tag, enum io_op op, uint32_t flags,
        uint64_t offset, uint32_t length, uint8_t *data)
{
  struct proto_request r = {tag, tag, op, flags, offset, length, data};

  return nfs_ops.submit (s->p, &r, s->now_ns);
}

/* Until something is reaped, or the engine fails. */
static struct proto_completion
finish (struct peer *s)
{
  struct proto_completion c = {.error = ERR_CLOSED};

  for (unsigned i = 0; i < 500 && nfs_ops.state (s->p) == PROTO_READY; i++) {
    if (nfs_ops.reap (s->p, &c))
      return c;
    if (!answer (s))
      sleep_once (s);
  }
  return c;
}

static struct proto_completion
request (struct peer *s, enum io_op op, uint32_t flags, uint64_t offset,
         uint32_t length, uint8_t *data)
{
  CU_ASSERT_EQUAL (submit (s, next_tag++, op, flags, offset, length, data),
                   ERR_OK);
  return finish (s);
}

/* The calls go to the server; its answers are lost with the connection. */
static void
lose_answers (struct peer *s, bool arrive)
{
  size_t n;

  while ((n = peer_call (s)) > 0)
    if (arrive)
      fake_nfs4_answer (&server, s->call, n, s->reply, PEER_RECORD_BYTES);
  peer_close (s);
}

static uint8_t data[1 << 17], back[1 << 17];

static void
fill (unsigned seed)
{
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (uint8_t)(i * 31 + seed + 1);
}

/* Writes a block and reads it back; the session works. */
static void
works (struct peer *s, unsigned seed)
{
  fill (seed);
  CU_ASSERT_EQUAL (request (s, IO_WRITE, 0, 8192, 4096, data).error, ERR_OK);
  CU_ASSERT_EQUAL (request (s, IO_READ, 0, 8192, 4096, back).error, ERR_OK);
  CU_ASSERT_EQUAL (memcmp (data, back, 4096), 0);
}

static bool
fault_says (struct peer *s, const char *words)
{
  return strstr (nfs_ops.fault (s->p)->text, words);
}

/* ---------------------------------------------------------------- start --- */

static void
takes_the_best_version (void)
{
  static const char *const names[] = {"NFSv4.1", "NFSv4.2"};

  for (uint32_t minor = 1; minor <= 2; minor++) {
    struct volume_info i;
    struct peer s;

    begin (&s);
    server.minor_max = minor;
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    nfs_ops.info (s.p, &i);
    CU_ASSERT_EQUAL (i.size, SIZE);
    CU_ASSERT_EQUAL (i.change, 7);
    CU_ASSERT (volume_info_check (&i));
    CU_ASSERT_PTR_NOT_NULL (strstr (i.remarks, names[minor - 1]));
    CU_ASSERT_EQUAL (!!(i.caps & VOLUME_CAN_TRIM), minor == 2);
    CU_ASSERT_EQUAL (!!(i.caps & VOLUME_CAN_STATUS), minor == 2);
    works (&s, minor);
    end (&s);
  }
}

static void
any_fragmentation_will_do (void)
{
  static const size_t cuts[] = {1, 3, 7, 64};

  for (unsigned i = 0; i < 4; i++) {
    struct peer s;

    begin (&s);
    s.cut_bytes = cuts[i];
    s.fragment_bytes = i % 2 ? 100 : 0;
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    works (&s, i);
    fill (9);
    CU_ASSERT_EQUAL (request (&s, IO_WRITE, 0, 5, 100001, data).error, ERR_OK);
    CU_ASSERT_EQUAL (request (&s, IO_READ, 0, 5, 100001, back).error, ERR_OK);
    CU_ASSERT_EQUAL (memcmp (data, back, 100001), 0);
    end (&s);
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

    begin (&s);
    s.params[0] = "path";
    s.params[1] = cases[i].path;
    s.params[4] = "version";
    s.params[5] = "4.2";
    server.fail_op = cases[i].op;
    server.fail_status = cases[i].status;
    server.fail_times = cases[i].op ? 1000 : 0;
    CU_ASSERT_EQUAL (start (&s), PROTO_FAILED);
    CU_ASSERT (fault_says (&s, cases[i].words));
    end (&s);
  }
}

static void
no_file_is_larger_than_a_volume (void)
{
  struct peer s;

  begin (&s);
  server.size = UINT64_MAX;
  CU_ASSERT_EQUAL (start (&s), PROTO_FAILED);
  CU_ASSERT (fault_says (&s, "fattr4_size"));
  server.size = SIZE;
  end (&s);
}

static void
opens_what_it_may (void)
{
  struct volume_info i;
  struct peer s;

  begin (&s);
  server.access = 1; /* READ */
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT (!(i.caps & VOLUME_CAN_WRITE));
  CU_ASSERT (i.readonly_why[0]);
  CU_ASSERT_EQUAL (request (&s, IO_READ, 0, 0, 4096, back).error, ERR_OK);
  end (&s);

  begin (&s);
  server.fail_op = OPEN; /* ACCESS was too hopeful */
  server.fail_status = 30;
  server.fail_times = 1;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT (!(i.caps & VOLUME_CAN_WRITE));
  CU_ASSERT_PTR_NOT_NULL (strstr (i.readonly_why, "NFS4ERR_ROFS"));
  end (&s);
}

static void
gives_a_delegation_back (void)
{
  struct peer s;

  begin (&s);
  server.delegates = true;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (server.executed[DELEGRETURN], 1);
  works (&s, 1);
  end (&s);
}

static void
lists_a_directory (void)
{
  struct volume_info i;
  struct listing_entry entry;
  bool broken = false;
  size_t at = 0;
  struct peer s;

  begin (&s);
  s.params[1] = "/dir/";
  s.params[4] = "list";
  s.params[5] = "yes";
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT_EQUAL (i.caps, VOLUME_IS_LIST);
  CU_ASSERT_EQUAL (
      request (&s, IO_READ, 0, 0, (uint32_t)i.size, back).error, ERR_OK);
  CU_ASSERT (listing_next (back, i.size, &at, &entry, &broken));
  CU_ASSERT_STRING_EQUAL (entry.name, "sub");
  CU_ASSERT (listing_next (back, i.size, &at, &entry, &broken));
  CU_ASSERT_STRING_EQUAL (entry.name, "disk.img");
  CU_ASSERT_EQUAL (entry.size, SIZE);
  CU_ASSERT (!listing_next (back, i.size, &at, &entry, &broken));
  end (&s);
}

/* ------------------------------------------------------------- requests --- */

static void
stability_is_the_servers_word (void)
{
  struct proto_completion w, f, g;
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  fill (1);
  w = request (&s, IO_WRITE, 0, 0, 65536 * 2, data); /* two pieces */
  f = request (&s, IO_FLUSH, 0, 0, 0, NULL);
  CU_ASSERT_EQUAL (w.error, ERR_OK);
  CU_ASSERT_EQUAL (f.error, ERR_OK);
  CU_ASSERT_EQUAL (memcmp (w.token, f.token, IO_TOKEN_BYTES), 0);
  CU_ASSERT_EQUAL (memcmp (server.committed, data, 65536 * 2), 0);
  w = request (&s, IO_TRIM, 0, 4096, 4096, NULL);
  CU_ASSERT_EQUAL (memcmp (w.token, f.token, IO_TOKEN_BYTES), 0);
  CU_ASSERT_EQUAL (server.committed[4096], data[4096]); /* not yet */
  w = request (&s, IO_TRIM, IO_FUA, 4096, 4096, NULL);
  CU_ASSERT_EQUAL (server.committed[4096], 0);
  server.boot++; /* another verifier, without a restart */
  g = request (&s, IO_FLUSH, 0, 0, 0, NULL);
  CU_ASSERT (g.error || memcmp (g.token, f.token, IO_TOKEN_BYTES) != 0);
  end (&s);
}

static void
fua_is_file_sync (void)
{
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  fill (3);
  CU_ASSERT_EQUAL (request (&s, IO_WRITE, IO_FUA, 512, 1024, data).error,
                   ERR_OK);
  CU_ASSERT_EQUAL (memcmp (server.committed + 512, data, 1024), 0);
  CU_ASSERT_EQUAL (server.executed[COMMIT], 0);
  end (&s);
}

static void
holes_are_told (void)
{
  struct io_extent *e = (struct io_extent *)(void *)back;
  struct proto_completion c;
  struct peer s;

  begin (&s);
  memset (server.content + 8192, 1, 8192);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  c = request (&s, IO_STATUS, 0, 0, SIZE, back);
  CU_ASSERT (!c.error && c.extents == 1 && e->length == 8192);
  CU_ASSERT_EQUAL (e->flags, IO_EXTENT_HOLE | IO_EXTENT_ZERO);
  c = request (&s, IO_STATUS, 0, 10000, SIZE - 10000, back);
  CU_ASSERT (!c.error && c.extents == 1 && e->length == 16384 - 10000);
  CU_ASSERT_EQUAL (e->flags, 0);
  c = request (&s, IO_STATUS, 0, 16384, 65536, back); /* and nothing behind */
  CU_ASSERT (!c.error && c.extents == 1 && e->length == 65536);
  CU_ASSERT_EQUAL (e->flags, IO_EXTENT_HOLE | IO_EXTENT_ZERO);
  memset (server.content, 1, SIZE);
  c = request (&s, IO_STATUS, 0, 4096, SIZE - 4096, back);
  CU_ASSERT (!c.error && c.extents == 1 && e->length == SIZE - 4096);
  CU_ASSERT_EQUAL (e->flags, 0);
  end (&s);
}

static bool
seek_raced (struct peer *s, uint8_t *reply, size_t *bytes)
{
  (void)s;
  /* SEEK is the last result: resop, status, sr_eof, sr_offset */
  for (unsigned i = 0; i < 8; i++)
    reply[*bytes - 8 + i] = (uint8_t)(4096ull >> 8 * (7 - i));
  return true;
}

/* Somebody writes between the SEEK for a hole and the one for data. */
static void
a_write_between_two_seeks (void)
{
  struct io_extent *e = (struct io_extent *)(void *)back;
  struct proto_completion c;
  struct peer s;

  begin (&s);
  memset (server.content + 8192, 1, 8192);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  s.tamper = seek_raced;
  c = request (&s, IO_STATUS, 0, 4096, 65536, back);
  s.tamper = NULL;
  CU_ASSERT (!c.error && c.extents == 1 && e->length == 65536);
  CU_ASSERT_EQUAL (e->flags, 0);
  works (&s, 1);
  end (&s);
}

static void
zero_and_trim (void)
{
  struct volume_info i;
  unsigned allocated;
  struct peer s;

  begin (&s);
  memset (server.content, 1, SIZE);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  allocated = server.executed[ALLOCATE]; /* as a probe */
  CU_ASSERT_EQUAL (request (&s, IO_TRIM, 0, 0, 65536, NULL).error, ERR_OK);
  CU_ASSERT_EQUAL (server.executed[ALLOCATE], allocated);
  CU_ASSERT_EQUAL (
      request (&s, IO_ZERO, IO_NO_HOLE, 65536, 65536, NULL).error, ERR_OK);
  CU_ASSERT (server.executed[ALLOCATE] > allocated);
  CU_ASSERT (server.content[0] == 0 && server.content[131071] == 0
             && server.content[131072] == 1);
  /* a server that takes no WRITE of no bytes */
  server.no_empty_write = true;
  CU_ASSERT_EQUAL (request (&s, IO_TRIM, 0, 131072, 4096, NULL).error, ERR_OK);
  CU_ASSERT_EQUAL (server.content[131072], 0);
  CU_ASSERT (server.executed[COMMIT] > 0);
  end (&s);

  begin (&s);
  server.no_sparse = true;
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  nfs_ops.info (s.p, &i);
  CU_ASSERT_EQUAL (i.caps
                       & (VOLUME_CAN_TRIM | VOLUME_CAN_ZERO | VOLUME_CAN_STATUS),
                   0);
  works (&s, 4);
  end (&s);
}

static void
errors_of_requests_are_theirs (void)
{
  static const struct {
    uint32_t status;
    enum err err;
  } cases[] = {{28, ERR_NOSPC}, {69, ERR_NOSPC}, {30, ERR_ROFS},
               {13, ERR_ACCESS}, {5, ERR_IO}, {2, ERR_IO}, {22, ERR_IO}};
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    server.fail_op = WRITE;
    server.fail_status = cases[i].status;
    server.fail_times = 1;
    CU_ASSERT_EQUAL (request (&s, IO_WRITE, 0, 0, 512, data).error,
                     cases[i].err);
  }
  works (&s, 5);
  end (&s);
}

/* -------------------------------------------------------------- recovery --- */

/* Each error, of each operation, in the middle of things. */
static void
every_error_is_mended (void)
{
  static const struct {
    uint32_t op, status;
    unsigned times;
    uint32_t mended_by; /* was executed once more than before */
  } cases[] = {
      {WRITE, 10008, 3, 0},                /* DELAY */
      {WRITE, 10013, 3, 0},                /* GRACE */
      {SEQUENCE, 10008, 3, 0},             /* DELAY */
      {SEQUENCE, 10052, 1, CREATE_SESSION}, /* BADSESSION */
      {SEQUENCE, 10078, 1, CREATE_SESSION}, /* DEADSESSION */
      {SEQUENCE, 10053, 1, DESTROY_SESSION}, /* BADSLOT */
      {SEQUENCE, 10063, 1, DESTROY_SESSION}, /* SEQ_MISORDERED */
      {SEQUENCE, 10077, 1, CREATE_SESSION}, /* BAD_HIGH_SLOT */
      {SEQUENCE, 10055, 1, BIND},          /* CONN_NOT_BOUND_TO_SESSION */
      {SEQUENCE, 10022, 1, EXCHANGE_ID},   /* STALE_CLIENTID */
      {PUTFH, 70, 1, LOOKUP},              /* STALE */
      {PUTFH, 10014, 1, LOOKUP},           /* FHEXPIRED */
      {PUTFH, 10001, 1, LOOKUP},           /* BADHANDLE */
      {WRITE, 10025, 1, TEST_STATEID},     /* BAD_STATEID */
      {WRITE, 10025, 2, OPEN},             /* though it tests well */
      {WRITE, 10024, 1, TEST_STATEID},     /* OLD_STATEID */
      {WRITE, 10011, 2, OPEN},             /* EXPIRED */
      {WRITE, 10023, 2, OPEN},             /* STALE_STATEID */
      {WRITE, 10047, 2, OPEN},             /* ADMIN_REVOKED */
      {WRITE, 10068, 1, 0},                /* RETRY_UNCACHED_REP */
      {SEQUENCE, 10076, 1, 0},             /* SEQ_FALSE_RETRY */
  };

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    unsigned before;
    struct peer s;

    begin (&s);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    works (&s, 1);
    before = server.executed[cases[i].mended_by];
    server.fail_op = cases[i].op;
    server.fail_status = cases[i].status;
    server.fail_times = cases[i].times;
    /* SEQ_FALSE_RETRY: the server thinks that this number was there already,
     * so that the next one is the one after it.
     */
    if (cases[i].status == 10076)
      for (unsigned k = 0; k < FAKE4_SESSIONS; k++)
        server.session[k].slot[1].sequenceid++;
    fill (i);
    CU_ASSERT_EQUAL (request (&s, IO_WRITE, 0, 8192, 4096, data).error,
                     ERR_OK);
    CU_ASSERT_EQUAL (memcmp (server.content + 8192, data, 4096), 0);
    CU_ASSERT_EQUAL (server.fail_times, 0);
    if (cases[i].mended_by)
      CU_ASSERT (server.executed[cases[i].mended_by] > before);
    works (&s, i);
    end (&s);
  }
}

/* … and not for ever. */
static void
mending_ends (void)
{
  static const struct {
    uint32_t op, status;
  } cases[] = {{WRITE, 10025}, {SEQUENCE, 10052}, {PUTFH, 70},
               {SEQUENCE, 10063}, {EXCHANGE_ID, 10008}};

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer s;

    begin (&s);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    server.fail_op = cases[i].op;
    server.fail_status = cases[i].status;
    server.fail_times = 100000;
    if (cases[i].op == EXCHANGE_ID)
      fake_nfs4_expire (&server);
    request (&s, IO_WRITE, 0, 8192, 4096, data);
    CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
    end (&s);
  }
}

static void
a_delay_is_bounded (void)
{
  struct proto_completion c;
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  server.fail_op = WRITE;
  server.fail_status = 10008;
  server.fail_times = 100000;
  c = request (&s, IO_WRITE, 0, 0, 4096, data);
  CU_ASSERT_EQUAL (c.error, ERR_TIMEOUT);
  server.fail_times = 0;
  works (&s, 1);
  end (&s);
}

/* Nor is what was executed without an answer asked anew for ever. */
static void
asking_anew_is_bounded (void)
{
  static const uint32_t ops[] = {WRITE, SEQUENCE};
  struct proto_completion c;
  struct peer s;

  for (unsigned i = 0; i < 2; i++) {
    begin (&s);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    server.fail_op = ops[i];
    server.fail_status = 10068; /* RETRY_UNCACHED_REP */
    server.fail_times = 100000;
    CU_ASSERT_EQUAL (submit (&s, 1, IO_WRITE, 0, 0, 4096, data), ERR_OK);
    c = finish (&s);
    /* the renewal of the lease comes first where SEQUENCE fails */
    CU_ASSERT (i ? nfs_ops.state (s.p) == PROTO_FAILED
                 : c.error == ERR_TIMEOUT);
    CU_ASSERT (server.fail_times > 99900);
    end (&s);
  }
  begin (&s);
  server.fail_op = OPEN;
  server.fail_status = 10068;
  server.fail_times = 100000;
  CU_ASSERT_EQUAL (start (&s), PROTO_FAILED);
  CU_ASSERT (fault_says (&s, "RETRY_UNCACHED_REP"));
  end (&s);
}

static void
a_restarted_server_gives_back_what_was_open (void)
{
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  works (&s, 1);
  fake_nfs4_reboot (&server);
  server.grace = true;
  memset (server.executed, 0, sizeof server.executed);
  peer_close (&s); /* as the connection broke */
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (server.executed[OPEN], 1);
  CU_ASSERT_EQUAL (server.executed[RECLAIM_COMPLETE], 1);
  works (&s, 2);
  /* The next one comes too late to reclaim, and waits. */
  fake_nfs4_reboot (&server);
  memset (server.executed, 0, sizeof server.executed);
  server.fail_op = OPEN;
  server.fail_status = 10013;
  server.fail_times = 5;
  works (&s, 3); /* in the same connection: BADSESSION */
  CU_ASSERT_EQUAL (server.fail_times, 0);
  CU_ASSERT (server.executed[OPEN] > 0);
  end (&s);
}

static void
an_expired_lease_is_no_end (void)
{
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  fake_nfs4_expire (&server);
  works (&s, 1);
  end (&s);
}

static void
another_file_is_not_taken_for_it (void)
{
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  server.generation++; /* the old handle is stale */
  server.fileid++;
  request (&s, IO_READ, 0, 0, 4096, back);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (fault_says (&s, "replaced"));
  end (&s);

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  server.size /= 2;
  request (&s, IO_READ, 0, SIZE - 4096, 4096, back);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (fault_says (&s, "shorter"));
  server.size = SIZE;
  end (&s);
}

static void
the_lease_is_renewed (void)
{
  unsigned before;
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < 5; i++) {
    uint64_t at = nfs_ops.deadline_ns (s.p);

    CU_ASSERT (at <= s.now_ns + 45000000000u);
    before = server.executed[SEQUENCE];
    sleep_once (&s);
    answer (&s);
    CU_ASSERT_EQUAL (server.executed[SEQUENCE], before + 1);
  }
  server.status_flags = 0x20; /* ADMIN_STATE_REVOKED: once is enough */
  before = server.executed[TEST_STATEID];
  for (unsigned i = 0; i < 9; i++) {
    sleep_once (&s);
    answer (&s);
  }
  CU_ASSERT_EQUAL (server.executed[TEST_STATEID], before + 1);
  works (&s, 1);
  end (&s);
}

/* A server that is busy is asked again, each time anew for as long. */
static void
a_delayed_renewal_is_sent_again (void)
{
  unsigned before;
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  for (unsigned i = 0; i < 40; i++) {
    before = server.executed[SEQUENCE];
    server.fail_op = SEQUENCE;
    server.fail_status = 10008; /* DELAY */
    server.fail_times = 3;
    for (unsigned k = 0; k < 20 && server.executed[SEQUENCE] == before; k++) {
      sleep_once (&s);
      answer (&s);
    }
    CU_ASSERT_EQUAL (server.fail_times, 0);
    CU_ASSERT_EQUAL (server.executed[SEQUENCE], before + 1);
    CU_ASSERT_EQUAL_FATAL (nfs_ops.state (s.p), PROTO_READY);
  }
  works (&s, 1);
  end (&s);
}

static void
no_answer_is_noticed (void)
{
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  sleep_once (&s); /* renews */
  while (peer_call (&s))
    ;
  sleep_once (&s);
  CU_ASSERT_EQUAL (nfs_ops.state (s.p), PROTO_FAILED);
  CU_ASSERT (fault_says (&s, "no answer"));
  end (&s);
}

/* --------------------------------------------------------- exactly once --- */

static void
a_write_is_executed_once (void)
{
  for (unsigned arrived = 0; arrived < 2; arrived++) {
    unsigned before;
    struct peer s;

    begin (&s);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    works (&s, 1);
    before = server.executed[WRITE];
    fill (2);
    CU_ASSERT_EQUAL (submit (&s, 1000, IO_WRITE, 0, 4096, 4096, data), ERR_OK);
    lose_answers (&s, arrived);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (submit (&s, 1000, IO_WRITE, 0, 4096, 4096, data), ERR_OK);
    CU_ASSERT_EQUAL (finish (&s).error, ERR_OK);
    CU_ASSERT_EQUAL (server.executed[WRITE], before + 1);
    CU_ASSERT_EQUAL (server.replays, arrived);
    CU_ASSERT_EQUAL (memcmp (server.content + 4096, data, 4096), 0);
    CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 1);
    works (&s, 3);
    end (&s);
  }
}

/* A READ's answer is not kept: RETRY_UNCACHED_REP, and asked anew. */
static void
a_read_is_asked_anew (void)
{
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  works (&s, 1);
  CU_ASSERT_EQUAL (submit (&s, 1000, IO_READ, 0, 8192, 4096, back), ERR_OK);
  lose_answers (&s, true);
  memset (back, 0, 4096);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  CU_ASSERT_EQUAL (submit (&s, 1000, IO_READ, 0, 8192, 4096, back), ERR_OK);
  CU_ASSERT_EQUAL (finish (&s).error, ERR_OK);
  CU_ASSERT_EQUAL (memcmp (data, back, 4096), 0);
  CU_ASSERT_EQUAL (server.replays, 1);
  end (&s);
}

/* Nobody sends it again: it is over before anything overtakes it. */
static void
what_is_left_is_settled (void)
{
  for (unsigned arrived = 0; arrived < 2; arrived++) {
    unsigned writes;
    struct peer s;

    begin (&s);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    works (&s, 1);
    fill (2);
    CU_ASSERT_EQUAL (submit (&s, 1000, IO_WRITE, 0, 8192, 4096, data), ERR_OK);
    lose_answers (&s, arrived);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    fill (3);
    writes = server.executed[WRITE];
    CU_ASSERT_EQUAL (submit (&s, 1001, IO_WRITE, 0, 10000, 10, data), ERR_OK);
    CU_ASSERT_EQUAL (peer_call (&s), 0); /* it waits */
    CU_ASSERT_EQUAL (finish (&s).error, ERR_OK);
    CU_ASSERT_EQUAL (server.executed[WRITE], writes + 1);
    CU_ASSERT_EQUAL (memcmp (server.content + 10000, data, 10), 0);
    works (&s, 4);
    end (&s);
  }
}

static bool
delay_without_results (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (s->tampered == 0 || s->tampered-- == 0)
    return true;
  /* behind xid, REPLY, MSG_ACCEPTED, AUTH_NONE and SUCCESS: status, tag<> */
  memset (reply + 24, 0, 12);
  reply[26] = 10008 >> 8;
  reply[27] = 10008 & 0xff;
  *bytes = 36;
  return true;
}

/* An error that has no results settles nothing. */
static void
what_is_left_is_not_settled_by_an_error (void)
{
  unsigned writes;
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  works (&s, 1);
  fill (2);
  CU_ASSERT_EQUAL (submit (&s, 1000, IO_WRITE, 0, 8192, 4096, data), ERR_OK);
  lose_answers (&s, true);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  s.tamper = delay_without_results;
  s.tampered = 1;
  fill (3);
  writes = server.executed[WRITE];
  CU_ASSERT_EQUAL (submit (&s, 1001, IO_WRITE, 0, 10000, 10, data), ERR_OK);
  for (unsigned i = 0; i < 10 && s.tampered; i++)
    if (!answer (&s))
      sleep_once (&s);
  CU_ASSERT_EQUAL (s.tampered, 0);
  CU_ASSERT_EQUAL (server.executed[WRITE], writes); /* it waits still */
  CU_ASSERT_EQUAL (peer_call (&s), 0);
  CU_ASSERT_EQUAL (finish (&s).error, ERR_OK);
  CU_ASSERT_EQUAL (server.executed[WRITE], writes + 1);
  works (&s, 4);
  end (&s);
}

static void
any_identity_page_will_do (void)
{
  for (unsigned i = 0; i < 60; i++) {
    struct peer s;

    begin (&s);
    CU_ASSERT_EQUAL (start (&s), PROTO_READY);
    works (&s, 1);
    peer_close (&s);
    /* From the dialect's part on: the rest is the engine's. */
    srand (i);
    for (unsigned k = 0; k < 1 + i % 40; k++)
      s.identity[NFS_IDENTITY_OWN
                 + (unsigned)rand () % (i % 2 ? 256 : 4000)]
          = (uint8_t)rand ();
    if (start (&s) == PROTO_READY)
      works (&s, 2);
    end (&s);
  }
}

/* ------------------------------------------------------ several of them --- */

/* As peer_open, for the second connection or gateway of the same volume. */
static void
begin_second (struct peer *s, const struct peer *first)
{
  peer_init (s, FAKE4_PATH);
  memcpy (s->params, first->params, sizeof s->params);
  s->seed = 100;
}

static void
each_has_its_own_session (void)
{
  struct peer a, b;

  begin (&a);
  begin_second (&b, &a);
  CU_ASSERT_EQUAL (start (&a), PROTO_READY);
  CU_ASSERT_EQUAL (start (&b), PROTO_READY);
  works (&a, 1);
  works (&b, 2);
  CU_ASSERT_EQUAL (server.executed[CREATE_SESSION], 2);
  CU_ASSERT_EQUAL (a.identity[0], b.identity[0]);
  nfs_ops.leave (a.p, a.now_ns);
  answer (&a);
  works (&b, 3);
  peer_fini (&a);
  end (&b);
}

/* Both ask for a session with the same sequence id; the second is given the
 * first one's (§18.36.4), notices, and asks again.
 */
static void
a_session_of_another_one_is_not_used (void)
{
  struct peer a, b;
  size_t n;

  begin (&a);
  a.params[4] = "exclusive";
  a.params[5] = "yes";
  begin_second (&b, &a);
  CU_ASSERT_EQUAL (start (&a), PROTO_READY); /* the client is confirmed */
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
  CU_ASSERT_EQUAL (start (&b), PROTO_READY);
  CU_ASSERT_EQUAL (start (&a), PROTO_READY);
  CU_ASSERT (memcmp (a.identity + NFS_IDENTITY_OWN + 24,
                     b.identity + NFS_IDENTITY_OWN + 24, 16)
             != 0);
  works (&a, 1);
  works (&b, 2);
  works (&a, 3);
  peer_fini (&a);
  end (&b);
}

static void
exclusive_denies_other_writers (void)
{
  struct peer a, b;

  begin (&a);
  a.params[4] = "exclusive";
  a.params[5] = "yes";
  begin_second (&b, &a);
  CU_ASSERT_EQUAL (start (&a), PROTO_READY);
  CU_ASSERT_EQUAL (start (&b), PROTO_READY); /* the same client */
  peer_close (&b);
  memset (b.identity, 0, sizeof b.identity);
  b.params[3] = "elsewhere";
  CU_ASSERT_EQUAL (start (&b), PROTO_FAILED);
  CU_ASSERT (fault_says (&b, "SHARE_DENIED"));
  peer_fini (&b);
  end (&a);
}

static void
leaves_nothing_behind (void)
{
  struct peer s;

  begin (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY);
  works (&s, 1);
  nfs_ops.leave (s.p, s.now_ns);
  while (answer (&s))
    ;
  CU_ASSERT_EQUAL (server.executed[CLOSE], 1);
  CU_ASSERT_EQUAL (server.executed[DESTROY_SESSION], 1);
  CU_ASSERT_EQUAL (server.executed[DESTROY_CLIENTID], 1);
  for (unsigned i = 0; i < FAKE4_CLIENTS; i++)
    CU_ASSERT (!server.client[i].used);
  peer_close (&s);
  CU_ASSERT_EQUAL (start (&s), PROTO_READY); /* and begins again */
  works (&s, 2);
  end (&s);
}

/* ---------------------------------------------------------------- lies --- */

static bool
flip (struct peer *s, uint8_t *reply, size_t *bytes)
{
  if (s->tampered-- == 0 && *bytes > 24)
    reply[24 + (size_t)rand () % (*bytes - 24)] ^= (uint8_t)(1 << rand () % 8);
  return true;
}

/* Whatever one bit makes of an answer: an error, or nothing; no crash, and no
 * byte outside of what was asked for.
 */
static void
a_flipped_bit_does_no_harm (void)
{
  for (unsigned i = 0; i < 240; i++) {
    struct peer s;

    begin (&s);
    srand (i);
    s.tamper = flip;
    s.tampered = i % 16;
    memset (back, 0x5a, sizeof back);
    if (start (&s) == PROTO_READY && i % 16 > 10) {
      request (&s, IO_READ, 0, 8192, 4096, back);
      for (unsigned k = 4096; k < 8192; k++)
        CU_ASSERT_EQUAL_FATAL (back[k], 0x5a);
    }
    end (&s);
  }
}

UNIT_MAIN ("nfs v4 engine", UNIT_TEST (takes_the_best_version),
           UNIT_TEST (any_fragmentation_will_do),
           UNIT_TEST (says_what_is_wrong), UNIT_TEST (opens_what_it_may),
           UNIT_TEST (no_file_is_larger_than_a_volume),
           UNIT_TEST (gives_a_delegation_back), UNIT_TEST (lists_a_directory),
           UNIT_TEST (stability_is_the_servers_word),
           UNIT_TEST (fua_is_file_sync), UNIT_TEST (holes_are_told),
           UNIT_TEST (a_write_between_two_seeks),
           UNIT_TEST (zero_and_trim), UNIT_TEST (errors_of_requests_are_theirs),
           UNIT_TEST (every_error_is_mended), UNIT_TEST (mending_ends),
           UNIT_TEST (a_delay_is_bounded),
           UNIT_TEST (asking_anew_is_bounded),
           UNIT_TEST (a_restarted_server_gives_back_what_was_open),
           UNIT_TEST (an_expired_lease_is_no_end),
           UNIT_TEST (another_file_is_not_taken_for_it),
           UNIT_TEST (the_lease_is_renewed),
           UNIT_TEST (a_delayed_renewal_is_sent_again),
           UNIT_TEST (no_answer_is_noticed),
           UNIT_TEST (a_write_is_executed_once),
           UNIT_TEST (a_read_is_asked_anew),
           UNIT_TEST (what_is_left_is_settled),
           UNIT_TEST (what_is_left_is_not_settled_by_an_error),
           UNIT_TEST (any_identity_page_will_do),
           UNIT_TEST (each_has_its_own_session),
           UNIT_TEST (a_session_of_another_one_is_not_used),
           UNIT_TEST (exclusive_denies_other_writers),
           UNIT_TEST (leaves_nothing_behind),
           UNIT_TEST (a_flipped_bit_does_no_harm))
