/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "cache/credentials.h"
#include "cache/foreign.h"
#include "cache/orphans.h"
#include "cache/status.h"
#include "cache/stripes_file.h"
#include "cache/volume_params.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "ipc/shm.h"

#define NAME_BYTES 512
/* A process that was killed is dead soon. */
#define ORPHANS_AGAIN_NS 20000000ull

/* One connection. */
struct volume_path {
  struct volume *v;
  unsigned index;
  char name[NAME_BYTES + 40]; /* for the log */
  int channel_fd[CHANNEL_FDS];
  void *completions;
  struct supervisor_before before; /* ADOPT */
  struct supervisor *supervisor;   /* NULL until it is started */
};

struct volume {
  struct daemon *d;
  uid_t uid; /* of the gateway */
  char name[NAME_BYTES];
  struct volume_spec spec;
  struct volume_spec worker_spec;
  struct quota_share share; /* of the user's quota, while it is there */
  bool foreign;             /* another user's, of a host's daemon */
  ev_timer grace;           /* before it is started: grace.h */
  struct login_config login;
  unsigned paths;
  bool shared; /* path 0's session has the connections of all */
  struct volume_path path[CHANNEL_PATHS];
  char identity[sizeof ((struct volume_info *)0)->identity]; /* or "" */
  struct volume_info info; /* of the last worker; request_max 0: none yet */
  struct member_before before; /* ADOPT: its fd is ours */
  const struct volume_hooks *hooks;
  void *hooks_ctx;
  struct agent *agent;             /* NULL: none */
  int secret_fd[CREDENTIALS_SECRETS]; /* until volume_start */
  struct credentials *credentials; /* until they are complete */
  struct member *member;           /* NULL until then */
  unsigned leaving;     /* paths whose workers still say goodbye */
  struct volume *next, **link; /* in d->leaving, while leaving */
};

static void
close_secrets (struct volume *v)
{
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++)
    if (v->secret_fd[i] >= 0)
      close (steal_fd (&v->secret_fd[i]));
}

static void
close_path (struct volume_path *p)
{
  shm_unmap (p->completions, CHANNEL_RING_BYTES);
  channel_close_fds (p->channel_fd);
  cleanup_close (&p->before.pidfd);
  for (unsigned i = 0; i < p->before.lanes; i++)
    if (p->before.net_fd[i] >= 0)
      closer_close (p->v->d, p->v->uid, p->before.net_fd[i]);
}

void
volume_close (struct volume *v)
{
  if (!v)
    return;
  if (v->link) {
    *v->link = v->next;
    if (v->next)
      v->next->link = v->link;
  }
  for (unsigned i = 0; i < CHANNEL_PATHS; i++)
    supervisor_close (v->path[i].supervisor);
  member_leave (v->member); /* after its workers are fenced */
  credentials_cancel (v->credentials);
  agent_close (v->agent);
  close_secrets (v);
  for (unsigned i = 0; i < CHANNEL_PATHS; i++)
    close_path (&v->path[i]);
  cleanup_close (&v->before.stripes_fd);
  quota_give (&v->d->quota, v->uid, &v->share);
  if (v->foreign) {
    ev_timer_stop (v->d->loop, &v->grace);
    grace_leave (&v->d->grace);
  }
  if (v->login.agent_fd >= 0)
    closer_close (v->d, v->uid, steal_fd (&v->login.agent_fd));
  login_config_fini (&v->login);
  OPENSSL_cleanse (v, sizeof *v);
  free (v);
}

static void
on_left (void *ctx)
{
  struct volume *v = ctx;

  if (--v->leaving == 0)
    volume_close (v);
}

void
volume_leave (struct volume *v)
{
  for (unsigned i = 0; v && i < v->paths; i++) {
    struct supervisor *s = v->path[i].supervisor;

    if (s && supervisor_leave (s, on_left, v))
      v->leaving++;
    else
      supervisor_close (steal (&v->path[i].supervisor));
  }
  if (!v || !v->leaving) {
    volume_close (v);
    return;
  }
  v->next = v->d->leaving;
  v->link = &v->d->leaving;
  if (v->next)
    v->next->link = &v->next;
  v->d->leaving = v;
}

void
volumes_close_leaving (struct daemon *d)
{
  while (d->leaving)
    volume_close (d->leaving);
}

static void
cleanup_volume (struct volume **v)
{
  volume_close (*v);
}

/* What one connection has found must be what the others have. */
static enum err
on_check (void *ctx, const struct volume_info *info, struct fault *f)
{
  struct volume_path *p = ctx;
  struct volume *v = p->v;

  if (strcmp (v->identity, info->identity) == 0)
    return ERR_OK;
  /* Nor is one without a name the one that had one. */
  if (v->identity[0]) {
    fault_set (f, ERR_PEER,
               "this connection leads to another object: %s%s%s, and it was "
               "\"%s\" before",
               info->identity[0] ? "\"" : "one without a name",
               info->identity, info->identity[0] ? "\"" : "", v->identity);
    fault_hint (f, "is it replaced on the server, or do several servers answer "
                   "to this name? Start nbdkit again to use the new one");
    return f->code;
  }
  memcpy (v->identity, info->identity, sizeof v->identity);
  return ERR_OK;
}

static enum err
start_path (struct volume_path *p, bool background);

static void
on_worker (void *ctx, uint64_t epoch, const struct volume_info *info,
           const struct supervisor_worker *fds)
{
  struct volume_path *p = ctx;
  struct volume *v = p->v;

  v->info = *info;
  member_set_info (v->member, info);
  v->hooks->worker (v->hooks_ctx, p->index, epoch, info, fds);
  if (p->index == 0)
    v->shared = fds->shared;
  for (unsigned i = 0; i < v->paths && !v->shared; i++)
    if (!v->path[i].supervisor && start_path (&v->path[i], true))
      log_write (v->d->log, LOG_LEVEL_ERROR, "%s: out of memory",
                 v->path[i].name);
}

static void
on_gone (void *ctx, uint64_t epoch, bool of_itself, const struct fault *why)
{
  struct volume_path *p = ctx;

  p->v->hooks->gone (p->v->hooks_ctx, p->index, epoch, of_itself, why);
}

static void
on_fault (void *ctx, const struct fault *f)
{
  struct volume_path *p = ctx;

  p->v->hooks->fault (p->v->hooks_ctx, f);
}

static const struct supervisor_hooks supervisor_hooks = {
    .check = on_check,
    .worker = on_worker,
    .gone = on_gone,
    .fault = on_fault,
};

static enum err
start_path (struct volume_path *p, bool background)
{
  struct volume *v = p->v;
  struct supervisor_config c = {
      .daemon = v->d,
      .name = p->name,
      .uid = v->uid,
      .path = p->index,
      .paths = v->paths,
      .background = background,
      .spec = &v->worker_spec,
      .login = &v->login,
      .agent = v->agent,
      .channel_fd = p->channel_fd,
      .completions = p->completions,
      .hooks = &supervisor_hooks,
      .hooks_ctx = p,
  };

  return supervisor_start (&c, &p->before, &p->supervisor);
}

/* The first, whose worker says whether others are needed. Of a volume that
 * another daemon had: all that it had started, and the rest where its first
 * worker lives, with a session of its own: one for all may have a single
 * connection for now, as the others could not be had.
 */
static enum err
start_paths (struct volume *v)
{
  bool adopted = v->before.stripes_fd >= 0;
  const struct supervisor_before *first = &v->path[0].before;
  bool alone = first->lanes == 1 && !first->shared;
  enum err e;

  v->shared = first->lanes && first->shared;
  e = start_path (&v->path[0], adopted);
  for (unsigned i = 1; i < v->paths && !e; i++)
    if (adopted && (alone || v->path[i].before.epoch))
      e = start_path (&v->path[i], true);
  return e;
}

/* While it is leaving nobody is there to answer: it gives the lease back when
 * it is closed, long before its time is over.
 */
static void
on_grant (void *ctx)
{
  struct volume *v = ctx;

  if (!v->leaving)
    v->hooks->lease.grant (v->hooks_ctx);
}

static void
on_revoke (void *ctx)
{
  struct volume *v = ctx;

  if (!v->leaving)
    v->hooks->lease.revoke (v->hooks_ctx);
}

static void
on_expel (void *ctx, const struct fault *why)
{
  struct volume *v = ctx;

  if (v->leaving)
    volume_close (v);
  else
    v->hooks->lease.expel (v->hooks_ctx, why);
}

static const struct member_hooks lease_hooks = {
    .grant = on_grant, .revoke = on_revoke, .expel = on_expel};

/* The credential is complete. */
static enum err
join_and_start (struct volume *v, struct fault *f)
{
  struct volume_key key;
  enum err e = volume_key (v->uid, &v->spec, &v->login, &key);

  if (e)
    return fault_set (f, e, "out of memory");
  if ((e = member_join (v->d->volumes, &key, v->uid, v->name, &v->before,
                        &lease_hooks, v, &v->member, f)))
    return e;
  v->hooks->cached (v->hooks_ctx);
  return (e = start_paths (v)) ? fault_set (f, e, "out of memory") : ERR_OK;
}

static void
join_or_tell (struct volume *v)
{
  struct fault f = {0};

  if (join_and_start (v, &f))
    v->hooks->fault (v->hooks_ctx, &f);
}

/* Those whom an earlier daemon served come first: grace.h, orphans.h. */
static void
join_in_turn (struct volume *v)
{
  bool waits = v->foreign && v->before.stripes_fd < 0;
  uint64_t wait_ns
      = waits ? grace_left_ns (&v->d->grace, clock_now_ns ()) : 0;

  if (waits && !wait_ns && orphans_end (v->d, v->uid))
    wait_ns = ORPHANS_AGAIN_NS;
  if (wait_ns) {
    ev_now_update (v->d->loop);
    ev_timer_set (&v->grace, (double)wait_ns / 1e9, 0.);
    ev_timer_start (v->d->loop, &v->grace);
  } else
    join_or_tell (v);
}

static void
on_grace (struct ev_loop *loop, ev_timer *w, int events)
{
  (void)loop;
  (void)events;
  join_in_turn (w->data);
}

static void
on_credentials (void *ctx, const struct fault *why)
{
  struct volume *v = ctx;

  v->credentials = NULL;
  if (why)
    v->hooks->fault (v->hooks_ctx, why);
  else
    join_in_turn (v);
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
  for (unsigned i = 0; i < CHANNEL_PATHS; i++) {
    struct volume_path *p = &v->path[i];

    p->v = v;
    p->index = i;
    p->before.pidfd = -1;
    for (unsigned k = 0; k < PROTO_LANES_MAX; k++)
      p->before.net_fd[k] = -1;
    for (unsigned k = 0; k < CHANNEL_FDS; k++)
      p->channel_fd[k] = -1;
  }
  v->before.stripes_fd = -1;
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++)
    v->secret_fd[i] = -1;
  login_config_init (&v->login);
  return v;
}

/* What ADOPT says of the paths. *ret_fds: how many of its fds are no files of
 * the volume.
 */
static enum err
take_paths (struct volume *v, struct wire *w, unsigned *ret_fds)
{
  unsigned fds = 1; /* the stripes file */
  uint64_t any = 0;

  v->before.holds_lease = wire_u8 (w);
  v->paths = wire_u8 (w);
  if (w->err || v->paths < 1 || v->paths > CHANNEL_PATHS)
    return ERR_PEER;
  for (unsigned i = 0; i < v->paths; i++) {
    struct supervisor_before *b = &v->path[i].before;
    unsigned lanes = 0;

    b->epoch = wire_u64 (w);
    any |= b->epoch;
    lanes = wire_u8 (w);
    if (lanes > PROTO_LANES_MAX)
      return ERR_PEER;
    b->lanes = lanes;
    b->layers = wire_u32 (w);
    b->shared = wire_u8 (w);
    if (lanes > 1 && !b->shared)
      return ERR_PEER;
    fds += CHANNEL_FDS + (lanes ? 1 + lanes : 0);
  }
  *ret_fds = fds;
  return w->err || !any ? ERR_PEER : ERR_OK;
}

/* The fds of ADOPT, from the first that is no file of the volume. */
static void
take_before (struct volume *v, struct control *m, unsigned first)
{
  unsigned at = first;

  v->before.stripes_fd = control_take_fd (m, at++);
  for (unsigned i = 0; i < v->paths; i++) {
    struct volume_path *p = &v->path[i];

    for (unsigned k = 0; k < CHANNEL_FDS; k++)
      p->channel_fd[k] = control_take_fd (m, at++);
    if (p->before.lanes)
      p->before.pidfd = control_take_fd (m, at++);
    for (unsigned k = 0; k < p->before.lanes; k++)
      p->before.net_fd[k] = control_take_fd (m, at++);
  }
}

/* Of a gateway of another user: see foreign.h. */
static enum err
check_files (const struct volume *v, const struct control *m, unsigned files,
             struct fault *f)
{
  int agent = volume_spec_fd (&v->spec, "agent");

  for (unsigned i = 0; i < files; i++)
    if (!((int)i == agent ? foreign_agent : foreign_file) (m->fd[i]))
      return fault_set (f, ERR_ACCESS,
                        "a file of another user must come to the host's "
                        "bulkheadd as sealed memory");
  return ERR_OK;
}

/* They are searched at each dial, while everybody waits. */
static enum err
check_known_hosts (const struct login_config *c, struct fault *f)
{
  for (unsigned i = 0; i < c->known_hosts_files; i++) {
    struct stat st;

    if (fstat (c->known_hosts[i].fd, &st) < 0)
      return fault_set (f, ERR_IO, "cannot look at %s", c->known_hosts[i].name);
    if (st.st_size <= LOGIN_FOREIGN_KNOWN_HOSTS_BYTES)
      continue;
    fault_set (f, ERR_LIMIT,
               "%.200s has %llu KiB; of users other than root the host's "
               "bulkheadd takes known hosts of %u KiB",
               c->known_hosts[i].name,
               (unsigned long long)(st.st_size + 1023) >> 10,
               LOGIN_FOREIGN_KNOWN_HOSTS_BYTES >> 10);
    fault_hint (f, "ssh-keygen -F %s -f %.200s >FILE, and known-hosts=FILE",
                c->host, c->known_hosts[i].name);
    return f->code;
  }
  return ERR_OK;
}

static enum err
check_before (const struct volume *v, struct fault *f)
{
  bool ok = foreign_object (v->before.stripes_fd, STRIPES_MEMORY_NAME);

  for (unsigned i = 0; ok && i < v->paths; i++) {
    const struct volume_path *p = &v->path[i];

    for (unsigned k = 0; k <= CHANNEL_IDENTITY; k++)
      ok = ok
           && foreign_object (p->channel_fd[k],
                              channel_object_name ((enum channel_object)k));
    for (unsigned k = 0; k < p->before.lanes; k++)
      ok = ok && foreign_net (p->before.net_fd[k]);
    if (p->before.pidfd >= 0)
      ok = ok
           && foreign_worker (p->before.pidfd,
                              p->channel_fd[CHANNEL_COMPLETIONS],
                              v->d->worker_path);
  }
  return ok ? ERR_OK
            : fault_set (f, ERR_ACCESS,
                         "what was handed over is not of an earlier daemon of "
                         "this host");
}

/* OPEN or ADOPT, but for the files. */
static enum err
take_message (struct volume *v, struct control *m, unsigned *ret_files)
{
  struct wire w = wire_init (m->body, m->length_bytes);
  unsigned files = m->fds, others = 0;

  if (m->type == CONTROL_ADOPT) {
    if (take_paths (v, &w, &others) || files < others)
      return ERR_PEER;
    files -= others;
  }
  if (volume_spec_take (&w, files, &v->spec) || wire_end (&w))
    return ERR_PEER;
  if (m->type == CONTROL_ADOPT)
    take_before (v, m, files);
  *ret_files = files;
  return ERR_OK;
}

/* All channels of a gateway wake it by one eventfd. */
static enum err
share_wake (struct volume_path *p)
{
  int *fd = &p->channel_fd[CHANNEL_WAKE_GATEWAY];

  close (*fd);
  *fd = fcntl (p->v->path[0].channel_fd[CHANNEL_WAKE_GATEWAY],
               F_DUPFD_CLOEXEC, 0);
  return *fd < 0 ? err_from_errno (errno) : ERR_OK;
}

static enum err
make_channel (struct volume_path *p)
{
  bool adopted = p->v->before.stripes_fd >= 0;
  enum err e =
      adopted ? channel_adopt (p->channel_fd) : channel_create (p->channel_fd);

  if (!e && !adopted && p->index > 0)
    e = share_wake (p);
  return e ? e
           : shm_map (p->channel_fd[CHANNEL_COMPLETIONS], CHANNEL_RING_BYTES,
                      true, &p->completions);
}

static struct quota_share
share_of (unsigned paths)
{
  struct quota_share s = {.volumes = 1, .workers = paths};

  for (int i = 0; i <= CHANNEL_IDENTITY; i++)
    s.memory_bytes += paths * channel_object_bytes ((enum channel_object)i);
  return s;
}

static enum err
make_paths (struct volume *v, struct fault *f)
{
  unsigned n = volume_params_connections (&v->spec);
  enum err e = ERR_OK;

  if (v->before.stripes_fd >= 0 && n != v->paths)
    return fault_set (f, ERR_INVAL, "connections=%u, but %u were handed over",
                      n, v->paths);
  v->paths = n;
  v->share = share_of (n);
  if ((e = quota_take (&v->d->quota, v->uid, &v->share, f))) {
    v->share = (struct quota_share){0};
    return e;
  }
  for (unsigned i = 0; i < n && !e; i++) {
    struct volume_path *p = &v->path[i];

    snprintf (p->name, sizeof p->name, n > 1 ? "%s (connection %u)" : "%s",
              v->name, i + 1);
    e = make_channel (p);
  }
  return e ? fault_set (f, e, "cannot make shared memory: %s", err_text (e))
           : ERR_OK;
}

enum err
volume_open (struct daemon *d, const struct requester *who,
             struct control *open,
             const struct volume_hooks *hooks, void *hooks_ctx,
             struct volume **ret, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_volume))) struct volume *v =
      volume_new (d, hooks, hooks_ctx);
  bool foreign = d->host && who->uid != 0;
  unsigned files = 0;
  enum err e;

  if (!v)
    return fault_set (f, ERR_NOMEM, "out of memory");
  v->uid = who->uid;
  if ((v->foreign = foreign)) {
    ev_timer_init (&v->grace, on_grace, 0., 0.);
    v->grace.data = v;
    grace_enter (&d->grace);
  }
  if (take_message (v, open, &files))
    return fault_set (f, ERR_PEER, "the %s message is damaged",
                      control_type_name (open->type));
  volume_spec_name (&v->spec, v->name, sizeof v->name);
  if (foreign
      && ((e = check_files (v, open, files, f))
          || (open->type == CONTROL_ADOPT && (e = check_before (v, f)))))
    return e;
  e = volume_params_take (&v->spec, open, &v->login, v->secret_fd, f);
  if (!e && foreign)
    e = check_known_hosts (&v->login, f);
  /* What a low port means to a server is only root's to say. */
  v->login.from_reserved_port &= who->uid == 0;
  if (!e)
    e = requester_check (who, &v->spec, f);
  if (!e)
    e = make_paths (v, f);
  if (!e && (e = volume_params_for_worker (&v->spec, &v->worker_spec)))
    fault_set (f, e, "too many parameters");
  if (!e && v->login.agent_fd >= 0
      && (e = agent_open (d, v->login.agent_fd, v->uid, foreign, &v->agent)))
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

unsigned
volume_paths (const struct volume *v)
{
  return v->paths;
}

enum err
volume_channel_fds (const struct volume *v, unsigned path,
                    int ret_fd[CHANNEL_FDS])
{
  return channel_fds_for (v->path[path].channel_fd, CHANNEL_SIDE_GATEWAY,
                          ret_fd);
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

enum err
volume_renew_agent (struct volume *v, struct control *m)
{
  int old = v->login.agent_fd;

  if (!v->agent || m->fds != 1 || !foreign_agent (m->fd[0]))
    return ERR_PEER;
  v->login.agent_fd = control_take_fd (m, 0);
  agent_renew (v->agent, v->login.agent_fd);
  closer_close (v->d, v->uid, old);
  return ERR_OK;
}

void
volume_tell_info (struct volume *v, const struct volume_info *info)
{
  if (!v->info.request_max)
    v->info = *info;
}

void
volume_status (const struct volume *v, struct status_gateway *ret)
{
  snprintf (ret->name, sizeof ret->name, "%s", v->name);
  ret->has_info = v->info.request_max != 0;
  ret->info = v->info;
  /* What one session carries has one worker. */
  ret->workers = v->shared ? 1 : v->paths;
  for (unsigned i = 0; i < v->paths; i++)
    if (v->path[i].supervisor) {
      supervisor_status (v->path[i].supervisor, &ret->worker[i]);
      ret->workers = ret->workers > i ? ret->workers : i + 1;
    }
  if (v->member)
    member_status (v->member, ret);
}

enum err
volume_distrust (struct volume *v, unsigned path, uint64_t epoch,
                 const struct fault *why)
{
  if (path >= v->paths)
    return ERR_PEER;
  if (v->path[path].supervisor)
    supervisor_distrust (v->path[path].supervisor, epoch, why);
  return ERR_OK;
}
