/* SPDX-License-Identifier: BSD-2-Clause */
/* A private key file, without a passphrase. */
#include "config.h"
#include "fuzz/target.h"

#include <stdlib.h>
#include <string.h>

#include "cache/keys.h"

/* A key that was taken is the same when it has been written down. */
static void
comes_back (const struct ssh_key *key)
{
  static char text[SSH_KEY_FILE_BYTES];
  struct ssh_key *again = NULL;
  struct fault f = {0};
  size_t n, blob_bytes, again_bytes;
  const uint8_t *blob = ssh_key_blob (key, &blob_bytes), *blob_again;

  MUST (blob_bytes && blob_bytes <= SSH_KEY_BLOB_BYTES);
  MUST (!ssh_key_export (key, text, sizeof text, &n) && n <= sizeof text);
  MUST (!ssh_key_load (text, n, NULL, &again, &f));
  blob_again = ssh_key_blob (again, &again_bytes);
  MUST (again_bytes == blob_bytes && !memcmp (blob, blob_again, blob_bytes));
  MUST (!strcmp (ssh_key_algorithm (key), ssh_key_algorithm (again)));
  ssh_key_free (again);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct ssh_key *key = NULL;
  struct fault f = {0};
  uint8_t *public = NULL;
  size_t public_bytes;

  if (!ssh_key_load ((const char *)data, size, NULL, &key, &f))
    comes_back (key);
  else
    MUST (!key && f.text[0]);
  ssh_key_free (key);
  if (!ssh_key_public ((const char *)data, size, &public, &public_bytes)) {
    MUST (public && public_bytes && public_bytes <= SSH_KEY_BLOB_BYTES);
    free (public);
  }
  return 0;
}
