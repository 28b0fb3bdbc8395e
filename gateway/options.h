/* SPDX-License-Identifier: BSD-2-Clause */
/* From key=value pairs to what link_open takes: the URL parsed, every value
 * checked against the protocol's table, defaults filled in, files opened by
 * us, the requester (so that the daemon opens no path for anybody).
 */
#ifndef BH_GATEWAY_OPTIONS_H
#define BH_GATEWAY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/log.h"
#include "common/param.h"
#include "gateway/link.h"
#include "ipc/control.h"
#include "ipc/volume.h"

#define OPTIONS_PAIRS 32

struct options {
  unsigned pairs;
  struct {
    char *key, *value;
  } pair[OPTIONS_PAIRS];
  /* after options_resolve */
  struct volume_spec spec;
  int fd[CONTROL_FILES];
  unsigned fds;
  bool readonly;
  bool tells_readonly; /* who opens it says by itself that it is read-only */
  struct link_options link;
};

/* Remembers one pair; copies it. A key twice is an error. */
enum err options_add (struct options *o, const char *key, const char *value,
                      struct fault *f);
/* read_secret: as nbdkit_read_password; *ret is malloced. */
enum err options_resolve (struct options *o, const struct log *log,
                          int (*read_secret) (const char *value, char **ret),
                          struct fault *f);
/* The files once more, for one more link: ret_fd has room for CONTROL_FDS, and
 * is the caller's to close, also after an error.
 */
enum err options_fds (const struct options *o, int *ret_fd, unsigned *ret_fds,
                      struct fault *f);
/* Wipes and frees everything, closes the fds that are left. */
void options_free (struct options *o);

/* What the gateway itself understands, for every protocol; ends with {0}. */
const struct param *options_params (void);
/* The help text: every parameter of every protocol. All of it fits into
 * OPTIONS_HELP_BYTES.
 */
#define OPTIONS_HELP_BYTES 16384u
void options_help (char *dst, size_t dst_bytes);

#endif
