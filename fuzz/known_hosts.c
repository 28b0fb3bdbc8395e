/* SPDX-License-Identifier: BSD-2-Clause */
/* A known_hosts file, and a host key that a server shows: the input is u16
 * length of the key, the key, the file.
 */
#include "config.h"
#include "fuzz/target.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/evp.h>

#include "cache/known_hosts.h"
#include "common/wire.h"

/* Whether a line of the file has these letters. By hand, as a fuzzer looks at
 * what library functions compare.
 */
NOT_TRACED static bool
line_has (const struct known_hosts_file *file, unsigned line,
          const uint8_t *letters, size_t n)
{
  const char *p = file->text, *end = p + file->length_bytes;

  for (; line > 1 && p < end; p++)
    line -= *p == '\n';
  for (; p + n <= end && *p != '\n'; p++) {
    size_t i = 0;

    while (i < n && (uint8_t)p[i] == letters[i])
      i++;
    if (i == n)
      return true;
  }
  return false;
}

/* Nothing is trusted that does not stand in that line, in so many letters; the
 * last quad may have bits that do not count.
 */
NOT_TRACED static void
check (const struct known_hosts_file *file, const uint8_t *blob,
       size_t blob_bytes, enum known_hosts_verdict v,
       const struct known_hosts_found *found)
{
  static uint8_t letters[HOSTKEY_BLOB_BYTES * 4 / 3 + 8];
  int n;

  if (v == KNOWN_HOSTS_UNKNOWN)
    return;
  MUST (found->file == file->name && found->line);
  MUST (found->fingerprint[0] == 'S' && found->fingerprint[6] == ':');
  if (v == KNOWN_HOSTS_CHANGED)
    return;
  MUST (blob_bytes && blob_bytes <= HOSTKEY_BLOB_BYTES);
  n = EVP_EncodeBlock (letters, blob, (int)(blob_bytes - blob_bytes % 3));
  MUST (line_has (file, found->line, letters, (size_t)n));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct wire w = wire_init (data, size);
  size_t blob_bytes = wire_u16 (&w);
  const uint8_t *blob = wire_bytes (&w, blob_bytes);
  struct known_hosts_file file = {.name = "known_hosts"};
  struct known_hosts_found found;
  char types[HOSTKEY_TYPES_BYTES];

  if (w.err)
    return 0;
  file.text = (const char *)w.p;
  file.length_bytes = wire_left (&w);
  check (
      &file, blob, blob_bytes,
      known_hosts_check (&file, 1, "example.org", 22, blob, blob_bytes, &found),
      &found);
  check (&file, blob, blob_bytes,
         known_hosts_check (&file, 1, "::1", 2222, blob, blob_bytes, &found),
         &found);
  known_hosts_types (&file, 1, "example.org", 22, types);
  MUST (strlen (types) < sizeof types);
  return 0;
}
