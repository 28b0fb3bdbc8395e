/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct daemon d;
static struct dialer *dialer;
static int connected, calls;
static struct fault why;

static void
on_done (void *ctx, int fd, unsigned index, const struct fault *f)
{
  (void)ctx;
  (void)index;
  dialer = NULL;
  calls++;
  connected = fd;
  if (f)
    why = *f;
}

static int
listen_somewhere (uint16_t *ret_port)
{
  struct sockaddr_in sa = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  socklen_t n = sizeof sa;
  int l = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  CU_ASSERT_FATAL (bind (l, (struct sockaddr *)&sa, sizeof sa) == 0
                   && listen (l, 10) == 0);
  getsockname (l, (struct sockaddr *)&sa, &n);
  *ret_port = ntohs (sa.sin_port);
  return l;
}

static int
dial (uint16_t port, struct dial_from from)
{
  struct address_list list = {1, {{AF_INET, {127, 0, 0, 1}, 0}}};

  calls = 0;
  connected = -1;
  CU_ASSERT_EQUAL_FATAL (dialer_start (&d, "here", &list, port, &from, on_done,
                                       NULL, &dialer, &why),
                         ERR_OK);
  while (!calls)
    ev_run (d.loop, EVRUN_ONCE);
  return connected;
}

static void
dials_again_from_the_same_port (void)
{
  uint16_t port, source;
  int l = listen_somewhere (&port), fd;

  d.loop = ev_loop_new (EVFLAG_NOENV);
  fd = dial (port, (struct dial_from){0});
  CU_ASSERT_FATAL (fd >= 0);
  source = dial_source_port (fd);
  CU_ASSERT (source > 0 && source != port);
  dial_fence (fd);
  close (fd);
  fd = dial (port, (struct dial_from){.port = source});
  CU_ASSERT_FATAL (fd >= 0);
  CU_ASSERT_EQUAL (dial_source_port (fd), source);
  /* In use: then from another one. */
  connected = dial (port, (struct dial_from){.port = source});
  CU_ASSERT_FATAL (connected >= 0);
  CU_ASSERT_NOT_EQUAL (dial_source_port (connected), source);
  close (connected);
  close (fd);
  close (l);
  ev_loop_destroy (d.loop);
}

/* Who may not have one gets any. */
static void
dials_from_a_reserved_port (void)
{
  struct sockaddr_in low = {.sin_family = AF_INET, .sin_port = htons (1021)};
  int s = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, l;
  bool may = bind (s, (struct sockaddr *)&low, sizeof low) == 0
             || errno == EADDRINUSE;
  uint16_t port;

  close (s);
  l = listen_somewhere (&port);
  d.loop = ev_loop_new (EVFLAG_NOENV);
  for (int i = 0; i < 5; i++) {
    fd = dial (port, (struct dial_from){.reserved = true});
    CU_ASSERT_FATAL (fd >= 0);
    if (may)
      CU_ASSERT (dial_source_port (fd) >= 512 && dial_source_port (fd) < 1024);
    close (fd);
  }
  close (l);
  CU_ASSERT_EQUAL (dial (port, (struct dial_from){.reserved = true}), -1);
  CU_ASSERT_EQUAL (why.code, ERR_DIAL);
  ev_loop_destroy (d.loop);
}

UNIT_MAIN ("dial", UNIT_TEST (dials_again_from_the_same_port),
           UNIT_TEST (dials_from_a_reserved_port))
