/* SPDX-License-Identifier: BSD-2-Clause */
/* A process of another uid at the socket of a host's daemon: asks for what it
 * must not get. Prints what the daemon answers, one line a question: "fault: "
 * and its words, "closed", "open" (it is served), or "nothing" within TIMEOUT.
 *
 *   stranger SOCKET path KEY VALUE    OPEN that names a file by its path alone
 *   stranger SOCKET file KEY PATH     OPEN with a file of its own, as it is
 *   stranger SOCKET secret            OPEN with a socket as password=
 *   stranger SOCKET flush             OPEN with a file of a file system of its
 *                                     own, which does not let it be closed;
 *                                     then "served", or "stuck" if nobody is
 *   stranger SOCKET drop HOW          the same with something written to that
 *                                     file, of which the last descriptor is
 *                                     somewhere in what the daemon closes
 *                                     itself; "sent" first, when all is
 *   stranger SOCKET kill PID          ADOPT of that process as its worker
 *   stranger SOCKET truncate          ADOPT with stripes that it can shorten
 *   stranger SOCKET index             ADOPT with a volume's index as stripes:
 *                                     "writable" if it gets to write to it
 *   stranger SOCKET garbage N         N messages of any bytes, types and fds
 *   stranger SOCKET flood N           N connections at once; how many are kept
 *   stranger SOCKET deaf              OPEN, and never reads
 *   stranger SOCKET half              nothing, then one odd byte
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/fill.h"
#include "ipc/shm.h"
#include "ipc/stripes.h"
#include "ipc/volume.h"

#define TIMEOUT_NS 15000000000ull

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct control message;
static uint64_t random_state = 88172645463325252ull;

static void __attribute__ ((noreturn))
fail (const char *what)
{
  perror (what);
  exit (2);
}

static uint64_t
random_next (void)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static int
try_dial (void)
{
  CLEANUP_CLOSE int sock = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  return connect (sock, (const struct sockaddr *)&address, sizeof address)
           ? -1 : steal_fd (&sock);
}

static int
dial (void)
{
  int sock = try_dial ();

  if (sock < 0)
    fail ("connect");
  return sock;
}

static bool
greet (int sock)
{
  struct wirebuf b;
  bool ok;

  control_begin (&message, CONTROL_HELLO);
  b = control_body (&message);
  wirebuf_u32 (&b, CONTROL_VERSION);
  wirebuf_cstring (&b, "a stranger\nwith two lines");
  ok = control_send (sock, &message, &b, TIMEOUT_NS) == ERR_OK
       && control_recv (sock, &message, TIMEOUT_NS) == ERR_OK;
  if (ok)
    control_close (&message);
  return ok && message.type == CONTROL_HELLO;
}

static void
put_spec (struct wirebuf *b, const char *key, const char *value, int fd)
{
  static struct volume_spec spec;

  memset (&spec, 0, sizeof spec);
  strcpy (spec.proto, "sftp");
  volume_spec_set (&spec, "host", "127.0.0.1", -1);
  volume_spec_set (&spec, "port", "9", -1);
  volume_spec_set (&spec, "user", "nobody", -1);
  volume_spec_set (&spec, "path", "/x", -1);
  if (key)
    volume_spec_set (&spec, key, value, fd);
  volume_spec_put (b, &spec);
}

/* What comes of it. */
static void
tell_answer (int sock)
{
  struct fault f = {0};
  struct wire w;
  enum err e = control_recv (sock, &message, TIMEOUT_NS);

  if (e) {
    puts (e == ERR_CLOSED ? "closed" : "nothing");
    return;
  }
  control_close (&message);
  w = wire_init (message.body, message.length_bytes);
  if (message.type == CONTROL_FAULT && !fault_take (&w, &f))
    printf ("fault: %s\n", f.text);
  else
    puts ("open");
}

static void
open_with (const char *key, const char *value, int fd)
{
  int sock = dial ();
  struct wirebuf b;

  if (!greet (sock)) {
    puts ("closed");
    return;
  }
  control_begin (&message, CONTROL_OPEN);
  if (fd >= 0)
    control_add_fd (&message, fd);
  b = control_body (&message);
  put_spec (&b, key, value, fd >= 0 ? 0 : -1);
  if (control_send (sock, &message, &b, TIMEOUT_NS))
    fail ("send");
  tell_answer (sock);
}

static void
fuse_say (int dev, uint64_t unique, const void *body, size_t body_bytes)
{
  struct fuse_out_header h = {.len = (uint32_t)(sizeof h + body_bytes),
                              .error = body || body_bytes ? 0 : -ENOSYS,
                              .unique = unique};
  struct iovec iov[] = {{&h, sizeof h}, {(void *)body, body_bytes}};

  (void)!writev (dev, iov, 2);
}

/* A folder with one file, of which nothing is flushed or written while
 * *silent.
 */
static void __attribute__ ((noreturn))
fuse_serve (int dev, const volatile bool *silent)
{
  static char in[1 << 17];
  const struct fuse_in_header *h = (void *)in;
  struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 65536,
                               .flags = FUSE_WRITEBACK_CACHE};
  struct fuse_attr attr = {.ino = 2, .mode = S_IFREG | 0600, .nlink = 1};
  struct fuse_entry_out entry = {.nodeid = 2, .attr = attr};
  struct fuse_open_out file = {.fh = 1};

  for (;;) {
    struct fuse_attr_out got = {.attr = attr};

    if (read (dev, in, sizeof in) < 0 && errno != EINTR)
      _exit (0);
    if (h->opcode == FUSE_INIT)
      fuse_say (dev, h->unique, &init, sizeof init);
    else if (h->opcode == FUSE_LOOKUP)
      fuse_say (dev, h->unique, &entry, sizeof entry);
    else if (h->opcode == FUSE_OPEN)
      fuse_say (dev, h->unique, &file, sizeof file);
    else if (h->opcode == FUSE_GETATTR) {
      got.attr.ino = h->nodeid;
      got.attr.mode = h->nodeid == 1 ? S_IFDIR | 0700 : attr.mode;
      fuse_say (dev, h->unique, &got, sizeof got);
    } else if (h->opcode == FUSE_FLUSH ? !*silent : h->opcode == FUSE_GETXATTR)
      fuse_say (dev, h->unique, NULL, 0); /* it has no such thing */
  }
}

static void
write_text (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY | O_CLOEXEC);

  if (fd < 0 || write (fd, text, strlen (text)) < 0)
    fail (path);
  close (fd);
}

/* In a mount namespace of its own, as any user may. The server's pid. */
static pid_t
mount_slow (volatile bool **ret_silent)
{
  char uids[40], gids[40], options[80];
  pid_t server;
  int dev;

  snprintf (uids, sizeof uids, "0 %u 1", (unsigned)geteuid ());
  snprintf (gids, sizeof gids, "0 %u 1", (unsigned)getegid ());
  *ret_silent = mmap (NULL, sizeof **ret_silent, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (*ret_silent == MAP_FAILED || unshare (CLONE_NEWUSER | CLONE_NEWNS) < 0)
    fail ("unshare");
  write_text ("/proc/self/setgroups", "deny");
  write_text ("/proc/self/uid_map", uids);
  write_text ("/proc/self/gid_map", gids);
  dev = open ("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (dev < 0)
    fail ("/dev/fuse");
  snprintf (options, sizeof options,
            "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
  if (mount ("slow", "/mnt", "fuse", 0, options) < 0)
    fail ("mount");
  server = fork ();
  if (server == 0)
    fuse_serve (dev, *ret_silent);
  close (dev); /* with its server the file system ends */
  return server;
}

static int
open_slow (void)
{
  int file = open ("/mnt/file", O_RDWR | O_CLOEXEC);

  if (file < 0)
    fail ("/mnt/file");
  return file;
}

/* Whether somebody else is: then the file system ends, and with it the waiting.
 */
static void
tell_served (pid_t server)
{
  uint64_t end_ns = clock_now_ns () + TIMEOUT_NS;
  bool served = false;

  /* Who has too many connections for the moment is refused at once; and there
   * may be another daemon soon.
   */
  while (!served && clock_now_ns () < end_ns) {
    CLEANUP_CLOSE int sock = try_dial ();

    served = sock >= 0 && greet (sock);
  }
  puts (served ? "served" : "stuck");
  fflush (stdout);
  kill (server, SIGKILL);
}

static void
flush (void)
{
  volatile bool *silent;
  pid_t server = mount_slow (&silent);

  *silent = true;
  open_with ("identity", "(slow)", open_slow ());
  tell_served (server);
}

/* OPEN with it as key's file; or, without a key, what is legal nowhere. */
static void
send_file (int sock, const char *key, int fd)
{
  struct wirebuf b;

  control_begin (&message, key ? CONTROL_OPEN : CONTROL_LEASE_WANT);
  if (fd >= 0)
    control_add_fd (&message, fd);
  b = control_body (&message);
  if (key)
    put_spec (&b, key, "(slow)", 0);
  if (control_send (sock, &message, &b, TIMEOUT_NS))
    fail ("send");
}

static void
send_hello (int sock)
{
  struct wirebuf b;

  control_begin (&message, CONTROL_HELLO);
  b = control_body (&message);
  wirebuf_u32 (&b, CONTROL_VERSION);
  wirebuf_cstring (&b, "a stranger");
  if (control_send (sock, &message, &b, TIMEOUT_NS))
    fail ("send");
}

/* A Unix socket with the file in its queue. */
static int
socket_with (int file)
{
  int pair[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
    fail ("socketpair");
  send_file (pair[0], NULL, file);
  close (pair[0]);
  return pair[1];
}

/* The daemon is stopped meanwhile, so that all is there when it looks. */
static void
drop (const char *how)
{
  volatile bool *silent;
  pid_t server = mount_slow (&silent);
  int file = open_slow (), writer = open_slow (), sock = dial (), nested = -1;
  int many[9], n = 0;

  if (strcmp (how, "unread") == 0) { /* behind what ends the connection */
    send_file (sock, NULL, -1);
    send_file (sock, NULL, file);
  } else if (strcmp (how, "refused") == 0) { /* when it is accepted */
    while (n < 9) {
      many[n++] = sock;
      sock = dial ();
    }
    send_file (sock, NULL, file);
  } else {
    nested = socket_with (file);
    send_hello (sock);
    send_file (sock, how, nested); /* "agent": kept; else dropped */
    close (nested);
  }
  close (file);
  *silent = true;
  if (write (writer, "unwritten", 9) != 9)
    fail ("write");
  puts ("sent");
  fflush (stdout);
  if (nested >= 0)
    tell_answer (sock); /* HELLO */
  if (n) /* until it is refused */
    poll (&(struct pollfd){.fd = sock}, 1, 5000);
  close (sock);
  while (n)
    close (many[--n]);
  tell_served (server);
}

/* All right but for pid, or for what can be shortened. */
static void
adopt (pid_t pid, bool shortened)
{
  int sock = dial (), channel[CHANNEL_FDS], stripes, pidfd = -1, net = -1;
  struct wirebuf b;

  if (!greet (sock) || channel_create (channel))
    fail ("greet");
  stripes = memfd_create ("stripes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (stripes < 0 || ftruncate (stripes, (off_t)stripes_bytes (1024)) < 0)
    fail ("memfd");
  if (!shortened
      && fcntl (stripes, F_ADD_SEALS,
                F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
           < 0)
    fail ("seals");
  control_begin (&message, CONTROL_ADOPT);
  b = control_body (&message);
  wirebuf_u8 (&b, 0);
  wirebuf_u8 (&b, 1);
  wirebuf_u64 (&b, 1);
  wirebuf_u8 (&b, pid > 0);
  wirebuf_u32 (&b, UINT32_MAX);
  wirebuf_u8 (&b, 0);
  put_spec (&b, NULL, NULL, -1);
  control_add_fd (&message, stripes);
  for (int i = 0; i < CHANNEL_FDS; i++)
    control_add_fd (&message, channel[i]);
  if (pid > 0) {
    pidfd = (int)syscall (SYS_pidfd_open, pid, 0);
    net = socket (AF_INET, SOCK_STREAM, 0);
    if (pidfd < 0 || net < 0)
      fail ("pidfd_open");
    control_add_fd (&message, pidfd);
    control_add_fd (&message, net);
  }
  if (control_send_credentials (sock, &message, &b, TIMEOUT_NS))
    fail ("send");
  tell_answer (sock);
}

/* OPEN of path, or ADOPT with these objects if there are any: what a gateway
 * gets. False: a FAULT, or the end, comes before CACHE.
 */
static bool
take_objects (const char *path, int channel[CHANNEL_FDS], int stripes,
              int cache[CACHE_FDS])
{
  int sock = dial ();
  struct wirebuf b;

  if (!greet (sock))
    fail ("greet");
  control_begin (&message, stripes < 0 ? CONTROL_OPEN : CONTROL_ADOPT);
  b = control_body (&message);
  if (stripes >= 0) {
    wirebuf_u8 (&b, 0);
    wirebuf_u8 (&b, 1);
    wirebuf_u64 (&b, 1);
    wirebuf_u8 (&b, 0);
    wirebuf_u32 (&b, 0);
    control_add_fd (&message, stripes);
    for (int i = 0; i < CHANNEL_FDS; i++)
      control_add_fd (&message, channel[i]);
  }
  put_spec (&b, "path", path, -1);
  if (control_send_credentials (sock, &message, &b, TIMEOUT_NS))
    fail ("send");
  for (;;) {
    if (control_recv (sock, &message, TIMEOUT_NS)
        || message.type == CONTROL_FAULT)
      return false;
    for (int i = 0; message.type == CONTROL_CHANNEL && i < CHANNEL_FDS; i++)
      channel[i] = control_take_fd (&message, (unsigned)i);
    for (int i = 0; message.type == CONTROL_CACHE && i < CACHE_FDS; i++)
      cache[i] = control_take_fd (&message, (unsigned)i);
    if (message.type == CONTROL_CACHE)
      return true;
  }
}

/* The daemon may open again for writing what the stranger has for reading: not
 * to be talked into handing that out. It believes what is in an index.
 */
static void
confuse (void)
{
  int channel[CHANNEL_FDS], cache[CACHE_FDS], stripes;

  if (!take_objects ("/x", channel, -1, cache))
    fail ("open");
  stripes = cache[CACHE_INDEX];
  if (!take_objects ("/y", channel, stripes, cache)) {
    puts ("refused");
    return;
  }
  if (!take_objects ("/y", channel, -1, cache))
    fail ("open again");
  puts ((fcntl (cache[CACHE_STRIPES], F_GETFL) & O_ACCMODE) == O_RDWR
          ? "writable"
          : "readable");
}

/* Whatever happens, the daemon is to live: its answers do not count. */
static void
garbage (unsigned long n)
{
  int any[4] = {open ("/dev/null", O_RDWR), eventfd (0, 0),
                memfd_create ("x", 0), socket (AF_UNIX, SOCK_STREAM, 0)};

  for (unsigned long i = 0; i < n; i++) {
    static const uint16_t types[] = {
      CONTROL_OPEN, CONTROL_ADOPT, CONTROL_ATTACH, CONTROL_DISTRUST,
      CONTROL_LEASE_WANT, CONTROL_READY, CONTROL_HELLO};
    CLEANUP_CLOSE int sock = dial ();
    size_t bytes = random_next () % 2 ? random_next () % 64
                                      : random_next () % CONTROL_BODY_BYTES;
    struct wirebuf b;

    if (random_next () % 8 && !greet (sock))
      continue;
    control_begin (&message,
                   types[random_next () % (sizeof types / sizeof *types)]);
    for (unsigned k = random_next () % 2 ? 0 : random_next () % CONTROL_FDS; k;
         k--)
      control_add_fd (&message, any[random_next () % 4]);
    b = control_body (&message);
    if (message.type == CONTROL_ADOPT && random_next () % 2) {
      wirebuf_u8 (&b, 1);
      wirebuf_u8 (&b, (uint8_t)(random_next () % 10));
    }
    while (b.used_bytes < bytes)
      wirebuf_u8 (&b, (uint8_t)(random_next () % 5 ? random_next () % 4
                                                   : random_next ()));
    if (control_send_credentials (sock, &message, &b, TIMEOUT_NS))
      continue;
    if (control_recv (sock, &message, TIMEOUT_NS) == ERR_OK)
      control_close (&message);
  }
  puts ("done");
}

static void
flood (unsigned long n)
{
  struct pollfd *p = calloc (n, sizeof *p);
  unsigned long kept = 0;

  for (unsigned long i = 0; p && i < n; i++)
    p[i] = (struct pollfd){.fd = dial (), .events = POLLIN};
  /* Who is refused is told so at once, who is not after five seconds. */
  poll (NULL, 0, 1000);
  poll (p, n, 0);
  for (unsigned long i = 0; i < n; i++)
    kept += p[i].revents == 0;
  printf ("%lu\n", kept);
  fflush (stdout);
  poll (NULL, 0, 2000); /* holds on to them for a while */
  free (p);
}

static void
deaf (void)
{
  int sock = dial ();
  struct wirebuf b;

  if (!greet (sock))
    fail ("greet");
  control_begin (&message, CONTROL_OPEN);
  b = control_body (&message);
  put_spec (&b, NULL, NULL, -1);
  /* CHANNEL, CACHE, FAULT are on their way to nobody. */
  if (control_send (sock, &message, &b, TIMEOUT_NS))
    fail ("send");
  poll (NULL, 0, 2000);
  puts ("done");
}

static void
half (void)
{
  int sock = dial ();
  struct pollfd p = {.fd = sock, .events = POLLIN};

  if (poll (&p, 1, 15000) != 1)
    puts ("nothing");
  else
    tell_answer (sock);
  sock = dial ();
  if (send (sock, "x", 1, MSG_NOSIGNAL) != 1)
    fail ("send");
  tell_answer (sock);
}

int
main (int argc, char **argv)
{
  const char *mode = argc > 2 ? argv[2] : "";

  if (argc < 3 || strlen (argv[1]) >= sizeof address.sun_path)
    return 2;
  strcpy (address.sun_path, argv[1]);
  if (strcmp (mode, "path") == 0 && argc == 5)
    open_with (argv[3], argv[4], -1);
  else if (strcmp (mode, "file") == 0 && argc == 5)
    open_with (argv[3], argv[4], open (argv[4], O_RDONLY));
  else if (strcmp (mode, "secret") == 0)
    open_with ("password", "(secret)", socket (AF_UNIX, SOCK_STREAM, 0));
  else if (strcmp (mode, "flush") == 0)
    flush ();
  else if (strcmp (mode, "drop") == 0 && argc == 4)
    drop (argv[3]);
  else if (strcmp (mode, "kill") == 0 && argc == 4)
    adopt ((pid_t)atol (argv[3]), false);
  else if (strcmp (mode, "truncate") == 0)
    adopt (0, true);
  else if (strcmp (mode, "index") == 0)
    confuse ();
  else if (strcmp (mode, "garbage") == 0 && argc == 4)
    garbage (strtoul (argv[3], NULL, 10));
  else if (strcmp (mode, "flood") == 0 && argc == 4)
    flood (strtoul (argv[3], NULL, 10));
  else if (strcmp (mode, "deaf") == 0)
    deaf ();
  else if (strcmp (mode, "half") == 0)
    half ();
  else
    return 2;
  return 0;
}
