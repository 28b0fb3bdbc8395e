/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/unlock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "common/cleanup.h"
#include "ipc/volume.h"

/* u32 0 and the key, not encrypted; or a fault. */
#define ANSWER_BYTES (2u * SSH_KEY_FILE_BYTES)

struct unlock {
  struct daemon *d;
  unlock_done *done;
  void *ctx;
  int pidfd;
  int fd;
  ev_io readable;
  ev_timer deadline;
  size_t used_bytes;
  uint8_t answer[ANSWER_BYTES];
};

void
unlock_cancel (struct unlock *u)
{
  if (!u)
    return;
  ev_io_stop (u->d->loop, &u->readable);
  ev_timer_stop (u->d->loop, &u->deadline);
  if (u->pidfd >= 0)
    daemon_discard_child (u->d, u->pidfd);
  if (u->fd >= 0)
    close (u->fd);
  OPENSSL_cleanse (u, sizeof *u);
  free (u);
}

/* In the child */

static void
answer_with (int fd, const char *text, size_t length_bytes,
             const char *passphrase)
{
  static uint8_t answer[ANSWER_BYTES];
  struct wirebuf b = wirebuf_init (answer, sizeof answer);
  struct ssh_key *key = NULL;
  struct fault f = {0};
  size_t n = 0;
  ssize_t done;

  if (!ssh_key_load (text, length_bytes, passphrase, &key, &f)
      && ssh_key_export (key, (char *)answer + 4, sizeof answer - 4, &n))
    fault_set (&f, ERR_NOMEM, "out of memory");
  if (f.code)
    fault_put (&b, &f);
  else
    wirebuf_u32 (&b, 0);
  for (size_t at = 0; at < b.used_bytes + n; at += (size_t)done)
    if ((done = write (fd, answer + at, b.used_bytes + n - at)) <= 0)
      break;
  OPENSSL_cleanse (answer, sizeof answer);
  ssh_key_free (key);
}

static void __attribute__ ((noreturn))
be_child (pid_t parent, int fd, const char *text, size_t length_bytes,
          const char *passphrase)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid () == parent) {
    /* Sockets and locks of the daemon must not live as long as we do. */
    close_range (STDERR_FILENO + 1, (unsigned)fd - 1, 0);
    close_range ((unsigned)fd + 1, ~0u, 0);
    answer_with (fd, text, length_bytes, passphrase);
  }
  _exit (0);
}

/* In the daemon */

static void
finish (struct unlock *u, struct ssh_key *key, const struct fault *f)
{
  unlock_done *done = u->done;
  void *ctx = u->ctx;

  unlock_cancel (u);
  done (ctx, key, f);
}

static void
on_deadline (struct ev_loop *loop, ev_timer *w, int events)
{
  struct fault f = {0};

  (void)loop;
  (void)events;
  fault_set (&f, ERR_TIMEOUT, "it takes too long to decrypt");
  fault_hint (&f, "encrypt it again with less rounds, by ssh-keygen -p -a 16");
  finish (w->data, NULL, &f);
}

/* The child is ours, but it has read what somebody gave us. */
static void
take_answer (struct unlock *u)
{
  struct wire w = wire_init (u->answer, u->used_bytes);
  struct ssh_key *key = NULL;
  struct fault f = {0};

  if (u->used_bytes > 4 && wire_u32 (&w) == 0) {
    ssh_key_load ((const char *)u->answer + 4, u->used_bytes - 4, NULL, &key,
                  &f);
  } else {
    w = wire_init (u->answer, u->used_bytes);
    if (fault_take (&w, &f) || wire_end (&w) || !f.code)
      fault_set (&f, ERR_IO, "the process that decrypts it has failed");
  }
  finish (u, key, key ? NULL : &f);
}

static void
on_readable (struct ev_loop *loop, ev_io *w, int events)
{
  struct unlock *u = w->data;
  ssize_t n =
      read (u->fd, u->answer + u->used_bytes, sizeof u->answer - u->used_bytes);

  (void)loop;
  (void)events;
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n > 0) {
    u->used_bytes += (size_t)n;
    return;
  }
  take_answer (u); /* the end of the stream, or the buffer is full */
}

static void
cleanup_unlock (struct unlock **u)
{
  unlock_cancel (*u);
}

enum err
unlock_start (struct daemon *d, const char *text, size_t length_bytes,
              const char *passphrase, unlock_done *done, void *ctx,
              struct unlock **ret, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_unlock))) struct unlock *u =
      calloc (1, sizeof *u);
  pid_t parent = getpid (), pid;
  int pipe_fd[2];

  if (!u)
    return fault_set (f, ERR_NOMEM, "out of memory");
  u->d = d;
  u->done = done;
  u->ctx = ctx;
  u->pidfd = u->fd = -1;
  ev_init (&u->readable, on_readable);
  ev_init (&u->deadline, on_deadline);
  u->readable.data = u->deadline.data = u;
  if (pipe2 (pipe_fd, O_CLOEXEC) < 0)
    return fault_set (f, err_from_errno (errno), "cannot make a pipe");
  u->fd = pipe_fd[0];
  CLEANUP_CLOSE int write_fd = pipe_fd[1];

  if (fcntl (u->fd, F_SETFL, O_NONBLOCK) < 0)
    return fault_set (f, err_from_errno (errno), "cannot make a pipe");
  pid = fork ();
  if (pid == 0)
    be_child (parent, write_fd, text, length_bytes, passphrase);
  /* Not reaped yet, so the number is still its own. */
  u->pidfd = pid > 0 ? pidfd_open (pid, 0) : -1;
  if (u->pidfd < 0) {
    if (pid > 0)
      kill (pid, SIGKILL);
    return fault_set (f, ERR_NOMEM, "cannot start a process");
  }
  ev_io_set (&u->readable, u->fd, EV_READ);
  ev_io_start (d->loop, &u->readable);
  ev_now_update (d->loop);
  ev_timer_set (&u->deadline, UNLOCK_TIMEOUT_S, 0.);
  ev_timer_start (d->loop, &u->deadline);
  *ret = steal (&u);
  return ERR_OK;
}
