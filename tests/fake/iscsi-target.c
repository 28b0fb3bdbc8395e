/* SPDX-License-Identifier: BSD-2-Clause */
/* A scripted iSCSI target.
 *
 *   iscsi-target --listen PORT [--mib N] [--name IQN] [--digests]
 *                [--initial-r2t] [--bad NAME[:TIMES]] [--list]
 *
 * Lines on standard input change what it does; each is answered "ok …":
 *   bad NAME [TIMES]   misbehave (none: no more); without TIMES: always
 *   redirect ADDRESS STATUS TIMES   send logins on (STATUS 0101 or 0102)
 *   resize MIB         another capacity, not larger than at first
 *   kick               end every connection
 *   reboot             forget what was not flushed, and every session
 *   count              "ok READS WRITES FLUSHES LOGINS LEFT": LEFT of TIMES
 *
 * It prints "ready" once it listens, and ends with the process that started it.
 * One initiator at a time is served to its end of a PDU: an honest one sends
 * them whole.
 */
#include "config.h"
#include "tests/fake/iscsi-target.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const struct {
  const char *name, *text;
} bads[] = {
#define X(name, text) {#name, text},
    BAD_TABLE (X)
#undef X
};

static void __attribute__ ((noreturn)) die (const char *what)
{
  fprintf (stderr, "iscsi-target: %s: %s\n", what, strerror (errno));
  exit (EXIT_FAILURE);
}

bool
bad_now (struct target *t, enum bad b)
{
  if (t->bad != b || t->bad_left == 0)
    return false;
  if (t->bad_left > 0)
    t->bad_left--;
  return true;
}

/* -------------------------------------------------------------- connections */

static void
end (struct connection *c, bool reset)
{
  struct linger rst = {.l_onoff = 1};

  if (reset)
    setsockopt (c->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
  close (c->fd);
  c->fd = -1;
  for (unsigned i = 0; i < WRITES_MAX; i++) {
    free (c->write[i].data);
    c->write[i] = (struct write_task){0};
  }
}

static void
take_connection (struct target *t)
{
  int one = 1, fd = accept4 (t->listener, NULL, NULL, SOCK_CLOEXEC);
  /* An initiator that ends in the middle of a PDU must not hold us up. */
  struct timeval limit = {.tv_sec = 5};

  if (fd == -1)
    return;
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    if (t->connection[i].fd == -1) {
      t->connection[i] = (struct connection){.fd = fd,
                                             .stat_sn = 1,
                                             .max_data_bytes = 8192,
                                             .max_burst_bytes = BURST_BYTES};
      return;
    }
  close (fd);
}

static void
listen_again (struct target *t)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons (t->port)};
  int one = 1;

  t->listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (t->listener == -1
      || setsockopt (t->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)
             == -1
      || bind (t->listener, (struct sockaddr *)&a, sizeof a) == -1
      || listen (t->listener, 64) == -1)
    die ("listen");
}

/* ------------------------------------------------------------------ control */

static bool
set_bad (struct target *t, const char *name, long times)
{
  for (unsigned i = 0; i < BADS; i++)
    if (strcmp (bads[i].name, name) == 0) {
      t->bad = (enum bad)i;
      t->bad_left = times;
      return true;
    }
  return false;
}

static void
kick (struct target *t)
{
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    if (t->connection[i].fd != -1)
      end (&t->connection[i], true);
}

/* To at most what it had at first; each initiator is told so. */
static void
resize (struct target *t, uint64_t bytes)
{
  t->disk.bytes = bytes;
  for (int i = 0; i < CONNECTIONS_MAX; i++) {
    t->connection[i].attention = true;
    t->connection[i].attention_asc = 0x2a;
    t->connection[i].attention_ascq = 0x09;
  }
}

static void
obey (struct target *t, const char *line)
{
  char name[32];
  long times = -1;

  if (sscanf (line, "bad %31s %ld", name, &times) >= 1
      && set_bad (t, name, times))
    puts ("ok");
  else if (sscanf (line, "resize %ld", &times) == 1) {
    resize (t, (uint64_t)times << 20);
    puts ("ok");
  } else if (sscanf (line, "redirect %63s %hx %ld", t->redirect_to,
                   &t->redirect_status, &t->redirect_left) == 3)
    puts ("ok");
  else if (strcmp (line, "kick") == 0) {
    kick (t);
    puts ("ok");
  } else if (strcmp (line, "reboot") == 0) {
    kick (t);
    t->reboots++;
    printf ("ok %llu\n", (unsigned long long)disk_reboot (&t->disk));
  } else if (strcmp (line, "count") == 0)
    printf ("ok %llu %llu %llu %u %ld\n", (unsigned long long)t->disk.reads,
            (unsigned long long)t->disk.writes,
            (unsigned long long)t->disk.flushes, t->logins, t->bad_left);
  else
    puts ("what?");
}

static void
read_control (struct target *t, bool *ended)
{
  static char line[128];
  static size_t used;
  ssize_t n = read (STDIN_FILENO, line + used, sizeof line - 1 - used);
  char *eol;

  if (n <= 0) {
    *ended = true;
    return;
  }
  used += (size_t)n;
  line[used] = 0;
  while ((eol = strchr (line, '\n')) != NULL) {
    *eol++ = 0;
    obey (t, line);
    used -= (size_t)(eol - line);
    memmove (line, eol, used + 1);
  }
  if (used == sizeof line - 1)
    used = 0;
}

/* True if somebody is to hear from us soon. */
static bool
chat (struct target *t)
{
  bool any = false;

  for (int i = 0; i < CONNECTIONS_MAX; i++) {
    struct connection *c = &t->connection[i];
    uint8_t r[BHS_BYTES];

    if (c->fd == -1 || !c->chatty)
      continue;
    any = true;
    pdu_head (c, r, 0x20, 0x80, NO_TAG);
    put32 (r + 20, NO_TAG);
    put32 (r + 24, c->stat_sn);
    if (!send_pdu (t, c, r, NULL, 0))
      end (c, false);
  }
  return any;
}

static void
turn (struct target *t, bool *control_ended)
{
  struct pollfd p[2 + CONNECTIONS_MAX];
  int wait_ms = chat (t) ? 50 : -1;

  p[0] = (struct pollfd){*control_ended ? -1 : STDIN_FILENO, POLLIN, 0};
  p[1] = (struct pollfd){t->listener, POLLIN, 0};
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    p[2 + i] = (struct pollfd){t->connection[i].fd, POLLIN, 0};
  if (poll (p, 2 + CONNECTIONS_MAX, wait_ms) == -1 && errno != EINTR)
    die ("poll");
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    if (p[2 + i].revents != 0 && !receive_pdu (t, &t->connection[i]))
      end (&t->connection[i], false);
  if (p[0].revents != 0)
    read_control (t, control_ended);
  if (p[1].revents != 0)
    take_connection (t);
}

static void
list (void)
{
  for (unsigned i = 0; i < BADS; i++)
    printf ("%-14s %s\n", bads[i].name, bads[i].text);
  exit (EXIT_SUCCESS);
}

static bool
option (struct target *t, int o, uint64_t *mib)
{
  char name[32];
  long times = -1;

  switch (o) {
  case 'l':
    t->port = (uint16_t)atoi (optarg);
    return true;
  case 'm':
    *mib = (uint64_t)atoi (optarg);
    return true;
  case 'n':
    t->name = optarg;
    return true;
  case 'd':
    t->digests = true;
    return true;
  case 'r':
    t->initial_r2t = true;
    return true;
  case 'b':
    return sscanf (optarg, "%31[^:]:%ld", name, &times) >= 1
           && set_bad (t, name, times);
  case 'L':
    list ();
    return true;
  default:
    return false;
  }
}

int
main (int argc, char **argv)
{
  static const struct option options[] = {
      {"listen", 1, NULL, 'l'}, {"mib", 1, NULL, 'm'},
      {"name", 1, NULL, 'n'},   {"digests", 0, NULL, 'd'},
      {"bad", 1, NULL, 'b'},    {"initial-r2t", 0, NULL, 'r'},
      {"list", 0, NULL, 'L'},   {NULL, 0, NULL, 0}};
  static struct target t = {.name = "iqn.2026-01.test:scripted"};
  uint64_t mib = 16;
  bool control_ended = false;
  int o;

  while ((o = getopt_long (argc, argv, "", options, NULL)) != -1)
    if (!option (&t, o, &mib))
      return 2;
  if (t.port == 0 || mib == 0) {
    fputs ("iscsi-target: --listen PORT is needed\n", stderr);
    return 2;
  }
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  setvbuf (stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    t.connection[i].fd = -1;
  disk_init (&t.disk, mib << 20, 512);
  listen_again (&t);
  puts ("ready");
  for (;;)
    turn (&t, &control_ended);
}
