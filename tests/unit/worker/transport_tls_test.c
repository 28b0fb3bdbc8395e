/* SPDX-License-Identifier: BSD-2-Clause */
/* The TLS transport against OpenSSL's server in the same process, which gets
 * and gives bytes as the test likes: one by one, or in pieces of any size.
 */
#include "config.h"
#include "worker/tls.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "cache/tls_login.h"
#include "common/clock.h"
#include "tests/unit/unit.h"
#include "worker/broker.h"

#define HELLO "tls?"
#define WELCOME "certainly"
#define SECOND 1000000000ull

/* --------------------------------------------------------- certificates --- */

struct identity {
  EVP_PKEY *key;
  X509 *cert;
};

static struct identity root, other, server_id;

/* san NULL: a root. days may be negative. */
static struct identity
make_identity (const char *kind, const char *san, const struct identity *by,
               int days)
{
  struct identity i = {.cert = X509_new ()};
  X509_NAME *name;
  X509V3_CTX ctx;
  X509_EXTENSION *e;

  i.key = strcmp (kind, "EC") == 0
              ? EVP_PKEY_Q_keygen (NULL, NULL, "EC", "P-256")
          : strcmp (kind, "RSA") == 0
              ? EVP_PKEY_Q_keygen (NULL, NULL, "RSA", (size_t)2048)
              : EVP_PKEY_Q_keygen (NULL, NULL, kind);
  CU_ASSERT_FATAL (i.key && i.cert);
  X509_set_version (i.cert, X509_VERSION_3);
  ASN1_INTEGER_set (X509_get_serialNumber (i.cert), 1);
  X509_gmtime_adj (X509_getm_notBefore (i.cert), -86400L * 10);
  X509_gmtime_adj (X509_getm_notAfter (i.cert), 86400L * days);
  X509_set_pubkey (i.cert, i.key);
  name = X509_get_subject_name (i.cert);
  X509_NAME_add_entry_by_txt (name, "CN", MBSTRING_ASC,
                              (const uint8_t *)(by ? "server" : "root"), -1, -1,
                              0);
  X509_set_issuer_name (i.cert, by ? X509_get_subject_name (by->cert) : name);
  X509V3_set_ctx (&ctx, by ? by->cert : i.cert, i.cert, NULL, NULL, 0);
  e = san ? X509V3_EXT_conf_nid (NULL, &ctx, NID_subject_alt_name, san)
          : X509V3_EXT_conf_nid (NULL, &ctx, NID_basic_constraints,
                                 "critical,CA:TRUE");
  CU_ASSERT_FATAL (e && X509_add_ext (i.cert, e, -1));
  X509_EXTENSION_free (e);
  CU_ASSERT_FATAL (X509_sign (i.cert, by ? by->key : i.key, EVP_sha256 ()) > 0);
  return i;
}

static void
add_extension (struct identity *i, int nid, const char *value)
{
  X509_EXTENSION *e = value ? X509V3_EXT_conf_nid (NULL, NULL, nid, value)
                            : NULL;

  CU_ASSERT_FATAL (!value || (e && X509_add_ext (i->cert, e, -1)));
  X509_EXTENSION_free (e);
}

static void
free_identity (struct identity *i)
{
  EVP_PKEY_free (i->key);
  X509_free (i->cert);
}

static int
pem_file (X509 *cert, EVP_PKEY *key)
{
  int fd = memfd_create ("pem", 0);
  BIO *bio = BIO_new (BIO_s_mem ());
  char *text;
  long n;

  if (cert)
    PEM_write_bio_X509 (bio, cert);
  if (key)
    PEM_write_bio_PrivateKey (bio, key, NULL, NULL, 0, NULL, NULL);
  n = BIO_get_mem_data (bio, &text);
  CU_ASSERT_FATAL (fd >= 0 && write (fd, text, (size_t)n) == n);
  BIO_free (bio);
  return fd;
}

/* --------------------------------------------------------------- engine --- */

static enum err
welcome (const struct proto *p, const uint8_t *bytes, size_t n,
         size_t *ret_more, struct fault *f)
{
  (void)p;
  if (n < strlen (WELCOME)) {
    *ret_more = strlen (WELCOME) - n;
    return ERR_AGAIN;
  }
  CU_ASSERT_EQUAL (n, strlen (WELCOME)); /* and not one more */
  return memcmp (bytes, WELCOME, n) == 0
             ? ERR_OK
             : fault_set (f, ERR_NOTSUP, "it says something else");
}

static const struct proto_ops engine = {.name = "fake", .welcome = welcome};

/* ---------------------------------------------------------------- scene --- */

static struct {
  const struct transport_ops *ops;
  struct transport *t;
  int net[2];    /* ours, the server's */
  int broker[2]; /* the worker's, the daemon's */
  SSL_CTX *ctx;
  SSL *ssl;
  bool server_done; /* when it ended */
  BIO *in, *out;    /* of the server's */
  struct fault f;
  struct broker b;
} s;

/* What a test wants otherwise. */
static struct {
  const struct identity *server, *trusted;
  const struct identity *client; /* NULL: none */
  const char *name;
  int version;
  const char *alpn; /* what the server chooses; "": nothing; NULL: sunrpc */
  bool any_alpn;
} want;

static void
defaults (void)
{
  memset (&want, 0, sizeof want);
  want.server = &server_id;
  want.trusted = &root;
  want.name = "server.example.org";
  want.version = TLS1_3_VERSION;
}

static int
select_alpn (SSL *ssl, const unsigned char **ret, unsigned char *ret_bytes,
             const unsigned char *in, unsigned int in_bytes, void *ctx)
{
  (void)ssl;
  (void)ctx;
  CU_ASSERT (in_bytes == 7 && memcmp (in, "\6sunrpc", 7) == 0);
  if (want.alpn && !want.alpn[0])
    return SSL_TLSEXT_ERR_NOACK;
  *ret = want.alpn ? (const unsigned char *)want.alpn : in + 1;
  *ret_bytes = want.alpn ? (unsigned char)strlen (want.alpn) : 6;
  return SSL_TLSEXT_ERR_OK;
}

static void
open_server (void)
{
  s.ctx = SSL_CTX_new (TLS_server_method ());
  SSL_CTX_set_min_proto_version (s.ctx, want.version);
  SSL_CTX_set_max_proto_version (s.ctx, want.version);
  SSL_CTX_set_alpn_select_cb (s.ctx, select_alpn, NULL);
  CU_ASSERT_FATAL (SSL_CTX_use_certificate (s.ctx, want.server->cert) == 1
                   && SSL_CTX_use_PrivateKey (s.ctx, want.server->key) == 1);
  X509_STORE_add_cert (SSL_CTX_get_cert_store (s.ctx), root.cert);
  if (want.client)
    SSL_CTX_set_verify (
        s.ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  s.ssl = SSL_new (s.ctx);
  s.in = BIO_new (BIO_s_mem ());
  s.out = BIO_new (BIO_s_mem ());
  SSL_set_bio (s.ssl, s.in, s.out);
  SSL_set_accept_state (s.ssl);
}

static void
begin (void)
{
  static char chain[BROKER_TLS_CHAIN_BYTES];
  struct transport_config c = {.ops = &engine,
                               .hello = (const uint8_t *)HELLO,
                               .hello_bytes = strlen (HELLO),
                               .tls_name = want.name,
                               .tls_chain = chain,
                               .tls_any_alpn = want.any_alpn};
  ssize_t n;
  int fd;

  memset (&s, 0, sizeof s);
  CU_ASSERT_FATAL (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s.net)
                       == 0
                   && socketpair (AF_UNIX, SOCK_SEQPACKET, 0, s.broker) == 0);
  open_server ();
  memset (chain, 0, sizeof chain);
  if (want.client) {
    fd = pem_file (want.client->cert, NULL);
    n = pread (fd, chain, sizeof chain - 1, 0);
    CU_ASSERT (n > 0);
    close (fd);
  }
  s.b.fd = s.broker[0];
  c.broker = &s.b;
  c.fd = s.net[0];
  c.trust_fd = pem_file (want.trusted->cert, NULL);
  s.ops = transport_find (PROTO_OVER_TLS);
  CU_ASSERT_EQUAL_FATAL (s.ops->open (&c, &s.t, &s.f), ERR_OK);
  s.t->deadline_ns = clock_now_ns () + 10 * SECOND;
  close (c.trust_fd);
}

static void
end (void)
{
  if (s.t)
    s.ops->close (s.t);
  s.server_done = SSL_is_init_finished (s.ssl);
  SSL_free (s.ssl);
  SSL_CTX_free (s.ctx);
  for (int i = 0; i < 2; i++) {
    close (s.net[i]);
    close (s.broker[i]);
  }
}

/* What the client has sent, into the server. */
static size_t
to_server (void)
{
  uint8_t bytes[65536];
  size_t all = 0;
  ssize_t n;

  do {
    (void)s.ops->flush (s.t, &s.f);
    n = read (s.net[1], bytes, sizeof bytes);
    if (n > 0)
      BIO_write (s.in, bytes, (int)n);
    all += n > 0 ? (size_t)n : 0;
  } while (n > 0);
  return all;
}

/* Bytes to the client, in pieces of at most step; advances behind each. */
static enum err
deliver (const uint8_t *bytes, size_t n, size_t step)
{
  enum err e = ERR_AGAIN;

  for (size_t k; n > 0 && e == ERR_AGAIN; bytes += k, n -= k) {
    k = n < step ? n : step;
    CU_ASSERT_FATAL (write (s.net[1], bytes, k) == (ssize_t)k);
    s.ops->ready (s.t, POLLIN);
    e = tls_advance (s.t, &s.f);
  }
  return e;
}

static enum err
deliver_flight (size_t step)
{
  static uint8_t flight[65536];
  int n = BIO_read (s.out, flight, sizeof flight);

  return n > 0 ? deliver (flight, (size_t)n, step) : ERR_AGAIN;
}

/* Up to an open session, or the error that prevents it. */
static enum err
shake_hands (size_t step)
{
  char hello[sizeof HELLO] = "";
  enum err e;

  CU_ASSERT_EQUAL (tls_advance (s.t, &s.f), ERR_AGAIN);
  (void)s.ops->flush (s.t, &s.f);
  CU_ASSERT_EQUAL (read (s.net[1], hello, sizeof hello), strlen (HELLO));
  CU_ASSERT_STRING_EQUAL (hello, HELLO);
  e = deliver ((const uint8_t *)WELCOME, strlen (WELCOME), step);
  for (int i = 0; i < 4 && e == ERR_AGAIN; i++) {
    to_server ();
    (void)SSL_do_handshake (s.ssl);
    e = deliver_flight (step);
  }
  to_server ();
  (void)SSL_do_handshake (s.ssl);
  return e;
}

/* ----------------------------------------------------------------- tests ---
 */

static void
any_pieces_make_the_same_handshake (void)
{
  static const size_t steps[] = {1, 2, 3, 5, 7, 16, 100, 1000, 65536};

  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    const unsigned char *alpn;
    unsigned alpn_bytes;

    defaults ();
    begin ();
    CU_ASSERT_EQUAL (shake_hands (steps[i]), ERR_OK);
    CU_ASSERT (SSL_is_init_finished (s.ssl));
    CU_ASSERT_EQUAL (SSL_version (s.ssl), TLS1_3_VERSION);
    SSL_get0_alpn_selected (s.t->ssl, &alpn, &alpn_bytes);
    CU_ASSERT (alpn_bytes == 6 && memcmp (alpn, "sunrpc", 6) == 0);
    CU_ASSERT_STRING_EQUAL (
        SSL_get_servername (s.ssl, TLSEXT_NAMETYPE_host_name), want.name);
    end ();
  }
}

/* Reads all that is there, in places of any size. */
static size_t
take (uint8_t *dst, size_t n, size_t place)
{
  size_t all = 0, got;
  enum err e;

  while (all < n) {
    size_t room = n - all < place ? n - all : place;

    e = s.ops->read (s.t, (struct iovec){dst + all, room}, &got, &s.f);
    if (e) {
      CU_ASSERT_EQUAL (e, ERR_AGAIN);
      CU_ASSERT (!s.ops->pending (s.t));
      return all;
    }
    CU_ASSERT (got > 0 && got <= room);
    all += got;
  }
  return all;
}

/* Records, new tickets and new keys among them, cut anywhere. */
static void
any_pieces_give_the_same_bytes (void)
{
  static uint8_t sent[40000], got[40000], wire[65536];

  for (size_t i = 0; i < sizeof sent; i++)
    sent[i] = (uint8_t)(i * 7 + i / 251);
  for (size_t step = 1; step < 3000; step = step * 3 + 1) {
    size_t have = 0;
    int n;

    defaults ();
    begin ();
    CU_ASSERT_EQUAL_FATAL (shake_hands (65536), ERR_OK);
    SSL_write (s.ssl, sent, 300);
    SSL_key_update (s.ssl, SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake (s.ssl);
    SSL_write (s.ssl, sent + 300, 1);
    SSL_new_session_ticket (s.ssl);
    SSL_do_handshake (s.ssl);
    SSL_write (s.ssl, sent + 301, sizeof sent - 301);
    n = BIO_read (s.out, wire, sizeof wire);
    for (int at = 0, k; at < n; at += k) {
      k = n - at < (int)step ? n - at : (int)step;
      CU_ASSERT_FATAL (write (s.net[1], wire + at, (size_t)k) == k);
      s.ops->ready (s.t, POLLIN);
      have += take (got + have, sizeof got - have, step * 5 % 777 + 1);
    }
    CU_ASSERT_EQUAL (have, sizeof got);
    CU_ASSERT (memcmp (sent, got, sizeof got) == 0);
    end ();
  }
}

static void
pieces_are_written_in_order (void)
{
  static uint8_t big[300000], got[400000];
  uint8_t small[3] = {1, 2, 3};
  struct iovec iov[3] = {{small, 1}, {small + 1, 2}, {big, sizeof big}};
  size_t all = 3 + sizeof big, sent = 0, have = 0;

  for (size_t i = 0; i < sizeof big; i++)
    big[i] = (uint8_t)(i * 13 + i / 509);
  defaults ();
  begin ();
  CU_ASSERT_EQUAL_FATAL (shake_hands (65536), ERR_OK);
  while (sent < all) {
    struct iovec left[3];
    size_t skip = sent, pieces = 0, n = 0;
    int r;

    for (int i = 0; i < 3; i++) {
      size_t part = skip < iov[i].iov_len ? skip : iov[i].iov_len;

      skip -= part;
      if (part < iov[i].iov_len)
        left[pieces++] = (struct iovec){(uint8_t *)iov[i].iov_base + part,
                                        iov[i].iov_len - part};
    }
    CU_ASSERT_EQUAL_FATAL (s.ops->write (s.t, left, pieces, &n, &s.f), ERR_OK);
    CU_ASSERT_FATAL (n > 0);
    sent += n;
    to_server ();
    while ((r = SSL_read (s.ssl, got + have, (int)(sizeof got - have))) > 0)
      have += (size_t)r;
  }
  CU_ASSERT_EQUAL (have, all);
  CU_ASSERT (memcmp (got, small, 3) == 0
             && memcmp (got + 3, big, sizeof big) == 0);
  end ();
}

/* A server that does not read stops us, not our memory. */
static void
a_full_socket_is_waited_for (void)
{
  static uint8_t big[1 << 17];
  struct iovec iov = {big, sizeof big};
  size_t n, sent = 0;
  enum err e;

  defaults ();
  begin ();
  CU_ASSERT_EQUAL_FATAL (shake_hands (65536), ERR_OK);
  while (!(e = s.ops->write (s.t, &iov, 1, &n, &s.f)) && sent < (8u << 20))
    sent += n;
  CU_ASSERT_EQUAL (e, ERR_AGAIN);
  CU_ASSERT_EQUAL (s.ops->events (s.t), POLLIN | POLLOUT);
  CU_ASSERT (to_server () > sent);
  CU_ASSERT_EQUAL (s.ops->write (s.t, &iov, 1, &n, &s.f), ERR_OK);
  end ();
}

static void
the_two_ends_are_told_apart (void)
{
  uint8_t dst[8];
  size_t n;

  for (int clean = 0; clean < 2; clean++) {
    uint8_t wire[8192];
    int k;

    defaults ();
    begin ();
    CU_ASSERT_EQUAL_FATAL (shake_hands (65536), ERR_OK);
    SSL_write (s.ssl, "last", 4);
    if (clean)
      SSL_shutdown (s.ssl);
    k = BIO_read (s.out, wire, sizeof wire);
    CU_ASSERT (write (s.net[1], wire, (size_t)k) == k);
    shutdown (s.net[1], SHUT_WR);
    s.ops->ready (s.t, POLLIN);
    CU_ASSERT_EQUAL (take (dst, 4, 8), 4); /* what came still counts */
    s.ops->ready (s.t, POLLIN | POLLHUP);
    CU_ASSERT_EQUAL (s.ops->read (s.t, (struct iovec){dst, 8}, &n, &s.f),
                     ERR_CLOSED);
    CU_ASSERT_PTR_NOT_NULL (
        strstr (s.f.text, clean ? "ended the TLS session" : "cut off"));
    end ();
  }
}

/* RFC 9289 §5.1.1: a Closure Alert is sent at the end. */
static void
the_end_is_said (void)
{
  uint8_t bytes[4096];
  ssize_t n;

  defaults ();
  begin ();
  CU_ASSERT_EQUAL_FATAL (shake_hands (65536), ERR_OK);
  CU_ASSERT_EQUAL (SSL_get_shutdown (s.ssl), 0);
  s.ops->close (s.t);
  s.t = NULL;
  n = read (s.net[1], bytes, sizeof bytes);
  CU_ASSERT_FATAL (n > 0);
  BIO_write (s.in, bytes, (int)n);
  CU_ASSERT_EQUAL (SSL_read (s.ssl, bytes, 1), 0);
  CU_ASSERT_EQUAL (SSL_get_error (s.ssl, 0), SSL_ERROR_ZERO_RETURN);
  end ();
}

static void
refused (enum err wanted, const char *words)
{
  enum err e;

  begin ();
  e = shake_hands (65536);
  CU_ASSERT_EQUAL (e, wanted);
  if (!strstr (s.f.text, words))
    fprintf (stderr, "%s\n", s.f.text);
  CU_ASSERT_PTR_NOT_NULL (strstr (s.f.text, words));
  CU_ASSERT_EQUAL (s.t->state, TLS_ENDED);
  end ();
}

static void
certificates_that_are_not_taken (void)
{
  struct identity expired =
      make_identity ("EC", "DNS:server.example.org", &root, -1);
  struct identity wild = make_identity ("EC", "DNS:*.example.org", &root, 1);
  struct identity nameless = make_identity ("EC", "IP:127.0.0.2", &root, 1);

  defaults ();
  want.name = "another.example.org";
  refused (ERR_HOSTKEY,
           "not for another.example.org, but for server.example.org");
  defaults ();
  want.name = "127.0.0.1"; /* the certificate has 127.0.0.2 */
  refused (ERR_HOSTKEY, "not for 127.0.0.1");
  defaults ();
  want.name = "server"; /* its common name */
  refused (ERR_HOSTKEY, "not for server");
  want.server = &nameless;
  refused (ERR_HOSTKEY, "not for server");
  defaults ();
  want.server = &expired;
  refused (ERR_HOSTKEY, "has expired");
  defaults ();
  want.trusted = &other;
  refused (ERR_HOSTKEY, "not trusted");
  defaults ();
  want.version = TLS1_2_VERSION;
  refused (ERR_NOTSUP, "no TLS 1.3");
  defaults ();
  want.server = &wild; /* RFC 9289 §5.2.1 */
  refused (ERR_HOSTKEY, "not for server.example.org, but for *.example.org");

  defaults ();
  want.name = "127.0.0.2";
  begin ();
  CU_ASSERT_EQUAL (shake_hands (65536), ERR_OK);
  CU_ASSERT_PTR_NULL (SSL_get_servername (s.ssl, TLSEXT_NAMETYPE_host_name));
  end ();
  defaults ();
  want.server = &wild;
  want.name = "*.example.org";
  begin ();
  CU_ASSERT_EQUAL (shake_hands (65536), ERR_OK);
  end ();
  free_identity (&expired);
  free_identity (&wild);
  free_identity (&nameless);
}

static void
accepted (void)
{
  begin ();
  CU_ASSERT_EQUAL (shake_hands (65536), ERR_OK);
  CU_ASSERT (SSL_is_init_finished (s.ssl));
  end ();
}

/* RFC 9289 §5: ALPN is to be confirmed, and nobody hears who we are before. */
static void
the_server_confirms_the_protocol (void)
{
  static const char *const others[] = {"http/1.1", "sunrpc2", "sunrp"};
  struct identity me = make_identity ("EC", "DNS:client", &root, 1);

  for (int client = 0; client < 2; client++) {
    defaults ();
    want.client = client ? &me : NULL;
    want.alpn = "";
    refused (ERR_NOTSUP, "does not confirm");
    CU_ASSERT_PTR_NOT_NULL (strstr (s.f.hint, "tls-alpn=no"));
    CU_ASSERT (!s.server_done);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
      for (int any = 0; any < 2; any++) {
        want.alpn = others[i];
        want.any_alpn = any;
        begin (); /* OpenSSL may find it out before we do */
        CU_ASSERT_NOT_EQUAL (shake_hands (65536), ERR_OK);
        CU_ASSERT_EQUAL (s.t->state, TLS_ENDED);
        CU_ASSERT (!SSL_is_init_finished (s.ssl));
        end ();
      }
  }
  defaults ();
  want.any_alpn = true;
  accepted ();
  want.alpn = "";
  accepted ();
  /* That hides nothing else. */
  want.name = "another.example.org";
  refused (ERR_HOSTKEY, "not for another.example.org");
  free_identity (&me);
}

/* §5.2.1, §7.3: what a certificate may say that it is good for. */
static void
a_certificate_is_one_of_a_server (void)
{
  static const struct {
    const char *usage, *key_usage;
    bool good;
  } cases[] = {
      {"serverAuth", NULL, true},
      {"clientAuth", NULL, false},
      {"1.3.6.1.5.5.7.3.34", NULL, true},
      {"1.3.6.1.5.5.7.3.34,clientAuth", "digitalSignature", true},
      {"1.3.6.1.5.5.7.3.33", NULL, false}, /* of a client */
      {"1.3.6.1.5.5.7.3.34", "keyCertSign", false},
  };

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct identity x =
        make_identity ("EC", "DNS:server.example.org", &root, 1);

    add_extension (&x, NID_ext_key_usage, cases[i].usage);
    add_extension (&x, NID_key_usage, cases[i].key_usage);
    CU_ASSERT_FATAL (X509_sign (x.cert, root.key, EVP_sha256 ()) > 0);
    defaults ();
    want.server = &x;
    if (cases[i].good)
      accepted ();
    else
      refused (ERR_HOSTKEY, "not one of a server");
    /* It has to be trusted, too. */
    want.trusted = &other;
    refused (ERR_HOSTKEY, "");
    free_identity (&x);
  }
}

/* Nothing is sent behind a no; what comes behind a yes is no clear text. */
static void
clear_text_gets_nowhere (void)
{
  static const char behind[] = WELCOME "and more, in clear text";
  char sent[64];

  defaults ();
  begin ();
  CU_ASSERT_EQUAL (tls_advance (s.t, &s.f), ERR_AGAIN);
  CU_ASSERT_EQUAL (deliver ((const uint8_t *)"never ever", 9, 64), ERR_NOTSUP);
  CU_ASSERT_STRING_EQUAL (s.f.text, "it says something else");
  (void)s.ops->flush (s.t, &s.f);
  CU_ASSERT_EQUAL (read (s.net[1], sent, sizeof sent), strlen (HELLO));
  end ();

  begin ();
  CU_ASSERT_EQUAL (tls_advance (s.t, &s.f), ERR_AGAIN);
  CU_ASSERT_EQUAL (deliver ((const uint8_t *)behind, sizeof behind, 64),
                   ERR_PEER);
  end ();

  begin ();
  CU_ASSERT_EQUAL (tls_advance (s.t, &s.f), ERR_AGAIN);
  shutdown (s.net[1], SHUT_WR);
  s.ops->ready (s.t, POLLIN | POLLHUP);
  CU_ASSERT_EQUAL (tls_advance (s.t, &s.f), ERR_CLOSED);
  end ();
}

/* Each byte of the server's first flight, turned. */
static void
a_turned_byte_ends_it (void)
{
  for (int at = 0; at < 700; at += 53) {
    uint8_t flight[8192];
    int n;

    defaults ();
    begin ();
    CU_ASSERT_EQUAL (tls_advance (s.t, &s.f), ERR_AGAIN);
    (void)s.ops->flush (s.t, &s.f);
    CU_ASSERT_EQUAL (read (s.net[1], flight, 64), strlen (HELLO));
    CU_ASSERT_EQUAL (deliver ((const uint8_t *)WELCOME, strlen (WELCOME), 64),
                     ERR_AGAIN);
    to_server ();
    (void)SSL_do_handshake (s.ssl);
    n = BIO_read (s.out, flight, sizeof flight);
    CU_ASSERT_FATAL (n > 700);
    flight[at] ^= 0x55;
    CU_ASSERT_NOT_EQUAL (deliver (flight, (size_t)n, 65536), ERR_OK);
    end ();
  }
}

/* --------------------------------------------------- a client certificate ---
 */

static struct tls_login keys; /* the daemon's */
static unsigned asked;

/* The daemon: signs what it is asked for, once. */
static void *
sign_for_worker (void *ctx)
{
  static struct control m;
  uint8_t signature[TLS_SIGNATURE_BYTES];
  struct fault f = {0};
  struct wirebuf b;
  struct wire w;
  uint16_t scheme;
  size_t n, k = 0;
  const uint8_t *content;

  (void)ctx;
  if (control_recv (s.broker[1], &m, 10 * SECOND)
      || m.type != CONTROL_CERT_SIGN)
    return NULL;
  w = wire_init (m.body, m.length_bytes);
  scheme = wire_u16 (&w);
  content = wire_string (&w, TLS_CONTENT_BYTES, &n);
  if (wire_end (&w)
      || tls_login_sign (&keys, scheme, content, n, signature, &k, &f)) {
    fprintf (stderr, "not signed: %s\n", f.text);
    return NULL;
  }
  asked++;
  control_begin (&m, CONTROL_CERT_SIGNATURE);
  b = control_body (&m);
  wirebuf_string (&b, signature, k);
  control_send (s.broker[1], &m, &b, SECOND);
  return NULL;
}

static void
the_daemon_signs (void)
{
  static const char *const kinds[] = {"EC", "RSA", "ED25519"};

  for (unsigned i = 0; i < 3; i++) {
    struct identity me = make_identity (kinds[i], "DNS:client", &root, 1);
    int fd[3] = {-1, pem_file (me.cert, NULL), pem_file (NULL, me.key)};
    pthread_t daemon;

    asked = 0;
    keys = (struct tls_login){.on = true, .trust_fd = -1};
    CU_ASSERT_EQUAL_FATAL (tls_login_take (&keys, "server", fd, &s.f), ERR_OK);
    defaults ();
    want.client = &me;
    begin ();
    pthread_create (&daemon, NULL, sign_for_worker, NULL);
    CU_ASSERT_EQUAL (shake_hands (65536), ERR_OK);
    pthread_join (daemon, NULL);
    CU_ASSERT_EQUAL (asked, 1);
    CU_ASSERT (SSL_is_init_finished (s.ssl));
    CU_ASSERT_EQUAL (SSL_get_verify_result (s.ssl), X509_V_OK);
    CU_ASSERT_PTR_NOT_NULL (SSL_get0_peer_certificate (s.ssl));
    end ();
    tls_login_fini (&keys);
    close (fd[1]);
    close (fd[2]);
    free_identity (&me);
  }
}

static void
without_a_daemon_there_is_no_signature (void)
{
  struct identity me = make_identity ("EC", "DNS:client", &root, 1);

  defaults ();
  want.client = &me;
  begin ();
  shutdown (s.broker[1], SHUT_RDWR);
  CU_ASSERT_EQUAL (shake_hands (65536), ERR_SHUTDOWN);
  CU_ASSERT_PTR_NOT_NULL (strstr (s.f.text, "bulkheadd"));
  end ();
  free_identity (&me);
}

static void
setup (void)
{
  root = make_identity ("EC", NULL, NULL, 10);
  other = make_identity ("EC", NULL, NULL, 10);
  server_id =
      make_identity ("EC", "DNS:server.example.org,IP:127.0.0.2", &root, 1);
}

static void
teardown (void)
{
  free_identity (&root);
  free_identity (&other);
  free_identity (&server_id);
}

/* Opens with text as tls-ca=. */
static struct fault
trusts (const char *text)
{
  struct transport_config c = {.ops = &engine,
                               .hello = (const uint8_t *)HELLO,
                               .tls_name = "server.example.org",
                               .tls_chain = ""};
  const struct transport_ops *ops = transport_find (PROTO_OVER_TLS);
  struct transport *t = NULL;
  struct fault f = {0};

  c.fd = -1;
  c.trust_fd = memfd_create ("pem", 0);
  CU_ASSERT_FATAL (write (c.trust_fd, text, strlen (text))
                   == (ssize_t)strlen (text));
  if (ops->open (&c, &t, &f) == ERR_OK)
    ops->close (t);
  close (c.trust_fd);
  return f;
}

/* Those behind a damaged one would be left out in silence. */
static void
a_damaged_certificate_is_named (void)
{
  char one[4096] = "", text[20000];
  int fd = pem_file (root.cert, NULL);
  char *middle;

  CU_ASSERT_FATAL (pread (fd, one, sizeof one - 1, 0) > 200);
  close (fd);
  snprintf (text, sizeof text, "# one\n%s\n# once more\n%s# end\n", one, one);
  CU_ASSERT_EQUAL (trusts (text).code, ERR_OK);
  CU_ASSERT_STRING_EQUAL (trusts ("# none\n").text,
                          "there is no certificate (PEM) in tls-ca=");
  /* not base64; base64 of something else; cut off; nothing behind the head */
  for (int how = 0; how < 4; how++) {
    snprintf (text, sizeof text, "%s%s%s", one, one, one);
    middle = text + strlen (one) + 100;
    if (how == 0)
      memset (middle, '!', 3);
    else if (how == 1)
      memset (strchr (text + strlen (one), '\n') + 1, 'A', 8);
    else if (how == 2)
      *middle = 0;
    else
      strcpy (strchr (text + strlen (one), '\n') + 1, one);
    CU_ASSERT_STRING_EQUAL (trusts (text).text,
                            "certificate 2 of tls-ca= is damaged");
  }
}

UNIT_MAIN ("transport_tls", UNIT_TEST (setup),
           UNIT_TEST (any_pieces_make_the_same_handshake),
           UNIT_TEST (any_pieces_give_the_same_bytes),
           UNIT_TEST (pieces_are_written_in_order),
           UNIT_TEST (a_full_socket_is_waited_for),
           UNIT_TEST (the_two_ends_are_told_apart),
           UNIT_TEST (the_end_is_said),
           UNIT_TEST (certificates_that_are_not_taken),
           UNIT_TEST (the_server_confirms_the_protocol),
           UNIT_TEST (a_certificate_is_one_of_a_server),
           UNIT_TEST (clear_text_gets_nowhere),
           UNIT_TEST (a_turned_byte_ends_it), UNIT_TEST (the_daemon_signs),
           UNIT_TEST (without_a_daemon_there_is_no_signature),
           UNIT_TEST (a_damaged_certificate_is_named),
           UNIT_TEST (teardown))
