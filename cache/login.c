/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/login.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "common/cleanup.h"
#include "ipc/volume.h"

void
login_config_init (struct login_config *c)
{
  *c = (struct login_config){.agent_fd = -1, .tls = {.trust_fd = -1}};
  for (unsigned i = 0; i < LOGIN_KNOWN_HOSTS; i++)
    c->known_hosts[i].fd = -1;
}

void
login_config_fini (struct login_config *c)
{
  for (unsigned i = 0; i < LOGIN_KEYS; i++) {
    ssh_key_free (c->key[i].key);
    free (c->key[i].name);
    free (c->key[i].locked);
    free (c->key[i].public);
  }
  for (unsigned i = 0; i < LOGIN_KNOWN_HOSTS; i++) {
    if (c->known_hosts[i].fd >= 0)
      close (c->known_hosts[i].fd);
    free (c->known_hosts[i].name);
  }
  if (c->agent_fd >= 0)
    close (c->agent_fd);
  OPENSSL_cleanse (c->password, sizeof c->password);
  OPENSSL_cleanse (c->target_password, sizeof c->target_password);
  tls_login_fini (&c->tls);
  login_config_init (c);
}

/* All of a file, at most LOGIN_KNOWN_HOSTS_BYTES. */
static enum err
read_all (int fd, char **ret_text, size_t *ret_bytes)
{
  size_t size = 16384, used = 0;
  CLEANUP_FREE char *text = malloc (size);

  for (;;) {
    ssize_t n;

    if (!text)
      return ERR_NOMEM;
    n = pread (fd, text + used, size - used, (off_t)used);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_from_errno (errno);
    if (n == 0)
      break;
    used += (size_t)n;
    if (used == size) {
      char *more;

      if (size >= LOGIN_KNOWN_HOSTS_BYTES)
        return ERR_LIMIT;
      size *= 2;
      more = realloc (text, size);
      if (!more)
        return ERR_NOMEM;
      text = more;
    }
  }
  *ret_text = steal (&text);
  *ret_bytes = used;
  return ERR_OK;
}

enum err
login_begin (struct login *l, const struct login_config *c, struct fault *f)
{
  struct login n = {.config = c};

  signer_init (&n.signer, c->user);
  for (unsigned i = 0; i < c->known_hosts_files; i++) {
    char *text = NULL;
    size_t length_bytes = 0;
    enum err e = read_all (c->known_hosts[i].fd, &text, &length_bytes);

    if (e) {
      login_end (&n);
      return fault_set (f, e, "cannot read %s: %s", c->known_hosts[i].name,
                        err_text (e));
    }
    n.file[n.files++] =
        (struct known_hosts_file){c->known_hosts[i].name, text, length_bytes};
  }
  *l = n;
  return ERR_OK;
}

void
login_end (struct login *l)
{
  for (unsigned i = 0; i < l->files; i++)
    free ((char *)l->file[i].text);
  free (l->agent_key);
  *l = (struct login){0};
}

void
login_hostkey_types (const struct login *l, char dst[HOSTKEY_TYPES_BYTES])
{
  known_hosts_types (l->file, l->files, l->config->host, l->config->port, dst);
}

/* What the user would type, with the port only if it is not ssh's own. */
static void
keyscan_command (const struct login_config *c, const char *file, char *dst,
                 size_t dst_bytes)
{
  if (c->port == 22)
    snprintf (dst, dst_bytes, "ssh-keyscan %s >> %s", c->host, file);
  else
    snprintf (dst, dst_bytes, "ssh-keyscan -p %u %s >> %s", c->port, c->host,
              file);
}

static enum err
refuse_unknown (const struct login *l, const char *type,
                const char *fingerprint, struct fault *f)
{
  const struct login_config *c = l->config;
  const char *file = l->files ? l->file[0].name : "~/.ssh/known_hosts";
  char command[300];

  keyscan_command (c, file, command, sizeof command);
  fault_set (f, ERR_HOSTKEY, "host key of [%s]:%u (%s %s) is not in %s",
             c->host, c->port, type, fingerprint, file);
  fault_hint (f,
              "compare the fingerprint with the server's, then add the "
              "line: %s",
              command);
  return ERR_HOSTKEY;
}

static enum err
refuse_changed (const struct login *l, const char *type,
                const char *fingerprint, const struct known_hosts_found *found,
                struct fault *f)
{
  const struct login_config *c = l->config;

  fault_set (
      f, ERR_HOSTKEY,
      "HOST KEY CHANGED: [%s]:%u shows %s %s, not %s as in line %u of %s",
      c->host, c->port, type, fingerprint, found->fingerprint, found->line,
      found->file);
  fault_hint (f, "somebody may be listening in; if the server really got a new "
                 "key, remove that line and add the new key");
  return ERR_HOSTKEY;
}

enum err
login_hostkey (const struct login *l, const uint8_t *blob, size_t blob_bytes,
               struct fault *f)
{
  const struct login_config *c = l->config;
  char fingerprint[HOSTKEY_FINGERPRINT_BYTES];
  char type[HOSTKEY_TYPE_BYTES];
  struct known_hosts_found found = {0};

  hostkey_fingerprint (blob, blob_bytes, fingerprint);
  hostkey_type (blob, blob_bytes, type);
  switch (known_hosts_check (l->file, l->files, c->host, c->port, blob,
                             blob_bytes, &found)) {
  case KNOWN_HOSTS_MATCH:
    return ERR_OK;
  case KNOWN_HOSTS_REVOKED:
    fault_set (f, ERR_HOSTKEY,
               "host key of [%s]:%u (%s %s) is revoked by line %u of %s",
               c->host, c->port, type, fingerprint, found.line, found.file);
    fault_hint (f, "do not connect to this server with this key");
    return ERR_HOSTKEY;
  case KNOWN_HOSTS_CHANGED:
    return refuse_changed (l, type, fingerprint, &found, f);
  case KNOWN_HOSTS_UNKNOWN:
  default:
    return refuse_unknown (l, type, fingerprint, f);
  }
}

static bool
list_has (const char *list, const char *name)
{
  size_t n = strlen (name);

  for (const char *p = list; p; p = strchr (p, ',')) {
    p += *p == ',';
    if (strncmp (p, name, n) == 0 && (p[n] == ',' || p[n] == 0))
      return true;
  }
  return false;
}

static void
note_tried (struct login *l, const char *name, const char *why)
{
  size_t used = strlen (l->tried);

  snprintf (l->tried + used, sizeof l->tried - used, "%s%s%s%s%s",
            used ? ", " : "", name, why ? " (" : "", why ? why : "",
            why ? ")" : "");
}

/* A server may take RSA keys, but not by this algorithm. */
static const char *
how_used (const struct ssh_key *k)
{
  const char *algorithm = ssh_key_algorithm (k);

  return strcmp (algorithm, "rsa-sha2-256") == 0 ? algorithm : NULL;
}

/* By either method; the worker chooses. */
static bool
takes_password (const char *methods)
{
  return list_has (methods, "password")
         || list_has (methods, "keyboard-interactive");
}

/* What helps with a key that was named but cannot be used; NULL: nothing. */
static const char *
locked_hint (const struct login_config *c)
{
  for (unsigned i = 0; i < c->keys; i++)
    if (!c->key[i].key && c->key[i].fault.hint[0])
      return c->key[i].fault.hint;
  return NULL;
}

static bool
has_usable_key (const struct login_config *c)
{
  for (unsigned i = 0; i < c->keys; i++)
    if (c->key[i].key)
      return true;
  return false;
}

/* What was given already, and is not taken, is not what is missing. */
static void
hint_at_login (const struct login *l, bool key, bool password, struct fault *f)
{
  const struct login_config *c = l->config;

  if (key && locked_hint (c))
    fault_hint (f, "%s", locked_hint (c));
  else if (password && l->password_tried)
    fault_hint (f, "is that the password of this user?%s",
                key ? " A key can be given with identity=FILE" : "");
  else if (key && has_usable_key (c))
    fault_hint (f, "is the key's .pub in authorized_keys of this user on the "
                   "server?%s",
                password ? " A password can be given with password=-" : "");
  else if (key && password)
    fault_hint (f, "give a key with identity=FILE or a password with "
                   "password=-");
  else if (key)
    fault_hint (f, "give a private key with identity=FILE, and add its .pub "
                   "to authorized_keys on the server");
  else if (password)
    fault_hint (f, "give the password with password=- or password=+FILE");
  else
    fault_hint (f, "only public keys and passwords are supported");
}

static enum control_type
nothing_left (const struct login *l, const char *methods, struct wirebuf *b,
              struct fault *f)
{
  const struct login_config *c = l->config;

  fault_set (f, ERR_AUTH, "%s@%s refused the login; it accepts %s; tried: %s",
             c->user, c->host, methods[0] ? methods : "nothing",
             l->tried[0] ? l->tried : "nothing");
  hint_at_login (l, list_has (methods, "publickey"), takes_password (methods),
                 f);
  fault_put (b, f);
  return CONTROL_AUTH_NONE;
}

/* A place is kept for the password. */
static bool
may_try_key (const struct login *l, const char *methods)
{
  return list_has (methods, "publickey")
         && l->attempts + l->config->has_password < LOGIN_ATTEMPTS;
}

static enum control_type
offer_key (struct login *l, const struct ssh_key *k, struct wirebuf *b)
{
  size_t blob_bytes;
  const uint8_t *blob = ssh_key_blob (k, &blob_bytes);

  l->attempts++;
  wirebuf_cstring (b, ssh_key_algorithm (k));
  wirebuf_string (b, blob, blob_bytes);
  signer_offer (&l->signer, k);
  return CONTROL_AUTH_KEY;
}

static enum control_type
offer_agent_key (struct login *l, struct wirebuf *b)
{
  const struct agent_key *k = &l->agent_key[l->next_agent_key++];

  note_tried (l, k->comment[0] ? k->comment : k->algorithm, "of the agent");
  l->attempts++;
  wirebuf_cstring (b, k->algorithm);
  wirebuf_string (b, k->blob, k->blob_bytes);
  signer_offer_foreign (&l->signer, k->algorithm, k->blob, k->blob_bytes);
  return CONTROL_AUTH_KEY;
}

enum control_type
login_next (struct login *l, const char *methods, struct wirebuf *b,
            struct fault *f)
{
  const struct login_config *c = l->config;

  signer_offer (&l->signer, NULL);
  while (may_try_key (l, methods) && l->next_key < c->keys) {
    const struct login_key *k = &c->key[l->next_key++];

    note_tried (l, k->name, k->key ? how_used (k->key) : k->fault.text);
    if (k->key)
      return offer_key (l, k->key, b);
  }
  if (may_try_key (l, methods) && c->agent_fd >= 0 && !l->agent_asked) {
    l->agent_asked = true;
    agent_put_list (b);
    return LOGIN_ASK_AGENT;
  }
  if (may_try_key (l, methods) && l->next_agent_key < l->agent_keys
      && !l->agent_gone)
    return offer_agent_key (l, b);
  if (takes_password (methods) && c->has_password && !l->password_tried) {
    l->password_tried = true;
    note_tried (l, "the password", NULL);
    wirebuf_cstring (b, c->password);
    return CONTROL_AUTH_PASSWORD;
  }
  return nothing_left (l, methods, b, f);
}

/* What a key of the agent is to the files that were named: tried already, the
 * one that is encrypted there, or just another one.
 */
enum relation { TRIED, WANTED, OTHER };

static enum relation
relation_to_files (const struct login_config *c, const struct agent_key *a)
{
  for (unsigned i = 0; i < c->keys; i++) {
    const struct login_key *k = &c->key[i];
    size_t n;
    const uint8_t *blob = k->key ? ssh_key_blob (k->key, &n) : NULL;

    if (blob && n == a->blob_bytes && memcmp (blob, a->blob, n) == 0)
      return TRIED;
    if (!k->key && k->public && k->public_bytes == a->blob_bytes
        && memcmp (k->public, a->blob, a->blob_bytes) == 0)
      return WANTED;
  }
  return OTHER;
}

void
login_agent_keys (struct login *l, const uint8_t *answer, size_t answer_bytes,
                  const struct fault *why)
{
  static const enum relation order[] = {WANTED, OTHER};

  if (!answer) {
    note_tried (l, "ssh-agent", why->text);
    return;
  }
  l->agent_key = calloc (LOGIN_ATTEMPTS, sizeof *l->agent_key);
  for (size_t i = 0; l->agent_key && i < 2; i++)
    for (size_t at = 0; l->agent_keys < LOGIN_ATTEMPTS
                        && agent_next_key (answer, answer_bytes, &at,
                                           &l->agent_key[l->agent_keys]);)
      if (relation_to_files (l->config, &l->agent_key[l->agent_keys])
          == order[i])
        l->agent_keys++;
  if (l->agent_keys == 0)
    note_tried (l, "ssh-agent", "it has no other key");
}

enum err
login_sign (struct login *l, const uint8_t *data, size_t data_bytes,
            struct wirebuf *b, struct fault *f)
{
  uint8_t sig[SSH_SIGNATURE_BYTES];
  size_t n;
  enum err e = signer_sign (&l->signer, data, data_bytes, sig, &n, f);

  if (e == ERR_AGAIN)
    agent_put_sign (b, &l->agent_key[l->next_agent_key - 1], data, data_bytes);
  if (e)
    return e;
  wirebuf_string (b, sig, n);
  return ERR_OK;
}

void
login_agent_signature (struct login *l, const uint8_t *answer,
                       size_t answer_bytes, const struct fault *why,
                       struct wirebuf *b)
{
  const uint8_t *sig = NULL;
  size_t n = 0;
  enum err e =
      answer ? agent_take_signature (
          answer, answer_bytes, &l->agent_key[l->next_agent_key - 1], &sig, &n)
             : why->code;

  if (e) {
    note_tried (l, "ssh-agent",
                !answer         ? why->text
                : e == ERR_AUTH ? "it refused to sign"
                                : "its signature is of another kind");
    l->agent_gone |= !answer;
  }
  wirebuf_string (b, sig, n);
}
