/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead bench: how fast one's own storage is, through nbdkit as any NBD
 * client sees it. Reads only, unless --write; that writes what it has just read
 * to the place where it was, so the contents are the same at every moment.
 */
#include "config.h"
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libnbd.h>

#include "cli/nbdkit.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/units.h"
#include "cli/view.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define DEPTH_MAX 32u
#define WORKING_SET (64ull << 20) /* of cached reads */
#define SCRATCH_BYTES (16u << 20)
#define CONNECT_MS 100
#define STALL_NS 60000000000ull
#define LOG_BYTES 8192 /* of nbdkit's words */
#define TMP_BYTES 80 /* with what comes behind it in a socket's address */

struct job {
  const char *name;
  uint32_t bytes;
  unsigned depth;
  bool random, writes, cached;
};

static const struct job jobs[] = {
    {"random read, 4 KiB, depth 1", 4096, 1, true, false, false},
    {"random read, 4 KiB, depth 32", 4096, 32, true, false, false},
    {"sequential read, 1 MiB, depth 4", 1 << 20, 4, false, false, false},
    {"cached random read, 4 KiB, depth 1", 4096, 1, true, false, true},
    {"cached random read, 4 KiB, depth 32", 4096, 32, true, false, true},
    {"random write, 4 KiB, depth 1", 4096, 1, true, true, false},
    {"random write, 4 KiB, depth 32", 4096, 32, true, true, false},
    {"sequential write, 1 MiB, depth 4", 1 << 20, 4, false, true, false},
};

#define JOBS (sizeof jobs / sizeof jobs[0])

struct outcome {
  bool done;
  double seconds;
  uint64_t requests;
  uint64_t bucket[STATS_BUCKETS];
};

struct bench;

struct slot {
  struct bench *bench;
  uint8_t *buf;
  uint64_t began_ns;
  bool busy;
};

struct bench {
  const struct cli *c;
  struct target target;
  struct nbdkit nbdkit;
  bool running; /* nbdkit is */
  int log_fd;   /* what nbdkit says; shown if it explains a failure */
  char dir[104], sock[108];
  struct nbd_handle *h;
  uint64_t size;
  double seconds;
  bool writes;
  uint8_t *scratch; /* what is there, of SCRATCH_BYTES or less */
  uint64_t scratch_at;
  uint32_t scratch_bytes;
  struct slot slot[DEPTH_MAX];
  struct outcome *now; /* of the job that runs */
  unsigned flying;
  int error;
  uint64_t seed;
  struct outcome outcome[JOBS];
};

/* The server */

static enum err
nbd_fault (const char *what, struct fault *f)
{
  return fault_set (f, ERR_IO, "%s: %s", what,
                    nbd_get_error () ? nbd_get_error () : "unknown error");
}

static void
stop (struct bench *b)
{
  if (b->h) {
    nbd_shutdown (b->h, 0);
    nbd_close (b->h);
    b->h = NULL;
  }
  if (b->running)
    nbdkit_stop (&b->nbdkit, 10000);
  b->running = false;
}

static enum err
serve (struct bench *b, bool cached, struct fault *f)
{
  const char *own[] = {"-U", b->sock, NULL};
  enum err e;

  stop (b);
  unlink (b->sock);
  if ((e = target_set (&b->target, "cache", cached ? "on" : "off", f))
      || (e = nbdkit_start (&b->target, own, DEPTH_MAX, NBDKIT_FOREGROUND,
                            b->log_fd, &b->nbdkit, f)))
    return e;
  b->running = true;
  while ((e = nbdkit_ready (&b->nbdkit, CONNECT_MS, f)) == ERR_AGAIN)
    if (session_interrupted ())
      return fault_set (f, ERR_SHUTDOWN, "interrupted");
  if (e)
    return e;
  b->h = nbd_create ();
  if (!b->h || nbd_connect_unix (b->h, b->sock) < 0)
    return nbd_fault ("cannot connect to nbdkit", f);
  b->size = (uint64_t)nbd_get_size (b->h);
  return ERR_OK;
}

/* Requests */

/* xorshift64*: any will do. */
static uint64_t
draw_number (struct bench *b)
{
  b->seed ^= b->seed >> 12;
  b->seed ^= b->seed << 25;
  b->seed ^= b->seed >> 27;
  return b->seed * 2685821657736338717u;
}

static int
on_done (void *user_data, int *error)
{
  struct slot *s = user_data;
  struct bench *b = s->bench;

  s->busy = false;
  b->flying--;
  if (*error) {
    b->error = b->error ? b->error : *error;
    return 1;
  }
  b->now->requests++;
  b->now->bucket[stats_bucket (clock_now_ns () - s->began_ns)]++;
  return 1;
}

/* The n-th request's place: within the volume, or what may be written. */
static uint64_t
place (struct bench *b, const struct job *j, uint64_t n)
{
  uint64_t first = j->writes ? b->scratch_at : 0;
  uint64_t bytes = j->writes ? b->scratch_bytes : b->size;
  uint64_t places;

  if (j->cached && bytes > WORKING_SET)
    bytes = WORKING_SET;
  places = bytes / j->bytes;
  return first + (j->random ? draw_number (b) : n) % places * j->bytes;
}

static int
issue (struct bench *b, const struct job *j, struct slot *s, uint64_t n)
{
  nbd_completion_callback done = {.callback = on_done, .user_data = s};
  uint64_t at = place (b, j, n);
  int64_t r;

  s->busy = true;
  b->flying++;
  s->began_ns = clock_now_ns ();
  if (j->writes)
    r = nbd_aio_pwrite (b->h, b->scratch + (at - b->scratch_at), j->bytes, at,
                        done, 0);
  else
    r = nbd_aio_pread (b->h, s->buf, j->bytes, at, done, 0);
  if (r >= 0)
    return 0;
  s->busy = false;
  b->flying--;
  return nbd_get_errno () ? nbd_get_errno () : EIO;
}

/* For so long; then what flies is awaited. */
static enum err
drive (struct bench *b, const struct job *j, double seconds, struct fault *f)
{
  uint64_t began_ns = clock_now_ns (), n = 0, last = 0;
  uint64_t end_ns = began_ns + (uint64_t)(seconds * 1e9);
  uint64_t stall_ns = began_ns + STALL_NS;
  bool more = true;

  b->error = 0;
  while (more || b->flying) {
    uint64_t now = clock_now_ns ();

    more = more && now < end_ns && !b->error && !session_interrupted ();
    for (unsigned i = 0; more && i < j->depth; i++)
      if (!b->slot[i].busy && (b->error = issue (b, j, &b->slot[i], n++)))
        break;
    if (b->flying && nbd_poll (b->h, 1000) < 0)
      return session_interrupted () ? fault_set (f, ERR_SHUTDOWN, "interrupted")
                                    : nbd_fault ("nbdkit has gone", f);
    if (b->now->requests != last) {
      last = b->now->requests;
      stall_ns = now + STALL_NS;
    } else if (now > stall_ns)
      return fault_set (f, ERR_TIMEOUT, "the server does not answer");
  }
  b->now->seconds = (double)(clock_now_ns () - began_ns) / 1e9;
  if (b->error)
    return fault_set (f, ERR_IO, "%s failed: %s", j->name,
                      strerrordesc_np (b->error));
  if (session_interrupted ())
    return fault_set (f, ERR_SHUTDOWN, "interrupted");
  return ERR_OK;
}

static bool
fits (const struct bench *b, const struct job *j)
{
  return (j->writes ? b->scratch_bytes : b->size) >= j->bytes;
}

/* Reads what cached reads will ask for, so that it is there. */
static enum err
warm (struct bench *b, struct fault *f)
{
  static const struct job all
      = {"reading ahead", 1 << 18, 4, false, false, true};
  struct outcome ignored = {0};

  if (b->size < all.bytes)
    return ERR_OK;
  b->now = &ignored;
  return drive (b, &all, b->seconds, f);
}

static enum err
run_jobs (struct bench *b, bool cached, bool writes, struct fault *f)
{
  enum err e = cached ? warm (b, f) : ERR_OK;

  for (size_t i = 0; i < JOBS && !e; i++) {
    if (jobs[i].cached != cached || jobs[i].writes != writes
        || !fits (b, &jobs[i]))
      continue;
    if (isatty (STDERR_FILENO))
      cli_note (b->c, "%s ...", jobs[i].name);
    b->now = &b->outcome[i];
    e = drive (b, &jobs[i], b->seconds, f);
    b->outcome[i].done = !e;
  }
  return e;
}

/* Writing */

/* What another process writes meanwhile would be overwritten. */
static enum err
check_alone (const struct bench *b, struct fault *f)
{
  CLEANUP_CLOSE int sock = -1;
  const struct status_gateway *mine = NULL;
  enum err e = ERR_OK;
  struct view v;

  if ((e = view_take (&sock, &v, f)))
    return e;
  for (unsigned i = 0; i < v.status.gateways; i++)
    if (v.status.gateway[i].pid == (uint32_t)b->nbdkit.server)
      mine = &v.status.gateway[i];
  if (!mine)
    e = fault_set (f, ERR_IO, "bulkheadd does not know this bench");
  for (unsigned i = 0; !e && i < v.status.gateways; i++) {
    const struct status_gateway *g = &v.status.gateway[i];

    if (g == mine || g->volume != mine->volume)
      continue;
    fault_set (f, ERR_AGAIN, "pid %u (%s) serves this volume: nothing is "
                             "written",
               g->pid, g->program);
    fault_hint (f, "end it first, or leave out --write");
    e = ERR_AGAIN;
  }
  view_free (&v);
  return e;
}

static enum err
check_write (const struct bench *b, struct fault *f)
{
  if (nbd_is_read_only (b->h) <= 0)
    return check_alone (b, f);
  fault_set (f, ERR_ROFS, "%.200s can only be read: nothing is written",
             b->target.url);
  fault_hint (f, "leave out --write; bulkhead probe says why");
  return ERR_ROFS;
}

static enum err
write_jobs (struct bench *b, struct fault *f)
{
  CLEANUP_FREE uint8_t *again = NULL;
  enum err e = check_write (b, f); /* once more, as time has passed */

  if (e)
    return e;
  b->scratch_bytes = b->size < SCRATCH_BYTES
                         ? (uint32_t)(b->size / 4096 * 4096)
                         : SCRATCH_BYTES;
  b->scratch_at = (b->size - b->scratch_bytes) / 4096 * 4096;
  if (!b->scratch_bytes)
    return ERR_OK;
  b->scratch = malloc (b->scratch_bytes);
  again = malloc (b->scratch_bytes);
  if (!b->scratch || !again)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if (nbd_pread (b->h, b->scratch, b->scratch_bytes, b->scratch_at, 0) < 0)
    return nbd_fault ("cannot read what would be written", f);
  e = run_jobs (b, false, true, f);
  if (nbd_flush (b->h, 0) < 0 && !e)
    e = nbd_fault ("cannot flush", f);
  if (!e && nbd_pread (b->h, again, b->scratch_bytes, b->scratch_at, 0) < 0)
    e = nbd_fault ("cannot read what was written", f);
  if (!e && memcmp (again, b->scratch, b->scratch_bytes) != 0)
    e = fault_set (f, ERR_RANGE,
                   "what is read back from %llu on is not what was written",
                   (unsigned long long)b->scratch_at);
  return e;
}

/* What came out */

static enum cli_status
print (const struct bench *b)
{
  struct table t = {.columns = 6, .right = {0, 1, 1, 1, 1, 1}};
  static const char *const head[]
      = {"", "REQUESTS/s", "RATE", "P50", "P95", "P99"};
  static const double part[] = {0.50, 0.95, 0.99};
  char text[32];

  for (unsigned i = 0; i < 6; i++)
    table_cell (&t, "%s", head[i]);
  for (size_t i = 0; i < JOBS; i++) {
    const struct outcome *o = &b->outcome[i];

    if (!o->done)
      continue;
    table_cell (&t, "%s", jobs[i].name);
    table_cell (&t, "%.0f", (double)o->requests / o->seconds);
    cli_bytes (text, sizeof text,
               (uint64_t)((double)o->requests * jobs[i].bytes / o->seconds));
    table_cell (&t, "%s/s", text);
    for (unsigned k = 0; k < 3; k++) {
      units_time (text, sizeof text,
                  stats_percentile_ns (o->bucket, part[k]));
      table_cell (&t, "%s", text);
    }
  }
  table_print (&t, b->c, stdout);
  table_fini (&t);
  return cli_flush (b->c);
}

static enum cli_status
print_json (const struct bench *b)
{
  json_t *all = json_array ();

  for (size_t i = 0; i < JOBS; i++) {
    const struct outcome *o = &b->outcome[i];

    if (o->done)
      json_array_append_new (
          all, json_pack ("{s:s, s:b, s:b, s:i, s:i, s:f, s:I, s:f, s:f, s:o}",
                          "job", jobs[i].name, "writes", (int)jobs[i].writes,
                          "cached", (int)jobs[i].cached, "request_bytes",
                          (int)jobs[i].bytes, "depth", (int)jobs[i].depth,
                          "seconds", o->seconds, "requests",
                          (json_int_t)o->requests, "requests_per_s",
                          (double)o->requests / o->seconds, "bytes_per_s",
                          (double)o->requests * jobs[i].bytes / o->seconds,
                          "latency", units_json_latency (o->bucket)));
  }
  return cli_json (b->c, json_pack ("{s:o, s:I, s:o}", "name",
                                    view_json_text (b->target.url), "size",
                                    (json_int_t)b->size, "results", all));
}

/* For the socket: in $TMPDIR, if a socket's address has room for that. */
static enum err
make_folder (struct bench *b, struct fault *f)
{
  const char *tmp = getenv ("TMPDIR");

  if (!tmp || tmp[0] != '/' || strlen (tmp) > TMP_BYTES)
    tmp = "/tmp";
  snprintf (b->dir, sizeof b->dir, "%.*s/bulkhead-bench-XXXXXX", TMP_BYTES,
            tmp);
  if (!mkdtemp (b->dir)) {
    fault_set (f, err_from_errno (errno), "cannot make a folder in %.100s: %s",
               tmp, strerror (errno));
    b->dir[0] = 0;
    return f->code;
  }
  snprintf (b->sock, sizeof b->sock, "%s/s", b->dir);
  return ERR_OK;
}

static void
show_log (const struct bench *b)
{
  char text[LOG_BYTES];
  ssize_t n = pread (b->log_fd, text, sizeof text, 0);

  if (n > 0)
    fwrite (text, 1, (size_t)n, stderr);
}

static enum err
prepare (struct bench *b, struct fault *f)
{
  unsigned long seconds;
  unsigned next;
  enum err e;

  if ((e = cli_number (b->c, "seconds", 1, 60, 3, &seconds, f))
      || (e = target_open (b->c, 0, &b->target, &next, f)))
    return e;
  if (next < b->c->args)
    return fault_set (f, ERR_INVAL, "\"%s\" is not KEY=VALUE", b->c->arg[next]);
  b->seconds = (double)seconds;
  b->log_fd = memfd_create ("nbdkit", MFD_CLOEXEC);
  if (b->log_fd < 0)
    return fault_set (f, ERR_NOMEM, "out of memory");
  b->writes = cli_has (b->c, "write");
  if (!b->writes && (e = target_set (&b->target, "readonly", "yes", f)))
    return e;
  for (unsigned i = 0; i < DEPTH_MAX; i++) {
    b->slot[i].bench = b;
    if (!(b->slot[i].buf = malloc (1 << 20)))
      return fault_set (f, ERR_NOMEM, "out of memory");
  }
  return make_folder (b, f);
}

static enum err
measure (struct bench *b, struct fault *f)
{
  enum err e;

  if ((e = serve (b, false, f)))
    return e;
  if (b->size < 4096)
    return fault_set (f, ERR_INVAL, "%.200s is too small to be measured: %llu "
                                    "bytes",
                      b->target.url, (unsigned long long)b->size);
  if (b->writes && (e = check_write (b, f)))
    return e;
  if ((e = run_jobs (b, false, false, f))
      || (b->writes && (e = write_jobs (b, f))))
    return e;
  if ((e = serve (b, true, f)))
    return e;
  return run_jobs (b, true, false, f);
}

static enum cli_status
run (struct cli *c)
{
  CLEANUP_FREE struct bench *b = calloc (1, sizeof *b);
  enum cli_status status;
  struct fault f = {0};
  enum err e;

  if (!b) {
    fault_set (&f, ERR_NOMEM, "out of memory");
    return cli_fault (c, &f);
  }
  b->c = c;
  b->log_fd = -1;
  b->seed = clock_now_ns () | 1;
  session_catch_signals ();
  if (!(e = prepare (b, &f)))
    e = measure (b, &f);
  stop (b);
  if (b->dir[0]) {
    unlink (b->sock);
    rmdir (b->dir);
  }
  if (b->nbdkit.server && (f.code == ERR_IO || f.code == ERR_TIMEOUT))
    show_log (b);
  cleanup_close (&b->log_fd);
  if (e)
    status = f.code == ERR_RANGE ? (cli_fault (c, &f), CLI_DIFFERS)
                                 : cli_fault (c, &f);
  else
    status = c->json ? print_json (b) : print (b);
  for (unsigned i = 0; i < DEPTH_MAX; i++)
    free (b->slot[i].buf);
  free (b->scratch);
  target_free (&b->target);
  return status;
}

static const struct cli_option options[] = {
    {"seconds", 's', "N", CLI_WORD, "measure each for so long (default: 3)"},
    {"write", 0, NULL, CLI_WORD,
     "write, too: what is there already, to where it is"},
    {0},
};

const struct command command_bench = {
    .name = "bench",
    .summary = "measure how fast a volume is",
    .synopsis = "URL|NAME [KEY=VALUE]...",
    .description =
        "Serves a volume by nbdkit at a private socket and measures random "
        "and\n"
        "sequential reads, without the cache and with it: requests a second,\n"
        "rate and latency percentiles. Writes nothing, unless --write; that\n"
        "writes the last 16 MiB with what they hold, and is refused while\n"
        "another process serves the volume.",
    .flags = COMMAND_JSON | COMMAND_PARAMETERS | COMMAND_LOOKS,
    .args_min = 1,
    .args_max = OPTIONS_PAIRS,
    .args = {CLI_VOLUME, CLI_WORD},
    .options = options,
    .run = run,
};
