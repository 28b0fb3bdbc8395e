/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/param.h"
#include "protocols/params.h"

static enum err
connect_to (const char *key, const char *path, int flags, int *ret_fd,
            struct fault *f)
{
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  CLEANUP_CLOSE int fd =
      socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

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

enum err
socket_connect (const char *key, const char *path, int *ret_fd, struct fault *f)
{
  return connect_to (key, path, 0, ret_fd, f);
}

int
socket_connect_again (const struct volume_spec *spec, unsigned i)
{
  const struct param *table = proto_params_find (spec->proto)->params;

  for (unsigned k = 0; k < spec->params; k++) {
    const char *key = spec->pool + spec->param[k].key;
    const struct param *p = param_find (table, key);
    struct fault ignored;
    int fd;

    if (spec->param[k].fd == (int)i && p && p->type == PARAM_SOCKET
        && !connect_to (key, spec->pool + spec->param[k].value, SOCK_NONBLOCK,
                        &fd, &ignored))
      return fd;
  }
  return -1;
}
