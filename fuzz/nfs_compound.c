/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers to COMPOUNDs of NFSv4.1 and 4.2. The input: how many operations were
 * asked for (u8), which (a byte each; GETATTR with 80h: fs_locations), and the
 * answer. A READ_PLUS is of PLUS_BYTES at PLUS_AT, and must say the same
 * whether its first data came with the rest of it or went to their place
 * before.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/nfs/v4.h"

#define OPERATIONS 16u
#define PLUS_AT 8192u
#define PLUS_BYTES 600u

static const enum nfs_opnum4 ops[] = {OP_SEQUENCE,
                                      OP_PUTFH,
                                      OP_PUTROOTFH,
                                      OP_GETFH,
                                      OP_GETATTR,
                                      OP_LOOKUP,
                                      OP_ACCESS,
                                      OP_OPEN,
                                      OP_CLOSE,
                                      OP_READ,
                                      OP_WRITE,
                                      OP_COMMIT,
                                      OP_SEEK,
                                      OP_READDIR,
                                      OP_EXCHANGE_ID,
                                      OP_CREATE_SESSION,
                                      OP_BIND_CONN_TO_SESSION,
                                      OP_DESTROY_SESSION,
                                      OP_TEST_STATEID,
                                      OP_FREE_STATEID,
                                      OP_RECLAIM_COMPLETE,
                                      OP_ALLOCATE,
                                      OP_DEALLOCATE,
                                      OP_DELEGRETURN,
                                      OP_DESTROY_CLIENTID,
                                      OP_READLINK,
                                      OP_READ_PLUS,
                                      OP_SETATTR};

static const uint8_t session[NFS4_SESSIONID_SIZE] = "0123456789abcde";
static const struct v4_sequence sequence = {session, 7, 0, 3, false};
static const struct v4_create_session created = {
    .clientid = 1,
    .sequenceid = 1,
    .fore = {0, 1u << 20, 1u << 20, 8192, 16, 64},
    .back = {0, 4096, 4096, 4096, 2, 1}};

static void
read_data (struct v4_answer *a)
{
  uint32_t count;
  bool eof;

  v4_get_read (a, &eof, &count);
  if (!a->x->bad)
    xdr_fixed (a->x, count, "READ4resok.data");
}

static void
write_result (struct v4_answer *a)
{
  struct v4_write_result r;

  v4_get_write (a, 4096, UNSTABLE4, &r);
  /* None at all is for the engine to refuse: an empty WRITE has that. */
  if (!a->x->bad)
    MUST (r.count <= 4096 && r.committed <= FILE_SYNC4);
}

struct plus {
  uint32_t count, holes;
  bool eof;
  uint8_t *data; /* PLUS_BYTES */
};

static void
take_plus (struct v4_answer *a, const struct nfs_located *located,
           struct plus *ret)
{
  struct nfs_piece p = {.op = IO_READ,
                        .offset = PLUS_AT,
                        .length = PLUS_BYTES,
                        .data = ret->data};

  v4_plus_take (a, &p, located->found, located->bytes, &ret->eof, &ret->count,
                &ret->holes);
}

/* What is in front of the data and what is behind them, as one: what is left of
 * a record whose payload went to its place while it came.
 */
static uint8_t *
without (const struct wire *all, const uint8_t *data, uint32_t data_bytes,
         size_t *ret_bytes)
{
  size_t front = (size_t)(data - all->p);
  size_t back = (size_t)(all->end - data) - data_bytes;
  uint8_t *rest = malloc (front + back + 1);

  MUST (rest);
  memcpy (rest, all->p, front);
  memcpy (rest + front, data + data_bytes, back);
  *ret_bytes = front + back;
  return rest;
}

/* The other way to read what take_plus read out of *all. */
static void
check_plus (const struct v4_answer *before, const struct xdr *all,
            const struct xdr *after, const struct plus *read)
{
  struct nfs_piece p = {.offset = PLUS_AT, .length = PLUS_BYTES};
  struct nfs_located located = {0};
  struct v4_answer a = *before;
  struct xdr x = *all, rest;
  struct plus again = {.data = calloc (1, PLUS_BYTES)};
  uint8_t *bytes;
  size_t n;

  MUST (again.data);
  a.x = &x;
  v4_plus_locate (&a, &p, &located);
  MUST (x.bad || !located.found
        || (located.bytes && located.bytes <= PLUS_BYTES - located.at));
  if (!x.bad && located.found && located.bytes <= wire_left (&x.w)) {
    memcpy (again.data + located.at, x.w.p, located.bytes);
    bytes = without (&all->w, x.w.p, located.bytes, &n);
    rest = xdr_init (bytes, n);
    a = *before;
    a.x = &rest;
    take_plus (&a, &located, &again);
    MUST (!rest.bad == !after->bad);
    if (!rest.bad)
      MUST (again.count == read->count && again.holes == read->holes
            && again.eof == read->eof
            && memcmp (again.data, read->data, read->count) == 0
            && wire_left (&rest.w) == wire_left (&after->w));
    free (bytes);
  }
  free (again.data);
}

static void
read_plus (struct v4_answer *a)
{
  const struct v4_answer before = *a;
  const struct xdr all = *a->x;
  struct plus read = {.data = calloc (1, PLUS_BYTES)};

  MUST (read.data);
  if (!all.bad) {
    take_plus (a, &(struct nfs_located){0}, &read);
    MUST (a->x->bad || read.count <= PLUS_BYTES);
    check_plus (&before, &all, a->x, &read);
  }
  free (read.data);
}

/* As v4_list.c reads it. */
static void
directory (struct xdr *x)
{
  struct v4_attrs attrs;
  size_t n;

  xdr_fixed (x, NFS4_VERIFIER_SIZE, "cookieverf");
  while (xdr_bool (x, "entries")) {
    xdr_u64 (x, "cookie");
    xdr_opaque (x, 255, &n, "name");
    v4_get_attrs (x, V4_ATTRS_REQUIRED, &attrs);
    if (x->bad)
      return;
  }
  xdr_bool (x, "eof");
}

static void
new_session (struct v4_answer *a)
{
  struct v4_create_session_result r;

  v4_get_create_session (a, &created, &r);
  if (!a->x->bad)
    MUST (r.fore.maxrequests && r.fore.maxrequests <= 64
          && r.fore.maxoperations);
}

static void
text (struct v4_answer *a, enum nfs_opnum4 op)
{
  char t[300] = "";

  if (op == OP_READLINK)
    v4_get_readlink (a, t, sizeof t);
  else
    v4_get_locations (a, "/a/b", t, sizeof t);
  MUST (a->x->bad || strlen (t) < sizeof t);
  /* What a server says there goes to a terminal. */
  for (const char *c = t; op != OP_READLINK && !a->x->bad && *c; c++)
    MUST (*c >= ' ' && *c != 0x7f);
}

static void
get (struct v4_answer *a, enum nfs_opnum4 op, bool locations)
{
  union {
    struct v4_sequence_result sequence;
    struct v4_fh fh;
    struct v4_attrs attrs;
    struct v4_open_result open;
    struct v4_stateid stateid;
    struct v4_exchange_id_result exchange_id;
    uint8_t verifier[NFS4_VERIFIER_SIZE];
    uint64_t offset;
  } u;
  bool eof;

  switch (op) {
  case OP_SEQUENCE:
    v4_get_sequence (a, &sequence, &u.sequence);
    break;
  case OP_GETFH:
    v4_get_fh (a, &u.fh);
    break;
  case OP_GETATTR:
    if (locations)
      text (a, op);
    else
      v4_get_attrs (a->x, UINT32_MAX, &u.attrs);
    break;
  case OP_READLINK:
    text (a, op);
    break;
  case OP_ACCESS:
    v4_get_access (a);
    break;
  case OP_OPEN:
    v4_get_open (a, &u.open);
    break;
  case OP_CLOSE:
    v4_get_stateid (a, &u.stateid);
    break;
  case OP_READ:
    read_data (a);
    break;
  case OP_WRITE:
    write_result (a);
    break;
  case OP_COMMIT:
    v4_get_verifier (a, u.verifier);
    break;
  case OP_SEEK:
    v4_get_seek (a, &eof, &u.offset);
    break;
  case OP_READDIR:
    directory (a->x);
    break;
  case OP_EXCHANGE_ID:
    v4_get_exchange_id (a, &u.exchange_id);
    break;
  case OP_CREATE_SESSION:
    new_session (a);
    break;
  case OP_BIND_CONN_TO_SESSION:
    v4_get_bind (a, session);
    break;
  case OP_TEST_STATEID:
    v4_get_test_stateid (a);
    break;
  case OP_READ_PLUS:
    read_plus (a);
    break;
  case OP_SETATTR:
    v4_get_setattr (a);
    break;
  default:
    break;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  unsigned n = size ? data[0] % OPERATIONS + 1 : 0;
  struct fault f = {0};
  struct v4_answer a;
  struct xdr x;

  if (size < 1 + n || !n)
    return 0;
  x = xdr_init (data + 1 + n, size - 1 - n);
  v4_open_answer (&a, &x, n);
  for (unsigned i = 0; i < n; i++) {
    uint8_t which = data[1 + i];
    enum nfs_opnum4 op = ops[(which & 0x7f) % (sizeof ops / sizeof ops[0])];

    if (!v4_take (&a, op))
      break;
    get (&a, op, which & 0x80);
  }
  if (data[0] & 0x80)
    v4_close_sequence (&a, &f);
  else if (!v4_close_answer (&a, "it", &f))
    MUST (!x.bad && (a.status || !wire_left (&x.w)));
  else
    MUST (f.text[0]);
  return 0;
}
