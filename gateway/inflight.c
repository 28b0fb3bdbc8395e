/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/inflight.h"

#include <assert.h>
#include <string.h>

/* No errno of ours or of Linux is larger; what a worker sends beyond is EIO. */
#define ERRNO_MAX 133u

static bool
op_writes (uint16_t op)
{
  return op == IO_WRITE || op == IO_TRIM || op == IO_ZERO;
}

static bool
slot_writing (const struct inflight_slot *s)
{
  return (s->state == SLOT_FILLING || s->state == SLOT_QUEUED
          || s->state == SLOT_SENT)
         && op_writes (s->request.op);
}

static uint32_t
deaths_at_most (const struct inflight_slot *s)
{
  uint32_t n = s->deaths;

  for (unsigned bits = s->blamable; bits; bits &= bits - 1)
    n++;
  return n;
}

/* It may have killed too many already: not pushed before somebody tells. */
static bool
is_held (const struct inflight_slot *s)
{
  return s->state == SLOT_QUEUED
         && deaths_at_most (s) >= INFLIGHT_DEATHS_FATAL;
}

static bool
is_suspect (const struct inflight_slot *s)
{
  return (s->state == SLOT_QUEUED || s->state == SLOT_SENT) && !is_held (s)
         && deaths_at_most (s) >= INFLIGHT_DEATHS_SUSPECT;
}

/* Adds a slot to what is counted by state, or takes it away. */
static void
count (struct inflight *f, const struct inflight_slot *s, uint32_t by)
{
  f->writing_slots += slot_writing (s) ? by : 0;
  f->reading_slots
    += s->state != SLOT_FREE && s->request.op == IO_READ ? by : 0;
  f->unsure_slots += s->state == SLOT_UNSURE ? by : 0;
  f->sent_slots += s->state == SLOT_SENT ? by : 0;
  f->queued_slots += s->state == SLOT_QUEUED ? by : 0;
  f->suspects += is_suspect (s) ? by : 0;
  f->path[s->path].sent += s->state == SLOT_SENT ? by : 0;
  f->path[s->path].bound += s->state == SLOT_FILLING || s->state == SLOT_QUEUED
                                || s->state == SLOT_SENT
                              ? by
                              : 0;
}

/* The one place where a state changes. */
static void
set_state (struct inflight *f, struct inflight_slot *s,
           enum inflight_state to)
{
  static const bool legal[6][6] = {
    [SLOT_FREE] = {[SLOT_FILLING] = true},
    [SLOT_FILLING]
    = {[SLOT_QUEUED] = true, [SLOT_DONE] = true, [SLOT_FREE] = true},
    [SLOT_QUEUED] = {[SLOT_SENT] = true,
                     [SLOT_DONE] = true,
                     [SLOT_UNSURE] = true,
                     [SLOT_FREE] = true},
    [SLOT_SENT] = {[SLOT_DONE] = true,
                   [SLOT_QUEUED] = true,
                   [SLOT_UNSURE] = true,
                   [SLOT_FREE] = true},
    [SLOT_DONE]
    = {[SLOT_FREE] = true, [SLOT_QUEUED] = true, [SLOT_UNSURE] = true},
    [SLOT_UNSURE] = {[SLOT_FREE] = true},
  };

  assert (legal[s->state][to]);
  count (f, s, (uint32_t)-1);
  s->state = to;
  count (f, s, 1);
  if (to == SLOT_FREE) {
    s->owner = NULL;
    s->abandoned = false;
    f->free_stack[f->free_slots++] = (uint32_t)(s - f->slot);
  }
}

void
inflight_init (struct inflight *f)
{
  memset (f, 0, sizeof *f);
  for (uint32_t i = INFLIGHT_SLOTS; i-- > 0;)
    f->free_stack[f->free_slots++] = i;
}

static void
forget_old_doubts (struct inflight *f, uint64_t now_ns)
{
  uint32_t kept = 0;

  for (uint32_t i = 0; i < f->doubts; i++)
    if (f->doubt[i].until_ns > now_ns)
      f->doubt[kept++] = f->doubt[i];
  f->doubts = kept;
}

/* Whether [offset, end) must wait; by a doubt: until when. */
static bool
must_wait (struct inflight *f, uint64_t offset, uint64_t end, uint64_t now_ns,
           uint64_t *ret_retry_ns)
{
  *ret_retry_ns = UINT64_MAX;
  if (f->writing_slots)
    for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
      const struct inflight_slot *s = &f->slot[i];

      if (slot_writing (s) && s->request.offset < end
          && offset < s->request.offset + s->request.length)
        return true; /* I2 */
    }
  forget_old_doubts (f, now_ns);
  for (uint32_t i = 0; i < f->doubts; i++)
    if (f->doubt[i].offset < end && offset < f->doubt[i].end) {
      *ret_retry_ns = f->doubt[i].until_ns;
      return true; /* I3 */
    }
  return false;
}

/* One of usable: the least busy; from the one whose turn it is on. */
static unsigned
pick_path (struct inflight *f, uint32_t usable)
{
  unsigned best = INFLIGHT_PATHS;

  assert (usable && usable <= INFLIGHT_ALL_PATHS);
  for (unsigned i = 0; i < INFLIGHT_PATHS; i++) {
    unsigned p = (f->next_path + i) % INFLIGHT_PATHS;

    if ((usable & 1u << p)
        && (best == INFLIGHT_PATHS || f->path[p].bound < f->path[best].bound))
      best = p;
  }
  f->next_path = (best + 1) % INFLIGHT_PATHS;
  return best;
}

static void
new_generation (struct inflight *f, struct inflight_slot *s)
{
  if (++s->generation == 0)
    s->generation = 1;
  s->sequence = f->next_sequence++;
  s->request.id
    = (uint64_t)s->generation << 32 | (uint32_t)(s - f->slot);
  s->error = ERR_OK;
  s->server_errno = 0;
  s->deaths = 0;
  s->blamable = 0;
  s->covers = 0;
  s->over_ns = 0;
}

enum err
inflight_get (struct inflight *f, enum io_op op, uint32_t flags,
              uint64_t offset, uint32_t length_bytes, uint32_t usable,
              uint64_t now_ns, void *owner, uint32_t *ret_slot,
              uint64_t *ret_retry_ns)
{
  struct inflight_slot *s;
  uint32_t i;

  assert (length_bytes <= CHANNEL_CHUNK_BYTES
          || (op != IO_READ && op != IO_WRITE));
  *ret_retry_ns = UINT64_MAX;
  if (f->failed)
    return f->failed;
  if (f->free_slots == 0)
    return ERR_AGAIN;
  if (op_writes ((uint16_t)op)
      && must_wait (f, offset, offset + length_bytes, now_ns, ret_retry_ns))
    return ERR_AGAIN;

  i = f->free_stack[--f->free_slots];
  s = &f->slot[i];
  s->owner = owner;
  s->users = 1;
  s->path = (uint8_t)pick_path (f, usable);
  s->request = (struct ring_request){
    .offset = offset,
    .arena_offset = (uint64_t)i * CHANNEL_CHUNK_BYTES,
    .length = length_bytes,
    .op = (uint16_t)op,
    .flags = (uint16_t)flags,
  };
  new_generation (f, s);
  set_state (f, s, SLOT_FILLING);
  *ret_slot = i;
  return ERR_OK;
}

void
inflight_ready (struct inflight *f, uint32_t slot)
{
  struct inflight_slot *s = &f->slot[slot];

  if (f->failed)
    s->error = f->failed;
  set_state (f, s, f->failed ? SLOT_DONE : SLOT_QUEUED);
}

unsigned
inflight_move (struct inflight *f, uint32_t slot, uint32_t usable)
{
  struct inflight_slot *s = &f->slot[slot];

  assert (s->state == SLOT_QUEUED);
  count (f, s, (uint32_t)-1);
  s->path = (uint8_t)pick_path (f, usable);
  count (f, s, 1);
  return s->path;
}

enum err
inflight_push (struct inflight *f, struct ring *ring, uint32_t slot,
               uint64_t now_ns)
{
  struct inflight_slot *s = &f->slot[slot];
  union ring_entry e = {.request = s->request};

  assert (s->state == SLOT_QUEUED);
  e.request.sent_ns = now_ns;
  /* Never more than RING_ENTRIES are SENT, so a full ring is a lying head. */
  if (ring_push (ring, &e))
    return ERR_PEER;
  s->sent_ns = now_ns;
  f->path[s->path].pushes++;
  set_state (f, s, SLOT_SENT);
  return ERR_OK;
}

uint64_t
inflight_writes_over_ns (const struct inflight *f)
{
  uint64_t last_ns = 0;

  if (f->writing_slots)
    return UINT64_MAX;
  for (uint32_t i = 0; i < f->doubts; i++)
    if (f->doubt[i].until_ns > last_ns)
      last_ns = f->doubt[i].until_ns;
  return last_ns;
}

uint64_t
inflight_oldest_sent_ns (const struct inflight *f, unsigned path)
{
  uint64_t oldest_ns = UINT64_MAX;

  for (uint32_t i = 0; f->path[path].sent && i < INFLIGHT_SLOTS; i++)
    if (f->slot[i].state == SLOT_SENT && f->slot[i].path == path
        && f->slot[i].sent_ns < oldest_ns)
      oldest_ns = f->slot[i].sent_ns;
  return oldest_ns;
}

uint32_t
inflight_unflushed (const struct inflight *f)
{
  uint32_t paths = 0;

  for (unsigned p = 0; p < INFLIGHT_PATHS; p++)
    if (f->path[p].written > f->path[p].flushed)
      paths |= 1u << p;
  return paths;
}

void
inflight_covers (struct inflight *f, uint32_t slot, uint32_t covers)
{
  struct inflight_slot *s = &f->slot[slot];

  assert (s->state == SLOT_FILLING && s->request.op == IO_FLUSH);
  s->covers = (uint8_t)covers;
  s->covers_writes = f->write_count;
}

void
inflight_flushed (struct inflight *f, uint32_t slot)
{
  const struct inflight_slot *s = &f->slot[slot];

  assert (s->request.op == IO_FLUSH && !s->server_errno);
  for (unsigned p = 0; p < INFLIGHT_PATHS; p++)
    if ((s->covers & 1u << p) && f->path[p].flushed < s->covers_writes)
      f->path[p].flushed = s->covers_writes;
}

uint32_t
inflight_next (const struct inflight *f)
{
  uint32_t best = INFLIGHT_SLOTS, left = f->queued_slots;

  if (f->suspects && f->sent_slots) /* I4 */
    return INFLIGHT_SLOTS;
  for (uint32_t i = 0; left && i < INFLIGHT_SLOTS; i++) {
    if (f->slot[i].state != SLOT_QUEUED)
      continue;
    left--;
    if (!is_held (&f->slot[i])
        && (!f->suspects || is_suspect (&f->slot[i]))
        && (best == INFLIGHT_SLOTS
            || f->slot[i].sequence < f->slot[best].sequence))
      best = i;
  }
  return best;
}

enum err
inflight_complete (struct inflight *f, unsigned path,
                   const struct ring_completion *c, void **ret_owner)
{
  uint32_t i = (uint32_t)c->id;
  struct inflight_slot *s;

  if (i >= INFLIGHT_SLOTS)
    return ERR_PEER;
  s = &f->slot[i];
  if (s->state != SLOT_SENT || s->path != path || s->request.id != c->id)
    return ERR_PEER; /* I1 */
  if (c->error == 0 && s->request.op == IO_READ
      && c->length != s->request.length)
    return ERR_PEER;
  if (c->error == 0 && s->request.op == IO_STATUS
      && (!c->length || c->length % sizeof (struct io_extent)
          || c->length > IO_EXTENTS_MAX * sizeof (struct io_extent)))
    return ERR_PEER;
  s->answer_bytes = c->length;
  s->server_errno
    = c->error <= ERRNO_MAX ? (int)c->error : err_errno (ERR_IO);
  memcpy (s->token, c->token, sizeof s->token);
  if (op_writes (s->request.op))
    f->path[s->path].written = ++f->write_count;
  *ret_owner = s->owner;
  set_state (f, s, s->abandoned ? SLOT_FREE : SLOT_DONE);
  return ERR_OK;
}

/* Nobody waits for it any more, and no worker has it. */
static void
dismiss (struct inflight *f, struct inflight_slot *s)
{
  bool answered = s->state == SLOT_DONE && !s->error;

  set_state (f, s,
             op_writes (s->request.op) && s->state != SLOT_FILLING && !answered
               ? SLOT_UNSURE /* I8 */
               : SLOT_FREE);
}

static void
leave (struct inflight *f, struct inflight_slot *s)
{
  assert (s->users > 0);
  if (--s->users > 0) /* I7 */
    return;
  if (s->state == SLOT_SENT)
    s->abandoned = true; /* I5: the worker may still use its chunk */
  else
    dismiss (f, s);
}

void
inflight_join (struct inflight *f, uint32_t slot)
{
  struct inflight_slot *s = &f->slot[slot];

  assert (s->users > 0 && s->request.op == IO_READ);
  s->users++;
}

void
inflight_unjoin (struct inflight *f, uint32_t slot)
{
  leave (f, &f->slot[slot]);
}

void
inflight_put (struct inflight *f, uint32_t slot)
{
  struct inflight_slot *s = &f->slot[slot];

  assert (s->state == SLOT_FILLING || s->state == SLOT_DONE);
  s->owner = NULL;
  leave (f, s);
}

void
inflight_again (struct inflight *f, uint32_t slot)
{
  struct inflight_slot *s = &f->slot[slot];

  assert (s->state == SLOT_DONE && !op_writes (s->request.op)
          && s->users == 1);
  new_generation (f, s);
  s->error = f->failed;
  if (!f->failed)
    set_state (f, s, SLOT_QUEUED);
}

void
inflight_abandon (struct inflight *f, uint32_t slot)
{
  struct inflight_slot *s = &f->slot[slot];

  s->owner = NULL;
  leave (f, s);
}

bool
inflight_settle (struct inflight *f, uint64_t now_ns, struct ring_request *ret)
{
  for (uint32_t i = 0; f->unsure_slots && i < INFLIGHT_SLOTS; i++) {
    struct inflight_slot *s = &f->slot[i];

    if (s->state != SLOT_UNSURE || s->over_ns > now_ns)
      continue;
    *ret = s->request;
    set_state (f, s, SLOT_FREE);
    return true;
  }
  return false;
}

static void
add_doubt (struct inflight *f, const struct ring_request *r,
           uint64_t until_ns)
{
  uint32_t i;

  if (f->doubts < INFLIGHT_SLOTS) {
    i = f->doubts++;
    f->doubt[i].offset = r->offset;
    f->doubt[i].end = r->offset + r->length;
  } else {
    /* Full: widen one instead of losing one. Waits too much, never too
     * little.
     */
    i = INFLIGHT_SLOTS - 1;
    if (r->offset < f->doubt[i].offset)
      f->doubt[i].offset = r->offset;
    if (r->offset + r->length > f->doubt[i].end)
      f->doubt[i].end = r->offset + r->length;
  }
  f->doubt[i].until_ns = until_ns;
}

void
inflight_down (struct inflight *f, unsigned path, uint64_t now_ns)
{
  forget_old_doubts (f, now_ns);
  for (uint32_t i = 0; f->path[path].sent && i < INFLIGHT_SLOTS; i++) {
    struct inflight_slot *s = &f->slot[i];

    if (s->state != SLOT_SENT || s->path != path)
      continue;
    s->over_ns = now_ns + FENCE_WAIT_NS;
    if (op_writes (s->request.op))
      add_doubt (f, &s->request, s->over_ns);
    count (f, s, (uint32_t)-1);
    s->blamable |= (uint8_t)(1u << path);
    count (f, s, 1);
    if (s->abandoned)
      dismiss (f, s);
    else
      set_state (f, s, SLOT_QUEUED);
  }
}

/* Somebody has told why the path's worker died. Returns how many failed. */
static unsigned
judge (struct inflight *f, unsigned path, bool guilty)
{
  uint32_t left = f->queued_slots + f->sent_slots;
  unsigned failed = 0;

  for (uint32_t i = 0; left && i < INFLIGHT_SLOTS; i++) {
    struct inflight_slot *s = &f->slot[i];

    if (s->state != SLOT_QUEUED && s->state != SLOT_SENT)
      continue;
    left--;
    if (!(s->blamable & 1u << path))
      continue;
    count (f, s, (uint32_t)-1);
    s->blamable &= (uint8_t)~(1u << path);
    s->deaths += guilty;
    count (f, s, 1);
    if (s->state != SLOT_QUEUED || s->deaths < INFLIGHT_DEATHS_FATAL)
      continue;
    s->error = ERR_IO;
    set_state (f, s, SLOT_DONE);
    failed++;
  }
  return failed;
}

unsigned
inflight_blame (struct inflight *f, unsigned path)
{
  return judge (f, path, true);
}

void
inflight_absolve (struct inflight *f, unsigned path)
{
  judge (f, path, false);
}

void
inflight_fail (struct inflight *f, enum err why)
{
  f->failed = why;
  for (uint32_t i = 0; i < INFLIGHT_SLOTS; i++) {
    struct inflight_slot *s = &f->slot[i];

    assert (s->state != SLOT_SENT);
    if (s->state != SLOT_QUEUED)
      continue;
    s->error = why;
    set_state (f, s, SLOT_DONE);
  }
}
