/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "fuzz/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

#define EVENTS_MAX 4096
#define TICKS_MAX 64
#define ENGINES_MAX 8
#define TX_BYTES_MAX (64u << 20)
#define START_NS 1000000000ull

#define CHECK(what, rule)                                                     \
  do {                                                                        \
    if (!(what))                                                              \
      broken (rule, #what);                                                   \
  } while (0)

struct asked {
  bool used;
  struct proto_request r;
  uint8_t *data;
};

struct run {
  const struct proto_ops *ops;
  const struct drive_param *params;
  struct proto *p;
  struct volume_info info;
  bool ready, leaving;
  uint64_t now_ns;
  unsigned engines;
  uint64_t next_tag;
  size_t piece_bytes; /* of one rx_done at most */
  uint32_t random;
  size_t tx_bytes;
  uint64_t trace; /* a hash of all that the engine said */
  uint8_t identity[PROTO_IDENTITY_BYTES];
  uint8_t moved[PROTO_WANT_BYTES];
  size_t moved_bytes;
  uint8_t seed;
  struct asked asked[PROTO_REQUESTS];
};

static _Noreturn void
broken (const char *rule, const char *what)
{
  fprintf (stderr, "fuzz: %s does not hold: %s\n", rule, what);
  abort ();
}

static void
note (struct run *d, const void *bytes, size_t n)
{
  const uint8_t *b = bytes;

  for (size_t i = 0; i < n; i++)
    d->trace = (d->trace ^ b[i]) * 0x100000001b3ull;
}

static void
note_u64 (struct run *d, uint64_t v)
{
  note (d, &v, sizeof v);
}

static const char *
get_param (void *ctx, const char *key)
{
  const struct run *d = ctx;

  for (const struct drive_param *p = d->params; p->key; p++)
    if (strcmp (p->key, key) == 0)
      return p->value;
  return NULL;
}

static size_t
data_bytes (const struct proto_request *r)
{
  switch (r->op) {
  case IO_READ:
  case IO_WRITE:
    return r->length;
  case IO_STATUS:
    return IO_EXTENTS_MAX * sizeof (struct io_extent);
  default:
    return 0;
  }
}

static void
forget_requests (struct run *d)
{
  for (unsigned i = 0; i < PROTO_REQUESTS; i++) {
    free (d->asked[i].data);
    d->asked[i] = (struct asked){0};
  }
}

static void
open_engine (struct run *d, size_t moved_bytes)
{
  struct proto_config c = {.get = get_param, .ctx = d,
                           .identity = d->identity,
                           .moved = moved_bytes ? d->moved : NULL,
                           .moved_bytes = moved_bytes};
  struct fault f = {0};

  memset (c.seed, d->seed, sizeof c.seed);
  d->ready = d->leaving = false;
  d->engines++;
  if (d->ops->open (&c, d->now_ns, &d->p, &f))
    d->p = NULL;
}

static void
close_engine (struct run *d)
{
  if (d->p)
    d->ops->close (d->p);
  d->p = NULL;
  forget_requests (d);
}

/* -------------------------------------------------------------- checks --- */

/* D6 */
static void
check_extents (const struct run *d, const struct asked *a, uint32_t n)
{
  const struct io_extent *e = (const struct io_extent *)(void *)a->data;
  uint64_t sum = 0;

  (void)d;
  CHECK (n > 0 && n <= IO_EXTENTS_MAX, "D6");
  for (uint32_t i = 0; i < n; i++) {
    CHECK (e[i].length > 0, "D6");
    CHECK (e[i].length <= a->r.length - sum, "D6");
    CHECK (!(e[i].flags & ~(IO_EXTENT_HOLE | IO_EXTENT_ZERO)), "D6");
    sum += e[i].length;
  }
}

static void
reap (struct run *d)
{
  struct proto_completion c;

  while (d->ops->state (d->p) == PROTO_READY && d->ops->reap (d->p, &c)) {
    struct asked *a;

    CHECK (c.id < PROTO_REQUESTS && d->asked[c.id].used, "D1");
    a = &d->asked[c.id];
    note_u64 (d, a->r.tag);
    note_u64 (d, (uint64_t)c.error);
    if (!c.error && a->r.op == IO_READ)
      note (d, a->data, a->r.length);
    if (!c.error && a->r.op == IO_STATUS)
      check_extents (d, a, c.extents);
    else
      CHECK (c.extents == 0, "D6");
    if (a->r.op != IO_READ && a->r.op != IO_STATUS)
      note (d, c.token, sizeof c.token);
    free (a->data);
    *a = (struct asked){0};
  }
}

static void
transmit (struct run *d)
{
  struct iovec iov[PROTO_TX_IOV];

  for (;;) {
    size_t n = d->ops->tx_iov (d->p, iov, PROTO_TX_IOV), total = 0, taken;

    CHECK (n <= PROTO_TX_IOV, "D2");
    if (!n)
      return;
    for (size_t i = 0; i < n; i++)
      total += iov[i].iov_len;
    CHECK (total > 0, "D2");
    taken = total < d->piece_bytes ? total : d->piece_bytes;
    for (size_t i = 0, left = taken; left; i++) {
      size_t k = iov[i].iov_len < left ? iov[i].iov_len : left;

      note (d, iov[i].iov_base, k);
      left -= k;
    }
    d->ops->tx_done (d->p, taken);
    CHECK ((d->tx_bytes += taken) < TX_BYTES_MAX, "D5");
  }
}

static void
ask (struct run *d)
{
  struct proto_want w;

  if (!d->ops->want)
    return;
  while (d->ops->want (d->p, &w)) {
    note_u64 (d, w.type);
    note_u64 (d, w.data_bytes);
    CHECK (w.data_bytes <= sizeof w.data, "D2");
    note (d, w.data, w.data_bytes);
    if (w.type == PROTO_WANT_MOVE) {
      memcpy (d->moved, w.data, w.data_bytes);
      d->moved_bytes = w.data_bytes;
      return;
    }
  }
}

/* What the worker's loop does in each turn. */
static void
settle (struct run *d)
{
  for (unsigned ticks = 0; d->p; ticks++) {
    enum proto_state state = d->ops->state (d->p);

    if (state == PROTO_FAILED) {
      const struct fault *f = d->ops->fault (d->p);

      CHECK (f && f->code && f->text[0], "D4");
      note (d, f->text, strlen (f->text));
      close_engine (d);
      return;
    }
    if (state == PROTO_READY && !d->ready) {
      d->ready = true;
      d->ops->info (d->p, &d->info);
      CHECK (volume_info_check (&d->info), "D3");
      note_u64 (d, d->info.size);
      note_u64 (d, d->info.caps);
    }
    reap (d);
    ask (d);
    transmit (d);
    if (d->ops->deadline_ns (d->p) > d->now_ns)
      return;
    CHECK (ticks < TICKS_MAX, "D5");
    d->ops->tick (d->p, d->now_ns);
  }
}

/* -------------------------------------------------------------- events --- */

static size_t
next_piece (struct run *d, size_t most)
{
  if (d->piece_bytes == SIZE_MAX)
    return most;
  d->random = d->random * 1664525u + 1013904223u;
  if (most > d->piece_bytes)
    most = d->piece_bytes;
  return 1 + (d->random >> 16) % most;
}

static void
on_server (struct run *d, struct wire *w)
{
  size_t n = wire_u16 (w);
  const uint8_t *bytes;

  if (n > wire_left (w))
    n = wire_left (w);
  bytes = wire_bytes (w, n);
  while (n && d->p && !w->err) {
    struct iovec to = d->ops->rx_iov (d->p);
    size_t k;

    CHECK (to.iov_len > 0, "D2");
    k = next_piece (d, to.iov_len < n ? to.iov_len : n);
    memcpy (to.iov_base, bytes, k);
    bytes += k;
    n -= k;
    if (d->ops->rx_done (d->p, k, d->now_ns))
      CHECK (d->ops->state (d->p) == PROTO_FAILED, "D4");
    /* What is left belongs to a session that is over. */
    if (d->ops->state (d->p) == PROTO_FAILED)
      break;
  }
}

static void
on_request (struct run *d, struct wire *w)
{
  static const enum io_op ops[] = {IO_READ, IO_WRITE, IO_FLUSH, IO_TRIM,
                                   IO_ZERO, IO_STATUS};
  struct proto_request r = {
    .op = ops[wire_u8 (w) % (sizeof ops / sizeof ops[0])]};
  uint8_t flags = wire_u8 (w);
  uint64_t offset = (uint64_t)wire_u32 (w) * 512 + (flags & 0x80 ? 1 : 0);
  uint32_t length = wire_u16 (w) * 512u + (flags & 0x40 ? 1 : 0);
  struct asked *a = NULL;

  if (w->err || !d->p || !d->ready || d->leaving)
    return;
  for (unsigned i = 0; i < PROTO_REQUESTS && !a; i++)
    if (!d->asked[i].used) {
      a = &d->asked[i];
      r.id = i;
    }
  if (!a)
    return;
  if (length > DRIVE_REQUEST_BYTES)
    length = DRIVE_REQUEST_BYTES;
  if (d->info.block_min > 1 && !(flags & 0x20)) {
    offset -= offset % d->info.block_min;
    length -= length % d->info.block_min;
  }
  /* proto.h: the caller has checked that */
  if (r.op == IO_FLUSH)
    offset = length = 0;
  else if (offset >= d->info.size)
    return;
  else if (length > d->info.size - offset)
    length = (uint32_t)(d->info.size - offset);
  if (r.op != IO_FLUSH && !length)
    return;
  r.offset = offset;
  r.length = length;
  r.flags = r.op == IO_WRITE || r.op == IO_TRIM ? flags & IO_FUA
            : r.op == IO_ZERO ? flags & (IO_FUA | IO_NO_HOLE)
                              : 0;
  r.tag = d->next_tag++;
  a->r = r;
  if (data_bytes (&r)) {
    a->data = malloc (data_bytes (&r));
    if (!a->data)
      return;
    memset (a->data, (int)r.tag, data_bytes (&r));
    a->r.data = a->data;
  }
  a->used = true;
  if (d->ops->submit (d->p, &a->r, d->now_ns)) {
    free (a->data);
    *a = (struct asked){0};
  }
}

static void
take_short (struct wire *w, uint8_t *dst, size_t *ret_bytes)
{
  size_t n = wire_u8 (w);
  const uint8_t *b;

  if (n > wire_left (w))
    n = wire_left (w);
  b = wire_bytes (w, n);
  if (b)
    memcpy (dst, b, n);
  *ret_bytes = b ? n : 0;
}

static void
on_given (struct run *d, struct wire *w)
{
  struct proto_given g = {0};
  size_t name_bytes;

  g.type = PROTO_WANT_CHAP + wire_u8 (w) % 2;
  g.error = wire_u8 (w) & 1 ? ERR_AUTH : ERR_OK;
  g.id = wire_u8 (w);
  take_short (w, (uint8_t *)g.name, &name_bytes);
  g.name[name_bytes < sizeof g.name ? name_bytes : sizeof g.name - 1] = 0;
  take_short (w, g.data, &g.data_bytes);
  take_short (w, g.challenge, &g.challenge_bytes);
  if (d->p && d->ops->give)
    d->ops->give (d->p, &g, d->now_ns);
}

static bool
event (struct run *d, struct wire *w)
{
  switch (wire_u8 (w)) {
  case 'S':
    on_server (d, w);
    break;
  case 'R':
    on_request (d, w);
    break;
  case 'T':
    d->now_ns += 1000ull << (wire_u8 (w) % 28);
    break;
  case 'E':
    close_engine (d);
    if (d->engines < ENGINES_MAX)
      open_engine (d, 0);
    break;
  case 'M':
    close_engine (d);
    if (d->engines < ENGINES_MAX)
      open_engine (d, d->moved_bytes);
    break;
  case 'G':
    on_given (d, w);
    break;
  case 'L':
    if (d->p && d->ready && d->ops->leave && !d->leaving) {
      d->leaving = true;
      d->ops->leave (d->p, d->now_ns);
    }
    break;
  default:
    return false;
  }
  if (d->p)
    settle (d);
  return !w->err;
}

static uint64_t
run_once (const struct proto_ops *ops, const struct drive_param *params,
          const uint8_t *input, size_t input_bytes, size_t piece_bytes)
{
  struct run *d = calloc (1, sizeof *d);
  struct wire w = wire_init (input, input_bytes);
  uint64_t trace;

  if (!d)
    return 0;
  d->ops = ops;
  d->params = params;
  d->piece_bytes = piece_bytes;
  d->trace = 0xcbf29ce484222325ull;
  d->now_ns = START_NS;
  d->seed = wire_u8 (&w);
  d->random = d->seed;
  open_engine (d, 0);
  if (d->p)
    settle (d);
  for (unsigned i = 0; i < EVENTS_MAX && wire_left (&w) && event (d, &w); i++)
    ;
  close_engine (d);
  trace = d->trace;
  free (d);
  return trace;
}

void
drive (const struct proto_ops *ops, const struct drive_param *params,
       const uint8_t *input, size_t input_bytes)
{
  uint64_t whole = run_once (ops, params, input, input_bytes, SIZE_MAX);
  uint64_t split = run_once (ops, params, input, input_bytes, 7);

  CHECK (whole == split, "D7");
}
