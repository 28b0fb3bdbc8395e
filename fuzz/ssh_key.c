/* SPDX-License-Identifier: BSD-2-Clause */
/* A private key file, without a passphrase. */
#include "config.h"
#include "fuzz/target.h"

#include <stdlib.h>

#include "cache/keys.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct ssh_key *key = NULL;
  struct fault f = {0};
  uint8_t *public = NULL;
  size_t public_bytes;

  if (!ssh_key_load ((const char *)data, size, NULL, &key, &f))
    ssh_key_free (key);
  if (!ssh_key_public ((const char *)data, size, &public, &public_bytes))
    free (public);
  return 0;
}
