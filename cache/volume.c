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
  uid_t uid; /* of the gateway */
  char name[NAME_BYTES];
  struct volume_spec spec;
  struct volume_spec worker_spec;
  struct login_config login;
  int channel_fd[CHANNEL_FDS];
  struct supervisor_before worker_before; /* ADOPT */
  struct member_before before;            /* ADOPT: its fd is ours */
  void *completions;
  const struct volume_hooks *hooks;
  void *hooks_ctx;
  struct agent *agent;             /* NULL: none */
  int secret_fd[CREDENTIALS_SECRETS]; /* until volume_start */
  struct credentials *credentials; /* until they are complete */
  struct member *member;           /* NULL until then */
  struct supervisor *supervisor;   /* the same */
};

static void
close_secrets (struct volume *v)
{
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++)
    if (v->secret_fd[i] >= 0)
      close (steal_fd (&v->secret_fd[i]));
}

void
volume_close (struct volume *v)
{
  if (!v)
    return;
  supervisor_close (v->supervisor);
  member_leave (v->member); /* after its worker is fenced */
  credentials_cancel (v->credentials);
  agent_close (v->agent);
  close_secrets (v);
  shm_unmap (v->completions, CHANNEL_RING_BYTES);
  channel_close_fds (v->channel_fd);
  cleanup_close (&v->worker_before.pidfd);
  cleanup_close (&v->worker_before.net_fd);
  cleanup_close (&v->before.stripes_fd);
  login_config_fini (&v->login);
  OPENSSL_cleanse (v, sizeof *v);
  free (v);
}

static void
cleanup_volume (struct volume **v)
{
  volume_close (*v);
}

static void
on_worker (void *ctx, uint64_t epoch, const struct volume_info *info,
           const struct supervisor_worker *fds)
{
  struct volume *v = ctx;

  member_set_info (v->member, info);
  v->hooks->worker.worker (v->hooks_ctx, epoch, info, fds);
}

static void
on_gone (void *ctx, uint64_t epoch, bool of_itself, const struct fault *why)
{
  struct volume *v = ctx;

  v->hooks->worker.gone (v->hooks_ctx, epoch, of_itself, why);
}

static void
on_fault (void *ctx, const struct fault *f)
{
  struct volume *v = ctx;

  v->hooks->worker.fault (v->hooks_ctx, f);
}

static const struct supervisor_hooks supervisor_hooks = {
    .worker = on_worker,
    .gone = on_gone,
    .fault = on_fault,
};

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
      .hooks = &supervisor_hooks,
      .hooks_ctx = v,
  };

  return supervisor_start (&c, &v->worker_before, &v->supervisor);
}

/* The credential is complete. */
static enum err
join_and_start (struct volume *v, struct fault *f)
{
  struct volume_key key;
  enum err e = volume_key (v->uid, &v->spec, &v->login, &key);

  if (e)
    return fault_set (f, e, "out of memory");
  if ((e = member_join (v->d->volumes, &key, v->name, &v->before,
                        &v->hooks->lease, v->hooks_ctx, &v->member, f)))
    return e;
  v->hooks->cached (v->hooks_ctx);
  return (e = start_supervisor (v)) ? fault_set (f, e, "out of memory")
                                    : ERR_OK;
}

static void
on_credentials (void *ctx, const struct fault *why)
{
  struct volume *v = ctx;
  struct fault f = {0};

  v->credentials = NULL;
  if (!why && join_and_start (v, &f))
    why = &f;
  if (why)
    on_fault (v, why);
}

static struct volume *
volume_new (struct daemon *d, const struct volume_hooks *hooks,
            void *hooks_ctx)
{
  struct volume *v = calloc (1, sizeof *v);

  if (!v)
    return NULL;
  v->d = d;
  v->hooks = hooks;
  v->hooks_ctx = hooks_ctx;
  v->worker_before.pidfd = v->worker_before.net_fd = -1;
  v->before.stripes_fd = -1;
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++)
    v->secret_fd[i] = -1;
  for (unsigned i = 0; i < CHANNEL_FDS; i++)
    v->channel_fd[i] = -1;
  login_config_init (&v->login);
  return v;
}

/* How many fds follow the volume's files in ADOPT. */
static unsigned
adopted_fds (bool alive)
{
  return CHANNEL_FDS + 1 + (alive ? 2 : 0);
}

/* The fds of ADOPT, from the first that is no file of the volume. */
static void
take_before (struct volume *v, struct control *m, unsigned first, bool alive)
{
  for (unsigned i = 0; i < CHANNEL_FDS; i++)
    v->channel_fd[i] = control_take_fd (m, first + i);
  v->before.stripes_fd = control_take_fd (m, first + CHANNEL_FDS);
  if (alive) {
    v->worker_before.pidfd = control_take_fd (m, first + CHANNEL_FDS + 1);
    v->worker_before.net_fd = control_take_fd (m, first + CHANNEL_FDS + 2);
  }
}

/* OPEN or ADOPT, but for the files. */
static enum err
take_message (struct volume *v, struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  unsigned files = m->fds;
  bool alive = false;

  if (m->type == CONTROL_ADOPT) {
    v->worker_before.epoch = wire_u64 (&w);
    alive = wire_u8 (&w);
    v->before.holds_lease = wire_u8 (&w);
    if (w.err || v->worker_before.epoch == 0 || files < adopted_fds (alive))
      return ERR_PEER;
    files -= adopted_fds (alive);
  }
  if (volume_spec_take (&w, files, &v->spec) || wire_end (&w))
    return ERR_PEER;
  if (m->type == CONTROL_ADOPT)
    take_before (v, m, files, alive);
  return ERR_OK;
}

static enum err
make_channel (struct volume *v, struct fault *f)
{
  enum err e = v->before.stripes_fd < 0 ? channel_create (v->channel_fd)
                                        : channel_adopt (v->channel_fd);

  if (!e)
    e = shm_map (v->channel_fd[CHANNEL_COMPLETIONS], CHANNEL_RING_BYTES, true,
                 &v->completions);
  return e ? fault_set (f, e, "cannot make shared memory: %s", err_text (e))
           : ERR_OK;
}

enum err
volume_open (struct daemon *d, uid_t uid, struct control *open,
             const struct volume_hooks *hooks, void *hooks_ctx,
             struct volume **ret, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_volume))) struct volume *v =
      volume_new (d, hooks, hooks_ctx);
  enum err e;

  if (!v)
    return fault_set (f, ERR_NOMEM, "out of memory");
  v->uid = uid;
  if (take_message (v, open))
    return fault_set (f, ERR_PEER, "the %s message is damaged",
                      control_type_name (open->type));
  volume_spec_name (&v->spec, v->name, sizeof v->name);
  e = volume_params_take (&v->spec, open, &v->login, v->secret_fd, f);
  if (!e)
    e = make_channel (v, f);
  if (!e && (e = volume_params_for_worker (&v->spec, &v->worker_spec)))
    fault_set (f, e, "too many parameters");
  if (!e && v->login.agent_fd >= 0
      && (e = agent_open (d, v->login.agent_fd, &v->agent)))
    fault_set (f, e, "out of memory");
  if (e)
    return e;
  *ret = steal (&v);
  return ERR_OK;
}

enum err
volume_start (struct volume *v, struct fault *f)
{
  enum err e = credentials_start (v->d, &v->login, v->secret_fd,
                                  on_credentials, v, &v->credentials, f);

  close_secrets (v);
  return e;
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
volume_put_cache (const struct volume *v, struct control *out,
                  struct wirebuf *b)
{
  member_put_cache (v->member, out, b);
}

void
volume_cache_sent (struct volume *v)
{
  member_cache_sent (v->member);
}

enum err
volume_lease_want (struct volume *v)
{
  return v->member ? member_want (v->member) : ERR_PEER;
}

enum err
volume_lease_return (struct volume *v)
{
  return v->member ? member_return (v->member) : ERR_PEER;
}

void
volume_distrust (struct volume *v, uint64_t epoch, const struct fault *why)
{
  if (v->supervisor)
    supervisor_distrust (v->supervisor, epoch, why);
}
