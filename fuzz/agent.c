/* SPDX-License-Identifier: BSD-2-Clause */
/* What an SSH agent answers: a list of keys, a signature. */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "cache/agent_codec.h"

/* What was taken is asked for as it was. */
static void
asked_for (const struct agent_key *key)
{
  static uint8_t request[SSH_KEY_BLOB_BYTES + 64];
  struct wirebuf b = wirebuf_init (request, sizeof request);
  struct agent_key again;
  struct wire w;
  const uint8_t *blob;
  size_t n;

  agent_put_sign (&b, key, key->blob, 4);
  MUST (!b.err);
  w = wire_init (request, b.used_bytes);
  MUST (wire_u32 (&w) == b.used_bytes - 4);
  wire_u8 (&w);
  blob = wire_string (&w, SSH_KEY_BLOB_BYTES, &n);
  MUST (blob && !agent_key_take (blob, n, &again));
  MUST (again.algorithm == key->algorithm);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static struct agent_key key;
  const uint8_t *signature;
  size_t at = 0, signature_bytes;

  for (size_t before = 0; agent_next_key (data, size, &at, &key); before = at) {
    MUST (at > before && at <= size);
    MUST (memmem (data, size, key.blob, key.blob_bytes));
    for (const char *c = key.comment; *c; c++)
      MUST (*c >= ' ' && *c <= '~');
    asked_for (&key);
  }
  memset (&key, 0, sizeof key);
  key.algorithm = "ssh-ed25519";
  if (!agent_take_signature (data, size, &key, &signature, &signature_bytes))
    MUST (signature_bytes && signature > data
          && signature_bytes <= (size_t)(data + size - signature)
          && memmem (data, size, "ssh-ed25519", 11));
  return 0;
}
