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
  {"version", PARAM_STRING, PARAM_TO_WORKER | PARAM_IN_KEY, 0, 0, NULL,
   "3|4.1|4.2", "NFS version (default: the best that the server offers)"},
  {"uid", PARAM_UINT, PARAM_TO_DAEMON | PARAM_TO_WORKER | PARAM_IN_KEY, 0,
   4294967295, NULL, "UID",
   "user on the server, by number (default: the local user's)"},
  {"gid", PARAM_UINT, PARAM_TO_WORKER | PARAM_IN_KEY, 0, 4294967295, NULL,
   "GID", "group on the server, by number (default: the local user's)"},
  {"groups", PARAM_STRING, PARAM_TO_WORKER | PARAM_IN_KEY, 0, 0, NULL,
   "GID,…", "more groups, at most 16 (default: the local user's)"},
  {"sec", PARAM_STRING, PARAM_TO_WORKER | PARAM_IN_KEY, 0, 0, "sys",
   "sys|none",
   "how the server is told who asks: uid, gid and groups, or nothing"},
  {"mountport", PARAM_UINT, PARAM_TO_DAEMON | PARAM_TO_WORKER, 1, 65535, NULL,
   "PORT", "TCP port of mountd, version 3 only (default: portmap is asked)"},
  {"exclusive", PARAM_BOOL, PARAM_TO_WORKER, 0, 0, "no", "BOOL",
   "deny other writers, versions 4.1 and 4.2 only"},
  {"client-id", PARAM_STRING, PARAM_TO_WORKER, 0, 0, NULL, "TEXT",
   "what the server knows this client by, versions 4.1 and 4.2 only (default: "
   "made from this host's machine-id and the user)"},
  {0},
};
