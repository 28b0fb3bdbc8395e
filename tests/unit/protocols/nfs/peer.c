/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/unit/protocols/nfs/peer.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#define TX_BYTES (4u << 20)

void
peer_init (struct peer *s, const char *path)
{
  *s = (struct peer){.now_ns = 1000000000,
                     .params = {"path", *path ? path : FAKE_PATH},
                     .call = malloc (PEER_RECORD_BYTES),
                     .reply = malloc (PEER_RECORD_BYTES)};
  for (unsigned i = 0; i < PROTO_LANES_MAX; i++)
    s->tx[i] = malloc (TX_BYTES);
  fake_nfs3_init (&s->server, 1 << 20);
}

void
peer_fini (struct peer *s)
{
  peer_close (s);
  fake_nfs3_fini (&s->server);
  for (unsigned i = 0; i < PROTO_LANES_MAX; i++)
    free (s->tx[i]);
  free (s->call);
  free (s->reply);
}

static const char *
get (void *ctx, const char *key)
{
  struct peer *s = ctx;

  for (unsigned i = 0; i + 1 < 16 && s->params[i]; i += 2)
    if (strcmp (s->params[i], key) == 0)
      return s->params[i + 1];
  return NULL;
}

enum err
peer_open (struct peer *s)
{
  struct proto_config c = {.get = get,
                           .ctx = s,
                           .identity = s->identity,
                           .moved = s->moved,
                           .moved_bytes = s->moved_bytes,
                           .lanes = s->lanes,
                           .lanes_wanted = s->lanes_wanted};

  memset (c.seed, ++s->seed, sizeof c.seed);
  memset (s->tx_bytes, 0, sizeof s->tx_bytes);
  s->lane = 0;
  return nfs_ops.open (&c, s->now_ns, &s->p, &s->open_fault);
}

void
peer_close (struct peer *s)
{
  if (s->p)
    nfs_ops.close (s->p);
  s->p = NULL;
}

enum err
peer_feed (struct peer *s, const uint8_t *bytes, size_t n)
{
  while (n > 0) {
    struct iovec v = nfs_ops.rx_iov (s->p, s->lane);
    size_t k = n < v.iov_len ? n : v.iov_len;
    enum err e;

    if (s->cut_bytes && k > s->cut_bytes)
      k = s->cut_bytes;
    memcpy (v.iov_base, bytes, k);
    s->steps++;
    e = nfs_ops.rx_done (s->p, s->lane, k, s->now_ns);
    if (e)
      return e;
    bytes += k;
    n -= k;
  }
  return ERR_OK;
}

static enum err
feed_mark (struct peer *s, uint32_t mark)
{
  uint8_t bytes[4];
  struct wirebuf b = wirebuf_init (bytes, 4);

  wirebuf_u32 (&b, mark);
  return peer_feed (s, bytes, 4);
}

enum err
peer_record (struct peer *s, const uint8_t *bytes, size_t n)
{
  size_t most = s->fragment_bytes ? s->fragment_bytes : n;
  enum err e = ERR_OK;

  do {
    size_t k = n < most ? n : most;

    e = feed_mark (s, (uint32_t)k | (k == n ? 0x80000000u : 0));
    if (!e)
      e = peer_feed (s, bytes, k);
    bytes += k;
    n -= k;
  } while (n > 0 && !e);
  return e;
}

static bool
collect_lane (struct peer *s, unsigned lane)
{
  struct iovec v[PROTO_TX_IOV];
  size_t n, *have = &s->tx_bytes[lane];
  bool any = false;

  while ((n = nfs_ops.tx_iov (s->p, lane, v, PROTO_TX_IOV)) > 0) {
    size_t sent = 0;

    for (size_t i = 0; i < n; i++) {
      CU_ASSERT_FATAL (*have + v[i].iov_len <= TX_BYTES);
      memcpy (s->tx[lane] + *have, v[i].iov_base, v[i].iov_len);
      *have += v[i].iov_len;
      sent += v[i].iov_len;
    }
    nfs_ops.tx_done (s->p, lane, sent);
    any = true;
  }
  return any;
}

static unsigned
lanes (const struct peer *s)
{
  return s->lanes ? s->lanes : 1;
}

/* Until a round has found nothing: see proto.h. */
static void
collect (struct peer *s)
{
  bool any = true;

  while (any) {
    any = false;
    for (unsigned i = 0; i < lanes (s); i++)
      any |= collect_lane (s, i);
  }
}

/* Which lane has a call. */
static bool
choose (struct peer *s)
{
  unsigned from = 0;

  if (s->shuffle) {
    s->shuffle = s->shuffle * 6364136223846793005u + 1442695040888963407u;
    from = (unsigned)(s->shuffle >> 33) % lanes (s);
  }
  for (unsigned i = 0; i < lanes (s); i++) {
    s->lane = (from + i) % lanes (s);
    if (s->tx_bytes[s->lane] > 0)
      return true;
  }
  return false;
}

size_t
peer_call (struct peer *s)
{
  struct wire w;
  uint32_t mark;
  uint8_t *tx;
  size_t *have;

  collect (s);
  if (!choose (s))
    return 0;
  tx = s->tx[s->lane];
  have = &s->tx_bytes[s->lane];
  w = wire_init (tx, *have);
  mark = wire_u32 (&w);
  CU_ASSERT_FATAL (mark & 0x80000000u);
  mark &= 0x7fffffff;
  CU_ASSERT_FATAL (mark % 4 == 0);
  CU_ASSERT_FATAL (mark + 4 <= *have && mark <= PEER_RECORD_BYTES);
  memcpy (s->call, tx + 4, mark);
  *have -= mark + 4;
  memmove (tx, tx + 4 + mark, *have);
  return mark;
}

bool
peer_answer (struct peer *s)
{
  bool any = false;
  size_t n, reply;

  while (nfs_ops.state (s->p) != PROTO_FAILED && (n = peer_call (s)) > 0) {
    any = true;
    reply = fake_nfs3_answer (&s->server, s->call, n, s->reply,
                              PEER_RECORD_BYTES);
    CU_ASSERT_FATAL (reply > 0);
    if (s->tamper && !s->tamper (s, s->reply, &reply))
      continue;
    peer_record (s, s->reply, reply);
  }
  return any;
}

/* As the daemon does. */
bool
peer_move (struct peer *s)
{
  if (!nfs_ops.want (s->p, &s->want))
    return false;
  CU_ASSERT_FATAL (s->want.type == PROTO_WANT_MOVE);
  CU_ASSERT_FATAL (++s->moves < 20);
  s->moved_bytes = s->want.data_bytes;
  memcpy (s->moved, s->want.data, s->moved_bytes);
  s->lanes = s->want.lanes;
  if (s->lanes_most && s->lanes > s->lanes_most)
    s->lanes = s->lanes_most;
  peer_close (s);
  CU_ASSERT_FATAL (peer_open (s) == ERR_OK);
  return true;
}

static bool
tick (struct peer *s)
{
  uint64_t deadline_ns = nfs_ops.deadline_ns (s->p);

  if (nfs_ops.state (s->p) == PROTO_FAILED
      || deadline_ns == PROTO_NO_DEADLINE)
    return false;
  if (deadline_ns > s->now_ns)
    s->now_ns = deadline_ns;
  nfs_ops.tick (s->p, s->now_ns);
  return true;
}

enum proto_state
peer_start (struct peer *s)
{
  enum proto_state state;

  if (!s->p && peer_open (s))
    return PROTO_FAILED;
  while ((state = nfs_ops.state (s->p)) == PROTO_STARTING)
    if (!peer_answer (s) && !peer_move (s) && !tick (s))
      break;
  return state;
}

void
peer_run (struct peer *s)
{
  while (peer_answer (s) || tick (s))
    ;
}

struct proto_completion
peer_do (struct peer *s, enum io_op op, uint32_t flags, uint64_t offset,
         uint32_t length, uint8_t *data)
{
  static uint64_t tag;
  struct proto_request r = {.id = 5,
                            .tag = ++tag,
                            .op = op,
                            .flags = flags,
                            .offset = offset,
                            .length = length,
                            .data = data};
  struct proto_completion c = {.error = ERR_CLOSED};
  enum err e = nfs_ops.submit (s->p, &r, s->now_ns);

  CU_ASSERT_EQUAL (e, ERR_OK);
  peer_run (s);
  if (nfs_ops.reap (s->p, &c))
    CU_ASSERT_EQUAL (c.id, 5);
  return c;
}
