/* SPDX-License-Identifier: BSD-2-Clause */
/* What gateways of a volume share: who shares, fills that are true and fills
 * that lie, memory between volumes, and what a new daemon takes over. The test
 * plays the gateways.
 */
#include "config.h"
#include "cache/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/dial.h"
#include "cache/shared_private.h"
#include "ipc/fence.h"
#include "ipc/fill.h"
#include "ipc/shm.h"
#include "tests/unit/unit.h"

#define SLOTS 64u

static char dir[] = "/tmp/bulkhead-shared-test-XXXXXX";
static struct daemon d;
static struct log quiet;
static struct shared_set *set;
static unsigned broken_fills;

static void
note (void *ctx, enum log_level level, const char *line)
{
  (void)ctx;
  (void)level;
  broken_fills += strstr (line, "fill ring") != NULL;
}

static void
open_set (double retain_s)
{
  struct shared_limits limits = {SLOTS * PAGE_BYTES, retain_s};
  struct fault f = {0};

  quiet = (struct log){LOG_LEVEL_DEBUG, note, NULL};
  d.log = &quiet;
  d.loop = ev_loop_new (EVFLAG_NOENV);
  CU_ASSERT_EQUAL_FATAL (shared_set_open (&d, dir, &limits, &set, &f), ERR_OK);
}

static void
start (void)
{
  strcpy (dir + strlen (dir) - 6, "XXXXXX");
  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (dir));
  open_set (60);
}

static void
turn (unsigned ms)
{
  for (unsigned i = 0; i <= ms; i++) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (1000);
  }
}

static void
stop (void)
{
  char path[100];

  shared_set_close (set);
  ev_loop_destroy (d.loop);
  snprintf (path, sizeof path, "%s/volumes", dir);
  CU_ASSERT_EQUAL (rmdir (path), 0); /* no file is left */
  CU_ASSERT_EQUAL (rmdir (dir), 0);
}

/* A gateway */

struct gateway {
  struct member *m;
  int stripes_fd;
  struct stripe_map stripes;
  struct page_map pages;
  struct ring ring;
  struct ring_object *ring_object;
  uint8_t *arena;
  int wake;
  unsigned granted, revoked, expelled;
  char why[200];
};

static void
on_grant (void *ctx)
{
  ((struct gateway *)ctx)->granted++;
}

static void
on_revoke (void *ctx)
{
  ((struct gateway *)ctx)->revoked++;
}

static void
on_expel (void *ctx, const struct fault *why)
{
  struct gateway *g = ctx;

  (void)why;
  g->expelled++;
  member_leave (g->m);
  g->m = NULL;
}

static const struct member_hooks hooks = {on_grant, on_revoke, on_expel};

static const void *
map (int fd, size_t bytes, bool writable)
{
  void *p = NULL;

  CU_ASSERT_EQUAL_FATAL (shm_map (fd, bytes, writable, &p), ERR_OK);
  return p;
}

/* As CONTROL_CACHE would bring it, with fds of its own. */
static void
attach (struct gateway *g)
{
  static struct control c;
  struct wirebuf b;
  struct wire w;
  uint32_t slots, stripes;
  void *base;

  control_begin (&c, CONTROL_CACHE);
  b = control_body (&c);
  member_put_cache (g->m, &c, &b);
  w = wire_init (c.body, b.used_bytes);
  slots = wire_u32 (&w);
  stripes = wire_u32 (&w);
  CU_ASSERT_EQUAL (wire_u32 (&w), FILL_CHUNKS);
  wire_cstring (&w, g->why, sizeof g->why);
  CU_ASSERT_EQUAL (wire_end (&w), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (c.fds, CACHE_FDS);
  if (g->stripes_fd < 0)
    g->stripes_fd = fcntl (c.fd[CACHE_STRIPES], F_DUPFD_CLOEXEC, 0);
  base = mmap (NULL, stripes_bytes (stripes), PROT_READ | PROT_WRITE,
               MAP_SHARED, g->stripes_fd, 0);
  CU_ASSERT_FATAL (base != MAP_FAILED);
  CU_ASSERT_EQUAL (stripes_open (base, stripes_bytes (stripes), &g->stripes),
                   ERR_OK);
  if (!g->why[0]) {
    CU_ASSERT (stripes >= 4 * slots);
    CU_ASSERT_EQUAL (fcntl (c.fd[CACHE_INDEX], F_GETFL) & O_ACCMODE, O_RDONLY);
    CU_ASSERT_EQUAL (fcntl (c.fd[CACHE_PAGES], F_GETFL) & O_ACCMODE, O_RDONLY);
    CU_ASSERT_EQUAL (fcntl (c.fd[CACHE_FILL_ANSWERS], F_GETFL) & O_ACCMODE,
                     O_RDONLY);
    CU_ASSERT_EQUAL (
      pages_open (
        map (c.fd[CACHE_INDEX], pages_index_bytes (slots), false),
        pages_index_bytes (slots),
        map (c.fd[CACHE_PAGES], (size_t)slots * PAGE_BYTES, false),
        (size_t)slots * PAGE_BYTES, &g->pages),
      ERR_OK);
    g->ring_object
      = (void *)map (c.fd[CACHE_FILL_RING], CHANNEL_RING_BYTES, true);
    g->arena = (void *)map (c.fd[CACHE_FILL_ARENA], FILL_ARENA_BYTES, true);
    ring_object_reset (g->ring_object, FILL_EPOCH);
    ring_init (&g->ring, g->ring_object,
               map (c.fd[CACHE_FILL_ANSWERS], CHANNEL_RING_BYTES, false));
    g->wake = fcntl (c.fd[CACHE_FILL_WAKE], F_DUPFD_CLOEXEC, 0);
  }
  member_cache_sent (g->m);
}

static enum err
join_as (uid_t uid, struct gateway *g, uint8_t key, int stripes_fd,
         bool holds_lease)
{
  struct volume_key k = {{key}};
  struct member_before before = {stripes_fd, holds_lease};
  struct fault f = {0};
  enum err e;

  memset (g, 0, sizeof *g);
  g->wake = -1;
  g->stripes_fd = stripes_fd;
  e = member_join (set, &k, uid, "test", &before, &hooks, g, &g->m, &f);
  if (!e)
    attach (g);
  return e;
}

static enum err
join (struct gateway *g, uint8_t key, int stripes_fd, bool holds_lease)
{
  return join_as (0, g, key, stripes_fd, holds_lease);
}

/* A map is a use of the file too: of the description that it was made with. */
static void
unmap_stripes (struct gateway *g)
{
  munmap (g->stripes.file, stripes_bytes (g->stripes.count));
}

/* The process is dead: all it had is closed. */
static void
die (struct gateway *g)
{
  unmap_stripes (g);
  close (g->stripes_fd);
  if (g->wake >= 0)
    close (g->wake);
  member_leave (g->m);
}

static void
offer (struct gateway *g, uint64_t page, uint64_t version, uint8_t byte)
{
  uint8_t *chunk = fill_room (&g->ring, g->arena);
  uint64_t one = 1;

  CU_ASSERT_PTR_NOT_NULL_FATAL (chunk);
  fill_set_version (chunk, 0, version);
  memset (fill_page (chunk, 0), byte, PAGE_BYTES);
  if (fill_offer (&g->ring, page, 1))
    CU_ASSERT_EQUAL (write (g->wake, &one, sizeof one), sizeof one);
}

static bool
cached (struct gateway *g, uint64_t page, uint8_t byte)
{
  uint8_t got[PAGE_BYTES];

  return pages_lookup (&g->pages, &g->stripes, page, 0, PAGE_BYTES, got)
         && got[0] == byte && got[PAGE_BYTES - 1] == byte;
}

/* Tests */

static void
what_one_reads_the_other_has (void)
{
  struct gateway a, b, other;

  start ();
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join (&b, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join (&other, 2, -1, false), ERR_OK);
  for (unsigned round = 0; round < 10; round++) {
    for (unsigned i = 0; i < FILL_CHUNKS - 1; i++)
      offer (&a, i, 0, (uint8_t)(i + round));
    turn (10);
    for (unsigned i = 0; i < FILL_CHUNKS - 1; i++)
      CU_ASSERT (cached (&b, i, (uint8_t)(i + round)));
  }
  CU_ASSERT (!cached (&other, 1, 1 + 9));
  stripes_begin (&b.stripes, 5, 5);
  CU_ASSERT (!cached (&a, 5, 5 + 9));
  stripes_end (&b.stripes, 5, 5);
  CU_ASSERT (!cached (&a, 5, 5 + 9));
  CU_ASSERT (cached (&a, 6, 6 + 9));
  die (&a);
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, -1, false), ERR_OK);
  CU_ASSERT (cached (&a, 6, 6 + 9));
  die (&a);
  die (&b);
  die (&other);
  /* Retained without any gateway. */
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, -1, false), ERR_OK);
  CU_ASSERT (cached (&a, 6, 6 + 9));
  die (&a);
  stop ();
}

static void
fills_that_lie_hurt_nobody (void)
{
  struct gateway a, b;

  start ();
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join (&b, 1, -1, false), ERR_OK);
  member_set_info (a.m, &(struct volume_info){.size = 100 * PAGE_BYTES + 1});
  offer (&a, 100, 0, 1);             /* the last one, partly */
  offer (&a, 101, 0, 1);             /* beyond the end */
  offer (&a, PAGE_NONE - 65, 0, 1);  /* far beyond */
  offer (&a, 7, 3, 1);               /* of a version that never was */
  offer (&a, 8, PAGE_NONE, 1);       /* not offered */
  turn (10);
  CU_ASSERT (cached (&b, 100, 1));
  CU_ASSERT (!cached (&b, 101, 1));
  CU_ASSERT (!cached (&b, 7, 1));
  CU_ASSERT (!cached (&b, 8, 1));
  CU_ASSERT_EQUAL (broken_fills, 0);
  /* A tail that cannot be: this gateway's fills end, and no more. */
  offer (&a, 9, 0, 1);
  atomic_store (&a.ring_object->tail, 1u << 20);
  turn (10);
  CU_ASSERT_EQUAL (broken_fills, 1);
  offer (&b, 10, 0, 2);
  turn (10);
  CU_ASSERT (cached (&a, 10, 2));
  /* A chunk that is another one's. */
  b.ring_object->entry[b.ring.tail % RING_ENTRIES].request.length = 1;
  b.ring_object->entry[b.ring.tail % RING_ENTRIES].request.arena_offset
    = FILL_ARENA_BYTES;
  atomic_store (&b.ring_object->tail, b.ring.tail + 1);
  CU_ASSERT_EQUAL (write (b.wake, &(uint64_t){1}, 8), 8);
  turn (10);
  CU_ASSERT_EQUAL (broken_fills, 2);
  CU_ASSERT_EQUAL (member_want (b.m), ERR_OK);
  turn (5);
  CU_ASSERT_EQUAL (b.granted, 1);
  die (&a);
  die (&b);
  stop ();
}

static void
volumes_share_the_memory (void)
{
  struct gateway a, b;
  unsigned has = 0;

  start ();
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join (&b, 2, -1, false), ERR_OK);
  for (unsigned i = 0; i < 3 * SLOTS; i++) {
    offer (&a, i, 0, 1);
    turn (0);
  }
  turn (10);
  CU_ASSERT_EQUAL (set->used_slots, SLOTS);
  CU_ASSERT (cached (&a, 3 * SLOTS - 1, 1));
  /* b is small: with a gone, it takes what it needs. */
  die (&a);
  for (unsigned i = 0; i < SLOTS; i++) {
    offer (&b, i, 0, 2);
    turn (0);
  }
  turn (10);
  for (unsigned i = 0; i < SLOTS; i++)
    has += cached (&b, i, 2);
  CU_ASSERT (has > SLOTS * 3 / 4);
  CU_ASSERT (set->used_slots <= SLOTS);
  die (&b);
  stop ();
}

/* In a host's daemon: two volumes of one user have half of it all together,
 * whatever they read; what is left is another's. */
static void
a_user_has_half_of_the_memory (void)
{
  struct gateway a, b, other;
  unsigned has = 0;

  start ();
  d.host = true;
  CU_ASSERT_EQUAL_FATAL (join_as (4001, &a, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join_as (4001, &b, 2, -1, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join_as (4003, &other, 3, -1, false), ERR_OK);
  for (unsigned i = 0; i < 2 * SLOTS; i++) {
    offer (i % 2 ? &a : &b, i, 0, 1);
    turn (0);
  }
  turn (10);
  CU_ASSERT_EQUAL (set->used_slots, SLOTS / 2);
  CU_ASSERT (cached (&a, 2 * SLOTS - 1, 1));
  for (unsigned i = 0; i < SLOTS / 2; i++) {
    offer (&other, i, 0, 2);
    turn (0);
  }
  turn (10);
  for (unsigned i = 0; i < SLOTS / 2; i++)
    has += cached (&other, i, 2);
  CU_ASSERT (has > SLOTS * 3 / 8);
  CU_ASSERT (set->used_slots <= SLOTS);
  die (&a);
  die (&b);
  die (&other);
  stop ();
  d.host = false;
}

static void
the_lease_moves_and_the_dead_are_settled (void)
{
  ev_tstamp died_s;
  struct gateway a, b;

  start ();
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join (&b, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL (member_return (a.m), ERR_PEER);
  CU_ASSERT_EQUAL (member_want (a.m), ERR_OK);
  CU_ASSERT_EQUAL (member_want (a.m), ERR_PEER);
  turn (5);
  CU_ASSERT_EQUAL (a.granted, 1);
  CU_ASSERT_EQUAL (member_want (b.m), ERR_OK);
  turn (5);
  CU_ASSERT_EQUAL (a.revoked, 1);
  CU_ASSERT_EQUAL (b.granted, 0);
  stripes_begin (&a.stripes, 3, 3);
  died_s = ev_time ();
  die (&a);
  turn (300);
  /* On a busy machine that may have taken longer. */
  if ((ev_time () - died_s) * 1e9 < (double)FENCE_WAIT_NS) {
    CU_ASSERT_EQUAL (b.granted, 0);
    CU_ASSERT_EQUAL (stripes_unequal (&b.stripes), 1);
  }
  turn (900);
  CU_ASSERT_EQUAL (b.granted, 1);
  CU_ASSERT_EQUAL (stripes_unequal (&b.stripes), 0);
  die (&b);
  stop ();
}

/* In place of libc's. */
static bool no_process;

pid_t
fork (void)
{
  if (!no_process)
    return _Fork ();
  errno = EAGAIN;
  return -1;
}

/* For want of a process, here. What others of this user do does not count as
 * fenced before; another user's is nobody's matter.
 */
static void
a_fence_that_is_late_is_waited_for (void)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  d.host = true;
  for (uid_t late = 4001; late <= 4002; late++) {
    struct gateway a, b;

    start ();
    CU_ASSERT_EQUAL_FATAL (join_as (4001, &a, 1, -1, false), ERR_OK);
    CU_ASSERT_EQUAL_FATAL (join_as (4001, &b, 1, -1, false), ERR_OK);
    CU_ASSERT_EQUAL (member_want (a.m), ERR_OK);
    turn (5);
    CU_ASSERT_EQUAL (a.granted, 1);
    CU_ASSERT_EQUAL (member_want (b.m), ERR_OK);
    turn (5);
    stripes_begin (&a.stripes, 3, 3);
    no_process = true;
    dial_fence_all (&d, late, &fd, 1, true);
    die (&a);
    turn (1500);
    CU_ASSERT_EQUAL (b.granted, late == 4002);
    no_process = false;
    for (unsigned i = 0; i < 100 && !(b.granted && !d.late_fences); i++)
      turn (100);
    CU_ASSERT_EQUAL (b.granted, 1);
    CU_ASSERT_PTR_NULL (d.late_fences);
    die (&b);
    stop ();
  }
  d.host = false;
  close (fd);
}

/* The daemon ends while gateways live; their files stay. */
static void
another_daemon (void)
{
  shared_set_close (set);
  ev_loop_destroy (d.loop);
  open_set (60);
}

/* The end of the daemon closes its fds of a gateway's seat and no more. Leaving
 * unlocks the seat, so what a gateway has is locked again.
 */
static void
lose_daemon (struct gateway *g)
{
  struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1,
                    .l_len = 1};

  member_leave (g->m);
  unmap_stripes (g);
  if (g->granted)
    CU_ASSERT_EQUAL (fcntl (g->stripes_fd, F_OFD_SETLK, &l), 0);
}

static void
a_new_daemon_takes_over (void)
{
  struct gateway a, b, c, stranger;
  char path[64];
  int other, a_fd, b_fd;

  start ();
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join (&b, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL (member_want (a.m), ERR_OK);
  turn (5);
  CU_ASSERT_EQUAL (a.granted, 1);
  stripes_begin (&a.stripes, 3, 3);
  lose_daemon (&a);
  lose_daemon (&b);
  another_daemon ();
  a_fd = a.stripes_fd;
  b_fd = b.stripes_fd;

  /* A new gateway comes first: it uses the same file, and may not write. */
  CU_ASSERT_EQUAL_FATAL (join (&c, 1, -1, false), ERR_OK);
  CU_ASSERT_EQUAL (stripes_unequal (&c.stripes), 1);
  CU_ASSERT_EQUAL (member_want (c.m), ERR_OK);
  turn (300);
  CU_ASSERT_EQUAL (c.granted, 0);
  CU_ASSERT_EQUAL (stripes_unequal (&c.stripes), 1);

  /* Other stripes, and a lease that another one has. */
  snprintf (path, sizeof path, "%s/other", dir);
  other = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  CU_ASSERT_EQUAL (ftruncate (other, (off_t)stripes_bytes (1024)), 0);
  CU_ASSERT_EQUAL (join (&stranger, 1, other, false), ERR_PEER);
  CU_ASSERT_EQUAL (join (&stranger, 1, b_fd, true), ERR_PEER);
  unlink (path);

  CU_ASSERT_EQUAL_FATAL (join (&b, 1, b_fd, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, a_fd, true), ERR_OK);
  turn (300);
  CU_ASSERT_EQUAL (a.revoked, 1);
  CU_ASSERT_EQUAL (c.granted, 0);
  stripes_end (&a.stripes, 3, 3);
  CU_ASSERT_EQUAL (member_return (a.m), ERR_OK);
  turn (5);
  CU_ASSERT_EQUAL (c.granted, 1);
  die (&a);
  die (&b);
  die (&c);
  close (other);
  stop ();
}

static void
stripes_that_nobody_knows_mean_no_cache (void)
{
  struct gateway a;
  struct stripes head;
  struct volume_key k = {{1}};
  struct member_before before = {.holds_lease = false};
  struct fault f = {0};
  struct member *m = NULL;
  static struct control c;
  struct wirebuf b;
  struct wire w;
  char why[200];

  start ();
  CU_ASSERT_EQUAL_FATAL (join (&a, 1, -1, false), ERR_OK);
  lose_daemon (&a);
  another_daemon ();
  CU_ASSERT_EQUAL (pread (a.stripes_fd, &head, sizeof head, 0), sizeof head);
  head.layout++;
  CU_ASSERT_EQUAL (pwrite (a.stripes_fd, &head, sizeof head, 0), sizeof head);
  before.stripes_fd = a.stripes_fd;
  CU_ASSERT_EQUAL_FATAL (
    member_join (set, &k, 0, "test", &before, &hooks, &a, &m, &f), ERR_OK);
  control_begin (&c, CONTROL_CACHE);
  b = control_body (&c);
  member_put_cache (m, &c, &b);
  w = wire_init (c.body, b.used_bytes);
  CU_ASSERT_EQUAL (wire_u32 (&w), 0);
  CU_ASSERT_EQUAL (wire_u32 (&w), a.stripes.count);
  wire_u32 (&w);
  wire_cstring (&w, why, sizeof why);
  CU_ASSERT_PTR_NOT_NULL (strstr (why, "layout"));
  CU_ASSERT_EQUAL (c.fds, CACHE_FDS);
  close (a.stripes_fd);
  member_leave (m);
  stop ();
}

static void
a_key_is_of_everything_that_is_configured (void)
{
  struct login_config c;
  struct volume_spec s = {.proto = "sftp"};
  struct volume_key k, other;
  int differ = 0;

#define DIFFERS(change, undo)                                                 \
  do {                                                                        \
    change;                                                                   \
    CU_ASSERT_EQUAL (volume_key (10, &s, &c, &other), ERR_OK);                \
    CU_ASSERT_NOT_EQUAL (memcmp (&k, &other, sizeof k), 0);                   \
    undo;                                                                     \
    CU_ASSERT_EQUAL (volume_key (10, &s, &c, &other), ERR_OK);                \
    CU_ASSERT_EQUAL (memcmp (&k, &other, sizeof k), 0);                       \
    differ++;                                                                 \
  } while (0)

  login_config_init (&c);
  strcpy (c.host, "host");
  strcpy (c.user, "user");
  c.port = 22;
  c.keys = 1;
  volume_spec_set (&s, "path", "/a", -1);
  CU_ASSERT_EQUAL (volume_key (10, &s, &c, &k), ERR_OK);
  CU_ASSERT_EQUAL (volume_key (11, &s, &c, &other), ERR_OK);
  CU_ASSERT_NOT_EQUAL (memcmp (&k, &other, sizeof k), 0);
  DIFFERS (strcpy (c.host, "hosu"), strcpy (c.host, "host"));
  DIFFERS (strcpy (c.user, "users"), strcpy (c.user, "user"));
  /* Parts do not run into each other. */
  DIFFERS ((strcpy (c.host, "hostu"), strcpy (c.user, "ser")),
           (strcpy (c.host, "host"), strcpy (c.user, "user")));
  DIFFERS (c.port = 23, c.port = 22);
  DIFFERS (volume_spec_set (&s, "path", "/b", -1),
           volume_spec_set (&s, "path", "/a", -1));
  DIFFERS (c.key[0].digest[31] = 1, c.key[0].digest[31] = 0);
  DIFFERS (c.keys = 2, c.keys = 1);
  DIFFERS (c.key[0].key = (struct ssh_key *)&c, c.key[0].key = NULL);
  DIFFERS ((c.has_password = true, strcpy (c.password, "x")),
           c.has_password = false);
  CU_ASSERT_EQUAL (differ, 9);
  volume_spec_set (&s, "agent", "/run/agent", -1);
  CU_ASSERT_EQUAL (volume_key (10, &s, &c, &other), ERR_OK);
  CU_ASSERT_NOT_EQUAL (memcmp (&k, &other, sizeof k), 0);
  c.keys = 0;
  login_config_fini (&c);
}

UNIT_MAIN ("shared", UNIT_TEST (what_one_reads_the_other_has),
           UNIT_TEST (fills_that_lie_hurt_nobody),
           UNIT_TEST (volumes_share_the_memory),
           UNIT_TEST (a_user_has_half_of_the_memory),
           UNIT_TEST (the_lease_moves_and_the_dead_are_settled),
           UNIT_TEST (a_fence_that_is_late_is_waited_for),
           UNIT_TEST (a_new_daemon_takes_over),
           UNIT_TEST (stripes_that_nobody_knows_mean_no_cache),
           UNIT_TEST (a_key_is_of_everything_that_is_configured))
