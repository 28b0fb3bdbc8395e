/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's half of its conversation with the daemon, from its first message
 * on: the table of legal messages, host keys, signatures, CHAP, moves, READY.
 *
 *   input   = how u8, *message
 *   message = type u8, length u16, body
 *
 * how: 1 a protocol that logs in by SSH, 2 a password, 4 the target's password
 * (mutual CHAP), 8 moves are allowed, 16 a certificate for TLS, 32 two
 * connections. What the daemon answers must hold no secret but what the table
 * of control.h says, and each line of its log must be one line.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/supervisor_private.h"
#include "tests/unit/cache/keys_vectors.h"

#define PASSWORD "canary: our password"
#define TARGET_PASSWORD "canary: the target's"
#define MESSAGES 24u

/* What lasts: it is the same for each input. */
static struct {
  struct daemon daemon;
  struct log log;
  struct volume_spec spec;
  struct login_config ssh, others;
  EVP_PKEY *tls_key;
  uint8_t tls_secret[32]; /* its private number */
  int pair[2];            /* the daemon's end, the worker's */
  int known_hosts;
  /* A fuzzer learns the secrets out of the comparisons; a worker that says one
   * may hear it again in what is said of its own words.
   */
  bool said;
  unsigned signatures; /* for TLS, in this conversation */
} g;

static void
emit (void *ctx, enum log_level level, const char *line)
{
  (void)ctx;
  (void)level;
  for (const char *c = line; *c; c++)
    MUST ((unsigned char)*c >= ' ' && *c != 0x7f);
}

static enum err
check (void *ctx, const struct volume_info *info, struct fault *f)
{
  (void)ctx;
  (void)f;
  MUST (volume_info_check (info));
  return ERR_OK;
}

static void
worker (void *ctx, uint64_t epoch, const struct volume_info *info,
        const struct supervisor_worker *fds)
{
  (void)epoch;
  (void)info;
  (void)fds;
  *(bool *)ctx = true;
}

static const struct supervisor_hooks hooks = {.check = check, .worker = worker};

static void
set_up_ssh (struct login_config *c)
{
  static const char line[] = "h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBw"
                             "cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n";

  login_config_init (c);
  c->ssh = true;
  strcpy (c->host, "h");
  c->port = 22;
  strcpy (c->user, "me");
  g.known_hosts = memfd_create ("known_hosts", MFD_CLOEXEC);
  MUST (write (g.known_hosts, line, sizeof line - 1)
        == (ssize_t)sizeof line - 1);
  c->known_hosts[0].name = strdup ("known_hosts");
  c->known_hosts[0].fd = g.known_hosts;
  c->known_hosts_files = 1;
  c->key[0].name = strdup ("id_ed25519");
  MUST (!ssh_key_load (key_vectors[0].text, strlen (key_vectors[0].text), NULL,
                       &c->key[0].key, NULL));
  c->keys = 1;
}

static void
set_up_others (struct login_config *c)
{
  login_config_init (c);
  strcpy (c->host, "h");
  c->port = 3260;
  strcpy (c->user, "me");
  strcpy (c->target_user, "it");
  place_list_parse ("a.example:3260,b.example", 3260, &c->portals);
  place_list_parse ("c.example", 3260, &c->moves.allowed);
  c->tls.on = true;
  memset (g.tls_secret, 0xa5, sizeof g.tls_secret);
  g.tls_key = EVP_PKEY_new_raw_private_key (EVP_PKEY_ED25519, NULL,
                                            g.tls_secret, sizeof g.tls_secret);
  MUST (g.tls_key);
}

static void
set_up (void)
{
  if (g.daemon.loop)
    return;
  g.daemon.loop = ev_loop_new (EVFLAG_NOENV);
  g.log = (struct log){LOG_LEVEL_DEBUG, emit, NULL};
  g.daemon.log = &g.log;
  strcpy (g.spec.proto, "sftp");
  MUST (g.daemon.loop
        && socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
                       0, g.pair)
               == 0);
  set_up_ssh (&g.ssh);
  set_up_others (&g.others);
}

static void
never (struct ev_loop *loop, ev_timer *w, int events)
{
  (void)loop;
  (void)w;
  (void)events;
}

static void
never_io (struct ev_loop *loop, ev_io *w, int events)
{
  (void)loop;
  (void)w;
  (void)events;
}

static void
begin (struct supervisor *s, struct login_config *c, uint8_t how, bool *ready)
{
  static const struct place home = {"h", 3260};
  struct fault f = {0};

  memset (&g.daemon.chap_issued, 0, sizeof g.daemon.chap_issued);
  c->has_password = how & 2;
  c->has_target_password = how & 4;
  strcpy (c->password, how & 2 ? PASSWORD : "");
  strcpy (c->target_password, how & 4 ? TARGET_PASSWORD : "");
  c->moves.moves = c->moves.hosts = how & 8;
  c->tls.key = how & 16 ? g.tls_key : NULL;
  s->c = (struct supervisor_config){.daemon = &g.daemon,
                                    .name = "volume",
                                    .spec = &g.spec,
                                    .login = c,
                                    .paths = how & 32 ? 2 : 1,
                                    .hooks = &hooks,
                                    .hooks_ctx = ready};
  s->worker.pidfd = s->worker.gateway_fd = -1;
  s->worker.control_fd = g.pair[0];
  s->worker.lanes = how & 32 ? 2 : 1;
  ev_init (&s->deadline, never);
  ev_init (&s->acknowledge, never);
  ev_io_init (&s->worker.control_readable, never_io, g.pair[0], EV_READ);
  s->state = SUP_SPAWNED;
  route_init (&s->route, &home);
  s->addresses.count = 1;
  s->addresses.a[0].family = AF_INET;
  MUST (!login_begin (&s->login, c, &f));
}

static bool
has (const uint8_t *bytes, size_t n, const char *secret)
{
  return memmem (bytes, n, secret, strlen (secret)) != NULL;
}

/* RFC 8446 section 4.4.3: u16 scheme, u32 length, 64 spaces, the context and a
 * zero byte, a hash.
 */
static bool
may_be_signed (const uint8_t *body, size_t n)
{
  static const char context[] = "TLS 1.3, client CertificateVerify";

  return body && n > 6 + 64 + sizeof context && body[6] == ' '
         && memcmp (body + 6, body + 7, 63) == 0
         && memcmp (body + 6 + 64, context, sizeof context) == 0;
}

/* What the worker is told; cert_sign: what it wants signed by the key for TLS,
 * or NULL.
 */
static void
hear (const uint8_t *cert_sign, size_t cert_sign_bytes)
{
  static uint8_t bytes[CONTROL_BODY_BYTES + 64];
  ssize_t n;

  while ((n = recv (g.pair[1], bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    unsigned type = n > 1 ? (unsigned)bytes[0] << 8 | bytes[1] : 0;

    MUST (type >= CONTROL_CONFIG && type < CONTROL_GO);
    MUST (g.said || !has (bytes, (size_t)n, TARGET_PASSWORD));
    MUST (type == CONTROL_AUTH_PASSWORD || g.said
          || !has (bytes, (size_t)n, PASSWORD));
    g.signatures += type == CONTROL_CERT_SIGNATURE;
    MUST (type != CONTROL_CERT_SIGNATURE
          || may_be_signed (cert_sign, cert_sign_bytes));
    MUST (g.said
          || !memmem (bytes, (size_t)n, g.tls_secret, sizeof g.tls_secret));
  }
}

/* Of one message; false: the daemon ends the worker. */
static bool
say (struct supervisor *s, struct wire *w)
{
  static uint8_t packet[2 + UINT16_MAX];
  uint8_t type = wire_u8 (w);
  size_t n = wire_u16 (w);
  const uint8_t *body;

  if (n > wire_left (w))
    n = wire_left (w);
  body = wire_bytes (w, n);
  if (!body)
    return false;
  packet[0] = 0;
  packet[1] = type;
  memcpy (packet + 2, body, n);
  if (send (g.pair[1], packet, 2 + n, MSG_DONTWAIT) < 0)
    return false;
  sup_converse (s);
  hear (type == CONTROL_CERT_SIGN ? body : NULL, n);
  return s->state >= SUP_SPAWNED && s->state <= SUP_READY;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct wire w = wire_init (data, size);
  uint8_t how = wire_u8 (&w);
  struct login_config *c;
  struct supervisor *s = calloc (1, sizeof *s);
  bool ready = false;

  if (!s)
    return 0;
  set_up ();
  g.signatures = 0;
  g.said = has (data, size, "canary")
           || memmem (data, size, g.tls_secret, sizeof g.tls_secret);
  c = how & 1 ? &g.ssh : &g.others;
  begin (s, c, how, &ready);
  for (unsigned i = 0; i < MESSAGES && wire_left (&w) && say (s, &w); i++)
    MUST (ready == (s->state == SUP_READY));
  MUST (g.signatures <= s->worker.lanes); /* a handshake each */
  if (s->state == SUP_DYING)
    MUST (s->why.code ? s->why.text[0] : true);
  ev_timer_stop (g.daemon.loop, &s->deadline);
  ev_timer_stop (g.daemon.loop, &s->acknowledge);
  /* What was not read when it ended. */
  while (recv (g.pair[0], &how, 1, MSG_DONTWAIT) > 0)
    ;
  login_end (&s->login);
  chap_end (&s->chap);
  free (s);
  return 0;
}
