/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "fuzz/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/wire.h"
#include "fuzz/refusals.h"
#include "fuzz/target.h"

#define EVENTS_MAX 4096
#define TICKS_MAX 64
#define ENGINES_MAX 8
#define TX_BYTES_MAX (64u << 20)
#define START_NS 1000000000ull
#define PARAMS_BYTES 2048
#define WELCOME_BYTES 2048u
/* Answers and pauses at the end of a run. */
#define CLOSING_STEPS 4096u
/* No engine pauses that long before it asks again. */
#define CLOSING_NS (600 * 1000000000ull)
#define TIME_MAX_NS (1ull << 52)

#define CHECK(what, rule)                                                     \
  do {                                                                        \
    if (!(what))                                                              \
      broken (rule, #what);                                                   \
  } while (0)

struct asked {
  bool used;
  struct proto_request r;
  uint8_t *data;
  uint8_t *times; /* WRITE: how often each byte was sent */
  uint64_t news; /* run.news when it was asked */
};

struct run {
  const struct proto_ops *ops;
  const struct drive_param *params;
  struct proto *p;
  struct volume_info info;
  bool ready, leaving;
  bool reaped; /* at least one */
  uint64_t now_ns;
  unsigned engines;
  uint64_t next_tag;
  bool split; /* in small pieces */
  uint32_t random;
  size_t tx_bytes, asked_bytes;
  uint64_t news; /* events and ticks: reasons to send something again */
  unsigned writes; /* in flight */
  uint64_t trace; /* a hash of all that the engine said, */
  uint8_t traced[8]; /* and what is not in it yet, */
  size_t traced_bytes; /* of so many */
  uint8_t *identity; /* PROTO_IDENTITY_BYTES */
  uint8_t *handed; /* what this engine was told at open: its very size */
  uint8_t moved[PROTO_WANT_BYTES];
  size_t moved_bytes;
  char text[PARAMS_BYTES]; /* parameters that the input has */
  size_t text_bytes;
  bool begun, probing;
  uint8_t seed[16];
  uint8_t connection;
  unsigned lanes; /* of this engine */
  unsigned next_lanes, lanes_wanted; /* of the next one */
  bool gone[PROTO_LANES_MAX];
  bool moving; /* it wants to be elsewhere */
  struct refusals *refusals[PROTO_LANES_MAX];
  struct asked asked[PROTO_REQUESTS];
};

static _Noreturn void
broken (const char *rule, const char *what)
{
  fprintf (stderr, "fuzz: %s does not hold: %s\n", rule, what);
  abort ();
}

static inline uint64_t
mix (uint64_t trace, const uint8_t bytes[8])
{
  uint64_t v;

  memcpy (&v, bytes, sizeof v);
  trace = (trace ^ v) * 0x9e3779b97f4a7c15ull;
  return trace ^ trace >> 32;
}

/* Eight bytes at a time, however they come: most of a run is this. */
NOT_TRACED static void
note (struct run *d, const void *bytes, size_t n)
{
  const uint8_t *b = bytes;

  while (n) {
    size_t k = sizeof d->traced - d->traced_bytes;

    for (; k == sizeof d->traced && n >= k; n -= k, b += k)
      d->trace = mix (d->trace, b);
    if (k > n)
      k = n;
    memcpy (d->traced + d->traced_bytes, b, k);
    b += k;
    n -= k;
    d->traced_bytes += k;
    if (d->traced_bytes == sizeof d->traced) {
      d->trace = mix (d->trace, d->traced);
      d->traced_bytes = 0;
    }
  }
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
  size_t key_bytes = strlen (key);

  if (d->text_bytes) {
    for (const char *t = d->text; t < d->text + d->text_bytes;
         t += strlen (t) + 1)
      if (strncmp (t, key, key_bytes) == 0 && t[key_bytes] == '=')
        return t + key_bytes + 1;
    return NULL;
  }
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
    free (d->asked[i].times);
    d->asked[i] = (struct asked){0};
  }
  d->writes = 0;
}

static void
begin_refusals (struct run *d)
{
  static const enum refusals_protocol protocols[]
    = {['s'] = REFUSE_SFTP, ['i'] = REFUSE_ISCSI, ['n'] = REFUSE_NFS};

  for (unsigned i = 0; i < d->lanes; i++) {
    if (!d->refusals[i])
      d->refusals[i] = malloc (sizeof *d->refusals[i]);
    if (d->refusals[i])
      refusals_init (d->refusals[i], protocols[(uint8_t)d->ops->name[0]]);
  }
}

static void
open_engine (struct run *d, size_t moved_bytes)
{
  struct proto_config c = {.get = get_param,
                           .ctx = d,
                           .identity = d->identity,
                           .connection = d->connection,
                           .lanes = d->next_lanes,
                           .lanes_wanted = d->lanes_wanted};
  struct fault f = {0};

  d->begun = true;
  d->lanes = d->next_lanes;
  d->ready = d->leaving = d->probing = d->reaped = d->moving = false;
  memset (d->gone, 0, sizeof d->gone);
  d->engines++;
  begin_refusals (d);
  if (moved_bytes) {
    d->handed = malloc (moved_bytes);
    if (!d->handed)
      return;
    memcpy (d->handed, d->moved, moved_bytes);
    c.moved = d->handed;
    c.moved_bytes = moved_bytes;
  }
  memcpy (c.seed, d->seed, sizeof c.seed);
  if (d->ops->open (&c, d->now_ns, &d->p, &f)) {
    CHECK (f.text[0], "D4");
    d->p = NULL;
  }
}

static void
close_engine (struct run *d)
{
  if (d->p)
    d->ops->close (d->p);
  d->p = NULL;
  free (d->handed);
  d->handed = NULL;
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

/* D12: the same bytes go out again only when something has happened. */
NOT_TRACED static void
count_sent (const struct run *d, struct asked *a, const uint8_t *from,
            size_t n)
{
  uint8_t *times = a->times + (from - a->data), most = 0;
  uint64_t may = 1 + d->news - a->news;

  CHECK (a->r.op == IO_WRITE, "D12");
  CHECK (n <= (size_t)(a->data + a->r.length - from), "D12");
  if (d->ops->transport == PROTO_OVER_SSH_SUBSYSTEM)
    may = 1; /* SFTP has no reason that is good */
  for (size_t i = 0; i < n; i++) {
    times[i] += times[i] < UINT8_MAX;
    most = times[i] > most ? times[i] : most;
  }
  CHECK (most <= may || most == UINT8_MAX, "D12");
}

/* What goes out is the engine's own, or of a request. */
NOT_TRACED static void
find_sent (struct run *d, const struct iovec *v, size_t n)
{
  uintptr_t from = (uintptr_t)v->iov_base;

  for (unsigned i = 0; i < PROTO_REQUESTS; i++) {
    struct asked *a = &d->asked[i];

    if (a->used && a->data && from >= (uintptr_t)a->data
        && from - (uintptr_t)a->data < data_bytes (&a->r)) {
      count_sent (d, a, v->iov_base, n);
      return;
    }
  }
}

/* D11 */
NOT_TRACED static void
check_sent (const struct asked *a)
{
  uint8_t least = UINT8_MAX;

  for (size_t i = 0; i < a->r.length; i++)
    least = a->times[i] < least ? a->times[i] : least;
  CHECK (least > 0, "D11");
}

static void
forget (struct run *d, struct asked *a)
{
  d->writes -= a->r.op == IO_WRITE;
  free (a->data);
  free (a->times);
  *a = (struct asked){0};
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
    if (!c.error && a->r.op == IO_WRITE)
      check_sent (a);
    if (!c.error && a->r.op == IO_STATUS)
      check_extents (d, a, c.extents);
    else
      CHECK (c.extents == 0, "D6");
    if (a->r.op != IO_READ && a->r.op != IO_STATUS)
      note (d, c.token, sizeof c.token);
    d->reaped = true;
    forget (d, a);
  }
}

/* Pieces of all sizes, but not so many small ones that long data take long. */
static size_t
next_piece (struct run *d, size_t most)
{
  if (!d->split)
    return most;
  d->random = d->random * 1664525u + 1013904223u;
  if (most > 7 && (d->random & 0x300))
    most = most > 16 * 7 ? most / 16 : 7;
  return 1 + (d->random >> 16) % most;
}

/* False: there was nothing. */
static bool
transmit_on (struct run *d, unsigned lane)
{
  struct iovec iov[PROTO_TX_IOV];

  for (bool any = false;; any = true) {
    size_t n = d->ops->tx_iov (d->p, lane, iov, PROTO_TX_IOV), total = 0, taken;

    CHECK (n <= PROTO_TX_IOV, "D2");
    if (!n)
      return any;
    if (lane && !any)
      note_u64 (d, lane);
    for (size_t i = 0; i < n; i++)
      total += iov[i].iov_len;
    CHECK (total > 0, "D2");
    taken = next_piece (d, total);
    for (size_t i = 0, left = taken; left; i++) {
      size_t k = iov[i].iov_len < left ? iov[i].iov_len : left;

      note (d, iov[i].iov_base, k);
      if (d->writes)
        find_sent (d, &iov[i], k);
      if (d->refusals[lane])
        refusals_sent (d->refusals[lane], iov[i].iov_base, k);
      left -= k;
    }
    d->ops->tx_done (d->p, lane, taken);
    CHECK ((d->tx_bytes += taken) < TX_BYTES_MAX, "D5");
  }
}

/* Until a round over all lanes has found nothing. */
static void
transmit (struct run *d)
{
  bool any = true;

  for (unsigned rounds = 0; any; rounds++) {
    CHECK (rounds < EVENTS_MAX, "D5");
    any = false;
    for (unsigned i = 0; i < d->lanes; i++)
      if (!d->gone[i])
        any |= transmit_on (d, i);
    if (d->lanes == 1)
      return;
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
      d->moving = true;
      memcpy (d->moved, w.data, w.data_bytes);
      d->moved_bytes = w.data_bytes;
      return;
    }
  }
}

/* D8 */
static void
take_probed (struct run *d)
{
  uint64_t change, size;

  if (!d->ops->probed || !d->ops->probed (d->p, &change, &size))
    return;
  CHECK (d->probing, "D8");
  d->probing = false;
  note_u64 (d, change);
  note_u64 (d, size);
}

/* D9 */
static void
listen_to_it (struct run *d)
{
  char line[PROTO_SAY_BYTES];

  for (unsigned i = 0; d->ops->say && d->ops->say (d->p, line); i++) {
    CHECK (i < EVENTS_MAX && memchr (line, 0, sizeof line), "D9");
    note (d, line, strlen (line));
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
    take_probed (d);
    listen_to_it (d);
    ask (d);
    transmit (d);
    if (d->ops->deadline_ns (d->p) > d->now_ns)
      return;
    CHECK (ticks < TICKS_MAX, "D5");
    d->news++;
    d->ops->tick (d->p, d->now_ns);
  }
}

/* -------------------------------------------------------------- events --- */

static void
say_to_it (struct run *d, unsigned lane, const uint8_t *bytes, size_t n)
{
  while (n && d->p && !d->gone[lane]) {
    struct iovec to = d->ops->rx_iov (d->p, lane);
    size_t k;

    CHECK (to.iov_len > 0, "D2");
    k = next_piece (d, to.iov_len < n ? to.iov_len : n);
    memcpy (to.iov_base, bytes, k);
    if (d->refusals[lane])
      refusals_heard (d->refusals[lane], bytes, k);
    bytes += k;
    n -= k;
    if (d->ops->rx_done (d->p, lane, k, d->now_ns))
      CHECK (d->ops->state (d->p) == PROTO_FAILED, "D4");
    /* What is left belongs to a session that is over. */
    if (d->ops->state (d->p) == PROTO_FAILED)
      break;
  }
}

static void
on_server (struct run *d, unsigned lane, struct wire *w)
{
  size_t n = wire_u16 (w);
  const uint8_t *bytes;

  if (n > wire_left (w))
    n = wire_left (w);
  bytes = wire_bytes (w, n);
  if (bytes)
    say_to_it (d, lane, bytes, n);
}

static struct asked *
free_place (struct run *d, uint64_t *ret_id)
{
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    if (!d->asked[i].used) {
      *ret_id = i;
      return &d->asked[i];
    }
  return NULL;
}

static void
submit (struct run *d, struct asked *a)
{
  size_t n = data_bytes (&a->r);
  enum err e;

  if (n) {
    a->data = malloc (n);
    a->times = a->r.op == IO_WRITE ? calloc (1, n) : NULL;
    if (!a->data || (a->r.op == IO_WRITE && !a->times)) {
      forget (d, a);
      return;
    }
    /* D10: what a READ does not fill is not the same twice. */
    memset (a->data,
            (int)(d->split && a->r.op == IO_READ ? ~a->r.tag : a->r.tag), n);
    a->r.data = a->data;
  }
  a->used = true;
  a->news = d->news;
  d->asked_bytes += n;
  e = d->ops->submit (d->p, &a->r, d->now_ns);
  CHECK (e != ERR_AGAIN, "D1"); /* there is a free place, so it has one, too */
  if (e)
    forget (d, a);
}

static uint32_t
most_of (const struct run *d, enum io_op op)
{
  if (op == IO_READ || op == IO_WRITE || !d->info.range_max)
    return DRIVE_REQUEST_BYTES;
  return d->info.range_max;
}

/* As the client may ask, see proto.h: within the volume, no flags that an
 * operation does not have. Else the engine is not asked.
 */
static void
request (struct run *d, enum io_op op, uint8_t flags, uint64_t offset,
         uint64_t length, uint64_t tag)
{
  struct proto_request r = {.op = op, .tag = tag};
  struct asked *a;

  if (!d->p || !d->ready || d->leaving
      || d->asked_bytes + length > DRIVE_RUN_BYTES
      || !(a = free_place (d, &r.id)))
    return;
  if (length > most_of (d, op))
    length = most_of (d, op);
  if (op == IO_FLUSH)
    offset = length = 0;
  else if (offset >= d->info.size)
    return;
  else if (length > d->info.size - offset)
    length = d->info.size - offset;
  if (op != IO_FLUSH && !length)
    return;
  r.offset = offset;
  r.length = (uint32_t)length;
  r.flags = op == IO_WRITE || op == IO_TRIM ? flags & IO_FUA
            : op == IO_ZERO ? flags & (IO_FUA | IO_NO_HOLE)
                            : 0;
  a->r = r;
  d->writes += op == IO_WRITE;
  submit (d, a);
}

static enum io_op
take_op (struct wire *w)
{
  return IO_READ + wire_u8 (w) % (IO_STATUS - IO_READ + 1);
}

static void
on_request (struct run *d, struct wire *w)
{
  enum io_op op = take_op (w);
  uint8_t flags = wire_u8 (w);
  uint64_t offset = (uint64_t)wire_u32 (w) * 512 + (flags & 0x80 ? 1 : 0);
  uint32_t length = wire_u16 (w) * 512u + (flags & 0x40 ? 1 : 0);

  if (w->err)
    return;
  if (length > DRIVE_REQUEST_BYTES)
    length = DRIVE_REQUEST_BYTES;
  if (d->info.block_min > 1 && !(flags & 0x20)) {
    offset -= offset % d->info.block_min;
    length -= length % d->info.block_min;
  }
  request (d, op, flags, offset, length, d->next_tag++);
}

static void
on_exact_request (struct run *d, struct wire *w)
{
  enum io_op op = take_op (w);
  uint8_t flags = wire_u8 (w);
  uint64_t offset = wire_u64 (w);
  uint32_t length = wire_u32 (w);
  uint32_t tag = wire_u32 (w);

  if (!w->err)
    request (d, op, flags, offset, length, tag);
}

static void
on_probe (struct run *d)
{
  if (!d->p || !d->ready || d->leaving || d->probing || !d->ops->probe)
    return;
  d->probing = true;
  d->ops->probe (d->p, d->now_ns);
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

static void
pass_time (struct run *d, uint64_t ns)
{
  d->now_ns += ns < TIME_MAX_NS ? ns : TIME_MAX_NS;
}

static void
on_params (struct run *d, struct wire *w)
{
  size_t n = wire_u16 (w);
  const uint8_t *text = wire_bytes (w, n);

  if (!text || !n || n >= sizeof d->text || text[n - 1])
    return;
  memcpy (d->text, text, n);
  d->text_bytes = n;
}

static void
on_seed (struct run *d, struct wire *w)
{
  const uint8_t *seed = wire_bytes (w, sizeof d->seed);

  if (seed)
    memcpy (d->seed, seed, sizeof d->seed);
  d->connection = wire_u8 (w) % 8;
}

static void
on_lanes (struct run *d, struct wire *w)
{
  d->next_lanes = 1 + wire_u8 (w) % PROTO_LANES_MAX;
  d->lanes_wanted = 1 + wire_u8 (w) % PROTO_LANES_MAX;
}

static void
on_identity (struct run *d, struct wire *w)
{
  size_t at = wire_u16 (w), n = wire_u8 (w);
  const uint8_t *bytes = wire_bytes (w, n);

  if (bytes && at + n <= PROTO_IDENTITY_BYTES)
    memcpy (d->identity + at, bytes, n);
}

static void
on_moved (struct run *d, struct wire *w)
{
  size_t n = wire_u16 (w);
  const uint8_t *bytes = wire_bytes (w, n);

  if (!bytes || n > sizeof d->moved)
    return;
  memcpy (d->moved, bytes, n);
  d->moved_bytes = n;
}

/* What the next engine is started with. False: another kind of event. */
static bool
preparation (struct run *d, uint8_t tag, struct wire *w)
{
  switch (tag) {
  case 'P':
    on_params (d, w);
    return true;
  case 'Q':
    on_seed (d, w);
    return true;
  case 'W':
    on_lanes (d, w);
    return true;
  case 'I':
    on_identity (d, w);
    return true;
  case 'V':
    on_moved (d, w);
    return true;
  default:
    return false;
  }
}

/* As transport_tls.c does before TLS begins: never a byte more than is asked
 * for.
 */
static void
on_welcome (struct run *d, struct wire *w)
{
  size_t n = wire_u16 (w), have = 0, more = 0;
  const uint8_t *bytes = wire_bytes (w, n);
  uint8_t hello[PROTO_HELLO_BYTES];
  struct fault f = {0};
  enum err e;

  if (!bytes || !d->p || !d->ops->hello)
    return;
  n = n < WELCOME_BYTES ? n : WELCOME_BYTES;
  more = d->ops->hello (d->p, hello);
  CHECK (more <= sizeof hello, "D2");
  note (d, hello, more);
  if (!more)
    return;
  for (more = 0; more <= n - have;) {
    uint8_t *exact;

    have += more;
    exact = malloc (have ? have : 1);
    if (!exact)
      return;
    memcpy (exact, bytes, have);
    more = 0;
    e = d->ops->welcome (d->p, exact, have, &more, &f);
    free (exact);
    note_u64 (d, (uint64_t)e);
    if (e != ERR_AGAIN) {
      CHECK (!e || f.text[0], "D4");
      return;
    }
    CHECK (more > 0, "D2");
  }
}

static void
reopen (struct run *d, size_t moved_bytes)
{
  if (d->p && !moved_bytes && d->ops->lost)
    d->ops->lost (d->p, d->now_ns);
  close_engine (d);
  if (d->engines < ENGINES_MAX)
    open_engine (d, moved_bytes);
}

/* As the worker's loop does it. */
static void
on_lane_end (struct run *d, unsigned lane)
{
  if (!d->p || d->gone[lane])
    return;
  d->gone[lane] = true;
  if (lane == 0 || !d->ops->lane_lost
      || !d->ops->lane_lost (d->p, lane, d->now_ns))
    reopen (d, 0);
}

static unsigned
take_lane (const struct run *d, struct wire *w)
{
  return wire_u8 (w) % d->lanes;
}

/* False: there is no such event. */
static bool
happen (struct run *d, uint8_t tag, struct wire *w)
{
  switch (tag) {
  case 'S':
    on_server (d, 0, w);
    return true;
  case 's':
    on_server (d, take_lane (d, w), w);
    return true;
  case 'D':
    on_lane_end (d, take_lane (d, w));
    return true;
  case 'R':
    on_request (d, w);
    return true;
  case 'r':
    on_exact_request (d, w);
    return true;
  case 'p':
    on_probe (d);
    return true;
  case 'T':
    pass_time (d, 1000ull << (wire_u8 (w) % 28));
    return true;
  case 'N':
    pass_time (d, wire_u64 (w));
    return true;
  case 'E':
    reopen (d, 0);
    return true;
  case 'M':
    reopen (d, d->moved_bytes);
    return true;
  case 'G':
    on_given (d, w);
    return true;
  case 'H':
    on_welcome (d, w);
    return true;
  case 'L':
    if (d->p && d->ready && d->ops->leave && !d->leaving) {
      d->leaving = true;
      d->ops->leave (d->p, d->now_ns);
    }
    return true;
  default:
    return false;
  }
}

static bool
event (struct run *d, struct wire *w)
{
  uint8_t tag = wire_u8 (w);

  if (preparation (d, tag, w))
    return !w->err;
  if (!d->begun) {
    open_engine (d, d->moved_bytes);
    if (d->p && tag != 'H')
      settle (d);
  }
  d->news++;
  if (!happen (d, tag, w))
    return false;
  if (d->p)
    settle (d);
  return !w->err;
}

static unsigned
in_flight (const struct run *d)
{
  unsigned n = 0;

  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    n += d->asked[i].used;
  return n;
}

/* Whose messages can be told apart, and may be answered. */
static bool
can_be_closed (const struct run *d)
{
  const char *digests[]
    = {get_param ((void *)d, "header-digest"),
       get_param ((void *)d, "data-digest")};

  if (!d->p || !d->ready || d->leaving || d->moving)
    return false;
  for (unsigned i = 0; i < 2; i++)
    if (digests[i] && strcmp (digests[i], "none") != 0)
      return false;
  for (unsigned i = 0; i < d->lanes; i++)
    if (!d->refusals[i] || d->refusals[i]->lost || d->refusals[i]->fragment)
      return false;
  return true;
}

/* The rest of a message that the input has begun: of zeroes. False: there is
 * none that is known of.
 */
static bool
end_message (struct run *d, unsigned lane)
{
  static const uint8_t zeroes[1024];
  size_t n = refusals_rest (d->refusals[lane]);

  if (!n)
    return false;
  say_to_it (d, lane, zeroes, n < sizeof zeroes ? n : sizeof zeroes);
  return true;
}

/* False: there was nothing to say. A ping that is answered (NOP-Out, NULL) is
 * no work that is done.
 */
static bool
refuse_one (struct run *d, uint64_t *work_ns)
{
  uint8_t answer[REFUSALS_ANSWER_BYTES];

  for (unsigned i = 0; i < d->lanes; i++) {
    size_t n = d->gone[i] ? 0 : refusals_answer (d->refusals[i], answer);

    if (!d->gone[i] && end_message (d, i))
      return true;
    if (n) {
      if (d->refusals[i]->pending[0].kind)
        *work_ns = d->now_ns;
      say_to_it (d, i, answer, n);
      return true;
    }
  }
  return false;
}

/* D13: the server refuses whatever it has been asked, and time passes. */
static void
close_session (struct run *d)
{
  uint64_t work_ns = d->now_ns;

  for (unsigned step = 0; step < CLOSING_STEPS; step++) {
    uint64_t until_ns;

    if (!can_be_closed (d) || !(in_flight (d) || d->probing))
      return;
    d->news++;
    if (!refuse_one (d, &work_ns)) {
      until_ns = d->ops->deadline_ns (d->p);
      CHECK (until_ns != PROTO_NO_DEADLINE, "D13");
      CHECK (d->now_ns - work_ns < CLOSING_NS, "D13");
      d->now_ns = until_ns > d->now_ns ? until_ns : d->now_ns;
    }
    settle (d);
  }
}

/* D1: whatever was answered has left its place, so that there is one for each
 * request that may be in flight. What is asked here is not sent.
 */
NOT_TRACED static void
fill_up (struct run *d)
{
  struct proto_request r = {.op = IO_READ, .length = 1};

  if (!d->p || !d->ready || d->leaving || !d->reaped)
    return;
  if (d->info.block_min > 1)
    r.length = d->info.block_min;
  if (r.length > d->info.size || !(r.data = malloc (r.length)))
    return;
  r.tag = d->next_tag;
  for (unsigned n = in_flight (d); n < PROTO_REQUESTS; n++, r.tag++)
    CHECK (d->ops->submit (d->p, &r, d->now_ns) != ERR_AGAIN, "D1");
  d->ops->close (steal (&d->p));
  free (r.data);
}

static uint64_t
run_once (const struct proto_ops *ops, const struct drive_param *params,
          const uint8_t *input, size_t input_bytes, bool split)
{
  struct run *d = calloc (1, sizeof *d);
  struct wire w = wire_init (input, input_bytes);
  uint64_t trace;

  if (!d || !(d->identity = calloc (1, PROTO_IDENTITY_BYTES))) {
    free (d);
    return 0;
  }
  d->ops = ops;
  d->params = params;
  d->split = split;
  d->trace = 0xcbf29ce484222325ull;
  d->now_ns = START_NS;
  d->lanes = d->next_lanes = d->lanes_wanted = 1;
  d->random = wire_u8 (&w);
  memset (d->seed, (int)d->random, sizeof d->seed);
  for (unsigned i = 0; i < EVENTS_MAX && wire_left (&w) && event (d, &w); i++)
    ;
  close_session (d);
  fill_up (d);
  close_engine (d);
  for (unsigned i = 0; i < PROTO_LANES_MAX; i++)
    free (d->refusals[i]);
  note (d, d->identity, PROTO_IDENTITY_BYTES);
  note_u64 (d, d->asked_bytes); /* and what was not in the trace yet */
  trace = d->trace;
  free (d->identity);
  free (d);
  return trace;
}

void
drive (const struct proto_ops *ops, const struct drive_param *params,
       const uint8_t *input, size_t input_bytes)
{
  uint64_t whole = run_once (ops, params, input, input_bytes, false);
  uint64_t split = run_once (ops, params, input, input_bytes, true);

  CHECK (whole == split, "D7");
}
