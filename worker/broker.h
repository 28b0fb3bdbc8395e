/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's side of its talk with the daemon: asks for what a worker may
 * not have (trust in a host key, a login, a signature), reports how it goes.
 *
 * Each request is synchronous and waits at most until its deadline. A daemon
 * that refuses a host key or a signature does not answer: it kills us.
 *
 * Owner: the worker; one thread.
 */
#ifndef BH_WORKER_BROKER_H
#define BH_WORKER_BROKER_H

#include <stdint.h>

#include "ipc/control.h"
#include "ipc/volume.h"
#include "ipc/want.h"

#define BROKER_HOSTKEYS_BYTES 1024
#define BROKER_ALGORITHM_BYTES 64
#define BROKER_KEY_BYTES 8192
#define BROKER_PASSWORD_BYTES 1024
#define BROKER_SIGNATURE_BYTES 4096
#define BROKER_TLS_NAME_BYTES 256
#define BROKER_TLS_CHAIN_BYTES 12288

struct broker {
  int fd;
  struct control message; /* the one being built or read */
};

struct broker_config {
  uint64_t epoch;
  unsigned path; /* which one of the volume's connections */
  unsigned lanes;        /* 1 … PROTO_LANES_MAX: sockets that we have */
  unsigned lanes_wanted; /* that the user allows this session */
  struct volume_spec spec;
  char hostkey_algs[BROKER_HOSTKEYS_BYTES];
  size_t moved_bytes; /* what a worker before handed over with its MOVE */
  uint8_t moved[PROTO_WANT_BYTES];
  bool tls;
  char tls_name[BROKER_TLS_NAME_BYTES];
  char tls_chain[BROKER_TLS_CHAIN_BYTES]; /* PEM; "": none of ours is shown */
};

/* What to try next. Wipe with broker_offer_wipe. */
struct broker_offer {
  enum { BROKER_KEY, BROKER_PASSWORD } kind;
  char algorithm[BROKER_ALGORITHM_BYTES];
  size_t key_bytes;
  uint8_t key[BROKER_KEY_BYTES];
  char password[BROKER_PASSWORD_BYTES];
};

enum err broker_config (struct broker *b, struct broker_config *ret,
                        uint64_t deadline_ns, struct fault *f);
enum err broker_sealed (struct broker *b, uint32_t layers, struct fault *f);
/* ERR_OK: the daemon trusts this key (a blob of RFC 4253 §6.6). */
enum err broker_hostkey (struct broker *b, const void *blob,
                         size_t blob_bytes, uint64_t deadline_ns,
                         struct fault *f);
/* methods: name-list that the server offers. When the daemon has nothing left
 * to try, f is what it says about that, and its code is returned.
 */
enum err broker_auth (struct broker *b, const char *methods,
                      struct broker_offer *ret, uint64_t deadline_ns,
                      struct fault *f);
void broker_offer_wipe (struct broker_offer *o);
/* data: what RFC 4252 §7 wants signed. The signature (see CONTROL_SIGNATURE)
 * goes to dst, which has BROKER_SIGNATURE_BYTES. ERR_AUTH, with f untouched:
 * whoever has the key refused.
 */
enum err broker_sign (struct broker *b, const void *data, size_t data_bytes,
                      uint8_t *dst, size_t *ret_bytes, uint64_t deadline_ns,
                      struct fault *f);
/* The same for what a TLS client's CertificateVerify signs, by this
 * SignatureScheme, with the key of tls_chain. The daemon never refuses: it
 * kills.
 */
enum err broker_cert_sign (struct broker *b, uint16_t scheme,
                           const void *content, size_t content_bytes,
                           uint8_t *dst, size_t *ret_bytes,
                           uint64_t deadline_ns, struct fault *f);
/* The one request that is not waited for: GIVEN comes to the loop. */
enum err broker_want (struct broker *b, const struct proto_want *w,
                      struct fault *f);
enum err broker_ready (struct broker *b, const struct volume_info *info,
                       struct fault *f);
/* Best effort: what cannot be told, the exit status tells. */
void broker_fail (struct broker *b, const struct fault *f);

#endif
