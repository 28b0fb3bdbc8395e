/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/walk.h"

#include <assert.h>
#include <string.h>

void
nfs_walk_begin (struct nfs_walk *w, const char *path)
{
  assert (strlen (path) < sizeof w->path);
  *w = (struct nfs_walk){0};
  strcpy (w->path, path);
}

/* The next part of the path that is not ".": its begin; *ret_bytes 0: none. */
static size_t
part (const struct nfs_walk *w, size_t at, size_t *ret_bytes)
{
  do {
    at += strspn (w->path + at, "/");
    *ret_bytes = strcspn (w->path + at, "/");
    at += *ret_bytes;
  } while (*ret_bytes == 1 && w->path[at - 1] == '.');
  return at - *ret_bytes;
}

static bool
is_dots (const char *p, size_t bytes)
{
  return bytes == 2 && p[0] == '.' && p[1] == '.';
}

bool
nfs_walk_name (const struct nfs_walk *w, size_t *at, const char **ret,
               size_t *ret_bytes)
{
  size_t bytes, begin = part (w, *at, &bytes);

  if (bytes == 0 || is_dots (w->path + begin, bytes))
    return false;
  *ret = w->path + begin;
  *ret_bytes = bytes;
  *at = begin + bytes;
  return true;
}

bool
nfs_walk_ends (const struct nfs_walk *w, size_t at)
{
  size_t bytes;

  part (w, at, &bytes);
  return bytes == 0;
}

/* Where the last component of path[0 … end) begins, with its slashes. */
static size_t
last_part (const struct nfs_walk *w, size_t end)
{
  while (end > 0 && w->path[end - 1] == '/')
    end--;
  while (end > 0 && w->path[end - 1] != '/')
    end--;
  while (end > 0 && w->path[end - 1] == '/')
    end--;
  return end;
}

/* W2: each ".." behind done takes the last directory with it. */
static enum err
go_back (struct nfs_walk *w, struct fault *f)
{
  for (;;) {
    size_t bytes, begin = part (w, w->done_bytes, &bytes), keep;

    if (bytes == 0 || !is_dots (w->path + begin, bytes))
      return ERR_OK;
    if (w->done_bytes == 0)
      return fault_set (f, ERR_NOENT,
                        "a symbolic link leads out of what the server exports, "
                        "to %s",
                        w->path + begin);
    keep = last_part (w, w->done_bytes);
    memmove (w->path + keep, w->path + begin + bytes,
             strlen (w->path + begin + bytes) + 1);
    w->done_bytes = 0; /* and behind it, no link and no ".." up to keep */
    if (keep > 0)
      return ERR_OK;
  }
}

static enum err
count_step (struct nfs_walk *w, struct fault *f)
{
  if (++w->steps <= WALK_STEPS_MAX)
    return ERR_OK;
  return fault_set (f, ERR_LIMIT,
                    "the path has more than %u parts, with those that its "
                    "symbolic links lead along",
                    WALK_STEPS_MAX);
}

enum err
nfs_walk_advance (struct nfs_walk *w, size_t at, struct fault *f)
{
  enum err e = count_step (w, f);

  assert (at >= w->done_bytes);
  w->done_bytes = at;
  return e ? e : go_back (w, f);
}

/* What of an absolute target is below the root; NULL: it is elsewhere. */
static const char *
below (const char *target, const char *root, size_t root_bytes)
{
  while (root_bytes > 0 && root[root_bytes - 1] == '/')
    root_bytes--;
  if (strncmp (target, root, root_bytes) != 0
      || (target[root_bytes] && target[root_bytes] != '/'))
    return NULL;
  return target + root_bytes;
}

enum err
nfs_walk_follow (struct nfs_walk *w, size_t at, const char *target,
                 const char *root, size_t root_bytes, struct fault *f)
{
  char before[sizeof w->path];
  const char *to = target;
  size_t keep_bytes = last_part (w, at), to_bytes, rest_bytes;
  enum err e;

  if (++w->links > WALK_LINKS_MAX)
    return fault_set (
        f, ERR_LIMIT,
        "more than %u symbolic links, the last one %.*s to %s: do "
        "they lead in a circle?",
        WALK_LINKS_MAX, (int)at, w->path, target);
  if (!*target)
    return fault_set (f, ERR_NOENT, "the symbolic link %.*s leads nowhere",
                      (int)at, w->path);
  if (*target == '/') {
    keep_bytes = 0;
    to = below (target, root, root_bytes);
    if (!to) {
      fault_set (f, ERR_NOENT,
                 "the symbolic link %.*s leads to %s, which is not below the "
                 "export %.*s",
                 (int)at, w->path, target, (int)root_bytes, root);
      fault_hint (f, "name the file that it leads to in the URL");
      return ERR_NOENT;
    }
  }
  to_bytes = strlen (to);
  rest_bytes = strlen (w->path + at);
  if (keep_bytes + 1 + to_bytes + rest_bytes >= sizeof w->path)
    return fault_set (f, ERR_LIMIT,
                      "behind the symbolic link %.*s the path is longer than "
                      "%zu bytes",
                      (int)at, w->path, sizeof w->path - 1);
  strcpy (before, w->path);
  w->path[keep_bytes] = '/';
  memcpy (w->path + keep_bytes + 1, to, to_bytes);
  memcpy (w->path + keep_bytes + 1 + to_bytes, before + at, rest_bytes + 1);
  /* Up to there are directories, so that a ".." behind it can be taken out. */
  w->done_bytes = keep_bytes;
  e = count_step (w, f);
  if (!e)
    e = go_back (w, f);
  w->done_bytes = 0;
  return e;
}
