/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define NS_PER_S 1000000000ull
#define LOCK_POLL_NS 5000000 /* flock has no timeout */

static bool
is_own_dir (const char *path)
{
  struct stat st;

  return lstat (path, &st) == 0 && S_ISDIR (st.st_mode)
         && st.st_uid == geteuid ();
}

/* Which folder; nothing is checked yet. */
enum err
runtime_dir_path (char dir[RUNTIME_DIR_BYTES])
{
  const char *own = secure_getenv ("BULKHEAD_RUNTIME_DIR");
  const char *xdg = secure_getenv ("XDG_RUNTIME_DIR");
  uid_t uid = geteuid ();
  int n;

  if (own && own[0])
    n = snprintf (dir, RUNTIME_DIR_BYTES, "%s", own);
  else if (uid == 0)
    n = snprintf (dir, RUNTIME_DIR_BYTES, "/run/bulkhead");
  /* After su the variable still names the other user's folder. */
  else if (xdg && xdg[0] == '/' && is_own_dir (xdg))
    n = snprintf (dir, RUNTIME_DIR_BYTES, "%s/bulkhead", xdg);
  else
    n = snprintf (dir, RUNTIME_DIR_BYTES, "/tmp/bulkhead-%u", (unsigned)uid);
  if (n < 0 || n >= RUNTIME_DIR_BYTES)
    return ERR_LIMIT;
  while (n > 1 && dir[n - 1] == '/')
    dir[--n] = 0;
  return ERR_OK;
}

enum err
runtime_dir (char ret_dir[RUNTIME_DIR_BYTES], struct fault *f)
{
  char dir[RUNTIME_DIR_BYTES];
  CLEANUP_CLOSE int fd = -1;
  struct stat st;

  if (runtime_dir_path (dir))
    return fault_set (f, ERR_LIMIT, "the runtime folder's path is too long");
  if (dir[0] != '/')
    return fault_set (f, ERR_INVAL,
                      "the runtime folder %s is not an absolute path", dir);
  if (mkdir (dir, 0700) < 0 && errno != EEXIST) {
    fault_set (f, err_from_errno (errno), "cannot make the folder %s: %s", dir,
               strerror (errno));
    fault_hint (f, "set BULKHEAD_RUNTIME_DIR to a folder of your own");
    return err_from_errno (errno);
  }
  fd = open (dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &st) < 0) {
    fault_set (f, err_from_errno (errno), "cannot open the folder %s: %s", dir,
               strerror (errno));
    fault_hint (f, "it must be a folder of your own, not a symbolic link");
    return err_from_errno (errno);
  }
  if (st.st_uid != geteuid ()) {
    fault_set (f, ERR_ACCESS, "the folder %s belongs to uid %u", dir,
               (unsigned)st.st_uid);
    fault_hint (f, "set BULKHEAD_RUNTIME_DIR to a folder of your own");
    return ERR_ACCESS;
  }
  /* A host's daemon lets others through to its socket. */
  if (st.st_mode & (st.st_uid == 0 ? 066u : 077u)) {
    fault_set (f, ERR_ACCESS, "the folder %s is open to others (mode %03o)",
               dir, (unsigned)st.st_mode & 0777);
    fault_hint (f, "chmod 700 %s", dir);
    return ERR_ACCESS;
  }
  memcpy (ret_dir, dir, sizeof dir);
  return ERR_OK;
}

enum err
runtime_socket_address (const char *dir, struct sockaddr_un *ret,
                        struct fault *f)
{
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  int n = snprintf (sa.sun_path, sizeof sa.sun_path, "%s/" RUNTIME_SOCKET, dir);

  if (n < 0 || n >= (int)sizeof sa.sun_path) {
    fault_set (f, ERR_LIMIT, "the path %s is too long for a socket", dir);
    fault_hint (f, "set BULKHEAD_RUNTIME_DIR to a shorter one");
    return ERR_LIMIT;
  }
  *ret = sa;
  return ERR_OK;
}

enum err
runtime_lock (const char *dir, const char *name, uint64_t timeout_ns,
              int *ret_fd)
{
  char path[RUNTIME_DIR_BYTES + 32];
  uint64_t deadline_ns = clock_now_ns () + timeout_ns;
  CLEANUP_CLOSE int fd = -1;

  snprintf (path, sizeof path, "%s/%s", dir, name);
  fd = open (path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return err_from_errno (errno);
  while (flock (fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return err_from_errno (errno);
    if (clock_now_ns () >= deadline_ns)
      return ERR_AGAIN;
    nanosleep (&(struct timespec){.tv_nsec = LOCK_POLL_NS}, NULL);
  }
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
}

enum err
runtime_program (const char *installed_dir, const char *name, char *dst,
                 size_t dst_bytes)
{
  const char *dir = secure_getenv ("BULKHEAD_LIBEXEC_DIR");
  int n = snprintf (dst, dst_bytes, "%s/%s",
                    dir && dir[0] ? dir : installed_dir, name);

  return n < 0 || (size_t)n >= dst_bytes ? ERR_LIMIT : ERR_OK;
}
