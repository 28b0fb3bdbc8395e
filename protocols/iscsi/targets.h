/* SPDX-License-Identifier: BSD-2-Clause */
/* What SendTargets answers (RFC 7143 §13.3, appendix C) as a listing: the
 * targets' names, with their addresses as description.
 */
#ifndef BH_PROTOCOLS_ISCSI_TARGETS_H
#define BH_PROTOCOLS_ISCSI_TARGETS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/listing.h"

/* Names that cannot be names are left out. ERR_PEER with f for a text that
 * breaks the rules; too many targets: as many as a listing takes. The listing
 * is the caller's in any case.
 */
enum err targets_list (const uint8_t *text, size_t text_bytes,
                       struct listing *ret, struct fault *f);

#endif
