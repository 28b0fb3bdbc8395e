/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/bulkhead-files-XXXXXX";

static void
make_file (const char *name, const char *text, mode_t mode)
{
  /* Anew: a user may not write to what was made read-only. */
  int gone = unlink (name);
  CLEANUP_CLOSE int fd = open (name, O_WRONLY | O_CREAT | O_EXCL, 0600);

  (void)gone;
  CU_ASSERT_EQUAL_FATAL (write (fd, text, strlen (text)),
                         (ssize_t)strlen (text));
  CU_ASSERT_EQUAL_FATAL (fchmod (fd, mode), 0);
}

static void
gives (const char *value, const char *secret)
{
  CLEANUP_CLOSE int fd = -1;
  char text[64] = "";
  struct fault f = {0};

  CU_ASSERT_EQUAL_FATAL (files_secret ("password", value, &fd, &f), ERR_OK);
  CU_ASSERT_TRUE (read (fd, text, sizeof text - 1) >= 0);
  CU_ASSERT_STRING_EQUAL (text, secret);
  CU_ASSERT_EQUAL (fcntl (fd, F_GETFD), FD_CLOEXEC);
}

static void
refused (const char *value, enum err e, const char *hint)
{
  int fd = -1;
  struct fault f = {0};

  CU_ASSERT_EQUAL (files_secret ("password", value, &fd, &f), e);
  CU_ASSERT_EQUAL (fd, -1);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, hint));
  CU_ASSERT_PTR_NULL (strstr (f.text, "hunter2"));
}

static void
secrets_come_from_private_files (void)
{
  char value[80], path[64];
  CLEANUP_CLOSE int fd = -1;

  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (dir));
  snprintf (path, sizeof path, "%s/secret", dir);
  snprintf (value, sizeof value, "+%s", path);
  make_file (path, "hunter2\nmore\n", 0600);
  gives (value, "hunter2");
  make_file (path, "hunter2", 0400);
  gives (value, "hunter2");
  for (mode_t mode = 01; mode < 0100; mode <<= 1) {
    make_file (path, "hunter2\n", 0600 | mode);
    refused (value, ERR_ACCESS, "chmod 600");
  }
  make_file (path, "\nhunter2\n", 0600);
  refused (value, ERR_INVAL, "");
  CU_ASSERT_EQUAL (unlink (path), 0);
  refused (value, ERR_NOENT, "");
  snprintf (value, sizeof value, "+%s", dir);
  refused (value, ERR_INVAL, "");
  refused ("hunter2", ERR_INVAL, "password=+FILE");
  refused ("-77", ERR_INVAL, "");

  make_file (path, "hunter2\n", 0600);
  fd = open (path, O_RDONLY);
  snprintf (value, sizeof value, "-%d", fd);
  gives (value, "hunter2");
  CU_ASSERT_EQUAL (unlink (path), 0);
}

static void
secrets_come_from_credentials (void)
{
  char path[64];

  unsetenv ("CREDENTIALS_DIRECTORY");
  refused ("credential:chap", ERR_NOENT, "LoadCredential");
  setenv ("CREDENTIALS_DIRECTORY", dir, 1);
  snprintf (path, sizeof path, "%s/chap", dir);
  make_file (path, "hunter2", 0440);
  gives ("credential:chap", "hunter2");
  make_file (path, "hunter2", 0444);
  refused ("credential:chap", ERR_ACCESS, "");
  refused ("credential:", ERR_INVAL, "");
  refused ("credential:../chap", ERR_INVAL, "");
  refused ("credential:..", ERR_INVAL, "");
  CU_ASSERT_EQUAL (unlink (path), 0);
  CU_ASSERT_EQUAL (rmdir (dir), 0);
}

static void
homes_are_expanded (void)
{
  char path[64];
  struct fault f;

  setenv ("HOME", "/home/me", 1);
  CU_ASSERT_EQUAL (files_expand ("~/x", path, sizeof path, &f), ERR_OK);
  CU_ASSERT_STRING_EQUAL (path, "/home/me/x");
  CU_ASSERT_EQUAL (files_expand ("/a/~/x", path, sizeof path, &f), ERR_OK);
  CU_ASSERT_STRING_EQUAL (path, "/a/~/x");
  CU_ASSERT_EQUAL (files_expand ("~/x", path, 5, &f), ERR_LIMIT);
}

UNIT_MAIN ("files", UNIT_TEST (secrets_come_from_private_files),
           UNIT_TEST (secrets_come_from_credentials),
           UNIT_TEST (homes_are_expanded))
