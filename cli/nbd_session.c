/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/nbd_session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <libnbd.h>
#include <linux/nbd.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define NS_PER_MS 1000000ull

static void
cleanup_nbd (struct nbd_handle **h)
{
  nbd_close (*h);
}

static enum err
failed (struct fault *f)
{
  const char *text = nbd_get_error ();

  return fault_set (f, ERR_DIAL, "nbdkit does not take the connection: %s",
                    text ? text : "no reason is given");
}

static int
note_error (void *ctx, int *error)
{
  *(int *)ctx = *error;
  return 1;
}

/* Until state says that it is there, or an option was refused (*error). */
static enum err
await (struct nbd_handle *h, int (*state) (struct nbd_handle *),
       const int *error, uint64_t deadline_ms, struct fault *f)
{
  while (state (h) != 1) {
    uint64_t now = clock_now_ms ();

    if (*error) {
      fault_set (f, ERR_NOENT, "nbdkit refuses the export: %s",
                 strerrordesc_np (*error));
      fault_hint (f, "a URL of a directory ends in a slash: name one file or "
                     "LUN of it");
      return ERR_NOENT;
    }

    if (nbd_aio_is_dead (h) == 1 || nbd_aio_is_closed (h) == 1)
      return failed (f);
    if (now >= deadline_ms)
      return fault_set (f, ERR_TIMEOUT, "nbdkit does not answer");
    if (nbd_poll (h, (int)(deadline_ms - now)) < 0)
      return failed (f);
  }
  return ERR_OK;
}

static int
negotiating (struct nbd_handle *h)
{
  return nbd_aio_is_negotiating (h);
}

static int
ready (struct nbd_handle *h)
{
  return nbd_aio_is_ready (h);
}

/* The kernel understands neither structured replies nor meta contexts. */
static struct nbd_handle *
begin (const char *socket, uint64_t deadline_ms, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_nbd))) struct nbd_handle *h = nbd_create ();
  int no_error = 0;

  if (!h || nbd_set_opt_mode (h, true) < 0
      || nbd_set_request_structured_replies (h, false) < 0
      || nbd_aio_connect_unix (h, socket) < 0) {
    failed (f);
    return NULL;
  }
  return await (h, negotiating, &no_error, deadline_ms, f) ? NULL : steal (&h);
}

static void
describe (struct nbd_handle *h, struct nbd_session *s)
{
  int64_t size = nbd_get_size (h);
  int64_t block = nbd_get_block_size (h, LIBNBD_SIZE_MINIMUM);

  *s = (struct nbd_session){.size_bytes = size > 0 ? (uint64_t)size : 0,
                            .block_min = block > 0 ? (uint64_t)block : 1,
                            .flags = NBD_FLAG_HAS_FLAGS};
  s->readonly = nbd_is_read_only (h) == 1;
  s->multi = nbd_can_multi_conn (h) == 1;
  if (s->readonly)
    s->flags |= NBD_FLAG_READ_ONLY;
  if (nbd_can_flush (h) == 1)
    s->flags |= NBD_FLAG_SEND_FLUSH;
  if (nbd_can_fua (h) == 1)
    s->flags |= NBD_FLAG_SEND_FUA;
  if (nbd_can_trim (h) == 1)
    s->flags |= NBD_FLAG_SEND_TRIM;
  if (s->multi)
    s->flags |= NBD_FLAG_CAN_MULTI_CONN;
}

enum err
nbd_session_open (const char *socket, unsigned timeout_ms,
                  struct nbd_session *ret, int *ret_fd, struct fault *f)
{
  uint64_t deadline_ms = clock_now_ms () + timeout_ms;
  __attribute__ ((cleanup (cleanup_nbd))) struct nbd_handle *h =
      begin (socket, deadline_ms, f);
  int fd, error = 0;
  nbd_completion_callback done = {.callback = note_error, .user_data = &error};
  enum err e;

  if (!h)
    return f->code;
  if (nbd_aio_opt_go (h, done) < 0)
    return failed (f);
  if ((e = await (h, ready, &error, deadline_ms, f)))
    return e;
  describe (h, ret);
  /* nbd_close closes its own; it sends nothing, and nothing is read ahead. */
  fd = fcntl (nbd_aio_get_fd (h), F_DUPFD_CLOEXEC, 3);
  if (fd < 0)
    return fault_set (f, err_from_errno (errno), "too many files");
  *ret_fd = fd;
  return ERR_OK;
}
