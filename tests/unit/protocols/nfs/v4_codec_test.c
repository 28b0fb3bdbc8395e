/* SPDX-License-Identifier: BSD-2-Clause */
/* COMPOUNDs byte for byte as RFC 5662 and RFC 7863 lay them out, and answers
 * that are not what was asked.
 */
#include "config.h"

#include <string.h>

#include "protocols/nfs/v4_attr.h"
#include "protocols/nfs/v4_compound.h"
#include "tests/unit/unit.h"

/* Words and bytes of an expected or made-up message. */
struct words {
  uint8_t bytes[2048];
  size_t n;
};

static void
u32 (struct words *w, uint32_t v)
{
  for (int i = 3; i >= 0; i--)
    w->bytes[w->n++] = (uint8_t)(v >> (8 * i));
}

static void
u64 (struct words *w, uint64_t v)
{
  u32 (w, (uint32_t)(v >> 32));
  u32 (w, (uint32_t)v);
}

static void
raw (struct words *w, const void *p, size_t n)
{
  memcpy (w->bytes + w->n, p, n);
  w->n += n;
  while (w->n % 4)
    w->bytes[w->n++] = 0;
}

static void
opaque (struct words *w, const void *p, size_t n)
{
  u32 (w, (uint32_t)n);
  raw (w, p, n);
}

static const uint8_t session[16] = "0123456789abcde";
static const struct v4_stateid stateid = {7, "other-12byte"};
static const struct v4_fh fh = {5, "abcde"};

static uint8_t sent_bytes[2048];
static struct wirebuf sent;

static struct v4_call
call (uint32_t minor)
{
  struct v4_call c;

  sent = wirebuf_init (sent_bytes, sizeof sent_bytes);
  v4_begin (&c, &sent, minor);
  return c;
}

static struct words
compound (uint32_t minor, uint32_t operations)
{
  struct words w = {.n = 0};

  u32 (&w, 0);
  u32 (&w, minor);
  u32 (&w, operations);
  return w;
}

static bool
same (struct v4_call *c, const struct words *w)
{
  v4_end (c);
  return !sent.err && sent.used_bytes == w->n
         && memcmp (sent_bytes, w->bytes, w->n) == 0;
}

static void
put_stateid (struct words *w)
{
  u32 (w, 7);
  raw (w, "other-12byte", 12);
}

static void
session_operations_are_as_the_rfc_has_them (void)
{
  struct v4_call c = call (2);
  struct words w = compound (2, 2);
  struct v4_sequence s = {session, 9, 3, 5, true};

  v4_put_sequence (&c, &s);
  u32 (&w, 53);
  raw (&w, session, 16);
  u32 (&w, 9);
  u32 (&w, 3);
  u32 (&w, 5);
  u32 (&w, 1);
  v4_put_reclaim_complete (&c);
  u32 (&w, 58);
  u32 (&w, 0);
  CU_ASSERT (same (&c, &w));

  c = call (1);
  w = compound (1, 4);
  v4_put_bind (&c, session);
  u32 (&w, 41);
  raw (&w, session, 16);
  u32 (&w, 1); /* CDFC4_FORE */
  u32 (&w, 0);
  v4_put_destroy_session (&c, session);
  u32 (&w, 44);
  raw (&w, session, 16);
  v4_put_destroy_clientid (&c, 0x1122334455667788u);
  u32 (&w, 57);
  u64 (&w, 0x1122334455667788u);
  v4_put_stateid_op (&c, OP_FREE_STATEID, &stateid);
  u32 (&w, 45);
  put_stateid (&w);
  CU_ASSERT (same (&c, &w));
}

static void
put_channel (struct words *w, uint32_t from)
{
  for (uint32_t i = 0; i < 6; i++)
    u32 (w, from + i);
  u32 (w, 0); /* ca_rdma_ird<1> */
}

static void
client_operations_are_as_the_rfc_has_them (void)
{
  struct v4_call c = call (1);
  struct words w = compound (1, 1);
  struct v4_client_owner o = {(const uint8_t *)"VERIFIER",
                              (const uint8_t *)"owner", 5};
  struct v4_create_session s = {
      77, 3, {1, 2, 3, 4, 5, 6}, {11, 12, 13, 14, 15, 16}};

  v4_put_exchange_id (&c, &o);
  u32 (&w, 42);
  raw (&w, "VERIFIER", 8);
  opaque (&w, "owner", 5);
  u32 (&w, 0x10000); /* EXCHGID4_FLAG_USE_NON_PNFS */
  u32 (&w, 0);       /* SP4_NONE */
  u32 (&w, 0);
  CU_ASSERT (same (&c, &w));

  c = call (1);
  w = compound (1, 1);
  v4_put_create_session (&c, &s);
  u32 (&w, 43);
  u64 (&w, 77);
  u32 (&w, 3);
  u32 (&w, 0);
  put_channel (&w, 1);
  put_channel (&w, 11);
  u32 (&w, 0x40000000);
  u32 (&w, 1);
  u32 (&w, 0);
  CU_ASSERT (same (&c, &w));
}

static void
file_operations_are_as_the_rfc_has_them (void)
{
  static const uint32_t mask[2] = {0x18, 0x2};
  struct v4_call c = call (2);
  struct words w = compound (2, 8);
  struct v4_open o = {5, (const uint8_t *)"me", 2, 0x403, 2, CLAIM_FH};

  v4_put (&c, OP_PUTROOTFH);
  u32 (&w, 24);
  v4_put_putfh (&c, &fh);
  u32 (&w, 22);
  opaque (&w, "abcde", 5);
  v4_put_lookup (&c, "disk", 4);
  u32 (&w, 15);
  opaque (&w, "disk", 4);
  v4_put (&c, OP_GETFH);
  u32 (&w, 10);
  v4_put_getattr (&c, mask);
  u32 (&w, 9);
  u32 (&w, 2);
  u32 (&w, 0x18);
  u32 (&w, 0x2);
  v4_put_access (&c, 0x0d);
  u32 (&w, 3);
  u32 (&w, 0x0d);
  v4_put_open (&c, &o);
  u32 (&w, 18);
  u32 (&w, 0);
  u32 (&w, 0x403);
  u32 (&w, 2);
  u64 (&w, 5);
  opaque (&w, "me", 2);
  u32 (&w, 0);
  u32 (&w, 4);
  v4_put_stateid_op (&c, OP_CLOSE, &stateid);
  u32 (&w, 4);
  u32 (&w, 0);
  put_stateid (&w);
  CU_ASSERT (same (&c, &w));

  c = call (1);
  w = compound (1, 3);
  o.claim = CLAIM_PREVIOUS;
  v4_put_open (&c, &o);
  u32 (&w, 18);
  u32 (&w, 0);
  u32 (&w, 0x403);
  u32 (&w, 2);
  u64 (&w, 5);
  opaque (&w, "me", 2);
  u32 (&w, 0);
  u32 (&w, 1);
  u32 (&w, 0); /* OPEN_DELEGATE_NONE */
  v4_put_stateid_op (&c, OP_TEST_STATEID, &stateid);
  u32 (&w, 55);
  u32 (&w, 1);
  put_stateid (&w);
  v4_put_stateid_op (&c, OP_DELEGRETURN, &stateid);
  u32 (&w, 8);
  put_stateid (&w);
  CU_ASSERT (same (&c, &w));
}

static void
data_operations_are_as_the_rfc_has_them (void)
{
  static const uint32_t mask[2] = {0x812, 0};
  struct v4_call c = call (2);
  struct words w = compound (2, 7);
  struct v4_readdir r = {99, "verifie", 1000, 2000, mask};

  v4_put_read (&c, &stateid, 1ull << 40, 4096);
  u32 (&w, 25);
  put_stateid (&w);
  u64 (&w, 1ull << 40);
  u32 (&w, 4096);
  v4_put_commit (&c, 0, 0);
  u32 (&w, 5);
  u64 (&w, 0);
  u32 (&w, 0);
  v4_put_seek (&c, &stateid, 5, NFS4_CONTENT_HOLE);
  u32 (&w, 69);
  put_stateid (&w);
  u64 (&w, 5);
  u32 (&w, 1);
  v4_put_range (&c, OP_ALLOCATE, &stateid, 1, 2);
  u32 (&w, 59);
  put_stateid (&w);
  u64 (&w, 1);
  u64 (&w, 2);
  v4_put_range (&c, OP_DEALLOCATE, &stateid, 3, 4);
  u32 (&w, 62);
  put_stateid (&w);
  u64 (&w, 3);
  u64 (&w, 4);
  v4_put_readdir (&c, &r);
  u32 (&w, 26);
  u64 (&w, 99);
  raw (&w, "verifie", 8);
  u32 (&w, 1000);
  u32 (&w, 2000);
  u32 (&w, 1);
  u32 (&w, 0x812);
  v4_put_write (&c, &stateid, 6, FILE_SYNC4);
  u32 (&w, 38);
  put_stateid (&w);
  u64 (&w, 6);
  u32 (&w, 2);
  CU_ASSERT (same (&c, &w));
}

/* Answers. */

static struct xdr x;
static struct v4_answer a;

static void
answer (const struct words *w, uint32_t operations)
{
  x = xdr_init (w->bytes, w->n);
  v4_open_answer (&a, &x, operations);
}

static bool
refused (const char *field)
{
  struct fault f = {0};

  return v4_close_answer (&a, "IT", &f) == ERR_PEER && strstr (f.text, field);
}

static struct words
result (uint32_t status, uint32_t operations)
{
  struct words w = {.n = 0};

  u32 (&w, status);
  u32 (&w, 0);
  u32 (&w, operations);
  return w;
}

static void
op (struct words *w, uint32_t number, uint32_t status)
{
  u32 (w, number);
  u32 (w, status);
}

static void
results_match_what_was_sent (void)
{
  struct words w = result (0, 2);

  op (&w, 24, 0);
  op (&w, 22, 0);
  answer (&w, 2);
  CU_ASSERT (v4_take (&a, OP_PUTROOTFH));
  CU_ASSERT (v4_take (&a, OP_PUTFH));
  CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL), ERR_OK);

  answer (&w, 2); /* of another operation */
  CU_ASSERT (!v4_take (&a, OP_PUTFH));
  CU_ASSERT (refused ("resop"));

  answer (&w, 1); /* too many */
  CU_ASSERT (refused ("resarray"));

  answer (&w, 2); /* too few were taken */
  CU_ASSERT (v4_take (&a, OP_PUTROOTFH));
  CU_ASSERT (refused ("resarray"));

  answer (&w, 3); /* short, and said to be complete */
  CU_ASSERT (v4_take (&a, OP_PUTROOTFH));
  CU_ASSERT (v4_take (&a, OP_PUTFH));
  CU_ASSERT (!v4_take (&a, OP_READ));
  CU_ASSERT (refused ("fewer results"));
}

static void
an_error_is_the_last_result (void)
{
  struct words w = result (10008, 2);

  op (&w, 24, 0);
  op (&w, 22, 10008);
  answer (&w, 5);
  CU_ASSERT (v4_take (&a, OP_PUTROOTFH));
  CU_ASSERT (!v4_take (&a, OP_PUTFH));
  CU_ASSERT (!v4_take (&a, OP_READ));
  CU_ASSERT_EQUAL (a.failed, OP_PUTFH);
  CU_ASSERT_EQUAL (a.status, NFS4ERR_DELAY);
  CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL), ERR_OK);

  w = result (10008, 1); /* all is well, and it is not */
  op (&w, 24, 0);
  answer (&w, 5);
  CU_ASSERT (!v4_take (&a, OP_PUTROOTFH));
  CU_ASSERT (refused ("COMPOUND4res.status"));

  w = result (10008, 2); /* something comes behind it */
  op (&w, 24, 10008);
  op (&w, 22, 0);
  answer (&w, 5);
  CU_ASSERT (!v4_take (&a, OP_PUTROOTFH));
  CU_ASSERT (refused ("COMPOUND4res.status"));

  w = result (0, 1); /* another status than the whole */
  op (&w, 24, 10008);
  answer (&w, 5);
  CU_ASSERT (!v4_take (&a, OP_PUTROOTFH));
  CU_ASSERT (refused ("COMPOUND4res.status"));

  w = result (4711, 0);
  answer (&w, 5);
  CU_ASSERT (refused ("no nfsstat4"));

  w = result (10021, 0); /* MINOR_VERS_MISMATCH comes without results */
  answer (&w, 5);
  CU_ASSERT (!v4_take (&a, OP_EXCHANGE_ID));
  CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL), ERR_OK);
  CU_ASSERT_EQUAL (a.status, NFS4ERR_MINOR_VERS_MISMATCH);

  w = result (10044, 1); /* an operation that it does not know */
  op (&w, 10044, 10044);
  answer (&w, 5);
  CU_ASSERT (!v4_take (&a, OP_SEEK));
  CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL), ERR_OK);
  CU_ASSERT_EQUAL (a.failed, OP_SEEK);
}

/* Each prefix of a good answer is noticed. */
static void
a_short_answer_is_noticed (void)
{
  static const uint32_t mask = V4_ATTR (FATTR4_TYPE) | V4_ATTR (FATTR4_SIZE);
  struct words w = result (0, 3), attrs = {.n = 0};
  struct v4_open_result o;
  struct v4_attrs t;
  struct v4_fh got;

  op (&w, 10, 0);
  opaque (&w, "handle", 6);
  op (&w, 9, 0);
  u32 (&attrs, NF4REG);
  u64 (&attrs, 4711);
  u32 (&w, 1);
  u32 (&w, mask);
  opaque (&w, attrs.bytes, attrs.n);
  op (&w, 18, 0);
  put_stateid (&w);
  u32 (&w, 1);
  u64 (&w, 1);
  u64 (&w, 2);
  u32 (&w, 4);
  u32 (&w, 0);
  u32 (&w, 2); /* a delegation for writing */
  put_stateid (&w);
  u32 (&w, 0);
  u32 (&w, 1);
  u64 (&w, 1000);
  u32 (&w, 0);
  u32 (&w, 0);
  u32 (&w, 0);
  opaque (&w, "EVERYONE@", 9);
  for (size_t n = 0; n <= w.n; n += 1) {
    struct words cut = w;

    cut.n = n;
    answer (&cut, 3);
    if (v4_take (&a, OP_GETFH))
      v4_get_fh (&a, &got);
    if (v4_take (&a, OP_GETATTR))
      v4_get_attrs (&x, mask, &t);
    if (v4_take (&a, OP_OPEN))
      v4_get_open (&a, &o);
    CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL),
                     n == w.n ? ERR_OK : ERR_PEER);
  }
  CU_ASSERT_EQUAL (got.length_bytes, 6);
  CU_ASSERT_EQUAL (t.size, 4711);
  CU_ASSERT (o.delegated);
  CU_ASSERT_EQUAL (o.stateid.seqid, 7);
}

static void
a_session_answers_for_its_slot (void)
{
  struct v4_sequence s = {session, 9, 3, 5, true};
  struct v4_sequence_result r;
  static const char *const fields[] = {NULL, "sr_slotid", "sr_sequenceid",
                                       "sr_sessionid"};

  for (unsigned lie = 0; lie < 4; lie++) {
    struct words w = result (0, 1);

    op (&w, 53, 0);
    raw (&w, lie == 3 ? (const uint8_t *)"another session!" : session, 16);
    u32 (&w, lie == 2 ? 8 : 9);
    u32 (&w, lie == 1 ? 4 : 3);
    u32 (&w, 63);
    u32 (&w, 31);
    u32 (&w, 0x200);
    answer (&w, 1);
    CU_ASSERT (v4_take (&a, OP_SEQUENCE));
    v4_get_sequence (&a, &s, &r);
    if (lie)
      CU_ASSERT (refused (fields[lie]))
    else
      CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL), ERR_OK);
  }
}

static void
limits_are_kept (void)
{
  static const uint8_t long_handle[132];
  struct words w = result (0, 1);
  struct v4_fh got;
  struct v4_attrs t;
  struct v4_write_result r;

  op (&w, 10, 0);
  opaque (&w, long_handle, 132);
  answer (&w, 1);
  CU_ASSERT (v4_take (&a, OP_GETFH));
  v4_get_fh (&a, &got);
  CU_ASSERT (refused ("GETFH4resok.object"));

  w = result (0, 1);
  op (&w, 38, 0);
  u32 (&w, 4097);
  u32 (&w, 0);
  raw (&w, "verifier", 8);
  answer (&w, 1);
  CU_ASSERT (v4_take (&a, OP_WRITE));
  v4_get_write (&a, 4096, UNSTABLE4, &r);
  CU_ASSERT (refused ("WRITE4resok.count"));

  w = result (0, 1);
  op (&w, 38, 0);
  u32 (&w, 4096);
  u32 (&w, 0);
  raw (&w, "verifier", 8);
  answer (&w, 1);
  CU_ASSERT (v4_take (&a, OP_WRITE));
  v4_get_write (&a, 4096, FILE_SYNC4, &r);
  CU_ASSERT (refused ("weaker than was asked for"));

  w = result (0, 1); /* attributes that nobody asked for */
  op (&w, 9, 0);
  u32 (&w, 1);
  u32 (&w, V4_ATTR (FATTR4_SIZE) | V4_ATTR (FATTR4_CHANGE));
  u32 (&w, 16);
  u64 (&w, 1);
  u64 (&w, 2);
  answer (&w, 1);
  CU_ASSERT (v4_take (&a, OP_GETATTR));
  v4_get_attrs (&x, V4_ATTR (FATTR4_SIZE), &t);
  CU_ASSERT (refused ("attributes that were not asked for"));
  answer (&w, 1); /* and a value behind the last one */
  CU_ASSERT (v4_take (&a, OP_GETATTR));
  w.bytes[w.n - 21] &= (uint8_t)~V4_ATTR (FATTR4_CHANGE);
  v4_get_attrs (&x, UINT32_MAX, &t);
  CU_ASSERT (refused ("bytes are left over"));
}

static struct words
written (uint32_t count, uint32_t committed)
{
  struct words w = result (0, 1);

  op (&w, 38, 0);
  u32 (&w, count);
  u32 (&w, committed);
  raw (&w, "verifier", 8);
  return w;
}

/* RFC 8881 §18.32.3: more than was asked for may be stable, not less. */
static void
more_may_be_stable (void)
{
  struct v4_write_result r;

  for (uint32_t asked = UNSTABLE4; asked <= FILE_SYNC4; asked++)
    for (uint32_t committed = 0; committed < 4; committed++) {
      struct words w = written (4096, committed);

      answer (&w, 1);
      CU_ASSERT (v4_take (&a, OP_WRITE));
      v4_get_write (&a, 4096, (enum stable_how4)asked, &r);
      if (committed > FILE_SYNC4)
        CU_ASSERT (refused ("no stable_how4"))
      else if (committed < asked)
        CU_ASSERT (refused ("weaker"))
      else
        CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL), ERR_OK);
    }
}

static struct words
created (uint32_t sequenceid, uint32_t slots, uint32_t ops)
{
  struct words w = result (0, 1);

  op (&w, 43, 0);
  raw (&w, session, 16);
  u32 (&w, sequenceid);
  u32 (&w, 0);
  for (unsigned i = 0; i < 2; i++) {
    for (unsigned k = 0; k < 4; k++)
      u32 (&w, 10000);
    u32 (&w, ops);
    u32 (&w, slots);
    u32 (&w, 0);
  }
  return w;
}

static void
sessions_are_what_was_asked_for (void)
{
  static const struct {
    uint32_t sequenceid, slots, ops;
    const char *words;
  } cases[] = {{3, 8, 8, NULL},
               {4, 8, 8, "csr_sequence"},
               {3, 9, 8, "ca_maxrequests"},
               {3, 0, 8, "ca_maxrequests"},
               {3, 8, 0, "ca_maxoperations"}};
  struct v4_create_session asked = {.sequenceid = 3,
                                    .fore = {.maxrequests = 8}};
  struct v4_create_session_result r;

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct words w
        = created (cases[i].sequenceid, cases[i].slots, cases[i].ops);

    answer (&w, 1);
    CU_ASSERT (v4_take (&a, OP_CREATE_SESSION));
    v4_get_create_session (&a, &asked, &r);
    if (cases[i].words)
      CU_ASSERT (refused (cases[i].words))
    else
      CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL), ERR_OK);
  }
  for (unsigned other = 0; other < 2; other++) {
    struct words w = result (0, 1);

    op (&w, 41, 0);
    raw (&w, other ? (const uint8_t *)"another session!" : session, 16);
    u32 (&w, 1);
    u32 (&w, 0);
    answer (&w, 1);
    CU_ASSERT (v4_take (&a, OP_BIND_CONN_TO_SESSION));
    v4_get_bind (&a, session);
    if (other)
      CU_ASSERT (refused ("bctsr_sessid"))
    else
      CU_ASSERT_EQUAL (v4_close_answer (&a, "IT", NULL), ERR_OK);
  }
}

static void
handles_and_types_are_some (void)
{
  static const uint32_t types[] = {0, 10, UINT32_MAX};
  struct words w = result (0, 1);
  struct v4_attrs t;
  struct v4_fh got;

  op (&w, 10, 0);
  opaque (&w, "", 0);
  answer (&w, 1);
  CU_ASSERT (v4_take (&a, OP_GETFH));
  v4_get_fh (&a, &got);
  CU_ASSERT (refused ("GETFH4resok.object: empty"));
  for (unsigned i = 0; i < 3; i++) {
    w = result (0, 1);
    op (&w, 9, 0);
    u32 (&w, 1);
    u32 (&w, V4_ATTR (FATTR4_TYPE));
    u32 (&w, 4);
    u32 (&w, types[i]);
    answer (&w, 1);
    CU_ASSERT (v4_take (&a, OP_GETATTR));
    v4_get_attrs (&x, V4_ATTR (FATTR4_TYPE), &t);
    CU_ASSERT (refused ("no nfs_ftype4"));
  }
}

static void
every_status_is_known_by_name (void)
{
  CU_ASSERT_PTR_NULL (v4_status_find (NFS4_OK));
  CU_ASSERT_PTR_NULL (v4_status_find (10073));
  CU_ASSERT_STRING_EQUAL (v4_status_find (10052)->name, "NFS4ERR_BADSESSION");
  CU_ASSERT_EQUAL (v4_status_find (10052)->recovery, V4_DO_SESSION);
  CU_ASSERT_EQUAL (v4_status_find (10013)->recovery, V4_DO_WAIT);
  CU_ASSERT_EQUAL (v4_status_find (10022)->recovery, V4_DO_CLIENT);
  CU_ASSERT_EQUAL (v4_status_find (28)->err, ERR_NOSPC);
  CU_ASSERT_STRING_EQUAL (v4_op_name (OP_SEEK), "SEEK");
  CU_ASSERT_STRING_EQUAL (v4_op_name (1), "operation");
}

UNIT_MAIN ("nfs v4 codec",
           UNIT_TEST (session_operations_are_as_the_rfc_has_them),
           UNIT_TEST (client_operations_are_as_the_rfc_has_them),
           UNIT_TEST (file_operations_are_as_the_rfc_has_them),
           UNIT_TEST (data_operations_are_as_the_rfc_has_them),
           UNIT_TEST (results_match_what_was_sent),
           UNIT_TEST (an_error_is_the_last_result),
           UNIT_TEST (a_short_answer_is_noticed),
           UNIT_TEST (a_session_answers_for_its_slot),
           UNIT_TEST (limits_are_kept), UNIT_TEST (more_may_be_stable),
           UNIT_TEST (sessions_are_what_was_asked_for),
           UNIT_TEST (handles_and_types_are_some),
           UNIT_TEST (every_status_is_known_by_name))
