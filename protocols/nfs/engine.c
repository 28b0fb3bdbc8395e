/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine as proto.h wants it, and the choice of a dialect.
 *
 *   PROBING   a NULL call asks whether the server has the candidate's version
 *   DIALECT   the candidate's start-up, then its session
 *   MOVED     PROTO_WANT_MOVE was raised: nothing more happens here
 */
#include "config.h"
#include "protocols/nfs/nfs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/nfs/engine.h"
#include "protocols/nfs/mount.h"

/* What NBD clients are told to prefer: 4 KiB is the page size of those that
 * ask, and no client must be made to read more than it wants.
 */
#define BLOCK_PREFERRED_BYTES 4096u

/* The best first. */
static const struct nfs_dialect *const candidates[]
    = {&nfs_v42, &nfs_v41, &nfs_v3};
#define CANDIDATES (sizeof candidates / sizeof candidates[0])

struct proto {
  struct nfs nfs;
};

/* ------------------------------------------------- the choice of a dialect */

static const struct rpc_procedure null_call[] = {
    [3] = {NFS_PROGRAM, 3, 0, "NULL of NFS version 3", 0},
    [4] = {NFS_PROGRAM, 4, 0, "NULL of NFS version 4", 0},
};

static bool
may_be (const struct nfs *n, const struct nfs_dialect *d)
{
  uint8_t before = nfs_identity_dialect (n);

  if (n->options.exclusive && d->version == 3)
    return false; /* it cannot deny anything to anybody */
  if (n->options.version[0])
    return strcmp (n->options.version, d->wanted) == 0;
  return !before || before == d->id;
}

/* The next candidate that the user and earlier sessions leave; false: none. */
static bool
next_candidate (struct nfs *n, unsigned from)
{
  for (unsigned i = from; i < CANDIDATES; i++)
    if (may_be (n, candidates[i])) {
      n->candidate = i;
      return true;
    }
  return false;
}

static void
drop_dialect (struct nfs *n)
{
  if (n->dialect && n->dialect->fini)
    n->dialect->fini (n);
  n->dialect = NULL;
  free (n->own);
  n->own = NULL;
}

static void
probe (struct nfs *n)
{
  struct rpc_message m;

  drop_dialect (n);
  m = nfs_begin (n, &null_call[candidates[n->candidate]->version], 0);
  nfs_send (n, &m);
}

static enum err
start (struct nfs *n, const struct nfs_dialect *d, uint64_t now_ns,
       struct fault *f)
{
  n->own = calloc (1, d->own_bytes ? d->own_bytes : 1);
  if (!n->own)
    return fault_set (f, ERR_NOMEM, "out of memory");
  n->dialect = d;
  return d->start (n, now_ns, f);
}

/* The candidate failed: with e, why in f. Is there another one? */
static enum err
try_next (struct nfs *n, enum err e, struct fault *f)
{
  bool declined = e == ERR_VERSION || e == ERR_NOENT || e == ERR_ACCESS;

  if (!declined || n->stage_only)
    return e;
  /* That it lacks a version says less than what another one found. */
  if (e == ERR_VERSION && n->declined.code)
    *f = n->declined;
  else
    n->declined = *f;
  if (!next_candidate (n, n->candidate + 1))
    return n->declined.code;
  *f = (struct fault){0};
  probe (n);
  return ERR_OK;
}

static enum err
on_probe (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
          uint64_t now_ns, struct fault *f)
{
  enum err e;

  if (r->outcome != RPC_SUCCESS)
    return rpc_reply_fault (r, call->procedure, f);
  xdr_end (&r->x, "results of NULL, RFC 1813 §3.3.0, RFC 8881 §16.1");
  e = xdr_fault (&r->x, call->procedure->name, f);
  return e ? e : start (n, candidates[n->candidate], now_ns, f);
}

/* ------------------------------------------------------------- replies --- */

static enum err
on_piece (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
          uint64_t now_ns, struct fault *f)
{
  const struct nfs_piece *p = &n->transfer.piece[call->piece];
  struct nfs_result result = {.verdict = NFS_DONE};
  enum err e;

  if (r->outcome != RPC_SUCCESS)
    return rpc_reply_fault (r, call->procedure, f);
  e = n->dialect->result (n, call, p, r, now_ns, &result, f);
  if (!e)
    nfs_transfer_result (n, call->piece, &result, now_ns);
  return e;
}

static enum err
sink_reply (void *ctx, const struct rpc_call *call, struct rpc_reply *r,
            uint64_t now_ns, struct fault *f)
{
  struct nfs *n = ctx;
  enum err e;

  if (n->want.type) /* moved */
    return ERR_OK;
  if (call->piece != RPC_NO_PIECE)
    return on_piece (n, call, r, now_ns, f);
  if (n->dialect)
    e = n->dialect->reply (n, call, r, now_ns, f);
  else
    e = on_probe (n, call, r, now_ns, f);
  return e && n->state == PROTO_STARTING ? try_next (n, e, f) : e;
}

static enum err
sink_locate (void *ctx, const struct rpc_call *call, struct xdr *x,
             struct iovec *ret, struct fault *f)
{
  struct nfs *n = ctx;
  const struct nfs_piece *p;
  struct nfs_located l = {0};
  enum err e;

  if (call->piece == RPC_NO_PIECE || n->want.type)
    return ERR_OK;
  p = &n->transfer.piece[call->piece];
  e = n->dialect->locate (n, call, p, x, &l, f);
  if (e || x->bad || !l.found)
    return e;
  if (l.at > p->length || l.bytes > p->length - l.at)
    return fault_set (f, ERR_PEER,
                      "the server sends %u bytes of data where %u were asked "
                      "for (%s, field data, RFC 1813 §3.3.6, RFC 8881 §18.22)",
                      l.bytes, p->length, call->procedure->name);
  *ret = (struct iovec){p->data + l.at, l.bytes};
  return ERR_OK;
}

/* --------------------------------------------------- what dialects call --- */

bool
nfs_has_room (const struct nfs *n, unsigned lane, size_t arguments_bytes)
{
  return rpc_ready (&n->lanes.lane[lane].rpc, arguments_bytes);
}

struct rpc_message
nfs_begin_on (struct nfs *n, unsigned lane,
              const struct rpc_procedure *procedure, uint16_t step)
{
  struct rpc_message m
      = rpc_begin (&n->lanes.lane[lane].rpc, procedure, nfs_xid (n));

  m.call->step = step;
  return m;
}

struct rpc_message
nfs_begin (struct nfs *n, const struct rpc_procedure *procedure, uint16_t step)
{
  return nfs_begin_on (n, 0, procedure, step);
}

void
nfs_send_on (struct nfs *n, unsigned lane, struct rpc_message *m)
{
  rpc_send (&n->lanes.lane[lane].rpc, m);
}

void
nfs_send (struct nfs *n, struct rpc_message *m)
{
  nfs_send_on (n, 0, m);
  n->deadline_ns = n->now_ns + NFS_STEP_TIMEOUT_NS;
  n->step_name = m->call->procedure->name;
}

void
nfs_ready (struct nfs *n)
{
  struct volume_info *i = &n->info;

  assert (n->state == PROTO_STARTING);
  i->block_min = 1;
  i->block_preferred = BLOCK_PREFERRED_BYTES;
  i->request_max = NFS_IO_MAX_BYTES;
  if (n->listing.base || (i->caps & VOLUME_IS_LIST)) {
    i->caps = VOLUME_IS_LIST;
    i->size = n->listing.used_bytes;
  } else {
    assert (n->read_max_bytes > 0 && n->write_max_bytes > 0);
    if (!n->pieces_max || n->pieces_max > TRANSFER_PIECES)
      n->pieces_max = TRANSFER_PIECES;
    nfs_identity_choose (n, n->dialect->id);
  }
  /* From now on a file of another size is not what the user has seen. */
  nfs_identity_note_resized (n);
  n->state = PROTO_READY;
}

bool
nfs_wants_resize (const struct nfs *n, uint64_t size)
{
  return n->options.resize_bytes > 0 && size != n->options.resize_bytes
         && n->state == PROTO_STARTING && n->connection == 0
         && !nfs_identity_resized (n);
}

enum err
nfs_resized (struct nfs *n, uint64_t size, struct fault *f)
{
  if (size != n->options.resize_bytes)
    return fault_set (f, ERR_IO,
                      "%s: the server was asked for a length of %" PRIu64
                      " bytes (resize=), and made it %" PRIu64 " bytes long",
                      n->options.path, n->options.resize_bytes, size);
  nfs_identity_note_resized (n);
  return ERR_OK;
}

void
nfs_move (struct nfs *n, uint16_t port, const void *moved, size_t moved_bytes,
          const char *why)
{
  assert (moved_bytes <= sizeof n->want.data);
  n->want = (struct proto_want){
      .type = PROTO_WANT_MOVE, .port = port, .data_bytes = moved_bytes};
  memcpy (n->want.data, moved, moved_bytes);
  strncpy (n->want.why, why, sizeof n->want.why - 1);
  n->wanting = true;
  n->step_name = "the move to another port";
  n->deadline_ns = n->now_ns + NFS_STEP_TIMEOUT_NS;
}

/* All that this session was is in the identity page. */
void
nfs_move_to_lanes (struct nfs *n)
{
  const uint8_t moved[NFS_MOVED_HEADER_BYTES]
      = {NFS_MOVED_MAGIC, n->dialect->id};
  char why[PROTO_WHY_BYTES];

  snprintf (why, sizeof why, "%s: %u connections for one session",
            n->dialect->name, n->lanes.wanted);
  nfs_move (n, 0, moved, sizeof moved, why);
  n->want.lanes = (uint8_t)n->lanes.wanted;
}

void
nfs_probed (struct nfs *n, uint64_t change, uint64_t size)
{
  assert (n->probe == NFS_PROBE_SENT);
  n->probe = NFS_PROBE_ANSWERED;
  n->probed_change = change;
  n->probed_size = size;
}

/* xorshift64: jitter needs no better. */
uint32_t
nfs_random (struct nfs *n)
{
  n->random ^= n->random << 13;
  n->random ^= n->random >> 7;
  n->random ^= n->random << 17;
  return (uint32_t)(n->random >> 16);
}

uint64_t
nfs_hash (uint64_t seed, const void *bytes, size_t length_bytes)
{
  uint64_t h = seed ^ 0xcbf29ce484222325u;

  for (size_t i = 0; i < length_bytes; i++)
    h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
  return h;
}

/* ------------------------------------------------------------- proto_ops ---
 */

static const struct nfs_dialect *
by_id (uint8_t id)
{
  static const struct nfs_dialect *const stages[] = {&nfs_portmap, &nfs_mount};

  for (unsigned i = 0; i < 2; i++)
    if (stages[i]->id == id)
      return stages[i];
  for (unsigned i = 0; i < CANDIDATES; i++)
    if (candidates[i]->id == id)
      return candidates[i];
  return NULL;
}

/* Where the last engine left off, or at the beginning. */
static enum err
begin (struct nfs *n, const struct proto_config *c, uint64_t now_ns,
       struct fault *f)
{
  const struct nfs_dialect *d = NULL;

  if (c->moved_bytes >= NFS_MOVED_HEADER_BYTES
      && c->moved_bytes <= PROTO_WANT_BYTES && c->moved[0] == NFS_MOVED_MAGIC)
    d = by_id (c->moved[1]);
  if (d) {
    n->stage_only = n->lanes.asked = true;
    n->moved_bytes = c->moved_bytes - NFS_MOVED_HEADER_BYTES;
    memcpy (n->moved, c->moved + NFS_MOVED_HEADER_BYTES, n->moved_bytes);
    return start (n, d, now_ns, f);
  }
  if (!next_candidate (n, 0))
    return fault_set (f, ERR_INVAL, "version=%s is not built in",
                      n->options.version);
  probe (n);
  return ERR_OK;
}

static void
engine_close (struct proto *p)
{
  drop_dialect (&p->nfs);
  nfs_lanes_fini (&p->nfs.lanes);
  listing_fini (&p->nfs.listing);
  free (p);
}

static enum err
engine_open (const struct proto_config *config, uint64_t now_ns,
             struct proto **ret, struct fault *f)
{
  struct proto *p = calloc (1, sizeof *p);
  struct nfs *n;
  struct rpc_auth auth;
  struct rpc_sink sink = {sink_locate, sink_reply, p};
  enum err e;

  if (!p)
    return fault_set (f, ERR_NOMEM, "out of memory");
  n = &p->nfs;
  sink.ctx = n;
  n->now_ns = now_ns;
  n->identity = config->identity;
  n->connection = config->connection;
  memcpy (n->seed, config->seed, sizeof n->seed);
  n->random = nfs_hash (1, n->seed, sizeof n->seed) | 1;
  e = nfs_options_read (&n->options, &auth, config, f);
  if (!e
      && (e = nfs_lanes_init (&n->lanes, config, &sink, &auth,
                              nfs_identity_open (n), now_ns)))
    fault_set (f, e, "out of memory");
  if (!e) {
    nfs_transfer_init (&n->transfer);
    e = begin (n, config, now_ns, f);
  }
  if (e) {
    engine_close (p);
    return e;
  }
  *ret = p;
  return ERR_OK;
}

static enum proto_state
engine_state (const struct proto *p)
{
  return p->nfs.state;
}

static const struct fault *
engine_fault (const struct proto *p)
{
  return &p->nfs.fault;
}

static void
engine_info (const struct proto *p, struct volume_info *ret)
{
  assert (p->nfs.state == PROTO_READY);
  *ret = p->nfs.info;
}

static enum err
engine_submit (struct proto *p, const struct proto_request *r, uint64_t now_ns)
{
  assert (p->nfs.state == PROTO_READY);
  p->nfs.now_ns = now_ns;
  return nfs_transfer_submit (&p->nfs, r);
}

static bool
engine_reap (struct proto *p, struct proto_completion *ret)
{
  return p->nfs.state == PROTO_READY && nfs_transfer_reap (&p->nfs, ret);
}

static enum err
done (struct nfs *n, enum err e)
{
  if (e) {
    if (!n->fault.code)
      fault_set (&n->fault, e, "%s", err_text (e));
    n->state = PROTO_FAILED;
  }
  return e;
}

static struct iovec
engine_rx_iov (struct proto *p, unsigned lane)
{
  assert (p->nfs.state != PROTO_FAILED && lane < p->nfs.lanes.count);
  return rpc_rx_iov (&p->nfs.lanes.lane[lane].rpc);
}

static enum err
engine_rx_done (struct proto *p, unsigned lane, size_t length_bytes,
                uint64_t now_ns)
{
  struct nfs *n = &p->nfs;
  struct nfs_lane *l = &n->lanes.lane[lane];

  assert (n->state != PROTO_FAILED && lane < n->lanes.count);
  n->now_ns = l->heard_ns = now_ns;
  return done (n, rpc_rx_done (&l->rpc, length_bytes, now_ns, &n->fault));
}

static size_t
engine_tx_iov (struct proto *p, unsigned lane, struct iovec *ret, size_t max)
{
  struct nfs *n = &p->nfs;

  assert (n->state != PROTO_FAILED && lane < n->lanes.count);
  if (n->probe == NFS_PROBE_ASKED && n->dialect->probe (n))
    n->probe = NFS_PROBE_SENT;
  if (n->state == PROTO_READY && !(n->info.caps & VOLUME_IS_LIST))
    nfs_transfer_fill (n);
  return outbox_iov (&n->lanes.lane[lane].rpc.outbox, ret, max);
}

static void
engine_tx_done (struct proto *p, unsigned lane, size_t length_bytes)
{
  outbox_sent (&p->nfs.lanes.lane[lane].rpc.outbox, length_bytes);
}

/* What an open lane carried is to be sent again, on the same slots, by a
 * session whose connections are all new: RFC 8881 §2.10.6.2.
 */
static bool
engine_lane_lost (struct proto *p, unsigned lane, uint64_t now_ns)
{
  struct nfs *n = &p->nfs;

  assert (lane < n->lanes.count);
  n->now_ns = now_ns;
  if (n->lanes.lane[lane].state == LANE_OPEN
      || n->lanes.lane[lane].load_bytes > 0) /* from when it was */
    return false;
  if (n->lanes.lane[lane].state != LANE_GIVEN_UP)
    nfs_lanes_give_up (&n->lanes, lane, "one of them has ended before the "
                                        "server had bound it to the session");
  return true;
}

static bool
engine_say (struct proto *p, char *dst)
{
  struct nfs_lanes *l = &p->nfs.lanes;

  if (!l->said[0])
    return false;
  memcpy (dst, l->said, PROTO_SAY_BYTES);
  l->said[0] = '\0';
  return true;
}

static bool
engine_want (struct proto *p, struct proto_want *ret)
{
  if (!p->nfs.wanting)
    return false;
  p->nfs.wanting = false;
  *ret = p->nfs.want;
  return true;
}

/* MOVE is the only question, and has no answer. */
static enum err
engine_give (struct proto *p, const struct proto_given *g, uint64_t now_ns)
{
  (void)g;
  (void)now_ns;
  return done (&p->nfs, fault_set (&p->nfs.fault, ERR_PEER,
                                   "bulkheadd answers what was not asked"));
}

static void
engine_probe (struct proto *p, uint64_t now_ns)
{
  struct nfs *n = &p->nfs;

  assert (n->state == PROTO_READY && n->probe == NFS_PROBE_NONE);
  n->now_ns = now_ns;
  n->probe = NFS_PROBE_ASKED;
  if (!(n->info.caps & VOLUME_IS_LIST))
    return;
  n->probe = NFS_PROBE_SENT; /* a list stays as it is */
  nfs_probed (n, n->info.change, n->info.size);
}

static bool
engine_probed (struct proto *p, uint64_t *ret_change, uint64_t *ret_size)
{
  struct nfs *n = &p->nfs;

  if (n->state != PROTO_READY || n->probe != NFS_PROBE_ANSWERED)
    return false;
  n->probe = NFS_PROBE_NONE;
  *ret_change = n->probed_change;
  *ret_size = n->probed_size;
  return true;
}

static void
engine_leave (struct proto *p, uint64_t now_ns)
{
  struct nfs *n = &p->nfs;

  n->now_ns = now_ns;
  if (n->state != PROTO_READY)
    return;
  if (n->dialect->leave)
    n->dialect->leave (n, now_ns);
  else
    n->left = true; /* NFSv3 servers know of no session */
}

/* The portmapper is asked in clear text: what it says is a port of this host,
 * and whoever answers there has to show the certificate.
 */
static size_t
engine_hello (struct proto *p, uint8_t dst[PROTO_HELLO_BYTES])
{
  struct nfs *n = &p->nfs;

  if (n->dialect == &nfs_portmap)
    return 0;
  n->hello_xid = nfs_lanes_xid (&n->lanes);
  if (n->dialect == &nfs_mount)
    return nfs_starttls_hello (n->hello_xid, MOUNT_PROGRAM, 3, dst);
  return nfs_starttls_hello (n->hello_xid, NFS_PROGRAM,
                             n->dialect ? n->dialect->version
                                        : candidates[n->candidate]->version,
                             dst);
}

static enum err
engine_welcome (const struct proto *p, const uint8_t *bytes,
                size_t length_bytes, size_t *ret_more, struct fault *f)
{
  return nfs_starttls_welcome (p->nfs.hello_xid, bytes, length_bytes, ret_more,
                               f);
}

static uint64_t
least (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static uint64_t
engine_deadline_ns (const struct proto *p)
{
  const struct nfs *n = &p->nfs;
  uint64_t ns = PROTO_NO_DEADLINE;

  if (n->state == PROTO_FAILED)
    return ns;
  if (n->left)
    return n->now_ns;
  if (n->dialect && n->dialect->deadline_ns)
    ns = n->dialect->deadline_ns (n);
  return least (ns, n->state == PROTO_STARTING ? n->deadline_ns
                                               : nfs_transfer_deadline_ns (n));
}

static enum err
engine_tick (struct proto *p, uint64_t now_ns)
{
  struct nfs *n = &p->nfs;
  struct fault *f = &n->fault;
  enum err e = ERR_OK;

  n->now_ns = now_ns;
  if (n->left)
    return done (n, fault_set (f, ERR_CLOSED, "the session has ended"));
  if (n->state == PROTO_READY)
    nfs_transfer_tick (n, now_ns);
  if (n->dialect && n->dialect->tick && !n->want.type)
    e = n->dialect->tick (n, now_ns, f);
  if (e && n->state == PROTO_STARTING)
    e = try_next (n, e, f);
  if (!e && n->state == PROTO_STARTING && now_ns >= n->deadline_ns)
    e = fault_set (f, ERR_TIMEOUT, "no answer to %s within %u seconds",
                   n->step_name, (unsigned)(NFS_STEP_TIMEOUT_NS / 1000000000));
  return done (n, e);
}

const struct proto_ops nfs_ops = {
    .name = "nfs",
    .transport = PROTO_OVER_TCP,
    .open = engine_open,
    .close = engine_close,
    .state = engine_state,
    .fault = engine_fault,
    .info = engine_info,
    .submit = engine_submit,
    .reap = engine_reap,
    .rx_iov = engine_rx_iov,
    .rx_done = engine_rx_done,
    .tx_iov = engine_tx_iov,
    .tx_done = engine_tx_done,
    .want = engine_want,
    .give = engine_give,
    .probe = engine_probe,
    .probed = engine_probed,
    .say = engine_say,
    .lane_lost = engine_lane_lost,
    .leave = engine_leave,
    .hello = engine_hello,
    .welcome = engine_welcome,
    .deadline_ns = engine_deadline_ns,
    .tick = engine_tick,
};
