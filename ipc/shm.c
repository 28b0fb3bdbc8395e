/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

#define SHM_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

enum err
shm_create (const char *name, size_t size_bytes, int *ret_fd)
{
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  CLEANUP_CLOSE int fd = memfd_create (name, flags | MFD_NOEXEC_SEAL);

  if (fd < 0 && errno == EINVAL)
    fd = memfd_create (name, flags);
  if (fd < 0)
    return err_from_errno (errno);
  /* Who has an fd that was opened O_RDONLY, and another uid, must not be able
   * to open it again for writing. */
  if (ftruncate (fd, (off_t)size_bytes) < 0 || fchmod (fd, 0600) < 0
      || fcntl (fd, F_ADD_SEALS, SHM_SEALS) < 0)
    return err_from_errno (errno);
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
}

/* As read, but of a file at offset. < 0: *ret_err. */
static ssize_t
read_some (int fd, bool is_file, void *dst, size_t dst_bytes, off_t offset,
           int timeout_ms, enum err *ret_err)
{
  struct pollfd p = {.fd = fd, .events = POLLIN};
  ssize_t n;
  int ready;

  do {
    ready = is_file ? 1 : poll (&p, 1, timeout_ms);
    n = ready <= 0 ? -1
        : is_file  ? pread (fd, dst, dst_bytes, offset)
                   : read (fd, dst, dst_bytes);
  } while (n < 0 && ready != 0 && errno == EINTR);
  if (n < 0)
    *ret_err = ready == 0 ? ERR_TIMEOUT : err_from_errno (errno);
  return n;
}

static bool
write_all (int fd, const uint8_t *p, size_t length_bytes)
{
  while (length_bytes) {
    ssize_t n = write (fd, p, length_bytes);

    if (n < 0 && errno != EINTR)
      return false;
    p += n > 0 ? n : 0;
    length_bytes -= n > 0 ? (size_t)n : 0;
  }
  return true;
}

enum err
shm_copy_sealed (int fd, size_t max_bytes, uint64_t timeout_ns, int *ret_fd)
{
  CLEANUP_CLOSE int copy
    = memfd_create ("bh-file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  uint8_t buffer[4096];
  enum err e = ERR_OK;
  struct stat st;
  size_t all = 0;
  ssize_t n = 0;

  if (copy < 0 || fstat (fd, &st) < 0)
    return err_from_errno (errno);
  if (!S_ISREG (st.st_mode) && !S_ISFIFO (st.st_mode))
    return ERR_INVAL;
  while (all <= max_bytes
         && (n = read_some (fd, S_ISREG (st.st_mode), buffer, sizeof buffer,
                            (off_t)all, (int)(timeout_ns / 1000000), &e))
              > 0) {
    if (!write_all (copy, buffer, (size_t)n)) {
      e = err_from_errno (errno);
      break;
    }
    all += (size_t)n;
  }
  explicit_bzero (buffer, sizeof buffer);
  if (all > max_bytes)
    e = ERR_LIMIT;
  if (!e
      && (fchmod (copy, 0600) < 0
          || fcntl (copy, F_ADD_SEALS, SHM_SEALS | F_SEAL_WRITE) < 0))
    e = err_from_errno (errno);
  if (!e)
    *ret_fd = steal_fd (&copy);
  return e;
}

enum err
shm_reopen_readonly (int fd, int *ret_fd)
{
  char path[40];
  int r;

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  r = open (path, O_RDONLY | O_CLOEXEC);
  if (r < 0)
    return err_from_errno (errno);
  *ret_fd = r;
  return ERR_OK;
}

enum err
shm_map (int fd, size_t size_bytes, bool writable, void **ret_base)
{
  struct stat st;
  int seals = fcntl (fd, F_GET_SEALS);
  void *p;

  if (seals < 0 || (seals & SHM_SEALS) != SHM_SEALS)
    return ERR_PEER;
  if (fstat (fd, &st) < 0 || st.st_size != (off_t)size_bytes)
    return ERR_PEER;
  p = mmap (NULL, size_bytes, PROT_READ | (writable ? PROT_WRITE : 0),
            MAP_SHARED, fd, 0);
  if (p == MAP_FAILED)
    return err_from_errno (errno);
  *ret_base = p;
  return ERR_OK;
}

void
shm_unmap (void *base, size_t size_bytes)
{
  if (base)
    munmap (base, size_bytes);
}
