/* SPDX-License-Identifier: BSD-2-Clause */
/* From the greeting to a channel with its subsystem. What is secret or needs
 * a file is asked of the daemon.
 */
#include "config.h"
#include "worker/ssh.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/stranger.h"

/* The daemon may have to ask a person, by way of an agent. */
#define ANSWER_TIMEOUT_NS 30000000000ull
#define LOGIN_TRIES 16
#define METHODS_BYTES 256
#define PROMPT_SHOWN_BYTES 80
#define NS_PER_S 1000000000ull
#define STRANGER_NS (5 * NS_PER_S)

/* Fastest first among what is still sound: libssh2 encrypts block by block, so
 * that AES-128 with the processor's SHA-256 wins. SHA-1 comes last, for
 * servers that have nothing else; no CBC, RC4, 3DES, MD5, DSS or group1.
 */
static const struct {
  int method;
  const char *names;
} methods[] = {
  {LIBSSH2_METHOD_KEX,
   "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
   "ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group16-sha512,"
   "diffie-hellman-group14-sha256"},
  {LIBSSH2_METHOD_CRYPT_CS, "aes128-ctr,aes256-ctr,aes192-ctr"},
  {LIBSSH2_METHOD_CRYPT_SC, "aes128-ctr,aes256-ctr,aes192-ctr"},
  {LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256,hmac-sha2-512,hmac-sha1"},
  {LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256,hmac-sha2-512,hmac-sha1"},
  {LIBSSH2_METHOD_COMP_CS, "none"},
  {LIBSSH2_METHOD_COMP_SC, "none"},
};

/* Host keys by their names in known_hosts, most wanted first, and what to
 * offer for each.
 */
static const struct {
  const char *known;
  const char *offered;
} hostkeys[] = {
  {"ssh-ed25519", "ssh-ed25519"},
  {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
  {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
  {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"},
  {"ssh-rsa", "rsa-sha2-512"},
  {"ssh-rsa", "rsa-sha2-256"},
  {"ssh-rsa", "ssh-rsa"},
};

static bool
in_name_list (const char *list, const char *name)
{
  size_t n = strlen (name);

  for (const char *p = list; p; p = strchr (p, ','), p = p ? p + 1 : NULL)
    if (strncmp (p, name, n) == 0 && (p[n] == ',' || p[n] == 0))
      return true;
  return false;
}

static bool
is_one_of (const char *const *names, int count, const char *name)
{
  for (int i = 0; i < count; i++)
    if (strcmp (names[i], name) == 0)
      return true;
  return false;
}

enum err
ssh_set_methods (struct transport *t, struct fault *f)
{
  const char *known = t->config.hostkey_algs;
  const char **names = NULL;
  int count = libssh2_session_supported_algs (t->session,
                                              LIBSSH2_METHOD_HOSTKEY, &names);
  char offer[256] = "";

  /* libssh2 1.10 would skip names that it does not know, but moves the others
   * up by a memcpy of overlapping memory.
   */
  for (size_t i = 0; i < sizeof hostkeys / sizeof hostkeys[0]; i++) {
    if ((known[0] && !in_name_list (known, hostkeys[i].known))
        || !is_one_of (names, count, hostkeys[i].offered))
      continue;
    if (offer[0])
      strcat (offer, ",");
    strcat (offer, hostkeys[i].offered);
  }
  if (names)
    libssh2_free (t->session, names);
  if (!offer[0])
    return fault_set (f, ERR_HOSTKEY,
                      "the known host keys of this server (%s) are of no "
                      "kind that is supported", known);
  if (libssh2_session_method_pref (t->session, LIBSSH2_METHOD_HOSTKEY, offer))
    return fault_set (f, ERR_NOTSUP, "libssh2 lacks the host key kinds %s",
                      offer);
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (libssh2_session_method_pref (t->session, methods[i].method,
                                     methods[i].names))
      return fault_set (f, ERR_NOTSUP, "libssh2 lacks the algorithms %s",
                        methods[i].names);
  return ERR_OK;
}

enum err
ssh_fault (struct transport *t, int rc, const char *doing, struct fault *f)
{
  char *text = NULL;

  if (t->goodbye[0])
    return fault_set (f, ERR_CLOSED,
                      "the server ended the connection while %s: %s", doing,
                      t->goodbye);
  if (t->net.sys_errno == ENOBUFS)
    return fault_set (f, ERR_LIMIT, "the server does not read what we send");
  if (t->net.sys_errno || t->net.rx_end) {
    if (t->net.sys_errno)
      fault_set (f, err_from_errno (t->net.sys_errno),
                 "the connection failed while %s: %s", doing,
                 strerrordesc_np (t->net.sys_errno));
    else
      fault_set (f, ERR_CLOSED, "the server closed the connection while %s",
                 doing);
    if (t->greets && !t->greeting.used_bytes)
      stranger_hung_up (f);
    return f->code;
  }
  if (rc == LIBSSH2_ERROR_ALLOC)
    return fault_set (f, ERR_NOMEM, "out of memory while %s", doing);
  libssh2_session_last_error (t->session, &text, NULL, 0);
  return fault_set (f, ERR_PEER, "SSH failed while %s: %s (libssh2 error %d)",
                    doing, text && text[0] ? text : "no details", rc);
}

/* Other lines may come before the one that says SSH (RFC 4253 §4.2), but in one
 * go with it.
 */
static bool
is_stranger (const struct transport *t)
{
  return t->greets && t->greeting.used_bytes
         && !greeting_identified (&t->greeting);
}

static enum err
stranger (const struct transport *t, struct fault *f)
{
  return stranger_fault (f, "SSH", "SSH has 22", t->greeting.bytes,
                         t->greeting.used_bytes);
}

/* How long to wait for what comes next. */
static uint64_t
patience_until_ns (struct transport *t, uint64_t now_ns)
{
  if (!is_stranger (t))
    return t->deadline_ns;
  if (!t->heard_ns)
    t->heard_ns = now_ns;
  return t->heard_ns + STRANGER_NS < t->deadline_ns ? t->heard_ns + STRANGER_NS
                                                    : t->deadline_ns;
}

static enum err
too_late (const struct transport *t, const char *doing, struct fault *f)
{
  if (is_stranger (t))
    return stranger (t, f);
  if (t->greets && !t->greeting.used_bytes)
    return stranger_silent (f);
  return fault_set (f, ERR_TIMEOUT,
                    "the server did not answer in time while %s", doing);
}

/* Sends what is waiting, then waits until the server has said something. */
static enum err
wait_for_server (struct transport *t, const char *doing, struct fault *f)
{
  struct pollfd p[2] = {{.fd = t->config.fd},
                        {.fd = t->config.broker->fd}}; /* only its end */
  uint64_t now_ns, until_ns;
  struct timespec ts;

  if (netbuf_flush (&t->net))
    return ssh_fault (t, LIBSSH2_ERROR_SOCKET_SEND, doing, f);
  p[0].events = netbuf_unsent (&t->net) ? POLLIN | POLLOUT : POLLIN;
  now_ns = clock_now_ns ();
  until_ns = patience_until_ns (t, now_ns);
  if (now_ns >= until_ns)
    return too_late (t, doing, f);
  ts.tv_sec = (time_t)((until_ns - now_ns) / NS_PER_S);
  ts.tv_nsec = (long)((until_ns - now_ns) % NS_PER_S);
  if (ppoll (p, 2, &ts, NULL) < 0 && errno != EINTR)
    return fault_set (f, err_from_errno (errno), "ppoll failed while %s",
                      doing);
  if (p[1].revents)
    return fault_set (f, ERR_SHUTDOWN, "bulkheadd is gone");
  if (p[0].revents & ~POLLOUT)
    netbuf_ready (&t->net);
  return ERR_OK;
}

/* Repeats a libssh2 call until it is through or the deadline has passed. */
#define UNTIL_DONE(t, call, doing, rc, e, f)                                  \
  do {                                                                        \
    (rc) = (call);                                                            \
  } while ((rc) == LIBSSH2_ERROR_EAGAIN                                       \
           && !((e) = wait_for_server ((t), (doing), (f))))

static uint64_t
answer_deadline_ns (void)
{
  return clock_now_ns () + ANSWER_TIMEOUT_NS;
}

/* The server is not to blame for the time that the daemon took. */
static void
daemon_took (struct transport *t, uint64_t since_ns)
{
  t->deadline_ns += clock_now_ns () - since_ns;
}

/* This host key algorithm was offered to the server. */
static bool
is_offered (const struct transport *t, const char *name)
{
  const char **supported = NULL;
  const char *known = t->config.hostkey_algs;
  int n = libssh2_session_supported_algs (t->session, LIBSSH2_METHOD_HOSTKEY,
                                          &supported);
  bool offered = false;

  for (int i = 0; i < n; i++)
    offered |= strcmp (supported[i], name) == 0;
  if (supported)
    libssh2_free (t->session, supported);
  for (size_t i = 0; offered && i < sizeof hostkeys / sizeof hostkeys[0]; i++)
    if (in_name_list (hostkeys[i].offered, name))
      return !known[0] || in_name_list (known, hostkeys[i].known);
  return false;
}

/* Every libssh2 can check these. */
static bool
is_verifiable (const char *name)
{
  return strcmp (name, "ssh-ed25519") == 0
         || strncmp (name, "ecdsa-sha2-nistp", 16) == 0;
}

/* No algorithm in common. If that is because of the host keys, which people
 * can do something about, says so.
 */
static enum err
nothing_in_common (struct transport *t, struct fault *f)
{
  const char *known = t->config.hostkey_algs;
  char names[GREETING_NAMES_BYTES], copy[GREETING_NAMES_BYTES];
  bool have = greeting_hostkeys (&t->greeting, names), verifiable = false;
  char *save = NULL;

  strcpy (copy, have ? names : "");
  for (char *n = strtok_r (copy, ",", &save); n;
       n = strtok_r (NULL, ",", &save)) {
    have = have && !is_offered (t, n);
    verifiable |= is_verifiable (n);
  }
  if (!have)
    return fault_set (f, ERR_NOTSUP,
                      "no key exchange or cipher in common with the server");
  if (known[0] && verifiable) {
    fault_set (f, ERR_NOTSUP,
               "none of the known host keys of this server (%s) can be "
               "checked; it offers %.160s", known, names);
    fault_hint (f, "libssh2 %s takes no RSA signatures but SHA-1: add the "
                   "server's other host keys to known_hosts, by ssh-keyscan",
                libssh2_version (0));
  } else {
    fault_set (f, ERR_NOTSUP,
               "the server has no host key of a kind that can be checked: it "
               "offers %.160s", names);
    fault_hint (f, "libssh2 %s takes no RSA signatures but SHA-1: give the "
                   "server an Ed25519 host key too, by ssh-keygen -A",
                libssh2_version (0));
  }
  return f->code;
}

static enum err
handshake (struct transport *t, struct fault *f)
{
  static const char doing[] = "exchanging keys";
  enum err e = ERR_OK;
  int rc;

  t->greets = true;
  UNTIL_DONE (t, libssh2_session_handshake (t->session, t->config.fd), doing,
              rc, e, f);
  if (rc && !e && is_stranger (t))
    e = stranger (t, f);
  t->greets = false;
  if (e)
    return e;
  if (rc == LIBSSH2_ERROR_KEX_FAILURE && !t->net.rx_end
      && !t->net.sys_errno)
    return nothing_in_common (t, f);
  return rc ? ssh_fault (t, rc, doing, f) : ERR_OK;
}

static enum err
trust_hostkey (struct transport *t, struct fault *f)
{
  size_t n = 0;
  const char *key = libssh2_session_hostkey (t->session, &n, NULL);

  if (!key || !n || n > sizeof t->hostkey)
    return fault_set (f, ERR_PEER, "the server's host key is malformed");
  memcpy (t->hostkey, key, n);
  t->hostkey_bytes = n;
  return broker_hostkey (t->config.broker, t->hostkey, n,
                         answer_deadline_ns (), f);
}

enum err
ssh_check_hostkey (struct transport *t, struct fault *f)
{
  size_t n = 0;
  const char *key = libssh2_session_hostkey (t->session, &n, NULL);

  if (!key || !n) /* in the middle of a key exchange */
    return ERR_OK;
  if (n == t->hostkey_bytes && memcmp (key, t->hostkey, n) == 0)
    return ERR_OK;
  return fault_set (f, ERR_HOSTKEY,
                    "the server came with another host key in the middle of "
                    "the session");
}

static LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC (sign_by_daemon)
{
  struct transport *t = *libssh2_session_abstract (session);
  uint8_t *signature = malloc (BROKER_SIGNATURE_BYTES);
  uint64_t since_ns = clock_now_ns ();
  enum err e;

  (void)abstract;
  if (!signature)
    return -1;
  e = broker_sign (t->config.broker, data, data_len, signature, sig_len,
                   answer_deadline_ns (), &t->sign_fault);
  daemon_took (t, since_ns);
  if (e) {
    free (signature);
    return -1;
  }
  *sig = signature; /* freed by libssh2 */
  return 0;
}

/* The question stands at the end of what may be many lines. */
static void
refuse_prompt (struct transport *t, const char *text, size_t length_bytes)
{
  size_t cut = length_bytes > PROMPT_SHOWN_BYTES
                 ? length_bytes - PROMPT_SHOWN_BYTES
                 : 0;

  fault_set (&t->prompt_fault, ERR_AUTH,
             "the server asks \"%s%.*s\", which no password answers",
             cut ? "…" : "", (int)(length_bytes - cut),
             length_bytes ? text + cut : "");
}

/* RFC 4256 §3.2. The password answers one hidden prompt; whatever else a server
 * asks for (a code, a new password, the same once more) is for a person.
 */
static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC (answer_prompts)
{
  struct transport *t = *abstract;

  (void)name;
  (void)name_len;
  (void)instruction;
  (void)instruction_len;
  for (int i = 0; i < num_prompts; i++) {
    const LIBSSH2_USERAUTH_KBDINT_PROMPT *p = &prompts[i];
    bool ours = !p->echo && t->prompts++ == 0;

    responses[i].text = strdup (ours ? t->password : "");
    responses[i].length
      = responses[i].text ? (unsigned)strlen (responses[i].text) : 0;
    if (!ours && !t->prompt_fault.code)
      refuse_prompt (t, p->text, p->text ? p->length : 0);
  }
}

static bool
refused (int rc)
{
  return rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED
         || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED
         || rc == LIBSSH2_ERROR_PASSWORD_EXPIRED;
}

static int
try_password (struct transport *t, const char *offered,
              const struct broker_offer *o, enum err *ret_e, struct fault *f)
{
  const char *user = t->config.user;
  unsigned user_bytes = (unsigned)strlen (user);
  int rc = LIBSSH2_ERROR_AUTHENTICATION_FAILED;

  t->wipe = true;
  memcpy (t->password, o->password, sizeof t->password);
  if (in_name_list (offered, "password"))
    UNTIL_DONE (t,
                libssh2_userauth_password_ex (
                  t->session, user, user_bytes, t->password,
                  (unsigned)strlen (t->password), NULL),
                "sending the password", rc, *ret_e, f);
  else if (in_name_list (offered, "keyboard-interactive")) {
    t->prompts = 0;
    UNTIL_DONE (t,
                libssh2_userauth_keyboard_interactive_ex (
                  t->session, user, user_bytes, answer_prompts),
                "answering the server's questions", rc, *ret_e, f);
  }
  explicit_bzero (t->password, sizeof t->password);
  return rc;
}

static int
try_key (struct transport *t, const struct broker_offer *o, enum err *ret_e,
         struct fault *f)
{
  const uint8_t *key
    = rsa_name_begin (&t->rsa_name, o->algorithm, o->key, o->key_bytes);
  int rc = LIBSSH2_ERROR_AUTHENTICATION_FAILED;

  if (!key) {
    *ret_e = fault_set (f, ERR_PEER, "bulkheadd offers a damaged key");
    return rc;
  }
  UNTIL_DONE (t,
              libssh2_userauth_publickey (t->session, t->config.user, key,
                                          o->key_bytes, sign_by_daemon, NULL),
              "logging in with a key", rc, *ret_e, f);
  rsa_name_end (&t->rsa_name);
  return rc;
}

/* One offer of the daemon's: *ret_in if it let us in. */
static enum err
try_offer (struct transport *t, const char *offered,
           const struct broker_offer *o, bool *ret_in, struct fault *f)
{
  enum err e = ERR_OK;
  int rc = 0;

  t->sign_fault = t->prompt_fault = (struct fault){0};
  if (o->kind == BROKER_KEY)
    rc = try_key (t, o, &e, f);
  else
    rc = try_password (t, offered, o, &e, f);
  if (e)
    return e;
  if (t->sign_fault.code) {
    *f = t->sign_fault;
    return f->code;
  }
  if (rc && t->prompt_fault.code) {
    *f = t->prompt_fault;
    return f->code;
  }
  /* Too many tries look like a refusal to libssh2. */
  if (rc && (!refused (rc) || t->net.rx_end || t->net.sys_errno
             || t->goodbye[0]))
    return ssh_fault (t, rc, "logging in", f);
  *ret_in = rc == 0;
  return ERR_OK;
}

static enum err
authenticate (struct transport *t, struct fault *f)
{
  static const char doing[] = "asking how to log in";
  const char *user = t->config.user;
  char offered[METHODS_BYTES];
  struct broker_offer o;
  bool in = false;
  enum err e = ERR_OK;
  char *list;
  int rc;

  do {
    list = libssh2_userauth_list (t->session, user, (unsigned)strlen (user));
    rc = list ? 0 : libssh2_session_last_errno (t->session);
  } while (!list && !libssh2_userauth_authenticated (t->session)
           && rc == LIBSSH2_ERROR_EAGAIN
           && !(e = wait_for_server (t, doing, f)));
  if (e)
    return e;
  if (libssh2_userauth_authenticated (t->session))
    return ERR_OK; /* by method "none" */
  if (!list)
    return ssh_fault (t, rc, doing, f);
  if (strlen (list) >= sizeof offered)
    return fault_set (f, ERR_PEER, "the server's list of methods is too long");
  strcpy (offered, list);
  for (int i = 0; i < LOGIN_TRIES && !in && !e; i++) {
    uint64_t since_ns = clock_now_ns ();

    e = broker_auth (t->config.broker, offered, &o, answer_deadline_ns (), f);
    daemon_took (t, since_ns);
    if (!e)
      e = try_offer (t, offered, &o, &in, f);
    broker_offer_wipe (&o);
  }
  if (e)
    return e;
  return in ? ERR_OK
            : fault_set (f, ERR_AUTH, "the server refused %d logins",
                         LOGIN_TRIES);
}

static enum err
open_channel (struct transport *t, struct fault *f)
{
  static const char doing[] = "opening a channel";
  const char *subsystem = t->config.subsystem;
  enum err e = ERR_OK;
  int rc;

  do {
    t->channel = libssh2_channel_open_ex (
      t->session, "session", sizeof "session" - 1, SSH_WINDOW_BYTES,
      SSH_PACKET_BYTES, NULL, 0);
    rc = t->channel ? 0 : libssh2_session_last_errno (t->session);
  } while (rc == LIBSSH2_ERROR_EAGAIN && !(e = wait_for_server (t, doing, f)));
  if (e)
    return e;
  if (rc == LIBSSH2_ERROR_CHANNEL_FAILURE && !t->net.rx_end
      && !t->net.sys_errno)
    return fault_set (f, ERR_NOTSUP, "the server refused to open a session");
  if (rc)
    return ssh_fault (t, rc, doing, f);
  UNTIL_DONE (t,
              libssh2_channel_handle_extended_data2 (
                t->channel, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE),
              doing, rc, e, f);
  if (e)
    return e;
  UNTIL_DONE (t,
              libssh2_channel_process_startup (
                t->channel, "subsystem", sizeof "subsystem" - 1, subsystem,
                (unsigned)strlen (subsystem)),
              "starting the subsystem", rc, e, f);
  if (e)
    return e;
  if (rc == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED) {
    fault_set (f, ERR_NOTSUP, "the server refused the subsystem \"%s\"",
               subsystem);
    fault_hint (f, "OpenSSH's sshd_config needs: Subsystem %s internal-%s",
                subsystem, subsystem);
    return f->code;
  }
  return rc ? ssh_fault (t, rc, "starting the subsystem", f) : ERR_OK;
}

enum err
ssh_login (struct transport *t, struct fault *f)
{
  enum err e;

  if ((e = handshake (t, f)) || (e = trust_hostkey (t, f))
      || (e = authenticate (t, f)))
    return e;
  return open_channel (t, f);
}
