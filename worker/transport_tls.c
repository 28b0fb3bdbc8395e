/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS 1.3 over TCP, by OpenSSL's libssl on top of netbuf, for RPC over TLS (RFC
 * 9289). OpenSSL never sees the socket: its BIO takes from and puts into the
 * buffers, so the worker needs no system call more than without it.
 *
 * Invariants
 *   T1  Before TLS_OPEN no byte goes to the engine, and none of the engine's
 * but its hello is sent. What came in clear text behind the answer to the hello
 * is read as TLS records, so it ends the session. T2  No version but 1.3, no
 * session to resume, no early data (RFC 9289 §6), no certificate that is not
 * for tls_name, no server that does not confirm sunrpc (§5; tls-alpn=no): what
 * cannot be had is an error, never less security, and found out before anything
 * is said of who we are. T3  The end of the stream is only clean behind
 * close_notify; both ends are errors to the loop.
 *
 * Owner: the worker; one thread.
 */
#include "config.h"
#include "worker/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "common/clock.h"
#include "worker/broker.h"

#define NS_PER_S 1000000000ull
#define ANSWER_TIMEOUT_NS (10 * NS_PER_S) /* the daemon's, to sign */
#define TRUST_BYTES (4u << 20)
#define TRUST_STEP_BYTES (64u << 10)
/* Of one write: some records, so that the loop gets its turn. */
#define WRITE_BYTES (128u << 10)
#define PROPERTIES "?provider=default"

static const uint8_t alpn[] = "\6sunrpc"; /* RFC 9289 §7.2 */

/* ----------------------------------------------------------------- BIO --- */

static int
bio_read (BIO *bio, char *dst, int length_bytes)
{
  struct transport *t = BIO_get_data (bio);
  ssize_t n = netbuf_recv (&t->net, dst, (size_t)length_bytes);

  BIO_clear_retry_flags (bio);
  if (n == -EAGAIN)
    BIO_set_retry_read (bio);
  return n < 0 ? -1 : (int)n;
}

static int
bio_write (BIO *bio, const char *src, int length_bytes)
{
  struct transport *t = BIO_get_data (bio);
  ssize_t n = netbuf_send (&t->net, src, (size_t)length_bytes);

  BIO_clear_retry_flags (bio);
  return n < 0 ? -1 : (int)n;
}

static long
bio_ctrl (BIO *bio, int command, long number, void *pointer)
{
  const struct transport *t = BIO_get_data (bio);

  (void)number;
  (void)pointer;
  switch (command) {
  case BIO_CTRL_FLUSH: /* netbuf does that in its own time */
    return 1;
  case BIO_CTRL_EOF:
    return t->net.rx_end;
  default:
    return 0;
  }
}

static BIO *
make_bio (struct transport *t)
{
  BIO *bio;

  t->method =
      BIO_meth_new (BIO_TYPE_SOURCE_SINK | BIO_get_new_index (), "bulkhead");
  if (!t->method || !BIO_meth_set_read (t->method, bio_read)
      || !BIO_meth_set_write (t->method, bio_write)
      || !BIO_meth_set_ctrl (t->method, bio_ctrl))
    return NULL;
  bio = BIO_new_ex (t->lib, t->method);
  if (bio) {
    BIO_set_data (bio, t);
    BIO_set_init (bio, 1);
  }
  return bio;
}

/* ---------------------------------------------------------------- open --- */

/* Room for one more at the end; NULL with f. */
static char *
read_trust (int fd, size_t *ret_bytes, struct fault *f)
{
  size_t size = TRUST_STEP_BYTES, used = 0;
  char *text = malloc (size);

  for (;;) {
    ssize_t n;
    char *more;

    n = text ? pread (fd, text + used, size - used, (off_t)used) : -1;
    if (n < 0 && text && errno == EINTR)
      continue;
    if (n <= 0) {
      if (n == 0) {
        *ret_bytes = used;
        return text;
      }
      fault_set (f, ERR_IO, "the file of trusted certificates cannot be read");
      break;
    }
    used += (size_t)n;
    if (used < size)
      continue;
    more = size < TRUST_BYTES ? realloc (text, size * 2) : NULL;
    if (!more) {
      fault_set (f, ERR_LIMIT, "the file of trusted certificates is too long");
      break;
    }
    text = more;
    size *= 2;
  }
  free (text);
  return NULL;
}

/* What comes behind the last one is no PEM. */
static bool
at_end (void)
{
  unsigned long last = ERR_peek_last_error ();

  return ERR_GET_LIB (last) == ERR_LIB_PEM
         && ERR_GET_REASON (last) == PEM_R_NO_START_LINE;
}

static enum err
add_trusted (struct transport *t, BIO *bio, struct fault *f)
{
  X509_STORE *store = SSL_CTX_get_cert_store (t->ctx);
  unsigned count = 0;
  bool all;

  ERR_clear_error ();

  for (;;) {
    X509 *x = X509_new_ex (t->lib, PROPERTIES);
    bool ok = x && PEM_read_bio_X509 (bio, &x, NULL, NULL);

    if (ok)
      ok = X509_STORE_add_cert (store, x);
    X509_free (x);
    if (!ok)
      break;
    count++;
  }
  all = at_end ();
  ERR_clear_error ();
  if (!all) {
    fault_set (f, ERR_INVAL, "certificate %u of tls-ca= is damaged", count + 1);
    fault_hint (f, "those behind it would not be trusted: mend the file, or "
                   "take it out");
    return ERR_INVAL;
  }
  if (count)
    return ERR_OK;
  fault_set (f, ERR_INVAL, "there is no certificate (PEM) in tls-ca=");
  return ERR_INVAL;
}

static enum err
load_trust (struct transport *t, struct fault *f)
{
  size_t length_bytes = 0;
  char *text = read_trust (t->config.trust_fd, &length_bytes, f);
  BIO *bio;
  enum err e;

  if (!text)
    return f->code;
  bio = BIO_new_mem_buf (text, (int)length_bytes);
  e = bio ? add_trusted (t, bio, f) : fault_set (f, ERR_NOMEM, "out of memory");
  BIO_free (bio);
  free (text);
  return e;
}

static enum err
sign_by_daemon (void *ctx, uint16_t scheme, const uint8_t *content,
                size_t content_bytes, uint8_t *dst, size_t dst_bytes,
                size_t *ret_bytes)
{
  struct transport *t = ctx;
  uint8_t signature[BROKER_SIGNATURE_BYTES];
  size_t n = 0;
  uint64_t since_ns = clock_now_ns ();
  enum err e = broker_cert_sign (t->config.broker, scheme, content,
                                 content_bytes, signature, &n,
                                 since_ns + ANSWER_TIMEOUT_NS, &t->sign_fault);

  /* The server is not to blame for that time. */
  t->deadline_ns += clock_now_ns () - since_ns;
  if (!e && n > dst_bytes)
    e = fault_set (&t->sign_fault, ERR_PEER,
                   "bulkheadd sent a signature of another key");
  if (e)
    return e;
  memcpy (dst, signature, n);
  *ret_bytes = n;
  return ERR_OK;
}

static enum err
own_fault (struct fault *f)
{
  ERR_clear_error ();
  return fault_set (f, ERR_INVAL, "our certificate cannot be used for TLS");
}

/* Our certificate, those behind it, and a key that asks the daemon. */
static enum err
load_chain (struct transport *t, struct fault *f)
{
  BIO *bio = BIO_new_mem_buf (t->config.tls_chain, -1);
  EVP_PKEY *key = NULL;
  enum err e = ERR_OK;

  for (unsigned i = 0; bio && !e; i++) {
    X509 *x = X509_new_ex (t->lib, PROPERTIES);

    if (!x || !PEM_read_bio_X509 (bio, &x, NULL, NULL)) {
      X509_free (x);
      break;
    }
    if (i == 0 && (e = tls_key_make (t->lib, X509_get0_pubkey (x), &key, f)))
      ;
    else if (i == 0 ? SSL_CTX_use_certificate (t->ctx, x) != 1
                    : SSL_CTX_add1_chain_cert (t->ctx, x) != 1)
      e = own_fault (f);
    X509_free (x);
  }
  BIO_free (bio);
  ERR_clear_error ();
  if (!e && (!key || SSL_CTX_use_PrivateKey (t->ctx, key) != 1))
    e = own_fault (f);
  EVP_PKEY_free (key);
  return e;
}

static bool
name_peer (struct transport *t)
{
  X509_VERIFY_PARAM *param = SSL_get0_param (t->ssl);
  const char *name = t->config.tls_name;

  /* RFC 9289 §5.2.1: a subjectAltName, and no wildcard in it. */
  X509_VERIFY_PARAM_set_hostflags (param,
                                   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
                                       | X509_CHECK_FLAG_NO_WILDCARDS);
  if (!name[0])
    return false;
  if (X509_VERIFY_PARAM_set1_ip_asc (param, name))
    return true;
  ERR_clear_error ();
  return X509_VERIFY_PARAM_set1_host (param, name, 0)
         && SSL_set_tlsext_host_name (t->ssl, name);
}

/* T2 */
static bool
make_session (struct transport *t)
{
  uint8_t random[16];
  BIO *bio;

  t->ssl = SSL_new (t->ctx);
  bio = make_bio (t);
  if (!t->ssl || !bio) {
    BIO_free (bio);
    return false;
  }
  SSL_set_bio (t->ssl, bio, bio);
  SSL_set_app_data (t->ssl, t);
  SSL_set_connect_state (t->ssl);
  /* Dates of certificates are UTC, but the C library reads its time zone before
   * its first date of any kind.
   */
  tzset ();
  /* The generators are seeded, while anything may still be opened for it. */
  return SSL_set_alpn_protos (t->ssl, alpn, sizeof alpn - 1) == 0
         && name_peer (t)
         && RAND_bytes_ex (t->lib, random, sizeof random, 0) == 1
         && RAND_priv_bytes_ex (t->lib, random, sizeof random, 0) == 1;
}

static bool
make_context (struct transport *t)
{
  t->lib = OSSL_LIB_CTX_new ();
  t->standard = t->lib ? OSSL_PROVIDER_load (t->lib, "default") : NULL;
  t->ctx = t->standard
               ? SSL_CTX_new_ex (t->lib, PROPERTIES, TLS_client_method ())
               : NULL;
  if (!t->ctx || !SSL_CTX_set_min_proto_version (t->ctx, TLS1_3_VERSION)
      || !SSL_CTX_set_max_proto_version (t->ctx, TLS1_3_VERSION))
    return false;
  SSL_CTX_set_verify (t->ctx, SSL_VERIFY_PEER, tls_judge);
  SSL_CTX_set_session_cache_mode (t->ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead (t->ctx, 1);
  return true;
}

static void
tls_close (struct transport *t)
{
  if (t->ssl && t->state == TLS_OPEN)
    (void)SSL_shutdown (t->ssl); /* close_notify; theirs is not waited for */
  if (t->net.tx)
    (void)netbuf_flush (&t->net); /* or an alert that says why */
  SSL_free (t->ssl);
  SSL_CTX_free (t->ctx);
  BIO_meth_free (t->method);
  if (t->ours)
    OSSL_PROVIDER_unload (t->ours);
  if (t->standard)
    OSSL_PROVIDER_unload (t->standard);
  OSSL_LIB_CTX_free (t->lib);
  ERR_clear_error ();
  netbuf_fini (&t->net);
  explicit_bzero (t, sizeof *t);
  free (t);
}

static enum err
tls_open (const struct transport_config *c, struct transport **ret,
          struct fault *f)
{
  struct transport *t = calloc (1, sizeof *t);
  enum err e = ERR_OK;

  if (!t)
    return fault_set (f, ERR_NOMEM, "out of memory");
  t->config = *c;
  t->signer = (struct tls_signer){sign_by_daemon, t};
  if (netbuf_init (&t->net, c->fd) || !make_context (t))
    e = fault_set (f, ERR_NOTSUP, "OpenSSL does not start");
  t->net.by_msg = true;
  if (!e)
    e = load_trust (t, f);
  if (!e && c->tls_chain[0]
      && !(e = tls_key_load (t->lib, &t->signer, &t->ours, f)))
    e = load_chain (t, f);
  if (!e && !make_session (t))
    e = fault_set (f, ERR_NOTSUP,
                   "OpenSSL does not start a TLS session with "
                   "a server of the name %s",
                   c->tls_name);
  if (!e && netbuf_send (&t->net, c->hello, c->hello_bytes) < 0)
    e = fault_set (f, ERR_NOMEM, "out of memory");
  if (e) {
    tls_close (t);
    return e;
  }
  *ret = t;
  return ERR_OK;
}

/* --------------------------------------------------------------- start --- */

static enum err
end_with (struct transport *t, enum err e, const struct fault *why,
          struct fault *f)
{
  t->state = TLS_ENDED;
  t->fault = *why;
  t->fault.code = e;
  if (f)
    *f = t->fault;
  return e;
}

/* Not a byte more than the engine asks for. */
static enum err
take_answer (struct transport *t, struct fault *f)
{
  const struct proto_ops *ops = t->config.ops;
  size_t more = 0;
  ssize_t n;
  enum err e;

  for (;;) {
    e = ops->welcome (t->config.proto, t->answer, t->answer_bytes, &more, f);
    if (e != ERR_AGAIN)
      return e;
    if (more == 0 || more > sizeof t->answer - t->answer_bytes)
      return fault_set (f, ERR_LIMIT, "the %s engine wants too long an answer",
                        ops->name);
    n = netbuf_recv (&t->net, t->answer + t->answer_bytes, more);
    if (n == -EAGAIN)
      return ERR_AGAIN;
    if (n == 0)
      return fault_set (f, ERR_CLOSED,
                        "the server closed the connection when "
                        "it was asked for TLS");
    if (n < 0)
      return fault_set (f, err_from_errno ((int)-n),
                        "the connection broke when the server was asked for "
                        "TLS: %s",
                        strerrordesc_np ((int)-n));
    t->answer_bytes += (size_t)n;
  }
}

enum err
tls_advance (struct transport *t, struct fault *f)
{
  struct fault why = {0};
  enum err e = ERR_OK;
  int n;

  if (t->state == TLS_HELLO) {
    e = take_answer (t, &why);
    if (!e)
      t->state = TLS_HANDSHAKE;
  }
  if (!e && t->state == TLS_HANDSHAKE) {
    ERR_clear_error ();
    n = SSL_connect (t->ssl);
    if (n != 1)
      e = tls_fault (t, n, "agreeing on keys", &why);
    else
      t->state = TLS_OPEN;
  }
  if (e && e != ERR_AGAIN)
    return end_with (t, e, &why, f);
  return e;
}

/* Until the server has said something; what is to be sent goes first. */
static enum err
wait_for_server (struct transport *t, struct fault *f)
{
  struct pollfd p[2] = {{.fd = t->config.fd},
                        {.fd = t->config.broker->fd}}; /* only its end */
  uint64_t now_ns;
  struct timespec ts;

  if (netbuf_flush (&t->net))
    return fault_set (f, err_from_errno (t->net.sys_errno),
                      "the connection broke while TLS was begun: %s",
                      strerrordesc_np (t->net.sys_errno));
  p[0].events = netbuf_unsent (&t->net) ? POLLIN | POLLOUT : POLLIN;
  now_ns = clock_now_ns ();
  if (now_ns >= t->deadline_ns)
    return fault_set (f, ERR_TIMEOUT,
                      "the server did not answer in time while "
                      "TLS was begun");
  ts.tv_sec = (time_t)((t->deadline_ns - now_ns) / NS_PER_S);
  ts.tv_nsec = (long)((t->deadline_ns - now_ns) % NS_PER_S);
  if (ppoll (p, 2, &ts, NULL) < 0 && errno != EINTR)
    return fault_set (f, err_from_errno (errno), "ppoll failed");
  if (p[1].revents)
    return fault_set (f, ERR_SHUTDOWN, "bulkheadd is gone");
  if (p[0].revents & ~POLLOUT)
    netbuf_ready (&t->net);
  return ERR_OK;
}

static enum err
tls_start (struct transport *t, uint64_t *deadline_ns, struct fault *f)
{
  enum err e;

  t->deadline_ns = *deadline_ns;
  while ((e = tls_advance (t, f)) == ERR_AGAIN)
    if ((e = wait_for_server (t, f)))
      return e;
  *deadline_ns = t->deadline_ns;
  /* An alert says why; the peer wants to hear it. */
  (void)netbuf_flush (&t->net);
  return e;
}

/* ---------------------------------------------------------------- data --- */

static enum err
tls_read (struct transport *t, struct iovec dst, size_t *ret_bytes,
          struct fault *f)
{
  uint8_t *to = dst.iov_base;
  size_t got = 0;

  while (got < dst.iov_len && t->state == TLS_OPEN) {
    struct fault why = {0};
    size_t n = 0;
    int r;
    enum err e;

    ERR_clear_error ();
    r = SSL_read_ex (t->ssl, to + got, dst.iov_len - got, &n);
    if (r == 1) {
      got += n;
      continue;
    }
    e = tls_fault (t, r, "receiving", &why);
    if (e == ERR_AGAIN) {
      t->dry = true;
      break;
    }
    end_with (t, e, &why, NULL); /* behind what has come */
  }
  if (got) {
    *ret_bytes = got;
    return ERR_OK;
  }
  if (t->state == TLS_OPEN)
    return ERR_AGAIN;
  if (f)
    *f = t->fault;
  return t->fault.code;
}

static enum err
tls_flush (struct transport *t, struct fault *f)
{
  if (netbuf_flush (&t->net))
    return fault_set (f, err_from_errno (t->net.sys_errno),
                      "the connection broke while sending: %s",
                      strerrordesc_np (t->net.sys_errno));
  return ERR_OK;
}

/* The next record: a large first piece as it is, else as many pieces as fill
 * one.
 */
static size_t
gather (struct transport *t, const struct iovec *iov, size_t n,
        const uint8_t **ret)
{
  size_t used = 0;

  if (n == 1 || iov[0].iov_len >= TLS_RECORD_BYTES) {
    *ret = iov[0].iov_base;
    return iov[0].iov_len < WRITE_BYTES ? iov[0].iov_len : WRITE_BYTES;
  }
  for (size_t i = 0; i < n && used < TLS_RECORD_BYTES; i++) {
    size_t part = iov[i].iov_len;

    if (part > TLS_RECORD_BYTES - used)
      part = TLS_RECORD_BYTES - used;
    memcpy (t->stage + used, iov[i].iov_base, part);
    used += part;
  }
  *ret = t->stage;
  return used;
}

static enum err
tls_write (struct transport *t, const struct iovec *iov, size_t n,
           size_t *ret_bytes, struct fault *f)
{
  const uint8_t *from;
  size_t length_bytes, sent = 0;
  struct fault why = {0};
  enum err e;
  int r;

  if (netbuf_unsent (&t->net) > NETBUF_TX_HIGH_BYTES) {
    if ((e = tls_flush (t, f)))
      return e;
    if (netbuf_unsent (&t->net) > NETBUF_TX_HIGH_BYTES)
      return ERR_AGAIN;
  }
  if (t->state != TLS_OPEN) {
    if (f)
      *f = t->fault;
    return t->fault.code;
  }
  length_bytes = gather (t, iov, n, &from);
  ERR_clear_error ();
  r = SSL_write_ex (t->ssl, from, length_bytes, &sent);
  if (r == 1) {
    *ret_bytes = sent;
    return ERR_OK;
  }
  e = tls_fault (t, r, "sending", &why);
  return e == ERR_AGAIN ? e : end_with (t, e, &why, f);
}

static short
tls_events (const struct transport *t)
{
  return netbuf_unsent (&t->net) ? POLLIN | POLLOUT : POLLIN;
}

static void
tls_ready (struct transport *t, short revents)
{
  if (!(revents & ~POLLOUT))
    return;
  netbuf_ready (&t->net);
  t->dry = false;
}

static bool
tls_pending (const struct transport *t)
{
  return !t->dry;
}

const struct transport_ops transport_tls = {
    .profile = SBX_WORKER_TLS,
    .open = tls_open,
    .start = tls_start,
    .read = tls_read,
    .write = tls_write,
    .flush = tls_flush,
    .events = tls_events,
    .ready = tls_ready,
    .pending = tls_pending,
    .close = tls_close,
};
