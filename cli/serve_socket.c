/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/serve_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/serve_check.h"
#include "common/cleanup.h"

#define LOCK_TRIES 10 /* it may be removed between opening and locking it */

static void
lock_path (const struct serve_socket *s, char dst[600])
{
  snprintf (dst, 600, "%s.bulkhead-lock", s->path);
}

static enum err
taken (const struct serve_socket *s, struct fault *f)
{
  fault_set (f, ERR_AGAIN, "somebody serves at %.200s already", s->path);
  fault_hint (f, "end that, or choose another --socket");
  return ERR_AGAIN;
}

static enum err
open_lock (const char *path, const struct serve_socket *s, int *ret_fd,
           struct fault *f)
{
  struct stat st;
  int fd = open (
      path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
      0600);
  int open_errno = errno;
  enum err e;

  if (fd < 0 && (e = serve_check_folder ("socket", s->path, f)))
    return e;
  if (fd < 0) {
    fault_set (f, err_from_errno (open_errno), "%.250s: %s", path,
               strerrordesc_np (open_errno));
    fault_hint (f, "choose another --socket, or remove that file if nobody "
                   "serves there");
    return f->code;
  }
  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    close (fd);
    return fault_set (f, ERR_INVAL, "%.250s is no file", path);
  }
  *ret_fd = fd;
  return ERR_OK;
}

static bool
is_still_at (int fd, const char *path)
{
  struct stat ours, there;

  return fstat (fd, &ours) == 0 && lstat (path, &there) == 0
         && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static enum err
take_lock (struct serve_socket *s, struct fault *f)
{
  char path[600];
  enum err e;

  lock_path (s, path);
  for (unsigned i = 0; i < LOCK_TRIES; i++) {
    CLEANUP_CLOSE int fd = -1;

    if ((e = open_lock (path, s, &fd, f)))
      return e;
    if (flock (fd, LOCK_EX | LOCK_NB) < 0) {
      if (errno == EWOULDBLOCK)
        return taken (s, f);
      return fault_set (f, err_from_errno (errno),
                        "%.250s cannot be locked: %s", path,
                        strerrordesc_np (errno));
    }
    if (!is_still_at (fd, path))
      continue;
    s->lock_fd = steal_fd (&fd);
    return ERR_OK;
  }
  return taken (s, f);
}

/* There is a socket, and nobody listens. */
static bool
is_left (const struct serve_socket *s)
{
  CLEANUP_CLOSE int sock =
      socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  snprintf (address.sun_path, sizeof address.sun_path, "%s", s->path);
  return sock >= 0
         && connect (sock, (const struct sockaddr *)&address, sizeof address)
                < 0
         && errno == ECONNREFUSED;
}

static enum err
remove_left (const struct serve_socket *s, struct fault *f)
{
  struct stat st;

  if (lstat (s->path, &st) < 0)
    return ERR_OK;
  if (!is_left (s))
    return taken (s, f);
  if (unlink (s->path) == 0)
    return ERR_OK;
  return fault_set (f, err_from_errno (errno),
                    "the socket %.200s was left behind and cannot be "
                    "removed: %s",
                    s->path, strerrordesc_np (errno));
}

enum err
serve_socket_take (struct serve_socket *s, struct fault *f)
{
  struct stat st;
  enum err e;

  if (lstat (s->path, &st) == 0 && !S_ISSOCK (st.st_mode)) {
    fault_set (f, ERR_AGAIN, "%.200s is there already, and is no socket",
               s->path);
    fault_hint (f, "choose another --socket");
    return ERR_AGAIN;
  }
  if ((e = take_lock (s, f)))
    return e;
  if ((e = remove_left (s, f)))
    serve_socket_remove (s);
  else
    fcntl (s->lock_fd, F_SETFD, 0);
  return e;
}

void
serve_socket_remove (struct serve_socket *s)
{
  char path[600];

  if (s->lock_fd < 0)
    return;
  if (is_left (s))
    unlink (s->path);
  lock_path (s, path);
  unlink (path);
  close (s->lock_fd);
  s->lock_fd = -1;
}
