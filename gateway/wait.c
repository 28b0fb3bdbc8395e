/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that wait: one of them leads, which means that it sleeps on the
 * workers' eventfd and takes completions for all; the others sleep on a
 * semaphore of their own.
 *
 * What costs at depth is waking, so:
 *   - who is woken is woken after the lock is free, or it would only run into
 *     it;
 *   - the lead is passed on only if no thread is on its way out of its sleep
 *     already: that one leads next, or passes it on when it leaves.
 *
 * Waiters belong to the link, not to their thread's stack, so that a late post
 * finds its semaphore.
 */
#include "config.h"
#include "gateway/link_private.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

struct waiter *
waiter_enter (struct link *l)
{
  struct waiter *w = l->idle_waiters;

  if (w)
    l->idle_waiters = w->next;
  else if ((w = calloc (1, sizeof *w)))
    sem_init (&w->sem, 0, 0);
  else
    return NULL;
  w->wanted = INFLIGHT_SLOTS;
  w->blocked = false;
  w->next = &l->waiters;
  w->prev = l->waiters.prev;
  w->prev->next = w;
  l->waiters.prev = w;
  return w;
}

/* It will be running soon; whoever does so while it has the lock posts the
 * semaphore itself, or collects it for post_collected.
 */
static bool
stir (struct link *l, struct waiter *w)
{
  if (w->stirred)
    return false;
  w->stirred = true;
  l->stirring++;
  return true;
}

static void
settle (struct link *l, struct waiter *w)
{
  if (!w->stirred)
    return;
  w->stirred = false;
  l->stirring--;
}

static void
wake_now (struct link *l, struct waiter *w)
{
  if (w == l->leader) { /* not on its semaphore but on the eventfd */
    uint64_t one = 1;
    ssize_t ignored = write (l->wake_gateway, &one, sizeof one);

    (void)ignored;
  } else if (stir (l, w))
    sem_post (&w->sem);
}

static void
wake_later (struct link *l, struct waiter *w)
{
  if (w == l->leader)
    return; /* that is who asks */
  if (l->n_collected == INFLIGHT_SLOTS)
    wake_now (l, w);
  else if (stir (l, w))
    l->collected[l->n_collected++] = w;
}

/* Drops the lock meanwhile. */
static void
post_collected (struct link *l)
{
  struct waiter *all[INFLIGHT_SLOTS];
  unsigned n = l->n_collected;

  if (!n)
    return;
  for (unsigned i = 0; i < n; i++)
    all[i] = l->collected[i];
  l->n_collected = 0;
  pthread_mutex_unlock (&l->lock);
  for (unsigned i = 0; i < n; i++)
    sem_post (&all[i]->sem);
  pthread_mutex_lock (&l->lock);
}

void
waiter_leave (struct link *l, struct waiter *w)
{
  settle (l, w);
  w->prev->next = w->next;
  w->next->prev = w->prev;
  w->next = l->idle_waiters;
  l->idle_waiters = w;
  /* Somebody must watch the rings. */
  if (!l->leader && !l->stirring && l->waiters.next != &l->waiters)
    wake_now (l, l->waiters.next);
}

void
waiter_free_all (struct link *l)
{
  while (l->idle_waiters) {
    struct waiter *w = l->idle_waiters;

    l->idle_waiters = w->next;
    sem_destroy (&w->sem);
    free (w);
  }
}

void
link_wake_all (struct link *l)
{
  for (struct waiter *w = l->waiters.next; w != &l->waiters; w = w->next)
    wake_now (l, w);
}

void
link_wake_blocked (struct link *l)
{
  if (!l->blocked)
    return;
  for (struct waiter *w = l->waiters.next; w != &l->waiters; w = w->next)
    if (w->blocked)
      wake_now (l, w);
}

/* Any number of threads may wait for it: what was prefetched, or joined. */
static void
wake_wanting (struct link *l, uint32_t slot)
{
  for (struct waiter *w = l->waiters.next; w != &l->waiters; w = w->next)
    if (w->wanted == slot)
      wake_later (l, w);
}

void
link_wake_wanting (struct link *l, uint32_t slot)
{
  for (struct waiter *w = l->waiters.next; w != &l->waiters; w = w->next)
    if (w->wanted == slot)
      wake_now (l, w);
}

/* Nobody has waited for this answer; its slot is free again, and what it wrote
 * is no longer under way.
 */
static void
end_abandoned (struct link *l, uint32_t slot)
{
  link_end_write (l, &l->inflight.slot[slot].request);
  link_wake_blocked (l);
}

/* Takes all completions of one path that are there. Returns how many. */
static unsigned
drain_path (struct link *l, struct path *p)
{
  union ring_entry e;
  unsigned n = 0;
  enum err r;

  while ((r = ring_pop (&p->ring, &e)) == ERR_OK) {
    uint32_t slot = (uint32_t)e.completion.id;
    struct waiter *w;
    void *owner;

    if (inflight_complete (&l->inflight, p->index, &e.completion, &owner)) {
      link_distrust (l, p, "a completion that answers no request", false);
      return n;
    }
    n++;
    l->answered = true;
    proof_answered (l, slot);
    if (owner == &l->ahead) {
      wake_wanting (l, slot);
      continue;
    }
    w = owner;
    if (l->inflight.slot[slot].state == SLOT_FREE)
      end_abandoned (l, slot);
    else if (!w || inflight_shared (&l->inflight, slot))
      wake_wanting (l, slot);
    else if (w->wanted == slot) /* pieces before their turn wake nobody */
      wake_later (l, w);
  }
  if (r == ERR_PEER)
    link_distrust (l, p, "impossible producer index", false);
  return n;
}

/* The same for all paths. */
static unsigned
drain (struct link *l)
{
  unsigned n = 0;

  for (unsigned i = 0; i < l->paths; i++)
    if (path_up (l, &l->path[i]))
      n += drain_path (l, &l->path[i]);
  /* A suspect ran alone: others may go now. */
  if (n && l->inflight.queued_slots)
    link_push_queued (l);
  return n;
}

/* Takes the marks of mark_asleep back; with another worker a ring has begun
 * anew, awake.
 */
static void
mark_awake (struct link *l)
{
  for (unsigned i = 0; i < l->paths; i++) {
    struct path *p = &l->path[i];

    if (p->asleep_epoch && p->asleep_epoch == p->epoch)
      ring_awake (&p->ring);
    p->asleep_epoch = 0;
  }
}

/* Every worker is to write the eventfd when it has something. False: one has
 * already. (One that comes up later wakes the leader: link_up.)
 */
static bool
mark_asleep (struct link *l)
{
  for (unsigned i = 0; i < l->paths; i++) {
    struct path *p = &l->path[i];

    if (!path_up (l, p))
      continue;
    if (!ring_sleep (&p->ring)) {
      mark_awake (l);
      return false;
    }
    p->asleep_epoch = p->epoch;
  }
  return true;
}

/* Sleeps on the eventfd for at most slice_ns, without the lock. */
static void
sleep_on_rings (struct link *l, uint64_t slice_ns)
{
  struct pollfd p = {.fd = l->wake_gateway, .events = POLLIN};
  struct timespec ts = {.tv_nsec = (long)slice_ns};
  uint64_t count;
  ssize_t ignored;

  if (!mark_asleep (l))
    return;
  pthread_mutex_unlock (&l->lock);
  if (ppoll (&p, 1, &ts, NULL) > 0) {
    ignored = read (l->wake_gateway, &count, sizeof count);
    (void)ignored;
  }
  pthread_mutex_lock (&l->lock);
  mark_awake (l);
}

void
waiter_wait (struct link *l, struct waiter *w, uint64_t slice_ns)
{
  if (l->up && !l->leader) {
    l->leader = w;
    if (drain (l) == 0 && l->up) {
      sleep_on_rings (l, slice_ns);
      if (l->up)
        drain (l);
    }
    l->leader = NULL;
    post_collected (l);
  } else {
    uint64_t until_ns = clock_now_ns () + slice_ns;
    struct timespec ts = {.tv_sec = (time_t)(until_ns / 1000000000ull),
                          .tv_nsec = (long)(until_ns % 1000000000ull)};

    pthread_mutex_unlock (&l->lock);
    sem_clockwait (&w->sem, CLOCK_MONOTONIC, &ts);
    pthread_mutex_lock (&l->lock);
  }
  settle (l, w);
}
