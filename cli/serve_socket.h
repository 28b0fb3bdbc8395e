/* SPDX-License-Identifier: BSD-2-Clause */
/* The place of a Unix socket that nbdkit is to listen at: one nbdkit of ours at
 * a time has it, from before it starts until it has ended.
 *
 * nbdkit never removes its socket, nor does one that was killed; and whoever
 * removes what was left must know that nobody has put another in its place
 * meanwhile. So a file beside it, PATH.bulkhead-lock, is locked (flock) by
 * whoever looks, removes and starts nbdkit; nbdkit inherits that, and has it as
 * long as it lives, however it ends. The lock says who lives, not the file,
 * which may be left as the socket may; a lock counts only if the file is still
 * the one at its path.
 */
#ifndef BH_CLI_SERVE_SOCKET_H
#define BH_CLI_SERVE_SOCKET_H

#include "common/err.h"

struct serve_socket {
  char path[108]; /* absolute, as a sun_path; "": none */
  int lock_fd;    /* -1: not taken. Outlives exec. */
};

/* Removes what was left at its path, if nobody listens there any more.
 * ERR_AGAIN: somebody does, or is about to, or it is no socket.
 */
enum err
serve_socket_take (struct serve_socket *s, struct fault *f);
/* nbdkit has ended, or was not started: nothing is left. */
void
serve_socket_remove (struct serve_socket *s);

#endif
