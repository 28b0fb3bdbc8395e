/* SPDX-License-Identifier: BSD-2-Clause */
/* What a user means by "URL|NAME [KEY=VALUE]...": the plugin's parameters, with
 * those of a configured volume below those of the command line; secrets read,
 * files checked.
 */
#ifndef BH_CLI_TARGET_H
#define BH_CLI_TARGET_H

#include "cli/cli.h"
#include "gateway/options.h"

#define TARGET_WORD_BYTES 8300u /* "key=value" */

struct target {
  char *name; /* of the configuration, or the URL */
  char *url;
  char *device; /* device: of the configuration, or NULL */
  unsigned pairs;
  struct {
    char *key, *value;
    int secret;          /* a memfd that stands for the value; -1: none */
  } pair[OPTIONS_PAIRS]; /* url is not among them */
};

/* c->arg[first] is the URL or name; of what follows, what has a "=" belongs to
 * it. *ret_next: the first argument that does not. {0} before; target_free
 * after, also after an error.
 */
enum err
target_open (const struct cli *c, unsigned first, struct target *t,
             unsigned *ret_next, struct fault *f);
/* Adds a pair, or replaces it. */
enum err
target_set (struct target *t, const char *key, const char *value,
            struct fault *f);
const char *
target_get (const struct target *t, const char *key);
void
target_free (struct target *t);

/* Takes out what changes the file when it is opened (resize=), for who only
 * looks, or has done so already.
 */
void
target_leave_as_it_is (struct target *t);

/* The i-th word for nbdkit's command line, malloced: first the URL, then
 * key=value; for a secret "key=-FD", its offset set back to 0 for the next one
 * that reads it. NULL behind the last (or without memory).
 */
char *
target_word (const struct target *t, unsigned i);

#endif
