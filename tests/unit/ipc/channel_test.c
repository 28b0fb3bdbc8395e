/* SPDX-License-Identifier: BSD-2-Clause */
/* Rights and seals of shared memory: ipc/shm.h and ipc/channel.h. */
#include "config.h"
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ipc/shm.h"
#include "tests/unit/unit.h"

#define SIZE 8192

static void
an_object_has_a_fixed_size (void)
{
  int fd = -1;

  CU_ASSERT_EQUAL_FATAL (shm_create ("t", SIZE, &fd), ERR_OK);
  CU_ASSERT (ftruncate (fd, SIZE / 2) < 0 && errno == EPERM);
  CU_ASSERT (ftruncate (fd, SIZE * 2) < 0 && errno == EPERM);
  CU_ASSERT (fcntl (fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
  CU_ASSERT (fcntl (fd, F_GETFD) & FD_CLOEXEC);
  close (fd);
}

static void
map_refuses_what_a_peer_could_shrink (void)
{
  int fd = memfd_create ("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int file = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  void *base = (void *)1;

  CU_ASSERT_EQUAL_FATAL (ftruncate (fd, SIZE), 0);
  CU_ASSERT_EQUAL (shm_map (fd, SIZE, true, &base), ERR_PEER);
  fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  CU_ASSERT_EQUAL (shm_map (fd, SIZE, true, &base), ERR_PEER);
  fcntl (fd, F_ADD_SEALS, F_SEAL_SEAL);
  CU_ASSERT_EQUAL (shm_map (fd, SIZE / 2, true, &base), ERR_PEER);
  CU_ASSERT_EQUAL (shm_map (fd, SIZE * 2, true, &base), ERR_PEER);
  CU_ASSERT_EQUAL (shm_map (file, SIZE, false, &base), ERR_PEER);
  CU_ASSERT_EQUAL (shm_map (-1, SIZE, false, &base), ERR_PEER);
  CU_ASSERT_PTR_EQUAL (base, (void *)1);
  CU_ASSERT_EQUAL (shm_map (fd, SIZE, true, &base), ERR_OK);
  shm_unmap (base, SIZE);
  close (fd);
  close (file);
}

static void
a_readonly_fd_stays_readonly (void)
{
  int fd = -1, ro = -1;
  void *rw = NULL, *view = NULL, *w = NULL;

  CU_ASSERT_EQUAL_FATAL (shm_create ("t", SIZE, &fd), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (shm_reopen_readonly (fd, &ro), ERR_OK);
  CU_ASSERT_EQUAL (fcntl (ro, F_GETFL) & O_ACCMODE, O_RDONLY);
  CU_ASSERT (fcntl (ro, F_GETFD) & FD_CLOEXEC);
  CU_ASSERT_EQUAL_FATAL (shm_map (fd, SIZE, true, &rw), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (shm_map (ro, SIZE, false, &view), ERR_OK);
  CU_ASSERT_NOT_EQUAL (shm_map (ro, SIZE, true, &w), ERR_OK);
  CU_ASSERT (mprotect (view, SIZE, PROT_READ | PROT_WRITE) < 0
             && errno == EACCES);
  /* punching a hole would be a write */
  memset (rw, 0x5a, SIZE);
  CU_ASSERT (madvise (view, SIZE, MADV_REMOVE) < 0 && errno == EACCES);
  CU_ASSERT (fallocate (ro, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        4096)
             < 0);
  CU_ASSERT (pwrite (ro, "x", 1, 0) < 0 && errno == EBADF);
  CU_ASSERT_EQUAL (((unsigned char *)view)[0], 0x5a);
  /* … while a read-only map of a writable fd can be made writable */
  CU_ASSERT_EQUAL (shm_map (fd, SIZE, false, &w), ERR_OK);
  CU_ASSERT_EQUAL (mprotect (w, SIZE, PROT_READ | PROT_WRITE), 0);
  shm_unmap (w, SIZE);
  shm_unmap (view, SIZE);
  shm_unmap (rw, SIZE);
  close (ro);
  close (fd);
}

/* DESIGN: who may touch what. */
static void
each_side_gets_its_rights (void)
{
  static const struct {
    enum channel_object object;
    bool gateway, worker;
  } table[] = {
    {CHANNEL_REQUESTS, true, false},    {CHANNEL_WRITE_ARENA, true, false},
    {CHANNEL_COMPLETIONS, false, true}, {CHANNEL_READ_ARENA, false, true},
    {CHANNEL_IDENTITY, true, true},
  };
  int fd[CHANNEL_FDS], side_fd[2][CHANNEL_FDS];
  struct channel c[2];

  CU_ASSERT_EQUAL_FATAL (channel_create (fd), ERR_OK);
  for (int s = 0; s < 2; s++) {
    CU_ASSERT_EQUAL_FATAL (
      channel_fds_for (fd, (enum channel_side)s, side_fd[s]), ERR_OK);
    CU_ASSERT_EQUAL_FATAL (
      channel_map (&c[s], (enum channel_side)s, side_fd[s]), ERR_OK);
  }
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    for (int s = 0; s < 2; s++) {
      bool writable = s == CHANNEL_SIDE_GATEWAY ? table[i].gateway
                                                : table[i].worker;
      int o = (int)table[i].object;
      size_t n = channel_object_bytes (table[i].object);

      CU_ASSERT_EQUAL (
        channel_object_writable (table[i].object, (enum channel_side)s),
        writable);
      CU_ASSERT_EQUAL (fcntl (side_fd[s][o], F_GETFL) & O_ACCMODE,
                       writable ? O_RDWR : O_RDONLY);
      CU_ASSERT_EQUAL (
        mprotect (c[s].base[o], n, PROT_READ | PROT_WRITE) == 0, writable);
      CU_ASSERT (fcntl (side_fd[s][o], F_GETFD) & FD_CLOEXEC);
      CU_ASSERT_EQUAL (n % 4096, 0);
    }
  /* what one writes the other reads */
  memcpy (c[CHANNEL_SIDE_WORKER].base[CHANNEL_READ_ARENA], "abc", 4);
  CU_ASSERT_STRING_EQUAL (c[CHANNEL_SIDE_GATEWAY].base[CHANNEL_READ_ARENA],
                          "abc");
  for (int s = 0; s < 2; s++) {
    channel_unmap (&c[s]);
    channel_close_fds (side_fd[s]);
  }
  channel_close_fds (fd);
  CU_ASSERT_EQUAL (fd[0], -1);
}

static void
map_refuses_swapped_or_wrong_objects (void)
{
  int fd[CHANNEL_FDS], swapped[CHANNEL_FDS];
  struct channel c = {.base = {NULL}};

  CU_ASSERT_EQUAL_FATAL (channel_create (fd), ERR_OK);
  memcpy (swapped, fd, sizeof fd);
  swapped[CHANNEL_REQUESTS] = fd[CHANNEL_READ_ARENA];
  CU_ASSERT_EQUAL (channel_map (&c, CHANNEL_SIDE_GATEWAY, swapped), ERR_PEER);
  swapped[CHANNEL_REQUESTS] = fd[CHANNEL_WAKE_WORKER];
  CU_ASSERT_EQUAL (channel_map (&c, CHANNEL_SIDE_GATEWAY, swapped), ERR_PEER);
  CU_ASSERT_PTR_NULL (c.base[0]);
  channel_close_fds (fd);
}

/* At every point at which a descriptor can be missing. */
static void
running_out_of_fds_leaks_none (void)
{
  struct rlimit old, now;
  int fd[CHANNEL_FDS], side[CHANNEL_FDS];
  int first = dup (0);

  close (first);
  CU_ASSERT_EQUAL_FATAL (getrlimit (RLIMIT_NOFILE, &old), 0);
  for (int room = 0; room < 2 * CHANNEL_FDS; room++) {
    enum err e;

    now = (struct rlimit){(rlim_t)(first + room), old.rlim_max};
    setrlimit (RLIMIT_NOFILE, &now);
    e = channel_create (fd);
    CU_ASSERT_EQUAL (e, room < CHANNEL_FDS ? ERR_LIMIT : ERR_OK);
    if (!e) {
      CU_ASSERT_EQUAL (channel_fds_for (fd, CHANNEL_SIDE_WORKER, side),
                       ERR_LIMIT);
      channel_close_fds (fd);
    }
    setrlimit (RLIMIT_NOFILE, &old);
    CU_ASSERT_EQUAL (dup (0), first);
    close (first);
  }
}

UNIT_MAIN ("channel", UNIT_TEST (an_object_has_a_fixed_size),
           UNIT_TEST (map_refuses_what_a_peer_could_shrink),
           UNIT_TEST (a_readonly_fd_stays_readonly),
           UNIT_TEST (each_side_gets_its_rights),
           UNIT_TEST (map_refuses_swapped_or_wrong_objects),
           UNIT_TEST (running_out_of_fds_leaks_none))
