/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/fake/peer_private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

static void
poke (int eventfd_)
{
  uint64_t one = 1;
  ssize_t ignored = write (eventfd_, &one, sizeof one);

  (void)ignored;
}

/* What STATUS must not say. */
static uint32_t
lie (struct peer *p, const struct ring_request *r, struct io_extent *ret)
{
  static const struct {
    uint32_t extra, flags, bytes;
  } lies[] = {{0, 0, 0},  {0, 0, 15}, {1, 0, 16},
              {0, 4, 16}, {0, 0, 16 * (IO_EXTENTS_MAX + 1)}};
  unsigned i = p->lies++;

  if (i >= sizeof lies / sizeof lies[0]) {
    ret[0] = (struct io_extent){.length = 0}; /* the last one */
    return 16;
  }
  ret[0] = (struct io_extent){.length = (uint64_t)r->length + lies[i].extra,
                              .flags = lies[i].flags};
  return lies[i].bytes;
}

/* Returns an errno, or 0. */
static uint32_t
change (struct peer *p, const struct ring_request *r, const uint8_t *payload)
{
  if (p->full)
    return ENOSPC;
  if (r->offset < p->bad_pages * PAGE_BYTES)
    return EIO;
  if (r->op == IO_WRITE)
    disk_write (&p->disk, r->offset, payload, r->length);
  else
    disk_zero (&p->disk, r->offset, r->length, r->flags & IO_NO_HOLE);
  if (r->flags & IO_FUA && p->failing_fuas) {
    p->failing_fuas--;
    disk_drop (&p->disk);
    return EIO;
  }
  if (r->flags & IO_FUA)
    disk_sync (&p->disk, r->offset, r->length);
  return 0;
}

static uint32_t
flush (struct peer *p)
{
  unsigned failing = p->failing_flushes;

  if (failing) {
    p->failing_flushes = failing - 1;
    disk_drop (&p->disk);
    return EIO;
  }
  disk_sync (&p->disk, 0, p->disk.size);
  return 0;
}

/* Does what was asked, and says what the completion is. */
static struct ring_completion
serve (struct peer_path *w, const struct ring_request *r)
{
  struct peer *p = w->gateway->peer;
  uint8_t *rd = (uint8_t *)w->view.base[CHANNEL_READ_ARENA] + r->arena_offset;
  const uint8_t *wr
    = (const uint8_t *)w->view.base[CHANNEL_WRITE_ARENA] + r->arena_offset;
  struct ring_completion c = {.id = r->id};

  w->served++;
  w->flushes += r->op == IO_FLUSH;
  p->misaligned += r->offset % p->info.block_min != 0
                   || r->length % p->info.block_min != 0;
  pthread_mutex_lock (&p->server_lock);
  if (r->op != IO_READ && r->op != IO_STATUS && !(w->caps & VOLUME_CAN_WRITE))
    c.error = EROFS;
  else if (r->op == IO_READ && p->failing_reads) {
    p->failing_reads--;
    c.error = EIO;
  } else if (r->op == IO_READ) {
    memcpy (rd, p->disk.bytes + r->offset, r->length);
    c.length = r->length;
  } else if (r->op == IO_FLUSH)
    c.error = flush (p);
  else if (r->op == IO_STATUS)
    c.length = p->mischief == PEER_LIES
                 ? lie (p, r, (struct io_extent *)rd)
                 : (uint32_t)sizeof (struct io_extent)
                     * disk_status (&p->disk, r->offset, r->length,
                                    (struct io_extent *)rd);
  else
    c.error = change (p, r, wr);
  memcpy (c.token, p->session_tokens ? w->token : p->disk.token,
          sizeof c.token);
  pthread_mutex_unlock (&p->server_lock);
  return c;
}

static void
answer (struct ring *ring, const struct ring_completion *c)
{
  union ring_entry e = {.completion = *c};

  ring_push (ring, &e);
}

static void
misbehave (struct peer_path *w, struct ring *ring,
           const struct ring_completion *c)
{
  struct ring_completion forged = *c;
  int wake = w->fd[CHANNEL_WAKE_GATEWAY];

  switch (mischief_of (w)) {
  case PEER_FORGED_ID:
    forged.id ^= 1ull << 40;
    answer (ring, &forged);
    break;
  case PEER_FORGED_TAIL:
    atomic_store (&ring->mine->tail, ring->tail + 1000);
    while (!w->stop) { /* an honest push would mend it */
      poke (wake);
      poll (NULL, 0, 1);
    }
    break;
  case PEER_FORGED_HEAD:
    atomic_store (&ring->mine->head, ring->head - 1000);
    answer (ring, c);
    if (ring_wake_needed (ring))
      poke (wake);
    poll (NULL, 0, 5); /* until somebody has pushed against it */
    break;
  case PEER_TWICE:
    answer (ring, c);
    answer (ring, c);
    break;
  case PEER_HANGS:
    while (!w->stop)
      poll (NULL, 0, 5);
    break;
  default:
    answer (ring, c);
  }
}

static bool
poisonous (const struct peer_path *w, const struct ring_request *r)
{
  uint64_t at = (uint64_t)PEER_POISON * PAGE_BYTES;

  return mischief_of (w) == PEER_POISONED && r->op == IO_READ
         && r->offset <= at && at < r->offset + r->length;
}

struct held {
  struct ring_request request[RING_ENTRIES];
  unsigned n;
  struct ring_completion late[RING_ENTRIES];
  unsigned n_late;
  unsigned seed;
};

static bool
is_late (const struct peer_path *w, const struct ring_request *r)
{
  struct peer *p = w->gateway->peer;
  uint64_t late = p->late_page;

  if (late && r->op == IO_FLUSH && p->late_flushes) {
    p->late_flushes--;
    p->late_path = w->index;
    return true;
  }
  return late && r->length
         && (p->late_gateways & 1u << (w->gateway - p->gateway))
         && r->offset / PAGE_BYTES <= late - 1
         && late - 1 <= (r->offset + r->length - 1) / PAGE_BYTES;
}

static bool
worker_turn (struct peer_path *w, struct ring *ring, struct held *h)
{
  union ring_entry e;
  bool worked = false;

  while (h->n < RING_ENTRIES && ring_pop (ring, &e) == ERR_OK) {
    if (poisonous (w, &e.request)) {
      w->died = true;
      return false;
    }
    if (is_late (w, &e.request))
      h->late[h->n_late++] = serve (w, &e.request);
    else
      h->request[h->n++] = e.request;
    worked = true;
  }
  if (h->n_late && !w->gateway->peer->late_page) {
    for (unsigned i = 0; i < h->n_late; i++)
      answer (ring, &h->late[i]);
    h->n_late = 0;
    worked = true;
  }
  /* In any order; sometimes some are kept for the next turn. */
  while (h->n && rand_r (&h->seed) % 8) {
    unsigned i = (unsigned)rand_r (&h->seed) % h->n;
    struct ring_request r = h->request[i];
    struct ring_completion c = serve (w, &r);

    h->request[i] = h->request[--h->n];
    if (rand_r (&h->seed) % 50 == 0)
      misbehave (w, ring, &c);
    else
      answer (ring, &c);
    worked = true;
  }
  return worked || h->n;
}

static void
worker_loop (struct peer_path *w, struct ring *ring, struct held *h)
{
  uint64_t progress = 0, count;

  while (!w->stop && !w->died) {
    struct pollfd p = {.fd = w->fd[CHANNEL_WAKE_WORKER], .events = POLLIN};
    ssize_t ignored;

    atomic_store (&ring->mine->progress, ++progress);
    if (mischief_of (w) == PEER_SILENT) {
      union ring_entry e;

      while (ring_pop (ring, &e) == ERR_OK)
        ;
    } else if (worker_turn (w, ring, h)) {
      if (ring_wake_needed (ring))
        poke (w->fd[CHANNEL_WAKE_GATEWAY]);
      continue;
    }
    if (!ring_sleep (ring))
      continue;
    poll (&p, 1, 10);
    ring_awake (ring);
    ignored = read (w->fd[CHANNEL_WAKE_WORKER], &count, sizeof count);
    (void)ignored;
  }
}

void *
peer_worker_main (void *arg)
{
  struct peer_path *w = arg;
  struct control *m = calloc (1, sizeof *m);
  struct held *h = calloc (1, sizeof *h);
  struct ring ring;
  enum err e;

  h->seed = (unsigned)w->epoch;
  while ((e = control_recv (w->sock[1], m, PEER_SECOND / 100)))
    if (w->stop || e == ERR_CLOSED)
      break;
  if (!e) {
    struct wire go = wire_init (m->body, m->length_bytes);

    MUST (m->type == CONTROL_GO);
    ring_object_reset (w->view.base[CHANNEL_COMPLETIONS], wire_u64 (&go));
    ring_init (&ring, w->view.base[CHANNEL_COMPLETIONS],
               w->view.base[CHANNEL_REQUESTS]);
    worker_loop (w, &ring, h);
  }
  free (h);
  free (m);
  return NULL;
}
