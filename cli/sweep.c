/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/sweep.h"

#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/attach_state.h"
#include "cli/block.h"
#include "cli/nbd_kernel.h"
#include "cli/supervisor_child.h"

#define OPEN_MS 3000   /* longer than opening a device takes that is alive */
#define CLAIM_MS 30000 /* longer than looking at all processes takes */

struct walk {
  struct sweep *s;
  struct nbd_kernel kernel;
};

bool
sweep_is_left_behind (const char *dir, int index, const char *name)
{
  char backend[BLOCK_BACKEND_BYTES];

  if (!block_connected (index) || attach_state_alive (dir, index))
    return false;
  block_backend (index, backend);
  return strncmp (backend, ATTACH_BACKEND, strlen (ATTACH_BACKEND)) == 0
         && (!name || strcmp (backend + strlen (ATTACH_BACKEND), name) == 0);
}

/* Whoever opens a device that nobody has opened since it was connected reads
 * its partition table, and waits for the connection that there is not. So if
 * opening it takes long, nobody has it. Who has it may take long to find out:
 * that is waited for.
 */
static enum err
claim (struct supervisor_child *c, int index, struct fault *f)
{
  enum err e = supervisor_claim (c, index, f);
  struct pollfd p = {.fd = c->result_fd, .events = POLLIN};

  if (e || poll (&p, 1, OPEN_MS) <= 0)
    return e;
  e = supervisor_child_result (c, f);
  if (e != ERR_AGAIN || f->text[0])
    return e;
  if (poll (&p, 1, CLAIM_MS) > 0)
    return supervisor_child_result (c, f);
  return fault_set (f, ERR_AGAIN,
                    "/dev/nbd%d: who uses it is not found out in time", index);
}

static bool
sweep_device (void *ctx, int index)
{
  struct walk *w = ctx;
  struct sweep *s = w->s;
  struct supervisor_child c = {0};
  struct fault f = {0};

  if ((s->index >= 0 && s->index != index)
      || !sweep_is_left_behind (s->dir, index, NULL))
    return true;
  if ((!s->force && claim (&c, index, &f))
      || nbd_kernel_disconnect (&w->kernel, index, &f)) {
    supervisor_child_end (&c);
    if (!block_connected (index)) /* the kernel has ended it meanwhile */
      return true;
    s->left++;
    s->left_index = index;
    s->why = f;
    return true;
  }
  supervisor_child_end (&c);
  s->removed++;
  attach_state_remove (s->dir, index);
  return true;
}

/* What says of devices that the kernel has ended by itself. */
static bool
sweep_state (void *ctx, int index)
{
  const struct sweep *s = ctx;

  if (!block_connected (index) && !attach_state_alive (s->dir, index))
    attach_state_remove (s->dir, index);
  return true;
}

/* Sockets of nbdkits whose supervisor, PID.sock, was killed. */
static void
sweep_sockets (const char *dir)
{
  char pattern[ATTACH_DIR_BYTES + 16];
  glob_t g = {0};

  snprintf (pattern, sizeof pattern, "%s/[0-9]*.sock", dir);
  if (glob (pattern, GLOB_NOSORT, NULL, &g) == 0)
    for (size_t i = 0; i < g.gl_pathc; i++) {
      long pid = strtol (strrchr (g.gl_pathv[i], '/') + 1, NULL, 10);

      if (pid > 1 && kill ((pid_t)pid, 0) < 0 && errno == ESRCH)
        unlink (g.gl_pathv[i]);
    }
  globfree (&g);
}

void
sweep (struct sweep *s)
{
  struct walk w = {.s = s};

  s->left_index = -1;
  sweep_sockets (s->dir);
  block_each (sweep_state, s);
  if (nbd_kernel_open (&w.kernel, &s->why))
    return;
  block_each (sweep_device, &w);
  nbd_kernel_close (&w.kernel);
  block_each (sweep_state, s);
}
