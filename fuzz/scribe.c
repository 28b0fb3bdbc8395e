/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes down what unit tests say to an engine, as inputs for drive.c: seeds
 * that reach what no real server does. Linked into a test with
 *
 *   -Wl,--wrap=iscsi_ops,--wrap=nfs_ops,--wrap=sftp_ops
 *
 * so that the test's engine is this one, which passes everything on. One file
 * for each engine that was opened: $FUZZ_SCRIBE/PROTOCOL/TEST-N; without
 * FUZZ_SCRIBE nothing is written.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/proto.h"

#define SCRIBE_BYTES (48u * 1024)
#define START_NS 1000000000ull

extern const struct proto_ops __real_iscsi_ops, __real_nfs_ops,
  __real_sftp_ops;

struct proto {
  const struct proto_ops *ops;
  struct proto *real;
  FILE *out;
  uint64_t now_ns;
  uint8_t *rx; /* the last rx_iov */
  size_t heard_bytes;
  unsigned lane; /* where it was heard */
  uint8_t heard[UINT16_MAX]; /* by the engine, since it last spoke */
  /* while it is opened */
  const struct proto_config *config;
  size_t text_bytes;
  char text[2048];
};

static void
put (struct proto *s, const void *bytes, size_t n)
{
  if (s->out && ftell (s->out) + (long)n < (long)SCRIBE_BYTES)
    fwrite (bytes, 1, n, s->out);
}

static void
put_number (struct proto *s, uint64_t v, unsigned bytes)
{
  while (bytes--)
    put (s, (uint8_t[]){(uint8_t)(v >> (8 * bytes))}, 1);
}

static void
put_heard (struct proto *s)
{
  if (s->heard_bytes) {
    put (s, s->lane ? "s" : "S", 1);
    if (s->lane)
      put_number (s, s->lane, 1);
    put_number (s, s->heard_bytes, 2);
    put (s, s->heard, s->heard_bytes);
  }
  s->heard_bytes = 0;
}

static void
put_event (struct proto *s, char tag)
{
  put_heard (s);
  put (s, &tag, 1);
}

static void
put_time (struct proto *s, uint64_t now_ns)
{
  if (now_ns <= s->now_ns)
    return;
  put_event (s, 'N');
  put_number (s, now_ns - s->now_ns, 8);
  s->now_ns = now_ns;
}

static void
put_short (struct proto *s, const void *bytes, size_t n)
{
  put_number (s, n < 255 ? n : 255, 1);
  put (s, bytes, n < 255 ? n : 255);
}

/* Of the identity page, what is not zero. */
static void
put_identity (struct proto *s, const uint8_t *page)
{
  for (size_t at = 0; page && at < PROTO_IDENTITY_BYTES; at += 128) {
    size_t n = 128;

    while (n && !page[at + n - 1])
      n--;
    if (n) {
      put (s, "I", 1);
      put_number (s, at, 2);
      put_short (s, page + at, n);
    }
  }
}

static const char *
get_param (void *ctx, const char *key)
{
  struct proto *s = ctx;
  const char *value = s->config->get (s->config->ctx, key);
  size_t room = sizeof s->text - s->text_bytes;

  if (value && strlen (key) + strlen (value) + 2 < room)
    s->text_bytes += (size_t)snprintf (s->text + s->text_bytes, room, "%s=%s",
                                       key, value) + 1;
  return value;
}

static void
begin (struct proto *s)
{
  const char *folder = getenv ("FUZZ_SCRIBE");
  static unsigned count; /* a test has one thread */
  char path[4096];

  if (!folder)
    return;
  snprintf (path, sizeof path, "%s/%s/%s-%u", folder, s->ops->name,
            program_invocation_short_name, ++count);
  s->out = fopen (path, "wb");
  if (!s->out)
    perror (path);
}

static void
put_config (struct proto *s, const struct proto_config *c, uint8_t *identity)
{
  put_number (s, 1, 1);
  if (s->text_bytes) {
    put (s, "P", 1);
    put_number (s, s->text_bytes, 2);
    put (s, s->text, s->text_bytes);
  }
  put (s, "Q", 1);
  put (s, c->seed, sizeof c->seed);
  put_number (s, c->connection, 1);
  if (c->lanes > 1 || c->lanes_wanted > 1) {
    put (s, "W", 1);
    put_number (s, c->lanes ? c->lanes - 1 : 0, 1);
    put_number (s, c->lanes_wanted ? c->lanes_wanted - 1 : 0, 1);
  }
  put_identity (s, identity);
  if (c->moved_bytes) {
    put (s, "V", 1);
    put_number (s, c->moved_bytes, 2);
    put (s, c->moved, c->moved_bytes);
  }
}

static enum err
open_it (const struct proto_ops *real, const struct proto_config *config,
         uint64_t now_ns, struct proto **ret, struct fault *f)
{
  struct proto *s = calloc (1, sizeof *s);
  struct proto_config c = *config;
  uint8_t *before = NULL;
  enum err e;

  if (!s)
    return ERR_NOMEM;
  s->ops = real;
  s->config = config;
  s->now_ns = now_ns;
  c.get = get_param;
  c.ctx = s;
  if (c.identity && (before = malloc (PROTO_IDENTITY_BYTES)))
    memcpy (before, c.identity, PROTO_IDENTITY_BYTES);
  begin (s);
  e = real->open (&c, now_ns, &s->real, f);
  put_config (s, config, before);
  free (before);
  if (e) {
    put_number (s, 'T', 1); /* so that it is opened */
    put_number (s, 0, 1);
    if (s->out)
      fclose (s->out);
    free (s);
    return e;
  }
  *ret = s;
  return ERR_OK;
}

static void
close_it (struct proto *s)
{
  put_heard (s);
  if (s->out)
    fclose (s->out);
  s->ops->close (s->real);
  free (s);
}

static enum proto_state
state (const struct proto *s)
{
  return s->ops->state (s->real);
}

static const struct fault *
fault (const struct proto *s)
{
  return s->ops->fault (s->real);
}

static void
info (const struct proto *s, struct volume_info *ret)
{
  s->ops->info (s->real, ret);
}

static enum err
submit (struct proto *s, const struct proto_request *r, uint64_t now_ns)
{
  put_time (s, now_ns);
  put_event (s, 'r');
  put_number (s, (uint64_t)(r->op - IO_READ), 1);
  put_number (s, r->flags, 1);
  put_number (s, r->offset, 8);
  put_number (s, r->length, 4);
  put_number (s, r->tag, 4);
  return s->ops->submit (s->real, r, now_ns);
}

static bool
reap (struct proto *s, struct proto_completion *ret)
{
  bool more = s->ops->reap (s->real, ret);

  if (more)
    put_heard (s);
  return more;
}

static struct iovec
rx_iov (struct proto *s, unsigned lane)
{
  struct iovec v = s->ops->rx_iov (s->real, lane);

  s->rx = v.iov_base;
  return v;
}

static enum err
rx_done (struct proto *s, unsigned lane, size_t n, uint64_t now_ns)
{
  put_time (s, now_ns);
  if (lane != s->lane)
    put_heard (s);
  s->lane = lane;
  for (size_t at = 0; at < n;) {
    size_t k = sizeof s->heard - s->heard_bytes;

    if (k > n - at)
      k = n - at;
    memcpy (s->heard + s->heard_bytes, s->rx + at, k);
    s->heard_bytes += k;
    at += k;
    if (s->heard_bytes == sizeof s->heard)
      put_heard (s);
  }
  return s->ops->rx_done (s->real, lane, n, now_ns);
}

static size_t
tx_iov (struct proto *s, unsigned lane, struct iovec *ret, size_t max)
{
  return s->ops->tx_iov (s->real, lane, ret, max);
}

static void
tx_done (struct proto *s, unsigned lane, size_t n)
{
  put_heard (s);
  s->ops->tx_done (s->real, lane, n);
}

static bool
want (struct proto *s, struct proto_want *ret)
{
  bool asks = s->ops->want (s->real, ret);

  if (asks)
    put_heard (s);
  return asks;
}

static enum err
give (struct proto *s, const struct proto_given *g, uint64_t now_ns)
{
  put_time (s, now_ns);
  put_event (s, 'G');
  put_number (s, (uint64_t)(g->type - PROTO_WANT_CHAP), 1);
  put_number (s, g->error ? 1 : 0, 1);
  put_number (s, g->id, 1);
  put_short (s, g->name, strlen (g->name));
  put_short (s, g->data, g->data_bytes);
  put_short (s, g->challenge, g->challenge_bytes);
  return s->ops->give (s->real, g, now_ns);
}

static void
probe (struct proto *s, uint64_t now_ns)
{
  put_time (s, now_ns);
  put_event (s, 'p');
  s->ops->probe (s->real, now_ns);
}

static bool
probed (struct proto *s, uint64_t *ret_change, uint64_t *ret_size)
{
  return s->ops->probed (s->real, ret_change, ret_size);
}

static void
leave (struct proto *s, uint64_t now_ns)
{
  put_time (s, now_ns);
  put_event (s, 'L');
  s->ops->leave (s->real, now_ns);
}

static bool
say (struct proto *s, char *dst)
{
  return s->ops->say (s->real, dst);
}

static bool
lane_lost (struct proto *s, unsigned lane, uint64_t now_ns)
{
  put_time (s, now_ns);
  put_event (s, 'D');
  put_number (s, lane, 1);
  return s->ops->lane_lost (s->real, lane, now_ns);
}

static void
lost (struct proto *s, uint64_t now_ns)
{
  put_time (s, now_ns);
  put_event (s, 'E');
  s->ops->lost (s->real, now_ns);
}

static size_t
hello (struct proto *s, uint8_t dst[PROTO_HELLO_BYTES])
{
  return s->ops->hello (s->real, dst);
}

/* Only what TLS begins after, or what breaks it. */
static enum err
welcome (const struct proto *s, const uint8_t *bytes, size_t n,
         size_t *ret_more, struct fault *f)
{
  enum err e = s->ops->welcome (s->real, bytes, n, ret_more, f);
  struct proto *out = (struct proto *)(uintptr_t)s;

  if (e != ERR_AGAIN) {
    put_event (out, 'H');
    put_number (out, n, 2);
    put (out, bytes, n);
  }
  return e;
}

static uint64_t
deadline_ns (const struct proto *s)
{
  return s->ops->deadline_ns (s->real);
}

static enum err
tick (struct proto *s, uint64_t now_ns)
{
  put_time (s, now_ns);
  return s->ops->tick (s->real, now_ns);
}

#define PASS_ON(PROTO, ...)                                                   \
  static enum err PROTO##_open (const struct proto_config *c,                 \
                                uint64_t now_ns, struct proto **ret,          \
                                struct fault *f)                              \
  {                                                                           \
    return open_it (&__real_##PROTO##_ops, c, now_ns, ret, f);                \
  }                                                                           \
  extern const struct proto_ops __wrap_##PROTO##_ops;                         \
  const struct proto_ops __wrap_##PROTO##_ops = {                             \
    .name = #PROTO,                                                           \
    .open = PROTO##_open,                                                     \
    .close = close_it,                                                        \
    .state = state,                                                           \
    .fault = fault,                                                           \
    .info = info,                                                             \
    .submit = submit,                                                         \
    .reap = reap,                                                             \
    .rx_iov = rx_iov,                                                         \
    .rx_done = rx_done,                                                       \
    .tx_iov = tx_iov,                                                         \
    .tx_done = tx_done,                                                       \
    .deadline_ns = deadline_ns,                                               \
    .tick = tick,                                                             \
    __VA_ARGS__                                                               \
  }

PASS_ON (iscsi, .transport = PROTO_OVER_TCP, .want = want, .give = give,
         .say = say, .lost = lost, .leave = leave);
PASS_ON (nfs, .transport = PROTO_OVER_TCP, .want = want, .give = give,
         .probe = probe, .probed = probed, .leave = leave,
         .say = say, .lane_lost = lane_lost, .hello = hello,
         .welcome = welcome);
PASS_ON (sftp, .transport = PROTO_OVER_SSH_SUBSYSTEM,
         .ssh_subsystem = "sftp", .probe = probe, .probed = probed);
