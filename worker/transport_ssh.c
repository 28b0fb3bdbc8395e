/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/ssh.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static LIBSSH2_ALLOC_FUNC (ssh_alloc)
{
  struct transport *t = *abstract;

  rsa_name_alloc (&t->rsa_name, count);
  return malloc (count);
}

/* libssh2 copies a password into its packets and frees them as they are. */
static LIBSSH2_FREE_FUNC (ssh_free)
{
  struct transport *t = *abstract;

  if (ptr && t->wipe)
    explicit_bzero (ptr, malloc_usable_size (ptr));
  free (ptr);
}

static LIBSSH2_REALLOC_FUNC (ssh_realloc)
{
  struct transport *t = *abstract;
  void *bigger;
  size_t had;

  if (!ptr || !t->wipe)
    return realloc (ptr, count);
  had = malloc_usable_size (ptr);
  bigger = malloc (count);
  if (!bigger)
    return NULL;
  memcpy (bigger, ptr, had < count ? had : count);
  ssh_free (ptr, abstract);
  return bigger;
}

static LIBSSH2_RECV_FUNC (ssh_recv)
{
  struct transport *t = *abstract;
  ssize_t n = netbuf_recv (&t->net, buffer, length);

  (void)socket;
  (void)flags;
  if (n > 0) {
    t->unread = true;
    if (t->greets)
      greeting_add (&t->greeting, buffer, (size_t)n);
  }
  return n;
}

static LIBSSH2_SEND_FUNC (ssh_send)
{
  struct transport *t = *abstract;

  (void)socket;
  (void)flags;
  return netbuf_send (&t->net, buffer, length);
}

static LIBSSH2_DISCONNECT_FUNC (ssh_disconnected)
{
  struct transport *t = *abstract;
  size_t n = message && message_len > 0 ? (size_t)message_len : 0;

  (void)session;
  (void)reason;
  (void)language;
  (void)language_len;
  if (n >= sizeof t->goodbye)
    n = sizeof t->goodbye - 1;
  if (n)
    memcpy (t->goodbye, message, n);
  t->goodbye[n] = 0;
}

static void
ssh_close (struct transport *t)
{
  if (t->session) {
    if (t->channel && !t->net.sys_errno)
      libssh2_session_disconnect (t->session, "bulkhead is done");
    (void)netbuf_flush (&t->net);
    libssh2_session_free (t->session);
  }
  netbuf_fini (&t->net);
  explicit_bzero (t, sizeof *t);
  free (t);
}

static enum err
ssh_open (const struct transport_config *c, struct transport **ret,
          struct fault *f)
{
  struct transport *t = calloc (1, sizeof *t);
  enum err e;

  if (!t)
    return fault_set (f, ERR_NOMEM, "out of memory");
  t->config = *c;
  if (netbuf_init (&t->net, c->fd) || libssh2_init (0)
      || !(t->session
           = libssh2_session_init_ex (ssh_alloc, ssh_free, ssh_realloc, t))) {
    ssh_close (t);
    return fault_set (f, ERR_NOMEM, "libssh2 cannot start: out of memory");
  }
  libssh2_session_set_blocking (t->session, 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
  libssh2_session_callback_set (t->session, LIBSSH2_CALLBACK_RECV,
                                (void *)ssh_recv);
  libssh2_session_callback_set (t->session, LIBSSH2_CALLBACK_SEND,
                                (void *)ssh_send);
  libssh2_session_callback_set (t->session, LIBSSH2_CALLBACK_DISCONNECT,
                                (void *)ssh_disconnected);
#pragma GCC diagnostic pop
  if ((e = ssh_set_methods (t, f))) {
    ssh_close (t);
    return e;
  }
  *ret = t;
  return ERR_OK;
}

static enum err
ssh_start (struct transport *t, uint64_t *deadline_ns, struct fault *f)
{
  enum err e;

  t->deadline_ns = *deadline_ns;
  e = ssh_login (t, f);
  *deadline_ns = t->deadline_ns;
  t->wipe = false;
  explicit_bzero (t->password, sizeof t->password);
  return e;
}

/* S2. ERR_AGAIN only during a key re-exchange. */
static enum err
widen_window (struct transport *t, struct fault *f)
{
  while (libssh2_channel_window_read (t->channel) < SSH_WINDOW_LOW_BYTES) {
    int rc = libssh2_channel_receive_window_adjust2 (
      t->channel, SSH_WINDOW_STEP_BYTES, 1, NULL);

    if (rc == LIBSSH2_ERROR_EAGAIN)
      return ERR_AGAIN;
    if (rc)
      return ssh_fault (t, rc, "widening the window", f);
  }
  return ERR_OK;
}

static enum err
ssh_read (struct transport *t, struct iovec dst, size_t *ret_bytes,
          struct fault *f)
{
  size_t want = dst.iov_len < SSH_READ_BYTES ? dst.iov_len : SSH_READ_BYTES;
  enum err e = widen_window (t, f);
  ssize_t n;

  if (e) {
    /* Only the server's next packet helps, and that sets it again. */
    t->unread = false;
    return e;
  }
  n = libssh2_channel_read (t->channel, dst.iov_base, want);
  if (n > 0) {
    *ret_bytes = (size_t)n;
    return ERR_OK;
  }
  if (n == LIBSSH2_ERROR_EAGAIN) {
    t->unread = false;
    return ERR_AGAIN;
  }
  if (n == 0 && libssh2_channel_eof (t->channel))
    return fault_set (f, ERR_CLOSED,
                      "the server ended the %s session (exit status %d)",
                      t->config.subsystem,
                      libssh2_channel_get_exit_status (t->channel));
  if (n == 0)
    return fault_set (f, ERR_PEER, "the server sent an invalid SSH packet");
  return ssh_fault (t, (int)n, "receiving", f);
}

static enum err
ssh_flush (struct transport *t, struct fault *f)
{
  if (netbuf_flush (&t->net))
    return ssh_fault (t, LIBSSH2_ERROR_SOCKET_SEND, "sending", f);
  return ssh_check_hostkey (t, f);
}

/* The bytes of the next packet: a large first piece as it is, else as many
 * pieces as fill one packet.
 */
static size_t
gather (struct transport *t, const struct iovec *iov, size_t n,
        const uint8_t **ret)
{
  size_t used = 0;

  if (n == 1 || iov[0].iov_len >= SSH_WRITE_BYTES) {
    *ret = iov[0].iov_base;
    return iov[0].iov_len < SSH_WRITE_BYTES ? iov[0].iov_len
                                            : SSH_WRITE_BYTES;
  }
  for (size_t i = 0; i < n && used < SSH_WRITE_BYTES; i++) {
    size_t part = iov[i].iov_len;

    if (part > SSH_WRITE_BYTES - used)
      part = SSH_WRITE_BYTES - used;
    memcpy (t->stage + used, iov[i].iov_base, part);
    used += part;
  }
  *ret = t->stage;
  return used;
}

static enum err
ssh_write (struct transport *t, const struct iovec *iov, size_t n,
           size_t *ret_bytes, struct fault *f)
{
  ssize_t sent;
  enum err e;

  if (netbuf_unsent (&t->net) > NETBUF_TX_HIGH_BYTES) {
    if ((e = ssh_flush (t, f)))
      return e;
    if (netbuf_unsent (&t->net) > NETBUF_TX_HIGH_BYTES)
      return ERR_AGAIN;
  }
  if (!t->retry)
    t->retry_bytes = gather (t, iov, n, &t->retry);
  sent = libssh2_channel_write (t->channel, (const char *)t->retry,
                                t->retry_bytes);
  if (sent == LIBSSH2_ERROR_EAGAIN || sent == 0)
    return ERR_AGAIN;
  t->retry = NULL;
  if (sent < 0)
    return ssh_fault (t, (int)sent, "sending", f);
  *ret_bytes = (size_t)sent;
  return ERR_OK;
}

static short
ssh_events (const struct transport *t)
{
  return netbuf_unsent (&t->net) ? POLLIN | POLLOUT : POLLIN;
}

static void
ssh_ready (struct transport *t, short revents)
{
  if (revents & ~POLLOUT)
    netbuf_ready (&t->net);
}

static bool
ssh_pending (const struct transport *t)
{
  return t->unread || !t->net.rx_dry;
}

const struct transport_ops transport_ssh = {
  .profile = SBX_WORKER_SSH,
  .open = ssh_open,
  .start = ssh_start,
  .read = ssh_read,
  .write = ssh_write,
  .flush = ssh_flush,
  .events = ssh_events,
  .ready = ssh_ready,
  .pending = ssh_pending,
  .close = ssh_close,
};
