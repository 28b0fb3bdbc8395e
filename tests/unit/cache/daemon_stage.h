/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon but its main, in this process: real sockets, a real listener to
 * dial, real children that follow a script (fake_worker.c). The test plays the
 * gateway, and turns the daemon's loop while it waits.
 */
#ifndef BH_TESTS_DAEMON_STAGE_H
#define BH_TESTS_DAEMON_STAGE_H

#include "cache/server.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cache/known_hosts.h"
#include "common/cleanup.h"
#include "ipc/channel.h"
#include "cache/shared.h"
#include "ipc/control.h"
#include "ipc/fill.h"
#include "ipc/volume.h"
#include "sandbox/sandbox.h"
#include "tests/unit/unit.h"

#include "tests/unit/cache/keys_vectors.h"

#include <openssl/evp.h>

#define WAIT_S 10.0

static char dir[] = "/tmp/bulkhead-daemon-test-XXXXXX";
static struct daemon d;
static struct log quiet;
static struct server *server;
static int listener;
static char port[8];
static int worker_pid; /* of the last one that got ready */
static struct control m;
static struct wirebuf b;

static inline void
note (void *ctx, enum log_level level, const char *line)
{
  const char *p = strstr (line, "worker ");

  (void)ctx;
  (void)level;
  if (getenv ("VERBOSE"))
    fprintf (stderr, "%s\n", line);
  if (p && strstr (p, " ready"))
    worker_pid = atoi (p + 7);
}

static inline void
no_idle (void *ctx)
{
  (void)ctx;
}

static inline void
start (void)
{
  char self[PATH_MAX] = "";
  struct sockaddr_in sa = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  socklen_t n = sizeof sa;
  const struct shared_limits limits = {.cache_bytes = 1u << 20};
  struct fault f = {0};

  signal (SIGPIPE, SIG_IGN);
  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (dir));
  CU_ASSERT_FATAL (readlink ("/proc/self/exe", self, sizeof self - 1) > 0);
  snprintf (d.worker_path, sizeof d.worker_path, "%s/fake_worker",
            dirname (self));
  quiet = (struct log){LOG_LEVEL_DEBUG, note, NULL};
  d.log = &quiet;
  d.child_stderr_fd = -1;
  d.loop = ev_loop_new (EVFLAG_NOENV);
  listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CU_ASSERT_FATAL (bind (listener, (struct sockaddr *)&sa, sizeof sa) == 0
                   && listen (listener, 1000) == 0);
  getsockname (listener, (struct sockaddr *)&sa, &n);
  snprintf (port, sizeof port, "%u", ntohs (sa.sin_port));
  CU_ASSERT_EQUAL_FATAL (shared_set_open (&d, dir, &limits, &d.volumes, &f),
                         ERR_OK);
  CU_ASSERT_EQUAL_FATAL (server_open (&d, dir, 0, no_idle, NULL, &server, &f),
                         ERR_OK);
}

static inline void
stop (void)
{
  char command[100];

  server_close (server);
  /* children that were discarded */
  for (int i = 0; i < 100; i++) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (1000);
  }
  shared_set_close (d.volumes);
  ev_loop_destroy (d.loop);
  close (listener);
  snprintf (command, sizeof command, "rm -r %s", dir);
  CU_ASSERT_EQUAL (system (command), 0);
}

static bool cache_came;

/* The daemon turns until sock has a message, or its end: ERR_CLOSED. CACHE is
 * taken on the way.
 */
static inline enum err
receive (int sock)
{
  struct timespec now;
  double end;
  enum err e;

  clock_gettime (CLOCK_MONOTONIC, &now);
  end = (double)now.tv_sec + WAIT_S;
  while ((e = control_recv (sock, &m, 0)) == ERR_AGAIN
         || (!e && m.type == CONTROL_CACHE)) {
    if (!e) {
      CU_ASSERT_EQUAL (m.fds, CACHE_FDS);
      cache_came = true;
      control_close (&m);
      continue;
    }
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (200);
    clock_gettime (CLOCK_MONOTONIC, &now);
    if ((double)now.tv_sec > end)
      return ERR_TIMEOUT;
  }
  return e;
}

static inline int
connect_client (void)
{
  struct sockaddr_un sa;
  int sock = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  CU_ASSERT_EQUAL_FATAL (runtime_socket_address (dir, &sa, NULL), ERR_OK);
  CU_ASSERT_FATAL (connect (sock, (struct sockaddr *)&sa, sizeof sa) == 0);
  return sock;
}

static inline void
begin (enum control_type type)
{
  control_begin (&m, type);
  b = control_body (&m);
}

static inline enum err
send_it (int sock)
{
  enum err e = control_send (sock, &m, &b, 0);

  m.fds = 0;
  return e;
}

static inline void
send_hello (int sock, uint32_t version)
{
  begin (CONTROL_HELLO);
  wirebuf_u32 (&b, version);
  wirebuf_cstring (&b, "daemon_test");
  CU_ASSERT_EQUAL (send_it (sock), ERR_OK);
}

static inline int
file_with (const char *text, size_t length_bytes)
{
  int fd = memfd_create ("file", MFD_CLOEXEC);

  CU_ASSERT_FATAL (fd >= 0);
  CU_ASSERT_EQUAL (write (fd, text, length_bytes), (ssize_t)length_bytes);
  return fd;
}

/* The line for the key that the fake worker shows. */
static inline int
known_hosts_file (void)
{
  uint8_t blob[51] = "\0\0\0\013ssh-ed25519\0\0\0\040", base64[80];
  char line[200];
  int n;

  memset (blob + 19, 7, 32);
  EVP_EncodeBlock (base64, blob, sizeof blob);
  n = snprintf (line, sizeof line, "[127.0.0.1]:%s ssh-ed25519 %s\n", port,
                (char *)base64);
  return file_with (line, (size_t)n);
}

/* credential: "identity" or "agent", the first file. */
static inline struct volume_spec
spec_with (const char *path, const char *credential)
{
  struct volume_spec s = {.proto = "sftp"};

  volume_spec_set (&s, "host", "127.0.0.1", -1);
  volume_spec_set (&s, "port", port, -1);
  volume_spec_set (&s, "user", "me", -1);
  volume_spec_set (&s, "path", path, -1);
  volume_spec_set (&s, credential, "/key", 0);
  volume_spec_set (&s, "known-hosts", "/known", 1);
  return s;
}

static inline struct volume_spec
spec_for (const char *path)
{
  return spec_with (path, "identity");
}

static inline struct volume_spec
iscsi_spec (const char *path)
{
  struct volume_spec s = {.proto = "iscsi"};

  volume_spec_set (&s, "host", "127.0.0.1", -1);
  volume_spec_set (&s, "port", port, -1);
  volume_spec_set (&s, "path", path, -1);
  return s;
}

static inline void
send_open_with (int sock, const struct volume_spec *s, int credential_fd)
{
  int fd[2] = {credential_fd, known_hosts_file ()};

  begin (CONTROL_OPEN);
  volume_spec_put (&b, s);
  control_add_fd (&m, fd[0]);
  control_add_fd (&m, fd[1]);
  CU_ASSERT_EQUAL (send_it (sock), ERR_OK);
  close (fd[0]);
  close (fd[1]);
}

static inline void
send_open (int sock, const struct volume_spec *s)
{
  const char *key = key_vectors[0].text;

  send_open_with (sock, s, file_with (key, strlen (key)));
}

/* HELLO and OPEN; the next message is CHANNEL or FAULT. */
static inline int
open_spec (const struct volume_spec *s)
{
  int sock = connect_client ();

  cache_came = false;
  send_hello (sock, CONTROL_VERSION);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_HELLO);
  send_open (sock, s);
  return sock;
}

static inline int
open_path (const char *path)
{
  struct volume_spec s = spec_for (path);
  int sock = open_spec (&s);

  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_CHANNEL);
  CU_ASSERT_EQUAL (m.fds, CHANNEL_FDS);
  control_close (&m);
  return sock;
}

static inline struct fault
fault_in (void)
{
  struct wire w = wire_init (m.body, m.length_bytes);
  struct fault f = {0};

  if (m.type == CONTROL_GONE) {
    wire_u8 (&w);
    wire_u64 (&w);
    wire_u8 (&w);
  }
  CU_ASSERT_EQUAL (fault_take (&w, &f), ERR_OK);
  return f;
}

static inline void
expect_worker (int sock, uint64_t epoch)
{
  struct wire w;
  struct volume_info info;

  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_WORKER);
  CU_ASSERT (cache_came);
  CU_ASSERT_EQUAL (m.fds, 3);
  w = wire_init (m.body, m.length_bytes);
  CU_ASSERT_EQUAL (wire_u8 (&w), 0);
  CU_ASSERT_EQUAL (wire_u64 (&w), epoch);
  CU_ASSERT_EQUAL (wire_u32 (&w) & SBX_MANDATORY, SBX_MANDATORY);
  CU_ASSERT_EQUAL (wire_u8 (&w), 0);
  CU_ASSERT_EQUAL (volume_info_take (&w, &info), ERR_OK);
  CU_ASSERT_EQUAL (info.size, epoch);
  control_close (&m);
}

static inline struct fault
expect_gone (int sock, uint64_t epoch)
{
  struct wire w;
  struct fault f = {0};

  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_GONE);
  w = wire_init (m.body, m.length_bytes);
  CU_ASSERT_EQUAL (wire_u8 (&w), 0);
  CU_ASSERT_EQUAL (wire_u64 (&w), epoch);
  f = fault_in ();
  return f;
}

/* A script that must end in a FAULT with this code. */
static inline struct fault
fault_of (const char *path)
{
  int sock = open_path (path);
  struct fault f = {0};

  if (receive (sock) == ERR_OK && m.type == CONTROL_FAULT)
    f = fault_in ();
  else
    CU_FAIL ("no FAULT");
  control_close (&m);
  close (sock);
  return f;
}

#endif
