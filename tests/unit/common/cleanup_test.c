/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/cleanup.h"

#include <fcntl.h>

#include "tests/unit/unit.h"

static int
close_or_hand_over (int hand_over)
{
  CLEANUP_CLOSE int fd = dup (0);
  CLEANUP_CLOSE int none = -1;

  (void)none;
  return hand_over ? steal_fd (&fd) : fd;
}

static void
an_fd_is_closed_unless_handed_over (void)
{
  int fd = close_or_hand_over (0);

  CU_ASSERT (fcntl (fd, F_GETFD) < 0);
  fd = close_or_hand_over (1);
  CU_ASSERT (fcntl (fd, F_GETFD) >= 0);
  close (fd);
}

/* LeakSanitizer and ASan see a leak or a double free. */
static char *
free_or_hand_over (int hand_over)
{
  CLEANUP_FREE char *p = malloc (10);
  CLEANUP_FREE char *none = NULL;

  (void)none;
  return hand_over ? steal (&p) : NULL;
}

static void
memory_is_freed_unless_handed_over (void)
{
  char *p = free_or_hand_over (1), *q = p;

  CU_ASSERT_PTR_NULL (free_or_hand_over (0));
  CU_ASSERT_PTR_NOT_NULL (p);
  p[9] = 0;
  CU_ASSERT_PTR_EQUAL (steal (&p), q);
  CU_ASSERT_PTR_NULL (p);
  free (q);
}

UNIT_MAIN ("cleanup", UNIT_TEST (an_fd_is_closed_unless_handed_over),
           UNIT_TEST (memory_is_freed_unless_handed_over))
