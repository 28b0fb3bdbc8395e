/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the TLS transport: transport_tls.c does it, tls_fault.c says in
 * words what went wrong. Unit tests go through the handshake by tls_advance.
 */
#ifndef BH_WORKER_TLS_H
#define BH_WORKER_TLS_H

#include <openssl/ssl.h>

#include "worker/netbuf.h"
#include "worker/tls_key.h"
#include "worker/transport.h"

#define TLS_RECORD_BYTES 16384u /* RFC 8446 §5.1 */

#define TLS_NAMES_BYTES 128

enum tls_state {
  TLS_HELLO,     /* in clear text: what the engine says in front of TLS */
  TLS_HANDSHAKE, /* until both sides are sure of each other */
  TLS_OPEN,
  TLS_ENDED, /* final; fault says why */
};

struct transport {
  struct transport_config config;
  enum tls_state state;
  struct netbuf net;
  OSSL_LIB_CTX *lib; /* of its own: no configuration file, no other provider */
  OSSL_PROVIDER *standard, *ours;
  BIO_METHOD *method;
  SSL_CTX *ctx;
  SSL *ssl;
  struct tls_signer signer;
  struct fault sign_fault;     /* why the daemon did not sign */
  struct fault fault;          /* TLS_ENDED */
  char names[TLS_NAMES_BYTES]; /* of a certificate that is not trusted */
  uint64_t deadline_ns;        /* of the start */
  bool dry;                    /* nothing to read before the socket is ready */
  size_t answer_bytes;         /* TLS_HELLO */
  uint8_t answer[1024];
  uint8_t stage[TLS_RECORD_BYTES]; /* small pieces as one record */
};

/* As far as it goes without waiting: ERR_OK when the session is open, ERR_AGAIN
 * when only more bytes of the server help. What is to be sent is in net.
 */
enum err
tls_advance (struct transport *t, struct fault *f);

/* tls_judge.c: what RFC 9289 asks beyond OpenSSL's own verdict on a
 * certificate, ok; and notes the names of what was refused, which OpenSSL
 * forgets. An SSL_verify_cb; SSL_get_app_data is the transport.
 */
int
tls_judge (int ok, X509_STORE_CTX *ctx);
/* What a call of OpenSSL that returned ret means: ERR_AGAIN, or an error in
 * words; doing: "agreeing on keys".
 */
enum err
tls_fault (struct transport *t, int ret, const char *doing, struct fault *f);

#endif
