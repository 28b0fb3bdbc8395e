/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "cache/volume_params.h"
#include "common/cleanup.h"
#include "ipc/shm.h"

/* A password that comes through a pipe: somebody may have to type it. */
#define PASSWORD_TIMEOUT_S 60.0
#define NAME_BYTES 512

struct volume {
  struct daemon *d;
  char name[NAME_BYTES];
  struct volume_spec worker_spec;
  struct login_config login;
  int channel_fd[CHANNEL_FDS];
  void *completions;
  const struct supervisor_hooks *hooks;
  void *hooks_ctx;
  struct supervisor *supervisor; /* NULL until the password is here */
  int password_fd;
  size_t password_bytes;
  ev_io password_readable;
  ev_timer password_deadline;
};

static void
stop_password (struct volume *v)
{
  ev_io_stop (v->d->loop, &v->password_readable);
  ev_timer_stop (v->d->loop, &v->password_deadline);
  if (v->password_fd >= 0)
    close (steal_fd (&v->password_fd));
}

void
volume_close (struct volume *v)
{
  if (!v)
    return;
  supervisor_close (v->supervisor);
  stop_password (v);
  shm_unmap (v->completions, CHANNEL_RING_BYTES);
  channel_close_fds (v->channel_fd);
  login_config_fini (&v->login);
  OPENSSL_cleanse (v, sizeof *v);
  free (v);
}

static void
cleanup_volume (struct volume **v)
{
  volume_close (*v);
}

static enum err
start_supervisor (struct volume *v)
{
  struct supervisor_config c = {
      .daemon = v->d,
      .name = v->name,
      .spec = &v->worker_spec,
      .login = &v->login,
      .channel_fd = v->channel_fd,
      .completions = v->completions,
      .hooks = v->hooks,
      .hooks_ctx = v->hooks_ctx,
  };

  return supervisor_start (&c, &v->supervisor);
}

static void
password_fault (struct volume *v, const char *why)
{
  struct fault f;

  stop_password (v);
  fault_set (&f, ERR_INVAL, "the password %s", why);
  fault_hint (&f, "see password= in bulkhead-sftp(1)");
  v->hooks->fault (v->hooks_ctx, &f);
}

static void
on_password_deadline (struct ev_loop *loop, ev_timer *w, int events)
{
  (void)loop;
  (void)events;
  password_fault (w->data, "did not come in time");
}

/* One line end at its end is not part of it. */
static void
password_complete (struct volume *v)
{
  char *p = v->login.password;
  size_t n = v->password_bytes;

  if (n && p[n - 1] == '\n')
    n--;
  if (n && p[n - 1] == '\r')
    n--;
  p[n] = 0;
  if (n == 0 || strlen (p) != n) {
    password_fault (v, n ? "has a NUL in it" : "is empty");
    return;
  }
  v->login.has_password = true;
  stop_password (v);
  if (start_supervisor (v)) {
    struct fault f;

    fault_set (&f, ERR_NOMEM, "out of memory");
    v->hooks->fault (v->hooks_ctx, &f);
  }
}

static void
on_password (struct ev_loop *loop, ev_io *w, int events)
{
  struct volume *v = w->data;
  size_t room = sizeof v->login.password - v->password_bytes;
  ssize_t n =
      read (v->password_fd, v->login.password + v->password_bytes, room);

  (void)loop;
  (void)events;
  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (n < 0) {
    password_fault (v, "cannot be read");
    return;
  }
  v->password_bytes += (size_t)n;
  if (n == 0)
    password_complete (v);
  else if (v->password_bytes == sizeof v->login.password)
    password_fault (v, "is too long");
}

static enum err
await_password (struct volume *v, struct fault *f)
{
  struct stat st;

  if (fstat (v->password_fd, &st) < 0
      || !(S_ISREG (st.st_mode) || S_ISFIFO (st.st_mode)
           || S_ISSOCK (st.st_mode)))
    return fault_set (f, ERR_INVAL, "the password is neither file nor pipe");
  ev_io_set (&v->password_readable, v->password_fd, EV_READ);
  ev_io_start (v->d->loop, &v->password_readable);
  ev_timer_set (&v->password_deadline, PASSWORD_TIMEOUT_S, 0.);
  ev_timer_start (v->d->loop, &v->password_deadline);
  return ERR_OK;
}

static struct volume *
volume_new (struct daemon *d, const struct supervisor_hooks *hooks,
            void *hooks_ctx)
{
  struct volume *v = calloc (1, sizeof *v);

  if (!v)
    return NULL;
  v->d = d;
  v->hooks = hooks;
  v->hooks_ctx = hooks_ctx;
  v->password_fd = -1;
  for (unsigned i = 0; i < CHANNEL_FDS; i++)
    v->channel_fd[i] = -1;
  login_config_init (&v->login);
  ev_init (&v->password_readable, on_password);
  ev_init (&v->password_deadline, on_password_deadline);
  v->password_readable.data = v->password_deadline.data = v;
  return v;
}

static enum err
make_channel (struct volume *v, struct fault *f)
{
  enum err e = channel_create (v->channel_fd);

  if (!e)
    e = shm_map (v->channel_fd[CHANNEL_COMPLETIONS], CHANNEL_RING_BYTES, true,
                 &v->completions);
  return e ? fault_set (f, e, "cannot make shared memory: %s", err_text (e))
           : ERR_OK;
}

enum err
volume_open (struct daemon *d, struct control *open,
             const struct supervisor_hooks *hooks, void *hooks_ctx,
             struct volume **ret, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_volume))) struct volume *v =
      volume_new (d, hooks, hooks_ctx);
  struct wire w = wire_init (open->body, open->length_bytes);
  struct volume_spec spec;
  enum err e;

  if (!v)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if (volume_spec_take (&w, open->fds, &spec) || wire_end (&w))
    return fault_set (f, ERR_PEER, "the OPEN message is damaged");
  volume_spec_name (&spec, v->name, sizeof v->name);
  if ((e = volume_params_take (&spec, open, &v->login, &v->password_fd, f))
      || (e = make_channel (v, f)))
    return e;
  if ((e = volume_params_for_worker (&spec, &v->worker_spec)))
    return fault_set (f, e, "too many parameters");
  if (v->password_fd >= 0)
    e = await_password (v, f);
  else if ((e = start_supervisor (v)))
    fault_set (f, e, "out of memory");
  if (e)
    return e;
  *ret = steal (&v);
  return ERR_OK;
}

const char *
volume_name (const struct volume *v)
{
  return v->name;
}

enum err
volume_channel_fds (const struct volume *v, int ret_fd[CHANNEL_FDS])
{
  return channel_fds_for (v->channel_fd, CHANNEL_SIDE_GATEWAY, ret_fd);
}

void
volume_distrust (struct volume *v, uint64_t epoch, const struct fault *why)
{
  if (v->supervisor)
    supervisor_distrust (v->supervisor, epoch, why);
}
