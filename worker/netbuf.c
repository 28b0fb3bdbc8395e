/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/netbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum err
netbuf_init (struct netbuf *n, int fd)
{
  *n = (struct netbuf){.fd = fd, .rx_dry = true};
  n->rx = malloc (NETBUF_RX_BYTES);
  n->tx = malloc (NETBUF_TX_BYTES);
  if (!n->rx || !n->tx) {
    netbuf_fini (n);
    return ERR_NOMEM;
  }
  return ERR_OK;
}

void
netbuf_fini (struct netbuf *n)
{
  free (n->rx);
  free (n->tx);
  n->rx = n->tx = NULL;
}

static ssize_t
receive (const struct netbuf *n)
{
  struct iovec to = {n->rx, NETBUF_RX_BYTES};
  struct msghdr m = {.msg_iov = &to, .msg_iovlen = 1};

  return n->by_msg ? recvmsg (n->fd, &m, MSG_DONTWAIT)
                   : recv (n->fd, n->rx, NETBUF_RX_BYTES, MSG_DONTWAIT);
}

static ssize_t
transmit (const struct netbuf *n)
{
  struct iovec from = {n->tx + n->tx_head, netbuf_unsent (n)};
  struct msghdr m = {.msg_iov = &from, .msg_iovlen = 1};
  int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

  return n->by_msg ? sendmsg (n->fd, &m, flags)
                   : send (n->fd, from.iov_base, from.iov_len, flags);
}

/* Refills an empty receive buffer. Returns as netbuf_recv does; > 0: filled. */
static ssize_t
fill (struct netbuf *n)
{
  ssize_t got;

  if (n->sys_errno)
    return -n->sys_errno;
  if (n->rx_end)
    return 0;
  if (n->rx_dry)
    return -EAGAIN;
  do
    got = receive (n);
  while (got < 0 && errno == EINTR);
  n->rx_dry = true;
  if (got < 0 && errno == EAGAIN)
    return -EAGAIN;
  if (got < 0) {
    n->sys_errno = errno;
    return -n->sys_errno;
  }
  n->rx_end = got == 0;
  n->rx_head = 0;
  n->rx_tail = (size_t)got;
  return got;
}

ssize_t
netbuf_recv (struct netbuf *n, void *dst, size_t length_bytes)
{
  size_t have;

  if (n->rx_head == n->rx_tail) {
    ssize_t r = fill (n);

    if (r <= 0)
      return r;
  }
  have = n->rx_tail - n->rx_head;
  if (length_bytes > have)
    length_bytes = have;
  memcpy (dst, n->rx + n->rx_head, length_bytes);
  n->rx_head += length_bytes;
  return (ssize_t)length_bytes;
}

ssize_t
netbuf_send (struct netbuf *n, const void *src, size_t length_bytes)
{
  if (n->sys_errno)
    return -n->sys_errno;
  if (length_bytes > NETBUF_TX_BYTES - netbuf_unsent (n)) {
    n->sys_errno = ENOBUFS;
    return -ENOBUFS;
  }
  if (length_bytes > NETBUF_TX_BYTES - n->tx_tail) {
    memmove (n->tx, n->tx + n->tx_head, netbuf_unsent (n));
    n->tx_tail -= n->tx_head;
    n->tx_head = 0;
  }
  memcpy (n->tx + n->tx_tail, src, length_bytes);
  n->tx_tail += length_bytes;
  return (ssize_t)length_bytes;
}

enum err
netbuf_flush (struct netbuf *n)
{
  ssize_t sent;

  if (netbuf_unsent (n) == 0)
    return ERR_OK;
  if (n->sys_errno)
    return err_from_errno (n->sys_errno);
  do
    sent = transmit (n);
  while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == EAGAIN)
    return ERR_OK;
  if (sent < 0) {
    n->sys_errno = errno;
    return err_from_errno (n->sys_errno);
  }
  n->tx_head += (size_t)sent;
  if (n->tx_head == n->tx_tail)
    n->tx_head = n->tx_tail = 0;
  return ERR_OK;
}
