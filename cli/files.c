/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/files.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>

#include "common/cleanup.h"

enum err
files_home (char *dst, size_t dst_bytes)
{
  const char *h = secure_getenv ("HOME");
  const struct passwd *pw;

  if (!h || h[0] != '/') {
    pw = getpwuid (geteuid ());
    h = pw ? pw->pw_dir : NULL;
  }
  if (!h)
    return ERR_NOENT;
  return (size_t)snprintf (dst, dst_bytes, "%s", h) < dst_bytes ? ERR_OK
                                                                : ERR_LIMIT;
}

enum err
files_expand (const char *path, char *dst, size_t dst_bytes, struct fault *f)
{
  char home[4096] = "";
  int n;

  if (strncmp (path, "~/", 2) == 0) {
    if (files_home (home, sizeof home))
      return fault_set (f, ERR_NOENT, "this user has no home for %s", path);
    path++;
  }
  n = snprintf (dst, dst_bytes, "%s%s", home, path);
  if (n < 0 || (size_t)n >= dst_bytes)
    return fault_set (f, ERR_LIMIT, "%s is too long", path);
  return ERR_OK;
}

/* A credential of systemd may be readable for a group, by which its access
 * lists show; the folder is the service's own.
 */
static enum err
check_private (const char *key, const char *path, int fd, bool credential,
               struct fault *f)
{
  struct stat st;
  unsigned open_to = credential ? 007 : 077;

  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return fault_set (f, ERR_INVAL, "%s: %s is not a regular file", key, path);
  if (st.st_uid != geteuid () && st.st_uid != 0) {
    fault_set (f, ERR_ACCESS, "%s: %s belongs to uid %u", key, path,
               (unsigned)st.st_uid);
    fault_hint (f, "a file with a secret has to be yours or root's");
    return ERR_ACCESS;
  }
  if (st.st_mode & open_to) {
    fault_set (f, ERR_ACCESS, "%s: %s is open to others (mode %03o)", key, path,
               (unsigned)st.st_mode & 0777);
    fault_hint (f, "chmod 600 %s", path);
    return ERR_ACCESS;
  }
  return ERR_OK;
}

static enum err
open_private (const char *key, const char *path, bool credential, int *ret_fd,
              struct fault *f)
{
  CLEANUP_CLOSE int fd =
      open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  enum err e;

  if (fd < 0)
    return fault_set (f, err_from_errno (errno), "%s: %s: %s", key, path,
                      strerrordesc_np (errno));
  if ((e = check_private (key, path, fd, credential, f)))
    return e;
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
}

static enum err
open_credential (const char *key, const char *name, int *ret_fd,
                 struct fault *f)
{
  const char *dir = secure_getenv ("CREDENTIALS_DIRECTORY");
  char path[4096];

  if (!name[0] || strchr (name, '/') || name[0] == '.')
    return fault_set (f, ERR_INVAL, "%s: \"%.64s\" is no credential's name",
                      key, name);
  if (!dir || dir[0] != '/') {
    fault_set (f, ERR_NOENT,
               "%s: there is no credential %.64s, as this is no service of "
               "systemd with credentials",
               key, name);
    fault_hint (f, "LoadCredential= or LoadCredentialEncrypted= in its unit "
                   "brings them");
    return ERR_NOENT;
  }
  if (snprintf (path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
    return fault_set (f, ERR_LIMIT, "%s: the path is too long", key);
  return open_private (key, path, true, ret_fd, f);
}

/* Reads the first line. ERR_INVAL if it is empty, ERR_LIMIT if it is longer
 * than SECRET_BYTES.
 */
static enum err
read_line (int fd, char text[SECRET_BYTES + 1], size_t *ret_bytes)
{
  size_t n = 0;
  const char *end = NULL;

  while (n <= SECRET_BYTES && !end) {
    ssize_t r = read (fd, text + n, SECRET_BYTES + 1 - n);

    if (r < 0 && errno == EINTR)
      continue;
    if (r < 0)
      return err_from_errno (errno);
    if (r == 0)
      break;
    end = memchr (text + n, '\n', (size_t)r);
    n += (size_t)r;
  }
  if (end)
    n = (size_t)(end - text);
  *ret_bytes = n;
  return n > SECRET_BYTES ? ERR_LIMIT : n == 0 ? ERR_INVAL : ERR_OK;
}

/* The terminal is as it was before in any case that lets us do so. */
static enum err
prompt (const char *key, int *ret_fd, struct fault *f)
{
  CLEANUP_CLOSE int tty = open ("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  CLEANUP_CLOSE int pipe_out = -1;
  char text[SECRET_BYTES + 1];
  struct termios was, quiet;
  size_t n = 0;
  int p[2];
  enum err e;

  if (tty < 0 || tcgetattr (tty, &was) < 0) {
    fault_set (f, ERR_INVAL, "%s=- asks on a terminal, but there is none", key);
    fault_hint (f, "give %s=+FILE", key);
    return ERR_INVAL;
  }
  quiet = was;
  quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
  tcsetattr (tty, TCSAFLUSH, &quiet);
  dprintf (tty, "%s: ", key);
  e = read_line (tty, text, &n);
  tcsetattr (tty, TCSAFLUSH, &was);
  dprintf (tty, "\n");
  if (!e && (memchr (text, 3, n) || pipe2 (p, O_CLOEXEC) < 0))
    e = ERR_INVAL; /* Ctrl-C, for one */
  if (!e) {
    pipe_out = p[1];
    *ret_fd = p[0];
    if (write (pipe_out, text, n) != (ssize_t)n)
      e = ERR_IO;
  }
  explicit_bzero (text, sizeof text);
  return e ? fault_set (f, e, "%s: nothing was entered", key) : ERR_OK;
}

static enum err
open_fd (const char *key, const char *digits, int *ret_fd, struct fault *f)
{
  char *end;
  unsigned long fd = strtoul (digits, &end, 10);

  if (!isdigit ((unsigned char)digits[0]) || *end || fd > 65535
      || (*ret_fd = fcntl ((int)fd, F_DUPFD_CLOEXEC, 3)) < 0)
    return fault_set (f, ERR_INVAL, "%s=-%s is not an open file descriptor",
                      key, digits);
  return ERR_OK;
}

static enum err
open_source (const char *key, const char *value, int *ret_fd, struct fault *f)
{
  char path[4096];
  enum err e;

  if (strcmp (value, "-") == 0)
    return prompt (key, ret_fd, f);
  if (value[0] == '-')
    return open_fd (key, value + 1, ret_fd, f);
  if (strncmp (value, "credential:", 11) == 0)
    return open_credential (key, value + 11, ret_fd, f);
  if (value[0] == '+') {
    if ((e = files_expand (value + 1, path, sizeof path, f)))
      return e;
    return open_private (key, path, false, ret_fd, f);
  }
  fault_set (f, ERR_INVAL, "%s= on a command line can be read by everybody",
             key);
  fault_hint (f, "give %s=- (prompt), %s=+FILE, %s=-FD or %s=credential:NAME",
              key, key, key, key);
  return ERR_INVAL;
}

enum err
files_secret (const char *key, const char *value, int *ret_fd, struct fault *f)
{
  CLEANUP_CLOSE int source = -1;
  CLEANUP_CLOSE int fd = -1;
  char text[SECRET_BYTES + 1];
  size_t n = 0;
  bool ok;
  enum err e = open_source (key, value, &source, f);

  if (e)
    return e;
  if ((e = read_line (source, text, &n)))
    return fault_set (f, e == ERR_LIMIT ? ERR_INVAL : e,
                      "%s: the secret is empty, too long or cannot be read",
                      key);
  fd = memfd_create ("bulkhead-secret", MFD_CLOEXEC);
  ok = fd >= 0 && write (fd, text, n) == (ssize_t)n
       && lseek (fd, 0, SEEK_SET) == 0;
  explicit_bzero (text, sizeof text);
  if (!ok)
    return fault_set (f, ERR_NOMEM, "out of memory");
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
}
