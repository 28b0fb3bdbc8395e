/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/hot.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ipc/shm.h"
#include "tests/unit/unit.h"

#define STRIPES 64u

static int
stripes_file (void)
{
  size_t bytes = stripes_bytes (STRIPES);
  void *base;
  int fd;

  CU_ASSERT_EQUAL_FATAL (shm_create ("stripes", bytes, &fd), ERR_OK);
  base = mmap (NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CU_ASSERT_FATAL (base != MAP_FAILED);
  stripes_format (base, STRIPES);
  munmap (base, bytes);
  return fd;
}

/* The stripes are handed to the next daemon by a descriptor of one's own. */
static void
without_a_descriptor_nothing_is_attached (void)
{
  struct rlimit before, none;
  int fd[CACHE_FDS];
  struct hot h;

  memset (fd, -1, sizeof fd);
  fd[CACHE_STRIPES] = stripes_file ();
  CU_ASSERT_EQUAL_FATAL (getrlimit (RLIMIT_NOFILE, &before), 0);
  none = (struct rlimit){3, before.rlim_max};
  hot_init (&h);
  CU_ASSERT_EQUAL_FATAL (setrlimit (RLIMIT_NOFILE, &none), 0);
  CU_ASSERT_NOT_EQUAL (hot_attach (&h, fd, 0, STRIPES, false), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (setrlimit (RLIMIT_NOFILE, &before), 0);
  CU_ASSERT_PTR_NULL (h.stripes.file);
  CU_ASSERT_EQUAL (hot_attach (&h, fd, 0, STRIPES, false), ERR_OK);
  CU_ASSERT (h.stripes_fd > STDERR_FILENO && h.stripes_fd != fd[CACHE_STRIPES]);
  /* Another daemon: the same file, or nothing. */
  CU_ASSERT_EQUAL (hot_attach (&h, fd, 0, STRIPES, false), ERR_OK);
  close (fd[CACHE_STRIPES]);
  fd[CACHE_STRIPES] = stripes_file ();
  CU_ASSERT_EQUAL (hot_attach (&h, fd, 0, STRIPES, false), ERR_PEER);
  close (fd[CACHE_STRIPES]);
  hot_fini (&h);
}

UNIT_MAIN ("hot", UNIT_TEST (without_a_descriptor_nothing_is_attached))
