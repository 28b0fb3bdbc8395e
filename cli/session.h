/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume in this very process, by the gateway's code and without nbdkit: for
 * commands that look at one, or copy it. What goes wrong comes as the daemon
 * and the worker say it.
 *
 * Thread rule: session_open, session_start and session_close by the main
 * thread; the link by any.
 */
#ifndef BH_CLI_SESSION_H
#define BH_CLI_SESSION_H

#include "cli/cli.h"
#include "cli/target.h"
#include "gateway/exports.h"

struct session {
  struct target target;
  struct options options;
  bool resolved;
  struct log log;
  const struct cli *cli;
  struct exports *exports; /* NULL: not open */
  struct link *link;       /* NULL: a list, or not open */
  uint64_t opened_ns;      /* how long it took */
};

/* The volume's name for people, without a secret. */
void session_name (const struct session *s, char *dst, size_t dst_bytes);

/* Takes what target_open takes: a URL or NAME with KEY=VALUE words behind it.
 * Opens nothing. session_close also after an error.
 */
enum err session_take (struct session *s, const struct cli *c, unsigned first,
                       unsigned *ret_next, struct fault *f);
/* The same once more, closed, for another URL of that server (NULL: the same
 * one): nobody is asked for a password again.
 */
enum err session_again (struct session *s, const char *url, struct fault *f);
/* Sets one more parameter, in place of what was given. */
enum err session_set (struct session *s, const char *key, const char *value,
                      struct fault *f);
/* Checks all of it and reads what it names: files, secrets. The others do that
 * first, unless it was done.
 */
enum err session_resolve (struct session *s, struct fault *f);
/* Opens it, or the list that it names. */
enum err session_open (struct session *s, struct fault *f);
/* Opens it; a list is an error that says so. Its worker is replaced if it dies.
 */
enum err session_open_volume (struct session *s, struct fault *f);
void session_close (struct session *s);

/* After SIGINT or SIGTERM: from now on session_interrupted is true, instead of
 * the end of the process. A second one ends it.
 */
void session_catch_signals (void);
bool session_interrupted (void);

#endif
