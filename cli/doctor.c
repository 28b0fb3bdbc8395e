/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead doctor: what this machine has of what bulkhead uses, and the command
 * that mends what is missing. Changes nothing.
 */
#include "config.h"
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/view.h"
#include "common/cleanup.h"
#include "ipc/runtime.h"

#define OPEN_FILES 2048u /* as cache/main.c */
#define LANDLOCK_NEWEST 6 /* scopes for signals and abstract sockets */

/* X(NAME, word, colour) */
#define HEALTH_TABLE(X)                                                        \
  X (GOOD, "ok", COLOR_GREEN)                                                  \
  X (WEAKER, "weaker", COLOR_YELLOW) /* it works without */                    \
  X (MISSING, "missing", COLOR_RED)

enum health {
#define X(name, word, color) HEALTH_##name,
  HEALTH_TABLE (X)
#undef X
};

struct result {
  enum health health;
  char found[400], mend[320];
};

static void set (struct result *r, enum health health, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));
static void
set (struct result *r, enum health health, const char *fmt, ...)
{
  char text[1200];
  va_list ap;

  va_start (ap, fmt);
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  r->health = health;
  cli_clean (r->found, sizeof r->found, text);
}

static void mend (struct result *r, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));
static void
mend (struct result *r, const char *fmt, ...)
{
  va_list ap;

  va_start (ap, fmt);
  vsnprintf (r->mend, sizeof r->mend, fmt, ap);
  va_end (ap);
}

/* The first line of a small file; false if it cannot be read. */
static bool
first_line (const char *path, char *dst, size_t dst_bytes)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read (fd, dst, dst_bytes - 1);

  if (n < 0)
    return false;
  dst[n] = 0;
  dst[strcspn (dst, "\n")] = 0;
  return true;
}

/* The machine */

static void
check_kernel (struct result *r)
{
  struct utsname u;
  int major = 0, minor = 0;

  uname (&u);
  if (sscanf (u.release, "%d.%d", &major, &minor) != 2 || major < 5
      || (major == 5 && minor < 10)) {
    set (r, HEALTH_MISSING, "Linux %s; 5.10 or newer is needed", u.release);
    mend (r, "boot a newer kernel: apt-get install linux-image-amd64");
    return;
  }
  set (r, HEALTH_GOOD, "Linux %s, %s", u.release, u.machine);
}

static void
check_seccomp (struct result *r)
{
  uint32_t action = SECCOMP_RET_KILL_PROCESS;

  if (prctl (PR_GET_SECCOMP, 0, 0, 0, 0) >= 0
      && syscall (SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
    set (r, HEALTH_GOOD, "filters work");
    return;
  }
  set (r, HEALTH_MISSING, "this kernel has no seccomp filters, or a container "
                          "forbids them");
  mend (r, "boot a kernel with CONFIG_SECCOMP_FILTER=y, or allow seccomp(2) "
           "in the container's profile");
}

static void
check_landlock (struct result *r)
{
  long abi = syscall (SYS_landlock_create_ruleset, NULL, 0,
                      LANDLOCK_CREATE_RULESET_VERSION);
  int error = errno; /* before lsm is read */
  char lsm[300] = "";

  if (abi >= LANDLOCK_NEWEST)
    set (r, HEALTH_GOOD, "ABI %ld", abi);
  else if (abi > 0) {
    set (r, HEALTH_WEAKER, "ABI %ld: files%s; newer kernels can do more", abi,
         abi >= 4 ? " and TCP" : " alone");
    mend (r, "boot a newer kernel, as apt-get install -t bookworm-backports "
             "linux-image-amd64 brings");
  } else {
    first_line ("/sys/kernel/security/lsm", lsm, sizeof lsm);
    set (r, HEALTH_WEAKER, "not available: workers have one wall less");
    if (error == ENOSYS)
      mend (r, "boot a kernel with CONFIG_SECURITY_LANDLOCK=y");
    else
      mend (r,
            "add landlock to lsm= on the kernel's command line (now: %.120s)",
            lsm[0] ? lsm : "not known");
  }
}

/* Tried, as there are many ways to forbid it. */
static bool
can_unshare (int flags)
{
  pid_t pid = fork ();
  int status = 0;

  if (pid == 0)
    _exit (unshare (flags) < 0 ? 1 : 0);
  return pid > 0 && waitpid (pid, &status, 0) == pid && status == 0;
}

static void
check_namespaces (struct result *r)
{
  static const int inner = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC
                           | CLONE_NEWUTS | CLONE_NEWNS;
  char value[64] = "";
  bool root = geteuid () == 0;

  if (can_unshare (CLONE_NEWUSER | inner)) {
    set (r, HEALTH_GOOD, "user, pid, net, ipc, uts and mount");
    return;
  }
  if (root && can_unshare (inner)) {
    set (r, HEALTH_WEAKER, "all but user namespaces");
    mend (r, "sysctl -w user.max_user_namespaces=10000");
    return;
  }
  set (r, HEALTH_WEAKER, "not for this user: workers have fewer walls");
  if (first_line ("/proc/sys/kernel/unprivileged_userns_clone", value,
                  sizeof value)
      && strcmp (value, "0") == 0)
    mend (r, "sysctl -w kernel.unprivileged_userns_clone=1");
  else if (first_line ("/proc/sys/user/max_user_namespaces", value,
                       sizeof value)
           && strcmp (value, "0") == 0)
    mend (r, "sysctl -w user.max_user_namespaces=10000");
  else
    mend (r, "allow unshare(2): in a container by its profile, with AppArmor "
             "by sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
}

/* Whether modprobe would find it. */
static bool
module_installed (const char *name)
{
  char path[400], line[1024], end[64];
  struct utsname u;
  bool found = false;
  FILE *f;

  uname (&u);
  snprintf (end, sizeof end, "/%s.ko", name);
  for (int i = 0; i < 2 && !found; i++) {
    snprintf (path, sizeof path, "/lib/modules/%s/modules.%s", u.release,
              i ? "builtin" : "dep");
    f = fopen (path, "re");
    while (f && !found && fgets (line, sizeof line, f)) {
      const char *p = strstr (line, end);

      found = p && strchr (".:\n", p[strlen (end)]);
    }
    if (f)
      fclose (f);
  }
  return found;
}

static void
check_nbd (struct result *r)
{
  struct utsname u;

  uname (&u);
  if (access ("/sys/module/nbd", F_OK) == 0
      || access ("/sys/block/nbd0", F_OK) == 0) {
    if (geteuid () == 0)
      set (r, HEALTH_GOOD, "loaded");
    else {
      set (r, HEALTH_WEAKER, "loaded; bulkhead attach needs root");
      mend (r, "sudo bulkhead attach");
    }
  } else if (module_installed ("nbd")) {
    set (r, HEALTH_WEAKER, "not loaded; only bulkhead attach needs it");
    mend (r, "modprobe nbd");
  } else {
    set (r, HEALTH_WEAKER,
         "the kernel %s has no nbd module; only bulkhead attach needs it",
         u.release);
    mend (r, "apt-get install linux-image-amd64, and boot that kernel");
  }
}

static void
check_limits (struct result *r)
{
  struct rlimit l;

  if (getrlimit (RLIMIT_NOFILE, &l) == 0 && l.rlim_max < OPEN_FILES) {
    set (r, HEALTH_WEAKER,
         "at most %llu open files: that is for about %llu volumes",
         (unsigned long long)l.rlim_max, (unsigned long long)l.rlim_max / 30);
    mend (r, "ulimit -Hn %u, or LimitNOFILE=%u in a unit, or "
             "/etc/security/limits.conf",
          OPEN_FILES, OPEN_FILES);
    return;
  }
  set (r, HEALTH_GOOD, "at most %llu open files",
       (unsigned long long)l.rlim_max);
}

/* The programs */

static void
check_program (struct result *r, const char *dir, const char *name)
{
  char path[4096];

  if (runtime_program (dir, name, path, sizeof path)) {
    set (r, HEALTH_MISSING, "the path of %s is too long", name);
    return;
  }
  if (access (path, X_OK) == 0) {
    set (r, HEALTH_GOOD, "%s", path);
    return;
  }
  set (r, HEALTH_MISSING, "%s: %s", path, strerrordesc_np (errno));
  mend (r, "make install, or set BULKHEAD_LIBEXEC_DIR to the folder that has "
           "it");
}

static void
check_daemon_program (struct result *r)
{
  check_program (r, BULKHEAD_SBINDIR, "bulkheadd");
}

static void
check_worker_program (struct result *r)
{
  check_program (r, BULKHEAD_LIBEXECDIR, "bulkhead-worker");
}

static void
check_resolver_program (struct result *r)
{
  check_program (r, BULKHEAD_LIBEXECDIR, "bulkhead-resolve");
}

static void
check_relay_program (struct result *r)
{
  check_program (r, BULKHEAD_LIBEXECDIR, "bulkhead-relay");
}

/* What a program prints, its first line that begins so; false: it failed. */
static bool
output_of (const char *const *argv, const char *prefix, char *dst,
           size_t dst_bytes)
{
  int p[2], status = -1;
  bool found = false;
  char line[512];
  FILE *f;
  pid_t pid;

  if (pipe2 (p, O_CLOEXEC) < 0)
    return false;
  fflush (NULL);
  pid = fork ();
  if (pid == 0) {
    int null = open ("/dev/null", O_RDWR);

    dup2 (p[1], STDOUT_FILENO);
    dup2 (null, STDERR_FILENO);
    dup2 (null, STDIN_FILENO);
    alarm (10);
    execvp (argv[0], (char *const *)argv);
    _exit (127);
  }
  close (p[1]);
  f = fdopen (p[0], "r");
  while (pid > 0 && f && fgets (line, sizeof line, f))
    if (!found && strncmp (line, prefix, strlen (prefix)) == 0) {
      line[strcspn (line, "\n")] = 0;
      cli_clean (dst, dst_bytes, line + strlen (prefix));
      found = true;
    }
  if (f)
    fclose (f);
  else
    close (p[0]);
  return pid > 0 && waitpid (pid, &status, 0) == pid && status == 0 && found;
}

static void
check_nbdkit (struct result *r)
{
  static const char *const argv[] = {"nbdkit", "--dump-config", NULL};
  char version[64];
  int major = 0, minor = 0;

  if (!output_of (argv, "version=", version, sizeof version)) {
    set (r, HEALTH_MISSING, "there is no nbdkit");
    mend (r, "apt-get install nbdkit");
    return;
  }
  if (sscanf (version, "%d.%d", &major, &minor) == 2
      && (major > 1 || minor >= 32)) {
    set (r, HEALTH_GOOD, "%s", version);
    return;
  }
  set (r, HEALTH_MISSING, "%s; 1.32 or newer is needed", version);
  mend (r, "apt-get install nbdkit");
}

static void
check_plugin (struct result *r)
{
  const char *run = secure_getenv ("BULKHEAD_RUN");
  const char *argv[]
      = {run && run[0] ? run : "nbdkit",
         run && run[0] ? "nbdkit" : BULKHEAD_PLUGINDIR
                                        "/nbdkit-bulkhead-plugin.so",
         run && run[0] ? "bulkhead" : "--dump-plugin",
         run && run[0] ? "--dump-plugin" : NULL, NULL};
  char version[64];

  if (!output_of (argv, "bulkhead_version=", version, sizeof version)) {
    set (r, HEALTH_MISSING, "nbdkit cannot load " BULKHEAD_PLUGINDIR
                            "/nbdkit-bulkhead-plugin.so");
    mend (r, "make install; configure says what PLUGINDIR is");
  } else if (strcmp (version, PACKAGE_VERSION) != 0) {
    set (r, HEALTH_MISSING, "it is of version %s, this program of "
                            PACKAGE_VERSION,
         version);
    mend (r, "make install");
  } else
    set (r, HEALTH_GOOD, "%s", version);
}

static void
check_folder (struct result *r)
{
  char dir[RUNTIME_DIR_BYTES];
  struct fault f = {0};
  struct statfs s;

  if (runtime_dir (dir, &f)) {
    set (r, HEALTH_MISSING, "%s", f.text);
    mend (r, "%s", f.hint);
    return;
  }
  if (statfs (dir, &s) == 0 && s.f_type != TMPFS_MAGIC) {
    set (r, HEALTH_WEAKER,
         "%s is not on tmpfs: each write touches a disk, too", dir);
    mend (r, "set BULKHEAD_RUNTIME_DIR to a folder of your own below /run or "
             "/dev/shm");
    return;
  }
  set (r, HEALTH_GOOD, "%s", dir);
}

static void
check_daemon (struct result *r)
{
  CLEANUP_CLOSE int sock = -1;
  struct fault f = {0};
  struct view v;

  if (view_take (&sock, &v, &f)) {
    set (r, HEALTH_MISSING, "%s", f.text);
    mend (r, "%s", f.hint);
    return;
  }
  if (!v.found)
    set (r, HEALTH_GOOD, "none runs; one is started when it is needed");
  else if (strcmp (v.status.daemon.version, PACKAGE_VERSION) == 0)
    set (r, HEALTH_GOOD, "%s, pid %u, %u volumes", v.status.daemon.version,
         v.status.daemon.pid, v.volumes);
  else {
    set (r, HEALTH_WEAKER, "%s runs (pid %u), and this program is of "
                           PACKAGE_VERSION,
         v.status.daemon.version, v.status.daemon.pid);
    mend (r, "kill %u: the next one takes over, without a pause for clients",
          v.status.daemon.pid);
  }
  view_free (&v);
}

static const struct {
  const char *name;
  void (*check) (struct result *r);
} checks[] = {
    {"kernel", check_kernel},
    {"seccomp", check_seccomp},
    {"landlock", check_landlock},
    {"namespaces", check_namespaces},
    {"nbd module", check_nbd},
    {"limits", check_limits},
    {"nbdkit", check_nbdkit},
    {"plugin", check_plugin},
    {"bulkheadd", check_daemon_program},
    {"worker", check_worker_program},
    {"resolver", check_resolver_program},
    {"relay", check_relay_program},
    {"runtime folder", check_folder},
    {"daemon", check_daemon},
};

#define CHECKS (sizeof checks / sizeof checks[0])

static const char *const words[] = {
#define X(name, word, color) word,
    HEALTH_TABLE (X)
#undef X
};
static const enum cli_color colors[] = {
#define X(name, word, color) color,
    HEALTH_TABLE (X)
#undef X
};

static enum cli_status
print (const struct cli *c, const struct result *r)
{
  for (size_t i = 0; i < CHECKS; i++) {
    printf ("%-15s %s%-8s%s %s\n", checks[i].name,
            cli_color (c->color_out, colors[r[i].health]), words[r[i].health],
            cli_color_end (c->color_out), r[i].found);
    if (r[i].mend[0])
      printf ("%-15s %-8s   to mend it: %s\n", "", "", r[i].mend);
  }
  return cli_flush (c);
}

static enum cli_status
print_json (const struct cli *c, const struct result *r)
{
  json_t *all = json_array ();

  for (size_t i = 0; i < CHECKS; i++)
    json_array_append_new (
        all, json_pack ("{s:s, s:s, s:o, s:o}", "check", checks[i].name,
                        "health", words[r[i].health], "found",
                        view_json_text (r[i].found), "mend",
                        r[i].mend[0] ? view_json_text (r[i].mend)
                                     : json_null ()));
  return cli_json (c, all);
}

static enum cli_status
run (struct cli *c)
{
  struct result r[CHECKS] = {0};
  enum cli_status status;
  unsigned missing = 0;

  for (size_t i = 0; i < CHECKS; i++) {
    checks[i].check (&r[i]);
    missing += r[i].health == HEALTH_MISSING;
  }
  status = c->json ? print_json (c, r) : c->quiet ? CLI_OK : print (c, r);
  return status ? status : missing ? CLI_MISSING : CLI_OK;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "check what this machine has of what bulkhead needs",
    .synopsis = "",
    .description =
        "Looks at the kernel, seccomp, Landlock, namespaces, the nbd module,\n"
        "limits, programs, the runtime folder and the daemon, and names the\n"
        "command that mends what is missing. Changes nothing. Status 7: it\n"
        "cannot work as it is.",
    .flags = COMMAND_JSON,
    .run = run,
};
