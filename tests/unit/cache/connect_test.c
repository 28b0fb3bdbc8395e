/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding and starting the daemon: with the real bulkheadd of this build, and
 * with servers that end at the wrong moment.
 */
#include "config.h"
#include "ipc/connect.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/control.h"
#include "ipc/runtime.h"
#include "tests/unit/unit.h"

#define TIMEOUT_NS 10000000000ull
#define GATEWAYS 8

static char base[] = "/tmp/bulkhead-connect-test-XXXXXX";
static char build[PATH_MAX];
static char dir[200];

static void
use_dir (const char *name)
{
  snprintf (dir, sizeof dir, "%s/%s", base, name);
  setenv ("BULKHEAD_RUNTIME_DIR", dir, 1);
}

static void
start (void)
{
  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (base));
  CU_ASSERT_FATAL (readlink ("/proc/self/exe", build, sizeof build - 1) > 0);
  for (int up = 0; up < 4; up++) /* tests/unit/cache/… */
    dirname (build);
  setenv ("BULKHEAD_LIBEXEC_DIR", build, 1);
}

static pid_t
daemon_pid (void)
{
  char path[300], text[20] = "";
  int fd;

  snprintf (path, sizeof path, "%s/" RUNTIME_PID, dir);
  fd = open (path, O_RDONLY);
  CU_ASSERT_FATAL (fd >= 0);
  CU_ASSERT (read (fd, text, sizeof text - 1) > 0);
  close (fd);
  return (pid_t)atoi (text);
}

static void
end_daemon (void)
{
  int lock = -1;

  kill (daemon_pid (), SIGTERM);
  /* It holds this as long as it lives. */
  CU_ASSERT_EQUAL (runtime_lock (dir, RUNTIME_PID, TIMEOUT_NS, &lock), ERR_OK);
  close (lock);
}

static void
starts_a_daemon_and_finds_it_again (void)
{
  int a = -1, b = -1;
  struct fault f = {0};
  pid_t pid;

  use_dir ("first");
  CU_ASSERT_EQUAL_FATAL (daemon_connect ("test", TIMEOUT_NS, &a, &f), ERR_OK);
  pid = daemon_pid ();
  CU_ASSERT_EQUAL (daemon_connect ("test", TIMEOUT_NS, &b, &f), ERR_OK);
  CU_ASSERT_EQUAL (daemon_pid (), pid);
  CU_ASSERT (getsid (pid) != getsid (0));
  CU_ASSERT (fcntl (a, F_GETFD) & FD_CLOEXEC);
  close (a);
  close (b);
  end_daemon ();
}

static void
a_daemon_that_was_killed_leaves_nothing_in_the_way (void)
{
  int sock = -1;
  struct fault f = {0};
  int lock = -1;

  use_dir ("first");
  CU_ASSERT_EQUAL_FATAL (daemon_connect ("test", TIMEOUT_NS, &sock, &f),
                         ERR_OK);
  close (sock);
  kill (daemon_pid (), SIGKILL);
  CU_ASSERT_EQUAL (runtime_lock (dir, RUNTIME_PID, TIMEOUT_NS, &lock), ERR_OK);
  close (lock);
  CU_ASSERT_EQUAL (daemon_connect ("test", TIMEOUT_NS, &sock, &f), ERR_OK);
  close (sock);
  end_daemon ();
}

/* Each of them finds none, or one that another has just started. */
static void
many_at_once_start_one_daemon (void)
{
  pid_t pid[GATEWAYS];
  char path[300], line[400];
  unsigned serves = 0;
  FILE *log;

  use_dir ("race");
  for (int i = 0; i < GATEWAYS; i++)
    if ((pid[i] = fork ()) == 0) {
      int sock;

      _exit (daemon_connect ("test", TIMEOUT_NS, &sock, NULL) ? 1 : 0);
    }
  for (int i = 0; i < GATEWAYS; i++) {
    int status = 1;

    CU_ASSERT_EQUAL (waitpid (pid[i], &status, 0), pid[i]);
    CU_ASSERT_EQUAL (status, 0);
  }
  snprintf (path, sizeof path, "%s/" RUNTIME_LOG, dir);
  log = fopen (path, "r");
  CU_ASSERT_PTR_NOT_NULL_FATAL (log);
  while (fgets (line, sizeof line, log))
    serves += strstr (line, " serves ") != NULL;
  fclose (log);
  CU_ASSERT_EQUAL (serves, 1);
  end_daemon ();
}

/* No file of ours reaches the daemon, which lives longer than we do. */
static void
the_daemon_inherits_nothing (void)
{
  int sock = -1, leak = open ("/dev/null", O_RDONLY);
  char path[64], target[PATH_MAX];
  unsigned found = 0;

  use_dir ("inherit");
  leak = fcntl (leak, F_DUPFD, 200); /* not close-on-exec */
  CU_ASSERT_EQUAL_FATAL (daemon_connect ("test", TIMEOUT_NS, &sock, NULL),
                         ERR_OK);
  for (int fd = 0; fd < 300; fd++) {
    ssize_t n;

    snprintf (path, sizeof path, "/proc/%d/fd/%d", (int)daemon_pid (), fd);
    n = readlink (path, target, sizeof target - 1);
    found += n > 0 && fd >= 3 && strncmp (target, "/dev/null", 9) == 0;
  }
  CU_ASSERT_EQUAL (found, 0);
  close (leak);
  close (sock);
  end_daemon ();
}

static void
says_what_keeps_the_daemon_from_starting (void)
{
  int sock = -1;
  struct fault f = {0};
  char program[PATH_MAX + 20];

  use_dir ("none");
  setenv ("BULKHEAD_LIBEXEC_DIR", base, 1);
  CU_ASSERT_EQUAL (daemon_connect ("test", TIMEOUT_NS, &sock, &f), ERR_NOTSUP);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "bulkheadd"));
  /* There is a bulkheadd, but it has no worker. */
  snprintf (program, sizeof program, "%s/bulkheadd", build);
  char link[300];
  snprintf (link, sizeof link, "%s/bulkheadd", base);
  CU_ASSERT_EQUAL (symlink (program, link), 0);
  CU_ASSERT_NOT_EQUAL (daemon_connect ("test", TIMEOUT_NS, &sock, &f), ERR_OK);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "bulkhead-worker"));
  /* and one that cannot be executed */
  unlink (link);
  CU_ASSERT_EQUAL (close (open (link, O_CREAT | O_WRONLY, 0700)), 0);
  CU_ASSERT_NOT_EQUAL (daemon_connect ("test", TIMEOUT_NS, &sock, &f), ERR_OK);
  CU_ASSERT (f.text[0] != 0);
  CU_ASSERT_EQUAL (sock, -1);
  setenv ("BULKHEAD_LIBEXEC_DIR", build, 1);
}

/* A server that says `version`, or hangs up for 0, for `clients` clients. */
static pid_t
fake_server (const char *name, uint32_t version, int clients)
{
  struct sockaddr_un sa;
  int sock = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  pid_t pid;

  use_dir (name);
  CU_ASSERT_EQUAL_FATAL (mkdir (dir, 0700), 0);
  CU_ASSERT_EQUAL_FATAL (runtime_socket_address (dir, &sa, NULL), ERR_OK);
  CU_ASSERT_FATAL (bind (sock, (struct sockaddr *)&sa, sizeof sa) == 0
                   && listen (sock, 8) == 0);
  if ((pid = fork ()) == 0) {
    static struct control m;

    for (int i = 0; i < clients; i++) {
      int c = accept (sock, NULL, NULL);
      struct wirebuf b = control_body (&m);

      if (version && control_recv (c, &m, TIMEOUT_NS) == ERR_OK) {
        control_begin (&m, CONTROL_HELLO);
        wirebuf_u32 (&b, version);
        wirebuf_cstring (&b, "fake");
        control_send (c, &m, &b, TIMEOUT_NS);
      }
      close (c);
    }
    if (!version)
      unlink (sa.sun_path);
    _exit (0);
  }
  close (sock);
  return pid;
}

static void
another_version_is_said_so (void)
{
  pid_t pid = fake_server ("version", CONTROL_VERSION + 1, 1);
  int sock = -1;
  struct fault f = {0};

  CU_ASSERT_EQUAL (daemon_connect ("test", TIMEOUT_NS, &sock, &f), ERR_VERSION);
  CU_ASSERT (f.hint[0] != 0);
  waitpid (pid, NULL, 0);
}

/* The daemon was just ending: a new one is started. */
static void
a_daemon_that_ends_at_hello_is_replaced (void)
{
  pid_t pid = fake_server ("ending", 0, 2);
  int sock = -1;
  struct fault f = {0};

  CU_ASSERT_EQUAL (daemon_connect ("test", TIMEOUT_NS, &sock, &f), ERR_OK);
  waitpid (pid, NULL, 0);
  close (sock);
  end_daemon ();
}

static void
a_server_that_always_hangs_up_ends_in_words (void)
{
  pid_t pid = fake_server ("hangup", 0, 4);
  int sock = -1;
  struct fault f = {0};

  CU_ASSERT_EQUAL (daemon_connect ("test", TIMEOUT_NS, &sock, &f), ERR_CLOSED);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "closes every connection"));
  waitpid (pid, NULL, 0);
}

static void
a_lock_that_is_held_for_ever_is_no_hang (void)
{
  int lock = -1, sock = -1;
  struct fault f = {0};

  use_dir ("held");
  CU_ASSERT_EQUAL_FATAL (mkdir (dir, 0700), 0);
  CU_ASSERT_EQUAL_FATAL (runtime_lock (dir, RUNTIME_LOCK, 0, &lock), ERR_OK);
  CU_ASSERT_EQUAL (daemon_connect ("test", 100000000, &sock, &f), ERR_TIMEOUT);
  close (lock);
}

static void
clean_up (void)
{
  char command[100];

  snprintf (command, sizeof command, "rm -rf %s", base);
  CU_ASSERT_EQUAL (system (command), 0);
}

UNIT_MAIN ("connect", UNIT_TEST (start),
           UNIT_TEST (starts_a_daemon_and_finds_it_again),
           UNIT_TEST (a_daemon_that_was_killed_leaves_nothing_in_the_way),
           UNIT_TEST (many_at_once_start_one_daemon),
           UNIT_TEST (the_daemon_inherits_nothing),
           UNIT_TEST (says_what_keeps_the_daemon_from_starting),
           UNIT_TEST (another_version_is_said_so),
           UNIT_TEST (a_daemon_that_ends_at_hello_is_replaced),
           UNIT_TEST (a_server_that_always_hangs_up_ends_in_words),
           UNIT_TEST (a_lock_that_is_held_for_ever_is_no_hang),
           UNIT_TEST (clean_up))
