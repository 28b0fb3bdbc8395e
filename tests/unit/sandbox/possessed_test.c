/* SPDX-License-Identifier: BSD-2-Clause */
/* A taken-over worker against the walls and the rings: plays daemon and
 * gateway with ipc/ alone, tests/fake/possessed-worker is the other side.
 */
#include "config.h"
#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/volume.h"
#include "sandbox/policy.h"
#include "tests/fake/possessed-worker.h"
#include "tests/unit/unit.h"

#define EPOCH 3u
#define WAIT_NS 20000000000ull
#define SCRIBBLE_NS 300000000ull

/* One channel with one possessed worker at its other end. */
struct scene {
  int fd[CHANNEL_FDS];
  struct channel channel; /* the gateway's view */
  struct ring ring;
  int daemon, gateway, net; /* our ends */
  struct sbx_child child;
  struct control message;
  uint32_t layers;
  bool dead;
  int code, status;
};

static const char *
worker_path (void)
{
  static char path[PATH_MAX];
  ssize_t n = readlink ("/proc/self/exe", path, sizeof path - 1);
  char *slash;

  if (n < 0)
    return "";
  path[n] = 0;
  for (int i = 0; i < 3; i++) /* tests/unit/sandbox/possessed_test */
    if ((slash = strrchr (path, '/')))
      *slash = 0;
  strncat (path, "/fake/possessed-worker", sizeof path - strlen (path) - 1);
  return path;
}

static bool
start (struct scene *s)
{
  static const char *const argv[] = {"bulkhead-worker", NULL};
  int pair[3][2], worker_fd[CHANNEL_FDS], fd[WORKER_FD_TRUST - 3];
  struct sbx_spawn spawn = {.profile = SBX_WORKER, .path = worker_path (),
                            .argv = argv, .fd = fd,
                            .fds = WORKER_FD_TRUST - 3, .stderr_fd = -1};
  struct fault f;

  for (int i = 0; i < 3; i++)
    if (socketpair (AF_UNIX,
                    (i == 2 ? SOCK_STREAM | SOCK_NONBLOCK : SOCK_SEQPACKET)
                      | SOCK_CLOEXEC,
                    0, pair[i])
        < 0)
      return false;
  if (channel_create (s->fd)
      || channel_fds_for (s->fd, CHANNEL_SIDE_WORKER, worker_fd)
      || channel_map (&s->channel, CHANNEL_SIDE_GATEWAY, s->fd))
    return false;
  for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
    fd[i] = -1;
  fd[WORKER_FD_DAEMON - 3] = pair[0][1];
  fd[WORKER_FD_GATEWAY - 3] = pair[1][1];
  fd[WORKER_FD_NET - 3] = pair[2][1];
  fd[WORKER_FD_WAKE_WORKER - 3] = worker_fd[CHANNEL_WAKE_WORKER];
  fd[WORKER_FD_WAKE_GATEWAY - 3] = worker_fd[CHANNEL_WAKE_GATEWAY];
  for (int i = 0; i <= CHANNEL_IDENTITY; i++)
    fd[WORKER_FD_OBJECTS - 3 + i] = worker_fd[i];
  s->daemon = pair[0][0], s->gateway = pair[1][0], s->net = pair[2][0];
  if (sbx_spawn (&spawn, &s->child, &f)) {
    fprintf (stderr, "%s\n", f.text);
    return false;
  }
  channel_close_fds (worker_fd);
  for (int i = 0; i < 3; i++)
    close (pair[i][1]);
  return true;
}

static bool
hear (struct scene *s, enum control_type type)
{
  return control_recv (s->daemon, &s->message, WAIT_NS) == ERR_OK
         && s->message.type == type && s->message.fds == 0;
}

/* Plays the daemon up to READY and the gateway's GO. */
static bool
bring_up (struct scene *s, const char *path)
{
  struct volume_spec spec = {.proto = "sftp"};
  struct volume_info info;
  struct wirebuf b;
  struct wire w;

  volume_spec_set (&spec, "path", path, -1);
  control_begin (&s->message, CONTROL_CONFIG);
  b = control_body (&s->message);
  wirebuf_u64 (&b, EPOCH);
  wirebuf_u8 (&b, 0); /* path */
  wirebuf_u8 (&b, 1); /* lanes */
  wirebuf_u8 (&b, 1);
  volume_spec_put (&b, &spec);
  wirebuf_cstring (&b, "");
  if (control_send (s->daemon, &s->message, &b, WAIT_NS)
      || !hear (s, CONTROL_SEALED))
    return false;
  w = wire_init (s->message.body, s->message.length_bytes);
  s->layers = wire_u32 (&w);
  if (!hear (s, CONTROL_HOSTKEY))
    return false;
  control_begin (&s->message, CONTROL_HOSTKEY_OK);
  b = control_body (&s->message);
  if (control_send (s->daemon, &s->message, &b, WAIT_NS)
      || !hear (s, CONTROL_READY))
    return false;
  w = wire_init (s->message.body, s->message.length_bytes);
  if (volume_info_take (&w, &info) || info.size != POSSESSED_SIZE)
    return false;
  ring_object_reset (s->channel.base[CHANNEL_REQUESTS], EPOCH);
  ring_init (&s->ring, s->channel.base[CHANNEL_REQUESTS],
             s->channel.base[CHANNEL_COMPLETIONS]);
  control_begin (&s->message, CONTROL_GO);
  b = control_body (&s->message);
  wirebuf_u64 (&b, EPOCH);
  return control_send (s->gateway, &s->message, &b, WAIT_NS) == ERR_OK;
}

static struct scene *
scene (const char *path)
{
  struct scene *s = calloc (1, sizeof *s);

  if (!s || !start (s) || !bring_up (s, path)) {
    CU_FAIL_FATAL ("the possessed worker does not start");
    abort ();
  }
  return s;
}

static void
await_end (struct scene *s)
{
  struct pollfd p = {.fd = s->child.pidfd, .events = POLLIN};
  siginfo_t si = {0};

  if (s->dead)
    return;
  if (poll (&p, 1, (int)(WAIT_NS / 1000000)) != 1) {
    CU_FAIL ("it does not end");
    syscall (SYS_pidfd_send_signal, s->child.pidfd, SIGKILL, NULL, 0);
  }
  waitid (P_PIDFD, (id_t)s->child.pidfd, &si, WEXITED);
  s->code = si.si_code;
  s->status = si.si_status;
  s->dead = true;
  close (s->child.pidfd);
}

static void
finish (struct scene *s)
{
  if (!s->dead)
    syscall (SYS_pidfd_send_signal, s->child.pidfd, SIGKILL, NULL, 0);
  await_end (s);
  close (s->daemon);
  close (s->gateway);
  close (s->net);
  channel_unmap (&s->channel);
  channel_close_fds (s->fd);
  free (s);
}

static void
request (struct scene *s, uint64_t id, uint64_t offset, uint32_t length)
{
  union ring_entry e = {.request = {.id = id, .op = IO_READ, .offset = offset,
                                    .length = length}};
  uint64_t one = 1;

  CU_ASSERT_EQUAL (ring_push (&s->ring, &e), ERR_OK);
  if (ring_wake_needed (&s->ring))
    CU_ASSERT_EQUAL (write (s->fd[CHANNEL_WAKE_WORKER], &one, sizeof one),
                     sizeof one);
}

/* The next completion; the error of the ring, or ERR_TIMEOUT. */
static enum err
completion (struct scene *s, struct ring_completion *ret)
{
  uint64_t deadline_ns = clock_now_ns () + WAIT_NS, count;
  union ring_entry e;
  enum err err;

  while ((err = ring_pop (&s->ring, &e)) == ERR_AGAIN) {
    struct pollfd p = {.fd = s->fd[CHANNEL_WAKE_GATEWAY], .events = POLLIN};

    if (clock_now_ns () > deadline_ns)
      return ERR_TIMEOUT;
    if (!ring_sleep (&s->ring))
      continue;
    if (poll (&p, 1, 1000) == 1
        && read (s->fd[CHANNEL_WAKE_GATEWAY], &count, sizeof count) < 0)
      return ERR_IO;
    ring_awake (&s->ring);
  }
  if (!err)
    *ret = e.completion;
  return err;
}

static void
an_honest_one_serves (void)
{
  static const uint32_t outside
    = SBX_LAYER_NO_NEW_PRIVS | SBX_LAYER_SECCOMP | SBX_LAYER_NO_CAPS
      | SBX_LAYER_NS_PID | SBX_LAYER_UNPRIVILEGED_UID;
  struct scene *s = scene ("/possess/honest");
  uint32_t seen;
  struct ring_completion c = {0};
  uint8_t want[4096];

  for (unsigned i = 0; i < 200; i++) {
    request (s, i, i * 4096, sizeof want);
    CU_ASSERT_EQUAL_FATAL (completion (s, &c), ERR_OK);
    CU_ASSERT_EQUAL (c.id, i);
    CU_ASSERT_EQUAL (c.length, sizeof want);
    possessed_pattern (want, i * 4096, sizeof want);
    CU_ASSERT_EQUAL (
      memcmp (s->channel.base[CHANNEL_READ_ARENA], want, sizeof want), 0);
  }
  seen = sbx_look (s->child.pid);
  CU_ASSERT_EQUAL (seen & outside, seen);
  CU_ASSERT_EQUAL (seen, s->layers & outside);
  CU_ASSERT_EQUAL (sbx_look (getpid ()) & SBX_LAYER_SECCOMP, 0);
  /* It ends with its control sockets. */
  shutdown (s->daemon, SHUT_RDWR);
  shutdown (s->gateway, SHUT_RDWR);
  await_end (s);
  CU_ASSERT (s->code == CLD_EXITED && s->status == 0);
  finish (s);
}

/* Whatever stands in its memory: errors or garbage, in bounded time, and what
 * is ours stays as we wrote it. */
static void
scribbling_only_yields_errors_and_garbage (void)
{
  struct scene *s = scene ("/possess/scribble");
  uint8_t *payload = s->channel.base[CHANNEL_WRITE_ARENA];
  const struct ring_object *requests = s->channel.base[CHANNEL_REQUESTS];
  uint64_t end_ns = clock_now_ns () + SCRIBBLE_NS;
  unsigned seen[ERR_COUNT] = {0}, calls = 0, kept = 0;
  union ring_entry e;

  memset (payload, 0x77, 1 << 20);
  while (clock_now_ns () < end_ns) {
    struct ring start = s->ring;

    for (unsigned i = 0; i < 1000; i++, calls++) {
      enum err got = ring_pop (&s->ring, &e);

      CU_ASSERT_FATAL (got <= 0 && -got < ERR_COUNT);
      seen[-got]++;
      got = ring_push (&s->ring, &e);
      CU_ASSERT_FATAL (got == ERR_OK || got == ERR_LIMIT || got == ERR_PEER);
      ring_wake_needed (&s->ring);
      if (ring_sleep (&s->ring))
        ring_awake (&s->ring);
      /* its stores are never ours */
      kept += atomic_load (&requests->tail) == s->ring.tail
              && atomic_load (&requests->head) == s->ring.head
              && atomic_load (&requests->epoch) == EPOCH;
    }
    CU_ASSERT (s->ring.tail - start.tail <= 1000);
  }
  CU_ASSERT_EQUAL (kept, calls);
  CU_ASSERT (seen[-ERR_PEER] > 0 && seen[-ERR_OK] > 0);
  for (size_t i = 0; i < 1 << 20; i++)
    if (payload[i] != 0x77) {
      CU_FAIL ("it wrote into memory that it may only read");
      break;
    }
  CU_ASSERT_EQUAL (requests->magic, RING_MAGIC);
  finish (s);
}

static void
lies_are_seen (void)
{
  static const struct {
    const char *path;
    enum err err;
    uint64_t id;
    uint32_t length;
  } lies[] = {
    {"/possess/unasked", ERR_OK, 1000005, 0},
    {"/possess/long", ERR_OK, 5, 4097},
    {"/possess/short", ERR_OK, 5, 2048},
    {"/possess/tail", ERR_PEER, 0, 0},
  };
  struct ring_completion c = {0};
  struct scene *s;

  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    s = scene (lies[i].path);
    request (s, 5, 0, 4096);
    CU_ASSERT_EQUAL (completion (s, &c), lies[i].err);
    if (!lies[i].err) {
      CU_ASSERT_EQUAL (c.id, lies[i].id);
      CU_ASSERT_EQUAL (c.length, lies[i].length);
    }
    finish (s);
  }
  s = scene ("/possess/duplicate");
  request (s, 5, 0, 4096);
  for (int i = 0; i < 3; i++)
    CU_ASSERT (completion (s, &c) == ERR_OK && c.id == 5);
  finish (s);
}

static void
an_impossible_head_is_seen (void)
{
  struct scene *s = scene ("/possess/head");
  union ring_entry e = {.request = {.id = 1, .op = IO_READ, .length = 8}};
  uint64_t deadline_ns = clock_now_ns () + WAIT_NS;
  enum err err;

  request (s, 5, 0, 8);
  do
    err = ring_push (&s->ring, &e);
  while ((err == ERR_OK || err == ERR_LIMIT) && clock_now_ns () < deadline_ns);
  CU_ASSERT_EQUAL (err, ERR_PEER);
  finish (s);
}

/* The path names what it tries; the kernel says how it ended. */
static void
what_is_not_its_own_is_its_end (void)
{
  static const struct {
    const char *path;
    int signal;
    long call; /* recorded; -1: none */
    bool widened; /* in a sanitizer build the call only fails; what follows
                   * is not looked at */
  } deeds[] = {
    {"/possess/punch", SIGSYS, SYS_madvise, false},
    {"/possess/unprotect", SIGSYS, SYS_mprotect, true},
    {"/possess/call-openat", SIGSYS, SYS_openat, true},
    {"/possess/call-socket", SIGSYS, SYS_socket, false},
    {"/possess/call-connect", SIGSYS, SYS_connect, false},
    {"/possess/call-execve", SIGSYS, SYS_execve, false},
    {"/possess/call-fork", SIGSYS, SYS_fork, false},
    {"/possess/call-ptrace", SIGSYS, SYS_ptrace, false},
    {"/possess/call-io_uring_setup", SIGSYS, SYS_io_uring_setup, false},
    {"/possess/call-accept4", SIGSYS, SYS_accept4, false},
    {"/possess/call-socketpair", SIGSYS, SYS_socketpair, false},
    {"/possess/call-kill", SIGSYS, SYS_kill, false},
    {"/possess/call-tgkill", SIGSYS, SYS_tgkill, false},
    {"/possess/call-pidfd_open", SIGSYS, SYS_pidfd_open, false},
    {"/possess/call-pidfd_getfd", SIGSYS, SYS_pidfd_getfd, false},
    {"/possess/call-pidfd_send_signal", SIGSYS, SYS_pidfd_send_signal, false},
    {"/possess/call-process_vm_writev", SIGSYS, SYS_process_vm_writev, false},
    {"/possess/call-process_madvise", SIGSYS, SYS_process_madvise, false},
    {"/possess/call-memfd_create", SIGSYS, SYS_memfd_create, false},
    {"/possess/call-userfaultfd", SIGSYS, SYS_userfaultfd, false},
    {"/possess/call-keyctl", SIGSYS, SYS_keyctl, false},
    {"/possess/call-add_key", SIGSYS, SYS_add_key, false},
    {"/possess/call-bpf", SIGSYS, SYS_bpf, false},
    {"/possess/call-perf_event_open", SIGSYS, SYS_perf_event_open, false},
    {"/possess/call-open_by_handle_at", SIGSYS, SYS_open_by_handle_at, false},
    {"/possess/call-mount", SIGSYS, SYS_mount, false},
    {"/possess/call-unshare", SIGSYS, SYS_unshare, false},
    {"/possess/call-setns", SIGSYS, SYS_setns, false},
    {"/possess/call-seccomp", SIGSYS, SYS_seccomp, false},
    {"/possess/call-clone3", SIGSYS, SYS_clone3, false},
    {"/possess/call-execveat", SIGSYS, SYS_execveat, false},
    {"/possess/call-shmget", SIGSYS, SYS_shmget, false},
    {"/possess/call-mq_open", SIGSYS, SYS_mq_open, false},
    {"/possess/call-inotify_init1", SIGSYS, SYS_inotify_init1, false},
    {"/possess/call-vmsplice", SIGSYS, SYS_vmsplice, false},
    {"/possess/call-setrlimit", SIGSYS, SYS_setrlimit, false},
    {"/possess/call-dup3", SIGSYS, SYS_dup3, false},
    {"/possess/overwrite", SIGSEGV, -1, true},
    {"/possess/remap", SIGSEGV, -1, true},
  };

  for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
    const struct ring_object *o;
    struct scene *s;

    if (deeds[i].widened && policy_sanitizer_build ())
      continue;
    s = scene (deeds[i].path);
    o = s->channel.base[CHANNEL_COMPLETIONS];
    request (s, 1, 0, 8);
    await_end (s);
    if (s->code != CLD_KILLED || s->status != deeds[i].signal
        || atomic_load (&o->refused_syscall) != (uint32_t)(deeds[i].call + 1))
    {
      fprintf (stderr, "%s: code %d status %d\n", deeds[i].path, s->code,
               s->status);
      CU_FAIL ("it lives on, or died of something else");
    }
    finish (s);
  }
}

/* It has an address space of its own, and no more than that. */
static void
memory_is_bounded (void)
{
  struct scene *s;
  struct ring_completion c = {0};

  if (policy_sanitizer_build ()) /* shadow memory: no limit there */
    return;
  s = scene ("/possess/hog");
  request (s, 5, 0, 8);
  CU_ASSERT (completion (s, &c) == ERR_OK && c.id == 5);
  finish (s);
}

static void
a_hanging_one_can_be_killed (void)
{
  static const char *const paths[] = {"/possess/hang", "/possess/spin"};

  for (int i = 0; i < 2; i++) {
    struct scene *s = scene (paths[i]);
    struct pollfd p = {.fd = s->child.pidfd, .events = POLLIN};

    request (s, 1, 0, 8);
    CU_ASSERT_EQUAL (poll (&p, 1, 20), 0);
    syscall (SYS_pidfd_send_signal, s->child.pidfd, SIGKILL, NULL, 0);
    await_end (s);
    CU_ASSERT (s->code == CLD_KILLED && s->status == SIGKILL);
    finish (s);
  }
}

UNIT_MAIN ("possessed", UNIT_TEST (an_honest_one_serves),
           UNIT_TEST (scribbling_only_yields_errors_and_garbage),
           UNIT_TEST (lies_are_seen), UNIT_TEST (an_impossible_head_is_seen),
           UNIT_TEST (what_is_not_its_own_is_its_end),
           UNIT_TEST (memory_is_bounded),
           UNIT_TEST (a_hanging_one_can_be_killed))
