/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker that was taken over: takes bulkhead-worker's place (same fds, same
 * order of messages, really sealed), logs in to nothing, says READY, and then
 * does what the path of its volume says:
 *
 *   /possess/MODE        as soon as the first request has come (or at GO)
 *   /possess/once/MODE   only as the volume's first worker; the next one is
 *                        honest
 *
 * Its disk has POSSESSED_SIZE bytes; a read at `offset` (a multiple of 8)
 * gives the numbers offset, offset + 8, … as big-endian words; writes are
 * taken and forgotten. MODE is one of the table below; or call-NAME: makes
 * that system call; or daemon-NAME, gateway-NAME: sends that message (say).
 *
 * Exit status: 0 when both control sockets have closed; 20 + n when attempt n
 * of before_sealing was not refused; 10 when something else failed.
 *
 *   possessed-worker --host-key    prints the host key that it claims to have
 *                                  seen, as in known_hosts after the name
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/volume.h"
#include "sandbox/sandbox.h"
#include "tests/fake/possessed-worker.h"

#define EXIT_BROKEN 10
#define EXIT_NOT_REFUSED 20
#define WAIT_NS 10000000000ull
#define NO_CALL (-1)
#define HOG_STEP ((size_t)64 << 20)
#define HOG_BYTES ((size_t)2 << 30)

struct possessed {
  struct channel channel;
  struct ring ring;
  struct control message;
  struct volume_spec spec;
  const struct mode *mode;
  long call;        /* of call-NAME */
  const char *what; /* of daemon-NAME, gateway-NAME */
  uint64_t epoch;
  unsigned taken;
  uint64_t random;
};

struct mode {
  const char *name;
  bool at_go; /* does not wait for a request */
  void (*misbehave) (struct possessed *p, const struct ring_request *r);
};

/* An ed25519 key (RFC 8709 §4) that nobody has the other half of. */
static const uint8_t host_key[] = "\0\0\0\013ssh-ed25519"
                                  "\0\0\0\040possessed-possessed-possessed-32";
#define HOST_KEY_BYTES (sizeof host_key - 1)
#define HOST_KEY_BASE64                                                       \
  "AAAAC3NzaC1lZDI1NTE5AAAAIHBvc3Nlc3NlZC1wb3NzZXNzZWQtcG9zc2Vzc2VkLTMy"

static uint64_t
random_next (struct possessed *p)
{
  /* xorshift64: repeatable, and no system call */
  p->random ^= p->random << 13;
  p->random ^= p->random >> 7;
  p->random ^= p->random << 17;
  return p->random;
}

static struct ring_object *
mine (struct possessed *p)
{
  return channel_ring (&p->channel, CHANNEL_COMPLETIONS);
}

static bool
closed (int fd)
{
  struct pollfd in = {.fd = fd, .events = POLLIN};
  struct timespec now = {0};

  return ppoll (&in, 1, &now, NULL) == 1 && (in.revents & POLLHUP);
}

static void
end_if_alone (void)
{
  if (closed (WORKER_FD_DAEMON) && closed (WORKER_FD_GATEWAY))
    _exit (0);
}

static void
wake_gateway (void)
{
  uint64_t one = 1;
  ssize_t ignored = write (WORKER_FD_WAKE_GATEWAY, &one, sizeof one);

  (void)ignored;
}

static void
complete (struct possessed *p, uint64_t id, uint32_t length)
{
  union ring_entry e
    = {.completion = {.id = id, .length = length, .token = "possessed"}};

  if (ring_push (&p->ring, &e) == ERR_OK && ring_wake_needed (&p->ring))
    wake_gateway ();
}

static void
answer (struct possessed *p, const struct ring_request *r)
{
  uint8_t *arena = p->channel.base[CHANNEL_READ_ARENA];

  if (r->op == IO_READ && r->length <= CHANNEL_CHUNK_BYTES
      && r->arena_offset <= CHANNEL_ARENA_BYTES - r->length)
    possessed_pattern (arena + r->arena_offset, r->offset, r->length);
  complete (p, r->id, r->op == IO_READ ? r->length : 0);
}

/* The ways to misbehave. What returns has done its deed and serves on. */

/* Everything that is writable, for ever; what must be right for the gateway to
 * look on at all is right every other time. */
static void
scribble (struct possessed *p, const struct ring_request *r)
{
  struct ring_object *o = mine (p);
  uint8_t *arena = p->channel.base[CHANNEL_READ_ARENA];
  uint8_t *identity = p->channel.base[CHANNEL_IDENTITY];

  (void)r;
  for (unsigned turn = 0;; turn++) {
    uint64_t *word = (uint64_t *)o->entry;

    for (size_t i = 0; i < RING_ENTRIES * sizeof *o->entry / 8; i++)
      word[i] = random_next (p) % 3 ? random_next (p) % 200 : random_next (p);
    atomic_store (&o->tail, turn % 4 ? (uint32_t)random_next (p) % 300
                                     : (uint32_t)random_next (p));
    atomic_store (&o->head, turn % 4 ? (uint32_t)random_next (p) % 300
                                     : (uint32_t)random_next (p));
    atomic_store (&o->sleep, (uint32_t)random_next (p));
    atomic_store (&o->epoch, turn % 2 ? p->epoch : random_next (p));
    atomic_store (&o->progress, random_next (p));
    atomic_store (&o->refused_syscall, (uint32_t)random_next (p));
    o->magic = (uint32_t)random_next (p);
    o->entries = (uint32_t)random_next (p);
    memset (arena + random_next (p) % (CHANNEL_ARENA_BYTES - 4096),
            (int)random_next (p), 4096);
    memset (identity, (int)random_next (p), CHANNEL_IDENTITY_BYTES);
    wake_gateway ();
    if (turn % 256 == 0)
      end_if_alone ();
  }
}

static void
unasked (struct possessed *p, const struct ring_request *r)
{
  complete (p, r->id + 1000000, 0);
  complete (p, UINT64_MAX, UINT32_MAX);
  answer (p, r);
}

static void
duplicate (struct possessed *p, const struct ring_request *r)
{
  answer (p, r);
  answer (p, r);
  answer (p, r);
}

static void
long_answer (struct possessed *p, const struct ring_request *r)
{
  complete (p, r->id, r->length + 1);
}

static void
short_answer (struct possessed *p, const struct ring_request *r)
{
  complete (p, r->id, r->length / 2);
}

static void __attribute__ ((noreturn))
wait_until_alone (void)
{
  static const struct timespec a_while = {.tv_nsec = 50000000};

  for (;;) {
    end_if_alone ();
    ppoll (NULL, 0, &a_while, NULL);
  }
}

static void
impossible_tail (struct possessed *p, const struct ring_request *r)
{
  (void)r;
  atomic_store (&mine (p)->tail, p->ring.tail + RING_ENTRIES + 1);
  wake_gateway ();
  wait_until_alone ();
}

static void
impossible_head (struct possessed *p, const struct ring_request *r)
{
  (void)r;
  atomic_store (&mine (p)->head, p->ring.head + RING_ENTRIES + 1);
  wake_gateway ();
  wait_until_alone ();
}

static void
unprotect (struct possessed *p, const struct ring_request *r)
{
  (void)r;
  mprotect (p->channel.base[CHANNEL_REQUESTS], 4096, PROT_READ | PROT_WRITE);
  *(volatile uint8_t *)p->channel.base[CHANNEL_REQUESTS] = 1;
}

static void
punch (struct possessed *p, const struct ring_request *r)
{
  (void)r;
  madvise (p->channel.base[CHANNEL_WRITE_ARENA], CHANNEL_ARENA_BYTES,
           MADV_REMOVE);
}

static void
overwrite (struct possessed *p, const struct ring_request *r)
{
  (void)r;
  *(volatile uint8_t *)p->channel.base[CHANNEL_WRITE_ARENA] = 1; /* SIGSEGV */
}

static void
hang (struct possessed *p, const struct ring_request *r)
{
  (void)p;
  (void)r;
  for (;;)
    ppoll (NULL, 0, NULL, NULL);
}

static void
spin (struct possessed *p, const struct ring_request *r)
{
  (void)r;
  /* as busy as an honest one, to every eye */
  for (;;) {
    atomic_fetch_add (&mine (p)->progress, 1);
    end_if_alone ();
  }
}

static void
leave (struct possessed *p, const struct ring_request *r)
{
  (void)p;
  (void)r;
  _exit (0);
}

/* What nobody has asked, and (garbage) in no form that is known. */
static void
tell (struct possessed *p, const struct ring_request *r, size_t bytes)
{
  struct wirebuf b;

  control_begin (&p->message, CONTROL_PROBED);
  b = control_body (&p->message);
  for (size_t i = 0; i < bytes; i++)
    wirebuf_u8 (&b, 0x7f);
  control_tell (WORKER_FD_GATEWAY, &p->message, &b, WAIT_NS);
  answer (p, r);
}

static void
probed_unasked (struct possessed *p, const struct ring_request *r)
{
  tell (p, r, 16);
}

static void
garbage (struct possessed *p, const struct ring_request *r)
{
  tell (p, r, 1000);
}

/* Lines for the log. */
static void
note (struct possessed *p, size_t length_bytes)
{
  struct wirebuf b;
  char line[2000];

  memset (line, 'x', length_bytes);
  line[length_bytes] = 0;
  control_begin (&p->message, CONTROL_NOTE);
  b = control_body (&p->message);
  wirebuf_cstring (&b, line);
  control_tell (WORKER_FD_GATEWAY, &p->message, &b, WAIT_NS);
}

/* More than anybody reads. */
static void
chatter (struct possessed *p, const struct ring_request *r)
{
  for (unsigned i = 0; i < 1200; i++)
    note (p, 10);
  answer (p, r);
}

static void
long_line (struct possessed *p, const struct ring_request *r)
{
  note (p, 1999);
  answer (p, r);
}

/* With a descriptor of its own: what the policy has no call for. */
static void
hand_over (int fd, uint8_t *packet, size_t bytes)
{
  union {
    char bytes[CMSG_SPACE (sizeof (int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec iov = {packet, bytes};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1,
                     .msg_control = control.bytes,
                     .msg_controllen = sizeof control.bytes};
  const int mine = WORKER_FD_NET;

  *CMSG_FIRSTHDR (&m) = (struct cmsghdr){
    .cmsg_len = CMSG_LEN (sizeof mine), .cmsg_level = SOL_SOCKET,
    .cmsg_type = SCM_RIGHTS};
  memcpy (CMSG_DATA (CMSG_FIRSTHDR (&m)), &mine, sizeof mine);
  sendmsg (fd, &m, MSG_NOSIGNAL);
  _exit (EXIT_NOT_REFUSED);
}

/* To the daemon, out of order, by halves, with an fd, or without end; the path
 * says what: see messages.
 */
static void __attribute__ ((noreturn))
say (struct possessed *p, int fd, const char *name)
{
  static const struct {
    const char *name;
    uint16_t type;
    bool with_fd, for_ever;
    unsigned bytes; /* of the packet, with the type */
  } messages[] = {
    {"sealed", CONTROL_SEALED, false, false, 6},
    {"hostkey", CONTROL_HOSTKEY, false, false, 20},
    {"auth", CONTROL_AUTH, false, false, 30},
    {"sign", CONTROL_SIGN, false, false, 200},
    {"want", CONTROL_WANT, false, false, 100},
    {"ready", CONTROL_READY, false, false, 100},
    {"config", CONTROL_CONFIG, false, false, 100},
    {"adopt", CONTROL_ADOPT, false, false, 100},
    {"unknown", 0xfefe, false, false, 2},
    {"half", CONTROL_FAIL, false, false, 1},
    {"empty-fail", CONTROL_FAIL, false, false, 2},
    {"fd", CONTROL_FAIL, true, false, 6},
    {"flood", 0xfefe, false, true, 30000},
  };
  static uint8_t packet[30000];

  for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
    if (strcmp (messages[i].name, name) != 0)
      continue;
    memset (packet, 0x7f, sizeof packet);
    packet[0] = (uint8_t)(messages[i].type >> 8);
    packet[1] = (uint8_t)messages[i].type;
    if (messages[i].with_fd)
      hand_over (fd, packet, messages[i].bytes);
    do
      if (send (fd, packet, messages[i].bytes, MSG_NOSIGNAL) < 0)
        break;
    while (messages[i].for_ever);
  }
  (void)p;
  wait_until_alone ();
}

static void
say_to_daemon (struct possessed *p, const struct ring_request *r)
{
  (void)r;
  say (p, WORKER_FD_DAEMON, p->what);
}

static void
say_to_gateway (struct possessed *p, const struct ring_request *r)
{
  (void)r;
  say (p, WORKER_FD_GATEWAY, p->what);
}

/* A second map of what it may only read is no better than the first. */
static void
remap (struct possessed *p, const struct ring_request *r)
{
  volatile uint8_t *again = mremap (p->channel.base[CHANNEL_WRITE_ARENA], 0,
                                    CHANNEL_ARENA_BYTES, MREMAP_MAYMOVE);

  (void)r;
  if (again != MAP_FAILED)
    *again = 1; /* SIGSEGV */
  _exit (EXIT_NOT_REFUSED);
}

/* All the memory there is: less than HOG_BYTES. */
static void
hog (struct possessed *p, const struct ring_request *r)
{
  size_t got = 0;

  while (got < HOG_BYTES
         && mmap (NULL, HOG_STEP, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
              != MAP_FAILED)
    got += HOG_STEP;
  if (got >= HOG_BYTES)
    _exit (EXIT_NOT_REFUSED);
  answer (p, r);
}

static void
forbidden_call (struct possessed *p, const struct ring_request *r)
{
  static char path[] = "/etc/passwd";

  (void)r;
  syscall (p->call, path, path, 0, 0, 0, 0);
  /* Some only fail in a sanitizer build. */
  _exit (EXIT_NOT_REFUSED);
}

static const struct mode modes[] = {
  {"honest", false, NULL},
  {"scribble", true, scribble},
  {"unasked", false, unasked},
  {"duplicate", false, duplicate},
  {"long", false, long_answer},
  {"short", false, short_answer},
  {"tail", false, impossible_tail},
  {"head", false, impossible_head},
  {"unprotect", false, unprotect},
  {"punch", false, punch},
  {"overwrite", false, overwrite},
  {"hang", false, hang},
  {"spin", false, spin},
  {"probed", false, probed_unasked},
  {"garbage", false, garbage},
  {"chatter", false, chatter},
  {"long-line", false, long_line},
  {"remap", false, remap},
  {"hog", false, hog},
  {"exit", false, leave},
  {"exit-at-go", true, leave},
};

static const struct mode call_mode = {"call", false, forbidden_call};
static const struct mode daemon_mode = {"daemon", false, say_to_daemon};
static const struct mode gateway_mode = {"gateway", false, say_to_gateway};

static void
choose_mode (struct possessed *p)
{
  const char *path = volume_spec_get (&p->spec, "path");
  const char *name = path ? strrchr (path, '/') : NULL;

  p->mode = &modes[0];
  if (!name || (strstr (path, "/once/") && p->epoch != 1))
    return;
  name++;
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp (name, modes[i].name) == 0)
      p->mode = &modes[i];
  if (strncmp (name, "call-", 5) == 0) {
    p->call = seccomp_syscall_resolve_name (name + 5);
    p->mode = &call_mode;
  } else if (strncmp (name, "daemon-", 7) == 0) {
    p->what = name + 7;
    p->mode = &daemon_mode;
  } else if (strncmp (name, "gateway-", 8) == 0) {
    p->what = name + 8;
    p->mode = &gateway_mode;
  }
}

/* What the kernel alone refuses, while the policy does not help yet. */
static int
before_sealing (struct possessed *p, const int fd[CHANNEL_FDS])
{
  for (int i = 0; i <= CHANNEL_IDENTITY; i++) {
    size_t n = channel_object_bytes ((enum channel_object)i);
    void *m;

    if (channel_object_writable ((enum channel_object)i, CHANNEL_SIDE_WORKER))
      continue;
    if (mprotect (p->channel.base[i], n, PROT_READ | PROT_WRITE) == 0)
      return EXIT_NOT_REFUSED + 1;
    if (madvise (p->channel.base[i], n, MADV_REMOVE) == 0)
      return EXIT_NOT_REFUSED + 2;
    m = mmap (NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd[i], 0);
    if (m != MAP_FAILED)
      return EXIT_NOT_REFUSED + 3;
    if (ftruncate (fd[i], 0) == 0)
      return EXIT_NOT_REFUSED + 4;
    if (pwrite (fd[i], "x", 1, 0) == 1)
      return EXIT_NOT_REFUSED + 5;
  }
  /* Nor can what it may write be shrunk under the gateway. */
  if (ftruncate (fd[CHANNEL_COMPLETIONS], 0) == 0)
    return EXIT_NOT_REFUSED + 6;
  return 0;
}

static void
map_channel (struct possessed *p)
{
  int fd[CHANNEL_FDS], refused;

  for (int i = 0; i <= CHANNEL_IDENTITY; i++)
    fd[i] = WORKER_FD_OBJECTS + i;
  if (channel_map (&p->channel, CHANNEL_SIDE_WORKER, fd))
    _exit (EXIT_BROKEN);
  if ((refused = before_sealing (p, fd)))
    _exit (refused);
  for (int i = 0; i <= CHANNEL_IDENTITY; i++)
    close (fd[i]);
}

static void
take_config (struct possessed *p)
{
  struct wire w;

  if (control_hear (WORKER_FD_DAEMON, &p->message, WAIT_NS)
      || p->message.type != CONTROL_CONFIG)
    _exit (EXIT_BROKEN);
  w = wire_init (p->message.body, p->message.length_bytes);
  p->epoch = wire_u64 (&w);
  wire_u8 (&w); /* which connection */
  wire_u16 (&w); /* lanes */
  if (volume_spec_take (&w, 0, &p->spec))
    _exit (EXIT_BROKEN);
}

static void
send_or_end (struct possessed *p, const struct wirebuf *b)
{
  if (control_tell (WORKER_FD_DAEMON, &p->message, b, WAIT_NS))
    _exit (EXIT_BROKEN);
}

static void
log_in (struct possessed *p, uint32_t layers)
{
  static const struct volume_info info
    = {.size = POSSESSED_SIZE, .block_min = 8, .block_preferred = 4096,
       .request_max = CHANNEL_CHUNK_BYTES,
       .caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH};
  struct wirebuf b;

  control_begin (&p->message, CONTROL_SEALED);
  b = control_body (&p->message);
  wirebuf_u32 (&b, layers);
  send_or_end (p, &b);
  control_begin (&p->message, CONTROL_HOSTKEY);
  b = control_body (&p->message);
  wirebuf_string (&b, host_key, HOST_KEY_BYTES);
  send_or_end (p, &b);
  if (control_hear (WORKER_FD_DAEMON, &p->message, WAIT_NS)
      || p->message.type != CONTROL_HOSTKEY_OK)
    _exit (EXIT_BROKEN);
  control_begin (&p->message, CONTROL_READY);
  b = control_body (&p->message);
  volume_info_put (&b, &info);
  send_or_end (p, &b);
}

static void
wait_for_go (struct possessed *p)
{
  struct wire w;

  if (control_hear (WORKER_FD_GATEWAY, &p->message, WAIT_NS)
      || p->message.type != CONTROL_GO)
    _exit (EXIT_BROKEN);
  w = wire_init (p->message.body, p->message.length_bytes);
  if (wire_u64 (&w) != p->epoch)
    _exit (EXIT_BROKEN);
  ring_object_reset (mine (p), p->epoch);
  ring_init (&p->ring, mine (p),
             channel_ring (&p->channel, CHANNEL_REQUESTS));
}

static void
wait_for_request (struct possessed *p)
{
  struct pollfd in[] = {
    {.fd = WORKER_FD_WAKE_WORKER, .events = POLLIN},
    {.fd = WORKER_FD_DAEMON, .events = POLLIN},
    {.fd = WORKER_FD_GATEWAY, .events = POLLIN},
  };
  static const struct timespec a_while = {.tv_nsec = 50000000};
  uint64_t count;

  if (ring_sleep (&p->ring)) {
    ppoll (in, 3, &a_while, NULL);
    ring_awake (&p->ring);
  }
  if ((in[0].revents & POLLIN)
      && read (WORKER_FD_WAKE_WORKER, &count, sizeof count) < 0)
    in[0].revents = 0;
  end_if_alone ();
}

static void __attribute__ ((noreturn))
serve (struct possessed *p)
{
  union ring_entry e;

  if (p->mode->misbehave && p->mode->at_go)
    p->mode->misbehave (p, &(struct ring_request){0});
  for (;;) {
    atomic_fetch_add (&mine (p)->progress, 1);
    if (ring_pop (&p->ring, &e))
      wait_for_request (p);
    else if (p->mode->misbehave && p->taken++ == 0)
      p->mode->misbehave (p, &e.request);
    else
      answer (p, &e.request);
  }
}

int
main (int argc, char **argv)
{
  static struct possessed p = {.random = 88172645463325252ull};
  uint32_t layers;
  struct fault f;

  if (argc == 2 && strcmp (argv[1], "--host-key") == 0) {
    puts ("ssh-ed25519 " HOST_KEY_BASE64);
    return 0;
  }
  map_channel (&p);
  take_config (&p);
  choose_mode (&p);
  if (sbx_seal (SBX_WORKER_SSH, &mine (&p)->refused_syscall, &layers, &f))
    return EXIT_BROKEN;
  log_in (&p, layers);
  wait_for_go (&p);
  serve (&p);
}
