/* SPDX-License-Identifier: BSD-2-Clause */
/* A page that does not come before somebody gives it: who receives into it
 * holds the socket's lock until then. NULL: there is no userfaultfd.
 */
#ifndef BH_TESTS_PAGE_THAT_WAITS_H
#define BH_TESTS_PAGE_THAT_WAITS_H

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline char *
page_that_waits (int *ret_fd)
{
  struct uffdio_api api = {.api = UFFD_API};
  char *page = mmap (NULL, 4096, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register r = {.range = {(uintptr_t)page, 4096},
                              .mode = UFFDIO_REGISTER_MODE_MISSING};

  *ret_fd = (int)syscall (SYS_userfaultfd, O_CLOEXEC);
  return *ret_fd >= 0 && page != MAP_FAILED
             && ioctl (*ret_fd, UFFDIO_API, &api) == 0
             && ioctl (*ret_fd, UFFDIO_REGISTER, &r) == 0
           ? page
           : NULL;
}

#endif
