/* SPDX-License-Identifier: BSD-2-Clause */
/* Logging without a global: the program's main owns a `struct log` and hands
 * it down. One line a message, bounded, control characters replaced.
 * Thread rule: log_write may be called from any thread if emit may.
 */
#ifndef BH_COMMON_LOG_H
#define BH_COMMON_LOG_H

#include "common/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
                 LOG_LEVEL_DEBUG };

struct log {
  enum log_level level; /* messages above it are dropped */
  void (*emit) (void *ctx, enum log_level level, const char *line);
  void *ctx;
};

void log_write (const struct log *l, enum log_level level, const char *fmt,
                ...) __attribute__ ((format (printf, 3, 4)));
/* "text; hint", at error level. */
void log_fault (const struct log *l, const char *where, const struct fault *f);

/* An emit that writes "NAME: line\n" to stderr by one write(2); ctx is the
 * program's name.
 */
void log_emit_stderr (void *ctx, enum log_level level, const char *line);

#endif
