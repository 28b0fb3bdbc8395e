/* SPDX-License-Identifier: BSD-2-Clause */
/* The real worker against a real sshd, with nothing else in between: plays the
 * daemon (sockets, host key, signatures, password) and the gateway (rings).
 *
 *   worker-driver [OPTION…] PORT USER KEY.pem FILE
 *   worker-driver --public KEY.pem        prints an authorized_keys line
 *
 *   --verify=MIB     random reads, writes and flushes at depth 64 against a
 *                    model in memory, until that much went each way
 *   --bench[=WORD]   prints throughput, of the rows with WORD in their name
 *   --password=TEXT  logs in by password
 *   --expect=CODE    this FAIL of the worker is the success (text of err.h's
 *                    table, e.g. "login refused")
 *   --violate=N      breaks rule N of the rings after GO
 *   --kill=PID       SIGKILLs the children of this process (sshd's sessions)
 *                    after a while
 *   --greeting=FILE  no sshd: the server says what is in the file, then waits
 *   --drop           closes the daemon's socket after READY: it must go on
 *
 * KEY.pem: ssh-ed25519, as `openssl genpkey` writes it. FILE: path on the
 * server. Exit status 0 only if all of it was as it has to be.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/volume.h"
#include "sandbox/sandbox.h"

#define EPOCH 7u
#define NS_PER_S 1000000000ull
#define STEP_NS (25 * NS_PER_S) /* beyond the deadline of a login */
#define MIB (1024u * 1024)
#define BLOCK 4096u
#define DEPTH 64u
#define ED25519_BYTES 32

struct op {
  bool used;
  uint16_t op;
  uint64_t offset;
  uint32_t length;
};

static struct options {
  const char *port, *user, *key, *file, *password, *expect;
  const char *bench; /* NULL: no */
  uint64_t verify_bytes;
  bool drop;
  int violate;
  const char *kill, *greeting;
} opt;

static struct driver {
  struct sbx_child child;
  int daemon, gateway, net;
  int fd[CHANNEL_FDS];
  struct channel channel;
  struct control message;
  struct volume_info info;
  struct ring ring;
  struct op op[RING_ENTRIES]; /* index = id = chunk of the arenas */
  unsigned in_flight;
  uint8_t *model;
  uint8_t *busy; /* by block: 0xff written to, else number of readers */
  uint64_t bytes[2]; /* read, written */
  uint8_t token[IO_TOKEN_BYTES];
  unsigned key_offers;
} d;

static void die (const char *fmt, ...)
  __attribute__ ((format (printf, 1, 2), noreturn));

static void
die (const char *fmt, ...)
{
  va_list ap;

  fprintf (stderr, "worker-driver: ");
  va_start (ap, fmt);
  vfprintf (stderr, fmt, ap);
  va_end (ap);
  fprintf (stderr, "\n");
  exit (1);
}

static uint64_t
now_ns (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* xorshift64*: repeatable */
static uint64_t
rnd (uint64_t below)
{
  static uint64_t s = 88172645463325252ull;

  s ^= s >> 12;
  s ^= s << 25;
  s ^= s >> 27;
  return (s * 2685821657736338717ull >> 16) % below;
}

/* ---------------------------------------------------------- the daemon --- */

static EVP_PKEY *
read_key (const char *path)
{
  FILE *fp = fopen (path, "r");
  EVP_PKEY *key = fp ? PEM_read_PrivateKey (fp, NULL, NULL, NULL) : NULL;

  if (!key || EVP_PKEY_id (key) != EVP_PKEY_ED25519)
    die ("%s: no Ed25519 key in PEM", path);
  fclose (fp);
  return key;
}

static size_t
public_blob (EVP_PKEY *key, uint8_t *dst, size_t dst_bytes)
{
  struct wirebuf b = wirebuf_init (dst, dst_bytes);
  uint8_t raw[ED25519_BYTES];
  size_t n = sizeof raw;

  if (!EVP_PKEY_get_raw_public_key (key, raw, &n))
    die ("no public key");
  wirebuf_cstring (&b, "ssh-ed25519");
  wirebuf_string (&b, raw, n);
  return b.used_bytes;
}

static void
print_public (const char *path)
{
  EVP_PKEY *key = read_key (path);
  uint8_t blob[128], text[256];
  size_t n = public_blob (key, blob, sizeof blob);

  EVP_EncodeBlock (text, blob, (int)n);
  printf ("ssh-ed25519 %s test\n", text);
  EVP_PKEY_free (key);
}

static int
dial (const char *port)
{
  struct sockaddr_in a = {.sin_family = AF_INET,
                          .sin_port = htons ((uint16_t)atoi (port)),
                          .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

  if (fd < 0 || connect (fd, (struct sockaddr *)&a, sizeof a) < 0)
    die ("cannot connect to port %s: %s", port, strerror (errno));
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

/* A connection to a server that only ever says what is in the file. */
static int
greeted (const char *path)
{
  static char text[65536];
  int s[2], fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read (fd, text, sizeof text);

  if (n < 0 || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                           0, s)
      || write (s[1], text, (size_t)n) != n)
    die ("%s: cannot greet with this", path);
  close (fd);
  if (n == 0)
    close (s[1]);
  return s[0];
}

static void
spawn (void)
{
  const char *dir = getenv ("BULKHEAD_LIBEXEC_DIR");
  char path[512];
  const char *const argv[] = {"bulkhead-worker", NULL};
  int daemon[2], gateway[2], objects[CHANNEL_FDS];
  int fd[WORKER_FD_END - WORKER_FD_DAEMON];
  struct sbx_spawn s = {.profile = SBX_WORKER, .path = path, .argv = argv,
                        .fd = fd, .fds = sizeof fd / sizeof fd[0],
                        .stderr_fd = 2};
  struct fault f = {0};

  snprintf (path, sizeof path, "%s/bulkhead-worker", dir ? dir : ".");
  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, daemon)
      || socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gateway)
      || channel_create (d.fd)
      || channel_fds_for (d.fd, CHANNEL_SIDE_WORKER, objects)
      || channel_map (&d.channel, CHANNEL_SIDE_GATEWAY, d.fd))
    die ("cannot make sockets and channel");
  ring_object_reset (channel_ring (&d.channel, CHANNEL_REQUESTS), EPOCH);
  d.net = opt.greeting ? greeted (opt.greeting) : dial (opt.port);
  fd[WORKER_FD_DAEMON - 3] = daemon[1];
  fd[WORKER_FD_GATEWAY - 3] = gateway[1];
  fd[WORKER_FD_NET - 3] = d.net;
  fd[WORKER_FD_WAKE_WORKER - 3] = objects[CHANNEL_WAKE_WORKER];
  fd[WORKER_FD_WAKE_GATEWAY - 3] = objects[CHANNEL_WAKE_GATEWAY];
  for (int i = 0; i <= CHANNEL_IDENTITY; i++)
    fd[WORKER_FD_OBJECTS - 3 + i] = objects[i];
  if (sbx_spawn (&s, &d.child, &f))
    die ("%s", f.text);
  close (daemon[1]);
  close (gateway[1]);
  channel_close_fds (objects);
  d.daemon = daemon[0];
  d.gateway = gateway[0];
}

static void
send_config (void)
{
  static struct volume_spec s;
  struct wirebuf b;

  snprintf (s.proto, sizeof s.proto, "sftp");
  if (volume_spec_set (&s, "user", opt.user, -1)
      || volume_spec_set (&s, "path", opt.file, -1))
    die ("spec");
  control_begin (&d.message, CONTROL_CONFIG);
  b = control_body (&d.message);
  wirebuf_u64 (&b, EPOCH);
  wirebuf_u8 (&b, 0);
  volume_spec_put (&b, &s);
  wirebuf_cstring (&b, "ssh-ed25519");
  wirebuf_cstring (&b, ""); /* no MOVE before */
  if (control_send (d.daemon, &d.message, &b, STEP_NS))
    die ("cannot send CONFIG");
}

/* The exit status of the worker; waits for it. */
static int
worker_status (void)
{
  siginfo_t si = {0};
  struct pollfd p = {.fd = d.child.pidfd, .events = POLLIN};

  if (poll (&p, 1, 10000) != 1
      || waitid (P_PIDFD, (id_t)d.child.pidfd, &si, WEXITED) < 0)
    die ("the worker does not end");
  if (si.si_code != CLD_EXITED) {
    struct ring_object *o = channel_ring (&d.channel, CHANNEL_COMPLETIONS);
    uint32_t refused = atomic_load (&o->refused_syscall);
    char name[40];

    if (refused)
      die ("the worker died of the system call %s",
           sbx_syscall_name (refused - 1, name, sizeof name));
    die ("the worker died of signal %d", si.si_status);
  }
  return si.si_status;
}

static void __attribute__ ((noreturn))
worker_failed (void)
{
  struct wire w = wire_init (d.message.body, d.message.length_bytes);
  struct fault f = {0};
  const char *text;

  if (fault_take (&w, &f) || wire_end (&w))
    die ("malformed FAIL");
  text = err_text (f.code);
  printf ("FAIL (%s): %s%s%s\n", text, f.text, f.hint[0] ? "; " : "", f.hint);
  if (!opt.expect || strcmp (opt.expect, text))
    die ("this was not expected");
  if (worker_status () != 1)
    die ("exit status after FAIL is not 1");
  exit (0);
}

static void
hear (void)
{
  enum err e = control_recv (d.daemon, &d.message, STEP_NS);

  if (e == ERR_CLOSED)
    die ("the worker closed its socket, status %d", worker_status ());
  if (e)
    die ("waiting for the worker: %s", err_text (e));
  if (d.message.type == CONTROL_FAIL)
    worker_failed ();
}

static void
tell (enum control_type type, const void *a, size_t a_bytes, const void *b,
      size_t b_bytes)
{
  struct wirebuf w;

  control_begin (&d.message, type);
  w = control_body (&d.message);
  if (a)
    wirebuf_string (&w, a, a_bytes);
  if (b)
    wirebuf_string (&w, b, b_bytes);
  if (control_send (d.daemon, &d.message, &w, STEP_NS))
    die ("cannot send %s", control_type_name ((uint16_t)type));
}

static void
answer_auth (EVP_PKEY *key)
{
  struct wire w = wire_init (d.message.body, d.message.length_bytes);
  char offered[256];
  uint8_t blob[128];
  struct wirebuf b;
  struct fault f;

  wire_cstring (&w, offered, sizeof offered);
  if (wire_end (&w))
    die ("malformed AUTH");
  printf ("AUTH: the server offers %s\n", offered);
  if (d.key_offers++) {
    fault_set (&f, ERR_AUTH, "the server refused the login");
    control_begin (&d.message, CONTROL_AUTH_NONE);
    b = control_body (&d.message);
    fault_put (&b, &f);
    if (control_send (d.daemon, &d.message, &b, STEP_NS))
      die ("cannot send AUTH_NONE");
    return;
  }
  if (opt.password) {
    tell (CONTROL_AUTH_PASSWORD, opt.password, strlen (opt.password), NULL, 0);
    return;
  }
  tell (CONTROL_AUTH_KEY, "ssh-ed25519", 11, blob,
        public_blob (key, blob, sizeof blob));
}

static void
answer_sign (EVP_PKEY *key)
{
  struct wire w = wire_init (d.message.body, d.message.length_bytes);
  size_t n, signature_bytes = 64;
  const uint8_t *data = wire_string (&w, CONTROL_BODY_BYTES, &n);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  uint8_t signature[64];

  if (wire_end (&w) || !EVP_DigestSignInit (ctx, NULL, NULL, NULL, key)
      || !EVP_DigestSign (ctx, signature, &signature_bytes, data, n))
    die ("cannot sign");
  EVP_MD_CTX_free (ctx);
  tell (CONTROL_SIGNATURE, signature, signature_bytes, NULL, 0);
}

/* From CONFIG to READY. */
static void
log_in (void)
{
  EVP_PKEY *key = read_key (opt.key);
  char layers[256];

  send_config ();
  for (;;) {
    struct wire w;

    hear ();
    w = wire_init (d.message.body, d.message.length_bytes);
    switch (d.message.type) {
    case CONTROL_SEALED:
      sbx_layers_text (wire_u32 (&w), layers, sizeof layers);
      printf ("SEALED: %s\n", layers);
      break;
    case CONTROL_HOSTKEY:
      tell (CONTROL_HOSTKEY_OK, NULL, 0, NULL, 0);
      break;
    case CONTROL_AUTH:
      answer_auth (key);
      break;
    case CONTROL_SIGN:
      answer_sign (key);
      break;
    case CONTROL_READY:
      if (volume_info_take (&w, &d.info) || wire_end (&w))
        die ("malformed READY");
      EVP_PKEY_free (key);
      return;
    default:
      die ("unexpected %s", control_type_name (d.message.type));
    }
  }
}

/* --------------------------------------------------------- the gateway --- */

static void
start_rings (void)
{
  struct wirebuf b;

  ring_init (&d.ring, channel_ring (&d.channel, CHANNEL_REQUESTS),
             channel_ring (&d.channel, CHANNEL_COMPLETIONS));
  control_begin (&d.message, CONTROL_GO);
  b = control_body (&d.message);
  wirebuf_u64 (&b, EPOCH);
  if (control_send (d.gateway, &d.message, &b, STEP_NS))
    die ("cannot send GO");
}

static void
wake (void)
{
  uint64_t one = 1;

  if (ring_wake_needed (&d.ring)
      && write (d.fd[CHANNEL_WAKE_WORKER], &one, sizeof one) < 0)
    die ("wake: %s", strerror (errno));
}

static void
push (uint64_t id, uint16_t op, uint64_t offset, uint32_t length)
{
  union ring_entry e = {.request = {.id = id, .op = op, .offset = offset,
                                    .length = length,
                                    .arena_offset = id * CHANNEL_CHUNK_BYTES}};

  if (ring_push (&d.ring, &e))
    die ("request ring is full");
  d.op[id] = (struct op){true, op, offset, length};
  d.in_flight++;
}

static uint8_t *
chunk (enum channel_object arena, uint64_t id)
{
  return (uint8_t *)d.channel.base[arena] + id * CHANNEL_CHUNK_BYTES;
}

/* Waits for the worker's wake-up, or for its end. */
static void
sleep_for_completions (void)
{
  struct pollfd p[2] = {{.fd = d.fd[CHANNEL_WAKE_GATEWAY], .events = POLLIN},
                        {.fd = d.daemon, .events = POLLIN}};
  uint64_t count;

  if (!ring_sleep (&d.ring))
    return;
  if (poll (p, opt.drop ? 1 : 2, 15000) <= 0)
    die ("no completion for 15 s (%u requests in flight)", d.in_flight);
  ring_awake (&d.ring);
  if (p[0].revents && read (p[0].fd, &count, sizeof count) < 0)
    die ("eventfd");
  if (!opt.drop && p[1].revents)
    hear ();
}

/* The id of a finished request, after its error has been checked. */
static unsigned
finish (void)
{
  union ring_entry e;
  struct ring_completion *c = &e.completion;
  enum err r;

  while ((r = ring_pop (&d.ring, &e)) == ERR_AGAIN) {
    wake ();
    sleep_for_completions ();
  }
  if (r)
    die ("completion ring is broken");
  if (c->id >= RING_ENTRIES || !d.op[c->id].used)
    die ("completion for no request: %" PRIu64, c->id);
  if (c->error)
    die ("operation %u at %" PRIu64 ": %s", d.op[c->id].op,
         d.op[c->id].offset, strerror ((int)c->error));
  if (d.op[c->id].op == IO_READ && c->length != d.op[c->id].length)
    die ("READ has another length");
  if (d.op[c->id].op != IO_READ) {
    static const uint8_t none[IO_TOKEN_BYTES];

    if (!memcmp (d.token, none, sizeof none))
      memcpy (d.token, c->token, sizeof d.token);
    if (memcmp (d.token, c->token, sizeof d.token)
        || !memcmp (d.token, none, sizeof none))
      die ("the stability token changed within a session, or is empty");
  }
  d.op[c->id].used = false;
  d.in_flight--;
  return (unsigned)c->id;
}

static bool
claim (uint64_t offset, uint32_t length, bool for_write)
{
  uint64_t first = offset / BLOCK, last = (offset + length - 1) / BLOCK;

  for (uint64_t b = first; b <= last; b++)
    if (for_write ? d.busy[b] != 0 : d.busy[b] == 0xff)
      return false;
  for (uint64_t b = first; b <= last; b++)
    d.busy[b] = for_write ? 0xff : (uint8_t)(d.busy[b] + 1);
  return true;
}

static void
release (uint64_t offset, uint32_t length, bool for_write)
{
  uint64_t first = offset / BLOCK, last = (offset + length - 1) / BLOCK;

  for (uint64_t b = first; b <= last; b++)
    d.busy[b] = for_write ? 0 : (uint8_t)(d.busy[b] - 1);
}

static void
submit_random (unsigned id)
{
  static const uint32_t sizes[] = {BLOCK, BLOCK, 65536, CHANNEL_CHUNK_BYTES};

  if (rnd (200) == 0) {
    push (id, IO_FLUSH, 0, 0);
    return;
  }
  for (;;) {
    bool for_write = rnd (2);
    uint32_t length = sizes[rnd (4)];
    uint64_t offset;

    if (rnd (4) == 0)
      length = 1 + (uint32_t)rnd (length);
    offset = rnd (d.info.size - length + 1);
    if (rnd (2))
      offset -= offset % BLOCK;
    if (!claim (offset, length, for_write))
      continue;
    if (for_write) {
      uint8_t *p = chunk (CHANNEL_WRITE_ARENA, id);
      uint64_t seed = rnd (UINT64_MAX) | 1;

      for (uint32_t i = 0; i < length; i++)
        p[i] = (uint8_t)((seed = seed * 6364136223846793005ull + 1) >> 56);
      memcpy (d.model + offset, p, length);
    }
    push (id, for_write ? IO_WRITE : IO_READ, offset, length);
    return;
  }
}

static void
check_one (unsigned id)
{
  const struct op *o = &d.op[id];

  if (o->op == IO_FLUSH)
    return;
  if (o->op == IO_READ
      && memcmp (chunk (CHANNEL_READ_ARENA, id), d.model + o->offset,
                 o->length))
    die ("READ at %" PRIu64 "+%u differs from the model", o->offset,
         o->length);
  release (o->offset, o->length, o->op == IO_WRITE);
  d.bytes[o->op == IO_WRITE] += o->length;
}

static void
load_model (void)
{
  uint64_t at = 0, done = 0;

  d.model = malloc (d.info.size);
  d.busy = calloc (d.info.size / BLOCK + 1, 1);
  if (!d.model || !d.busy)
    die ("out of memory");
  while (done < d.info.size) {
    unsigned id;

    for (id = 0; id < DEPTH && at < d.info.size; id++) {
      uint64_t left = d.info.size - at;
      uint32_t n = left < CHANNEL_CHUNK_BYTES ? (uint32_t)left
                                              : CHANNEL_CHUNK_BYTES;

      if (!d.op[id].used) {
        push (id, IO_READ, at, n);
        at += n;
      }
    }
    wake ();
    id = finish ();
    memcpy (d.model + d.op[id].offset, chunk (CHANNEL_READ_ARENA, id),
            d.op[id].length);
    done += d.op[id].length;
  }
}

/* sshd's session: what a server that dies looks like to a client. */
static void
kill_sessions (void)
{
  char path[64], line[256];
  FILE *fp;
  char *p;

  snprintf (path, sizeof path, "/proc/%s/task/%s/children", opt.kill,
            opt.kill);
  fp = fopen (path, "r");
  if (!fp || !fgets (line, sizeof line, fp))
    die ("no children of process %s", opt.kill);
  fclose (fp);
  for (p = strtok (line, " \n"); p; p = strtok (NULL, " \n"))
    kill ((pid_t)atoi (p), SIGKILL);
  opt.kill = NULL;
}

static void
verify (void)
{
  uint64_t start_ns = now_ns ();

  load_model ();
  for (unsigned id = 0; id < DEPTH; id++)
    submit_random (id);
  wake ();
  while (d.in_flight) {
    unsigned id = finish ();

    check_one (id);
    if (opt.kill && d.bytes[0] > 16 * MIB)
      kill_sessions ();
    if (d.bytes[0] < opt.verify_bytes || d.bytes[1] < opt.verify_bytes)
      submit_random (id);
    if (!ring_has_input (&d.ring))
      wake ();
  }
  push (0, IO_FLUSH, 0, 0);
  wake ();
  (void)finish ();
  for (uint64_t at = 0; at < d.info.size; at += CHANNEL_CHUNK_BYTES) {
    uint64_t left = d.info.size - at;
    uint32_t n
      = left < CHANNEL_CHUNK_BYTES ? (uint32_t)left : CHANNEL_CHUNK_BYTES;

    push (0, IO_READ, at, n);
    wake ();
    (void)finish ();
    if (memcmp (chunk (CHANNEL_READ_ARENA, 0), d.model + at, n))
      die ("the end differs from the model at %" PRIu64, at);
  }
  printf ("verified: %" PRIu64 " MiB read, %" PRIu64
          " MiB written at depth %u in %.1f s\n",
          d.bytes[0] / MIB, d.bytes[1] / MIB, DEPTH,
          (double)(now_ns () - start_ns) / 1e9);
}

static double
worker_cpu_s (void)
{
  char path[40], text[512];
  unsigned long utime, stime;
  FILE *fp;
  char *p;

  snprintf (path, sizeof path, "/proc/%d/stat", (int)d.child.pid);
  fp = fopen (path, "r");
  if (!fp || !fgets (text, sizeof text, fp) || !(p = strrchr (text, ')'))
      || sscanf (p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                 &utime, &stime) != 2)
    return 0;
  fclose (fp);
  return (double)(utime + stime) / (double)sysconf (_SC_CLK_TCK);
}

static void
bench (const char *name, uint16_t op, uint32_t length, unsigned depth,
       bool random, uint64_t total)
{
  uint64_t at = 0, done = 0, given = 0, start_ns = now_ns ();
  double cpu_s = worker_cpu_s (), s;
  unsigned id = 0;

  if (!strstr (name, opt.bench))
    return;
  for (; done < total; done += length) {
    if (given < total && given - done < (uint64_t)depth * length) {
      for (; given < total && given - done < (uint64_t)depth * length;
           given += length) {
        while (d.op[id].used)
          id = (id + 1) % depth;
        at = random ? rnd (d.info.size / length) * length
                    : given % (d.info.size / length * length);
        push (id, op, at, length);
      }
      if (!ring_has_input (&d.ring))
        wake ();
    }
    (void)finish ();
  }
  s = (double)(now_ns () - start_ns) / 1e9;
  printf ("%-22s %8.1f MiB/s %9.0f op/s, worker %.2f CPU s/GiB\n", name,
          (double)total / MIB / s, (double)(total / length) / s,
          (worker_cpu_s () - cpu_s) * 1024 * MIB / (double)total);
}

static void
violate (int rule)
{
  union ring_entry e = {.request = {.id = 1, .op = IO_READ, .length = 4096}};
  struct ring_request *r = &e.request;

  switch (rule) {
  case 1:
    r->op = 77;
    break;
  case 2:
    r->op = IO_STATUS; /* its answer is longer than what it asks about */
    r->arena_offset = CHANNEL_ARENA_BYTES - 4096;
    break;
  case 3:
    r->length = CHANNEL_CHUNK_BYTES + 1;
    break;
  case 4:
    r->arena_offset = CHANNEL_ARENA_BYTES - 4095;
    break;
  case 5:
    r->flags = 0x80;
    break;
  case 6:
    r->length = 0;
    break;
  case 7:
    d.ring.tail += RING_ENTRIES + 4;
    break;
  default:
    die ("no such rule");
  }
  if (ring_push (&d.ring, &e) && rule != 7)
    die ("cannot push");
  if (rule == 7)
    atomic_store (&d.ring.mine->tail, d.ring.tail);
  wake ();
  hear ();
  die ("the worker did not notice");
}

static void
parse (int argc, char **argv)
{
  static const struct option longs[]
    = {{"verify", 1, NULL, 'v'},   {"bench", 2, NULL, 'b'},
       {"password", 1, NULL, 'p'}, {"expect", 1, NULL, 'e'},
       {"violate", 1, NULL, 'x'},  {"public", 1, NULL, 'k'},
       {"drop", 0, NULL, 'd'},     {"kill", 1, NULL, 'K'},
       {"greeting", 1, NULL, 'g'}, {NULL, 0, NULL, 0}};
  int c;

  while ((c = getopt_long (argc, argv, "", longs, NULL)) != -1) {
    switch (c) {
    case 'v':
      opt.verify_bytes = strtoull (optarg, NULL, 10) * MIB;
      break;
    case 'b':
      opt.bench = optarg ? optarg : "";
      break;
    case 'p':
      opt.password = optarg;
      break;
    case 'e':
      opt.expect = optarg;
      break;
    case 'x':
      opt.violate = atoi (optarg);
      break;
    case 'k':
      print_public (optarg);
      exit (0);
    case 'd':
      opt.drop = true;
      break;
    case 'g':
      opt.greeting = optarg;
      break;
    case 'K':
      opt.kill = optarg;
      break;
    default:
      die ("unknown option");
    }
  }
  if (argc - optind != 4)
    die ("usage: worker-driver [OPTION...] PORT USER KEY.pem FILE");
  opt.port = argv[optind];
  opt.user = argv[optind + 1];
  opt.key = argv[optind + 2];
  opt.file = argv[optind + 3];
}

int
main (int argc, char **argv)
{
  parse (argc, argv);
  setvbuf (stdout, NULL, _IOLBF, 0);
  spawn ();
  log_in ();
  if (d.info.size < CHANNEL_CHUNK_BYTES)
    die ("the file is too small for this");
  start_rings ();
  if (opt.violate)
    violate (opt.violate);
  if (opt.drop)
    close (d.daemon);
  if (opt.verify_bytes)
    verify ();
  if (opt.bench) {
    bench ("random read 4k, depth 32", IO_READ, BLOCK, 32, true, 128 * MIB);
    bench ("random read 4k, depth 1", IO_READ, BLOCK, 1, true, 16 * MIB);
    bench ("read 256k, depth 4", IO_READ, CHANNEL_CHUNK_BYTES, 4, false,
           512 * MIB);
    bench ("write 256k, depth 4", IO_WRITE, CHANNEL_CHUNK_BYTES, 4, false,
           512 * MIB);
  }
  if (opt.expect)
    die ("the worker did not fail");
  if (!opt.drop)
    close (d.daemon);
  close (d.gateway);
  if (worker_status () != 0)
    die ("the worker did not end well");
  return 0;
}
