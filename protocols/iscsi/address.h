/* SPDX-License-Identifier: BSD-2-Clause */
/* TargetAddress: domainname[:port][,portal-group-tag] (RFC 7143 §13.8). */
#ifndef BH_PROTOCOLS_ISCSI_ADDRESS_H
#define BH_PROTOCOLS_ISCSI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_DEFAULT_PORT 3260u

/* host: a name or an address, without the brackets of IPv6. False: it breaks
 * the grammar, has other characters than a host has, or is too long.
 */
bool address_parse (const char *value, char *host, size_t host_bytes,
                    uint16_t *ret_port);

#endif
