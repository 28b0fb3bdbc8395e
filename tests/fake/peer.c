/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/fake/peer_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "ipc/shm.h"
#include "ipc/volume.h"

/* ---- daemon ---- */

static const struct volume_info default_info
  = {.size = PEER_VOLUME_BYTES, .block_min = 1, .block_preferred = 4096,
     .request_max = CHANNEL_CHUNK_BYTES,
     .caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH | VOLUME_CAN_FUA
             | VOLUME_CAN_TRIM | VOLUME_CAN_ZERO | VOLUME_CAN_STATUS};

static void
tell (struct peer_gateway *g, struct control *m, enum control_type type)
{
  struct wirebuf b;

  control_begin (m, type);
  b = control_body (m);
  control_send (g->sock, m, &b, PEER_SECOND);
}

static void
start_worker (struct peer_path *w, struct control *m)
{
  struct peer_gateway *g = w->gateway;
  struct volume_info info = g->peer->info;
  struct wirebuf b;

  MUST (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, w->sock) == 0);
  w->stop = w->died = false;
  w->running = true;
  w->epoch++;
  w->started_ns = clock_now_ns ();
  if (g->peer->readonly_paths & 1u << w->index)
    info.caps &= ~VOLUME_CAN_WRITE;
  w->caps = info.caps;
  snprintf ((char *)w->token, sizeof w->token, "%d.%u.%u",
            (int)(g - g->peer->gateway), w->index, (unsigned)w->epoch);
  MUST (pthread_create (&w->thread, NULL, peer_worker_main, w) == 0);
  control_begin (m, CONTROL_WORKER);
  b = control_body (m);
  wirebuf_u8 (&b, (uint8_t)w->index);
  wirebuf_u64 (&b, w->epoch);
  wirebuf_u32 (&b, 0);
  wirebuf_u8 (&b, g->peer->shared);
  volume_info_put (&b, &info);
  control_add_fd (m, w->sock[0]);
  /* Any fd will do as the network's, and as the pidfd. */
  control_add_fd (m, g->peer->listen_sock);
  control_add_fd (m, g->peer->listen_sock);
  control_send (g->sock, m, &b, PEER_SECOND);
}

static bool
stop_worker (struct peer_path *w)
{
  const struct peer_gateway *g = w->gateway;

  if (!w->running)
    return false;
  w->running = false;
  w->start_ns = clock_now_ns () + g->peer->pause_ns;
  w->stop = true;
  pthread_join (w->thread, NULL);
  close (w->sock[0]);
  close (w->sock[1]);
  return true;
}

static void
tell_gone (struct peer_path *w, struct control *m, bool of_itself)
{
  struct peer_gateway *g = w->gateway;
  struct wirebuf b;
  struct fault f;

  fault_set (&f, ERR_IO, "ended by the test");
  control_begin (m, CONTROL_GONE);
  b = control_body (m);
  wirebuf_u8 (&b, (uint8_t)w->index);
  wirebuf_u64 (&b, w->epoch);
  wirebuf_u8 (&b, of_itself);
  fault_put (&b, &f);
  g->peer->deaths++; /* before anybody can know */
  control_send (g->sock, m, &b, PEER_SECOND);
}

static void
forget (struct peer *p)
{
  pthread_mutex_lock (&p->server_lock);
  disk_restart (&p->disk);
  pthread_mutex_unlock (&p->server_lock);
}

static void
end_worker (struct peer_path *w, struct control *m, bool of_itself)
{
  if (!stop_worker (w) || !m)
    return;
  if (w->gateway->peer->forgets)
    forget (w->gateway->peer);
  tell_gone (w, m, of_itself);
}

/* All sessions end before it forgets; they come back in any order. */
static void
restart_server (struct peer *p, struct control *m)
{
  bool ended[PEER_GATEWAYS][CHANNEL_PATHS] = {0};

  for (unsigned i = 0; i < PEER_GATEWAYS; i++)
    for (unsigned k = 0; k < p->gateway[i].paths; k++)
      ended[i][k] = stop_worker (&p->gateway[i].path[k]);
  forget (p);
  for (unsigned i = 0; i < PEER_GATEWAYS; i++)
    for (unsigned k = 0; k < p->gateway[i].paths; k++)
      if (ended[i][k]) {
        p->gateway[i].path[k].start_ns
          += (uint64_t)rand_r (&p->disk.seed) % 4 * PEER_SECOND / 100;
        tell_gone (&p->gateway[i].path[k], m, false);
      }
}

/* See cache/stripes_file.h. */
static int
open_seat (const struct peer *p)
{
  char path[40];
  int fd;

  snprintf (path, sizeof path, "/proc/self/fd/%d", p->stripes_fd);
  fd = open (path, O_RDWR | O_CLOEXEC);
  MUST (fd >= 0);
  return fd;
}

static void
lock_seat (const struct peer_gateway *g, short type)
{
  struct flock k = {.l_type = type, .l_whence = SEEK_SET,
                    .l_start = STRIPES_LOCK_LEASE, .l_len = 1};

  MUST (fcntl (g->cache_fd[CACHE_STRIPES], F_OFD_SETLK, &k) == 0);
}

static void
send_cache (struct peer_gateway *g, struct control *m)
{
  struct peer *p = g->peer;
  int ro[3];
  struct wirebuf b;

  MUST (!shm_create ("ring", CHANNEL_RING_BYTES,
                     &g->cache_fd[CACHE_FILL_RING]));
  MUST (!shm_create ("arena", FILL_ARENA_BYTES,
                     &g->cache_fd[CACHE_FILL_ARENA]));
  MUST (!shm_create ("answers", CHANNEL_RING_BYTES,
                     &g->cache_fd[CACHE_FILL_ANSWERS]));
  g->cache_fd[CACHE_FILL_WAKE] = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  MUST (!shm_map (g->cache_fd[CACHE_FILL_RING], CHANNEL_RING_BYTES, false,
                  &g->fill_mapped[0]));
  MUST (!shm_map (g->cache_fd[CACHE_FILL_ANSWERS], CHANNEL_RING_BYTES, true,
                  &g->fill_mapped[1]));
  MUST (!shm_map (g->cache_fd[CACHE_FILL_ARENA], FILL_ARENA_BYTES, false,
                  (void **)&g->fill_arena));
  ring_object_reset (g->fill_mapped[1], FILL_EPOCH);
  ring_init (&g->fill_ring, g->fill_mapped[1], g->fill_mapped[0]);
  ring_sleep (&g->fill_ring);

  g->cache_fd[CACHE_STRIPES] = open_seat (p);
  MUST (!shm_reopen_readonly (p->index_fd, &ro[0]));
  MUST (!shm_reopen_readonly (p->pages_fd, &ro[1]));
  MUST (!shm_reopen_readonly (g->cache_fd[CACHE_FILL_ANSWERS], &ro[2]));
  control_begin (m, CONTROL_CACHE);
  b = control_body (m);
  wirebuf_u32 (&b, PEER_SLOTS);
  wirebuf_u32 (&b, PEER_STRIPES);
  wirebuf_u32 (&b, FILL_CHUNKS);
  wirebuf_cstring (&b, "");
  control_add_fd (m, ro[0]);
  control_add_fd (m, ro[1]);
  control_add_fd (m, g->cache_fd[CACHE_STRIPES]);
  control_add_fd (m, g->cache_fd[CACHE_FILL_RING]);
  control_add_fd (m, g->cache_fd[CACHE_FILL_ARENA]);
  control_add_fd (m, ro[2]);
  control_add_fd (m, g->cache_fd[CACHE_FILL_WAKE]);
  control_send (g->sock, m, &b, PEER_SECOND);
  for (int i = 0; i < 3; i++)
    close (ro[i]);
}

static void
send_channel (struct peer_path *w, struct control *m)
{
  struct wirebuf b;
  int out[CHANNEL_FDS];

  control_begin (m, CONTROL_CHANNEL);
  b = control_body (m);
  wirebuf_u8 (&b, (uint8_t)w->index);
  wirebuf_u32 (&b, CHANNEL_SLOTS);
  wirebuf_u32 (&b, CHANNEL_CHUNK_BYTES);
  MUST (!channel_fds_for (w->fd, CHANNEL_SIDE_GATEWAY, out));
  for (int i = 0; i < CHANNEL_FDS; i++)
    control_add_fd (m, out[i]);
  control_send (w->gateway->sock, m, &b, PEER_SECOND);
  channel_close_fds (out);
}

static void
greet (int sock, struct control *m)
{
  struct wirebuf b;

  MUST (!control_recv (sock, m, PEER_SECOND) && m->type == CONTROL_HELLO);
  control_begin (m, CONTROL_HELLO);
  b = control_body (m);
  wirebuf_u32 (&b, CONTROL_VERSION);
  wirebuf_cstring (&b, "test");
  control_send (sock, m, &b, PEER_SECOND);
  MUST (!control_recv (sock, m, PEER_SECOND));
  MUST (m->type == CONTROL_OPEN || m->type == CONTROL_ADOPT);
  control_close (m);
}

static void
take_adopt (struct peer *p, int sock, const struct control *m)
{
  struct wire w = wire_init (m->body, m->length_bytes);

  wire_u8 (&w); /* the lease */
  wire_u8 (&w); /* paths */
  wire_u64 (&w);
  p->adopted_lanes = wire_u8 (&w);
  wire_u32 (&w);
  p->adopted_shared = wire_u8 (&w);
  cleanup_close (&p->adopt_sock);
  p->adopt_sock = sock;
  p->adopts++;
}

static void
hand_over (struct peer_gateway *g, struct control *m)
{
  for (unsigned i = 0; i < g->paths; i++)
    send_channel (&g->path[i], m);
  send_cache (g, m);
}

static void
make_path (struct peer_gateway *g, unsigned i)
{
  struct peer_path *w = &g->path[i];
  int *wake = &w->fd[CHANNEL_WAKE_GATEWAY];

  w->gateway = g;
  w->index = i;
  MUST (!channel_create (w->fd));
  if (i > 0) {
    close (*wake);
    *wake = fcntl (g->path[0].fd[CHANNEL_WAKE_GATEWAY], F_DUPFD_CLOEXEC, 0);
  }
  MUST (!channel_map (&w->view, CHANNEL_SIDE_WORKER, w->fd));
}

static void
connected (struct peer *p, struct control *m)
{
  int sock = accept (p->listen_sock, NULL, NULL);
  struct peer_gateway *g = &p->gateway[p->gateways];

  MUST (sock >= 0 && p->gateways < PEER_GATEWAYS);
  greet (sock, m);
  if (m->type == CONTROL_ADOPT) {
    take_adopt (p, sock, m);
    return;
  }
  if (p->drops) {
    p->drops--;
    close (sock);
    return;
  }
  p->gateways++;
  g->peer = p;
  g->sock = sock;
  g->connected = true;
  g->paths = p->paths;
  for (unsigned i = 0; i < g->paths; i++)
    make_path (g, i);
  hand_over (g, m);
  for (unsigned i = 0; i < g->paths; i++)
    start_worker (&g->path[i], m);
}

/* The lease: first come, first served. */
static void
next_holder (struct peer *p, struct control *m)
{
  for (int i = 0; i < PEER_GATEWAYS && p->holder < 0; i++)
    if (p->waiting & 1u << i) {
      p->waiting &= ~(1u << i);
      p->holder = i;
      p->revoking = false;
      p->grants++;
      lock_seat (&p->gateway[i], F_WRLCK);
      tell (&p->gateway[i], m, CONTROL_LEASE_GRANT);
    }
  if (p->waiting && p->holder >= 0 && !p->revoking) {
    p->revoking = true;
    tell (&p->gateway[p->holder], m, CONTROL_LEASE_REVOKE);
  }
}

static void
disconnected (struct peer *p, struct peer_gateway *g, struct control *m)
{
  int i = (int)(g - p->gateway);

  for (unsigned k = 0; k < g->paths; k++)
    end_worker (&g->path[k], NULL, false);
  g->connected = false;
  p->waiting &= ~(1u << i);
  if (p->holder == i) {
    p->settled += stripes_settle (&p->map);
    p->holder = -1;
    lock_seat (g, F_UNLCK);
  }
  if (m)
    next_holder (p, m);
  close (g->sock);
  for (unsigned k = 0; k < g->paths; k++) {
    channel_unmap (&g->path[k].view);
    channel_close_fds (g->path[k].fd);
  }
  shm_unmap (g->fill_mapped[0], CHANNEL_RING_BYTES);
  shm_unmap (g->fill_mapped[1], CHANNEL_RING_BYTES);
  shm_unmap (g->fill_arena, FILL_ARENA_BYTES);
  for (int k = CACHE_STRIPES; k < CACHE_FDS; k++)
    close (g->cache_fd[k]);
}

static void
distrusted (struct peer_gateway *g, struct control *m)
{
  struct wire b = wire_init (m->body, m->length_bytes);
  unsigned path = wire_u8 (&b);
  uint64_t epoch = wire_u64 (&b);
  struct peer_path *w = &g->path[path];

  MUST (path < g->paths);
  if (epoch != w->epoch || !w->running) /* it has gone already */
    return;
  g->peer->distrusted++;
  end_worker (w, m, false);
}

static void
keep_stats (struct peer *p, int fd)
{
  int old = atomic_exchange (&p->stats_fd, fd);

  cleanup_close (&old);
}

static void
take_message (struct peer_gateway *g, struct control *m)
{
  struct peer *p = g->peer;
  int i = (int)(g - p->gateway);
  enum err e = control_recv (g->sock, m, 0);

  if (e == ERR_AGAIN)
    return;
  if (e) {
    disconnected (p, g, m);
    return;
  }
  switch (m->type) {
  case CONTROL_DISTRUST:
    distrusted (g, m);
    break;
  case CONTROL_LEASE_WANT:
    p->waiting |= 1u << i;
    next_holder (p, m);
    break;
  case CONTROL_LEASE_RETURN:
    MUST (p->holder == i);
    p->holder = -1;
    lock_seat (g, F_UNLCK);
    next_holder (p, m);
    break;
  default:
    MUST (m->type == CONTROL_ATTACH);
    MUST (m->fds == 1);
    keep_stats (p, control_take_fd (m, 0));
  }
}

static void
take_fills (struct peer_gateway *g)
{
  struct peer *p = g->peer;
  uint64_t first, count;
  uint32_t pages;
  const uint8_t *chunk;
  ssize_t ignored = read (g->cache_fd[CACHE_FILL_WAKE], &count, sizeof count);

  (void)ignored;
  ring_awake (&g->fill_ring);
  do {
    while (!fill_take (&g->fill_ring, g->fill_arena, &first, &pages, &chunk))
      for (uint32_t i = 0; i < pages; i++) {
        uint8_t page[PAGE_BYTES];

        if (fill_version (chunk, i) == PAGE_NONE)
          continue;
        memcpy (page, chunk + (size_t)PAGE_BYTES * (1 + i), PAGE_BYTES);
        store_insert (&p->store, first + i, fill_version (chunk, i), page);
      }
  } while (!ring_sleep (&g->fill_ring));
}

static void
look_after (struct peer_path *w, struct control *m)
{
  struct peer *p = w->gateway->peer;
  bool old = mischief_of (w) == PEER_DIES
             && clock_now_ns () - w->started_ns > p->life_ns;
  unsigned kills = p->kills;

  old |= (p->kill_paths & 1u << w->index) != 0;
  if (w->running && (old || w->died || w->kills_seen != kills))
    end_worker (w, m, w->died);
  p->kill_paths &= ~(1u << w->index);
  w->kills_seen = kills;
  if (!w->running && !p->hold
      && !(p->hold_gateways & 1u << (w->gateway - p->gateway))
      && clock_now_ns () >= w->start_ns)
    start_worker (w, m);
}

static void
expel (struct peer_gateway *g, struct control *m)
{
  struct wirebuf b;
  struct fault f;

  g->peer->expel = false;
  fault_set (&f, ERR_IO, "the test gives it up");
  control_begin (m, CONTROL_FAULT);
  b = control_body (m);
  fault_put (&b, &f);
  control_send (g->sock, m, &b, PEER_SECOND);
}

static void *
daemon_main (void *arg)
{
  struct peer *p = arg;
  struct control *m = calloc (1, sizeof *m);

  while (!p->over) {
    struct pollfd fds[1 + 2 * PEER_GATEWAYS];

    fds[0] = (struct pollfd){p->listen_sock, POLLIN, 0};
    for (unsigned i = 0; i < PEER_GATEWAYS; i++) {
      struct peer_gateway *g = &p->gateway[i];

      fds[1 + 2 * i]
        = (struct pollfd){g->connected ? g->sock : -1, POLLIN, 0};
      fds[2 + 2 * i] = (struct pollfd){
        g->connected ? g->cache_fd[CACHE_FILL_WAKE] : -1, POLLIN, 0};
    }
    poll (fds, 1 + 2 * PEER_GATEWAYS, 5);
    if (fds[0].revents)
      connected (p, m);
    if (p->expel)
      expel (&p->gateway[0], m);
    if (p->restarts) {
      p->restarts--;
      restart_server (p, m);
    }
    for (unsigned i = 0; i < PEER_GATEWAYS; i++) {
      struct peer_gateway *g = &p->gateway[i];

      if (g->connected && fds[2 + 2 * i].revents)
        take_fills (g);
      if (g->connected && fds[1 + 2 * i].revents)
        take_message (g, m);
      for (unsigned k = 0; g->connected && k < g->paths; k++)
        look_after (&g->path[k], m);
    }
  }
  for (unsigned i = 0; i < PEER_GATEWAYS; i++)
    if (p->gateway[i].connected)
      disconnected (p, &p->gateway[i], NULL);
  free (m);
  return NULL;
}

static void
make_cache (struct peer *p)
{
  size_t index_bytes = pages_index_bytes (PEER_SLOTS);
  size_t data_bytes = (size_t)PEER_SLOTS * PAGE_BYTES;

  MUST (!shm_create ("index", index_bytes, &p->index_fd));
  MUST (!shm_create ("pages", data_bytes, &p->pages_fd));
  MUST (!shm_create ("stripes", stripes_bytes (PEER_STRIPES),
                     &p->stripes_fd));
  MUST (!shm_map (p->index_fd, index_bytes, true, &p->index));
  MUST (!shm_map (p->pages_fd, data_bytes, true, &p->pages));
  MUST (!shm_map (p->stripes_fd, stripes_bytes (PEER_STRIPES), true,
                  (void **)&p->stripes));
  stripes_format (p->stripes, PEER_STRIPES);
  MUST (!stripes_open (p->stripes, stripes_bytes (PEER_STRIPES), &p->map));
  MUST (!store_init (&p->store, p->index, p->pages, PEER_SLOTS));
}

void
peer_start (struct peer *p, enum peer_mischief mischief)
{
  struct sockaddr_un sa = {.sun_family = AF_UNIX};

  memset (p, 0, sizeof *p);
  p->mischief = mischief;
  p->life_ns = PEER_SECOND / 50;
  p->stats_fd = p->adopt_sock = -1;
  p->holder = -1;
  p->paths = 1;
  p->bad_paths = ~0u;
  p->late_gateways = ~0u;
  p->info = default_info;
  disk_init (&p->disk, PEER_VOLUME_BYTES);
  pthread_mutex_init (&p->server_lock, NULL);
  make_cache (p);
  snprintf (p->dir, sizeof p->dir, "/tmp/bh-peer-XXXXXX");
  MUST (mkdtemp (p->dir));
  setenv ("BULKHEAD_RUNTIME_DIR", p->dir, 1);
  snprintf (sa.sun_path, sizeof sa.sun_path, "%s/bulkheadd.sock", p->dir);
  p->listen_sock = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  MUST (bind (p->listen_sock, (struct sockaddr *)&sa, sizeof sa) == 0);
  MUST (listen (p->listen_sock, PEER_GATEWAYS) == 0);
  MUST (pthread_create (&p->daemon, NULL, daemon_main, p) == 0);
}

void
peer_end (struct peer *p)
{
  static const char *const left[] = {"sock", "lock", "ties"};
  char path[128];

  p->over = true;
  pthread_join (p->daemon, NULL);
  keep_stats (p, -1);
  cleanup_close (&p->adopt_sock);
  close (p->listen_sock);
  store_fini (&p->store);
  shm_unmap (p->index, pages_index_bytes (PEER_SLOTS));
  shm_unmap (p->pages, (size_t)PEER_SLOTS * PAGE_BYTES);
  shm_unmap (p->stripes, stripes_bytes (PEER_STRIPES));
  close (p->index_fd);
  close (p->pages_fd);
  close (p->stripes_fd);
  disk_fini (&p->disk);
  for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
    snprintf (path, sizeof path, "%s/bulkheadd.%s", p->dir, left[i]);
    unlink (path);
  }
  MUST (rmdir (p->dir) == 0);
}

static bool
holds (struct peer *p, const uint8_t *disk, const void *bytes, uint64_t n)
{
  bool same;

  pthread_mutex_lock (&p->server_lock);
  same = memcmp (disk, bytes, n) == 0;
  pthread_mutex_unlock (&p->server_lock);
  return same;
}

bool
peer_serves (struct peer *p, const void *bytes, uint64_t offset, uint64_t n)
{
  return holds (p, p->disk.bytes + offset, bytes, n);
}

bool
peer_keeps (struct peer *p, const void *bytes, uint64_t offset, uint64_t n)
{
  return holds (p, p->disk.stable + offset, bytes, n);
}

void
peer_fill (struct peer *p, uint8_t byte, uint64_t offset, uint64_t n)
{
  pthread_mutex_lock (&p->server_lock);
  memset (p->disk.bytes + offset, byte, n);
  pthread_mutex_unlock (&p->server_lock);
}
