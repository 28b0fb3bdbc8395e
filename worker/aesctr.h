/* SPDX-License-Identifier: BSD-2-Clause */
/* AES-128-CTR for callers that encrypt 16 bytes at a time, as libssh2 up to
 * 1.11 does: an OpenSSL provider that makes the key stream 4 KiB at a time
 * with the default provider's cipher and hands it out in small pieces.
 *
 * It takes about 2/3 of what an SSH session costs off the worker's CPU time;
 * the bytes are the same. Only AES-128-CTR, so that OpenSSL's own users of the
 * longer keys (its random numbers) see no difference.
 */
#ifndef BH_WORKER_AESCTR_H
#define BH_WORKER_AESCTR_H

#include "common/err.h"

/* Both NULL: nothing is loaded. */
struct aesctr_providers {
  struct ossl_provider_st *standard, *ours;
};

/* For the whole process, before the sandbox. Does nothing in FIPS mode. */
enum err aesctr_load (struct aesctr_providers *ret, struct fault *f);
/* At the end; nothing may use the cipher any more. */
void aesctr_unload (struct aesctr_providers *p);

#endif
