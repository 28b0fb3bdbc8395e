/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/peek.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "ipc/control.h"
#include "tests/unit/unit.h"

#define UID 4001

static struct daemon d;
static int sock[2];
static struct control m;
static uint64_t wait_ns;

static void
begin (unsigned children)
{
  const struct quota_limits limits = {
      .volumes = children, .workers = 1, .memory_bytes = 1, .dials = 1};
  int on = 1;

  d.loop = ev_loop_new (EVFLAG_NOENV);
  quota_init (&d.quota, &limits);
  CU_ASSERT_EQUAL_FATAL (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
  /* as the daemon's are */
  CU_ASSERT_EQUAL (
      setsockopt (sock[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
}

static unsigned
children (void)
{
  return d.quota.user[0].has.peeks;
}

static void
end (void)
{
  uint64_t end_ms = clock_now_ms () + 10000;

  while (children () && clock_now_ms () < end_ms) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (500);
  }
  CU_ASSERT_EQUAL (children (), 0);
  ev_loop_destroy (d.loop);
  close (sock[0]);
  close (sock[1]);
}

/* A message with fd n times. */
static void
send_with (int fd, unsigned n)
{
  struct wirebuf b;

  control_begin (&m, CONTROL_OPEN);
  for (unsigned i = 0; i < n; i++)
    control_add_fd (&m, fd);
  b = control_body (&m);
  wirebuf_cstring (&b, "body");
  CU_ASSERT_EQUAL (control_send_credentials (sock[1], &m, &b, 0), ERR_OK);
}

/* What was looked at is there still, once. */
static void
is_received (unsigned fds)
{
  CU_ASSERT_EQUAL (control_recv (sock[0], &m, 0), ERR_OK);
  CU_ASSERT_EQUAL (m.type, CONTROL_OPEN);
  CU_ASSERT_EQUAL (m.fds, fds);
  CU_ASSERT_EQUAL (m.sender_pid, getpid ());
  control_close (&m);
  CU_ASSERT_EQUAL (control_recv (sock[0], &m, 0), ERR_AGAIN);
}

static void
without_descriptors_nobody_is_asked (void)
{
  struct fault f = {0};

  begin (1);
  CU_ASSERT_EQUAL (peek_at (&d, UID, sock[0], &wait_ns, &f),
                   ERR_OK); /* nothing there */
  send_with (-1, 0);
  CU_ASSERT_EQUAL (peek_at (&d, UID, sock[0], &wait_ns, &f), ERR_OK);
  CU_ASSERT_EQUAL (children (), 0);
  is_received (0);
  close (sock[1]);
  CU_ASSERT_EQUAL (peek_at (&d, UID, sock[0], &wait_ns, &f),
                   ERR_OK); /* its end */
  sock[1] = -1;
  end ();
}

static void
what_closes_at_once_may_come (void)
{
  const int fds[] = {
      memfd_create ("x", 0), eventfd (0, 0), pidfd_open (getpid (), 0),
      socket (AF_UNIX, SOCK_STREAM, 0), socket (AF_INET, SOCK_STREAM, 0)};

  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
    for (unsigned n = 1; n <= CONTROL_FDS; n += CONTROL_FDS - 1) {
      struct fault f = {0};

      begin (1);
      send_with (fds[i], n);
      CU_ASSERT_EQUAL (peek_at (&d, UID, sock[0], &wait_ns, &f), ERR_OK);
      is_received (n);
      end ();
    }
  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
    close (fds[i]);
}

static int
socket_that_lingers (void)
{
  const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
  int fd = socket (AF_INET, SOCK_STREAM, 0);

  CU_ASSERT_EQUAL (
      setsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
  return fd;
}

static void
other_kinds_are_dropped (void)
{
  int pipes[2];

  CU_ASSERT_EQUAL_FATAL (pipe (pipes), 0);
  const int fds[] = {open ("/proc/self/exe", O_RDONLY),
                     open ("/dev/null", O_RDWR),
                     open ("/", O_RDONLY | O_DIRECTORY),
                     pipes[0],
                     epoll_create1 (0),
                     timerfd_create (CLOCK_MONOTONIC, 0),
                     socket (AF_INET, SOCK_DGRAM, 0),
                     socket (AF_NETLINK, SOCK_RAW, 0),
                     socket_that_lingers ()};
  int memory = memfd_create ("x", 0);

  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
    struct fault f = {0};
    struct wirebuf b;

    begin (1);
    control_begin (&m, CONTROL_OPEN);
    for (unsigned n = 0; n < CONTROL_FDS - 1; n++)
      control_add_fd (&m, memory);
    control_add_fd (&m, fds[i]);
    b = control_body (&m);
    CU_ASSERT_EQUAL (control_send_credentials (sock[1], &m, &b, 0), ERR_OK);
    CU_ASSERT_EQUAL (peek_at (&d, UID, sock[0], &wait_ns, &f), ERR_ACCESS);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "as sealed memory"));
    CU_ASSERT_EQUAL (control_recv (sock[0], &m, 0), ERR_AGAIN);
    end ();
    close (fds[i]);
  }
  close (memory);
  close (pipes[1]);
}

static void
children_are_counted (void)
{
  int memory = memfd_create ("x", 0);
  struct fault f = {0};

  begin (1);
  send_with (memory, 1);
  /* nobody reaps, as the loop does not turn */
  for (unsigned i = 0; i <= QUOTA_SPARE_CLIENTS; i++)
    CU_ASSERT_EQUAL (peek_at (&d, UID, sock[0], &wait_ns, &f), ERR_OK);
  CU_ASSERT_EQUAL (children (), QUOTA_SPARE_CLIENTS + 1);
  CU_ASSERT_EQUAL (peek_at (&d, UID, sock[0], &wait_ns, &f), ERR_LIMIT);
  end ();
  close (memory);
}

/* Each is a fork. */
static void
too_many_have_to_wait (void)
{
  int memory = memfd_create ("x", 0);
  struct fault f = {0};
  uint64_t end_ms = clock_now_ms () + 10000;
  unsigned n = 0;
  enum err e;

  begin (1);
  send_with (memory, 1);
  while ((e = peek_at (&d, UID, sock[0], &wait_ns, &f)) == ERR_OK
         && clock_now_ms () < end_ms) {
    n++;
    while (children ())
      ev_run (d.loop, EVRUN_ONCE);
  }
  CU_ASSERT_EQUAL (e, ERR_AGAIN);
  CU_ASSERT (n >= QUOTA_PEEKS_AT_ONCE * (1 + QUOTA_SPARE_CLIENTS));
  CU_ASSERT (wait_ns > 0 && wait_ns <= 1000000000ull / QUOTA_PEEKS_PER_S + 1);
  CU_ASSERT_EQUAL (children (), 0);
  while (clock_now_ms () < end_ms
         && (e = peek_at (&d, UID, sock[0], &wait_ns, &f)) == ERR_AGAIN)
    usleep (1000);
  CU_ASSERT_EQUAL (e, ERR_OK);
  is_received (1);
  end ();
  close (memory);
}

UNIT_MAIN ("peek", UNIT_TEST (without_descriptors_nobody_is_asked),
           UNIT_TEST (what_closes_at_once_may_come),
           UNIT_TEST (other_kinds_are_dropped),
           UNIT_TEST (children_are_counted), UNIT_TEST (too_many_have_to_wait))
