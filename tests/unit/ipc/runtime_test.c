/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/runtime.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char base[] = "/tmp/bulkhead-runtime-test-XXXXXX";
static char path[200];

/* "<base>/<name>", as the configured folder */
static void
configure (const char *name)
{
  snprintf (path, sizeof path, "%s/%s", base, name);
  setenv ("BULKHEAD_RUNTIME_DIR", path, 1);
}

static void
the_folder_is_made_private (void)
{
  char dir[RUNTIME_DIR_BYTES];
  struct stat st;
  struct fault f;

  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (base));
  configure ("new///");
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_OK);
  CU_ASSERT_EQUAL (strcmp (dir + strlen (dir) - 4, "/new"), 0);
  CU_ASSERT_EQUAL (stat (dir, &st), 0);
  CU_ASSERT_EQUAL (st.st_mode & 07777, 0700);
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_OK);
}

static void
an_open_folder_is_refused (void)
{
  char dir[RUNTIME_DIR_BYTES];
  struct fault f = {0};

  configure ("new");
  chmod (path, 0750);
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_ACCESS);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "chmod 700"));
  chmod (path, 0700);
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_OK);
}

static void
a_link_or_a_file_is_refused (void)
{
  char dir[RUNTIME_DIR_BYTES], target[200];
  struct fault f = {0};
  FILE *file;

  snprintf (target, sizeof target, "%s/new", base);
  configure ("link");
  CU_ASSERT_EQUAL (symlink (target, path), 0);
  CU_ASSERT_NOT_EQUAL (runtime_dir (dir, &f), ERR_OK);
  CU_ASSERT (f.text[0] != 0);
  configure ("file");
  file = fopen (path, "w");
  CU_ASSERT_PTR_NOT_NULL_FATAL (file);
  fclose (file);
  CU_ASSERT_NOT_EQUAL (runtime_dir (dir, &f), ERR_OK);
  configure ("no/such");
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_NOENT);
}

static void
another_users_folder_is_refused (void)
{
  char dir[RUNTIME_DIR_BYTES];
  struct fault f = {0};

  if (geteuid () != 0) {
    setenv ("BULKHEAD_RUNTIME_DIR", "/", 1);
    CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_ACCESS);
    return;
  }
  configure ("theirs");
  CU_ASSERT_EQUAL (mkdir (path, 0700), 0);
  CU_ASSERT_EQUAL (chown (path, 12345, 12345), 0);
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_ACCESS);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "12345"));
}

static void
odd_paths_are_refused (void)
{
  char dir[RUNTIME_DIR_BYTES], name[600];
  struct sockaddr_un sa;
  struct fault f = {0};

  setenv ("BULKHEAD_RUNTIME_DIR", "relative", 1);
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_INVAL);
  memset (name, 'x', sizeof name);
  name[0] = '/';
  name[sizeof name - 1] = 0;
  setenv ("BULKHEAD_RUNTIME_DIR", name, 1);
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_LIMIT);
  name[150] = 0;
  CU_ASSERT_EQUAL (runtime_socket_address (name, &sa, &f), ERR_LIMIT);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "BULKHEAD_RUNTIME_DIR"));
  name[50] = 0;
  CU_ASSERT_EQUAL (runtime_socket_address (name, &sa, &f), ERR_OK);
}

static void
another_users_xdg_folder_is_not_taken (void)
{
  char dir[RUNTIME_DIR_BYTES];
  struct fault f = {0};

  if (geteuid () == 0)
    return; /* root has /run/bulkhead */
  unsetenv ("BULKHEAD_RUNTIME_DIR");
  setenv ("XDG_RUNTIME_DIR", "/", 1);
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_OK);
  CU_ASSERT_EQUAL (strncmp (dir, "/tmp/bulkhead-", 14), 0);
  rmdir (dir); /* unless a daemon of this user is there */
  setenv ("XDG_RUNTIME_DIR", base, 1);
  CU_ASSERT_EQUAL (runtime_dir (dir, &f), ERR_OK);
  CU_ASSERT_EQUAL (strncmp (dir, base, strlen (base)), 0);
}

static void
a_lock_has_one_holder (void)
{
  char dir[200];
  int a = -1, b = -1;

  snprintf (dir, sizeof dir, "%s/new", base);
  CU_ASSERT_EQUAL_FATAL (runtime_lock (dir, RUNTIME_LOCK, 0, &a), ERR_OK);
  CU_ASSERT_EQUAL (runtime_lock (dir, RUNTIME_LOCK, 0, &b), ERR_AGAIN);
  CU_ASSERT_EQUAL (runtime_lock (dir, RUNTIME_LOCK, 20000000, &b), ERR_AGAIN);
  CU_ASSERT_EQUAL (b, -1);
  close (a);
  CU_ASSERT_EQUAL (runtime_lock (dir, RUNTIME_LOCK, 0, &b), ERR_OK);
  close (b);
  CU_ASSERT_EQUAL (runtime_lock ("/nonexistent", RUNTIME_LOCK, 0, &b),
                   ERR_NOENT);
}

static void
programs_are_found (void)
{
  char program[100];

  unsetenv ("BULKHEAD_LIBEXEC_DIR");
  CU_ASSERT_EQUAL (runtime_program ("/usr/x", "p", program, sizeof program),
                   ERR_OK);
  CU_ASSERT_STRING_EQUAL (program, "/usr/x/p");
  setenv ("BULKHEAD_LIBEXEC_DIR", "/build", 1);
  CU_ASSERT_EQUAL (runtime_program ("/usr/x", "p", program, sizeof program),
                   ERR_OK);
  CU_ASSERT_STRING_EQUAL (program, "/build/p");
  CU_ASSERT_EQUAL (runtime_program ("/usr/x", "p", program, 8), ERR_LIMIT);
}

static void
clean_up (void)
{
  char command[300];

  snprintf (command, sizeof command, "rm -rf %s", base);
  CU_ASSERT_EQUAL (system (command), 0);
}

UNIT_MAIN ("runtime", UNIT_TEST (the_folder_is_made_private),
           UNIT_TEST (an_open_folder_is_refused),
           UNIT_TEST (a_link_or_a_file_is_refused),
           UNIT_TEST (another_users_folder_is_refused),
           UNIT_TEST (odd_paths_are_refused),
           UNIT_TEST (another_users_xdg_folder_is_not_taken),
           UNIT_TEST (a_lock_has_one_holder), UNIT_TEST (programs_are_found),
           UNIT_TEST (clean_up))
