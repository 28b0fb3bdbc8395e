/* SPDX-License-Identifier: BSD-2-Clause */
/* The nbdkit plugin: nbdkit's callbacks onto a link. Nothing but glue. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "common/cleanup.h"
#include "gateway/exports.h"
#include "gateway/options.h"
#include "protocols/params.h"

#define LEAVE_NS 5000000

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* The plugin's only state. nbdkit's handle of a connection is a struct link. */
static struct options options;
static struct exports *exports;
static bool serving; /* nbdkit's threads may run */
static char help[OPTIONS_HELP_BYTES];

static void
emit (void *ctx, enum log_level level, const char *line)
{
  (void)ctx;
  if (level <= LOG_LEVEL_WARN)
    nbdkit_error ("%s", line);
  else
    nbdkit_debug ("%s", line);
}

static const struct log log_nbdkit = {LOG_LEVEL_DEBUG, emit, NULL};

/* Who starts nbdkit and wants to know how it went, without reading what is for
 * people (the bulkhead command): a pipe. One line, "ready PID" once clients
 * can connect, or "CODE<tab>TEXT<tab>HINT" in place of the line on stderr.
 * (More for a supervisor: see GUARDED_SIZE.)
 */
#define STATUS_FD "BULKHEAD_STATUS_FD"

static int
status_fd (void)
{
  const char *text = secure_getenv (STATUS_FD);
  unsigned long fd = text ? strtoul (text, NULL, 10) : 0;

  if (fd <= STDERR_FILENO || fd > INT_MAX
      || fcntl ((int)fd, F_SETFD, FD_CLOEXEC) < 0)
    return -1;
  return (int)fd;
}

/* A supervisor of a disk, PID: when it ends, we end, and answer nothing any
 * more (see GUARDED in cli/nbdkit.h). nbdkit has asked for SIGTERM by now.
 */
#define GUARD_PID "BULKHEAD_GUARD_PID"

/* Then an export is as large as can be, as nbdkit holds each connection to the
 * size that it was told at first, and the disk's connections last: how large it
 * is goes through the status pipe, "size BYTES", and requests are held to it
 * here.
 */
#define GUARDED_SIZE (1ll << 62)
static bool guarded;
static int size_fd = -1; /* the status pipe, which stays open then */

static void
end_with_guard (void)
{
  const char *text = secure_getenv (GUARD_PID);

  if (!text)
    return;
  guarded = true;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != (pid_t)strtol (text, NULL, 10))
    _exit (1);
  unsetenv (GUARD_PID);
}

/* True if somebody was told. */
static bool
tell_fault (const struct fault *f)
{
  int fd = status_fd ();

  return fd >= 0 && dprintf (fd, "%d\t%s\t%s\n", f->code, f->text, f->hint) > 0;
}

/* For a supervisor; it reads whatever is there. */
static void
tell_size (uint64_t size_bytes)
{
  if (size_fd >= 0
      && dprintf (size_fd, "size %llu\n", (unsigned long long)size_bytes) < 0)
    nbdkit_debug ("nobody wants to know the size");
}

static void
tell_ready (void)
{
  int fd = status_fd ();
  struct link *l;
  struct fault f;

  if (fd < 0)
    return;
  if (guarded && exports_get (exports, "", &l, &f) == ERR_OK) {
    fcntl (fd, F_SETFL, O_NONBLOCK);
    size_fd = fd;
    tell_size (link_size (l));
  }
  if (dprintf (fd, "ready %d\n", (int)getpid ()) < 0)
    nbdkit_debug ("nobody wants to know that we are ready");
  if (size_fd < 0)
    close (fd);
  unsetenv (STATUS_FD);
}

static int
refuse (const struct fault *f)
{
  if (tell_fault (f))
    return -1;
  if (f->hint[0])
    nbdkit_error ("%s; %s", f->text, f->hint);
  else
    nbdkit_error ("%s", f->text);
  return -1;
}

/* True while nbdkit shuts down or the client has gone. */
static bool
interrupted (void)
{
  return serving && nbdkit_nanosleep (0, 1) < 0;
}

/* Before nbdkit reads the plugin's table, so that --help knows it all. */
static void __attribute__ ((constructor))
bulkhead_make_help (void)
{
  options_help (help, sizeof help);
}

/* -D bulkhead.stats=1: what was answered from where, on stderr at the end. */
NBDKIT_DLL_PUBLIC int bulkhead_debug_stats = 0;

static void
print_stats (void)
{
  struct link_stats s;

  if (!exports || !bulkhead_debug_stats)
    return;
  exports_stats (exports, &s);
  fprintf (stderr,
           "bulkhead: pages: %llu from the cache, %llu times one was not in "
           "it, %llu offered to it; %llu wake-ups of workers\n",
           (unsigned long long)s.hits, (unsigned long long)s.misses,
           (unsigned long long)s.fills, (unsigned long long)s.wakes);
  fprintf (stderr, "bulkhead: %llu reads joined one on its way\n",
           (unsigned long long)s.joined);
  for (unsigned i = 0; i < s.paths; i++)
    fprintf (stderr, "bulkhead: connection %u: %llu requests\n", i + 1,
             (unsigned long long)s.requests[i]);
}

/* No program that is started from here on gets the pipe. */
static void
bulkhead_load (void)
{
  end_with_guard ();
  status_fd ();
}

static void
bulkhead_unload (void)
{
  print_stats ();
  exports_close (exports);
  options_free (&options);
}

static void
bulkhead_dump_plugin (void)
{
  printf ("bulkhead_version=%s\n", PACKAGE_VERSION);
  for (const struct proto_params *p = proto_params_table; p->name; p++)
    printf ("bulkhead_protocol_%s=yes\n", p->name);
}

static int
bulkhead_config (const char *key, const char *value)
{
  struct fault f;

  return options_add (&options, key, value, &f) ? refuse (&f) : 0;
}

static int
read_secret (const char *value, char **ret)
{
  return nbdkit_read_password (value, ret);
}

static int
bulkhead_config_complete (void)
{
  struct fault f;

  return options_resolve (&options, &log_nbdkit, read_secret, &f)
           ? refuse (&f)
           : 0;
}

/* Still one thread, in the foreground: the user sees what goes wrong. */
static int
bulkhead_get_ready (void)
{
  struct fault f = {0};

  if (guarded)
    options.link.resized = tell_size;
  return exports_open (&options, &log_nbdkit, interrupted, &exports, &f)
           ? refuse (&f)
           : 0;
}

static int
bulkhead_after_fork (void)
{
  struct fault f = {0};

  serving = true;
  if (exports_start (exports, &f))
    return refuse (&f);
  tell_ready ();
  return 0;
}

static void
add_export (void *ctx, const struct listing_entry *e)
{
  nbdkit_add_export (ctx, e->name, e->description[0] ? e->description : NULL);
}

static int
bulkhead_list_exports (int readonly, int is_tls, struct nbdkit_exports *list)
{
  struct fault f = {0};

  (void)readonly;
  (void)is_tls;
  if (!exports_is_directory (exports))
    return nbdkit_use_default_export (list);
  return exports_list (exports, add_export, list, &f) ? refuse (&f) : 0;
}

static void *
bulkhead_open (int readonly)
{
  const char *name = nbdkit_export_name ();
  struct link *l = NULL;
  struct fault f = {0};

  (void)readonly; /* nbdkit itself refuses writes then */
  if (exports_get (exports, name ? name : "", &l, &f))
    refuse (&f);
  return l;
}

static void
bulkhead_close (void *handle)
{
  exports_put (exports, handle);
}

static bool
can (const struct link *l, uint32_t cap)
{
  return (link_info (l)->caps & cap) == cap;
}

static int64_t
bulkhead_get_size (void *handle)
{
  return guarded ? GUARDED_SIZE : (int64_t)link_size (handle);
}

static int
bulkhead_block_size (void *handle, uint32_t *minimum, uint32_t *preferred,
                     uint32_t *maximum)
{
  const struct volume_info *info = link_info (handle);

  *minimum = info->block_min; /* see aligned */
  *preferred = info->block_preferred < 512 ? 512 : info->block_preferred;
  *maximum = 32u << 20; /* what nbdkit and most clients take at most */
  return 0;
}

static int
bulkhead_can_write (void *handle)
{
  return !options.readonly && can (handle, VOLUME_CAN_WRITE);
}

static int
bulkhead_can_flush (void *handle)
{
  return can (handle, VOLUME_CAN_FLUSH);
}

static int
bulkhead_can_fua (void *handle)
{
  if (can (handle, VOLUME_CAN_FUA))
    return NBDKIT_FUA_NATIVE;
  return can (handle, VOLUME_CAN_FLUSH) ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NONE;
}

static int
bulkhead_can_trim (void *handle)
{
  return can (handle, VOLUME_CAN_TRIM);
}

/* Where this says no, nbdkit writes zeroes instead. */
static int
bulkhead_can_zero (void *handle)
{
  return can (handle, VOLUME_CAN_ZERO);
}

static int
bulkhead_can_fast_zero (void *handle)
{
  return can (handle, VOLUME_CAN_ZERO | VOLUME_CAN_FAST_ZERO);
}

static int
bulkhead_can_extents (void *handle)
{
  return can (handle, VOLUME_CAN_STATUS);
}

/* A flush on one connection of a client covers what was answered on any other:
 * a link flushes all its sessions (gateway/transfer.c).
 */
static int
bulkhead_can_multi_conn (void *handle)
{
  (void)handle;
  return 1;
}

static int
bulkhead_is_rotational (void *handle)
{
  (void)handle;
  return 0;
}

/* A client that has gone gets its answers one after the other, so that all but
 * the first find the connection closed: nbdkit 1.32 asserts that it is open
 * when it sends one, which another of its threads may just have made untrue.
 */
static void
leave_in_turn (void)
{
  static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
  const struct timespec pause = {.tv_nsec = LEAVE_NS};

  pthread_mutex_lock (&turn);
  nanosleep (&pause, NULL);
  pthread_mutex_unlock (&turn);
}

static int
answer (int error, const char *what, uint64_t offset, uint32_t count)
{
  if (!error)
    return 0;
  if (error == ESHUTDOWN && guarded)
    leave_in_turn ();
  nbdkit_error ("%s of %u bytes at %llu: %s", what, count,
                (unsigned long long)offset, strerror (error));
  nbdkit_set_error (error);
  return -1;
}

/* nbdkit sees to it, but not if the size was told as GUARDED_SIZE. */
static bool
inside (struct link *l, const char *what, uint64_t offset, uint32_t count)
{
  uint64_t size = link_size (l);

  if (offset <= size && count <= size - offset)
    return true;
  nbdkit_error ("%s of %u bytes at %llu: the volume ends at %llu", what, count,
                (unsigned long long)offset, (unsigned long long)size);
  nbdkit_set_error (ENOSPC);
  return false;
}

/* Whether a writing request keeps to the blocks of the volume, whose size is
 * advertised: nbdkit does not see to it that clients do, and a part of a block
 * cannot be written without reading the rest. (Reads may be as they like.)
 */
static bool
aligned (struct link *l, const char *what, uint64_t offset, uint32_t count)
{
  const struct volume_info *info = link_info (l);
  uint32_t block = info->block_min;

  if (offset % block == 0
      && (count % block == 0 || offset + count == link_size (l)))
    return true;
  nbdkit_error ("%s of %u bytes at %llu: the volume has blocks of %u bytes, "
                "which writes must keep to",
                what, count, (unsigned long long)offset, block);
  nbdkit_set_error (EINVAL);
  return false;
}

static uint32_t
io_flags (uint32_t flags)
{
  return (flags & NBDKIT_FLAG_FUA ? IO_FUA : 0)
         | (flags & NBDKIT_FLAG_MAY_TRIM ? 0 : IO_NO_HOLE);
}

static int
bulkhead_pread (void *handle, void *buf, uint32_t count, uint64_t offset,
                uint32_t flags)
{
  (void)flags;
  if (!inside (handle, "read", offset, count))
    return -1;
  return answer (link_read (handle, buf, count, offset), "read", offset,
                 count);
}

static int
bulkhead_pwrite (void *handle, const void *buf, uint32_t count,
                 uint64_t offset, uint32_t flags)
{
  if (!inside (handle, "write", offset, count)
      || !aligned (handle, "write", offset, count))
    return -1;
  return answer (link_write (handle, buf, count, offset,
                             flags & NBDKIT_FLAG_FUA ? IO_FUA : 0),
                 "write", offset, count);
}

static int
bulkhead_flush (void *handle, uint32_t flags)
{
  (void)flags;
  return answer (link_plain (handle, IO_FLUSH, 0, 0, 0), "flush", 0, 0);
}

/* Only a hint: of a block that it does not cover whole nothing is given up. */
static int
bulkhead_trim (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  const struct volume_info *info = link_info (handle);
  uint64_t block = info->block_min;
  uint64_t begin = (offset + block - 1) / block * block;
  uint64_t end = offset + count;

  if (!inside (handle, "trim", offset, count))
    return -1;
  if (end < link_size (handle))
    end -= end % block;
  if (begin >= end)
    return 0;
  return answer (link_plain (handle, IO_TRIM, (uint32_t)(end - begin), begin,
                             io_flags (flags) & IO_FUA),
                 "trim", offset, count);
}

static int
bulkhead_zero (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  int error;

  if (!inside (handle, "zero", offset, count)
      || !aligned (handle, "zero", offset, count))
    return -1;
  error = link_plain (handle, IO_ZERO, count, offset, io_flags (flags));
  if (error == EOPNOTSUPP) { /* nbdkit writes them then */
    nbdkit_set_error (error);
    return -1;
  }
  return answer (error, "zero", offset, count);
}

/* As much as is asked for, unless that takes many answers: less is allowed. */
static int
bulkhead_extents (void *handle, uint32_t count, uint64_t offset,
                  uint32_t flags, struct nbdkit_extents *extents)
{
  struct io_extent *list = calloc (IO_EXTENTS_MAX, sizeof *list);
  uint64_t at = offset, end = offset + count;
  int error = list ? 0 : ENOMEM;
  uint32_t n = 0;

  for (int turn = 0; !error && turn < 64 && at < end; turn++) {
    error = link_status (handle, (uint32_t)(end - at), at, list, &n);
    for (uint32_t i = 0; !error && i < n; i++) {
      uint32_t type = (list[i].flags & IO_EXTENT_HOLE ? NBDKIT_EXTENT_HOLE : 0)
                      | (list[i].flags & IO_EXTENT_ZERO ? NBDKIT_EXTENT_ZERO
                                                        : 0);

      if (nbdkit_add_extent (extents, at, list[i].length, type) < 0)
        error = errno ? errno : EIO;
      at += list[i].length;
    }
    if (flags & NBDKIT_FLAG_REQ_ONE)
      break;
  }
  free (list);
  return answer (error, "block status", offset, count);
}

static struct nbdkit_plugin plugin = {
    .name = "bulkhead",
    .longname = "bulkhead: remote storage through a sandboxed worker",
    .version = PACKAGE_VERSION,
    .description =
        "Serves a file of an SFTP or NFS server, or an iSCSI LUN; or each "
        "file of a\ndirectory, each LUN of a target. The protocol client "
        "runs as a sandboxed\nprocess of its own.",
    .load = bulkhead_load,
    .unload = bulkhead_unload,
    .dump_plugin = bulkhead_dump_plugin,
    .config = bulkhead_config,
    .config_complete = bulkhead_config_complete,
    .config_help = help,
    .magic_config_key = "url",
    .get_ready = bulkhead_get_ready,
    .after_fork = bulkhead_after_fork,
    .list_exports = bulkhead_list_exports,
    .open = bulkhead_open,
    .close = bulkhead_close,
    .get_size = bulkhead_get_size,
    .block_size = bulkhead_block_size,
    .can_write = bulkhead_can_write,
    .can_flush = bulkhead_can_flush,
    .can_fua = bulkhead_can_fua,
    .can_trim = bulkhead_can_trim,
    .can_zero = bulkhead_can_zero,
    .can_fast_zero = bulkhead_can_fast_zero,
    .can_extents = bulkhead_can_extents,
    .can_multi_conn = bulkhead_can_multi_conn,
    .is_rotational = bulkhead_is_rotational,
    .pread = bulkhead_pread,
    .pwrite = bulkhead_pwrite,
    .flush = bulkhead_flush,
    .trim = bulkhead_trim,
    .zero = bulkhead_zero,
    .extents = bulkhead_extents,
};

NBDKIT_REGISTER_PLUGIN (plugin)
