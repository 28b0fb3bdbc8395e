/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/io.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct volume_info
good (void)
{
  return (struct volume_info){.size = 1 << 30,
                              .block_min = 1,
                              .block_preferred = 4096,
                              .request_max = 262144,
                              .caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH};
}

#define WITH(field, v)                                                        \
  ({                                                                          \
    struct volume_info with = good ();                                        \
                                                                              \
    with.field = (v);                                                         \
    volume_info_check (&with);                                                \
  })

static void
good_values_pass (void)
{
  struct volume_info i = good ();

  CU_ASSERT (volume_info_check (&i));
  CU_ASSERT (WITH (size, 0));
  CU_ASSERT (WITH (size, INT64_MAX));
  CU_ASSERT (WITH (block_min, 4096));
  CU_ASSERT (WITH (block_preferred, 32u << 20));
  CU_ASSERT (WITH (request_max, 1));
  CU_ASSERT (WITH (request_max, UINT32_MAX));
  CU_ASSERT (WITH (range_max, 0));
  CU_ASSERT (WITH (range_max, UINT32_MAX));
  CU_ASSERT (WITH (caps, 0));
  CU_ASSERT (WITH (caps, VOLUME_CAPS_ALL));
  strcpy (i.readonly_why, "no fsync");
  CU_ASSERT (volume_info_check (&i));
}

static void
each_field_has_limits (void)
{
  struct volume_info i = good ();

  CU_ASSERT (!WITH (size, 1ull << 63));
  CU_ASSERT (!WITH (size, UINT64_MAX));
  CU_ASSERT (!WITH (block_min, 0));
  CU_ASSERT (!WITH (block_min, 3));
  CU_ASSERT (!WITH (block_min, 131072));
  CU_ASSERT (!WITH (block_min, 8192)); /* above the preferred size */
  CU_ASSERT (!WITH (block_preferred, 0));
  CU_ASSERT (!WITH (block_preferred, 4097));
  CU_ASSERT (!WITH (block_preferred, 64u << 20));
  CU_ASSERT (!WITH (request_max, 0));
  CU_ASSERT (!WITH (caps, VOLUME_CAPS_ALL + 1));
  CU_ASSERT (!WITH (caps, UINT32_MAX));
  memset (i.readonly_why, 'x', sizeof i.readonly_why);
  CU_ASSERT (!volume_info_check (&i));
  i = good ();
  memset (i.remarks, 'x', sizeof i.remarks);
  CU_ASSERT (!volume_info_check (&i));
  i = good ();
  i.block_min = 4096;
  i.range_max = 4095;
  CU_ASSERT (!volume_info_check (&i));
  i.range_max = 0;
  i.request_max = 4095;
  CU_ASSERT (!volume_info_check (&i));
}

UNIT_MAIN ("io", UNIT_TEST (good_values_pass),
           UNIT_TEST (each_field_has_limits))
