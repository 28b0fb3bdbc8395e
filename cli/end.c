/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/end.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libnbd.h>

#include "cli/conf.h"
#include "common/cleanup.h"

static bool
is_nbd (const char *word)
{
  return strncmp (word, "nbd", 3) == 0 && strstr (word, "://");
}

/* A path has a slash, or there is such a file; else it is a volume's name. */
static bool
is_file (const char *word)
{
  return !strstr (word, "://")
         && (strchr (word, '/') || access (word, F_OK) == 0
             || strchr (word, '.') == word);
}

enum err
end_take (struct end *e, const struct cli *c, unsigned first, bool writes,
          unsigned *ret_next, struct fault *f)
{
  const char *word = c->arg[first];
  enum err error;

  memset (e, 0, sizeof *e);
  e->cli = c;
  e->fd = -1;
  e->writes = writes;
  e->block_min = 1;
  *ret_next = first + 1;
  snprintf (e->name, sizeof e->name, "%s", word);
  if (is_nbd (word) || is_file (word)) {
    e->kind = is_nbd (word) ? END_NBD : END_FILE;
    if (strlen (word) >= sizeof e->name) /* another one, cut off */
      return fault_set (f, ERR_LIMIT, "%.60s…: a name of more than %zu bytes",
                        word, sizeof e->name - 1);
    return ERR_OK;
  }
  e->kind = END_VOLUME;
  e->has_session = true;
  error = session_take (&e->session, c, first, ret_next, f);
  if (error == ERR_INVAL && !e->session.target.url && conf_is_name (word)
      && strncmp (f->hint, "did you mean", 12) != 0)
    fault_hint (f, "a file has a slash in it: ./%.200s; volumes: man "
                   "bulkhead.conf", word);
  return error;
}

/* Volumes */

static enum err
open_volume (struct end *e, struct fault *f)
{
  struct session *s = &e->session;
  const struct volume_info *info;
  enum err error;

  if ((error = session_set (s, "cache", "off", f))
      || (error = session_set (s, "prefetch", "0", f))
      || (!e->writes && (error = session_set (s, "readonly", "yes", f)))
      || (error = session_open_volume (s, f)))
    return error;
  session_name (s, e->name, sizeof e->name);
  info = link_info (s->link);
  e->size = info->size;
  e->block_min = info->block_min;
  e->can_zero = info->caps & VOLUME_CAN_ZERO;
  snprintf (e->identity, sizeof e->identity, "%s", info->identity);
  if (info->change)
    snprintf (e->changed, sizeof e->changed, "%llu",
              (unsigned long long)info->change);
  if (!e->writes || ((info->caps & VOLUME_CAN_WRITE) && !s->options.readonly))
    return ERR_OK;
  fault_set (f, ERR_ROFS, "%s can only be read%s%s", e->name,
             info->readonly_why[0] ? ": " : "", info->readonly_why);
  fault_hint (f, "write permission on the server, and no readonly=yes, are "
                 "needed");
  return ERR_ROFS;
}

/* Files */

static enum err
file_fault (const struct end *e, const char *what, struct fault *f)
{
  enum err error = errno == EBUSY ? ERR_AGAIN : err_from_errno (errno);

  fault_set (f, error, "cannot %s %s: %s", what, e->name,
             strerrordesc_np (errno));
  if (errno == EBUSY)
    fault_hint (f, "unmount it first");
  return error;
}

static enum err
file_size (struct end *e, const struct stat *st, uint64_t size,
           struct fault *f)
{
  off_t end;

  if (S_ISBLK (st->st_mode)) {
    if ((end = lseek (e->fd, 0, SEEK_END)) < 0)
      return file_fault (e, "measure", f);
    e->size = (uint64_t)end;
    e->block_min = 512;
    return ERR_OK;
  }
  e->has_grown = e->writes && (uint64_t)st->st_size < size;
  if (e->has_grown && ftruncate (e->fd, (off_t)size) < 0)
    return file_fault (e, "make room in", f);
  e->size = e->has_grown ? size : (uint64_t)st->st_size;
  e->can_zero = true;
  return ERR_OK;
}

static enum err
open_file (struct end *e, uint64_t size, struct fault *f)
{
  /* O_NONBLOCK: a FIFO is refused, not waited for. */
  int how = O_CLOEXEC | O_NOCTTY | O_NONBLOCK
            | (e->writes ? O_RDWR : O_RDONLY);
  struct stat st;
  enum err error;

  /* A block device that is mounted refuses O_EXCL. */
  if (stat (e->name, &st) == 0 && S_ISBLK (st.st_mode) && e->writes)
    how |= O_EXCL;
  e->fd = open (e->name, how);
  if (e->fd < 0 && errno == ENOENT && e->writes) {
    e->fd = open (e->name, how | O_CREAT | O_EXCL, 0666);
    e->is_new = e->fd >= 0;
  }
  if (e->fd < 0 || fstat (e->fd, &st) < 0)
    return file_fault (e, "open", f);
  if (!S_ISREG (st.st_mode) && !S_ISBLK (st.st_mode))
    return fault_set (f, ERR_INVAL, "%s is no file and no block device",
                      e->name);
  if ((error = file_size (e, &st, size, f)))
    return error;
  snprintf (e->identity, sizeof e->identity, "file %llx:%llu",
            (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
  snprintf (e->changed, sizeof e->changed, "%lld.%09ld",
            (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  return ERR_OK;
}

/* NBD */

static enum err
nbd_fault (const struct end *e, struct fault *f)
{
  int error = nbd_get_errno ();

  return fault_set (f,
                    error == ECONNREFUSED || error == ENOENT ? ERR_DIAL
                    : error == EROFS                         ? ERR_ROFS
                                                             : ERR_IO,
                    "%s: %s", e->name,
                    nbd_get_error () ? nbd_get_error () : "unknown error");
}

static enum err
connect_one (struct end *e, struct fault *f)
{
  struct nbd_handle *h = nbd_create ();

  if (!h)
    return nbd_fault (e, f);
  e->nbd[e->connections].handle = h;
  pthread_mutex_init (&e->nbd[e->connections].lock, NULL);
  e->connections++;
  nbd_set_tls (h, LIBNBD_TLS_ALLOW);
  return nbd_connect_uri (h, e->name) < 0 ? nbd_fault (e, f) : ERR_OK;
}

static enum err
open_nbd (struct end *e, struct fault *f)
{
  struct nbd_handle *h;
  int64_t size, block;
  enum err error;
  bool several;

  if ((error = connect_one (e, f)))
    return error;
  h = e->nbd[0].handle;
  if ((size = nbd_get_size (h)) < 0)
    return nbd_fault (e, f);
  e->size = (uint64_t)size;
  block = nbd_get_block_size (h, LIBNBD_SIZE_MINIMUM);
  e->block_min = block > 0 && block <= 65536 ? (uint32_t)block : 1;
  e->can_zero = nbd_can_zero (h) > 0;
  if (e->writes && nbd_is_read_only (h) > 0)
    return fault_set (f, ERR_ROFS, "%s can only be read", e->name);
  several = nbd_can_multi_conn (h) > 0;
  while (several && e->connections < END_CONNECTIONS)
    if ((error = connect_one (e, f)))
      return error;
  return ERR_OK;
}

enum err
end_open (struct end *e, uint64_t size, struct fault *f)
{
  switch (e->kind) {
  case END_VOLUME:
    return open_volume (e, f);
  case END_FILE:
    return open_file (e, size, f);
  case END_NBD:
    break;
  }
  return open_nbd (e, f);
}

void
end_close (struct end *e)
{
  if (e->has_session)
    session_close (&e->session);
  cleanup_close (&e->fd);
  e->fd = -1;
  for (unsigned i = 0; i < e->connections; i++) {
    nbd_close (e->nbd[i].handle);
    pthread_mutex_destroy (&e->nbd[i].lock);
  }
  e->connections = 0;
  e->has_session = false;
}

/* Requests */

enum nbd_what { NBD_READ, NBD_WRITE, NBD_ZERO, NBD_FLUSH };

static int
nbd_do (struct end *e, unsigned thread, enum nbd_what what, void *buf,
        uint32_t n, uint64_t at)
{
  unsigned i = thread % e->connections;
  struct nbd_handle *h = e->nbd[i].handle;
  int r = -1, error;

  pthread_mutex_lock (&e->nbd[i].lock);
  switch (what) {
  case NBD_READ:
    r = nbd_pread (h, buf, n, at, 0);
    break;
  case NBD_WRITE:
    r = nbd_pwrite (h, buf, n, at, 0);
    break;
  case NBD_ZERO:
    r = nbd_zero (h, n, at, 0);
    break;
  case NBD_FLUSH:
    r = nbd_can_flush (h) > 0 ? nbd_flush (h, 0) : 0;
  }
  error = r < 0 ? nbd_get_errno () : 0;
  pthread_mutex_unlock (&e->nbd[i].lock);
  return r < 0 ? (error ? error : EIO) : 0;
}

static int
file_read (int fd, uint8_t *buf, uint32_t n, uint64_t at)
{
  while (n) {
    ssize_t r = pread (fd, buf, n, (off_t)at);

    if (r < 0 && errno == EINTR)
      continue;
    if (r <= 0)
      return r < 0 ? errno : EIO; /* it was cut short meanwhile */
    buf += r;
    n -= (uint32_t)r;
    at += (uint64_t)r;
  }
  return 0;
}

static int
file_write (int fd, const uint8_t *buf, uint32_t n, uint64_t at)
{
  while (n) {
    ssize_t r = pwrite (fd, buf, n, (off_t)at);

    if (r < 0 && errno == EINTR)
      continue;
    if (r <= 0)
      return r < 0 ? errno : EIO;
    buf += r;
    n -= (uint32_t)r;
    at += (uint64_t)r;
  }
  return 0;
}

int
end_read (struct end *e, unsigned thread, void *buf, uint32_t n, uint64_t at)
{
  if (e->kind == END_VOLUME)
    return link_read (e->session.link, buf, n, at);
  if (e->kind == END_FILE)
    return file_read (e->fd, buf, n, at);
  return nbd_do (e, thread, NBD_READ, buf, n, at);
}

int
end_write (struct end *e, unsigned thread, const void *buf, uint32_t n,
           uint64_t at)
{
  if (e->kind == END_VOLUME)
    return link_write (e->session.link, buf, n, at, 0);
  if (e->kind == END_FILE)
    return file_write (e->fd, buf, n, at);
  return nbd_do (e, thread, NBD_WRITE, (void *)buf, n, at);
}

int
end_zero (struct end *e, unsigned thread, uint32_t n, uint64_t at)
{
  if (e->is_new)
    return 0;
  if (!e->can_zero)
    return EOPNOTSUPP;
  if (e->kind == END_VOLUME)
    return link_plain (e->session.link, IO_ZERO, n, at, 0);
  if (e->kind == END_NBD)
    return nbd_do (e, thread, NBD_ZERO, NULL, n, at);
  if (fallocate (e->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
                 n)
      == 0)
    return 0;
  return EOPNOTSUPP;
}

int
end_flush (struct end *e)
{
  if (e->kind == END_VOLUME)
    return link_info (e->session.link)->caps & VOLUME_CAN_FLUSH
               ? link_plain (e->session.link, IO_FLUSH, 0, 0, 0)
               : 0;
  if (e->kind == END_FILE)
    return fsync (e->fd) < 0 ? errno : 0;
  return nbd_do (e, 0, NBD_FLUSH, NULL, 0, 0);
}
