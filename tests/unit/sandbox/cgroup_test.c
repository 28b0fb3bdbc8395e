/* SPDX-License-Identifier: BSD-2-Clause */
/* What is written for a worker, into a folder that plays the daemon's cgroup.
 * What the kernel makes of it: tests/vm/cgroup.sh.
 */
#include "config.h"
#include "sandbox/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/policy.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/bulkhead-cgroup-test-XXXXXX";
static char worker[64];
static struct sbx_cgroup *c;

/* As SECURITY.md says. */
static const struct {
  const char *name, *value;
  bool mandatory; /* the layer holds by it; not in a sanitizer build */
} file[] = {{"memory.max", "768M", true},
            {"memory.swap.max", "0", false},
            {"memory.oom.group", "1", false},
            {"pids.max", "1", true},
            {"cpu.weight", "50", false}};
#define FILES (sizeof file / sizeof file[0])

static void
make (const char *name)
{
  char path[128];
  int fd;

  snprintf (path, sizeof path, "%s/%s", worker, name);
  fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CU_ASSERT_FATAL (fd >= 0);
  close (fd);
}

static void
discard (const char *name)
{
  char path[128];

  snprintf (path, sizeof path, "%s/%s", worker, name);
  unlink (path);
}

static bool
holds (const char *name, const char *value)
{
  char path[128], text[32] = "";
  FILE *in;

  snprintf (path, sizeof path, "%s/%s", worker, name);
  in = fopen (path, "re");
  CU_ASSERT_PTR_NOT_NULL_FATAL (in);
  text[fread (text, 1, sizeof text - 1, in)] = 0;
  fclose (in);
  return strcmp (text, value) == 0;
}

static void
set_up (void)
{
  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (dir));
  snprintf (worker, sizeof worker, "%s/worker-%d", dir, (int)getpid ());
  CU_ASSERT_EQUAL_FATAL (mkdir (worker, 0700), 0);
  c = sbx_cgroup_at (open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CU_ASSERT_PTR_NOT_NULL_FATAL (c);
}

static void
every_limit_is_written (void)
{
  bool sanitizer = policy_sanitizer_build ();
  char pid[16];

  for (size_t i = 0; i < FILES; i++)
    make (file[i].name);
  make ("cgroup.procs");
  CU_ASSERT_EQUAL (sbx_cgroup_put (c, getpid ()), !sanitizer);
  for (size_t i = 0; i < FILES; i++)
    CU_ASSERT (holds (file[i].name,
                      sanitizer && file[i].mandatory ? "" : file[i].value));
  snprintf (pid, sizeof pid, "%d", (int)getpid ());
  CU_ASSERT (holds ("cgroup.procs", pid));
}

/* Either of the two makes the layer; the others alone do not. */
static void
what_does_not_hold_is_not_told (void)
{
  bool sanitizer = policy_sanitizer_build ();

  discard ("memory.max");
  CU_ASSERT_EQUAL (sbx_cgroup_put (c, getpid ()), !sanitizer);
  discard ("pids.max");
  CU_ASSERT_FALSE (sbx_cgroup_put (c, getpid ()));
  make ("memory.max");
  CU_ASSERT_EQUAL (sbx_cgroup_put (c, getpid ()), !sanitizer);
  discard ("cgroup.procs");
  CU_ASSERT_FALSE (sbx_cgroup_put (c, getpid ()));
}

static void
clean_up (void)
{
  for (size_t i = 0; i < FILES; i++)
    discard (file[i].name);
  sbx_cgroup_close (c);
  CU_ASSERT_EQUAL (rmdir (worker), 0);
  CU_ASSERT_EQUAL (rmdir (dir), 0);
}

UNIT_MAIN ("cgroup", UNIT_TEST (set_up), UNIT_TEST (every_limit_is_written),
           UNIT_TEST (what_does_not_hold_is_not_told), UNIT_TEST (clean_up))
