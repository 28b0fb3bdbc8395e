/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon and who asks it for its status; see daemon_stage.h. */
#include "config.h"
#include "tests/unit/cache/daemon_stage.h"

#include <pthread.h>

#include "ipc/connect.h"
#include "ipc/stats.h"
#include "ipc/status.h"

static struct status answer;
static struct fault why;
static enum err result;
static _Atomic bool answered;

/* As the command line does it, by another thread: the daemon turns in this one.
 */
static void *
ask_main (void *unused)
{
  int sock = -1;

  (void)unused;
  result = daemon_find ("status_test", 5000000000u, &sock, &why);
  if (!result)
    result = status_ask (sock, 5000000000u, &answer, &why);
  cleanup_close (&sock);
  answered = true;
  return NULL;
}

static void
ask (void)
{
  pthread_t thread;

  status_free (&answer);
  answered = false;
  setenv ("BULKHEAD_RUNTIME_DIR", dir, 1);
  CU_ASSERT_EQUAL_FATAL (pthread_create (&thread, NULL, ask_main, NULL), 0);
  while (!answered) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (200);
  }
  pthread_join (thread, NULL);
}

static void
turn (void)
{
  for (int i = 0; i < 50; i++) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (200);
  }
}

static enum err
attach (int sock, int fd)
{
  enum err e;

  begin (CONTROL_ATTACH);
  if (fd >= 0)
    control_add_fd (&m, fd);
  e = control_send_credentials (sock, &m, &b, 0);
  m.fds = 0;
  return e;
}

static void
tells_nothing_where_nothing_is (void)
{
  ask ();
  CU_ASSERT_EQUAL_FATAL (result, ERR_OK);
  CU_ASSERT_EQUAL (answer.gateways, 0);
  CU_ASSERT_EQUAL (answer.daemon.pid, (uint32_t)getpid ());
  CU_ASSERT_EQUAL (answer.daemon.uid, geteuid ());
  CU_ASSERT_EQUAL (answer.daemon.cache_pages, 256);
  CU_ASSERT_STRING_EQUAL (answer.daemon.version, PACKAGE_VERSION);
}

static void
tells_of_a_gateway_and_what_it_counts (void)
{
  CLEANUP_FREE struct stats *s = calloc (1, sizeof *s);
  CLEANUP_CLOSE int fd = -1;
  struct stats_object *o;
  const struct status_gateway *g;
  int sock = open_path ("/ready");

  expect_worker (sock, 1);
  CU_ASSERT_EQUAL_FATAL (stats_create (&o, &fd), ERR_OK);
  CU_ASSERT_EQUAL (attach (sock, fd), ERR_OK);
  turn ();
  ask ();
  CU_ASSERT_EQUAL_FATAL (result, ERR_OK);
  CU_ASSERT_EQUAL_FATAL (answer.gateways, 1);
  CU_ASSERT_FATAL (answer.volumes >= 1);
  g = &answer.gateway[0];
  CU_ASSERT_EQUAL (g->pid, (uint32_t)getpid ());
  CU_ASSERT_PTR_NOT_NULL (strstr (g->name, "sftp://me@127.0.0.1:"));
  CU_ASSERT_EQUAL (g->workers, 1);
  CU_ASSERT_EQUAL (g->worker[0].state, STATUS_WORKER_READY);
  CU_ASSERT_EQUAL (g->worker[0].pid, (uint32_t)worker_pid);
  CU_ASSERT_EQUAL (g->worker[0].restarts, 0);
  CU_ASSERT (g->worker[0].layers != 0);
  CU_ASSERT (g->has_info && g->info.size == 1);
  CU_ASSERT (g->volume != 0);
  CU_ASSERT_FATAL (g->has_stats && g->stats_fd >= 0);
  /* It is the very memory, and what is counted later shows there. */
  atomic_store (&o->op[STATS_READ].requests, 42);
  CU_ASSERT_EQUAL (stats_read_fd (g->stats_fd, s), ERR_OK);
  CU_ASSERT_EQUAL (s->op[STATS_READ].requests, 42);

  kill (worker_pid, SIGKILL);
  expect_gone (sock, 1);
  expect_worker (sock, 2);
  ask ();
  CU_ASSERT_EQUAL_FATAL (answer.gateways, 1);
  CU_ASSERT_EQUAL (answer.gateway[0].worker[0].restarts, 1);
  CU_ASSERT_PTR_NOT_NULL (
      strstr (answer.gateway[0].worker[0].why, "SIGKILL"));
  munmap (o, STATS_BYTES);
  close (sock);
  turn ();
  ask ();
  CU_ASSERT_EQUAL (answer.gateways, 0);
}

/* More than one message can hold. */
static void
many_come_on_several_pages (void)
{
  enum { MANY = 40 };
  int sock[MANY];
  uint64_t last = 0;

  for (int i = 0; i < MANY; i++)
    sock[i] = open_path ("/ready");
  turn ();
  ask ();
  CU_ASSERT_EQUAL_FATAL (result, ERR_OK);
  CU_ASSERT_EQUAL (answer.gateways, MANY);
  for (unsigned i = 0; i < answer.gateways; i++) {
    CU_ASSERT (answer.gateway[i].id > last);
    last = answer.gateway[i].id;
  }
  for (int i = 0; i < MANY; i++)
    close (sock[i]);
  turn ();
}

static int
greeted (void)
{
  int sock = connect_client ();

  send_hello (sock, CONTROL_VERSION);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  control_close (&m);
  return sock;
}

static enum err
question (int sock, uint32_t version, uint8_t kind)
{
  begin (CONTROL_STATUS);
  wirebuf_u32 (&b, version);
  wirebuf_u8 (&b, kind);
  wirebuf_u64 (&b, 0);
  return send_it (sock);
}

static void
wrong_questions_end_the_connection (void)
{
  for (int i = 0; i < 3; i++) {
    int sock = greeted ();

    if (i == 0)
      CU_ASSERT_EQUAL (question (sock, STATUS_VERSION + 1, 0), ERR_OK)
    else if (i == 1)
      CU_ASSERT_EQUAL (question (sock, STATUS_VERSION, 9), ERR_OK)
    else {
      /* who watches opens nothing */
      struct volume_spec s = spec_for ("/ready");

      CU_ASSERT_EQUAL (question (sock, STATUS_VERSION, 0), ERR_OK);
      CU_ASSERT_EQUAL (receive (sock), ERR_OK);
      CU_ASSERT_EQUAL (m.type, CONTROL_STATUS);
      send_open (sock, &s);
    }
    CU_ASSERT_EQUAL (receive (sock), ERR_CLOSED);
    close (sock);
  }
}

/* Nothing that is no such memory is kept, or handed on. */
static void
a_wrong_file_ends_the_gateway (void)
{
  int sock = open_path ("/ready");
  int fd = file_with ("x", 1);

  expect_worker (sock, 1);
  CU_ASSERT_EQUAL (attach (sock, fd), ERR_OK);
  CU_ASSERT_EQUAL (receive (sock), ERR_CLOSED);
  close (fd);
  close (sock);
}

/* One who asks and never reads is hung up on; others are served meanwhile. */
static void
who_does_not_read_holds_nobody_up (void)
{
  int serving = open_path ("/ready");
  int sock = greeted ();
  int asked = 0;

  expect_worker (serving, 1);
  while (asked < 100000 && question (sock, STATUS_VERSION, 0) == ERR_OK) {
    ev_run (d.loop, EVRUN_NOWAIT);
    asked++;
  }
  CU_ASSERT (asked < 100000);
  ask ();
  CU_ASSERT_EQUAL (result, ERR_OK);
  CU_ASSERT_EQUAL (answer.gateways, 1);
  close (sock);
  close (serving);
}

static void
finish (void)
{
  status_free (&answer);
  stop ();
}

UNIT_MAIN ("status of the daemon", UNIT_TEST (start),
           UNIT_TEST (tells_nothing_where_nothing_is),
           UNIT_TEST (tells_of_a_gateway_and_what_it_counts),
           UNIT_TEST (many_come_on_several_pages),
           UNIT_TEST (wrong_questions_end_the_connection),
           UNIT_TEST (a_wrong_file_ends_the_gateway),
           UNIT_TEST (who_does_not_read_holds_nobody_up),
           UNIT_TEST (finish))
