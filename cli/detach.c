/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead detach: tells supervisors to, and waits until they have. */
#include "config.h"
#include "cli/commands.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/attach_state.h"
#include "cli/block.h"
#include "cli/output.h"
#include "cli/sweep.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define LOOK_MS 20
#define LOCK_NS 5000000000ull
#define MATCHES 64

static const struct cli_option options[] = {
    {"all", 'a', NULL, CLI_WORD, "detach everything"},
    {"force", 0, NULL, CLI_WORD,
     "also what is in use, or cannot be flushed: what was not written is lost"},
    {"wait", 'w', "SECONDS", CLI_WORD,
     "for what is not written yet to reach the server (default: 60)"},
    {0},
};

struct matches {
  const char *what; /* NULL: all */
  int index;        /* or -1 */
  unsigned n;
  struct attach_state s[MATCHES];
};

static bool
match (void *ctx, const struct attach_state *s)
{
  struct matches *m = ctx;
  char what[sizeof s->url] = ""; /* as it stands in a state */

  if (m->what)
    cli_clean (what, sizeof what, m->what);
  if (m->what && m->index != s->index && strcmp (what, s->name) != 0
      && strcmp (what, s->url) != 0)
    return true;
  if (m->n < MATCHES)
    m->s[m->n++] = *s;
  return true;
}

/* Its end, or a refusal. */
static enum err
await (const char *dir, const struct attach_state *s, int pidfd,
       uint64_t wait_ms, struct fault *f)
{
  uint64_t deadline_ms = clock_now_ms () + wait_ms;
  struct attach_state now = *s;

  while (1) {
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    if (poll (&p, 1, LOOK_MS) > 0)
      return ERR_OK;
    if (attach_state_read (dir, s->index, &now, f) == ERR_OK
        && now.refusals > s->refusals) {
      char *hint = strstr (now.why, "; ");

      if (hint)
        *hint = 0;
      fault_set (f, ERR_AGAIN, "%s", now.why);
      fault_hint (f, "%s", hint ? hint + 2 : "bulkhead list shows it");
      return ERR_AGAIN;
    }
    if (clock_now_ms () < deadline_ms)
      continue;
    fault_set (f, ERR_TIMEOUT,
               "what was written to /dev/nbd%d has not reached the server yet"
               "%s%s",
               s->index, now.why[0] ? ": " : "", now.why);
    fault_hint (f, "it is detached when it has; bulkhead detach --force gives "
                   "it up");
    return ERR_TIMEOUT;
  }
}

static enum err
detach (const char *dir, const struct attach_state *s, bool force,
        uint64_t wait_ms, struct fault *f)
{
  CLEANUP_CLOSE int pidfd = (int)syscall (SYS_pidfd_open, s->pid, 0);

  /* As long as the lock is held the number is that process's. */
  if (pidfd < 0 || !attach_state_alive (dir, s->index))
    return ERR_OK;
  if (syscall (SYS_pidfd_send_signal, pidfd, force ? SIGUSR2 : SIGUSR1, NULL, 0)
      < 0) {
    fault_set (f, ERR_ACCESS,
               "the process behind /dev/nbd%d does not listen "
               "to this user",
               s->index);
    return ERR_ACCESS;
  }
  return await (dir, s, pidfd, wait_ms, f);
}

/* A volume's device that was left behind; -1: none. */
struct left_behind {
  const char *name;
  int index;
};

static bool
is_left_of (void *ctx, int index)
{
  struct left_behind *l = ctx;
  char backend[BLOCK_BACKEND_BYTES];

  block_backend (index, backend);
  if (strncmp (backend, ATTACH_BACKEND, strlen (ATTACH_BACKEND)) != 0
      || strcmp (backend + strlen (ATTACH_BACKEND), l->name) != 0)
    return true;
  l->index = index;
  return false;
}

/* What has no supervisor. ERR_OK also if there is nothing. */
static enum err
detach_left (struct matches *m, struct sweep *s, struct fault *f)
{
  struct left_behind l = {.name = m->what, .index = m->index};
  CLEANUP_CLOSE int lock = -1;
  char backend[BLOCK_BACKEND_BYTES];

  if (l.name && l.index < 0) {
    block_each (is_left_of, &l);
    if (l.index < 0)
      return ERR_OK;
  }
  s->index = l.index;
  if (runtime_lock (s->dir, ATTACH_LOCK, LOCK_NS, &lock))
    return ERR_OK; /* whoever has it attaches, and has swept */
  sweep (s);
  if (!s->left)
    return ERR_OK;
  block_backend (s->left_index, backend);
  fault_set (f, ERR_AGAIN, "%.300s, and its bulkhead has gone", s->why.text);
  fault_hint (f, "bulkhead attach %.200s takes it up again",
              backend + strlen (ATTACH_BACKEND));
  return ERR_AGAIN;
}

static enum err
no_match (const struct matches *m, struct fault *f)
{
  if (m->index >= 0 && block_connected (m->index)) {
    fault_set (f, ERR_NOENT, "/dev/nbd%d is not bulkhead's", m->index);
    fault_hint (f, "nbd-client -d %s disconnects it", m->what);
    return ERR_NOENT;
  }
  fault_set (f, ERR_NOENT, "%.200s is not attached", m->what);
  fault_hint (f, "bulkhead list shows what is");
  return ERR_NOENT;
}

static enum cli_status
run (struct cli *c)
{
  struct matches *m = &(struct matches){.index = -1};
  struct sweep s = {.index = -1, .force = cli_has (c, "force")};
  char dir[ATTACH_DIR_BYTES];
  enum cli_status status = CLI_OK;
  struct fault f = {0};
  unsigned long wait_s;

  if (cli_number (c, "wait", 0, 86400, 60, &wait_s, &f))
    return cli_fault (c, &f);
  if ((c->args == 1) == cli_has (c, "all")) {
    fault_set (&f, ERR_INVAL, "detach: one device or volume, or --all");
    fault_hint (&f, "bulkhead detach %s", command_detach.synopsis);
    return cli_fault (c, &f);
  }
  if (attach_dir (dir, &f))
    return cli_fault (c, &f);
  m->what = c->args ? c->arg[0] : NULL;
  if (m->what)
    m->index = block_index (m->what);
  attach_state_each (dir, match, m);
  for (unsigned i = 0; i < m->n; i++)
    if (detach (dir, &m->s[i], s.force, 1000 * wait_s, &f))
      status = cli_fault (c, &f);
  s.dir = dir;
  if (m->n == 0 || !m->what) {
    if (detach_left (m, &s, &f))
      status = cli_fault (c, &f);
    else if (m->n == 0 && m->what && !s.removed && no_match (m, &f))
      status = cli_fault (c, &f);
  }
  return status;
}

const struct command command_detach = {
    .name = "detach",
    .summary = "end a disk that was attached",
    .synopsis = "/dev/nbdN|URL|NAME|--all",
    .description = "Writes what is not written yet, and ends the device. One "
                   "that is mounted, "
                   "or\nin use otherwise, is refused.",
    .args_min = 0,
    .args_max = 1,
    .args = {CLI_DEVICE, CLI_WORD},
    .options = options,
    .run = run,
};
