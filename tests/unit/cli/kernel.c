/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/unit/cli/kernel.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/nbd_kernel.h"

struct kernel *kernel;

void
kernel_open (void)
{
  if (!kernel)
    kernel = mmap (NULL, sizeof *kernel, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (kernel == MAP_FAILED)
    abort ();
  memset (kernel, 0, sizeof *kernel);
}

/* ------------------------------------------------------------- cli/block.h */

int
block_index (const char *device)
{
  (void)device;
  return KERNEL_INDEX;
}

bool
block_connected (int index)
{
  return index == KERNEL_INDEX && kernel->connected;
}

void
block_backend (int index, char dst[BLOCK_BACKEND_BYTES])
{
  (void)index;
  memcpy (dst, kernel->backend, BLOCK_BACKEND_BYTES);
}

uint64_t
block_size_bytes (int index)
{
  (void)index;
  return 1 << 20;
}

void
block_each (bool (*call) (void *ctx, int index), void *ctx)
{
  call (ctx, KERNEL_INDEX);
}

/* Something to flush. */
static int
open_file (void)
{
  FILE *file = tmpfile ();
  int fd = file ? dup (fileno (file)) : -1;

  if (file)
    fclose (file);
  return fd;
}

enum err
block_open (int index, int *ret_fd, struct fault *f)
{
  if (kernel->hold)
    return fault_set (f, kernel->hold, "/dev/nbd%d does not open", index);
  *ret_fd = open_file ();
  return ERR_OK;
}

enum err
block_claim (int index, pid_t except, void (*opened) (void), int *ret_fd,
             struct fault *f)
{
  enum kernel_claim c = kernel->claim;

  (void)except;
  kernel->claims++;
  if (c == CLAIM_HANGS)
    while (1)
      pause ();
  if (opened)
    opened ();
  if (c == CLAIM_SLOW_FREE || c == CLAIM_SLOW_BUSY) {
    kernel->looks = true;
    while (!kernel->may_go_on)
      usleep (1000);
  }
  if (c == CLAIM_BUSY || c == CLAIM_SLOW_BUSY)
    return fault_set (f, ERR_AGAIN, "/dev/nbd%d is in use", index);
  *ret_fd = open_file ();
  return ERR_OK;
}

/* -------------------------------------------------------- cli/nbd_kernel.h */

enum err
nbd_kernel_open (struct nbd_kernel *k, struct fault *f)
{
  (void)k;
  (void)f;
  return ERR_OK;
}

void
nbd_kernel_close (struct nbd_kernel *k)
{
  (void)k;
}

enum err
nbd_kernel_may (struct fault *f)
{
  (void)f;
  return ERR_OK;
}

enum err
nbd_kernel_connect (struct nbd_kernel *k, const struct nbd_device *d,
                    int *ret_index, struct fault *f)
{
  (void)k;
  (void)f;
  kernel->connected = true;
  kernel->size_bytes = d->size_bytes;
  snprintf (kernel->backend, sizeof kernel->backend, "%s", d->backend);
  *ret_index = KERNEL_INDEX;
  return ERR_OK;
}

enum err
nbd_kernel_reconfigure (struct nbd_kernel *k, const struct nbd_device *d,
                        struct fault *f)
{
  (void)k;
  if (!kernel->connected)
    return fault_set (f, ERR_NOENT, "it is not connected");
  if (kernel->refusals && d->size_bytes != kernel->size_bytes) {
    kernel->refusals--;
    return fault_set (f, ERR_NOMEM, "not this time");
  }
  kernel->size_bytes = d->size_bytes;
  kernel->adopted++;
  return ERR_OK;
}

enum err
nbd_kernel_disconnect (struct nbd_kernel *k, int index, struct fault *f)
{
  (void)k;
  (void)index;
  (void)f;
  kernel->disconnects++;
  kernel->connected = false;
  return ERR_OK;
}

enum err
nbd_kernel_listen (struct nbd_kernel *k, int *ret_fd, struct fault *f)
{
  (void)k;
  (void)f;
  *ret_fd = -1;
  return ERR_OK;
}

bool
nbd_kernel_lost (struct nbd_kernel *k, int index)
{
  (void)k;
  (void)index;
  return false;
}
