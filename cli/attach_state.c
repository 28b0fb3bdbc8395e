/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/attach_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/block.h"
#include "common/cleanup.h"
#include "common/text.h"

#define STATE_BYTES 16384
#define LOCK_NS 1000000000ull

static void
cleanup_json (json_t **j)
{
  json_decref (*j);
}

enum err
attach_dir (char ret_dir[ATTACH_DIR_BYTES], struct fault *f)
{
  char base[RUNTIME_DIR_BYTES];
  enum err e = runtime_dir (base, f);

  if (e)
    return e;
  snprintf (ret_dir, ATTACH_DIR_BYTES, "%s/attach", base);
  if (mkdir (ret_dir, 0700) < 0 && errno != EEXIST)
    return fault_set (f, err_from_errno (errno),
                      "cannot make the folder %s: "
                      "%s",
                      ret_dir, strerrordesc_np (errno));
  return ERR_OK;
}

static void
path_of (char dst[ATTACH_DIR_BYTES + 32], const char *dir, int index,
         const char *suffix)
{
  snprintf (dst, ATTACH_DIR_BYTES + 32, "%s/nbd%d.%s", dir, index, suffix);
}

/* Names and reasons may have any bytes, paths of open files for instance; JSON
 * has no place for them, and one that is not written is a refusal that nobody
 * hears of.
 */
static struct attach_state
cleaned (const struct attach_state *s)
{
  struct attach_state c = *s;

  text_clean (c.name);
  text_clean (c.url);
  text_clean (c.why);
  return c;
}

enum err
attach_state_write (const char *dir, const struct attach_state *dirty,
                    struct fault *f)
{
  const struct attach_state c = cleaned (dirty), *s = &c;
  __attribute__ ((cleanup (cleanup_json))) json_t *j = json_pack (
      "{s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:b, s:i, s:I, s:I, s:I}",
      "index", s->index, "name", s->name, "url", s->url, "state", s->state,
      "why", s->why, "pid", (int)s->pid, "server", (int)s->server, "size",
      (json_int_t)s->size_bytes, "readonly", s->readonly, "connections",
      (int)s->connections, "restarts", (json_int_t)s->restarts, "refusals",
      (json_int_t)s->refusals, "since", (json_int_t)s->since_s);
  char path[ATTACH_DIR_BYTES + 32], fresh[ATTACH_DIR_BYTES + 32];

  path_of (path, dir, s->index, "json");
  path_of (fresh, dir, s->index, "json.new");
  if (!j || json_dump_file (j, fresh, JSON_INDENT (1)) < 0
      || rename (fresh, path) < 0) {
    unlink (fresh);
    return fault_set (f, ERR_IO, "cannot write %s", path);
  }
  return ERR_OK;
}

static bool
take_text (char *dst, size_t dst_bytes, const char *text)
{
  size_t n = strlen (text);

  for (size_t i = 0; i < n; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
      return false;
  if (n >= dst_bytes)
    return false;
  memcpy (dst, text, n + 1);
  return true;
}

static enum err
take_state (json_t *j, int index, struct attach_state *ret)
{
  struct attach_state s = {.index = -1};
  const char *name, *url, *state, *why;
  json_int_t size, restarts, refusals, since;
  int pid, server, readonly, connections;

  if (json_unpack (j,
                   "{s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:b, s:i, s:I, "
                   "s:I, s:I}",
                   "index", &s.index, "name", &name, "url", &url, "state",
                   &state, "why", &why, "pid", &pid, "server", &server, "size",
                   &size, "readonly", &readonly, "connections", &connections,
                   "restarts", &restarts, "refusals", &refusals, "since",
                   &since)
      < 0)
    return ERR_INVAL;
  if (s.index != index || pid <= 1 || server < 0 || size < 0 || connections < 1
      || connections > 64 || restarts < 0 || refusals < 0
      || !take_text (s.name, sizeof s.name, name)
      || !take_text (s.url, sizeof s.url, url)
      || !take_text (s.state, sizeof s.state, state)
      || !take_text (s.why, sizeof s.why, why))
    return ERR_INVAL;
  s.pid = pid;
  s.server = server;
  s.size_bytes = (uint64_t)size;
  s.readonly = readonly;
  s.connections = (unsigned)connections;
  s.restarts = (uint64_t)restarts;
  s.refusals = (uint64_t)refusals;
  s.since_s = since;
  *ret = s;
  return ERR_OK;
}

enum err
attach_state_read (const char *dir, int index, struct attach_state *ret,
                   struct fault *f)
{
  __attribute__ ((cleanup (cleanup_json))) json_t *j = NULL;
  CLEANUP_CLOSE int fd = -1;
  char path[ATTACH_DIR_BYTES + 32], text[STATE_BYTES + 1];
  ssize_t n;

  path_of (path, dir, index, "json");
  fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    return fault_set (f, err_from_errno (errno), "%s: %s", path,
                      strerrordesc_np (errno));
  n = read (fd, text, sizeof text);
  if (n > 0 && n <= STATE_BYTES)
    j = json_loadb (text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
  if (!j || take_state (j, index, ret))
    return fault_set (f, ERR_INVAL, "%s is not what a supervisor writes", path);
  return ERR_OK;
}

void
attach_state_remove (const char *dir, int index)
{
  static const char *const suffixes[] = {"json", "json.new", "sock", "lock"};
  char path[ATTACH_DIR_BYTES + 32];

  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    path_of (path, dir, index, suffixes[i]);
    unlink (path);
  }
}

enum err
attach_state_lock (const char *dir, int index, int *ret_fd)
{
  char name[32];

  snprintf (name, sizeof name, "nbd%d.lock", index);
  /* For longer than anybody looks whether it is held. */
  return runtime_lock (dir, name, LOCK_NS, ret_fd);
}

bool
attach_state_alive (const char *dir, int index)
{
  CLEANUP_CLOSE int fd = -1;
  char path[ATTACH_DIR_BYTES + 32];

  path_of (path, dir, index, "lock");
  fd = open (path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  /* Shared: two that look at once are not each other's supervisor. */
  return fd >= 0 && flock (fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

struct each {
  const char *dir;
  bool (*call) (void *ctx, const struct attach_state *s);
  void *ctx;
};

static bool
each_device (void *ctx, int index)
{
  const struct each *e = ctx;
  struct attach_state s;
  struct fault f;

  if (!attach_state_alive (e->dir, index)
      || attach_state_read (e->dir, index, &s, &f))
    return true;
  return e->call (e->ctx, &s);
}

void
attach_state_each (const char *dir,
                   bool (*call) (void *ctx, const struct attach_state *s),
                   void *ctx)
{
  struct each e = {dir, call, ctx};

  block_each (each_device, &e);
}
