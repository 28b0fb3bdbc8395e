/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/identity.h"

#include <string.h>

#include "common/wire.h"
#include "protocols/iscsi/digest.h"

#define MAGIC 0x69534944u /* "iSID" */
#define CONTENT_BYTES (4u + 6u + 1u + 1u + 2u + 8u)
#define STORED_BYTES (CONTENT_BYTES + 4u)
#define TYPE_RANDOM 0x80u /* T of an ISID, §11.12.5: A is 0, B and C random */

bool
identity_load (const uint8_t *page, const uint8_t seed[16], uint64_t now_ns,
               struct identity *ret)
{
  uint8_t copy[STORED_BYTES];
  struct wire w = wire_init (copy, CONTENT_BYTES);
  struct identity i = {0};
  const uint8_t *isid;
  uint8_t has_group, without_sha256;

  i.isid[0] = TYPE_RANDOM;
  memcpy (i.isid + 1, seed + 8, 5);
  *ret = i;
  if (!page)
    return false;
  memcpy (copy, page, sizeof copy);
  if (wire_u32 (&w) != MAGIC
      || !digest_equals (digest_more (DIGEST_START, copy, CONTENT_BYTES),
                         copy + CONTENT_BYTES))
    return false;
  isid = wire_bytes (&w, sizeof i.isid);
  has_group = wire_u8 (&w);
  without_sha256 = wire_u8 (&w);
  i.portal_group = wire_u16 (&w);
  i.not_before_ns = wire_u64 (&w);
  if (wire_end (&w) || isid[0] != TYPE_RANDOM || has_group > 1
      || without_sha256 > 1)
    return false;
  memcpy (i.isid, isid, sizeof i.isid);
  i.has_portal_group = has_group;
  i.without_sha256 = without_sha256;
  if (i.not_before_ns > now_ns + IDENTITY_WAIT_MAX_NS)
    i.not_before_ns = 0;
  *ret = i;
  return true;
}

void
identity_store (uint8_t *page, const struct identity *i)
{
  uint8_t copy[STORED_BYTES];
  struct wirebuf b = wirebuf_init (copy, CONTENT_BYTES);

  if (!page)
    return;
  wirebuf_u32 (&b, MAGIC);
  wirebuf_bytes (&b, i->isid, sizeof i->isid);
  wirebuf_u8 (&b, i->has_portal_group);
  wirebuf_u8 (&b, i->without_sha256);
  wirebuf_u16 (&b, i->portal_group);
  wirebuf_u64 (&b, i->not_before_ns);
  digest_put (digest_more (DIGEST_START, copy, CONTENT_BYTES),
              copy + CONTENT_BYTES);
  memcpy (page, copy, sizeof copy);
}
