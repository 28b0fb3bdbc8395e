/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/netbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct netbuf n;
static int peer;

static void
begin (void)
{
  int sock[2];

  CU_ASSERT_FATAL (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sock)
                   == 0);
  CU_ASSERT_FATAL (netbuf_init (&n, sock[0]) == ERR_OK);
  peer = sock[1];
}

static void
end (void)
{
  close (n.fd);
  netbuf_fini (&n);
  close (peer);
}

static void
asks_the_socket_only_after_ready (void)
{
  char c;

  begin ();
  CU_ASSERT (write (peer, "ab", 2) == 2);
  CU_ASSERT (netbuf_recv (&n, &c, 1) == -EAGAIN);
  netbuf_ready (&n);
  CU_ASSERT (netbuf_recv (&n, &c, 1) == 1 && c == 'a');
  CU_ASSERT (write (peer, "c", 1) == 1);
  CU_ASSERT (netbuf_recv (&n, &c, 1) == 1 && c == 'b');
  CU_ASSERT (netbuf_recv (&n, &c, 1) == -EAGAIN);
  netbuf_ready (&n);
  CU_ASSERT (netbuf_recv (&n, &c, 1) == 1 && c == 'c');
  end ();
}

static void
tells_the_end_again_and_again (void)
{
  char c;

  begin ();
  CU_ASSERT (write (peer, "x", 1) == 1);
  shutdown (peer, SHUT_WR);
  netbuf_ready (&n);
  CU_ASSERT (netbuf_recv (&n, &c, 1) == 1);
  netbuf_ready (&n);
  CU_ASSERT (netbuf_recv (&n, &c, 1) == 0);
  CU_ASSERT (n.rx_end);
  CU_ASSERT (netbuf_recv (&n, &c, 1) == 0);
  end ();
}

/* What is sent arrives in order, whatever the socket takes at a time. */
static void
accepts_all_and_sends_in_order (void)
{
  static uint8_t out[100000], in[65536];
  uint8_t next = 0, expected = 0;
  size_t given = 0, got = 0;

  begin ();
  while (got < 5000000) {
    ssize_t r;

    while (given < 5000000 && netbuf_unsent (&n) < NETBUF_TX_HIGH_BYTES) {
      for (size_t i = 0; i < sizeof out; i++) {
        out[i] = next;
        next = (uint8_t)((next + 1) % 251);
      }
      CU_ASSERT_FATAL (netbuf_send (&n, out, sizeof out)
                       == (ssize_t)sizeof out);
      given += sizeof out;
    }
    CU_ASSERT_FATAL (netbuf_flush (&n) == ERR_OK);
    while ((r = read (peer, in, sizeof in)) > 0) {
      for (ssize_t i = 0; i < r; i++) {
        CU_ASSERT_FATAL (in[i] == expected);
        expected = (uint8_t)((expected + 1) % 251);
      }
      got += (size_t)r;
    }
  }
  CU_ASSERT (got == given && netbuf_unsent (&n) == 0);
  end ();
}

static void
ends_at_its_bound (void)
{
  static uint8_t out[NETBUF_TX_BYTES / 2 + 1];

  begin ();
  CU_ASSERT (netbuf_send (&n, out, sizeof out) == (ssize_t)sizeof out);
  CU_ASSERT (netbuf_send (&n, out, sizeof out) == -ENOBUFS);
  CU_ASSERT (netbuf_send (&n, out, 1) == -ENOBUFS); /* final */
  CU_ASSERT (netbuf_flush (&n) != ERR_OK);
  end ();
}

static void
tells_that_nobody_listens (void)
{
  begin ();
  close (peer);
  CU_ASSERT (netbuf_send (&n, "x", 1) == 1);
  CU_ASSERT (netbuf_flush (&n) == ERR_CLOSED);
  CU_ASSERT (n.sys_errno == EPIPE);
  peer = -1;
  end ();
}

UNIT_MAIN ("netbuf", UNIT_TEST (asks_the_socket_only_after_ready),
           UNIT_TEST (tells_the_end_again_and_again),
           UNIT_TEST (accepts_all_and_sends_in_order),
           UNIT_TEST (ends_at_its_bound),
           UNIT_TEST (tells_that_nobody_listens))
