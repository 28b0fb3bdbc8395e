/* SPDX-License-Identifier: BSD-2-Clause */
/* One truth over several gateway processes of a volume, over NBD.
 *
 *   coherence [--seed N] [--seconds S] [--gateways N] [--connections N]
 *             [--depth N] [--kill-workers MS] [--kill-gateways MS]
 *             [--kill-daemon MS] --dir DIR --file FILE COMMAND…
 *
 * COMMAND starts a gateway that listens at @SOCKET@. Random reads and writes
 * run at all of them, never two writes at one register; every word that is
 * read must be one that may be there (registers.h). Some registers are hot,
 * some reads run in sequence. Meanwhile workers, gateways and the daemon are
 * killed, one of a kind every so many milliseconds (0: never). At the end all
 * is read at every gateway, and in FILE, which is what the server has. Exit
 * status 1 if any word was wrong or a command failed for no reason of ours.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/system/gateways.h"
#include "tests/system/registers.h"

#define DEPTH_MAX 64
#define STALL_MS 40000
#define HOT 150u /* registers, in some ten pages */
#define SPAN_BYTES (64u << 10)

enum kind { READ, WRITE, ZERO, TRIM, FLUSH, KINDS };
enum victim { WORKER, GATEWAY, DAEMON, VICTIMS };

struct op {
  struct test *t;
  struct gateway *g;
  bool busy;
  enum kind kind;
  uint32_t first, end; /* registers */
  struct floors floors;
  uint8_t buf[SPAN_BYTES];
};

struct test {
  struct registers rs;
  struct gateway gateway[GATEWAYS_MAX];
  struct op *op;
  unsigned gateways, connections, depth;
  uint64_t random;
  uint64_t kill_every_ms[VICTIMS], kill_next_ms[VICTIMS], kills[VICTIMS];
  uint64_t done[KINDS], fua, lost_writes, lost_reads, errors, told;
  uint64_t last_done_ms, longest_ms;
  struct { /* a sequential reader at each gateway */
    uint32_t next;
    unsigned left;
  } run[GATEWAYS_MAX];
  unsigned writing[GATEWAYS_MAX];
  bool can_zero, can_trim;
};

static uint64_t
draw (struct test *t, uint64_t limit)
{
  uint64_t x = t->random += 0x9e3779b97f4a7c15u; /* splitmix64 */

  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return (x ^ (x >> 31)) % limit;
}

static uint32_t
bytes_of (const struct op *o)
{
  return (uint32_t)(registers_offset (o->end) - registers_offset (o->first));
}

static bool
is_write (const struct op *o)
{
  return o->kind == WRITE || o->kind == ZERO || o->kind == TRIM;
}

/* A writer that died together with its daemon has lost what it had not flushed:
 * the next FLUSH fails, once, so that it is known (DESIGN, "When something
 * dies").
 */
static bool
tells_of_loss (const struct test *t, const struct op *o, int error)
{
  return o->kind == FLUSH && error == EIO && t->kills[DAEMON]
         && t->told < t->kills[GATEWAY];
}

static int
completed (void *data, int *error)
{
  static const char *const name[KINDS]
    = {"read", "write", "zero", "trim", "flush"};
  struct op *o = data;
  struct test *t = o->t;
  uint64_t now = clock_now_ms ();

  o->busy = false;
  o->g->in_flight--;
  if (*error && !o->g->killed && tells_of_loss (t, o, *error)) {
    t->told++;
  } else if (*error && !o->g->killed) {
    t->errors++;
    fprintf (stderr, "coherence: %s of %u bytes at %" PRIu64 ": %s\n",
             name[o->kind], bytes_of (o), registers_offset (o->first),
             strerror (*error));
  }
  /* A trim says nothing about what is there afterwards. */
  if (is_write (o)) {
    registers_written (&t->rs, o->first, o->end, !*error && o->kind != TRIM);
    t->writing[o->g - t->gateway]--;
  }
  if (*error) {
    t->lost_writes += is_write (o);
    t->lost_reads += o->kind == READ;
    return 1;
  }
  if (o->kind == READ)
    registers_check (&t->rs, o->first, o->end, &o->floors, o->buf);
  t->done[o->kind]++;
  if (now - t->last_done_ms > t->longest_ms)
    t->longest_ms = now - t->last_done_ms;
  t->last_done_ms = now;
  return 1;
}

/* Registers for an operation: one, or as many as are within some bytes. */
static void
choose_place (struct test *t, struct op *o, uint32_t bytes)
{
  uint64_t from;

  o->first = (uint32_t)draw (t, draw (t, 2) ? HOT : t->rs.count);
  o->end = o->first + 1;
  from = registers_offset (o->first);
  while (o->end < t->rs.count && o->end - o->first < REGISTERS_MAX_SPAN
         && registers_offset (o->end + 1) - from <= bytes)
    o->end++;
}

/* A sequential reader goes on where it was; now and then one begins. */
static bool
choose_run (struct test *t, struct op *o, unsigned gateway)
{
  if (!t->run[gateway].left) {
    if (draw (t, 200))
      return false;
    t->run[gateway].left = 40;
    t->run[gateway].next = (uint32_t)draw (t, t->rs.count);
  }
  t->run[gateway].left--;
  o->first = t->run[gateway].next % t->rs.count;
  o->end = o->first + 15 < t->rs.count ? o->first + 15 : t->rs.count;
  t->run[gateway].next = o->end % t->rs.count;
  return true;
}

static void
choose (struct test *t, struct op *o, unsigned gateway)
{
  static const uint32_t span[] = {512, 512, 4096, 4096, 16384, SPAN_BYTES};
  uint64_t roll = draw (t, 100);

  o->kind = roll < 82   ? READ
            : roll < 95 ? WRITE
            : roll < 97 ? ZERO
            : roll < 98 ? TRIM
                        : FLUSH;
  if ((o->kind == ZERO && !t->can_zero) || (o->kind == TRIM && !t->can_trim))
    o->kind = READ;
  if (o->kind == READ && choose_run (t, o, gateway))
    return;
  choose_place (t, o, span[draw (t, sizeof span / sizeof span[0])]);
  /* Writes wait for the lease; reads must go on meanwhile. */
  if (is_write (o)
      && (t->writing[gateway] > t->depth / 2
          || !registers_idle (&t->rs, o->first, o->end)))
    o->kind = READ;
}

static void
issue (struct test *t, struct op *o, unsigned gateway)
{
  struct gateway *g = &t->gateway[gateway];
  struct nbd_handle *nbd = g->nbd[draw (t, g->connections)];
  nbd_completion_callback cb = {.callback = completed, .user_data = o};
  uint32_t fua = draw (t, 6) ? 0 : LIBNBD_CMD_FLAG_FUA;
  uint64_t at;
  int64_t r;

  choose (t, o, gateway);
  o->g = g;
  o->busy = true;
  g->in_flight++;
  at = registers_offset (o->first);
  if (is_write (o)) {
    t->fua += fua != 0;
    t->writing[gateway]++;
    registers_write (&t->rs, o->first, o->end,
                     o->kind == WRITE ? o->buf : NULL);
  } else if (o->kind == READ) {
    memset (o->buf, 0xa5, bytes_of (o));
    registers_floors (&t->rs, o->first, o->end, &o->floors);
  }
  switch (o->kind) {
  case READ:
    r = nbd_aio_pread (nbd, o->buf, bytes_of (o), at, cb, 0);
    break;
  case WRITE:
    r = nbd_aio_pwrite (nbd, o->buf, bytes_of (o), at, cb, fua);
    break;
  case ZERO:
    r = nbd_aio_zero (nbd, bytes_of (o), at, cb, fua);
    break;
  case TRIM:
    r = nbd_aio_trim (nbd, bytes_of (o), at, cb, fua);
    break;
  default:
    r = nbd_aio_flush (nbd, cb, 0);
  }
  if (r == -1)
    die ("%s", nbd_get_error ());
}

/* --------------------------------------------------------------- the loop */

static void
notify (struct nbd_handle *nbd, const struct pollfd *p)
{
  unsigned dir = nbd_aio_get_direction (nbd);
  int r = 0;

  if ((dir & LIBNBD_AIO_DIRECTION_READ)
      && (p->revents & (POLLIN | POLLHUP | POLLERR)))
    r = nbd_aio_notify_read (nbd);
  else if ((dir & LIBNBD_AIO_DIRECTION_WRITE) && (p->revents & POLLOUT))
    r = nbd_aio_notify_write (nbd);
  if (r == -1)
    die ("a connection broke: %s", nbd_get_error ());
  if (nbd_aio_is_dead (nbd) > 0 || nbd_aio_is_closed (nbd) > 0)
    die ("a gateway closed a connection");
}

/* Waits for anything on any connection. */
static void
turn (struct test *t)
{
  struct pollfd p[GATEWAYS_MAX * CONNECTIONS_MAX];
  struct nbd_handle *nbd[GATEWAYS_MAX * CONNECTIONS_MAX];
  unsigned n = 0;

  for (unsigned i = 0; i < t->gateways; i++) {
    struct gateway *g = &t->gateway[i];

    if (g->state == GATEWAY_STARTING)
      gateway_try (g);
    for (unsigned c = 0; g->state == GATEWAY_UP && c < g->connections; c++) {
      unsigned dir = nbd_aio_get_direction (g->nbd[c]);

      nbd[n] = g->nbd[c];
      p[n].fd = nbd_aio_get_fd (nbd[n]);
      p[n].revents = 0;
      p[n++].events
        = (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0)
                  | (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
    }
  }
  if (poll (p, n, 20) < 0 && errno != EINTR)
    die ("poll: %s", strerror (errno));
  for (unsigned i = 0; i < n; i++)
    notify (nbd[i], &p[i]);
  if (clock_now_ms () - t->last_done_ms > STALL_MS)
    die ("nothing completed for %d s", STALL_MS / 1000);
}

static void
kill_one (struct test *t, enum victim v)
{
  struct gateway *g = &t->gateway[draw (t, t->gateways)];
  bool done = false;

  if (v == WORKER)
    done = worker_kill (draw (t, 1u << 30));
  else if (v == DAEMON)
    done = daemon_kill ();
  else if (g->state == GATEWAY_UP) {
    gateway_kill (g);
    done = true;
  }
  t->kills[v] += done;
}

static void
kills (struct test *t)
{
  for (unsigned v = 0; v < VICTIMS; v++) {
    uint64_t every = t->kill_every_ms[v];

    if (!every || clock_now_ms () < t->kill_next_ms[v])
      continue;
    if (t->kill_next_ms[v])
      kill_one (t, v);
    t->kill_next_ms[v] = clock_now_ms () + every / 2 + draw (t, every);
  }
}

static unsigned
busy (const struct test *t)
{
  unsigned n = 0;

  for (unsigned i = 0; i < t->gateways; i++)
    n += t->gateway[i].in_flight
         + (t->gateway[i].state == GATEWAY_STARTING);
  return n;
}

static void
work (struct test *t, uint64_t until_ms)
{
  bool more;

  while ((more = clock_now_ms () < until_ms) || busy (t)) {
    if (more)
      kills (t);
    for (unsigned i = 0; more && i < t->gateways * t->depth; i++)
      if (!t->op[i].busy && t->gateway[i % t->gateways].state == GATEWAY_UP)
        issue (t, &t->op[i], i % t->gateways);
    turn (t);
  }
}

/* ----------------------------------------------------------------- the end */

/* Everything, in order: at a gateway, or in the file of the server. */
static void
read_all (struct test *t, struct gateway *g, int fd)
{
  struct op *o = &t->op[0];

  for (o->first = 0; o->first < t->rs.count; o->first = o->end) {
    uint64_t at = registers_offset (o->first);

    o->end = registers_at (at + SPAN_BYTES / 2); /* 120 registers */
    if (o->end > t->rs.count)
      o->end = t->rs.count;
    registers_floors (&t->rs, o->first, o->end, &o->floors);
    if (g ? nbd_pread (g->nbd[0], o->buf, bytes_of (o), at, 0) == -1
          : pread (fd, o->buf, bytes_of (o), (off_t)at)
              != (ssize_t)bytes_of (o))
      die ("reading all: %s", g ? nbd_get_error () : strerror (errno));
    registers_check (&t->rs, o->first, o->end, &o->floors, o->buf);
  }
}

static void
report (const struct test *t)
{
  uint64_t hits = 0, misses = 0;

  for (unsigned i = 0; i < t->gateways; i++)
    gateway_stats (&t->gateway[i], &hits, &misses);
  printf ("coherence: %u gateways: %" PRIu64 " reads, %" PRIu64
          " writes (%" PRIu64 " with FUA), %" PRIu64 " zeroes, %" PRIu64
          " trims, %" PRIu64 " flushes; killed: %" PRIu64 " workers, %" PRIu64
          " gateways (%" PRIu64 " reads and %" PRIu64
          " writes lost with them), %" PRIu64 " daemons\n",
          t->gateways, t->done[READ], t->done[WRITE], t->fua, t->done[ZERO],
          t->done[TRIM], t->done[FLUSH], t->kills[WORKER], t->kills[GATEWAY],
          t->lost_reads, t->lost_writes, t->kills[DAEMON]);
  printf ("coherence: %" PRIu64 " pages from the cache, %" PRIu64
          " not (of gateways that ended by themselves); nothing completed for "
          "at most %" PRIu64 " ms\n",
          hits, misses, t->longest_ms);
  printf ("coherence: %" PRIu64 " words of %u registers compared: %" PRIu64
          " stale, %" PRIu64 " went back, %" PRIu64 " invented; %" PRIu64
          " commands failed, %" PRIu64 " flushes told of a loss\n",
          t->rs.words, t->rs.count, t->rs.stale, t->rs.went_back,
          t->rs.invented, t->errors, t->told);
}

static uint64_t
number (const char *text, uint64_t most)
{
  char *end;
  unsigned long long n;

  errno = 0;
  n = strtoull (text, &end, 10);
  if (errno || *end || end == text || n > most)
    die ("not a number up to %" PRIu64 ": %s", most, text);
  return n;
}

struct options {
  uint64_t seconds;
  const char *dir, *file;
  char **command;
};

static void
parse (int argc, char **argv, struct test *t, struct options *o)
{
  static const struct option table[] = {
    {"seed", 1, NULL, 's'},         {"seconds", 1, NULL, 't'},
    {"gateways", 1, NULL, 'g'},     {"connections", 1, NULL, 'c'},
    {"depth", 1, NULL, 'd'},        {"kill-workers", 1, NULL, 'W'},
    {"kill-gateways", 1, NULL, 'G'}, {"kill-daemon", 1, NULL, 'D'},
    {"dir", 1, NULL, 'o'},          {"file", 1, NULL, 'f'},
    {NULL, 0, NULL, 0}};
  int c;

  while ((c = getopt_long (argc, argv, "+", table, NULL)) != -1) {
    if (c == 's')
      t->random = number (optarg, UINT32_MAX);
    else if (c == 't')
      o->seconds = number (optarg, 86400);
    else if (c == 'g')
      t->gateways = (unsigned)number (optarg, GATEWAYS_MAX);
    else if (c == 'c')
      t->connections = (unsigned)number (optarg, CONNECTIONS_MAX);
    else if (c == 'd')
      t->depth = (unsigned)number (optarg, DEPTH_MAX);
    else if (c == 'W')
      t->kill_every_ms[WORKER] = number (optarg, UINT32_MAX);
    else if (c == 'G')
      t->kill_every_ms[GATEWAY] = number (optarg, UINT32_MAX);
    else if (c == 'D')
      t->kill_every_ms[DAEMON] = number (optarg, UINT32_MAX);
    else if (c == 'o')
      o->dir = optarg;
    else if (c == 'f')
      o->file = optarg;
    else
      exit (2);
  }
  o->command = argv + optind;
  if (!o->dir || !o->file || optind == argc || strlen (o->dir) > 80
      || !t->gateways || !t->depth || !t->connections)
    die ("usage: coherence [OPTIONS] --dir DIR --file FILE COMMAND…");
}

static void
start_all (struct test *t, const struct options *o)
{
  for (unsigned i = 0; i < t->gateways; i++) {
    struct gateway *g = &t->gateway[i];

    g->connections = t->connections;
    g->command = o->command;
    snprintf (g->socket, sizeof g->socket, "%s/gateway%u", o->dir, i);
    snprintf (g->log, sizeof g->log, "%s/gateway%u.log", o->dir, i);
    gateway_start (g);
  }
  t->last_done_ms = clock_now_ms ();
  for (unsigned i = 0; i < t->gateways; i++)
    while (t->gateway[i].state != GATEWAY_UP) {
      gateway_try (&t->gateway[i]);
      poll (NULL, 0, 10);
    }
  t->can_zero = nbd_can_zero (t->gateway[0].nbd[0]) > 0;
  t->can_trim = nbd_can_trim (t->gateway[0].nbd[0]) > 0;
  registers_init (&t->rs, (uint64_t)nbd_get_size (t->gateway[0].nbd[0]));
  t->op = calloc (t->gateways * t->depth, sizeof *t->op);
  if (!t->op || t->rs.count < 2 * HOT)
    die ("no memory, or too small a volume");
  for (unsigned i = 0; i < t->gateways * t->depth; i++)
    t->op[i].t = t;
}

int
main (int argc, char **argv)
{
  static struct test t = {.gateways = 4, .connections = 2, .depth = 6,
                          .random = 1};
  struct options o = {.seconds = 10};
  int fd;

  parse (argc, argv, &t, &o);
  start_all (&t, &o);
  t.last_done_ms = clock_now_ms ();
  work (&t, clock_now_ms () + o.seconds * 1000);
  for (unsigned i = 0; i < t.gateways; i++)
    read_all (&t, &t.gateway[i], -1);
  for (unsigned i = 0; i < t.gateways; i++)
    gateway_stop (&t.gateway[i]);
  fd = open (o.file, O_RDONLY);
  if (fd < 0)
    die ("%s: %s", o.file, strerror (errno));
  read_all (&t, NULL, fd);
  close (fd);
  report (&t);
  registers_free (&t.rs);
  free (t.op);
  return t.errors || t.rs.stale || t.rs.went_back || t.rs.invented;
}
