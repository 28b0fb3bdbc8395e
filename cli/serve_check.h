/* SPDX-License-Identifier: BSD-2-Clause */
/* What nbdkit would refuse by itself, asked before it runs: it says so in words
 * of its own, in more than two lines, and with one exit status for all of it.
 * Nothing is kept: what changes before nbdkit looks is for nbdkit to say.
 *
 * Each returns ERR_OK or a fault: ERR_AGAIN (in use), ERR_NOENT, ERR_ACCESS,
 * ERR_INVAL.
 */
#ifndef BH_CLI_SERVE_CHECK_H
#define BH_CLI_SERVE_CHECK_H

#include "cli/cli.h"

/* The folder of a file that is to be made, as OPTION says. */
enum err
serve_check_folder (const char *option, const char *path, struct fault *f);
/* A TCP port of an address or a name of this machine. */
enum err
serve_check_port (const char *address, const char *port, struct fault *f);
/* --pidfile and the options of TLS. */
enum err
serve_check_files (const struct cli *c, struct fault *f);

#endif
