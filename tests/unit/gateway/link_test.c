/* SPDX-License-Identifier: BSD-2-Clause */
/* The link with many threads against a daemon and a worker that run as threads
 * of this program: workers die in the middle of it, answer in any order, or
 * break the rules of the rings. Also what ThreadSanitizer is run on.
 */
#include "config.h"
#include "gateway/link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/control.h"
#include "tests/unit/unit.h"

#define SECOND 1000000000ull
#define VOLUME_BYTES (8u << 20)
#define THREADS 8
#define REGION_BYTES (VOLUME_BYTES / THREADS)

enum mischief { HONEST, DIES, FORGED_ID, FORGED_TAIL, FORGED_HEAD, TWICE,
                SILENT };

static struct peer {
  enum mischief mischief;
  int listen_sock;
  int gateway_sock;
  int fd[CHANNEL_FDS];
  struct channel daemon_view; /* the worker's rights suffice */
  uint8_t *store;
  pthread_t daemon, worker;
  int worker_sock[2];
  _Atomic bool worker_stop, test_over;
  _Atomic unsigned deaths, distrusted, served;
} peer;

/* ---- worker ---- */

static void
serve (const struct ring_request *r)
{
  uint8_t *rd = peer.daemon_view.base[CHANNEL_READ_ARENA];
  const uint8_t *wr = peer.daemon_view.base[CHANNEL_WRITE_ARENA];

  if (r->op == IO_READ)
    memcpy (rd + r->arena_offset, peer.store + r->offset, r->length);
  if (r->op == IO_WRITE)
    memcpy (peer.store + r->offset, wr + r->arena_offset, r->length);
}

static void
answer (struct ring *ring, uint64_t id, uint32_t length)
{
  union ring_entry e = {.completion = {.id = id, .length = length}};

  ring_push (ring, &e);
  peer.served++;
}

static void
misbehave (struct ring *ring, uint64_t id, uint32_t length)
{
  uint64_t one = 1;
  ssize_t ignored = 0;

  (void)ignored;
  switch (peer.mischief) {
  case FORGED_ID:
    answer (ring, id ^ 1ull << 40, length);
    break;
  case FORGED_TAIL:
    atomic_store (&ring->mine->tail, ring->tail + 1000);
    while (!peer.worker_stop) { /* an honest push would mend it */
      ignored = write (peer.fd[CHANNEL_WAKE_GATEWAY], &one, sizeof one);
      poll (NULL, 0, 1);
    }
    break;
  case FORGED_HEAD:
    atomic_store (&ring->mine->head, ring->head - 1000);
    answer (ring, id, length);
    if (ring_wake_needed (ring))
      ignored = write (peer.fd[CHANNEL_WAKE_GATEWAY], &one, sizeof one);
    poll (NULL, 0, 5); /* until somebody has pushed against it */
    break;
  case TWICE:
    answer (ring, id, length);
    answer (ring, id, length);
    break;
  default:
    answer (ring, id, length);
  }
}

static bool
worker_turn (struct ring *ring, struct ring_request *held, unsigned *n)
{
  union ring_entry e;
  bool worked = false;

  while (*n < RING_ENTRIES && ring_pop (ring, &e) == ERR_OK) {
    held[(*n)++] = e.request;
    worked = true;
  }
  /* In any order; sometimes some are kept for the next turn. */
  while (*n && rand () % 8) {
    unsigned i = (unsigned)rand () % *n;
    struct ring_request r = held[i];

    held[i] = held[--*n];
    serve (&r);
    if (rand () % 50 == 0)
      misbehave (ring, r.id, r.op == IO_READ ? r.length : 0);
    else
      answer (ring, r.id, r.op == IO_READ ? r.length : 0);
    worked = true;
  }
  return worked || *n;
}

static void *
worker_main (void *arg)
{
  static struct control m;
  static struct ring_request held[RING_ENTRIES];
  unsigned n = 0;
  struct ring ring;
  uint64_t one = 1, count;
  ssize_t ignored;

  (void)arg;
  while (control_recv (peer.worker_sock[1], &m, SECOND / 100))
    if (peer.worker_stop)
      return NULL;
  ring_object_reset (peer.daemon_view.base[CHANNEL_COMPLETIONS],
                     wire_u64 (&(struct wire){m.body, m.body + 8, ERR_OK}));
  ring_init (&ring, peer.daemon_view.base[CHANNEL_COMPLETIONS],
             peer.daemon_view.base[CHANNEL_REQUESTS]);
  while (!peer.worker_stop) {
    struct pollfd p = {.fd = peer.fd[CHANNEL_WAKE_WORKER], .events = POLLIN};

    if (peer.mischief != SILENT && worker_turn (&ring, held, &n)) {
      if (ring_wake_needed (&ring))
        ignored = write (peer.fd[CHANNEL_WAKE_GATEWAY], &one, sizeof one);
      continue;
    }
    if (!ring_sleep (&ring))
      continue;
    poll (&p, 1, 20);
    ring_awake (&ring);
    ignored = read (peer.fd[CHANNEL_WAKE_WORKER], &count, sizeof count);
  }
  (void)ignored;
  return NULL;
}

/* ---- daemon ---- */

static const struct volume_info info = {
  .size = VOLUME_BYTES, .block_min = 1, .block_preferred = 4096,
  .request_max = CHANNEL_CHUNK_BYTES,
  .caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH | VOLUME_CAN_FUA};

static void
start_worker (struct control *m, uint64_t epoch)
{
  struct wirebuf b;

  CU_ASSERT_EQUAL_FATAL (
    socketpair (AF_UNIX, SOCK_SEQPACKET, 0, peer.worker_sock), 0);
  peer.worker_stop = false;
  pthread_create (&peer.worker, NULL, worker_main, NULL);
  control_begin (m, CONTROL_WORKER);
  b = control_body (m);
  wirebuf_u64 (&b, epoch);
  volume_info_put (&b, &info);
  control_add_fd (m, peer.worker_sock[0]);
  control_add_fd (m, peer.listen_sock); /* any fd will do as the network's */
  control_send (peer.gateway_sock, m, &b, SECOND);
}

static void
end_worker (struct control *m, uint64_t epoch)
{
  struct wirebuf b;
  struct fault f;

  peer.worker_stop = true;
  pthread_join (peer.worker, NULL);
  close (peer.worker_sock[0]);
  close (peer.worker_sock[1]);
  if (peer.test_over)
    return;
  fault_set (&f, ERR_IO, "killed by the test");
  control_begin (m, CONTROL_GONE);
  b = control_body (m);
  wirebuf_u64 (&b, epoch);
  fault_put (&b, &f);
  control_send (peer.gateway_sock, m, &b, SECOND);
  peer.deaths++;
}

static void
greet (struct control *m)
{
  struct wirebuf b;
  int out[CHANNEL_FDS];

  CU_ASSERT_EQUAL_FATAL (control_recv (peer.gateway_sock, m, SECOND), ERR_OK);
  CU_ASSERT_EQUAL (m->type, CONTROL_HELLO);
  control_begin (m, CONTROL_HELLO);
  b = control_body (m);
  wirebuf_u32 (&b, CONTROL_VERSION);
  wirebuf_cstring (&b, "test");
  control_send (peer.gateway_sock, m, &b, SECOND);
  CU_ASSERT_EQUAL_FATAL (control_recv (peer.gateway_sock, m, SECOND), ERR_OK);
  CU_ASSERT_EQUAL (m->type, CONTROL_OPEN);
  control_close (m);
  control_begin (m, CONTROL_CHANNEL);
  b = control_body (m);
  wirebuf_u32 (&b, CHANNEL_SLOTS);
  wirebuf_u32 (&b, CHANNEL_CHUNK_BYTES);
  channel_fds_for (peer.fd, CHANNEL_SIDE_GATEWAY, out);
  for (int i = 0; i < CHANNEL_FDS; i++)
    control_add_fd (m, out[i]);
  control_send (peer.gateway_sock, m, &b, SECOND);
  channel_close_fds (out);
}

static void *
daemon_main (void *arg)
{
  static struct control m;
  uint64_t epoch = 1;

  (void)arg;
  peer.gateway_sock = accept (peer.listen_sock, NULL, NULL);
  greet (&m);
  start_worker (&m, epoch);
  while (!peer.test_over) {
    uint64_t timeout = peer.mischief == DIES ? SECOND / 50 : SECOND / 5;
    enum err e = control_recv (peer.gateway_sock, &m, timeout);
    bool replace = peer.mischief == DIES && e == ERR_TIMEOUT;

    if (e == ERR_OK && m.type == CONTROL_DISTRUST) {
      peer.distrusted++;
      replace = true;
    }
    if (e != ERR_OK && e != ERR_TIMEOUT)
      break;
    if (!replace)
      continue;
    end_worker (&m, epoch);
    start_worker (&m, ++epoch);
  }
  peer.test_over = true;
  end_worker (&m, epoch);
  return NULL;
}

static void
peer_start (enum mischief mischief)
{
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  char dir[] = "/tmp/bh-link-XXXXXX";

  memset (&peer, 0, sizeof peer);
  peer.mischief = mischief;
  peer.store = calloc (1, VOLUME_BYTES);
  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (dir));
  setenv ("BULKHEAD_RUNTIME_DIR", dir, 1);
  snprintf (sa.sun_path, sizeof sa.sun_path, "%s/bulkheadd.sock", dir);
  peer.listen_sock = socket (AF_UNIX, SOCK_SEQPACKET, 0);
  CU_ASSERT_EQUAL_FATAL (
    bind (peer.listen_sock, (struct sockaddr *)&sa, sizeof sa), 0);
  listen (peer.listen_sock, 1);
  CU_ASSERT_EQUAL_FATAL (channel_create (peer.fd), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (
    channel_map (&peer.daemon_view, CHANNEL_SIDE_WORKER, peer.fd), ERR_OK);
  pthread_create (&peer.daemon, NULL, daemon_main, NULL);
}

static void
peer_end (void)
{
  char path[300];
  const char *dir = getenv ("BULKHEAD_RUNTIME_DIR");

  peer.test_over = true;
  pthread_join (peer.daemon, NULL);
  close (peer.gateway_sock);
  close (peer.listen_sock);
  channel_unmap (&peer.daemon_view);
  channel_close_fds (peer.fd);
  free (peer.store);
  snprintf (path, sizeof path, "%s/bulkheadd.sock", dir);
  unlink (path);
  snprintf (path, sizeof path, "%s/bulkheadd.lock", dir);
  unlink (path);
  rmdir (dir);
}

/* ---- clients ---- */

static _Atomic bool stop_waiting;

static bool
interrupted (void)
{
  return stop_waiting;
}

static struct link *
open_link (void)
{
  static struct volume_spec spec;
  static const struct log quiet;
  static const struct link_options options
    = {.cached = true, .outage_fail_ns = UINT64_MAX,
       .request_ns = 30 * SECOND};
  struct link *l = NULL;
  struct fault f = {0};

  stop_waiting = false;
  memset (&spec, 0, sizeof spec);
  snprintf (spec.proto, sizeof spec.proto, "sftp");
  CU_ASSERT_EQUAL_FATAL (
    link_open (&spec, NULL, 0, &options, &quiet, interrupted, &l, &f), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (link_start (l, &f), ERR_OK);
  CU_ASSERT_EQUAL (link_info (l)->size, VOLUME_BYTES);
  return l;
}

struct client {
  struct link *link;
  unsigned index;
  unsigned ops, errors, wrong;
};

/* One thread, its own region: what it reads is what it wrote last. */
static void *
client_main (void *arg)
{
  struct client *c = arg;
  uint8_t *model = calloc (1, REGION_BYTES);
  uint8_t *buf = malloc (REGION_BYTES);
  unsigned seed = c->index;
  struct timespec end, now;

  clock_gettime (CLOCK_MONOTONIC, &end);
  end.tv_sec += 1;
  do {
    uint32_t n = rand_r (&seed) % 16 ? 1 + (uint32_t)rand_r (&seed) % 9000
                                     : REGION_BYTES / 2;
    uint32_t at = (uint32_t)rand_r (&seed) % (REGION_BYTES - n + 1);
    uint64_t offset = (uint64_t)c->index * REGION_BYTES + at;
    int r;

    switch (rand_r (&seed) % 4) {
    case 0:
      r = link_plain (c->link, IO_FLUSH, 0, 0, 0);
      break;
    case 1:
      memset (model + at, rand_r (&seed), n);
      r = link_write (c->link, model + at, n, offset, 0);
      break;
    default:
      r = link_read (c->link, buf, n, offset);
      if (r == 0 && memcmp (buf, model + at, n) != 0)
        c->wrong++;
    }
    c->errors += r != 0;
    c->ops++;
    clock_gettime (CLOCK_MONOTONIC, &now);
  } while (now.tv_sec < end.tv_sec
           || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
  free (model);
  free (buf);
  return NULL;
}

static unsigned
hammer (enum mischief mischief)
{
  struct client clients[THREADS] = {0};
  pthread_t threads[THREADS];
  unsigned ops = 0;
  struct link *l;

  peer_start (mischief);
  l = open_link ();
  for (unsigned i = 0; i < THREADS; i++) {
    clients[i] = (struct client){.link = l, .index = i};
    pthread_create (&threads[i], NULL, client_main, &clients[i]);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join (threads[i], NULL);
    CU_ASSERT_EQUAL (clients[i].errors, 0);
    CU_ASSERT_EQUAL (clients[i].wrong, 0);
    ops += clients[i].ops;
  }
  printf (" %u ops, %u deaths, %u distrusted ", ops, peer.deaths,
          peer.distrusted);
  CU_ASSERT (ops > THREADS);
  peer.test_over = true;
  link_close (l);
  peer_end ();
  return ops;
}

static void
honest_worker (void)
{
  hammer (HONEST);
  CU_ASSERT_EQUAL (peer.distrusted, 0);
}

static void
workers_that_die_lose_nothing (void)
{
  hammer (DIES);
  CU_ASSERT (peer.deaths >= 10);
  CU_ASSERT_EQUAL (peer.distrusted, 0);
}

static void
hostile_workers_are_replaced (void)
{
  static const enum mischief kinds[]
    = {FORGED_ID, FORGED_TAIL, FORGED_HEAD, TWICE};

  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    hammer (kinds[i]);
    CU_ASSERT (peer.distrusted >= 1);
  }
}

static void *
waits_in_vain (void *arg)
{
  uint8_t buf[1000];

  CU_ASSERT_EQUAL (link_read (arg, buf, sizeof buf, 0), ESHUTDOWN);
  return NULL;
}

/* nbdkit is told to end while a server is silent: every wait ends at once. */
static void
shutdown_ends_all_waits (void)
{
  pthread_t threads[200];
  struct timespec before, after;
  struct link *l;

  peer_start (SILENT);
  l = open_link ();
  for (size_t i = 0; i < 200; i++) /* more than there are slots */
    pthread_create (&threads[i], NULL, waits_in_vain, l);
  clock_gettime (CLOCK_MONOTONIC, &before);
  stop_waiting = true;
  for (size_t i = 0; i < 200; i++)
    pthread_join (threads[i], NULL);
  clock_gettime (CLOCK_MONOTONIC, &after);
  CU_ASSERT (after.tv_sec - before.tv_sec <= 5);
  peer.test_over = true;
  link_close (l);
  peer_end ();
}

UNIT_MAIN ("link", UNIT_TEST (honest_worker),
           UNIT_TEST (workers_that_die_lose_nothing),
           UNIT_TEST (hostile_workers_are_replaced),
           UNIT_TEST (shutdown_ends_all_waits))
