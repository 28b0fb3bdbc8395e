/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkheadd: owns the shared cache, starts and replaces workers, resolves,
 * dials, holds the credentials.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/daemon.h"
#include "cache/orphans.h"
#include "cache/server.h"
#include "cache/shared.h"
#include "cache/status.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "ipc/connect.h"
#include "ipc/runtime.h"
#include "sandbox/cgroup.h"

#define IDLE_TIMEOUT_S 60
#define IDLE_TIMEOUT_MAX_S 86400
#define LOG_BYTES_MAX (1 << 20)
/* Of a daemon that runs on: then it begins anew. */
#define LOG_BYTES_FULL (64u << 20)
/* A daemon that is just ending lets go of its lock soon. */
#define PREDECESSOR_NS 2000000000ull
#define RETAIN_S 60
#define RETAIN_MAX_S 86400
#define CACHE_BYTES (256ull << 20)
#define CACHE_BYTES_MAX (1ull << 40)
/* The default is no more than this part of all memory. */
#define CACHE_MEMORY_PART 8
/* 64 volumes with about 25 each. */
#define OPEN_FILES 2048
#define HOST_OPEN_FILES 16384
/* What a user may have of a host's daemon. */
#define VOLUMES_PER_UID 16
#define WORKERS_PER_UID 32
#define MEMORY_PER_UID (9ull << 30)
#define DIALS_PER_UID 240
#define PER_UID_MAX 100000

struct options {
  bool foreground;
  bool private;
  int ready_fd; /* -1: none */
  unsigned idle_timeout_s;
  struct shared_limits limits;
  enum log_level log_level;
  bool host;
  mode_t socket_mode;
  struct quota_limits quota;
};

struct program {
  struct options options;
  char dir[RUNTIME_DIR_BYTES];
  int lock_fd;
  int log_fd;
  uint64_t log_bytes;
  struct log log;
  struct daemon daemon;
  struct server *server;
  ev_signal term, intr;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static const char usage[] =
    "usage: bulkheadd [options]\n"
    "\n"
    "Starts and replaces the workers of bulkhead's gateways. A gateway that\n"
    "finds no daemon starts a private one by itself.\n"
    "\n"
    "  --foreground            log to stderr instead of bulkheadd.log\n"
    "  --private               end when no gateway is connected for a while\n"
    "  --idle-timeout=SECONDS  how long a while is (default: 60)\n"
    "  --cache-size=BYTES      memory for cached pages of all volumes (K, M or "
    "G\n"
    "                          may follow; 0: no cache; default: 256M, or an\n"
    "                          eighth of all memory if that is less)\n"
    "  --retain=SECONDS        how long a volume's cache outlives its last\n"
    "                          gateway (default: 60)\n"
    "  --host                  root only: serve all users of this host\n"
    "  --socket-mode=MODE      with --host: mode of the socket "
    "(default: 0666)\n"
    "  --volumes-per-uid=N, --workers-per-uid=N, --memory-per-uid=BYTES,\n"
    "  --dials-per-uid=N       with --host: what a user other than root may "
    "have\n"
    "                          (default: 16, 32, 9G, and 240 a minute)\n"
    "  --log-level=LEVEL       error, warn, info (default) or debug\n"
    "  --ready-fd=N            write \"ok\" there once it serves, or what is "
    "wrong\n"
    "  --help                  this text\n"
    "  --version               the version\n"
    "\n"
    "Files are in $BULKHEAD_RUNTIME_DIR, or /run/bulkhead for root, or\n"
    "$XDG_RUNTIME_DIR/bulkhead, or /tmp/bulkhead-UID. See bulkheadd(8).\n";

static bool
parse_number (const char *text, long max, long *ret)
{
  char *end;
  long n;

  errno = 0;
  n = strtol (text, &end, 10);
  if (errno || end == text || *end || n < 0 || n > max)
    return false;
  *ret = n;
  return true;
}

/* "64M" */
static bool
parse_bytes (const char *text, uint64_t max, uint64_t *ret)
{
  static const char units[] = "KMG";
  const char *unit;
  char *end;
  unsigned long long n;
  unsigned shift = 0;

  errno = 0;
  n = strtoull (text, &end, 10);
  if (errno || end == text || text[0] == '-')
    return false;
  if (*end && (unit = strchr (units, *end))) {
    shift = 10 * (unsigned)(unit - units + 1);
    end++;
  }
  if (*end || n > max >> shift)
    return false;
  *ret = n << shift;
  return true;
}

static uint64_t
default_cache_bytes (void)
{
  long pages = sysconf (_SC_PHYS_PAGES), page_bytes = sysconf (_SC_PAGESIZE);
  uint64_t part = pages > 0 && page_bytes > 0
                      ? (uint64_t)pages * (uint64_t)page_bytes
                            / CACHE_MEMORY_PART
                      : CACHE_BYTES;

  return part < CACHE_BYTES ? part : CACHE_BYTES;
}

static bool
parse_mode (const char *text, mode_t *ret)
{
  char *end;
  unsigned long n;

  errno = 0;
  n = strtoul (text, &end, 8);
  if (errno || end == text || *end || text[0] == '-' || (n & ~0666ul)
      || (n & 0600) != 0600)
    return false;
  *ret = (mode_t)n;
  return true;
}

static bool
parse_count (const char *text, unsigned *ret)
{
  long n;

  if (!parse_number (text, PER_UID_MAX, &n) || n == 0)
    return false;
  *ret = (unsigned)n;
  return true;
}

static bool
parse_level (const char *text, enum log_level *ret)
{
  for (unsigned i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
    if (strcmp (level_names[i], text) == 0) {
      *ret = (enum log_level)i;
      return true;
    }
  return false;
}

/* Exits for --help, --version and what is wrong. */
static void
parse_options (int argc, char **argv, struct options *o)
{
  enum {
    FOREGROUND = 1,
    PRIVATE,
    READY_FD,
    IDLE,
    CACHE_SIZE,
    RETAIN,
    LEVEL,
    HOST,
    SOCKET_MODE,
    VOLUMES,
    WORKERS,
    MEMORY,
    DIALS,
    HELP,
    SHOW_VERSION
  };
  static const struct option table[] = {
      {"foreground", no_argument, NULL, FOREGROUND},
      {"private", no_argument, NULL, PRIVATE},
      {"ready-fd", required_argument, NULL, READY_FD},
      {"idle-timeout", required_argument, NULL, IDLE},
      {"cache-size", required_argument, NULL, CACHE_SIZE},
      {"retain", required_argument, NULL, RETAIN},
      {"log-level", required_argument, NULL, LEVEL},
      {"host", no_argument, NULL, HOST},
      {"socket-mode", required_argument, NULL, SOCKET_MODE},
      {"volumes-per-uid", required_argument, NULL, VOLUMES},
      {"workers-per-uid", required_argument, NULL, WORKERS},
      {"memory-per-uid", required_argument, NULL, MEMORY},
      {"dials-per-uid", required_argument, NULL, DIALS},
      {"help", no_argument, NULL, HELP},
      {"version", no_argument, NULL, SHOW_VERSION},
      {0},
  };
  int c, at = -1;
  long n = 0;
  bool ok = true;

  while (ok && (c = getopt_long (argc, argv, "", table, &at)) != -1)
    switch (c) {
    case FOREGROUND:
      o->foreground = true;
      break;
    case PRIVATE:
      o->private = true;
      break;
    case READY_FD:
      ok = parse_number (optarg, 1 << 20, &n);
      o->ready_fd = (int)n;
      break;
    case IDLE:
      ok = parse_number (optarg, IDLE_TIMEOUT_MAX_S, &n) && n > 0;
      o->idle_timeout_s = (unsigned)n;
      break;
    case CACHE_SIZE:
      ok = parse_bytes (optarg, CACHE_BYTES_MAX, &o->limits.cache_bytes);
      break;
    case RETAIN:
      ok = parse_number (optarg, RETAIN_MAX_S, &n);
      o->limits.retain_s = (double)n;
      break;
    case LEVEL:
      ok = parse_level (optarg, &o->log_level);
      break;
    case HOST:
      o->host = true;
      break;
    case SOCKET_MODE:
      ok = parse_mode (optarg, &o->socket_mode);
      break;
    case VOLUMES:
      ok = parse_count (optarg, &o->quota.volumes);
      break;
    case WORKERS:
      ok = parse_count (optarg, &o->quota.workers);
      break;
    case MEMORY:
      ok = parse_bytes (optarg, CACHE_BYTES_MAX, &o->quota.memory_bytes);
      break;
    case DIALS:
      ok = parse_count (optarg, &o->quota.dials);
      break;
    case HELP:
      fputs (usage, stdout);
      exit (EXIT_SUCCESS);
    case SHOW_VERSION:
      puts ("bulkheadd " PACKAGE_VERSION);
      exit (EXIT_SUCCESS);
    default: /* getopt has said it */
      at = -1;
      ok = false;
    }
  if (ok && optind == argc)
    return;
  if (ok)
    fprintf (stderr, "bulkheadd: \"%s\" is no option", argv[optind]);
  else if (at >= 0)
    fprintf (stderr, "bulkheadd: --%s=%s is not what that takes",
             table[at].name, optarg);
  else
    fputs ("bulkheadd: wrong arguments", stderr);
  fputs ("; see bulkheadd --help\n", stderr);
  exit (EXIT_FAILURE);
}

/* Log */

static void
emit_file (void *ctx, enum log_level level, const char *line)
{
  struct program *p = ctx;
  char out[1200], when[32];
  struct timespec now;
  struct tm tm;
  int n;
  ssize_t ignored;

  clock_gettime (CLOCK_REALTIME, &now);
  localtime_r (&now.tv_sec, &tm);
  strftime (when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
  n = snprintf (out, sizeof out, "%s.%03d bulkheadd[%d]: %s: %s\n", when,
                (int)(now.tv_nsec / 1000000), (int)getpid (),
                level_names[level], line);
  if (n > (int)sizeof out - 1)
    n = sizeof out - 1;
  /* Whoever may talk to us can make us say something. */
  p->log_bytes += (uint64_t)n;
  if (p->log_bytes > LOG_BYTES_FULL && ftruncate (p->log_fd, 0) == 0)
    p->log_bytes = (uint64_t)n;
  ignored = write (p->log_fd, out, (size_t)n);
  (void)ignored;
}

static enum err
open_log (struct program *p, struct fault *f)
{
  char path[RUNTIME_DIR_BYTES + 32];
  struct stat st;

  p->log = (struct log){.level = p->options.log_level,
                        .emit = log_emit_stderr,
                        .ctx = (void *)"bulkheadd"};
  p->daemon.log = &p->log;
  p->daemon.child_stderr_fd = -1;
  if (!p->options.foreground) {
    snprintf (path, sizeof path, "%s/" RUNTIME_LOG, p->dir);
    p->log_fd = open (
        path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->log_fd < 0 || fstat (p->log_fd, &st) < 0)
      return fault_set (f, err_from_errno (errno), "cannot open %s: %s", path,
                        strerror (errno));
    if (st.st_size > LOG_BYTES_MAX && ftruncate (p->log_fd, 0) < 0)
      return fault_set (f, ERR_IO, "cannot truncate %s", path);
    p->log_bytes = (uint64_t)st.st_size;
    p->log.emit = emit_file;
    p->log.ctx = p;
    /* What libraries and sanitizers have to say belongs there too. */
    dup2 (p->log_fd, STDERR_FILENO);
  }
#if defined BH_ASAN || defined BH_UBSAN || defined BH_TSAN
  p->daemon.child_stderr_fd = STDERR_FILENO;
#endif
  return ERR_OK;
}

/* Start */

static void
harden (bool host)
{
  rlim_t wanted = host ? HOST_OPEN_FILES : OPEN_FILES;
  struct rlimit files;

  /* Keys are in this memory: no core file, no debugger. */
  setrlimit (RLIMIT_CORE, &(struct rlimit){0, 0});
  prctl (PR_SET_DUMPABLE, 0, 0, 0, 0);
  prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  umask (077);
  signal (SIGPIPE, SIG_IGN);
  signal (SIGHUP, SIG_IGN);
  if (getrlimit (RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < wanted) {
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    setrlimit (RLIMIT_NOFILE, &files);
  }
}

static enum err
find_helpers (struct daemon *d, struct fault *f)
{
  if (runtime_program (BULKHEAD_LIBEXECDIR, "bulkhead-worker", d->worker_path,
                       sizeof d->worker_path)
      || runtime_program (BULKHEAD_LIBEXECDIR, "bulkhead-resolve",
                          d->resolver_path, sizeof d->resolver_path)
      || runtime_program (BULKHEAD_LIBEXECDIR, "bulkhead-relay", d->relay_path,
                          sizeof d->relay_path)
      || d->worker_path[0] != '/')
    return fault_set (f, ERR_INVAL,
                      "BULKHEAD_LIBEXEC_DIR must be an absolute "
                      "path that is not too long");
  if (access (d->worker_path, X_OK) < 0) {
    fault_set (f, ERR_NOENT, "cannot execute %s: %s", d->worker_path,
               strerror (errno));
    return ERR_NOENT;
  }
  return ERR_OK;
}

/* Who holds this lock serves the folder, as long as it lives. */
static enum err
take_over (struct program *p, struct fault *f)
{
  char pid[16];
  enum err e = runtime_lock (p->dir, RUNTIME_PID, PREDECESSOR_NS, &p->lock_fd);
  int n;

  if (e == ERR_AGAIN)
    return fault_set (f, e, "another bulkheadd serves %s", p->dir);
  if (e)
    return fault_set (f, e, "cannot lock %s/" RUNTIME_PID ": %s", p->dir,
                      err_text (e));
  n = snprintf (pid, sizeof pid, "%d\n", (int)getpid ());
  if (ftruncate (p->lock_fd, 0) < 0
      || pwrite (p->lock_fd, pid, (size_t)n, 0) != n)
    return fault_set (f, ERR_IO, "cannot write %s/" RUNTIME_PID, p->dir);
  return ERR_OK;
}

/* So that no gateway meets us while we end, the lock of those who start
 * daemons is held to the very end of the process.
 */
static void
on_idle (void *ctx)
{
  struct program *p = ctx;
  int lock;

  if (runtime_lock (p->dir, RUNTIME_LOCK, 0, &lock))
    return; /* somebody is looking for us right now */
  if (!server_retire (p->server)) {
    close (lock);
    return;
  }
  log_write (&p->log, LOG_LEVEL_INFO, "no client for %u s: ends",
             p->options.idle_timeout_s);
  ev_break (p->daemon.loop, EVBREAK_ALL);
}

static void
on_signal (struct ev_loop *loop, ev_signal *w, int events)
{
  struct program *p = w->data;

  (void)events;
  log_write (&p->log, LOG_LEVEL_INFO, "signal %d: ends", w->signum);
  ev_break (loop, EVBREAK_ALL);
}

/* Others may pass through the folder to the socket; all else in it is 0600 or
 * 0700, and nobody but root can write there.
 */
static enum err
open_to_host (struct program *p, struct fault *f)
{
  if (!p->options.host)
    return daemon_host_tied (p->dir)
             ? fault_set (f, ERR_AGAIN,
                          "gateways of this user belong to the host's "
                          "bulkheadd: end them first")
             : ERR_OK;
  if (geteuid () != 0)
    return fault_set (f, ERR_ACCESS, "--host: only root can serve the host");
  if (chmod (p->dir, 0711) < 0)
    return fault_set (f, err_from_errno (errno), "cannot open %s to others: %s",
                      p->dir, strerror (errno));
  p->daemon.host = true;
  p->daemon.socket_mode = p->options.socket_mode;
  quota_init (&p->daemon.quota, &p->options.quota);
  grace_open (&p->daemon.grace, p->dir, clock_now_ns ());
  return ERR_OK;
}

static enum err
start (struct program *p, struct fault *f)
{
  char controllers[200];
  struct ev_loop *loop;
  enum err e;

  if ((e = runtime_dir (p->dir, f)) || (e = take_over (p, f))
      || (e = open_to_host (p, f))
      || (e = open_log (p, f)) || (e = find_helpers (&p->daemon, f)))
    return e;
  loop = p->daemon.loop = ev_loop_new (EVFLAG_NOENV);
  if (!loop)
    return fault_set (f, ERR_IO, "cannot make an event loop");
  ev_signal_init (&p->term, on_signal, SIGTERM);
  ev_signal_init (&p->intr, on_signal, SIGINT);
  p->term.data = p->intr.data = p;
  ev_signal_start (loop, &p->term);
  ev_signal_start (loop, &p->intr);
  p->daemon.began_ns = clock_now_ns ();
  if ((e = shared_set_open (&p->daemon, p->dir, &p->options.limits,
                            &p->daemon.volumes, f)))
    return e;
  if (grace_left_ns (&p->daemon.grace, clock_now_ns ()))
    orphans_find (&p->daemon);
  if ((e = server_open (&p->daemon, p->dir,
                        p->options.private ? p->options.idle_timeout_s : 0,
                        on_idle, p, &p->server, f)))
    return e;
  /* Last, as nothing may fail behind it and leave it divided. Nobody is served
   * before the loop runs.
   */
  p->daemon.cgroup = sbx_cgroup_open (controllers, sizeof controllers);
  log_write (&p->log, LOG_LEVEL_DEBUG, "limits of workers by cgroups: %s",
             controllers);
  return ERR_OK;
}

static void
tell_ready (int fd, const char *line)
{
  char out[400];
  int n;
  ssize_t ignored;

  if (fd < 0)
    return;
  n = snprintf (out, sizeof out, "%s\n", line);
  ignored = write (fd, out, n < (int)sizeof out ? (size_t)n : sizeof out - 1);
  (void)ignored;
  close (fd);
}

int
main (int argc, char **argv)
{
  static struct program p = {
      .options = {.ready_fd = -1,
                  .idle_timeout_s = IDLE_TIMEOUT_S,
                  .limits = {.retain_s = RETAIN_S},
                  .log_level = LOG_LEVEL_INFO,
                  .socket_mode = 0666,
                  .quota = {.volumes = VOLUMES_PER_UID,
                            .workers = WORKERS_PER_UID,
                            .memory_bytes = MEMORY_PER_UID,
                            .dials = DIALS_PER_UID}},
      .lock_fd = -1,
      .log_fd = -1,
  };
  struct fault f = {0};

  p.options.limits.cache_bytes = default_cache_bytes ();
  parse_options (argc, argv, &p.options);
  harden (p.options.host);
  if (p.options.ready_fd >= 0)
    fcntl (p.options.ready_fd, F_SETFD, FD_CLOEXEC);
  if (start (&p, &f)) {
    if (p.log.emit)
      log_fault (&p.log, "cannot start", &f);
    if (!p.log.emit || !p.options.foreground)
      fprintf (stderr, "bulkheadd: %s%s%s\n", f.text, f.hint[0] ? "; " : "",
               f.hint);
    tell_ready (p.options.ready_fd, f.text);
    return EXIT_FAILURE;
  }
  log_write (&p.log, LOG_LEVEL_INFO, "bulkheadd " PACKAGE_VERSION " serves %s",
             p.dir);
  tell_ready (p.options.ready_fd, "ok");
  ev_run (p.daemon.loop, 0);
  /* Workers live on as long as their gateways: nothing is taken down. */
  server_abandon (p.server);
  shared_set_close (p.daemon.volumes);
  sbx_cgroup_close (p.daemon.cgroup);
  if (p.options.host)
    closer_outlive (&p.lock_fd, 1);
  return EXIT_SUCCESS;
}
