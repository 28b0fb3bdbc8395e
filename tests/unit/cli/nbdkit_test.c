/* SPDX-License-Identifier: BSD-2-Clause */
/* How nbdkit tells how it goes, and how it ends: the plugin's part is played by
 * a script, in the place of ./run, that does what its arguments say.
 */
#include "config.h"
#include "cli/nbdkit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

#define WAIT_MS 20000

static char script[] = "/tmp/bulkhead-nbdkit-XXXXXX";

/* Written with one call each, so that it comes in one piece. */
static const char text[] =
    "#!/bin/sh\n"
    "say () { printf -- \"$1\" >&$BULKHEAD_STATUS_FD; }\n"
    "case $* in\n"
    "*PLAIN*) say \"ready 7\\n\" ;;\n"
    "*SIZES*) say \"size 4096\\nready 7\\nsize 8192\\nsize 12\" ;;\n"
    "*FAULT*) say \"-5\\tno such thing\\tlook for it\\n\"; exit 1 ;;\n"
    "*FORKS*) sleep 1000 & exit 0 ;;\n"
    "*SLOW*) trap 'sleep 0.3; exit 0' TERM; say \"ready 7\\n\"\n"
    "  while :; do sleep 0.01; done ;;\n"
    "esac\n"
    "exec sleep 1000\n";

static void
the_script_is_there (void)
{
  int fd = mkstemp (script);

  CU_ASSERT_FATAL (fd >= 0);
  CU_ASSERT_EQUAL (fchmod (fd, 0700), 0);
  CU_ASSERT_EQUAL (write (fd, text, sizeof text - 1), sizeof text - 1);
  close (fd); /* or exec refuses it */
  CU_ASSERT_EQUAL (setenv ("BULKHEAD_RUN", script, 1), 0);
}

static struct nbdkit
start (const char *what, enum nbdkit_mode mode)
{
  struct target t = {.url = (char *)"nfs://server/file"};
  const char *own[] = {what, NULL};
  struct nbdkit n = {.status_fd = -1};
  struct fault f = {0};

  CU_ASSERT_EQUAL_FATAL (nbdkit_start (&t, own, 1, mode, -1, &n, &f), ERR_OK);
  return n;
}

static void
a_size_told_with_ready_is_not_left_lying (void)
{
  struct nbdkit n = start ("SIZES", NBDKIT_GUARDED);
  struct fault f = {0};

  CU_ASSERT_EQUAL_FATAL (nbdkit_ready (&n, WAIT_MS, &f), ERR_OK);
  CU_ASSERT_EQUAL (n.size_bytes, 8192);
  CU_ASSERT_EQUAL (n.server, 7);
  CU_ASSERT (n.status_fd >= 0);
  nbdkit_stop (&n, WAIT_MS);
}

static void
ready_is_told_once (void)
{
  struct nbdkit n = start ("PLAIN", NBDKIT_FOREGROUND);
  struct fault f = {0};

  CU_ASSERT_EQUAL (nbdkit_ready (&n, WAIT_MS, &f), ERR_OK);
  CU_ASSERT_EQUAL (n.status_fd, -1);
  CU_ASSERT_EQUAL (nbdkit_ready (&n, 0, &f), ERR_OK);
  nbdkit_stop (&n, WAIT_MS);
  CU_ASSERT_EQUAL (n.pid, 0);
}

static void
a_fault_has_its_words (void)
{
  struct nbdkit n = start ("FAULT", NBDKIT_GUARDED);
  struct fault f = {0};

  CU_ASSERT_EQUAL (nbdkit_ready (&n, WAIT_MS, &f), (enum err) - 5);
  CU_ASSERT_STRING_EQUAL (f.text, "no such thing");
  CU_ASSERT_STRING_EQUAL (f.hint, "look for it");
  CU_ASSERT_FALSE (n.ready);
  nbdkit_stop (&n, WAIT_MS);
}

/* It has forked into the background, and the server does not answer. */
static void
what_is_about_to_detach_ends_with_it (void)
{
  struct nbdkit n;
  struct pollfd p;
  siginfo_t info;
  int alive[2];

  CU_ASSERT_EQUAL_FATAL (pipe (alive), 0);
  fcntl (alive[0], F_SETFD, FD_CLOEXEC);
  n = start ("FORKS", NBDKIT_DETACHED);
  close (alive[1]);
  CU_ASSERT_EQUAL (waitid (P_PID, (id_t)n.pid, &info, WEXITED | WNOWAIT), 0);
  nbdkit_stop (&n, WAIT_MS);
  p = (struct pollfd){.fd = alive[0]};
  CU_ASSERT_EQUAL (poll (&p, 1, WAIT_MS), 1);
  close (alive[0]);
}

static void
on_signal (int number)
{
  (void)number;
}

static void *
disturb (void *main_thread)
{
  for (int i = 0; i < 20; i++) {
    nanosleep (&(struct timespec){.tv_nsec = 10000000}, NULL);
    pthread_kill (*(pthread_t *)main_thread, SIGUSR1);
  }
  return NULL;
}

/* A second Ctrl-C is no reason to end it in the middle of something. */
static void
a_signal_does_not_cut_its_end_short (void)
{
  struct nbdkit n = start ("SLOW", NBDKIT_FOREGROUND);
  struct sigaction sa = {.sa_handler = on_signal};
  pthread_t self = pthread_self (), thread;
  struct fault f = {0};
  uint64_t began_ms;

  CU_ASSERT_EQUAL_FATAL (nbdkit_ready (&n, WAIT_MS, &f), ERR_OK);
  sigaction (SIGUSR1, &sa, NULL);
  CU_ASSERT_EQUAL_FATAL (pthread_create (&thread, NULL, disturb, &self), 0);
  began_ms = clock_now_ms ();
  nbdkit_stop (&n, WAIT_MS);
  CU_ASSERT (clock_now_ms () - began_ms >= 300);
  pthread_join (thread, NULL);
}

static void
the_script_goes (void)
{
  CU_ASSERT_EQUAL (unlink (script), 0);
}

UNIT_MAIN ("nbdkit", UNIT_TEST (the_script_is_there),
           UNIT_TEST (a_size_told_with_ready_is_not_left_lying),
           UNIT_TEST (ready_is_told_once), UNIT_TEST (a_fault_has_its_words),
           UNIT_TEST (what_is_about_to_detach_ends_with_it),
           UNIT_TEST (a_signal_does_not_cut_its_end_short),
           UNIT_TEST (the_script_goes))
