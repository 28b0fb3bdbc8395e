/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/rsa_name.h"

#include <string.h>

#include "common/wire.h"

const uint8_t *
rsa_name_begin (struct rsa_name *r, const char *algorithm, const uint8_t *blob,
                size_t blob_bytes)
{
  struct wire w = wire_init (blob, blob_bytes);
  struct wirebuf b = wirebuf_init (r->shown, sizeof r->shown);
  size_t type_bytes;
  const uint8_t *type = wire_string (&w, blob_bytes, &type_bytes);

  r->blob = NULL;
  if (!type || blob_bytes > sizeof r->shown)
    return NULL;
  if (type_bytes == strlen (algorithm)
      && memcmp (type, algorithm, type_bytes) == 0)
    return blob;
  wirebuf_cstring (&b, algorithm);
  if (b.err || b.used_bytes > blob_bytes)
    return NULL;
  memset (r->shown + b.used_bytes, 0, blob_bytes - b.used_bytes);
  r->blob = blob;
  r->blob_bytes = blob_bytes;
  return r->shown;
}

void
rsa_name_alloc (struct rsa_name *r, size_t bytes)
{
  /* The name is shorter than that, the packet holds more than the blob. */
  if (!r->blob || bytes <= r->blob_bytes)
    return;
  memcpy (r->shown, r->blob, r->blob_bytes);
  r->blob = NULL;
}

void
rsa_name_end (struct rsa_name *r)
{
  r->blob = NULL;
}
