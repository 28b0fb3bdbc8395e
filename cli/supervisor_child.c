/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/supervisor_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/block.h"
#include "common/cleanup.h"

#define RESULT_FD 3 /* in the child */

struct result {
  enum err e;
  struct fault f;
};

/* In the child. */
static void
tell (int fd, enum err e, const struct fault *f)
{
  struct result r = {.e = e, .f = *f};
  ssize_t ignored = write (fd, &r, sizeof r); /* below PIPE_BUF: whole */

  (void)ignored;
}

static void __attribute__ ((noreturn))
hold (int index, pid_t none, int result_fd)
{
  struct fault f = {0};
  int fd;
  enum err e = block_open (index, &fd, &f);

  (void)none;
  tell (result_fd, e, &f);
  while (!e)
    pause ();
  _exit (1);
}

/* Not the result yet, but that opening does not hang. */
static void
tell_opened (void)
{
  struct fault none = {0};

  tell (RESULT_FD, ERR_AGAIN, &none);
}

static void __attribute__ ((noreturn))
claim (int index, pid_t none, int result_fd)
{
  struct fault f = {0};
  int fd = -1;
  enum err e = block_claim (index, none, tell_opened, &fd, &f);

  tell (result_fd, e, &f);
  while (!e)
    pause ();
  _exit (0);
}

static void __attribute__ ((noreturn))
flush (int index, pid_t holder, int result_fd)
{
  struct fault f = {0};
  int fd = -1;
  enum err e = block_claim (index, holder, NULL, &fd, &f);

  if (!e && fsync (fd) < 0) {
    e = ERR_IO;
    fault_set (&f, e, "/dev/nbd%d cannot be flushed: %s", index,
               strerrordesc_np (errno));
  }
  tell (result_fd, e, &f);
  while (!e)
    pause ();
  _exit (0);
}

static enum err
start (struct supervisor_child *c, int index, pid_t other,
       void (*body) (int index, pid_t other, int result_fd), struct fault *f)
{
  pid_t parent = getpid (), pid;
  int p[2];

  if (pipe2 (p, O_CLOEXEC) < 0)
    return fault_set (f, ERR_NOMEM, "too many files");
  fflush (NULL);
  pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)
      _exit (1);
    /* Locks that are held now are not to be held as long as this lives. */
    if (p[1] != RESULT_FD && dup2 (p[1], RESULT_FD) < 0)
      _exit (1);
    if (close_range (RESULT_FD + 1, ~0u, 0) < 0)
      _exit (1);
    body (index, other, RESULT_FD);
  }
  close (p[1]);
  if (pid < 0) {
    close (p[0]);
    return fault_set (f, ERR_NOMEM, "too many processes");
  }
  *c = (struct supervisor_child){.pid = pid, .result_fd = p[0]};
  return ERR_OK;
}

enum err
supervisor_child_result (struct supervisor_child *c, struct fault *f)
{
  struct result r = {.e = ERR_OK};
  ssize_t n = read (c->result_fd, &r, sizeof r);

  if (n < 0 && errno == EINTR) {
    f->text[0] = 0;
    return ERR_AGAIN;
  }
  if (n != sizeof r)
    return fault_set (f, ERR_IO, "a process of the supervisor was ended");
  *f = r.f;
  return r.e;
}

enum err
supervisor_hold (struct supervisor_child *c, int index, struct fault *f)
{
  return start (c, index, 0, hold, f);
}

enum err
supervisor_claim (struct supervisor_child *c, int index, struct fault *f)
{
  return start (c, index, 0, claim, f);
}

enum err
supervisor_flush (struct supervisor_child *c, int index, pid_t holder,
                  struct fault *f)
{
  supervisor_child_end (c);
  return start (c, index, holder, flush, f);
}

void
supervisor_child_gone (struct supervisor_child *c, pid_t pid)
{
  /* What it said before it died is still in the pipe. */
  if (c->pid == pid)
    c->pid = -1;
}

void
supervisor_child_end (struct supervisor_child *c)
{
  if (c->pid == 0)
    return;
  if (c->pid > 0)
    kill (c->pid, SIGKILL);
  close (c->result_fd);
  *c = (struct supervisor_child){0};
}
