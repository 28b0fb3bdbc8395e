/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs an engine against a real server, without worker and sandbox, and writes
 * the conversation down as an input for drive.c: the seeds of the corpora.
 *
 *   record PROTOCOL FILE (HOST:PORT | -- COMMAND…) [KEY=VALUE…]
 *
 * KEY=VALUE before the "--"; seed=N is the input's first byte, by which a
 * target may choose its parameters. The server sees reads, writes and whatever
 * else the volume can do in its first 2 MiB: use a scratch one.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "protocols/proto.h"

#define PARAMS 32
#define START_NS 1000000000ull
#define TURNS_MAX 4000
#define STEP_LOG2_US 16

struct step {
  enum io_op op;
  uint8_t flags;
  uint32_t offset; /* as in drive.h, in 512 bytes */
  uint16_t length;
};

static const struct step steps[] = {
  {IO_READ, 0, 0, 8},          {IO_READ, 0, 1, 1},
  {IO_WRITE, 0, 16, 8},        {IO_WRITE, IO_FUA, 32, 8},
  {IO_READ, 0, 0, 72},        {IO_FLUSH, 0, 0, 0},
  {IO_STATUS, 0, 0, 256},      {IO_TRIM, 0, 64, 64},
  {IO_ZERO, 0, 128, 64},       {IO_ZERO, IO_NO_HOLE, 192, 8},
  {IO_STATUS, 0, 0, 256},      {IO_WRITE, 0, 8, 72},
  {IO_FLUSH, 0, 0, 0},         {IO_READ, 0, 8, 72},
};

static struct {
  const struct proto_ops *ops;
  struct proto *p;
  FILE *out;
  const char *key[PARAMS], *value[PARAMS];
  unsigned params;
  uint8_t identity[PROTO_IDENTITY_BYTES];
  struct proto_want moved;
  uint64_t now_ns;
  int fd;
  uint8_t seed;
  bool leaving;
  uint16_t port;
  char host[256];
  char **command;
  uint8_t *data[PROTO_REQUESTS];
  unsigned asked, answered;
} g;

static _Noreturn void
fail (const char *what)
{
  fprintf (stderr, "record: %s: %s\n", what, errno ? strerror (errno) : "");
  exit (EXIT_FAILURE);
}

static const char *
get_param (void *ctx, const char *key)
{
  (void)ctx;
  for (unsigned i = 0; i < g.params; i++)
    if (strcmp (g.key[i], key) == 0)
      return g.value[i];
  return NULL;
}

static void
put (const void *bytes, size_t n)
{
  if (fwrite (bytes, 1, n, g.out) != n)
    fail ("write");
}

static void
put_number (uint64_t v, unsigned bytes)
{
  while (bytes--) {
    uint8_t b = (uint8_t)(v >> (8 * bytes));

    put (&b, 1);
  }
}

static int
dial (const char *host, uint16_t port)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons (port)};
  int fd = socket (AF_INET, SOCK_STREAM, 0);

  if (fd < 0 || inet_pton (AF_INET, host, &a.sin_addr) != 1
      || connect (fd, (struct sockaddr *)&a, sizeof a) < 0)
    fail ("connect");
  return fd;
}

static int
start_command (char **argv)
{
  int pair[2];
  pid_t pid;

  if (socketpair (AF_UNIX, SOCK_STREAM, 0, pair) < 0 || (pid = fork ()) < 0)
    fail ("fork");
  if (pid == 0) {
    dup2 (pair[1], 0);
    dup2 (pair[1], 1);
    close (pair[0]);
    execv (argv[0], argv);
    _exit (127);
  }
  close (pair[1]);
  return pair[0];
}

static void
open_engine (bool moved)
{
  struct proto_config c = {.get = get_param, .identity = g.identity};
  struct fault f = {0};

  memset (c.seed, g.seed, sizeof c.seed);
  if (moved) {
    c.moved = g.moved.data;
    c.moved_bytes = g.moved.data_bytes;
  }
  if (g.ops->open (&c, g.now_ns, &g.p, &f))
    fail (f.text);
}

static void
send_all (void)
{
  struct iovec iov[PROTO_TX_IOV];
  size_t n;

  while ((n = g.ops->tx_iov (g.p, 0, iov, PROTO_TX_IOV))) {
    ssize_t k = writev (g.fd, iov, (int)n);

    if (k <= 0)
      fail ("send");
    g.ops->tx_done (g.p, 0, (size_t)k);
  }
}

static void
receive (void)
{
  static uint8_t buf[32768];
  ssize_t n = read (g.fd, buf, sizeof buf);

  if (n <= 0 && g.leaving)
    return;
  if (n <= 0)
    fail ("the server ended it");
  put ("S", 1);
  put_number ((uint64_t)n, 2);
  put (buf, (size_t)n);
  for (ssize_t at = 0; at < n;) {
    struct iovec to = g.ops->rx_iov (g.p, 0);
    size_t k = to.iov_len < (size_t)(n - at) ? to.iov_len : (size_t)(n - at);

    memcpy (to.iov_base, buf + at, k);
    at += (ssize_t)k;
    if (g.ops->rx_done (g.p, 0, k, g.now_ns))
      return;
  }
}

static void
let_time_pass (void)
{
  put ("T", 1);
  put_number (STEP_LOG2_US, 1);
  g.now_ns += 1000ull << STEP_LOG2_US;
}

static void
follow (void)
{
  struct proto_want w;

  if (!g.ops->want || !g.ops->want (g.p, &w))
    return;
  if (w.type != PROTO_WANT_MOVE)
    fail ("it wants a secret");
  g.moved = w;
  g.ops->close (g.p);
  close (g.fd);
  put ("M", 1);
  g.fd = dial (w.host[0] ? w.host : g.host, w.port ? w.port : g.port);
  open_engine (true);
}

/* One turn of what the worker's loop does. */
static void
turn (void)
{
  struct proto_completion c;
  struct pollfd p = {.fd = g.fd, .events = POLLIN};

  if (g.ops->state (g.p) == PROTO_FAILED)
    fail (g.ops->fault (g.p)->text);
  while (g.ops->reap (g.p, &c)) {
    fprintf (stderr, "%u: %s\n", (unsigned)c.id, err_text (c.error));
    g.answered++;
  }
  follow ();
  send_all ();
  if (poll (&p, 1, 20) > 0)
    receive ();
  else
    let_time_pass ();
  if (g.ops->state (g.p) != PROTO_FAILED
      && g.ops->deadline_ns (g.p) <= g.now_ns)
    g.ops->tick (g.p, g.now_ns);
}

static void
ask (const struct step *s, const struct volume_info *info)
{
  struct proto_request r = {.id = g.asked, .tag = g.asked, .op = s->op,
                            .flags = s->flags,
                            .offset = (uint64_t)s->offset * 512,
                            .length = s->length * 512u};
  static const uint8_t index[] = {[IO_READ] = 0, [IO_WRITE] = 1,
                                  [IO_FLUSH] = 2, [IO_TRIM] = 3,
                                  [IO_ZERO] = 4, [IO_STATUS] = 5};

  r.offset -= r.offset % info->block_min;
  r.length -= r.length % info->block_min;
  if (r.offset + r.length > info->size)
    return;
  r.data = calloc (1, r.length + IO_EXTENTS_MAX * sizeof (struct io_extent));
  if (!r.data)
    fail ("calloc");
  put ("R", 1);
  put_number (index[s->op], 1);
  put_number (s->flags, 1);
  put_number (s->offset, 4);
  put_number (s->length, 2);
  g.data[g.asked] = r.data;
  if (g.ops->submit (g.p, &r, g.now_ns) == ERR_OK)
    g.asked++;
  else
    free (r.data);
}

static void
converse (void)
{
  struct volume_info info;
  unsigned turns = 0;

  while (g.ops->state (g.p) != PROTO_READY && turns++ < TURNS_MAX)
    turn ();
  g.ops->info (g.p, &info);
  fprintf (stderr, "%llu bytes, caps %#x: %s\n", (unsigned long long)info.size,
           info.caps, info.remarks);
  for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    ask (&steps[i], &info);
    /* Some at depth, some alone. */
    while (i % 3 == 2 && g.answered < g.asked && turns++ < TURNS_MAX)
      turn ();
  }
  while (g.answered < g.asked && turns++ < TURNS_MAX)
    turn ();
  if (g.ops->leave) {
    put ("L", 1);
    g.leaving = true;
    g.ops->leave (g.p, g.now_ns);
    for (unsigned i = 0; i < 5; i++) {
      struct pollfd p = {.fd = g.fd, .events = POLLIN};

      send_all ();
      if (poll (&p, 1, 100) > 0)
        receive ();
    }
  }
  g.ops->close (g.p);
}

int
main (int argc, char **argv)
{
  char *colon;
  int i;

  if (argc < 4 || !(g.ops = proto_find (argv[1]))) {
    fprintf (stderr, "usage: %s PROTOCOL FILE [KEY=VALUE…] "
                     "HOST:PORT|-- COMMAND…\n", argv[0]);
    return EXIT_FAILURE;
  }
  g.now_ns = START_NS;
  g.out = fopen (argv[2], "wb");
  if (!g.out)
    fail (argv[2]);
  for (i = 3; i < argc && strchr (argv[i], '=') && g.params < PARAMS; i++) {
    char *eq = strchr (argv[i], '=');

    *eq = 0;
    g.key[g.params] = argv[i];
    g.value[g.params++] = eq + 1;
  }
  if (get_param (NULL, "seed"))
    g.seed = (uint8_t)atoi (get_param (NULL, "seed"));
  put_number (g.seed, 1);
  if (i < argc && strcmp (argv[i], "--") == 0 && i + 1 < argc)
    g.fd = start_command (argv + i + 1);
  else if (i < argc && (colon = strrchr (argv[i], ':'))) {
    snprintf (g.host, sizeof g.host, "%.*s", (int)(colon - argv[i]), argv[i]);
    g.port = (uint16_t)atoi (colon + 1);
    g.fd = dial (g.host, g.port);
  } else
    fail ("no server");
  open_engine (false);
  converse ();
  if (fclose (g.out))
    fail ("close");
  return EXIT_SUCCESS;
}
