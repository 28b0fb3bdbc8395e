/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/system/gateways.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define START_MS 30000
#define STOP_MS 15000

static uint64_t daemon_killed_ms; /* the last time */

void
die (const char *fmt, ...)
{
  va_list ap;

  va_start (ap, fmt);
  fputs ("coherence: ", stderr);
  vfprintf (stderr, fmt, ap);
  fputc ('\n', stderr);
  va_end (ap);
  exit (EXIT_FAILURE);
}

static void __attribute__ ((noreturn))
child (const struct gateway *g)
{
  int log = open (g->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  int null = open ("/dev/null", O_RDONLY);
  char *argv[64];
  unsigned n = 0;

  while (g->command[n] && n < 63) {
    argv[n] = g->command[n];
    if (strcmp (argv[n], "@SOCKET@") == 0)
      argv[n] = (char *)g->socket;
    n++;
  }
  argv[n] = NULL;
  if (log < 0 || dup2 (null, 0) < 0 || dup2 (log, 1) < 0 || dup2 (log, 2) < 0)
    _exit (126);
  execvp (argv[0], argv);
  _exit (127);
}

void
gateway_start (struct gateway *g)
{
  unlink (g->socket);
  g->state = GATEWAY_STARTING;
  g->started_ms = clock_now_ms ();
  g->pid = fork ();
  if (g->pid < 0)
    die ("fork: %s", strerror (errno));
  if (g->pid == 0)
    child (g);
}

void
gateway_try (struct gateway *g)
{
  int status;

  if (waitpid (g->pid, &status, WNOHANG) == g->pid) {
    /* Who opens a volume when the daemon goes is told to try again. */
    if (daemon_killed_ms < g->started_ms)
      die ("a gateway ended while it started: see %s", g->log);
    gateway_start (g);
    return;
  }
  if (clock_now_ms () - g->started_ms > START_MS)
    die ("a gateway does not start: see %s", g->log);
  if (access (g->socket, F_OK) < 0)
    return;
  for (unsigned i = 0; i < g->connections; i++) {
    g->nbd[i] = nbd_create ();
    if (!g->nbd[i])
      die ("%s", nbd_get_error ());
    if (nbd_connect_unix (g->nbd[i], g->socket) == 0)
      continue;
    /* It is there, but nobody listens yet. */
    if (i > 0 || nbd_get_errno () != ECONNREFUSED)
      die ("%s: %s", g->socket, nbd_get_error ());
    nbd_close (g->nbd[0]);
    return;
  }
  g->state = GATEWAY_UP;
}

static void
disconnect (struct gateway *g)
{
  for (unsigned i = 0; i < g->connections; i++) {
    nbd_close (g->nbd[i]);
    g->nbd[i] = NULL;
  }
}

/* nbd_close would drop commands without a word; at the end of the stream libnbd
 * ends them with an error, after the answers that are still in the socket.
 */
static void
run_dry (struct nbd_handle *nbd)
{
  while (nbd_aio_is_dead (nbd) == 0 && nbd_aio_is_closed (nbd) == 0)
    if (nbd_aio_get_direction (nbd) & LIBNBD_AIO_DIRECTION_READ)
      nbd_aio_notify_read (nbd);
    else
      nbd_aio_notify_write (nbd);
}

void
gateway_kill (struct gateway *g)
{
  kill (g->pid, SIGKILL);
  waitpid (g->pid, NULL, 0);
  g->killed = true;
  for (unsigned i = 0; i < g->connections; i++)
    run_dry (g->nbd[i]);
  disconnect (g);
  g->killed = false;
  if (g->in_flight)
    die ("%u commands of a dead gateway have not ended", g->in_flight);
  gateway_start (g);
}

void
gateway_stop (struct gateway *g)
{
  uint64_t until = clock_now_ms () + STOP_MS;
  struct timespec ts = {.tv_nsec = 10000000};
  int status;

  disconnect (g);
  kill (g->pid, SIGTERM);
  while (waitpid (g->pid, &status, WNOHANG) == 0) {
    if (clock_now_ms () > until)
      die ("a gateway does not end on SIGTERM: see %s", g->log);
    nanosleep (&ts, NULL);
  }
  if (!WIFEXITED (status) || WEXITSTATUS (status) != 0)
    die ("a gateway ended with status 0x%x: see %s", (unsigned)status, g->log);
}

void
gateway_stats (const struct gateway *g, uint64_t *hits, uint64_t *misses)
{
  FILE *f = fopen (g->log, "r");
  char line[1024];

  while (f && fgets (line, sizeof line, f)) {
    const char *at = strstr (line, "bulkhead: pages: ");
    unsigned long long h, m;

    if (at
        && sscanf (at, "bulkhead: pages: %llu from the cache, %llu times", &h,
                   &m) == 2) {
      *hits += h;
      *misses += m;
    }
  }
  if (f)
    fclose (f);
}

/* ------------------------------------------------------------ the processes */

/* Who listens at the daemon's socket; 0: nobody. */
static pid_t
daemon_pid (void)
{
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  const char *dir = getenv ("BULKHEAD_RUNTIME_DIR");
  struct ucred peer = {0};
  socklen_t n = sizeof peer;
  int s, length;

  if (!dir)
    die ("BULKHEAD_RUNTIME_DIR is not set");
  length = snprintf (a.sun_path, sizeof a.sun_path, "%s/bulkheadd.sock", dir);
  if (length >= (int)sizeof a.sun_path)
    die ("%s is too long", dir);
  s = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (s < 0)
    die ("socket: %s", strerror (errno));
  if (connect (s, (struct sockaddr *)&a, sizeof a) < 0
      || getsockopt (s, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
    peer.pid = 0;
  close (s);
  return peer.pid;
}

static bool
read_line (const char *path, char *dst, size_t bytes)
{
  FILE *f = fopen (path, "r");
  bool good = f && fgets (dst, (int)bytes, f);

  if (f)
    fclose (f);
  return good;
}

static bool
is_worker (pid_t pid)
{
  char path[64], name[64];

  snprintf (path, sizeof path, "/proc/%d/comm", (int)pid);
  return read_line (path, name, sizeof name)
         && strcmp (name, "bulkhead-worker\n") == 0;
}

/* Workers outlive their daemon: those that were its children are known. */
static struct {
  pid_t pid[WORKERS_MAX];
  unsigned n;
} known;

static void
note_workers (pid_t parent)
{
  char path[64], line[4096];
  char *at = line, *end;
  unsigned kept = 0;

  for (unsigned i = 0; i < known.n; i++)
    if (is_worker (known.pid[i]))
      known.pid[kept++] = known.pid[i];
  known.n = kept;
  snprintf (path, sizeof path, "/proc/%d/task/%d/children", (int)parent,
            (int)parent);
  if (!parent || !read_line (path, line, sizeof line))
    return;
  for (;; at = end) {
    pid_t pid = (pid_t)strtol (at, &end, 10);
    bool had = false;

    if (end == at)
      return;
    for (unsigned i = 0; i < known.n; i++)
      had |= known.pid[i] == pid;
    if (!had && known.n < WORKERS_MAX && is_worker (pid))
      known.pid[known.n++] = pid;
  }
}

bool
daemon_kill (void)
{
  pid_t pid = daemon_pid ();

  note_workers (pid);
  if (pid <= 1 || kill (pid, SIGKILL) < 0)
    return false;
  daemon_killed_ms = clock_now_ms ();
  return true;
}

bool
worker_kill (uint64_t random)
{
  note_workers (daemon_pid ());
  return known.n && kill (known.pid[random % known.n], SIGKILL) == 0;
}
