/* SPDX-License-Identifier: BSD-2-Clause */
/* The one list of errors, and the fault that carries an error to a person.
 *
 * Functions return `enum err` (0 or a negative value). A `struct fault` is
 * filled only at boundaries: where a user, a log or another process will read
 * it. No thread state; every function here is pure.
 */
#ifndef BH_COMMON_ERR_H
#define BH_COMMON_ERR_H

#include <stdarg.h>

/* X(name, errno that an NBD client sees, text) */
#define ERR_TABLE(X)                                                          \
  X (OK, 0, "no error")                                                       \
  X (NOMEM, ENOMEM, "out of memory")                                          \
  X (INVAL, EINVAL, "invalid argument")                                       \
  X (IO, EIO, "input/output error")                                           \
  X (PEER, EIO, "the peer broke the protocol")                                \
  X (AGAIN, EAGAIN, "not now, try again")                                     \
  X (CLOSED, EIO, "the connection is closed")                                 \
  X (TIMEOUT, ETIMEDOUT, "timed out")                                         \
  X (NOENT, ENOENT, "no such file")                                           \
  X (ACCESS, EACCES, "permission denied")                                     \
  X (AUTH, EACCES, "login refused")                                           \
  X (HOSTKEY, EACCES, "the server's key is not trusted")                      \
  X (NOSPC, ENOSPC, "no space left on the server")                            \
  X (ROFS, EROFS, "read-only")                                                \
  X (NOTSUP, EOPNOTSUPP, "not supported")                                     \
  X (ISDIR, EISDIR, "is a directory")                                         \
  X (RANGE, EINVAL, "beyond the end of the export")                           \
  X (LIMIT, EOVERFLOW, "a limit was exceeded")                                \
  X (RESOLVE, EHOSTUNREACH, "the host name does not resolve")                 \
  X (DIAL, ECONNREFUSED, "cannot connect")                                    \
  X (SANDBOX, EPERM, "a mandatory sandbox layer is missing")                  \
  X (VERSION, EPROTONOSUPPORT, "different program versions")                  \
  X (SHUTDOWN, ESHUTDOWN, "shutting down")

enum err_index {
#define X(name, errno_, text) ERR_INDEX_##name,
  ERR_TABLE (X)
#undef X
  ERR_COUNT
};

enum err {
#define X(name, errno_, text) ERR_##name = -ERR_INDEX_##name,
  ERR_TABLE (X)
#undef X
};

/* The errno for an NBD client; EIO for a value outside the table. */
int err_errno (enum err e);
/* Lower-case English, no full stop; never NULL. */
const char *err_text (enum err e);
/* The nearest entry for an errno of a system call; ERR_IO when none fits. */
enum err err_from_errno (int sys_errno);

/* What a person reads: one line for what is wrong and where, one for what to
 * do about it. Both are bounded, NUL-terminated, UTF-8 and free of control
 * characters, whoever provided the words.
 */
struct fault {
  enum err code;
  char text[320];
  char hint[320]; /* "" when there is nothing to do */
};

/* Returns code, so that `return fault_set (f, ERR_X, …)` reads well. f may be
 * NULL. Formats with printf; cleans what has come of it (text.h).
 */
enum err fault_set (struct fault *f, enum err code, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));
void fault_hint (struct fault *f, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));

#endif
