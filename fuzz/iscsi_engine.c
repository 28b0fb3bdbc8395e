/* SPDX-License-Identifier: BSD-2-Clause */
/* The iSCSI engine, from the login on. */
#include "config.h"
#include "fuzz/drive.h"
#include "fuzz/target.h"


#define NAME "/iqn.2003-01.org.example:fuzz"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const struct drive_param plain[] = {{"path", NAME "/1"}, {0}};
  static const struct drive_param digests[] = {
    {"path", NAME "/1"}, {"header-digest", "crc32c"},
    {"data-digest", "crc32c"}, {0}};
  static const struct drive_param targets[] = {
    {"path", "/"}, {"list", "yes"}, {0}};
  static const struct drive_param units[] = {
    {"path", NAME "/"}, {"list", "yes"}, {"user", "me"}, {0}};
  static const struct drive_param *const sets[] = {plain, digests, targets,
                                                   units};

  if (size)
    drive (proto_find ("iscsi"), sets[data[0] % 4], data, size);
  return 0;
}
