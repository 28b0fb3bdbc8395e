/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/params.h"

#include <string.h>

#include "protocols/iscsi/params.h"
#include "protocols/nfs/params.h"
#include "protocols/sftp/params.h"

const struct proto_params proto_params_table[] = {
  {"iscsi", "iSCSI, a logical unit of a target", 3260,
   PROTO_LOGIN_CHAP | PROTO_MOVES | PROTO_MOVES_HOST | PROTO_PATH_OPTIONAL
     | PROTO_LISTS_NEST | PROTO_LEAVES,
   "iscsi://[user@]host[:port]/target-iqn/LUN", iscsi_params},
  {"nfs", "NFS, a file on a server", 2049,
   PROTO_MOVES | PROTO_FROM_RESERVED_PORT | PROTO_LEAVES,
   "nfs://host[:port]/path/to/file", nfs_params},
  {"sftp", "SFTP, a file over SSH", 22, PROTO_LOGIN_SSH,
   "sftp://[user@]host[:port]/path/to/file", sftp_params},
  {0},
};

const struct param proto_common_params[] = {
  {"connections", PARAM_UINT, PARAM_TO_GATEWAY | PARAM_TO_DAEMON, 1, 8, "1",
   "N", "connections to the server, each with a worker process of its own"},
  {0},
};

const struct param proto_internal_params[] = {
  {"list", PARAM_BOOL, PARAM_TO_WORKER, 0, 0, NULL, "BOOL",
   "asked for is a list of what is below the path (common/listing.h)"},
  {"timeout", PARAM_UINT, PARAM_TO_WORKER, 1, 86400, NULL, "SECONDS",
   "timeout= of the gateway, which ends the session then"},
  {0},
};

const struct proto_params *
proto_params_find (const char *name)
{
  for (const struct proto_params *p = proto_params_table; p->name; p++)
    if (strcmp (p->name, name) == 0)
      return p;
  return NULL;
}
