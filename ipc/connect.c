/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "ipc/control.h"
#include "ipc/runtime.h"

#define NS_PER_S 1000000000ull
#define READY_FD 3
/* A daemon that was just ending closes the connection before HELLO. */
#define CONNECT_TRIES 4
#define ENVIRONMENT 64

extern char **environ;

static uint64_t
left_ns (uint64_t deadline_ns)
{
  uint64_t now = clock_now_ns ();

  return deadline_ns > now ? deadline_ns - now : 0;
}

/* What a daemon needs of the caller's environment; it outlives the caller's
 * session, so it does not take along the rest. ret_env ends with NULL.
 */
static void
daemon_environment (char *ret_env[ENVIRONMENT])
{
  static const char *const wanted[] = {"BULKHEAD_",     "PATH=",
                                       "HOME=",         "USER=",
                                       "TZ=",           "XDG_RUNTIME_DIR=",
                                       "RES_OPTIONS=",  "LOCALDOMAIN=",
                                       "ASAN_OPTIONS=", "UBSAN_OPTIONS=",
                                       "LSAN_OPTIONS=", "TSAN_OPTIONS="};
  size_t n = 0;

  for (char **e = environ; *e && n < ENVIRONMENT - 1; e++)
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
      if (strncmp (*e, wanted[i], strlen (wanted[i])) == 0) {
        ret_env[n++] = *e;
        break;
      }
  ret_env[n] = NULL;
}

/* In the grandchild; between fork and exec of a process that may have had
 * threads: async-signal-safe calls only.
 */
static _Noreturn void
exec_daemon (const char *path, char *const env[], int ready_fd)
{
  static char name[] = "bulkheadd", private[] = "--private",
              ready[] = "--ready-fd=3";
  char *argv[] = {name, private, ready, NULL};
  static const char why[] = "cannot execute it\n";
  sigset_t none;
  int null = open ("/dev/null", O_RDWR);
  ssize_t ignored;

  for (int sig = 1; sig < NSIG; sig++)
    signal (sig, SIG_DFL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  umask (077);
  if (chdir ("/") < 0 || null < 0)
    _exit (127);
  /* ready_fd may be below 3 when the caller closed its stdio. */
  ready_fd = fcntl (ready_fd, F_DUPFD, READY_FD + 1);
  null = fcntl (null, F_DUPFD, READY_FD + 1);
  if (ready_fd < 0 || null < 0 || dup2 (null, 0) < 0 || dup2 (null, 1) < 0
      || dup2 (null, 2) < 0 || dup2 (ready_fd, READY_FD) < 0)
    _exit (127);
  close_range (READY_FD + 1, ~0u, 0);
  execve (path, argv, env);
  ignored = write (READY_FD, why, sizeof why - 1);
  (void)ignored;
  _exit (127);
}

/* Two forks, so that the daemon is nobody's child and no session's leader. */
static enum err
spawn_detached (const char *path, int ready_fd)
{
  char *env[ENVIRONMENT];
  pid_t pid;
  int status;

  daemon_environment (env);
  pid = fork ();
  if (pid < 0)
    return err_from_errno (errno);
  if (pid == 0) {
    if (setsid () < 0)
      _exit (127);
    pid = fork ();
    if (pid == 0)
      exec_daemon (path, env, ready_fd);
    _exit (pid < 0 ? 127 : 0);
  }
  while (waitpid (pid, &status, 0) < 0)
    if (errno != EINTR)
      return ERR_OK; /* the caller ignores SIGCHLD: the pipe will tell */
  return WIFEXITED (status) && WEXITSTATUS (status) == 0 ? ERR_OK : ERR_NOMEM;
}

/* Reads the daemon's one line: "ok", or what was wrong. */
static enum err
read_ready (int fd, const char *path, uint64_t deadline_ns, struct fault *f)
{
  char line[400];
  size_t used = 0;

  for (;;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int timeout_ms = (int)(left_ns (deadline_ns) / 1000000);
    ssize_t n;

    if (poll (&p, 1, timeout_ms) <= 0 && left_ns (deadline_ns) == 0)
      return fault_set (f, ERR_TIMEOUT, "%s did not get ready in time", path);
    if (!p.revents)
      continue;
    n = read (fd, line + used, sizeof line - 1 - used);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    used += (size_t)n;
    if (memchr (line, '\n', used) || used == sizeof line - 1)
      break;
  }
  line[used] = 0;
  line[strcspn (line, "\n")] = 0;
  if (strcmp (line, "ok") == 0)
    return ERR_OK;
  return fault_set (f, ERR_IO, "cannot start %s: %s", path,
                    line[0] ? line : "it ended at once");
}

static enum err
start_daemon (uint64_t deadline_ns, struct fault *f)
{
  char path[4096];
  CLEANUP_CLOSE int r = -1;
  CLEANUP_CLOSE int w = -1;
  int pipe_fd[2];
  enum err e;

  if (runtime_program (BULKHEAD_SBINDIR, "bulkheadd", path, sizeof path))
    return fault_set (f, ERR_LIMIT, "the path of bulkheadd is too long");
  if (access (path, X_OK) < 0) {
    e = errno == ENOENT ? ERR_NOTSUP : err_from_errno (errno);
    fault_set (f, e, "cannot start the daemon %s: %s", path, strerror (errno));
    fault_hint (f, "install it, or set BULKHEAD_LIBEXEC_DIR to its folder");
    return e;
  }
  if (pipe2 (pipe_fd, O_CLOEXEC) < 0)
    return fault_set (f, err_from_errno (errno), "pipe: %s", strerror (errno));
  r = pipe_fd[0];
  w = pipe_fd[1];
  if ((e = spawn_detached (path, w)))
    return fault_set (f, e, "cannot start %s: %s", path, err_text (e));
  close (steal_fd (&w));
  return read_ready (r, path, deadline_ns, f);
}

/* ERR_NOENT: nobody serves there. */
static enum err
try_connect (const struct sockaddr_un *sa, uint64_t deadline_ns, int *ret_sock,
             struct fault *f)
{
  uint64_t left = left_ns (deadline_ns) + 1000;
  struct timeval tv = {.tv_sec = (time_t)(left / NS_PER_S),
                       .tv_usec = (suseconds_t)(left % NS_PER_S / 1000)};
  CLEANUP_CLOSE int sock = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  struct ucred cred;
  socklen_t n = sizeof cred;

  if (sock < 0)
    return fault_set (f, err_from_errno (errno), "socket: %s",
                      strerror (errno));
  /* connect waits while the daemon's backlog is full. */
  setsockopt (sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
  if (connect (sock, (const struct sockaddr *)sa, sizeof *sa) < 0) {
    if (errno == ENOENT || errno == ECONNREFUSED)
      return ERR_NOENT;
    return fault_set (f, err_from_errno (errno), "cannot connect to %s: %s",
                      sa->sun_path, strerror (errno));
  }
  if (getsockopt (sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
    return fault_set (f, ERR_IO, "SO_PEERCRED: %s", strerror (errno));
  if (cred.uid != geteuid () && cred.uid != 0) {
    fault_set (f, ERR_ACCESS, "the daemon at %s belongs to uid %u",
               sa->sun_path, (unsigned)cred.uid);
    fault_hint (f, "set BULKHEAD_RUNTIME_DIR to a folder of your own");
    return ERR_ACCESS;
  }
  *ret_sock = steal_fd (&sock);
  return ERR_OK;
}

/* Where to look, and what is chosen. */
struct search {
  char dir[RUNTIME_DIR_BYTES]; /* own */
  struct sockaddr_un own, host;
  bool has_host;
  bool start; /* one, if there is none */
  struct daemon_tie *tie;
  uint64_t deadline_ns;
};

#define TIE_BYTE(host) ((host) ? 1 : 0)

static int
open_ties (const char *dir)
{
  char path[RUNTIME_DIR_BYTES + 32];

  snprintf (path, sizeof path, "%s/" RUNTIME_TIES, dir);
  return open (path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* If the kernel does not say: no. */
static bool
is_tied (const char *dir, bool host)
{
  struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET,
                    .l_start = TIE_BYTE (host), .l_len = 1};
  CLEANUP_CLOSE int fd = open_ties (dir);

  return fd >= 0 && fcntl (fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

bool
daemon_host_tied (const char *dir)
{
  return is_tied (dir, true);
}

static enum err
tie_to (const struct search *s, bool host, struct fault *f)
{
  struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET,
                    .l_start = TIE_BYTE (host), .l_len = 1};
  CLEANUP_CLOSE int fd = -1;

  if (s->tie->fd >= 0)
    return ERR_OK;
  fd = open_ties (s->dir);
  if (fd < 0 || fcntl (fd, F_OFD_SETLK, &l) < 0)
    return fault_set (f, err_from_errno (errno),
                      "cannot lock %s/" RUNTIME_TIES ": %s", s->dir,
                      strerror (errno));
  s->tie->fd = steal_fd (&fd);
  s->tie->host = host;
  return ERR_OK;
}

static enum err
wait_for_host (struct fault *f)
{
  fault_set (f, ERR_AGAIN, "the host's bulkheadd does not run");
  fault_hint (f, "this user's gateways wait for it: start it again, or end "
                 "them");
  return ERR_AGAIN;
}

/* ERR_NOENT: it is not to be the host's. */
static enum err
try_host (const struct search *s, int *ret_sock, struct fault *f)
{
  enum err e;

  if (!s->has_host || (s->tie->fd < 0 && is_tied (s->dir, false)))
    return ERR_NOENT;
  e = try_connect (&s->host, s->deadline_ns, ret_sock, f);
  if (e == ERR_OK)
    return tie_to (s, true, f);
  if (is_tied (s->dir, true))
    return e == ERR_NOENT ? wait_for_host (f) : e;
  /* One that is not for us is none. */
  return e == ERR_ACCESS ? ERR_NOENT : e;
}

static enum err
try_own (const struct search *s, int *ret_sock, struct fault *f)
{
  enum err e = try_connect (&s->own, s->deadline_ns, ret_sock, f);

  return e ? e : tie_to (s, false, f);
}

/* Finds or starts, under the lock only when none answers: so that two gateways
 * that start together start one daemon, and none meets a daemon that ends.
 */
static enum err
find_daemon (const struct search *s, int *ret_sock, struct fault *f)
{
  CLEANUP_CLOSE int lock = -1;
  enum err e;

  if (s->tie->fd >= 0 && s->tie->host)
    return (e = try_connect (&s->host, s->deadline_ns, ret_sock, f))
               == ERR_NOENT
             ? wait_for_host (f)
             : e;
  e = try_own (s, ret_sock, f);
  if (e != ERR_NOENT)
    return e;
  e = runtime_lock (s->dir, RUNTIME_LOCK, left_ns (s->deadline_ns), &lock);
  if (e == ERR_AGAIN)
    return fault_set (f, ERR_TIMEOUT,
                      "somebody holds %s/" RUNTIME_LOCK " for too long",
                      s->dir);
  if (e)
    return fault_set (f, e, "cannot lock %s/" RUNTIME_LOCK ": %s", s->dir,
                      err_text (e));
  if ((e = try_own (s, ret_sock, f)) != ERR_NOENT
      || (e = try_host (s, ret_sock, f)) != ERR_NOENT)
    return e;
  if ((e = start_daemon (s->deadline_ns, f)))
    return e;
  e = try_own (s, ret_sock, f);
  if (e == ERR_NOENT)
    return fault_set (f, ERR_IO,
                      "the daemon ended at once; see %s/" RUNTIME_LOG, s->dir);
  return e;
}

/* ERR_CLOSED: it was just ending; try again. */
static enum err
greet (int sock, const char *program, uint64_t deadline_ns, struct fault *f)
{
  CLEANUP_FREE struct control *m = malloc (sizeof *m);
  struct wirebuf b;
  struct wire w;
  struct ucred cred = {0};
  socklen_t n = sizeof cred;
  uint32_t version;
  char name[64];
  enum err e;

  if (!m)
    return fault_set (f, ERR_NOMEM, "out of memory");
  control_begin (m, CONTROL_HELLO);
  b = control_body (m);
  wirebuf_u32 (&b, CONTROL_VERSION);
  wirebuf_cstring (&b, program);
  e = control_send (sock, m, &b, left_ns (deadline_ns));
  if (!e)
    e = control_recv (sock, m, left_ns (deadline_ns) + 1);
  if (e == ERR_CLOSED)
    return ERR_CLOSED;
  if (e)
    return fault_set (f, e, "the daemon does not answer: %s", err_text (e));
  w = wire_init (m->body, m->length_bytes);
  version = wire_u32 (&w);
  wire_cstring (&w, name, sizeof name);
  control_close (m);
  if (m->type != CONTROL_HELLO || w.err)
    return fault_set (f, ERR_PEER, "the daemon answered %s to HELLO",
                      control_type_name (m->type));
  if (version != CONTROL_VERSION) {
    fault_set (f, ERR_VERSION,
               "the running daemon (%s) speaks version %u, this program %u",
               name, version, CONTROL_VERSION);
    getsockopt (sock, SOL_SOCKET, SO_PEERCRED, &cred, &n);
    fault_hint (f,
                "end what it serves, and then it (kill %d); the next one is "
                "started by itself",
                (int)cred.pid);
    return ERR_VERSION;
  }
  return ERR_OK;
}

static enum err
search_init (struct search *s, struct daemon_tie *tie, uint64_t timeout_ns,
             struct fault *f)
{
  const char *own = secure_getenv ("BULKHEAD_RUNTIME_DIR");
  enum err e;

  s->tie = tie;
  s->deadline_ns = clock_now_ns () + timeout_ns;
  if ((e = runtime_dir (s->dir, f))
      || (e = runtime_socket_address (s->dir, &s->own, f)))
    return e;
  s->has_host = !(own && own[0]) && strcmp (s->dir, RUNTIME_HOST_DIR) != 0;
  return runtime_socket_address (RUNTIME_HOST_DIR, &s->host, f);
}

static enum err
find_only (const struct search *s, int *ret_sock, struct fault *f)
{
  enum err e = try_connect (&s->own, s->deadline_ns, ret_sock, f);

  if (e == ERR_NOENT && s->has_host) {
    e = try_connect (&s->host, s->deadline_ns, ret_sock, f);
    /* Root's own is not for us. */
    if (e == ERR_ACCESS)
      e = ERR_NOENT;
  }
  if (e == ERR_NOENT)
    fault_set (f, e, "no bulkheadd serves %s", s->dir);
  return e;
}

static enum err
reach (struct search *s, const char *program, int *ret_sock, struct fault *f)
{
  for (int i = 0; i < CONNECT_TRIES; i++) {
    CLEANUP_CLOSE int sock = -1;
    enum err e = s->start ? find_daemon (s, &sock, f) : find_only (s, &sock, f);

    if (e)
      return e;
    e = greet (sock, program, s->deadline_ns, f);
    if (e == ERR_OK)
      *ret_sock = steal_fd (&sock);
    if (e != ERR_CLOSED)
      return e;
  }
  fault_set (f, ERR_CLOSED, "the daemon closes every connection");
  fault_hint (f, "see %s/" RUNTIME_LOG,
              s->tie->host ? RUNTIME_HOST_DIR : s->dir);
  return ERR_CLOSED;
}

enum err
daemon_connect_tied (const char *program, uint64_t timeout_ns,
                     struct daemon_tie *tie, int *ret_sock, struct fault *f)
{
  struct search s = {.start = true};
  enum err e = search_init (&s, tie, timeout_ns, f);

  return e ? e : reach (&s, program, ret_sock, f);
}

enum err
daemon_connect (const char *program, uint64_t timeout_ns, int *ret_sock,
                struct fault *f)
{
  struct daemon_tie tie = {.fd = -1};
  enum err e = daemon_connect_tied (program, timeout_ns, &tie, ret_sock, f);

  cleanup_close (&tie.fd);
  return e;
}

enum err
daemon_find (const char *program, uint64_t timeout_ns, int *ret_sock,
             struct fault *f)
{
  struct daemon_tie tie = {.fd = -1};
  struct search s = {.start = false};
  enum err e = search_init (&s, &tie, timeout_ns, f);

  return e ? e : reach (&s, program, ret_sock, f);
}
