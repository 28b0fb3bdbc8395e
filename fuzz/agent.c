/* SPDX-License-Identifier: BSD-2-Clause */
/* What an SSH agent answers: a list of keys, a signature. */
#include "config.h"
#include "fuzz/target.h"

#include "cache/agent_codec.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static struct agent_key key;
  const uint8_t *signature;
  size_t at = 0, signature_bytes;

  while (agent_next_key (data, size, &at, &key))
    agent_take_signature (data, size, &key, &signature, &signature_bytes);
  return 0;
}
