/* SPDX-License-Identifier: BSD-2-Clause */
/* Invariants
 *   X1  An entry that is BUSY belongs to the thread that made it so; others
 *       wait until it is OPEN or FREE.
 *   X2  An OPEN entry has users. When the last one goes, the entry is closed;
 * if something was written that is not proven to be stable, it is LEAVING
 *       first: a thread of its own proves that, as nbdkit waits for whoever
 *       closes a connection, also when it is to end.
 *   X3  A LEAVING entry is taken back by whoever opens its name. Its thread
 *       finds that out, and leaves it to that one.
 *   X4  Who ends (exports_close) stops the links of all LEAVING entries, whose
 *       threads then end at once; what is not proven by then is not.
 */
#include "config.h"
#include "gateway/exports.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "gateway/catalog.h"
#include "protocols/params.h"

/* A list is short: who does not get it in this time is told so. */
#define LIST_OUTAGE_NS 15000000000ull
#define LIST_TRIES 3

enum export_state { EXPORT_FREE, EXPORT_BUSY, EXPORT_OPEN, EXPORT_LEAVING };

struct export {
  enum export_state state;
  unsigned users;
  struct link *link;
  struct exports *exports;
  bool has_thread; /* that was started and not joined */
  bool proving;    /* … and has not looked its last */
  pthread_t thread;
  char name[LISTING_NAME_BYTES];
};

struct exports {
  const struct options *options;
  const struct log *log;
  bool (*interrupted) (void);
  struct link *only; /* NULL: a directory */
  char path[LISTING_NAME_BYTES * 8]; /* of the directory */
  pthread_mutex_t lock; /* guards what follows */
  bool closing;
  pthread_cond_t changed;
  struct link_stats closed; /* of links that are no more */
  struct export export[EXPORTS_OPEN];
};

static void
add_stats (struct link_stats *sum, struct link *l)
{
  struct link_stats s;

  link_stats (l, &s);
  sum->hits += s.hits;
  sum->misses += s.misses;
  sum->fills += s.fills;
  sum->wakes += s.wakes;
  sum->takeovers += s.takeovers;
  sum->joined += s.joined;
  if (s.paths > sum->paths)
    sum->paths = s.paths;
  for (unsigned i = 0; i < s.paths; i++)
    sum->requests[i] += s.requests[i];
}

static enum err
open_link (struct exports *x, const struct volume_spec *spec,
           const struct link_options *lo, struct link **ret, struct fault *f)
{
  int fd[CONTROL_FDS];
  unsigned fds = 0;
  enum err e = options_fds (x->options, fd, &fds, f);

  if (!e)
    e = link_open (spec, fd, fds, lo, x->log, x->interrupted, ret, f);
  for (unsigned i = 0; i < fds; i++)
    cleanup_close (&fd[i]);
  return e;
}

/* By log_write, as both texts were written by a worker. */
static void
tell_about (struct exports *x, const char *name, struct link *l)
{
  const struct volume_info *info = link_info (l);
  const char *colon = name[0] ? ": " : "";

  if (info->remarks[0])
    log_write (x->log, LOG_LEVEL_INFO, "%s%s%s", name, colon, info->remarks);
  if (!x->options->readonly && !x->options->tells_readonly
      && !(info->caps & VOLUME_CAN_WRITE))
    log_write (x->log, LOG_LEVEL_ERROR, "%s%sserving read-only: %s", name,
               colon,
               info->readonly_why[0] ? info->readonly_why
                                     : "the server does not allow writes");
}

/* Lists */

/* The text, malloced; ERR_AGAIN: a worker died meanwhile, and what is there may
 * be of two lists.
 */
static enum err
read_text (struct link *l, uint8_t **ret, size_t *ret_bytes, struct fault *f)
{
  uint64_t size = link_info (l)->size;
  CLEANUP_FREE uint8_t *text = NULL;
  struct link_stats s;
  int error;

  if (!(link_info (l)->caps & VOLUME_IS_LIST))
    return fault_set (f, ERR_NOTSUP, "the URL names no directory");
  if (size > LISTING_BYTES)
    return fault_set (f, ERR_PEER, "the worker's list is too long");
  if (!(text = malloc (size + 1)))
    return fault_set (f, ERR_NOMEM, "out of memory");
  if ((error = size ? link_read (l, text, (uint32_t)size, 0) : 0))
    return fault_set (f, err_from_errno (error), "the list cannot be read: %s",
                      strerrordesc_np (error));
  link_stats (l, &s);
  if (s.takeovers)
    return fault_set (f, ERR_AGAIN, "workers die while they list");
  *ret = steal (&text);
  *ret_bytes = size;
  return ERR_OK;
}

/* path: NULL: the directory's own. */
static enum err
list_once (struct exports *x, const char *path, struct catalog *ret,
           struct fault *f)
{
  struct volume_spec *spec = calloc (1, sizeof *spec);
  struct link_options lo = x->options->link;
  struct link *l = NULL;
  uint8_t *text = NULL;
  size_t text_bytes = 0;
  enum err e;

  if (!spec)
    return fault_set (f, ERR_NOMEM, "out of memory");
  *spec = x->options->spec;
  lo.connections = 1;
  lo.cached = false;
  lo.prefetch_bytes = 0;
  lo.revalidate_ns = 0;
  lo.outage_fail_ns = LIST_OUTAGE_NS;
  if ((e = volume_spec_set (spec, "list", "yes", -1))
      || (e = volume_spec_set (spec, "connections", "1", -1))
      || (path && (e = volume_spec_set (spec, "path", path, -1))))
    fault_set (f, e, "too many parameters");
  if (!e)
    e = open_link (x, spec, &lo, &l, f);
  free (spec);
  if (!e)
    e = link_start (l, f);
  if (!e)
    e = read_text (l, &text, &text_bytes, f);
  if (!e && (e = catalog_take (ret, text, text_bytes)))
    fault_set (f, e, "the worker's list is damaged");
  link_close (l);
  return e;
}

static enum err
list_at (struct exports *x, const char *path, struct catalog *ret,
         struct fault *f)
{
  enum err e = ERR_AGAIN;

  for (unsigned i = 0; e == ERR_AGAIN && i < LIST_TRIES; i++)
    e = list_once (x, path, ret, f);
  return e;
}

static enum err
list (struct exports *x, struct catalog *ret, struct fault *f)
{
  return list_at (x, NULL, ret, f);
}

/* Its entries are lists. */
static bool
nests (const struct exports *x)
{
  return proto_params_find (x->options->spec.proto)->flags & PROTO_LISTS_NEST
         && (!x->path[0] || strcmp (x->path, "/") == 0);
}

/* What is below one entry. One that cannot be listed is left out, and the log
 * says why: the others are there.
 */
static void
list_below (struct exports *x, const char *name,
            void (*add) (void *ctx, const struct listing_entry *entry),
            void *ctx)
{
  char path[LISTING_NAME_BYTES + 3], deep[2 * LISTING_NAME_BYTES];
  struct catalog c = {0};
  struct fault f = {0};

  snprintf (path, sizeof path, "/%s/", name);
  if (list_at (x, path, &c, &f)) {
    log_write (x->log, LOG_LEVEL_WARN, "%s is not listed: %s%s%s", name, f.text,
               f.hint[0] ? "; " : "", f.hint);
    return;
  }
  if (!c.entries)
    log_write (x->log, LOG_LEVEL_WARN,
               "%s is not listed: there is nothing in it", name);
  for (unsigned i = 0; i < c.entries; i++) {
    struct listing_entry entry = c.entry[i];

    snprintf (deep, sizeof deep, "%s/%s", name, entry.name);
    entry.name = deep;
    if (strlen (deep) < LISTING_NAME_BYTES)
      add (ctx, &entry);
  }
  catalog_fini (&c);
}

enum err
exports_list (struct exports *x,
              void (*add) (void *ctx, const struct listing_entry *entry),
              void *ctx, struct fault *f)
{
  struct catalog c = {0};
  enum err e = list (x, &c, f);

  for (unsigned i = 0; i < c.entries; i++)
    if (nests (x))
      list_below (x, c.entry[i].name, add, ctx);
    else
      add (ctx, &c.entry[i]);
  catalog_fini (&c);
  return e;
}

/* Life */

static enum err
open_directory (struct exports *x, struct fault *f)
{
  struct catalog c = {0};
  enum err e = list (x, &c, f);

  if (!e)
    log_write (x->log, LOG_LEVEL_INFO, "a directory: %u exports", c.entries);
  catalog_fini (&c);
  return e;
}

enum err
exports_open (const struct options *options, const struct log *log,
              bool (*interrupted) (void), struct exports **ret,
              struct fault *f)
{
  const char *path = volume_spec_get (&options->spec, "path");
  struct exports *x = calloc (1, sizeof *x);
  size_t n = path ? strlen (path) : 0;
  enum err e = ERR_ISDIR;

  if (!x)
    return fault_set (f, ERR_NOMEM, "out of memory");
  x->options = options;
  x->log = log;
  x->interrupted = interrupted;
  pthread_mutex_init (&x->lock, NULL);
  pthread_cond_init (&x->changed, NULL);
  if (n >= sizeof x->path)
    e = fault_set (f, ERR_LIMIT, "the path in the URL is too long");
  else if (n)
    memcpy (x->path, path, n);
  if (e == ERR_ISDIR && !(n && path[n - 1] == '/')
      && !(e = open_link (x, &options->spec, &options->link, &x->only, f)))
    tell_about (x, "", x->only);
  if (e == ERR_ISDIR)
    e = open_directory (x, f);
  if (e)
    exports_close (x);
  else
    *ret = x;
  return e;
}

enum err
exports_start (struct exports *x, struct fault *f)
{
  return x->only ? link_start (x->only, f) : ERR_OK;
}

bool
exports_is_directory (const struct exports *x)
{
  return !x->only;
}

/* Links of a directory */

static enum err
refuse_name (struct exports *x, const char *name, struct fault *f)
{
  if (!name[0]) {
    fault_set (f, ERR_NOENT, "the URL names a directory: a client must ask "
                             "for one of its files by export name");
    fault_hint (f, "nbdinfo --list shows them");
    return ERR_NOENT;
  }
  if (!catalog_name_is_safe (name))
    return fault_set (f, ERR_NOENT,
                      "a client asks for an export whose name leads out of "
                      "the directory, or is none");
  (void)x;
  return ERR_OK;
}

/* A name with a slash may only be one of the list: whoever serves a directory
 * serves its files, not those of the directories below.
 */
static enum err
check_deep_name (struct exports *x, const char *name, struct fault *f)
{
  struct catalog c = {0};
  enum err e = ERR_OK;

  if (!strchr (name, '/'))
    return ERR_OK;
  /* One level below is served as well there. */
  if (nests (x) && !strchr (strchr (name, '/') + 1, '/'))
    return ERR_OK;
  e = list (x, &c, f);
  if (!e && !catalog_has (&c, name))
    e = fault_set (f, ERR_NOENT, "there is no export \"%s\"", name);
  catalog_fini (&c);
  return e;
}

static enum err
open_export (struct exports *x, const char *name, struct link **ret,
             struct fault *f)
{
  char path[sizeof x->path + LISTING_NAME_BYTES];
  struct volume_spec *spec = calloc (1, sizeof *spec);
  size_t n = strlen (x->path);
  struct link *l = NULL;
  enum err e = ERR_NOMEM;

  if (!spec)
    return fault_set (f, e, "out of memory");
  snprintf (path, sizeof path, "%s%s%s", x->path,
            n && x->path[n - 1] == '/' ? "" : "/", name);
  *spec = x->options->spec;
  if ((e = volume_spec_set (spec, "path", path, -1)))
    fault_set (f, e, "the path of \"%s\" is too long", name);
  if (!e)
    e = check_deep_name (x, name, f);
  if (!e)
    e = open_link (x, spec, &x->options->link, &l, f);
  free (spec);
  if (!e && (e = link_start (l, f))) {
    link_close (l);
    l = NULL;
  }
  if (l)
    tell_about (x, name, l);
  *ret = l;
  return e;
}

/* With the lock held: the entry of this name, else a free one, else NULL. */
static struct export *
find (struct exports *x, const char *name)
{
  struct export *free_one = NULL;

  for (unsigned i = 0; i < EXPORTS_OPEN; i++) {
    struct export *e = &x->export[i];

    if (e->state == EXPORT_FREE)
      free_one = e;
    else if (strcmp (e->name, name) == 0)
      return e;
  }
  return free_one;
}

/* With the lock held; false if the thread must leave. */
static bool
wait_for_change (struct exports *x)
{
  struct timespec until;
  bool leave;

  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_nsec += 100000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  pthread_cond_clockwait (&x->changed, &x->lock, CLOCK_MONOTONIC,
                          &until);
  pthread_mutex_unlock (&x->lock);
  leave = x->interrupted ();
  pthread_mutex_lock (&x->lock);
  return !leave;
}

static void
set_state (struct exports *x, struct export *e, enum export_state state)
{
  e->state = state;
  pthread_cond_broadcast (&x->changed);
}

enum err
exports_get (struct exports *x, const char *name, struct link **ret,
             struct fault *f)
{
  struct export *e;
  enum err error;

  if (x->only) {
    *ret = x->only;
    return ERR_OK;
  }
  if ((error = refuse_name (x, name, f)))
    return error;
  pthread_mutex_lock (&x->lock);
  while ((e = find (x, name)) && e->state == EXPORT_BUSY) /* X1 */
    if (!wait_for_change (x)) {
      pthread_mutex_unlock (&x->lock);
      return fault_set (f, ERR_SHUTDOWN, "the client has gone");
    }
  if (!e)
    error = fault_set (f, ERR_LIMIT, "%u exports are open already",
                       EXPORTS_OPEN);
  else if (e->state == EXPORT_FREE) {
    set_state (x, e, EXPORT_BUSY);
    snprintf (e->name, sizeof e->name, "%s", name);
    pthread_mutex_unlock (&x->lock);
    error = open_export (x, name, &e->link, f);
    pthread_mutex_lock (&x->lock);
    set_state (x, e, error ? EXPORT_FREE : EXPORT_OPEN);
  } else if (e->state == EXPORT_LEAVING) /* X3 */
    set_state (x, e, EXPORT_OPEN);
  if (!error) {
    e->users++;
    *ret = e->link;
  }
  pthread_mutex_unlock (&x->lock);
  return error;
}

/* With the lock held, which it drops meanwhile. */
static void
close_export (struct exports *x, struct export *e)
{
  struct link *l = e->link;

  add_stats (&x->closed, l);
  set_state (x, e, EXPORT_BUSY);
  pthread_mutex_unlock (&x->lock);
  link_close (l);
  pthread_mutex_lock (&x->lock);
  e->link = NULL;
  set_state (x, e, EXPORT_FREE);
}

/* As long as the user's outage policy says: then it is given up. */
static void *
prove_main (void *arg)
{
  struct export *e = arg;
  struct exports *x = e->exports;

  pthread_mutex_lock (&x->lock);
  while (e->state == EXPORT_LEAVING && !x->closing) {
    struct link *l = e->link;
    int error;

    pthread_mutex_unlock (&x->lock);
    error = link_prove (l, true);
    pthread_mutex_lock (&x->lock);
    if (e->state != EXPORT_LEAVING || x->closing) /* X3, X4 */
      break;
    if (!error && !link_is_proven (l)) /* it was open in between */
      continue;
    if (error)
      log_write (x->log, LOG_LEVEL_ERROR,
                 "%s: its last client has gone, and what was written cannot be "
                 "made stable: %s; it may be lost",
                 e->name, strerror (error));
    close_export (x, e);
  }
  e->proving = false;
  pthread_cond_broadcast (&x->changed);
  pthread_mutex_unlock (&x->lock);
  return NULL;
}

/* With the lock held, which the thread that ends needs no more. */
static void
join_proof (struct export *e)
{
  if (e->has_thread)
    pthread_join (e->thread, NULL);
  e->has_thread = false;
}

static bool
start_proof (struct exports *x, struct export *e)
{
  join_proof (e);
  e->exports = x;
  e->has_thread = e->proving
    = pthread_create (&e->thread, NULL, prove_main, e) == 0;
  return e->has_thread;
}

/* X4 */
static void
end_proofs (struct exports *x)
{
  pthread_mutex_lock (&x->lock);
  x->closing = true;
  for (unsigned i = 0; i < EXPORTS_OPEN; i++) {
    struct export *e = &x->export[i];

    if (e->proving && e->state == EXPORT_LEAVING)
      link_stop (e->link);
    while (e->proving)
      pthread_cond_wait (&x->changed, &x->lock);
    join_proof (e);
  }
  pthread_mutex_unlock (&x->lock);
}

void
exports_put (struct exports *x, struct link *l)
{
  struct export *e = NULL;

  if (l == x->only)
    return;
  pthread_mutex_lock (&x->lock);
  for (unsigned i = 0; i < EXPORTS_OPEN && !e; i++)
    if (x->export[i].state == EXPORT_OPEN && x->export[i].link == l)
      e = &x->export[i];
  if (e && --e->users == 0) { /* X2 */
    set_state (x, e, EXPORT_LEAVING);
    if (!e->proving && (link_is_proven (l) || !start_proof (x, e)))
      close_export (x, e);
  }
  pthread_mutex_unlock (&x->lock);
}

void
exports_close (struct exports *x)
{
  if (!x)
    return;
  link_close (x->only);
  end_proofs (x);
  for (unsigned i = 0; i < EXPORTS_OPEN; i++)
    link_close (x->export[i].link);
  pthread_cond_destroy (&x->changed);
  pthread_mutex_destroy (&x->lock);
  free (x);
}

void
exports_stats (struct exports *x, struct link_stats *ret)
{
  struct link_stats s;

  if (x->only) {
    link_stats (x->only, ret);
    return;
  }
  pthread_mutex_lock (&x->lock);
  s = x->closed;
  for (unsigned i = 0; i < EXPORTS_OPEN; i++)
    if (x->export[i].state == EXPORT_OPEN
        || x->export[i].state == EXPORT_LEAVING)
      add_stats (&s, x->export[i].link);
  pthread_mutex_unlock (&x->lock);
  *ret = s;
}
