/* SPDX-License-Identifier: BSD-2-Clause */
/* What a volume's parameter names as a socket: a user's agent. Its answers have
 * no number, so each daemon and each link needs a connection of its own, or it
 * would take the answers to somebody else's questions. The daemon cannot
 * connect itself: it would be somebody else there.
 */
#ifndef BH_GATEWAY_SOCKETS_H
#define BH_GATEWAY_SOCKETS_H

#include "common/err.h"
#include "ipc/volume.h"

enum err socket_connect (const char *key, const char *path, int *ret_fd,
                         struct fault *f);
/* A new connection for the i-th file of spec, without waiting; -1: that is no
 * socket, or nobody takes the connection.
 */
int socket_connect_again (const struct volume_spec *spec, unsigned i);

#endif
