/* SPDX-License-Identifier: BSD-2-Clause */
/* What a dead worker last had in hand, out of its channel's rings: operation,
 * offset, length, flags, since when; never payload. For the log, so that a
 * request that kills workers can be told.
 *
 * Pure. The gateway may write its ring meanwhile, and the worker has written
 * the other: all is copied, then checked.
 */
#ifndef BH_CACHE_REPORT_H
#define BH_CACHE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/ring.h"

/* One line about the requests of this epoch that were not answered; false, with
 * dst "", if there are none. now_ns: CLOCK_MONOTONIC.
 */
bool
report_in_hand (const struct ring_object *requests,
                const struct ring_object *completions, uint64_t epoch,
                uint64_t now_ns, char *dst, size_t dst_bytes);

#endif
