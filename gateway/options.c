/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "gateway/retained.h"
#include "gateway/url.h"
#include "ipc/hash.h"
#include "protocols/params.h"

#define NS_PER_S 1000000000ull
#define REQUEST_SECONDS 30 /* timeout='s default */
#define PREFETCH_DEFAULT (4u << 20)
#define PREFETCH_MAX (8u << 20) /* AHEAD_PIECES chunks */
#define RETAIN_DEFAULT (64u << 20)
#define RETAIN_MAX (2048u << 20)

static const struct param gateway_params[] = {
  {"url", PARAM_STRING, PARAM_TO_GATEWAY, 0, 0, NULL, "URL",
   "what to serve; \"url=\" may be left out"},
  {"readonly", PARAM_BOOL, PARAM_TO_GATEWAY, 0, 0, "no", "BOOL",
   "refuse writes, whatever the server allows"},
  {"cache", PARAM_BOOL, PARAM_TO_GATEWAY, 0, 0, "on", "BOOL",
   "answer reads from the cache that all gateways of the host share"},
  {"revalidate", PARAM_UINT, PARAM_TO_GATEWAY, 0, 86400, "0", "SECONDS",
   "how often to ask the server whether others have written; 0: never"},
  {"prefetch", PARAM_STRING, PARAM_TO_GATEWAY, 0, 0, "4M", "BYTES[K|M]",
   "read ahead of sequential readers by at most this much; 0: not at all"},
  {"retain", PARAM_STRING, PARAM_TO_GATEWAY, 0, 0, "64M", "BYTES[K|M]",
   "keep at most this much of what was written and not yet flushed, to send it "
   "again if the server loses it; 0: keep nothing"},
  {"outage", PARAM_STRING, PARAM_TO_GATEWAY, 0, 0, "wait",
   "wait|fail:SECONDS",
   "while the server cannot be reached: requests wait, or fail after SECONDS"},
  {"timeout", PARAM_UINT, PARAM_TO_GATEWAY, 1, 86400, "30", "SECONDS",
   "a request that the server leaves unanswered for so long: reconnect"},
  {0},
};

const struct param *
options_params (void)
{
  return gateway_params;
}

/* Whose meaning is no protocol's. */
static const struct param *
own_param (const char *key)
{
  const struct param *p = param_find (gateway_params, key);

  return p ? p : param_find (proto_common_params, key);
}

enum err
options_add (struct options *o, const char *key, const char *value,
             struct fault *f)
{
  for (unsigned i = 0; i < o->pairs; i++)
    if (strcmp (o->pair[i].key, key) == 0)
      return fault_set (f, ERR_INVAL, "%s= is given twice", key);
  if (o->pairs == OPTIONS_PAIRS)
    return fault_set (f, ERR_LIMIT, "more than %d parameters", OPTIONS_PAIRS);
  o->pair[o->pairs].key = strdup (key);
  o->pair[o->pairs].value = strdup (value);
  if (!o->pair[o->pairs].key || !o->pair[o->pairs].value)
    return fault_set (f, ERR_NOMEM, "out of memory");
  o->pairs++;
  return ERR_OK;
}

void
options_free (struct options *o)
{
  for (unsigned i = 0; i < o->pairs; i++) {
    free (o->pair[i].key);
    free (o->pair[i].value);
  }
  for (unsigned i = 0; i < o->fds; i++)
    if (o->fd[i] >= 0)
      close (o->fd[i]);
  o->pairs = o->fds = 0;
}

static const char *
option (const struct options *o, const char *key)
{
  for (unsigned i = 0; i < o->pairs; i++)
    if (strcmp (o->pair[i].key, key) == 0)
      return o->pair[i].value;
  return NULL;
}

static enum err
unknown_key (const char *key, const struct param *table, struct fault *f)
{
  const char *nearest = param_nearest (table, key);

  if (!nearest)
    nearest = param_nearest (gateway_params, key);
  if (!nearest)
    nearest = param_nearest (proto_common_params, key);
  fault_set (f, ERR_INVAL, "unknown parameter \"%s\"", key);
  if (nearest)
    fault_hint (f, "did you mean %s=?", nearest);
  else
    fault_hint (f, "nbdkit bulkhead --help lists them");
  return ERR_INVAL;
}

static enum err
parse_bool (const char *key, const char *value, bool *ret, struct fault *f)
{
  static const char *const yes[] = {"1", "true", "t", "yes", "y", "on"};
  static const char *const no[] = {"0", "false", "f", "no", "n", "off"};

  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
    if (strcasecmp (value, yes[i]) == 0)
      return *ret = true, ERR_OK;
    if (strcasecmp (value, no[i]) == 0)
      return *ret = false, ERR_OK;
  }
  return fault_set (f, ERR_INVAL, "%s=%s is neither yes nor no", key, value);
}

static enum err
check_uint (const struct param *p, const char *value, struct fault *f)
{
  unsigned long v;
  char *end;

  errno = 0;
  v = strtoul (value, &end, 10);
  if (errno || *end || !isdigit ((unsigned char)value[0]) || v < p->min
      || v > p->max)
    return fault_set (f, ERR_INVAL,
                      "%s=%s is not a number from %lu to %lu", p->key, value,
                      p->min, p->max);
  return ERR_OK;
}

/* Hands fd over to the options. */
static enum err
add_fd (struct options *o, const char *key, const char *name, int fd,
        struct fault *f)
{
  enum err e = ERR_LIMIT;

  if (o->fds < CONTROL_FILES)
    e = volume_spec_set (&o->spec, key, name, (int)o->fds);
  if (e) {
    close (fd);
    return fault_set (f, e, "too many parameters, or too long ones, at %s=",
                      key);
  }
  o->fd[o->fds++] = fd;
  return ERR_OK;
}

static bool
is_private_key (const char *key)
{
  return strcmp (key, "identity") == 0 || strcmp (key, "tls-key") == 0;
}

/* Opens a regular file for reading. As ssh does, refuses a private key of ours
 * that others can read.
 */
static enum err
open_file (const char *key, const char *path, int *ret_fd, struct fault *f)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY
                                       | O_NONBLOCK);
  struct stat st;

  if (fd < 0)
    return fault_set (f, err_from_errno (errno), "%s=%s: %s", key, path,
                      strerrordesc_np (errno));
  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return fault_set (f, ERR_INVAL, "%s=%s is not a regular file", key, path);
  if (is_private_key (key) && st.st_uid == geteuid ()
      && (st.st_mode & 077)) {
    fault_set (f, ERR_ACCESS, "the private key %s can be read by others",
               path);
    fault_hint (f, "chmod 600 %s", path);
    return ERR_ACCESS;
  }
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
}

static enum err
add_secret (struct options *o, const struct param *p, const char *value,
            int (*read_secret) (const char *, char **), struct fault *f)
{
  CLEANUP_CLOSE int fd = -1;
  char *secret = NULL;
  size_t n;
  bool ok;

  if (value[0] != '-' && value[0] != '+') {
    fault_set (f, ERR_INVAL,
               "%s= on a command line can be read by everybody", p->key);
    fault_hint (f, "give %s=- (prompt), %s=+FILE or %s=-FD", p->key, p->key,
                p->key);
    return ERR_INVAL;
  }
  if (read_secret (value, &secret) < 0)
    return fault_set (f, ERR_INVAL, "%s=%s cannot be read", p->key, value);
  n = strlen (secret);
  fd = memfd_create ("bh-secret", MFD_CLOEXEC);
  ok = fd >= 0 && write (fd, secret, n) == (ssize_t)n
       && lseek (fd, 0, SEEK_SET) == 0;
  explicit_bzero (secret, n);
  free (secret);
  if (!ok)
    return fault_set (f, ERR_NOMEM, "out of memory");
  return add_fd (o, p->key, "(secret)", steal_fd (&fd), f);
}

/* Connects to a user's agent: the daemon would be somebody else there. */
static enum err
connect_socket (const char *key, const char *path, int *ret_fd,
                struct fault *f)
{
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  CLEANUP_CLOSE int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (strlen (path) >= sizeof sa.sun_path)
    return fault_set (f, ERR_INVAL, "%s=%s is too long for a socket", key,
                      path);
  strcpy (sa.sun_path, path);
  if (fd < 0 || connect (fd, (struct sockaddr *)&sa, sizeof sa) < 0)
    return fault_set (f, err_from_errno (errno), "%s=%s: %s", key, path,
                      strerrordesc_np (errno));
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
}

static enum err
add_socket (struct options *o, const struct param *p, const char *value,
            struct fault *f)
{
  bool on = true;
  int fd;
  enum err e;

  if (!strchr (value, '/')) {
    if ((e = parse_bool (p->key, value, &on, f))) {
      fault_hint (f, "%s=yes, %s=no or %s=/path/to/socket", p->key, p->key,
                  p->key);
      return e;
    }
    if (!on)
      return ERR_OK;
    value = secure_getenv ("SSH_AUTH_SOCK");
    if (!value || !value[0])
      return fault_set (f, ERR_INVAL, "%s=yes, but SSH_AUTH_SOCK is not set",
                        p->key);
  }
  if ((e = connect_socket (p->key, value, &fd, f)))
    return e;
  return add_fd (o, p->key, value, fd, f);
}

static enum err
add_param (struct options *o, const struct param *p, const char *value,
           int (*read_secret) (const char *, char **), struct fault *f)
{
  bool on = false;
  int fd;
  enum err e = ERR_OK;

  switch (p->type) {
  case PARAM_SECRET:
    return add_secret (o, p, value, read_secret, f);
  case PARAM_FILE:
    if ((e = open_file (p->key, value, &fd, f)))
      return e;
    return add_fd (o, p->key, value, fd, f);
  case PARAM_SOCKET:
    return add_socket (o, p, value, f);
  case PARAM_UINT:
    e = check_uint (p, value, f);
    break;
  case PARAM_BOOL:
    e = parse_bool (p->key, value, &on, f);
    value = on ? "yes" : "no";
    break;
  case PARAM_STRING:
    if (!value[0])
      e = fault_set (f, ERR_INVAL, "%s= is empty", p->key);
    break;
  }
  if (e)
    return e;
  if (volume_spec_set (&o->spec, p->key, value, -1))
    return fault_set (f, ERR_LIMIT, "%s= is too long", p->key);
  return ERR_OK;
}

static const char *
home (void)
{
  const char *h = secure_getenv ("HOME");
  const struct passwd *pw;

  if (h && h[0] == '/')
    return h;
  pw = getpwuid (geteuid ());
  return pw ? pw->pw_dir : NULL;
}

/* Files that are used if they exist, in this order, where the user names
 * none. The first has the parameter's own key, the others key-2, key-3.
 */
static const struct {
  const char *key;
  const char *path; /* "~/…" or absolute */
} default_files[] = {
  {"identity", "~/.ssh/id_ed25519"},
  {"identity", "~/.ssh/id_ecdsa"},
  {"identity", "~/.ssh/id_rsa"},
  {"known-hosts", "~/.ssh/known_hosts"},
  {"known-hosts", "/etc/ssh/ssh_known_hosts"},
};

static enum err
add_default_files (struct options *o, const struct param *p,
                   const struct log *log, struct fault *f)
{
  unsigned found = 0;

  for (size_t i = 0; i < sizeof default_files / sizeof default_files[0];
       i++) {
    const char *path = default_files[i].path;
    const char *h = home ();
    char full[4096], key[40];
    int fd;
    enum err e;

    if (strcmp (default_files[i].key, p->key) != 0)
      continue;
    if (path[0] == '~') {
      if (!h)
        continue;
      snprintf (full, sizeof full, "%s%s", h, path + 1);
    } else
      snprintf (full, sizeof full, "%s", path);
    if ((e = open_file (p->key, full, &fd, f))) {
      if (e != ERR_NOENT)
        log_fault (log, "not used", f);
      continue;
    }
    snprintf (key, sizeof key, found ? "%s-%u" : "%s", p->key, found + 1);
    found++;
    if ((e = add_fd (o, key, full, fd, f)))
      return e;
  }
  return ERR_OK;
}

/* An agent that cannot be reached is as none. */
static enum err
add_default_socket (struct options *o, const struct param *p,
                    const struct log *log, struct fault *f)
{
  const char *path = secure_getenv ("SSH_AUTH_SOCK");
  int fd;
  enum err e;

  if (!path || !path[0])
    return ERR_OK;
  e = connect_socket (p->key, path, &fd, f);
  if (e == ERR_NOENT)
    return ERR_OK;
  if (e) {
    log_fault (log, "not used", f);
    return ERR_OK;
  }
  return add_fd (o, p->key, path, fd, f);
}

/* Which user of which host, in a form that tells neither (64 bits of 128 that
 * are secret): a server knows its clients by that (RFC 8881 §2.4), so it stays
 * the same for ever.
 */
static void
own_client (char *dst, size_t dst_bytes)
{
  char host[512] = "";
  int fd = open ("/etc/machine-id", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read (fd, host, 64) : -1;
  size_t used;
  uint64_t h = 0;

  if (fd >= 0)
    close (fd);
  if (n < 32)
    n = gethostname (host, 256) == 0 ? (ssize_t)strnlen (host, 256) : 0;
  used = (size_t)n;
  snprintf (host + used, sizeof host - used, "/%u/bulkhead",
            (unsigned)geteuid ());
  for (const char *p = host; *p; p++)
    h = hash_page (h ^ (uint8_t)*p);
  snprintf (dst, dst_bytes, "%016llx", (unsigned long long)h);
}

/* Whom an NFS server is told that asks: who we are, unless the user says
 * somebody else. NULL: not a parameter of that kind.
 */
static const char *
own_ids (const struct param *p, char *dst, size_t dst_bytes)
{
  gid_t groups[16];
  int count;
  size_t used = 0;

  if (strcmp (p->key, "uid") == 0)
    snprintf (dst, dst_bytes, "%u", (unsigned)geteuid ());
  else if (strcmp (p->key, "gid") == 0)
    snprintf (dst, dst_bytes, "%u", (unsigned)getegid ());
  else if (strcmp (p->key, "groups") == 0) {
    count = getgroups (16, groups);
    dst[0] = 0;
    for (int i = 0; i < count; i++)
      used += (size_t)snprintf (dst + used, dst_bytes - used, "%s%u",
                                i ? "," : "", (unsigned)groups[i]);
    return count > 0 ? dst : NULL; /* more than 16 do not fit AUTH_SYS */
  } else if (strcmp (p->key, "client-id") == 0)
    own_client (dst, dst_bytes);
  else
    return NULL;
  return dst;
}

/* The certificates of TLS by their usual names, where the user names a folder;
 * of the files alone the roots have a place on every system.
 */
static const struct {
  const char *key;
  const char *name;
  bool mutual;      /* for xprtsec=mtls only */
  const char *path; /* without a folder; NULL: there is none */
} tls_files[] = {
  {"tls-ca", "ca-cert.pem", false, "/etc/ssl/certs/ca-certificates.crt"},
  {"tls-cert", "client-cert.pem", true, NULL},
  {"tls-key", "client-key.pem", true, NULL},
};

/* *ret: that is what the parameter is for. A file that is missing is an error:
 * without it others would be trusted than the user meant.
 */
static enum err
add_default_tls (struct options *o, const struct param *p, bool *ret,
                 struct fault *f)
{
  const char *folder = option (o, "tls-certificates");
  const char *security = volume_spec_get (&o->spec, "xprtsec");
  bool mutual = security && strcmp (security, "mtls") == 0;
  bool on = mutual || (security && strcmp (security, "tls") == 0);
  char full[4096];
  int fd;
  enum err e;

  for (size_t i = 0; i < sizeof tls_files / sizeof tls_files[0]; i++) {
    const char *path = tls_files[i].path;

    if (strcmp (tls_files[i].key, p->key) != 0)
      continue;
    *ret = true;
    if (folder) {
      if (snprintf (full, sizeof full, "%s/%s", folder, tls_files[i].name)
          >= (int)sizeof full)
        return fault_set (f, ERR_LIMIT, "tls-certificates= is too long");
      path = full;
    }
    if (!on || (tls_files[i].mutual && !mutual) || !path)
      return ERR_OK; /* what is missing then, the daemon says */
    if ((e = open_file (p->key, path, &fd, f))) {
      fault_hint (f, "give tls-certificates=DIR or %s=FILE", p->key);
      return e;
    }
    return add_fd (o, p->key, path, fd, f);
  }
  return ERR_OK;
}

static enum err
add_default (struct options *o, const struct param *p, const struct log *log,
             struct fault *f)
{
  const struct passwd *pw;
  const char *value = p->fallback;
  char ids[16 * 11 + 1];
  bool tls = false;
  enum err e = add_default_tls (o, p, &tls, f);

  if (e || tls)
    return e;
  if (p->type == PARAM_FILE)
    return add_default_files (o, p, log, f);
  if (p->type == PARAM_SOCKET)
    return option (o, p->key) ? ERR_OK /* "no" */
                              : add_default_socket (o, p, log, f);
  if (!value && strcmp (p->key, "user") == 0
      && proto_params_find (o->spec.proto)->flags & PROTO_LOGIN_SSH) {
    pw = getpwuid (geteuid ());
    value = pw ? pw->pw_name : NULL;
    if (!value)
      return fault_set (f, ERR_INVAL,
                        "this user has no name here; give user=NAME");
  }
  if (!value && strcmp (o->spec.proto, "nfs") == 0)
    value = own_ids (p, ids, sizeof ids);
  if (value && volume_spec_set (&o->spec, p->key, value, -1))
    return fault_set (f, ERR_LIMIT, "%s= is too long", p->key);
  return ERR_OK;
}

static enum err
parse_outage (const char *value, uint64_t *ret_ns, struct fault *f)
{
  unsigned long seconds;
  char *end;

  *ret_ns = UINT64_MAX;
  if (strcmp (value, "wait") == 0)
    return ERR_OK;
  if (strncmp (value, "fail:", 5) == 0 && isdigit ((unsigned char)value[5])) {
    seconds = strtoul (value + 5, &end, 10);
    if (!*end && seconds <= 86400) {
      *ret_ns = seconds * NS_PER_S;
      return ERR_OK;
    }
  }
  return fault_set (f, ERR_INVAL, "outage=%s is neither wait nor "
                                  "fail:SECONDS (at most 86400)",
                    value);
}

/* 0, or min … max bytes. */
static enum err
parse_size (const char *key, const char *value, uint32_t min, uint32_t max,
            uint32_t *ret_bytes, struct fault *f)
{
  unsigned long v = 0;
  char *end = NULL;

  if (isdigit ((unsigned char)value[0]))
    v = strtoul (value, &end, 10);
  if (end && *end && strchr ("kKmM", *end) && !end[1] && v <= max) {
    v <<= strchr ("kK", *end) ? 10 : 20;
    end++;
  }
  if (!end || *end || v > max || (v && v < min))
    return fault_set (f, ERR_INVAL,
                      "%s=%s is not a size up to %uM, such as %s", key, value,
                      max >> 20, min ? "1M or 64M" : "512K or 4M");
  *ret_bytes = (uint32_t)v;
  return ERR_OK;
}

/* What concerns the gateway alone. */
static enum err
resolve_own (struct options *o, struct fault *f)
{
  const char *readonly = option (o, "readonly");
  const char *cache = option (o, "cache");
  const char *prefetch = option (o, "prefetch");
  const char *retain = option (o, "retain");
  const char *outage = option (o, "outage");
  const char *timeout = option (o, "timeout");
  const char *revalidate = option (o, "revalidate");
  const char *connections = option (o, "connections");
  enum err e;

  o->link = (struct link_options){.connections = 1,
                                  .cached = true,
                                  .outage_fail_ns = UINT64_MAX,
                                  .prefetch_bytes = PREFETCH_DEFAULT,
                                  .retain_bytes = RETAIN_DEFAULT,
                                  .request_ns = REQUEST_SECONDS * NS_PER_S};
  if (readonly && (e = parse_bool ("readonly", readonly, &o->readonly, f)))
    return e;
  o->link.readonly = o->readonly;
  if (cache && (e = parse_bool ("cache", cache, &o->link.cached, f)))
    return e;
  if (prefetch
      && (e = parse_size ("prefetch", prefetch, 0, PREFETCH_MAX,
                          &o->link.prefetch_bytes, f)))
    return e;
  if (retain
      && (e = parse_size ("retain", retain, RETAINED_LIMIT_MIN, RETAIN_MAX,
                          &o->link.retain_bytes, f)))
    return e;
  if (outage && (e = parse_outage (outage, &o->link.outage_fail_ns, f)))
    return e;
  if (timeout) {
    if ((e = check_uint (param_find (gateway_params, "timeout"), timeout, f)))
      return e;
    o->link.request_ns = strtoul (timeout, NULL, 10) * NS_PER_S;
    if (volume_spec_set (&o->spec, "timeout", timeout, -1))
      return fault_set (f, ERR_LIMIT, "timeout= is too long");
  }
  if (revalidate) {
    if ((e = check_uint (own_param ("revalidate"), revalidate, f)))
      return e;
    o->link.revalidate_ns = strtoul (revalidate, NULL, 10) * NS_PER_S;
  }
  if (connections) {
    if ((e = check_uint (own_param ("connections"), connections, f)))
      return e;
    o->link.connections = (unsigned)strtoul (connections, NULL, 10);
    if (volume_spec_set (&o->spec, "connections", connections, -1))
      return fault_set (f, ERR_LIMIT, "connections= is too long");
  }
  return ERR_OK;
}

/* What one of the protocol's parameters and our own cannot be at once. */
static enum err
check_together (const struct options *o, const struct param *p,
                const char *value, struct fault *f)
{
  bool yes = false;
  enum err e;

  if ((p->flags & PARAM_WRITES) && o->readonly)
    return fault_set (f, ERR_INVAL,
                      "%s= changes the file, which readonly=yes forbids", p->key);
  if (!(p->flags & PARAM_ONE_SESSION) || o->link.connections == 1)
    return ERR_OK;
  e = parse_bool (p->key, value, &yes, f);
  if (!e && yes)
    return fault_set (f, ERR_INVAL,
                      "%s=%s is for one session, and connections=%u makes "
                      "several, which the server would tell from each other",
                      p->key, value, o->link.connections);
  return e;
}

enum err
options_resolve (struct options *o, const struct log *log,
                 int (*read_secret) (const char *value, char **ret),
                 struct fault *f)
{
  const char *url = option (o, "url");
  const struct param *table;
  enum err e;

  if (!url) {
    fault_set (f, ERR_INVAL, "no URL is given");
    fault_hint (f, "nbdkit bulkhead sftp://[user@]host[:port]/path/to/file");
    return ERR_INVAL;
  }
  if ((e = url_parse (url, &o->spec, f)))
    return e;
  if ((e = resolve_own (o, f)))
    return e;

  table = proto_params_find (o->spec.proto)->params;
  for (unsigned i = 0; i < o->pairs; i++) {
    const char *key = o->pair[i].key;
    const struct param *p = param_find (table, key);

    if (own_param (key))
      continue;
    if (!p)
      return unknown_key (key, table, f);
    if ((p->flags & PARAM_URL_ONLY) || volume_spec_get (&o->spec, key))
      return fault_set (f, ERR_INVAL, "%s= is in the URL already, or belongs "
                                      "there",
                        key);
    if (!(p->flags & (PARAM_TO_DAEMON | PARAM_TO_WORKER))) {
      if (!o->pair[i].value[0])
        return fault_set (f, ERR_INVAL, "%s= is empty", key);
      continue; /* for others' defaults */
    }
    if ((e = check_together (o, p, o->pair[i].value, f))
        || (e = add_param (o, p, o->pair[i].value, read_secret, f)))
      return e;
  }
  for (const struct param *p = table; p->key; p++) {
    const char *from_url = volume_spec_get (&o->spec, p->key);

    if (from_url && p->type == PARAM_UINT
        && (e = check_uint (p, from_url, f)))
      return e;
    if (!from_url && (e = add_default (o, p, log, f)))
      return e;
  }
  return ERR_OK;
}

/* Two links on one connection to an agent would take each other's answers. */
static int
connect_again (const struct options *o, unsigned i)
{
  const struct param *table = proto_params_find (o->spec.proto)->params;

  for (unsigned k = 0; k < o->spec.params; k++) {
    const char *key = o->spec.pool + o->spec.param[k].key;
    const struct param *p = param_find (table, key);
    struct fault ignored;
    int fd;

    if (o->spec.param[k].fd == (int)i && p && p->type == PARAM_SOCKET
        && !connect_socket (key, o->spec.pool + o->spec.param[k].value, &fd,
                            &ignored))
      return fd;
  }
  return -1;
}

enum err
options_fds (const struct options *o, int *ret_fd, unsigned *ret_fds,
             struct fault *f)
{
  *ret_fds = 0;
  for (unsigned i = 0; i < o->fds; i++) {
    int fd = connect_again (o, i);

    if (fd < 0)
      fd = fcntl (o->fd[i], F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
      return fault_set (f, err_from_errno (errno), "too many files: %s",
                        strerrordesc_np (errno));
    ret_fd[(*ret_fds)++] = fd;
  }
  return ERR_OK;
}

/* Text that is cut off at the end of its buffer, not beyond. */
struct text {
  char *dst;
  size_t used, size;
};

static void __attribute__ ((format (printf, 2, 3)))
text_add (struct text *t, const char *fmt, ...)
{
  size_t room = t->size - t->used;
  va_list ap;
  int n;

  va_start (ap, fmt);
  n = vsnprintf (t->dst + t->used, room, fmt, ap);
  va_end (ap);
  t->used += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

#define HELP_INDENT 27
#define HELP_COLUMNS 78

static void
help_param (struct text *t, const struct param *p)
{
  char left[64], words[400], *save = NULL;
  int column = HELP_INDENT;

  snprintf (left, sizeof left, "%s=%s", p->key, p->value_name);
  snprintf (words, sizeof words, "%s%s%s%s", p->help,
            p->fallback ? " (default: " : "", p->fallback ? p->fallback : "",
            p->fallback ? ")" : "");
  text_add (t, "  %-*s", HELP_INDENT - 3, left);
  for (char *w = strtok_r (words, " ", &save); w;
       w = strtok_r (NULL, " ", &save)) {
    int n = (int)strlen (w) + 1;

    if (column + n > HELP_COLUMNS) {
      text_add (t, "\n%*s", HELP_INDENT - 1, "");
      column = HELP_INDENT;
    }
    text_add (t, " %s", w);
    column += n;
  }
  text_add (t, "\n");
}

static void
help_table (struct text *t, const struct param *table)
{
  for (const struct param *p = table; p->key; p++)
    if (!(p->flags & PARAM_URL_ONLY))
      help_param (t, p);
}

void
options_help (char *dst, size_t dst_bytes)
{
  struct text t = {dst, 0, dst_bytes};

  dst[0] = 0;
  help_table (&t, gateway_params);
  help_table (&t, proto_common_params);
  for (const struct proto_params *p = proto_params_table; p->name; p++) {
    text_add (&t, "%s: %s\n", p->url, p->title);
    help_table (&t, p->params);
  }
  /* nbdkit ends it with a newline of its own. */
  if (t.used && dst[t.used - 1] == '\n')
    dst[t.used - 1] = 0;
}
