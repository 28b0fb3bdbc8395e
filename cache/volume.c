/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/volume.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "cache/credentials.h"
#include "cache/volume_params.h"
#include "common/cleanup.h"
#include "ipc/shm.h"

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
  struct agent *agent;             /* NULL: none */
  struct credentials *credentials; /* until they are complete */
  struct supervisor *supervisor;   /* NULL until then */
};

void
volume_close (struct volume *v)
{
  if (!v)
    return;
  supervisor_close (v->supervisor);
  credentials_cancel (v->credentials);
  agent_close (v->agent);
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
      .agent = v->agent,
      .channel_fd = v->channel_fd,
      .completions = v->completions,
      .hooks = v->hooks,
      .hooks_ctx = v->hooks_ctx,
  };

  return supervisor_start (&c, &v->supervisor);
}

static void
on_credentials (void *ctx, const struct fault *why)
{
  struct volume *v = ctx;
  struct fault f = {0};

  v->credentials = NULL;
  if (!why && start_supervisor (v)) {
    fault_set (&f, ERR_NOMEM, "out of memory");
    why = &f;
  }
  if (why)
    v->hooks->fault (v->hooks_ctx, why);
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
  for (unsigned i = 0; i < CHANNEL_FDS; i++)
    v->channel_fd[i] = -1;
  login_config_init (&v->login);
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
  int secret_fd[CREDENTIALS_SECRETS] = {-1, -1};
  enum err e;

  if (!v)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if (volume_spec_take (&w, open->fds, &spec) || wire_end (&w))
    return fault_set (f, ERR_PEER, "the OPEN message is damaged");
  volume_spec_name (&spec, v->name, sizeof v->name);
  e = volume_params_take (&spec, open, &v->login, secret_fd, f);
  if (!e)
    e = make_channel (v, f);
  if (!e && (e = volume_params_for_worker (&spec, &v->worker_spec)))
    fault_set (f, e, "too many parameters");
  if (!e && v->login.agent_fd >= 0
      && (e = agent_open (d, v->login.agent_fd, &v->agent)))
    fault_set (f, e, "out of memory");
  if (!e)
    e = credentials_start (d, &v->login, secret_fd, on_credentials, v,
                           &v->credentials, f);
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++)
    cleanup_close (&secret_fd[i]);
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
