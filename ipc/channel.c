/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/shm.h"

static const struct {
  const char *name;
  size_t size_bytes;
  bool writable[2]; /* by enum channel_side */
} objects[CHANNEL_FDS] = {
  [CHANNEL_REQUESTS] = {"bh-requests", CHANNEL_RING_BYTES, {true, false}},
  [CHANNEL_WRITE_ARENA]
  = {"bh-write-arena", CHANNEL_ARENA_BYTES, {true, false}},
  [CHANNEL_COMPLETIONS]
  = {"bh-completions", CHANNEL_RING_BYTES, {false, true}},
  [CHANNEL_READ_ARENA] = {"bh-read-arena", CHANNEL_ARENA_BYTES, {false, true}},
  [CHANNEL_IDENTITY] = {"bh-identity", CHANNEL_IDENTITY_BYTES, {true, true}},
  [CHANNEL_WAKE_WORKER] = {"eventfd", 0, {true, true}},
  [CHANNEL_WAKE_GATEWAY] = {"eventfd", 0, {true, true}},
};

size_t
channel_object_bytes (enum channel_object object)
{
  return objects[object].size_bytes;
}

const char *
channel_object_name (enum channel_object object)
{
  return objects[object].name;
}

bool
channel_object_writable (enum channel_object object, enum channel_side side)
{
  return objects[object].writable[side];
}

void
channel_close_fds (int fd[CHANNEL_FDS])
{
  for (int i = 0; i < CHANNEL_FDS; i++) {
    if (fd[i] >= 0)
      close (fd[i]);
    fd[i] = -1;
  }
}

enum err
channel_create (int ret_fd[CHANNEL_FDS])
{
  int fd[CHANNEL_FDS];
  enum err e = ERR_OK;

  for (int i = 0; i < CHANNEL_FDS; i++)
    fd[i] = -1;
  for (int i = 0; i < CHANNEL_FDS && !e; i++) {
    if (objects[i].size_bytes)
      e = shm_create (objects[i].name, objects[i].size_bytes, &fd[i]);
    else if ((fd[i] = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0)
      e = err_from_errno (errno);
  }
  if (e) {
    channel_close_fds (fd);
    return e;
  }
  for (int i = 0; i < CHANNEL_FDS; i++)
    ret_fd[i] = fd[i];
  return ERR_OK;
}

enum err
channel_fds_for (const int fd[CHANNEL_FDS], enum channel_side side,
                 int ret_fd[CHANNEL_FDS])
{
  int out[CHANNEL_FDS];
  enum err e = ERR_OK;

  for (int i = 0; i < CHANNEL_FDS; i++)
    out[i] = -1;
  for (int i = 0; i < CHANNEL_FDS && !e; i++) {
    if (!objects[i].writable[side])
      e = shm_reopen_readonly (fd[i], &out[i]);
    else if ((out[i] = fcntl (fd[i], F_DUPFD_CLOEXEC, 0)) < 0)
      e = err_from_errno (errno);
  }
  if (e) {
    channel_close_fds (out);
    return e;
  }
  for (int i = 0; i < CHANNEL_FDS; i++)
    ret_fd[i] = out[i];
  return ERR_OK;
}

/* Its owner may open what it has for reading again for writing too. */
static enum err
adopt_object (int i, int *fd)
{
  char path[40];
  void *base;
  int writable;
  enum err e;

  /* Not a fifo, a terminal or a slow file system's file: opening waits. */
  if (fcntl (*fd, F_GET_SEALS) <= F_SEAL_SEAL)
    return ERR_PEER;
  snprintf (path, sizeof path, "/proc/self/fd/%d", *fd);
  writable = open (path, O_RDWR | O_CLOEXEC);
  if (writable < 0)
    return ERR_PEER;
  close (*fd);
  *fd = writable;
  if ((e = shm_map (*fd, objects[i].size_bytes, true, &base)))
    return e;
  shm_unmap (base, objects[i].size_bytes);
  return ERR_OK;
}

static bool
is_eventfd (int fd)
{
  char path[40], target[40] = "";

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  return readlink (path, target, sizeof target - 1) > 0
         && strcmp (target, "anon_inode:[eventfd]") == 0
         && (fcntl (fd, F_GETFL) & O_NONBLOCK) != 0;
}

enum err
channel_adopt (int fd[CHANNEL_FDS])
{
  enum err e = ERR_OK;

  for (int i = 0; i < CHANNEL_FDS && !e; i++)
    if (objects[i].size_bytes)
      e = adopt_object (i, &fd[i]);
    else if (!is_eventfd (fd[i]))
      e = ERR_PEER;
  return e;
}

enum err
channel_map (struct channel *c, enum channel_side side,
             const int fd[CHANNEL_FDS])
{
  struct channel m = {.side = side};
  enum err e;

  for (int i = 0; i <= CHANNEL_IDENTITY; i++) {
    e = shm_map (fd[i], objects[i].size_bytes, objects[i].writable[side],
                 &m.base[i]);
    if (e) {
      channel_unmap (&m);
      return e;
    }
  }
  *c = m;
  return ERR_OK;
}

void
channel_unmap (struct channel *c)
{
  for (int i = 0; i <= CHANNEL_IDENTITY; i++) {
    shm_unmap (c->base[i], objects[i].size_bytes);
    c->base[i] = NULL;
  }
}
