/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP without anything on top: the engine's bytes are the stream's.
 *
 * One recvmsg fills the place that the engine gave, which may be the read
 * arena, and behind it a small buffer of ours: the header that the engine asks
 * for next, and with it the answers that follow, cost no call of their own.
 * During bulk transfers little is put there, as it is copied once more.
 *
 * Owner: the worker; one thread.
 */
#include "config.h"
#include "worker/transport.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SPILL_BYTES (64u << 10)
/* A place this large is payload in bulk; what follows it is a header. */
#define BULK_BYTES (32u << 10)
#define BULK_SPILL_BYTES 512u
/* What is smaller may be a header, and says nothing about the payload. */
#define SMALL_BYTES 512u

struct transport {
  int fd;
  bool rx_dry;  /* was asked, or is not readable: until tcp_ready */
  bool tx_full; /* the socket took no more: until tcp_ready */
  bool bulk;
  size_t head, tail; /* of what spilt and was not handed out yet */
  uint8_t spill[SPILL_BYTES];
};

static enum err
tcp_open (const struct transport_config *c, struct transport **ret,
          struct fault *f)
{
  struct transport *t = malloc (sizeof *t);

  if (!t)
    return fault_set (f, ERR_NOMEM, "out of memory");
  /* All of it: the sandbox may have no memory to add. */
  memset (t, 0, sizeof *t);
  t->fd = c->fd;
  t->rx_dry = true;
  *ret = t;
  return ERR_OK;
}

static enum err
tcp_start (struct transport *t, uint64_t *deadline_ns, struct fault *f)
{
  (void)t;
  (void)deadline_ns;
  (void)f;
  return ERR_OK;
}

static size_t
take_spilt (struct transport *t, struct iovec dst)
{
  size_t n = t->tail - t->head;

  if (n > dst.iov_len)
    n = dst.iov_len;
  memcpy (dst.iov_base, t->spill + t->head, n);
  t->head += n;
  return n;
}

static enum err
tcp_fault (int sys_errno, const char *doing, struct fault *f)
{
  enum err e = err_from_errno (sys_errno);

  return fault_set (f, e, "the connection broke while %s: %s", doing,
                    sys_errno == ECONNRESET ? "the server reset it"
                                            : strerrordesc_np (sys_errno));
}

static enum err
tcp_read (struct transport *t, struct iovec dst, size_t *ret_bytes,
          struct fault *f)
{
  struct iovec iov[2] = {dst, {t->spill, SPILL_BYTES}};
  struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
  ssize_t n;

  if (t->head < t->tail) {
    *ret_bytes = take_spilt (t, dst);
    return ERR_OK;
  }
  if (t->rx_dry)
    return ERR_AGAIN;
  if (dst.iov_len > SMALL_BYTES)
    t->bulk = dst.iov_len >= BULK_BYTES;
  if (t->bulk)
    iov[1].iov_len = BULK_SPILL_BYTES;
  do
    n = recvmsg (t->fd, &m, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) {
    t->rx_dry = true;
    return ERR_AGAIN;
  }
  if (n < 0)
    return tcp_fault (errno, "receiving", f);
  if (n == 0)
    return fault_set (f, ERR_CLOSED, "the server closed the connection");
  /* Not all that could be taken was there: nothing is left. */
  t->rx_dry = (size_t)n < dst.iov_len + iov[1].iov_len;
  t->head = 0;
  t->tail = (size_t)n > dst.iov_len ? (size_t)n - dst.iov_len : 0;
  *ret_bytes = (size_t)n - t->tail;
  return ERR_OK;
}

static enum err
tcp_write (struct transport *t, const struct iovec *iov, size_t n,
           size_t *ret_bytes, struct fault *f)
{
  struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
  size_t all = 0;
  ssize_t sent;

  if (t->tx_full)
    return ERR_AGAIN;
  for (size_t i = 0; i < n; i++)
    all += iov[i].iov_len;
  do
    sent = sendmsg (t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == EAGAIN) {
    t->tx_full = true;
    return ERR_AGAIN;
  }
  if (sent < 0)
    return tcp_fault (errno, "sending", f);
  t->tx_full = (size_t)sent < all;
  *ret_bytes = (size_t)sent;
  return ERR_OK;
}

static enum err
tcp_flush (struct transport *t, struct fault *f)
{
  (void)t;
  (void)f;
  return ERR_OK;
}

static short
tcp_events (const struct transport *t)
{
  return t->tx_full ? POLLIN | POLLOUT : POLLIN;
}

/* An error wakes both sides: the next call tells it. */
static void
tcp_ready (struct transport *t, short revents)
{
  if (revents & ~POLLOUT)
    t->rx_dry = false;
  if (revents & ~POLLIN)
    t->tx_full = false;
}

static bool
tcp_pending (const struct transport *t)
{
  return t->head < t->tail || !t->rx_dry;
}

static void
tcp_close (struct transport *t)
{
  free (t);
}

const struct transport_ops transport_tcp = {
  .profile = SBX_WORKER,
  .open = tcp_open,
  .start = tcp_start,
  .read = tcp_read,
  .write = tcp_write,
  .flush = tcp_flush,
  .events = tcp_events,
  .ready = tcp_ready,
  .pending = tcp_pending,
  .close = tcp_close,
};
