/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/io.h"

#include <string.h>

static bool
power_of_two (uint32_t v)
{
  return v && !(v & (v - 1));
}

bool
volume_info_check (const struct volume_info *i)
{
  return i->size <= INT64_MAX && power_of_two (i->block_min)
         && i->block_min <= 65536 && power_of_two (i->block_preferred)
         && i->block_preferred >= i->block_min
         && i->block_preferred <= 32u << 20 && i->request_max >= i->block_min
         && (i->range_max == 0 || i->range_max >= i->block_min)
         && !(i->caps & ~VOLUME_CAPS_ALL)
         && memchr (i->readonly_why, 0, sizeof i->readonly_why)
         && memchr (i->remarks, 0, sizeof i->remarks)
         && memchr (i->identity, 0, sizeof i->identity);
}
