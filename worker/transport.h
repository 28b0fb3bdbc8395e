/* SPDX-License-Identifier: BSD-2-Clause */
/* What carries the bytes of one of an engine's lanes over its socket: TCP as it
 * is, TLS, or an SSH channel's subsystem.
 *
 * Life: open (before the sandbox: allocates, warms up, no network byte) →
 * start (greeting, keys, login) → read, write, flush … → close. Any error but
 * ERR_AGAIN is final.
 *
 * Owner: the worker; one thread. Only start blocks, until its deadline.
 */
#ifndef BH_WORKER_TRANSPORT_H
#define BH_WORKER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/err.h"
#include "protocols/proto.h"
#include "sandbox/sandbox.h"

struct broker;
struct transport; /* each kind has its own */

/* All borrowed for the life of the transport. */
struct transport_config {
  int fd;                   /* connected, non-blocking */
  struct broker *broker;    /* answers what needs a secret or a file */
  /* PROTO_OVER_SSH_SUBSYSTEM */
  const char *user;         /* name on the server */
  const char *hostkey_algs; /* name-list of what is known; "": no preference */
  const char *subsystem;
  /* PROTO_OVER_TLS */
  const struct proto_ops *ops; /* whose welcome is asked, */
  const struct proto *proto;   /* of this engine, */
  const uint8_t *hello;        /* about the answer to this */
  size_t hello_bytes;
  const char *tls_name;        /* that the server's certificate must have */
  int trust_fd;                /* a file of roots, PEM; read by open */
  const char *tls_chain;       /* our certificate, PEM; "": none is shown */
  bool tls_any_alpn;           /* the server need not confirm the protocol */
};

struct transport_ops {
  enum sbx_profile profile; /* what it may do when it is sealed */

  enum err (*open) (const struct transport_config *c, struct transport **ret,
                    struct fault *f);
  /* Up to the engine's first byte. The deadline is the server's: it is moved by
   * what the daemon takes meanwhile, who may have to ask a person.
   */
  enum err (*start) (struct transport *t, uint64_t *deadline_ns,
                     struct fault *f);

  /* Puts what was received for the engine into dst, at least one byte.
   * ERR_AGAIN: nothing before the socket is readable again; ERR_CLOSED: the
   * peer ended it.
   */
  enum err (*read) (struct transport *t, struct iovec dst, size_t *ret_bytes,
                    struct fault *f);
  /* Takes the first *ret_bytes (at least one) of the pieces. After ERR_AGAIN
   * the next call has to bring the same bytes first; wait for `events`.
   */
  enum err (*write) (struct transport *t, const struct iovec *iov, size_t n,
                     size_t *ret_bytes, struct fault *f);
  /* Hands to the socket what it takes now. */
  enum err (*flush) (struct transport *t, struct fault *f);

  /* What to poll the socket for, and what came of it. */
  short (*events) (const struct transport *t);
  void (*ready) (struct transport *t, short revents);
  /* True if read has something to do although the socket was not reported. */
  bool (*pending) (const struct transport *t);

  void (*close) (struct transport *t);
};

extern const struct transport_ops transport_ssh;
extern const struct transport_ops transport_tcp;
extern const struct transport_ops transport_tls;

/* The transport for an engine, or NULL if there is none. */
const struct transport_ops *transport_find (enum proto_transport kind);

#endif
