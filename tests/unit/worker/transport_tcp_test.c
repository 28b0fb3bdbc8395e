/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/transport.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static const struct transport_ops *ops;
static struct transport *t;
static int ours, server;
static struct fault f;

static void
begin (void)
{
  struct transport_config c = {0};
  uint64_t deadline_ns = 0;
  int s[2];

  CU_ASSERT_FATAL (
    socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
  ours = c.fd = s[0];
  server = s[1];
  ops = transport_find (PROTO_OVER_TCP);
  CU_ASSERT_PTR_NOT_NULL_FATAL (ops);
  CU_ASSERT_EQUAL_FATAL (ops->open (&c, &t, &f), ERR_OK);
  CU_ASSERT_EQUAL (ops->start (t, &deadline_ns, &f), ERR_OK);
}

static void
end (void)
{
  ops->close (t);
  close (ours);
  if (server >= 0)
    close (server);
}

static size_t
take (void *dst, size_t n)
{
  size_t got = 0;
  enum err e = ops->read (t, (struct iovec){dst, n}, &got, &f);

  CU_ASSERT (e == ERR_OK || e == ERR_AGAIN);
  CU_ASSERT (got <= n && (got > 0) == (e == ERR_OK));
  return got;
}

static int
unread (void)
{
  int n = -1;

  CU_ASSERT_EQUAL (ioctl (ours, FIONREAD, &n), 0);
  return n;
}

static void
asks_the_socket_only_when_it_was_reported (void)
{
  char dst[8];

  begin ();
  CU_ASSERT_EQUAL (write (server, "abcdef", 6), 6);
  CU_ASSERT_EQUAL (take (dst, 8), 0);
  CU_ASSERT (!ops->pending (t));
  CU_ASSERT_EQUAL (ops->events (t), POLLIN);
  ops->ready (t, POLLIN);
  CU_ASSERT (ops->pending (t));
  CU_ASSERT_EQUAL (take (dst, 8), 6);
  CU_ASSERT (memcmp (dst, "abcdef", 6) == 0);
  /* a short read has emptied it */
  CU_ASSERT (!ops->pending (t));
  end ();
}

static void
what_follows_a_header_costs_no_call (void)
{
  static char message[4144], header[48], data[4096];

  begin ();
  memset (message, 'h', 48);
  memset (message + 48, 'd', 4096);
  CU_ASSERT_EQUAL (write (server, message, 4144), 4144);
  ops->ready (t, POLLIN);
  CU_ASSERT_EQUAL (take (header, 48), 48);
  CU_ASSERT_EQUAL (unread (), 0);
  CU_ASSERT (ops->pending (t));
  CU_ASSERT_EQUAL (take (data, 4096), 4096);
  CU_ASSERT (memcmp (message, header, 48) == 0);
  CU_ASSERT (memcmp (message + 48, data, 4096) == 0);
  CU_ASSERT (!ops->pending (t));
  end ();
}

/* Behind a large place little is taken, so little is copied. */
static void
bulk_goes_to_its_place (void)
{
  static char sent[60000], place[50000];

  begin ();
  CU_ASSERT_EQUAL (write (server, sent, sizeof sent), sizeof sent);
  ops->ready (t, POLLIN);
  CU_ASSERT_EQUAL (take (place, sizeof place), sizeof place);
  CU_ASSERT (unread () > 9000);
  CU_ASSERT (ops->pending (t));
  end ();
}

static void
any_sizes_give_the_same_bytes (void)
{
  static uint8_t sent[1 << 20], got[1 << 20];
  size_t in = 0, out = 0;
  unsigned seed = 1;

  begin ();
  for (size_t i = 0; i < sizeof sent; i++)
    sent[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
  while (out < sizeof got) {
    size_t want;

    if (in < sizeof sent) {
      ssize_t n = write (server, sent + in, sizeof sent - in);

      in += n > 0 ? (size_t)n : 0;
    }
    ops->ready (t, POLLIN);
    for (int i = 0; i < 20 && out < sizeof got; i++) {
      seed = seed * 1664525u + 1013904223u;
      want = 1 + (seed >> 8) % (seed >> 31 ? 100000 : 300);
      if (want > sizeof got - out)
        want = sizeof got - out;
      out += take (got + out, want);
    }
  }
  CU_ASSERT (memcmp (sent, got, sizeof sent) == 0);
  end ();
}

static void
writes_pieces_and_waits_when_full (void)
{
  static char big[1 << 20], got[1 << 16];
  char text[] = "abcdef";
  struct iovec few[3] = {{text, 1}, {text + 1, 2}, {text + 3, 3}};
  struct iovec much[2] = {{text, 1}, {big, sizeof big}};
  size_t n = 0, all = 0;

  begin ();
  CU_ASSERT_EQUAL (ops->write (t, few, 3, &n, &f), ERR_OK);
  CU_ASSERT_EQUAL (n, 6);
  CU_ASSERT_EQUAL (read (server, got, sizeof got), 6);
  CU_ASSERT (memcmp (got, "abcdef", 6) == 0);
  CU_ASSERT_EQUAL (ops->write (t, much, 2, &n, &f), ERR_OK);
  CU_ASSERT (n > 0 && n < sizeof big);
  CU_ASSERT_EQUAL (ops->events (t), POLLIN | POLLOUT);
  CU_ASSERT_EQUAL (ops->write (t, much, 2, &n, &f), ERR_AGAIN);
  while (all < n) {
    ssize_t r = read (server, got, sizeof got);

    CU_ASSERT_FATAL (r > 0);
    all += (size_t)r;
  }
  ops->ready (t, POLLOUT);
  CU_ASSERT_EQUAL (ops->events (t), POLLIN);
  CU_ASSERT_EQUAL (ops->write (t, few, 3, &n, &f), ERR_OK);
  CU_ASSERT_EQUAL (ops->flush (t, &f), ERR_OK);
  end ();
}

static void
the_end_is_told (void)
{
  char dst[4];
  struct iovec one = {dst, 1};
  size_t n;

  begin ();
  CU_ASSERT_EQUAL (write (server, "ab", 2), 2);
  close (server);
  server = -1;
  ops->ready (t, POLLIN | POLLHUP);
  CU_ASSERT_EQUAL (take (dst, 4), 2);
  ops->ready (t, POLLIN | POLLHUP);
  CU_ASSERT_EQUAL (ops->read (t, (struct iovec){dst, 4}, &n, &f), ERR_CLOSED);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "closed"));
  /* and no SIGPIPE */
  CU_ASSERT_EQUAL (ops->write (t, &one, 1, &n, &f), ERR_CLOSED);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "sending"));
  end ();
}

UNIT_MAIN ("transport_tcp",
           UNIT_TEST (asks_the_socket_only_when_it_was_reported),
           UNIT_TEST (what_follows_a_header_costs_no_call),
           UNIT_TEST (bulk_goes_to_its_place),
           UNIT_TEST (any_sizes_give_the_same_bytes),
           UNIT_TEST (writes_pieces_and_waits_when_full),
           UNIT_TEST (the_end_is_told))
