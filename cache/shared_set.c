/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/shared_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "ipc/pages.h"

#define FOLDER "volumes"
/* Gateways of an earlier daemon come within seconds. */
#define SWEEP_AFTER_S 60.0
/* What the layout can say; far more than any memory. */
#define SLOTS_MAX (1u << 26)

/* A file that no gateway uses, alive or stopped, is a left-over. */
static void
sweep_one (struct shared_set *set, const char *path)
{
  struct stripes_file file;

  if (shared_set_has_path (set, path) || stripes_file_open (&file, path))
    return;
  /* One that has something to tell stays until its volume is opened. */
  stripes_file_close (&file, !stripes_file_in_use (&file)
                               && !stripes_orphaned (&file.map));
}

static void
on_sweep (struct ev_loop *loop, ev_timer *w, int events)
{
  struct shared_set *set = w->data;
  DIR *dir = opendir (set->dir);
  struct dirent *entry;

  (void)loop;
  (void)events;
  while (dir && (entry = readdir (dir))) {
    size_t n = strlen (entry->d_name), suffix = strlen (STRIPES_SUFFIX);
    char path[STRIPES_PATH_BYTES];

    if (n <= suffix || n > 100
        || strcmp (entry->d_name + n - suffix, STRIPES_SUFFIX) != 0)
      continue;
    snprintf (path, sizeof path, "%s/%.100s", set->dir, entry->d_name);
    sweep_one (set, path);
  }
  if (dir)
    closedir (dir);
}

/* The runtime folder is ours alone (runtime.h). */
static enum err
make_folder (const char *path, struct fault *f)
{
  struct stat st;

  if (mkdir (path, 0700) < 0 && errno != EEXIST)
    return fault_set (f, err_from_errno (errno), "cannot make %s: %s", path,
                      strerror (errno));
  if (lstat (path, &st) < 0 || !S_ISDIR (st.st_mode)
      || st.st_uid != geteuid () || (st.st_mode & 077) != 0)
    return fault_set (f, ERR_ACCESS, "%s is not a folder of our own", path);
  return ERR_OK;
}

enum err
shared_set_open (struct daemon *d, const char *dir,
                 const struct shared_limits *limits, struct shared_set **ret,
                 struct fault *f)
{
  CLEANUP_FREE struct shared_set *set = calloc (1, sizeof *set);
  uint64_t slots = limits->cache_bytes / PAGE_BYTES;
  enum err e;

  if (!set)
    return fault_set (f, ERR_NOMEM, "out of memory");
  set->d = d;
  set->retain_s = limits->retain_s;
  set->budget_slots = slots < SLOTS_MAX ? (uint32_t)slots : SLOTS_MAX;
  snprintf (set->dir, sizeof set->dir, "%s/" FOLDER, dir);
  if ((e = make_folder (set->dir, f)))
    return e;
  ev_timer_init (&set->sweep, on_sweep, SWEEP_AFTER_S, 0.);
  set->sweep.data = set;
  ev_timer_start (d->loop, &set->sweep);
  *ret = steal (&set);
  return ERR_OK;
}

void
shared_set_close (struct shared_set *set)
{
  ev_timer_stop (set->d->loop, &set->sweep);
  shared_set_free_all (set);
  free (set);
}
