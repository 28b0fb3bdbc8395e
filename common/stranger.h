/* SPDX-License-Identifier: BSD-2-Clause */
/* A server of another kind: what its first bytes prove, and how they are shown.
 * Trying again cannot help. Pure; the bytes are a stranger's.
 */
#ifndef BH_COMMON_STRANGER_H
#define BH_COMMON_STRANGER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/* So many bytes tell. */
#define STRANGER_BYTES 4u

/* Whether the first bytes of a binary protocol are lines of text, or a record
 * of TLS. False as long as there are fewer than STRANGER_BYTES.
 */
bool stranger_speaks (const void *bytes, size_t length_bytes);

/* ERR_PEER: whose first bytes are these does not speak `protocol`. ports: "SSH
 * has 22".
 */
enum err stranger_fault (struct fault *f, const char *protocol,
                         const char *ports,
                         const void *bytes, size_t length_bytes);
/* To f, which says that the connection has ended: nothing had come. */
void stranger_hung_up (struct fault *f);
/* ERR_TIMEOUT: nothing has come at all. */
enum err stranger_silent (struct fault *f);

#endif
