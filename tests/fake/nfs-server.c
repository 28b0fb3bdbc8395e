/* SPDX-License-Identifier: BSD-2-Clause */
/* nfs-server PORT FILE [3|4 [PERIOD [unbound]]]
 *
 * The NFSv3 server of nfs3.h over TCP on 127.0.0.1, with portmap, mountd and
 * NFS all at one port, for mountport=, which serves FILE as FAKE_PATH; or the
 * NFSv4 server of nfs4.h, which serves it as FAKE4_PATH, and wants each
 * connection to be bound to its session. In memory.
 *
 * SIGHUP: it reboots; connections are reset, what was not committed is gone,
 * the write verifier is another one. SIGUSR1: the same without a restart, as
 * of a disk that could not write what it had; NFSv3 only. SIGTERM: writes what
 * was committed to FILE, and says how many connections a session had at most.
 *
 * Says from which port each client comes.
 *
 * With "unbound" it binds no connection, and ends the one that asked for it.
 *
 * With PERIOD each PERIODth answer goes wrong, in each way in turn: see
 * `wrong`.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/wire.h"
#include "tests/fake/nfs3.h"
#include "tests/fake/nfs4.h"

#define CLIENTS 16
#define BIND 41 /* nfs_opnum4: BIND_CONN_TO_SESSION */
#define RECORD_BYTES (2u << 20)

struct server {
  bool four;
  struct fake_nfs3 v3;
  struct fake_nfs4 v4;
  unsigned period, answers, wrongs; /* period 0: never */
  unsigned elsewhere, bound_most;
  bool unbound;
};

static uint8_t **
store (struct server *s, bool committed)
{
  if (s->four)
    return committed ? &s->v4.committed : &s->v4.content;
  return committed ? &s->v3.committed : &s->v3.content;
}

static uint64_t
size_of (const struct server *s)
{
  return s->four ? s->v4.size : s->v3.size;
}

struct client {
  int fd; /* -1: free */
  uint8_t *in;
  size_t have;
};

static struct client client[CLIENTS];

static volatile sig_atomic_t reboot, forget, end;

static void
on_signal (int sig)
{
  if (sig == SIGHUP)
    reboot = 1;
  else if (sig == SIGUSR1)
    forget = 1;
  else
    end = 1;
}

static _Noreturn void
give_up (const char *what)
{
  perror (what);
  exit (1);
}

static void
hang_up (struct server *s, struct client *c, int hard)
{
  struct linger l = {.l_onoff = hard};

  setsockopt (c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
  close (c->fd);
  fake_nfs4_hang_up (&s->v4, (unsigned)(c - client));
  c->fd = -1;
  c->have = 0;
}

static int
send_all (int fd, const uint8_t *p, size_t n)
{
  while (n > 0) {
    ssize_t k = send (fd, p, n, MSG_NOSIGNAL);

    if (k < 0 && errno == EINTR && !reboot && !end)
      continue;
    if (k <= 0)
      return -1;
    p += k;
    n -= (size_t)k;
  }
  return 0;
}

static void
put_u32 (uint8_t *p, uint32_t v)
{
  struct wirebuf b = wirebuf_init (p, 4);

  wirebuf_u32 (&b, v);
}

static void
mark (uint8_t *record, uint32_t n)
{
  put_u32 (record, 0x80000000u | n);
}

/* Another connection, whoever has it; -1: there is none. */
static int
another (int fd)
{
  for (int i = 0; i < CLIENTS; i++)
    if (client[i].fd >= 0 && client[i].fd != fd)
      return client[i].fd;
  return -1;
}

/* Sends the answer of n bytes at record + 4, or what a bad server would.
 * Nonzero: the connection ends.
 */
static int
wrong (struct server *s, int fd, uint8_t *record, size_t n)
{
  struct timespec late = {.tv_nsec = 300000000};
  /* version 4 begins with the last one, as it has the fewest rounds */
  unsigned way = s->four ? (s->wrongs++ + 8) % 9 : s->wrongs++ % 8;

  mark (record, (uint32_t)n);
  switch (way) {
  case 0: /* twice */
    return send_all (fd, record, n + 4) || send_all (fd, record, n + 4);
  case 1: /* a fragment of almost 2 GiB */
    mark (record, 0x7fffffff);
    return send_all (fd, record, n + 4);
  case 2: /* to a call that nobody made */
    record[4] ^= 0x55;
    return send_all (fd, record, n + 4);
  case 3: /* late */
    nanosleep (&late, NULL);
    return send_all (fd, record, n + 4);
  case 4: /* cut off, and the connection with it */
    send_all (fd, record, n / 2);
    return -1;
  case 5: /* its last word is missing, but the record ends */
    mark (record, (uint32_t)n - 4);
    return send_all (fd, record, n);
  case 6: /* a status that there is not, where the status is: behind xid, REPLY,
           * MSG_ACCEPTED, AUTH_NONE and SUCCESS
           */
    if (n >= 28)
      put_u32 (record + 4 + 24, 0x4711);
    return send_all (fd, record, n + 4);
  case 8: /* on another connection than it was asked on */
    if (another (fd) < 0)
      return send_all (fd, record, n + 4);
    s->elsewhere++;
    return send_all (another (fd), record, n + 4) ? -1 : 0;
  default: /* empty fragments without an end */
    memset (record, 0, 4);
    for (unsigned i = 0; i < 5000; i++)
      if (send_all (fd, record, 4))
        return -1;
    return 0;
  }
}

static void
count_bound (struct server *s)
{
  for (unsigned i = 0; i < FAKE4_SESSIONS; i++) {
    unsigned n = (unsigned)__builtin_popcount (s->v4.session[i].bound);

    if (s->v4.session[i].used && n > s->bound_most)
      s->bound_most = n;
  }
}

/* Answers every whole call that is there. */
static int
answer (struct server *s, struct client *c, uint8_t *reply)
{
  while (c->have >= 4) {
    struct wire w = wire_init (c->in, c->have);
    uint32_t bytes = wire_u32 (&w) & 0x7fffffff;
    size_t n;

    if (bytes > RECORD_BYTES - 4)
      return -1;
    if (c->have < bytes + 4)
      return 0;
    s->v4.connection = (unsigned)(c - client);
    n = s->four ? fake_nfs4_answer (&s->v4, c->in + 4, bytes, reply + 4,
                                    RECORD_BYTES - 4)
                : fake_nfs3_answer (&s->v3, c->in + 4, bytes, reply + 4,
                                    RECORD_BYTES - 4);
    if (n == 0)
      return -1;
    if (s->unbound && s->v4.executed[BIND] > 0) {
      s->v4.executed[BIND] = 0;
      fake_nfs4_hang_up (&s->v4, s->v4.connection);
      return -1;
    }
    mark (reply, (uint32_t)n);
    count_bound (s);
    if (s->period && ++s->answers % s->period == 0) {
      if (wrong (s, c->fd, reply, n))
        return -1;
    } else if (send_all (c->fd, reply, n + 4)) {
      return -1;
    }
    c->have -= bytes + 4;
    memmove (c->in, c->in + 4 + bytes, c->have);
  }
  return 0;
}

static void
welcome (int listener)
{
  struct sockaddr_in a = {0};
  socklen_t bytes = sizeof a;
  int fd = accept (listener, (struct sockaddr *)&a, &bytes);

  printf ("from %u\n", ntohs (a.sin_port));
  fflush (stdout);
  for (int i = 0; i < CLIENTS && fd >= 0; i++)
    if (client[i].fd < 0) {
      client[i].fd = fd;
      fd = -1;
    }
  if (fd >= 0)
    close (fd);
}

static void
turn (struct server *s, int listener, uint8_t *reply)
{
  struct pollfd p[CLIENTS + 1] = {{.fd = listener, .events = POLLIN}};

  for (int i = 0; i < CLIENTS; i++)
    p[i + 1] = (struct pollfd){.fd = client[i].fd, .events = POLLIN};
  /* A signal between the look at it and poll waits for so long. */
  if (poll (p, CLIENTS + 1, 100) <= 0)
    return;
  for (int i = 0; i < CLIENTS; i++) {
    struct client *c = &client[i];
    ssize_t n;

    if (!p[i + 1].revents)
      continue;
    n = read (c->fd, c->in + c->have, RECORD_BYTES - c->have);
    if (n > 0)
      c->have += (size_t)n;
    if (n <= 0 || answer (s, c, reply))
      hang_up (s, c, 0);
  }
  if (p[0].revents)
    welcome (listener);
}

static void
load (struct server *s, const char *name)
{
  FILE *f = fopen (name, "r");
  long size;

  if (!f || fseek (f, 0, SEEK_END) || (size = ftell (f)) < 0)
    give_up (name);
  rewind (f);
  if (s->four)
    fake_nfs4_init (&s->v4, (uint64_t)size);
  else
    fake_nfs3_init (&s->v3, (uint64_t)size);
  if (fread (*store (s, false), 1, (size_t)size, f) != (size_t)size)
    give_up (name);
  memcpy (*store (s, true), *store (s, false), (size_t)size);
  fclose (f);
}

static void
save (struct server *s, const char *name)
{
  FILE *f = fopen (name, "w");

  if (!f || fwrite (*store (s, true), 1, size_of (s), f) != size_of (s)
      || fclose (f))
    give_up (name);
}

int
main (int argc, char **argv)
{
  static struct server s;
  struct sockaddr_in a = {.sin_family = AF_INET};
  struct sigaction sa = {.sa_handler = on_signal};
  uint8_t *reply = malloc (RECORD_BYTES);
  int listener = socket (AF_INET, SOCK_STREAM, 0), on = 1;

  if (argc < 3 || argc > 6 || !reply)
    return 2;
  s.four = argc > 3 && strcmp (argv[3], "4") == 0;
  s.period = argc > 4 ? (unsigned)atoi (argv[4]) : 0;
  sigaction (SIGHUP, &sa, NULL);
  sigaction (SIGUSR1, &sa, NULL);
  sigaction (SIGTERM, &sa, NULL);
  load (&s, argv[2]);
  s.unbound = argc > 5;
  s.v4.strict = !s.unbound;
  a.sin_port = htons ((uint16_t)atoi (argv[1]));
  a.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  setsockopt (listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind (listener, (struct sockaddr *)&a, sizeof a)
      || listen (listener, CLIENTS))
    give_up ("bind");
  for (int i = 0; i < CLIENTS; i++)
    client[i] = (struct client){.fd = -1, .in = malloc (RECORD_BYTES)};
  printf ("ready\n");
  fflush (stdout);
  while (!end) {
    turn (&s, listener, reply);
    if (forget && !s.four) {
      fake_nfs3_reboot (&s.v3);
      printf ("forgot\n");
      fflush (stdout);
    }
    forget = 0;
    if (!reboot)
      continue;
    reboot = 0;
    if (s.four)
      fake_nfs4_reboot (&s.v4);
    else
      fake_nfs3_reboot (&s.v3);
    for (int i = 0; i < CLIENTS; i++)
      if (client[i].fd >= 0)
        hang_up (&s, &client[i], 1);
    printf ("rebooted\n");
    fflush (stdout);
  }
  save (&s, argv[2]);
  printf ("%u answers were wrong\n", s.wrongs);
  printf ("%u answers went elsewhere, a session had up to %u connections\n",
          s.elsewhere, s.bound_most);
  for (int i = 0; i < CLIENTS; i++)
    free (client[i].in);
  free (reply);
  return 0;
}
