/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

void
notify_ready (void)
{
  static const char ready[] = "READY=1";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = secure_getenv ("NOTIFY_SOCKET");
  size_t n = path ? strlen (path) : 0;
  CLEANUP_CLOSE int fd = -1;

  if (n < 2 || n >= sizeof address.sun_path
      || (path[0] != '/' && path[0] != '@'))
    return;
  memcpy (address.sun_path, path, n);
  if (path[0] == '@') /* an abstract name */
    address.sun_path[0] = 0;
  unsetenv ("NOTIFY_SOCKET");
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  sendto (fd, ready, sizeof ready - 1, MSG_NOSIGNAL,
          (const struct sockaddr *)&address,
          (socklen_t)(offsetof (struct sockaddr_un, sun_path) + n));
}
