/* SPDX-License-Identifier: BSD-2-Clause */
/* The supervisor of an attached device, as a process of its own beside this
 * one; the kernel and nbdkit are some in memory.
 */
#include "config.h"
#include "cli/supervisor.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/nbd_session.h"
#include "cli/nbdkit.h"
#include "common/cleanup.h"
#include "tests/unit/cli/kernel.h"
#include "tests/unit/unit.h"

#define FIRST_FD 64 /* of those that a supervisor opens */
#define WAIT_S 20
#define SIZE_BYTES (1ull << 20)

/* Another one, once: by the pipe on which nbdkit tells of it. */
static uint64_t next_size_bytes;

/* The first nbdkit ends when the device is there. */
static bool first_ends;

static char dir[] = "/tmp/bulkhead-supervisor-XXXXXX";

/* ------------------------------------------------------------ cli/nbdkit.h */

enum err
nbdkit_start (const struct target *t, const char *const *own, unsigned threads,
              enum nbdkit_mode mode, int stderr_fd, struct nbdkit *ret,
              struct fault *f)
{
  static unsigned starts;
  int p[2];

  (void)own;
  (void)threads;
  (void)stderr_fd;
  (void)f;
  if (pipe2 (p, O_CLOEXEC) < 0 || write (p[1], "", 1) != 1
      || (next_size_bytes && write (p[1], "", 1) != 1))
    return ERR_NOMEM;
  *ret = (struct nbdkit){.pid = getppid (),
                         .mode = mode,
                         .size_bytes = SIZE_BYTES,
                         .status_fd = p[0]};
  if (first_ends)
    fprintf (stderr, "start %u with %u parameters\n", ++starts, t->pairs);
  if (first_ends && starts == 1 && (ret->pid = fork ()) == 0) {
    while (!kernel->connected)
      sched_yield ();
    _exit (0);
  }
  return ERR_OK;
}

enum err
nbdkit_ready (struct nbdkit *n, int timeout_ms, struct fault *f)
{
  char byte;

  (void)timeout_ms;
  (void)f;
  n->ready = n->ready || read (n->status_fd, &byte, 1) == 1;
  return ERR_OK;
}

bool
nbdkit_resized (struct nbdkit *n)
{
  char byte;

  if (read (n->status_fd, &byte, 1) != 1)
    return false;
  n->size_bytes = next_size_bytes;
  return true;
}

void
nbdkit_stop (struct nbdkit *n, unsigned timeout_ms)
{
  (void)timeout_ms;
  n->pid = 0;
}

enum err
nbd_session_open (const char *socket, unsigned timeout_ms,
                  struct nbd_session *ret, int *ret_fd, struct fault *f)
{
  (void)socket;
  (void)timeout_ms;
  (void)f;
  *ret = (struct nbd_session){.size_bytes = 1 << 20, .block_min = 1};
  *ret_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  return ERR_OK;
}

/* ------------------------------------------------------------ the supervisor
 */

static bool
send_report (void *ctx, enum err e, int index, const struct fault *f)
{
  (void)index;
  (void)f;
  return write (*(const int *)ctx, &e, sizeof e) == sizeof e;
}

struct running {
  pid_t pid;
  int report_fd, said_fd; /* what it reports, and its log */
};

static void __attribute__ ((noreturn))
be_supervisor (int report_fd, int said_fd)
{
  struct target t = {.name = (char *)"disk", .url = (char *)"sftp://host/disk"};
  struct supervise o = {.target = &t,
                        .index = -1,
                        .timeout_s = 30,
                        .dead_timeout_s = 600,
                        .report = send_report,
                        .ctx = &report_fd,
                        .alive_fd = -1};

  if (first_ends) {
    t.pair[0].key = strdup ("resize");
    t.pair[0].value = strdup ("1M");
    t.pair[0].secret = -1;
    t.pair[1].key = strdup ("version");
    t.pair[1].value = strdup ("4.2");
    t.pair[1].secret = -1;
    t.pairs = 2;
  }
  alarm (WAIT_S);
  dup2 (said_fd, STDERR_FILENO);
  /* Room below, for a limit that leaves it what it has, and no more. */
  for (int fd = 3; fd < FIRST_FD; fd++)
    if (fd != report_fd)
      dup2 (STDIN_FILENO, fd);
  _exit (supervise (&o) ? 1 : 0);
}

static struct running
start (void)
{
  struct running r;
  int report[2], said[2];

  CU_ASSERT_EQUAL_FATAL (pipe2 (report, O_CLOEXEC), 0);
  CU_ASSERT_EQUAL_FATAL (pipe2 (said, O_CLOEXEC), 0);
  r.pid = fork ();
  if (r.pid == 0)
    be_supervisor (report[1], said[1]);
  close (report[1]);
  close (said[1]);
  r.report_fd = report[0];
  r.said_fd = said[0];
  return r;
}

static enum err
reported (const struct running *r)
{
  enum err e = ERR_IO;

  CU_ASSERT_EQUAL (read (r->report_fd, &e, sizeof e), sizeof e);
  return e;
}

/* Reads its log until it says that; false: it ends without. */
static bool
says (const struct running *r, const char *text)
{
  char said[8192];
  size_t used = 0;
  ssize_t n = 1;

  said[0] = 0;
  while (!strstr (said, text) && n > 0 && used < sizeof said - 1) {
    n = read (r->said_fd, said + used, sizeof said - 1 - used);
    used += n > 0 ? (size_t)n : 0;
    said[used] = 0;
  }
  return strstr (said, text);
}

/* Its exit status; -1 if it was killed, by its alarm for instance. */
static int
ended (const struct running *r)
{
  int status = 0;

  CU_ASSERT_EQUAL (waitpid (r->pid, &status, 0), r->pid);
  close (r->report_fd);
  close (r->said_fd);
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

/* ------------------------------------------------------------------- tests */

static void
a_device_comes_and_goes (void)
{
  struct running r;

  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (dir));
  setenv ("BULKHEAD_RUNTIME_DIR", dir, 1);
  kernel_open ();
  r = start ();
  CU_ASSERT_EQUAL_FATAL (reported (&r), ERR_OK);
  CU_ASSERT_TRUE (kernel->connected);
  kill (r.pid, SIGUSR1);
  CU_ASSERT_EQUAL (ended (&r), 0);
  CU_ASSERT_EQUAL (kernel->disconnects, 1);
}

/* As an order to end it does not come twice. */
static void
an_order_to_detach_outlives_a_lack_of_files (void)
{
  struct rlimit few, was;
  struct running r;

  kernel_open ();
  r = start ();
  CU_ASSERT_EQUAL_FATAL (reported (&r), ERR_OK);
  CU_ASSERT_EQUAL (prlimit (r.pid, RLIMIT_NOFILE, NULL, &was), 0);
  few = was;
  few.rlim_cur = FIRST_FD / 2;
  CU_ASSERT_EQUAL (prlimit (r.pid, RLIMIT_NOFILE, &few, NULL), 0);
  kill (r.pid, SIGUSR1);
  CU_ASSERT_TRUE (says (&r, "too many files"));
  CU_ASSERT_EQUAL (kernel->claims, 0);
  CU_ASSERT_EQUAL (prlimit (r.pid, RLIMIT_NOFILE, &was, NULL), 0);
  CU_ASSERT_EQUAL (ended (&r), 0);
  CU_ASSERT_EQUAL (kernel->claims, 1);
  CU_ASSERT_EQUAL (kernel->disconnects, 1);
}

/* nbdkit tells of it once; the log says so once. */
static void
a_size_that_was_refused_is_offered_again (void)
{
  struct running r;

  kernel_open ();
  kernel->refusals = 2;
  next_size_bytes = 2 * SIZE_BYTES;
  r = start ();
  next_size_bytes = 0;
  CU_ASSERT_EQUAL_FATAL (reported (&r), ERR_OK);
  CU_ASSERT_TRUE (
    says (&r, "the size stays 1048576 bytes, and not 2097152, for now: not "
              "this time\nbulkhead: /dev/nbd7 (disk): the size was 1048576 "
              "bytes and is 2097152"));
  CU_ASSERT_EQUAL (kernel->refusals, 0);
  CU_ASSERT_EQUAL (kernel->size_bytes, 2 * SIZE_BYTES);
  kill (r.pid, SIGUSR1);
  CU_ASSERT_EQUAL (ended (&r), 0);
}

/* By the nbdkit that attached it, and not by those that come after it. */
static void
a_disk_is_resized_once (void)
{
  struct running r;

  kernel_open ();
  first_ends = true;
  r = start ();
  first_ends = false;
  CU_ASSERT_TRUE (says (&r, "start 1 with 2 parameters"));
  CU_ASSERT_TRUE (says (&r, "start 2 with 1 parameters"));
  CU_ASSERT_EQUAL (reported (&r), ERR_OK);
  kill (r.pid, SIGUSR1);
  CU_ASSERT_EQUAL (ended (&r), 0);
}

/* It was left behind in use, is given sockets, and then cannot be held. */
static void
what_cannot_be_taken_up_is_left (void)
{
  struct running r;

  kernel_open ();
  kernel->connected = true;
  strcpy (kernel->backend, ATTACH_BACKEND "disk");
  kernel->hold = ERR_ACCESS;
  r = start ();
  CU_ASSERT_EQUAL (reported (&r), ERR_ACCESS);
  CU_ASSERT_TRUE (says (&r, "leaves /dev/nbd7 as it was"));
  CU_ASSERT_EQUAL (ended (&r), 0);
  CU_ASSERT_EQUAL (kernel->adopted, 1);
  CU_ASSERT_EQUAL (kernel->disconnects, 0);
  CU_ASSERT_TRUE (kernel->connected);
}

/* But not one that nobody had before. */
static void
what_is_new_and_cannot_be_held_is_ended (void)
{
  struct running r;

  kernel_open ();
  kernel->hold = ERR_ACCESS;
  r = start ();
  CU_ASSERT_EQUAL (reported (&r), ERR_ACCESS);
  CU_ASSERT_EQUAL (ended (&r), 0);
  CU_ASSERT_EQUAL (kernel->disconnects, 1);
}

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove (path);
}

static void
its_folder_goes (void)
{
  CU_ASSERT_EQUAL (nftw (dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

UNIT_MAIN ("supervisor", UNIT_TEST (a_device_comes_and_goes),
           UNIT_TEST (an_order_to_detach_outlives_a_lack_of_files),
           UNIT_TEST (a_disk_is_resized_once),
           UNIT_TEST (a_size_that_was_refused_is_offered_again),
           UNIT_TEST (what_cannot_be_taken_up_is_left),
           UNIT_TEST (what_is_new_and_cannot_be_held_is_ended),
           UNIT_TEST (its_folder_goes))
