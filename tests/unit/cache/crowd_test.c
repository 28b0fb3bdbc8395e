/* SPDX-License-Identifier: BSD-2-Clause */
/* The connections of a host's daemon, when all its users want them. Only root
 * can be somebody else: skipped otherwise.
 */
#include "config.h"
#include "tests/unit/cache/daemon_stage.h"

#include <stdlib.h>
#include <sys/stat.h>

#define FIRST_UID 5000
#define OTHERS (SERVER_HOST_CLIENTS - SERVER_ROOT_CLIENTS)

static int sock[SERVER_HOST_CLIENTS + 2];
static unsigned socks;

static void
start_host (void)
{
  d.host = true;
  d.socket_mode = 0666;
  start ();
  CU_ASSERT_EQUAL (chmod (dir, 0711), 0);
}

/* Whether a process of that user is greeted. */
static bool
is_let_in (uid_t uid)
{
  int s;

  CU_ASSERT_EQUAL_FATAL (seteuid (uid), 0);
  s = connect_client ();
  CU_ASSERT_EQUAL_FATAL (seteuid (0), 0);
  begin (CONTROL_HELLO);
  wirebuf_u32 (&b, CONTROL_VERSION);
  wirebuf_cstring (&b, "crowd_test");
  if (send_it (s) == ERR_OK && receive (s) == ERR_OK
      && m.type == CONTROL_HELLO) {
    sock[socks++] = s;
    return true;
  }
  close (s);
  return false;
}

/* However many uids somebody has. */
static void
all_others_leave_some_to_root (void)
{
  for (unsigned i = 0; i < OTHERS; i++)
    CU_ASSERT_TRUE (is_let_in (FIRST_UID + i));
  CU_ASSERT_FALSE (is_let_in (FIRST_UID));
  CU_ASSERT_FALSE (is_let_in (FIRST_UID + OTHERS));
  for (unsigned i = 0; i < SERVER_ROOT_CLIENTS; i++)
    CU_ASSERT_TRUE (is_let_in (0));
  CU_ASSERT_FALSE (is_let_in (0));
}

static void
who_leaves_makes_room (void)
{
  close (sock[0]);
  for (int i = 0; i < 200; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  CU_ASSERT_FALSE (is_let_in (FIRST_UID)); /* root has it now */
  CU_ASSERT_TRUE (is_let_in (0));
}

static void
stop_host (void)
{
  for (unsigned i = 1; i < socks; i++)
    close (sock[i]);
  stop ();
}

/* Before CUnit starts. */
static void __attribute__ ((constructor)) skip_unless_root (void)
{
  if (geteuid () == 0)
    return;
  puts ("only root can be other users");
  exit (77);
}

UNIT_MAIN ("crowd", UNIT_TEST (start_host),
           UNIT_TEST (all_others_leave_some_to_root),
           UNIT_TEST (who_leaves_makes_room), UNIT_TEST (stop_host))
