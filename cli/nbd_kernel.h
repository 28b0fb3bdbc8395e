/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's nbd driver, by its netlink family (linux/nbd-netlink.h).
 *
 * The kernel keeps its own references to the sockets that it is given. One
 * thread at a time per object.
 */
#ifndef BH_CLI_NBD_KERNEL_H
#define BH_CLI_NBD_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define NBD_KERNEL_SOCKETS 16u

struct nl_sock;

struct nbd_kernel {
  struct nl_sock *sock;
  int family;
};

/* What a device is to be. */
struct nbd_device {
  int index; /* N of /dev/nbdN; -1: any that is free */
  uint64_t size_bytes, block_bytes;
  uint64_t timeout_s;      /* a request without an answer: connection is dead */
  uint64_t dead_timeout_s; /* no connection for so long: requests fail */
  uint64_t flags;          /* the server's, NBD_FLAG_… */
  bool until_closed;       /* disconnect it when its last opener closes it */
  const char *backend;     /* shows in /sys/block/nbdN/backend */
  unsigned sockets;
  int socket[NBD_KERNEL_SOCKETS];
};

/* ERR_NOTSUP: no such driver is loaded, with what to do about it (root: it was
 * tried).
 */
enum err
nbd_kernel_open (struct nbd_kernel *k, struct fault *f);
void
nbd_kernel_close (struct nbd_kernel *k);
/* ERR_ACCESS: this process may not set up devices. */
enum err
nbd_kernel_may (struct fault *f);

/* Sets *ret_index. ERR_AGAIN: it is in use. */
enum err
nbd_kernel_connect (struct nbd_kernel *k, const struct nbd_device *d,
                    int *ret_index, struct fault *f);
/* The size, and new sockets in place of dead ones; those for which no dead one
 * is found are not used. ERR_NOENT: it is not connected.
 */
enum err
nbd_kernel_reconfigure (struct nbd_kernel *k, const struct nbd_device *d,
                        struct fault *f);
enum err
nbd_kernel_disconnect (struct nbd_kernel *k, int index, struct fault *f);

/* An fd that is readable when the kernel has lost a connection; *k is for
 * nothing else then.
 */
enum err
nbd_kernel_listen (struct nbd_kernel *k, int *ret_fd, struct fault *f);
/* Takes what is there; true if one of this device was among it. */
bool
nbd_kernel_lost (struct nbd_kernel *k, int index);

#endif
