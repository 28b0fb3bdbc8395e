/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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
  if (ftruncate (fd, (off_t)size_bytes) < 0
      || fcntl (fd, F_ADD_SEALS, SHM_SEALS) < 0)
    return err_from_errno (errno);
  *ret_fd = steal_fd (&fd);
  return ERR_OK;
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
