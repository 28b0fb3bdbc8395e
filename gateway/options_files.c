/* SPDX-License-Identifier: BSD-2-Clause */
/* Files, secrets and sockets that a volume needs: opened by us, the requester,
 * so that the daemon opens no path for anybody.
 */
#include "config.h"
#include "gateway/options_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "gateway/sockets.h"
#include "protocols/params.h"

/* Hands fd over to the options. */
static enum err
put_fd (struct options *o, const char *key, const char *name, int fd,
        struct fault *f)
{
  enum err e = ERR_LIMIT;

  if (o->fds < CONTROL_FILES)
    e = volume_spec_set (&o->spec, key, name, (int)o->fds);
  if (e) {
    close (fd);
    return fault_set (f, e,
                      "too many parameters, or too long ones, at %s=", key);
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
  CLEANUP_CLOSE int fd =
      open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat st;

  if (fd < 0)
    return fault_set (f, err_from_errno (errno), "%s=%s: %s", key, path,
                      strerrordesc_np (errno));
  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return fault_set (f, ERR_INVAL, "%s=%s is not a regular file", key, path);
  if (is_private_key (key) && st.st_uid == geteuid () && (st.st_mode & 077)) {
    fault_set (f, ERR_ACCESS, "the private key %s can be read by others", path);
    fault_hint (f, "chmod 600 %s", path);
    return ERR_ACCESS;
  }
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
}

enum err
options_put_file (struct options *o, const struct param *p, const char *path,
                  struct fault *f)
{
  int fd;
  enum err e = open_file (p->key, path, &fd, f);

  return e ? e : put_fd (o, p->key, path, fd, f);
}

enum err
options_put_secret (struct options *o, const struct param *p, const char *value,
                    int (*read_secret) (const char *, char **), struct fault *f)
{
  CLEANUP_CLOSE int fd = -1;
  char *secret = NULL;
  size_t n;
  bool ok;

  if (value[0] != '-' && value[0] != '+') {
    fault_set (f, ERR_INVAL, "%s= on a command line can be read by everybody",
               p->key);
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
  return put_fd (o, p->key, "(secret)", steal_fd (&fd), f);
}

enum err
options_put_socket (struct options *o, const struct param *p, const char *value,
                    struct fault *f)
{
  bool on = true;
  int fd;
  enum err e;

  if (!strchr (value, '/')) {
    if ((e = options_parse_bool (p->key, value, &on, f))) {
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
  if ((e = socket_connect (p->key, value, &fd, f)))
    return e;
  return put_fd (o, p->key, value, fd, f);
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

enum err
options_default_files (struct options *o, const struct param *p,
                       const struct log *log, struct fault *f)
{
  unsigned found = 0;

  for (size_t i = 0; i < sizeof default_files / sizeof default_files[0]; i++) {
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
    if ((e = put_fd (o, key, full, fd, f)))
      return e;
  }
  return ERR_OK;
}

/* An agent that cannot be reached is as none. */
enum err
options_default_socket (struct options *o, const struct param *p,
                        const struct log *log, struct fault *f)
{
  const char *path = secure_getenv ("SSH_AUTH_SOCK");
  int fd;
  enum err e;

  if (!path || !path[0])
    return ERR_OK;
  e = socket_connect (p->key, path, &fd, f);
  if (e == ERR_NOENT)
    return ERR_OK;
  if (e) {
    log_fault (log, "not used", f);
    return ERR_OK;
  }
  return put_fd (o, p->key, path, fd, f);
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
enum err
options_default_tls (struct options *o, const struct param *p, bool *ret,
                     struct fault *f)
{
  const char *folder = options_get (o, "tls-certificates");
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
    if (!on && folder)
      return fault_set (f, ERR_INVAL,
                        "tls-certificates= needs xprtsec=tls or mtls");
    if (!on || (tls_files[i].mutual && !mutual) || !path)
      return ERR_OK; /* what is missing then, the daemon says */
    if ((e = open_file (p->key, path, &fd, f))) {
      fault_hint (f, "give tls-certificates=DIR or %s=FILE", p->key);
      return e;
    }
    return put_fd (o, p->key, path, fd, f);
  }
  return ERR_OK;
}

enum err
options_fds (const struct options *o, int *ret_fd, unsigned *ret_fds,
             struct fault *f)
{
  *ret_fds = 0;
  for (unsigned i = 0; i < o->fds; i++) {
    int fd = socket_connect_again (&o->spec, i);

    if (fd < 0)
      fd = fcntl (o->fd[i], F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
      return fault_set (f, err_from_errno (errno), "too many files: %s",
                        strerrordesc_np (errno));
    ret_fd[(*ret_fds)++] = fd;
  }
  return ERR_OK;
}
