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

#include <stdbool.h>

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

/* A user's gateways all follow one daemon: the user's own, or the host's, as
 * the cache and the write lease of a volume must not be in two places. Which
 * one that is, is recorded by locks (OFD, fcntl(2)) that they hold as long as
 * they live, on a file in the user's own runtime folder:
 *
 *   byte 0   a gateway that has the user's own daemon
 *   byte 1   a gateway that has the host's
 *
 * So: the own daemon, if it serves; if it does not, but gateways of it live, it
 * is started again; else the host's, if it serves; else, unless gateways of it
 * live, an own one is started. With BULKHEAD_RUNTIME_DIR set there is no host.
 */
struct daemon_tie {
  int fd; /* -1: free to choose */
  bool host;
};

/* As daemon_connect, and ties the caller to what it finds; a second call with
 * the same tie finds the same kind again. ERR_AGAIN: it has to wait for the
 * host's.
 */
enum err
daemon_connect_tied (const char *program, uint64_t timeout_ns,
                     struct daemon_tie *tie, int *ret_sock, struct fault *f);

/* Whether gateways of this user, with the runtime folder dir, are the host's.
 */
bool
daemon_host_tied (const char *dir);

#endif
