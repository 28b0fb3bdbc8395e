/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/params.h"

const struct param iscsi_params[] = {
  {"host", PARAM_STRING, PARAM_TO_DAEMON | PARAM_URL_ONLY, 0, 0, NULL, "HOST",
   "the server, from the URL"},
  {"port", PARAM_UINT, PARAM_TO_DAEMON, 1, 65535, "3260", "PORT",
   "TCP port of the portal"},
  {"path", PARAM_STRING, PARAM_TO_WORKER | PARAM_URL_ONLY, 0, 0, NULL, "PATH",
   "the target's name and the LUN, from the URL"},
  {"user", PARAM_STRING, PARAM_TO_DAEMON | PARAM_TO_WORKER, 0, 0, NULL, "NAME",
   "name to log in with by CHAP (default: no login)"},
  {"target-user", PARAM_STRING, PARAM_TO_DAEMON | PARAM_TO_WORKER, 0, 0, NULL,
   "NAME", "name that the target must prove to have by CHAP (default: it need "
   "not)"},
  {"initiator-name", PARAM_STRING, PARAM_TO_WORKER, 0, 0,
   "iqn.2001-04.com.example:bulkhead", "NAME",
   "our own iSCSI name, as the target's access lists have it"},
  {"header-digest", PARAM_STRING, PARAM_TO_WORKER, 0, 0, "none",
   "none|crc32c", "insist on a CRC over PDU headers"},
  {"data-digest", PARAM_STRING, PARAM_TO_WORKER, 0, 0, "none", "none|crc32c",
   "insist on a CRC over data"},
  {0},
};
