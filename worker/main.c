/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-worker: one remote session. Started by bulkheadd with the fds of
 * sandbox/fds.h and no arguments; see the order in main.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/fds.h"
#include "sandbox/sandbox.h"
#include "worker/loop.h"
#include "worker/warmup.h"

#define NS_PER_S 1000000000ull
#define CONFIG_TIMEOUT_NS (10 * NS_PER_S)

struct worker {
  struct broker broker;
  struct broker_config config;
  struct channel channel;
  struct proto *proto;
  struct transport *transport[PROTO_LANES_MAX];
  struct loop loop;
  size_t hello_bytes;
  uint8_t hello[PROTO_HELLO_BYTES];
};

static enum err
map_channel (struct worker *w, struct fault *f)
{
  int fd[CHANNEL_FDS];
  enum err e;

  for (int i = 0; i <= CHANNEL_IDENTITY; i++)
    fd[i] = WORKER_FD_OBJECTS + i;
  fd[CHANNEL_WAKE_WORKER] = WORKER_FD_WAKE_WORKER;
  fd[CHANNEL_WAKE_GATEWAY] = WORKER_FD_WAKE_GATEWAY;
  e = channel_map (&w->channel, CHANNEL_SIDE_WORKER, fd);
  for (int i = 0; i <= CHANNEL_IDENTITY; i++)
    close (fd[i]);
  return e ? fault_set (f, e, "cannot map the channel: %s", err_text (e))
           : ERR_OK;
}

static const char *
get_param (void *ctx, const char *key)
{
  return volume_spec_get (ctx, key);
}

static enum err
open_engine (struct worker *w, struct fault *f)
{
  struct proto_config c = {.get = get_param, .ctx = &w->config.spec,
                           .connection = w->config.path,
                           .lanes = w->config.lanes,
                           .lanes_wanted = w->config.lanes_wanted,
                           .identity = w->channel.base[CHANNEL_IDENTITY],
                           .moved = w->config.moved,
                           .moved_bytes = w->config.moved_bytes};

  if (getrandom (c.seed, sizeof c.seed, 0) != (ssize_t)sizeof c.seed)
    return fault_set (f, ERR_IO, "no random numbers");
  return w->loop.ops->open (&c, clock_now_ns (), &w->proto, f);
}

/* Never less than the user asked for: an engine that cannot begin TLS is none,
 * where that is wanted.
 */
static enum err
choose_transport (struct worker *w, enum proto_transport *ret, struct fault *f)
{
  const struct proto_ops *ops = w->loop.ops;

  *ret = ops->transport;
  if (!w->config.tls)
    return ERR_OK;
  if (!ops->hello)
    return fault_set (f, ERR_NOTSUP, "%s has no TLS here", ops->name);
  w->hello_bytes = ops->hello (w->proto, w->hello);
  if (w->hello_bytes)
    *ret = PROTO_OVER_TLS;
  return ERR_OK;
}

static enum err
open_transports (struct worker *w, enum proto_transport kind, struct fault *f)
{
  const char *user = volume_spec_get (&w->config.spec, "user");
  const char *alpn = volume_spec_get (&w->config.spec, "tls-alpn");
  struct transport_config c = {
    .broker = &w->broker,
    .user = user,
    .hostkey_algs = w->config.hostkey_algs,
    .subsystem = w->loop.ops->ssh_subsystem,
    .ops = w->loop.ops,
    .proto = w->proto,
    .hello = w->hello,
    .hello_bytes = w->hello_bytes,
    .tls_name = w->config.tls_name,
    .trust_fd = WORKER_FD_TRUST,
    .tls_chain = w->config.tls_chain,
    .tls_any_alpn = alpn && strcmp (alpn, "no") == 0,
  };

  w->loop.transport_ops = transport_find (kind);
  if (!w->loop.transport_ops)
    return fault_set (f, ERR_NOTSUP, "%s has no transport here",
                      w->loop.ops->name);
  if (kind == PROTO_OVER_SSH_SUBSYSTEM
      && (!user || !user[0]))
    return fault_set (f, ERR_INVAL, "no user name for the server");
  for (unsigned i = 0; i < w->config.lanes; i++) {
    enum err e;

    c.fd = WORKER_FD_NET + (int)i;
    if ((e = w->loop.transport_ops->open (&c, &w->transport[i], f)))
      return e;
  }
  return ERR_OK;
}

/* Everything that needs files, odd system calls or trust in the network's
 * silence.
 */
static enum err
prepare (struct worker *w, struct fault *f)
{
  enum proto_transport kind;
  enum err e;

  if ((e = map_channel (w, f))
      || (e = broker_config (&w->broker, &w->config,
                             clock_now_ns () + CONFIG_TIMEOUT_NS, f)))
    return e;
  w->loop.ops = proto_find (w->config.spec.proto);
  if (!w->loop.ops)
    return fault_set (f, ERR_NOTSUP, "this worker has no protocol \"%s\"",
                      w->config.spec.proto);
  if ((e = warmup (w->loop.ops->transport, f)) || (e = open_engine (w, f))
      || (e = choose_transport (w, &kind, f)))
    return e;
  return open_transports (w, kind, f);
}

static enum err
seal (struct worker *w, struct fault *f)
{
  struct ring_object *mine = channel_ring (&w->channel, CHANNEL_COMPLETIONS);
  uint32_t layers = 0;
  enum err e = sbx_seal (w->loop.transport_ops->profile,
                         &mine->refused_syscall, &layers, f);

  return e ? e : broker_sealed (&w->broker, layers, f);
}

/* A lane but the first that does not come up is one that was lost at once. */
static enum err
start_transports (struct worker *w, struct fault *f)
{
  struct loop *l = &w->loop;

  for (unsigned i = 0; i < l->lanes; i++) {
    enum err e = l->transport_ops->start (w->transport[i], &l->deadline_ns, f);

    if (e && (i == 0 || !l->ops->lane_lost
              || !l->ops->lane_lost (w->proto, i, clock_now_ns ())))
      return e;
    if (!e)
      l->transport[i] = steal (&w->transport[i]);
  }
  return ERR_OK;
}

static enum err
serve (struct worker *w, struct fault *f)
{
  struct loop *l = &w->loop;
  enum err e;

  l->deadline_ns = clock_now_ns () + PROTO_START_NS;
  l->proto = w->proto;
  l->lanes = w->config.lanes;
  if ((e = start_transports (w, f)))
    return e;
  /* By SSH or TLS who is there has been heard, whatever comes of it now. */
  l->heard = l->transport_ops->profile != SBX_WORKER;
  l->broker = &w->broker;
  l->channel = &w->channel;
  l->epoch = w->config.epoch;
  l->daemon_fd = WORKER_FD_DAEMON;
  l->gateway_fd = WORKER_FD_GATEWAY;
  l->net_fd = WORKER_FD_NET;
  l->wake_worker_fd = WORKER_FD_WAKE_WORKER;
  l->wake_gateway_fd = WORKER_FD_WAKE_GATEWAY;
  return loop_run (l, f);
}

static bool
started_by_daemon (int argc)
{
  struct stat st;

  return argc == 1 && fstat (WORKER_FD_DAEMON, &st) == 0
         && S_ISSOCK (st.st_mode);
}

int
main (int argc, char **argv)
{
  static struct worker w; /* large */
  struct fault f = {0};
  enum err e;

  (void)argv;
  if (!started_by_daemon (argc)) {
    fputs ("bulkhead-worker is started by bulkheadd, not by hand\n", stderr);
    return EXIT_FAILURE;
  }
  w.broker.fd = WORKER_FD_DAEMON;
  if ((e = prepare (&w, &f)) || (e = seal (&w, &f)) || (e = serve (&w, &f)))
    broker_fail (&w.broker, &f);
  for (unsigned i = 0; i < PROTO_LANES_MAX; i++) {
    if (w.transport[i])
      w.loop.transport_ops->close (w.transport[i]);
    if (w.loop.transport[i])
      w.loop.transport_ops->close (w.loop.transport[i]);
  }
  if (w.proto)
    w.loop.ops->close (w.proto);
  /* No exit handlers: they would make calls that the sandbox refuses. */
  _exit (e ? EXIT_FAILURE : EXIT_SUCCESS);
}
