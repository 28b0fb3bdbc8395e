/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks what a gateway asks for, and takes the files that came with it. */
#ifndef BH_CACHE_VOLUME_PARAMS_H
#define BH_CACHE_VOLUME_PARAMS_H

#include "cache/login.h"
#include "ipc/control.h"
#include "ipc/volume.h"

/* Fills c from spec and from the fds of m (taken out of it). *ret_password_fd
 * is the caller's, or -1: it may be a pipe that is still empty. On an error c
 * may be half full: login_config_fini.
 */
enum err
volume_params_take (const struct volume_spec *spec, struct control *m,
                    struct login_config *c, int *ret_password_fd,
                    struct fault *f);

/* What a worker may know of spec. */
enum err
volume_params_for_worker (const struct volume_spec *spec,
                          struct volume_spec *ret);

#endif
