/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-relay: copies bytes between a socket of the daemon's and one that
 * another user has as well (relay.h), until either ends. Started by bulkheadd.
 * It looks at none of them; descriptors that come with them are dropped by the
 * kernel, as recv has no room for any.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sandbox/sandbox.h"

struct half {
  int from, to;
  size_t used_bytes, sent_bytes;
  uint8_t bytes[16384];
};

static bool
would_wait (void)
{
  return errno == EAGAIN || errno == EINTR;
}

/* What is there goes on before more is taken. False: an end. */
static bool
pass_on (struct half *h)
{
  ssize_t n;

  if (h->sent_bytes == h->used_bytes) {
    n = recv (h->from, h->bytes, sizeof h->bytes, MSG_DONTWAIT);
    if (n <= 0)
      return n < 0 && would_wait ();
    h->used_bytes = (size_t)n;
    h->sent_bytes = 0;
  }
  n = send (h->to, h->bytes + h->sent_bytes, h->used_bytes - h->sent_bytes,
            MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0)
    return would_wait ();
  h->sent_bytes += (size_t)n;
  return true;
}

static bool
is_empty (const struct half *h)
{
  return h->sent_bytes == h->used_bytes;
}

static void
copy (void)
{
  static struct half in = {.from = RELAY_FD_FOREIGN, .to = RELAY_FD_DAEMON};
  static struct half out = {.from = RELAY_FD_DAEMON, .to = RELAY_FD_FOREIGN};

  for (;;) {
    struct pollfd p[] = {
        {.fd = RELAY_FD_DAEMON,
         .events = (short)((is_empty (&out) ? POLLIN : 0)
                           | (is_empty (&in) ? 0 : POLLOUT))},
        {.fd = RELAY_FD_FOREIGN,
         .events = (short)((is_empty (&in) ? POLLIN : 0)
                           | (is_empty (&out) ? 0 : POLLOUT))}};

    /* That it has hung up is told for ever, and of no use before what it said
     * is passed on.
     */
    if (!p[1].events)
      p[1].fd = -1;
    if (ppoll (p, 2, NULL, NULL) < 0 && errno != EINTR)
      return;
    if ((p[0].revents | p[1].revents) & (POLLERR | POLLNVAL))
      return;
    if ((p[0].revents & POLLHUP) || !pass_on (&in) || !pass_on (&out))
      return;
  }
}

int
main (int argc, char **argv)
{
  struct fault f = {0};
  struct stat st;
  uint32_t layers;

  (void)argv;
  if (argc != 1 || fstat (RELAY_FD_DAEMON, &st) < 0
      || fstat (RELAY_FD_FOREIGN, &st) < 0) {
    fputs ("bulkhead-relay is started by bulkheadd, not by hand\n", stderr);
    return EXIT_FAILURE;
  }
  if (sbx_seal (SBX_RELAY, NULL, &layers, &f)) {
    fprintf (stderr, "bulkhead-relay: %s\n", f.text);
    return EXIT_FAILURE;
  }
  copy ();
  return EXIT_SUCCESS;
}
