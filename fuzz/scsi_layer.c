/* SPDX-License-Identifier: BSD-2-Clause */
/* The SCSI layer above a session: what a LUN is, requests as commands, what is
 * to be done about statuses and sense data. The LUN is that of the unit tests,
 * which lies where the input says so.
 *
 *   input = kind u16, block u8, blocks u32, *event
 *   kind: bit by bit what the LUN has and is, see set_up
 *   event = 'H' n u8          n+1 commands are carried out as it should be
 *         | 'F' opcode u8 (0xff: any), times u8, outcome u8, status u8, key u8,
 *           asc u8, ascq u8   the next such commands end so
 *         | 'A' outcome u8, status u8, short u8, length u8, data, length u8,
 *           sense             the oldest command ends so
 *         | 'E' length u8, sense   an event that no command has asked for
 *         | 'R' op u8, flags u8, offset u16, length u16 (in blocks)
 *         | 'T' n u8          2^n µs pass
 *         | 'W' n u8          the session takes no command n times
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "common/wire.h"
#include "protocols/iscsi/scsi.h"
#include "tests/unit/protocols/iscsi/lun.h"

#define STORE_BYTES 65536u
#define REQUESTS 16u
#define CLOSING_STEPS 1024u
#define TICKS_MAX 64u

struct try {
  struct lun lun;
  struct scsi *x;
  struct volume_info info;
  uint64_t now_ns;
  bool list;
  bool asked[REQUESTS];
  enum io_op op[REQUESTS];
  uint8_t *data[REQUESTS]; /* NULL: the request has none */
};

static bool
set_up (struct try *t, struct wire *w)
{
  struct lun *l = &t->lun;
  unsigned kind = wire_u16 (w);
  struct scsi_setup s = {.session = &l->session, .lun = 5};

  l->block_bytes = 512u << wire_u8 (w) % 4;
  l->blocks = wire_u32 (w);
  if (l->blocks < 64)
    l->blocks += 64;
  if (kind & 1)
    l->blocks <<= 20;
  l->store = calloc (1, STORE_BYTES);
  l->store_blocks = STORE_BYTES / l->block_bytes;
  l->thin = kind & 2;
  l->no_capacity_16 = kind & 4;
  l->no_mode_6 = kind & 8;
  l->no_vpd = kind & 0x10;
  l->write_protect = kind & 0x20;
  l->write_cache = kind & 0x40;
  l->dpofua = kind & 0x80;
  l->no_such_lun = kind & 0x100;
  l->ten_only = kind & 0x200;
  l->type = kind & 0x400 ? 5 : 0;
  l->transfer_max = kind & 0x800 ? 16 : 0;
  l->unmap_max = kind & 0x1000 ? 0 : 0x10000;
  l->granularity = kind & 0x2000 ? 8 : 0;
  l->alignment = kind & 0x4000 ? 3 : 0;
  l->write_same_max = kind & 0x8000 ? 4 : 0;
  s.list = t->list = (kind & 0x510) == 0x510;
  t->now_ns = 1000000000;
  return l->store && !scsi_open (&s, &t->x);
}

static void
take_fault (struct try *t, struct wire *w)
{
  struct lun_fault f = {0};
  uint8_t opcode = wire_u8 (w);

  f.opcode = opcode == 0xff ? LUN_ANY : opcode;
  f.times = wire_u8 (w);
  f.outcome = wire_u8 (w) % SESSION_EVENT;
  f.status = wire_u8 (w);
  f.key = wire_u8 (w) & 0x0f;
  f.asc = wire_u8 (w);
  f.ascq = wire_u8 (w);
  f.deferred = f.times & 1 && f.key == 3;
  memmove (t->lun.fault + 1, t->lun.fault,
           sizeof t->lun.fault - sizeof t->lun.fault[0]);
  t->lun.fault[0] = f;
}

static void
take_sense (struct wire *w, struct session_result *r)
{
  size_t n = wire_u8 (w);
  const uint8_t *sense;

  if (n > SESSION_SENSE_BYTES)
    n = SESSION_SENSE_BYTES;
  sense = wire_bytes (w, n);
  if (!sense)
    return;
  memcpy (r->sense, sense, n);
  r->sense_bytes = (uint16_t)n;
}

/* Within what session.h promises. */
static void
take_answer (struct try *t, struct wire *w)
{
  struct session *s = &t->lun.session;
  struct session_command *c = &s->command[s->first];
  struct session_result r = {.outcome = wire_u8 (w) % SESSION_EVENT};
  uint8_t status = wire_u8 (w), lack = wire_u8 (w);
  size_t n = wire_u8 (w);
  const uint8_t *data = wire_bytes (w, n);

  take_sense (w, &r);
  if (!data || w->err || !s->count)
    return;
  s->first = (s->first + 1) % SESSION_COMMANDS;
  s->count--;
  r.tag = c->tag;
  r.lun = c->lun;
  r.status = r.outcome == SESSION_DONE ? status : 0;
  if (c->direction == SESSION_READ) {
    if (n > c->length_bytes)
      n = c->length_bytes;
    memcpy (c->data, data, n);
    r.transferred_bytes = lack & 1 ? (uint32_t)n : c->length_bytes;
  } else
    r.transferred_bytes
      = c->length_bytes - (lack < c->length_bytes ? lack : 0);
  r.overflow_bytes = lack & 2 ? 512 : 0;
  scsi_result (t->x, &r, t->now_ns);
}

static void
take_event (struct try *t, struct wire *w)
{
  struct session_result r = {.outcome = SESSION_EVENT, .status = 2,
                             .lun = 0x0005000000000000u};

  take_sense (w, &r);
  scsi_result (t->x, &r, t->now_ns);
}

/* 0: such a request has no data (proto.h). */
static size_t
data_bytes (const struct proto_request *r)
{
  if (r->op == IO_STATUS)
    return IO_EXTENTS_MAX * sizeof (struct io_extent);
  return r->op == IO_READ || r->op == IO_WRITE ? r->length : 0;
}

static void
end (struct try *t, unsigned id)
{
  free (t->data[id]);
  t->data[id] = NULL;
  t->asked[id] = false;
}

static void
request (struct try *t, struct wire *w)
{
  struct proto_request r = {.op = IO_READ + wire_u8 (w) % IO_STATUS};
  uint8_t flags = wire_u8 (w);
  uint32_t most;

  r.offset = wire_u16 (w) * (uint64_t)t->lun.block_bytes;
  r.length = wire_u16 (w) * t->lun.block_bytes;
  if (scsi_state (t->x) != SCSI_READY || t->list)
    return;
  most = r.op == IO_READ || r.op == IO_WRITE ? t->info.request_max
                                              : t->info.range_max;
  if (!most)
    most = t->info.request_max;
  if (r.length > most)
    r.length = most;
  while (r.id < REQUESTS && t->asked[r.id])
    r.id++;
  if (r.op == IO_FLUSH)
    r.offset = r.length = 0;
  else if (!r.length || r.offset >= t->info.size
           || r.length > t->info.size - r.offset)
    return;
  if (r.id == REQUESTS)
    return;
  r.flags = flags & (r.op == IO_ZERO ? 3 : r.op == IO_READ ? 0 : 1);
  t->op[r.id] = r.op;
  t->asked[r.id] = true;
  if (data_bytes (&r))
    r.data = t->data[r.id] = calloc (1, data_bytes (&r));
  if ((data_bytes (&r) && !r.data) || scsi_submit (t->x, &r, t->now_ns))
    end (t, r.id);
}

static void
reap (struct try *t)
{
  struct proto_completion c;

  while (scsi_reap (t->x, &c)) {
    MUST (c.id < REQUESTS && t->asked[c.id]);
    MUST (c.extents <= IO_EXTENTS_MAX);
    MUST (!c.extents == (c.error || t->op[c.id] != IO_STATUS));
    end (t, c.id);
  }
}

/* As the engine does after whatever has happened. False: it has failed. */
static bool
settle (struct try *t, bool *ready)
{
  for (unsigned ticks = 0;; ticks++) {
    if (scsi_state (t->x) == SCSI_FAILED) {
      MUST (scsi_fault (t->x)->code && scsi_fault (t->x)->text[0]);
      return false;
    }
    if (scsi_state (t->x) == SCSI_READY && !*ready) {
      *ready = true;
      if (t->list) {
        scsi_listing (t->x);
      } else {
        scsi_info (t->x, &t->info);
        MUST (volume_info_check (&t->info));
      }
    }
    if (!t->list)
      reap (t);
    if (scsi_deadline_ns (t->x) > t->now_ns)
      return true;
    MUST (ticks < TICKS_MAX);
    scsi_tick (t->x, t->now_ns);
  }
}

static void
serve (struct try *t, unsigned n)
{
  struct session_result r;

  while (n-- && scsi_state (t->x) != SCSI_FAILED
         && lun_serve (&t->lun, &r))
    scsi_result (t->x, &r, t->now_ns);
}

static bool
event (struct try *t, struct wire *w)
{
  switch (wire_u8 (w)) {
  case 'H':
    serve (t, wire_u8 (w) + 1u);
    return true;
  case 'F':
    take_fault (t, w);
    return true;
  case 'A':
    take_answer (t, w);
    return true;
  case 'E':
    take_event (t, w);
    return true;
  case 'R':
    request (t, w);
    return true;
  case 'T':
    t->now_ns += 1000ull << wire_u8 (w) % 28;
    return true;
  case 'W':
    t->lun.session.refuse = wire_u8 (w) % 4;
    return true;
  default:
    return false;
  }
}

static bool
in_flight (const struct try *t)
{
  for (unsigned i = 0; i < REQUESTS; i++)
    if (t->asked[i])
      return true;
  return false;
}

/* When the input has ended the LUN does its work, and time passes: then each
 * request is answered, or the LUN has failed.
 */
static void
close_session (struct try *t)
{
  bool ready = true;

  t->lun.session.refuse = 0;
  for (unsigned step = 0; step < CLOSING_STEPS && !t->list && in_flight (t)
                          && settle (t, &ready);
       step++) {
    struct session_result r;
    uint64_t until_ns = scsi_deadline_ns (t->x);

    if (!in_flight (t))
      return;
    if (lun_serve (&t->lun, &r)) {
      scsi_result (t->x, &r, t->now_ns);
      continue;
    }
    MUST (until_ns != UINT64_MAX);
    t->now_ns = until_ns > t->now_ns ? until_ns : t->now_ns;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct try *t = calloc (1, sizeof *t);
  struct wire w = wire_init (data, size);
  bool ready = false;

  if (t && set_up (t, &w)) {
    scsi_start (t->x, t->now_ns);
    while (settle (t, &ready) && wire_left (&w) && event (t, &w) && !w.err)
      ;
    if (ready)
      close_session (t);
  }
  if (t) {
    scsi_close (t->x);
    for (unsigned i = 0; i < REQUESTS; i++)
      end (t, i);
    free (t->lun.store);
  }
  free (t);
  return 0;
}
