/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/control.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

#define MS 1000000ull

static struct control *
message (void)
{
  struct control *m = calloc (1, sizeof *m);

  if (!m)
    abort ();
  return m;
}

static void
pair (int ret_sock[2])
{
  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_sock) < 0)
    abort ();
}

static void
close_pair (int sock[2])
{
  close (sock[0]);
  close (sock[1]);
}

static unsigned
open_fds (void)
{
  unsigned n = 0;

  for (int fd = 0; fd < 1024; fd++)
    n += fcntl (fd, F_GETFD) >= 0;
  return n;
}

/* As an untrusted peer sends: any bytes, any number of fds. */
static void
send_raw (int sock, const void *bytes, size_t length_bytes, const int *fd,
          unsigned fds)
{
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (int) * (CONTROL_FDS + 16))];
  } u = {.bytes = {0}};
  struct iovec iov = {(void *)(uintptr_t)bytes, length_bytes};
  struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

  if (fds) {
    struct cmsghdr *c = &u.align;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN (sizeof (int) * fds);
    memcpy (CMSG_DATA (c), fd, sizeof (int) * fds);
    h.msg_control = u.bytes;
    h.msg_controllen = CMSG_SPACE (sizeof (int) * fds);
  }
  CU_ASSERT_EQUAL (sendmsg (sock, &h, 0), (ssize_t)length_bytes);
}

static void
a_message_arrives_with_its_fds (void)
{
  struct control *m = message (), *got = message ();
  struct wirebuf b;
  struct wire w;
  struct stat a, z;
  int sock[2], fd;
  unsigned before = open_fds ();

  pair (sock);
  control_begin (m, CONTROL_READY);
  b = control_body (m);
  wirebuf_u64 (&b, 0x1122334455667788);
  wirebuf_cstring (&b, "text");
  CU_ASSERT_EQUAL (control_add_fd (m, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_add_fd (m, sock[0]), ERR_OK);
  CU_ASSERT_EQUAL (control_add_fd (m, -1), ERR_LIMIT);
  CU_ASSERT_EQUAL (control_send (sock[0], m, &b, 0), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (control_recv (sock[1], got, 0), ERR_OK);
  CU_ASSERT_EQUAL (got->type, CONTROL_READY);
  CU_ASSERT_EQUAL (got->length_bytes, b.used_bytes);
  w = wire_init (got->body, got->length_bytes);
  CU_ASSERT_EQUAL (wire_u64 (&w), 0x1122334455667788);
  CU_ASSERT_EQUAL (got->fds, 2);
  CU_ASSERT_EQUAL (got->sender_pid, 0);
  fd = control_take_fd (got, 1);
  CU_ASSERT (fcntl (fd, F_GETFD) & FD_CLOEXEC);
  fstat (fd, &a);
  fstat (sock[0], &z);
  CU_ASSERT_EQUAL (a.st_ino, z.st_ino);
  CU_ASSERT_EQUAL (control_take_fd (got, 1), -1);
  CU_ASSERT_EQUAL (control_take_fd (got, 2), -1);
  close (fd);
  control_close (got);
  close_pair (sock);
  CU_ASSERT_EQUAL (open_fds (), before);
  free (m);
  free (got);
}

static void
the_largest_message_fits_one_more_byte_does_not (void)
{
  struct control *m = message (), *got = message ();
  static uint8_t raw[CONTROL_BODY_BYTES + 3] = {0, CONTROL_FAIL};
  struct wirebuf b;
  int sock[2], fd = 0;
  unsigned before;

  pair (sock);
  before = open_fds ();
  control_begin (m, CONTROL_FAIL);
  b = control_body (m);
  CU_ASSERT_PTR_NOT_NULL (wirebuf_room (&b, CONTROL_BODY_BYTES));
  CU_ASSERT_EQUAL (control_send (sock[0], m, &b, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_OK);
  CU_ASSERT_EQUAL (got->length_bytes, CONTROL_BODY_BYTES);
  wirebuf_u8 (&b, 1);
  CU_ASSERT_EQUAL (control_send (sock[0], m, &b, 0), ERR_LIMIT);
  send_raw (sock[0], raw, sizeof raw, &fd, 1);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_PEER);
  CU_ASSERT_EQUAL (got->fds, 0);
  CU_ASSERT_EQUAL (open_fds (), before);
  close_pair (sock);
  free (m);
  free (got);
}

static void
too_short_is_an_error (void)
{
  struct control *got = message ();
  int sock[2], fd[2] = {0, 0};
  unsigned before;

  pair (sock);
  before = open_fds ();
  send_raw (sock[0], "x", 1, fd, 2);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_PEER);
  send_raw (sock[0], "", 0, fd, 2);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_PEER);
  CU_ASSERT_EQUAL (open_fds (), before);
  close_pair (sock);
  free (got);
}

/* Every number of fds around the limit: taken, or none of them is left. */
static void
fds_beyond_the_limit_are_closed (void)
{
  struct control *got = message ();
  int sock[2], fd[CONTROL_FDS + 16] = {0};
  unsigned before;

  pair (sock);
  before = open_fds ();
  for (unsigned n = 0; n <= CONTROL_FDS + 16; n++) {
    enum err e;

    send_raw (sock[0], "\0\1body", 6, fd, n);
    e = control_recv (sock[1], got, 0);
    CU_ASSERT_EQUAL (e, n <= CONTROL_FDS ? ERR_OK : ERR_PEER);
    CU_ASSERT_EQUAL (got->fds, e ? 0 : n);
    CU_ASSERT_EQUAL (open_fds (), before + (e ? 0 : n));
    control_close (got);
    CU_ASSERT_EQUAL (open_fds (), before);
  }
  close_pair (sock);
  free (got);
}

static void
credentials_come_when_asked_for (void)
{
  struct control *m = message (), *got = message ();
  struct wirebuf b;
  int sock[2], on = 1;

  pair (sock);
  setsockopt (sock[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  control_begin (m, CONTROL_ATTACH);
  b = control_body (m);
  CU_ASSERT_EQUAL (control_add_fd (m, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_send_credentials (sock[0], m, &b, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_OK);
  CU_ASSERT_EQUAL (got->sender_pid, getpid ());
  CU_ASSERT_EQUAL (got->sender_uid, geteuid ());
  CU_ASSERT_EQUAL (got->fds, 1);
  control_close (got);
  close_pair (sock);
  free (m);
  free (got);
}

static void
full_with_credentials (void)
{
  struct control *m = message (), *got = message ();
  struct wirebuf b;
  int sock[2], on = 1;

  pair (sock);
  setsockopt (sock[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  control_begin (m, CONTROL_ATTACH);
  b = control_body (m);
  for (unsigned i = 0; i < CONTROL_FDS; i++)
    CU_ASSERT_EQUAL (control_add_fd (m, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_add_fd (m, 0), ERR_LIMIT);
  CU_ASSERT_EQUAL (control_send_credentials (sock[0], m, &b, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_OK);
  CU_ASSERT_EQUAL (got->fds, CONTROL_FDS);
  CU_ASSERT_EQUAL (got->sender_pid, getpid ());
  control_close (got);
  close_pair (sock);
  free (m);
  free (got);
}

static void
every_wait_ends (void)
{
  struct control *m = message (), *got = message ();
  struct wirebuf b;
  uint64_t start;
  int sock[2];
  enum err e = ERR_OK;

  pair (sock);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_AGAIN);
  start = clock_now_ns ();
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 20 * MS), ERR_TIMEOUT);
  CU_ASSERT (clock_now_ns () - start >= 20 * MS);
  control_begin (m, CONTROL_FAIL);
  b = control_body (m);
  wirebuf_room (&b, CONTROL_BODY_BYTES);
  for (int i = 0; i < 10000 && !e; i++)
    e = control_send (sock[0], m, &b, 0);
  CU_ASSERT_EQUAL (e, ERR_TIMEOUT);
  CU_ASSERT_EQUAL (control_send (sock[0], m, &b, 20 * MS), ERR_TIMEOUT);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_send (sock[0], m, &b, 20 * MS), ERR_OK);
  close_pair (sock);
  free (m);
  free (got);
}

static void
the_other_end_is_gone (void)
{
  struct control *m = message (), *got = message ();
  struct wirebuf b;
  int sock[2];

  pair (sock);
  close (sock[0]);
  control_begin (m, CONTROL_FAIL);
  b = control_body (m);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_CLOSED);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 1000 * MS), ERR_CLOSED);
  /* no SIGPIPE */
  CU_ASSERT_EQUAL (control_send (sock[1], m, &b, 0), ERR_CLOSED);
  close (sock[1]);
  free (m);
  free (got);
}

/* By send and recv the same messages; no fd goes by them, either way. */
static void
told_and_heard_without_fds (void)
{
  struct control *m = message (), *got = message ();
  const unsigned before = open_fds ();
  static uint8_t big[CONTROL_BODY_BYTES + 3];
  uint64_t start;
  struct wirebuf b;
  struct wire w;
  int sock[2];

  pair (sock);
  control_begin (m, CONTROL_WANT);
  b = control_body (m);
  wirebuf_u32 (&b, 0x01020304);
  CU_ASSERT_EQUAL (control_tell (sock[0], m, &b, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_recv (sock[1], got, 0), ERR_OK);
  w = wire_init (got->body, got->length_bytes);
  CU_ASSERT (got->type == CONTROL_WANT && wire_u32 (&w) == 0x01020304
             && !wire_end (&w) && got->fds == 0);
  CU_ASSERT_EQUAL (control_send (sock[1], m, &b, 0), ERR_OK);
  CU_ASSERT_EQUAL (control_hear (sock[0], got, 0), ERR_OK);
  w = wire_init (got->body, got->length_bytes);
  CU_ASSERT (got->type == CONTROL_WANT && wire_u32 (&w) == 0x01020304
             && !wire_end (&w));
  control_add_fd (m, sock[0]);
  CU_ASSERT_EQUAL (control_tell (sock[0], m, &b, 0), ERR_LIMIT);
  control_send (sock[1], m, &b, 0);
  CU_ASSERT (control_hear (sock[0], got, 0) == ERR_OK && got->fds == 0);
  CU_ASSERT_EQUAL (open_fds (), before + 2);
  send_raw (sock[1], "x", 1, NULL, 0);
  CU_ASSERT_EQUAL (control_hear (sock[0], got, 0), ERR_PEER);
  send_raw (sock[1], big, CONTROL_BODY_BYTES + 2, NULL, 0);
  CU_ASSERT (control_hear (sock[0], got, 0) == ERR_OK
             && got->length_bytes == CONTROL_BODY_BYTES);
  send_raw (sock[1], big, sizeof big, NULL, 0);
  CU_ASSERT_EQUAL (control_hear (sock[0], got, 0), ERR_PEER);
  CU_ASSERT_EQUAL (control_hear (sock[0], got, 0), ERR_AGAIN);
  start = clock_now_ns ();
  CU_ASSERT_EQUAL (control_hear (sock[0], got, 20 * MS), ERR_TIMEOUT);
  CU_ASSERT (clock_now_ns () - start >= 20 * MS);
  close (sock[1]);
  CU_ASSERT_EQUAL (control_hear (sock[0], got, 20 * MS), ERR_CLOSED);
  control_begin (m, CONTROL_WANT);
  CU_ASSERT_EQUAL (control_tell (sock[0], m, &b, 0), ERR_CLOSED);
  close (sock[0]);
  free (m);
  free (got);
}

static void
every_type_has_a_name (void)
{
  for (int t = CONTROL_HELLO; t <= CONTROL_DISTRUST; t++)
    CU_ASSERT_STRING_NOT_EQUAL (control_type_name ((uint16_t)t), "?");
  for (int t = CONTROL_CONFIG; t <= CONTROL_GIVEN; t++)
    CU_ASSERT_STRING_NOT_EQUAL (control_type_name ((uint16_t)t), "?");
  CU_ASSERT_STRING_EQUAL (control_type_name (CONTROL_GO), "GO");
  CU_ASSERT_STRING_EQUAL (control_type_name (0), "?");
  CU_ASSERT_STRING_EQUAL (control_type_name (20), "?");
  CU_ASSERT_STRING_EQUAL (control_type_name (65535), "?");
}

UNIT_MAIN ("control", UNIT_TEST (a_message_arrives_with_its_fds),
           UNIT_TEST (the_largest_message_fits_one_more_byte_does_not),
           UNIT_TEST (too_short_is_an_error),
           UNIT_TEST (fds_beyond_the_limit_are_closed),
           UNIT_TEST (credentials_come_when_asked_for),
           UNIT_TEST (full_with_credentials), UNIT_TEST (every_wait_ends),
           UNIT_TEST (the_other_end_is_gone),
           UNIT_TEST (told_and_heard_without_fds),
           UNIT_TEST (every_type_has_a_name))
