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

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/system/worker-driver.h"

struct options opt;
struct driver d;

void
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

/* xorshift64*: repeatable */
uint64_t
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
  int fd[WORKER_FD_TRUST - WORKER_FD_DAEMON];
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
  for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
    fd[i] = -1;
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
  wirebuf_u8 (&b, 0); /* path */
  wirebuf_u8 (&b, 1); /* lanes */
  wirebuf_u8 (&b, 1);
  volume_spec_put (&b, &s);
  wirebuf_cstring (&b, "ssh-ed25519");
  wirebuf_cstring (&b, ""); /* no MOVE before */
  wirebuf_u8 (&b, 0);       /* no TLS */
  wirebuf_cstring (&b, "");
  wirebuf_cstring (&b, "");
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

void
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
  if (d.info.size < LARGE)
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
    bench ("read 256k, depth 4", IO_READ, LARGE, 4, false,
           512 * MIB);
    bench ("write 256k, depth 4", IO_WRITE, LARGE, 4, false,
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
