/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: named volumes, as YAML.
 *
 *   volumes:
 *     backup:
 *       url: sftp://me@host/~/disk.img
 *       identity: ~/.ssh/backup
 *       connections: 2
 *
 * Keys are those of the plugin (protocols/params.h, gateway/options.h), and
 * `device`. Every value is a plain scalar; there are no anchors, tags or lists.
 *
 * conf_parse is pure but for malloc, and takes any bytes. What it accepts
 * keeps to the limits below.
 */
#ifndef BH_CLI_CONF_H
#define BH_CLI_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "gateway/options.h"

#define CONF_BYTES (1u << 20) /* of a file */
#define CONF_VOLUMES 512u
#define CONF_NAME_BYTES 64u

struct conf_pair {
  char *key, *value;
  unsigned line;
};

struct conf_volume {
  char *name;
  unsigned line;
  unsigned pairs;
  struct conf_pair pair[OPTIONS_PAIRS];
};

struct conf {
  unsigned volumes;
  struct conf_volume *volume[CONF_VOLUMES];
};

/* file names the text in faults: "FILE:LINE: what is wrong". Adds to *c, which
 * starts as {0}; a volume that is there already is left as it is (so the
 * user's own file is read first). After an error *c is still to be freed.
 * ERR_INVAL, ERR_LIMIT, ERR_NOMEM.
 */
enum err
conf_parse (const char *file, const char *text, size_t text_bytes,
            struct conf *c, struct fault *f);
void
conf_free (struct conf *c);

/* NULL if there is none of that name. */
const struct conf_volume *
conf_find (const struct conf *c, const char *name);
const char *
conf_value (const struct conf_volume *v, const char *key);
/* Letters, digits, and ._- inside: so it is no URL and no path. */
bool
conf_is_name (const char *text);

/* Reads the user's file, then the system's; a file that does not exist is as an
 * empty one. Refused (ERR_ACCESS): one that others could have written.
 */
enum err
conf_load (struct conf *c, struct fault *f);

#endif
