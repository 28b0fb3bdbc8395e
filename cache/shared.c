/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/fills.h"
#include "cache/dial.h"
#include "cache/lease.h"
#include "cache/shared_private.h"
#include "cache/status.h"
#include "cache/store.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "ipc/fence.h"
#include "ipc/shm.h"

#define NS_PER_S 1e9
#define NAME_BYTES 512
/* Stripes for each cached page (DESIGN, reads). */
#define STRIPES_PER_SLOT 4u
#define STRIPES_MIN 1024u
/* So much changes hands when one volume makes room for another: 1 MiB. */
#define SHRINK_SLOTS 256u

struct member {
  struct shared *s;
  struct member *next;
  const struct member_hooks *hooks;
  void *ctx;
  int seat;
  struct fills *fills; /* NULL: no cache */
};

struct shared {
  struct shared_set *set;
  struct shared *next;
  struct volume_key key;
  uint64_t id;
  uid_t uid;
  char name[NAME_BYTES];
  char why_none[160]; /* why there is no cache; "": there is */
  struct stripes_file stripes;
  struct lease lease;
  bool foreign_told;
  struct store store;
  uint64_t size_bytes; /* UINT64_MAX: no worker has said */
  bool unwatched;      /* no gateway had it open, and no worker looked since */
  void *index_base, *pages_base;
  int index_fd, pages_fd; /* read-only, to hand out */
  uint32_t slots;
  struct member *members;
  ev_timer turn;   /* of the lease */
  ev_timer retain; /* after the last member */
};

/* Pages */

static void
shrink (struct shared *s, uint32_t touched)
{
  size_t from = (size_t)touched * PAGE_BYTES;
  size_t to = (size_t)s->store.touched * PAGE_BYTES;

  s->set->used_slots -= s->store.touched - touched;
  store_shrink (&s->store, touched);
  /* What cannot be freed stays allocated, no more. */
  if (to > from)
    madvise ((uint8_t *)s->pages_base + from, to - from, MADV_REMOVE);
}

/* The volumes of a user, who is not root, of a host's daemon. */
static bool
of_other_user (const struct shared *s)
{
  return s->set->d->host && s->uid != 0;
}

/* One user's volumes may have half of it all. */
static bool
has_its_share (const struct shared *s)
{
  uint64_t slots = 0;

  if (!of_other_user (s))
    return false;
  for (const struct shared *i = s->set->first; i; i = i->next)
    if (i->uid == s->uid)
      slots += i->store.touched;
  return slots >= s->set->budget_slots / 2;
}

/* One slot more for s, if the budget has one, or if another volume is nobody's
 * or has far more.
 */
static void
allow_one (struct shared *s)
{
  struct shared_set *set = s->set;
  bool own_only = has_its_share (s);

  if (own_only || set->used_slots >= set->budget_slots) {
    struct shared *big = NULL;

    for (struct shared *i = set->first; i; i = i->next)
      if (i != s && i->store.touched
          && (!own_only || i->uid == s->uid)
          && (!big || (!i->members && big->members)
              || (!i->members == !big->members
                  && i->store.touched > big->store.touched)))
        big = i;
    if (big
        && (!big->members
            || big->store.touched > s->store.touched + 2 * SHRINK_SLOTS))
      shrink (big, big->store.touched > SHRINK_SLOTS
                     ? big->store.touched - SHRINK_SLOTS
                     : 0);
  }
  s->store.allowed = s->store.touched
                     + (set->used_slots < set->budget_slots
                        && !has_its_share (s));
}

static void
on_page (void *ctx, uint64_t page, uint64_t version, const void *bytes)
{
  struct member *m = ctx;
  struct shared *s = m->s;
  uint32_t before = s->store.touched;

  /* Nobody would find it. */
  if (!stripes_same (&s->stripes.map, page, version))
    return;
  allow_one (s);
  store_insert (&s->store, page, version, bytes);
  s->set->used_slots += s->store.touched - before;
}

static enum err
make_object (const char *name, size_t size_bytes, void **ret_base,
             int *ret_readonly_fd)
{
  CLEANUP_CLOSE int fd = -1;
  enum err e = shm_create (name, size_bytes, &fd);

  if (!e)
    e = shm_map (fd, size_bytes, true, ret_base);
  return e ? e : shm_reopen_readonly (fd, ret_readonly_fd);
}

/* Without it the volume is served as well: why_none tells. */
static void
make_pages (struct shared *s)
{
  uint32_t slots = s->set->budget_slots;
  enum err e;

  s->slots = slots;
  if (s->why_none[0])
    return;
  if (slots == 0) {
    snprintf (s->why_none, sizeof s->why_none,
              "bulkheadd was started with --cache-size=0");
    return;
  }
  if ((e = make_object ("bh-index", pages_index_bytes (slots),
                        &s->index_base, &s->index_fd))
      || (e = make_object ("bh-pages", (size_t)slots * PAGE_BYTES,
                           &s->pages_base, &s->pages_fd))
      || (e = store_init (&s->store, s->index_base, s->pages_base, slots)))
    snprintf (s->why_none, sizeof s->why_none, "no memory for it: %s",
              err_text (e));
}

/* Lease */

static bool
has_open_stripes (const struct shared *s)
{
  return s->stripes.map.file && stripes_unequal (&s->stripes.map) > 0;
}

static void
plan_turn (struct shared *s)
{
  uint64_t next = lease_next_ns (&s->lease);
  uint64_t now = clock_now_ns ();

  ev_timer_stop (s->set->d->loop, &s->turn);
  if (next == UINT64_MAX)
    return;
  ev_now_update (s->set->d->loop);
  ev_timer_set (&s->turn, next > now ? (double)(next - now) / NS_PER_S : 0.,
                0.);
  ev_timer_start (s->set->d->loop, &s->turn);
}

static void
grant (struct shared *s, struct member *m)
{
  enum err e = stripes_seat_lock (m->seat); /* H2 */

  if (!e) {
    m->hooks->grant (m->ctx);
    return;
  }
  log_write (s->set->d->log, LOG_LEVEL_WARN,
             "%s: the write lease is held by a process that this daemon does "
             "not know (%s)",
             s->name, err_text (e));
  lease_foreign (&s->lease, clock_now_ns ());
  lease_want (&s->lease, m);
}

static void
expel (struct shared *s, struct member *m)
{
  struct fault f;

  fault_set (&f, ERR_IO,
             "another process wanted to write and this one did not let it "
             "for %llu seconds",
             (unsigned long long)(LEASE_REVOKE_NS / 1000000000u));
  fault_hint (&f, "this nbdkit answers all requests with an error now; start "
                  "it again");
  log_fault (s->set->d->log, s->name, &f);
  m->hooks->expel (m->ctx, &f);
}

static void
settle (struct shared *s)
{
  uint32_t n = s->stripes.map.file ? stripes_settle (&s->stripes.map) : 0;

  if (n)
    log_write (s->set->d->log, LOG_LEVEL_INFO,
               "%s: %u stripes of a dead process are settled", s->name, n);
}

/* Does a process that has not come to this daemon still hold it? */
static void
look (struct shared *s)
{
  if (!stripes_file_leased (&s->stripes)) {
    if (s->stripes.map.file && stripes_orphaned (&s->stripes.map))
      log_write (s->set->d->log, LOG_LEVEL_WARN,
                 "%s: a process that had written ended together with its "
                 "bulkheadd: what it had not flushed may be lost, and the "
                 "next FLUSH fails",
                 s->name);
    lease_foreign_gone (&s->lease, has_open_stripes (s), clock_now_ns ());
  } else if (s->lease.waiters && !s->foreign_told) {
    s->foreign_told = true;
    log_write (s->set->d->log, LOG_LEVEL_WARN,
               "%s: writes wait for a process that holds the write lease since "
               "before this daemon: until it comes back or ends",
               s->name);
  }
}

static void
on_turn (struct ev_loop *loop, ev_timer *w, int events)
{
  struct shared *s = w->data;
  const void *who = NULL;
  enum lease_act act;

  (void)loop;
  (void)events;
  if (dial_fence_is_late (s->set->d, s->uid))
    lease_unfenced (&s->lease, clock_now_ns ());
  while ((act = lease_step (&s->lease, clock_now_ns (), &who))
         != LEASE_ACT_NONE)
    switch (act) {
    case LEASE_ACT_GRANT:
      grant (s, (struct member *)who);
      break;
    case LEASE_ACT_REVOKE:
      ((const struct member *)who)->hooks->revoke (
        ((const struct member *)who)->ctx);
      break;
    case LEASE_ACT_EXPEL:
      expel (s, (struct member *)who);
      break;
    case LEASE_ACT_SETTLE:
      settle (s);
      break;
    case LEASE_ACT_LOOK:
      look (s);
      break;
    case LEASE_ACT_NONE:
      break;
    }
  plan_turn (s);
}

/* Life */

static void
shared_free (struct shared *s)
{
  struct shared_set *set = s->set;
  bool drop = !s->members && !stripes_file_in_use (&s->stripes)
              && !(s->stripes.map.file && stripes_lost (&s->stripes.map));

  for (struct shared **p = &set->first; *p; p = &(*p)->next)
    if (*p == s) {
      *p = s->next;
      break;
    }
  ev_timer_stop (set->d->loop, &s->turn);
  ev_timer_stop (set->d->loop, &s->retain);
  set->used_slots -= s->store.touched;
  stripes_file_close (&s->stripes, drop);
  store_fini (&s->store);
  shm_unmap (s->index_base, pages_index_bytes (s->slots));
  shm_unmap (s->pages_base, (size_t)s->slots * PAGE_BYTES);
  cleanup_close (&s->index_fd);
  cleanup_close (&s->pages_fd);
  free (s);
}

static void
on_retained (struct ev_loop *loop, ev_timer *w, int events)
{
  struct shared *s = w->data;

  (void)events;
  if (dial_fence_is_late (s->set->d, s->uid)) {
    ev_timer_set (w, FENCE_WAIT_NS / NS_PER_S, 0.);
    ev_timer_start (loop, w);
    return;
  }
  log_write (s->set->d->log, LOG_LEVEL_DEBUG, "%s: its cache is dropped",
             s->name);
  shared_free (s);
}

static void
plan_retain (struct shared *s)
{
  double wait_s = s->set->retain_s;

  /* A server may still execute what a dead gateway wrote: until then the open
   * stripes must be known to who comes next.
   */
  if (s->lease.state == LEASE_SETTLING && wait_s < 2 * FENCE_WAIT_NS / NS_PER_S)
    wait_s = 2 * FENCE_WAIT_NS / NS_PER_S;
  ev_now_update (s->set->d->loop);
  ev_timer_set (&s->retain, wait_s, 0.);
  ev_timer_start (s->set->d->loop, &s->retain);
}

static uint32_t
stripes_wanted (uint32_t slots)
{
  uint32_t n = STRIPES_MIN;

  while (n < STRIPES_PER_SLOT * slots)
    n *= 2;
  return n;
}

/* A file of an earlier daemon is taken over, whether one of its gateways brings
 * it or not (H1). ret_foreign: somebody may have
 * written by it.
 */
static enum err
find_stripes (struct shared *s, const struct member_before *before,
              bool *ret_foreign, struct fault *f)
{
  char text[VOLUME_KEY_TEXT_BYTES], path[STRIPES_PATH_BYTES];
  uint32_t count = stripes_wanted (s->set->budget_slots);
  enum err e;

  volume_key_text (&s->key, text);
  snprintf (path, sizeof path, "%s/%s" STRIPES_SUFFIX, s->set->dir, text);
  *ret_foreign = true;
  if (of_other_user (s)) {
    /* The gateway could shorten a file, and so end us (SIGBUS): sealed memory,
     * which only those who have it can bring to the next daemon.
     */
    *ret_foreign = before->stripes_fd >= 0;
    e = *ret_foreign
          ? stripes_file_adopt (&s->stripes, before->stripes_fd, path)
          : stripes_file_create_memory (&s->stripes, count);
  } else if (before->stripes_fd >= 0)
    e = stripes_file_adopt (&s->stripes, before->stripes_fd, path);
  else
    e = stripes_file_open (&s->stripes, path);
  if (e == ERR_NOENT && before->stripes_fd < 0) {
    *ret_foreign = false;
    e = stripes_file_create (&s->stripes, path, count);
    if (e) {
      snprintf (s->why_none, sizeof s->why_none, "cannot make %.100s: %s",
                path, err_text (e));
      e = stripes_file_create_memory (&s->stripes, count);
    }
  }
  if (!e && !s->stripes.map.file)
    snprintf (s->why_none, sizeof s->why_none,
              "its write stripes have a layout that this bulkheadd does not "
              "know");
  return e ? fault_set (f, e, "cannot use the write stripes %s: %s", path,
                        err_text (e))
           : ERR_OK;
}

static enum err
shared_new (struct shared_set *set, const struct volume_key *key, uid_t uid,
            const char *name, const struct member_before *before,
            struct shared **ret, struct fault *f)
{
  struct shared *s = calloc (1, sizeof *s);
  bool foreign;
  enum err e;

  if (!s)
    return fault_set (f, ERR_NOMEM, "out of memory");
  s->set = set;
  s->key = *key;
  s->uid = uid;
  s->id = ++set->last_id;
  s->index_fd = s->pages_fd = s->stripes.fd = -1;
  s->size_bytes = UINT64_MAX;
  snprintf (s->name, sizeof s->name, "%s", name);
  ev_timer_init (&s->turn, on_turn, 0., 0.);
  ev_timer_init (&s->retain, on_retained, 0., 0.);
  s->turn.data = s->retain.data = s;
  if ((e = find_stripes (s, before, &foreign, f))) {
    free (s);
    return e;
  }
  make_pages (s);
  if (s->why_none[0])
    log_write (set->d->log, LOG_LEVEL_WARN, "%s: no cache: %s", s->name,
               s->why_none);
  lease_init (&s->lease, foreign);
  s->next = set->first;
  set->first = s;
  *ret = s;
  return ERR_OK;
}

static struct shared *
shared_find (struct shared_set *set, const struct volume_key *key)
{
  struct shared *s = set->first;

  while (s && memcmp (&s->key, key, sizeof *key) != 0)
    s = s->next;
  return s;
}

/* A user who opens one volume after another keeps no more of them than it may
 * have open; what the server may still write to stays.
 */
static void
forget_retained (struct shared_set *set, uid_t uid)
{
  unsigned n = 0;

  for (struct shared *i = set->first; i; i = i->next)
    n += i->uid == uid;
  for (struct shared *i = set->first;
       i && n >= set->d->quota.limits.volumes; i = i->next)
    if (i->uid == uid && !i->members && i->lease.state != LEASE_SETTLING) {
      ev_timer_stop (set->d->loop, &i->retain);
      ev_timer_set (&i->retain, 0., 0.);
      ev_timer_start (set->d->loop, &i->retain);
      n--;
    }
}

/* Members */

static enum err
take_seat (struct member *m, const struct member_before *before,
           struct fault *f)
{
  struct shared *s = m->s;
  enum err e;

  if (before->stripes_fd < 0)
    return (e = stripes_seat_open (&s->stripes, &m->seat))
             ? fault_set (f, e, "cannot open the write stripes: %s",
                          err_text (e))
             : ERR_OK;
  if (!stripes_file_is (&s->stripes, before->stripes_fd))
    return fault_set (f, ERR_PEER, "it comes with other write stripes than "
                                   "the volume has");
  m->seat = fcntl (before->stripes_fd, F_DUPFD_CLOEXEC, 0);
  if (m->seat < 0 || stripes_seat_take (m->seat))
    return fault_set (f, ERR_IO, "cannot lock the write stripes");
  if (!before->holds_lease) {
    stripes_seat_unlock (m->seat);
    return ERR_OK;
  }
  if (stripes_seat_lock (m->seat) || !lease_adopt (&s->lease, m))
    return fault_set (f, ERR_PEER, "it says that it may write, but another "
                                   "process has the write lease");
  return ERR_OK;
}

static void
member_free (struct member *m)
{
  fills_close (m->fills);
  if (m->seat >= 0) {
    /* The gateway may live on with its end of it. */
    stripes_seat_unlock (m->seat);
    close (m->seat);
  }
  free (m);
}

enum err
member_join (struct shared_set *set, const struct volume_key *key, uid_t uid,
             const char *name, const struct member_before *before,
             const struct member_hooks *hooks, void *ctx, struct member **ret,
             struct fault *f)
{
  struct shared *s = shared_find (set, key);
  struct member *m = calloc (1, sizeof *m);
  enum err e = ERR_OK;

  if (!m)
    return fault_set (f, ERR_NOMEM, "out of memory");
  *m = (struct member){.hooks = hooks, .ctx = ctx, .seat = -1};
  if (!s && set->d->host && uid != 0)
    forget_retained (set, uid);
  if (!s)
    e = shared_new (set, key, uid, name, before, &s, f);
  m->s = s;
  if (!e)
    e = take_seat (m, before, f);
  if (!e && !s->why_none[0]
      && (e = fills_open (set->d, s->name, on_page, m, &m->fills)))
    fault_set (f, e, "cannot make shared memory: %s", err_text (e));
  if (e) {
    if (s && s->lease.holder == m) { /* take_seat */
      lease_gone (&s->lease, m, has_open_stripes (s), clock_now_ns ());
      plan_turn (s);
    }
    member_free (m);
    if (s && !s->members)
      plan_retain (s);
    return e;
  }
  if (m->fills && s->size_bytes != UINT64_MAX)
    fills_set_pages (m->fills, (s->size_bytes + PAGE_BYTES - 1) / PAGE_BYTES);
  s->unwatched |= !s->members;
  m->next = s->members;
  s->members = m;
  ev_timer_stop (set->d->loop, &s->retain);
  plan_turn (s);
  *ret = m;
  return ERR_OK;
}

void
member_leave (struct member *m)
{
  struct shared *s;

  if (!m)
    return;
  s = m->s;
  for (struct member **p = &s->members; *p; p = &(*p)->next)
    if (*p == m) {
      *p = m->next;
      break;
    }
  lease_gone (&s->lease, m, has_open_stripes (s), clock_now_ns ());
  member_free (m);
  plan_turn (s);
  if (!s->members)
    plan_retain (s);
}

void
member_put_cache (const struct member *m, struct control *out,
                  struct wirebuf *b)
{
  const struct shared *s = m->s;
  int fd[CACHE_FDS];

  wirebuf_u32 (b, s->why_none[0] ? 0 : s->slots);
  wirebuf_u32 (b, s->stripes.count);
  wirebuf_u32 (b, FILL_CHUNKS);
  wirebuf_cstring (b, s->why_none);
  /* Without a cache only the stripes count; something must stand there. */
  for (int i = 0; i < CACHE_FDS; i++)
    fd[i] = m->seat;
  if (m->fills) {
    fd[CACHE_INDEX] = s->index_fd;
    fd[CACHE_PAGES] = s->pages_fd;
    fills_fds (m->fills, fd);
  }
  for (int i = 0; i < CACHE_FDS; i++)
    control_add_fd (out, fd[i]);
}

void
member_cache_sent (struct member *m)
{
  if (m->fills)
    fills_handed_over (m->fills);
}

/* Whether it is what a gateway knew of it last, with no write after that; a
 * gateway looks when its writes have come to rest (gateway/revalidate.h, V5).
 */
static bool
is_as_left (const struct shared *s, const struct volume_info *info)
{
  struct stripes_known k = stripes_known (&s->stripes.map);

  return info->change && info->change == k.change && info->size == k.size_bytes
         && k.begun == stripes_writes_begun (&s->stripes.map);
}

void
member_set_info (struct member *m, const struct volume_info *info)
{
  struct shared *s = m->s;
  uint64_t size_bytes = info->size;

  /* A list is read once and never cached. */
  if (info->caps & VOLUME_IS_LIST)
    return;
  /* While nobody had it open the file may have been changed by others. */
  if (s->unwatched && !s->why_none[0]) {
    if (!is_as_left (s, info))
      store_drop_all (&s->store);
    s->unwatched = false;
  }

  if (s->size_bytes != UINT64_MAX && s->size_bytes != size_bytes
      && !s->why_none[0]) {
    log_write (s->set->d->log, LOG_LEVEL_WARN,
               "%s: its size changed from %llu to %llu bytes: the cache is "
               "emptied",
               s->name, (unsigned long long)s->size_bytes,
               (unsigned long long)size_bytes);
    store_drop_all (&s->store);
  }
  s->size_bytes = size_bytes;
  if (m->fills)
    fills_set_pages (m->fills, (size_bytes + PAGE_BYTES - 1) / PAGE_BYTES);
}

enum err
member_want (struct member *m)
{
  if (!lease_want (&m->s->lease, m))
    return ERR_PEER;
  plan_turn (m->s);
  return ERR_OK;
}

enum err
member_return (struct member *m)
{
  stripes_seat_unlock (m->seat);
  if (!lease_return (&m->s->lease, m))
    return ERR_PEER;
  plan_turn (m->s);
  return ERR_OK;
}

void
shared_set_free_all (struct shared_set *set)
{
  while (set->first)
    shared_free (set->first);
}

bool
shared_set_has_path (const struct shared_set *set, const char *path)
{
  for (const struct shared *s = set->first; s; s = s->next)
    if (strcmp (s->stripes.path, path) == 0)
      return true;
  return false;
}

/* Status */

void
member_status (const struct member *m, struct status_gateway *ret)
{
  ret->volume = m->s->id;
  ret->holds_lease = lease_has (&m->s->lease, m);
  ret->waits_lease = lease_waits (&m->s->lease, m);
}

static void
shared_status (const struct shared *s, struct status_volume *ret)
{
  static const uint8_t leases[] = {
      [LEASE_FOREIGN] = STATUS_LEASE_FOREIGN,
      [LEASE_FREE] = STATUS_LEASE_FREE,
      [LEASE_HELD] = STATUS_LEASE_HELD,
      [LEASE_REVOKED] = STATUS_LEASE_REVOKED,
      [LEASE_EXPELLED] = STATUS_LEASE_REVOKED,
      [LEASE_SETTLING] = STATUS_LEASE_SETTLING,
  };

  *ret = (struct status_volume){
      .id = s->id,
      .uid = s->uid,
      .size = s->size_bytes,
      .pages = s->store.touched,
      .fills = s->store.inserts,
      .evictions = s->store.evictions,
      .lease = leases[s->lease.state],
  };
  snprintf (ret->name, sizeof ret->name, "%s", s->name);
  snprintf (ret->no_cache, sizeof ret->no_cache, "%s", s->why_none);
  for (const struct member *m = s->members; m; m = m->next)
    ret->gateways++;
}

bool
shared_set_status (const struct shared_set *set, uint64_t after, uid_t uid,
                   struct status_volume *ret)
{
  const struct shared *next = NULL;

  for (const struct shared *s = set->first; s; s = s->next)
    if (s->id > after && (uid == 0 || s->uid == uid)
        && (!next || s->id < next->id))
      next = s;
  if (next)
    shared_status (next, ret);
  return next != NULL;
}

void
shared_set_sum (const struct shared_set *set, struct status_daemon *ret)
{
  ret->cache_pages = set->budget_slots;
  ret->cache_pages_used = set->used_slots;
}
