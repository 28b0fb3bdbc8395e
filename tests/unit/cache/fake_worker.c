/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker that does what its volume's path says, for daemon_test: the honest
 * ones log in without a server, the others break one rule each. It is started
 * as real ones are, but seals nothing.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/volume.h"
#include "ipc/want.h"
#include "sandbox/fds.h"

#define WAIT_NS 5000000000ull
#define ALL_LAYERS 0x1ffffu

static struct control m;
static struct wirebuf b;
static uint64_t epoch;
static unsigned path; /* which connection of the volume */
static unsigned lanes, lanes_wanted;
static const char *identity;

static void
begin (enum control_type type)
{
  control_begin (&m, type);
  b = control_body (&m);
}

static void
send_it (void)
{
  if (control_send (WORKER_FD_DAEMON, &m, &b, WAIT_NS))
    _exit (10);
}

static struct wire
expect (enum control_type type)
{
  if (control_recv (WORKER_FD_DAEMON, &m, WAIT_NS) || m.type != type)
    _exit (11);
  return wire_init (m.body, m.length_bytes);
}

static void
sealed (uint32_t layers)
{
  begin (CONTROL_SEALED);
  wirebuf_u32 (&b, layers);
  send_it ();
}

/* daemon_test's known_hosts has "ssh-ed25519" with 32 bytes of good. */
static void
hostkey (uint8_t good)
{
  uint8_t blob[51], key[32];
  struct wirebuf k = wirebuf_init (blob, sizeof blob);

  memset (key, good, sizeof key);
  wirebuf_cstring (&k, "ssh-ed25519");
  wirebuf_string (&k, key, sizeof key);
  begin (CONTROL_HOSTKEY);
  wirebuf_string (&b, blob, sizeof blob);
  send_it ();
}

static void
auth (const char *methods)
{
  begin (CONTROL_AUTH);
  wirebuf_cstring (&b, methods);
  send_it ();
}

static void
sign (const char *user)
{
  static uint8_t key[4096], name[64];
  size_t key_bytes, name_bytes;
  struct wire w = expect (CONTROL_AUTH_KEY);
  const uint8_t *p = wire_string (&w, sizeof name, &name_bytes);
  uint8_t data[5000];
  struct wirebuf d = wirebuf_init (data, sizeof data);

  if (!p)
    _exit (12);
  memcpy (name, p, name_bytes);
  p = wire_string (&w, sizeof key, &key_bytes);
  if (!p || wire_end (&w))
    _exit (12);
  memcpy (key, p, key_bytes);
  wirebuf_cstring (&d, "the session");
  wirebuf_u8 (&d, 50);
  wirebuf_cstring (&d, user);
  wirebuf_cstring (&d, "ssh-connection");
  wirebuf_cstring (&d, "publickey");
  wirebuf_u8 (&d, 1);
  wirebuf_string (&d, name, name_bytes);
  wirebuf_string (&d, key, key_bytes);
  begin (CONTROL_SIGN);
  wirebuf_string (&b, data, d.used_bytes);
  send_it ();
}

static void
ready (void)
{
  struct volume_info i = {.size = epoch,
                          .block_min = 1,
                          .block_preferred = 4096,
                          .request_max = 65536};

  if (identity)
    snprintf (i.identity, sizeof i.identity, "%s", identity);
  begin (CONTROL_READY);
  volume_info_put (&b, &i);
  send_it ();
}

static void
fail (enum err e)
{
  struct fault f = {0};

  fault_set (&f, e, "the script says so");
  begin (CONTROL_FAIL);
  fault_put (&b, &f);
  send_it ();
  _exit (1);
}

static void
start_auth (void)
{
  sealed (ALL_LAYERS);
  hostkey (7);
  expect (CONTROL_HOSTKEY_OK);
  auth ("publickey");
}

static void
log_in (void)
{
  start_auth ();
  sign ("me");
  expect (CONTROL_SIGNATURE);
  ready ();
}

/* "/silent-N/FILE": comes to step N, says so by that file, and no more. */
static void
fall_silent (const char *how, bool is_sealed)
{
  int steps = how[0] - '0';

  if (steps >= 1 && !is_sealed)
    sealed (ALL_LAYERS);
  if (steps >= 2) {
    hostkey (7);
    expect (CONTROL_HOSTKEY_OK);
  }
  if (steps >= 3)
    auth ("publickey");
  close (open (how + 1, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* Any message in any order, until the daemon has enough. */
static void
babble (unsigned seed)
{
  sealed (ALL_LAYERS);
  for (int turn = 0; turn < 100; turn++) {
    size_t n;

    seed = seed * 1664525u + 1013904223u;
    begin ((enum control_type) (seed >> 16 & 127));
    if (seed >> 30 == 0) {
      hostkey ((uint8_t)(seed >> 8 & 7));
      continue;
    }
    n = seed >> 24;
    for (size_t i = 0; i < n; i++) {
      seed = seed * 1664525u + 1013904223u;
      wirebuf_u8 (&b, (uint8_t)((seed >> 24) >> (seed >> 20 & 7)));
    }
    if (control_send (WORKER_FD_DAEMON, &m, &b, WAIT_NS))
      _exit (0);
  }
  fail (ERR_INVAL);
}

/* For protocols without SSH. */

static char moved[64]; /* of CONFIG, as what follows */
static bool tls;
static char tls_name[256], tls_chain[16384];

static void
want (const struct proto_want *w)
{
  begin (CONTROL_WANT);
  want_put (&b, w);
  send_it ();
}

static void
chap (bool mutual)
{
  struct proto_want w = {.type = PROTO_WANT_CHAP, .algorithm = 5, .id = 1,
                         .mutual = mutual, .data_bytes = 4, .data = "abcd"};

  want (&w);
}

static void
expect_given (enum err error, size_t data_bytes, size_t challenge_bytes)
{
  struct wire w = expect (CONTROL_GIVEN);
  struct proto_given g;

  if (given_take (&w, &g) || wire_end (&w) || g.error != error
      || g.data_bytes != data_bytes || g.challenge_bytes != challenge_bytes)
    _exit (16);
}

static void
move_over (unsigned want_lanes, const char *host, const char *data)
{
  struct proto_want w = {.type = PROTO_WANT_MOVE, .why = "as the script says",
                         .lanes = (uint8_t)want_lanes,
                         .data_bytes = strlen (data)};

  strcpy (w.host, host);
  memcpy (w.data, data, w.data_bytes);
  want (&w);
  _exit (0);
}

static void
move (const char *host, const char *data)
{
  move_over (0, host, data);
}

/* Whether it has the sockets of so many lanes, and none beyond. */
static void
expect_lanes (unsigned n)
{
  struct sockaddr_storage sa;

  for (int i = 0; i < (int)PROTO_LANES_MAX; i++) {
    socklen_t sa_bytes = sizeof sa;

    if ((getpeername (WORKER_FD_NET + i, (struct sockaddr *)&sa, &sa_bytes)
         == 0)
        != (i < (int)n))
      _exit (22);
  }
  if (lanes != n)
    _exit (23);
}

/* What a client's CertificateVerify signs, or a server's (RFC 8446 §4.4.3). */
static void
cert_sign (const char *whose)
{
  uint8_t content[64 + 34 + 32];
  char context[35];

  snprintf (context, sizeof context, "TLS 1.3, %s CertificateVerify", whose);
  memset (content, ' ', 64);
  memcpy (content + 64, context, 34);
  memset (content + 98, 7, 32);
  begin (CONTROL_CERT_SIGN);
  wirebuf_u16 (&b, 0x0403);
  wirebuf_string (&b, content, sizeof content);
  send_it ();
}

static void
expect_cert_signature (void)
{
  struct wire w = expect (CONTROL_CERT_SIGNATURE);
  size_t n = 0;

  if (!wire_string (&w, 1024, &n) || wire_end (&w) || n < 64)
    _exit (21);
}

/* All that a worker is given for TLS, and no more. */
static void
check_tls (void)
{
  char roots[8] = "";

  if (!tls || strcmp (tls_name, "filer.example.org") != 0
      || !strstr (tls_chain, "BEGIN CERTIFICATE")
      || strstr (tls_chain, "PRIVATE")
      || pread (WORKER_FD_TRUST, roots, 5, 0) != 5
      || strcmp (roots, "roots") != 0
      || pwrite (WORKER_FD_TRUST, "x", 1, 0) != -1)
    _exit (20);
}

/* Dies of what stands in the identity page, until that is gone. */
static void
die_of_identity (void)
{
  uint8_t *page = mmap (NULL, CHANNEL_IDENTITY_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED, WORKER_FD_OBJECTS + CHANNEL_IDENTITY, 0);

  if (page == MAP_FAILED || page[4095] == 0xaa)
    _exit (3);
  page[4095] = 0xaa;
  ready ();
}

static void
play_without_ssh (const char *script)
{
#define IS(name) (strcmp (script, name) == 0)
  if (strncmp (script, "/babble-", 8) == 0)
    babble ((unsigned)atoi (script + 8));
  sealed (ALL_LAYERS);
  if (IS ("/ready") || IS ("/ready-adopted") || IS ("/leave")) {
    ready ();
  } else if (IS ("/hostkey")) {
    hostkey (7);
  } else if (IS ("/auth")) {
    auth ("password");
  } else if (IS ("/sign")) {
    begin (CONTROL_SIGN);
    send_it ();
  } else if (IS ("/chap") || IS ("/chap-late") || IS ("/chap-twice")) {
    if (IS ("/chap-late"))
      ready ();
    chap (false);
    expect_given (ERR_OK, 16, 0);
    if (IS ("/chap-twice"))
      chap (false);
    ready ();
  } else if (IS ("/no-chap")) {
    chap (false);
    expect_given (ERR_AUTH, 0, 0);
    ready ();
  } else if (IS ("/mutual-skipped")) {
    chap (true);
    expect_given (ERR_OK, 16, 16);
    ready ();
  } else if (IS ("/mutual-wrong")) {
    struct proto_want w = {.type = PROTO_WANT_CHAP_CHECK, .name = "it",
                           .data_bytes = 16};

    chap (true);
    expect_given (ERR_OK, 16, 16);
    want (&w);
    expect_given (ERR_AUTH, 0, 0);
    ready ();
  } else if (IS ("/move")) {
    if (strcmp (moved, "there") == 0)
      ready ();
    else
      move ("", "there");
  } else if (IS ("/lanes") || IS ("/lanes-adopted") || IS ("/lanes-greedy")) {
    if (lanes_wanted != (path == 0 ? 3 : 1))
      _exit (24);
    expect_lanes (moved[0] ? 3 : 1);
    if (path == 0 && !moved[0])
      move_over (IS ("/lanes-greedy") ? 4 : 3, "", "over three");
    ready ();
  } else if (IS ("/move-stale")) {
    /* the second time it leads nowhere */
    if (!moved[0])
      move ("", "there");
    if (epoch == 2 || epoch == 5)
      ready ();
    else
      fail (ERR_CLOSED);
  } else if (IS ("/move-ready")) {
    ready ();
    if (!moved[0])
      move ("", "there");
  } else if (IS ("/move-in-circles")) {
    move ("", "x");
  } else if (IS ("/move-away")) {
    move ("elsewhere.invalid", "");
  } else if (IS ("/tls") || IS ("/tls-twice")) {
    check_tls ();
    cert_sign ("client");
    expect_cert_signature ();
    if (IS ("/tls-twice"))
      cert_sign ("client");
    ready ();
  } else if (IS ("/tls-server")) {
    cert_sign ("server");
  } else if (IS ("/tls-late") || IS ("/tls-none")) {
    if (IS ("/tls-late"))
      ready ();
    cert_sign ("client");
  } else if (IS ("/identity")) {
    die_of_identity ();
  } else if (strncmp (script, "/silent-1", 9) == 0) {
    fall_silent (script + 8, true);
  }
#undef IS
}

/* Until the daemon or a signal ends us. */
static void
stay (void)
{
  while (control_recv (WORKER_FD_DAEMON, &m, WAIT_NS) != ERR_CLOSED)
    control_close (&m);
}

static void
play (const char *script)
{
#define IS(name) (strcmp (script, name) == 0)
  if (IS ("/ready")) {
    log_in ();
  } else if (IS ("/other-object")) {
    identity = path == 1 && epoch == 1 ? "another" : "the one";
    log_in ();
  } else if (IS ("/no-object")) {
    identity = path == 1 && epoch == 1 ? NULL : "the one";
    log_in ();
  } else if (IS ("/first-alone")) {
    if (path > 0 && epoch <= 4)
      fail (ERR_AUTH);
    log_in ();
  } else if (IS ("/ready-then-fail")) {
    log_in ();
    fail (ERR_CLOSED);
  } else if (IS ("/ready-twice")) {
    log_in ();
    ready ();
  } else if (IS ("/crash")) {
    log_in ();
    __builtin_trap ();
  } else if (IS ("/ready-early")) {
    sealed (ALL_LAYERS);
    ready ();
  } else if (IS ("/unsealed")) {
    hostkey (7);
  } else if (IS ("/no-layers")) {
    sealed (0);
  } else if (IS ("/wrong-key")) {
    sealed (ALL_LAYERS);
    hostkey (8);
  } else if (IS ("/auth-early")) {
    sealed (ALL_LAYERS);
    auth ("password");
  } else if (IS ("/auth-none")) {
    sealed (ALL_LAYERS);
    hostkey (7);
    expect (CONTROL_HOSTKEY_OK);
    auth ("keyboard-interactive");
    expect (CONTROL_AUTH_NONE);
  } else if (IS ("/refused")) {
    /* No signature for the key that was offered: what else is there? */
    start_auth ();
    sign ("me");
    if (expect (CONTROL_SIGNATURE).end - m.body != 4)
      _exit (15);
    auth ("publickey");
    expect (CONTROL_AUTH_NONE);
  } else if (IS ("/impatient")) {
    start_auth ();
    auth ("publickey");
  } else if (IS ("/impatient-to-sign")) {
    start_auth ();
    sign ("me");
    auth ("publickey");
  } else if (IS ("/dies-asking")) {
    start_auth ();
    _exit (3);
  } else if (IS ("/sign-for-root")) {
    sealed (ALL_LAYERS);
    hostkey (7);
    expect (CONTROL_HOSTKEY_OK);
    auth ("publickey");
    sign ("root");
  } else if (IS ("/with-fd")) {
    begin (CONTROL_SEALED);
    wirebuf_u32 (&b, ALL_LAYERS);
    control_add_fd (&m, 0);
    send_it ();
  } else if (IS ("/fail-noent")) {
    fail (ERR_NOENT);
  } else if (IS ("/fail-closed")) {
    fail (ERR_CLOSED);
  } else if (IS ("/exit")) {
    _exit (3);
  } else if (strncmp (script, "/babble-", 8) == 0) {
    babble ((unsigned)atoi (script + 8));
  } else if (strncmp (script, "/silent-", 8) == 0) {
    fall_silent (script + 8, false);
  }
#undef IS
}

int
main (void)
{
  static struct volume_spec spec;
  static char script[64], types[1024];
  struct wire w = expect (CONTROL_CONFIG);

  epoch = wire_u64 (&w);
  path = wire_u8 (&w);
  lanes = wire_u8 (&w);
  lanes_wanted = wire_u8 (&w);
  if (volume_spec_take (&w, 0, &spec) || !volume_spec_get (&spec, "path")
      || strlen (volume_spec_get (&spec, "path")) >= sizeof script)
    return 13;
  /* What only the daemon may know must not come along. */
  if (volume_spec_get (&spec, "host") || volume_spec_get (&spec, "identity"))
    return 14;
  strcpy (script, volume_spec_get (&spec, "path"));
  wire_cstring (&w, types, sizeof types);
  wire_cstring (&w, moved, sizeof moved);
  tls = wire_u8 (&w);
  wire_cstring (&w, tls_name, sizeof tls_name);
  wire_cstring (&w, tls_chain, sizeof tls_chain);
  if (wire_end (&w))
    return 17;
  if (strcmp (spec.proto, "sftp") == 0)
    play (script);
  else
    play_without_ssh (script);
  stay ();
  if (strcmp (script, "/leave") == 0
      && send (WORKER_FD_NET, "goodbye", 7, MSG_NOSIGNAL) != 7)
    return 18;
  return 0;
}
