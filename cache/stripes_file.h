/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of a volume's write stripes, and the two things that are kept by
 * locks on it, because they must survive this daemon: which gateways use it,
 * and which one may write.
 *
 * A seat is an open file description of its own that the daemon makes for one
 * gateway, and of which both have an fd. A lock of a seat (OFD, fcntl(2)) lasts
 * as long as either has: the kernel keeps it when the daemon dies, and drops it
 * when the gateway is dead too.
 *
 *   byte 0, shared      a gateway sits here: the file is in use
 *   byte 1, exclusive   its gateway has the write lease
 *
 * Files: <folder>/<name>.stripes, mode 0600. If one cannot be made, a memory
 * object takes its place, which no later daemon can find by name.
 */
#ifndef BH_CACHE_STRIPES_FILE_H
#define BH_CACHE_STRIPES_FILE_H

#include <sys/types.h>

#include "ipc/stripes.h"

#define STRIPES_PATH_BYTES 400
#define STRIPES_SUFFIX ".stripes"

/* Of stripes_file_create_memory, as the kernel knows it. */
#define STRIPES_MEMORY_NAME "bh-stripes"

struct stripes_file {
  int fd; /* the daemon's own; without locks */
  size_t size_bytes;
  uint32_t count;
  struct stripe_map map;         /* .file NULL: a layout that we do not know */
  char path[STRIPES_PATH_BYTES]; /* "": has no name */
};

/* Makes a new one. ERR_LIMIT, ERR_NOMEM, ERR_IO … */
enum err
stripes_file_create (struct stripes_file *f, const char *path,
                     uint32_t count);
/* The same as a memory object. */
enum err
stripes_file_create_memory (struct stripes_file *f, uint32_t count);
/* One of an earlier daemon. ERR_NOENT; ERR_VERSION: it is no such file. */
enum err
stripes_file_open (struct stripes_file *f, const char *path);
/* One that a gateway of an earlier daemon has brought: fd is borrowed. A layout
 * that is not known is no error: map.file is NULL. path: where it should be; if
 * something else is there, ERR_PEER.
 */
enum err
stripes_file_adopt (struct stripes_file *f, int fd, const char *path);
/* Unmaps and closes it; drop: removes its name too. */
void
stripes_file_close (struct stripes_file *f, bool drop);

/* Whether fd is of this very file. */
bool
stripes_file_is (const struct stripes_file *f, int fd);

/* A new seat; the caller's. */
enum err
stripes_seat_open (const struct stripes_file *f, int *ret_seat);
/* Takes a seat that a gateway brought with it: marks it as used. */
enum err
stripes_seat_take (int seat);
/* ERR_AGAIN: another seat has the lease. */
enum err
stripes_seat_lock (int seat);
void
stripes_seat_unlock (int seat);

/* Whether any seat is used, or has the lease. */
bool
stripes_file_in_use (const struct stripes_file *f);
bool
stripes_file_leased (const struct stripes_file *f);

#endif
