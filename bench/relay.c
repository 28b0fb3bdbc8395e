/* SPDX-License-Identifier: BSD-2-Clause */
/* A TCP relay that stands in for a long or a bad way to a server.
 *
 *   relay --listen PORT --connect PORT [--host N] [--delay-us N]
 *         [--throttle BYTES/S]
 *
 * Both ends are on 127.0.0.1; with --host it listens at 127.0.0.N, where the
 * same port may be had as at the other end. Delay is added each way, without
 * any limit to throughput: bytes wait in memory until they are due (QUEUE_MAX a
 * direction). Throttle is for each direction of each connection.
 *
 * Lines on standard input change what it does; each is answered "ok":
 *   delay-us N | throttle N (0: none) | cut (forward nothing more) | mend
 *   reset (every connection, with RST) | reset-one (the last in the table)
 *   refuse (no new ones) | accept
 *
 * It prints "ready" once it listens, and ends with the process that started it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define CONNECTIONS_MAX 64
#define CHUNK_BYTES 65536u
#define QUEUE_MAX (256u << 20)
#define SECOND_NS 1000000000u

struct chunk {
  struct chunk *next;
  uint64_t due_ns;
  size_t begin, end;
  uint8_t data[CHUNK_BYTES];
};

/* One way: from fd[side] to fd[!side] of its connection. */
struct way {
  struct chunk *first, **last;
  size_t queued_bytes;
  uint64_t pace_ns; /* throttle: nothing is sent before */
  bool ended;       /* read to the end */
  bool closed;      /* and told to the other side */
};

struct connection {
  int fd[2]; /* -1, -1: free */
  struct way way[2];
};

struct relay {
  int listener;
  uint8_t host; /* 127.0.0.host */
  uint16_t listen_port, connect_port;
  uint64_t delay_ns, throttle;
  bool cut, refuse, control_ended;
  struct connection connection[CONNECTIONS_MAX];
  char line[128];
  size_t line_used;
};

static void __attribute__ ((noreturn)) die (const char *what)
{
  fprintf (stderr, "relay: %s: %s\n", what, strerror (errno));
  exit (EXIT_FAILURE);
}

/* -------------------------------------------------------------- connections */

static struct sockaddr_in
local_address (uint8_t host, uint16_t port)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons (port)};

  a.sin_addr.s_addr = htonl (INADDR_LOOPBACK - 1u + host);
  return a;
}

static void
listen_again (struct relay *r)
{
  struct sockaddr_in a = local_address (r->host, r->listen_port);
  int one = 1;

  r->listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (r->listener == -1
      || setsockopt (r->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)
             == -1
      || bind (r->listener, (struct sockaddr *)&a, sizeof a) == -1
      || listen (r->listener, 64) == -1)
    die ("listen");
}

static void
drop (struct connection *c, bool reset)
{
  struct linger rst = {.l_onoff = 1};

  for (int side = 0; side < 2; side++) {
    struct way *w = &c->way[side];

    if (reset)
      setsockopt (c->fd[side], SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
    close (c->fd[side]);
    c->fd[side] = -1;
    while (w->first != NULL) {
      struct chunk *next = w->first->next;

      free (w->first);
      w->first = next;
    }
  }
}

static void
take_connection (struct relay *r)
{
  struct sockaddr_in a = local_address (1, r->connect_port);
  int one = 1, client = accept4 (r->listener, NULL, NULL, SOCK_CLOEXEC);
  int server = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct connection *c = NULL;

  for (int i = 0; i < CONNECTIONS_MAX && c == NULL; i++)
    if (r->connection[i].fd[0] == -1)
      c = &r->connection[i];
  /* Blocking: loopback connects at once or not at all. */
  if (client == -1 || server == -1 || c == NULL
      || connect (server, (struct sockaddr *)&a, sizeof a) == -1) {
    if (client != -1)
      close (client);
    if (server != -1)
      close (server);
    return;
  }
  *c = (struct connection){.fd = {client, server}};
  for (int side = 0; side < 2; side++) {
    c->way[side].last = &c->way[side].first;
    setsockopt (c->fd[side], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl (c->fd[side], F_SETFL, O_NONBLOCK);
  }
}

/* --------------------------------------------------------------- forwarding */

static bool
would_read (const struct relay *r, const struct way *w)
{
  return !r->cut && !w->ended && w->queued_bytes < QUEUE_MAX;
}

/* When the next bytes are due; UINT64_MAX: nothing is queued. */
static uint64_t
due_ns (const struct relay *r, const struct way *w)
{
  if (r->cut || w->first == NULL)
    return UINT64_MAX;
  return w->first->due_ns > w->pace_ns ? w->first->due_ns : w->pace_ns;
}

/* Returns false when the connection is broken. */
static bool
receive (struct relay *r, struct connection *c, int side, uint64_t now)
{
  struct way *w = &c->way[side];
  struct chunk *k = malloc (sizeof *k);
  ssize_t n;

  if (k == NULL)
    die ("malloc");
  n = recv (c->fd[side], k->data, sizeof k->data, 0);
  if (n <= 0) {
    free (k);
    if (n == 0)
      w->ended = true;
    return n == 0 || errno == EAGAIN || errno == EINTR;
  }
  k->next = NULL;
  k->due_ns = now + r->delay_ns;
  k->begin = 0;
  k->end = (size_t)n;
  *w->last = k;
  w->last = &k->next;
  w->queued_bytes += (size_t)n;
  return true;
}

static bool
deliver (struct relay *r, struct connection *c, int side, uint64_t now)
{
  struct way *w = &c->way[side];

  while (due_ns (r, w) <= now) {
    struct chunk *k = w->first;
    size_t most = k->end - k->begin;
    ssize_t n;

    /* In steps of about 5 ms. */
    if (r->throttle > 0 && most > r->throttle / 200 + 1)
      most = r->throttle / 200 + 1;
    n = send (c->fd[!side], k->data + k->begin, most, MSG_NOSIGNAL);
    if (n < 0)
      return errno == EAGAIN || errno == EINTR;
    k->begin += (size_t)n;
    w->queued_bytes -= (size_t)n;
    if (r->throttle > 0)
      w->pace_ns = (w->pace_ns > now ? w->pace_ns : now)
                   + (uint64_t)n * SECOND_NS / r->throttle;
    if (k->begin == k->end) {
      w->first = k->next;
      if (w->first == NULL)
        w->last = &w->first;
      free (k);
    }
  }
  if (w->ended && w->first == NULL && !w->closed) {
    w->closed = true;
    shutdown (c->fd[!side], SHUT_WR);
  }
  return !(c->way[0].closed && c->way[1].closed);
}

/* ------------------------------------------------------------------ control */

/* The way is mended. A network would not have kept the bytes of a connection
 * that was reset meanwhile: neither do we.
 */
static void
mend (struct relay *r)
{
  r->cut = false;
  for (int i = 0; i < CONNECTIONS_MAX; i++) {
    struct connection *c = &r->connection[i];
    struct pollfd p[2] = {{.fd = c->fd[0]}, {.fd = c->fd[1]}};

    if (c->fd[0] != -1 && poll (p, 2, 0) > 0)
      drop (c, true);
  }
}

static void
reset_most (struct relay *r, int most)
{
  for (int i = CONNECTIONS_MAX - 1; i >= 0 && most > 0; i--)
    if (r->connection[i].fd[0] != -1) {
      drop (&r->connection[i], true);
      most--;
    }
}

static void
obey (struct relay *r, const char *line)
{
  unsigned long long n = 0;

  if (sscanf (line, "delay-us %llu", &n) == 1)
    r->delay_ns = n * 1000;
  else if (sscanf (line, "throttle %llu", &n) == 1)
    r->throttle = n;
  else if (strcmp (line, "cut") == 0)
    r->cut = true;
  else if (strcmp (line, "mend") == 0)
    mend (r);
  else if (strcmp (line, "reset") == 0)
    reset_most (r, CONNECTIONS_MAX);
  else if (strcmp (line, "reset-one") == 0)
    reset_most (r, 1);
  else if (strcmp (line, "refuse") == 0 && !r->refuse) {
    r->refuse = true;
    close (r->listener);
  } else if (strcmp (line, "accept") == 0 && r->refuse) {
    r->refuse = false;
    listen_again (r);
  } else {
    puts ("what?");
    return;
  }
  puts ("ok");
}

static void
read_control (struct relay *r)
{
  ssize_t n = read (STDIN_FILENO, r->line + r->line_used,
                    sizeof r->line - 1 - r->line_used);
  char *end;

  if (n <= 0) {
    r->control_ended = true;
    return;
  }
  r->line_used += (size_t)n;
  r->line[r->line_used] = 0;
  while ((end = strchr (r->line, '\n')) != NULL) {
    *end++ = 0;
    obey (r, r->line);
    r->line_used -= (size_t)(end - r->line);
    memmove (r->line, end, r->line_used + 1);
  }
  if (r->line_used == sizeof r->line - 1)
    r->line_used = 0;
}

/* --------------------------------------------------------------------- loop */

static struct pollfd
poll_way_end (const struct relay *r, const struct connection *c, int side,
              uint64_t now, uint64_t *wake_ns)
{
  struct pollfd p = {.fd = c->fd[side]};
  uint64_t due = due_ns (r, &c->way[!side]);

  if (would_read (r, &c->way[side]))
    p.events |= POLLIN;
  if (due <= now)
    p.events |= POLLOUT;
  else if (due < *wake_ns)
    *wake_ns = due;
  if (p.events == 0) /* else a hang-up would wake us for nothing */
    p.fd = -1;
  return p;
}

static void
turn (struct relay *r)
{
  struct pollfd p[2 + 2 * CONNECTIONS_MAX];
  uint64_t now = clock_now_ns (), wake_ns = UINT64_MAX;
  struct timespec wait;

  p[0] = (struct pollfd){.fd = r->control_ended ? -1 : STDIN_FILENO,
                         .events = POLLIN};
  p[1] = (struct pollfd){.fd = r->refuse ? -1 : r->listener, .events = POLLIN};
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    for (int side = 0; side < 2; side++)
      p[2 + 2 * i + side] =
          poll_way_end (r, &r->connection[i], side, now, &wake_ns);
  if (wake_ns != UINT64_MAX)
    wait = (struct timespec){(time_t)((wake_ns - now) / SECOND_NS),
                             (long)((wake_ns - now) % SECOND_NS)};
  if (ppoll (p, 2 + 2 * CONNECTIONS_MAX, wake_ns == UINT64_MAX ? NULL : &wait,
             NULL)
          == -1
      && errno != EINTR)
    die ("ppoll");
  now = clock_now_ns ();
  for (int i = 0; i < CONNECTIONS_MAX; i++) {
    struct connection *c = &r->connection[i];

    if (c->fd[0] == -1)
      continue;
    for (int side = 0; side < 2; side++) {
      bool readable = p[2 + 2 * i + side].revents & ~POLLOUT;

      if ((readable && would_read (r, &c->way[side])
           && !receive (r, c, side, now))
          || !deliver (r, c, side, now)) {
        drop (c, true);
        break;
      }
    }
  }
  if (p[0].revents != 0)
    read_control (r);
  if (p[1].revents != 0 && !r->refuse)
    take_connection (r);
}

int
main (int argc, char **argv)
{
  static const struct option options[] = {{"listen", 1, NULL, 'l'},
                                          {"connect", 1, NULL, 'c'},
                                          {"host", 1, NULL, 'h'},
                                          {"delay-us", 1, NULL, 'd'},
                                          {"throttle", 1, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
  static struct relay r = {.host = 1};
  int o;

  while ((o = getopt_long (argc, argv, "", options, NULL)) != -1) {
    unsigned long long n = optarg != NULL ? strtoull (optarg, NULL, 10) : 0;

    if (o == 'l')
      r.listen_port = (uint16_t)n;
    else if (o == 'c')
      r.connect_port = (uint16_t)n;
    else if (o == 'h')
      r.host = (uint8_t)n;
    else if (o == 'd')
      r.delay_ns = n * 1000;
    else if (o == 't')
      r.throttle = n;
    else
      return 2;
  }
  if (r.listen_port == 0 || r.connect_port == 0) {
    fputs ("relay: --listen PORT --connect PORT are needed\n", stderr);
    return 2;
  }
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  setvbuf (stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    r.connection[i].fd[0] = r.connection[i].fd[1] = -1;
  listen_again (&r);
  puts ("ready");
  for (;;)
    turn (&r);
}
