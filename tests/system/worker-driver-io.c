/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's part of worker-driver: requests through the rings, compared
 * with a model in memory, or timed, or against the rules.
 */
#include "config.h"
#include "tests/system/worker-driver.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"

void
start_rings (void)
{
  struct wirebuf b;

  ring_init (&d.ring, channel_ring (&d.channel, CHANNEL_REQUESTS),
             channel_ring (&d.channel, CHANNEL_COMPLETIONS));
  control_begin (&d.message, CONTROL_GO);
  b = control_body (&d.message);
  wirebuf_u64 (&b, EPOCH);
  if (control_send (d.gateway, &d.message, &b, STEP_NS))
    die ("cannot send GO");
}

static void
wake (void)
{
  uint64_t one = 1;

  if (ring_wake_needed (&d.ring)
      && write (d.fd[CHANNEL_WAKE_WORKER], &one, sizeof one) < 0)
    die ("wake: %s", strerror (errno));
}

static void
push (uint64_t id, uint16_t op, uint64_t offset, uint32_t length)
{
  union ring_entry e = {.request = {.id = id, .op = op, .offset = offset,
                                    .length = length,
                                    .arena_offset = id * CHANNEL_CHUNK_BYTES}};

  if (ring_push (&d.ring, &e))
    die ("request ring is full");
  d.op[id] = (struct op){true, op, offset, length};
  d.in_flight++;
}

static uint8_t *
chunk (enum channel_object arena, uint64_t id)
{
  return (uint8_t *)d.channel.base[arena] + id * CHANNEL_CHUNK_BYTES;
}

/* Waits for the worker's wake-up, or for its end. */
static void
sleep_for_completions (void)
{
  struct pollfd p[2] = {{.fd = d.fd[CHANNEL_WAKE_GATEWAY], .events = POLLIN},
                        {.fd = d.daemon, .events = POLLIN}};
  uint64_t count;

  if (!ring_sleep (&d.ring))
    return;
  if (poll (p, opt.drop ? 1 : 2, 15000) <= 0)
    die ("no completion for 15 s (%u requests in flight)", d.in_flight);
  ring_awake (&d.ring);
  if (p[0].revents && read (p[0].fd, &count, sizeof count) < 0)
    die ("eventfd");
  if (!opt.drop && p[1].revents)
    hear ();
}

/* The id of a finished request, after its error has been checked. */
static unsigned
finish (void)
{
  union ring_entry e;
  struct ring_completion *c = &e.completion;
  enum err r;

  while ((r = ring_pop (&d.ring, &e)) == ERR_AGAIN) {
    wake ();
    sleep_for_completions ();
  }
  if (r)
    die ("completion ring is broken");
  if (c->id >= RING_ENTRIES || !d.op[c->id].used)
    die ("completion for no request: %" PRIu64, c->id);
  if (c->error)
    die ("operation %u at %" PRIu64 ": %s", d.op[c->id].op,
         d.op[c->id].offset, strerror ((int)c->error));
  if (d.op[c->id].op == IO_READ && c->length != d.op[c->id].length)
    die ("READ has another length");
  if (d.op[c->id].op != IO_READ) {
    static const uint8_t none[IO_TOKEN_BYTES];

    if (!memcmp (d.token, none, sizeof none))
      memcpy (d.token, c->token, sizeof d.token);
    if (memcmp (d.token, c->token, sizeof d.token)
        || !memcmp (d.token, none, sizeof none))
      die ("the stability token changed within a session, or is empty");
  }
  d.op[c->id].used = false;
  d.in_flight--;
  return (unsigned)c->id;
}

static bool
claim (uint64_t offset, uint32_t length, bool for_write)
{
  uint64_t first = offset / BLOCK, last = (offset + length - 1) / BLOCK;

  for (uint64_t b = first; b <= last; b++)
    if (for_write ? d.busy[b] != 0 : d.busy[b] == 0xff)
      return false;
  for (uint64_t b = first; b <= last; b++)
    d.busy[b] = for_write ? 0xff : (uint8_t)(d.busy[b] + 1);
  return true;
}

static void
release (uint64_t offset, uint32_t length, bool for_write)
{
  uint64_t first = offset / BLOCK, last = (offset + length - 1) / BLOCK;

  for (uint64_t b = first; b <= last; b++)
    d.busy[b] = for_write ? 0 : (uint8_t)(d.busy[b] - 1);
}

static void
submit_random (unsigned id)
{
  static const uint32_t sizes[] = {BLOCK, BLOCK, 65536, LARGE};

  if (rnd (200) == 0) {
    push (id, IO_FLUSH, 0, 0);
    return;
  }
  for (;;) {
    bool for_write = rnd (2);
    uint32_t length = sizes[rnd (4)];
    uint64_t offset;

    if (rnd (4) == 0)
      length = 1 + (uint32_t)rnd (length);
    offset = rnd (d.info.size - length + 1);
    if (rnd (2))
      offset -= offset % BLOCK;
    if (!claim (offset, length, for_write))
      continue;
    if (for_write) {
      uint8_t *p = chunk (CHANNEL_WRITE_ARENA, id);
      uint64_t seed = rnd (UINT64_MAX) | 1;

      for (uint32_t i = 0; i < length; i++)
        p[i] = (uint8_t)((seed = seed * 6364136223846793005ull + 1) >> 56);
      memcpy (d.model + offset, p, length);
    }
    push (id, for_write ? IO_WRITE : IO_READ, offset, length);
    return;
  }
}

static void
check_one (unsigned id)
{
  const struct op *o = &d.op[id];

  if (o->op == IO_FLUSH)
    return;
  if (o->op == IO_READ
      && memcmp (chunk (CHANNEL_READ_ARENA, id), d.model + o->offset,
                 o->length))
    die ("READ at %" PRIu64 "+%u differs from the model", o->offset,
         o->length);
  release (o->offset, o->length, o->op == IO_WRITE);
  d.bytes[o->op == IO_WRITE] += o->length;
}

static void
load_model (void)
{
  uint64_t at = 0, done = 0;

  d.model = malloc (d.info.size);
  d.busy = calloc (d.info.size / BLOCK + 1, 1);
  if (!d.model || !d.busy)
    die ("out of memory");
  while (done < d.info.size) {
    unsigned id;

    for (id = 0; id < DEPTH && at < d.info.size; id++) {
      uint64_t left = d.info.size - at;
      uint32_t n = left < LARGE ? (uint32_t)left : LARGE;

      if (!d.op[id].used) {
        push (id, IO_READ, at, n);
        at += n;
      }
    }
    wake ();
    id = finish ();
    memcpy (d.model + d.op[id].offset, chunk (CHANNEL_READ_ARENA, id),
            d.op[id].length);
    done += d.op[id].length;
  }
}

/* sshd's session: what a server that dies looks like to a client. */
static void
kill_sessions (void)
{
  char path[64], line[256];
  FILE *fp;
  char *p;

  snprintf (path, sizeof path, "/proc/%s/task/%s/children", opt.kill,
            opt.kill);
  fp = fopen (path, "r");
  if (!fp || !fgets (line, sizeof line, fp))
    die ("no children of process %s", opt.kill);
  fclose (fp);
  for (p = strtok (line, " \n"); p; p = strtok (NULL, " \n"))
    kill ((pid_t)atoi (p), SIGKILL);
  opt.kill = NULL;
}

void
verify (void)
{
  uint64_t start_ns = clock_now_ns ();

  load_model ();
  for (unsigned id = 0; id < DEPTH; id++)
    submit_random (id);
  wake ();
  while (d.in_flight) {
    unsigned id = finish ();

    check_one (id);
    if (opt.kill && d.bytes[0] > 16 * MIB)
      kill_sessions ();
    if (d.bytes[0] < opt.verify_bytes || d.bytes[1] < opt.verify_bytes)
      submit_random (id);
    if (!ring_has_input (&d.ring))
      wake ();
  }
  push (0, IO_FLUSH, 0, 0);
  wake ();
  (void)finish ();
  for (uint64_t at = 0; at < d.info.size; at += LARGE) {
    uint64_t left = d.info.size - at;
    uint32_t n = left < LARGE ? (uint32_t)left : LARGE;

    push (0, IO_READ, at, n);
    wake ();
    (void)finish ();
    if (memcmp (chunk (CHANNEL_READ_ARENA, 0), d.model + at, n))
      die ("the end differs from the model at %" PRIu64, at);
  }
  printf ("verified: %" PRIu64 " MiB read, %" PRIu64
          " MiB written at depth %u in %.1f s\n",
          d.bytes[0] / MIB, d.bytes[1] / MIB, DEPTH,
          (double)(clock_now_ns () - start_ns) / 1e9);
}

static double
worker_cpu_s (void)
{
  char path[40], text[512];
  unsigned long utime, stime;
  FILE *fp;
  char *p;

  snprintf (path, sizeof path, "/proc/%d/stat", (int)d.child.pid);
  fp = fopen (path, "r");
  if (!fp || !fgets (text, sizeof text, fp) || !(p = strrchr (text, ')'))
      || sscanf (p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                 &utime, &stime) != 2)
    return 0;
  fclose (fp);
  return (double)(utime + stime) / (double)sysconf (_SC_CLK_TCK);
}

void
bench (const char *name, uint16_t op, uint32_t length, unsigned depth,
       bool random, uint64_t total)
{
  uint64_t at = 0, done = 0, given = 0, start_ns = clock_now_ns ();
  double cpu_s = worker_cpu_s (), s;
  unsigned id = 0;

  if (!strstr (name, opt.bench))
    return;
  for (; done < total; done += length) {
    if (given < total && given - done < (uint64_t)depth * length) {
      for (; given < total && given - done < (uint64_t)depth * length;
           given += length) {
        while (d.op[id].used)
          id = (id + 1) % depth;
        at = random ? rnd (d.info.size / length) * length
                    : given % (d.info.size / length * length);
        push (id, op, at, length);
      }
      if (!ring_has_input (&d.ring))
        wake ();
    }
    (void)finish ();
  }
  s = (double)(clock_now_ns () - start_ns) / 1e9;
  printf ("%-22s %8.1f MiB/s %9.0f op/s, worker %.2f CPU s/GiB\n", name,
          (double)total / MIB / s, (double)(total / length) / s,
          (worker_cpu_s () - cpu_s) * 1024 * MIB / (double)total);
}

void
violate (int rule)
{
  union ring_entry e = {.request = {.id = 1, .op = IO_READ, .length = 4096}};
  struct ring_request *r = &e.request;

  switch (rule) {
  case 1:
    r->op = 77;
    break;
  case 2:
    r->op = IO_STATUS; /* its answer is longer than what it asks about */
    r->arena_offset = CHANNEL_ARENA_BYTES - 4096;
    break;
  case 3:
    r->length = CHANNEL_CHUNK_BYTES + 1;
    break;
  case 4:
    r->arena_offset = CHANNEL_ARENA_BYTES - 4095;
    break;
  case 5:
    r->flags = 0x80;
    break;
  case 6:
    r->length = 0;
    break;
  case 7:
    d.ring.tail += RING_ENTRIES + 4;
    break;
  default:
    die ("no such rule");
  }
  if (ring_push (&d.ring, &e) && rule != 7)
    die ("cannot push");
  if (rule == 7)
    atomic_store (&d.ring.mine->tail, d.ring.tail);
  wake ();
  hear ();
  die ("the worker did not notice");
}
