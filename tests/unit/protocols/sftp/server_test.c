/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine against OpenSSH's sftp-server, which speaks plain SFTP on its
 * standard input and output: random reads, writes and flushes at depth against
 * a model, and then the file itself. Skipped (77) only where the program is
 * not installed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "protocols/sftp/sftp.h"

#define SFTP_SERVER "/usr/lib/openssh/sftp-server"
#define FILE_BYTES (4u * 1024 * 1024 + 123)
#define OPERATIONS 2500u
#define DEPTH_MAX PROTO_REQUESTS
#define SLOT_BYTES (256u * 1024)

struct server {
  pid_t pid;
  int fd;
};

struct slot {
  bool busy;
  struct proto_request r;
  uint8_t *data;
};

static char directory[] = "/tmp/bulkhead-sftp-test-XXXXXX";
static char image[64], missing[64];
static uint8_t *model;
static struct slot slots[DEPTH_MAX];
static uint64_t rng = 0x9e3779b97f4a7c15u;

__attribute__ ((format (printf, 1, 2))) static _Noreturn void
fail (const char *fmt, ...)
{
  va_list ap;

  va_start (ap, fmt);
  vfprintf (stderr, fmt, ap);
  va_end (ap);
  fputc ('\n', stderr);
  exit (EXIT_FAILURE);
}

static uint32_t
pick (uint32_t below)
{
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return (uint32_t)((rng >> 16) % below);
}

static struct server
start (const char *option)
{
  int fd[2];
  struct server s;

  if (socketpair (AF_UNIX, SOCK_STREAM, 0, fd))
    fail ("socketpair: %s", strerror (errno));
  s.pid = fork ();
  if (s.pid < 0)
    fail ("fork: %s", strerror (errno));
  if (s.pid == 0) {
    if (dup2 (fd[1], 0) < 0 || dup2 (fd[1], 1) < 0 || chdir (directory))
      _exit (127);
    close (fd[0]);
    close (fd[1]);
    execl (SFTP_SERVER, SFTP_SERVER, option, (char *)NULL);
    _exit (127);
  }
  close (fd[1]);
  s.fd = fd[0];
  if (fcntl (s.fd, F_SETFL, O_NONBLOCK))
    fail ("fcntl: %s", strerror (errno));
  return s;
}

static void
stop (struct server *s)
{
  close (s->fd);
  waitpid (s->pid, NULL, 0);
}

static const char *
config_get (void *ctx, const char *key)
{
  return strcmp (key, "path") == 0 ? ctx : NULL;
}

static struct proto *
open_engine (const char *path)
{
  struct proto_config config = {.get = config_get,
                                .ctx = (void *)(uintptr_t)path,
                                .seed = {1, 2}};
  struct proto *p;
  struct fault f;

  if (sftp_ops.open (&config, clock_now_ns (), &p, &f))
    fail ("open: %s", f.text);
  return p;
}

/* Sends and receives what can be; waits for the server if wait. */
static void
turn (struct server *s, struct proto *p, bool wait)
{
  struct iovec iov[PROTO_TX_IOV];
  struct pollfd pfd = {s->fd, POLLIN, 0};
  size_t n;
  ssize_t r;

  while ((n = sftp_ops.tx_iov (p, 0, iov, PROTO_TX_IOV)) > 0) {
    r = writev (s->fd, iov, (int)n);
    if (r < 0 && errno != EAGAIN)
      fail ("writev: %s", strerror (errno));
    if (r < 0) {
      pfd.events |= POLLOUT;
      break;
    }
    sftp_ops.tx_done (p, 0, (size_t)r);
  }
  if (wait && poll (&pfd, 1, 10000) != 1)
    fail ("the server is silent");
  while (sftp_ops.state (p) != PROTO_FAILED) {
    struct iovec v = sftp_ops.rx_iov (p, 0);

    r = read (s->fd, v.iov_base, v.iov_len);
    if (r < 0 && errno == EAGAIN)
      return;
    if (r <= 0)
      fail ("read: %s", r ? strerror (errno) : "the server has gone");
    sftp_ops.rx_done (p, 0, (size_t)r, clock_now_ns ());
  }
}

static void
start_up (struct server *s, struct proto *p)
{
  while (sftp_ops.state (p) == PROTO_STARTING)
    turn (s, p, true);
}

static bool
overlaps (uint64_t offset, uint32_t length, bool write)
{
  for (unsigned i = 0; i < DEPTH_MAX; i++) {
    const struct proto_request *r = &slots[i].r;

    if (slots[i].busy && r->op != IO_FLUSH && (write || r->op == IO_WRITE)
        && offset < r->offset + r->length && r->offset < offset + length)
      return true;
  }
  return false;
}

static void
submit_random (struct proto *p, unsigned i)
{
  struct slot *s = &slots[i];
  uint32_t size = pick (3) ? 1 + pick (8192) : 1 + pick (SLOT_BYTES);
  struct proto_request r = {.id = i, .length = size, .data = s->data};

  if (pick (20) == 0)
    r = (struct proto_request){.id = i, .op = IO_FLUSH};
  else {
    r.op = pick (2) ? IO_READ : IO_WRITE;
    r.offset = pick (FILE_BYTES - size + 1);
    if (overlaps (r.offset, size, r.op == IO_WRITE))
      return;
    if (r.op == IO_WRITE) {
      r.flags = pick (20) ? 0 : IO_FUA;
      for (uint32_t k = 0; k < size; k++)
        s->data[k] = (uint8_t)(i + k * 7 + rng);
      memcpy (model + r.offset, s->data, size);
    } else
      memset (s->data, 0xee, size);
  }
  if (sftp_ops.submit (p, &r, clock_now_ns ()))
    fail ("submit");
  s->r = r;
  s->busy = true;
}

static unsigned
reap_all (struct proto *p)
{
  struct proto_completion c;
  unsigned n = 0;

  for (; sftp_ops.reap (p, &c); n++) {
    struct slot *s = &slots[c.id];

    if (!s->busy || c.error)
      fail ("request %u: %s", (unsigned)c.id, err_text (c.error));
    if (s->r.op == IO_READ
        && memcmp (s->data, model + s->r.offset, s->r.length))
      fail ("read other data than written at %ju", (uintmax_t)s->r.offset);
    s->busy = false;
  }
  return n;
}

static void
random_io_agrees_with_the_model (void)
{
  struct server s = start (NULL);
  struct proto *p = open_engine (image);
  unsigned done = 0, in_flight = 0;
  struct volume_info info;

  start_up (&s, p);
  if (sftp_ops.state (p) != PROTO_READY)
    fail ("start-up: %s", sftp_ops.fault (p)->text);
  sftp_ops.info (p, &info);
  if (info.size != FILE_BYTES || info.caps != 7 || info.readonly_why[0])
    fail ("info: %ju bytes, caps %x", (uintmax_t)info.size, info.caps);
  while (done < OPERATIONS) {
    unsigned before, n;

    for (unsigned i = 0; i < DEPTH_MAX && done + in_flight < OPERATIONS; i++)
      if (!slots[i].busy && pick (4)) {
        submit_random (p, i);
        in_flight += slots[i].busy;
      }
    before = done;
    n = reap_all (p);
    done += n;
    in_flight -= n;
    turn (&s, p, done == before && in_flight > 0);
    if (sftp_ops.state (p) != PROTO_READY)
      fail ("engine: %s", sftp_ops.fault (p)->text);
  }
  sftp_ops.close (p);
  stop (&s);
}

static void
the_file_agrees_with_the_model (void)
{
  uint8_t *now = malloc (FILE_BYTES + 1);
  FILE *f = fopen (image, "rb");

  if (!f || !now || fread (now, 1, FILE_BYTES + 1, f) != FILE_BYTES)
    fail ("the image has changed its size");
  if (memcmp (now, model, FILE_BYTES))
    fail ("the image differs from the model");
  fclose (f);
  free (now);
}

/* Reads length bytes at offset into the first slot. */
static enum err
read_now (struct server *s, struct proto *p, uint64_t offset, uint32_t length)
{
  struct proto_completion c;
  struct proto_request r = {.id = 9,
                            .op = IO_READ,
                            .offset = offset,
                            .length = length,
                            .data = slots[0].data};

  if (sftp_ops.submit (p, &r, clock_now_ns ()))
    fail ("submit");
  while (!sftp_ops.reap (p, &c)) {
    turn (s, p, true);
    if (sftp_ops.state (p) != PROTO_READY)
      fail ("engine: %s", sftp_ops.fault (p)->text);
  }
  return c.error;
}

static void
expect_read_only (const char *option, const char *path)
{
  struct server s = start (option);
  struct proto *p = open_engine (path);
  struct volume_info info;

  start_up (&s, p);
  if (sftp_ops.state (p) != PROTO_READY)
    fail ("read-only start-up: %s", sftp_ops.fault (p)->text);
  sftp_ops.info (p, &info);
  if (info.caps != 0 || !info.readonly_why[0])
    fail ("read-only: caps %x, \"%s\"", info.caps, info.readonly_why);
  if (read_now (&s, p, 0, SLOT_BYTES)
      || memcmp (slots[0].data, model, SLOT_BYTES))
    fail ("read-only: other data");
  sftp_ops.close (p);
  stop (&s);
}

static void
a_file_that_shrinks_fails_reads_only (void)
{
  struct server s = start (NULL);
  struct proto *p = open_engine (image);

  start_up (&s, p);
  if (truncate (image, 70000))
    fail ("truncate: %s", strerror (errno));
  if (read_now (&s, p, 69000, 2000) != ERR_IO
      || read_now (&s, p, FILE_BYTES - SLOT_BYTES, SLOT_BYTES) != ERR_IO)
    fail ("read behind the end of the file");
  if (read_now (&s, p, 0, 70000) || memcmp (slots[0].data, model, 70000))
    fail ("what is left of the file cannot be read");
  sftp_ops.close (p);
  stop (&s);
}

static void
expect_fault (const char *path, enum err e)
{
  struct server s = start (NULL);
  struct proto *p = open_engine (path);

  start_up (&s, p);
  if (sftp_ops.state (p) != PROTO_FAILED || sftp_ops.fault (p)->code != e)
    fail ("%s: wanted \"%s\", got \"%s\"", path, err_text (e),
          sftp_ops.fault (p)->text);
  sftp_ops.close (p);
  stop (&s);
}

static void
set_up (void)
{
  FILE *f;

  model = malloc (FILE_BYTES);
  for (unsigned i = 0; i < DEPTH_MAX; i++) {
    slots[i].data = malloc (SLOT_BYTES);
    if (!slots[i].data || !model)
      fail ("out of memory");
  }
  for (uint32_t i = 0; i < FILE_BYTES; i++)
    model[i] = (uint8_t)pick (256);
  if (!mkdtemp (directory))
    fail ("mkdtemp: %s", strerror (errno));
  snprintf (image, sizeof image, "%s/image", directory);
  snprintf (missing, sizeof missing, "%s/missing", directory);
  f = fopen (image, "wb");
  if (!f || fwrite (model, 1, FILE_BYTES, f) != FILE_BYTES || fclose (f))
    fail ("%s: %s", image, strerror (errno));
}

static void
clean_up (void)
{
  unlink (image);
  rmdir (directory);
}

int
main (void)
{
  if (access (SFTP_SERVER, X_OK)) {
    fprintf (stderr, "skipped: %s is not installed\n", SFTP_SERVER);
    return 77;
  }
  signal (SIGPIPE, SIG_IGN);
  set_up ();
  atexit (clean_up);
  random_io_agrees_with_the_model ();
  the_file_agrees_with_the_model ();
  expect_read_only ("-R", "/~/image");
  expect_fault (missing, ERR_NOENT);
  expect_fault (directory, ERR_ISDIR);
  expect_fault ("/dev/null", ERR_NOTSUP);
  if (geteuid () != 0) { /* root may do everything */
    chmod (image, 0444);
    expect_read_only (NULL, image);
    chmod (image, 0);
    expect_fault (image, ERR_ACCESS);
    chmod (image, 0600);
  }
  a_file_that_shrinks_fails_reads_only ();
  for (unsigned i = 0; i < DEPTH_MAX; i++)
    free (slots[i].data);
  free (model);
  return EXIT_SUCCESS;
}
