/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/params.h"

const struct param nfs_params[] = {
  {"host", PARAM_STRING, PARAM_TO_DAEMON | PARAM_URL_ONLY, 0, 0, NULL, "HOST",
   "the server, from the URL"},
  {"port", PARAM_UINT, PARAM_TO_DAEMON, 1, 65535, "2049", "PORT",
   "TCP port of the NFS server"},
  {"path", PARAM_STRING, PARAM_TO_WORKER | PARAM_URL_ONLY, 0, 0, NULL, "PATH",
   "the file, from the URL; the export comes first"},
  {0},
};
