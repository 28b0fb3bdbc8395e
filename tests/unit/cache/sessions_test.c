/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon and workers of protocols without SSH: CHAP, moves, the session
 * identity, goodbyes. See daemon_stage.h.
 */
#include "config.h"
#include "tests/unit/cache/daemon_stage.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "ipc/stripes.h"

/* secrets: 0, 1 (password=), 2 (and target-password=) */
static struct volume_spec
chap_spec (const char *path, unsigned secrets)
{
  struct volume_spec s = iscsi_spec (path);

  if (secrets > 0) {
    volume_spec_set (&s, "user", "me", -1);
    volume_spec_set (&s, "password", "(secret)", 0);
  }
  if (secrets > 1) {
    volume_spec_set (&s, "target-user", "it", -1);
    volume_spec_set (&s, "target-password", "(secret)", 1);
  }
  return s;
}

/* Until CHANNEL, whose identity page is the caller's. */
static int
open_session (const struct volume_spec *s, int *ret_identity_fd)
{
  int sock = connect_client (), fd[2] = {file_with ("the first secret", 16),
                                         file_with ("the second one", 14)};

  cache_came = false;
  send_hello (sock, CONTROL_VERSION);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  begin (CONTROL_OPEN);
  volume_spec_put (&b, s);
  control_add_fd (&m, fd[0]);
  control_add_fd (&m, fd[1]);
  CU_ASSERT_EQUAL (send_it (sock), ERR_OK);
  close (fd[0]);
  close (fd[1]);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  if (ret_identity_fd)
    *ret_identity_fd = control_take_fd (&m, CHANNEL_IDENTITY);
  return sock;
}

static int
open_script (const char *path, unsigned secrets)
{
  struct volume_spec s = chap_spec (path, secrets);
  int sock = open_session (&s, NULL);

  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_CHANNEL);
  control_close (&m);
  return sock;
}

/* Of the message that stands in m, or that comes. */
static struct fault
session_fault (int sock)
{
  struct fault f = {0};

  if (m.type == CONTROL_FAULT
      || (receive (sock) == ERR_OK && m.type == CONTROL_FAULT))
    f = fault_in ();
  else
    CU_FAIL ("no FAULT");
  control_close (&m);
  close (sock);
  return f;
}

static struct fault
script_fault (const char *path, unsigned secrets)
{
  int sock = open_script (path, secrets);

  return session_fault (sock);
}

static void
kill_and_expect_gone (int sock, uint64_t epoch)
{
  kill (worker_pid, SIGKILL);
  (void)expect_gone (sock, epoch);
}

static void
turn (unsigned times)
{
  for (unsigned i = 0; i < times; i++) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (1000);
  }
}

static void
no_host_key_no_login (void)
{
  int sock = open_script ("/ready", 0);

  expect_worker (sock, 1);
  kill_and_expect_gone (sock, 1);
  expect_worker (sock, 2);
  close (sock);
}

static void
what_belongs_to_ssh_is_refused (void)
{
  static const char *const paths[] = {"/hostkey", "/auth", "/sign"};

  for (size_t i = 0; i < 3; i++) {
    struct fault f = script_fault (paths[i], 1);

    CU_ASSERT_EQUAL (f.code, ERR_PEER);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "in state SEALED"));
  }
}

static void
chap_answers (void)
{
  int sock = open_script ("/chap", 1);

  expect_worker (sock, 1);
  kill_and_expect_gone (sock, 1);
  expect_worker (sock, 2); /* once a dial, not once a volume */
  close (sock);
  sock = open_script ("/no-chap", 0);
  expect_worker (sock, 1);
  close (sock);
}

static void
chap_that_breaks_a_rule (void)
{
  int sock;

  CU_ASSERT_PTR_NOT_NULL (
    strstr (script_fault ("/chap-twice", 1).text, "second CHAP answer"));
  /* mutual, but the target need not prove anything */
  CU_ASSERT_PTR_NOT_NULL (
    strstr (script_fault ("/mutual-skipped", 1).text, "exit status 16"));
  sock = open_script ("/chap-late", 1);
  expect_worker (sock, 1);
  CU_ASSERT_PTR_NOT_NULL (
    strstr (expect_gone (sock, 1).text, "after it was ready"));
  close (sock);
}

static void
no_ready_before_the_target_has_proven_itself (void)
{
  static const char *const paths[]
    = {"/ready", "/no-chap", "/mutual-skipped", "/mutual-wrong"};

  for (size_t i = 0; i < 4; i++) {
    struct fault f = script_fault (paths[i], 2);

    CU_ASSERT_EQUAL (f.code, ERR_AUTH);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "has not proven"));
  }
}

static void
half_a_credential_is_refused (void)
{
  static const struct {
    const char *key;
    int fd;
    const char *text;
  } half[] = {
    {"user", -1, "user= needs password="},
    {"password", 0, "password= needs user="},
    {"target-user", -1, "target-user= needs target-password="},
    {"target-password", 0, "target-password= needs target-user="},
  };
  struct volume_spec s;

  for (size_t i = 0; i < sizeof half / sizeof half[0]; i++) {
    s = iscsi_spec ("/ready");
    volume_spec_set (&s, half[i].key, "x", half[i].fd);
    CU_ASSERT_STRING_EQUAL (session_fault (open_session (&s, NULL)).text,
                            half[i].text);
  }
  s = iscsi_spec ("/ready");
  volume_spec_set (&s, "portals", "a,,b", -1);
  CU_ASSERT_PTR_NOT_NULL (
    strstr (session_fault (open_session (&s, NULL)).text, "portals=a,,b"));
}

static void
follows_a_move_and_returns_there (void)
{
  int sock = open_script ("/move", 0);

  expect_worker (sock, 2);
  kill_and_expect_gone (sock, 2);
  expect_worker (sock, 3); /* with what the first one handed over */
  close (sock);
}

/* WORKER of path 0 with so many sockets. */
static void
expect_lanes (int sock, uint64_t epoch, unsigned lanes)
{
  struct wire w;

  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_WORKER);
  CU_ASSERT_EQUAL (m.fds, 2 + lanes);
  w = wire_init (m.body, m.length_bytes);
  CU_ASSERT_EQUAL (wire_u8 (&w), 0);
  CU_ASSERT_EQUAL (wire_u64 (&w), epoch);
  wire_u32 (&w);
  CU_ASSERT_EQUAL (wire_u8 (&w), 1); /* one session for all */
  control_close (&m);
}

static int
open_three (const char *script)
{
  struct volume_spec s = iscsi_spec (script);
  int sock;

  volume_spec_set (&s, "connections", "3", -1);
  sock = open_session (&s, NULL);
  for (unsigned i = 0; i < 3; i++) {
    CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_CHANNEL);
    control_close (&m);
    if (i < 2)
      CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  }
  return sock;
}

/* One session has all three connections, and no other worker is started; the
 * next worker has them at once.
 */
static void
one_session_with_all_connections (void)
{
  int sock = open_three ("/lanes");

  expect_lanes (sock, 2, 3);
  kill_and_expect_gone (sock, 2);
  expect_lanes (sock, 3, 3);
  turn (50);
  CU_ASSERT_EQUAL (control_recv (sock, &m, 0), ERR_AGAIN);
  close (sock);
  sock = open_three ("/lanes-greedy");
  CU_ASSERT_PTR_NOT_NULL (
      strstr (session_fault (sock).text, "4 connections of 3"));
}

/* By ADOPT, as after another daemon: the first of three connections has a
 * worker with one socket. shared: whose session is for all of them. The script
 * is this test's alone: another volume of that name would have other stripes,
 * until it has gone.
 */
static int
adopt_three (const char *script, bool shared, pid_t *ret_worker)
{
  struct volume_spec s = iscsi_spec (script);
  int sock = connect_client (), fd[3], channel[3][CHANNEL_FDS];
  size_t bytes = stripes_bytes (1024);
  struct stripes *map;

  *ret_worker = fork ();
  if (*ret_worker == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    while (1)
      pause ();
  }
  fd[0] = memfd_create ("stripes", MFD_CLOEXEC);
  CU_ASSERT_EQUAL_FATAL (ftruncate (fd[0], (off_t)bytes), 0);
  map = mmap (NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd[0], 0);
  CU_ASSERT_FATAL (map != MAP_FAILED);
  stripes_format (map, 1024);
  munmap (map, bytes);
  fd[1] = (int)syscall (SYS_pidfd_open, *ret_worker, 0);
  fd[2] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  volume_spec_set (&s, "connections", "3", -1);
  cache_came = false;
  send_hello (sock, CONTROL_VERSION);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  begin (CONTROL_ADOPT);
  wirebuf_u8 (&b, 0);
  wirebuf_u8 (&b, 3);
  control_add_fd (&m, fd[0]);
  for (unsigned i = 0; i < 3; i++) {
    wirebuf_u64 (&b, i == 0);
    wirebuf_u8 (&b, i == 0);
    wirebuf_u32 (&b, 0);
    wirebuf_u8 (&b, i == 0 && shared);
    CU_ASSERT_EQUAL_FATAL (channel_create (channel[i]), ERR_OK);
    for (unsigned k = 0; k < CHANNEL_FDS; k++)
      control_add_fd (&m, channel[i][k]);
    for (unsigned k = 1; k < 3 && i == 0; k++)
      control_add_fd (&m, fd[k]);
  }
  volume_spec_put (&b, &s);
  CU_ASSERT_EQUAL (send_it (sock), ERR_OK);
  for (unsigned i = 0; i < 3; i++) {
    close (fd[i]);
    channel_close_fds (channel[i]);
  }
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL (m.type, CONTROL_ADOPTED);
  CU_ASSERT (cache_came);
  return sock;
}

/* Other sessions beside it would be against exclusive=yes, say. The next worker
 * has all connections.
 */
static void
a_session_for_all_is_taken_over_as_that (void)
{
  pid_t worker;
  int sock = adopt_three ("/lanes-adopted", true, &worker);

  turn (50);
  CU_ASSERT_EQUAL (control_recv (sock, &m, 0), ERR_AGAIN);
  kill (worker, SIGKILL);
  waitpid (worker, NULL, 0);
  expect_gone (sock, 1);
  expect_lanes (sock, 3, 3); /* 2 asked for them */
  turn (50);
  CU_ASSERT_EQUAL (control_recv (sock, &m, 0), ERR_AGAIN);
  close (sock);
}

static void
a_session_of_its_own_gets_others_beside_it (void)
{
  unsigned seen = 0;
  pid_t worker;
  int sock = adopt_three ("/ready-adopted", false, &worker);

  for (unsigned i = 0; i < 2; i++) {
    struct wire w;

    CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
    CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_WORKER);
    w = wire_init (m.body, m.length_bytes);
    seen |= 1u << wire_u8 (&w);
    control_close (&m);
  }
  CU_ASSERT_EQUAL (seen, 6);
  close (sock);
  kill (worker, SIGKILL);
  waitpid (worker, NULL, 0);
}

static void
a_stale_move_costs_one_attempt (void)
{
  int sock = open_script ("/move-stale", 0);

  expect_worker (sock, 2);
  kill_and_expect_gone (sock, 2);
  /* 3 fails there, 4 is sent on from home, 5 is there */
  expect_worker (sock, 5);
  close (sock);
}

static void
moves_while_it_serves (void)
{
  int sock = open_script ("/move-ready", 0);

  expect_worker (sock, 1);
  CU_ASSERT_PTR_NOT_NULL (
    strstr (expect_gone (sock, 1).text, "as the script says"));
  expect_worker (sock, 2);
  close (sock);
}

static void
moves_that_are_refused (void)
{
  struct volume_spec s;
  struct fault f = script_fault ("/move-in-circles", 0);

  CU_ASSERT_EQUAL (f.code, ERR_LIMIT);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "8 times"));
  f = script_fault ("/move-away", 0);
  CU_ASSERT_EQUAL (f.code, ERR_ACCESS);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "elsewhere.invalid"));
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "redirect=elsewhere.invalid:"));
  s = iscsi_spec ("/move-away");
  volume_spec_set (&s, "redirect", "no", -1);
  CU_ASSERT_EQUAL (session_fault (open_session (&s, NULL)).code, ERR_ACCESS);
}

/* Connection 0 is at the first of the portals, not at the URL's. */
static void
dials_a_portal (void)
{
  struct volume_spec s = iscsi_spec ("/ready");
  char portals[40];
  int sock;

  snprintf (portals, sizeof portals, "127.0.0.1:%s,127.0.0.1:2", port);
  volume_spec_set (&s, "portals", portals, -1);
  volume_spec_set (&s, "port", "1", -1);
  sock = open_session (&s, NULL);
  control_close (&m);
  expect_worker (sock, 1);
  close (sock);
}

static void
an_identity_that_kills_is_forgotten (void)
{
  struct volume_spec s = iscsi_spec ("/identity");
  uint8_t last = 0;
  int page, sock = open_session (&s, &page);

  control_close (&m);
  expect_worker (sock, 1);
  CU_ASSERT (pread (page, &last, 1, CHANNEL_IDENTITY_BYTES - 1) == 1
             && last == 0xaa);
  kill_and_expect_gone (sock, 1);
  expect_worker (sock, 5); /* three died */
  close (page);
  close (sock);
}

/* The gateway goes; its worker still has words for the server. */
static void
a_worker_may_say_goodbye (void)
{
  struct sockaddr_in sa = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  socklen_t n = sizeof sa;
  int server_fd, accepted, l = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct volume_spec s = iscsi_spec ("/leave");
  char number[8], heard[8] = "";
  ssize_t got = -1;
  int sock;

  CU_ASSERT_FATAL (bind (l, (struct sockaddr *)&sa, sizeof sa) == 0
                   && listen (l, 1) == 0);
  getsockname (l, (struct sockaddr *)&sa, &n);
  snprintf (number, sizeof number, "%u", ntohs (sa.sin_port));
  volume_spec_set (&s, "port", number, -1);
  sock = open_session (&s, NULL);
  control_close (&m);
  expect_worker (sock, 1);
  server_fd = accepted = accept (l, NULL, NULL);
  CU_ASSERT_FATAL (accepted >= 0);
  close (sock);
  for (int i = 0; i < 5000 && got < 0; i++) {
    turn (1);
    got = recv (server_fd, heard, 7, MSG_DONTWAIT);
  }
  CU_ASSERT_EQUAL (got, 7);
  CU_ASSERT_STRING_EQUAL (heard, "goodbye");
  /* and then it is fenced, and nothing of the volume is left */
  for (int i = 0; i < 5000 && d.leaving; i++)
    turn (1);
  CU_ASSERT_PTR_NULL (d.leaving);
  close (accepted);
  close (l);
}

static void
goodbyes_end_with_the_daemon (void)
{
  int sock = open_script ("/ready", 0);

  expect_worker (sock, 1);
  close (sock);
  for (int i = 0; i < 5000 && !d.leaving; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  /* stop () closes what is left */
}

static void
babbling_workers_do_no_harm (void)
{
  char path[32];

  for (int seed = 0; seed < 12; seed++) {
    snprintf (path, sizeof path, "/babble-%d", seed);
    CU_ASSERT_NOT_EQUAL (script_fault (path, 1).code, ERR_OK);
  }
}

/* Read-only, as a gateway opens it. */
static int
readable_file (const char *text, size_t n)
{
  char name[64];
  int fd = file_with (text, n), again;

  snprintf (name, sizeof name, "/proc/self/fd/%d", fd);
  again = open (name, O_RDONLY | O_CLOEXEC);
  CU_ASSERT_FATAL (again >= 0);
  close (fd);
  return again;
}

static int
pem_file (X509 *cert, EVP_PKEY *key)
{
  BIO *bio = BIO_new (BIO_s_mem ());
  char *text;
  long n;
  int fd;

  if (cert)
    PEM_write_bio_X509 (bio, cert);
  else
    PEM_write_bio_PKCS8PrivateKey (bio, key, NULL, NULL, 0, NULL, NULL);
  n = BIO_get_mem_data (bio, &text);
  fd = readable_file (text, (size_t)n);
  BIO_free (bio);
  return fd;
}

static int
open_tls (const char *path)
{
  struct volume_spec s = {.proto = "nfs"};
  EVP_PKEY *key = EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256");
  X509 *cert = X509_new ();
  int sock = connect_client (), fd[3];

  X509_gmtime_adj (X509_getm_notBefore (cert), 0);
  X509_gmtime_adj (X509_getm_notAfter (cert), 86400);
  X509_set_pubkey (cert, key);
  X509_sign (cert, key, EVP_sha256 ());
  fd[0] = readable_file ("roots", 5);
  fd[1] = pem_file (cert, NULL);
  fd[2] = pem_file (NULL, key);
  volume_spec_set (&s, "host", "127.0.0.1", -1);
  volume_spec_set (&s, "port", port, -1);
  volume_spec_set (&s, "path", path, -1);
  volume_spec_set (&s, "xprtsec", "mtls", -1);
  volume_spec_set (&s, "tls-hostname", "filer.example.org", -1);
  volume_spec_set (&s, "tls-ca", "ca", 0);
  volume_spec_set (&s, "tls-cert", "cert", 1);
  volume_spec_set (&s, "tls-key", "key", 2);
  send_hello (sock, CONTROL_VERSION);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  cache_came = false;
  begin (CONTROL_OPEN);
  volume_spec_put (&b, &s);
  for (int i = 0; i < 3; i++)
    control_add_fd (&m, fd[i]);
  CU_ASSERT_EQUAL (send_it (sock), ERR_OK);
  for (int i = 0; i < 3; i++)
    close (fd[i]);
  X509_free (cert);
  EVP_PKEY_free (key);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_CHANNEL);
  control_close (&m);
  return sock;
}

static void
signs_for_tls_once_a_dial (void)
{
  int sock = open_tls ("/tls");

  expect_worker (sock, 1);
  kill_and_expect_gone (sock, 1);
  expect_worker (sock, 2);
  close (sock);
  CU_ASSERT_PTR_NOT_NULL (strstr (
    session_fault (open_tls ("/tls-twice")).text, "more signatures of ours"));
}

static void
signs_nothing_else_for_tls (void)
{
  int sock;

  CU_ASSERT_PTR_NOT_NULL (strstr (
    session_fault (open_tls ("/tls-server")).text, "something else"));
  CU_ASSERT_PTR_NOT_NULL (strstr (script_fault ("/tls-none", 0).text,
                                  "without a certificate"));
  sock = open_tls ("/tls-late");
  expect_worker (sock, 1);
  CU_ASSERT_PTR_NOT_NULL (
    strstr (expect_gone (sock, 1).text, "in state READY"));
  close (sock);
}

UNIT_MAIN ("sessions", UNIT_TEST (start), UNIT_TEST (no_host_key_no_login),
           UNIT_TEST (what_belongs_to_ssh_is_refused),
           UNIT_TEST (chap_answers), UNIT_TEST (chap_that_breaks_a_rule),
           UNIT_TEST (no_ready_before_the_target_has_proven_itself),
           UNIT_TEST (half_a_credential_is_refused),
           UNIT_TEST (follows_a_move_and_returns_there),
           UNIT_TEST (one_session_with_all_connections),
           UNIT_TEST (a_session_for_all_is_taken_over_as_that),
           UNIT_TEST (a_session_of_its_own_gets_others_beside_it),
           UNIT_TEST (a_stale_move_costs_one_attempt),
           UNIT_TEST (moves_while_it_serves),
           UNIT_TEST (moves_that_are_refused), UNIT_TEST (dials_a_portal),
           UNIT_TEST (an_identity_that_kills_is_forgotten),
           UNIT_TEST (a_worker_may_say_goodbye),
           UNIT_TEST (signs_for_tls_once_a_dial),
           UNIT_TEST (signs_nothing_else_for_tls),
           UNIT_TEST (babbling_workers_do_no_harm),
           UNIT_TEST (goodbyes_end_with_the_daemon), UNIT_TEST (stop))
