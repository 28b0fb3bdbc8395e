/* SPDX-License-Identifier: BSD-2-Clause */
/* A server of another kind: what its first bytes prove, and how they are shown.
 * Trying again cannot help. Pure; the bytes are a stranger's.
 */
#ifndef BH_COMMON_STRANGER_H
#define BH_COMMON_STRANGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* So many bytes tell that it is a stranger, and so many at most are waited for
 * to show them.
 */
#define STRANGER_BYTES 4u
#define STRANGER_LINE_BYTES 44u

/* Whether a binary protocol's first STRANGER_BYTES bytes are text, or begin a
 * record of TLS.
 */
bool stranger_begins (const uint8_t bytes[STRANGER_BYTES]);
/* How many of the first bytes are a stranger's, as far as they are worth
 * showing: the first line of text. 0: that cannot be told, or not yet. It does
 * not matter in which pieces they came.
 */
size_t stranger_speaks (const void *bytes, size_t length_bytes);

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
