/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

struct seen {
  unsigned lines;
  enum log_level level;
  char line[1200];
};

static void
emit (void *ctx, enum log_level level, const char *line)
{
  struct seen *s = ctx;

  s->lines++;
  s->level = level;
  snprintf (s->line, sizeof s->line, "%s", line);
}

static void
levels_are_dropped_above_the_limit (void)
{
  struct seen s = {0};
  struct log l = {LOG_LEVEL_WARN, emit, &s};

  log_write (&l, LOG_LEVEL_INFO, "no");
  log_write (&l, LOG_LEVEL_DEBUG, "no");
  CU_ASSERT_EQUAL (s.lines, 0);
  log_write (&l, LOG_LEVEL_WARN, "yes %d", 1);
  log_write (&l, LOG_LEVEL_ERROR, "yes %d", 2);
  CU_ASSERT_EQUAL (s.lines, 2);
  CU_ASSERT_STRING_EQUAL (s.line, "yes 2");
  CU_ASSERT_EQUAL (s.level, LOG_LEVEL_ERROR);
  log_write (NULL, LOG_LEVEL_ERROR, "nobody");
  l.emit = NULL;
  log_write (&l, LOG_LEVEL_ERROR, "nobody");
  CU_ASSERT_EQUAL (s.lines, 2);
}

static void
one_bounded_line_without_control_characters (void)
{
  struct seen s = {0};
  struct log l = {LOG_LEVEL_DEBUG, emit, &s};
  static char big[5000];

  memset (big, 'x', sizeof big - 1);
  /* 9Bh, and U+009B, is ESC [ to many terminals */
  log_write (&l, LOG_LEVEL_INFO, "a\xc2\x9b" "1m\x9b" "1m\xc3\xab");
  CU_ASSERT_STRING_EQUAL (s.line, "a??1m?1m\xc3\xab");
  log_write (&l, LOG_LEVEL_INFO, "a\nb\r\033[31m\177%s", big);
  CU_ASSERT_EQUAL (s.lines, 2);
  CU_ASSERT_NSTRING_EQUAL (s.line, "a?b??[31m?xxx", 13);
  CU_ASSERT_EQUAL (strlen (s.line), 1023);
}

static void
a_fault_with_and_without_a_hint (void)
{
  struct seen s = {0};
  struct log l = {LOG_LEVEL_ERROR, emit, &s};
  struct fault f;

  fault_set (&f, ERR_AUTH, "login refused");
  log_fault (&l, "vol", &f);
  CU_ASSERT_STRING_EQUAL (s.line, "vol: login refused");
  fault_hint (&f, "use another key");
  log_fault (&l, "vol", &f);
  CU_ASSERT_STRING_EQUAL (s.line, "vol: login refused; use another key");
  CU_ASSERT_EQUAL (s.level, LOG_LEVEL_ERROR);
}

static void
stderr_gets_whole_lines (void)
{
  static char name[] = "prog";
  static char big[3000];
  char got[2000] = "";
  int saved = dup (STDERR_FILENO), p[2];
  ssize_t n;

  CU_ASSERT_EQUAL_FATAL (pipe (p), 0);
  memset (big, 'y', sizeof big - 1);
  dup2 (p[1], STDERR_FILENO);
  log_emit_stderr (name, LOG_LEVEL_ERROR, "one");
  log_emit_stderr (name, LOG_LEVEL_WARN, "two");
  log_emit_stderr (name, LOG_LEVEL_INFO, "three");
  log_emit_stderr (name, LOG_LEVEL_DEBUG, big);
  dup2 (saved, STDERR_FILENO);
  close (p[1]);
  n = read (p[0], got, sizeof got - 1);
  CU_ASSERT (n > 1000);
  CU_ASSERT_NSTRING_EQUAL (
    got, "prog: error: one\nprog: warning: two\nprog: three\nprog: debug: yy",
    63);
  CU_ASSERT_EQUAL (got[n - 1], '\n');
  close (p[0]);
  close (saved);
}

UNIT_MAIN ("log", UNIT_TEST (levels_are_dropped_above_the_limit),
           UNIT_TEST (one_bounded_line_without_control_characters),
           UNIT_TEST (a_fault_with_and_without_a_hint),
           UNIT_TEST (stderr_gets_whole_lines))
