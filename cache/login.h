/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's half of an SSH login: trusts or refuses the host key, says what
 * to try next, signs. The worker does the talking and sees no secret but a
 * password that is being sent anyway.
 *
 * login_config lives as long as the volume; a login as long as one dial.
 * Thread rule: one thread. Pure but for reading the known_hosts fds.
 */
#ifndef BH_CACHE_LOGIN_H
#define BH_CACHE_LOGIN_H

#include "cache/agent_codec.h"
#include "cache/keys.h"
#include "cache/known_hosts.h"
#include "cache/place.h"
#include "cache/signer.h"
#include "cache/tls_login.h"
#include "common/wire.h"
#include "ipc/control.h"

#define LOGIN_KEYS 3
#define LOGIN_DIGEST_BYTES 32
#define LOGIN_KNOWN_HOSTS 2
/* With keys and password. sshd ends a connection with the sixth that fails
 * (MaxAuthTries); so a user hears what was tried, not that it was too often.
 */
#define LOGIN_ATTEMPTS 5u
#define LOGIN_HOST_BYTES 256
#define LOGIN_PASSWORD_BYTES 1024 /* with its NUL; what a worker takes */
#define LOGIN_KNOWN_HOSTS_BYTES (4u << 20)
#define LOGIN_FOREIGN_KNOWN_HOSTS_BYTES (128u << 10)

struct login_key {
  char *name;          /* for messages: its path */
  struct ssh_key *key; /* NULL: it cannot be used, fault says why */
  struct fault fault;
  uint8_t digest[LOGIN_DIGEST_BYTES]; /* SHA-256 of its file: volume_key.h */
  char *locked; /* the file, if it is encrypted */
  size_t locked_bytes;
  uint8_t *public; /* of an encrypted one: its blob, if it is in the file */
  size_t public_bytes;
};

struct login_config {
  char host[LOGIN_HOST_BYTES];
  uint16_t port;
  bool ssh; /* false: no keys, no known_hosts, no agent */
  char user[SIGNER_USER_BYTES];
  struct login_key key[LOGIN_KEYS];
  unsigned keys;
  struct {
    char *name;
    int fd; /* read again for each dial: the user may have added a line */
  } known_hosts[LOGIN_KNOWN_HOSTS];
  unsigned known_hosts_files;
  int agent_fd; /* a connected ssh-agent; -1: none */
  bool has_password;
  char password[LOGIN_PASSWORD_BYTES];

  /* Not for SSH. Mutual CHAP: the target has to prove that it is target_user;
   * "": it does not have to.
   */
  char target_user[SIGNER_USER_BYTES];
  bool has_target_password;
  char target_password[LOGIN_PASSWORD_BYTES];
  struct place_list portals; /* in place of host and port, one a connection */
  struct place_policy moves;
  bool from_reserved_port; /* dial from a port below 1024 */
  bool leaves;             /* a worker is given time to end its session */
  bool keeps_source_port;  /* dial again from the port of the session before */
  struct tls_login tls;
};

void
login_config_init (struct login_config *c);
void
login_config_fini (struct login_config *c); /* wipes what is secret */

struct login {
  const struct login_config *config;
  struct signer signer;
  struct known_hosts_file file[LOGIN_KNOWN_HOSTS];
  unsigned files;
  unsigned next_key;
  unsigned attempts; /* with keys */
  struct agent_key *agent_key; /* that are worth trying, LOGIN_ATTEMPTS */
  unsigned agent_keys, next_agent_key;
  bool agent_asked, agent_gone;
  bool password_tried;
  char tried[300]; /* for the message when nothing is left */
};

/* What login_next says beside a message's type. */
#define LOGIN_ASK_AGENT ((enum control_type)0)

/* Reads the known_hosts files; a missing one is as an empty one. */
enum err
login_begin (struct login *l, const struct login_config *c, struct fault *f);
void
login_end (struct login *l);

void
login_hostkey_types (const struct login *l, char dst[HOSTKEY_TYPES_BYTES]);
/* ERR_OK: trusted. ERR_HOSTKEY: f tells the user what to do; ERR_PEER. */
enum err
login_hostkey (const struct login *l, const uint8_t *blob, size_t blob_bytes,
               struct fault *f);
/* What to try next of the methods (name-list) that the server offers: keys in
 * turn, the agent's keys, then the password. Returns the message to send,
 * AUTH_KEY, AUTH_PASSWORD or AUTH_NONE, with its body in b; for AUTH_NONE f is
 * filled too. LOGIN_ASK_AGENT: b is what to ask the agent first; then
 * login_agent_keys, and once more.
 */
enum control_type
login_next (struct login *l, const char *methods, struct wirebuf *b,
            struct fault *f);
/* The agent's answer to that. NULL: there is none, for the reason why. */
void
login_agent_keys (struct login *l, const uint8_t *answer, size_t answer_bytes,
                  const struct fault *why);

/* The body of SIGNATURE. Errors as signer_sign; ERR_AGAIN: b is what to ask the
 * agent for; then login_agent_signature.
 */
enum err
login_sign (struct login *l, const uint8_t *data, size_t data_bytes,
            struct wirebuf *b, struct fault *f);
/* The agent's answer, as above; the body of SIGNATURE, which is empty if the
 * agent did not sign: the worker goes on with what comes next.
 */
void
login_agent_signature (struct login *l, const uint8_t *answer,
                       size_t answer_bytes, const struct fault *why,
                       struct wirebuf *b);

#endif
