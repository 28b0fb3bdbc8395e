/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/stripes_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "ipc/shm.h"

#define LOCK_USED 0

/* Maps what fd has; f is zeroed. A foreign layout is left unmapped. */
static enum err
map_file (struct stripes_file *f, int fd)
{
  struct stat st;
  void *base;

  if (fstat (fd, &st) < 0)
    return err_from_errno (errno);
  if (!S_ISREG (st.st_mode)
      || st.st_size < (off_t)sizeof (struct stripes)
      || st.st_size > (off_t)stripes_bytes (1u << 28))
    return ERR_VERSION;
  base = mmap (NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
               fd, 0);
  if (base == MAP_FAILED)
    return err_from_errno (errno);
  f->size_bytes = (size_t)st.st_size;
  f->count = (uint32_t)((f->size_bytes - sizeof (struct stripes))
                        / sizeof (struct stripe));
  if (stripes_open (base, f->size_bytes, &f->map))
    munmap (base, f->size_bytes);
  return ERR_OK;
}

static enum err
format_file (struct stripes_file *ret, int *fd, uint32_t count)
{
  struct stripes_file f = {.size_bytes = stripes_bytes (count),
                           .count = count};
  void *base = mmap (NULL, f.size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                     *fd, 0);

  if (base == MAP_FAILED)
    return err_from_errno (errno);
  stripes_format (base, count);
  f.map = (struct stripe_map){base, count};
  f.fd = steal_fd (fd);
  *ret = f;
  return ERR_OK;
}

enum err
stripes_file_create (struct stripes_file *ret, const char *path,
                     uint32_t count)
{
  CLEANUP_CLOSE int fd
    = open (path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  enum err e;

  if (fd < 0)
    return err_from_errno (errno);
  /* What is not there yet would be SIGBUS when a full tmpfs cannot give it. */
  if (fallocate (fd, 0, 0, (off_t)stripes_bytes (count)) < 0)
    e = err_from_errno (errno);
  else
    e = format_file (ret, &fd, count);
  if (e)
    unlink (path);
  else
    snprintf (ret->path, sizeof ret->path, "%s", path);
  return e;
}

enum err
stripes_file_create_memory (struct stripes_file *ret, uint32_t count)
{
  CLEANUP_CLOSE int fd = -1;
  enum err e = shm_create (STRIPES_MEMORY_NAME, stripes_bytes (count), &fd);

  return e ? e : format_file (ret, &fd, count);
}

enum err
stripes_file_open (struct stripes_file *ret, const char *path)
{
  CLEANUP_CLOSE int fd = open (path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  struct stripes_file f = {0};
  enum err e;

  if (fd < 0)
    return errno == ENOENT ? ERR_NOENT : err_from_errno (errno);
  if ((e = map_file (&f, fd)))
    return e;
  if (!f.map.file)
    return ERR_VERSION;
  f.fd = steal_fd (&fd);
  snprintf (f.path, sizeof f.path, "%s", path);
  *ret = f;
  return ERR_OK;
}

/* A descriptor of our own for the same file: ours never carries a lock. */
static int
reopen (int fd)
{
  char path[40];

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  return open (path, O_RDWR | O_CLOEXEC);
}

enum err
stripes_file_adopt (struct stripes_file *ret, int their_fd, const char *path)
{
  CLEANUP_CLOSE int fd = reopen (their_fd);
  struct stripes_file f = {0};
  struct stat there, theirs;
  bool named;
  enum err e;

  if (fd < 0 || fstat (fd, &theirs) < 0)
    return err_from_errno (errno);
  named = lstat (path, &there) == 0;
  if (named
      && (there.st_ino != theirs.st_ino || there.st_dev != theirs.st_dev))
    return ERR_PEER;
  if ((e = map_file (&f, fd)))
    return e;
  f.fd = steal_fd (&fd);
  if (named)
    snprintf (f.path, sizeof f.path, "%s", path);
  *ret = f;
  return ERR_OK;
}

void
stripes_file_close (struct stripes_file *f, bool drop)
{
  if (f->map.file)
    munmap (f->map.file, f->size_bytes);
  if (drop && f->path[0])
    unlink (f->path);
  if (f->fd >= 0)
    close (f->fd);
  *f = (struct stripes_file){.fd = -1};
}

bool
stripes_file_is (const struct stripes_file *f, int fd)
{
  struct stat a, b;

  return fstat (f->fd, &a) == 0 && fstat (fd, &b) == 0
         && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static enum err
set_lock (int seat, short type, off_t byte)
{
  struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte,
                    .l_len = 1};

  if (fcntl (seat, F_OFD_SETLK, &l) == 0)
    return ERR_OK;
  return errno == EAGAIN || errno == EACCES ? ERR_AGAIN
                                            : err_from_errno (errno);
}

enum err
stripes_seat_take (int seat)
{
  return set_lock (seat, F_RDLCK, LOCK_USED);
}

enum err
stripes_seat_open (const struct stripes_file *f, int *ret_seat)
{
  CLEANUP_CLOSE int seat = reopen (f->fd);
  enum err e;

  if (seat < 0)
    return err_from_errno (errno);
  if ((e = stripes_seat_take (seat)))
    return e;
  *ret_seat = steal_fd (&seat);
  return ERR_OK;
}

enum err
stripes_seat_lock (int seat)
{
  return set_lock (seat, F_WRLCK, STRIPES_LOCK_LEASE);
}

void
stripes_seat_unlock (int seat)
{
  set_lock (seat, F_UNLCK, STRIPES_LOCK_LEASE);
}

/* Whether anybody else's lock is there; if the kernel does not say, yes. */
static bool
is_locked (const struct stripes_file *f, off_t byte)
{
  struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte,
                    .l_len = 1};

  return fcntl (f->fd, F_OFD_GETLK, &l) < 0 || l.l_type != F_UNLCK;
}

bool
stripes_file_in_use (const struct stripes_file *f)
{
  return is_locked (f, LOCK_USED);
}

bool
stripes_file_leased (const struct stripes_file *f)
{
  return is_locked (f, STRIPES_LOCK_LEASE);
}
