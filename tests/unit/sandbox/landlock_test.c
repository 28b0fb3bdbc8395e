/* SPDX-License-Identifier: BSD-2-Clause */
/* Landlock as far as each ABI goes, up to the running kernel's: what is
 * reported, and what then is really refused. One process each.
 */
#include "config.h"
#include "sandbox/landlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

/* landlock(7): what each ABI has. */
static const struct {
  struct landlock_most most;
  uint32_t layers;
} abi[] = {
    {{13, 0, 0, false}, SBX_LAYER_LANDLOCK},
    {{14, 0, 0, false}, SBX_LAYER_LANDLOCK}, /* REFER */
    {{15, 0, 0, false}, SBX_LAYER_LANDLOCK}, /* TRUNCATE */
    {{15, 2, 0, false}, SBX_LAYER_LANDLOCK | SBX_LAYER_LANDLOCK_NET},
    {{16, 2, 0, false}, /* IOCTL_DEV */
     SBX_LAYER_LANDLOCK | SBX_LAYER_LANDLOCK_NET},
    {{16, 2, 2, false},
     SBX_LAYER_LANDLOCK | SBX_LAYER_LANDLOCK_NET | SBX_LAYER_LANDLOCK_SCOPE},
    {{16, 2, 2, true},
     SBX_LAYER_LANDLOCK | SBX_LAYER_LANDLOCK_NET | SBX_LAYER_LANDLOCK_SCOPE
         | SBX_LAYER_LANDLOCK_AUDIT},
};
#define ABIS ((int)(sizeof abi / sizeof abi[0]))

/* Bits of a child's exit status: what worked. */
enum {
  DID_OPEN = 1,
  DID_TRUNCATE = 2,
  DID_CONNECT = 4,
  DID_SIGNAL = 8,
  DID_ABSTRACT = 16,
  DID_WRITE = 32,
  DID_ASK = 64, /* name servers */
  BROKEN = 128,
};

static char path[] = "/tmp/bulkhead-landlock.XXXXXX";
static struct sockaddr_in tcp;
static struct sockaddr_un hidden;
static socklen_t hidden_bytes;

static int
kernel_abi (void)
{
  long n = syscall (SYS_landlock_create_ruleset, NULL, 0, 1);

  return n < 0 ? 0 : (int)n;
}

static bool
can_connect (int domain, const void *address, socklen_t address_bytes)
{
  int sock = socket (domain, SOCK_STREAM, 0);
  bool ok = sock >= 0 && connect (sock, address, address_bytes) == 0;

  close (sock);
  return ok;
}

/* Whether a connection to a name server is not refused here; there need be
 * none.
 */
static bool
can_ask (void)
{
  struct sockaddr_in dns = {.sin_family = AF_INET,
                            .sin_port = htons (53),
                            .sin_addr = {htonl (INADDR_LOOPBACK)}};
  int sock = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  bool refused = connect (sock, (struct sockaddr *)&dns, sizeof dns) < 0
                 && errno == EACCES;

  close (sock);
  return !refused;
}

/* Nothing is lost where it works: the file may be the system's. */
static bool
can_truncate (void)
{
  struct stat st;

  return stat (path, &st) == 0 && truncate (path, st.st_size) == 0;
}

/* In a child: seals itself, then tries. */
static int
attempts (enum sbx_profile profile, const struct landlock_most *most,
          uint32_t layers)
{
  int did = 0, fd;
  uint32_t got;

  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return BROKEN;
  got = most ? landlock_apply_up_to (profile, most) : landlock_apply (profile);
  if (got != layers)
    return BROKEN;
  fd = open (path, O_RDONLY);
  did |= fd >= 0 ? DID_OPEN : 0;
  did |= open (path, O_WRONLY) >= 0 ? DID_WRITE : 0;
  did |= can_truncate () ? DID_TRUNCATE : 0;
  did |= can_connect (AF_INET, &tcp, sizeof tcp) ? DID_CONNECT : 0;
  did |= kill (getppid (), 0) == 0 ? DID_SIGNAL : 0;
  did |= can_connect (AF_UNIX, &hidden, hidden_bytes) ? DID_ABSTRACT : 0;
  did |= can_ask () ? DID_ASK : 0;
  return did;
}

static int
run (enum sbx_profile profile, const struct landlock_most *most,
     uint32_t layers)
{
  int status = 0;
  pid_t pid = fork ();

  if (pid == 0)
    _exit (attempts (profile, most, layers));
  if (waitpid (pid, &status, 0) != pid || !WIFEXITED (status))
    return BROKEN;
  return WEXITSTATUS (status);
}

/* What an ABI leaves open. */
static int
left_by (int n)
{
  return (n < 3 ? DID_TRUNCATE : 0) | (n < 4 ? DID_CONNECT | DID_ASK : 0)
         | (n < 6 ? DID_SIGNAL | DID_ABSTRACT : 0);
}

static void
each_abi_refuses_what_it_can (void)
{
  int last = kernel_abi () < ABIS ? kernel_abi () : ABIS;

  for (int n = 1; n <= last; n++) {
    int did = run (SBX_WORKER, &abi[n - 1].most, abi[n - 1].layers);

    if (did == left_by (n))
      continue;
    fprintf (stderr, "ABI %d: %#x, not %#x\n", n, (unsigned)did,
             (unsigned)left_by (n));
    CU_FAIL ("Landlock refuses something else");
  }
  printf ("\n    this kernel has ABI %d\n  ", kernel_abi ());
}

/* Without a limit: everything that this kernel has, also what is not known
 * here. */
static void
all_of_the_kernel_is_used (void)
{
  int n = kernel_abi ();
  uint32_t layers = n == 0 ? 0 : abi[n < ABIS ? n - 1 : ABIS - 1].layers;

  CU_ASSERT_EQUAL (run (SBX_WORKER, NULL, layers),
                   n ? left_by (n) : left_by (0) | DID_OPEN | DID_WRITE);
}

/* It reads where NSS needs it, and connects to the DNS port alone. */
static void
the_resolver_reads_and_asks (void)
{
  bool scoped = kernel_abi () >= 6;

  if (scoped)
    CU_ASSERT_EQUAL (run (SBX_RESOLVER, NULL, abi[5].layers), DID_ASK);
  unlink (path);
  strcpy (path, "/etc/passwd");
  if (scoped)
    CU_ASSERT_EQUAL (run (SBX_RESOLVER, NULL, abi[5].layers),
                     DID_OPEN | DID_ASK);
}

/* Written down a second time, so that no folder comes in by mistake: what
 * SECURITY.md says, and code from folders of libraries alone.
 */
static void
the_resolver_has_few_folders (void)
{
  static const struct landlock_path expected[] = {
      {"/etc", false},
      {"/lib", true},
      {"/lib64", true},
      {"/run/NetworkManager", false},
      {"/run/avahi-daemon", false},
      {"/run/nscd", false},
      {"/run/resolvconf", false},
      {"/run/systemd/resolve", false},
      {"/usr/lib", true},
      {"/usr/lib64", true},
      {"/usr/local/lib", true},
      {"/usr/share", false},
      {"/var/lib/misc", false},
      {"/var/run/nscd", false},
  };
  size_t n = sizeof expected / sizeof expected[0], rows = 0;

  for (const struct landlock_path *p = landlock_paths; p->path; p++, rows++) {
    bool found = false;

    for (size_t i = 0; i < n; i++)
      found |= strcmp (p->path, expected[i].path) == 0
               && p->libraries == expected[i].libraries;
    if (!found)
      fprintf (stderr, "%s\n", p->path);
    CU_ASSERT (found);
  }
  CU_ASSERT_EQUAL (rows, n);
}

static void
set_up (void)
{
  static const char name[] = "\0bulkhead-landlock-test-XXXXXX";
  socklen_t n = sizeof tcp;
  int fd = mkstemp (path), in = socket (AF_INET, SOCK_STREAM, 0);
  int un = socket (AF_UNIX, SOCK_STREAM, 0);

  tcp = (struct sockaddr_in){.sin_family = AF_INET,
                             .sin_addr = {htonl (INADDR_LOOPBACK)}};
  hidden.sun_family = AF_UNIX;
  memcpy (hidden.sun_path, name, sizeof name);
  snprintf (hidden.sun_path + sizeof name - 7, 12, "%d", (int)getpid ());
  hidden_bytes =
      (socklen_t)(offsetof (struct sockaddr_un, sun_path) + sizeof name + 4);
  if (fd < 0 || ftruncate (fd, 100) < 0
      || bind (in, (struct sockaddr *)&tcp, n) < 0 || listen (in, 100) < 0
      || getsockname (in, (struct sockaddr *)&tcp, &n) < 0
      || bind (un, (struct sockaddr *)&hidden, hidden_bytes) < 0
      || listen (un, 100) < 0)
    abort ();
  close (fd);
}

static void
without_it_all_is_open (void)
{
  static const struct landlock_most none = {0, 0, 0, false};

  set_up ();
  CU_ASSERT_EQUAL (run (SBX_WORKER, &none, 0), DID_OPEN | DID_TRUNCATE
                                                   | DID_CONNECT | DID_SIGNAL
                                                   | DID_ABSTRACT | DID_WRITE
                                                   | DID_ASK);
}

UNIT_MAIN ("landlock", UNIT_TEST (without_it_all_is_open),
           UNIT_TEST (each_abi_refuses_what_it_can),
           UNIT_TEST (all_of_the_kernel_is_used),
           UNIT_TEST (the_resolver_reads_and_asks),
           UNIT_TEST (the_resolver_has_few_folders))
