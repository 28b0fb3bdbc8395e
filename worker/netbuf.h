/* SPDX-License-Identifier: BSD-2-Clause */
/* User-space buffers on both sides of the network socket.
 *
 * Received bytes are taken by one large recv and handed out in small pieces;
 * the socket is not asked again before netbuf_ready. So a library that reads
 * until nothing is left gives its caller a turn after NETBUF_RX_BYTES. Sent
 * bytes are always accepted whole, and leave by one send in netbuf_flush: the
 * library above never sees a partial send. libssh2 up to 1.11.1 needs that: it
 * deadlocks when a key re-exchange begins while one of its packets is sent in
 * part.
 *
 * Owner: the transport, in the worker; one thread.
 * Limits: NETBUF_RX_BYTES and NETBUF_TX_BYTES; who sends stops by itself above
 * NETBUF_TX_HIGH_BYTES, the rest is for what a library sends unasked.
 */
#ifndef BH_WORKER_NETBUF_H
#define BH_WORKER_NETBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define NETBUF_RX_BYTES (256u * 1024)
#define NETBUF_TX_BYTES (1024u * 1024)
#define NETBUF_TX_HIGH_BYTES (512u * 1024)

struct netbuf {
  int fd;
  uint8_t *rx, *tx;
  size_t rx_head, rx_tail; /* bytes not handed out yet */
  size_t tx_head, tx_tail; /* bytes not sent yet */
  bool rx_dry;   /* was asked, or is not readable: until netbuf_ready */
  bool rx_end;   /* the peer closed its side */
  int sys_errno; /* a failed send or recv is final */
  bool by_msg;   /* recvmsg and sendmsg: a policy may not have recv and send */
};

/* fd: a connected, non-blocking stream socket, borrowed. ERR_NOMEM. */
enum err netbuf_init (struct netbuf *n, int fd);
void netbuf_fini (struct netbuf *n);

/* At most length_bytes bytes; 0 at the end of the stream, a negative errno on
 * failure, -EAGAIN without a system call while rx_dry.
 */
ssize_t netbuf_recv (struct netbuf *n, void *dst, size_t length_bytes);
/* Takes all of it, or nothing: -ENOBUFS when the bound is reached, which is
 * the peer's fault (it makes us answer and does not read).
 */
ssize_t netbuf_send (struct netbuf *n, const void *src, size_t length_bytes);
/* Sends what the socket takes now. ERR_CLOSED, ERR_IO. */
enum err netbuf_flush (struct netbuf *n);

/* The socket was reported readable. */
static inline void
netbuf_ready (struct netbuf *n)
{
  n->rx_dry = false;
}

static inline size_t
netbuf_unsent (const struct netbuf *n)
{
  return n->tx_tail - n->tx_head;
}

#endif
