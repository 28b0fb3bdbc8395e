/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/transfer.h"

#include <assert.h>
#include <string.h>

#include "protocols/nfs/dialect.h"
#include "protocols/nfs/engine.h"

_Static_assert (PROTO_REQUESTS < TRANSFER_NONE, "indices are 16 bits");
_Static_assert (TRANSFER_PIECES < RPC_CALLS, "the engine's own calls");
_Static_assert (TRANSFER_NONE == RPC_NO_PIECE, "no piece");

/* Pieces of a split request begin at multiples of this, if they can. */
#define PIECE_ALIGN_BYTES 4096u

#define MS 1000000ull
#define DELAY_FIRST_NS (100 * MS)
#define DELAY_LONGEST_NS (5000 * MS)
#define DELAY_IN_ALL_NS (60000 * MS)
/* What is mended that often goes again slowly. */
#define MENDS_AT_ONCE 2u
/* What it waits for at most is such a part of timeout=. */
#define MEND_TIMEOUT_PARTS 9u

QUEUE_OF (request, struct transfer, request)
QUEUE_OF (piece, struct transfer, piece)

void
nfs_transfer_init (struct transfer *t)
{
  t->to_send = t->done = t->free_requests = queue_empty;
  t->again = t->free_pieces = queue_empty;
  for (uint16_t i = 0; i < PROTO_REQUESTS; i++)
    request_push (t, &t->free_requests, i);
  for (uint16_t i = 0; i < TRANSFER_PIECES; i++)
    piece_push (t, &t->free_pieces, i);
}

/* Equal pieces: a request of 256 KiB is two of 128 KiB where 255 KiB are
 * allowed, not 255 and 1.
 */
static uint32_t
balanced (uint32_t length_bytes, uint32_t max_bytes)
{
  uint32_t pieces, size;

  if (length_bytes <= max_bytes)
    return length_bytes;
  pieces = (length_bytes + max_bytes - 1) / max_bytes;
  size = (length_bytes + pieces - 1) / pieces;
  size = (size + PIECE_ALIGN_BYTES - 1) & ~(PIECE_ALIGN_BYTES - 1);
  return size <= max_bytes ? size : max_bytes;
}

static bool
in_bounds (const struct nfs *n, const struct proto_request *r)
{
  return r->length > 0 && r->offset <= n->info.size
         && r->length <= n->info.size - r->offset;
}

static bool
carries_data (enum io_op op)
{
  return op == IO_READ || op == IO_WRITE;
}

static bool
offered (const struct nfs *n, const struct proto_request *r)
{
  uint32_t caps = n->info.caps;

  if ((r->flags & IO_FUA) && !(caps & VOLUME_CAN_FUA))
    return false;
  if (r->op == IO_FLUSH)
    return caps & VOLUME_CAN_FLUSH;
  if (!in_bounds (n, r))
    return false;
  if (carries_data (r->op) && (r->length > NFS_IO_MAX_BYTES || !r->data))
    return false;
  switch (r->op) {
  case IO_READ:
    return true;
  case IO_WRITE:
    return caps & VOLUME_CAN_WRITE;
  case IO_TRIM:
    return caps & VOLUME_CAN_TRIM;
  case IO_ZERO:
    return caps & VOLUME_CAN_ZERO;
  case IO_STATUS:
    return (caps & VOLUME_CAN_STATUS) && r->data;
  case IO_FLUSH:
    break;
  }
  return false;
}

/* The list of names is in our memory. */
static void
read_listing (struct nfs *n, struct transfer_request *q)
{
  memcpy (q->r.data, n->listing.base + q->r.offset, q->r.length);
  q->issued = true;
}

enum err
nfs_transfer_submit (struct nfs *n, const struct proto_request *r)
{
  struct transfer *t = &n->transfer;
  struct transfer_request *q;
  uint16_t i;

  if (!offered (n, r))
    return ERR_INVAL;
  i = request_pop (t, &t->free_requests);
  if (i == TRANSFER_NONE)
    return ERR_AGAIN;
  q = &t->request[i];
  *q = (struct transfer_request){.r = *r, .piece_bytes = r->length};
  if (r->op == IO_FLUSH)
    q->r.length = q->piece_bytes = 0;
  if (n->info.caps & VOLUME_IS_LIST) {
    read_listing (n, q);
    request_push (t, &t->done, i);
    return ERR_OK;
  }
  if (carries_data (r->op))
    q->piece_bytes = balanced (
        r->length, r->op == IO_READ ? n->read_max_bytes : n->write_max_bytes);
  if (r->op == IO_WRITE && n->keep_xids) {
    q->has_xids = true;
    q->first_xid = nfs_replay_xid (n, r->tag, r->length, q->piece_bytes);
  }
  request_push (t, &t->to_send, i);
  return ERR_OK;
}

/* T4. The last byte tells the kinds apart: 0: of a verifier that the server
 * gave, 1: of none. An error proves nothing.
 */
static void
token (const struct transfer_request *q, uint8_t ret[IO_TOKEN_BYTES])
{
  memset (ret, 0, IO_TOKEN_BYTES);
  if (q->error || q->r.op == IO_READ || q->r.op == IO_STATUS)
    return;
  memcpy (ret, q->verifier, NFS_VERIFIER_BYTES);
  ret[8] = 'v';
  if (!q->has_verifier || q->mixed) {
    /* Equal to no other one's: a WRITE that needs no proof says so by FUA. */
    ret[8] = 'n';
    ret[9] = (uint8_t)q->r.op;
  }
}

bool
nfs_transfer_reap (struct nfs *n, struct proto_completion *ret)
{
  struct transfer *t = &n->transfer;
  uint16_t i = request_pop (t, &t->done);
  struct transfer_request *q;

  if (i == TRANSFER_NONE)
    return false;
  q = &t->request[i];
  assert (q->open_pieces == 0 && (q->issued || q->error));
  *ret = (struct proto_completion){
      .id = q->r.id, .error = q->error, .extents = q->error ? 0 : q->extents};
  token (q, ret->token);
  if (q->has_xids)
    nfs_forget_xid (n, q->r.tag);
  request_push (t, &t->free_requests, i);
  return true;
}

/* Sending. */

/* Makes a piece of what is next of the request at the head of to_send. */
static void
issue (struct transfer *t, uint16_t index)
{
  uint16_t request = t->to_send.head;
  struct transfer_request *q = &t->request[request];
  struct nfs_piece *p = &t->piece[index];
  uint32_t left_bytes = q->r.length - q->issued_bytes;

  *p = (struct nfs_piece){
      .op = q->r.op,
      .flags = q->r.flags,
      .offset = q->r.offset + q->issued_bytes,
      .length = left_bytes < q->piece_bytes ? left_bytes : q->piece_bytes,
      .data = q->r.data ? q->r.data + (carries_data (q->r.op) ? q->issued_bytes
                                                              : 0)
                        : NULL,
      .request = request,
  };
  if (q->has_xids) {
    p->has_xid = true;
    p->xid = q->first_xid + q->issued_bytes / q->piece_bytes;
  }
  q->issued_bytes += p->length;
  q->open_pieces++;
  if (q->issued_bytes == q->r.length) {
    q->issued = true;
    request_pop (t, &t->to_send);
  }
}

static void
send_piece (struct nfs *n, uint16_t index, struct nfs_lane *lane)
{
  struct nfs_piece *p = &n->transfer.piece[index];
  const struct rpc_procedure *procedure = n->dialect->procedure (n, p);
  struct rpc_message m;

  if (!p->has_xid)
    p->xid = nfs_xid (n);
  p->has_xid = false; /* what is sent again later is another call */
  m = rpc_begin (&lane->rpc, procedure, p->xid);
  m.call->piece = index;
  n->dialect->encode (n, p, &m);
  rpc_send (&lane->rpc, &m);
  p->state = PIECE_SENT;
  p->lane = (uint8_t)(lane - n->lanes.lane);
  n->transfer.under_way++;
  nfs_lanes_took (&n->lanes, p);
}

/* What goes next, without taking it. */
static const struct nfs_piece *
peek (struct nfs *n, struct nfs_piece *ret)
{
  struct transfer *t = &n->transfer;
  const struct transfer_request *q;
  uint32_t left_bytes;

  if (t->again.head != TRANSFER_NONE)
    return &t->piece[t->again.head];
  if (t->to_send.head == TRANSFER_NONE || t->free_pieces.head == TRANSFER_NONE)
    return NULL;
  q = &t->request[t->to_send.head];
  left_bytes = q->r.length - q->issued_bytes;
  *ret = (struct nfs_piece){
      .op = q->r.op,
      .flags = q->r.flags,
      .offset = q->r.offset + q->issued_bytes,
      .length = left_bytes < q->piece_bytes ? left_bytes : q->piece_bytes,
      .request = t->to_send.head,
  };
  return ret;
}

void
nfs_transfer_fill (struct nfs *n)
{
  struct transfer *t = &n->transfer;
  struct nfs_lane *lane;
  struct nfs_piece next;
  const struct nfs_piece *p;

  while (t->under_way < n->pieces_max
         && (lane = nfs_lanes_choose (&n->lanes, n->dialect->arguments_bytes))
         && (p = peek (n, &next))
         && (!n->dialect->may_send || n->dialect->may_send (n, p))) {
    uint16_t index = piece_pop (t, &t->again);

    if (index == TRANSFER_NONE) {
      index = piece_pop (t, &t->free_pieces);
      issue (t, index);
    }
    send_piece (n, index, lane);
  }
}

/* Receiving. */

static void
note_verifier (struct transfer_request *q, const struct nfs_result *r)
{
  if (!r->has_verifier)
    return;
  if (q->has_verifier
      && memcmp (q->verifier, r->verifier, NFS_VERIFIER_BYTES) != 0)
    q->mixed = true;
  q->has_verifier = true;
  memcpy (q->verifier, r->verifier, NFS_VERIFIER_BYTES);
}

/* The piece is answered; when it was the last one, so is the request. */
static void
piece_done (struct transfer *t, uint16_t index, enum err error)
{
  struct nfs_piece *p = &t->piece[index];
  struct transfer_request *q = &t->request[p->request];

  p->state = PIECE_FREE;
  piece_push (t, &t->free_pieces, index);
  if (!q->error)
    q->error = error;
  q->open_pieces--;
  if (q->open_pieces == 0 && q->issued)
    request_push (t, &t->done, p->request);
}

/* Half of it at least, so that those who wait do not come back together. */
static uint64_t
jittered (struct nfs *n, uint64_t delay_ns)
{
  return delay_ns / 2 + delay_ns / 2 * (nfs_random (n) & 0xffff) / 0xffff;
}

uint64_t
nfs_transfer_delay_ns (struct nfs *n, unsigned waits)
{
  uint64_t delay_ns = DELAY_LONGEST_NS;

  if (waits < 6 && DELAY_FIRST_NS << waits < DELAY_LONGEST_NS)
    delay_ns = DELAY_FIRST_NS << waits;
  return jittered (n, delay_ns);
}

static void
delay (struct nfs *n, uint16_t index, uint64_t now_ns)
{
  struct transfer *t = &n->transfer;
  struct nfs_piece *p = &t->piece[index];

  if (!p->give_up_ns)
    p->give_up_ns = now_ns + DELAY_IN_ALL_NS;
  if (now_ns >= p->give_up_ns) {
    piece_done (t, index, ERR_TIMEOUT);
    return;
  }
  p->wake_ns = now_ns + nfs_transfer_delay_ns (n, p->waits++);
  p->state = PIECE_WAITING;
  t->waiting++;
}

static void
again (struct transfer *t, uint16_t index)
{
  t->piece[index].state = PIECE_AGAIN;
  piece_push (t, &t->again, index);
}

/* All tries of what is refused, though it was mended, are over before timeout=
 * is: then the gateway ends the session, and the next one counts anew.
 */
static uint64_t
mend_delay_ns (struct nfs *n, unsigned mends)
{
  uint64_t delay_ns = nfs_transfer_delay_ns (n, mends - MENDS_AT_ONCE - 1);
  uint64_t most_ns = n->options.timeout_ns / MEND_TIMEOUT_PARTS;

  return most_ns && delay_ns > most_ns ? most_ns : delay_ns;
}

static void
mended (struct nfs *n, uint16_t index, uint64_t now_ns)
{
  struct transfer *t = &n->transfer;
  struct nfs_piece *p = &t->piece[index];

  p->repeated = true;
  if (++p->mends <= MENDS_AT_ONCE) {
    again (t, index);
    return;
  }
  p->wake_ns = now_ns + mend_delay_ns (n, p->mends);
  p->state = PIECE_WAITING;
  t->waiting++;
}

static void
advance (struct nfs_piece *p, uint32_t count)
{
  p->offset += count;
  p->length -= count;
  if (p->data && carries_data (p->op))
    p->data += count;
  p->repeated = false;
  p->give_up_ns = 0;
  p->waits = 0;
  p->mends = 0;
}

void
nfs_transfer_result (struct nfs *n, uint16_t index, const struct nfs_result *r,
                 uint64_t now_ns)
{
  struct transfer *t = &n->transfer;
  struct nfs_piece *p = &t->piece[index];
  struct transfer_request *q = &t->request[p->request];

  assert (p->state == PIECE_SENT);
  assert (r->count <= p->length && r->extents <= IO_EXTENTS_MAX);
  t->under_way--;
  nfs_lanes_answered (&n->lanes, p);
  switch (r->verdict) {
  case NFS_DELAY:
    delay (n, index, now_ns);
    return;
  case NFS_AGAIN:
    p->repeated = true;
    again (t, index);
    return;
  case NFS_MENDED:
    mended (n, index, now_ns);
    return;
  case NFS_DONE:
    break;
  }
  note_verifier (q, r);
  if (p->op == IO_STATUS) {
    q->extents = r->extents;
    piece_done (t, index, r->error);
    return;
  }
  if (!r->error && r->count < p->length) {
    assert (r->count > 0); /* or it would go on for ever */
    advance (p, r->count);
    again (t, index);
    return;
  }
  piece_done (t, index, r->error);
}

/* Time. */

uint64_t
nfs_transfer_deadline_ns (const struct nfs *n)
{
  const struct transfer *t = &n->transfer;
  uint64_t first_ns = PROTO_NO_DEADLINE;

  for (unsigned i = 0, left = t->waiting; left > 0; i++) {
    const struct nfs_piece *p = &t->piece[i];

    if (p->state != PIECE_WAITING)
      continue;
    left--;
    if (p->wake_ns < first_ns)
      first_ns = p->wake_ns;
  }
  return first_ns;
}

void
nfs_transfer_tick (struct nfs *n, uint64_t now_ns)
{
  struct transfer *t = &n->transfer;

  for (unsigned i = 0, left = t->waiting; left > 0; i++) {
    if (t->piece[i].state != PIECE_WAITING)
      continue;
    left--;
    if (t->piece[i].wake_ns > now_ns)
      continue;
    t->waiting--;
    again (t, (uint16_t)i);
  }
}
