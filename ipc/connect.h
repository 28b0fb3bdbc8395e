/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the user's daemon, or starts a private one, and greets it. For the
 * gateway and the command line.
 *
 * Thread rule: any one thread; blocks for at most timeout_ns. Forks once when a
 * daemon must be started, and reaps that child itself.
 */
#ifndef BH_IPC_CONNECT_H
#define BH_IPC_CONNECT_H

#include <stdint.h>

#include "common/err.h"

/* A connected SOCK_SEQPACKET socket (close-on-exec, owned by the caller) on
 * which HELLO was exchanged; next comes CONTROL_OPEN. program names the caller
 * in the daemon's log. ERR_ACCESS: the server is another user's; ERR_VERSION;
 * ERR_TIMEOUT; ERR_NOENT: no bulkheadd; else what the daemon could not do.
 */
enum err
daemon_connect (const char *program, uint64_t timeout_ns, int *ret_sock,
                struct fault *f);
/* The same, but starts none: ERR_NOENT if nobody serves. */
enum err
daemon_find (const char *program, uint64_t timeout_ns, int *ret_sock,
             struct fault *f);

#endif
