/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"

/* Our own words: Debian 12's headers end at ABI 2. */
#define RULE_PATH_BENEATH 1
#define RULE_NET_PORT 2
#define FS_EXECUTE (1ull << 0)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define NET_CONNECT_TCP (1ull << 1)
#define PORT_DNS 53

/* Rights are numbered without gaps: ABI 1 has 13 for files; the last ones that
 * are thought about here are those of ABI 6. */
#define FS_RIGHTS_FIRST 13
#define FS_RIGHTS_KNOWN 16
#define NET_RIGHTS_KNOWN 2
#define SCOPES_KNOWN 2
#define RIGHTS_PROBED 24
/* ABI 7: what is refused is told to audit also after an exec, which would be
 * the surest sign of all. */
#define LOG_NEW_EXEC_ON (1u << 1)

struct ruleset_attr {
  uint64_t handled_fs;
  uint64_t handled_net;
  uint64_t scoped;
};

struct path_beneath {
  uint64_t allowed;
  int32_t parent_fd;
} __attribute__ ((packed));

struct net_port {
  uint64_t allowed;
  uint64_t port;
};

const struct landlock_path landlock_paths[] = {
  {"/lib", true},
  {"/lib64", true},
  {"/usr/lib", true},
  {"/usr/lib64", true},
  {"/usr/local/lib", true},
  {"/etc", false},
  {"/usr/share", false},
  {"/run/systemd/resolve", false},
  {"/run/nscd", false},
  {"/var/run/nscd", false},
  {"/run/resolvconf", false},
  {"/run/NetworkManager", false},
  {"/run/avahi-daemon", false},
  {"/var/lib/misc", false},
  {NULL, false},
};

static int
create (const struct ruleset_attr *attr)
{
  return (int)syscall (SYS_landlock_create_ruleset, attr, sizeof *attr, 0);
}

static bool
accepted (const struct ruleset_attr *attr)
{
  CLEANUP_CLOSE int fd = create (attr);

  return fd >= 0;
}

/* The largest set of rights, up to `most`, that the kernel takes in *field of
 * attr; it stays there. 0 if not even `least` are. The kernel refuses what it
 * does not know, so no table of ABI numbers is needed, nor can it age.
 */
static unsigned
probe (struct ruleset_attr *attr, uint64_t *field, unsigned least,
       unsigned most)
{
  for (unsigned n = most; n >= least && n > 0; n--) {
    *field = (1ull << n) - 1;
    if (accepted (attr))
      return n;
  }
  *field = 0;
  return 0;
}

static void
allow_path (int ruleset, const char *path, uint64_t allowed)
{
  CLEANUP_CLOSE int fd = open (path, O_PATH | O_CLOEXEC);
  struct path_beneath rule = {allowed, fd};

  /* A missing folder needs no rule. */
  if (fd >= 0)
    syscall (SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
}

static void
allow_resolver (int ruleset, const struct ruleset_attr *attr)
{
  struct net_port dns = {NET_CONNECT_TCP, PORT_DNS};

  for (const struct landlock_path *p = landlock_paths; p->path; p++)
    allow_path (ruleset, p->path,
                FS_READ_FILE | FS_READ_DIR | (p->libraries ? FS_EXECUTE : 0));
  if (attr->handled_net & NET_CONNECT_TCP)
    syscall (SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &dns, 0);
}

/* False: not at all. */
static bool
restrict_self (int ruleset, bool audit, uint32_t *layers)
{
  if (audit
      && syscall (SYS_landlock_restrict_self, ruleset, LOG_NEW_EXEC_ON) == 0) {
    *layers |= SBX_LAYER_LANDLOCK_AUDIT;
    return true;
  }
  return syscall (SYS_landlock_restrict_self, ruleset, 0) == 0;
}

uint32_t
landlock_apply_up_to (enum sbx_profile profile,
                      const struct landlock_most *most)
{
  struct ruleset_attr attr = {0};
  bool all = !sbx_opens (profile);
  uint32_t layers = SBX_LAYER_LANDLOCK;

  if (!probe (&attr, &attr.handled_fs, FS_RIGHTS_FIRST, most->fs))
    return 0;
  if (probe (&attr, &attr.handled_net, 1, most->net))
    layers |= SBX_LAYER_LANDLOCK_NET;
  if (probe (&attr, &attr.scoped, 1, most->scopes))
    layers |= SBX_LAYER_LANDLOCK_SCOPE;
  CLEANUP_CLOSE int ruleset = create (&attr);
  if (ruleset < 0)
    return 0;
  if (!all)
    allow_resolver (ruleset, &attr);
  return restrict_self (ruleset, most->audit, &layers) ? layers : 0;
}

uint32_t
landlock_apply (enum sbx_profile profile)
{
  static const struct landlock_most all
    = {RIGHTS_PROBED, RIGHTS_PROBED, RIGHTS_PROBED, true};
  /* What the resolver may do is listed by right, so it is only confined by
   * rights that were thought about here. That it is refused a file is nothing
   * that anybody should hear of. */
  static const struct landlock_most known
    = {FS_RIGHTS_KNOWN, NET_RIGHTS_KNOWN, SCOPES_KNOWN, false};

  return landlock_apply_up_to (profile,
                               sbx_opens (profile) ? &known : &all);
}
