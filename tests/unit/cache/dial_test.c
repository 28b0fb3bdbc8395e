/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/cache/page_that_waits.h"
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

static bool
is_reset (int fd)
{
  struct sockaddr_in peer;
  socklen_t n = sizeof peer;

  return getpeername (fd, (struct sockaddr *)&peer, &n) < 0
         && errno == ENOTCONN;
}

static void
no_child_stays (void)
{
  uint64_t end_ms = clock_now_ms () + 10000;

  while (waitid (P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0
         && clock_now_ms () < end_ms)
    ev_run (d.loop, EVRUN_ONCE);
  CU_ASSERT_EQUAL (waitpid (-1, NULL, WNOHANG), -1);
}

static void
several_are_fenced_apart (void)
{
  int fd[3], l;
  uint16_t port;

  d.loop = ev_loop_new (EVFLAG_NOENV);
  l = listen_somewhere (&port);
  for (int i = 2; i >= 0; i--)
    CU_ASSERT_FATAL ((fd[i] = dial (port, (struct dial_from){0})) >= 0);
  dial_fence_all (&d, 4001, fd, 0, true);
  dial_fence_all (&d, 4001, fd, 3, true);
  no_child_stays ();
  for (int i = 0; i < 3; i++) {
    CU_ASSERT (is_reset (fd[i]));
    close (fd[i]);
  }
  close (l);
  ev_loop_destroy (d.loop);
}

/* In place of libc's. */
static unsigned no_process;

pid_t
fork (void)
{
  if (!no_process)
    return _Fork ();
  no_process--;
  errno = EAGAIN;
  return -1;
}

/* Not in the daemon's thread, whose user may hold their locks. */
static void
without_a_process_they_are_fenced_later (void)
{
  uint64_t end_ms = clock_now_ms () + 10000;
  uint16_t port;
  int l, fd;

  d.loop = ev_loop_new (EVFLAG_NOENV);
  l = listen_somewhere (&port);
  CU_ASSERT_FATAL ((fd = dial (port, (struct dial_from){0})) >= 0);
  no_process = 3;
  dial_fence_all (&d, 4001, &fd, 1, true);
  CU_ASSERT_EQUAL (no_process, 2);
  CU_ASSERT (!is_reset (fd));
  while (!is_reset (fd) && clock_now_ms () < end_ms)
    ev_run (d.loop, EVRUN_ONCE);
  CU_ASSERT (is_reset (fd));
  CU_ASSERT_EQUAL (no_process, 0);
  no_child_stays ();
  close (fd);
  close (l);
  ev_loop_destroy (d.loop);
}

struct sender {
  int fd;
  char *page;
};

static void *
send_page (void *arg)
{
  struct sender *s = arg;

  (void)!send (s->fd, s->page, 4096, MSG_NOSIGNAL);
  return NULL;
}

/* Who holds its lock holds up the fence of that connection, not the daemon. */
static void
a_locked_socket_holds_nothing_up (void)
{
  struct uffd_msg fault;
  struct uffdio_zeropage give;
  struct sender s;
  pthread_t thread;
  uint64_t began_ms;
  int uffd, l;
  uint16_t port;

  if (!(s.page = page_that_waits (&uffd))) {
    printf (" (only root's pages can wait) ");
    return;
  }
  d.loop = ev_loop_new (EVFLAG_NOENV);
  l = listen_somewhere (&port);
  CU_ASSERT_FATAL ((s.fd = dial (port, (struct dial_from){0})) >= 0);
  pthread_create (&thread, NULL, send_page, &s);
  CU_ASSERT_EQUAL (read (uffd, &fault, sizeof fault), sizeof fault);
  alarm (20);
  began_ms = clock_now_ms ();
  dial_fence_all (&d, 4001, &s.fd, 1, true);
  CU_ASSERT (clock_now_ms () - began_ms < 5000);
  CU_ASSERT_EQUAL (waitid (P_ALL, 0, &(siginfo_t){0},
                           WEXITED | WNOHANG | WNOWAIT),
                   0); /* at work still */
  CU_ASSERT (dial_fence_is_late (&d, 4001));
  CU_ASSERT (!dial_fence_is_late (&d, 4002));
  give = (struct uffdio_zeropage){.range = {(uintptr_t)s.page, 4096}};
  CU_ASSERT_EQUAL (ioctl (uffd, UFFDIO_ZEROPAGE, &give), 0);
  pthread_join (thread, NULL);
  no_child_stays ();
  alarm (0);
  CU_ASSERT (is_reset (s.fd));
  CU_ASSERT (!dial_fence_is_late (&d, 4001));
  munmap (s.page, 4096);
  close (uffd);
  close (s.fd);
  close (l);
  ev_loop_destroy (d.loop);
}

UNIT_MAIN ("dial", UNIT_TEST (dials_again_from_the_same_port),
           UNIT_TEST (dials_from_a_reserved_port),
           UNIT_TEST (several_are_fenced_apart),
           UNIT_TEST (a_locked_socket_holds_nothing_up),
           UNIT_TEST (without_a_process_they_are_fenced_later))
