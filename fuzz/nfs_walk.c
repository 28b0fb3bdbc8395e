/* SPDX-License-Identifier: BSD-2-Clause */
/* A path with symbolic links, and what a server says that they are. The input
 * is text: the path, then a line for each name that is a link ("-": it is
 * none).
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/nfs/walk.h"

#define ROOT "/export"

/* W1, W2: no name that is walked is "..", and done is a border of names. */
static void
check (const struct nfs_walk *w)
{
  size_t n = strlen (w->path);

  MUST (n < sizeof w->path && w->done_bytes <= n);
  MUST (!w->done_bytes || w->path[w->done_bytes] == '/'
        || w->path[w->done_bytes] == 0);
  MUST (w->links <= WALK_LINKS_MAX && w->steps <= WALK_STEPS_MAX);
}

static bool
is_up (const char *name, size_t n)
{
  return n == 2 && memcmp (name, "..", 2) == 0;
}

static void
walk (struct nfs_walk *w, char *lines)
{
  struct fault f = {0};
  char *save = NULL;

  for (;;) {
    size_t at = w->done_bytes, n;
    const char *name, *line = NULL;
    bool named = nfs_walk_name (w, &at, &name, &n);
    enum err e;

    check (w);
    if (!named && nfs_walk_ends (w, at))
      return;
    if (named) {
      MUST (n && !is_up (name, n) && !memchr (name, '/', n));
      line = strtok_r (lines, "\n", &save);
      lines = NULL;
    }
    if (line && strcmp (line, "-") != 0)
      e = nfs_walk_follow (w, at, line, ROOT, strlen (ROOT), &f);
    else
      e = nfs_walk_advance (w, at, &f);
    if (e) {
      MUST (f.text[0]);
      return;
    }
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct nfs_walk *w = malloc (sizeof *w);
  char *text = malloc (size + 1), *end;

  if (w && text) {
    memcpy (text, data, size);
    text[size] = 0;
    end = strchr (text, '\n');
    if (end)
      *end = 0;
    /* What walk.h wants of its caller. */
    if (!strstr (text, "..") && strlen (text) < WALK_PATH_MAX_BYTES) {
      nfs_walk_begin (w, text);
      walk (w, end ? end + 1 : text + strlen (text));
    }
  }
  free (text);
  free (w);
  return 0;
}
