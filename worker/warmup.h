/* SPDX-License-Identifier: BSD-2-Clause */
/* What libraries do only at first use, done before the sandbox closes: reading
 * OpenSSL's configuration, fetching algorithms, seeding random numbers. TCP
 * alone uses no library.
 */
#ifndef BH_WORKER_WARMUP_H
#define BH_WORKER_WARMUP_H

#include "protocols/proto.h"

/* Also tunes the allocator: memory is kept, not given back and fetched again.
 * What is loaded stays so for the life of the process.
 */
enum err warmup (enum proto_transport kind, struct fault *f);

#endif
