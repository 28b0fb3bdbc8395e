/* SPDX-License-Identifier: BSD-2-Clause */
/* What options.c (keys and values), options_files.c (what is opened for them)
 * and options_defaults.c (what the user leaves out) share. Nobody else includes
 * this. An error is in *f, in words for the user.
 */
#ifndef BH_GATEWAY_OPTIONS_PRIVATE_H
#define BH_GATEWAY_OPTIONS_PRIVATE_H

#include "gateway/options.h"

/* What the user has given; NULL: nothing. */
const char *options_get (const struct options *o, const char *key);
enum err options_parse_bool (const char *key, const char *value, bool *ret,
                             struct fault *f);
/* Whether it is a number that p allows. */
enum err options_check_uint (const struct param *p, const char *value,
                             struct fault *f);

/* Opens what the value names, and puts it into the volume's description: a
 * regular file; a secret, read by read_secret; a socket, or yes for that of the
 * user's agent, or no.
 */
enum err options_put_file (struct options *o, const struct param *p,
                           const char *path, struct fault *f);
enum err options_put_secret (struct options *o, const struct param *p,
                             const char *value,
                             int (*read_secret) (const char *, char **),
                             struct fault *f);
enum err options_put_socket (struct options *o, const struct param *p,
                             const char *value, struct fault *f);

/* The same for what the user has not named. What does not exist is left out,
 * what cannot be used too, with a line in the log.
 */
enum err options_default_files (struct options *o, const struct param *p,
                                const struct log *log, struct fault *f);
enum err options_default_socket (struct options *o, const struct param *p,
                                 const struct log *log, struct fault *f);
/* The files of TLS: those have to exist, if TLS is wanted. *ret: p is one. */
enum err options_default_tls (struct options *o, const struct param *p,
                              bool *ret, struct fault *f);

/* Any parameter's default. */
enum err options_default (struct options *o, const struct param *p,
                          const struct log *log, struct fault *f);

#endif
