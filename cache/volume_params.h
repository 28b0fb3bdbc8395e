/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks what a gateway asks for, and takes the files that came with it. */
#ifndef BH_CACHE_VOLUME_PARAMS_H
#define BH_CACHE_VOLUME_PARAMS_H

#include "cache/credentials.h"
#include "ipc/control.h"
#include "ipc/volume.h"

/* Fills c from spec and from the fds of m (taken out of it). ret_secret_fd[]
 * are the caller's, or -1: see credentials_start. On an error c may be half
 * full: login_config_fini.
 */
enum err
volume_params_take (const struct volume_spec *spec, struct control *m,
                    struct login_config *c,
                    int ret_secret_fd[CREDENTIALS_SECRETS], struct fault *f);

/* How many connections it shall have; of a spec that volume_params_take has
 * checked.
 */
unsigned
volume_params_connections (const struct volume_spec *spec);

/* What a worker may know of spec. */
enum err
volume_params_for_worker (const struct volume_spec *spec,
                          struct volume_spec *ret);

#endif
