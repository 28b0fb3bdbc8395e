/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/scsi_disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/iscsi/scsi_sense.h"

/* A command's tag: its request's index, and a count that no other has. */
#define TAG_INDEX(tag) ((unsigned)((tag)&0xff))
#define TAG_GENERATION(tag) ((uint32_t)((tag) >> 8))
_Static_assert(PROTO_REQUESTS <= 256, "an index is a byte of a tag");

/* Of one UNMAP where the LUN has no block limits page. */
#define UNMAP_BLOCKS 0x3fffffu

/* An additional sense code (SPC-4 §4.5.6). */
#define INVALID_OPERATION_CODE 0x20u

enum scsi_trim_by
scsi_trim_by (const struct scsi_unit *u)
{
  /* SBC-3 §6.6.4: a MAXIMUM UNMAP LBA COUNT of 0 says that there is none. */
  if (u->provisioning.unmap && (!u->pages.limits || u->limits.unmap_max))
    return SCSI_TRIM_UNMAP;
  if (u->provisioning.write_same_16 || u->provisioning.write_same_10)
    return SCSI_TRIM_SAME;
  return SCSI_TRIM_NOT;
}

enum scsi_zero_by
scsi_zero_by (const struct scsi_unit *u)
{
  bool unmaps = u->provisioning.write_same_16 || u->provisioning.write_same_10;

  /* Only with LBPRZ does an unmapped block read as what was to be written. */
  if (unmaps && (u->provisioning.zeroes || u->capacity.zeroes))
    return SCSI_ZERO_UNMAPS;
  return unmaps || u->limits.write_same_max ? SCSI_ZERO_WRITES : SCSI_ZERO_NOT;
}

static void
note (struct scsi_disk *d, uint32_t notes)
{
  if (notes & SCSI_NOTE_RESET)
    d->era++;
  /* What we serve stays as it was found; what is not there any more fails. */
  if (notes & SCSI_NOTE_CAPACITY && !d->capacity_changed)
    scsi_disk_remark (d,
                      "the LUN says that its capacity may have changed (UNIT "
                      "ATTENTION 2Ah/09h): a new session finds out");
  if (notes & SCSI_NOTE_INQUIRY && !d->inquiry_changed)
    scsi_disk_remark (d,
                      "the target says that its list of LUNs, or what the LUN "
                      "is, has changed (UNIT ATTENTION 3Fh)");
  d->capacity_changed |= (notes & SCSI_NOTE_CAPACITY) != 0;
  d->inquiry_changed |= (notes & SCSI_NOTE_INQUIRY) != 0;
  /* Somebody may have switched it on; so does a reset, where it was switched
   * off and that was not saved.
   */
  if (notes & (SCSI_NOTE_MODE | SCSI_NOTE_RESET))
    d->write_cache = true;
}

enum err
scsi_disk_init (struct scsi_disk *d, struct session *session, uint64_t lun,
                const struct scsi_unit *unit,
                const uint8_t seed[IO_TOKEN_BYTES], uint64_t request_ns)
{
  d->zeroes = calloc (1, unit->capacity.block_bytes);
  if (!d->zeroes)
    return ERR_NOMEM;
  d->session = session;
  d->lun = lun;
  d->unit = *unit;
  d->patience_ns = SCSI_PATIENCE_NS (request_ns);
  d->write_cache =
      !unit->has_mode || !unit->mode.caching || unit->mode.write_cache;
  scsi_unit_info (unit, &d->info);
  memcpy (d->seed, seed, sizeof d->seed);
  d->seed[0] |= 1; /* never all zero */
  memcpy (&d->random, d->seed + 8, sizeof d->random);
  d->random |= 1;
  while (d->free_count < PROTO_REQUESTS) {
    d->free[d->free_count] = (uint8_t)(PROTO_REQUESTS - 1 - d->free_count);
    d->free_count++;
  }
  note (d, unit->notes);
  return ERR_OK;
}

void
scsi_disk_fini (struct scsi_disk *d)
{
  free (d->zeroes);
  d->zeroes = NULL;
}

/* ---------------------------------------------------------------- the ranges
 */

/* The first boundary of unmap granules at or behind block lba. */
static uint64_t
granule_from (const struct scsi_disk *d, uint64_t lba)
{
  uint64_t size = d->unit.limits.unmap_granularity;
  uint64_t first;

  if (size < 2)
    return lba;
  first = d->unit.limits.unmap_alignment % size;
  if (lba <= first)
    return first;
  return (lba - first + size - 1) / size * size + first;
}

/* The last boundary at or before it; 0 if there is none. */
static uint64_t
granule_to (const struct scsi_disk *d, uint64_t lba)
{
  uint64_t size = d->unit.limits.unmap_granularity;
  uint64_t first;

  if (size < 2)
    return lba;
  first = d->unit.limits.unmap_alignment % size;
  return lba < first ? 0 : (lba - first) / size * size + first;
}

/* Only whole granules are given back (SBC-3 §4.7.3.4.2): the rest of a TRIM is
 * not worth a command.
 */
static void
trim_to_granules (const struct scsi_disk *d, struct scsi_request *q)
{
  uint32_t block_bytes = d->info.block_min;
  uint64_t from = granule_from (d, q->at / block_bytes);
  uint64_t to = granule_to (d, q->end / block_bytes);

  if (q->end == d->info.size) /* the last one may be shorter */
    to = q->end / block_bytes;
  q->at = from * block_bytes;
  q->end = to > from ? to * block_bytes : q->at;
}

static uint64_t
least (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static bool
unmaps (const struct scsi_disk *d, const struct scsi_request *q)
{
  if (q->r.op == IO_TRIM)
    return true;
  return scsi_zero_by (&d->unit) == SCSI_ZERO_UNMAPS
         && !(q->r.flags & IO_NO_HOLE);
}

/* How many blocks the next command may have. */
static uint64_t
blocks_max (const struct scsi_disk *d, const struct scsi_request *q)
{
  const struct scsi_limits *l = &d->unit.limits;
  uint64_t most = UINT32_MAX;

  switch (q->r.op) {
  case IO_READ:
  case IO_WRITE:
    return l->transfer_max ? l->transfer_max : most;
  case IO_TRIM:
    if (scsi_trim_by (&d->unit) == SCSI_TRIM_UNMAP)
      return d->unit.pages.limits ? l->unmap_max : UNMAP_BLOCKS;
    break;
  case IO_ZERO:
    break;
  default:
    return most;
  }
  most = l->write_same_max ? least (most, l->write_same_max)
                           : SCSI_SAME_UNMAPPED_BYTES / d->info.block_min;
  if (!unmaps (d, q))
    most = least (most, SCSI_SAME_WRITTEN_BYTES / d->info.block_min);
  if (!d->unit.provisioning.write_same_16 && d->unit.provisioning.write_same_10)
    most = least (most, UINT16_MAX);
  return most;
}

static uint32_t
next_blocks (const struct scsi_disk *d, const struct scsi_request *q)
{
  uint64_t lba = q->at / d->info.block_min;
  uint64_t left = (q->end - q->at) / d->info.block_min;
  uint64_t n = least (left, blocks_max (d, q));

  if (q->r.op == IO_TRIM && n < left) {
    uint64_t to = granule_to (d, lba + n);

    if (to > lba)
      n = to - lba;
  }
  return (uint32_t)n;
}

/* --------------------------------------------------------------- to commands
 */

/* The FUA bit does it; else a SYNCHRONIZE CACHE behind it. */
static bool
fua_bit (const struct scsi_disk *d, const struct scsi_request *q)
{
  return q->r.op == IO_WRITE && q->r.flags & IO_FUA && d->write_cache
         && d->unit.has_mode && d->unit.mode.dpofua;
}

static bool
needs_sync (const struct scsi_disk *d, const struct scsi_request *q)
{
  if (q->r.op == IO_READ || q->r.op == IO_STATUS || !d->write_cache)
    return false;
  return q->r.op == IO_FLUSH || (q->r.flags & IO_FUA && !fua_bit (d, q));
}

static struct scsi_ask
ask_of (struct scsi_disk *d, struct scsi_request *q, uint8_t **ret_data,
        uint32_t *ret_bytes)
{
  uint32_t block_bytes = d->info.block_min;
  uint64_t lba = q->at / block_bytes;
  uint32_t blocks = q->syncing ? 0 : next_blocks (d, q);
  struct scsi_ask a = {.lba = lba, .blocks = blocks};

  q->part_bytes = 0;
  *ret_data = NULL;
  *ret_bytes = 0;
  if (q->syncing) {
    /* All of the LUN: what was written before has to be on it, too. */
    return (struct scsi_ask){.verb = SCSI_SYNCHRONIZE_CACHE,
                             .longer = d->unit.capacity.blocks > UINT32_MAX};
  }
  q->part_bytes =
      (uint32_t)least ((uint64_t)blocks * block_bytes, q->end - q->at);
  switch (q->r.op) {
  case IO_READ:
  case IO_WRITE:
    a.verb = q->r.op == IO_READ ? SCSI_READ : SCSI_WRITE;
    a.fua = fua_bit (d, q);
    *ret_data = q->r.data + (q->at - q->r.offset);
    *ret_bytes = q->part_bytes;
    break;
  case IO_STATUS:
    a.verb = SCSI_GET_LBA_STATUS;
    a.bytes = *ret_bytes = sizeof q->buffer.status;
    *ret_data = q->buffer.status;
    break;
  case IO_TRIM:
    if (scsi_trim_by (&d->unit) == SCSI_TRIM_UNMAP) {
      scsi_encode_unmap (lba, blocks, q->buffer.unmap);
      a = (struct scsi_ask){.verb = SCSI_UNMAP, .bytes = SCSI_UNMAP_BYTES};
      *ret_data = q->buffer.unmap;
      *ret_bytes = SCSI_UNMAP_BYTES;
      break;
    }
    /* fall through */
  default:
    a.verb = SCSI_WRITE_SAME;
    a.unmap = unmaps (d, q);
    a.longer = d->unit.provisioning.write_same_16
               || !d->unit.provisioning.write_same_10;
    *ret_data = d->zeroes;
    *ret_bytes = block_bytes;
  }
  return a;
}

static void
wait_until (struct scsi_disk *d, struct scsi_request *q, uint64_t when_ns)
{
  assert (q->place == PLACE_FREE || q->place == PLACE_SENT
          || q->place == PLACE_WAITING);
  if (q->place != PLACE_WAITING)
    d->waiting++;
  q->place = PLACE_WAITING;
  q->retry_ns = when_ns;
}

static void
send_next (struct scsi_disk *d, struct scsi_request *q, uint64_t now_ns)
{
  struct session_command c = {.lun = d->lun};
  struct scsi_cdb cdb;
  struct scsi_ask a = ask_of (d, q, &c.data, &c.length_bytes);
  enum err e = scsi_encode (&a, &cdb);

  assert (!e);
  memcpy (c.cdb, cdb.bytes, sizeof c.cdb);
  memcpy (q->cdb, cdb.bytes, sizeof q->cdb);
  switch (scsi_direction (&a)) {
  case SCSI_NO_DATA:
    break;
  case SCSI_DATA_IN:
    c.direction = SESSION_READ;
    break;
  case SCSI_DATA_OUT:
    c.direction = SESSION_WRITE;
    break;
  }
  q->generation++;
  c.tag = (uint64_t)q->generation << 8 | (uint64_t)(q - d->request);
  /* No room: requests of ours that have been aborted still hold theirs. */
  if (session_submit (d->session, &c, now_ns)) {
    wait_until (d, q, now_ns + SCSI_PAUSE_LEAST_NS);
    return;
  }
  q->serial = ++d->serial;
  q->sent_era = d->era;
  if (q->at == q->r.offset && !q->syncing)
    q->era = d->era;
  if (q->place == PLACE_WAITING)
    d->waiting--;
  q->place = PLACE_SENT;
}

static void
finish (struct scsi_disk *d, struct scsi_request *q, enum err e)
{
  /* nbdkit writes zeroes by itself then, and a TRIM is advice. */
  bool harmless
      = e == ERR_NOTSUP && (q->r.op == IO_ZERO || q->r.op == IO_TRIM);

  if (q->place == PLACE_WAITING)
    d->waiting--;
  if (e && !harmless && d->result)
    scsi_disk_complain (d, q, d->result, d->sense);
  q->error = e;
  q->place = PLACE_DONE;
  d->done[(d->done_first + d->done_count++) % PROTO_REQUESTS] =
      (uint8_t)(q - d->request);
}

/* The next command of the request, or its end. */
static void
go_on (struct scsi_disk *d, struct scsi_request *q, uint64_t now_ns)
{
  if (!q->syncing && q->at == q->end) {
    if (!needs_sync (d, q)) {
      finish (d, q, ERR_OK);
      return;
    }
    q->syncing = true;
  }
  send_next (d, q, now_ns);
}

/* -------------------------------------------------------------- from our user
 */

static bool
offered (const struct scsi_disk *d, const struct proto_request *r)
{
  uint32_t caps = d->info.caps;
  uint32_t mask = d->info.block_min - 1;

  if ((r->offset | r->length) & mask)
    return false;
  switch (r->op) {
  case IO_READ:
    return true;
  case IO_WRITE:
    return caps & VOLUME_CAN_WRITE;
  case IO_FLUSH:
    return caps & VOLUME_CAN_FLUSH;
  case IO_TRIM:
    return caps & VOLUME_CAN_TRIM;
  case IO_ZERO:
    return caps & VOLUME_CAN_ZERO;
  case IO_STATUS:
    return caps & VOLUME_CAN_STATUS && r->data;
  }
  return false;
}

enum err
scsi_disk_submit (struct scsi_disk *d, const struct proto_request *r,
                  uint64_t now_ns)
{
  struct scsi_request *q;
  uint32_t generation;

  if (!offered (d, r))
    return ERR_INVAL;
  if (r->op == IO_ZERO && d->no_write_same)
    return ERR_NOTSUP;
  if (d->free_count == 0)
    return ERR_AGAIN;
  q = &d->request[d->free[--d->free_count]];
  generation = q->generation;
  q->r = *r;
  q->syncing = false;
  q->at = r->offset;
  q->end = r->offset + r->length;
  q->tries = q->aborts = q->pauses = 0;
  q->deadline_ns = now_ns + d->patience_ns;
  q->generation = generation;
  q->era = q->sent_era = d->era;
  q->error = ERR_OK;
  q->extents = 0;
  if (r->op == IO_FLUSH)
    q->at = q->end = 0;
  if (r->op == IO_TRIM)
    trim_to_granules (d, q);
  q->r.offset = q->at; /* where its first command begins */
  go_on (d, q, now_ns);
  return ERR_OK;
}

bool
scsi_disk_reap (struct scsi_disk *d, struct proto_completion *ret)
{
  struct scsi_request *q;
  uint64_t mixed;
  uint8_t i;

  if (d->done_count == 0)
    return false;
  i = d->done[d->done_first];
  d->done_first = (d->done_first + 1) % PROTO_REQUESTS;
  d->done_count--;
  q = &d->request[i];
  assert (q->place == PLACE_DONE);
  *ret = (struct proto_completion){
      .id = q->r.id, .error = q->error, .extents = q->extents};
  memcpy (ret->token, d->seed, sizeof ret->token);
  memcpy (&mixed, d->seed, sizeof mixed);
  mixed += q->era << 8; /* its first byte stays: never all zero */
  memcpy (ret->token, &mixed, sizeof mixed);
  q->place = PLACE_FREE;
  d->free[d->free_count++] = i;
  return true;
}

/* -------------------------------------------------------------- from the LUN
 */

static uint64_t
draw (struct scsi_disk *d) /* xorshift64 */
{
  d->random ^= d->random << 13;
  d->random ^= d->random >> 7;
  d->random ^= d->random << 17;
  return d->random;
}

/* Half of a doubling pause, and a random part of the other half, so that those
 * who were refused together do not come back together.
 */
static void
pause_for (struct scsi_disk *d, struct scsi_request *q, enum err e,
           uint64_t now_ns)
{
  uint64_t pause_ns = SCSI_PAUSE_LEAST_NS << (q->pauses < 16 ? q->pauses : 16);

  if (pause_ns > SCSI_PAUSE_MOST_NS)
    pause_ns = SCSI_PAUSE_MOST_NS;
  pause_ns = pause_ns / 2 + draw (d) % (pause_ns / 2);
  q->pauses++;
  if (now_ns + pause_ns > q->deadline_ns)
    finish (d, q, e);
  else
    wait_until (d, q, now_ns + pause_ns);
}

static void
retry (struct scsi_disk *d, struct scsi_request *q, enum err e, uint64_t now_ns)
{
  if (++q->tries > SCSI_TRIES)
    finish (d, q, e);
  else
    send_next (d, q, now_ns);
}

/* What a command has failed with for good. */
static void
failed (struct scsi_disk *d, struct scsi_request *q, enum err e)
{
  if (e == ERR_NOTSUP && !q->syncing)
    switch (q->r.op) {
    case IO_STATUS: /* "allocated" is what every block may be called */
      ((struct io_extent *)(void *)q->r.data)[0] =
          (struct io_extent){.length = q->part_bytes};
      q->extents = 1;
      finish (d, q, ERR_OK);
      return;
    case IO_TRIM: /* it is advice */
      finish (d, q, q->r.flags & IO_FUA ? ERR_NOTSUP : ERR_OK);
      return;
    case IO_ZERO:
      d->no_write_same = true;
      break;
    default:
      break;
    }
  /* Only a range that is not asked for exceeds the LUN; ERR_NOENT: it has
   * gone.
   */
  if (e == ERR_NOENT || (e == ERR_NOTSUP && q->r.op != IO_ZERO))
    e = ERR_IO;
  finish (d, q, e);
}

static bool
take_extents (struct scsi_disk *d, struct scsi_request *q, uint32_t n_bytes)
{
  uint32_t block_bytes = d->info.block_min, blocks;
  enum err e = scsi_decode_lba_status (
      q->buffer.status, n_bytes, q->at / block_bytes,
      q->part_bytes / block_bytes, block_bytes,
      d->unit.provisioning.zeroes || d->unit.capacity.zeroes,
      (struct io_extent *)(void *)q->r.data, IO_EXTENTS_MAX, &q->extents,
      &blocks, NULL);

  return !e;
}

/* No command is out that was sent up to this one. */
static bool
all_answered (const struct scsi_disk *d, uint64_t serial)
{
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    if (d->request[i].place == PLACE_SENT && d->request[i].serial <= serial)
      return false;
  return true;
}

static void
let_go (struct scsi_disk *d, struct scsi_request *q)
{
  if (q->place != PLACE_HELD)
    return;
  d->held--;
  q->place = PLACE_SENT; /* for whatever comes next */
}

/* D3: a SYNCHRONIZE CACHE was carried out: before a loss, or behind it? */
static void
synced (struct scsi_disk *d, struct scsi_request *q, uint64_t now_ns)
{
  if (q->sent_era != d->era || (q->r.op != IO_FLUSH && q->era != d->era)) {
    let_go (d, q);
    q->syncing = false;
    q->at = q->r.offset;
    q->era = d->era;
    if (++q->tries > SCSI_TRIES)
      finish (d, q, ERR_IO);
    else
      go_on (d, q, now_ns);
    return;
  }
  if (q->place == PLACE_SENT) {
    q->place = PLACE_HELD;
    q->held_for = d->serial;
    d->held++;
  }
  if (!all_answered (d, q->held_for))
    return;
  let_go (d, q);
  q->era = d->era;
  finish (d, q, ERR_OK);
}

/* Something was answered: those that waited for that. */
static void
release_held (struct scsi_disk *d, uint64_t now_ns)
{
  for (unsigned i = 0; i < PROTO_REQUESTS && d->held > 0; i++)
    if (d->request[i].place == PLACE_HELD)
      synced (d, &d->request[i], now_ns);
}

/* A command was carried out. */
static void
carried_out (struct scsi_disk *d, struct scsi_request *q,
             const struct session_result *r, uint64_t now_ns)
{
  if (q->syncing) {
    synced (d, q, now_ns);
    return;
  }
  if (q->r.op == IO_STATUS) {
    if (take_extents (d, q, r->transferred_bytes))
      finish (d, q, ERR_OK);
    else
      failed (d, q, ERR_NOTSUP);
    return;
  }
  /* A residual (RFC 7143 §11.4.5) of what must come and go completely. */
  if ((q->r.op == IO_READ || q->r.op == IO_WRITE)
      && (r->transferred_bytes != q->part_bytes || r->overflow_bytes)) {
    retry (d, q, ERR_IO, now_ns);
    return;
  }
  /* Nor has WRITE SAME zeroed anything if its block was not taken. */
  if (q->r.op == IO_ZERO && r->transferred_bytes != d->info.block_min) {
    failed (d, q, ERR_NOTSUP);
    return;
  }
  q->at += q->part_bytes;
  q->tries = 0;
  q->deadline_ns = now_ns + d->patience_ns;
  go_on (d, q, now_ns);
}

/* D3: a SYNCHRONIZE CACHE may have been begun, and has not succeeded. */
static bool
is_sync_failure (const struct scsi_outcome *o, const struct scsi_sense *sense)
{
  return o->verdict != SCSI_VERDICT_DONE && o->verdict != SCSI_VERDICT_LATER
         && !(sense && sense->key == SCSI_UNIT_ATTENTION);
}

/* A LUN that has said that it has no write cache, and that has no command to
 * flush one either: that was asked only because something has changed.
 */
static bool
has_no_sync (const struct scsi_disk *d, const struct scsi_request *q,
             const struct scsi_sense *sense)
{
  return q->syncing && sense && sense->key == SCSI_ILLEGAL_REQUEST
         && sense->asc == INVALID_OPERATION_CODE && d->unit.has_mode
         && d->unit.mode.caching && !d->unit.mode.write_cache;
}

static void
judge (struct scsi_disk *d, struct scsi_request *q,
       const struct session_result *r, const struct scsi_sense *sense,
       uint64_t now_ns)
{
  struct scsi_outcome o = scsi_judge (r->status, sense);

  note (d, o.notes);
  if (o.verdict == SCSI_VERDICT_FAILED && has_no_sync (d, q, sense)) {
    d->write_cache = false;
    o.verdict = SCSI_VERDICT_DONE;
  }
  if (q->syncing && is_sync_failure (&o, sense))
    d->era++;
  switch (o.verdict) {
  case SCSI_VERDICT_DONE:
    carried_out (d, q, r, now_ns);
    break;
  case SCSI_VERDICT_AGAIN:
    retry (d, q, o.error, now_ns);
    break;
  case SCSI_VERDICT_LATER:
    pause_for (d, q, o.error, now_ns);
    break;
  case SCSI_VERDICT_FAILED:
    failed (d, q, o.error);
    break;
  }
}

static void
take_result (struct scsi_disk *d, const struct session_result *r,
             uint64_t now_ns)
{
  struct scsi_request *q = &d->request[TAG_INDEX (r->tag) % PROTO_REQUESTS];
  struct scsi_sense decoded;
  const struct scsi_sense *sense = NULL;

  if (r->sense_bytes && !scsi_decode_sense (r->sense, r->sense_bytes, &decoded))
    sense = &decoded;
  if (r->outcome == SESSION_EVENT) {
    if (sense)
      note (d, scsi_judge (SCSI_CHECK_CONDITION, sense).notes);
    return;
  }
  if (q->place != PLACE_SENT || q->generation != TAG_GENERATION (r->tag))
    return;
  d->result = r;
  d->sense = sense;
  if (q->syncing && r->outcome != SESSION_DONE)
    d->era++;
  switch (r->outcome) {
  case SESSION_DONE:
    judge (d, q, r, sense, now_ns);
    break;
  case SESSION_ABORTED:
    if (++q->aborts >= SCSI_ABORTS)
      finish (d, q, ERR_TIMEOUT);
    else
      send_next (d, q, now_ns);
    break;
  case SESSION_TARGET_FAILURE:
    pause_for (d, q, ERR_IO, now_ns);
    break;
  case SESSION_EVENT:
    break;
  }
}

void
scsi_disk_result (struct scsi_disk *d, const struct session_result *r,
                  uint64_t now_ns)
{
  take_result (d, r, now_ns);
  d->result = NULL;
  d->sense = NULL;
  release_held (d, now_ns);
}

/* --------------------------------------------------------------------- time */

uint64_t
scsi_disk_deadline_ns (const struct scsi_disk *d)
{
  uint64_t first_ns = PROTO_NO_DEADLINE;

  if (d->waiting == 0)
    return first_ns;
  for (unsigned i = 0; i < PROTO_REQUESTS; i++) {
    const struct scsi_request *q = &d->request[i];

    if (q->place == PLACE_WAITING && q->retry_ns < first_ns)
      first_ns = q->retry_ns;
  }
  return first_ns;
}

void
scsi_disk_tick (struct scsi_disk *d, uint64_t now_ns)
{
  if (d->waiting == 0)
    return;
  for (unsigned i = 0; i < PROTO_REQUESTS; i++) {
    struct scsi_request *q = &d->request[i];

    if (q->place == PLACE_WAITING && q->retry_ns <= now_ns)
      send_next (d, q, now_ns);
  }
}
