/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead attach: starts a supervisor, and waits until the device is there. */
#include "config.h"
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/block.h"
#include "cli/nbd_kernel.h"
#include "cli/notify.h"
#include "cli/output.h"
#include "cli/supervisor.h"
#include "cli/sweep.h"
#include "cli/view.h"
#include "common/cleanup.h"

#define LOG_BYTES (1 << 20) /* it is begun anew when it is larger */
#define SWEEP_NS 5000000000ull

static const struct cli_option options[] = {
    {"connections", 'n', "N", CLI_WORD,
     "of the kernel to nbdkit, 1 to 16 (default: one a processor, at most 4)"},
    {"timeout", 0, "SECONDS", CLI_WORD,
     "without an answer a connection is dead, and the request sent on another "
     "(default: 30)"},
    {"dead-timeout", 0, "SECONDS", CLI_WORD,
     "without any connection, requests fail (default: 600)"},
    {"size-check", 0, "SECONDS", CLI_WORD,
     "how often to look whether the size has changed; 0: never (default: 10)"},
    {"read-only", 'r', NULL, CLI_WORD, "refuse writes"},
    {"threads", 't', "N", CLI_WORD,
     "requests at a time, of each connection (default: 32)"},
    {"foreground", 'f', NULL, CLI_WORD, "stay, until it is detached"},
    {0},
};

/* What the supervisor reports to who started it, by a pipe. */
struct report {
  enum err e;
  int index;
  struct fault f;
};

static void
cleanup_target (struct target *t)
{
  target_free (t);
}

static bool
same_name (void *ctx, const struct attach_state *s)
{
  struct attach_state *wanted = ctx;

  if (strcmp (s->name, wanted->name) != 0)
    return true;
  *wanted = *s;
  return false;
}

/* What can be said before anything is started. */
static enum err
check (const char *dir, const struct target *t, struct fault *f)
{
  struct attach_state s = {.index = -1};
  struct nbd_kernel k = {0};
  enum err e = nbd_kernel_open (&k, f);

  if (!e)
    e = nbd_kernel_may (f);
  nbd_kernel_close (&k);
  if (e)
    return e;
  snprintf (s.name, sizeof s.name, "%s", t->name);
  attach_state_each (dir, same_name, &s);
  if (s.index >= 0) {
    fault_set (f, ERR_AGAIN, "%.200s is attached already, as /dev/nbd%d",
               t->name, s.index);
    fault_hint (f, "bulkhead list shows it");
    return ERR_AGAIN;
  }
  return ERR_OK;
}

/* What is left behind of this volume is taken up. */
static enum err
check_device (const char *dir, int index, const char *name, struct fault *f)
{
  if (index < 0 || !block_connected (index)
      || sweep_is_left_behind (dir, index, name))
    return ERR_OK;
  fault_set (f, ERR_AGAIN, "/dev/nbd%d is connected already", index);
  fault_hint (f, "bulkhead list shows ours; name no device, and a free one is "
                 "taken");
  return ERR_AGAIN;
}

static enum err
wanted_index (const struct cli *c, const struct target *t, unsigned next,
              int *ret_index, struct fault *f)
{
  const char *device = next < c->args ? c->arg[next] : t->device;

  *ret_index = -1;
  if (next + 1 < c->args)
    return fault_set (f, ERR_INVAL, "\"%s\" is too much", c->arg[next + 1]);
  if (!device)
    return ERR_OK;
  *ret_index = block_index (device);
  if (*ret_index >= 0)
    return ERR_OK;
  fault_set (f, ERR_INVAL, "\"%.100s\" is no device", device);
  fault_hint (f, "it is /dev/nbd0, /dev/nbd1 and so on");
  return ERR_INVAL;
}

/* ------------------------------------------------------------ in the process
 */

static bool
send_report (void *ctx, enum err e, int index, const struct fault *f)
{
  struct report r = {.e = e, .index = index, .f = *f};
  const int *fd = ctx;

  return write (*fd, &r, sizeof r) == sizeof r;
}

static void __attribute__ ((noreturn))
become_supervisor (struct supervise *o, const char *dir, int report_fd)
{
  char path[ATTACH_DIR_BYTES + 32];
  CLEANUP_CLOSE int null = open ("/dev/null", O_RDWR | O_CLOEXEC);
  CLEANUP_CLOSE int log = -1;
  struct stat st;

  setsid ();
  snprintf (path, sizeof path, "%s/" ATTACH_LOG, dir);
  log =
      open (path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (log >= 0 && fstat (log, &st) == 0 && st.st_size > LOG_BYTES
      && ftruncate (log, 0) < 0)
    log = -1;
  dup2 (null, STDIN_FILENO);
  dup2 (null, STDOUT_FILENO);
  dup2 (log >= 0 ? log : null, STDERR_FILENO);
  if (chdir ("/") < 0)
    _exit (1);
  o->report = send_report;
  o->ctx = &report_fd;
  o->alive_fd = report_fd;
  _exit (supervise (o) ? 1 : 0);
}

/* ------------------------------------------------------------------- outside
 */

/* The supervisor was killed before it could say anything. */
static void
clean_up (const char *dir)
{
  CLEANUP_CLOSE int lock = -1;
  struct sweep s = {.dir = dir, .index = -1};

  if (!runtime_lock (dir, ATTACH_LOCK, SWEEP_NS, &lock))
    sweep (&s);
}

/* By systemd-logind, or by a user's own systemd: what ends before file systems
 * are unmounted.
 */
static bool
in_session (void)
{
  FILE *file = access ("/run/systemd/system", F_OK) == 0
                   ? fopen ("/proc/self/cgroup", "re")
                   : NULL;
  char line[4096];
  bool found = false;

  while (file && !found && fgets (line, sizeof line, file))
    found = strstr (line, ":/user.slice/");
  if (file)
    fclose (file);
  return found;
}

static enum cli_status
tell (struct cli *c, const struct target *t, int index)
{
  char device[32];

  snprintf (device, sizeof device, "/dev/nbd%d", index);
  if (c->json)
    return cli_json (c,
                     json_pack ("{s:o, s:s, s:I}", "volume",
                                view_json_text (t->name), "device", device,
                                "size", (json_int_t)block_size_bytes (index)));
  if (c->quiet)
    return CLI_OK;
  printf ("%s\n", device);
  return cli_flush (c);
}

static enum cli_status
attach (struct cli *c, struct supervise *o, const char *dir)
{
  CLEANUP_CLOSE int in = -1;
  struct report r = {.e = ERR_IO};
  struct fault f = {0};
  int p[2];
  ssize_t n;
  pid_t pid;

  if (pipe2 (p, O_CLOEXEC) < 0) {
    fault_set (&f, ERR_NOMEM, "too many files");
    return cli_fault (c, &f);
  }
  in = p[0];
  fflush (NULL);
  pid = fork ();
  if (pid == 0) {
    close (steal_fd (&in));
    become_supervisor (o, dir, p[1]);
  }
  close (p[1]);
  do
    n = pid < 0 ? 0 : read (in, &r, sizeof r);
  while (n < 0 && errno == EINTR);
  if (n != sizeof r) {
    while (pid > 0 && waitpid (pid, NULL, 0) < 0 && errno == EINTR)
      ;
    clean_up (dir);
    fault_set (&f, ERR_IO, "the process that looks after the device was ended");
    fault_hint (&f, "%s/" ATTACH_LOG " may say why", dir);
    return cli_fault (c, &f);
  }
  if (r.e)
    return cli_fault (c, &r.f);
  if (in_session ())
    cli_note (c, "unmount it before the machine goes down, or let systemd "
                 "attach it: man bulkhead-attach");
  return tell (c, o->target, r.index);
}

struct foreground {
  struct cli *c;
  const struct target *t;
  enum cli_status status;
};

static bool
tell_foreground (void *ctx, enum err e, int index, const struct fault *f)
{
  struct foreground *g = ctx;

  g->status = e ? cli_fault (g->c, f) : tell (g->c, g->t, index);
  if (!e)
    notify_ready ();
  return true;
}

static enum err
numbers (const struct cli *c, struct supervise *o, unsigned *look_s,
         struct fault *f)
{
  static const struct {
    const char *name;
    unsigned long min, max, fallback;
  } table[] = {
      {"connections", 1, NBD_KERNEL_SOCKETS, 0},
      {"timeout", 1, 86400, 30},
      {"dead-timeout", 1, 86400 * 7, 600},
      {"size-check", 0, 86400, 10},
      {"threads", 1, 512, 32},
  };
  unsigned *places[] = {&o->connections, &o->timeout_s, &o->dead_timeout_s,
                        look_s, &o->threads};
  enum err e;

  for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
    unsigned long v;

    if ((e = cli_number (c, table[i].name, table[i].min, table[i].max,
                         table[i].fallback, &v, f)))
      return e;
    *places[i] = (unsigned)v;
  }
  return ERR_OK;
}

/* The plugin asks the server, and tells us. */
static enum err
check_sizes (struct target *t, unsigned look_s, struct fault *f)
{
  char number[16];

  if (target_get (t, "revalidate") || !look_s)
    return ERR_OK;
  snprintf (number, sizeof number, "%u", look_s);
  return target_set (t, "revalidate", number, f);
}

static enum cli_status
run (struct cli *c)
{
  __attribute__ ((cleanup (cleanup_target))) struct target t = {0};
  struct supervise o = {.target = &t, .alive_fd = -1};
  char dir[ATTACH_DIR_BYTES];
  struct fault f = {0};
  unsigned next, look_s;

  if (numbers (c, &o, &look_s, &f) || target_open (c, 0, &t, &next, &f)
      || wanted_index (c, &t, next, &o.index, &f) || attach_dir (dir, &f)
      || check (dir, &t, &f) || check_sizes (&t, look_s, &f))
    return cli_fault (c, &f);
  clean_up (dir);
  if (check_device (dir, o.index, t.name, &f))
    return cli_fault (c, &f);
  o.readonly = cli_has (c, "read-only");
  if (cli_has (c, "foreground")) {
    struct foreground g = {c, &t, CLI_FAILED};

    o.report = tell_foreground;
    o.ctx = &g;
    return supervise (&o) ? g.status : g.status;
  }
  return attach (c, &o, dir);
}

const struct command command_attach = {
    .name = "attach",
    .summary = "make a volume a disk of this machine, /dev/nbdN",
    .synopsis = "URL|NAME [KEY=VALUE]... [/dev/nbdN]",
    .description =
        "Makes a volume a block device of this machine, and prints its name. A "
        "process\nstays that gives the kernel new connections whenever it "
        "loses "
        "one, also when\nnbdkit has to be started again. It ends with bulkhead "
        "detach.\nNeeds root, and the kernel's module nbd.",
    .flags = COMMAND_JSON | COMMAND_PARAMETERS,
    .args_min = 1,
    .args_max = 2 + OPTIONS_PAIRS,
    .args = {CLI_VOLUME, CLI_DEVICE},
    .options = options,
    .run = run,
};
