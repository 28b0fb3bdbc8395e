/* SPDX-License-Identifier: BSD-2-Clause */
/* Random reads and writes over NBD against a model in memory.
 *
 *   nbd-model [--seed N] [--seconds S] [--ops N] [--depth D] [--connections C]
 *             [--max-bytes B] [--out FILE] URI
 *
 * Many commands are in flight, over one or more connections of one process.
 * Where two writes overlap in flight NBD leaves open which one wins, for each
 * byte: the model keeps both values until a read tells. At most two writes
 * overlap at a byte. A read is compared unless a write overlapped it in flight.
 *
 * Requests are whole blocks of the smallest size that the export names.
 *
 * At the end: flush, read and compare everything, write the model to FILE, so
 * that it can be compared with the file on the server. Exit status 1 at the
 * first command that fails or byte that differs.
 *
 * Invariants
 *   M1  model[b] == alt[b], unless the last two writes of b overlapped in
 *       flight and no read has told which one won.
 *   M2  what a write puts at b is a function of its id and b: no payload has
 *       to be kept for the comparison.
 */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

#define DEPTH_MAX 128
#define CONNECTIONS_MAX 8
#define PARTNERS_MAX 256
#define STALL_SECONDS 60
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum kind { READ, WRITE, WRITE_FUA, FLUSH, KINDS };
static const char *const kind_name[KINDS] = {"read", "write", "FUA write",
                                             "flush"};

/* A write that overlapped another one in flight, and where. */
struct partner {
  uint64_t id;
  uint64_t begin, end;
};

struct op {
  struct model *m;
  bool busy;
  enum kind kind;
  uint64_t id;
  uint64_t offset, end;
  uint8_t *buf; /* max_bytes */
  bool tainted; /* READ: a write overlapped it */
  unsigned partners;
  struct partner partner[PARTNERS_MAX]; /* in the order of issue */
};

struct model {
  struct nbd_handle *nbd[CONNECTIONS_MAX];
  unsigned connections, depth, in_flight;
  uint64_t size, block, max_bytes, random, next_id;
  uint8_t *model, *alt;
  struct op op[DEPTH_MAX];
  uint64_t done[KINDS];
  uint64_t verified_bytes, tainted_reads, overlapped_writes;
  time_t last_progress;
};

static void __attribute__ ((noreturn, format (printf, 1, 2)))
die (const char *fmt, ...)
{
  va_list ap;

  va_start (ap, fmt);
  fputs ("nbd-model: ", stderr);
  vfprintf (stderr, fmt, ap);
  fputc ('\n', stderr);
  va_end (ap);
  exit (EXIT_FAILURE);
}

static void *
allocate (size_t bytes)
{
  void *p = calloc (1, bytes);

  if (p == NULL)
    die ("out of memory");
  return p;
}

static uint64_t
mix (uint64_t x) /* splitmix64 */
{
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static uint64_t
draw (struct model *m, uint64_t limit)
{
  m->random = mix (m->random);
  return m->random % limit;
}

/* What write id puts at [begin, end) of the volume. */
static void
content (uint64_t id, uint64_t begin, uint64_t end, uint8_t *dst)
{
  for (uint64_t b = begin; b < end;) {
    uint64_t word = mix ((id << 32) ^ (b / 8));
    uint64_t stop = MIN (end, b / 8 * 8 + 8);

    if (stop - b == 8) { /* most of it; little-endian, as below */
      word = htole64 (word);
      memcpy (dst, &word, 8);
      dst += 8;
      b = stop;
    }
    for (; b < stop; b++)
      *dst++ = (uint8_t)(word >> (b % 8 * 8));
  }
}

static bool
is_write (const struct op *o)
{
  return o->kind == WRITE || o->kind == WRITE_FUA;
}

static time_t
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

/* ------------------------------------------------------------ completions */

/* Compares what was read at offset, and settles what was open (M1). */
static void
compare (struct model *m, const uint8_t *data, uint64_t offset, uint64_t bytes)
{
  if (memcmp (data, m->model + offset, bytes) != 0) {
    for (uint64_t i = 0; i < bytes; i++) {
      uint64_t b = offset + i;

      if (data[i] != m->model[b] && data[i] != m->alt[b])
        die ("byte %" PRIu64 " is %02x, not %02x or %02x (read of %" PRIu64
             " bytes at %" PRIu64 ")",
             b, data[i], m->model[b], m->alt[b], bytes, offset);
      m->model[b] = data[i];
    }
  }
  memcpy (m->alt + offset, m->model + offset, bytes);
  m->verified_bytes += bytes;
}

static void
write_done (struct model *m, const struct op *o)
{
  content (o->id, o->offset, o->end, m->model + o->offset);
  memcpy (m->alt + o->offset, m->model + o->offset, o->end - o->offset);
  for (unsigned i = 0; i < o->partners; i++) {
    const struct partner *p = &o->partner[i];

    content (p->id, p->begin, p->end, m->alt + p->begin);
  }
  m->overlapped_writes += o->partners > 0;
}

static int
completed (void *data, int *error)
{
  struct op *o = data;
  struct model *m = o->m;

  if (*error != 0)
    die ("%s of %" PRIu64 " bytes at %" PRIu64 " failed: %s",
         kind_name[o->kind], o->end - o->offset, o->offset, strerror (*error));
  if (is_write (o))
    write_done (m, o);
  else if (o->kind == READ) {
    if (!o->tainted)
      compare (m, o->buf, o->offset, o->end - o->offset);
    m->tainted_reads += o->tainted;
  }
  o->busy = false;
  m->in_flight--;
  m->done[o->kind]++;
  m->last_progress = now ();
  return 1;
}

/* ---------------------------------------------------------------- requests */

static void
choose (struct model *m, struct op *o)
{
  uint64_t bytes = 0, roll = draw (m, 100), nudge = draw (m, 4096);
  const struct op *near = &m->op[draw (m, m->depth)];

  o->kind = roll < 45   ? READ
            : roll < 85 ? WRITE
            : roll < 95 ? WRITE_FUA
                        : FLUSH;
  switch (o->kind == FLUSH ? 3 : draw (m, 3)) {
  case 0:
    bytes = 1 + draw (m, 8192);
    break;
  case 1:
    bytes = 4096 * (1 + draw (m, 16));
    break;
  case 2:
    bytes = 1 + draw (m, m->max_bytes);
    break;
  }
  bytes = MIN ((bytes + m->block - 1) / m->block * m->block, m->max_bytes);
  o->offset = draw (m, m->size - bytes + 1);
  /* Every fourth lies about where another one is, so that they overlap. */
  if (draw (m, 4) == 0)
    o->offset = MIN (near->offset + nudge, m->size - bytes);
  if (draw (m, 2) == 0)
    o->offset = o->offset / 4096 * 4096;
  o->offset = o->offset / m->block * m->block;
  o->end = o->offset + bytes;
}

/* True if a third write would overlap at a byte, or a partner list is full. */
static bool
too_dense (const struct model *m, const struct op *o)
{
  if (!is_write (o))
    return false;
  for (unsigned i = 0; i < m->depth; i++) {
    const struct op *p = &m->op[i];

    if (!p->busy || !is_write (p) || p->end <= o->offset || p->offset >= o->end)
      continue;
    if (p->partners == PARTNERS_MAX)
      return true;
    for (unsigned j = i + 1; j < m->depth; j++) {
      const struct op *q = &m->op[j];

      if (q->busy && is_write (q)
          && MAX (MAX (p->offset, q->offset), o->offset)
                 < MIN (MIN (p->end, q->end), o->end))
        return true;
    }
  }
  return false;
}

static void
note_overlaps (struct model *m, struct op *o)
{
  o->partners = 0;
  o->tainted = false;
  for (unsigned i = 0; i < m->depth; i++) {
    struct op *p = &m->op[i];
    uint64_t begin = MAX (p->offset, o->offset), end = MIN (p->end, o->end);

    if (!p->busy || begin >= end)
      continue;
    if (is_write (o) && is_write (p)) {
      o->partner[o->partners++] = (struct partner){p->id, begin, end};
      p->partner[p->partners++] = (struct partner){o->id, begin, end};
    } else if (is_write (p))
      o->tainted = true;
    else if (is_write (o))
      p->tainted = true;
  }
}

static void
issue (struct model *m, struct op *o)
{
  struct nbd_handle *nbd = m->nbd[draw (m, m->connections)];
  nbd_completion_callback cb = {.callback = completed, .user_data = o};
  uint64_t bytes;
  int64_t r;

  do
    choose (m, o);
  while (too_dense (m, o));
  o->id = ++m->next_id;
  note_overlaps (m, o);
  bytes = o->end - o->offset;
  o->busy = true;
  m->in_flight++;
  if (is_write (o))
    content (o->id, o->offset, o->end, o->buf);
  switch (o->kind) {
  case READ:
    memset (o->buf, 0x5a, bytes);
    r = nbd_aio_pread (nbd, o->buf, bytes, o->offset, cb, 0);
    break;
  case FLUSH:
    r = nbd_aio_flush (nbd, cb, 0);
    break;
  default:
    r = nbd_aio_pwrite (nbd, o->buf, bytes, o->offset, cb,
                        o->kind == WRITE_FUA ? LIBNBD_CMD_FLAG_FUA : 0);
  }
  if (r == -1)
    die ("%s: %s", kind_name[o->kind], nbd_get_error ());
}

/* Waits for anything on any connection, and lets libnbd act on it. */
static void
turn (struct model *m)
{
  struct pollfd fd[CONNECTIONS_MAX];

  for (unsigned i = 0; i < m->connections; i++) {
    unsigned dir = nbd_aio_get_direction (m->nbd[i]);

    fd[i].fd = nbd_aio_get_fd (m->nbd[i]);
    fd[i].events = ((dir & LIBNBD_AIO_DIRECTION_READ) ? POLLIN : 0)
                   | ((dir & LIBNBD_AIO_DIRECTION_WRITE) ? POLLOUT : 0);
    fd[i].revents = 0;
  }
  if (poll (fd, m->connections, 1000) == -1 && errno != EINTR)
    die ("poll: %s", strerror (errno));
  for (unsigned i = 0; i < m->connections; i++) {
    unsigned dir = nbd_aio_get_direction (m->nbd[i]);
    int r = 0;

    if ((dir & LIBNBD_AIO_DIRECTION_READ)
        && (fd[i].revents & (POLLIN | POLLHUP | POLLERR)))
      r = nbd_aio_notify_read (m->nbd[i]);
    else if ((dir & LIBNBD_AIO_DIRECTION_WRITE) && (fd[i].revents & POLLOUT))
      r = nbd_aio_notify_write (m->nbd[i]);
    if (r == -1)
      die ("connection %u: %s", i, nbd_get_error ());
    if (nbd_aio_is_dead (m->nbd[i]) > 0 || nbd_aio_is_closed (m->nbd[i]) > 0)
      die ("connection %u was closed by the server", i);
  }
  if (now () - m->last_progress > STALL_SECONDS)
    die ("nothing completed for %d s", STALL_SECONDS);
}

/* -------------------------------------------------------------------- whole */

static void
connect_all (struct model *m, const char *uri)
{
  int64_t size, block;

  for (unsigned i = 0; i < m->connections; i++) {
    m->nbd[i] = nbd_create ();
    if (m->nbd[i] == NULL || nbd_connect_uri (m->nbd[i], uri) == -1)
      die ("%s", nbd_get_error ());
    if (i > 0 && nbd_can_multi_conn (m->nbd[i]) != 1)
      die ("more than one connection, and no multi-conn");
  }
  size = nbd_get_size (m->nbd[0]);
  if (size < (int64_t)m->max_bytes)
    die ("the export is smaller than a request");
  m->size = (uint64_t)size;
  block = nbd_get_block_size (m->nbd[0], LIBNBD_SIZE_MINIMUM);
  m->block = block > 0 ? (uint64_t)block : 1;
  if (m->max_bytes % m->block || m->size % m->block)
    die ("the export's smallest block has %" PRIu64 " bytes", m->block);
}

/* Reads everything: into the model at first, to compare it at last. */
static void
read_all (struct model *m, bool first)
{
  uint8_t *buf = allocate (1 << 20);

  for (uint64_t offset = 0, turns = 0; offset < m->size; turns++) {
    uint64_t bytes = MIN (m->size - offset, 1u << 20);

    if (nbd_pread (m->nbd[turns % m->connections], buf, bytes, offset, 0) == -1)
      die ("%s", nbd_get_error ());
    if (first) {
      memcpy (m->model + offset, buf, bytes);
      memcpy (m->alt + offset, buf, bytes);
    } else
      compare (m, buf, offset, bytes);
    offset += bytes;
  }
  free (buf);
}

static void
work (struct model *m, uint64_t ops, time_t seconds)
{
  time_t end = now () + seconds;
  uint64_t issued = 0;

  m->last_progress = now ();
  puts ("nbd-model: begins"); /* for scripts that wait for it */
  fflush (stdout);
  while (m->in_flight > 0 || (ops > 0 ? issued < ops : now () < end)) {
    for (unsigned i = 0; i < m->depth; i++) {
      if (m->op[i].busy || (ops > 0 ? issued >= ops : now () >= end))
        continue;
      issue (m, &m->op[i]);
      issued++;
    }
    turn (m);
  }
}

static void
write_out (const struct model *m, const char *path)
{
  FILE *f = fopen (path, "w");

  if (f == NULL || fwrite (m->model, 1, m->size, f) != m->size
      || fclose (f) != 0)
    die ("%s: %s", path, strerror (errno));
}

static uint64_t
number (const char *text)
{
  char *end;
  unsigned long long n;

  errno = 0;
  n = strtoull (text, &end, 10);
  if (errno != 0 || *end != 0 || end == text)
    die ("not a number: %s", text);
  return n;
}

struct options {
  uint64_t seed, ops, seconds;
  const char *out, *uri;
};

/* Depth, connections and the largest request go straight into the model. */
static void
parse (int argc, char **argv, struct options *o, struct model *m)
{
  static const struct option table[] = {
      {"seed", 1, NULL, 's'},        {"seconds", 1, NULL, 't'},
      {"ops", 1, NULL, 'n'},         {"depth", 1, NULL, 'd'},
      {"connections", 1, NULL, 'c'}, {"max-bytes", 1, NULL, 'm'},
      {"out", 1, NULL, 'o'},         {NULL, 0, NULL, 0}};
  uint64_t depth = 32, connections = 1;
  int c;

  m->max_bytes = 1 << 20;
  while ((c = getopt_long (argc, argv, "", table, NULL)) != -1) {
    if (c == 's')
      o->seed = number (optarg);
    else if (c == 't')
      o->seconds = number (optarg);
    else if (c == 'n')
      o->ops = number (optarg);
    else if (c == 'd')
      depth = number (optarg);
    else if (c == 'c')
      connections = number (optarg);
    else if (c == 'm')
      m->max_bytes = number (optarg);
    else if (c == 'o')
      o->out = optarg;
    else
      exit (2);
  }
  if (optind != argc - 1 || depth < 1 || depth > DEPTH_MAX || connections < 1
      || connections > CONNECTIONS_MAX || m->max_bytes < 1
      || m->max_bytes > 32u << 20)
    die ("usage: nbd-model [OPTIONS] URI; see the source");
  m->depth = (unsigned)depth;
  m->connections = (unsigned)connections;
  o->uri = argv[optind];
}

static void
report (const struct model *m, uint64_t seed)
{
  printf ("nbd-model: seed %" PRIu64 ": %" PRIu64 " reads (%" PRIu64
          " beside a write, not compared), %" PRIu64 " writes (%" PRIu64
          " overlapped), %" PRIu64 " with FUA, %" PRIu64 " flushes; %" PRIu64
          " bytes compared\n",
          seed, m->done[READ], m->tainted_reads,
          m->done[WRITE] + m->done[WRITE_FUA], m->overlapped_writes,
          m->done[WRITE_FUA], m->done[FLUSH], m->verified_bytes);
}

int
main (int argc, char **argv)
{
  struct model *m = allocate (sizeof *m);
  struct options o = {.seed = 1, .seconds = 5};

  parse (argc, argv, &o, m);
  m->random = mix (o.seed);
  connect_all (m, o.uri);
  m->model = allocate (m->size);
  m->alt = allocate (m->size);
  for (unsigned i = 0; i < m->depth; i++) {
    m->op[i].m = m;
    m->op[i].buf = allocate (m->max_bytes);
  }
  read_all (m, true);
  work (m, o.ops, (time_t)o.seconds);
  for (unsigned i = 0; i < m->connections; i++)
    if (nbd_flush (m->nbd[i], 0) == -1)
      die ("%s", nbd_get_error ());
  read_all (m, false);
  if (o.out != NULL)
    write_out (m, o.out);
  report (m, o.seed);
  for (unsigned i = 0; i < m->connections; i++) {
    nbd_shutdown (m->nbd[i], 0);
    nbd_close (m->nbd[i]);
  }
  for (unsigned i = 0; i < m->depth; i++)
    free (m->op[i].buf);
  free (m->model);
  free (m->alt);
  free (m);
  return EXIT_SUCCESS;
}
