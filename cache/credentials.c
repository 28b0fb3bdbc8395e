/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "cache/unlock.h"
#include "common/cleanup.h"

static const char *const names[CREDENTIALS_SECRETS] = {
    [CREDENTIALS_PASSWORD] = "password",
    [CREDENTIALS_TARGET_PASSWORD] = "target-password",
    [CREDENTIALS_PASSPHRASE] = "passphrase",
};

struct credentials {
  struct daemon *d;
  struct login_config *login;
  credentials_done *done;
  void *ctx;
  int fd[CREDENTIALS_SECRETS];
  unsigned secret; /* the one that is read; CREDENTIALS_SECRETS: all are */
  bool is_file, is_socket;
  size_t used_bytes;
  ev_io readable;
  ev_timer timer; /* of the secret; afterwards: the next step, from the loop */
  unsigned key;   /* the next one */
  struct unlock *unlock;
  char passphrase[LOGIN_PASSWORD_BYTES];
};

void
credentials_cancel (struct credentials *c)
{
  if (!c)
    return;
  ev_io_stop (c->d->loop, &c->readable);
  ev_timer_stop (c->d->loop, &c->timer);
  unlock_cancel (c->unlock);
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++)
    cleanup_close (&c->fd[i]);
  OPENSSL_cleanse (c, sizeof *c);
  free (c);
}

static void
finish (struct credentials *c, const struct fault *f)
{
  credentials_done *done = c->done;
  void *ctx = c->ctx;

  credentials_cancel (c);
  done (ctx, f);
}

/* Keys */

static void
unlock_next (struct credentials *c);

static void
on_unlocked (void *ctx, struct ssh_key *key, const struct fault *f)
{
  struct credentials *c = ctx;
  struct login_key *k = &c->login->key[c->key++];

  c->unlock = NULL;
  k->key = key;
  if (!key)
    k->fault = *f;
  unlock_next (c);
}

static void
unlock_next (struct credentials *c)
{
  while (c->passphrase[0] && c->key < c->login->keys) {
    struct login_key *k = &c->login->key[c->key];

    if (k->locked
        && !unlock_start (c->d, k->locked, k->locked_bytes, c->passphrase,
                          on_unlocked, c, &c->unlock, &k->fault))
      return;
    c->key++;
  }
  finish (c, NULL);
}

/* Secrets */

static char *
text_of (struct credentials *c)
{
  switch (c->secret) {
  case CREDENTIALS_PASSWORD:
    return c->login->password;
  case CREDENTIALS_TARGET_PASSWORD:
    return c->login->target_password;
  default:
    return c->passphrase;
  }
}

static void
fail (struct credentials *c, const char *why)
{
  struct fault f = {0};

  fault_set (&f, ERR_INVAL, "the %s %s", names[c->secret], why);
  fault_hint (&f, "see %s= in %s(1)", names[c->secret],
              c->login->ssh ? "bulkhead-sftp" : "bulkhead-iscsi");
  finish (c, &f);
}

/* RFC 7143 §12.1.3: else an answer for one direction would be one for the
 * other.
 */
static bool
secrets_are_one (struct credentials *c)
{
  const struct login_config *l = c->login;
  struct fault f = {0};

  if (!l->has_password || !l->has_target_password
      || strcmp (l->password, l->target_password) != 0)
    return false;
  fault_set (&f, ERR_INVAL, "password= and target-password= are the same");
  fault_hint (&f, "mutual CHAP needs a secret for each direction");
  finish (c, &f);
  return true;
}

/* From the loop alone: done may be called. */
static void
read_next (struct credentials *c)
{
  struct ev_loop *loop = c->d->loop;
  struct stat st;
  int fd;

  ev_io_stop (loop, &c->readable);
  ev_timer_stop (loop, &c->timer);
  while (c->secret < CREDENTIALS_SECRETS && c->fd[c->secret] < 0)
    c->secret++;
  if (c->secret == CREDENTIALS_SECRETS) {
    if (secrets_are_one (c))
      return;
    unlock_next (c);
    return;
  }
  fd = c->fd[c->secret];
  if (fstat (fd, &st) < 0
      || !(S_ISREG (st.st_mode) || S_ISFIFO (st.st_mode)
           || S_ISSOCK (st.st_mode))) {
    fail (c, "is neither file nor pipe");
    return;
  }
  c->is_file = S_ISREG (st.st_mode);
  c->is_socket = S_ISSOCK (st.st_mode);
  c->used_bytes = 0;
  ev_io_set (&c->readable, fd, EV_READ);
  ev_io_start (loop, &c->readable);
  ev_now_update (loop);
  ev_timer_set (&c->timer, CREDENTIALS_TIMEOUT_S, 0.);
  ev_timer_start (loop, &c->timer);
}

static void
on_timer (struct ev_loop *loop, ev_timer *w, int events)
{
  struct credentials *c = w->data;

  (void)loop;
  (void)events;
  if (ev_is_active (&c->readable))
    fail (c, "did not come in time");
  else
    read_next (c);
}

/* One line end at its end is not part of it. */
static void
secret_complete (struct credentials *c)
{
  char *p = text_of (c);
  size_t n = c->used_bytes;

  if (n && p[n - 1] == '\n')
    n--;
  if (n && p[n - 1] == '\r')
    n--;
  p[n] = 0;
  if (n == 0 || strlen (p) != n) {
    fail (c, n ? "has a NUL in it" : "is empty");
    return;
  }
  if (c->secret == CREDENTIALS_PASSWORD)
    c->login->has_password = true;
  if (c->secret == CREDENTIALS_TARGET_PASSWORD)
    c->login->has_target_password = true;
  cleanup_close (&c->fd[c->secret]);
  c->fd[c->secret] = -1;
  read_next (c);
}

static void
on_readable (struct ev_loop *loop, ev_io *w, int events)
{
  struct credentials *c = w->data;
  int fd = c->fd[c->secret];
  char *at = text_of (c) + c->used_bytes;
  size_t room = LOGIN_PASSWORD_BYTES - c->used_bytes;
  /* A gateway gives the same file again to the next daemon. Of a socket, which
   * another user may have sent, whoever has it as well may have been faster.
   */
  ssize_t n = c->is_file     ? pread (fd, at, room, (off_t)c->used_bytes)
              : c->is_socket ? recv (fd, at, room, MSG_DONTWAIT)
                             : read (fd, at, room);

  (void)loop;
  (void)events;
  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (n < 0) {
    fail (c, "cannot be read");
    return;
  }
  c->used_bytes += (size_t)n;
  if (n == 0)
    secret_complete (c);
  else if (c->used_bytes == LOGIN_PASSWORD_BYTES)
    fail (c, "is too long");
}

enum err
credentials_start (struct daemon *d, struct login_config *login,
                   int fd[CREDENTIALS_SECRETS], credentials_done *done,
                   void *ctx, struct credentials **ret, struct fault *f)
{
  struct credentials *c = calloc (1, sizeof *c);

  if (!c)
    return fault_set (f, ERR_NOMEM, "out of memory");
  c->d = d;
  c->login = login;
  c->done = done;
  c->ctx = ctx;
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++)
    c->fd[i] = steal_fd (&fd[i]);
  ev_init (&c->readable, on_readable);
  ev_timer_init (&c->timer, on_timer, 0., 0.);
  c->readable.data = c->timer.data = c;
  ev_timer_start (d->loop, &c->timer);
  *ret = c;
  return ERR_OK;
}
