/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of a device whose supervisor was killed. The kernel is one in
 * memory (kernel.h), and time passes by itself: see poll.
 */
#include "config.h"
#include "cli/sweep.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/attach_state.h"
#include "common/cleanup.h"
#include "tests/unit/cli/kernel.h"
#include "tests/unit/unit.h"

#define LOOK_MS 10000 /* what a slow look at all processes takes */

static char dir[] = "/tmp/bulkhead-sweep-XXXXXX";

/* The only thing that sweeping waits with. Nothing comes of what hangs; of a
 * slow look something does if it is waited for long enough.
 */
int
poll (struct pollfd *p, nfds_t n, int timeout_ms)
{
  const struct timespec a_moment = {.tv_nsec = 1000000};
  int ready;

  while ((ready = ppoll (p, n, &a_moment, NULL)) == 0) {
    if (kernel->claim == CLAIM_HANGS && kernel->claims)
      return 0;
    if (kernel->looks && timeout_ms < LOOK_MS)
      return 0;
    kernel->may_go_on = kernel->looks;
  }
  return ready;
}

static struct sweep
swept (enum kernel_claim claim, bool force)
{
  struct sweep s = {.dir = dir, .index = -1, .force = force};

  kernel_open ();
  kernel->connected = true;
  strcpy (kernel->backend, ATTACH_BACKEND "disk");
  kernel->claim = claim;
  sweep (&s);
  while (waitpid (-1, NULL, 0) > 0)
    ;
  return s;
}

static void
nobody_has_it (void)
{
  struct sweep s;

  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (dir));
  s = swept (CLAIM_FREE, false);
  CU_ASSERT_EQUAL (s.removed, 1);
  CU_ASSERT_EQUAL (s.left, 0);
  CU_ASSERT_EQUAL (kernel->disconnects, 1);
}

static void
it_does_not_open (void)
{
  struct sweep s = swept (CLAIM_HANGS, false);

  CU_ASSERT_EQUAL (s.removed, 1);
  CU_ASSERT_EQUAL (kernel->disconnects, 1);
}

static void
somebody_has_it (void)
{
  struct sweep s = swept (CLAIM_BUSY, false);

  CU_ASSERT_EQUAL (s.removed, 0);
  CU_ASSERT_EQUAL (s.left, 1);
  CU_ASSERT_EQUAL (s.left_index, KERNEL_INDEX);
  CU_ASSERT_STRING_EQUAL (s.why.text, "/dev/nbd7 is in use");
  CU_ASSERT_EQUAL (kernel->disconnects, 0);
}

static void
a_slow_look_is_waited_for (void)
{
  struct sweep s = swept (CLAIM_SLOW_BUSY, false);

  CU_ASSERT_EQUAL (s.left, 1);
  CU_ASSERT_STRING_EQUAL (s.why.text, "/dev/nbd7 is in use");
  CU_ASSERT_EQUAL (kernel->disconnects, 0);
  s = swept (CLAIM_SLOW_FREE, false);
  CU_ASSERT_EQUAL (s.removed, 1);
  CU_ASSERT_EQUAL (kernel->disconnects, 1);
}

static void
force_does_not_ask (void)
{
  struct sweep s = swept (CLAIM_BUSY, true);

  CU_ASSERT_EQUAL (s.removed, 1);
  CU_ASSERT_EQUAL (kernel->claims, 0);
  CU_ASSERT_EQUAL (kernel->disconnects, 1);
}

static void
what_has_a_supervisor_is_left_alone (void)
{
  CLEANUP_CLOSE int fd = -1;
  struct sweep s;

  CU_ASSERT_EQUAL (attach_state_lock (dir, KERNEL_INDEX, &fd), ERR_OK);
  s = swept (CLAIM_FREE, true);
  CU_ASSERT_EQUAL (s.removed + s.left, 0);
  CU_ASSERT_EQUAL (kernel->claims + kernel->disconnects, 0);
  attach_state_remove (dir, KERNEL_INDEX);
  CU_ASSERT_EQUAL (rmdir (dir), 0);
}

UNIT_MAIN ("sweep", UNIT_TEST (nobody_has_it), UNIT_TEST (it_does_not_open),
           UNIT_TEST (somebody_has_it), UNIT_TEST (a_slow_look_is_waited_for),
           UNIT_TEST (force_does_not_ask),
           UNIT_TEST (what_has_a_supervisor_is_left_alone))
