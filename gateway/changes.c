/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether somebody else has written: what each session finds when it begins,
 * and what the server says when it is asked. That goes by a message to the
 * worker, not through the rings, as it is no request of a client. See
 * revalidate.h for what is made of the answer.
 */
#include "config.h"
#include "gateway/link_private.h"

#include "common/clock.h"

static struct revalidate_writes
writes_of (const struct link *l)
{
  struct revalidate_writes w = {0};

  w.ended = stripes_writes_ended (&l->hot.stripes);
  w.begun = stripes_writes_begun (&l->hot.stripes);
  return w;
}

/* For whoever opens the volume when all gateways have gone (S5). */
static void
note_known (const struct link *l)
{
  const struct revalidate *r = &l->revalidate;
  const struct stripes_known k = {.change = r->change,
                                  .size_bytes = r->size,
                                  .begun = r->begun};

  if (r->known)
    stripes_set_known (&l->hot.stripes, &k);
}

/* Lists are read once, and never cached. */
static bool
is_watched (const struct link *l)
{
  return l->hot.stripes.file && !(l->info.caps & VOLUME_IS_LIST);
}

void
changes_begin (struct link *l)
{
  struct revalidate_writes w;

  if (!is_watched (l))
    return;
  w = writes_of (l);
  revalidate_init (&l->revalidate, l->options.revalidate_ns, l->info.change,
                   l->info.size, &w, clock_now_ns ());
  /* Else a write was under way when the first session looked, maybe. */
  if (w.ended == w.begun)
    note_known (l);
}

void
changes_path_down (struct link *l, struct path *p)
{
  if (is_watched (l))
    p->lost_at = writes_of (l);
  if (l->revalidate.asked && l->revalidate_path == p->index)
    revalidate_lost (&l->revalidate, clock_now_ns ());
}

static void
ask (struct link *l, struct path *p, struct control *m)
{
  struct revalidate_writes w = writes_of (l);
  struct wirebuf b;

  control_begin (m, CONTROL_PROBE);
  b = control_body (m);
  revalidate_ask (&l->revalidate, &w, clock_now_ns ());
  l->revalidate_path = p->index;
  /* It never has two to read; if it is dead, changes_path_down comes. */
  if (control_send (p->worker_sock, m, &b, 0))
    link_down (l, p);
}

void
changes_tick (struct link *l, struct control *m)
{
  struct revalidate_writes w;
  uint64_t now = clock_now_ns ();

  if (l->revalidate.asked
      && now - l->revalidate.asked_ns >= l->options.request_ns) {
    link_distrust (l, &l->path[l->revalidate_path],
                   "the server has not answered a request in time", false);
    return;
  }
  if (!l->up || !is_watched (l))
    return;
  w = writes_of (l);
  if (!revalidate_due (&l->revalidate, &w, now))
    return;
  for (unsigned i = 0; i < l->paths; i++)
    if (l->up & 1u << i) {
      ask (l, &l->path[i], m);
      return;
    }
}

static void
tell_resized (struct link *l, uint64_t size)
{
  if (l->options.resized)
    l->options.resized (size);
}

/* Other sessions than the one that knows it keep the size that they found when
 * they began: they begin anew.
 */
static void
renew_sessions (struct link *l, uint64_t size)
{
  for (unsigned i = 0; i < l->paths; i++)
    if (l->up & 1u << i && l->path[i].size_bytes < size)
      link_distrust (l, &l->path[i], "it knows less than has grown", false);
}

static void
tell_size (struct link *l, uint64_t size)
{
  if (size == l->told_size)
    return;
  l->told_size = size;
  if (size > l->info.size)
    renew_sessions (l, size);
  else
    tell_resized (l, size);
  if (size < l->info.size)
    log_write (l->log, LOG_LEVEL_ERROR,
               "%s: somebody has cut it down from %llu to %llu bytes: requests "
               "beyond the end fail",
               l->name, (unsigned long long)l->info.size,
               (unsigned long long)size);
}

/* The sessions that there are must all know it; one that is down begins with
 * what it finds then.
 */
void
changes_grow (struct link *l, const struct path *coming)
{
  uint64_t size = coming->size_bytes;

  for (unsigned i = 0; i < l->paths; i++)
    if (l->up & 1u << i && l->path[i].size_bytes < size)
      size = l->path[i].size_bytes;
  if (size <= l->info.size)
    return;
  log_write (l->log, LOG_LEVEL_WARN,
             "%s: it has grown from %llu to %llu bytes, which connections see "
             "from now on",
             l->name, (unsigned long long)l->info.size,
             (unsigned long long)size);
  l->info.size = size;
  l->told_size = size;
  atomic_store (&l->size_bytes, size);
  tell_resized (l, size);
}

/* changed: what is cached must go. size: what was answered, which writes of
 * ours that were under way do not change, so that it counts in any case.
 */
static void
act (struct link *l, bool changed, uint64_t size)
{
  if (changed) {
    /* Whatever any process has cached, or is about to, is of an old version
     * then; also what was read before and comes later (ipc/stripes.h, S2).
     */
    stripes_advance_all (&l->hot.stripes);
    if (l->revalidate.settling) /* and not once more by V3 */
      log_write (l->log, LOG_LEVEL_INFO,
                 "%s: somebody else has written to it: the cache is dropped",
                 l->name);
  }
  note_known (l);
  tell_size (l, size);
}

static void
take_answer (struct link *l, uint64_t change, uint64_t size)
{
  struct revalidate_writes w = writes_of (l);
  bool changed;

  if (!change && l->options.revalidate_ns && !l->told_unknown) {
    l->told_unknown = true;
    log_write (l->log, LOG_LEVEL_WARN,
               "%s: the server does not tell when it was changed: only a "
               "change of its size will be noticed",
               l->name);
  }
  changed =
      revalidate_answer (&l->revalidate, change, size, &w, clock_now_ns ());
  act (l, changed, size);
}

void
changes_session (struct link *l, const struct path *p,
                 const struct volume_info *info)
{
  struct revalidate_writes w;

  if (!is_watched (l))
    return;
  w = writes_of (l);
  act (l,
       revalidate_session (&l->revalidate, info->change, info->size,
                           &p->lost_at, &w, clock_now_ns ()),
       info->size);
}

enum err
changes_message (struct link *l, struct path *p, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  uint64_t change = wire_u64 (&w);
  uint64_t size = wire_u64 (&w);

  if (m->type != CONTROL_PROBED || m->fds || wire_end (&w)
      || size > INT64_MAX || !l->revalidate.asked
      || l->revalidate_path != p->index)
    return ERR_PEER;
  take_answer (l, change, size);
  return ERR_OK;
}
