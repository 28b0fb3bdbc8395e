/* SPDX-License-Identifier: BSD-2-Clause */
/* What is in a socket's queue is told by the write end of a pipe: its reader
 * sees the end when the last reference is dropped. A closer that waits for
 * somebody is played by one that is stopped.
 */
#include "config.h"
#include "cache/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/daemon.h"
#include "common/clock.h"
#include "tests/unit/unit.h"

#define UID 4001

static struct daemon d;
static unsigned warned;

/* In place of libc's. */
static bool no_process;

pid_t
fork (void)
{
  if (!no_process)
    return _Fork ();
  errno = EAGAIN;
  return -1;
}

static void
count_line (void *ctx, enum log_level level, const char *line)
{
  (void)ctx;
  (void)line;
  warned += level == LOG_LEVEL_WARN;
}

static struct log log_it = {.level = LOG_LEVEL_WARN, .emit = count_line};

static void
begin (void)
{
  memset (&d, 0, sizeof d);
  d.loop = ev_loop_new (EVFLAG_NOENV);
  d.host = true;
  d.log = &log_it;
  warned = 0;
}

/* Their pids; how many there are. */
static unsigned
children (pid_t *ret, unsigned max)
{
  FILE *in = fopen ("/proc/thread-self/children", "r");
  unsigned n = 0;
  int pid;

  while (in && fscanf (in, "%d", &pid) == 1)
    if (n++ < max)
      ret[n - 1] = pid;
  if (in)
    fclose (in);
  return n;
}

static bool
turn_until (bool (*done) (int arg), int arg, uint64_t ms)
{
  uint64_t end_ms = clock_now_ms () + ms;

  while (!done (arg) && clock_now_ms () < end_ms) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (1000);
  }
  return done (arg);
}

static bool
are_gone (int unused)
{
  (void)unused;
  return !d.closers.first && !d.closers.kept;
}

static bool
has_ended (int reader)
{
  return poll (&(struct pollfd){.fd = reader, .events = POLLIN}, 1, 0) == 1;
}

static void
end (void)
{
  CU_ASSERT (turn_until (are_gone, 0, 10000));
  CU_ASSERT_EQUAL (waitpid (-1, NULL, WNOHANG), -1);
  ev_loop_destroy (d.loop);
}

static void
send_with (int to, int fd)
{
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (int))];
  } u = {0};
  struct msghdr h = {.msg_iov = &(struct iovec){(char[]){"x"}, 1},
                     .msg_iovlen = 1,
                     .msg_control = &u,
                     .msg_controllen = sizeof u};
  struct cmsghdr *c = CMSG_FIRSTHDR (&h);

  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN (sizeof fd);
  memcpy (CMSG_DATA (c), &fd, sizeof fd);
  CU_ASSERT_EQUAL (sendmsg (to, &h, 0), 1);
}

/* *ret_sock: ours, with messages in it, and a descriptor in the last; the other
 * end is closed. The reader of that.
 */
static int
make_full (unsigned plain, int *ret_sock)
{
  int pair[2], pipes[2];

  CU_ASSERT_EQUAL_FATAL (
      socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  CU_ASSERT_EQUAL_FATAL (pipe2 (pipes, O_CLOEXEC), 0);
  for (unsigned i = 0; i < plain; i++)
    CU_ASSERT_EQUAL (send (pair[1], "empty", i % 2 ? 0 : 5, 0), i % 2 ? 0 : 5);
  send_with (pair[1], pipes[1]);
  close (pipes[1]);
  close (pair[1]);
  *ret_sock = pair[0];
  return pipes[0];
}

static void
no_process_for_what_has_no_descriptors (void)
{
  for (unsigned n = 0; n < 4; n++) {
    int pair[2];

    begin ();
    CU_ASSERT_EQUAL_FATAL (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    for (unsigned i = 0; i < n; i++)
      CU_ASSERT_EQUAL (send (pair[1], "x", i % 2, 0), (int)(i % 2));
    closer_hang_up (&d, UID, pair[0]);
    CU_ASSERT_PTR_NULL (d.closers.first);
    CU_ASSERT_EQUAL (fcntl (pair[0], F_GETFD), -1);
    CU_ASSERT_EQUAL (send (pair[1], "x", 1, MSG_NOSIGNAL), -1);
    close (pair[1]);
    end ();
  }
}

static void
the_daemon_is_not_the_last (void)
{
  for (unsigned plain = 0; plain < 4; plain++) {
    int sock, reader;
    pid_t pid;

    begin ();
    reader = make_full (plain, &sock);
    closer_hang_up (&d, UID, sock);
    CU_ASSERT_EQUAL (fcntl (sock, F_GETFD), -1);
    CU_ASSERT_EQUAL (children (&pid, 1), 1);
    CU_ASSERT (!has_ended (reader));
    CU_ASSERT (turn_until (has_ended, reader, 10000));
    close (reader);
    end ();
  }
}

/* Root's, and those of a daemon of one's own. */
static void
whom_it_trusts_it_closes_itself (void)
{
  for (unsigned own = 0; own < 2; own++) {
    int sock, reader;

    begin ();
    d.host = !own;
    reader = make_full (0, &sock);
    closer_hang_up (&d, own ? UID : 0, sock);
    CU_ASSERT (has_ended (reader));
    close (reader);
    end ();
  }
}

static bool
has_told (int n)
{
  int open_ones = 0;

  for (const struct closer *c = d.closers.first; c; c = closer_next (c))
    open_ones += closer_is_open (c);
  return open_ones == n;
}

/* All of a user's but the last one hang: the rest lies in the last one's queue,
 * and nothing is open here.
 */
static void
a_users_last_one_stays (void)
{
  enum { N = 40 };
  int reader[N];
  pid_t pid[CLOSERS_PER_UID] = {0};

  begin ();
  for (unsigned i = 0; i < N; i++) {
    int sock;

    reader[i] = make_full (0, &sock);
    closer_close (&d, UID, sock);
    CU_ASSERT_EQUAL (fcntl (sock, F_GETFD), -1);
    if (i >= CLOSERS_PER_UID)
      continue;
    CU_ASSERT_EQUAL (children (pid, CLOSERS_PER_UID), i + 1);
    CU_ASSERT_EQUAL (kill (pid[i], SIGSTOP), 0);
    /* told to end, but for the last */
    if (i + 1 < CLOSERS_PER_UID)
      CU_ASSERT (turn_until (has_told, 0, 10000));
  }
  CU_ASSERT_EQUAL (children (pid, CLOSERS_PER_UID), CLOSERS_PER_UID);
  CU_ASSERT (has_told (1));
  for (unsigned i = 0; i < 300; i++) { /* some rounds of its timer */
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (1000);
  }
  CU_ASSERT (has_told (1));
  for (unsigned i = 0; i < N; i++)
    CU_ASSERT (!has_ended (reader[i]));
  for (unsigned i = 0; i < CLOSERS_PER_UID; i++)
    kill (pid[i], SIGCONT);
  for (unsigned i = 0; i < N; i++) {
    CU_ASSERT (turn_until (has_ended, reader[i], 10000));
    close (reader[i]);
  }
  CU_ASSERT_EQUAL (warned, 0);
  end ();
}

static void
without_a_process_it_stays_open (void)
{
  int sock[2], reader[2];

  begin ();
  no_process = true;
  for (int i = 0; i < 2; i++) {
    reader[i] = make_full (0, &sock[i]);
    closer_hang_up (&d, UID, sock[i]);
    CU_ASSERT (fcntl (sock[i], F_GETFD) >= 0);
  }
  CU_ASSERT_EQUAL (warned, 1);
  CU_ASSERT (!turn_until (has_ended, reader[0], 300));
  no_process = false;
  for (int i = 0; i < 2; i++) {
    CU_ASSERT (turn_until (has_ended, reader[i], 10000));
    CU_ASSERT_EQUAL (fcntl (sock[i], F_GETFD), -1);
    close (reader[i]);
  }
  end ();
}

UNIT_MAIN ("closer", UNIT_TEST (no_process_for_what_has_no_descriptors),
           UNIT_TEST (the_daemon_is_not_the_last),
           UNIT_TEST (whom_it_trusts_it_closes_itself),
           UNIT_TEST (a_users_last_one_stays),
           UNIT_TEST (without_a_process_it_stays_open))
