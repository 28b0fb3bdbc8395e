/* SPDX-License-Identifier: BSD-2-Clause */
/* The URL of a volume (RFC 3986, by uriparser) into a volume_spec.
 * Pure but for malloc.
 */
#ifndef BH_GATEWAY_URL_H
#define BH_GATEWAY_URL_H

#include "common/err.h"
#include "ipc/volume.h"

/* Sets proto, and the parameters host, path and, if the URL has them, port and
 * user; all percent-decoded. A password in the URL, a query and a fragment are
 * refused in words. ERR_INVAL, ERR_LIMIT.
 */
enum err url_parse (const char *url, struct volume_spec *spec,
                    struct fault *f);

#endif
