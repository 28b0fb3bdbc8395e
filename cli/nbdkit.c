/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/nbdkit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define ARGS_MAX (NBDKIT_OWN_MAX + OPTIONS_PAIRS + 10)
#define PLUGIN BULKHEAD_PLUGINDIR "/nbdkit-bulkhead-plugin.so"

struct args {
  char *arg[ARGS_MAX + 1];
  unsigned n;
};

static void
cleanup_args (struct args *a)
{
  for (unsigned i = 0; i < a->n; i++)
    free (a->arg[i]);
}

/* Takes the malloced word. */
static enum err
add_word (struct args *a, char *word)
{
  if (!word || a->n == ARGS_MAX) {
    free (word);
    return word ? ERR_LIMIT : ERR_NOMEM;
  }
  a->arg[a->n++] = word;
  return ERR_OK;
}

static enum err
add (struct args *a, const char *text)
{
  return add_word (a, strdup (text));
}

/* [RUN] nbdkit [-f [--exit-with-parent]] -t N OWN… PLUGIN url=… key=value… */
static enum err
command_line (struct args *a, const struct target *t, const char *const *own,
              unsigned threads, enum nbdkit_mode mode)
{
  const char *run = secure_getenv ("BULKHEAD_RUN");
  char number[16];
  enum err e = ERR_OK;

  snprintf (number, sizeof number, "%u", threads);
  if (run && run[0])
    e = add (a, run);
  if (!e)
    e = add (a, "nbdkit");
  if (!e && mode != NBDKIT_DETACHED)
    e = add (a, "-f");
  if (!e && mode == NBDKIT_FOREGROUND)
    e = add (a, "--exit-with-parent");
  if (!e && !(e = add (a, "-t")))
    e = add (a, number);
  for (; !e && *own; own++)
    e = add (a, *own);
  if (!e)
    e = add (a, run && run[0] ? "bulkhead" : PLUGIN);
  /* The URL and each pair: one that is missing may be what protects. */
  for (unsigned i = 0; !e && i <= t->pairs; i++)
    e = add_word (a, target_word (t, i));
  return e;
}

/* It outlives exec. That nbdkit ends with us is the plugin's to see to, as
 * nbdkit does that its own way (GUARD_PID in gateway/plugin.c).
 */
static void
guard (sigset_t *blocked)
{
  sigaddset (blocked, SIGTERM);
  sigaddset (blocked, SIGHUP);
  setsid ();
}

/* In the child, until exec: only calls that are safe after fork. */
static void __attribute__ ((noreturn))
become_nbdkit (char **argv, const struct target *t, enum nbdkit_mode mode,
               int status, int stderr_fd)
{
  sigset_t blocked;

  sigemptyset (&blocked);
  if (mode == NBDKIT_GUARDED)
    guard (&blocked);
  if (mode == NBDKIT_DETACHED)
    setsid (); /* what it forks can be ended with it until it is ready */
  sigprocmask (SIG_SETMASK, &blocked, NULL);
  signal (SIGINT, SIG_DFL);
  signal (SIGPIPE, SIG_DFL);
  fcntl (status, F_SETFD, 0);
  for (unsigned i = 0; i < t->pairs; i++)
    if (t->pair[i].secret >= 0)
      fcntl (t->pair[i].secret, F_SETFD, 0);
  if (stderr_fd >= 0)
    dup2 (stderr_fd, STDERR_FILENO);
  execvp (argv[0], argv);
  if (errno == ENOENT)
    dprintf (status, "%d\t%s is not installed\tapt-get install nbdkit\n",
             ERR_NOTSUP, argv[0]);
  else
    dprintf (status, "%d\t%s cannot be started: %s\t\n", ERR_IO, argv[0],
             strerrordesc_np (errno));
  _exit (127);
}

/* nbdkit would say so in two lines of its own. */
static enum err
check_plugin (struct fault *f)
{
  const char *run = secure_getenv ("BULKHEAD_RUN");

  if ((run && run[0]) || access (PLUGIN, R_OK) == 0)
    return ERR_OK;
  fault_set (f, ERR_NOTSUP, "nbdkit's plugin %s: %s", PLUGIN,
             strerrordesc_np (errno));
  fault_hint (f, "make install puts it there; bulkhead doctor says what else "
                 "is missing");
  return ERR_NOTSUP;
}

enum err
nbdkit_start (const struct target *t, const char *const *own, unsigned threads,
              enum nbdkit_mode mode, int stderr_fd, struct nbdkit *ret,
              struct fault *f)
{
  __attribute__ ((cleanup (cleanup_args))) struct args a = {.n = 0};
  CLEANUP_CLOSE int in = -1, out = -1;
  char number[16], guard_pid[16];
  int p[2];
  pid_t pid;
  enum err e = command_line (&a, t, own, threads, mode);

  if (e)
    return fault_set (f, e, "the command line of nbdkit cannot be made");
  if ((e = check_plugin (f)))
    return e;
  if (pipe2 (p, O_CLOEXEC) < 0)
    return fault_set (f, err_from_errno (errno), "no pipe: %s",
                      strerrordesc_np (errno));
  in = p[0];
  out = p[1];
  snprintf (number, sizeof number, "%d", out);
  snprintf (guard_pid, sizeof guard_pid, "%d", (int)getpid ());
  if (setenv ("BULKHEAD_STATUS_FD", number, 1)
      || (mode == NBDKIT_GUARDED
          && setenv ("BULKHEAD_GUARD_PID", guard_pid, 1)))
    return fault_set (f, ERR_NOMEM, "out of memory");
  fflush (NULL);
  pid = fork ();
  if (pid == 0)
    become_nbdkit (a.arg, t, mode, out, stderr_fd);
  unsetenv ("BULKHEAD_STATUS_FD");
  unsetenv ("BULKHEAD_GUARD_PID");
  if (pid < 0)
    return fault_set (f, err_from_errno (errno), "no process: %s",
                      strerrordesc_np (errno));
  *ret = (struct nbdkit){.pid = pid, .mode = mode, .status_fd = steal_fd (&in)};
  return ERR_OK;
}

/* "CODE\tTEXT\tHINT" */
static enum err
take_fault (char *line, struct fault *f)
{
  char *end;
  long code = strtol (line, &end, 10);
  char *text = *end == '\t' ? end + 1 : NULL, *hint = NULL;

  if (text && (hint = strchr (text, '\t')))
    *hint++ = 0;
  if (!text || code >= 0 || code <= -ERR_COUNT)
    return fault_set (f, ERR_IO, "nbdkit says what cannot be understood");
  fault_set (f, (enum err)code, "%s", text);
  if (hint && hint[0])
    fault_hint (f, "%s", hint);
  return (enum err)code;
}

/* More of what it says; ERR_AGAIN: nothing yet. */
static enum err
read_more (struct nbdkit *n)
{
  ssize_t r =
      read (n->status_fd, n->line + n->used, sizeof n->line - 1 - n->used);

  if (r < 0 && (errno == EINTR || errno == EAGAIN))
    return ERR_AGAIN;
  if (r > 0)
    n->used += (unsigned)r;
  n->line[n->used] = 0;
  return r > 0 ? ERR_OK : ERR_CLOSED;
}

static void
close_status (struct nbdkit *n)
{
  close (n->status_fd);
  n->status_fd = -1;
}

/* The next line, without its end; false: there is none yet. */
static bool
take_line (struct nbdkit *n, char *dst)
{
  char *end = strchr (n->line, '\n');

  if (!end)
    return false;
  *end++ = 0;
  strcpy (dst, n->line);
  n->used -= (unsigned)(end - n->line);
  memmove (n->line, end, n->used + 1);
  return true;
}

static bool
take_size (struct nbdkit *n, const char *line)
{
  uint64_t size;

  if (strncmp (line, "size ", 5) != 0)
    return false;
  size = strtoull (line + 5, NULL, 10);
  if (size == n->size_bytes || size > INT64_MAX)
    return false;
  n->size_bytes = size;
  return true;
}

static enum err
ended_early (struct fault *f)
{
  fault_set (f, ERR_IO, "nbdkit has ended before it was ready");
  fault_hint (f, "bulkhead doctor looks at what it needs");
  return ERR_IO;
}

static enum err
read_status (struct nbdkit *n, struct fault *f)
{
  char line[sizeof n->line];
  enum err e = read_more (n);

  if (e == ERR_AGAIN)
    return e;
  while (take_line (n, line)) {
    if (n->mode == NBDKIT_GUARDED && strncmp (line, "size ", 5) == 0) {
      take_size (n, line);
      continue;
    }
    if (strncmp (line, "ready ", 6) != 0) {
      close_status (n);
      return take_fault (line, f);
    }
    n->ready = true;
    n->server = (pid_t)strtol (line + 6, NULL, 10);
    if (n->mode != NBDKIT_GUARDED) {
      close_status (n);
      return ERR_OK;
    }
  }
  if (n->ready)
    return ERR_OK;
  if (!e && n->used < sizeof n->line - 1)
    return ERR_AGAIN;
  close_status (n);
  return ended_early (f);
}

enum err
nbdkit_ready (struct nbdkit *n, int timeout_ms, struct fault *f)
{
  enum err e;

  if (n->ready)
    return ERR_OK;
  if (n->status_fd < 0)
    return ended_early (f);
  do {
    struct pollfd p = {.fd = n->status_fd, .events = POLLIN};
    int r = poll (&p, 1, timeout_ms);

    if (r < 0 && errno != EINTR)
      return fault_set (f, err_from_errno (errno), "poll: %s",
                        strerrordesc_np (errno));
    if (r == 0)
      return ERR_AGAIN;
    e = r > 0 ? read_status (n, f) : ERR_AGAIN;
  } while (e == ERR_AGAIN && timeout_ms < 0);
  return e;
}

bool
nbdkit_resized (struct nbdkit *n)
{
  char line[sizeof n->line];
  bool changed = false;
  enum err e = read_more (n);

  while (e != ERR_AGAIN && take_line (n, line))
    changed |= take_size (n, line);
  if (e == ERR_CLOSED || n->used == sizeof n->line - 1)
    close_status (n);
  return changed;
}

/* A process whose pidfd is fd has ended, or nobody has the other end of the
 * pipe fd; -1: so it is.
 */
static bool
wait_end (int fd, uint64_t deadline_ms)
{
  char said[256];
  uint64_t now;

  while (fd >= 0 && (now = clock_now_ms ()) < deadline_ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int r = poll (&p, 1, (int)(deadline_ms - now));

    /* A pidfd cannot be read: EINVAL. */
    if (r > 0 && read (fd, said, sizeof said) <= 0)
      return true;
  }
  return fd < 0;
}

/* What has not detached yet may have forked already: its session, then. It is
 * not reaped before, so that its number stays its own.
 */
void
nbdkit_stop (struct nbdkit *n, unsigned timeout_ms)
{
  CLEANUP_CLOSE int status = steal_fd (&n->status_fd), fd = -1;
  bool detaching = n->mode == NBDKIT_DETACHED && !n->ready;
  int sig = n->mode == NBDKIT_GUARDED ? SIGINT : SIGTERM;
  uint64_t deadline_ms = clock_now_ms () + timeout_ms;
  pid_t who = detaching ? -n->pid : n->pid;

  if (n->pid <= 0)
    return;
  if (kill (who, sig) < 0) /* no session yet, nothing else in it either */
    kill (n->pid, sig);
  fd = (int)syscall (SYS_pidfd_open, n->pid, 0);
  if (fd < 0 || !wait_end (fd, deadline_ms)
      || (detaching && !wait_end (status, deadline_ms)))
    kill (who, SIGKILL);
  while (waitpid (n->pid, NULL, 0) < 0 && errno == EINTR)
    ;
  n->pid = 0;
}
