/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes bulkheadd's place at its socket, and is another one:
 *
 *   other-daemon SOCKET version N    speaks that version of the protocol
 *   other-daemon SOCKET silent       never answers
 *   other-daemon SOCKET garbage      answers with bytes that say nothing
 *
 * Prints "ready" when it can be connected to, and goes on until it is ended.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/control.h"

#define TIMEOUT_NS 15000000000ull
#define CLIENTS_MAX 256 /* of a silent one, which keeps them */

static struct control message;
static const char noise[64] = {(char)0xff, 'g', 'a', 'r', 'b', 'a', 'g', 'e'};

static void __attribute__ ((noreturn)) fail (const char *what)
{
  perror (what);
  exit (1);
}

static int
listen_at (const char *path)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int sock = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
  if (sock < 0
      || bind (sock, (const struct sockaddr *)&address, sizeof address) < 0
      || listen (sock, 16) < 0)
    fail (path);
  return sock;
}

static void
answer (int sock, unsigned version)
{
  struct wirebuf b;

  if (control_recv (sock, &message, TIMEOUT_NS))
    return;
  control_close (&message);
  control_begin (&message, CONTROL_HELLO);
  b = control_body (&message);
  wirebuf_u32 (&b, version);
  wirebuf_cstring (&b, "bulkheadd 9.9.9");
  control_send (sock, &message, &b, TIMEOUT_NS);
}

int
main (int argc, char **argv)
{
  const char *how = argc > 2 ? argv[2] : "";
  int sock;

  if (argc < 3)
    return 2;
  sock = listen_at (argv[1]);
  puts ("ready");
  fflush (stdout);
  for (unsigned i = 0; i < CLIENTS_MAX; i++) {
    int client = accept (sock, NULL, NULL);

    if (client < 0)
      fail ("accept");
    if (strcmp (how, "silent") == 0)
      continue;
    if (strcmp (how, "version") == 0 && argc > 3)
      answer (client, (unsigned)atoi (argv[3]));
    else if (send (client, noise, sizeof noise, MSG_NOSIGNAL) < 0)
      perror ("send");
    close (client);
  }
  return 0;
}
