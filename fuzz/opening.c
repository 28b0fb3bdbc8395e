/* SPDX-License-Identifier: BSD-2-Clause */
/* OPEN and ADOPT, as a gateway of any user may send them to a host's daemon:
 * what volume it wants, with which files, and what an earlier daemon had made.
 *
 *   input = how u8, files u8, *kind u8, message
 *
 * how: 1 ADOPT, 2 root asks (else uid 4001 with gid 4001, 4002), 4 a daemon of
 * one's own. kind, of each file: see give. The message is the body alone.
 */
#include "config.h"
#include "fuzz/target.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/supervisor.h"
#include "cache/volume.h"
#include "cache/volume_params.h"
#include "ipc/channel.h"
#include "tests/unit/cache/keys_vectors.h"

#define FILES_MAX 40u

/* In place of the daemon's: no process for each input. */
void
closer_close (struct daemon *d, uid_t uid, int fd)
{
  (void)d;
  (void)uid;
  close (fd);
}

/* What lasts: it is the same for each input. */
static struct {
  struct daemon daemon;
  struct log log;
  int channel[CHANNEL_FDS];
  int key, known_hosts, tcp, pair[2], pidfd;
} g;

static void
emit (void *ctx, enum log_level level, const char *line)
{
  (void)ctx;
  (void)level;
  for (const char *c = line; *c; c++)
    MUST ((unsigned char)*c >= ' ' && *c != 0x7f);
}

static int
sealed (const char *text)
{
  int fd = memfd_create ("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  MUST (fd >= 0 && write (fd, text, strlen (text)) == (ssize_t)strlen (text));
  MUST (fcntl (fd, F_ADD_SEALS,
               F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
        == 0);
  return fd;
}

static void
set_up (void)
{
  if (g.daemon.loop)
    return;
  g.daemon.loop = ev_loop_new (EVFLAG_NOENV);
  g.log = (struct log){LOG_LEVEL_DEBUG, emit, NULL};
  g.daemon.log = &g.log;
  g.daemon.child_stderr_fd = -1;
  strcpy (g.daemon.worker_path, "/nonexistent/worker");
  g.key = sealed (key_vectors[0].text);
  g.known_hosts = sealed ("h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHB"
                          "wcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n");
  g.tcp = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g.pidfd = (int)syscall (SYS_pidfd_open, getpid (), 0);
  MUST (g.daemon.loop && g.tcp >= 0 && g.pidfd >= 0
        && socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, g.pair) == 0
        && !channel_create (g.channel));
}

/* A descriptor of one's own, of a kind that somebody may hand over. */
static int
give (uint8_t kind)
{
  int from = -1;

  switch (kind % 8) {
  case 0:
    from = g.key;
    break;
  case 1:
    from = g.known_hosts;
    break;
  case 2:
    from = g.pair[0];
    break;
  case 3:
    from = g.tcp;
    break;
  case 4:
    from = g.pidfd;
    break;
  case 5:
    from = STDIN_FILENO;
    break;
  default:
    from = g.channel[kind / 8 % CHANNEL_FDS];
  }
  return fcntl (from, F_DUPFD_CLOEXEC, 0);
}

static int
lowest_free_fd (void)
{
  int fd = fcntl (g.tcp, F_DUPFD_CLOEXEC, 0);

  close (fd);
  return fd;
}

/* What the worker is told of what was opened: no file, no secret. */
static void
check_spec (const uint8_t *body, size_t n, unsigned files)
{
  struct volume_spec all, told;
  struct wire w = wire_init (body, n);

  MUST (!volume_spec_take (&w, files, &all)
        && !volume_params_for_worker (&all, &told));
  MUST (!volume_spec_get (&told, "password")
        && !volume_spec_get (&told, "passphrase")
        && !volume_spec_get (&told, "target-password")
        && !volume_spec_get (&told, "identity")
        && !volume_spec_get (&told, "tls-key"));
  for (unsigned i = 0; i < told.params; i++)
    MUST (told.param[i].fd < 0);
}

/* How many workers an ADOPT that was taken says that there are. */
static unsigned
workers (const uint8_t *body, size_t n)
{
  struct wire w = wire_init (body, n);
  unsigned paths, found = 0;

  wire_u8 (&w);
  paths = wire_u8 (&w);
  for (unsigned i = 0; i < paths; i++) {
    wire_u64 (&w);
    found += wire_u8 (&w) != 0;
    wire_u32 (&w);
    wire_u8 (&w);
  }
  return found;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const struct volume_hooks hooks;
  struct requester who = {
      .uid = 4001, .gid = 4001, .groups = 2, .group = {4001, 4002}};
  struct wire w = wire_init (data, size);
  struct control *m = calloc (1, sizeof *m);
  uint8_t how = wire_u8 (&w), files = wire_u8 (&w);
  struct volume *v = NULL;
  struct fault f = {0};
  int before;
  enum err e;

  if (!m)
    return 0;
  set_up ();
  before = lowest_free_fd ();
  control_begin (m, how & 1 ? CONTROL_ADOPT : CONTROL_OPEN);
  for (unsigned i = 0; i < files % FILES_MAX && wire_left (&w); i++)
    control_add_fd (m, give (wire_u8 (&w)));
  size = wire_left (&w);
  if (size > sizeof m->body)
    size = sizeof m->body;
  if (size)
    memcpy (m->body, wire_bytes (&w, size), size);
  m->length_bytes = (uint32_t)size;
  if (how & 2)
    who = (struct requester){.uid = 0};
  g.daemon.host = !(how & 4);
  files = (uint8_t)m->fds;
  e = volume_open (&g.daemon, &who, m, &hooks, NULL, &v, &f);
  MUST (e ? !v && f.code == e && f.text[0] : v && !f.code);
  if (v) {
    MUST (volume_paths (v) >= 1 && volume_paths (v) <= CHANNEL_PATHS);
    /* A worker is none of this process, nor is what is no process. */
    MUST (!(how & 1) || how & 6 || !workers (m->body, size));
    if (!(how & 1))
      check_spec (m->body, size, files);
  }
  volume_close (v);
  control_close (m);
  MUST (lowest_free_fd () == before); /* nothing leaks */
  free (m);
  return 0;
}
