/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers that come so far and say nothing more: the daemon's patience with
 * each step on the way to READY. The daemon's clock is this program's to set.
 */
#include "config.h"
#include "tests/unit/cache/daemon_stage.h"

#include <sys/syscall.h>

#define SKIP_S 31 /* more than any step may last */
#define TURNS_MAX 100000

static long skipped_s;

/* In the place of libc's, for libev too. */
int
clock_gettime (clockid_t id, struct timespec *ts)
{
  int r = (int)syscall (SYS_clock_gettime, id, ts);

  if (id == CLOCK_MONOTONIC)
    ts->tv_sec += skipped_s;
  return r;
}

/* The worker makes this file when it has done all that it does. */
static void
mark_name (char *dst, size_t capacity)
{
  snprintf (dst, capacity, "%s/silent", dir);
}

/* Until the answer to OPEN; *ret_silences: workers that were waited for. */
static enum err
turn_until_fault (int sock, unsigned *ret_silences)
{
  char mark[100];
  enum err e;

  mark_name (mark, sizeof mark);
  *ret_silences = 0;
  for (int i = 0; i < TURNS_MAX; i++) {
    e = control_recv (sock, &m, 0);
    if (e != ERR_AGAIN && (e || m.type != CONTROL_CACHE))
      return e;
    control_close (&m);
    if (unlink (mark) == 0) {
      ++*ret_silences;
      for (int j = 0; j < 20; j++) /* it hears what was said before */
        ev_run (d.loop, EVRUN_NOWAIT);
      skipped_s += SKIP_S;
    }
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (200);
  }
  return ERR_TIMEOUT;
}

static void
is_ended_in_words (bool ssh, unsigned steps, const char *what)
{
  char path[120], text[100];
  struct volume_spec s;
  unsigned silences;
  struct fault f;
  int sock;

  mark_name (text, sizeof text);
  snprintf (path, sizeof path, "/silent-%u%s", steps, text);
  s = ssh ? spec_for (path) : iscsi_spec (path);
  sock = open_spec (&s);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_CHANNEL);
  control_close (&m);
  CU_ASSERT_EQUAL_FATAL (turn_until_fault (sock, &silences), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_FAULT);
  f = fault_in ();
  CU_ASSERT_EQUAL (f.code, ERR_TIMEOUT);
  snprintf (text, sizeof text, "no answer from 127.0.0.1 while %s", what);
  CU_ASSERT_STRING_EQUAL (f.text, text);
  CU_ASSERT_EQUAL (silences, 3); /* it may mend itself */
  control_close (&m);
  close (sock);
}

static void
before_it_is_sealed (void)
{
  is_ended_in_words (true, 0, "the worker starts");
}

static void
before_the_host_key (void)
{
  is_ended_in_words (true, 1, "keys are exchanged");
}

static void
before_it_says_how_to_log_in (void)
{
  is_ended_in_words (true, 2, "logging in");
}

static void
before_it_has_logged_in (void)
{
  is_ended_in_words (true, 3, "logging in");
}

static void
before_the_session_is_set_up (void)
{
  is_ended_in_words (false, 1, "the session is set up");
}

/* Nor does a worker that was silent once spoil the next. */
static void
the_next_volume_is_served (void)
{
  int sock = open_path ("/ready");

  expect_worker (sock, 1);
  close (sock);
}

UNIT_MAIN ("silence", UNIT_TEST (start), UNIT_TEST (before_it_is_sealed),
           UNIT_TEST (before_the_host_key),
           UNIT_TEST (before_it_says_how_to_log_in),
           UNIT_TEST (before_it_has_logged_in),
           UNIT_TEST (before_the_session_is_set_up),
           UNIT_TEST (the_next_volume_is_served), UNIT_TEST (stop))
