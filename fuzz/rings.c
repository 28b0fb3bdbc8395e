/* SPDX-License-Identifier: BSD-2-Clause */
/* A channel's rings, of which a liar writes one: requests as a gateway keeps
 * them, completions as a worker may write them, the report on a dead worker,
 * and fills.
 *
 *   input = *record
 *   record = 'w' offset u16, length u8, bytes      the liar's object
 *          | 'g' op u8, flags u8, offset u16, length u8 (both in 4 KiB)
 *                                                  a request is sent
 *          | 'p'                                   completions are taken
 *          | 'c' slot u8, error u8, more u8        an honest completion
 *          | 'd'                                   the worker is dead
 *          | 's'                                   sleep, and wake up
 *          | 'r'                                   the report
 *          | 'f'                                   a fill is taken
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "cache/report.h"
#include "common/wire.h"
#include "gateway/inflight.h"
#include "ipc/fill.h"

#define EPOCH 5u

struct try {
  struct ring_object mine, liar;
  struct ring ring, fills;
  struct inflight flight;
  uint64_t now_ns;
  bool sent[INFLIGHT_SLOTS]; /* and not answered */
};

/* By the liar; the honest one writes an entry and then the index. */
static void
scribble (struct try *t, struct wire *w)
{
  size_t at = wire_u16 (w), n = wire_u8 (w);
  const uint8_t *bytes = wire_bytes (w, n);

  if (bytes && at + n <= sizeof t->liar)
    memcpy ((uint8_t *)&t->liar + at, bytes, n);
}

static void
complete (struct try *t, struct wire *w)
{
  struct inflight_slot *s = &t->flight.slot[wire_u8 (w) % INFLIGHT_SLOTS];
  uint8_t error = wire_u8 (w), more = wire_u8 (w);
  uint32_t tail = atomic_load (&t->liar.tail);
  struct ring_completion c = {.id = s->request.id, .error = error};

  if (!error && (s->request.op == IO_READ || s->request.op == IO_STATUS))
    c.length = s->request.op == IO_READ
                 ? s->request.length
                 : more * (uint32_t)sizeof (struct io_extent);
  memset (c.token, more, sizeof c.token);
  t->liar.entry[tail % RING_ENTRIES].completion = c;
  atomic_store (&t->liar.tail, tail + 1);
}

static void
request (struct try *t, struct wire *w)
{
  enum io_op op = IO_READ + wire_u8 (w) % (IO_STATUS - IO_READ + 1);
  uint8_t flags = wire_u8 (w);
  uint64_t offset = wire_u16 (w) * 4096ull;
  uint32_t length = (1 + wire_u8 (w) % 64) * 4096u;
  uint64_t retry_ns;
  uint32_t slot;

  if (op == IO_FLUSH)
    offset = length = 0;
  if (inflight_get (&t->flight, op, flags & 3, offset, length, 1, t->now_ns, t,
                    &slot, &retry_ns))
    return;
  inflight_ready (&t->flight, slot);
  while ((slot = inflight_next (&t->flight)) < INFLIGHT_SLOTS) {
    if (inflight_push (&t->flight, &t->ring, slot, t->now_ns))
      return;
    t->sent[slot] = true;
  }
}

/* As gateway/wait.c does. */
static void
take (struct try *t)
{
  union ring_entry e;
  void *owner;

  for (unsigned i = 0; i < 2 * RING_ENTRIES; i++) {
    unsigned before = t->flight.sent_slots;
    uint32_t slot;

    if (ring_pop (&t->ring, &e)
        || inflight_complete (&t->flight, 0, &e.completion, &owner))
      return;
    MUST (owner == t && t->flight.sent_slots == before - 1);
    slot = (uint32_t)e.completion.id;
    MUST (slot < INFLIGHT_SLOTS && t->sent[slot]);
    t->sent[slot] = false;
    MUST (t->flight.slot[slot].state == SLOT_DONE);
    MUST (t->flight.slot[slot].answer_bytes <= CHANNEL_CHUNK_BYTES);
    inflight_put (&t->flight, slot);
  }
}

static void
die (struct try *t)
{
  unsigned failed;

  inflight_down (&t->flight, 0, t->now_ns);
  failed = inflight_blame (&t->flight, 0);
  memset (t->sent, 0, sizeof t->sent);
  for (uint32_t i = 0; failed && i < INFLIGHT_SLOTS; i++)
    if (t->flight.slot[i].state == SLOT_DONE) {
      inflight_put (&t->flight, i);
      failed--;
    }
  MUST (!failed);
  t->now_ns += FENCE_WAIT_NS;
}

static void
report (const struct try *t)
{
  char text[480];
  bool any = report_in_hand (&t->mine, &t->liar, EPOCH, t->now_ns, text,
                             sizeof text);

  MUST (any == (text[0] != 0));
  for (const char *c = text; *c; c++)
    MUST (*c >= ' ' && *c <= '~');
}

static void
take_fill (struct try *t)
{
  static const uint8_t *arena = (const uint8_t *)4096; /* never looked at */
  const uint8_t *chunk;
  uint64_t first;
  uint32_t pages;

  if (fill_take (&t->fills, arena, &first, &pages, &chunk))
    return;
  MUST (pages && pages <= FILL_PAGES && first <= PAGE_NONE - pages);
  MUST (chunk >= arena
        && chunk + FILL_CHUNK_BYTES <= arena + FILL_ARENA_BYTES);
}

static bool
step (struct try *t, struct wire *w)
{
  switch (wire_u8 (w)) {
  case 'w':
    scribble (t, w);
    return true;
  case 'g':
    request (t, w);
    return true;
  case 'p':
    take (t);
    return true;
  case 'c':
    complete (t, w);
    return true;
  case 'd':
    die (t);
    return true;
  case 's':
    ring_wake_needed (&t->ring);
    if (ring_sleep (&t->ring))
      ring_awake (&t->ring);
    return true;
  case 'r':
    report (t);
    return true;
  case 'f':
    take_fill (t);
    return true;
  default:
    return false;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct try *t = calloc (1, sizeof *t);
  struct wire w = wire_init (data, size);

  if (!t)
    return 0;
  ring_object_reset (&t->mine, EPOCH);
  ring_object_reset (&t->liar, EPOCH);
  ring_init (&t->ring, &t->mine, &t->liar);
  t->fills = t->ring;
  inflight_init (&t->flight);
  t->now_ns = 1000000000;
  while (wire_left (&w) && step (t, &w) && !w.err)
    ;
  report (t);
  free (t);
  return 0;
}
