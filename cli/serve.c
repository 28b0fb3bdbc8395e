/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead serve: nbdkit with the plugin, told apart from a bare nbdkit by
 * names out of the configuration, faults as all commands have them, and
 * defaults that are right for remote storage.
 */
#include "config.h"
#include "cli/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/nbdkit.h"
#include "cli/output.h"
#include "cli/serve_check.h"
#include "cli/serve_socket.h"
#include "cli/target.h"
#include "cli/view.h"
#include "common/cleanup.h"
#include "ipc/runtime.h"

#define LOOK_MS 100
#define STOP_MS 5000
#define THREADS 32 /* see nbdkit-bulkhead-plugin(1), THREADS */

static const struct cli_option options[] = {
    {"socket", 'U', "PATH", CLI_FILE,
     "serve at this Unix socket (default: one in the runtime folder)"},
    {"port", 'p', "PORT", CLI_WORD, "serve at this TCP port instead"},
    {"address", 'i', "ADDRESS", CLI_WORD,
     "of this machine, to listen at (default with --port: 127.0.0.1)"},
    {"tls", 0, "off|on|require", CLI_CHOICE, "whether clients may, or must"},
    {"tls-certificates", 0, "DIR", CLI_FILE, "as nbdkit-tls(1) has them"},
    {"tls-psk", 0, "FILE", CLI_FILE,
     "pre-shared keys in place of certificates"},
    {"tls-verify-peer", 0, NULL, CLI_WORD, "clients need a certificate, too"},
    {"read-only", 'r', NULL, CLI_WORD, "refuse writes"},
    {"threads", 't', "N", CLI_WORD, "requests at a time (default: 32)"},
    {"daemon", 'd', NULL, CLI_WORD, "detach when it is ready"},
    {"pidfile", 'P', "FILE", CLI_FILE,
     "where nbdkit writes its process number"},
    {"verbose", 'v', NULL, CLI_WORD, "what nbdkit and the plugin do"},
    {0},
};

struct place {
  struct serve_socket socket; /* none with TCP */
  char uri[700];
};

struct own {
  const char *arg[NBDKIT_OWN_MAX + 1];
  unsigned n;
};

static void
own_add (struct own *o, const char *option, const char *value)
{
  if (o->n + 2 > NBDKIT_OWN_MAX)
    return;
  o->arg[o->n++] = option;
  if (value)
    o->arg[o->n++] = value;
}

static enum err
choose_socket (struct serve_socket *s, const char *wanted, struct fault *f)
{
  CLEANUP_FREE char *cwd = NULL;
  char dir[RUNTIME_DIR_BYTES];
  enum err e;
  int n;

  if (!wanted) {
    if ((e = runtime_dir (dir, f)))
      return e;
    n = snprintf (s->path, sizeof s->path, "%s/serve-%d.sock", dir,
                  (int)getpid ());
  } else if (wanted[0] == '/')
    n = snprintf (s->path, sizeof s->path, "%s", wanted);
  else {
    cwd = getcwd (NULL, 0);
    n = snprintf (s->path, sizeof s->path, "%s/%s", cwd ? cwd : "", wanted);
  }
  if (n < 0 || n >= (int)sizeof s->path)
    return fault_set (f, ERR_INVAL, "the path of the socket is too long");
  return ERR_OK;
}

/* RFC 3986's unreserved letters, and the slash. */
static void
escape (char *dst, size_t dst_bytes, const char *text)
{
  size_t n = 0;

  for (; *text && n + 4 < dst_bytes; text++) {
    if (strchr ("-._~/:", *text) || ((*text | 32) >= 'a' && (*text | 32) <= 'z')
        || (*text >= '0' && *text <= '9'))
      dst[n++] = *text;
    else
      n += (size_t)snprintf (dst + n, 4, "%%%02X", (unsigned char)*text);
  }
  dst[n] = 0;
}

static enum err
choose_place (const struct cli *c, struct own *o, struct place *p,
              struct fault *f)
{
  const char *port = cli_value (c, "port");
  const char *address = cli_value (c, "address");
  const char *tls = cli_value (c, "tls");
  char escaped[400];
  unsigned long number;
  enum err e;

  if (cli_has (c, "socket") && (port || address))
    return fault_set (f, ERR_INVAL, "--socket and --port exclude each other");
  if (port || address) {
    if ((e = cli_number (c, "port", 1, 65535, 10809, &number, f)))
      return e;
    if (!address)
      address = "127.0.0.1";
    if (!port)
      port = "10809";
    if ((e = serve_check_port (address, port, f)))
      return e;
    own_add (o, "-p", port);
    own_add (o, "-i", address);
    snprintf (p->uri, sizeof p->uri, "nbd%s://%s%s%s:%lu",
              tls && strcmp (tls, "off") ? "s" : "",
              strchr (address, ':') ? "[" : "", address,
              strchr (address, ':') ? "]" : "", number);
    return ERR_OK;
  }
  if ((e = choose_socket (&p->socket, cli_value (c, "socket"), f)))
    return e;
  own_add (o, "-U", p->socket.path);
  escape (escaped, sizeof escaped, p->socket.path);
  snprintf (p->uri, sizeof p->uri, "nbd%s+unix:///?socket=%s",
            tls && strcmp (tls, "off") ? "s" : "", escaped);
  return ERR_OK;
}

/* nbdkit's own options, by the same names. */
static void
pass_options (const struct cli *c, struct own *o, char words[4][4200])
{
  static const char *const passed[] = {"tls", "tls-certificates", "tls-psk",
                                       "pidfile"};

  for (unsigned i = 0; i < 4; i++) {
    const char *value = cli_value (c, passed[i]);

    if (!value)
      continue;
    snprintf (words[i], 4200, "--%s=%s", passed[i], value);
    own_add (o, words[i], NULL);
  }
  if (cli_has (c, "tls-verify-peer"))
    own_add (o, "--tls-verify-peer", NULL);
  if (cli_has (c, "read-only"))
    own_add (o, "-r", NULL);
  if (cli_has (c, "verbose"))
    own_add (o, "-v", NULL);
}

static void
tell_place (const struct cli *c, const struct target *t, const struct place *p,
            pid_t pid)
{
  if (c->json)
    cli_json (c, json_pack ("{s:o, s:o, s:o, s:i}", "volume",
                            view_json_text (t->name), "uri",
                            view_json_text (p->uri), "socket",
                            p->socket.path[0]
                                ? view_json_text (p->socket.path)
                                : json_null (),
                            "pid", (int)pid));
  else if (!c->quiet) {
    printf ("%s\n", p->uri);
    cli_flush (c);
  }
}

/* A signal that ends us ends nbdkit; true if there was one. SIGCHLD only wakes
 * us up. timeout NULL: as long as it takes.
 */
static bool
pass_on (const sigset_t *signals, const struct nbdkit *n,
         const struct timespec *timeout)
{
  siginfo_t info;
  int number = sigtimedwait (signals, &info, timeout);

  if (number <= 0 || number == SIGCHLD)
    return false;
  kill (n->pid, number);
  return true;
}

/* Until nbdkit ends, or has detached. */
static enum cli_status
stay (const struct cli *c, struct nbdkit *n, struct place *p,
      const sigset_t *signals)
{
  struct fault f;
  int status = 0;

  while (waitpid (n->pid, &status, WNOHANG) == 0)
    pass_on (signals, n, NULL);
  n->pid = 0;
  if (!cli_has (c, "daemon"))
    serve_socket_remove (&p->socket);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return CLI_OK;
  if (WIFSIGNALED (status))
    fault_set (&f, ERR_IO, "nbdkit was ended by signal %d (%s)",
               WTERMSIG (status), sigdescr_np (WTERMSIG (status)));
  else
    fault_set (&f, ERR_IO, "nbdkit ended with status %d", WEXITSTATUS (status));
  return cli_fault (c, &f);
}

/* ERR_AGAIN: a signal came first. */
static enum err
wait_ready (struct nbdkit *n, const sigset_t *signals, struct fault *f)
{
  const struct timespec at_once = {0};
  enum err e;

  while ((e = nbdkit_ready (n, LOOK_MS, f)) == ERR_AGAIN)
    if (pass_on (signals, n, &at_once))
      return fault_set (f, ERR_SHUTDOWN, "interrupted");
  return e;
}

static enum cli_status
serve (struct cli *c, const struct target *t, struct place *p,
       const struct own *own, unsigned threads)
{
  bool detach = cli_has (c, "daemon");
  struct nbdkit n = {.status_fd = -1};
  struct fault f = {0};
  sigset_t signals;
  enum err e;

  if (p->socket.path[0] && serve_socket_take (&p->socket, &f))
    return cli_fault (c, &f);
  sigemptyset (&signals);
  sigaddset (&signals, SIGCHLD);
  sigaddset (&signals, SIGTERM);
  sigaddset (&signals, SIGINT);
  sigaddset (&signals, SIGHUP);
  sigprocmask (SIG_BLOCK, &signals, NULL);
  e = nbdkit_start (t, own->arg, threads,
                    detach ? NBDKIT_DETACHED : NBDKIT_FOREGROUND, -1, &n, &f);
  if (!e)
    e = wait_ready (&n, &signals, &f);
  if (e) {
    nbdkit_stop (&n, STOP_MS);
    serve_socket_remove (&p->socket);
    return cli_fault (c, &f);
  }
  tell_place (c, t, p, n.server);
  if (!detach && !c->json)
    cli_note (c, "serving %s; Ctrl-C ends it", t->name);
  return stay (c, &n, p, &signals);
}

static void
cleanup_target (struct target *t)
{
  target_free (t);
}

static enum cli_status
run (struct cli *c)
{
  __attribute__ ((cleanup (cleanup_target))) struct target t = {0};
  char words[4][4200];
  struct place place = {.socket = {.lock_fd = -1}};
  struct own own = {.n = 0};
  unsigned long threads;
  unsigned next;
  struct fault f = {0};

  if (cli_number (c, "threads", 1, 512, THREADS, &threads, &f)
      || target_open (c, 0, &t, &next, &f))
    return cli_fault (c, &f);
  if (next < c->args) {
    fault_set (&f, ERR_INVAL, "\"%s\" is neither an option nor KEY=VALUE",
               c->arg[next]);
    return cli_fault (c, &f);
  }
  if (choose_place (c, &own, &place, &f) || serve_check_files (c, &f))
    return cli_fault (c, &f);
  pass_options (c, &own, words);
  return serve (c, &t, &place, &own, (unsigned)threads);
}

const struct command command_serve = {
    .name = "serve",
    .summary = "serve a volume over NBD, at a socket or a port",
    .synopsis = "URL|NAME [KEY=VALUE]...",
    .description = "Runs nbdkit with the bulkhead plugin: in the foreground "
                   "until Ctrl-C, or "
                   "with\n--daemon in the background. Prints the NBD URI for "
                   "clients when it "
                   "is ready.\nKEY=VALUE are the plugin's parameters: man "
                   "nbdkit-bulkhead-plugin.",
    .flags = COMMAND_JSON | COMMAND_PARAMETERS,
    .args_min = 1,
    .args_max = 1 + OPTIONS_PAIRS,
    .args = {CLI_VOLUME, CLI_WORD},
    .options = options,
    .run = run,
};
