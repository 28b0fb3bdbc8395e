/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/proto.h"

#include <string.h>

#include "protocols/iscsi/iscsi.h"
#include "protocols/nfs/nfs.h"
#include "protocols/sftp/sftp.h"

static const struct proto_ops *const registry[] = {
  &iscsi_ops,
  &nfs_ops,
  &sftp_ops,
};

const struct proto_ops *
proto_find (const char *name)
{
  for (size_t i = 0; i < sizeof registry / sizeof registry[0]; i++)
    if (strcmp (registry[i]->name, name) == 0)
      return registry[i];
  return NULL;
}
