/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's messages, and the connection, whose other end is the test. */
#include "config.h"
#include "cache/agent.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/cache/page_that_waits.h"
#include "tests/unit/unit.h"

static uint8_t bytes[8192];

/* A blob: its type and n bytes of something. */
static size_t
make_blob (const char *type, size_t n, uint8_t *dst)
{
  struct wirebuf b = wirebuf_init (dst, SSH_KEY_BLOB_BYTES + 100);
  uint8_t *p;

  wirebuf_cstring (&b, type);
  p = wirebuf_room (&b, n);
  if (p)
    memset (p, 'k', n);
  return b.used_bytes;
}

static void
put_key (struct wirebuf *b, const char *type, const char *comment)
{
  uint8_t blob[SSH_KEY_BLOB_BYTES + 100];

  wirebuf_string (b, blob, make_blob (type, 40, blob));
  wirebuf_cstring (b, comment);
}

static void
lists_the_keys_that_we_can_use (void)
{
  static struct agent_key k;
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire w;
  char name[32];
  size_t at = 0;

  wirebuf_u8 (&b, 12);
  wirebuf_u32 (&b, 5);
  put_key (&b, "ssh-dss", "old");
  put_key (&b, "ssh-rsa", "my \033[2J key");
  put_key (&b, "ssh-ed25519-cert-v01@openssh.com", "certificate");
  put_key (&b, "sk-ssh-ed25519@openssh.com", "token");
  put_key (&b, "ecdsa-sha2-nistp384", "");
  CU_ASSERT (agent_next_key (bytes, b.used_bytes, &at, &k));
  CU_ASSERT_STRING_EQUAL (k.algorithm, "rsa-sha2-256");
  CU_ASSERT_STRING_EQUAL (k.comment, "my ?[2J key");
  w = wire_init (k.blob, k.blob_bytes);
  wire_cstring (&w, name, sizeof name);
  CU_ASSERT_STRING_EQUAL (name, "ssh-rsa");
  CU_ASSERT (agent_next_key (bytes, b.used_bytes, &at, &k));
  CU_ASSERT_STRING_EQUAL (k.algorithm, "ecdsa-sha2-nistp384");
  CU_ASSERT (!agent_next_key (bytes, b.used_bytes, &at, &k));
  /* cut anywhere: fewer keys, no crash */
  for (size_t n = 0; n < b.used_bytes; n++)
    for (at = 0; agent_next_key (bytes, n, &at, &k);)
      CU_ASSERT (at <= n);
}

static void
odd_lists_have_no_keys (void)
{
  static struct agent_key k;
  static uint8_t blob[SSH_KEY_BLOB_BYTES + 100];
  size_t at = 0;
  uint32_t random = 3;

  CU_ASSERT (!agent_next_key (bytes, 0, &at, &k));
  bytes[0] = 5;
  CU_ASSERT (!agent_next_key (bytes, 1, &at, &k));
  CU_ASSERT_EQUAL (
      agent_key_take (blob, make_blob ("ssh-ed25519", 0, blob), &k), ERR_INVAL);
  CU_ASSERT_EQUAL (
      agent_key_take (blob, make_blob ("ssh-rsa", SSH_KEY_BLOB_BYTES, blob),
                      &k),
      ERR_INVAL);
  CU_ASSERT_EQUAL (
      agent_key_take (blob,
                      make_blob ("ssh-rsa", SSH_KEY_BLOB_BYTES - 11, blob), &k),
      ERR_OK); /* just fits */
  for (int turn = 0; turn < 20000; turn++) {
    uint8_t junk[200] = {12};
    unsigned steps = 0;

    for (size_t i = 1; i < sizeof junk; i++) {
      random = random * 1664525u + 1013904223u;
      junk[i] = (random >> 28) < 11 ? 0 : (uint8_t)(random >> 16 & 63);
    }
    for (at = 0; agent_next_key (junk, sizeof junk, &at, &k); steps++)
      CU_ASSERT_FATAL (steps < sizeof junk);
  }
}

static void
asks_for_sha256_of_rsa_keys_alone (void)
{
  static const struct {
    const char *type;
    uint32_t flags;
  } cases[] = {{"ssh-rsa", 2}, {"ssh-ed25519", 0}, {"ecdsa-sha2-nistp256", 0}};

  for (size_t i = 0; i < 3; i++) {
    static struct agent_key k;
    uint8_t blob[SSH_KEY_BLOB_BYTES + 100];
    struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
    struct wire w;
    const uint8_t *p;
    size_t n;

    CU_ASSERT_EQUAL (
        agent_key_take (blob, make_blob (cases[i].type, 40, blob), &k), ERR_OK);
    agent_put_sign (&b, &k, (const uint8_t *)"data", 4);
    w = wire_init (bytes, b.used_bytes);
    CU_ASSERT_EQUAL (wire_u32 (&w), b.used_bytes - 4);
    CU_ASSERT_EQUAL (wire_u8 (&w), 13);
    p = wire_string (&w, 4096, &n);
    CU_ASSERT (p && n == k.blob_bytes && memcmp (p, blob, n) == 0);
    p = wire_string (&w, 4096, &n);
    CU_ASSERT (p && n == 4 && memcmp (p, "data", 4) == 0);
    CU_ASSERT_EQUAL (wire_u32 (&w), cases[i].flags);
    CU_ASSERT_EQUAL (wire_end (&w), ERR_OK);
  }
}

static enum err
take (uint8_t type, const char *algorithm, size_t sig_bytes, size_t extra)
{
  static struct agent_key k = {.algorithm = "rsa-sha2-256"};
  static uint8_t sig[SSH_SIGNATURE_BYTES + 1];
  uint8_t inner[SSH_SIGNATURE_BYTES + 100];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wirebuf s = wirebuf_init (inner, sizeof inner);
  const uint8_t *p = NULL;
  size_t n = 0;
  enum err e;

  wirebuf_cstring (&s, algorithm);
  wirebuf_string (&s, sig, sig_bytes);
  wirebuf_u8 (&b, type);
  wirebuf_string (&b, inner, s.used_bytes);
  wirebuf_bytes (&b, sig, extra);
  e = agent_take_signature (bytes, b.used_bytes, &k, &p, &n);
  CU_ASSERT_EQUAL (n, e ? 0 : sig_bytes);
  return e;
}

static void
takes_the_signature_that_was_asked_for (void)
{
  static struct agent_key k = {.algorithm = "ssh-ed25519"};
  const uint8_t *p;
  size_t n;

  CU_ASSERT_EQUAL (take (14, "rsa-sha2-256", 256, 0), ERR_OK);
  CU_ASSERT_EQUAL (take (14, "ssh-rsa", 256, 0), ERR_PEER);
  CU_ASSERT_EQUAL (take (14, "rsa-sha2-256", 0, 0), ERR_PEER);
  CU_ASSERT_EQUAL (take (14, "rsa-sha2-256", 256, 1), ERR_PEER);
  CU_ASSERT_EQUAL (take (14, "rsa-sha2-256", SSH_SIGNATURE_BYTES + 1, 0),
                   ERR_PEER);
  CU_ASSERT_EQUAL (take (12, "rsa-sha2-256", 256, 0), ERR_PEER);
  CU_ASSERT_EQUAL (take (5, "", 0, 0), ERR_AUTH);
  CU_ASSERT_EQUAL (agent_take_signature (bytes, 0, &k, &p, &n), ERR_PEER);
}

/* The connection */

static struct daemon d;
static bool apart;
static struct agent *agent;
static int fd, peer;
static unsigned answers;
static size_t answer_bytes;
static uint8_t answer[64];
static struct fault why;

static void
on_answer (void *ctx, const uint8_t *p, size_t n, const struct fault *f)
{
  (void)ctx;
  answers++;
  answer_bytes = p ? n : 0;
  if (p)
    memcpy (answer, p, n < sizeof answer ? n : sizeof answer);
  why = f ? *f : (struct fault){0};
}

static void
begin (void)
{
  int sock[2];

  CU_ASSERT_EQUAL_FATAL (socketpair (AF_UNIX, SOCK_STREAM, 0, sock), 0);
  d.loop = ev_loop_new (EVFLAG_NOENV);
  fd = sock[0];
  peer = sock[1];
  answers = 0;
  CU_ASSERT_EQUAL_FATAL (agent_open (&d, fd, 4001, apart, &agent), ERR_OK);
}

static void
end (void)
{
  agent_close (agent);
  ev_loop_destroy (d.loop);
  close (fd);
  if (peer >= 0)
    close (peer);
}

static void
turn (void)
{
  for (int i = 0; i < 5; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
}

static struct agent_question *
ask (uint8_t what)
{
  uint8_t question[] = {0, 0, 0, 1, what};
  struct agent_question *q = NULL;

  CU_ASSERT_EQUAL (
      agent_ask (agent, question, sizeof question, on_answer, NULL, &q, &why),
      ERR_OK);
  return q;
}

static void
say (const void *p, size_t n)
{
  CU_ASSERT_EQUAL (write (peer, p, n), (ssize_t)n);
  turn ();
}

static uint8_t
heard (void)
{
  uint8_t question[5] = {0};

  return recv (peer, question, 5, MSG_DONTWAIT) == 5 ? question[4] : 0;
}

static void
one_question_at_a_time (void)
{
  begin ();
  ask (1);
  ask (2);
  CU_ASSERT_EQUAL (heard (), 1);
  CU_ASSERT_EQUAL (heard (), 0);
  say ("\0\0", 2);
  say ("\0\2", 2);
  say ("a", 1);
  CU_ASSERT_EQUAL (answers, 0);
  say ("b\0\0\0\1", 5); /* the next answer, too early, is not lost */
  CU_ASSERT_EQUAL (answers, 1);
  CU_ASSERT_EQUAL (answer_bytes, 2);
  CU_ASSERT_EQUAL (heard (), 2);
  say ("c", 1);
  CU_ASSERT_EQUAL (answers, 2);
  CU_ASSERT_EQUAL (answer[0], 'c');
  end ();
}

static void
the_answer_for_who_has_gone_is_not_the_nexts (void)
{
  begin ();
  agent_cancel (ask (1));
  ask (2);
  CU_ASSERT_EQUAL (heard (), 1);
  say ("\0\0\0\1a", 5);
  CU_ASSERT_EQUAL (answers, 0);
  CU_ASSERT_EQUAL (heard (), 2);
  say ("\0\0\0\1b", 5);
  CU_ASSERT_EQUAL (answers, 1);
  CU_ASSERT_EQUAL (answer[0], 'b');
  /* nobody asked */
  say ("\0\0\0\1x", 5);
  ask (3);
  say ("\0\0\0\1c", 5);
  CU_ASSERT_EQUAL (answers, 2);
  CU_ASSERT_EQUAL (answer[0], 'c');
  end ();
}

static void
an_agent_that_goes_is_gone (void)
{
  struct agent_question *q;
  begin ();
  ask (1);
  ask (2);
  close (peer);
  peer = -1;
  turn ();
  CU_ASSERT_EQUAL (answers, 2);
  CU_ASSERT_EQUAL (answer_bytes, 0);
  CU_ASSERT_STRING_EQUAL (why.text, "the agent has gone");
  CU_ASSERT_EQUAL (
      agent_ask (agent, (const uint8_t *)"x", 1, on_answer, NULL, &q, &why),
      ERR_CLOSED);
  end ();
  /* gone before it is asked, and the answer is not within the question */
  begin ();
  close (peer);
  peer = -1;
  ask (1);
  CU_ASSERT_EQUAL (answers, 0);
  turn ();
  CU_ASSERT_EQUAL (answers, 1);
  end ();
}

/* In the middle of an answer. */
static void
another_connection_takes_its_place (void)
{
  int pair[2];

  begin ();
  ask (1);
  ask (2);
  say ("\0\0\0\3a", 5);
  CU_ASSERT_EQUAL_FATAL (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
  agent_renew (agent, pair[0]);
  CU_ASSERT_EQUAL (answers, 2);
  CU_ASSERT_STRING_EQUAL (why.text, "the agent has gone");
  close (peer);
  peer = pair[1];
  turn ();
  ask (3);
  CU_ASSERT_EQUAL (heard (), 3);
  say ("\0\0\0\1c", 5);
  CU_ASSERT_EQUAL (answers, 3);
  CU_ASSERT_EQUAL (answer[0], 'c');
  end ();
  close (pair[0]);
}

static void
lengths_out_of_bounds_end_it (void)
{
  static const uint8_t lengths[][4] = {
      {0, 0, 0, 0}, {0, 4, 0, 1}, {255, 255, 255, 255}};

  for (size_t i = 0; i < 3; i++) {
    begin ();
    ask (1);
    say (lengths[i], 4);
    CU_ASSERT_EQUAL (answers, 1);
    CU_ASSERT_EQUAL (why.code, ERR_CLOSED);
    end ();
  }
}

static void
questions_are_bounded (void)
{
  static uint8_t much[AGENT_QUESTION_BYTES + 1];
  struct agent_question *q;
  begin ();
  CU_ASSERT_EQUAL (
      agent_ask (agent, much, sizeof much, on_answer, NULL, &q, &why),
      ERR_LIMIT);
  for (int i = 0; i < AGENT_QUESTIONS; i++)
    ask (1);
  CU_ASSERT_EQUAL (agent_ask (agent, much, 5, on_answer, NULL, &q, &why),
                   ERR_LIMIT);
  end ();
  CU_ASSERT_EQUAL (answers, 0);
}

/* Another user's: by a relay */

static const struct quota_limits limits = {
    .volumes = 1, .workers = 1, .memory_bytes = 1, .dials = 1};

static void
begin_apart (void)
{
  char self[PATH_MAX] = "";
  char *base = self;

  CU_ASSERT_FATAL (readlink ("/proc/self/exe", self, sizeof self - 1) > 0);
  for (int i = 0; i < 4; i++) /* tests/unit/cache/agent_test */
    base = dirname (base);
  snprintf (d.relay_path, sizeof d.relay_path, "%s/bulkhead-relay", base);
  d.child_stderr_fd = -1;
  quota_init (&d.quota, &limits);
  apart = true;
  begin ();
}

static unsigned
relays (void)
{
  return d.quota.user[0].has.relays;
}

/* Turns the loop until *n is what is wanted, or ten seconds. */
static bool
becomes (unsigned (*count) (void), unsigned wanted)
{
  uint64_t end_ms = clock_now_ms () + 10000;

  while (count () != wanted && clock_now_ms () < end_ms) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (500);
  }
  return count () == wanted;
}

static unsigned
answers_now (void)
{
  return answers;
}

static void
end_apart (void)
{
  agent_close (agent);
  CU_ASSERT (becomes (relays, 0));
  apart = false;
  ev_loop_destroy (d.loop);
  close (fd);
  if (peer >= 0)
    close (peer);
}

/* What was asked comes whole, however slowly it goes. */
static void
hears (size_t length_bytes)
{
  static uint8_t in[AGENT_QUESTION_BYTES];
  size_t used = 0;

  while (used < length_bytes) {
    ssize_t n = recv (peer, in + used, length_bytes - used, 0);

    CU_ASSERT_FATAL (n > 0);
    used += (size_t)n;
  }
  CU_ASSERT_EQUAL (in[4], 13);
  CU_ASSERT_EQUAL (in[length_bytes - 1], 'q');
}

static void
a_relay_passes_on_what_is_long (void)
{
  static uint8_t question[AGENT_QUESTION_BYTES];
  static uint8_t said[4 + AGENT_ANSWER_BYTES] = {0, 4, 0, 0};
  struct agent_question *q;
  size_t sent = 0;

  begin_apart ();
  CU_ASSERT_EQUAL (relays (), 0); /* nobody has asked */
  memset (question, 'q', sizeof question);
  question[4] = 13;
  CU_ASSERT_EQUAL (agent_ask (agent, question, sizeof question, on_answer, NULL,
                              &q, &why),
                   ERR_OK);
  CU_ASSERT_EQUAL (relays (), 1);
  turn ();
  hears (sizeof question);
  while (sent < sizeof said) {
    ssize_t n = send (peer, said + sent, sizeof said - sent, MSG_DONTWAIT);

    sent += n > 0 ? (size_t)n : 0;
    turn ();
  }
  CU_ASSERT (becomes (answers_now, 1));
  CU_ASSERT_EQUAL (answer_bytes, AGENT_ANSWER_BYTES);
  end_apart ();
}

static void
a_relay_ends_with_its_agent (void)
{
  begin_apart ();
  ask (1);
  ask (2);
  close (peer);
  peer = -1;
  CU_ASSERT (becomes (answers_now, 2));
  CU_ASSERT_STRING_EQUAL (why.text, "the agent has gone");
  CU_ASSERT (becomes (relays, 0));
  end_apart ();
}

static void *
receive_into_page (void *page)
{
  (void)!recv (fd, page, 1, 0);
  return NULL;
}

/* The process that this one has started waits for a lock. */
static unsigned
child_sleeps_deep (void)
{
  char path[64], line[256] = "", *p;
  long child = 0;
  FILE *in;

  snprintf (path, sizeof path, "/proc/self/task/%d/children", (int)getpid ());
  if ((in = fopen (path, "re"))) {
    if (fscanf (in, "%ld", &child) != 1)
      child = 0;
    fclose (in);
  }
  snprintf (path, sizeof path, "/proc/%ld/stat", child);
  if ((in = fopen (path, "re"))) {
    if (!fgets (line, sizeof line, in))
      line[0] = 0;
    fclose (in);
  }
  return (p = strrchr (line, ')')) && strncmp (p, ") D", 3) == 0;
}

/* Who holds its lock holds up the relay, which counts for as long. */
static void
a_locked_agent_holds_nothing_up (void)
{
  struct uffdio_zeropage give;
  struct agent_question *q;
  struct agent *other;
  struct uffd_msg fault;
  pthread_t thread;
  char *page;
  int uffd;

  if (!(page = page_that_waits (&uffd))) {
    printf (" (only root's pages can wait) ");
    return;
  }
  begin_apart ();
  alarm (60);
  CU_ASSERT_EQUAL (write (peer, "\0", 1), 1);
  pthread_create (&thread, NULL, receive_into_page, page);
  CU_ASSERT_EQUAL (read (uffd, &fault, sizeof fault), sizeof fault);
  ask (13);
  CU_ASSERT (becomes (child_sleeps_deep, 1));
  turn ();
  CU_ASSERT_EQUAL (answers, 0);
  agent_close (agent);
  turn ();
  CU_ASSERT_EQUAL (relays (), 1);
  /* as many as volumes */
  CU_ASSERT_EQUAL (agent_open (&d, fd, 4001, true, &other), ERR_OK);
  CU_ASSERT_EQUAL (agent_ask (other, (const uint8_t *)"\0\0\0\1\13", 5,
                              on_answer, NULL, &q, &why),
                   ERR_LIMIT);
  CU_ASSERT_STRING_EQUAL (
      why.text, "uid 4001 has its 1 connections to an ssh-agent already");
  agent = other;
  give = (struct uffdio_zeropage){.range = {(uintptr_t)page, 4096}};
  CU_ASSERT_EQUAL (ioctl (uffd, UFFDIO_ZEROPAGE, &give), 0);
  pthread_join (thread, NULL);
  CU_ASSERT (becomes (relays, 0));
  alarm (0);
  munmap (page, 4096);
  close (uffd);
  end_apart ();
}

UNIT_MAIN ("agent", UNIT_TEST (lists_the_keys_that_we_can_use),
           UNIT_TEST (odd_lists_have_no_keys),
           UNIT_TEST (asks_for_sha256_of_rsa_keys_alone),
           UNIT_TEST (takes_the_signature_that_was_asked_for),
           UNIT_TEST (one_question_at_a_time),
           UNIT_TEST (the_answer_for_who_has_gone_is_not_the_nexts),
           UNIT_TEST (an_agent_that_goes_is_gone),
           UNIT_TEST (another_connection_takes_its_place),
           UNIT_TEST (lengths_out_of_bounds_end_it),
           UNIT_TEST (questions_are_bounded),
           UNIT_TEST (a_relay_passes_on_what_is_long),
           UNIT_TEST (a_relay_ends_with_its_agent),
           UNIT_TEST (a_locked_agent_holds_nothing_up))
