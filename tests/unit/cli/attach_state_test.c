/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/attach_state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/block.h"
#include "common/cleanup.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/bulkhead-state-XXXXXX";

static const struct attach_state state = {.index = 3,
                                          .name = "backup",
                                          .url = "sftp://me@host/x",
                                          .state = "ready",
                                          .why = "",
                                          .pid = 4711,
                                          .server = 0,
                                          .size_bytes = 1ull << 45,
                                          .readonly = true,
                                          .connections = 2,
                                          .restarts = 7,
                                          .refusals = 1,
                                          .since_s = 1700000000};

static void
put (const char *text)
{
  char path[64];
  FILE *file;

  snprintf (path, sizeof path, "%s/nbd3.json", dir);
  file = fopen (path, "w");
  CU_ASSERT_PTR_NOT_NULL_FATAL (file);
  fputs (text, file);
  fclose (file);
}

static void
what_is_written_is_read (void)
{
  struct attach_state got;
  struct fault f;

  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (dir));
  CU_ASSERT_EQUAL (attach_state_read (dir, 3, &got, &f), ERR_NOENT);
  CU_ASSERT_EQUAL (attach_state_write (dir, &state, &f), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (attach_state_read (dir, 3, &got, &f), ERR_OK);
  CU_ASSERT_STRING_EQUAL (got.name, state.name);
  CU_ASSERT_STRING_EQUAL (got.url, state.url);
  CU_ASSERT_STRING_EQUAL (got.state, state.state);
  CU_ASSERT_EQUAL (got.pid, state.pid);
  CU_ASSERT_EQUAL (got.size_bytes, state.size_bytes);
  CU_ASSERT_EQUAL (got.readonly, state.readonly);
  CU_ASSERT_EQUAL (got.connections, state.connections);
  CU_ASSERT_EQUAL (got.restarts, state.restarts);
  CU_ASSERT_EQUAL (got.refusals, state.refusals);
  CU_ASSERT_EQUAL (got.since_s, state.since_s);
}

/* The path of whoever has the device open, say; and cut off in the middle of a
 * character.
 */
static void
a_reason_with_any_bytes_is_told (void)
{
  struct attach_state s = state, got;
  struct fault f;

  strcpy (s.name, "b\xfc" "cher");
  strcpy (s.url, "sftp://me@host/b\xfc" "cher");
  strcpy (s.why, "in use: /mnt/\xfftape \xc3\xbc\xe2\x82");
  s.refusals = 2;
  CU_ASSERT_EQUAL (attach_state_write (dir, &s, &f), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (attach_state_read (dir, 3, &got, &f), ERR_OK);
  CU_ASSERT_EQUAL (got.refusals, 2);
  CU_ASSERT_STRING_EQUAL (got.why, "in use: /mnt/?tape \xc3\xbc??");
  CU_ASSERT_STRING_EQUAL (got.name, "b?cher");
  CU_ASSERT_STRING_EQUAL (got.url, "sftp://me@host/b?cher");
}

static void
what_breaks_the_rules_is_not (void)
{
  static const char *const texts[] = {
      "",
      "{",
      "[]",
      "{}",
      "{\"index\": 3}",
      "{\"index\":3,\"name\":\"a\\u0001\",\"url\":\"u\",\"state\":\"s\","
      "\"why\":\"\",\"pid\":9,\"server\":0,\"size\":1,\"readonly\":false,"
      "\"connections\":1,\"restarts\":0,\"refusals\":0,\"since\":0}",
      "{\"index\":4,\"name\":\"a\",\"url\":\"u\",\"state\":\"s\","
      "\"why\":\"\",\"pid\":9,\"server\":0,\"size\":1,\"readonly\":false,"
      "\"connections\":1,\"restarts\":0,\"refusals\":0,\"since\":0}",
      "{\"index\":3,\"name\":\"a\",\"url\":\"u\",\"state\":\"s\","
      "\"why\":\"\",\"pid\":0,\"server\":0,\"size\":1,\"readonly\":false,"
      "\"connections\":1,\"restarts\":0,\"refusals\":0,\"since\":0}",
      "{\"index\":3,\"name\":\"a\",\"url\":\"u\",\"state\":"
      "\"much longer than sixteen\",\"why\":\"\",\"pid\":9,\"server\":0,"
      "\"size\":1,\"readonly\":false,\"connections\":1,\"restarts\":0,"
      "\"refusals\":0,\"since\":0}"};
  struct attach_state got;
  struct fault f;

  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    put (texts[i]);
    CU_ASSERT_EQUAL (attach_state_read (dir, 3, &got, &f), ERR_INVAL);
  }
}

static void
a_lock_says_who_lives (void)
{
  CLEANUP_CLOSE int fd = -1;
  int other = -1;

  CU_ASSERT_FALSE (attach_state_alive (dir, 3));
  CU_ASSERT_EQUAL_FATAL (attach_state_lock (dir, 3, &fd), ERR_OK);
  CU_ASSERT_TRUE (attach_state_alive (dir, 3));
  CU_ASSERT_EQUAL (attach_state_lock (dir, 3, &other), ERR_AGAIN);
  close (steal_fd (&fd));
  CU_ASSERT_FALSE (attach_state_alive (dir, 3));
}

/* Somebody who looks, for ms milliseconds; *ret_pid: until he is killed. */
static void
look_for (unsigned ms, pid_t *ret_pid)
{
  char path[64], byte;
  int fd, p[2];

  snprintf (path, sizeof path, "%s/nbd3.lock", dir);
  CU_ASSERT_EQUAL_FATAL (pipe (p), 0);
  *ret_pid = fork ();
  if (*ret_pid == 0) {
    fd = open (path, O_RDONLY);
    if (fd < 0 || flock (fd, LOCK_SH | LOCK_NB) < 0 || write (p[1], "", 1) != 1)
      _exit (1);
    usleep (ms * 1000);
    _exit (0);
  }
  close (p[1]);
  CU_ASSERT_EQUAL (read (p[0], &byte, 1), 1);
  close (p[0]);
}

static void
who_looks_is_no_supervisor (void)
{
  CLEANUP_CLOSE int fd = -1;
  pid_t pid;

  look_for (60000, &pid);
  CU_ASSERT_FALSE (attach_state_alive (dir, 3));
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  /* A look does not keep a supervisor from what it comes for. */
  look_for (50, &pid);
  CU_ASSERT_EQUAL (attach_state_lock (dir, 3, &fd), ERR_OK);
  waitpid (pid, NULL, 0);
}

static void
nothing_is_left (void)
{
  attach_state_remove (dir, 3);
  CU_ASSERT_EQUAL (rmdir (dir), 0);
}

static void
devices_have_names (void)
{
  CU_ASSERT_EQUAL (block_index ("/dev/nbd0"), 0);
  CU_ASSERT_EQUAL (block_index ("nbd12"), 12);
  CU_ASSERT_EQUAL (block_index ("/dev/nbd0p1"), -1);
  CU_ASSERT_EQUAL (block_index ("/dev/nbd"), -1);
  CU_ASSERT_EQUAL (block_index ("/dev/nbd-1"), -1);
  CU_ASSERT_EQUAL (block_index ("/dev/nbd99999"), -1);
  CU_ASSERT_EQUAL (block_index ("/dev/sda"), -1);
}

UNIT_MAIN ("attach_state", UNIT_TEST (what_is_written_is_read),
           UNIT_TEST (a_reason_with_any_bytes_is_told),
           UNIT_TEST (what_breaks_the_rules_is_not),
           UNIT_TEST (a_lock_says_who_lives),
           UNIT_TEST (who_looks_is_no_supervisor), UNIT_TEST (nothing_is_left),
           UNIT_TEST (devices_have_names))
