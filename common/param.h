/* SPDX-License-Identifier: BSD-2-Clause */
/* Parameters as data: one table says what a user may set, who gets it, and
 * what the help text says. Tables end with {0}.
 */
#ifndef BH_COMMON_PARAM_H
#define BH_COMMON_PARAM_H

#include <stddef.h>

enum param_type {
  PARAM_STRING,
  PARAM_UINT,   /* decimal, within min … max */
  PARAM_BOOL,   /* as nbdkit_parse_bool: yes/no, true/false, on/off, 1/0 */
  PARAM_FILE,   /* opened by the requester, handed over as an fd */
  PARAM_SECRET, /* "-" prompt, "+FILE", "-FD"; never the words themselves */
  PARAM_SOCKET, /* "yes", "no" or a path; connected by the requester */
};

/* Who is told. Nothing reaches a worker that it does not need. */
#define PARAM_TO_GATEWAY 0x1u
#define PARAM_TO_DAEMON 0x2u
#define PARAM_TO_WORKER 0x4u
/* The value comes out of the URL; a key=value of this name is allowed too
 * unless PARAM_URL_ONLY.
 */
#define PARAM_URL_ONLY 0x8u
/* Another value may show other data: gateways share a cache only if they agree
 * on it (host, port, path, user and secrets are that anyway).
 */
#define PARAM_IN_KEY 0x10u
/* It changes what is served: not with readonly=yes. */
#define PARAM_WRITES 0x20u

struct param {
  const char *key;
  enum param_type type;
  unsigned flags; /* PARAM_TO_… */
  unsigned long min, max;
  const char *fallback; /* default as text, or NULL */
  const char *value_name; /* for the help: "FILE" */
  const char *help;
};

/* The entry with this key, or NULL. */
const struct param *param_find (const struct param *table, const char *key);
/* How many letters differ between two words: at most PARAM_FAR, which is too
 * far to be a slip of the fingers.
 */
#define PARAM_FAR 3
size_t param_distance (const char *a, const char *b);
/* The key nearest to a misspelt one (edit distance at most 2), or NULL. */
const char *param_nearest (const struct param *table, const char *key);

#endif
