/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/files.h"
#include "common/cleanup.h"

#define CONF_FILE "bulkhead.conf"

/* Who can write a configuration decides what root attaches. */
static enum err
check_owner (const char *path, int fd, struct fault *f)
{
  struct stat st;

  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return fault_set (f, ERR_INVAL, "%s is not a regular file", path);
  if (st.st_uid != 0 && st.st_uid != geteuid ()) {
    fault_set (f, ERR_ACCESS, "%s belongs to uid %u", path,
               (unsigned)st.st_uid);
    fault_hint (f, "it has to be yours or root's");
    return ERR_ACCESS;
  }
  if (st.st_mode & 022) {
    fault_set (f, ERR_ACCESS, "%s can be written by others (mode %03o)", path,
               (unsigned)st.st_mode & 0777);
    fault_hint (f, "chmod go-w %s", path);
    return ERR_ACCESS;
  }
  return ERR_OK;
}

static enum err
load_file (const char *path, struct conf *c, struct fault *f)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  CLEANUP_FREE char *text = NULL;
  size_t n = 0;
  enum err e;

  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return ERR_OK;
  if (fd < 0)
    return fault_set (f, err_from_errno (errno), "%s: %s", path,
                      strerrordesc_np (errno));
  if ((e = check_owner (path, fd, f)))
    return e;
  text = malloc (CONF_BYTES + 1);
  if (!text)
    return fault_set (f, ERR_NOMEM, "out of memory");
  while (n <= CONF_BYTES) {
    ssize_t r = read (fd, text + n, CONF_BYTES + 1 - n);

    if (r < 0 && errno != EINTR)
      return fault_set (f, err_from_errno (errno), "%s: %s", path,
                        strerrordesc_np (errno));
    if (r == 0)
      break;
    n += r > 0 ? (size_t)r : 0;
  }
  return conf_parse (path, text, n, c, f);
}

enum err
conf_load (struct conf *c, struct fault *f)
{
  const char *xdg = secure_getenv ("XDG_CONFIG_HOME");
  char path[4096], home[4096];
  enum err e;
  int n = 0;

  if (xdg && xdg[0] == '/')
    n = snprintf (path, sizeof path, "%s/bulkhead/" CONF_FILE, xdg);
  else if (!files_home (home, sizeof home))
    n = snprintf (path, sizeof path, "%s/.config/bulkhead/" CONF_FILE, home);
  if (n > 0 && n < (int)sizeof path && (e = load_file (path, c, f)))
    return e;
  return load_file (BULKHEAD_CONFDIR "/" CONF_FILE, c, f);
}
