/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the SSH transport, shared by its two files: ssh_login.c brings
 * a session up, transport_ssh.c moves an engine's bytes over it.
 *
 * What libssh2 (1.10 … 1.11) needs to be kept from:
 *   S1  a partial send: it deadlocks if a key re-exchange begins then. So the
 *       send callback takes everything (netbuf).
 *   S2  a retried window adjustment with another size: its own idea of the
 *       window would drift from the server's. So the window is widened here,
 *       always by SSH_WINDOW_STEP_BYTES, before libssh2 thinks of it.
 *   S3  a write retried with other bytes after EAGAIN (`retry`).
 */
#ifndef BH_WORKER_SSH_H
#define BH_WORKER_SSH_H

#include <libssh2.h>

#include "worker/broker.h"
#include "worker/greeting.h"
#include "worker/netbuf.h"
#include "worker/rsa_name.h"
#include "worker/transport.h"

/* What the server may send before we have read: bandwidth × round trip. */
#define SSH_WINDOW_BYTES (8u << 20)
#define SSH_WINDOW_STEP_BYTES (1u << 20)
/* libssh2 widens below 3/4 of the window; we do so before that. */
#define SSH_WINDOW_LOW_BYTES (SSH_WINDOW_BYTES / 4 * 3 + SSH_WINDOW_STEP_BYTES)
#define SSH_READ_BYTES (256u << 10) /* most that one read takes */
#define SSH_PACKET_BYTES 32768u     /* most that a packet may bring us */
#define SSH_WRITE_BYTES 32700u      /* what libssh2 puts into one packet */
#define SSH_HOSTKEY_BYTES 8192u
#define SSH_GOODBYE_BYTES 160u

_Static_assert (SSH_READ_BYTES <= SSH_WINDOW_STEP_BYTES, "S2");

struct transport {
  struct transport_config config;
  struct netbuf net;
  LIBSSH2_SESSION *session;
  LIBSSH2_CHANNEL *channel;
  bool unread; /* libssh2 took bytes that read has not looked at yet */
  bool wipe;   /* freed memory may hold a password */

  const uint8_t *retry; /* S3: the bytes of the write that has to be repeated */
  size_t retry_bytes;
  uint8_t stage[SSH_WRITE_BYTES]; /* small pieces become one packet */

  size_t hostkey_bytes; /* the key that the daemon trusts */
  uint8_t hostkey[SSH_HOSTKEY_BYTES];
  char goodbye[SSH_GOODBYE_BYTES]; /* the server's words when it disconnects */

  struct greeting greeting; /* while `greets` */
  bool greets;

  uint64_t deadline_ns; /* of start */
  struct fault sign_fault;
  struct rsa_name rsa_name;
  char password[BROKER_PASSWORD_BYTES]; /* for keyboard-interactive */
  uint64_t heard_ns; /* the first bytes, while it greets; 0: none yet */
  unsigned prompts;                     /* that it has answered */
  struct fault prompt_fault;
};

/* Why the last libssh2 call failed with rc, as a fault. `doing` completes "…
 * while " (a gerund).
 */
enum err ssh_fault (struct transport *t, int rc, const char *doing,
                    struct fault *f);
/* Greeting to logged-in channel with its subsystem. Blocks until the deadline
 * in t.
 */
enum err ssh_login (struct transport *t, struct fault *f);
/* ERR_HOSTKEY if a key re-exchange brought another host key. */
enum err ssh_check_hostkey (struct transport *t, struct fault *f);
/* Sets the algorithms; before the sandbox. */
enum err ssh_set_methods (struct transport *t, struct fault *f);

#endif
