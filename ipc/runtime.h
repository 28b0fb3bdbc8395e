/* SPDX-License-Identifier: BSD-2-Clause */
/* Where gateway and daemon of one user find each other: the runtime folder,
 * the files in it, and our own programs.
 *
 *   $BULKHEAD_RUNTIME_DIR, or /run/bulkhead for root, or
 *   $XDG_RUNTIME_DIR/bulkhead, or /tmp/bulkhead-UID
 *
 *   bulkheadd.sock  the daemon's socket
 *   bulkheadd.lock  held while a daemon is started, and while one ends
 *   bulkheadd.pid   locked by the daemon as long as it lives
 *   bulkheadd.log   what a daemon without --foreground has to say
 *   bulkheadd.ties  whose daemon this user's gateways have: connect.h
 *
 * A daemon that serves a whole host (bulkheadd --host) is in RUNTIME_HOST_DIR.
 *
 * Reads the environment (secure_getenv); no thread may change it meanwhile.
 */
#ifndef BH_IPC_RUNTIME_H
#define BH_IPC_RUNTIME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "common/err.h"

#define RUNTIME_DIR_BYTES 256

#define RUNTIME_SOCKET "bulkheadd.sock"
#define RUNTIME_LOCK "bulkheadd.lock"
#define RUNTIME_PID "bulkheadd.pid"
#define RUNTIME_LOG "bulkheadd.log"
#define RUNTIME_TIES "bulkheadd.ties"

#define RUNTIME_HOST_DIR "/run/bulkhead"

/* The folder's path, as it is or would be. ERR_LIMIT: it is too long. */
enum err
runtime_dir_path (char ret_dir[RUNTIME_DIR_BYTES]);

/* The folder's path, without a slash at its end. It is made if it does not
 * exist. Refused (ERR_ACCESS) if it is a symbolic link, belongs to another
 * uid, or is open to others (but root's may let others through): whoever can
 * write there could pose as the daemon.
 */
enum err
runtime_dir (char ret_dir[RUNTIME_DIR_BYTES], struct fault *f);

/* ERR_LIMIT if the path is too long for a socket. */
enum err
runtime_socket_address (const char *dir, struct sockaddr_un *ret,
                        struct fault *f);

/* Opens (makes) the file and takes its flock; waits at most timeout_ns.
 * ERR_AGAIN if somebody else has it until then. The lock ends with *ret_fd,
 * which is close-on-exec.
 */
enum err
runtime_lock (const char *dir, const char *name, uint64_t timeout_ns,
              int *ret_fd);

/* The path of one of our programs: in $BULKHEAD_LIBEXEC_DIR if that is set,
 * else below installed_dir. ERR_LIMIT.
 */
enum err
runtime_program (const char *installed_dir, const char *name, char *dst,
                 size_t dst_bytes);

#endif
