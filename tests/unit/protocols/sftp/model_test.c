/* SPDX-License-Identifier: BSD-2-Clause */
/* Random requests against a model, with answers in random order and pieces;
 * and one conversation cut at every byte, and broken at every byte.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/protocols/sftp/peer.h"
#include "tests/unit/unit.h"

#define PEER __attribute__ ((cleanup (peer_close))) struct peer
#define KIB 1024u

struct server {
  struct peer s;
  uint8_t *file;
  bool short_reads;
  unsigned syncs;
};

static void
answer (struct server *v, const struct peer_ask *a)
{
  struct peer *s = &v->s;
  uint32_t n = a->length;

  switch (a->type) {
  case SSH_FXP_INIT:
    peer_version (s, 3, "fsync@openssh.com", "1", "limits@openssh.com", "1");
    break;
  case SSH_FXP_EXTENDED:
    if (strcmp (a->name, "limits@openssh.com") == 0)
      peer_limits (s, a->id, 262144, 600, 700);
    else
      peer_status (s, a->id, SSH_FX_OK);
    break;
  case SSH_FXP_STAT:
  case SSH_FXP_FSTAT:
    peer_attrs (s, a->id, PEER_FILE_BYTES, PEER_REGULAR);
    break;
  case SSH_FXP_OPEN:
    peer_handle (s, a->id);
    break;
  case SSH_FXP_READ:
    if (v->short_reads && n > 1 && peer_random (s, 4) == 0)
      n = 1 + peer_random (s, n - 1);
    peer_data (s, a->id, v->file + a->offset, n);
    break;
  default: /* WRITE, which was executed when it came */
    peer_status (s, a->id, SSH_FX_OK);
  }
}

#define SLOTS 48u

struct slot {
  struct proto_request r; /* op 0: free */
  uint8_t data[64 * KIB];
};

struct run {
  struct server v;
  struct peer_ask waiting[1100]; /* for an answer */
  unsigned waiting_count;
  struct slot slot[SLOTS];
  uint8_t file[PEER_FILE_BYTES];
  uint8_t model[PEER_FILE_BYTES];
  unsigned in_flight;
};

/* Takes what the engine asks. */
static void
listen_to (struct run *t)
{
  struct peer_ask a;

  while (t->waiting_count < 1100 && peer_ask (&t->v.s, &a)) {
    if (a.type == SSH_FXP_WRITE) {
      CU_ASSERT_FATAL (a.offset + a.length <= PEER_FILE_BYTES);
      memcpy (t->v.file + a.offset, a.data, a.length);
    }
    t->v.syncs += a.type == SSH_FXP_EXTENDED;
    t->waiting[t->waiting_count++] = a;
  }
}

static void
answer_one_of (struct run *t)
{
  uint32_t i = peer_random (&t->v.s, t->waiting_count);
  struct peer_ask a = t->waiting[i];

  t->waiting[i] = t->waiting[--t->waiting_count];
  answer (&t->v, &a);
}

static bool
in_use (const struct run *t, uint64_t offset, uint32_t length)
{
  for (unsigned i = 0; i < SLOTS; i++) {
    const struct proto_request *r = &t->slot[i].r;

    if (r->length && offset < r->offset + r->length
        && r->offset < offset + length)
      return true;
  }
  return false;
}

static void
submit_random (struct run *t, unsigned i)
{
  struct slot *k = &t->slot[i];
  struct peer *s = &t->v.s;
  uint32_t length = 1 + peer_random (s, peer_random (s, 4) ? 2000 : 20000);
  struct proto_request r = {.id = 1000 + i, .length = length};

  /* a small window, so that they meet */
  r.offset = peer_random (s, 600 * KIB);
  switch (peer_random (s, 8)) {
  case 0:
    r = (struct proto_request){.id = 1000 + i, .op = IO_FLUSH};
    break;
  case 1:
    r.flags = IO_FUA;
    /* fall through */
  case 2:
  case 3:
    r.op = IO_WRITE;
    break;
  default:
    r.op = IO_READ;
  }
  if (r.length && in_use (t, r.offset, r.length))
    return;
  r.data = k->data;
  if (r.op == IO_WRITE) {
    for (uint32_t n = 0; n < r.length; n++)
      k->data[n] = (uint8_t)peer_random (s, 256);
    memcpy (t->model + r.offset, k->data, r.length);
  } else
    memset (k->data, 0xee, r.length);
  k->r = r;
  t->in_flight++;
  CU_ASSERT_EQUAL_FATAL (sftp_ops.submit (s->p, &r, 0), ERR_OK);
}

static void
reap_all (struct run *t)
{
  struct proto_completion c;

  while (sftp_ops.reap (t->v.s.p, &c)) {
    struct slot *k = &t->slot[c.id - 1000];

    CU_ASSERT_FATAL (c.id >= 1000 && c.id < 1000 + SLOTS && k->r.op);
    CU_ASSERT_EQUAL (c.error, ERR_OK);
    if (k->r.op == IO_READ)
      CU_ASSERT_FATAL (memcmp (k->data, t->model + k->r.offset, k->r.length)
                       == 0);
    k->r = (struct proto_request){0};
    t->in_flight--;
  }
}

static void
random_run (uint64_t seed)
{
  static struct run t; /* large; one after the other */

  memset (&t, 0, sizeof t);
  t.v.file = t.file;
  t.v.short_reads = true;
  t.v.s.path = "/x";
  t.v.s.rng = seed;
  for (size_t i = 0; i < PEER_FILE_BYTES; i++)
    t.file[i] = t.model[i] = (uint8_t)(i * 13 + i / 509);
  CU_ASSERT_EQUAL_FATAL (peer_open (&t.v.s), ERR_OK);
  while (sftp_ops.state (t.v.s.p) == PROTO_STARTING) {
    listen_to (&t);
    answer_one_of (&t);
  }
  for (unsigned step = 0; step < 4000 || t.in_flight; step++) {
    unsigned i = peer_random (&t.v.s, SLOTS);

    CU_ASSERT_EQUAL_FATAL (sftp_ops.state (t.v.s.p), PROTO_READY);
    if (step < 4000 && !t.slot[i].r.op)
      submit_random (&t, i);
    if (peer_random (&t.v.s, 3) == 0)
      listen_to (&t);
    while (t.waiting_count && peer_random (&t.v.s, 8))
      answer_one_of (&t);
    reap_all (&t);
  }
  CU_ASSERT (memcmp (t.file, t.model, PEER_FILE_BYTES) == 0);
  CU_ASSERT (t.v.syncs > 100);
  peer_close (&t.v.s);
}

static void
random_requests_agree_with_the_model (void)
{
  for (uint64_t seed = 1; seed <= 4; seed++)
    random_run (seed * 0x9e3779b97f4a7c15u);
}

/* What came of a conversation. */
struct outcome {
  enum proto_state state;
  struct fault fault;
  uint64_t tx_sum, rx_bytes;
  unsigned reaped;
  struct proto_completion completion[8];
  uint8_t read[2][2000];
};

/* Start-up, reads that are split, short and at the end of the file, writes,
 * a flush, a FUA write. Answers in the order asked.
 */
static void
converse (struct server *v, struct outcome *ret)
{
  static uint8_t file[PEER_FILE_BYTES], bytes[1000];
  struct peer *s = &v->s;
  struct peer_ask a;
  bool submitted = false;

  memset (ret, 0, sizeof *ret);
  v->file = file;
  s->path = "/x";
  CU_ASSERT_EQUAL_FATAL (peer_open (s), ERR_OK);
  while (sftp_ops.state (s->p) != PROTO_FAILED && peer_ask (s, &a)) {
    if (a.type == SSH_FXP_READ && a.length == 77)
      peer_status (s, a.id, SSH_FX_EOF);
    else if (a.type == SSH_FXP_READ && a.length == 123)
      peer_data (s, a.id, file, 23);
    else {
      if (a.type == SSH_FXP_READ || a.type == SSH_FXP_WRITE)
        a.offset %= PEER_FILE_BYTES - SFTP_IO_MAX_BYTES;
      answer (v, &a);
    }
    if (submitted || sftp_ops.state (s->p) != PROTO_READY)
      continue;
    submitted = true;
    peer_submit (s, 1, IO_READ, 100, 1300, ret->read[0]);
    peer_submit (s, 2, IO_WRITE, 5000, 900, bytes);
    peer_submit (s, 3, IO_READ, 0, 123, ret->read[1]);
    peer_submit (s, 4, IO_FLUSH, 0, 0, NULL);
    peer_submit (s, 5, IO_READ, 9000, 77, ret->read[1] + 1000);
    sftp_ops.submit (s->p,
                     &(struct proto_request){.id = 6,
                                             .op = IO_WRITE,
                                             .flags = IO_FUA,
                                             .length = 10,
                                             .data = bytes},
                     0);
  }
  ret->state = sftp_ops.state (s->p);
  if (ret->state == PROTO_FAILED)
    ret->fault = *sftp_ops.fault (s->p);
  else
    while (ret->reaped < 8
           && sftp_ops.reap (s->p, &ret->completion[ret->reaped]))
      ret->reaped++;
  ret->tx_sum = s->tx_sum;
  ret->rx_bytes = s->rx_bytes;
}

static void
the_conversation_goes_well (void)
{
  struct server v = {0};
  struct outcome o;

  converse (&v, &o);
  CU_ASSERT_EQUAL (o.state, PROTO_READY);
  CU_ASSERT_EQUAL (o.reaped, 6);
  for (unsigned i = 0; i < o.reaped; i++)
    CU_ASSERT_EQUAL (o.completion[i].error,
                     o.completion[i].id == 5 ? ERR_IO : ERR_OK);
  peer_close (&v.s);
}

static void
it_does_not_matter_where_it_is_cut (void)
{
  struct server whole = {0};
  struct outcome want, got;

  converse (&whole, &want);
  for (uint64_t cut = 1; cut < want.rx_bytes; cut++) {
    struct server v = {.s.cut_at = cut};

    converse (&v, &got);
    CU_ASSERT_EQUAL_FATAL (memcmp (&want, &got, sizeof want), 0);
    peer_close (&v.s);
  }
  for (size_t max = 1; max < 20; max++) {
    struct server v = {.s.rx_max_bytes = max};

    converse (&v, &got);
    CU_ASSERT_EQUAL_FATAL (memcmp (&want, &got, sizeof want), 0);
    peer_close (&v.s);
  }
  peer_close (&whole.s);
}

/* A wrong byte anywhere: the session goes on or fails, with words, and it
 * does the same whether the bytes come one by one or all together.
 */
static void
broken_anywhere_it_stays_whole (void)
{
  static const uint8_t masks[] = {0x01, 0x80, 0x06, 0xff};
  struct server v = {0};
  struct outcome good, a, b;
  unsigned failed = 0;

  converse (&v, &good);
  peer_close (&v.s);
  for (uint64_t at = 0; at < good.rx_bytes; at++) {
    struct server all = {.s.flip_at = at,
                         .s.flip_mask = masks[at / 3 % sizeof masks]};
    struct server bytewise = all;

    bytewise.s.rx_max_bytes = 1;
    converse (&all, &a);
    converse (&bytewise, &b);
    CU_ASSERT_EQUAL (a.state, b.state);
    CU_ASSERT_EQUAL (a.tx_sum, b.tx_sum);
    CU_ASSERT_EQUAL (a.fault.code, b.fault.code);
    CU_ASSERT_STRING_EQUAL (a.fault.text, b.fault.text);
    CU_ASSERT_EQUAL (a.reaped, b.reaped);
    CU_ASSERT_EQUAL (memcmp (a.completion, b.completion, sizeof a.completion),
                     0);
    failed += a.state == PROTO_FAILED;
    peer_close (&all.s);
    peer_close (&bytewise.s);
  }
  CU_ASSERT (failed > 150);
}

UNIT_MAIN ("sftp model", UNIT_TEST (the_conversation_goes_well),
           UNIT_TEST (it_does_not_matter_where_it_is_cut),
           UNIT_TEST (broken_anywhere_it_stays_whole),
           UNIT_TEST (random_requests_agree_with_the_model))
