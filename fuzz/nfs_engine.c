/* SPDX-License-Identifier: BSD-2-Clause */
/* The NFS engine, from the first call on. */
#include "config.h"
#include "fuzz/drive.h"
#include "fuzz/target.h"


#define PATH "/export/disk.img"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const struct drive_param v3[] = {
    {"path", PATH}, {"version", "3"}, {0}};
  static const struct drive_param v41[] = {
    {"path", PATH}, {"version", "4.1"}, {0}};
  static const struct drive_param v42[] = {
    {"path", PATH}, {"version", "4.2"}, {0}};
  static const struct drive_param best[] = {{"path", PATH}, {0}};
  static const struct drive_param files[] = {
    {"path", "/export/"}, {"list", "yes"}, {"version", "3"}, {0}};
  static const struct drive_param exports[] = {
    {"path", "/"}, {"list", "yes"}, {"version", "3"}, {0}};
  static const struct drive_param *const sets[] = {v3,    v41,     v42, best,
                                                   files, exports};

  if (size)
    drive (proto_find ("nfs"), sets[data[0] % 6], data, size);
  return 0;
}
