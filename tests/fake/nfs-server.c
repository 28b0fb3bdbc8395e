/* SPDX-License-Identifier: BSD-2-Clause */
/* nfs-server PORT FILE
 *
 * The NFSv3 server of nfs3.h over TCP on 127.0.0.1, with portmap, mountd and
 * NFS all at one port, for mountport=. It serves FILE as FAKE_PATH, in memory.
 * SIGHUP: it reboots; connections are reset, what was not committed is gone,
 * the write verifier is another one. SIGTERM: writes what was committed to FILE.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/wire.h"
#include "tests/fake/nfs3.h"

#define CLIENTS 16
#define RECORD_BYTES (2u << 20)

struct client {
  int fd; /* -1: free */
  uint8_t *in;
  size_t have;
};

static volatile sig_atomic_t reboot, end;

static void
on_signal (int sig)
{
  if (sig == SIGHUP)
    reboot = 1;
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
hang_up (struct client *c, int hard)
{
  struct linger l = {.l_onoff = hard};

  setsockopt (c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
  close (c->fd);
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

/* Answers every whole call that is there. */
static int
answer (struct fake_nfs3 *s, struct client *c, uint8_t *reply)
{
  while (c->have >= 4) {
    struct wire w = wire_init (c->in, c->have);
    uint32_t mark = wire_u32 (&w) & 0x7fffffff;
    struct wirebuf b = wirebuf_init (reply, 4);
    size_t n;

    if (mark > RECORD_BYTES - 4)
      return -1;
    if (c->have < mark + 4)
      return 0;
    n = fake_nfs3_answer (s, c->in + 4, mark, reply + 4, RECORD_BYTES - 4);
    if (n == 0)
      return -1;
    wirebuf_u32 (&b, 0x80000000u | (uint32_t)n);
    if (send_all (c->fd, reply, n + 4))
      return -1;
    c->have -= mark + 4;
    memmove (c->in, c->in + 4 + mark, c->have);
  }
  return 0;
}

static void
welcome (int listener, struct client client[CLIENTS])
{
  int fd = accept (listener, NULL, NULL);

  for (int i = 0; i < CLIENTS && fd >= 0; i++)
    if (client[i].fd < 0) {
      client[i].fd = fd;
      fd = -1;
    }
  if (fd >= 0)
    close (fd);
}

static void
turn (struct fake_nfs3 *s, int listener, struct client client[CLIENTS],
      uint8_t *reply)
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
      hang_up (c, 0);
  }
  if (p[0].revents)
    welcome (listener, client);
}

static void
load (struct fake_nfs3 *s, const char *name)
{
  FILE *f = fopen (name, "r");
  long size;

  if (!f || fseek (f, 0, SEEK_END) || (size = ftell (f)) < 0)
    give_up (name);
  rewind (f);
  fake_nfs3_init (s, (uint64_t)size);
  if (fread (s->content, 1, (size_t)size, f) != (size_t)size)
    give_up (name);
  memcpy (s->committed, s->content, (size_t)size);
  fclose (f);
}

static void
save (const struct fake_nfs3 *s, const char *name)
{
  FILE *f = fopen (name, "w");

  if (!f || fwrite (s->committed, 1, s->size, f) != s->size || fclose (f))
    give_up (name);
}

int
main (int argc, char **argv)
{
  static struct fake_nfs3 s;
  static struct client client[CLIENTS];
  struct sockaddr_in a = {.sin_family = AF_INET};
  struct sigaction sa = {.sa_handler = on_signal};
  uint8_t *reply = malloc (RECORD_BYTES);
  int listener = socket (AF_INET, SOCK_STREAM, 0), on = 1;

  if (argc != 3 || !reply)
    return 2;
  sigaction (SIGHUP, &sa, NULL);
  sigaction (SIGTERM, &sa, NULL);
  load (&s, argv[2]);
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
    turn (&s, listener, client, reply);
    if (!reboot)
      continue;
    reboot = 0;
    fake_nfs3_reboot (&s);
    for (int i = 0; i < CLIENTS; i++)
      if (client[i].fd >= 0)
        hang_up (&client[i], 1);
    printf ("rebooted\n");
    fflush (stdout);
  }
  save (&s, argv[2]);
  for (int i = 0; i < CLIENTS; i++)
    free (client[i].in);
  free (reply);
  return 0;
}
