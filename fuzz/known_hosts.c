/* SPDX-License-Identifier: BSD-2-Clause */
/* A known_hosts file, and a host key that a server shows: the input is u16
 * length of the key, the key, the file.
 */
#include "config.h"
#include "fuzz/target.h"

#include "cache/known_hosts.h"
#include "common/wire.h"

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
  known_hosts_check (&file, 1, "example.org", 22, blob, blob_bytes, &found);
  known_hosts_check (&file, 1, "::1", 2222, blob, blob_bytes, &found);
  known_hosts_types (&file, 1, "example.org", 22, types);
  return 0;
}
