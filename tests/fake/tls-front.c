/* SPDX-License-Identifier: BSD-2-Clause */
/* tls-front --listen PORT --connect PORT --cert FILE --key FILE [option …]
 *
 * RPC over TLS (RFC 9289) in front of an NFS server that has none, on
 * 127.0.0.1: answers the question for TLS, is a TLS 1.3 server with ALPN
 * sunrpc, and hands on what comes through. A process for each connection.
 *
 *   --client-ca FILE   clients have to show a certificate that this one signed
 *   --fault NAME       plays a bad server, see faults[]
 *   --after BYTES      so many to the client, then the fault (of those that
 * come later than the handshake)
 *   --times N          for the first N connections only (default: all)
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/wire.h"

enum trouble {
  NONE,
  DENIED,     /* of the question: AUTH_BADCRED, as who does not know AUTH_TLS */
  NO_TOKEN,   /* it is answered, but without STARTTLS */
  SILENT_END, /* and the connection closed instead of an answer */
  CLEAR,      /* STARTTLS, and on in clear text */
  INJECT,     /* STARTTLS, a reply in clear text behind it, then TLS */
  GARBAGE,    /* STARTTLS, and then no TLS record */
  CUT,        /* in the middle of the handshake */
  TLS12,
  ALPN,      /* no protocol in common */
  NO_ALPN,   /* as if it did not know ALPN */
  HTTP_ALPN, /* chooses what was not offered */
  TRUNCATE, /* later: the connection is closed without close_notify */
  NOTIFY,   /* later: with it */
  CORRUPT,  /* later: a bit of a record is turned */
  REKEY,    /* later, again and again: KeyUpdate and new tickets */
};

static const char *const faults[] = {
    "none", "denied", "no-token", "silent-end", "clear",  "inject",  "garbage",
    "cut",  "tls12",  "alpn",     "no-alpn",    "http-alpn",
    "truncate", "notify", "corrupt", "rekey"};

static struct {
  int listen, connect;
  const char *cert, *key, *client_ca;
  enum trouble fault;
  size_t after_bytes;
  int times;
} opt = {.times = -1};

/* What waits to be written. */
struct queue {
  uint8_t *base;
  size_t used, size;
};

struct front {
  int client, server;
  SSL *ssl;
  BIO *in, *out;
  struct queue to_client, to_server;
  size_t told_bytes; /* plain text to the client */
  enum trouble fault;
  bool client_ended, server_ended;
};

static _Noreturn void
give_up (const char *what)
{
  perror (what);
  exit (1);
}

static void
queue_add (struct queue *q, const void *bytes, size_t n)
{
  if (q->used + n > q->size) {
    q->size = (q->used + n) * 2;
    q->base = realloc (q->base, q->size);
    if (!q->base)
      give_up ("realloc");
  }
  memcpy (q->base + q->used, bytes, n);
  q->used += n;
}

/* As much as goes without waiting. */
static bool
queue_write (struct queue *q, int fd)
{
  ssize_t n;

  if (!q->used)
    return true;
  n = send (fd, q->base, q->used, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0)
    return errno == EAGAIN || errno == EINTR;
  q->used -= (size_t)n;
  memmove (q->base, q->base + n, q->used);
  return true;
}

/* ----------------------------------------------------------- question --- */

static bool
read_all (int fd, uint8_t *dst, size_t n)
{
  while (n > 0) {
    ssize_t k = read (fd, dst, n);

    if (k <= 0)
      return false;
    dst += k;
    n -= (size_t)k;
  }
  return true;
}

/* RFC 5531 §9: accepted, with this verifier; or denied. Returns its length. */
static size_t
make_reply (uint8_t *dst, size_t dst_bytes, uint32_t xid, bool denied,
            const char *verifier)
{
  struct wirebuf b = wirebuf_init (dst + 4, dst_bytes - 4), mark;

  wirebuf_u32 (&b, xid);
  wirebuf_u32 (&b, 1); /* REPLY */
  wirebuf_u32 (&b, denied);
  if (denied) {
    wirebuf_u32 (&b, 1); /* AUTH_ERROR */
    wirebuf_u32 (&b, 1); /* AUTH_BADCRED */
  } else {
    wirebuf_u32 (&b, 0); /* AUTH_NONE */
    wirebuf_string (&b, verifier, strlen (verifier));
    wirebuf_u32 (&b, 0); /* SUCCESS */
  }
  mark = wirebuf_init (dst, 4);
  wirebuf_u32 (&mark, 0x80000000u | (uint32_t)b.used_bytes);
  return 4 + b.used_bytes;
}

/* Waits for the question, which must be as RFC 9289 §4.1 has it. False if the
 * connection ends with the answer.
 */
static bool
answer_question (struct front *t)
{
  uint8_t call[44], reply[256];
  struct wire w = wire_init (call, sizeof call);
  uint32_t field[11];
  size_t n;

  if (!read_all (t->client, call, sizeof call))
    return false;
  for (int i = 0; i < 11; i++)
    field[i] = wire_u32 (&w);
  /* mark; CALL, version 2, …, NULL, AUTH_TLS and AUTH_NONE, both empty */
  if (field[0] != (0x80000000u | 40) || field[2] != 0 || field[3] != 2
      || field[6] != 0 || field[7] != 7 || field[8] != 0 || field[9] != 0
      || field[10] != 0) {
    fprintf (stderr, "this is no question for TLS\n");
    return false;
  }
  if (t->fault == SILENT_END)
    return false;
  n = make_reply (reply, sizeof reply, field[1], t->fault == DENIED,
                  t->fault == NO_TOKEN ? "" : "STARTTLS");
  if (t->fault == INJECT || t->fault == CLEAR)
    n += make_reply (reply + n, sizeof reply - n, field[1] - 1, false, "");
  if (send (t->client, reply, n, MSG_NOSIGNAL) != (ssize_t)n)
    return false;
  if (t->fault == GARBAGE
      && send (t->client, "GET / HTTP/1.0 is no handshake\r\n\r\n", 35,
               MSG_NOSIGNAL)
             != 35)
    return false;
  return true;
}

/* ------------------------------------------------------------------ TLS --- */

static int
choose_protocol (SSL *ssl, const unsigned char **ret, unsigned char *ret_bytes,
                 const unsigned char *in, unsigned int in_bytes, void *ctx)
{
  static const unsigned char ours[] = "\6sunrpc";

  (void)ssl;
  (void)ctx;
  if (opt.fault == NO_ALPN)
    return SSL_TLSEXT_ERR_NOACK;
  if (opt.fault == HTTP_ALPN) {
    *ret = (const unsigned char *)"http/1.1";
    *ret_bytes = 8;
    return SSL_TLSEXT_ERR_OK;
  }
  if (opt.fault != ALPN
      && SSL_select_next_proto ((unsigned char **)(uintptr_t)ret, ret_bytes,
                                ours, sizeof ours - 1, in, in_bytes)
             == OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_OK;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *
make_context (void)
{
  SSL_CTX *ctx = SSL_CTX_new (TLS_server_method ());

  if (!ctx || SSL_CTX_use_certificate_chain_file (ctx, opt.cert) != 1
      || SSL_CTX_use_PrivateKey_file (ctx, opt.key, SSL_FILETYPE_PEM) != 1
      || (opt.client_ca
          && SSL_CTX_load_verify_file (ctx, opt.client_ca) != 1)) {
    ERR_print_errors_fp (stderr);
    exit (1);
  }
  SSL_CTX_set_min_proto_version (ctx, opt.fault == TLS12 ? TLS1_2_VERSION
                                                         : TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version (ctx, opt.fault == TLS12 ? TLS1_2_VERSION
                                                         : TLS1_3_VERSION);
  SSL_CTX_set_alpn_select_cb (ctx, choose_protocol, NULL);
  if (opt.client_ca)
    SSL_CTX_set_verify (ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                        NULL);
  return ctx;
}

/* Moves what TLS has made into the queue. */
static void
drain (struct front *t)
{
  uint8_t bytes[16384];
  int n;

  while ((n = BIO_read (t->out, bytes, sizeof bytes)) > 0) {
    if (t->fault == CORRUPT && SSL_is_init_finished (t->ssl)
        && t->told_bytes > opt.after_bytes)
      bytes[n / 2] ^= 1;
    queue_add (&t->to_client, bytes, (size_t)n);
  }
}

static bool
from_client (struct front *t)
{
  uint8_t bytes[65536];
  ssize_t n = read (t->client, bytes, sizeof bytes);
  int r;

  if (n <= 0)
    return false;
  BIO_write (t->in, bytes, (int)n);
  while ((r = SSL_read (t->ssl, bytes, sizeof bytes)) > 0)
    queue_add (&t->to_server, bytes, (size_t)r);
  drain (t);
  if (t->fault == CUT && t->to_client.used > 100) {
    t->to_client.used = 100;
    return queue_write (&t->to_client, t->client) && false;
  }
  switch (SSL_get_error (t->ssl, r)) {
  case SSL_ERROR_WANT_READ:
    return true;
  case SSL_ERROR_ZERO_RETURN:
    t->client_ended = true;
    return true;
  default:
    ERR_print_errors_fp (stderr);
    queue_write (&t->to_client, t->client);
    return false;
  }
}

static bool
from_server (struct front *t)
{
  uint8_t bytes[65536];
  ssize_t n = read (t->server, bytes, sizeof bytes);

  if (n <= 0) {
    t->server_ended = true;
    SSL_shutdown (t->ssl);
    drain (t);
    return true;
  }
  if (SSL_write (t->ssl, bytes, (int)n) != n)
    return false;
  t->told_bytes += (size_t)n;
  drain (t);
  if (t->told_bytes <= opt.after_bytes)
    return true;
  switch (t->fault) {
  case TRUNCATE:
    return false;
  case NOTIFY:
    t->server_ended = true;
    SSL_shutdown (t->ssl);
    drain (t);
    return true;
  case REKEY:
    t->told_bytes = 0;
    SSL_key_update (t->ssl, SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake (t->ssl);
    SSL_new_session_ticket (t->ssl);
    SSL_do_handshake (t->ssl);
    drain (t);
    return true;
  default:
    return true;
  }
}

/* ------------------------------------------------------------ one client ---
 */

static bool
turn (struct front *t)
{
  struct pollfd p[2] = {
      {.fd = t->client, .events = POLLIN},
      {.fd = SSL_is_init_finished (t->ssl) ? t->server : -1,
       .events = t->to_client.used < (4u << 20) ? POLLIN : 0}};

  if (t->to_client.used)
    p[0].events |= POLLOUT;
  if (t->to_server.used)
    p[1].events |= POLLOUT;
  if (poll (p, 2, -1) < 0)
    return errno == EINTR;
  if (!queue_write (&t->to_client, t->client)
      || !queue_write (&t->to_server, t->server))
    return false;
  if ((p[0].revents & ~POLLOUT) && !from_client (t))
    return false;
  if ((p[1].revents & ~POLLOUT) && !from_server (t))
    return false;
  return !((t->client_ended || t->server_ended) && !t->to_client.used
           && !t->to_server.used);
}

static int
dial (void)
{
  struct sockaddr_in a = {.sin_family = AF_INET,
                          .sin_port = htons ((uint16_t)opt.connect)};
  int fd = socket (AF_INET, SOCK_STREAM, 0);

  a.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  if (fd < 0 || connect (fd, (struct sockaddr *)&a, sizeof a))
    return -1;
  return fd;
}

static _Noreturn void
serve (SSL_CTX *ctx, int client, enum trouble fault)
{
  struct front t = {.client = client, .server = dial (), .fault = fault};

  if (t.server < 0 || !answer_question (&t) || fault == CLEAR)
    exit (0);
  t.ssl = SSL_new (ctx);
  t.in = BIO_new (BIO_s_mem ());
  t.out = BIO_new (BIO_s_mem ());
  if (!t.ssl || !t.in || !t.out)
    give_up ("SSL_new");
  SSL_set_bio (t.ssl, t.in, t.out);
  SSL_set_accept_state (t.ssl);
  while (turn (&t))
    ;
  exit (0);
}

/* ------------------------------------------------------------------ main ---
 */

static enum trouble
trouble_by_name (const char *name)
{
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
    if (strcmp (faults[i], name) == 0)
      return (enum trouble)i;
  fprintf (stderr, "no such fault: %s\n", name);
  exit (2);
}

static void
parse (int argc, char **argv)
{
  static const struct option options[] = {
      {"listen", 1, NULL, 'l'},
      {"connect", 1, NULL, 'c'},
      {"cert", 1, NULL, 'C'},
      {"key", 1, NULL, 'K'},
      {"client-ca", 1, NULL, 'A'},
      {"fault", 1, NULL, 'f'},
      {"after", 1, NULL, 'a'},
      {"times", 1, NULL, 't'},
      {0},
  };
  int c;

  while ((c = getopt_long (argc, argv, "", options, NULL)) != -1)
    switch (c) {
    case 'l':
      opt.listen = atoi (optarg);
      break;
    case 'c':
      opt.connect = atoi (optarg);
      break;
    case 'C':
      opt.cert = optarg;
      break;
    case 'K':
      opt.key = optarg;
      break;
    case 'A':
      opt.client_ca = optarg;
      break;
    case 'f':
      opt.fault = trouble_by_name (optarg);
      break;
    case 'a':
      opt.after_bytes = strtoul (optarg, NULL, 10);
      break;
    case 't':
      opt.times = atoi (optarg);
      break;
    default:
      exit (2);
    }
  if (!opt.listen || !opt.connect || !opt.cert || !opt.key)
    exit (2);
}

int
main (int argc, char **argv)
{
  struct sockaddr_in a = {.sin_family = AF_INET};
  int listener = socket (AF_INET, SOCK_STREAM, 0), on = 1;
  pid_t parent = getpid ();
  SSL_CTX *ctx;

  parse (argc, argv);
  ctx = make_context ();
  signal (SIGCHLD, SIG_IGN);
  a.sin_port = htons ((uint16_t)opt.listen);
  a.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  setsockopt (listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind (listener, (struct sockaddr *)&a, sizeof a) || listen (listener, 16))
    give_up ("bind");
  printf ("ready\n");
  fflush (stdout);
  for (int served = 0;; served++) {
    int fd = accept (listener, NULL, NULL);

    if (fd < 0)
      continue;
    if (fork () == 0) {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      close (listener);
      if (getppid () != parent)
        exit (0);
      serve (ctx, fd, opt.times < 0 || served < opt.times ? opt.fault : NONE);
    }
    close (fd);
  }
}
