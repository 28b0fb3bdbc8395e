/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that a user names: paths, and secrets in files that nobody else can
 * read.
 */
#ifndef BH_CLI_FILES_H
#define BH_CLI_FILES_H

#include <stddef.h>

#include "common/err.h"

#define SECRET_BYTES 4096u

/* $HOME, or what the user database says. ERR_NOENT, ERR_LIMIT. */
enum err
files_home (char *dst, size_t dst_bytes);
/* "~/x" becomes a path below files_home; others stay as they are. */
enum err
files_expand (const char *path, char *dst, size_t dst_bytes, struct fault *f);

/* What value names ("-": asks on the terminal; "+FILE"; "-FD";
 * "credential:NAME": a credential of systemd) as a memfd with nothing but the
 * secret in it, close-on-exec, offset 0, the caller's to close. key is the
 * parameter's name. ERR_INVAL: it is none of these, or empty, or larger than
 * SECRET_BYTES; ERR_ACCESS: a file that others can read, or of another user;
 * ERR_NOENT.
 */
enum err
files_secret (const char *key, const char *value, int *ret_fd, struct fault *f);

#endif
