/* SPDX-License-Identifier: BSD-2-Clause */
/* What is inside the armour of a private key of OpenSSH's kind: openssh-key-v1.
 * Without a passphrase: its derivation takes milliseconds at the least.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "cache/keys.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  EVP_PKEY *pkey = NULL;
  struct fault f = {0};
  uint8_t *public = NULL;
  size_t public_bytes;
  enum err e = ssh_key_parse_openssh (data, size, NULL, &pkey, &f);

  MUST (!e == !!pkey && (!e || f.text[0]));
  for (const char *c = f.text; *c; c++)
    MUST ((unsigned char)*c >= ' ' && *c != 0x7f);
  e = ssh_key_parse_public (data, size, &public, &public_bytes);
  if (!e)
    MUST (public_bytes <= SSH_KEY_BLOB_BYTES
          && memmem (data, size, public, public_bytes));
  free (public);
  EVP_PKEY_free (pkey);
  return 0;
}
