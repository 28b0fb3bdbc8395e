/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/control.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define NS_PER_S 1000000000ull

_Static_assert (offsetof (struct control, body)
                    == offsetof (struct control, head) + 2,
                "a message without fds is one piece");

void
control_begin (struct control *m, enum control_type type)
{
  m->type = (uint16_t)type;
  m->length_bytes = 0;
  m->fds = 0;
  m->sender_pid = 0;
  m->sender_uid = (uid_t)-1;
}

enum err
control_add_fd (struct control *m, int fd)
{
  if (m->fds == CONTROL_FDS || fd < 0)
    return ERR_LIMIT;
  m->fd[m->fds++] = fd;
  return ERR_OK;
}

/* ERR_OK when ready, ERR_TIMEOUT at the deadline. */
static enum err
wait_for (int sock, short events, uint64_t deadline_ns)
{
  for (;;) {
    struct pollfd p = {.fd = sock, .events = events};
    uint64_t now = clock_now_ns ();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec ts = {.tv_sec = (time_t)(left / NS_PER_S),
                          .tv_nsec = (long)(left % NS_PER_S)};
    int n = ppoll (&p, 1, &ts, NULL);

    if (n > 0)
      return ERR_OK;
    if (n == 0)
      return ERR_TIMEOUT;
    if (errno != EINTR)
      return err_from_errno (errno);
  }
}

/* After a call that failed, by errno: ERR_OK to make it once more. */
static enum err
once_more (int sock, short events, uint64_t deadline_ns)
{
  if (errno == EINTR)
    return ERR_OK;
  return errno == EAGAIN ? wait_for (sock, events, deadline_ns)
                         : err_from_errno (errno);
}

static enum err
send_message (int sock, struct control *m, const struct wirebuf *b,
              uint64_t timeout_ns, int credentials)
{
  uint8_t type[2] = {(uint8_t)(m->type >> 8), (uint8_t)m->type};
  struct iovec iov[2] = {{type, 2}, {m->body, b->used_bytes}};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (int) * CONTROL_FDS)
               + CMSG_SPACE (sizeof (struct ucred))];
  } u;
  struct msghdr h = {.msg_iov = iov, .msg_iovlen = 2,
                     .msg_control = u.bytes,
                     .msg_controllen = sizeof u.bytes};
  struct cmsghdr *c;
  size_t used = 0;
  uint64_t deadline_ns = clock_now_ns () + timeout_ns;

  if (b->err)
    return ERR_LIMIT;
  memset (&u, 0, sizeof u);
  c = CMSG_FIRSTHDR (&h);
  if (m->fds) {
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN (sizeof (int) * m->fds);
    memcpy (CMSG_DATA (c), m->fd, sizeof (int) * m->fds);
    used += CMSG_SPACE (sizeof (int) * m->fds);
    c = CMSG_NXTHDR (&h, c);
  }
  if (credentials) {
    struct ucred cred = {getpid (), geteuid (), getegid ()};

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_CREDENTIALS;
    c->cmsg_len = CMSG_LEN (sizeof cred);
    memcpy (CMSG_DATA (c), &cred, sizeof cred);
    used += CMSG_SPACE (sizeof cred);
  }
  h.msg_controllen = used;
  if (!used)
    h.msg_control = NULL;
  for (;;) {
    enum err e;

    if (sendmsg (sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
      return ERR_OK;
    if ((e = once_more (sock, POLLOUT, deadline_ns)))
      return e;
  }
}

enum err
control_send (int sock, struct control *m, const struct wirebuf *b,
              uint64_t timeout_ns)
{
  return send_message (sock, m, b, timeout_ns, 0);
}

enum err
control_send_credentials (int sock, struct control *m,
                          const struct wirebuf *b, uint64_t timeout_ns)
{
  return send_message (sock, m, b, timeout_ns, 1);
}

/* Takes every ancillary fd, also those beyond our limit: none may leak. False
 * if there were any.
 */
static bool
take_ancillary (struct control *m, struct msghdr *h)
{
  bool fits = true;

  for (struct cmsghdr *c = CMSG_FIRSTHDR (h); c; c = CMSG_NXTHDR (h, c)) {
    if (c->cmsg_level != SOL_SOCKET)
      continue;
    if (c->cmsg_type == SCM_RIGHTS) {
      size_t n = (c->cmsg_len - CMSG_LEN (0)) / sizeof (int);

      for (size_t i = 0; i < n; i++) {
        int fd;

        memcpy (&fd, CMSG_DATA (c) + i * sizeof fd, sizeof fd);
        if (m->fds < CONTROL_FDS)
          m->fd[m->fds++] = fd;
        else {
          close (fd);
          fits = false;
        }
      }
    } else if (c->cmsg_type == SCM_CREDENTIALS) {
      struct ucred cred;

      memcpy (&cred, CMSG_DATA (c), sizeof cred);
      m->sender_pid = cred.pid;
      m->sender_uid = cred.uid;
    }
  }
  return fits;
}

enum err
control_recv (int sock, struct control *m, uint64_t timeout_ns)
{
  uint8_t type[2];
  struct iovec iov[2] = {{type, 2}, {m->body, sizeof m->body}};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (sizeof (int) * CONTROL_FDS)
               + CMSG_SPACE (sizeof (struct ucred))];
  } u;
  struct msghdr h;
  uint64_t deadline_ns = timeout_ns ? clock_now_ns () + timeout_ns : 0;
  bool fits;
  ssize_t n;

  for (;;) {
    enum err e;

    control_begin (m, 0);
    h = (struct msghdr){.msg_iov = iov, .msg_iovlen = 2,
                        .msg_control = u.bytes,
                        .msg_controllen = sizeof u.bytes};
    n = recvmsg (sock, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n >= 0)
      break;
    if (errno == EAGAIN && !timeout_ns)
      return ERR_AGAIN;
    if ((e = once_more (sock, POLLIN, deadline_ns)))
      return e;
  }
  fits = take_ancillary (m, &h);
  if (n == 0 && !m->fds)
    return ERR_CLOSED;
  if (!fits || n < 2 || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
    control_close (m);
    return ERR_PEER;
  }
  m->type = (uint16_t)(type[0] << 8 | type[1]);
  m->length_bytes = (uint32_t)n - 2;
  return ERR_OK;
}

/* Head and body in one piece. */
static uint8_t *
packet (struct control *m)
{
  return (uint8_t *)m + offsetof (struct control, head);
}

enum err
control_tell (int sock, struct control *m, const struct wirebuf *b,
              uint64_t timeout_ns)
{
  uint64_t deadline_ns = clock_now_ns () + timeout_ns;

  if (b->err || m->fds || b->base != m->body)
    return ERR_LIMIT;
  m->head[0] = (uint8_t)(m->type >> 8);
  m->head[1] = (uint8_t)m->type;
  for (;;) {
    enum err e;

    if (send (sock, packet (m), sizeof m->head + b->used_bytes,
              MSG_NOSIGNAL | MSG_DONTWAIT)
        >= 0)
      return ERR_OK;
    if ((e = once_more (sock, POLLOUT, deadline_ns)))
      return e;
  }
}

enum err
control_hear (int sock, struct control *m, uint64_t timeout_ns)
{
  const ssize_t most = sizeof m->head + sizeof m->body;
  uint64_t deadline_ns = timeout_ns ? clock_now_ns () + timeout_ns : 0;
  ssize_t n;

  control_begin (m, 0);
  /* MSG_TRUNC: the true length, also of what did not fit. */
  while ((n = recv (sock, packet (m), (size_t)most, MSG_DONTWAIT | MSG_TRUNC))
         < 0) {
    enum err e;

    if (errno == EAGAIN && !timeout_ns)
      return ERR_AGAIN;
    if ((e = once_more (sock, POLLIN, deadline_ns)))
      return e;
  }
  if (n == 0)
    return ERR_CLOSED;
  if (n < (ssize_t)sizeof m->head || n > most)
    return ERR_PEER;
  m->type = (uint16_t)(m->head[0] << 8 | m->head[1]);
  m->length_bytes = (uint32_t)n - sizeof m->head;
  return ERR_OK;
}

int
control_take_fd (struct control *m, unsigned index)
{
  int fd = -1;

  if (index < m->fds) {
    fd = m->fd[index];
    m->fd[index] = -1;
  }
  return fd;
}

void
control_close (struct control *m)
{
  for (unsigned i = 0; i < m->fds; i++)
    if (m->fd[i] >= 0)
      close (m->fd[i]);
  m->fds = 0;
}

const char *
control_type_name (uint16_t type)
{
  static const char *const names[] = {
    [CONTROL_HELLO] = "HELLO",
    [CONTROL_OPEN] = "OPEN",
    [CONTROL_CHANNEL] = "CHANNEL",
    [CONTROL_WORKER] = "WORKER",
    [CONTROL_GONE] = "GONE",
    [CONTROL_FAULT] = "FAULT",
    [CONTROL_ATTACH] = "ATTACH",
    [CONTROL_DISTRUST] = "DISTRUST",
    [CONTROL_CACHE] = "CACHE",
    [CONTROL_ADOPT] = "ADOPT",
    [CONTROL_ADOPTED] = "ADOPTED",
    [CONTROL_LEASE_WANT] = "LEASE_WANT",
    [CONTROL_LEASE_GRANT] = "LEASE_GRANT",
    [CONTROL_LEASE_REVOKE] = "LEASE_REVOKE",
    [CONTROL_LEASE_RETURN] = "LEASE_RETURN",
    [CONTROL_STATUS] = "STATUS",
    [CONTROL_AGENT] = "AGENT",
    [CONTROL_CONFIG] = "CONFIG",
    [CONTROL_WANT] = "WANT",
    [CONTROL_GIVEN] = "GIVEN",
    [CONTROL_CERT_SIGN] = "CERT_SIGN",
    [CONTROL_CERT_SIGNATURE] = "CERT_SIGNATURE",
    [CONTROL_SEALED] = "SEALED",
    [CONTROL_HOSTKEY] = "HOSTKEY",
    [CONTROL_HOSTKEY_OK] = "HOSTKEY_OK",
    [CONTROL_AUTH] = "AUTH",
    [CONTROL_AUTH_KEY] = "AUTH_KEY",
    [CONTROL_AUTH_PASSWORD] = "AUTH_PASSWORD",
    [CONTROL_AUTH_NONE] = "AUTH_NONE",
    [CONTROL_SIGN] = "SIGN",
    [CONTROL_SIGNATURE] = "SIGNATURE",
    [CONTROL_READY] = "READY",
    [CONTROL_FAIL] = "FAIL",
    [CONTROL_GO] = "GO",          [CONTROL_PROBE] = "PROBE",
    [CONTROL_PROBED] = "PROBED",  [CONTROL_NOTE] = "NOTE",
  };

  if (type >= sizeof names / sizeof names[0] || !names[type])
    return "?";
  return names[type];
}
