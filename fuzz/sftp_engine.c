/* SPDX-License-Identifier: BSD-2-Clause */
/* The SFTP engine, from the subsystem's first byte on. */
#include "config.h"
#include "fuzz/drive.h"
#include "fuzz/target.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const struct drive_param params[] = {{"path", "/disk.img"}, {0}};

  drive (proto_find ("sftp"), params, data, size);
  return 0;
}
