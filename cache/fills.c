/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/fills.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/copy.h"
#include "ipc/shm.h"

struct fills {
  struct daemon *d;
  const char *name;
  fills_page *take;
  void *ctx;
  int fd[CACHE_FDS]; /* of the fill objects; -1 once handed over */
  void *ring_base, *arena_base, *answers_base;
  struct ring ring;
  uint64_t volume_pages;
  ev_io wake;
  ev_timer again;
};

/* After the last fill the daemon looks once more before it sleeps: where reads
 * come one by one it would otherwise be woken for each of them.
 */
#define LINGER_S 0.001

/* Each byte is copied once, as the gateway can still write to the chunk. */
static void
take_fill (struct fills *x, uint64_t first, uint32_t pages,
           const uint8_t *chunk)
{
  uint8_t bytes[PAGE_BYTES];

  if (first > x->volume_pages || pages > x->volume_pages - first)
    return;
  for (uint32_t i = 0; i < pages; i++) {
    uint64_t version = fill_version (chunk, i);

    if (version == PAGE_NONE)
      continue;
    copy_bytes (bytes, chunk + (size_t)PAGE_BYTES * (1 + i), PAGE_BYTES);
    x->take (x->ctx, first + i, version, bytes);
  }
}

/* Takes what is there, but not more than one turn's share. Returns how many;
 * FILLS_PER_TURN: there may be more.
 */
static unsigned
drain (struct fills *x, bool *ret_broken)
{
  unsigned n;

  for (n = 0; n < FILLS_PER_TURN; n++) {
    uint64_t first;
    uint32_t pages;
    const uint8_t *chunk;
    enum err e = fill_take (&x->ring, x->arena_base, &first, &pages, &chunk);

    if (e == ERR_AGAIN)
      break;
    if (e) {
      log_write (x->d->log, LOG_LEVEL_ERROR,
                 "%s: a gateway's fill ring breaks the rules: its fills end "
                 "here",
                 x->name);
      ev_io_stop (x->d->loop, &x->wake);
      *ret_broken = true;
      break;
    }
    take_fill (x, first, pages, chunk);
  }
  return n;
}

static void
look (struct fills *x)
{
  bool broken = false;
  unsigned n = drain (x, &broken);
  double wait_s = n == FILLS_PER_TURN ? 0. : LINGER_S;

  if (broken || (n == 0 && ring_sleep (&x->ring)))
    return;
  ev_timer_set (&x->again, wait_s, 0.);
  ev_timer_start (x->d->loop, &x->again);
}

static void
on_again (struct ev_loop *loop, ev_timer *w, int events)
{
  (void)loop;
  (void)events;
  look (w->data);
}

static void
on_wake (struct ev_loop *loop, ev_io *w, int events)
{
  struct fills *x = w->data;
  uint64_t count;
  struct iovec to = {&count, sizeof count};
  /* The gateway has the same file description, and may have made it one that
   * blocks, and been faster.
   */
  ssize_t ignored = preadv2 (w->fd, &to, 1, -1, RWF_NOWAIT);

  (void)ignored;
  (void)loop;
  (void)events;
  if (ev_is_active (&x->again))
    return; /* awake already */
  ring_awake (&x->ring);
  look (x);
}

static enum err
make_object (const char *name, size_t size_bytes, bool writable, int *ret_fd,
             void **ret_base)
{
  enum err e = shm_create (name, size_bytes, ret_fd);

  return e ? e : shm_map (*ret_fd, size_bytes, writable, ret_base);
}

static enum err
make_objects (struct fills *x)
{
  CLEANUP_CLOSE int answers = -1;
  enum err e;

  if ((e = make_object ("bh-fill-ring", CHANNEL_RING_BYTES, false,
                        &x->fd[CACHE_FILL_RING], &x->ring_base))
      || (e = make_object ("bh-fill-arena", FILL_ARENA_BYTES, false,
                           &x->fd[CACHE_FILL_ARENA], &x->arena_base))
      || (e = make_object ("bh-fill-answers", CHANNEL_RING_BYTES, true,
                           &answers, &x->answers_base))
      || (e = shm_reopen_readonly (answers, &x->fd[CACHE_FILL_ANSWERS])))
    return e;
  x->fd[CACHE_FILL_WAKE] = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  return x->fd[CACHE_FILL_WAKE] < 0 ? err_from_errno (errno) : ERR_OK;
}

enum err
fills_open (struct daemon *d, const char *name, fills_page *take, void *ctx,
            struct fills **ret)
{
  struct fills *x = calloc (1, sizeof *x);
  struct ring_object *mine;
  enum err e;

  if (!x)
    return ERR_NOMEM;
  *x = (struct fills){.d = d, .name = name, .take = take, .ctx = ctx,
                      .volume_pages = PAGE_NONE - 1};
  for (int i = 0; i < CACHE_FDS; i++)
    x->fd[i] = -1;
  ev_init (&x->wake, on_wake);
  ev_timer_init (&x->again, on_again, 0., 0.);
  x->again.data = x;
  if ((e = make_objects (x))) {
    fills_close (x);
    return e;
  }
  mine = x->answers_base;
  ring_object_reset (mine, FILL_EPOCH);
  ring_init (&x->ring, mine, x->ring_base);
  ring_sleep (&x->ring); /* the gateway's object is of no epoch yet */
  ev_io_set (&x->wake, x->fd[CACHE_FILL_WAKE], EV_READ);
  x->wake.data = x;
  ev_io_start (d->loop, &x->wake);
  *ret = x;
  return ERR_OK;
}

void
fills_close (struct fills *x)
{
  if (!x)
    return;
  ev_io_stop (x->d->loop, &x->wake);
  ev_timer_stop (x->d->loop, &x->again);
  for (int i = 0; i < CACHE_FDS; i++)
    cleanup_close (&x->fd[i]);
  shm_unmap (x->ring_base, CHANNEL_RING_BYTES);
  shm_unmap (x->arena_base, FILL_ARENA_BYTES);
  shm_unmap (x->answers_base, CHANNEL_RING_BYTES);
  free (x);
}

void
fills_fds (const struct fills *x, int fd[CACHE_FDS])
{
  for (int i = CACHE_FILL_RING; i <= CACHE_FILL_WAKE; i++)
    fd[i] = x->fd[i];
}

void
fills_handed_over (struct fills *x)
{
  for (int i = CACHE_FILL_RING; i < CACHE_FILL_WAKE; i++) {
    cleanup_close (&x->fd[i]);
    x->fd[i] = -1;
  }
}

void
fills_set_pages (struct fills *x, uint64_t volume_pages)
{
  x->volume_pages = volume_pages;
}
