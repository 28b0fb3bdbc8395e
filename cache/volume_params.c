/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/volume_params.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "common/cleanup.h"
#include "protocols/params.h"

/* The files that a user has by default come as identity, identity-2, … */
static const char *const identity_keys[LOGIN_KEYS] = {"identity", "identity-2",
                                                      "identity-3"};
static const char *const known_hosts_keys[LOGIN_KNOWN_HOSTS] = {
    "known-hosts", "known-hosts-2"};
static const char *const secret_keys[CREDENTIALS_SECRETS] = {
    [CREDENTIALS_PASSWORD] = "password",
    [CREDENTIALS_TARGET_PASSWORD] = "target-password",
    [CREDENTIALS_PASSPHRASE] = "passphrase"};

/* The table's entry for a key as it came: "identity-2" is an "identity". */
static const struct param *
find_param (const struct param *table, const char *key)
{
  const struct param *p = param_find (proto_common_params, key);
  char base[64];
  size_t n = strlen (key);

  if (!p)
    p = param_find (proto_internal_params, key);
  if (!p)
    p = param_find (table, key);
  if (p || n < 3 || n >= sizeof base || key[n - 2] != '-'
      || !isdigit ((unsigned char)key[n - 1]))
    return p;
  memcpy (base, key, n - 2);
  base[n - 2] = 0;
  p = param_find (table, base);
  return p && p->type == PARAM_FILE ? p : NULL;
}

static enum err
check_param (const struct param *p, const char *key, const char *value, int fd,
             struct fault *f)
{
  bool is_file;
  char *end;
  unsigned long n;

  if (!p || !(p->flags & (PARAM_TO_DAEMON | PARAM_TO_WORKER)))
    return fault_set (f, ERR_INVAL, "unknown parameter %s", key);
  is_file = p->type == PARAM_FILE || p->type == PARAM_SECRET
            || p->type == PARAM_SOCKET;
  if (is_file != (fd >= 0))
    return fault_set (f, ERR_INVAL, "%s came %s a file", key,
                      is_file ? "without" : "with");
  if (p->type == PARAM_UINT) {
    errno = 0;
    n = strtoul (value, &end, 10);
    if (!isdigit ((unsigned char)value[0]) || *end || errno || n < p->min
        || n > p->max)
      return fault_set (f, ERR_INVAL, "%s=%s is not a number in %lu … %lu", key,
                        value, p->min, p->max);
  }
  return ERR_OK;
}

static enum err
check_spec (const struct volume_spec *s, const struct proto_params *proto,
            struct fault *f)
{
  for (unsigned i = 0; i < s->params; i++) {
    const char *key = s->pool + s->param[i].key;
    enum err e = check_param (find_param (proto->params, key), key,
                              s->pool + s->param[i].value, s->param[i].fd, f);

    if (e)
      return e;
  }
  return ERR_OK;
}

/* Words that go into a message, a packet or (the host) a command line. */
static enum err
take_word (const struct volume_spec *s, const char *key, char *dst,
           size_t dst_bytes, struct fault *f)
{
  const char *value = volume_spec_get (s, key);

  if (!value || !value[0])
    return fault_set (f, ERR_INVAL, "no %s was given", key);
  if (strlen (value) >= dst_bytes)
    return fault_set (f, ERR_INVAL, "the %s is too long", key);
  for (const char *c = value; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      return fault_set (f, ERR_INVAL, "the %s has a control character", key);
  strcpy (dst, value);
  return ERR_OK;
}

/* A host stands in commands that we tell the user to type: no name that could
 * be an option or more than one word there.
 */
static enum err
take_host (const struct volume_spec *s, struct login_config *c, struct fault *f)
{
  enum err e = take_word (s, "host", c->host, sizeof c->host, f);

  if (e)
    return e;
  if (!place_host_check (c->host))
    return fault_set (f, ERR_INVAL, "the host name has an odd character");
  return ERR_OK;
}

/* Keys and known_hosts must be real files: reading them must not wait. */
static enum err
take_file (const struct volume_spec *s, struct control *m, const char *key,
           int *ret_fd, char **ret_name, struct fault *f)
{
  CLEANUP_CLOSE int fd = control_take_fd (m, (unsigned)volume_spec_fd (s, key));
  CLEANUP_FREE char *name = strdup (volume_spec_get (s, key));
  struct stat st;

  if (!name)
    return fault_set (f, ERR_NOMEM, "out of memory");
  if (fd < 0 || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return fault_set (f, ERR_INVAL, "%s=%s is not a regular file", key, name);
  *ret_fd = steal_fd (&fd);
  *ret_name = steal (&name);
  return ERR_OK;
}

/* A key that cannot be used is no end: another one, or the password, may do.
 * The login's message names it. An encrypted one may become usable.
 */
static void
load_key (struct login_key *k, int fd)
{
  char *text = malloc (SSH_KEY_FILE_BYTES + 1);
  ssize_t n = text ? pread (fd, text, SSH_KEY_FILE_BYTES + 1, 0) : -1;

  if (n < 0)
    fault_set (&k->fault, ERR_IO, "cannot be read");
  else {
    SHA256 ((const uint8_t *)text, (size_t)n, k->digest);
    if (ssh_key_load (text, (size_t)n, NULL, &k->key, &k->fault) == ERR_AUTH) {
      k->locked = steal (&text);
      k->locked_bytes = (size_t)n;
      ssh_key_public (k->locked, k->locked_bytes, &k->public,
                      &k->public_bytes);
    }
  }
  if (text)
    OPENSSL_cleanse (text, SSH_KEY_FILE_BYTES + 1);
  free (text);
}

static enum err
take_keys (const struct volume_spec *s, struct control *m,
           struct login_config *c, struct fault *f)
{
  for (unsigned i = 0; i < LOGIN_KEYS; i++) {
    CLEANUP_CLOSE int fd = -1;
    enum err e;

    if (!volume_spec_get (s, identity_keys[i]))
      continue;
    e = take_file (s, m, identity_keys[i], &fd, &c->key[c->keys].name, f);
    if (e)
      return e;
    load_key (&c->key[c->keys], fd);
    c->keys++;
  }
  return ERR_OK;
}

static enum err
take_known_hosts (const struct volume_spec *s, struct control *m,
                  struct login_config *c, struct fault *f)
{
  for (unsigned i = 0; i < LOGIN_KNOWN_HOSTS; i++) {
    unsigned n = c->known_hosts_files;
    enum err e;

    if (!volume_spec_get (s, known_hosts_keys[i]))
      continue;
    e = take_file (s, m, known_hosts_keys[i], &c->known_hosts[n].fd,
                   &c->known_hosts[n].name, f);
    if (e)
      return e;
    c->known_hosts_files++;
  }
  return ERR_OK;
}

/* A connection that the gateway made; where to is its business. */
static enum err
take_agent (const struct volume_spec *s, struct control *m,
            struct login_config *c, struct fault *f)
{
  int index = volume_spec_fd (s, "agent"), type = 0, domain = 0;
  socklen_t n = sizeof type, k = sizeof domain;

  if (index < 0)
    return ERR_OK;
  c->agent_fd = control_take_fd (m, (unsigned)index);
  if (c->agent_fd < 0
      || getsockopt (c->agent_fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0
      || getsockopt (c->agent_fd, SOL_SOCKET, SO_DOMAIN, &domain, &k) < 0
      || type != SOCK_STREAM || domain != AF_UNIX)
    return fault_set (f, ERR_INVAL, "the agent is no Unix stream socket");
  return ERR_OK;
}

/* What TLS needs, and nothing where it is off: a certificate that is given and
 * not shown would be a misunderstanding.
 */
static enum err
take_tls (const struct volume_spec *s, struct control *m,
          struct login_config *c, struct fault *f)
{
  const char *security = volume_spec_get (s, "xprtsec");
  const char *name = volume_spec_get (s, "tls-hostname");
  static const char *const keys[] = {"tls-ca", "tls-cert", "tls-key"};
  bool mutual = security && strcmp (security, "mtls") == 0;
  int fd[3] = {-1, -1, -1};
  unsigned wanted;
  enum err e = ERR_OK;

  if (security && !mutual && strcmp (security, "tls") != 0
      && strcmp (security, "none") != 0)
    return fault_set (f, ERR_INVAL, "xprtsec=%s: write none, tls or mtls",
                      security);
  c->tls.on = mutual || (security && strcmp (security, "tls") == 0);
  wanted = mutual ? 3 : c->tls.on ? 1 : 0;
  if (!c->tls.on && (name || volume_spec_get (s, "tls-alpn")))
    return fault_set (f, ERR_INVAL, "%s= needs xprtsec=tls or mtls",
                      name ? "tls-hostname" : "tls-alpn");
  for (unsigned i = 0; i < 3; i++) {
    if (!volume_spec_get (s, keys[i]) == (i < wanted))
      return fault_set (f, ERR_INVAL,
                        i < wanted ? "xprtsec=%s needs %s="
                                   : "xprtsec=%s takes no %s=",
                        security ? security : "none", keys[i]);
  }
  for (unsigned i = 0; i < wanted && !e; i++) {
    CLEANUP_FREE char *path = NULL;

    e = take_file (s, m, keys[i], &fd[i], &path, f);
  }
  if (!e && c->tls.on)
    e = tls_login_take (&c->tls, name && name[0] ? name : c->host, fd, f);
  for (unsigned i = 0; i < 3; i++)
    if (fd[i] >= 0)
      close (fd[i]);
  return e;
}

/* CHAP: a secret without a name, or a name without a secret, is a mistake that
 * a server would not explain.
 */
static enum err
take_chap (const struct volume_spec *s, struct login_config *c,
           struct fault *f)
{
  bool user = volume_spec_get (s, "user");
  bool secret = volume_spec_get (s, "password");
  bool target_user = volume_spec_get (s, "target-user");
  bool target_secret = volume_spec_get (s, "target-password");
  enum err e;

  if (target_user
      && (e = take_word (s, "target-user", c->target_user,
                         sizeof c->target_user, f)))
    return e;
  if (user != secret) {
    fault_set (f, ERR_INVAL, "%s= needs %s=", user ? "user" : "password",
               user ? "password" : "user");
    fault_hint (f, "CHAP takes both: user=NAME password=- (or +FILE)");
    return ERR_INVAL;
  }
  if (target_user != target_secret || (target_user && !user)) {
    fault_set (f, ERR_INVAL, "%s= needs %s=",
               target_user ? "target-user" : "target-password",
               target_user != target_secret ? target_user ? "target-password"
                                                          : "target-user"
                                            : "user");
    fault_hint (f, "mutual CHAP takes all of user=, password=, target-user= "
                   "and target-password=");
    return ERR_INVAL;
  }
  return ERR_OK;
}

static enum err
take_list (const struct volume_spec *s, const char *key, const char *text,
           uint16_t port, struct place_list *ret, struct fault *f)
{
  enum err e = place_list_parse (text, port, ret);

  if (e == ERR_LIMIT)
    return fault_set (f, e, "%s= has more than %u places", key, PLACES);
  if (e) {
    fault_set (f, e, "%s=%s is no list of places", key,
               volume_spec_get (s, key));
    fault_hint (f, "it looks like host:port,[2001:db8::1]:3260,other-host");
  }
  return e;
}

/* Where its sessions may be. */
static enum err
take_places (const struct volume_spec *s, const struct proto_params *proto,
             struct login_config *c, struct fault *f)
{
  const char *portals = volume_spec_get (s, "portals");
  const char *redirect = volume_spec_get (s, "redirect");
  enum err e;

  c->moves.moves = proto->flags & PROTO_MOVES;
  c->moves.hosts = proto->flags & PROTO_MOVES_HOST;
  c->from_reserved_port = proto->flags & PROTO_FROM_RESERVED_PORT;
  c->keeps_source_port = c->from_reserved_port;
  c->leaves = proto->flags & PROTO_LEAVES;
  if (portals
      && (e = take_list (s, "portals", portals, c->port, &c->portals, f)))
    return e;
  if (!redirect)
    return ERR_OK;
  if (strcmp (redirect, "no") == 0)
    c->moves.moves = false;
  else if (strcmp (redirect, "any") == 0)
    c->moves.any = true;
  else
    return take_list (s, "redirect", redirect, 0, &c->moves.allowed, f);
  return ERR_OK;
}

enum err
volume_params_take (const struct volume_spec *s, struct control *m,
                    struct login_config *c,
                    int ret_secret_fd[CREDENTIALS_SECRETS], struct fault *f)
{
  const struct proto_params *proto = proto_params_find (s->proto);
  const char *port = volume_spec_get (s, "port");
  enum err e;

  if (!proto)
    return fault_set (f, ERR_NOTSUP, "unknown protocol %s", s->proto);
  if ((e = check_spec (s, proto, f)) || (e = take_host (s, c, f)))
    return e;
  c->ssh = proto->flags & PROTO_LOGIN_SSH;
  if ((c->ssh || volume_spec_get (s, "user"))
      && (e = take_word (s, "user", c->user, sizeof c->user, f)))
    return e;
  if (c->ssh
      && ((e = take_keys (s, m, c, f)) || (e = take_known_hosts (s, m, c, f))
          || (e = take_agent (s, m, c, f))))
    return e;
  c->port = port ? (uint16_t)strtoul (port, NULL, 10) : proto->default_port;
  if ((proto->flags & PROTO_LOGIN_CHAP) && (e = take_chap (s, c, f)))
    return e;
  if ((e = take_places (s, proto, c, f)) || (e = take_tls (s, m, c, f)))
    return e;
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++) {
    int fd = volume_spec_fd (s, secret_keys[i]);

    ret_secret_fd[i] = fd >= 0 ? control_take_fd (m, (unsigned)fd) : -1;
  }
  return ERR_OK;
}

unsigned
volume_params_connections (const struct volume_spec *s)
{
  const char *n = volume_spec_get (s, "connections");

  return n ? (unsigned)strtoul (n, NULL, 10) : 1;
}

enum err
volume_params_for_worker (const struct volume_spec *s, struct volume_spec *ret)
{
  const struct proto_params *proto = proto_params_find (s->proto);

  memset (ret, 0, sizeof *ret);
  strcpy (ret->proto, s->proto);
  for (unsigned i = 0; i < s->params; i++) {
    const char *key = s->pool + s->param[i].key;
    const struct param *p = find_param (proto->params, key);
    enum err e;

    if (!p || !(p->flags & PARAM_TO_WORKER) || s->param[i].fd >= 0)
      continue;
    e = volume_spec_set (ret, key, s->pool + s->param[i].value, -1);
    if (e)
      return e;
  }
  return ERR_OK;
}
