/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of iSCSI that are no login: pairs and values, what SendTargets answers,
 * a TargetAddress, the path of our URLs. The first byte says which.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "common/listing.h"
#include "protocols/iscsi/address.h"
#include "protocols/iscsi/keys.h"
#include "protocols/iscsi/name.h"
#include "protocols/iscsi/targets.h"

static void
pairs (const uint8_t *text, size_t n)
{
  struct keys_pair pair;
  struct fault f = {0};
  enum err e = ERR_OK;
  uint8_t bytes[64];
  size_t at = 0, got;
  uint32_t number;

  while (keys_next (text, n, &at, &pair, &e, &f)) {
    MUST (at <= n && strlen (pair.value) <= KEYS_VALUE_BYTES);
    if (keys_number (pair.value, 1000, &number))
      MUST (number <= 1000);
    if (keys_binary (pair.value, bytes, sizeof bytes, &got))
      MUST (got && got <= sizeof bytes);
  }
  MUST (!e || f.text[0]);
}

static void
targets (const uint8_t *text, size_t n)
{
  struct listing l = {0};
  struct listing_entry e;
  struct fault f = {0};
  size_t at = 0;
  bool broken = false;

  if (targets_list (text, n, &l, &f))
    MUST (f.text[0]);
  /* What we write can be read. */
  while (listing_next (l.base, l.used_bytes, &at, &e, &broken))
    ;
  MUST (!broken);
  listing_fini (&l);
}

static void
address (const char *text)
{
  char host[64];
  uint16_t port;

  if (address_parse (text, host, sizeof host, &port))
    MUST (host[0] && strlen (host) < sizeof host && port);
}

static void
path (const char *text)
{
  struct name_path p, again;
  struct fault f = {0};
  char copy[512];

  if (name_path (text, &p, &f)) {
    MUST (f.text[0]);
    return;
  }
  MUST (p.lun <= NAME_LUN_MAX);
  if (!p.target[0])
    return;
  snprintf (copy, sizeof copy, "/%s/%u", p.target, p.lun);
  MUST (!name_path (copy, &again, &f) && again.lun == p.lun
        && strcmp (again.target, p.target) == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char *text;

  if (!size || !(text = malloc (size)))
    return 0;
  memcpy (text, data + 1, size - 1);
  text[size - 1] = 0;
  switch (data[0] & 3) {
  case 0:
    pairs (data + 1, size - 1);
    break;
  case 1:
    targets (data + 1, size - 1);
    break;
  case 2:
    address (text);
    break;
  default:
    path (text);
  }
  free (text);
  return 0;
}
